// The gradient of tensors that were joined along the channels. Each part's gradient is a slice of it. The slice is not
// copied until somebody asks for its values; an addition to another gradient reads it where it is (norm_gradient.ts).
//   condition  channels last; the slice has more than half of the channels, since it keeps the memory of the whole
//   saves      writing and reading the slice: 2 passes

import { hasChannelsLast } from '../launch/conv.ts';
import { copyElements } from '../tensor/copy.ts';
import type { Shape } from '../tensor/shape.ts';
import type { Recipe, Storage } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { deferred, lent, recipeOf } from './recipes.ts';
import { isFusionEnabled } from './switch.ts';

/** A tensor with more channels, and the first of the channels that belong to the slice. */
export interface Slice {
  readonly whole: Tensor;
  readonly start: number;
}

class PendingSlice implements Recipe, Slice {
  readonly sources: readonly Storage[];
  readonly whole: Tensor;
  readonly start: number;
  private readonly shape: Shape;
  constructor(whole: Tensor, start: number, shape: Shape) {
    this.sources = [whole.storage];
    this.whole = whole;
    this.start = start;
    this.shape = shape;
  }

  materializeInto(storage: Storage): void {
    const { whole, start, shape } = this;
    const [all, c] = [whole.shape[1], shape[1]];
    const out = new Tensor(shape, whole.dtype, whole.memoryFormat, storage);
    copyElements('slice', whole, out, [out.size / c, c], [all, 1], [c, 1], start, 0);
  }
}

/** Channels start … start + length − 1 of a gradient g, deferred; null where copying is better. */
export function mergedSlice(g: Tensor, start: number, length: number): Tensor | null {
  if (!isFusionEnabled() || !hasChannelsLast(g) || 2 * length <= g.shape[1]) return null;
  g.materialize();
  const shape = g.shape.map((n, d) => (d === 1 ? length : n));
  return deferred(g, new PendingSlice(lent(g), start, shape), shape);
}

/** What x is a slice of; null once it has been copied, or if it is none. */
export function pendingSlice(x: Tensor): Slice | null {
  const recipe = recipeOf(x);
  return recipe instanceof PendingSlice ? recipe : null;
}
