// Making tensors from values: nested arrays, typed arrays, constants and ranges. Random ones are in random.ts.
import {
  requireChoice,
  requireCountable,
  requireElement,
  requireFinite,
  requireInteger,
  requireNumber,
  requireShape,
  shown,
} from '../checks.ts';
import type { Backend, Device } from '../device/backend.ts';
import { backendOf } from '../device/engine.ts';
import { ArgumentTypeError, NotImplementedError, RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, type Options, requireOptions } from '../options.ts';
import { copyAs } from './copy.ts';
import { type DType, dtypeOf, dtypes, isFloat, requireDType, type TypedArray } from './dtype.ts';
import { formatShape, type MemoryFormat, memoryFormats, type Shape, sizeOf } from './shape.ts';
import { allocate, copyStrided, type NestedArray, requireReadable, Tensor, type TensorJSON } from './tensor.ts';

/** What tensors are made as: options of `zeros`, `tensor` and all others that make one. */
export interface TensorOptions {
  /**
   * The element type. Default: float32, unless the function says something else; of the functions named …Like, that of
   * the given tensor.
   */
  dtype?: DType;
  /** Compute gradients for the tensor. Default: false. */
  requiresGrad?: boolean;
  /**
   * The order of the elements in memory. Default: `'contiguous'`; of the functions named …Like, that of the given
   * tensor.
   */
  memoryFormat?: MemoryFormat;
  /**
   * Where the tensor lives. Default: `'cpu'`, or what `withDevice` says; of the functions named …Like, where the given
   * tensor does.
   */
  device?: Device;
}

export const tensorOptions = declareOptions<TensorOptions>({
  dtype: kind.choice,
  requiresGrad: kind.flag,
  memoryFormat: kind.choice,
  device: kind.choice,
});

/** The options that every function that makes a tensor checks. Those that draw random numbers have one more. */
export function requireTensorOptions(
  op: string,
  options: TensorOptions,
  known: Options<TensorOptions> = tensorOptions,
): void {
  requireOptions(op, options, known);
  const { dtype, memoryFormat } = options;
  if (dtype !== undefined) requireDType(op, dtype);
  if (memoryFormat !== undefined) requireChoice(op, 'memoryFormat', memoryFormat, memoryFormats);
}

/** The options of a new tensor, with defaults filled in. */
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
 * Numbers become float32 and booleans bool unless `dtype` says otherwise; bigints become int64. A typed array gives a
 * tensor of one dimension and of its own type; `tensor(array, { dtype })` converts, `fromTypedArray` gives it a shape.
 *
 * @throws ValueError where nested arrays are ragged; ArgumentTypeError on values that are no numbers.
 * @example
 * const x = tensor([[1, 2, 3], [4, 5, 6]]); // shape [2, 3], float32
 */
export function tensor(
  data: NestedArray | bigint | readonly bigint[] | TypedArray | Tensor,
  options: TensorOptions = {},
): Tensor {
  requireTensorOptions('tensor', options);
  return data instanceof Tensor ? copyOf(data, options) : tensorAs(data, making(options));
}

function copyOf(x: Tensor, options: TensorOptions): Tensor {
  const isMeta = x.device === 'meta' && options.device === undefined;
  const wanted = making({ ...options, dtype: options.dtype ?? x.dtype, device: isMeta ? 'meta' : options.device });
  if (wanted.backend.device === 'meta')
    return finish(allocate(x.shape, wanted.dtype!, 'contiguous', wanted.backend), wanted);
  requireReadable('tensor', x);
  return fromTypedArrayAs(x.dataSync(), x.shape, wanted);
}

/** As `tensor`, on the backend of an operation's operands. */
export const tensorOn = (backend: Backend, data: NestedArray | readonly number[], dtype?: DType): Tensor =>
  tensorAs(data, { backend, dtype });

