// stageStatistics: a bad batch leaves every bit as it was, whatever is bad about it; a good one moves what plain
// training moves.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { BatchNorm1d, type BatchNormBase, Linear, type Module, ReLU, Sequential } from '../../src/nn/index.ts';
import { Adam, type Optimizer, SGD, StagedStatistics, stageStatistics } from '../../src/optim/index.ts';
import { full, tensor } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { fit, NonFiniteLossError } from '../../src/train/index.ts';
import { recordWarnings } from '../support/warnings.ts';

const net = (momentum: number | null = 0.1) => {
  manualSeed(4);
  return new Sequential(
    new Linear(3, 5),
    new BatchNorm1d(5, { momentum }),
    new ReLU(),
    new Linear(5, 4),
    new BatchNorm1d(4, { momentum }),
  );
};
type AnyOptimizer = Pick<Optimizer, 'step' | 'zeroGrad' | 'stateDict'>;
const bits = (model: Module, optimizer: AnyOptimizer) => [
  [...model.stateDict()].map(([name, t]) => [name, Array.from(t.dataSync(), String)]),
  Object.values(optimizer.stateDict().state).map((state) =>
    Object.entries(state).map(([name, value]) => [name, Array.from((value as Tensor).dataSync(), String)]),
  ),
];
const counter = (model: Module) => (model.getSubmodule('1') as BatchNormBase).numBatchesTracked!.item();
const lossOf = (model: Module, x: Tensor) => (model(x) as Tensor).square().sum();
const step = (model: Module, optimizer: AnyOptimizer, ...batches: Tensor[]) => {
  optimizer.zeroGrad();
  for (const x of batches) lossOf(model, x).backward();
  optimizer.step();
};

const warnings = recordWarnings();

describe('good steps', () => {
  it.each([0.1, null])('move exactly what plain training moves, momentum %s', (momentum) => {
    const run = (isStaged: boolean) => {
      const model = net(momentum);
      const optimizer = new Adam(model.parameters(), { lr: 0.01 });
      const staged = isStaged ? stageStatistics(model, optimizer) : null;
      // One and several forwards a step; those of a step come in order.
      for (let i = 0; i < 3; i++) step(model, optimizer, ...Array.from({ length: i + 1 }, () => randn([6, 3])));
      expect(staged?.committed ?? 12).toBe(12);
      return bits(model, optimizer);
    };
    expect(run(true)).toEqual(run(false));
  });

  it('come with the step, not with the forward', () => {
    const model = net();
    const optimizer = new SGD(model.parameters(), { lr: 0.01 });
    const staged = stageStatistics(model, optimizer);
    const before = bits(model, optimizer);
    const x = randn([6, 3]);
    model.eval();
    const evaluated = model(x).toArray();
    model.train();
    // In a scope of its own, as a micro-batch is.
    scope(() => lossOf(model, x).backward());
    expect(staged.pending).toBe(2);
    // State dicts and evaluation see the last step's.
    expect(bits(model, optimizer)).toEqual(before);
    expect(model.eval()(x).toArray()).toEqual(evaluated);
    expect(staged.pending).toBe(2);
    optimizer.step();
    expect(staged.pending).toBe(0);
    expect(counter(model)).toBe(1);
    expect(warnings).toEqual([]);
  });

  it('count a layer used twice twice, and a checkpoint once', () => {
    const model = net();
    const optimizer = new SGD(model.parameters(), { lr: 0.01 });
    const staged = stageStatistics(model, optimizer);
    checkpoint((t) => model(t) as Tensor, randn([6, 3]))
      .sum()
      .backward();
    expect(staged.pending).toBe(2);
    const norm = new BatchNorm1d(3);
    const twice = stageStatistics(norm, new SGD(norm.parameters()));
    norm(norm(randn([4, 3])));
    expect(twice.pending).toBe(2);
  });

  it('run a closure first', () => {
    const model = net();
    const optimizer = new SGD(model.parameters(), { lr: 0.01 });
    stageStatistics(model, optimizer);
    const x = randn([6, 3]);
    optimizer.step(() => {
      const loss = lossOf(model, x);
      loss.backward();
      return loss;
    });
    expect(counter(model)).toBe(1);
  });
});

