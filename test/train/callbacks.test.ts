// `fit` with a validation loader, batches of any form, and its callbacks: early stopping, best checkpoints,
// TensorBoard; lrFinder.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PbfReader } from 'pbf';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DataLoader, type Dataset, TensorDataset } from '../../src/data/index.ts';
import { cat, manualSeed, randint, randn, type Tensor } from '../../src/index.ts';
import { loadStateDict } from '../../src/io/index.ts';
import { crossEntropy, mseLoss } from '../../src/nn/functional.ts';
import { BatchNorm1d, Dropout, LazyLinear, Linear, Module, ReLU, Sequential } from '../../src/nn/index.ts';
import { AdamW, ReduceLROnPlateau, SGD } from '../../src/optim/index.ts';
import {
  accuracy,
  BestCheckpoints,
  type Callback,
  confusionMatrix,
  EarlyStopping,
  evaluate,
  type FitOptions,
  f1Score,
  fit,
  lrFinder,
  TensorBoard,
} from '../../src/train/index.ts';
import { valley } from '../../src/train/lr_finder.ts';

const { valleys } = JSON.parse(readFileSync(new URL('../golden/train.golden.json', import.meta.url), 'utf8')) as {
  valleys: { values: number[]; index: number }[];
};
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-callbacks-'));
  manualSeed(0);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const bits = (model: Module) => JSON.stringify(model);
const makeModel = () =>
  new Sequential(new Linear(4, 8), new BatchNorm1d(8), new ReLU(), new Dropout(0.2), new Linear(8, 3));
function setup(options: { lr?: number } = {}) {
  const data = new TensorDataset(randn([24, 4]), randint(0, 3, [24]));
  const held = new TensorDataset(randn([10, 4]), randint(0, 3, [10]));
  const model = makeModel();
  return {
    model,
    loader: new DataLoader(data, { batchSize: 8, shuffle: true }),
    validation: new DataLoader(held, { batchSize: 4 }),
    loss: crossEntropy,
    optimizer: new SGD(model.parameters(), { lr: options.lr ?? 0.1, momentum: 0.9 }),
  };
}

describe('validation', () => {
  const f1 = {
    count: (output: Tensor, target: Tensor) => confusionMatrix(output, target, { numClasses: 3 }),
    value: (counts: Tensor) => f1Score(counts),
  };

  test('stands in every result as evaluate gives it', async () => {
    const { model, ...options } = setup();
    const seen: unknown[] = [];
    const callback: Callback = {
      async onEpochEnd({ model }, { validation }) {
        expect(model.training).toBe(true);
        seen.push(validation);
        const { loss } = options;
        expect(await evaluate(model, options.validation, { loss, metrics: { accuracy, f1 } })).toEqual(validation);
      },
    };
    const metrics = { accuracy, f1 };
    const { history } = await fit(model, { ...options, epochs: 2, metrics, callbacks: [callback] });
    expect(history.map(({ validation }) => validation)).toEqual(seen);
    expect(Object.keys(history[0].validation!).sort()).toEqual(['accuracy', 'f1', 'loss']);
    expect(Object.keys(history[0].train).sort()).toEqual(['accuracy', 'f1', 'loss']);
  });

  test('changes nothing of training, and a run that is resumed has it too', async () => {
    const metrics = { f1 };
    const run = async (more: object) => {
      manualSeed(1);
      const { model, ...options } = setup();
      const { history, isInterrupted } = await fit(model, { ...options, metrics, epochs: 1, ...more });
      return { model, options, history, isInterrupted };
    };
    const plain = await run({ validation: undefined });
    const whole = await run({});
    expect(bits(whole.model)).toBe(bits(plain.model));
    expect(whole.history[0].train).toEqual(plain.history[0].train);
    // Interrupted within the epoch: counts of metrics are in the checkpoint.
    const file = { checkpoint: join(folder, 'run'), resume: true };
    const stop: Callback = { onStepEnd: (run) => void (run.position.step === 2 && run.stop()) };
    const { model, options, isInterrupted } = await run({ ...file, callbacks: [stop] });
    expect(isInterrupted).toBe(true);
    const { history } = await fit(model, { ...options, ...file, metrics, epochs: 1 });
    expect(bits(model)).toBe(bits(whole.model));
    expect(history[0].train).toEqual(whole.history[0].train);
    expect(history[0].validation).toEqual(whole.history[0].validation);
  });

  test('is what ReduceLROnPlateau can watch', async () => {
    const { model, ...options } = setup({ lr: 1 });
    const scheduler = new ReduceLROnPlateau(options.optimizer, { patience: 0, threshold: 1e9, thresholdMode: 'abs' });
    await fit(model, { ...options, epochs: 3, scheduler, monitor: 'validation.loss' });
    expect(options.optimizer.paramGroups[0].lr).toBeCloseTo(0.01, 10);
    const wrong = { ...options, epochs: 1, validation: undefined, monitor: 'validation.loss' };
    await expect(fit(model, wrong)).rejects.toThrow("expected monitor to be one of loss, got 'validation.loss'");
  });
});

