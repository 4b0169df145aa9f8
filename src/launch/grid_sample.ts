// The kernels of sampling at the places of a grid as functions of tensors. Nothing here is recorded; the operation is
// in ops/grid_sample.ts. Grids are row-major.
import { GridMode, GridPadding } from '../device/generated/abi.ts';
import { inFormat } from '../tensor/copy.ts';
import { fullOn } from '../tensor/create.ts';
import { type MemoryFormat, type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';

export interface GridSampling {
  readonly mode: keyof typeof GridMode;
  readonly padding: keyof typeof GridPadding;
  readonly alignCorners: boolean;
}

function geometryOf(shape: Shape, grid: Shape, format: MemoryFormat, how: GridSampling): number[] {
  const [n, c, ...sizes] = shape;
  return [
    n,
    c,
    sizes.length,
    ...(sizes.length === 2 ? [1, ...sizes] : sizes),
    sizeOf(grid.slice(1, -1)),
    GridMode[how.mode],
    GridPadding[how.padding],
    Number(how.alignCorners),
    format === 'channelsLast' ? 1 : 0,
  ];
}

export function launchGridSample(x: Tensor, grid: Tensor, how: GridSampling): Tensor {
  const y = allocate([...x.shape.slice(0, 2), ...grid.shape.slice(1, -1)], x.dtype, x.memoryFormat, x.backend);
  const geometry = geometryOf(x.shape, grid.shape, x.memoryFormat, how);
  if (y.size > 0) x.backend.launch.gridSample('gridSample', { geometry, x, grid, y });
  return y;
}

/** The gradient of x, of the given shape. */
export function launchGridSampleBackward(
  dy: Tensor,
  grid: Tensor,
  shape: Shape,
  format: MemoryFormat,
  how: GridSampling,
): Tensor {
  const dx = inFormat(fullOn(dy.backend, shape, 0, dy.dtype), format);
  const geometry = geometryOf(shape, grid.shape, format, how);
  if (dy.size > 0)
    dy.backend.launch.gridSampleBackward('gridSampleBackward', { geometry, dy: inFormat(dy, format), grid, dx });
  return dx;
}

/** The gradient of the grid. */
export function launchGridGradient(dy: Tensor, x: Tensor, grid: Tensor, how: GridSampling): Tensor {
  if (dy.size === 0) return fullOn(dy.backend, grid.shape, 0, grid.dtype);
  const dgrid = allocate(grid.shape, grid.dtype, 'contiguous', grid.backend);
  const geometry = geometryOf(x.shape, grid.shape, x.memoryFormat, how);
  const gradient = inFormat(dy, x.memoryFormat);
  dy.backend.launch.gridSampleBackwardGrid('gridSampleBackward', { geometry, dy: gradient, x, grid, dgrid });
  return dgrid;
}
