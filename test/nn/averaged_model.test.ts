// AveragedModel: PyTorch's averages after every update, what is copied, and statistics that fit the average.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import {
  AveragedModel,
  type AveragedModelOptions,
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormBase,
  Conv2d,
  Linear,
  type Module,
  preciseBatchNorm,
  Sequential,
  updateBatchNorm,
} from '../../src/nn/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { expectClose, readGolden } from '../support/golden.ts';
import { liveBytes } from '../support/live_bytes.ts';
import { det, list, type Plain } from '../support/norm_layers.ts';

const golden = readGolden<{ averaged: Record<string, Record<string, Plain>[]> }>('averaging.golden.json').averaged;

/** As `fill` of the golden script. */
function fill(module: Module, seed: number): void {
  noGrad(() =>
    [...module.stateDict()].forEach(([name, t], i) => {
      if (t.dtype === 'int64') return;
      const values = det(t.shape, seed + i);
      t.copy_(name.endsWith('var') ? values.abs().add(0.5) : values);
    }),
  );
}
const states = (module: Module) => [...module.stateDict()].map(([name, t]) => [name, list(t)]);
const small = (dtype: 'float32' | 'float64' = 'float64') =>
  new Sequential(new Linear(3, 4, { dtype }), new BatchNorm1d(4, { dtype }));

describe('equals PyTorch 2.13', () => {
  const options: Record<string, AveragedModelOptions> = {
    swa: {},
    ema: { decay: 0.9 },
    'fast ema': { decay: 0.25 },
    function: { avgFn: (averaged, current, count) => averaged.mul(count / 8).add(current) },
    'swa with buffers': { useBuffers: true },
    'ema with buffers': { decay: 0.9, useBuffers: true },
  };
  it('in every case there is', () => expect(Object.keys(options)).toEqual(Object.keys(golden)));
  it.each(Object.keys(options))('%s', (name) => {
    const model = small();
    fill(model, 1);
    const average = new AveragedModel(model, options[name]);
    const tensors = [...average.stateDict().values()];
    golden[name].forEach((expected, update) => {
      fill(model, 20 + 10 * update);
      (model.at(1) as BatchNorm1d).numBatchesTracked!.add_(10);
      average.updateParameters(model);
      expect([...average.stateDict().keys()]).toEqual(Object.keys(expected));
      // Counters are copied, where PyTorch averages and truncates them. float64: a few roundings of numbers up to 3.
      for (const [key, t] of average.stateDict())
        if (key.endsWith('tracked')) expect(t.item()).toBe(10 * (update + 1));
        else expectClose(t, expected[key].data, 1e-14, 1e-14, `${key}, update ${update}`);
    });
    // In place.
    expect([...average.stateDict().values()].every((t, i) => t === tensors[i])).toBe(true);
  });
});

