// Elementwise ops of one or two tensors, with broadcasting: arithmetic, comparison, functions, activations. Each gradient has two forms: a
// kernel, and a composition of ops that is recorded when higher orders are asked for.
import { defineOp, type OpDefinition, type TensorInfo } from '../autograd/define_op.ts';
import { isGradEnabled, noGrad } from '../autograd/grad_mode.ts';
import { requireChoice, requireElement, requireNumber, shown } from '../checks.ts';
import { KernelRefusal } from '../device/address_backend.ts';
import { currentBackend } from '../device/engine.ts';
import { Binary, Status, Unary } from '../device/generated/abi.ts';
import { ArgumentTypeError, NotImplementedError, RuntimeError, ValueError } from '../errors.ts';
import { mergedInPlace, type Saves, sumRule, unaryRule } from '../fusion/elementwise.ts';
import { fused, type Rule } from '../fusion/fused.ts';
import { commonLayout } from '../launch/layout.ts';
import { launchUnary, launchUnaryBackward } from '../launch/unary.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { copyDense, inFormat } from '../tensor/copy.ts';
import { asElement, fullOn } from '../tensor/create.ts';
import { type DType, isFloat, kindOf, requireDType } from '../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import { aliasOf, allocate, Tensor } from '../tensor/tensor.ts';
import { warn } from '../warnings.ts';
import { sumTo } from './broadcast.ts';
import { cast, clone, resultType, toFormat } from './convert.ts';

// ---- one tensor ---------------------------------------------------------------------------------------------------

/** The gradient at x of g at y, the function's value, as ops. */
type Derivative = (g: Tensor, x: Tensor, y: Tensor, p0: number, p1: number) => Tensor;
/** The same from the derivative alone. */
const times =
  (derivative: (x: Tensor, y: Tensor, p0: number, p1: number) => Tensor): Derivative =>
  (g, x, y, p0, p1) =>
    mul(g, derivative(x, y, p0, p1));

const zerosAs = ({ backend, shape, dtype, memoryFormat }: TensorInfo): Tensor =>
  fullOn(backend, shape, 0, dtype, memoryFormat);

/** A gradient whose derivative by x is 0 although x has chosen it: as in PyTorch it requires a gradient, and that one is zeros. */
const constantIn = defineOp({
  name: 'constantIn',
  forward: (_ctx, gradient: Tensor, _x: Tensor) => aliasOf(gradient),
  backward: (_ctx, [g], _gradient, x) => [g, zerosAs(x)],
}) as (gradient: Tensor, x: Tensor) => Tensor;

/** x, for an op that is linear in it but whose gradient PyTorch calls a function of it: see `constantIn`. */
export const constantAbove: (x: Tensor) => Tensor = defineOp({
  name: 'constantAbove',
  forward(ctx, x: Tensor) {
    ctx.save(x);
    return aliasOf(x);
  },
  backward: (ctx, [g]) => [isGradEnabled() ? constantIn(g, ctx.saved[0]) : g],
});

/** g where the mask holds: chosen, not multiplied, since g may be infinite. */
const masked = (g: Tensor, mask: Tensor): Tensor => where(mask, g, 0);

/** A function of each element and of two numbers. */
function defineParametric(name: string, op: Unary, saves: Saves, derivative: Derivative) {
  const run = defineOp(
    fused(unaryRule(name, op, saves), {
      name,
      forward(ctx, x: Tensor, p0: number, p1: number) {
        const y = launchUnary(name, op, x, p0, p1);
        ctx.save(saves === 'y' ? null : x, saves === 'x' ? null : y);
        return y;
      },
      backward(ctx, [g], _x, p0, p1) {
        const [x, y] = ctx.saved;
        if (isGradEnabled()) return [derivative(g, x ?? y, y ?? x, p0, p1)];
        const like = x ?? y;
        const dx = allocate(like.shape, like.dtype, like.memoryFormat, like.backend);
        // The kernel reads only the one that it needs; the other stands in.
        return [launchUnaryBackward(name, op, like, y ?? x, inFormat(g, like.memoryFormat), dx, p0, p1)];
      },
    }),
  );
  return (x: Tensor, p0: number, p1: number): Tensor => {
    requireTensor(name, x);
    if (x.dtype === 'bool') refuseBool(name);
    return run(x, p0, p1);
  };
}

/** A function of each element alone: `tensors.map(relu)` hands over more. */
function defineUnary(...definition: Parameters<typeof defineParametric>): (x: Tensor) => Tensor {
  const run = defineParametric(...definition);
  return (x) => run(x, 0, 0);
}

function refuseBool(name: string): never {
  if (name === 'neg')
    throw new RuntimeError(
      'Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `logicalNot()` function instead.',
    );
  if (name === 'relu' || name === 'hardtanh') throw new RuntimeError(`Boolean inputs not supported for ${name}`);
  throw new NotImplementedError(`"${name}" not implemented for 'bool'`);
}

/** Unary functions of floats; integers are computed as float32, as in PyTorch. */
function defineFunction(name: string, op: Unary, saves: Saves, derivative: Derivative) {
  const run = defineUnary(name, op, saves, derivative);
  return (x: Tensor): Tensor => {
    requireTensor(name, x);
    return run(isFloat(x.dtype) ? x : cast(x, 'float32'));
  };
}

const twoOverRootPi = 2 / Math.sqrt(Math.PI);

const zero: Derivative = (_g, x) => zerosAs(x);
/**
 * −x, element by element (PyTorch: `torch.neg`).
 * @throws RuntimeError on bool; `logicalNot` inverts a mask.
 */
