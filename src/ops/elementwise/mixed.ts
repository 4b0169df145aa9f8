// Functions of elements that are made of others. Everything that is exported is public: see ../elementwise.ts.
import { defineOp } from '../../autograd/define_op.ts';
import { noGrad } from '../../autograd/grad_mode.ts';
import { requireNumber } from '../../checks.ts';
import { Reduction } from '../../device/generated/abi.ts';
import { ArgumentTypeError, NotImplementedError, RuntimeError } from '../../errors.ts';
import { launchReduce } from '../../launch/reduce.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { fullOn } from '../../tensor/create.ts';
import { isFloat } from '../../tensor/dtype.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../../tensor/requirements.ts';
import { sameShape } from '../../tensor/shape.ts';
import { requireReadable, Tensor } from '../../tensor/tensor.ts';
import { sumTo } from '../broadcast.ts';
import { cast, clone, resultType } from '../convert.ts';
import { sigmoid } from './activations.ts';
import { abs, add, clamp, div, maximum, mul, neg, sub, trunc } from './arithmetic.ts';
import {
  type AlphaOption,
  alphaOption,
  type Operand,
  type Prepared,
  prepared,
  type ValueOption,
  valueOption,
} from './binary.ts';
import {
  eq,
  ge,
  gt,
  isfinite,
  isinf,
  isnan,
  le,
  logicalAnd,
  logicalNot,
  logicalOr,
  lt,
  signbit,
  where,
} from './comparison.ts';
import { cos, exp, exp2, log, log1p, sin } from './functions.ts';
import { floating } from './unary.ts';

export type { ValueOption } from './binary.ts';

// ---- sums with products ---------------------------------------------------------------------------------------------

function factorOf(op: string, options: ValueOption | undefined, x: Tensor): number {
  requireOptions(op, options, valueOption);
  const value = requireNumber(op, 'value', options?.value ?? 1);
  if (!isFloat(x.dtype) && !Number.isInteger(value))
    throw new RuntimeError('For integral input tensors, argument value must not be a floating point number.');
  return value;
}
/**
 * x + value·a·b, element by element, broadcast (PyTorch: `torch.addcmul`).
 * @throws RuntimeError where the shapes do not broadcast.
 */
export function addcmul(x: Tensor, a: Tensor, b: Tensor, options?: ValueOption): Tensor {
  requireTensor('addcmul', x);
  const value = factorOf('addcmul', options, x);
  return add(x, mul(value === 1 ? a : mul(a, value), b));
}
/**
 * x + value·a/b, element by element, broadcast (PyTorch: `torch.addcdiv`).
 * @throws RuntimeError where the shapes do not broadcast, or all are integers.
 */
export function addcdiv(x: Tensor, a: Tensor, b: Tensor, options?: ValueOption): Tensor {
  requireTensor('addcdiv', x);
  requireTensor('addcdiv', a);
  requireTensor('addcdiv', b);
  if (!isFloat(a.dtype) && !isFloat(b.dtype))
    throw new RuntimeError(
      'Integer division with addcdiv is no longer supported, and in a future release addcdiv will perform a true division of a and b. The historic addcdiv behavior can be implemented as x + value * div(a, b, { roundingMode: "trunc" }) for integer inputs and as x + value * a / b for float inputs.',
    );
  const value = factorOf('addcdiv', options, x);
  return add(x, div(value === 1 ? a : mul(a, value), b));
}
/**
 * x + weight·(end − x), from the nearer end, so that a weight of 1 gives `end`; all are broadcast (PyTorch:
 * `torch.lerp`).
 * @throws RuntimeError where dtypes differ or shapes do not broadcast; NotImplementedError on integers.
 */
export function lerp(x: Tensor, end: Tensor, weight: number | Tensor): Tensor {
  requireTensor('lerp', x);
  requireTensor('lerp', end);
  if (end.dtype !== x.dtype) throw new RuntimeError(`expected dtype ${x.dtype} for \`end\` but got dtype ${end.dtype}`);
  floatOnly('lerp', x);
  const way = sub(end, x);
  if (!(weight instanceof Tensor)) {
    requireNumber('lerp', 'weight', weight);
    return Math.abs(weight) < 0.5 ? add(x, mul(way, weight)) : sub(end, mul(way, 1 - weight));
  }
  if (weight.dtype !== x.dtype)
    throw new RuntimeError(`expected dtype ${x.dtype} for \`weight\` but got dtype ${weight.dtype}`);
  return where(lt(abs(weight), 0.5), add(x, mul(way, weight)), sub(end, mul(way, sub(1, weight))));
}
function floatOnly(op: string, x: Tensor): void {
  if (!isFloat(x.dtype)) throw new RuntimeError(`"${op}" not implemented for '${x.dtype}'`);
}
/**
 * b − alpha·a, element by element, broadcast: `sub` with its operands exchanged (PyTorch: `torch.rsub`).
 * @throws RuntimeError on bool.
 */
