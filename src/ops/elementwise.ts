// Elementwise ops of one or two tensors, with broadcasting: arithmetic, comparison, functions, activations. Each gradient has two forms: a
// kernel, and a composition of ops that is recorded when higher orders are asked for.
import { defineOp, type TensorInfo } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { ArgumentTypeError, NotImplementedError, RuntimeError } from '../errors.ts';
import { joinAdd, joinInPlace, joinRelu, maskGradient } from '../fusion/deferred_norm.ts';
import { functionOfNorm, gradientOfFunction } from '../fusion/function_of_norm.ts';
import { Binary, Unary } from '../kernels/generated/abi.ts';
import { copyDense } from '../tensor/copy.ts';
import { fullOn } from '../tensor/create.ts';
import { type DType, dtypes, isFloat } from '../tensor/dtype.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import { aliasOf, allocate, Tensor } from '../tensor/tensor.ts';
import { cast, commonLayout, inFormat, requireSameDevice, requireTensor, resultType, toFormat } from './launch.ts';
import { sumTo } from './reduce.ts';
import { launchUnary, launchUnaryBackward } from './unary_kernels.ts';

// ---- one tensor ---------------------------------------------------------------------------------------------------

type Saves = 'x' | 'y' | 'both';
/** The derivative at x, where y is the function's value, as ops. */
type Derivative = (x: Tensor, y: Tensor, p0: number, p1: number) => Tensor | number;

/** How a function is merged with what made its operand; null where it is not. See fusion/. */
interface Joins {
  forward(x: Tensor, p0: number, p1: number): Tensor | null;
  backward(g: Tensor, y: Tensor): Tensor | null;
}