export const neg = defineUnary('neg', Unary.neg, 'x', (g) => neg(g));
/** |x|, element by element (PyTorch: `torch.abs`). */
export const abs = defineUnary(
  'abs',
  Unary.abs,
  'x',
  times((x) => sign(x)),
);
const signOp = defineUnary('sign', Unary.sign, 'x', zero);
/** −1, 0 or 1 as each element is negative, zero or positive (PyTorch: `torch.sign`). The gradient is 0. */
export const sign = (x: Tensor): Tensor => (x instanceof Tensor && x.dtype === 'bool' ? clone(x) : signOp(x));
// In the order in which nothing overflows before the result does.
const squareOp = defineUnary('square', Unary.square, 'x', (g, x) => mul(mul(g, x), 2));
/** x², element by element (PyTorch: `torch.square`). */
export const square = (x: Tensor): Tensor => squareOp(x instanceof Tensor && x.dtype === 'bool' ? cast(x, 'int64') : x);
/** The next integer at or below each element, in x's dtype (PyTorch: `torch.floor`). The gradient is 0. */
export const floor = defineUnary('floor', Unary.floor, 'x', zero);
/** The next integer at or above each element, in x's dtype (PyTorch: `torch.ceil`). The gradient is 0. */
export const ceil = defineUnary('ceil', Unary.ceil, 'x', zero);
/** The nearest integer of each element, halves to the even one: 0.5 gives 0, 1.5 gives 2 (PyTorch: `torch.round`). The gradient is 0. */
export const round = defineUnary('round', Unary.round, 'x', zero);
/** √x, element by element, NaN below 0; integers give float32 (PyTorch: `torch.sqrt`). */
export const sqrt = defineFunction(
  'sqrt',
  Unary.sqrt,
  'y',
  times((_, y) => div(0.5, y)),
);
/** 1/√x, element by element; integers give float32 (PyTorch: `torch.rsqrt`). */
export const rsqrt = defineFunction(
  'rsqrt',
  Unary.rsqrt,
  'y',
  times((_, y) => mul(pow(y, 3), -0.5)),
);
/** 1/x, element by element; integers give float32 (PyTorch: `torch.reciprocal`). */
export const reciprocal = defineFunction(
  'reciprocal',
  Unary.reciprocal,
  'y',
  times((_, y) => neg(square(y))),
);
/** eˣ, element by element; integers give float32 (PyTorch: `torch.exp`). */
export const exp = defineFunction(
  'exp',
  Unary.exp,
  'y',
  times((_, y) => y),
);
/** eˣ − 1, exact also for x near 0; integers give float32 (PyTorch: `torch.expm1`). */
export const expm1 = defineFunction(
  'expm1',
  Unary.expm1,
  'both',
  times((_, y) => add(y, 1)),
);
/** The natural logarithm of each element, NaN below 0; integers give float32 (PyTorch: `torch.log`). */
export const log = defineFunction(
  'log',
  Unary.log,
  'x',
  times((x) => reciprocal(x)),
);
/** log(1 + x), exact also for x near 0; integers give float32 (PyTorch: `torch.log1p`). */
export const log1p = defineFunction(
  'log1p',
  Unary.log1p,
  'x',
  times((x) => reciprocal(add(x, 1))),
);
/** The sine of each element, in radians; integers give float32 (PyTorch: `torch.sin`). */
export const sin = defineFunction(
  'sin',
  Unary.sin,
  'x',
  times((x) => cos(x)),
);
/** The cosine of each element, in radians; integers give float32 (PyTorch: `torch.cos`). */
export const cos = defineFunction(
  'cos',
  Unary.cos,
  'x',
  times((x) => neg(sin(x))),
);
/** The hyperbolic tangent of each element; integers give float32 (PyTorch: `torch.tanh`). */
export const tanh = defineFunction(
  'tanh',
  Unary.tanh,
  'y',
  times((_, y) => sub(1, square(y))),
);
/** The error function, 2/√π · ∫₀ˣ e^(−t²) dt, of each element; integers give float32 (PyTorch: `torch.erf`). */
export const erf = defineFunction(
  'erf',
  Unary.erf,
  'x',
  times((x) => mul(exp(neg(square(x))), twoOverRootPi)),
);
/** 1 / (1 + e⁻ˣ), element by element; integers give float32 (PyTorch: `torch.sigmoid`). */
export const sigmoid = defineFunction(
  'sigmoid',
  Unary.sigmoid,
  'y',
  times((_, y) => mul(y, sub(1, y))),
);
// σ(−x), as that of σ(x) and σ(−x) which is no more than ½: so its derivative does not cancel.
/** log(1 / (1 + e⁻ˣ)), element by element, without overflow; integers give float32 (PyTorch: `F.logsigmoid`). */
export const logsigmoid = defineFunction(
  'logsigmoid',
  Unary.logsigmoid,
  'both',
  times((x) => where(lt(x, 0), sub(1, sigmoid(x)), sigmoid(neg(x)))),
);
// At NaN as well: only where y ≤ 0 does nothing flow.
/**
 * max(x, 0), element by element; NaN stays NaN (PyTorch: `torch.relu`). The gradient at 0 is 0.
 * @throws RuntimeError on bool.
 * @example
 * relu(tensor([-1, 0, 2])); // [0, 0, 2]
 */
