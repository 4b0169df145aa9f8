// Attention: the product of queries and keys, its softmax, and the product with values. What a layer with several heads
// needs besides, heads side by side and one after the other, is here too; parameters are in nn/attention.ts.
import { defineOp } from '../autograd/define_op.ts';
import { requireFinite, requireNumber } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { copyElements, rowMajor } from '../tensor/copy.ts';
import { fullOn } from '../tensor/create.ts';
import type { DType } from '../tensor/dtype.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { broadcastShapes, type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { broadcastTo } from './broadcast.ts';
import { tril } from './diagonals.ts';
import { dropoutWith } from './dropout.ts';
import { add, eq, mul, where } from './elementwise.ts';
import { product } from './matmul.ts';
import { repeatInterleave } from './rearranging.ts';
import { all, softmax } from './reduce.ts';
import { reshape } from './shape_ops.ts';

/** Options of `scaledDotProductAttention`. */
export interface AttentionOptions {
  /**
   * Broadcast to (…, L, S): truth values, true where a query may look at a key, or numbers of the query's dtype that
   * are added to the products. Default: null, none.
   */
  attnMask?: Tensor | null;
  /** The probability with which a weight is dropped, also outside of training. Default: 0. */
  dropoutP?: number;
  /** Whether query i sees the keys 0 to i only. Default: false. */
  isCausal?: boolean;
  /** The factor of the products; null: 1/√E. Default: null. */
  scale?: number | null;
  /**
   * Whether keys and values have fewer heads (dimension −3), each of which serves several of the query. Default: false.
   */
  enableGqa?: boolean;
}
const attentionOptions = declareOptions<AttentionOptions>({
  attnMask: kind.tensor,
  dropoutP: kind.number,
  isCausal: kind.flag,
  scale: kind.numberOrNull,
  enableGqa: kind.flag,
});

/** A mask of truth values as what is added to the products: 0 where true, −∞ elsewhere. */
export const additiveMask = (mask: Tensor, dtype: DType): Tensor =>
  mask.dtype === 'bool' ? where(mask, fullOn(mask.backend, [], 0, dtype), Number.NEGATIVE_INFINITY) : mask;

/** Truth values (L, S): query i sees the keys 0 to i. */
const causal = (like: Tensor, queries: number, keys: number): Tensor =>
  tril(fullOn(like.backend, [queries, keys], 1, 'bool'));

/**
 * softmax(scale·q·kᵀ + mask)·v of matrices, or batches of them, and the weights themselves after dropout. The scale is
 * taken into q, which has mostly fewer elements than the products.
 */
export function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  mask: Tensor | null,
  scale: number,
  dropoutP: number,
): [out: Tensor, weights: Tensor] {
  const products = product(mul(q, scale), k, false, true);
  const weights = dropoutWith(softmax(mask ? add(products, mask) : products, -1), dropoutP, dropoutP > 0);
  return [product(weights, v, false, false), weights];
}

/**
 * As `attend`; a query that no mask lets see any key has the result 0, and no gradient. Its row of the mask becomes 0,
 * so that nothing is NaN, and the result is replaced, which is smaller than the weights.
 */
export function attendSafely(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  mask: Tensor | null,
  scale: number,
  dropoutP: number,
): Tensor {
  if (!mask) return attend(q, k, v, null, scale, dropoutP)[0];
  const isBlind = all(eq(mask, Number.NEGATIVE_INFINITY), -1, { keepdim: true });
  const [out] = attend(q, k, v, where(isBlind, 0, mask), scale, dropoutP);
  return where(isBlind, 0, out);
}

/** A row of the mask for all queries, (…, S), or one without a dimension, as (…, 1, S). */
const maskMatrix = (mask: Tensor): Tensor =>
  mask.rank >= 2 ? mask : reshape(mask, [...Array<number>(2 - mask.rank).fill(1), ...mask.shape]);

