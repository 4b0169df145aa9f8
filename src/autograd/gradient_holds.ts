// Counts who holds each gradient during a backward: the places of the walk where it waits, and whether somebody outside
// may hold it. A gradient that nobody holds any more is released at once.
import type { Storage } from '../tensor/storage.ts';
import type { Gradient } from './node.ts';

export class GradientHolds {
  private readonly counts = new Map<Storage, number>();
  /** Storages that somebody outside may have kept: a hook, the caller, a user's function. */
  private readonly foreign = new Set<Storage>();
  private readonly isAllForeign: boolean;

  /** @param isAllForeign whether nothing may be released, since the gradients are part of a graph themselves. */
  constructor(isAllForeign: boolean) {
    this.isAllForeign = isAllForeign;
  }

  /** Notes that one place more holds the gradient. */
  hold(grad: Gradient): void {
    if (grad) this.counts.set(grad.storage, (this.counts.get(grad.storage) ?? 0) + 1);
  }

  /** Notes that one place less does. */
  letGo(grad: Gradient): void {
    if (!grad) return;
    const { storage } = grad;
    const left = (this.counts.get(storage) ?? 1) - 1;
    if (left > 0) {
      this.counts.set(storage, left);
      return;
    }
    this.counts.delete(storage);
    if (!this.isAllForeign && !this.foreign.has(storage)) storage.release();
  }

  /** Notes that somebody outside of the walk may hold the gradient from now on. */
  share(grad: Gradient): void {
    if (grad) this.foreign.add(grad.storage);
  }

  /** Whether only the place that asks holds the gradient. Then it may change it, or release it. */
  isAlone(grad: Gradient): grad is NonNullable<Gradient> {
    return !!grad && !this.isAllForeign && this.counts.get(grad.storage) === 1 && !this.foreign.has(grad.storage);
  }
}
