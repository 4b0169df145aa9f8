// Ghost batch norm (Hoffer et al. 2017): a large batch normalized in small parts. Two published layers bear the name
// and differ in which samples make a part and in what is tracked: here they are ChunkedGhostBatchNorm1d and
// InterleavedGhostBatchNorm2d. A third, with parameters of its own for each part, is split_batch_norm.ts.

import { isRecomputing } from '../../autograd/checkpoint.ts';
import { noGrad } from '../../autograd/grad_mode.ts';
import { maxElements, requireCountable, requireInteger, requireNormNumbers } from '../../checks.ts';
import { ValueError } from '../../errors.ts';
import { repeat } from '../../ops/broadcast.ts';
import { toFormat } from '../../ops/convert.ts';
import { batchNormWith } from '../../ops/norm/batch_norm.ts';
import { batchNormOfParts } from '../../ops/norm/ghost_batch_norm.ts';
import { mean as meanOf } from '../../ops/reduce.ts';
import { cat, reshape, split } from '../../ops/shape_ops.ts';
import { declareOptions, kind, required, requireOptions } from '../../options.ts';
import { ones, zeros } from '../../tensor/create.ts';
import { requireDType } from '../../tensor/dtype.ts';
import { formatShape, sizeOf } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { Module } from '../module.ts';
import { declareModules } from '../module_call.ts';
import { BatchNorm1d, BatchNormBase, type NormOptions, normOptions, requireRank } from './batch_norm.ts';
import { asking, moveStatistics, type NormalizerSource, warnOfMovement } from './statistics/statistics_control.ts';

/** Options of `ChunkedGhostBatchNorm1d`. */
export interface ChunkedGhostBatchNormOptions extends NormOptions {
  /** The most rows that are normalized together. Default: 128. */
  virtualBatchSize?: number;
}
const chunkedOptions = declareOptions<ChunkedGhostBatchNormOptions>({
  virtualBatchSize: kind.integer,
  ...normOptions.kinds,
});

/**
 * The sizes of the parts of n rows, as `chunk(ceil(n / most))` cuts them. A last part of one value per channel, of
 * which there are no statistics, joins its neighbour (dreamquark-ai/tabnet#384).
 */
function chunkSizes(n: number, most: number, valuesPerRow: number): number[] {
  const length = Math.max(1, Math.ceil(n / Math.max(1, Math.ceil(n / most))));
  const sizes = Array.from({ length: Math.ceil(n / length) }, (_, i) => Math.min(length, n - i * length));
  if (sizes.length > 1 && sizes.at(-1)! * valuesPerRow === 1) sizes.push(sizes.pop()! + sizes.pop()!);
  return sizes;
}

/**
 * Whether one kernel call can normalize all chunks: they must be of equal size, and the input a matrix that fits the
 * layer.
 */
function isOneCall(bn: BatchNorm1d, x: Tensor, sizes: readonly number[]): boolean {
  const { weight, bias, runningMean, runningVar, eps } = bn;
  return (
    bn.constructor === BatchNorm1d &&
    !bn.hasHooks &&
    x.rank === 2 &&
    sizes[0] > 1 &&
    sizes[0] === sizes.at(-1) &&
    // With eps 0 and a variance of 0 the two kernels would differ.
    eps > 0 &&
    [weight, bias, runningMean, runningVar].every(
      (t) => !t || (t.size === x.shape[1] && t.dtype === x.dtype && t.backend === x.backend),
    )
  );
}

/** Normalizes every `rows` rows by themselves; the running statistics move by each. */
const byChunks =
  (rows: number): NormalizerSource =>
  (layer, { training, trackRunningStats, sink = moveStatistics, weight, bias, ...given }) =>
  (x) => {
    const { y, batches } = batchNormOfParts(x, rows, weight, bias, layer.eps);
    if (training && trackRunningStats && !isRecomputing()) {
      const { runningMean, runningVar, numBatchesTracked, momentum } = given;
      if (runningMean) warnOfMovement(layer);
      for (const batch of batches) sink({ layer, batch, runningMean, runningVar, numBatchesTracked, momentum });
    }
    return y;
  };

/**
 * Batch norm over (N, C) or (N, C, L) of which contiguous chunks of at most `virtualBatchSize` rows are each normalized
 * by themselves, by one shared `BatchNorm1d` under the name `bn` (TabNet: `GBN`; Arik & Pfister 2019). The running
 * statistics move once per chunk, in order. In evaluation any number of rows does.
 *
 * N rows make ⌈N/virtualBatchSize⌉ chunks of equal size, but for the last: 25 rows by 10 are 9, 9 and 7. The default
 * momentum is TabNet's 0.01. What controls batch norms (freezing, modes, sets of statistics) controls `bn`.
 * @throws ValueError on other ranks, and in training where a chunk has a single value per channel; but a last chunk of
 * one joins its neighbour.
 * @example
 * const norm = new ChunkedGhostBatchNorm1d(6, { virtualBatchSize: 16 });
 */
