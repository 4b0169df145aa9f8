// The linear layer as an operation. Large matrices go to the kernels of convolution, to which (N, C) is a picture of N pixels: they pack their
// operands better, and do the work of the norms around (see fusion/). Small ones go to the plain product, as does what is recorded of a backward.
import { defineOp } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import type { Edge } from '../autograd/node.ts';
import { RuntimeError } from '../errors.ts';
import { withMaterialized } from '../fusion/deferred_norm.ts';
import { formatShape, type Shape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type ConvShape, convForward, inputGradient, launchBackwardWeight } from './conv_kernels.ts';
import { requireFloat, requireSameDevice, requireTensor } from './launch.ts';
import { launchGemm, product } from './matmul.ts';
import { sum } from './reduce.ts';
import { reshape } from './shape_ops.ts';

/**
 * Which layers go to the kernels of convolution, which pack all weights before the arithmetic: those of so many rows and multiplications, and of
 * so many weights at most. Tests lower the first two.
 */
export const largeLayers = { rows: 2048, multiplications: 2 ** 26, weights: 2 ** 22 };

/** A linear layer as a convolution without spatial dimensions. */
const pointwise: ConvShape = { stride: [], padding: [], dilation: [], groups: 1 };

function isLarge([rows]: Shape, weight: Shape): boolean {
  const size = sizeOf(weight);
  return (
    size > 0 && rows >= largeLayers.rows && rows * size >= largeLayers.multiplications && size <= largeLayers.weights
  );
}

/** The gradient of x, which may be a norm that waits for it. */
function gradientOfInput(g: Tensor, weight: Tensor, x: Tensor, to: Edge): Tensor {
  if (isGradEnabled() || !isLarge(x.shape, weight.shape)) return product(g, weight, false, false);
  return inputGradient(g, weight, x, pointwise, to);
}

/** The gradients of the weights, of a shape, and of the bias, if that is wanted. */
function parameterGradients(g: Tensor, x: Tensor, weight: Shape, needsBias: boolean): readonly Tensor[] {
  if (!isGradEnabled() && isLarge(x.shape, weight)) return launchBackwardWeight(x, g, weight, pointwise, needsBias);
  return [product(g, x, true, false)];
}

const linearOp = defineOp({
  name: 'linear',
  forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | null) {
    ctx.save(x, weight);
    if (isLarge(x.shape, weight.shape)) return convForward(x, weight, bias, pointwise, ctx.needs.length > 0);
    return launchGemm(x, weight, false, true, bias);
  },
  backward(ctx, [g]) {
    const [x, weight] = ctx.saved;
    const [needsX, needsWeight, needsBias] = ctx.needs;
    // Read by both products, it is better formed once.
    if (needsX && needsWeight && !isGradEnabled()) g.materialize();
    const dx = needsX ? gradientOfInput(g, weight, x, ctx.edges[0]) : null;
    const [dweight, dbias] = needsWeight
      ? withMaterialized(x, (values) => parameterGradients(g, values, weight.shape, needsBias))
      : [null];
    return [dx, dweight, needsBias ? (dbias ?? sum(g, 0)) : null];
  },
});

/**
 * x·weightᵀ + bias over the last dimension: x (…, in), weight (out, in), bias (out) or null give (…, out) (PyTorch: `F.linear`).
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
