// Look-ups in a table of vectors: embedding, and sums, means and maxima of bags of vectors.
import { defineOp } from '../autograd/define_op.ts';
import { noGrad } from '../autograd/grad_mode.ts';
import { requireInteger, requireNumber, shown } from '../checks.ts';
import { NotImplementedError, RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { arangeOn, fullOn } from '../tensor/create.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import { type Tensor, viewAs } from '../tensor/tensor.ts';
import { setIndex } from './brackets.ts';
import { expand } from './broadcast.ts';
import { cast } from './convert.ts';
import { renorm } from './covariance.ts';
import { clamp, div, mul, ne, reciprocal, sub } from './elementwise.ts';
import { addAt, indexSelect, nonzeroPositions, pickAt, requireIndices, scatterAdd } from './indexing.ts';
import { scatterReduce } from './scatter_reduce.ts';
import { bincount, searchsorted, unique } from './searching.ts';
import { narrow, replaceSelected, reshape, unsqueeze } from './shape_ops.ts';

/** What `embedding` and `embeddingBag` may do to the table. */
interface TableOptions {
  /** Rows that are looked up are shortened to this norm first, in place. Default: null, none. */
  maxNorm?: number | null;
  /** The p of that norm. Default: 2. */
  normType?: number;
  /** Divide a row's gradients by how often it has been looked up. Default: false. */
  scaleGradByFreq?: boolean;
}
/** Options of `embedding` and `Embedding`. */
export interface EmbeddingOptions extends TableOptions {
  /** A row whose gradients are 0; negative ones count from the end. Default: null, none. */
  paddingIdx?: number | null;
}
export const embeddingKinds = {
  paddingIdx: kind.integerOrNull,
  maxNorm: kind.numberOrNull,
  normType: kind.number,
  scaleGradByFreq: kind.flag,
};
const embeddingOptions = declareOptions<EmbeddingOptions>(embeddingKinds);

/**
 * Rows of `weight` (n, d) at integer indices of any shape (PyTorch: `F.embedding`); gradients of the row `paddingIdx`
 * are 0. Gradients are dense always.
 * @throws ValueError where `paddingIdx` is no row; IndexError on an index outside [0, n).
 */
export function embedding(indices: Tensor, weight: Tensor, options: EmbeddingOptions = {}): Tensor {
  requireOptions('embedding', options, embeddingOptions);
  return embeddingWith(indices, weight, options);
}
/** For the layer. */
export function embeddingWith(indices: Tensor, weight: Tensor, options: EmbeddingOptions): Tensor {
  requireTensor('embedding', weight);
  const places = requireIndices('embedding', indices);
  requireSameDevice('embedding', weight, places);
  if (weight.rank !== 2) throw new RuntimeError(`[embedding] 'weight' must be 2-D, got ${formatShape(weight.shape)}`);
  const [n, width] = weight.shape;
  const { paddingIdx = null } = options;
  if (paddingIdx !== null) {
    requireInteger('embedding', 'paddingIdx', paddingIdx);
    if (paddingIdx < -n || paddingIdx >= n)
      throw new ValueError(
        `[embedding] paddingIdx must be within numEmbeddings: expected ${-n} to ${n - 1}, got ${paddingIdx}`,
      );
  }
  const flat = viewAs(places, [places.size]);
  const row = paddingIdx !== null && paddingIdx < 0 ? paddingIdx + n : paddingIdx;
  return reshape(rowsAt('embedding', flat, weight, row, options), [...indices.shape, width]);
}

/** The rows at a vector of indices. */
function rowsAt(
  op: string,
  places: Tensor,
  weight: Tensor,
  padding: number | null,
  { maxNorm = null, normType = 2, scaleGradByFreq = false }: TableOptions,
): Tensor {
  const [n] = weight.shape;
  if (maxNorm !== null) {
    requireNumber(op, 'maxNorm', maxNorm);
    requireNumber(op, 'normType', normType);
    shorten(op, places, weight, maxNorm, normType);
  }
  const rows = pickAt(padding === null ? weight : stopRow(weight, padding), 0, places, op);
  if (!scaleGradByFreq || places.device === 'meta') return rows;
  const counts = cast(indexSelect(bincount(places, { minlength: n }), 0, places), weight.dtype);
  return scaleGradient(rows, unsqueeze(reciprocal(counts), 1));
}
/** Rows that are too long are written in place, unrecorded. */
function shorten(op: string, places: Tensor, weight: Tensor, maxNorm: number, normType: number): void {
  if (places.size === 0 || weight.device === 'meta') return;
  noGrad(() => {
    const each = unique(places);
    setIndex(weight, each, renorm(pickAt(weight, 0, each, op), normType, 0, maxNorm));
  });
}

/** The identity, whose gradient is multiplied by a constant. */
const scaleGradient = defineOp({
  name: 'scaleGradient',
  forward(ctx, x: Tensor, factor: Tensor) {
    ctx.save(factor);
    return reshape(x, x.shape);
  },
  backward: (ctx, [g]) => [mul(g, ctx.saved[0]), null],
}) as (x: Tensor, factor: Tensor) => Tensor;

/** The identity, whose gradient is 0 in one row. */
const stopRow = defineOp({
  name: 'stopRow',
  forward: (_ctx, x: Tensor, _row: number) => reshape(x, x.shape),
  backward(_ctx, [g], x, row) {
    const shape = [1, x.shape[1]];
    return [replaceSelected(g, { start: [row, 0], step: [1, 1], shape }, fullOn(x.backend, shape, 0, x.dtype), false)];
  },
});

// ---- bags -----------------------------------------------------------------------------------------------------------

/** What becomes of the vectors of a bag. */
export type EmbeddingBagMode = 'sum' | 'mean' | 'max';
/** Options of `EmbeddingBag`. */
export interface EmbeddingBagLayerOptions extends TableOptions {
  /** What becomes of the vectors of a bag: their sum, their mean, or the largest of each element. Default: `'mean'`. */
  mode?: EmbeddingBagMode;
  /** Whether the last offset is the end of the last bag, not the beginning of another. Default: false. */
  includeLastOffset?: boolean;
  /** A row that does not count; negative ones count from the end. Default: null, none. */
  paddingIdx?: number | null;
}
/** Options of `embeddingBag`. */
export interface EmbeddingBagOptions extends EmbeddingBagLayerOptions {
  /** Where each bag begins in a vector of indices. Default: null; bags are the rows of a matrix of indices. */
  offsets?: Tensor | null;
  /** Factors of the vectors, of the indices' shape; for `'sum'` alone. Default: null, none. */
  perSampleWeights?: Tensor | null;
}
export const embeddingBagKinds = { ...embeddingKinds, mode: kind.choice, includeLastOffset: kind.flag };
const embeddingBagOptions = declareOptions<EmbeddingBagOptions>({
  ...embeddingBagKinds,
  offsets: kind.tensor,
  perSampleWeights: kind.tensor,
});

/**
 * Sums, means or maxima of bags of rows of `weight` (n, d): of each row of a matrix of indices, or of the pieces of a
 * vector of indices that begin at `offsets`. An empty bag gives 0 (PyTorch: `F.embedding_bag`).
 * @throws ValueError on shapes or options that do not go together; RuntimeError on offsets that are none; IndexError on
 *   an index outside [0, n).
 * @example
 * embeddingBag(tensor([[0, 2], [1, 1]], { dtype: 'int64' }), randn([5, 3]), { mode: 'sum' }); // shape [2, 3]
 */
export function embeddingBag(indices: Tensor, weight: Tensor, options: EmbeddingBagOptions = {}): Tensor {
  requireOptions('embeddingBag', options, embeddingBagOptions);
  return embeddingBagWith(indices, weight, options);
}
/** For the layer. */
export function embeddingBagWith(indices: Tensor, weight: Tensor, options: EmbeddingBagOptions): Tensor {
  requireTensor('embeddingBag', weight);
  const given = requireIndices('embeddingBag', indices);
  const { mode = 'mean', perSampleWeights = null, paddingIdx = null } = options;
  requireSameDevice('embeddingBag', weight, given);
  if (perSampleWeights && !sameShape(perSampleWeights.shape, indices.shape))
    throw new ValueError(
      `embeddingBag: If perSampleWeights (${formatShape(perSampleWeights.shape)}) is not null, then it must have the same shape as the input (${formatShape(indices.shape)})`,
    );
  if (weight.rank !== 2)
    throw new ValueError(`weight has to be a 2D Tensor, but got Tensor of dimension ${weight.rank}`);
  const { bags, count } = bagsOf(given, options);
  if (!['sum', 'mean', 'max'].includes(mode))
    throw new ValueError(`[embeddingBag] mode has to be one of sum, mean or max, got ${shown(mode)}`);
  if (mode === 'max' && options.scaleGradByFreq)
    throw new ValueError('max mode does not support scaling the gradient by the frequency');
  if (perSampleWeights && mode !== 'sum')
    throw new NotImplementedError(
      `embeddingBag: perSampleWeights was not null. perSampleWeights is only supported for mode='sum' (got mode='${mode}').`,
    );
  const [n, width] = weight.shape;
  let [places, owners] = [reshape(given, [given.size]), bags];
  let factors = perSampleWeights && reshape(perSampleWeights, [given.size]);
  if (paddingIdx !== null) {
    requireInteger('embeddingBag', 'paddingIdx', paddingIdx);
    if (paddingIdx < -n || paddingIdx >= n)
      throw new RuntimeError(
        `[embeddingBag] paddingIdx must be within the number of embeddings, ${-n} through ${n - 1}, but got ${paddingIdx}`,
      );
    const counted = nonzeroPositions(ne(places, paddingIdx < 0 ? paddingIdx + n : paddingIdx), 'embeddingBag');
    [places, owners] = [places, owners].map((t) => indexSelect(t, 0, counted));
    factors = factors && indexSelect(factors, 0, counted);
  }
  const vectors = rowsAt('embeddingBag', places, weight, null, options);
  const nothing = fullOn(weight.backend, [count, width], 0, weight.dtype);
  if (mode === 'max') {
    const at = expand(unsqueeze(owners, 1), [places.size, width]);
    return scatterReduce(nothing, 0, at, vectors, 'amax', { includeSelf: false });
  }
  const terms = factors ? mul(vectors, unsqueeze(factors, 1)) : vectors;
  const sums = addAt(nothing, 0, owners, terms, false, 'embeddingBag');
  if (mode === 'sum') return sums;
  const one = fullOn(weight.backend, [places.size], 1, weight.dtype);
  const counts = scatterAdd(fullOn(weight.backend, [count], 0, weight.dtype), 0, owners, one);
  return div(sums, unsqueeze(clamp(counts, 1), 1));
}

/** The bag of each index, and how many bags there are. */
function bagsOf(
  indices: Tensor,
  { offsets = null, includeLastOffset = false }: EmbeddingBagOptions,
): { bags: Tensor; count: number } {
  if (indices.rank !== 1 && indices.rank !== 2)
    throw new ValueError(`input has to be 1D or 2D Tensor, but got Tensor of dimension ${indices.rank}`);
  if (indices.rank === 2) {
    if (offsets)
      throw new ValueError(
        'if input is 2D, then offsets has to be null, as input is treated is a mini-batch of fixed length sequences.',
      );
    const [count] = indices.shape;
    return {
      bags: reshape(expand(unsqueeze(arangeOn(indices.backend, count), 1), indices.shape), [indices.size]),
      count,
    };
  }
  if (!offsets) throw new ValueError('offsets has to be a 1D Tensor but got null');
  const begins = requireIndices('embeddingBag', offsets);
  requireSameDevice('embeddingBag', indices, begins);
  if (begins.rank !== 1) throw new ValueError('offsets has to be a 1D Tensor');
  if (includeLastOffset && begins.size < 1)
    throw new RuntimeError('includeLastOffset: number of offset should be at least 1');
  const count = includeLastOffset ? begins.size - 1 : begins.size;
  if (begins.size > 0 && begins.device !== 'meta') {
    const [first, last] = [narrow(begins, 0, 0, 1).item(), narrow(begins, 0, begins.size - 1, 1).item()];
    if (first !== 0)
      throw new RuntimeError(
        `offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got ${first}`,
      );
    if (last > indices.size)
      throw new RuntimeError(
        `offsets[-1] can not be greater than input's length ${indices.size} but got offsets[-1] of ${last}`,
      );
  }
  const found = searchsorted(narrow(begins, 0, 0, count), arangeOn(indices.backend, indices.size), { right: true });
  return { bags: sub(found, 1), count };
}
