// fit: the training loop, with what a loop written by hand often lacks: scopes of steps, averages, checks of the loss,
// checkpoints, resuming at the same batch, and saving on Ctrl-C. Callbacks print (progress.ts).

import { noGrad } from '../autograd/grad_mode.ts';
import { requireChoice, requireInteger, requireNumber, shown } from '../checks.ts';
import { EvenkeelError, ValueError } from '../errors.ts';
import { nodeModule } from '../files/node.ts';
import type { Module } from '../nn/module.ts';
import { batchNorms } from '../nn/norm/statistics/statistics.ts';
import { clipGradNorm } from '../optim/clip_grad.ts';
import { ReduceLROnPlateau } from '../optim/reduce_on_plateau.ts';
import { type StagedStatistics, stageStatistics } from '../optim/staged_statistics.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';
import { defaultGenerator, Generator } from '../tensor/random/index.ts';
import { asyncScope, scope } from '../tensor/scope.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { warn } from '../warnings.ts';
import { type Batches, type BatchOptions, batchKinds, partsOf } from './batches.ts';
import {
  type AnyOptimizer,
  type CheckpointParts,
  generatorStateOf,
  loadCheckpoint,
  type Stateful,
  saveCheckpoint,
} from './checkpoint.ts';
import { CheckpointError } from './checkpoint_file.ts';
import { evaluate, type LossFunction } from './evaluate.ts';
import { type StopSignal, watchSignals } from './interrupts.ts';
import { Averages, type AveragesState, type Metrics } from './metrics.ts';
import { figureOf, watchable } from './monitor.ts';
import { firstNonFinite, layerOf, NonFiniteLossError } from './non_finite.ts';
import { Ranks } from './ranks.ts';

/** Where training stands: `step` batches of epoch `epoch` (from 0) are done. */
export interface Position {
  /** The epoch, from 0. */
  epoch: number;
  /** Batches of it that are done. */
  step: number;
}

/** What an epoch has given. */
export interface EpochResult {
  /** From 1. */
  readonly epoch: number;
  /** How long it took. */
  readonly seconds: number;
  /** How many samples it had. */
  readonly samples: number;
  /** Means over the epoch's samples: `loss` and the metrics. */
  readonly train: Readonly<Record<string, number>>;
  /** The same over the validation loader, at the epoch's end, where `fit` has one. */
  readonly validation?: Readonly<Record<string, number>>;
  /** Updates that were skipped, where `skipNonFinite` skipped any. */
  readonly skipped?: number;
}

/** Called by `fit` at its stations; each may be async. */
export interface Callback {
  /** Before the first step. */
  onTrainBegin?(run: Run): void | Promise<void>;
  /** Before each epoch. */
  onEpochBegin?(run: Run): void | Promise<void>;
  /** Before an update of the parameters, with the gradients that it will use, averaged and clipped. */
  onBeforeUpdate?(run: Run): void;
  /** After each batch, with the averages of the epoch so far. */
  onStepEnd?(run: Run): void;
  /** After each epoch, with its result. */
  onEpochEnd?(run: Run, result: EpochResult): void | Promise<void>;
  /** Also after an error or an interruption. */
  onTrainEnd?(run: Run): void | Promise<void>;
}

/** A run, as callbacks see it. */
export interface Run {
  /** The model. */
  readonly model: Module;
  /** The optimizer. */
  readonly optimizer: AnyOptimizer;
  /** The place of this process among those that train together, from 0: the first one prints, and writes files. */
  readonly rank: number;
  /** How many processes train together. */
  readonly worldSize: number;
  /** Where training stands. */
  readonly position: Readonly<Position>;
  /** How many epochs there are to be. */
  readonly epochs: number;
  /** Batches per epoch, where the loader knows. */
  readonly stepsPerEpoch: number | null;
  /** The averages of the present epoch so far. */
  readonly averages: Averages;
  /** Whether training is to end after the present step. */
  readonly isInterrupted: boolean;
  /** Plain data that callbacks want to find again after resuming. */
  readonly notes: Record<string, unknown>;
  /** Ends training after the present step, as Ctrl-C does. */
  stop(): void;
}

