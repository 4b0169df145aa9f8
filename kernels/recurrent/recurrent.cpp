// All steps of one direction of a recurrent layer in one call. Samples do not depend on one another, so a job takes
// some of them through all steps: jobs wait for nobody between steps, and what a job works on stays in its caches. The
// weights are packed once for all steps and jobs.
#include "gemm/block.h"
#include "kernel.h"
#include "recurrent/cells.h"
#include "scratch.h"

namespace EK_ISA {
namespace {

// Samples of a job at least: all weights are read for each step of a job, from the second cache or from the last one.
constexpr int kSamples = 16, kSamplesOfLarge = 32;
constexpr size_t kSecondCache = 1 << 20;  // bytes
constexpr int kJobs = 32;                 // work for many threads; the cut depends on the shape alone

// A matrix op(b) (k, n) that many products have on their right.
template <class T> class Right {
 public:
  Right(int n, int k, Scratch* scratch)
      : n_(n), k_(k), vectors_(n > lanes<T> ? outer_vectors : 1),
        packed_(scratch->take<T>(static_cast<size_t>(round_up(n, vectors_ * lanes<T>)) * k)) {}

  void pack(const T* b, int transpose) const {
    with_const<outer_vectors>(vectors_, [&](auto V) {
      Gemm<T>{nullptr, b, nullptr, nullptr, 0, n_, k_, 0, transpose, 0}.template share_b<decltype(V)::value>(packed_);
    });
  }

  // Rows begin … end − 1 of c = a·op(b) + bias, or of c plus that. left: room to pack a.
  void product(const T* a, const T* bias, T* c, bool accumulate, int begin, int end, T* left) const {
    with_const<outer_vectors>(vectors_, [&](auto vectors) {
      constexpr int V = decltype(vectors)::value;
      const Gemm<T> one{a, nullptr, bias, c, end, n_, k_, 0, 0, accumulate};
      for (int j = 0; j < n_; j += kColumns)
        one.template block<V>(begin, end - begin, j, n_ - j < kColumns ? n_ - j : kColumns, packed_, left, nullptr);
    });
  }

 private:
  int n_, k_, vectors_;
  T* packed_;
};

struct Sizes {
  int cell, steps, n, rows, h, out;
  bool projects, reverse;

