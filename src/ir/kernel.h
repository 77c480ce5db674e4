// SPDX-License-Identifier: Apache-2.0
// What an operator tells the CPU twin about itself: the values it can give, how it wants its
// operands to lie in memory, and the kernel that computes it there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "src/ir/graph.h"

namespace foldstream {

// Integers from lo to hi.
struct Range {
  int64_t lo = 0, hi = 0;
  bool operator==(const Range&) const = default;
};

// How the elements of a value are stored, one vector (the last axis) after the other.
enum class Form : uint8_t {
  bits,    // base or base + 1: 64 elements a word, vectors padded with zeros to whole words
  trits,   // base to base + 2: for 64 elements a word "is not base + 1", then a word "is base"
  bytes,   // base to base + 255, one byte each
  words,   // int32, base is 0
  longs,   // int64, base is 0
  floats,  // float32
};

struct Storage {
  Form form = Form::longs;
  int64_t base = 0;
  int64_t vectors = 1, length = 1;  // in a frame; elements of a vector

  int64_t stride() const;  // bytes from a vector to the next
  int64_t bytes() const { return vectors * stride(); }
  bool operator==(const Storage&) const = default;
};

// An operand as a kernel finds it. A kernel that reads windows (`Kernels::takes_windows`,
// `windowed`) finds the frame they lie in, with its padding around it; `windows` is then the node
// whose geometry describes them.
struct Operand {
  Storage storage;
  Range range;  // of its elements; integers only
  const Node* windows = nullptr;
  const Tensor* constant = nullptr;  // what it is in every frame; then nothing is stored
};

struct KernelSite {
  const Node& node;
  std::vector<Operand> in;
  std::vector<Storage> out;
};

struct KernelCall {
  std::span<const std::byte* const> in;  // one frame after the other
  std::span<std::byte* const> out;
  int64_t frames = 1;
  int64_t piece = 0, pieces = 1;  // which share of the work: every piece writes elements of its own
  std::byte* scratch = nullptr;   // Kernel::scratch_bytes of this caller's

  // This piece's share of so many units of work.
  int64_t begin(int64_t units) const { return units * piece / pieces; }
  int64_t end(int64_t units) const { return units * (piece + 1) / pieces; }
};

// How a kernel multiplies, for what a machine could reach at most.
enum class Multiplier : uint8_t {
  none,
  counts,           // 64 products by one count of a word's bits
  binary_carries,   // 128 by one count, saving carries; weights and operands of two values
  ternary_carries,  // 64 by one count, saving carries; weights and operands of three values
  bytes,            // bytes, added up in 32 bits
};

// Computes frames of one node. Holds constants only: calls may run side by side. Operands in bits,
// trits and bytes are readable for 64 bytes behind their end.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const KernelCall& call) const = 0;
  virtual int64_t scratch_bytes(int64_t /*frames*/) const { return 0; }
  virtual Multiplier multiplier() const { return Multiplier::none; }
  // Whether a call may be cut into pieces; otherwise piece 0 does all.
  virtual bool divisible() const { return false; }
};

struct Kernels {
  // Of the elements of each result, for operands of these ranges. Null: the types' own.
  // `range_of_operand` where they are some of operand 0's.
  std::vector<Range> (*ranges)(const Node& node, std::span<const Range> in) = nullptr;
  // The form in which it would have an operand, given the form in which its first result is wanted.
  // Null: bytes, words or longs, as the range needs.
  Form (*wants)(const Node& node, size_t port, const Range& operand, Form result) = nullptr;
  // Null when there is no kernel for these layouts; the operator then computes by `eval`.
  std::unique_ptr<Kernel> (*make)(const KernelSite& site) = nullptr;

  // Whether every element of the result is one and the same function of the operands' elements at
  // its place, whatever the place. Null: no.
  bool (*uniform)(const Node& node) = nullptr;
  bool copies = false;  // each of its results is operand 0
  bool moves = false;   // its results are elements of operand 0, which its kernel moves as they lie

  bool windowed = false;       // reads windows of operand 0, as the node's own geometry has them
  bool gives_windows = false;  // its result is those windows and nothing else
  bool takes_windows = false;  // can read operand 0 in the frame of a node that gives windows
};

std::vector<Range> range_of_operand(const Node& node, std::span<const Range> in);

}  // namespace foldstream
