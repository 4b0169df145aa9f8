/**
 * Training: the loop, evaluation, checkpoints, reports.
 * @module evenkeel/train
 */

export type { AtomicWriteOptions } from '../files/atomic_file.ts';
export { batchNorms } from '../nn/norm/statistics/statistics.ts';
export { type AccumulateOptions, accumulate, type MicroBatch } from './accumulate.ts';
export type { Batches, BatchOptions } from './batches.ts';
export { BestCheckpoints, type BestCheckpointsOptions, type KeptCheckpoint } from './best_checkpoints.ts';
export {
  type AnyOptimizer,
  type CheckpointParts,
  loadCheckpoint,
  type Stateful,
  saveCheckpoint,
} from './checkpoint.ts';
export { CheckpointError, type LastGood, lastGood, loadTree, saveTree } from './checkpoint_file.ts';
export type { ArrayLeaf, LeafDtype, Tree } from './checkpoint_tree.ts';
export { balancedClassWeights, type ClassWeightOptions } from './class_weights.ts';
export {
  type ClassAverage,
  type ClassAverageOptions,
  type ClassFigure,
  type ConfusionMatrixOptions,
  confusionMatrix,
  f1Score,
  precision,
  recall,
} from './confusion.ts';
export { EarlyStopping, type EarlyStoppingOptions } from './early_stopping.ts';
export {
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
export { type LrFinderOptions, type LrSweep, lrFinder } from './lr_finder.ts';
export {
  Averages,
  type AveragesState,
  accuracy,
  type CountedMetric,
  type MeanMetric,
  type Metric,
  type Metrics,
  topKAccuracy,
} from './metrics.ts';
export type { MonitorMode } from './monitor.ts';
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
export { TensorBoard, type TensorBoardOptions } from './tensorboard_callback.ts';
