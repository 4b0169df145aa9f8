// Weights into a model: what became of every name, and that nothing is loaded where something does not fit.
import { afterEach, describe, expect, test, vi } from 'vitest';
import '../../src/ops/methods.ts';
import {
  encodePytorch,
  encodeStateDict,
  type LoadWeightsOptions,
  loadWeights,
  WeightsMismatchError,
} from '../../src/io/index.ts';
import { BatchNorm1d, BatchNorm2d, Conv2d, Linear, type Module, ModuleDict, Sequential } from '../../src/nn/index.ts';
import { StateDict } from '../../src/nn/state_dict.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { setWarningHandler } from '../../src/warnings.ts';

const pathOf = (name: string) => new URL(`../golden/checkpoints/${name}`, import.meta.url).pathname;
const golden = () =>
  new Sequential(new Conv2d(1, 2, 3), new BatchNorm2d(2), new Sequential(new Linear(3, 2), new BatchNorm1d(2)));
const silent = { print: false };
const values = (model: Module) => JSON.stringify(model);
/** A model and another of other values, whose state is the file. */
function pair(make: () => Module = golden) {
  manualSeed(0);
  const model = make();
  const other = make();
  const file = (change: (name: string) => string) =>
    new Map([...other.stateDict()].map(([name, tensor]) => [change(name), tensor] as const));
  return { model, other, file };
}
afterEach(() => {
  vi.restoreAllMocks();
});

describe('a report', () => {
  test('is printed as a table unless one says otherwise', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    const report = await loadWeights(golden(), pathOf('training.pt'));
    expect(log).toHaveBeenCalledWith(String(report));
    expect(String(report)).toBe(`${pathOf('training.pt')}, at 'state_dict' → Sequential\n  loaded                  14`);
    expect(report.loaded[0]).toEqual({
      name: '0.weight',
      from: '0.weight',
      shape: [2, 1, 3, 3],
      stored: 'float32',
      dtype: 'float32',
    });
    await loadWeights(golden(), pathOf('training.pt'), silent);
    expect(log).toHaveBeenCalledTimes(1);
  });

  test.each([
    ['module.', (name: string) => `module.${name}`],
    ['_orig_mod.', (name: string) => `_orig_mod.${name}`],
    ['model.', (name: string) => `model.${name}`],
    ['module._orig_mod.', (name: string) => `module._orig_mod.${name}`],
    ['2._orig_mod. within', (name: string) => name.replace(/^2\./, '2._orig_mod.')],
    ['student.backbone.', (name: string) => `student.backbone.${name}`],
  ])('says that %s was taken off', async (_, change) => {
    const { model, other, file } = pair();
    const report = await loadWeights(model, file(change), silent);
    expect(values(model)).toBe(values(other));
    expect(report.renamed.length).toBeGreaterThan(0);
    expect(report.renamed.every(({ name, from }) => from === change(name))).toBe(true);
    expect(report.renamings.join()).toMatch(/taken (off|out)/);
    expect(String(report)).toContain(`  renamed             ${String(report.renamed.length).padStart(6)}`);
  });

  test('says that a prefix was put in front, and versions go along', async () => {
    const { other, file } = pair();
    const wrapped = new ModuleDict({ body: golden() });
    const state = new StateDict(file((name) => name).entries());
    state.metadata = new Map([...other.stateDict().metadata!]);
    // Batch norms of version 1 had no counters: they are inserted.
    for (const path of ['1', '2.1']) {
      state.metadata.set(path, { version: 1 });
      state.delete(`${path}.num_batches_tracked`);
    }
    const report = await loadWeights(wrapped, state, silent);
    expect(report.renamings).toEqual(["'body.' was put in front of the file's names"]);
    expect(report.inserted).toEqual(['body.1.num_batches_tracked', 'body.2.1.num_batches_tracked']);
    expect(report.loaded.length).toBe(12);
  });

  test('lists casts from the file to the model', async () => {
    const { model } = pair();
    const doubles = new Map(
      [...model.stateDict()].map(([name, tensor]) => [name, name.endsWith('tracked') ? tensor : tensor.to('float64')]),
    );
    const report = await loadWeights(model, doubles as Map<string, Tensor>, silent);
    expect(report.casts.map(({ stored, dtype }) => `${stored} ${dtype}`)).toEqual(
      new Array(12).fill('float64 float32'),
    );
    const bytes = await encodeStateDict(doubles as Map<string, Tensor>, 'safetensors');
    expect((await loadWeights(model, bytes, silent)).casts.length).toBe(12);
  });
});

