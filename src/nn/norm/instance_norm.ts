// Instance normalization layers: unbatched inputs, the check of their channels, and which statistics are used.
// Parameters and running statistics are NormBase's (batch_norm.ts), the arithmetic is in ops/.

import { ValueError } from '../../errors.ts';
import { instanceNormWith } from '../../ops/norm/instance_norm.ts';
import { squeeze, unsqueeze } from '../../ops/shape_ops.ts';
import { requireOptions } from '../../options.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { warn } from '../../warnings.ts';
import { declareModules } from '../module_call.ts';
import type { StateDict } from '../state_dict.ts';
import { NormBase, type NormOptions, normOptions } from './batch_norm.ts';

/** Options of instance norms. */
export interface InstanceNormOptions extends Omit<NormOptions, 'affine' | 'trackRunningStats'> {
  /** Whether there are a weight and a bias per channel. Default: false. */
  affine?: boolean;
  /** Whether there are running statistics, which evaluation then uses. Default: false. */
  trackRunningStats?: boolean;
}

/**
 * Instance norm of any number of dimensions (PyTorch: `_InstanceNorm`). It is no batch norm: tools that look for those
 * pass it by.
 */
export abstract class InstanceNormBase extends NormBase {
  constructor(numFeatures: number, options: InstanceNormOptions = {}) {
    requireOptions(new.target.name, options, normOptions);
    const { affine = false, trackRunningStats = false } = options;
    super(numFeatures, { ...options, affine, trackRunningStats });
  }

  /**
   * Dimensions after the channels.
   * @internal
   */
  protected abstract readonly spatialRank: number;

  protected checkInputDim(x: Tensor): void {
    const ranks = [this.spatialRank + 1, this.spatialRank + 2];
    if (!ranks.includes(x.rank))
      throw new ValueError(`expected ${ranks[0]}D or ${ranks[1]}D input (got ${x.rank}D input)`);
  }

  forward(x: Tensor): Tensor {
    this.checkInputDim(x);
    const isBatched = x.rank === this.spatialRank + 2;
    const dim = isBatched ? 1 : 0;
    if (x.shape[dim] !== this.numFeatures) {
      if (this.affine)
        throw new ValueError(
          `expected input's size at dim=${dim} to match numFeatures (${this.numFeatures}), but got: ${x.shape[dim]}.`,
        );
      warn(
        `input's size at dim=${dim} does not match numFeatures, which is not used because affine is false. You can silence this warning by giving the layer the input's size`,
      );
    }
    if (!isBatched) return squeeze(this.normalize(unsqueeze(x, 0)), 0);
    return this.normalize(x);
  }

  // The counter never moves, and a momentum of null keeps the running statistics as they are, as in PyTorch.
  private normalize(x: Tensor): Tensor {
    const { runningMean, runningVar, weight, bias, training, trackRunningStats, momentum } = this.statistics;
    const useInputStats = training || !trackRunningStats;
    // `withStatistics` stops the movement of statistics. The layer's own flag does not, as in PyTorch.
    const isStill = useInputStats && trackRunningStats !== this.trackRunningStats;
    return instanceNormWith(x, {
      runningMean: isStill ? null : runningMean,
      runningVar: isStill ? null : runningVar,
      weight,
      bias,
      useInputStats,
      momentum: momentum ?? 0,
      eps: this.eps,
    });
  }

  /** States without metadata come from a time when all instance norms had running statistics. */
  override upgradeState(state: StateDict, prefix: string, version: number | undefined, errors: string[]): void {
    if (version === undefined && !this.trackRunningStats) {
      const keys = ['running_mean', 'running_var'].map((name) => prefix + name).filter((key) => state.has(key));
      if (keys.length > 0) {
        const kind = this.constructor.name;
        errors.push(
          `Unexpected running stats buffer(s) ${keys.map((key) => `"${key}"`).join(' and ')} for ${kind} with trackRunningStats: false. If stateDict is a checkpoint saved before 0.4.0, this may be expected because ${kind} does not track running stats by default since 0.4.0. Please remove these keys from stateDict. If the running stats are actually needed, instead set trackRunningStats: true in ${kind} to enable them. See the documentation of ${kind} for details.`,
        );
        for (const key of keys) state.delete(key);
      }
    }
    super.upgradeState(state, prefix, version, errors);
  }
}

/** Instance norm over (N, C, L) or (C, L) (PyTorch: `nn.InstanceNorm1d`). See `InstanceNorm2d`. */
export class InstanceNorm1d extends InstanceNormBase {
  /** @internal */
  protected get spatialRank(): number {
    return 1;
  }
}

/**
 * Instance norm over (N, C, H, W) or (C, H, W): every channel of every sample to mean 0 and variance 1, in training and
 * evaluation alike, unless running statistics are tracked (Ulyanov et al. 2016; PyTorch: `nn.InstanceNorm2d`). The
 * result is contiguous.
 *
 * @throws ValueError on other ranks, on a single value per channel, and, where affine, on other than `numFeatures`
 * channels.
 * @example
 * const norm = new InstanceNorm2d(6, { affine: true });
 */
export class InstanceNorm2d extends InstanceNormBase {
  /** @internal */
  protected get spatialRank(): number {
    return 2;
  }
}

/** Instance norm over (N, C, D, H, W) or (C, D, H, W) (PyTorch: `nn.InstanceNorm3d`). See `InstanceNorm2d`. */
export class InstanceNorm3d extends InstanceNormBase {
  /** @internal */
  protected get spatialRank(): number {
    return 3;
  }
}

declareModules({ InstanceNorm1d, InstanceNorm2d, InstanceNorm3d });
