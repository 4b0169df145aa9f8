// The tensor: shape, dtype, memory format, storage, and its place in the autograd graph. Operations are attached by
// ops/methods.ts; here are only identity, creation from memory, and the ways back to JavaScript.
import { maxElements, requireCountable, shown } from '../checks.ts';
import type { Backend, Device } from '../device/backend.ts';
import { currentBackend } from '../device/engine.ts';
import { Format, type Pointer } from '../device/generated/abi.ts';
import { ArgumentTypeError, IndexError, NotImplementedError, RuntimeError, ValueError } from '../errors.ts';
import { type DType, dtypes, isFloat, type TypedArray } from './dtype.ts';
import { formatTensor } from './format_tensor.ts';
import { formatShape, type MemoryFormat, physicalOrder, type Shape, sameShape, sizeOf, stridesOf } from './shape.ts';
import { keepStorage, Storage } from './storage.ts';

/**
 * The operation that made a tensor: a node of the graph that `backward` walks (PyTorch: `torch.autograd.graph.Node`).
 */
export interface GradNode {
  /** The name of the operation, with `Backward` behind it. */
  readonly name: string;
}

/** What a tensor hook receives: the gradient; what it may return: another gradient in its place. */
// biome-ignore lint/suspicious/noConfusingVoidType: a hook may also just look
export type TensorHook = (grad: Tensor) => Tensor | void;

/** What is called with a leaf when a backward has added to its gradient. */
export type AccumulatedHook = (leaf: Tensor) => void;

/** One registration of a hook. */
export interface HookEntry {
  readonly hook: TensorHook;
}

/** Values as nested arrays, one level for each dimension; a plain value for rank 0. */
export type NestedArray = number | boolean | NestedArray[];

/** A tensor in JSON: what `Tensor.toJSON` gives and `tensorFromJSON` reads. */
export interface TensorJSON {
  /** The element type. */
  dtype: DType;
  /** The size of each dimension. */
  shape: Shape;
  /** The values in row-major order; those that JSON has no number for as strings. */
  data: (number | string)[];
}

/**
 * An array of any number of dimensions, of elements of one type, that remembers the operations it came from, for
 * gradients (PyTorch: `torch.Tensor`).
 *
 * Tensors are made by `tensor`, `zeros`, `randn` and their kin. Operations are methods (`x.add(y).relu()`) and
 * functions (`relu(add(x, y))`), which are the same. Shape and dtype of a tensor never change.
 *
 * @example
 * const a = tensor([[1, 2], [3, 4]], { requiresGrad: true });
 * a.mul(a).sum().backward();
 * console.log(a.grad!.toArray()); // [[2, 4], [6, 8]]
 */
export class Tensor {
  /** The size of each dimension (PyTorch: `Tensor.shape`). */
  readonly shape: Shape;
  /** The type of the elements (PyTorch: `Tensor.dtype`). */
  readonly dtype: DType;
  /** The order of the elements in memory. Below three dimensions there is one order, `'contiguous'`. */
  readonly memoryFormat: MemoryFormat;
  /**
   * The memory, which tensors of other shapes may share.
   * @internal
   */
  storage: Storage;
  /**
   * The operation that made this tensor, while gradients can flow through it; null for leaves (PyTorch:
   * `Tensor.grad_fn`).
   */
  gradFn: GradNode | null = null;
  /**
   * Which of that operation's outputs this is.
   * @internal
   */
  outputIndex = 0;
  /**
   * Hooks of a leaf; those of other tensors are at their node.
   * @internal
   */
  hooks: HookEntry[] | null = null;
  /**
   * Called when a backward has added to this leaf's gradient.
   * @internal
   */
  accumulatedHooks: AccumulatedHook[] | null = null;
  /**
   * Whether a recorded operation has saved this tensor object itself for its backward.
   * @internal
   */
  isSaved = false;
  /**
   * The storage's history when this tensor got its place in the graph.
   * @internal
   */
  history: number;
  private requiresGradFlag = false;
  private gradient: Tensor | null = null;
  /** Whether anybody may hold the gradient besides this tensor. */
  private isGradientHeld = false;