describe('batches', () => {
  /** Two inputs, two outputs. */
  class Two extends Module {
    left = new Linear(2, 3);
    right = new Linear(4, 3);
    forward(a: Tensor, b: Tensor): { sum: Tensor; difference: Tensor } {
      const [x, y] = [this.left(a), this.right(b)];
      return { sum: x.add(y), difference: x.sub(y) };
    }
  }
  const lossOf = ({ sum, difference }: ReturnType<Two['forward']>, target: Tensor) =>
    mseLoss(sum, target).add(difference.square().mean());
  const tensors = () => [randn([12, 2]), randn([12, 4]), randn([12, 3])];
  const optimizerOf = (model: Module) => new SGD(model.parameters(), { lr: 0.05 });

  test('[...inputs, target]: all but the last are what the model is called with', async () => {
    const model = new Two();
    const loader = new DataLoader(new TensorDataset(...tensors()), { batchSize: 5 });
    const metrics = { size: (output: ReturnType<Two['forward']>) => output.sum.shape[0] };
    const options = { loader, loss: lossOf, optimizer: optimizerOf(model), epochs: 5, metrics, validation: loader };
    const { history } = await fit(model, options);
    expect(history[0].samples).toBe(12);
    expect(history[0].train.size).toBeCloseTo((5 * 5 + 5 * 5 + 2 * 2) / 12, 12);
    expect(history[4].validation!.loss).toBeLessThan(history[0].validation!.loss);
  });

  test('objects, taken apart by inputs and target', async () => {
    const [a, b, target] = tensors();
    const dataset: Dataset<{ a: Tensor; b: Tensor; truth: { y: Tensor } }> = {
      length: 12,
      get: (i) => ({ a: a.select(0, i), b: b.select(0, i), truth: { y: target.select(0, i) } }),
    };
    const loader = new DataLoader(dataset, { batchSize: 4 });
    manualSeed(3);
    const model = new Two();
    const { history } = await fit(model, {
      loader,
      inputs: (batch) => [batch.a, batch.b],
      target: (batch) => batch.truth,
      loss: (output: ReturnType<Two['forward']>, { y }: { y: Tensor }) => lossOf(output, y),
      optimizer: optimizerOf(model),
      epochs: 1,
      prepare: (input) => input.mul(2),
    });
    manualSeed(3);
    const plain = new Two();
    const arrays = new DataLoader(new TensorDataset(a.mul(2), b.mul(2), target), { batchSize: 4 });
    const other = await fit(plain, { loader: arrays, loss: lossOf, optimizer: optimizerOf(plain), epochs: 1 });
    expect(bits(model)).toBe(bits(plain));
    expect(history[0].train).toEqual(other.history[0].train);
  });

  test('of one entry: an input, which may be the target too', async () => {
    const model = new Linear(2, 2);
    const loader = new DataLoader(new TensorDataset(randn([12, 2])), { batchSize: 4 });
    const options = { loader, optimizer: optimizerOf(model), epochs: 1 };
    const { history } = await fit(model, { ...options, loss: mseLoss, target: ([x]) => x });
    const own = await evaluate(model, loader, {
      loss: (y: Tensor, none: unknown) => {
        expect(none).toBe(undefined);
        return y.sum();
      },
    });
    expect(history[0].train.loss).toBeGreaterThan(0);
    expect(Number.isFinite(own.loss)).toBe(true);
  });

  test('that nobody takes apart, or that have no tensors, are refused', async () => {
    const model = new Linear(2, 2);
    const options = { loss: mseLoss, optimizer: optimizerOf(model), epochs: 1 };
    const of = (batch: unknown, more: object = {}) =>
      fit(model, { ...options, ...more, loader: [batch] } as unknown as FitOptions);
    await expect(of({ x: randn([1, 2]) })).rejects.toThrow('[fit] expected batches as arrays [...inputs, target]');
    await expect(of([1, 2])).rejects.toThrow('[fit] expected tensors in a batch, got none');
    await expect(of([randn([1, 2])], { inputs: (batch: Tensor[]) => batch[0] })).rejects.toThrow(
      '[fit] expected inputs to give an array',
    );
  });

  test('a loss that is NaN is explained with all inputs', async () => {
    const model = new Two();
    const [a, b, target] = tensors();
    b.setIndex([0, 0], Number.NaN);
    const options = { loader: [[a, b, target]], loss: lossOf, optimizer: optimizerOf(model), epochs: 1 };
    await expect(fit(model, options)).rejects.toThrow('the input holds NaN or infinity');
  });
});

