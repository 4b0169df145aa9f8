// Channels and pixels exchanged: errors, empty tensors, formats, dtypes. Values and gradients are in test/cases.
import { expect, test } from 'vitest';
import { arange, ones, zeros } from '../../src/index.ts';
import { channelShuffle, pixelShuffle, pixelUnshuffle } from '../../src/ops/shuffle.ts';

const image = () => ones([2, 8, 4, 6]);

test('what does not divide is refused in the words of PyTorch', () => {
  expect(() => pixelShuffle(image(), 3)).toThrow(
    "pixelShuffle expects its input's 'channel' dimension to be divisible by the square of upscaleFactor, but input.size(-3)=8 is not divisible by 9",
  );
  expect(() => pixelShuffle(image(), 0)).toThrow('pixelShuffle expects a positive upscaleFactor, but got 0');
  expect(() => pixelShuffle(ones([4, 4]), 2)).toThrow(
    'pixelShuffle expects input to have at least 3 dimensions, but got input with 2 dimension(s)',
  );
  expect(() => pixelUnshuffle(image(), 3)).toThrow(
    'pixelUnshuffle expects height to be divisible by downscaleFactor, but input.size(-2)=4 is not divisible by 3',
  );
  expect(() => pixelUnshuffle(image(), 4)).toThrow(
    'pixelUnshuffle expects width to be divisible by downscaleFactor, but input.size(-1)=6 is not divisible by 4',
  );
  expect(() => channelShuffle(image(), 3)).toThrow(
    'Number of channels must be divisible by groups. Got 8 channels and 3 groups.',
  );
  expect(() => channelShuffle(image(), -1)).toThrow(
    'Number of groups to divide channels in must be positive. Value of groups:-1',
  );
  expect(() => channelShuffle(ones([4, 4]), 2)).toThrow(
    'channelShuffle expects input with > 2 dims, but got input with sizes [4, 4]',
  );
});

test('nothing in, nothing out', () => {
  expect(pixelShuffle(zeros([2, 8, 0, 4]), 2).shape).toEqual([2, 2, 0, 8]);
  expect(pixelUnshuffle(zeros([0, 8, 4, 4]), 2).shape).toEqual([0, 32, 2, 2]);
  expect(channelShuffle(zeros([2, 0, 4, 4]), 2).shape).toEqual([2, 0, 4, 4]);
});

test('both formats hold the same, and stay', () => {
  const x = arange(0, 2 * 8 * 4 * 6, 1, { dtype: 'int64' }).reshape([2, 8, 4, 6]);
  for (const run of [pixelShuffle, pixelUnshuffle, channelShuffle]) {
    const y = run(x.contiguous('channelsLast'), 2);
    expect([y.memoryFormat, y.dtype]).toEqual(['channelsLast', 'int64']);
    expect(y.toArray()).toEqual(run(x, 2).toArray());
  }
  expect(pixelUnshuffle(pixelShuffle(x, 2), 2).toArray()).toEqual(x.toArray());
});
