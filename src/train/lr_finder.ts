// lrFinder: a sweep over learning rates, from which one is chosen before training begins.
import { noGrad } from '../autograd/grad_mode.ts';
import { requireFinite, requireInteger } from '../checks.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { withModes } from '../nn/modes.ts';
import type { Module } from '../nn/module.ts';
import { isUninitialized } from '../nn/uninitialized.ts';
import type { OptimizerStateDict } from '../optim/optimizer.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';
import { defaultGenerator, type Generator } from '../tensor/random/index.ts';
import { scope } from '../tensor/scope.ts';
import { outsideScopes } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { type Batches, type BatchOptions, batchKinds, partsOf } from './batches.ts';
import type { AnyOptimizer } from './checkpoint.ts';
import type { LossFunction } from './evaluate.ts';
import { Averages } from './metrics.ts';
import { Ranks } from './ranks.ts';

/** Options of `lrFinder`. Without default: `loader`, `loss`, `optimizer`. */
export interface LrFinderOptions<Batch = readonly Tensor[], Output = Tensor, Target = Tensor>
  extends BatchOptions<Batch, Target> {
  /** Batches, as for `fit`; it begins anew where it ends before the sweep. */
  loader: Batches<Batch> & { readonly generator?: Generator | undefined };
  /** What is minimized. */
  loss: LossFunction<Output, Target>;
  /** What moves the parameters. */
  optimizer: AnyOptimizer;
  /** The rate of the first step. Default: 1e-7. */
  minLr?: number;
  /** The rate of the last step. Default: 10. */
  maxLr?: number;
  /** How many steps there are, at least 2. Default: 100. */
  steps?: number;
  /** The sweep ends where the loss, smoothed, is so many times its least value; above 1. Default: 4. */
  stopAt?: number;
}
const lrFinderOptions = declareOptions<LrFinderOptions>({
  loader: required(kind.object),
  loss: required(kind.function),
  optimizer: required(kind.object),
  minLr: kind.number,
  maxLr: kind.number,
  steps: kind.integer,
  stopAt: kind.number,
  ...batchKinds,
});

/** What `lrFinder` has seen. */
export interface LrSweep {
  /** The rate of each step that was taken. */
  readonly lrs: readonly number[];
  /** The loss at each of them, before the step. */
  readonly losses: readonly number[];
  /** The same, smoothed: an exponential average with weight 0.98, corrected for its beginning. */
  readonly smoothed: readonly number[];
  /** The middle of the longest fall of the smoothed loss; null where the sweep was too short to say. */
  readonly suggestion: number | null;
}

const smoothing = 0.98;
/**
 * The middle of the longest fall: of the longest subsequence in which each value is less than the one before it. Null
 * where nothing falls. Source: fastai, `valley` in `callback/schedule.py`.
 */
export function valley(values: readonly number[]): number | null {
  const lengths = values.map(() => 1);
  let end = 0;
  for (const [i, value] of values.entries()) {
    for (let j = 0; j < i; j++) if (value < values[j]) lengths[i] = Math.max(lengths[i], lengths[j] + 1);
    if (lengths[i] > lengths[end]) end = i;
  }
  const length = lengths[end] ?? 1;
  if (length < 2) return null;
  const third = length / 3;
  return end - length + Math.floor(third) + Math.floor(third / 2);
}

/** A state whose tensors have memory of their own. */
function copyOfState(state: OptimizerStateDict): OptimizerStateDict {
  const copy = (value: unknown): unknown => {
    if (value instanceof Tensor) return value.clone();
    if (Array.isArray(value)) return value.map(copy);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copy(each)]));
  };
  return copy(state) as OptimizerStateDict;
}

/** Remembers model, optimizer and generators; what it returns puts them back. */
function remembered(model: Module, optimizer: AnyOptimizer, generators: readonly Generator[]): () => void {
  const copies = outsideScopes(() =>
    noGrad(() => ({
      tensors: [...model.parameters(), ...model.buffers()].map((tensor) => [tensor, tensor.clone()] as const),
      state: copyOfState(optimizer.stateDict()),
    })),
  );
  const { stepCount } = optimizer;
  const states = generators.map((generator) => generator.getState());
  return () => {
    noGrad(() => {
      for (const [tensor, before] of copies.tensors) tensor.copy_(before);
    });
    optimizer.zeroGrad();
    optimizer.loadStateDict(copies.state);
    Object.assign(optimizer, { stepCount });
    for (const [i, generator] of generators.entries()) generator.setState(states[i]);
  };
}

