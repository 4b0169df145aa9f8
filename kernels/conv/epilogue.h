// The epilogue of a convolution: additions, and then what the norm beside the convolution wants of the result.
#pragma once
#include "conv/add.h"
#include "conv/mask_gradient.h"
#include "conv/norm_map.h"
#include "conv/take_statistics.h"

namespace EK_ISA {

// What follows the additions.
enum class Finish { none, norm, statistics, gradient };

template <class T> struct Epilogue {
  AddBias<T> bias;
  AddTensor<T> plus;
  Finish finish;
  NormMap<T> norm;           // for Finish::norm
  MaskGradient<T> gradient;  // for Finish::gradient
  TakeStatistics<T> statistics = {};
  SumsMemory memory = {};  // where statistics or gradient put their sums; all zeros at the start

  bool takes_sums() const { return finish == Finish::statistics || finish == Finish::gradient; }

  Epilogue part(int index) const {
    Epilogue e = *this;
    if (takes_sums()) e.statistics.sums = e.gradient.sums = memory.part(index);
    return e;
  }
  template <class F> EK_INLINE void each_read(const F& body) const {
    plus.each_read(body);
    if (finish == Finish::norm) norm.each_read(body);
    else if (finish == Finish::gradient) gradient.each_read(body);
  }
  EK_INLINE void prefetch(const Run& run) const {
    if (run.plane != 1) return;
    each_read([&](const T* x) EK_INLINE_LAMBDA {
      for (int i = 0; i < run.pixels; i++) prefetch_pixel(x, run, i, run.channels);
    });
  }
  EK_INLINE void channels(T* values, ptrdiff_t pitch, const Run& run) const {
    bias.channels(values, pitch, run);
    plus.channels(values, pitch, run);
    if (finish == Finish::norm) norm.channels(values, pitch, run);
    else if (finish == Finish::gradient) gradient.channels(values, pitch, run);
    else if (finish == Finish::statistics) statistics.channels(values, pitch, run);
  }
  EK_INLINE void plane(T* values, const Run& run) const {
    bias.plane(values, run);
    plus.plane(values, run);
    if (finish == Finish::norm) norm.plane(values, run);
    else if (finish == Finish::gradient) gradient.plane(values, run);
    else if (finish == Finish::statistics) statistics.plane(values, run);
  }
};

}  // namespace EK_ISA
