// Carries out steps on this library, one after the other, and reports what can be seen of them: values, places in the
// graph, gradients, running statistics, errors. Not here: which steps (draw.ts), and what their reports must have in
// common (compare.ts).
import '../../src/ops/methods.ts';
import { grad } from '../../src/autograd/backward.ts';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { setNumThreads } from '../../src/device/engine.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { largeLayers } from '../../src/fusion/thresholds.ts';
import * as nn from '../../src/nn/index.ts';
import { withStatistics } from '../../src/nn/norm/statistics/statistics.ts';
import { cat } from '../../src/ops/shape_ops.ts';
import { SGD } from '../../src/optim/index.ts';
import { fromTypedArray } from '../../src/tensor/create.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type MemoryFormat, sizeOf } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { setWarningHandler } from '../../src/warnings.ts';
import type { Case, Input } from '../../test/cases/case.ts';
import { inputsOf, listOf } from '../../test/cases/inputs.ts';
import { cases } from '../../test/cases/table.ts';
import { uniforms, valuesOf } from '../values.ts';
import type { Event, Float, GraphProgram, Seen, Settings, Step } from './program.ts';

const f = nn.functional;
const number = (value: Settings[string]): number => value as number;

/** The tensors that a step makes, from those it takes. */
type Operation = (machine: Machine, of: readonly Tensor[], settings: Settings, step: Step) => readonly Tensor[] | null;
const making =
  (fn: (machine: Machine, of: readonly Tensor[], settings: Settings) => Tensor): Operation =>
  (machine, of, settings) => [fn(machine, of, settings)];
/** Operations for what they do to their operands. */
const doing =
  (fn: (machine: Machine, of: readonly Tensor[], settings: Settings) => unknown): Operation =>
  (machine, of, settings) => {
    fn(machine, of, settings);
    return null;
  };

export const activations: Readonly<Record<string, () => nn.Module>> = {
  ReLU: () => new nn.ReLU(),
  ReLU6: () => new nn.ReLU6(),
  LeakyReLU: () => new nn.LeakyReLU(),
  // Values seldom reach 6.
  ReLU1: () => new nn.Hardtanh({ minVal: 0, maxVal: 1 }),
  Hardtanh: () => new nn.Hardtanh({ minVal: -0.5, maxVal: 0.75 }),
  Hardswish: () => new nn.Hardswish(),
  SiLU: () => new nn.SiLU(),
  Sigmoid: () => new nn.Sigmoid(),
  GELU: () => new nn.GELU(),
  ELU: () => new nn.ELU(),
};
export const inPlaceActivations: Readonly<Record<string, () => nn.Module>> = {
  ReLU: () => new nn.ReLU({ inplace: true }),
  ReLU6: () => new nn.ReLU6({ inplace: true }),
  ReLU1: () => new nn.Hardtanh({ minVal: 0, maxVal: 1, inplace: true }),
  LeakyReLU: () => new nn.LeakyReLU({ inplace: true }),
  Hardswish: () => new nn.Hardswish({ inplace: true }),
};

/** Changes in place: recorded, or unseen by the graph in one of two ways. */
const changing = (fn: (x: Tensor, of: readonly Tensor[], settings: Settings) => unknown): Operation =>
  doing((_, of, settings) => {
    if (settings.unseen === 'noGrad') noGrad(() => fn(of[0], of, settings));
    else fn(settings.unseen === 'detach' ? of[0].detach() : of[0], of, settings);
  });

/** The layers; their sizes follow from the first input. */
const layers: Readonly<Record<string, (x: Tensor, settings: Settings) => nn.Module>> = {
  conv: ({ shape: [, c] }, { out, kernel, stride, padding, dilation, groups, bias }) => {
    const count = groups === 'each' ? c : number(groups);
    return new nn.Conv2d(c, groups === 'each' ? c * number(out) : number(out), number(kernel), {
      ...{ stride: number(stride), padding: number(padding), dilation: number(dilation), groups: count },
      bias: bias as boolean,
    });
  },
  linear: (x, { out, bias }) => new nn.Linear(x.shape.at(-1)!, number(out), { bias: bias as boolean }),
  norm: ({ shape: [, c], rank }, { kind, act, ...rest }) => {
    const { affine, momentum, track, eps } = rest as Record<string, never>;
    const options = { affine, momentum, trackRunningStats: track, eps };
    if (kind === 'Sync') return new nn.SyncBatchNorm(c, options);
    if (kind === 'Act') return new nn.BatchNormAct2d(c, { ...options, act: activations[act as string]() });
    if (kind === 'Frozen') return new nn.FrozenBatchNorm2d(c, { eps });
    if (kind === 'Group') return new nn.GroupNorm(1, c, { affine });
    return rank < 4 ? new nn.BatchNorm1d(c, options) : new nn.BatchNorm2d(c, options);
  },
};

