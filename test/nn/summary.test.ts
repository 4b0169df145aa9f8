// summary: its numbers are torchvision's where these are known, what it says is kept for the backward is what a forward
// on the cpu leaves, and the model stays as it was.
import { beforeEach, describe, expect, test } from 'vitest';
import { currentBackend } from '../../src/device/engine.ts';
import { NotImplementedError } from '../../src/errors.ts';
import {
  add,
  checkpoint,
  defaultGenerator,
  empty,
  manualSeed,
  matmul,
  randn,
  scope,
  setFusion,
  type Tensor,
  withDevice,
  zeros,
} from '../../src/index.ts';
import * as models from '../../src/models/index.ts';
import * as nn from '../../src/nn/index.ts';
import { summary } from '../../src/nn/index.ts';
import { liveBytes } from '../support/live_bytes.ts';

beforeEach(() => void manualSeed(0));

// Parameters and GFLOPS (multiply-adds) as torchvision lists them with its weights.
test.each<[string, () => nn.Module, parameters: number, giga: string]>([
  ['resnet18', models.resnet18, 11_689_512, '1.814'],
  ['resnet50', models.resnet50, 25_557_032, '4.089'],
  ['mobilenetV2', models.mobilenetV2, 3_504_872, '0.301'],
  ['mobilenetV3Large', models.mobilenetV3Large, 5_483_032, '0.217'],
  ['efficientnetB0', models.efficientnetB0, 5_288_548, '0.386'],
  ['densenet121', models.densenet121, 7_978_856, '2.834'],
  ['vgg16Bn', models.vgg16Bn, 138_365_992, '15.470'],
])('%s', (_, make, parameters, giga) => {
  const bytes = liveBytes(() => {
    const model = withDevice('meta', make);
    const counted = summary(model, [1, 3, 224, 224]);
    expect(counted.parameters).toBe(parameters);
    expect((counted.multiplyAdds / 1e9).toFixed(3)).toBe(giga);
    expect(counted.layers[0].outputShapes).toEqual([[1, 1000]]);
    const total = (key: 'parameters' | 'multiplyAdds' | 'keptBytes') =>
      counted.layers.reduce((sum, layer) => sum + layer[key], 0);
    expect([total('parameters'), total('multiplyAdds'), total('keptBytes')]).toEqual([
      counted.parameters,
      counted.multiplyAdds,
      counted.keptBytes,
    ]);
    // Each input of a batch costs the same.
    expect(summary(model, [3, 3, 224, 224]).multiplyAdds).toBe(3 * counted.multiplyAdds);
  });
  expect(bytes).toEqual({ peak: 0, left: 0 });
});

describe('what is kept for the backward', () => {
  /** Bytes in blocks that a forward of a model of the library leaves on the cpu, and how many blocks. */
  function leftBy(model: nn.Module, x: Tensor): { bytes: number; blocks: number; output: number } {
    const count = { bytes: 0, blocks: 0, output: 0 };
    scope(() => void model(x)); // scratch memory is there from now on
    const backend = currentBackend();
    const { allocate, free } = backend;
    scope(() => {
      Object.assign(backend, {
        allocate(...args: Parameters<typeof allocate>) {
          const block = allocate.apply(backend, args);
          count.bytes += block.byteLength;
          count.blocks++;
          return block;
        },
        free(block: ReturnType<typeof allocate>) {
          count.bytes -= block.byteLength;
          count.blocks--;
          free.call(backend, block);
        },
      });
      try {
        count.output = (model(x) as Tensor).storage.byteLength;
      } finally {
        Object.assign(backend, { allocate, free });
      }
    });
    return count;
  }

  const makers: ((options: { numClasses: number }) => nn.Module)[] = [
    models.resnet18,
    models.mobilenetV2,
    models.efficientnetB0,
    models.densenet121,
  ];
  const rows = makers.flatMap((make) =>
    (['contiguous', 'channelsLast'] as const).flatMap((memoryFormat) =>
      [true, false].map((fusion) => [make.name, memoryFormat, fusion, make] as const),
    ),
  );
  test.each(rows)('%s, %s, fusion %s: the memory that a forward leaves', (_, memoryFormat, fusion, make) => {
    setFusion(fusion);
    try {
      // Values do not matter.
      const model: nn.Module = withDevice('meta', () => make({ numClasses: 10 })).toEmpty('cpu');
      for (const parameter of model.parameters()) parameter.detach().zero_();
      const { keptBytes } = summary(model, [2, 3, 32, 32], { memoryFormat });
      const { bytes, blocks, output } = leftBy(model, randn([2, 3, 32, 32], { memoryFormat }));
      // Blocks are rounded up to 64 bytes.
      expect(bytes - output).toBeGreaterThanOrEqual(keptBytes);
      expect(bytes - output).toBeLessThan(keptBytes + 64 * blocks);
    } finally {
      setFusion(true);
    }
  });

  test('nothing of frozen layers but what others need, and of a checkpoint its inputs', () => {
    const block = new nn.Sequential(new nn.Linear(8, 8), new nn.Tanh(), new nn.Linear(8, 8), new nn.Tanh());
    // Both linear layers' inputs, of which the first is the model's, and both functions' results: one of them the
    // other's input.
    expect(summary(block, [4, 8]).keptBytes).toBe(2 * 4 * 8 * 4);
    class Checkpointed extends nn.Module {
      first = new nn.Linear(8, 8);
      block = block;
      forward(x: Tensor): Tensor {
        return checkpoint((t: Tensor) => this.block(t), this.first(x));
      }
    }
    expect(summary(new Checkpointed(), [4, 8]).keptBytes).toBe(4 * 8 * 4);
    block.requiresGrad_(false);
    expect(summary(block, [4, 8])).toMatchObject({ keptBytes: 0, trainableParameters: 0, parameters: 144 });
  });
});

