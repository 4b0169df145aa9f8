// Padding layers, in one to three dimensions. The arithmetic is in ops/pad.ts.
import { requireElement, requireInteger, requireIntegers } from '../checks.ts';
import { NotImplementedError, ValueError } from '../errors.ts';
import { type PadMode, padWith } from '../ops/pad.ts';
import type { Size } from '../ops/window.ts';
import { boolText, sizeText } from '../python_text.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

abstract class Pad extends Module {
  /** How much is added: (before, after) pairs from the last dimension on; negative numbers cut. */
  readonly padding: readonly number[];
  private readonly dims: number;
  private readonly mode: PadMode;
  private readonly fill: number | boolean;

  constructor(dims: number, mode: PadMode, padding: Size, fill: number | boolean = 0) {
    super();
    const { name } = this.constructor;
    const ends = Array.isArray(padding)
      ? requireIntegers(name, 'padding', padding)
      : Array<number>(2 * dims).fill(requireInteger(name, 'padding', padding));
    if (ends.length !== 2 * dims)
      throw new ValueError(`[${name}] expected padding to be an integer or ${2 * dims} integers, got ${ends.length}`);
    this.padding = [...ends];
    this.dims = dims;
    this.mode = mode;
    this.fill = fill;
  }

  forward(x: Tensor): Tensor {
    const { dims, mode } = this;
    if (mode !== 'constant' && x.rank !== dims + 1 && x.rank !== dims + 2) {
      if (mode === 'circular')
        throw new ValueError(`expected ${dims + 1}D or ${dims + 2}D input (got ${x.rank}D input)`);
      throw new NotImplementedError('Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now');
    }
    return padWith(x, this.padding, { mode, value: this.fill });
  }

  override extraRepr(): string {
    return sizeText(this.padding);
  }
}

abstract class ConstantPad extends Pad {
  /** The value of the new positions. */
  readonly value: number | boolean;

  constructor(dims: number, padding: Size, value: number | boolean) {
    super(dims, 'constant', padding, value);
    requireElement(this.constructor.name, 'value', value);
    this.value = value;
  }

  override extraRepr(): string {
    return `padding=${sizeText(this.padding)}, value=${typeof this.value === 'boolean' ? boolText(this.value) : this.value}`;
  }
}

/**
 * More positions of one value around (…, L): all ends by one number, or [left, right] (PyTorch: `nn.ConstantPad1d`).
 */
export class ConstantPad1d extends ConstantPad {
  constructor(padding: Size, value: number | boolean) {
    super(1, padding, value);
  }
}
/**
 * More positions of one value around (…, H, W): all ends by one number, or [left, right, top, bottom] (PyTorch:
 * `nn.ConstantPad2d`).
 * @throws ValueError on another number of ends; RuntimeError at the call where more is cut than there is.
 * @example
 * const wider = new ConstantPad2d([1, 1, 0, 0], 0.5)(x); // shape [4, 6, 8, 10]
 */
export class ConstantPad2d extends ConstantPad {
  constructor(padding: Size, value: number | boolean) {
    super(2, padding, value);
  }
}
/**
 * More positions of one value around (…, D, H, W): all ends by one number, or [left, right, top, bottom, front, back]
 * (PyTorch: `nn.ConstantPad3d`).
 */
export class ConstantPad3d extends ConstantPad {
  constructor(padding: Size, value: number | boolean) {
    super(3, padding, value);
  }
}

/** Zeros around (…, L) (PyTorch: `nn.ZeroPad1d`). */
export class ZeroPad1d extends Pad {
  constructor(padding: Size) {
    super(1, 'constant', padding);
  }
}
/** Zeros around (…, H, W) (PyTorch: `nn.ZeroPad2d`). */
export class ZeroPad2d extends Pad {
  constructor(padding: Size) {
    super(2, 'constant', padding);
  }
}
/** Zeros around (…, D, H, W) (PyTorch: `nn.ZeroPad3d`). */
export class ZeroPad3d extends Pad {
  constructor(padding: Size) {
    super(3, 'constant', padding);
  }
}

/** (N, C, L) or (C, L) mirrored at its ends, which do not come twice (PyTorch: `nn.ReflectionPad1d`). */
export class ReflectionPad1d extends Pad {
  constructor(padding: Size) {
    super(1, 'reflect', padding);
  }
}
/**
 * (N, C, H, W) or (C, H, W) mirrored at its ends, which do not come twice (PyTorch: `nn.ReflectionPad2d`).
 * @throws RuntimeError at the call on a padding that is not below the size.
 */
export class ReflectionPad2d extends Pad {
  constructor(padding: Size) {
    super(2, 'reflect', padding);
  }
}
/** (N, C, D, H, W) or (C, D, H, W) mirrored at its ends, which do not come twice (PyTorch: `nn.ReflectionPad3d`). */
export class ReflectionPad3d extends Pad {
  constructor(padding: Size) {
    super(3, 'reflect', padding);
  }
}

/** (N, C, L) or (C, L) with its outermost values again (PyTorch: `nn.ReplicationPad1d`). */
export class ReplicationPad1d extends Pad {
  constructor(padding: Size) {
    super(1, 'replicate', padding);
  }
}
/** (N, C, H, W) or (C, H, W) with its outermost values again (PyTorch: `nn.ReplicationPad2d`). */
export class ReplicationPad2d extends Pad {
  constructor(padding: Size) {
    super(2, 'replicate', padding);
  }
}
/** (N, C, D, H, W) or (C, D, H, W) with its outermost values again (PyTorch: `nn.ReplicationPad3d`). */
export class ReplicationPad3d extends Pad {
  constructor(padding: Size) {
    super(3, 'replicate', padding);
  }
}

/** (N, C, L) or (C, L) that goes on at its other end (PyTorch: `nn.CircularPad1d`). */
export class CircularPad1d extends Pad {
  constructor(padding: Size) {
    super(1, 'circular', padding);
  }
}
/** (N, C, H, W) or (C, H, W) that goes on at its other end (PyTorch: `nn.CircularPad2d`). */
export class CircularPad2d extends Pad {
  constructor(padding: Size) {
    super(2, 'circular', padding);
  }
}
/** (N, C, D, H, W) or (C, D, H, W) that goes on at its other end (PyTorch: `nn.CircularPad3d`). */
export class CircularPad3d extends Pad {
  constructor(padding: Size) {
    super(3, 'circular', padding);
  }
}

declareModules({
  ConstantPad1d,
  ConstantPad2d,
  ConstantPad3d,
  ZeroPad1d,
  ZeroPad2d,
  ZeroPad3d,
  ReflectionPad1d,
  ReflectionPad2d,
  ReflectionPad3d,
  ReplicationPad1d,
  ReplicationPad2d,
  ReplicationPad3d,
  CircularPad1d,
  CircularPad2d,
  CircularPad3d,
});
