// accumulate against the one large batch: loss, outputs, all gradients, running statistics and counters, in float64 to
// 1e-10.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNormBase,
  Conv2d,
  Dropout,
  Flatten,
  freezeBatchNorm,
  Linear,
  Module,
  ReLU,
  Sequential,
} from '../../src/nn/index.ts';
import { asked } from '../../src/nn/norm/statistics/statistics_control.ts';
import { crossEntropy } from '../../src/ops/loss.ts';
import { SGD, stageStatistics } from '../../src/optim/index.ts';
import type { DType } from '../../src/tensor/dtype.ts';
import { defaultGenerator, manualSeed } from '../../src/tensor/random/index.ts';
import { randint, randn } from '../../src/tensor/random.ts';
import { keep, type Tensor } from '../../src/tensor/tensor.ts';
import { type AccumulateOptions, accumulate, fit, type LossFunction, type MicroBatch } from '../../src/train/index.ts';
import { setWarningHandler } from '../../src/warnings.ts';
import { expectClose } from '../support/golden.ts';
import { liveBytes } from '../support/live_bytes.ts';

const dtype = 'float64';

/** A layer used twice, one in a checkpoint, and a path around. */
class Tangled extends Module {
  readonly first = new Linear(6, 6, { dtype });
  readonly norm = new BatchNorm1d(6, { dtype });
  readonly inner = new Sequential(new Linear(6, 6, { dtype }), new BatchNorm1d(6, { dtype }), new ReLU());
  readonly last = new Linear(6, 4, { dtype });
  forward(x: Tensor): Tensor {
    const once = this.norm(this.first(x)).tanh();
    const twice = this.norm(this.first(once)).add(once);
    const held = checkpoint((t) => this.norm(this.inner(t) as Tensor), twice);
    return this.last(held.add(twice));
  }
}

const linear = (...norms: number[]) =>
  new Sequential(
    ...norms.flatMap((momentum) => [
      new Linear(6, 6, { dtype }),
      new BatchNorm1d(6, { momentum: momentum || null, dtype }),
      new ReLU(),
    ]),
    new Linear(6, 4, { dtype }),
  );
const conv = (type: DType = dtype) =>
  new Sequential(
    new Conv2d(2, 4, 3, { dtype: type }),
    new BatchNorm2d(4, { dtype: type }),
    new ReLU({ inplace: true }),
    new Conv2d(4, 3, 3, { bias: false, dtype: type }),
    new BatchNorm2d(3, { affine: false, dtype: type }),
    new ReLU(),
    new Flatten(),
    new Linear(12, 5, { dtype: type }),
    new BatchNorm1d(5, { trackRunningStats: false, dtype: type }),
    new Linear(5, 4, { dtype: type }),
  );
const rows = (n: number) => randn([n, 6], { dtype }).mul(2).add(1);
const images = (n: number, type: DType = dtype) => randn([n, 2, 6, 6], { dtype: type }).add(3);

interface Setting {
  make: () => Module;
  input?: (n: number) => Tensor;
  sizes?: number[];
  loss?: LossFunction;
  options?: AccumulateOptions;
  prepare?: (model: Module) => void;
  tolerance?: number;
}

const mean: LossFunction = (output, target) => crossEntropy(output, target);
const sum: LossFunction = (output, target) => crossEntropy(output, target, { reduction: 'sum' });

function compare({
  make,
  input = rows,
  sizes = [4, 4, 4],
  loss = mean,
  options,
  prepare = () => {},
  // Gradients of float64 that were summed in another order.
  tolerance = 1e-10,
}: Setting): { whole: Module; parts: Module } {
  const [whole, parts] = [0, 1].map(() => {
    manualSeed(6);
    const model = make();
    for (const parameter of model.parameters()) if (parameter.rank === 1) parameter.detach().uniform_(0.5, 1.5);
    prepare(model);
    return model;
  });
  const n = sizes.reduce((a, b) => a + b);
  const x = input(n);
  const target = randint(0, 4, [n]);
  const [xWhole, xParts] = [x.clone().requiresGrad_(), x.split(sizes).map((part) => part.requiresGrad_())];
  const state = defaultGenerator.getState();
  const output = whole(xWhole) as Tensor;
  const expected = loss(output, target);
  expected.backward();
  const stateAfter = defaultGenerator.getState();
  defaultGenerator.setState(state);
  const outputs: Tensor[] = [];
  const targets = target.split(sizes);
  const found = accumulate(
    parts,
    xParts.map((part, i): MicroBatch => [part, targets[i]]),
    (y, t) => {
      outputs.push(keep(y.detach()));
      return loss(y, t);
    },
    options,
  );
  expect(defaultGenerator.getState()).toEqual(stateAfter);
  const values = (t: Tensor) => Array.from(t.dataSync() as Float64Array, Number);
  expectClose(found, values(expected), tolerance, tolerance, 'loss');
  expectClose(outputs.flatMap(values), values(output), tolerance, tolerance, 'outputs');
  expectClose(
    xParts.flatMap((part) => values(part.grad!)),
    values(xWhole.grad!),
    tolerance,
    tolerance,
    'dx',
  );
  const wanted = new Map(whole.namedParameters());
  for (const [name, parameter] of parts.namedParameters()) {
    expect(parameter.grad === null).toBe(wanted.get(name)!.grad === null);
    if (parameter.grad) expectClose(parameter.grad, values(wanted.get(name)!.grad!), tolerance, tolerance, `d${name}`);
  }
  const state1 = whole.stateDict();
  for (const [name, t] of parts.stateDict()) expectClose(t, values(state1.get(name)!), tolerance, tolerance, name);
  for (const each of parts.modules()) if (each instanceof BatchNormBase) expect(asked(each, 'normalizers')).toBeNull();
  return { whole, parts };
}

