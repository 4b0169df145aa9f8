// Drawing programs: fast-check draws plain records of independent choices, which shrink well, and `programOf` turns
// each into a program whose shapes fit together except where a choice says they shall not. The first of a list is what
// a choice shrinks to.
import fc, { type Arbitrary } from 'fast-check';
import type { DType } from '../src/tensor/dtype.ts';
import {
  type Call,
  type Distribution,
  isForward,
  isFunctional,
  type Kind,
  type Program,
  type StateName,
  type Subject,
  type TensorSpec,
} from './program.ts';

/** One of the values, as often as its weight says. */
function pick<T>(...weighted: [value: T, weight: number][]): Arbitrary<T> {
  const lots = weighted.flatMap(([value, weight]) => Array<T>(weight).fill(value));
  return fc.integer({ min: 0, max: lots.length - 1 }).map((i) => lots[i]);
}
const evenly = <T>(...values: T[]): Arbitrary<T> => pick(...values.map((value): [T, number] => [value, 1]));
const chance = (percent: number): Arbitrary<boolean> => pick([false, 100 - percent], [true, percent]);
const seed = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const size = pick([2, 6], [1, 4], [3, 6], [5, 3], [7, 2], [0, 1], [17, 1]);
const float = pick<DType>(['float32', 6], ['float64', 4]);

const distribution = pick<Distribution>(
  ['normal', 16],
  ['offset', 5],
  ['integers', 3],
  ['constant', 3],
  ['outlier', 1],
  ['tiny', 2],
  ['huge', 2],
  ['nan', 1],
  ['inf', 1],
);

/** Whether second derivatives have about as many digits as the numbers themselves. */
const isMild = (distribution: Distribution): boolean => distribution === 'normal' || distribution === 'integers';

/** How the input of one call differs from the program's usual one. */
type Shape = 'usual' | 'other' | 'large' | 'channels' | 'fewer' | 'more' | 'empty' | 'noSpace' | 'single' | 'anything';

const call = fc.record({
  op: pick(
    ['forward', 5],
    ['backward', 9],
    ['double', 3],
    ['noGrad', 1],
    ['train', 3],
    ['eval', 4],
    ['set', 4],
    ['save', 1],
    ['load', 2],
    ['requiresGrad', 2],
    ['track', 1],
    ['drop', 1],
    ['reset', 1],
    ['resetParameters', 1],
    ['print', 1],
  ),
  shape: pick<Shape>(
    ['usual', 30],
    ['other', 10],
    ['large', 1],
    ['channels', 2],
    ['fewer', 1],
    ['more', 1],
    ['empty', 2],
    ['noSpace', 1],
    ['single', 2],
    ['anything', 1],
  ),
  n: size,
  sizes: fc.tuple(size, size, size),
  anything: fc.array(size, { maxLength: 5, size: 'max' }),
  dtype: pick<DType | 'usual'>(
    ['usual', 60],
    ['float64', 1],
    ['float32', 1],
    ['int32', 1],
    ['int64', 1],
    ['uint8', 1],
    ['bool', 1],
  ),
  channelsLast: chance(35),
  distribution,
  seed,
  needsInput: pick([true, 8], [false, 2]),
  cotangentDistribution: pick<Distribution>(['normal', 12], ['constant', 1], ['huge', 1], ['nan', 1]),
  cotangentChannelsLast: chance(30),
  name: evenly<StateName>('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'),
  value: chance(50),
  wrongSize: chance(6),
  rare: chance(12),
});
type DrawnCall = typeof call extends Arbitrary<infer T> ? T : never;

