// What a call must give, by the rules of the normalization layers: which elements are normalized together and by what, what is
// refused and with which words, when running statistics and counters move. A pure function of the state before the call, so each
// side of a comparison is judged from its own state. The formulas are in formulas.ts; this file is written for reading, not for speed.
import type { MemoryFormat } from '../src/tensor/shape.ts';
import {
  type Estimate,
  exactly,
  gradientBars,
  movedBars,
  outputBars,
  plainErrors,
  precisionOf,
  responseBars,
  responseGradientBars,
} from './bars.ts';
import {
  gradients,
  type LocalResponse,
  localResponse,
  localResponseGradient,
  type Normalized,
  normalize,
  type RowNorm,
} from './formulas.ts';
import {
  type Call,
  isForward,
  isFunctional,
  type Kind,
  type Program,
  type Slot,
  type State,
  type StateName,
  stateNames,
  type Values,
} from './program.ts';
import { valuesOf } from './values.ts';

export interface Expected {
  shape: readonly number[];
  dtype: string;
  /** null: whichever. */
  format: MemoryFormat | null;
  estimate: Estimate;
}

export interface Expectation {
  /** `text` null: of these words nothing is said. */
  error: { type: string | null; text: string | null } | null;
  /** Results; a name that is absent is not judged, null means that there is none. */
  tensors: Record<string, Expected | null>;
  requiresGrad: boolean | null;
  /** What the subject holds afterwards, where it is not what it held before. */
  state: Partial<Record<StateName, Expected | 'uninitialized' | null>>;
}

class Refusal extends Error {
  readonly type: string | null;
  readonly text: string | null;
  constructor(type: string | null, text: string | null) {
    super(text ?? 'refused');
    this.type = type;
    this.text = text;
  }
}
const refuse = (type: string | null, text: string | null = null): never => {
  throw new Refusal(type, text);
};
/** The reference says nothing about this call. */
class Unknown extends Error {}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
const list = (sizes: readonly number[]): string => `[${sizes.join(', ')}]`;
const torchSize = (sizes: readonly number[]): string => `torch.Size(${list(sizes)})`;
const isFloating = (dtype: string): boolean => dtype === 'float32' || dtype === 'float64';

/** Rows of equal keys among the elements of `shape`, seen as (n, c, s) with channels on axis 1. */
function rowsBy(count: number, size: number, rowOf: (place: number) => number): Int32Array[] {
  const lengths = new Int32Array(count);
  for (let p = 0; p < size; p++) lengths[rowOf(p)]++;
  const rows = Array.from(lengths, (length) => new Int32Array(length));
  const next = new Int32Array(count);
  for (let p = 0; p < size; p++) rows[rowOf(p)][next[rowOf(p)]++] = p;
  return rows;
}

const filled = (slot: Slot): Values | null => (slot === 'uninitialized' ? null : slot);
const unchanged = (values: Values): Expected => ({ ...values, format: null, estimate: exactly(values.data) });
const constant = (shape: readonly number[], dtype: string, value: number): Expected => ({
  shape,
  dtype,
  format: null,
  estimate: exactly(new Float64Array(product(shape)).fill(value)),
});

/** What a forward does, when nothing refuses it. */
type Plan =
  | {
      kind: 'rows';
      norm: Omit<RowNorm, 'x' | 'weight' | 'bias'>;
      moves?: (result: Normalized) => Expectation['state'];
    }
  | { kind: 'response'; options: Omit<LocalResponse, 'x' | 'shape'> }
  | { kind: 'empty' };
