// Files that somebody damaged or made up: each is refused in words, with the file and the place, before anything comes
// of it.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, describe, expect, test } from 'vitest';
import '../../src/ops/methods.ts';
import { fuzzMutated } from '../../fuzz/files/mutated.ts';
import {
  convertFile,
  encodeStateDict,
  FileFormatError,
  FileReadError,
  loadPytorch,
  loadStateDict,
  loadWeights,
  savePytorch,
  saveStateDict,
} from '../../src/io/index.ts';
import { Linear } from '../../src/nn/index.ts';
import { ones } from '../../src/tensor/create.ts';

const folder = new URL('../golden/checkpoints/', import.meta.url);
const golden = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)));
const work = mkdtempSync(join(tmpdir(), 'evenkeel-bad-'));
afterAll(() => rmSync(work, { recursive: true }));

async function refusal(
  bytes: Uint8Array,
  load: (bytes: Uint8Array) => Promise<unknown> = loadStateDict,
): Promise<FileFormatError> {
  const error: unknown = await load(bytes).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(FileFormatError);
  expect((error as FileFormatError).source).toBe('the given bytes');
  return error as FileFormatError;
}
/** Where the data of a member begin in an archive. */
function dataOf(bytes: Uint8Array, name: string): number {
  const at = Buffer.from(bytes).indexOf(name);
  return at + name.length + new DataView(bytes.buffer).getUint16(at - 2, true);
}
const text = (content: string) => new TextEncoder().encode(content);
/** A file of PyTorch around a pickle. */
const around = (pickle: Uint8Array, storages: Record<string, Uint8Array> = {}) =>
  zipSync(
    {
      'a/data.pkl': pickle,
      'a/version': text('3\n'),
      ...Object.fromEntries(Object.entries(storages).map(([key, bytes]) => [`a/data/${key}`, bytes])),
    },
    { level: 0 },
  );
const pickled = (...parts: (string | number[])[]) =>
  Uint8Array.from([
    0x80,
    2,
    ...parts.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part, 'latin1')] : part)),
    0x2e,
  ]);

describe('nothing that a pickle names is called', () => {
  test.each([
    ['os.system', pickled('cos\nsystem\n', [0x8c, 4], 'true', [0x85, 0x52])],
    ['eval', pickled('c__builtin__\neval\n', [0x8c, 4], '1//0', [0x85, 0x52])],
    ['getattr', pickled('c__builtin__\ngetattr\n', 'c__builtin__\neval\n', [0x8c, 1], 'x', [0x86, 0x52])],
    ['an object of protocol 0', text('(iposix\nsystem\n.')],
    ['a class', pickled('cos\nsystem\n')],
  ])('%s', async (_, pickle) => {
    expect((await refusal(around(pickle), loadPytorch)).message).toMatch(
      /a class that is no plain data and is not made here/,
    );
    expect((await refusal(around(pickle))).message).toContain('it holds no state dict');
  });
});

