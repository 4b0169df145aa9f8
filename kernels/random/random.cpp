// Random numbers as PyTorch's kernels for the cpu draw them, to the last bit where PyTorch uses no logarithm or sine in
// double. Which words make which element depends on its place alone, and on nothing that runs.
#include "random/box_muller.h"
#include "random/stream.h"
#include "types.h"

namespace EK_ISA {
namespace {

constexpr int kChunk = 512;  // elements whose words are on the stack

// Integers below 2^52 as doubles: with the exponent of 2^52 the lowest bit of the mantissa is 1.
constexpr uint64_t kExponent = 0x4330000000000000u;
constexpr double kTwo52 = 0x1p52;
EK_INLINE vec<double> to_double(vec<uint64_t> v) { return (vec<double>)(v | kExponent) - kTwo52; }

// The 53 bits that make a double, of two words, the first of which is the high one.
EK_INLINE vec<double> bits53(const word* pairs) {
  vec<uint64_t> both;
  __builtin_memcpy(&both, pairs, sizeof both);
  return to_double(both & 0x1fffffu) * 0x1p32 + to_double(both >> 32);
}
template <class T> constexpr int words_of = sizeof(T) == 8 ? 2 : 1;
// Numbers of [0, 1) in a vector: of 24 bits of one word, or of 53 bits of two.
template <class T> EK_INLINE vec<T> unit(const word* words) {
  if constexpr (sizeof(T) == 8) return bits53(words) * 0x1p-53;
  else return __builtin_convertvector((ivec<float>)(load(words) & 0xffffffu), vec<float>) * 0x1p-24f;
}

// Calls convert(words, begin, count) for all elements, in parts of at most kChunk.
template <int each, class F> int draw_chunks(word* state, int used, int n, void* scratch, const F& convert) {
  return draw(state, used, each, n, scratch, [&](Stream& stream, int begin, int end) {
    alignas(64) word words[kChunk * each] = {};
    for (; begin < end; begin += kChunk) {
      const int count = end - begin < kChunk ? end - begin : kChunk;
      stream.take(words, count * each);
      convert(words, begin, count);
    }
  });
}
// The same with vectors: value(words, i) is that of the elements from i on.
template <class T, int each, class F> int draw_vectors(word* state, int used, T* out, int n, void* scratch, F value) {
  return draw_chunks<each>(state, used, n, scratch, [=](const word* words, int begin, int count) {
    for_vectors<T>(0, count,
                   [&](auto at) { at.write(out + begin, value(words + at.i * each, begin + at.i, at.count)); });
  });
}

template <class T> int uniform(word* state, int used, T* out, int n, T from, T to, void* scratch) {
  if (from == 0 && to == 1)
    return draw_vectors<T, words_of<T>>(state, used, out, n, scratch,
                                        [](const word* w, int, int) EK_INLINE_LAMBDA { return unit<T>(w); });
  const vec<T> low = splat(from), high = splat(to), span = splat(static_cast<T>(to - from));
  return draw_vectors<T, words_of<T>>(state, used, out, n, scratch, [=](const word* w, int, int) EK_INLINE_LAMBDA {
    const vec<T> value = fused(unit<T>(w), span, low);
    return value == high ? low : value;
  });
}

template <class T> void normals(word* state, int used, T* out, int n, T mean, T std, void* scratch) {
  constexpr int each = words_of<T>;
  const auto convert = [=](const word* words, int begin, int count) {
    alignas(64) T units[kChunk] = {};
    for (int i = 0; i < count; i += lanes<T>) store(units + i, unit<T>(words + i * each));
    for (int i = 0; i < count; i += kPairs<T>) box_muller(units + i, count - i, out + begin + i, mean, std);
  };
  const int rest = n % 16;
  used = draw_chunks<each>(state, used, n - rest, scratch, convert);
  if (rest == 0) return;
  // What is left over is drawn, and then drawn anew with as many before it as make 16.
  alignas(64) word words[16 * each];
  Stream stream(state, used);
  stream.take(words, rest * each);
  stream.take(words, 16 * each);
  convert(words, n - 16, 16);
  stream.save(state);
}

// w mod span for words w, in double: the quotient is rounded to the nearest, so it may be one too large.
struct remainder {
  double span, inverse;
  explicit remainder(int of) : span(of), inverse(1.0 / of) {}
  EK_INLINE vec<double> of(vec<double> w) const {
    const vec<double> quotient = (w * inverse + kTwo52) - kTwo52, rest = w - quotient * span;
    return rest < 0.0 ? rest + span : rest;
  }
};

template <class T>
void random_integers(word* state, int used, T* out, int n, int64_t from, uint64_t range, void* scratch) {
  if (range >= 1u << 28) {
    draw_chunks<2>(state, used, n, scratch, [=](const word* words, int begin, int count) {
      for (int i = 0; i < count; i++) {
        const uint64_t bits = (static_cast<uint64_t>(words[2 * i]) << 32) | words[2 * i + 1];
        out[begin + i] = static_cast<T>(static_cast<int64_t>(bits % range + static_cast<uint64_t>(from)));
      }
    });
    return;
  }
  const remainder by(static_cast<int>(range));
  draw_chunks<1>(state, used, n, scratch, [=](const word* words, int begin, int count) {
    constexpr int L = lanes<double>;
    alignas(64) int64_t values[kChunk];
    for (int i = 0; i < count; i += L) {
      vec<uint64_t> wide;
      for (int k = 0; k < L; k++) wide[k] = words[i + k];
      store(values + i, (vec<int64_t>)(by.of(to_double(wide)) + kTwo52) - static_cast<int64_t>(kExponent));
    }
    for (int i = 0; i < count; i++) out[begin + i] = static_cast<T>(values[i] + from);
  });
}

}  // namespace

EK_API int ek_random_scratch(int n) { return tiles_of(n) * kBlock * static_cast<int>(sizeof(word)); }

EK_API int ek_uniform(int dtype, void* state, int used, void* out, int n, double from, double to, void* scratch) {
  EK_DISPATCH_FLOAT(dtype, uniform<T>(static_cast<word*>(state), used, static_cast<T*>(out), n, static_cast<T>(from),
                                      static_cast<T>(to), scratch);)
  return EK_OK;
}

EK_API int ek_normal(int dtype, void* state, int used, void* out, int n, double mean, double std, void* scratch) {
  if (n < 16) return EK_BAD_ARGUMENT;
  EK_DISPATCH_FLOAT(dtype, normals<T>(static_cast<word*>(state), used, static_cast<T*>(out), n, static_cast<T>(mean),
                                      static_cast<T>(std), scratch);)
  return EK_OK;
}

EK_API int ek_bernoulli(int dtype, void* state, int used, const void* p, void* out, int n, void* scratch) {
  EK_DISPATCH_FLOAT(dtype, {
    const T* limits = static_cast<const T*>(p);
    for (int i = 0; i < n; i++)
      if (!(limits[i] >= 0 && limits[i] <= 1)) return EK_BAD_ARGUMENT;
    draw_vectors<T, words_of<T>>(static_cast<word*>(state), used, static_cast<T*>(out), n, scratch,
                                 [=](const word* w, int i, int count) EK_INLINE_LAMBDA {
      return unit<T>(w) < load_some(limits + i, count) ? splat(T(1)) : vec<T>{};
    });
  })
  return EK_OK;
}

EK_API int ek_random_mask(int dtype, void* state, int used, void* out, int n, double p, double value, void* scratch) {
  EK_DISPATCH_FLOAT(dtype, {
    T* to = static_cast<T*>(out);
    const double limit = p * 0x1p53;
    draw_chunks<2>(static_cast<word*>(state), used, n, scratch, [=](const word* words, int begin, int count) {
      constexpr int L = lanes<double>;
      const vec<double> kept = splat(value);
      int i = 0;
      for (; i + L <= count; i += L) narrow(to + begin + i, bits53(words + 2 * i) < limit ? kept : vec<double>{});
      if (i == count) return;
      T rest[L];
      narrow(rest, bits53(words + 2 * i) < limit ? kept : vec<double>{});
      for (int k = 0; i + k < count; k++) to[begin + i + k] = rest[k];
    });
  })
  return EK_OK;
}

EK_API int ek_random_integers(int dtype, void* state, int used, void* out, int n, int from_high, int from_low,
                              int range_high, int range_low, void* scratch) {
  const auto joined = [](int high, int low) {
    return (static_cast<uint64_t>(static_cast<uint32_t>(high)) << 32) | static_cast<uint32_t>(low);
  };
  const uint64_t range = joined(range_high, range_low);
  const int64_t from = static_cast<int64_t>(joined(from_high, from_low));
  if (range == 0) return EK_BAD_ARGUMENT;
  EK_DISPATCH_NUMBER(
      dtype, random_integers<T>(static_cast<word*>(state), used, static_cast<T*>(out), n, from, range, scratch);)
  return EK_OK;
}

EK_API int ek_random_permutation(void* state, int used, void* out, int n) {
  int64_t* order = static_cast<int64_t*>(out);
  for (int i = 0; i < n; i++) order[i] = i;
  if (n < 2) return EK_OK;
  Stream stream(static_cast<const word*>(state), used);
  word words[kChunk];
  for (int begin = 0; begin < n - 1; begin += kChunk) {
    const int count = n - 1 - begin < kChunk ? n - 1 - begin : kChunk;
    stream.take(words, count);
    // The places are known before the elements are needed.
    for (int i = 0; i < count; i++) {
      words[i] = static_cast<word>(begin + i) + words[i] % static_cast<word>(n - begin - i);
      prefetch_write(order + words[i]);
    }
    for (int i = 0; i < count; i++) {
      const int64_t here = order[begin + i];
      order[begin + i] = order[words[i]];
      order[words[i]] = here;
    }
  }
  stream.save(static_cast<word*>(state));
  return EK_OK;
}

}  // namespace EK_ISA