/** Options of `fit`. Without default: `loader`, `loss`, `optimizer`, `epochs`. */
export interface FitOptions<Batch = readonly Tensor[], Output = Tensor, Target = Tensor>
  extends BatchOptions<Batch, Target> {
  /** Batches of inputs and targets; iterated once per epoch. */
  loader: Batches<Batch> & {
    readonly length?: number | undefined;
    readonly generator?: Generator | undefined;
    readonly batchSize?: number | null;
    /** Is told each epoch before it begins, from 0. */
    setEpoch?(epoch: number): void;
  };
  /** What is minimized. */
  loss: LossFunction<Output, Target>;
  /** What moves the parameters. */
  optimizer: AnyOptimizer;
  /** How many epochs there are to be, those before a resumption included. */
  epochs: number;
  /** Stepped after each epoch, or after each update with `schedule: 'step'`. */
  scheduler?: (Stateful & { step(): void }) | ReduceLROnPlateau;
  /** When the scheduler is stepped. Default: `'epoch'`. */
  schedule?: 'epoch' | 'step';
  /**
   * What a `ReduceLROnPlateau` is given after each epoch: `'loss'` or the name of a metric, averaged over the epoch, or
   * `'validation.loss'` and the like. Default: `'loss'`.
   */
  monitor?: string;
  /** Figures of each epoch beside the loss, by name. Default: none. */
  metrics?: Metrics<Output, Target>;
  /**
   * Batches on which the model is evaluated after each epoch: loss and metrics stand in the epoch's result as
   * `validation`. Default: none.
   */
  validation?: Batches<Batch>;
  /**
   * Micro-batches per update; gradients are averaged over them, at the end of an epoch over those that are left.
   * Default: 1.
   */
  accumulate?: number;
  /** Largest norm of all gradients together; larger ones are scaled down. */
  clipGradNorm?: number;
  /**
   * Skip the update of a batch with a NaN or infinite loss or gradient instead of stopping: it leaves parameters,
   * optimizer and running statistics as they were (`stageStatistics`). An epoch in which every update was skipped stops
   * all the same. Default: false.
   */
  skipNonFinite?: boolean;
  /** What is called at the beginning and end of training, epochs and steps. Default: none. */
  callbacks?: readonly Callback[];
  /**
   * File for checkpoints: written after each epoch, on interruption, and every `checkpointEvery` steps. Not in
   * browsers.
   */
  checkpoint?: string;
  /** Steps from one checkpoint within an epoch to the next. Default: none within an epoch. */
  checkpointEvery?: number;
  /** Go on from `checkpoint` where it exists, with the same results as an uninterrupted run. Default: false. */
  resume?: boolean;
  /**
   * Finish the step, save and return on SIGINT (Ctrl-C), SIGTERM and SIGHUP; a second one, more than a second later,
   * ends the process. Programs in TypeScript start with `node --import tsx`: the command `tsx` kills what has not
   * answered 60 ms after Ctrl-C. Default: false.
   */
  handleInterrupt?: boolean;
  /** A generator besides the default one and the loader's own; the states of all are in checkpoints. */
  generator?: Generator;
}
const fitOptions = declareOptions<FitOptions>({
  loader: required(kind.object),
  loss: required(kind.function),
  optimizer: required(kind.object),
  epochs: required(kind.integer),
  scheduler: kind.object,
  schedule: kind.choice,
  monitor: kind.string,
  metrics: kind.object,
  accumulate: kind.integer,
  clipGradNorm: kind.number,
  skipNonFinite: kind.flag,
  validation: kind.object,
  ...batchKinds,
  callbacks: kind.object,
  checkpoint: kind.string,
  checkpointEvery: kind.integer,
  resume: kind.flag,
  handleInterrupt: kind.flag,
  generator: kind.generator,
});

