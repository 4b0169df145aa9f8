// The kernels of elementwise functions of one operand as functions of tensors. Nothing is recorded; the operations are
// in ops/elementwise/.
import type { Unary } from '../device/generated/abi.ts';
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
  x.backend.launch.unary(name, { op, x, out, p0, p1 });
  return out;
}

/** dx = g·f′(x), with y = f(x). The kernel reads x or y, whichever it needs. All operands have dx's memory format. */
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
  dx.backend.launch.unaryBackward(`${name}Backward`, { op, x, y, g, dx, p0, p1 });
  return dx;
}
