// Recurrent layers and single cells: parameters, checks, initial states. The steps are in ops/recurrent.ts.
import { maxElements, requireChoice, requireInteger, requireProbability } from '../checks.ts';
import { ArgumentTypeError, RuntimeError, ValueError } from '../errors.ts';
import { dropoutWith } from '../ops/dropout.ts';
import { gatesOf, recurrent } from '../ops/recurrent.ts';
import { cat, narrow, reshape, select, squeeze, stack, transpose, unsqueeze } from '../ops/shape_ops.ts';
import { declareOptions, kind, type Options, requireOptions } from '../options.ts';
import { boolText, floatText } from '../python_text.ts';
import { empty, fullOn } from '../tensor/create.ts';
import { requireDType } from '../tensor/dtype.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { sameShape } from '../tensor/shape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { warn } from '../warnings.ts';
import { uniform_ } from './init.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';
import { PackedSequence, rowsOf, type Segment, segmentsOf } from './packed_sequence.ts';
import { type DTypeOption, Parameter } from './parameter.ts';

type Kind = keyof typeof gatesOf;

/** Options of `GRU`, and of the other recurrent layers, which have more. */
export interface RecurrentOptions extends DTypeOption {
  /** How many layers stand one on the other. Default: 1. */
  numLayers?: number;
  /** Whether there are biases. Default: true. */
  bias?: boolean;
  /** Whether inputs and outputs are (N, L, …), not (L, N, …). Default: false. */
  batchFirst?: boolean;
  /** The probability of the dropout behind every layer but the last. Default: 0. */
  dropout?: number;
  /** Whether every layer goes through the steps in both directions. Default: false. */
  bidirectional?: boolean;
}
const recurrentKinds = {
  numLayers: kind.integer,
  bias: kind.flag,
  batchFirst: kind.flag,
  dropout: kind.number,
  bidirectional: kind.flag,
  dtype: kind.choice,
};
const recurrentOptions = declareOptions<RecurrentOptions>(recurrentKinds);
/** Options of `RNN`. */
export interface RNNOptions extends RecurrentOptions {
  /** What is applied to the sums of a step. Default: 'tanh'. */
  nonlinearity?: 'tanh' | 'relu';
}
const rnnOptions = declareOptions<RNNOptions>({ ...recurrentKinds, nonlinearity: kind.choice });
/** Options of `LSTM`. */
export interface LSTMOptions extends RecurrentOptions {
  /** The size to which hidden states are projected; 0: they are not. Default: 0. */
  projSize?: number;
}
const lstmOptions = declareOptions<LSTMOptions>({ ...recurrentKinds, projSize: kind.integer });

/** The states of an LSTM: hidden, and cells. */
export type LSTMState = readonly [h: Tensor, c: Tensor];

/** What all recurrent layers share. */
abstract class RecurrentLayer extends Module {
  /** The size of an input. */
  readonly inputSize: number;
  /** The size of a hidden state. */
  readonly hiddenSize: number;
  /** How many layers stand one on the other. */
  readonly numLayers: number;
  /** Whether there are biases. */
  readonly bias: boolean;
  /** Whether inputs and outputs are (N, L, …). */
  readonly batchFirst: boolean;
  /** The probability of the dropout between layers. */
  readonly dropout: number;
  /** Whether every layer goes through the steps in both directions. */
  readonly bidirectional: boolean;
  /** The size to which hidden states are projected; 0: they are not. */
  readonly projSize: number;
  /** What a step computes. */
  private readonly step: Kind;

