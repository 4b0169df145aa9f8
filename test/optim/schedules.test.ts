// Learning-rate schedules against PyTorch's (golden/optim_golden.py): rates, momenta, saved states, errors.
import { describe, expect, it } from 'vitest';
import { EvenkeelError } from '../../src/errors.ts';
import { Parameter } from '../../src/nn/index.ts';
import {
  Adam,
  ChainedScheduler,
  ConstantLR,
  CosineAnnealingLR,
  CosineAnnealingWarmRestarts,
  CyclicLR,
  ExponentialLR,
  LambdaLR,
  LinearLR,
  MultiplicativeLR,
  MultiStepLR,
  OneCycleLR,
  PolynomialLR,
  ReduceLROnPlateau,
  RMSprop,
  SequentialLR,
  SGD,
  StepLR,
  SWALR,
} from '../../src/optim/index.ts';
import type { AnyOptimizer, SchedulerState } from '../../src/optim/lr_scheduler.ts';
import { tensor, zeros } from '../../src/tensor/create.ts';
import { readGolden } from '../support/golden.ts';
import { warningsOf } from '../support/warnings.ts';

const golden = readGolden<{
  schedules: Record<string, { rates: number[][]; momenta: number[][]; keys: string[] }>;
  metrics: number[];
}>('optim.golden.json');

interface Schedule {
  step(metric?: number): void;
  getLastLr(): number[];
  stateDict(): SchedulerState;
  loadStateDict(state: SchedulerState): void;
}

const makers = {
  StepLR: (o) => new StepLR(o, 3, { gamma: 0.3 }),
  MultiStepLR: (o) => new MultiStepLR(o, [2, 5, 5, 8], { gamma: 0.5 }),
  ExponentialLR: (o) => new ExponentialLR(o, 0.9),
  CosineAnnealingLR: (o) => new CosineAnnealingLR(o, 5, { etaMin: 0.01 }),
  LinearLR: (o) => new LinearLR(o, { startFactor: 0.1, endFactor: 0.8, totalIters: 4 }),
  LambdaLR: (o) => new LambdaLR(o, [(e) => 0.95 ** e, (e) => 1 / (1 + e)]),
  OneCycleLR: (o) => new OneCycleLR(o, 0.1, { totalSteps: 10 }),
  'OneCycleLR three phases': (o) =>
    new OneCycleLR(o, [0.1, 0.2], {
      epochs: 4,
      stepsPerEpoch: 5,
      pctStart: 0.25,
      annealStrategy: 'linear',
      threePhase: true,
      baseMomentum: 0.8,
      maxMomentum: 0.9,
      divFactor: 10,
      finalDivFactor: 100,
    }),
  SequentialLR: (o) =>
    new SequentialLR(
      o,
      [new LinearLR(o, { startFactor: 0.1, totalIters: 4 }), new ExponentialLR(o, 0.8), new CosineAnnealingLR(o, 5)],
      [4, 7],
    ),
  'SequentialLR lambda': (o) => new SequentialLR(o, [new StepLR(o, 2), new LambdaLR(o, (e) => 1 / (2 + e))], [3]),
  MultiplicativeLR: (o) => new MultiplicativeLR(o, [() => 0.95, (e) => 1 / (1 + e)]),
  ConstantLR: (o) => new ConstantLR(o, { factor: 0.3, totalIters: 4 }),
  PolynomialLR: (o) => new PolynomialLR(o, { totalIters: 6, power: 1.7 }),
  CosineAnnealingWarmRestarts: (o) => new CosineAnnealingWarmRestarts(o, 3, { tMult: 2, etaMin: 0.01 }),
  CyclicLR: (o) => new CyclicLR(o, 0.01, [0.1, 0.2], { stepSizeUp: 3, stepSizeDown: 4, mode: 'triangular2' }),
  'CyclicLR expRange': (o) =>
    new CyclicLR(o, 0.01, 0.1, {
      stepSizeUp: 3,
      mode: 'expRange',
      gamma: 0.9,
      baseMomentum: 0.7,
      maxMomentum: [0.8, 0.95],
    }),
  'CyclicLR scaleFn': (o) =>
    new CyclicLR(o, 0.01, 0.1, {
      stepSizeUp: 3,
      scaleFn: (x) => 1 / (1 + x),
      scaleMode: 'iterations',
      cycleMomentum: false,
    }),
  ChainedScheduler: (o) =>
    new ChainedScheduler([new ConstantLR(o, { factor: 0.1, totalIters: 4 }), new ExponentialLR(o, 0.9)]),
  'SequentialLR restarts': (o) =>
    new SequentialLR(
      o,
      [new PolynomialLR(o), new ConstantLR(o, { totalIters: 2 }), new MultiplicativeLR(o, () => 0.9)],
      [3, 7],
    ),
  SWALR: (o) => new SWALR(o, [0.05, 0.2], { annealEpochs: 4 }),
  'SWALR linear': (o) => new SWALR(o, 0.05, { annealEpochs: 3, annealStrategy: 'linear' }),
  'SWALR at once': (o) => new SWALR(o, 0.05, { annealEpochs: 0 }),
  ReduceLROnPlateau: (o) => new ReduceLROnPlateau(o, { factor: 0.5, patience: 2, cooldown: 1 }),
  'ReduceLROnPlateau max abs': (o) =>
    new ReduceLROnPlateau(o, {
      mode: 'max',
      factor: 0.1,
      patience: 1,
      threshold: 0.06,
      thresholdMode: 'abs',
      minLr: [0.01, 0.001],
    }),
} as Record<string, (optimizer: AnyOptimizer) => unknown> as Record<string, (optimizer: AnyOptimizer) => Schedule>;

