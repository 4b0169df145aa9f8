// The kernel of reductions as a function of tensors: one call for each run of neighbouring dimensions in memory order.
// Nothing is recorded.
import type { Reduction } from '../device/generated/abi.ts';
import { rowMajor } from '../tensor/copy.ts';
import { physicalOrder, type Shape } from '../tensor/shape.ts';
import { allocate, type Tensor, viewAs } from '../tensor/tensor.ts';

interface Run {
  readonly reduced: boolean;
  size: number;
}

/** Neighbouring dimensions of one kind, in memory order; size-1 dimensions join either kind. */
export function runsOf(x: Tensor, reduced: ReadonlySet<number>): Run[] {
  const runs: Run[] = [];
  for (const d of physicalOrder(x.rank, x.memoryFormat)) {
    if (x.shape[d] === 1) continue;
    const last = runs.at(-1);
    if (last && last.reduced === reduced.has(d)) last.size *= x.shape[d];
    else runs.push({ reduced: reduced.has(d), size: x.shape[d] });
  }
  return runs;
}

/** Whether the dimensions that stay are in row-major order in x's memory. */
function staysRowMajor(x: Tensor, reduced: ReadonlySet<number>): boolean {
  const kept = physicalOrder(x.rank, x.memoryFormat).filter((d) => !reduced.has(d) && x.shape[d] !== 1);
  return kept.every((d, i) => i === 0 || kept[i - 1] < d);
}

export const reducedShape = (shape: Shape, dims: readonly number[], keepdim: boolean): number[] =>
  keepdim ? shape.map((n, d) => (dims.includes(d) ? 1 : n)) : shape.filter((_, d) => !dims.includes(d));

export function launchReduce(
  name: string,
  op: Reduction,
  x: Tensor,
  dims: readonly number[],
  keepdim: boolean,
): Tensor {
  const reduced = new Set(dims);
  const source = staysRowMajor(x, reduced) ? x : rowMajor(x);
  const runs = runsOf(source, reduced);
  const shape = reducedShape(x.shape, dims, keepdim);
  if (!runs.some((run) => run.reduced)) runs.push({ reduced: true, size: dims.reduce((n, d) => n * x.shape[d], 1) });
  let current = source;
  // From the innermost run outwards.
  for (let i = runs.length - 1; i >= 0; i--) {
    if (!runs[i].reduced) continue;
    const outer = runs.slice(0, i).reduce((n, run) => n * run.size, 1);
    const inner = runs.slice(i + 1).reduce((n, run) => n * run.size, 1);
    const out = allocate([outer * inner], x.dtype, 'contiguous', x.backend);
    x.backend.launch.reduce(name, { op, x: current, out, outer, n: runs[i].size, inner });
    runs.splice(i, 1);
    current = out;
  }
  return viewAs(current, shape);
}
