// Statistics computed anew: PyTorch's update_bn, and precise batch norm against the statistics of all data; and that
// everything else is as before, however it ends.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { DataLoader, TensorDataset } from '../../src/data/index.ts';
import {
  addStatistics,
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormBase,
  Conv2d,
  Dropout,
  Flatten,
  freezeBatchNorm,
  type InputBatches,
  InterleavedGhostBatchNorm2d,
  Linear,
  Module,
  preciseBatchNorm,
  Sequential,
  SyncBatchNorm,
  updateBatchNorm,
  useStatistics,
} from '../../src/nn/index.ts';
import { cat } from '../../src/ops/shape_ops.ts';
import { SGD } from '../../src/optim/sgd.ts';
import { stageStatistics } from '../../src/optim/staged_statistics.ts';
import { full, ones } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { mirror } from '../support/fake_group.ts';
import { expectClose, readGolden } from '../support/golden.ts';
import { liveBytesOf } from '../support/live_bytes.ts';
import { det, list, type Plain } from '../support/norm_layers.ts';
import { warningsOf } from '../support/warnings.ts';

const golden = readGolden<{ update_bn: Record<string, Plain> }>('averaging.golden.json').update_bn;

const norms = (model: Module) => [...model.modules()].filter((each) => 'runningMean' in each) as BatchNormBase[];
/** All that must be as before, to the bit. */
const everything = (model: Module) => ({
  states: [...model.stateDict()].map(([name, t]) => [name, Array.from(t.storage.bytes())]),
  modes: [...model.modules()].map((each) => each.training),
  momenta: norms(model).map((norm) => norm.momentum),
  controls: norms(model).map((norm) => norm.control),
});
const running = (norm: BatchNormBase) => [
  list(norm.runningMean),
  list(norm.runningVar),
  norm.numBatchesTracked!.item(),
];

/** Mean and unbiased variance per channel of (N, C, …), plainly. */
function statisticsOf(x: Tensor): [number[], number[]] {
  const c = x.shape[1];
  const columns = x.transpose(0, 1).reshape([c, -1]).toArray() as number[][];
  const means = columns.map((column) => column.reduce((a, b) => a + b, 0) / column.length);
  return [
    means,
    columns.map((column, i) => column.reduce((sum, v) => sum + (v - means[i]) ** 2, 0) / (column.length - 1)),
  ];
}

function* failing(batches: Tensor[]): Generator<Tensor> {
  yield* batches;
  throw new Error('the disk is gone');
}

/** Dropout, a layer in evaluation mode, momenta of all kinds. */
function mixed(dtype: 'float32' | 'float64' = 'float64') {
  manualSeed(1);
  const model = new Sequential(
    new Conv2d(2, 3, 3, { dtype }),
    new BatchNorm2d(3, { momentum: 0.3, dtype }),
    new Dropout(0.25),
    new Flatten(),
    new Linear(12, 4, { dtype }),
    new BatchNorm1d(4, { momentum: null, dtype }),
  );
  for (let i = 0; i < 3; i++) model(randn([4, 2, 4, 4], { dtype }));
  model.at(5).eval();
  model.at(2).eval();
  return model;
}

