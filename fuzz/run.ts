// Running a program on this library, call by call, and reporting what each call gave.
import '../src/ops/methods.ts';
import { grad } from '../src/autograd/backward.ts';
import { noGrad } from '../src/autograd/grad_mode.ts';
import { EvenkeelError } from '../src/errors.ts';
import * as nn from '../src/nn/index.ts';
import { fromTypedArray } from '../src/tensor/create.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { setWarningHandler } from '../src/warnings.ts';
import {
  type Call,
  type FunctionalKind,
  isForward,
  isFunctional,
  type Kind,
  type Outcome,
  type Program,
  type Slot,
  type State,
  type StateName,
  type Subject,
  stateNames,
  type TensorSpec,
  type Values,
} from './program.ts';
import { valuesOf } from './values.ts';

export const tensorOf = (spec: TensorSpec): Tensor =>
  fromTypedArray(valuesOf(spec), spec.shape, { dtype: spec.dtype }).contiguous(spec.format);

/** Whether both memory formats lay out this shape alike. */
export const isFormatOpen = (shape: readonly number[]): boolean =>
  shape.length < 3 || shape[1] === 1 || shape.slice(2).every((d) => d === 1) || shape.includes(0);

const valuesIn = (t: Tensor): Values => ({
  shape: [...t.shape],
  dtype: t.dtype,
  format: isFormatOpen(t.shape) ? null : t.memoryFormat,
  data: Float64Array.from(t.dataSync() as ArrayLike<number>, Number),
});

/** A layer or a functional form, as far as calls touch it. */
interface Runner {
  forward(x: Tensor): Tensor;
  get(name: StateName): Tensor | null;
  /** Carries out a call that is no forward; returns a text, if it gives one. */
  control(call: Call): string | null;
  state(): State;
}

function stateOf(
  runner: Pick<Runner, 'get'>,
  rest: Pick<State, 'training' | 'tracking' | 'numFeatures' | 'className'>,
): State {
  const slot = (t: Tensor | null): Slot => (nn.isUninitialized(t) ? 'uninitialized' : t && valuesIn(t));
  return {
    ...rest,
    tensors: Object.fromEntries(stateNames.map((name) => [name, slot(runner.get(name))])) as State['tensors'],
    requiresGrad: Object.fromEntries(
      (['weight', 'bias', 'running_mean'] as const).map((name) => [name, runner.get(name)?.requiresGrad ?? false]),
    ) as State['requiresGrad'],
  };
}

type AnyLayer = nn.Module &
  Partial<Record<StateName | 'numFeatures' | 'trackRunningStats', unknown>> & {
    resetRunningStats(): void;
    resetParameters(): void;
  };
type LayerClass = new (...args: unknown[]) => AnyLayer;
const library = nn as unknown as Record<string, LayerClass>;

function layerRunner({ kind, positional, options }: Subject): Runner {
  const layer = new library[kind](...positional, options);
  const entries = layer as unknown as Record<StateName, Tensor | null | undefined>;
  const copied = (): nn.StateDict => {
    const live = layer.stateDict();
    if ([...live.values()].some(nn.isUninitialized)) return live;
    const copy = new nn.StateDict([...live].map(([name, value]) => [name, noGrad(() => value.clone())]));
    copy.metadata = live.metadata;
    return copy;
  };
  let saved = copied();
  const runner: Runner = {
    forward: (x) => layer(x) as Tensor,
    get: (name) => entries[name] ?? null,
    state: () =>
      stateOf(runner, {
        training: layer.training,
        tracking: (layer.trackRunningStats as boolean | undefined) ?? false,
        numFeatures: (layer.numFeatures as number | undefined) ?? null,
        className: layer.constructor.name,
      }),
    control(call) {
      switch (call.op) {
        case 'train':
        case 'eval':
          layer[call.op]();
          break;
        case 'track':
          layer.trackRunningStats = call.value;
          break;
        case 'drop':
          entries[call.name] = null;
          break;
        case 'set':
          layer.loadStateDict({ [call.name]: tensorOf(call.value) }, { strict: false });
          break;
        case 'requiresGrad':
          if (entries[call.name]) entries[call.name]!.requiresGrad = call.value;
          break;
        case 'save':
          saved = copied();
          break;
        case 'load': {
          const state = saved.copy();
          if (call.without) state.delete(call.without);
          if (!call.metadata) state.metadata = null;
          return String(layer.loadStateDict(state, { strict: call.strict }));
        }
        case 'reset':
          layer.resetRunningStats();
          break;
        case 'resetParameters':
          layer.resetParameters();
          break;
        case 'print':
          return String(layer);
      }
      return null;
    },
  };
  return runner;
}

type Held = Record<StateName, Tensor | null>;
const f = nn.functional;
/** `flag`: training, or whether input statistics are used. */
const functions: Record<
  FunctionalKind,
  (x: Tensor, held: Held, flag: boolean, size: number | number[], options: Subject['options']) => Tensor