/** A metric with a given value in each epoch. */
const scripted = (values: readonly number[]) => {
  let epoch = -1;
  const callback: Callback = {
    onEpochBegin: (run) => {
      epoch = run.position.epoch;
    },
  };
  return { metrics: { scripted: () => values[epoch] }, callback };
};

describe('EarlyStopping', () => {
  const run = async (values: number[], options: object, epochs = values.length) => {
    const { metrics, callback } = scripted(values);
    const stopping = new EarlyStopping({ monitor: 'scripted', mode: 'max', ...options });
    const states: string[] = [];
    const note: Callback = { onEpochEnd: (run) => void states.push(bits(run.model)) };
    const { model, ...rest } = setup();
    const { history, isInterrupted } = await fit(model, {
      ...rest,
      metrics,
      epochs,
      callbacks: [callback, note, stopping],
    });
    return {
      epochs: history.length,
      isInterrupted,
      best: stopping.bestEpoch,
      value: stopping.bestValue,
      states,
      model,
    };
  };

  test('ends training after so many epochs without improvement', async () => {
    expect(await run([1, 2, 1, 2, 1, 5], { patience: 3 })).toMatchObject({ epochs: 5, isInterrupted: true, best: 2 });
    expect(await run([1, 2, 1, 3, 1, 1], { patience: 3 })).toMatchObject({ epochs: 6, isInterrupted: false, best: 4 });
    expect(await run([3, 2, 2.5, 1], { patience: 2, mode: 'min' })).toMatchObject({ epochs: 4, best: 4, value: 1 });
    expect(await run([1, 1.1, 1.2, 1.3], { patience: 2, minDelta: 0.5 })).toMatchObject({ epochs: 3, best: 1 });
    expect(await run([Number.NaN, 1, Number.NaN, Number.NaN, 2], { patience: 2 })).toMatchObject({
      epochs: 4,
      best: 2,
    });
  });

  test('restores the best weights, after it has stopped and after the last epoch', async () => {
    const stopped = await run([1, 2, 1, 0], { patience: 2, restoreBest: true });
    expect(bits(stopped.model)).toBe(stopped.states[1]);
    const ended = await run([1, 3, 2], { restoreBest: true });
    expect(bits(ended.model)).toBe(ended.states[1]);
    const left = await run([1, 2, 1, 0], { patience: 2 });
    expect(bits(left.model)).toBe(left.states[3]);
  });

  test('remembers in a run that is resumed, and one that has ended ends again', async () => {
    const values = [1, 3, 2, 2, 2, 9];
    const whole = await run(values, { patience: 3, restoreBest: true });
    const { model, ...rest } = setup();
    const options = { ...rest, epochs: 6, checkpoint: join(folder, 'run'), resume: true };
    const { metrics, callback } = scripted(values);
    const stop: Callback = { onEpochEnd: (run) => void (run.position.epoch === 3 && run.stop()) };
    const make = () => new EarlyStopping({ monitor: 'scripted', mode: 'max', patience: 3, restoreBest: true });
    await fit(model, { ...options, metrics, callbacks: [callback, make(), stop] });
    const stopping = make();
    const { history } = await fit(model, { ...options, metrics, callbacks: [callback, stopping] });
    expect([history.length, stopping.bestEpoch]).toEqual([5, 2]);
    expect(history.length).toBe(whole.epochs);
    const best = bits(model);
    const again = await fit(model, { ...options, metrics, callbacks: [callback, make()] });
    expect(again.history.length).toBe(5);
    expect(bits(model)).toBe(best);
  });

  test('says what is wrong', async () => {
    expect(() => new EarlyStopping({ monitor: 'accuracy' })).toThrow(
      "[EarlyStopping] expected mode, 'min' or 'max', beside monitor 'accuracy': it is no loss",
    );
    expect(() => new EarlyStopping({ patience: 0 })).toThrow('[EarlyStopping]');
    expect(() => new EarlyStopping({ minDelta: -1 })).toThrow('[EarlyStopping]');
    const { model, validation: _, ...rest } = setup();
    const callbacks = [new EarlyStopping()];
    await expect(fit(model, { ...rest, epochs: 1, callbacks })).rejects.toThrow(
      "[EarlyStopping] expected monitor to be one of loss, got 'validation.loss'; fit has no option validation here",
    );
  });
});

