// What one collective averages over the ranks: the gradients of several parameters, which are ranges of one piece of
// memory, so that nothing is copied back; or a large one, where it is.
import { allReduceWith, type Group } from '../../distributed/process_group.ts';
import { RuntimeError } from '../../errors.ts';
import { launchBinary } from '../../ops/elementwise/binary.ts';
import { inFormat } from '../../tensor/copy.ts';
import { fill, fullOn } from '../../tensor/create.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { outsideScopes } from '../../tensor/storage.ts';
import { allocate, Tensor } from '../../tensor/tensor.ts';

/** Bytes to which ranges are aligned, as kernels expect memory to be. */
const alignment = 64;

/** A parameter with its name in the model. */
export type Named = readonly [name: string, parameter: Tensor];

/** Bytes of a gradient that is sent where it is: to copy it would take longer than a call of its own. */
const large = 1024 ** 2;

/**
 * Parameters, in the order in which their gradients will come, cut into buckets of one dtype each; a large one is
 * alone. No backward hides the exchange of the last bucket: it is small, and each one before may be twice as large, up
 * to `bytes`.
 */
export function planBuckets(order: readonly Named[], bytes: number): Named[][] {
  const full: { at: number; of: Named[] }[] = [];
  const open = new Map<string, { at: number; of: Named[]; bytes: number; limit: number }>();
  const lastBytes = Math.min(large, bytes);
  for (const [at, named] of [...order.entries()].reverse()) {
    const [, { dtype, size, itemSize }] = named;
    if (size * itemSize >= lastBytes) {
      full.push({ at, of: [named] });
      continue;
    }
    const bucket = open.get(dtype) ?? { at, of: [], bytes: 0, limit: lastBytes };
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

/** Gradients that one collective averages. */
export interface GradientParcel {
  readonly named: readonly Named[];
  /** How many have not come yet. */
  readonly missing: number;
  /** Which of them have been made of nothing in this backward. */
  readonly isMadeUp: readonly boolean[];
  /** Begins a backward. */
  begin(): void;
  /** The gradient of a parameter is there. Where there is none, zeros stand for it. */
  place(i: number): void;
  /** Undoes what was placed for a parameter that no rank has used, and that had no gradient before. */
  withdraw(i: number): void;
  /**
   * Averages the gradients over all ranks.
   * @param isEmpty whether this rank has none to give, and keeps those it has.
   * @param isAwaited whether the backward is over, so that the averages are used at once.
   */
  reduce(number: number, isEmpty: boolean, isAwaited: boolean): void;
}

/** The parcel of parameters that `planBuckets` has put together. */
export const parcelOf = (named: readonly Named[], group: Group): GradientParcel =>
  named.length === 1 ? new SingleGradient(named[0], group) : new Bucket(named, group);

function requireConstant(name: string, gradient: Tensor | null): void {
  if (gradient?.requiresGrad)
    throw new RuntimeError(
      `[DistributedDataParallel] the gradient of '${name}' is to be differentiated in turn (createGraph), and averages over ranks cannot be; use grad(), or noSync()`,
    );
}

function replaceGrad(parameter: Tensor, gradient: Tensor): void {
  parameter.dropGrad();
  parameter.adoptGrad(gradient);
}

class SingleGradient implements GradientParcel {
  readonly named: readonly Named[];
  missing = 0;
  readonly isMadeUp = [false];
  private readonly parameter: Tensor;
  private readonly group: Group;

  constructor(named: Named, group: Group) {
    this.named = [named];
    this.parameter = named[1];
    this.group = group;
  }

  begin(): void {
    this.missing = 1;
  }

  private zeros(): Tensor {
    const { shape, dtype, memoryFormat, backend } = this.parameter;
    return outsideScopes(() => fullOn(backend, shape, 0, dtype, memoryFormat));
  }

  place(): void {
    const { parameter } = this;
    const gradient = parameter.peekGrad();
    requireConstant(this.named[0][0], gradient);
    this.isMadeUp[0] = !gradient;
    const own = gradient ? inFormat(gradient, parameter.memoryFormat) : this.zeros();
    if (own !== gradient) replaceGrad(parameter, own);
    this.missing = 0;
  }

  withdraw(): void {
    if (this.isMadeUp[0]) this.parameter.dropGrad();
  }

  reduce(number: number, isEmpty: boolean, isAwaited: boolean): void {
    const gradient = isEmpty ? this.zeros() : this.parameter.peekGrad()!;
    gradient.materialize();
    // In the order of its memory, which is the same on all ranks.
    const memory = new Tensor([gradient.size], gradient.dtype, 'contiguous', gradient.storage);
    const label = `bucket ${number}, the gradient ${this.named[0][0]}`;
    allReduceWith(memory, { op: 'mean', group: this.group, label }, isAwaited);
  }
}

class Bucket implements GradientParcel {
  readonly named: readonly Named[];
  missing = 0;
  private readonly group: Group;
  /** The first element of each gradient. */
  private readonly starts: number[] = [];
  private readonly size: number;
  private flat: Tensor;
  /** The gradients that are ranges of the memory. */
  private views: (Tensor | null)[];
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

  /** Makes the gradient of a parameter a range of the memory, divided by the number of ranks. */
  place(i: number): void {
    const [name, parameter] = this.named[i];
    const { shape, dtype, memoryFormat } = parameter;
    const gradient = parameter.peekGrad();
    requireConstant(name, gradient);
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
      replaceGrad(parameter, view);
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

  withdraw(i: number): void {
    if (!this.isMadeUp[i]) return;
    this.named[i][1].dropGrad();
    this.views[i] = null;
  }

  reduce(number: number, isEmpty: boolean, isAwaited: boolean): void {
    const [first] = this.named;
    const last = this.named.at(-1)!;
    const label = `bucket ${number}, the gradients ${first[0]} to ${last[0]}`;
    allReduceWith(isEmpty ? this.makeMemory() : this.flat, { group: this.group, label }, isAwaited);
  }
}
