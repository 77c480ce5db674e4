// SPDX-License-Identifier: Apache-2.0
#include "src/arith/dot.h"

#include <fmt/format.h>

#include <bit>
#include <map>
#include <mutex>
#include <tuple>

#include "src/arith/bit_heap.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

// The planes of one lane, as the heap counts them: sum over planes of 2**weight * product.
struct Plane {
  int weight_bit, activation_bit, weight;
  Gate gate;
  bool complement;
};

std::vector<Plane> planes_of(const DotSpec& spec) {
  std::vector<Plane> planes;
  const Type& w = spec.weight;
  const Type& x = spec.activation;
  for (int j = 0; j < x.bits; ++j) {
    const bool x_sign = x.coding == Coding::kSigned && j == x.bits - 1;
    if (w.coding == Coding::kBipolar) {
      planes.push_back({0, j, j, Gate::kEqual, x_sign});
    } else if (w.coding == Coding::kTernary) {
      planes.push_back({0, j, j, Gate::kSignedAnd, false});
    } else {
      for (int i = 0; i < w.bits; ++i) {
        const bool w_sign = w.coding == Coding::kSigned && i == w.bits - 1;
        planes.push_back({i, j, i + j, Gate::kAnd, w_sign != x_sign});
      }
    }
  }
  return planes;
}

// What one lane adds to the partial sum.
std::int64_t lane_partial(const DotSpec& spec, std::uint64_t weight, std::uint64_t activation) {
  std::int64_t partial = 0;
  for (const Plane& p : planes_of(spec)) {
    const bool w = (weight >> p.weight_bit & 1) != 0;
    bool x = (activation >> p.activation_bit & 1) != 0;
    bool product = false;
    if (p.gate == Gate::kAnd) {
      product = w && x;
    } else if (p.gate == Gate::kEqual) {
      product = w == x;
    } else {
      if (spec.activation.coding == Coding::kSigned && p.activation_bit == spec.activation.bits - 1)
        x = !x;
      const bool negative = (weight >> 1 & 1) != 0;
      product = w && x != negative;
    }
    if (product != p.complement) partial += std::int64_t{1} << p.weight;
  }
  return partial;
}

}  // namespace

Dot::Dot(DotSpec spec) : spec_(std::move(spec)) {
  FOLDSTREAM_CHECK(spec_.rows >= 1 && spec_.lanes >= 1);
  FOLDSTREAM_CHECK(spec_.weight.bits >= 1 && spec_.weight.bits <= 16);
  FOLDSTREAM_CHECK(spec_.activation.bits >= 1 && spec_.activation.bits <= 16);
  FOLDSTREAM_CHECK(spec_.weight.coding != Coding::kBipolar || spec_.weight.bits == 1);
  FOLDSTREAM_CHECK(spec_.weight.coding != Coding::kTernary || spec_.weight.bits == 2);
  FOLDSTREAM_CHECK(spec_.activation.coding != Coding::kTernary);
  FOLDSTREAM_CHECK(spec_.activation.coding != Coding::kBipolar || spec_.activation.bits == 1);
  const int weight_bits = spec_.weight.bits;
  const int activation_bits = spec_.activation.bits;
  const int lanes = spec_.lanes;
  const std::string what = fmt::format("{} weights of {} times activations of {}", lanes,
                                       spec_.weight.text(), spec_.activation.text());

  // One row.
  const std::string row_name = spec_.name + "_row";
  SvModule row(
      row_name,
      fmt::format("One row of {}: {}, summed without the row's constant.", spec_.name, what), "");
  Circuit circuit(row, spec_.family);
  BitHeap heap(circuit, {"sum", spec_.levels_per_register});
  const auto weight_net = [&](int lane, int bit) {
    return Net{SvModule::bit("weights_i", lanes * weight_bits, lane * weight_bits + bit), 0};
  };
  const auto activation_net = [&](int lane, int bit) {
    return Net{
        SvModule::bit("activations_i", lanes * activation_bits, lane * activation_bits + bit), 0};
  };
  // Ternary weights take the sign bits of activations complemented; the rows share that.
  const bool complements =
      spec_.weight.coding == Coding::kTernary && spec_.activation.coding == Coding::kSigned;
  for (const Plane& p : planes_of(spec_)) {
    for (int lane = 0; lane < lanes; ++lane) {
      const Net x = activation_net(lane, p.activation_bit);
      const Net w = weight_net(lane, p.weight_bit);
      if (p.gate == Gate::kSignedAnd) {
        heap.add_product(p.weight, p.gate, w, x, weight_net(lane, 1));
      } else {
        heap.add_product(p.weight, p.gate, x, w, Net::zero(), p.complement);
      }
    }
  }
  partial_maximum_ = heap.maximum();
  const std::vector<Net> sum = heap.sum();
  partial_width_ = static_cast<int>(sum.size());
  const int latency = sum[0].stage;
  circuit.finish();
  row.assign("partial_o", Circuit::concat(sum));
  if (latency > 0) row.input("clk_i");
  row.input("weights_i", lanes * weight_bits);
  row.input("activations_i", lanes * activation_bits);
  row.output("partial_o", partial_width_);
  const std::string timing = fmt::format("Latency {}, interval 1.", latency);
  row.set_timing(timing);

  // The rows side by side, with what they share.
  SvModule top(spec_.name,
               fmt::format("{} dot products of {}; see docs/arith.md for the rows' constants.",
                           spec_.rows, what),
               timing);
  if (latency > 0) top.input("clk_i");
  top.input("weights_i", spec_.rows * lanes * weight_bits);
  const int sets = spec_.own_activations ? spec_.rows : 1;
  const int set_bits = lanes * activation_bits;
  top.input("activations_i", sets * set_bits);
  top.output("partial_o", spec_.rows * partial_width_);
  Cost shared;
  if (complements) {
    top.comment("activations with their sign bits complemented");
    top.wire("activations", sets * set_bits);
    std::vector<bool> mask(sets * set_bits);
    for (int lane = 0; lane < sets * lanes; ++lane) mask[(lane + 1) * activation_bits - 1] = true;
    top.assign("activations", "activations_i ^ " + SvModule::constant(mask));
    shared.luts += sets * lanes;
  }
  top.comment("the rows");
  for (int r = 0; r < spec_.rows; ++r) {
    SvBindings connections;
    if (latency > 0) connections.emplace_back("clk_i", "clk_i");
    connections.emplace_back("weights_i",
                             SvModule::slice("weights_i", spec_.rows * lanes * weight_bits,
                                             r * lanes * weight_bits, lanes * weight_bits));
    connections.emplace_back("activations_i",
                             SvModule::slice(complements ? "activations" : "activations_i",
                                             sets * set_bits, (r % sets) * set_bits, set_bits));
    connections.emplace_back("partial_o", SvModule::slice("partial_o", spec_.rows * partial_width_,
                                                          r * partial_width_, partial_width_));
    top.instance(row_name, fmt::format("row_{}", r), {}, connections);
  }
  module_.name = spec_.name;
  module_.sources = {{row_name, row.text()}, {spec_.name, top.text()}};
  module_.ports = top.ports();
  module_.latency = latency;
  module_.cost = spec_.rows * circuit.cost();
  module_.cost += shared;
}

