// Files that PyTorch 2.13, NumPy and safetensors wrote (golden/checkpoints_golden.py), read to the bit; what no tensor
// can be, refused; and written again.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import '../../src/ops/methods.ts';
import { withDevice } from '../../src/device/engine.ts';
import {
  encodePytorch,
  encodeStateDict,
  FileFormatError,
  loadNpy,
  loadPytorch,
  loadStateDict,
  openPytorch,
  openSafetensors,
  openTensors,
  type PytorchData,
  Tuple,
  UnknownObject,
} from '../../src/io/index.ts';
import { BatchNorm2d, Conv2d } from '../../src/nn/index.ts';
import { StateDict } from '../../src/nn/state_dict.ts';
import { Adam } from '../../src/optim/index.ts';
import { isTensorJSON, ones, tensor } from '../../src/tensor/create.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { setWarningHandler, type WarningHandler } from '../../src/warnings.ts';

const folder = new URL('../golden/checkpoints/', import.meta.url);
const pathOf = (name: string) => new URL(name, folder).pathname;
const golden = JSON.parse(readFileSync(new URL('../golden/checkpoints.golden.json', import.meta.url), 'utf8')) as {
  states: Record<string, Record<string, { dtype: string; shape: number[]; data: unknown[] }>>;
};

let warnings: string[] = [];
let before: WarningHandler;
beforeEach(() => {
  warnings = [];
  before = setWarningHandler((text) => warnings.push(text));
});
afterEach(() => void setWarningHandler(before));

describe('a state dict is read to the bit from', () => {
  test.each(Object.keys(golden.states))('%s', async (name) => {
    const state = await loadStateDict(pathOf(name));
    const sorted = (record: object) => Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
    expect(sorted(state.toJSON())).toEqual(sorted(golden.states[name]));
    // The order of the keys is the file's; safetensors sort by the bytes.
    if (!name.endsWith('.safetensors')) expect([...state.keys()]).toEqual(Object.keys(golden.states[name]));
    expect(state.source).toBe(pathOf(name));
  });
});

test('tensors are one by one what they are together', async () => {
  for (const name of [
    'dtypes.pt',
    'dtypes_legacy.pt',
    'views.pt',
    'compressed.npz',
    'dtypes.safetensors',
    'model.safetensors.index.json',
  ]) {
    const file = await openTensors(pathOf(name));
    for (const key of file.keys()) expect((await file.get(key)).toJSON(), key).toEqual(golden.states[name][key]);
    await file.close();
  }
});

test('versions of modules are kept', async () => {
  for (const name of ['state.pt', 'state_legacy.pt', 'training.pt']) {
    const { metadata } = await loadStateDict(pathOf(name));
    expect(metadata?.get('1')).toEqual({ version: 2 });
    expect(metadata?.get('')).toEqual({ version: 1 });
  }
});

test('tensors that share memory in the file share it here', async () => {
  for (const name of ['views.pt', 'views_legacy.pt']) {
    const state = await loadStateDict(pathOf(name));
    const storage = (key: string) => state.get(key)!.storage;
    expect(state.get('again')).toBe(state.get('base'));
    expect(storage('shaped')).toBe(storage('base'));
    expect(storage('own')).not.toBe(storage('base'));
    expect(state.get('channels_last')!.memoryFormat).toBe('channelsLast');
    expect(warnings.join('\n')).toContain("'base' and 'part' share a part of their memory in the file");
  }
});

test('what was cast, passed over or not read is said', async () => {
  const casts = await loadStateDict(pathOf('dtypes.pt'));
  expect(casts.casts.find(({ name }) => name === 'bfloat16')).toEqual({
    name: 'bfloat16',
    from: 'bfloat16',
    to: 'float32',
  });
  expect(warnings.join('\n')).toContain('1 tensor of bfloat16 became float32, without rounding');
  expect((await loadStateDict(pathOf('training.pt'))).path).toBe('state_dict');
  expect((await loadStateDict(pathOf('several.pt'))).notes).toEqual([
    "the state at 'model' was read; there are others at 'ema'",
  ]);
  expect((await loadStateDict(pathOf('several.pt'), { key: 'ema' })).get('w')!.item()).toBe(1);
  await loadStateDict(pathOf('module.pt'));
  expect(warnings.join('\n')).toMatch(
    /module of the class torch\.nn\.modules\.container\.Sequential that was pickled as a whole/,
  );
  await expect(loadStateDict(pathOf('unnamed.pt'))).rejects.toThrow(
    "it holds several state dicts, 'a', 'b': say which by the option 'key'",
  );
  await expect(loadStateDict(pathOf('several.pt'), { key: 'other' })).rejects.toThrow(
    "a state dict at the key 'other', but it has 'ema', 'model'",
  );
  await expect(loadStateDict(pathOf('no_state.pt'))).rejects.toThrow('it holds no state dict');
});

