// What makes an operation of a function of two operands: its entry in kernels/elementwise/binary.def, by name, and its
// derivatives as operations. Operands are tensors, which are broadcast, and numbers.
import { defineOp, type OpDefinition, type TensorInfo } from '../../autograd/define_op.ts';
import { requireElement, shown } from '../../checks.ts';
import { KernelRefusal } from '../../device/address_backend.ts';
import { currentBackend } from '../../device/engine.ts';
import { Binary, Status } from '../../device/generated/abi.ts';
import { ArgumentTypeError, RuntimeError } from '../../errors.ts';
import { fused, type Rule } from '../../fusion/fused.ts';
import { commonLayout } from '../../launch/layout.ts';
import { declareOptions, kind } from '../../options.ts';
import { fullOn } from '../../tensor/create.ts';
import { type DType, isFloat } from '../../tensor/dtype.ts';
import { requireSameDevice } from '../../tensor/requirements.ts';
import { aliasOf, allocate, Tensor } from '../../tensor/tensor.ts';
import { sumTo } from '../broadcast.ts';
import { cast, resultType } from '../convert.ts';

type BinaryName = keyof typeof Binary;

/** What an operation of two operands takes on either side: a tensor, or one number or boolean for all elements. */
export type Operand = Tensor | number | boolean;
/** As operations compute with it: truth values are 0-d tensors. */
export type Prepared = Tensor | number;

/** What divides integers. */
const dividing: ReadonlySet<BinaryName> = new Set(['remainder', 'fmod', 'truncDivide', 'floorDivide']);

export function launchBinary(
  name: BinaryName,
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
    a.backend.launch.binary(name, { op: Binary[name], a, b, out, shape: layout.dims, aStrides, bStrides, alpha });
  } catch (error) {
    throw inWords(name, error, dividing.has(name) && !isFloat(a.dtype));
  }
  return out;
}

function launchScalar(
  name: BinaryName,
  x: Tensor,
  scalar: number,
  reverse: boolean,
  alpha: number,
  dtype: DType,
): Tensor {
  const out = allocate(x.shape, dtype, x.memoryFormat, x.backend);
  try {
    x.backend.launch.binaryScalar(name, { op: Binary[name], x, s: scalar, reverse, out, alpha });
  } catch (error) {
    throw inWords(name, error, dividing.has(name));
  }
  return out;
}

/** A refusal in words, where it has one of the two reasons that a user can cause. */
export function inWords(name: string, error: unknown, mayDivideBy0: boolean): unknown {
  if (!(error instanceof KernelRefusal) || error.status !== Status.badArgument) return error;
  return new RuntimeError(
    mayDivideBy0
      ? `[${name === 'truncDivide' ? 'div' : name}] ZeroDivisionError`
      : `[${name}] expected operands that are broadcast along at most 16 separate dimensions, got more`,
  );
}

/** An operand as kernels take it, beside the other one. */
export function prepared(name: string, value: Operand, other: Operand): Prepared {
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

/**
 * The dtype an integer tensor is computed in together with a number: float32 when the number is none of the integers.
 */
export const withScalar = (x: Tensor, scalar: number): DType =>
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
  /**
   * Which operands it reads, where not both, given which gradients are wanted. What nobody reads need not be kept
   * alive.
   */
  readonly reads?: (needsA: boolean, needsB: boolean) => readonly [a: boolean, b: boolean];
  /** Throws where integers or booleans, computed in a dtype, are not what PyTorch takes. */
  readonly refuse?: (a: Prepared, b: Prepared, dtype: DType) => void;
  /** Integer operands are computed as float32 (true division). */
  readonly floatOnly?: boolean;
  /** How the operation is merged with others. */
  readonly rule?: Rule<[a: Prepared, b: Prepared, alpha: number], Tensor>;
}

/**
 * A function of two operands, and of the number alpha where it has one. `derivatives`: the gradients at a and b, as
 * operations.
 */
export function defineScaled(name: BinaryName, derivatives: BinaryDerivatives, options: BinaryOptions = {}) {
  const { saves = 'operands', reads = () => [true, true] } = options;
  const definition: OpDefinition<[a: Prepared, b: Prepared, alpha: number], Tensor> = {
    name,
    forward(ctx, a: Prepared, b: Prepared, alpha: number) {
      let y: Tensor;
      if (typeof b === 'number') y = launchScalar(name, a as Tensor, b, false, alpha, (a as Tensor).dtype);
      else if (typeof a === 'number') y = launchScalar(name, b, a, true, alpha, b.dtype);
      else y = launchBinary(name, a, b, alpha, a.dtype);
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

export function defineBinary(...definition: Parameters<typeof defineScaled>): (a: Operand, b: Operand) => Tensor {
  const run = defineScaled(...definition);
  return (a, b) => run(a, b, 1);
}

/** Options of `div`. */
export interface DivOptions {
  /** Rounds the quotient: `'trunc'` towards 0, `'floor'` down. Default: null, none. */
  roundingMode?: 'trunc' | 'floor' | null;
}
export const divOptions = declareOptions<DivOptions>({ roundingMode: kind.choice });

/** Options of `addcmul` and `addcdiv`. */
export interface ValueOption {
  /** Factor of what is added. Default: 1. */
  value?: number;
}
export const valueOption = declareOptions<ValueOption>({ value: kind.number });

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

/** A function of two integer operands, or bool, which gives their common dtype and has no gradients. */
export function defineOfIntegers(
  name: BinaryName,
  refuse: (dtype: DType) => void,
): (left: Operand, right: Operand) => Tensor {
  return (left, right) => {
    requireATensor(name, left, right);
    const a = prepared(name, left, right);
    const b = prepared(name, right, left);
    const dtype =
      typeof b === 'number' ? withScalar(a as Tensor, b) : typeof a === 'number' ? withScalar(b, a) : resultType(a, b);
    refuse(dtype);
    if (typeof b === 'number') return launchScalar(name, cast(a as Tensor, dtype), b, false, 1, dtype);
    if (typeof a === 'number') return launchScalar(name, cast(b, dtype), a, true, 1, dtype);
    return launchBinary(name, cast(a, dtype), cast(b, dtype), 1, dtype);
  };
}

/** A comparison of two operands, which gives bool. */
export function defineComparison(name: BinaryName): (left: Operand, right: Operand) => Tensor {
  return (left, right) => {
    requireATensor(name, left, right);
    const a = prepared(name, left, right);
    const b = prepared(name, right, left);
    if (typeof b === 'number') {
      const x = cast(aliasOf(a as Tensor), withScalar(a as Tensor, b));
      return launchScalar(name, x, b, false, 1, 'bool');
    }
    if (typeof a === 'number') {
      const x = cast(aliasOf(b), withScalar(b, a));
      return launchScalar(name, x, a, true, 1, 'bool');
    }
    const dtype = resultType(a, b);
    return launchBinary(name, cast(aliasOf(a), dtype), cast(aliasOf(b), dtype), 1, 'bool');
  };
}