> = {
  'F.batch_norm': (x, { running_mean, running_var, weight, bias }, training, _, options) =>
    f.batchNorm(x, running_mean, running_var, { weight, bias, training, ...options }),
  'F.instance_norm': (x, { running_mean, running_var, weight, bias }, useInputStats, _, options) =>
    f.instanceNorm(x, { runningMean: running_mean, runningVar: running_var, weight, bias, useInputStats, ...options }),
  'F.group_norm': (x, { weight, bias }, _, groups, options) =>
    f.groupNorm(x, groups as number, { weight, bias, ...options }),
  'F.layer_norm': (x, { weight, bias }, _, shape, options) =>
    f.layerNorm(x, shape as number[], { weight, bias, ...options }),
  'F.rms_norm': (x, { weight }, _, shape, options) => f.rmsNorm(x, shape as number[], { weight, ...options }),
  'F.local_response_norm': (x, _held, _, size, options) => f.localResponseNorm(x, size as number, options),
};

function functionalRunner({ kind, positional, options, tensors }: Subject & { kind: FunctionalKind }): Runner {
  const held = Object.fromEntries(
    stateNames.map((name) => [name, tensors[name] ? tensorOf(tensors[name]) : null]),
  ) as Held;
  let training = true;
  const runner: Runner = {
    forward: (x) => functions[kind](x, held, training, positional[0], options),
    get: (name) => held[name],
    state: () => stateOf(runner, { training, tracking: true, numFeatures: null, className: kind }),
    control(call) {
      if (call.op === 'train' || call.op === 'eval') training = call.op === 'train';
      else if (call.op === 'set' && held[call.name]) held[call.name] = tensorOf(call.value);
      else if (call.op === 'drop') held[call.name] = null;
      else if (call.op === 'requiresGrad' && held[call.name]) held[call.name]!.requiresGrad = call.value;
      return null;
    },
  };
  return runner;
}

/** Carries out one call; fills in what it gives. */
function carryOut(runner: Runner, call: Call, outcome: Outcome): void {
  if (!isForward(call)) {
    outcome.text = runner.control(call);
    return;
  }
  const x = tensorOf(call.input).requiresGrad_(call.needsInput);
  const report = (name: string, t: Tensor | null | undefined) => {
    outcome.tensors[name] = t ? valuesIn(t) : null;
  };
  const y = call.op === 'noGrad' ? noGrad(() => runner.forward(x)) : runner.forward(x);
  // Only now a lazy layer has them.
  const parameters = (['weight', 'bias'] as const).map((name) => runner.get(name));
  report('y', y);
  outcome.requiresGrad = y.requiresGrad;
  const all = { x, weight: parameters[0], bias: parameters[1] };
  const wanted = (['x', 'weight', 'bias'] as const).filter((name) => all[name]?.requiresGrad);
  if (call.op === 'backward' || (call.op === 'double' && wanted.length === 0)) {
    y.backward(tensorOf(call.cotangent));
    report('dx', x.grad);
    report('dweight', parameters[0]?.grad);
    report('dbias', parameters[1]?.grad);
    for (const parameter of parameters) if (parameter) parameter.grad = null;
  } else if (call.op === 'double') {
    const cotangent = tensorOf(call.cotangent).requiresGrad_();
    const inputs = wanted.map((name) => all[name]!);
    const first = grad([y], inputs, { gradOutputs: [cotangent], createGraph: true, allowUnused: true });
    // A lazy layer's first input may have had other channels than those that the program counted on.
    const fits = (name: keyof typeof all): boolean => String(call.second[name].shape) === String(all[name]!.shape);
    const found = wanted.filter((name, i) => first[i] && fits(name));
    const second = grad(
      found.map((name) => first[wanted.indexOf(name)]),
      [...inputs, cotangent],
      { gradOutputs: found.map((name) => tensorOf(call.second[name])), allowUnused: true },
    );
    wanted.forEach((name, i) => {
      report(`d${name}`, first[i]);
      report(`dd${name}`, second[i]);
    });
    report('ddy', second[wanted.length]);
  }
}

export function runProgram({ subject, calls }: Program): Outcome[] {
  const outcomes: Outcome[] = [];
  let runner: Runner | null = null;
  const attempt = (work: (outcome: Outcome) => void): void => {
    const outcome: Outcome = { error: null, text: null, warnings: [], tensors: {}, requiresGrad: null, state: null };
    const former = setWarningHandler((text) => outcome.warnings.push(text));
    try {
      work(outcome);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      outcome.error = {
        type: error instanceof EvenkeelError ? error.name : `a bare ${error.name}`,
        text: error.message,
      };
    }
    setWarningHandler(former);
    outcome.state = runner?.state() ?? null;
    outcomes.push(outcome);
  };
  attempt(() => {
    runner = isFunctional(subject.kind) ? functionalRunner({ ...subject, kind: subject.kind }) : layerRunner(subject);
  });
  if (runner) for (const call of calls) attempt((outcome) => carryOut(runner!, call, outcome));
  return outcomes;
}

/** What programs are about. */
export const kinds: readonly Kind[] = [
  'BatchNorm1d',
  'BatchNorm2d',
  'BatchNorm3d',
  'LazyBatchNorm1d',
  'LazyBatchNorm2d',
  'LazyBatchNorm3d',
  'SyncBatchNorm',
  'FrozenBatchNorm2d',
  'InstanceNorm1d',
  'InstanceNorm2d',
  'InstanceNorm3d',
  'LazyInstanceNorm1d',
  'LazyInstanceNorm2d',
  'LazyInstanceNorm3d',
  'GroupNorm',
  'LayerNorm',
  'RMSNorm',
  'LocalResponseNorm',
  'F.batch_norm',
  'F.instance_norm',
  'F.group_norm',
  'F.layer_norm',
  'F.rms_norm',
  'F.local_response_norm',
];
