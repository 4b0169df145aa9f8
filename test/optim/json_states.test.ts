// States as text: model, optimizer and schedule go through JSON, and training goes on bit for bit; what is malformed is
// refused and changes nothing.
import { expect, test } from 'vitest';
import {
  type DType,
  EvenkeelError,
  fromTypedArray,
  manualSeed,
  randn,
  type Tensor,
  type TypedArray,
  tensor,
  tensorFromJSON,
} from '../../src/index.ts';
import { BatchNorm1d, InstanceNorm1d, Linear, type Module, Sequential } from '../../src/nn/index.ts';
import { Adam, ReduceLROnPlateau, SGD, StepLR } from '../../src/optim/index.ts';
import type { AnyOptimizer } from '../../src/optim/lr_scheduler.ts';

const throughJSON = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const bits = (x: Tensor): string => {
  const values = x.dataSync();
  return [x.dtype, x.shape, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)].join(' ');
};

const awkward: [DType, TypedArray, shape: number[]][] = [
  ['float32', Float32Array.of(0, -0, NaN, Infinity, -Infinity, 1e-45, 0.1, 3.4028234663852886e38), [2, 4]],
  ['float64', Float64Array.of(0.1, -0, NaN, Infinity, 5e-324, 1.7976931348623157e308), [6]],
  ['int64', BigInt64Array.of(0n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)), [5, 1]],
  ['int32', Int32Array.of(2 ** 31 - 1, -(2 ** 31)), [2]],
  ['uint8', Uint8Array.of(0, 255), [2]],
  ['bool', Uint8Array.of(1, 0), [1, 2]],
  ['float32', new Float32Array(0), [0, 3]],
  ['float64', Float64Array.of(-0), []],
];
test.each(awkward)('a %s tensor', (dtype, values, shape) => {
  const x = fromTypedArray(values, shape, { dtype });
  expect(bits(tensorFromJSON(throughJSON(x)))).toBe(bits(x));
});

test('a tensor of channels last', () => {
  const x = randn([1, 2, 3, 2], { memoryFormat: 'channelsLast' });
  expect(tensorFromJSON(throughJSON(x)).toArray()).toEqual(x.toArray());
});

const net = () => new Sequential(new Linear(3, 4), new BatchNorm1d(4), new Linear(4, 2));
function train(model: Module, optimizer: AnyOptimizer, step: () => void, steps: number, seed: number): void {
  manualSeed(seed);
  for (let i = 0; i < steps; i++) {
    optimizer.zeroGrad();
    const loss = (model as Sequential)(randn([5, 3]))
      .square()
      .mean();
    loss.backward();
    optimizer.step();
    step();
  }
}
const everything = (model: Module, optimizer: AnyOptimizer): string[] => [
  ...[...model.stateDict()].map(([key, value]) => `${key} ${bits(value)}`),
  ...[...optimizer.state.values()].flatMap((own) =>
    Object.entries(own).map(
      ([key, value]) => `${key} ${[value].flat().map((one) => (typeof one === 'number' ? one : bits(one)))}`,
    ),
  ),
  ...optimizer.paramGroups.map(({ params: _, ...options }) => JSON.stringify(options)),
];

test('model, Adam and schedule go on from JSON bit for bit', () => {
  manualSeed(3);
  const model = net();
  const optimizer = new Adam(model.parameters(), { lr: 0.02, amsgrad: true });
  const schedule = new StepLR(optimizer, 2, { gamma: 0.5 });
  train(model, optimizer, () => schedule.step(), 3, 4);
  const text = JSON.stringify({
    model: model.stateDict(),
    optimizer: optimizer.stateDict(),
    schedule: schedule.stateDict(),
  });
  const state = JSON.parse(text);

  const again = net();
  const other = new Adam(again.parameters(), { lr: 1 });
  const next = new StepLR(other, 5);
  expect(String(again.loadStateDict(state.model))).toBe('<All keys matched successfully>');
  other.loadStateDict(state.optimizer);
  next.loadStateDict(state.schedule);
  expect(everything(again, other)).toEqual(everything(model, optimizer));
  train(model, optimizer, () => schedule.step(), 4, 5);
  train(again, other, () => next.step(), 4, 5);
  expect(everything(again, other)).toEqual(everything(model, optimizer));
});

test('NaN, infinities and -0 in a model and in momenta survive', () => {
  const model = new Linear(2, 2, { bias: false });
  const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
  const schedule = new ReduceLROnPlateau(optimizer);
  model.loadStateDict({ weight: tensor([[NaN, -0], [Infinity, 1]]) }); // biome-ignore format: a matrix
  const momenta = tensor([[-Infinity, NaN], [-0, 0.1]]); // biome-ignore format: a matrix
  optimizer.loadStateDict({ ...optimizer.stateDict(), state: { 0: { momentum_buffer: momenta } } });
  const again = new Linear(2, 2, { bias: false });
  const other = new SGD(again.parameters(), { lr: 1, momentum: 0.5 });
  const next = new ReduceLROnPlateau(other);
  again.loadStateDict(throughJSON(model.stateDict()));
  other.loadStateDict(throughJSON(optimizer.stateDict()));
  next.loadStateDict(throughJSON(schedule.stateDict()));
  expect(everything(again, other)).toEqual(everything(model, optimizer));
  expect(next.stateDict().best).toBe(Infinity);
});

