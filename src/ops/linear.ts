// The linear layer as an operation.
import { defineOp } from '../autograd/define_op.ts';
import { RuntimeError } from '../errors.ts';
import { fused } from '../fusion/fused.ts';
import { linearRule } from '../fusion/linear.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { formatShape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { launchGemm, product } from './matmul.ts';
import { sum } from './reduce.ts';
import { reshape } from './shape_ops.ts';

const linearOp = defineOp(
  fused(linearRule, {
    name: 'linear',
    forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | null) {
      ctx.save(x, weight);
      return launchGemm(x, weight, false, true, bias);
    },
    backward(ctx, [g]) {
      const [x, weight] = ctx.saved;
      const [needsX, needsWeight, needsBias] = ctx.needs;
      return [
        needsX ? product(g, weight, false, false) : null,
        needsWeight ? product(g, x, true, false) : null,
        needsBias ? sum(g, 0) : null,
      ];
    },
  }),
);

/**
 * x·weightᵀ + bias over the last dimension: x (…, in), weight (out, in), bias (out) or null give (…, out) (PyTorch:
 * `F.linear`).
 * @throws RuntimeError where sizes or dtypes do not fit.
 * @example
 * linear(logits, randn([3, 10])); // shape [8, 3]
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  requireFloat('linear', x);
  requireTensor('linear', weight);
  requireSameDevice('linear', x, weight, ...(bias ? [bias] : []));
  const [out, features] = weight.shape;
  if (weight.rank !== 2 || x.rank === 0 || x.shape.at(-1) !== features)
    throw new RuntimeError(
      `mat1 and mat2 shapes cannot be multiplied (${sizeOf(x.shape.slice(0, -1))}x${x.shape.at(-1) ?? 1} and ${features}x${out})`,
    );
  if (bias && (bias.rank !== 1 || bias.shape[0] !== out))
    throw new RuntimeError(`[linear] expected bias of shape [${out}], got ${formatShape(bias.shape)}`);
  for (const t of [weight, bias])
    if (t && t.dtype !== x.dtype)
      throw new RuntimeError(`mat1 and mat2 must have the same dtype, but got ${x.dtype} and ${t.dtype}`);
  if (x.rank === 2) return linearOp(x, weight, bias);
  return reshape(linearOp(reshape(x, [sizeOf(x.shape.slice(0, -1)), features]), weight, bias), [
    ...x.shape.slice(0, -1),
    out,
  ]);
}
