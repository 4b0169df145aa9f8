// Training: the loop, evaluation, checkpoints, reports.
export { batchNorms } from '../nn/statistics.ts';
export { type AccumulateOptions, accumulate, type MicroBatch } from './accumulate.ts';
export {
  type AnyOptimizer,
  type CheckpointParts,
  loadCheckpoint,
  type Stateful,
  saveCheckpoint,
} from './checkpoint.ts';
export { CheckpointError, lastGood, loadTree, saveTree } from './checkpoint_file.ts';
export type { Tree } from './checkpoint_tree.ts';
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
