// Checkpoints: what goes in comes out, and damage never goes unnoticed.

import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AtomicWriteError } from '../../src/files/atomic_file.ts';
import { decodeSafetensors, encodeSafetensors } from '../../src/io/safetensors_arrays.ts';
import { CheckpointError, lastGood, loadTree, saveTree } from '../../src/train/checkpoint_file.ts';
import {
  type ArrayLeaf,
  CheckpointTreeError,
  joinTree,
  splitTree,
  type Tree,
} from '../../src/train/checkpoint_tree.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-checkpoint-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const example = (): Tree => ({
  model: {
    'conv1.weight': { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, -0, Number.NaN, 4) },
    'bn1.num_batches_tracked': { dtype: 'int64', shape: [], data: BigInt64Array.of(12n) },
  },
  optimizer: {
    state: [{ step: 3, momentum: { dtype: 'float64', shape: [1], data: Float64Array.of(0.1) } }, null],
    groups: [{ lr: 0.1, nesterov: false, betas: [0.9, 0.999] }],
  },
  seed: 67280421310721n,
  best: Number.POSITIVE_INFINITY,
  name: 'größe',
  mask: { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) },
});

describe('saveTree and loadTree', () => {
  it('round trip a training state', () => {
    const path = join(folder, 'state');
    saveTree(path, example());
    expect(loadTree(path)).toEqual(example());
  });

  it('write a safetensors file with readable names', () => {
    const path = join(folder, 'names');
    saveTree(path, example());
    const { entries, metadata } = decodeSafetensors(readFileSync(path));
    expect(entries.map(({ name, dtype }) => `${name} ${dtype}`)).toEqual([
      'model.bn1.num_batches_tracked I64',
      'optimizer.state.0.momentum F64',
      'model.conv1.weight F32',
      'mask BOOL',
    ]);
    expect(metadata).toMatchObject({ format: 'evenkeel checkpoint', version: '1' });
    expect(metadata.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  const arrays: fc.Arbitrary<ArrayLeaf> = fc.oneof(
    fc.float32Array({ maxLength: 5 }).map((data) => ({ dtype: 'float32' as const, shape: [data.length], data })),
    fc.float64Array({ maxLength: 5 }).map((data) => ({ dtype: 'float64' as const, shape: [data.length, 1], data })),
    fc.bigInt64Array({ maxLength: 3 }).map((data) => ({ dtype: 'int64' as const, shape: [data.length], data })),
    fc.int32Array({ maxLength: 3 }).map((data) => ({ dtype: 'int32' as const, shape: [1, data.length], data })),
    fc.uint8Array({ maxLength: 3 }).map((data) => ({ dtype: 'uint8' as const, shape: [data.length], data })),
  );
  const key = fc.oneof(
    fc.string({ maxLength: 4 }),
    fc.constantFrom(
      'a',
      'a.b',
      'b',
      '',
      '$tensor',
      '$number',
      '$bigint',
      '$object',
      '__proto__',
      '__metadata__',
      '0',
      'sha256":"',
    ),
  );
  const trees = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(fc.string({ unit: 'binary' }), fc.double(), fc.integer(), fc.boolean(), fc.constant(null), fc.bigInt()),
      arrays,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.array(fc.tuple(key, tie('tree')), { maxLength: 5 }).map((fields) => Object.fromEntries(fields)),
    ) as fc.Arbitrary<Tree>,
  })).tree;

  it('keep any tree', () => {
    const path = join(folder, 'any');
    fc.assert(
      fc.property(trees, (tree) => {
        saveTree(path, tree, { keepPrevious: false });
        expect(loadTree(path)).toStrictEqual(tree);
      }),
      { numRuns: 300 },
    );
  });

  it('notice every flipped byte', () => {
    const path = join(folder, 'flipped');
    saveTree(path, example());
    const intact = readFileSync(path);
    for (let at = 0; at < intact.length; at++) {
      const damaged = Buffer.from(intact);
      damaged[at]! ^= 1 << (at % 8);
      writeFileSync(path, damaged);
      expect(() => loadTree(path), `byte ${at}`).toThrow(CheckpointError);
    }
    fc.assert(
      fc.property(fc.nat(intact.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(intact);
        damaged[at]! ^= change;
        writeFileSync(path, damaged);
        expect(() => loadTree(path)).toThrow(CheckpointError);
      }),
      { numRuns: 300 },
    );
  });

  it('notice every truncation and appended bytes', () => {
    const path = join(folder, 'truncated');
    saveTree(path, example());
    const intact = readFileSync(path);
    writeFileSync(path, Buffer.concat([intact, Buffer.of(0)]));
    expect(() => loadTree(path)).toThrow(CheckpointError);
    writeFileSync(path, intact);
    for (let length = intact.length - 1; length >= 0; length--) {
      truncateSync(path, length);
      expect(() => loadTree(path), `length ${length}`).toThrow(CheckpointError);
    }
  });

  it('name the path and the reason', () => {
    const path = join(folder, 'reasons');
    expect(() => loadTree(path)).toThrow(`[loadTree] ${path}: there is no such file`);
    writeFileSync(
      path,
      'something else altogether, and long enough to hold a checksum of sixty-four digits, or so it looks',
    );
    expect(() => loadTree(path)).toThrow(`${path}: is no checkpoint of evenkeel`);
    writeFileSync(path, encodeSafetensors([], { sha256: '0'.repeat(64), version: '1', tree: '1' }));
    expect(() => loadTree(path)).toThrow(`${path}: the checksum does not match: the file is damaged or incomplete`);
    expect(() => loadTree(folder)).toThrow(CheckpointError);
  });

  it('refuse another version, though intact', () => {
    const path = join(folder, 'version');
    saveTree(path, 1);
    const text = readFileSync(path, 'latin1').replace('"version":"1"', '"version":"2"');
    writeFileSync(path, withChecksum(Buffer.from(text, 'latin1')));
    expect(() => loadTree(path)).toThrow(`${path}: expected a checkpoint of version 1, got "2"`);
  });

  it('refuse a tree and arrays that do not belong together, though intact', () => {
    const path = join(folder, 'foreign');
    const write = (tree: string) => {
      const data = Float32Array.of(1);
      const metadata = { sha256: '0'.repeat(64), version: '1', tree };
      writeFileSync(
        path,
        withChecksum(Buffer.from(encodeSafetensors([{ name: 'x', dtype: 'F32', shape: [1], data }], metadata))),
      );
    };
    write('{"$tensor":"x"}');
    expect(loadTree(path)).toEqual({ dtype: 'float32', shape: [1], data: Float32Array.of(1) });
    for (const tree of [
      '1',
      '[{"$tensor":"x"},{"$tensor":"x"}]',
      '{"$tensor":"y"}',
      '[{"$tensor":"x"},{"$bigint":"1.5"}]',
      '{',
      '',
    ]) {
      write(tree);
      expect(() => loadTree(path), tree).toThrow(CheckpointError);
    }
  });
});

