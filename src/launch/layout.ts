// How operands that are broadcast lie in memory, for the kernels that take several of them.
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
