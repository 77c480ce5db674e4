// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/tables.h"

#include "src/kernel/codes.h"

namespace foldstream::kernel {
namespace {

template <class Element>
std::vector<Element> entries(const std::vector<int64_t>& table, int64_t base) {
  std::vector<Element> result;
  for (const int64_t value : table) result.push_back(static_cast<Element>(value - base));
  return result;
}

template <class Element>
class Table final : public Kernel {
 public:
  Table(const std::vector<int64_t>& table, const Storage& out)
      : store_(out), table_(entries<Element>(table, out.base)), shared_(table.size() == 256) {}

  int64_t scratch_bytes(int64_t) const override { return store_.scratch_bytes(); }

  void run(const KernelCall& call) const override {
    const auto* bytes = reinterpret_cast<const uint8_t*>(call.in[0]);
    const int64_t length = store_.storage().length, step = shared_ ? 0 : 256;
    store_.each_vector(call, [&](int64_t v, std::byte* codes) {
      const uint8_t* from = bytes + v * length;
      auto* to = reinterpret_cast<Element*>(codes);
      const Element* table = table_.data();
      for (int64_t i = 0; i < length; ++i, table += step) to[i] = table[from[i]];
    });
  }

 private:
  CodeStore store_;
  std::vector<Element> table_;
  bool shared_;
};

template <class Element>
class PairTable final : public Kernel {
 public:
  PairTable(int64_t second_count, const std::vector<int64_t>& table, const Storage& out)
      : store_(out), table_(entries<Element>(table, out.base)), second_count_(second_count) {}

  int64_t scratch_bytes(int64_t) const override { return store_.scratch_bytes(); }

  void run(const KernelCall& call) const override {
    const auto* a = reinterpret_cast<const uint8_t*>(call.in[0]);
    const auto* b = reinterpret_cast<const uint8_t*>(call.in[1]);
    store_.each_run(call, [&](int64_t first, int64_t count, std::byte* codes) {
      auto* to = reinterpret_cast<Element*>(codes);
      for (int64_t i = 0; i < count; ++i) {
        to[i] = table_[a[first + i] * second_count_ + b[first + i]];
      }
    });
  }

 private:
  CodeStore store_;
  std::vector<Element> table_;
  int64_t second_count_;
};

// By the width of a stored element.
template <template <class> class Of, class... Args>
std::unique_ptr<Kernel> make_of(Form form, const Args&... args) {
  switch (form) {
    case Form::words:
      return std::make_unique<Of<int32_t>>(args...);
    case Form::longs:
      return std::make_unique<Of<int64_t>>(args...);
    case Form::floats:
      return nullptr;
    default:
      return std::make_unique<Of<uint8_t>>(args...);
  }
}

}  // namespace

std::unique_ptr<Kernel> make_table(const Storage& in, const std::vector<int64_t>& table,
                                   const Storage& out) {
  if (in.length != out.length || in.vectors != out.vectors) return nullptr;
  return make_of<Table>(out.form, table, out);
}

std::unique_ptr<Kernel> make_pair_table(int64_t second_count, const std::vector<int64_t>& table,
                                        const Storage& out) {
  return make_of<PairTable>(out.form, second_count, table, out);
}

}  // namespace foldstream::kernel
