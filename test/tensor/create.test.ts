// Making tensors, reading them back, and the types that operations give: PyTorch's, with int64 as exact as it is there.
import { constants } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { ArgumentTypeError, IndexError, RuntimeError, ValueError } from '../../src/errors.ts';
import {
  arange,
  cat,
  type DType,
  empty,
  eye,
  fromTypedArray,
  full,
  fullLike,
  getEngine,
  linspace,
  ones,
  onesLike,
  Tensor,
  tensor,
  where,
  zeros,
  zerosLike,
} from '../../src/index.ts';

const values = (t: Tensor) => Array.from(t.dataSync() as ArrayLike<number | bigint>);

describe('tensor', () => {
  test('takes its type from the values', () => {
    const types = [tensor(1), tensor([1n]), tensor([true]), tensor([]), tensor([1, true]), tensor(Uint8Array.of(1))];
    expect(types.map(({ dtype }) => dtype)).toEqual(['float32', 'int64', 'bool', 'float32', 'float32', 'uint8']);
    expect(tensor([[1, 2, 3]]).shape).toEqual([1, 3]);
    expect(tensor(5).shape).toEqual([]);
  });

  test('copies what it is given', () => {
    const array = Float32Array.of(1, 2);
    const a = tensor(array);
    const b = tensor(a);
    array[0] = 9;
    a.add_(1);
    expect([values(a), values(b)]).toEqual([
      [2, 3],
      [1, 2],
    ]);
  });

  test('cuts numbers for integer types, and refuses what they cannot hold', () => {
    expect(values(tensor([1.7, -1.7], { dtype: 'int32' }))).toEqual([1, -1]);
    expect(values(tensor([-1, 255], { dtype: 'uint8' }))).toEqual([255, 255]);
    for (const [value, dtype] of [
      [300, 'uint8'],
      [2 ** 31, 'int32'],
      [Number.NaN, 'int64'],
      [Infinity, 'int32'],
      [1e30, 'int64'],
    ] as [number, DType][])
      expect(() => tensor([value], { dtype })).toThrow(
        new RuntimeError(`value cannot be converted to type ${dtype} without overflow`),
      );
    expect(() => tensor([2n ** 63n])).toThrow(new ValueError('Overflow when unpacking long long'));
  });

  test('refuses ragged arrays and strangers', () => {
    expect(() => tensor([[1, 2], [3]])).toThrow(new ValueError('expected sequence of length 2 at dim 1 (got 1)'));
    const refused = (value: unknown, text: string) =>
      expect(() => tensor(value as number)).toThrow(new ArgumentTypeError(text));
    refused(['a'], "[tensor] expected numbers, booleans or bigints, got 'a'");
    refused(undefined, '[tensor] expected numbers, booleans or bigints, got undefined');
    refused(null, '[tensor] expected numbers, booleans or bigints, got null');
    expect(() => tensor([1], { dtype: 'half' as DType })).toThrow(
      "[tensor] expected one of bool, uint8, int32, int64, float32, float64 as dtype, got 'half'",
    );
  });
});

test('constants', () => {
  expect(values(full([2], 7))).toEqual([7, 7]);
  expect(full([1], true).dtype).toBe('bool');
  expect(values(zeros([2, 0]))).toEqual([]);
  expect(values(ones([2], { dtype: 'int64' }))).toEqual([1n, 1n]);
  expect(empty([2, 3]).shape).toEqual([2, 3]);
  expect(values(eye(2, 3))).toEqual([1, 0, 0, 0, 1, 0]);
  const last = zeros([1, 2, 3, 3], { memoryFormat: 'channelsLast', dtype: 'float64' });
  for (const like of [zerosLike(last), onesLike(last), fullLike(last, 3)])
    expect([like.shape, like.dtype, like.memoryFormat]).toEqual([[1, 2, 3, 3], 'float64', 'channelsLast']);
  expect(() => zeros([-1])).toThrow(new RuntimeError('Trying to create tensor with negative dimension -1: [-1]'));
  expect(() => zeros([1.5])).toThrow(ArgumentTypeError);
  expect(() => zeros(3 as unknown as number[])).toThrow('[zeros] expected a shape as an array of integers, got 3');
  expect(() => zeros([1e6, 1e6])).toThrow(
    '[zeros] a tensor may have at most 2146435072 elements (2^31 - 2^20), got shape [1000000, 1000000]',
  );
  expect(() => zeros([0, 2 ** 31])).toThrow('a tensor may have at most 2146435072 elements');
  // What an engine cannot hold; newer versions of Node.js hold more in one buffer.
  const doubles = [2 ** 31 - 2 ** 20];
  if (getEngine() === 'wasm' || constants.MAX_LENGTH < doubles[0] * 8)
    expect(() => empty(doubles, { dtype: 'float64' })).toThrow(/out of memory/);
  expect(() => fromTypedArray(Float32Array.of(1, 2), [3])).toThrow("shape '[3]' is invalid for input of size 2");
});

test('ranges', () => {
  expect([values(arange(3)), arange(3).dtype]).toEqual([[0n, 1n, 2n], 'int64']);
  expect([values(arange(0, 1, 0.25)), arange(0, 1, 0.25).dtype]).toEqual([[0, 0.25, 0.5, 0.75], 'float32']);
  expect(values(arange(5, 0, -2))).toEqual([5n, 3n, 1n]);
  expect(values(linspace(0, 1, 5))).toEqual([0, 0.25, 0.5, 0.75, 1]);
  expect(() => arange(0, 5, -1)).toThrow('upper bound and lower bound inconsistent with step sign');
  expect(() => arange(0, 5, 0)).toThrow('step must be nonzero');
});

