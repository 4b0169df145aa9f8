// Resizing: sizes, errors, images of bytes. Values and gradients are in test/cases.
import { describe, expect, test } from 'vitest';
import { Upsample } from '../../src/nn/index.ts';
import { type InterpolateOptions, interpolate } from '../../src/ops/resample.ts';
import { ones, tensor, zeros } from '../../src/tensor/create.ts';
import { randn } from '../../src/tensor/random.ts';

const line = () => ones([1, 2, 4]);
const image = () => ones([1, 2, 4, 5]);
const volume = () => ones([1, 2, 3, 4, 5]);

describe('what does not go together is refused in the words of PyTorch', () => {
  const refused: [options: InterpolateOptions, text: string][] = [
    [{}, 'either size or scaleFactor should be defined'],
    [{ size: 2, scaleFactor: 2 }, 'only one of size or scaleFactor should be defined'],
    [
      { size: 3, alignCorners: false },
      'alignCorners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear',
    ],
    [
      { size: [3, 3, 3] },
      'Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of [4, 5] and output size of [3, 3, 3]. Please',
    ],
    [
      { scaleFactor: [3] },
      'Input and scaleFactor must have the same number of spatial dimensions, but got input with spatial dimensions of [4, 5] and scaleFactor of shape [3]. Please',
    ],
    [{ size: 3, recomputeScaleFactor: true }, 'recomputeScaleFactor is not meaningful with an explicit size.'],
    [{ size: 3, antialias: true }, 'Anti-alias option is restricted to bilinear, bicubic, and lanczos modes'],
    [{ size: 3, mode: 'linear' }, 'Got 4D input, but linear mode needs 3D input'],
    [{ size: 3, mode: 'trilinear' }, 'Got 4D input, but trilinear mode needs 5D input'],
    [{ size: 3, mode: 'lanczos' }, 'Lanczos mode requires antialias=true'],
    [
      { size: 3, mode: 'lanczos', antialias: true, alignCorners: true },
      'Lanczos mode does not support alignCorners=true',
    ],
    [
      { size: [0, 2] },
      'Input and output sizes should be greater than 0, but got input (H: 4, W: 5) output (H: 0, W: 2)',
    ],
    [
      { scaleFactor: 0.1, mode: 'bilinear' },
      'Input and output sizes should be greater than 0, but got input (H: 4, W: 5) output (H: 0, W: 0)',
    ],
    [{ size: -1, mode: 'area' }, 'elements of outputSize must be greater than or equal to 0'],
  ];
  test.each(refused)('%o', (options, text) => {
    expect(() => interpolate(image(), options)).toThrow(text);
  });
  test('ranks, sizes of 0, dtypes', () => {
    expect(() => interpolate(line(), { size: 0 })).toThrow('input (W: 4) and output (W: 0)');
    expect(() => interpolate(volume(), { size: 0 })).toThrow('input (D: 3, H: 4, W: 5) output (D: 0, H: 0, W: 0)');
    expect(() => interpolate(line(), { size: 3, mode: 'bicubic' })).toThrow(
      'Input Error: Only 3D, 4D and 5D input Tensors supported (got 3D)',
    );
    expect(() => interpolate(ones([2]), { size: 3 })).toThrow('Only 3D, 4D and 5D input Tensors supported (got 1D)');
    expect(() => interpolate(zeros([1, 0, 4, 5]), { size: 3 })).toThrow(
      'Non-empty 4D data tensor expected but got a tensor with sizes [1, 0, 4, 5]',
    );
    expect(() => interpolate(zeros([1, 2, 0, 5, 5]), { size: 3, mode: 'area' })).toThrow('non-zero size');
    expect(() => interpolate(image().to('int32'), { size: 3 })).toThrow('"interpolate" not implemented for \'int32\'');
    expect(() => interpolate(line().to('uint8'), { size: 3, mode: 'linear' })).toThrow(
      '"interpolate" not implemented for \'uint8\'',
    );
    expect(() => interpolate(image(), { size: 2 ** 30 })).toThrow('[interpolate] a tensor may have at most');
  });
  test('a layer asks for sizes when it is made, and for one of them when it is called', () => {
    expect(() => new Upsample({ size: -1 })).toThrow('[Upsample] expected size from 0');
    expect(() => new Upsample({ scaleFactor: 0 })(image())).toThrow('either size or scaleFactor should be defined');
  });
});

describe('results', () => {
  test('an empty batch', () => {
    for (const mode of ['nearest', 'bilinear', 'bicubic', 'area'] as const)
      expect(interpolate(zeros([0, 2, 4, 5]), { size: 3, mode }).shape).toEqual([0, 2, 3, 3]);
    expect(interpolate(volume(), { size: [0, 1, 1], mode: 'area' }).shape).toEqual([1, 2, 0, 1, 1]);
  });
  test('keep the memory format, and the values in both', () => {
    const x = randn([2, 3, 5, 6]);
    for (const mode of ['nearest', 'bilinear'] as const) {
      const y = interpolate(x.contiguous('channelsLast'), { scaleFactor: 1.5, mode });
      expect(y.memoryFormat).toBe('channelsLast');
      const plain = interpolate(x, { scaleFactor: 1.5, mode });
      expect(y.sub(plain).abs().amax().item()).toBeLessThanOrEqual(2 ** -21);
    }
  });
  // Results of PyTorch 2.13, whose weights of 16 bits and roundings between the two directions are ours.
  test('images of bytes', () => {
    const rows = [
      [0, 10, 255, 3],
      [7, 200, 90, 41],
      [255, 254, 1, 0],
    ];
    const x = tensor([[rows]], { dtype: 'uint8' });
    const of = (options: InterpolateOptions) => interpolate(x, options).toArray();
    expect(of({ size: [2, 3], mode: 'bilinear' })).toEqual([
      [
        [
          [11, 136, 46],
          [201, 132, 12],
        ],
      ],
    ]);
    expect(of({ size: [4, 3], mode: 'bicubic', antialias: true })).toEqual([
      [
        [
          [0, 141, 81],
          [25, 151, 62],
          [138, 145, 27],
          [255, 127, 0],
        ],
      ],
    ]);
    expect(of({ scaleFactor: [1.4, 1], mode: 'bicubic' })).toEqual([
      [
        [
          [0, 0, 255, 0],
          [0, 115, 169, 29],
          [73, 235, 48, 34],
          [255, 254, 1, 0],
        ],
      ],
    ]);
    expect(of({ scaleFactor: [1.4, 0.5] })).toEqual([
      [
        [
          [0, 255],
          [0, 255],
          [7, 90],
          [255, 1],
        ],
      ],
    ]);
    const same = interpolate(x, { size: [3, 4], mode: 'bilinear' });
    same.zero_();
    expect(x.sum().item()).toBeGreaterThan(0);
  });
});
