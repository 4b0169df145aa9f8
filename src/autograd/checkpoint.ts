// Activation checkpointing: a part of the model keeps only its inputs, and is computed again when the backward needs
// what it would have saved. For others: `isRecomputing` says whether the second run is under way, `replayed` makes it
// decide as the first run did.
import { ArgumentTypeError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { DType } from '../tensor/dtype.ts';
import { defaultGenerator } from '../tensor/random/index.ts';
import { scope } from '../tensor/scope.ts';
import { type Shape, sameShape } from '../tensor/shape.ts';
import { abandonStorages, collectStorages } from '../tensor/storage.ts';
import { aliasOf, Tensor } from '../tensor/tensor.ts';
import { isGradEnabled, setGradEnabled } from './grad_mode.ts';
import { type HeldTensors, SavedTensors, setHolder } from './node.ts';
import { SavedMemory } from './saved_memory.ts';

/** Options of `checkpoint`. */
export interface CheckpointOptions {
  /** Draw the same random numbers in the second run, so that dropout drops the same. Default: true. */
  preserveRngState?: boolean;
}
const checkpointOptions = declareOptions<CheckpointOptions>({ preserveRngState: kind.flag });

// ---- what runs now ------------------------------------------------------------------------------------------------

/** A run of a checkpointed function, the first or the second, that is under way; runs may be nested. */
interface Run {
  readonly segment: Segment;
  readonly around: Run | null;
  readonly isSecond: boolean;
  /** Decisions replayed so far, of the second run. */
  decisions: number;
}

let current: Run | null = null;
let recomputing = 0;

/**
 * Whether this code runs for the second time, in a checkpoint. Then running statistics and counters must not move
 * again.
 */
export const isRecomputing = (): boolean => recomputing > 0;

/** Whether a checkpoint's function runs, for the first or the second time. */
export const isInCheckpoint = (): boolean => current !== null;

/** Runs `fn` as a second run; see `isRecomputing`. */
export function asRecomputation<R>(fn: () => R): R {
  recomputing++;
  try {
    return fn();
  } finally {
    recomputing--;
  }
}

/**
 * A decision that depends on more than the checkpoint's inputs, such as modes or running statistics. The first run
 * takes it, the second run gets the same answer, even if things have changed in between. `again` turns the answer into
 * the one for the second run.
 */
export function replayed<T>(decide: () => T, again: (decided: T) => T): T {
  let source = current;
  while (source && !source.isSecond) source = source.around;
  const decided = source ? (source.segment.decision(source.decisions++) as T) : decide();
  if (current === source) return decided;
  const later = source ? decided : again(decided);
  for (let run = current; run && run !== source; run = run.around) run.segment.decisions.push(later);
  return decided;
}

// ---- a checkpoint -------------------------------------------------------------------------------------------------

type Checkpointed = (...inputs: unknown[]) => unknown;

interface Saved {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly version: number;
}

const describe = (tensors: readonly (Tensor | null)[]): (Saved | null)[] =>
  tensors.map((tensor) => tensor && { shape: tensor.shape, dtype: tensor.dtype, version: tensor.version });

/**
 * Whether the second run saves the same tensors as the first. Other versions mean that a parameter was changed in
 * between.
 */
const isSame = (first: readonly (Saved | null)[] | undefined, again: readonly (Tensor | null)[]): boolean =>
  first?.length === again.length &&
  first.every((saved, i) => {
    const tensor = again[i];
    if (!saved || !tensor) return saved === tensor;
    return saved.dtype === tensor.dtype && saved.version === tensor.version && sameShape(saved.shape, tensor.shape);
  });

const changed = () =>
  new RuntimeError(
    '[checkpoint] the function did not do the same again when it was recomputed for the backward: it must depend on its inputs, on random numbers of the default generator, and on nothing that has changed since',
  );

/** One call of checkpoint: how to run it again, and a place for each tensor that its operations would have saved. */
class Segment {
  /** What was decided in the first run; see `replayed`. */
  readonly decisions: unknown[] = [];
  private readonly fn: Checkpointed;
  private readonly args: readonly unknown[];
  private readonly inputs = new SavedTensors();
  private readonly randomState: Uint8Array | null;
  /** Per save of the first run, what the second must save in its place. */
  private readonly saves: (readonly (Saved | null)[])[] = [];
  private freed = 0;
  private isRunning = true;
  /** The saves of the second run, each until it is freed, and whether they can be differentiated in turn. */
  private again: (SavedTensors | null)[] | null = null;
  private isRecorded = false;

  constructor(fn: Checkpointed, args: readonly unknown[], preserveRngState: boolean) {
    this.fn = fn;
    // The inputs are saved as an operation saves tensors: changes in place are noticed, and a checkpoint around this
    // one works.
    this.args = args.map((arg) => (arg instanceof Tensor ? null : arg));
    this.inputs.save(args.map((arg) => (arg instanceof Tensor ? arg : null)));
    this.randomState = preserveRngState ? defaultGenerator.getState() : null;
  }

  first(args: readonly unknown[]): unknown {
    try {
      // What nobody saves is released at once.
      return this.run(
        false,
        () => scope(() => this.fn(...args)),
        (_, tensors) => this.hold(tensors),
      );
    } finally {
      this.isRunning = false;
      if (this.saves.length === 0) this.inputs.free();
    }
  }

  private run<R>(isSecond: boolean, fn: () => R, see: Parameters<typeof setHolder>[0]): R {
    const around = current;
    current = { segment: this, around: isSecond ? null : around, isSecond, decisions: 0 };
    const holder = setHolder(see);
    try {
      return fn();
    } finally {
      current = around;
      setHolder(holder);
    }
  }

  private hold(tensors: readonly (Tensor | null)[]): HeldTensors {
    const index = this.saves.length;
    this.saves.push(describe(tensors));
    return { unpack: () => this.unpack(index), free: () => this.free(index) };
  }

  decision(index: number): unknown {
    if (index >= this.decisions.length) throw changed();
    return this.decisions[index];
  }

  private unpack(index: number): readonly (Tensor | null)[] {
    if (this.isRunning)
      throw new RuntimeError(
        '[checkpoint] gradients were asked for inside the checkpointed function, of what it has computed; move that backward or grad() outside',
      );
    // For higher orders the second run must be part of the graph.
    if (!this.again || (isGradEnabled() && !this.isRecorded)) this.recompute();
    return this.again![index]!.unpack();
  }

  private recompute(): void {
    const tensors = this.inputs.unpack();
    this.isRecorded = isGradEnabled();
    const args = this.args.map((arg, i) => {
      const input = tensors[i];
      if (!input || this.isRecorded) return input ?? arg;
      const alias = aliasOf(input);
      if (input.requiresGrad) alias.requiresGrad = true;
      return alias;
    });
    const found: SavedTensors[] = [];
    const run = () =>
      this.run(
        true,
        () => asRecomputation(() => this.fn(...args)),
        (saved, given) => {
          const index = found.push(saved) - 1;
          if (!isSame(this.saves[index], given)) throw changed();
          return null;
        },
      );
    const grad = setGradEnabled(true);
    const random = this.randomState && defaultGenerator.getState();
    if (this.randomState) defaultGenerator.setState(this.randomState);
    try {
      if (this.isRecorded) run();
      else {
        const [, made] = collectStorages(run);
        // Detached: otherwise it would keep the graph behind it alive.
        for (const saved of found) saved.cutHistory();
        new SavedMemory(made, found);
        abandonStorages(made);
      }
    } finally {
      if (random) defaultGenerator.setState(random);
      setGradEnabled(grad);
    }
    if (found.length !== this.saves.length) throw changed();
    this.again = found;
  }

  private free(index: number): void {
    // Also releases what a checkpoint around this one has saved for it.
    if (++this.freed === this.saves.length) this.inputs.free();
    const saved = this.again?.[index];
    if (!saved) return;
    saved.free();
    this.again![index] = null;
  }
}

/**
 * Runs `fn` on the inputs and keeps none of what its operations would save for the backward; the backward runs it again
 * instead (Chen et al. 2016; PyTorch: `torch.utils.checkpoint` with `use_reentrant=False`). Time of a second forward,
 * for memory.
 *
 * Gradients reach the inputs and every parameter that `fn` uses, through `backward`, `grad` and `createGraph` alike,
 * and checkpoints may be nested. Random numbers are drawn again as they were, and the generator then goes on where it
 * stood. Running statistics of batch norm move once, in the first run, where PyTorch moves them twice and counts two
 * batches (pytorch#62471, pytorch#96136); modes and running statistics are in the second run what they were in the
 * first.
 *
 * `fn` runs in a scope: of the tensors that it makes only its result outlives it (see `scope`). Without gradients it
 * simply runs.
 *
 * @throws RuntimeError in the backward, where the second run is not like the first: parameters or inputs were changed
 * in between, or `fn` depends on what it should not; and where `fn` itself takes gradients of what it computes.
 * @example
 * const block = new Sequential(new Conv2d(6, 6, 3, { padding: 1 }), new BatchNorm2d(6), new ReLU());
 * checkpoint((t) => block(t), x).sum().backward();
 */
export function checkpoint<A extends unknown[], R>(fn: (...inputs: A) => R, ...inputs: A): R;
/** The same, with options before the function. */
export function checkpoint<A extends unknown[], R>(
  options: CheckpointOptions,
  fn: (...inputs: A) => R,
  ...inputs: A
): R;
export function checkpoint(first: CheckpointOptions | Checkpointed, ...rest: unknown[]): unknown {
  const isFunction = typeof first === 'function';
  if (!isFunction) requireOptions('checkpoint', first, checkpointOptions);
  const { preserveRngState = true } = (isFunction ? null : first) ?? {};
  const [fn, ...inputs] = (isFunction ? [first, ...rest] : rest) as [Checkpointed, ...unknown[]];
  if (typeof fn !== 'function') throw new ArgumentTypeError(`[checkpoint] expected a function, got ${typeof fn}`);
  if (!isGradEnabled()) return fn(...inputs);
  return new Segment(fn, inputs, preserveRngState).first(inputs);
}
