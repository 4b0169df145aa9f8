// Element types as files have them, more than tensors have: their names in each format, and what becomes of them in a
// tensor. Bits that no tensor holds yet (halves, small and unsigned integers) become those of a wider type, without
// rounding; what has no wider one is refused.
import type { DType, TypedArray } from '../tensor/dtype.ts';

/** PyTorch's name of an element type in a file. */
export type StoredDType =
  | DType
  | 'float16'
  | 'bfloat16'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'complex64'
  | 'complex128'
  | 'float8_e4m3fn'
  | 'float8_e5m2'
  | 'float8_e4m3fnuz'
  | 'float8_e5m2fnuz'
  | 'float8_e8m0fnu';

interface StoredDTypeInfo {
  /** Bytes of an element. */
  readonly size: number;
  /** Bytes that change places in the other byte order: of a complex number, each half. */
  readonly word: number;
  /** What a tensor holds it as; null: nothing can. */
  readonly tensor: DType | null;
  /** PyTorch's class of storages; null: it has none, and names the type beside an untyped storage. */
  readonly storage: string | null;
  readonly safetensors: string | null;
  /** NumPy's code, without byte order. */
  readonly numpy: string | null;
}

const row = (
  size: number,
  tensor: DType | null,
  storage: string | null,
  safetensors: string | null,
  numpy: string | null,
  word = size,
): StoredDTypeInfo => ({ size, word, tensor, storage, safetensors, numpy });

export const storedDTypes: Record<StoredDType, StoredDTypeInfo> = {
  float64: row(8, 'float64', 'DoubleStorage', 'F64', 'f8'),
  float32: row(4, 'float32', 'FloatStorage', 'F32', 'f4'),
  float16: row(2, 'float32', 'HalfStorage', 'F16', 'f2'),
  bfloat16: row(2, 'float32', 'BFloat16Storage', 'BF16', null),
  int64: row(8, 'int64', 'LongStorage', 'I64', 'i8'),
  int32: row(4, 'int32', 'IntStorage', 'I32', 'i4'),
  int16: row(2, 'int32', 'ShortStorage', 'I16', 'i2'),
  int8: row(1, 'int32', 'CharStorage', 'I8', 'i1'),
  uint8: row(1, 'uint8', 'ByteStorage', 'U8', 'u1'),
  bool: row(1, 'bool', 'BoolStorage', 'BOOL', 'b1'),
  uint16: row(2, 'int32', null, 'U16', 'u2'),
  uint32: row(4, 'int64', null, 'U32', 'u4'),
  uint64: row(8, 'int64', null, 'U64', 'u8'),
  complex64: row(8, null, 'ComplexFloatStorage', 'C64', 'c8', 4),
  complex128: row(16, null, 'ComplexDoubleStorage', null, 'c16', 8),
  float8_e4m3fn: row(1, 'float32', null, 'F8_E4M3', null),
  float8_e5m2: row(1, 'float32', null, 'F8_E5M2', null),
  float8_e4m3fnuz: row(1, 'float32', null, 'F8_E4M3FNUZ', null),
  float8_e5m2fnuz: row(1, 'float32', null, 'F8_E5M2FNUZ', null),
  float8_e8m0fnu: row(1, 'float32', null, 'F8_E8M0', null),
};

const inverse = (column: 'storage' | 'safetensors' | 'numpy'): ReadonlyMap<string, StoredDType> =>
  new Map(
    Object.entries(storedDTypes).flatMap(([dtype, info]) =>
      info[column] === null ? [] : [[info[column], dtype as StoredDType]],
    ),
  );
export const dtypeOfStorage = inverse('storage');
export const dtypeOfSafetensors = inverse('safetensors');
export const dtypeOfNumpy = inverse('numpy');
export const isStoredDType = (name: string): name is StoredDType => Object.hasOwn(storedDTypes, name);

/** The value of a small float: sign, exponent and fraction bits from the left. */
function smallFloat(bits: number, exponentBits: number, fractionBits: number, bias: number): number {
  const sign = (bits >> (exponentBits + fractionBits)) & 1 ? -1 : 1;
  const exponent = (bits >> fractionBits) & ((1 << exponentBits) - 1);
  const fraction = bits & ((1 << fractionBits) - 1);
  return exponent === 0
    ? sign * fraction * 2 ** (1 - bias - fractionBits)
    : sign * (2 ** fractionBits + fraction) * 2 ** (exponent - bias - fractionBits);
}

/** IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
function half(bits: number): number {
  if (((bits >> 10) & 31) !== 31) return smallFloat(bits, 5, 10, 15);
  return bits & 1023 ? Number.NaN : bits & 0x8000 ? -Infinity : Infinity;
}

/**
 * The values of the floats of 8 bits (Micikevicius et al. 2022, https://arxiv.org/abs/2209.05433; "fnuz": no infinities
 * and no −0; OCP's e8m0).
 */
const eightBits: Partial<Record<StoredDType, (bits: number) => number>> = {
  float8_e4m3fn: (bits) => ((bits & 127) === 127 ? Number.NaN : smallFloat(bits, 4, 3, 7)),
  // The upper half of a binary16.
  float8_e5m2: (bits) => half(bits << 8),
  float8_e4m3fnuz: (bits) => (bits === 128 ? Number.NaN : smallFloat(bits, 4, 3, 8)),
  float8_e5m2fnuz: (bits) => (bits === 128 ? Number.NaN : smallFloat(bits, 5, 2, 16)),
  float8_e8m0fnu: (bits) => (bits === 255 ? Number.NaN : 2 ** (bits - 127)),
};

/** All values of a type of so few bits, made when they are first wanted. */
const tables = new Map<StoredDType, Float32Array>();
function tableOf(dtype: StoredDType): Float32Array {
  const floatOf = dtype === 'float16' ? half : eightBits[dtype]!;
  let table = tables.get(dtype);
  if (!table) {
    table = Float32Array.from({ length: dtype === 'float16' ? 65536 : 256 }, (_, bits) => floatOf(bits));
    tables.set(dtype, table);
  }
  return table;
}

/** A view of bytes as elements; they are aligned, since whoever reads makes them anew. */
type View = { new (buffer: ArrayBufferLike, offset: number, length: number): ArrayLike<number | bigint> };
const views: Partial<Record<StoredDType, View>> = {
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int16: Int16Array,
  int8: Int8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
};

/**
 * Writes elements of a type that no tensor has into one that can hold them: null, or the index of the first that does
 * not fit.
 * @param bytes in little-endian order, aligned.
 */
export function convertInto(target: TypedArray, bytes: Uint8Array, dtype: StoredDType): number | null {
  const view = views[dtype] ?? Uint8Array;
  const given = new view(bytes.buffer, bytes.byteOffset, target.length);
  if (target instanceof BigInt64Array) {
    for (let i = 0; i < target.length; i++) {
      const value = BigInt(given[i]);
      if (value >= 2n ** 63n) return i;
      target[i] = value;
    }
  } else if (target instanceof Int32Array) {
    for (let i = 0; i < target.length; i++) target[i] = given[i] as number;
  } else if (dtype === 'bfloat16') {
    // The upper half of a float32.
    const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
    for (let i = 0; i < target.length; i++) bits[i] = (given[i] as number) << 16;
  } else {
    const table = tableOf(dtype);
    for (let i = 0; i < target.length; i++) target[i] = table[given[i] as number];
  }
  return null;
}

/** Turns the bytes of each word of `size` around, in place. */
export function swapBytes(bytes: Uint8Array, size: number): void {
  for (let at = 0; at + size <= bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}
