// The normalizations as scalar float64 formulas, written for reading. All but local response norm are one: rows of
// elements are brought to mean 0 and variance 1, then times a weight and plus a bias. Not here: which elements make a
// row, what is checked, when statistics move (reference.ts); how far other arithmetic may be from these numbers
// (bars.ts).

export interface RowNorm {
  x: ArrayLike<number>;
  /** Places of the elements of each row. */
  rows: readonly Int32Array[];
  /** Which weight and bias belong to the element at a place. */
  parameterAt: (place: number) => number;
  parameters: number;
  weight: ArrayLike<number> | null;
  bias: ArrayLike<number> | null;
  eps: number;
  /** Mean and variance of each row, where they are given and not computed. */
  fixed?: readonly { mean: number; variance: number }[];
  /** Without: only the mean square is brought to 1 (RMS norm). */
  isCentred: boolean;
  /** Whether 1/√(0 + 0) counts as 0 and not as infinite. */
  hasZeroGuard: boolean;
}

export interface Row {
  places: Int32Array;
  count: number;
  mean: number;
  /** Biased; for RMS norm the mean square. */
  variance: number;
  /** 1/√(variance + eps) */
  r: number;
  /** Largest |x|. */
  largest: number;
}

export interface Normalized {
  y: Float64Array;
  /** (x − mean)·r */
  xHat: Float64Array;
  rows: Row[];
}

const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);

/**
 * Mean, and x − mean: around a pivot, so that a mean far from 0 costs no digits; with an infinity or NaN, what plain
 * sums give.
 */
function centre(values: Float64Array): { mean: number; centred: Float64Array } {
  const count = values.length;
  const pivot = values[0];
  const shifted = values.map((v) => v - pivot);
  const shift = sum(shifted) / count;
  if (Number.isFinite(shift)) return { mean: pivot + shift, centred: shifted.map((v) => v - shift) };
  const mean = sum(values) / count;
  return { mean, centred: values.map(() => Number.NaN) };
}

/** x̂ = (x − mean)·r and y = x̂·weight + bias, with r = 1/√(variance + eps). */
export function normalize(given: RowNorm): Normalized {
  const { x, parameterAt, weight, bias, eps, fixed, isCentred, hasZeroGuard } = given;
  const y = new Float64Array(x.length);
  const xHat = new Float64Array(x.length);
  const rows = given.rows.map((places, index): Row => {
    const values = Float64Array.from(places, (p) => x[p]);
    const count = values.length;
    let mean = 0;
    let centred: Float64Array = values;
    if (fixed) {
      mean = fixed[index].mean;
      centred = values.map((v) => v - mean);
    } else if (isCentred) ({ mean, centred } = centre(values));
    const variance = fixed ? fixed[index].variance : sum(centred.map((v) => v * v)) / count;
    const r = hasZeroGuard && variance === 0 && eps === 0 ? 0 : 1 / Math.sqrt(variance + eps);
    places.forEach((p, i) => {
      const j = parameterAt(p);
      xHat[p] = centred[i] * r;
      y[p] = xHat[p] * (weight ? weight[j] : 1) + (bias ? bias[j] : 0);
    });
    const largest = values.reduce((size, v) => Math.max(size, Math.abs(v)), 0);
    return { places, count, mean, variance, r, largest };
  });
  return { y, xHat, rows };
}

/** What the gradient of a row is made of, with h = g·weight: the means of h and of h·x̂, and of their sizes. */
export interface RowGradient {
  meanH: number;
  meanHX: number;
  sizeH: number;
  sizeHX: number;
}

export interface Gradients {
  dx: Float64Array;
  dweight: Float64Array;
  dbias: Float64Array;
  rows: RowGradient[];
}

/**
 * dx = r·(h − mean(h) − x̂·mean(h·x̂)); without the first mean for RMS norm, and r·h by given statistics. dweight = Σ
 * g·x̂, dbias = Σ g.
 */
export function gradients(given: RowNorm, { xHat, rows }: Normalized, g: ArrayLike<number>): Gradients {
  const { x, parameters, parameterAt, weight, fixed, isCentred } = given;
  const dx = new Float64Array(x.length);
  const dweight = new Float64Array(parameters);
  const dbias = new Float64Array(parameters);
  const rowGradients = rows.map(({ places, r }): RowGradient => {
    const h = Float64Array.from(places, (p) => g[p] * (weight ? weight[parameterAt(p)] : 1));
    const hx = h.map((v, i) => v * xHat[places[i]]);
    const mean = (values: Float64Array) => sum(values) / values.length;
    const row = { meanH: mean(h), meanHX: mean(hx), sizeH: mean(h.map(Math.abs)), sizeHX: mean(hx.map(Math.abs)) };
    places.forEach((p, i) => {
      if (fixed) dx[p] = r * h[i];
      else dx[p] = r * (h[i] - (isCentred ? row.meanH : 0) - xHat[p] * row.meanHX);
      dweight[parameterAt(p)] += g[p] * xHat[p];
      dbias[parameterAt(p)] += g[p];
    });
    return row;
  });
  return { dx, dweight, dbias, rows: rowGradients };
}

export interface LocalResponse {
  x: ArrayLike<number>;
  /** (n, c, s) */
  shape: readonly [number, number, number];
  size: number;
  alpha: number;
  beta: number;
  k: number;
}

/** The elements in the window of channel c at a place, from c − `before` to c + `after`. */
function windowAt({ shape: [, c, s] }: LocalResponse, place: number, before: number, after: number): number[] {
  const channel = Math.floor(place / s) % c;
  const from = Math.max(0, channel - before);
  const to = Math.min(c - 1, channel + after);
  return Array.from({ length: to - from + 1 }, (_, i) => place + (from + i - channel) * s);
}

/** D = k + (alpha/size)·Σ x² over the channels c − ⌊size/2⌋ … c + ⌊(size − 1)/2⌋, and y = x·D^−beta. */
export function localResponse(given: LocalResponse): { y: Float64Array; scale: Float64Array } {
  const { x, size, alpha, beta, k } = given;
  const scale = Float64Array.from(x, (_, p) => {
    const seen = windowAt(given, p, Math.floor(size / 2), Math.floor((size - 1) / 2));
    return k + (alpha / size) * seen.reduce((total, q) => total + x[q] ** 2, 0);
  });
  return { y: scale.map((d, p) => x[p] / d ** beta), scale };
}

/**
 * dx = g·D^−beta − (2·alpha·beta/size)·x·Σ g·x·D^(−beta−1) over the channels that see this one. `size`: |both terms|,
 * the second's parts added up.
 */
export function localResponseGradient(
  given: LocalResponse,
  scale: Float64Array,
  g: ArrayLike<number>,
): { dx: Float64Array; size: Float64Array } {
  const { x, size, alpha, beta } = given;
  const dx = new Float64Array(x.length);
  const sizes = new Float64Array(x.length);
  for (let p = 0; p < x.length; p++) {
    const terms = windowAt(given, p, Math.floor((size - 1) / 2), Math.floor(size / 2)).map(
      (q) => (g[q] * x[q]) / scale[q] ** (beta + 1),
    );
    const direct = g[p] / scale[p] ** beta;
    const factor = ((2 * alpha * beta) / size) * x[p];
    dx[p] = direct - factor * terms.reduce((a, b) => a + b, 0);
    sizes[p] = Math.abs(direct) + Math.abs(factor) * terms.reduce((a, b) => a + Math.abs(b), 0);
  }
  return { dx, size: sizes };
}
