// Sampling at the places of a grid, and the grids of affine maps: spatial transformers (Jaderberg et al. 2015).
import { grad } from '../autograd/backward.ts';
import { asOperand, defineOp } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { requireChoice, requireIntegers } from '../checks.ts';
import { NotImplementedError, RuntimeError, ValueError } from '../errors.ts';
import {
  type GridSampling,
  launchGridGradient,
  launchGridSample,
  launchGridSampleBackward,
} from '../launch/grid_sample.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { arangeOn, fullOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { formatShape, type Shape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { expand } from './broadcast.ts';
import { cast, toFormat } from './convert.ts';
import {
  abs,
  add,
  clamp,
  div,
  floor,
  ge,
  le,
  logicalAnd,
  minimum,
  mul,
  remainder,
  round,
  rsub,
  sub,
  where,
} from './elementwise.ts';
import { gather } from './indexing.ts';
import { matmul } from './matmul.ts';
import { reshape, select, stack, transpose, unsqueeze } from './shape_ops.ts';

const gridSampleOp = defineOp({
  name: 'gridSample',
  forward(ctx, x: Tensor, grid: Tensor, how: GridSampling) {
    ctx.save(x, grid);
    return launchGridSample(x, grid, how);
  },
  backward(ctx, [g], info, _grid, how) {
    const [x, grid] = ctx.saved;
    const [needsX, needsGrid] = ctx.needs;
    if (isGradEnabled()) {
      const operands = [asOperand(x), asOperand(grid)];
      const wanted = operands.filter((_, i) => ctx.needs[i]);
      const found = grad([composed(operands[0], operands[1], how)], wanted, { gradOutputs: [g], createGraph: true });
      return [needsX ? found[0] : null, needsGrid ? found[found.length - 1] : null, null];
    }
    return [
      needsX ? launchGridSampleBackward(g, grid, info.shape, info.memoryFormat, how) : null,
      needsGrid ? launchGridGradient(g, x, grid, how) : null,
      null,
    ];
  },
}) as (x: Tensor, grid: Tensor, how: GridSampling) => Tensor;

// ---- the plain definition, for higher orders ------------------------------------------------------------------------

/** What the padding makes of positions along an axis of so many elements. */
function padded(at: Tensor, size: number, { padding, alignCorners }: GridSampling): Tensor {
  if (padding === 'zeros') return at;
  const [low, span] = alignCorners ? [0, 2 * (size - 1)] : [-0.5, 2 * size];
  let inside = at;
  if (padding === 'reflection') {
    if (span === 0) return mul(at, 0);
    const rest = remainder(abs(sub(at, low)), span);
    inside = add(minimum(rest, rsub(rest, span)), low);
  }
  return clamp(inside, 0, size - 1);
}

const cubicNear = (x: Tensor): Tensor => add(mul(mul(sub(mul(x, 1.25), 2.25), x), x), 1);
const cubicFar = (x: Tensor): Tensor => add(mul(add(mul(add(mul(x, -0.75), 3.75), x), -6), x), 3);

/** The positions that are read along an axis, with their weights. */
function tapsOf(coordinate: Tensor, size: number, how: GridSampling): [at: Tensor, weight: Tensor][] {
  const scale = (how.alignCorners ? size - 1 : size) / 2;
  const at = sub(mul(add(coordinate, 1), scale), how.alignCorners ? 0 : 0.5);
  // Steps have the slope 0, and with it a part in the graph.
  if (how.mode === 'nearest') return [[round(padded(at, size, how)), add(mul(at, 0), 1)]];
  const place = how.mode === 'bilinear' ? padded(at, size, how) : at;
  const first = floor(place);
  const t = sub(place, first);
  if (how.mode === 'bilinear')
    return [
      [first, rsub(t, 1)],
      [add(first, 1), t],
    ];
  const weights = [cubicFar(add(t, 1)), cubicNear(t), cubicNear(rsub(t, 1)), cubicFar(rsub(t, 2))];
  return weights.map((weight, k) => [padded(add(first, k - 1), size, how), weight]);
}

/** Every choice of one tap for each axis. */
const choices = <T>(axes: readonly (readonly T[])[]): T[][] =>
  axes.reduce<T[][]>((all, taps) => all.flatMap((chosen) => taps.map((tap) => [...chosen, tap])), [[]]);