export const relu = defineUnary('relu', Unary.relu, 'y', (g, _, y) => constantIn(where(le(y, 0), 0, g), y));
const hardtanhOp = defineParametric('hardtanh', Unary.hardtanh, 'y', (g, _, y, low, high) =>
  constantIn(masked(g, logicalAnd(gt(y, low), lt(y, high))), y),
);
const leakyReluOp = defineParametric('leakyRelu', Unary.leakyRelu, 'x', (g, x, _, slope) =>
  constantIn(where(gt(x, 0), g, mul(g, slope)), x),
);
/** min(x, 0), through which nothing flows at 0 itself. */
const negativePart = (x: Tensor) => neg(relu(neg(x)));
const eluOp = defineParametric(
  'elu',
  Unary.elu,
  'both',
  times((x, _, alpha) => whereWith(gt(x, 0), 1, mul(exp(negativePart(x)), alpha), x.dtype)),
);
const seluScale = 1.0507009873554805;
const seluAlpha = 1.6732632423543772;
/** scale · (x where positive, α·(eˣ − 1) elsewhere), with the constants that keep mean 0 and variance 1 (Klambauer et al. 2017; PyTorch: `F.selu`). */
export const selu = defineFunction(
  'selu',
  Unary.selu,
  'both',
  times((x) => whereWith(gt(x, 0), seluScale, mul(exp(negativePart(x)), seluScale * seluAlpha), x.dtype)),
);
const geluErf = defineFunction(
  'gelu',
  Unary.gelu,
  'x',
  times((x) =>
    add(
      mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5),
      mul(x, mul(exp(mul(square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI))),
    ),
  ),
);
const geluTanh = defineFunction(
  'geluTanh',
  Unary.geluTanh,
  'x',
  times((x) => {
    const root = Math.sqrt(2 / Math.PI);
    const t = tanh(mul(add(x, mul(pow(x, 3), 0.044715)), root));
    const inner = mul(add(mul(square(x), 3 * 0.044715), 1), root);
    return add(mul(add(t, 1), 0.5), mul(mul(mul(x, 0.5), sub(1, square(t))), inner));
  }),
);
/** x · sigmoid(x), element by element; also called swish (PyTorch: `F.silu`). */
export const silu = defineFunction(
  'silu',
  Unary.silu,
  'x',
  times((x) => {
    const s = sigmoid(x);
    return mul(s, add(mul(x, sub(1, s)), 1));
  }),
);
const softplusOp = defineParametric(
  'softplus',
  Unary.softplus,
  'x',
  times((x, _, beta, threshold) => whereWith(gt(mul(x, beta), threshold), 1, sigmoid(mul(x, beta)), x.dtype)),
);
// The mask alone depends on x, and in PyTorch too such a gradient does not require one.
const clampOp = defineParametric('clamp', Unary.clamp, 'x', (g, x, _, low, high) =>
  masked(g, logicalAnd(ge(x, low), le(x, high))),
);
/** x/6 + 1/2, limited to [0, 1] (PyTorch: `F.hardsigmoid`). */
export const hardsigmoid = defineFunction('hardsigmoid', Unary.hardsigmoid, 'x', (g, x) =>
  constantIn(mul(masked(g, logicalAnd(gt(x, -3), lt(x, 3))), 1 / 6), x),
);
/** x · hardsigmoid(x) (Howard et al. 2019; PyTorch: `F.hardswish`). */
export const hardswish = defineFunction(
  'hardswish',
  Unary.hardswish,
  'x',
  times((x) => whereWith(le(x, -3), 0, whereWith(ge(x, 3), 1, add(mul(x, 1 / 3), 0.5), x.dtype), x.dtype)),
);
/** x · tanh(softplus(x)) (Misra 2019; PyTorch: `F.mish`). */
export const mish = defineFunction(
  'mish',
  Unary.mish,
  'x',
  times((x) => {
    const t = tanh(softplus(x));
    return add(t, mul(mul(x, sigmoid(x)), sub(1, square(t))));
  }),
);

/** x as floats; integers as float32. */
function floating(name: string, x: Tensor): Tensor {
  requireTensor(name, x);
  return isFloat(x.dtype) ? x : cast(x, 'float32');
}

// The options of these are those of their layers. What a layer calls with numbers it has checked has no options: `…With`.

/** Options of `leakyRelu` and `LeakyReLU`. */
export interface LeakyReluOptions {
  /** The slope where x is negative. Default: 0.01. */
  negativeSlope?: number;
}
export const leakyReluOptions = declareOptions<LeakyReluOptions>({ negativeSlope: kind.number });
/** x where positive, `negativeSlope`·x elsewhere; integers give float32 (PyTorch: `F.leaky_relu`). */
export function leakyRelu(x: Tensor, options: LeakyReluOptions = {}): Tensor {
  requireOptions('leakyRelu', options, leakyReluOptions);
  return leakyReluWith(x, options.negativeSlope ?? 0.01);
}
export const leakyReluWith = (x: Tensor, negativeSlope: number): Tensor =>
  leakyReluOp(floating('leakyRelu', x), requireNumber('leakyRelu', 'negativeSlope', negativeSlope), 0);

/** Options of `elu` and `ELU`. */
export interface EluOptions {
  /** The result goes to −alpha for very negative x. Default: 1. */
  alpha?: number;
}
export const eluOptions = declareOptions<EluOptions>({ alpha: kind.number });
/** x where positive, `alpha`·(eˣ − 1) elsewhere; integers give float32 (Clevert et al. 2015; PyTorch: `F.elu`). */
export function elu(x: Tensor, options: EluOptions = {}): Tensor {
  requireOptions('elu', options, eluOptions);
  return eluWith(x, options.alpha ?? 1);
}
export const eluWith = (x: Tensor, alpha: number): Tensor =>
  eluOp(floating('elu', x), requireNumber('elu', 'alpha', alpha), 0);

