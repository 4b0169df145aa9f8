// Layers that exchange channels and pixels. The arithmetic is in ops/shuffle.ts.
import { requireInteger } from '../checks.ts';
import { channelShuffle, pixelShuffle, pixelUnshuffle } from '../ops/shuffle.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

/**
 * (…, C·r², H, W) to (…, C, H·r, W·r): groups of r² channels become squares of pixels (PyTorch: `nn.PixelShuffle`).
 * @throws RuntimeError at the call where the channels are no multiple of r².
 * @example
 * const larger = new PixelShuffle(2)(ones([1, 8, 3, 3])); // shape [1, 2, 6, 6]
 */
export class PixelShuffle extends Module {
  /** r: how many times larger height and width become. */
  readonly upscaleFactor: number;
  constructor(upscaleFactor: number) {
    super();
    this.upscaleFactor = requireInteger('PixelShuffle', 'upscaleFactor', upscaleFactor, 1);
  }
  forward(x: Tensor): Tensor {
    return pixelShuffle(x, this.upscaleFactor);
  }
  override extraRepr(): string {
    return `upscale_factor=${this.upscaleFactor}`;
  }
}

/** (…, C, H·r, W·r) to (…, C·r², H, W), the reverse of `PixelShuffle` (PyTorch: `nn.PixelUnshuffle`). */
export class PixelUnshuffle extends Module {
  /** r: how many times smaller height and width become. */
  readonly downscaleFactor: number;
  constructor(downscaleFactor: number) {
    super();
    this.downscaleFactor = requireInteger('PixelUnshuffle', 'downscaleFactor', downscaleFactor, 1);
  }
  forward(x: Tensor): Tensor {
    return pixelUnshuffle(x, this.downscaleFactor);
  }
  override extraRepr(): string {
    return `downscale_factor=${this.downscaleFactor}`;
  }
}

/** (N, C, …) with the channels of all groups in turns (PyTorch: `nn.ChannelShuffle`). */
export class ChannelShuffle extends Module {
  /** How many groups the channels are divided in. */
  readonly groups: number;
  constructor(groups: number) {
    super();
    this.groups = requireInteger('ChannelShuffle', 'groups', groups, 1);
  }
  forward(x: Tensor): Tensor {
    return channelShuffle(x, this.groups);
  }
  override extraRepr(): string {
    return `groups=${this.groups}`;
  }
}

declareModules({ PixelShuffle, PixelUnshuffle, ChannelShuffle });
