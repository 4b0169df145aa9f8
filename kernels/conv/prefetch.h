// Prefetching in a loop core: while a block is computed, the memory that the next block will read is asked for, spread
// evenly over the products, so that packing does not wait for memory.
#pragma once
#include "conv/geometry.h"
#include "conv/map.h"

namespace EK_ISA {

// Memory that the next block will read. It is prefetched while this block is computed, so that packing does not wait
// for memory. It consists of runs that begin `pitch` apart; `at` is the next address, and `end` the end of its run.
template <class T> struct Prefetch {
  static constexpr int line = 64 / sizeof(T);
  const T *at = nullptr, *end = nullptr, *stop = nullptr;
  ptrdiff_t gap = 0, pitch = 0;  // elements between two runs; from the start of one to the start of the next
  int step = line;               // elements between two prefetches

  bool done() const { return at >= stop; }
  // Spreads the prefetches of `elements` elements, which include this memory's, evenly over `calls` calls of
  // prefetch_next(): a processor stands still while it has as many requests under way as it can. If there are more
  // calls than cache lines, a line is asked for several times in a row, which costs nothing.
  void pace(double calls, double elements) {
    const double each = 1 + elements / (calls > 0 ? calls : 1);
    step = each < line ? static_cast<int>(each) : line;
  }
  void pace(double calls) { pace(calls, elements()); }
  double elements() const {
    return static_cast<double>(stop - at) * (pitch > 0 ? static_cast<double>(end - at) / pitch : 1);
  }
  // Calls body(prefetch_next), a loop that calls prefetch_next() in each step.
  template <class F> EK_INLINE void during(const F& body) {
    if constexpr (!has_prefetch) return body([] {});
    // When everything has been prefetched, prefetch an address that is mapped: an unmapped one takes long.
    const bool idle = done();
    const T *from = idle ? reinterpret_cast<const T*>(this) : at, *last = idle ? from + 1 : end;
    const ptrdiff_t further = idle ? 0 : step;
    body([&]() EK_INLINE_LAMBDA {  // because GCC drops calls that only prefetch
      __builtin_prefetch(from, 0, 2);
      from += further;
      if (from >= last) from += gap, last += pitch;
    });
    if (!idle) at = from, end = last;
  }
};

// The same for several tensors, one after the other.
template <class T> struct PrefetchList {
  Prefetch<T> of[5];  // an input, a tensor that its prologue reads, and up to three that an epilogue reads
  int count = 0, at = 0;

  void add(const Prefetch<T>& one) {
    if (!one.done()) of[count++] = one;
  }
  void pace(double calls) {
    double elements = 0;
    for (int i = 0; i < count; i++) elements += of[i].elements();
    for (int i = 0; i < count; i++) of[i].pace(calls, elements);
  }
  Prefetch<T>& now() {
    while (at + 1 < count && of[at].done()) at++;
    return of[at];
  }
};

// The memory of `channels` channels, from `channel` on, of the pixels first … last, in a tensor of `all` channels.
template <class T>
Prefetch<T> memory_of(const T* x, ptrdiff_t first, ptrdiff_t last, int channel, int channels, int all) {
  const T *at = x + first * all + channel, *stop = x + last * all + channel + channels;
  if (channels == all) return {at, stop, stop, 0, 0};
  return {at, at + channels, stop, all - channels, all};
}
// The memory of a block's inputs, of some channels, in a tensor x like the input. It is known only for channels last
// and one depth; otherwise the result is empty.
template <class T>
Prefetch<T> memory_of_inputs(const Pass<T>& p, const T* x, const Block& b, int channel, int channels) {
  const Axis &ah = p.axis[1], &aw = p.axis[2];
  if (p.x_format != EK_CHANNELS_LAST || p.axis[0].in_size > 1) return {};
  const auto clip = [](int i, int size) { return i < 0 ? 0 : i < size ? i : size - 1; };
  const auto pixel = [&](int image, int row, int column) {
    const int h = clip(ah.offset + row * ah.unit, ah.in_size), w = clip(aw.offset + column * aw.unit, aw.in_size);
    return (static_cast<ptrdiff_t>(image) * ah.in_size + h) * aw.in_size + w;
  };
  const int row = b.row * ah.stride, column = b.column * aw.stride;
  return memory_of(x, pixel(b.image, row, column),
                   pixel(b.image + b.images - 1, row + ah.extent(b.rows) - 1, column + aw.extent(b.columns) - 1),
                   channel, channels, p.c * p.groups);
}

// Adds all that is read for a block's inputs: the input itself, and what the prologue reads beside it.
template <class T, class Map>
void add_inputs(const Pass<T>& p, const Block& b, int channel, int channels, const Map& map, PrefetchList<T>& ahead) {
  const auto add = [&](const T* x) { ahead.add(memory_of_inputs(p, x, b, channel, channels)); };
  add(p.x), map.each_read(add);
}

// The memory of a block's outputs, of some channels, in a tensor x like the output. It is known only for channels last,
// one phase and one depth; otherwise the result is empty.
template <class T>
Prefetch<T> memory_of_outputs(const Pass<T>& p, const T* x, const Block& b, int channel, int channels) {
  const Axis &ah = p.axis[1], &aw = p.axis[2];
  if (p.y_format != EK_CHANNELS_LAST || p.phases() > 1 || p.axis[0].count > 1) return {};
  const auto pixel = [&](int image, int row, int column) {
    return (static_cast<ptrdiff_t>(image) * ah.count + row) * aw.count + column;
  };
  const auto last = [](int begin, int size, int count) { return begin + size < count ? begin + size - 1 : count - 1; };
  return memory_of(x, pixel(b.image, b.row, b.column),
                   pixel(b.image + b.images - 1, last(b.row, b.rows, ah.count), last(b.column, b.columns, aw.count)),
                   channel, channels, p.o * p.groups);
}

// Adds all that an epilogue reads beside a block's outputs.
template <class T, class Map>
void add_beside_outputs(const Pass<T>& p, const Block& b, int channel, int channels, const Map& map,
                        PrefetchList<T>& ahead) {
  map.each_read([&](const T* x) { ahead.add(memory_of_outputs(p, x, b, channel, channels)); });
}

}  // namespace EK_ISA
