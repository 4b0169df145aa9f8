// Draws programs of the tensor fuzzer from a seed: tensors with sizes of 0 and 1 among them, arguments that mostly fit,
// and in one call of four one that does not.
import { type DType, isFloat } from '../../src/tensor/dtype.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { setWarningHandler } from '../../src/warnings.ts';
import { uniforms } from '../values.ts';
import { calls } from './calls.ts';
import { type Arg, type Given, type Special, type Step, special, type TensorProgram } from './program.ts';
import { argumentOf, tensorOf } from './run.ts';

const allDtypes: readonly DType[] = ['float32', 'float64', 'int64', 'int32', 'uint8', 'bool'];

class Draw {
  readonly given: Given[] = [];
  readonly pool: Tensor[] = [];
  readonly steps: Step[] = [];
  private readonly uniform: () => number;
  constructor(seed: number) {
    this.uniform = uniforms(seed);
  }

  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }
  chance(p: number): boolean {
    return this.uniform() < p;
  }
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  size(): number {
    return this.pick([1, 2, 2, 3, 3, 3, 4, 5, 0, 1]);
  }
  shape(rank = this.pick([0, 1, 1, 2, 2, 2, 3, 3, 4])): number[] {
    for (;;) {
      const shape = Array.from({ length: rank }, () => this.size());
      if (sizeOf(shape) <= 72) return shape;
    }
  }
  dtype(): DType {
    return this.pick([...allDtypes, 'float32', 'float64']);
  }

  private value(dtype: DType): number | Special {
    if (dtype === 'bool') return this.below(2);
    if (dtype === 'uint8') return this.below(20);
    if (!isFloat(dtype)) return this.between(-9, 9);
    return this.chance(0.02) ? special(this.pick([NaN, Infinity, -Infinity, -0])) : this.between(-24, 24) / 8;
  }

  /** A new tensor; its number. Steps come after all that is given, so it must be drawn before any of them. */
  give(shape: readonly number[], dtype: DType, values?: readonly number[]): number {
    const data = values ?? Array.from({ length: sizeOf(shape) }, () => this.value(dtype));
    const given = { shape, dtype, data, requiresGrad: !values && isFloat(dtype) && this.chance(0.6) };
    this.given.push(given);
    this.pool.push(tensorOf(given));
    return this.pool.length - 1;
  }
  tensor(shape: readonly number[], dtype: DType, values?: readonly number[]): Arg {
    return { t: this.give(shape, dtype, values) };
  }

  dim(rank: number): number {
    const size = Math.max(1, rank);
    return this.between(-size, size - 1);
  }
  /** Distinct dimensions, some of them negative. */
  dims(rank: number): number[] {
    const all = Array.from({ length: rank }, (_, d) => d).filter(() => this.chance(0.5));
    return all.map((d) => (this.chance(0.3) ? d - rank : d));
  }
  order(rank: number): number[] {
    const dims = Array.from({ length: rank }, (_, d) => d);
    for (let i = rank - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [dims[i], dims[j]] = [dims[j], dims[i]];
    }
    return dims;
  }
  /** An index of a dimension of size n, rarely one outside. */
  at(n: number, negative = true): number {
    if (n === 0 || this.chance(0.03)) return this.pick([n, -n - 1, n + 3]);
    return negative ? this.between(-n, n - 1) : this.below(n);
  }
  indices(
    shape: readonly number[],
    n: number,
    negative: boolean,
    dtype: DType = this.pick(['int64', 'int64', 'int32']),
  ) {
    const count = sizeOf(shape);
    const ok = n > 0;
    return this.tensor(
      ok || count === 0 ? shape : [0],
      dtype,
      Array.from({ length: ok ? count : 0 }, () => this.at(n, negative)),
    );
  }
  mask(shape: readonly number[], dtype: DType = 'bool'): Arg {
    return this.tensor(
      shape,
      dtype,
      Array.from({ length: sizeOf(shape) }, () => this.below(2)),
    );
  }
  /** A shape that broadcasts to another. */
  under(shape: readonly number[]): number[] {
    const cut = this.chance(0.3) ? this.below(shape.length + 1) : 0;
    return shape.slice(cut).map((n) => (this.chance(0.2) ? 1 : n));
  }
  number(): number {
    return this.pick([0, 1, 2, -1, 3, 0.5, -1.5, 2.25]);
  }
  /** An argument that is wrong, or as likely as not wrong, in the place of one that fits. */
  wrong(): Arg {
    return this.pick<() => Arg>([
      () => 1.5,
      () => special(NaN),
      () => special(Infinity),
      () => -1,
      () => -7,
      () => 0,
      () => 99,
      () => [],
      () => [0, 0],
      () => [1.5],
      () => [-2, 3],
      () => [-1, -1],
      () => ({ t: this.below(this.pool.length) }),
      () => this.tensor(this.shape(), this.dtype()),
    ])();
  }
}

