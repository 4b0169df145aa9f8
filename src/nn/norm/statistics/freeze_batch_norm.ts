// Freezes normalization layers until they are unfrozen. statistics_control.ts keeps what is asked of each layer, and
// decides each forward.
import { declareOptions, kind, requireOptions } from '../../../options.ts';
import type { Module } from '../../module.ts';
import { NormBase } from '../batch_norm.ts';
import { ask, asked } from './statistics_control.ts';

/** Options of `freezeBatchNorm`. */
export interface FreezeOptions {
  /** Weight and bias: they require no gradient any more. Default: true. */
  affine?: boolean;
  /**
   * Running statistics: the layer normalizes by them in training mode too, and neither they nor the counter move.
   * Default: true.
   */
  statistics?: boolean;
}
const freezeOptions = declareOptions<FreezeOptions>({ affine: kind.flag, statistics: kind.flag });

/** Batch norms, and instance norms with running statistics, by name. */
function* normsOf(module: Module): Generator<[string, NormBase]> {
  for (const [name, each] of module.namedModules()) if (each instanceof NormBase) yield [name, each];
}

/**
 * Freezes all batch norms of a module, and its instance norms where they track statistics. It stays through `train()`,
 * and through loading of a state dict, until `unfreezeBatchNorm`; the printed form shows it. Returns the names of the
 * layers that have anything to freeze.
 *
 * In PyTorch a backbone with `requires_grad = False` still moves its running statistics in training mode, and `eval()`
 * on its batch norms lasts until the next `model.train()` (pytorch#86590, pytorch#66073, pytorch#10856;
 * Lightning#13902, lightly#1438). Here freezing the parameters alone warns.
 * @example
 * freezeBatchNorm(model); // then fine-tune the rest: model.train(); …
 * freezeBatchNorm(model, { affine: false }); // statistics only; weight and bias go on learning
 */
export function freezeBatchNorm(module: Module, options: FreezeOptions = {}): string[] {
  requireOptions('freezeBatchNorm', options, freezeOptions);
  const { affine = true, statistics = true } = options;
  const names: string[] = [];
  for (const [name, norm] of normsOf(module)) {
    const before = asked(norm, 'frozen');
    const { weight, bias } = norm;
    const hasStatistics = norm.runningMean !== null || norm.runningVar !== null;
    const isFrozen = { statistics: statistics && hasStatistics, affine: affine && weight !== null };
    if (!isFrozen.statistics && !isFrozen.affine) continue;
    names.push(name);
    ask(norm, 'frozen', {
      statistics: isFrozen.statistics || (before?.statistics ?? false),
      affine:
        before?.affine ??
        (isFrozen.affine ? { weight: weight!.requiresGrad, bias: bias?.requiresGrad ?? false } : null),
    });
    if (isFrozen.affine) for (const parameter of [weight, bias]) if (parameter) parameter.requiresGrad = false;
  }
  return names;
}

/**
 * Undoes `freezeBatchNorm`: statistics move again in training mode, weight and bias require gradients if they did
 * before. Returns names.
 */
export function unfreezeBatchNorm(module: Module): string[] {
  const names: string[] = [];
  for (const [name, norm] of normsOf(module)) {
    const before = asked(norm, 'frozen');
    if (!before) continue;
    names.push(name);
    ask(norm, 'frozen', null);
    if (!before.affine) continue;
    if (norm.weight) norm.weight.requiresGrad = before.affine.weight;
    if (norm.bias) norm.bias.requiresGrad = before.affine.bias;
  }
  return names;
}
