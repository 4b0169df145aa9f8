// Zip archives, read by their directory, so that one member costs only its own bytes. Every number is checked against
// the file's length before it is used; whatever two readers could understand differently (overlaps, two members of one
// name, names that leave the folder) is refused. Source: PKWARE's APPNOTE.TXT 6.3.10.
import { Inflate } from 'fflate';
import { crc32 } from '../files/crc32.ts';
import { type ByteSource, MemorySource, pieces, WindowSource } from './byte_source.ts';
import { type Fail, FileFormatError } from './errors.ts';

const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locatorSignature = 0x07064b50;
const directorySignature = 0x02014b50;
const localSignature = 0x04034b50;
const [stored, deflated] = [0, 8];
const encrypted = 1;

export interface ZipMember {
  readonly name: string;
  readonly method: number;
  /** null: its writer computed none. */
  readonly crc: number | null;
  readonly compressedSize: number;
  readonly size: number;
  /** Where its own header begins. */
  readonly headerStart: number;
  /** Bytes of its name. */
  readonly nameLength: number;
}

/**
 * Archives whose members grow beyond this when they are unpacked are taken for bombs: the larger of a number of bytes
 * and a multiple of the file.
 */
const mostInflated = (fileSize: number): number => Math.max(64 * 1024 ** 2, 64 * fileSize);

interface Directory {
  start: number;
  size: number;
  count: number;
}

/** Bytes that are unpacked together: they may become a thousand times as many before those can be counted. */
const inflatedAtOnce = 16384;

/** A number of 64 bits, as far as JavaScript counts. */
function count64(view: DataView, at: number, fail: Fail, offset: number): number {
  const value = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw fail(`a size of ${value} bytes is impossible`, offset);
  return value;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The end of the archive says where its directory is. */
async function findDirectory(source: ByteSource, fail: Fail): Promise<Directory> {
  const { size } = source;
  if (size < 22) throw fail(`${size} bytes are too few for a zip archive`);
  const tailStart = Math.max(0, size - 22 - 65535);
  const tail = await source.read(tailStart, size);
  const view = viewOf(tail);
  let at = tail.length - 22;
  // A comment may follow, which must end where the file does.
  while (
    at >= 0 &&
    !(view.getUint32(at, true) === endSignature && at + 22 + view.getUint16(at + 20, true) === tail.length)
  )
    at--;
  if (at < 0) throw fail('the end of the zip archive is missing: the file is truncated or damaged', size);
  const end = tailStart + at;
  let directory: Directory = {
    count: view.getUint16(at + 10, true),
    size: view.getUint32(at + 12, true),
    start: view.getUint32(at + 16, true),
  };
  let before = end;
  if (view.getUint16(at + 4, true) !== 0 || view.getUint16(at + 6, true) !== 0)
    if (view.getUint16(at + 4, true) !== 0xffff) throw fail('it is a part of an archive of several files', end);
  const isLarge = directory.count === 0xffff || directory.size === 0xffffffff || directory.start === 0xffffffff;
  if (isLarge && end >= 20 + 56) {
    const locator = viewOf(await source.read(end - 20, end));
    if (locator.getUint32(0, true) === locatorSignature) {
      const start64 = count64(locator, 8, fail, end - 20);
      if (start64 > end - 20 - 56) throw fail('its ZIP64 record lies outside the file', end - 20);
      const record = viewOf(await source.read(start64, start64 + 56));
      if (record.getUint32(0, true) !== end64Signature) throw fail('its ZIP64 record is damaged', start64);
      directory = {
        count: count64(record, 32, fail, start64),
        size: count64(record, 40, fail, start64),
        start: count64(record, 48, fail, start64),
      };
      before = start64;
    }
  }
  if (directory.start + directory.size > before)
    throw fail(`its directory of ${directory.size} bytes does not fit in front of its end`, directory.start);
  // 46 bytes and a name are the least that a member takes.
  if (directory.count > directory.size / 46)
    throw fail(`a directory of ${directory.size} bytes cannot list ${directory.count} members`, end);
  return directory;
}

/** The wide sizes of a member, from its extra fields. */
function readExtra(
  extra: Uint8Array,
  member: { size: number; compressedSize: number; headerStart: number },
  fail: Fail,
  offset: number,
): void {
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; ) {
    const id = view.getUint16(at, true);
    const end = at + 4 + view.getUint16(at + 2, true);
    if (end > extra.length) throw fail('an extra field of a member is longer than all of them', offset);
    if (id === 1) {
      let next = at + 4;
      for (const field of ['size', 'compressedSize', 'headerStart'] as const) {
        if (member[field] !== 0xffffffff) continue;
        if (next + 8 > end) throw fail('the ZIP64 field of a member is too short', offset);
        member[field] = count64(view, next, fail, offset);
        next += 8;
      }
      return;
    }
    at = end;
  }
}