function makeOptimizer(name: string): AnyOptimizer {
  const groups = [0, 1].map((i) => ({ params: [new Parameter(zeros([1]))], lr: 0.5 / (1 + 9 * i) }));
  return name.includes('three phases') || name.includes('expRange')
    ? new Adam(groups, { lr: 0.5 })
    : new SGD(groups, { lr: 0.5, momentum: 0.9 });
}
const momenta = (optimizer: AnyOptimizer) => optimizer.paramGroups.map(({ momentum, betas }) => momentum ?? betas[0]);
function expectRow(actual: readonly number[], expected: readonly number[], what: string): void {
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i]), `${what}: ${value} for ${expected[i]}`).toBeLessThanOrEqual(
      1e-13 * Math.abs(expected[i]) + 1e-17,
    );
  });
}

describe('learning rates', () => {
  it.each(Object.keys(golden.schedules))('of %s', (name) => {
    const { rates, momenta: expectedMomenta, keys } = golden.schedules[name];
    const optimizer = makeOptimizer(name);
    const schedule = makers[name](optimizer);
    for (let step = 0; step < rates.length; step++) {
      if (step > 0) {
        optimizer.step();
        schedule.step(golden.metrics[step - 1]);
      }
      expectRow(schedule.getLastLr(), rates[step], `rate ${step}`);
      expectRow(
        optimizer.paramGroups.map(({ lr }) => lr),
        rates[step],
        `group's rate ${step}`,
      );
      expectRow(momenta(optimizer), expectedMomenta[step], `momentum ${step}`);
    }
    // What PyTorch saves, apart from its working flags and from functions.
    const ours = Object.keys(schedule.stateDict());
    const inner = ['_get_lr_called_within_step', '_is_initial', 'lr_lambdas', '_schedule_phases', 'use_beta1'];
    expect(ours).toEqual(expect.arrayContaining(keys.filter((key) => !inner.includes(key))));
  });

  it.each(Object.keys(golden.schedules))('of %s go on after saving and loading', (name) => {
    const { rates } = golden.schedules[name];
    const half = Math.floor(rates.length / 2);
    const first = makeOptimizer(name);
    const before = makers[name](first);
    for (let step = 1; step <= half; step++) {
      first.step();
      before.step(golden.metrics[step - 1]);
    }
    const optimizer = makeOptimizer(name);
    const schedule = makers[name](optimizer);
    // As a checkpoint would: through JSON.
    schedule.loadStateDict(JSON.parse(JSON.stringify(before.stateDict())));
    optimizer.loadStateDict(JSON.parse(JSON.stringify(first.stateDict())));
    for (let step = half + 1; step < rates.length; step++) {
      optimizer.step();
      schedule.step(golden.metrics[step - 1]);
      expectRow(schedule.getLastLr(), rates[step], `rate ${step}`);
    }
  });
});