  constructor(
    step: Kind,
    inputSize: number,
    hiddenSize: number,
    options: RecurrentOptions & { projSize?: number },
    known: Options<never>,
  ) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options as never, known);
    const { numLayers = 1, bias = true, batchFirst = false, dropout = 0, bidirectional = false, dtype } = options;
    const { projSize = 0 } = options;
    for (const [what, value] of Object.entries({ inputSize, hiddenSize, numLayers, projSize }))
      requireInteger(name, what, value, Number.MIN_SAFE_INTEGER, maxElements);
    requireProbability(name, 'dropout', dropout);
    if (dtype !== undefined) requireDType(name, dtype);
    if (dropout > 0 && numLayers === 1)
      warn(
        `dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects numLayers greater than 1, but got dropout=${dropout} and numLayers=${numLayers}`,
      );
    for (const [what, value] of Object.entries({ inputSize, hiddenSize, numLayers }))
      if (value <= 0) throw new ValueError(`${what} must be greater than zero`);
    if (projSize < 0) throw new ValueError('projSize should be a positive integer or zero to disable projections');
    if (projSize >= hiddenSize) throw new ValueError('projSize has to be smaller than hiddenSize');
    this.step = step;
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.numLayers = numLayers;
    this.bias = bias;
    this.batchFirst = batchFirst;
    this.dropout = dropout;
    this.bidirectional = bidirectional;
    this.projSize = projSize;
    const rows = gatesOf[step] * hiddenSize;
    const add = (name: string, ...shape: number[]) =>
      this.registerParameter(name, new Parameter(empty(shape, { dtype })));
    this.forEachDirection((layer, end) => {
      add(`weight_ih_${end}`, rows, layer === 0 ? inputSize : this.outSize * this.directions);
      add(`weight_hh_${end}`, rows, this.outSize);
      if (bias) add(`bias_ih_${end}`, rows);
      if (bias) add(`bias_hh_${end}`, rows);
      if (projSize > 0) add(`weight_hr_${end}`, projSize, hiddenSize);
    });
    this.resetParameters();
  }

  private get directions(): number {
    return this.bidirectional ? 2 : 1;
  }
  /** The size of what one direction gives. */
  private get outSize(): number {
    return this.projSize || this.hiddenSize;
  }
  /** Calls `body` with each layer, the end of its parameters' names, and its place among the states. */
  private forEachDirection(body: (layer: number, end: string, place: number) => void): void {
    for (let layer = 0; layer < this.numLayers; layer++)
      for (let direction = 0; direction < this.directions; direction++)
        body(layer, `l${layer}${direction === 1 ? '_reverse' : ''}`, layer * this.directions + direction);
  }

  /** Draws all parameters anew, uniform in ±1/√hiddenSize. */
  resetParameters(): void {
    const bound = 1 / Math.sqrt(this.hiddenSize);
    for (const parameter of this.parameters()) uniform_(parameter, -bound, bound);
  }

  /**
   * The outputs of the last layer, and the last states of every direction of every layer.
   * @param given the initial states: hidden, and of an LSTM cells.
   * @internal
   */
  protected through<X extends Tensor | PackedSequence>(
    x: X,
    given: readonly Tensor[] | null,
  ): [y: X, states: Tensor[]] {
    return (x instanceof PackedSequence ? this.throughPacked(x, given) : this.throughTensor(x, given)) as [X, Tensor[]];
  }

  private throughTensor(x: Tensor, given: readonly Tensor[] | null): [y: Tensor, states: Tensor[]] {
    const { name } = this.constructor;
    requireTensor(name, x);
    if (x.rank !== 2 && x.rank !== 3)
      throw new RuntimeError(`${name}: Expected input to be 2D or 3D, got ${x.rank}D instead`);
    const isBatched = x.rank === 3;
    this.requireInput(x);
    const ordered = !isBatched ? unsqueeze(x, 1) : this.batchFirst ? transpose(x, 0, 1) : x;
    const [steps, n, features] = ordered.shape;
    if (steps === 0) throw new RuntimeError('Expected sequence length to be larger than 0 in RNN');
    const initial = this.initialStates(x, n, isBatched, given);
    const [rows, states] = this.throughLayers(
      reshape(ordered, [steps * n, features]),
      [{ first: 0, steps, n }],
      initial,
    );
    const y = reshape(rows, [steps, n, rows.shape[1]]);
    if (!isBatched) return [squeeze(y, 1), states.map((state) => squeeze(state, 1))];
    return [this.batchFirst ? transpose(y, 0, 1) : y, states];
  }

  private throughPacked(x: PackedSequence, given: readonly Tensor[] | null): [y: PackedSequence, states: Tensor[]] {
    const { data, batchSizes, sortedIndices, unsortedIndices } = x;
    if (data.rank !== 2) throw new RuntimeError(`input must have 2 dimensions, got ${data.rank}`);
    this.requireInput(data);
    const ordered = (states: readonly Tensor[], places: readonly number[] | null) =>
      places ? states.map((state) => rowsOf(state, 1, places)) : [...states];
    const initial = ordered(this.initialStates(data, batchSizes[0], true, given), sortedIndices);
    const [rows, states] = this.throughLayers(data, segmentsOf(batchSizes), initial);
    return [new PackedSequence(rows, batchSizes, sortedIndices), ordered(states, unsortedIndices)];
  }

  private requireInput(x: Tensor): void {
    const weight = Module.read(this, 'weight_ih_l0') as Parameter;
    if (x.dtype !== weight.dtype)
      throw new ValueError(
        `RNN input dtype (${x.dtype}) does not match weight dtype (${weight.dtype}). Convert input: input.to('${weight.dtype}'), or convert model: model.to('${x.dtype}')`,
      );
    if (x.shape.at(-1) !== this.inputSize)
      throw new RuntimeError(
        `input.shape.at(-1) must be equal to inputSize. Expected ${this.inputSize}, got ${x.shape.at(-1)}`,
      );
  }

  /** The outputs of the last layer (rows, …) for inputs (rows, …), and the last states. */
  private throughLayers(
    x: Tensor,
    segments: readonly Segment[],
    initial: readonly Tensor[],
  ): [rows: Tensor, states: Tensor[]] {
    const last: Tensor[][] = initial.map(() => []);
    let input = x;
    let outputs: Tensor[] = [];
    this.forEachDirection((layer, end, place) => {
      if (place > 0 && place % this.directions === 0) {
        input = dropoutWith(together(outputs, -1), this.dropout, this.training && layer > 0);
        outputs = [];
      }
      const states = initial.map((state) => select(state, 0, place));
      const [y, behind] = this.throughSegments(input, segments, end, states);
      outputs.push(y);
      for (const [i, state] of behind.entries()) last[i].push(state);
    });
    return [together(outputs, -1), last.map((parts) => stack(parts))];
  }

  /**
   * One direction of one layer. Where sequences end, their states are put aside; backwards, those that begin there join
   * with their initial states.
   */
  private throughSegments(
    x: Tensor,
    segments: readonly Segment[],
    end: string,
    initial: readonly Tensor[],
  ): [rows: Tensor, states: Tensor[]] {
    const parameter = (name: string) => (Module.read(this, `${name}_${end}`) as Parameter | null | undefined) ?? null;
    const reverse = end.endsWith('reverse');
    const outputs: Tensor[] = [];
    const ended: Tensor[][] = initial.map(() => []);
    let states: Tensor[] | null = null;
    for (const { first, steps, n } of reverse ? [...segments].reverse() : segments) {
      const before: Tensor[] = states ?? initial.map((state) => part(state, 0, n));
      const count = before[0].shape[0];
      for (const [i, state] of before.entries()) if (count > n) ended[i].unshift(part(state, n, count));
      const now = before.map((state, i) => (count < n ? cat([state, part(initial[i], count, n)]) : part(state, 0, n)));
      const [y, ...behind] = recurrent(
        reshape(part(x, first, first + steps * n), [steps, n, x.shape[1]]),
        parameter('weight_ih')!,
        parameter('weight_hh')!,
        parameter('bias_ih'),
        parameter('bias_hh'),
        parameter('weight_hr'),
        now[0],
        now[1] ?? null,
        { kind: this.step, reverse },
      );
      const rows = reshape(y, [steps * n, this.outSize]);
      if (reverse) outputs.unshift(rows);
      else outputs.push(rows);
      states = behind;
    }
    return [together(outputs, 0), states!.map((state, i) => together([state, ...ended[i]], 0))];
  }

  /** The initial states with a batch dimension: those that are given, or zeros. */
  private initialStates(x: Tensor, n: number, isBatched: boolean, given: readonly Tensor[] | null): Tensor[] {
    const count = this.numLayers * this.directions;
    const sizes = this.step === 'lstm' ? [this.outSize, this.hiddenSize] : [this.hiddenSize];
    return sizes.map((size, i) => {
      const state = given?.[i];
      if (!state) return fullOn(x.backend, [count, n, size], 0, x.dtype);
      const what = sizes.length > 1 ? ` hidden[${i}]` : ' hidden';
      const rank = isBatched ? 3 : 2;
      if (state.rank !== rank)
        throw new RuntimeError(
          `For ${isBatched ? 'batched 3-D' : 'unbatched 2-D'} input, hx${sizes.length > 1 ? ' and cx' : ''} should also be ${rank}-D but got ${state.rank}-D tensor`,
        );
      const expected = isBatched ? [count, n, size] : [count, size];
      if (!sameShape(state.shape, expected))
        throw new RuntimeError(`Expected${what} size (${expected.join(', ')}), got [${state.shape.join(', ')}]`);
      if (state.dtype !== x.dtype)
        throw new RuntimeError(
          `Input and hidden tensors are not the same dtype, found input tensor with ${x.dtype} and hidden tensor with ${state.dtype}`,
        );
      return isBatched ? state : unsqueeze(state, 1);
    });
  }

  /** @internal */
  override get dependsOnMode(): boolean {
    return this.dropout > 0;
  }

  override extraRepr(): string {
    return [
      `${this.inputSize}, ${this.hiddenSize}`,
      ...(this.projSize === 0 ? [] : [`proj_size=${this.projSize}`]),
      ...(this.numLayers === 1 ? [] : [`num_layers=${this.numLayers}`]),
      ...(this.bias ? [] : ['bias=False']),
      ...(this.batchFirst ? ['batch_first=True'] : []),
      ...(this.dropout === 0 ? [] : [`dropout=${floatText(this.dropout)}`]),
      ...(this.bidirectional ? ['bidirectional=True'] : []),
    ].join(', ');
  }
}

