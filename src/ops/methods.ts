// The methods of Tensor: every op that takes a tensor first, and the in-place forms. One table; the functions are
// defined elsewhere.
import {
  type BackwardOptions,
  backward,
  provideEngineOps,
  registerHook,
  registerPostAccumulateGradHook,
  retainGrad,
} from '../autograd/backward.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { requireElement, requireIntegers, requireNumber } from '../checks.ts';
import type { Device } from '../device/backend.ts';
import { ArgumentTypeError, RuntimeError } from '../errors.ts';
import { requireOptions } from '../options.ts';
import {
  empty,
  emptyLike,
  fill,
  full,
  ones,
  onesLike,
  requireRepresentable,
  type TensorOptions,
  tensor,
  tensorOptions,
  zeros,
} from '../tensor/create.ts';
import { type DType, isFloat } from '../tensor/dtype.ts';
import type * as random from '../tensor/random.ts';
import { bernoulli, type GeneratorOption, normal_, uniform_ } from '../tensor/random.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { warnIfSelected } from '../tensor/selected.ts';
import { broadcastShapes, formatShape, type MemoryFormat, type Shape, sameShape } from '../tensor/shape.ts';
import { type AccumulatedHook, type NestedArray, Tensor, type TensorHook } from '../tensor/tensor.ts';
import * as brackets from './brackets.ts';
import type * as broadcast from './broadcast.ts';
import { broadcastTo, repeat, sumTo } from './broadcast.ts';
import * as choices from './choices.ts';
import * as combining from './combining.ts';
import type * as convert from './convert.ts';
import { cast, clone, converted, detach, type Placement, to, toFormat } from './convert.ts';
import * as covariance from './covariance.ts';
import * as cumulative from './cumulative.ts';
import * as diagonals from './diagonals.ts';
import * as distance from './distance.ts';
import { alphaOption, divOptions, type Operand, valueOption } from './elementwise/binary.ts';
import * as elementwise from './elementwise.ts';
import { addOver, inPlace, overwrite } from './in_place.ts';
import * as index from './indexing.ts';
import * as algebra from './linear_algebra.ts';
import type * as matrices from './matmul.ts';
import { matmul } from './matmul.ts';
import type * as padding from './pad.ts';
import { pad } from './pad.ts';
import * as rearranging from './rearranging.ts';
import * as reduce from './reduce.ts';
import * as scattering from './scatter_reduce.ts';
import * as searching from './searching.ts';
import * as selecting from './selecting.ts';
import * as shape from './shape_ops.ts';
import * as sorting from './sorting.ts';
import * as statistics from './statistics.ts';

/** The functions of elements, but for `where`, whose first argument is the condition. */
const { where: _, ...functionsOfElements } = elementwise;

