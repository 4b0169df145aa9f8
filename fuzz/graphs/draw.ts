// Drawing graph programs: steps are drawn one by one and carried out at once, plainly, so that each finds operands
// which fit, mostly. A program follows from its seed alone.
import { withFusion } from '../../src/fusion/switch.ts';
import { sameShape } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { uniforms } from '../values.ts';
import { activations, graphCases, inPlaceActivations, Machine } from './machine.ts';
import type { Float, GraphProgram, Settings, Step } from './program.ts';

type Weighted<T> = readonly (readonly [value: T, weight: number])[];

/** Elements beyond which a tensor is not computed with any more. */
const largest = 6000;
/** Values beyond which it is not; squares of squares leave every range. */
const highest = 1e3;

class Draw {
  private readonly uniform: () => number;
  private readonly machine: Machine;
  private nextId = 0;
  private nextSlot = 0;
  /** Tensors that steps may take, oldest first. */
  private ids: number[] = [];
  private readonly kindOfSlot: string[] = [];
  private depth = 0;
  /** The last operation that has followers. */
  private lastOp = '';

  constructor(seed: number, dtype: Float) {
    this.uniform = uniforms(seed);
    this.machine = new Machine(dtype, { fused: false, dtype, disturbance: null });
  }

  // ---- choices ------------------------------------------------------------------------------------------------------

  private chance(percent: number): boolean {
    return this.uniform() * 100 < percent;
  }
  private below(n: number): number {
    return Math.floor(this.uniform() * n);
  }
  private pick<T>(options: Weighted<T>): T {
    let left = this.uniform() * options.reduce((sum, [, weight]) => sum + weight, 0);
    return (options.find(([, weight]) => (left -= weight) < 0) ?? options[0])[0];
  }
  private evenly<T>(...options: readonly T[]): T {
    return options[this.below(options.length)];
  }
  private get seed(): number {
    return this.below(2 ** 31);
  }
  private get format(): 'contiguous' | 'channelsLast' {
    return this.pick([
      ['channelsLast', 7],
      ['contiguous', 3],
    ]);
  }

  /** A tensor that fits, the later it was made the likelier. */
  private operand(fits: (t: Tensor) => boolean = () => true): number | null {
    const candidates = this.ids.filter((id) => {
      const t = this.machine.tensors.get(id);
      return t && t.size > 0 && t.size <= largest && fits(t);
    });
    if (candidates.length === 0) return null;
    const back = this.chance(50) ? 0 : Math.floor(candidates.length * this.uniform() ** 2);
    return candidates[candidates.length - 1 - back];
  }

  // ---- steps --------------------------------------------------------------------------------------------------------

  private step(
    op: string,
    of: readonly (number | null)[],
    settings: Settings = {},
    makes = 0,
    body?: readonly Step[],
  ): Step | null {
    if (of.some((id) => id === null)) return null;
    const ids = Array.from({ length: makes }, () => this.nextId++);
    const unseen = op.endsWith('_') && op !== 'parameter_' && this.chance(25) ? this.evenly('noGrad', 'detach') : null;
    return {
      op,
      of: of as number[],
      makes: ids,
      with: unseen ? { ...settings, unseen } : settings,
      ...(body && { body }),
    };
  }

  private slot(kind: string, x: number): number {
    // A layer is called again where its channels fit, or sometimes where they do not.
    const [, c] = this.machine.tensors.get(x)!.shape;
    const known = this.kindOfSlot.flatMap((each, i) => (each === `${kind} ${c}` || this.chance(1) ? [i] : []));
    if (known.length > 0 && this.chance(25)) return this.evenly(...known);
    this.kindOfSlot.push(`${kind} ${c}`);
    return this.nextSlot++;
  }

  private readonly of = {
    image: () => this.operand((t) => t.rank === 4),
    matrix: () => this.operand((t) => t.rank === 2),
    normed: () => this.operand((t) => t.rank === 4 || t.rank === 2 || (t.rank === 3 && this.chance(50))),
    any: () => this.operand(),
    graph: () => this.operand((t) => t.requiresGrad || this.chance(2)),
    inner: () => this.operand((t) => t.gradFn !== null || this.chance(2)),
    like: (id: number | null, percent: number) => {
      const x = id === null ? null : this.machine.tensors.get(id);
      return x ? this.operand((t) => sameShape(t.shape, x.shape) || this.chance(percent)) : null;
    },
    slot: () => this.below(this.nextSlot),
  };