const subject = (kinds: readonly Kind[]) =>
  fc.record({
    kind: evenly(...kinds),
    dtype: float,
    n: size,
    c: size,
    sizes: fc.tuple(size, size, size),
    rank: evenly(3, 2, 4, 5, 1),
    groups: pick([1, 3], [2, 4], [3, 2], [4, 1]),
    wrongChannels: pick([0, 30], [1, 1], [-1, 1]),
    negativeChannels: chance(1),
    /** Of `F.batch_norm`: the ReLU behind it, in one pass. */
    relu: chance(30),
    badArgument: chance(3),
    trailing: pick([1, 4], [2, 3], [3, 1], [0, 1]),
    eps: pick<number | undefined>([undefined, 20], [1e-3, 3], [0, 3], [1, 1], [-1e-3, 1]),
    momentum: pick<number | null | undefined>([undefined, 10], [null, 4], [0, 1], [1, 1], [0.37, 3], [-1, 1], [2, 1]),
    affine: pick<boolean | undefined>([undefined, 8], [true, 4], [false, 3]),
    bias: pick<boolean | undefined>([undefined, 12], [false, 2], [true, 1]),
    tracking: pick<boolean | undefined>([undefined, 6], [true, 4], [false, 3]),
    lrn: fc.record({
      size: pick([2, 2], [1, 1], [3, 2], [5, 2], [4, 1], [0, 1]),
      alpha: pick<number | undefined>([undefined, 2], [0.5, 2], [0, 1]),
      beta: pick<number | undefined>([undefined, 2], [0.5, 1], [1, 1], [0, 1]),
      k: pick<number | undefined>([undefined, 2], [2, 1], [0, 1]),
    }),
    given: fc.tuple(chance(30), chance(30), chance(25), chance(25)),
    seed,
  });
type DrawnSubject = ReturnType<typeof subject> extends Arbitrary<infer T> ? T : never;

export const programs = (kinds: readonly Kind[]): Arbitrary<Program> =>
  fc
    .record({ subject: subject(kinds), calls: fc.array(call, { minLength: 1, maxLength: 9, size: 'max' }) })
    .map(({ subject: drawn, calls }) => programOf(drawn, calls));

/** Rank of a kind's batched input; null where any will do. */
function rankOf(kind: Kind): number | null {
  const dimensions = /([123])d$/.exec(kind);
  return dimensions ? Number(dimensions[1]) + 2 : null;
}
const bare = (kind: Kind): string => kind.replace(/^Lazy|[123]d$/g, '').replace(/^Sync/, '');
const takesRows = (kind: Kind): boolean => /LayerNorm|RMSNorm|layer_norm|rms_norm/.test(kind);

/** Options that were drawn, without those left at their defaults. */
const given = (options: Record<string, number | boolean | string | null | undefined>): Subject['options'] =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Subject['options'];

