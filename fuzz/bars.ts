// How far a result in float32 or float64 may be from the exact one (formulas.ts): counts of roundings, each with its
// reason. The library has float64 statistics and centres by a mean in two halves; PyTorch, and any arithmetic in
// float64, is allowed plain sums and x·a + b. An infinite bar means that nothing is judged: where an intermediate
// number leaves float32's range, or nothing is left of the digits.
import type { Gradients, LocalResponse, Normalized, Row, RowNorm } from './formulas.ts';

/** A result, and how far the library and PyTorch may be from it, element by element. */
export interface Estimate {
  data: Float64Array;
  ours: Float64Array;
  torch: Float64Array;
}

/** Values that must be met exactly. */
export const exactly = (data: ArrayLike<number>): Estimate => ({
  data: Float64Array.from(data),
  ours: new Float64Array(data.length),
  torch: new Float64Array(data.length),
});

/** What the bars of a dtype are made of. */
interface Precision {
  isSingle: boolean;
  /** The relative error of one rounding. */
  u: number;
  /** What the smallest numbers of float32 round, a few times. */
  floor: number;
}
export const precisionOf = (dtype: string): Precision =>
  dtype === 'float32' ? { isSingle: true, u: 2 ** -24, floor: 2 ** -147 } : { isSingle: false, u: 2 ** -53, floor: 0 };

/** Products and coefficients beyond this may leave float32's range on the way. */
const beyond = 1e37;
const unjudged = Number.POSITIVE_INFINITY;
const known = (bar: number): number => (Number.isNaN(bar) ? unjudged : bar);

/** What plain sums do to a row's statistics: absolute errors, and `relative`, their effect on x̂ of usual size. */
export function plainErrors({ count, mean, variance, r, largest }: Row, isFixed: boolean, { u }: Precision) {
  // A sum of n numbers in order errs by at most n roundings of its largest partial sum (Higham 2002, 4.2); merging the
  // variances of parts costs roundings of their means times their distance.
  const ofMean = isFixed ? 0 : count * u * largest;
  const ofVariance = isFixed
    ? 0
    : count * u * 2 * variance + 2 * ofMean ** 2 + 8 * u * Math.abs(mean) * Math.sqrt(variance);
  const centring = 8 * u * Math.abs(mean) * r + ofMean * r;
  const scaling = ofVariance * r * r + 4 * u;
  return { ofMean, ofVariance, centring, scaling, relative: known(centring + scaling) };
}

/**
 * What is left of a mean that is kept in two halves, relative to the spread; before, it is a double, the sum of a pivot
 * and a quotient, and rounds as the values do of which it is one, even where it is near 0.
 */
const centringInHalves = ({ mean, r, largest }: Row, isFixed: boolean, { u }: Precision): number =>
  (4 * u * u * Math.abs(mean) + (isFixed ? 0 : 2 ** -52 * largest)) * r;

export function outputBars(given: RowNorm, { y, xHat, rows }: Normalized, precision: Precision): Estimate {
  const { parameterAt, weight, bias, fixed } = given;
  const { isSingle, u, floor } = precision;
  const result: Estimate = { ...exactly(y), data: y };
  for (const row of rows) {
    const { places, variance, r } = row;
    // How much of the row's spread is left after eps.
    const spread = Math.sqrt(Math.max(variance, 0)) * r;
    const { centring, scaling, relative } = plainErrors(row, fixed !== undefined, precision);
    for (const p of places) {
      const j = parameterAt(p);
      const w = Math.abs(weight ? weight[j] : 1);
      const b = Math.abs(bias ? bias[j] : 0);
      const size = Math.abs(xHat[p]);
      const plain = w * (16 * u * (size + spread) + centring + 2 * size * scaling) + 4 * u * b + floor;
      result.torch[p] = relative > 0.5 ? unjudged : plain;
      // Eight roundings: of the two differences, the mean's halves, the scale, the product, the sum, and reserve. 10⁻⁶
      // of the spread is the project's bar for values of usual size.
      result.ours[p] = isSingle
        ? w * (Math.max(8 * u * size, 1e-6 * spread) + centringInHalves(row, fixed !== undefined, precision)) +
          2 * u * b +
          floor
        : result.torch[p];
    }
  }
  return result;
}

/** In float32 the library adds at most 16 numbers before it goes on in float64; each has four roundings of its own. */
const chain = (16 + 4) * 2 ** -24;

