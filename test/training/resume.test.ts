// Interrupted and resumed equals uninterrupted, bit for bit: checkpoints of both are compared whole. Further: what fit
// does when a loss or a state is not finite, when checkpoints are damaged, and when they cannot be written. The same
// through the command line is in test/cli.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import '../../src/index.ts';
import { DataLoader, TensorDataset } from '../../src/data/index.ts';
import { getEngine, getNumThreads, setNumThreads } from '../../src/device/engine.ts';
import { ValueError } from '../../src/errors.ts';
import { AtomicWriteError } from '../../src/files/atomic_file.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  Module,
  ReLU,
  Sequential,
} from '../../src/nn/index.ts';
import { crossEntropy } from '../../src/ops/loss.ts';
import { Adam, OneCycleLR, ReduceLROnPlateau, SGD, StepLR } from '../../src/optim/index.ts';
import { Generator, manualSeed } from '../../src/tensor/random/index.ts';
import { rand, randint } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { saveCheckpoint } from '../../src/train/checkpoint.ts';
import { CheckpointError, loadTree } from '../../src/train/checkpoint_file.ts';
import type { Tree } from '../../src/train/checkpoint_tree.ts';
import { type Callback, type FitOptions, type FitResult, fit } from '../../src/train/fit.ts';
import { accuracy } from '../../src/train/metrics.ts';
import { NonFiniteLossError } from '../../src/train/non_finite.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-resume-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  vi.restoreAllMocks();
});

const samples = 70;
const batchSize = 8; // 9 batches, the last one of 6

const network = () =>
  new Sequential(
    new Conv2d(1, 4, 3, { padding: 1 }),
    new BatchNorm2d(4),
    new ReLU(),
    new MaxPool2d(2),
    new Flatten(),
    new Dropout(0.3),
    new Linear(4 * 4 * 4, 16),
    new BatchNorm1d(16, { momentum: null }),
    new ReLU(),
    new Linear(16, 3),
  );

type Setup = (model: Module) => Pick<FitOptions, 'optimizer' | 'scheduler' | 'schedule'>;
const setups: Record<string, Setup> = {
  'SGD with momentum, StepLR': (model) => {
    const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 1e-3 });
    return { optimizer, scheduler: new StepLR(optimizer, 1, { gamma: 0.5 }) };
  },
  'Adam, OneCycleLR per step': (model) => {
    const optimizer = new Adam(model.parameters(), { lr: 0.01 });
    return { optimizer, scheduler: new OneCycleLR(optimizer, 0.05, { totalSteps: 40 }), schedule: 'step' };
  },
  'SGD, ReduceLROnPlateau': (model) => {
    const optimizer = new SGD(model.parameters(), { lr: 0.1 });
    return { optimizer, scheduler: new ReduceLROnPlateau(optimizer, { patience: 0, threshold: 0.5 }) };
  },
};

/** Everything as in a new process: same seed, same data, new model and optimizer. */
function begin(setup: Setup = setups['SGD with momentum, StepLR'], generator?: Generator) {
  manualSeed(3);
  const dataset = new TensorDataset(rand([samples, 1, 8, 8]), randint(0, 3, [samples]));
  const model = network();
  const loader = new DataLoader(dataset, { batchSize, shuffle: true, generator });
  return { model, options: { loader, loss: crossEntropy, metrics: { accuracy }, epochs: 3, ...setup(model) } };
}

const stopAfter = (steps: number): Callback => {
  let done = 0;
  return {
    onStepEnd(run) {
      if (++done === steps) run.stop();
    },
  };
};

/** A checkpoint without its times, which no two runs share. */
function timeless(tree: Tree): Tree {
  if (Array.isArray(tree)) return tree.map(timeless);
  if (!tree || typeof tree !== 'object' || ArrayBuffer.isView((tree as { data?: unknown }).data)) return tree;
  return Object.fromEntries(
    Object.entries(tree).flatMap(([key, value]) => (key === 'seconds' ? [] : [[key, timeless(value)]])),
  );
}
const stateAt = (path: string) => timeless(loadTree(path));

