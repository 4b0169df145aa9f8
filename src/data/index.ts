/**
 * Datasets, samplers, loaders, augmentation: what runs anywhere. Image sets, which read files, are in
 * `evenkeel/data/node`.
 * @module evenkeel/data
 */

import '../ops/methods.ts';

export { ArrayLoader, type DataLoaderOptions } from './array_loader.ts';
export { type Collated, defaultCollate, mapArrays } from './collate.ts';
export { DataLoader, type TensorBatch } from './data_loader.ts';
export {
  ConcatDataset,
  type Dataset,
  type IterableDataset,
  isIterableDataset,
  mapDataset,
  type RandomSplitOptions,
  type RowsOf,
  randomSplit,
  Subset,
  TensorDataset,
  WorkerDataset,
  type WorkerDatasetOptions,
} from './dataset.ts';
export { DistributedSampler, type DistributedSamplerOptions } from './distributed_sampler.ts';
export {
  DataArgumentError,
  DataFormatError,
  DataWorkerError,
  MissingDataPackageError,
  MissingPackageError,
  SampleMismatchError,
} from './errors.ts';
export { type IdxArray, parseIdx } from './idx.ts';
export { type MakeGridOptions, makeGrid } from './make_grid.ts';
export {
  type ArraySample,
  gatherRows,
  isArraySample,
  rowOf,
  stackSamples,
  type TensorArray,
  type TypedArray,
} from './sample.ts';
export {
  type BatchedSampler,
  BatchSampler,
  RandomSampler,
  type RandomSamplerOptions,
  type Sampler,
  SequentialSampler,
  SubsetRandomSampler,
  type SubsetRandomSamplerOptions,
  WeightedRandomSampler,
  type WeightedRandomSamplerOptions,
} from './sampler.ts';
export {
  type AffineInterpolation,
  RandomAffine,
  type RandomAffineOptions,
  RandomRotation,
  type RandomRotationOptions,
} from './transforms/affine.ts';
export {
  ColorJitter,
  type ColorJitterOptions,
  Grayscale,
  type GrayscaleOptions,
  RandomGrayscale,
} from './transforms/color.ts';
export {
  CenterCrop,
  type Fill,
  type ImageSize,
  type Interpolation,
  type PaddingMode,
  RandomCrop,
  type RandomCropOptions,
  RandomHorizontalFlip,
  RandomResizedCrop,
  type RandomResizedCropOptions,
  RandomVerticalFlip,
  Resize,
  type ResizeOptions,
} from './transforms/geometry.ts';
export { ImageClassification, type ImageClassificationOptions } from './transforms/image_classification.ts';
export { CutMix, type MixOptions, MixUp } from './transforms/mix.ts';
export {
  Compose,
  type ImageTransform,
  RandomApply,
  type RandomTransformOptions,
  Transform,
} from './transforms/transform.ts';
export {
  GaussianBlur,
  type GaussianBlurOptions,
  Normalize,
  RandomErasing,
  type RandomErasingOptions,
  ToDtype,
  type ToDtypeOptions,
} from './transforms/values.ts';
