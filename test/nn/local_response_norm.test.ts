// LocalResponseNorm, CrossMapLRN2d and their functional forms.
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { CrossMapLRN2d, functional, LocalResponseNorm } from '../../src/nn/index.ts';
import { ones, zeros } from '../../src/tensor/create.ts';
import { expectClose, readGolden } from '../support/golden.ts';
import { det, list, make, type Plain, walkLayers, walkTexts } from '../support/norm_layers.ts';

const { localResponseNorm, crossMapLRN2d } = functional;

interface Golden extends Record<'x' | 'dy' | 'y' | 'dx', Plain> {
  kind: 'local_response_norm';
  size: number;
  alpha: number;
  beta: number;
  k: number;
}
const goldens = readGolden<{ cases: { kind: string }[] }>('norm_golden.json').cases.filter(
  (c): c is Golden => c.kind === 'local_response_norm',
);

describe('norm_golden.json', () => {
  it('has five cases', () => expect(goldens.length).toBe(5));
  it.each(goldens)('size $size', (c) => {
    const x = make(c.x, 'float64', true);
    const y = localResponseNorm(x, c.size, { alpha: c.alpha, beta: c.beta, k: c.k });
    expectClose(y, c.y.data, 1e-12);
    y.backward(make(c.dy));
    expectClose(x.grad!, c.dx.data, 1e-12);
  });
});

walkLayers(LocalResponseNorm, true);
walkLayers(CrossMapLRN2d, true);

describe('errors', () => {
  walkTexts({
    'localResponseNorm: rank 2': () => localResponseNorm(ones([2, 3]), 2),
    'localResponseNorm: size 0': () => localResponseNorm(ones([2, 3, 4]), 0),
    'localResponseNorm: size -1, rank 4': () => localResponseNorm(ones([2, 3, 4, 4]), -1),
    'CrossMapLRN2d: rank 3': () => new CrossMapLRN2d(3)(ones([2, 3, 4])),
  });
  it('a size that is no integer, and integers', () => {
    expect(() => localResponseNorm(ones([2, 3, 4]), 2.5)).toThrow('expected an integer as size, got 2.5');
    expect(() => crossMapLRN2d(ones([2, 3, 4, 1]), 0)).toThrow('kernel size should be greater than zero');
    expect(() => localResponseNorm(ones([2, 3, 4], { dtype: 'int64' }), 2)).toThrow("not implemented for 'int64'");
  });
});

describe('LocalResponseNorm', () => {
  /** The definition, value by value. */
  const reference = (x: number[], c: number, s: number, size: number, alpha: number, beta: number, k: number) =>
    x.map((value, i) => {
      const [channel, place] = [Math.floor(i / s) % c, i - (Math.floor(i / s) % c) * s];
      let sum = 0;
      for (let j = channel - Math.floor(size / 2); j <= channel + Math.floor((size - 1) / 2); j++)
        if (j >= 0 && j < c) sum += x[place + j * s] ** 2;
      return value / (k + (alpha / size) * sum) ** beta;
    });
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('size %i is the definition: an even window reaches one further down', (size) => {
    const x = det([2, 5, 3], 4);
    expectClose(
      localResponseNorm(x, size, { alpha: 0.7, beta: 0.6, k: 1.3 }),
      reference(list(x)!, 5, 3, size, 0.7, 0.6, 1.3),
      1e-14,
    );
  });
  it('gives an empty input back', () => {
    const x = zeros([0, 3, 4]);
    expect(localResponseNorm(x, 2)).toBe(x);
  });
});

describe('CrossMapLRN2d', () => {
  it('lets channel 0 count for all', () => {
    const options = { alpha: 0.7, beta: 0.6, k: 1.3 };
    const x = det([1, 6, 2, 2], 4).add(0.01);
    const [old, now] = [list(crossMapLRN2d(x, 3, options))!, list(localResponseNorm(x, 3, options))!];
    // The first two channels have it in their windows anyway.
    expectClose(old.slice(0, 8), now.slice(0, 8), 1e-14);
    for (let i = 8; i < 24; i++) expect(Math.abs(old[i])).toBeLessThan(Math.abs(now[i]));
  });
  it('has the gradient of its own formula, which PyTorch’s is not', () => {
    gradcheck((x) => crossMapLRN2d(x, 3, { alpha: 0.5 }), [det([2, 5, 2, 1], 3).requiresGrad_()]);
  });
  it('takes no elements', () => {
    expect(new CrossMapLRN2d(3)(zeros([2, 0, 4, 1])).shape).toEqual([2, 0, 4, 1]);
  });
});
