// Running statistics that move only together with the parameters. Forwards stage their movements. If the loss and all
// gradients are finite, optimizer.step() carries them out; otherwise it drops them, and the parameters do not move
// either.
import { RuntimeError } from '../errors.ts';
import type { Module } from '../nn/module.ts';
import { BatchNormBase } from '../nn/norm/batch_norm.ts';
import { ask, asked, moveStatistics, type StatisticsUpdate } from '../nn/norm/statistics/statistics_control.ts';
import { clone } from '../ops/convert.ts';
import { outsideScopes } from '../tensor/storage.ts';
import { allocate, keep, type Tensor } from '../tensor/tensor.ts';
import { warn } from '../warnings.ts';
import type { Optimizer } from './optimizer.ts';
import { partition, type Row } from './parameter_table.ts';

/** Any optimizer, whatever its options. */
export type GuardedOptimizer = Pick<Optimizer, 'paramGroups' | 'stepCount' | 'addStepGuard'>;

/** A step that was not taken. */
export interface DroppedStep {
  /** The optimizer's `stepCount` after it. */
  readonly step: number;
  /**
   * What was NaN or infinite first of all; `'guard'`: nothing here, but another guard of the optimizer forbade the
   * step.
   */
  readonly cause: 'loss' | 'statistics' | 'gradients' | 'guard';
  /** Names of the layers whose movements were dropped, in the order of their forwards, each once. */
  readonly layers: readonly string[];
  /** How many movements that were. */
  readonly updates: number;
}

/**
 * Whether all values of all tensors are finite: one kernel call and one number read for each dtype among them. What has
 * no values is.
 */
function areFinite(tensors: readonly Tensor[]): boolean {
  const rows = tensors.map((tensor): Row => ({ parameter: tensor, gradient: tensor, states: [] }));
  return partition(rows).every((part) => {
    if (part[0].parameter.device === 'meta') return true;
    const largest = allocate([1], 'float64', 'contiguous', part[0].parameter.backend);
    largest.backend.launch.optimGradNorm('stageStatistics', { table: part, p: Infinity, result: largest });
    return Number.isFinite(largest.item());
  });
}

/** What `stageStatistics` returns: the staged movements, and a report of those that were dropped. */
export class StagedStatistics {
  /** Movements carried out so far. */
  committed = 0;
  /** Steps skipped so far. */
  skippedSteps = 0;
  /** The last of them. */
  lastDrop: DroppedStep | null = null;
  /**
   * Turns this process's decision about a step into that of all ranks.
   * @internal
   */
  agree: (isPermitted: boolean) => boolean = (isPermitted) => isPermitted;
  private readonly names = new Map<BatchNormBase, string>();
  private readonly optimizer: GuardedOptimizer;
  private staged: StatisticsUpdate[] = [];
  private losses: Tensor[] = [];
  private hasBadLoss = false;
  private cause: DroppedStep['cause'] = 'guard';
  private readonly unguard: () => void;

  constructor(model: Module, optimizer: GuardedOptimizer) {
    this.optimizer = optimizer;
    for (const [name, each] of model.namedModules()) if (each instanceof BatchNormBase) this.names.set(each, name);
    for (const [norm, name] of this.names)
      if (asked(norm, 'sink'))
        throw new RuntimeError(
          `[stageStatistics] '${name}' (${norm.constructor.name}) already stages its statistics for an optimizer; dispose() of that first`,
        );
    for (const norm of this.names.keys()) ask(norm, 'sink', (update) => this.stage(update));
    this.unguard = optimizer.addStepGuard({
      permits: () => this.permits(),
      settle: (wasTaken) => this.settle(wasTaken),
    });
  }

  /** Movements that wait for the next step. */
  get pending(): number {
    return this.staged.length;
  }

  /**
   * Makes the next step depend on this loss too. Seldom needed: a loss that is NaN or infinite almost always has such
   * gradients. With several micro-batches, call it for each.
   */
  observe(loss: Tensor | number): void {
    if (typeof loss === 'number') this.hasBadLoss ||= !Number.isFinite(loss);
    else this.losses.push(outsideScopes(() => clone(loss.detach())));
  }

  /** Ends staging: statistics move in the forward again, and steps are taken in any case. What is staged is dropped. */
  dispose(): void {
    this.unguard();
    for (const norm of this.names.keys()) ask(norm, 'sink', null);
    this.forget();
  }

  private stage(update: StatisticsUpdate): void {
    // Micro-batches may lie in scopes of their own.
    keep(update.batch.mean);
    keep(update.batch.m2);
    this.staged.push(update);
  }

  private permits(): boolean {
    const statistics = this.staged.flatMap(({ batch }) => [batch.mean, batch.m2]);
    const gradients = this.optimizer.paramGroups.flatMap(({ params }) =>
      params.flatMap((param) => param.peekGrad() ?? []),
    );
    this.cause = 'guard';
    const isGood = !this.hasBadLoss && areFinite([...this.losses, ...statistics, ...gradients]);
    if (this.agree(isGood)) return true;
    if (isGood) return false;
    // Which of them it was matters only now.
    if (this.hasBadLoss || !areFinite(this.losses)) this.cause = 'loss';
    else this.cause = areFinite(statistics) ? 'gradients' : 'statistics';
    return false;
  }

  private settle(wasTaken: boolean): void {
    if (wasTaken) {
      for (const update of this.staged) moveStatistics(update);
      this.committed += this.staged.length;
    } else this.drop();
    this.forget();
  }

  private drop(): void {
    const layers = [...new Set(this.staged.map(({ layer }) => this.names.get(layer as BatchNormBase)!))];
    this.skippedSteps++;
    this.lastDrop = { step: this.optimizer.stepCount, cause: this.cause, layers, updates: this.staged.length };
    if (this.cause === 'guard') return;
    const what = { loss: 'the loss was', statistics: "a batch's statistics were", gradients: 'gradients were' };
    warn(
      `[stageStatistics] a step was skipped because ${what[this.cause]} NaN or infinite: parameters, the optimizer's state and the running statistics of ${this.names.size} batch norms are as before it`,
      'RuntimeWarning',
    );
  }

  private forget(): void {
    this.staged = [];
    this.losses = [];
    this.hasBadLoss = false;
  }
}

/**
 * Binds the running statistics of a model's batch norms to the steps of an optimizer: forwards in training mode stage
 * their movements of mean, variance and counter, and `optimizer.step()` carries them out, in order, if the losses given
 * to `observe`, the batches' statistics and all gradients are finite. If not, it drops them, takes no step, warns and
 * reports (`lastDrop`, `skippedSteps`), so that a bad batch leaves parameters, optimizer state and statistics bit for
 * bit as they were.
 *
 * In PyTorch the statistics have taken a bad batch in before anybody can look at the loss, and one NaN stays in a
 * running variance for good: training goes on well and evaluation gives NaN (pytorch#1206, pytorch#90342,
 * pytorch#115500, keras#9646).
 *
 * Several forwards before a step, as with gradient accumulation, are staged in order and stand or fall together.
 * Evaluation and state dicts meanwhile have the statistics of the last step; recomputation in a checkpoint stages
 * nothing. With two optimizers, stage each part of the model with its own: `stageStatistics(generator, optimizerG)`.
 * @throws RuntimeError where a layer is staged already.
 * @example
 * const staged = stageStatistics(model, optimizer);
 * crossEntropy(model(images), labels).backward();
 * optimizer.step(); // moves parameters and statistics, or neither
 * staged.dispose();
 */
export function stageStatistics(model: Module, optimizer: GuardedOptimizer): StagedStatistics {
  return new StagedStatistics(model, optimizer);
}
