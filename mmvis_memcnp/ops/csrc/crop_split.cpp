#include "crop_split.hpp"

#include <torch/library.h>

at::Tensor crop_split_impl(const at::Tensor& data, const at::Tensor& rois,
                           int64_t c) {
  return DISPATCH_DEVICE_IMPL(crop_split_impl, data, rois, c);
}

at::Tensor crop_split_backward_impl(const at::Tensor& grad,
                                    const at::Tensor& rois, int64_t c) {
  return DISPATCH_DEVICE_IMPL(crop_split_backward_impl, grad, rois, c);
}

namespace {

// Geometry is never worked out in 16 bits: there, a column beyond 2048 is not
// even representable.
at::Tensor geometry(const at::Tensor& rois) {
  const auto type =
      rois.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return rois.to(type).contiguous();
}

at::Tensor crop_split(const at::Tensor& data, const at::Tensor& rois,
                      int64_t c) {
  TORCH_CHECK(data.dim() == 4 && data.size(0) == c * c,
              "crop_split: data must be (c*c, h, w, n)");
  TORCH_CHECK(rois.dim() == 2 && rois.size(0) == data.size(3) &&
                  rois.size(1) == 4,
              "crop_split: rois must be (n, 4)");
  return crop_split_impl(data.contiguous(), geometry(rois), c);
}

at::Tensor crop_split_backward(const at::Tensor& grad, const at::Tensor& rois,
                               int64_t c) {
  return crop_split_backward_impl(grad.contiguous(), geometry(rois), c);
}

// The ground-truth form: one cell, and its own backward.
at::Tensor crop_split_gt(const at::Tensor& data, const at::Tensor& rois) {
  return crop_split(data.unsqueeze(0), rois, 1);
}

}  // namespace

TORCH_LIBRARY(mmvis, m) {
  m.def("crop_split(Tensor data, Tensor rois, int c) -> Tensor");
  m.def("crop_split_backward(Tensor grad, Tensor rois, int c) -> Tensor");
  m.def("crop_split_gt(Tensor data, Tensor rois) -> Tensor");
}

#define MMVIS_OPS(m)                                    \
  m.impl("crop_split", &crop_split);                    \
  m.impl("crop_split_backward", &crop_split_backward);  \
  m.impl("crop_split_gt", &crop_split_gt)

TORCH_LIBRARY_IMPL(mmvis, CPU, m) { MMVIS_OPS(m); }

#ifdef MMVIS_WITH_CUDA
TORCH_LIBRARY_IMPL(mmvis, CUDA, m) { MMVIS_OPS(m); }
#endif
