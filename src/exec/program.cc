// SPDX-License-Identifier: Apache-2.0
#include "src/exec/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/kernel/convert.h"
#include "src/kernel/level.h"
#include "src/kernel/tables.h"
#include "src/util/clock.h"
#include "src/util/error.h"

namespace foldstream::exec {
namespace {

using window::Geometry;

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

struct Step {
  std::unique_ptr<Kernel> kernel;
  std::vector<int> in, out;  // buffers
};

// Memory of one stored value. Outside the block when the caller has it.
struct Buffer {
  int64_t bytes = 0;  // of a frame
  int input = -1, output = -1;
  int first = -1, last = -1;  // steps that write and read it
  int64_t offset = 0;
};

namespace {

class Eval final : public Kernel {
 public:
  explicit Eval(const KernelSite& site) : node_(site.node), in_(site.in), out_(site.out) {
    for (size_t port = 0; port < in_.size(); ++port) {
      tensors_.push_back(in_[port].constant != nullptr ? *in_[port].constant
                                                       : make_zero(node_.in_type(port)));
    }
  }

  void run(const KernelCall& call) const override {
    std::vector<Tensor> operands = tensors_;
    std::vector<const Tensor*> pointers;
    for (const Tensor& tensor : operands) pointers.push_back(&tensor);
    for (int64_t f = 0; f < call.frames; ++f) {
      for (size_t port = 0; port < in_.size(); ++port) {
        if (in_[port].constant != nullptr) continue;
        const Storage& storage = in_[port].storage;
        kernel::load(storage, call.in[port] + f * storage.bytes(), operands[port]);
      }
      const std::vector<Tensor> results = evaluate_node(node_, pointers);
      for (size_t port = 0; port < results.size(); ++port) {
        kernel::store(results[port], out_[port], call.out[port] + f * out_[port].bytes());
      }
    }
  }

 private:
  const Node& node_;
  std::vector<Operand> in_;
  std::vector<Storage> out_;
  std::vector<Tensor> tensors_;
};

class Copy final : public Kernel {
 public:
  explicit Copy(int64_t bytes) : bytes_(bytes) {}
  void run(const KernelCall& call) const override {
    std::memcpy(call.out[0], call.in[0], static_cast<size_t>(call.frames * bytes_));
  }

 private:
  int64_t bytes_;
};

std::string_view form_name(Form form) {
  constexpr std::string_view kNames[] = {"bits", "trits", "bytes", "words", "longs", "floats"};
  return kNames[static_cast<size_t>(form)];
}

Form output_form(const Type& type) {
  if (type.is_float) return Form::floats;
  return kernel::dense_form({type.min(), type.max()}) == Form::longs ? Form::longs : Form::words;
}

}  // namespace

struct Plan {
  Graph graph;
  std::unique_ptr<Evaluator> meaning;  // knows what is the same in every frame
  std::vector<Port> inputs, outputs;
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
  std::vector<StepInfo> infos;  // one a step
  int64_t tile = 1;             // frames that pass through all steps together
  int64_t bytes = 0;            // of a tile's buffers
  int64_t scratch = 0;          // of any step

  void place(int64_t frames);
  int64_t memory() const { return aligned(bytes) + aligned(scratch); }
};

namespace {

// Builds a plan: ranges forwards, forms backwards, steps forwards.
class Builder {
 public:
  Builder(Plan& plan, const ProgramOptions& options) : plan_(plan), options_(options) {}
  void build();

 private:
  using Table = std::vector<double>;

  struct Stored {
    Storage storage;
    int buffer;
  };

  const Tensor* constant(const Value& value) const { return plan_.meaning->constant(value); }
  bool is_constant(const Node& node) const { return constant({const_cast<Node*>(&node), 0}); }

  void drop_copies();
  void find_ranges();
  void find_tables();
  void choose_forms();
  void add_input(const Node& node);
  void add_node(const Node& node);
  bool add_kernel(const Node& node, Form result, bool through_windows);
  bool add_table(const Node& node, Form result);
  void add_eval(const Node& node);
  void add_output(const Output& output);

