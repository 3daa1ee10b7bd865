// CropSplit (SipMask, Cao et al., ECCV 2020, section 3.2).
//
//   data (c*c, h, w, n)   a mask of every cell, for n boxes
//   rois (n, 4)           x1, y1, x2, y2 in pixels of the map, float or double
//   out  (h, w, n)        inside its box the mask of the cell, 0 outside
//
// Every tensor is contiguous and on one device.
#pragma once

#include "helpers.hpp"

at::Tensor crop_split_impl(const at::Tensor& data, const at::Tensor& rois,
                           int64_t c);
at::Tensor crop_split_backward_impl(const at::Tensor& grad,
                                    const at::Tensor& rois, int64_t c);
