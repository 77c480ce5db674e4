// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/convert.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "src/ir/permute.h"
#include "src/kernel/byte_moves.h"
#include "src/kernel/codes.h"
#include "src/util/error.h"

namespace foldstream::kernel {
namespace {

template <class Element>
void widen(const std::byte* from, int64_t count, int64_t base, int64_t* to) {
  const auto* elements = reinterpret_cast<const Element*>(from);
  for (int64_t i = 0; i < count; ++i) to[i] = base + elements[i];
}

template <class Element>
void narrow(const int64_t* from, int64_t count, int64_t base, std::byte* to) {
  auto* elements = reinterpret_cast<Element*>(to);
  for (int64_t i = 0; i < count; ++i) elements[i] = static_cast<Element>(from[i] - base);
}

int64_t element_bytes(Form form) {
  switch (form) {
    case Form::bytes:
      return 1;
    case Form::words:
    case Form::floats:
      return 4;
    case Form::longs:
      return 8;
    default:
      return 0;
  }
}

class Convert final : public Kernel {
 public:
  Convert(const Storage& from, const Storage& to) : from_(from), to_(to) {}

  int64_t scratch_bytes(int64_t) const override {
    return from_.vectors * from_.length * static_cast<int64_t>(sizeof(int64_t));
  }

  void run(const KernelCall& call) const override {
    auto* values = reinterpret_cast<int64_t*>(call.scratch);
    for (int64_t f = 0; f < call.frames; ++f) {
      unpack(from_, call.in[0] + f * from_.bytes(), from_.vectors, values);
      pack(to_, values, to_.vectors, call.out[0] + f * to_.bytes());
    }
  }

 private:
  Storage from_, to_;
};

// Bytes and their difference from the base are the same in both; vectors of the same length.
class PackBytes final : public Kernel {
 public:
  PackBytes(const Storage& from, const Storage& to)
      : to_(to), routine_(pack_routine()), set_(static_cast<uint8_t>(to.base - from.base + 1)) {}

  void run(const KernelCall& call) const override {
    const int64_t vectors = call.frames * to_.vectors;
    for (int64_t v = 0; v < vectors; ++v) {
      routine_.bits(reinterpret_cast<const uint8_t*>(call.in[0]) + v * to_.length, to_.length, set_,
                    reinterpret_cast<uint64_t*>(call.out[0] + v * to_.stride()));
    }
  }

 private:
  Storage to_;
  PackRoutine routine_;
  uint8_t set_;
};

class Pad final : public Kernel {
 public:
  Pad(const Storage& from, const window::Geometry& g) : from_(from), to_(padded(from, g)), g_(g) {
    Storage pixel = from;
    pixel.vectors = 1;
    pixel_.resize(pixel.stride());
    pack(pixel, std::vector<int64_t>(from.length, g.pad_value).data(), 1, pixel_.data());
  }

  void run(const KernelCall& call) const override {
    const int64_t stride = from_.stride();
    const int64_t width = g_.columns.size, height = g_.rows.size;
    std::byte* to = call.out[0];
    const std::byte* from = call.in[0];
    const auto fill = [&](int64_t pixels) {
      for (int64_t i = 0; i < pixels; ++i, to += stride) {
        std::memcpy(to, pixel_.data(), static_cast<size_t>(stride));
      }
    };
    const int64_t padded_width = g_.columns.before + width + g_.columns.after;
    for (int64_t image = 0; image < call.frames * g_.images; ++image) {
      fill(g_.rows.before * padded_width);
      for (int64_t row = 0; row < height; ++row) {
        fill(g_.columns.before);
        std::memcpy(to, from, static_cast<size_t>(width * stride));
        to += width * stride, from += width * stride;
        fill(g_.columns.after);
      }
      fill(g_.rows.after * padded_width);
    }
  }

 private:
  Storage from_, to_;
  window::Geometry g_;
  std::vector<std::byte> pixel_;
};

template <class Element>
class Permute final : public Kernel {
 public:
  // Neighbours of the result are `step` elements apart in the operand; rows of them begin at
  // `rows`.
  Permute(const Shape& shape, const std::vector<int64_t>& order) : count_(element_count(shape)) {
    const auto rank = static_cast<int64_t>(shape.size());
    std::vector<int64_t> steps(rank, 1), place(rank, 0);
    for (int64_t d = rank - 1; d-- > 0;) steps[d] = steps[d + 1] * shape[d + 1];
    run_ = rank == 0 ? 1 : shape[order.back()];
    step_ = rank == 0 ? 1 : steps[order.back()];
    for (int64_t row = 0; row < count_ / std::max<int64_t>(run_, 1); ++row) {
      int64_t offset = 0;
      for (int64_t d = 0; d + 1 < rank; ++d) offset += place[d] * steps[order[d]];
      rows_.push_back(offset);
      for (int64_t d = rank - 1; d-- > 0;) {
        if (++place[d] < shape[order[d]]) break;
        place[d] = 0;
      }
    }
    // Short rows at even distances: taken by their first elements, then their second ...
    constexpr int64_t kShort = 16;
    const auto rows = static_cast<int64_t>(rows_.size());
    row_step_ = rows > 1 ? rows_[1] : 1;
    by_columns_ = run_ < kShort;
    for (int64_t row = 0; row < rows; ++row) {
      by_columns_ = by_columns_ && rows_[row] == row * row_step_;
    }
    interleaves_ = sizeof(Element) == 1 && by_columns_ && row_step_ == 1 && run_ >= 2 && run_ <= 4;
  }

