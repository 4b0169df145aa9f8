// gridSample and affineGrid: errors, empty tensors, places that are no numbers. Values and gradients are in test/cases.
import { describe, expect, test } from 'vitest';
import { ones, tensor, zeros } from '../../src/index.ts';
import { affineGrid, gridSample } from '../../src/nn/functional.ts';

const image = () => ones([1, 2, 4, 5]);

describe('what does not go together is refused in the words of PyTorch', () => {
  test('gridSample', () => {
    expect(() => gridSample(image(), zeros([2, 2, 2, 2]))).toThrow(
      'expected grid and input to have same batch size, but got input with sizes [1, 2, 4, 5] and grid with sizes [2, 2, 2, 2]',
    );
    expect(() => gridSample(image(), zeros([1, 2, 2, 3]))).toThrow(
      'expected grid to have size 2 in last dimension, but got grid with sizes [1, 2, 2, 3]',
    );
    expect(() => gridSample(zeros([1, 2, 4, 0]), zeros([1, 2, 2, 2]))).toThrow('with dimension 3 being empty');
    expect(() => gridSample(image(), zeros([1, 2, 2, 2, 2]))).toThrow('with same number of dimensions');
    expect(() => gridSample(ones([1, 2, 3, 4, 5]), zeros([1, 2, 2, 2, 3]), { mode: 'bicubic' })).toThrow(
      'bicubic interpolation only supports 4D input',
    );
    expect(() => gridSample(image(), zeros([1, 2, 2, 2], { dtype: 'float64' }))).toThrow(
      'expected scalar type float32 but found float64',
    );
    expect(() => gridSample(image().to('int64'), zeros([1, 2, 2, 2]))).toThrow("not implemented for 'int64'");
  });
  test('affineGrid', () => {
    expect(() => affineGrid(zeros([1, 2, 3]), [1, 1, 2])).toThrow('affineGrid only supports 4D and 5D sizes');
    expect(() => affineGrid(zeros([1, 2, 3]), [1, 1, 2, 0])).toThrow('Expected non-zero, positive output size');
    expect(() => affineGrid(zeros([1, 2, 3]), [1, 1, 2, 2, 2])).toThrow('affine matrices of shape Nx3x4 for size');
    expect(() => affineGrid(zeros([2, 2, 3]), [1, 1, 2, 2])).toThrow(
      'Expected size for first two dimensions of batch2',
    );
    expect(() => affineGrid(zeros([1, 2, 3], { dtype: 'int64' }), [1, 1, 2, 2])).toThrow('floating point type');
  });
});

test('without samples or channels the result is empty', () => {
  expect(gridSample(zeros([0, 2, 4, 5]), zeros([0, 3, 2, 2])).shape).toEqual([0, 2, 3, 2]);
  expect(gridSample(zeros([1, 0, 4, 5]), zeros([1, 3, 2, 2])).shape).toEqual([1, 0, 3, 2]);
  const x = image().requiresGrad_(true);
  gridSample(x, zeros([1, 0, 2, 2]))
    .sum()
    .backward();
  expect(x.grad!.sum().item()).toBe(0);
});

test('NaN and infinite coordinates are as in PyTorch', () => {
  const x = tensor([
    [
      [
        [1, 2],
        [3, 4],
      ],
    ],
  ]);
  for (const format of ['contiguous', 'channelsLast'] as const) {
    const at = (value: number, options: object) =>
      gridSample(x.contiguous(format), tensor([[[[value, value]]]]), options).item();
    expect(at(Number.NaN, {})).toBeNaN();
    expect(at(Number.NaN, { paddingMode: 'border' })).toBe(1);
    expect(at(Number.NaN, { paddingMode: 'reflection' })).toBe(1);
    expect(at(Number.POSITIVE_INFINITY, { paddingMode: 'border' })).toBe(4);
    expect(at(Number.POSITIVE_INFINITY, { paddingMode: 'reflection' })).toBe(1);
    expect(at(1e30, {})).toBe(0);
  }
});

test('an identity grid gives the image back', () => {
  const x = tensor([
    [
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
    ],
  ]);
  for (const mode of ['bilinear', 'nearest', 'bicubic'] as const)
    for (const alignCorners of [false, true]) {
      const grid = affineGrid(
        tensor([
          [
            [1, 0, 0],
            [0, 1, 0],
          ],
        ]),
        [1, 1, 2, 3],
        { alignCorners },
      );
      const y = gridSample(x, grid, { mode, alignCorners });
      expect(y.sub(x).abs().max().item()).toBeLessThan(1e-5);
    }
});
