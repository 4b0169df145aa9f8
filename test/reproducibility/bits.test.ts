// The bits of this machine are those of all machines: hashes.json was written on one with AVX-512 and is held on every
// instruction set by scripts/check_bits.ts, trainings included. Here the instruction set at hand is held against it.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import '../../src/index.ts';
import { currentBackend, getNumThreads, setEngine, setNumThreads } from '../../src/device/engine.ts';
import { engines } from '../kernels/arena.ts';
import { hashesOf } from './programs.ts';

const { hashes, roundedOtherwise } = JSON.parse(readFileSync(new URL('hashes.json', import.meta.url), 'utf8')) as {
  hashes: Record<string, Record<string, string>>;
  roundedOtherwise: Record<string, string[]>;
};

test.each(engines().flatMap((engine) => (['cases', 'layers'] as const).map((kind) => [engine, kind] as const)))(
  '%s: every one of the %s gives the hash of the table',
  (engine, kind) => {
    setEngine(engine);
    const isFused = !['baseline', 'wasm simd128'].includes(currentBackend().instructionSet);
    const threads = getNumThreads();
    if (engine === 'native') setNumThreads(3);
    try {
      const expected = { ...hashes[kind] };
      const found = hashesOf(kind);
      // Without fused multiply-adds what is listed has other roundings.
      for (const name of isFused ? [] : roundedOtherwise[kind]) {
        delete expected[name];
        delete found[name];
      }
      expect(found).toEqual(expected);
    } finally {
      if (engine === 'native') setNumThreads(threads);
    }
  },
);
