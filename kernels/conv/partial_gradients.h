// What the cores for the gradient of the weights share: how the work is cut into jobs, the partial gradients that jobs
// leave, and how those are merged; sums for the gradient of the bias.
#pragma once
#include "conv/channel_lanes.h"

namespace EK_ISA {

// Jobs that the gradient of the weights should have at least. Fewer than elsewhere (kConvJobs): with more jobs there
// are more partial gradients to merge.
constexpr int kWeightJobs = 16;

// Stores a tile, or adds it to what is there.
template <class T, int M, int V> EK_INLINE void put_tile(vec<T> (&acc)[M][V], bool add, T* out, ptrdiff_t out_row) {
  // All loads come before the stores: the processor takes rows that lie a multiple of 4 KiB apart for the same memory.
  if (add)
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
#pragma GCC unroll 16
      for (int v = 0; v < V; v++) acc[i][v] += load(out + i * out_row + v * lanes<T>);
#pragma GCC unroll 16
  for (int i = 0; i < M; i++)
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) store(out + i * out_row + v * lanes<T>, acc[i][v]);
}

// Calls body(pixel, run) for the contiguous runs of dy in a block; a run begins at pixel `pixel` of the block. p: the
// forward pass.
template <class T, class F>
EK_INLINE void each_gradient_run(const Pass<T>& p, const Block& b, int channel, int channels, const F& body) {
  for (int i = 0; i < b.images; i++)
    each_output_unit(p, b, i, channel, channels, b.rows * b.columns,
                     [&](int, int row, int, int column, int, const Run& run) {
      body((i * b.rows + row - b.row) * b.columns + column - b.column, run);
    });
}

// sums[c] += Σ over the pixels: g[pixel·pitch + c]
template <class T> inline void add_pixels(const T* g, ptrdiff_t pitch, int pixels, int channels, double* sums) {
  for (int c = 0; c < channels; c += lanes<T>) {
    const int n = channels - c < lanes<T> ? channels - c : lanes<T>;
    vec<T> s = {};
    for (int j = 0; j < pixels; j++) s += load_some(g + j * pitch + c, n);
    for (int l = 0; l < n; l++) sums[c + l] += s[l];
  }
}

// dbias[c] = Σ over the splits: partials[split][c]
template <class T> inline void merge_bias(const double* partials, int splits, int channels, T* dbias) {
  for (int c = 0; c < channels; c++) {
    double s = 0;
    for (int split = 0; split < splits; split++) s += partials[static_cast<size_t>(split) * channels + c];
    dbias[c] = static_cast<T>(s);
  }
}

