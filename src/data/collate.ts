// Makes one batch of many samples, field by field, as PyTorch's default_collate does; and walks such batches.
// Reading samples and turning arrays into tensors happen elsewhere (data_loader.ts).

import { Tensor } from '../tensor/tensor.ts';
import { SampleMismatchError } from './errors.ts';
import {
  type ArraySample,
  isArraySample,
  isTypedArray,
  stackSamples,
  type TypedArray,
  toArraySample,
} from './sample.ts';

/** The type of a batch of samples of type T. */
export type Collated<T> = T extends Tensor
  ? ArraySample
  : T extends ArraySample<infer D>
    ? ArraySample<D>
    : T extends TypedArray
      ? ArraySample<T>
      : T extends number
        ? ArraySample<BigInt64Array | Float64Array>
        : T extends bigint
          ? ArraySample<BigInt64Array>
          : T extends boolean
            ? ArraySample<Uint8Array>
            : T extends string
              ? string[]
              : T extends object
                ? { -readonly [K in keyof T]: Collated<T[K]> }
                : never;

/**
 * One batch of the given samples, each field stacked along a new first dimension.
 *
 * Arrays stack with equal shape and type (a bare typed array counts as one-dimensional); lists collate per position and
 * objects per key; strings become a list. Numbers become int64 (BigInt64Array) if all of the batch are integers,
 * float64 otherwise, bigints int64, booleans bytes 0 and 1. Throws SampleMismatchError, naming both shapes, where
 * samples differ. Source: `torch.utils.data.default_collate`.
 */
export function defaultCollate<T>(samples: readonly T[]): Collated<T> {
  if (samples.length === 0) throw new SampleMismatchError('[defaultCollate] expected at least one sample, got none');
  return collateField(samples, '') as Collated<T>;
}

// `path` is where in the sample we are, for messages: '' or '.image' or '[1]'.
function collateField(values: readonly unknown[], path: string): unknown {
  const where = `defaultCollate${path && ` sample${path}`}`;
  const first = values[0];
  const kind = kindOf(first);
  const odd = values.findIndex((value) => kindOf(value) !== kind);
  if (odd >= 0) {
    throw new SampleMismatchError(
      `[${where}] expected samples of one kind, but got ${kind} at entry 0 and ${kindOf(values[odd])} at entry ${odd}`,
    );
  }
  switch (kind) {
    case 'array with shape':
      return stackSamples((values as (ArraySample | Tensor)[]).map(toArraySample), where);
    case 'typed array':
      return stackSamples(
        (values as TypedArray[]).map((data) => ({ data, shape: [data.length] })),
        where,
      );
    case 'number':
      return collateNumbers(values as number[]);
    case 'bigint':
      return { data: BigInt64Array.from(values as bigint[]), shape: [values.length] };
    case 'boolean':
      return { data: Uint8Array.from(values as boolean[], Number), shape: [values.length] };
    case 'string':
      return [...values];
    case 'list':
      return collateLists(values as unknown[][], path, where);
    case 'object':
      return collateObjects(values as Record<string, unknown>[], path, where);
    default:
      throw new SampleMismatchError(
        `[${where}] batch must contain arrays, numbers, bigints, booleans, strings, objects or lists; found ${kind}`,
      );
  }
}

function kindOf(value: unknown): string {
  if (value instanceof Tensor || isArraySample(value)) return 'array with shape';
  if (isTypedArray(value)) return 'typed array';
  if (Array.isArray(value)) return 'list';
  if (value === null) return 'null';
  return typeof value;
}

function collateNumbers(values: readonly number[]): ArraySample {
  const shape = [values.length];
  // PyTorch tells int from float by type; JavaScript has only the value to go by.
  if (values.every(Number.isSafeInteger)) return { data: BigInt64Array.from(values, BigInt), shape };
  return { data: Float64Array.from(values), shape };
}

function collateLists(values: readonly unknown[][], path: string, where: string): unknown[] {
  const first = values[0]!;
  const odd = values.findIndex((value) => value.length !== first.length);
  if (odd >= 0) {
    throw new SampleMismatchError(
      `[${where}] each element in list of batch should be of equal size, but got ${first.length} at entry 0 ` +
        `and ${values[odd]!.length} at entry ${odd}`,
    );
  }
  return first.map((_, position) =>
    collateField(
      values.map((value) => value[position]),
      `${path}[${position}]`,
    ),
  );
}

function collateObjects(
  values: readonly Record<string, unknown>[],
  path: string,
  where: string,
): Record<string, unknown> {
  const batch: Record<string, unknown> = {};
  for (const key of Object.keys(values[0]!)) {
    const odd = values.findIndex((value) => !Object.hasOwn(value, key));
    if (odd >= 0)
      throw new SampleMismatchError(`[${where}] expected a field '${key}' in each sample, entry ${odd} has none`);
    batch[key] = collateField(
      values.map((value) => value[key]),
      `${path}.${key}`,
    );
  }
  return batch;
}

/** A copy of a batch with every array in it replaced by `change(array)`; strings and other leaves stay. */
export function mapArrays(batch: unknown, change: (array: ArraySample) => unknown): unknown {
  return mapLeaves(batch, (leaf) => {
    if (isArraySample(leaf)) return change(leaf);
    return isTypedArray(leaf) ? change({ data: leaf, shape: [leaf.length] }) : leaf;
  });
}

/** A copy of a batch with arrays in the place of tensors, which cannot be sent to another thread. */
export const withoutTensors = (batch: unknown): unknown =>
  mapLeaves(batch, (leaf) => (leaf instanceof Tensor ? toArraySample(leaf) : leaf));

function mapLeaves(batch: unknown, change: (leaf: unknown) => unknown): unknown {
  if (Array.isArray(batch)) return batch.map((item) => mapLeaves(item, change));
  const isTree = typeof batch === 'object' && batch !== null && Object.getPrototypeOf(batch) === Object.prototype;
  if (!isTree || isArraySample(batch)) return change(batch);
  return Object.fromEntries(Object.entries(batch).map(([key, value]) => [key, mapLeaves(value, change)]));
}