type Args = (d: Draw, shape: readonly number[], dtype: DType, x: number) => Arg[];
interface Kind {
  readonly name: string;
  readonly ops: Readonly<Record<string, Args>>;
}

/** The shape of what entries select, near enough: for the shape of values to be written. */
function entries(d: Draw, shape: readonly number[]): Arg[] {
  const spec: Arg[] = [];
  const joined = d.pick([[], [1], [2], [3], [2, 1], [1, 3], [2, 3], [0]]);
  let dim = 0;
  const left = () => shape.length - dim;
  while (left() > 0 || d.chance(0.1)) {
    if (d.chance(0.08)) {
      spec.push(d.pick<Arg>([null, true, false, null]));
      continue;
    }
    if (left() === 0) break;
    const n = shape[dim];
    const kind = d.below(12);
    if (kind < 2) spec.push(d.at(n));
    else if (kind < 5) {
      const part = () => (d.chance(0.5) ? '' : String(d.between(-n - 1, n + 1)));
      const step = d.chance(0.4) ? `:${d.pick(['', '1', '2', '3'])}` : '';
      spec.push(`${part()}:${part()}${step}`);
    } else if (kind < 8) {
      const own = joined.slice(d.below(joined.length + 1)).map((size) => (d.chance(0.2) ? 1 : size));
      spec.push(d.indices(own, n, true));
    } else if (kind === 8) spec.push(Array.from({ length: d.below(4) }, () => (n > 0 ? d.at(n) : 0)));
    else if (kind === 9) {
      const covered = shape.slice(dim, dim + d.between(1, Math.min(2, left())));
      spec.push(d.mask(covered, d.chance(0.1) ? 'uint8' : 'bool'));
      dim += covered.length - 1;
    } else if (kind === 10 && !spec.includes('...')) {
      spec.push('...');
      dim += d.below(left() + 1) - 1;
    } else if (d.chance(0.4)) break;
    else spec.push(':');
    dim++;
  }
  if (d.chance(0.04))
    spec.splice(d.below(spec.length + 1), 0, d.pick<Arg>([0, 1.5, special(NaN), [0.5], '1', d.tensor([2], 'float32')]));
  return spec;
}

/** What entries select, by trying; null where they are refused. */
function selectedShape(d: Draw, x: number, spec: readonly Arg[]): readonly number[] | null {
  try {
    return (calls.index(d.pool[x], ...spec.map((arg) => argumentOf(arg, d.pool))) as Tensor).shape;
  } catch {
    return null;
  }
}

const setting: Args = (d, shape, dtype, x) => {
  const spec = entries(d, shape);
  const target = selectedShape(d, x, spec) ?? d.shape();
  const own = d.under(target);
  if (d.chance(0.1)) own.unshift(1);
  const value = d.chance(0.3)
    ? d.number()
    : d.tensor(d.chance(0.08) ? d.shape() : own, d.chance(0.12) ? d.dtype() : dtype);
  return [spec, value];
};

/** An index for gather and its kin: of x's rank, smaller or, along the dimension, of any size. */
const alongIndex = (d: Draw, shape: readonly number[], dim: number): [Arg, number[]] => {
  const at = dim < 0 ? dim + Math.max(1, shape.length) : dim;
  const own = shape.map((n, i) => (i === at ? d.size() : d.chance(0.3) ? d.between(0, n) : n));
  if (shape.length > 0 && d.chance(0.04)) own[d.below(own.length)] += 1;
  const n = shape[at] ?? 1;
  return [d.indices(own, n, false), n > 0 ? own : [0]];
};
const scattering: Args = (d, shape, dtype) => {
  const dim = d.dim(shape.length);
  const [index, own] = alongIndex(d, shape, dim);
  const larger = own.map((n) => (d.chance(0.15) ? n + d.below(2) : n));
  return [dim, index, d.tensor(d.chance(0.05) ? d.shape() : larger, d.chance(0.05) ? d.dtype() : dtype)];
};
const slices = (
  d: Draw,
  shape: readonly number[],
  dtype: DType,
  negative = false,
): [dim: number, index: Arg, source: Arg] => {
  const dim = d.dim(shape.length);
  const at = dim < 0 ? dim + Math.max(1, shape.length) : dim;
  const n = shape[at] ?? 1;
  const count = shape.length === 0 ? 1 : n === 0 ? 0 : d.below(4);
  const index = d.indices(count === 1 && d.chance(0.3) ? [] : [count], n, negative, 'int64');
  const own = shape.map((size, i) => (i === at ? count : size));
  return [dim, index, d.tensor(d.chance(0.06) ? d.shape() : own, d.chance(0.05) ? d.dtype() : dtype)];
};
const none: Args = () => [];
const reduced: Args = (d, shape) => [
  d.pick<() => Arg>([() => null, () => d.dim(shape.length), () => d.dims(shape.length)])(),
  d.chance(0.4),
];
const along: Args = (d, shape) => [d.chance(0.3) ? null : d.dim(shape.length), d.chance(0.4)];
const other: Args = (d, shape) => [
  d.chance(0.4) ? d.number() : d.tensor(d.chance(0.05) ? d.shape() : d.under(shape), d.dtype()),
];