  private pair(op: string, settings: Settings = {}, makes = 0): Step | null {
    const a = this.of.any();
    const b = this.chance(10) ? a : this.of.like(a, 1);
    return this.step(op, this.chance(50) && makes > 0 ? [b, a] : [a, b], settings, makes);
  }

  private conv(): Step | null {
    const x = this.of.image();
    if (x === null) return null;
    const [, c] = this.machine.tensors.get(x)!.shape;
    const kernel = this.evenly(1, 3, 3, 1, 2, 5);
    const groups = this.chance(15) ? 'each' : c % 2 === 0 && this.chance(10) ? 2 : 1;
    const out =
      groups === 'each' ? this.evenly(1, 1, 2) : this.evenly(1, 3, 4, 8, 16, 20, 34, 66) * (groups === 2 ? 2 : 1);
    const dilation = this.pick([
      [1, 9],
      [2, 1],
    ]);
    return this.step(
      'conv',
      [x],
      {
        slot: this.slot('conv', x),
        ...{ out, kernel, groups, dilation, bias: this.chance(40) },
        stride: this.pick([
          [1, 7],
          [2, 3],
        ]),
        padding: this.chance(85) ? (dilation * (kernel - 1)) >> 1 : this.below(3),
      },
      1,
    );
  }
  private norm(): Step | null {
    const x = this.of.normed();
    if (x === null) return null;
    // Of two values a norm makes −1 and 1, whatever they are: gradients before it are rounding alone, of which
    // disturbed inputs show nothing. The fuzzer of norms has them.
    const { size, shape } = this.machine.tensors.get(x)!;
    if (size / shape[1] === 2) return null;
    const settings = {
      kind: this.pick([
        ['Batch', 12],
        ['Act', 2],
        ['Sync', 2],
        ['Frozen', 1],
        ['Group', 1],
      ]),
      act: this.chance(70) ? 'ReLU' : this.evenly(...Object.keys(activations)),
      affine: this.chance(85),
      momentum: this.evenly(0.1, 0.1, null, 0.5),
      track: this.chance(85),
      eps: this.evenly(1e-5, 1e-5, 1e-2),
      statistics: this.chance(92) ? null : this.evenly('batch', 'running', 'frozen'),
    };
    return this.step('norm', [x], { slot: this.slot('norm', x), ...settings }, 1);
  }
  /** What follows a step in networks. */
  private readonly following: Readonly<Record<string, Weighted<() => Step | null>>> = {
    input: [[() => this.conv(), 1]],
    conv: [[() => this.norm(), 1]],
    linear: [[() => this.norm(), 1]],
    cat: [[() => this.norm(), 1]],
    norm: [
      [() => this.activation(), 8],
      [() => this.activation_(), 4],
      [() => this.pair('add', { alpha: 1 }, 1), 2],
      [() => this.conv(), 2],
    ],
    add: [
      [() => this.activation(), 2],
      [() => this.conv(), 1],
    ],
    activation: [
      [() => this.conv(), 6],
      [() => this.step('maxPool', [this.of.image()], { kernel: this.evenly(3, 2) }, 1), 1],
      [() => this.step('adaptiveAvgPool', [this.of.image()], { size: 1 }, 1), 1],
      [() => this.step('avgPool', [this.of.image()], { kernel: this.evenly(3, 2) }, 1), 1],
      [() => this.pair('add', { alpha: 1 }, 1), 1],
      [() => this.linear(), 2],
    ],
    adaptiveAvgPool: [[() => this.step('flatten', [this.of.image()], { from: 1 }, 1), 1]],
    flatten: [[() => this.linear(), 1]],
  };

