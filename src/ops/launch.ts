// What all ops share before a kernel is called: one device, one dtype, one memory order.
import { defineOp } from '../autograd/define_op.ts';
import { requireChoice, shown } from '../checks.ts';
import { ArgumentTypeError, NotImplementedError, RuntimeError } from '../errors.ts';
import type { Pointer } from '../kernels/generated/abi.ts';
import { copyDense, copyStrided } from '../tensor/copy.ts';
import { type DType, isFloat, kindOf, promote, requireDType } from '../tensor/dtype.ts';
import {
  broadcastShapes,
  broadcastStrides,
  type MemoryFormat,
  memoryFormats,
  physicalOrder,
  type Shape,
  sameShape,
  sizeOf,
} from '../tensor/shape.ts';
import { allocate, Tensor } from '../tensor/tensor.ts';

export function requireTensor(op: string, value: unknown): asserts value is Tensor {
  if (!(value instanceof Tensor)) throw new ArgumentTypeError(`[${op}] expected a Tensor, got ${shown(value)}`);
}

export function requireFloat(op: string, x: Tensor): void {
  requireTensor(op, x);
  if (!isFloat(x.dtype)) throw new NotImplementedError(`"${op}" not implemented for '${x.dtype}'`);
}

export function requireSameDevice(op: string, ...tensors: Tensor[]): void {
  const [first, ...rest] = tensors;
  for (const tensor of rest)
    if (tensor.device !== first.device)
      throw new RuntimeError(
        `[${op}] expected all tensors on one engine, got ${first.device.name} and ${tensor.device.name}`,
      );
}

/** x in a format: itself where it already is. Not recorded; see `toFormat` for the differentiable form. */
export const inFormat = (x: Tensor, format: MemoryFormat): Tensor =>
  x.memoryFormat === format || x.rank < 3 ? x : copyStrided(x, format);
export const rowMajor = (x: Tensor): Tensor => inFormat(x, 'contiguous');

/** The address of a tensor that may be absent: 0 is null. */
export const pointerOf = (x: Tensor | null | undefined): Pointer => (x ? x.pointer : 0);

/** x in another memory format (PyTorch: `x.contiguous(memory_format=…)`); x itself where it already is. */
export const toFormat: (x: Tensor, format: MemoryFormat) => Tensor = (x, format) => {
  requireTensor('contiguous', x);
  if (x.memoryFormat !== format) requireChoice('contiguous', 'memoryFormat', format, memoryFormats);
  return x.memoryFormat === format || x.rank < 3 ? x : convertFormat(x, format);
};
const convertFormat = defineOp({
  name: 'contiguous',
  forward: (_ctx, x: Tensor, format: MemoryFormat) => copyStrided(x, format),
  backward: (_ctx, [g]) => [g],
});

/** x converted to another dtype; x itself where it already is. Gradients are converted back. */
export function cast(x: Tensor, dtype: DType): Tensor {
  requireTensor('to', x);
  if (x.dtype === dtype) return x;
  requireDType('to', dtype);
  return convert(x, dtype);
}
const convert = defineOp({
  name: 'to',
  forward(_ctx, x: Tensor, dtype: DType) {
    const out = allocate(x.shape, dtype, x.memoryFormat, x.device);
    x.device.check('to', x.device.kernels.cast(x.code, out.code, x.pointer, out.pointer, x.size));
    return out;
  },
  backward: (_ctx, [g], x) => [cast(g, x.dtype)],
});

/** A copy of x (PyTorch: `clone`). */
export const clone: (x: Tensor) => Tensor = defineOp({
  name: 'clone',
  forward(_ctx, x: Tensor) {
    const out = allocate(x.shape, x.dtype, x.memoryFormat, x.device);
    copyDense('clone', x, out);
    return out;
  },
  backward: (_ctx, [g]) => [g],
});

/** The dtype two operands are computed in: PyTorch's promotion, in which 0-d tensors yield to others of their kind. */
export function resultType(a: Tensor, b: Tensor): DType {
  if (a.dtype === b.dtype) return a.dtype;
  if (a.rank > 0 && b.rank === 0 && kindOf(a.dtype) >= kindOf(b.dtype)) return a.dtype;
  if (b.rank > 0 && a.rank === 0 && kindOf(b.dtype) >= kindOf(a.dtype)) return b.dtype;
  return promote(a.dtype, b.dtype);
}

/** How operands lie inside a common output: dimensions in the output's memory order, with strides per operand. */
export interface Layout {
  readonly shape: Shape;
  readonly format: MemoryFormat;
  /** Sizes and strides in physical order; a single dimension where everything is dense and alike. */
  readonly dims: readonly number[];
  readonly strides: readonly (readonly number[])[];
}

export function commonLayout(tensors: readonly Tensor[]): Layout {
  const [first] = tensors;
  let same = true;
  for (let i = 1; i < tensors.length && same; i++)
    same = sameShape(tensors[i].shape, first.shape) && tensors[i].memoryFormat === first.memoryFormat;
  if (same) {
    const flat = [1];
    return {
      shape: first.shape,
      format: first.memoryFormat,
      dims: [sizeOf(first.shape)],
      strides: tensors.map(() => flat),
    };
  }
  const shape = tensors.reduce<Shape>((common, t) => broadcastShapes(common, t.shape), []);
  // The first operand of the full shape decides the output's order.
  const leader = tensors.find((t) => sameShape(t.shape, shape)) ?? tensors.find((t) => t.rank === shape.length);
  const format = shape.length >= 3 && leader ? leader.memoryFormat : 'contiguous';
  const order = physicalOrder(shape.length, format);
  return {
    shape,
    format,
    dims: order.map((d) => shape[d]),
    strides: tensors.map((t) => {
      const strides = broadcastStrides(t.shape, t.strides, shape);
      return order.map((d) => strides[d]);
    }),
  };
}
