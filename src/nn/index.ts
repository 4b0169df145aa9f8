/**
 * Modules, parameters, layers, losses, initial values, and the functional forms under `functional`.
 * @module evenkeel/nn
 */

import '../ops/methods.ts';

export type { ProcessGroup } from '../ops/norm/process_group.ts';
export * from './activation.ts';
export { MultiheadAttention, type MultiheadAttentionCallOptions, type MultiheadAttentionOptions } from './attention.ts';
export { AveragedModel, type AveragedModelOptions } from './averaged_model.ts';
export type { ModuleGradients, ReplacedGradients } from './backward_hooks.ts';
export { ModuleDict, ModuleList, Sequential } from './containers.ts';
export {
  Conv1d,
  Conv2d,
  Conv3d,
  ConvBase,
  type ConvOptions,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeOptions,
  type PaddingMode,
} from './conv.ts';
export { CosineSimilarity, PairwiseDistance } from './distance.ts';
export {
  AlphaDropout,
  Dropout,
  Dropout1d,
  Dropout2d,
  Dropout3d,
  FeatureAlphaDropout,
  StochasticDepth,
} from './dropout.ts';
export { FusionReport, type LayerFusion } from './explain.ts';
/** The functional forms of the layers, and what stands behind them (PyTorch: `torch.nn.functional`). */
export * as functional from './functional.ts';
export { Identity } from './identity.ts';
/** Initial values: functions that fill a tensor in place (PyTorch: `torch.nn.init`). */
export * as init from './init.ts';
export {
  LazyConv1d,
  LazyConv2d,
  LazyConv3d,
  LazyConvTranspose1d,
  LazyConvTranspose2d,
  LazyConvTranspose3d,
  LazyLinear,
} from './lazy_layers.ts';
export {
  Bilinear,
  Embedding,
  EmbeddingBag,
  type EmbeddingBagOptions,
  type EmbeddingOptions,
  Linear,
  type LinearOptions,
} from './linear.ts';
export {
  BCELoss,
  BCEWithLogitsLoss,
  CrossEntropyLoss,
  CTCLoss,
  GaussianNLLLoss,
  HuberLoss,
  KLDivLoss,
  L1Loss,
  MSELoss,
  NLLLoss,
  PoissonNLLLoss,
  SmoothL1Loss,
  SoftMarginLoss,
} from './loss.ts';
export {
  CosineEmbeddingLoss,
  HingeEmbeddingLoss,
  MarginRankingLoss,
  MultiLabelMarginLoss,
  MultiLabelSoftMarginLoss,
  MultiMarginLoss,
  TripletMarginLoss,
  TripletMarginWithDistanceLoss,
} from './margin_loss.ts';
export {
  type ForwardHook,
  type ForwardPreHook,
  type FullBackwardHook,
  type FullBackwardPreHook,
  Module,
  type RegisterBufferOptions,
} from './module.ts';
export {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  BatchNormBase,
  BatchNormXd,
  NormBase,
  type NormOptions,
} from './norm/batch_norm.ts';
export { type ActOptions, BatchNormAct2d, FrozenBatchNormAct2d, SyncBatchNormAct } from './norm/batch_norm_act.ts';
export {
  BatchRenorm1d,
  BatchRenorm2d,
  BatchRenorm3d,
  type BatchRenormOptions,
  type Ramp,
  type RenormLimitOptions,
  RunningStdBatchRenorm1d,
  RunningStdBatchRenorm2d,
  RunningStdBatchRenorm3d,
  type RunningStdBatchRenormOptions,
} from './norm/batch_renorm.ts';
export { FrozenBatchNorm2d, type FrozenBatchNorm2dOptions } from './norm/frozen_batch_norm.ts';
export {
  ChunkedGhostBatchNorm1d,
  type ChunkedGhostBatchNormOptions,
  InterleavedGhostBatchNorm2d,
  type InterleavedGhostBatchNormOptions,
} from './norm/ghost_batch_norm.ts';
export { GroupNorm, type GroupNormOptions } from './norm/group_norm.ts';
export { ABN, type AbnOptions, InPlaceABN } from './norm/in_place_abn.ts';
export {
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  InstanceNormBase,
  type InstanceNormOptions,
} from './norm/instance_norm.ts';
export { LayerNorm, type LayerNormOptions, RMSNorm, type RMSNormOptions } from './norm/layer_norm.ts';
export {
  LazyBatchNorm1d,
  LazyBatchNorm2d,
  LazyBatchNorm3d,
  LazyInstanceNorm1d,
  LazyInstanceNorm2d,
  LazyInstanceNorm3d,
} from './norm/lazy_norm.ts';
export { CrossMapLRN2d, LocalResponseNorm } from './norm/local_response_norm.ts';
export { MaskedBatchNorm1d, MaskedBatchNorm2d } from './norm/masked_batch_norm.ts';
export { SplitBatchNorm2d, type SplitBatchNormOptions } from './norm/split_batch_norm.ts';
export { type FreezeOptions, freezeBatchNorm, unfreezeBatchNorm } from './norm/statistics/freeze_batch_norm.ts';
export {
  type InputBatches,
  type PreciseOptions,
  preciseBatchNorm,
  type RecalibrationOptions,
  updateBatchNorm,
} from './norm/statistics/recalibrate.ts';
export {
  type ChannelShift,
  type LayerRecalibration,
  RecalibrationReport,
} from './norm/statistics/recalibration_report.ts';
export { addStatistics, useStatistics, withMicroBatches, withStatistics } from './norm/statistics/statistics.ts';
export type { StatisticsMode } from './norm/statistics/statistics_control.ts';
export { SyncBatchNorm, type SyncBatchNormOptions } from './norm/sync_batch_norm.ts';
export {
  PackedSequence,
  type PackPaddedSequenceOptions,
  type PackSequenceOptions,
  type PadPackedSequenceOptions,
  type PadSequenceOptions,
  packPaddedSequence,
  packSequence,
  padPackedSequence,
  padSequence,
  type UnpadSequenceOptions,
  unpadSequence,
} from './packed_sequence.ts';
export {
  CircularPad1d,
  CircularPad2d,
  CircularPad3d,
  ConstantPad1d,
  ConstantPad2d,
  ConstantPad3d,
  ReflectionPad1d,
  ReflectionPad2d,
  ReflectionPad3d,
  ReplicationPad1d,
  ReplicationPad2d,
  ReplicationPad3d,
  ZeroPad1d,
  ZeroPad2d,
  ZeroPad3d,
} from './pad.ts';
export {
  DistributedDataParallel,
  type DistributedDataParallelOptions,
} from './parallel/distributed_data_parallel.ts';
export {
  type LayerSpread,
  StatisticsSpread,
  type StatisticsSpreadOptions,
  statisticsSpread,
} from './parallel/statistics_spread.ts';
export { type SyncBuffersOptions, syncBuffers } from './parallel/sync_buffers.ts';
export { type DTypeOption, Parameter, type ParameterOptions } from './parameter.ts';
export { type NamedTensors, ParameterDict, ParameterList } from './parameter_containers.ts';
export { parametersToVector, vectorToParameters } from './parameter_vector.ts';
export {
  isParametrized,
  type Parametrization,
  ParametrizationList,
  type RemoveParametrizationsOptions,
  registerParametrization,
  removeParametrizations,
} from './parametrize.ts';
export {
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveAvgPool3d,
  AdaptiveMaxPool1d,
  AdaptiveMaxPool2d,
  AdaptiveMaxPool3d,
  AvgPool1d,
  AvgPool2d,
  AvgPool3d,
  type IndicesOption,
  LPPool1d,
  LPPool2d,
  LPPool3d,
  type Maxima,
  MaxPool1d,
  MaxPool2d,
  MaxPool3d,
  type MaxPoolOptions,
  MaxUnpool1d,
  MaxUnpool2d,
  MaxUnpool3d,
  type MaxUnpoolLayerOptions,
} from './pool.ts';
export {
  GRU,
  GRUCell,
  LSTM,
  LSTMCell,
  type LSTMOptions,
  type LSTMState,
  type RecurrentCellOptions,
  type RecurrentOptions,
  RNN,
  RNNCell,
  type RNNCellOptions,
  type RNNOptions,
} from './recurrent.ts';
export { Flatten, Unflatten } from './shape.ts';
export { ChannelShuffle, PixelShuffle, PixelUnshuffle } from './shuffle.ts';
export { type SpectralNormOptions, spectralNorm } from './spectral_norm.ts';
export { type LoadOptions, LoadResult, StateDict, type StateMetadata, type StateSource } from './state_dict.ts';
export { type LayerSummary, ModelSummary, type SummaryInput, type SummaryOptions, summary } from './summary.ts';
export { copyModule } from './surgery/copy_module.ts';
export { type Folded, fold } from './surgery/fold.ts';
export { fromFrozenBatchNorm, toFrozenBatchNorm } from './surgery/frozen_conversion.ts';
export { fuseConvBatchNorm, fuseLinearBatchNorm } from './surgery/fuse_batch_norm.ts';
export {
  type ConvertSyncBatchNormOptions,
  convertSyncBatchNorm,
  replaceAllBatchNormModules_,
  revertSyncBatchNorm,
} from './surgery/norm_conversion.ts';
export {
  type DecoderCallOptions,
  type EncoderCallOptions,
  type EncoderLayerCallOptions,
  Transformer,
  type TransformerActivation,
  type TransformerCallOptions,
  TransformerDecoder,
  TransformerDecoderLayer,
  TransformerEncoder,
  TransformerEncoderLayer,
  type TransformerLayerOptions,
  type TransformerOptions,
  type TransformerStackOptions,
} from './transformer.ts';
export { Fold, Unfold } from './unfold.ts';
export { isUninitialized, UninitializedBuffer, UninitializedParameter } from './uninitialized.ts';
export { Upsample, UpsamplingBilinear2d, UpsamplingNearest2d } from './upsampling.ts';
export { type WeightNormOptions, weightNorm } from './weight_norm.ts';