describe('updateBatchNorm', () => {
  it('equals PyTorch 2.13: uneven batches as tensors, tuples and lists, dropout, a layer in evaluation mode', async () => {
    const dtype = 'float64';
    const model = new Sequential(
      new Conv2d(2, 3, 3, { dtype }),
      new BatchNorm2d(3, { momentum: 0.3, dtype }),
      new Dropout(0.25),
      new Flatten(),
      new Linear(12, 4, { dtype }),
      new BatchNorm1d(4, { momentum: null, dtype }),
      new BatchNorm1d(4, { trackRunningStats: false, dtype }),
    );
    [...model.stateDict()].forEach(([name, t], i) => {
      if (t.dtype !== 'int64')
        t.detach().copy_(
          name.endsWith('var')
            ? det(t.shape, 1 + i)
                .abs()
                .add(0.5)
            : det(t.shape, 1 + i),
        );
    });
    model.at(5).eval();
    const before = everything(model);
    const buffers = [...model.buffers()];
    const x = det([9, 2, 4, 4], 3);
    manualSeed(5);
    await updateBatchNorm([x.narrow(0, 0, 4), [x.narrow(0, 4, 3), x], [x.narrow(0, 7, 2)]], model);
    // float64, about a hundred roundings of numbers whose squares are a few hundred.
    for (const [name, buffer] of model.namedBuffers()) expectClose(buffer, golden[name].data, 1e-13, 1e-12, name);
    expect([...model.buffers()]).toEqual(buffers);
    const { modes, momenta, controls } = everything(model);
    expect({ modes, momenta, controls }).toEqual({
      modes: before.modes,
      momenta: before.momenta,
      controls: before.controls,
    });
  });

  it('does not touch the loader without batch norms that track, and resets on an empty one', async () => {
    const untouched = {
      [Symbol.iterator](): Iterator<Tensor> {
        throw new Error('touched');
      },
    };
    await updateBatchNorm(untouched, new Sequential(new Linear(2, 3)));
    const frozen = new Sequential(new BatchNorm1d(3), new BatchNorm1d(3, { trackRunningStats: false }));
    freezeBatchNorm(frozen);
    await updateBatchNorm(untouched, frozen);
    const model = mixed();
    await updateBatchNorm([], model);
    expect(norms(model).map(running)).toEqual([
      [[0, 0, 0], [1, 1, 1], 0],
      [[0, 0, 0, 0], [1, 1, 1, 1], 0],
    ]);
  });

  it.each([
    ['the loader', (x: Tensor): InputBatches => failing([x]), 'the disk is gone'],
    ['the model', (x: Tensor) => [x, ones([1, 7])], 'input to conv2d'],
  ])('leaves everything as it was when %s throws', async (_who, loader, text) => {
    const model = mixed('float32');
    const before = everything(model);
    await expect(updateBatchNorm(loader(randn([4, 2, 4, 4])), model)).rejects.toThrow(text);
    expect(everything(model)).toEqual(before);
  });

  it('works with loaders, asynchronous iterables and a preparation, without warnings', async () => {
    const bytes = randn([10, 3]).mul(20).add(100).to('uint8');
    const prepare = (x: Tensor) => x.to('float32').div(255);
    async function* later() {
      for (const part of bytes.split(4)) yield part;
    }
    const results: unknown[] = [];
    for (const loader of [new DataLoader(new TensorDataset(bytes), { batchSize: 4 }), bytes.split(4), later()]) {
      const model = new BatchNorm1d(3);
      // Warnings come before the first wait of the loop at the latest.
      expect(
        warningsOf(() => void results.push(updateBatchNorm(loader, model, { prepare }).then(() => running(model)))),
      ).toEqual([]);
    }
    const [a, b, c] = await Promise.all(results);
    expect(a).toEqual(b);
    expect(b).toEqual(c);
    expect((a as unknown[])[2]).toBe(3);
  });

  it('moves at once what would wait for an optimizer, and a set of statistics where one is in use', async () => {
    const model = new BatchNorm1d(2);
    const staged = stageStatistics(model, new SGD([...model.parameters()], { lr: 0.1 }));
    await updateBatchNorm([randn([4, 2])], model);
    expect([staged.pending, model.numBatchesTracked!.item()]).toEqual([0, 1]);
    model(randn([4, 2]));
    expect(staged.pending).toBe(1);
    staged.dispose();
    addStatistics(model, 'sketch');
    const own = running(model);
    const other = randn([6, 2]);
    await useStatistics(model, 'sketch', () => updateBatchNorm([other], model));
    expect(running(model)).toEqual(own);
    // float32 means of six numbers.
    expectClose(model.ownBuffers().get('running_mean_sketch')!.tensor!, statisticsOf(other)[0], 1e-6);
  });
});

