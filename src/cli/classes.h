// SPDX-License-Identifier: Apache-2.0
// Models that sort samples into classes.
#pragma once

#include <cstdint>

#include "src/data/data_set.h"
#include "src/ir/graph.h"

namespace foldstream {

// The class that a result names: an index by itself, a single score by its sign, several scores by
// the largest, the first of equals.
int64_t class_of(const Tensor& result);

// Throws Error where the data has a label that the model's first result can't name. An index by
// itself might name any.
void check_labels(const DataSet& data, const Graph& model);

// Of the one input, which takes samples in floats; throws Error where there is none or several.
Type input_type(const Graph& model);

}  // namespace foldstream
