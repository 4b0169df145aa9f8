// Control over which statistics batch norms use and move, for the duration of a function: modes, named sets,
// micro-batches. The decision itself, which combines all of these, is in statistics_control.ts.
import { KeyError, ValueError } from '../../../errors.ts';
import type { Module } from '../../module.ts';
import { BatchNormBase } from '../batch_norm.ts';
import { asking, type StatisticsMode } from './statistics_control.ts';

/** Batch norms of a module by name. */
export const batchNorms = (module: Module): [string, BatchNormBase][] =>
  [...module.namedModules()].filter((entry): entry is [string, BatchNormBase] => entry[1] instanceof BatchNormBase);
const layers = (module: Module): BatchNormBase[] => batchNorms(module).map(([, norm]) => norm);

const modes: readonly StatisticsMode[] = ['batch', 'running', 'frozen'];

/**
 * Runs `fn` while all batch norms of a module normalize in one way, whatever their modes: by the `'batch'`, by the
 * `'running'` statistics, or as `'frozen'`, that is by the running ones and with weight and bias as constants. Running
 * statistics and counters do not move. All is as before when `fn` has returned or thrown, or its promise has settled;
 * other work that runs meanwhile is covered too.
 *
 * In a GAN, D's batch norms must not learn from a step of G, nor a sampler from its own samples (ganhacks#52,
 * DCGAN-tensorflow#266, pytorch/examples#804); setting modes layer by layer for that is forgotten or not undone.
 * @throws ValueError on another mode.
 * @example
 * const y1 = withStatistics(model, 'batch', () => model(images)); // and nothing has moved
 */
export function withStatistics<R>(module: Module, mode: StatisticsMode, fn: () => R): R {
  if (!modes.includes(mode))
    throw new ValueError(`[withStatistics] expected 'batch', 'running' or 'frozen', got '${String(mode)}'`);
  return asking(layers(module), 'mode', mode, fn);
}

/**
 * Adds named running statistics to all batch norms of a module that track them, for data of another domain: weight and
 * bias are shared, mean, variance and counter are not. They begin as the present ones, with a counter of 0. Returns the
 * names of the layers.
 *
 * State dicts then have them too, as `running_mean_NAME`, `running_var_NAME`, `num_batches_tracked_NAME`; loading such
 * a state dict into a model without them adds them. One set for two domains describes neither (Li et al. 2018, AdaBN;
 * Chang et al. 2019, domain-specific batch norm; self-ensemble-visual-domain-adapt#3, adamatch#1, cotta#17).
 * @throws ValueError where the name is no identifier, KeyError where it is taken.
 * @example
 * addStatistics(model, 'sketch');
 * const y1 = useStatistics(model, 'sketch', () => model(images));
 */
export function addStatistics(module: Module, name: string): string[] {
  if (!/^[A-Za-z]\w*$/.test(name))
    throw new ValueError(`[addStatistics] expected a name of letters, digits and underscores, got '${name}'`);
  const tracking = batchNorms(module).filter(
    ([, norm]) => norm.runningMean && norm.runningVar && norm.numBatchesTracked,
  );
  const taken = tracking.find(([, norm]) => norm.hasStatistics(name));
  if (taken) throw new KeyError(`[addStatistics] statistics '${name}' already exist in '${taken[0]}'`);
  for (const [, norm] of tracking) norm.registerStatistics(name);
  return tracking.map(([path]) => path);
}

/**
 * Runs `fn` while the batch norms of a module use, and in training mode move, the running statistics of a name given to
 * `addStatistics`, or their own with null. Undone when `fn` has returned or thrown, or its promise has settled.
 * @throws KeyError where a batch norm that tracks statistics has none of that name.
 */
export function useStatistics<R>(module: Module, name: string | null, fn: () => R): R {
  const tracking = batchNorms(module).filter(([, norm]) => norm.runningMean || norm.runningVar);
  const missing = name === null ? undefined : tracking.find(([, norm]) => !norm.hasStatistics(name));
  if (missing)
    throw new KeyError(
      `[useStatistics] '${missing[0]}' (${missing[1].constructor.name}) has no statistics '${name}'; addStatistics(model, '${name}') adds them`,
    );
  return asking(
    tracking.map(([, norm]) => norm),
    'set',
    name,
    fn,
  );
}

/**
 * Runs `fn`, in which a batch goes through the module in `count` parts, with a momentum for which the parts together
 * weigh as one batch: 1 − (1 − momentum)^(1/count). The counter still counts parts, and a momentum of null, the plain
 * average, needs no correction.
 *
 * In PyTorch `count` parts move the running statistics `count` times (pytorch#46516, keras#16633). For the statistics
 * of the whole batch, not only their weight, see `accumulate` in evenkeel/train.
 * @throws ValueError unless `count` is a positive integer.
 * @example
 * withMicroBatches(model, 2, () => {
 *   for (const part of images.chunk(2)) model(part).sum().backward();
 * });
 */
export function withMicroBatches<R>(module: Module, count: number, fn: () => R): R {
  if (!Number.isInteger(count) || count < 1)
    throw new ValueError(`[withMicroBatches] expected a positive integer, got ${count}`);

  return asking(layers(module), 'microBatches', count, fn);
}
