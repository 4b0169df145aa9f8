// Loop core whose lanes are output channels: a tile of pixels × channels, over input rows packed channels last and zero
// padded, so that one kernel row of a pixel is a contiguous run. Best when a group has many output channels.
// conv_core.h chooses.
#pragma once
#include "conv/pack.h"
#include "simd/tile.h"

namespace EK_ISA {

// What a tile of pixels × V vectors of channels adds up: rows of taps, each `taps` runs of `run` neighbouring inputs.
// w[row][tap][input] [V·lanes], with w_row between rows.
template <class T> struct TapRows {
  const int* offsets;  // of the rows, from the first pixel's input
  int rows, taps, run;
  ptrdiff_t tap;  // between taps
  const T* w;
  ptrdiff_t w_row;
};

// Asks for some lines at once.
constexpr int kAskedLines = 32;
template <class T> __attribute__((noinline)) void ask_ahead(Ahead<T>& ahead) {
  ahead.during([](const auto& ask) {
    for (int i = 0; i < kAskedLines; i++) ask();
  });
}

// out[pixel·out_pitch + V·lanes] = Σ a[pixel·a_pixel + …] · w[…][V·lanes]
template <class T, int M, int V>
__attribute__((noinline)) void channel_tile(const T* a, ptrdiff_t a_pixel, const TapRows<T>& k, T* out,
                                            ptrdiff_t out_pitch, Ahead<T>& ahead) {
  constexpr int W = V * lanes<T>;
  // A step of one vector is bound by its loads, to which asking adds one. Several taps read few new lines: they ask at
  // the beginning. float64 serves checks, where size weighs more.
  constexpr bool by_loads = has_prefetch && V == 1 && sizeof(T) == 4;
  const bool at_once = by_loads && k.rows * k.taps > 1;
  if (at_once && !ahead.done()) ask_ahead(ahead);
  vec<T> acc[M][V] = {};
  const auto add_runs = [&](const auto& ask) __attribute__((always_inline)) {
    for (int r = 0; r < k.rows; r++) {
      const T* w = k.w + r * k.w_row;
      const T* from = a + k.offsets[r];
      for (int t = 0; t < k.taps; t++, from += k.tap, w += static_cast<ptrdiff_t>(k.run) * W)
        outer<T, M, V>(acc, from, a_pixel, 1, w, W, k.run, ask);
    }
  };
  if (by_loads && (at_once || ahead.done())) add_runs([] {});
  else ahead.during(add_runs);
#pragma GCC unroll 16
  for (int i = 0; i < M; i++)
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) store(out + i * out_pitch + v * lanes<T>, acc[i][v]);
}

constexpr int kChunkChannels = 128;  // of output: as many pay for packing an input once more
// Of a job's outputs where inputs are read once: as much of each tensor that an epilogue reads is asked for a job
// ahead.
constexpr int kOutBytes = 128 << 10;
constexpr int kWeightRun = 512;  // weights of an output channel that are packed together: runs long enough for memory

// Weights of `count` input channels from `first` on and of up to `width` output channels from `o` on, zero beyond the
// last: value (c, position) goes to out[places[c·kernel + position] + output channel].
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
    // Runs far apart, which no hardware foresees.
    for (int i = 0; i < used * kernel; i += 64 / sizeof(T)) __builtin_prefetch(w + 4 * p.w_in + i);
    if (kernel == 1) copy_run(out + *places, w, used);
    else transpose_to(w, p.w_out, used, kernel, [&](int k) { return out + places[k]; });
  }
}

// The memory of the weights of up to `width` output channels from `o` on.
template <class T> Ahead<T> memory_of_weights(const Pass<T>& p, int group, int o, int width) {
  const T* at = p.w + group * p.w_group + o * p.w_out;
  const ptrdiff_t run = (p.o - o < width ? p.o - o : width) * p.w_out;
  if (p.w_in == p.kernel_size()) return {at, at + run, at + run, 0, 0};
  return {at, at + run, at + (p.c - 1) * p.w_in + run, p.w_in - run, p.w_in};
}

constexpr int kFewJobs = 8;  // blocks of output channels that are work enough for several threads

