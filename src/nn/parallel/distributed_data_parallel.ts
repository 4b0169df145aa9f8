// DistributedDataParallel: one model on every rank, each with a part of the batch; gradients are averaged in
// buckets (reducer.ts).
import { isGradEnabled } from '../../autograd/grad_mode.ts';
import { requireNumber } from '../../checks.ts';
import { getNumThreads } from '../../device/engine.ts';
import { allGather, broadcastObject, Group, localWorldSizeFor, worldFor } from '../../distributed/process_group.ts';
import { ArgumentTypeError, RuntimeError, ValueError } from '../../errors.ts';
import { nodeModule } from '../../files/node.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { restoring } from '../../restoring.ts';
import { tensor } from '../../tensor/create.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { Module } from '../module.ts';
import { type Arguments, declareModules, type Result } from '../module_call.ts';
import { isUninitialized } from '../uninitialized.ts';
import { requireSameModel } from './model_agreement.ts';
import { broadcastAll } from './packed.ts';
import { Reducer } from './reducer.ts';

/** Options of `DistributedDataParallel`. */
export interface DistributedDataParallelOptions {
  /** The processes that train together. Default: all. */
  processGroup?: Group;
  /** Megabytes (2^20 bytes) of gradients that one collective averages. Default: 25. */
  bucketCapMb?: number;
  /** Whether each forward begins with the buffers of the first rank, such as running statistics. Default: true. */
  broadcastBuffers?: boolean;
  /**
   * Whether a loss may not depend on all parameters, others on each rank and in each step. Parameters that no rank uses
   * get no gradient. Default: false.
   */
  findUnusedParameters?: boolean;
  /**
   * Whether each step uses the same parameters, the same number of times. Parameters may then be unused, or be used in
   * several checkpoints. Default: false.
   */
  staticGraph?: boolean;
}
const ddpOptions = declareOptions<DistributedDataParallelOptions>({
  processGroup: kind.processGroup,
  bucketCapMb: kind.number,
  broadcastBuffers: kind.flag,
  findUnusedParameters: kind.flag,
  staticGraph: kind.flag,
});

/** All tensors in what a forward gives. */
function tensorsIn(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (Array.isArray(value)) return value.flatMap(tensorsIn);
  const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return isPlain ? Object.values(value).flatMap(tensorsIn) : [];
}

const kindOf = ({ dtype, memoryFormat, backend }: Tensor): string => `${dtype} ${memoryFormat} ${backend.name}`;

/**
 * Whether gradients are sent while the backward goes on, as the first rank decides for all. Within one machine ranks
 * exchange them by copying. Where kernels keep all of its processors busy, that takes time and caches from them: a step
 * of ResNet-18, two ranks of one thread, takes 338 ms instead of 319 with one exchange at its end.
 */
function overlapsIn(group: Group, op: string): boolean {
  const here = localWorldSizeFor(op);
  const { availableParallelism } = nodeModule(op, 'os');
  const isElsewhere = here < worldFor(op).worldSize;
  const own = isElsewhere || here * getNumThreads() < availableParallelism();
  return broadcastObject(own, { group, src: group.ranks[0], label: 'when gradients are sent' });
}

/** What a rank tells the others before a forward, inside `join`. */
const Step = { isActive: 1, sharesBuffers: 2, reduces: 4 } as const;

/**
 * A model of which every rank has a copy, and trains it on a part of each batch (PyTorch:
 * `nn.parallel.DistributedDataParallel`). At the beginning parameters and buffers of the first rank go to all. Then
 * each backward averages the gradients over the ranks, bucket by bucket; so the copies stay equal, bit
 * for bit, as long as their optimizers do the same. Keys of the state begin with `module.`: save
 * `ddp.module.stateDict()`.
 *
 * Call this module, not `module`, in training. Every rank must call forward and backward equally often. With
 * `broadcastBuffers` each forward begins with the buffers of the first rank: running statistics of the other ranks'
 * batches are lost; `SyncBatchNorm`, or `syncBuffers`, takes all of them in. Gradients are ranges of the buckets'
 * memory. Freeze and convert a model before it is wrapped. Alone, it is the model and nothing else.
 *
 * @throws RuntimeError where the ranks have built different models, naming the first difference and the ranks, and
 * where a backward has left parameters without gradients.
 * @example
 * initProcessGroup();
 * const ddp = new DistributedDataParallel(new Linear(4, 2));
 * ddp(ones([8, 4])).sum().backward(); // the gradients are the means over all ranks
 * destroyProcessGroup();
 */