function programOf(drawn: DrawnSubject, calls: readonly DrawnCall[]): Program {
  const { kind } = drawn;
  // GroupNorm's channels are a multiple of its groups, mostly.
  const isGrouped = kind === 'GroupNorm' || kind === 'F.group_norm';
  const c = isGrouped ? drawn.c * drawn.groups : drawn.c;
  const fixedRank = rankOf(kind);
  const rank = fixedRank ?? (takesRows(kind) ? drawn.rank : Math.max(drawn.rank, 2));
  const usual = [drawn.n, c, ...drawn.sizes].slice(0, rank);
  const normalized = usual.slice(Math.max(0, rank - drawn.trailing));
  if (drawn.wrongChannels !== 0 && normalized.length > 0) normalized[normalized.length - 1] += drawn.wrongChannels;
  const channels = drawn.negativeChannels ? -1 : c + drawn.wrongChannels;
  const parameterShape = takesRows(kind) ? normalized : [channels];

  const spec = (shape: number[], dtype: DType, distribution: Distribution, seed: number, last = false): TensorSpec => ({
    shape: shape.map((d) => Math.max(d, 0)),
    dtype,
    format: last && shape.length >= 3 ? 'channelsLast' : 'contiguous',
    distribution,
    seed,
  });
  const stateSpec = (name: StateName, seed: number, wrongSize: boolean): TensorSpec =>
    name === 'num_batches_tracked'
      ? spec([], 'int64', 'normal', seed)
      : spec(
          parameterShape.map((d, i) => (wrongSize && i === 0 ? d + 1 : d)),
          drawn.dtype,
          name === 'running_var' ? 'positive' : 'normal',
          seed,
        );

  const shapeOf = ({ shape, n, sizes, anything }: DrawnCall): number[] => {
    const spatial = takesRows(kind) ? [] : sizes.slice(0, Math.max(0, rank - 2));
    switch (shape) {
      case 'usual':
        return usual;
      case 'other':
        return takesRows(kind) ? [n, ...normalized] : [n, c, ...spatial];
      case 'large':
        return takesRows(kind) ? [n + 40, ...normalized] : [n * 31 + 40, c, ...spatial];
      case 'channels':
        return usual.map((d, i) => (i === Math.min(1, rank - 1) ? d + 1 : d));
      case 'fewer':
        // Without the batch: a form that instance norm takes.
        return usual.slice(1);
      case 'more':
        return [...usual, 2];
      case 'empty':
        return usual.map((d, i) => (i === 0 ? 0 : d));
      case 'noSpace':
        return usual.map((d, i) => (i === rank - 1 ? 0 : d));
      case 'single':
        return usual.map((d, i) => (i === 1 ? d : 1));
      case 'anything':
        return anything;
    }
  };

  const toCall = (one: DrawnCall): Call => {
    const input = spec(
      shapeOf(one),
      // PyTorch's own ReLU refuses booleans, even none.
      one.dtype === 'usual' || (one.dtype === 'bool' && drawn.relu) ? drawn.dtype : one.dtype,
      one.distribution,
      one.seed,
      one.channelsLast,
    );
    const needsInput = one.needsInput && (input.dtype === 'float32' || input.dtype === 'float64');
    const cotangent = spec(
      input.shape,
      one.dtype === 'float32' || one.dtype === 'float64' ? one.dtype : drawn.dtype,
      one.cotangentDistribution,
      one.seed + 1,
      one.cotangentChannelsLast,
    );
    switch (one.op) {
      case 'forward':
      case 'noGrad':
        return { op: one.op, input, needsInput };
      case 'backward':
        return { op: 'backward', input, needsInput, cotangent };
      case 'double': {
        // Of second order only what is exact enough to compare directly.
        if (drawn.dtype === 'float32' || input.dtype !== 'float64')
          return { op: 'backward', input, needsInput, cotangent };
        const plain = (shape: number[], offset: number) => spec(shape, 'float64', 'normal', one.seed + offset);
        const parameter = kind.startsWith('Lazy') ? [input.shape[1] ?? 0] : parameterShape;
        return {
          op: 'double',
          input: { ...input, distribution: isMild(one.distribution) ? one.distribution : 'normal' },
          needsInput,
          cotangent: plain(input.shape, 1),
          second: { x: plain(input.shape, 2), weight: plain(parameter, 3), bias: plain(parameter, 4) },
        };
      }
      case 'set':
        return { op: 'set', name: one.name, value: stateSpec(one.name, one.seed, one.wrongSize) };
      case 'load':
        return {
          op: 'load',
          strict: one.value,
          without: one.rare ? one.name : null,
          metadata: !one.wrongSize,
        };
      case 'requiresGrad': {
        const name = one.name === 'bias' ? 'bias' : one.rare && one.name === 'running_mean' ? 'running_mean' : 'weight';
        return { op: 'requiresGrad', name, value: one.value };
      }
      case 'track':
        return { op: 'track', value: one.value };
      case 'drop':
        return { op: 'drop', name: one.name };
      default:
        return { op: one.op } as Call;
    }
  };

  return possible({ subject: subjectOf(drawn, channels, normalized, stateSpec), calls: calls.map(toCall) });
}

/**
 * The program without calls that make no sense: methods that a layer has not, and of a lazy one all before its first
 * input.
 */