/** Options of `gelu` and `GELU`. */
export interface GeluOptions {
  /** `'none'` is exact, `'tanh'` an approximation, which older models were trained with. Default: `'none'`. */
  approximate?: 'none' | 'tanh';
}
export const geluOptions = declareOptions<GeluOptions>({ approximate: kind.choice });
/** x·Φ(x), where Φ is the normal distribution function, exactly or by tanh (Hendrycks & Gimpel 2016; PyTorch: `F.gelu`). */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  requireOptions('gelu', options, geluOptions);
  return geluWith(x, options.approximate ?? 'none');
}
export const geluWith = (x: Tensor, approximate: 'none' | 'tanh'): Tensor =>
  requireChoice('gelu', 'approximate', approximate, approximations) === 'tanh' ? geluTanh(x) : geluErf(x);
export const approximations = ['none', 'tanh'] as const;

/** Options of `softplus` and `Softplus`. */
export interface SoftplusOptions {
  /** How sharp the bend at 0 is. Default: 1. */
  beta?: number;
  /** Where beta·x lies above this, the result is x. Default: 20. */
  threshold?: number;
}
export const softplusOptions = declareOptions<SoftplusOptions>({ beta: kind.number, threshold: kind.number });
/**
 * log(1 + e^(beta·x)) / beta, a smooth `relu`, and x itself where beta·x > threshold (PyTorch: `F.softplus`).
 * @example
 * softplus(x, { beta: 2 }); // or x.softplus({ beta: 2 })
 */
export function softplus(x: Tensor, options: SoftplusOptions = {}): Tensor {
  requireOptions('softplus', options, softplusOptions);
  return softplusWith(x, options.beta ?? 1, options.threshold ?? 20);
}
export function softplusWith(x: Tensor, beta: number, threshold: number): Tensor {
  requireNumber('softplus', 'beta', beta);
  requireNumber('softplus', 'threshold', threshold);
  return softplusOp(floating('softplus', x), beta, threshold);
}

/** Options of `hardtanh` and `Hardtanh`. */
export interface HardtanhOptions {
  /** The lower limit. Default: −1. */
  minVal?: number;
  /** The upper limit. Default: 1. */
  maxVal?: number;
}
export const hardtanhOptions = declareOptions<HardtanhOptions>({ minVal: kind.number, maxVal: kind.number });
/**
 * Values limited to [minVal, maxVal]; on and beyond the limits no gradient flows (PyTorch: `F.hardtanh`).
 * @throws ValueError where minVal is above maxVal.
 */
export function hardtanh(x: Tensor, options: HardtanhOptions = {}): Tensor {
  requireOptions('hardtanh', options, hardtanhOptions);
  return hardtanhWith(x, options.minVal ?? -1, options.maxVal ?? 1);
}
export function hardtanhWith(x: Tensor, minVal: number, maxVal: number): Tensor {
  requireNumber('hardtanh', 'minVal', minVal);
  requireNumber('hardtanh', 'maxVal', maxVal);
  if (!(minVal <= maxVal))
    throw new ValueError(`[hardtanh] expected minVal of at most maxVal, got ${minVal} and ${maxVal}`);
  requireTensor('hardtanh', x);
  if (x.dtype === 'uint8' && (minVal <= -1 || maxVal <= -1))
    throw new RuntimeError('cannot do hardtanh on an unsigned type with negative limits');
  const bound = (value: number) => (isFloat(x.dtype) ? value : asElement(Math.trunc(value), x.dtype));
  return hardtanhOp(x, bound(minVal), bound(maxVal));
}

/**
 * Values limited to [min, max]; either may be left out (PyTorch: `torch.clamp`). NaN stays NaN, and a limit that is NaN makes all NaN.
 * Integers with a fractional limit give float32. At a limit itself the gradient flows.
 * @throws RuntimeError without either limit.
 * @example
 * clamp(x, 0, 1);
 * clamp(x, undefined, 6);
 */
export function clamp(x: Tensor, min?: number, max?: number): Tensor {
  requireTensor('clamp', x);
  if (min === undefined && max === undefined)
    throw new RuntimeError("[clamp] At least one of 'min' or 'max' must not be undefined");
  if (min !== undefined) requireNumber('clamp', 'min', min);
  if (max !== undefined) requireNumber('clamp', 'max', max);
  const bounded = withBound(x, min, max);
  if (Number.isNaN(min) || Number.isNaN(max)) return where(fullOn(x.backend, x.shape, 1, 'bool'), Number.NaN, bounded);
  const bound = (value: number | undefined, none: number) =>
    value === undefined ? none : asElement(value, bounded.dtype);
  return clampOp(bounded, bound(min, -Infinity), bound(max, Infinity));
}

/** x in the dtype in which it meets the bounds. */
function withBound(x: Tensor, ...bounds: (number | undefined)[]): Tensor {
  if (isFloat(x.dtype)) return x;
  return bounds.reduce<Tensor>((y, bound) => (bound === undefined ? y : cast(y, withScalar(y, bound))), x);
}

function definePredicate(name: string, op: Unary): (x: Tensor) => Tensor {
  return (x) => {
    requireTensor(name, x);
    return launchUnary(name, op, x, 0, 0, 'bool');
  };
}
/** True where x is 0, as bool (PyTorch: `torch.logical_not`). */
export const logicalNot = definePredicate('logicalNot', Unary.logicalNot);
/** True where x is NaN, as bool (PyTorch: `torch.isnan`). */
export const isnan = definePredicate('isnan', Unary.isnan);
/** True where x is neither NaN nor infinite, as bool (PyTorch: `torch.isfinite`). */
export const isfinite = definePredicate('isfinite', Unary.isfinite);