describe('layers', () => {
  class Twice extends nn.Module {
    encoder = new nn.Linear(4, 4);
    scale = new nn.Parameter(zeros([4]));
    unused = new nn.Linear(2, 2);
    list = new nn.ModuleList([new nn.ReLU()]);
    forward(x: Tensor, y: Tensor): Tensor[] {
      const both = [x, y].map((t) => this.list.at(0)(this.encoder(t)));
      return [matmul(both[0], both[1].t()), add(both[0], this.scale)];
    }
  }

  test('a shared layer counts its calls, functions count where they stand, and what was not called is listed for its parameters', () => {
    const counted = summary(new Twice(), [
      [2, 4],
      [3, 4],
    ]);
    expect(counted.layers).toEqual([
      // The matrix product keeps both operands, of which one is what a ReLU has kept, the other a transposed copy.
      {
        path: '',
        type: 'Twice',
        outputShapes: [
          [2, 3],
          [2, 4],
        ],
        calls: 1,
        parameters: 4,
        multiplyAdds: 2 * 3 * 4,
        keptBytes: 3 * 4 * 4,
      },
      {
        path: 'encoder',
        type: 'Linear',
        outputShapes: [[2, 4]],
        calls: 2,
        parameters: 20,
        multiplyAdds: 5 * 4 * 4,
        keptBytes: 0,
      },
      { path: 'unused', type: 'Linear', outputShapes: [], calls: 0, parameters: 6, multiplyAdds: 0, keptBytes: 0 },
      { path: 'list', type: 'ModuleList', outputShapes: [], calls: 0, parameters: 0, multiplyAdds: 0, keptBytes: 0 },
      {
        path: 'list.0',
        type: 'ReLU',
        outputShapes: [[2, 4]],
        calls: 2,
        parameters: 0,
        multiplyAdds: 0,
        keptBytes: 5 * 4 * 4,
      },
    ]);
    expect(counted).toMatchObject({ parameters: 30, inputBytes: 5 * 4 * 4, multiplyAdds: 104 });
  });

  test('tensors stand for inputs of other dtypes, of whatever device', () => {
    const model = new nn.Sequential(new nn.Embedding(10, 6), new nn.Linear(6, 2));
    for (const input of [zeros([2, 3], { dtype: 'int64' }), empty([2, 3], { dtype: 'int64', device: 'meta' })])
      expect(summary(model, input).layers[0].outputShapes).toEqual([[2, 3, 2]]);
    expect(summary(model, [2, 3], { dtype: 'int64' }).multiplyAdds).toBe(6 * 6 * 2);
    const double = new nn.Linear(6, 2).to('float64');
    expect(summary(double, [2, 6]).inputBytes).toBe(2 * 6 * 8);
  });

  test('transposed convolutions multiply as their gradients do', () => {
    expect(summary(new nn.ConvTranspose2d(4, 6, 3, { stride: 2, groups: 2 }), [1, 4, 5, 5])).toMatchObject({
      multiplyAdds: 4 * 5 * 5 * 3 * 3 * 3,
    });
  });

  test('in evaluation mode too, and without gradients being recorded around it', () => {
    const model = new nn.Sequential(new nn.Conv2d(3, 4, 3), new nn.BatchNorm2d(4), new nn.ReLU()).eval();
    const counted = summary(model, [1, 3, 8, 8]);
    expect(counted.multiplyAdds).toBe(36 * 4 * 27);
    expect(counted.layers.map(({ multiplyAdds }) => multiplyAdds)).toEqual([0, 36 * 4 * 27, 0, 0]);
    model.requiresGrad_(false);
    // A convolution that nobody records is deferred; it counts where it stands all the same.
    expect(summary(model, [1, 3, 8, 8]).layers.map(({ multiplyAdds }) => multiplyAdds)).toEqual([0, 36 * 4 * 27, 0, 0]);
  });
});