export function rsub(a: Operand, b: Operand, options?: AlphaOption): Tensor {
  requireOptions('rsub', options, alphaOption);
  return sub(b, a, options);
}

/** Operands of a function that takes floats alone, in their common dtype. */
function commonFloats(op: string, a: Tensor, b: Tensor): [Tensor, Tensor] {
  requireTensor(op, a);
  requireTensor(op, b);
  const dtype = resultType(a, b);
  if (!isFloat(dtype)) throw new NotImplementedError(`"${op}" not implemented for '${dtype}'`);
  return [cast(a, dtype), cast(b, dtype)];
}

// ---- logarithms and exponentials ------------------------------------------------------------------------------------

const xlogyOp = defineOp({
  name: 'xlogy',
  forward(ctx, a: Tensor, b: Tensor) {
    ctx.save(a, b);
    return where(logicalAnd(eq(a, 0), eq(b, b)), 0, mul(a, log(b)));
  },
  backward(ctx, [g], aInfo, bInfo) {
    const [a, b] = ctx.saved;
    const hasNoSlope = logicalAnd(eq(a, 0), le(b, 0));
    return [
      ctx.needs[0] ? sumTo(mul(g, where(hasNoSlope, 0, log(b))), aInfo.shape) : null,
      ctx.needs[1] ? sumTo(div(mul(g, a), b), bInfo.shape) : null,
    ];
  },
});
/**
 * a·log b, and 0 where a is 0 and b is not NaN, element by element, broadcast; integers give float32 (PyTorch:
 * `torch.xlogy`). One of the two may be a number.
 * @throws ArgumentTypeError on two numbers.
 */
export function xlogy(a: Operand, b: Operand): Tensor {
  const [x, y] = [prepared('xlogy', a, b), prepared('xlogy', b, a)];
  if (x instanceof Tensor && y instanceof Tensor) {
    const dtype = resultType(x, y);
    return xlogyOp(floating('xlogy', cast(x, dtype)), floating('xlogy', cast(y, dtype)));
  }
  // A number is a tensor beside the other one.
  const beside = (number: Prepared, other: Prepared) =>
    other instanceof Tensor ? fullOn(other.backend, [], number as number, floating('xlogy', other).dtype) : number;
  const [left, right] = [x instanceof Tensor ? x : beside(x, y), y instanceof Tensor ? y : beside(y, x)];
  if (!(left instanceof Tensor && right instanceof Tensor))
    throw new ArgumentTypeError('[xlogy] expected at least one tensor, got two numbers');
  return xlogyOp(floating('xlogy', left), floating('xlogy', right));
}

/** log(eᵃ + eᵇ) from the larger of both; `slope`: the derivative by the difference. */
function defineLogSum(name: 'logaddexp' | 'logaddexp2', sumOf: (distance: Tensor) => Tensor, unit: number) {
  const run = defineOp({
    name,
    forward(ctx, a: Tensor, b: Tensor) {
      ctx.save(a, b);
      const sum = add(maximum(a, b), sumOf(neg(abs(sub(a, b)))));
      return where(logicalAnd(isinf(a), eq(a, b)), a, sum);
    },
    backward(ctx, [g], aInfo, bInfo) {
      const [a, b] = ctx.saved;
      const share = (x: Tensor, y: Tensor) => mul(g, sigmoid(mul(sub(x, y), unit)));
      return [
        ctx.needs[0] ? sumTo(share(a, b), aInfo.shape) : null,
        ctx.needs[1] ? sumTo(share(b, a), bInfo.shape) : null,
      ];
    },
  });
  return (a: Tensor, b: Tensor): Tensor => run(...commonFloats(name, a, b));
}
/**
 * log(eᵃ + eᵇ) without overflow, element by element, broadcast (PyTorch: `torch.logaddexp`).
 * @throws NotImplementedError on integers.
 */
export const logaddexp = defineLogSum('logaddexp', (d) => log1p(exp(d)), 1);
/**
 * log₂(2ᵃ + 2ᵇ) without overflow, element by element, broadcast (PyTorch: `torch.logaddexp2`).
 * @throws NotImplementedError on integers.
 */
export const logaddexp2 = defineLogSum('logaddexp2', (d) => mul(log1p(exp2(d)), Math.LOG2E), Math.LN2);

