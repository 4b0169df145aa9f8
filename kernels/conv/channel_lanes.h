// A loop core whose lanes are output channels. Its tiles are pixels × channels. Input rows are packed channels last,
// with zeros as padding, so that the inputs of a pixel under one row of the kernel lie side by side. It is best for
// many output channels in a group. conv_core.h chooses.
#pragma once
#include "conv/pack.h"
#include "conv/prefetch.h"
#include "simd/tile.h"

namespace EK_ISA {

// What a tile of pixels × V vectors of channels adds up: rows of `taps` taps, and for each tap a run of `run`
// neighbouring inputs. The weights are w[row][tap][input][V·lanes], with w_row elements between rows.
template <class T> struct TapRows {
  const int* offsets;  // of each row, from the first pixel's input
  int rows, taps, run;
  ptrdiff_t tap;  // elements between taps
  const T* w;
  ptrdiff_t w_row;
};

constexpr int kPrefetchedLines = 32;  // cache lines that are prefetched at once, at the beginning of a tile
template <class T> __attribute__((noinline)) void prefetch_lines(Prefetch<T>& ahead) {
  ahead.during([](const auto& prefetch_next) {
    for (int i = 0; i < kPrefetchedLines; i++) prefetch_next();
  });
}

// out[pixel·out_pitch + channel] = Σ over the inputs i: a[pixel·a_pixel + i] · w[i][channel], for V·lanes channels.
template <class T, int M, int V>
__attribute__((noinline)) void channel_tile(const T* a, ptrdiff_t a_pixel, const TapRows<T>& k, T* out,
                                            ptrdiff_t out_pitch, Prefetch<T>& ahead) {
  constexpr int W = V * lanes<T>;
  // A step with one vector (V = 1) is limited by its loads, and a prefetch is one more. So a tile with several taps,
  // which reads few new lines, prefetches at its beginning. Not for float64, which serves checks: there code size
  // matters more.
  constexpr bool by_loads = has_prefetch && V == 1 && sizeof(T) == 4;
  const bool at_once = by_loads && k.rows * k.taps > 1;
  if (at_once && !ahead.done()) prefetch_lines(ahead);
  vec<T> acc[M][V] = {};
  const auto add_runs = [&](const auto& prefetch_next) EK_INLINE_LAMBDA {
    for (int r = 0; r < k.rows; r++) {
      const T* w = k.w + r * k.w_row;
      const T* from = a + k.offsets[r];
      for (int t = 0; t < k.taps; t++, from += k.tap, w += static_cast<ptrdiff_t>(k.run) * W)
        outer<T, M, V>(acc, from, a_pixel, 1, w, W, k.run, prefetch_next);
    }
  };
  if (by_loads && (at_once || ahead.done())) add_runs([] {});
  else ahead.during(add_runs);
#pragma GCC unroll 16
  for (int i = 0; i < M; i++)
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) store(out + i * out_pitch + v * lanes<T>, acc[i][v]);
}

constexpr int kChunkChannels = 128;  // output channels of a job at least: they pay for packing the input once more
// Bytes of a job's outputs at most, if each input is read once. As many bytes of each tensor that an epilogue reads are
// prefetched one job ahead, and must stay in L2.
constexpr int kOutBytes = 128 << 10;
constexpr int kWeightRun = 512;  // weights of an output channel that are packed together: a run long enough for memory

// Packs the weights of `count` input channels from `first` on, and of up to `width` output channels from `o` on. The
// weight of input channel c at a kernel position goes to out[places[c·kernel + position] + output channel]. Output
// channels behind the last are 0.
template <class T>
inline void gather_weights(const Pass<T>& p, const int* places, int group, int o, int width, int first, int count,
                           T* out) {
  const int kernel = p.kernel_size(), used = p.o - o < width ? p.o - o : width;
  const T* w = p.w + group * p.w_group + o * p.w_out + first * p.w_in;
  for (int i = 0; used < width && i < count * kernel; i++) zero_run(out + places[i], width);
  if (p.w_in == kernel) {  // an output channel's weights are one run of input channels and positions
    transpose_to(w, p.w_out, used, count * kernel, [&](int i) { return out + places[i]; });
    return;
  }
  for (int c = 0; c < count; c++, w += p.w_in, places += kernel) {
    // The hardware does not foresee runs that lie this far apart.
    for (int i = 0; i < used * kernel; i += 64 / sizeof(T)) __builtin_prefetch(w + 4 * p.w_in + i);
    if (kernel == 1) copy_run(out + *places, w, used);
    else transpose_to(w, p.w_out, used, kernel, [&](int k) { return out + places[k]; });
  }
}