/** Tensors joined along a dimension; a single one is itself. */
const together = (tensors: readonly Tensor[], dim: number): Tensor =>
  tensors.length === 1 ? tensors[0] : cat(tensors, dim);
/** Rows `begin` to `end` of x; x itself where these are all. */
const part = (x: Tensor, begin: number, end: number): Tensor =>
  begin === 0 && end === x.shape[0] ? x : narrow(x, 0, begin, end - begin);

/** The initial state of a layer with one. */
function oneState(name: string, hx: Tensor | null): Tensor[] | null {
  if (hx === null) return null;
  requireTensor(name, hx);
  return [hx];
}
function twoStates(name: string, hx: LSTMState | null): LSTMState | null {
  if (hx === null) return null;
  if (!Array.isArray(hx) || hx.length !== 2 || !hx.every((state) => state instanceof Tensor))
    throw new ArgumentTypeError(`[${name}] expected [h, c], two tensors, as the initial states`);
  return hx;
}

export interface RNN {
  /** Runs forward with its hooks, on sequences of different lengths. */
  // biome-ignore lint/style/useShorthandFunctionType: a type could not be merged with the class
  (x: PackedSequence, hx?: Tensor | null): [output: PackedSequence, h: Tensor];
}

/**
 * A layer, or several, of Elman's network (Elman 1990; PyTorch: `nn.RNN`): hₜ = tanh(W·xₜ + b + W′·hₜ₋₁ + b′), or relu.
 * x (L, N, inputSize), or (N, L, …) with `batchFirst`, or without the batch dimension N, and hidden states
 * (numLayers·directions, N, hiddenSize), by default zeros, give [output (L, N, directions·hiddenSize), the last hidden
 * states]. Parameters are `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, …, with `_reverse` behind those
 * of the other direction; they start uniform in ±1/√hiddenSize.
 * @throws ValueError on sizes that are not positive; RuntimeError at the call where shapes do not fit.
 * @example
 * const [states, last] = new RNN(3, 4)(randn([5, 2, 3])); // shapes [5, 2, 4] and [1, 2, 4]
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: what is merged is a call, which a class cannot declare
export class RNN extends RecurrentLayer {
  /** What is applied to the sums of a step. */
  readonly nonlinearity: 'tanh' | 'relu';
  constructor(inputSize: number, hiddenSize: number, options: RNNOptions = {}) {
    const nonlinearity = options?.nonlinearity ?? 'tanh';
    super(nonlinearity === 'relu' ? 'relu' : 'tanh', inputSize, hiddenSize, options, rnnOptions as Options<never>);
    this.nonlinearity = requireChoice('RNN', 'nonlinearity', nonlinearity, ['tanh', 'relu']);
  }
  forward(x: PackedSequence, hx?: Tensor | null): [output: PackedSequence, h: Tensor];
  forward(x: Tensor, hx?: Tensor | null): [output: Tensor, h: Tensor];
  forward<X extends Tensor | PackedSequence>(x: X, hx: Tensor | null = null): [output: X, h: Tensor] {
    const [y, [h]] = this.through(x, oneState('RNN', hx));
    return [y, h];
  }
}

