// SPDX-License-Identifier: Apache-2.0
#include "src/onnx/tensor.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "src/util/error.h"

namespace foldstream {
namespace {

// Element types that the headers of our ONNX library don't name yet.
constexpr int kUint4 = 21, kInt4 = 22;

struct Element {
  Type type;
  int file_bits = 0;  // in raw data
};

Element element_of(int data_type, const std::string& where) {
  using onnx::TensorProto;
  switch (data_type) {
    case TensorProto::FLOAT:
      return {float_type({}), 32};
    case TensorProto::DOUBLE:
      return {float_type({}), 64};
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return {float_type({}), 16};
    case TensorProto::BOOL:
      return {integer_type(1, false, {}), 8};
    case TensorProto::UINT8:
      return {integer_type(8, false, {}), 8};
    case TensorProto::INT8:
      return {integer_type(8, true, {}), 8};
    case TensorProto::UINT16:
      return {integer_type(16, false, {}), 16};
    case TensorProto::INT16:
      return {integer_type(16, true, {}), 16};
    case TensorProto::UINT32:
      return {integer_type(32, false, {}), 32};
    case TensorProto::INT32:
      return {integer_type(32, true, {}), 32};
    case TensorProto::UINT64:
      return {integer_type(64, false, {}), 64};
    case TensorProto::INT64:
      return {integer_type(64, true, {}), 64};
    case kUint4:
      return {integer_type(4, false, {}), 4};
    case kInt4:
      return {integer_type(4, true, {}), 4};
    default:
      break;
  }
  const std::string name = TensorProto::DataType_IsValid(data_type)
                               ? TensorProto::DataType_Name(TensorProto::DataType(data_type))
                               : fmt::format("number {}", data_type);
  throw Error(fmt::format("{}: element type {} is not supported", where, name),
              "expected FLOAT, an integer type or BOOL");
}

float half_to_float(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int mantissa = half & 1023;
  const float sign = (half & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

// One element from the low bits of `bits`, as raw data and int32_data hold it.
void put(Tensor& tensor, int64_t i, uint64_t bits, int data_type) {
  using onnx::TensorProto;
  switch (data_type) {
    case TensorProto::FLOAT:
      tensor.reals[i] = std::bit_cast<float>(static_cast<uint32_t>(bits));
      return;
    case TensorProto::DOUBLE:
      tensor.reals[i] = static_cast<float>(std::bit_cast<double>(bits));
      return;
    case TensorProto::FLOAT16:
      tensor.reals[i] = half_to_float(static_cast<uint16_t>(bits));
      return;
    case TensorProto::BFLOAT16:
      tensor.reals[i] = std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
      return;
    default:
      break;
  }
  const Type& type = tensor.type;
  if (data_type == TensorProto::BOOL) bits = (bits & 0xff) != 0 ? 1 : 0;
  const int unused = 64 - type.bits;
  const uint64_t top = bits << unused;
  tensor.ints[i] =
      type.is_signed ? static_cast<int64_t>(top) >> unused : static_cast<int64_t>(top >> unused);
}

}  // namespace

Type read_element_type(int data_type, const std::string& where) {
  return element_of(data_type, where).type;
}

Tensor read_tensor(const onnx::TensorProto& proto, const std::string& where) {
  using onnx::TensorProto;
  if (proto.data_location() == TensorProto::EXTERNAL || proto.external_data_size() > 0) {
    throw Error(fmt::format("{}: its data is in another file", where),
                "save the model with its tensors inside (onnx.save without external data)");
  }
  if (proto.has_segment()) throw Error(fmt::format("{}: is split into segments", where));
  auto [type, file_bits] = element_of(proto.data_type(), where);
  type.shape.assign(proto.dims().begin(), proto.dims().end());
  const auto checked = checked_element_count(type.shape);
  if (!checked) throw Error(fmt::format("{}: shape {}", where, to_string(type.shape)));
  const int64_t count = *checked;

  // The number of elements that the file holds is known before anything is reserved.
  const auto expect = [&](int64_t found) {
    if (found != count) {
      throw Error(fmt::format("{}: {} elements of shape {} expected, {} found", where, count,
                              to_string(type.shape), found));
    }
  };
  const int data_type = proto.data_type();
  const bool packed = file_bits == 4;
  if (proto.has_raw_data()) {
    const std::string& raw = proto.raw_data();
    const int64_t bytes = packed ? (count + 1) / 2 : count * (file_bits / 8);
    if (static_cast<int64_t>(raw.size()) != bytes) {
      throw Error(fmt::format("{}: {} bytes for shape {} expected, {} found", where, bytes,
                              to_string(type.shape), raw.size()));
    }
    Tensor tensor = make_zero(type);
    for (int64_t i = 0; i < count; ++i) {
      uint64_t bits = 0;
      if (packed) {
        bits = static_cast<unsigned char>(raw[i / 2]) >> (i % 2 * 4);
      } else {
        std::memcpy(&bits, raw.data() + i * (file_bits / 8), file_bits / 8);
      }
      put(tensor, i, bits, data_type);
    }
    return tensor;
  }
  const auto read = [&](const auto& field, const auto& convert) {
    expect(field.size());
    Tensor tensor = make_zero(type);
    for (int64_t i = 0; i < count; ++i) convert(tensor, i, field.Get(static_cast<int>(i)));
    return tensor;
  };
  const auto put_integer = [&](Tensor& tensor, int64_t i, auto value) {
    put(tensor, i, static_cast<uint64_t>(value), data_type);
  };
  switch (data_type) {
    case TensorProto::FLOAT:
      return read(proto.float_data(),
                  [](Tensor& tensor, int64_t i, float v) { tensor.reals[i] = v; });
    case TensorProto::DOUBLE:
      return read(proto.double_data(), [](Tensor& tensor, int64_t i, double v) {
        tensor.reals[i] = static_cast<float>(v);
      });
    case TensorProto::INT64:
      return read(proto.int64_data(), put_integer);
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      return read(proto.uint64_data(), put_integer);
    default:
      break;
  }
  if (!packed) return read(proto.int32_data(), put_integer);
  if (proto.int32_data_size() != (count + 1) / 2) {
    throw Error(fmt::format("{}: {} packed bytes expected, {} found", where, (count + 1) / 2,
                            proto.int32_data_size()));
  }
  Tensor tensor = make_zero(type);
  for (int64_t i = 0; i < count; ++i) {
    const auto byte = static_cast<uint32_t>(proto.int32_data(static_cast<int>(i / 2)));
    put(tensor, i, byte >> (i % 2 * 4), data_type);
  }
  return tensor;
}

}  // namespace foldstream
