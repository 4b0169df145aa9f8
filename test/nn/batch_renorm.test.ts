// Batch renormalization against its formulas, element by element, in both published forms; the schedule; what controls
// batch norms.
import { describe, expect, it } from 'vitest';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { gradcheck, gradgradcheck } from '../../src/autograd/gradcheck.ts';
import {
  addStatistics,
  BatchNorm2d,
  BatchNormBase,
  BatchRenorm1d,
  BatchRenorm2d,
  BatchRenorm3d,
  convertSyncBatchNorm,
  freezeBatchNorm,
  functional,
  type Module,
  type RenormLimitOptions,
  RunningStdBatchRenorm1d,
  RunningStdBatchRenorm2d,
  RunningStdBatchRenorm3d,
  Sequential,
  useStatistics,
  withMicroBatches,
  withStatistics,
} from '../../src/nn/index.ts';
import { mseLoss } from '../../src/ops/loss.ts';
import { SGD, stageStatistics } from '../../src/optim/index.ts';
import { ones, tensor, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { accumulate } from '../../src/train/index.ts';
import { expectClose } from '../support/golden.ts';
import { det, list } from '../support/norm_layers.ts';
import { warningsOf } from '../support/warnings.ts';

const values = (t: Tensor) => list(t)!.map(Number);
const clip = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

interface Channel {
  mean: number;
  std: number;
}
interface Form {
  /** σ_B of a biased variance. */
  std(variance: number, eps: number): number;
}
/** Ioffe 2017, algorithm 1: eps inside the root. */
const paper: Form = { std: (variance, eps) => Math.sqrt(variance + eps) };
/** ludvb/batchrenorm: eps outside. */
const port: Form = { std: (variance, eps) => Math.sqrt(variance) + eps };

/** One training step of one layer, channel by channel: y, dx, dweight, dbias; `running` moves. */
function reference(
  { std }: Form,
  x: Tensor,
  g: Tensor,
  [weight, bias]: readonly number[][],
  running: Channel[],
  [eps, momentum, rmax, dmax]: readonly [number, number, number, number],
) {
  const [n, c, ...space] = x.shape;
  const s = space.reduce((a, b) => a * b, 1);
  const [xs, gs] = [values(x), values(g)];
  const [y, dx] = [new Array<number>(xs.length), new Array<number>(xs.length)];
  const [dweight, dbias]: number[][] = [[], []];
  for (let k = 0; k < c; k++) {
    const at = Array.from({ length: n * s }, (_, i) => (Math.floor(i / s) * c + k) * s + (i % s));
    const average = (f: (i: number) => number) => at.reduce((sum, i) => sum + f(i), 0) / at.length;
    const mean = average((i) => xs[i]);
    const variance = average((i) => (xs[i] - mean) ** 2);
    const sigma = std(variance, eps);
    const old = running[k];
    const r = clip(sigma / old.std, 1 / rmax, rmax);
    const d = clip((mean - old.mean) / old.std, -dmax, dmax);
    const normal = (i: number) => (xs[i] - mean) / sigma;
    // The derivative of (x − μ)/σ_B, of which the deviation's part is dσ_B/dx = (x − μ)/(n·root), where root is σ_B
    // without an outer eps.
    const root = std === port.std ? Math.sqrt(variance) : sigma;
    const [meanG, meanGX] = [average((i) => gs[i]), average((i) => gs[i] * normal(i))];
    for (const i of at) {
      y[i] = (normal(i) * r + d) * weight[k] + bias[k];
      dx[i] = ((weight[k] * r) / sigma) * (gs[i] - meanG - ((xs[i] - mean) / root) * meanGX);
    }
    dweight[k] = at.reduce((sum, i) => sum + gs[i] * (normal(i) * r + d), 0);
    dbias[k] = at.reduce((sum, i) => sum + gs[i], 0);
    running[k] = { mean: old.mean + momentum * (mean - old.mean), std: old.std + momentum * (sigma - old.std) };
  }
  return { y, dx, dweight, dbias };
}

const [eps, momentum] = [1e-2, 0.1];
const limits: RenormLimitOptions = { rmax: 1.5, dmax: 0.3 };
const shapes: [rank: number, shape: number[]][] = [
  [1, [6, 3]],
  [1, [4, 3, 5]],
  [2, [3, 3, 4, 2]],
  [3, [2, 3, 2, 3, 2]],
];
// float32: roundings of inputs and sums, magnified by 1/σ.
const tolerance = { float32: 1e-5, float64: 1e-12 };

const forms = {
  paper: { form: paper, layers: [BatchRenorm1d, BatchRenorm2d, BatchRenorm3d] },
  'running_std port': {
    form: port,
    layers: [RunningStdBatchRenorm1d, RunningStdBatchRenorm2d, RunningStdBatchRenorm3d],
  },
} as const;
const rows = Object.entries(forms).flatMap(([name, { form, layers }]) =>
  shapes.flatMap(([rank, shape]) =>
    (['float32', 'float64'] as const).flatMap((dtype) =>
      (shape.length > 3 ? (['contiguous', 'channelsLast'] as const) : (['contiguous'] as const)).map((format) => ({
        name,
        form,
        Layer: layers[rank - 1],
        shape,
        dtype,
        format,
      })),
    ),
  ),
);

describe('both forms', () => {
  it.each(rows)('$name of $shape, $dtype, $format, is its definition over three steps', (row) => {
    const { form, Layer, shape, dtype, format } = row;
    const layer = new Layer(3, { eps, momentum, dtype, ...limits });
    const affine = [1, 2].map((seed) => det([3], seed, dtype));
    layer.weight!.requiresGrad_(false).copy_(affine[0]).requiresGrad_();
    layer.bias!.requiresGrad_(false).copy_(affine[1]).requiresGrad_();
    const start = Math.sqrt(1 + (form === paper ? eps : 0));
    const running = Array.from({ length: 3 }, (): Channel => ({ mean: 0, std: start }));
    const close = (actual: Tensor, expected: readonly number[], what: string) =>
      expectClose(actual, expected, tolerance[dtype], 3 * tolerance[dtype], what);
    for (const step of [0, 1, 2]) {
      const x = det(shape, step, dtype).contiguous(format);
      const g = det(shape, step + 5, dtype);
      const input = x.clone().requiresGrad_();
      const y = layer(input);
      expect(y.memoryFormat).toBe(format);
      for (const p of layer.parameters()) p.grad = null;
      y.backward(g);
      const expected = reference(form, x, g, affine.map(values), running, [eps, momentum, 1.5, 0.3]);
      close(y, expected.y, 'y');
      close(input.grad!, expected.dx, 'dx');
      close(layer.weight!.grad!, expected.dweight, 'dweight');
      close(layer.bias!.grad!, expected.dbias, 'dbias');
    }
    expect(layer.numBatchesTracked!.item()).toBe(3);
    close(
      layer.runningMean!,
      running.map(({ mean }) => mean),
      'running mean',
    );
    const spread = 'runningStd' in layer ? layer.runningStd : layer.runningVar!;
    close(
      spread,
      running.map(({ std }) => (form === paper ? std ** 2 - eps : std)),
      'running deviation',
    );
    const x = det(shape, 9, dtype);
    const c = x.shape.slice(2).reduce((a, b) => a * b, 1);
    close(
      layer.eval()(x.contiguous(format)),
      values(x).map((value, i) => {
        const k = Math.floor(i / c) % 3;
        return ((value - running[k].mean) / running[k].std) * values(affine[0])[k] + values(affine[1])[k];
      }),
      'in evaluation',
    );
  });

  const makers: [
    string,
    (options: RenormLimitOptions & { eps?: number; momentum?: number; dtype?: 'float64' }) => Module,
  ][] = [
    ['paper', (options) => new BatchRenorm2d(2, options)],
    ['running_std port', (options) => new RunningStdBatchRenorm2d(2, options)],
  ];
  it.each(makers)('%s: gradients of every order, where r and d are at their limits and so constants', (_, make) => {
    const x = randn([3, 2, 2, 2], { dtype: 'float64', requiresGrad: true });
    // The running statistics stay what they are, far from the batch's.
    const of = (t: Tensor) => (make({ dtype: 'float64', rmax: 1.01, dmax: 0.01 }) as BatchRenorm2d)(t.mul(9).add(4));
    gradcheck(of, [x]);
    gradgradcheck(of, [x]);
  });

  it.each(makers)('%s: in a checkpoint, one movement and the gradients of a plain run', (_, make) => {
    const run = (through: (fn: (t: Tensor) => Tensor, t: Tensor) => Tensor) => {
      const layer = make(limits);
      const input = det([4, 2, 3, 2], 1, 'float32').requiresGrad_();
      for (let i = 0; i < 2; i++)
        scope(() =>
          through((t) => layer(t) as Tensor, input)
            .mul(det([4, 2, 3, 2], 2, 'float32'))
            .sum()
            .backward(),
        );
      const grads = [input, ...layer.parameters()].map((t) => t.grad!.toArray());
      return [...layer.stateDict().values()].map((t) => t.toArray()).concat(grads);
    };
    expect(run((fn, t) => checkpoint(fn, t))).toEqual(run((fn, t) => fn(t)));
  });

  it.each(makers)('%s: the paper’s schedule by default, counted before the batch', (_, make) => {
    // Running statistics of mean 0 and deviation 1 that do not move, and a batch with both limits out of reach: ±1
    // about 100.
    const [layer, plain] = [{}, { rmax: 1, dmax: 0 }].map(
      (o) => make({ eps: 1e-9, momentum: 0, dtype: 'float64', ...o }) as BatchRenorm2d,
    );
    const base = tensor([1, -1, 1, -1]).to('float64').mul(50).add(100).reshape([4, 1, 1, 1]).expand([4, 2, 1, 1]);
    const correction = (batches: number) => {
      layer.numBatchesTracked!.fill_(batches);
      const [y, normal] = [layer, plain].map((norm) => values(norm(base)));
      // y = normal·r + d, of which normal is ±1.
      const [up, down] = [y[0], y[2]];
      expect([normal[0] > 0, normal[2] < 0]).toEqual([true, true]);
      return [(up - down) / 2, (up + down) / 2].map((value) => Math.round(value * 1e6) / 1e6);
    };
    const expected = (k: number) => [clip((2 / 35000) * k + 25 / 35, 1, 3), clip((5 / 20000) * k - 25 / 20, 0, 5)];
    for (const k of [0, 5000, 5001, 15000, 25000, 30000, 40000, 100000]) expectClose(correction(k), expected(k), 1e-6);
  });

  it.each(makers)('%s: limits are checked', (_, make) => {
    expect(() => make({ rmax: 0.5 })).toThrow('expected rmax to be at least 1, got 0.5');
    expect(() => make({ dmax: { from: 0, to: -1, start: 0, end: 9 } })).toThrow(
      'expected dmax to be at least 0, got 0 to -1',
    );
    expect(() => make({ rmax: Number.NaN })).toThrow('got NaN');
    expect(() => make({ rmax: { from: 1, to: 2, start: 9, end: 9 } })).toThrow('to end after its start, got 9 to 9');
    const layer = make({});
    expect(() => layer(zeros([2, 2, 3]))).toThrow('expected 4D input (got 3D input)');
    expect(layer(zeros([0, 2, 3, 3])).shape).toEqual([0, 2, 3, 3]);
    expect(() => layer(zeros([2, 3, 3, 3]))).toThrow('should contain 3 elements not 2');
  });
});

describe('BatchRenorm2d', () => {
  const x = (seed = 1) => det([4, 3, 3, 2], seed, 'float32');

  it('is batch norm without its correction', () => {
    const layer = new BatchRenorm2d(3, { rmax: 1, dmax: 0 });
    expect(layer(x()).toArray()).toEqual(new BatchNorm2d(3, { eps: 1e-3 })(x()).toArray());
  });

  it('has a batch norm’s state, by which a BatchNorm2d evaluates alike', () => {
    const layer = new BatchRenorm2d(3, limits);
    layer(x());
    const bn = new BatchNorm2d(3, { eps: 1e-3 }).eval();
    expect(String(bn.loadStateDict(layer.stateDict()))).toBe('<All keys matched successfully>');
    expect(layer.eval()(x()).toArray()).toEqual(bn(x()).toArray());
    expect(String(layer)).toBe('BatchRenorm2d(3, eps=0.001, momentum=0.01, affine=True, track_running_stats=True)');
    expect(layer).toBeInstanceOf(BatchNormBase);
  });

  it('with momentum null averages means and deviations', () => {
    const layer = new BatchRenorm1d(1, { momentum: null, eps: 0, dtype: 'float64' });
    for (const values of [
      [0, 2],
      [4, 10],
    ])
      layer(tensor(values).to('float64').reshape([2, 1]));
    expectClose(layer.runningMean!, [(1 + 7) / 2], 1e-12);
    expectClose(layer.runningVar!, [((1 + 3) / 2) ** 2], 1e-12);
  });

  it('refuses one value per channel and what has lost its statistics', () => {
    const layer = new BatchRenorm2d(3);
    expect(() => layer(zeros([1, 3, 1, 1]))).toThrow('Expected more than 1 value per channel when training');
    expect(layer.runningMean!.toArray()).toEqual([0, 0, 0]);
    layer.runningMean = null;
    expect(() => layer(x())).toThrow('[BatchRenorm2d] expected running statistics and their counter, got null');
  });

  it('is controlled as batch norms are', () => {
    const layer = new BatchRenorm2d(3, limits);
    layer(x());
    const state = () => [...layer.stateDict().values()].map((t) => t.toArray());
    const before = state();
    // The correction by the running statistics without their movement.
    const still = withStatistics(layer, 'batch', () => layer(x(2))).toArray();
    expect(state()).toEqual(before);
    layer.trackRunningStats = false;
    expect(layer(x(2)).toArray()).toEqual(still);
    layer.trackRunningStats = true;
    addStatistics(layer, 'night');
    expect(useStatistics(layer, 'night', () => layer(x(2))).toArray()).toEqual(still);
    expect(state().slice(0, 5)).toEqual(before);
    expect(layer(x(2)).toArray()).toEqual(still);
    freezeBatchNorm(layer);
    expect(layer(x()).toArray()).toEqual(layer.eval()(x()).toArray());
  });

  it('moves by its own rule where movements are staged', () => {
    const [staging, plain] = [0, 1].map(() => new BatchRenorm2d(3, { ...limits, momentum: 0.5 }));
    const optimizer = new SGD(staging.parameters(), { lr: 0 });
    stageStatistics(staging, optimizer);
    for (const seed of [1, 2]) {
      const y = staging(x(seed));
      y.sum().backward();
      optimizer.step();
      expect(y.toArray()).toEqual(plain(x(seed)).toArray());
    }
    expect([...staging.buffers()].map((t) => t.toArray())).toEqual([...plain.buffers()].map((t) => t.toArray()));
  });

  it('weighs micro-batches as one batch, and is refused where they should be one', () => {
    const layer = new BatchRenorm2d(3, { momentum: 0.19 });
    withMicroBatches(layer, 2, () => [1, 1].map((seed) => layer(x(seed))));
    const whole = new BatchRenorm2d(3, { momentum: 0.19 });
    whole(x());
    expectClose(layer.runningMean!, values(whole.runningMean!), 1e-6);
    expect(() => accumulate(new Sequential(layer), [[x(), zeros([4])]], mseLoss)).toThrow(
      'BatchRenorm2d does not normalize',
    );
    expect(warningsOf(() => convertSyncBatchNorm(layer))).toEqual([
      expect.stringMatching(/^BatchRenorm2d has a forward/),
    ]);
  });
});

describe('RunningStdBatchRenorm2d', () => {
  it('has the port’s keys, with a weight and a bias even where these are not used', () => {
    const layer = new RunningStdBatchRenorm2d(2, { affine: false });
    expect([...layer.stateDict()].map(([name, t]) => [name, t.toArray()])).toEqual([
      ['weight', [1, 1]],
      ['bias', [0, 0]],
      ['running_mean', [0, 0]],
      ['running_std', [1, 1]],
      ['num_batches_tracked', 0],
    ]);
    layer.weight.requiresGrad_(false).fill_(7);
    const x = det([4, 2, 3, 2], 1, 'float32');
    expect(layer(x).toArray()).toEqual(new RunningStdBatchRenorm2d(2)(x).toArray());
    expect(String(layer)).toBe('RunningStdBatchRenorm2d()');
  });

  it('takes one value per channel and constant channels, without NaN', () => {
    const layer = new RunningStdBatchRenorm2d(2, limits);
    for (const shape of [
      [1, 2, 1, 1],
      [3, 2, 2, 2],
    ]) {
      const x = ones(shape).requiresGrad_();
      const y = layer(x.mul(3));
      y.backward(det(shape, 1, 'float32'));
      expect(values(x.grad!).every(Number.isFinite)).toBe(true);
      // d alone, at its limit.
      expectClose(
        y,
        values(y).map(() => 0.3),
        1e-6,
      );
    }
  });
});

describe('functional forms', () => {
  it('do what the layers do, and check their sizes', () => {
    manualSeed(1);
    const x = randn([4, 3, 2, 2]);
    const statistics = () => [zeros([3]), ones([3])] as const;
    const options = { training: true, momentum: 0.01, eps: 1e-3, rmax: 1.5, dmax: 0.3 };
    for (const [Layer, fn] of [
      [BatchRenorm2d, functional.batchRenorm],
      [RunningStdBatchRenorm2d, functional.runningStdBatchRenorm],
    ] as const) {
      const layer = new Layer(3, limits);
      const [mean, spread] = statistics();
      expect(fn(x, mean, spread, options).toArray()).toEqual(layer(x).toArray());
      expect(mean.toArray()).toEqual(layer.runningMean!.toArray());
      expect(fn(x, mean, spread, { ...options, training: false }).toArray()).toEqual(layer.eval()(x).toArray());
      expect(() => fn(x, zeros([4]), spread, options)).toThrow('runningMean should contain 3 elements not 4');
      expect(() => fn(zeros([3]), mean, spread, options)).toThrow('expected at least 2D input (got 1D input)');
      expect(() => fn(x.to('int64'), mean, spread, options)).toThrow('not implemented');
      expect(() => fn(x, mean, spread.requiresGrad_(), options)).toThrow(
        'is not differentiable with respect to argument',
      );
    }
  });
});