export interface GRU {
  /** Runs forward with its hooks, on sequences of different lengths. */
  // biome-ignore lint/style/useShorthandFunctionType: a type could not be merged with the class
  (x: PackedSequence, hx?: Tensor | null): [output: PackedSequence, h: Tensor];
}

/**
 * As `RNN`, with gates: r and z decide what of the state is read and kept (Cho et al. 2014; PyTorch: `nn.GRU`).
 * @throws ValueError on sizes that are not positive; RuntimeError at the call where shapes do not fit.
 * @example
 * const [states, last] = new GRU(3, 4, { bidirectional: true })(randn([5, 2, 3])); // shapes [5, 2, 8] and [2, 2, 4]
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: what is merged is a call, which a class cannot declare
export class GRU extends RecurrentLayer {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super('gru', inputSize, hiddenSize, options, recurrentOptions as Options<never>);
  }
  forward(x: PackedSequence, hx?: Tensor | null): [output: PackedSequence, h: Tensor];
  forward(x: Tensor, hx?: Tensor | null): [output: Tensor, h: Tensor];
  forward<X extends Tensor | PackedSequence>(x: X, hx: Tensor | null = null): [output: X, h: Tensor] {
    const [y, [h]] = this.through(x, oneState('GRU', hx));
    return [y, h];
  }
}

export interface LSTM {
  /** Runs forward with its hooks, on sequences of different lengths. */
  // biome-ignore lint/style/useShorthandFunctionType: a type could not be merged with the class
  (x: PackedSequence, hx?: LSTMState | null): [output: PackedSequence, states: [h: Tensor, c: Tensor]];
}