// The memory that holds the weights of up to `width` output channels from `o` on.
template <class T> Prefetch<T> memory_of_weights(const Pass<T>& p, int group, int o, int width) {
  const T* at = p.w + group * p.w_group + o * p.w_out;
  const ptrdiff_t run = (p.o - o < width ? p.o - o : width) * p.w_out;
  if (p.w_in == p.kernel_size()) return {at, at + run, at + run, 0, 0};
  return {at, at + run, at + (p.c - 1) * p.w_in + run, p.w_in - run, p.w_in};
}

constexpr int kFewJobs = 8;  // blocks of output channels that give work to several threads

// The packed weights of a pass. Each block of output channels is packed as [phase][tap][c][width], with zeros behind
// the group's last channel. Either all blocks are packed at once, before the jobs that use them. Or one job packs a
// block and then computes all outputs of it (by_job): the packed weights stay in the cache and never go to memory.
template <class T> struct ChannelWeights {
  int vectors, width, blocks;  // vectors and channels of a block; blocks of a group
  int together;                // input channels that are packed together
  bool by_job;
  size_t size;  // elements of a block
  T* packed;    // all blocks, or one block for each worker
  int* places;  // [c][kernel position]: where the weights of the first input channels go in a block

  ChannelWeights(const Pass<T>& p, Scratch& scratch) {
    vectors = p.o > lanes<T> ? outer_vectors : 1, width = vectors * lanes<T>, blocks = ceil_div(p.o, width);
    // If there are more weights than inputs: every job of a block then reads all inputs.
    by_job = p.groups * blocks >= kFewJobs &&
             p.n * static_cast<double>(p.in_volume()) <= p.kernel_size() * static_cast<double>(p.o);
    size = static_cast<size_t>(p.kernel_size()) * p.c * width;
    together = ceil_div(kWeightRun, p.kernel_size());
    packed = scratch.take<T>(size * (by_job ? worker_count() : blocks * p.groups));
    places = scratch.take<int>(static_cast<size_t>(together) * p.kernel_size());
  }

  // Is called once, before all jobs.
  void prepare(const Pass<T>& p) const {
    const int kernel = p.kernel_size();
    int taps = 0;
    for (int f = 0; f < p.phases(); f++) {
      const Pass<T> q = p.phase(f);
      for (int d = 0; d < q.axis[0].taps; d++)
        for (int h = 0; h < q.axis[1].taps; h++)
          for (int w = 0; w < q.axis[2].taps; w++, taps++)
            for (int c = 0; c < together; c++) places[c * kernel + q.tap(d, h, w)] = (taps * p.c + c) * width;
    }
    if (by_job) return;
    const int parts = ceil_div(p.c, together);
    parallel_for(p.groups * blocks * parts,
                 [&](int job, int) { pack(p, job / parts, job % parts, packed + job / parts * size); });
  }
  // The packed weights of a block of a group, for a job of this worker.
  const T* of(const Pass<T>& p, int group, int block, int worker) const {
    const int index = group * blocks + block;
    T* own = packed + (by_job ? worker : index) * size;
    for (int part = 0; by_job && part < ceil_div(p.c, together); part++) pack(p, index, part, own);
    return own;
  }
  // The memory that holds the weights of a block.
  Prefetch<T> memory_of_block(const Pass<T>& p, int index) const {
    return memory_of_weights(p, index / blocks, index % blocks * width, width);
  }

 private:
  void pack(const Pass<T>& p, int index, int part, T* out) const {
    const int c = part * together;
    gather_weights(p, places, index / blocks, index % blocks * width, width, c, p.c - c < together ? p.c - c : together,
                   out + static_cast<ptrdiff_t>(c) * width);
  }
};