  private activationName(names: readonly string[]): string {
    const other = this.evenly(...names);
    return this.pick([
      ['ReLU', 5],
      ['ReLU6', 1],
      ['ReLU1', 2],
      [other, 4],
    ]);
  }
  private readonly activation = () =>
    this.step('activation', [this.of.any()], { name: this.activationName(Object.keys(activations)) }, 1);
  private readonly activation_ = () =>
    this.step('activation_', [this.of.any()], {
      name: this.activationName(Object.keys(inPlaceActivations)),
    });
  private readonly linear = () => {
    const x = this.of.matrix();
    if (x === null) return null;
    const settings = { slot: this.slot('linear', x), out: this.evenly(2, 5, 17, 32), bias: this.chance(70) };
    return this.step('linear', [x], settings, 1);
  };

  /** What makes the tensors of a network. */
  private readonly graph: Weighted<() => Step | null> = [
    [() => this.conv(), 14],
    [() => this.norm(), 16],
    [this.activation, 12],
    [this.activation_, 4],
    [() => this.pair('add', { alpha: this.chance(85) ? 1 : 0.5 }, 1), 8],
    [() => this.pair('add_'), 2],
    [() => this.pair('mul', {}, 1), 2],
    [this.linear, 5],
    [() => this.step('scale', [this.of.any()], { by: this.evenly(0.5, -1.5) }, 1), 1],
    [() => this.step('maxPool', [this.of.image()], { kernel: this.evenly(3, 2) }, 1), 3],
    [() => this.step('avgPool', [this.of.image()], { kernel: this.evenly(3, 2) }, 1), 1],
    [() => this.step('adaptiveAvgPool', [this.of.image()], { size: this.evenly(1, 1, 2) }, 1), 2],
    [() => this.step('adaptiveMaxPool', [this.of.image()], { size: this.evenly(1, 2) }, 1), 1],
    [() => this.pair('cat', {}, 1), 2],
    [() => this.step('narrow', [this.of.normed()], { dim: this.evenly(1, 0), start: this.below(2) }, 1), 1],
    [() => this.step('flatten', [this.of.image()], { from: this.evenly(1, 1, 2) }, 1), 3],
    [() => this.step('case', [this.of.any()], { name: this.evenly(...graphCases.keys()) }, 1), 8],
    [() => this.step('view', [this.of.any()], {}, 1), 2],
    [() => this.step('permute', [this.of.image()], {}, 1), 1],
    [() => this.step('mean', [this.of.normed()], {}, 1), 1],
    [() => this.step('format', [this.of.image()], { format: this.format }, 1), 2],
    [() => this.step('clone', [this.of.any()], {}, 1), 1],
    [() => this.step('detach', [this.of.any()], {}, 1), 1],
  ];

  /** What happens around it. */
  private readonly around: Weighted<() => Step | null> = [
    [() => this.step('look', [this.of.any()]), 4],
    [() => this.step('retainGrad', [this.of.inner()]), 3],
    [() => this.step('hook', [this.of.graph()], { kind: this.evenly('look', 'double', 'nothing') }), 4],
    [() => this.step('moduleHook', [], { slot: this.of.slot(), kind: this.evenly('look', 'double') }), 1],
    [() => this.backward(), 9],
    [() => this.grad(), 4],
    [() => this.step('leaf', [this.of.any()], {}, 1), 1],
    [() => this.input(), 1],
    [() => this.step('mode', [], { slot: this.of.slot(), training: this.chance(40) }), 4],
    [() => this.step('freeze', [], { slot: this.of.slot() }), 1],
    [
      () =>
        this.step('parameter_', [], {
          slot: this.of.slot(),
          name: this.evenly('weight', 'bias', 'running_mean'),
          by: 1.25,
        }),
      2,
    ],
    [() => this.step('step', []), 2],
    [() => this.step('zeroGrad', []), 2],
    [() => this.step('scale_', [this.of.any()], { by: this.evenly(0.75, -1) }), 1],
    [() => this.step('fill_', [this.of.any()], { by: 0.5 }), 0.3],
    [() => this.pair('copy_'), 0.5],
    [() => this.pair('mul_'), 0.5],
    [() => this.block('noGrad'), 6],
    [() => this.block('scope'), 3],
    [() => this.block('checkpoint'), 3],
    [() => this.block('unfused'), 1],
  ];

