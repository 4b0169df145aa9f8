// The vectors that kernels compute with, on top of the compilers' vector extensions. A build has one width of vectors
// (EK_VECTOR_BYTES). Arithmetic, comparisons and ?: are operators of the extension. Each operator rounds: a·b + c is
// fused only where the code says multiply_add. Intrinsics are used in this file only.
#pragma once
#include <stddef.h>
#include <stdint.h>
#if defined(__AVX512F__)
#define EK_VECTOR_BYTES 64
#include <immintrin.h>
#elif defined(__AVX2__)
#define EK_VECTOR_BYTES 32
#include <immintrin.h>
#else
#define EK_VECTOR_BYTES 16  // SSE2, NEON, WebAssembly SIMD; without any of them the compiler makes scalar code
#endif
#ifdef __ARM_NEON
#include <arm_neon.h>
#endif
#define EK_INLINE inline __attribute__((always_inline))
#define EK_INLINE_LAMBDA __attribute__((always_inline))

namespace EK_ISA {

template <class T> struct vec_of;
template <> struct vec_of<float> {
  typedef float type __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef int32_t mask __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef float half __attribute__((vector_size(EK_VECTOR_BYTES / 2)));
  using lane_int = int32_t;
  typedef int8_t bytes __attribute__((vector_size(EK_VECTOR_BYTES / 4)));
};
template <> struct vec_of<double> {
  typedef double type __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef int64_t mask __attribute__((vector_size(EK_VECTOR_BYTES)));
  using lane_int = int64_t;
  typedef int8_t bytes __attribute__((vector_size(EK_VECTOR_BYTES / 8)));
};
template <> struct vec_of<int32_t> {
  typedef int32_t type __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef int32_t mask __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef int8_t bytes __attribute__((vector_size(EK_VECTOR_BYTES / 4)));
};
template <> struct vec_of<int64_t> {
  typedef int64_t type __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef int64_t mask __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef int8_t bytes __attribute__((vector_size(EK_VECTOR_BYTES / 8)));
};
template <> struct vec_of<int16_t> {
  typedef int16_t type __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef int16_t mask __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef int8_t bytes __attribute__((vector_size(EK_VECTOR_BYTES / 2)));
};
template <> struct vec_of<uint8_t> {
  typedef uint8_t type __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef int8_t mask __attribute__((vector_size(EK_VECTOR_BYTES)));
  typedef int8_t bytes __attribute__((vector_size(EK_VECTOR_BYTES / 1)));
};
template <> struct vec_of<uint32_t> {
  typedef uint32_t type __attribute__((vector_size(EK_VECTOR_BYTES)));
};
template <> struct vec_of<uint64_t> {
  typedef uint64_t type __attribute__((vector_size(EK_VECTOR_BYTES)));
};
template <class T> using vec = typename vec_of<T>::type;  // `lanes<T>` values
// `lanes<T>` integers of the size of T. Comparisons of vec<T> give such a vector, with 0 or −1 in each lane.
template <class T> using ivec = typename vec_of<T>::mask;
template <class T> using bvec = typename vec_of<T>::bytes;  // `lanes<T>` bytes
// The type to compute with so that integers wrap around: C++ defines that for unsigned integers only. A cast converts
// between vectors of the two.
template <class T> struct wrapping_of {
  using type = T;
};
template <> struct wrapping_of<int32_t> {
  using type = uint32_t;
};
template <> struct wrapping_of<int64_t> {
  using type = uint64_t;
};
template <class T> using wrapping = typename wrapping_of<T>::type;
template <class T> constexpr int lanes = EK_VECTOR_BYTES / static_cast<int>(sizeof(T));

template <class T> EK_INLINE vec<T> load(const T* p) {
  vec<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class T> EK_INLINE void store(T* p, vec<T> v) { __builtin_memcpy(p, &v, sizeof v); }

template <class T> EK_INLINE vec<T> splat(T x) {
  vec<T> v;
  for (int i = 0; i < lanes<T>; i++) v[i] = x;
  return v;
}
#if EK_VECTOR_BYTES == 64
template <> EK_INLINE vec<float> splat<float>(float x) { return (vec<float>)_mm512_set1_ps(x); }
template <> EK_INLINE vec<double> splat<double>(double x) { return (vec<double>)_mm512_set1_pd(x); }
#elif EK_VECTOR_BYTES == 32
template <> EK_INLINE vec<float> splat<float>(float x) { return (vec<float>)_mm256_set1_ps(x); }
template <> EK_INLINE vec<double> splat<double>(double x) { return (vec<double>)_mm256_set1_pd(x); }
#endif

// Loads or stores the first n lanes (0 … lanes). After a load the other lanes are 0.
template <class T> EK_INLINE vec<T> load_n(const T* p, int n) {
  vec<T> v = {};
  for (int i = 0; i < n; i++) v[i] = p[i];
  return v;
}
template <class T> EK_INLINE void store_n(T* p, vec<T> v, int n) {
  for (int i = 0; i < n; i++) p[i] = v[i];
}
#if EK_VECTOR_BYTES == 64
template <> EK_INLINE vec<float> load_n<float>(const float* p, int n) {
  return (vec<float>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
template <> EK_INLINE void store_n<float>(float* p, vec<float> v, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
}
template <> EK_INLINE vec<double> load_n<double>(const double* p, int n) {
  return (vec<double>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p);
}
template <> EK_INLINE void store_n<double>(double* p, vec<double> v, int n) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), (__m512d)v);
}
#endif

// The same, with a whole load or store if n is all lanes.
template <class T> EK_INLINE vec<T> load_some(const T* p, int n) { return n == lanes<T> ? load(p) : load_n(p, n); }
template <class T> EK_INLINE void store_some(T* p, vec<T> v, int n) {
  if (n == lanes<T>) store(p, v);
  else store_n(p, v, n);
}

// Loads the first n lanes from p[at[0]], p[at[1]], …; the other lanes are 0.
template <class T> EK_INLINE vec<T> gather(const T* p, const typename vec_of<T>::lane_int* at, int n) {
  vec<T> v = {};
  for (int i = 0; i < n; i++) v[i] = p[at[i]];
  return v;
}
#if EK_VECTOR_BYTES == 64
template <> EK_INLINE vec<float> gather<float>(const float* p, const int32_t* at, int n) {
  const __mmask16 some = static_cast<__mmask16>((1u << n) - 1);
  return (vec<float>)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), some, _mm512_maskz_loadu_epi32(some, at), p, 4);
}
#elif EK_VECTOR_BYTES == 32
template <> EK_INLINE vec<float> gather<float>(const float* p, const int32_t* at, int n) {
  if (n == 8) return (vec<float>)_mm256_i32gather_ps(p, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)), 4);
  vec<float> v = {};
  for (int i = 0; i < n; i++) v[i] = p[at[i]];
  return v;
}
#endif