bool constant_depends_on_weights(const DotSpec& spec) {
  // Products with 0 have no bits whatever a weight in two's complement or without a sign is, and a
  // product of two signs is as far from its plane for each of them.
  if (spec.weight.coding == Coding::kTernary) return true;
  return (spec.weight.coding == Coding::kBipolar) != (spec.activation.coding == Coding::kBipolar);
}

DotRow dot_row(DotSpec spec) {
  static std::mutex mutex;
  using Key = std::tuple<int, Coding, int, Coding, int, Family, int>;
  static std::map<Key, DotRow> known;
  const Key key(spec.lanes, spec.weight.coding, spec.weight.bits, spec.activation.coding,
                spec.activation.bits, spec.family, spec.levels_per_register);
  {
    const std::lock_guard lock(mutex);
    if (const auto found = known.find(key); found != known.end()) return found->second;
  }
  spec.rows = 1;
  const Dot dot(std::move(spec));
  const std::lock_guard lock(mutex);
  return known.emplace(key, DotRow{dot.module().cost, dot.module().latency}).first->second;
}

std::int64_t Dot::row_constant(std::span<const std::int64_t> row) const {
  // The identity holds for every activation; the word 0 shows the constant.
  const std::int64_t zero = spec_.activation.decode(0);
  std::map<std::int64_t, std::int64_t> counts;
  if (constant_depends_on_weights(spec_)) {
    for (const std::int64_t w : row) ++counts[w];
  } else {
    counts[row[0]] = static_cast<std::int64_t>(row.size());
  }
  std::int64_t constant = 0;
  for (const auto& [w, count] : counts)
    constant += count * (w * zero - scale() * lane_partial(spec_, spec_.weight.encode(w), 0));
  return constant;
}

std::vector<bool> Dot::stored_bits(std::span<const std::int64_t> beat) const {
  FOLDSTREAM_CHECK(static_cast<int>(beat.size()) == spec_.lanes);
  std::vector<bool> bits;
  for (const std::int64_t w : beat) {
    const std::uint64_t word = spec_.weight.encode(w);
    for (int i = 0; i < spec_.weight.bits; ++i) bits.push_back((word >> i & 1) != 0);
  }
  return bits;
}

}  // namespace foldstream::arith