const kinds: readonly Kind[] = [
  { name: 'index', ops: { index: (d, shape) => entries(d, shape) } },
  { name: 'setIndex', ops: { setIndex: setting, setIndexAccumulate: setting } },
  {
    name: 'gather',
    ops: {
      gather: (d, shape) => {
        const dim = d.dim(shape.length);
        return [dim, alongIndex(d, shape, dim)[0]];
      },
      scatter: (d, shape, dtype, x) => {
        const [dim, index, source] = scattering(d, shape, dtype, x);
        return [dim, index, d.chance(0.3) ? d.number() : source];
      },
      scatterAdd: scattering,
      takeAlongDim: (d, shape) => {
        if (d.chance(0.2)) return [d.indices(d.shape(), sizeOf(shape), true, 'int64')];
        const dim = d.dim(shape.length);
        const at = dim < 0 ? dim + shape.length : dim;
        const own = shape.map((n, i) => (i === at ? d.size() : d.chance(0.3) ? 1 : n));
        return [d.indices(own, shape[at] ?? 1, true, 'int64'), dim];
      },
      indexSelect: (d, shape, dtype) => slices(d, shape, dtype).slice(0, 2),
      indexAdd: (d, shape, dtype) => [...slices(d, shape, dtype), d.chance(0.5) ? 1 : d.number()],
      indexCopy: (d, shape, dtype) => slices(d, shape, dtype),
      indexFill: (d, shape, dtype) => [
        ...slices(d, shape, dtype, true).slice(0, 2),
        d.chance(0.6) ? d.number() : d.tensor(d.chance(0.9) ? [] : [1], dtype),
      ],
      maskedSelect: (d, shape) => [d.mask(d.under(shape))],
      maskedScatter: (d, shape, dtype) => [
        d.mask(d.under(shape)),
        d.tensor(d.chance(0.9) ? [sizeOf(shape)] : d.shape(), dtype),
      ],
      maskedFill: (d, shape) => [d.mask(d.under(shape)), d.number()],
      embedding: (d, shape) => {
        const weight = d.tensor([4, 3], d.pick(['float32', 'float64']));
        return [weight, d.chance(0.5) ? null : d.between(-4, shape.length === 0 ? 4 : 3)];
      },
    },
  },
  {
    name: 'shape',
    ops: {
      reshape: (d, shape) => {
        const sizes = d.order(shape.length).map((i) => shape[i]);
        if (d.chance(0.4) && sizes.length > 1) sizes.push(sizes.pop()! * sizes.pop()!);
        if (d.chance(0.3)) sizes.splice(d.below(sizes.length + 1), 0, 1);
        if (sizes.length > 0 && d.chance(0.4)) sizes[d.below(sizes.length)] = -1;
        return [sizes];
      },
      flatten: (d, shape) => [d.dim(shape.length), d.chance(0.7) ? -1 : d.dim(shape.length)],
      unflatten: (d, shape) => {
        const dim = d.dim(shape.length);
        const n = shape.at(dim) ?? 1;
        return [dim, d.pick([[n, 1], [1, -1], [-1, 2], [n], [2, 3]])];
      },
      squeeze: (d, shape) =>
        d.pick<() => Arg[]>([() => [], () => [d.dim(shape.length)], () => [d.dims(shape.length)]])(),
      unsqueeze: (d, shape) => [d.dim(shape.length + 1)],
      permute: (d, shape) => [d.order(shape.length).map((i) => (d.chance(0.3) ? i - shape.length : i))],
      transpose: (d, shape) => [d.dim(shape.length), d.dim(shape.length)],
      t: none,
      expand: (d, shape) => {
        const lead = d.chance(0.4) ? [d.size()] : [];
        return [[...lead, ...shape.map((n) => (n === 1 ? d.pick([1, 2, 3, 0, -1]) : d.chance(0.3) ? -1 : n))]];
      },
      repeat: (d, shape) => [[...(d.chance(0.3) ? [d.below(3)] : []), ...shape.map(() => d.pick([1, 1, 2, 3, 0]))]],
      narrow: (d, shape) => {
        const dim = d.dim(shape.length);
        const n = shape.at(dim) ?? 1;
        const start = d.below(n + 1);
        return [dim, d.chance(0.3) ? start - n : start, d.below(n - start + 1)];
      },
      slice: (d, shape) => {
        const dim = d.dim(shape.length);
        const n = shape.at(dim) ?? 1;
        const limit = () => (d.chance(0.3) ? null : d.between(-n - 2, n + 2));
        return [dim, limit(), limit(), d.pick([null, 1, 2, 3])];
      },
      select: (d, shape) => {
        const dim = d.dim(shape.length);
        return [dim, d.at(shape.at(dim) ?? 1)];
      },
      flip: (d, shape) => [d.dims(shape.length)],
      pad: (d, shape) => [
        Array.from({ length: 2 * d.below(shape.length + 1) }, () => d.pick([0, 0, 1, 2, -1])),
        d.number(),
      ],
      split: (d, shape) => {
        const dim = d.dim(shape.length);
        const n = shape.at(dim) ?? 1;
        const part = d.below(n + 1);
        return [d.chance(0.5) ? d.between(n > 0 ? 1 : 0, n + 1) : [part, n - part], dim];
      },
      chunk: (d, shape) => [d.between(1, 5), d.dim(shape.length)],
      cat: (d, shape, dtype, x) => {
        const dim = d.dim(shape.length);
        const at = dim < 0 ? dim + shape.length : dim;
        const parts = Array.from({ length: d.below(3) }, () =>
          d.chance(0.15)
            ? d.tensor([0], d.dtype())
            : d.tensor(
                d.chance(0.04) ? d.shape() : shape.map((n, i) => (i === at ? d.size() : n)),
                d.chance(0.2) ? d.dtype() : dtype,
              ),
        );
        parts.splice(d.below(parts.length + 1), 0, { t: x });
        return [parts, dim];
      },
      stack: (d, shape, dtype, x) => {
        const parts: Arg[] = Array.from({ length: d.below(3) }, () =>
          d.tensor(d.chance(0.04) ? d.shape() : shape, d.chance(0.2) ? d.dtype() : dtype),
        );
        return [[...parts, { t: x }], d.dim(shape.length + 1)];
      },
    },
  },
  {
    name: 'elementwise',
    ops: {
      ...Object.fromEntries(
        [
          'add',
          'sub',
          'mul',
          'div',
          'pow',
          'remainder',
          'maximum',
          'minimum',
          'eq',
          'ne',
          'lt',
          'le',
          'gt',
          'ge',
          'logicalAnd',
          'logicalOr',
          'logicalXor',
        ].map((name) => [
          name,
          name.startsWith('logical') || name.endsWith('imum')
            ? (d: Draw, shape: readonly number[]) => [d.tensor(d.under(shape), d.dtype())]
            : other,
        ]),
      ),
      ...Object.fromEntries(
        [
          'logicalNot',
          'neg',
          'abs',
          'sign',
          'square',
          'floor',
          'ceil',
          'round',
          'exp',
          'tanh',
          'sigmoid',
          'relu',
          'isnan',
          'isfinite',
          'clone',
          'detach',
        ].map((name) => [name, none]),
      ),
      clamp: (d) => [d.chance(0.3) ? null : d.number(), d.chance(0.3) ? null : d.number()],
      where: (d, shape) => [
        d.chance(0.5) ? d.number() : d.tensor(d.under(shape), d.dtype()),
        d.chance(0.3) ? d.number() : d.tensor(d.under(shape), d.dtype()),
      ],
      to: (d) => [d.dtype()],
      fill_: (d) => [d.number()],
      copy_: (d, shape) => [d.tensor(d.chance(0.05) ? d.shape() : d.under(shape), d.dtype())],
      add_: other,
      mul_: other,
    },
  },
  {
    name: 'reduce',
    ops: {
      ...Object.fromEntries(['sum', 'mean', 'amax', 'amin', 'any', 'all'].map((name) => [name, reduced])),
      ...Object.fromEntries(['prod', 'argmax', 'argmin'].map((name) => [name, along])),
      cumsum: (d, shape) => [d.dim(shape.length)],
      softmax: (d, shape) => [d.dim(shape.length)],
      logSoftmax: (d, shape) => [d.dim(shape.length)],
      topk: (d, shape) => {
        const dim = d.dim(shape.length);
        return [d.below((shape.at(dim) ?? 1) + 1), dim];
      },
    },
  },
];