async function uninterrupted(setup?: Setup, extra: Partial<FitOptions> = {}, generator?: Generator) {
  const path = join(folder, 'whole');
  const { model, options } = begin(setup, generator);
  const result = await fit(model, { ...options, ...extra, checkpoint: path });
  return { result, state: stateAt(path) };
}

const histories = ({ history }: FitResult) => history.map(({ seconds: _, ...rest }) => rest);

describe.each(Object.entries(setups))('%s', (_, setup) => {
  // 9 batches an epoch: the first step, amid the first epoch, its border, amid the second, its last step but one.
  test.each([1, 4, 9, 13, 17])('stopped after step %d and resumed, equals an uninterrupted run', async (step) => {
    const whole = await uninterrupted(setup);
    const checkpoint = join(folder, 'parts');
    const first = begin(setup);
    const stopped = await fit(first.model, { ...first.options, checkpoint, callbacks: [stopAfter(step)] });
    expect(stopped.isInterrupted).toBe(true);
    expect(stateAt(checkpoint)).not.toEqual(whole.state);
    const second = begin(setup);
    const result = await fit(second.model, { ...second.options, checkpoint, resume: true });
    expect(stateAt(checkpoint)).toEqual(whole.state);
    expect(histories(result)).toEqual(histories(whole.result));
  });
});

test('a run resumed many times equals an uninterrupted one', async () => {
  const whole = await uninterrupted();
  const checkpoint = join(folder, 'parts');
  let rounds = 0;
  for (let isInterrupted = true; isInterrupted; rounds++) {
    const { model, options } = begin();
    ({ isInterrupted } = await fit(model, { ...options, checkpoint, resume: true, callbacks: [stopAfter(5)] }));
  }
  expect(rounds).toBe(6);
  expect(stateAt(checkpoint)).toEqual(whole.state);
});

test('a process that died goes on from the last of the checkpoints written every few steps', async () => {
  const whole = await uninterrupted();
  const checkpoint = join(folder, 'parts');
  const first = begin();
  const dying = new Error('power cut');
  const die: Callback = {
    onStepEnd({ position: { epoch, step } }) {
      if (epoch === 1 && step === 8) throw dying;
    },
  };
  await expect(fit(first.model, { ...first.options, checkpoint, checkpointEvery: 3, callbacks: [die] })).rejects.toBe(
    dying,
  );
  expect((loadTree(checkpoint) as unknown as { extra: { position: unknown } }).extra.position).toEqual({
    epoch: 1,
    step: 6,
  });
  const second = begin();
  await fit(second.model, { ...second.options, checkpoint, resume: true });
  expect(stateAt(checkpoint)).toEqual(whole.state);
});

test('resuming a finished run changes nothing, and more epochs go on from it', async () => {
  const longer = await uninterrupted(undefined, { epochs: 4 });
  const { model, options } = begin();
  const checkpoint = join(folder, 'parts');
  await fit(model, { ...options, checkpoint });
  const before = readFileSync(checkpoint);
  const again = begin();
  expect((await fit(again.model, { ...again.options, checkpoint, resume: true })).history).toHaveLength(3);
  expect(readFileSync(checkpoint).equals(before)).toBe(true);
  const further = begin();
  await fit(further.model, { ...further.options, epochs: 4, checkpoint, resume: true });
  expect(stateAt(checkpoint)).toEqual(longer.state);
});

test("a loader's own generator is saved and restored too", async () => {
  const whole = await uninterrupted(undefined, {}, new Generator(5));
  const checkpoint = join(folder, 'parts');
  const first = begin(undefined, new Generator(5));
  await fit(first.model, { ...first.options, checkpoint, callbacks: [stopAfter(13)] });
  const second = begin(undefined, new Generator(5));
  await fit(second.model, { ...second.options, checkpoint, resume: true });
  expect(stateAt(checkpoint)).toEqual(whole.state);
  const without = begin();
  await expect(fit(without.model, { ...without.options, checkpoint, resume: true })).rejects.toThrow(
    'expected the states of 1 generators, it holds 2',
  );
});