// biome-ignore format: one line a family reads better
const functions: Record<string, (x: Tensor, ...args: never[]) => unknown> = {
  ...functionsOfElements,
  sum: reduce.sum, mean: reduce.mean, prod: reduce.prod, var: reduce.variance, amax: reduce.amax, amin: reduce.amin, argmax: reduce.argmax, argmin: reduce.argmin,
  any: reduce.any, all: reduce.all, cumsum: reduce.cumsum, topk: reduce.topk, sort: reduce.sort, softmax: reduce.softmax, logSoftmax: reduce.logSoftmax,
  flatten: selecting.flatten, unflatten: selecting.unflatten, squeeze: selecting.squeeze, unsqueeze: selecting.unsqueeze, transpose: selecting.transpose, t: selecting.t,
  narrow: selecting.narrow, slice: selecting.slice, select: selecting.select, pad, split: selecting.split, chunk: selecting.chunk,
  index: selecting.index, indexSelect: index.indexSelect, indexAdd: index.indexAdd, indexCopy: index.indexCopy, indexFill: index.indexFill,
  gather: index.gather, scatter: index.scatter, scatterAdd: index.scatterAdd, takeAlongDim: index.takeAlongDim, maskedFill: index.maskedFill, maskedSelect: index.maskedSelect, maskedScatter: index.maskedScatter, nonzero: index.nonzero,
  matmul, clone, detach, bernoulli,
  argsort: reduce.argsort, kthvalue: sorting.kthvalue,
  std: statistics.std, varMean: statistics.varMean, stdMean: statistics.stdMean, logsumexp: statistics.logsumexp, norm: statistics.norm,
  nansum: statistics.nansum, nanmean: statistics.nanmean, countNonzero: statistics.countNonzero, aminmax: statistics.aminmax,
  unbind: rearranging.unbind, movedim: rearranging.movedim, moveaxis: rearranging.moveaxis, swapaxes: rearranging.swapaxes, swapdims: rearranging.swapdims,
  ravel: rearranging.ravel, roll: rearranging.roll, repeatInterleave: rearranging.repeatInterleave, fliplr: rearranging.fliplr, flipud: rearranging.flipud,
  rot90: rearranging.rot90, tensorSplit: rearranging.tensorSplit,
  tril: diagonals.tril, triu: diagonals.triu, diag: diagonals.diag, diagonal: diagonals.diagonal, diagEmbed: diagonals.diagEmbed,
  mm: algebra.mm, bmm: algebra.bmm, mv: algebra.mv, dot: algebra.dot, outer: algebra.outer, addmm: algebra.addmm, addmv: algebra.addmv, addr: algebra.addr,
  baddbmm: algebra.baddbmm, addbmm: algebra.addbmm, kron: algebra.kron, inner: algebra.inner, vdot: algebra.vdot, cross: algebra.cross, matrixPower: algebra.matrixPower,
  cumprod: cumulative.cumprod, cummax: cumulative.cummax, cummin: cumulative.cummin, logcumsumexp: cumulative.logcumsumexp, diff: cumulative.diff,
  quantile: sorting.quantile, nanquantile: sorting.nanquantile, mode: sorting.mode, msort: sorting.msort,
  unique: searching.unique, uniqueConsecutive: searching.uniqueConsecutive, bincount: searching.bincount, histc: searching.histc, histogram: searching.histogram,
  scatterReduce: scattering.scatterReduce, indexReduce: scattering.indexReduce,
  cov: covariance.cov, corrcoef: covariance.corrcoef, renorm: covariance.renorm, dist: distance.dist, multinomial: choices.multinomial,
  hsplit: combining.hsplit, vsplit: combining.vsplit, dsplit: combining.dsplit, diagflat: combining.diagflat, selectScatter: combining.selectScatter,
  sliceScatter: combining.sliceScatter, diagonalScatter: combining.diagonalScatter, take: combining.take, put: combining.put, argwhere: combining.argwhere,
  expandAs: combining.expandAs, reshapeAs: combining.reshapeAs, viewAs: combining.viewAs,
};

/** Methods that take sizes or dimensions as one array, or one after the other: `reshape([2, 3])`, `reshape(2, 3)`. */
const takingSizes: Record<string, (x: Tensor, sizes: readonly number[]) => Tensor> = {
  reshape: selecting.reshape,
  permute: selecting.permute,
  expand: selecting.expand,
  repeat,
  flip: shape.flip,
  view: rearranging.view,
  tile: rearranging.tile,
  broadcastTo: rearranging.broadcastToShape,
};

/**
 * Overwrites every value by what `write` puts into a tensor; where that is recorded, nothing flows to what was there
 * before.
 */
function overwritten(name: string, x: Tensor, write: (to: Tensor) => void): Tensor {
  if (isGradEnabled() && x.requiresGrad) {
    const values = emptyLike(x);
    write(values);
    return brackets.assign(name, x, [], values);
  }
  write(x);
  return x;
}

/** Options of a new tensor, with dtype and device of another. */
function beside(op: string, x: Tensor, options: TensorOptions): TensorOptions {
  requireOptions(op, options, tensorOptions);
  return { ...options, dtype: options.dtype ?? x.dtype, device: options.device ?? x.device };
}