template <class T> struct ChannelLanes {
  // A phase, and where its rows begin in `offsets` and its taps in the weights.
  struct Phase {
    Pass<T> pass;
    int first_row, first_tap;
    bool joined;  // the taps of a row are one run
  };
  // The first input of a block, and the elements between two of its pixels.
  struct Input {
    const T* at;
    ptrdiff_t pixel;
  };
  Pass<T> p;
  Blocks blocks;
  PackedGrid grid;
  ChannelWeights<T> weights;
  ptrdiff_t pixel;  // elements between packed pixels
  int per_chunk;    // blocks of output channels that a job computes
  size_t packed_size, out_size, worker_size;
  T *inputs, *workers;  // inputs: all packed blocks, if a job computes all outputs of a block of channels (by_job)
  Phase* phases;
  int* offsets;

  // A pass that reads each input once is cut into chunks of output channels before its blocks are made small: the sums
  // of an epilogue are then merged from fewer blocks. The outputs of a chunk, and what an epilogue reads beside them,
  // stay in L2.
  static Blocks choose(const Pass<T>& p) {
    const int chunks = p.reads_once() && p.o > kChunkChannels ? p.o / kChunkChannels : 1;
    const Blocks b = choose_blocks(p, p.c, kPackedBytes / static_cast<int>(sizeof(T)),
                                   ceil_div(kConvJobs, p.groups * chunks), order_rows);
    const int most = kOutBytes / static_cast<int>(sizeof(T)) / (p.o < kChunkChannels ? p.o : kChunkChannels);
    return p.reads_once() && b.images * b.rows * b.columns > most ? pixel_blocks(p, most) : b;
  }

  // The number of vector operations for a group. The choice between the cores compares it; all other costs are small.
  static double cost(const Pass<T>& p) {
    const double pixels = static_cast<double>(p.out_volume());
    double moved = 0;  // a transposition costs about one operation per element
    if (p.x_format == EK_CONTIGUOUS) moved += p.c * static_cast<double>(p.in_volume());
    if (p.y_format == EK_CONTIGUOUS) moved += p.o * pixels;
    return pixels * p.kernel_size() / p.phases() * p.c * ceil_div(p.o, order_lanes<T>) + moved;
  }

  ChannelLanes(const Pass<T>& pass, Scratch& scratch)
      : p(pass), blocks(choose(pass)), grid(pass, blocks), weights(pass, scratch) {
    // Pixels that lie a power of two apart would share a few sets of the L1 cache.
    const bool spread = p.c * sizeof(T) >= 512 && p.c * sizeof(T) % 256 == 0;
    pixel = spread ? p.c + static_cast<int>(64 / sizeof(T)) : p.c;
    const int jobs = blocks.count() * p.groups, wanted = ceil_div(kConvJobs, jobs > 0 ? jobs : 1);
    per_chunk = ceil_div(weights.blocks, wanted < weights.blocks ? wanted : weights.blocks);
    packed_size = static_cast<size_t>(grid.image) * blocks.images * pixel + 64 / sizeof(T);
    out_size = static_cast<size_t>(kRunPixels > p.axis[2].phases ? kRunPixels : p.axis[2].phases) * weights.width;
    worker_size = out_size + (weights.by_job ? 0 : packed_size);
    inputs = scratch.take<T>(weights.by_job ? packed_size * jobs : 0);
    workers = scratch.take<T>(worker_size * worker_count());
    phases = scratch.take<Phase>(p.phases());
    offsets = scratch.take<int>(p.kernel_size());
  }

  int parts() const { return blocks.count(); }

  template <class Prologue, class Epilogue> void run(const Prologue& prologue, const Epilogue& epilogue) const {
    const bool in_place = prologue.none() && p.reads_once() && p.x_format == EK_CHANNELS_LAST &&
                          !meet_in_cache<T>(p.c * p.groups);
    list_phases();
    weights.prepare(p);
    if (weights.by_job) run_by_outputs(in_place, prologue, epilogue);
    else run_by_blocks(in_place, prologue, epilogue);
  }

 private:
  // A job packs a block of inputs and multiplies it with the weights of a chunk of the output channels.
  template <class Prologue, class Epilogue>
  void run_by_blocks(bool in_place, const Prologue& prologue, const Epilogue& epilogue) const {
    // If nothing is packed, more chunks cost nothing.
    const int some = ceil_div(kChunkChannels, weights.width), per = in_place && some < per_chunk ? some : per_chunk;
    const int chunks = ceil_div(weights.blocks, per);
    parallel_for(blocks.count() * p.groups * chunks, [&](int job, int worker) {
      const int chunk = job % chunks, group = job / chunks % p.groups, index = job / (chunks * p.groups);
      const Block b = blocks(p, index);
      const auto part = epilogue.part(index);
      T *out = workers + worker * worker_size, *packed = out + out_size;
      if (!in_place) pack_rows(p, grid, b, group * p.c, p.c, pixel, prologue, packed);
      PrefetchList<T> ahead = next_memory(job, per, chunks, prologue, epilogue);
      const int end = (chunk + 1) * per < weights.blocks ? (chunk + 1) * per : weights.blocks;
      for (int block = chunk * per; block < end; block++)
        outputs(b, group, block, input_of(in_place, b, group, packed), weights.of(p, group, block, worker), out, part,
                ahead);
      stream_fence();
    });
  }
  // All inputs are packed first. Then a job multiplies them with the weights of one block of output channels.
  template <class Prologue, class Epilogue>
  void run_by_outputs(bool in_place, const Prologue& prologue, const Epilogue& epilogue) const {
    if (!in_place)
      parallel_for(blocks.count() * p.groups, [&](int job, int) {
        pack_rows(p, grid, blocks(p, job / p.groups), job % p.groups * p.c, p.c, pixel, prologue,
                  inputs + job * packed_size);
      });
    parallel_for(p.groups * weights.blocks, [&](int job, int worker) {
      const int group = job / weights.blocks, block = job % weights.blocks;
      const T* w = weights.of(p, group, block, worker);
      PrefetchList<T> ahead;
      if (job + worker_count() < p.groups * weights.blocks) ahead.add(weights.memory_of_block(p, job + worker_count()));
      if (weights.vectors > 1) ahead.pace(blocks.count() * prefetches(blocks(p, 0)));
      for (int index = 0; index < blocks.count(); index++) {
        const Block b = blocks(p, index);
        outputs(b, group, block,
                input_of(in_place, b, group, inputs + (static_cast<size_t>(index) * p.groups + group) * packed_size), w,
                workers + worker * worker_size, epilogue.part(index), ahead);
      }
      stream_fence();
    });
  }
  Input input_of(bool in_place, const Block& b, int group, const T* packed) const {
    if (!in_place) return {packed, pixel};
    const int all = p.c * p.groups;
    const ptrdiff_t first = b.image * p.in_volume() + static_cast<ptrdiff_t>(b.row) * p.axis[2].in_size + b.column;
    return {p.x + first * all + group * p.c, all};
  }

  // Computes the outputs of a block of pixels and a block of channels.
  template <class Epilogue>
  void outputs(const Block& b, int group, int block, const Input& input, const T* w, T* out, const Epilogue& part,
               PrefetchList<T>& ahead) const {
    const int o = block * weights.width, left = p.o - o, channels = left < weights.width ? left : weights.width;
    for (int i = 0; i < b.images; i++)
      each_output_unit(p, b, i, group * p.o + o, channels, kRunPixels,
                       [&](int d, int row, int rows, int column, int columns, const Run& run) {
        for (int r = 0; r < rows; r++) {
          const ptrdiff_t first = static_cast<ptrdiff_t>(r) * columns;
          const Run line{columns, run.channel, channels, run.first + first * run.pixel, run.pixel, run.plane};
          compute(b, d, row + r, column, line, w, {input.at + i * grid.image * input.pixel, input.pixel},
                  out + first * weights.width, part, ahead);
        }
        part.channels(out, weights.width, run);
        copy_out(out, weights.width, run, p.y, p.out_elements());
      });
  }

  // The number of prefetches that fit into computing a block of pixels and a block of channels.
  double prefetches(const Block& b) const {
    return static_cast<double>(b.images) * b.rows * ceil_div(b.columns, outer_rows) * p.taps() * p.c;
  }
  // The memory that this worker's next job will probably read.
  template <class Prologue, class Epilogue>
  PrefetchList<T> next_memory(int job, int per, int chunks, const Prologue& prologue, const Epilogue& epilogue) const {
    PrefetchList<T> ahead;
    const int next = job + worker_count(), index = next / (chunks * p.groups);
    if (p.groups > 1 || index >= blocks.count()) return ahead;
    const Block b = blocks(p, index);
    if (index != job / chunks) add_inputs(p, b, 0, p.c, prologue, ahead);
    const int o = next % chunks * per * weights.width, some = per * weights.width,
              channels = p.o - o < some ? p.o - o : some;
    add_beside_outputs(p, b, o, channels, epilogue, ahead);
    if (weights.vectors > 1) ahead.pace(per * prefetches(b));
    return ahead;
  }

  void list_phases() const {
    int row = 0, tap = 0;
    for (int f = 0; f < p.phases(); f++) {
      const Pass<T> q = p.phase(f);
      phases[f] = {q, row, tap, q.axis[2].taps <= 1 || (q.axis[2].spacing == 1 && pixel == p.c)};
      tap += q.taps();
      for (int d = 0; d < q.axis[0].taps; d++)
        for (int h = 0; h < q.axis[1].taps; h++) offsets[row++] = static_cast<int>(grid.tap(q, d, h, 0) * pixel);
    }
  }

  // Computes out[output][width]: the outputs of `run`, which is a part of one row of the tensor from `column` on.
  template <class Epilogue>
  void compute(const Block& b, int d, int row, int column, const Run& run, const T* w, const Input& x, T* out,
               const Epilogue& epilogue, PrefetchList<T>& ahead) const {
    const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
    const int h = row / ah.phases - b.row;
    for (int f = 0; f < aw.phases && f < run.pixels; f++) {
      const Phase& phase = phases[(d % ad.phases * ah.phases + row % ah.phases) * aw.phases + f];
      const Axis &qh = phase.pass.axis[1], &qw = phase.pass.axis[2];
      TapRows<T> k{offsets + phase.first_row,
                   phase.pass.axis[0].taps * qh.taps,
                   qw.taps,
                   p.c,
                   qw.spacing * pixel,
                   w + static_cast<ptrdiff_t>(phase.first_tap) * p.c * weights.width,
                   static_cast<ptrdiff_t>(qw.taps) * p.c * weights.width};
      if (phase.joined) k.run *= qw.taps, k.taps = qw.taps > 0;
      if (phase.pass.axis[0].taps == 1) {  // leaves out the rows of the kernel that read only padding
        int first, last;
        qh.taps_inside(b.row + h, b.row + h, first, last);
        k.offsets += first, k.rows = last - first, k.w += first * k.w_row;
      }
      const T* a = x.at + (h * ah.stride * grid.row + (column / aw.phases - b.column) * aw.stride) * x.pixel;
      const ptrdiff_t a_pixel = aw.stride * x.pixel, out_pitch = static_cast<ptrdiff_t>(aw.phases) * weights.width;
      even_parts(ceil_div(run.pixels - f, aw.phases), outer_rows, [&](int begin, int size) {
        const Run written{
            size,     run.channel, run.channels, run.first + (begin * aw.phases + f) * run.pixel, aw.phases * run.pixel,
            run.plane};
        prefetch_out<T>(written, p.y, p.out_elements());
        epilogue.prefetch(written);
        with_const<outer_rows>(size, [&](auto M) {
          constexpr int m = decltype(M)::value;
          T* to = out + f * weights.width + begin * out_pitch;
          if (weights.vectors == 1) channel_tile<T, m, 1>(a + begin * a_pixel, a_pixel, k, to, out_pitch, ahead.now());
          else channel_tile<T, m, outer_vectors>(a + begin * a_pixel, a_pixel, k, to, out_pitch, ahead.now());
        });
      });
    }
  }
};

}  // namespace EK_ISA
