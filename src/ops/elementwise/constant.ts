// Gradients that do not change with x although x has chosen them.
import { defineOp, type TensorInfo } from '../../autograd/define_op.ts';
import { isGradEnabled } from '../../autograd/grad_mode.ts';
import { fullOn } from '../../tensor/create.ts';
import { aliasOf, type Tensor } from '../../tensor/tensor.ts';

export const zerosAs = ({ backend, shape, dtype, memoryFormat }: TensorInfo): Tensor =>
  fullOn(backend, shape, 0, dtype, memoryFormat);

/**
 * A gradient whose derivative by x is 0 although x has chosen it: as in PyTorch it requires a gradient, and that one is
 * zeros.
 */
export const constantIn = defineOp({
  name: 'constantIn',
  forward: (_ctx, gradient: Tensor, _x: Tensor) => aliasOf(gradient),
  backward: (_ctx, [g], _gradient, x) => [g, zerosAs(x)],
}) as (gradient: Tensor, x: Tensor) => Tensor;

/** x, for an op that is linear in it but whose gradient PyTorch calls a function of it: see `constantIn`. */
export const constantAbove: (x: Tensor) => Tensor = defineOp({
  name: 'constantAbove',
  forward(ctx, x: Tensor) {
    ctx.save(x);
    return aliasOf(x);
  },
  backward: (ctx, [g]) => [isGradEnabled() ? constantIn(g, ctx.saved[0]) : g],
});
