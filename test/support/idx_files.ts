// A small data set in the four files of MNIST: images of digits' number of bright rows, and noise.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const side = 28;

/** Writes the files, compressed if `isCompressed`. */
export function writeIdxFiles(folder: string, trainCount: number, testCount: number, isCompressed = false): void {
  mkdirSync(folder, { recursive: true });
  const header = (...sizes: number[]) => {
    const bytes = Buffer.alloc(4 + 4 * sizes.length);
    bytes.set([0, 0, 8, sizes.length]);
    for (const [axis, size] of sizes.entries()) bytes.writeUInt32BE(size, 4 + 4 * axis);
    return bytes;
  };
  for (const [prefix, count] of [
    ['train', trainCount],
    ['t10k', testCount],
  ] as const) {
    const labels = Uint8Array.from({ length: count }, (_, i) => (i * 7 + (i >> 4)) % 10);
    const images = Uint8Array.from({ length: count * side * side }, (_, i) => {
      const [image, row] = [Math.floor(i / (side * side)), Math.floor(i / side) % side];
      return (row <= 2 * labels[image] ? 120 : 0) + ((i * 7919) % 131);
    });
    const files = { 'images-idx3': [header(count, side, side), images], 'labels-idx1': [header(count), labels] };
    for (const [kind, parts] of Object.entries(files)) {
      const bytes = Buffer.concat(parts);
      const name = join(folder, `${prefix}-${kind}-ubyte`);
      if (isCompressed) writeFileSync(`${name}.gz`, gzipSync(bytes));
      else writeFileSync(name, bytes);
    }
  }
}