/** Refuses names that would leave the folder an archive is unpacked into, or mean another one elsewhere. */
function checkName(name: string, fail: Fail, offset: number): void {
  const isUnsafe =
    name === '' ||
    /^[/\\]|^[A-Za-z]:|\0|\\/.test(name) ||
    name.split('/').some((part) => part === '..' || part === '.');
  if (isUnsafe) throw fail(`the member ${JSON.stringify(name)} has a name that leaves the archive's folder`, offset);
}

export class ZipReader {
  readonly members: ReadonlyMap<string, ZipMember>;
  private readonly source: ByteSource;
  private readonly fail: Fail;

  private constructor(source: ByteSource, members: ReadonlyMap<string, ZipMember>, fail: Fail) {
    this.source = source;
    this.members = members;
    this.fail = fail;
  }

  static async open(source: ByteSource, fail: Fail): Promise<ZipReader> {
    const directory = await findDirectory(source, fail);
    const bytes = await source.read(directory.start, directory.start + directory.size);
    const view = viewOf(bytes);
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const members = new Map<string, ZipMember>();
    let at = 0;
    for (let i = 0; i < directory.count; i++) {
      const offset = directory.start + at;
      if (at + 46 > bytes.length || view.getUint32(at, true) !== directorySignature)
        throw fail(`its directory is damaged at member ${i + 1} of ${directory.count}`, offset);
      const flags = view.getUint16(at + 8, true);
      const method = view.getUint16(at + 10, true);
      const crc = view.getUint32(at + 16, true);
      const sizes = {
        compressedSize: view.getUint32(at + 20, true),
        size: view.getUint32(at + 24, true),
        headerStart: view.getUint32(at + 42, true),
      };
      const nameLength = view.getUint16(at + 28, true);
      const nameEnd = at + 46 + nameLength;
      const extraEnd = nameEnd + view.getUint16(at + 30, true);
      const next = extraEnd + view.getUint16(at + 32, true);
      if (next > bytes.length) throw fail(`its directory is damaged at member ${i + 1} of ${directory.count}`, offset);
      let name: string;
      try {
        name = decoder.decode(bytes.subarray(at + 46, nameEnd));
      } catch (cause) {
        throw fail(`the name of member ${i + 1} is not UTF-8`, offset, cause);
      }
      checkName(name, fail, offset);
      if (members.has(name)) throw fail(`it has two members of the name ${JSON.stringify(name)}`, offset);
      readExtra(bytes.subarray(nameEnd, extraEnd), sizes, fail, offset);
      if (flags & encrypted) throw fail(`the member ${JSON.stringify(name)} is encrypted`, offset);
      if (method !== stored && method !== deflated)
        throw fail(
          `the member ${JSON.stringify(name)} is compressed by method ${method}; known are 0 (stored) and 8 (deflate)`,
          offset,
        );
      if (method === stored && sizes.size !== sizes.compressedSize)
        throw fail(
          `the stored member ${JSON.stringify(name)} has two sizes, ${sizes.size} and ${sizes.compressedSize}`,
          offset,
        );
      // Deflate needs at least one bit for 129 bytes.
      if (sizes.size > sizes.compressedSize * 1032 + 64)
        throw fail(
          `the member ${JSON.stringify(name)} cannot grow from ${sizes.compressedSize} to ${sizes.size} bytes`,
          offset,
        );
      if (sizes.headerStart + 30 + nameLength + sizes.compressedSize > directory.start)
        throw fail(`the member ${JSON.stringify(name)} reaches past the archive's directory`, offset);
      members.set(name, { name, method, crc, nameLength, ...sizes });
      at = next;
    }
    if (at !== bytes.length) throw fail(`its directory has ${bytes.length - at} bytes too many`, directory.start + at);
    // PyTorch's set_crc32_options(False) writes zeros, which one member may have by chance and all of them never.
    const hasChecksums = [...members.values()].some(({ crc }) => crc !== 0);
    if (!hasChecksums) for (const [name, member] of members) members.set(name, { ...member, crc: null });
    const ordered = [...members.values()].sort((a, b) => a.headerStart - b.headerStart);
    for (let i = 1; i < ordered.length; i++)
      if (ordered[i].headerStart < ordered[i - 1].headerStart + 30 + ordered[i - 1].compressedSize)
        throw fail(
          `the members ${JSON.stringify(ordered[i - 1].name)} and ${JSON.stringify(ordered[i].name)} overlap`,
          ordered[i].headerStart,
        );
    const grown = ordered.reduce((sum, { method, size }) => sum + (method === stored ? 0 : size), 0);
    const most = mostInflated(source.size);
    if (grown > most)
      throw fail(
        `its members grow from ${source.size} to ${grown} bytes, as in a zip bomb; the limit is ${most}: unpack it first if it is none`,
      );
    return new ZipReader(source, members, fail);
  }