  /** A tensor whose values are arbitrary until written. `empty` makes one with options. */
  constructor(shape: Shape, dtype: DType, memoryFormat?: MemoryFormat);
  /** @internal */
  constructor(shape: Shape, dtype: DType, memoryFormat: MemoryFormat, storage: Storage);
  constructor(shape: Shape, dtype: DType, memoryFormat: MemoryFormat = 'contiguous', storage?: Storage) {
    this.shape = shape;
    this.dtype = dtype;
    // Below rank 3 the two formats are one.
    this.memoryFormat = shape.length < 3 ? 'contiguous' : memoryFormat;
    this.storage = storage ?? new Storage(countOf(shape) * dtypes[dtype].size);
    this.history = this.storage.history;
  }

  /**
   * The accumulated gradient of a leaf, or of a tensor that asked for `retainGrad()`; null before the first
   * `backward()` (PyTorch: `Tensor.grad`). It may be set: to null, or to a tensor of this one's shape, dtype and
   * device.
   * @throws ArgumentTypeError or RuntimeError on another value.
   */
  get grad(): Tensor | null {
    this.isGradientHeld = true;
    return this.gradient;
  }
  set grad(value: Tensor | null) {
    if (value !== null) this.checkGradient(value);
    this.gradient = value;
    this.isGradientHeld = true;
  }

  /** Checks a new gradient: optimizers rely on its size and dtype. */
  private checkGradient(value: unknown): void {
    if (!(value instanceof Tensor))
      throw new ArgumentTypeError(`[grad] assigned grad expected to be a Tensor or null, got ${shown(value)}`);
    if (value === this) throw new RuntimeError("[grad] can't assign a tensor as its own grad");
    if (!sameShape(value.shape, this.shape))
      throw new RuntimeError(
        `attempting to assign a gradient of size '${formatShape(value.shape)}' to a tensor of size '${formatShape(this.shape)}'. Please ensure that the gradient and the tensor are the same size`,
      );
    if (value.dtype !== this.dtype)
      throw new RuntimeError(
        `attempting to assign a gradient with dtype '${value.dtype}' to a tensor with dtype '${this.dtype}'. The gradient must match the tensor's dtype`,
      );
    if (value.device !== this.device)
      throw new RuntimeError(
        `attempting to assign a gradient with device type '${value.device}' to a tensor with device type '${this.device}'. Please ensure that the gradient and the tensor are on the same device`,
      );
    if (value.backend !== this.backend)
      throw new RuntimeError(
        `[grad] attempting to assign a gradient on the engine ${value.backend.name} to a tensor on ${this.backend.name}`,
      );
  }

  /**
   * `grad`, for callers that do not keep it: the engine, optimizers.
   * @internal
   */
  peekGrad(): Tensor | null {
    return this.gradient;
  }
  /**
   * Sets a gradient that nobody else holds.
   * @internal
   */
  adoptGrad(gradient: Tensor): void {
    this.gradient = gradient;
    this.isGradientHeld = false;
  }
  /**
   * Sets `grad` to null. If nobody has read it, its memory is released at once.
   * @internal
   */
  dropGrad(): void {
    if (!this.isGradientHeld && this.gradient && !this.gradient.requiresGrad) this.gradient.storage.release();
    this.gradient = null;
  }

  /** The number of dimensions (PyTorch: `Tensor.dim`). */
  get rank(): number {
    return this.shape.length;
  }

  /** The number of elements (PyTorch: `Tensor.numel`). */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** Where the tensor lives: `'cpu'`, or `'meta'`, where it has no values and no memory. */
  get device(): Device {
    return this.storage.backend.device;
  }

  /**
   * The backend that computes operations on this tensor.
   * @internal
   */
  get backend(): Backend {
    return this.storage.backend;
  }

  /** How often the storage was changed in place (PyTorch: `_version`). */
  get version(): number {
    return this.storage.version;
  }

  /**
   * Whether no recorded operation made this tensor. Only leaves collect gradients by themselves (PyTorch:
   * `Tensor.is_leaf`).
   */
  get isLeaf(): boolean {
    return this.gradFn === null;
  }

  /**
   * Whether gradients are computed for this tensor (PyTorch: `Tensor.requires_grad`). It can be set on leaves only.
   * @throws RuntimeError where it is set to true on integers or booleans, or to false on what an operation made.
   */
  get requiresGrad(): boolean {
    return this.requiresGradFlag || this.gradFn !== null;
  }

