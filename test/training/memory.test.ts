// Memory stays flat in a plain synchronous loop, written as in PyTorch: no scope, no disposal, nothing awaited. 10,000
// steps at batch 256 are measured by `npm run bench -- --suite memory`; here fewer and smaller ones, in which a leak of
// any kind would still show.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import '../../src/index.ts';
import { DataLoader, TensorDataset } from '../../src/data/index.ts';
import { currentBackend } from '../../src/device/engine.ts';
import { WasmBackend } from '../../src/device/wasm.ts';
import { lenetBatchNorm } from '../../src/models/lenet.ts';
import { crossEntropy } from '../../src/ops/loss.ts';
import { Adam, SGD } from '../../src/optim/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { rand, randint, randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { keep } from '../../src/tensor/tensor.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const MiB = 2 ** 20;
const batch = 16;

function lenetSteps() {
  manualSeed(0);
  const model = lenetBatchNorm();
  const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
  const x = randn([batch, 1, 28, 28]);
  const y = randint(0, 10, [batch]);
  return (count: number) => {
    for (let i = 0; i < count; i++) {
      optimizer.zeroGrad();
      crossEntropy(model(x), y).backward();
      optimizer.step();
    }
  };
}

/** What a process holds that grows if anything leaks, after garbage collection. */
function held(): { heap: number; buffers: number } {
  currentBackend().synchronize();
  // The second round waits for the buffers that the first one has set free.
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers };
}

/** Bytes of the WebAssembly memory in use or ever used; 0 on the native engine. */
const linearMemory = (): number => {
  const backend = currentBackend();
  return backend instanceof WasmBackend ? backend.buffer().byteLength : 0;
};

test('resident memory is bounded while a loop runs that never pauses', () => {
  const run = lenetSteps();
  run(150);
  const peak = () => {
    let highest = 0;
    for (let i = 0; i < 25; i++) {
      run(10);
      highest = Math.max(highest, process.memoryUsage.rss());
    }
    return highest;
  };
  // A step allocates 6 MiB. Between two collections the engine may let garbage of some 60 MiB pile up, hence the bound;
  // were only the parameters' gradients (240 KiB a step) to stay, the second 250 steps would add 60 MiB, the
  // activations 1.5 GiB.
  const first = peak();
  const second = peak();
  expect((second - first) / MiB).toBeLessThan(40);
});

test('nothing at all stays behind, step after step', () => {
  const run = lenetSteps();
  // Until WebAssembly's memory has reached its budget, nothing there is moved out.
  run(getSteps());
  const before = held();
  const linear = linearMemory();
  run(200);
  const after = held();
  // 200 steps record about 10,000 nodes and tensors: 1 MiB would be 100 bytes for each.
  expect((after.heap - before.heap) / MiB).toBeLessThan(1);
  if (currentBackend() instanceof WasmBackend) {
    // Blocks that died in linear memory are only noticed when it is full; then they make room, and it does not grow.
    expect(linearMemory()).toBe(linear);
    expect((after.buffers - before.buffers) / MiB).toBeLessThan(16);
  } else {
    // The blocks of the last kernel calls may still be held, a few of 300 KiB; one activation a step would be 60 MiB.
    expect((after.buffers - before.buffers) / MiB).toBeLessThan(2);
  }
});

/** Steps until WebAssembly's memory is full and has been cleared out several times. */
function getSteps(): number {
  return currentBackend() instanceof WasmBackend ? 150 : 30;
}

