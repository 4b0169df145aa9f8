// Replaces a file completely or not at all, also across a crash or a full disk. Used for caches, checkpoints and
// reports. Knows nothing about what is in the file. Node only; lives below data/, io/ and train/, which need it.

import { EvenkeelError } from '../errors.ts';
import { declareOptions, kind } from '../options.ts';
import { nodeModule } from './node.ts';
import { codeOf, host, isRunning } from './processes.ts';

/** The calls of Node.js's `fs` that writing needs; tests inject failures through it. */
export interface WriteFs {
  openSync(path: string, flags: string): number;
  writeSync(file: number, bytes: Uint8Array, offset: number, length: number): number;
  fsyncSync(file: number): void;
  fdatasync?(file: number, done: (error: Error | null) => void): void;
  closeSync(file: number): void;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { force: boolean }): void;
  linkSync(from: string, to: string): void;
  copyFileSync(from: string, to: string): void;
}

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
    const code = codeOf(cause);
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
    this.code = codeOf(cause);
  }
}

/** Makes a folder and those above it, where they are missing; throws FolderError. */
export function makeFolder(path: string): void {
  const { mkdirSync } = nodeModule('makeFolder', 'fs');
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new FolderError(path, cause);
  }
}

let counter = 0;

/** Where this process runs, in few letters: FNV-1a, 32 bits. */
let place: string | null = null;
function placeOf(): string {
  if (place === null) {
    let hash = 0x811c9dc5;
    for (const letter of host()) hash = Math.imul(hash ^ letter.codePointAt(0)!, 0x01000193);
    place = (hash >>> 0).toString(16);
  }
  return place;
}

/** A file beside `path` for bytes on their way there. It names the process that writes it, and where that runs. */
export function temporaryOf(path: string, pid = process.pid): string {
  const { basename, dirname, join } = nodeModule('writeFileAtomic', 'path');
  return join(dirname(path), `.${basename(path)}.${pid}.${placeOf()}.${counter++}.tmp`);
}

/** Processes elsewhere, which cannot be seen, touch what they write much more often. In ms. */
const goneAfter = 3_600_000;

/** Removes the temporary files that killed processes have left on their way to `path` and the file before it. */
function removeLeftovers(path: string): void {
  const { readdirSync, rmSync, statSync } = nodeModule('writeFileAtomic', 'fs');
  const { basename, dirname, join } = nodeModule('writeFileAtomic', 'path');
  let names: string[] = [];
  try {
    names = readdirSync(dirname(path));
  } catch {
    // No folder, no files.
  }
  const targets = [basename(path), `${basename(path)}.previous`];
  for (const name of names) {
    const [, of, pid, where] = /^\.(.*)\.(\d+)\.([\da-f]+)\.\d+\.tmp$/s.exec(name) ?? [];
    if (!targets.includes(of)) continue;
    const left = join(dirname(path), name);
    try {
      const isWritten = where === placeOf() ? isRunning(Number(pid)) : Date.now() - statSync(left).mtimeMs < goneAfter;
      if (!isWritten) rmSync(left, { force: true });
    } catch {
      // It is in nobody's way.
    }
  }
}

/**
 * Writes `bytes` to `path` so that a reader, or a machine that crashes, sees the old file or the new one, never a part.
 *
 * The bytes go to a temporary file in the same folder, are flushed to the disk and renamed over `path`; then the folder
 * is flushed. On failure the temporary file is removed and AtomicWriteError thrown; that of a process that was killed
 * is removed by the next that writes there.
 */
export function writeFileAtomic(
  path: string,
  bytes: Uint8Array | readonly Uint8Array[],
  options: AtomicWriteOptions = {},
): void {
  const file = new AtomicFile(path, options);
  for (const part of bytes instanceof Uint8Array ? [bytes] : bytes) file.write(part);
  file.commit();
}

/**
 * `writeFileAtomic` for bytes that come piece by piece: nothing stands at the path before `commit`. What goes wrong
 * removes the temporary file.
 */
export class AtomicFile {
  private readonly path: string;
  private readonly options: AtomicWriteOptions;
  private readonly fs: WriteFs;
  private readonly temporary: string;
  private file: number | null = null;
  private readonly flushes: Promise<Error | null>[] = [];

  constructor(path: string, options: AtomicWriteOptions = {}) {
    this.path = path;
    this.options = options;
    this.fs = options.fs ?? nodeModule('writeFileAtomic', 'fs');
    this.temporary = temporaryOf(path);
    // Before anything needs their room on the disk.
    removeLeftovers(path);
    this.attempt(() => {
      this.file = this.fs.openSync(this.temporary, 'wx');
    });
  }

  private attempt(action: () => void): void {
    try {
      action();
    } catch (cause) {
      this.abort();
      throw new AtomicWriteError(this.path, cause);
    }
  }
  private close(): void {
    if (this.file !== null) {
      const file = this.file;
      this.file = null;
      this.fs.closeSync(file);
    }
  }

  write(part: Uint8Array): void {
    this.attempt(() => {
      // A single write may take fewer bytes than given.
      for (let done = 0; done < part.length; ) done += this.fs.writeSync(this.file!, part, done, part.length - done);
    });
  }

  /**
   * Begins to flush what has been written so far, by another thread. `flushed` is to be awaited before `commit` and
   * `abort`.
   */
  flushBeside(): void {
    if (this.fs.fdatasync) this.flushes.push(new Promise((resolve) => this.fs.fdatasync!(this.file!, resolve)));
  }

  /** Waits for all that `flushBeside` has begun. */
  async flushed(): Promise<void> {
    const error = (await Promise.all(this.flushes.splice(0))).find((each) => each !== null);
    this.attempt(() => {
      if (error) throw error;
    });
  }

  /** Flushes the bytes to the disk and gives them their name. */
  commit(): void {
    this.attempt(() => {
      this.fs.fsyncSync(this.file!);
      this.close();
      if (this.options.keepPrevious) keepPrevious(this.fs, this.path);
      this.fs.renameSync(this.temporary, this.path);
    });
    flushFolder(this.fs, nodeModule('writeFileAtomic', 'path').dirname(this.path));
  }

  /** Gives up: the file that stood there stays. */
  abort(): void {
    try {
      this.close();
    } catch {
      // What led here is the error to report.
    }
    removeQuietly(this.fs, this.temporary);
  }
}

// The previous file keeps its name until the rename, so `path` always exists: a second name is linked, then moved into
// place.
function keepPrevious(fs: WriteFs, path: string): void {
  const previous = `${path}.previous`;
  const link = temporaryOf(previous);
  try {
    try {
      fs.linkSync(path, link);
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return;
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
