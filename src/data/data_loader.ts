// The loader that users see: batches as tensors, one step scope per batch. What is in a batch, and in which order, is
// decided in array_loader.ts.
import { openScope, outsideScopes } from '../tensor/storage.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { ArrayLoader } from './array_loader.ts';
import { type Collated, mapArrays } from './collate.ts';
import { type ArraySample, toTensor } from './sample.ts';

/** A collated batch with tensors in the place of arrays. */
export type TensorBatch<C> = C extends ArraySample
  ? Tensor
  : C extends string[]
    ? C
    : C extends object
      ? { [K in keyof C]: TensorBatch<C[K]> }
      : C;

/**
 * Iterates over batches of a dataset as tensors: `for (const [x, y] of loader)`, or `for await` with workers and
 * asynchronous datasets.
 *
 * Each iteration of the loop is a step scope: memory of tensors made in its body is recycled when the next batch is
 * asked for. The batches themselves, gradients and optimizer states live on; `keep(tensor)` makes others do so. Leaving
 * the loop early ends workers. Order and random draws are PyTorch's. Throws DataArgumentError for options that exclude
 * each other. Source: `torch.utils.data.DataLoader`.
 *
 * @example
 * for (const [images, labels] of new DataLoader(dataset, { batchSize: 256, shuffle: true })) {
 *   optimizer.zeroGrad();
 *   crossEntropy(model(images), labels).backward();
 *   optimizer.step();
 * }
 */
export class DataLoader<T> extends ArrayLoader<T, TensorBatch<Collated<T>>> {
  /**
   * Starts an epoch in this thread.
   * @throws DataArgumentError where batches can only arrive asynchronously.
   */
  override [Symbol.iterator](): IterableIterator<TensorBatch<Collated<T>>> {
    return scoped(super[Symbol.iterator]());
  }

  /** Starts an epoch whose batches are awaited. */
  override [Symbol.asyncIterator](): AsyncIterableIterator<TensorBatch<Collated<T>>> {
    return asyncScoped(super[Symbol.asyncIterator]());
  }

  /** @internal */
  protected override convert(batch: unknown): TensorBatch<Collated<T>> {
    return outsideScopes(() => mapArrays(batch, toTensor)) as TensorBatch<Collated<T>>;
  }
}

function* scoped<B>(batches: Iterable<B>): IterableIterator<B> {
  for (const batch of batches) {
    const close = openScope();
    try {
      yield batch;
    } finally {
      close();
    }
  }
}

async function* asyncScoped<B>(batches: AsyncIterable<B>): AsyncIterableIterator<B> {
  for await (const batch of batches) {
    const close = openScope();
    try {
      yield batch;
    } finally {
      close();
    }
  }
}
