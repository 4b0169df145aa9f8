// The functions of one operand: see elementwise_row.ts. An entry of kernels/elementwise/unary.def without a row does
// not compile.
import type { Unary } from '../../src/device/generated/abi.ts';
import * as nn from '../../src/nn/index.ts';
import * as el from '../../src/ops/elementwise.ts';
import { erf, erfc, erfinv, normalCdf, normalPdf, roundHalfToEven, sigmoid, softplus } from '../reference/math.ts';
import type { Difference, Intended, UnaryRow } from './elementwise_row.ts';

export type UnaryName = keyof typeof Unary;

const positive = { low: 0.3, high: 3 };
const inside = { low: -0.8, high: 0.8 };
const seluAlpha = 1.6732632423543772;
const seluScale = 1.0507009873554805;
const geluSlope = 2 * Math.sqrt(2 / Math.PI);
const geluInner = (x: number) => geluSlope * (x + 0.044715 * x ** 3);
const clampTo = (x: number, low: number, high: number) => (Number.isNaN(x) ? x : Math.min(Math.max(x, low), high));
const relu6 = (x: number) => clampTo(x + 3, 0, 6);

const isSecond = ({ name }: Difference) => name.startsWith('dd') || name === 'dg';
const lowerTail: Intended = {
  reason: 'exact in the lower tail, where PyTorch adds 1 and −1, or has 0 because of an exponential that overflows',
  covers: ({ name, at, actual, expected }) => name === 'y' && at[0] < -2 && Math.abs(actual - expected) < 2e-16,
};
const limit: Intended = {
  reason: 'the limit, where PyTorch multiplies 0 by infinity',
  covers: (difference) =>
    difference.name !== 'y' &&
    Math.abs(difference.at[0]) > 700 &&
    Number.isNaN(difference.expected) &&
    (isSecond(difference) ? difference.actual === 0 : Math.abs(difference.actual - 1.5) < 2e-15),
};