test('one thread and two give identical checkpoints', async () => {
  // The WebAssembly engine has one thread, and then this shows that nothing else differs between two runs.
  const threads = getNumThreads();
  try {
    setNumThreads(1);
    const one = await uninterrupted(setups['Adam, OneCycleLR per step']);
    setNumThreads(2);
    if (getEngine() === 'native') expect(getNumThreads()).toBe(2);
    const two = await uninterrupted(setups['Adam, OneCycleLR per step']);
    expect(two.state).toEqual(one.state);
  } finally {
    setNumThreads(threads);
  }
});

describe('accumulate', () => {
  test('an interruption waits for the end of the group, and resuming is exact', async () => {
    const whole = await uninterrupted(undefined, { accumulate: 4 });
    const checkpoint = join(folder, 'parts');
    const first = begin();
    await fit(first.model, { ...first.options, accumulate: 4, checkpoint, callbacks: [stopAfter(6)] });
    expect((loadTree(checkpoint) as unknown as { extra: { position: unknown } }).extra.position).toEqual({
      epoch: 0,
      step: 8,
    });
    const second = begin();
    await fit(second.model, { ...second.options, accumulate: 4, checkpoint, resume: true });
    expect(stateAt(checkpoint)).toEqual(whole.state);
  });

  /** 5 batches of 4 samples through a linear layer: groups of 2, 2 and 1. */
  async function weights(loader: FitOptions['loader'], options: Partial<FitOptions>) {
    manualSeed(1);
    const model = new Linear(3, 2);
    const optimizer = new SGD(model.parameters(), { lr: 0.5 });
    await fit(model, { loader, loss: crossEntropy, optimizer, epochs: 1, ...options });
    return Array.from(model.weight.dataSync() as Float32Array);
  }

  test('averages over the samples of a group, also over the smaller one at the end of an epoch', async () => {
    manualSeed(0);
    const rows = new TensorDataset(rand([20, 3]), randint(0, 2, [20]));
    const groups = [...new DataLoader(rows, { batchSize: 8 })] as Tensor[][];
    const expected = await weights(groups, {});
    const found = await weights(new DataLoader(rows, { batchSize: 4 }), { accumulate: 2 });
    // Sums of other orders: a few roundings of float32.
    for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i], 6);
    // A stream, whose length is unknown, gives the same.
    const stream = { [Symbol.iterator]: () => new DataLoader(rows, { batchSize: 4 })[Symbol.iterator]() };
    const streamed = await weights(stream, { accumulate: 2 });
    for (const [i, value] of streamed.entries()) expect(value).toBeCloseTo(expected[i], 6);
  });
});

test('trains on an iterable dataset, whose length nobody knows', async () => {
  manualSeed(0);
  const rows = [0, 1, 2, 3, 4, 5].map((i) => [Float32Array.of(i, 1), i % 2] as const);
  const loader = new DataLoader({ [Symbol.iterator]: () => rows[Symbol.iterator]() }, { batchSize: 2 });
  const model = new Linear(2, 2);
  const { history } = await fit(model, {
    loader: loader as unknown as FitOptions['loader'],
    loss: crossEntropy,
    optimizer: new SGD(model.parameters(), { lr: 0.1 }),
    epochs: 2,
  });
  expect(history.map(({ samples: n }) => n)).toEqual([6, 6]);
});

