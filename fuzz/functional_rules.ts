// The functional normalizations: which elements of an input are normalized together and by what, what is refused and
// with which words, and in which order; and how running statistics move. Not here: when a layer calls them with what
// (reference.ts), the arithmetic (formulas.ts).
import { movedBars, plainErrors, precisionOf } from './bars.ts';
import { constant, type Expectation, isFloating, list, product, refuse, torchSize, Unknown } from './expectation.ts';
import type { LocalResponse, Normalized, RowNorm } from './formulas.ts';
import type { Values } from './program.ts';

/** Rows of equal keys among the elements of `shape`, seen as (n, c, s) with channels on axis 1. */
function rowsBy(count: number, size: number, rowOf: (place: number) => number): Int32Array[] {
  const lengths = new Int32Array(count);
  for (let p = 0; p < size; p++) lengths[rowOf(p)]++;
  const rows = Array.from(lengths, (length) => new Int32Array(length));
  const next = new Int32Array(count);
  for (let p = 0; p < size; p++) rows[rowOf(p)][next[rowOf(p)]++] = p;
  return rows;
}
/** What a forward does, when nothing refuses it. */
export type Plan =
  | {
      kind: 'rows';
      norm: Omit<RowNorm, 'x' | 'weight' | 'bias'>;
      moves?: (result: Normalized) => Expectation['state'];
    }
  | { kind: 'response'; options: Omit<LocalResponse, 'x' | 'shape'> }
  | { kind: 'empty' };
export type Held = Record<'weight' | 'bias' | 'running_mean' | 'running_var', Values | null>;

function checkVector(name: keyof Held, value: Values | null, c: number): void {
  if (value && product(value.shape) !== c)
    refuse('RuntimeError', `${name} should contain ${c} elements not ${product(value.shape)}`);
}

function checkDtypes(x: Values, held: (Values | null)[], name: string): void {
  if (!isFloating(x.dtype))
    refuse(name ? 'NotImplementedError' : null, name ? `"${name}" not implemented for '${torchNames[x.dtype]}'` : null);
  if (held.some((value) => value && value.dtype !== x.dtype)) refuse('RuntimeError');
}
const torchNames: Record<string, string> = { int32: 'Int', int64: 'Long', uint8: 'Byte', bool: 'Bool' };

/** F.batch_norm over (N, C, …); `held` are the tensors it is given. */
export function batchNorm(
  x: Values,
  held: Held,
  training: boolean,
  momentum: number,
  eps: number,
  canMove: boolean,
): Plan {
  const { shape } = x;
  if (training && eps <= 0) refuse('ValueError', `batch_norm eps must be positive during training, but got ${eps}`);
  if (eps < 0) refuse('ValueError');
  if (shape.length === 0 || (shape.length === 1 && shape[0] > 0)) refuse(shape[0] === 1 ? null : 'IndexError');
  if (training && shape[0] * product(shape.slice(2)) === 1)
    refuse('ValueError', `Expected more than 1 value per channel when training, got input size ${torchSize(shape)}`);
  if (product(shape) === 0) return { kind: 'empty' };
  const c = shape[1];
  const { running_mean: mean, running_var: variance, weight, bias } = held;
  checkVector('running_mean', mean, c);
  if (!mean && !training) refuse('RuntimeError', 'running_mean must be defined in evaluation mode');
  checkVector('running_var', variance, c);
  if (!variance && !training) refuse('RuntimeError', 'running_var must be defined in evaluation mode');
  checkVector('weight', weight, c);
  checkVector('bias', bias, c);
  checkDtypes(x, [weight, bias, mean, variance], 'batch_norm');
  if (!canMove) refuse('RuntimeError');
  const s = product(shape.slice(2));
  const channel = (p: number) => Math.floor(p / s) % c;
  return {
    kind: 'rows',
    norm: {
      rows: rowsBy(c, x.data.length, channel),
      parameterAt: channel,
      parameters: c,
      eps,
      isCentred: true,
      hasZeroGuard: training,
      fixed: training
        ? undefined
        : Array.from({ length: c }, (_, i) => ({ mean: mean!.data[i], variance: variance!.data[i] })),
    },
    moves: ({ rows }) =>
      training
        ? movedStatistics(held, momentum, (i) => {
            const { count, mean: m, variance: v } = rows[i];
            const { ofMean, ofVariance } = plainErrors(rows[i], false, precisionOf(x.dtype));
            return [m, (v * count) / (count - 1), ofMean, ofVariance * 2];
          })
        : {},
  };
}