describe('what no tensor can be is refused', () => {
  test.each([
    ['quantized.pt', /the tensor "q" is quantized; save tensor\.dequantize\(\) instead/],
    ['sparse.pt', /the tensor "s" is sparse/],
    ['meta.pt', /the tensor "m" is on the meta device/],
    ['complex.pt', /the tensor "c" is of complex64/],
    ['conjugate.pt', /the tensor "c" is a conjugated/],
    ['script.pt', /a program for TorchScript or torch\.export/],
    ['tar.pt', /a tar archive, as PyTorch before 0\.1\.10 wrote them; load it in Python/],
    ['objects.npy', /its elements are Python objects/],
    ['records.npy', /its elements are records/],
    ['texts.npy', /NumPy's type "<U1"/],
    ['complex.npy', /of complex64/],
  ])('%s', async (name, text) => {
    const error = await loadStateDict(pathOf(name)).catch((e) => e);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.message).toMatch(text);
    expect(error.source).toBe(pathOf(name));
  });
  test('but what stands beside it can be read', async () => {
    const file = await openTensors(pathOf('complex.pt'));
    expect((await file.get('ok')).item()).toBe(1);
    expect(file.info('c')).toEqual({ dtype: 'complex64', shape: [2], bytes: 16, loadsAs: null });
    await file.close();
  });
});

describe('plain data', () => {
  /** Data without what equality does not look into. */
  const simple = (value: unknown): unknown => {
    if (value instanceof StateDict || value instanceof Tensor) return value.toJSON();
    if (value instanceof Uint8Array) return [...value];
    if (value instanceof Map) return { map: [...value].map(([k, v]) => [simple(k), simple(v)]) };
    if (value instanceof Set) return { set: [...value].map(simple) };
    if (Array.isArray(value)) return value.map(simple);
    if (value && typeof value === 'object' && !isTensorJSON(value))
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, simple(v)]));
    return value;
  };
  const expected = {
    none: null,
    true: true,
    int: -5,
    large: 2 ** 53 - 1,
    huge: 2n ** 70n,
    negative: -(2n ** 64n),
    float: 0.5,
    whole: 2,
    inf: Number.POSITIVE_INFINITY,
    text: 'größe 😀',
    bytes: [0, 255],
    bytearray: [97, 98],
    list: [1, [2, []]],
    tuple: [1, ['a']],
    one: [1],
    three: [1, 2, 3],
    empty: [],
    set: { set: [1] },
    frozenset: { set: ['a'] },
    size: [2, 3],
    ordered: { b: 1, a: 2 },
    counter: { a: 2, b: 1 },
    default: { x: 1 },
    ints: { 0: 'a', 1: 'b' },
    texts: {
      map: [
        ['0', 'a'],
        ['x', 'b'],
      ],
    },
    mixed: {
      map: [
        [[1, 2], 3],
        [2.5, 4],
        [null, 5],
      ],
    },
    float32: Math.fround(0.1),
    float64: 0.1,
    int64: -(2n ** 60n),
    uint8: 200,
    bool: true,
    float16: null,
    dtype: 'torch.float16',
    device: 'cuda:1',
    layout: 'torch.strided',
    array: { dtype: 'int32', shape: [2, 3], data: [0, 1, 2, 3, 4, 5] },
    fortran: { dtype: 'float64', shape: [2, 3], data: [0, 1, 2, 3, 4, 5] },
    big: { dtype: 'float32', shape: [3], data: [0, 1, 2] },
    parameter: { dtype: 'float32', shape: [2], data: [1, 1] },
    needs: { dtype: 'float32', shape: [1], data: [1] },
    shared: [[1], [1]],
  };
  test.each(['plain.pt', 'plain_protocol4.pt', 'plain_legacy.pt'])('%s', async (name) => {
    const data = (await loadPytorch(pathOf(name))) as Record<string, PytorchData>;
    expect(simple(data)).toEqual(expected);
    const [a, b] = data.shared as PytorchData[];
    expect(a).toBe(b);
    expect(data.tuple).toBeInstanceOf(Tuple);
    expect(data.list).not.toBeInstanceOf(Tuple);
    expect((data.needs as Tensor).requiresGrad).toBe(true);
    // The same once more, through our own writer.
    expect(simple(await loadPytorch(await encodePytorch(data)))).toEqual(expected);
  });
  test('of a training run, with the state of its optimizer', async () => {
    for (const name of ['training.pt', 'training_legacy.pt']) {
      await using file = await openPytorch(pathOf(name));
      const data = (await file.data()) as Record<string, never>;
      expect(data).toMatchObject({ epoch: 3, best: 0.5, args: ['--lr', '0.25'] });
      expect(data.state_dict).toBeInstanceOf(StateDict);
      const { state, param_groups: groups } = data.optimizer as {
        state: Record<string, Record<string, Tensor>>;
        param_groups: { lr: number; betas: number[]; params: number[] }[];
      };
      expect(Object.keys(state)).toEqual(['0', '1', '2', '3']);
      expect(state[2].step.item()).toBe(1);
      expect(groups.map(({ lr, betas, params }) => ({ lr, betas: [...betas], params }))).toEqual([
        { lr: 0.25, betas: [0.5, 0.75], params: [0, 1] },
        { lr: 0.5, betas: [0.5, 0.75], params: [2, 3] },
      ]);
      const [conv, norm] = [new Conv2d(1, 2, 3), new BatchNorm2d(2)];
      const optimizer = new Adam([{ params: conv.parameters() }, { params: norm.parameters() }]);
      optimizer.loadStateDict(data.optimizer);
      expect(optimizer.stateDict().param_groups.map(({ lr }) => lr)).toEqual([0.25, 0.5]);
      expect(Object.keys(optimizer.stateDict().state)).toEqual(['0', '1', '2', '3']);
    }
  });
  test('objects of a script are refused by their path, or kept as descriptions', async () => {
    await expect(loadPytorch(pathOf('unknown.pt'))).rejects.toThrow(
      '"settings" is an object of __main__.Settings, a class that is no plain data',
    );
    const data = (await loadPytorch(pathOf('unknown.pt'), { unknownObjects: 'keep' })) as { settings: UnknownObject };
    expect(data.settings).toBeInstanceOf(UnknownObject);
    expect(data.settings).toMatchObject({ className: '__main__.Settings', args: [], state: { lr: 0.5 } });
    await expect(encodePytorch(data as never)).rejects.toThrow(
      "got an UnknownObject at 'settings': __main__.Settings is no plain data",
    );
  });
});

