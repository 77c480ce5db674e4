// SPDX-License-Identifier: Apache-2.0
#include "src/ir/text.h"

#include <fmt/compile.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "src/ir/op.h"
#include "src/ir/verify.h"
#include "src/util/error.h"
#include "src/util/names.h"

namespace foldstream {
namespace {

constexpr int kVersion = 1;

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

// Shortest text that reads back as the same number of its type and can't be taken for an integer.
template <typename Real>
void append_real(std::string& text, Real value) {
  const size_t start = text.size();
  fmt::format_to(std::back_inserter(text), FMT_COMPILE("{}"), value);
  if (text.find_first_not_of("-0123456789", start) == std::string::npos) text += ".0";
}

std::string print_real(double value) {
  std::string text;
  append_real(text, value);
  return text;
}

std::string print_attr(const Attr& attr) {
  if (const auto* integer = std::get_if<int64_t>(&attr)) return fmt::format("{}", *integer);
  if (const auto* real = std::get_if<double>(&attr)) return print_real(*real);
  if (const auto* text = std::get_if<std::string>(&attr)) return quote(*text);
  return fmt::format("[{}]", fmt::join(std::get<std::vector<int64_t>>(attr), ", "));
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Graph parse() {
    read_tensors();
    at_ = 0, line_ = 1;
    skip_blank();
    expect("foldstream");
    if (const int64_t version = integer(); version != kVersion) {
      fail(fmt::format("version {} of the text form, this program reads version {}", version,
                       kVersion));
    }
    Graph graph;
    skip_blank();
    expect("graph");
    graph.name = name();
    std::vector<Node*> nodes;
    const auto value = [&]() -> Value {
      expect("%");
      const int64_t index = integer();
      // Directly behind the index; after a space a colon opens the types.
      const bool has_port = at_ < text_.size() && text_[at_] == ':';
      const int64_t port = has_port && accept(":") ? integer() : 0;
      if (index < 0 || index >= static_cast<int64_t>(nodes.size()))
        fail(fmt::format("%{} is not defined above", index));
      if (port < 0 || port >= static_cast<int64_t>(nodes[index]->out.size())) {
        fail(fmt::format("%{} has no result {}", index, port));
      }
      return {nodes[index], static_cast<int>(port)};
    };
    for (skip_blank(); at_ < text_.size(); skip_blank()) {
      if (accept("@")) {
        skip_line();
        continue;
      } else if (accept("output")) {
        std::string of_output = name();
        graph.outputs.push_back({std::move(of_output), value()});
      } else {
        expect("%");
        if (integer() != static_cast<int64_t>(nodes.size()))
          fail(fmt::format("expected node %{}", nodes.size()));
        std::string of_node = name();
        expect("=");
        const std::string_view op_name = word();
        const Op* op = find_op(op_name);
        if (op == nullptr) fail(fmt::format("no operator is called '{}'", op_name));
        std::vector<Value> in;
        if (peek() == '%') {
          do in.push_back(value());
          while (accept(","));
        }
        std::map<std::string, Attr, std::less<>> attrs;
        if (accept("{")) {
          do {
            std::string key(word());
            expect("=");
            attrs[key] = attr();
          } while (accept(","));
          expect("}");
        }
        std::map<std::string, Tensor, std::less<>> data;
        if (accept("(")) {
          do {
            std::string key(word());
            expect("=");
            expect("@");
            const auto tensor = tensors_.find(integer());
            if (tensor == tensors_.end())
              fail(fmt::format("the tensor of '{}' is not defined", key));
            data[key] = tensor->second;
          } while (accept(","));
          expect(")");
        }
        Node* node = nullptr;
        try {
          node =
              &graph.add(*op, std::move(in), std::move(of_node), std::move(attrs), std::move(data));
        } catch (const Error& error) {
          throw Error(fmt::format("line {}: {}", line_, error.what()), error.help());
        }
        nodes.push_back(node);
        expect(":");
        for (size_t i = 0; i < node->out.size(); ++i) {
          if (i > 0) expect(",");
          Type found = parse_type();
          if (found != node->out[i]) {
            fail(fmt::format("the type is {}, not {}", to_string(node->out[i]), to_string(found)));
          }
        }
      }
      end_line();
    }
    verify(graph);
    return graph;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(fmt::format("line {}: {}", line_, message), "docs/ir.md specifies the text form");
  }

  // Tensors stand at the end but nodes need them to be inferred, so they are read first.
  void read_tensors() {
    while (at_ < text_.size()) {
      skip_blank();
      if (!accept("@")) {
        skip_line();
        continue;
      }
      const int64_t index = integer();
      expect("=");
      Type type = parse_type();
      const int64_t count = type.count();
      // Every element takes two characters at least, which bounds what a hostile header can
      // reserve.
      if (count > static_cast<int64_t>(text_.size() - at_))
        fail(fmt::format("{} elements are missing", count));
      Tensor tensor = make_zero(type);
      for (int64_t i = 0; i < count; ++i) {
        if (type.is_float) {
          tensor.reals[i] = type.bits == 32 ? real<float>() : real<double>();
        } else {
          tensor.ints[i] = integer();
          if (tensor.ints[i] < type.min() || tensor.ints[i] > type.max()) {
            fail(fmt::format("element {} is outside {}", tensor.ints[i], element_name(type)));
          }
        }
      }
      if (!tensors_.emplace(index, std::move(tensor)).second)
        fail(fmt::format("@{} is defined twice", index));
      end_line();
    }
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }
  void skip_line() {
    at_ = std::min(text_.find('\n', at_), text_.size());
    if (at_ < text_.size()) ++at_, ++line_;
  }
  void skip_blank() {  // blank lines and comments
    for (;;) {
      skip_space();
      if (at_ >= text_.size() || (text_[at_] != '\n' && text_[at_] != '#')) return;
      skip_line();
    }
  }
  void end_line() {
    skip_space();
    if (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '#') {
      fail(fmt::format("'{}' is left over",
                       text_.substr(at_, std::min<size_t>(20, text_.find('\n', at_) - at_))));
    }
    skip_line();
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(std::string_view token) {
    skip_space();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!accept(token)) fail(fmt::format("expected '{}'", token));
  }
  std::string_view word() {
    skip_space();
    const size_t start = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
      ++at_;
    if (at_ == start) fail("expected a name");
    return text_.substr(start, at_ - start);
  }
  std::string_view number() {
    skip_space();
    const size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
                                  text_[at_] == '-' || text_[at_] == '+' || text_[at_] == '.')) {
      ++at_;
    }
    return text_.substr(start, at_ - start);
  }
  int64_t integer() {
    skip_space();
    int64_t value = 0;
    const auto [rest, error] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) fail("expected an integer");
    at_ = rest - text_.data();
    return value;
  }
  template <typename Real>
  Real real() {
    const std::string_view text = number();
    Real value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || rest != text.data() + text.size()) fail("expected a real number");
    return value;
  }
  std::string quoted() {
    expect("\"");
    std::string out;
    for (;; ++at_) {
      if (at_ >= text_.size() || text_[at_] == '\n') fail("a quotation mark is missing");
      char c = text_[at_];
      if (c == '"') break;
      if (c == '\\') {
        c = ++at_ < text_.size() ? text_[at_] : '\0';
        if (c == 'x') {
          unsigned byte = 0;
          const size_t end = std::min(at_ + 3, text_.size());
          const auto [rest, error] =
              std::from_chars(text_.data() + at_ + 1, text_.data() + end, byte, 16);
          if (error != std::errc() || rest != text_.data() + at_ + 3)
            fail("expected two digits after \\x");
          at_ += 2;
          c = static_cast<char>(byte);
        } else if (c != '"' && c != '\\') {
          fail("expected \\\", \\\\ or \\x");
        }
      }
      out += c;
    }
    ++at_;
    return out;
  }
  std::string name() {
    std::string text = quoted();
    const std::string unfit = unfit_name(text);
    if (!unfit.empty()) fail(fmt::format("a name holds {}", unfit));
    return text;
  }
  Attr attr() {
    const char c = peek();
    if (c == '"') return quoted();
    if (c == '[') {
      std::vector<int64_t> values;
      expect("[");
      if (accept("]")) return values;
      do values.push_back(integer());
      while (accept(","));
      expect("]");
      return values;
    }
    const size_t start = at_;
    const std::string_view text = number();
    at_ = start;
    const size_t digits = !text.empty() && text[0] == '-' ? 1 : 0;
    if (digits < text.size() &&
        text.find_first_not_of("0123456789", digits) == std::string_view::npos)
      return integer();
    return real<double>();
  }
  Type parse_type() {
    Type type = parse_element(word());
    expect("[");
    if (accept("]")) return type;
    constexpr int64_t kMostElements = int64_t{1} << 34;
    int64_t count = 1;
    do {
      type.shape.push_back(integer());
      if (type.shape.back() < 0 ||
          type.shape.back() > kMostElements / std::max<int64_t>(1, count)) {
        fail(fmt::format("dimension {} is out of range", type.shape.back()));
      }
      count *= std::max<int64_t>(1, type.shape.back());
    } while (accept(","));
    expect("]");
    return type;
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  std::unordered_map<int64_t, Tensor> tensors_;
};

}  // namespace