test('assign takes tensors that were read, and a lazy schedule of keys stays strict', () => {
  const model = net();
  const again = net();
  const kept = again.stateDict().get('0.weight')!;
  again.loadStateDict(throughJSON(model.stateDict()), { assign: true });
  expect([...again.stateDict().values()].map(bits)).toEqual([...model.stateDict().values()].map(bits));
  expect(again.stateDict().get('0.weight')).not.toBe(kept);
  const { '0.bias': _, ...rest } = throughJSON(model.stateDict()) as unknown as Record<string, Tensor>;
  expect(() => again.loadStateDict(rest)).toThrow('Missing key(s) in stateDict: "0.bias"');
});

test('running statistics that an instance norm does not track are refused in JSON, too', () => {
  const tracking = new InstanceNorm1d(2, { trackRunningStats: true });
  expect(() => new InstanceNorm1d(2).loadStateDict(throughJSON(tracking.stateDict()))).toThrow('Unexpected');
});

const malformed: [name: string, form: unknown, text: string][] = [
  ['an unknown dtype', { dtype: 'half', shape: [2], data: [1, 2] }, 'as dtype'],
  ['a shape that is none', { dtype: 'float32', shape: '2', data: [1, 2] }, 'expected a shape'],
  ['a size that is none', { dtype: 'float32', shape: [2.5], data: [1, 2] }, 'expected a shape of integers'],
  ['a negative size', { dtype: 'float32', shape: [-2], data: [1, 2] }, 'negative dimension'],
  ['an endless size', { dtype: 'float32', shape: [2 ** 40], data: [1, 2] }, 'at most'],
  ['too few values', { dtype: 'float32', shape: [3], data: [1, 2] }, 'expected 3 values'],
  ['no list', { dtype: 'float32', shape: [2], data: { 0: 1, 1: 2 } }, 'expected 2 values'],
  ['a word', { dtype: 'float32', shape: [2], data: [1, 'two'] }, "got 'two'"],
  ['null, as JSON writes NaN by itself', { dtype: 'float32', shape: [2], data: [1, null] }, 'got null'],
  ['a list within', { dtype: 'float32', shape: [2], data: [1, [2]] }, 'got [2]'],
  ['a fraction', { dtype: 'int64', shape: [2], data: [1, 2.5] }, 'got 2.5'],
  [
    'an integer beyond 2^53 as a number',
    { dtype: 'int64', shape: [2], data: [1, 2 ** 53] },
    'expected values of int64',
  ],
  ['an integer beyond 2^63', { dtype: 'int64', shape: [2], data: [1, '9223372036854775808'] }, 'values of int64'],
  ['NaN as an integer', { dtype: 'int32', shape: [2], data: [1, 'NaN'] }, "got 'NaN'"],
  ['256 of uint8', { dtype: 'uint8', shape: [2], data: [1, 256] }, 'got 256'],
  ['2 of bool', { dtype: 'bool', shape: [2], data: [1, 2] }, 'got 2'],
  ['true of bool', { dtype: 'bool', shape: [2], data: [1, true] }, 'got true'],
];
test.each(malformed)('%s is refused and changes nothing', (_, form, text) => {
  expect(() => tensorFromJSON(form)).toThrow(text);
  const model = new Linear(1, 2);
  const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
  train(model, optimizer, () => {}, 0, 1);
  const before = everything(model, optimizer);
  const good = { dtype: 'float32', shape: [2, 1], data: [7, 7] };
  const refused = (run: () => unknown) => {
    let error: unknown;
    try {
      run();
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(EvenkeelError);
    expect((error as Error).message).toContain(text);
  };
  refused(() => model.loadStateDict({ weight: good, bias: form } as never));
  const state = { 0: { momentum_buffer: good }, 1: { momentum_buffer: form } };
  refused(() => optimizer.loadStateDict({ ...optimizer.stateDict(), state } as never));
  expect(everything(model, optimizer)).toEqual(before);
});

test.each([null, 3, 'x', [], {}, { dtype: 'float32', shape: [] }])('%j is no tensor', (value) => {
  expect(() => tensorFromJSON(value)).toThrow('[tensorFromJSON] expected { dtype, shape, data }');
});

test('structuredClone refuses tensors, and carries what toJSON gives', () => {
  const model = net();
  expect(() => structuredClone(model.stateDict())).toThrow('could not be cloned');
  const again = net();
  again.loadStateDict(structuredClone(model.stateDict().toJSON()));
  expect([...again.stateDict().values()].map(bits)).toEqual([...model.stateDict().values()].map(bits));
});
