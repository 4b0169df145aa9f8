// Reductions over the middle axis of (outer, n, inner) in float64, one column at a time.

/** Calls `visit` with every column (the n values at fixed outer and inner position) and its place among the outputs. */
export function forEachColumn(
  x: readonly number[],
  [outer, n, inner]: readonly [number, number, number],
  visit: (column: number[], output: number, position: (k: number) => number) => void,
): void {
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const position = (k: number) => (o * n + k) * inner + i;
      visit(
        Array.from({ length: n }, (_, k) => x[position(k)]),
        o * inner + i,
        position,
      );
    }
  }
}

/** Neumaier's compensated sum: exact to the last bit of float64 in practice. */
export function sum(values: readonly number[]): number {
  let total = 0;
  let lost = 0;
  for (const v of values) {
    const next = total + v;
    lost += Math.abs(total) >= Math.abs(v) ? total - next + v : v - next + total;
    total = next;
  }
  return total + lost;
}

export const product = (values: readonly number[]) => values.reduce((a, b) => a * b, 1);
export const largest = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), -Infinity);
export const smallest = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b), Infinity);

/** The first position of the extreme; NaN wins. */
export function argExtreme(values: readonly number[], isMax: boolean): number {
  const nan = values.findIndex(Number.isNaN);
  return nan >= 0 ? nan : values.indexOf(isMax ? largest(values) : smallest(values));
}

export function moments(values: readonly number[]): { mean: number; m2: number } {
  const mean = sum(values) / values.length;
  return { mean, m2: sum(values.map((v) => (v - mean) ** 2)) };
}

export function softmax(values: readonly number[]): number[] {
  const top = largest(values);
  const powers = values.map((v) => Math.exp(v - top));
  const total = sum(powers);
  return powers.map((p) => p / total);
}

export function logSoftmax(values: readonly number[]): number[] {
  const top = largest(values);
  const shift = Math.log(sum(values.map((v) => Math.exp(v - top))));
  return values.map((v) => v - top - shift);
}

/** Positions in the order of topk: by value, NaN largest, equal values by position. */
export function order(values: readonly number[], descending: boolean): number[] {
  const rank = (a: number, b: number) => Number(a > b || (Number.isNaN(a) && !Number.isNaN(b)));
  return values
    .map((_, i) => i)
    .sort((i, j) => {
      const [a, b] = descending ? [values[i], values[j]] : [values[j], values[i]];
      return rank(b, a) - rank(a, b) || i - j;
    });
}