std::string print(const Graph& graph) {
  std::string text = fmt::format("foldstream {}\ngraph {}\n", kVersion, quote(graph.name));
  std::unordered_map<const Node*, size_t> index;
  std::vector<const Tensor*> tensors;
  const auto tensor_index = [&](const Tensor& tensor) {
    size_t i = 0;
    while (i < tensors.size() && !(*tensors[i] == tensor)) ++i;
    if (i == tensors.size()) tensors.push_back(&tensor);
    return i;
  };
  const auto value = [&](const Value& v) {
    const size_t i = index.at(v.node);
    return v.port == 0 ? fmt::format("%{}", i) : fmt::format("%{}:{}", i, v.port);
  };
  for (const Node& node : graph.nodes) {
    index.emplace(&node, index.size());
    text += fmt::format("%{} {} = {}", index.at(&node), quote(node.name), node.op->name);
    for (size_t i = 0; i < node.in.size(); ++i) text += (i == 0 ? " " : ", ") + value(node.in[i]);
    const char* separator = " {";
    for (const auto& [key, attr] : node.attr) {
      text += fmt::format("{}{}={}", separator, key, print_attr(attr));
      separator = ", ";
    }
    if (!node.attr.empty()) text += "}";
    separator = " (";
    for (const auto& [key, tensor] : node.data) {
      text += fmt::format("{}{}=@{}", separator, key, tensor_index(tensor));
      separator = ", ";
    }
    if (!node.data.empty()) text += ")";
    for (size_t i = 0; i < node.out.size(); ++i)
      text += (i == 0 ? " : " : ", ") + to_string(node.out[i]);
    text += "\n";
  }
  for (const Output& output : graph.outputs) {
    text += fmt::format("output {} {}\n", quote(output.name), value(output.value));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Type& type = tensors[i]->type;
    text += fmt::format("@{} = {}", i, to_string(type));
    for (const int64_t v : tensors[i]->ints) {
      fmt::format_to(std::back_inserter(text), FMT_COMPILE(" {}"), v);
    }
    for (const double v : tensors[i]->reals) {
      text += ' ';
      if (type.bits == 32) {
        append_real(text, static_cast<float>(v));
      } else {
        append_real(text, v);
      }
    }
    text += '\n';
  }
  return text;
}

Graph parse(std::string_view text) { return Parser(text).parse(); }

}  // namespace foldstream
