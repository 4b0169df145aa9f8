/**
 * Optimizers, gradient clipping, learning-rate schedules.
 * @module evenkeel/optim
 */
import '../ops/methods.ts';

export { Adam, type AdamOptions, AdamW, type AdamWOptions } from './adam.ts';
export { type ClipGradNormOptions, clipGradNorm, clipGradValue } from './clip_grad.ts';
export {
  type AnyOptimizer,
  type LastEpochOption,
  LRScheduler,
  type Moment,
  type Rule,
  type SchedulerState,
} from './lr_scheduler.ts';
export { OneCycleLR, type OneCycleOptions } from './one_cycle.ts';
export {
  type Check,
  type CommonOptions,
  type GroupSpec,
  Optimizer,
  type OptimizerStateDict,
  type ParameterState,
  type ParamGroup,
  type ParamsArgument,
  type StepGuard,
  type ZeroGradOptions,
} from './optimizer.ts';
export { type ParamGroupsOptions, paramGroups } from './param_groups.ts';
export { type PlateauOptions, ReduceLROnPlateau } from './reduce_on_plateau.ts';
export { RMSprop, type RMSpropOptions } from './rmsprop.ts';
export {
  CosineAnnealingLR,
  type CosineAnnealingOptions,
  ExponentialLR,
  type GammaOption,
  LambdaLR,
  LinearLR,
  type LinearLROptions,
  type LRLambda,
  MultiStepLR,
  StepLR,
} from './schedules.ts';
export { SequentialLR } from './sequential_lr.ts';
export { SGD, type SGDOptions } from './sgd.ts';
export { type DroppedStep, type GuardedOptimizer, StagedStatistics, stageStatistics } from './staged_statistics.ts';