// Loads `lanes` bytes as integers of the size of T. The compilers convert vectors of such different sizes lane by lane,
// so there are intrinsics for it.
template <class T> EK_INLINE ivec<T> widen_bytes(const uint8_t* p) {
  bvec<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, ivec<T>);
}
#if EK_VECTOR_BYTES == 64
template <> EK_INLINE ivec<int32_t> widen_bytes<int32_t>(const uint8_t* p) {
  return (ivec<int32_t>)_mm512_maskz_cvtepi8_epi32(0xffff, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
template <> EK_INLINE ivec<int64_t> widen_bytes<int64_t>(const uint8_t* p) {
  return (ivec<int64_t>)_mm512_maskz_cvtepi8_epi64(0xff, _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
#elif EK_VECTOR_BYTES == 32
template <> EK_INLINE ivec<int32_t> widen_bytes<int32_t>(const uint8_t* p) {
  return (ivec<int32_t>)_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
#endif

// Converts lanes<double> floats to doubles, and back. GCC's own conversion of 8 of them works in two halves.
#if EK_VECTOR_BYTES == 64
EK_INLINE vec<double> widen(vec_of<float>::half v) { return (vec<double>)_mm512_maskz_cvtps_pd(0xff, (__m256)v); }
#else
EK_INLINE vec<double> widen(vec_of<float>::half v) { return __builtin_convertvector(v, vec<double>); }
#endif
EK_INLINE vec<double> widen(const float* p) {
  vec_of<float>::half v;
  __builtin_memcpy(&v, p, sizeof v);
  return widen(v);
}
EK_INLINE vec<double> widen(const double* p) { return load(p); }
EK_INLINE void narrow(float* p, vec<double> x) {
#if EK_VECTOR_BYTES == 64
  const vec_of<float>::half v = (vec_of<float>::half)_mm512_maskz_cvtpd_ps(0xff, (__m512d)x);
#else
  const vec_of<float>::half v = __builtin_convertvector(x, vec_of<float>::half);
#endif
  __builtin_memcpy(p, &v, sizeof v);
}
EK_INLINE void narrow(double* p, vec<double> x) { store(p, x); }

// The correctly rounded square root, and whether any lane of a mask is set. The extensions have no operators for them.
EK_INLINE vec<float> sqrt(vec<float> x);
EK_INLINE vec<double> sqrt(vec<double> x);
template <class M> EK_INLINE bool any(M mask);
#if EK_VECTOR_BYTES == 64
EK_INLINE vec<float> sqrt(vec<float> x) { return (vec<float>)_mm512_maskz_sqrt_ps(0xffff, (__m512)x); }
EK_INLINE vec<double> sqrt(vec<double> x) { return (vec<double>)_mm512_maskz_sqrt_pd(0xff, (__m512d)x); }
template <class M> EK_INLINE bool any(M m) { return _mm512_test_epi64_mask((__m512i)m, (__m512i)m) != 0; }
#elif EK_VECTOR_BYTES == 32
EK_INLINE vec<float> sqrt(vec<float> x) { return (vec<float>)_mm256_sqrt_ps((__m256)x); }
EK_INLINE vec<double> sqrt(vec<double> x) { return (vec<double>)_mm256_sqrt_pd((__m256d)x); }
template <class M> EK_INLINE bool any(M m) { return !_mm256_testz_si256((__m256i)m, (__m256i)m); }
#else
EK_INLINE vec<float> sqrt(vec<float> x) {
  for (int i = 0; i < lanes<float>; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
}
EK_INLINE vec<double> sqrt(vec<double> x) {
  for (int i = 0; i < lanes<double>; i++) x[i] = __builtin_sqrt(x[i]);
  return x;
}
template <class M> EK_INLINE bool any(M mask) {
  const vec<int64_t> m = (vec<int64_t>)mask;
  return (m[0] | m[1]) != 0;
}
#endif

// The lesser and the greater of two; b if either is NaN. On x86 this is one instruction, of which the compilers make
// two. scale: x·2^n for an integral n, rounded once. It exists if has_scale; otherwise math.h computes it with
// products.
template <class T> constexpr bool has_scale = EK_VECTOR_BYTES == 64;
#if EK_VECTOR_BYTES == 64
EK_INLINE vec<float> lesser(vec<float> a, vec<float> b) {
  return (vec<float>)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b);
}
EK_INLINE vec<float> greater(vec<float> a, vec<float> b) {
  return (vec<float>)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);
}
EK_INLINE vec<double> lesser(vec<double> a, vec<double> b) {
  return (vec<double>)_mm512_maskz_min_pd(0xff, (__m512d)a, (__m512d)b);
}
EK_INLINE vec<double> greater(vec<double> a, vec<double> b) {
  return (vec<double>)_mm512_maskz_max_pd(0xff, (__m512d)a, (__m512d)b);
}
EK_INLINE vec<float> scale(vec<float> x, vec<float> n) {
  return (vec<float>)_mm512_maskz_scalef_ps(0xffff, (__m512)x, (__m512)n);
}
EK_INLINE vec<double> scale(vec<double> x, vec<double> n) {
  return (vec<double>)_mm512_maskz_scalef_pd(0xff, (__m512d)x, (__m512d)n);
}
#elif EK_VECTOR_BYTES == 32
EK_INLINE vec<float> lesser(vec<float> a, vec<float> b) { return (vec<float>)_mm256_min_ps((__m256)a, (__m256)b); }
EK_INLINE vec<float> greater(vec<float> a, vec<float> b) { return (vec<float>)_mm256_max_ps((__m256)a, (__m256)b); }
EK_INLINE vec<double> lesser(vec<double> a, vec<double> b) {
  return (vec<double>)_mm256_min_pd((__m256d)a, (__m256d)b);
}
EK_INLINE vec<double> greater(vec<double> a, vec<double> b) {
  return (vec<double>)_mm256_max_pd((__m256d)a, (__m256d)b);
}
#else
template <class V> EK_INLINE V lesser(V a, V b) { return a < b ? a : b; }
template <class V> EK_INLINE V greater(V a, V b) { return a > b ? a : b; }
#endif
#if EK_VECTOR_BYTES != 64
template <class V> EK_INLINE V scale(V x, V) { return x; }
#endif

// a·b + c, rounded once, where the machine has the instruction (has_fused); simd/fused.h has it for the others.
#if EK_VECTOR_BYTES > 16 || defined(__ARM_FEATURE_FMA)
constexpr bool has_fused = true;
#else
constexpr bool has_fused = false;
#endif
#if EK_VECTOR_BYTES == 64
EK_INLINE vec<float> fused(vec<float> a, vec<float> b, vec<float> c) {
  return (vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
EK_INLINE vec<double> fused(vec<double> a, vec<double> b, vec<double> c) {
  return (vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif EK_VECTOR_BYTES == 32
EK_INLINE vec<float> fused(vec<float> a, vec<float> b, vec<float> c) {
  return (vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
EK_INLINE vec<double> fused(vec<double> a, vec<double> b, vec<double> c) {
  return (vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#elif defined(__ARM_FEATURE_FMA)
EK_INLINE vec<float> fused(vec<float> a, vec<float> b, vec<float> c) {
  return (vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
EK_INLINE vec<double> fused(vec<double> a, vec<double> b, vec<double> c) {
  return (vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#endif
EK_INLINE float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
EK_INLINE double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }
// a·b + c as fast as the machine can: rounded once if it has the instruction, and twice otherwise.
template <class V> EK_INLINE V multiply_add(V a, V b, V c) {
  if constexpr (has_fused) return fused(a, b, c);
  else return a * b + c;
}

// Stores past the caches, if the machine can (has_stream). p must be aligned to the vector. Code that streams calls
// stream_fence() at its end.
constexpr bool has_stream = EK_VECTOR_BYTES >= 32;
#if EK_VECTOR_BYTES == 64
template <class T> EK_INLINE void stream(T* p, vec<T> v) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), (__m512i)v);
}
#elif EK_VECTOR_BYTES == 32
template <class T> EK_INLINE void stream(T* p, vec<T> v) {
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)v);
}
#else
template <class T> EK_INLINE void stream(T* p, vec<T> v) { store(p, v); }
#endif
EK_INLINE void stream_fence() {
#if EK_VECTOR_BYTES >= 32
  _mm_sfence();
#endif
}

#ifdef __wasm__
constexpr bool has_prefetch = false;
#else
constexpr bool has_prefetch = true;
#endif
// Prefetches the cache line that p lies in, to read it or to write it. Loops prefetch what comes kAhead elements later,
// which gives memory enough time.
template <class T> EK_INLINE void prefetch(const T* p) { __builtin_prefetch(p); }
template <class T> EK_INLINE void prefetch_write(const T* p) { __builtin_prefetch(p, 1); }
template <class T> constexpr int line_of = 64 / static_cast<int>(sizeof(T));  // elements of a cache line
template <class T> constexpr int kAhead = 8192 / static_cast<int>(sizeof(T));
// The same in rows of a matrix of `columns` columns, which is read in bands of 4 rows.
template <class T> EK_INLINE int rows_ahead(int columns) { return (kAhead<T> / columns + 4) / 4 * 4; }

// Returns v, and makes the compiler load all of it, even if only some lanes are used: the processor does not prefetch
// for loads under a mask.
template <class V> EK_INLINE V loaded(V v) {
#if EK_VECTOR_BYTES == 64
  asm("" : "+v"(v));
#endif
  return v;
}

// The greater and the lesser of two; NaN if either is NaN, as PyTorch's maximum and minimum. If b is NaN, the
// comparison is false and the result is b.
template <class V> EK_INLINE V max_nan(V a, V b) { return ((a > b) | (a != a)) ? a : b; }
template <class V> EK_INLINE V min_nan(V a, V b) { return ((a < b) | (a != a)) ? a : b; }

// A number that is known when the code is compiled.
template <int N> struct Const {
  static constexpr int value = N;
};
// Calls f(Const<i>) for i = 0, step, 2·step … below n.
template <int n, int step, class F, int i = 0> EK_INLINE void each_const(const F& f) {
  if constexpr (i < n) {
    f(Const<i>{});
    each_const<n, step, F, i + step>(f);
  }
}

}  // namespace EK_ISA
