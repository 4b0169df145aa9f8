// Unpooling beside the pooling that it undoes, and what it refuses.
import { describe, expect, test } from 'vitest';
import { IndexError, RuntimeError, ValueError } from '../../src/errors.ts';
import { MaxPool2d, MaxUnpool2d } from '../../src/nn/index.ts';
import { maxUnpool2d } from '../../src/ops/max_unpool.ts';
import { maxPool2dWithIndices } from '../../src/ops/pool.ts';
import { arange, ones, tensor, zeros } from '../../src/tensor/create.ts';

const image = () => arange(16).reshape([1, 1, 4, 4]).to('float32');
const at = (position: number) => tensor([[[[position]]]], { dtype: 'int64' });

describe('maxUnpool2d', () => {
  test('puts maxima back, in both memory formats, with layers and with functions', () => {
    const expected = [
      [0, 0, 0, 0],
      [0, 5, 0, 7],
      [0, 0, 0, 0],
      [0, 13, 0, 15],
    ];
    for (const format of ['contiguous', 'channelsLast'] as const) {
      const x = image().contiguous(format);
      const { values, indices } = maxPool2dWithIndices(x, 2);
      const y = maxUnpool2d(values, indices, 2);
      expect(y.toArray()).toEqual([[expected]]);
      expect(y.memoryFormat).toBe(format);
      const pooled = new MaxPool2d(2, { returnIndices: true })(x);
      expect(new MaxUnpool2d(2)(pooled.values, pooled.indices).toArray()).toEqual([[expected]]);
      expect(new MaxUnpool2d(2)(pooled.values, pooled.indices, [1, 1, 5, 4]).shape).toEqual([1, 1, 5, 4]);
    }
  });
  test.each([99, -1])('refuses the position %i, by its own name', (position) => {
    const run = () => maxUnpool2d(ones([1, 1, 1, 1]), at(position), 2);
    expect(run).toThrow(IndexError);
    expect(run).toThrow(`[maxUnpool2d] index ${position} is out of bounds`);
  });
  test('refuses shapes, dtypes and sizes that do not fit', () => {
    const { values, indices } = maxPool2dWithIndices(image(), 2);
    expect(() => maxUnpool2d(values, at(0), 2)).toThrow(RuntimeError);
    expect(() => maxUnpool2d(values, indices.to('int32'), 2)).toThrow('should be type int64');
    expect(() => maxUnpool2d(values, indices, 2, { outputSize: [9, 4] })).toThrow(ValueError);
    expect(() => maxUnpool2d(values, indices, 2, { outputSize: [4] })).toThrow('containing 2 or 4 elements');
  });
  test('an empty batch', () => {
    const nothing = zeros([0, 1, 2, 2]);
    expect(maxUnpool2d(nothing, nothing.to('int64'), 2).shape).toEqual([0, 1, 4, 4]);
  });
});