describe('a value that is not finite', () => {
  /** Divides by zero from a given call on. */
  class Breaks extends Module {
    calls = 0;
    readonly at: number;
    constructor(at: number) {
      super();
      this.at = at;
    }
    forward(x: Tensor): Tensor {
      return ++this.calls >= this.at ? x.div(0) : x;
    }
  }

  function broken(at: number) {
    const { model: inner, options } = begin();
    const model = new Sequential(inner, new Breaks(at), new Linear(3, 3));
    const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
    return { model, options: { ...options, optimizer, scheduler: undefined } };
  }
  const parameters = (model: Module) =>
    [...model.namedParameters()].map(([name, p]) => [name, Array.from(p.dataSync() as Float32Array)]);

  test('stops with the layer and the last good checkpoint, and leaves parameters alone', async () => {
    const { model, options } = broken(12);
    const checkpoint = join(folder, 'checkpoint');
    let before: unknown;
    const remember: Callback = {
      onStepEnd({ position }) {
        if (position.epoch === 1 && position.step === 2) before = parameters(model);
      },
    };
    const error = await fit(model, { ...options, checkpoint, callbacks: [remember] }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NonFiniteLossError);
    const { layer, message } = error as NonFiniteLossError;
    expect(layer).toBe('1');
    expect(message).toContain('the loss is NaN at epoch 2, step 3');
    expect(message).toContain("the first layer with a NaN or infinite output is '1' (Breaks)");
    expect(message).toContain(`the last good checkpoint is ${checkpoint}`);
    expect(parameters(model)).toEqual(before);
    expect((loadTree(checkpoint) as unknown as { extra: { position: unknown } }).extra.position).toEqual({
      epoch: 1,
      step: 0,
    });
  });

  test('the search for the layer moves neither statistics nor random numbers', async () => {
    const { model, options } = broken(1);
    await expect(fit(model, options)).rejects.toThrow('no checkpoint was written yet');
    // One forward, that of the step itself.
    const counters = [...model.namedBuffers()].filter(([name]) => name.endsWith('num_batches_tracked'));
    expect(counters.map(([, counter]) => counter.item())).toEqual([1, 1]);
  });

  test('a parameter or an input that is not finite is named', async () => {
    const { model, options } = begin();
    const weight = [...model.namedParameters()].find(([name]) => name === '6.weight')![1];
    weight.detach().fill_(Number.NaN);
    await expect(fit(model, options)).rejects.toThrow("parameter '6.weight' holds NaN or infinity");
    const other = begin();
    const poisoned = { ...other.options, prepare: (x: Tensor) => x.mul(Number.POSITIVE_INFINITY) };
    await expect(fit(other.model, poisoned)).rejects.toThrow('the input holds NaN or infinity');
  });

  test('a state made infinite by a finite loss never replaces a good checkpoint', async () => {
    const { model, options } = begin();
    const checkpoint = join(folder, 'checkpoint');
    // The square root's gradient at 0 is infinite, though the loss is 0 more.
    let calls = 0;
    const loss = (output: Tensor, target: Tensor) => {
      const plain = crossEntropy(output, target);
      return ++calls < 12 ? plain : plain.add(output.sub(output.detach()).sum().abs().sqrt());
    };
    const error = await fit(model, { ...options, loss, checkpoint, checkpointEvery: 1 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NonFiniteLossError);
    expect((error as Error).message).toMatch(
      /parameter '0\.weight' holds NaN or infinity after epoch 2, step 3, though the loss was finite; this state was not saved; the last good/,
    );
    const { model: state, extra } = loadTree(checkpoint) as unknown as {
      model: Record<string, { data: Float32Array }>;
      extra: { position: unknown };
    };
    expect(extra.position).toEqual({ epoch: 1, step: 2 });
    expect(state['0.weight'].data.every(Number.isFinite)).toBe(true);
  });
});

describe('damaged checkpoints', () => {
  const flip = (path: string) => {
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(path, bytes);
  };
  const damages: Record<string, (path: string) => void> = {
    'one bit': flip,
    'cut off': (path) => truncateSync(path, 1000),
    empty: (path) => truncateSync(path, 0),
    missing: (path) => rmSync(path),
  };

  test.each(Object.entries(damages))(
    '%s: goes on from the one before, says so, and ends the same',
    async (_, damage) => {
      const whole = await uninterrupted();
      const checkpoint = join(folder, 'parts');
      const first = begin();
      await fit(first.model, { ...first.options, checkpoint, checkpointEvery: 3, callbacks: [stopAfter(14)] });
      damage(checkpoint);
      const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
      const second = begin();
      await fit(second.model, { ...second.options, checkpoint, resume: true });
      expect(warn).toHaveBeenCalledTimes(1);
      expect(String(warn.mock.calls[0][0])).toContain(`resuming from the one before it, ${checkpoint}.previous`);
      expect(stateAt(checkpoint)).toEqual(whole.state);
    },
  );

  test('both damaged is an error that names both and starts nothing', async () => {
    const checkpoint = join(folder, 'parts');
    const first = begin();
    await fit(first.model, { ...first.options, checkpoint });
    flip(checkpoint);
    flip(`${checkpoint}.previous`);
    const files = [checkpoint, `${checkpoint}.previous`].map((path) => readFileSync(path));
    const second = begin();
    const error = await fit(second.model, { ...second.options, checkpoint, resume: true }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toContain('checksum');
    expect((error as Error).message).toContain('.previous');
    expect([checkpoint, `${checkpoint}.previous`].map((path) => readFileSync(path))).toEqual(files);
  });

  test('a checkpoint that fit did not write is refused in words', async () => {
    const checkpoint = join(folder, 'other');
    const { model, options } = begin();
    saveCheckpoint(checkpoint, { model, optimizer: options.optimizer, scheduler: options.scheduler });
    await expect(fit(model, { ...options, checkpoint, resume: true })).rejects.toThrow(
      'it was not written by fit: it holds no position in training',
    );
  });
});

test('a checkpoint that cannot be written is a typed error, and the one before it stays', async () => {
  const checkpoint = join(folder, 'parts');
  const { model, options } = begin();
  const block: Callback = {
    onEpochEnd(_, { epoch }) {
      // A folder in the place of the predecessor cannot be replaced by a file, whoever runs the test.
      if (epoch === 2) {
        copyFileSync(checkpoint, join(folder, 'good'));
        mkdirSync(join(`${checkpoint}.previous`, 'inside'), { recursive: true });
      }
    },
  };
  await expect(fit(model, { ...options, checkpoint, callbacks: [block] })).rejects.toBeInstanceOf(AtomicWriteError);
  expect(readFileSync(checkpoint).equals(readFileSync(join(folder, 'good')))).toBe(true);
  const nowhere = begin();
  const impossible = join(folder, 'parts', 'below-a-file');
  await expect(fit(nowhere.model, { ...nowhere.options, checkpoint: impossible })).rejects.toBeInstanceOf(
    AtomicWriteError,
  );
  expect(existsSync(impossible)).toBe(false);
});

describe('a schedule that watches a metric', () => {
  const watching = (mode: 'min' | 'max') => {
    const begun = begin();
    const optimizer = new SGD(begun.model.parameters(), { lr: 0.1 });
    Object.assign(begun.options, { optimizer });
    const scheduler = new ReduceLROnPlateau(optimizer, { mode, patience: 0 });
    const seen: number[] = [];
    const step = scheduler.step.bind(scheduler);
    scheduler.step = (metric) => {
      seen.push(metric as number);
      step(metric);
    };
    return { ...begun, scheduler, seen };
  };

  test('is given the loss of each epoch, or the metric that monitor names', async () => {
    const loss = watching('min');
    const { history } = await fit(loss.model, { ...loss.options, scheduler: loss.scheduler });
    expect(loss.seen).toEqual(history.map(({ train }) => train.loss));
    const named = watching('max');
    const result = await fit(named.model, { ...named.options, scheduler: named.scheduler, monitor: 'accuracy' });
    expect(named.seen).toEqual(result.history.map(({ train }) => train.accuracy));
  });

  test('cannot watch what is not measured, nor step after each update', async () => {
    const { model, options, scheduler } = watching('min');
    await expect(fit(model, { ...options, scheduler, monitor: 'recall' })).rejects.toThrow(
      "[fit] expected monitor to be one of loss, accuracy, got 'recall'",
    );
    await expect(fit(model, { ...options, scheduler, schedule: 'step' })).rejects.toThrow(
      "[fit] ReduceLROnPlateau looks at an epoch's averages",
    );
  });
});

test('impossible options are refused', async () => {
  const { model, options } = begin();
  const refused = (extra: Partial<FitOptions>, text: string) =>
    expect(fit(model, { ...options, ...extra })).rejects.toThrow(new ValueError(text));
  await refused({ accumulate: 0 }, '[fit] expected accumulate of at least 1, got 0');
  await refused({ epochs: -1 }, '[fit] expected epochs of at least 0, got -1');
  await refused({ resume: true }, '[fit] resume and checkpointEvery need the option checkpoint, a file');
  await refused({ loader: [] }, '[fit] the loader gave no batches');
});