export function possible({ subject, calls }: Program): Program {
  const isFrozen = subject.kind.startsWith('Frozen');
  const hasStatistics = !isFrozen && /atch_?norm|instance_?norm/i.test(subject.kind);
  const hasParameters = !/response/i.test(subject.kind);
  let isReady = !subject.kind.startsWith('Lazy');
  return {
    subject,
    calls: calls.map((call): Call => {
      // An input of one dimension leaves it as it is.
      if (isForward(call)) isReady ||= call.input.shape.length > 1;
      const needsStatistics = call.op === 'reset' || call.op === 'track';
      const needsValues =
        ['set', 'load', 'save', 'drop', 'resetParameters'].includes(call.op) ||
        (call.op === 'requiresGrad' && call.name === 'running_mean');
      // All of a frozen layer is buffers, without which there is nothing to call.
      if (isFrozen && (call.op === 'drop' || call.op === 'resetParameters')) return { op: 'print' };
      const isPossible =
        (!needsStatistics || hasStatistics) && (!(needsStatistics || needsValues) || (isReady && hasParameters));
      return isPossible ? call : { op: 'print' };
    }),
  };
}

function subjectOf(
  drawn: DrawnSubject,
  channels: number,
  normalized: number[],
  stateSpec: (name: StateName, seed: number, wrongSize: boolean) => TensorSpec,
): Subject {
  const { kind, eps, momentum, affine, bias, tracking, lrn, groups, badArgument } = drawn;
  const dtype = drawn.dtype === 'float32' ? undefined : drawn.dtype;
  const epsOrNull = eps === -1e-3 ? null : eps;
  const lrnSize = lrn.size;
  const lrnOptions = given({ alpha: lrn.alpha, beta: lrn.beta, k: lrn.k });
  const wrongGroups = badArgument ? [0, -2, groups + 1][drawn.seed % 3] : groups;
  if (isFunctional(kind)) {
    const names = ['weight', 'bias', 'running_mean', 'running_var'] as const;
    const takes = kind === 'F.batch_norm' || kind === 'F.instance_norm' ? 4 : kind === 'F.local_response_norm' ? 0 : 2;
    const tensors: Subject['tensors'] = {};
    names.forEach((name, i) => {
      if (i < takes && !drawn.given[i] && !(kind === 'F.rms_norm' && name === 'bias'))
        tensors[name] = stateSpec(name, drawn.seed + i, false);
    });
    switch (kind) {
      case 'F.batch_norm':
        return {
          kind,
          positional: [],
          options: given({ momentum: momentum ?? undefined, eps, relu: drawn.relu || undefined }),
          tensors,
        };
      case 'F.instance_norm':
        return { kind, positional: [], options: given({ momentum: momentum ?? undefined, eps }), tensors };
      case 'F.group_norm':
        return { kind, positional: [wrongGroups], options: given({ eps }), tensors };
      case 'F.layer_norm':
        return { kind, positional: [normalized], options: given({ eps }), tensors };
      case 'F.rms_norm':
        return { kind, positional: [normalized], options: given({ eps: epsOrNull }), tensors };
      case 'F.local_response_norm':
        return { kind, positional: [lrnSize], options: lrnOptions, tensors };
    }
  }
  switch (bare(kind)) {
    case 'LocalResponseNorm':
      return { kind, positional: [lrnSize], options: lrnOptions, tensors: {} };
    case 'LayerNorm':
      return {
        kind,
        positional: [normalized],
        options: given({ eps, elementwiseAffine: affine, bias, dtype }),
        tensors: {},
      };
    case 'RMSNorm':
      return {
        kind,
        positional: [normalized],
        options: given({ eps: epsOrNull, elementwiseAffine: affine, dtype }),
        tensors: {},
      };
    case 'GroupNorm':
      return { kind, positional: [wrongGroups, channels], options: given({ eps, affine, bias, dtype }), tensors: {} };
    case 'FrozenBatchNorm':
      return { kind, positional: [channels], options: given({ eps, dtype }), tensors: {} };
    default:
      return {
        kind,
        positional: kind.startsWith('Lazy') ? [] : [channels],
        options: given({ eps, momentum, affine, bias, trackRunningStats: tracking, dtype }),
        tensors: {},
      };
  }
}
