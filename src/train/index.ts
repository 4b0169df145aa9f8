/**
 * Training: the loop, evaluation, checkpoints, reports.
 * @module evenkeel/train
 */

export type { AtomicWriteOptions } from '../files/atomic_file.ts';
export { batchNorms } from '../nn/norm/statistics/statistics.ts';
export { type AccumulateOptions, accumulate, type MicroBatch } from './accumulate.ts';
export {
  type AnyOptimizer,
  type CheckpointParts,
  loadCheckpoint,
  type Stateful,
  saveCheckpoint,
} from './checkpoint.ts';
export { CheckpointError, type LastGood, lastGood, loadTree, saveTree } from './checkpoint_file.ts';
export type { ArrayLeaf, LeafDtype, Tree } from './checkpoint_tree.ts';
export {
  type Batches,
  type EvaluateOptions,
  evaluate,
  type LossFunction,
  type ObservedStatistics,
  observeBatchNorms,
} from './evaluate.ts';
export {
  type Callback,
  type EpochResult,
  type FitOptions,
  type FitResult,
  fit,
  type Position,
  type Run,
} from './fit.ts';
export type { StopSignal } from './interrupts.ts';
export { Averages, accuracy, type Metric } from './metrics.ts';
export { NonFiniteLossError } from './non_finite.ts';
export { type LineSink, Progress } from './progress.ts';
export {
  type ReportContent,
  type ReportCurve,
  ReportError,
  type ReportSeries,
  type ReportTable,
  renderReport,
} from './report.ts';
export { SummaryWriter, SummaryWriterError, type SummaryWriterOptions } from './tensorboard.ts';
