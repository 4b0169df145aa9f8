// The shape of data before it becomes tensors: typed arrays with a shape, and the few row operations on them.
// Arrays turn into tensors in the loader (data_loader.ts) and in transforms.

import { IndexError } from '../errors.ts';
import { fromTypedArray } from '../tensor/create.ts';
import { Tensor } from '../tensor/tensor.ts';
import { DataArgumentError, SampleMismatchError } from './errors.ts';

/** Element storage of a sample. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array;

/** Element storage of a sample that a tensor can hold as it is. */
export type TensorArray = ReturnType<Tensor['dataSync']>;

/** A dense row-major array: `data.length` is the product of `shape`. */
export type ArraySample<T extends TypedArray = TypedArray> = {
  /** The elements in row-major order. */
  data: T;
  /** The size of each dimension. */
  shape: number[];
};

/** Whether a value is a typed array. */
export function isTypedArray(value: unknown): value is TypedArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** Whether a value is an ArraySample. */
export function isArraySample(value: unknown): value is ArraySample {
  return typeof value === 'object' && value !== null && 'data' in value && 'shape' in value && isTypedArray(value.data);
}

/** A tensor's values as an array. */
export function arrayOf(tensor: Tensor): ArraySample<TensorArray> {
  return { data: tensor.dataSync(), shape: [...tensor.shape] };
}

/** A tensor's values as an array; an array as it is. */
export function toArraySample<T extends TypedArray>(value: ArraySample<T> | Tensor): ArraySample {
  return value instanceof Tensor ? arrayOf(value) : value;
}

/** An array as a tensor; element types that tensors do not have become the next wider one. */
export function toTensor({ data, shape }: ArraySample): Tensor {
  if (data instanceof Int8Array || data instanceof Int16Array || data instanceof Uint16Array)
    return fromTypedArray(Int32Array.from(data), shape);
  if (data instanceof Uint32Array) return fromTypedArray(BigInt64Array.from(data, BigInt), shape);
  if (
    !(
      data instanceof Float32Array ||
      data instanceof Float64Array ||
      data instanceof Int32Array ||
      data instanceof BigInt64Array ||
      data instanceof Uint8Array
    )
  )
    throw new DataArgumentError(
      `[DataLoader] expected arrays of a tensor's element types, got ${(data as object).constructor.name}`,
    );
  return fromTypedArray(data, shape);
}

/** The number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** `[2, 3]` as text. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

/** A new typed array of the same kind. */
export function emptyLike<T extends TypedArray>(data: T, length: number): T {
  return new (data.constructor as new (length: number) => T)(length);
}

/** Rows `indices` along the first dimension, copied. Source: `torch.index_select(x, 0, indices)`. */
export function gatherRows<T extends TypedArray>(sample: ArraySample<T>, indices: ArrayLike<number>): ArraySample<T> {
  const [rows = 0, ...rest] = sample.shape;
  const size = elementCount(rest);
  const data = emptyLike(sample.data, indices.length * size);
  for (let i = 0; i < indices.length; i++) {
    const row = indices[i]!;
    if (!(row >= 0 && row < rows)) {
      throw new IndexError(`[gatherRows] expected an index from 0 to ${rows - 1}, got ${row}`);
    }
    copyInto(data, sample.data, row * size, size, i * size);
  }
  return { data, shape: [indices.length, ...rest] };
}

/** One row along the first dimension, as a view of the same memory. */
export function rowOf<T extends TypedArray>(sample: ArraySample<T>, index: number): ArraySample<T> {
  const [rows = 0, ...rest] = sample.shape;
  if (!Number.isInteger(index) || index < 0 || index >= rows) {
    throw new IndexError(`[rowOf] expected an index from 0 to ${rows - 1}, got ${index}`);
  }
  const size = elementCount(rest);
  return { data: sample.data.subarray(index * size, (index + 1) * size) as T, shape: rest };
}

/**
 * Equal-shaped arrays as one array with a new first dimension. Source: `torch.stack`.
 *
 * Throws SampleMismatchError, naming both, if shapes or element types differ.
 */
export function stackSamples(samples: readonly ArraySample[], operation = 'stackSamples'): ArraySample {
  const first = samples[0];
  if (first === undefined) throw new SampleMismatchError(`[${operation}] expected at least one sample, got none`);
  const size = elementCount(first.shape);
  const data = emptyLike(first.data, samples.length * size);
  samples.forEach((sample, i) => {
    if (sample.data.constructor !== first.data.constructor) {
      throw new SampleMismatchError(
        `[${operation}] expected each sample to have the same element type, but got ` +
          `${first.data.constructor.name} at entry 0 and ${sample.data.constructor.name} at entry ${i}`,
      );
    }
    if (sample.shape.length !== first.shape.length || sample.shape.some((n, axis) => n !== first.shape[axis])) {
      // PyTorch's torch.stack text.
      throw new SampleMismatchError(
        `[${operation}] stack expects each tensor to be equal size, but got ${shapeText(first.shape)} at entry 0 ` +
          `and ${shapeText(sample.shape)} at entry ${i}`,
      );
    }
    if (sample.data.length !== size) {
      throw new SampleMismatchError(
        `[${operation}] expected ${size} elements for shape ${shapeText(sample.shape)}, got ${sample.data.length} at entry ${i}`,
      );
    }
    copyInto(data, sample.data, 0, size, i * size);
  });
  return { data, shape: [samples.length, ...first.shape] };
}

// Typed array kinds of both sides are equal here, which the type system cannot see.
function copyInto(target: TypedArray, source: TypedArray, start: number, count: number, at: number): void {
  (target as Float64Array).set((source as Float64Array).subarray(start, start + count), at);
}