type Held = Record<'weight' | 'bias' | 'running_mean' | 'running_var', Values | null>;

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
function batchNorm(x: Values, held: Held, training: boolean, momentum: number, eps: number, canMove: boolean): Plan {
  const { shape } = x;
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
function instanceNorm(
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

function groupNorm(x: Values, groups: number, { weight, bias }: Held, eps: number): Plan {
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
function layerNorm(
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

function localResponseNorm(
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

const ranks: Record<string, readonly number[]> = {
  BatchNorm1d: [2, 3],
  BatchNorm2d: [4],
  BatchNorm3d: [5],
  InstanceNorm1d: [2, 3],
  InstanceNorm2d: [3, 4],
  InstanceNorm3d: [4, 5],
};

const dtypeOf = (program: Program): string => (program.subject.options.dtype as string | undefined) ?? 'float32';
const eager = (kind: Kind): string => kind.replace(/^Lazy/, '');
const isNormBase = (kind: Kind): boolean => /^(Lazy|Sync)?(BatchNorm|InstanceNorm)/.test(kind);

/** The tensors of a new layer. */
function initial(program: Program): Expectation['state'] {
  const { kind, positional, options } = program.subject;
  if (kind === 'LocalResponseNorm') return {};
  const isInstance = kind.startsWith('InstanceNorm');
  const affine = (options.affine ?? options.elementwiseAffine ?? !isInstance) as boolean;
  const tracking = isNormBase(kind) && ((options.trackRunningStats ?? !isInstance) as boolean);
  const hasBias = affine && kind !== 'RMSNorm' && options.bias !== false;
  const isLazy = kind.startsWith('Lazy');
  const shape = kind === 'GroupNorm' ? [positional[1] as number] : [positional[0] ?? 0].flat();
  if (kind === 'GroupNorm') {
    const [groups, channels] = positional as number[];
    if (groups === 0) refuse(null);
    if (channels % groups !== 0)
      refuse('ValueError', `num_channels (${channels}) must be divisible by num_groups (${groups})`);
  }
  if (shape.some((d) => d < 0) && (affine || tracking))
    refuse(
      'RuntimeError',
      `Trying to create tensor with negative dimension ${shape.find((d) => d < 0)}: ${list(shape)}`,
    );
  const filledWith = (value: number) => (isLazy ? 'uninitialized' : constant(shape, dtypeOf(program), value));
  return {
    weight: affine ? filledWith(1) : null,
    bias: hasBias ? filledWith(0) : null,
    running_mean: tracking ? filledWith(0) : null,
    running_var: tracking ? filledWith(1) : null,
    num_batches_tracked: tracking ? constant([], 'int64', 0) : null,
  };
}

/** A lazy layer's tensors once it knows its channels. */
function materialized(program: Program, pre: State, x: Values): [State, Expectation['state']] {
  const state: Expectation['state'] = {};
  const tensors = { ...pre.tensors };
  if (!program.subject.kind.startsWith('Lazy') || !stateNames.some((name) => tensors[name] === 'uninitialized'))
    return [pre, state];
  if (x.shape.length < 2) refuse('IndexError', 'tuple index out of range');
  for (const name of stateNames)
    if (tensors[name] === 'uninitialized') {
      const value = constant([x.shape[1]], dtypeOf(program), name === 'weight' || name === 'running_var' ? 1 : 0);
      state[name] = value;
      tensors[name] = { ...value, shape: [...value.shape], data: value.estimate.data };
    }
  return [{ ...pre, tensors, numFeatures: x.shape[1] }, state];
}

/** Which rule a forward follows. State that moves whatever comes after it is written into `state` at once. */
function plan(program: Program, pre: State, x: Values, isRecorded: boolean, state: Expectation['state']): Plan {
  const { kind, positional, options } = program.subject;
  const tensors = Object.fromEntries(stateNames.map((name) => [name, filled(pre.tensors[name])])) as Record<
    StateName,
    Values | null
  >;
  const held: Held = tensors;
  const eps = (options.eps as number | null | undefined) ?? 1e-5;
  const momentum = options.momentum === undefined ? 0.1 : (options.momentum as number | null);
  const canMove = !pre.requiresGrad.running_mean || !isRecorded;
  const { training, tracking } = pre;
  const rank = x.shape.length;
  const machine = x.dtype === 'float32' ? 2 ** -23 : 2 ** -52;
  const numbers = options as Record<string, number | undefined>;
  switch (kind) {
    case 'F.batch_norm':
      return batchNorm(x, held, training, momentum!, eps, canMove);
    case 'F.instance_norm':
      return instanceNorm(x, held, training, momentum!, eps, canMove);
    case 'F.group_norm':
    case 'GroupNorm':
      return groupNorm(x, positional[0] as number, held, eps);
    case 'F.layer_norm':
    case 'LayerNorm':
      return layerNorm(x, [positional[0]].flat(), held, eps, true);
    case 'F.rms_norm':
    case 'RMSNorm':
      return layerNorm(x, [positional[0]].flat(), { ...held, bias: null }, numbers.eps ?? machine, false);
    case 'F.local_response_norm':
    case 'LocalResponseNorm':
      return localResponseNorm(x, positional[0] as number, numbers);
  }
  if (kind === 'SyncBatchNorm') {
    if (rank < 2) refuse('ValueError', `expected at least 2D input (got ${rank}D input)`);
    if (x.shape[1] === 0) refuse('ValueError', 'SyncBatchNorm number of input channels should be non-zero');
  } else if (!ranks[eager(kind)].includes(rank)) {
    const accepted = ranks[eager(kind)].map((r) => `${r}D`).join(' or ');
    refuse('ValueError', `expected ${accepted} input (got ${rank}D input)`);
  }
  if (eager(kind).startsWith('InstanceNorm')) {
    const unbatched = ranks[eager(kind)][0];
    const axis = rank - unbatched;
    if (x.shape[axis] !== pre.numFeatures && (options.affine ?? kind.startsWith('Lazy')))
      refuse(
        'ValueError',
        `expected input's size at dim=${axis} to match num_features (${pre.numFeatures}), but got: ${x.shape[axis]}.`,
      );
    const batched = rank === unbatched ? { ...x, shape: [1, ...x.shape] } : x;
    return instanceNorm(batched, held, training || !tracking, momentum ?? 0, eps, canMove);
  }
  // The counter moves before anything else is checked.
  const counter = tensors.num_batches_tracked;
  if (kind === 'SyncBatchNorm' && training && tracking && !counter)
    refuse('RuntimeError', 'num_batches_tracked must not be None');
  let factor = momentum ?? 0;
  if (training && tracking && counter) {
    const count = counter.data[0] + 1;
    state.num_batches_tracked = constant([], 'int64', count);
    factor = momentum ?? 1 / count;
  }
  const sees = !training || tracking;
  const seen: Held = sees ? held : { ...held, running_mean: null, running_var: null };
  const usesBatch = training || (!held.running_mean && !held.running_var);
  return batchNorm(x, seen, usesBatch, factor, eps, canMove || !seen.running_mean);
}

function forward(
  program: Program,
  pre: State,
  call: Extract<Call, { input: unknown }>,
  expectation: Expectation,
): void {
  const { input } = call;
  const x: Values = { ...input, data: valuesOf(input) };
  const [ready, changes] = materialized(program, pre, x);
  Object.assign(expectation.state, changes);
  const steps = plan(program, ready, x, call.op !== 'noGrad', expectation.state);
  const [weight, bias] = [filled(ready.tensors.weight), filled(ready.tensors.bias)];
  const parameters = program.subject.kind === 'F.rms_norm' ? { weight } : { weight, bias };
  const result = (shape: readonly number[], estimate: Estimate, format: MemoryFormat | null = null): Expected => ({
    shape,
    dtype: x.dtype,
    format,
    estimate,
  });
  const needs = { weight: ready.requiresGrad.weight, bias: ready.requiresGrad.bias };
  // A lazy parameter requires gradients from its first value on.
  const wants = (name: 'weight' | 'bias') => (parameters as Record<string, Values | null>)[name] != null && needs[name];
  const isResponse = /LocalResponse|local_response/.test(program.subject.kind);
  const recorded = call.needsInput || (!isResponse && (wants('weight') || wants('bias')));
  expectation.requiresGrad = call.op !== 'noGrad' && recorded;
  const g = call.op === 'backward' || call.op === 'double' ? valuesOf(call.cotangent) : null;
  if (g && 'cotangent' in call && call.cotangent.dtype !== x.dtype) throw new Unknown();
  const give = (dx: Estimate, dweight: Estimate | null, dbias: Estimate | null) => {
    expectation.tensors.dx = call.needsInput ? result(x.shape, dx) : null;
    for (const [name, value, estimate] of [
      ['weight', weight, dweight],
      ['bias', bias, dbias],
    ] as const)
      expectation.tensors[`d${name}`] =
        wants(name) && estimate ? { ...result(value!.shape, estimate), dtype: value!.dtype } : null;
  };
  if (steps.kind === 'empty') {
    // Whether a parameter without elements has a gradient, and what an empty tensor of integers becomes, is nobody's concern.
    if (!isFloating(x.dtype) || weight?.data.length === 0 || bias?.data.length === 0) throw new Unknown();
    if ([weight, bias].some((value) => value && value.dtype !== x.dtype)) throw new Unknown();
    expectation.tensors.y = result(x.shape, exactly([]));
    // Of several ways to keep an empty result in the graph none is judged; local response norm gives back its very input.
    if (!call.needsInput || isResponse) expectation.requiresGrad = null;
    if (g && !recorded) throw new Unknown();
    if (g) {
      const zeros = (value: Values | null) => (value ? exactly(new Float64Array(value.data.length)) : null);
      give(exactly([]), zeros(weight), zeros(bias));
    }
    if (call.op === 'double') expectation.tensors = { y: expectation.tensors.y };
    return;
  }
  const precision = precisionOf(x.dtype);
  const refuseConstant = () => {
    if (!recorded) refuse('RuntimeError', 'element 0 of tensors does not require grad and does not have a grad_fn');
  };
  if (steps.kind === 'rows') {
    const round = x.dtype === 'float32' ? Math.fround : (value: number) => value;
    const inDtype = (value: Values | null) => value && Float64Array.from(value.data, round);
    const norm: RowNorm = { ...steps.norm, x: x.data, weight: inDtype(weight), bias: inDtype(bias) };
    const normalized = normalize(norm);
    const y = outputBars(norm, normalized, precision);
    const hasRelu = program.subject.options.relu === true;
    expectation.tensors.y = result(x.shape, hasRelu ? { ...y, data: y.data.map((v) => Math.max(v, 0)) } : y);
    Object.assign(expectation.state, steps.moves?.(normalized));
    if (!g) return;
    refuseConstant();
    const seen = hasRelu ? g.map((v, p) => (y.data[p] > 0 ? v : 0)) : g;
    const found = gradientBars(norm, normalized, seen, gradients(norm, normalized, seen), precision);
    // Where rounding may carry y over the threshold of the ReLU, no gradient is judged; nor where y is no number.
    for (const side of ['ours', 'torch'] as const)
      if (hasRelu && y.data.some((v, p) => !(Math.abs(v) > y[side][p])))
        for (const { [side]: bars } of Object.values(found)) bars.fill(Number.POSITIVE_INFINITY);
    give(found.dx, weight && found.dweight, bias && found.dbias);
  } else {
    const response: LocalResponse = {
      ...steps.options,
      x: x.data,
      shape: [x.shape[0], x.shape[1], product(x.shape.slice(2))],
    };
    const { y, scale } = localResponse(response);
    expectation.tensors.y = result(x.shape, responseBars(response, y, scale, precision));
    if (!g) return;
    refuseConstant();
    give(responseGradientBars(response, localResponseGradient(response, scale, g), scale, g, precision), null, null);
  }
}

/** Loading `state` (names and values) into the layer: what is copied although something else is refused. */
function load(
  program: Program,
  pre: State,
  given: Map<StateName, Values>,
  { strict, metadata }: { strict: boolean; metadata: boolean },
  expectation: Expectation,
): void {
  const { kind } = program.subject;
  if (stateNames.some((name) => pre.tensors[name] === 'uninitialized')) throw new Unknown();
  const state = new Map(given);
  let isRefused = false;
  if (!metadata && isNormBase(kind)) {
    // Since version 2 there is a counter.
    if (pre.tracking && !state.has('num_batches_tracked'))
      state.set(
        'num_batches_tracked',
        filled(pre.tensors.num_batches_tracked) ?? { shape: [], dtype: 'int64', format: null, data: [0] },
      );
    if (eager(kind).startsWith('InstanceNorm') && !pre.tracking)
      for (const name of ['running_mean', 'running_var'] as const) if (state.delete(name)) isRefused = true;
  }
  for (const name of stateNames) {
    const own = filled(pre.tensors[name]);
    const value = state.get(name);
    if (strict && !own !== !value) isRefused = true;
    if (!own || !value) continue;
    if (list(own.shape) !== list(value.shape)) isRefused = true;
    else {
      const round = own.dtype === 'float32' ? Math.fround : (v: number) => v;
      expectation.state[name] = { ...own, format: null, estimate: exactly(Array.from(value.data, round)) };
    }
  }
  if (isRefused) refuse('RuntimeError');
}

function control(program: Program, pre: State, call: Call, saved: State, expectation: Expectation): void {
  const { kind } = program.subject;
  const specValues = ({ value }: Extract<Call, { op: 'set' }>): Values => ({ ...value, data: valuesOf(value) });
  switch (call.op) {
    case 'drop':
      expectation.state[call.name] = null;
      break;
    case 'set':
      if (!isFunctional(kind))
        load(program, pre, new Map([[call.name, specValues(call)]]), { strict: false, metadata: false }, expectation);
      else if (pre.tensors[call.name]) expectation.state[call.name] = unchanged(specValues(call));
      break;
    case 'load': {
      if (isFunctional(kind)) break;
      const state = new Map(
        stateNames.flatMap((name): [StateName, Values][] => {
          const value = saved.tensors[name];
          if (value === 'uninitialized') throw new Unknown();
          return value && name !== call.without ? [[name, value]] : [];
        }),
      );
      load(program, pre, state, call, expectation);
      break;
    }
    case 'reset':
    case 'resetParameters': {
      if (isFunctional(kind)) break;
      const names: [StateName, number][] = [];
      if (isNormBase(kind) && pre.tracking)
        names.push(['running_mean', 0], ['running_var', 1], ['num_batches_tracked', 0]);
      if (call.op === 'resetParameters') names.push(['weight', 1], ['bias', 0]);
      if (names.some(([name]) => pre.tensors[name] === 'uninitialized')) throw new Unknown();
      for (const [name, value] of names) {
        const old = filled(pre.tensors[name]);
        if (old) expectation.state[name] = constant(old.shape, old.dtype, value);
        else if (name !== 'weight' && name !== 'bias') refuse(null);
      }
    }
  }
}

/**
 * What the call at `index` of a program (0: the construction) must give, from the states before it; null where the rules do not say.
 * `saved` is the state that a `load` would load.
 */
export function expectationOf(
  program: Program,
  index: number,
  pre: State | null,
  saved: State | null,
): Expectation | null {
  const expectation: Expectation = { error: null, tensors: {}, requiresGrad: null, state: {} };
  try {
    if (!pre || !saved) {
      if (!isFunctional(program.subject.kind)) expectation.state = initial(program);
      else
        for (const name of stateNames) {
          const spec = program.subject.tensors[name];
          expectation.state[name] = spec ? unchanged({ ...spec, data: valuesOf(spec) }) : null;
        }
      return expectation;
    }
    const call = program.calls[index - 1];
    if (isForward(call)) forward(program, pre, call, expectation);
    else control(program, pre, call, saved, expectation);
  } catch (error) {
    if (error instanceof Unknown) return null;
    if (!(error instanceof Refusal)) throw error;
    expectation.error = { type: error.type, text: error.text };
  }
  return expectation;
}
