// The gradient of a norm's input joined with another: what backward_apply gives, plus a slice of a wider tensor.
import { expect, test } from 'vitest';
import { Dtype, Format } from '../../src/device/generated/abi.ts';
import { Arena, engines, epsilon, floats, Source, sameForAnyThreads } from './arena.ts';

for (const engine of engines()) {
  const arena = new Arena(engine, 1 << 27);

  // [rows, channels, between the rows of what is added, its first channel]; the last is stored past the caches.
  const shapes = [
    [1, 1, 1, 0],
    [7, 5, 9, 3],
    [40, 16, 16, 0],
    [33, 67, 100, 33],
    [700, 96, 128, 32],
    [33_000, 64, 96, 0],
  ];
  for (const type of floats)
    for (const relu of [0, 1.5])
      test.each(shapes)(`${engine}, ${type}, ReLU to ${relu}, %i rows of %i channels`, (rows, c, pitch, start) => {
        const source = new Source(rows + c);
        const values = (n: number) => source.values(n, type);
        const [x, dy, plus, mean, weight, bias, sumDy, sumDyXmu] = [
          rows * c,
          rows * c,
          rows * pitch,
          c,
          c,
          c,
          c,
          c,
        ].map(values);
        const invstd = values(c).map((v) => 1 + v);
        const out = sameForAnyThreads(arena, () => {
          arena.reset();
          const [xs, gs, others, w, b] = [x, dy, plus, weight, bias].map((v) => arena.input(type, v));
          const [m, r, sg, sx] = [mean, invstd, sumDy, sumDyXmu].map((v) => arena.input('float64', v));
          const scratch = arena.output('uint8', arena.kernels.batchNormScratch(rows, c, 1, Format.channelsLast));
          const coefficients = arena.output(type, 7 * c);
          const out = { apply: arena.output(type, rows * c), joined: arena.output(type, rows * c) };
          const [norm, sums] = [
            [m.address, r.address, w.address, b.address, relu] as const,
            [sg.address, sx.address] as const,
          ];
          const dtype = Dtype[type];
          arena.run((k) =>
            k.batchNormBackwardApply(
              ...([dtype, xs.address, gs.address, rows, c, 1, Format.channelsLast, rows] as const),
              ...norm,
              ...sums,
              out.apply.address,
              scratch.address,
            ),
          );
          arena.run((k) => k.batchNormCoefficients(dtype, c, rows, ...norm, ...sums, coefficients.address));
          const slice = others.address + (type === 'float32' ? 4 : 8) * start;
          const given = [dtype, xs.address, gs.address, rows, c, coefficients.address, Number(relu > 0)] as const;
          arena.run((k) => k.batchNormBackwardJoined(...given, slice, pitch, out.joined.address));
          return out;
        });
        const [apply, joined] = [arena.read(out.apply), arena.read(out.joined)];
        // Two roundings: of the sum, and of what is added to, where no fused multiply-add leaves that out.
        for (let i = 0; i < rows * c; i++) {
          const [added, own] = [plus[Math.floor(i / c) * pitch + start + (i % c)], apply[i]];
          const bound = 1.5 * epsilon[type] * (Math.abs(added) + Math.abs(own));
          if (!(Math.abs(joined[i] - (own + added)) <= bound))
            expect.fail(`[${i}]: ${joined[i]}, expected ${own + added}`);
        }
      });
}