describe('pickles', () => {
  /** A tensor under a name, of the storage 0, which has one float. */
  const entry = (name: string, size: string, stride: string, offset = 'K\0') => [
    `U${String.fromCharCode(name.length)}${name}ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01tQ`,
    `${offset}(${size}t(${stride}t\x89ccollections\nOrderedDict\n)RtRs`,
  ];
  const tensor = (size: string, stride: string, offset?: string) => pickled('}', ...entry('w', size, stride, offset));
  const one = { 0: new Uint8Array(4) };
  const large = 'J\xff\xff\xff\x7f';
  test('a good one is read', async () => {
    expect((await loadStateDict(around(tensor('K\x01', 'K\x01'), one))).get('w')!.toArray()).toEqual([0]);
    expect((await loadStateDict(around(tensor('K\x03', 'K\0'), one))).get('w')!.toArray()).toEqual([0, 0, 0]);
  });
  test.each([
    ['a shape beyond its storage', tensor('K\x02', 'K\x01'), /needs 8 bytes, but its storage has 4/],
    ['an offset beyond its storage', tensor('K\x01', 'K\x01', 'K\x01'), /needs 8 bytes, but its storage has 4/],
    ['a stride beyond its storage', tensor('K\x02', 'K\x09'), /needs 40 bytes/],
    ['a negative size', tensor('J\xff\xff\xff\xff', 'K\x01'), /of float32 and shape \[-1\]/],
    ['a shape without strides', tensor('K\x01', ''), /has the strides \[\]/],
    ['a bomb of strides of 0', tensor(large, 'K\0'), /repeats its elements up to \d+ bytes, from a file of/],
    ['an absurd size', tensor(`${large}${large}${large}`, 'K\0K\0K\0'), /shape \[2147483647, 2147483647, 2147483647\]/],
  ])('%s', async (_, pickle, words) => {
    expect((await refusal(around(pickle, one))).message).toMatch(words);
  });
  test('many tensors that each repeat a small storage', async () => {
    // A megabyte each, which is no bomb; all of them are.
    const entries = Array.from({ length: 40 }, (_, i) =>
      entry(`w${i}`, `J\0\0\x04\0K${String.fromCharCode(1 + i)}`, 'K\0K\0'),
    );
    const error = await refusal(around(pickled('}', ...entries.flat()), one));
    expect(error.message).toMatch(
      /its tensors repeat the same memory beyond twice the file, from "w\d+" on|repeats its elements/,
    );
  });
  test.each([
    ['no mark', pickled('t'), /has no mark where it needs one/, 2],
    ['an empty stack', pickled('0'), /drops a value that it did not put down/, 2],
    ['an unknown opcode', pickled([0xff]), /there is no opcode 0xff/, 2],
    ['protocol 9', Uint8Array.of(0x80, 9, 0x4e, 0x2e), /protocol 9; known are 0 to 5/, 0],
    [
      'a text longer than the file',
      pickled('X', [255, 255, 255, 127]),
      /needs 2147483647 bytes: the file is truncated/,
      2,
    ],
    ['a text of 2^63 bytes', pickled([0x8d, 255, 255, 255, 255, 255, 255, 255, 127]), /the file is truncated/, 2],
    ['an enormous integer', pickled([0x8b, 255, 255, 255, 127]), /an integer of 2147483647 bytes is too large/, 2],
    ['text that is not UTF-8', pickled([0x8c, 1, 0xff]), /is not UTF-8/, 2],
    ['a memo that is not there', pickled('h', [7]), /recalls value 7, which it did not remember/, 2],
    ['the same key twice', pickled('}(', [0x8c, 1], 'a', 'N', [0x8c, 1], 'a', 'Nu'), /has the key "a" twice/, 12],
    ['a list as a key', pickled('}(]Nu'), /has a key that is no text/, 6],
    ['a state for a list', pickled(']}b'), /gives a state to what is no object/, 4],
    ['values that belong to nothing', pickled('NN'), /belong to nothing/, 4],
  ])('%s', async (_, pickle, words, offset) => {
    const error = await refusal(around(pickle), loadPytorch);
    expect(error.message).toMatch(words);
    expect(error.offset).toBe(offset);
  });
  test('a list in itself, lists of 10^9 levels and of 10^9 elements', async () => {
    const inItself = pickled(']', [0x71, 0], 'h', [0], 'a');
    expect((await refusal(around(inItself), loadPytorch)).message).toMatch(/holds itself/);
    const deep = pickled(']'.repeat(100_000), 'a'.repeat(99_999));
    expect((await refusal(around(deep), loadPytorch)).message).toMatch(/nested more than \d+ levels deep/);
    // A list of ten times the same, thirty levels deep: there are 31 lists.
    const levels = Array.from(
      { length: 30 },
      (_, i) => `](${`h${String.fromCharCode(i)}`.repeat(10)}eq${String.fromCharCode(i + 1)}0`,
    );
    const laughs = (await loadPytorch(around(pickled(']q\x000', ...levels, 'h\x1e')))) as unknown[][];
    expect(laughs.length).toBe(10);
    expect(laughs[9][9]).toBe(laughs[0][0]);
  });
});

