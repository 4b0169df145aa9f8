// The kernel of resampling as a function of tensors. Nothing here is recorded; the operation is in ops/resample.ts.
import { Resampling as Mode } from '../device/generated/abi.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';

/** A resampling without its tensors: sizes are those of (N, C, spatial…). */
export interface Resampling {
  readonly mode: keyof typeof Mode;
  readonly from: Shape;
  readonly to: Shape;
  readonly alignCorners: boolean;
  readonly antialias: boolean;
  /** How many times larger each spatial dimension becomes, where that is not the ratio of its sizes; 0 otherwise. */
  readonly scales: readonly number[];
}

/** Height and width in one launch, and a depth in another one, which takes each plane for one element. */
export function launchResample(x: Tensor, how: Resampling, transposed: boolean): Tensor {
  const { mode, scales } = how;
  const flags = [how.alignCorners, how.antialias, transposed].map(Number);
  const isLast = x.memoryFormat === 'channelsLast';
  const [n, c, ...from] = how.from;
  const to = how.to.slice(2);
  const outer = isLast ? n : n * c;
  const inner = isLast ? c : 1;
  const run = (input: Tensor, shape: Shape, sizes: readonly number[], scaleH: number, scaleW: number): Tensor => {
    const y = allocate(shape, x.dtype, x.memoryFormat, x.backend);
    const geometry = [...sizes, Mode[mode], ...flags];
    if (y.size > 0) x.backend.launch.resample('interpolate', { geometry, scaleH, scaleW, x: input, y });
    return y;
  };
  const last = transposed ? how.from : how.to;
  const [h, w] = from.slice(-2);
  const [oh, ow] = to.slice(-2);
  if (from.length === 1) return run(x, last, [outer, 1, from[0], 1, to[0], inner], 0, scales[0]);
  if (from.length === 2) return run(x, last, [outer, h, w, oh, ow, inner], scales[0], scales[1]);
  // Planes first where x grows, so that the gradient of the depth comes first in the transposed direction.
  const middle = [n, c, from[0], oh, ow];
  const planes = (input: Tensor, shape: Shape) =>
    run(input, shape, [outer * from[0], h, w, oh, ow, inner], scales[1], scales[2]);
  const depth = (input: Tensor, shape: Shape) =>
    run(input, shape, [outer, from[0], 1, to[0], 1, sizeOf([oh, ow, inner])], scales[0], 0);
  return transposed ? planes(depth(x, middle), last) : depth(planes(x, middle), last);
}
