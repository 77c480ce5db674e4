// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/moves.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/kernel/convert.h"

namespace foldstream::kernel {
namespace {

constexpr int64_t kFirst = int64_t{1} << 60;  // number of the first element of operand 0

// Units of a result that lie in a row in operand `port` from unit `from` on; or, with port -1, that
// are the integer `from`. Units are elements, or vectors of bits and trits.
struct Piece {
  int64_t port = 0, from = 0, count = 0;
};

class Moves final : public Kernel {
 public:
  Moves(const KernelSite& site, std::vector<std::vector<Piece>> pieces)
      : out_(site.out), pieces_(std::move(pieces)) {
    for (const Operand& operand : site.in) in_.push_back(operand.storage);
    for (size_t port = 0; port < out_.size(); ++port) {
      for (const Piece& piece : pieces_[port]) {
        if (piece.port >= 0) continue;
        // One integer a node.
        fill_.resize(static_cast<size_t>(unit_bytes(out_[port])));
        Storage unit = out_[port];
        unit.vectors = 1, unit.length = is_packed(unit.form) ? unit.length : 1;
        kernel::pack(unit, std::vector<int64_t>(unit.length, piece.from).data(), 1, fill_.data());
      }
    }
  }

  static bool is_packed(Form form) { return form == Form::bits || form == Form::trits; }

  void run(const KernelCall& call) const override {
    for (size_t port = 0; port < out_.size(); ++port) {
      std::byte* to = call.out[port];
      const int64_t unit = unit_bytes(out_[port]);
      for (int64_t f = 0; f < call.frames; ++f) {
        for (const Piece& piece : pieces_[port]) {
          const int64_t bytes = piece.count * unit;
          if (piece.port < 0) {
            for (int64_t at = 0; at < bytes; at += unit) std::memcpy(to + at, fill_.data(), unit);
          } else {
            const Storage& from = in_[piece.port];
            move(call.in[piece.port] + f * from.bytes() + piece.from * unit, bytes,
                 from.base - out_[port].base, to);
          }
          to += bytes;
        }
      }
    }
  }

 private:
  static int64_t unit_bytes(const Storage& storage) {
    return is_packed(storage.form) ? storage.stride() : storage.stride() / storage.length;
  }
  static void move(const std::byte* from, int64_t bytes, int64_t bases, std::byte* to) {
    if (bases == 0) {
      std::memcpy(to, from, static_cast<size_t>(bytes));
      return;
    }
    const auto* x = reinterpret_cast<const uint8_t*>(from);
    auto* y = reinterpret_cast<uint8_t*>(to);
    for (int64_t i = 0; i < bytes; ++i) y[i] = static_cast<uint8_t>(x[i] + bases);
  }

  std::vector<Storage> in_, out_;
  std::vector<std::vector<Piece>> pieces_;  // of each result
  std::vector<std::byte> fill_;
};

// The node's results for operands whose elements are numbered one after the other.
std::vector<Tensor> numbered_results(const Node& node) {
  Graph graph;
  std::vector<Tensor> operands;
  operands.reserve(node.in.size());
  std::vector<Value> in;
  std::vector<const Tensor*> pointers;
  int64_t next = kFirst;
  for (size_t port = 0; port < node.in.size(); ++port) {
    const Shape& shape = node.in_type(port).shape;
    std::vector<int64_t> numbers(element_count(shape));
    std::iota(numbers.begin(), numbers.end(), next);
    next += static_cast<int64_t>(numbers.size());
    operands.push_back(make_ints(shape, std::move(numbers)));
    in.push_back(
        {&graph.add(require_op("constant"), {}, node.name, {}, {{"value", operands[port]}}), 0});
    pointers.push_back(&operands[port]);
  }
  return evaluate_node(graph.add(*node.op, std::move(in), node.name, node.attr, node.data),
                       pointers);
}

}  // namespace

std::unique_ptr<Kernel> make_moves(const KernelSite& site) {
  const Storage& like = site.out[0];
  const bool packed = Moves::is_packed(like.form);
  const auto suits = [&](const Storage& storage) {
    if (storage.form != like.form || storage.form == Form::floats) return false;
    return !packed || (storage.base == like.base && storage.length == like.length);
  };
  std::vector<int64_t> begin{kFirst};  // numbers of the operands' first elements
  for (const Operand& operand : site.in) {
    if (operand.constant != nullptr || !suits(operand.storage)) return nullptr;
    begin.push_back(begin.back() + operand.storage.vectors * operand.storage.length);
  }
  for (size_t port = 0; port < site.out.size(); ++port) {
    if (!suits(site.out[port]) || site.node.out[port].max() >= kFirst) return nullptr;
  }
  std::vector<std::vector<Piece>> pieces;
  const int64_t unit = packed ? like.length : 1;
  for (const Tensor& result : numbered_results(site.node)) {
    auto& of_result = pieces.emplace_back();
    for (int64_t i = 0; i < result.count(); i += unit) {
      const int64_t number = result.ints[i];
      Piece piece{-1, number, 1};
      if (number >= kFirst) {
        piece.port = std::upper_bound(begin.begin(), begin.end(), number) - begin.begin() - 1;
        piece.from = number - begin[piece.port];
        if (piece.from % unit != 0) return nullptr;
        piece.from /= unit;
      }
      for (int64_t j = 1; j < unit; ++j) {
        if (result.ints[i + j] != number + (piece.port < 0 ? 0 : j)) return nullptr;
      }
      const bool goes_on =
          !of_result.empty() && of_result.back().port == piece.port &&
          piece.from == of_result.back().from + (piece.port < 0 ? 0 : of_result.back().count);
      if (goes_on) {
        ++of_result.back().count;
      } else {
        of_result.push_back(piece);
      }
    }
  }
  return std::make_unique<Moves>(site, std::move(pieces));
}

Form moves_operand(const Node&, size_t, const Range&, Form result) { return result; }

}  // namespace foldstream::kernel
