// SPDX-License-Identifier: Apache-2.0
// ONNX tensors and element types to ours.
#pragma once

#include <string>

#include "src/ir/type.h"

namespace onnx {
class TensorProto;
}

namespace foldstream {

// Throws Error on what is damaged, outside the file, or of an element type without numbers.
// Doubles and the small float types become float32.
Tensor read_tensor(const onnx::TensorProto& proto, const std::string& where);

// The element type of ONNX's number, without a shape; throws Error on others.
Type read_element_type(int data_type, const std::string& where);

}  // namespace foldstream
