// Packing and padding of sequences: values of PyTorch 2.13, the way back, gradients, and what is refused. Recurrent
// layers on packed sequences are compared with PyTorch's in sequence.test.ts.
import { describe, expect, test } from 'vitest';
import { arange, ones, type Tensor, tensor } from '../../src/index.ts';
import {
  LSTM,
  PackedSequence,
  packPaddedSequence,
  packSequence,
  padPackedSequence,
  padSequence,
  unpadSequence,
} from '../../src/nn/index.ts';

const rows = () => arange(0, 15, 1, { dtype: 'float32' }).reshape([3, 5]);

describe('packPaddedSequence', () => {
  test('sorts by length where it may', () => {
    const packed = packPaddedSequence(rows(), [2, 5, 3], { batchFirst: true, enforceSorted: false });
    expect(packed.data.toArray()).toEqual([5, 10, 0, 6, 11, 1, 7, 12, 8, 9]);
    expect(packed.batchSizes).toEqual([3, 3, 2, 1, 1]);
    expect(packed.sortedIndices).toEqual([1, 2, 0]);
    expect(packed.unsortedIndices).toEqual([2, 0, 1]);
  });

  test('keeps the order of falling lengths, steps first', () => {
    const packed = packPaddedSequence(rows().T, tensor([5, 3, 3], { dtype: 'int64' }));
    expect(packed.data.toArray()).toEqual([0, 5, 10, 1, 6, 11, 2, 7, 12, 3, 4]);
    expect(packed.batchSizes).toEqual([3, 3, 3, 1, 1]);
    expect(packed.sortedIndices).toBeNull();
  });

  test('and back', () => {
    const x = rows().requiresGrad_();
    const packed = packPaddedSequence(x, [2, 5, 3], { batchFirst: true, enforceSorted: false });
    const [padded, lengths] = padPackedSequence(packed, { batchFirst: true, paddingValue: -1, totalLength: 6 });
    expect(padded.toArray()).toEqual([
      [0, 1, -1, -1, -1, -1],
      [5, 6, 7, 8, 9, -1],
      [10, 11, 12, -1, -1, -1],
    ]);
    expect(lengths.toArray()).toEqual([2, 5, 3]);
    padded.mul(2).sum().backward();
    expect(x.grad!.toArray()).toEqual([
      [2, 2, 0, 0, 0],
      [2, 2, 2, 2, 2],
      [2, 2, 2, 0, 0],
    ]);
    const [steps] = padPackedSequence(packed);
    expect(steps.shape).toEqual([5, 3]);
  });

  test.each<[string, () => unknown]>([
    ['Expected lengths.length to be equal to the batch size, but got 2 (batch size 3)', () => pack([2, 1])],
    ["but found an element in 'lengths' that is <= 0", () => pack([2, 1, 0])],
    ['must be sorted in decreasing order when `enforceSorted` is true', () => pack([1, 2, 1])],
    ['expected lengths of at most 5', () => pack([6, 2, 1])],
    ['Cannot pack empty tensors.', () => packPaddedSequence(ones([0, 2]), [1, 1])],
    ["'lengths' argument should be a 1D int64 tensor, but got 1D float32 tensor", () => pack(ones([3]))],
    ['[packPaddedSequence] expected lengths as an array of integers', () => pack('abc' as never)],
    ['expected an input of at least 2 dimensions, got 1', () => packPaddedSequence(ones([3]), [3])],
    [
      'Expected totalLength to be at least the length of the longest sequence in input, but got totalLength=2 and max sequence length being 3',
      () => padPackedSequence(pack([3, 2, 1]), { totalLength: 2 }),
    ],
    ['[padPackedSequence] expected a PackedSequence', () => padPackedSequence(rows() as never)],
    ['[padSequence] expected an array of tensors', () => padSequence([])],
    [
      "[padSequence] expected paddingSide 'left' or 'right'",
      () => padSequence([rows()], { paddingSide: 'up' as never }),
    ],
    ['[unpadSequence] expected lengths from 0 to 5', () => unpadSequence(rows(), [6, 1, 1], { batchFirst: true })],
    ['input must have 2 dimensions, got 3', () => new LSTM(3, 4)(packPaddedSequence(ones([5, 2, 3, 3]), [5, 2]))],
  ])('refuses: %s', (text, call) => expect(call).toThrow(text));
});
const pack = (lengths: Tensor | number[]) => packPaddedSequence(rows(), lengths, { batchFirst: true });

test('packSequence, padSequence and unpadSequence', () => {
  const sequences = [[1, 2, 3], [4, 5], [6]].map((values) => tensor(values));
  const packed = packSequence(sequences);
  expect(packed).toBeInstanceOf(PackedSequence);
  expect(packed.data.toArray()).toEqual([1, 4, 6, 2, 5, 3]);
  expect(packed.batchSizes).toEqual([3, 2, 1]);
  expect(() => packSequence([...sequences].reverse())).toThrow('enforceSorted');
  expect(packSequence([...sequences].reverse(), { enforceSorted: false }).sortedIndices).toEqual([2, 1, 0]);
  const padded = padSequence(sequences, { batchFirst: true, paddingValue: 9 });
  expect(padded.toArray()).toEqual([
    [1, 2, 3],
    [4, 5, 9],
    [6, 9, 9],
  ]);
  expect(padSequence(sequences, { paddingSide: 'left' }).toArray()).toEqual([
    [1, 0, 0],
    [2, 4, 0],
    [3, 5, 6],
  ]);
  const apart = unpadSequence(padded, [3, 2, 1], { batchFirst: true });
  expect(apart.map((sequence) => sequence.toArray())).toEqual([[1, 2, 3], [4, 5], [6]]);
});
