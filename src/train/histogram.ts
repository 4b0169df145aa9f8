// Histograms as TensorBoard has them: of any values in the same bins, so that those of several steps lie side by side.
// Source: tensorflow/core/lib/histogram and summary.proto, by way of torch.utils.tensorboard.
import type { PbfWriter } from 'pbf';

/** The message HistogramProto. */
export interface Histogram {
  min: number;
  max: number;
  num: number;
  sum: number;
  sumOfSquares: number;
  /** The upper end of each bin; the first bin is empty, so that its end says where the second one begins. */
  limits: number[];
  counts: number[];
}

/** Ends of bins, ascending: 0, and powers of 1.1 from 1e-12 to 1e20, of both signs. */
const edges = (() => {
  const positive: number[] = [];
  for (let v = 1e-12; v < 1e20; v *= 1.1) positive.push(v);
  return Float64Array.from([...positive.map((v) => -v).reverse(), 0, ...positive]);
})();

/** The bin [edges[i], edges[i + 1]) of a value; the last one has its end too. −1 beyond them, and for NaN. */
function binOf(value: number): number {
  const last = edges.length - 1;
  if (!(value >= edges[0] && value <= edges[last])) return -1;
  if (value === edges[last]) return last - 1;
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (value < edges[middle]) high = middle;
    else low = middle;
  }
  return low;
}

/** Null where no value lies in a bin. */
export function histogramOf(values: ArrayLike<number>): Histogram | null {
  const counts = new Float64Array(edges.length - 1);
  let [min, max, sum, sumOfSquares] = [Infinity, -Infinity, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const bin = binOf(value);
    if (bin >= 0) counts[bin]++;
    // As arithmetic has it, NaN wins.
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    sumOfSquares += value * value;
  }
  const first = counts.findIndex((count) => count > 0);
  if (first < 0) return null;
  const end = counts.findLastIndex((count) => count > 0) + 1;
  return {
    min,
    max,
    num: values.length,
    sum,
    sumOfSquares,
    limits: Array.from(edges.subarray(first, end + 1)),
    counts: [0, ...counts.subarray(first, end)],
  };
}

/** A field that is 0 is left out. */
export function writeHistogram(histogram: Histogram | undefined, pbf: PbfWriter): void {
  const { min, max, num, sum, sumOfSquares, limits, counts } = histogram!;
  for (const [i, value] of [min, max, num, sum, sumOfSquares].entries())
    if (value !== 0) pbf.writeDoubleField(i + 1, value);
  pbf.writePackedDouble(6, limits);
  pbf.writePackedDouble(7, counts);
}