function tensorAs(data: NestedArray | bigint | readonly (number | bigint)[] | TypedArray, options: Making): Tensor {
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
      throw new ArgumentTypeError(`[tensor] expected numbers, booleans or bigints, got ${shown(value)}`);
    flat.push(value);
  };
  visit(data, 0);
  const kinds = new Set(flat.map((value) => typeof value));
  const inferred: DType = kinds.has('number') || kinds.size === 0 ? 'float32' : kinds.has('bigint') ? 'int64' : 'bool';
  const dtype = options.dtype ?? inferred;
  checkRange(flat, dtype);
  return finish(write(shape, dtype, flat, options.backend), options);
}

function checkRange(values: readonly (number | bigint | boolean)[], dtype: DType): void {
  if (isFloat(dtype) || dtype === 'bool') return;
  for (const value of values) {
    if (dtype === 'int64' && typeof value === 'bigint') {
      if (value !== BigInt.asIntN(64, value)) throw new ValueError('Overflow when unpacking long long');
    } else requireRepresentable(Number(value), dtype);
  }
}

/** The values that an integer dtype accepts. uint8 also accepts negative ones, which wrap around as in PyTorch. */
const limits: Partial<Record<DType, readonly [least: number, most: number]>> = {
  uint8: [-255, 255],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  // The largest number below 2^63.
  int64: [-(2 ** 63), 2 ** 63 - 1024],
};

/**
 * Refuses a number that a dtype cannot hold. Fractions are cut off, and numbers too large for a float become infinite.
 * A number that comes from a float tensor does not wrap around.
 * @throws RuntimeError with PyTorch's text.
 */
export function requireRepresentable(value: number, dtype: DType, wasFloat = false): void {
  const range = limits[dtype];
  const mayBeNegative = dtype !== 'uint8' || (Number.isInteger(value) && !wasFloat);
  if (range && !(value >= range[0] && value <= range[1] && (value >= 0 || mayBeNegative)))
    throw new RuntimeError(`value cannot be converted to type ${dtype} without overflow`);
}

/** A number as an element: integers cut off the fraction, uint8 wraps around, and everything but 0 is true. */
export function asElement(value: number, dtype: DType): number {
  requireRepresentable(value, dtype);
  if (isFloat(dtype)) return value;
  if (dtype === 'bool') return Number(value !== 0);
  return dtype === 'uint8' ? Math.trunc(value) & 255 : Math.trunc(value);
}

/** A new row-major tensor of these values, which must be in the dtype's range. */
function write(shape: Shape, dtype: DType, values: readonly (number | bigint | boolean)[], backend: Backend): Tensor {
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
  requireShape('fromTypedArray', shape);
  requireTensorOptions('fromTypedArray', options);
  return fromTypedArrayAs(data, shape, making(options));
}

/** As `fromTypedArray`, on the backend of an operation's operands. */
export const fromTypedArrayOn = (backend: Backend, data: TypedArray, shape: Shape, dtype?: DType): Tensor =>
  fromTypedArrayAs(data, shape, { backend, dtype });

function fromTypedArrayAs(data: TypedArray, shape: Shape, options: Making): Tensor {
  if (sizeOf(shape) !== data.length)
    throw new RuntimeError(`shape '${formatShape(shape)}' is invalid for input of size ${data.length}`);
  const own = dtypeOf(data);
  const dtype = options.dtype ?? own;
  const copied = copyIn(data, shape, own, options.backend);
  return finish(dtype === own ? copied : copyAs(copied, dtype), options);
}

const jsonWords: readonly unknown[] = ['NaN', 'Infinity', '-Infinity', '-0'];

/** An element in JSON as a value of a dtype; null where it is none. */
function elementFromJSON(value: unknown, dtype: DType): number | bigint | null {
  if (typeof value === 'string') {
    if (isFloat(dtype)) return jsonWords.includes(value) ? Number(value) : null;
    if (dtype !== 'int64' || !/^-?\d{1,19}$/.test(value)) return null;
    const integer = BigInt(value);
    return integer === BigInt.asIntN(64, integer) ? integer : null;
  }
  if (typeof value !== 'number') return null;
  if (isFloat(dtype)) return Number.isFinite(value) ? value : null;
  const [least, most] = dtype === 'bool' ? [0, 1] : dtype === 'uint8' ? [0, 255] : limits[dtype]!;
  return Number.isSafeInteger(value) && value >= least && value <= most ? value : null;
}

