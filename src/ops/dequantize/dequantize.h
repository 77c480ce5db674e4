// SPDX-License-Identifier: Apache-2.0
// What the files of this operator share.
#pragma once

#include "src/ir/kernel.h"

namespace foldstream::dequantize {

extern const Kernels kernels;

}  // namespace foldstream::dequantize
