// The accuracy that the documents promise: outputs within 1e-6 of float64 truth for |mean|/std up to 1e4, the running variance within 2e-7
// up to 100, on every engine, in both memory formats, with one thread and with many.
import { describe, expect, test } from 'vitest';
import { getEngine, getNumThreads, setNumThreads } from '../../src/kernels/engine.ts';
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