/** What `fit` gives. */
export interface FitResult {
  /** The results of all epochs, those before a resumption included. */
  readonly history: readonly EpochResult[];
  /** Whether training ended before its last epoch: by `stop()`, or SIGINT. */
  readonly isInterrupted: boolean;
  /** The signal that has interrupted the run, where one has. */
  readonly signal: StopSignal | null;
}

interface Bytes {
  dtype: 'uint8';
  shape: number[];
  data: Uint8Array;
}

/** Of a generator: its state when the epoch's order was drawn, and now. */
interface GeneratorStates {
  atEpoch: Bytes;
  now: Bytes;
}

interface Saved {
  position: Position;
  /** Per generator. */
  generators: GeneratorStates[];
  averages: AveragesState;
  /** The same of the further ranks, where several have trained together. */
  otherRanks?: { generators: GeneratorStates[]; averages: AveragesState }[];
  /** Samples of a batch, of each rank, where the loader says it. */
  batchSize?: number;
  seconds: number;
  history: EpochResult[];
  notes: Record<string, unknown>;
  updates?: { taken: number; skipped: number };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

function isGeneratorState(value: unknown): boolean {
  const bytes = generatorStateOf(value);
  try {
    return bytes !== null && new Generator().setState(bytes) !== null;
  } catch (error) {
    if (error instanceof EvenkeelError) return false;
    throw error;
  }
}

const areNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'number');
const areCounts = (value: unknown): boolean =>
  isObject(value) && areNumbers(value.shape) && areNumbers(value.values) && value.values.length === sizeOf(value.shape);
const areSums = (value: unknown): boolean =>
  isObject(value) &&
  isCount(value.samples) &&
  isObject(value.sums) &&
  areNumbers(Object.values(value.sums)) &&
  (value.counts === undefined || (isObject(value.counts) && Object.values(value.counts).every(areCounts)));

/** Why a run cannot go on from what a checkpoint holds, or null. */
function problemOfSaved(saved: unknown, generators: number): string | null {
  if (!isObject(saved) || !isObject(saved.position))
    return 'it was not written by fit: it holds no position in training';
  const { position, averages, seconds, history, notes, updates, otherRanks = [], batchSize } = saved;
  const states = Array.isArray(saved.generators) ? saved.generators : [];
  if (states.length !== generators)
    return `expected the states of ${generators} generators, it holds ${states.length}: was the loader given another generator?`;
  const areSound = (each: unknown): boolean =>
    Array.isArray(each) &&
    each.length === generators &&
    each.every((state) => isObject(state) && isGeneratorState(state.atEpoch) && isGeneratorState(state.now));
  const isSound =
    isCount(position.epoch) &&
    isCount(position.step) &&
    areSound(states) &&
    Array.isArray(otherRanks) &&
    otherRanks.every((other) => isObject(other) && areSound(other.generators) && areSums(other.averages)) &&
    areSums(averages) &&
    (batchSize === undefined || (isCount(batchSize) && batchSize !== 0)) &&
    typeof seconds === 'number' &&
    Array.isArray(history) &&
    history.every((result) => isObject(result) && isCount(result.epoch) && isObject(result.train)) &&
    isObject(notes) &&
    (updates === undefined || (isObject(updates) && isCount(updates.taken) && isCount(updates.skipped)));
  return isSound ? null : 'what it says of the position in training is not what fit writes';
}

const toBytes = (data: Uint8Array): Bytes => ({ dtype: 'uint8', shape: [data.length], data });

/** Batches per epoch; null where the loader cannot know, as over a stream. */
function lengthOf(loader: AnyFitOptions['loader']): number | null {
  try {
    return loader.length ?? null;
  } catch (error) {
    if (error instanceof EvenkeelError) return null;
    throw error;
  }
}

