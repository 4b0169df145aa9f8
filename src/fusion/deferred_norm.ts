// Deferred normalization: a batch norm that is not carried out until somebody asks for its values. A ReLU or an addition that follows joins
// it, and a consumer that can normalize while it reads takes the input as it is; whatever else looks at the tensor gets its values,
// made in one pass. The graph is the ordinary one: each operation's backward does its part, deferred in the same way.
//
//   norm → relu            relu, or relu6, joins: one pass, and backward one sum and one map of the masked gradient
//   norm → add (→ relu)    addition and relu join: one pass
//   norm → other function  one pass writes the function's values; its derivative forms those of the norm again (function_of_norm.ts)
//   norm (→ relu) → conv   the convolution reads the raw input (ops/conv.ts) and nothing is written; its backward by data masks the
//                          gradient and leaves the sums of the norm's backward
//   norm (→ relu) → pool   the pooling reads the raw input (ops/pool.ts)
//   conv → norm            the gradient of the norm's input is formed where the convolution's two backwards read it
//   join → norm            what other paths have brought to the norm's input is added where its gradient is formed
//   conv → norm (→ add) (→ relu), nothing recorded   the convolution is deferred too, and writes the last result only

import { takeArrived } from '../autograd/backward.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import type { Edge } from '../autograd/node.ts';
import { Unary } from '../device/generated/abi.ts';
import { type Affine, type BackwardSums, launchApply, launchBackwardApply } from '../ops/batch_norm_kernels.ts';
import { launchUnaryBackward } from '../ops/unary_kernels.ts';
import { type DType, dtypes } from '../tensor/dtype.ts';
import { type MemoryFormat, type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import { DeferredStorage, type Recipe, type Storage } from '../tensor/storage.ts';
import { aliasOf, Tensor } from '../tensor/tensor.ts';
import { pendingSlice } from './deferred_slice.ts';
import { note } from './log.ts';
import { isFusionEnabled } from './switch.ts';

/** A tensor like x whose values are computed by a recipe when they are asked for. */
const deferred = (x: Tensor, recipe: Recipe): Tensor =>
  new Tensor(x.shape, x.dtype, x.memoryFormat, new DeferredStorage(x.storage.byteLength, x.backend, recipe));

const lent = (x: Tensor): Tensor => new Tensor(x.shape, x.dtype, x.memoryFormat, x.storage.lend());

/** The present values of x, whatever becomes of x. Only a convolution stays deferred: chains of recipes do not grow. */
function onLoan(x: Tensor): Tensor {
  if (!pendingConv(x)) x.materialize();
  return lent(x);
}

const onLoanIfAny = (x: Tensor | null): Tensor | null => x && onLoan(x);

function storagesOf(...tensors: (Tensor | null)[]): Storage[] {
  const storages: Storage[] = [];
  for (const t of tensors) if (t) storages.push(t.storage);
  return storages;
}

const isLike = (a: Tensor, b: Tensor): boolean =>
  a.dtype === b.dtype && a.memoryFormat === b.memoryFormat && a.backend === b.backend && sameShape(a.shape, b.shape);

/** What a norm's backward knows of it, too: x until that has begun. */
interface Origin {
  x: Tensor | null;
  readonly version: number;
  readonly mean: Tensor;
  readonly invstd: Tensor;
}
/** By the norm's key. */
const origins = new WeakMap<object, Origin>();

/** What a norm that is not carried out yet consists of. */
export interface NormParts {
  readonly x: Tensor;
  /** float64 (C), as invstd; null, as invstd: 0 and 1, the norm changes nothing. */
  readonly mean: Tensor | null;
  readonly invstd: Tensor | null;
  readonly affine: Affine;
  readonly residual: Tensor | null;
  /** Which normalization this is: the tensor that its backward knows as the mean, if it has one. */
  readonly key: object;
  /** Whether a change in place has put it where the graph does not know of it. */
  readonly isForeign: boolean;
}

/** What a norm of a batch is made of, as its consumers' backwards need it. */
type ServedNorm = Pick<NormParts, 'x' | 'mean' | 'invstd' | 'affine' | 'key'>;

/** Writes a convolution's output, or the norm of it, with its residual and ReLU, in which x is that output. */
type ConvLaunch = (out: Tensor, norm: NormParts | null) => void;

/**
 * The output of a convolution that nobody records, not yet carried out. A norm behind it is carried out with it, when somebody asks for the norm's
 * values.
 */
class PendingConv implements Recipe {
  readonly sources: readonly Storage[];
  private readonly shape: Shape;
  private readonly format: MemoryFormat;
  private readonly dtype: DType;
  private readonly launch: ConvLaunch;
  constructor(sources: readonly Storage[], shape: Shape, dtype: DType, format: MemoryFormat, launch: ConvLaunch) {
    this.sources = sources;
    this.shape = shape;
    this.dtype = dtype;
    this.format = format;
    this.launch = launch;
  }

  /** Whether x, on whose storage this is, is the output itself and no view of another shape. */
  isOf(x: Tensor): boolean {
    return x.memoryFormat === this.format && sameShape(x.shape, this.shape);
  }

  materializeInto(storage: Storage): void {
    this.writeNormalized(storage, null);
  }
  writeNormalized(storage: Storage, norm: NormParts | null): void {
    this.launch(new Tensor(this.shape, this.dtype, this.format, storage), norm);
  }
}

/** The convolution whose output x is, while it has not been carried out. */
export function pendingConv(x: Tensor): PendingConv | null {
  const recipe = recipeOf(x);
  return recipe instanceof PendingConv && recipe.isOf(x) ? recipe : null;
}

/** The output of a convolution of x, deferred; `launch` is given x, weight and bias as they are now, whatever becomes of them. */
export function deferConv(
  shape: Shape,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  launch: (x: Tensor, weight: Tensor, bias: Tensor | null, ...to: Parameters<ConvLaunch>) => void,
): Tensor {
  // A norm of a tensor that is there is carried out while the kernel reads it; whatever holds a convolution is carried out before.
  const norm = pendingNorm(x);
  if (!norm || pendingConv(norm.x)) x.materialize();
  const given = [lent(x), onLoan(weight), bias && onLoan(bias)] as const;
  const { dtype, memoryFormat, backend } = x;
  const recipe = new PendingConv(storagesOf(...given), shape, dtype, memoryFormat, (...to) => launch(...given, ...to));
  return new Tensor(
    shape,
    dtype,
    memoryFormat,
    new DeferredStorage(sizeOf(shape) * dtypes[dtype].size, backend, recipe),
  );
}

/** y = (x − mean)·(invstd·weight) + bias + residual, and with `affine.relu` limited, not yet carried out. */
class PendingNorm implements Recipe {
  readonly parts: NormParts;
  constructor(parts: NormParts) {
    this.parts = parts;
  }

  get sources(): readonly Storage[] {
    const { x, mean, invstd, affine, residual } = this.parts;
    return storagesOf(x, mean, invstd, affine.weight, affine.bias, residual);
  }

  materializeInto(storage: Storage): void {
    const { x, mean, invstd, affine, residual } = this.parts;
    const conv = pendingConv(x);
    if (conv) {
      conv.writeNormalized(storage, this.parts);
      return;
    }
    note('written', this.parts.key);
    launchApply(x, mean, invstd, affine, residual, new Tensor(x.shape, x.dtype, x.memoryFormat, storage));
  }
}

/** The norm that changes nothing, of a pending convolution: for a ReLU or an addition to join. */
function convAsNorm(x: Tensor): NormParts | null {
  if (!pendingConv(x)) return null;
  const affine = { weight: null, bias: null, relu: 0 };
  return { x, mean: null, invstd: null, affine, residual: null, key: {}, isForeign: false };
}

/** The same parts for another recipe, which may outlive the first. */
const borrowed = ({ x, mean, invstd, affine, residual, key, isForeign }: NormParts): NormParts => ({
  x: onLoan(x),
  mean: onLoanIfAny(mean),
  invstd: onLoanIfAny(invstd),
  affine: { weight: onLoanIfAny(affine.weight), bias: onLoanIfAny(affine.bias), relu: affine.relu },
  residual: onLoanIfAny(residual),
  key,
  isForeign,
});

/** The gradient g where a pending norm's ReLU is open, and 0 elsewhere, not yet carried out. */
class PendingMask implements Recipe {
  readonly g: Tensor;
  readonly norm: NormParts;
  constructor(g: Tensor, norm: NormParts) {
    this.g = g;
    this.norm = norm;
  }

  get sources(): readonly Storage[] {
    const { x, mean, invstd, affine } = this.norm;
    return storagesOf(this.g, x, mean, invstd, affine.weight, affine.bias);
  }

  materializeInto(storage: Storage): void {
    const { g, norm } = this;
    const y = launchApply(norm.x, norm.mean, norm.invstd, norm.affine);
    const { relu } = norm.affine;
    const op = relu === Infinity ? Unary.relu : Unary.hardtanh;
    launchUnaryBackward('relu', op, y, y, g, new Tensor(g.shape, g.dtype, g.memoryFormat, storage), 0, relu);
    y.storage.release();
  }
}

/** The gradient of a norm's input, of which the sums are known, not yet carried out. */
export interface GradientParts {
  readonly x: Tensor;
  /** The gradient of the norm's output, before its ReLU if `affine.relu`. */
  readonly dy: Tensor;
  readonly mean: Tensor;
  readonly invstd: Tensor;
  readonly affine: Affine;
  readonly count: number;
  readonly sums: BackwardSums;
  /** What other paths have brought to x, to be added. */
  readonly plus: Tensor | null;
  /** As `NormParts.key`. */
  readonly key: object;
}
class PendingGradient implements Recipe {
  readonly parts: GradientParts;
  constructor(parts: GradientParts) {
    this.parts = parts;
  }

  get sources(): readonly Storage[] {
    const { x, dy, mean, invstd, affine, sums, plus } = this.parts;
    return storagesOf(x, dy, mean, invstd, affine.weight, affine.bias, sums.dy, sums.dyXmu, plus);
  }

  materializeInto(storage: Storage): void {
    const { x, dy, mean, invstd, affine, count, sums, plus, key } = this.parts;
    note('gradient written', key);
    const dx = new Tensor(x.shape, x.dtype, x.memoryFormat, storage);
    const slice = plus && (pendingSlice(plus) ?? { whole: plus, start: 0 });
    launchBackwardApply(x, dy, affine, mean, invstd, count, sums, dx, slice);
  }
}

/** Sums that a convolution left with a gradient which it has masked already, for the norm by `key`. */
interface SumsLeft {
  readonly key: object;
  /** How the output was made whose gradient it is: several outputs of one norm may have a ReLU, or none. */
  readonly of: Recipe | null;
  readonly sums: BackwardSums;
  readonly version: number;
}
const sumsLeft = new WeakMap<Storage, SumsLeft>();

/** Notes that g, the gradient of x, is that of a norm, masked where the ReLU in x was closed, and its sums. */
export function leaveSums(g: Tensor, x: Tensor, { key }: ServedNorm, sums: BackwardSums): void {
  sumsLeft.set(g.storage, { key, of: madeBy(x), sums, version: g.version });
}
/** What was left with g, as long as g is what it was. */
function leftWith(g: Tensor): SumsLeft | null {
  const left = sumsLeft.get(g.storage);
  return left?.version === g.version ? left : null;
}

const recipeOf = (x: Tensor): Recipe | null => (x.storage instanceof DeferredStorage ? x.storage.recipe : null);

/** The norm whose output x is, while it has not been carried out; null for views of another shape. */
export function pendingNorm(x: Tensor): NormParts | null {
  const recipe = recipeOf(x);
  return recipe instanceof PendingNorm && isLike(x, recipe.parts.x) ? recipe.parts : null;
}

const formerRecipeOf = (x: Tensor): Recipe | null =>
  x.storage instanceof DeferredStorage ? x.storage.formerRecipe : null;

/** How the values of x are computed, or have been. */
const madeBy = (x: Tensor): Recipe | null => recipeOf(x) ?? formerRecipeOf(x);

/** The norm whose values x holds, once they have been written, while its input is still there. Its affine has nothing but the ReLU. */
export function writtenNorm(x: Tensor): ServedNorm | null {
  const recipe = formerRecipeOf(x);
  if (!(recipe instanceof PendingNorm) || recipe.parts.isForeign || !isLike(x, recipe.parts.x)) return null;
  const { key, affine } = recipe.parts;
  const origin = origins.get(key);
  if (!origin?.x || origin.x.version !== origin.version) return null;
  const { x: input, mean, invstd } = origin;
  if ([input, mean, invstd].some((t) => t.storage.isReleased)) return null;
  return { x: input, mean, invstd, affine: { weight: null, bias: null, relu: affine.relu }, key };
}

/** The output of a norm of x by given statistics: deferred, or carried out at once where fusion is off. */
export function deferNorm(x: Tensor, mean: Tensor, invstd: Tensor, affine: Affine): Tensor {
  if (!isFusionEnabled()) return launchApply(x, mean, invstd, affine);
  // The parameters may change before the values are asked for: an optimizer may step.
  const own = { weight: onLoanIfAny(affine.weight), bias: onLoanIfAny(affine.bias), relu: affine.relu };
  const parts = { x: onLoan(x), mean: onLoan(mean), invstd: onLoan(invstd), affine: own, residual: null };
  origins.set(mean, { x: aliasOf(x), version: x.version, mean, invstd });
  return deferred(x, new PendingNorm({ ...parts, key: mean, isForeign: false }));
}

/** x limited to 0 … top where it is a pending norm, deferred; else null. */
export function joinRelu(x: Tensor, top: number): Tensor | null {
  const norm = isFusionEnabled() ? (pendingNorm(x) ?? convAsNorm(x)) : null;
  if (!norm || norm.affine.relu) return null;
  note('relu joined', norm.key);
  const own = borrowed(norm);
  return deferred(x, new PendingNorm({ ...own, affine: { ...own.affine, relu: top } }));
}

/** The gradient before the ReLU that joined the norm whose output y is, deferred; null where y's values have been asked for. */
export function maskGradient(g: Tensor, y: Tensor): Tensor | null {
  const made = madeBy(y);
  if (made instanceof PendingNorm && made.parts.affine.relu && leftWith(g)?.of === made) return g;
  const norm = pendingNorm(y);
  if (!norm?.affine.relu || norm.residual || !isLike(g, y)) return null;
  return deferred(g, new PendingMask(onLoan(g), borrowed(norm)));
}

/** a + b where either is a pending norm, deferred; else null. */
export function joinAdd(a: Tensor, b: Tensor): Tensor | null {
  if (!isFusionEnabled() || !isLike(a, b)) return null;
  for (const [sum, other] of [
    [a, b],
    [b, a],
  ]) {
    const norm = pendingNorm(sum) ?? convAsNorm(sum);
    if (!norm || norm.affine.relu || norm.residual) continue;
    note('addition joined', norm.key);
    return deferred(sum, new PendingNorm({ ...borrowed(norm), residual: onLoan(other) }));
  }
  return null;
}

/** Makes `from`, where it is deferred, the value of `to`, of which nobody has seen the old one yet; false where they must be copied. */
export function joinInPlace(to: Tensor, from: Tensor): boolean {
  const recipe = recipeOf(from);
  if (!recipe || !recipeOf(to) || !isLike(to, from)) return false;
  // What the recipe reads goes with the scope that it was made in.
  if (to.storage.scope !== from.storage.scope) return false;
  const [storage, source] = [to.storage as DeferredStorage, from.storage as DeferredStorage];
  // Without a record `to` keeps its place in the graph, and its gradient must not pass a ReLU that the graph does not know of.
  if (recipe instanceof PendingNorm && !from.gradFn)
    storage.replace(new PendingNorm({ ...borrowed(recipe.parts), isForeign: true }));
  else storage.follow(source);
  return true;
}

/** A gradient as the backward of a norm wants it. */
interface NormGradient {
  readonly dy: Tensor;
  /** With `relu` dy is still to be masked. */
  readonly affine: Affine;
  /** The sums of dy, where they are known. */
  readonly sums: BackwardSums | null;
}

/** What arrived as the gradient of the norm by `mean`: without the mask of a ReLU that joined it, with the sums that a convolution left. */
export function arrivedGradient(g: Tensor, mean: Tensor, affine: Affine): NormGradient {
  const origin = origins.get(mean);
  if (origin) origin.x = null; // so that the notes of its output do not hold it any longer
  const left = leftWith(g);
  if (left?.key === mean) return { dy: g, affine: { ...affine, relu: 0 }, sums: left.sums };
  const recipe = recipeOf(g);
  if (recipe instanceof PendingMask && recipe.norm.key === mean && isLike(g, recipe.g))
    return { dy: recipe.g, affine: recipe.norm.affine, sums: null };
  return { dy: g, affine, sums: null };
}

/** The gradient of a norm's input, deferred. `to`: where it goes; channels last, what has arrived there becomes part of it. */
export function deferGradient(
  { x, dy, mean, invstd, affine, count, sums }: Omit<GradientParts, 'key' | 'plus'>,
  to: Edge,
): Tensor {
  const plus = isFusionEnabled() && (x.memoryFormat === 'channelsLast' || x.rank === 2) ? takeArrived(to, x) : null;
  const own = {
    weight: onLoanIfAny(affine.weight),
    bias: affine.relu ? onLoanIfAny(affine.bias) : null,
    relu: affine.relu,
  };
  const statistics = { mean: onLoan(mean), invstd: onLoan(invstd) };
  const lentSums = { dy: onLoan(sums.dy), dyXmu: onLoan(sums.dyXmu) };
  const lentPlus = plus && (pendingSlice(plus) ? lent(plus) : onLoan(plus));
  const tensors = { x: onLoan(x), dy: onLoan(dy), ...statistics, affine: own, sums: lentSums, plus: lentPlus };
  return deferred(x, new PendingGradient({ ...tensors, count, key: mean }));
}

/** What the gradient g of a norm's input is formed of, while it has not been carried out, and where nothing is to be added. */
export function pendingGradient(g: Tensor): GradientParts | null {
  const recipe = recipeOf(g);
  return recipe instanceof PendingGradient && !recipe.parts.plus && isLike(g, recipe.parts.x) ? recipe.parts : null;
}

/** Has the values of a norm behind a pending convolution computed now: that costs less than normalizing while they are read. */
export function materializeConv(x: Tensor): void {
  const norm = pendingNorm(x);
  if (norm && pendingConv(norm.x)) x.materialize();
}

/**
 * Runs `fn` on the values of x, which may be a pending norm and stays one: they are made for `fn` alone. For kernels that read their operand
 * several times, in an order in which normalizing it each time costs more than one pass.
 */
export function withMaterialized<R>(x: Tensor, fn: (values: Tensor) => R): R {
  const norm = isGradEnabled() ? null : pendingNorm(x);
  if (!norm) return fn(x);
  note('written for weights', norm.key);
  const values = launchApply(norm.x, norm.mean, norm.invstd, norm.affine, norm.residual);
  try {
    return fn(values);
  } finally {
    values.storage.release();
  }
}