/** Options of `logit`. */
export interface LogitOptions {
  /** Limits x to [eps, 1 − eps] first. Default: null, not at all. */
  eps?: number | null;
}
const logitOptions = declareOptions<LogitOptions>({ eps: kind.numberOrNull });
const logitOp = defineOp({
  name: 'logit',
  forward(ctx, x: Tensor, eps: number | null) {
    ctx.save(x);
    const used = eps === null ? x : clamp(x, eps, 1 - eps);
    return log(div(used, sub(1, used)));
  },
  backward(ctx, [g], _info, eps) {
    const [x] = ctx.saved;
    const isInside = logicalAnd(ge(x, eps ?? 0), le(x, 1 - (eps ?? 0)));
    return [where(isInside, div(g, mul(x, sub(1, x))), eps === null ? Number.NaN : 0)];
  },
});
/**
 * log(x / (1 − x)), the inverse of `sigmoid`, element by element; NaN outside of 0 to 1; integers give float32
 * (PyTorch: `torch.logit`).
 */
export function logit(x: Tensor, options: LogitOptions = {}): Tensor {
  requireTensor('logit', x);
  requireOptions('logit', options, logitOptions);
  return logitOp(floating('logit', x), options.eps ?? null);
}

const sincOp = defineOp({
  name: 'sinc',
  forward(ctx, x: Tensor) {
    ctx.save(x);
    const angle = mul(x, Math.PI);
    return where(eq(x, 0), 1, div(sin(angle), angle));
  },
  backward(ctx, [g]) {
    const [x] = ctx.saved;
    const angle = mul(x, Math.PI);
    const slope = div(sub(mul(angle, cos(angle)), sin(angle)), mul(angle, x));
    return [where(eq(mul(x, x), 0), 0, mul(g, slope))];
  },
});
/** sin(πx) / (πx), and 1 at 0, element by element; integers give float32 (PyTorch: `torch.sinc`). */
export const sinc = (x: Tensor): Tensor => sincOp(floating('sinc', x));

// ---- parts of numbers -----------------------------------------------------------------------------------------------

/**
 * x − trunc(x), the fraction of each element with its sign (PyTorch: `torch.frac`).
 * @throws NotImplementedError on integers.
 */
export function frac(x: Tensor): Tensor {
  requireFloat('frac', x);
  return sub(x, trunc(x));
}
/** Degrees as radians, element by element; integers give float32 (PyTorch: `torch.deg2rad`). */
export const deg2rad = (x: Tensor): Tensor => mul(floating('deg2rad', x), Math.PI / 180);
/** Radians as degrees, element by element; integers give float32 (PyTorch: `torch.rad2deg`). */
export const rad2deg = (x: Tensor): Tensor => mul(floating('rad2deg', x), 180 / Math.PI);

/** Options of `nanToNum`. */
export interface NanToNumOptions {
  /** What stands for NaN. Default: 0. */
  nan?: number | null;
  /** What stands for infinity. Default: null, the largest number of the dtype. */
  posinf?: number | null;
  /** What stands for −infinity. Default: null, the smallest number of the dtype. */
  neginf?: number | null;
}
const nanToNumOptions = declareOptions<NanToNumOptions>({
  nan: kind.numberOrNull,
  posinf: kind.numberOrNull,
  neginf: kind.numberOrNull,
});
/**
 * x with numbers for NaN and infinities, through which no gradient flows; integers are copied (PyTorch:
 * `torch.nan_to_num`).
 * @example
 * nanToNum(logits, { nan: 0, posinf: 1e4 });
 */
export function nanToNum(x: Tensor, options: NanToNumOptions = {}): Tensor {
  requireTensor('nanToNum', x);
  requireOptions('nanToNum', options, nanToNumOptions);
  if (!isFloat(x.dtype)) return clone(x);
  const { nan, posinf, neginf } = options;
  const largest = x.dtype === 'float32' ? 3.4028234663852886e38 : Number.MAX_VALUE;
  const upper = where(eq(x, Number.POSITIVE_INFINITY), posinf ?? largest, x);
  return where(isnan(x), nan ?? 0, where(eq(x, Number.NEGATIVE_INFINITY), neginf ?? -largest, upper));
}

// ---- comparisons ----------------------------------------------------------------------------------------------------

/**
 * The larger of a and b, and the other one where one is NaN, element by element, broadcast (PyTorch: `torch.fmax`).
 */
export function fmax(a: Tensor, b: Tensor): Tensor {
  requireTensor('fmax', a);
  requireTensor('fmax', b);
  return where(logicalOr(ge(a, b), isnan(b)), a, b);
}
/**
 * The smaller of a and b, and the other one where one is NaN, element by element, broadcast (PyTorch: `torch.fmin`).
 */
export function fmin(a: Tensor, b: Tensor): Tensor {
  requireTensor('fmin', a);
  requireTensor('fmin', b);
  return where(logicalOr(le(a, b), isnan(b)), a, b);
}
/**
 * 0 where x is negative, 1 where it is positive, `values` where it is 0, element by element, broadcast (PyTorch:
 * `torch.heaviside`). No gradients flow.
 * @throws RuntimeError where the dtypes differ.
 */
