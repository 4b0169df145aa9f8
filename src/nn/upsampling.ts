// Layers that resize feature maps. The arithmetic is in ops/resample.ts.
import {
  type InterpolationMode,
  interpolateWith,
  type ResizeOptions,
  requireResizing,
  resizeOptions,
  type UpsampleOptions,
  upsampleOptions,
} from '../ops/resample.ts';
import type { Size } from '../ops/window.ts';
import { requireOptions } from '../options.ts';
import { floatText, sizeText } from '../python_text.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

const floatsText = (value: number | readonly number[]): string =>
  Array.isArray(value)
    ? `(${value.map(floatText).join(', ')}${value.length === 1 ? ',' : ''})`
    : floatText(value as number);

/**
 * (N, C, L), (N, C, H, W) or (N, C, D, H, W) in another spatial size, which `size` or `scaleFactor` gives; see
 * `interpolate` (PyTorch: `nn.Upsample`).
 * @throws ValueError at the call unless one of `size` and `scaleFactor` is given; NotImplementedError on a mode that is
 * not for the rank.
 * @example
 * const larger = new Upsample({ scaleFactor: 2, mode: 'bilinear' })(x); // shape [4, 6, 16, 16]
 */
export class Upsample extends Module {
  /** The new size of all spatial dimensions, or of each. */
  readonly size: Size | null;
  /** How many times larger all spatial dimensions become, or each. */
  readonly scaleFactor: number | readonly number[] | null;
  /** How new values are found. */
  readonly mode: InterpolationMode;
  /** Whether the centres of the outermost elements stay; undefined where the mode has no such choice. */
  readonly alignCorners: boolean | undefined;
  /** Whether positions are computed from the ratio of the sizes. */
  readonly recomputeScaleFactor: boolean | undefined;

  constructor(options: UpsampleOptions = {}) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, upsampleOptions);
    requireResizing(name, options, 0);
    this.size = options.size ?? null;
    // PyTorch takes 0 for none.
    this.scaleFactor = options.scaleFactor || null;
    this.mode = options.mode ?? 'nearest';
    this.alignCorners = options.alignCorners;
    this.recomputeScaleFactor = options.recomputeScaleFactor;
  }

  forward(x: Tensor): Tensor {
    return interpolateWith(x, this);
  }

  override extraRepr(): string {
    const { size, scaleFactor, mode } = this;
    const given = scaleFactor === null ? `size=${sizeText(size)}` : `scale_factor=${floatsText(scaleFactor)}`;
    return `${given}, mode='${mode === 'nearestExact' ? 'nearest-exact' : mode}'`;
  }
}

/** (N, C, H, W) in another size, by nearest neighbours (PyTorch: `nn.UpsamplingNearest2d`). */
export class UpsamplingNearest2d extends Upsample {
  constructor(options: ResizeOptions = {}) {
    requireOptions(new.target.name, options, resizeOptions);
    super({ ...options, mode: 'nearest' });
  }
}
/**
 * (N, C, H, W) in another size, bilinear between corners that stay where they are (PyTorch:
 * `nn.UpsamplingBilinear2d`).
 */
export class UpsamplingBilinear2d extends Upsample {
  constructor(options: ResizeOptions = {}) {
    requireOptions(new.target.name, options, resizeOptions);
    super({ ...options, mode: 'bilinear', alignCorners: true });
  }
}

declareModules({ Upsample, UpsamplingNearest2d, UpsamplingBilinear2d });