// ---- two tensors --------------------------------------------------------------------------------------------------

/** What an operation of two operands takes on either side: a tensor, or one number or boolean for all elements. */
export type Operand = Tensor | number | boolean;
/** As operations compute with it: truth values are 0-d tensors. */
type Prepared = Tensor | number;

function launchBinary(
  name: string,
  op: Binary,
  a: Tensor,
  b: Tensor,
  alpha: number,
  dtype: DType,
  over?: Tensor,
): Tensor {
  requireSameDevice(name, a, b);
  const layout = commonLayout([a, b]);
  const out = over ?? allocate(layout.shape, dtype, layout.format, a.backend);
  const [aStrides, bStrides] = layout.strides;
  try {
    a.backend.launch.binary(name, { op, a, b, out, shape: layout.dims, aStrides, bStrides, alpha });
  } catch (error) {
    throw inWords(name, error, op === Binary.remainder && !isFloat(a.dtype));
  }
  return out;
}

function launchScalar(
  name: string,
  op: Binary,
  x: Tensor,
  scalar: number,
  reverse: boolean,
  alpha: number,
  dtype: DType,
): Tensor {
  const out = allocate(x.shape, dtype, x.memoryFormat, x.backend);
  try {
    x.backend.launch.binaryScalar(name, { op, x, s: scalar, reverse, out, alpha });
  } catch (error) {
    throw inWords(name, error, op === Binary.remainder);
  }
  return out;
}

/** A refusal in words, where it has one of the two reasons that a user can cause. */
function inWords(name: string, error: unknown, mayDivideBy0: boolean): unknown {
  if (!(error instanceof KernelRefusal) || error.status !== Status.badArgument) return error;
  return new RuntimeError(
    mayDivideBy0
      ? `[${name}] ZeroDivisionError`
      : `[${name}] expected operands that are broadcast along at most 16 separate dimensions, got more`,
  );
}

/** An operand as kernels take it, beside the other one. */
function prepared(name: string, value: Operand, other: Operand): Prepared {
  if (value instanceof Tensor || typeof value === 'number') return value;
  if (typeof value === 'boolean')
    return fullOn(other instanceof Tensor ? other.backend : currentBackend(), [], Number(value), 'bool');
  throw new ArgumentTypeError(`[${name}] expected tensors or numbers, got ${shown(value)}`);
}

/** Refuses an operation of two plain values. */
function requireATensor(name: string, a: Operand, b: Operand): void {
  if (a instanceof Tensor || b instanceof Tensor) return;
  prepared(name, a, b);
  prepared(name, b, a);
  throw new ArgumentTypeError(`[${name}] expected at least one tensor, got two numbers`);
}

/** The dtype an integer tensor is computed in together with a number: float32 when the number is none of the integers. */
const withScalar = (x: Tensor, scalar: number): DType =>
  isFloat(x.dtype) ? x.dtype : !Number.isInteger(scalar) ? 'float32' : x.dtype === 'bool' ? 'int64' : x.dtype;

type BinaryDerivatives = (
  g: Tensor,
  a: Prepared,
  b: Prepared,
  y: Tensor,
  alpha: number,
) => readonly [() => Tensor, () => Tensor];

interface BinaryOptions {
  /** What the backward reads: the operands or the result. */
  readonly saves?: 'operands' | 'nothing' | 'result';
  /** Which operands it reads, where not both, given which gradients are wanted. What nobody reads need not be kept alive. */
  readonly reads?: (needsA: boolean, needsB: boolean) => readonly [a: boolean, b: boolean];
  /** Throws where integers or booleans, computed in a dtype, are not what PyTorch takes. */
  readonly refuse?: (a: Prepared, b: Prepared, dtype: DType) => void;
  /** Integer operands are computed as float32 (true division). */
  readonly floatOnly?: boolean;
  /** How the operation is merged with others. */
  readonly rule?: Rule<[a: Prepared, b: Prepared, alpha: number], Tensor>;
}

/** A function of two operands, and of the number alpha where it has one. */
function defineScaled(name: string, op: Binary, derivatives: BinaryDerivatives, options: BinaryOptions = {}) {
  const { saves = 'operands', reads = () => [true, true] } = options;
  const definition: OpDefinition<[a: Prepared, b: Prepared, alpha: number], Tensor> = {
    name,
    forward(ctx, a: Prepared, b: Prepared, alpha: number) {
      let y: Tensor;
      if (typeof b === 'number') y = launchScalar(name, op, a as Tensor, b, false, alpha, (a as Tensor).dtype);
      else if (typeof a === 'number') y = launchScalar(name, op, b, a, true, alpha, b.dtype);
      else y = launchBinary(name, op, a, b, alpha, a.dtype);
      const tensor = (value: Prepared) => (value instanceof Tensor ? value : null);
      if (saves === 'operands') {
        const [readsA, readsB] = reads(ctx.needs[0], ctx.needs[1]);
        ctx.save(readsA ? tensor(a) : null, readsB ? tensor(b) : null);
      } else if (saves === 'result') ctx.save(tensor(a), tensor(b), y);
      return y;
    },
    backward(ctx, [g], a, b, alpha) {
      const saved = saves === 'nothing' ? [] : ctx.saved;
      const left = typeof a === 'number' ? a : saved[0];
      const right = typeof b === 'number' ? b : saved[1];
      const [da, db] = derivatives(g, left, right, saved[2], alpha);
      return [
        ctx.needs[0] ? sumTo(da(), (a as TensorInfo).shape) : null,
        ctx.needs[1] ? sumTo(db(), (b as TensorInfo).shape) : null,
      ];
    },
  };
  const run = defineOp(options.rule ? fused(options.rule, definition) : definition);
  return (left: Operand, right: Operand, factor: number | boolean): Tensor => {
    requireATensor(name, left, right);
    const a = prepared(name, left, right);
    const b = prepared(name, right, left);
    const common =
      typeof a === 'number' ? withScalar(b as Tensor, a) : typeof b === 'number' ? withScalar(a, b) : resultType(a, b);
    const dtype = options.floatOnly && !isFloat(common) ? 'float32' : common;
    const alpha = factor === 1 ? 1 : requireAlpha(name, factor, dtype);
    if (!isFloat(dtype)) options.refuse?.(a, b, dtype);
    const inDtype = (value: Prepared) => (value instanceof Tensor ? cast(value, dtype) : value);
    return run(inDtype(a), inDtype(b), alpha);
  };
}