export function heaviside(x: Tensor, values: Tensor): Tensor {
  requireTensor('heaviside', x);
  requireTensor('heaviside', values);
  if (x.dtype !== values.dtype)
    throw new RuntimeError('heaviside is not yet implemented for tensors with different dtypes.');
  return noGrad(() => where(eq(x, 0), values, cast(gt(x, 0), x.dtype)));
}
/** True where x is infinity, as bool (PyTorch: `torch.isposinf`). */
export const isposinf = (x: Tensor): Tensor => logicalAnd(isinf(x), logicalNot(signbit(x)));
/** True where x is −infinity, as bool (PyTorch: `torch.isneginf`). */
export const isneginf = (x: Tensor): Tensor => logicalAnd(isinf(x), signbit(x));

/** Options of `isclose` and `allclose`. */
export interface CloseOptions {
  /** The difference allowed as a share of |b|. Default: 1e-5. */
  rtol?: number;
  /** The difference allowed besides. Default: 1e-8. */
  atol?: number;
  /** Whether NaN is close to NaN. Default: false. */
  equalNan?: boolean;
}
const closeOptions = declareOptions<CloseOptions>({ rtol: kind.number, atol: kind.number, equalNan: kind.flag });
/**
 * Where |a − b| ≤ atol + rtol·|b|, element by element, broadcast, as bool; equal infinities are close (PyTorch:
 * `torch.isclose`).
 * @throws RuntimeError where the dtypes differ, or on a negative tolerance.
 */
export const isclose = (a: Tensor, b: Tensor, options: CloseOptions = {}): Tensor => closeAs('isclose', a, b, options);
/**
 * Whether all elements are close, see `isclose` (PyTorch: `torch.allclose`).
 * @throws RuntimeError where the dtypes differ, or on a negative tolerance.
 */
export const allclose = (a: Tensor, b: Tensor, options: CloseOptions = {}): boolean =>
  isTrueEverywhere('allclose', closeAs('allclose', a, b, options));
/**
 * Whether two tensors have the same shape and the same elements (PyTorch: `torch.equal`). NaN equals nothing.
 * @throws RuntimeError where the dtypes differ.
 */
export function equal(a: Tensor, b: Tensor): boolean {
  requireTensor('equal', a);
  requireTensor('equal', b);
  requireSameDevice('equal', a, b);
  return sameShape(a.shape, b.shape) && isTrueEverywhere('equal', eq(a, b));
}
function isTrueEverywhere(op: string, mask: Tensor): boolean {
  requireReadable(op, mask);
  return (
    launchReduce(
      op,
      Reduction.all,
      mask,
      mask.shape.map((_, d) => d),
      false,
    ).item() === 1
  );
}
function closeAs(op: string, a: Tensor, b: Tensor, options: CloseOptions): Tensor {
  requireTensor(op, a);
  requireTensor(op, b);
  requireOptions(op, options, closeOptions);
  const { rtol = 1e-5, atol = 1e-8, equalNan = false } = options;
  if (a.dtype !== b.dtype) throw new RuntimeError(`${a.dtype} did not match ${b.dtype}`);
  if (!(rtol >= 0)) throw new RuntimeError(`rtol must be greater than or equal to zero, but got ${rtol}`);
  if (!(atol >= 0)) throw new RuntimeError(`atol must be greater than or equal to zero, but got ${atol}`);
  return noGrad(() => {
    const same = equalNan ? logicalOr(eq(a, b), logicalAnd(isnan(a), isnan(b))) : eq(a, b);
    if (rtol === 0 && atol === 0) return same;
    const other = floating(op, b);
    const distance = abs(sub(a, other));
    const allowed = add(abs(mul(other, rtol)), atol);
    return logicalOr(same, logicalAnd(isfinite(distance), le(distance, allowed)));
  });
}

/**
 * x itself: what + is in front of a number (PyTorch: `torch.positive`).
 * @throws RuntimeError on bool.
 */
export function positive(x: Tensor): Tensor {
  requireTensor('positive', x);
  if (x.dtype === 'bool') throw new RuntimeError('The `+` operator, on a bool tensor is not supported.');
  return x;
}
/** Whether the dtype is one of floats (PyTorch: `torch.is_floating_point`). */
export function isFloatingPoint(x: Tensor): boolean {
  requireTensor('isFloatingPoint', x);
  return isFloat(x.dtype);
}
/**
 * Whether the one element is not 0 (PyTorch: `torch.is_nonzero`).
 * @throws RuntimeError on a tensor of no or several elements.
 */
export function isNonzero(x: Tensor): boolean {
  requireTensor('isNonzero', x);
  if (x.size !== 1)
    throw new RuntimeError(
      `Boolean value of Tensor with ${x.size === 0 ? 'no values' : 'more than one value'} is ambiguous`,
    );
  return x.item() !== 0;
}