function composed(x: Tensor, grid: Tensor, how: GridSampling): Tensor {
  const [n, c, ...sizes] = x.shape;
  const places = sizeOf(grid.shape.slice(1, -1));
  const dims = sizes.length;
  const flat = reshape(toFormat(x, 'contiguous'), [n, c, sizeOf(sizes)]);
  const coordinates = reshape(grid, [n, places, dims]);
  const axes = sizes.map((size, d) =>
    tapsOf(select(coordinates, 2, dims - 1 - d), size, how).map(([at, weight]) => ({
      isInside: logicalAnd(ge(at, 0), le(at, size - 1)),
      at: cast(clamp(at, 0, size - 1), 'int64'),
      weight,
      stride: sizeOf(sizes.slice(d + 1)),
    })),
  );
  const parts = choices(axes).map((taps) => {
    const at = taps.map((tap) => mul(tap.at, tap.stride)).reduce((a, b) => add(a, b));
    const isInside = taps.map((tap) => tap.isInside).reduce((a, b) => logicalAnd(a, b));
    const read = gather(flat, 2, expand(unsqueeze(at, 1), [n, c, places]));
    const values = where(unsqueeze(isInside, 1), read, 0);
    return taps.reduce((part, { weight }) => mul(part, unsqueeze(weight, 1)), values);
  });
  return reshape(
    parts.reduce((a, b) => add(a, b)),
    [n, c, ...grid.shape.slice(1, -1)],
  );
}

// ---- gridSample -----------------------------------------------------------------------------------------------------

/** How `gridSample` finds values between elements. */
export type GridSampleMode = 'bilinear' | 'nearest' | 'bicubic';
/** What `gridSample` finds outside. */
export type GridSamplePadding = 'zeros' | 'border' | 'reflection';

/** Options of `affineGrid`. */
export interface AffineGridOptions {
  /**
   * Whether −1 and 1 are the centres of the outermost elements; otherwise they are their outer edges, and results do
   * not depend on the resolution. Default: false.
   */
  alignCorners?: boolean;
}
/** Options of `gridSample`. */
export interface GridSampleOptions extends AffineGridOptions {
  /** `'bilinear'`, which is trilinear in volumes; `'nearest'`; or, in images, `'bicubic'`. Default: `'bilinear'`. */
  mode?: GridSampleMode;
  /** Beyond the ends: 0, the outermost element, or the elements in reverse. Default: `'zeros'`. */
  paddingMode?: GridSamplePadding;
}
const affineGridOptions = declareOptions<AffineGridOptions>({ alignCorners: kind.flag });
const gridSampleOptions = declareOptions<GridSampleOptions>({
  mode: kind.choice,
  paddingMode: kind.choice,
  alignCorners: kind.flag,
});

/**
 * x (N, C, H, W), or (N, C, D, H, W), at the places of a grid (N, OH, OW, 2), or (N, OD, OH, OW, 3): shape (N, C, OH,
 * OW), or (N, C, OD, OH, OW). Coordinates are x before y before z, and −1 and 1 at the ends (PyTorch: `F.grid_sample`).
 * Both tensors have gradients, of every order.
 * @throws RuntimeError on shapes that do not fit one another, on an empty image, and on two dtypes; ValueError on a
 * mode
 *   or a padding that does not exist; NotImplementedError on integers.
 * @example
 * const turned = gridSample(x, affineGrid(tensor([[[0, -1, 0], [1, 0, 0]]]).repeat(4, 1, 1), [4, 6, 8, 8]));
 */
export function gridSample(x: Tensor, grid: Tensor, options: GridSampleOptions = {}): Tensor {
  requireTensor('gridSample', x);
  requireTensor('gridSample', grid);
  requireOptions('gridSample', options, gridSampleOptions);
  const { mode = 'bilinear', paddingMode = 'zeros', alignCorners = false } = options;
  requireChoice('gridSample', 'mode', mode, ['bilinear', 'nearest', 'bicubic']);
  requireChoice('gridSample', 'paddingMode', paddingMode, ['zeros', 'border', 'reflection']);
  requireSameDevice('gridSample', x, grid);
  requireSampled(x.shape, grid.shape);
  if (mode === 'bicubic' && x.rank !== 4)
    throw new RuntimeError('gridSample(): bicubic interpolation only supports 4D input');
  requireFloat('gridSample', x);
  if (x.dtype !== grid.dtype) throw new RuntimeError(`expected scalar type ${x.dtype} but found ${grid.dtype}`);
  return gridSampleOp(x, toFormat(grid, 'contiguous'), { mode, padding: paddingMode, alignCorners });
}

