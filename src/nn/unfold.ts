// Layers that turn windows of images into columns, and back. The arithmetic is in ops/fold.ts.
import { maxElements, requireInteger, requireIntegers } from '../checks.ts';
import { foldWith, type UnfoldOptions, unfoldOptions, unfoldWith } from '../ops/fold.ts';
import type { Size } from '../ops/window.ts';
import { requireOptions } from '../options.ts';
import { sizeText } from '../python_text.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

function requireSize(op: string, name: string, value: Size): Size {
  if (!Array.isArray(value) || value.length === 0) requireInteger(op, name, value, 0, maxElements);
  else requireIntegers(op, name, value, 0);
  return value;
}

abstract class Windowed extends Module {
  /** The size of a window. */
  readonly kernelSize: Size;
  /** The distance of neighbouring elements of a window. */
  readonly dilation: Size;
  /** Zeros around the image. */
  readonly padding: Size;
  /** The distance of neighbouring windows. */
  readonly stride: Size;
  constructor(kernelSize: Size, options: UnfoldOptions) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, unfoldOptions);
    this.kernelSize = requireSize(name, 'kernelSize', kernelSize);
    this.dilation = requireSize(name, 'dilation', options.dilation ?? 1);
    this.padding = requireSize(name, 'padding', options.padding ?? 0);
    this.stride = requireSize(name, 'stride', options.stride ?? 1);
  }
  override extraRepr(): string {
    const { kernelSize, dilation, padding, stride } = this;
    return `kernel_size=${sizeText(kernelSize)}, dilation=${sizeText(dilation)}, padding=${sizeText(padding)}, stride=${sizeText(stride)}`;
  }
}

/**
 * All windows of (N, C, H, W) or (C, H, W) as columns (N, C·KH·KW, L) or (C·KH·KW, L), where L is the number of windows
 * (PyTorch: `nn.Unfold`).
 * @throws RuntimeError at the call where no window lies in the image.
 * @example
 * const columns = new Unfold([2, 3])(ones([2, 3, 4, 5])); // shape [2, 18, 9]
 */
export class Unfold extends Windowed {
  constructor(kernelSize: Size, options: UnfoldOptions = {}) {
    super(kernelSize, options);
  }
  forward(x: Tensor): Tensor {
    return unfoldWith(x, this.kernelSize, this);
  }
}

/**
 * Columns (N, C·KH·KW, L) or (C·KH·KW, L) added up to (N, C, H, W) or (C, H, W), each where its window lies (PyTorch:
 * `nn.Fold`).
 * @throws RuntimeError at the call where the columns are not those of all windows of an image of this size.
 * @example
 * const image = new Fold([4, 5], [2, 3])(ones([2, 18, 9])); // shape [2, 3, 4, 5]
 */
export class Fold extends Windowed {
  /** Height and width of the image. */
  readonly outputSize: Size;
  constructor(outputSize: Size, kernelSize: Size, options: UnfoldOptions = {}) {
    super(kernelSize, options);
    this.outputSize = requireSize('Fold', 'outputSize', outputSize);
  }
  forward(x: Tensor): Tensor {
    return foldWith(x, this.outputSize, this.kernelSize, this);
  }
  override extraRepr(): string {
    return `output_size=${sizeText(this.outputSize)}, ${super.extraRepr()}`;
  }
}

declareModules({ Unfold, Fold });