function defineUnary(name: string, op: Unary, saves: Saves, derivative: Derivative, joins?: Joins) {
  const run = defineOp({
    name,
    forward(ctx, x: Tensor, p0: number, p1: number) {
      const y =
        joins?.forward(x, p0, p1) ?? functionOfNorm({ name, op, p0, p1 }, x) ?? launchUnary(name, op, x, p0, p1);
      ctx.save(saves === 'y' ? null : x, saves === 'x' ? null : y);
      return y;
    },
    backward(ctx, [g], _x, p0, p1) {
      const [x, y] = ctx.saved;
      if (isGradEnabled()) return [mul(g, derivative(x ?? y, y ?? x, p0, p1))];
      const joined = joins?.backward(g, y);
      if (joined) return [joined];
      const like = x ?? y;
      const dy = inFormat(g, like.memoryFormat);
      // A kernel reads only the one it needs; another stands in.
      const ofNorm = x && gradientOfFunction({ name, op, p0, p1 }, x, y ?? dy, dy);
      if (ofNorm) return [ofNorm];
      const dx = allocate(like.shape, like.dtype, like.memoryFormat, like.backend);
      return [launchUnaryBackward(name, op, x ?? y, y ?? x, dy, dx, p0, p1)];
    },
  });
  return (x: Tensor, p0 = 0, p1 = 0): Tensor => {
    requireTensor(name, x);
    return run(x, p0, p1);
  };
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

export const neg = defineUnary('neg', Unary.neg, 'x', () => -1);
export const abs = defineUnary('abs', Unary.abs, 'x', (x) => sign(x));
export const sign = defineUnary('sign', Unary.sign, 'x', () => 0);
export const square = defineUnary('square', Unary.square, 'x', (x) => mul(x, 2));
export const floor = defineUnary('floor', Unary.floor, 'x', () => 0);
export const ceil = defineUnary('ceil', Unary.ceil, 'x', () => 0);
export const round = defineUnary('round', Unary.round, 'x', () => 0);
export const sqrt = defineFunction('sqrt', Unary.sqrt, 'y', (_, y) => div(0.5, y));
export const rsqrt = defineFunction('rsqrt', Unary.rsqrt, 'y', (_, y) => mul(pow(y, 3), -0.5));
export const reciprocal = defineFunction('reciprocal', Unary.reciprocal, 'y', (_, y) => neg(square(y)));
export const exp = defineFunction('exp', Unary.exp, 'y', (_, y) => y);
export const expm1 = defineFunction('expm1', Unary.expm1, 'both', (_, y) => add(y, 1));
export const log = defineFunction('log', Unary.log, 'x', (x) => reciprocal(x));
export const log1p = defineFunction('log1p', Unary.log1p, 'x', (x) => reciprocal(add(x, 1)));
export const sin = defineFunction('sin', Unary.sin, 'x', (x) => cos(x));
export const cos = defineFunction('cos', Unary.cos, 'x', (x) => neg(sin(x)));
export const tanh = defineFunction('tanh', Unary.tanh, 'y', (_, y) => sub(1, square(y)));
export const erf = defineFunction('erf', Unary.erf, 'x', (x) => mul(exp(neg(square(x))), twoOverRootPi));
export const sigmoid = defineFunction('sigmoid', Unary.sigmoid, 'y', (_, y) => mul(y, sub(1, y)));
export const logSigmoid = defineFunction('logSigmoid', Unary.logSigmoid, 'both', (x) => sigmoid(neg(x)));
export const relu = defineUnary('relu', Unary.relu, 'y', (_, y) => cast(gt(y, 0), y.dtype), {
  forward: (x) => joinRelu(x, Infinity),
  backward: maskGradient,
});
const hardtanhOp = defineUnary(
  'hardtanh',
  Unary.hardtanh,
  'y',
  (_, y, low, high) => cast(logicalAnd(gt(y, low), lt(y, high)), y.dtype),
  { forward: (x, low, high) => (low === 0 && high > 0 ? joinRelu(x, high) : null), backward: maskGradient },
);
const leakyReluOp = defineUnary('leakyRelu', Unary.leakyRelu, 'x', (x, _, slope) => where(gt(x, 0), 1, slope, x.dtype));
const eluOp = defineUnary('elu', Unary.elu, 'both', (x, _, alpha) =>
  where(gt(x, 0), 1, mul(exp(minimum(x, 0)), alpha), x.dtype),
);
const seluScale = 1.0507009873554805;
const seluAlpha = 1.6732632423543772;
export const selu = defineFunction('selu', Unary.selu, 'both', (x) =>
  where(gt(x, 0), seluScale, mul(exp(minimum(x, 0)), seluScale * seluAlpha), x.dtype),
);
const geluErf = defineFunction('gelu', Unary.gelu, 'x', (x) =>
  add(mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5), mul(x, mul(exp(mul(square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI)))),
);
const geluTanh = defineFunction('geluTanh', Unary.geluTanh, 'x', (x) => {
  const root = Math.sqrt(2 / Math.PI);
  const t = tanh(mul(add(x, mul(pow(x, 3), 0.044715)), root));
  const inner = mul(add(mul(square(x), 3 * 0.044715), 1), root);
  return add(mul(add(t, 1), 0.5), mul(mul(mul(x, 0.5), sub(1, square(t))), inner));
});
export const silu = defineFunction('silu', Unary.silu, 'x', (x) => {
  const s = sigmoid(x);
  return mul(s, add(mul(x, sub(1, s)), 1));
});
const softplusOp = defineUnary('softplus', Unary.softplus, 'x', (x, _, beta, threshold) =>
  where(gt(mul(x, beta), threshold), 1, sigmoid(mul(x, beta)), x.dtype),
);
const clampOp = defineUnary('clamp', Unary.clamp, 'x', (x, _, low, high) =>
  cast(logicalAnd(ge(x, low), le(x, high)), x.dtype),
);
export const hardSigmoid = defineFunction('hardSigmoid', Unary.hardSigmoid, 'x', (x) =>
  mul(cast(logicalAnd(gt(x, -3), lt(x, 3)), x.dtype), 1 / 6),
);
export const hardSwish = defineFunction('hardSwish', Unary.hardSwish, 'x', (x) =>
  where(lt(x, -3), 0, where(le(x, 3), add(mul(x, 1 / 3), 0.5), 1, x.dtype), x.dtype),
);
export const mish = defineFunction('mish', Unary.mish, 'x', (x) => {
  const t = tanh(softplus(x));
  return add(t, mul(mul(x, sigmoid(x)), sub(1, square(t))));
});

const floating = (x: Tensor) => (isFloat(x.dtype) ? x : cast(x, 'float32'));

/** x where positive, `negativeSlope`·x elsewhere (PyTorch: `F.leaky_relu`; default slope 0.01). */
export const leakyRelu = (x: Tensor, negativeSlope = 0.01): Tensor => leakyReluOp(floating(x), negativeSlope);
/** x where positive, `alpha`·(eˣ − 1) elsewhere (PyTorch: `F.elu`; default alpha 1). */
export const elu = (x: Tensor, alpha = 1): Tensor => eluOp(floating(x), alpha);
/** x·Φ(x) (Hendrycks & Gimpel 2016; PyTorch: `F.gelu`); `approximate: 'tanh'` for the tanh form. */
export const gelu = (x: Tensor, options: { approximate?: 'none' | 'tanh' } = {}): Tensor =>
  options.approximate === 'tanh' ? geluTanh(x) : geluErf(x);
/** log(1 + e^(beta·x)) / beta, linear where beta·x > threshold (PyTorch: `F.softplus`; defaults 1 and 20). */
export const softplus = (x: Tensor, beta = 1, threshold = 20): Tensor => softplusOp(floating(x), beta, threshold);
/** Values limited to [low, high]; on and beyond the bounds no gradient flows (PyTorch: `F.hardtanh`; defaults −1 and 1). */
export const hardtanh = (x: Tensor, low = -1, high = 1): Tensor => hardtanhOp(x, low, high);
/** Values limited to [min, max]; either may be left out (PyTorch: `torch.clamp`). NaN stays NaN. */
export function clamp(x: Tensor, min?: number, max?: number): Tensor {
  if (min === undefined && max === undefined)
    throw new RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None");
  return clampOp(x, min ?? -Infinity, max ?? Infinity);
}

function definePredicate(name: string, op: Unary): (x: Tensor) => Tensor {
  return (x) => {
    requireTensor(name, x);
    return launchUnary(name, op, x, 0, 0, 'bool');
  };
}
export const logicalNot = definePredicate('logicalNot', Unary.logicalNot);
export const isnan = definePredicate('isnan', Unary.isNan);
export const isfinite = definePredicate('isfinite', Unary.isFinite);

// ---- two tensors --------------------------------------------------------------------------------------------------

export type Operand = Tensor | number;

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
  const { backend } = a;
  backend.check(
    name,
    backend.kernels.binary(
      op,
      a.code,
      a.pointer,
      b.pointer,
      out.pointer,
      layout.dims.length,
      backend.ints(layout.dims),
      backend.ints(layout.strides[0]),
      backend.ints(layout.strides[1]),
      alpha,
    ),
  );
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
  x.backend.check(
    name,
    x.backend.kernels.binaryScalar(op, x.code, x.pointer, scalar, reverse ? 1 : 0, out.pointer, x.size, alpha),
  );
  return out;
}

