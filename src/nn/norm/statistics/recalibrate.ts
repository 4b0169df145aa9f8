// Running statistics computed anew from data, at fixed weights: PyTorch's way, and the exact one. Loaders are any
// iterables of batches. Not here: statistics that move while a model trains (norm/batch_norm.ts).
import { noGrad } from '../../../autograd/grad_mode.ts';
import { worldOfJob } from '../../../distributed/process_group.ts';
import { RuntimeError, ValueError } from '../../../errors.ts';
import type { BatchStatistics } from '../../../launch/batch_norm.ts';
import { cast, clone } from '../../../ops/convert.ts';
import { add, div } from '../../../ops/elementwise.ts';
import { overwrite } from '../../../ops/in_place.ts';
import { batchNormCombine, combineRows } from '../../../ops/norm/batch_norm_given.ts';
import type { ProcessGroup } from '../../../ops/norm/process_group.ts';
import { sum } from '../../../ops/reduce.ts';
import { cat, narrow } from '../../../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../../../options.ts';
import { fromTypedArrayOn } from '../../../tensor/create.ts';
import { scope } from '../../../tensor/scope.ts';
import { outsideScopes } from '../../../tensor/storage.ts';
import { keep, type Tensor } from '../../../tensor/tensor.ts';
import { withModes } from '../../modes.ts';
import type { Module } from '../../module.ts';
import type { BatchNormBase, NormBase } from '../batch_norm.ts';
import { type ChannelShift, type LayerRecalibration, RecalibrationReport } from './recalibration_report.ts';
import { batchNorms } from './statistics.ts';
import { asked, asking, type ControlledLayer, recalibrating } from './statistics_control.ts';

/** Batches that come at once or asynchronously: inputs, or arrays that begin with the input. */
export type InputBatches = Iterable<Tensor | readonly Tensor[]> | AsyncIterable<Tensor | readonly Tensor[]>;

/** Options of `updateBatchNorm`. */
export interface RecalibrationOptions {
  /** Applied to each input before the model, such as a conversion from bytes. Default: none. */
  prepare?: (input: Tensor) => Tensor;
}
const recalibrationOptions = declareOptions<RecalibrationOptions>({ prepare: kind.function });

/** Why a batch norm's running statistics must not change; null if they may. */
function obstacle(norm: BatchNormBase): string | null {
  if (asked(norm, 'frozen')?.statistics) return 'its statistics are frozen';
  const { trackRunningStats, runningMean, runningVar, numBatchesTracked } = norm;
  return trackRunningStats && runningMean && runningVar && numBatchesTracked ? null : 'it does not track statistics';
}

/** One forward without gradients; `then` runs right behind it, before its tensors go. */
function forward(
  model: Module,
  batch: Tensor | readonly Tensor[],
  { prepare }: RecalibrationOptions,
  then?: () => void,
) {
  const input = Array.isArray(batch) ? (batch[0] as Tensor) : (batch as Tensor);
  recalibrating(() =>
    noGrad(() =>
      scope(() => {
        model(prepare ? prepare(input) : input);
        then?.();
      }),
    ),
  );
}

/**
 * Computes the running statistics of all batch norms anew, as plain averages over the batches of a loader (PyTorch:
 * `optim.swa_utils.update_bn`): in training mode, dropout included, each batch weighing the same whatever its size,
 * from statistics that are reset in place, with the counter at the number of batches in the end. Without batch norms
 * the loader is not touched.
 *
 * Other than in PyTorch every module has its own mode and momentum again afterwards, and after an error its statistics
 * too. Frozen layers (`freezeBatchNorm`) stay as they are. Inside `useStatistics` the set in use is computed.
 *
 * The average of batches' variances lacks the variance between batches, and a short last batch counts as a full one:
 * for the statistics of the data there is `preciseBatchNorm`.
 * @example
 * await updateBatchNorm(loader, model);
 */