describe('where names do not fit', () => {
  async function refusal(model: Module, file: ReadonlyMap<string, Tensor>, options: LoadWeightsOptions = {}) {
    const before = values(model);
    const error = await loadWeights(model, file, { ...silent, ...options }).catch((e) => e);
    expect(error).toBeInstanceOf(WeightsMismatchError);
    expect(values(model)).toBe(before);
    return error as WeightsMismatchError;
  }

  test('nothing is loaded, and near names of the same shape are suggested', async () => {
    const { model, file } = pair();
    const error = await refusal(
      model,
      file((name) => name.replace('1.running_mean', '1.moving_mean')),
    );
    expect(error.message).toMatch(
      /^Error\(s\) in loading stateDict for Sequential:\n\tMissing key\(s\) in stateDict: "1\.running_mean", "2\.1\.running_mean"/,
    );
    expect(error.report.missing).toEqual([
      { name: '1.running_mean', shape: [2], suggestion: '1.moving_mean' },
      { name: '2.1.running_mean', shape: [2], suggestion: '2.1.moving_mean' },
    ]);
    expect(error.report.unexpected.map(({ suggestion }) => suggestion)).toEqual(['1.running_mean', '2.1.running_mean']);
    expect(error.message).toContain('1.running_mean [2]   perhaps 1.moving_mean');
  });

  test('the suggestions are a table to rename by', async () => {
    const { model, other, file } = pair();
    const words: Record<string, string> = {
      weight: 'gamma',
      bias: 'beta',
      running_mean: 'mean',
      running_var: 'variance',
    };
    // Another's names in the same order: they have little in common.
    const given = file((name) => `stem/${name.replace(/\w+$/, (word) => words[word] ?? word)}`);
    const { report } = await refusal(model, given);
    await loadWeights(model, given, { ...silent, rename: report.suggestedRename });
    expect(values(model)).toBe(values(other));
  });

  test('a table renames beginnings and whole names, and leaves out; a function does too', async () => {
    const { model, other, file } = pair();
    const given = file((name) => name.replace(/^0\./, 'stem.').replace(/^2\.0\.bias$/, 'offset'));
    given.set('head.weight', other.stateDict().get('0.weight')!);
    const report = await loadWeights(model, given, {
      ...silent,
      rename: { 'stem.': '0.', offset: '2.0.bias', 'head.': null },
    });
    expect(report.skipped).toEqual(['head.weight']);
    expect(values(model)).toBe(values(other));
    const rename = (name: string) =>
      name.startsWith('head') ? null : name === 'offset' ? '2.0.bias' : name.replace('stem', '0');
    expect((await loadWeights(model, given, { ...silent, rename })).skipped).toEqual(['head.weight']);
    await expect(loadWeights(model, given, { ...silent, rename: () => 'same' })).rejects.toThrow(
      "would both become 'same'",
    );
    await expect(loadWeights(model, given, { ...silent, rename: (() => 1) as never })).rejects.toThrow(
      '[loadWeights] expected rename to give',
    );
    await expect(loadWeights(model, given, { ...silent, rename: { a: 1 } as never })).rejects.toThrow(
      "[loadWeights] expected a name or null for 'a'",
    );
  });

  test('layers of another size are named, and stay as they are where one says so', async () => {
    const make = (classes: number) => new Sequential(new Conv2d(1, 2, 3), new BatchNorm2d(2), new Linear(3, classes));
    manualSeed(0);
    const file = new Map(make(10).stateDict());
    const model = make(2);
    const head = JSON.stringify(model.stateDict().get('2.weight'));
    const error = await refusal(model, file);
    expect(error.message).toContain('size mismatch for 2.weight');
    expect(error.message).toContain("Layers that shall stay as they are: { fresh: ['2.'] }");
    expect((await refusal(model, file, { strict: false })).report.errors.length).toBe(2);
    const report = await loadWeights(model, file, { ...silent, fresh: ['2.'] });
    expect(report.fresh).toEqual(['2.weight', '2.bias']);
    expect(report.skipped).toEqual(['2.weight', '2.bias']);
    expect(JSON.stringify(model.stateDict().get('2.weight'))).toBe(head);
    expect(JSON.stringify(model.stateDict().get('0.weight'))).toBe(JSON.stringify(file.get('0.weight')));
  });

  test('without strict what fits is loaded, and the rest reported', async () => {
    const { model, file } = pair();
    const given = file((name) => name);
    given.delete('0.bias');
    given.set('other', given.get('0.weight')!);
    const report = await loadWeights(model, given, { ...silent, strict: false });
    expect(report.missing).toEqual([{ name: '0.bias', shape: [2], suggestion: null }]);
    expect(report.unexpected).toEqual([{ name: 'other', shape: [2, 1, 3, 3], suggestion: null }]);
    expect(report.loaded.length).toBe(13);
  });
});

test('a whole module and a training checkpoint are found, with a note', async () => {
  const before = setWarningHandler(() => {});
  const report = await loadWeights(golden(), pathOf('module_legacy.pt'), silent);
  expect(report.loaded.length).toBe(14);
  expect(String(report)).toContain(
    'it is a module of the class torch.nn.modules.container.Sequential that was pickled as a whole',
  );
  const bytes = await encodePytorch({ a: { x: golden().stateDict() }, b: golden().stateDict() });
  expect((await loadWeights(golden(), bytes, { ...silent, key: 'a.x' })).path).toBe('a.x');
  setWarningHandler(before);
});
