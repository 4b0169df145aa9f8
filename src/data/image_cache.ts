// The compact file in which an image set is kept between runs: magic, a small JSON header, the bytes, a SHA-256 over it
// all. A cache that is missing, damaged or of another version reads as "none", so the caller rebuilds it. Node only.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeFileAtomic } from '../files/atomic_file.ts';
import type { DroppedRow, ImageSet, ImageSplit } from './image_set.ts';

const MAGIC = new TextEncoder().encode('EKIMGS01');
const HASH_BYTES = 32;

type CachedSet = Pick<ImageSet, 'train' | 'test' | 'dropped'>;
type Header = { train: number; test: number; pixels: number; dropped: DroppedRow[] };

/** Writes the set, replacing an older file in one step. */
export function writeImageCache(path: string, set: CachedSet): void {
  const header: Header = {
    train: set.train.count,
    test: set.test.count,
    pixels: set.train.images.length / set.train.count,
    dropped: set.dropped,
  };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(new Uint32Array([json.length]).buffer);
  const parts = [MAGIC, length, json, set.train.images, set.train.labels, set.test.images, set.test.labels];
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  mkdirSync(dirname(path), { recursive: true });
  writeFileAtomic(path, [...parts, hash.digest()]);
}

/** The set in the file, or undefined if there is no intact one. */
export function readImageCache(path: string): CachedSet | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return undefined;
  }
  const start = MAGIC.length + 4;
  const end = bytes.length - HASH_BYTES;
  if (end < start || MAGIC.some((byte, i) => bytes[i] !== byte)) return undefined;
  const hash = createHash('sha256').update(bytes.subarray(0, end)).digest();
  if (!hash.equals(bytes.subarray(end))) return undefined;

  // From here on the bytes are what writeImageCache wrote.
  const payload = start + bytes.readUInt32LE(MAGIC.length);
  const header = JSON.parse(bytes.toString('utf8', start, payload)) as Header;
  let at = payload;
  const take = (count: number) => new Uint8Array(bytes.subarray(at, (at += count)));
  const takeSplit = (count: number): ImageSplit => ({
    images: take(count * header.pixels),
    labels: take(count),
    count,
  });
  return { train: takeSplit(header.train), test: takeSplit(header.test), dropped: header.dropped };
}