type ChannelStatistics = [mean: number, variance: number, meanError: number, varianceError: number];

function movedStatistics(
  held: Held,
  momentum: number,
  of: (channel: number) => ChannelStatistics,
): Expectation['state'] {
  const result: Expectation['state'] = {};
  (['running_mean', 'running_var'] as const).forEach((name, which) => {
    const old = held[name];
    if (!old) return;
    const after = constant(old.shape, old.dtype, 0);
    for (let i = 0; i < old.data.length; i++) {
      const channel = of(i);
      const bars = movedBars(old.data[i], momentum, channel[which], channel[which + 2], precisionOf(old.dtype));
      for (const each of ['data', 'ours', 'torch'] as const) after.estimate[each][i] = bars[each];
    }
    result[name] = after;
  });
  return result;
}

/** F.instance_norm over (N, C, …): rows of one sample's channel. */
export function instanceNorm(
  x: Values,
  held: Held,
  usesInput: boolean,
  momentum: number,
  eps: number,
  canMove: boolean,
): Plan {
  const { shape } = x;
  if (shape.length < 2) refuse(null);
  if (usesInput && product(shape.slice(2)) === 1)
    refuse('ValueError', `Expected more than 1 spatial element when training, got input size ${torchSize(shape)}`);
  if (eps < 0) refuse('ValueError');
  const { running_mean: mean, running_var: variance, weight, bias } = held;
  if (!usesInput && !(mean && variance))
    refuse('RuntimeError', 'Expected running_mean and running_var to be defined when use_input_stats is false');
  if (!mean !== !variance)
    refuse('ValueError', 'running_mean and running_var must either both be None or neither be None');
  const [n, c] = shape;
  const s = product(shape.slice(2));
  if (x.data.length === 0) return { kind: 'empty' };
  for (const value of [mean, variance, weight, bias]) if (value && product(value.shape) !== c) refuse('RuntimeError');
  checkDtypes(x, [weight, bias, mean, variance], '');
  if (!canMove) refuse('RuntimeError');
  const channel = (p: number) => Math.floor(p / s) % c;
  return {
    kind: 'rows',
    norm: {
      rows: rowsBy(n * c, x.data.length, (p) => Math.floor(p / s)),
      parameterAt: channel,
      parameters: c,
      eps,
      isCentred: true,
      hasZeroGuard: usesInput,
      fixed: usesInput
        ? undefined
        : Array.from({ length: n * c }, (_, i) => ({ mean: mean!.data[i % c], variance: variance!.data[i % c] })),
    },
    moves: ({ rows }) =>
      usesInput
        ? movedStatistics(held, momentum, (i) => {
            const samples = Array.from({ length: n }, (_, b) => rows[b * c + i]);
            const average = (value: (row: (typeof rows)[number]) => number) =>
              samples.reduce((total, row) => total + value(row), 0) / n;
            const precision = precisionOf(x.dtype);
            // The averages are sums themselves.
            const ofAverage = n * precision.u;
            return [
              average((row) => row.mean),
              average(({ variance: v, count }) => (v * count) / (count - 1)),
              average((row) => plainErrors(row, false, precision).ofMean + ofAverage * Math.abs(row.mean)),
              average((row) => plainErrors(row, false, precision).ofVariance * 2 + ofAverage * row.variance),
            ];
          })
        : {},
  };
}