  // Whether all users of a node that gives windows may read them in its operand's frame.
  bool seen_through(const Node& node) const;
  // Of an operand, with the padding that windows of it may reach.
  Range operand_range(const Node& node, size_t port) const;
  Form form(const Value& value) const;  // that its users wish for
  Form dense_form(const Value& value) const;
  Storage storage(const Value& value, Form form) const {
    return kernel::storage_of(form, ranges_.at(value), value.type().shape);
  }

  int new_buffer(int64_t bytes);
  void add_step(std::unique_ptr<Kernel> kernel, std::vector<int> in, std::vector<int> out,
                const Node& node, std::string_view how, bool is_kernel = true);
  // The buffer that has the value in that storage, made of another one if need be.
  int stored(const Value& value, const Storage& wanted);
  int padded(int buffer, const Storage& storage, const Geometry& geometry, const Node& node);

  Plan& plan_;
  const ProgramOptions& options_;
  std::map<Value, std::vector<Node*>> users_;
  std::map<Value, Range> ranges_;
  std::map<Value, Table> tables_;  // what the bytes mean that are stored for a value
  std::map<Value, std::set<Form>> wishes_;
  std::map<Value, std::vector<Stored>> stored_;
};

Value value_of(const Node& node, int port = 0) { return {const_cast<Node*>(&node), port}; }

bool windows_of_operand(const Node& node) {
  const Kernels* kernels = node.op->kernels;
  return kernels != nullptr && (kernels->windowed || kernels->gives_windows);
}

// Whether the result is operand 0 under another shape.
bool passes_on(const Node& node) { return node.op->kind == Op::Kind::view; }

void Builder::build() {
  drop_copies();
  users_ = plan_.graph.users();
  plan_.meaning = std::make_unique<Evaluator>(plan_.graph);
  find_ranges();
  find_tables();
  choose_forms();
  for (const Node& node : plan_.graph.nodes) {
    if (is_constant(node)) continue;
    if (node.op->kind == Op::Kind::input) {
      add_input(node);
    } else {
      add_node(node);
    }
  }
  for (const Output& output : plan_.graph.outputs) add_output(output);
}

// What only carries streams in hardware: its users take what it carries, and a product stands next
// to the windows that its kernel reads in their operand's frame.
void Builder::drop_copies() {
  for (Node& node : plan_.graph.nodes) {
    if (node.op->kernels == nullptr || !node.op->kernels->copies) continue;
    for (size_t port = 0; port < node.out.size(); ++port) {
      plan_.graph.replace(value_of(node, static_cast<int>(port)), node.in[0]);
    }
  }
  plan_.graph.remove_dead();
}

void Builder::find_ranges() {
  for (const Node& node : plan_.graph.nodes) {
    std::vector<Range> in, out;
    for (const Type& type : node.out) {
      out.push_back(type.is_float ? Range{} : Range{type.min(), type.max()});
    }
    if (passes_on(node)) {
      out.assign(out.size(), ranges_.at(node.in[0]));
    } else if (windows_of_operand(node) && node.op->kernels->gives_windows) {
      out[0] = operand_range(node, 0);
    } else if (node.op->kernels != nullptr && node.op->kernels->ranges != nullptr) {
      for (size_t port = 0; port < node.in.size(); ++port) {
        in.push_back(operand_range(node, port));
      }
      out = node.op->kernels->ranges(node, in);
    }
    for (size_t port = 0; port < out.size(); ++port) {
      ranges_[value_of(node, static_cast<int>(port))] = out[port];
    }
  }
}

Range Builder::operand_range(const Node& node, size_t port) const {
  Range range = ranges_.at(node.in[port]);
  if (port == 0 && windows_of_operand(node)) {
    const Geometry geometry(node);
    if (geometry.padded()) {
      range.lo = std::min(range.lo, geometry.pad_value);
      range.hi = std::max(range.hi, geometry.pad_value);
    }
  }
  return range;
}

// What a node makes of operands of other shapes, with its channels, if it has any, along the last
// axis.
Tensor evaluate_on(const Node& node, const std::vector<Tensor>& operands) {
  Graph graph;
  std::vector<Value> in;
  std::vector<const Tensor*> pointers;
  for (const Tensor& operand : operands) {
    in.push_back({&graph.add(require_op("constant"), {}, node.name, {}, {{"value", operand}}), 0});
    pointers.push_back(&operand);
  }
  std::map<std::string, Attr, std::less<>> attr = node.attr;
  attr.erase("axis");
  const Node& copy = graph.add(*node.op, std::move(in), node.name, std::move(attr), node.data);
  return evaluate_node(copy, pointers).front();
}

// The meanings of the 256 bytes as elements of a type.
Tensor as_tensor(const std::vector<double>& table, Type type) {
  type.shape = {static_cast<int64_t>(table.size())};
  Tensor tensor = make_zero(type);
  if (type.is_float) {
    tensor.reals = table;
  } else {
    tensor.ints.assign(table.begin(), table.end());
  }
  return tensor;
}

void Builder::find_tables() {
  for (const Node& node : plan_.graph.nodes) {
    if (node.op->kind == Op::Kind::input) {
      if (!(options_.byte_scale > 0) || !node.out[0].is_float) continue;
      Table& table = tables_[value_of(node)];
      for (int byte = 0; byte < 256; ++byte) {
        table.push_back(static_cast<float>(byte) / static_cast<float>(options_.byte_scale));
      }
      continue;
    }
    if (is_constant(node) || node.in.empty()) continue;
    if (node.out.size() != 1) continue;
    const bool moves = passes_on(node) || (node.op->kernels != nullptr && node.op->kernels->moves);
    const bool computes = node.op->kernels != nullptr && node.op->kernels->uniform != nullptr &&
                          node.op->kernels->uniform(node);
    if (!moves && !computes) continue;
    std::optional<size_t> port;
    bool possible = true;
    std::vector<const Tensor*> constants;
    for (size_t i = 0; i < node.in.size(); ++i) {
      constants.push_back(constant(node.in[i]));
      if (constants[i] != nullptr) {
        possible = possible && constants[i]->count() == 1;
      } else if (tables_.contains(node.in[i]) && !port) {
        port = i;
      } else {
        possible = false;
      }
    }
    if (!possible || !port) continue;
    const Value from = node.in[*port];
    if (moves) {
      for (size_t out = 0; out < node.out.size(); ++out) {
        tables_[value_of(node, static_cast<int>(out))] = tables_.at(from);
      }
    } else if (node.out[0].shape == from.type().shape) {
      std::vector<Tensor> operands;
      for (const Tensor* constant : constants) {
        operands.push_back(constant == nullptr ? as_tensor(tables_.at(from), from.type())
                                               : *constant);
        if (constant != nullptr) operands.back().type.shape = {};
      }
      try {
        const Tensor result = evaluate_on(node, operands);
        Table& table = tables_[value_of(node)];
        table = result.reals;
        if (!result.type.is_float) table.assign(result.ints.begin(), result.ints.end());
      } catch (const Error&) {
        // Some byte has no value there; whether one comes is found out frame by frame.
      }
    }
  }
}

bool Builder::seen_through(const Node& node) const {
  const auto it = users_.find(value_of(node));
  if (it == users_.end()) return false;
  for (const Node* user : it->second) {
    if (user->op->kernels == nullptr || !user->op->kernels->takes_windows) return false;
  }
  return std::none_of(plan_.graph.outputs.begin(), plan_.graph.outputs.end(),
                      [&](const Output& output) { return output.value.node == &node; });
}

Form Builder::form(const Value& value) const {
  if (value.type().is_float) return Form::floats;
  const auto it = wishes_.find(value);
  if (it != wishes_.end() && it->second.size() == 1) return *it->second.begin();
  return dense_form(value);
}

Form Builder::dense_form(const Value& value) const {
  return value.type().is_float ? Form::floats : kernel::dense_form(ranges_.at(value));
}

void Builder::choose_forms() {
  for (const Output& output : plan_.graph.outputs) {
    wishes_[output.value].insert(output_form(output.value.type()));
  }
  auto& nodes = plan_.graph.nodes;
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    const Node& node = *it;
    if (is_constant(node)) continue;
    for (size_t port = 0; port < node.in.size(); ++port) {
      const Value& value = node.in[port];
      if (value.type().is_float || constant(value) != nullptr) continue;
      const Range range = operand_range(node, port);
      const Kernels* kernels = node.op->kernels;
      Form wish = kernel::dense_form(range);
      if (passes_on(node) || (kernels != nullptr && kernels->gives_windows && seen_through(node))) {
        wish = form(value_of(node));
      } else if (kernels != nullptr && kernels->wants != nullptr) {
        wish =
            kernels->wants(node, port, range, node.out[0].is_float ? wish : form(value_of(node)));
      }
      wishes_[value].insert(wish);
    }
  }
}

int Builder::new_buffer(int64_t bytes) {
  plan_.buffers.push_back({.bytes = bytes});
  return static_cast<int>(plan_.buffers.size()) - 1;
}

void Builder::add_step(std::unique_ptr<Kernel> kernel, std::vector<int> in, std::vector<int> out,
                       const Node& node, std::string_view how, bool is_kernel) {
  const auto step = static_cast<int>(plan_.steps.size());
  for (const int buffer : in) {
    if (buffer >= 0) plan_.buffers[buffer].last = step;
  }
  for (const int buffer : out) plan_.buffers[buffer].first = plan_.buffers[buffer].last = step;
  plan_.infos.push_back({node.name, std::string(node.op->name), std::string(how), 0,
                         kernel->multiplier(), is_kernel});
  plan_.steps.push_back({std::move(kernel), std::move(in), std::move(out)});
}

int Builder::stored(const Value& value, const Storage& wanted) {
  auto& versions = stored_.at(value);
  const auto table = tables_.find(value);
  if (table == tables_.end()) {
    for (const Stored& version : versions) {
      if (kernel::same_bytes(version.storage, wanted)) return version.buffer;
    }
  } else {
    // The first version is bytes of the table, the others what was looked up in it.
    for (size_t i = 1; i < versions.size(); ++i) {
      if (kernel::same_bytes(versions[i].storage, wanted)) return versions[i].buffer;
    }
  }
  const Stored& from = versions.front();
  const int buffer = new_buffer(wanted.bytes());
  auto kernel = table == tables_.end() ? kernel::make_convert(from.storage, wanted)
                                       : kernel::make_lookup(table->second, wanted);
  add_step(std::move(kernel), {from.buffer}, {buffer}, *value.node,
           table == tables_.end() ? "convert" : "look up");
  versions.push_back({wanted, buffer});
  return buffer;
}

int Builder::padded(int buffer, const Storage& storage, const Geometry& geometry,
                    const Node& node) {
  if (!geometry.padded()) return buffer;
  const int result = new_buffer(kernel::padded(storage, geometry).bytes());
  add_step(kernel::make_pad(storage, geometry), {buffer}, {result}, node, "pad");
  return result;
}

void Builder::add_input(const Node& node) {
  const Value value = value_of(node);
  const Storage storage = tables_.contains(value)
                              ? kernel::storage_of(Form::bytes, {0, 255}, node.out[0].shape)
                              : kernel::storage_of(output_form(node.out[0]), {}, node.out[0].shape);
  const int buffer = new_buffer(storage.bytes());
  plan_.buffers[buffer].input = static_cast<int>(plan_.inputs.size());
  plan_.inputs.push_back({node.name, node.out[0], storage});
  stored_[value] = {{storage, buffer}};
}

void Builder::add_node(const Node& node) {
  const Value value = value_of(node);
  const Kernels* kernels = node.op->kernels;
  const auto set_results = [&](const Stored& result) {
    for (size_t port = 0; port < node.out.size(); ++port) {
      stored_[value_of(node, static_cast<int>(port))] = {result};
    }
  };
  if (tables_.contains(value)) {
    // The operand's bytes, moved if they are.
    Value from = node.in[0];
    for (const Value& in : node.in) {
      if (constant(in) == nullptr) from = in;
    }
    int buffer = stored_.at(from).front().buffer;
    const Storage storage = kernel::storage_of(Form::bytes, {0, 255}, node.out[0].shape);
    if (kernels != nullptr && kernels->moves) {
      const int moved = new_buffer(storage.bytes());
      KernelSite site{node, {}, {storage}};
      site.in.emplace_back().storage = stored_.at(from).front().storage;
      auto kernel = kernels->make(site);
      FOLDSTREAM_CHECK(kernel != nullptr);
      add_step(std::move(kernel), {buffer}, {moved}, node, "bytes");
      buffer = moved;
    }
    return set_results({storage, buffer});
  }
  if (passes_on(node)) {
    // As it is stored, if its bytes mean the same in the result's shape.
    const Stored from = stored_.at(node.in[0]).front();
    Storage as = storage(value, from.storage.form);
    as.base = from.storage.base;
    return set_results({as, stored(node.in[0], as)});
  }
  if (kernels != nullptr && kernels->gives_windows && seen_through(node)) {
    // Added when a user's kernel can't see through it after all.
    return;
  }
  const Form wanted = form(value), dense = dense_form(value);
  if (add_kernel(node, wanted, true)) return;
  if (dense != wanted && add_kernel(node, dense, true)) return;
  // The windows as values of their own.
  for (const Value& operand : node.in) {
    if (!stored_.contains(operand) && constant(operand) == nullptr) add_eval(*operand.node);
  }
  if (add_kernel(node, wanted, false)) return;
  if (dense != wanted && add_kernel(node, dense, false)) return;
  if (!add_table(node, wanted)) add_eval(node);
}

void Builder::add_eval(const Node& node) {
  KernelSite site{node, {}, {}};
  std::vector<int> in, out;
  for (const Value& operand : node.in) {
    if (const Tensor* known = constant(operand)) {
      site.in.emplace_back().constant = known;
      in.push_back(-1);
      continue;
    }
    const Storage dense = storage(operand, dense_form(operand));
    in.push_back(stored(operand, dense));
    site.in.push_back({dense, ranges_.at(operand)});
  }
  for (size_t port = 0; port < node.out.size(); ++port) {
    const Value result = value_of(node, static_cast<int>(port));
    site.out.push_back(storage(result, form(result)));
    out.push_back(new_buffer(site.out.back().bytes()));
    stored_[result] = {{site.out.back(), out.back()}};
  }
  add_step(std::make_unique<Eval>(site), in, out, node, "eval", false);
}

bool Builder::add_kernel(const Node& node, Form result, bool through_windows) {
  const Kernels* kernels = node.op->kernels;
  if (kernels == nullptr || kernels->make == nullptr) return false;
  KernelSite site{node, {}, {}};
  struct Source {
    Value value;
    const Node* pads = nullptr;  // whose geometry says how
  };
  std::vector<Source> sources;
  for (size_t port = 0; port < node.in.size(); ++port) {
    Value operand = node.in[port];
    if (const Tensor* known = constant(operand)) {
      site.in.emplace_back().constant = known;
      sources.push_back({});
      continue;
    }
    Operand described;
    Source source{operand};
    described.range = operand_range(node, port);
    const Kernels* before = operand.node->op->kernels;
    if (through_windows && port == 0 && kernels->takes_windows && before != nullptr &&
        before->gives_windows && !stored_.contains(operand)) {
      described.windows = operand.node;
      source = {operand.node->in[0], operand.node};
    } else if (!stored_.contains(operand)) {
      return false;
    } else if (port == 0 && kernels->windowed) {
      described.windows = &node;
      source.pads = &node;
    }
    const Form form = operand.type().is_float ? Form::floats
                      : kernels->wants == nullptr
                          ? kernel::dense_form(described.range)
                          : kernels->wants(node, port, described.range, result);
    described.storage = kernel::storage_of(form, described.range, source.value.type().shape);
    site.in.push_back(described);
    sources.push_back(source);
  }
  for (size_t port = 0; port < node.out.size(); ++port) {
    const Value value = value_of(node, static_cast<int>(port));
    // The others as they are wanted if the first one is.
    const bool wanted = result == form(value_of(node));
    site.out.push_back(storage(value, port == 0 ? result
                                      : wanted  ? form(value)
                                                : dense_form(value)));
  }
  KernelSite padded_site = site;
  for (size_t port = 0; port < sources.size(); ++port) {
    if (sources[port].pads == nullptr) continue;
    padded_site.in[port].storage =
        kernel::padded(site.in[port].storage, Geometry(*sources[port].pads));
  }
  std::unique_ptr<Kernel> kernel = kernels->make(padded_site);
  if (kernel == nullptr) return false;
  std::vector<int> in, out;
  for (size_t port = 0; port < sources.size(); ++port) {
    if (!sources[port].value) {
      in.push_back(-1);
      continue;
    }
    int buffer = stored(sources[port].value, site.in[port].storage);
    if (sources[port].pads != nullptr) {
      buffer = padded(buffer, site.in[port].storage, Geometry(*sources[port].pads), node);
    }
    in.push_back(buffer);
  }
  for (size_t port = 0; port < node.out.size(); ++port) {
    out.push_back(new_buffer(site.out[port].bytes()));
    stored_[value_of(node, static_cast<int>(port))] = {{site.out[port], out.back()}};
  }
  add_step(std::move(kernel), in, out, node,
           site.in.empty() ? "" : form_name(site.in[0].storage.form));
  if (node.op->counts != nullptr) {
    for (const auto& [key, count] : node.op->counts(node)) {
      if (key.starts_with("op_mac")) plan_.infos.back().products += count;
    }
  }
  return true;
}

// Integers of few values: what the node makes of each value, or of each pair of values, looked up.
bool Builder::add_table(const Node& node, Form result) {
  const bool uniform = node.op->kernels != nullptr && node.op->kernels->uniform != nullptr &&
                       node.op->kernels->uniform(node);
  if (node.out.size() != 1 || node.out[0].is_float || result == Form::floats) return false;
  if (!uniform && !(node.op->pointwise && node.in.size() == 1)) return false;
  std::vector<Storage> storages;
  std::vector<Range> ranges;
  for (const Value& operand : node.in) {
    if (operand.type().is_float || constant(operand) != nullptr) return false;
    if (operand.type().shape != node.out[0].shape) return false;
    ranges.push_back(ranges_.at(operand));
    if (kernel::dense_form(ranges.back()) != Form::bytes) return false;
    storages.push_back(kernel::storage_of(Form::bytes, ranges.back(), operand.type().shape));
  }
  const Storage out = storage(value_of(node), result);
  const auto filled = [&](Shape shape, size_t port, const auto& element) {
    Type type = node.in_type(port);
    type.shape = std::move(shape);
    Tensor tensor = make_zero(type);
    for (int64_t i = 0; i < tensor.count(); ++i) tensor.ints[i] = element(i);
    return tensor;
  };
  std::unique_ptr<Kernel> kernel;
  if (node.in.size() == 1) {
    const int64_t values = ranges[0].hi - ranges[0].lo + 1;
    const int64_t axis = node.integer("axis", -1);
    const auto last = static_cast<int64_t>(node.out[0].shape.size()) - 1;
    // Vectors of channels, one for each value.
    if (!uniform && axis >= 0 && axis != last) return false;
    const int64_t channels = uniform ? 1 : out.length;
    const std::vector<int64_t> y =
        evaluate_on(node, {filled({values, channels}, 0,
                                  [&](int64_t i) { return ranges[0].lo + i / channels; })})
            .ints;
    std::vector<int64_t> table(channels * 256, y[0]);
    for (int64_t i = 0; i < values * channels; ++i) {
      table[i % channels * 256 + ranges[0].lo + i / channels - storages[0].base] = y[i];
    }
    kernel = kernel::make_table(storages[0], table, out);
  } else if (node.in.size() == 2) {
    constexpr int64_t kMost = 1 << 12;  // entries that stay in the nearest cache
    const auto count = [&](size_t port) { return ranges[port].hi - storages[port].base + 1; };
    if (count(0) * count(1) > kMost) return false;
    const Shape pairs{count(0) * count(1), 1};
    const auto element = [&](size_t port, int64_t byte) {
      return std::max(storages[port].base + byte, ranges[port].lo);
    };
    const std::vector<int64_t> table =
        evaluate_on(node, {filled(pairs, 0, [&](int64_t i) { return element(0, i / count(1)); }),
                           filled(pairs, 1, [&](int64_t i) { return element(1, i % count(1)); })})
            .ints;
    kernel = kernel::make_pair_table(count(1), table, out);
  }
  if (kernel == nullptr) return false;
  std::vector<int> in;
  for (size_t port = 0; port < node.in.size(); ++port) {
    in.push_back(stored(node.in[port], storages[port]));
  }
  const int buffer = new_buffer(out.bytes());
  stored_[value_of(node)] = {{out, buffer}};
  add_step(std::move(kernel), in, {buffer}, node, "table");
  return true;
}

void Builder::add_output(const Output& output) {
  const Type& type = output.value.type();
  const Storage storage = kernel::storage_of(output_form(type), {}, type.shape);
  const auto index = static_cast<int>(plan_.outputs.size());
  plan_.outputs.push_back({output.name, type, storage});
  if (const Tensor* known = constant(output.value)) {
    // A frame of a constant: looked up nowhere, made by a node's meaning.
    throw Error(fmt::format("output '{}' is the same in every frame: {}", output.name,
                            to_string(known->type)),
                "the CPU engine runs networks whose outputs depend on their inputs");
  }
  const int buffer = stored(output.value, storage);
  if (plan_.buffers[buffer].input < 0 && plan_.buffers[buffer].output < 0) {
    plan_.buffers[buffer].output = index;
    return;
  }
  const int copy = new_buffer(storage.bytes());
  plan_.buffers[copy].output = index;
  add_step(std::make_unique<Copy>(storage.bytes()), {buffer}, {copy}, *output.value.node, "copy");
}

}  // namespace

// First fit: buffers in the order of their first step, each at the lowest place that is free for
// its whole life.
void Plan::place(int64_t frames) {
  bytes = 0, scratch = 0;
  std::vector<size_t> placed;
  for (size_t i = 0; i < buffers.size(); ++i) {
    Buffer& buffer = buffers[i];
    if (buffer.input >= 0 || buffer.output >= 0) continue;
    const int64_t size = aligned(buffer.bytes * frames + 64);
    std::vector<std::pair<int64_t, int64_t>> taken;
    for (const size_t j : placed) {
      const Buffer& other = buffers[j];
      if (other.last < buffer.first || buffer.last < other.first) continue;
      taken.emplace_back(other.offset, other.offset + aligned(other.bytes * frames + 64));
    }
    std::sort(taken.begin(), taken.end());
    buffer.offset = 0;
    for (const auto& [begin, end] : taken) {
      if (buffer.offset + size <= begin) break;
      buffer.offset = std::max(buffer.offset, end);
    }
    bytes = std::max(bytes, buffer.offset + size);
    placed.push_back(i);
  }
  for (const Step& step : steps) {
    scratch = std::max(scratch, step.kernel->scratch_bytes(frames));
  }
}

Program::Program(const Graph& graph, const ProgramOptions& options)
    : plan_(std::make_unique<Plan>()) {
  plan_->graph = graph.clone();
  kernel::at_level(options.level, [&] { Builder(*plan_, options).build(); });
  // As many frames together as stay near the processor, so that weights serve all of them.
  constexpr int64_t kNear = 1 << 20, kMost = 64;
  plan_->place(1);
  plan_->tile = std::clamp<int64_t>(kNear / std::max<int64_t>(plan_->bytes, 1), 1, kMost);
  plan_->place(plan_->tile);
}

Program::~Program() = default;

const std::vector<Port>& Program::inputs() const { return plan_->inputs; }
const std::vector<Port>& Program::outputs() const { return plan_->outputs; }
const std::vector<StepInfo>& Program::steps() const { return plan_->infos; }
int64_t Program::memory_bytes() const { return plan_->memory(); }
int64_t Program::tile_frames() const { return plan_->tile; }

namespace {

// A step's call for `frames` frames from `first` on.
class Calls {
 public:
  Calls(const Plan& plan, const std::vector<const void*>& in, const std::vector<void*>& out,
        std::byte* memory)
      : plan_(plan), in_(in), out_(out), memory_(memory) {}

