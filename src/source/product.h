// SPDX-License-Identifier: Apache-2.0
// Products of matrices as the float reference needs them: summed in double, in the order of the
// summed axis.
#pragma once

#include <cstdint>

namespace foldstream {

// Columns that are computed side by side; operands `b` come in panels of that many.
constexpr int64_t kPanelColumns = 8;

// y[r][j] += sum over k < inner of a[r][k] * b[k][j] for `rows` rows and kPanelColumns columns.
// Rows of a lie stride_a apart, rows of y stride_y, rows of b kPanelColumns.
void add_product(const double* a, int64_t stride_a, int64_t rows, const double* b, int64_t inner,
                 double* y, int64_t stride_y);

}  // namespace foldstream