export class DistributedDataParallel<M extends Module = Module> extends Module {
  /** The model. */
  module: M;
  /** The processes that train together. */
  readonly processGroup: Group;
  /** Whether each forward begins with the buffers of the first rank. */
  readonly broadcastBuffers: boolean;
  private readonly reducer: Reducer | null;
  private readonly trained: readonly Tensor[];
  /** What a conversion would change of them. */
  private readonly kinds: readonly string[];
  private readonly isStatic: boolean;
  private isReducing = true;
  /** Whether the buffers have moved since they were shared. */
  private areBuffersStale = true;
  private isJoining = false;

  constructor(module: M, options: DistributedDataParallelOptions = {}) {
    super();
    requireOptions('DistributedDataParallel', options, ddpOptions);
    if (!(module instanceof Module)) throw new ArgumentTypeError('[DistributedDataParallel] expected a module');
    const { processGroup, bucketCapMb = 25, broadcastBuffers = true } = options;
    requireNumber('DistributedDataParallel', 'bucketCapMb', bucketCapMb);
    if (!(bucketCapMb > 0 && bucketCapMb < Infinity))
      throw new ValueError(`[DistributedDataParallel] expected bucketCapMb above 0, got ${bucketCapMb}`);
    if (processGroup !== undefined && !(processGroup instanceof Group))
      throw new ArgumentTypeError('[DistributedDataParallel] expected processGroup as newGroup() returns it');
    const world = worldFor('DistributedDataParallel');
    if (module.parameters().some(isUninitialized))
      throw new RuntimeError(
        "Modules with uninitialized parameters can't be used with `DistributedDataParallel`. Run a dummy forward pass to correctly initialize the modules",
      );
    this.module = module;
    this.processGroup = processGroup ?? world;
    this.broadcastBuffers = broadcastBuffers;
    this.isStatic = options.staticGraph ?? false;
    const trained = module.namedParameters().filter(([, parameter]) => parameter.requiresGrad);
    if (trained.length === 0)
      throw new RuntimeError(
        "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a gradient.",
      );
    this.trained = trained.map(([, parameter]) => parameter);
    this.kinds = this.trained.map(kindOf);
    if (this.processGroup.worldSize === 1) {
      this.reducer = null;
      return;
    }
    requireSameModel('DistributedDataParallel', module, this.processGroup);
    this.shareModel(this.processGroup.ranks[0]);
    this.reducer = new Reducer(trained, this.processGroup, {
      bucketBytes: bucketCapMb * 1024 ** 2,
      findsUnused: options.findUnusedParameters ?? false,
      isStatic: this.isStatic,
      overlaps: overlapsIn(this.processGroup, 'DistributedDataParallel'),
    });
  }

  private shareModel(src: number): void {
    broadcastAll(this.module.parameters(), this.processGroup, src, 'the parameters');
    broadcastAll(this.module.buffers(), this.processGroup, src, 'the buffers');
  }

  /** Runs the module; gradients of the backward that follows are averaged. */
  forward(...args: Arguments): Result {
    const { reducer } = this;
    // A copy, as of an average, has no reducer of its own, and needs none where nothing is learned.
    const isCopy = reducer !== null && !reducer.averages(this.trained[0]);
    if (!reducer || (isCopy && !isGradEnabled())) return this.module(...(args as Parameters<M['forward']>));
    if (isCopy)
      throw new RuntimeError(
        '[DistributedDataParallel] this is a copy, whose gradients nobody averages: copy its module, and wrap that',
      );
    this.requireSameParameters();
    const reduces = isGradEnabled() && this.isReducing;
    const sharesBuffers = this.broadcastBuffers && this.areBuffersStale;
    let source = this.processGroup.ranks[0];
    if (this.isJoining) {
      const steps = this.tellStep(
        Step.isActive | (sharesBuffers ? Step.sharesBuffers : 0) | (reduces ? Step.reduces : 0),
      );
      source = this.lastActive(steps)!;
    }
    if (sharesBuffers) broadcastAll(this.module.buffers(), this.processGroup, source, 'the buffers');
    // PyTorch's rule: a forward after one without gradients, or in noSync(), finds the buffers as that one left them.
    this.areBuffersStale = reduces;
    const result = this.module(...(args as Parameters<M['forward']>));
    if (reduces) reducer.prepare(() => tensorsIn(result));
    // A forward that records nothing, between another one and its backward, changes nothing about that.
    else if (isGradEnabled()) reducer.rest();
    return result;
  }