const methods: Record<string, (this: Tensor, ...args: never[]) => unknown> = {
  dim(this: Tensor) {
    return this.rank;
  },
  numel(this: Tensor) {
    return this.size;
  },
  max(this: Tensor, dim?: number, options?: reduce.ReduceOptions) {
    return dim === undefined ? reduce.max(this) : reduce.max(this, dim, options);
  },
  median(this: Tensor, dim?: number, options?: reduce.ReduceOptions) {
    return dim === undefined ? sorting.median(this) : sorting.median(this, dim, options);
  },
  nanmedian(this: Tensor, dim?: number, options?: reduce.ReduceOptions) {
    return dim === undefined ? sorting.nanmedian(this) : sorting.nanmedian(this, dim, options);
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
  /**
   * Calls `hook` with the gradient of this tensor; what it returns replaces it. Returns a function that removes the
   * hook.
   */
  registerHook(this: Tensor, hook: TensorHook) {
    return registerHook(this, hook);
  },
  /** Calls `hook` with this leaf when a backward has added to its `.grad`. Returns a function that removes the hook. */
  registerPostAccumulateGradHook(this: Tensor, hook: AccumulatedHook) {
    return registerPostAccumulateGradHook(this, hook);
  },
  /** Makes a non-leaf tensor keep its `.grad`. */
  retainGrad(this: Tensor) {
    retainGrad(this);
  },
  add_(this: Tensor, other: Operand, options?: elementwise.AlphaOption) {
    requireOptions('add_', options, alphaOption);
    return inPlace('add_', this, (x) => elementwise.add(x, other, options));
  },
  sub_(this: Tensor, other: Operand, options?: elementwise.AlphaOption) {
    requireOptions('sub_', options, alphaOption);
    return inPlace('sub_', this, (x) => elementwise.sub(x, other, options));
  },
  mul_(this: Tensor, other: Operand) {
    return inPlace('mul_', this, (x) => elementwise.mul(x, other));
  },
  div_(this: Tensor, other: Operand, options?: elementwise.DivOptions) {
    requireOptions('div_', options, divOptions);
    return inPlace('div_', this, (x) => elementwise.div(x, other, options));
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
  clamp_(this: Tensor, min?: number | Tensor, max?: number | Tensor) {
    return inPlace('clamp_', this, (x) => elementwise.clamp(x, min, max));
  },
  addcmul_(this: Tensor, a: Tensor, b: Tensor, options?: elementwise.ValueOption) {
    requireOptions('addcmul_', options, valueOption);
    return inPlace('addcmul_', this, (x) => elementwise.addcmul(x, a, b, options));
  },
  addcdiv_(this: Tensor, a: Tensor, b: Tensor, options?: elementwise.ValueOption) {
    requireOptions('addcdiv_', options, valueOption);
    return inPlace('addcdiv_', this, (x) => elementwise.addcdiv(x, a, b, options));
  },
  lerp_(this: Tensor, end: Tensor, weight: number | Tensor) {
    if (!(weight instanceof Tensor)) requireNumber('lerp_', 'weight', weight);
    return inPlace('lerp_', this, (x) => elementwise.lerp(x, end, weight));
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
  newTensor(this: Tensor, data: NestedArray, options: TensorOptions = {}) {
    return tensor(data, beside('newTensor', this, options));
  },
  newEmpty(this: Tensor, size: Shape, options: TensorOptions = {}) {
    return empty(size, beside('newEmpty', this, options));
  },
  newZeros(this: Tensor, size: Shape, options: TensorOptions = {}) {
    return zeros(size, beside('newZeros', this, options));
  },
  newOnes(this: Tensor, size: Shape, options: TensorOptions = {}) {
    return ones(size, beside('newOnes', this, options));
  },
  newFull(this: Tensor, size: Shape, value: number | boolean, options: TensorOptions = {}) {
    return full(size, value, beside('newFull', this, options));
  },
  sumToSize(this: Tensor, size: Shape) {
    requireIntegers('sumToSize', 'size', size, 0);
    if (!sameShape(broadcastShapes(this.shape, size), this.shape))
      throw new RuntimeError(`size {${formatShape(size)}} is not expandable to size {${formatShape(this.shape)}}.`);
    if (this.rank > 0 && sameShape(this.shape, size)) return this;
    return sumTo(isFloat(this.dtype) ? this : cast(this, 'int64'), size);
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

// The methods' types are computed from the functions, not from the table above, which would refer to itself. A mapped
// type keeps what is written at a function, so that the method is explained where it is used.
declare module '../tensor/tensor.ts' {
  interface Tensor extends TensorMethods {}
}

/** Functions of a tensor, as methods of it. */
type Methods<F, K extends keyof F> = {
  [N in K]: F[N] extends (x: Tensor, ...rest: infer A) => infer R ? (...rest: A) => R : never;
};
/** Methods of another type than that of their functions. */
type MethodsAs<F, K extends keyof F, T> = { [N in K]: T };

/** Sizes or dimensions, as one array or one after the other. */
type TakingSizes = (...sizes: number[] | [sizes: readonly number[]]) => Tensor;

/** The operations as methods: the functions of the same names, and those that there are as methods only. */
// biome-ignore format: the names read better in rows
export interface TensorMethods
  extends Methods<typeof elementwise, Exclude<keyof typeof elementwise, 'where'>>,
    Methods<
      typeof reduce,
      | 'sum' | 'mean' | 'prod' | 'amax' | 'amin' | 'argmax' | 'argmin' | 'any' | 'all' | 'cumsum' | 'topk' | 'sort' | 'argsort' | 'softmax' | 'logSoftmax'
    >,
    Methods<
      typeof selecting,
      | 'flatten' | 'unflatten' | 'squeeze' | 'unsqueeze' | 'transpose' | 't' | 'narrow' | 'slice' | 'select' | 'split' | 'chunk' | 'index'
    >,
    MethodsAs<typeof selecting, 'reshape' | 'permute' | 'expand', TakingSizes>,
    MethodsAs<typeof shape, 'flip', TakingSizes>,
    MethodsAs<typeof broadcast, 'repeat', TakingSizes>,
    Methods<
      typeof index,
      | 'indexSelect' | 'indexAdd' | 'indexCopy' | 'indexFill' | 'gather' | 'scatter' | 'scatterAdd' | 'takeAlongDim'
      | 'maskedFill' | 'maskedSelect' | 'maskedScatter' | 'nonzero'
    >,
    Methods<typeof brackets, 'setIndex'>,
    Methods<typeof sorting, 'kthvalue' | 'quantile' | 'nanquantile' | 'mode' | 'msort'>,
    Methods<
      typeof statistics,
      'std' | 'varMean' | 'stdMean' | 'logsumexp' | 'norm' | 'nansum' | 'nanmean' | 'countNonzero' | 'aminmax'
    >,
    Methods<
      typeof rearranging,
      | 'unbind' | 'movedim' | 'moveaxis' | 'swapaxes' | 'swapdims' | 'ravel' | 'roll' | 'repeatInterleave' | 'fliplr' | 'flipud' | 'rot90' | 'tensorSplit'
    >,
    MethodsAs<typeof rearranging, 'view' | 'tile', TakingSizes>,
    Methods<typeof diagonals, 'tril' | 'triu' | 'diag' | 'diagonal' | 'diagEmbed'>,
    Methods<
      typeof algebra,
      | 'mm' | 'bmm' | 'mv' | 'dot' | 'outer' | 'addmm' | 'addmv' | 'addr' | 'baddbmm' | 'addbmm' | 'kron' | 'inner' | 'vdot' | 'cross' | 'matrixPower'
    >,
    Methods<typeof cumulative, 'cumprod' | 'cummax' | 'cummin' | 'logcumsumexp' | 'diff'>,
    Methods<typeof searching, 'unique' | 'uniqueConsecutive' | 'bincount' | 'histc' | 'histogram'>,
    Methods<typeof scattering, 'scatterReduce' | 'indexReduce'>,
    Methods<typeof covariance, 'cov' | 'corrcoef' | 'renorm'>,
    Methods<typeof distance, 'dist'>,
    Methods<typeof choices, 'multinomial'>,
    Methods<
      typeof combining,
      | 'hsplit' | 'vsplit' | 'dsplit' | 'diagflat' | 'selectScatter' | 'sliceScatter' | 'diagonalScatter' | 'take' | 'put' | 'argwhere'
      | 'expandAs' | 'reshapeAs' | 'viewAs'
    >,
    Methods<typeof matrices, 'matmul'>,
    Methods<typeof padding, 'pad'>,
    Methods<typeof convert, 'clone' | 'detach'>,
    Methods<typeof random, 'bernoulli' | 'uniform_' | 'normal_'> {
  /** The maximum of all values (PyTorch: `Tensor.max`). NaN counts as the largest. */
  max(): Tensor;
  /** The maxima along a dimension, with their indices (PyTorch: `Tensor.max`). NaN counts as the largest. */
  max(dim: number, options?: reduce.ReduceOptions): reduce.ValuesAndIndices;
  /** The minimum of all values (PyTorch: `Tensor.min`). NaN counts as the smallest. */
  min(): Tensor;
  /** The minima along a dimension, with their indices (PyTorch: `Tensor.min`). NaN counts as the smallest. */
  min(dim: number, options?: reduce.ReduceOptions): reduce.ValuesAndIndices;
  /** The median of all values; NaN where one is NaN (PyTorch: `Tensor.median`). */
  median(): Tensor;
  /** The medians along a dimension, with their indices (PyTorch: `Tensor.median`). */
  median(dim: number, options?: reduce.ReduceOptions): reduce.ValuesAndIndices;
  /** The median of all values that are not NaN (PyTorch: `Tensor.nanmedian`). */
  nanmedian(): Tensor;
  /** The medians along a dimension of what is not NaN, with their indices (PyTorch: `Tensor.nanmedian`). */
  nanmedian(dim: number, options?: reduce.ReduceOptions): reduce.ValuesAndIndices;
  /** This tensor broadcast to a shape; a copy, as `expand` (PyTorch: `Tensor.broadcast_to`). */
  broadcastTo: TakingSizes;
  /** The number of dimensions, as `rank` (PyTorch: `Tensor.dim`). */
  dim(): number;
  /** The number of elements, as `size` (PyTorch: `Tensor.numel`). */
  numel(): number;
  /**
   * All dimensions in reverse order: of a matrix the transposed one; a copy (PyTorch: `Tensor.T`). Other than two
   * dimensions warn, as in PyTorch.
   */
  readonly T: Tensor;
  /**
   * The matrices in the last two dimensions transposed; a copy (PyTorch: `Tensor.mT`).
   * @throws RuntimeError on fewer than two dimensions.
   */
  readonly mT: Tensor;
  /**
   * See the function `var`: the variance over all, or the given, dimensions, unbiased unless `correction: 0` (PyTorch:
   * `Tensor.var`).
   */
  var(dim?: number | readonly number[], options?: reduce.VarianceOptions): Tensor;
  /**
   * This tensor on another device, of another dtype, or both; itself where nothing changes (PyTorch: `Tensor.to`).
   * Gradients are converted back.
   * @throws ArgumentTypeError on a name that is neither a device nor a dtype; NotImplementedError from the meta device,
   * which has no values to give.
   * @example
   * x.to('float64');
   * x.to({ device: 'meta', dtype: 'int64' });
   */
  to(target: Device | DType | Placement): Tensor;
  /**
   * Dense in the given memory format, row-major by default; the tensor itself where it already is (PyTorch:
   * `Tensor.contiguous`).
   */
  contiguous(memoryFormat?: MemoryFormat): Tensor;
  /**
   * Accumulates the gradients of this tensor into the `.grad` of every leaf that requires one (PyTorch:
   * `Tensor.backward`). The graph is gone afterwards, unless `retainGraph`.
   * @param gradient of this tensor's shape; may be missing for one element, where it is 1.
   * @throws RuntimeError where this tensor requires no gradient, or has more elements and no gradient was given, or its
   * graph is gone.
   * @example
   * crossEntropy(model(images), labels).backward();
   */
  backward(gradient?: Tensor | null, options?: BackwardOptions): void;
  /**
   * Calls `hook` with the gradient of this tensor whenever one is computed; what it returns, unless undefined, replaces
   * the gradient (PyTorch: `Tensor.register_hook`). Returns a function that removes the hook.
   * @throws RuntimeError on a tensor that requires no gradient.
   * @example
   * const w = ones([3], { requiresGrad: true });
   * const remove = w.registerHook((g) => g.clamp(-1, 1));
   */
  registerHook(hook: TensorHook): () => void;
  /**
   * Calls `hook` with this leaf whenever a backward has added to its `.grad`, which is complete then and may be
   * replaced (PyTorch: `Tensor.register_post_accumulate_grad_hook`). Returns a function that removes the hook.
   * @throws RuntimeError on a tensor that is no leaf, or requires no gradient.
   * @example
   * const w = ones([3], { requiresGrad: true });
   * const remove = w.registerPostAccumulateGradHook((leaf) => console.log(leaf.grad!.toArray()));
   */
  registerPostAccumulateGradHook(hook: AccumulatedHook): () => void;
  /**
   * Makes a tensor that is no leaf keep its `.grad` (PyTorch: `Tensor.retain_grad`).
   * @throws RuntimeError on a tensor that requires no gradient.
   */
  retainGrad(): void;
  /**
   * Adds alpha·other, broadcast, in place (PyTorch: `Tensor.add_`). Returns the tensor.
   * @throws RuntimeError on a leaf that requires gradients (as all changes in place), or where the result has another
   * shape, or does not fit the dtype.
   */
  add_(other: Operand, options?: elementwise.AlphaOption): Tensor;
  /** Subtracts alpha·other, broadcast, in place; errors as `add_` (PyTorch: `Tensor.sub_`). Returns the tensor. */
  sub_(other: Operand, options?: elementwise.AlphaOption): Tensor;
  /** Multiplies by `other`, broadcast, in place; errors as `add_` (PyTorch: `Tensor.mul_`). Returns the tensor. */
  mul_(other: Operand): Tensor;
  /** Divides by `other`, broadcast, in place; errors as `add_` (PyTorch: `Tensor.div_`). Returns the tensor. */
  div_(other: Operand, options?: elementwise.DivOptions): Tensor;
  /** Raises to a power, broadcast, in place; errors as `add_` (PyTorch: `Tensor.pow_`). Returns the tensor. */
  pow_(exponent: Operand): Tensor;
  /** Changes the sign of every element, in place (PyTorch: `Tensor.neg_`). Returns the tensor. */
  neg_(): Tensor;
  /** As `exp`, in place (PyTorch: `Tensor.exp_`). Returns the tensor. */
  exp_(): Tensor;
  /** As `sqrt`, in place (PyTorch: `Tensor.sqrt_`). Returns the tensor. */
  sqrt_(): Tensor;
  /** As `relu`, in place (PyTorch: `Tensor.relu_`). Returns the tensor. */
  relu_(): Tensor;
  /** As `sigmoid`, in place (PyTorch: `Tensor.sigmoid_`). Returns the tensor. */
  sigmoid_(): Tensor;
  /** As `tanh`, in place (PyTorch: `Tensor.tanh_`). Returns the tensor. */
  tanh_(): Tensor;
  /** As `clamp`, in place (PyTorch: `Tensor.clamp_`). Returns the tensor. */
  clamp_(min?: number | Tensor, max?: number | Tensor): Tensor;
  /** Adds value·a·b, in place (PyTorch: `Tensor.addcmul_`). Returns the tensor. */
  addcmul_(a: Tensor, b: Tensor, options?: elementwise.ValueOption): Tensor;
  /** Adds value·a/b, in place (PyTorch: `Tensor.addcdiv_`). Returns the tensor. */
  addcdiv_(a: Tensor, b: Tensor, options?: elementwise.ValueOption): Tensor;
  /**
   * Moves towards `end`, in place: x + weight·(end − x), from the nearer end, so that a weight of 1 gives `end`
   * (PyTorch: `Tensor.lerp_`). Returns the tensor.
   */
  lerp_(end: Tensor, weight: number | Tensor): Tensor;
  /** As `maskedFill`, in place (PyTorch: `Tensor.masked_fill_`). Returns the tensor. */
  maskedFill_(mask: Tensor, value: Operand): Tensor;
  /**
   * Overwrites the values by those of `source`, broadcast and converted to this dtype (PyTorch: `Tensor.copy_`).
   * Returns the tensor.
   */
  copy_(source: Tensor): Tensor;
  /**
   * Overwrites every value by one (PyTorch: `Tensor.fill_`). Returns the tensor.
   * @throws RuntimeError where the dtype cannot hold it.
   */
  fill_(value: number | boolean): Tensor;
  /** A tensor of these values, with dtype and device of this one (PyTorch: `Tensor.new_tensor`). */
  newTensor(data: NestedArray, options?: TensorOptions): Tensor;
  /** An uninitialized tensor with dtype and device of this one (PyTorch: `Tensor.new_empty`). */
  newEmpty(size: Shape, options?: TensorOptions): Tensor;
  /** A tensor of zeros with dtype and device of this one (PyTorch: `Tensor.new_zeros`). */
  newZeros(size: Shape, options?: TensorOptions): Tensor;
  /** A tensor of ones with dtype and device of this one (PyTorch: `Tensor.new_ones`). */
  newOnes(size: Shape, options?: TensorOptions): Tensor;
  /** A tensor of one value with dtype and device of this one (PyTorch: `Tensor.new_full`). */
  newFull(size: Shape, value: number | boolean, options?: TensorOptions): Tensor;
  /**
   * The sums over the dimensions in which a tensor of this size would be broadcast to this one; integers and
   * bool give int64 (PyTorch: `Tensor.sum_to_size`).
   * @throws RuntimeError where it would not be.
   */
  sumToSize(size: Shape): Tensor;
  /** Overwrites every value by 0 (PyTorch: `Tensor.zero_`). Returns the tensor. */
  zero_(): Tensor;
}

for (const [name, fn] of Object.entries(functions))
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...args: never[]) {
      return fn(this, ...args);
    },
    writable: true,
    configurable: true,
  });
for (const [name, transposed] of Object.entries({ T: rearranging.reversed, mT: rearranging.transposedMatrices }))
  Object.defineProperty(Tensor.prototype, name, {
    get(this: Tensor) {
      return transposed(this);
    },
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
  addInPlace: addOver,
  clone,
  toFormat,
  cast,
  sumTo,
  onesLike,
  hasNan: (x) => elementwise.isnan(x).any().item() !== 0,
});