function checkOperands(name: string, a: Operand, b: Operand): void {
  for (const value of [a, b])
    if (!(value instanceof Tensor) && typeof value !== 'number')
      throw new ArgumentTypeError(
        `[${name}] expected tensors or numbers, got ${value === null ? 'null' : typeof value}`,
      );
  if (typeof a === 'number' && typeof b === 'number')
    throw new ArgumentTypeError(`[${name}] expected at least one tensor, got two numbers`);
}

/** The dtype an integer tensor is computed in together with a number: float32 when the number is none of the integers. */
const withScalar = (x: Tensor, scalar: number): DType =>
  isFloat(x.dtype) ? x.dtype : !Number.isInteger(scalar) ? 'float32' : x.dtype === 'bool' ? 'int64' : x.dtype;

type BinaryDerivatives = (
  g: Tensor,
  a: Operand,
  b: Operand,
  y: Tensor,
  alpha: number,
) => readonly [() => Tensor, () => Tensor];

interface BinaryOptions {
  /** What the backward reads: the operands or the result. */
  readonly saves?: 'operands' | 'nothing' | 'result';
  /** Which operands it reads, where not both, given which gradients are wanted. What nobody reads need not be kept alive. */
  readonly reads?: (needsA: boolean, needsB: boolean) => readonly [a: boolean, b: boolean];
  /** Integer operands are computed as float32 (true division). */
  readonly floatOnly?: boolean;
  /** How the operation, with alpha 1, is merged with what made its operands; null where it is not. See fusion/. */
  readonly join?: (a: Tensor, b: Tensor) => Tensor | null;
}