describe('zip archives', () => {
  const file = golden('state.pt');
  const directoryOf = (bytes: Uint8Array) => new DataView(bytes.buffer).getUint32(bytes.length - 22 + 16, true);
  const changed = (change: (bytes: Uint8Array, view: DataView, directory: number) => void) => {
    const bytes = file.slice();
    change(bytes, new DataView(bytes.buffer), directoryOf(bytes));
    return bytes;
  };
  test.each([
    ['is cut off', file.slice(0, -30), /the end of the zip archive is missing/],
    [
      'has two members of one name',
      changed((b) => b.set(text('state/data/1'), Buffer.from(b).lastIndexOf('state/data/0'))),
      /two members of the name "state\/data\/1"/,
    ],
    ['has a member that is encrypted', changed((_, v, d) => v.setUint16(d + 8, 0x0801, true)), /is encrypted/],
    [
      'has a member of an unknown method',
      changed((_, v, d) => v.setUint16(d + 10, 99, true)),
      /compressed by method 99/,
    ],
    [
      'has a member larger than the file',
      changed((_, v, d) => [20, 24].map((at) => v.setUint32(d + at, 0x7fffffff, true))),
      /reaches past the archive's directory/,
    ],
    [
      'has a member that begins elsewhere',
      changed((_, v, d) => v.setUint32(d + 42, 3, true)),
      /overlap|is damaged|reaches past/,
    ],
    [
      'has members that overlap',
      changed((_, v, d) => [20, 24].map((at) => v.setUint32(d + at, 1500, true))),
      /overlap/,
    ],
    [
      'has a directory of too many members',
      changed((b, v) => v.setUint16(b.length - 22 + 10, 9999, true)),
      /cannot list 9999 members/,
    ],
    [
      'has a changed pickle',
      changed((b) => b.set([0x42], Buffer.from(b).indexOf('0.weight'))),
      /checksum of the member "state\/data\.pkl" does not match/,
    ],
    [
      'has a changed tensor',
      changed((b) => void (b[dataOf(b, 'state/data/0')] ^= 1)),
      /the checksum of the tensor "0\.weight" does not match/,
    ],
  ])('%s', async (_, bytes, words) => {
    expect((await refusal(bytes)).message).toMatch(words);
  });
  test.each(['../evil.npy', '/evil.npy', 'a/../../evil.npy', 'C:evil.npy', 'a\\evil.npy', './x.npy'])(
    'has the member %s',
    async (name) => {
      expect((await refusal(zipSync({ [name]: new Uint8Array(1) }))).message).toMatch(/leaves the archive's folder/);
      await expect(encodeStateDict({ [name.slice(0, -4)]: ones([1]) }, 'npz')).rejects.toThrow(
        'cannot be that of a file in an archive',
      );
    },
  );
  test('is a bomb', async () => {
    const bomb = zipSync({ 'a.npy': new Uint8Array(80 * 1024 ** 2) });
    expect(bomb.length).toBeLessThan(100_000);
    const before = process.memoryUsage().arrayBuffers;
    expect((await refusal(bomb)).message).toMatch(/as in a zip bomb/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 ** 2);
  });
  test('says that a member grows more than deflate can', async () => {
    const bytes = zipSync({ 'a.npy': new Uint8Array(1000) });
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    view.setUint32(view.getUint32(bytes.length - 22 + 16, true) + 24, 2 ** 31, true);
    expect((await refusal(bytes)).message).toMatch(/cannot grow from \d+ to 2147483648 bytes/);
  });
  test('that are something else', async () => {
    expect((await refusal(zipSync({ 'word/document.xml': text('') }))).message).toMatch(
      /neither of PyTorch nor of NumPy/,
    );
  });
});

describe('other files', () => {
  test.each([
    ['nothing', new Uint8Array(0), /it is empty/],
    ['text', text('hello, this is no file of tensors'), /its first bytes are of none of them/],
    ['a plain pickle', Uint8Array.of(0x80, 2, 0x4e, 0x2e), /it is a pickle, but not one of torch\.save/],
    ['a legacy file that is cut off', golden('state_legacy.pt').slice(0, 700), /truncated/],
    ['a legacy file without its last bytes', golden('state_legacy.pt').slice(0, -1), /does not fit the file/],
    [
      'a legacy file with more bytes',
      Buffer.concat([golden('state_legacy.pt'), new Uint8Array(3)]),
      /3 bytes follow its last storage/,
    ],
    ['an array that is cut off', golden('array.npy').slice(0, -1), /needs 48 bytes, but 47 follow its header/],
    ['a header of 4 GiB', Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 255, 255, 255, 255), /too long/],
    [
      'an index that leaves its folder',
      text('{"weight_map": {"w": "../secret.safetensors"}}'),
      /no name of a file beside it/,
    ],
    ['an index without names', text('{"weight_map": []}'), /no 'weight_map'/],
    ['an index that is no JSON', text('{weight_map'), /not JSON/],
  ])('%s', async (_, bytes, words) => {
    expect((await refusal(new Uint8Array(bytes))).message).toMatch(words);
  });
  test('an index needs its parts, and they what it says', async () => {
    const index = golden('model.safetensors.index.json');
    await expect(loadStateDict(index)).rejects.toThrow("expected the option 'parts'");
    const wrong = () => golden('model-00001-of-00002.safetensors');
    await expect(loadStateDict(index, { parts: wrong })).rejects.toThrow(/which the index does not put there/);
  });
  test('that are not there', async () => {
    const error = await loadStateDict(join(work, 'none.pt')).catch((e) => e);
    expect(error).toBeInstanceOf(FileReadError);
    expect(error.code).toBe('ENOENT');
    expect(error.message).toBe(`[loadStateDict] ${join(work, 'none.pt')}: there is no such file`);
    await expect(loadStateDict(work)).rejects.toThrow('expected a file, got a folder');
    await expect(loadStateDict(5 as never)).rejects.toThrow('[loadStateDict] expected a path, URL, ArrayBuffer');
  });
});

