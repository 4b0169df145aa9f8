// Windows as columns, and back: errors, empty batches, dtypes, formats, and what the two are to each other. Values and
// gradients are in test/cases.
import { expect, test } from 'vitest';
import { ones, randn, zeros } from '../../src/index.ts';
import { fold, unfold } from '../../src/ops/fold.ts';

const image = () => ones([2, 3, 4, 5]);
const columns = () => ones([2, 12, 12]);

test('what is no window is refused in the words of PyTorch', () => {
  const texts: [() => unknown, string][] = [
    [() => unfold(image(), 0), 'kernel size should be greater than zero, but got kernel_height: 0 kernel_width: 0'],
    [
      () => unfold(image(), 2, { dilation: 0 }),
      'dilation should be greater than zero, but got dilation_height: 0 dilation_width: 0',
    ],
    [
      () => unfold(image(), 2, { stride: [1, 0] }),
      'stride should be greater than zero, but got stride_height: 1 stride_width: 0',
    ],
    [() => unfold(image(), 2, { padding: -1 }), 'padding should be non-negative, but got pad_height: -1 pad_width: -1'],
    [
      () => unfold(image(), 9),
      'Given input with spatial size (4, 5), kernelSize=(9, 9), dilation=(1, 1), padding=(0, 0), calculated shape of the array of sliding blocks as (-4, -3), but its components must be at least one.',
    ],
    [() => unfold(zeros([2, 0, 4, 5]), 2), 'Expected 3D or 4D (batch mode) tensor with possibly 0 batch size'],
    [() => unfold(image().to('int32'), 2), '"unfold" not implemented for \'int32\''],
    [
      () => fold(columns(), 4, 2),
      "Given outputSize=(4, 4), kernelSize=(2, 2), dilation=(1, 1), padding=(0, 0), stride=(1, 1), expected size of input's dimension 2 to match the calculated number of sliding blocks 3 * 3 = 9, but got input.size(2)=12.",
    ],
    [
      () => fold(ones([11, 12]), [4, 5], 2),
      "Expected size of input's dimension 0 to be divisible by the product of kernelSize, but got input.size(0)=11 and kernelSize=(2, 2).",
    ],
    [() => fold(ones([12]), [4, 5], 2), 'Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size'],
    [() => fold(zeros([2, 12, 0]), [4, 5], 2), 'and non-zero dimensions for input, but got: [2, 12, 0]'],
    [() => unfold(ones([1, 1, 1, 1]), 1, { padding: 2 ** 30 }), '[unfold] a tensor may have at most'],
  ];
  for (const [run, text] of texts) expect(run).toThrow(text);
});

test('an empty batch, an image without a batch, bools', () => {
  expect(unfold(zeros([0, 3, 4, 5]), 2).shape).toEqual([0, 12, 12]);
  expect(fold(zeros([0, 12, 12]), [4, 5], 2).shape).toEqual([0, 3, 4, 5]);
  expect(unfold(ones([3, 4, 5]), 2).shape).toEqual([12, 12]);
  expect(fold(ones([12, 12]), [4, 5], 2).shape).toEqual([3, 4, 5]);
  expect(fold(unfold(image().to('bool'), 2), [4, 5], 2).toArray()).toEqual(image().to('bool').toArray());
});

test('both formats give the same columns', () => {
  const x = randn([2, 3, 4, 5]);
  const options = { stride: 2, padding: 1 };
  expect(unfold(x.contiguous('channelsLast'), 3, options).toArray()).toEqual(unfold(x, 3, options).toArray());
});

test('windows that do not overlap come back as they were, others as often as they cover an element', () => {
  const x = randn([2, 3, 4, 6]);
  const options = { stride: 2 };
  expect(fold(unfold(x, 2, options), [4, 6], 2, options).toArray()).toEqual(x.toArray());
  expect(fold(unfold(ones([1, 3, 3]), 2), 3, 2).toArray()).toEqual([
    [
      [1, 2, 1],
      [2, 4, 2],
      [1, 2, 1],
    ],
  ]);
});
