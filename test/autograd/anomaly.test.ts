// Anomaly mode: the error of a NaN gradient names the operation and the line that called its forward.
import { describe, expect, test } from 'vitest';
import {
  defineFunction,
  detectAnomaly,
  isAnomalyEnabled,
  setDetectAnomaly,
  type Tensor,
  tensor,
} from '../../src/index.ts';

const messageOf = (run: () => void): string => {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
};
/** 0 · ∞ in the backward of the square root. */
function rootOf(x: Tensor): Tensor {
  return x.sqrt();
}
const zero = () => tensor([0, 1], { requiresGrad: true });

describe('detectAnomaly', () => {
  test('names the operation and its line', () => {
    const message = messageOf(() => detectAnomaly(() => rootOf(zero()).mul(0).sum().backward()));
    expect(message).toContain("Function 'sqrtBackward' returned nan values in its 0th output.");
    expect(message).toContain('The forward of sqrtBackward was called\n');
    const [first] = message.split('\n').slice(2);
    expect(first).toContain('rootOf');
    expect(first).toContain('anomaly.test.ts');
  });

  test('is off behind its function, also where that threw, and outside nothing is searched', () => {
    messageOf(() => detectAnomaly(() => rootOf(zero()).mul(0).sum().backward()));
    expect(isAnomalyEnabled()).toBe(false);
    const x = zero();
    rootOf(x).mul(0).sum().backward();
    expect(x.grad!.toArray()).toEqual([Number.NaN, 0]);
    expect(detectAnomaly(isAnomalyEnabled)).toBe(true);
  });

  test('without checkNan only errors are traced', () => {
    const x = zero();
    detectAnomaly(() => rootOf(x).mul(0).sum().backward(), { checkNan: false });
    expect(x.grad!.toArray()).toEqual([Number.NaN, 0]);
    const bad = defineFunction({
      name: 'bad',
      forward: (of: Tensor) => ({ output: of.mul(2), saved: {} }),
      backward: (): Tensor => {
        throw new RangeError('no way back');
      },
    });
    setDetectAnomaly(true, { checkNan: false });
    const message = messageOf(() => bad(zero()).sum().backward());
    setDetectAnomaly(false);
    expect(message).toContain('no way back\nThe forward of badBackward was called\n');
    expect(message).toContain('anomaly.test.ts');
  });

  test('covers an async function until it ends', async () => {
    await expect(
      detectAnomaly(async () => {
        await Promise.resolve();
        rootOf(zero()).mul(0).sum().backward();
      }),
    ).rejects.toThrow('sqrtBackward');
    expect(isAnomalyEnabled()).toBe(false);
  });
});
