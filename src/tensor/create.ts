// Making tensors from values: nested arrays, typed arrays, constants and ranges. Random ones are in random.ts.
import { requireShape } from '../checks.ts';
import { ArgumentTypeError, RuntimeError, ValueError } from '../errors.ts';
import type { Backend, Device } from '../kernels/backend.ts';
import { backendOf } from '../kernels/engine.ts';
import { copyStrided } from './copy.ts';
import { type DType, dtypeOf, dtypes, type TypedArray } from './dtype.ts';
import { formatShape, type MemoryFormat, type Shape, sizeOf } from './shape.ts';
import { allocate, type NestedArray, requireReadable, Tensor } from './tensor.ts';

export interface TensorOptions {
  /** Element type. Default: float32 (typed arrays: their own). */
  dtype?: DType;
  /** Default: false. */
  requiresGrad?: boolean;
  /** Default: `'contiguous'`. */
  memoryFormat?: MemoryFormat;
  /** Where the tensor lives. Default: `'cpu'`, or what `withDevice` says; of the functions named …Like, where the given tensor does. */
  device?: Device;
}

/** What a tensor is made as. */
interface Making {
  readonly backend: Backend;
  readonly dtype?: DType;
  readonly requiresGrad?: boolean;
  readonly memoryFormat?: MemoryFormat;
}
const making = ({ dtype, requiresGrad, memoryFormat, device }: TensorOptions): Making => ({
  backend: backendOf(device),
  dtype,
  requiresGrad,
  memoryFormat,
});

function finish(tensor: Tensor, options: Making): Tensor {
  const wanted = options.memoryFormat ?? 'contiguous';
  const result = wanted === tensor.memoryFormat || tensor.rank < 3 ? tensor : copyStrided(tensor, wanted);
  if (options.requiresGrad) result.requiresGrad = true;
  return result;
}

const isTypedArray = (value: unknown): value is TypedArray => ArrayBuffer.isView(value) && !(value instanceof DataView);

/**
 * A tensor of the given values (PyTorch: `torch.tensor`).
 *
 * Numbers become float32 and booleans bool unless `dtype` says otherwise; bigints become int64. A typed array gives a tensor of one dimension
 * and of its own type; `tensor(array, { dtype })` converts, `fromTypedArray` gives it a shape.
 *
 * @throws ValueError where nested arrays are ragged; ArgumentTypeError on values that are no numbers.
 * @example
 * const x = tensor([[1, 2, 3], [4, 5, 6]]); // shape [2, 3], float32
 */
export function tensor(
  data: NestedArray | bigint | readonly bigint[] | TypedArray | Tensor,
  options: TensorOptions = {},
): Tensor {
  if (options.dtype !== undefined && !(options.dtype in dtypes))
    throw new ArgumentTypeError(
      `[tensor] expected one of ${Object.keys(dtypes).join(', ')} as dtype, got ${String(options.dtype)}`,
    );
  if (data instanceof Tensor) return copyOf(data, options);
  return tensorAs(data, making(options));
}

function copyOf(x: Tensor, options: TensorOptions): Tensor {
  const isMeta = x.device === 'meta';
  const wanted = making(isMeta && options.device === undefined ? { ...options, device: 'meta' } : options);
  const dtype = options.dtype ?? x.dtype;
  if (wanted.backend.device === 'meta') return finish(allocate(x.shape, dtype, 'contiguous', wanted.backend), wanted);
  requireReadable('tensor', x);
  return finish(write(x.shape, dtype, x.dataSync(), wanted.backend), wanted);
}

/** A number as a dtype has it; refused where it does not fit. */
export function numberIn(dtype: DType, value: number): number {
  checkRange([value], dtype);
  if (dtype === 'int64') return Math.trunc(value);
  if (dtype === 'bool') return Number(value !== 0);
  const one = new dtypes[dtype].array(1) as Float64Array;
  one[0] = value;
  return one[0];
}

/** As `tensor`, on the backend of an operation's operands. */
export const tensorOn = (backend: Backend, data: NestedArray, dtype?: DType): Tensor =>
  tensorAs(data, { backend, dtype });