export const kindNames = kinds.map(({ name }) => name);
const shaping = kinds.find(({ name }) => name === 'shape')!;

/**
 * Adds one call on tensor x. Its arguments' tensors are given before it, so the numbers of earlier results move up; see
 * `drawTensors`.
 */
function addStep(d: Draw, kind: Kind, x: number): void {
  const op = d.pick(Object.keys(kind.ops));
  const { shape, dtype } = d.pool[x];
  const args = [...kind.ops[op](d, shape, dtype, x)];
  // Truth values (keepdim) and operands are not among what may be wrong: Python has its own idea of the first, the
  // second may be anything.
  const open = kind.name === 'elementwise' ? 0 : kind.name === 'reduce' ? Math.min(1, args.length) : args.length;
  if (open > 0 && d.chance(0.12)) args[d.below(open)] = d.wrong();
  d.steps.push({ op, on: x, args });
}

/** The program of a seed; null where it is none of the kinds asked for. */
export function drawTensors(seed: number, isWanted: (kind: string) => boolean): TensorProgram | null {
  const d = new Draw(seed);
  const kind = d.pick(kinds);
  if (!isWanted(kind.name)) return null;
  const former = setWarningHandler(() => {});
  try {
    const isEmbedding = kind.name === 'gather' && d.chance(0.08);
    if (isEmbedding) {
      const x = d.give(d.shape(), 'int64', undefined);
      const { shape } = d.pool[x];
      d.given[x] = {
        ...d.given[x],
        data: Array.from({ length: sizeOf(shape) }, () => (d.chance(0.03) ? 4 : d.below(4))),
      };
      d.pool[x] = tensorOf(d.given[x]);
      d.steps.push({ op: 'embedding', on: x, args: kind.ops.embedding(d, shape, 'int64', x) });
    } else addStep(d, kind, d.give(d.shape(), d.dtype()));
    // Some programs look at the tensor through a view first or after, or change the shape of the result.
    const follow = d.chance(0.35);
    if (follow) {
      const [{ op, on, args }] = d.steps;
      let result: Tensor | undefined;
      try {
        const made = calls[op](d.pool[on], ...args.map((arg) => argumentOf(arg, d.pool)));
        result = Array.isArray(made) ? made[0] : (made as Tensor);
      } catch {
        // The program ends here.
      }
      if (result) {
        // The result's number is one behind all that is given, so it is put there only when the next call's tensors are
        // drawn.
        const probe = new Draw(seed ^ 0x5bd1e995);
        probe.given.push(...d.given);
        probe.pool.push(...d.given.map(tensorOf), result);
        const at = probe.pool.length - 1;
        const next = probe.pick([shaping, kind]);
        addStep(probe, next, at);
        moveResultBack(probe, at);
        d.given.splice(0, d.given.length, ...probe.given);
        d.steps.push(...probe.steps.map((step) => ({ ...step, on: renumbered(step.on, at, d.given.length) })));
      }
    }
  } finally {
    setWarningHandler(former);
  }
  // Which of equal values is taken, and has the gradient, is open.
  const isTied = d.steps.some(({ op }) => op === 'topk');
  return { kind: kind.name, given: d.given, steps: d.steps, order: isTied ? 0 : d.pick([0, 1, 1, 2]) };
}

/** Tensors that were given after the result move before it. */
function moveResultBack(d: Draw, at: number): void {
  const move = (arg: Arg): Arg =>
    Array.isArray(arg)
      ? arg.map(move)
      : typeof arg === 'object' && arg !== null && 't' in arg
        ? { t: renumbered(arg.t, at, d.given.length) }
        : arg;
  d.steps.forEach((step, i) => {
    d.steps[i] = { ...step, args: step.args.map(move) };
  });
}
const renumbered = (t: number, result: number, given: number): number =>
  t === result ? given : t > result ? t - 1 : t;
