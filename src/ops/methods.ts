// The methods of Tensor: every op that takes a tensor first, and the in-place forms. One table; the functions are defined elsewhere.
import { type BackwardOptions, backward, provideEngineOps, registerHook, retainGrad } from '../autograd/backward.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { requireElement, requireNumber } from '../checks.ts';
import type { Device } from '../device/backend.ts';
import { ArgumentTypeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { emptyLike, fill, onesLike, requireRepresentable } from '../tensor/create.ts';
import type { DType } from '../tensor/dtype.ts';
import { bernoulli, type GeneratorOption, normal_, uniform_ } from '../tensor/random.ts';
import { warnIfSelected } from '../tensor/selected.ts';
import type { MemoryFormat } from '../tensor/shape.ts';
import { Tensor, type TensorHook } from '../tensor/tensor.ts';
import * as brackets from './brackets.ts';
import * as elementwise from './elementwise.ts';
import * as index from './indexing.ts';
import { cast, clone, converted, type Placement, requireTensor, to, toFormat } from './launch.ts';
import { matmul } from './matmul.ts';
import { type PadOptions, pad } from './pad_modes.ts';
import * as reduce from './reduce.ts';
import * as selecting from './selecting.ts';
import * as shape from './shape_ops.ts';
import { broadcastTo } from './shape_ops.ts';

const { inPlace, overwrite } = elementwise;

// biome-ignore format: one line a family reads better
const functions: Record<string, (x: Tensor, ...args: never[]) => unknown> = {
  neg: elementwise.neg, abs: elementwise.abs, sign: elementwise.sign, square: elementwise.square, floor: elementwise.floor, ceil: elementwise.ceil, round: elementwise.round,
  sqrt: elementwise.sqrt, rsqrt: elementwise.rsqrt, reciprocal: elementwise.reciprocal, exp: elementwise.exp, expm1: elementwise.expm1, log: elementwise.log, log1p: elementwise.log1p,
  sin: elementwise.sin, cos: elementwise.cos, tanh: elementwise.tanh, erf: elementwise.erf, sigmoid: elementwise.sigmoid, logsigmoid: elementwise.logsigmoid,
  relu: elementwise.relu, leakyRelu: elementwise.leakyRelu, elu: elementwise.elu, selu: elementwise.selu, gelu: elementwise.gelu, silu: elementwise.silu, softplus: elementwise.softplus,
  hardsigmoid: elementwise.hardsigmoid, hardswish: elementwise.hardswish, hardtanh: elementwise.hardtanh, mish: elementwise.mish, clamp: elementwise.clamp,
  logicalNot: elementwise.logicalNot, isnan: elementwise.isnan, isfinite: elementwise.isfinite,
  add: elementwise.add, sub: elementwise.sub, mul: elementwise.mul, div: elementwise.div, pow: elementwise.pow, maximum: elementwise.maximum, minimum: elementwise.minimum, remainder: elementwise.remainder,
  eq: elementwise.eq, ne: elementwise.ne, lt: elementwise.lt, le: elementwise.le, gt: elementwise.gt, ge: elementwise.ge,
  logicalAnd: elementwise.logicalAnd, logicalOr: elementwise.logicalOr, logicalXor: elementwise.logicalXor, detach: elementwise.detach,
  sum: reduce.sum, mean: reduce.mean, prod: reduce.prod, var: reduce.variance, amax: reduce.amax, amin: reduce.amin, argmax: reduce.argmax, argmin: reduce.argmin,
  any: reduce.any, all: reduce.all, cumsum: reduce.cumsum, topk: reduce.topk, sort: reduce.sort, softmax: reduce.softmax, logSoftmax: reduce.logSoftmax,
  flatten: selecting.flatten, unflatten: selecting.unflatten, squeeze: selecting.squeeze, unsqueeze: selecting.unsqueeze, transpose: selecting.transpose, t: selecting.t,
  narrow: selecting.narrow, slice: selecting.slice, select: selecting.select, pad, split: selecting.split, chunk: selecting.chunk,
  index: selecting.index, indexSelect: index.indexSelect, indexAdd: index.indexAdd, indexCopy: index.indexCopy, indexFill: index.indexFill,
  gather: index.gather, scatter: index.scatter, scatterAdd: index.scatterAdd, takeAlongDim: index.takeAlongDim, maskedFill: index.maskedFill, maskedSelect: index.maskedSelect, maskedScatter: index.maskedScatter, nonzero: index.nonzero,
  matmul, clone, bernoulli,
};

/** Methods that take sizes or dimensions as one array, or one after the other: `reshape([2, 3])`, `reshape(2, 3)`. */
const takingSizes: Record<string, (x: Tensor, sizes: readonly number[]) => Tensor> = {
  reshape: selecting.reshape,
  permute: selecting.permute,
  expand: selecting.expand,
  repeat: shape.repeat,
  flip: shape.flip,
};

/** Overwrites every value by what `write` puts into a tensor; where that is recorded, nothing flows to what was there before. */
function overwritten(name: string, x: Tensor, write: (to: Tensor) => void): Tensor {
  if (isGradEnabled() && x.requiresGrad) {
    const values = emptyLike(x);
    write(values);
    return brackets.assign(name, x, [], values);
  }
  write(x);
  return x;
}

/** See `alphaOption` in elementwise.ts. */
function alphaOptionOf(op: string, options: elementwise.AlphaOption | undefined): number | boolean {
  requireOptions(op, options, elementwise.alphaOption);
  return options?.alpha ?? 1;
}

export interface ValueOption {
  /** Factor of what is added. Default: 1. */
  value?: number;
}
const valueOption = declareOptions<ValueOption>({ value: kind.number });
function valueOptionOf(op: string, options: ValueOption | undefined): number {
  requireOptions(op, options, valueOption);
  return requireNumber(op, 'value', options?.value ?? 1);
}

type Operand = elementwise.Operand;
const methods: Record<string, (this: Tensor, ...args: never[]) => unknown> = {
  max(this: Tensor, dim?: number, options?: reduce.ReduceOptions) {
    return dim === undefined ? reduce.max(this) : reduce.max(this, dim, options);
  },
  min(this: Tensor, dim?: number, options?: reduce.ReduceOptions) {
    return dim === undefined ? reduce.min(this) : reduce.min(this, dim, options);
  },
  to(this: Tensor, target: Device | DType | Placement) {
    return to(this, target);
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
  add_(this: Tensor, other: Operand, options?: elementwise.AlphaOption) {
    const alpha = alphaOptionOf('add_', options);
    return inPlace('add_', this, (x) => elementwise.addScaled(x, other, alpha));
  },
  sub_(this: Tensor, other: Operand, options?: elementwise.AlphaOption) {
    const alpha = alphaOptionOf('sub_', options);
    return inPlace('sub_', this, (x) => elementwise.subScaled(x, other, alpha));
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
  addcmul_(this: Tensor, a: Tensor, b: Tensor, options?: ValueOption) {
    const value = valueOptionOf('addcmul_', options);
    return inPlace('addcmul_', this, (x) => elementwise.addScaled(x, elementwise.mul(a, b), value));
  },
  /** x + value·a/b (PyTorch: `Tensor.addcdiv_`). */
  addcdiv_(this: Tensor, a: Tensor, b: Tensor, options?: ValueOption) {
    const value = valueOptionOf('addcdiv_', options);
    return inPlace('addcdiv_', this, (x) => elementwise.addScaled(x, elementwise.div(a, b), value));
  },
  /** x + weight·(end − x), from the nearer end, so that a weight of 1 gives `end` (PyTorch: `Tensor.lerp_`). */
  lerp_(this: Tensor, end: Tensor, weight: number) {
    requireNumber('lerp_', 'weight', weight);
    return inPlace('lerp_', this, (x) => {
      const way = elementwise.sub(end, x);
      return weight < 0.5 ? elementwise.addScaled(x, way, weight) : elementwise.subScaled(end, way, 1 - weight);
    });
  },
  maskedFill_(this: Tensor, mask: Tensor, value: Operand) {
    return inPlace('maskedFill_', this, (x) => index.maskedFill(x, mask, value));
  },
  /** Writes to a place of this tensor; see `setIndex`. */
  setIndex(
    this: Tensor,
    spec: brackets.IndexSpec | readonly brackets.IndexSpec[],
    value: number | boolean | Tensor,
    options?: brackets.SetIndexOptions,
  ) {
    return brackets.setIndex(this, spec, value, options);
  },
  /** Overwrites the values by those of `source`, broadcast and converted (PyTorch: `Tensor.copy_`). */
  copy_(this: Tensor, given: Tensor) {
    requireTensor('copy_', given);
    const source = given.device === this.device ? given : converted(given, given.dtype, this.backend);
    if (isGradEnabled() && (this.requiresGrad || source.requiresGrad))
      return brackets.assign('copy_', this, [], broadcastTo(source, this.shape));
    overwrite(this, toFormat(broadcastTo(cast(source, this.dtype), this.shape), this.memoryFormat));
    return this;
  },
  fill_(this: Tensor, value: number | boolean) {
    const element = requireElement('fill_', 'value', value);
    return overwritten('fill_', this, (to) => {
      requireRepresentable(element, to.dtype);
      to.storage.beginChange();
      fill(to, element);
    });
  },
  zero_(this: Tensor) {
    return this.fill_(0);
  },
  uniform_(this: Tensor, from = 0, to = 1, options?: GeneratorOption) {
    return overwritten('uniform_', this, (x) => uniform_(x, from, to, options));
  },
  normal_(this: Tensor, mean = 0, std = 1, options?: GeneratorOption) {
    return overwritten('normal_', this, (x) => normal_(x, mean, std, options));
  },
};

// Written out, since a type computed from the table above would refer to itself.
declare module '../tensor/tensor.ts' {
  interface Tensor extends TensorMethods {}
}

type Unary = () => Tensor;
type Dims = number | readonly number[];
interface TakingSizes {
  (...sizes: number[]): Tensor;
  (sizes: readonly number[]): Tensor;
}
type ValuesAndIndices = reduce.ValuesAndIndices;

/** The operations as methods; each is documented at the function of its name, with the tensor as its first argument. */
// biome-ignore format: the names read better in rows
export interface TensorMethods
  extends Record<
    | 'neg' | 'abs' | 'sign' | 'square' | 'floor' | 'ceil' | 'round' | 'sqrt' | 'rsqrt' | 'reciprocal' | 'exp' | 'expm1' | 'log' | 'log1p'
    | 'sin' | 'cos' | 'tanh' | 'erf' | 'sigmoid' | 'logsigmoid' | 'relu' | 'selu' | 'silu' | 'hardsigmoid' | 'hardswish' | 'mish'
    | 'logicalNot' | 'isnan' | 'isfinite' | 'nonzero' | 'detach' | 'clone' | 't'
    | 'neg_' | 'exp_' | 'sqrt_' | 'relu_' | 'sigmoid_' | 'tanh_' | 'zero_',
    Unary
  >,
    Record<
      | 'mul' | 'div' | 'pow' | 'maximum' | 'minimum' | 'remainder' | 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'
      | 'logicalAnd' | 'logicalOr' | 'logicalXor' | 'mul_' | 'div_' | 'pow_',
      (other: Operand) => Tensor
    >,
    Record<'add' | 'sub' | 'add_' | 'sub_', (other: Operand, options?: elementwise.AlphaOption) => Tensor>,
    Record<'sum' | 'mean' | 'amax' | 'amin' | 'any' | 'all', (dim?: Dims, options?: reduce.ReduceOptions) => Tensor>,
    Record<'argmax' | 'argmin' | 'prod', (dim?: number, options?: reduce.ReduceOptions) => Tensor>,
    Record<'softmax' | 'logSoftmax' | 'cumsum' | 'unsqueeze', (dim: number) => Tensor>,
    Record<'reshape' | 'permute' | 'expand' | 'repeat' | 'flip', TakingSizes>,
    Record<'clamp' | 'clamp_', (min?: number, max?: number) => Tensor>,
    Record<'maskedFill' | 'maskedFill_', (mask: Tensor, value: Operand) => Tensor>,
    Record<'addcmul_' | 'addcdiv_', (a: Tensor, b: Tensor, options?: ValueOption) => Tensor>,
    Record<'uniform_' | 'normal_', (a?: number, b?: number, options?: GeneratorOption) => Tensor> {
  max(): Tensor;
  max(dim: number, options?: reduce.ReduceOptions): ValuesAndIndices;
  min(): Tensor;
  min(dim: number, options?: reduce.ReduceOptions): ValuesAndIndices;
  var(dim?: Dims, options?: reduce.VarianceOptions): Tensor;
  topk(k: number, dim?: number, options?: reduce.TopkOptions): ValuesAndIndices;
  sort(dim?: number, options?: reduce.SortOptions): ValuesAndIndices;
  leakyRelu(options?: elementwise.LeakyReluOptions): Tensor;
  elu(options?: elementwise.EluOptions): Tensor;
  gelu(options?: elementwise.GeluOptions): Tensor;
  softplus(options?: elementwise.SoftplusOptions): Tensor;
  hardtanh(options?: elementwise.HardtanhOptions): Tensor;
  bernoulli(options?: GeneratorOption): Tensor;
  flatten(startDim?: number, endDim?: number): Tensor;
  unflatten(dim: number, sizes: readonly number[]): Tensor;
  squeeze(dim?: Dims): Tensor;
  transpose(dim0: number, dim1: number): Tensor;
  narrow(dim: number, start: number, length: number): Tensor;
  slice(dim: number, start?: number, end?: number, step?: number): Tensor;
  select(dim: number, index: number): Tensor;
  pad(padding: readonly number[], options?: PadOptions): Tensor;
  split(sizes: Dims, dim?: number): Tensor[];
  chunk(count: number, dim?: number): Tensor[];
  index(...specs: brackets.IndexSpec[]): Tensor;
  setIndex(
    spec: brackets.IndexSpec | readonly brackets.IndexSpec[],
    value: number | boolean | Tensor,
    options?: brackets.SetIndexOptions,
  ): Tensor;
  indexSelect(dim: number, index: Tensor): Tensor;
  indexAdd(dim: number, index: Tensor, source: Tensor, options?: index.IndexAddOptions): Tensor;
  indexCopy(dim: number, index: Tensor, source: Tensor): Tensor;
  indexFill(dim: number, index: Tensor, value: Operand): Tensor;
  gather(dim: number, index: Tensor): Tensor;
  scatter(dim: number, index: Tensor, source: Operand): Tensor;
  scatterAdd(dim: number, index: Tensor, source: Tensor): Tensor;
  takeAlongDim(indices: Tensor, dim?: number): Tensor;
  maskedSelect(mask: Tensor): Tensor;
  maskedScatter(mask: Tensor, source: Tensor): Tensor;
  matmul(other: Tensor): Tensor;
  to(target: Device | DType | Placement): Tensor;
  contiguous(memoryFormat?: MemoryFormat): Tensor;
  lerp_(end: Tensor, weight: number): Tensor;
  copy_(source: Tensor): Tensor;
  fill_(value: number | boolean): Tensor;
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
for (const [name, fn] of Object.entries(takingSizes))
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...sizes: (number | readonly number[])[]) {
      if (sizes.length === 0) throw new ArgumentTypeError(`[${name}] expected sizes or dimensions, got no argument`);
      return fn(this, (sizes.length === 1 && typeof sizes[0] !== 'number' ? sizes[0] : sizes) as readonly number[]);
    },
    writable: true,
    configurable: true,
  });
for (const [name, fn] of Object.entries(methods)) {
  const isInPlace = name.endsWith('_') || name === 'setIndex';
  Object.defineProperty(Tensor.prototype, name, {
    value: isInPlace
      ? function (this: Tensor, ...args: never[]) {
          if (this.storage.selectedBy !== null) warnIfSelected(name, this);
          return fn.apply(this, args);
        }
      : fn,
    writable: true,
    configurable: true,
  });
}

provideEngineOps({
  add: elementwise.add,
  addInPlace: elementwise.addOver,
  clone,
  toFormat,
  cast,
  sumTo: reduce.sumTo,
  onesLike,
});