export async function updateBatchNorm(
  loader: InputBatches,
  model: Module,
  options: RecalibrationOptions = {},
): Promise<void> {
  requireOptions('updateBatchNorm', options, recalibrationOptions);
  const norms = batchNorms(model).flatMap(([, norm]) => (obstacle(norm) ? [] : [norm]));
  if (norms.length === 0) return;
  const before = norms.map(({ momentum, runningMean, runningVar, numBatchesTracked }) => {
    const buffers = [runningMean!, runningVar!, numBatchesTracked!];
    return { momentum, buffers, values: outsideScopes(() => buffers.map(clone)) };
  });
  const run = async () => {
    for (const norm of norms) {
      norm.resetRunningStats();
      norm.momentum = null;
    }
    for await (const batch of loader) forward(model, batch, options);
  };
  try {
    // Statistics move at once: staged ones would wait for an optimizer's step that does not come.
    await asking(norms, 'sink', null, () => withModes(model, () => model.train(), run));
  } catch (error) {
    for (const { buffers, values } of before) for (const [i, buffer] of buffers.entries()) overwrite(buffer, values[i]);
    throw error;
  } finally {
    for (const [i, norm] of norms.entries()) norm.momentum = before[i].momentum;
  }
}

/** Options of `preciseBatchNorm`. */
export interface PreciseOptions extends RecalibrationOptions {
  /**
   * Stops as soon as the mean of every channel is known to this standard error, in units of the channel's standard
   * deviation. (A running mean of momentum 0.1 has 0.23/√n of batches with n independent values.) Only for batches in
   * random order: sorted ones seem to agree. Default: 0, all batches.
   */
  standardError?: number;
  /** How many batches to use at most, on each rank. Default: all. */
  maxBatches?: number;
  /**
   * The processes whose batches count together, such as `worldGroup()`; null: this one alone. In a job of several it
   * must be given: whether all ranks call the function, and whether each has other batches, is not to be guessed.
   */
  group?: ProcessGroup | null;
}
const preciseOptions = declareOptions<PreciseOptions>({
  standardError: kind.number,
  maxBatches: kind.integer,
  group: kind.processGroup,
  ...recalibrationOptions.kinds,
});

/**
 * Below so many batches, their scatter says too little about the error: with b batches it is known to about 1/√(2(b −
 * 1)).
 */
const fewestBatches = 10;

/** Runs `fn` in a scope whose results live on. */
const kept = <R>(fn: () => R): R => outsideScopes(() => scope(fn));

/** What is known so far of the input of one layer, per channel and in float64. */
class Estimate {
  batches = 0;
  total: BatchStatistics | null = null;
  /** The sum of the batches' own M2, without the differences between batches. */
  private within: Tensor | null = null;
  /** The forwards of the present batch. */
  private calls: BatchStatistics[] = [];

  add(batch: BatchStatistics): void {
    // A checkpoint's scope may end before the batch does.
    keep(batch.mean);
    keep(batch.m2);
    this.calls.push(batch);
  }

  endBatch(): void {
    const { calls, total, within } = this;
    if (calls.length === 0) return;
    const batch = batchNormCombine(calls);
    this.total = kept(() => batchNormCombine(total ? [total, batch] : [batch]));
    this.within = kept(() => (within ? add(within, batch.m2) : clone(batch.m2)));
    for (const t of [total?.mean, total?.m2, within, ...calls.flatMap(({ mean, m2 }) => [mean, m2])])
      t?.storage.release();
    this.calls = [];
    this.batches++;
  }

  /** What goes to the other ranks: [count, batches, mean, M2, M2 within batches]; zeros where no batch has come. */
  packed(like: Tensor): Tensor {
    const { backend, size } = like;
    const { count, mean, m2 } = this.total ?? { count: 0, mean: null, m2: null };
    const zero = fromTypedArrayOn(backend, new Float64Array(size), [size]);
    const counts = fromTypedArrayOn(backend, Float64Array.of(count, this.batches), [2]);
    return cat([counts, mean ?? zero, m2 ?? zero, this.within ?? zero]);
  }

  /** Takes what all ranks have found, a row of `packed` each, in the place of this rank's. */
  merge(rows: Tensor, channels: number): void {
    const column = (start: number, length: number) => narrow(rows, 1, start, length);
    const totalOf = (of: Tensor) => (of.dataSync() as Float64Array).reduce((total, value) => total + value, 0);
    const count = totalOf(column(0, 1));
    this.batches = totalOf(column(1, 1));
    if (count === 0) return;
    this.total = kept(() => combineRows(rows, 2, channels, count));
    this.within = kept(() => sum(column(2 + 2 * channels, channels), 0));
  }

