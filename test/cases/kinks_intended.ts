// Where functions differ from PyTorch at kinks and extreme numbers on purpose, each with its reason; elementwise ones
// say it in their rows. kinks.test.ts fails where an entry is of no use.

import { binaryRows } from './binary.ts';
import type { Difference, Intended } from './elementwise_row.ts';
import { unaryRows } from './unary.ts';

const isSecond = (name: string) => name.startsWith('dd') || name === 'dg';

/** What a row says of its own cases. */
const ofRows: readonly Intended[] = [...unaryRows, ...binaryRows].flatMap(([name, row]) => {
  const one = 'kinksOfOne' in row ? (row.kinksOfOne ?? []) : [];
  const torches = new Set([...(row.kinks ?? (row.case ? [row.case] : [])), ...one].map(([torch]) => torch));
  return (row.intended ?? []).map(({ reason, covers }) => ({
    reason: `${name}: ${reason}`,
    covers: (difference: Difference) => torches.has(difference.torch) && covers(difference),
  }));
});

export const intended: readonly Intended[] = [
  ...ofRows,
  {
    reason:
      'the product of all others as it is, in which an infinity may meet a zero; PyTorch divides by the value, or leaves zeros out',
    covers: ({ torch, at, name }) =>
      torch === 'a.prod(1)' && at.some((v) => !(Math.abs(v) < (name === 'y' ? 1e308 : 1e30))),
  },
  {
    reason: 'sums of large numbers that cancel, in another order',
    covers: ({ torch, name, at, actual, expected }) =>
      /\.var\(/.test(torch) && isSecond(name) && Math.abs(actual - expected) <= 4e-8 * Math.max(...at.map(Math.abs)),
  },
  {
    reason: 'of equal values the first ones; PyTorch says of topk that it takes any',
    covers: ({ torch, at }) => torch.startsWith('a.topk') && new Set(at.map((v) => v + 0)).size < 4,
  },
  {
    reason: 'a variance beyond the largest number is infinite, where PyTorch multiplies its infinity by 0',
    covers: ({ torch, name, at, actual, expected }) =>
      torch.includes('.var(') &&
      name === 'y' &&
      at.every(Number.isFinite) &&
      actual === Infinity &&
      Number.isNaN(expected),
  },
  {
    reason: 'the square of a difference has overflowed, its derivative has not; PyTorch multiplies the two by 2 first',
    covers: ({ torch, name, expected }) => torch.startsWith('F.mse_loss') && name === 'dg' && Number.isNaN(expected),
  },
];