describe('states of schedules', () => {
  it.each(Object.keys(makers))('of %s survive JSON and structuredClone from the first step on', (name) => {
    for (const copy of [(state: object) => JSON.parse(JSON.stringify(state)), structuredClone])
      for (const steps of [0, 3]) {
        const [a, b] = [makeOptimizer(name), makeOptimizer(name)];
        const [first, second] = [makers[name](a), makers[name](b)];
        const advance = (optimizer: AnyOptimizer, schedule: typeof first, step: number) => {
          optimizer.step();
          schedule.step(golden.metrics[step]);
        };
        for (let step = 0; step < steps; step++) advance(a, first, step);
        second.loadStateDict(copy(first.stateDict()));
        b.loadStateDict(copy(a.stateDict()));
        for (let step = steps; step < steps + 5; step++) {
          advance(a, first, step);
          advance(b, second, step);
          expect(second.getLastLr()).toEqual(first.getLastLr());
        }
      }
  });

  it.each(Object.keys(makers))('of %s are loaded whole or not at all', (name) => {
    const schedule = makers[name](makeOptimizer(name));
    const before = schedule.stateDict();
    for (const key of Object.keys(before)) {
      // What follows from another entry, or from the options, is not read.
      if (['mode_worse', 'use_beta1', '_scale_fn_custom'].includes(key)) continue;
      const values: unknown[] = ['x', { 3: 'x' }, Number.NaN, undefined];
      for (const value of values) {
        const state = { ...schedule.stateDict(), last_epoch: 5, [key]: value };
        expect(() => schedule.loadStateDict(state), `${key}: ${String(value)}`).toThrow(EvenkeelError);
        expect(schedule.stateDict()).toEqual(before);
      }
    }
    for (const state of [null, 3, [], {}]) expect(() => schedule.loadStateDict(state as never)).toThrow(EvenkeelError);
    expect(schedule.stateDict()).toEqual(before);
  });
});