  /** Where the data of a member lies, from its own header, which must agree with the directory. */
  private async dataOf(member: ZipMember): Promise<WindowSource> {
    const { headerStart, compressedSize, name, nameLength } = member;
    const nameEnd = headerStart + 30 + nameLength;
    const bytes = await this.source.read(headerStart, nameEnd);
    const header = viewOf(bytes);
    if (header.getUint32(0, true) !== localSignature)
      throw this.fail(`the header of the member ${JSON.stringify(name)} is damaged`, headerStart);
    const start = nameEnd + header.getUint16(28, true);
    if (start + compressedSize > this.source.size)
      throw this.fail(`the member ${JSON.stringify(name)} reaches past the file's end`, headerStart);
    if (header.getUint16(26, true) !== nameLength || new TextDecoder().decode(bytes.subarray(30)) !== name)
      throw this.fail(`the member ${JSON.stringify(name)} has another name in its own header`, headerStart);
    return new WindowSource(this.source, start, start + compressedSize);
  }

  /** A member's bytes as a source. Stored ones are read where they are, in ranges and without their checksum. */
  async open(name: string): Promise<ByteSource> {
    const member = this.members.get(name);
    if (!member) throw this.fail(`it has no member ${JSON.stringify(name)}`);
    const data = await this.dataOf(member);
    return member.method === stored ? data : new MemorySource(await this.inflate(member, data), this.source.name);
  }

  /** The first bytes of a member, at most `count` of them, without unpacking the rest. */
  async head(name: string, count: number): Promise<Uint8Array> {
    const member = this.members.get(name)!;
    const data = await this.dataOf(member);
    if (member.method === stored) return data.read(0, Math.min(count, data.size));
    const parts: Uint8Array[] = [];
    let length = 0;
    const inflate = new Inflate((chunk) => {
      parts.push(chunk);
      length += chunk.length;
    });
    try {
      for (let at = 0; at < data.size && length < count; at += inflatedAtOnce)
        inflate.push((await data.read(at, Math.min(at + inflatedAtOnce, data.size))).slice());
    } catch (cause) {
      throw this.cannotUnpack(member, cause);
    }
    const bytes = new Uint8Array(Math.min(length, count));
    let at = 0;
    for (const part of parts) {
      bytes.set(part.subarray(0, bytes.length - at), at);
      at = Math.min(bytes.length, at + part.length);
    }
    return bytes;
  }

  private cannotUnpack({ name, headerStart }: ZipMember, cause: unknown): FileFormatError {
    return this.fail(
      `the member ${JSON.stringify(name)} cannot be unpacked (${(cause as Error).message})`,
      headerStart,
      cause,
    );
  }

  /** All bytes of a member, which must have the checksum that the directory says. */
  async read(name: string): Promise<Uint8Array> {
    const member = this.members.get(name);
    const data = await this.open(name);
    const bytes = await data.read(0, data.size);
    this.check(member!, crc32(bytes));
    return bytes;
  }

  private check(member: ZipMember, crc: number): void {
    if (member.crc !== null && crc !== member.crc)
      throw this.fail(
        `the checksum of the member ${JSON.stringify(member.name)} does not match: the file is damaged`,
        member.headerStart,
      );
  }

  private async inflate(member: ZipMember, data: WindowSource): Promise<Uint8Array> {
    const { name, size, headerStart } = member;
    const bytes = new Uint8Array(size);
    let length = 0;
    const inflate = new Inflate((chunk) => {
      if (length + chunk.length > size)
        throw this.fail(`the member ${JSON.stringify(name)} is longer than its ${size} bytes`, headerStart);
      bytes.set(chunk, length);
      length += chunk.length;
    });
    try {
      let left = data.size;
      if (left === 0) inflate.push(new Uint8Array(0), true);
      for await (const piece of pieces(data))
        for (let at = 0; at < piece.length; at += inflatedAtOnce) {
          const part = piece.slice(at, at + inflatedAtOnce);
          left -= part.length;
          inflate.push(part, left === 0);
        }
    } catch (cause) {
      if (cause instanceof FileFormatError) throw cause;
      throw this.cannotUnpack(member, cause);
    }
    if (length !== size)
      throw this.fail(`the member ${JSON.stringify(name)} has ${length} bytes, expected ${size}`, headerStart);
    this.check(member, crc32(bytes));
    return bytes;
  }
}