/**
 * softmax(q·kᵀ·scale + mask)·v over the last two dimensions (Vaswani et al. 2017; PyTorch:
 * `F.scaled_dot_product_attention`): query (…, L, E), key (…, S, E) and value (…, S, V) give (…, L, V). Batch
 * dimensions broadcast. A query that may not look at any key has the result 0.
 * @throws RuntimeError where dtypes or sizes do not fit, or a mask is given besides `isCausal`; ValueError unless
 * 0 ≤ dropoutP ≤ 1.
 * @example
 * const q = randn([2, 3, 5, 8]); // two samples, three heads, five places
 * scaledDotProductAttention(q, q, q, { isCausal: true }).shape; // [2, 3, 5, 8]
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions = {},
): Tensor {
  const op = 'scaledDotProductAttention';
  requireTensor(op, query);
  requireTensor(op, key);
  requireTensor(op, value);
  requireOptions(op, options, attentionOptions);
  const { attnMask = null, dropoutP = 0, isCausal = false, scale = null, enableGqa = false } = options;
  requireNumber(op, 'dropoutP', dropoutP);
  if (scale !== null) requireFinite(op, 'scale', scale);
  requireSameDevice(op, query, key, value, ...(attnMask ? [attnMask] : []));
  if (query.dtype !== key.dtype || query.dtype !== value.dtype)
    throw new RuntimeError(
      `Expected query, key, and value to have the same dtype, but got query.dtype: ${query.dtype} key.dtype: ${key.dtype} and value.dtype: ${value.dtype} instead.`,
    );
  if (Math.min(query.rank, key.rank, value.rank) < 2)
    throw new RuntimeError(
      `Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: ${query.rank} key.dim: ${key.rank} and value.dim: ${value.rank} instead.`,
    );
  requireFloat(op, query);
  if (attnMask && attnMask.dtype !== 'bool' && attnMask.dtype !== query.dtype)
    throw new RuntimeError(
      `Expected attnMask dtype to be bool or float or to match query dtype, but got attnMask.dtype: ${attnMask.dtype} and  query.dtype: ${query.dtype} instead.`,
    );
  if (attnMask && isCausal)
    throw new RuntimeError('[scaledDotProductAttention] Explicit attnMask should not be set when isCausal=true');
  const [queries, width] = query.shape.slice(-2);
  const [keys, keyWidth] = key.shape.slice(-2);
  if (width !== keyWidth || keys !== value.shape.at(-2))
    throw new RuntimeError(
      `[scaledDotProductAttention] expected key (…, S, ${width}) and value (…, S, V), got [${key.shape}] and [${value.shape}]`,
    );
  const [k, v] = enableGqa ? [key, value].map((t) => repeatedHeads(query, t)) : [key, value];
  const batch = [k, v].reduce<Shape>(
    (sizes, t) => broadcastShapes(sizes, t.shape.slice(0, -2)),
    query.shape.slice(0, -2),
  );
  const given = attnMask && additiveMask(maskMatrix(attnMask), query.dtype);
  // A mask may have batch dimensions of its own.
  const whole = given ? broadcastShapes([...batch, queries, keys], given.shape) : [...batch, queries, keys];
  const outer = whole.slice(0, -2);
  if (given && (whole.at(-2) !== queries || whole.at(-1) !== keys))
    throw new RuntimeError(
      `[scaledDotProductAttention] expected attnMask that broadcasts to [${[...batch, queries, keys]}], got [${attnMask.shape}]`,
    );
  const flat = (t: Tensor) =>
    reshape(broadcastTo(t, [...outer, ...t.shape.slice(-2)]), [sizeOf(outer), ...t.shape.slice(-2)]);
  const mask = isCausal ? additiveMask(causal(query, queries, keys), query.dtype) : given;
  const isShared = !mask || sizeOf(mask.shape.slice(0, -2)) === 1;
  const matrices = mask && (isShared ? reshape(mask, mask.shape.slice(-2)) : flat(mask));
  const factor = scale ?? 1 / Math.sqrt(width);
  const out = attendSafely(flat(query), flat(k), flat(v), matrices, factor, dropoutP);
  return reshape(out, [...outer, queries, value.shape.at(-1)!]);
}

/** Keys or values with each head repeated, so that there are as many as in the query. */
function repeatedHeads(query: Tensor, t: Tensor): Tensor {
  if (Math.min(query.rank, t.rank) < 3)
    throw new RuntimeError(
      `[scaledDotProductAttention] expected heads as the third dimension from the end, got [${query.shape}] and [${t.shape}]`,
    );
  const [wanted, heads] = [query.shape.at(-3)!, t.shape.at(-3)!];
  if (wanted === heads) return t;
  if (heads === 0 || wanted % heads !== 0)
    throw new RuntimeError('Number of heads in key and value must divide the number of heads in ');
  return repeatInterleave(t, wanted / heads, -3);
}

