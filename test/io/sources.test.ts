// Where bytes come from: memory, Blobs, servers with and without ranges, sources of one's own; in a browser too. And
// that nobody reads more than he asked for.

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createContext, runInContext } from 'node:vm';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import '../../src/ops/methods.ts';
import { crc32, crc32ByTables } from '../../src/files/crc32.ts';
import { failing } from '../../src/io/errors.ts';
import {
  type ByteSource,
  encodePytorch,
  encodeStateDict,
  FileReadError,
  loadStateDict,
  openPytorch,
  openTensors,
} from '../../src/io/index.ts';
import { ZipReader } from '../../src/io/zip_reader.ts';
import { writeZip } from '../../src/io/zip_writer.ts';
import { arange, ones } from '../../src/tensor/create.ts';
import { setWarningHandler } from '../../src/warnings.ts';

const showWarning = setWarningHandler(() => {});
afterAll(() => void setWarningHandler(showWarning));

const folder = new URL('../golden/checkpoints/', import.meta.url);
const golden = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)));
const expected = (name: string) => loadStateDict(golden(name)).then((state) => JSON.stringify(state));
const names = ['state.pt', 'state_legacy.pt', 'arrays.npz', 'compressed.npz'];

describe('what may be given', () => {
  test.each(names)('%s', async (name) => {
    const bytes = golden(name);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    const sources = [
      bytes.buffer,
      shifted.subarray(3),
      new DataView(shifted.buffer, 3),
      new Blob([bytes]),
      new File([bytes], name),
      new Response(bytes),
      new URL(name, folder),
      String(new URL(name, folder)),
    ];
    for (const source of sources) expect(JSON.stringify(await loadStateDict(source))).toBe(await expected(name));
    expect((await loadStateDict(new File([bytes], name))).source).toBe(name);
  });
  test('parts of an index come from where one says', async () => {
    const parts = (name: string) => new Blob([golden(name)]);
    const state = await loadStateDict(golden('model.safetensors.index.json'), { parts });
    expect(JSON.stringify(state)).toBe(
      JSON.stringify(await loadStateDict(new URL('model.safetensors.index.json', folder))),
    );
  });
  test('a response that is none of a file', async () => {
    await expect(loadStateDict(new Response('', { status: 404 }))).rejects.toThrow('the server answered 404');
  });
});