  private input(): Step | null {
    const channels = this.evenly(1, 2, 3, 4, 8, 16, 17, 33);
    const shape = this.chance(82)
      ? [this.evenly(1, 2, 2, 3), channels, this.evenly(1, 3, 4, 5, 7, 8), this.evenly(1, 3, 4, 5, 7, 8)]
      : [this.evenly(2, 5, 9), channels];
    return this.step('input', [], { shape, seed: this.seed, format: this.format, needsGrad: this.chance(70) }, 1);
  }

  private backward(): Step | null {
    const [retainGraph, createGraph] = [this.chance(35), this.chance(6)];
    const settings = {
      how: this.evenly('sum', 'given'),
      seed: this.seed,
      format: this.format,
      retainGraph,
      createGraph,
    };
    return this.step('backward', [this.of.graph()], settings);
  }
  private grad(): Step | null {
    const inputs = Array.from({ length: this.evenly(1, 1, 2, 3) }, () => this.of.graph());
    const [retainGraph, createGraph] = [this.chance(50), this.chance(45)];
    const settings = { seed: this.seed, format: this.format, retainGraph: retainGraph || createGraph, createGraph };
    return this.step('grad', [this.of.graph(), ...inputs], settings, inputs.length);
  }

  /** Steps inside a step. Here they are carried out without it, as only their shapes matter. */
  private block(op: string): Step | null {
    if (this.depth > 1) return null;
    const isCheckpoint = op === 'checkpoint';
    const x = isCheckpoint ? this.of.any() : null;
    if (isCheckpoint && x === null) return null;
    const before = [...this.ids];
    this.depth++;
    const body = this.steps(1 + this.below(op === 'noGrad' ? 3 : 5), isCheckpoint ? 0 : 25);
    this.depth--;
    const made = this.ids.slice(before.length);
    if (!isCheckpoint) {
      const kept = made.filter(() => this.chance(50));
      // What a scope has taken back may be asked for all the same.
      if (op === 'scope') this.ids = [...before, ...made.filter((id) => kept.includes(id) || this.chance(5))];
      return { op, of: [], makes: [], with: op === 'scope' ? { kept } : {}, body };
    }
    this.ids = before;
    if (made.length === 0) return null;
    const result = made.at(-1)!;
    const step = this.step(op, [x], { result }, 1, body)!;
    this.machine.tensors.set(step.makes[0], this.machine.tensors.get(result)!);
    return step;
  }

  /** Carries out a step as far as what is drawn after it depends on it. */
  private take(step: Step): void {
    if (!step.body && !this.machine.run(step)) return;
    if (this.following[step.op.replace('_', '')]) this.lastOp = step.op.replace('_', '');
    const sane = (t?: Tensor) => t?.dataSync().every((v) => Math.abs(Number(v)) < highest) ?? false;
    this.ids.push(...step.makes.filter((id) => sane(this.machine.tensors.get(id))));
    if (step.op.endsWith('_')) this.ids = this.ids.filter((id) => sane(this.machine.tensors.get(id)));
  }

  private steps(count: number, percentAround: number): Step[] {
    const steps: Step[] = [];
    for (let tries = 0; steps.length < count && tries < 4 * count; tries++) {
      const following = this.following[this.lastOp];
      const choices = following && this.chance(45) ? following : this.chance(percentAround) ? this.around : this.graph;
      const step = this.pick(choices)();
      if (!step) continue;
      steps.push(step);
      this.take(step);
    }
    return steps;
  }

  all(count: number): Step[] {
    const first = this.input()!;
    this.take(first);
    const steps = [first, ...this.steps(count, 30)];
    const last = this.chance(80) ? this.backward() : null;
    return last ? [...steps, last] : steps;
  }

  looks(): number[] {
    const ids = [...this.machine.tensors.keys()].filter(() => this.chance(60));
    if (this.chance(50)) ids.reverse();
    return ids;
  }
}

/** The program of a seed. */
export function drawGraph(seed: number): GraphProgram {
  const choose = uniforms(seed ^ 0x5bd1e995);
  const dtype = choose() < 0.6 ? 'float64' : 'float32';
  const draw = new Draw(seed, dtype);
  return withFusion(false, () => {
    const steps = draw.all(5 + Math.floor(choose() * 35));
    return { dtype, threads: choose() < 0.5 ? 1 : 2, scoped: choose() < 0.5, steps, looks: draw.looks() };
  });
}
