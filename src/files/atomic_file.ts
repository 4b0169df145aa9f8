// Replaces a file completely or not at all, also across a crash or a full disk. Used for caches, checkpoints and reports.
// Knows nothing about what is in the file. Node only; lives below data/ and train/, which both need it.

import nodeFs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EvenkeelError } from '../errors.ts';
import { declareOptions, kind } from '../options.ts';

/** The calls that writing needs; tests inject failures through it. */
export type WriteFs = Pick<
  typeof nodeFs,
  'openSync' | 'writeSync' | 'fsyncSync' | 'closeSync' | 'renameSync' | 'rmSync' | 'linkSync' | 'copyFileSync'
>;

/** Options of `writeFileAtomic`. */
export type AtomicWriteOptions = {
  /** Keep what the path held before as `<path>.previous`. Default false. */
  keepPrevious?: boolean;
  /**
   * File system calls to use instead of Node's.
   * @internal
   */
  fs?: WriteFs;
};
export const atomicWriteOptions = declareOptions<AtomicWriteOptions>({ keepPrevious: kind.flag, fs: kind.object });

/** A file could not be written; what stood at `path` before still does. `code` is the system's, such as `ENOSPC`. */
export class AtomicWriteError extends EvenkeelError {
  override name = 'AtomicWriteError';
  readonly path: string;
  readonly code: string | undefined;

  constructor(path: string, cause: unknown) {
    const code = (cause as NodeJS.ErrnoException | undefined)?.code;
    const reason = code === 'ENOSPC' ? 'no space left on the device (ENOSPC)' : (cause as Error).message;
    super(`[writeFileAtomic] could not write ${path}: ${reason}; the file that stood there is untouched`, { cause });
    this.path = path;
    this.code = code;
  }
}

/** A folder could not be made. `code` is the system's, such as `EACCES`. */
export class FolderError extends EvenkeelError {
  override name = 'FolderError';
  readonly path: string;
  readonly code: string | undefined;

  constructor(path: string, cause: unknown) {
    super(`[makeFolder] could not make the folder ${path}: ${(cause as Error).message}`, { cause });
    this.path = path;
    this.code = (cause as NodeJS.ErrnoException | undefined)?.code;
  }
}

/** Makes a folder and those above it, where they are missing; throws FolderError. */
export function makeFolder(path: string): void {
  try {
    nodeFs.mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new FolderError(path, cause);
  }
}

let counter = 0;

/**
 * Writes `bytes` to `path` so that a reader, or a machine that crashes, sees the old file or the new one, never a part.
 *
 * The bytes go to a temporary file in the same folder, are flushed to the disk and renamed over `path`; then the folder is
 * flushed. On failure the temporary file is removed and AtomicWriteError thrown.
 */
export function writeFileAtomic(
  path: string,
  bytes: Uint8Array | readonly Uint8Array[],
  options: AtomicWriteOptions = {},
): void {
  const fs = options.fs ?? nodeFs;
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${counter++}.tmp`);
  try {
    writeAndFlush(fs, temporary, bytes instanceof Uint8Array ? [bytes] : bytes);
    if (options.keepPrevious) keepPrevious(fs, path);
    fs.renameSync(temporary, path);
  } catch (cause) {
    removeQuietly(fs, temporary);
    throw new AtomicWriteError(path, cause);
  }
  flushFolder(fs, dirname(path));
}

function writeAndFlush(fs: WriteFs, path: string, parts: readonly Uint8Array[]): void {
  const file = fs.openSync(path, 'wx');
  try {
    for (const part of parts) {
      // A single write may take fewer bytes than given.
      for (let done = 0; done < part.length; ) done += fs.writeSync(file, part, done, part.length - done);
    }
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

// The previous file keeps its name until the rename, so `path` always exists: a second name is linked, then moved into place.
function keepPrevious(fs: WriteFs, path: string): void {
  const previous = `${path}.previous`;
  const link = join(dirname(path), `.${basename(previous)}.${process.pid}.${counter++}.tmp`);
  try {
    try {
      fs.linkSync(path, link);
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') return;
      // File systems without hard links.
      fs.copyFileSync(path, link);
    }
    fs.renameSync(link, previous);
  } catch (cause) {
    removeQuietly(fs, link);
    throw cause;
  }
}

// The error that led here is the one to report.
function removeQuietly(fs: WriteFs, path: string): void {
  try {
    fs.rmSync(path, { force: true });
  } catch {
    return;
  }
}

// Makes the rename itself durable. Some systems cannot open or flush a folder; the new file is in place all the same.
function flushFolder(fs: WriteFs, folder: string): void {
  try {
    const handle = fs.openSync(folder, 'r');
    try {
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
  } catch {
    return;
  }
}