describe('int64 is exact beyond 2^53', () => {
  const big = 9007199254740993n; // 2^53 + 1, which no number can be
  const t = tensor([big]);
  test.each<[string, () => Tensor, bigint | number]>([
    ['+ number', () => t.add(1), big + 1n],
    ['+ tensor', () => t.add(t), 2n * big],
    ['· wraps around', () => tensor([3037000500n]).mul(tensor([3037000500n])), -9223372036709301616n],
    ['sum', () => tensor([big, 2n]).sum(), big + 2n],
    ['cumsum', () => tensor([big, 2n]).cumsum(0).select(0, 1), big + 2n],
    ['max', () => tensor([big, big - 1n]).max(), big],
    [
      'sort',
      () =>
        tensor([big, big - 1n])
          .sort()
          .values.select(0, 0),
      big - 1n,
    ],
    ['abs', () => t.neg().abs(), big],
    ['pow', () => tensor([3n]).pow(tensor([39n])), 3n ** 39n],
    ['where', () => where(tensor([true]), t, tensor([0n])), big],
    ['cat', () => cat([t, t]).select(0, 1), big],
    ['= neighbour', () => t.eq(tensor([big - 1n])), 0],
    ['= number', () => t.eq(2 ** 53), 0],
    ['smallest', () => tensor([-(2n ** 63n)]), -(2n ** 63n)],
    ['largest', () => tensor(2n ** 63n - 1n), 2n ** 63n - 1n],
  ])('%s', (_, run, expected) => {
    expect(values(run())).toEqual([expected]);
  });

  test('and item says so where a number is not enough', () => {
    expect(() => t.item()).toThrow(
      new ValueError(
        '[item] 9007199254740993 does not fit a number exactly; read dataSync(), which gives BigInt64Array',
      ),
    );
    expect(tensor([5n]).item()).toBe(5);
    expect(() => zeros([2]).item()).toThrow('a Tensor with 2 elements cannot be converted to Scalar');
  });
});

describe('promotion', () => {
  const order: DType[] = ['bool', 'uint8', 'int32', 'int64', 'float32', 'float64'];
  test('of tensors goes to the later type', () => {
    for (const [i, a] of order.entries())
      for (const [j, b] of order.entries())
        expect(ones([1], { dtype: a }).add(ones([1], { dtype: b })).dtype).toBe(order[Math.max(i, j)]);
  });

  test('leaves the type of a tensor to one without dimensions of the same kind, and to numbers', () => {
    const types = [
      tensor([1]).add(tensor(0.5, { dtype: 'float64' })),
      tensor([1], { dtype: 'int32' }).add(tensor(1n)),
      tensor([1], { dtype: 'int32' }).add(tensor(0.5, { dtype: 'float64' })),
      tensor([1], { dtype: 'uint8' }).add(1),
      tensor([1], { dtype: 'int32' }).add(0.5),
      tensor([true]).add(1),
    ];
    expect(types.map(({ dtype }) => dtype)).toEqual(['float32', 'int32', 'float64', 'uint8', 'float32', 'int64']);
  });

  test('of results: true division is a float, sums of integers int64, comparisons bool', () => {
    const i = tensor([7], { dtype: 'int32' });
    const types = [i.div(i), i.sum(), i.gt(1), i.sqrt(), tensor([true, true]).sum(), i.argmax(0), i.mul(i)];
    expect(types.map(({ dtype }) => dtype)).toEqual(['float32', 'int64', 'bool', 'float32', 'int64', 'int64', 'int32']);
  });

  test('wraps around in small types', () => {
    expect(values(tensor([250], { dtype: 'uint8' }).add(10))).toEqual([4]);
  });
});

test('values come back in row-major order from either format', async () => {
  const x = fromTypedArray(
    Float64Array.from({ length: 12 }, (_, i) => i),
    [1, 3, 2, 2],
  );
  const last = x.contiguous('channelsLast');
  expect([last.memoryFormat, last.shape]).toEqual(['channelsLast', [1, 3, 2, 2]]);
  expect(await last.data()).toEqual(await x.data());
  expect(last.toArray()).toEqual(x.toArray());
  expect(tensor([[true, false]]).toArray()).toEqual([[true, false]]);
});

test('operations keep the memory format of their first operand', () => {
  const last = ones([2, 3, 4, 5]).contiguous('channelsLast');
  const kept = [
    last.add(1),
    last.add(last),
    last.mul(ones([1, 3, 1, 1])),
    last.sigmoid(),
    last.clone(),
    last.to('float64'),
  ];
  expect(kept.map(({ memoryFormat }) => memoryFormat)).toEqual(kept.map(() => 'channelsLast'));
  expect(last.add(ones([2, 3, 4, 5])).memoryFormat).toBe('channelsLast');
  const x = ones([2, 3, 4, 5], { requiresGrad: true, memoryFormat: 'channelsLast' });
  x.mul(2).sum().backward();
  expect(x.grad!.memoryFormat).toBe('channelsLast');
});

test('rank 0 has no length, others that of their first dimension', () => {
  expect(zeros([4, 2]).length).toBe(4);
  expect(() => tensor(1).length).toThrow(new IndexError('len() of a 0-d tensor'));
  expect(tensor(1)).toBeInstanceOf(Tensor);
});