/** Options of any batches; what they are is the user's functions' business. */
type AnyFitOptions = FitOptions<unknown, unknown, unknown>;

class Training implements Run {
  readonly model: Module;
  readonly options: AnyFitOptions;
  readonly position: Position = { epoch: 0, step: 0 };
  readonly epochs: number;
  readonly history: EpochResult[] = [];
  readonly notes: Record<string, unknown> = {};
  averages: Averages;
  isInterrupted = false;
  readonly stepsPerEpoch: number | null;
  private readonly ranks: Ranks;
  private readonly generators: readonly Generator[];
  private readonly parts: CheckpointParts;
  /** The generators as they were when the epoch's order was drawn: resuming draws the same order again. */
  private atEpoch: Uint8Array[];
  private lastSaved = '';
  private secondsBefore = 0;
  private startedAt = 0;
  private breathedAt = 0;
  /** Updates of this epoch. */
  private updates = { taken: 0, skipped: 0 };
  /** With `skipNonFinite`, from the beginning of training to its end. */
  staged: StagedStatistics | null = null;

  constructor(model: Module, options: AnyFitOptions) {
    this.model = model;
    this.options = options;
    this.averages = new Averages(options.metrics);
    this.ranks = new Ranks(model);
    this.epochs = options.epochs;
    this.stepsPerEpoch = lengthOf(options.loader);
    if (this.ranks.worldSize > 1 && this.stepsPerEpoch === null && (options.accumulate ?? 1) > 1)
      throw new ValueError('[fit] accumulate over several ranks needs a loader that knows its length');
    const others = [options.generator, options.loader.generator].filter((generator) => generator !== undefined);
    this.generators = [...new Set([defaultGenerator, ...others])];
    this.atEpoch = this.generatorStates();
    this.parts = { model: this.ranks.model, optimizer: options.optimizer, scheduler: options.scheduler };
  }

  /** Lets bad steps be skipped, on all ranks or on none. */
  stage(): void {
    this.staged = stageStatistics(this.ranks.model, this.options.optimizer);
    this.staged.agree = (isPermitted) => !this.ranks.any('updates', !isPermitted);
  }

  private generatorStates(): Uint8Array[] {
    return this.generators.map((generator) => generator.getState());
  }

  private setGenerators(states: readonly Uint8Array[]): void {
    for (const [i, generator] of this.generators.entries()) generator.setState(states[i]);
  }

  stop(): void {
    this.isInterrupted = true;
  }

  private get batchSize(): number | null {
    return this.options.loader.batchSize ?? null;
  }

  get optimizer(): AnyOptimizer {
    return this.options.optimizer;
  }
  get rank(): number {
    return this.ranks.rank;
  }
  get worldSize(): number {
    return this.ranks.worldSize;
  }

  private get seconds(): number {
    return this.secondsBefore + (performance.now() - this.startedAt) / 1000;
  }

  save(): void {
    const { checkpoint } = this.options;
    if (!checkpoint) return;
    this.refuseNonFiniteState();
    if (this.position.step > 0) this.ranks.shareStatistics();
    const averages = this.ranks.averagesOfEach(this.averages).map((each) => each.state());
    const generators = this.generatorsOfAll();
    const otherRanks = generators.slice(1).map((each, i) => ({ generators: each, averages: averages[i + 1] }));
    const saved: Saved = {
      position: { ...this.position },
      generators: generators[0],
      averages: averages[0],
      ...(otherRanks.length > 0 ? { otherRanks } : {}),
      ...(this.batchSize === null ? {} : { batchSize: this.batchSize }),
      // Between epochs there is evaluation, which is no part of either.
      seconds: this.position.step > 0 ? this.seconds : 0,
      history: this.history,
      notes: this.notes,
      updates: this.updates,
    };
    if (this.rank === 0) saveCheckpoint(checkpoint, this.parts, saved as never);
    this.lastSaved = checkpoint;
  }