describe('bad steps', () => {
  const bad = (value: number) => {
    const x = randn([6, 3]);
    return noGrad(() => x.add(tensor([[value, 0, 0], ...Array.from({ length: 5 }, () => [0, 0, 0])])));
  };

  it.each([
    ['NaN in the input', Number.NaN],
    ['infinity in the input', Number.POSITIVE_INFINITY],
  ])('%s: every bit stays, then training goes on', (_, value) => {
    const model = net();
    const optimizer = new Adam(model.parameters(), { lr: 0.01 });
    const staged = stageStatistics(model, optimizer);
    step(model, optimizer, randn([6, 3]));
    const before = bits(model, optimizer);
    step(model, optimizer, bad(value));
    expect(bits(model, optimizer)).toEqual(before);
    expect(staged.lastDrop).toEqual({ step: 2, cause: 'statistics', layers: ['1', '4'], updates: 2 });
    // One bad micro-batch takes the others of its step with it.
    step(model, optimizer, randn([6, 3]), bad(value), randn([6, 3]));
    expect(bits(model, optimizer)).toEqual(before);
    expect([staged.skippedSteps, staged.lastDrop!.updates, staged.committed]).toEqual([2, 6, 2]);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain(
      "[stageStatistics] a step was skipped because a batch's statistics were NaN or infinite",
    );
    step(model, optimizer, randn([6, 3]));
    expect(counter(model)).toBe(2);
  });

  it('gradients alone, and losses alone, suffice', () => {
    const model = net();
    const optimizer = new Adam(model.parameters(), { lr: 0.01 });
    const staged = stageStatistics(model, optimizer);
    step(model, optimizer, randn([6, 3]));
    const before = bits(model, optimizer);
    const forward = () => {
      optimizer.zeroGrad();
      lossOf(model, randn([6, 3])).backward();
    };
    // Wherever the bad value lies, and the last element of the last gradient too.
    for (const [i, parameter] of [...model.parameters()].entries()) {
      forward();
      const bytes = parameter.grad!.storage.bytes();
      new Float32Array(bytes.buffer, bytes.byteOffset, parameter.size)[parameter.size - 1] =
        i % 2 === 0 ? Number.NaN : Number.NEGATIVE_INFINITY;
      optimizer.step();
      expect(bits(model, optimizer)).toEqual(before);
      expect(staged.lastDrop!.cause).toBe('gradients');
    }
    for (const loss of [tensor(Number.NaN), full([], Number.POSITIVE_INFINITY, { dtype: 'float64' }), Number.NaN]) {
      forward();
      scope(() => staged.observe(typeof loss === 'number' ? loss : loss.mul(1)));
      optimizer.step();
      expect(bits(model, optimizer)).toEqual(before);
      expect(staged.lastDrop!.cause).toBe('loss');
    }
    // Observed losses hold for one step.
    forward();
    staged.observe(1);
    optimizer.step();
    expect(bits(model, optimizer)).not.toEqual(before);
  });

  it('in plain training would have left their mark', () => {
    const model = net();
    const optimizer = new SGD(model.parameters(), { lr: 0.01 });
    step(model, optimizer, bad(Number.NaN));
    expect((model.getSubmodule('1') as BatchNormBase).runningVar!.toArray()).toEqual(Array(5).fill(Number.NaN));
  });
});

