// Channels that become pixels, and back, and channels in another order: one copy between positions, in both memory
// formats.
import { defineOp } from '../autograd/define_op.ts';
import { requireCountable, requireInteger } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { copyElements } from '../tensor/copy.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { formatShape, type Shape } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';

/** So many positions, which are `step` apart along a dimension of each of the two tensors. */
interface Walk {
  readonly count: number;
  readonly from: Place;
  readonly to: Place;
}
type Place = readonly [dim: number, step: number];

const reversed = (walks: readonly Walk[]): Walk[] =>
  walks.map(({ count, from, to }) => ({ count, from: to, to: from }));

// Each element has one place in the result, so the gradient is the way back.
const shuffleOp = defineOp({
  name: 'shuffle',
  forward(_ctx, x: Tensor, shape: Shape, walks: readonly Walk[]) {
    const y = allocate(shape, x.dtype, x.memoryFormat, x.backend);
    const counts = walks.map(({ count }) => count);
    const along = (t: Tensor, places: readonly Place[]) => places.map(([dim, step]) => step * t.strides[dim]);
    const [from, to] = [walks.map((walk) => walk.from), walks.map((walk) => walk.to)];
    if (y.size > 0) copyElements('shuffle', x, y, counts, along(x, from), along(y, to));
    return y;
  },
  backward: (_ctx, [g], x, _shape, walks) => [shuffleOp(g, x.shape, reversed(walks))],
}) as (x: Tensor, shape: Shape, walks: readonly Walk[]) => Tensor;

/** The walks along dimensions that stay what they are. */
const kept = (shape: Shape, dims: number): Walk[] =>
  shape.slice(0, dims).map((count, d) => ({ count, from: [d, 1], to: [d, 1] }));

/** (…, C·r², H, W) and (…, C, H·r, W·r): the walks from the first one to the second. */
function pixelWalks(shape: Shape, r: number): Walk[] {
  const first = shape.length - 3;
  const [channels, height, width] = shape.slice(first);
  const [c, h, w] = [first, first + 1, first + 2];
  return [
    ...kept(shape, first),
    { count: channels / (r * r), from: [c, r * r], to: [c, 1] },
    { count: height, from: [h, 1], to: [h, r] },
    { count: r, from: [c, r], to: [h, 1] },
    { count: width, from: [w, 1], to: [w, r] },
    { count: r, from: [c, 1], to: [w, 1] },
  ];
}

function requirePixels(op: string, x: Tensor, factorName: string, factor: number): void {
  requireTensor(op, x);
  requireInteger(op, factorName, factor);
  if (x.rank < 3)
    throw new RuntimeError(
      `${op} expects input to have at least 3 dimensions, but got input with ${x.rank} dimension(s)`,
    );
  if (factor <= 0) throw new RuntimeError(`${op} expects a positive ${factorName}, but got ${factor}`);
}

/**
 * (…, C·r², H, W) to (…, C, H·r, W·r): groups of r² channels become squares of pixels (PyTorch: `F.pixel_shuffle`).
 * @throws RuntimeError where the channels are no multiple of r².
 * @example
 * const larger = pixelShuffle(ones([1, 8, 3, 3]), 2); // shape [1, 2, 6, 6]
 */
export function pixelShuffle(x: Tensor, upscaleFactor: number): Tensor {
  requirePixels('pixelShuffle', x, 'upscaleFactor', upscaleFactor);
  const [channels, height, width] = x.shape.slice(-3);
  const square = upscaleFactor * upscaleFactor;
  if (channels % square !== 0)
    throw new RuntimeError(
      `pixelShuffle expects its input's 'channel' dimension to be divisible by the square of upscaleFactor, but input.size(-3)=${channels} is not divisible by ${square}`,
    );
  const shape = [...x.shape.slice(0, -3), channels / square, height * upscaleFactor, width * upscaleFactor];
  requireCountable(shape, 'pixelShuffle');
  return shuffleOp(x, shape, pixelWalks(x.shape, upscaleFactor));
}

/**
 * (…, C, H·r, W·r) to (…, C·r², H, W), the reverse of `pixelShuffle` (PyTorch: `F.pixel_unshuffle`).
 * @throws RuntimeError where height or width are no multiple of r.
 */
export function pixelUnshuffle(x: Tensor, downscaleFactor: number): Tensor {
  requirePixels('pixelUnshuffle', x, 'downscaleFactor', downscaleFactor);
  const [channels, height, width] = x.shape.slice(-3);
  for (const [name, dim, size] of [['height', -2, height] as const, ['width', -1, width] as const])
    if (size % downscaleFactor !== 0)
      throw new RuntimeError(
        `pixelUnshuffle expects ${name} to be divisible by downscaleFactor, but input.size(${dim})=${size} is not divisible by ${downscaleFactor}`,
      );
  const shape = [
    ...x.shape.slice(0, -3),
    channels * downscaleFactor * downscaleFactor,
    height / downscaleFactor,
    width / downscaleFactor,
  ];
  requireCountable(shape, 'pixelUnshuffle');
  return shuffleOp(x, shape, reversed(pixelWalks(shape, downscaleFactor)));
}

/**
 * (N, C, …) with the channels of all groups in turns: the first of each group, the second of each, … (PyTorch:
 * `F.channel_shuffle`).
 * @throws RuntimeError where the channels are no multiple of `groups`.
 */
export function channelShuffle(x: Tensor, groups: number): Tensor {
  requireTensor('channelShuffle', x);
  requireInteger('channelShuffle', 'groups', groups);
  if (x.rank <= 2)
    throw new RuntimeError(
      `channelShuffle expects input with > 2 dims, but got input with sizes ${formatShape(x.shape)}`,
    );
  if (groups <= 0)
    throw new RuntimeError(`Number of groups to divide channels in must be positive. Value of groups:${groups}`);
  const channels = x.shape[1];
  if (channels % groups !== 0)
    throw new RuntimeError(
      `Number of channels must be divisible by groups. Got ${channels} channels and ${groups} groups.`,
    );
  const each = channels / groups;
  return shuffleOp(x, x.shape, [
    ...kept(x.shape, 1),
    { count: groups, from: [1, each], to: [1, 1] },
    { count: each, from: [1, 1], to: [1, groups] },
    ...kept(x.shape, x.rank).slice(2),
  ]);
}
