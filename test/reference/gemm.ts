// c = op(a) · op(b) + bias (+ c), row-major, for each matrix of a batch.
export interface GemmCase {
  transposeA: boolean;
  transposeB: boolean;
  batch: number;
  m: number;
  n: number;
  k: number;
  sharedB: boolean;
  accumulate: boolean;
}

export function gemmReference(
  g: GemmCase,
  a: readonly number[],
  b: readonly number[],
  bias: readonly number[] | null,
  c: readonly number[],
) {
  const { m, n, k } = g;
  const out = g.accumulate ? [...c] : c.map(() => 0);
  for (let q = 0; q < g.batch; q++)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = bias ? bias[j] : 0;
        for (let p = 0; p < k; p++) {
          const left = a[q * m * k + (g.transposeA ? p * m + i : i * k + p)];
          const right = b[(g.sharedB ? 0 : q * k * n) + (g.transposeB ? j * k + p : p * n + j)];
          sum += left * right;
        }
        out[(q * m + i) * n + j] += sum;
      }
  return out;
}
