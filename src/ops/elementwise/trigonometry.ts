// Trigonometric and hyperbolic functions and their inverses, but for sin, cos and tanh. Everything that is exported is
// public: see ../elementwise.ts.
import { NotImplementedError } from '../../errors.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { add, div, mul, neg, reciprocal, square, sub } from './arithmetic.ts';
import { defineBinary, type Operand, type Prepared } from './binary.ts';
import { eq, where } from './comparison.ts';
import { zerosAs } from './constant.ts';
import { rsqrt } from './functions.ts';
import { defineFunction } from './unary.ts';

/** The tangent of each element, in radians; integers give float32 (PyTorch: `torch.tan`). */
export const tan = defineFunction('tan', 'y', (g, _, y) => mul(g, add(square(y), 1)));
/** The arcsine of each element, NaN beyond ±1; integers give float32 (PyTorch: `torch.asin`). */
export const asin = defineFunction('asin', 'x', (g, x) => mul(g, rsqrt(sub(1, square(x)))));
/** The arccosine of each element, NaN beyond ±1; integers give float32 (PyTorch: `torch.acos`). */
export const acos = defineFunction('acos', 'x', (g, x) => mul(g, neg(rsqrt(sub(1, square(x))))));
/** The arctangent of each element; integers give float32 (PyTorch: `torch.atan`). */
export const atan = defineFunction('atan', 'x', (g, x) => div(g, add(square(x), 1)));
/** The hyperbolic sine of each element; integers give float32 (PyTorch: `torch.sinh`). */
export const sinh = defineFunction('sinh', 'x', (g, x) => mul(g, cosh(x)));
/** The hyperbolic cosine of each element; integers give float32 (PyTorch: `torch.cosh`). */
export const cosh = defineFunction('cosh', 'x', (g, x) => mul(g, sinh(x)));
/** The inverse of `sinh`, element by element; integers give float32 (PyTorch: `torch.asinh`). */
export const asinh = defineFunction('asinh', 'x', (g, x) => mul(g, rsqrt(add(square(x), 1))));
/** The inverse of `cosh`, element by element, NaN below 1; integers give float32 (PyTorch: `torch.acosh`). */
export const acosh = defineFunction('acosh', 'x', (g, x) => mul(g, rsqrt(sub(square(x), 1))));
/** The inverse of `tanh`, element by element, NaN beyond ±1; integers give float32 (PyTorch: `torch.atanh`). */
export const atanh = defineFunction('atanh', 'x', (g, x) => mul(g, reciprocal(sub(1, square(x)))));

/** For a function of floats alone: integers beside each other are computed as float32. */
const floatOnly = { floatOnly: true } as const;
const squared = (x: Prepared): Tensor | number => (typeof x === 'number' ? x * x : square(x));
/** x / (a² + b²), and 0 at the origin, which has no angle. */
function overSquares(x: Prepared, a: Prepared, b: Prepared): Tensor {
  const square = add(squared(a), squared(b));
  return where(eq(square, 0), 0, div(x, square));
}

/**
 * The angle of the point (b, a), from −π to π, element by element, broadcast; integers give float32 (PyTorch:
 * `torch.atan2`). One of the two may be a number.
 */
export const atan2: (a: Operand, b: Operand) => Tensor = defineBinary(
  'atan2',
  (g, a, b) => [() => mul(g, overSquares(b, a, b)), () => mul(g, neg(overSquares(a, a, b)))],
  floatOnly,
);
/**
 * √(a² + b²) without overflow, element by element, broadcast (PyTorch: `torch.hypot`). One of the two may be a number.
 * @throws NotImplementedError on integers.
 */
export const hypot: (a: Operand, b: Operand) => Tensor = defineBinary(
  'hypot',
  (g, a, b, y) => [() => mul(g, div(a, y)), () => mul(g, div(b, y))],
  {
    saves: 'result',
    refuse(_a, _b, dtype) {
      throw new NotImplementedError(`"hypot" not implemented for '${dtype}'`);
    },
  },
);
/**
 * |a| with the sign of b, also of a zero, element by element, broadcast; integers give float32 (PyTorch:
 * `torch.copysign`). One of the two may be a number.
 */
export const copysign: (a: Operand, b: Operand) => Tensor = defineBinary(
  'copysign',
  (g, a, _b, y) => [
    // The ratio is ±1; at 0 there is no slope.
    () => mul(g, where(eq(a, 0), 0, div(y, a))),
    () => zerosAs(y),
  ],
  { saves: 'result', floatOnly: true },
);
