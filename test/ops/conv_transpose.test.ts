// Transposed convolution with any legal output padding, a stride and more too, against PyTorch: values, gradients of
// first and second order, both memory formats, and by differences.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { gradcheck, gradgradcheck } from '../../src/autograd/gradcheck.ts';
import { arange, fromTypedArray, noGrad, ones, randn, type Tensor } from '../../src/index.ts';
import { ConvTranspose2d } from '../../src/nn/index.ts';
import { conv2d, convTranspose2d } from '../../src/ops/conv.ts';
import { toFormat } from '../../src/ops/convert.ts';
import { relu } from '../../src/ops/elementwise.ts';
import { type MemoryFormat, sizeOf } from '../../src/tensor/shape.ts';

interface Golden extends Record<'y' | 'dx' | 'dw' | 'db' | 'ddx' | 'ddw' | 'ddy' | 'shape', number[]> {
  kernel: number;
  stride: number;
  dilation: number;
  padding: number;
  outputPadding: number;
  groups: number;
}
const goldens = JSON.parse(
  readFileSync(new URL('../golden/conv_transpose.golden.json', import.meta.url), 'utf8'),
) as Golden[];

/** The rule of test/golden/golden_rule.py. */
const det = (shape: readonly number[], seed: number): Tensor =>
  fromTypedArray(
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 37 + seed * 97) % 101) / 17 - 3),
    shape,
  );
const numbers = (x: Tensor) => Array.from(x.dataSync() as Float64Array);

function expectClose(actual: Tensor, expected: readonly number[]): void {
  expect(actual.size).toBe(expected.length);
  // The goldens have nine decimals.
  numbers(actual).forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(1e-9 + 1e-12 * Math.abs(expected[i]));
  });
}

describe.each(['contiguous', 'channelsLast'] as const)('%s', (format: MemoryFormat) => {
  const nameOf = ({ kernel, stride, dilation, padding, outputPadding, groups }: Golden) =>
    `kernel ${kernel}, stride ${stride}, dilation ${dilation}, padding ${padding}, output padding ${outputPadding}, groups ${groups}`;
  test.each(goldens.map((golden) => [nameOf(golden), golden] as const))('%s', (_, golden) => {
    const { kernel, stride, dilation, padding, outputPadding, groups } = golden;
    const axes = (one: number, other: number) => (groups === 1 ? [one, other] : [other, one]);
    const laid = (x: Tensor) => toFormat(x, format).requiresGrad_();
    const x = laid(det([1, 2, ...axes(3, 2)], 1));
    const w = det([2, 2 / groups, ...axes(kernel, 1)], 2).requiresGrad_();
    const b = det([2], 3).requiresGrad_();
    const y = convTranspose2d(x, w, b, {
      stride: axes(stride, 1),
      dilation: axes(dilation, 1),
      padding: axes(padding, 0),
      outputPadding: axes(outputPadding, 0),
      groups,
    });
    expect(y.shape).toEqual(golden.shape);
    expectClose(y, golden.y);
    const dy = laid(det(y.shape, 4));
    const [dx, dw, db] = grad([y], [x, w, b], { gradOutputs: [dy], createGraph: true }) as Tensor[];
    expect(dx.shape).toEqual(x.shape);
    expectClose(dx, golden.dx);
    expectClose(dw, golden.dw);
    expectClose(db, golden.db);
    const second = dx
      .mul(det(dx.shape, 5))
      .sum()
      .add(dw.mul(det(dw.shape, 6)).sum());
    const [ddx, ddw, ddy] = grad([second], [x, w, dy]) as Tensor[];
    expectClose(ddx, golden.ddx);
    expectClose(ddw, golden.ddw);
    expectClose(ddy, golden.ddy);
  });
});

test('the layers before get the right gradient, recorded or not', () => {
  const options = { dilation: 2, outputPadding: 1 };
  const x = ones([1, 1, 3, 3]).requiresGrad_();
  const weight = ones([1, 1, 2, 2]);
  const cotangent = arange(0, 36, 1, { dtype: 'float32' }).reshape([1, 1, 6, 6]);
  const expected = [28, 32, 36, 52, 56, 60, 76, 80, 84];
  convTranspose2d(relu(x), weight, null, options).backward(cotangent);
  expect(numbers(x.grad!)).toEqual(expected);
  const again = grad([convTranspose2d(relu(x), weight, null, options)], [x], {
    gradOutputs: [cotangent],
    createGraph: true,
  });
  expect(numbers(again[0]!)).toEqual(expected);
  const layer = new ConvTranspose2d(1, 1, 2, { ...options, bias: false });
  noGrad(() => layer.weight.copy_(weight));
  layer(relu(x)).backward(cotangent);
  expect(numbers(x.grad!)).toEqual(expected.map((value) => 2 * value));
});

test.each([
  { stride: 1, dilation: 3, padding: 0, outputPadding: 2 },
  { stride: 2, dilation: 4, padding: 1, outputPadding: 3 },
])('agrees with differences: %o', (options) => {
  const x = det([2, 2, 2, 3], 1).requiresGrad_();
  const w = det([2, 2, 2, 2], 2).requiresGrad_();
  const run = (a: Tensor, b: Tensor) => convTranspose2d(a, b, null, options);
  gradcheck(run, [x, w]);
  gradgradcheck(run, [x, w]);
});

test.each([
  { stride: 1, dilation: 3, outputPadding: 2, kernel: 3 },
  { stride: 2, dilation: 4, outputPadding: 3, kernel: 2 },
  { stride: 1, dilation: 2, outputPadding: 1, kernel: 1 },
])('many channels: the gradient is the first part of a convolution, $stride $dilation', (options) => {
  const { kernel, ...rest } = options;
  for (const format of ['contiguous', 'channelsLast'] as const) {
    const x = toFormat(randn([2, 32, 13, 11]), format).requiresGrad_();
    const w = randn([32, 24, kernel, kernel]);
    const y = convTranspose2d(x, w, null, { ...rest, padding: 1 });
    const dy = toFormat(randn(y.shape), format);
    y.backward(dy);
    const whole = conv2d(dy, w, null, { stride: options.stride, dilation: options.dilation, padding: 1 });
    const expected = numbers(whole.narrow(2, 0, 13).narrow(3, 0, 11));
    // Sums of up to 216 products of normal numbers in float32, perhaps in another order.
    numbers(x.grad!).forEach((value, i) => {
      expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(1e-4);
    });
  }
});

test('an output padding as large as both is refused', () => {
  expect(() =>
    convTranspose2d(ones([1, 1, 2, 2]), ones([1, 1, 2, 2]), null, { stride: 2, dilation: 2, outputPadding: 2 }),
  ).toThrow(
    'output padding must be smaller than either stride or dilation, but got outputPadding: 2, stride: 2, dilation: 2',
  );
});