describe('BestCheckpoints', () => {
  test('keeps the k best epochs, which load', async () => {
    const { metrics, callback } = scripted([1, 3, Number.NaN, 2, 5, 3]);
    const best = new BestCheckpoints(join(folder, 'new', 'best'), { monitor: 'scripted', mode: 'max', k: 3 });
    const states: string[] = [];
    const present: string[][] = [];
    const note: Callback = {
      onEpochEnd(run) {
        states.push(bits(run.model));
        present.push(readdirSync(join(folder, 'new', 'best')).sort());
      },
    };
    const { model, ...rest } = setup();
    await fit(model, { ...rest, metrics, epochs: 6, callbacks: [callback, best, note] });
    expect(best.kept.map(({ epoch, value }) => [epoch, value])).toEqual([
      [5, 5],
      [2, 3],
      [6, 3],
    ]);
    expect(present).toEqual([
      ['epoch-1.pt'],
      ['epoch-1.pt', 'epoch-2.pt'],
      ['epoch-1.pt', 'epoch-2.pt'],
      ['epoch-1.pt', 'epoch-2.pt', 'epoch-4.pt'],
      ['epoch-2.pt', 'epoch-4.pt', 'epoch-5.pt'],
      ['epoch-2.pt', 'epoch-5.pt', 'epoch-6.pt'],
    ]);
    for (const { path, epoch } of best.kept) {
      model.loadStateDict(await loadStateDict(path));
      expect(bits(model)).toBe(states[epoch - 1]);
    }
  });

  test('removes an old file only when the new one stands', async () => {
    const { metrics, callback } = scripted([1, 2]);
    const place = join(folder, 'best');
    const best = new BestCheckpoints(place, { monitor: 'scripted', mode: 'max' });
    // The second file cannot be written: it is a folder.
    const block: Callback = {
      async onEpochEnd(run) {
        if (run.position.epoch !== 1) return;
        const { mkdirSync } = await import('node:fs');
        mkdirSync(join(place, 'epoch-2.pt', 'x'), { recursive: true });
      },
    };
    const { model, ...rest } = setup();
    await expect(fit(model, { ...rest, metrics, epochs: 2, callbacks: [callback, best, block] })).rejects.toThrow();
    expect(existsSync(join(place, 'epoch-1.pt'))).toBe(true);
  });

  test('goes on with its files in a run that is resumed', async () => {
    const { model, ...rest } = setup();
    const { metrics, callback } = scripted([4, 1, 2, 3]);
    const options = { ...rest, metrics, epochs: 4, checkpoint: join(folder, 'run'), resume: true };
    const make = () => new BestCheckpoints(join(folder, 'best'), { monitor: 'scripted', mode: 'max', k: 2 });
    const stop: Callback = { onEpochEnd: (run) => void (run.position.epoch === 2 && run.stop()) };
    await fit(model, { ...options, callbacks: [callback, make(), stop] });
    const best = make();
    await fit(model, { ...options, callbacks: [callback, best] });
    expect(best.kept.map(({ epoch }) => epoch)).toEqual([1, 4]);
    expect(readdirSync(join(folder, 'best')).sort()).toEqual(['epoch-1.pt', 'epoch-4.pt']);
  });
});

