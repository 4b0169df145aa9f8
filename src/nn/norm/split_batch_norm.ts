// SplitBatchNorm2d: in training, each part of a batch has a batch norm of its own, parameters and all. With shared
// parameters it is ghost_batch_norm.ts.

import { maxElements, requireInteger } from '../../checks.ts';
import { ValueError } from '../../errors.ts';
import type { batchNormWith } from '../../ops/norm/batch_norm.ts';
import { cat, split } from '../../ops/shape_ops.ts';
import { declareOptions, kind } from '../../options.ts';
import { formatShape } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { ModuleList } from '../containers.ts';
import { declareModules } from '../module_call.ts';
import { BatchNorm2d, type NormOptions, normOptions } from './batch_norm.ts';

/** Options of `SplitBatchNorm2d`. */
export interface SplitBatchNormOptions extends NormOptions {
  /** How many parts a batch is cut into. Default: 2. */
  numSplits?: number;
}
const splitOptions = declareOptions<SplitBatchNormOptions>({ numSplits: kind.integer, ...normOptions.kinds });

/**
 * Batch norm over (N, C, H, W) that in training cuts the batch into `numSplits` contiguous parts and normalizes the
 * first by itself and each other by a `BatchNorm2d` of its own, under the name `aux_bn`; in evaluation all by itself
 * (timm: `SplitBatchNorm2d`). For batches of several kinds of images, such as clean and adversarial ones (Xie et al.
 * 2020, AdvProp).
 * @throws ValueError below 2 parts, on other ranks, and in training where numSplits does not divide N.
 * @example
 * const norm = new SplitBatchNorm2d(6, { numSplits: 2 });
 */
export class SplitBatchNorm2d extends BatchNorm2d {
  /** How many parts a batch is cut into. */
  readonly numSplits: number;
  override isPlain = false;

  constructor(numFeatures: number, options: SplitBatchNormOptions = {}) {
    super(numFeatures, options);
    const { numSplits = 2, ...others } = options;
    requireInteger('SplitBatchNorm2d', 'numSplits', numSplits, Number.MIN_SAFE_INTEGER, maxElements);
    if (numSplits < 2) throw new ValueError('Should have at least one aux BN layer (numSplits at least 2)');
    this.numSplits = numSplits;
    const aux = Array.from({ length: numSplits - 1 }, () => new BatchNorm2d(numFeatures, others));
    this.registerModule('aux_bn', new ModuleList(aux));
  }

  /** @internal */
  protected override get knownOptions(): typeof splitOptions {
    return splitOptions;
  }

  /** The batch norms of all parts but the first. */
  get auxBn(): ModuleList {
    return this.getSubmodule('aux_bn') as ModuleList;
  }

  /** @internal */
  protected override normalize(...[x, mean, variance, options = {}]: Parameters<typeof batchNormWith>): Tensor {
    // Without running statistics, evaluation too is by the batch, and all of it.
    const isEvaluation = !options.training || (!this.training && !this.runningMean && !this.runningVar);
    if (isEvaluation) return super.normalize(x, mean, variance, options);
    const size = x.shape[0] / this.numSplits;
    if (!Number.isInteger(size))
      throw new ValueError(
        `batch size must be evenly divisible by numSplits: ${this.numSplits}, got ${formatShape(x.shape)}`,
      );
    if (size === 0) return super.normalize(x, mean, variance, options);
    const [first, ...rest] = split(x, size);
    const others = [...this.auxBn].map((bn, i) => bn(rest[i]) as Tensor);
    return cat([super.normalize(first, mean, variance, options), ...others]);
  }
}

declareModules({ SplitBatchNorm2d });