function defineBinary(...definition: Parameters<typeof defineScaled>): (a: Operand, b: Operand) => Tensor {
  const run = defineScaled(...definition);
  return (a, b) => run(a, b, 1);
}

/** Options of `add` and `sub`. */
export interface AlphaOption {
  /** Factor of the second operand; a boolean for bool tensors only. Default: 1. */
  alpha?: number | boolean;
}
export const alphaOption = declareOptions<AlphaOption>({ alpha: kind.numeric });

/** The factor of the second operand. */
function requireAlpha(name: string, alpha: unknown, dtype: DType): number {
  if (typeof alpha === 'boolean' && dtype !== 'bool')
    throw new RuntimeError(`[${name}] Boolean alpha only supported for Boolean results.`);
  const factor = requireElement(name, 'alpha', alpha);
  if (!isFloat(dtype) && !Number.isInteger(factor))
    throw new RuntimeError(`[${name}] For integral input tensors, argument alpha must not be a floating point number.`);
  return factor;
}

export const addScaled = defineScaled(
  'add',
  Binary.add,
  (g, _a, _b, _y, alpha) => [() => g, () => (alpha === 1 ? g : mul(g, alpha))],
  { saves: 'nothing', rule: sumRule },
);
/**
 * a + alpha·b, element by element, broadcast (PyTorch: `torch.add`). One of the two may be a number.
 * @throws RuntimeError where the shapes do not broadcast, or the tensors are on two devices.
 * @example
 * add(x, 1);
 * x.add(y, { alpha: 0.5 });
 */
export function add(a: Operand, b: Operand, options?: AlphaOption): Tensor {
  if (options !== undefined) requireOptions('add', options, alphaOption);
  return addScaled(a, b, options?.alpha ?? 1);
}
export const subScaled = defineScaled('sub', Binary.sub, (g, _a, _b, _y, alpha) => [() => g, () => mul(g, -alpha)], {
  saves: 'nothing',
  refuse(a, b) {
    const isBool = (operand: Prepared) => operand instanceof Tensor && operand.dtype === 'bool';
    if (isBool(a) && isBool(b))
      throw new RuntimeError(
        'Subtraction, the `-` operator, with two bool tensors is not supported. Use the `logicalXor()` function instead.',
      );
    if (isBool(a) || isBool(b))
      throw new RuntimeError(
        'Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the `logicalNot()` function instead.',
      );
  },
});
/**
 * a − alpha·b, element by element, broadcast (PyTorch: `torch.sub`). One of the two may be a number.
 * @throws RuntimeError where the shapes do not broadcast, or on bool, for which there are `logicalXor` and `logicalNot`.
 */
export function sub(a: Operand, b: Operand, options?: AlphaOption): Tensor {
  if (options !== undefined) requireOptions('sub', options, alphaOption);
  return subScaled(a, b, options?.alpha ?? 1);
}
/**
 * a·b, element by element, broadcast (PyTorch: `torch.mul`). One of the two may be a number. `matmul` is the product of matrices.
 * @throws RuntimeError where the shapes do not broadcast, or the tensors are on two devices.
 */
export const mul = defineBinary('mul', Binary.mul, (g, a, b) => [() => mul(g, b), () => mul(g, a)], {
  reads: (needsA, needsB) => [needsB, needsA],
});
/**
 * a / b, element by element, broadcast; integers give float32 (PyTorch: `torch.div`). One of the two may be a number.
 * @throws RuntimeError where the shapes do not broadcast, or the tensors are on two devices.
 */
export const div = defineBinary(
  'div',
  Binary.div,
  (g, a, b) => [() => div(g, b), () => neg(div(mul(g, div(a, b)), b))],
  { floatOnly: true, reads: (_, needsB) => [needsB, true] },
);
/**
 * a to the power b, element by element, broadcast (PyTorch: `torch.pow`). One of the two may be a number.
 * @throws RuntimeError on an integer tensor to a negative integer power; NotImplementedError on bool.
 */