test('an array of NumPy', async () => {
  expect((await loadNpy(pathOf('array.npy'))).toArray()).toEqual([
    [0, 1, 2],
    [3, 4, 5],
  ]);
});

test('texts of a safetensors file', async () => {
  await using file = await openSafetensors(pathOf('dtypes.safetensors'));
  expect(file.texts).toEqual({ format: 'pt', note: 'a "quoted" ü' });
});

test('a state dict is written and read again in every format', async () => {
  const state = await loadStateDict(pathOf('state.pt'));
  for (const format of ['pytorch', 'safetensors', 'npz'] as const) {
    const again = await loadStateDict(await encodeStateDict(state, format));
    expect(Object.entries(again.toJSON()).sort()).toEqual(Object.entries(state.toJSON()).sort());
    if (format !== 'npz') expect(again.metadata).toEqual(state.metadata);
    // The same tensors give the same bytes.
    expect(await encodeStateDict(state, format)).toEqual(await encodeStateDict(state, format));
  }
});

test('pickles longer than the memory they begin with are whole, wherever they outgrow it', async () => {
  const tail = [1, 300, 70_000, -5, 0.5, 'text', null, true, [2n ** 40n], { a: 1 }, new Set([1]), ones([1])];
  for (let length = 3900; length < 4100; length++) {
    const data = (await loadPytorch(await encodePytorch(['x'.repeat(length), ...tail]))) as PytorchData[];
    expect((data[0] as string).length).toBe(length);
    expect(
      JSON.stringify(
        data.slice(1).map((each) => (each instanceof Set ? [...each] : each)),
        (_, value) => (typeof value === 'bigint' ? Number(value) : value),
      ),
    ).toBe(
      JSON.stringify(
        tail.map((each) => (each instanceof Set ? [...each] : each)),
        (_, value) => (typeof value === 'bigint' ? Number(value) : value),
      ),
    );
  }
});

test('memory that was shared is written once', async () => {
  const state = await loadStateDict(pathOf('views.pt'));
  const bytes = await encodeStateDict(state, 'pytorch');
  const again = await loadStateDict(bytes);
  expect(again.get('again')).toBe(again.get('base'));
  expect(again.get('shaped')!.storage).toBe(again.get('base')!.storage);
  expect(again.get('channels_last')!.memoryFormat).toBe('channelsLast');
});

test.each(['pytorch', 'safetensors', 'npz'] as const)(
  'a %s file is read onto the cpu, whatever device new tensors are made on',
  async (format) => {
    const bytes = await encodeStateDict({ x: tensor([1, 2]) }, format);
    const state = await withDevice('meta', () => loadStateDict(bytes));
    expect(state.get('x')!.device).toBe('cpu');
    expect(state.get('x')!.toArray()).toEqual([1, 2]);
  },
);

test('tensors of the meta device, which have no values, are refused by name of the function', async () => {
  const state = { x: ones([2], { device: 'meta' }) };
  for (const format of ['pytorch', 'safetensors', 'npz'] as const)
    await expect(encodeStateDict(state, format)).rejects.toThrow(
      '[encodeStateDict] a tensor on the meta device has no values',
    );
});
