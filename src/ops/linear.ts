// The linear and the bilinear layer as operations.
import { defineOp } from '../autograd/define_op.ts';
import { RuntimeError } from '../errors.ts';
import { fused } from '../fusion/fused.ts';
import { linearRule } from '../fusion/linear.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { formatShape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { add } from './elementwise.ts';
import { launchGemm, matmul, product } from './matmul.ts';
import { sum } from './reduce.ts';
import { permute, reshape } from './shape_ops.ts';

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

/**
 * y[o] = x1·weight[o]·x2ᵀ + bias[o] over the last dimensions: x1 (…, in1), x2 (…, in2), weight (out, in1, in2), bias
 * (out) or null give (…, out) (PyTorch: `F.bilinear`).
 * @throws RuntimeError where sizes or dtypes do not fit.
 * @example
 * bilinear(randn([8, 3]), randn([8, 4]), randn([5, 3, 4])).shape; // [8, 5]
 */
export function bilinear(x1: Tensor, x2: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  requireFloat('bilinear', x1);
  requireTensor('bilinear', x2);
  requireTensor('bilinear', weight);
  requireSameDevice('bilinear', x1, x2, weight, ...(bias ? [bias] : []));
  if (x1.rank !== x2.rank)
    throw new RuntimeError(`bilinear(): input dimensions do not match: got ${x1.rank} and ${x2.rank}`);
  if (x1.rank === 0 || weight.rank !== 3)
    throw new RuntimeError(
      `[bilinear] expected inputs of at least 1 dimension and a weight of 3, got ${formatShape(x1.shape)} and ${formatShape(weight.shape)}`,
    );
  const batch = x1.shape.slice(0, -1);
  batch.forEach((size, i) => {
    if (size !== x2.shape[i])
      throw new RuntimeError(
        `bilinear(): input batch dimensions do not match at dim ${i}: got ${size} and ${x2.shape[i]}`,
      );
  });
  const [out, in1, in2] = weight.shape;
  for (const [name, got, expected] of [
    ['input1', x1.shape.at(-1), in1],
    ['input2', x2.shape.at(-1), in2],
    ['bias', bias?.shape[0] ?? out, out],
  ] as const)
    if (got !== expected)
      throw new RuntimeError(
        `bilinear(): ${name} size does not match weight size: got ${got} but expected ${expected}`,
      );
  for (const t of [x2, weight, bias])
    if (t && t.dtype !== x1.dtype)
      throw new RuntimeError(`[bilinear] expected all dtypes to be ${x1.dtype}, got ${t.dtype}`);
  const rows = sizeOf(batch);
  // For each row (out, in2), and then its products with x2.
  const half = matmul(reshape(x1, [rows, in1]), reshape(permute(weight, [1, 0, 2]), [in1, out * in2]));
  const y = reshape(matmul(reshape(half, [rows, out, in2]), reshape(x2, [rows, in2, 1])), [...batch, out]);
  return bias ? add(y, bias) : y;
}