  void run(const KernelCall& call) const override {
    const auto* __restrict from = reinterpret_cast<const Element*>(call.in[0]);
    auto* __restrict to = reinterpret_cast<Element*>(call.out[0]);
    for (int64_t f = 0; f < call.frames; ++f, from += count_) {
      const auto rows = static_cast<int64_t>(rows_.size());
      if constexpr (sizeof(Element) == 1) {
        if (interleaves_) {
          routine_.interleave(from, step_, run_, rows, to);
          to += count_;
          continue;
        }
      }
      if (by_columns_) {
        const int64_t run = run_, row_step = row_step_;
        for (int64_t i = 0; i < run; ++i) {
          const Element* column = from + i * step_;
          for (int64_t row = 0; row < rows; ++row) to[row * run + i] = column[row * row_step];
        }
        to += count_;
        continue;
      }
      for (const int64_t row : rows_) {
        for (int64_t i = 0; i < run_; ++i) to[i] = from[row + i * step_];
        to += run_;
      }
    }
  }

 private:
  int64_t count_, run_ = 1, step_ = 1, row_step_ = 1;
  bool by_columns_ = false, interleaves_ = false;
  std::vector<int64_t> rows_;
  ByteMovesRoutine routine_ = byte_moves_routine();
};

class Lookup final : public Kernel {
 public:
  Lookup(const std::vector<double>& table, const Storage& to)
      : store_(to), routine_(byte_moves_routine()) {
    for (int64_t i = 0; i < 256; ++i) {
      table_[i] = static_cast<uint8_t>(static_cast<int64_t>(table[i]) - to.base);
    }
  }

  int64_t scratch_bytes(int64_t) const override { return store_.scratch_bytes(); }

  void run(const KernelCall& call) const override {
    const auto* bytes = reinterpret_cast<const uint8_t*>(call.in[0]);
    store_.each_run(call, [&](int64_t first, int64_t count, std::byte* codes) {
      routine_.look_up(table_, bytes + first, count, reinterpret_cast<uint8_t*>(codes));
    });
  }

 private:
  CodeStore store_;
  ByteMovesRoutine routine_;
  uint8_t table_[256];
};

template <class Element>
class WideLookup final : public Kernel {
 public:
  WideLookup(const std::vector<double>& table, const Storage& to) : count_(to.vectors * to.length) {
    for (int64_t i = 0; i < 256; ++i) table_[i] = static_cast<Element>(table[i]);
  }

  void run(const KernelCall& call) const override {
    const auto* from = reinterpret_cast<const uint8_t*>(call.in[0]);
    auto* to = reinterpret_cast<Element*>(call.out[0]);
    for (int64_t i = 0; i < call.frames * count_; ++i) to[i] = table_[from[i]];
  }

 private:
  int64_t count_;
  Element table_[256];
};

// A table of one step up: a comparison.
class Step final : public Kernel {
 public:
  Step(uint8_t first, const Storage& to) : to_(to), routine_(pack_routine()), first_(first) {}

  void run(const KernelCall& call) const override {
    const auto* from = reinterpret_cast<const uint8_t*>(call.in[0]);
    const int64_t vectors = call.frames * to_.vectors;
    for (int64_t v = 0; v < vectors; ++v, from += to_.length) {
      routine_.bits(from, to_.length, first_,
                    reinterpret_cast<uint64_t*>(call.out[0] + v * to_.stride()));
    }
  }

