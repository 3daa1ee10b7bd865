#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "cell.hpp"
#include "crop_split.hpp"

namespace {

// Cell of every position along one axis for every box: (length, n), -1
// outside. `axis` is 0 for columns (x) and 1 for rows (y).
std::vector<int> cells_along(const at::Tensor& rois, int axis, int64_t length,
                             int64_t c) {
  const int64_t n = rois.size(0);
  std::vector<int> cells(length * n);
  AT_DISPATCH_FLOATING_TYPES(rois.scalar_type(), "crop_split_cells", [&] {
    const scalar_t* box = rois.const_data_ptr<scalar_t>();
    for (int64_t i = 0; i < length; ++i)
      for (int64_t k = 0; k < n; ++k)
        cells[i * n + k] = cell_of<scalar_t>(i, box[4 * k + axis],
                                             box[4 * k + 2 + axis],
                                             static_cast<int>(c));
  });
  return cells;
}

// Calls visit(element of the (h, w, n) map, element of the (c*c, h, w, n)
// maps) for everything inside its box, rows in parallel.
template <typename Visit>
void for_each_inside(const at::Tensor& rois, int64_t height, int64_t width,
                     int64_t c, const Visit& visit) {
  const int64_t n = rois.size(0), map = height * width * n;
  const auto cols = cells_along(rois, 0, width, c);
  const auto rows = cells_along(rois, 1, height, c);
  at::parallel_for(0, height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t q = 0; q < width; ++q) {
        for (int64_t k = 0; k < n; ++k) {
          const int row = rows[r * n + k], col = cols[q * n + k];
          if (row < 0 || col < 0) continue;
          const int64_t at = (r * width + q) * n + k;
          visit(at, (row * c + col) * map + at);
        }
      }
    }
  });
}

at::Tensor crop_split_cpu(const at::Tensor& data, const at::Tensor& rois,
                          int64_t c) {
  const int64_t h = data.size(1), w = data.size(2), n = data.size(3);
  auto out = at::zeros({h, w, n}, data.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, data.scalar_type(), "crop_split", [&] {
        const scalar_t* from = data.const_data_ptr<scalar_t>();
        scalar_t* to = out.mutable_data_ptr<scalar_t>();
        for_each_inside(rois, h, w, c, [=](int64_t at, int64_t cell) {
          to[at] = from[cell];
        });
      });
  return out;
}

at::Tensor crop_split_backward_cpu(const at::Tensor& grad,
                                   const at::Tensor& rois, int64_t c) {
  const int64_t h = grad.size(0), w = grad.size(1), n = grad.size(2);
  auto result = at::zeros({c * c, h, w, n}, grad.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, grad.scalar_type(), "crop_split_backward",
      [&] {
        const scalar_t* from = grad.const_data_ptr<scalar_t>();
        scalar_t* to = result.mutable_data_ptr<scalar_t>();
        for_each_inside(rois, h, w, c, [=](int64_t at, int64_t cell) {
          to[cell] = from[at];
        });
      });
  return result;
}

}  // namespace

REGISTER_DEVICE_IMPL(crop_split_impl, CPU, crop_split_cpu);
REGISTER_DEVICE_IMPL(crop_split_backward_impl, CPU, crop_split_backward_cpu);