// Cuts the gradient of the weights into jobs, and merges the partial gradients that the jobs leave. A job computes the
// gradient of a chunk of input channels × a chunk of output channels of one group, over a split of the blocks of
// pixels.
template <class T> struct PartialGradients {
  Pass<T> given, p;  // the forward pass, of which y is not used; p may be exchanged
  const T* dy;
  // x and dy have changed places: p.x is dy, p.c are the output channels and p.o the input channels. Everywhere below
  // x, c and o mean those of p.
  bool exchanged = false;
  bool direct = false;  // a job writes its gradient into dw itself
  int c_chunk, c_chunks, o_chunk, o_chunks, blocks_cut, splits;
  size_t partial_size;
  T* partials;
  double* bias_partials;  // [split][output]

  // A job leaves a partial gradient [tap][c of the chunk][o of the chunk].
  struct Job {
    // part: an index over [group][chunk of c][chunk of o]; c and o: the first channels of the chunks, within the group.
    int split, part, group, c, c_count, o, o_count;
  };

  PartialGradients(const Pass<T>& pass, const T* gradient) : given(pass), p(pass), dy(gradient) {}

  // With a kernel of one tap and no padding, dw is a product of two matrices, which may change places. p then becomes
  // the pass over dy.
  bool may_exchange() const {
    bool unpadded = true;
    for (const Axis& a : p.axis) unpadded = unpadded && a.offset == 0;
    return p.taps() == 1 && unpadded && p.x_format == EK_CHANNELS_LAST && p.y_format == EK_CHANNELS_LAST;
  }
  void exchange() {
    p.x = dy, p.c = given.o, p.o = given.c, p.w_in = given.w_out, p.w_out = given.w_in;
    for (Axis& a : p.axis) a.in_size = a.count, a.unit = 1;
    exchanged = true;
  }
  void restore() { p = given, exchanged = false; }

  // Cuts into chunks of c and o channels, and into splits of at least one block, so that there are kWeightJobs jobs.
  void cut(int c, int o, int blocks) {
    c_chunk = c, c_chunks = ceil_div(p.c, c), o_chunk = o, o_chunks = ceil_div(p.o, o);
    const int wanted = ceil_div(kWeightJobs, parts());
    blocks_cut = blocks, splits = wanted < blocks ? wanted : blocks,
    partial_size = static_cast<size_t>(p.taps()) * c * o;
  }
  void take(Scratch& scratch) {
    if (!direct)
      partials = scratch.take<T>(partial_size * (splits > 1 ? static_cast<size_t>(parts()) * splits : worker_count()));
    bias_partials = scratch.take<double>(static_cast<size_t>(outputs()) * p.groups * splits);
  }

  int first_block(int split) const { return part_begin(blocks_cut, split, splits); }
  int parts() const { return p.groups * c_chunks * o_chunks; }
  int outputs() const { return exchanged ? p.c : p.o; }            // output channels of the convolution, in a group
  ptrdiff_t out_row() const { return direct ? p.w_in : o_chunk; }  // elements between the rows c of a job's gradient
  Job job_of(int index) const {
    const int part = index % parts(), o = part % o_chunks * o_chunk, c = part / o_chunks % c_chunks * c_chunk;
    return {index / parts(),
            part,
            part / (o_chunks * c_chunks),
            c,
            p.c - c < c_chunk ? p.c - c : c_chunk,
            o,
            p.o - o < o_chunk ? p.o - o : o_chunk};
  }

  // Calls body(block, job) for the block that this worker will probably read next: the job's next block, or the first
  // block of the worker's next job.
  template <class F> void with_next(int index, const Job& job, int block, const F& body) const {
    const int next = index + worker_count();
    if (block + 1 < first_block(job.split + 1)) body(block + 1, job);
    else if (next < splits * parts()) body(first_block(job_of(next).split), job_of(next));
  }

  // Runs all jobs. body(index, worker, job, gradient, bias_sums) writes the job's gradient, and adds to the sums for
  // the bias of its output channels; these are null if another job takes them.
  template <class F> void run(T* dw, T* dbias, const F& body) const {
    parallel_for(splits * parts(), [&](int index, int worker) {
      const Job job = job_of(index);
      T* out = direct ? dw + job.group * p.w_group + job.c * p.w_in + job.o
                      : partials + (splits > 1 ? index : worker) * partial_size;
      const int first = exchanged ? job.c : job.o, count = exchanged ? job.c_count : job.o_count;
      const bool sums_bias = dbias && (exchanged ? job.o : job.c) == 0;
      double* sums = sums_bias
                         ? bias_partials + (static_cast<size_t>(job.split) * p.groups + job.group) * outputs() + first
                         : nullptr;
      for (int i = 0; sums && i < count; i++) sums[i] = 0;
      body(index, worker, job, out, sums);
      for (int slice = 0; splits == 1 && !direct && slice < slices(); slice++) merge(job, slice, out, dw);
    });
    if (splits > 1)
      parallel_for(parts() * slices(), [&](int index, int) {
        const int part = index / slices();
        merge(job_of(part), index % slices(), partials + part * partial_size, dw);
      });
    if (dbias) merge_bias(bias_partials, splits, outputs() * p.groups, dbias);
  }

 private:
  // Adds up the partial gradients of all splits, one split after the other, and writes dw[o][c][tap]. `partial`: the
  // one of the first split. A slice is a square of outputs o and places (c, tap). It is added up on the stack, and then
  // transposed, unless x and dy are exchanged.
  static constexpr int kSlice = 64;
  int slices() const { return ceil_div(o_chunk, kSlice) * ceil_div(c_chunk * p.taps(), kSlice); }
  void merge(const Job& job, int slice, const T* partial, T* dw) const {
    constexpr int L = lanes<T>;
    const int taps = p.taps(), across = ceil_div(o_chunk, kSlice), o = slice % across * kSlice,
              begin = slice / across * kSlice;
    const int outputs = job.o_count - o < kSlice ? job.o_count - o : kSlice, places = job.c_count * taps - begin,
              n = places < kSlice ? places : kSlice;
    if (outputs <= 0 || n <= 0) return;
    const size_t step = partial_size * parts();
    T sums[kSlice * kSlice];
    for (int i = 0, c = begin / taps, t = begin % taps; i < n; i++) {
      const T* from = partial + (static_cast<ptrdiff_t>(t) * c_chunk + c) * o_chunk + o;
      for (int v = 0; v < outputs; v += L) {
        vec<T> s = load(from + v);
        for (int split = 1; split < splits; split++) s += load(from + v + split * step);
        store(sums + i * kSlice + v, s);
      }
      if (++t == taps) t = 0, c++;
    }
    T* to = dw + job.group * p.w_group + (job.o + o) * p.w_out;
    if (!exchanged) return copy_transposed(sums, kSlice, n, outputs, to + job.c * taps + begin, p.w_out);
    for (int i = 0; i < n; i++) copy_run(to + (job.c + begin + i) * p.w_in, sums + i * kSlice, outputs);
  }
};

}  // namespace EK_ISA
