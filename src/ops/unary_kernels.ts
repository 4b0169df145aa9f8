// The kernels of unary functions as functions of tensors, unrecorded; the operations are in elementwise.ts.
import type { Unary } from '../kernels/generated/abi.ts';
import type { DType } from '../tensor/dtype.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';

export function launchUnary(
  name: string,
  op: Unary,
  x: Tensor,
  p0: number,
  p1: number,
  dtype: DType = x.dtype,
): Tensor {
  const out = allocate(x.shape, dtype, x.memoryFormat, x.backend);
  x.backend.check(name, x.backend.kernels.unary(op, x.code, x.pointer, out.pointer, x.size, p0, p1));
  return out;
}

/** dx = g·f′ for y = f(x); a kernel reads only the one of x and y that it needs. All lie as dx does. */
export function launchUnaryBackward(
  name: string,
  op: Unary,
  x: Tensor,
  y: Tensor,
  g: Tensor,
  dx: Tensor,
  p0 = 0,
  p1 = 0,
): Tensor {
  const { backend } = dx;
  backend.check(
    `${name}Backward`,
    backend.kernels.unaryBackward(op, dx.code, x.pointer, y.pointer, g.pointer, dx.pointer, dx.size, p0, p1),
  );
  return dx;
}
