// What a call on a layer must give: which rule its forward follows and what moves whatever comes of it, what its other
// methods do to its state. A pure function of the state before the call, so each side of a comparison is judged from
// its own state. The rules of the functional forms are in functional_rules.ts, the arithmetic in formulas.ts; this file
// is written for reading, not for speed.
import type { MemoryFormat } from '../src/tensor/shape.ts';
import {
  type Estimate,
  exactly,
  gradientBars,
  outputBars,
  precisionOf,
  responseBars,
  responseGradientBars,
} from './bars.ts';
import {
  constant,
  type Expectation,
  type Expected,
  filled,
  isFloating,
  list,
  product,
  Refusal,
  refuse,
  Unknown,
  unchanged,
} from './expectation.ts';
import {
  gradients,
  type LocalResponse,
  localResponse,
  localResponseGradient,
  normalize,
  type RowNorm,
} from './formulas.ts';
import {
  batchNorm,
  groupNorm,
  type Held,
  instanceNorm,
  layerNorm,
  localResponseNorm,
  type Plan,
} from './functional_rules.ts';
import {
  type Call,
  isForward,
  isFunctional,
  type Kind,
  type Program,
  type State,
  type StateName,
  stateNames,
  type Values,
} from './program.ts';
import { valuesOf } from './values.ts';

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

/** A shape that a tensor can have. */
function requireSizes(shape: number[]): number[] {
  const odd = shape.find((d) => d < 0);
  if (odd !== undefined)
    refuse('RuntimeError', `Trying to create tensor with negative dimension ${odd}: ${list(shape)}`);
  return shape;
}

/** The tensors of a new layer. */
function initial(program: Program): Expectation['state'] {
  const { kind, positional, options } = program.subject;
  if (kind === 'LocalResponseNorm') return {};
  const isInstance = kind.startsWith('InstanceNorm');
  if (kind === 'FrozenBatchNorm2d') {
    if ((positional[0] as number) < 0) refuse('ValueError');
    const of = (value: number) => constant(requireSizes([positional[0] as number]), dtypeOf(program), value);
    return { weight: of(1), bias: of(0), running_mean: of(0), running_var: of(1), num_batches_tracked: null };
  }
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
  if (affine || tracking) requireSizes(shape);
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
  if (x.shape.length < 2) refuse('IndexError');
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
  // Refused by all norms, whatever else is wrong: where statistics are kept, by the rules below.
  if (eps < 0 && /group_norm|layer_norm|rms_norm|GroupNorm|LayerNorm|RMSNorm/.test(kind)) refuse(null);
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
  if (kind === 'FrozenBatchNorm2d') {
    if (eps < 0) refuse('ValueError');
    // Without a check of its own it takes what broadcasts with (1, C, 1, 1); of that only the usual input is judged.
    const c = pre.numFeatures!;
    const fits = rank < 3 || x.shape[rank - 3] === c || x.shape[rank - 3] === 1 || c === 1;
    if (!fits) refuse('RuntimeError');
    if (rank !== 4 || x.shape[1] !== c || x.dtype !== dtypeOf(program)) throw new Unknown();
    return batchNorm(x, held, false, 0, eps, true);
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
  const { kind } = program.subject;
  const learned: Record<string, ('weight' | 'bias')[]> = { 'F.rms_norm': ['weight'], FrozenBatchNorm2d: [] };
  const result = (shape: readonly number[], estimate: Estimate, format: MemoryFormat | null = null): Expected => ({
    shape,
    dtype: x.dtype,
    format,
    estimate,
  });
  const needs = { weight: ready.requiresGrad.weight, bias: ready.requiresGrad.bias };
  // A lazy parameter requires gradients from its first value on.
  const wants = (name: 'weight' | 'bias') =>
    (learned[kind] ?? ['weight', 'bias']).includes(name) && ready.tensors[name] !== null && needs[name];
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
    // Whether a parameter without elements has a gradient, and what an empty tensor of integers becomes, is nobody's
    // concern.
    if (!isFloating(x.dtype) || weight?.data.length === 0 || bias?.data.length === 0) throw new Unknown();
    if ([weight, bias].some((value) => value && value.dtype !== x.dtype)) throw new Unknown();
    expectation.tensors.y = result(x.shape, exactly([]));
    // Of several ways to keep an empty result in the graph none is judged; local response norm gives back its very
    // input.
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
  if (kind === 'FrozenBatchNorm2d') state.delete('num_batches_tracked');
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
 * What the call at `index` of a program (0: the construction) must give, from the states before it; null where the
 * rules do not say. `saved` is the state that a `load` would load.
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