/** Whether a value looks like a tensor in JSON. */
export const isTensorJSON = (value: unknown): value is TensorJSON =>
  typeof value === 'object' && value !== null && 'dtype' in value && 'shape' in value && 'data' in value;

/**
 * The tensor that `JSON.stringify` wrote and `JSON.parse` read, bit for bit: see `Tensor.toJSON`.
 * @throws ArgumentTypeError or RuntimeError unless dtype, shape, the number of values and each of them fit.
 * @example
 * tensorFromJSON(JSON.parse(JSON.stringify(x))); // as x
 */
export const tensorFromJSON = (value: unknown): Tensor => readTensorJSON('tensorFromJSON', value);

/** `tensorFromJSON` for loading functions. @param op the function that errors name. */
export function readTensorJSON(op: string, value: unknown): Tensor {
  if (!isTensorJSON(value))
    throw new ArgumentTypeError(`[${op}] expected { dtype, shape, data } as a tensor in JSON, got ${shown(value)}`);
  const { dtype, shape, data } = value;
  requireDType(op, dtype);
  requireShape(op, shape);
  if (!Array.isArray(data) || data.length !== sizeOf(shape))
    throw new RuntimeError(
      `[${op}] expected ${sizeOf(shape)} values as data of shape ${formatShape(shape)}, got ${shown(data)}`,
    );
  const values = data.map((each) => {
    const element = elementFromJSON(each, dtype);
    if (element === null)
      throw new ArgumentTypeError(`[${op}] expected values of ${dtype} as data, got ${shown(each)}`);
    return element;
  });
  return write(shape, dtype, values, backendOf('cpu'));
}

/**
 * A tensor filled with one value (PyTorch: `torch.full`). Default dtype: float32, bool for a boolean value.
 * @throws RuntimeError where the dtype cannot hold the value.
 * @example
 * const pi = full([2, 3], Math.PI);
 */
export function full(shape: Shape, value: number | boolean, options: TensorOptions = {}): Tensor {
  return filled('full', shape, value, options);
}

/** As `full`, on the backend of an operation's operands. */
export function fullOn(
  backend: Backend,
  shape: Shape,
  value: number,
  dtype: DType,
  memoryFormat?: MemoryFormat,
): Tensor {
  const out = allocate(shape, dtype, memoryFormat, backend);
  fill(out, value);
  return out;
}

/**
 * `full` for the functions that are made of it. The tensor lives on the device of `beside`, unless the options name
 * one.
 */
function filled(
  op: string,
  shape: Shape,
  value: number | boolean,
  options: TensorOptions,
  beside: Tensor | null = null,
): Tensor {
  requireShape(op, shape);
  requireTensorOptions(op, options);
  const element = requireElement(op, 'value', value);
  const dtype = options.dtype ?? (typeof value === 'boolean' ? 'bool' : 'float32');
  const out = fullOn(backendBeside(beside, options), shape, element, dtype, options.memoryFormat);
  if (options.requiresGrad) out.requiresGrad = true;
  return out;
}

const backendBeside = (beside: Tensor | null, { device }: TensorOptions): Backend =>
  beside && device === undefined ? beside.backend : backendOf(device);

/**
 * Overwrites every element. The caller takes care of versions and gradients.
 * @throws RuntimeError where the dtype cannot hold the value.
 */
export function fill(out: Tensor, value: number): void {
  requireRepresentable(value, out.dtype);
  out.backend.launch.fill('fill', { out, value });
}

/**
 * A tensor of zeros (PyTorch: `torch.zeros`).
 * @example
 * const z = zeros([2, 3], { dtype: 'int64' });
 */