describe("accumulate, statistics: 'exact'", () => {
  it.each([1, 2, 3])('equals one batch with %i batch norms', (count) => {
    compare({ make: () => linear(...Array(count).fill(0.1)) });
  });

  it('equals one batch through convolutions, of all kinds of layers', () => {
    compare({ make: conv, input: images });
    compare({ make: conv, input: (n) => images(n).contiguous('channelsLast'), sizes: [2, 3] });
  });

  it('weighs uneven micro-batches by their samples, down to one', () => {
    compare({ make: () => linear(0.1, 0.3, 0), sizes: [5, 1, 7, 2] });
    compare({ make: conv, input: images, sizes: [1, 3, 2] });
    compare({ make: () => linear(0.1, 0.1), sizes: [1, 1] });
    compare({ make: () => linear(0.1, 0.1), sizes: [9] });
  });

  it('adds losses that are sums', () => {
    compare({ make: () => linear(0.1, 0.1), sizes: [3, 5], loss: sum, options: { reduction: 'sum' } });
  });

  it('follows a layer that is used several times, also in a checkpoint', () => {
    const { parts } = compare({ make: () => new Tangled(), sizes: [3, 4, 2] });
    expect((parts.getSubmodule('norm') as BatchNorm1d).numBatchesTracked!.item()).toBe(3);
  });

  it('drops the same in every sweep', () => {
    // Dropout draws row by row, so that the micro-batches' masks are the large batch's.
    const make = () =>
      new Sequential(
        new Linear(6, 6, { dtype }),
        new BatchNorm1d(6, { dtype }),
        new Dropout(0.4),
        new Linear(6, 6, { dtype }),
        new BatchNorm1d(6, { dtype }),
        new Linear(6, 4, { dtype }),
      );
    compare({ make, sizes: [4, 3, 5] });
  });

  it('leaves frozen layers and layers in evaluation to their running statistics', () => {
    const warmed = (model: Module) => {
      model(rows(8));
      freezeBatchNorm(model.getSubmodule('1'), { affine: false });
      (model.getSubmodule('7') as BatchNorm1d).eval();
    };
    compare({ make: () => linear(0.1, 0.1, 0.1), prepare: warmed });
    // All in evaluation: plain accumulation.
    compare({ make: () => linear(0.1), prepare: (model) => model.eval() });
    compare({ make: () => new Sequential(new Linear(6, 4, { dtype })) });
  });

  it('adds to gradients that are there', () => {
    const { parts } = compare({ make: () => linear(0.1) });
    const gradients = () => [...parts.parameters()].map((p) => p.grad!.toArray());
    const before = gradients();
    accumulate(parts, [[rows(4), randint(0, 4, [4])]], (y) => y.mul(0).sum());
    expect(gradients()).toEqual(before);
    accumulate(parts, [[rows(4), randint(0, 4, [4])]], mean);
    expect(gradients()).not.toEqual(before);
  });

  it('is as near in float32 as float32 is', () => {
    // A sum of 300 float32 gradients in another order: a few times 1e-6.
    compare({ make: () => conv('float32'), input: (n) => images(n, 'float32'), sizes: [4, 4, 3], tolerance: 2e-5 });
  });

  it('needs the memory of one micro-batch', () => {
    const model = conv();
    const targets = randint(0, 4, [24]).split(4);
    const parts = images(24)
      .split(4)
      .map((part, i): MicroBatch => [part, targets[i]]);
    const peak = (count: number) => liveBytes(() => void accumulate(model, parts.slice(0, count), mean)).peak;
    peak(1);
    // Statistics of three layers per micro-batch, and losses, come to a few hundred bytes each. (Scratch stays, and is
    // in neither.)
    expect((peak(6) - peak(1)) / 5).toBeLessThan(0.05 * peak(1));
  });

  it('moves statistics with the step, where they are staged', () => {
    const model = linear(0.1, 0.1);
    const optimizer = new SGD(model.parameters(), { lr: 0.1 });
    const staged = stageStatistics(model, optimizer);
    const norm = model.getSubmodule('1') as BatchNorm1d;
    const parts = (): MicroBatch[] => [3, 5].map((n) => [rows(n), randint(0, 4, [n])]);
    accumulate(model, parts(), crossEntropy);
    expect([staged.pending, norm.numBatchesTracked!.item()]).toEqual([2, 0]);
    optimizer.step();
    expect([staged.pending, norm.numBatchesTracked!.item()]).toEqual([0, 1]);
    const bad = parts();
    bad[1] = [bad[1][0].mul(Number.NaN), bad[1][1]];
    accumulate(model, bad, crossEntropy);
    const handler = setWarningHandler(() => {});
    optimizer.step();
    setWarningHandler(handler);
    expect([staged.skippedSteps, norm.numBatchesTracked!.item()]).toEqual([1, 1]);
  });

  it('trains like fit on the large batch', async () => {
    const [a, b] = [0, 1].map(() => {
      manualSeed(8);
      return linear(0.1, 0.1);
    });
    const batches = Array.from({ length: 4 }, () => [rows(8), randint(0, 4, [8])]);
    await fit(a, { loader: batches, loss: mean, optimizer: new SGD(a.parameters(), { lr: 0.1 }), epochs: 1 });
    const optimizer = new SGD(b.parameters(), { lr: 0.1 });
    for (const [x, y] of batches) {
      optimizer.zeroGrad();
      const halves = y.chunk(2);
      accumulate(
        b,
        x.chunk(2).map((part, i) => [part, halves[i]]),
        mean,
      );
      optimizer.step();
    }
    const expected = a.stateDict();
    // Four steps, each to 1e-10.
    for (const [name, t] of b.stateDict())
      expectClose(t, Array.from(expected.get(name)!.dataSync() as Float64Array, Number), 1e-9, 1e-9, name);
  });
});