function defineBinary(name: string, op: Binary, derivatives: BinaryDerivatives, options: BinaryOptions = {}) {
  const { saves = 'operands', reads = () => [true, true] } = options;
  const run = defineOp({
    name,
    forward(ctx, a: Operand, b: Operand, alpha: number) {
      let y: Tensor;
      if (typeof b === 'number') y = launchScalar(name, op, a as Tensor, b, false, alpha, (a as Tensor).dtype);
      else if (typeof a === 'number') y = launchScalar(name, op, b, a, true, alpha, b.dtype);
      else y = (alpha === 1 ? options.join?.(a, b) : null) ?? launchBinary(name, op, a, b, alpha, a.dtype);
      const tensor = (value: Operand) => (value instanceof Tensor ? value : null);
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
  });
  return (a: Operand, b: Operand, alpha = 1): Tensor => {
    checkOperands(name, a, b);
    const common =
      typeof a === 'number' ? withScalar(b as Tensor, a) : typeof b === 'number' ? withScalar(a, b) : resultType(a, b);
    const dtype = options.floatOnly && !isFloat(common) ? 'float32' : common;
    const prepare = (value: Operand) => (value instanceof Tensor ? cast(value, dtype) : value);
    return run(prepare(a), prepare(b), alpha);
  };
}

/** a + alpha·b, broadcast (PyTorch: `torch.add`). */
export const add = defineBinary(
  'add',
  Binary.add,
  (g, _a, _b, _y, alpha) => [() => g, () => (alpha === 1 ? g : mul(g, alpha))],
  { saves: 'nothing', join: joinAdd },
);
/** a − alpha·b, broadcast (PyTorch: `torch.sub`). */
export const sub = defineBinary('sub', Binary.sub, (g, _a, _b, _y, alpha) => [() => g, () => mul(g, -alpha)], {
  saves: 'nothing',
});
/** a·b, broadcast (PyTorch: `torch.mul`). */
export const mul = defineBinary('mul', Binary.mul, (g, a, b) => [() => mul(g, b), () => mul(g, a)], {
  reads: (needsA, needsB) => [needsB, needsA],
});
/** a / b, broadcast; integers give float32 (PyTorch: `torch.div`). */
export const div = defineBinary(
  'div',
  Binary.div,
  (g, a, b) => [() => div(g, b), () => neg(div(mul(g, div(a, b)), b))],
  { floatOnly: true, reads: (_, needsB) => [needsB, true] },
);
/** a to the power b, broadcast (PyTorch: `torch.pow`). */
export const pow: (a: Operand, b: Operand) => Tensor = defineBinary(
  'pow',
  Binary.pow,
  (g, a, b, y) => [
    // b·a^(b−1), and 0 where b is 0 (also at a = 0).
    () =>
      typeof b === 'number'
        ? b === 0
          ? mul(g, 0)
          : mul(g, mul(pow(a, b - 1), b))
        : mul(g, where(eq(b, 0), 0, mul(b, pow(a, sub(b, 1))), g.dtype)),
    // y·ln a, and 0 where a is 0 and b is not negative.
    () => {
      const base = typeof a === 'number' ? fullOn(g.backend, [], a, g.dtype) : a;
      return mul(g, where(logicalAnd(eq(base, 0), ge(b as Tensor, 0)), 0, mul(y, log(base)), g.dtype));
    },
  ],
  { saves: 'result' },
);
// Where both are equal each gets half, as in PyTorch.
const share = (g: Tensor, wins: Tensor, ties: Tensor) =>
  mul(g, add(cast(wins, g.dtype), mul(cast(ties, g.dtype), 0.5)));
const compareWith = (f: (a: Operand, b: Operand) => Tensor, a: Operand, b: Operand) => f(a, b);
/** The larger of a and b; NaN where either is (PyTorch: `torch.maximum`). */
export const maximum = defineBinary('maximum', Binary.maximum, (g, a, b) => [
  () => share(g, compareWith(gt, a, b), eq(a, b)),
  () => share(g, compareWith(lt, a, b), eq(a, b)),
]);
/** The smaller of a and b; NaN where either is (PyTorch: `torch.minimum`). */
export const minimum = defineBinary('minimum', Binary.minimum, (g, a, b) => [
  () => share(g, compareWith(lt, a, b), eq(a, b)),
  () => share(g, compareWith(gt, a, b), eq(a, b)),
]);
/** a − b·floor(a / b): the remainder with the sign of b (PyTorch: `torch.remainder`). */
export const remainder = defineBinary('remainder', Binary.remainder, (g, a, b) => [
  () => g,
  () => neg(mul(g, floor(div(a, b)))),
]);

/** The same memory without history (PyTorch: `detach`). In-place changes are seen by both. */
export const detach: (x: Tensor) => Tensor = aliasOf;

function defineComparison(name: string, op: Binary) {
  return (a: Operand, b: Operand): Tensor => {
    checkOperands(name, a, b);
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
export const eq = defineComparison('eq', Binary.eq);
export const ne = defineComparison('ne', Binary.ne);
export const lt = defineComparison('lt', Binary.lt);
export const le = defineComparison('le', Binary.le);
export const gt = defineComparison('gt', Binary.gt);
export const ge = defineComparison('ge', Binary.ge);
export const logicalAnd = defineComparison('logicalAnd', Binary.logicalAnd);
export const logicalOr = defineComparison('logicalOr', Binary.logicalOr);
export const logicalXor = defineComparison('logicalXor', Binary.logicalXor);

// ---- choosing -----------------------------------------------------------------------------------------------------

const whereOp = defineOp({
  name: 'where',
  forward(ctx, condition: Tensor, a: Tensor, b: Tensor) {
    requireSameDevice('where', condition, a, b);
    const layout = commonLayout([condition, a, b]);
    const out = allocate(layout.shape, a.dtype, layout.format, a.backend);
    const { backend } = a;
    backend.check(
      'where',
      backend.kernels.where(
        dtypes[a.dtype].size,
        condition.pointer,
        a.pointer,
        b.pointer,
        out.pointer,
        layout.dims.length,
        backend.ints(layout.dims),
        backend.ints(layout.strides[0]),
        backend.ints(layout.strides[1]),
        backend.ints(layout.strides[2]),
      ),
    );
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

/** Values of a where the condition holds, of b elsewhere, broadcast (PyTorch: `torch.where`). `dtype` serves two numbers. */
export function where(condition: Tensor, a: Operand, b: Operand, dtype?: DType): Tensor {
  requireTensor('where', condition);
  if (condition.dtype !== 'bool')
    throw new RuntimeError(
      `where expected condition to be a boolean tensor, but got a tensor with dtype ${dtypes[condition.dtype].torchName}`,
    );
  const common =
    a instanceof Tensor && b instanceof Tensor
      ? resultType(a, b)
      : a instanceof Tensor
        ? withScalar(a, b as number)
        : b instanceof Tensor
          ? withScalar(b, a)
          : (dtype ?? 'float32');
  const prepare = (value: Operand) =>
    value instanceof Tensor ? cast(value, common) : fullOn(condition.backend, [], value, common);
  return whereOp(condition, prepare(a), prepare(b));
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
  if (isFloat(result.dtype) && !isFloat(x.dtype))
    throw new NotImplementedError(
      `result type ${dtypes[result.dtype].torchName} can't be cast to the desired output type ${dtypes[x.dtype].torchName}`,
    );
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
  if (joinInPlace(to, from)) return;
  to.storage.beginChange();
  copyDense('copy', from, to);
}
