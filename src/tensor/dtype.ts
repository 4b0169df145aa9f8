// The element types: names, sizes, typed arrays, promotion.
import { shown } from '../checks.ts';
import { Dtype as Code } from '../device/generated/abi.ts';
import { ArgumentTypeError } from '../errors.ts';

/** The element type of a tensor. Numbers are float32 and integers int64 unless something else is said. */
export type DType = 'float32' | 'float64' | 'int32' | 'int64' | 'uint8' | 'bool';
/** The typed arrays in which JavaScript gets a tensor's elements; bool as 0 and 1. */
export type TypedArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

type TypedArrayConstructor = {
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TypedArray;
};

interface DTypeInfo {
  readonly code: Code;
  readonly size: number;
  readonly array: TypedArrayConstructor;
  /** Order of promotion: bool < integers < floats. */
  readonly rank: number;
  readonly isFloat: boolean;
}

export const dtypes: Record<DType, DTypeInfo> = {
  bool: { code: Code.bool, size: 1, array: Uint8Array, rank: 0, isFloat: false },
  uint8: { code: Code.uint8, size: 1, array: Uint8Array, rank: 1, isFloat: false },
  int32: { code: Code.int32, size: 4, array: Int32Array, rank: 2, isFloat: false },
  int64: {
    code: Code.int64,
    size: 8,
    array: BigInt64Array as unknown as TypedArrayConstructor,
    rank: 3,
    isFloat: false,
  },
  float32: { code: Code.float32, size: 4, array: Float32Array, rank: 4, isFloat: true },
  float64: { code: Code.float64, size: 8, array: Float64Array, rank: 5, isFloat: true },
};

/** @throws ArgumentTypeError where a value is the name of no element type. */
export function requireDType(op: string, value: unknown): DType {
  if (typeof value !== 'string' || !Object.hasOwn(dtypes, value))
    throw new ArgumentTypeError(
      `[${op}] expected one of ${Object.keys(dtypes).join(', ')} as dtype, got ${shown(value)}`,
    );
  return value as DType;
}

export const isFloat = (dtype: DType): boolean => dtypes[dtype].isFloat;

/**
 * 0 for truth values, 1 for integers, 2 for floats: results are kept in tensors of their own kind or a higher one
 * (PyTorch: `torch.can_cast`).
 */
export const kindOf = (dtype: DType): 0 | 1 | 2 => (dtypes[dtype].isFloat ? 2 : dtype === 'bool' ? 0 : 1);

/** The dtype both operands are converted to before an operation (PyTorch: `torch.promote_types`). */
export const promote = (a: DType, b: DType): DType => (dtypes[a].rank >= dtypes[b].rank ? a : b);

/** The dtype of a typed array's elements. */
export function dtypeOf(array: TypedArray): DType {
  if (array instanceof Float32Array) return 'float32';
  if (array instanceof Float64Array) return 'float64';
  if (array instanceof Int32Array) return 'int32';
  if (array instanceof BigInt64Array) return 'int64';
  return 'uint8';
}
