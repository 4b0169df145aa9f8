// Pieces of chunks: they never overlap, follow each other in the same place, and come back when the collector has found
// their blocks.
import { describe, expect, it } from 'vitest';
import { Chunks, type Piece } from '../../src/device/chunks.ts';

const MiB = 2 ** 20;

/** Chunks on addresses of its own making, and a collector that is told what it has collected. */
function made() {
  let next = 4096;
  const references: { object: object; isCollected: boolean }[] = [];
  const collector = {
    addressOf: (buffer: ArrayBuffer) => {
      const address = next;
      // Not aligned, and far from the next one.
      next += buffer.byteLength + 1000;
      return address + 16;
    },
    weakReference: (object: object) => references.push({ object, isCollected: false }) - 1,
    isCollected: (reference: number) => references[reference].isCollected,
    dropReference: (reference: number) => void delete references[reference],
  };
  const collect = (object: object) => {
    for (const reference of references) if (reference?.object === object) reference.isCollected = true;
  };
  const watching = () => references.filter((reference) => reference !== undefined).length;
  return { chunks: new Chunks(collector), collect, watching };
}

describe('pieces of chunks', () => {
  it('lie in their buffer, aligned, and never over each other', () => {
    const { chunks } = made();
    const live: { piece: Piece; size: number }[] = [];
    let state = 1;
    const draw = (n: number) => {
      state = (state * 48271) % 2147483647;
      return state % n;
    };
    for (let i = 0; i < 3000; i++) {
      if (live.length > 40 || (live.length > 0 && draw(3) === 0)) {
        const [{ piece, size }] = live.splice(draw(live.length), 1);
        chunks.give(piece, size);
        continue;
      }
      const size = 64 * (1 + draw(draw(2) ? 200_000 : 3_000_000));
      const piece = chunks.take(size);
      const { chunk, address } = piece;
      expect(address % 64).toBe(0);
      expect(address).toBeGreaterThanOrEqual(chunk.start);
      expect(address + size).toBeLessThanOrEqual(chunk.start + chunk.buffer.byteLength);
      for (const other of live)
        expect(address + size <= other.piece.address || address >= other.piece.address + other.size).toBe(true);
      live.push({ piece, size });
    }
    for (const { piece, size } of live) chunks.give(piece, size);
    // All in one range again, of every chunk.
    for (let i = 0; i < 4; i++) chunks.trim();
    expect(chunks.freeBytes).toBe(0);
  });

  it('use the same place for one size after another', () => {
    const { chunks } = made();
    const first = chunks.take(48 * MiB);
    chunks.give(first, 48 * MiB);
    const parts = [8, 16, 24].map((size) => chunks.take(size * MiB));
    expect(parts.map(({ address }) => address - first.address)).toEqual([0, 8 * MiB, 24 * MiB]);
  });

  it('hold what is larger than a chunk', () => {
    const { chunks } = made();
    const piece = chunks.take(200 * MiB);
    expect(piece.chunk.byteLength).toBe(200 * MiB);
  });

  it('come back when their blocks have been collected, once they are wanted', () => {
    const { chunks, collect, watching } = made();
    const blocks = [{}, {}];
    const pieces = blocks.map(() => chunks.take(64 * MiB));
    const ends = blocks.map((block, i) => chunks.watch(block, pieces[i], 64 * MiB));
    expect(chunks.freeBytes).toBe(0);
    collect(blocks[1]);
    expect(chunks.take(64 * MiB)).toEqual(pieces[1]);
    // The other is still somebody's.
    expect(chunks.take(64 * MiB).chunk).not.toBe(pieces[0].chunk);
    ends[0]();
    expect(watching()).toBe(0);
    collect(blocks[0]);
    chunks.trim();
    expect(chunks.freeBytes).toBe(64 * MiB);
  });

  it('let go of chunks that have lain unused for some steps, not of others', () => {
    const { chunks } = made();
    const kept = chunks.take(MiB);
    const large = chunks.take(128 * MiB);
    expect(large.chunk).not.toBe(kept.chunk);
    chunks.give(large, 128 * MiB);
    const free = chunks.freeBytes;
    for (let i = 0; i < 3; i++) {
      expect(chunks.freeBytes).toBe(free);
      chunks.trim();
    }
    chunks.trim();
    expect(chunks.freeBytes).toBe(free - 128 * MiB);
    // A chunk that each step uses stays, though it is free whenever one ends.
    chunks.give(kept, MiB);
    for (let i = 0; i < 9; i++) {
      chunks.give(chunks.take(MiB), MiB);
      chunks.trim();
    }
    expect(chunks.freeBytes).toBe(free - 128 * MiB + MiB);
  });
});