function requireSampled(shape: Shape, grid: Shape): void {
  const both = `input with sizes ${formatShape(shape)} and grid with sizes ${formatShape(grid)}`;
  if (shape[0] !== grid[0])
    throw new RuntimeError(`gridSample(): expected grid and input to have same batch size, but got ${both}`);
  if (grid.at(-1) !== shape.length - 2)
    throw new RuntimeError(
      `gridSample(): expected grid to have size ${shape.length - 2} in last dimension, but got grid with sizes ${formatShape(grid)}`,
    );
  shape.forEach((size, d) => {
    if (d >= 2 && size === 0)
      throw new RuntimeError(
        `gridSample(): expected input to have non-empty spatial dimensions, but input has sizes ${formatShape(shape)} with dimension ${d} being empty`,
      );
  });
  if ((shape.length !== 4 && shape.length !== 5) || grid.length !== shape.length)
    throw new RuntimeError(
      `gridSample(): expected 4D or 5D input and grid with same number of dimensions, but got ${both}`,
    );
}

// ---- affineGrid -----------------------------------------------------------------------------------------------------

/**
 * The grid, for `gridSample`, of affine maps: `theta` is (N, 2, 3) for a `size` of (N, C, H, W), and the grid (N, H, W,
 * 2); or (N, 3, 4), for (N, C, D, H, W). Each place is mapped to where it is read (PyTorch: `F.affine_grid`).
 * @throws ValueError where `theta` does not fit the size, or a size is not positive; NotImplementedError on a size of
 *   other than 4 or 5 dimensions.
 * @example
 * const same = affineGrid(tensor([[[1, 0, 0], [0, 1, 0]]]), [1, 6, 8, 8]); // shape [1, 8, 8, 2]
 */
export function affineGrid(theta: Tensor, size: readonly number[], options: AffineGridOptions = {}): Tensor {
  requireTensor('affineGrid', theta);
  requireIntegers('affineGrid', 'size', size);
  requireOptions('affineGrid', options, affineGridOptions);
  if (!isFloat(theta.dtype)) throw new ValueError(`Expected theta to have floating point type, but got ${theta.dtype}`);
  const dims = size.length - 2;
  if (dims !== 2 && dims !== 3)
    throw new NotImplementedError(
      `affineGrid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size ${formatShape(size)}.`,
    );
  if (theta.rank !== 3 || theta.shape[1] !== dims || theta.shape[2] !== dims + 1)
    throw new ValueError(
      `Expected a batch of ${dims}D affine matrices of shape Nx${dims}x${dims + 1} for size ${formatShape(size)}. Got ${formatShape(theta.shape)}.`,
    );
  if (size.some((n) => n <= 0))
    throw new ValueError(`Expected non-zero, positive output size. Got ${formatShape(size)}`);
  const [n, , ...spatial] = size;
  if (theta.shape[0] !== n)
    throw new RuntimeError(
      `Expected size for first two dimensions of batch2 tensor to be: ${formatShape([n, dims + 1])} but got: ${formatShape([theta.shape[0], dims + 1])}.`,
    );
  // The last axis comes first: x before y before z, and 1 behind them.
  const coordinates = spatial.map((steps, d) => {
    const along = arangeOn(theta.backend, steps, theta.dtype, 1 - steps, 2);
    const scaled = div(along, options.alignCorners ? Math.max(1, steps - 1) : steps);
    return expand(reshape(scaled, [steps, ...spatial.slice(d + 1).map(() => 1)]), spatial);
  });
  const base = stack([...coordinates.reverse(), fullOn(theta.backend, spatial, 1, theta.dtype)], -1);
  const grid = matmul(reshape(base, [1, sizeOf(spatial), dims + 1]), transpose(theta, 1, 2));
  return reshape(grid, [n, ...spatial, dims]);
}
