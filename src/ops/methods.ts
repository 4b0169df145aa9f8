// The methods of Tensor: every op that takes a tensor first, and the in-place forms. One table; the functions are defined elsewhere.
import { type BackwardOptions, backward, provideEngineOps, registerHook, retainGrad } from '../autograd/backward.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { requireNumber } from '../checks.ts';
import { emptyLike, fill, full, onesLike, requireRepresentable } from '../tensor/create.ts';
import type { DType } from '../tensor/dtype.ts';
import type { Generator } from '../tensor/random/index.ts';
import { normal_, uniform_ } from '../tensor/random.ts';
import type { MemoryFormat } from '../tensor/shape.ts';
import { Tensor, type TensorHook } from '../tensor/tensor.ts';
import * as elementwise from './elementwise.ts';
import * as index from './indexing.ts';
import { cast, clone, toFormat } from './launch.ts';
import { matmul } from './matmul.ts';
import * as reduce from './reduce.ts';
import * as shape from './shape_ops.ts';
import { expand } from './shape_ops.ts';

const { inPlace, overwrite } = elementwise;

// biome-ignore format: one line a family reads better
const functions: Record<string, (x: Tensor, ...args: never[]) => unknown> = {
  neg: elementwise.neg, abs: elementwise.abs, sign: elementwise.sign, square: elementwise.square, floor: elementwise.floor, ceil: elementwise.ceil, round: elementwise.round,
  sqrt: elementwise.sqrt, rsqrt: elementwise.rsqrt, reciprocal: elementwise.reciprocal, exp: elementwise.exp, expm1: elementwise.expm1, log: elementwise.log, log1p: elementwise.log1p,
  sin: elementwise.sin, cos: elementwise.cos, tanh: elementwise.tanh, erf: elementwise.erf, sigmoid: elementwise.sigmoid, logSigmoid: elementwise.logSigmoid,
  relu: elementwise.relu, leakyRelu: elementwise.leakyRelu, elu: elementwise.elu, selu: elementwise.selu, gelu: elementwise.gelu, silu: elementwise.silu, softplus: elementwise.softplus,
  hardSigmoid: elementwise.hardSigmoid, hardSwish: elementwise.hardSwish, mish: elementwise.mish, clamp: elementwise.clamp,
  logicalNot: elementwise.logicalNot, isnan: elementwise.isnan, isfinite: elementwise.isfinite,
  add: elementwise.add, sub: elementwise.sub, mul: elementwise.mul, div: elementwise.div, pow: elementwise.pow, maximum: elementwise.maximum, minimum: elementwise.minimum, remainder: elementwise.remainder,
  eq: elementwise.eq, ne: elementwise.ne, lt: elementwise.lt, le: elementwise.le, gt: elementwise.gt, ge: elementwise.ge,
  logicalAnd: elementwise.logicalAnd, logicalOr: elementwise.logicalOr, logicalXor: elementwise.logicalXor, maskedFill: elementwise.maskedFill, detach: elementwise.detach,
  sum: reduce.sum, mean: reduce.mean, prod: reduce.prod, var: reduce.variance, amax: reduce.amax, amin: reduce.amin, argmax: reduce.argmax, argmin: reduce.argmin,
  any: reduce.any, all: reduce.all, cumsum: reduce.cumsum, topk: reduce.topk, sort: reduce.sort, softmax: reduce.softmax, logSoftmax: reduce.logSoftmax,
  reshape: shape.reshape, flatten: shape.flatten, unflatten: shape.unflatten, squeeze: shape.squeeze, unsqueeze: shape.unsqueeze, permute: shape.permute, transpose: shape.transpose,
  expand: shape.expand, repeat: shape.repeat, narrow: shape.narrow, slice: shape.slice, select: shape.select, flip: shape.flip, pad: shape.pad, split: shape.split, chunk: shape.chunk,
  index: index.index, indexSelect: index.indexSelect, indexAdd: index.indexAdd, gather: index.gather, scatterAdd: index.scatterAdd, maskedSelect: index.maskedSelect,
  matmul, clone,
};

/** Overwrites every value by what `write` puts into a tensor; where that is recorded, nothing flows to what was there before. */
function overwritten(name: string, x: Tensor, write: (to: Tensor) => void): Tensor {
  if (isGradEnabled() && x.requiresGrad)
    return inPlace(name, x, (before) => {
      const values = emptyLike(x);
      write(values);
      return elementwise.where(full(x.shape, true), values, before);
    });
  write(x);
  return x;
}

