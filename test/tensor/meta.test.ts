// The meta device: where tensors are made, what moves them, what they say of themselves, and what cannot be asked of
// them. That every operation gives the right shapes there is tested with the cases (test/cases/meta.test.ts).
import { afterEach, describe, expect, test } from 'vitest';
import { currentBackend } from '../../src/device/engine.ts';
import { NotImplementedError, RuntimeError } from '../../src/errors.ts';
import * as ek from '../../src/index.ts';
import {
  type Device,
  defaultGenerator,
  empty,
  getEngine,
  grad,
  manualSeed,
  ones,
  rand,
  randn,
  scope,
  setEngine,
  type Tensor,
  tensor,
  withDevice,
  zeros,
} from '../../src/index.ts';
import { resnet18 } from '../../src/models/index.ts';
import * as nn from '../../src/nn/index.ts';
import * as optim from '../../src/optim/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { liveBytes } from '../support/live_bytes.ts';

const meta = { device: 'meta' } as const;
const onMeta = (shape: readonly number[] = [2, 3]) => ones(shape, meta);

describe('device', () => {
  // biome-ignore format: one line a function reads better
  const makers: [string, (options: { device?: Device }) => Tensor][] = [
    ['tensor', (o) => tensor([[1, 2, 3], [4, 5, 6]], o)],
    ['tensor of a typed array', (o) => tensor(Float64Array.of(1, 2, 3), o)],
    ['tensor of a tensor', (o) => tensor(ones([2, 3], { device: 'cpu' }), o)],
    ['fromTypedArray', (o) => ek.fromTypedArray(Float32Array.of(1, 2), [2, 1], o)],
    ['full', (o) => ek.full([2, 3], 7, o)],
    ['zeros', (o) => zeros([2, 3], o)],
    ['ones, channels last', (o) => ones([2, 3, 4, 5], { ...o, memoryFormat: 'channelsLast' })],
    ['empty', (o) => empty([2, 3], o)],
    ['arange', (o) => ek.arange(5, undefined, 1, o)],
    ['linspace', (o) => ek.linspace(0, 1, 5, o)],
    ['eye', (o) => ek.eye(3, 4, o)],
    ['rand', (o) => rand([2, 3], o)],
    ['randn, float64', (o) => randn([2, 3], { ...o, dtype: 'float64' })],
    ['randint', (o) => ek.randint(0, 5, [2, 3], o)],
    ['randperm', (o) => ek.randperm(5, o)],
    ['zerosLike', (o) => ek.zerosLike(ones([2, 3]), o)],
    ['onesLike', (o) => ek.onesLike(ones([2, 3]), o)],
    ['fullLike', (o) => ek.fullLike(ones([2, 3]), 2, o)],
    ['emptyLike', (o) => ek.emptyLike(ones([2, 3]), o)],
    ['randLike', (o) => ek.randLike(ones([2, 3]), o)],
    ['randnLike', (o) => ek.randnLike(ones([2, 3]), o)],
  ];
  const described = ({ shape, dtype, memoryFormat, requiresGrad }: Tensor) => ({
    shape: [...shape],
    dtype,
    memoryFormat,
    requiresGrad,
  });

  test.each(makers)('%s is made where it is asked for', (_, make) => {
    const here = make({});
    expect([here.device, make({ device: 'cpu' }).device]).toEqual(['cpu', 'cpu']);
    const bytes = liveBytes(() => {
      const there = make(meta);
      expect(there.device).toBe('meta');
      expect(described(there)).toEqual(described(here));
    });
    // Only what is handed to it.
    expect(bytes.left).toBe(0);
    withDevice('meta', () => {
      expect(make({ device: 'cpu' }).device).toBe('cpu');
      expect(described(make({}))).toEqual(described(here));
    });
  });

  test('what is made like a tensor, or from it, lives where it does', () => {
    const x = onMeta();
    const all = [ek.zerosLike(x), ek.onesLike(x), ek.fullLike(x, 2), ek.emptyLike(x), ek.randLike(x), ek.randnLike(x)];
    const made = [...all, tensor(x), ek.bernoulli(x), x.add(1), x.index([0]), x.detach(), x.clone(), x.to('float64')];
    expect(made.map(({ device }) => device)).toEqual(made.map(() => 'meta'));
    const here = ones([2, 3]);
    withDevice('meta', () => {
      expect([here.add(1), here.index([0, 1]), ek.zerosLike(here), here.pad([1, 1])].map((t) => t.device)).toEqual(
        Array(4).fill('cpu'),
      );
      expect(zeros([2]).device).toBe('meta');
    });
  });

  test('withDevice ends with the function, however that ends, and may be nested', async () => {
    expect(() =>
      withDevice('meta', () => {
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(zeros([1]).device).toBe('cpu');
    withDevice('meta', () => {
      withDevice('cpu', () => expect(zeros([1]).device).toBe('cpu'));
      expect(zeros([1]).device).toBe('meta');
    });
    const device = await withDevice('meta', async () => {
      await null;
      return zeros([1]).device;
    });
    expect([device, zeros([1]).device]).toEqual(['meta', 'cpu']);
  });

  test('an engine is one of the cpu', () => {
    const engine = getEngine();
    try {
      withDevice('meta', () => {
        expect(getEngine()).toBe(engine);
        setEngine('wasm');
        expect([getEngine(), zeros([1]).device, zeros([1], { device: 'cpu' }).backend.name]).toEqual([
          'wasm',
          'meta',
          'wasm',
        ]);
      });
    } finally {
      setEngine(engine);
    }
  });

  test.each([
    ['zeros', () => zeros([1], { device: 'gpu' as never }), 'device'],
    ['withDevice', () => withDevice('cuda' as never, () => 0), 'withDevice'],
    ['to', () => zeros([1]).to({ device: 'gpu' as never }), 'device'],
  ])('%s: another device is an error', (_, run, name) => {
    expect(run).toThrow(new RegExp(`^\\[${name}\\] expected 'cpu' or 'meta' as device, got '(gpu|cuda)'$`));
  });
});

describe('what has no values', () => {
  test.each<[string, (x: Tensor) => unknown]>([
    ['dataSync', (x) => x.dataSync()],
    ['data', (x) => x.data()],
    ['toArray', (x) => x.toArray()],
    ['item', (x) => x.sum().item()],
    ['to', (x) => x.to('cpu')],
    ['copy', (x) => zeros([2, 3]).copy_(x)],
    ['tensor', (x) => tensor(x, { device: 'cpu' })],
  ])('%s says so', async (name, read) => {
    const error = await Promise.resolve()
      .then(() => read(onMeta()))
      .then(
        () => null,
        (thrown: unknown) => thrown,
      );
    expect(error).toBeInstanceOf(NotImplementedError);
    expect((error as Error).message).toBe(
      `[${name === 'copy' ? 'to' : name}] a tensor on the meta device has no values: Cannot copy out of meta tensor; no data!`,
    );
  });

  test.each<[string, (x: Tensor) => unknown]>([
    ['nonzero', (x) => ek.nonzero(x)],
    ['maskedSelect', (x) => x.maskedSelect(x.gt(0))],
    ['index', (x) => x.index(x.gt(0))],
    ['setIndex', (x) => x.setIndex(x.gt(0), onMeta([6]))],
  ])('%s says that it needs them for a shape', (name, run) => {
    expect(() => run(onMeta())).toThrow(
      new NotImplementedError(
        `[${name}] the shape of the result depends on the values of a tensor on the meta device, which has none`,
      ),
    );
  });

  test('what only changes by values, works', () => {
    const x = onMeta();
    const index = zeros([2], { ...meta, dtype: 'int64' });
    expect(x.setIndex(x.lt(0), 0).shape).toEqual([2, 3]);
    expect(x.maskedFill(x.lt(0), 1).shape).toEqual([2, 3]);
    expect(x.maskedScatter(x.lt(0), onMeta([9])).shape).toEqual([2, 3]);
    expect(x.index(zeros([], { ...meta, dtype: 'int64' })).shape).toEqual([3]);
    expect(x.index(':', index).shape).toEqual([2, 2]);
    expect(x.copy_(zeros([2, 3])).device).toBe('meta');
    expect([x.normal_(), x.fill_(2), x.add_(1), x.zero_()].every((t) => t === x)).toBe(true);
    expect(index.remainder(0).dtype).toBe('int64');
  });

  // As PyTorch prints them.
  test.each<[Tensor, string]>([
    [onMeta(), "tensor(..., device='meta', size=(2, 3))"],
    [ones([2], { ...meta, dtype: 'int64' }), "tensor(..., device='meta', size=(2,), dtype=torch.int64)"],
    [ones([], { ...meta, requiresGrad: true }), "tensor(..., device='meta', size=(), requires_grad=True)"],
    [ones([0, 3], { ...meta, dtype: 'bool' }), "tensor(..., device='meta', size=(0, 3), dtype=torch.bool)"],
    [
      ones([2], { ...meta, dtype: 'float64', requiresGrad: true }).mul(2),
      "tensor(..., device='meta', size=(2,), dtype=torch.float64,\n       grad_fn=<mulBackward>)",
    ],
  ])('is printed without them', (x, text) => {
    expect(String(x)).toBe(text);
  });
});

describe('two devices', () => {
  test.each<[string, (here: Tensor, there: Tensor) => unknown]>([
    ['add', (here, there) => here.add(there)],
    ['matmul', (here, there) => here.matmul(there)],
    ['where', (here, there) => ek.where(here.gt(0), here, there)],
    ['cat', (here, there) => ek.cat([here, there])],
    ['add_', (here, there) => here.add_(there)],
    ['setIndex', (here, there) => here.setIndex(0, there)],
    ['index', (here, there) => here.index(there.to('int64'))],
    ['crossEntropy', (here, there) => nn.functional.crossEntropy(here, there)],
    ['crossEntropy', (here, there) => nn.functional.crossEntropy(here, there.index(0).to('int64'))],
  ])('%s refuses them', (_, run) => {
    const text = (a: Device, b: Device) =>
      `Expected all tensors to be on the same device, but found at least two devices, ${a} and ${b}!`;
    expect(() => run(ones([3, 3]), onMeta([3, 3]))).toThrow(text('cpu', 'meta'));
    expect(() => run(onMeta([3, 3]), ones([3, 3]))).toThrow(text('meta', 'cpu'));
  });

  test('gradients are where their tensors are', () => {
    const x = ones([2, 3], { requiresGrad: true });
    expect(() => {
      x.grad = onMeta();
    }).toThrow(
      "attempting to assign a gradient with device type 'meta' to a tensor with device type 'cpu'. Please ensure that the gradient and the tensor are on the same device",
    );
    expect(() => x.mul(2).backward(onMeta())).toThrow('[backward] invalid gradient - expected device cpu but got meta');
    expect(() => x.to('meta').sum().backward()).toThrow('Cannot copy out of meta tensor; no data!');
  });

  test('to moves, converts, or both', () => {
    const x = ones([2, 3, 4, 5], { memoryFormat: 'channelsLast' });
    const moved = x.to({ device: 'meta', dtype: 'float64' });
    expect([moved.device, moved.dtype, moved.memoryFormat]).toEqual(['meta', 'float64', 'channelsLast']);
    expect([x.to('cpu'), x.to('float32'), x.to({}), x.to({ device: 'cpu', dtype: 'float32' })]).toEqual([x, x, x, x]);
    expect(moved.to('meta')).toBe(moved);
    expect(moved.to('int64').dtype).toBe('int64');
  });
});

describe('randomness', () => {
  afterEach(() => manualSeed(0));

  test('nothing is drawn, and no generator moves', () => {
    manualSeed(3);
    const expected = rand([4]).toArray();
    manualSeed(3);
    const state = defaultGenerator.getState();
    withDevice('meta', () => {
      randn([100]);
      rand([100]);
      ek.randint(0, 5, [100]);
      ek.randperm(100);
      ek.bernoulli(rand([5]));
      empty([5]).normal_();
      empty([5]).uniform_();
      ek.truncNormal_(empty([5]));
      nn.functional.dropout(ones([5, 5]), 0.5, { training: true });
      new nn.Conv2d(3, 4, 3);
      new nn.Embedding(10, 3, { paddingIdx: 1 });
    });
    expect(defaultGenerator.getState()).toEqual(state);
    expect(rand([4]).toArray()).toEqual(expected);
    expect(() => rand([2], { ...meta, dtype: 'int64' })).toThrow('not implemented for');
    expect(() => ek.randint(5, 5, [2], meta)).toThrow("random_ expects 'from' to be less than 'to'");
    expect(() => ek.randperm(-1, meta)).toThrow('Trying to create tensor with negative dimension -1: [-1]');
  });
});

describe('modules', () => {
  const make = () =>
    new nn.Sequential(
      new nn.Conv2d(3, 4, 3, { padding: 1 }),
      new nn.BatchNorm2d(4),
      new nn.ReLU(),
      new nn.Dropout(0.5),
      new nn.AdaptiveAvgPool2d(1),
      new nn.Flatten(),
      new nn.Linear(4, 5),
    );

  test.each<[string, (parameters: Tensor[]) => { step(): void; zeroGrad(): void }]>([
    ['SGD', (p) => new SGD(p, { lr: 0.1, momentum: 0.9 })],
    ['Adam', (p) => new optim.Adam(p)],
    ['AdamW', (p) => new optim.AdamW(p)],
    ['RMSprop', (p) => new optim.RMSprop(p)],
    ['Adagrad', (p) => new optim.Adagrad(p)],
    ['Adadelta', (p) => new optim.Adadelta(p)],
    ['Adamax', (p) => new optim.Adamax(p)],
    ['NAdam', (p) => new optim.NAdam(p)],
    ['RAdam', (p) => new optim.RAdam(p)],
    ['Rprop', (p) => new optim.Rprop(p)],
    ['ASGD', (p) => new optim.ASGD(p)],
    ['Adafactor', (p) => new optim.Adafactor(p)],
  ])('made and trained there, with %s, without memory', (_, optimizerOf) => {
    const bytes = liveBytes(() =>
      withDevice('meta', () => {
        const model = make();
        const optimizer = optimizerOf(model.parameters());
        for (let step = 0; step < 2; step++) {
          optimizer.zeroGrad();
          const targets = empty([4], { dtype: 'int64' });
          nn.functional.crossEntropy(model(empty([4, 3, 8, 8])), targets).backward();
          expect(optim.clipGradNorm(model.parameters(), 1).shape).toEqual([]);
          optimizer.step();
        }
        expect(model.parameters().map(({ grad, device }) => [grad!.device, device])).toEqual(
          model.parameters().map(() => ['meta', 'meta']),
        );
        model.eval();
        expect(model(empty([1, 3, 8, 8])).shape).toEqual([1, 5]);
      }),
    );
    expect(bytes).toEqual({ peak: 0, left: 0 });
    expect(currentBackend().name).toBe(getEngine());
  });

  test('to moves parameters and buffers, which remain the same objects', () => {
    const model = make();
    const parameters = model.parameters();
    model.parameters()[0].grad = ones(model.parameters()[0].shape);
    model.to({ device: 'meta', dtype: 'float64' });
    expect(model.parameters()).toEqual(parameters);
    expect(model.parameters().every((p, i) => p === parameters[i] && p.device === 'meta')).toBe(true);
    expect(model.parameters()[0].grad!.device).toBe('meta');
    expect(model.buffers().map(({ device, dtype }) => [device, dtype])).toEqual([
      ['meta', 'float64'],
      ['meta', 'float64'],
      ['meta', 'int64'],
    ]);
    expect(() => model.to('cpu')).toThrow(
      new NotImplementedError(
        "Cannot copy out of meta tensor; no data! Please use module.toEmpty('cpu') instead of module.to('cpu') when moving a module from the meta device to another.",
      ),
    );
    expect(model.to('meta').to('float32').parameters()[0].dtype).toBe('float32');
  });

  test('toEmpty gives memory, loadStateDict values', () => {
    manualSeed(0);
    const source = make();
    const model = withDevice('meta', make);
    const [first] = model.parameters();
    expect(model.loadStateDict(source.stateDict()).missingKeys).toEqual([]);
    expect(first.device).toBe('meta');
    expect(() => source.loadStateDict(model.stateDict())).toThrow(
      /While copying the parameter named "0\.weight", .* an exception occurred: \[loadStateDict\] a tensor on the meta device has no values/,
    );
    model.toEmpty('cpu').loadStateDict(source.stateDict());
    expect(model.parameters()[0]).toBe(first);
    const x = ones([2, 3, 4, 4]);
    expect(model.eval()(x).toArray()).toEqual(source.eval()(x).toArray());
  });

  test('lazy layers take their memory where they were made', () => {
    const norm = withDevice('meta', () => new nn.LazyBatchNorm2d());
    norm(empty([2, 3, 4, 4], meta));
    expect([norm.weight!.device, norm.runningMean!.device]).toEqual(['meta', 'meta']);
    expect(new nn.LazyBatchNorm2d().to('meta')(empty([2, 3, 4, 4], meta)).device).toBe('meta');
  });

  test('spectral norm, weight norm, masks and other norms', () => {
    withDevice('meta', () => {
      const x = empty([4, 6]);
      expect(nn.spectralNorm(new nn.Linear(6, 4))(x).shape).toEqual([4, 4]);
      expect(nn.weightNorm(new nn.Linear(6, 4))(x).shape).toEqual([4, 4]);
      const image = empty([2, 4, 6, 6], { requiresGrad: true });
      for (const layer of [
        new nn.GroupNorm(2, 4),
        new nn.InstanceNorm2d(4),
        new nn.LayerNorm([4, 6, 6]),
        new nn.BatchRenorm2d(4),
        new nn.InterleavedGhostBatchNorm2d(4, { numSplits: 2 }),
        new nn.LocalResponseNorm(3),
        new nn.InPlaceABN(4),
      ] as nn.Module[]) {
        const y = layer(image.clone()) as Tensor;
        expect(y.shape).toEqual([2, 4, 6, 6]);
        expect(grad([y.sum()], [image])[0].device).toBe('meta');
      }
    });
  });

  test('fusion decides as on the cpu', () => {
    const cpu = resnet18({ numClasses: 10 });
    const model = withDevice('meta', () => resnet18({ numClasses: 10 }));
    for (const memoryFormat of ['contiguous', 'channelsLast'] as const) {
      const shape = [2, 3, 32, 32];
      const there = String(model.explain(empty(shape, { device: 'meta', memoryFormat })));
      expect(there).toBe(String(cpu.explain(randn(shape, { memoryFormat }))));
    }
  });

  test('a checkpoint runs again', () => {
    withDevice('meta', () => {
      const block = make();
      const x = empty([4, 3, 8, 8], { requiresGrad: true });
      ek.checkpoint((t: Tensor) => block(t), x)
        .sum()
        .backward();
      expect([x.grad!.shape, x.grad!.device]).toEqual([[4, 3, 8, 8], 'meta']);
    });
  });

  test('statistics on another device than the input are refused', () => {
    const norm = new nn.BatchNorm2d(3, { momentum: null });
    norm.numBatchesTracked = zeros([], { ...meta, dtype: 'int64' });
    expect(() => norm(randn([2, 3, 4, 4]))).toThrow(
      'Expected all tensors to be on the same device, but found at least two devices, cpu and meta!',
    );
  });

  test('a scope gives nothing back where nothing was taken', () => {
    const x = scope(() => onMeta().add(1));
    expect(x.add(1).shape).toEqual([2, 3]);
    expect(() => x.storage.requireLive()).not.toThrow(RuntimeError);
  });
});
