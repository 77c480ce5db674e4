// SPDX-License-Identifier: Apache-2.0
// foldstream inspect: what is in a model, what each node becomes, what blocks hardware and why.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

struct Options {
  std::string model;
  DesignOptions design;
};

Json type_list(const std::vector<std::pair<std::string, Type>>& values) {
  Json list = Json::array();
  for (const auto& [name, type] : values) {
    list.push_back({{"name", name}, {"type", to_string(type)}});
  }
  return list;
}

void print_table(const std::vector<Finding>& findings) {
  size_t name = 4, op = 8;
  for (const Finding& finding : findings) {
    name = std::max(name, finding.node.size());
    op = std::max(op, finding.op.size());
  }
  std::cout << fmt::format("{:{}}  {:{}}  becomes\n", "node", name, "operator", op);
  for (const Finding& finding : findings) {
    std::cout << fmt::format("{:{}}  {:{}}  {}\n", finding.node, name, finding.op, op,
                             finding.becomes);
    if (finding.reason.empty()) continue;
    std::cout << fmt::format("{:{}}  because {}\n", "", name, finding.reason);
    if (!finding.remedy.empty())
      std::cout << fmt::format("{:{}}  help: {}\n", "", name, finding.remedy);
  }
}

int run(const Program& program, const Options& options) {
  const Graph model = load_model(options.model);
  const CompileOptions how = compile_options(options.design);
  const Compiled compiled = [&] {
    try {
      return streamline_only(model, how);
    } catch (const Error& error) {
      throw Error(fmt::format("'{}': {}", options.model, error.what()), error.help());
    }
  }();
  std::string blocked, help;
  std::vector<std::string> notes;
  int hardware = 0;
  try {
    const Compiled whole = compile(model, how);
    notes = whole.notes;
    for (const Node& node : whole.parts.core.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      ++hardware;
      node.op->ports(node);  // or says why there can be none
    }
  } catch (const Error& error) {
    blocked = error.what();
    help = error.help();
  }
  std::vector<std::pair<std::string, Type>> inputs, outputs;
  for (const Node& node : model.nodes) {
    if (node.op->kind == Op::Kind::input) inputs.emplace_back(node.name, node.out[0]);
  }
  for (const Output& output : model.outputs) outputs.emplace_back(output.name, output.value.type());

  if (program.json) {
    Json nodes = Json::array();
    for (const Finding& finding : compiled.findings) {
      nodes.push_back({{"node", finding.node},
                       {"op", finding.op},
                       {"becomes", finding.becomes},
                       {"reason", finding.reason},
                       {"remedy", finding.remedy}});
    }
    std::cout << Json{{"name", model.name},
                      {"inputs", type_list(inputs)},
                      {"outputs", type_list(outputs)},
                      {"nodes", nodes},
                      {"hardware_nodes", hardware},
                      {"notes", notes},
                      {"blocked", blocked}}
                     .dump(2)
              << "\n";
    return blocked.empty() ? kDone : kAnswerIsNo;
  }
  std::cout << fmt::format("model '{}'\n", model.name);
  for (const auto& [name, type] : inputs) {
    std::cout << fmt::format("  input  {} : {}\n", name, to_string(type));
  }
  for (const auto& [name, type] : outputs) {
    std::cout << fmt::format("  output {} : {}\n", name, to_string(type));
  }
  std::cout << "\n";
  print_table(compiled.findings);
  std::cout << "\n";
  if (blocked.empty()) {
    std::cout << fmt::format("{} nodes become hardware\n", hardware);
    for (const std::string& note : notes) std::cout << fmt::format("note: {}\n", note);
    return kDone;
  }
  std::cout << "no hardware: " << blocked << "\n";
  if (!help.empty()) std::cout << "  help: " << help << "\n";
  return kAnswerIsNo;
}

}  // namespace

void add_inspect(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command = program.add_command(
      "inspect", "Says what is in a model, what each node becomes, what blocks hardware.",
      "foldstream inspect model.onnx", [&program, options] { return run(program, *options); });
  command.option("model", options->model, "ONNX or text form").required();
  add_input_options(command, options->design);
}

}  // namespace foldstream