// The weights of a pass, each block of output channels packed [phase][tap][c][width] and zero beyond the group's last
// channel: of all blocks at once, before the jobs that multiply with them; or by the one job that does all outputs of a
// block, in its worker's cache, from where they never go to memory.
template <class T> struct ChannelWeights {
  int vectors, width, blocks, some;  // some: input channels that are packed together
  bool by_job;
  size_t size;  // of a block
  T* packed;    // of all blocks, or of each worker
  int* places;  // [c][position of the kernel]: of the first channels' weights in a block

  ChannelWeights(const Pass<T>& p, Scratch& scratch) {
    vectors = p.o > lanes<T> ? outer_vectors : 1, width = vectors * lanes<T>, blocks = ceil_div(p.o, width);
    // Where there are more weights than inputs, which every job of a block reads.
    by_job = p.groups * blocks >= kFewJobs &&
             p.n * static_cast<double>(p.in_volume()) <= p.kernel_size() * static_cast<double>(p.o);
    size = static_cast<size_t>(p.kernel_size()) * p.c * width;
    some = ceil_div(kWeightRun, p.kernel_size());
    packed = scratch.take<T>(size * (by_job ? worker_count() : blocks * p.groups));
    places = scratch.take<int>(static_cast<size_t>(some) * p.kernel_size());
  }

  // Before any job.
  void prepare(const Pass<T>& p) const {
    const int kernel = p.kernel_size();
    int taps = 0;
    for (int f = 0; f < p.phases(); f++) {
      const Pass<T> q = p.phase(f);
      for (int d = 0; d < q.axis[0].taps; d++)
        for (int h = 0; h < q.axis[1].taps; h++)
          for (int w = 0; w < q.axis[2].taps; w++, taps++)
            for (int c = 0; c < some; c++) places[c * kernel + q.tap(d, h, w)] = (taps * p.c + c) * width;
    }
    if (by_job) return;
    const int parts = ceil_div(p.c, some);
    parallel_for(p.groups * blocks * parts,
                 [&](int job, int) { pack(p, job / parts, job % parts, packed + job / parts * size); });
  }
  // A block of a group, for the worker's job.
  const T* of(const Pass<T>& p, int group, int block, int worker) const {
    const int index = group * blocks + block;
    T* own = packed + (by_job ? worker : index) * size;
    for (int part = 0; by_job && part < ceil_div(p.c, some); part++) pack(p, index, part, own);
    return own;
  }
  // The memory of a block's weights.
  Ahead<T> memory_of_block(const Pass<T>& p, int index) const {
    return memory_of_weights(p, index / blocks, index % blocks * width, width);
  }

 private:
  void pack(const Pass<T>& p, int index, int part, T* out) const {
    const int c = part * some;
    gather_weights(p, places, index / blocks, index % blocks * width, width, c, p.c - c < some ? p.c - c : some,
                   out + static_cast<ptrdiff_t>(c) * width);
  }
};