  set requiresGrad(value: boolean) {
    if (this.gradFn !== null) {
      if (value) return;
      throw new RuntimeError(
        "you can only change requiresGrad of leaf tensors. If you want to use a computed tensor in a subgraph that doesn't require differentiation use x.detach().",
      );
    }
    if (value && !isFloat(this.dtype))
      throw new RuntimeError('only Tensors of floating point dtype can require gradients');
    this.requiresGradFlag = value;
  }

  /** Sets `requiresGrad`, by default to true, and returns the tensor (PyTorch: `Tensor.requires_grad_`). */
  requiresGrad_(value = true): this {
    this.requiresGrad = value;
    return this;
  }

  // What launches need of an operand (device/operand.ts).
  /**
   * Computes the values, if they are deferred.
   * @internal
   */
  materialize(): void {
    this.storage.materialize();
  }
  /**
   * The address of the values, valid during the present kernel call.
   * @internal
   */
  pin(): Pointer {
    this.requireSound();
    return this.storage.pin();
  }
  /** Checks shape and dtype against the memory: JavaScript cannot prevent that somebody overwrites them. */
  private requireSound(): void {
    if (sizeOf(this.shape) * dtypes[this.dtype].size === this.storage.byteLength) return;
    throw new RuntimeError(
      `[Tensor] shape ${formatShape(this.shape)} of ${this.dtype} does not fit the ${this.storage.byteLength} bytes of this tensor: shape and dtype cannot be assigned; use reshape and to`,
    );
  }
  /**
   * The dtype as kernels know it.
   * @internal
   */
  get code(): number {
    return dtypes[this.dtype].code;
  }
  /**
   * Bytes of an element.
   * @internal
   */
  get itemSize(): number {
    return dtypes[this.dtype].size;
  }
  /**
   * The memory format as kernels know it.
   * @internal
   */
  get formatCode(): number {
    return this.memoryFormat === 'channelsLast' ? Format.channelsLast : Format.contiguous;
  }
  /**
   * For each dimension, the elements from one index to the next.
   * @internal
   */
  get strides(): number[] {
    return stridesOf(this.shape, this.memoryFormat);
  }

  /**
   * A copy of the values in row-major order; int64 as BigInt64Array, bool as 0 and 1. On every device that has values,
   * also those that only answer later.
   * @throws NotImplementedError on the meta device, whose tensors have no values.
   */
  async data(): Promise<TypedArray> {
    requireReadable('data', this);
    return this.dataSync();
  }

  /**
   * As `data()`, at once: for devices whose memory is the CPU's.
   * @throws NotImplementedError on the meta device, whose tensors have no values.
   */
  dataSync(): TypedArray {
    requireReadable('dataSync', this);
    this.requireSound();
    const { array } = dtypes[this.dtype];
    const rowMajor = this.memoryFormat === 'contiguous' ? this : copyStrided(this, 'contiguous');
    // slice() makes the copy that also aligns the bytes for the wider types.
    const bytes = rowMajor.storage.bytes().slice();
    if (rowMajor !== this) rowMajor.storage.release();
    return new array(bytes.buffer, 0, this.size);
  }

  /**
   * The only value of a one-element tensor; bool as 0 or 1 (PyTorch: `Tensor.item`).
   * @throws RuntimeError on more or fewer elements; ValueError on an int64 value beyond 2^53, which `dataSync()` gives
   * as a bigint.
   */
  item(): number {
    if (this.size !== 1) throw new RuntimeError(`a Tensor with ${this.size} elements cannot be converted to Scalar`);
    requireReadable('item', this);
    return toNumber(this.dataSync()[0]);
  }

  /**
   * The values as nested arrays of numbers, bool as booleans; a plain value for rank 0 (PyTorch: `Tensor.tolist`).
   * @throws ValueError on an int64 value beyond 2^53.
   */
  toArray(): NestedArray {
    requireReadable('toArray', this);
    const flat = this.dataSync();
    let next = 0;
    const build = (dim: number): NestedArray => {
      if (dim === this.rank) {
        const value = toNumber(flat[next++]);
        return this.dtype === 'bool' ? value !== 0 : value;
      }
      return Array.from({ length: this.shape[dim] }, () => build(dim + 1));
    };
    return build(0);
  }

