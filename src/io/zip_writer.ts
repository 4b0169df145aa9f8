// Zip archives, written in one pass: members are stored, not compressed, each at a multiple of 64 bytes as PyTorch
// wants them for mapping into memory. Checksums follow the data, so that nothing is read twice. Source: PKWARE's
// APPNOTE.TXT 6.3.10.
import { crc32 } from '../files/crc32.ts';

/** A member to write. */
export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  readonly bytes: () => AsyncIterable<Uint8Array>;
}

const alignment = 64;
/** Bit 3: sizes and checksum follow the data; bit 11: names are UTF-8. */
const flags = 0x0808;
/** 4.5: ZIP64. */
const version = 45;
/** 1 January 1980, the earliest there is: the same tensors give the same file. */
const date = 0x0021;
/** An extra field that readers skip: what PyTorch pads with. */
const paddingField = 0x4246;
const most32 = 0xffffffff;

/** Little-endian fields of a record. */
class Fields {
  private bytes = new Uint8Array(128);
  length = 0;

  /** The place of `count` more bytes. */
  private take(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(2 * this.length);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    return at;
  }
  u16(...values: number[]): this {
    for (const value of values) {
      const at = this.take(2);
      this.bytes[at] = value;
      this.bytes[at + 1] = value >>> 8;
    }
    return this;
  }
  u32(...values: number[]): this {
    for (const value of values) this.u16(value & 0xffff, Math.floor(value / 65536) & 0xffff);
    return this;
  }
  u64(...values: number[]): this {
    for (const value of values) this.u32(value % 2 ** 32, Math.floor(value / 2 ** 32));
    return this;
  }
  raw(bytes: Uint8Array): this {
    const at = this.take(bytes.length);
    this.bytes.set(bytes, at);
    return this;
  }
  done(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** Zeros in a field of their own, so that the data behind `start` begin at a multiple of 64. */
function padding(start: number): Uint8Array {
  const length = (alignment - ((start + 4) % alignment)) % alignment;
  return new Fields().u16(paddingField, length).raw(new Uint8Array(length)).done();
}

export async function* writeZip(entries: readonly ZipEntry[]): AsyncGenerator<Uint8Array> {
  const directory = new Fields();
  const encoder = new TextEncoder();
  let at = 0;
  // What stands between the data of two members is one piece.
  let between = new Fields();
  for (const { name, size, bytes } of entries) {
    const encoded = encoder.encode(name);
    const start = at;
    const isLarge = size >= most32;
    // A member beyond 4 GiB says so in its own header too; else readers would take what follows it for 32-bit sizes.
    const wide = isLarge ? new Fields().u16(1, 16).u64(size, size).done() : new Uint8Array(0);
    const extra = new Fields().raw(wide);
    extra.raw(padding(start + 30 + encoded.length + extra.length));
    const before = between.length;
    between
      .u32(0x04034b50)
      .u16(version, flags, 0, 0, date)
      .u32(0, isLarge ? most32 : size, isLarge ? most32 : size)
      .u16(encoded.length, extra.length)
      .raw(encoded)
      .raw(extra.done());
    const headerLength = between.length - before;
    yield between.done();
    let crc = 0;
    let length = 0;
    for await (const piece of bytes()) {
      crc = crc32(piece, crc);
      length += piece.length;
      yield piece;
    }
    if (length !== size) throw new RangeError(`${name} has ${length} bytes instead of ${size}`);
    between = new Fields().u32(0x08074b50, crc);
    if (isLarge) between.u64(size, size);
    else between.u32(size, size);
    at = start + headerLength + size + between.length;
    const isFar = start >= most32;
    const wideEntry = new Fields();
    if (isLarge || isFar) {
      wideEntry.u16(1, (isLarge ? 16 : 0) + (isFar ? 8 : 0));
      if (isLarge) wideEntry.u64(size, size);
      if (isFar) wideEntry.u64(start);
    }
    directory
      .u32(0x02014b50)
      .u16(version, version, flags, 0, 0, date)
      .u32(crc, isLarge ? most32 : size, isLarge ? most32 : size)
      .u16(encoded.length, wideEntry.length, 0, 0, 0)
      .u32(0, isFar ? most32 : start)
      .raw(encoded)
      .raw(wideEntry.done());
  }
  const end = between.raw(directory.done());
  const count = entries.length;
  if (at >= most32 || count >= 0xffff || directory.length >= most32) {
    end.u32(0x06064b50).u64(44).u16(version, version).u32(0, 0).u64(count, count, directory.length, at);
    end
      .u32(0x07064b50, 0)
      .u64(at + directory.length)
      .u32(1);
  }
  const few = Math.min(count, 0xffff);
  end.u32(0x06054b50).u16(0, 0, few, few).u32(Math.min(directory.length, most32), Math.min(at, most32)).u16(0);
  yield end.done();
}