/** x·(1 + u·a few last bits), for what rounding does to everything behind it. */
function disturbed(data: Float64Array, dtype: Float, noise: () => number): Float64Array {
  const step = dtype === 'float32' ? 2 ** -22 : 2 ** -51;
  return data.map((x) => x * (1 + step * Math.round(8 * noise() - 4)));
}

/**
 * The case list's operations that a tensor of the graph can go into, by name; in whatever dtype a run computes. Those
 * that change the dtype are left out: the bars are those of one.
 */
export const graphCases: ReadonlyMap<string, Case> = new Map(
  cases
    .filter(({ ops, name, torch }) => !ops.includes('to') && !`${name} ${torch}`.includes('dtype='))
    .filter(({ inputs }) => inputs[0] && isFree(inputs[0]) && sizeOf(inputs[0].shape) > 0)
    .map((one) => [one.name, one]),
);
/** Inputs that may hold any numbers of their range. */
function isFree({ integer, bool, constant, distinct }: Input): boolean {
  return !(integer || bool || constant || distinct);
}

/**
 * A case with a tensor of the graph as its first input: repeated or cut to that input's shape, and mapped into its
 * range.
 */
function caseOf(name: string, x: Tensor, dtype: Float): Tensor {
  const one = graphCases.get(name)!;
  const { shape, low = -2, high = 2 } = one.inputs[0];
  const size = sizeOf(shape);
  const line = x
    .flatten()
    .repeat([Math.ceil(size / x.size)])
    .narrow(0, 0, size);
  const given = line
    .sigmoid()
    .mul(high - low)
    .add(low)
    .reshape(shape);
  const [, ...others] = inputsOf(one, dtype);
  return listOf(one.run(given, ...others.map((each) => each.detach())))[0];
}

const isImage = (x: Tensor): boolean => x.rank === 4;
const around = (x: Tensor, kernel: number): object => ({ stride: 2, padding: Math.min(x.shape[2], kernel) >> 1 });

export const operations: Readonly<Record<string, Operation>> = {
  input: making((m, _, { shape, seed, format, needsGrad }) =>
    m.tensorOf(shape as number[], number(seed), format as MemoryFormat).requiresGrad_(needsGrad as boolean),
  ),
  conv: making((m, [x], s) => m.callLayer('conv', x, s)),
  linear: making((m, [x], s) => m.callLayer('linear', x, s)),
  norm: making((m, [x], s) => m.callLayer('norm', x, s)),
  activation: making((_, [x], { name }) => activations[name as string]()(x) as Tensor),
  activation_: changing((x, _, { name }) => inPlaceActivations[name as string]()(x)),
  add: making((_, [a, b], { alpha }) => a.add(b, { alpha: number(alpha) })),
  add_: changing((a, [, b]) => a.add_(b)),
  mul: making((_, [a, b]) => a.mul(b)),
  mul_: changing((a, [, b]) => a.mul_(b)),
  scale: making((_, [a], { by }) => a.mul(number(by))),
  scale_: changing((a, _, { by }) => a.mul_(number(by))),
  fill_: changing((a, _, { by }) => a.fill_(number(by))),
  copy_: changing((a, [, b]) => a.copy_(b)),
  maxPool: making((_, [x], { kernel }) => f.maxPool2d(x, number(kernel), around(x, number(kernel)))),
  avgPool: making((_, [x], { kernel }) => f.avgPool2d(x, number(kernel), around(x, number(kernel)))),
  adaptiveAvgPool: making((_, [x], { size }) => f.adaptiveAvgPool2d(x, number(size))),
  adaptiveMaxPool: making((_, [x], { size }) => f.adaptiveMaxPool2d(x, number(size))),
  cat: making((_, [a, b]) => cat([a, b], 1)),
  narrow: making((_, [x], { dim, start }) =>
    x.narrow(number(dim), number(start), x.shape[number(dim)] - number(start)),
  ),
  flatten: making((_, [x], { from }) => x.flatten(number(from))),
  view: making((_, [x]) => x.reshape(x.shape)),
  permute: making((_, [x]) => x.transpose(x.rank - 2, x.rank - 1)),
  mean: making((_, [x]) => x.mean(x.rank === 4 ? [2, 3] : [0], { keepdim: isImage(x) })),
  format: making((_, [x], { format }) => x.contiguous(format as MemoryFormat)),
  case: making((m, [x], { name }) => caseOf(name as string, x, m.computedIn)),
  clone: making((_, [x]) => x.clone()),
  detach: making((_, [x]) => x.detach()),
  leaf: making((_, [x]) => x.detach().requiresGrad_()),

  look: doing((m, [x]) => m.report('look', x)),
  retainGrad: doing((_, [x]) => x.retainGrad()),
  hook: doing((m, [x], { kind }) => {
    x.registerHook((g) => {
      if (kind === 'look') m.report('gradient in a hook', g);
      return kind === 'double' ? g.mul(2) : undefined;
    });
  }),
  moduleHook: doing((m, _, { slot, kind }) =>
    m.layerAt(slot).registerForwardHook((_module, _args, y: Tensor) => {
      if (kind === 'look') m.report('output in a hook', y);
      return kind === 'double' ? y.mul(2) : undefined;
    }),
  ),
  backward: doing((m, [x], { how, seed, format, retainGraph, createGraph }) => {
    const options = { retainGraph: retainGraph as boolean, createGraph: createGraph as boolean };
    const g = m.tensorOf(x.shape, number(seed), format as MemoryFormat);
    m.undone(() => (how === 'given' ? x.backward(g, options) : x.mul(g).sum().backward(null, options)));
    m.reportGradients();
  }),
  grad: (m, [x, ...inputs], { seed, format, retainGraph, createGraph }) =>
    grad([x], inputs, {
      gradOutputs: [m.tensorOf(x.shape, number(seed), format as MemoryFormat)],
      ...{ retainGraph: retainGraph as boolean, createGraph: createGraph as boolean },
    }),

  mode: doing((m, _, { slot, training }) => m.layerAt(slot).train(training as boolean)),
  freeze: doing((m, _, { slot }) => nn.freezeBatchNorm(m.layerAt(slot))),
  parameter_: doing((m, _, { slot, name, by }) =>
    noGrad(() => (m.layerAt(slot) as unknown as Record<string, Tensor | null>)[name as string]?.mul_(number(by))),
  ),
  step: doing((m) => new SGD(m.parameters, { lr: 0.03125 }).step()),
  zeroGrad: doing((m) => {
    for (const parameter of m.parameters) parameter.grad = null;
  }),

  scope: (m, _, { kept }, { body }) => {
    scope(() => {
      m.runAll(body!);
      return (kept as number[]).flatMap((id) => m.tensors.get(id) ?? []);
    });
    return null;
  },
  noGrad: (m, _of, _, { body }) => {
    noGrad(() => m.runAll(body!));
    return null;
  },
  unfused: (m, _of, _, { body }) => {
    withFusion(false, () => m.runAll(body!));
    return null;
  },
  checkpoint: (m, [x], { result }, { body, of }) => {
    const run = (input: Tensor) =>
      m.apart(of[0], input, () => {
        m.runAll(body!);
        return m.tensors.get(number(result)) ?? input.clone();
      });
    return [checkpoint(run, x)];
  },
};
/** Whether a run merges operations; and the number of a run whose inputs are disturbed. */
export interface Conditions {
  readonly fused: boolean;
  readonly dtype: Float;
  readonly disturbance: number | null;
}