/**
 * As `RNN`, with a state of cells beside the hidden one (Hochreiter & Schmidhuber 1997; PyTorch: `nn.LSTM`): states are
 * [h, c]. With `projSize` hidden states are projected by `weight_hr_l0`, … (Sak et al. 2014).
 * @throws ValueError on sizes that are not positive; RuntimeError at the call where shapes do not fit.
 * @example
 * const [states, [h, c]] = new LSTM(3, 4, { batchFirst: true })(randn([2, 5, 3])); // [2, 5, 4], twice [1, 2, 4]
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: what is merged is a call, which a class cannot declare
export class LSTM extends RecurrentLayer {
  constructor(inputSize: number, hiddenSize: number, options: LSTMOptions = {}) {
    super('lstm', inputSize, hiddenSize, options, lstmOptions as Options<never>);
  }
  forward(x: PackedSequence, hx?: LSTMState | null): [output: PackedSequence, states: [h: Tensor, c: Tensor]];
  forward(x: Tensor, hx?: LSTMState | null): [output: Tensor, states: [h: Tensor, c: Tensor]];
  forward<X extends Tensor | PackedSequence>(
    x: X,
    hx: LSTMState | null = null,
  ): [output: X, states: [h: Tensor, c: Tensor]] {
    const [y, [h, c]] = this.through(x, twoStates('LSTM', hx));
    return [y, [h, c]];
  }
}

/** Options of `GRUCell` and `LSTMCell`. */
export interface RecurrentCellOptions extends DTypeOption {
  /** Whether there are biases. Default: true. */
  bias?: boolean;
}
const cellOptions = declareOptions<RecurrentCellOptions>({ bias: kind.flag, dtype: kind.choice });
/** Options of `RNNCell`. */
export interface RNNCellOptions extends RecurrentCellOptions {
  /** What is applied to the sums. Default: 'tanh'. */
  nonlinearity?: 'tanh' | 'relu';
}
const rnnCellOptions = declareOptions<RNNCellOptions>({ ...cellOptions.kinds, nonlinearity: kind.choice });

