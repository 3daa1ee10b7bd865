#include <ATen/Dispatch.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
// Not ATen/cuda/CUDAContext.h, which needs the headers of cuSPARSE.
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

#include "cell.hpp"
#include "crop_split.hpp"

namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 65535;

// One thread an element of the (h, w, n) map. Forward reads the element's
// cell, backward writes it: every element has one cell, so no atomics.
template <typename scalar_t, typename coord_t, bool kBackward>
__global__ void crop_split_kernel(int64_t count, const scalar_t* from,
                                  const coord_t* rois, scalar_t* to,
                                  int64_t width, int64_t n, int c) {
  // 64-bit: mmcv's loop macro counts in int.
  const int64_t stride = static_cast<int64_t>(blockDim.x) * gridDim.x;
  for (int64_t at = blockIdx.x * static_cast<int64_t>(blockDim.x) +
                    threadIdx.x;
       at < count; at += stride) {
    const int64_t pixel = at / n;
    const coord_t* box = rois + 4 * (at % n);
    const int col = cell_of<coord_t>(pixel % width, box[0], box[2], c);
    const int row = cell_of<coord_t>(pixel / width, box[1], box[3], c);
    if (row < 0 || col < 0) continue;
    const int64_t cell =
        (static_cast<int64_t>(row) * c + col) * count + at;
    if (kBackward)
      to[cell] = from[at];
    else
      to[at] = from[cell];
  }
}

template <bool kBackward>
void launch(const at::Tensor& from, const at::Tensor& rois, at::Tensor& to,
            int64_t count, int64_t width, int64_t c) {
  if (count == 0) return;
  const c10::cuda::CUDAGuard guard(from.device());
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const auto blocks = static_cast<unsigned>(
      std::min(kMaxBlocks, (count + kThreads - 1) / kThreads));
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, from.scalar_type(), "crop_split", [&] {
        using value_t = scalar_t;
        AT_DISPATCH_FLOATING_TYPES(
            rois.scalar_type(), "crop_split_rois", [&] {
              crop_split_kernel<value_t, scalar_t, kBackward>
                  <<<blocks, kThreads, 0, stream>>>(
                      count, from.const_data_ptr<value_t>(),
                      rois.const_data_ptr<scalar_t>(),
                      to.mutable_data_ptr<value_t>(), width, rois.size(0),
                      static_cast<int>(c));
            });
      });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

at::Tensor crop_split_cuda(const at::Tensor& data, const at::Tensor& rois,
                           int64_t c) {
  auto out = at::zeros({data.size(1), data.size(2), data.size(3)},
                       data.options());
  launch<false>(data, rois, out, out.numel(), data.size(2), c);
  return out;
}

at::Tensor crop_split_backward_cuda(const at::Tensor& grad,
                                    const at::Tensor& rois, int64_t c) {
  auto result = at::zeros(
      {c * c, grad.size(0), grad.size(1), grad.size(2)}, grad.options());
  launch<true>(grad, rois, result, grad.numel(), grad.size(1), c);
  return result;
}

}  // namespace

REGISTER_DEVICE_IMPL(crop_split_impl, CUDA, crop_split_cuda);
REGISTER_DEVICE_IMPL(crop_split_backward_impl, CUDA,
                     crop_split_backward_cuda);
