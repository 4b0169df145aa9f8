// What checkpoints ask of a model: a state that does not fit changes nothing, whatever is wrong with it. A model's own
// loadStateDict copies what fits before it raises, as PyTorch's does.
import { expect, test } from 'vitest';
import { full, scope, type Tensor } from '../../src/index.ts';
import { BatchNorm2d, Conv2d, Sequential } from '../../src/nn/index.ts';
import { loadStateDict } from '../../src/nn/state_dict.ts';

const net = () => new Sequential(new Conv2d(1, 2, 3), new BatchNorm2d(2));
const values = (model: Sequential) =>
  [...model.stateDict()].map(([key, tensor]) => [key, Array.from(tensor.dataSync() as ArrayLike<number>, Number)]);

test('a state that does not fit changes nothing', () => {
  const model = net();
  const before = values(model);
  const sevens = () =>
    new Map([...model.stateDict()].map(([key, { shape, dtype }]) => [key, full(shape, 7, { dtype })]));
  let gone: Tensor;
  scope(() => {
    gone = full([2], 7);
  });
  const spoil: [string, (state: Map<string, unknown>) => void, RegExp][] = [
    ['a size', (state) => state.set('1.running_var', full([3], 7)), /size mismatch for 1.running_var/],
    ['a missing key', (state) => state.delete('1.bias'), /Missing key\(s\) in stateDict: "1.bias"/],
    ['a key too many', (state) => state.set('2.weight', full([1], 7)), /Unexpected key\(s\) in stateDict: "2.weight"/],
    ['no tensor', (state) => state.set('1.bias', [7, 7]), /expected a Tensor from checkpoint/],
    ['memory that is gone', (state) => state.set('1.bias', gone), /scope that has ended/],
  ];
  for (const assign of [false, true])
    for (const [name, change, error] of spoil) {
      const state = sevens();
      change(state);
      expect(() => loadStateDict(model, state as never, { assign }, true), name).toThrow(error);
      expect(values(model), name).toEqual(before);
    }
  for (const state of [null, undefined, 3, 'x', []])
    expect(() => model.loadStateDict(state as never)).toThrow('Expected stateDict to be an object or a Map of tensors');
  model.loadStateDict(sevens());
  expect(values(model).every(([, data]) => (data as number[]).every((value) => value === 7))).toBe(true);
});