/** What single steps share. */
abstract class RecurrentCell extends Module {
  /** The size of an input. */
  readonly inputSize: number;
  /** The size of a hidden state. */
  readonly hiddenSize: number;
  /** Whether there are biases. */
  readonly bias: boolean;
  private readonly step: Kind;

  constructor(step: Kind, inputSize: number, hiddenSize: number, options: RecurrentCellOptions, known: Options<never>) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options as never, known);
    const { bias = true, dtype } = options;
    requireInteger(name, 'inputSize', inputSize, 0, maxElements);
    requireInteger(name, 'hiddenSize', hiddenSize, 0, maxElements);
    if (dtype !== undefined) requireDType(name, dtype);
    this.step = step;
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.bias = bias;
    const rows = gatesOf[step] * hiddenSize;
    const parameter = (...shape: number[]) => new Parameter(empty(shape, { dtype }));
    this.registerParameter('weight_ih', parameter(rows, inputSize));
    this.registerParameter('weight_hh', parameter(rows, hiddenSize));
    this.registerParameter('bias_ih', bias ? parameter(rows) : null);
    this.registerParameter('bias_hh', bias ? parameter(rows) : null);
    this.resetParameters();
  }

  /** Draws all parameters anew, uniform in ±1/√hiddenSize. */
  resetParameters(): void {
    const bound = this.hiddenSize > 0 ? 1 / Math.sqrt(this.hiddenSize) : 0;
    for (const parameter of this.parameters()) uniform_(parameter, -bound, bound);
  }

  /**
   * The states behind one step.
   * @internal
   */
  protected after(x: Tensor, given: readonly Tensor[] | null): Tensor[] {
    const { name } = this.constructor;
    requireTensor(name, x);
    if (x.rank !== 1 && x.rank !== 2)
      throw new ValueError(`${name}: Expected input to be 1D or 2D, got ${x.rank}D instead`);
    if (x.shape.at(-1) !== this.inputSize)
      throw new RuntimeError(`input has inconsistent inputSize: got ${x.shape.at(-1)} expected ${this.inputSize}`);
    const n = x.rank === 2 ? x.shape[0] : 1;
    const states = (this.step === 'lstm' ? [0, 1] : [0]).map((i) => {
      const state = given?.[i];
      if (!state) return fullOn(x.backend, [n, this.hiddenSize], 0, x.dtype);
      const what = this.step === 'lstm' ? `hx[${i}]` : 'hidden';
      if (state.rank !== 1 && state.rank !== 2)
        throw new ValueError(`${name}: Expected ${what} to be 1D or 2D, got ${state.rank}D instead`);
      const [count, size] = state.rank === 2 ? state.shape : [1, state.shape[0]];
      if (count !== n) throw new RuntimeError(`Input batch size ${n} doesn't match hidden${i} batch size ${count}`);
      if (size !== this.hiddenSize)
        throw new RuntimeError(`hidden${i} has inconsistent hiddenSize: got ${size}, expected ${this.hiddenSize}`);
      return reshape(state, [n, size]);
    });
    const parameter = (name: string) => Module.read(this, name) as Parameter | null;
    for (const t of [x, ...states])
      if (t.dtype !== parameter('weight_ih')!.dtype)
        throw new RuntimeError(
          `mat1 and mat2 must have the same dtype, but got ${t.dtype} and ${parameter('weight_ih')!.dtype}`,
        );
    const [, ...behind] = recurrent(
      reshape(x, [1, n, this.inputSize]),
      parameter('weight_ih')!,
      parameter('weight_hh')!,
      parameter('bias_ih'),
      parameter('bias_hh'),
      null,
      states[0],
      states[1] ?? null,
      { kind: this.step, reverse: false },
    );
    return x.rank === 2 ? behind : behind.map((state) => squeeze(state, 0));
  }

  override extraRepr(): string {
    return `${this.inputSize}, ${this.hiddenSize}${this.bias ? '' : `, bias=${boolText(this.bias)}`}`;
  }
}