export class ChunkedGhostBatchNorm1d extends Module {
  /** The most rows that are normalized together. */
  readonly virtualBatchSize: number;
  /** The batch norm of all chunks. */
  declare bn: BatchNorm1d;

  constructor(numFeatures: number, options: ChunkedGhostBatchNormOptions = {}) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, chunkedOptions);
    const { virtualBatchSize = 128, momentum = 0.01, ...others } = options;
    requireInteger(name, 'virtualBatchSize', virtualBatchSize, 1);
    requireInteger(name, 'numFeatures', numFeatures, 0, maxElements);
    requireNormNumbers(name, options.eps ?? 1e-5, momentum);
    if (options.dtype !== undefined) requireDType(name, options.dtype);
    this.virtualBatchSize = virtualBatchSize;
    this.bn = new BatchNorm1d(numFeatures, { ...others, momentum });
    this.bn.isPlain = false;
  }

  override get isNorm(): boolean {
    return true;
  }

  forward(x: Tensor): Tensor {
    const [n = 0] = x.shape;
    const sizes = chunkSizes(n, this.virtualBatchSize, sizeOf(x.shape.slice(2)));
    if (sizes.length < 2) return this.bn(x);
    if (isOneCall(this.bn, x, sizes))
      return asking([this.bn], 'normalizers', byChunks(sizes[0]), () => this.bn(x) as Tensor);
    return cat(split(x, sizes).map((chunk) => this.bn(chunk)));
  }
}

/** Options of `InterleavedGhostBatchNorm2d`. */
export interface InterleavedGhostBatchNormOptions extends NormOptions {
  /** How many parts a batch is cut into. It has no default. */
  numSplits: number;
}
const interleavedOptions = declareOptions<InterleavedGhostBatchNormOptions>({
  numSplits: required(kind.integer),
  ...normOptions.kinds,
});

/**
 * Batch norm over (N, C, H, W) of which every `numSplits`-th sample is normalized together: sample i belongs to part i
 * mod numSplits (Page's cifar10-fast: `GhostBatchNorm`). Weight and bias are shared; every part has running statistics
 * of its own, in buffers of numSplits·C elements, part after part, which `eval()` replaces by their average. Evaluation
 * uses that average and takes any N.
 *
 * Unlike the original, the counter counts batches.
 * @throws ValueError on other ranks, and in training where numSplits does not divide N or a part has a single value per
 * channel.
 * @example
 * const norm = new InterleavedGhostBatchNorm2d(6, { numSplits: 2 });
 */
export class InterleavedGhostBatchNorm2d extends BatchNormBase {
  /** How many parts a batch is cut into. */
  readonly numSplits: number;
  override isPlain = false;

  constructor(numFeatures: number, options: InterleavedGhostBatchNormOptions) {
    requireOptions(new.target.name, options, interleavedOptions);
    super(numFeatures, options);
    const { numSplits } = options;
    requireInteger('InterleavedGhostBatchNorm2d', 'numSplits', numSplits, 1, maxElements);
    requireCountable([numSplits * numFeatures], 'InterleavedGhostBatchNorm2d');
    this.numSplits = numSplits;
    if (!this.runningMean) return;
    const { dtype } = this.runningMean;
    this.runningMean = zeros([numSplits * numFeatures], { dtype });
    this.runningVar = ones([numSplits * numFeatures], { dtype });
  }

  /** @internal */
  protected override get knownOptions(): typeof interleavedOptions {
    return interleavedOptions;
  }

  protected checkInputDim(x: Tensor): void {
    requireRank(x, 4);
  }

  override train(mode = true): this {
    if (this.training && !mode)
      noGrad(() => {
        for (const [name, { tensor }] of this.ownBuffers())
          if (tensor && name.startsWith('running_')) tensor.copy_(repeat(this.average(tensor), [this.numSplits]));
      });
    return super.train(mode);
  }

  /**
   * The average over the parts. It may be taken at any time: the average of moving averages is the moving average of
   * averages.
   */
  private average(statistics: Tensor): Tensor {
    return meanOf(reshape(statistics, [this.numSplits, -1]), 0);
  }

  /** @internal */
  protected override normalize(...[x, mean, variance, options = {}]: Parameters<typeof batchNormWith>): Tensor {
    const { numSplits } = this;
    const average = (t: Tensor | null) => t && this.average(t);
    if (!options.training) return batchNormWith(x, average(mean), average(variance), options);
    const [n, c, h, w] = x.shape;
    if (n % numSplits !== 0)
      throw new ValueError(
        `[InterleavedGhostBatchNorm2d] expected a batch that numSplits = ${numSplits} divides, got ${formatShape(x.shape)}`,
      );
    const each = (t: Tensor | null | undefined) => (t ? repeat(t, [numSplits]) : null);
    const { weight, bias } = options;
    const y = batchNormWith(reshape(x, [n / numSplits, numSplits * c, h, w]), mean, variance, {
      ...options,
      weight: each(weight),
      bias: each(bias),
    });
    return toFormat(reshape(y, x.shape), x.memoryFormat);
  }
}

declareModules({ ChunkedGhostBatchNorm1d, InterleavedGhostBatchNorm2d });