  template <class Run>
  void operator()(const Step& step, int64_t first, int64_t frames, const Run& run) const {
    constexpr size_t kMost = 16;
    FOLDSTREAM_CHECK(step.in.size() <= kMost && step.out.size() <= kMost);
    const std::byte* in[kMost];
    std::byte* out[kMost];
    for (size_t i = 0; i < step.in.size(); ++i) {
      in[i] = step.in[i] < 0 ? nullptr : at(step.in[i], first);
    }
    for (size_t i = 0; i < step.out.size(); ++i) out[i] = at(step.out[i], first);
    run(KernelCall{.in = {in, step.in.size()}, .out = {out, step.out.size()}, .frames = frames});
  }

 private:
  std::byte* at(int index, int64_t first) const {
    const Buffer& buffer = plan_.buffers[static_cast<size_t>(index)];
    if (buffer.input >= 0) {
      const auto* memory = static_cast<const std::byte*>(in_[static_cast<size_t>(buffer.input)]);
      return const_cast<std::byte*>(memory) + first * buffer.bytes;
    }
    if (buffer.output >= 0) {
      return static_cast<std::byte*>(out_[static_cast<size_t>(buffer.output)]) +
             first * buffer.bytes;
    }
    return memory_ + buffer.offset;
  }

  const Plan& plan_;
  const std::vector<const void*>& in_;
  const std::vector<void*>& out_;
  std::byte* memory_;
};

}  // namespace

void Program::run(const std::vector<const void*>& in, const std::vector<void*>& out, int64_t frames,
                  Crew& crew) const {
  const Plan& plan = *plan_;
  const auto bytes = static_cast<size_t>(plan.memory());
  const auto members = static_cast<int64_t>(crew.size());
  if (members == 1 || frames >= members) {
    std::atomic<int64_t> next = 0;
    // A tile at a time, less towards the end, so that all threads are done at once.
    const int64_t least =
        std::clamp<int64_t>(frames / members, 1, std::max<int64_t>(plan.tile / 8, 1));
    const int64_t shares = members == 1 ? 1 : 2 * members;
    const auto take = [&](int64_t& first) {
      first = next;
      int64_t some = 0;
      do {
        some = std::clamp<int64_t>((frames - first) / shares, least, plan.tile);
      } while (first < frames && !next.compare_exchange_weak(first, first + some));
      return std::min(some, frames - first);
    };
    const auto work = [&](int member) {
      std::byte* memory = crew.memory(member, bytes);
      const Calls calls(plan, in, out, memory);
      int64_t first = 0;
      for (int64_t some; (some = take(first)) > 0;) {
        for (const Step& step : plan.steps) {
          calls(step, first, some, [&](KernelCall call) {
            call.scratch = memory + aligned(plan.bytes);
            step.kernel->run(call);
          });
        }
      }
    };
    if (members == 1) {
      work(0);
    } else {
      crew.run(work);
    }
    return;
  }
  std::byte* memory = crew.memory(0, bytes);
  const Calls calls(plan, in, out, memory);
  for (int64_t first = 0; first < frames; ++first) {
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      const Step& step = plan.steps[i];
      calls(step, first, 1, [&](KernelCall call) {
        // Handing out work takes a microsecond or two.
        constexpr int64_t kWorth = 1 << 20;
        if (!step.kernel->divisible() || plan.infos[i].products < kWorth) {
          call.scratch = memory + aligned(plan.bytes);
          step.kernel->run(call);
          return;
        }
        call.pieces = members;
        crew.run([&](int member) {
          KernelCall piece = call;
          piece.piece = member;
          piece.scratch = crew.memory(member, bytes) + aligned(plan.bytes);
          step.kernel->run(piece);
        });
      });
    }
  }
}

void Program::profile(const std::vector<const void*>& in, const std::vector<void*>& out,
                      int64_t frames, std::vector<int64_t>& nanoseconds) const {
  const Plan& plan = *plan_;
  kernel::AlignedVector<std::byte> memory(static_cast<size_t>(plan.memory()));
  const Calls calls(plan, in, out, memory.data());
  nanoseconds.resize(plan.steps.size());
  for (int64_t first = 0; first < frames; first += plan.tile) {
    const int64_t some = std::min(plan.tile, frames - first);
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      calls(plan.steps[i], first, some, [&](KernelCall call) {
        call.scratch = memory.data() + aligned(plan.bytes);
        const int64_t begin = thread_nanoseconds();
        plan.steps[i].kernel->run(call);
        nanoseconds[i] += thread_nanoseconds() - begin;
      });
    }
  }
}

}  // namespace foldstream::exec
