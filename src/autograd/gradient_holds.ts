// Who holds the gradients of a backward under way: in how many places of the walk each memory waits, and whether anybody outside may hold
// it too. What nobody holds any more goes back at once.
import type { Storage } from '../tensor/storage.ts';
import type { Gradient } from './node.ts';

export class GradientHolds {
  private readonly counts = new Map<Storage, number>();
  /** Storages that a hook, the caller, a user's own function may have kept. */
  private readonly foreign = new Set<Storage>();
  private readonly isAllForeign: boolean;

  /** @param isAllForeign whether gradients are part of a graph themselves. */
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

  /** Whether the one place that asks is all that holds the gradient, which it may therefore change or give away. */
  isAlone(grad: Gradient): grad is NonNullable<Gradient> {
    return !!grad && !this.isAllForeign && this.counts.get(grad.storage) === 1 && !this.foreign.has(grad.storage);
  }
}