test('the model stays as it is, and hooks do not run', () => {
  const model = models.cifarResnet20();
  model.layer1.eval();
  let calls = 0;
  model.conv1.registerForwardHook(() => void calls++);
  const before = model.stateDict();
  const values = [...before].map(([key, tensor]) => [key, tensor, tensor.version, tensor.toArray()] as const);
  const modes = model.modules().map(({ training }) => training);
  const random = defaultGenerator.getState();
  summary(model, [2, 3, 32, 32]);
  expect(defaultGenerator.getState()).toEqual(random);
  expect(model.modules().map(({ training }) => training)).toEqual(modes);
  for (const [key, tensor, version, array] of values) {
    expect(model.stateDict().get(key)).toBe(tensor);
    expect([tensor.device, tensor.version]).toEqual(['cpu', version]);
    expect(tensor.toArray()).toEqual(array);
  }
  expect(model.parameters().every(({ grad }) => grad === null)).toBe(true);
  expect(calls).toBe(0);
});

describe('errors', () => {
  test('are those of the forward', () => {
    const model = new nn.Sequential(new nn.Linear(3, 4));
    expect(() => summary(model, [2, 5])).toThrow('mat1 and mat2 shapes cannot be multiplied (2x5 and 3x4)');
    expect(() => summary(new nn.BatchNorm1d(3), [1, 3])).toThrow('Expected more than 1 value per channel');
    expect(() => summary(model, [2.5, 3])).toThrow('[summary] expected a shape of integers, got [2.5, 3]');
    expect(() => summary(model, 5 as never)).toThrow("[summary] expected the shape of the model's input, got 5");
    expect(() => summary(new nn.LazyBatchNorm2d(), [1, 3, 4, 4])).toThrow('[summary] a lazy layer without shapes');
  });

  test('a forward that reads values', () => {
    class Reads extends nn.Module {
      forward(x: Tensor): Tensor {
        return x.sum().item() > 0 ? x : x.neg();
      }
    }
    expect(() => summary(new Reads(), [2])).toThrow(NotImplementedError);
  });
});

test('it prints as a table', () => {
  const model = new nn.Sequential(
    new nn.Conv2d(1, 8, 3, { padding: 1 }),
    new nn.BatchNorm2d(8),
    new nn.ReLU(),
    new nn.Flatten(),
    new nn.Linear(8 * 144, 10),
  );
  expect(String(summary(model, [4, 1, 12, 12]))).toBe(
    `
Layer              Output shape    Parameters  Multiply-adds  Kept for backward
───────────────────────────────────────────────────────────────────────────────
Sequential         [4, 10]                  –              –                  –
  0 (Conv2d)       [4, 8, 12, 12]          80         41,472                  –
  1 (BatchNorm2d)  [4, 8, 12, 12]          16              –           18.1 KiB
  2 (ReLU)         [4, 8, 12, 12]           –              –           18.0 KiB
  3 (Flatten)      [4, 1152]                –              –                  –
  4 (Linear)       [4, 10]             11,530         46,080                  –
───────────────────────────────────────────────────────────────────────────────
Parameters         11,626 (11,626 trainable), 45.4 KiB
Buffers            17, 72 B
Multiply-adds      87,552
Input              2.25 KiB
Kept for backward  36.1 KiB`.slice(1),
  );
});