describe('nothing is half done', () => {
  test('a model keeps its weights where the file is damaged', async () => {
    const model = new Linear(2, 2);
    const before = JSON.stringify(model);
    const bytes = await encodeStateDict(new Linear(2, 2).stateDict(), 'pytorch');
    // The last tensor's bytes: all others are good.
    bytes[dataOf(bytes, 'archive/data/1')] ^= 1;
    const error = await loadWeights(model, bytes).catch((e) => e);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(JSON.stringify(model)).toBe(before);
  });
  test('a target keeps its bytes, and no file is left beside it', async () => {
    const target = join(work, 'target.safetensors');
    writeFileSync(target, 'what was there');
    const damaged = golden('state.pt');
    damaged[dataOf(damaged, 'state/data/0')] ^= 1;
    const refused = [
      convertFile(golden('quantized.pt'), target),
      convertFile(damaged, target),
      convertFile(damaged, target, { format: 'pytorch' }),
      convertFile(damaged.subarray(0, 3000), target),
      saveStateDict(target, { w: 1 } as never),
      saveStateDict(target, { __metadata__: ones([1]) }),
      savePytorch(target, { f: () => 1 } as never),
    ];
    for (const each of refused) await expect(each).rejects.toThrow();
    expect(readFileSync(target, 'utf8')).toBe('what was there');
    expect(readdirSync(work)).toEqual(['target.safetensors']);
    await expect(saveStateDict(join(work, 'no/such/folder.pt'), {})).rejects.toThrow('no such file or directory');
    await expect(saveStateDict(join(work, 'x.onnx'), {})).rejects.toThrow('expected a path that ends in .pt, .pth');
  });
});

test('20,000 damaged files end in data or typed errors', async () => {
  expect(await fuzzMutated({ seed: 20261130, count: 20_000, seconds: 600 })).toBe(0);
});
