/**
 * Optimizers, gradient clipping, learning-rate schedules.
 * @module evenkeel/optim
 */
import '../ops/methods.ts';

export { Adadelta, type AdadeltaOptions } from './adadelta.ts';
export { Adafactor, type AdafactorOptions } from './adafactor.ts';
export { Adagrad, type AdagradOptions } from './adagrad.ts';
export { Adam, type AdamOptions, AdamW, type AdamWOptions } from './adam.ts';
export { Adamax, type AdamaxOptions } from './adamax.ts';
export { ASGD, type ASGDOptions } from './asgd.ts';
export { ChainedScheduler } from './chained_scheduler.ts';
export { type ClipGradNormOptions, clipGradNorm, clipGradValue } from './clip_grad.ts';
export { CyclicLR, type CyclicLROptions, type CyclicMode } from './cyclic.ts';
export { LBFGS, type LBFGSOptions } from './lbfgs.ts';
export {
  type AnyOptimizer,
  type LastEpochOption,
  LRScheduler,
  type Moment,
  type Rule,
  type SchedulerState,
} from './lr_scheduler.ts';
export { Muon, type MuonOptions } from './muon.ts';
export { NAdam, type NAdamOptions } from './nadam.ts';
export { OneCycleLR, type OneCycleOptions, type PerGroup } from './one_cycle.ts';
export {
  type Check,
  type CommonOptions,
  type GroupSpec,
  Optimizer,
  type OptimizerStateDict,
  type ParameterState,
  type ParamGroup,
  type ParamsArgument,
  type RateOption,
  type SavedState,
  type SavedValue,
  type StepGuard,
  type ZeroGradOptions,
} from './optimizer.ts';
export { type ParamGroupsOptions, paramGroups } from './param_groups.ts';
export { RAdam, type RAdamOptions } from './radam.ts';
export { type PlateauOptions, ReduceLROnPlateau } from './reduce_on_plateau.ts';
export { RMSprop, type RMSpropOptions } from './rmsprop.ts';
export { Rprop, type RpropOptions } from './rprop.ts';
export {
  ConstantLR,
  type ConstantLROptions,
  CosineAnnealingLR,
  type CosineAnnealingOptions,
  CosineAnnealingWarmRestarts,
  ExponentialLR,
  type GammaOption,
  LambdaLR,
  LinearLR,
  type LinearLROptions,
  type LRLambda,
  MultiplicativeLR,
  MultiStepLR,
  PolynomialLR,
  type PolynomialLROptions,
  StepLR,
  type WarmRestartsOptions,
} from './schedules.ts';
export { SequentialLR } from './sequential_lr.ts';
export { SGD, type SGDOptions } from './sgd.ts';
export { type DroppedStep, type GuardedOptimizer, StagedStatistics, stageStatistics } from './staged_statistics.ts';
export { SWALR, type SWALROptions } from './swa_lr.ts';