function tensorAs(data: NestedArray | bigint | readonly bigint[] | TypedArray, options: Making): Tensor {
  if (isTypedArray(data)) return fromTypedArrayAs(data, [data.length], options);
  const shape: number[] = [];
  for (let level: unknown = data; Array.isArray(level); level = level[0]) shape.push(level.length);
  const flat: (number | bigint | boolean)[] = [];
  const visit = (value: unknown, dim: number): void => {
    if (Array.isArray(value)) {
      if (dim >= shape.length || value.length !== shape[dim])
        throw new ValueError(`expected sequence of length ${shape[dim] ?? 0} at dim ${dim} (got ${value.length})`);
      for (const item of value) visit(item, dim + 1);
      return;
    }
    if (dim !== shape.length)
      throw new ValueError(
        `[tensor] expected nested arrays of equal depth, got a value at depth ${dim} of ${shape.length}`,
      );
    if (typeof value !== 'number' && typeof value !== 'bigint' && typeof value !== 'boolean')
      throw new ArgumentTypeError(
        `[tensor] expected numbers, booleans or bigints, got ${value === null ? 'null' : typeof value}`,
      );
    flat.push(value);
  };
  visit(data, 0);
  const kinds = new Set(flat.map((value) => typeof value));
  const inferred: DType = kinds.has('number') || kinds.size === 0 ? 'float32' : kinds.has('bigint') ? 'int64' : 'bool';
  const dtype = options.dtype ?? inferred;
  checkRange(flat, dtype);
  return finish(write(shape, dtype, flat, options.backend), options);
}

/** Values an integer dtype can hold; uint8 takes negative ones around the circle, as PyTorch does. */
const ranges: Partial<Record<DType, readonly [above: number, below: number]>> = {
  uint8: [-256, 256],
  int32: [-(2 ** 31) - 1, 2 ** 31],
};

function checkRange(values: readonly (number | bigint | boolean)[], dtype: DType): void {
  const range = ranges[dtype];
  if (!range && dtype !== 'int64') return;
  for (const value of values) {
    if (dtype === 'int64' && typeof value === 'bigint') {
      if (value !== BigInt.asIntN(64, value)) throw new ValueError('Overflow when unpacking long long');
      continue;
    }
    const exact = Number(value);
    const fits = range ? exact > range[0] && exact < range[1] : exact >= -(2 ** 63) && exact < 2 ** 63;
    // Around the circle go integers only: a fraction lies between the dtype's limits.
    const isOutside = !Number.isInteger(exact) && range && (exact > range[1] - 1 || (dtype === 'uint8' && exact < 0));
    if (!fits || isOutside) throw new RuntimeError(`value cannot be converted to type ${dtype} without overflow`);
  }
}

/** Writes values, converted one by one, into a new row-major tensor. */
function write(shape: Shape, dtype: DType, values: ArrayLike<number | bigint | boolean>, backend: Backend): Tensor {
  const { array } = dtypes[dtype];
  const typed = new array(values.length);
  if (dtype === 'int64') for (let i = 0; i < values.length; i++) typed[i] = toBigInt(values[i]);
  else if (dtype === 'bool') for (let i = 0; i < values.length; i++) typed[i] = Number(Number(values[i]) !== 0);
  else for (let i = 0; i < values.length; i++) typed[i] = Number(values[i]);
  return copyIn(typed, shape, dtype, backend);
}

const toBigInt = (value: number | bigint | boolean) =>
  typeof value === 'bigint' ? value : BigInt(Math.trunc(Number(value)));

function copyIn(values: TypedArray, shape: Shape, dtype: DType, backend: Backend): Tensor {
  const out = allocate(shape, dtype, 'contiguous', backend);
  out.storage.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return out;
}

/**
 * A tensor of the given shape from the elements of a typed array in row-major order, which are copied.
 * @throws RuntimeError where the number of elements does not fit the shape.
 */
export function fromTypedArray(data: TypedArray, shape: Shape, options: TensorOptions = {}): Tensor {
  return fromTypedArrayAs(data, shape, making(options));
}

/** As `fromTypedArray`, on the backend of an operation's operands. */
export const fromTypedArrayOn = (backend: Backend, data: TypedArray, shape: Shape, dtype?: DType): Tensor =>
  fromTypedArrayAs(data, shape, { backend, dtype });

function fromTypedArrayAs(data: TypedArray, shape: Shape, options: Making): Tensor {
  requireShape('fromTypedArray', shape);
  if (sizeOf(shape) !== data.length)
    throw new RuntimeError(`shape '${formatShape(shape)}' is invalid for input of size ${data.length}`);
  const own = dtypeOf(data);
  const dtype = options.dtype ?? own;
  const direct = dtype === own;
  const { backend } = options;
  return finish(direct ? copyIn(data, shape, dtype, backend) : write(shape, dtype, data, backend), options);
}

/** A tensor filled with one value (PyTorch: `torch.full`). Default dtype: float32, bool for a boolean value. */
export function full(shape: Shape, value: number | boolean, options: TensorOptions = {}): Tensor {
  return fullAs(shape, value, options, backendOf(options.device));
}

/** As `full`, on the backend of an operation's operands. */
export const fullOn = (backend: Backend, shape: Shape, value: number, dtype: DType): Tensor => {
  const out = allocate(shape, dtype, 'contiguous', backend);
  fill(out, value);
  return out;
};