describe('AveragedModel', () => {
  it('is a copy: forward, modes, requiresGrad; and its states load, with the count', () => {
    const model = small().eval();
    model.at(0).requiresGrad_(false);
    const average = new AveragedModel(model, { decay: 0.5 });
    const x = randn([4, 3], { dtype: 'float64' });
    expect(list(average(x))).toEqual(list(model(x)));
    expect(average.module.training).toBe(false);
    expect([...average.parameters()].map((p) => p.requiresGrad)).toEqual([false, false, true, true]);
    fill(model, 3);
    average.updateParameters(model);
    fill(model, 9);
    average.updateParameters(model);
    const other = new AveragedModel(small(), { decay: 0.5 });
    other.loadStateDict(average.stateDict());
    expect(states(other)).toEqual(states(average));
    expect(other.nAveraged.item()).toBe(2);
    fill(model, 17);
    for (const each of [average, other]) each.updateParameters(model);
    expect(states(other)).toEqual(states(average));
  });

  it('goes from end to end: decay 1 keeps the first, decay 0 takes the last, exactly', () => {
    const model = small();
    const [first, last] = [1, 0].map((decay) => new AveragedModel(model, { decay }));
    fill(model, 1);
    const values = states(model.at(0));
    for (const each of [first, last]) each.updateParameters(model);
    noGrad(() => (model.at(0) as Linear).weight.fill_(1e-30));
    for (const each of [first, last]) each.updateParameters(model);
    expect(states(first.module.at(0))).toEqual(values);
    expect(states(last.module.at(0))).toEqual(states(model.at(0)));
  });

  it('follows the dtype and memory order of its own tensors', () => {
    const model = new Sequential(new Conv2d(3, 4, 3));
    const average = new AveragedModel(model);
    average.updateParameters(model);
    average.to('float64');
    average.updateParameters(model);
    const { weight } = average.module.at(0) as Conv2d;
    expect(weight.dtype).toBe('float64');
    expect(list(weight)).toEqual(list((model.at(0) as Conv2d).weight));
  });

  it('refuses impossible options, and another model, having changed nothing', () => {
    for (const decay of [-0.1, 1.1, Number.NaN])
      expect(() => new AveragedModel(small(), { decay })).toThrow(
        `Invalid decay value ${decay} provided. Please provide a value in [0,1] range.`,
      );
    expect(() => new AveragedModel(small(), { decay: 0.5, avgFn: (a) => a })).toThrow('one of decay and avgFn');
    const average = new AveragedModel(small());
    const before = states(average);
    const dtype = 'float64';
    for (const [model, text] of [
      [new Sequential(new Linear(3, 4, { dtype })), "'1.weight' of [4], got nothing"],
      [
        new Sequential(new Linear(3, 4, { dtype }), new BatchNorm1d(4, { dtype, trackRunningStats: false })),
        "'1.running_mean' of [4], got nothing",
      ],
      [
        new Sequential(new Linear(3, 5, { dtype }), new BatchNorm1d(5, { dtype })),
        "'0.weight' of [4, 3], got '0.weight' of [5, 3]",
      ],
    ] as const)
      expect(() => average.updateParameters(model)).toThrow(text);
    expect(states(average)).toEqual(before);
  });

  it('holds no more memory after 1000 updates', () => {
    const model = new Sequential(new Conv2d(3, 4, 3), new BatchNorm2d(4));
    for (const options of [
      {},
      { decay: 0.99, useBuffers: true },
      { avgFn: (a, b) => a.add(b).div(2) },
    ] satisfies AveragedModelOptions[]) {
      const average = new AveragedModel(model, options);
      average.updateParameters(model);
      const { left, peak } = liveBytes(() => {
        for (let i = 0; i < 1000; i++) average.updateParameters(model);
      });
      expect(left).toBe(0);
      const { peak: once } = liveBytes(() => average.updateParameters(model));
      expect(peak).toBe(once);
    }
  });

  it('has stale statistics until they are computed, in one call', async () => {
    manualSeed(1);
    const model = new Sequential(new Linear(3, 4), new BatchNorm1d(4));
    const average = new AveragedModel(model);
    const batches = [8, 8, 4].map((n) => randn([n, 3]));
    for (const seed of [1, 2]) {
      fill(model.at(0), seed);
      for (const x of batches) model(x);
      average.updateParameters(model);
    }
    const norm = average.module.at(1) as BatchNormBase;
    const fresh = (module: Module) => states(module).filter(([key]) => String(key).includes('running'));
    const copied = fresh(average.module);
    expect(copied).toEqual(fresh(model));
    const twin = new AveragedModel(average.module);
    const report = await average.preciseBatchNorm(batches, { maxBatches: 2 });
    expect([report.batches, report.layers.map(({ name }) => name)]).toEqual([2, ['1']]);
    expect(report.layers[0].shift.max).toBeGreaterThan(0.1);
    await preciseBatchNorm(twin.module, batches.slice(0, 2));
    expect(fresh(average.module)).toEqual(fresh(twin.module));
    await average.updateBatchNorm(batches);
    await updateBatchNorm(batches, twin);
    expect(fresh(average.module)).toEqual(fresh(twin.module));
    expect(fresh(average.module)).not.toEqual(copied);
    expect(norm.numBatchesTracked!.item()).toBe(3);
  });
});
