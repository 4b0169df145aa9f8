// Resizing feature maps: nearest neighbours, linear, cubic and Lanczos weights with and without antialias, and means.
import { defineOp } from '../autograd/define_op.ts';
import {
  maxElements,
  requireChoice,
  requireCountable,
  requireFinite,
  requireInteger,
  requireNumbers,
} from '../checks.ts';
import { NotImplementedError, RuntimeError, ValueError } from '../errors.ts';
import { launchResample, type Resampling } from '../launch/resample.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { requireFloat, requireTensor } from '../tensor/requirements.ts';
import { formatShape, type Shape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { adaptiveAvgPool1d, adaptiveAvgPool2d } from './pool.ts';
import type { Size } from './window.ts';

// Linear in x: the derivative of each direction is the other one.
const resampleOp = defineOp({
  name: 'resample',
  forward: (_ctx, x: Tensor, how: Resampling, transposed: boolean) => launchResample(x, how, transposed),
  backward: (_ctx, [g], _x, how, transposed) => [resampleOp(g, how, !transposed)],
}) as (x: Tensor, how: Resampling, transposed: boolean) => Tensor;

/** How `interpolate` finds new values. */
export type InterpolationMode =
  | 'nearest'
  | 'nearestExact'
  | 'linear'
  | 'bilinear'
  | 'trilinear'
  | 'bicubic'
  | 'lanczos'
  | 'area';

/** What the kernel calls a mode, and the ranks that it is for. */
const modes: Readonly<Record<InterpolationMode, readonly [Resampling['mode'], ...ranks: number[]]>> = {
  nearest: ['nearest', 3, 4, 5],
  nearestExact: ['nearestExact', 3, 4, 5],
  linear: ['linear', 3],
  bilinear: ['linear', 4],
  trilinear: ['linear', 5],
  bicubic: ['cubic', 4],
  lanczos: ['lanczos', 4],
  area: ['area', 3, 4, 5],
};

/** What sets the size of a resized tensor: exactly one of the two. */
export interface ResizeOptions {
  /** The new size: one for all spatial dimensions, or one for each. */
  size?: Size | null;
  /** How many times larger each spatial dimension becomes, rounded down; one number, or one for each. */
  scaleFactor?: number | readonly number[] | null;
}
/** Options of `Upsample`. */
export interface UpsampleOptions extends ResizeOptions {
  /**
   * `'nearest'`, or `'nearestExact'`, which reads at centres as image libraries do; `'linear'` for (N, C, L);
   * `'bilinear'`, `'bicubic'` and `'lanczos'` for (N, C, H, W); `'trilinear'` for (N, C, D, H, W); `'area'`, the mean
   * of what lies below. Default: `'nearest'`.
   */
  mode?: InterpolationMode;
  /**
   * Whether the centres of the outermost elements stay where they are; otherwise their outer edges do. For linear and
   * cubic modes only. Default: false.
   */
  alignCorners?: boolean;
  /**
   * Whether positions are computed from the ratio of the sizes, in which the new one is rounded, instead of from
   * `scaleFactor`. Default: false.
   */
  recomputeScaleFactor?: boolean;
}
/** Options of `interpolate`. */
export interface InterpolateOptions extends UpsampleOptions {
  /**
   * Whether a smaller result takes all elements below it into account, as image libraries do: `'bilinear'`, `'bicubic'`
   * and `'lanczos'`, which needs it. Default: false.
   */
  antialias?: boolean;
}
const resizeKinds = { size: kind.numbers, scaleFactor: kind.numbers };
export const resizeOptions = declareOptions<ResizeOptions>(resizeKinds);
const upsampleKinds = { ...resizeKinds, mode: kind.choice, alignCorners: kind.flag, recomputeScaleFactor: kind.flag };
export const upsampleOptions = declareOptions<UpsampleOptions>(upsampleKinds);
const interpolateOptions = declareOptions<InterpolateOptions>({ ...upsampleKinds, antialias: kind.flag });

/** Checks each option by itself; whether they fit the input and one another is seen at the call. */
export function requireResizing(op: string, { size, scaleFactor, mode }: UpsampleOptions, least: number): void {
  if (mode !== undefined) requireChoice(op, 'mode', mode, Object.keys(modes) as InterpolationMode[]);
  for (const one of Array.isArray(size) ? size : [size ?? 0]) requireInteger(op, 'size', one, least, maxElements);
  if (Array.isArray(scaleFactor)) requireNumbers(op, 'scaleFactor', scaleFactor);
  else requireFinite(op, 'scaleFactor', scaleFactor ?? 0);
}

/** A value for each spatial dimension. */
function each(x: Tensor, what: 'output' | 'scaleFactor', value: Size): readonly number[] {
  if (!Array.isArray(value)) return Array<number>(Math.max(0, x.rank - 2)).fill(value as number);
  if (value.length === x.rank - 2) return value;
  const [given, form] =
    what === 'output'
      ? ['output size of', 'output size in (o1, o2, ...,oK)']
      : ['scaleFactor of shape', 'scaleFactor in (s1, s2, ...,sK)'];
  throw new ValueError(
    `Input and ${what} must have the same number of spatial dimensions, but got input with spatial dimensions of ${formatShape(x.shape.slice(2))} and ${given} ${formatShape(value)}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and ${form} format.`,
  );
}

/**
 * (N, C, L), (N, C, H, W) or (N, C, D, H, W) in another spatial size, which `size` or `scaleFactor` gives (PyTorch:
 * `F.interpolate`). Also of uint8: nearest neighbours, and, rounded, what is bilinear, bicubic or Lanczos.
 * @throws ValueError unless one of `size` and `scaleFactor` is given, on options that do not go together;
 * NotImplementedError on a mode that is not for the rank; RuntimeError where a size is 0.
 * @example
 * const larger = interpolate(x, { scaleFactor: 2, mode: 'bilinear' }); // shape [4, 6, 16, 16]
 * const smaller = interpolate(x, { size: [4, 5], mode: 'bicubic', antialias: true });
 */
export function interpolate(x: Tensor, options: InterpolateOptions): Tensor {
  requireOptions('interpolate', options, interpolateOptions);
  return interpolateWith(x, options);
}

/** `interpolate` for a layer, whose options are checked. */
export function interpolateWith(x: Tensor, options: InterpolateOptions): Tensor {
  requireTensor('interpolate', x);
  requireResizing('interpolate', options, -maxElements);
  const { mode = 'nearest', antialias = false, alignCorners = false, recomputeScaleFactor = false } = options;
  const [weights, ...ranks] = modes[mode];
  const isPlain = weights === 'nearest' || weights === 'nearestExact' || weights === 'area';
  if (isPlain && options.alignCorners !== undefined)
    throw new ValueError(
      'alignCorners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear',
    );
  const size = options.size ?? null;
  const scaleFactor = options.scaleFactor ?? null;
  if (size !== null && scaleFactor !== null) throw new ValueError('only one of size or scaleFactor should be defined');
  if (size === null && scaleFactor === null) throw new ValueError('either size or scaleFactor should be defined');
  const factors = scaleFactor === null ? null : each(x, 'scaleFactor', scaleFactor);
  const to = factors ? factors.map((factor, i) => Math.trunc(x.shape[i + 2] * factor)) : each(x, 'output', size!);
  if (recomputeScaleFactor && size !== null)
    throw new ValueError('recomputeScaleFactor is not meaningful with an explicit size.');
  if (antialias && !(['bilinear', 'bicubic', 'lanczos'].includes(mode) && x.rank === 4))
    throw new ValueError(
      'Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input',
    );
  if (!ranks.includes(x.rank)) throw new NotImplementedError(rankText(x.rank, mode));
  if (mode === 'lanczos') {
    if (alignCorners) throw new ValueError('Lanczos mode does not support alignCorners=true');
    if (!antialias) throw new ValueError('Lanczos mode requires antialias=true');
  }
  if (mode === 'area' && x.rank === 3) return adaptiveAvgPool1d(x, to);
  if (mode === 'area' && x.rank === 4) return adaptiveAvgPool2d(x, to);
  requireSpatial(x.shape, to, mode);
  const scales = factors && !recomputeScaleFactor ? factors : to.map(() => 0);
  const shape = [...x.shape.slice(0, 2), ...to];
  requireCountable(shape, 'interpolate');
  const how: Resampling = { mode: weights, from: x.shape, to: shape, alignCorners, antialias, scales };
  // As in PyTorch, the modes for images take bytes, too.
  if (x.dtype !== 'uint8' || ['linear', 'trilinear', 'area'].includes(mode)) requireFloat('interpolate', x);
  return resampleOp(x, how, false);
}

function rankText(rank: number, mode: InterpolationMode): string {
  const needed = { linear: 3, bilinear: 4, trilinear: 5 }[mode as string];
  return needed !== undefined && rank >= 3 && rank <= 5
    ? `Got ${rank}D input, but ${mode} mode needs ${needed}D input`
    : `Input Error: Only 3D, 4D and 5D input Tensors supported (got ${rank}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearestExact (got ${mode})`;
}

function requireSpatial(shape: Shape, to: Shape, mode: InterpolationMode): void {
  const from = shape.slice(2);
  if (mode === 'area') {
    if (to.some((n) => n < 0))
      throw new RuntimeError('interpolate(): elements of size must be greater than or equal to 0');
    if (shape.slice(1).some((n) => n === 0))
      throw new RuntimeError(
        `interpolate(): Expected input to have non-zero size for non-batch dimensions, but input has sizes ${formatShape(shape)}`,
      );
    return;
  }
  const named = (sizes: Shape) => `(${sizes.map((n, i) => `${'DHW'.at(i - sizes.length)}: ${n}`).join(', ')})`;
  if ([...from, ...to].some((n) => n <= 0))
    throw new RuntimeError(
      `Input and output sizes should be greater than 0, but got input ${named(from)}${from.length === 1 ? ' and' : ''} output ${named(to)}`,
    );
  if (shape[1] === 0)
    throw new RuntimeError(
      `Non-empty ${shape.length}D data tensor expected but got a tensor with sizes ${formatShape(shape)}`,
    );
}
