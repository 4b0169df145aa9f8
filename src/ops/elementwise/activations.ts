// Activations. Everything that is exported is public, at the root and in nn.functional: see ../elementwise.ts.
import { requireChoice, requireNumber } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { asElement } from '../../tensor/create.ts';
import { isFloat } from '../../tensor/dtype.ts';
import { requireFloat, requireTensor } from '../../tensor/requirements.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { abs, add, div, mul, neg, square, sub } from './arithmetic.ts';
import { ge, gt, le, logicalAnd, logicalOr, lt, where } from './comparison.ts';
import { constantIn } from './constant.ts';
import { erf, exp, pow } from './functions.ts';
import { defineFunction, defineParametric, defineUnary, floating } from './unary.ts';

/** The hyperbolic tangent of each element; integers give float32 (PyTorch: `torch.tanh`). */
export const tanh = defineFunction('tanh', 'y', (g, _, y) => mul(g, sub(1, square(y))));

/** 1 / (1 + e⁻ˣ), element by element; integers give float32 (PyTorch: `torch.sigmoid`). */
export const sigmoid = defineFunction('sigmoid', 'y', (g, _, y) => mul(g, mul(y, sub(1, y))));

// σ(−x), as that of σ(x) and σ(−x) which is no more than ½: so its derivative does not cancel.
/** log(1 / (1 + e⁻ˣ)), element by element, without overflow; integers give float32 (PyTorch: `F.logsigmoid`). */
export const logsigmoid = defineFunction('logsigmoid', 'both', (g, x) =>
  mul(g, where(lt(x, 0), sub(1, sigmoid(x)), sigmoid(neg(x)))),
);

// At NaN as well: only where y ≤ 0 does nothing flow.
/**
 * max(x, 0), element by element; NaN stays NaN (PyTorch: `torch.relu`). The gradient at 0 is 0.
 * @throws RuntimeError on bool.
 * @example
 * relu(tensor([-1, 0, 2])); // [0, 0, 2]
 */
export const relu = defineUnary(
  'relu',
  'y',
  (g, _, y) => constantIn(where(le(y, 0), 0, g), y),
  'Boolean inputs not supported for relu',
);

/** Options of `leakyRelu` and `LeakyReLU`. */
export interface LeakyReluOptions {
  /** The slope where x is negative. Default: 0.01. */
  negativeSlope?: number;
}
const leakyReluOptions = declareOptions<LeakyReluOptions>({ negativeSlope: kind.number });
const leakyReluOp = defineParametric('leakyRelu', 'x', (g, x, _, slope) =>
  constantIn(where(gt(x, 0), g, mul(g, slope)), x),
);
/** x where positive, `negativeSlope`·x elsewhere; integers give float32 (PyTorch: `F.leaky_relu`). */
export function leakyRelu(x: Tensor, options: LeakyReluOptions = {}): Tensor {
  requireOptions('leakyRelu', options, leakyReluOptions);
  const slope = requireNumber('leakyRelu', 'negativeSlope', options.negativeSlope ?? 0.01);
  return leakyReluOp(floating('leakyRelu', x), slope, 0);
}

/** min(x, 0), through which nothing flows at 0 itself. */
const negativePart = (x: Tensor) => neg(relu(neg(x)));

/** Options of `elu` and `ELU`. */
export interface EluOptions {
  /** The result goes to −alpha for very negative x. Default: 1. */
  alpha?: number;
}
const eluOptions = declareOptions<EluOptions>({ alpha: kind.number });
const eluOp = defineParametric('elu', 'both', (g, x, _, alpha) =>
  mul(g, where(gt(x, 0), 1, mul(exp(negativePart(x)), alpha), { dtype: x.dtype })),
);
/** x where positive, `alpha`·(eˣ − 1) elsewhere; integers give float32 (Clevert et al. 2015; PyTorch: `F.elu`). */
export function elu(x: Tensor, options: EluOptions = {}): Tensor {
  requireOptions('elu', options, eluOptions);
  return eluOp(floating('elu', x), requireNumber('elu', 'alpha', options.alpha ?? 1), 0);
}

const seluScale = 1.0507009873554805;
const seluAlpha = 1.6732632423543772;
/**
 * scale · (x where positive, α·(eˣ − 1) elsewhere), with the constants that keep mean 0 and variance 1 (Klambauer et
 * al. 2017; PyTorch: `F.selu`).
 */
export const selu = defineFunction('selu', 'both', (g, x) =>
  mul(g, where(gt(x, 0), seluScale, mul(exp(negativePart(x)), seluScale * seluAlpha), { dtype: x.dtype })),
);