type Operand = elementwise.Operand;
const methods: Record<string, (this: Tensor, ...args: never[]) => unknown> = {
  max(this: Tensor, dim?: number, options?: reduce.ReduceOptions) {
    return dim === undefined ? reduce.max(this) : reduce.max(this, dim, options);
  },
  min(this: Tensor, dim?: number, options?: reduce.ReduceOptions) {
    return dim === undefined ? reduce.min(this) : reduce.min(this, dim, options);
  },
  /** Transposed matrix: the last two dimensions exchanged. */
  t(this: Tensor) {
    return this.rank < 2 ? this : shape.transpose(this, -2, -1);
  },
  /** Converted to a dtype (PyTorch: `Tensor.to`). */
  to(this: Tensor, dtype: DType) {
    return cast(this, dtype);
  },
  /** Dense in the given memory format, row-major by default (PyTorch: `Tensor.contiguous`). */
  contiguous(this: Tensor, memoryFormat: MemoryFormat = 'contiguous') {
    return toFormat(this, memoryFormat);
  },
  /** See `backward` in autograd: accumulates the gradients of all leaves. */
  backward(this: Tensor, gradient?: Tensor | null, options?: BackwardOptions) {
    backward([this], [gradient], options);
  },
  /** Calls `hook` with the gradient of this tensor; what it returns replaces it. Returns a function that removes the hook. */
  registerHook(this: Tensor, hook: TensorHook) {
    return registerHook(this, hook);
  },
  /** Makes a non-leaf tensor keep its `.grad`. */
  retainGrad(this: Tensor) {
    retainGrad(this);
  },
  add_(this: Tensor, other: Operand, alpha = 1) {
    return inPlace('add_', this, (x) => elementwise.add(x, other, alpha));
  },
  sub_(this: Tensor, other: Operand, alpha = 1) {
    return inPlace('sub_', this, (x) => elementwise.sub(x, other, alpha));
  },
  mul_(this: Tensor, other: Operand) {
    return inPlace('mul_', this, (x) => elementwise.mul(x, other));
  },
  div_(this: Tensor, other: Operand) {
    return inPlace('div_', this, (x) => elementwise.div(x, other));
  },
  pow_(this: Tensor, exponent: Operand) {
    return inPlace('pow_', this, (x) => elementwise.pow(x, exponent));
  },
  neg_(this: Tensor) {
    return inPlace('neg_', this, (x) => elementwise.neg(x));
  },
  exp_(this: Tensor) {
    return inPlace('exp_', this, (x) => elementwise.exp(x));
  },
  sqrt_(this: Tensor) {
    return inPlace('sqrt_', this, (x) => elementwise.sqrt(x));
  },
  relu_(this: Tensor) {
    return inPlace('relu_', this, (x) => elementwise.relu(x));
  },
  sigmoid_(this: Tensor) {
    return inPlace('sigmoid_', this, (x) => elementwise.sigmoid(x));
  },
  tanh_(this: Tensor) {
    return inPlace('tanh_', this, (x) => elementwise.tanh(x));
  },
  clamp_(this: Tensor, min?: number, max?: number) {
    return inPlace('clamp_', this, (x) => elementwise.clamp(x, min, max));
  },
  /** x + value·a·b (PyTorch: `Tensor.addcmul_`). */
  addcmul_(this: Tensor, a: Tensor, b: Tensor, value = 1) {
    requireNumber('addcmul_', 'value', value);
    return inPlace('addcmul_', this, (x) => elementwise.add(x, elementwise.mul(a, b), value));
  },
  /** x + value·a/b (PyTorch: `Tensor.addcdiv_`). */
  addcdiv_(this: Tensor, a: Tensor, b: Tensor, value = 1) {
    requireNumber('addcdiv_', 'value', value);
    return inPlace('addcdiv_', this, (x) => elementwise.add(x, elementwise.div(a, b), value));
  },
  /** x + weight·(end − x), from the nearer end, so that a weight of 1 gives `end` (PyTorch: `Tensor.lerp_`). */
  lerp_(this: Tensor, end: Tensor, weight: number) {
    requireNumber('lerp_', 'weight', weight);
    return inPlace('lerp_', this, (x) => {
      const way = elementwise.sub(end, x);
      return weight < 0.5 ? elementwise.add(x, way, weight) : elementwise.sub(end, way, 1 - weight);
    });
  },
  maskedFill_(this: Tensor, mask: Tensor, value: number) {
    return inPlace('maskedFill_', this, (x) => elementwise.maskedFill(x, mask, value));
  },
  /** Overwrites the values by those of `source`, broadcast and converted (PyTorch: `Tensor.copy_`). */
  copy_(this: Tensor, source: Tensor) {
    if (isGradEnabled() && (this.requiresGrad || source.requiresGrad))
      return inPlace('copy_', this, () => expand(cast(source, this.dtype), this.shape));
    overwrite(this, toFormat(expand(cast(source, this.dtype), this.shape), this.memoryFormat));
    return this;
  },
  fill_(this: Tensor, value: number) {
    requireNumber('fill_', 'value', value);
    return overwritten('fill_', this, (to) => {
      requireRepresentable(value, to.dtype);
      to.storage.beginChange();
      fill(to, value);
    });
  },
  zero_(this: Tensor) {
    return this.fill_(0);
  },
  uniform_(this: Tensor, from = 0, to = 1, generator?: Generator) {
    return overwritten('uniform_', this, (x) => uniform_(x, from, to, generator));
  },
  normal_(this: Tensor, mean = 0, std = 1, generator?: Generator) {
    return overwritten('normal_', this, (x) => normal_(x, mean, std, generator));
  },
};

// Written out, since a type computed from the table above would refer to itself.
declare module '../tensor/tensor.ts' {
  interface Tensor extends TensorMethods {}
}