  /** The states of the generators of every rank. */
  private generatorsOfAll(): GeneratorStates[][] {
    const now = this.generatorStates();
    const own = now.flatMap((state, i) => [this.atEpoch[i], state]);
    const lengths = own.map(({ length }) => length);
    const all = this.ranks.bytesOfAll('states of generators', Buffer.concat(own));
    return all.map((bytes) => {
      let from = 0;
      const parts = lengths.map((length) => toBytes(bytes.slice(from, (from += length))));
      return now.map((_, i) => ({ atEpoch: parts[2 * i], now: parts[2 * i + 1] }));
    });
  }

  resume(): void {
    const { checkpoint, resume } = this.options;
    if (!checkpoint) return;
    const { existsSync } = nodeModule('fit', 'fs');
    const isThere = existsSync(checkpoint) || existsSync(`${checkpoint}.previous`);
    if (resume && isThere) this.load(checkpoint);
    const { epoch, step } = this.position;
    const from = resume && isThere ? `going on from epoch ${epoch + 1}, step ${step}` : 'no checkpoint';
    if (resume) this.ranks.requireSame('fit', 'the checkpoint', from);
  }

  private load(checkpoint: string): void {
    const { extra, path, problem } = loadCheckpoint(checkpoint, this.parts, (found, source) => {
      const reason = problemOfSaved(found, this.generators.length);
      if (reason) throw new CheckpointError('fit', source, reason);
    });
    const saved = extra as unknown as Saved;
    if (problem) warn(`[fit] ${problem.path}: ${problem.reason}; resuming from the one before it, ${path}`);
    Object.assign(this.position, saved.position);
    const ofRanks = [saved, ...(saved.otherRanks ?? [])];
    const isSameNumber = ofRanks.length === this.worldSize;
    if (!isSameNumber) this.position.step = this.stepOf(saved, ofRanks.length);
    const { generators } = ofRanks[this.rank % ofRanks.length];
    this.atEpoch = generators.map(({ atEpoch }) => atEpoch.data);
    this.setGenerators(generators.map(({ now }) => now.data));
    // Ranks that were not there before must not draw what another one draws.
    if (this.rank >= ofRanks.length)
      for (const generator of this.generators) generator.manualSeed(generator.random32() + this.rank);
    if (isSameNumber) this.averages.load(ofRanks[this.rank].averages);
    else if (this.rank === 0) for (const { averages } of ofRanks) this.averages.addAll(averages);
    this.secondsBefore = saved.seconds;
    this.history.push(...saved.history);
    Object.assign(this.notes, saved.notes);
    Object.assign(this.updates, saved.updates);
    this.lastSaved = checkpoint;
  }

  /** The step of the epoch by which this number of ranks has seen as many samples as that of a checkpoint had. */
  private stepOf({ position: { epoch, step }, batchSize }: Saved, ranksThen: number): number {
    const then = ranksThen * (batchSize ?? 1);
    const now = this.worldSize * (batchSize === undefined ? 1 : (this.batchSize ?? batchSize));
    if ((step * then) % now !== 0)
      warn(
        `[fit] ${step} steps of epoch ${epoch + 1} were taken by ${ranksThen} ranks, and ${this.worldSize} cannot take up exactly there: some samples are seen twice`,
      );
    return Math.floor((step * then) / now);
  }

  async run(): Promise<void> {
    while (this.position.epoch < this.epochs && !this.isInterrupted) {
      this.startedAt = performance.now();
      await this.each('onEpochBegin');
      await this.epoch();
      if (this.isInterrupted && this.position.step > 0) {
        this.save();
        return;
      }
    }
  }

