// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <string>

#include "src/ir/onnx_node.h"
#include "src/ir/op.h"
#include "src/ir/pass.h"
#include "src/ir/verify.h"
#include "src/util/error.h"

namespace foldstream {

#define FOLDSTREAM_OP(name) extern const Op op_##name;
#include "ops.inc"
#undef FOLDSTREAM_OP

namespace {

constexpr const Op* kOps[] = {
#define FOLDSTREAM_OP(name) &op_##name,
#include "ops.inc"
#undef FOLDSTREAM_OP
};

}  // namespace

std::span<const Op* const> ops() { return kOps; }

const Op* find_op(std::string_view name) {
  for (const Op* op : kOps) {
    if (op->name == name) return op;
  }
  return nullptr;
}

const Op& require_op(std::string_view name) {
  const Op* op = find_op(name);
  FOLDSTREAM_CHECK(op != nullptr);
  return *op;
}

const Op* find_onnx_op(std::string_view domain, std::string_view type) {
  static const auto table = [] {
    std::map<std::string, const Op*, std::less<>> result;
    for (const Op* op : kOps) {
      for (std::string_view name : op->onnx) FOLDSTREAM_CHECK(result.emplace(name, op).second);
    }
    return result;
  }();
  const auto it = table.find(domain.empty() ? std::string(type)
                                            : std::string(domain) + ":" + std::string(type));
  return it == table.end() ? nullptr : it->second;
}

#define FOLDSTREAM_PASS(name) extern const Pass pass_##name;
#include "passes.inc"
#undef FOLDSTREAM_PASS

namespace {

constexpr const Pass* kPasses[] = {
#define FOLDSTREAM_PASS(name) &pass_##name,
#include "passes.inc"
#undef FOLDSTREAM_PASS
};

}  // namespace

std::span<const Pass* const> passes() { return kPasses; }

const Pass* find_pass(std::string_view name) {
  for (const Pass* pass : kPasses) {
    if (pass->name == name) return pass;
  }
  return nullptr;
}

bool run_pass(const Pass& pass, Graph& graph) {
  const bool changed = pass.run(graph);
  verify(graph);
  return changed;
}

const Tensor* OnnxNode::constant(size_t port) const {
  if (!has(port) || in[port].node->op->kind != Op::Kind::constant) return nullptr;
  return in[port].node->tensor("value");
}

}  // namespace foldstream