function fullAs(shape: Shape, value: number | boolean, options: TensorOptions, backend: Backend): Tensor {
  requireShape('full', shape);
  const dtype = options.dtype ?? (typeof value === 'boolean' ? 'bool' : 'float32');
  const out = allocate(shape, dtype, options.memoryFormat, backend);
  fill(out, Number(value));
  if (options.requiresGrad) out.requiresGrad = true;
  return out;
}

/** Overwrites every element; the caller sees to versions and gradients. */
export function fill(out: Tensor, value: number): void {
  out.backend.check('fill', out.backend.kernels.fill(out.code, out.pointer, out.size, value));
}

export const zeros = (shape: Shape, options: TensorOptions = {}): Tensor => full(shape, 0, options);
export const ones = (shape: Shape, options: TensorOptions = {}): Tensor => full(shape, 1, options);

/** A tensor whose values are arbitrary until written (PyTorch: `torch.empty`). */
export function empty(shape: Shape, options: TensorOptions = {}): Tensor {
  return emptyAs(shape, options, backendOf(options.device));
}

function emptyAs(shape: Shape, options: TensorOptions, backend: Backend): Tensor {
  requireShape('empty', shape);
  const out = allocate(shape, options.dtype ?? 'float32', options.memoryFormat, backend);
  if (options.requiresGrad) out.requiresGrad = true;
  return out;
}

const like = (x: Tensor, options: TensorOptions): TensorOptions => ({
  dtype: x.dtype,
  memoryFormat: x.memoryFormat,
  ...options,
});
const backendLike = (x: Tensor, { device }: TensorOptions): Backend =>
  device === undefined ? x.backend : backendOf(device);
export const fullLike = (x: Tensor, value: number, options: TensorOptions = {}): Tensor =>
  fullAs(x.shape, value, like(x, options), backendLike(x, options));
export const zerosLike = (x: Tensor, options: TensorOptions = {}): Tensor => fullLike(x, 0, options);
export const onesLike = (x: Tensor, options: TensorOptions = {}): Tensor => fullLike(x, 1, options);
export const emptyLike = (x: Tensor, options: TensorOptions = {}): Tensor =>
  emptyAs(x.shape, like(x, options), backendLike(x, options));

/**
 * `start, start + step, …` up to, not including, `end` (PyTorch: `torch.arange`). `arange(n)` counts from 0.
 * Default dtype: int64 when all arguments are integers, as in PyTorch, else float32.
 */
export function arange(start: number, end?: number, step = 1, options: TensorOptions = {}): Tensor {
  const [from, to] = end === undefined ? [0, start] : [start, end];
  if (step === 0) throw new RuntimeError('step must be nonzero');
  if (![from, to, step].every(Number.isFinite)) throw new RuntimeError(`unsupported range: ${from} -> ${to}`);
  const count = Math.ceil((to - from) / step);
  if (count < 0) throw new RuntimeError('upper bound and lower bound inconsistent with step sign');
  const dtype = options.dtype ?? ([from, to, step].every(Number.isInteger) ? 'int64' : 'float32');
  const out = allocate([count], dtype, 'contiguous', backendOf(options.device));
  out.backend.check('arange', out.backend.kernels.arange(out.code, out.pointer, count, from, step));
  if (options.requiresGrad) out.requiresGrad = true;
  return out;
}

/** `steps` evenly spaced values from `start` to `end`, both included (PyTorch: `torch.linspace`). */
export function linspace(start: number, end: number, steps: number, options: TensorOptions = {}): Tensor {
  if (!Number.isInteger(steps) || steps < 0) throw new RuntimeError('number of steps must be non-negative');
  const settings = { dtype: 'float32', ...options } as const;
  if (backendOf(options.device).device === 'meta') return empty([steps], settings);
  const step = steps > 1 ? (end - start) / (steps - 1) : 0;
  // From the nearer end, so that both ends are exact and the middle is symmetric.
  const values = Array.from({ length: steps }, (_, i) =>
    i < steps / 2 ? start + i * step : end - (steps - 1 - i) * step,
  );
  return tensor(values, settings);
}

/** The identity matrix, or a rectangular one with ones on its diagonal (PyTorch: `torch.eye`). */
export function eye(rows: number, columns = rows, options: TensorOptions = {}): Tensor {
  requireShape('eye', [rows, columns]);
  const settings = { dtype: 'float32', ...options } as const;
  if (backendOf(options.device).device === 'meta') return empty([rows, columns], settings);
  const values = new Float64Array(rows * columns);
  for (let i = 0; i < Math.min(rows, columns); i++) values[i * columns + i] = 1;
  return fromTypedArray(values, [rows, columns], settings);
}
