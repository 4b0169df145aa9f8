// Sizes and strides of operands that are broadcast to one shape, for kernels that take several operands.
import {
  broadcastShapes,
  broadcastStrides,
  type MemoryFormat,
  physicalOrder,
  type Shape,
  sameShape,
  sizeOf,
} from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** The dimensions of a common output in its memory order, and the strides of each operand along them. */
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
  // The output has the memory order of the first operand that has the full shape.
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
