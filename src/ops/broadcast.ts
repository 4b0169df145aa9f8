// Sum and broadcast, which are each other's derivatives, and the functions made of them.
import { defineOp } from '../autograd/define_op.ts';
import { requireIntegers, requireShape } from '../checks.ts';
import { Reduction } from '../device/generated/abi.ts';
import { RuntimeError } from '../errors.ts';
import { launchReduce, reducedShape } from '../launch/reduce.ts';
import { copyElements } from '../tensor/copy.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { broadcastStrides, formatShape, physicalOrder, type Shape, sameShape, stridesOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { copyOf, reshape } from './shape_ops.ts';

/** A gradient of the reduced shape, with the reduced dimensions put back as 1. */
export const withDims = (g: Tensor, shape: Shape, dims: readonly number[]): Tensor =>
  reshape(g, reducedShape(shape, dims, true));

export const sumOp = defineOp({
  name: 'sum',
  forward: (_ctx, x: Tensor, dims: readonly number[], keepdim: boolean) =>
    launchReduce('sum', Reduction.sum, x, dims, keepdim),
  backward: (_ctx, [g], x, dims) => [broadcastTo(withDims(g, x.shape, dims), x.shape)],
});

/** The gradient of a broadcast: g summed back to `shape`. */
export function sumTo(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const lead = g.rank - shape.length;
  const dims = g.shape.flatMap((n, d) => (d < lead || (shape[d - lead] === 1 && n !== 1) ? [d] : []));
  return reshape(sumOp(g, dims, true), shape);
}

const expandOp = defineOp({
  name: 'expand',
  forward(_ctx, x: Tensor, shape: Shape) {
    const format = x.rank === shape.length ? x.memoryFormat : 'contiguous';
    const out = allocate(shape, x.dtype, format, x.backend);
    const order = physicalOrder(shape.length, out.memoryFormat);
    const pick = (values: readonly number[]) => order.map((d) => values[d]);
    copyElements(
      'expand',
      x,
      out,
      pick(shape),
      pick(broadcastStrides(x.shape, x.strides, shape)),
      pick(stridesOf(shape, out.memoryFormat)),
    );
    return out;
  },
  backward: (_ctx, [g], x) => [sumTo(g, x.shape)],
});

/**
 * Size-1 dimensions repeated to the given sizes, −1 for as it is, new ones in front; always a copy (PyTorch:
 * `Tensor.expand`).
 */
export function expand(x: Tensor, shape: Shape): Tensor {
  const expanded = broadcastTo(x, shape);
  return expanded === x ? copyOf(x) : expanded;
}

/** `expand` for callers that only read: returns x itself where nothing is repeated. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  requireTensor('expand', x);
  requireIntegers('expand', 'shape', shape);
  const lead = shape.length - x.rank;
  if (lead < 0)
    throw new RuntimeError(
      `expand(${x.dtype}${formatShape(x.shape)}, size=${formatShape(shape)}): the number of sizes provided (${shape.length}) must be greater or equal to the number of dimensions in the tensor (${x.rank})`,
    );
  const target = shape.map((n, d) => (n === -1 && d >= lead ? x.shape[d - lead] : n));
  target.forEach((n, d) => {
    if (d < lead && n < 0)
      throw new RuntimeError(
        `The expanded size of the tensor (${n}) isn't allowed in a leading, non-existing dimension ${d}`,
      );
    const own = d < lead ? 1 : x.shape[d - lead];
    if (n < 0 || (own !== 1 && own !== n))
      throw new RuntimeError(
        `The expanded size of the tensor (${n}) must match the existing size (${own}) at non-singleton dimension ${d}.  Target sizes: ${formatShape(target)}.  Tensor sizes: ${formatShape(x.shape)}`,
      );
  });
  return sameShape(target, x.shape) ? x : expandOp(x, target);
}

/**
 * x repeated `counts[d]` times along each dimension d; more counts than dimensions add some in front; a copy (PyTorch:
 * `Tensor.repeat`).
 */
export function repeat(x: Tensor, counts: Shape): Tensor {
  requireTensor('repeat', x);
  requireIntegers('repeat', 'counts', counts);
  if (counts.length < x.rank)
    throw new RuntimeError(
      'Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor',
    );
  const shape = [...Array<number>(counts.length - x.rank).fill(1), ...x.shape];
  const target = shape.map((n, d) => n * counts[d]);
  if (counts.some((count) => count < 0))
    throw new RuntimeError(
      `[repeat] Trying to create tensor with negative dimension: expected counts of at least 0, got ${formatShape(counts)}`,
    );
  requireShape('repeat', target);
  const paired = reshape(
    x,
    shape.flatMap((n) => [1, n]),
  );
  return reshape(
    expand(
      paired,
      shape.flatMap((n, d) => [counts[d], n]),
    ),
    target,
  );
}
