// AveragedModel: a model whose weights are the average of another model's weights over training. Its batch norms get
// their statistics from norm/statistics/recalibrate.ts.

import { noGrad } from '../autograd/grad_mode.ts';
import { requireNumber } from '../checks.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { tensor } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { scope } from '../tensor/scope.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import type { Arguments, Result } from './module_call.ts';
import { declareModules } from './module_call.ts';
import {
  type InputBatches,
  type PreciseOptions,
  preciseBatchNorm,
  type RecalibrationOptions,
  updateBatchNorm,
} from './norm/statistics/recalibrate.ts';
import type { RecalibrationReport } from './norm/statistics/recalibration_report.ts';
import { copyModule } from './surgery/copy_module.ts';

/** Options of `AveragedModel`. */
export interface AveragedModelOptions {
  /**
   * An exponential moving average: average ← decay·average + (1 − decay)·model (PyTorch:
   * `multi_avg_fn=get_ema_multi_avg_fn(decay)`). Default: null, the equal average of all updates (SWA).
   */
  decay?: number | null;
  /**
   * Computes the next average of a tensor from the present average, the model's tensor, and the number of models in the
   * average.
   */
  avgFn?: (averaged: Tensor, current: Tensor, count: number) => Tensor;
  /**
   * Whether buffers are averaged too instead of copied at every update; integer ones, such as counters, are copied.
   * Default: false.
   */
  useBuffers?: boolean;
}
const averagedModelOptions = declareOptions<AveragedModelOptions>({
  decay: kind.numberOrNull,
  avgFn: kind.function,
  useBuffers: kind.flag,
});

/**
 * A copy of a model whose parameters are the average of those it is updated with: exponentially weighted (EMA, with
 * `decay`) or equally (SWA, Izmailov et al. 2018) (PyTorch: `optim.swa_utils.AveragedModel`). The first update copies.
 * States have the model's keys behind `module.`, and `n_averaged`.
 *
 * Running statistics of the model describe the model's activations, not those of averaged weights, and neither does
 * their average: copied or averaged, the statistics of an average are stale. Compute them once before the average is
 * evaluated or saved, in one call: `await average.preciseBatchNorm(loader)` (timm#102, swa#15, ignite#2592).
 *
 * @throws ValueError on a decay outside [0, 1], and on both of `decay` and `avgFn`.
 * @example
 * const average = new AveragedModel(model, { decay: 0.999 });
 * optimizer.step();
 * average.updateParameters(model); // after every step, or epoch
 * await average.preciseBatchNorm(loader);
 */
export class AveragedModel<M extends Module = Module> extends Module {
  /** The average, as a model. */
  module: M;
  /** The share of the average that stays at an update; null: the equal average. */
  readonly decay: number | null;
  /** Whether buffers are averaged too. */
  readonly useBuffers: boolean;
  private readonly avgFn: AveragedModelOptions['avgFn'];

  constructor(model: M, options: AveragedModelOptions = {}) {
    super();
    requireOptions('AveragedModel', options, averagedModelOptions);
    const { decay = null, avgFn, useBuffers = false } = options;
    if (decay !== null) requireNumber('AveragedModel', 'decay', decay);
    if (decay !== null && !(decay >= 0 && decay <= 1))
      throw new ValueError(`Invalid decay value ${decay} provided. Please provide a value in [0,1] range.`);
    if (decay !== null && avgFn) throw new ValueError('[AveragedModel] expected one of decay and avgFn, got both');
    this.module = copyModule(model);
    this.registerBuffer('n_averaged', tensor(0, { dtype: 'int64' }));
    this.decay = decay;
    this.avgFn = avgFn;
    this.useBuffers = useBuffers;
  }

  /** How many models are in the average: int64, no dimensions. */
  get nAveraged(): Tensor {
    return this.ownBuffers().get('n_averaged')!.tensor!;
  }

  forward(...args: Arguments): Result {
    return this.module(...(args as Parameters<M['forward']>));
  }

  /**
   * Takes a model into the average, in place (PyTorch: `update_parameters`).
   * @throws RuntimeError, having changed nothing, where its parameters or buffers are not those of the model that was
   * copied.
   */
  updateParameters(model: Module): void {
    const parameters = pairs('parameters', this.module.namedParameters(), model.namedParameters());
    const buffers = pairs('buffers', this.module.namedBuffers(), model.namedBuffers());
    const count = this.nAveraged.item();
    noGrad(() =>
      scope(() => {
        for (const [averaged, current] of parameters) this.average(averaged, current, count);
        for (const [averaged, current] of buffers)
          if (this.useBuffers && isFloat(averaged.dtype)) this.average(averaged, current, count);
          else averaged.copy_(current);
        this.nAveraged.add_(1);
      }),
    );
  }

  private average(averaged: Tensor, current: Tensor, count: number): void {
    if (count === 0) averaged.copy_(current);
    else if (this.avgFn) averaged.copy_(this.avgFn(averaged.detach(), current.detach(), count));
    else averaged.lerp_(current.to(averaged.dtype), this.decay === null ? 1 / (count + 1) : 1 - this.decay);
  }

  /** The running statistics of the average, PyTorch's way; see `updateBatchNorm`. */
  updateBatchNorm(loader: InputBatches, options: RecalibrationOptions = {}): Promise<void> {
    return updateBatchNorm(loader, this.module, options);
  }

  /** The running statistics of the average as those of the data; see `preciseBatchNorm`. */
  preciseBatchNorm(loader: InputBatches, options: PreciseOptions = {}): Promise<RecalibrationReport> {
    return preciseBatchNorm(this.module, loader, options);
  }
}

/** The pairs of tensors that correspond in two models. */
function pairs(
  what: string,
  own: Iterable<[string, Tensor]>,
  others: Iterable<[string, Tensor]>,
): (readonly [Tensor, Tensor])[] {
  const [left, right] = [[...own], [...others]];
  const text = (entry: [string, Tensor] | undefined) =>
    entry ? `'${entry[0]}' of ${formatShape(entry[1].shape)}` : 'nothing';
  for (let i = 0; i < Math.max(left.length, right.length); i++)
    if (!left[i] || !right[i] || !sameShape(left[i][1].shape, right[i][1].shape))
      throw new RuntimeError(
        `[updateParameters] expected a model with the ${what} of the one that was copied, ${text(left[i])}, got ${text(right[i])}`,
      );
  return left.map(([, averaged], i) => [averaged, right[i][1]]);
}

declareModules({ AveragedModel });
