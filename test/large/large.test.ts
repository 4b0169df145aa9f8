// Tensors near the largest: values at their ends are right, or one typed error comes. Takes some 10 GB and minutes, so
// it has a run of its own, `vitest run --mode large`.
import { afterEach, describe, expect, test } from 'vitest';
import { maxElements } from '../../src/checks.ts';
import { EvenkeelError } from '../../src/errors.ts';
import { full, type Tensor, tensor, zeros } from '../../src/index.ts';
import * as nn from '../../src/nn/index.ts';
import { scope } from '../../src/tensor/scope.ts';

const gc = (globalThis as { gc?: () => void }).gc;
afterEach(() => gc?.());

/** The last element along each dimension. */
const last = (x: Tensor) => x.index(...x.shape.map((n) => n - 1)).item();
/** Runs in a scope, so that the memory goes back at once. */
const inScope = (fn: () => void) => () => scope(fn);

describe('bytes', () => {
  test(
    'are written and read to the end',
    inScope(() => {
      const x = full([maxElements], 7, { dtype: 'uint8' });
      expect([last(x), x.narrow(0, maxElements - 3, 3).toArray()]).toEqual([7, [7, 7, 7]]);
      expect(last(x.to('bool'))).toBe(1);
      expect(last(x.eq(7))).toBe(1);
      x.narrow(0, 0, 1);
      expect(x.amax().item()).toBe(7);
    }),
  );

  test(
    'in two dimensions',
    inScope(() => {
      const rows = 46329; // 46329² is just below the limit.
      const x = full([rows, rows], 3, { dtype: 'uint8' });
      expect(last(x)).toBe(3);
      expect(
        x
          .select(0, rows - 1)
          .to('int64')
          .sum()
          .item(),
      ).toBe(3 * rows);
      expect(
        x
          .select(1, rows - 1)
          .to('int64')
          .sum()
          .item(),
      ).toBe(3 * rows);
      expect(
        x
          .indexSelect(0, tensor([rows - 1], { dtype: 'int64' }))
          .to('int64')
          .sum()
          .item(),
      ).toBe(3 * rows);
      expect(last(x.transpose(0, 1))).toBe(3);
    }),
  );
});

describe('floats', () => {
  const n = 2 ** 29;
  test(
    'maps, sums and extrema',
    inScope(() => {
      const x = full([n], 0.5);
      expect(x.sum().item()).toBe(n / 2);
      expect(x.mean().item()).toBe(0.5);
      expect(last(x.neg())).toBe(-0.5);
      expect(last(x.mul(2))).toBe(1);
      expect(last(x.cumsum(0))).toBeCloseTo(n / 2, -2);
      expect(x.argmax().item()).toBe(0);
    }),
  );

  test(
    'products of matrices whose multiplications pass 2^31',
    inScope(() => {
      const [a, b] = [full([30000, 4], 0.5), full([4, 30000], 2)];
      expect(last(a.matmul(b))).toBe(4);
      const k = 2 ** 28;
      expect(
        full([1, k], 0.5)
          .matmul(full([k, 1], 2))
          .item(),
      ).toBe(k);
    }),
  );

  test(
    'batch norm, pooling and convolution',
    inScope(() => {
      const x = full([2, 4, 8192, 8192], 1);
      const bn = new nn.BatchNorm2d(4).eval();
      expect(last(bn(x))).toBeCloseTo(1, 4);
      expect(last(new nn.MaxPool2d(2)(x))).toBe(1);
      expect(last(new nn.AvgPool2d(2)(x))).toBe(1);
      const conv = new nn.Conv2d(4, 1, 3, { padding: 1, bias: false });
      conv.weight.requiresGrad_(false).fill_(1);
      expect(last(conv(x))).toBe(16);
    }),
  );

  test(
    'batch norm in training, with its backward',
    inScope(() => {
      const x = full([1, 2, 8192, 8192], 1);
      x.requiresGrad_();
      const y = new nn.BatchNorm2d(2)(x);
      y.sum().backward();
      expect(Math.abs(last(x.grad!))).toBeLessThan(1e-3);
    }),
  );
});

test('what would be larger is one typed error', () => {
  const x = zeros([1, 2 ** 20]);
  const wide = zeros([1]);
  const calls: [string, () => unknown][] = [
    ['full', () => full([2 ** 31], 7, { dtype: 'uint8' })],
    ['zeros', () => zeros([46341, 46341])],
    ['expand', () => x.expand([2 ** 12, 2 ** 20])],
    ['repeat', () => x.repeat([2 ** 12, 1])],
    ['broadcast', () => zeros([2 ** 16, 1]).add(zeros([1, 2 ** 16]))],
    ['matmul', () => zeros([2 ** 16, 1]).matmul(zeros([1, 2 ** 16]))],
    ['pad', () => wide.pad([2 ** 30, 2 ** 30])],
    ['indexSelect', () => x.indexSelect(0, zeros([2 ** 12], { dtype: 'int64' }))],
    ['conv', () => new nn.Conv2d(1, 64, 1, { padding: 3000 })(zeros([1, 1, 1, 1]))],
  ];
  for (const [name, call] of calls) {
    expect(call, name).toThrow(/a tensor may have at most 2146435072 elements|out of memory/);
    expect(call, name).toThrow(EvenkeelError);
  }
});