export function gradientBars(
  given: RowNorm,
  { xHat, rows }: Normalized,
  g: ArrayLike<number>,
  exact: Gradients,
  precision: Precision,
): Record<'dx' | 'dweight' | 'dbias', Estimate> {
  const { x, parameterAt, parameters, weight, fixed } = given;
  const { isSingle, u, floor } = precision;
  const dx = { ...exactly(exact.dx), data: exact.dx };
  const dweight = { ...exactly(exact.dweight), data: exact.dweight };
  const dbias = { ...exactly(exact.dbias), data: exact.dbias };
  // Per parameter, over its elements: counts, Σ|g|, and what the rows add to the two bars of dweight.
  const [counts, sizes] = [new Float64Array(parameters), new Float64Array(parameters)];
  rows.forEach((row, index) => {
    const { places, count, mean, r, largest } = row;
    const { meanH, meanHX, sizeH, sizeHX } = exact.rows[index];
    const { relative } = plainErrors(row, fixed !== undefined, precision);
    const isLost = relative > 0.5 || r === Number.POSITIVE_INFINITY;
    const halves = centringInHalves(row, fixed !== undefined, precision);
    // Products g·x̃, and the coefficient r²·mean(h·x̃) of x̃ in dx, are floats.
    const centred = (p: number) => Math.abs(g[p] * (x[p] - mean));
    const isProductBeyond = isSingle && !(places.reduce((size, p) => size + centred(p), 0) < beyond);
    const isBeyond = isProductBeyond || (isSingle && !(r * Math.abs(meanHX) < beyond));
    // Of PyTorch's products in any order the smallest floats may be multiplied by x and by r afterwards.
    const smallest = 8 * count * floor * (1 + largest) * (1 + r);
    for (const p of places) {
      const j = parameterAt(p);
      const h = Math.abs(g[p] * (weight ? weight[j] : 1));
      const size = Math.abs(xHat[p]);
      if (fixed) {
        dx.torch[p] = r * 32 * u * h + floor;
        dx.ours[p] = r * 8 * u * h + floor;
      } else {
        const all = h + sizeH + size * sizeHX + sizeHX;
        dx.torch[p] = isLost || isBeyond ? unjudged : r * (16 * u + 4 * relative + count * u) * all + smallest;
        // As for y: eight roundings of the three terms, and those of the two sums. Products g·x̃ and the coefficient of
        // x̃ may vanish among the smallest floats.
        const terms = 8 * u * (h + Math.abs(meanH) + Math.abs(xHat[p] * meanHX));
        const sums = chain * (sizeH + size * sizeHX) + halves * all;
        dx.ours[p] = !isSingle
          ? dx.torch[p]
          : isBeyond
            ? unjudged
            : r * (terms + sums + floor) + floor * (1 + size * (1 + r * r));
      }
      const product = Math.abs(g[p]) * size;
      counts[j]++;
      sizes[j] += Math.abs(g[p]);
      dweight.torch[j] +=
        isLost || (isSingle && isProductBeyond)
          ? unjudged
          : (16 * u + 2 * relative) * (product + Math.abs(g[p])) + floor;
      dweight.ours[j] +=
        isProductBeyond || r === Number.POSITIVE_INFINITY
          ? unjudged
          : chain * product + halves * Math.abs(g[p]) + r * floor + floor;
    }
  });
  for (let j = 0; j < parameters; j++) {
    dweight.torch[j] = known(dweight.torch[j] * (1 + counts[j] / 16));
    dweight.ours[j] = isSingle ? known(dweight.ours[j]) : dweight.torch[j];
    dbias.torch[j] = (8 + counts[j]) * u * sizes[j] + floor;
    dbias.ours[j] = isSingle ? chain * sizes[j] + floor : dbias.torch[j];
  }
  return { dx, dweight, dbias };
}

/** A running statistic: (1 − momentum)·old + momentum·value, where plain sums leave the value with an error. */
export function movedBars(
  old: number,
  momentum: number,
  value: number,
  errorOfValue: number,
  { isSingle, u, floor }: Precision,
): { data: number; ours: number; torch: number } {
  const data = (1 - momentum) * old + momentum * value;
  const size = Math.abs((1 - momentum) * old) + Math.abs(momentum * value);
  const torch = 8 * u * size + 2 * Math.abs(momentum) * errorOfValue + floor;
  // Computed in float64 and rounded once; the error of the statistics in float64 is u times that of plain sums in
  // float32.
  const ours = 2 * u * Math.abs(data) + 1e-12 * size + u * Math.abs(momentum) * errorOfValue + floor;
  return { data, ours: isSingle ? ours : torch, torch };
}

/** Rounding of the window's sum, of the power (whose exponent multiplies it) and of the quotient. */
const responseRoundings = ({ size, beta }: LocalResponse, { u }: Precision): number =>
  (8 + size) * (1 + Math.abs(beta)) * u;

/**
 * Places where a float cannot hold an intermediate number, or where x or g is divided by 0. Both sides square and take
 * powers in the dtype. A value beyond its range spoils all channels that may see it.
 */
function spoilt(
  { x, shape: [, c, s] }: LocalResponse,
  scale: Float64Array,
  g: ArrayLike<number> | null,
  { isSingle }: Precision,
): Set<number> {
  const places = new Set<number>();
  for (let p = 0; p < x.length; p++) {
    const dy = g ? Math.abs(g[p]) : 0;
    const sizes = [x[p] ** 2, scale[p], dy * Math.abs(x[p]), (dy * (1 + Math.abs(x[p]))) / scale[p] ** 2];
    const isBeyond = isSingle && !(scale[p] > 1e-30 && sizes.every((size) => size < beyond));
    if (!isBeyond && scale[p] !== 0 && !(g && !Number.isFinite(scale[p] * g[p]))) continue;
    const first = Math.floor(p / (c * s)) * c * s + (p % s);
    for (let i = 0; i < c; i++) places.add(first + i * s);
  }
  return places;
}

export function responseBars(
  given: LocalResponse,
  y: Float64Array,
  scale: Float64Array,
  precision: Precision,
): Estimate {
  const roundings = responseRoundings(given, precision);
  const unclear = spoilt(given, scale, null, precision);
  const bars = y.map((v, p) => (unclear.has(p) ? unjudged : roundings * Math.abs(v) + precision.floor));
  return { data: y, ours: bars, torch: bars };
}

export function responseGradientBars(
  given: LocalResponse,
  { dx, size }: { dx: Float64Array; size: Float64Array },
  scale: Float64Array,
  g: ArrayLike<number>,
  precision: Precision,
): Estimate {
  const roundings = 4 * responseRoundings(given, precision);
  const unclear = spoilt(given, scale, g, precision);
  // The smallest floats in the powers' gradients are multiplied by x afterwards.
  const bars = dx.map((_, p) =>
    unclear.has(p) ? unjudged : roundings * size[p] + precision.floor * given.size * (1 + Math.abs(given.x[p])),
  );
  return { data: dx, ours: bars, torch: bars };
}