export function groupNorm(x: Values, groups: number, { weight, bias }: Held, eps: number): Plan {
  const { shape } = x;
  if (shape.length < 2)
    refuse('RuntimeError', `Expected at least 2 dimensions for input tensor but received ${shape.length}`);
  if (groups === 0) refuse(null);
  const [n, c] = shape;
  const sizes = [Math.floor((n * c) / groups), groups, ...shape.slice(2)];
  if (sizes[0] * product(shape.slice(2)) === 1)
    refuse('ValueError', `Expected more than 1 value per channel when training, got input size ${list(sizes)}`);
  if (groups < 0) refuse('RuntimeError', `Expected num groups to be greater than 0, got ${groups}`);
  if (c % groups !== 0)
    refuse(
      'RuntimeError',
      `Expected number of channels in input to be divisible by num_groups, but got input of shape ${list(shape)} and num_groups=${groups}`,
    );
  for (const [name, value] of [
    ['weight', weight],
    ['bias', bias],
  ] as const)
    if (value && (value.shape.length !== 1 || value.shape[0] !== c))
      refuse(
        'RuntimeError',
        name === 'weight'
          ? `Expected weight to be a vector of size equal to the number of channels in input, but got weight of shape ${list(value.shape)} and input of shape ${list(shape)}`
          : null,
      );
  if (x.data.length === 0) return { kind: 'empty' };
  checkDtypes(x, [weight, bias], '');
  const s = product(shape.slice(2));
  const row = (c / groups) * s;
  return {
    kind: 'rows',
    norm: {
      rows: rowsBy(n * groups, x.data.length, (p) => Math.floor(p / row)),
      parameterAt: (p) => Math.floor(p / s) % c,
      parameters: c,
      eps,
      isCentred: true,
      hasZeroGuard: false,
    },
  };
}

/** Layer norm, and RMS norm where `isCentred` is false. */
export function layerNorm(
  x: Values,
  normalized: readonly number[],
  { weight, bias }: Held,
  eps: number,
  isCentred: boolean,
): Plan {
  const { shape } = x;
  if (normalized.length === 0)
    refuse(
      'RuntimeError',
      'Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = []',
    );
  const isSame = (a: readonly number[], b: readonly number[]) => a.length === b.length && a.every((d, i) => d === b[i]);
  for (const [name, value] of [
    ['weight', weight],
    ['bias', bias],
  ] as const)
    if (value && !isSame(value.shape, normalized))
      refuse(
        'RuntimeError',
        `Expected ${name} to be of same shape as normalized_shape, but got ${name} of shape ${list(value.shape)} and normalized_shape = ${list(normalized)}`,
      );
  const leading = shape.length - normalized.length;
  if (leading < 0 || !isSame(shape.slice(leading), normalized))
    refuse(
      'RuntimeError',
      `Given normalized_shape=${list(normalized)}, expected input with shape [${['*', ...normalized].join(', ')}], but got input of size${list(shape)}`,
    );
  if (x.data.length === 0) return { kind: 'empty' };
  // RMS norm takes a weight of another dtype.
  checkDtypes(x, isCentred ? [weight, bias] : [], '');
  const row = product(normalized);
  return {
    kind: 'rows',
    norm: {
      rows: rowsBy(x.data.length / row, x.data.length, (p) => Math.floor(p / row)),
      parameterAt: (p) => p % row,
      parameters: row,
      eps,
      isCentred,
      hasZeroGuard: false,
    },
  };
}

export function localResponseNorm(
  x: Values,
  size: number,
  { alpha = 1e-4, beta = 0.75, k = 1 }: Record<string, number | undefined>,
): Plan {
  if (x.shape.length < 3)
    refuse(
      'ValueError',
      `Expected 3D or higher dimensionality                          input (got ${x.shape.length} dimensions)`,
    );
  if (x.data.length === 0) return { kind: 'empty' };
  if (size <= 0)
    refuse(
      'RuntimeError',
      `kernel size should be greater than zero, but got ${x.shape.length === 3 ? `kH: ${size} kW: 1` : `kT: ${size} kH: 1 kW: 1`}`,
    );
  if (!isFloating(x.dtype)) throw new Unknown();
  return { kind: 'response', options: { size, alpha, beta, k } };
}
