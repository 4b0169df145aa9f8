// Slices of a gradient's channels that are not copied until somebody asks for their values: what adds them to another gradient reads them where
// they are. See deferred_norm.ts for the rest of what is deferred.
import { copyElements } from '../tensor/copy.ts';
import { dtypes } from '../tensor/dtype.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import { DeferredStorage, type Recipe, type Storage } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { isFusionEnabled } from './switch.ts';

/** A wider tensor, of neighbouring channels, and the first channel that is meant. */
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

/**
 * Channels start … start + length − 1 of g, deferred; null where they are better copied: without fusion, with channels that are no neighbours in
 * memory, and where the slice is no more than half of g, which it would keep from being given back.
 */
export function deferSlice(g: Tensor, start: number, length: number): Tensor | null {
  const hasNeighbours = g.memoryFormat === 'channelsLast' || g.rank === 2;
  if (!isFusionEnabled() || !hasNeighbours || 2 * length <= g.shape[1]) return null;
  g.materialize();
  const shape = g.shape.map((n, d) => (d === 1 ? length : n));
  const whole = new Tensor(g.shape, g.dtype, g.memoryFormat, g.storage.lend());
  const bytes = sizeOf(shape) * dtypes[g.dtype].size;
  const storage = new DeferredStorage(bytes, g.backend, new PendingSlice(whole, start, shape));
  return new Tensor(shape, g.dtype, g.memoryFormat, storage);
}

/** What x is a slice of, while it has not been copied. */
export function pendingSlice(x: Tensor): Slice | null {
  const recipe = x.storage instanceof DeferredStorage ? x.storage.recipe : null;
  return recipe instanceof PendingSlice ? recipe : null;
}