// The checksum again, from its definition: SHA-256 of the file with the 64 digits as zeros.
function withChecksum(bytes: Buffer): Buffer {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const start = 8 + '{"__metadata__":{"sha256":"'.length;
  bytes.fill('0', start, start + 64);
  bytes.write(createHash('sha256').update(bytes).digest('hex'), start, 'latin1');
  return bytes;
}

describe('saveTree', () => {
  const circular: Tree[] = [];
  circular.push({ inner: circular });
  const leaf = (fields: Partial<Record<keyof ArrayLeaf, unknown>>) =>
    ({ dtype: 'float32', shape: [1], data: Float32Array.of(1), ...fields }) as unknown as Tree;
  it.each<[string, unknown, RegExp]>([
    ['undefined', { a: { b: undefined } }, /\[saveTree\] a\.b: a checkpoint cannot hold undefined/],
    ['a hole', { a: new Array(2) }, /a\.0: .*undefined/],
    ['a function', [() => 1], /\[saveTree\] 0: a checkpoint cannot hold a function/],
    ['a Map', { state: new Map() }, /state: a checkpoint cannot hold a Map/],
    ['a bare typed array', { state: new Float32Array(1) }, /state: a checkpoint cannot hold a Float32Array/],
    ['a circle', circular, /0\.inner: contains itself/],
    ['an unknown dtype', { a: leaf({ dtype: 'float16' }) }, /a: an array has the unknown dtype float16/],
    ['no dtype', { a: leaf({ dtype: undefined }) }, /unknown dtype undefined/],
    ['a wrong shape', { a: leaf({ shape: [2] }) }, /"a" of shape \[2\] does not fit 1 elements/],
    ['a wrong array', { a: leaf({ dtype: 'int32' }) }, /"a" of I32 expected Int32Array, got Float32Array/],
  ])('refuses %s, and leaves the file', (_, tree, text) => {
    const path = join(folder, 'refused');
    saveTree(path, 'kept');
    expect(() => saveTree(path, tree as Tree)).toThrow(CheckpointTreeError);
    expect(() => saveTree(path, tree as Tree)).toThrow(text);
    expect(loadTree(path)).toBe('kept');
  });

  it('takes the same object twice, which is no circle', () => {
    const shared = { a: 1 };
    expect(joinTree(splitTree([shared, shared]).skeleton, [])).toEqual([shared, shared]);
  });

  it('passes a failing disk on', () => {
    expect(() => saveTree(join(folder, 'no', 'where'), 1)).toThrow(AtomicWriteError);
  });
});

describe('lastGood', () => {
  it('says which file it used, and why', () => {
    const path = join(folder, 'last');
    saveTree(path, 1);
    saveTree(path, 2);
    expect(lastGood(path)).toEqual({ tree: 2, path, usedPrevious: false, problem: undefined });
    truncateSync(path, 100);
    const found = lastGood(path);
    expect(found).toMatchObject({ tree: 1, path: `${path}.previous`, usedPrevious: true });
    expect(found.problem!.message).toContain('damaged or incomplete');
    rmSync(path);
    expect(lastGood(path)).toMatchObject({ tree: 1, usedPrevious: true });
    truncateSync(`${path}.previous`, 10);
    expect(() => lastGood(path)).toThrow(CheckpointError);
    expect(() => lastGood(path)).toThrow(/there is no such file; and .*last\.previous: is no checkpoint/);
  });
});
