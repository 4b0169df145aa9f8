// Normalization of rows: what layer norm, RMS norm, group norm and instance norm have in common. A tensor is seen as
// (n, g, k, s); each of its n·g rows of k·s values is brought to mean 0 and variance 1 (RMS: only to mean square 1),
// then times a weight and plus a bias that belong to one of the g·k. Not here: which axes these are and what is checked
// (layer_norm.ts, group_norm.ts, …).
import { grad } from '../../autograd/backward.ts';
import { asOperand, defineOp, type TensorInfo } from '../../autograd/define_op.ts';
import { isGradEnabled } from '../../autograd/grad_mode.ts';
import { inFormat } from '../../tensor/copy.ts';
import { allocate, type Tensor } from '../../tensor/tensor.ts';
import { cast, toFormat } from '../convert.ts';
import { add, mul, rsqrt, square, sub } from '../elementwise.ts';
import { mean as meanOf } from '../reduce.ts';
import { reshape } from '../shape_ops.ts';

/** How rows lie in a tensor: contiguous (n, g, k, s); in channels-last order (n, s, g, k). */
export interface RowView {
  readonly n: number;
  readonly g: number;
  readonly k: number;
  readonly s: number;
}

export interface NormalizedRows {
  /** In x's shape and memory format. */
  readonly y: Tensor;
  /** (n, g), float64; for RMS zeros. Constants for autograd, like m2. */
  readonly mean: Tensor;
  /** (n, g), float64: Σ(x − mean)² of each row. */
  readonly m2: Tensor;
}

/**
 * The plain definition, of which every derivative exists. A bias adds nothing to its derivatives. `mean` is what the
 * kernels found, here a constant, taken off first (batch_norm.ts's `normalOf` says why); null: RMS.
 */
function composed(x: Tensor, { n, g, k, s }: RowView, weight: Tensor | null, mean: Tensor | null, eps: number): Tensor {
  const rows = reshape(toFormat(x, 'contiguous'), [n, g, k * s]);
  const keep = { keepdim: true };
  const shifted = mean ? sub(rows, reshape(cast(mean, x.dtype), [n, g, 1])) : rows;
  const centre = mean ? sub(shifted, meanOf(shifted, [2], keep)) : rows;
  const normal = reshape(mul(centre, rsqrt(add(meanOf(square(centre), [2], keep), eps))), [n, g, k, s]);
  const scaled = weight ? mul(normal, reshape(weight, [1, g, k, 1])) : normal;
  return toFormat(reshape(scaled, x.shape), x.memoryFormat);
}

const rowNormOp = defineOp({
  name: 'rowNorm',
  forward(
    ctx,
    x: Tensor,
    weight: Tensor | null,
    bias: Tensor | null,
    { n, g, k, s }: RowView,
    eps: number,
    centred: boolean,
  ): readonly [Tensor, Tensor, Tensor] {
    const { backend } = x;
    const perRow = () => allocate([n, g], 'float64', 'contiguous', backend);
    const [mean, m2, invstd] = [perRow(), perRow(), perRow()];
    const y = allocate(x.shape, x.dtype, x.memoryFormat, backend);
    backend.launch.rowNormForward('rowNorm', { x, n, g, k, s, centred, eps, weight, bias, mean, m2, invstd, y });
    ctx.save(x, weight, mean, invstd);
    ctx.markConstant(mean, m2);
    return [y, mean, m2];
  },
  /**
   * With h = dy·weight and averages over a row: dx = invstd·(h − avg(h) − x̂·avg(h·x̂)), dweight = Σ dy·x̂, dbias = Σ
   * dy.
   */
  backward(ctx, [dy], info, weightInfo, biasInfo, view, eps, centred) {
    const [x, weight, mean, invstd] = ctx.saved;
    if (!dy) return [null, null, null];
    const { n, g, k, s } = view;
    const [needsX, needsWeight, needsBias] = ctx.needs;
    if (isGradEnabled()) {
      const [input, scale] = [asOperand(x), weight && asOperand(weight)];
      const wanted = [...(needsX ? [input] : []), ...(needsWeight && scale ? [scale] : [])];
      const found =
        wanted.length > 0
          ? grad([composed(input, view, scale, centred ? mean : null, eps)], wanted, {
              gradOutputs: [dy],
              createGraph: true,
            })
          : [];
      const rows = () => reshape(toFormat(dy, 'contiguous'), [n, g, k, s]).sum([0, 3]);
      return [
        needsX ? found[0] : null,
        needsWeight ? found[found.length - 1] : null,
        needsBias ? reshape(rows(), biasInfo!.shape) : null,
      ];
    }
    const { backend } = x;
    const gradient = inFormat(dy, x.memoryFormat);
    const dx = needsX ? allocate(x.shape, x.dtype, x.memoryFormat, backend) : null;
    const isAffine = needsWeight || needsBias;
    const sums = isAffine ? [0, 1].map(() => allocate([g * k], 'float64', 'contiguous', backend)) : [null, null];
    const [dweight, dbias] = sums;
    backend.launch.rowNormBackward('rowNormBackward', {
      x,
      dy: gradient,
      n,
      g,
      k,
      s,
      centred,
      mean,
      invstd,
      weight,
      dx,
      dweight,
      dbias,
    });
    const toParameter = (sum: Tensor | null, { shape }: TensorInfo) => reshape(cast(sum!, info.dtype), shape);
    return [
      dx,
      needsWeight ? toParameter(sums[0], weightInfo!) : null,
      needsBias ? toParameter(sums[1], biasInfo!) : null,
    ];
  },
});

/**
 * y = (x − mean)/√(m2/(k·s) + eps)·weight + bias for every row of `view`; without `centred` the mean is taken as 0
 * (RMS). `weight` and `bias` hold g·k values, or are null. Nothing is checked.
 */
export function normalizeRows(
  x: Tensor,
  view: RowView,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
  centred: boolean,
): NormalizedRows {
  const [y, mean, m2] = rowNormOp(x, weight, bias, view, eps, centred);
  return { y, mean, m2 };
}
