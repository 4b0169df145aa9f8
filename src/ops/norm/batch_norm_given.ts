// Batch norm by statistics that are given and can be differentiated: what lets several batches be normalized as one.
// Their statistics are merged by combine; gradients come back to (mean, M2), and from there to each batch. The kernels
// are batch_norm.ts's.
import { defineOp } from '../../autograd/define_op.ts';
import { isGradEnabled } from '../../autograd/grad_mode.ts';
import { partOf } from '../../device/operand.ts';
import { RuntimeError } from '../../errors.ts';
import { type BatchStatistics, batchNormInvstd, launchApply } from '../../launch/batch_norm.ts';
import { fromTypedArrayOn } from '../../tensor/create.ts';
import { present, requireFloat, requireSameDevice } from '../../tensor/requirements.ts';
import { allocate, type Tensor } from '../../tensor/tensor.ts';
import { cast } from '../convert.ts';
import { add, div, mul, rsqrt, sub } from '../elementwise.ts';
import { sum } from '../reduce.ts';
import { acrossChannels, gradientsOf, statisticAxes } from './batch_norm.ts';

/** The statistics of several batches together (Chan et al. 1983); in float64, merged in the order given. */
export function batchNormCombine(parts: readonly BatchStatistics[]): BatchStatistics {
  const total = parts.reduce((sum, part) => sum + part.count, 0);
  return combineRows(packedStatistics(parts), 1, parts[0].mean.size, total);
}

/** Statistics of several batches in float64 rows [count, mean, M2]: (k, 1 + 2·C). */
export function packedStatistics(parts: readonly BatchStatistics[]): Tensor {
  const { backend, size } = parts[0].mean;
  const width = 1 + 2 * size;
  const numbers = new Float64Array(parts.length * width);
  parts.forEach(({ count }, i) => {
    numbers[i * width] = count;
  });
  const rows = fromTypedArrayOn(backend, numbers, [parts.length, width]);
  const table = parts.flatMap(({ mean, m2 }, i) =>
    [mean, m2].map((from, j) => ({ from, to: partOf(rows, i * width + 1 + j * size), bytes: size * 8 })),
  );
  backend.launch.copyBlocks('batchNormCombine', { table });
  return rows;
}

/**
 * The same of statistics that stand in rows: each has its count first, and from `start` on the means and the M2 of `c`
 * channels. `total` is the sum of the counts.
 */
export function combineRows(rows: Tensor, start: number, c: number, total: number): BatchStatistics {
  const { backend } = rows;
  const [parts, pitch] = rows.shape;
  const [count, mean, m2] = [1, c, c].map((n) => allocate([n], 'float64', 'contiguous', backend));
  const [means, m2s] = [start, start + c].map((at) => partOf(rows, at));
  backend.launch.batchNormCombine('batchNormCombine', { parts, pitch, counts: rows, means, m2s, count, mean, m2 });
  return { count: total, mean, m2 };
}

/**
 * With r = 1/√(m2/count + eps), g = dy, x̃ = x − mean:  y = x̃·r·weight + bias,
 *   dx = weight·r·g,  dmean = −weight·r·Σg,  dm2 = −weight·r³/(2·count)·Σg·x̃,  dweight = r·Σg·x̃,  dbias = Σg.
 */
const givenOp = defineOp({
  name: 'batchNormGiven',
  forward(
    ctx,
    x: Tensor,
    mean: Tensor,
    m2: Tensor,
    count: number,
    weight: Tensor | null,
    bias: Tensor | null,
    eps: number,
  ) {
    const invstd = batchNormInvstd({ count, mean, m2 }, eps);
    ctx.save(x, mean, m2, weight, invstd);
    return launchApply(x, mean, invstd, { weight, bias, relu: 0 });
  },
  backward(ctx, [g], info, _mean, _m2, count, _weight, _bias, eps) {
    const [x, mean, m2, weight, invstd] = ctx.saved;
    const { needs } = ctx;
    // In the statistics' float64, until a gradient is complete.
    const wide = (t: Tensor) => cast(t, 'float64');
    const across = (v: Tensor) => acrossChannels(cast(v, info.dtype), info.shape);
    const narrow = (v: Tensor) => cast(v, info.dtype);
    const isRecorded = isGradEnabled();
    const r = isRecorded ? rsqrt(add(div(m2, count), eps)) : invstd;
    const factor = weight ? mul(r, wide(weight)) : r;
    let dx: Tensor | null;
    let sumG: Tensor;
    let dweight: Tensor;
    if (isRecorded) {
      const axes = statisticAxes(info.shape);
      dx = mul(g, across(factor));
      sumG = wide(sum(g, axes));
      dweight = mul(wide(sum(mul(g, sub(x, across(mean))), axes)), r);
    } else {
      const [input, ...sums] = gradientsOf(x, g, { weight, bias: null, relu: 0 }, mean, invstd, false, [
        needs[0],
        true,
        true,
      ]);
      dx = input;
      [dweight, sumG] = sums.map((t) => wide(t!));
    }
    return [
      needs[0] ? dx : null,
      needs[1] ? mul(mul(sumG, factor), -1) : null,
      needs[2] ? mul(mul(mul(dweight, factor), r), -0.5 / count) : null,
      null,
      needs[4] ? narrow(dweight) : null,
      needs[5] ? narrow(sumG) : null,
    ];
  },
});

/**
 * Batch norm of x (N, C, …) by given statistics of `count` elements a channel, `mean` and `m2` = Σ(x − mean)² (C,
 * float64), which are differentiated as independent of x.
 * @throws RuntimeError on sizes or dtypes that do not fit.
 */
export function batchNormGiven(
  x: Tensor,
  mean: Tensor,
  m2: Tensor,
  count: number,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
): Tensor {
  requireFloat('batchNormGiven', x);
  const c = x.shape[1];
  for (const [name, t, dtype] of [
    ['mean', mean, 'float64'],
    ['m2', m2, 'float64'],
    ['weight', weight, x.dtype],
    ['bias', bias, x.dtype],
  ] as const)
    if (t && (t.size !== c || t.dtype !== dtype))
      throw new RuntimeError(
        `[batchNormGiven] expected ${name} of ${c} elements and dtype ${dtype}, got ${t.size}, ${t.dtype}`,
      );
  requireSameDevice('batchNormGiven', x, mean, m2, ...present(weight, bias));
  return givenOp(x, mean, m2, count, weight, bias, eps);
}

/**
 * The gradient of x from those of its statistics, which had `count` elements a channel: dmean/count + 2·(x − mean)·dm2.
 * Unrecorded.
 */
export function statisticsBackward(x: Tensor, { count, mean }: BatchStatistics, dmean: Tensor, dm2: Tensor): Tensor {
  return launchApply(x, mean, mul(dm2, 2), { weight: null, bias: cast(div(dmean, count), x.dtype), relu: 0 });
}