 private:
  Storage to_;
  PackRoutine routine_;
  uint8_t first_;
};

}  // namespace

void unpack(const Storage& s, const std::byte* from, int64_t vectors, int64_t* to) {
  const int64_t count = vectors * s.length;
  switch (s.form) {
    case Form::bytes:
      return widen<uint8_t>(from, count, s.base, to);
    case Form::words:
      return widen<int32_t>(from, count, 0, to);
    case Form::longs:
      return widen<int64_t>(from, count, 0, to);
    case Form::bits:
    case Form::trits:
      break;
    case Form::floats:
      FOLDSTREAM_CHECK(s.form != Form::floats);
  }
  for (int64_t v = 0; v < vectors; ++v, to += s.length) {
    const auto* words = reinterpret_cast<const uint64_t*>(from + v * s.stride());
    for (int64_t i = 0; i < s.length; ++i) {
      const auto bit = [&](int64_t word) {
        return static_cast<int64_t>(words[word] >> (i % 64) & 1);
      };
      // Trits: not the middle and not the lowest is the highest.
      to[i] = s.form == Form::bits ? s.base + bit(i / 64)
                                   : s.base + 1 + bit(i / 64 * 2) - 2 * bit(i / 64 * 2 + 1);
    }
  }
}

void pack(const Storage& s, const int64_t* from, int64_t vectors, std::byte* to) {
  const int64_t count = vectors * s.length;
  switch (s.form) {
    case Form::bytes:
      return narrow<uint8_t>(from, count, s.base, to);
    case Form::words:
      return narrow<int32_t>(from, count, 0, to);
    case Form::longs:
      return narrow<int64_t>(from, count, 0, to);
    case Form::bits:
    case Form::trits:
      break;
    case Form::floats:
      FOLDSTREAM_CHECK(s.form != Form::floats);
  }
  const int64_t planes = s.form == Form::bits ? 1 : 2;
  for (int64_t v = 0; v < vectors; ++v, from += s.length) {
    auto* words = reinterpret_cast<uint64_t*>(to + v * s.stride());
    std::fill_n(words, s.stride() / 8, 0);
    for (int64_t i = 0; i < s.length; ++i) {
      const int64_t code = from[i] - s.base;
      const uint64_t first = planes == 1 ? code != 0 : code != 1;
      words[i / 64 * planes] |= first << (i % 64);
      if (planes == 2) words[i / 64 * 2 + 1] |= static_cast<uint64_t>(code == 0) << (i % 64);
    }
  }
}

void store(const Tensor& tensor, const Storage& storage, std::byte* to) {
  if (storage.form == Form::floats) {
    auto* floats = reinterpret_cast<float*>(to);
    for (const double real : tensor.reals) *floats++ = static_cast<float>(real);
  } else {
    pack(storage, tensor.ints.data(), storage.vectors, to);
  }
}

void load(const Storage& storage, const std::byte* from, Tensor& tensor) {
  if (storage.form == Form::floats) {
    std::copy_n(reinterpret_cast<const float*>(from), tensor.count(), tensor.reals.begin());
  } else {
    unpack(storage, from, storage.vectors, tensor.ints.data());
  }
}

Form dense_form(Range range) {
  const bool fits = range.lo >= std::numeric_limits<int32_t>::min() &&
                    range.hi <= std::numeric_limits<int32_t>::max();
  if (!fits) return Form::longs;
  return range.hi - range.lo <= 255 ? Form::bytes : Form::words;
}

Storage storage_of(Form form, Range range, const Shape& shape) {
  const int64_t length = shape.empty() ? 1 : shape.back();
  Storage storage{form, 0, element_count(shape) / std::max<int64_t>(length, 1), length};
  const bool unsigned_bytes = form == Form::bytes && range.lo >= 0 && range.hi <= 255;
  if (form <= Form::bytes && !unsigned_bytes) storage.base = range.lo;
  return storage;
}

bool same_bytes(const Storage& a, const Storage& b) {
  if (a == b) return true;
  if (a.form != b.form || a.base != b.base || a.vectors * a.length != b.vectors * b.length) {
    return false;
  }
  if (element_bytes(a.form) != 0) return true;
  return a.length % 64 == 0 && b.length % 64 == 0;  // no vector ends within a word
}

std::unique_ptr<Kernel> make_convert(const Storage& from, const Storage& to) {
  if (from.form == Form::bytes && to.form == Form::bits && from.length == to.length &&
      to.base >= from.base && to.base - from.base < 255) {
    return std::make_unique<PackBytes>(from, to);
  }
  return std::make_unique<Convert>(from, to);
}

Storage padded(const Storage& frame, const window::Geometry& g) {
  Storage storage = frame;
  storage.vectors = g.images * (g.rows.before + g.rows.size + g.rows.after) *
                    (g.columns.before + g.columns.size + g.columns.after);
  return storage;
}

std::unique_ptr<Kernel> make_pad(const Storage& from, const window::Geometry& geometry) {
  return std::make_unique<Pad>(from, geometry);
}

std::unique_ptr<Kernel> make_permute(const Storage& from, const Shape& shape,
                                     const std::vector<int64_t>& order) {
  switch (element_bytes(from.form)) {
    case 1:
      return std::make_unique<Permute<uint8_t>>(shape, order);
    case 4:
      return std::make_unique<Permute<uint32_t>>(shape, order);
    case 8:
      return std::make_unique<Permute<uint64_t>>(shape, order);
    default:
      return nullptr;
  }
}

std::unique_ptr<Kernel> make_lookup(const std::vector<double>& table, const Storage& to) {
  FOLDSTREAM_CHECK(table.size() == 256);
  switch (to.form) {
    case Form::words:
      return std::make_unique<WideLookup<int32_t>>(table, to);
    case Form::longs:
      return std::make_unique<WideLookup<int64_t>>(table, to);
    case Form::floats:
      return std::make_unique<WideLookup<float>>(table, to);
    default:
      break;
  }
  if (to.form == Form::bits) {
    const auto base = static_cast<double>(to.base);
    const auto first = std::find(table.begin(), table.end(), base + 1);
    const bool is_step = first != table.end() && first != table.begin() &&
                         std::all_of(first, table.end(), [&](double v) { return v > base; });
    if (is_step) {
      return std::make_unique<Step>(static_cast<uint8_t>(first - table.begin()), to);
    }
  }
  return std::make_unique<Lookup>(table, to);
}

}  // namespace foldstream::kernel
