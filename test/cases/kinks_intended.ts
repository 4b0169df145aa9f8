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
    reason: 'a root of a variance beyond the largest number is infinite, where PyTorch multiplies its infinity by 0',
    covers: ({ torch, at, expected }) =>
      torch.includes('.std(') &&
      at.some((v) => Math.abs(v) > 1e38) &&
      (Number.isNaN(expected) || !Number.isFinite(expected)),
  },
  {
    reason: 'a product that overflows before the sum; PyTorch adds it in one rounding',
    covers: ({ torch, at }) => torch.startsWith('t.addcmul') && at.some((v) => Math.abs(v) >= 1e38),
  },
  {
    reason: 'the slope of a quotient, where PyTorch squares a divisor that is too small or too large for that',
    covers: ({ torch, name, expected }) => torch.startsWith('t.addcdiv') && name !== 'y' && Number.isNaN(expected),
  },
  {
    reason: 'the second order of a logarithm of a sum beside an infinity, where PyTorch multiplies 0 by infinity',
    covers: ({ torch, name, expected }) =>
      torch.startsWith('t.logaddexp') && name.startsWith('dd') && Number.isNaN(expected),
  },
  {
    reason: 'exact, where PyTorch is off by a rounding of 1',
    covers: ({ torch, name, actual, expected }) =>
      torch.startsWith('t.logaddexp2') && name === 'y' && actual === 0 && Math.abs(expected) < 5e-17,
  },
  {
    reason: 'a slope of the second order beside the smallest numbers, which PyTorch squares',
    covers: ({ torch, name, at, actual }) =>
      /xlogy|logit/.test(torch) && name.startsWith('dd') && actual === 0 && at.some((v) => Math.abs(v) <= 1e-200),
  },
  {
    reason: 'the second order of sinc next to 0, where all formulas cancel',
    covers: ({ torch, name, at }) => torch === 'a.sinc()' && name === 'dd0' && Math.abs(at[0]) < 1e-9,
  },
  {
    reason: 'the square of a difference has overflowed, its derivative has not; PyTorch multiplies the two by 2 first',
    covers: ({ torch, name, expected }) =>
      /^F\.(mse|gaussian_nll)_loss/.test(torch) && name === 'dg' && Number.isNaN(expected),
  },
  {
    reason: 'e^(−t·x) has overflowed, its logarithm has not; PyTorch gives infinity, and divides it by itself',
    covers: ({ torch, expected }) => torch.startsWith('F.soft_margin_loss') && !Number.isFinite(expected),
  },
  {
    reason: 'the derivative of t·log t at 0 is not computed where only the gradient of the input is used',
    covers: ({ torch, name, at, expected }) =>
      torch === "F.kl_div(a, b, reduction='none')" && name === 'dg' && at[1] === 0 && Number.isNaN(expected),
  },
  {
    reason: 'derivatives by both operands that cancel, near 1, where PyTorch adds 1e-12 to their divisors',
    covers: ({ torch, name, at }) =>
      torch.startsWith('F.binary_cross_entropy(') && name === 'dd0' && at[0] > 0.999 && at[0] < 1,
  },
  {
    reason: 'a NaN among the classes, or the difference of two infinities, makes the loss NaN; PyTorch passes over it',
    covers: ({ torch, at }) =>
      /^F\.multi(label)?_margin_loss/.test(torch) &&
      (at.some(Number.isNaN) || at.filter((v) => Math.abs(v) === Infinity).length > 1),
  },
];
