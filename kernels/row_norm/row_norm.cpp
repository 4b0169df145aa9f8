// Normalization of rows: layer, RMS, group and instance norm. A tensor is (n, g, k, s), and each of its n·g rows of k·s
// values is normalized. There are three ways through memory:
//   lines   s = 1. A row is k neighbours, and each has a weight of its own. Backward takes blocks of rows, and adds up
//           the gradients of the weights down the columns in the same pass.
//   planes  Contiguous, s > 1. A row is k runs of s neighbours, and each run has one weight.
//   images  Channels last, s > 1. An image is a matrix with channels in the columns, as batch norm sees it. The sums
//           of a group's channels are merged.
#include "batch_norm/passes.h"

namespace EK_ISA {
namespace {

constexpr int kRowElements = 1 << 15;  // elements that a job should have: enough to outweigh handing it out
constexpr int kLine = 1 << 14;         // values of a line whose x and dy stay in a cache
constexpr int kLineBlock = 1024;       // columns of a job, if lines have more than kLine values
constexpr int kLineRows = 256;         // rows of such a job at most

struct Rows {
  int n, g, k, s, format;
  bool centred;
  int channels() const { return g * k; }
  int count() const { return n * g; }
  int length() const { return k * s; }
  bool lines() const { return s == 1; }
  bool images() const { return s > 1 && format == EK_CHANNELS_LAST; }
  bool empty() const { return n == 0 || g == 0 || k == 0 || s == 0; }
  template <class T> bool streams(const T* out) const {
    return can_stream(out, static_cast<int64_t>(count()) * length(), lines() ? k : 0);
  }
  Layout image() const {
    Layout layout(1, channels(), s, EK_CHANNELS_LAST);
    layout.tensor_elements *= n;
    return layout;
  }
  // Jobs of whole rows.
  int rows_per_job() const { return length() < kRowElements ? kRowElements / length() : 1; }
  int row_jobs() const { return ceil_div(count(), rows_per_job()); }
  // Backward of lines: a job is a block of rows × a block of columns.
  int line_columns() const { return k <= kLine ? k : kLineBlock; }
  int line_rows() const {
    const int wanted = k <= kLine ? 2 * kRowElements / k : kLineRows;
    return wanted < n ? wanted : n;
  }
  int line_row_blocks() const { return ceil_div(n, line_rows()); }
};

// The numbers that a caller gives for each row, and for each channel.
template <class T> struct Given {
  const double *mean, *invstd;
  const T *weight, *bias;

  // The mean is hi + lo (batch_norm/map.h).
  T hi(int row) const { return static_cast<T>(mean[row]); }
  T lo(int row) const {
    const T h = hi(row);
    return h - h == 0 ? static_cast<T>(mean[row] - static_cast<double>(h)) : 0;
  }
};

// ---- forward --------------------------------------------------------------------------------------------------------

// The moments of a row whose values are neighbours; if it is not centred, M2 is the sum of squares and the mean is 0.
template <class T> Moments row_moments(const T* x, int length, bool centred) {
  const Known<double> known = centred ? pivot(x[0]) : Known<double>{};
  LaneSum a = {}, b = {};
  sum_runs<Sum::statistics, T>(x, nullptr, length, 1, 0, kAhead<T>, known, a, b);
  const Pair sums{a.sum(), b.sum()};
  if (!centred) return {static_cast<double>(length), 0, sums.b};
  return moments(x, length, known.hi, sums, [&](const auto& body) {
    for (int i = 0; i < length; i++) body(i);
  });
}

// y = x̃·invstd·weight + bias, where each value has its own weight and bias.
template <bool streams, bool has_weight, bool has_bias, class T>
void map_line(const T* x, int n, T hi, T lo, T invstd, const T* weight, const T* bias, T* y) {
  for_vectors<T>(0, n, [&](const auto& at) {
    if (!streams && at.i % line_of<T> == 0) prefetch_write(y + at.i + kAhead<T>);
    vec<T> v = ((at.read(x) - splat(hi)) - splat(lo)) * splat(invstd);
    if constexpr (has_weight) v = has_bias ? multiply_add(v, at.read(weight), at.read(bias)) : v * at.read(weight);
    else if constexpr (has_bias) v = v + at.read(bias);
    at.template write<streams>(y, v);
  });
}

template <bool streams, class T>
void forward_rows(const Rows& r, const T* x, double eps, const T* weight, const T* bias, double* mean, double* m2,
                  double* invstd, T* y) {
  const int length = r.length(), step = r.rows_per_job();
  parallel_for(r.row_jobs(), [&](int job, int) {
    for (int row = job * step; row < r.count() && row < (job + 1) * step; row++) {
      const ptrdiff_t at = static_cast<ptrdiff_t>(row) * length;
      const Moments m = row_moments(x + at, length, r.centred);
      mean[row] = m.mean, m2[row] = m.m2, invstd[row] = inverse_std(m.m2, length, eps);
      const Given<T> given{mean, invstd, weight, bias};
      const int first = row % r.g * r.k;
      if (r.lines()) {
        with_truth(weight, [&](auto has_weight) {
          with_truth(bias, [&](auto has_bias) {
            map_line<streams, has_weight.value, has_bias.value>(
                x + at, length, given.hi(row), given.lo(row), static_cast<T>(invstd[row]),
                weight ? weight + first : nullptr, bias ? bias + first : nullptr, y + at);
          });
        });
        continue;
      }
      for (int i = 0; i < r.k; i++) {
        const double scale = weight ? invstd[row] * weight[first + i] : invstd[row];
        const Coefficients<T> one{
            given.hi(row), given.lo(row), static_cast<T>(scale), bias ? bias[first + i] : T{0}, 0, 0};
        Mapping<Map::forward, false, T, streams>::run(x, nullptr, y, at + static_cast<ptrdiff_t>(i) * r.s, r.s,
                                                      kAhead<T>, one);
      }
    }
    if constexpr (streams) stream_fence();
  });
}

// Calls body(image, layout, work) for every image. Many images are computed in parallel; of few images, one after the
// other, the blocks are.
template <class F> void for_images(const Rows& r, void* scratch, const F& body) {
  Scratch part(scratch);
  const Layout layout = r.image();
  const int workers = worker_count(), bytes = Work(Scratch(nullptr), layout).bytes;
  char* const areas = part.take<char>(static_cast<size_t>(workers) * bytes);
  if (r.n < workers) {
    for (int i = 0; i < r.n; i++) body(i, layout, Work(Scratch(areas), layout));
    return;
  }
  parallel_for(r.n, [&](int i, int worker) {
    body(i, layout, Work(Scratch(areas + static_cast<ptrdiff_t>(worker) * bytes), layout));
  });
}

template <class T>
void forward_images(const Rows& r, const T* x, double eps, const T* weight, const T* bias, double* mean, double* m2,
                    double* invstd, T* y, void* scratch) {
  for_images(r, scratch, [&](int image, const Layout& layout, const Work& work) {
    const ptrdiff_t start = static_cast<ptrdiff_t>(image) * r.channels() * r.s;
    const auto known = [&](int channel) { return r.centred ? pivot(x[start + channel]) : Known<double>{}; };
    sum_tensor<Sum::statistics, T>(layout, work, x + start, nullptr, known);
    for (int group = 0; group < r.g; group++) {
      Moments all{0, 0, 0};
      for (int c = group * r.k; c < (group + 1) * r.k; c++) {
        if (r.centred) all.merge(moments(x + start, r.s, known(c).hi, work.total[c], layout.each_of(c)));
        else all.m2 += work.total[c].b;
      }
      const int row = image * r.g + group;
      mean[row] = all.mean, m2[row] = all.m2, invstd[row] = inverse_std(all.m2, r.length(), eps);
    }
    const Given<T> given{mean, invstd, weight, bias};
    map_tensor<Map::forward, false, T>(layout, work, x + start, nullptr, y + start, [&](int c) {
      const int row = image * r.g + c / r.k;
      const double scale = weight ? invstd[row] * weight[c] : invstd[row];
      return Coefficients<T>{given.hi(row), given.lo(row), static_cast<T>(scale), bias ? bias[c] : T{0}, 0, 0};
    });
  });
}

// ---- backward -------------------------------------------------------------------------------------------------------
// With h = dy·weight: dx = ((h + a) + x̃·b)·invstd, where a = −Σh/length and b = −invstd²·Σ(h·x̃)/length.

struct RowTerms {  // a and b of a row, from (Σh, Σh·x̃)
  double a, b;
  RowTerms(const Rows& r, double invstd, Pair h) {
    a = r.centred ? -h.a / r.length() : 0;
    b = -invstd * invstd * (h.b / r.length());
  }
};

// The numbers of a line that its backward needs.
template <class T> struct Line {
  T hi, lo, invstd, a, b;
};

// (Σh, Σh·x̃) of a line, where h = dy·weight.
template <class T>
Pair line_sums(const Line<T>& line, const T* x, const T* dy, ptrdiff_t ahead, int n, const T* weight) {
  LaneSum a = {}, b = {};
  for_lanes<T>(n, [&](auto at, auto first) EK_INLINE_LAMBDA {
    const vec<T> w = weight ? at.read(weight) : splat(T{1});
    if (first.value % line_of<T> == 0) prefetch(x + at.i + ahead), prefetch(dy + at.i + ahead);
    const vec<T> h = at.read(dy) * w;  // 0 behind the end
    a.template from<T>(first.value).add(h);
    b.template from<T>(first.value).add_product(h, (at.read(x) - splat(line.hi)) - splat(line.lo));
  });
  return {a.sum(), b.sum()};
}

// Writes dx of a line, and adds to the sums down the columns: sum_dw[j] += dy·x̃·invstd, sum_db[j] += dy.
template <bool streams, class T>
void line_backward(const Line<T>& line, const T* x, const T* dy, ptrdiff_t ahead, int columns, const T* weight, T* dx,
                   double* sum_dw, double* sum_db) {
  const vec<T> hi = splat(line.hi), lo = splat(line.lo), invstd = splat(line.invstd), a = splat(line.a),
               b = splat(line.b);
  for_vectors<T>(0, columns, [&](const auto& at) {
    if (at.i % line_of<T> == 0) prefetch(x + at.i + ahead), prefetch(dy + at.i + ahead);
    const vec<T> g = at.read(dy), d = (at.read(x) - hi) - lo;
    if (dx) {
      const vec<T> w = weight ? at.read(weight) : splat(T{1});
      if (!streams && at.i % line_of<T> == 0) prefetch_write(dx + at.i + ahead);
      at.template write<streams>(dx, multiply_add(d, b, multiply_add(g, w, a)) * invstd);
    }
    if (sum_dw) add_to<T>(sum_dw + at.i, g * (d * invstd), at.count), add_to<T>(sum_db + at.i, g, at.count);
  });
}

template <bool streams, class T>
void backward_lines(const Rows& r, const T* x, const T* dy, const Given<T>& given, T* dx, double* dweight,
                    double* dbias, Pair* terms, double* partial) {
  const int k = r.k, g = r.g, columns = r.line_columns(), block_rows = r.line_rows(), row_blocks = r.line_row_blocks(),
            column_blocks = ceil_div(k, columns);
  const int all = r.channels();
  const ptrdiff_t pitch = static_cast<ptrdiff_t>(g) * k;
  const bool fused = columns == k;
  const ptrdiff_t ahead = k < kAhead<T> ? rows_ahead<T>(k) * pitch : kAhead<T>,
                  block_ahead = fused ? ahead : rows_ahead<T>(columns) * pitch;
  const auto known = [&](int row) -> Line<T> {
    return {given.hi(row), given.lo(row), static_cast<T>(given.invstd[row]), 0, 0};
  };
  const auto terms_of = [&](const Line<T>& line, int i, int group) -> Pair {
    const ptrdiff_t at = i * pitch + group * k;
    const RowTerms t(r, given.invstd[i * g + group],
                     line_sums(line, x + at, dy + at, ahead, k, given.weight ? given.weight + group * k : nullptr));
    return {t.a, t.b};
  };
  if (!fused && dx) parallel_for(r.count(), [&](int row, int) { terms[row] = terms_of(known(row), row / g, row % g); });
  // A job is a block of rows of one g × a block of columns.
  parallel_for(row_blocks * g * column_blocks, [&](int job, int) {
    const int column = job % column_blocks * columns, group = job / column_blocks % g, block = job / column_blocks / g;
    const int width = k - column < columns ? k - column : columns, first = group * k + column;
    double* const sum_dw = dweight ? partial + static_cast<ptrdiff_t>(block) * 2 * all + first : nullptr;
    double* const sum_db = dweight ? sum_dw + all : nullptr;
    if (dweight)
      for (int i = 0; i < width; i++) sum_dw[i] = sum_db[i] = 0;
    const T* const weight = given.weight ? given.weight + first : nullptr;
    const int end = r.n < (block + 1) * block_rows ? r.n : (block + 1) * block_rows;
    for (int i = block * block_rows; i < end; i++) {
      Line<T> line = known(i * g + group);
      if (dx) {
        const Pair t = fused ? terms_of(line, i, group) : terms[i * g + group];
        line.a = static_cast<T>(t.a), line.b = static_cast<T>(t.b);
      }
      const ptrdiff_t at = i * pitch + first;
      line_backward<streams>(line, x + at, dy + at, block_ahead, width, weight, dx ? dx + at : nullptr, sum_dw, sum_db);
    }
    if constexpr (streams) stream_fence();
  });
  if (!dweight) return;
  parallel_blocks(all, 4096, [&](int begin, int end) {
    const auto total = [&](double* to, const double* from) {
      for_vectors<double>(begin, end, [&](const auto& at) {
        vec<double> sum = {};
        for (int block = 0; block < row_blocks; block++) sum += at.read(from + static_cast<ptrdiff_t>(block) * 2 * all);
        at.write(to, sum);
      });
    };
    total(dweight, partial), total(dbias, partial + all);
  });
}

// The gradients of weight and bias, from the sums (Σdy, Σdy·x̃) of each channel of each image.
inline void parameter_gradients(const Rows& r, const double* invstd, const Pair* sums, double* dweight, double* dbias) {
  const int all = r.channels();
  for (int c = 0; c < all; c++) dweight[c] = dbias[c] = 0;
  for (int i = 0; i < r.n; i++)
    for (int c = 0; c < all; c++) {
      const Pair& p = sums[static_cast<ptrdiff_t>(i) * all + c];
      dweight[c] += p.b * invstd[i * r.g + c / r.k], dbias[c] += p.a;
    }
}

// (Σh, Σh·x̃) of a row, from the sums of its channels.
template <class T> Pair weighted(const Rows& r, const Pair* sums, const T* weight) {
  Pair h{0, 0};
  for (int i = 0; i < r.k; i++) {
    const double w = weight ? static_cast<double>(weight[i]) : 1.0;
    h.a += w * sums[i].a, h.b += w * sums[i].b;
  }
  return h;
}

template <bool streams, class T>
void backward_planes(const Rows& r, const T* x, const T* dy, const Given<T>& given, T* dx, Pair* sums) {
  const int length = r.length(), step = r.rows_per_job();
  parallel_for(r.row_jobs(), [&](int job, int) {
    for (int row = job * step; row < r.count() && row < (job + 1) * step; row++) {
      const ptrdiff_t start = static_cast<ptrdiff_t>(row) * length;
      const T* weight = given.weight ? given.weight + row % r.g * r.k : nullptr;
      Pair* const own = sums + static_cast<ptrdiff_t>(row) * r.k;
      const Known<T> known{given.hi(row), given.lo(row), 0, 0};
      for (int i = 0; i < r.k; i++) {
        const ptrdiff_t at = start + static_cast<ptrdiff_t>(i) * r.s;
        LaneSum a = {}, b = {};
        sum_runs<Sum::backward, T>(x + at, dy + at, r.s, 1, 0, kAhead<T>, known, a, b);
        own[i] = {a.sum(), b.sum()};
      }
      if (!dx) continue;
      const double invstd = given.invstd[row];
      const RowTerms t(r, invstd, weighted(r, own, weight));
      for (int i = 0; i < r.k; i++) {
        const Coefficients<T> one{
            known.hi,           known.lo, static_cast<T>(invstd), weight ? weight[i] : T{1}, static_cast<T>(t.a),
            static_cast<T>(t.b)};
        Mapping<Map::weighted, false, T, streams>::run(x, dy, dx, start + static_cast<ptrdiff_t>(i) * r.s, r.s,
                                                       kAhead<T>, one);
      }
    }
    if constexpr (streams) stream_fence();
  });
}

template <class T>
void backward_images(const Rows& r, const T* x, const T* dy, const Given<T>& given, T* dx, Pair* sums, void* scratch) {
  for_images(r, scratch, [&](int image, const Layout& layout, const Work& work) {
    const int all = r.channels();
    const ptrdiff_t start = static_cast<ptrdiff_t>(image) * all * r.s;
    const auto row = [&](int c) { return image * r.g + c / r.k; };
    Pair* const own = sums + static_cast<ptrdiff_t>(image) * all;
    sum_tensor<Sum::backward, T>(layout, work, x + start, dy + start,
                                 [&](int c) { return Known<T>{given.hi(row(c)), given.lo(row(c)), 0, 0}; });
    for (int c = 0; c < all; c++) own[c] = work.total[c];
    if (!dx) return;
    Pair* const terms = work.total;  // the totals are not needed any more: their place holds the terms of each group
    for (int group = 0, first = 0; group < r.g; group++, first += r.k) {
      const RowTerms t(r, given.invstd[image * r.g + group],
                       weighted(r, own + first, given.weight ? given.weight + first : nullptr));
      terms[group] = {t.a, t.b};
    }
    map_tensor<Map::weighted, false, T>(layout, work, x + start, dy + start, dx + start, [&](int c) {
      const Pair& t = terms[c / r.k];
      return Coefficients<T>{given.hi(row(c)),
                             given.lo(row(c)),
                             static_cast<T>(given.invstd[row(c)]),
                             given.weight ? given.weight[c] : T{1},
                             static_cast<T>(t.a),
                             static_cast<T>(t.b)};
    });
  });
}

// The scratch of a call: a pair for each channel of each image, or for each line; partial sums of lines; and what
// images need.
struct RowScratch {
  Pair* sums;
  double* partial;
  char* images;
  int bytes;
  RowScratch(void* scratch, const Rows& r) {
    Scratch part(scratch);
    sums = part.take<Pair>(r.lines() ? r.count() : static_cast<size_t>(r.n) * r.channels());
    partial = part.take<double>(r.lines() && !r.empty() ? static_cast<size_t>(r.line_row_blocks()) * 2 * r.channels()
                                                        : 0);
    images = part.take<char>(r.images() && !r.empty()
                                 ? static_cast<size_t>(worker_count()) * Work(Scratch(nullptr), r.image()).bytes + 128
                                 : 0);
    bytes = part.bytes();
  }
};

}  // namespace

int ek_row_norm_scratch(int n, int g, int k, int s, int format) {
  return RowScratch(nullptr, {n, g, k, s, format, true}).bytes;
}

int ek_row_norm_forward(int dtype, const void* x, int n, int g, int k, int s, int format, int centred, double eps,
                        const void* weight, const void* bias, double* mean, double* m2, double* invstd, void* y,
                        void* scratch) {
  const Rows r{n, g, k, s, format, centred != 0};
  if (r.empty()) return EK_OK;
  EK_DISPATCH_FLOAT(dtype, {
    const T *from = static_cast<const T*>(x), *w = static_cast<const T*>(weight), *b = static_cast<const T*>(bias);
    if (r.images())
      forward_images(r, from, eps, w, b, mean, m2, invstd, static_cast<T*>(y), RowScratch(scratch, r).images);
    else if (r.streams(static_cast<T*>(y)))
      forward_rows<has_stream>(r, from, eps, w, b, mean, m2, invstd, static_cast<T*>(y));
    else forward_rows<false>(r, from, eps, w, b, mean, m2, invstd, static_cast<T*>(y));
  })
  return EK_OK;
}

int ek_row_norm_backward(int dtype, const void* x, const void* dy, int n, int g, int k, int s, int format, int centred,
                         const double* mean, const double* invstd, const void* weight, void* dx, double* dweight,
                         double* dbias, void* scratch) {
  const Rows r{n, g, k, s, format, centred != 0};
  if (dweight)
    for (int c = 0; c < r.channels(); c++) dweight[c] = dbias[c] = 0;
  if (r.empty()) return EK_OK;
  const RowScratch area(scratch, r);
  EK_DISPATCH_FLOAT(dtype, {
    const Given<T> given{mean, invstd, static_cast<const T*>(weight), nullptr};
    const T *from = static_cast<const T*>(x), *gradient = static_cast<const T*>(dy);
    T* const to = static_cast<T*>(dx);
    const bool streams = r.streams(to);
    if (r.images()) backward_images(r, from, gradient, given, to, area.sums, area.images);
    else if (r.lines() && streams)
      backward_lines<has_stream>(r, from, gradient, given, to, dweight, dbias, area.sums, area.partial);
    else if (r.lines()) backward_lines<false>(r, from, gradient, given, to, dweight, dbias, area.sums, area.partial);
    else if (streams) backward_planes<has_stream>(r, from, gradient, given, to, area.sums);
    else backward_planes<false>(r, from, gradient, given, to, area.sums);
  })
  if (dweight && !r.lines()) parameter_gradients(r, invstd, area.sums, dweight, dbias);
  return EK_OK;
}

}  // namespace EK_ISA
