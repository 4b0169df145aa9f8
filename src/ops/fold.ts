// Windows of images as columns, and the sums of columns where their windows lie: each is the gradient of the other.
import { defineOp } from '../autograd/define_op.ts';
import { requireCountable } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { windowSteps } from '../launch/window.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { rowMajor } from '../tensor/copy.ts';
import { requireFloat, requireTensor } from '../tensor/requirements.ts';
import { formatShape, type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { cast } from './convert.ts';
import { reshape } from './shape_ops.ts';
import { requireSpan, type Size, sizes } from './window.ts';

/** Options of `unfold`, `fold`, and their layers. */
export interface UnfoldOptions {
  /** The distance of neighbouring elements of a window. Default: 1. */
  dilation?: Size;
  /** Zeros around the image, which windows may cover. Default: 0. */
  padding?: Size;
  /** The distance of neighbouring windows. Default: 1. */
  stride?: Size;
}
export const unfoldOptions = declareOptions<UnfoldOptions>({
  dilation: kind.numbers,
  padding: kind.numbers,
  stride: kind.numbers,
});

/** Windows over (N, C, H, W), as the kernels know them; `blocks` is how many there are along height and width. */
interface Windows {
  readonly shape: Shape;
  readonly blocks: Shape;
  readonly kernel: Shape;
  readonly stride: Shape;
  readonly padding: Shape;
  readonly dilation: Shape;
}

const foldOp = defineOp({
  name: 'fold',
  forward(_ctx, x: Tensor, windows: Windows, unfolds: boolean) {
    const { shape, blocks, kernel, stride, padding, dilation } = windows;
    const columns = [shape[0], shape[1] * sizeOf(kernel), sizeOf(blocks)];
    const y = allocate(unfolds ? columns : shape, x.dtype, 'contiguous', x.backend);
    const planes = shape[0] * shape[1];
    const geometry = [planes, ...shape.slice(2), ...blocks, ...kernel, ...stride, ...padding, ...dilation];
    const { launch } = x.backend;
    if (y.size === 0) return y;
    if (unfolds) launch.unfold('unfold', { geometry, x: rowMajor(x), columns: y });
    else launch.fold('fold', { geometry, columns: rowMajor(x), y });
    return y;
  },
  backward: (_ctx, [g], _x, windows, unfolds) => [foldOp(g, windows, !unfolds)],
}) as (x: Tensor, windows: Windows, unfolds: boolean) => Tensor;

/** The columns or the image; bools, which PyTorch takes too, by way of numbers. */
function run(op: string, x: Tensor, windows: Windows, unfolds: boolean): Tensor {
  if (x.dtype === 'bool') return cast(foldOp(cast(x, 'float32'), windows, unfolds), 'bool');
  requireFloat(op, x);
  return foldOp(x, windows, unfolds);
}

/** The sizes of windows over an image (H, W), checked in PyTorch's order. */
function windowsOf(op: string, shape: Shape, kernelSize: Size, options: UnfoldOptions): Windows {
  const kernel = sizes(op, 'kernelSize', kernelSize, 2);
  const dilation = sizes(op, 'dilation', options.dilation ?? 1, 2);
  const padding = sizes(op, 'padding', options.padding ?? 0, 2);
  const stride = sizes(op, 'stride', options.stride ?? 1, 2);
  const named = (name: string, [height, width]: Shape) => `${name}_height: ${height} ${name}_width: ${width}`;
  if (kernel.some((n) => n <= 0))
    throw new RuntimeError(`kernel size should be greater than zero, but got ${named('kernel', kernel)}`);
  if (dilation.some((n) => n <= 0))
    throw new RuntimeError(`dilation should be greater than zero, but got ${named('dilation', dilation)}`);
  if (padding.some((n) => n < 0))
    throw new RuntimeError(`padding should be non-negative, but got ${named('pad', padding)}`);
  if (stride.some((n) => n <= 0))
    throw new RuntimeError(`stride should be greater than zero, but got ${named('stride', stride)}`);
  requireSpan(op, shape, kernel, padding, dilation);
  const blocks = kernel.map((k, i) =>
    Math.floor(windowSteps(shape.at(i - 2)!, k, stride[i], padding[i], dilation[i]) + 1),
  );
  return { shape, blocks, kernel, stride, padding, dilation };
}

const tuple = (shape: Shape): string => `(${shape.join(', ')})`;

/**
 * All windows of (N, C, H, W) or (C, H, W) as columns (N, C·KH·KW, L) or (C·KH·KW, L), where L is the number of windows
 * (PyTorch: `F.unfold`).
 * @throws RuntimeError on sizes that are not positive, or where no window lies in the image.
 * @example
 * const columns = unfold(ones([2, 3, 4, 5]), [2, 3]); // shape [2, 18, 9]
 */
export function unfold(x: Tensor, kernelSize: Size, options: UnfoldOptions = {}): Tensor {
  requireOptions('unfold', options, unfoldOptions);
  return unfoldWith(x, kernelSize, options);
}
/** `unfold` for the layer, whose options are checked. */
export function unfoldWith(x: Tensor, kernelSize: Size, options: UnfoldOptions): Tensor {
  requireTensor('unfold', x);
  const isOne = x.rank === 3;
  const shape = isOne ? [1, ...x.shape] : x.shape;
  if (shape.length !== 4 || shape.slice(1).includes(0))
    throw new RuntimeError(
      `Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ${formatShape(x.shape)}`,
    );
  const windows = windowsOf('unfold', shape, kernelSize, options);
  const { blocks, kernel, dilation, padding } = windows;
  if (blocks.some((n) => n < 1))
    throw new RuntimeError(
      `Given input with spatial size ${tuple(shape.slice(2))}, kernelSize=${tuple(kernel)}, dilation=${tuple(dilation)}, padding=${tuple(padding)}, calculated shape of the array of sliding blocks as ${tuple(blocks)}, but its components must be at least one.`,
    );
  requireCountable([...shape.slice(0, 2), ...kernel, ...blocks], 'unfold');
  const columns = run('unfold', reshape(x, shape), windows, true);
  return isOne ? reshape(columns, columns.shape.slice(1)) : columns;
}

/**
 * Columns (N, C·KH·KW, L) or (C·KH·KW, L) added up to (N, C, H, W) or (C, H, W), each where its window lies: the
 * gradient of `unfold` (PyTorch: `F.fold`).
 * @throws RuntimeError where the columns are not those of all windows of an image of this size.
 * @example
 * const image = functional.fold(ones([2, 18, 9]), [4, 5], [2, 3]); // shape [2, 3, 4, 5]
 */
export function fold(x: Tensor, outputSize: Size, kernelSize: Size, options: UnfoldOptions = {}): Tensor {
  requireOptions('fold', options, unfoldOptions);
  return foldWith(x, outputSize, kernelSize, options);
}
/** `fold` for the layer, whose options are checked. */
export function foldWith(x: Tensor, outputSize: Size, kernelSize: Size, options: UnfoldOptions): Tensor {
  requireTensor('fold', x);
  const isOne = x.rank === 2;
  const output = sizes('fold', 'outputSize', outputSize, 2);
  const [n, rows, count] = isOne ? [1, ...x.shape] : x.shape;
  const windows = windowsOf('fold', [n, 0, ...output], kernelSize, options);
  const { blocks, kernel, dilation, padding, stride } = windows;
  if ((x.rank !== 2 && x.rank !== 3) || rows === 0 || count === 0)
    throw new RuntimeError(
      `Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: ${formatShape(x.shape)}`,
    );
  if (rows % sizeOf(kernel) !== 0)
    throw new RuntimeError(
      `Expected size of input's dimension ${x.rank - 2} to be divisible by the product of kernelSize, but got input.size(${x.rank - 2})=${rows} and kernelSize=${tuple(kernel)}.`,
    );
  const given = `Given outputSize=${tuple(output)}, kernelSize=${tuple(kernel)}, dilation=${tuple(dilation)}, padding=${tuple(padding)}, stride=${tuple(stride)}, expected size of input's dimension ${x.rank - 1} to match the calculated number of sliding blocks ${blocks.join(' * ')} = ${sizeOf(blocks)}, but got input.size(${x.rank - 1})=${count}.`;
  if (blocks.some((size) => size < 1) || sizeOf(blocks) !== count) throw new RuntimeError(given);
  const shape = [n, rows / sizeOf(kernel), ...output];
  requireCountable(shape, 'fold');
  const image = run('fold', reshape(x, [n, rows, count]), { ...windows, shape }, false);
  return isOne ? reshape(image, shape.slice(1)) : image;
}