export const zeros = (shape: Shape, options: TensorOptions = {}): Tensor => filled('zeros', shape, 0, options);
/** A tensor of ones (PyTorch: `torch.ones`). */
export const ones = (shape: Shape, options: TensorOptions = {}): Tensor => filled('ones', shape, 1, options);

/** A tensor whose values are arbitrary until written (PyTorch: `torch.empty`). */
export function empty(shape: Shape, options: TensorOptions = {}): Tensor {
  return unfilled('empty', shape, options);
}

function unfilled(op: string, shape: Shape, options: TensorOptions, beside: Tensor | null = null): Tensor {
  requireShape(op, shape);
  requireTensorOptions(op, options);
  const backend = backendBeside(beside, options);
  const out = allocate(shape, options.dtype ?? 'float32', options.memoryFormat, backend);
  if (options.requiresGrad) out.requiresGrad = true;
  return out;
}

function like(op: string, x: Tensor, options: TensorOptions): TensorOptions {
  requireOptions(op, options, tensorOptions);
  return { ...options, dtype: options.dtype ?? x.dtype, memoryFormat: options.memoryFormat ?? x.memoryFormat };
}
/** Zeros, with shape, dtype, memory format and device of x (PyTorch: `torch.zeros_like`). */
export const zerosLike = (x: Tensor, options: TensorOptions = {}): Tensor =>
  filled('zerosLike', x.shape, 0, like('zerosLike', x, options), x);
/** Ones, with shape, dtype, memory format and device of x (PyTorch: `torch.ones_like`). */
export const onesLike = (x: Tensor, options: TensorOptions = {}): Tensor =>
  filled('onesLike', x.shape, 1, like('onesLike', x, options), x);
/** One value everywhere, with shape, dtype, memory format and device of x (PyTorch: `torch.full_like`). */
export const fullLike = (x: Tensor, value: number | boolean, options: TensorOptions = {}): Tensor =>
  filled('fullLike', x.shape, value, like('fullLike', x, options), x);
/** Arbitrary values until written, with shape, dtype, memory format and device of x (PyTorch: `torch.empty_like`). */
export const emptyLike = (x: Tensor, options: TensorOptions = {}): Tensor =>
  unfilled('emptyLike', x.shape, like('emptyLike', x, options), x);

function refuseBool(op: string, dtype: DType): void {
  if (dtype === 'bool') throw new NotImplementedError(`"${op}" not implemented for 'Bool'`);
}

/**
 * The numbers `start, start + step, …` up to, not including, `end`, as a vector; `arange(n)` counts from 0 (PyTorch:
 * `torch.arange`). Default dtype: int64 when all arguments are integers, as in PyTorch, else float32. For integers
 * start and step are cut to integers.
 * @throws RuntimeError on a step of 0, or away from `end`.
 * @example
 * arange(4); // [0, 1, 2, 3]
 * arange(0, 1, 0.25); // [0, 0.25, 0.5, 0.75]
 */
export function arange(start: number, end?: number, step = 1, options: TensorOptions = {}): Tensor {
  const [from, to] = end === undefined ? [0, start] : [start, end];
  requireFinite('arange', 'start', from);
  requireFinite('arange', 'end', to);
  requireFinite('arange', 'step', step);
  requireTensorOptions('arange', options);
  const dtype = options.dtype ?? ([from, to, step].every(Number.isInteger) ? 'int64' : 'float32');
  refuseBool('arange', dtype);
  const whole = (value: number) => (isFloat(dtype) ? value : Math.trunc(value));
  // As in PyTorch: int64 counts the steps between integers, the others those between the numbers as they are.
  const [first, last, by] = dtype === 'int64' ? [from, to, step].map(whole) : [from, to, step];
  if (by === 0) throw new RuntimeError('step must be nonzero');
  if (by > 0 ? last < first : last > first)
    throw new RuntimeError('upper bound and lower bound inconsistent with step sign');
  const count = Math.ceil((last - first) / by);
  requireCountable([count], 'arange');
  const out = arangeOn(backendOf(options.device), count, dtype, whole(from), whole(step));
  if (options.requiresGrad) out.requiresGrad = true;
  return out;
}

