// The conformance run's own parts: how arguments are carried over, what the judge lets pass, and that a case that ends
// its process is one failure.
import { afterAll, describe, expect, test } from 'vitest';
import { type Case, type TensorData, tensorOf } from '../../conformance/case.ts';
import { difference } from '../../conformance/judge.ts';
import { startLibrary } from '../../conformance/library.ts';
import { ArgumentNotAvailable, bound } from '../../conformance/signature.ts';
import { tensor } from '../../src/index.ts';

const data = (values: readonly number[], dtype: 'float32' | 'float64' = 'float64'): TensorData => {
  const array = dtype === 'float64' ? new Float64Array(values) : new Float32Array(values);
  return { $: 'tensor', shape: [values.length], dtype, data: Buffer.from(array.buffer).toString('base64') };
};
const none = new Map<string, unknown>();

describe('arguments', () => {
  test('stand by position, or in the options behind them', () => {
    expect(bound('x dim {keepdim}', ['x', 1, true], none)).toEqual(['x', 1, { keepdim: true }]);
    expect(bound('x dim {keepdim}', ['x'], new Map([['keepdim', true]]))).toEqual(['x', undefined, { keepdim: true }]);
    expect(bound('x dim {keepdim}', ['x', null], none)).toEqual(['x']);
    expect(bound('x kernelSize {ceilMode}', ['x', 2], new Map([['ceil_mode', true]]))).toEqual([
      'x',
      2,
      { ceilMode: true },
    ]);
  });
  test('take the rest as an array, however it was given', () => {
    expect(bound('x *shape', ['x', 2, 3], none)).toEqual(['x', [2, 3]]);
    expect(bound('x *shape', ['x', [2, 3]], none)).toEqual(['x', [2, 3]]);
  });
  test('that the library lacks are named, unless they are the default', () => {
    expect(bound('x !alpha=1', ['x', 1], none)).toEqual(['x']);
    expect(() => bound('x !alpha=1', ['x', 2], none)).toThrow(new ArgumentNotAvailable('alpha'));
    expect(() => bound('x', ['x'], new Map([['out', 1]]))).toThrow(new ArgumentNotAvailable('out'));
    expect(() => bound('x min:number', ['x', tensor(1)], none)).toThrow(
      new ArgumentNotAvailable('min that is no number'),
    );
  });
});

describe('the judge', () => {
  const bars = { isElementwise: false, looseness: 1 };
  test('tells shapes, dtypes and values apart', () => {
    expect(difference(tensor([1, 2]), data([1, 2]), null, bars)).toMatch(/^dtype/);
    expect(difference(tensor([[1, 2]], { dtype: 'float64' }), data([1, 2]), null, bars)).toMatch(/^shape/);
    expect(difference(tensor([1, 2.000001], { dtype: 'float64' }), data([1, 2]), null, bars)).toMatch(
      /^values: element 1/,
    );
    expect(difference(tensor([1, Number.NaN], { dtype: 'float64' }), data([1, 2]), null, bars)).toMatch(
      /^values: element 1/,
    );
    expect(difference(tensor([1, Number.NaN], { dtype: 'float64' }), data([1, Number.NaN]), null, bars)).toBeNull();
  });
  test('holds float32 against the truth, by what PyTorch is off', () => {
    const truth = data([1, 2]);
    expect(difference(tensor([1, 2 + 1e-4]), data([1, 2 + 5e-5], 'float32'), truth, bars)).toBeNull();
    expect(difference(tensor([1, 2 + 1e-4]), data([1, 2], 'float32'), truth, bars)).toMatch(/^values/);
  });
});

describe('a case', () => {
  const library = startLibrary('wasm');
  afterAll(() => library.close());
  const sum: Case = {
    id: 'sum',
    kind: 'function',
    variant: 'function',
    source: 'sample',
    name: 'sum',
    dtype: 'float64',
    seed: 1,
    args: [{ ...data([1, 2, 3]), grad: true }],
    kwargs: [],
    expected: {
      outputs: [{ ...data([6]), shape: [], grad: true }],
      cotangents: [{ ...data([2]), shape: [] }],
      grads: [data([2, 2, 2])],
    },
  };
  const judged = async (change: Partial<Case>) =>
    (await library.judge(JSON.stringify({ ...sum, ...change }))).map(({ outcome }) => outcome);

  test('agrees, differs, or is not available', async () => {
    expect(tensorOf(data([1])).toArray()).toEqual([1]);
    expect(await judged({})).toEqual(['agrees', 'agrees']);
    expect(await judged({ kwargs: [['out', 1]] } as Partial<Case>)).toEqual([
      'argument not available',
      'argument not available',
    ]);
    expect(await judged({ name: 'svd' })).toEqual(['not available']);
    const wrong = { ...sum.expected, grads: [data([2, 2, 1])] };
    expect(await judged({ expected: wrong } as Partial<Case>)).toEqual(['differs', 'agrees']);
  });
  test('that PyTorch refuses must be refused', async () => {
    const expected = { error: { type: 'IndexError', text: 'Dimension out of range' } };
    expect(await judged({ args: [data([1, 2]), 3], expected } as Partial<Case>)).toEqual(['agrees', 'agrees']);
    expect(await judged({ args: [data([1, 2]), 0], expected } as Partial<Case>)).toEqual(['accepted', 'accepted']);
  });
  test('that ends the process is a crash, and the next one is answered', async () => {
    // No function of the run can read this.
    expect(await judged({ expected: null as never })).toEqual(['crash']);
    expect(await judged({})).toEqual(['agrees', 'agrees']);
  });
});
