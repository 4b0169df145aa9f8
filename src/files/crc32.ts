// The checksum of zip archives: CRC-32, polynomial 0xEDB88320 reflected (ISO 3309). Node's zlib where it has one, which
// is as fast as memory; else eight bytes at a time by tables (Kounavis and Berry 2005, "slicing-by-8").

type NodeCrc = (data: Uint8Array, value?: number) => number;
const ofNode = (globalThis.process?.getBuiltinModule?.('node:zlib') as { crc32?: NodeCrc } | undefined)?.crc32;

let tables: Uint32Array[] | null = null;
/** `tables[k][b]`: the checksum's change by byte b with k bytes behind it. */
function makeTables(): Uint32Array[] {
  const made = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    made[0][byte] = value;
  }
  for (let k = 1; k < 8; k++)
    for (let byte = 0; byte < 256; byte++) made[k][byte] = (made[k - 1][byte] >>> 8) ^ made[0][made[k - 1][byte] & 255];
  return made;
}

/** `crc32` without Node's help. */
export function crc32ByTables(bytes: Uint8Array, before = 0): number {
  tables ??= makeTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables;
  let crc = ~before;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    crc ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    crc =
      t7[crc & 255] ^
      t6[(crc >>> 8) & 255] ^
      t5[(crc >>> 16) & 255] ^
      t4[crc >>> 24] ^
      t3[bytes[i + 4]] ^
      t2[bytes[i + 5]] ^
      t1[bytes[i + 6]] ^
      t0[bytes[i + 7]];
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]) & 255];
  return ~crc >>> 0;
}

/** The checksum of bytes; `before` is that of the bytes in front of them. */
export const crc32: (bytes: Uint8Array, before?: number) => number = ofNode ?? crc32ByTables;
