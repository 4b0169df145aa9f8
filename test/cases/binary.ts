// The functions of two operands: see elementwise_row.ts. An entry of kernels/elementwise/binary.def without a row does
// not compile.
import type { Binary } from '../../src/device/generated/abi.ts';
import * as el from '../../src/ops/elementwise.ts';
import { floorDivide, pow, remainder } from '../reference/math.ts';
import type { BinaryRow, Call, OfTwo } from './elementwise_row.ts';

export type BinaryName = keyof typeof Binary;

const positive = { low: 0.3, high: 3 };
const add: Call<OfTwo> = ['t.add(a, b, alpha=0.5)', (a, b) => el.add(a, b, { alpha: 0.5 })];

const truncDivide: OfTwo = (a, b) => el.div(a, b, { roundingMode: 'trunc' });
const floored: OfTwo = (a, b) => el.div(a, b, { roundingMode: 'floor' });
/** Of integers alone, which have no kinks. */
const bits = { f: () => Number.NaN, takes: 'integers', kinks: [] } as const;

export const binary: Readonly<Record<BinaryName, BinaryRow>> = {
  add: { f: (a, b) => a + b, integers: (a, b) => a + b, case: add, kinks: [['a + b', el.add], add] },
  sub: { f: (a, b) => a - b, integers: (a, b) => a - b, case: ['a - b', el.sub], kinks: [['a - b', el.sub]] },
  mul: {
    f: (a, b) => a * b,
    integers: (a, b) => a * b,
    case: ['a * b', el.mul],
    kinks: [['a * b', el.mul]],
    kinksOfOne: [['a * 0', (x) => el.mul(x, 0)]],
  },
  div: {
    f: (a, b) => a / b,
    integers: (a, b) => a / b,
    divides: true,
    case: ['a / b', el.div, positive],
    kinks: [['a / b', el.div]],
    kinksOfOne: [
      ['1 / a', (x) => el.div(1, x)],
      ['a / 0', (x) => el.div(x, 0)],
      ['a / 3', (x) => el.div(x, 3)],
    ],
    intended: [
      {
        reason: 'quotients of large numbers that cancel, in another order',
        covers: ({ torch, name, at, actual, expected }) =>
          torch === 'a / b' && name === 'dg' && Math.abs(actual - expected) <= 4e-16 / Math.abs(at[1]),
      },
    ],
  },
  pow: {
    f: pow,
    integers: (a, b) => (b >= 0n ? a ** b : a === 1n ? 1n : a === -1n ? (b % 2n ? -1n : 1n) : 0n),
    ulps: 12, // one rounding more, and the reference's own 1e-15·|log|
    case: ['a ** b', el.pow, positive],
    kinks: [['a ** b', el.pow]],
    kinksOfOne: [
      ['a.pow(0)', (x) => el.pow(x, 0)],
      ['a.pow(1)', (x) => el.pow(x, 1)],
      ['a.pow(2)', (x) => el.pow(x, 2)],
      ['a.pow(3)', (x) => el.pow(x, 3)],
      ['a.pow(-1)', (x) => el.pow(x, -1)],
      ['a.pow(-2)', (x) => el.pow(x, -2)],
      ['a.pow(0.5)', (x) => el.pow(x, 0.5)],
      ['a.pow(-0.5)', (x) => el.pow(x, -0.5)],
      ['a.pow(2.5)', (x) => el.pow(x, 2.5)],
      ['t.pow(2, a)', (x) => el.pow(2, x)],
      ['t.pow(0, a)', (x) => el.pow(0, x)],
      ['t.pow(-2.0, a)', (x) => el.pow(-2, x)],
    ],
    intended: [
      {
        reason:
          'one rule for a negative base and −0, that of C and of PyTorch with the exponent in a tensor; PyTorch takes a root of ½ and −½',
        covers: ({ torch, at }) => /pow\((-?0|2)\.5\)/.test(torch) && (at[0] === -Infinity || Object.is(at[0], -0)),
      },
      {
        reason: 'the power is a number of the smallest ones; PyTorch takes 1 by a square that overflows',
        covers: ({ torch, at, actual, expected }) =>
          torch === 'a.pow(-2)' && Math.abs(at[0]) === 1e160 && expected === 0 && Math.abs(actual) < 1e-319,
      },
    ],
  },
  maximum: {
    f: Math.max, // NaN wins, as in PyTorch
    case: ['t.maximum(a, b)', el.maximum],
    kinks: [['t.maximum(a, b)', el.maximum]],
  },
  minimum: {
    f: Math.min,
    case: ['t.minimum(a, b)', el.minimum],
    kinks: [['t.minimum(a, b)', el.minimum]],
  },
  remainder: {
    f: remainder,
    integers(a, b) {
      const r = a % b;
      return r !== 0n && r < 0n !== b < 0n ? r + b : r;
    },
    ulps: 1, // r + b rounds once more
    divides: true,
    case: ['t.remainder(a, b)', el.remainder, { low: 1.1, high: 1.9 }],
    kinks: [['t.remainder(a, b)', el.remainder]],
    kinksOfOne: [
      ['a.remainder(3)', (x) => el.remainder(x, 3)],
      ['a.remainder(-2.5)', (x) => el.remainder(x, -2.5)],
      ['a.remainder(0)', (x) => el.remainder(x, 0)],
      ['a.remainder(float("inf"))', (x) => el.remainder(x, Infinity)],
      ['t.remainder(3, a)', (x) => el.remainder(3, x)],
    ],
    intended: [
      {
        reason: 'the exact remainder, where the quotient overflows in PyTorch; and no gradient but NaN of what is NaN',
        covers: ({ actual, expected }) =>
          Number.isNaN(expected) || (Number.isNaN(actual) && Math.abs(expected) === Infinity),
      },
    ],
  },
  fmod: {
    f: (a, b) => a % b,
    integers: (a, b) => a % b,
    divides: true,
    case: ['t.fmod(a, b)', el.fmod, { low: 1.1, high: 1.9 }],
    kinks: [['t.fmod(a, b)', el.fmod]],
    intended: [
      {
        reason: 'the exact remainder, where the quotient overflows in PyTorch',
        covers: ({ name, expected }) => name === 'y' && Number.isNaN(expected),
      },
    ],
    kinksOfOne: [
      ['a.fmod(3)', (x) => el.fmod(x, 3)],
      ['a.fmod(-2.5)', (x) => el.fmod(x, -2.5)],
    ],
  },
  truncDivide: {
    publicName: 'div',
    f: (a, b) => Math.trunc(a / b),
    integers: (a, b) => a / b,
    divides: true,
    case: ["t.div(a, b, rounding_mode='trunc')", truncDivide, { low: 1.1, high: 1.9 }],
    kinks: [["t.div(a, b, rounding_mode='trunc')", truncDivide]],
  },
  floorDivide: {
    f: floorDivide,
    integers: (a, b) => a / b - (a % b !== 0n && a < 0n !== b < 0n ? 1n : 0n),
    divides: true,
    case: ["t.div(a, b, rounding_mode='floor')", floored, { low: 1.1, high: 1.9 }],
    kinks: [["t.div(a, b, rounding_mode='floor')", floored]],
    kinksOfOne: [['a.floor_divide(3)', (x) => el.floorDivide(x, 3)]],
  },
  atan2: {
    f: Math.atan2,
    takes: 'floats',
    ulps: 3,
    case: ['t.atan2(a, b)', el.atan2],
    kinks: [['t.atan2(a, b)', el.atan2]],
    intended: [
      {
        reason: 'the limit, where squares overflow in PyTorch',
        covers: ({ name, at, actual, expected }) =>
          name.startsWith('dd') && Math.abs(at[0]) > 1e300 && actual === 0 && Number.isNaN(expected),
      },
    ],
  },
  hypot: {
    f: Math.hypot,
    takes: 'floats',
    ulps: 3,
    case: ['t.hypot(a, b)', el.hypot],
    kinks: [['t.hypot(a, b)', el.hypot]],
    intended: [
      {
        reason: 'along the line there is no curvature; what PyTorch has is the rounding of one that is very large',
        covers: ({ name, at, actual }) =>
          name.startsWith('dd') && actual === 0 && at.some((v) => Math.abs(v) === 1e-308),
      },
    ],
  },
  copysign: {
    f: (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a)),
    takes: 'floats',
    case: ['t.copysign(a, b)', el.copysign, positive],
    kinks: [['t.copysign(a, b)', el.copysign]],
  },
  bitwiseAnd: { ...bits, integers: (a, b) => a & b },
  bitwiseOr: { ...bits, integers: (a, b) => a | b },
  bitwiseXor: { ...bits, integers: (a, b) => a ^ b },
  bitwiseLeftShift: { ...bits, integers: (a, b) => (b < 0n || b >= 64n ? 0n : a << b) },
  bitwiseRightShift: { ...bits, integers: (a, b) => a >> (b < 0n || b >= 64n ? 64n : b) },
  gcd: {
    ...bits,
    integers(a, b) {
      let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
      while (y !== 0n) [x, y] = [y, x % y];
      return x;
    },
  },
  eq: { f: (a, b) => Number(a === b), kinks: [['a == b', el.eq]] },
  ne: { f: (a, b) => Number(a !== b), kinks: [['a != b', el.ne]] },
  lt: { f: (a, b) => Number(a < b), kinks: [['a < b', el.lt]] },
  le: { f: (a, b) => Number(a <= b), kinks: [['a <= b', el.le]] },
  gt: { f: (a, b) => Number(a > b), kinks: [['a > b', el.gt]] },
  ge: { f: (a, b) => Number(a >= b), kinks: [['a >= b', el.ge]] },
  logicalAnd: { f: (a, b) => Number(a !== 0 && b !== 0), kinks: [['t.logical_and(a, b)', el.logicalAnd]] },
  logicalOr: { f: (a, b) => Number(a !== 0 || b !== 0), kinks: [['t.logical_or(a, b)', el.logicalOr]] },
  logicalXor: { f: (a, b) => Number((a !== 0) !== (b !== 0)), kinks: [['t.logical_xor(a, b)', el.logicalXor]] },
};

export const binaryRows = Object.entries(binary) as [BinaryName, BinaryRow][];

/** Integers of any size: what an operation gives, wrapped around. */
export function integerBinary(name: BinaryName, a: bigint, b: bigint, wrap: (x: bigint) => bigint): bigint {
  const { f, integers } = binary[name];
  return integers ? wrap(integers(a, b)) : BigInt(f(Number(a), Number(b)));
}