  /**
   * The standard error of the mean in units of the standard deviation, of the channel where it is largest; NaN from a
   * single batch.
   *
   * Values of one image are no independent samples, batches are: for b batches of n_b values with means μ_b, of N in
   * all,
   *   error² = Σ n_b(μ_b − μ)² / ((b − 1)·N),  std² = M2/N,  and  Σ n_b(μ_b − μ)² = M2 − Σ M2_b  (Chan et al. 1983).
   */
  async standardError(): Promise<number> {
    if (this.batches < 2) return Number.NaN;
    const [all, within] = await Promise.all([this.total!.m2.data(), this.within!.data()]);
    const errors = Array.from(all as Float64Array, (m2, c) =>
      m2 === 0 ? 0 : Math.sqrt(Math.max(0, m2 - Number(within[c])) / ((this.batches - 1) * m2)),
    );
    return errors.reduce((a, b) => Math.max(a, b), 0);
  }
}

function check({ standardError = 0, maxBatches = Number.POSITIVE_INFINITY }: PreciseOptions) {
  if (!(standardError >= 0))
    throw new ValueError(`[preciseBatchNorm] expected a standardError of 0 or more, got ${standardError}`);
  if (!(Number.isInteger(maxBatches) && maxBatches >= 1) && maxBatches !== Number.POSITIVE_INFINITY)
    throw new ValueError(`[preciseBatchNorm] expected a positive integer as maxBatches, got ${maxBatches}`);
  return { standardError, maxBatches };
}

/** The processes of a job to merge with; null: this one alone. */
function groupOf({ group }: PreciseOptions): ProcessGroup | null {
  const world = worldOfJob();
  if (group === undefined && world && world.worldSize > 1)
    throw new RuntimeError(
      `[preciseBatchNorm] expected a group in a job of ${world.worldSize} ranks: worldGroup(), where every rank calls it with batches of its own, or null for this rank alone`,
    );
  return group && group.worldSize > 1 ? group : null;
}

/** Merges what the ranks know of layers, in one exchange. Returns the number of batches of all. */
function mergeRanks(
  layers: readonly { readonly norm: BatchNormBase; readonly estimate: Estimate }[],
  batches: number,
  group: ProcessGroup,
): number {
  return scope(() => {
    const { backend } = layers[0].norm.runningMean!;
    const head = fromTypedArrayOn(backend, Float64Array.of(batches), [1]);
    const parts = layers.map(({ norm, estimate }) => estimate.packed(norm.runningMean!));
    const rows = group.allGather(cat([head, ...parts]), `preciseBatchNorm of ${layers.length} layers`);
    let at = 1;
    for (const [i, { norm, estimate }] of layers.entries()) {
      estimate.merge(narrow(rows, 1, at, parts[i].size), norm.runningMean!.size);
      at += parts[i].size;
    }
    return (narrow(rows, 1, 0, 1).dataSync() as Float64Array).reduce((total, value) => total + value, 0);
  });
}

/** What an estimate would change in a layer. */
async function compare(
  name: string,
  { runningMean, runningVar, eps }: BatchNormBase,
  estimate: Estimate,
  target: number,
): Promise<LayerRecalibration> {
  const { count, mean, m2 } = estimate.total!;
  const read = async (t: Tensor) => Array.from((await t.data()) as Float64Array, Number);
  const [newMean, newM2, oldMean, oldVariance] = await Promise.all([mean, m2, runningMean!, runningVar!].map(read));
  const fits = (value: number) => Number.isFinite(runningMean!.dtype === 'float32' ? Math.fround(value) : value);
  if (![...newMean, ...newM2.map((value) => value / (count - 1))].every(fits))
    throw new RuntimeError(
      `[preciseBatchNorm] the input of '${name}' is NaN or infinite in some batch, or too large for ${runningMean!.dtype} statistics; those of all layers are as before`,
    );
  const shift = newMean.map((value, c) => Math.abs(value - oldMean[c]) / Math.sqrt(oldVariance[c] + eps));
  const ratio = newM2.map((value, c) => (value / (count - 1) + eps) / (oldVariance[c] + eps));
  const standardError = await estimate.standardError();
  return {
    name,
    channels: newMean.length,
    batches: estimate.batches,
    samples: count,
    shift: rangeOf(shift),
    varianceRatio: rangeOf(ratio),
    standardError,
    isConverged: target > 0 ? standardError <= target : null,
  };
}