export class Machine {
  tensors = new Map<number, Tensor>();
  readonly events: Event[] = [];
  private readonly slots = new Map<number, nn.Module>();
  private readonly dtype: Float;
  private readonly conditions: Conditions;
  private readonly noise: () => number;
  private place = '';
  /** Parts that run for a second time are at the place of their first. */
  private path: number[] = [];

  /** `dtype`: that of the program, which its numbers are exact in. */
  constructor(dtype: Float, conditions: Conditions) {
    this.dtype = dtype;
    this.conditions = conditions;
    this.noise = uniforms(conditions.disturbance ?? 0);
  }

  tensorOf(shape: readonly number[], seed: number, format: MemoryFormat, positive = false): Tensor {
    const distribution = positive ? 'positive' : 'normal';
    const data = valuesOf({ shape: [...shape], dtype: this.dtype, format, distribution, seed });
    const { dtype, disturbance } = this.conditions;
    const given = disturbance === null ? data : disturbed(data, this.dtype, this.noise);
    return fromTypedArray(given, [...shape], { dtype }).contiguous(format);
  }

  /** The dtype that this run computes in. */
  get computedIn(): Float {
    return this.conditions.dtype;
  }

  layerAt(slot: Settings[string]): nn.Module {
    const layer = this.slots.get(number(slot));
    if (!layer) throw new Missing();
    return layer;
  }
  get parameters(): Tensor[] {
    return [...this.slots.values()].flatMap((layer) => [...layer.parameters()]);
  }