  private async epoch(): Promise<void> {
    const { loader, optimizer, scheduler, schedule = 'epoch', accumulate = 1, checkpointEvery } = this.options;
    this.model.train();
    // The order of the epoch is drawn from the state in which it began; then the draws made since are caught up with.
    const done = this.position.step;
    const now = this.generatorStates();
    if (done > 0) this.setGenerators(this.atEpoch);
    else this.atEpoch = now;
    let skipped = 0;
    let isCut = false;
    if (done === 0) optimizer.zeroGrad();
    loader.setEpoch?.(this.position.epoch);
    for await (const batch of loader) {
      if (skipped < done) {
        if (++skipped === done) this.setGenerators(now);
        continue;
      }
      scope(() => this.step(batch));
      this.position.step++;
      for (const callback of this.options.callbacks ?? []) callback.onStepEnd?.(this);
      if (this.position.step % accumulate === 0 && checkpointEvery && this.position.step % checkpointEvery === 0)
        this.save();
      await this.breathe();
      // A signal, or a callback, may have reached one rank alone.
      if (this.position.step % accumulate === 0) {
        isCut = this.isInterrupted = this.ranks.any('the end of the run', this.isInterrupted);
        if (isCut) break;
      }
    }
    if (this.position.step === 0) throw new ValueError('[fit] the loader gave no batches');
    if (isCut && this.position.step !== this.stepsPerEpoch) return;
    // The loader ended within a group of batches without having told its length: their losses were divided by the whole
    // group's size.
    const left = this.position.step % accumulate;
    if (this.stepsPerEpoch === null && left > 0) {
      for (const parameter of this.model.parameters()) noGrad(() => parameter.peekGrad()?.mul_(accumulate / left));
      this.update();
    }
    const { taken, skipped: skippedUpdates } = this.updates;
    if (taken === 0 && skippedUpdates > 0)
      throw new NonFiniteLossError(
        `[fit] all ${skippedUpdates} updates of epoch ${this.position.epoch + 1} were skipped, because of NaN or infinite losses or gradients; ${this.lastGood}.`,
        '',
      );
    const { seconds } = this;
    this.averages = this.ranks.averagesOfAll(this.averages);
    const validation = await this.validate();
    const result: EpochResult = {
      epoch: this.position.epoch + 1,
      seconds,
      samples: this.averages.samples,
      train: this.averages.all(),
      ...(validation ? { validation } : {}),
      ...(skippedUpdates > 0 ? { skipped: skippedUpdates } : {}),
    };
    if (scheduler instanceof ReduceLROnPlateau) scheduler.step(figureOf('fit', result, this.options.monitor ?? 'loss'));
    else if (schedule === 'epoch') scheduler?.step();
    this.updates = { taken: 0, skipped: 0 };
    this.history.push(result);
    this.position.epoch++;
    this.position.step = 0;
    this.averages = new Averages(this.options.metrics);
    this.secondsBefore = 0;
    this.startedAt = performance.now();
    this.ranks.shareStatistics();
    await asyncScope(async () => this.each('onEpochEnd', result));
    this.save();
  }

  /** Loss and metrics over the validation loader, if there is one. */
  private async validate(): Promise<Record<string, number> | null> {
    const { validation, loss, metrics, inputs, target, prepare } = this.options;
    if (!validation) return null;
    return asyncScope(() => evaluate(this.model, validation, { loss, metrics, inputs, target, prepare }));
  }

  private step(batch: unknown): void {
    const { loss: lossOf, accumulate = 1 } = this.options;
    const { inputs, target, samples } = partsOf('fit', batch, this.options);
    const { step } = this.position;
    const total = this.stepsPerEpoch ?? Infinity;
    const group = Math.min(accumulate, total - (step - (step % accumulate)));
    const isUpdate = (step + 1) % accumulate === 0 || step + 1 === total;
    const [output, value, isGood] = this.ranks.keeping(!isUpdate, () => {
      const output: unknown = this.model(...inputs);
      const loss = lossOf(output, target);
      const value = loss.item();
      const isGood = Number.isFinite(value);
      if (!isGood && !this.staged) this.refuse(value, inputs);
      // Where one rank has a bad loss, no rank goes backward.
      const isGoodEverywhere = this.staged ? !this.ranks.any('losses', !isGood) : isGood;
      this.staged?.observe(value);
      if (isGoodEverywhere) (group > 1 ? loss.div(group) : loss).backward();
      return [output, value, isGoodEverywhere];
    });
    if (isUpdate) this.update();
    if (!isGood) return;
    this.averages.addBatch({ loss: value }, output, target, samples);
  }

