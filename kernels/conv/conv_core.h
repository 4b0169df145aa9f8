// Chooses the loop core of a pass. The choice depends on shape and formats alone, never on the machine's threads.
#pragma once
#include "conv/pixel_lanes.h"

namespace EK_ISA {

template <class T> bool lanes_are_pixels(const Pass<T>& p) { return PixelLanes<T>::cost(p) < ChannelLanes<T>::cost(p); }

template <class T> int pass_scratch(const Pass<T>& p) {
  Scratch scratch(nullptr);
  if (lanes_are_pixels(p)) PixelLanes<T> core(p, scratch);
  else ChannelLanes<T> core(p, scratch);
  return scratch.bytes();
}

template <class T, class Prologue, class Epilogue>
void run_pass(const Pass<T>& p, const Prologue& prologue, const Epilogue& epilogue, void* memory) {
  Scratch scratch(memory);
  if (lanes_are_pixels(p)) PixelLanes<T>(p, scratch).run(prologue, epilogue);
  else ChannelLanes<T>(p, scratch).run(prologue, epilogue);
}

}  // namespace EK_ISA
