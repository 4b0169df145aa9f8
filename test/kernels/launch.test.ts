// Natively kernels run beside the JavaScript that called them: in order, on memory that is still there, and whoever
// reads or writes it waits.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { Dtype, Reduction, Unary } from '../../src/device/generated/abi.ts';
import { loadNative } from '../../src/device/native.ts';
import { RuntimeError } from '../../src/errors.ts';
import { gather, ones, tensor, where } from '../../src/index.ts';
import { Storage } from '../../src/tensor/storage.ts';
import { addressBackend } from '../support/address_backend.ts';

const isPossible = loadNative().backend !== null;
const index = new URL('../../src/index.ts', import.meta.url).href;

function native(threads = 2) {
  setEngine('native');
  setNumThreads(threads);
  return addressBackend();
}

const floats = ({ buffer, byteOffset, byteLength }: Uint8Array) => new Float32Array(buffer, byteOffset, byteLength / 4);

/** Keeps the threads busy for some milliseconds, longer than JavaScript needs for the next calls. */
function occupy(size = 2 ** 22, times = 4): Storage {
  const backend = addressBackend();
  const storage = new Storage(4 * size);
  floats(storage.bytes()).fill(0.5);
  for (let i = 0; i < times; i++)
    backend.check('erf', backend.kernels.unary(Unary.erf, Dtype.float32, storage.pin(), storage.pin(), size, 0, 0));
  return storage;
}

const copy = (from: Storage, to: Storage) => {
  const { kernels } = addressBackend();
  addressBackend().check(
    'copy',
    kernels.unary(Unary.abs, Dtype.float32, from.pin(), to.pin(), from.byteLength / 4, 0, 0),
  );
};

test.skipIf(!isPossible)('who writes waits for those who still read, and who reads for the last to write', () => {
  native();
  const [from, to] = [new Storage(4000), new Storage(4000)];
  for (let round = 1; round <= 5; round++) {
    floats(from.bytes()).fill(round);
    occupy();
    copy(from, to);
    floats(from.bytes()).fill(-1);
    expect(new Set(floats(to.bytes()))).toEqual(new Set([round]));
  }
});

test.skipIf(!isPossible)('what nothing waits for is read at once', () => {
  const backend = native();
  const known = new Storage(4000);
  floats(known.bytes()).fill(3);
  let calls = 0;
  const busy = occupy(2 ** 24, 8);
  // Were all of them waited for here, the queue would be empty.
  expect(floats(known.bytes())[999]).toBe(3);
  const launched = (backend as unknown as { addon: { launched(): number; finish(n: number): void } }).addon;
  const { finish } = launched;
  launched.finish = (n) => {
    calls++;
    finish(n);
  };
  try {
    known.bytes();
    expect(calls).toBe(0);
    busy.bytes();
    expect(calls).toBe(1);
  } finally {
    launched.finish = finish;
  }
});

test.skipIf(!isPossible)('a kernel that is refused after its call says so to the next who waits, once', () => {
  const backend = native();
  const storage = new Storage(64);
  const { kernels } = backend;
  const wrong = () =>
    backend.check('max', kernels.reduce(Reduction.max, Dtype.float32, storage.pin(), storage.pin(), 1, 0, 1));
  wrong();
  expect(() => storage.bytes()).toThrow(RuntimeError);
  wrong();
  expect(() => backend.synchronize()).toThrow('[ek_reduce] the kernel refused its arguments (status 2)');
  storage.bytes();
  backend.synchronize();
  setNumThreads(1);
  expect(wrong).toThrow('[max] the kernel refused its arguments (status 2)');
  setNumThreads(2);
});

test.skipIf(!isPossible)('tables of addresses stay until they have been read, whatever their size', () => {
  const backend = native();
  // Of 24 bytes each; there is room for 256 KiB at first.
  for (const rows of [8_000, 20_000, 3]) {
    const from = new Storage(4 * rows);
    const values = floats(from.bytes()).fill(rows).slice();
    const outputs = [0, 1, 2].map(() => new Storage(4 * rows));
    occupy();
    for (const to of outputs) {
      const table = new Float64Array(3 * rows);
      for (let i = 0; i < rows; i++) table.set([from.pin() + 4 * i, to.pin() + 4 * i, 4], 3 * i);
      backend.check('copy', backend.kernels.copyBlocks(backend.doubles(table), rows));
    }
    for (const to of outputs) expect(floats(to.bytes()).subarray(0, rows)).toEqual(values.subarray(0, rows));
  }
});

function run(program: string, ...flags: string[]) {
  const prelude = `
const { ones, full, randn, manualSeed, scope, setEngine, setNumThreads, synchronize } = await import(${JSON.stringify(index)});
setEngine('native');
setNumThreads(2);
const big = ones([2 ** 22]);
const occupy = () => scope(() => { for (let i = 0; i < 8; i++) big.sigmoid(); });
`;
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...flags, '--import', 'tsx', '--input-type=module', '-e', prelude + program],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)), encoding: 'utf8', timeout: 120_000 },
  );
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  return stdout.trim();
}

