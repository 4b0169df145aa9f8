// Batches of sequences of different lengths: padded to the longest one, or packed, without the padding, as recurrent
// layers take them (PyTorch: `torch.nn.utils.rnn`).
import { maxElements, requireInteger, shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { ArgumentTypeError, RuntimeError, ValueError } from '../errors.ts';
import { indexSelect } from '../ops/indexing.ts';
import { cat, narrow, reshape, transpose } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { fullOn, tensorOn } from '../tensor/create.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { Tensor } from '../tensor/tensor.ts';

/**
 * Sequences without padding, the longest first, step by step: the first step of all, the second of all that have one,
 * … (PyTorch: `torch.nn.utils.rnn.PackedSequence`). `packPaddedSequence` and `packSequence` make one.
 */
export class PackedSequence {
  /** The steps of all sequences (total steps, …). */
  readonly data: Tensor;
  /** How many sequences have a first step, a second one, …: integers that do not rise. */
  readonly batchSizes: readonly number[];
  /** Where the sequences stood before they were sorted by length; null: they were in that order. */
  readonly sortedIndices: readonly number[] | null;

  /** @internal */
  constructor(data: Tensor, batchSizes: readonly number[], sortedIndices: readonly number[] | null) {
    this.data = data;
    this.batchSizes = batchSizes;
    this.sortedIndices = sortedIndices;
  }

  /** For each sequence of the batch, its place among the sorted ones; null: the same. */
  get unsortedIndices(): readonly number[] | null {
    if (!this.sortedIndices) return null;
    const places: number[] = [];
    for (const [place, index] of this.sortedIndices.entries()) places[index] = place;
    return places;
  }
}

/** Options of `packPaddedSequence`. */
export interface PackPaddedSequenceOptions {
  /** Whether the input is (N, T, …), not (T, N, …). Default: false. */
  batchFirst?: boolean;
  /** Whether the sequences must come by falling lengths; else they are sorted. Default: true. */
  enforceSorted?: boolean;
}
const packPaddedOptions = declareOptions<PackPaddedSequenceOptions>({
  batchFirst: kind.flag,
  enforceSorted: kind.flag,
});
/** Options of `packSequence`. */
export interface PackSequenceOptions {
  /** Whether the sequences must come by falling lengths; else they are sorted. Default: true. */
  enforceSorted?: boolean;
}
const packOptions = declareOptions<PackSequenceOptions>({ enforceSorted: kind.flag });
/** Options of `padPackedSequence`. */
export interface PadPackedSequenceOptions {
  /** Whether the result is (N, T, …), not (T, N, …). Default: false. */
  batchFirst?: boolean;
  /** What stands behind the end of a sequence. Default: 0. */
  paddingValue?: number;
  /** How many steps the result has. Default: those of the longest sequence. */
  totalLength?: number;
}
const padPackedOptions = declareOptions<PadPackedSequenceOptions>({
  batchFirst: kind.flag,
  paddingValue: kind.number,
  totalLength: kind.integer,
});
/** Options of `padSequence`. */
export interface PadSequenceOptions {
  /** Whether the result is (N, T, …), not (T, N, …). Default: false. */
  batchFirst?: boolean;
  /** What stands beside the end of a sequence. Default: 0. */
  paddingValue?: number;
  /** Which end of short sequences is padded. Default: `'right'`. */
  paddingSide?: 'left' | 'right';
}
const padOptions = declareOptions<PadSequenceOptions>({
  batchFirst: kind.flag,
  paddingValue: kind.number,
  paddingSide: kind.choice,
});
/** Options of `unpadSequence`. */
export interface UnpadSequenceOptions {
  /** Whether the batch is (N, T, …), not (T, N, …). Default: false. */
  batchFirst?: boolean;
}
const unpadOptions = declareOptions<UnpadSequenceOptions>({ batchFirst: kind.flag });

/** The parts of x along a dimension, in the order of `rows`. */
export function rowsOf(x: Tensor, dim: number, rows: readonly number[]): Tensor {
  return indexSelect(x, dim, tensorOn(x.backend, rows, 'int64'));
}

function lengthsOf(caller: string, lengths: Tensor | readonly number[]): number[] {
  if (lengths instanceof Tensor) {
    if (lengths.rank !== 1 || lengths.dtype !== 'int64')
      throw new RuntimeError(
        `[${caller}] 'lengths' argument should be a 1D int64 tensor, but got ${lengths.rank}D ${lengths.dtype} tensor`,
      );
    return Array.from(lengths.dataSync() as BigInt64Array, Number);
  }
  if (!Array.isArray(lengths))
    throw new ArgumentTypeError(
      `[${caller}] expected lengths as an array of integers or a tensor, got ${shown(lengths)}`,
    );
  for (const length of lengths) requireInteger(caller, 'lengths', length, Number.MIN_SAFE_INTEGER, maxElements);
  return [...lengths];
}

/**
 * Packs sequences that are padded (PyTorch: `torch.nn.utils.rnn.pack_padded_sequence`). Gradients flow to the steps of
 * the sequences; those of the padding are 0.
 * @param x the sequences (T, N, …), or (N, T, …) with `batchFirst`.
 * @param lengths of each of the N sequences, between 1 and T.
 * @throws RuntimeError on other lengths, on others than N, and, with `enforceSorted`, on lengths that rise.
 * @example
 * const packed = packPaddedSequence(randn([2, 5, 3]), [5, 2], { batchFirst: true });
 * const [output] = new LSTM(3, 4)(packed);
 * const [padded, lengths] = padPackedSequence(output, { batchFirst: true }); // shapes [2, 5, 4] and [2]
 */
export function packPaddedSequence(
  x: Tensor,
  lengths: Tensor | readonly number[],
  options: PackPaddedSequenceOptions = {},
): PackedSequence {
  requireTensor('packPaddedSequence', x);
  requireOptions('packPaddedSequence', options, packPaddedOptions);
  const { batchFirst = false, enforceSorted = true } = options;
  const given = lengthsOf('packPaddedSequence', lengths);
  if (x.rank < 2)
    throw new RuntimeError(`[packPaddedSequence] expected an input of at least 2 dimensions, got ${x.rank}`);
  if (x.size === 0) throw new RuntimeError('Cannot pack empty tensors.');
  const [steps, n] = batchFirst ? [x.shape[1], x.shape[0]] : x.shape;
  if (given.length !== n)
    throw new RuntimeError(
      `Expected lengths.length to be equal to the batch size, but got ${given.length} (batch size ${n})`,
    );
  if (given.some((length) => length <= 0))
    throw new RuntimeError(
      "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0",
    );
  const longest = Math.max(...given);
  if (longest > steps)
    throw new RuntimeError(`[packPaddedSequence] expected lengths of at most ${steps}, the steps of x, got ${longest}`);
  const order = given.map((_, i) => i);
  if (!enforceSorted) order.sort((a, b) => given[b] - given[a]);
  else if (given.some((length, i) => i > 0 && length > given[i - 1]))
    throw new RuntimeError(
      '`lengths` array must be sorted in decreasing order when `enforceSorted` is true. You can pass `enforceSorted: false` to packPaddedSequence and/or packSequence to sidestep this requirement.',
    );
  const rows: number[] = [];
  const batchSizes = Array.from({ length: longest }, (_, t) => {
    const alive = order.filter((i) => given[i] > t);
    for (const i of alive) rows.push(batchFirst ? i * steps + t : t * n + i);
    return alive.length;
  });
  const flat = reshape(x, [steps * n, ...x.shape.slice(2)]);
  return new PackedSequence(rowsOf(flat, 0, rows), batchSizes, enforceSorted ? null : order);
}

/**
 * The sequences padded to one length, and their lengths (N), int64, in the order in which they were packed (PyTorch:
 * `torch.nn.utils.rnn.pad_packed_sequence`).
 * @throws ValueError where `totalLength` is less than the longest sequence.
 */
export function padPackedSequence(
  sequence: PackedSequence,
  options: PadPackedSequenceOptions = {},
): [padded: Tensor, lengths: Tensor] {
  if (!(sequence instanceof PackedSequence))
    throw new ArgumentTypeError(`[padPackedSequence] expected a PackedSequence, got ${shown(sequence)}`);
  requireOptions('padPackedSequence', options, padPackedOptions);
  const { batchFirst = false, paddingValue = 0, totalLength } = options;
  const { data, batchSizes } = sequence;
  const longest = batchSizes.length;
  if (totalLength !== undefined) {
    requireInteger('padPackedSequence', 'totalLength', totalLength, 0, maxElements);
    if (totalLength < longest)
      throw new ValueError(
        `Expected totalLength to be at least the length of the longest sequence in input, but got totalLength=${totalLength} and max sequence length being ${longest}`,
      );
  }
  const [steps, n] = [totalLength ?? longest, batchSizes[0]];
  const firsts = [0];
  for (const [t, size] of batchSizes.entries()) firsts.push(firsts[t] + size);
  const places = sequence.unsortedIndices ?? Array.from({ length: n }, (_, i) => i);
  const padding = data.shape[0];
  const rowAt = (t: number, i: number) => (places[i] < (batchSizes[t] ?? 0) ? firsts[t] + places[i] : padding);
  const rows = Array.from({ length: steps * n }, (_, k) =>
    batchFirst ? rowAt(k % steps, Math.floor(k / steps)) : rowAt(Math.floor(k / n), k % n),
  );
  const rest = data.shape.slice(1);
  const padded = cat([data, fullOn(data.backend, [1, ...rest], paddingValue, data.dtype)]);
  const lengths = places.map((place) => batchSizes.filter((size) => size > place).length);
  const shape = batchFirst ? [n, steps, ...rest] : [steps, n, ...rest];
  return [reshape(rowsOf(padded, 0, rows), shape), tensorOn(data.backend, lengths, 'int64')];
}

/**
 * Sequences (Tᵢ, …) as one tensor (T, N, …), or (N, T, …) with `batchFirst`, padded to the longest one (PyTorch:
 * `torch.nn.utils.rnn.pad_sequence`).
 * @example
 * const padded = padSequence([ones([3, 2]), ones([1, 2])], { batchFirst: true }); // shape [2, 3, 2]
 */
export function padSequence(sequences: readonly Tensor[], options: PadSequenceOptions = {}): Tensor {
  requireSequences('padSequence', sequences);
  requireOptions('padSequence', options, padOptions);
  const { batchFirst = false, paddingValue = 0, paddingSide = 'right' } = options;
  if (paddingSide !== 'left' && paddingSide !== 'right')
    throw new ValueError(`[padSequence] expected paddingSide 'left' or 'right', got ${shown(paddingSide)}`);
  const [first] = sequences;
  const rest = first.shape.slice(1);
  const steps = Math.max(...sequences.map(({ shape }) => shape[0]));
  const padded = sequences.map((sequence) => {
    const missing = fullOn(first.backend, [steps - sequence.shape[0], ...rest], paddingValue, first.dtype);
    return cat(paddingSide === 'left' ? [missing, sequence] : [sequence, missing]);
  });
  const together = reshape(cat(padded), [sequences.length, steps, ...rest]);
  return batchFirst ? together : transpose(together, 0, 1);
}

/** A padded batch as the list of its sequences (PyTorch: `torch.nn.utils.rnn.unpad_sequence`). */
export function unpadSequence(
  x: Tensor,
  lengths: Tensor | readonly number[],
  options: UnpadSequenceOptions = {},
): Tensor[] {
  requireTensor('unpadSequence', x);
  requireOptions('unpadSequence', options, unpadOptions);
  const { batchFirst = false } = options;
  const [steps, n] = batchFirst ? [x.shape[1], x.shape[0]] : x.shape;
  const given = lengthsOf('unpadSequence', lengths);
  if (x.rank < 2 || given.length > n || given.some((length) => length < 0 || length > steps))
    throw new RuntimeError(
      `[unpadSequence] expected lengths from 0 to ${steps} of at most ${n} sequences, got [${given.join(', ')}]`,
    );
  const sequences = batchFirst ? x : transpose(x, 0, 1);
  return given.map((length, i) =>
    reshape(narrow(narrow(sequences, 0, i, 1), 1, 0, length), [length, ...x.shape.slice(2)]),
  );
}

/**
 * Packs sequences (Tᵢ, …) of different lengths (PyTorch: `torch.nn.utils.rnn.pack_sequence`).
 * @throws RuntimeError on a sequence without steps, and, with `enforceSorted`, on lengths that rise.
 * @example
 * const packed = packSequence([randn([4, 3]), randn([2, 3])]); // packed.batchSizes: [2, 2, 1, 1]
 */
export function packSequence(sequences: readonly Tensor[], options: PackSequenceOptions = {}): PackedSequence {
  requireSequences('packSequence', sequences);
  requireOptions('packSequence', options, packOptions);
  const lengths = sequences.map(({ shape }) => shape[0]);
  return packPaddedSequence(padSequence(sequences), lengths, options);
}

function requireSequences(caller: string, sequences: readonly Tensor[]): void {
  if (!Array.isArray(sequences) || sequences.length === 0)
    throw new ArgumentTypeError(`[${caller}] expected an array of tensors, got ${shown(sequences)}`);
  for (const sequence of sequences) {
    requireTensor(caller, sequence);
    if (sequence.rank === 0) throw new RuntimeError(`[${caller}] expected sequences of at least 1 dimension, got 0`);
  }
}

/** Neighbouring steps that have equally many sequences. */
export interface Segment {
  /** The first row of them in the data. */
  readonly first: number;
  readonly steps: number;
  readonly n: number;
}
export function segmentsOf(batchSizes: readonly number[]): Segment[] {
  const segments: { first: number; steps: number; n: number }[] = [];
  let first = 0;
  for (const n of batchSizes) {
    const last = segments.at(-1);
    if (last?.n === n) last.steps++;
    else segments.push({ first, steps: 1, n });
    first += n;
  }
  return segments;
}

keepNames({ PackedSequence });
