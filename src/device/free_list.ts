// The free ranges of a memory that is handed out in pieces of any size.
import type { Pointer } from './generated/abi.ts';

/** Free ranges of a memory, in order of address, neighbours merged; first fit. */
export class FreeList {
  private readonly starts: number[] = [];
  private readonly sizes: number[] = [];
  total = 0;

  take(size: number): Pointer {
    const { starts, sizes } = this;
    for (let i = 0; i < starts.length; i++) {
      if (sizes[i] < size) continue;
      const start = starts[i];
      if (sizes[i] === size) {
        starts.splice(i, 1);
        sizes.splice(i, 1);
      } else {
        starts[i] += size;
        sizes[i] -= size;
      }
      this.total -= size;
      return start;
    }
    return 0;
  }

  give(start: Pointer, size: number): void {
    const { starts, sizes } = this;
    this.total += size;
    let low = 0;
    for (let high = starts.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (starts[middle] < start) low = middle + 1;
      else high = middle;
    }
    const joinsBefore = low > 0 && starts[low - 1] + sizes[low - 1] === start;
    const joinsAfter = low < starts.length && start + size === starts[low];
    if (joinsBefore && joinsAfter) {
      sizes[low - 1] += size + sizes[low];
      starts.splice(low, 1);
      sizes.splice(low, 1);
    } else if (joinsBefore) sizes[low - 1] += size;
    else if (joinsAfter) {
      starts[low] = start;
      sizes[low] += size;
    } else {
      starts.splice(low, 0, start);
      sizes.splice(low, 0, size);
    }
  }
}