/** Options of `gelu` and `GELU`. */
export interface GeluOptions {
  /** `'none'` is exact, `'tanh'` an approximation, which older models were trained with. Default: `'none'`. */
  approximate?: 'none' | 'tanh';
}
const geluOptions = declareOptions<GeluOptions>({ approximate: kind.choice });
const geluErf = defineFunction('gelu', 'x', (g, x) => {
  const cdf = mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5);
  const pdf = mul(exp(mul(square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return mul(g, add(cdf, mul(x, pdf)));
});
const geluTanh = defineFunction('geluTanh', 'x', (g, x) => {
  const root = Math.sqrt(2 / Math.PI);
  const t = tanh(mul(add(x, mul(pow(x, 3), 0.044715)), root));
  const inner = mul(add(mul(square(x), 3 * 0.044715), 1), root);
  return mul(g, add(mul(add(t, 1), 0.5), mul(mul(mul(x, 0.5), sub(1, square(t))), inner)));
});
/**
 * x·Φ(x), where Φ is the normal distribution function, exactly or by tanh (Hendrycks & Gimpel 2016; PyTorch: `F.gelu`).
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  requireOptions('gelu', options, geluOptions);
  const approximate = requireChoice('gelu', 'approximate', options.approximate ?? 'none', ['none', 'tanh']);
  return approximate === 'tanh' ? geluTanh(x) : geluErf(x);
}

/** x · sigmoid(x), element by element; also called swish (PyTorch: `F.silu`). */
export const silu = defineFunction('silu', 'x', (g, x) => {
  const s = sigmoid(x);
  return mul(g, mul(s, add(mul(x, sub(1, s)), 1)));
});

/** Options of `softplus` and `Softplus`. */
export interface SoftplusOptions {
  /** How sharp the bend at 0 is. Default: 1. */
  beta?: number;
  /** Where beta·x lies above this, the result is x. Default: 20. */
  threshold?: number;
}
const softplusOptions = declareOptions<SoftplusOptions>({ beta: kind.number, threshold: kind.number });
const softplusOp = defineParametric('softplus', 'x', (g, x, _, beta, threshold) =>
  mul(g, where(gt(mul(x, beta), threshold), 1, sigmoid(mul(x, beta)), { dtype: x.dtype })),
);
/**
 * log(1 + e^(beta·x)) / beta, a smooth `relu`, and x itself where beta·x > threshold (PyTorch: `F.softplus`).
 * @example
 * softplus(x, { beta: 2 }); // or x.softplus({ beta: 2 })
 */
export function softplus(x: Tensor, options: SoftplusOptions = {}): Tensor {
  requireOptions('softplus', options, softplusOptions);
  const beta = requireNumber('softplus', 'beta', options.beta ?? 1);
  const threshold = requireNumber('softplus', 'threshold', options.threshold ?? 20);
  return softplusOp(floating('softplus', x), beta, threshold);
}

/** Options of `hardtanh` and `Hardtanh`. */
export interface HardtanhOptions {
  /** The lower limit. Default: −1. */
  minVal?: number;
  /** The upper limit. Default: 1. */
  maxVal?: number;
}
const hardtanhOptions = declareOptions<HardtanhOptions>({ minVal: kind.number, maxVal: kind.number });
const hardtanhOp = defineParametric(
  'hardtanh',
  'y',
  (g, _, y, low, high) => constantIn(where(logicalAnd(gt(y, low), lt(y, high)), g, 0), y),
  'Boolean inputs not supported for hardtanh',
);
/**
 * Values limited to [minVal, maxVal]; on and beyond the limits no gradient flows (PyTorch: `F.hardtanh`).
 * @throws ValueError where minVal is above maxVal.
 */
export function hardtanh(x: Tensor, options: HardtanhOptions = {}): Tensor {
  requireOptions('hardtanh', options, hardtanhOptions);
  const minVal = requireNumber('hardtanh', 'minVal', options.minVal ?? -1);
  const maxVal = requireNumber('hardtanh', 'maxVal', options.maxVal ?? 1);
  if (!(minVal <= maxVal))
    throw new ValueError(`[hardtanh] expected minVal of at most maxVal, got ${minVal} and ${maxVal}`);
  requireTensor('hardtanh', x);
  if (x.dtype === 'uint8' && (minVal <= -1 || maxVal <= -1))
    throw new RuntimeError('cannot do hardtanh on an unsigned type with negative limits');
  const bound = (value: number) => (isFloat(x.dtype) ? value : asElement(Math.trunc(value), x.dtype));
  return hardtanhOp(x, bound(minVal), bound(maxVal));
}

/** x/6 + 1/2, limited to [0, 1] (PyTorch: `F.hardsigmoid`). */
export const hardsigmoid = defineFunction('hardsigmoid', 'x', (g, x) =>
  constantIn(mul(where(logicalAnd(gt(x, -3), lt(x, 3)), g, 0), 1 / 6), x),
);

/** x · hardsigmoid(x) (Howard et al. 2019; PyTorch: `F.hardswish`). */
export const hardswish = defineFunction('hardswish', 'x', (g, x) => {
  const between = where(ge(x, 3), 1, add(mul(x, 1 / 3), 0.5), { dtype: x.dtype });
  return mul(g, where(le(x, -3), 0, between, { dtype: x.dtype }));
});

/** x · tanh(softplus(x)) (Misra 2019; PyTorch: `F.mish`). */
export const mish = defineFunction('mish', 'x', (g, x) => {
  const t = tanh(softplus(x));
  return mul(g, add(t, mul(mul(x, sigmoid(x)), sub(1, square(t)))));
});

/** Options of `celu` and `CELU`. */
export interface CeluOptions {
  /** The result goes to −alpha for very negative x. Default: 1. */
  alpha?: number;
}
const celuOptions = declareOptions<CeluOptions>({ alpha: kind.number });
const celuOp = defineParametric('celu', 'x', (g, x, _, alpha) =>
  mul(g, where(gt(x, 0), 1, exp(div(negativePart(x), alpha)), { dtype: x.dtype })),
);
/**
 * x where positive, `alpha`·(e^(x/alpha) − 1) elsewhere, whose slope has no step at 0 (Barron 2017; PyTorch: `F.celu`).
 * @throws RuntimeError where alpha is 0.
 */
export function celu(x: Tensor, options: CeluOptions = {}): Tensor {
  requireOptions('celu', options, celuOptions);
  const alpha = requireNumber('celu', 'alpha', options.alpha ?? 1);
  requireFloat('celu', x);
  if (alpha === 0) throw new RuntimeError('ZeroDivisionError: alpha cannot be 0 for CELU');
  return celuOp(x, alpha, 0);
}

/** x / (1 + |x|), element by element; integers give float32 (PyTorch: `F.softsign`). */
export const softsign = defineFunction('softsign', 'x', (g, x) => {
  const size = add(abs(x), 1);
  return div(div(g, size), size);
});

/** x − tanh(x), element by element; integers give float32 (PyTorch: `F.tanhshrink`). */
export const tanhshrink = defineFunction('tanhshrink', 'x', (g, x) => mul(g, square(tanh(x))));

/** Options of `softshrink`, `hardshrink` and their layers. */
export interface ShrinkOptions {
  /** Values whose size is at most this become 0. Default: 0.5. */
  lambd?: number;
}
const shrinkOptions = declareOptions<ShrinkOptions>({ lambd: kind.number });
const outside = (g: Tensor, x: Tensor, _: Tensor, lambd: number) =>
  constantIn(where(logicalOr(gt(x, lambd), lt(x, -lambd)), g, 0), x);
const softshrinkOp = defineParametric('softshrink', 'x', outside);
const hardshrinkOp = defineParametric('hardshrink', 'x', outside);
/**
 * x moved towards 0 by `lambd`, and 0 where it would pass it (PyTorch: `F.softshrink`).
 * @throws RuntimeError where lambd is below 0.
 */
export function softshrink(x: Tensor, options: ShrinkOptions = {}): Tensor {
  requireOptions('softshrink', options, shrinkOptions);
  const lambd = requireNumber('softshrink', 'lambd', options.lambd ?? 0.5);
  if (!(lambd >= 0)) throw new RuntimeError(`lambd must be greater or equal to 0, but found to be ${lambd}.`);
  requireFloat('softshrink', x);
  return softshrinkOp(x, lambd, 0);
}
/** x, and 0 where its size is at most `lambd` (PyTorch: `F.hardshrink`). */
export function hardshrink(x: Tensor, options: ShrinkOptions = {}): Tensor {
  requireOptions('hardshrink', options, shrinkOptions);
  const lambd = requireNumber('hardshrink', 'lambd', options.lambd ?? 0.5);
  requireFloat('hardshrink', x);
  return hardshrinkOp(x, lambd, 0);
}

const thresholdOp = defineParametric('threshold', 'x', (g, x, _, least) => constantIn(where(le(x, least), 0, g), x));
/**
 * x where it is above a threshold, `value` elsewhere; NaN stays NaN (PyTorch: `F.threshold`).
 * @example
 * threshold(x, 0.1, 0); // what is at most 0.1 becomes 0
 */
export function threshold(x: Tensor, threshold: number, value: number): Tensor {
  requireNumber('threshold', 'threshold', threshold);
  requireNumber('threshold', 'value', value);
  requireTensor('threshold', x);
  const inDtype = (v: number) => (isFloat(x.dtype) ? v : asElement(Math.trunc(v), x.dtype));
  return thresholdOp(x, inDtype(threshold), inDtype(value));
}
