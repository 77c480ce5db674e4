// SPDX-License-Identifier: Apache-2.0
#include "src/arith/circuit.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/util/error.h"

namespace foldstream::arith {
namespace {

// x_i[3] -> x_3: a name to derive others from.
std::string stem_of(std::string name) {
  std::string out;
  for (const char c : name) {
    if (c == '[' || c == ':') {
      out += '_';
    } else if (c != ']') {
      out += c;
    }
  }
  const std::size_t port = out.find("_i_");
  if (port != std::string::npos) out.erase(port, 2);
  if (out.size() > 2 && out.compare(out.size() - 2, 2, "_i") == 0) out.erase(out.size() - 2);
  return out;
}

}  // namespace

Cost& Cost::operator+=(const Cost& other) {
  luts += other.luts;
  flip_flops += other.flip_flops;
  carries += other.carries;
  block_memories += other.block_memories;
  multipliers += other.multipliers;
  return *this;
}

Cost operator*(double times, Cost cost) {
  cost.luts *= times;
  cost.flip_flops *= times;
  cost.carries *= times;
  cost.block_memories *= times;
  cost.multipliers *= times;
  return cost;
}

Generated alone(const SvModule& module) {
  Generated generated;
  generated.name = module.name();
  generated.sources = {{module.name(), module.text()}};
  generated.ports = module.ports();
  return generated;
}

const SvPort& Generated::port(const std::string& port_name) const {
  const auto found = std::find_if(ports.begin(), ports.end(),
                                  [&](const SvPort& p) { return p.name == port_name; });
  FOLDSTREAM_CHECK(found != ports.end());
  return *found;
}

Net Circuit::wire(const std::string& stem, int stage) {
  const std::string name = module_.fresh(stem);
  module_.wire(name);
  return {name, stage};
}

Vector Circuit::vector(const std::string& stem, int width, int stage) {
  Vector vector{module_.fresh(stem), {}};
  module_.wire(vector.name, width);
  for (int i = 0; i < width; ++i) {
    vector.bits.push_back({SvModule::bit(vector.name, width, i), stage});
  }
  return vector;
}

std::string Circuit::registered(const std::string& name, int width, int stage) {
  std::string stem = stem_of(name);
  if (stem.size() < 2 || stem.compare(stem.size() - 2, 2, "_q") != 0) stem += "_q";
  const std::string q = module_.fresh(stem);
  module_.wire(q, width);
  registers_[stage].push_back({q, name});
  cost_.flip_flops += width;
  return q;
}

std::string Circuit::delayed(const std::string& name, int width, int from, int to) {
  FOLDSTREAM_CHECK(to >= from);
  std::string current = name;
  for (int step = 1; from + step <= to; ++step) {
    std::string& next = delays_[{name, step}];
    if (next.empty()) next = registered(current, width, from + step);
    current = next;
  }
  return current;
}

Net Circuit::delayed(const Net& net, int stage) {
  if (net.constant()) return net;
  return {delayed(net.name, 1, net.stage, stage), stage};
}

Net Circuit::inverted(const Net& net) {
  if (net.constant()) return net.name == "1'b0" ? Net::one() : Net::zero();
  const auto found = inversions_.find(net.name);
  if (found != inversions_.end()) return found->second;
  const Net out = wire("not_" + stem_of(net.name), net.stage);
  module_.assign(out.name, "!" + net.name);
  cost_.luts += 1;
  inversions_.emplace(net.name, out);
  return out;
}

void Circuit::finish() {
  for (const auto& [stage, registers] : registers_) {
    module_.comment(fmt::format("registers into stage {}", stage));
    for (const Register& r : registers) module_.register_data(r.target, r.value);
  }
  registers_.clear();
}

std::string Circuit::concat(const std::vector<Net>& bits) {
  std::vector<std::string> names;
  for (auto bit = bits.rbegin(); bit != bits.rend(); ++bit) names.push_back(bit->name);
  return SvModule::concat(names);
}

}  // namespace foldstream::arith
