// Elementwise operations on single numbers in float64. Formulas and values at kinks as PyTorch.
import type { Unary } from '../../src/device/generated/abi.ts';
import { erf, normalCdf, normalPdf, pow, remainder, roundHalfToEven, sigmoid, softplus } from './math.ts';

export type UnaryName = keyof typeof Unary;

export interface UnaryReference {
  /** The two parameters of the kernel. */
  p: [number, number];
  f: (x: number) => number;
  /** The derivative, where there is one. */
  d?: (x: number) => number;
}

const plain: [number, number] = [0, 0];
const seluAlpha = 1.6732632423543772;
const seluScale = 1.0507009873554805;
const geluSlope = 2 * Math.sqrt(2 / Math.PI);
const geluInner = (x: number) => geluSlope * (x + 0.044715 * x ** 3);
const clampTo = (x: number, low: number, high: number) => (Number.isNaN(x) ? x : Math.min(Math.max(x, low), high));
const relu6 = (x: number) => clampTo(x + 3, 0, 6);

export const unary: Record<UnaryName, UnaryReference> = {
  neg: { p: plain, f: (x) => -x, d: () => -1 },
  abs: { p: plain, f: Math.abs, d: (x) => Math.sign(x) },
  sign: { p: plain, f: (x) => (Number.isNaN(x) ? 0 : Math.sign(x)), d: () => 0 },
  square: { p: plain, f: (x) => x * x, d: (x) => 2 * x },
  sqrt: { p: plain, f: Math.sqrt, d: (x) => 0.5 / Math.sqrt(x) },
  rsqrt: { p: plain, f: (x) => 1 / Math.sqrt(x), d: (x) => -0.5 / (x * Math.sqrt(x)) },
  reciprocal: { p: plain, f: (x) => 1 / x, d: (x) => -1 / (x * x) },
  exp: { p: plain, f: Math.exp, d: Math.exp },
  expm1: { p: plain, f: Math.expm1, d: Math.exp },
  log: { p: plain, f: Math.log, d: (x) => 1 / x },
  log1p: { p: plain, f: Math.log1p, d: (x) => 1 / (1 + x) },
  sin: { p: plain, f: Math.sin, d: Math.cos },
  cos: { p: plain, f: Math.cos, d: (x) => -Math.sin(x) },
  tanh: { p: plain, f: Math.tanh, d: (x) => 1 - Math.tanh(x) ** 2 },
  erf: { p: plain, f: erf, d: (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) },
  floor: { p: plain, f: Math.floor, d: () => 0 },
  ceil: { p: plain, f: Math.ceil, d: () => 0 },
  round: { p: plain, f: roundHalfToEven, d: () => 0 },
  sigmoid: { p: plain, f: sigmoid, d: (x) => sigmoid(x) * sigmoid(-x) },
  logsigmoid: { p: plain, f: (x) => -softplus(-x), d: (x) => sigmoid(-x) },
  relu: { p: plain, f: (x) => Math.max(x, 0), d: (x) => (x <= 0 ? 0 : 1) },
  leakyRelu: { p: [0.125, 0], f: (x) => (x > 0 ? x : 0.125 * x), d: (x) => (x > 0 ? 1 : 0.125) },
  elu: { p: [1.5, 0], f: (x) => (x > 0 ? x : 1.5 * Math.expm1(x)), d: (x) => (x > 0 ? 1 : 1.5 * Math.exp(x)) },
  selu: {
    p: plain,
    f: (x) => seluScale * (x > 0 ? x : seluAlpha * Math.expm1(x)),
    d: (x) => seluScale * (x > 0 ? 1 : seluAlpha * Math.exp(x)),
  },
  gelu: { p: plain, f: (x) => x * normalCdf(x), d: (x) => normalCdf(x) + x * normalPdf(x) },
  geluTanh: {
    p: plain,
    f: (x) => x * sigmoid(geluInner(x)),
    d: (x) => {
      const s = sigmoid(geluInner(x));
      return s + x * s * (1 - s) * geluSlope * (1 + 3 * 0.044715 * x * x);
    },
  },
  silu: { p: plain, f: (x) => x * sigmoid(x), d: (x) => sigmoid(x) * (1 + x * sigmoid(-x)) },
  softplus: {
    p: [2, 20],
    f: (x) => (2 * x > 20 ? x : Math.log1p(Math.exp(2 * x)) / 2),
    d: (x) => (2 * x > 20 ? 1 : sigmoid(2 * x)),
  },
  clamp: { p: [-0.5, 2], f: (x) => clampTo(x, -0.5, 2), d: (x) => (x >= -0.5 && x <= 2 ? 1 : 0) },
  hardtanh: { p: [-0.5, 2], f: (x) => clampTo(x, -0.5, 2), d: (x) => (x <= -0.5 || x >= 2 ? 0 : 1) },
  hardsigmoid: { p: plain, f: (x) => relu6(x) / 6, d: (x) => (x > -3 && x < 3 ? 1 / 6 : 0) },
  hardswish: { p: plain, f: (x) => (x * relu6(x)) / 6, d: (x) => (x <= -3 ? 0 : x < 3 ? x / 3 + 0.5 : 1) },
  mish: {
    p: plain,
    f: (x) => x * Math.tanh(softplus(x)),
    d: (x) => {
      const t = Math.tanh(softplus(x));
      return t + x * sigmoid(x) * (1 - t * t);
    },
  },
  logicalNot: { p: plain, f: (x) => Number(x === 0) },
  isnan: { p: plain, f: (x) => Number(Number.isNaN(x)) },
  isfinite: { p: plain, f: (x) => Number(Number.isFinite(x)) },
};

/** Operations on two floats. */
export const binary: Record<string, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow,
  maximum: Math.max, // NaN wins, as in PyTorch
  minimum: Math.min,
  remainder,
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  gt: (a, b) => Number(a > b),
  ge: (a, b) => Number(a >= b),
  logicalAnd: (a, b) => Number(a !== 0 && b !== 0),
  logicalOr: (a, b) => Number(a !== 0 || b !== 0),
  logicalXor: (a, b) => Number((a !== 0) !== (b !== 0)),
};

/** Operations on two integers of `bits` bits, in BigInt, wrapping. */
export function integerBinary(op: string, a: bigint, b: bigint, wrap: (x: bigint) => bigint): bigint {
  switch (op) {
    case 'add':
      return wrap(a + b);
    case 'sub':
      return wrap(a - b);
    case 'mul':
      return wrap(a * b);
    case 'div':
      return wrap(a / b);
    case 'remainder': {
      const r = a % b;
      return r !== 0n && r < 0n !== b < 0n ? r + b : r;
    }
    case 'pow':
      if (b < 0n) return a === 1n ? 1n : a === -1n ? (b % 2n ? -1n : 1n) : 0n;
      return wrap(a ** b);
    case 'maximum':
      return a > b ? a : b;
    case 'minimum':
      return a < b ? a : b;
    default:
      return BigInt(binary[op](Number(a), Number(b)));
  }
}

/** Calls `visit` with the flat position and the index of every element of a shape, in order. */
export function forEachIndex(shape: readonly number[], visit: (position: number, index: number[]) => void): void {
  const count = shape.reduce((a, b) => a * b, 1);
  const index = shape.map(() => 0);
  for (let position = 0; position < count; position++) {
    visit(position, index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

export function offsetOf(index: readonly number[], strides: readonly number[]): number {
  return index.reduce((sum, i, axis) => sum + i * strides[axis], 0);
}
