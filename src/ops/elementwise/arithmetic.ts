// Arithmetic. Everything that is exported is public: see ../elementwise.ts.
import { defineOp } from '../../autograd/define_op.ts';
import { noGrad } from '../../autograd/grad_mode.ts';
import { requireNumber, shown } from '../../checks.ts';
import { NotImplementedError, RuntimeError } from '../../errors.ts';
import { sumRule } from '../../fusion/elementwise.ts';
import { requireOptions } from '../../options.ts';
import { asElement, fullOn } from '../../tensor/create.ts';
import { type DType, isFloat } from '../../tensor/dtype.ts';
import { requireTensor } from '../../tensor/requirements.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { sumTo } from '../broadcast.ts';
import { cast, clone, resultType } from '../convert.ts';
import {
  type AlphaOption,
  alphaOption,
  type DivOptions,
  defineBinary,
  defineScaled,
  divOptions,
  type Operand,
  type Prepared,
  withScalar,
} from './binary.ts';
import { eq, ge, gt, le, logicalAnd, logicalNot, logicalOr, lt, where } from './comparison.ts';
import { constantIn, zerosAs } from './constant.ts';
import { defineFunction, defineParametric, defineUnary } from './unary.ts';

// ---- two operands ---------------------------------------------------------------------------------------------------

export type { AlphaOption, DivOptions } from './binary.ts';

