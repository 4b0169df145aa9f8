// The kernels of pooling as functions of tensors. They can normalize their input while they read it (see fusion/).
// Nothing here is recorded; the operations are in ops/pool.ts.
import { inFormat } from '../tensor/copy.ts';
import type { Shape } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import type { ReadInput } from './conv.ts';
import { push3 } from './window.ts';

/** A pooling without its tensors. */
export interface PoolShape {
  readonly output: Shape;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly isAdaptive: boolean;
  readonly countIncludePad: boolean;
  readonly divisor: number;
}

function geometry(x: Shape, pool: PoolShape, format: number): number[] {
  const numbers = [x[0], x[1]];
  push3(numbers, x, 1, 2);
  for (const values of [pool.output, pool.kernel, pool.stride]) push3(numbers, values, 1);
  push3(numbers, pool.padding, 0);
  push3(numbers, pool.dilation, 1);
  numbers.push(format, pool.isAdaptive ? 1 : 0);
  return numbers;
}

const outputShape = (x: Shape, pool: PoolShape): number[] => [x[0], x[1], ...pool.output];

/** The maxima of the windows, and where they were: flat positions in the input's spatial volume, int64. */
export function launchMaxPool(input: ReadInput, pool: PoolShape): readonly [y: Tensor, indices: Tensor] {
  const { x, xNorm, xRelu } = input;
  const y = allocate(outputShape(x.shape, pool), x.dtype, x.memoryFormat, x.backend);
  const indices = allocate(y.shape, 'int64', x.memoryFormat, x.backend);
  const numbers = geometry(x.shape, pool, x.formatCode);
  x.backend.launch.maxPool('maxPool', { geometry: numbers, x, xNorm, xRelu, y, indices });
  return [y, indices];
}

export function launchMaxPoolBackward(dy: Tensor, indices: Tensor, shape: Shape, pool: PoolShape): Tensor {
  const dx = allocate(shape, dy.dtype, indices.memoryFormat, dy.backend);
  const g = inFormat(dy, indices.memoryFormat);
  const numbers = geometry(shape, pool, indices.formatCode);
  dy.backend.launch.maxPoolBackward('maxPoolBackward', { geometry: numbers, dy: g, indices, dx });
  return dx;
}

export function launchAvgPool(input: ReadInput, pool: PoolShape): Tensor {
  const { x, xNorm, xRelu } = input;
  const { countIncludePad, divisor } = pool;
  const y = allocate(outputShape(x.shape, pool), x.dtype, x.memoryFormat, x.backend);
  const numbers = geometry(x.shape, pool, x.formatCode);
  x.backend.launch.avgPool('avgPool', { geometry: numbers, countIncludePad, divisor, x, xNorm, xRelu, y });
  return y;
}

export function launchAvgPoolBackward(dy: Tensor, shape: Shape, pool: PoolShape): Tensor {
  const { countIncludePad, divisor } = pool;
  const dx = allocate(shape, dy.dtype, dy.memoryFormat, dy.backend);
  const numbers = geometry(shape, pool, dy.formatCode);
  dy.backend.launch.avgPoolBackward('avgPoolBackward', { geometry: numbers, countIncludePad, divisor, dy, dx });
  return dx;
}