/** The tags of an event file, with their steps. */
function tagsOf(path: string): [tag: string, step: number, isHistogram: boolean][] {
  const bytes = readFileSync(path);
  const found: [string, number, boolean][] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const event = { step: 0, tag: '', isHistogram: false };
    const value = (field: number, out: typeof event, pbf: PbfReader) => {
      if (field === 1) out.tag = pbf.readString();
      if (field === 5) out.isHistogram = true;
    };
    const summary = (_: number, out: typeof event, pbf: PbfReader) => void pbf.readMessage(value, out);
    new PbfReader(bytes.subarray(at + 12, at + 12 + length)).readFields((field, out, pbf) => {
      if (field === 2) out.step = pbf.readVarint();
      if (field === 5) pbf.readMessage(summary, out);
    }, event);
    if (event.tag) found.push([event.tag, event.step, event.isHistogram]);
    at += length + 16;
  }
  return found;
}

test('TensorBoard writes figures of epochs, rates, and histograms of weights and gradients', async () => {
  const { model, loader, validation, loss } = setup();
  const groups = [{ params: model.parameters().slice(0, 2) }, { params: model.parameters().slice(2), lr: 0.01 }];
  const optimizer = new AdamW(groups, { lr: 0.1 });
  const callbacks = [new TensorBoard(folder, { histogramEvery: 2 })];
  await fit(model, { loader, validation, loss, optimizer, epochs: 2, callbacks });
  const [file] = readdirSync(folder);
  const tags = tagsOf(join(folder, file));
  const scalars = tags.filter(([, , isHistogram]) => !isHistogram).map(([tag, step]) => `${tag} ${step}`);
  expect(scalars).toEqual(
    [1, 2].flatMap((epoch) => ['loss/train', 'loss/validation', 'lr', 'lr/1'].map((tag) => `${tag} ${epoch}`)),
  );
  const names = model.namedParameters().flatMap(([name]) => [`weights/${name}`, `gradients/${name}`]);
  const histograms = tags.filter(([, , isHistogram]) => isHistogram).map(([tag, step]) => `${tag} ${step}`);
  expect(histograms).toEqual([0, 2, 4].flatMap((update) => names.map((tag) => `${tag} ${update}`)));
});

