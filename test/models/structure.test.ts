// Every architecture has the state dict of torchvision's: names, order, shapes, number of parameters. No weight is
// drawn here, which would take most of a minute; what they begin with is compared in models.test.ts.
import { expect, it, vi } from 'vitest';
import '../../src/index.ts';
import { golden, make } from './catalog.ts';

vi.mock('../../src/tensor/random.ts', async (original) => ({
  ...(await original<typeof import('../../src/tensor/random.ts')>()),
  uniform_: (x: unknown) => x,
  normal_: (x: unknown) => x,
}));

it('covers every model of the golden file', () => expect(Object.keys(make)).toEqual(Object.keys(golden)));

it.each(Object.keys(golden))('%s', (name) => {
  const model = make[name]();
  const shapes = [...model.stateDict()].map(([key, { shape }]) => `${key} ${shape.join('x') || 'scalar'}`);
  expect(shapes).toEqual(golden[name].state.map((line) => line.split(' ').slice(0, 2).join(' ')));
  expect([...model.parameters()].reduce((sum, { size }) => sum + size, 0)).toBe(golden[name].parameters);
});
