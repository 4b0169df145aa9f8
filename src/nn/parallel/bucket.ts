// A piece of memory for the gradients of several parameters, which one collective averages over the ranks. The
// gradients are ranges of it: nothing is copied back.
import { allReduce, type Group } from '../../distributed/process_group.ts';
import { RuntimeError } from '../../errors.ts';
import { launchBinary } from '../../ops/elementwise/binary.ts';
import { inFormat } from '../../tensor/copy.ts';
import { fill } from '../../tensor/create.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { outsideScopes } from '../../tensor/storage.ts';
import { allocate, Tensor } from '../../tensor/tensor.ts';

/** Bytes to which ranges are aligned, as kernels expect memory to be. */
const alignment = 64;

/** A parameter with its name in the model. */
export type Named = readonly [name: string, parameter: Tensor];

/**
 * Parameters, in the order in which their gradients will come, cut into buckets of one dtype each. No backward hides
 * the exchange of the last bucket: it is small, and each one before may be twice as large, up to `bytes`.
 */
export function planBuckets(order: readonly Named[], lastBytes: number, bytes: number): Named[][] {
  const full: { at: number; of: Named[] }[] = [];
  const open = new Map<string, { at: number; of: Named[]; bytes: number; limit: number }>();
  for (const [at, named] of [...order.entries()].reverse()) {
    const [, { dtype, size, itemSize }] = named;
    const bucket = open.get(dtype) ?? { at, of: [], bytes: 0, limit: Math.min(lastBytes, bytes) };
    open.set(dtype, bucket);
    bucket.of.unshift(named);
    bucket.bytes += size * itemSize;
    if (bucket.bytes < bucket.limit) continue;
    full.push(bucket);
    open.set(dtype, { at: at - 1, of: [], bytes: 0, limit: Math.min(2 * bucket.limit, bytes) });
  }
  const cut = [...full, ...open.values()].filter(({ of }) => of.length > 0);
  return cut.sort((a, b) => a.at - b.at).map(({ of }) => of);
}

export class Bucket {
  readonly named: readonly Named[];
  /** Gradients that have not come yet. */
  missing = 0;
  private readonly group: Group;
  /** The first element of each gradient. */
  private readonly starts: number[] = [];
  private readonly size: number;
  private flat: Tensor;
  /** The gradients that are ranges of the memory. */
  private views: (Tensor | null)[];
  /** Which of them have been made of nothing in this backward. */
  readonly isMadeUp: boolean[];

  constructor(named: readonly Named[], group: Group) {
    this.named = named;
    this.group = group;
    let size = 0;
    for (const [, { shape, itemSize }] of named) {
      this.starts.push(size);
      size += Math.ceil((sizeOf(shape) * itemSize) / alignment) * (alignment / itemSize);
    }
    this.size = size;
    this.views = named.map(() => null);
    this.isMadeUp = named.map(() => false);
    this.flat = this.makeMemory();
  }

  private makeMemory(): Tensor {
    const [, { dtype, backend }] = this.named[0];
    return outsideScopes(() => {
      const flat = allocate([this.size], dtype, 'contiguous', backend);
      // Between the ranges there are gaps, in which garbage would be added up to infinity.
      fill(flat, 0);
      return flat;
    });
  }

  /** Begins a backward. Where somebody may still hold a gradient of before, that keeps its memory. */
  begin(): void {
    this.missing = this.named.length;
    const isHeld = this.views.some((view, i) => view && !view.storage.isReleased && this.gradientOf(i) !== view);
    if (!isHeld) return;
    this.flat = this.makeMemory();
    this.views = this.named.map(() => null);
  }

  private gradientOf(i: number): Tensor | null {
    return this.named[i][1].peekGrad();
  }

  /** Makes the gradient of a parameter a range of the memory, divided by the number of ranks; without one: zeros. */
  place(i: number): void {
    const [name, parameter] = this.named[i];
    const { shape, dtype, memoryFormat } = parameter;
    const gradient = parameter.peekGrad();
    if (gradient?.requiresGrad)
      throw new RuntimeError(
        `[DistributedDataParallel] the gradient of '${name}' is to be differentiated in turn (createGraph), and averages over ranks cannot be; use grad(), or noSync()`,
      );
    this.isMadeUp[i] = !gradient;
    if (gradient && gradient === this.views[i]) {
      gradient.storage.beginChange();
      launchBinary('mul', gradient, this.share(), 1, dtype, gradient);
    } else {
      const bytes = parameter.size * parameter.itemSize;
      const storage = outsideScopes(() => this.flat.storage.range(this.starts[i] * parameter.itemSize, bytes));
      const view = new Tensor(shape, dtype, memoryFormat, storage);
      storage.beginChange();
      if (gradient) launchBinary('mul', inFormat(gradient, memoryFormat), this.share(), 1, dtype, view);
      else fill(view, 0);
      parameter.dropGrad();
      parameter.adoptGrad(view);
      this.views[i] = view;
    }
    this.missing--;
  }

  private shareOfRank: Tensor | null = null;
  private share(): Tensor {
    return (this.shareOfRank ??= outsideScopes(() => {
      const made = allocate([], this.flat.dtype, 'contiguous', this.flat.backend);
      fill(made, 1 / this.group.worldSize);
      return made;
    }));
  }

  /** Undoes what was placed for a parameter that no rank has used, and that had no gradient before. */
  withdraw(i: number): void {
    if (!this.isMadeUp[i]) return;
    this.named[i][1].dropGrad();
    this.views[i] = null;
  }

  /** Adds up the gradients of all ranks. @param isEmpty whether this rank has none to give, and keeps those it has. */
  reduce(number: number, isEmpty = false): void {
    const [first] = this.named;
    const last = this.named.at(-1)!;
    const label = `bucket ${number}, the gradients ${first[0]} to ${last[0]}`;
    allReduce(isEmpty ? this.makeMemory() : this.flat, { group: this.group, label });
  }
}