export const pow = defineBinary(
  'pow',
  Binary.pow,
  (g, a, b, y) => [
    // b·a^(b−1), and 0 where b is 0 (also at a = 0). That is chosen last: in a second order, what it replaces may be NaN.
    () =>
      typeof b === 'number'
        ? b === 0
          ? zerosAs(g)
          : mul(g, mul(pow(a, b - 1), b))
        : where(eq(b, 0), 0, mul(g, mul(b, pow(a, sub(b, 1))))),
    // y·ln a, and 0 where a is 0 and b is not negative.
    () => {
      const base = typeof a === 'number' ? fullOn(g.backend, [], a, g.dtype) : a;
      return mul(g, whereWith(logicalAnd(eq(base, 0), ge(b as Tensor, 0)), 0, mul(y, log(base)), g.dtype));
    },
  ],
  {
    saves: 'result',
    refuse(_a, b, dtype) {
      if (dtype === 'bool') throw new NotImplementedError('"pow" not implemented for \'bool\'');
      if (typeof b === 'number' && b < 0)
        throw new RuntimeError('Integers to negative integer powers are not allowed.');
    },
  },
);
// Where both are equal each gets half, and where either is NaN each gets all, as in PyTorch.
const share = (g: Tensor, loses: Tensor, ties: Tensor) => where(loses, 0, where(ties, mul(g, 0.5), g));
const compareWith = (f: (a: Operand, b: Operand) => Tensor, a: Operand, b: Operand) => f(a, b);
/** The larger of a and b, element by element, broadcast; NaN where either is NaN (PyTorch: `torch.maximum`). Equal ones share the gradient. */
export const maximum = defineBinary('maximum', Binary.maximum, (g, a, b) => [
  () => share(g, compareWith(lt, a, b), eq(a, b)),
  () => share(g, compareWith(gt, a, b), eq(a, b)),
]);
/** The smaller of a and b, element by element, broadcast; NaN where either is NaN (PyTorch: `torch.minimum`). Equal ones share the gradient. */
export const minimum = defineBinary('minimum', Binary.minimum, (g, a, b) => [
  () => share(g, compareWith(gt, a, b), eq(a, b)),
  () => share(g, compareWith(lt, a, b), eq(a, b)),
]);
/**
 * a − b·floor(a / b), element by element, broadcast: the remainder with the sign of b (PyTorch: `torch.remainder`).
 * @throws RuntimeError on an integer division by 0; NotImplementedError on bool.
 */
export const remainder = defineBinary(
  'remainder',
  Binary.remainder,
  (g, a, b) => [
    () => g,
    () =>
      [a, b].reduce<Tensor>(
        (gradient, operand) => (operand instanceof Tensor ? constantIn(gradient, operand) : gradient),
        neg(mul(g, flooredQuotient(a, b))),
      ),
  ],
  {
    refuse(_a, _b, dtype) {
      if (dtype === 'bool') throw new NotImplementedError('"remainder" not implemented for \'bool\'');
    },
  },
);

/** floor(a / b), unrecorded. Not of the rounded quotient, which may be the next whole number, but of the exact one. */
const flooredQuotient = (a: Prepared, b: Prepared): Tensor =>
  noGrad(() => {
    const rest = remainder(a, b);
    // b itself, where that is infinite and of the other sign.
    const quotient = where(eq(abs(rest), Infinity), -1, round(div(sub(a, rest), b)));
    return typeof b === 'number' ? quotient : where(eq(b, 0), div(a, b), quotient);
  });

/** The same memory without history: no gradient flows through it (PyTorch: `Tensor.detach`). In-place changes are seen by both. */
export const detach: (x: Tensor) => Tensor = aliasOf;

function defineComparison(name: string, op: Binary) {
  return (left: Operand, right: Operand): Tensor => {
    requireATensor(name, left, right);
    const a = prepared(name, left, right);
    const b = prepared(name, right, left);
    if (typeof b === 'number') {
      const x = cast(detach(a as Tensor), withScalar(a as Tensor, b));
      return launchScalar(name, op, x, b, false, 1, 'bool');
    }
    if (typeof a === 'number') {
      const x = cast(detach(b), withScalar(b, a));
      return launchScalar(name, op, x, a, true, 1, 'bool');
    }
    const dtype = resultType(a, b);
    return launchBinary(name, op, cast(detach(a), dtype), cast(detach(b), dtype), 1, 'bool');
  };
}
/** Whether a = b, element by element, broadcast, as bool (PyTorch: `torch.eq`). */
export const eq = defineComparison('eq', Binary.eq);
/** Whether a ≠ b, element by element, broadcast, as bool (PyTorch: `torch.ne`). */
export const ne = defineComparison('ne', Binary.ne);
/** Whether a < b, element by element, broadcast, as bool (PyTorch: `torch.lt`). */
export const lt = defineComparison('lt', Binary.lt);
/** Whether a ≤ b, element by element, broadcast, as bool (PyTorch: `torch.le`). */
export const le = defineComparison('le', Binary.le);
/** Whether a > b, element by element, broadcast, as bool (PyTorch: `torch.gt`). */
export const gt = defineComparison('gt', Binary.gt);
/** Whether a ≥ b, element by element, broadcast, as bool (PyTorch: `torch.ge`). */
export const ge = defineComparison('ge', Binary.ge);
/** Whether both a and b are not 0, element by element, broadcast, as bool (PyTorch: `torch.logical_and`). */
export const logicalAnd = defineComparison('logicalAnd', Binary.logicalAnd);
/** Whether a or b is not 0, element by element, broadcast, as bool (PyTorch: `torch.logical_or`). */
export const logicalOr = defineComparison('logicalOr', Binary.logicalOr);
/** Whether exactly one of a and b is not 0, element by element, broadcast, as bool (PyTorch: `torch.logical_xor`). */
export const logicalXor = defineComparison('logicalXor', Binary.logicalXor);

