// Powers, exponentials, logarithms, trigonometry. Everything that is exported is public: see ../elementwise.ts.
import { NotImplementedError, RuntimeError } from '../../errors.ts';
import { fullOn } from '../../tensor/create.ts';
import { requireTensor } from '../../tensor/requirements.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { cast } from '../convert.ts';
import { add, div, mul, neg, reciprocal, square, sub } from './arithmetic.ts';
import { defineBinary, type Operand } from './binary.ts';
import { eq, ge, logicalAnd, where } from './comparison.ts';
import { zerosAs } from './constant.ts';
import { defineFunction } from './unary.ts';

/**
 * a to the power b, element by element, broadcast (PyTorch: `torch.pow`). One of the two may be a number.
 * @throws RuntimeError on an integer tensor to a negative integer power; NotImplementedError on bool.
 */
export const pow: (a: Operand, b: Operand) => Tensor = defineBinary(
  'pow',
  (g, a, b, y) => [
    // b·a^(b−1), and 0 where b is 0 (also at a = 0). That is chosen last: in a second order, what it replaces may be
    // NaN.
    () =>
      typeof b === 'number'
        ? b === 0
          ? zerosAs(g)
          : mul(g, mul(pow(a, b - 1), b))
        : where(eq(b, 0), 0, mul(g, mul(b, pow(a, sub(b, 1))))),
    // y·ln a, and 0 where a is 0 and b is not negative.
    () => {
      const base = typeof a === 'number' ? fullOn(g.backend, [], a, g.dtype) : a;
      return mul(g, where(logicalAnd(eq(base, 0), ge(b as Tensor, 0)), 0, mul(y, log(base)), { dtype: g.dtype }));
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
/** √x, element by element, NaN below 0; integers give float32 (PyTorch: `torch.sqrt`). */
export const sqrt = defineFunction('sqrt', 'y', (g, _, y) => mul(g, div(0.5, y)));
/** 1/√x, element by element; integers give float32 (PyTorch: `torch.rsqrt`). */
export const rsqrt = defineFunction('rsqrt', 'y', (g, _, y) => mul(g, mul(pow(y, 3), -0.5)));
/** eˣ, element by element; integers give float32 (PyTorch: `torch.exp`). */
export const exp = defineFunction('exp', 'y', (g, _, y) => mul(g, y));
/** eˣ − 1, exact also for x near 0; integers give float32 (PyTorch: `torch.expm1`). */
export const expm1 = defineFunction('expm1', 'both', (g, _, y) => mul(g, add(y, 1)));
/** The natural logarithm of each element, NaN below 0; integers give float32 (PyTorch: `torch.log`). */
export const log = defineFunction('log', 'x', (g, x) => mul(g, reciprocal(x)));
/** log(1 + x), exact also for x near 0; integers give float32 (PyTorch: `torch.log1p`). */
export const log1p = defineFunction('log1p', 'x', (g, x) => mul(g, reciprocal(add(x, 1))));
/** The sine of each element, in radians; integers give float32 (PyTorch: `torch.sin`). */
export const sin = defineFunction('sin', 'x', (g, x) => mul(g, cos(x)));
/** The cosine of each element, in radians; integers give float32 (PyTorch: `torch.cos`). */
export const cos = defineFunction('cos', 'x', (g, x) => mul(g, neg(sin(x))));
const twoOverRootPi = 2 / Math.sqrt(Math.PI);
/** The error function, 2/√π · ∫₀ˣ e^(−t²) dt, of each element; integers give float32 (PyTorch: `torch.erf`). */
export const erf = defineFunction('erf', 'x', (g, x) => mul(g, mul(exp(neg(square(x))), twoOverRootPi)));
/**
 * 1 − erf(x), exact also where that is tiny, of each element; integers give float32 (PyTorch: `torch.erfc`).
 */
export const erfc = defineFunction('erfc', 'x', (g, x) => mul(g, mul(exp(neg(square(x))), -twoOverRootPi)));
/** The inverse of `erf`, element by element, NaN beyond ±1; integers give float32 (PyTorch: `torch.erfinv`). */
export const erfinv = defineFunction('erfinv', 'y', (g, _, y) => mul(g, mul(exp(square(y)), 1 / twoOverRootPi)));
/** 2ˣ, element by element; integers give float32 (PyTorch: `torch.exp2`). */
export const exp2 = defineFunction('exp2', 'y', (g, _, y) => mul(g, mul(y, Math.LN2)));
/** The logarithm to base 2 of each element, NaN below 0; integers give float32 (PyTorch: `torch.log2`). */
export const log2 = defineFunction('log2', 'x', (g, x) => div(g, mul(x, Math.LN2)));
/** The logarithm to base 10 of each element, NaN below 0; integers give float32 (PyTorch: `torch.log10`). */
export const log10 = defineFunction('log10', 'x', (g, x) => div(g, mul(x, Math.LN10)));

/**
 * aᵇ, computed in float64, element by element, broadcast (PyTorch: `torch.float_power`). One of the two may be a
 * number.
 */
export function floatPower(a: Operand, b: Operand): Tensor {
  const wide = (x: Operand): Operand => (x instanceof Tensor ? cast(x, 'float64') : x);
  return pow(wide(a), wide(b));
}
/**
 * x·2ᵉ, element by element, broadcast (PyTorch: `torch.ldexp`).
 * @throws RuntimeError where the shapes do not broadcast.
 */
export function ldexp(x: Tensor, exponent: Tensor): Tensor {
  requireTensor('ldexp', x);
  requireTensor('ldexp', exponent);
  return mul(x, exp2(exponent));
}
