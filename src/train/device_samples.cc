// SPDX-License-Identifier: Apache-2.0
#include "src/train/device_samples.h"

#include <algorithm>
#include <vector>

#include "src/util/error.h"

namespace foldstream::train {
namespace {

// The columns of `changes`; the points of a warp are the last.
enum Column : int64_t { kDown, kRight, kYy, kYx, kXy, kXx, kWarp };

torch::Tensor copied(const void* values, std::vector<int64_t> shape, torch::ScalarType type) {
  // from_blob wants a pointer to what it could write; it is only read here.
  return torch::from_blob(const_cast<void*>(values), shape, torch::dtype(type)).clone();
}

}  // namespace

DeviceSamples::DeviceSamples(const DataSet& data, double divisor, const Shape& input,
                             const Augmentation& augment, const torch::Device& device,
                             const KernelRunner* runner)
    : divisor_(divisor), input_(input), augment_(augment), runner_(runner) {
  std::vector<int64_t> shape = {data.count};
  shape.insert(shape.end(), data.shape.begin(), data.shape.end());
  samples_ = (data.bytes.empty() ? copied(data.floats.data(), shape, torch::kFloat)
                                 : copied(data.bytes.data(), shape, torch::kByte))
                 .to(device);
  labels_ = copied(data.labels.data(), {data.count}, torch::kLong).to(device);
  if (data.shape.size() == 3) {
    rows_ = torch::arange(data.shape[1], torch::kFloat).to(device);
    columns_ = torch::arange(data.shape[2], torch::kFloat).to(device);
    const auto shares = [&](int64_t size) {
      const std::vector<float> values = warp_shares(size);
      return copied(values.data(), {size, kWarpPoints}, torch::kFloat).to(device);
    };
    warp_down_ = shares(data.shape[1]);
    warp_across_ = shares(data.shape[2]);
  }
}

torch::Tensor DeviceSamples::changes(int64_t count, Random& random) const {
  if (!augment_.any()) return {};
  const int64_t width = kWarp + (augment_.warp > 0 ? 2 * kWarpPoints * kWarpPoints : 0);
  torch::Tensor all = torch::empty({count, width});
  float* row = all.data_ptr<float>();
  for (int64_t i = 0; i < count; ++i, row += width) {
    const Change change(augment_, random);
    row[kDown] = static_cast<float>(change.down);
    row[kRight] = static_cast<float>(change.right);
    row[kYy] = change.yy;
    row[kYx] = change.yx;
    row[kXy] = change.xy;
    row[kXx] = change.xx;
    std::copy(change.warp.begin(), change.warp.end(), row + kWarp);
  }
  return all;
}

torch::Tensor DeviceSamples::all_changes() const {
  const int64_t size = 2 * augment_.shift + 1;
  torch::Tensor all = torch::zeros({augment_.whole_changes(), kWarp});
  float* row = all.data_ptr<float>();
  for (int64_t i = 0; i < all.size(0); ++i, row += kWarp) {
    const int64_t mirrored = i / (size * size), place = i % (size * size);
    row[kDown] = static_cast<float>(place / size - augment_.shift);
    row[kRight] = static_cast<float>(place % size - augment_.shift);
    row[kYy] = 1;
    row[kXx] = mirrored == 1 ? -1.0F : 1.0F;
  }
  return all.to(samples_.device());
}

torch::Tensor DeviceSamples::change_numbers(const torch::Tensor& changes) const {
  const int64_t size = 2 * augment_.shift + 1;
  const auto column = [&](Column which) { return changes.select(1, which); };
  const torch::Tensor line = column(kXx).lt(0).to(torch::kFloat) * size + column(kDown);
  return ((line + augment_.shift) * size + column(kRight) + augment_.shift).to(torch::kLong);
}

torch::Tensor DeviceSamples::batch(const torch::Tensor& indices,
                                   const torch::Tensor& changes) const {
  torch::Tensor x;
  if (runner_ != nullptr && samples_.dim() == 4 && samples_.scalar_type() == torch::kByte &&
      augment_.whole_pixels()) {
    x = moved_at_once(indices, changes);
  } else {
    x = samples_.index_select(0, indices).to(torch::kFloat) / divisor_;
    if (changes.defined()) x = moved(x, changes);
  }
  std::vector<int64_t> shape = {indices.size(0)};
  shape.insert(shape.end(), input_.begin(), input_.end());
  return x.reshape(shape);
}

torch::Tensor DeviceSamples::moved_at_once(const torch::Tensor& indices,
                                           const torch::Tensor& changes) const {
  std::vector<int64_t> shape = samples_.sizes().vec();
  shape[0] = indices.size(0);
  const torch::Tensor x =
      torch::empty(shape, torch::dtype(torch::kFloat).device(samples_.device()));
  SamplesWork work = {};
  work.samples = samples_.data_ptr<uint8_t>();
  work.indices = reinterpret_cast<const long long*>(indices.data_ptr<int64_t>());
  if (changes.defined()) {
    work.changes = changes.data_ptr<float>();
    work.columns = static_cast<int>(changes.size(1));
  }
  work.out = x.data_ptr<float>();
  work.images = shape[0];
  work.channels = static_cast<int>(shape[1]);
  work.height = static_cast<int>(shape[2]);
  work.width = static_cast<int>(shape[3]);
  work.down = kDown;
  work.right = kRight;
  work.turned = kXx;
  work.divisor = static_cast<float>(divisor_);
  runner_->run("samples", blocks_of_elements(x.numel()), work);
  return x;
}

torch::Tensor DeviceSamples::labels(const torch::Tensor& indices) const {
  return labels_.index_select(0, indices);
}

torch::Tensor DeviceSamples::pixels(const torch::Tensor& x, const torch::Tensor& row,
                                    const torch::Tensor& column) const {
  const int64_t batch = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  const torch::Tensor r = row.clamp(0, height - 1), c = column.clamp(0, width - 1);
  const torch::Tensor inside = r.eq(row).logical_and(c.eq(column)).unsqueeze(1);
  const torch::Tensor at = (r * width + c)
                               .to(torch::kLong)
                               .reshape({batch, 1, height * width})
                               .expand({batch, channels, height * width});
  return x.flatten(2).gather(2, at).view_as(x) * inside;
}

// points [B, kWarpPoints, kWarpPoints] to [B, H, W]. Sums grow point by point, as on a processor.
torch::Tensor DeviceSamples::warped(const torch::Tensor& points) const {
  torch::Tensor lines, sum;
  for (int64_t i = 0; i < kWarpPoints; ++i) {
    const torch::Tensor part =
        warp_down_.select(1, i).reshape({1, -1, 1}) * points.select(1, i).unsqueeze(1);
    lines = i == 0 ? part : lines + part;  // [B, H, kWarpPoints]
  }
  for (int64_t j = 0; j < kWarpPoints; ++j) {
    const torch::Tensor part =
        warp_across_.select(1, j).reshape({1, 1, -1}) * lines.select(2, j).unsqueeze(2);
    sum = j == 0 ? part : sum + part;
  }
  return sum;
}

// x [B, C, H, W]; the arithmetic of fill_batch in its order.
torch::Tensor DeviceSamples::moved(const torch::Tensor& x, const torch::Tensor& changes) const {
  const int64_t batch = x.size(0), height = x.size(2), width = x.size(3);
  const auto number = [&](Column column) {
    return changes.select(1, column).reshape({batch, 1, 1});
  };
  const double centre_y = static_cast<double>(height - 1) / 2;
  const double centre_x = static_cast<double>(width - 1) / 2;
  const torch::Tensor v = rows_.reshape({1, height, 1}) - number(kDown) - centre_y;
  const torch::Tensor u = columns_.reshape({1, 1, width}) - number(kRight) - centre_x;
  if (augment_.whole_pixels()) return pixels(x, v + centre_y, u * number(kXx) + centre_x);
  torch::Tensor y = number(kYy) * v + number(kYx) * u + centre_y;  // [B, H, W]
  torch::Tensor from_x = number(kXy) * v + number(kXx) * u + centre_x;
  if (augment_.warp > 0) {
    const torch::Tensor points =
        changes.slice(1, kWarp).reshape({batch, 2, kWarpPoints, kWarpPoints});
    y = y + warped(points.select(1, 0));
    from_x = from_x + warped(points.select(1, 1));
  }
  const torch::Tensor row = (y + 1).floor() - 1, column = (from_x + 1).floor() - 1;
  const torch::Tensor fy = (y - row).unsqueeze(1), fx = (from_x - column).unsqueeze(1);
  const auto along = [&](const torch::Tensor& r) {
    return pixels(x, r, column) * (1 - fx) + pixels(x, r, column + 1) * fx;
  };
  return along(row) * (1 - fy) + along(row + 1) * fy;
}

}  // namespace foldstream::train
