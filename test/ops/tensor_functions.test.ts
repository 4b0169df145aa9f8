// Functions whose results no gradient describes: of integers, counts and indices, and what they refuse.
import { describe, expect, test } from 'vitest';
import {
  addmm,
  allclose,
  bitwiseAnd,
  bitwiseLeftShift,
  bitwiseNot,
  broadcastTensors,
  countNonzero,
  div,
  einsum,
  equal,
  floorDivide,
  isclose,
  matmul,
  meshgrid,
  ones,
  repeatInterleave,
  tensor,
  trilIndices,
  triuIndices,
} from '../../src/index.ts';
import * as nn from '../../src/nn/index.ts';

const long = { dtype: 'int64' } as const;

describe('integers', () => {
  test('matrix products are exact and wrap around', () => {
    const a = tensor([[2 ** 40, 1]], long);
    expect(matmul(a, tensor([[2 ** 12], [3]], long)).toArray()).toEqual([[2 ** 52 + 3]]);
    const bytes = tensor([[200, 100]], { dtype: 'uint8' });
    expect(matmul(bytes, tensor([[2], [1]], { dtype: 'uint8' })).toArray()).toEqual([[(200 * 2 + 100) % 256]]);
    const batch = matmul(ones([2, 3, 4], long), ones([4, 5], long));
    expect(batch.shape).toEqual([2, 3, 5]);
    expect(batch.toArray()).toEqual(Array(2).fill(Array(3).fill(Array(5).fill(4))));
    expect(matmul(ones([2, 0], long), ones([0, 3], long)).toArray()).toEqual(Array(2).fill([0, 0, 0]));
    expect(() => matmul(ones([2, 2], { dtype: 'bool' }), ones([2, 2], { dtype: 'bool' }))).toThrow(/not implemented/);
  });
  test('factors are truncated, as in PyTorch', () => {
    const one = ones([2, 2], long);
    expect(addmm(one, one, one, { alpha: 2.7 }).toArray()).toEqual([
      [5, 5],
      [5, 5],
    ]);
  });
  test('quotients are rounded', () => {
    const x = tensor([7, -7], long);
    expect(floorDivide(x, 2).toArray()).toEqual([3, -4]);
    expect(div(x, 2, { roundingMode: 'trunc' }).toArray()).toEqual([3, -3]);
    expect(() => div(x, 0, { roundingMode: 'trunc' })).toThrow('[div] ZeroDivisionError');
    expect(() => div(x, 2, { roundingMode: 'up' as 'floor' })).toThrow(/one of null, 'trunc', or 'floor'/);
  });
  test('bits', () => {
    expect(bitwiseAnd(tensor([6, 5], long), 3).toArray()).toEqual([2, 1]);
    expect(bitwiseNot(tensor([0, 5], long)).toArray()).toEqual([-1, -6]);
    expect(bitwiseLeftShift(tensor([1, 1], long), tensor([3, 64], long)).toArray()).toEqual([8, 0]);
    expect(() => bitwiseAnd(tensor([1.5]), 1)).toThrow(/not implemented for 'float32'/);
  });
});

test('repeatInterleave by a tensor of counts', () => {
  const counts = tensor([2, 0, 1], long);
  expect(repeatInterleave(tensor([5, 6, 7]), counts).toArray()).toEqual([5, 5, 7]);
  const x = tensor(
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    { requiresGrad: true },
  );
  const y = repeatInterleave(x, counts, 1);
  expect(y.toArray()).toEqual([
    [1, 1, 3],
    [4, 4, 6],
  ]);
  y.sum().backward();
  expect(x.grad!.toArray()).toEqual([
    [2, 0, 1],
    [2, 0, 1],
  ]);
  expect(() => repeatInterleave(x, tensor([1, 2], long), 1)).toThrow(/same size as input along dim/);
  expect(() => repeatInterleave(x, tensor([1, -2, 0], long), 1)).toThrow('repeats can not be negative');
  expect(() => repeatInterleave(x, counts, 1, { outputSize: 4 })).toThrow(/expected outputSize of 3, got 4/);
});

test('places and grids', () => {
  expect(trilIndices(2, 3).toArray()).toEqual([
    [0, 1, 1],
    [0, 0, 1],
  ]);
  expect(triuIndices(2, 3, 1).toArray()).toEqual([
    [0, 0, 1],
    [1, 2, 2],
  ]);
  const [a, b] = meshgrid([tensor([1, 2]), tensor([3, 4, 5])], { indexing: 'xy' });
  expect(a.toArray()).toEqual(Array(3).fill([1, 2]));
  expect(b.toArray()).toEqual([
    [3, 3],
    [4, 4],
    [5, 5],
  ]);
  expect(broadcastTensors(ones([2, 1]), ones([3])).map(({ shape }) => shape)).toEqual([
    [2, 3],
    [2, 3],
  ]);
  expect(nn.functional.oneHot(tensor([2, 0], long)).toArray()).toEqual([
    [0, 0, 1],
    [1, 0, 0],
  ]);
  expect(() => nn.functional.oneHot(tensor([2, 0], long), 2)).toThrow('Class values must be smaller than numClasses.');
  expect(() => nn.functional.oneHot(tensor([2]))).toThrow(/only applicable to index tensor/);
});

test('equal and close', () => {
  const x = tensor([1, Number.NaN, Infinity]);
  expect(isclose(x, x).toArray()).toEqual([true, false, true]);
  expect(allclose(x, x)).toBe(false);
  expect(allclose(x, x, { equalNan: true })).toBe(true);
  expect(equal(tensor([1, 2]), tensor([1, 2]))).toBe(true);
  expect(equal(tensor([1, 2]), tensor([[1, 2]]))).toBe(false);
  expect(
    countNonzero(
      tensor([
        [0, 3],
        [4, 5],
      ]),
      1,
    ).toArray(),
  ).toEqual([1, 2]);
});

test('einsum refuses equations that do not fit', () => {
  const x = ones([2, 3]);
  expect(() => einsum('ij->k', x)).toThrow(/output subscript k does not appear/);
  expect(() => einsum('ij,jk', x)).toThrow(/fewer operands were provided/);
  expect(() => einsum('ijk->i', x)).toThrow(/does not match the number of dimensions/);
  expect(() => einsum('ij,ij->i', x, ones([2, 4]))).toThrow(/does not broadcast with previously seen size 3/);
  expect(() => einsum('ii->i', x)).toThrow(/repeated for an operand/);
  expect(() => einsum('i1->i', x)).toThrow(/invalid subscript/);
});

test('T, mT, dim and numel', () => {
  const x = ones([2, 3]);
  expect(x.T.shape).toEqual([3, 2]);
  expect(ones([4, 2, 3]).mT.shape).toEqual([4, 3, 2]);
  expect([x.dim(), x.numel()]).toEqual([2, 6]);
  expect(() => ones([3]).mT).toThrow(/only supported on matrices/);
});