// ---- heads ----------------------------------------------------------------------------------------------------------

/**
 * Where heads are in what a projection gives: (L, N, parts·heads·width), or (N, L, …) with `batchFirst`. Each part
 * alone is (N·heads, L, width).
 */
export interface HeadLayout {
  readonly length: number;
  readonly batch: number;
  readonly heads: number;
  readonly width: number;
  readonly parts: number;
  readonly batchFirst: boolean;
}

/** Copies each part from, or to, its place in the projection. */
function copyHeads(
  op: string,
  packed: Tensor,
  parts: readonly (Tensor | null)[],
  at: HeadLayout,
  toParts: boolean,
): void {
  const { length, batch, heads, width, batchFirst } = at;
  const row = at.parts * heads * width;
  const shape = [batch, heads, length, width];
  const inPacked = batchFirst ? [length * row, width, row, 1] : [row, width, batch * row, 1];
  const inPart = [heads * length * width, length * width, width, 1];
  parts.forEach((part, i) => {
    const offset = i * heads * width;
    if (!part) return;
    if (toParts) copyElements(op, packed, part, shape, inPacked, inPart, offset, 0);
    else copyElements(op, part, packed, shape, inPart, inPacked, 0, offset);
  });
}

/** The parts of a projection, each with its heads one after the other. */
export const splitHeads: (packed: Tensor, layout: HeadLayout) => readonly Tensor[] = defineOp({
  name: 'splitHeads',
  forward(_ctx, packed: Tensor, layout: HeadLayout): readonly Tensor[] {
    const { length, batch, heads, width } = layout;
    const parts = Array.from({ length: layout.parts }, () =>
      allocate([batch * heads, length, width], packed.dtype, 'contiguous', packed.backend),
    );
    copyHeads('splitHeads', rowMajor(packed), parts, layout, true);
    return parts;
  },
  backward(_ctx, grads, { dtype, backend }, layout) {
    const { length, batch, heads, width } = layout;
    const shape = [batch * heads, length, width];
    return [
      joinHeads(
        Array.from({ length: layout.parts }, (_, i) => (grads[i] as Tensor | null) ?? fullOn(backend, shape, 0, dtype)),
        layout,
      ),
    ];
  },
});

/** The adjoint of `splitHeads`: heads side by side. */
export const joinHeads: (parts: readonly Tensor[], layout: HeadLayout) => Tensor = defineOp({
  name: 'joinHeads',
  forward(_ctx, parts: readonly Tensor[], layout: HeadLayout): Tensor {
    const { length, batch, heads, width, batchFirst } = layout;
    const [{ dtype, backend }] = parts;
    const row = layout.parts * heads * width;
    const out = allocate(batchFirst ? [batch, length, row] : [length, batch, row], dtype, 'contiguous', backend);
    copyHeads('joinHeads', out, parts.map(rowMajor), layout, false);
    return out;
  },
  backward: (_ctx, [g], _parts, layout) => [splitHeads(g, layout)],
}) as (parts: readonly Tensor[], layout: HeadLayout) => Tensor;
