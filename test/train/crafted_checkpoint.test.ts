// Checkpoints whose checksum is right and whose content is not: made by another program, or on purpose. Loading ends in
// a typed error and changes nothing, or it loads everything; never in a crash, a hang, or a model half loaded.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DataLoader, TensorDataset } from '../../src/data/index.ts';
import { EvenkeelError, manualSeed, randint, randn, Tensor } from '../../src/index.ts';
import { encodeSafetensors } from '../../src/io/safetensors_arrays.ts';
import { BatchNorm1d, Linear, Sequential } from '../../src/nn/index.ts';
import { crossEntropy } from '../../src/ops/loss.ts';
import { Adam, StepLR } from '../../src/optim/index.ts';
import { loadCheckpoint, saveCheckpoint } from '../../src/train/checkpoint.ts';
import { CheckpointError, loadTree, saveTree } from '../../src/train/checkpoint_file.ts';
import type { Tree } from '../../src/train/checkpoint_tree.ts';
import { fit } from '../../src/train/index.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-crafted-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function begin() {
  manualSeed(5);
  const model = new Sequential(new Linear(4, 6), new BatchNorm1d(6), new Linear(6, 3));
  const optimizer = new Adam(model.parameters(), { lr: 0.01 });
  const scheduler = new StepLR(optimizer, 2);
  const loader = new DataLoader(new TensorDataset(randn([24, 4]), randint(0, 3, [24])), {
    batchSize: 8,
    shuffle: true,
  });
  return { model, optimizer, scheduler, loader, loss: crossEntropy };
}
type Parts = ReturnType<typeof begin>;
const stored = ({ model, optimizer, scheduler }: Parts) => ({ model, optimizer, scheduler });
const training = ({ optimizer, scheduler, loader, loss }: Parts) => ({ optimizer, scheduler, loader, loss });

const plain = (value: unknown): unknown => {
  if (value instanceof Tensor) return [value.shape, Array.from(value.dataSync() as ArrayLike<number>, Number)];
  if (value instanceof Map) return [...value].map(([key, item]) => [key, plain(item)]);
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') return Object.entries(value).map(([key, item]) => [key, plain(item)]);
  return value;
};
const stateOf = ({ model, optimizer, scheduler }: Parts) =>
  plain([model.stateDict(), optimizer.stateDict(), scheduler.stateDict()]);

/** Every place of a tree, as the path of keys that leads there. */
function* places(tree: Tree, path: readonly string[] = []): Generator<readonly string[]> {
  yield path;
  if (!tree || typeof tree !== 'object' || ArrayBuffer.isView(tree)) return;
  for (const [key, value] of Object.entries(tree)) yield* places(value as Tree, [...path, key]);
}

/** The tree with another value at a place, or with nothing there. */
function changed(tree: Tree, [key, ...rest]: readonly string[], value: unknown): Tree {
  if (key === undefined) return value as Tree;
  const copy = (Array.isArray(tree) ? [...tree] : { ...(tree as object) }) as Record<string, Tree>;
  if (rest.length === 0 && value === undefined) {
    if (Array.isArray(copy)) copy.splice(Number(key), 1);
    else delete copy[key];
  } else copy[key] = changed(copy[key], rest, value);
  return copy as Tree;
}

const values: unknown[] = [
  undefined,
  null,
  -1,
  1.5,
  Number.NaN,
  2 ** 53,
  'x',
  true,
  {},
  [],
  7n,
  { dtype: 'uint8', shape: [3], data: Uint8Array.of(1, 2, 3) },
  { dtype: 'float64', shape: [], data: Float64Array.of(Number.NaN) },
];

test('every place of a checkpoint with every wrong value: all or nothing, and in words', async () => {
  const path = join(folder, 'state');
  const trained = begin();
  await fit(trained.model, { ...training(trained), epochs: 1, checkpoint: path });
  const tree = loadTree(path);
  let refused = 0;
  let loaded = 0;
  const crafted = join(folder, 'crafted');
  for (const place of places(tree)) {
    // The values of an array are data: any will do.
    if (place.length === 0 || ['data', 'shape', 'dtype'].some((key) => place.includes(key))) continue;
    for (const value of values) {
      saveTree(crafted, changed(tree, place, value), { keepPrevious: false });
      const parts = begin();
      const before = stateOf(parts);
      try {
        loadCheckpoint(crafted, stored(parts));
        loaded++;
      } catch (error) {
        expect(error, `${place.join('.')} = ${String(value)}`).toBeInstanceOf(EvenkeelError);
        expect(stateOf(parts), `${place.join('.')} = ${String(value)}`).toEqual(before);
        refused++;
      }
    }
  }
  // Both happen: what fit noted besides is not loadCheckpoint's to judge.
  expect(refused).toBeGreaterThan(300);
  expect(loaded).toBeGreaterThan(0);
});