/**
 * Trains for some steps while the learning rate rises exponentially from `minLr` to `maxLr`, and tells what the loss
 * did (Smith 2017; fastai: `lr_find`). Parameters, buffers, the optimizer, modes and random numbers are put
 * back afterwards, also after an error; gradients are given up.
 *
 * All groups have the same rate in the sweep. `suggestion` is the middle of the longest fall of the smoothed loss, as
 * fastai finds it: a good rate to begin with. With a `DistributedDataParallel` every rank calls it, and the losses are
 * means over all of them.
 * @throws ValueError on options outside their domain, and where the loader gives no batches; RuntimeError where layers
 * are lazy and have no sizes yet.
 * @example
 * const { suggestion } = await lrFinder(model, { loader, loss: crossEntropy, optimizer, steps: 20 });
 * if (suggestion !== null) for (const group of optimizer.paramGroups) group.lr = suggestion;
 */
export async function lrFinder<Batch = readonly Tensor[], Output = Tensor, Target = Tensor>(
  model: Module,
  options: LrFinderOptions<Batch, Output, Target>,
): Promise<LrSweep> {
  requireOptions('lrFinder', options as unknown as LrFinderOptions, lrFinderOptions);
  const { loader, loss: lossOf, optimizer, minLr = 1e-7, maxLr = 10, steps = 100, stopAt = 4 } = options;
  requireInteger('lrFinder', 'steps', steps, 2);
  for (const [name, value] of Object.entries({ minLr, maxLr, stopAt })) requireFinite('lrFinder', name, value);
  if (!(minLr > 0 && maxLr > minLr))
    throw new ValueError(`[lrFinder] expected 0 < minLr < maxLr, got minLr ${minLr} and maxLr ${maxLr}`);
  if (!(stopAt > 1)) throw new ValueError(`[lrFinder] expected stopAt above 1, got ${stopAt}`);
  if (model.parameters().some(isUninitialized))
    throw new RuntimeError('[lrFinder] the model has lazy layers without sizes; call it once with a batch before');
  const ranks = new Ranks(model);
  const generators = [...new Set([defaultGenerator, ...(loader.generator ? [loader.generator] : [])])];
  const [lrs, losses, smoothed]: number[][] = [[], [], []];
  let [average, least] = [0, Infinity];

  const take = (batch: Batch): boolean => {
    const lr = minLr * (maxLr / minLr) ** (losses.length / (steps - 1));
    for (const group of optimizer.paramGroups) group.lr = lr;
    const { inputs, target, samples } = partsOf('lrFinder', batch, options);
    optimizer.zeroGrad();
    const loss = lossOf(model(...inputs) as Output, target as Target);
    const own = new Averages();
    own.add({ loss: loss.item() }, samples);
    const value = ranks.averagesOfAll(own).get('loss');
    if (!Number.isFinite(value)) return false;
    lrs.push(lr);
    losses.push(value);
    average = smoothing * average + (1 - smoothing) * value;
    smoothed.push(average / (1 - smoothing ** losses.length));
    if (losses.length > 1 && smoothed.at(-1)! > stopAt * least) return false;
    least = Math.min(least, smoothed.at(-1)!);
    loss.backward();
    optimizer.step();
    return losses.length < steps;
  };

  const restore = remembered(ranks.model, optimizer, generators);
  try {
    await withModes(
      ranks.model,
      () => ranks.model.train(),
      async () => {
        for (let goesOn = true; goesOn; ) {
          let isEmpty = true;
          for await (const batch of loader) {
            isEmpty = false;
            goesOn = scope(() => take(batch));
            if (!goesOn) break;
          }
          if (isEmpty) throw new ValueError('[lrFinder] the loader gave no batches');
        }
      },
    );
  } finally {
    restore();
  }
  // At the beginning the average knows too little, and at the end the loss rises.
  const first = Math.floor(steps / 10);
  const best = valley(smoothed.slice(first, -5));
  return { lrs, losses, smoothed, suggestion: best === null ? null : lrs[Math.max(0, first + best)] };
}
