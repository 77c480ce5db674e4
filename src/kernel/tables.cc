// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/tables.h"

#include <algorithm>

#include "src/kernel/pack.h"

namespace foldstream::kernel {
namespace {

// Writes vectors of results: elements straight, bits and trits by way of their codes.
class Out {
 public:
  explicit Out(const Storage& storage) : storage_(storage), routine_(pack_routine()) {}

  const Storage& storage() const { return storage_; }
  bool packs() const { return storage_.form == Form::bits || storage_.form == Form::trits; }
  int64_t scratch_bytes() const { return packs() ? storage_.length + 64 : 0; }
  void pack(const uint8_t* codes, std::byte* to) const {
    auto* words = reinterpret_cast<uint64_t*>(to);
    if (storage_.form == Form::bits) {
      routine_.bits(codes, storage_.length, 1, words);
    } else {
      routine_.trits(codes, storage_.length, words);
    }
  }

 private:
  Storage storage_;
  PackRoutine routine_;
};

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
      : out_(out), table_(entries<Element>(table, out.base)), shared_(table.size() == 256) {}

  int64_t scratch_bytes(int64_t) const override { return out_.scratch_bytes(); }

  void run(const KernelCall& call) const override {
    const auto* from = reinterpret_cast<const uint8_t*>(call.in[0]);
    const int64_t length = out_.storage().length, stride = out_.storage().stride();
    const int64_t vectors = call.frames * out_.storage().vectors;
    for (int64_t v = 0; v < vectors; ++v, from += length) {
      std::byte* vector = call.out[0] + v * stride;
      auto* to = reinterpret_cast<Element*>(out_.packs() ? call.scratch : vector);
      const Element* table = table_.data();
      const int64_t step = shared_ ? 0 : 256;
      for (int64_t i = 0; i < length; ++i, table += step) to[i] = table[from[i]];
      if (out_.packs()) out_.pack(reinterpret_cast<const uint8_t*>(to), vector);
    }
  }

 private:
  Out out_;
  std::vector<Element> table_;
  bool shared_;
};

template <class Element>
class PairTable final : public Kernel {
 public:
  PairTable(int64_t second_count, const std::vector<int64_t>& table, const Storage& out)
      : out_(out), table_(entries<Element>(table, out.base)), second_count_(second_count) {}

  int64_t scratch_bytes(int64_t) const override { return out_.scratch_bytes(); }

  void run(const KernelCall& call) const override {
    const auto* a = reinterpret_cast<const uint8_t*>(call.in[0]);
    const auto* b = reinterpret_cast<const uint8_t*>(call.in[1]);
    const int64_t length = out_.storage().length, stride = out_.storage().stride();
    const int64_t vectors = call.frames * out_.storage().vectors;
    for (int64_t v = 0; v < vectors; ++v, a += length, b += length) {
      std::byte* vector = call.out[0] + v * stride;
      auto* to = reinterpret_cast<Element*>(out_.packs() ? call.scratch : vector);
      for (int64_t i = 0; i < length; ++i) to[i] = table_[a[i] * second_count_ + b[i]];
      if (out_.packs()) out_.pack(reinterpret_cast<const uint8_t*>(to), vector);
    }
  }

 private:
  Out out_;
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