describe('lrFinder', () => {
  test('sweeps exponentially, tells the losses of that training, and puts everything back', async () => {
    const { model, loader, loss, optimizer } = setup({ lr: 0.3 });
    await fit(model, { loader, loss, optimizer, epochs: 1 });
    model.eval();
    const before = [bits(model), JSON.stringify(optimizer.stateDict()), optimizer.stepCount];
    manualSeed(7);
    const { lrs, losses, smoothed, suggestion } = await lrFinder(model, {
      loader,
      loss,
      optimizer,
      minLr: 1e-4,
      maxLr: 1,
      steps: 25,
      stopAt: 1e6,
    });
    expect([bits(model), JSON.stringify(optimizer.stateDict()), optimizer.stepCount]).toEqual(before);
    expect(model.training).toBe(false);
    const drawn = randn([1]).item();
    manualSeed(7);
    expect(drawn).toBe(randn([1]).item());
    expect([lrs.length, losses.length, smoothed.length]).toEqual([25, 25, 25]);
    expect([lrs[0], lrs[24]]).toEqual([1e-4, expect.closeTo(1, 12)]);
    expect(lrs[13] / lrs[12]).toBeCloseTo(1e4 ** (1 / 24), 12);
    expect(smoothed[0]).toBeCloseTo(losses[0], 12);
    expect(smoothed[1]).toBeCloseTo((0.98 * 0.02 * losses[0] + 0.02 * losses[1]) / (1 - 0.98 ** 2), 12);
    expect(lrs).toContain(suggestion);

    // The same by hand.
    manualSeed(7);
    model.train();
    const own: number[] = [];
    while (own.length < 25)
      for (const [x, y] of loader) {
        if (own.length === 25) break;
        optimizer.paramGroups[0].lr = lrs[own.length];
        optimizer.zeroGrad();
        const value = loss(model(x), y);
        value.backward();
        optimizer.step();
        own.push(value.item());
      }
    expect(losses).toEqual(own);
    expect(suggestion).toBe(lrs[2 + valley(smoothed.slice(2, 20))!]);
  });

  test("finds fastai's valleys", () => {
    for (const { values, index } of valleys) expect(valley(values)).toBe(index);
    expect(valley([1, 2, 3])).toBe(null);
    expect(valley([])).toBe(null);
  });

  test('ends where the loss explodes, and says nothing of a short sweep', async () => {
    const { model, loader, loss, optimizer } = setup();
    const before = bits(model);
    const sweep = await lrFinder(model, { loader, loss, optimizer, minLr: 1e-2, maxLr: 1e9, steps: 200 });
    expect(sweep.losses.length).toBeLessThan(200);
    expect(bits(model)).toBe(before);
    const short = await lrFinder(model, { loader, loss, optimizer, steps: 5 });
    expect(short.suggestion).toBe(null);
  });

  test('takes batches apart as fit does, and puts everything back after an error', async () => {
    const { model, loader, loss, optimizer } = setup();
    const before = bits(model);
    let step = 0;
    const failing = lrFinder(model, {
      loader,
      inputs: ([x]) => [x],
      target: ([, y]) => y,
      loss(output: Tensor, target: Tensor) {
        if (++step === 4) throw new Error('enough');
        return loss(output, target);
      },
      optimizer,
    });
    await expect(failing).rejects.toThrow('enough');
    expect(bits(model)).toBe(before);
  });

  test('refuses what cannot be', async () => {
    const { model, loader, loss, optimizer } = setup();
    const of = (more: object) => lrFinder(model, { loader, loss, optimizer, ...more });
    await expect(of({ minLr: 1, maxLr: 0.1 })).rejects.toThrow('[lrFinder] expected 0 < minLr < maxLr');
    await expect(of({ steps: 1 })).rejects.toThrow('[lrFinder]');
    await expect(of({ stopAt: 1 })).rejects.toThrow('[lrFinder] expected stopAt above 1, got 1');
    await expect(of({ loader: [] })).rejects.toThrow('[lrFinder] the loader gave no batches');
    const lazy = new Sequential(new LazyLinear(3));
    await expect(lrFinder(lazy, { loader, loss, optimizer })).rejects.toThrow('lazy layers without sizes');
  });
});

test('gradients of onBeforeUpdate are those of the update', async () => {
  const { model, loader, loss, optimizer } = setup();
  const norms: number[] = [];
  const callback: Callback = {
    onBeforeUpdate: () =>
      void norms.push(
        cat(model.parameters().map((p) => p.grad!.flatten()))
          .norm()
          .item(),
      ),
  };
  await fit(model, { loader, loss, optimizer, epochs: 2, accumulate: 2, clipGradNorm: 1e-3, callbacks: [callback] });
  expect(norms.length).toBe(4);
  for (const norm of norms) expect(norm).toBeCloseTo(1e-3, 6);
});
