// Chooses the loop core of a pass, or of the gradient of the weights. The choice depends on the shape and the formats
// alone, never on the number of threads.
#pragma once
#include "conv/channel_lanes_weight.h"
#include "conv/group_lanes_weight.h"
#include "conv/image_rows.h"
#include "conv/pixel_lanes_weight.h"
#include "conv/winograd_weight.h"

namespace EK_ISA {

// Calls body(core); the core's memory comes from `scratch`.
template <class T, class F> void with_core(const Pass<T>& p, Scratch& scratch, const F& body) {
  if constexpr (has_pixel_lanes<T>) {
    if (GroupRows<T>::suits(p)) return body(GroupLanes<T>(p, scratch));
    if (PixelLanes<T>::cost(p) < ChannelLanes<T>::cost(p)) return body(PixelLanes<T>(p, scratch));
    if (Winograd<T>::suits(p)) return body(Winograd<T>(p, scratch));
    if (ImageRows<T>::suits(p)) return body(ImageRows<T>(p, scratch));
  }
  body(ChannelLanes<T>(p, scratch));
}

// The same for the gradient of the weights. p: the forward pass; its y and w are not used.
template <class T, class F> void with_weight_core(const Pass<T>& p, const T* dy, Scratch& scratch, const F& body) {
  if constexpr (has_pixel_lanes<T>) {
    if (GroupRows<T>::suits(p)) return body(GroupLanesWeight<T>(p, dy, scratch));
    if (PixelLanesWeight<T>::cost(p) < ChannelLanes<T>::cost(p)) return body(PixelLanesWeight<T>(p, dy, scratch));
    if (Winograd<T>::suits(p)) return body(WinogradWeight<T>(p, dy, scratch));
  }
  body(ChannelLanesWeight<T>(p, dy, scratch));
}

}  // namespace EK_ISA
