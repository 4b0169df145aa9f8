// The functional forms of the layers (PyTorch: torch.nn.functional), gathered from ops/. Nothing is defined here.

export type { BatchStatistics } from '../launch/batch_norm.ts';
export { glu, prelu, type RreluOptions, rrelu, type SlopeLimits, softmin } from '../ops/activation.ts';
export { type AttentionOptions, scaledDotProductAttention } from '../ops/attention.ts';
export {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type Padding,
} from '../ops/conv.ts';
export {
  type CosineSimilarityOptions,
  cosineSimilarity,
  type PairwiseDistanceOptions,
  pairwiseDistance,
} from '../ops/distance.ts';
export {
  type AlphaDropoutOptions,
  alphaDropout,
  type DropoutOptions,
  dropout,
  dropout1d,
  dropout2d,
  dropout3d,
  featureAlphaDropout,
  type StochasticDepthMode,
  stochasticDepth,
} from '../ops/dropout.ts';
export * from '../ops/elementwise/activations.ts';
export {
  type EmbeddingBagMode,
  type EmbeddingBagOptions,
  type EmbeddingOptions,
  embedding,
  embeddingBag,
} from '../ops/embedding.ts';
export { fold, type UnfoldOptions, unfold } from '../ops/fold.ts';
export {
  type AffineGridOptions,
  affineGrid,
  type GridSampleMode,
  type GridSampleOptions,
  type GridSamplePadding,
  gridSample,
} from '../ops/grid_sample.ts';
export { bilinear, linear } from '../ops/linear.ts';
export {
  type BceOptions,
  type BinaryCrossEntropyOptions,
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  type CrossEntropyOptions,
  type CtcOptions,
  cosineEmbeddingLoss,
  crossEntropy,
  ctcLoss,
  type DistanceFunction,
  type GaussianNllOptions,
  gaussianNllLoss,
  type HuberOptions,
  hingeEmbeddingLoss,
  huberLoss,
  type KlDivOptions,
  type KlDivReduction,
  klDiv,
  type Lengths,
  type LossOptions,
  type LossReduction,
  l1Loss,
  type MarginOptions,
  type MultilabelSoftMarginOptions,
  type MultiMarginOptions,
  marginRankingLoss,
  mseLoss,
  multilabelMarginLoss,
  multilabelSoftMarginLoss,
  multiMarginLoss,
  type NllLossOptions,
  nllLoss,
  type PoissonNllOptions,
  poissonNllLoss,
  type SmoothL1Options,
  smoothL1Loss,
  softMarginLoss,
  type TripletMarginOptions,
  type TripletMarginWithDistanceOptions,
  tripletMarginLoss,
  tripletMarginWithDistanceLoss,
} from '../ops/loss.ts';
export { type LpPoolOptions, lpPool1d, lpPool2d, lpPool3d } from '../ops/lp_pool.ts';
export { type MaxUnpoolOptions, maxUnpool1d, maxUnpool2d, maxUnpool3d } from '../ops/max_unpool.ts';
export { type BatchNormOptions, batchNorm } from '../ops/norm/batch_norm.ts';
export {
  type BatchRenormOptions,
  batchRenorm,
  type RenormLimits,
  type RunningStdBatchRenormOptions,
  runningStdBatchRenorm,
} from '../ops/norm/batch_renorm.ts';
export { type FrozenBatchNormOptions, frozenBatchNorm } from '../ops/norm/frozen_batch_norm.ts';
export { type GroupNormOptions, groupNorm } from '../ops/norm/group_norm.ts';
export { type InPlaceAbnOptions, type InvertibleActivation, inPlaceAbn } from '../ops/norm/in_place_abn.ts';
export { type InstanceNormOptions, instanceNorm } from '../ops/norm/instance_norm.ts';
export { type LayerNormOptions, layerNorm, type RmsNormOptions, rmsNorm } from '../ops/norm/layer_norm.ts';
export { crossMapLRN2d, type LocalResponseNormOptions, localResponseNorm } from '../ops/norm/local_response_norm.ts';
export { maskedBatchNorm } from '../ops/norm/masked_batch_norm.ts';
export { syncBatchNorm } from '../ops/norm/sync_batch_norm.ts';
export { oneHot } from '../ops/one_hot.ts';
export { type PadMode, type PadOptions, pad } from '../ops/pad.ts';
export {
  type AdaptiveSize,
  type AvgPool1dOptions,
  type AvgPoolOptions,
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool1dWithIndices,
  adaptiveMaxPool2d,
  adaptiveMaxPool2dWithIndices,
  adaptiveMaxPool3d,
  adaptiveMaxPool3dWithIndices,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  type MaxPoolOptions,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
  maxPool3d,
  maxPool3dWithIndices,
  type PoolOptions,
  type PoolWithIndices,
} from '../ops/pool.ts';
export { logSoftmax, softmax } from '../ops/reduce.ts';
export {
  type InterpolateOptions,
  type InterpolationMode,
  interpolate,
  type ResizeOptions,
  type UpsampleOptions,
} from '../ops/resample.ts';
export { channelShuffle, pixelShuffle, pixelUnshuffle } from '../ops/shuffle.ts';
export { type NormalizeOptions, normalize } from '../ops/statistics.ts';
export type { Size } from '../ops/window.ts';