describe('a server', () => {
  let server: Server;
  let base: string;
  let requests: string[] = [];
  let tag = '"1"';
  const large = ones([300_000]);
  let file: Uint8Array;
  beforeAll(async () => {
    file = await encodeStateDict({ large, small: arange(0, 3, 1), other: large.mul(2) }, 'pytorch');
    server = createServer((request, response) => {
      const path = request.url!.slice(1);
      if (path === 'none') return void response.writeHead(404).end();
      if (path === 'broken') {
        response.writeHead(200, { 'content-length': file.length });
        response.write(file.subarray(0, 1000), () => response.destroy());
        return;
      }
      const bytes = path.startsWith('large') || path.startsWith('whole') ? file : golden(path);
      const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
      requests.push(range ? `${path} ${range[1]}-${range[2]}` : path);
      if (!range || path.startsWith('whole')) return void response.writeHead(200).end(bytes);
      const [start, end] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)];
      response.writeHead(206, { 'content-range': `bytes ${start}-${end}/${bytes.length}`, etag: tag });
      response.end(bytes.subarray(start, end + 1));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(() => void server.close());

  test('with ranges is asked for what is wanted only', async () => {
    requests = [];
    await using open = await openTensors(`${base}large.pt`);
    expect((await open.get('small')).toArray()).toEqual([0, 1, 2]);
    const bytes = requests.reduce((sum, line) => {
      const [, start, end] = /(\d+)-(\d+)$/.exec(line)!;
      return sum + Number(end) - Number(start) + 1;
    }, 0);
    // Twice 64 KiB, at the beginning and at the end, where the directory is looked for; the file has 2.4 MB.
    expect(bytes).toBeLessThan(140_000);
    expect(file.length).toBeGreaterThan(2_400_000);
  });
  test('with ranges is asked once for everything where everything is wanted', async () => {
    requests = [];
    const state = await loadStateDict(`${base}large.pt`);
    expect([...state.keys()]).toEqual(['large', 'small', 'other']);
    expect(requests.filter((line) => line.endsWith(`-${file.length - 1}`) && line.includes(' 0-')).length).toBe(1);
    expect(requests.length).toBeLessThan(8);
  });
  test('without ranges', async () => {
    expect((await loadStateDict(`${base}whole.pt`)).get('small')!.toArray()).toEqual([0, 1, 2]);
  });
  test('with an index, whose parts lie beside it', async () => {
    const state = await loadStateDict(`${base}model.safetensors.index.json`);
    expect(state.size).toBe(14);
  });
  test('that has no such file, changes it meanwhile, or is not there', async () => {
    const error = await loadStateDict(`${base}none`).catch((e) => e);
    expect(error).toBeInstanceOf(FileReadError);
    expect(error.code).toBe('404');
    const open = await openTensors(`${base}large.pt`);
    tag = '"2"';
    await expect(open.get('other')).rejects.toThrow('the file behind the URL changed while it was read');
    tag = '"1"';
    await expect(loadStateDict('http://127.0.0.1:9/none.pt')).rejects.toThrow('the request failed');
    // A connection that ends in the middle.
    for (const source of [`${base}broken`, await fetch(`${base}broken`)]) {
      const cut = await loadStateDict(source).catch((e) => e);
      expect(cut).toBeInstanceOf(FileReadError);
      expect(cut.message).toMatch(/^\[loadStateDict\] .*broken: the request failed: terminated/);
    }
  });
});

/** A file of zeros but for a few places, which counts what is read of it. */
class SparseSource implements ByteSource {
  readonly name = 'sparse';
  size = 0;
  bytesRead = 0;
  private readonly pieces: { start: number; bytes: Uint8Array }[] = [];
  add(bytes: Uint8Array | number): void {
    if (typeof bytes !== 'number') this.pieces.push({ start: this.size, bytes: bytes.slice() });
    this.size += typeof bytes === 'number' ? bytes : bytes.length;
  }
  async read(start: number, end: number): Promise<Uint8Array> {
    this.bytesRead += end - start;
    const out = new Uint8Array(end - start);
    for (const piece of this.pieces) {
      const [from, to] = [Math.max(start, piece.start), Math.min(end, piece.start + piece.bytes.length)];
      if (from < to) out.set(piece.bytes.subarray(from - piece.start, to - piece.start), from - start);
    }
    return out;
  }
}

describe('a file of more than 4 GiB', () => {
  const zeros = new Uint8Array(64 * 1024 ** 2);
  const gigabytes = 4.5 * 1024 ** 3;
  const source = new SparseSource();
  beforeAll(async () => {
    // Two tensors of 4.5 GiB of zeros around a small one: members, offsets and the directory all need ZIP64.
    const vast = async function* () {
      for (let left = gigabytes; left > 0; left -= zeros.length) yield zeros;
    };
    const floats = gigabytes / 4;
    const number = (value: number) =>
      `\x8a\x05${String.fromCharCode(...[0, 8, 16, 24, 32].map((bit) => Math.floor(value / 2 ** bit) % 256))}`;
    const entry = (name: string, key: string, count: number) =>
      `U${String.fromCharCode(name.length)}${name}ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01${key}U\x03cpu${number(count)}tQ` +
      `K\0(${number(count)}t(K\x01t\x89ccollections\nOrderedDict\n)RtRs`;
    const pickle = Buffer.from(
      `\x80\x02}${entry('vast', '0', floats)}${entry('small', '1', 3)}${entry('more', '2', floats)}.`,
      'latin1',
    );
    const member = (name: string, bytes: Uint8Array) => ({
      name: `a/${name}`,
      size: bytes.length,
      bytes: async function* () {
        yield bytes;
      },
    });
    const small = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
    const file = writeZip([
      member('data.pkl', pickle),
      { name: 'a/data/0', size: gigabytes, bytes: vast },
      member('data/1', small),
      { name: 'a/data/2', size: gigabytes, bytes: vast },
      member('version', Buffer.from('3\n')),
    ]);
    for await (const piece of file) source.add(piece === zeros ? piece.length : piece);
  });
  test('gives one tensor for its own bytes', async () => {
    expect(source.size).toBeGreaterThan(9 * 1024 ** 3);
    const open = await openPytorch(source);
    const before = source.bytesRead;
    // What describes the tensors: the pickle, the directory, and where it is looked for.
    expect(before).toBeLessThan(70_000);
    expect((await open.get('small')).toArray()).toEqual([1, 2, 3]);
    expect(open.info('more')).toMatchObject({ bytes: gigabytes, shape: [gigabytes / 4] });
    // 12 bytes, and the header in front of them.
    expect(source.bytesRead - before).toBeLessThan(12 + 100);
  });
});

test('an archive of more than 65,535 members', async () => {
  const entries = Array.from({ length: 70_000 }, (_, i) => ({
    name: `${i}`,
    size: 1,
    bytes: async function* () {
      yield Uint8Array.of(i & 255);
    },
  }));
  const source = new SparseSource();
  const parts: Uint8Array[] = [];
  for await (const piece of writeZip(entries)) parts.push(piece.slice());
  source.add(new Uint8Array(Buffer.concat(parts)));
  const zip = await ZipReader.open(source, failing('test', 'zip'));
  expect(zip.members.size).toBe(70_000);
  expect(await zip.read('69999')).toEqual(Uint8Array.of(69999 & 255));
});

test('checksums by tables are those of zlib', () => {
  // Of the catalogue of CRCs: CRC-32/ISO-HDLC.
  expect(crc32ByTables(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 37 + length);
    expect(crc32ByTables(bytes)).toBe(crc32(bytes));
    expect(crc32ByTables(bytes.subarray(length >> 1), crc32ByTables(bytes.subarray(0, length >> 1)))).toBe(
      crc32(bytes),
    );
  }
});

test('a bundle for browsers reads and writes without Node', async () => {
  const entry = `
    import { tensor } from './src/index.ts';
    import { Linear } from './src/nn/index.ts';
    import { encodeStateDict, loadStateDict, loadWeights, saveStateDict } from './src/io/index.ts';
    export async function run(bytes) {
      const state = await loadStateDict(new Blob([bytes]));
      const model = new Linear(2, 2);
      const again = new Linear(2, 2);
      const encoded = await encodeStateDict(model.stateDict(), 'safetensors');
      const report = await loadWeights(again, encoded, { print: false });
      const refused = await saveStateDict('x.pt', {}).catch((error) => error.message);
      return JSON.stringify({ keys: [...state.keys()], loaded: report.loaded.length, same: JSON.stringify(model) === JSON.stringify(again), refused });
    }`;
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: new URL('../..', import.meta.url).pathname, loader: 'ts' },
    bundle: true,
    platform: 'browser',
    format: 'iife',
    globalName: 'page',
    write: false,
    // package.json says which files of dist/ must be kept, not which of src/.
    ignoreAnnotations: true,
    logLevel: 'silent',
  });
  expect(outputFiles[0].text).not.toMatch(/(from|import|require)\s*\(?["']node:/);
  const {
    Blob,
    TextDecoder,
    TextEncoder,
    WebAssembly,
    console,
    setTimeout,
    performance,
    URL: Url,
    Response: Reply,
  } = globalThis;
  const page = createContext({
    Blob,
    TextDecoder,
    TextEncoder,
    WebAssembly,
    console,
    setTimeout,
    performance,
    URL: Url,
    Response: Reply,
    Uint8Array,
    ArrayBuffer,
    atob,
  });
  runInContext(`${outputFiles[0].text}; globalThis.page = page;`, page);
  const result = JSON.parse(await (page.page as { run(bytes: Uint8Array): Promise<string> }).run(golden('state.pt')));
  expect(result).toEqual({
    keys: [...(await loadStateDict(golden('state.pt'))).keys()],
    loaded: 2,
    same: true,
    refused:
      '[saveStateDict] there are no files here; encodeStateDict and encodePytorch give bytes for a Blob or a request',
  });
}, 120_000);

test('numbers and texts too are written for a request', async () => {
  const response = new Response(new Blob([await encodePytorch({ epoch: 1, w: ones([2]) })]));
  expect((await openPytorch(response)).keys()).toEqual(['w']);
});
