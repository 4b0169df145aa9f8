// The typed errors of files. What is wrong with a file names the file and, where there is one, the byte.
import { keepNames } from '../class_names.ts';
import { EvenkeelError } from '../errors.ts';

/** A file that is truncated, corrupt, unsafe, or holds what cannot be read without losing something. */
export class FileFormatError extends EvenkeelError {
  override name = 'FileFormatError';
  /** The file, as it was given. */
  readonly source: string;
  /** What is wrong with it. */
  readonly reason: string;
  /** The first byte that is wrong, counted from the file's beginning; null where no single place is to blame. */
  readonly offset: number | null;

  constructor(operation: string, source: string, reason: string, offset: number | null = null, options?: ErrorOptions) {
    super(`[${operation}] ${source}: ${reason}${offset === null ? '' : ` (at byte ${offset})`}`, options);
    this.source = source;
    this.reason = reason;
    this.offset = offset;
  }
}

/**
 * A file that cannot be opened or read at all. `code` is the system's, such as `ENOENT`, or the status of an HTTP
 * response.
 */
export class FileReadError extends EvenkeelError {
  override name = 'FileReadError';
  /** The file, as it was given. */
  readonly source: string;
  /** The system's code, such as `ENOENT`, or the status of an HTTP response. */
  readonly code: string | undefined;

  constructor(operation: string, source: string, reason: string, code?: string, options?: ErrorOptions) {
    super(`[${operation}] ${source}: ${reason}`, options);
    this.source = source;
    this.code = code;
  }
}

/** Makes the error of one operation on one file. */
export type Fail = (reason: string, offset?: number | null, cause?: unknown) => FileFormatError;

export const failing =
  (operation: string, source: string): Fail =>
  (reason, offset = null, cause) =>
    new FileFormatError(operation, source, reason, offset, cause === undefined ? undefined : { cause });

keepNames({ FileFormatError, FileReadError });