export const unary: Readonly<Record<UnaryName, UnaryRow>> = {
  // ---- arithmetic ---------------------------------------------------------------------------------------------------
  neg: { f: (x) => -x, d: () => -1, case: ['-a', el.neg], kinks: [['a.neg()', el.neg]] },
  sign: { f: (x) => (Number.isNaN(x) ? 0 : Math.sign(x)), d: () => 0, case: ['a.sign()', el.sign] },
  abs: { f: Math.abs, d: (x) => Math.sign(x), case: ['a.abs()', el.abs] },
  square: { f: (x) => x * x, d: (x) => 2 * x, case: ['a.square()', el.square] },
  reciprocal: { f: (x) => 1 / x, d: (x) => -1 / (x * x), case: ['a.reciprocal()', el.reciprocal, positive] },
  clamp: {
    f: (x) => clampTo(x, -0.5, 2),
    d: (x) => (x >= -0.5 && x <= 2 ? 1 : 0),
    p: [-0.5, 2],
    case: ['a.clamp(-0.5, 1)', (x) => el.clamp(x, -0.5, 1)],
    kinks: [
      ['a.clamp(-1, 2)', (x) => el.clamp(x, -1, 2)],
      ['a.clamp(min=0)', (x) => el.clamp(x, 0)],
      ['a.clamp(2, -1)', (x) => el.clamp(x, 2, -1)],
    ],
  },
  floor: { f: Math.floor, d: () => 0, case: ['a.floor()', el.floor, { low: 0.2, high: 0.8 }] },
  ceil: { f: Math.ceil, d: () => 0, case: ['a.ceil()', el.ceil, { low: 0.2, high: 0.8 }] },
  round: { f: roundHalfToEven, d: () => 0, case: ['a.round()', el.round, { low: 0.6, high: 1.4 }] },

  trunc: { f: Math.trunc, d: () => 0, case: ['a.trunc()', el.trunc, { low: 0.2, high: 0.8 }] },

  // ---- powers, exponentials, logarithms, trigonometry ---------------------------------------------------------------
  sqrt: { f: Math.sqrt, d: (x) => 0.5 / Math.sqrt(x), case: ['a.sqrt()', el.sqrt, positive] },
  rsqrt: {
    f: (x) => 1 / Math.sqrt(x),
    d: (x) => -0.5 / (x * Math.sqrt(x)),
    case: ['a.rsqrt()', el.rsqrt, positive],
  },
  exp: { f: Math.exp, d: Math.exp, case: ['a.exp()', el.exp] },
  expm1: { f: Math.expm1, d: Math.exp, case: ['a.expm1()', el.expm1] },
  log: { f: Math.log, d: (x) => 1 / x, case: ['a.log()', el.log, positive] },
  log1p: { f: Math.log1p, d: (x) => 1 / (1 + x), case: ['a.log1p()', el.log1p, { low: -0.5, high: 3 }] },
  sin: { f: Math.sin, d: Math.cos, case: ['a.sin()', el.sin] },
  cos: { f: Math.cos, d: (x) => -Math.sin(x), case: ['a.cos()', el.cos] },
  erf: {
    f: erf,
    d: (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x),
    case: ['a.erf()', el.erf],
    intended: [limit],
  },
  erfc: {
    f: (x) => (x < 0 ? 1 + erf(-x) : erfc(x)),
    d: (x) => (-2 / Math.sqrt(Math.PI)) * Math.exp(-x * x),
    slack: 8, // the reference adds and takes away 1
    case: ['a.erfc()', el.erfc],
    intended: [limit],
  },
  exp2: { f: (x) => 2 ** x, d: (x) => 2 ** x * Math.LN2, case: ['a.exp2()', el.exp2] },
  log2: { f: Math.log2, d: (x) => 1 / (x * Math.LN2), case: ['a.log2()', el.log2, positive] },
  log10: { f: Math.log10, d: (x) => 1 / (x * Math.LN10), case: ['a.log10()', el.log10, positive] },
  erfinv: {
    f: erfinv,
    d: (x) => (Math.sqrt(Math.PI) / 2) * Math.exp(erfinv(x) ** 2),
    slack: 8, // Newton's method divides by a slope that falls to nothing
    case: ['a.erfinv()', el.erfinv, inside],
  },
  tan: { f: Math.tan, d: (x) => 1 + Math.tan(x) ** 2, case: ['a.tan()', el.tan, { low: -1.2, high: 1.2 }] },
  asin: { f: Math.asin, d: (x) => 1 / Math.sqrt((1 - x) * (1 + x)), case: ['a.asin()', el.asin, inside] },
  acos: { f: Math.acos, d: (x) => -1 / Math.sqrt((1 - x) * (1 + x)), case: ['a.acos()', el.acos, inside] },
  atan: { f: Math.atan, d: (x) => 1 / (x * x + 1), case: ['a.atan()', el.atan] },
  sinh: { f: Math.sinh, d: Math.cosh, case: ['a.sinh()', el.sinh] },
  cosh: { f: Math.cosh, d: Math.sinh, case: ['a.cosh()', el.cosh] },
  asinh: { f: Math.asinh, d: (x) => 1 / Math.sqrt(x * x + 1), case: ['a.asinh()', el.asinh], intended: [limit] },
  acosh: {
    f: Math.acosh,
    d: (x) => 1 / Math.sqrt((x - 1) * (x + 1)),
    case: ['a.acosh()', el.acosh, { low: 1.2, high: 3 }],
  },
  atanh: { f: Math.atanh, d: (x) => 1 / ((1 - x) * (1 + x)), case: ['a.atanh()', el.atanh, inside], intended: [limit] },

  // ---- activations --------------------------------------------------------------------------------------------------
  tanh: {
    f: Math.tanh,
    d: (x) => 1 - Math.tanh(x) ** 2,
    functional: 'tanh',
    case: ['a.tanh()', el.tanh],
    layers: [{ Layer: nn.Tanh }],
  },
  sigmoid: {
    f: sigmoid,
    d: (x) => sigmoid(x) * sigmoid(-x),
    functional: 'sigmoid',
    case: ['a.sigmoid()', el.sigmoid],
    intended: [lowerTail],
    layers: [{ Layer: nn.Sigmoid }],
  },
  logsigmoid: {
    f: (x) => -softplus(-x),
    d: (x) => sigmoid(-x),
    functional: 'logsigmoid',
    case: ['F.logsigmoid(a)', el.logsigmoid],
    layers: [{ Layer: nn.LogSigmoid }],
  },
  relu: {
    f: (x) => Math.max(x, 0),
    d: (x) => (x <= 0 ? 0 : 1),
    functional: 'relu',
    case: ['a.relu()', el.relu],
    kinks: [['F.relu(a)', el.relu]],
    intended: [
      {
        reason: 'relu(−0) is +0: max(−0, 0) may be either, and PyTorch has −0 because of the order of its operands',
        covers: ({ name, at }) => name === 'y' && at[0] === 0,
      },
    ],
    layers: [{ Layer: nn.ReLU, printed: { ReLU: ['', {}], 'ReLU inplace': ['inplace=True', { inplace: true }] } }],
  },
  leakyRelu: {
    f: (x) => (x > 0 ? x : 0.125 * x),
    d: (x) => (x > 0 ? 1 : 0.125),
    p: [0.125, 0],
    functional: 'leaky_relu',
    case: ['F.leaky_relu(a, 0.2)', (x) => el.leakyRelu(x, { negativeSlope: 0.2 })],
    kinks: [
      ['F.leaky_relu(a)', (x) => el.leakyRelu(x)],
      ['F.leaky_relu(a, 0.0)', (x) => el.leakyRelu(x, { negativeSlope: 0 })],
      ['F.leaky_relu(a, -0.5)', (x) => el.leakyRelu(x, { negativeSlope: -0.5 })],
    ],
    options: { negativeSlope: ['number'] },
    layers: [
      { Layer: nn.LeakyReLU, printed: { LeakyReLU: ['0.2, inplace=True', { negativeSlope: 0.2, inplace: true }] } },
    ],
  },
  elu: {
    f: (x) => (x > 0 ? x : 1.5 * Math.expm1(x)),
    d: (x) => (x > 0 ? 1 : 1.5 * Math.exp(x)),
    p: [1.5, 0],
    slack: 4,
    functional: 'elu',
    case: ['F.elu(a, 1.3)', (x) => el.elu(x, { alpha: 1.3 })],
    kinks: [
      ['F.elu(a)', (x) => el.elu(x)],
      ['F.elu(a, 1.5)', (x) => el.elu(x, { alpha: 1.5 })],
    ],
    options: { alpha: ['number'] },
    layers: [{ Layer: nn.ELU }],
  },
  celu: {
    f: (x) => (x > 0 ? x : 1.5 * Math.expm1(x / 1.5)),
    d: (x) => (x > 0 ? 1 : Math.exp(x / 1.5)),
    p: [1.5, 0],
    slack: 4,
    functional: 'celu',
    case: [
      'F.celu(a, 1.3)',
      (x) => el.celu(x, { alpha: 1.3 }),
      {},
      [6e-8, "PyTorch's 1/alpha is a float32 in the gradient, in float64 too"],
    ],
    kinks: [
      ['F.celu(a)', (x) => el.celu(x)],
      ['F.celu(a, 0.5)', (x) => el.celu(x, { alpha: 0.5 })],
    ],
    options: { alpha: ['number'] },
    layers: [{ Layer: nn.CELU, printed: { CELU: ['0.5, inplace=True', { alpha: 0.5, inplace: true }] } }],
  },
  selu: {
    f: (x) => seluScale * (x > 0 ? x : seluAlpha * Math.expm1(x)),
    d: (x) => seluScale * (x > 0 ? 1 : seluAlpha * Math.exp(x)),
    slack: 4,
    functional: 'selu',
    case: ['F.selu(a)', el.selu],
    layers: [{ Layer: nn.SELU, printed: { SELU: ['inplace=True', { inplace: true }] } }],
  },
  gelu: {
    f: (x) => x * normalCdf(x),
    d: (x) => normalCdf(x) + x * normalPdf(x),
    slack: 8, // it cancels near its zeros
    functional: 'gelu',
    case: ['F.gelu(a)', (x) => el.gelu(x)],
    intended: [lowerTail, limit],
    options: { approximate: ['name'] },
    layers: [
      {
        Layer: nn.GELU,
        forward: { GELU: ['', {}], 'GELU tanh': ["'tanh'", { approximate: 'tanh' }] },
        printed: { GELU: ["'tanh'", { approximate: 'tanh' }] },
      },
    ],
  },
  geluTanh: {
    f: (x) => x * sigmoid(geluInner(x)),
    d: (x) => {
      const s = sigmoid(geluInner(x));
      return s + x * s * (1 - s) * geluSlope * (1 + 3 * 0.044715 * x * x);
    },
    slack: 24,
    publicName: 'gelu',
    functional: 'gelu',
    case: ["F.gelu(a, approximate='tanh')", (x) => el.gelu(x, { approximate: 'tanh' })],
    intended: [lowerTail],
  },
  silu: {
    f: (x) => x * sigmoid(x),
    d: (x) => sigmoid(x) * (1 + x * sigmoid(-x)),
    functional: 'silu',
    case: ['F.silu(a)', el.silu],
    intended: [lowerTail],
    layers: [{ Layer: nn.SiLU }],
  },
  softplus: {
    f: (x) => (2 * x > 20 ? x : Math.log1p(Math.exp(2 * x)) / 2),
    d: (x) => (2 * x > 20 ? 1 : sigmoid(2 * x)),
    p: [2, 20],
    functional: 'softplus',
    case: ['F.softplus(a, 2, 1)', (x) => el.softplus(x, { beta: 2, threshold: 1 }), { low: -2, high: 0.4 }],
    kinks: [
      ['F.softplus(a)', (x) => el.softplus(x)],
      ['F.softplus(a, 2.0, 3.0)', (x) => el.softplus(x, { beta: 2, threshold: 3 })],
    ],
    intended: [
      {
        reason: 'on the threshold the second order is that of the branch which value and gradient are of',
        covers: ({ name, at }) => name === 'dd0' && (at[0] === 1.5 || at[0] === 20),
      },
    ],
    options: { beta: ['number'], threshold: ['number'] },
    layers: [{ Layer: nn.Softplus }],
  },
  hardtanh: {
    f: (x) => clampTo(x, -0.5, 2),
    d: (x) => (x <= -0.5 || x >= 2 ? 0 : 1),
    p: [-0.5, 2],
    functional: 'hardtanh',
    case: ['F.hardtanh(a, -0.5, 1)', (x) => el.hardtanh(x, { minVal: -0.5, maxVal: 1 })],
    kinks: [
      ['F.hardtanh(a)', (x) => el.hardtanh(x)],
      ['F.relu6(a)', (x) => el.hardtanh(x, { minVal: 0, maxVal: 6 })],
    ],
    options: { minVal: ['number', { maxVal: 2 ** 33 }], maxVal: ['number', { minVal: -2 }] },
    layers: [
      { Layer: nn.Hardtanh },
      { Layer: nn.ReLU6, isPreset: true, printed: { ReLU6: ['inplace=True', { inplace: true }] } },
    ],
  },
  hardsigmoid: {
    f: (x) => relu6(x) / 6,
    d: (x) => (x > -3 && x < 3 ? 1 / 6 : 0),
    functional: 'hardsigmoid',
    case: [
      'F.hardsigmoid(a)',
      el.hardsigmoid,
      { low: -4, high: 4 },
      [2e-8, "PyTorch's 1/6 is a float32 constant, in float64 too"],
    ],
    intended: [
      {
        reason: 'a sixth, where PyTorch has that of float32 in float64',
        covers: ({ actual, expected }) => Math.abs(actual - expected) < 1e-8,
      },
    ],
    layers: [{ Layer: nn.Hardsigmoid, printed: { Hardsigmoid: ['inplace=True', { inplace: true }] } }],
  },
  hardswish: {
    f: (x) => (x * relu6(x)) / 6,
    d: (x) => (x <= -3 ? 0 : x < 3 ? x / 3 + 0.5 : 1),
    slack: 4,
    functional: 'hardswish',
    case: ['F.hardswish(a)', el.hardswish, { low: -4, high: 4 }],
    intended: [
      {
        reason: 'the second order at NaN, which no rule says anything about',
        covers: ({ name, at }) => name === 'dd0' && Number.isNaN(at[0]),
      },
    ],
    layers: [{ Layer: nn.Hardswish }],
  },
  softsign: {
    f: (x) => x / (1 + Math.abs(x)),
    d: (x) => 1 / (1 + Math.abs(x)) ** 2,
    slack: 4,
    functional: 'softsign',
    case: ['F.softsign(a)', el.softsign],
    intended: [
      {
        reason: 'the limit of the gradient, where PyTorch divides infinity by itself',
        covers: ({ name, at, expected }) => name !== 'y' && !Number.isFinite(at[0]) && Number.isNaN(expected),
      },
    ],
    layers: [{ Layer: nn.Softsign }],
  },
  tanhshrink: {
    f: (x) => x - Math.tanh(x),
    d: (x) => Math.tanh(x) ** 2,
    slack: 4,
    functional: 'tanhshrink',
    case: ['F.tanhshrink(a)', el.tanhshrink],
    intended: [
      {
        reason: 'a rounding of tanh, of which the difference shows more',
        covers: ({ name, dtype, at, actual, expected }) =>
          name === 'y' && dtype === 'float32' && Math.abs(at[0]) < 1 && Math.abs(actual - expected) < 2 ** -25,
      },
    ],
    layers: [{ Layer: nn.Tanhshrink }],
  },
  softshrink: {
    f: (x) => (x > 0.75 ? x - 0.75 : x < -0.75 ? x + 0.75 : Number.isNaN(x) ? x : 0),
    d: (x) => (x > 0.75 || x < -0.75 ? 1 : 0),
    p: [0.75, 0],
    functional: 'softshrink',
    case: ['F.softshrink(a, 0.7)', (x) => el.softshrink(x, { lambd: 0.7 })],
    kinks: [
      ['F.softshrink(a)', (x) => el.softshrink(x)],
      ['F.softshrink(a, 0.0)', (x) => el.softshrink(x, { lambd: 0 })],
    ],
    options: { lambd: ['number'] },
    layers: [{ Layer: nn.Softshrink, printed: { Softshrink: ['0.25', { lambd: 0.25 }] } }],
  },
  hardshrink: {
    f: (x) => (x >= -0.75 && x <= 0.75 ? 0 : x),
    d: (x) => (x > 0.75 || x < -0.75 ? 1 : 0),
    p: [0.75, 0],
    functional: 'hardshrink',
    case: ['F.hardshrink(a, 0.7)', (x) => el.hardshrink(x, { lambd: 0.7 })],
    kinks: [
      ['F.hardshrink(a)', (x) => el.hardshrink(x)],
      ['F.hardshrink(a, -1.0)', (x) => el.hardshrink(x, { lambd: -1 })],
    ],
    options: { lambd: ['number'] },
    layers: [{ Layer: nn.Hardshrink, printed: { Hardshrink: ['0.25', { lambd: 0.25 }] } }],
  },
  threshold: {
    f: (x) => (x <= -0.5 ? 3 : x),
    d: (x) => (x <= -0.5 ? 0 : 1),
    p: [-0.5, 3],
    functional: 'threshold',
    case: ['F.threshold(a, 0.3, -7)', (x) => el.threshold(x, 0.3, -7)],
    kinks: [['F.threshold(a, 1.0, 20.0)', (x) => el.threshold(x, 1, 20)]],
  },
  mish: {
    f: (x) => x * Math.tanh(softplus(x)),
    d: (x) => {
      const t = Math.tanh(softplus(x));
      return t + x * sigmoid(x) * (1 - t * t);
    },
    slack: 6,
    functional: 'mish',
    case: ['F.mish(a)', el.mish],
    intended: [limit],
    layers: [{ Layer: nn.Mish, printed: { Mish: ['inplace=True', { inplace: true }] } }],
  },

  // ---- tests --------------------------------------------------------------------------------------------------------
  logicalNot: { f: (x) => Number(x === 0), kinks: [['a.logical_not()', el.logicalNot]] },
  isnan: { f: (x) => Number(Number.isNaN(x)), kinks: [['a.isnan()', el.isnan]] },
  isfinite: { f: (x) => Number(Number.isFinite(x)), kinks: [['a.isfinite()', el.isfinite]] },
  isinf: { f: (x) => Number(Math.abs(x) === Infinity), kinks: [['a.isinf()', el.isinf]] },
  signbit: { f: (x) => Number(x < 0 || Object.is(x, -0)), kinks: [['a.signbit()', el.signbit]] },
};

export const unaryRows = Object.entries(unary) as [UnaryName, UnaryRow][];

/** The layers of activations. */
export const activationLayers = unaryRows.flatMap(([, { layers = [], ...of }]) =>
  layers.map((layer) => ({ ...layer, name: layer.Layer.name, of })),
);

/**
 * Layers to make, by the names that PyTorch's results have in golden/nn.golden.json: Python's arguments, and a
 * function.
 */
export const madeLayers = (kind: 'forward' | 'printed') =>
  activationLayers.flatMap(({ Layer, name, [kind]: given = { [name]: ['', {}] as const } }) =>
    Object.entries(given).map(([key, [python, options]]) => ({
      key,
      python: `nn.${name}(${python})`,
      make: () => new Layer(options as never),
    })),
  );
