// A million random numbers, and dropout of as many, with one thread and two, against PyTorch, which draws the same
// ones.
import { dropout } from '../../src/ops/dropout.ts';
import { bernoulli, normal_, randint, randLike, randnLike, randperm, uniform_ } from '../../src/tensor/random.ts';
import type { TimedCase } from './index.ts';
import { timed, type Work } from './spatial.ts';

const n = 1_000_000;
const works: readonly Omit<Work, 'shape'>[] = [
  { name: 'rand', run: (x) => randLike(x), torch: 't.rand_like(x)' },
  { name: 'uniform_', run: (x) => uniform_(x, -1, 2), torch: 'x.uniform_(-1, 2)' },
  { name: 'randn', run: (x) => randnLike(x), torch: 't.randn_like(x)' },
  { name: 'normal_', run: (x) => normal_(x, 1, 2), torch: 'x.normal_(1, 2)' },
  { name: 'bernoulli', run: (x) => bernoulli(uniform_(x)), torch: 't.bernoulli(x.uniform_())' },
  { name: 'randint', run: (x) => randint(0, 10, x.shape), torch: 't.randint(0, 10, x.shape)' },
  { name: 'randperm', run: () => randperm(n), torch: `t.randperm(${n})` },
];
const ofDropout = { name: 'dropout', shape: [n], run: dropout, torch: 'F.dropout(x)' };

/** The suite. */
export const random = (): TimedCase[] =>
  [1, 2].flatMap((threads) => [
    ...works.map((work) => timed({ ...work, shape: [n] }, 'contiguous', false, threads)),
    ...[false, true].map((backward) => timed(ofDropout, 'contiguous', backward, threads)),
  ]);
