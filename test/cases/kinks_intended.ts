// Where functions differ from PyTorch at kinks and extreme numbers on purpose, each with its reason. kinks.test.ts fails where an entry is of no use.

export interface Difference {
  /** The case, in Python, with its dtype; d0: the gradient of the first input, dd0: that of second order, dg: that by the cotangent. */
  readonly torch: string;
  readonly dtype: 'float32' | 'float64';
  readonly name: string;
  /** The inputs' values at that place; for rows, the row. */
  readonly at: readonly number[];
  readonly actual: number;
  readonly expected: number;
}
interface Intended {
  readonly reason: string;
  covers(difference: Difference): boolean;
}

const isSecond = (name: string) => name.startsWith('dd') || name === 'dg';

export const intended: readonly Intended[] = [
  {
    reason: 'relu(−0) is +0: max(−0, 0) may be either, and PyTorch has −0 because of the order of its operands',
    covers: ({ torch, name, at }) => torch === 'F.relu(a)' && name === 'y' && at[0] === 0,
  },
  {
    reason: 'exact in the lower tail, where PyTorch adds 1 and −1, or has 0 because of an exponential that overflows',
    covers: ({ torch, name, at, actual, expected }) =>
      /gelu|silu|sigmoid/.test(torch) && name === 'y' && at[0] < -2 && Math.abs(actual - expected) < 2e-16,
  },
  {
    reason: 'the limit, where PyTorch multiplies 0 by infinity',
    covers: ({ torch, name, at, actual, expected }) =>
      /gelu|mish|erf/.test(torch) &&
      name !== 'y' &&
      Math.abs(at[0]) > 700 &&
      Number.isNaN(expected) &&
      (isSecond(name) ? actual === 0 : Math.abs(actual - 1.5) < 2e-15),
  },
  {
    reason: 'on the threshold the second order is that of the branch which value and gradient are of',
    covers: ({ torch, name, at }) =>
      torch.startsWith('F.softplus') && name === 'dd0' && (at[0] === 1.5 || at[0] === 20),
  },
  {
    reason:
      'one rule for a negative base and −0, that of C and of PyTorch with the exponent in a tensor; PyTorch takes a root of ½ and −½',
    covers: ({ torch, at }) => /pow\((-?0|2)\.5\)/.test(torch) && (at[0] === -Infinity || Object.is(at[0], -0)),
  },
  {
    reason: 'the power is a number of the smallest ones; PyTorch takes 1 by a square that overflows',
    covers: ({ torch, at, actual, expected }) =>
      /pow\(-2\)/.test(torch) && Math.abs(at[0]) === 1e160 && expected === 0 && Math.abs(actual) < 1e-319,
  },
  {
    reason: 'the exact remainder, where the quotient overflows in PyTorch; and no gradient but NaN of what is NaN',
    covers: ({ torch, actual, expected }) =>
      torch.includes('remainder') &&
      (Number.isNaN(expected) || (Number.isNaN(actual) && Math.abs(expected) === Infinity)),
  },
  {
    reason:
      'the product of all others as it is, in which an infinity may meet a zero; PyTorch divides by the value, or leaves zeros out',
    covers: ({ torch, at, name }) =>
      torch === 'a.prod(1)' && at.some((v) => !(Math.abs(v) < (name === 'y' ? 1e308 : 1e30))),
  },
  {
    reason: 'sums of large numbers that cancel, in another order',
    covers: ({ torch, name, at, actual, expected }) =>
      (/\.var\(/.test(torch) &&
        isSecond(name) &&
        Math.abs(actual - expected) <= 4e-8 * Math.max(...at.map(Math.abs))) ||
      (torch === 'a / b' && name === 'dg' && Math.abs(actual - expected) <= 4e-16 / Math.abs(at[1])),
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
  {
    reason: 'a sixth, where PyTorch has that of float32 in float64',
    covers: ({ torch, actual, expected }) => torch === 'F.hardsigmoid(a)' && Math.abs(actual - expected) < 1e-8,
  },
  {
    reason: 'the second order at NaN, which no rule says anything about',
    covers: ({ torch, name, at }) => torch === 'F.hardswish(a)' && name === 'dd0' && Number.isNaN(at[0]),
  },
];