test('what fit saved besides is judged before anything is restored', async () => {
  const path = join(folder, 'run');
  const trained = begin();
  await fit(trained.model, { ...training(trained), epochs: 1, checkpoint: path });
  const tree = loadTree(path) as { extra: Record<string, Tree> };
  for (const place of [...places(tree.extra)].filter(([key]) => key !== 'notes' && key !== 'history')) {
    if (place.length === 0 || ['data', 'shape', 'dtype'].some((key) => place.includes(key))) continue;
    for (const value of [null, 'x', -1, {}, undefined] as unknown[]) {
      // Optional, and what may be any number.
      if ((place[0] === 'updates' || place[0] === 'batchSize') && place.length === 1 && value === undefined) continue;
      if ((place[0] === 'seconds' || place[0] === 'averages') && value === -1 && place.at(-1) !== 'samples') continue;
      if (place[0] === 'averages' && (place.at(-1) === 'sums' || place.length === 3)) continue;
      saveTree(path, changed(tree as Tree, ['extra', ...place], value), { keepPrevious: false });
      const parts = begin();
      const before = stateOf(parts);
      const run = fit(parts.model, { ...training(parts), epochs: 2, checkpoint: path, resume: true });
      await expect(run, `${place.join('.')} = ${String(value)}`).rejects.toBeInstanceOf(EvenkeelError);
      expect(stateOf(parts)).toEqual(before);
    }
  }
});

test('so are the states of further ranks', async () => {
  const path = join(folder, 'run');
  const trained = begin();
  await fit(trained.model, { ...training(trained), epochs: 1, checkpoint: path });
  const tree = loadTree(path) as Tree & { extra: Record<string, Tree> };
  const { generators, averages } = tree.extra;
  const resume = (otherRanks: unknown) => {
    saveTree(path, changed(tree, ['extra', 'otherRanks'], otherRanks), { keepPrevious: false });
    const parts = begin();
    return fit(parts.model, { ...training(parts), epochs: 2, checkpoint: path, resume: true });
  };
  for (const wrong of ['x', {}, [null], [{}], [{ generators, averages: {} }], [{ generators: [], averages }]])
    await expect(resume(wrong), JSON.stringify(wrong)).rejects.toBeInstanceOf(EvenkeelError);
  await expect(resume([{ generators, averages }])).resolves.toMatchObject({ isInterrupted: false });
});

/** A checkpoint of the given skeleton, word for word. */
function writeRaw(path: string, skeleton: string): void {
  const zeros = '0'.repeat(64);
  const metadata = { sha256: zeros, format: 'evenkeel checkpoint', version: '1', tree: skeleton };
  const bytes = encodeSafetensors([], metadata);
  const at = 8 + '{"__metadata__":{"sha256":"'.length;
  bytes.set(new TextEncoder().encode(createHash('sha256').update(bytes).digest('hex')), at);
  writeFileSync(path, bytes);
}

test('skeletons that are absurd end in typed errors', () => {
  const path = join(folder, 'raw');
  const deep = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels);
  for (const skeleton of [
    '',
    '{',
    'undefined',
    deep('[', ']', 100_000),
    deep('{"a":', '}', 100_000).replace(':}', ':0}'),
    '{"$tensor":"a"}',
    '{"$bigint":"1e999"}',
    '{"$number":{}}',
    '{"$object":3}',
  ]) {
    writeRaw(path, skeleton);
    expect(() => loadTree(path), skeleton.slice(0, 40)).toThrow(CheckpointError);
  }
  writeRaw(path, '{"__proto__":{"polluted":1},"model":{"__proto__":{"polluted":1}}}');
  loadTree(path);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

test('a checkpoint of another model leaves optimizer, schedule and generator as they were', () => {
  const path = join(folder, 'other');
  const wide = new Sequential(new Linear(4, 6), new BatchNorm1d(6), new Linear(6, 5));
  const trained = begin();
  trained.scheduler.step();
  saveCheckpoint(path, { ...stored(trained), model: wide });
  const parts = begin();
  const before = stateOf(parts);
  const next = () => randn([3]).toArray();
  expect(() => loadCheckpoint(path, stored(parts))).toThrow('size mismatch for 2.weight');
  expect(stateOf(parts)).toEqual(before);
  const drawn = next();
  begin();
  expect(drawn).toEqual(next());
});
