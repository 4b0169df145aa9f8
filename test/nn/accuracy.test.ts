// The accuracy that the documents promise: outputs within 1e-6 of float64 truth for |mean|/std up to 1e4, the running
// variance within 2e-7 up to 100, on every engine, in both memory formats, with one thread and with many.
import { describe, expect, test } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { getEngine, getNumThreads, setNumThreads } from '../../src/device/engine.ts';
import * as nn from '../../src/nn/index.ts';
import { Generator } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { accuracyCases, measureAccuracy } from '../support/accuracy.ts';

describe('outputs and running variances of float32 data far from 0', () => {
  for (const one of accuracyCases.filter(({ mean }) => mean <= 1e4))
    test(`${one.layer} ${one.shape.join('x')} ${one.format}, mean ${one.mean}, std 1`, () => {
      const errors = measureAccuracy(one);
      expect(errors.y).toBeLessThanOrEqual(1e-6);
      if (errors.runningVar !== null && one.mean <= 100) expect(errors.runningVar).toBeLessThanOrEqual(2e-7);
      if (getEngine() !== 'native') return;
      const threads = getNumThreads();
      setNumThreads(threads === 1 ? 3 : 1);
      const again = measureAccuracy(one);
      setNumThreads(threads);
      expect(again).toEqual(errors);
    });
});

test.each([
  [new nn.BatchNorm1d(8), [64, 8]],
  [new nn.LayerNorm([64]), [8, 64]],
  [new nn.GroupNorm(2, 8), [4, 8, 16]],
  [new nn.InstanceNorm1d(8), [4, 8, 16]],
] as const)(
  '%s: gradients recorded for a second derivative are those of the kernels, far from 0 too',
  (layer, shape) => {
    const generator = new Generator(0);
    const g = randn([...shape], { generator });
    for (const mean of [0, 1e4]) {
      const x = randn([...shape], { generator })
        .add(mean)
        .detach()
        .requiresGrad_();
      const [plain, recorded] = [false, true].map(
        (createGraph) => grad([layer(x)], [x], { gradOutputs: [g], createGraph })[0],
      );
      // Gradients of size 1 to 4, about ten roundings of them; before the mean is taken off, one rounding of x is 5e-4.
      expect(plain.sub(recorded).abs().max().item()).toBeLessThan(5e-6);
    }
  },
);
