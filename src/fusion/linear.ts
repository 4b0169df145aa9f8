// Linear → norm (→ add, ReLU) → Linear: large layers use the kernels of convolution, for which (N, C) is an image of N
// pixels. These pack their operands better, and their prologues and epilogues work for the norms around.
//   condition  2048 rows, 2^26 multiplications, at most 2^22 weights
//   saves      as a convolution does
import type { ConvShape } from '../launch/conv.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { mergedConv, mergedConvBackward } from './convolution.ts';
import type { Rule } from './fused.ts';
import { largeLayers } from './thresholds.ts';

/** A linear layer as a convolution without spatial dimensions. */
const pointwise: ConvShape = { stride: [], padding: [], dilation: [], groups: 1 };

function isLarge([rows]: Shape, weight: Shape): boolean {
  const size = sizeOf(weight);
  return (
    size > 0 && rows >= largeLayers.rows && rows * size >= largeLayers.multiplications && size <= largeLayers.weights
  );
}

/** The rule of a linear layer on (N, C). */
export const linearRule: Rule<[x: Tensor, weight: Tensor, bias: Tensor | null], Tensor> = {
  forward(ctx, x, weight, bias) {
    if (!isLarge(x.shape, weight.shape)) return null;
    ctx.save(x, weight);
    return mergedConv(x, weight, bias, pointwise, ctx.needs.length > 0);
  },
  backward: (ctx, [g], x, weight) =>
    isLarge(x.shape, weight.shape) ? mergedConvBackward(ctx, g, weight.shape, pointwise) : null,
};
