// The CTC loss. The states of a sample are its labels with blanks before, between and behind them. A row holds one
// number for each state, behind two of −inf: so the states before a state are read without asking where it begins, in
// vectors along the states.
#include "kernel.h"
#include "simd/math.h"
#include "simd/strip.h"

namespace EK_ISA {
namespace {

constexpr int kBefore = 2;

struct Problem {
  const int64_t* targets;
  const int *input_lengths, *target_lengths, *offsets;
  int steps, n, classes, most, blank;
  int row() const { return 2 * most + 1 + kBefore; }
  int states(int i) const { return 2 * target_lengths[i] + 1; }
  const int64_t* labels(int i) const { return targets + offsets[i]; }
  int label(int i, int state) const { return state % 2 == 0 ? blank : static_cast<int>(labels(i)[state / 2]); }
  template <class T> const T* probabilities(const T* log_p, int i, int step) const {
    return log_p + (static_cast<int64_t>(step) * n + i) * classes;
  }
  template <class T> T* alpha(T* all, int i, int step) const {
    return all + (static_cast<int64_t>(i) * steps + step) * row();
  }
};

template <class T> EK_INLINE vec<T> log_sum3(vec<T> a, vec<T> b, vec<T> c) {
  vec<T> m = greater(greater(a, b), c);
  m = m == -real<T>::inf ? vec<T>{} : m;
  return log<T>(exp<T>(a - m) + exp<T>(b - m) + exp<T>(c - m)) + m;
}
template <class T> EK_INLINE T log_sum2(T a, T b) { return log_sum3<T>(splat(a), splat(b), splat(-real<T>::inf))[0]; }

// 0 where a state may be entered from the one before the last, which is another label; −inf elsewhere.
template <class T> void find_jumps(const Problem& p, int i, T* jumps) {
  for (int s = 0; s < p.states(i); s++)
    jumps[s] = s % 2 == 1 && s > 1 && p.label(i, s) != p.label(i, s - 2) ? T(0) : -real<T>::inf;
}
template <class T> void gather(const Problem& p, int i, const T* probabilities, T* out) {
  for (int s = 0; s < p.states(i); s++) out[s] = probabilities[p.label(i, s)];
}

template <class T> T forward(const Problem& p, int i, const T* log_p, T* all, T* jumps, T* emitted) {
  const int steps = p.input_lengths[i], states = p.states(i);
  if (steps == 0) return states == 1 ? T(0) : real<T>::inf;
  find_jumps(p, i, jumps);
  for (int t = 0; t < steps; t++) {
    T* to = p.alpha(all, i, t);
    for (int s = 0; s < kBefore; s++) to[s] = -real<T>::inf;
    to += kBefore;
    gather(p, i, p.probabilities(log_p, i, t), emitted);
    if (t == 0) {
      for (int s = 0; s < states; s++) to[s] = s < 2 ? emitted[s] : -real<T>::inf;
      continue;
    }
    const T* from = p.alpha(all, i, t - 1) + kBefore;
    for_vectors<T>(0, states, [&](auto at) {
      at.write(to,
               log_sum3<T>(at.read(from), at.read(from - 1), at.read(from - 2) + at.read(jumps)) + at.read(emitted));
    });
  }
  const T* last = p.alpha(all, i, steps - 1) + kBefore;
  return -(states == 1 ? last[0] : log_sum2(last[states - 1], last[states - 2]));
}

// beta runs from the last state to the first: with the states turned round it is the recursion of alpha, and the label
// after the next one differs where it does so from the other side.
template <class T>
void backward(const Problem& p, int i, T g, T loss, const T* log_p, const T* all, T* dlog_p, bool lose_infinite,
              T* jumps, T* emitted, T* beta) {
  const int steps = p.input_lengths[i], states = p.states(i);
  const bool is_lost = lose_infinite && loss == real<T>::inf;
  for (int t = p.steps - 1; t >= 0; t--) {
    const T* probabilities = p.probabilities(log_p, i, t);
    T* d = const_cast<T*>(p.probabilities(dlog_p, i, t));
    if (t >= steps || is_lost) {
      for (int c = 0; c < p.classes; c++) d[c] = 0;
      continue;
    }
    if (t == steps - 1) {
      find_jumps(p, i, jumps);
      for (int s = 0; s < kBefore; s++) beta[s] = -real<T>::inf;
    }
    gather(p, i, probabilities, emitted);
    T* b = beta + kBefore;  // b[r] is that of state states − 1 − r
    if (t == steps - 1) {
      for (int r = 0; r < states; r++) b[r] = r < 2 ? emitted[states - 1 - r] : -real<T>::inf;
    } else {
      // From the highest r on, so that what is read has the values of the next step.
      for (int end = states; end > 0; end -= lanes<T>) {
        const int begin = end > lanes<T> ? end - lanes<T> : 0;
        T jump[lanes<T>], emit[lanes<T>];
        for (int r = begin; r < end; r++) {
          const int s = states - 1 - r;
          jump[r - begin] = r > 1 ? jumps[s + 2] : -real<T>::inf;
          emit[r - begin] = emitted[s];
        }
        const int count = end - begin;
        const vec<T> value = log_sum3<T>(load_some(b + begin, count), load_some(b + begin - 1, count),
                                         load_some(b + begin - 2, count) + load_some(jump, count)) +
                             load_some(emit, count);
        store_some(b + begin, value, count);
      }
    }
    // The probability of being in state s at step t, by the label it emits.
    const T* a = p.alpha(all, i, t) + kBefore;
    for (int c = 0; c < p.classes; c++) d[c] = 0;
    for (int begin = 0; begin < states; begin += lanes<T>) {
      const int count = states - begin < lanes<T> ? states - begin : lanes<T>;
      T share[lanes<T>];
      for (int s = 0; s < count; s++) share[s] = b[states - 1 - (begin + s)];
      const vec<T> e = load_some(emitted + begin, count);
      const vec<T> log_share = load_some(a + begin, count) + load_some(share, count) + loss - e;
      store_some(share, exp<T>(e == -real<T>::inf ? splat(-real<T>::inf) : log_share), count);
      for (int s = 0; s < count; s++) d[p.label(i, begin + s)] += share[s];
    }
    for_vectors<T>(0, p.classes, [&](auto at) { at.write(d, (exp<T>(at.read(probabilities)) - at.read(d)) * g); });
  }
}

}  // namespace

EK_API int ek_ctc_scratch(int dtype, int most) {
  return 3 * (2 * most + 1 + kBefore) * (dtype == EK_FLOAT64 ? 8 : 4) * worker_count();
}

EK_API int ek_ctc_loss(int dtype, const void* log_p, const void* targets, int labels, const int* input_lengths,
                       const int* target_lengths, const int* offsets, int steps, int n, int classes, int most,
                       int blank, void* losses, void* alpha, void* scratch) {
  const Problem p{
      static_cast<const int64_t*>(targets), input_lengths, target_lengths, offsets, steps, n, classes, most, blank};
  for (int i = 0; i < n; i++) {
    if (offsets[i] < 0 || target_lengths[i] < 0 || target_lengths[i] > most ||
        offsets[i] > labels - target_lengths[i] || input_lengths[i] < 0 || input_lengths[i] > steps)
      return EK_BAD_ARGUMENT;
    for (int k = 0; k < target_lengths[i]; k++)
      if (p.labels(i)[k] < 0 || p.labels(i)[k] >= classes) return EK_BAD_INDEX;
  }
  EK_DISPATCH_FLOAT(dtype, parallel_for(n, [&](int i, int worker) {
    T* rows = static_cast<T*>(scratch) + static_cast<int64_t>(worker) * 3 * p.row();
    static_cast<T*>(losses)[i] = forward(p, i, static_cast<const T*>(log_p), static_cast<T*>(alpha), rows,
                                         rows + p.row());
  });)
  return EK_OK;
}

EK_API int ek_ctc_loss_backward(int dtype, const void* g, const void* log_p, const void* targets, int labels,
                                const int* input_lengths, const int* target_lengths, const int* offsets,
                                const void* losses, const void* alpha, void* dlog_p, int steps, int n, int classes,
                                int most, int blank, int lose_infinite, void* scratch) {
  (void)labels;
  const Problem p{
      static_cast<const int64_t*>(targets), input_lengths, target_lengths, offsets, steps, n, classes, most, blank};
  EK_DISPATCH_FLOAT(dtype, parallel_for(n, [&](int i, int worker) {
    T* rows = static_cast<T*>(scratch) + static_cast<int64_t>(worker) * 3 * p.row();
    backward(p, i, static_cast<const T*>(g)[i], static_cast<const T*>(losses)[i], static_cast<const T*>(log_p),
             static_cast<const T*>(alpha), static_cast<T*>(dlog_p), lose_infinite != 0, rows, rows + p.row(),
             rows + 2 * p.row());
  });)
  return EK_OK;
}

}  // namespace EK_ISA