/** As `arange`, so many numbers, on the backend of an operation's operands. */
export function arangeOn(backend: Backend, count: number, dtype: DType = 'int64', start = 0, step = 1): Tensor {
  const out = allocate([count], dtype, 'contiguous', backend);
  backend.launch.arange('arange', { out, start, step });
  return out;
}

/**
 * A vector of `steps` evenly spaced values from `start` to `end`, both included; for integers both are cut to integers
 * (PyTorch: `torch.linspace`).
 * @throws RuntimeError on a negative number of steps.
 */
export function linspace(start: number, end: number, steps: number, options: TensorOptions = {}): Tensor {
  requireNumber('linspace', 'start', start);
  requireNumber('linspace', 'end', end);
  requireInteger('linspace', 'steps', steps);
  requireTensorOptions('linspace', options);
  if (steps < 0) throw new RuntimeError('number of steps must be non-negative');
  requireCountable([steps], 'linspace');
  const dtype = options.dtype ?? 'float32';
  refuseBool('linspace', dtype);
  if (backendOf(options.device).device === 'meta') return empty([steps], { ...options, dtype });
  const [first, last] = [asElement(start, dtype), asElement(end, dtype)];
  return tensor(evenly(first, last, steps), { ...options, dtype });
}

/**
 * A vector of `steps` values from base^start to base^end, whose exponents are evenly spaced (PyTorch:
 * `torch.logspace`).
 * @param base by default 10.
 * @throws RuntimeError on a negative number of steps.
 * @example
 * logspace(-1, 1, 3); // [0.1, 1, 10]
 */
export function logspace(start: number, end: number, steps: number, base = 10, options: TensorOptions = {}): Tensor {
  requireNumber('logspace', 'start', start);
  requireNumber('logspace', 'end', end);
  requireInteger('logspace', 'steps', steps);
  requireNumber('logspace', 'base', base);
  requireTensorOptions('logspace', options);
  if (steps < 0) throw new RuntimeError('number of steps must be non-negative');
  requireCountable([steps], 'logspace');
  const dtype = options.dtype ?? 'float32';
  refuseBool('logspace', dtype);
  if (backendOf(options.device).device === 'meta') return empty([steps], { ...options, dtype });
  const [first, last] = [asElement(start, dtype), asElement(end, dtype)];
  const values = evenly(first, last, steps).map((exponent) => base ** exponent);
  return tensor(isFloat(dtype) ? values : values.map(Math.trunc), { ...options, dtype });
}
/** From the nearer end, so that both ends are exact and the middle is symmetric. */
function evenly(first: number, last: number, steps: number): number[] {
  const step = steps > 1 ? (last - first) / (steps - 1) : 0;
  return Array.from({ length: steps }, (_, i) =>
    i < Math.floor(steps / 2) || i === 0 ? first + i * step : last - (steps - 1 - i) * step,
  );
}

/**
 * The identity matrix, of shape [rows, columns] with ones on its diagonal (PyTorch: `torch.eye`). Default of `columns`:
 * `rows`.
 */
export function eye(rows: number, columns = rows, options: TensorOptions = {}): Tensor {
  requireInteger('eye', 'rows', rows, 0);
  requireInteger('eye', 'columns', columns, 0);
  requireShape('eye', [rows, columns]);
  requireTensorOptions('eye', options);
  const settings = { ...options, dtype: options.dtype ?? 'float32' } as const;
  if (backendOf(options.device).device === 'meta') return empty([rows, columns], settings);
  const values = new Float64Array(rows * columns);
  for (let i = 0; i < Math.min(rows, columns); i++) values[i * columns + i] = 1;
  return fromTypedArray(values, [rows, columns], settings);
}
