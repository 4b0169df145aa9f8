// A function of a norm's values, or its gradient, in one pass. The values are computed piece by piece in a buffer that
// stays in L1, and the loops of the elementwise family read them there.
#include "batch_norm/passes.h"
#include "elementwise/loops.h"

namespace EK_ISA {
namespace {

constexpr int kPiece = 2048;  // values of a piece: at least the columns of a block (kColumns), and few enough for L1

// out = f(z); or, with dy, out = dy·f′(z).
struct Function {
  unary_loop loop;
  gradient_loop gradient;
  double p0, p1;
  const void *y, *dy;
  void* out;

  template <class T> void operator()(ptrdiff_t place, const T* z, int n) const {
    const auto part = [&](const void* p) { return strip_in{static_cast<const T*>(p) + place, sizeof(T), 1}; };
    const strip_in values{z, sizeof(T), 1};
    const strip_out to{static_cast<T*>(out) + place, sizeof(T)};
    if (dy) {
      const strip_in in[] = {values, part(y), part(dy)};
      run_strip(n, lanes<T>, in, to, [&](const void* const* from, const int*, void* dz, int vectors) {
        gradient(from[0], from[1], from[2], dz, vectors, p0, p1);
      });
    } else {
      const strip_in in[] = {values};
      run_strip(n, lanes<T>, in, to, [&](const void* const* from, const int*, void* result, int vectors) {
        loop(from[0], result, vectors, p0, p1);
      });
    }
  }
};

// Calls f(place, values, count) for all values of a norm, piece by piece.
template <class T>
void each_piece(const Layout& layout, const T* x, const Channels<T>& channels, void* scratch, const Function& f) {
  using Values = Mapping<Map::forward, false, T>;
  if (layout.empty()) return;
  if (layout.planes) {
    parallel_for(layout.jobs(), [&](int job, int) {
      alignas(64) T values[kPiece];
      layout.each_run(job % layout.groups, job / layout.groups, 1, [&](int channel, ptrdiff_t place, int n, int) {
        const Coefficients<T> k = channels(channel);
        for (int i = 0; i < n; i += kPiece) {
          const int many = n - i < kPiece ? n - i : kPiece;
          Values::run(x + place + i, nullptr, values, 0, many, layout.template ahead<T>(), k);
          f(place + i, values, many);
        }
      });
    });
    return;
  }
  const Work work(Scratch(scratch), layout);
  fill_columns<T, kCoefficients>(layout, work, channels);
  parallel_for(layout.jobs(), [&](int job, int) {
    alignas(64) T values[kPiece];
    const Layout::Block block = layout.block(job);
    const T* k = work.template of_block<T>(layout, block, kCoefficients);
    const int together = block.pitch == block.columns ? kPiece / block.columns : 1;
    for (int row = 0; row < block.rows; row += together) {
      const int rows = block.rows - row < together ? block.rows - row : together;
      const ptrdiff_t place = block.at + row * block.pitch;
      Values::rows(x + place, nullptr, values, 0, block.pitch, rows, block.columns, k);
      f(place, values, rows * block.columns);
    }
  });
}

}  // namespace

int ek_batch_norm_function(int op, int dtype, const void* x, int n, int c, int s, int format, const double* mean,
                           const double* invstd, const void* weight, const void* bias, double p0, double p1,
                           const void* y, const void* dy, void* out, void* scratch) {
  const Function f{find_unary_loop(op, dtype), find_gradient_loop(op, dtype), p0, p1, y, dy, out};
  EK_DISPATCH_FLOAT(dtype, {
    if (is_test(op) || !(dy ? f.gradient != nullptr : f.loop != nullptr)) return EK_BAD_ARGUMENT;
    const Channels<T> channels{mean,    invstd, static_cast<const T*>(weight), static_cast<const T*>(bias), nullptr,
                               nullptr, 0};
    each_piece(Layout(n, c, s, format), static_cast<const T*>(x), channels, scratch, f);
  })
  return EK_OK;
}

}  // namespace EK_ISA
