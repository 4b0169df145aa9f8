// Storages that are parts of another one, memory that another thread holds, and values that arrive.
import { describe, expect, test } from 'vitest';
import { ones, Tensor, tensor, zeros } from '../../src/index.ts';
import type { Arrival } from '../../src/tensor/storage.ts';

const partOf = (whole: Tensor, from: number, shape: number[]): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return new Tensor(
    shape,
    whole.dtype,
    'contiguous',
    whole.storage.range(from * whole.itemSize, size * whole.itemSize),
  );
};

describe('a range of a storage', () => {
  test('is the same memory, read and written by kernels and by JavaScript', () => {
    const whole = tensor(Array.from({ length: 48 }, (_, i) => i));
    const part = partOf(whole, 16, [4, 4]);
    expect(part.select(1, 1).toArray()).toEqual([17, 21, 25, 29]);
    part.mul_(2);
    expect(whole.toArray()).toEqual(Array.from({ length: 48 }, (_, i) => (i >= 16 && i < 32 ? 2 * i : i)));
    whole.zero_();
    expect(part.sum().item()).toBe(0);
    part.storage.write(new Uint8Array(new Float32Array(16).fill(3).buffer));
    expect(whole.sum().item()).toBe(48);
  });

  test('is lent as a copy: changes in place stay in the range', () => {
    const whole = ones([32]);
    const part = partOf(whole, 0, [16]);
    const loan = new Tensor([16], 'float32', 'contiguous', part.storage.lend());
    part.add_(1);
    expect([part.sum().item(), loan.sum().item(), whole.sum().item()]).toEqual([32, 16, 48]);
    part.storage.release();
    loan.storage.release();
    expect(whole.sum().item()).toBe(48);
  });

  test('is inside of the whole', () => {
    for (const [from, size] of [
      [-1, 4],
      [30, 3],
      [0, 33],
    ])
      expect(() => partOf(ones([32]), from, [size])).toThrow('are no range of a storage of 128');
  });

  test('gives no memory back', () => {
    const whole = ones([64]);
    for (let i = 0; i < 4; i++) {
      const part = partOf(whole, 16 * i, [16]);
      part.storage.release();
      expect(() => part.sum()).toThrow();
    }
    // Who gets memory now must not get that of the whole.
    const others = Array.from({ length: 8 }, () => zeros([64]).add(5));
    expect(whole.sum().item()).toBe(64);
    expect(others.every((other) => other.sum().item() === 320)).toBe(true);
  });

  test('what arrives in the whole, or in another range, is awaited once, by who comes first', () => {
    const whole = zeros([32]);
    const [a, b] = [partOf(whole, 0, [16]), partOf(whole, 16, [16])];
    let count = 0;
    const arrival: Arrival = { beforeKernel: () => count++, beforeRead: () => count++ };
    whole.storage.expect(arrival);
    a.sum();
    b.sum();
    whole.sum();
    expect(count).toBe(1);
    a.storage.expect(arrival);
    b.sum().item();
    expect(count).toBe(2);
    a.storage.expect(arrival);
    whole.toArray();
    expect(count).toBe(3);
  });
});

test('memory that is held is given back when the last who holds it lets go', () => {
  const size = 4096 + 64;
  const x = ones([size]);
  const letGo = x.storage.hold();
  // No loan: a change in place stays there.
  const { memory } = x.storage;
  x.add_(1);
  expect(x.storage.memory).toBe(memory);
  x.storage.release();
  const others = [zeros([size]), zeros([size])];
  expect(others.some(({ storage }) => storage.memory === memory)).toBe(false);
  letGo();
});
