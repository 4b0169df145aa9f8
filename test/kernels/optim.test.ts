// The kernels of kernels/optim/: one call over several parameters of different sizes, several steps.
import { describe, expect, test } from 'vitest';
import { Dtype, type Kernels } from '../../src/device/generated/abi.ts';
import { adam, rmsprop, type Slot, sgd } from '../reference/optim.ts';
import { Arena, engines, epsilon, floats, type Place, random, rounded, sameForAnyThreads } from './arena.ts';

const sizes = [1, 17, 0, 16400, 5];
const booleans = [false, true];

function forEachOption(body: (weightDecay: number, a: boolean, b: boolean, maximize: boolean) => void): void {
  for (const weightDecay of [0, 0.01])
    for (const a of booleans)
      for (const b of booleans) for (const maximize of booleans) body(weightDecay, a, b, maximize);
}

describe.each(engines())('%s', (engine) => {
  const arena = new Arena(engine);

  /** Two steps by the kernel and by the reference, from the same parameters, gradients and states. */
  function compare(
    dtype: 'float32' | 'float64',
    kernel: (k: Kernels, table: number, step: number) => number,
    reference: (slot: Slot, step: number) => void,
  ): void {
    const next = random(3);
    const slots: Slot[][] = [];
    const fill = () => {
      arena.reset();
      const places: Place[][] = [];
      const table: number[] = [];
      sizes.forEach((size, row) => {
        const slot = slots[row];
        const columns = [0, 1, 2].map((s) => slot.map((v) => v.state[s]));
        const place = [slot.map((v) => v.p), slot.map((v) => v.g), ...columns].map((v) => arena.input(dtype, v));
        places.push(place);
        table.push(...place.map((p) => p.address), size);
      });
      return { places, table: arena.input('float64', table) };
    };
    for (const size of sizes) {
      const column = (low: number) =>
        rounded(
          dtype,
          Array.from({ length: size }, () => low + next()),
        );
      const [p, g, a, b] = [column(-0.5), column(-0.5), column(0.5), column(0.5)];
      // State 2 is grad_avg for rmsprop: small, so that the variance stays positive; for amsgrad a maximum as well as
      // any.
      slots.push(p.map((v, i) => ({ p: v, g: g[i], state: [a[i], b[i], b[i] / 8] })));
    }
    let last: Place[][] = [];
    sameForAnyThreads(arena, () => {
      const { places, table } = fill();
      for (const step of [1, 2]) arena.run((k) => kernel(k, table.address, step));
      last = places;
      return places[3][0];
    });
    slots.forEach((slot, row) => {
      const got = last[row].map((place) => arena.read(place));
      slot.forEach((v, i) => {
        for (const step of [1, 2]) reference(v, step);
        [v.p, v.g, ...v.state].forEach((want, column) => {
          // A few roundings per step of values around 1; the centered variance cancels up to tenfold.
          const limit = 64 * epsilon[dtype] * (1 + Math.abs(want));
          if (!(Math.abs(got[column][i] - want) <= limit))
            expect.fail(`column ${column} of ${i}: ${got[column][i]}, expected ${want}`);
        });
      });
    });
  }

  describe.each(floats)('%s', (dtype) => {
    test('sgd', () => {
      for (const momentum of [0, 0.9])
        forEachOption((weightDecay, nesterov, first, maximize) => {
          const dampening = nesterov ? 0 : 0.1;
          compare(
            dtype,
            (k, table, step) =>
              k.optimSgd(
                Dtype[dtype],
                table,
                sizes.length,
                0.1,
                momentum,
                dampening,
                weightDecay,
                +nesterov,
                +maximize,
                +(first && step === 1),
              ),
            (slot, step) =>
              sgd(slot, { lr: 0.1, momentum, dampening, weightDecay, nesterov, maximize, first: first && step === 1 }),
          );
        });
    });

    test('adam', () => {
      const [lr, beta1, beta2, eps] = [0.1, 0.9, 0.999, 1e-8];
      forEachOption((weightDecay, decoupled, amsgrad, maximize) =>
        compare(
          dtype,
          (k, table, step) =>
            k.optimAdam(
              Dtype[dtype],
              table,
              sizes.length,
              lr,
              beta1,
              beta2,
              eps,
              weightDecay,
              +decoupled,
              +amsgrad,
              +maximize,
              step + 4,
            ),
          (slot, step) =>
            adam(slot, { lr, beta1, beta2, eps, weightDecay, decoupled, amsgrad, maximize, step: step + 4 }),
        ),
      );
    });

    test('rmsprop', () => {
      const [lr, alpha, eps] = [0.1, 0.99, 1e-8];
      forEachOption((weightDecay, withMomentum, centered, maximize) => {
        const momentum = withMomentum ? 0.9 : 0;
        compare(
          dtype,
          (k, table) =>
            k.optimRmsprop(
              Dtype[dtype],
              table,
              sizes.length,
              lr,
              alpha,
              eps,
              weightDecay,
              momentum,
              +centered,
              +maximize,
            ),
          (slot) => rmsprop(slot, { lr, alpha, eps, weightDecay, momentum, centered, maximize }),
        );
      });
    });

    test('norms and scaling', () => {
      arena.reset();
      const next = random(5);
      const rows = sizes.map((size) =>
        rounded(
          dtype,
          Array.from({ length: size }, (_, i) => (i % 11 ? next() - 0.5 : 0)),
        ),
      );
      const places = rows.map((row) => arena.input(dtype, row));
      const table = arena.input(
        'float64',
        places.flatMap((p) => [0, p.address, 0, 0, 0, p.length]),
      );
      const result = arena.output('float64', 1);
      const all = rows.flat().map(Math.abs);
      for (const p of [0, 0.5, 1, 2, 3, Infinity]) {
        sameForAnyThreads(arena, () => {
          arena.run((k) => k.optimGradNorm(Dtype[dtype], table.address, sizes.length, p, result.address));
          return result;
        });
        const want =
          p === Infinity ? Math.max(...all) : all.reduce((s, v) => s + (p === 0 ? Number(v !== 0) : v ** p), 0);
        // The reference adds 16,000 terms one after the other in float64.
        expect(Math.abs(arena.read(result)[0] / want - 1)).toBeLessThan(1e-12);
      }
      arena.run((k) => k.optimGradScale(Dtype[dtype], table.address, sizes.length, 2, 0.75));
      places.forEach((place, row) => {
        const want = rows[row].map((v) => Math.min(Math.max(2 * v, -0.75), 0.75));
        expect(arena.read(place)).toEqual(want);
      });
      const nan = arena.input(dtype, [NaN, 1]);
      const nanTable = arena.input('float64', [0, nan.address, 0, 0, 0, 2]);
      for (const p of [1, 2, Infinity]) {
        arena.run((k) => k.optimGradNorm(Dtype[dtype], nanTable.address, 1, p, result.address));
        expect(arena.read(result)[0]).toBeNaN();
      }
      arena.run((k) => k.optimGradScale(Dtype[dtype], nanTable.address, 1, 1, Infinity));
      expect(arena.read(nan)).toEqual([NaN, 1]);
    });
  });
});
