// Where bytes come from: memory, a file, a Blob, a URL. All of them are read in ranges, so that nobody loads more than
// he asked for. Not here: what the bytes mean.
import { shown } from '../checks.ts';
import { ArgumentTypeError } from '../errors.ts';
import { FileFormatError, FileReadError } from './errors.ts';

/** Bytes that can be read in ranges. Users may bring their own: a database, an archive, a peer. */
export interface ByteSource {
  /** What errors call it. */
  readonly name: string;
  /** How many bytes there are. */
  readonly size: number;
  /** The bytes from `start` up to `end`, which are within `size`; nobody writes into them. */
  read(start: number, end: number): Promise<Uint8Array>;
  /** As `read`, at once and into memory that is there: for what needs no waiting. */
  readInto?(target: Uint8Array, start: number): void;
  /** Fetches everything, where single reads are slow and most of it will be read. */
  prefetch?(): Promise<void>;
  /** Gives back what it holds open. */
  close?(): void | Promise<void>;
}

/** A path or URL, bytes in memory, a Blob or File, a response of `fetch`, or a source of one's own. */
export type FileSource = string | URL | ArrayBuffer | ArrayBufferView | Blob | Response | ByteSource;

/** Large reads are done in pieces of so many bytes, between which others have their turn. */
const pieceBytes = 16 * 1024 ** 2;

/** Bytes in memory. */
export class MemorySource implements ByteSource {
  readonly name: string;
  readonly size: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, name: string) {
    this.bytes = bytes;
    this.name = name;
    this.size = bytes.length;
  }
  async read(start: number, end: number): Promise<Uint8Array> {
    return this.bytes.subarray(start, end);
  }
  readInto(target: Uint8Array, start: number): void {
    target.set(this.bytes.subarray(start, start + target.length));
  }
}

/** A part of another source, counted from 0. */
export class WindowSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  /** Where it begins in the source. */
  readonly start: number;
  private readonly source: ByteSource;
  readonly readInto?: (target: Uint8Array, start: number) => void;

  constructor(source: ByteSource, start: number, end: number) {
    this.name = source.name;
    this.size = end - start;
    this.start = start;
    this.source = source;
    if (source.readInto) this.readInto = (target, from) => source.readInto!(target, start + from);
  }
  read(start: number, end: number): Promise<Uint8Array> {
    return this.source.read(this.start + start, this.start + end);
  }
}

class BlobSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  private readonly blob: Blob;

  constructor(blob: Blob, name: string) {
    this.blob = blob;
    this.name = name;
    this.size = blob.size;
  }
  async read(start: number, end: number): Promise<Uint8Array> {
    return new Uint8Array(await this.blob.slice(start, end).arrayBuffer());
  }
}

type NodeFs = typeof import('node:fs');
/** Node's files, where there is Node. Not an import: bundles for browsers must not contain `node:fs`. */
const nodeFs = (): NodeFs | undefined => globalThis.process?.getBuiltinModule?.('node:fs');

class DiskSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  private readonly fs: NodeFs;
  private readonly handle: number;
  private isOpen = true;

  constructor(operation: string, fs: NodeFs, path: string) {
    this.name = path;
    this.fs = fs;
    try {
      this.handle = fs.openSync(path, 'r');
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const reason = code === 'ENOENT' ? 'there is no such file' : message;
      throw new FileReadError(operation, path, reason, code, { cause });
    }
    const stat = fs.fstatSync(this.handle);
    this.size = stat.size;
    if (!stat.isFile()) {
      this.close();
      throw new FileReadError(operation, path, 'expected a file, got a folder or a device', 'EISDIR');
    }
  }
  readInto(target: Uint8Array, start: number): void {
    if (!this.isOpen) throw new FileReadError('read', this.name, 'the file was closed');
    for (let done = 0; done < target.length; ) {
      const count = this.fs.readSync(this.handle, target, done, target.length - done, start + done);
      if (count === 0) throw new FileFormatError('read', this.name, 'the file became shorter meanwhile', start + done);
      done += count;
    }
  }
  async read(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    this.readInto(bytes, start);
    return bytes;
  }
  close(): void {
    if (this.isOpen) this.fs.closeSync(this.handle);
    this.isOpen = false;
  }
}

/** A URL whose server answers ranges. */
class UrlSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  private readonly operation: string;
  /** What is here already: the beginning, or everything. */
  private first: Uint8Array;
  private readonly tag: string | null;

  constructor(operation: string, url: string, size: number, first: Uint8Array, tag: string | null) {
    this.operation = operation;
    this.name = url;
    this.size = size;
    this.first = first;
    this.tag = tag;
  }
  async read(start: number, end: number): Promise<Uint8Array> {
    if (end <= this.first.length || start >= end) return this.first.subarray(start, end);
    const response = await get(this.operation, this.name, start, end);
    if (response.status !== 206 || sizeInRange(response) !== this.size || response.headers.get('etag') !== this.tag)
      throw new FileReadError(this.operation, this.name, 'the file behind the URL changed while it was read');
    const bytes = await bodyOf(this.operation, this.name, response);
    if (bytes.length !== end - start)
      throw new FileReadError(this.operation, this.name, `expected ${end - start} bytes, got ${bytes.length}`);
    return bytes;
  }
  async prefetch(): Promise<void> {
    this.first = await this.read(0, this.size);
  }
}

