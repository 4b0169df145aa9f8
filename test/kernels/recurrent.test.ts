// The kernels of kernels/recurrent/: all steps against formulas in float64, with sizes that fill no vector, a state
// that is projected, both directions, and samples for one job and for several. Gradients are compared with differences,
// and with PyTorch's, in test/nn/sequence.test.ts.
import { describe, expect, test } from 'vitest';
import { Cell, Dtype } from '../../src/device/generated/abi.ts';
import { Arena, engines, random } from './arena.ts';

const sigma = (x: number) => 1 / (1 + Math.exp(-x));
const gatesOf = { tanh: 1, relu: 1, gru: 3, lstm: 4 } as const;
/** [T, N, H, out] */
const shapes: [steps: number, n: number, h: number, out: number][] = [
  [1, 1, 1, 1],
  [3, 3, 5, 5],
  [2, 2, 67, 67],
  [2, 70, 16, 16],
  [3, 5, 6, 4],
  [2, 33, 20, 9],
];

describe.each(engines())('%s', (engine) => {
  const arena = new Arena(engine);
  describe.each(shapes)('(%i, %i, %i, %i)', (steps, n, h, out) => {
    const projects = out !== h;
    const kinds = projects ? (['lstm'] as const) : (['tanh', 'relu', 'gru', 'lstm'] as const);
    describe.each(kinds)('%s', (kind) => {
      test.each([
        ['float32', false],
        ['float64', true],
      ] as const)('%s, reverse %s', (dtype, reverse) => {
        const next = random(n + h);
        const values = (count: number) => Array.from({ length: count }, () => Math.fround(next() * 2 - 1));
        const rows = gatesOf[kind] * h;
        const [sums, weights, bias] = [values(steps * n * rows), values(rows * out), values(rows)];
        const [projection, h0, c0] = [values(out * h), values(n * out), values(n * h)];
        arena.reset();
        const input = (of: readonly number[]) => arena.input(dtype, of).address;
        const room = (count: number) => arena.output(dtype, count);
        const y = room(steps * n * out);
        const cells = room(kind === 'lstm' ? steps * n * h : 0);
        const hidden = kind === 'gru' ? room(steps * n * rows).address : 0;
        const unprojected = projects ? room(steps * n * h).address : 0;
        const [w, b, r] = [weights, bias, projection].map(input);
        const [first, firstCell, gates] = [h0, c0, sums].map(input);
        const code = Dtype[dtype];
        const flag = projects ? 1 : 0;
        const scratch = arena.output('uint8', arena.kernels.recurrentScratch(code, n, rows, h, out, flag, 0)).address;
        const [cellsAt, yAt] = [cells.address, y.address];
        arena.run((k) => {
          const backward = reverse ? 1 : 0;
          const ofCell = kind === 'lstm' ? cellsAt : 0;
          const before = [w, kind === 'gru' ? b : 0, projects ? r : 0, first, kind === 'lstm' ? firstCell : 0] as const;
          const behind = [steps, n, rows, h, out, scratch] as const;
          return k.recurrent(
            Cell[kind],
            code,
            backward,
            flag,
            ...before,
            gates,
            hidden,
            ofCell,
            unprojected,
            yAt,
            ...behind,
          );
        });
        const got = arena.read(y);
        // float32: rounding of sums of `out` products near 1, through so many steps.
        const bar = dtype === 'float32' ? 2e-5 : 1e-13;
        for (let sample = 0; sample < n; sample++) {
          let state = h0.slice(sample * out, (sample + 1) * out);
          let cell = c0.slice(sample * h, (sample + 1) * h);
          for (let i = 0; i < steps; i++) {
            const t = reverse ? steps - 1 - i : i;
            const at = (t * n + sample) * rows;
            const fromState = (row: number) =>
              state.reduce((sum, value, j) => sum + value * weights[row * out + j], kind === 'gru' ? bias[row] : 0);
            const gate = (g: number, j: number) => sums[at + g * h + j] + fromState(g * h + j);
            const fresh = Array.from({ length: h }, (_, j) => {
              if (kind === 'tanh') return Math.tanh(gate(0, j));
              if (kind === 'relu') return Math.max(gate(0, j), 0);
              if (kind === 'gru') {
                const m = Math.tanh(sums[at + 2 * h + j] + sigma(gate(0, j)) * fromState(2 * h + j));
                const z = sigma(gate(1, j));
                return (1 - z) * m + z * state[j];
              }
              cell[j] = sigma(gate(1, j)) * cell[j] + sigma(gate(0, j)) * Math.tanh(gate(2, j));
              return sigma(gate(3, j)) * Math.tanh(cell[j]);
            });
            cell = [...cell];
            state = projects
              ? Array.from({ length: out }, (_, o) => fresh.reduce((s, v, j) => s + v * projection[o * h + j], 0))
              : fresh;
            for (let j = 0; j < out; j++)
              expect(Math.abs(got[(t * n + sample) * out + j] - state[j])).toBeLessThan(bar);
          }
        }
      });
    });
  });
});