  private update(): void {
    const { optimizer, scheduler, schedule, clipGradNorm: maxNorm } = this.options;
    if (maxNorm !== undefined) clipGradNorm(this.model.parameters(), maxNorm);
    for (const callback of this.options.callbacks ?? []) callback.onBeforeUpdate?.(this);
    const before = this.staged?.skippedSteps ?? 0;
    optimizer.step();
    optimizer.zeroGrad();
    if ((this.staged?.skippedSteps ?? 0) > before) this.updates.skipped++;
    else this.updates.taken++;
    if (schedule === 'step' && !(scheduler instanceof ReduceLROnPlateau)) scheduler?.step();
  }

  /** Lets timers and signals run now and then: awaiting a synchronous loader alone never leaves the microtask queue. */
  private async breathe(): Promise<void> {
    const now = performance.now();
    if (now - this.breathedAt < 50) return;
    await new Promise((resume) => setTimeout(resume, 0));
    this.breathedAt = performance.now();
  }

  private refuse(value: number, inputs: readonly unknown[]): never {
    const { layer, cause } = this.ranks.explain(inputs);
    const where = `epoch ${this.position.epoch + 1}, step ${this.position.step + 1}`;
    const norms =
      batchNorms(this.ranks.model).length > 0 ? '; running statistics of batch norms may have taken in this batch' : '';
    throw new NonFiniteLossError(
      `[fit] the loss${this.ranks.place} is ${value} at ${where}: ${cause}. Parameters were not updated with it${norms}; ${this.lastGood}.`,
      layer,
    );
  }

  /** A finite loss may have had an infinite gradient: such a state must not replace a good checkpoint. */
  private refuseNonFiniteState(): void {
    const found = firstNonFinite(this.ranks.model);
    if (!found) return;
    // At the end of an epoch the position already stands at the next one.
    const { epoch, step } = this.position;
    const when = step > 0 ? `epoch ${epoch + 1}, step ${step}` : `epoch ${epoch}`;
    throw new NonFiniteLossError(
      `[fit] ${found.kind} '${found.name}'${this.ranks.place} holds NaN or infinity after ${when}, though the loss was finite; this state was not saved; ${this.lastGood}.`,
      layerOf(found.name),
    );
  }

  private get lastGood(): string {
    return this.lastSaved ? `the last good checkpoint is ${this.lastSaved}` : 'no checkpoint was written yet';
  }

  async each(
    station: 'onTrainBegin' | 'onEpochBegin' | 'onEpochEnd' | 'onTrainEnd',
    result?: EpochResult,
  ): Promise<void> {
    for (const callback of this.options.callbacks ?? []) await callback[station]?.(this, result as EpochResult);
  }
}

/**
 * Refuses an optimizer that has none of the model's parameters. One with a part of them, or with others beside them, is
 * accepted.
 */
function requireOptimizerOf(model: Module, optimizer: AnyOptimizer): void {
  const own = new Set<Tensor>(model.parameters());
  const held = optimizer.paramGroups.flatMap(({ params }) => params);
  if (own.size > 0 && !held.some((parameter) => own.has(parameter)))
    throw new ValueError(
      `[fit] expected an optimizer of the model's parameters, got one of ${held.length} others: was the model copied, converted or made anew after its optimizer?`,
    );
}

