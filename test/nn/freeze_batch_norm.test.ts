// freezeBatchNorm stays through train() and state dicts and is undone whole; layers that move where they should not say
// so, once.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  Conv2d,
  freezeBatchNorm,
  type Module,
  Sequential,
  unfreezeBatchNorm,
  withStatistics,
} from '../../src/nn/index.ts';
import { recalibrating } from '../../src/nn/norm/statistics/statistics_control.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { recordWarnings } from '../support/warnings.ts';

const net = () => {
  manualSeed(1);
  return new Sequential(
    new Conv2d(3, 4, 3),
    new BatchNorm2d(4),
    new Sequential(new Conv2d(4, 5, 3), new BatchNorm2d(5)),
  );
};
const x = () => randn([4, 3, 8, 8]);
const buffers = (module: Module) => [...module.buffers()].map((buffer) => Array.from(buffer.dataSync(), Number));
const flags = (module: Module) => [...module.namedParameters()].filter(([, p]) => p.requiresGrad).map(([name]) => name);

const warnings = recordWarnings();

describe('freezeBatchNorm', () => {
  it('stops statistics, counter and parameters, also after train()', () => {
    const model = net();
    model(x());
    expect(freezeBatchNorm(model)).toEqual(['1', '2.1']);
    model.train();
    const before = buffers(model);
    const batch = x();
    const y = model(batch);
    expect(buffers(model)).toEqual(before);
    expect(flags(model)).toEqual(['0.weight', '0.bias', '2.0.weight', '2.0.bias']);
    y.sum().backward();
    const conv = model.getSubmodule('0') as Conv2d;
    expect(conv.weight.grad).not.toBeNull();
    // Running statistics: what evaluation computes, to the bit.
    expect(y.toArray()).toEqual(model.eval()(batch).toArray());
    expect(warnings).toEqual([]);
  });

  it('freezes either half', () => {
    const model = net();
    freezeBatchNorm(model, { affine: false });
    const before = buffers(model);
    model(x()).sum().backward();
    expect(buffers(model)).toEqual(before);
    expect(flags(model)).toHaveLength(8);
    expect((model.getSubmodule('1') as BatchNorm2d).weight!.grad).not.toBeNull();
    unfreezeBatchNorm(model);
    freezeBatchNorm(model, { statistics: false });
    model(x());
    expect(buffers(model)).not.toEqual(before);
    expect(flags(model)).toHaveLength(4);
    // Half-frozen on purpose is still worth a word: the statistics move.
    expect(warnings).toHaveLength(1);
  });

  it('adds up, and is undone to what was', () => {
    const model = net();
    const first = model.getSubmodule('1') as BatchNorm2d;
    first.bias!.requiresGrad = false;
    const before = flags(model);
    freezeBatchNorm(model, { affine: false });
    expect(String(first)).toContain('track_running_stats=True, frozen=statistics)');
    freezeBatchNorm(model, { statistics: false });
    expect(String(first)).toContain(', frozen=statistics+affine)');
    freezeBatchNorm(model);
    expect(unfreezeBatchNorm(model)).toEqual(['1', '2.1']);
    expect(unfreezeBatchNorm(model)).toEqual([]);
    expect(flags(model)).toEqual(before);
    expect(String(first)).toBe(String(new BatchNorm2d(4)));
    expect(first.control).toBeNull();
    const still = buffers(model);
    model(x());
    expect(buffers(model)).not.toEqual(still);
  });

  it('passes by what a layer does not have', () => {
    const bare = new BatchNorm1d(2, { affine: false, trackRunningStats: false });
    const affine = new BatchNorm1d(2, { trackRunningStats: false });
    const model = new Sequential(bare, affine);
    expect(freezeBatchNorm(model)).toEqual(['1']);
    expect(String(affine)).toContain('frozen=affine');
    expect(String(bare)).not.toContain('frozen');
    // Without running statistics there is only the batch.
    expect(
      model(randn([8, 2]))
        .mean()
        .item(),
    ).toBeCloseTo(0, 6);
  });

  it.each([false, true])('survives loading, assign=%s', (assign) => {
    const other = net();
    other(x());
    const model = net();
    freezeBatchNorm(model);
    model.loadStateDict(other.stateDict().copy(), { assign });
    expect([...model.stateDict().keys()]).toEqual([...net().stateDict().keys()]);
    const before = buffers(model);
    expect(before).toEqual(buffers(other));
    model.train()(x());
    expect(buffers(model)).toEqual(before);
    unfreezeBatchNorm(model);
    expect(flags(model)).toHaveLength(8);
  });
});

describe('warnings', () => {
  it('tell of frozen parameters over moving statistics, once per model, by the path of the layer', () => {
    const model = net();
    model.requiresGrad_(false);
    for (let i = 0; i < 3; i++) model(x());
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^'1' moves its running statistics although its weight and bias are frozen/);
    expect(warnings[0]).toContain('freezeBatchNorm(model)');
    const outer = new Sequential({ backbone: net() });
    outer.requiresGrad_(false)(x());
    expect(warnings[1]).toMatch(/^'backbone.1' moves/);
    // A layer that is called by itself has no path.
    const bn = new BatchNorm1d(3);
    bn.requiresGrad_(false)(randn([4, 3]));
    expect(warnings[2]).toMatch(/^BatchNorm1d\(3, .*\) moves/);
    expect(warnings).toHaveLength(3);
  });

  it('tell of movement without gradients, once per model', () => {
    const model = net();
    for (let i = 0; i < 3; i++) noGrad(() => model(x()));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^'1' moves its running statistics in a forward without gradients/);
    expect(warnings[0]).toContain('eval()');
    expect(warnings[0]).toContain('withStatistics');
  });

  it('are silent where nothing moves, or on purpose', async () => {
    const model = net();
    noGrad(() => model.eval()(x()));
    model.train();
    noGrad(() => withStatistics(model, 'batch', () => model(x())));
    noGrad(() => recalibrating(() => model(x())));
    await recalibrating(async () => noGrad(() => model(x())));
    expect(() =>
      recalibrating(() => {
        throw new Error('stop');
      }),
    ).toThrow('stop');
    const untracked = new BatchNorm1d(3, { trackRunningStats: false });
    noGrad(() => untracked(randn([4, 3])));
    untracked.requiresGrad_(false)(randn([4, 3]));
    model(x());
    expect(warnings).toEqual([]);
    // The purpose has ended: later movements are told of.
    noGrad(() => model(x()));
    expect(warnings).toHaveLength(1);
  });
});