  /** Calls the layer of a slot, which is made for its first input. */
  callLayer(kind: string, x: Tensor, settings: Settings): Tensor {
    const slot = number(settings.slot);
    let layer = this.slots.get(slot);
    if (!layer) {
      const made = layers[kind](x, settings).to(this.conditions.dtype);
      const seed = slot * 101 + 7;
      const fill = (t: Tensor, i: number, positive: boolean, scale: number, shift: number) =>
        noGrad(() =>
          t.copy_(
            this.tensorOf(t.shape, seed + i, 'contiguous', positive)
              .mul(scale)
              .add(shift),
          ),
        );
      const isNorm = kind === 'norm';
      [...made.namedParameters()].forEach(([, p], i) => {
        const scale = isNorm ? 1 : 1 / Math.sqrt(Math.max(1, sizeOf(p.shape.slice(1))));
        fill(p, i, false, scale, isNorm ? 0.5 : 0);
      });
      [...made.namedBuffers()].forEach(([name, t], i) => {
        if (t.dtype !== 'int64') fill(t, 10 + i, name.endsWith('var') || name === 'weight', 1, 0);
      });
      this.slots.set(slot, made);
      layer = made;
    }
    const { statistics } = settings;
    if (!statistics) return layer(x) as Tensor;
    return withStatistics(layer, statistics as 'batch', () => layer(x) as Tensor);
  }

  /** Runs `fn` with tensors of its own in addition, `input` in the place of one. */
  apart<R>(id: number, input: Tensor, fn: () => R): R {
    const [tensors, path] = [this.tensors, this.path];
    this.tensors = new Map(tensors).set(id, input);
    this.path = [...path];
    try {
      return fn();
    } finally {
      this.tensors = tensors;
      this.path = path;
    }
  }

  /** Gradients that a failed walk has left on its way depend on where it failed: they are taken away. */
  undone(fn: () => void): void {
    try {
      fn();
    } catch (error) {
      for (const t of [...this.parameters, ...this.tensors.values()]) t.grad = null;
      throw error;
    }
  }

  report(what: string, t: Tensor | null | undefined): void {
    let seen: Event['seen'];
    try {
      seen = t ? seenOf(t) : 'nothing';
    } catch (error) {
      seen = textOf(error);
    }
    this.events.push({ at: `${this.place} ${what}`, seen });
  }
  reportGradients(): void {
    for (const [slot, layer] of this.slots)
      for (const [name, p] of layer.namedParameters()) this.report(`gradient of ${slot}.${name}`, p.grad);
    for (const [id, t] of this.tensors)
      if (t.grad || (t.isLeaf && t.requiresGrad)) this.report(`gradient of t${id}`, t.grad);
  }
  reportState(): void {
    for (const [slot, layer] of this.slots) {
      for (const [name, p] of layer.namedParameters()) this.report(`${slot}.${name}`, p);
      for (const [name, t] of layer.namedBuffers()) this.report(`${slot}.${name}`, t);
    }
  }

  runAll(steps: readonly Step[]): void {
    steps.forEach((step, i) => {
      this.path.push(i);
      this.run(step);
      this.path.pop();
    });
  }

  /** Carries out one step; false where it could not. */
  run(step: Step): boolean {
    const given = step.of.map((id) => this.tensors.get(id));
    if (given.some((t) => !t)) return false;
    const former = this.place;
    this.place = `${this.path.join('.')} ${step.op}`;
    try {
      const made = operations[step.op](this, given as Tensor[], step.with, step);
      step.makes.forEach((id, i) => {
        if (made?.[i]) this.tensors.set(id, made[i]);
      });
      return true;
    } catch (error) {
      if (!(error instanceof Missing)) this.events.push({ at: `${this.place} error`, seen: textOf(error) });
      return false;
    } finally {
      this.place = former;
    }
  }

  finish(looks: readonly number[]): void {
    this.place = 'end';
    this.reportGradients();
    for (const id of looks) this.report(`t${id}`, this.tensors.get(id));
    this.reportState();
  }
}

/** A layer that does not exist, since the step that would have made it was left out. */
class Missing extends Error {}

const textOf = (error: unknown): string => {
  if (!(error instanceof Error)) throw error;
  return `${error.name}: ${error.message}`;
};

const seenOf = (t: Tensor): Seen => ({
  shape: [...t.shape],
  dtype: t.dtype,
  format: t.memoryFormat,
  place: `${t.gradFn?.name ?? (t.requiresGrad ? 'leaf' : 'constant')}, version ${t.version}`,
  data: Float64Array.from(t.dataSync() as ArrayLike<number>, Number),
});

/** All that a program lets be seen under some conditions. */
export function runGraph(program: GraphProgram, conditions: Conditions): readonly Event[] {
  const machine = new Machine(program.dtype, conditions);
  const former = setWarningHandler(() => {});
  setNumThreads(program.threads);
  const all = () => {
    machine.runAll(program.steps);
    machine.finish(program.looks);
  };
  const { rows, multiplications } = largeLayers;
  // Programs are small; the plain run takes the plain product.
  if (conditions.fused) Object.assign(largeLayers, { rows: 1, multiplications: 1 });
  try {
    withFusion(conditions.fused, () => (program.scoped ? scope(all) : all()));
  } finally {
    Object.assign(largeLayers, { rows, multiplications });
    setWarningHandler(former);
  }
  return machine.events;
}