function check(model: Module, options: AnyFitOptions): void {
  requireOptions('fit', options, fitOptions);
  const { epochs, accumulate = 1, checkpointEvery, checkpoint, resume } = options;
  requireInteger('fit', 'accumulate', accumulate, 1);
  if (checkpointEvery !== undefined) requireInteger('fit', 'checkpointEvery', checkpointEvery, 1);
  requireInteger('fit', 'epochs', epochs, 0);
  if (options.schedule !== undefined) requireChoice('fit', 'schedule', options.schedule, ['epoch', 'step']);
  const maxNorm = options.clipGradNorm;
  if (maxNorm !== undefined && !(requireNumber('fit', 'clipGradNorm', maxNorm) >= 0))
    throw new ValueError(`[fit] expected clipGradNorm of at least 0, got ${maxNorm}`);
  requireOptimizerOf(model, options.optimizer);
  const { scheduler, schedule, monitor = 'loss', metrics = {} } = options;
  const known = watchable(Object.keys(metrics), options.validation !== undefined);
  if (!known.includes(monitor))
    throw new ValueError(`[fit] expected monitor to be one of ${known.join(', ')}, got ${shown(monitor)}`);
  if (scheduler instanceof ReduceLROnPlateau && schedule === 'step')
    throw new ValueError("[fit] ReduceLROnPlateau looks at an epoch's averages: it cannot step after each update");
  if ((resume || checkpointEvery) && !checkpoint)
    throw new ValueError('[fit] resume and checkpointEvery need the option checkpoint, a file');
  if (checkpointEvery && checkpointEvery % accumulate !== 0)
    throw new ValueError(
      `[fit] expected checkpointEvery to be a multiple of accumulate (${accumulate}), got ${checkpointEvery}: gradients between are not saved`,
    );
}

/**
 * Trains a model on a loader.
 *
 * Batches are arrays [...inputs, target]; what has another form is taken apart by `inputs` and `target`. Per batch:
 * forward, loss, backward, update; inside a scope, so that memory stays flat. A NaN or infinite loss stops
 * training before it reaches the parameters; with `skipNonFinite` only its batch is passed over. With `checkpoint`,
 * model, optimizer, scheduler, generator and position are saved, and `resume` goes on bit for bit as if nothing had
 * happened.
 *
 * With a `DistributedDataParallel` every rank calls it, with a loader of its own part of the samples
 * (`DistributedSampler`, which is told the epochs). Averages and results are those of all ranks; a request to stop on
 * one rank stops all; running statistics are merged before callbacks at the end of an epoch and before checkpoints
 * (`syncBuffers`), which the first rank writes and every rank must be able to read. A checkpoint holds the model
 * itself: one process, or another number of ranks, can go on from it.
 *
 * @throws NonFiniteLossError naming the layer and the last good checkpoint; CheckpointError where neither the
 * checkpoint nor the one before it can be read; AtomicWriteError where one cannot be written; ValueError on impossible
 * options.
 * @example
 * await fit(model, { loader, loss: crossEntropy, optimizer: new SGD(model.parameters(), { lr: 0.1 }), epochs: 10, metrics: { accuracy } });
 */
export async function fit<Batch = readonly Tensor[], Output = Tensor, Target = Tensor>(
  model: Module,
  options: FitOptions<Batch, Output, Target>,
): Promise<FitResult> {
  // What loss and metrics take is what the model and the loader give, which nobody can know here.
  const given = options as unknown as AnyFitOptions;
  check(model, given);
  const training = new Training(model, given);
  training.resume();
  if (options.skipNonFinite) training.stage();
  let signal = null as StopSignal | null;
  const endWatch = options.handleInterrupt
    ? watchSignals((which) => {
        signal = which;
        training.stop();
      })
    : null;
  try {
    await training.each('onTrainBegin');
    await training.run();
  } finally {
    training.staged?.dispose();
    endWatch?.();
    await training.each('onTrainEnd');
  }
  return { history: training.history, isInterrupted: training.isInterrupted, signal };
}
