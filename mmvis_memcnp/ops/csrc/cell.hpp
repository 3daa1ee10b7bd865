// The one piece of mathematics that the CPU and the CUDA kernel share.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define MMVIS_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define MMVIS_HOST_DEVICE inline
#endif

// Which of `cells` equal parts of the interval [low, high) the integer
// position falls into; -1 if outside. The parts are (high - low + 0.1) / cells
// wide, the sum in double and the result rounded to T, as in the original
// operator: the split lies slightly beyond the middle. Comparisons are false
// for NaN, so that such a box is empty.
template <typename T>
MMVIS_HOST_DEVICE int cell_of(int64_t position, T low, T high, int cells) {
  const T at = static_cast<T>(position);
  if (!(at >= low && at < high)) return -1;
  const T size =
      static_cast<T>((static_cast<double>(high - low) + 0.1) / cells);
  const T part = (at - low) / size;
  // Intervals so long that 0.1 is lost, or infinite, end in the last part.
  return part < static_cast<T>(cells) ? static_cast<int>(part) : cells - 1;
}