describe('a group that is added after the schedule', () => {
  const added = (make: (optimizer: AnyOptimizer) => { step(metric?: never): void }) => {
    const optimizer = new SGD([new Parameter(zeros([1]))], { lr: 0.1, momentum: 0.9 });
    const schedule = make(optimizer);
    optimizer.addParamGroup({ params: [new Parameter(zeros([2]))], lr: 0.5 });
    return Array.from({ length: 4 }, () => {
      optimizer.step();
      schedule.step();
      return optimizer.paramGroups.map(({ lr }) => Number(lr.toFixed(4)));
    });
  };

  // PyTorch's numbers, where it has any.
  it.each([
    [
      'StepLR',
      (o: AnyOptimizer) => new StepLR(o, 2),
      [
        [0.1, 0.5],
        [0.01, 0.05],
        [0.01, 0.05],
        [0.001, 0.005],
      ],
    ],
    [
      'CosineAnnealingLR',
      (o: AnyOptimizer) => new CosineAnnealingLR(o, 5),
      [
        [0.0905, 0.4523],
        [0.0655, 0.3273],
        [0.0345, 0.1727],
        [0.0095, 0.0477],
      ],
    ],
    [
      'LinearLR',
      (o: AnyOptimizer) => new LinearLR(o),
      [
        [0.0467, 0.7],
        [0.06, 0.9],
        [0.0733, 1.1],
        [0.0867, 1.3],
      ],
    ],
    [
      'ExponentialLR',
      (o: AnyOptimizer) => new ExponentialLR(o, 0.5),
      [
        [0.05, 0.25],
        [0.025, 0.125],
        [0.0125, 0.0625],
        [0.0063, 0.0313],
      ],
    ],
    [
      'LambdaLR of one function',
      (o: AnyOptimizer) => new LambdaLR(o, () => 0.5),
      [
        [0.05, 0.25],
        [0.05, 0.25],
        [0.05, 0.25],
        [0.05, 0.25],
      ],
    ],
    // The second schedule begins anew, from the rate that the group was added with.
    [
      'SequentialLR',
      (o: AnyOptimizer) => new SequentialLR(o, [new ExponentialLR(o, 0.5), new StepLR(o, 1, { gamma: 0.1 })], [2]),
      [
        [0.05, 0.25],
        [0.1, 0.5],
        [0.01, 0.05],
        [0.001, 0.005],
      ],
    ],
  ])('is scheduled from its own rate by %s', (_, make, expected) => {
    expect(added(make)).toEqual(expected);
  });

  it('is refused by schedules that know too little of it', () => {
    expect(() => added((o) => new OneCycleLR(o, 0.1, { totalSteps: 10 }))).toThrow(
      '[OneCycleLR] group 1 was added to the optimizer after the schedule was made',
    );
    expect(() => added((o) => new LambdaLR(o, [() => 0.5]))).toThrow(
      '[LambdaLR] expected a function for each group, got 1: group 1 was added',
    );
    expect(() => added((o) => new LambdaLR(o, () => Number.NaN))).toThrow('would be NaN');
  });
});

