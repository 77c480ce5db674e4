// SPDX-License-Identifier: Apache-2.0
#include "src/data/unsw_nb15.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string_view>

#include "src/data/gzip.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr int kNumberBits = 8;
constexpr std::string_view kTextColumns[] = {"proto", "service", "state"};
constexpr std::string_view kLabel = "label";
// Names of a row, and what an attack is called: no features.
constexpr std::string_view kIgnored[] = {"id", "attack_cat"};

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  for (;;) {
    const size_t comma = line.find(',');
    cells.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

// The file's rows; cells are parts of `text`.
struct Table {
  std::string path, text;
  std::vector<std::string_view> columns;
  std::vector<std::vector<std::string_view>> rows;

  double number(size_t row, size_t column) const {
    const std::string_view cell = rows[row][column];
    double value = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error != std::errc() || end != cell.data() + cell.size() || !(value >= 0) ||
        !std::isfinite(value)) {
      throw Error(fmt::format("'{}', line {}: '{}' is '{}', expected a number from 0", path,
                              row + 2, columns[column], cell));
    }
    return value;
  }
};

void read_table(const std::filesystem::path& path, Table& table) {
  table.path = path.string();
  table.text = read_maybe_gzip(path, std::numeric_limits<int32_t>::max());
  std::string_view rest = table.text;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);  // a byte order mark
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    std::vector<std::string_view> cells = cells_of(line);
    if (number == 1) {
      table.columns = std::move(cells);
      continue;
    }
    if (cells.size() != table.columns.size()) {
      throw Error(fmt::format("'{}', line {}: found {} cells, expected {}", table.path, number,
                              cells.size(), table.columns.size()));
    }
    table.rows.push_back(std::move(cells));
  }
  for (const std::string_view needed :
       {kTextColumns[0], kTextColumns[1], kTextColumns[2], kLabel}) {
    const auto found = std::count(table.columns.begin(), table.columns.end(), needed);
    if (found != 1) {
      throw Error(fmt::format("'{}' has {} columns '{}', expected 1", table.path, found, needed),
                  "use the CSV files of the published training and testing partition");
    }
  }
}

float scaled_logarithm(double value, double most) {
  constexpr double kLevels = (1 << kNumberBits) - 1;
  if (most <= 0) return 0;
  return static_cast<float>(
      std::floor(std::min(1.0, std::log1p(value) / std::log1p(most)) * kLevels));
}

}  // namespace

std::string unsw_nb15_file(Split split) {
  return split == Split::train ? "UNSW_NB15_training-set.csv" : "UNSW_NB15_testing-set.csv";
}

DataSet load_unsw_nb15(const std::filesystem::path& folder, int64_t limit, Split split) {
  Table training, wanted;
  read_table(folder / unsw_nb15_file(Split::train), training);
  if (split == Split::test) read_table(folder / unsw_nb15_file(split), wanted);
  const Table& table = split == Split::train ? training : wanted;
  if (table.columns != training.columns) {
    throw Error(fmt::format("'{}' and '{}' have different columns", table.path, training.path));
  }

  // What the training file knows of each column: the values of texts, the largest number.
  const size_t columns = training.columns.size();
  std::vector<std::vector<std::string_view>> values(columns);
  std::vector<double> most(columns, 0);
  DataSet set{.name = "unsw-nb15",
              .count = static_cast<int64_t>(table.rows.size()),
              .shape = {0},
              .bytes = {},
              .floats = {},
              .labels = {}};
  for (size_t c = 0; c < columns; ++c) {
    const std::string_view name = training.columns[c];
    if (is_one_of(name, kIgnored) || name == kLabel) continue;
    if (is_one_of(name, kTextColumns)) {
      std::set<std::string_view> known;
      for (const auto& row : training.rows) known.insert(row[c]);
      values[c].assign(known.begin(), known.end());
      set.shape[0] += static_cast<int64_t>(known.size());
    } else {
      for (size_t r = 0; r < training.rows.size(); ++r) {
        most[c] = std::max(most[c], training.number(r, c));
      }
      set.shape[0] += kNumberBits;
    }
  }
  if (set.shape[0] > kUnswNb15Features) {
    throw Error(fmt::format("'{}' makes {} features, expected at most {}", training.path,
                            set.shape[0], kUnswNb15Features));
  }
  const int64_t rest = kUnswNb15Features - set.shape[0];
  set.shape[0] = kUnswNb15Features;
  if (limit > 0) set.count = std::min(set.count, limit);

  // The files are sorted by kind; a stride that shares no factor with their length mixes them.
  const auto rows = static_cast<int64_t>(table.rows.size());
  constexpr int64_t kStride = 1000003;  // prime
  if (rows % kStride == 0) throw Error(fmt::format("'{}' has {} rows", table.path, rows));
  for (int64_t i = 0; i < set.count; ++i) {
    const auto r = static_cast<size_t>(i * kStride % rows);
    for (size_t c = 0; c < columns; ++c) {
      const std::string_view name = table.columns[c];
      if (is_one_of(name, kIgnored)) continue;
      if (name == kLabel) {
        set.labels.push_back(table.number(r, c) > 0 ? 1 : 0);
      } else if (is_one_of(name, kTextColumns)) {
        for (const std::string_view value : values[c]) {
          set.floats.push_back(table.rows[r][c] == value ? 1.0F : 0.0F);
        }
      } else {
        const auto code = static_cast<int>(scaled_logarithm(table.number(r, c), most[c]));
        for (int bit = 0; bit < kNumberBits; ++bit) {
          set.floats.push_back(static_cast<float>(code >> bit & 1));
        }
      }
    }
    set.floats.insert(set.floats.end(), rest, 0.0F);
  }
  return set;
}

}  // namespace foldstream
