/**
 * The root of the package: tensors, operations, autograd, random numbers, engines.
 *
 * Layers are in `evenkeel/nn`, optimizers in `evenkeel/optim`, data in `evenkeel/data`, models in `evenkeel/models`,
 * training in `evenkeel/train`, files of PyTorch, safetensors and NumPy in `evenkeel/io`.
 * @module evenkeel
 */
import './ops/methods.ts';

export {
  type DetectAnomalyOptions,
  detectAnomaly,
  isAnomalyEnabled,
  setDetectAnomaly,
} from './autograd/anomaly.ts';
export { type BackwardOptions, backward, type GradOptions, grad } from './autograd/backward.ts';
export { type CheckpointOptions, checkpoint, isRecomputing } from './autograd/checkpoint.ts';
export { defineFunction, type FunctionDefinition, type OutputGradient } from './autograd/define_function.ts';
export { enableGrad, isGradEnabled, noGrad } from './autograd/grad_mode.ts';
export { type GradcheckOptions, gradcheck, gradgradcheck } from './autograd/gradcheck.ts';
export type { Gradient } from './autograd/node.ts';
export type { Device, EngineName } from './device/backend.ts';
export { getEngine, getNumThreads, setEngine, setNumThreads, synchronize, withDevice } from './device/engine.ts';
export { type ChromeTrace, type Traced, type TracedOperand, type TraceEvent, trace } from './device/trace.ts';
export {
  ArgumentTypeError,
  EvenkeelError,
  IndexError,
  KeyError,
  NotImplementedError,
  RuntimeError,
  ValueError,
} from './errors.ts';
export { isFusionEnabled, setFusion, withFusion } from './fusion/switch.ts';
export { type IndexList, type IndexSpec, type SetIndexOptions, type SliceSpec, setIndex } from './ops/brackets.ts';
export { repeat } from './ops/broadcast.ts';
export { type MultinomialOptions, multinomial, normal } from './ops/choices.ts';
export {
  argwhere,
  atleast1d,
  atleast2d,
  atleast3d,
  blockDiag,
  broadcastShapes,
  type CombinationsOptions,
  cartesianProd,
  combinations,
  diagflat,
  diagonalScatter,
  dsplit,
  expandAs,
  hsplit,
  type PutOptions,
  put,
  reshapeAs,
  selectScatter,
  sliceScatter,
  take,
  unravelIndex,
  type VanderOptions,
  vander,
  viewAs,
  vsplit,
} from './ops/combining.ts';
export { clone, detach, type Placement } from './ops/convert.ts';
export { type CovOptions, corrcoef, cov, renorm } from './ops/covariance.ts';
export {
  cummax,
  cummin,
  cumprod,
  cumulativeTrapezoid,
  type DiffOptions,
  diff,
  logcumsumexp,
  type TrapezoidOptions,
  trapezoid,
} from './ops/cumulative.ts';
export { diag, diagEmbed, diagonal, tril, trilIndices, triu, triuIndices } from './ops/diagonals.ts';
export { type CdistComputeMode, type CdistOptions, cdist, dist } from './ops/distance.ts';
export { einsum } from './ops/einsum.ts';
export type { Operand } from './ops/elementwise/binary.ts';
export * from './ops/elementwise.ts';
export {
  gather,
  type IndexAddOptions,
  indexAdd,
  indexCopy,
  indexFill,
  indexSelect,
  maskedFill,
  maskedScatter,
  maskedSelect,
  nonzero,
  scatter,
  scatterAdd,
  takeAlongDim,
} from './ops/indexing.ts';
export {
  type AddmmOptions,
  addbmm,
  addmm,
  addmv,
  addr,
  baddbmm,
  bmm,
  cross,
  dot,
  inner,
  kron,
  matrixPower,
  mm,
  mv,
  outer,
  tensordot,
  vdot,
} from './ops/linear_algebra.ts';
export { matmul } from './ops/matmul.ts';
export { type PadMode, type PadOptions, pad } from './ops/pad.ts';
export {
  broadcastTensors,
  broadcastToShape as broadcastTo,
  columnStack,
  dstack,
  fliplr,
  flipud,
  hstack,
  type MeshgridOptions,
  meshgrid,
  moveaxis,
  movedim,
  type RepeatInterleaveOptions,
  ravel,
  repeatInterleave,
  roll,
  rot90,
  swapaxes,
  swapdims,
  tensorSplit,
  tile,
  unbind,
  view,
  vstack,
} from './ops/rearranging.ts';
export {
  all,
  amax,
  amin,
  any,
  argmax,
  argmin,
  argsort,
  cumsum,
  type DtypeOption,
  logSoftmax,
  max,
  mean,
  min,
  prod,
  type ReduceOptions,
  type SortOptions,
  softmax,
  sort,
  sum,
  type TopkOptions,
  topk,
  type ValuesAndIndices,
  type VarianceOptions,
  // A reserved word as PyTorch's name: `import * as ek`, then `ek.var(x)`; or `import { var as variance }`.
  variance as var,
} from './ops/reduce.ts';
export {
  indexReduce,
  type ScatterReduceOptions,
  type ScatterReduction,
  scatterReduce,
} from './ops/scatter_reduce.ts';
export {
  type BincountOptions,
  type BucketizeOptions,
  bincount,
  bucketize,
  type HistogramOptions,
  histc,
  histogram,
  type IsinOptions,
  isin,
  type SearchsortedOptions,
  searchsorted,
  type UniqueOptions,
  type UniqueValues,
  unique,
  uniqueConsecutive,
  uniqueConsecutiveWithCounts,
  uniqueWithCounts,
} from './ops/searching.ts';
export {
  chunk,
  expand,
  flatten,
  index,
  narrow,
  permute,
  reshape,
  select,
  slice,
  split,
  squeeze,
  t,
  transpose,
  unflatten,
  unsqueeze,
} from './ops/selecting.ts';
export { cat, flip, stack } from './ops/shape_ops.ts';
export {
  kthvalue,
  median,
  mode,
  msort,
  nanmedian,
  nanquantile,
  type QuantileInterpolation,
  type QuantileOptions,
  quantile,
} from './ops/sorting.ts';
export {
  type AminmaxOptions,
  aminmax,
  countNonzero,
  logsumexp,
  type NormOptions,
  nanmean,
  nansum,
  norm,
  std,
  stdMean,
  varMean,
} from './ops/statistics.ts';
export {
  arange,
  empty,
  emptyLike,
  eye,
  fromTypedArray,
  full,
  fullLike,
  linspace,
  logspace,
  ones,
  onesLike,
  type TensorOptions,
  tensor,
  tensorFromJSON,
  zeros,
  zerosLike,
} from './tensor/create.ts';
export type { DType, TypedArray } from './tensor/dtype.ts';
export { defaultGenerator, Generator, manualSeed } from './tensor/random/index.ts';
export {
  bernoulli,
  type GeneratorOption,
  normal_,
  type RandomOptions,
  rand,
  randint,
  randintLike,
  randLike,
  randn,
  randnLike,
  randperm,
  truncNormal_,
  uniform_,
} from './tensor/random.ts';
export { asyncScope, scope } from './tensor/scope.ts';
export type { MemoryFormat, Shape } from './tensor/shape.ts';
export {
  type AccumulatedHook,
  type GradNode,
  keep,
  type NestedArray,
  Tensor,
  type TensorHook,
  type TensorJSON,
} from './tensor/tensor.ts';
export { setWarningHandler, type WarningCategory, type WarningHandler, warn } from './warnings.ts';