describe('preciseBatchNorm', () => {
  it('equals the statistics of all data at once, for uneven batches, far from 0 too', async () => {
    manualSeed(3);
    for (const shape of [[4], [4, 5], [4, 3, 2]])
      for (const offset of [0, 1e4]) {
        const Layer = shape.length === 3 ? BatchNorm2d : BatchNorm1d;
        const model = new Layer(4, { dtype: 'float64' });
        // Batches of other means too, so that most of the variance lies between them.
        const batches = [5, 2, 9, 3].map((n, i) => randn([n, ...shape], { dtype: 'float64' }).add(offset + 3 * i));
        const report = await preciseBatchNorm(model, batches);
        const [mean, variance] = statisticsOf(cat(batches));
        // Relative to the standard deviation, which is about 4; a mean of 1e4 has an ulp of 2e-12.
        expectClose(model.runningMean!, mean, 0, offset === 0 ? 1e-12 : 1e-11);
        expectClose(model.runningVar!, variance, offset === 0 ? 1e-12 : 1e-9);
        expect(report.layers[0].samples).toBe((19 * shape.reduce((a, b) => a * b, 1)) / 4);
      }
  });

  it('uses batch statistics in batch norms alone: dropout and all else are in evaluation', async () => {
    const model = mixed();
    const batches = [4, 3, 2].map((n) => randn([n, 2, 4, 4], { dtype: 'float64' }));
    const before = everything(model);
    await preciseBatchNorm(model, batches);
    const [first, second] = norms(model);
    // What arrives at the second layer: each batch normalized by itself, nothing dropped.
    const dataOf = (until: number) =>
      cat(
        batches.map((x) => {
          const part = model.slice(0, until).eval();
          part.at(1).training = true;
          (part.at(1) as BatchNorm2d).trackRunningStats = false;
          const y = part(x) as Tensor;
          (part.at(1) as BatchNorm2d).trackRunningStats = true;
          return y;
        }),
      );
    const [conv, linear] = [cat(batches.map((x) => model.at(0)(x) as Tensor)), dataOf(5)];
    for (const [norm, data] of [
      [first, conv],
      [second, linear],
    ] as const) {
      const [mean, variance] = statisticsOf(data);
      // float64, some hundred roundings of numbers of about 1.
      expectClose(norm.runningMean!, mean, 1e-12, 1e-12);
      expectClose(norm.runningVar!, variance, 1e-12);
    }
    expect(norms(model).map((norm) => norm.numBatchesTracked!.item())).toEqual([3, 3]);
    expect(everything(model).momenta).toEqual(before.momenta);
  });

  it.each<[string, (x: Tensor) => InputBatches, string]>([
    ['the loader throws', (x) => failing([x, x]), 'the disk is gone'],
    ['the model throws', (x) => [x, ones([1, 7])], 'input to conv2d'],
    ['a batch has one value per channel', (x) => [x, randn([1, 2, 3, 3])], 'Expected more than 1 value per channel'],
    ['a value is NaN', (x) => [x, full([4, 2, 4, 4], Number.NaN)], "the input of '1' is NaN or infinite"],
    ['values are too large', (x) => [x, x.mul(1e25)], 'too large for float32 statistics'],
  ])('leaves everything as it was when %s', async (_what, loader, text) => {
    const model = mixed('float32');
    norms(model)[0].runningVar!.fill_(Number.NaN);
    const before = everything(model);
    await expect(preciseBatchNorm(model, loader(randn([4, 2, 4, 4])))).rejects.toThrow(text);
    expect(everything(model)).toEqual(before);
  });

  it('leaves a layer as it was that changes its statistics in eval()', async () => {
    const model = new Sequential(new InterleavedGhostBatchNorm2d(3, { numSplits: 2 }));
    model(randn([4, 3, 2, 2]));
    const before = everything(model);
    await expect(preciseBatchNorm(model, failing([randn([4, 3, 2, 2])]))).rejects.toThrow('the disk is gone');
    expect(everything(model)).toEqual(before);
    const batches = [4, 6].map((n) => randn([n, 3, 2, 2]));
    const { layers } = await preciseBatchNorm(model, batches);
    expect([layers[0].channels, layers[0].samples]).toEqual([6, 20]);
    const [norm] = norms(model);
    // The interleaved halves of each batch, as six channels. float32.
    const [mean, variance] = statisticsOf(cat(batches.map((x) => x.reshape([x.shape[0] / 2, 6, 2, 2]))));
    expectClose(norm.runningMean!, mean, 1e-6, 1e-6);
    expectClose(norm.runningVar!, variance, 1e-6);
  });

  it('merges the forwards of a layer that is used twice', async () => {
    class Twice extends Module {
      norm = new BatchNorm1d(3, { dtype: 'float64' });
      forward(x: Tensor): Tensor {
        this.norm(x);
        return this.norm(x.mul(2).add(5));
      }
    }
    const model = new Twice();
    const batches = [4, 7].map((n) => randn([n, 3], { dtype: 'float64' }));
    const { layers } = await preciseBatchNorm(model, batches);
    const [mean, variance] = statisticsOf(cat(batches.flatMap((x) => [x, x.mul(2).add(5)])));
    expectClose(model.norm.runningMean!, mean, 1e-12);
    expectClose(model.norm.runningVar!, variance, 1e-12);
    expect([layers[0].samples, layers[0].batches]).toEqual([22, 2]);
  });

  it('keeps and names layers that no batch reaches, that are frozen, or that track nothing', async () => {
    class Parts extends Module {
      used = new BatchNorm1d(3);
      unused = new BatchNorm1d(3);
      frozen = new BatchNorm1d(3);
      without = new BatchNorm1d(3, { trackRunningStats: false });
      forward(x: Tensor): Tensor {
        return this.without(this.frozen(this.used(x)));
      }
    }
    const model = new Parts();
    for (const norm of [model.unused, model.frozen]) norm.runningVar!.fill_(3);
    freezeBatchNorm(model.frozen);
    const kept = [model.unused, model.frozen].map(running);
    const report = await preciseBatchNorm(model, [randn([5, 3]).add(4)]);
    expect([model.unused, model.frozen].map(running)).toEqual(kept);
    expect(report.layers.map(({ name }) => name)).toEqual(['used']);
    expect(report.unchanged).toEqual([
      { name: 'unused', reason: 'no batch has reached it' },
      { name: 'frozen', reason: 'its statistics are frozen' },
      { name: 'without', reason: 'it does not track statistics' },
    ]);
    // Empty batches reach nothing.
    expect((await preciseBatchNorm(model, [randn([0, 3])])).layers).toEqual([]);
    expect((await preciseBatchNorm(new Sequential(new Linear(2, 2)), failing([]))).batches).toBe(0);
  });

  it('reports what has changed', async () => {
    const model = new Sequential(new BatchNorm1d(2, { dtype: 'float64' })).eval();
    const norm = model.at(0) as BatchNorm1d;
    norm.runningMean!.copy_(det([2], 3));
    norm.runningVar!.copy_(det([2], 5).abs().add(0.5));
    const [oldMean, oldVar] = [list(norm.runningMean)!, list(norm.runningVar)!];
    const batches = [6, 4, 8].map((n) => randn([n, 2], { dtype: 'float64' }));
    const report = await preciseBatchNorm(model, batches);
    const { shift, varianceRatio, standardError, ...rest } = report.layers[0];
    expect(rest).toEqual({ name: '0', channels: 2, batches: 3, samples: 18, isConverged: null });
    const [mean, variance] = statisticsOf(cat(batches));
    const shifts = mean.map((value, c) => Math.abs(value - oldMean[c]) / Math.sqrt(oldVar[c] + 1e-5));
    expectClose(
      [shift.min, shift.mean, shift.max],
      [Math.min(...shifts), (shifts[0] + shifts[1]) / 2, Math.max(...shifts)],
      1e-12,
    );
    const ratios = variance.map((value, c) => (value + 1e-5) / (oldVar[c] + 1e-5));
    expectClose([varianceRatio.min, varianceRatio.max], [Math.min(...ratios), Math.max(...ratios)], 1e-12);
    // The definition: weighted scatter of the batches' means.
    const errors = mean.map((mu, c) => {
      const between = batches.reduce((sum, x) => sum + x.shape[0] * (statisticsOf(x)[0][c] - mu) ** 2, 0);
      return Math.sqrt(between / (2 * 18)) / Math.sqrt((variance[c] * 17) / 18);
    });
    expectClose([standardError], [Math.max(...errors)], 1e-12);
    expect(String(report).split('\n')).toEqual([
      '3 batches',
      'layer  channels  samples  mean shift    at most  variance ratio   error',
      `0             2       18   ${shift.mean.toFixed(3)} std  ${shift.max.toFixed(3)} std     ${varianceRatio.min.toFixed(3)}-${varianceRatio.max.toFixed(3)}  ${standardError.toFixed(4)}`,
    ]);
    expect((await preciseBatchNorm(model, batches.slice(0, 1))).layers[0].standardError).toBeNaN();
  });

  it('estimates the error of independent batches rightly', async () => {
    manualSeed(7);
    const model = new BatchNorm1d(400, { dtype: 'float64' });
    const sizes = [3, 50, 8, 20, 3, 40, 16, 5, 9, 46];
    // 200 samples: every channel's mean has the standard error 1/√200 = 0.0707; the largest of 400 estimates with 9
    // degrees of freedom is about √(χ²₉ at 1 − 1/400 / 9) = √(25.5/9) = 1.68 times that.
    const { layers } = await preciseBatchNorm(
      model,
      sizes.map((n) => randn([n, 400], { dtype: 'float64' })),
    );
    expect(layers[0].standardError / Math.sqrt(1 / 200)).toBeGreaterThan(1.3);
    expect(layers[0].standardError / Math.sqrt(1 / 200)).toBeLessThan(2.2);
  });

  it('stops when it knows enough, or has seen enough, and asks for no more batches', async () => {
    manualSeed(4);
    let taken = 0;
    let closed = 0;
    function* endless() {
      try {
        for (;;) {
          taken++;
          yield randn([64, 3]).add(7);
        }
      } finally {
        closed++;
      }
    }
    const model = new BatchNorm1d(3);
    const known = await preciseBatchNorm(model, endless(), { standardError: 0.02 });
    // 1/√(64·b) = 0.02 at b = 39, with the largest of three estimates.
    expect(known.batches).toBeGreaterThan(30);
    expect(known.batches).toBeLessThan(90);
    expect([known.layers[0].isConverged, known.layers[0].standardError <= 0.02]).toEqual([true, true]);
    expect(String(known)).toMatch(/converged\n.*yes$/);
    expect([taken, closed]).toEqual([known.batches, 1]);
    // Batches that happen to agree are too few to tell.
    const alike = Array.from({ length: 12 }, () => ones([4, 3]));
    expect((await preciseBatchNorm(model, alike, { standardError: 0.02 })).batches).toBe(10);
    taken = 0;
    const some = await preciseBatchNorm(model, endless(), { maxBatches: 5, standardError: 1e-9 });
    expect([some.batches, taken, closed, some.layers[0].isConverged]).toEqual([5, 5, 2, false]);
  });

  it.each([{ maxBatches: 0 }, { maxBatches: 1.5 }, { standardError: -1 }, { standardError: Number.NaN }])(
    'refuses %j',
    async (options) => {
      await expect(preciseBatchNorm(new BatchNorm1d(1), [], options)).rejects.toThrow(
        expect.objectContaining({ name: 'ValueError' }),
      );
    },
  );

  it('gives a process group the statistics of all', async () => {
    const batches = [4, 3].map((n) => randn([n, 2], { dtype: 'float64' }));
    const model = new SyncBatchNorm(2, { processGroup: mirror, dtype: 'float64' });
    const { layers } = await preciseBatchNorm(model, batches);
    const [mean, variance] = statisticsOf(cat([...batches, ...batches]));
    expect(layers[0].samples).toBe(14);
    expectClose(model.runningMean!, mean, 1e-12);
    expectClose(model.runningVar!, variance, 1e-12);
  });

  it('holds no more memory after many batches than after few', async () => {
    const model = mixed('float32');
    const x = randn([4, 2, 4, 4]);
    const few = await liveBytesOf(() => preciseBatchNorm(model, Array(3).fill(x), { standardError: 1e-9 }));
    const many = await liveBytesOf(() => preciseBatchNorm(model, Array(100).fill(x), { standardError: 1e-9 }));
    expect(many).toEqual(few);
    expect(few.peak).toBeGreaterThan(0);
  });
});
