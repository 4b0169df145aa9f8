// What a loop does with a batch: which part of it the model is called with, and what its output is compared with.
import { ValueError } from '../errors.ts';
import { kind } from '../options.ts';
import { Tensor } from '../tensor/tensor.ts';

/** Batches in any order of arrival: arrays of tensors, or whatever the options `inputs` and `target` take apart. */
export type Batches<Batch = readonly Tensor[]> = Iterable<Batch> | AsyncIterable<Batch>;

/** What in a batch is what; the same for `fit`, `evaluate` and `lrFinder`. */
export interface BatchOptions<Batch = readonly Tensor[], Target = Tensor> {
  /** What the model is called with. Default: all entries of a batch but the last, or its only one. */
  inputs?: (batch: Batch) => readonly unknown[];
  /**
   * What loss and metrics compare the output with. Default: the last entry of a batch; of a batch of one entry, none.
   */
  target?: (batch: Batch) => Target;
  /** Applied to each tensor that the model is called with, such as a conversion from bytes. */
  prepare?: (input: Tensor) => Tensor;
}

export const batchKinds = { inputs: kind.function, target: kind.function, prepare: kind.function };

/** A batch, taken apart. */
export interface BatchParts {
  inputs: readonly unknown[];
  target: unknown;
  samples: number;
}

const isArray = (value: unknown): value is readonly unknown[] => Array.isArray(value);

/** The first tensor in arrays and objects within each other. */
function firstTensor(value: unknown): Tensor | null {
  if (value instanceof Tensor) return value;
  if (typeof value !== 'object' || value === null) return null;
  for (const each of Object.values(value)) {
    const found = firstTensor(each);
    if (found) return found;
  }
  return null;
}

/** A batch's parts. Its number of samples is the length of its first tensor. */
export function partsOf<Batch, Target>(op: string, batch: Batch, options: BatchOptions<Batch, Target>): BatchParts {
  if (!isArray(batch) && !(options.inputs && options.target))
    throw new ValueError(
      `[${op}] expected batches as arrays [...inputs, target], or the options inputs and target, which take others apart`,
    );
  const entries = isArray(batch) ? batch : [];
  const given = options.inputs ? options.inputs(batch) : entries.length > 1 ? entries.slice(0, -1) : entries;
  if (!isArray(given)) throw new ValueError(`[${op}] expected inputs to give an array: what the model is called with`);
  const target = options.target ? options.target(batch) : entries.length > 1 ? entries.at(-1) : undefined;
  const { prepare } = options;
  const inputs = prepare ? given.map((input) => (input instanceof Tensor ? prepare(input) : input)) : given;
  const first = firstTensor(inputs) ?? firstTensor(target);
  if (!first) throw new ValueError(`[${op}] expected tensors in a batch, got none`);
  return { inputs, target, samples: first.shape[0] ?? 1 };
}
