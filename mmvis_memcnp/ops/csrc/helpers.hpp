// mmcv's checks and device registry where the installed mmcv brings its
// headers (MMVIS_MMCV_HELPERS, set by setup.py); else the same few in terms of
// PyTorch alone. The rest of the code does not know which.
#pragma once

#ifdef MMVIS_MMCV_HELPERS

#include "pytorch_cpp_helper.hpp"
#include "pytorch_device_registry.hpp"

#else

#include <ATen/core/Tensor.h>

#define CHECK_CONTIGUOUS(x) \
  TORCH_CHECK((x).is_contiguous(), #x " must be contiguous")

// A pointer for the CPU and one for CUDA, filled when the library is loaded.
template <typename F, F key>
struct Implementations {
  F cpu = nullptr;
  F cuda = nullptr;
  static Implementations& instance() {
    static Implementations all;
    return all;
  }
};

template <typename F, F key, typename... Rest>
auto dispatch_device(const char* name, const at::Tensor& first,
                     Rest&&... rest) {
  auto& all = Implementations<F, key>::instance();
  F found = first.is_cuda() ? all.cuda : all.cpu;
  TORCH_CHECK(found != nullptr, name, ": implementation for device ",
              first.device(), " not found.");
  return found(first, std::forward<Rest>(rest)...);
}

#define MMVIS_SLOT_CPU cpu
#define MMVIS_SLOT_CUDA cuda
#define REGISTER_DEVICE_IMPL(key, device, value)                            \
  static const bool key##_##device##_registered = [] {                      \
    Implementations<decltype(&(key)), key>::instance().MMVIS_SLOT_##device = \
        value;                                                              \
    return true;                                                            \
  }();
#define DISPATCH_DEVICE_IMPL(key, ...) \
  dispatch_device<decltype(&(key)), key>(#key, __VA_ARGS__)

#endif