describe('optimizers and disposal', () => {
  it('two optimizers commit each their own', () => {
    const [a, b] = [net(), net()];
    const optimizers = [a, b].map((model) => new SGD(model.parameters(), { lr: 0.01 }));
    const [stagedA, stagedB] = [stageStatistics(a, optimizers[0]), stageStatistics(b, optimizers[1])];
    // A step of one runs both, as a discriminator's does with the generator.
    step(a, optimizers[0], randn([6, 3]));
    lossOf(b, randn([6, 3])).backward();
    lossOf(a, randn([6, 3]));
    optimizers[1].step();
    expect([stagedA.pending, stagedB.pending, counter(a), counter(b)]).toEqual([2, 0, 1, 1]);
    optimizers[0].step();
    expect(counter(a)).toBe(2);
    expect(() => stageStatistics(new Sequential(a), optimizers[1])).toThrow("'0.1' (BatchNorm1d) already stages");
  });

  it('two parts with one optimizer stand or fall together', () => {
    const [a, b] = [net(), net()];
    const optimizer = new SGD([...a.parameters(), ...b.parameters()], { lr: 0.01 });
    const [stagedA, stagedB] = [stageStatistics(a, optimizer), stageStatistics(b, optimizer)];
    lossOf(a, randn([6, 3])).backward();
    lossOf(b, randn([6, 3])).backward();
    stagedA.observe(Number.NaN);
    optimizer.step();
    expect([counter(a), counter(b), stagedA.lastDrop!.cause, stagedB.lastDrop!.cause]).toEqual([0, 0, 'loss', 'guard']);
    expect(warnings).toHaveLength(1);
  });

  it('dispose() brings plain training back and drops what waits', () => {
    const model = net();
    const optimizer = new SGD(model.parameters(), { lr: 0.01 });
    const staged = stageStatistics(model, optimizer);
    expect(staged).toBeInstanceOf(StagedStatistics);
    lossOf(model, randn([6, 3])).backward();
    staged.dispose();
    optimizer.step();
    expect(counter(model)).toBe(0);
    expect((model.getSubmodule('1') as BatchNormBase).control).toBeNull();
    step(model, optimizer, randn([6, 3]));
    expect(counter(model)).toBe(1);
    stageStatistics(model, optimizer).dispose();
  });
});

describe('fit', () => {
  const loader = (badAt: readonly number[]) => {
    manualSeed(9);
    return Array.from({ length: 6 }, (_, i) => {
      const x = randn([6, 3]);
      return [badAt.includes(i) ? x.mul(Number.NaN) : x, randn([6, 4])];
    });
  };
  const loss = (output: Tensor, target: Tensor) => output.sub(target).square().mean();
  const train = (batches: Tensor[][], options: object) => {
    const model = net();
    const optimizer = new Adam(model.parameters(), { lr: 0.01 });
    return fit(model, { loader: batches, loss, optimizer, epochs: 1, ...options }).then((result) => ({
      bits: bits(model, optimizer),
      epoch: result.history[0],
    }));
  };

  it('skipNonFinite passes over bad batches as if they were not there', async () => {
    const all = await train(loader([1, 4]), { skipNonFinite: true });
    const good = await train(
      loader([1, 4]).filter((_, i) => i !== 1 && i !== 4),
      {},
    );
    expect(all.bits).toEqual(good.bits);
    expect(all.epoch).toMatchObject({ skipped: 2, samples: 24, train: good.epoch.train });
    expect(good.epoch.skipped).toBeUndefined();
    expect(warnings).toHaveLength(2);
  });

  it('drops a whole group with accumulate, and stops without the option or without any good update', async () => {
    const all = await train(loader([2]), { skipNonFinite: true, accumulate: 2, clipGradNorm: 1 });
    const good = await train(
      loader([2]).filter((_, i) => i !== 2 && i !== 3),
      { accumulate: 2, clipGradNorm: 1 },
    );
    expect(all.bits).toEqual(good.bits);
    expect(all.epoch.skipped).toBe(1);
    await expect(train(loader([2]), {})).rejects.toThrow(NonFiniteLossError);
    await expect(train(loader([0, 1, 2, 3, 4, 5]), { skipNonFinite: true })).rejects.toThrow(
      '[fit] all 6 updates of epoch 1 were skipped',
    );
  });
});