describe('other ways of holding on', () => {
  const grows = (run: () => void, rounds = 30): number => {
    for (let i = 0; i < rounds; i++) run();
    const before = held();
    for (let i = 0; i < rounds; i++) run();
    const after = held();
    return (after.heap - before.heap + after.buffers - before.buffers) / MiB;
  };
  // 30 rounds that each leave one tensor of 1 MiB would leave 30 MiB; WebAssembly's moved-out blocks come in portions
  // of 8 MiB.
  const bound = 10;
  const big = () => randn([512, 512], { requiresGrad: true });

  test('a graph without backward goes with its last tensor', () => {
    const x = big();
    expect(grows(() => void x.mul(2).sigmoid().sum())).toBeLessThan(bound);
  });

  test('a backward that fails leaves nothing', () => {
    const x = big();
    expect(
      grows(() => {
        const y = x.sigmoid();
        y.registerHook(() => {
          throw new Error('refused');
        });
        try {
          y.sum().backward();
        } catch {
          x.grad = null;
        }
      }),
    ).toBeLessThan(bound);
  });

  test('higher orders', () => {
    const x = randn([256, 256], { requiresGrad: true });
    expect(
      grows(() => {
        x.mul(x).mul(x).sum().backward(null, { createGraph: true });
        x.grad!.mul(x.grad!).sum().backward();
        x.grad = null;
      }),
    ).toBeLessThan(bound);
  });

  test('losses kept as tensors, whose graphs have been walked', () => {
    // PyTorch users know `losses.append(loss)`: the graph's nodes stay, what they saved is gone.
    const x = big();
    const losses: unknown[] = [];
    expect(
      grows(() => {
        const loss = x.sigmoid().mul(x).sum();
        loss.backward();
        x.grad = null;
        losses.push(loss);
      }),
    ).toBeLessThan(bound);
  });

  test('scopes that throw, and loops left early', () => {
    const x = big();
    const dataset = new TensorDataset(rand([8, 4]));
    expect(
      grows(() => {
        try {
          scope(() => {
            x.mul(2);
            throw new Error('inside');
          });
        } catch {
          // As expected.
        }
        for (const [row] of new DataLoader(dataset, { batchSize: 2 })) {
          x.mul(row.sum());
          break;
        }
      }),
    ).toBeLessThan(bound);
  });

  test('what outlives its scope and is lost later', () => {
    // Each round loses 8 MiB. Room for those of one half is there once the first one's have been collected.
    const weight = randn([1024, 1024], { requiresGrad: true });
    expect(
      grows(() =>
        scope(() => {
          weight.grad = null;
          weight.mul(2).sum().backward();
          expect(weight.grad).not.toBeNull();
          keep(weight.detach().mul(2));
        }),
      ),
    ).toBeLessThan(bound);
  });

  test('new models and optimizers, one after the other', () => {
    expect(
      grows(() => {
        const model = lenetBatchNorm();
        const optimizer = new Adam(model.parameters());
        crossEntropy(model(randn([4, 1, 28, 28])), randint(0, 10, [4])).backward();
        optimizer.step();
      }),
    ).toBeLessThan(bound);
  });
});

describe('the WebAssembly memory', () => {
  const size = 64 * 1024;
  const fill = (backend: WasmBackend, blocks: number, bytes = size) => {
    for (let i = 0; i < blocks; i++) backend.allocate(bytes);
  };

  test('moves what was used longest ago out, and keeps its bytes', () => {
    const backend = new WasmBackend(4 * MiB);
    const kept = backend.allocate(size);
    kept.bytes().fill(7);
    fill(backend, 1000);
    expect(backend.buffer().byteLength).toBeLessThan(24 * MiB);
    expect(kept.bytes().every((v) => v === 7)).toBe(true);
    const address = kept.pin();
    expect(new Uint8Array(backend.buffer(), address, size).every((v) => v === 7)).toBe(true);
  });

  test('makes room for small blocks too, however many have died', () => {
    const backend = new WasmBackend(4 * MiB);
    fill(backend, 500_000, 64); // 32 MB of losses and the like
    expect(backend.memory().allocated).toBeLessThanOrEqual(4 * MiB);
  });

  test('does not grow for a tensor that is used now and then', () => {
    const backend = new WasmBackend(4 * MiB);
    const seldom = backend.allocate(MiB);
    let grown = 0;
    for (let i = 0; i < 100; i++) {
      fill(backend, 200);
      seldom.pin();
      backend.check('test', 0);
      if (i === 20) grown = backend.buffer().byteLength;
    }
    expect(backend.buffer().byteLength).toBe(grown);
  });

  test('grows to hold what is used all the time', () => {
    const backend = new WasmBackend(4 * MiB);
    const blocks = Array.from({ length: 160 }, () => backend.allocate(size)); // 10 MiB
    for (let round = 0; round < 20; round++)
      for (const block of blocks) {
        backend.allocate(size);
        block.pin();
        backend.check('test', 0);
      }
    // All of them stay in place for a whole round.
    const addresses = blocks.map((block) => block.address);
    expect(addresses.every((address) => address !== 0)).toBe(true);
  });
});