type Unary = () => Tensor;
type Dims = number | readonly number[];
type ValuesAndIndices = reduce.ValuesAndIndices;

/** The operations as methods; each is documented at the function of its name, with the tensor as its first argument. */
// biome-ignore format: the names read better in rows
export interface TensorMethods
  extends Record<
    | 'neg' | 'abs' | 'sign' | 'square' | 'floor' | 'ceil' | 'round' | 'sqrt' | 'rsqrt' | 'reciprocal' | 'exp' | 'expm1' | 'log' | 'log1p'
    | 'sin' | 'cos' | 'tanh' | 'erf' | 'sigmoid' | 'logSigmoid' | 'relu' | 'selu' | 'silu' | 'hardSigmoid' | 'hardSwish' | 'mish'
    | 'logicalNot' | 'isnan' | 'isfinite' | 'detach' | 'clone' | 't'
    | 'neg_' | 'exp_' | 'sqrt_' | 'relu_' | 'sigmoid_' | 'tanh_' | 'zero_',
    Unary
  >,
    Record<
      | 'mul' | 'div' | 'pow' | 'maximum' | 'minimum' | 'remainder' | 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'
      | 'logicalAnd' | 'logicalOr' | 'logicalXor' | 'mul_' | 'div_' | 'pow_',
      (other: Operand) => Tensor
    >,
    Record<'add' | 'sub' | 'add_' | 'sub_', (other: Operand, alpha?: number) => Tensor>,
    Record<'sum' | 'mean' | 'amax' | 'amin' | 'any' | 'all', (dim?: Dims, options?: reduce.ReduceOptions) => Tensor>,
    Record<'argmax' | 'argmin' | 'prod', (dim?: number, options?: reduce.ReduceOptions) => Tensor>,
    Record<'softmax' | 'logSoftmax' | 'cumsum' | 'unsqueeze', (dim: number) => Tensor>,
    Record<'reshape' | 'permute' | 'expand' | 'repeat', (shape: readonly number[]) => Tensor>,
    Record<'clamp' | 'clamp_', (min?: number, max?: number) => Tensor>,
    Record<'maskedFill' | 'maskedFill_', (mask: Tensor, value: number) => Tensor>,
    Record<'addcmul_' | 'addcdiv_', (a: Tensor, b: Tensor, value?: number) => Tensor>,
    Record<'uniform_' | 'normal_', (a?: number, b?: number, generator?: Generator) => Tensor> {
  max(): Tensor;
  max(dim: number, options?: reduce.ReduceOptions): ValuesAndIndices;
  min(): Tensor;
  min(dim: number, options?: reduce.ReduceOptions): ValuesAndIndices;
  var(dim?: Dims, options?: reduce.VarianceOptions): Tensor;
  topk(k: number, dim?: number, options?: { largest?: boolean }): ValuesAndIndices;
  sort(dim?: number, options?: { descending?: boolean }): ValuesAndIndices;
  leakyRelu(negativeSlope?: number): Tensor;
  elu(alpha?: number): Tensor;
  gelu(options?: { approximate?: 'none' | 'tanh' }): Tensor;
  softplus(beta?: number, threshold?: number): Tensor;
  flatten(start?: number, end?: number): Tensor;
  unflatten(dim: number, sizes: readonly number[]): Tensor;
  squeeze(dim?: Dims): Tensor;
  transpose(dim0: number, dim1: number): Tensor;
  narrow(dim: number, start: number, length: number): Tensor;
  slice(dim: number, start?: number, end?: number, step?: number): Tensor;
  select(dim: number, index: number): Tensor;
  flip(dims: Dims): Tensor;
  pad(padding: readonly number[], value?: number): Tensor;
  split(sizes: Dims, dim?: number): Tensor[];
  chunk(count: number, dim?: number): Tensor[];
  index(...specs: index.IndexSpec[]): Tensor;
  indexSelect(dim: number, index: Tensor): Tensor;
  indexAdd(dim: number, index: Tensor, source: Tensor): Tensor;
  gather(dim: number, index: Tensor): Tensor;
  scatterAdd(dim: number, index: Tensor, source: Tensor): Tensor;
  maskedSelect(mask: Tensor): Tensor;
  matmul(other: Tensor): Tensor;
  to(dtype: DType): Tensor;
  contiguous(memoryFormat?: MemoryFormat): Tensor;
  lerp_(end: Tensor, weight: number): Tensor;
  copy_(source: Tensor): Tensor;
  fill_(value: number): Tensor;
  backward(gradient?: Tensor | null, options?: BackwardOptions): void;
  registerHook(hook: TensorHook): () => void;
  retainGrad(): void;
}

for (const [name, fn] of Object.entries(functions))
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...args: never[]) {
      return fn(this, ...args);
    },
    writable: true,
    configurable: true,
  });
for (const [name, fn] of Object.entries(methods))
  Object.defineProperty(Tensor.prototype, name, { value: fn, writable: true, configurable: true });

provideEngineOps({
  add: elementwise.add,
  addInPlace: elementwise.addOver,
  clone,
  toFormat,
  onesLike,
});