describe("accumulate, statistics: 'momentum'", () => {
  it('is plain accumulation with a corrected momentum', () => {
    const [a, b] = [0, 1].map(() => {
      manualSeed(8);
      return linear(0.2, 0);
    });
    const parts: MicroBatch[] = [3, 5].map((n) => [rows(n), randint(0, 4, [n])]);
    const loss = accumulate(a, parts, mean, { statistics: 'momentum' });
    (b.getSubmodule('1') as BatchNorm1d).momentum = 1 - Math.sqrt(0.8);
    let total = 0;
    for (const [x, y] of parts) {
      const part = mean(b(x) as Tensor, y).mul(x.shape[0] / 8);
      part.backward();
      total += part.item();
    }
    expectClose(loss, [total], 1e-14);
    expect([...a.parameters()].map((p) => p.grad!.toArray())).toEqual(
      [...b.parameters()].map((p) => p.grad!.toArray()),
    );
    expect([...a.buffers()].map((t) => t.toArray())).toEqual([...b.buffers()].map((t) => t.toArray()));
    expect((a.getSubmodule('1') as BatchNorm1d).momentum).toBe(0.2);
  });
});

describe('refusals', () => {
  const x = (n: number): MicroBatch => [rows(n), randint(0, 4, [n])];
  const norm = (model: Module) => model.getSubmodule('1') as BatchNorm1d;

  it('leave everything as it was', () => {
    const model = linear(0.1, 0.1);
    const random = defaultGenerator.getState();
    const before = [...model.stateDict()].map(([name, t]) => [name, t.toArray()]);
    const one = x(1);
    const state = defaultGenerator.getState();
    expect(() => accumulate(model, [one], mean)).toThrow('Expected more than 1 value per channel when training, got 1');
    expect(defaultGenerator.getState()).toEqual(state);
    expect(random).not.toEqual(state);
    expect([...model.stateDict()].map(([name, t]) => [name, t.toArray()])).toEqual(before);
    expect(norm(model).control).toBeNull();
    expect(() => accumulate(model, [[rows(3).narrow(1, 0, 5), randint(0, 4, [3])]], mean)).toThrow();
    expect(norm(model).control).toBeNull();
  });

  it('name what is wrong', () => {
    const model = linear(0.1);
    expect(() => accumulate(model, [], mean)).toThrow('[accumulate] expected at least one micro-batch, got none');
    expect(() => accumulate(model, [[rows(3)]], mean)).toThrow(
      'expected inputs and a target, got 1 tensors as micro-batch 0',
    );
    expect(() => accumulate(model, [x(3)], mean, { statistics: 'both' as never })).toThrow("got 'both'");
    expect(() => accumulate(model, [x(3)], mean, { reduction: 'none' as never })).toThrow("got 'none'");
    class Moody extends Module {
      readonly a = new BatchNorm1d(6, { dtype });
      readonly b = new BatchNorm1d(6, { dtype });
      readonly last = new Linear(6, 4, { dtype });
      forward(t: Tensor): Tensor {
        return this.last(t.shape[0] > 3 ? this.a(t) : this.b(t));
      }
    }
    const differently = '[accumulate] expected every micro-batch to pass the same batch norms in the same order';
    expect(() => accumulate(new Moody(), [x(4), x(3)], mean)).toThrow(differently);
    class Short extends Moody {
      override forward(t: Tensor): Tensor {
        return this.last(t.shape[0] > 3 ? this.a(t) : t);
      }
    }
    for (const sizes of [
      [4, 3],
      [3, 4],
    ])
      expect(() => accumulate(new Short(), sizes.map(x), mean)).toThrow(differently);
  });
});