const rangeOf = (values: readonly number[]): ChannelShift => ({
  min: values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
  mean: values.reduce((a, b) => a + b, 0) / values.length,
  max: values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
});

/**
 * Computes the running statistics of all batch norms anew as the mean and the unbiased variance of all values that
 * arrive at them from a loader, each value weighing the same, merged in float64 (precise batch norm, Wu & Johnson 2021,
 * section 3; fvcore: `update_bn_stats`, whose variance is biased and cancels where means are large). Returns what has
 * changed.
 *
 * Batch norms go by each batch's statistics meanwhile, as in training, and everything else, such as dropout, is in
 * evaluation mode. A layer that is used several times in a forward gets the statistics of all its inputs together.
 * Frozen layers, and layers that no batch has reached, keep their statistics; the report names them.
 *
 * In a job of several processes `group` says whose batches count together: each rank runs its own, as many as it has,
 * and what they have found is merged at the end in one exchange, so that all have the statistics of all batches, to the
 * bit, and the same report. Processes of a `SyncBatchNorm` must all call it, with as many batches.
 *
 * Modes, momenta and counters are as before when it has ended, and after an error, of the loader too, the statistics
 * are as well, bit for bit.
 *
 * @throws ValueError on options outside their domain and on one value per channel; RuntimeError on values that are not
 * finite, and without `group` in a job of several processes.
 * @example
 * const report = await preciseBatchNorm(model, loader, { maxBatches: 200 });
 * console.log(String(report));
 */
export async function preciseBatchNorm(
  model: Module,
  loader: InputBatches,
  options: PreciseOptions = {},
): Promise<RecalibrationReport> {
  requireOptions('preciseBatchNorm', options, preciseOptions);
  const { standardError, maxBatches } = check(options);
  const group = groupOf(options);
  const named = batchNorms(model).map(([name, norm]) => ({ name, norm, reason: obstacle(norm) }));
  const movable = named.filter(({ reason }) => reason === null);
  const norms = movable.map(({ norm }) => norm);
  const estimates = new Map<ControlledLayer, Estimate>(norms.map((norm) => [norm, new Estimate()]));
  const all = [...estimates.values()];
  // Not by eval(), in which a layer may do more than change its mode.
  const set = () => {
    for (const each of model.modules()) each.training = estimates.has(each as NormBase);
  };
  const isKnown = async () => {
    const reached = all.filter(({ batches }) => batches > 0);
    if (standardError === 0 || reached.length === 0 || reached.some((each) => each.batches < fewestBatches))
      return false;
    const errors = await Promise.all(reached.map((estimate) => estimate.standardError()));
    return errors.every((error) => error <= standardError);
  };
  let batches = 0;
  const run = async () => {
    if (norms.length === 0) return;
    for await (const batch of loader) {
      forward(model, batch, options, () => {
        for (const estimate of all) estimate.endBatch();
      });
      batches++;
      if (batches >= maxBatches || (await isKnown())) return;
    }
  };
  await asking(
    norms,
    'sink',
    ({ layer, batch }) => estimates.get(layer)!.add(batch),
    () => withModes(model, set, run),
  );
  // A SyncBatchNorm has the statistics of all ranks' batches already.
  const own = movable.filter(({ norm }) => norm.isLocal);
  if (group && own.length > 0)
    batches = mergeRanks(
      own.map(({ norm }) => ({ norm, estimate: estimates.get(norm)! })),
      batches,
      group,
    );
  const reached = movable.filter(({ norm }) => estimates.get(norm)!.total);
  const layers: LayerRecalibration[] = [];
  for (const { name, norm } of reached) layers.push(await compare(name, norm, estimates.get(norm)!, standardError));
  for (const { norm } of reached) {
    const { count, mean, m2 } = estimates.get(norm)!.total!;
    const { runningMean, runningVar } = norm;
    scope(() => {
      overwrite(runningMean!, cast(mean, runningMean!.dtype));
      overwrite(runningVar!, cast(div(m2, count - 1), runningVar!.dtype));
    });
  }
  const unchanged = named.flatMap(({ name, norm, reason }) => {
    const why = reason ?? (estimates.get(norm)!.total ? null : 'no batch has reached it');
    return why ? [{ name, reason: why }] : [];
  });
  return new RecalibrationReport(batches, layers, unchanged);
}
