// The package's root: tensors, operations, autograd, randomness, engines. Layers are in evenkeel/nn, optimizers in evenkeel/optim,
// data in evenkeel/data, training in evenkeel/train.
import './ops/methods.ts';

export { type BackwardOptions, backward, grad } from './autograd/backward.ts';
export { type CheckpointOptions, checkpoint, isRecomputing } from './autograd/checkpoint.ts';
export { defineFunction, type FunctionDefinition, type OutputGradient } from './autograd/define_function.ts';
export { enableGrad, isGradEnabled, noGrad } from './autograd/grad_mode.ts';
export { type GradcheckOptions, gradcheck, gradgradcheck } from './autograd/gradcheck.ts';
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
export type { Device, EngineName } from './kernels/backend.ts';
export { getEngine, getNumThreads, setEngine, setNumThreads, synchronize, withDevice } from './kernels/engine.ts';
export { type IndexList, type IndexSpec, type SetIndexOptions, type SliceSpec, setIndex } from './ops/brackets.ts';
export {
  abs,
  add,
  ceil,
  clamp,
  cos,
  div,
  eq,
  erf,
  exp,
  expm1,
  floor,
  ge,
  gt,
  isfinite,
  isnan,
  le,
  log,
  log1p,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  lt,
  maximum,
  minimum,
  mul,
  ne,
  neg,
  type Operand,
  pow,
  reciprocal,
  remainder,
  round,
  rsqrt,
  sigmoid,
  sign,
  sin,
  sqrt,
  square,
  sub,
  tanh,
  where,
} from './ops/elementwise.ts';
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
export type { Placement } from './ops/launch.ts';
export { matmul } from './ops/matmul.ts';
export {
  all,
  amax,
  amin,
  any,
  argmax,
  argmin,
  cumsum,
  logSoftmax,
  max,
  mean,
  min,
  prod,
  type ReduceOptions,
  softmax,
  sort,
  sum,
  topk,
  type ValuesAndIndices,
  variance,
} from './ops/reduce.ts';
export {
  chunk,
  expand,
  flatten,
  narrow,
  permute,
  reshape,
  select,
  slice,
  split,
  squeeze,
  transpose,
  unflatten,
  unsqueeze,
} from './ops/selecting.ts';
export { cat, flip, pad, repeat, stack } from './ops/shape_ops.ts';
export {
  arange,
  empty,
  emptyLike,
  eye,
  fromTypedArray,
  full,
  fullLike,
  linspace,
  ones,
  onesLike,
  type TensorOptions,
  tensor,
  zeros,
  zerosLike,
} from './tensor/create.ts';
export type { DType, TypedArray } from './tensor/dtype.ts';
export { defaultGenerator, Generator, manualSeed } from './tensor/random/index.ts';
export {
  bernoulli,
  normal_,
  type RandomOptions,
  rand,
  randint,
  randLike,
  randn,
  randnLike,
  randperm,
  truncNormal_,
  uniform_,
} from './tensor/random.ts';
export { asyncScope, scope } from './tensor/scope.ts';
export type { MemoryFormat, Shape } from './tensor/shape.ts';
export { keep, Tensor, type TensorHook } from './tensor/tensor.ts';
export { setWarningHandler, type WarningCategory, type WarningHandler, warn } from './warnings.ts';
