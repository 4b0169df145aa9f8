// Large results are stored past the caches, where the machine can: the same numbers as through them. Tensors too large
// for a scalar reference are held against the same kernels on parts of them, which are small enough to take the usual
// way.
import { expect, test } from 'vitest';
import { Dtype, Format } from '../../src/device/generated/abi.ts';
import { Arena, engines, type Place, Source } from './arena.ts';

for (const engine of engines()) {
  const arena = new Arena(engine, 1 << 28);
  const floats = (place: Place) => {
    const bytes = arena.view(place);
    return new Float32Array(bytes.buffer, bytes.byteOffset, place.length);
  };
  const source = new Source(41);
  const noise = Float32Array.from({ length: 1 << 20 }, () => source.normal());
  const large = (length: number, shift: number) => {
    const place = arena.output('float32', length);
    const values = floats(place);
    for (let i = 0; i < length; i++) values[i] = noise[(i * 7 + shift) & (noise.length - 1)];
    return place;
  };

  /** Whether the bytes of `part` are those of `whole` from byte `at` on. */
  const isPart = (part: Place, whole: Place, at: number) =>
    Buffer.compare(arena.view(part), arena.view(whole).subarray(at, at + arena.view(part).length)) === 0;

  test(`a normalization of 18 MiB equals that of its images, ${engine}`, () => {
    for (const [n, channels, s, format] of [
      [9, 32, 16384, Format.contiguous],
      [9, 32, 16384, Format.channelsLast],
      // Rows that begin anywhere: some left over by joining short ones, blocks of columns cut between channels.
      [9, 20, 26666, Format.channelsLast],
      [1300, 512, 7, Format.contiguous],
      // Planes that begin anywhere.
      [75, 321, 196, Format.contiguous],
      [96, 1003, 49, Format.contiguous],
    ]) {
      arena.reset();
      const image = channels * s;
      const [x, dy] = [large(n * image, 1), large(n * image, 500)];
      const given = [0.5, 1.25, 0.75, -0.25].map((v) => new Array<number>(channels).fill(v));
      const [mean, invstd] = given.slice(0, 2).map((v) => arena.input('float64', v).address);
      const [weight, bias] = given.slice(2).map((v) => arena.input('float32', v).address);
      const sums = [3, 4].map((v) => arena.input('float64', new Array<number>(channels).fill(v)).address);
      const scratch = arena.output('uint8', arena.kernels.batchNormScratch(n, channels, s, format)).address;
      const [y, dx, part] = [n, n, 1].map((images) => arena.output('float32', images * image));
      const [f32, affine] = [Dtype.float32, [mean, invstd, weight, bias, Infinity] as const];
      arena.run((k) => k.batchNormApply(f32, x.address, n, channels, s, format, ...affine, 0, y.address, scratch));
      arena.run((k) =>
        k.batchNormBackwardApply(
          f32,
          x.address,
          dy.address,
          n,
          channels,
          s,
          format,
          100,
          ...affine,
          sums[0],
          sums[1],
          dx.address,
          scratch,
        ),
      );
      for (let i = 0; i < n; i += Math.ceil(n / 3)) {
        const at = 4 * i * image;
        arena.run((k) =>
          k.batchNormApply(f32, x.address + at, 1, channels, s, format, ...affine, 0, part.address, scratch),
        );
        expect(isPart(part, y, at)).toBe(true);
        arena.run((k) =>
          k.batchNormBackwardApply(
            f32,
            x.address + at,
            dy.address + at,
            1,
            channels,
            s,
            format,
            100,
            ...affine,
            sums[0],
            sums[1],
            part.address,
            scratch,
          ),
        );
        expect(isPart(part, dx, at)).toBe(true);
      }
    }
  });

  test(`rows of 18 MiB equal those of their images, ${engine}`, () => {
    for (const [n, g, k, s, format] of [
      [9, 1, 1 << 19, 1, Format.contiguous],
      [9 << 10, 1, 512, 1, Format.contiguous],
      [9, 8, 4, 1 << 14, Format.contiguous],
      [9, 8, 4, 1 << 14, Format.channelsLast],
      [9, 4, 5, 26666, Format.channelsLast],
      [75, 107, 3, 196, Format.contiguous],
    ]) {
      arena.reset();
      const row = g * k * s;
      const [x, dy] = [large(n * row, 3), large(n * row, 900)];
      const weight = large(g * k, 50).address;
      const bias = large(g * k, 70).address;
      const rows = () => arena.output('float64', n * g).address;
      const [mean, m2, invstd] = [rows(), rows(), rows()];
      const scratch = arena.output('uint8', arena.kernels.rowNormScratch(n, g, k, s, format)).address;
      const [y, dx, part] = [n, n, 1].map((images) => arena.output('float32', images * row));
      const forward = (from: number, images: number, to: number) =>
        arena.run((kernels) =>
          kernels.rowNormForward(
            Dtype.float32,
            from,
            images,
            g,
            k,
            s,
            format,
            1,
            1e-5,
            weight,
            bias,
            mean,
            m2,
            invstd,
            to,
            scratch,
          ),
        );
      const backward = (at: number, images: number, to: number) =>
        arena.run((kernels) =>
          kernels.rowNormBackward(
            Dtype.float32,
            x.address + at,
            dy.address + at,
            images,
            g,
            k,
            s,
            format,
            1,
            mean,
            invstd,
            weight,
            to,
            0,
            0,
            scratch,
          ),
        );
      forward(x.address, n, y.address);
      backward(0, n, dx.address);
      for (let i = 0; i < n; i += Math.ceil(n / 3)) {
        const at = 4 * i * row;
        forward(x.address + at, 1, part.address);
        expect(isPart(part, y, at)).toBe(true);
        backward(at, 1, part.address);
        expect(isPart(part, dx, at)).toBe(true);
      }
    }
  });
}