template <class T> struct ChannelLanes {
  // A phase, and where its tables begin.
  struct Phase {
    Pass<T> pass;
    int first_row, first_tap;
    bool joined;  // the taps of a row are one run
  };
  // A block's input, from its first pixel on, and the step between its pixels.
  struct Input {
    const T* at;
    ptrdiff_t pixel;
  };
  Pass<T> p;
  Blocks blocks;
  PackedGrid grid;
  ChannelWeights<T> weights;
  ptrdiff_t pixel;  // between packed pixels
  int per_chunk;    // blocks of output channels that a job does
  size_t packed_size, out_size, worker_size;
  T *inputs, *workers;  // inputs: of all blocks, where a job does all outputs of a block of channels
  Phase* phases;
  int* offsets;

  // What reads each input once is cut in chunks of output channels before its blocks become small: sums of an epilogue
  // are merged from fewer blocks. Of each the outputs, and what an epilogue reads beside them, stay in L2.
  static Blocks choose(const Pass<T>& p) {
    const int chunks = p.reads_once() && p.o > kChunkChannels ? p.o / kChunkChannels : 1;
    const Blocks b = choose_blocks(p, p.c, kPackedBytes / static_cast<int>(sizeof(T)),
                                   ceil_div(kConvJobs, p.groups * chunks), outer_rows);
    const int most = kOutBytes / static_cast<int>(sizeof(T)) / (p.o < kChunkChannels ? p.o : kChunkChannels);
    return p.reads_once() && b.images * b.rows * b.columns > most ? pixel_blocks(p, most) : b;
  }

  // Vector operations for the whole pass and group, beside which all else is small; for choosing between the cores.
  static double cost(const Pass<T>& p) {
    const double pixels = static_cast<double>(p.out_volume());
    double moved = 0;  // transposing costs about one operation for each element
    if (p.x_format == EK_CONTIGUOUS) moved += p.c * static_cast<double>(p.in_volume());
    if (p.y_format == EK_CONTIGUOUS) moved += p.o * pixels;
    return pixels * p.kernel_size() / p.phases() * p.c * ceil_div(p.o, lanes<T>) + moved;
  }

  ChannelLanes(const Pass<T>& pass, Scratch& scratch)
      : p(pass), blocks(choose(pass)), grid(pass, blocks), weights(pass, scratch) {
    // Pixels a power of two apart would meet in the same few sets of the L1 cache.
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
  // A job packs a block of inputs, and multiplies it with a chunk of the output channels.
  template <class Prologue, class Epilogue>
  void run_by_blocks(bool in_place, const Prologue& prologue, const Epilogue& epilogue) const {
    // A chunk that packs nothing costs nothing.
    const int some = ceil_div(kChunkChannels, weights.width), per = in_place && some < per_chunk ? some : per_chunk;
    const int chunks = ceil_div(weights.blocks, per);
    parallel_for(blocks.count() * p.groups * chunks, [&](int job, int worker) {
      const int chunk = job % chunks, group = job / chunks % p.groups, index = job / (chunks * p.groups);
      const Block b = blocks(p, index);
      const auto part = epilogue.part(index);
      T *out = workers + worker * worker_size, *packed = out + out_size;
      if (!in_place) pack_rows(p, grid, b, group * p.c, p.c, pixel, prologue, packed);
      AheadOf<T> ahead = after(job, per, chunks, prologue, epilogue);
      const int end = (chunk + 1) * per < weights.blocks ? (chunk + 1) * per : weights.blocks;
      for (int block = chunk * per; block < end; block++)
        outputs(b, group, block, input_of(in_place, b, group, packed), weights.of(p, group, block, worker), out, part,
                ahead);
      stream_fence();
    });
  }
  // All inputs are packed first; then a job multiplies them with one block of output channels.
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
      AheadOf<T> ahead;
      if (job + worker_count() < p.groups * weights.blocks) ahead.add(weights.memory_of_block(p, job + worker_count()));
      if (weights.vectors > 1) ahead.pace(blocks.count() * asks(blocks(p, 0)));
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

  // The outputs of a block of pixels and one of channels, from its inputs and that block's weights.
  template <class Epilogue>
  void outputs(const Block& b, int group, int block, const Input& input, const T* w, T* out, const Epilogue& part,
               AheadOf<T>& ahead) const {
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

  // How often the outputs of a block of pixels and one of channels can ask for something.
  double asks(const Block& b) const {
    return static_cast<double>(b.images) * b.rows * ceil_div(b.columns, outer_rows) * p.taps() * p.c;
  }
  // What the job reads that this worker will probably take next.
  template <class Prologue, class Epilogue>
  AheadOf<T> after(int job, int per, int chunks, const Prologue& prologue, const Epilogue& epilogue) const {
    AheadOf<T> ahead;
    const int next = job + worker_count(), index = next / (chunks * p.groups);
    if (p.groups > 1 || index >= blocks.count()) return ahead;
    const Block b = blocks(p, index);
    if (index != job / chunks) add_inputs(p, b, 0, p.c, prologue, ahead);
    const int o = next % chunks * per * weights.width, some = per * weights.width,
              channels = p.o - o < some ? p.o - o : some;
    add_beside(p, b, o, channels, epilogue, ahead);
    if (weights.vectors > 1) ahead.pace(per * asks(b));
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

  // The outputs of a row of the tensor, in depth d, that become `run`, from `column` on: out[output][width].
  template <class Epilogue>
  void compute(const Block& b, int d, int row, int column, const Run& run, const T* w, const Input& x, T* out,
               const Epilogue& epilogue, AheadOf<T>& ahead) const {
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
      if (phase.pass.axis[0].taps == 1) {  // without the kernel's rows that see only padding
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
        expect_out<T>(written, p.y, p.out_elements());
        epilogue.expect(written);
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