test.skipIf(!isPossible)(
  'memory that JavaScript has lost is there until the kernels have run',
  () => {
    const program = `
let wrong = 0;
for (let round = 0; round < 30; round++) {
  const sums = [];
  occupy();
  for (let i = 0; i < 20; i++) {
    // Outside of scopes: nothing but the collector takes these, and what is made next overwrites them.
    sums.push(full([20_000], i).add(1).mul(2).sum());
    gc();
    new Float32Array(20_000).fill(NaN);
  }
  sums.forEach((sum, i) => { if (sum.item() !== 40_000 * (i + 1)) wrong++; });
}
console.log(wrong);`;
    expect(run(program, '--expose-gc')).toBe('0');
  },
  120_000,
);

test.skipIf(!isPossible)(
  'a program may end while kernels run',
  () => {
    for (const end of ['process.exit(0);', ''])
      expect(run(`for (let i = 0; i < 10; i++) occupy(); console.log('ends'); ${end}`)).toBe('ends');
  },
  120_000,
);

test.skipIf(!isPossible)(
  'threads of JavaScript launch beside each other, and may end with kernels under way',
  () => {
    const program = `
const { Worker, isMainThread } = await import('node:worker_threads');
const source = \`
const { parentPort } = require('node:worker_threads');
import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))}).then(({ register }) => {
  register();
  return import(${JSON.stringify(index)});
}).then(({ ones, manualSeed, randn, scope, setEngine }) => {
  setEngine('native');
  manualSeed(1);
  const x = randn([64, 64]);
  const sums = [];
  for (let round = 0; round < 50; round++)
    sums.push(scope(() => { let y = x; for (let i = 0; i < 20; i++) y = y.matmul(x).mul(0.1).tanh(); return y.sum().item(); }));
  parentPort.postMessage(sums.join());
  const big = ones([2 ** 22]);
  for (let i = 0; i < 4; i++) big.sigmoid();
  process.exit(0);
});\`;
const results = await Promise.all([0, 1, 2].map(() => new Promise((resolve, reject) => {
  const worker = new Worker(source, { eval: true, execArgv: [] });
  let said;
  worker.on('message', (text) => { said = text; });
  worker.on('error', reject);
  worker.on('exit', () => resolve(said));
})));
const x = randn([256, 256]);
console.log(new Set(results).size, results[0].split(',').length, ones([10]).sum().item());`;
    expect(run(program)).toBe('1 50 10');
  },
  120_000,
);

test.skipIf(!isPossible)(
  'no more memory than a few tensors is held for kernels still to run',
  () => {
    const program = `
const x = ones([2 ** 23]);
const peaks = [1, 2].map((threads) => {
  setNumThreads(threads);
  let peak = 0;
  for (let i = 0, y = x; i < 100; i++) {
    y = y.add(1).mul(0.5);
    peak = Math.max(peak, process.memoryUsage().arrayBuffers);
  }
  return peak;
});
console.log(Math.max(...peaks) / 2 ** 20);`;
    // Tensors of 32 MiB: 128 MiB that may be held, and some more before the collector runs; without a limit it is
    // 2,500.
    expect(Number(run(program))).toBeLessThan(1000);
  },
  120_000,
);

test.skipIf(!isPossible)('what a user can ask for and no kernel can do is an error at the call', () => {
  native();
  const alternating = (first: number) => ones(Array.from({ length: 18 }, (_, i) => (i % 2 === first ? 1 : 2)));
  const [a, b] = [alternating(0), alternating(1)];
  expect(() => a.add(b)).toThrow(
    '[add] expected operands that are broadcast along at most 16 separate dimensions, got more',
  );
  expect(() => where(a.gt(0), b, 1)).toThrow(
    '[where] expected operands that are broadcast along at most 16 separate dimensions, got more',
  );
  expect(() => gather(a.reshape([512]), 0, tensor([512], { dtype: 'int64' }))).toThrow('index 512 is out of bounds');
  expect(() => tensor([1], { dtype: 'int32' }).remainder(0)).toThrow('[remainder] ZeroDivisionError');
});

test.skipIf(!isPossible)(
  'the addon may be loaded more than once',
  () => {
    const path = process.env.EVENKEEL_ADDON ?? 'build/native/evenkeel.node';
    const program = `
const { createRequire } = await import('node:module');
const require = createRequire(${JSON.stringify(import.meta.url)});
const path = ${JSON.stringify(fileURLToPath(new URL(path, new URL('../../', import.meta.url))))};
require(path);
delete require.cache[path];
require(path);
console.log(ones([3]).sum().item());`;
    expect(run(program)).toBe('3');
  },
  120_000,
);
