/**
 * Datasets, samplers, loaders, augmentation: what runs anywhere. Image sets, which read files, are in
 * `evenkeel/data/node`.
 * @module evenkeel/data
 */

export { ArrayLoader, type DataLoaderOptions } from './array_loader.ts';
export {
  centerCrop,
  compose,
  normalize,
  type RandomCropOptions,
  type RandomFlipOptions,
  randomCrop,
  randomHorizontalFlip,
  type Transform,
  toFloat,
} from './augment.ts';
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
  SampleMismatchError,
} from './errors.ts';
export { type IdxArray, parseIdx } from './idx.ts';
export { type ImageClassificationOptions, type ImageTransform, imageClassification } from './image_classification.ts';
export { type ImageArray, type Interpolation, type ResizeOptions, resize } from './resize.ts';
export { type ArraySample, gatherRows, isArraySample, rowOf, stackSamples, type TypedArray } from './sample.ts';
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