// ---- choosing -----------------------------------------------------------------------------------------------------

const whereOp = defineOp({
  name: 'where',
  forward(ctx, condition: Tensor, a: Tensor, b: Tensor) {
    requireSameDevice('where', condition, a, b);
    const layout = commonLayout([condition, a, b]);
    const out = allocate(layout.shape, a.dtype, layout.format, a.backend);
    const [conditionStrides, aStrides, bStrides] = layout.strides;
    try {
      a.backend.launch.where('where', {
        condition,
        a,
        b,
        out,
        shape: layout.dims,
        conditionStrides,
        aStrides,
        bStrides,
      });
    } catch (error) {
      throw inWords('where', error, false);
    }
    ctx.save(condition);
    return out;
  },
  backward(ctx, [g], _condition, a, b) {
    const [condition] = ctx.saved;
    return [
      null,
      ctx.needs[1] ? sumTo(where(condition, g, 0), a.shape) : null,
      ctx.needs[2] ? sumTo(where(condition, 0, g), b.shape) : null,
    ];
  },
});

/** Options of `where`. */
export interface WhereOptions {
  /** The dtype of the result of two numbers. Default: float32. */
  dtype?: DType;
}
export const whereOptions = declareOptions<WhereOptions>({ dtype: kind.choice });

/**
 * Values of `a` where the condition holds, of `b` elsewhere; all three are broadcast (PyTorch: `torch.where`).
 * @throws RuntimeError where the condition is neither bool nor uint8, or shapes do not broadcast.
 * @example
 * where(x.gt(0), x, 0);
 */
export function where(condition: Tensor, a: Operand, b: Operand, options?: WhereOptions): Tensor {
  if (options !== undefined) {
    requireOptions('where', options, whereOptions);
    if (options.dtype !== undefined) requireDType('where', options.dtype);
  }
  return whereWith(condition, a, b, options?.dtype);
}

/** `where` for the library itself: `dtype` is that of two numbers. */
export function whereWith(condition: Tensor, left: Operand, right: Operand, dtype?: DType): Tensor {
  requireTensor('where', condition);
  const a = prepared('where', left, condition);
  const b = prepared('where', right, condition);
  if (condition.dtype === 'uint8')
    warn('where received a uint8 condition tensor. This behavior is deprecated. Use a boolean condition instead.');
  else if (condition.dtype !== 'bool')
    throw new RuntimeError(
      `where expected condition to be a boolean tensor, but got a tensor with dtype ${condition.dtype}`,
    );
  const common =
    a instanceof Tensor && b instanceof Tensor
      ? resultType(a, b)
      : a instanceof Tensor
        ? withScalar(a, b as number)
        : b instanceof Tensor
          ? withScalar(b, a)
          : (dtype ?? 'float32');
  const inDtype = (value: Prepared) =>
    value instanceof Tensor ? cast(value, common) : fullOn(condition.backend, [], value, common);
  return whereOp(cast(condition, 'bool'), inDtype(a), inDtype(b));
}

// ---- in place -----------------------------------------------------------------------------------------------------

/** Replaces the values of x by those of `compute(x)`, and x's place in the graph with them. */
export function inPlace(name: string, x: Tensor, compute: (x: Tensor) => Tensor): Tensor {
  requireTensor(name, x);
  if (isGradEnabled() && x.requiresGrad && x.isLeaf)
    throw new RuntimeError('a leaf Variable that requires grad is being used in an in-place operation.');
  const before = aliasOf(x);
  before.gradFn = x.gradFn;
  before.outputIndex = x.outputIndex;
  before.history = x.history;
  const result = compute(before);
  if (!sameShape(result.shape, x.shape))
    throw new RuntimeError(
      `output with shape ${formatShape(x.shape)} doesn't match the broadcast shape ${formatShape(result.shape)}`,
    );
  if (kindOf(result.dtype) > kindOf(x.dtype))
    throw new RuntimeError(`result type ${result.dtype} can't be cast to the desired output type ${x.dtype}`);
  const converted = toFormat(cast(result, x.dtype), x.memoryFormat);
  if (before.isSaved) moveAway(before);
  overwrite(x, converted);
  if (converted.gradFn) {
    x.gradFn = converted.gradFn;
    x.outputIndex = converted.outputIndex;
    x.history = ++x.storage.history;
  }
  return x;
}

/** Gives a tensor memory of its own with the same values: a backward needs these when others share the memory and overwrite it. */
function moveAway(saved: Tensor): void {
  const { version } = saved;
  const copy = allocate(saved.shape, saved.dtype, saved.memoryFormat, saved.backend);
  copyDense('copy', saved, copy);
  saved.storage = copy.storage;
  saved.storage.version = version;
  saved.history = saved.storage.history;
}

/** a + b over the memory of a; unrecorded, and without a tensor in between where b lies as a does. */
export function addOver(a: Tensor, b: Tensor): void {
  const isAlike = a.dtype === b.dtype && a.memoryFormat === b.memoryFormat && sameShape(a.shape, b.shape);
  if (!isAlike) {
    inPlace('add_', a, (x) => add(x, b));
    return;
  }
  a.storage.beginChange();
  launchBinary('add', Binary.add, a, b, 1, a.dtype, a);
}

/** Copies the values of `from`, of the same shape, dtype and order, over those of `to`. */
export function overwrite(to: Tensor, from: Tensor): void {
  if (mergedInPlace(to, from)) return;
  to.storage.beginChange();
  copyDense('copy', from, to);
}