const sizeInRange = (response: Response): number =>
  Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]);

/** What fetch throws says little; its cause says why. */
function requestError(operation: string, url: string, thrown: unknown): FileReadError {
  const { message, cause } = thrown as Error;
  const { message: why, code } = (cause ?? {}) as NodeJS.ErrnoException;
  const reason = `the request failed: ${message}${why ? ` (${why})` : ''}`;
  return new FileReadError(operation, url, reason, code, { cause: thrown });
}

/** What a response holds; a connection may end in the middle of it. */
async function bodyOf(operation: string, url: string, response: Response): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (thrown) {
    throw requestError(operation, url, thrown);
  }
}

async function get(operation: string, url: string, start: number, end: number): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { headers: { Range: `bytes=${start}-${end - 1}` } });
  } catch (cause) {
    throw requestError(operation, url, cause);
  }
  // 416: an empty file has no range at all.
  if (!response.ok && response.status !== 416)
    throw new FileReadError(
      operation,
      url,
      `the server answered ${response.status} ${response.statusText}`,
      String(response.status),
    );
  return response;
}

/** As much as the tables at the beginning of most files take. */
const firstBytes = 64 * 1024;

async function openUrl(operation: string, url: string): Promise<ByteSource> {
  const response = await get(operation, url, 0, firstBytes);
  const bytes = await bodyOf(operation, url, response);
  if (response.status === 416) return new MemorySource(new Uint8Array(0), url);
  // A server without ranges sends everything.
  if (response.status !== 206) return new MemorySource(bytes, url);
  const size = sizeInRange(response);
  if (!Number.isSafeInteger(size) || bytes.length !== Math.min(firstBytes, size))
    throw new FileReadError(operation, url, 'the server does not say how long the file is');
  return new UrlSource(operation, url, size, bytes, response.headers.get('etag'));
}

const isSource = (value: object): value is ByteSource =>
  'read' in value && typeof value.read === 'function' && 'size' in value && typeof value.size === 'number';

/** Whether a text is a URL rather than a path; a letter and a colon are a drive. */
export const isUrl = (text: string): boolean => /^[a-z][a-z\d+.-]+:\/\/|^(blob|data):/i.test(text);

/**
 * Opens whatever a user may give as a file.
 * @throws ArgumentTypeError on anything else; FileReadError where it cannot be opened.
 */
export async function openSource(operation: string, given: FileSource): Promise<ByteSource> {
  if (typeof given === 'string' || given instanceof URL) {
    const text = String(given);
    const fs = nodeFs();
    if (text.startsWith('file:') && fs) {
      const { fileURLToPath } = globalThis.process.getBuiltinModule('node:url');
      return new DiskSource(operation, fs, fileURLToPath(text));
    }
    return fs && !isUrl(text) ? new DiskSource(operation, fs, text) : openUrl(operation, text);
  }
  if (given instanceof ArrayBuffer) return new MemorySource(new Uint8Array(given), 'the given bytes');
  if (ArrayBuffer.isView(given))
    return new MemorySource(new Uint8Array(given.buffer, given.byteOffset, given.byteLength), 'the given bytes');
  if (typeof Blob !== 'undefined' && given instanceof Blob)
    return new BlobSource(given, (given as { name?: string }).name ?? 'the given Blob');
  if (typeof Response !== 'undefined' && given instanceof Response) {
    if (!given.ok)
      throw new FileReadError(
        operation,
        given.url,
        `the server answered ${given.status} ${given.statusText}`,
        String(given.status),
      );
    const name = given.url || 'the given Response';
    return new MemorySource(await bodyOf(operation, name, given), name);
  }
  if (typeof given === 'object' && given !== null && isSource(given)) return given;
  throw new ArgumentTypeError(
    `[${operation}] expected a path, URL, ArrayBuffer, typed array, Blob, Response or ByteSource, got ${shown(given)}`,
  );
}

/** Lets others have their turn. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/**
 * Reads bytes from `start` on into memory, in pieces.
 * @param target asked for anew for each piece: memory may move meanwhile.
 */
export async function fill(source: ByteSource, target: () => Uint8Array, start: number, length: number): Promise<void> {
  for (let done = 0; done < length; done += pieceBytes) {
    const count = Math.min(pieceBytes, length - done);
    if (source.readInto) source.readInto(target().subarray(done, done + count), start + done);
    else {
      const piece = await source.read(start + done, start + done + count);
      target().set(piece, done);
    }
    if (done + count < length && source.readInto) await turn();
  }
}

/** All bytes of a source, in pieces. */
export async function* pieces(source: ByteSource): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < source.size; start += pieceBytes)
    yield await source.read(start, Math.min(start + pieceBytes, source.size));
}