  int step(int i) const { return reverse ? steps - 1 - i : i; }
};

// Calls body(begin, end, worker) for the samples of each job.
template <class T, class F> void for_samples(const Sizes& of, const F& body) {
  const size_t bytes = static_cast<size_t>(of.rows) * of.out * sizeof(T);
  const int least = bytes > kSecondCache ? kSamplesOfLarge : kSamples;
  int jobs = 1;
  while (jobs < kJobs && of.n >= 2 * jobs * least) jobs *= 2;
  parallel_for(
      jobs, [&](int job, int worker) { body(part_begin(of.n, job, jobs), part_begin(of.n, job + 1, jobs), worker); });
}

// The scratch: the packed weights, what workers pack a left side into, and the gradient behind a projection.
template <class T> struct Room {
  Right<T> recurrence, projection;
  T *left, *inner;

  Room(const Sizes& of, bool backward, Scratch* scratch)
      : recurrence(backward ? of.out : of.rows, backward ? of.rows : of.out, scratch),
        projection(of.projects ? (backward ? of.h : of.out) : 0, backward ? of.out : of.h, scratch),
        left(scratch->take<T>(packed_a<T>() * worker_count())),
        inner(scratch->take<T>(of.projects && backward ? static_cast<size_t>(of.n) * of.h : 0)) {}
};

// A matrix of so many columns for each step: that of step t.
template <class T> T* at(T* all, const Sizes& of, int t, int columns) {
  return all ? all + static_cast<ptrdiff_t>(t) * of.n * columns : nullptr;
}

template <class T>
void recurrent(const Sizes& of, const T* w_hh, const T* b_hh, const T* w_hr, const T* h0, const T* c0, T* gates,
               T* hidden, T* cells, T* unprojected, T* y, void* scratch) {
  Scratch parts(scratch);
  const Room<T> room(of, false, &parts);
  room.recurrence.pack(w_hh, 1);
  if (of.projects) room.projection.pack(w_hr, 1);
  const int h = of.h;
  for_samples<T>(of, [&](int begin, int end, int worker) {
    T* const left = room.left + packed_a<T>() * worker;
    const T *state = h0, *cell = c0;
    for (int i = 0; i < of.steps; i++) {
      const int t = of.step(i);
      T* const own = at(gates, of, t, of.rows);
      T* const sums = hidden ? at(hidden, of, t, of.rows) : own;
      T* const next = at(y, of, t, of.out);
      T* const now = at(cells, of, t, h);
      T* const before = of.projects ? at(unprojected, of, t, h) : next;
      room.recurrence.product(state, hidden ? b_hh : nullptr, sums, !hidden, begin, end, left);
      for (ptrdiff_t row = begin; row < end; row++) {
        T* const gate = own + row * of.rows;
        const ptrdiff_t first = row * h;
        if (of.cell == EK_CELL_LSTM) lstm_cell(gate, cell + first, now + first, before + first, h);
        else if (of.cell == EK_CELL_GRU) gru_cell(gate, sums + row * of.rows, state + first, next + first, h);
        else rnn_cell(of.cell == EK_CELL_RELU, gate, next + first, h);
      }
      if (of.projects) room.projection.product(before, nullptr, next, false, begin, end, left);
      state = next;
      cell = now;
    }
  });
}

template <class T>
void recurrent_backward(const Sizes& of, const T* w_hh, const T* w_hr, const T* h0, const T* c0, const T* gates,
                        const T* hidden, const T* cells, const T* y, const T* dy, T* dh, T* dc, T* dgates, T* dhidden,
                        T* dprojected, void* scratch) {
  Scratch parts(scratch);
  const Room<T> room(of, true, &parts);
  room.recurrence.pack(w_hh, 0);
  if (of.projects) room.projection.pack(w_hr, 0);
  const int h = of.h;
  for_samples<T>(of, [&](int begin, int end, int worker) {
    T* const left = room.left + packed_a<T>() * worker;
    for (int i = of.steps - 1; i >= 0; i--) {
      const int t = of.step(i), before = i > 0 ? of.step(i - 1) : 0;
      const T* const part = at(dy, of, t, of.out);
      const T* const state = i > 0 ? at(y, of, before, of.out) : h0;
      const T* const cell = i > 0 ? at(cells, of, before, h) : c0;
      const T* const own = at(gates, of, t, of.rows);
      T* const to = at(dgates, of, t, of.rows);
      T* const sums = hidden ? at(dhidden, of, t, of.rows) : to;
      if (of.projects) {
        // The projection is linear: what comes to its result goes on through the weights.
        T* const all = at(dprojected, of, t, of.out);
        for (ptrdiff_t e = static_cast<ptrdiff_t>(begin) * of.out; e < static_cast<ptrdiff_t>(end) * of.out; e++)
          all[e] = part ? part[e] + dh[e] : dh[e];
        room.projection.product(all, nullptr, room.inner, false, begin, end, left);
      }
      for (ptrdiff_t row = begin; row < end; row++) {
        const ptrdiff_t first = row * h, gate = row * of.rows;
        const T* const given = part && !of.projects ? part + first : nullptr;
        if (of.cell == EK_CELL_LSTM)
          lstm_cell_backward(own + gate, cell + first, at(cells, of, t, h) + first, given,
                             (of.projects ? room.inner : dh) + first, dc + first, to + gate, h);
        else if (of.cell == EK_CELL_GRU)
          gru_cell_backward(own + gate, at(hidden, of, t, of.rows) + gate, state + first, given, dh + first, to + gate,
                            sums + gate, h);
        else rnn_cell_backward(of.cell == EK_CELL_RELU, at(y, of, t, h) + first, given, dh + first, to + gate, h);
      }
      room.recurrence.product(sums, nullptr, dh, hidden, begin, end, left);
    }
  });
}

}  // namespace

EK_API int ek_recurrent_scratch(int dtype, int n, int rows, int h, int out, int projects, int backward) {
  const Sizes of{0, 0, n, rows, h, out, projects != 0, false};
  Scratch part(nullptr);
  EK_DISPATCH_FLOAT(dtype, Room<T>(of, backward != 0, &part);)
  return part.bytes();
}

EK_API int ek_recurrent(int cell, int dtype, int reverse, int projects, const void* w_hh, const void* b_hh,
                        const void* w_hr, const void* h0, const void* c0, void* gates, void* hidden, void* cells,
                        void* unprojected, void* y, int steps, int n, int rows, int h, int out, void* scratch) {
  if (n == 0) return EK_OK;
  const Sizes of{cell, steps, n, rows, h, out, projects != 0, reverse != 0};
  EK_DISPATCH_FLOAT(
      dtype, recurrent<T>(of, static_cast<const T*>(w_hh), static_cast<const T*>(b_hh), static_cast<const T*>(w_hr),
                          static_cast<const T*>(h0), static_cast<const T*>(c0), static_cast<T*>(gates),
                          static_cast<T*>(hidden), static_cast<T*>(cells), static_cast<T*>(unprojected),
                          static_cast<T*>(y), scratch);)
  return EK_OK;
}

EK_API int ek_recurrent_backward(int cell, int dtype, int reverse, int projects, const void* w_hh, const void* w_hr,
                                 const void* h0, const void* c0, const void* gates, const void* hidden,
                                 const void* cells, const void* y, const void* dy, void* dh, void* dc, void* dgates,
                                 void* dhidden, void* dprojected, int steps, int n, int rows, int h, int out,
                                 void* scratch) {
  if (n == 0) return EK_OK;
  const Sizes of{cell, steps, n, rows, h, out, projects != 0, reverse != 0};
  EK_DISPATCH_FLOAT(dtype, recurrent_backward<T>(
                               of, static_cast<const T*>(w_hh), static_cast<const T*>(w_hr), static_cast<const T*>(h0),
                               static_cast<const T*>(c0), static_cast<const T*>(gates), static_cast<const T*>(hidden),
                               static_cast<const T*>(cells), static_cast<const T*>(y), static_cast<const T*>(dy),
                               static_cast<T*>(dh), static_cast<T*>(dc), static_cast<T*>(dgates),
                               static_cast<T*>(dhidden), static_cast<T*>(dprojected), scratch);)
  return EK_OK;
}

}  // namespace EK_ISA