/**
 * One step of `RNN`: x (N, inputSize) and a state (N, hiddenSize), by default zeros, or both without N, give the next
 * state (PyTorch: `nn.RNNCell`). Parameters are `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh`.
 * @throws RuntimeError at the call where shapes do not fit.
 * @example
 * const next = new RNNCell(3, 4)(randn([2, 3])); // shape [2, 4]
 */
export class RNNCell extends RecurrentCell {
  /** What is applied to the sums. */
  readonly nonlinearity: 'tanh' | 'relu';
  constructor(inputSize: number, hiddenSize: number, options: RNNCellOptions = {}) {
    const nonlinearity = options?.nonlinearity ?? 'tanh';
    super(nonlinearity === 'relu' ? 'relu' : 'tanh', inputSize, hiddenSize, options, rnnCellOptions as Options<never>);
    this.nonlinearity = requireChoice('RNNCell', 'nonlinearity', nonlinearity, ['tanh', 'relu']);
  }
  forward(x: Tensor, hx: Tensor | null = null): Tensor {
    return this.after(x, oneState('RNNCell', hx))[0];
  }
  override extraRepr(): string {
    return `${super.extraRepr()}${this.nonlinearity === 'tanh' ? '' : `, nonlinearity=${this.nonlinearity}`}`;
  }
}

/**
 * One step of `GRU`, as `RNNCell` (PyTorch: `nn.GRUCell`).
 * @throws RuntimeError at the call where shapes do not fit.
 * @example
 * const next = new GRUCell(3, 4)(randn([2, 3]), zeros([2, 4])); // shape [2, 4]
 */
export class GRUCell extends RecurrentCell {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentCellOptions = {}) {
    super('gru', inputSize, hiddenSize, options, cellOptions as Options<never>);
  }
  forward(x: Tensor, hx: Tensor | null = null): Tensor {
    return this.after(x, oneState('GRUCell', hx))[0];
  }
}

/**
 * One step of `LSTM`, as `RNNCell`, with states [h, c] (PyTorch: `nn.LSTMCell`).
 * @throws RuntimeError at the call where shapes do not fit.
 * @example
 * const [h, c] = new LSTMCell(3, 4)(randn([2, 3])); // shapes [2, 4]
 */
export class LSTMCell extends RecurrentCell {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentCellOptions = {}) {
    super('lstm', inputSize, hiddenSize, options, cellOptions as Options<never>);
  }
  forward(x: Tensor, hx: LSTMState | null = null): [h: Tensor, c: Tensor] {
    const [h, c] = this.after(x, twoStates('LSTMCell', hx));
    return [h, c];
  }
}

declareModules({ RNN, GRU, LSTM, RNNCell, GRUCell, LSTMCell });