  /** Gradients of other parameters would not be averaged, silently. */
  private requireSameParameters(): void {
    const trained = this.module.parameters().filter((parameter) => parameter.requiresGrad);
    const isSame = (parameter: Tensor, i: number) =>
      parameter === this.trained[i] && kindOf(parameter) === this.kinds[i];
    if (trained.length === this.trained.length && trained.every(isSame)) return;
    throw new RuntimeError(
      "[DistributedDataParallel] expected the module's parameters to be those that it was wrapped with: convert, freeze and unfreeze a model before it is wrapped, or wrap it anew",
    );
  }

  /**
   * Runs `fn` without averaging: gradients add up on each rank by itself, until the backward of a forward outside
   * (PyTorch: `no_sync`). The forward decides, so it must be inside, too.
   * @example
   * initProcessGroup();
   * const ddp = new DistributedDataParallel(new Linear(4, 2));
   * ddp.noSync(() => ddp(ones([8, 4])).sum().backward());
   * ddp(zeros([8, 4])).sum().backward(); // averages the gradients of both
   * destroyProcessGroup();
   */
  noSync<R>(fn: () => R): R {
    const former = this.isReducing;
    this.isReducing = false;
    return restoring(() => {
      this.isReducing = former;
    }, fn);
  }

  /**
   * Runs `fn`, a loop over this rank's batches, of which ranks may have different numbers (PyTorch: `join`). A rank
   * that has come to its end takes part in the steps of the others without gradients; averages still divide by the
   * number of all ranks. In the end every rank has the parameters and buffers of the highest one among those that have
   * gone on longest. Optimizers are not made equal: momenta of ranks that ended early have missed steps. Layers with
   * collectives of their own, such as `SyncBatchNorm`, are not taken part in.
   * @throws RuntimeError with `staticGraph`: a rank without a batch would not know the graph.
   * @example
   * initProcessGroup();
   * const ddp = new DistributedDataParallel(new Linear(4, 2));
   * await ddp.join(() => {
   *   for (let batch = 0; batch < 2 + getRank(); batch++) ddp(ones([8, 4])).sum().backward();
   * });
   * destroyProcessGroup();
   */
  async join<R>(fn: () => R | Promise<R>): Promise<R> {
    const { reducer } = this;
    if (!reducer) return fn();
    if (this.isStatic) throw new RuntimeError('[join] expected a model without staticGraph');
    this.isJoining = true;
    try {
      const result = await fn();
      this.shadow(reducer);
      return result;
    } finally {
      this.isJoining = false;
    }
  }

  private last: number | null = null;

  /** Takes part in the steps of the other ranks until none goes on. */
  private shadow(reducer: Reducer): void {
    for (;;) {
      const before = this.last;
      const steps = this.tellStep(0);
      const source = this.lastActive(steps);
      if (source === null) {
        if (before !== null) this.shareModel(before);
        this.last = null;
        // The same on all ranks, whatever their last forwards were.
        this.areBuffersStale = true;
        return;
      }
      const step = steps.find((each) => each !== 0)!;
      if (step & Step.sharesBuffers) broadcastAll(this.module.buffers(), this.processGroup, source, 'the buffers');
      if (step & Step.reduces) reducer.shadow();
    }
  }

  private tellStep(own: number): number[] {
    return allGather(tensor([own], { dtype: 'int32' }), { group: this.processGroup, label: 'join' }).map((step) =>
      step.item(),
    );
  }

  /** The highest rank that has a batch; null: none. */
  private lastActive(steps: readonly number[]): number | null {
    const place = steps.findLastIndex((step) => step !== 0);
    this.last = place < 0 ? null : this.processGroup.ranks[place];
    return this.last;
  }
}

declareModules({ DistributedDataParallel });
