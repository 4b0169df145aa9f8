// The kernels of padding as functions of tensors. Nothing here is recorded; the operation is in ops/pad.ts.
import { PadMode as Mode } from '../device/generated/abi.ts';
import { type MemoryFormat, physicalOrder, type Shape } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';

/** How many positions are added before and after a dimension; less than 0 cuts. */
export type Ends = readonly [before: number, after: number];
/** The ends of each dimension. */
export type Padding = readonly Ends[];
/** What the new positions hold. */
export type PadMode = 'constant' | 'reflect' | 'replicate' | 'circular';

const none: Ends = [0, 0];
const isNone = ([before, after]: Ends): boolean => before === 0 && after === 0;

export const paddedShape = (shape: Shape, padding: Padding): number[] =>
  shape.map((n, d) => n + padding[d][0] + padding[d][1]);

interface Axis {
  readonly size: number;
  readonly ends: Ends;
  readonly dims: readonly number[];
}

/** The dimensions in their order in memory; neighbours that are not padded are one. */
function axesOf(shape: Shape, format: MemoryFormat, padding: Padding): Axis[] {
  const axes: Axis[] = [];
  for (const d of physicalOrder(shape.length, format)) {
    const last = axes.at(-1);
    if (last && isNone(last.ends) && isNone(padding[d]))
      axes[axes.length - 1] = { ...last, size: last.size * shape[d], dims: [...last.dims, d] };
    else axes.push({ size: shape[d], ends: padding[d], dims: [d] });
  }
  return axes;
}

/** One launch: the kernel pads up to three axes. */
interface Pass {
  readonly geometry: readonly number[];
  readonly from: Shape;
  readonly to: Shape;
}

/** The launches of a padding: one, unless more than three axes are padded or stand between those that are. */
function passesOf(shape: Shape, format: MemoryFormat, padding: Padding): Pass[] {
  const axes = axesOf(shape, format, padding);
  const last = axes.findLastIndex(({ ends }) => !isNone(ends));
  const begin = Math.max(0, last - 2);
  const middle = axes.slice(begin, last + 1);
  while (middle.length < 3) middle.unshift({ size: 1, ends: none, dims: [] });
  const sizeOf = (some: readonly Axis[]) => some.reduce((n, { size }) => n * size, 1);
  const geometry = [
    sizeOf(axes.slice(0, begin)),
    ...middle.map(({ size }) => size),
    ...middle.map(({ ends }) => ends[0]),
    ...middle.map(({ ends }) => ends[1]),
    sizeOf(axes.slice(last + 1)),
  ];
  const now = new Set(middle.flatMap(({ dims }) => dims));
  const to = paddedShape(
    shape,
    padding.map((ends, d) => (now.has(d) ? ends : none)),
  );
  const rest = padding.map((ends, d) => (now.has(d) ? none : ends));
  const pass = { geometry, from: shape, to };
  return rest.every(isNone) ? [pass] : [pass, ...passesOf(to, format, rest)];
}

export function launchPad(x: Tensor, padding: Padding, mode: PadMode, value: number): Tensor {
  return passesOf(x.shape, x.memoryFormat, padding).reduce((from, { geometry, to }) => {
    const y = allocate(to, x.dtype, x.memoryFormat, x.backend);
    x.backend.launch.pad('pad', { mode: Mode[mode], geometry, value, x: from, y });
    return y;
  }, x);
}

/** The gradient of x, of the given shape, from that of the padded x. */
export function launchPadBackward(dy: Tensor, shape: Shape, padding: Padding, mode: PadMode): Tensor {
  return passesOf(shape, dy.memoryFormat, padding).reduceRight((g, { geometry, from }) => {
    const dx = allocate(from, dy.dtype, dy.memoryFormat, dy.backend);
    dy.backend.launch.padBackward('padBackward', { mode: Mode[mode], geometry, dy: g, dx });
    return dx;
  }, dy);
}
