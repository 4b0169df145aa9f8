// withStatistics, named sets of statistics, and momentum over micro-batches: what each uses and moves, and that all is
// undone.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import {
  addStatistics,
  BatchNorm1d,
  BatchNorm2d,
  Conv2d,
  freezeBatchNorm,
  type Module,
  Sequential,
  type StatisticsMode,
  useStatistics,
  withMicroBatches,
  withStatistics,
} from '../../src/nn/index.ts';
import { fromTypedArray, tensor } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../support/golden.ts';

const net = () => {
  manualSeed(2);
  return new Sequential(new Conv2d(3, 4, 3), new BatchNorm2d(4), new Conv2d(4, 5, 3), new BatchNorm2d(5));
};
const x = () => randn([4, 3, 8, 8]).mul(3).add(1);
const state = (module: Module) => [...module.stateDict()].map(([name, t]) => [name, t.toArray()]);
const numbers = (t: Tensor | null) => Array.from(t!.dataSync() as Float32Array);

describe('withStatistics', () => {
  it('normalizes as asked in either mode, and moves nothing', () => {
    const model = net();
    model(x());
    const batch = x();
    const still = state(model);
    const byRunning = model.eval()(batch).toArray();
    model.train();
    const under = (mode: StatisticsMode) => withStatistics(model, mode, () => model(batch)).toArray();
    const byBatch = under('batch');
    expect(byBatch).not.toEqual(byRunning);
    for (const training of [true, false]) {
      model.train(training);
      expect(under('batch')).toEqual(byBatch);
      expect(under('running')).toEqual(byRunning);
      expect(under('frozen')).toEqual(byRunning);
      expect(state(model)).toEqual(still);
      expect([...model.modules()].every((each) => each.training === training)).toBe(true);
    }
    // What the batch gives is what training gives.
    expect(model.train()(batch).toArray()).toEqual(byBatch);
    freezeBatchNorm(model);
    expect(under('batch')).toEqual(byBatch);
  });

  it("takes weight and bias as constants when 'frozen'", () => {
    const model = net();
    const norm = model.getSubmodule('1') as BatchNorm2d;
    withStatistics(model, 'frozen', () => model(x()))
      .sum()
      .backward();
    expect([norm.weight!.grad, norm.bias!.grad]).toEqual([null, null]);
    expect((model.getSubmodule('0') as Conv2d).weight.grad).not.toBeNull();
    withStatistics(model, 'running', () => model(x()))
      .sum()
      .backward();
    expect(norm.weight!.grad).not.toBeNull();
    expect(norm.weight!.requiresGrad).toBe(true);
  });

  it('is undone after a return, an error, a promise, and nested', async () => {
    const model = net();
    const controls = () =>
      [...model.modules()].filter((each) => each instanceof BatchNorm2d).map((each) => each.control);
    withStatistics(model, 'batch', () => {
      withStatistics(model, 'running', () => expect(controls()[0]!.mode).toBe('running'));
      expect(controls()[0]!.mode).toBe('batch');
    });
    expect(controls()).toEqual([null, null]);
    expect(() =>
      withStatistics(model, 'batch', () => {
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(controls()).toEqual([null, null]);
    const still = state(model);
    const pending = withStatistics(model, 'batch', async () => {
      await null;
      model(x());
      throw new Error('later');
    });
    expect(controls()[0]).not.toBeNull();
    await expect(pending).rejects.toThrow('later');
    expect(controls()).toEqual([null, null]);
    expect(state(model)).toEqual(still);
    expect(() => withStatistics(model, 'train' as StatisticsMode, () => 1)).toThrow(
      "[withStatistics] expected 'batch', 'running' or 'frozen', got 'train'",
    );
  });

  it('holds in the second run of a checkpoint too', () => {
    const model = net();
    model(x());
    const batch = x().requiresGrad_();
    const gradient = (run: (fn: (t: Tensor) => Tensor, t: Tensor) => Tensor) => {
      batch.grad = null;
      const y = withStatistics(model, 'running', () => run((t) => model(t) as Tensor, batch));
      y.square().sum().backward();
      return batch.grad!.toArray();
    };
    const plain = gradient((fn, t) => fn(t));
    expect(gradient((fn, t) => checkpoint(fn, t))).toEqual(plain);
  });
});

describe('named statistics', () => {
  it('are used and moved apart, with shared weight and bias', () => {
    const model = net();
    const norm = model.getSubmodule('1') as BatchNorm2d;
    model(x());
    const own = numbers(norm.runningMean);
    expect(addStatistics(model, 'sketch')).toEqual(['1', '3']);
    useStatistics(model, 'sketch', () => {
      expect(numbers(norm.runningMean)).toEqual(own);
      expect(norm.numBatchesTracked!.item()).toBe(0);
      for (let i = 0; i < 3; i++) model(x().add(5));
      expect(norm.numBatchesTracked!.item()).toBe(3);
      expect(numbers(norm.runningMean)).not.toEqual(own);
      useStatistics(model, null, () => expect(numbers(norm.runningMean)).toEqual(own));
      norm.resetRunningStats();
    });
    expect(numbers(norm.runningMean)).toEqual(own);
    expect(norm.numBatchesTracked!.item()).toBe(1);
    useStatistics(model, 'sketch', () => {
      expect(numbers(norm.runningVar)).toEqual([1, 1, 1, 1]);
      model(x());
    });
    model.eval();
    const batch = x();
    const plain = model(batch).toArray();
    expect(useStatistics(model, 'sketch', () => model(batch)).toArray()).not.toEqual(plain);
    expect(model(batch).toArray()).toEqual(plain);
  });

  it('are in the state dict only once added, and come back from it', () => {
    const model = net();
    const plainKeys = [...model.stateDict().keys()];
    expect(plainKeys.some((key) => key.includes('sketch'))).toBe(false);
    addStatistics(model, 'sketch');
    addStatistics(model, 'cartoon_2');
    useStatistics(model, 'sketch', () => model(x()));
    const saved = model.stateDict();
    expect([...saved.keys()].filter((key) => key.startsWith('1.') && !plainKeys.includes(key))).toEqual([
      '1.running_mean_sketch',
      '1.running_var_sketch',
      '1.num_batches_tracked_sketch',
      '1.running_mean_cartoon_2',
      '1.running_var_cartoon_2',
      '1.num_batches_tracked_cartoon_2',
    ]);
    const fresh = net();
    fresh.loadStateDict(saved);
    expect(state(fresh)).toEqual(state(model));
    const batch = x();
    const y = (each: Module) => useStatistics(each, 'sketch', () => each.eval()(batch)).toArray();
    expect(y(fresh)).toEqual(y(model));
    // A model with sets does not take a state without them for whole, nor half a set for one.
    expect(() => model.loadStateDict(net().stateDict())).toThrow(
      /Missing key\(s\) in stateDict: "1.running_mean_sketch"/,
    );
    const half = net().stateDict();
    half.set('1.running_mean_sketch', tensor([0, 0, 0, 0]));
    expect(() => net().loadStateDict(half)).toThrow(/Unexpected key\(s\) in stateDict: "1.running_mean_sketch"/);
  });

  it('follow the model to another dtype, and refuse what cannot be', () => {
    const model = net();
    addStatistics(model, 'sketch');
    model.to('float64');
    useStatistics(model, 'sketch', () => model(randn([2, 3, 8, 8], { dtype: 'float64' })));
    expect(() => addStatistics(model, 'sketch')).toThrow("[addStatistics] statistics 'sketch' already exist in '1'");
    expect(() => addStatistics(model, 'a.b')).toThrow(/expected a name of letters/);
    expect(() => useStatistics(model, 'photo', () => 1)).toThrow("'1' (BatchNorm2d) has no statistics 'photo'");
    const untracked = new Sequential(new BatchNorm1d(2, { trackRunningStats: false }));
    expect(addStatistics(untracked, 'sketch')).toEqual([]);
    expect(useStatistics(untracked, 'sketch', () => 1)).toBe(1);
  });
});

describe('withMicroBatches', () => {
  it('lets k parts weigh as one batch', () => {
    const rows = Float64Array.from([1, 5, 2, 8, 4, 3, 9, 7]);
    const batch = () => fromTypedArray(rows, [8, 1]);
    const norm = new BatchNorm1d(1, { momentum: 0.3, dtype: 'float64' });
    // Four times the same statistics are one batch of these.
    const once = new BatchNorm1d(1, { momentum: 0.3, dtype: 'float64' });
    once(batch());
    withMicroBatches(norm, 4, () => {
      for (let i = 0; i < 4; i++) norm(batch());
    });
    // A few roundings of float64.
    expectClose(norm.runningMean!, numbers(once.runningMean), 1e-14);
    expectClose(norm.runningVar!, numbers(once.runningVar), 1e-14);
    expect(norm.numBatchesTracked!.item()).toBe(4);
    expect(norm.momentum).toBe(0.3);
  });

  it('leaves the plain average alone, and refuses impossible counts', () => {
    const norm = new BatchNorm1d(1, { momentum: null });
    withMicroBatches(norm, 2, () => {
      norm(tensor([[1], [3]]));
      norm(tensor([[2], [6]]));
    });
    expect(norm.runningMean!.item()).toBe(3);
    expect(norm.runningVar!.item()).toBe(5);
    expect(() => withMicroBatches(norm, 0, () => 1)).toThrow('[withMicroBatches] expected a positive integer, got 0');
  });
});
