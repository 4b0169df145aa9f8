// What makes an operation of a function of one operand: its entry in kernels/elementwise/unary.def, by name, and its
// derivative as operations. A gradient so has two forms: the kernel, and what is recorded when higher orders are asked
// for.
import { defineOp } from '../../autograd/define_op.ts';
import { isGradEnabled } from '../../autograd/grad_mode.ts';
import { Unary } from '../../device/generated/abi.ts';
import { NotImplementedError, RuntimeError } from '../../errors.ts';
import { type Saves, unaryRule } from '../../fusion/elementwise.ts';
import { fused } from '../../fusion/fused.ts';
import { launchUnary, launchUnaryBackward } from '../../launch/unary.ts';
import { inFormat } from '../../tensor/copy.ts';
import { isFloat } from '../../tensor/dtype.ts';
import { requireTensor } from '../../tensor/requirements.ts';
import { allocate, type Tensor } from '../../tensor/tensor.ts';
import { cast } from '../convert.ts';

/** The gradient at x of g at y, the function's value, as operations. Reads what is saved. */
type Derivative = (g: Tensor, x: Tensor, y: Tensor, p: number, q: number) => Tensor;

/**
 * A function of each element and of the two numbers p and q.
 * @param saves what the backward reads: x, y, or both where the kernel reads one and the operations the other.
 * @param ofBool PyTorch's words on a bool tensor, where it has its own.
 */
export function defineParametric(name: keyof typeof Unary, saves: Saves, derivative: Derivative, ofBool?: string) {
  const op = Unary[name];
  const run = defineOp(
    fused(unaryRule(name, op, saves), {
      name,
      forward(ctx, x: Tensor, p: number, q: number) {
        const y = launchUnary(name, op, x, p, q);
        ctx.save(saves === 'y' ? null : x, saves === 'x' ? null : y);
        return y;
      },
      backward(ctx, [g], _x, p, q) {
        const [x, y] = ctx.saved;
        if (isGradEnabled()) return [derivative(g, x ?? y, y ?? x, p, q)];
        const like = x ?? y;
        const dx = allocate(like.shape, like.dtype, like.memoryFormat, like.backend);
        // The kernel reads only the one that it needs; the other stands in.
        return [launchUnaryBackward(name, op, like, y ?? x, inFormat(g, like.memoryFormat), dx, p, q)];
      },
    }),
  );
  return (x: Tensor, p: number, q: number): Tensor => {
    requireTensor(name, x);
    if (x.dtype === 'bool') {
      if (ofBool) throw new RuntimeError(ofBool);
      throw new NotImplementedError(`"${name}" not implemented for 'bool'`);
    }
    return run(x, p, q);
  };
}

/** A function of each element alone: `tensors.map(relu)` hands over more. */
export function defineUnary(...definition: Parameters<typeof defineParametric>): (x: Tensor) => Tensor {
  const run = defineParametric(...definition);
  return (x) => run(x, 0, 0);
}

/** A function of each element, of floats; integers are computed as float32, as in PyTorch. */
export function defineFunction(...definition: Parameters<typeof defineParametric>): (x: Tensor) => Tensor {
  const run = defineUnary(...definition);
  return (x) => run(floating(definition[0], x));
}

/** x as floats; integers as float32. */
export function floating(name: string, x: Tensor): Tensor {
  requireTensor(name, x);
  return isFloat(x.dtype) ? x : cast(x, 'float32');
}

/** A test of each element, which gives bool. */
export function defineTest(name: keyof typeof Unary): (x: Tensor) => Tensor {
  return (x) => {
    requireTensor(name, x);
    return launchUnary(name, Unary[name], x, 0, 0, 'bool');
  };
}