describe('schedules', () => {
  const sgd = () => new SGD([new Parameter(zeros([1]))], { lr: 1 });

  it('go on from lastEpoch where the optimizer knows its beginning', () => {
    expect(() => new StepLR(sgd(), 2, { lastEpoch: 3 })).toThrow(
      "param 'initialLr' is not specified in paramGroups[0]",
    );
    const optimizer = sgd();
    new ExponentialLR(optimizer, 0.5);
    const schedule = new CosineAnnealingLR(optimizer, 4, { lastEpoch: 1 });
    expect([schedule.lastEpoch, schedule.getLastLr()]).toEqual([2, [1]]);
  });

  it('warn when they are stepped before the optimizer', () => {
    const texts = warningsOf(() => {
      const schedule = new StepLR(sgd(), 2);
      schedule.step();
      schedule.step();
    });
    expect(texts.length).toBe(1);
    expect(texts[0]).toContain('Detected call of `scheduler.step()` before `optimizer.step()`');
  });

  it('take metrics as tensors', () => {
    const optimizer = sgd();
    const schedule = new ReduceLROnPlateau(optimizer, { patience: 0 });
    schedule.step(tensor(1));
    schedule.step(tensor(1));
    expect(schedule.getLastLr()).toEqual([0.1]);
  });

  it.each([
    [
      () => new LinearLR(sgd(), { startFactor: 0 }),
      'Starting multiplicative factor expected to be greater than 0 and less or equal to 1.',
    ],
    [() => new LinearLR(sgd(), { endFactor: 2 }), 'Ending multiplicative factor expected to be between 0 and 1.'],
    [() => new LambdaLR(sgd(), []), 'Expected 1 lrLambdas, but got 0'],
    [() => new OneCycleLR(sgd(), 1), 'You must define either totalSteps OR (epochs AND stepsPerEpoch)'],
    [() => new OneCycleLR(sgd(), 1, { totalSteps: 0 }), 'Expected positive integer totalSteps, but got 0'],
    [
      () => new OneCycleLR(sgd(), 1, { totalSteps: 5, pctStart: 2 }),
      'Expected number between 0 and 1 pctStart, but got 2',
    ],
    [
      () => new OneCycleLR(sgd(), 1, { totalSteps: 5, annealStrategy: 'sin' as 'cos' }),
      "annealStrategy must be one of 'cos' or 'linear', instead got 'sin'",
    ],
    [
      () => new OneCycleLR(sgd(), [1, 2], { totalSteps: 5 }),
      'maxLr must have the same length as optimizer.paramGroups.',
    ],
    [() => new ReduceLROnPlateau(sgd(), { factor: 1 }), 'Factor should be < 1.0.'],
    [() => new ReduceLROnPlateau(sgd(), { mode: 'low' as 'min' }), 'mode low is unknown!'],
    [() => new ReduceLROnPlateau(sgd(), { minLr: [1, 2] }), 'expected 1 values of minLr, got 2'],
    [() => new ConstantLR(sgd(), { factor: 1.5 }), 'Constant multiplicative factor expected to be between 0 and 1.'],
    [() => new MultiplicativeLR(sgd(), []), 'Expected 1 lrLambdas, but got 0'],
    [() => new CosineAnnealingWarmRestarts(sgd(), 0), 'Expected positive integer t0, but got 0'],
    [() => new CosineAnnealingWarmRestarts(sgd(), 2, { tMult: 0 }), 'Expected integer tMult >= 1, but got 0'],
    [() => new CyclicLR(sgd(), 0.1, 1, { mode: 'square' as never }), 'mode is invalid and scaleFn is null'],
    [() => new CyclicLR(sgd(), 0.1, [1, 2]), 'maxLr must have the same length as optimizer.paramGroups.'],
    [
      () => new CyclicLR(new Adam([new Parameter(zeros([1]))]), 0.1, 1, { stepSizeUp: 0 }),
      '[CyclicLR] expected stepSizeUp above 0, got 0',
    ],
    [() => new SWALR(sgd(), 1, { annealEpochs: -1 }), 'annealEpochs must be equal or greater than 0, got -1'],
    [
      () => new SWALR(sgd(), 1, { annealStrategy: 'sin' as 'cos' }),
      "annealStrategy must be one of 'cos' or 'linear', instead got 'sin'",
    ],
    [
      () => new ChainedScheduler([]),
      'ChainedScheduler expects at least one scheduler to be chained, but got no scheduler.',
    ],
    [
      () => new ChainedScheduler([new StepLR(sgd(), 1), new StepLR(sgd(), 1)]),
      'ChainedScheduler expects all schedulers to belong to the same optimizer',
    ],
    [
      () => new ChainedScheduler([new ReduceLROnPlateau(sgd()) as never]),
      'ChainedScheduler does not support `ReduceLROnPlateau` scheduler',
    ],
    [() => new SequentialLR(sgd(), [], []), 'SequentialLR expects at least one scheduler, but got no scheduler.'],
  ])('refuse %# with PyTorch’s words', (make, message) => {
    expect(make).toThrow(message);
  });

  it('refuse what cannot follow another, and steps beyond a cycle', () => {
    const optimizer = sgd();
    const step = new StepLR(optimizer, 1);
    expect(() => new SequentialLR(optimizer, [step], [1])).toThrow('number of milestones to be equal to 1');
    expect(() => new SequentialLR(sgd(), [step], [])).toThrow('expects all schedulers to belong to the same optimizer');
    expect(() => new SequentialLR(optimizer, [new ReduceLROnPlateau(optimizer) as never], [])).toThrow(
      'SequentialLR does not support `ReduceLROnPlateau` scheduler',
    );
    const cycle = new OneCycleLR(optimizer, 1, { totalSteps: 2 });
    optimizer.step();
    cycle.step();
    cycle.step();
    expect(() => cycle.step()).toThrow('Tried to step 3 times. The specified number of total steps is 2');
    expect(() => new OneCycleLR(new RMSprop([new Parameter(zeros([1]))]), 1, { totalSteps: 2 })).not.toThrow();
  });
});
