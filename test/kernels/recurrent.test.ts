// The kernels of kernels/recurrent/: forwards against formulas in float64, with sizes that fill no vector. Gradients
// are compared with differences, and with PyTorch's, in test/nn/sequence.test.ts.
import { describe, expect, test } from 'vitest';
import { Dtype } from '../../src/device/generated/abi.ts';
import { Arena, engines, random } from './arena.ts';

const sigma = (x: number) => 1 / (1 + Math.exp(-x));
const shapes: [n: number, h: number][] = [
  [1, 1],
  [3, 5],
  [2, 16],
  [5, 67],
  [3, 2100],
];

describe.each(engines())('%s', (engine) => {
  const arena = new Arena(engine);
  describe.each(shapes)('(%i, %i)', (n, h) => {
    test.each(['float32', 'float64'] as const)('%s', (dtype) => {
      const next = random(n + h);
      const values = (count: number) => Array.from({ length: count }, () => Math.fround(next() * 6 - 3));
      const near = (got: ArrayLike<number>, want: (row: number, j: number) => number) => {
        for (let row = 0; row < n; row++)
          for (let j = 0; j < h; j++)
            expect(Math.abs(got[row * h + j] - want(row, j))).toBeLessThan(dtype === 'float32' ? 2e-6 : 1e-14);
      };
      const code = Dtype[dtype];
      const [sums, hidden, state] = [values(n * 4 * h), values(n * 3 * h), values(n * h)];
      arena.reset();
      const c0 = arena.input(dtype, state);
      const [c, out] = [arena.output(dtype, n * h), arena.output(dtype, n * h)];
      const gates = arena.input(dtype, sums);
      arena.run((k) => k.lstmCell(code, gates.address, c0.address, c.address, out.address, n, h));
      const gate = (of: number, per: number, row: number, j: number) => sums[row * per * h + of * h + j];
      const cell = (row: number, j: number) =>
        sigma(gate(1, 4, row, j)) * state[row * h + j] + sigma(gate(0, 4, row, j)) * Math.tanh(gate(2, 4, row, j));
      near(arena.read(c), cell);
      near(arena.read(out), (row, j) => sigma(gate(3, 4, row, j)) * Math.tanh(cell(row, j)));

      const three = arena.input(dtype, sums.slice(0, n * 3 * h));
      const ofState = arena.input(dtype, hidden);
      arena.run((k) => k.gruCell(code, three.address, ofState.address, c0.address, out.address, n, h));
      near(arena.read(out), (row, j) => {
        const [r, z, m] = [0, 1, 2].map((of) => hidden[row * 3 * h + of * h + j]);
        const kept = sigma(gate(1, 3, row, j) + z);
        const fresh = Math.tanh(gate(2, 3, row, j) + sigma(gate(0, 3, row, j) + r) * m);
        return (1 - kept) * fresh + kept * state[row * h + j];
      });

      arena.run((k) => k.rnnCell(0, code, c0.address, out.address, n, h));
      near(arena.read(out), (row, j) => Math.tanh(state[row * h + j]));
      arena.run((k) => k.rnnCell(1, code, c0.address, out.address, n, h));
      near(arena.read(out), (row, j) => Math.max(state[row * h + j], 0));
    });
  });
});