const addScaled = defineScaled('add', (g, _a, _b, _y, alpha) => [() => g, () => (alpha === 1 ? g : mul(g, alpha))], {
  saves: 'nothing',
  rule: sumRule,
});
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
const subScaled = defineScaled('sub', (g, _a, _b, _y, alpha) => [() => g, () => mul(g, -alpha)], {
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
 * @throws RuntimeError where the shapes do not broadcast, or on bool, for which there are `logicalXor` and
 * `logicalNot`.
 */
export function sub(a: Operand, b: Operand, options?: AlphaOption): Tensor {
  if (options !== undefined) requireOptions('sub', options, alphaOption);
  return subScaled(a, b, options?.alpha ?? 1);
}
/**
 * a·b, element by element, broadcast (PyTorch: `torch.mul`). One of the two may be a number. `matmul` is the product of
 * matrices.
 * @throws RuntimeError where the shapes do not broadcast, or the tensors are on two devices.
 */
export const mul = defineBinary('mul', (g, a, b) => [() => mul(g, b), () => mul(g, a)], {
  reads: (needsA, needsB) => [needsB, needsA],
});
/**
 * a / b, element by element, broadcast; integers give float32 (PyTorch: `torch.div`). One of the two may be a number.
 * With a `roundingMode` integers stay integers, and the gradient is 0.
 * @throws RuntimeError where the shapes do not broadcast, the tensors are on two devices, or an integer division by 0
 * is to be rounded.
 * @example
 * div(x, 2, { roundingMode: 'floor' });
 */
export function div(a: Operand, b: Operand, options?: DivOptions): Tensor {
  if (options === undefined) return quotient(a, b);
  requireOptions('div', options, divOptions);
  const { roundingMode = null } = options;
  if (roundingMode === null) return quotient(a, b);
  if (roundingMode !== 'trunc' && roundingMode !== 'floor')
    throw new RuntimeError(
      `div expected roundingMode to be one of null, 'trunc', or 'floor' but found ${shown(roundingMode)}`,
    );
  return (roundingMode === 'trunc' ? truncated : floored)(a, b);
}
const quotient = defineBinary('div', (g, a, b) => [() => div(g, b), () => neg(div(mul(g, div(a, b)), b))], {
  floatOnly: true,
  reads: (_, needsB) => [needsB, true],
});
const refusingBool = (name: string) => ({
  refuse(_a: Prepared, _b: Prepared, dtype: DType) {
    if (dtype === 'bool') throw new NotImplementedError(`"${name}" not implemented for 'bool'`);
  },
});
const noSlopes = (g: Tensor) => [() => zerosAs(g), () => zerosAs(g)] as const;
const truncated = defineBinary('truncDivide', noSlopes, { saves: 'nothing', ...refusingBool('div') });
const floored = defineBinary('floorDivide', noSlopes, { saves: 'nothing', ...refusingBool('floorDivide') });
/**
 * a / b rounded down, element by element, broadcast; integers stay integers (PyTorch: `torch.floor_divide`). One of the
 * two may be a number. No gradients flow.
 * @throws RuntimeError on an integer division by 0; NotImplementedError on bool.
 */
export const floorDivide = (a: Operand, b: Operand): Tensor => noGrad(() => floored(a, b));
// Where both are equal each gets half, and where either is NaN each gets all, as in PyTorch.
const share = (g: Tensor, loses: Tensor, ties: Tensor) => where(loses, 0, where(ties, mul(g, 0.5), g));
const compareWith = (f: (a: Operand, b: Operand) => Tensor, a: Operand, b: Operand) => f(a, b);
/**
 * The larger of a and b, element by element, broadcast; NaN where either is NaN (PyTorch: `torch.maximum`). Equal ones
 * share the gradient.
 */
export const maximum = defineBinary('maximum', (g, a, b) => [
  () => share(g, compareWith(lt, a, b), eq(a, b)),
  () => share(g, compareWith(gt, a, b), eq(a, b)),
]);
/**
 * The smaller of a and b, element by element, broadcast; NaN where either is NaN (PyTorch: `torch.minimum`). Equal ones
 * share the gradient.
 */
export const minimum = defineBinary('minimum', (g, a, b) => [
  () => share(g, compareWith(gt, a, b), eq(a, b)),
  () => share(g, compareWith(lt, a, b), eq(a, b)),
]);
/**
 * a − b·floor(a / b), element by element, broadcast: the remainder with the sign of b (PyTorch: `torch.remainder`).
 * @throws RuntimeError on an integer division by 0; NotImplementedError on bool.
 */
export const remainder = defineBinary(
  'remainder',
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

/**
 * a − b·trunc(a / b), element by element, broadcast: the remainder with the sign of a (PyTorch: `torch.fmod`).
 * @throws RuntimeError on an integer division by 0; NotImplementedError on bool.
 */
export const fmod = defineBinary('fmod', (g, a, b) => [() => g, () => neg(mul(g, truncated(a, b)))], {
  ...refusingBool('fmod'),
});

/** floor(a / b), unrecorded. Not of the rounded quotient, which may be the next whole number, but of the exact one. */
const flooredQuotient = (a: Prepared, b: Prepared): Tensor =>
  noGrad(() => {
    const rest = remainder(a, b);
    // b itself, where that is infinite and of the other sign.
    const quotient = where(eq(abs(rest), Infinity), -1, round(div(sub(a, rest), b)));
    return typeof b === 'number' ? quotient : where(eq(b, 0), div(a, b), quotient);
  });

// ---- one operand ----------------------------------------------------------------------------------------------------

/**
 * −x, element by element (PyTorch: `torch.neg`).
 * @throws RuntimeError on bool; `logicalNot` inverts a mask.
 */
export const neg = defineUnary(
  'neg',
  'x',
  (g) => neg(g),
  'Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `logicalNot()` function instead.',
);
/** |x|, element by element (PyTorch: `torch.abs`). */
export const abs = defineUnary('abs', 'x', (g, x) => mul(g, sign(x)));
const signOp = defineUnary('sign', 'x', (_g, x) => zerosAs(x));
/** −1, 0 or 1 as each element is negative, zero or positive (PyTorch: `torch.sign`). The gradient is 0. */
export const sign = (x: Tensor): Tensor => (x instanceof Tensor && x.dtype === 'bool' ? clone(x) : signOp(x));
// In the order in which nothing overflows before the result does.
const squareOp = defineUnary('square', 'x', (g, x) => mul(mul(g, x), 2));
/** x², element by element (PyTorch: `torch.square`). */
export const square = (x: Tensor): Tensor => squareOp(x instanceof Tensor && x.dtype === 'bool' ? cast(x, 'int64') : x);
/** 1/x, element by element; integers give float32 (PyTorch: `torch.reciprocal`). */
export const reciprocal = defineFunction('reciprocal', 'y', (g, _, y) => mul(g, neg(square(y))));
/** The next integer at or below each element, in x's dtype (PyTorch: `torch.floor`). The gradient is 0. */
export const floor = defineUnary('floor', 'x', (_g, x) => zerosAs(x));
/** The next integer at or above each element, in x's dtype (PyTorch: `torch.ceil`). The gradient is 0. */
export const ceil = defineUnary('ceil', 'x', (_g, x) => zerosAs(x));
/**
 * The nearest integer of each element, halves to the even one: 0.5 gives 0, 1.5 gives 2 (PyTorch: `torch.round`). The
 * gradient is 0.
 */
export const round = defineUnary('round', 'x', (_g, x) => zerosAs(x));
/** Each element without its fraction, in x's dtype (PyTorch: `torch.trunc`). The gradient is 0. */
export const trunc = defineUnary('trunc', 'x', (_g, x) => zerosAs(x));

// The mask alone depends on x, and in PyTorch too such a gradient does not require one. It is chosen, not multiplied,
// since g may be infinite.
const clampOp = defineParametric('clamp', 'x', (g, x, _, low, high) =>
  where(logicalAnd(ge(x, low), le(x, high)), g, 0),
);
/**
 * Values limited to [min, max], numbers or tensors, which are broadcast; either may be left out (PyTorch:
 * `torch.clamp`). NaN stays NaN, and a limit that is NaN
 * makes all NaN. Integers with a fractional limit give float32. At a limit itself the gradient flows.
 * @throws RuntimeError without either limit.
 * @example
 * clamp(x, 0, 1);
 * clamp(x, undefined, 6);
 */
export function clamp(x: Tensor, min?: number | Tensor, max?: number | Tensor): Tensor {
  requireTensor('clamp', x);
  if (min instanceof Tensor || max instanceof Tensor) return clampBetween(x, min, max);
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

/** Limits as tensors: the gradient goes to whichever of the three the result is; at a limit itself to x. */
const clampBetweenOp = defineOp({
  name: 'clampBetween',
  forward(ctx, x: Tensor, min: Tensor | null, max: Tensor | null) {
    ctx.save(x, min, max);
    const raised = min === null ? x : maximum(x, min);
    return max === null ? raised : minimum(raised, max);
  },
  backward(ctx, [g], xInfo, minInfo, maxInfo) {
    const [x, min, max] = ctx.saved as readonly (Tensor | null)[] as [Tensor, Tensor | null, Tensor | null];
    const isLow = min === null ? null : lt(x, min);
    const isHigh = max === null ? null : gt(x, max);
    const crossed = min !== null && max !== null ? lt(max, min) : null;
    const either = (a: Tensor | null, b: Tensor | null) => (a !== null && b !== null ? logicalOr(a, b) : (a ?? b)!);
    // Beside NaN nothing is inside.
    const above = min === null ? null : ge(x, min);
    const below = max === null ? null : le(x, max);
    const isInside = above !== null && below !== null ? logicalAnd(above, below) : (above ?? below)!;
    const toMin = isLow === null ? null : crossed === null ? isLow : logicalAnd(isLow, logicalNot(crossed));
    return [
      ctx.needs[0] ? sumTo(where(isInside, g, 0), xInfo.shape) : null,
      ctx.needs[1] ? sumTo(where(toMin!, g, 0), minInfo!.shape) : null,
      ctx.needs[2] ? sumTo(where(either(isHigh, crossed), g, 0), maxInfo!.shape) : null,
    ];
  },
});
function clampBetween(x: Tensor, min: number | Tensor | undefined, max: number | Tensor | undefined): Tensor {
  const limits = [min, max].map((limit, i) => {
    if (limit === undefined || limit instanceof Tensor) return limit ?? null;
    return fullOn(x.backend, [], requireNumber('clamp', i === 0 ? 'min' : 'max', limit), withScalar(x, limit));
  });
  const dtype = limits.reduce<DType>(
    (common, limit) => (limit === null ? common : resultType(fullOn(x.backend, x.shape, 0, common), limit)),
    x.dtype,
  );
  const [low, high] = limits.map((limit) => limit && cast(limit, dtype));
  return clampBetweenOp(cast(x, dtype), low, high);
}

/** x in the dtype in which it meets the bounds. */
function withBound(x: Tensor, ...bounds: (number | undefined)[]): Tensor {
  if (isFloat(x.dtype)) return x;
  return bounds.reduce<Tensor>((y, bound) => (bound === undefined ? y : cast(y, withScalar(y, bound))), x);
}