  /**
   * What `JSON.stringify` makes of a tensor: its dtype and shape, and the values in row-major order. What JSON has no
   * number for is a string: 'NaN', 'Infinity', '-Infinity', '-0', and int64 values beyond 2^53. `tensorFromJSON` reads
   * it, bit for bit. `structuredClone` and `postMessage` cannot carry a tensor (DataCloneError), but they carry this.
   */
  toJSON(): TensorJSON {
    const data = Array.from(this.dataSync() as ArrayLike<number | bigint>, (value) => {
      if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
      if (Object.is(value, -0)) return '-0';
      return Number.isFinite(value) ? value : String(value);
    });
    return { dtype: this.dtype, shape: this.shape, data };
  }

  /** The values as PyTorch prints them. */
  toString(): string {
    return formatTensor(this);
  }

  /**
   * What `console.log` shows in Node: `toString()`.
   * @internal
   */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  /**
   * The size of the first dimension (PyTorch: `len(x)`).
   * @throws IndexError on a tensor of rank 0.
   */
  get length(): number {
    if (this.rank === 0) throw new IndexError('len() of a 0-d tensor');
    return this.shape[0];
  }
}

/** Refuses tensors without values where an operation reads them. */
export function requireReadable(op: string, x: Tensor): void {
  if (x.device === 'meta')
    throw new NotImplementedError(
      `[${op}] a tensor on the meta device has no values: Cannot copy out of meta tensor; no data!`,
    );
}

/** The same where the values decide the shape of the result. */
export function requireKnownShape(op: string, x: Tensor): void {
  if (x.device === 'meta')
    throw new NotImplementedError(
      `[${op}] the shape of the result depends on the values of a tensor on the meta device, which has none`,
    );
}

export function toNumber(value: number | bigint): number {
  if (typeof value === 'number') return value;
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new ValueError(`[item] ${value} does not fit a number exactly; read dataSync(), which gives BigInt64Array`);
  return number;
}

/** The number of elements of a new tensor. @throws where kernels cannot count them. */
function countOf(shape: Shape): number {
  const count = sizeOf(shape);
  if (count > maxElements || count === 0) requireCountable(shape);
  return count;
}

/** A new tensor whose memory is not initialised: for outputs that a kernel writes in full. */
export function allocate(
  shape: Shape,
  dtype: DType,
  format: MemoryFormat = 'contiguous',
  backend: Backend = currentBackend(),
): Tensor {
  const memoryFormat = shape.length < 3 ? 'contiguous' : format;
  return new Tensor(shape, dtype, memoryFormat, new Storage(countOf(shape) * dtypes[dtype].size, backend));
}

/** Another tensor on the same memory, without history. */
export const aliasOf = (x: Tensor): Tensor => new Tensor(x.shape, x.dtype, x.memoryFormat, x.storage);

/** A tensor of the same memory under another shape. Only for tensors in row-major order. */
export function viewAs(x: Tensor, shape: Shape): Tensor {
  return new Tensor(shape, x.dtype, 'contiguous', x.storage);
}

/**
 * Lets a tensor outlive the scope that it was made in: a step of a loader, `fit`, or `scope()`. Returns it.
 * @example
 * let total = zeros([]);
 * scope(() => {
 *   total = keep(x.sum());
 * });
 * console.log(total.item());
 */
export function keep(tensor: Tensor): Tensor {
  keepStorage(tensor.storage);
  return tensor;
}

/** A dense copy of x in the given format. */
export function copyStrided(x: Tensor, format: MemoryFormat): Tensor {
  const out = allocate(x.shape, x.dtype, format, x.backend);
  copyElements('contiguous', x, out);
  return out;
}
/** Copies the elements of x to those of another tensor of its shape and dtype. */
export function copyElements(op: string, x: Tensor, out: Tensor): void {
  const order = physicalOrder(x.rank, out.memoryFormat);
  const pick = (values: readonly number[]) => order.map((d) => values[d]);
  const strides = { xStrides: pick(x.strides), outStrides: pick(out.strides) };
  x.backend.launch.copyStrided(op, { x, out, shape: pick(x.shape), ...strides });
}
