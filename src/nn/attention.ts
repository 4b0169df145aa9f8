// Attention with several heads as a layer: its parameters, its masks and projections. The arithmetic is in
// ops/attention.ts, layers made of it in transformer.ts.
import { maxElements, requireInteger, requireProbability } from '../checks.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { additiveMask, attend, attendSafely, type HeadLayout, joinHeads, splitHeads } from '../ops/attention.ts';
import { expand } from '../ops/broadcast.ts';
import { add } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import { padWith } from '../ops/pad.ts';
import { mean } from '../ops/reduce.ts';
import { cat, narrow, reshape, squeeze, unsqueeze } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { empty, fullOn } from '../tensor/create.ts';
import { type DType, isFloat, requireDType } from '../tensor/dtype.ts';
import { requireFloat, requireTensor } from '../tensor/requirements.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { warn } from '../warnings.ts';
import { constant_, xavierNormal_, xavierUniform_ } from './init.ts';
import { Linear } from './linear.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';
import { type DTypeOption, Parameter } from './parameter.ts';

/** Options of `MultiheadAttention`. */
export interface MultiheadAttentionOptions extends DTypeOption {
  /** The probability with which a weight is dropped in training. Default: 0. */
  dropout?: number;
  /** Whether the projections have biases. Default: true. */
  bias?: boolean;
  /** Whether a learned key and a learned value are appended. Default: false. */
  addBiasKv?: boolean;
  /** Whether a key and a value of zeros are appended. Default: false. */
  addZeroAttn?: boolean;
  /** The size of keys; null: embedDim. Default: null. */
  kdim?: number | null;
  /** The size of values; null: embedDim. Default: null. */
  vdim?: number | null;
  /** Whether inputs are (N, L, E), not (L, N, E). Default: false. */
  batchFirst?: boolean;
}
const multiheadAttentionOptions = declareOptions<MultiheadAttentionOptions>({
  dropout: kind.number,
  bias: kind.flag,
  addBiasKv: kind.flag,
  addZeroAttn: kind.flag,
  kdim: kind.integerOrNull,
  vdim: kind.integerOrNull,
  batchFirst: kind.flag,
  dtype: kind.choice,
});

/** Options of a call of `MultiheadAttention`. Masks are truth values, true where nothing is seen, or numbers to add. */
export interface MultiheadAttentionCallOptions {
  /** (N, S), or (S) without a batch: which keys nobody sees. Default: null, none. */
  keyPaddingMask?: Tensor | null;
  /** Whether the attention weights are given, too; without them it is faster. Default: true. */
  needWeights?: boolean;
  /** (L, S) or (N·numHeads, L, S): which key each query does not see. Default: null, none. */
  attnMask?: Tensor | null;
  /** Whether the weights are averaged over the heads. Default: true. */
  averageAttnWeights?: boolean;
  /** Says that attnMask, which is needed, is that of `Transformer.generateSquareSubsequentMask`. Default: false. */
  isCausal?: boolean;
}
const callOptions = declareOptions<MultiheadAttentionCallOptions>({
  keyPaddingMask: kind.tensor,
  needWeights: kind.flag,
  attnMask: kind.tensor,
  averageAttnWeights: kind.flag,
  isCausal: kind.flag,
});

/** The output projection, which PyTorch prints by this name. */
class NonDynamicallyQuantizableLinear extends Linear {}

/**
 * A mask of a layer, true where nothing is seen, as what is added; one of numbers as it is.
 * @param other another mask beside it, whose dtype should be the same.
 */
export function canonicalMask(
  name: string,
  mask: Tensor | null,
  dtype: DType,
  other: readonly [name: string, mask: Tensor | null] | null = null,
): Tensor | null {
  if (!mask) return null;
  if (mask.dtype !== 'bool' && !isFloat(mask.dtype))
    throw new RuntimeError(`only bool and floating types of ${name} are supported`);
  if (other?.[1] && other[1].dtype !== mask.dtype)
    warn(`Support for mismatched ${name} and ${other[0]} is deprecated. Use same type for both instead.`);
  return mask.dtype === 'bool' ? additiveMask(mask.logicalNot(), dtype) : mask;
}

/** A mask with one more key, which everybody sees. */
const withOneMore = (mask: Tensor | null): Tensor | null => mask && padWith(mask, [0, 1], {});

/**
 * Attention with several heads (Vaswani et al. 2017; PyTorch: `nn.MultiheadAttention`): query (L, N, E), key (S, N,
 * kdim) and value (S, N, vdim), or (N, L, E) … with `batchFirst`, or without the batch dimension N, give [output,
 * weights]: the output of the query's shape, and the weights (N, L, S), or (N, numHeads, L, S) where they are not
 * averaged; null without `needWeights`.
 *
 * The parameters are `in_proj_weight` (3·E, E), or `q_proj_weight`, `k_proj_weight` and `v_proj_weight` where kdim or
 * vdim is another size than E, with xavier's uniform numbers; `in_proj_bias` (3·E), which begins as zeros; `bias_k` and
 * `bias_v` (1, 1, E); and the projection `out_proj`.
 * @throws RuntimeError unless embedDim is divisible by numHeads, and at the call where shapes do not fit.
 * @example
 * const attention = new MultiheadAttention(8, 2, { batchFirst: true });
 * const tokens = randn([4, 5, 8]);
 * const [attended, weights] = attention(tokens, tokens, tokens); // shapes [4, 5, 8] and [4, 5, 5]
 */
export class MultiheadAttention extends Module {
  /** The size E of queries and of the output. */
  readonly embedDim: number;
  /** The number of heads. */
  readonly numHeads: number;
  /** The size of one head. */
  readonly headDim: number;
  /** The size of keys. */
  readonly kdim: number;
  /** The size of values. */
  readonly vdim: number;
  /** The probability with which a weight is dropped in training. */
  readonly dropout: number;
  /** Whether inputs are (N, L, E). */
  readonly batchFirst: boolean;
  /** Whether a key and a value of zeros are appended. */
  readonly addZeroAttn: boolean;

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, multiheadAttentionOptions);
    const { dropout = 0, bias = true, addBiasKv = false, addZeroAttn = false, batchFirst = false, dtype } = options;
    requireInteger(name, 'embedDim', embedDim, Number.MIN_SAFE_INTEGER, maxElements);
    requireInteger(name, 'numHeads', numHeads, Number.MIN_SAFE_INTEGER, maxElements);
    if (embedDim <= 0 || numHeads <= 0)
      throw new ValueError(
        `embedDim and numHeads must be greater than 0, got embedDim=${embedDim} and numHeads=${numHeads} instead`,
      );
    const [kdim, vdim] = [options.kdim ?? embedDim, options.vdim ?? embedDim];
    requireInteger(name, 'kdim', kdim, 0, maxElements);
    requireInteger(name, 'vdim', vdim, 0, maxElements);
    requireProbability(name, 'dropout', dropout);
    if (dtype !== undefined) requireDType(name, dtype);
    if (embedDim % numHeads !== 0) throw new RuntimeError('embedDim must be divisible by numHeads');
    this.embedDim = embedDim;
    this.numHeads = numHeads;
    this.headDim = embedDim / numHeads;
    this.kdim = kdim;
    this.vdim = vdim;
    this.dropout = dropout;
    this.batchFirst = batchFirst;
    this.addZeroAttn = addZeroAttn;
    const parameter = (has: boolean, ...shape: number[]) => (has ? new Parameter(empty(shape, { dtype })) : null);
    const isPacked = kdim === embedDim && vdim === embedDim;
    this.registerParameter('in_proj_weight', parameter(isPacked, 3 * embedDim, embedDim));
    this.registerParameter('q_proj_weight', parameter(!isPacked, embedDim, embedDim));
    this.registerParameter('k_proj_weight', parameter(!isPacked, embedDim, kdim));
    this.registerParameter('v_proj_weight', parameter(!isPacked, embedDim, vdim));
    this.registerParameter('in_proj_bias', parameter(bias, 3 * embedDim));
    this.registerParameter('bias_k', parameter(addBiasKv, 1, 1, embedDim));
    this.registerParameter('bias_v', parameter(addBiasKv, 1, 1, embedDim));
    this.registerModule('out_proj', new NonDynamicallyQuantizableLinear(embedDim, embedDim, { bias, dtype }));
    this.resetParameters();
  }

  private parameter(name: string): Parameter | null {
    return Module.read(this, name) as Parameter | null;
  }
  /** The projections of queries, keys and values, one below the other (3·E, E); null where their sizes differ. */
  get inProjWeight(): Parameter | null {
    return this.parameter('in_proj_weight');
  }
  /** The projection of queries (E, E); null where all are in `inProjWeight`. */
  get qProjWeight(): Parameter | null {
    return this.parameter('q_proj_weight');
  }
  /** The projection of keys (E, kdim); null where all are in `inProjWeight`. */
  get kProjWeight(): Parameter | null {
    return this.parameter('k_proj_weight');
  }
  /** The projection of values (E, vdim); null where all are in `inProjWeight`. */
  get vProjWeight(): Parameter | null {
    return this.parameter('v_proj_weight');
  }
  /** The biases of the three projections (3·E), null where there are none. */
  get inProjBias(): Parameter | null {
    return this.parameter('in_proj_bias');
  }
  /** The learned key (1, 1, E), null where there is none. */
  get biasK(): Parameter | null {
    return this.parameter('bias_k');
  }
  /** The learned value (1, 1, E), null where there is none. */
  get biasV(): Parameter | null {
    return this.parameter('bias_v');
  }
  /** The projection of the output. */
  get outProj(): Linear {
    return Module.read(this, 'out_proj') as Linear;
  }

  /** Draws the projections of the inputs anew; biases become 0. */
  resetParameters(): void {
    for (const weight of [this.inProjWeight, this.qProjWeight, this.kProjWeight, this.vProjWeight])
      if (weight) xavierUniform_(weight);
    if (this.inProjBias) {
      constant_(this.inProjBias, 0);
      constant_(this.outProj.bias!, 0);
    }
    if (this.biasK) xavierNormal_(this.biasK);
    if (this.biasV) xavierNormal_(this.biasV);
  }

  forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: MultiheadAttentionCallOptions = {},
  ): [output: Tensor, weights: Tensor | null] {
    requireOptions('MultiheadAttention', options, callOptions);
    const { needWeights = true, averageAttnWeights = true, isCausal = false } = options;
    for (const t of [query, key, value]) requireTensor('MultiheadAttention', t);
    requireFloat('MultiheadAttention', query);
    const isBatched = this.checkRanks(query, key, value, options);
    const own = ['attnMask', options.attnMask ?? null] as const;
    const padding = canonicalMask('keyPaddingMask', options.keyPaddingMask ?? null, query.dtype, own);
    let mask = canonicalMask(own[0], own[1], query.dtype);
    if (isCausal && !mask)
      throw new RuntimeError(
        'Need attnMask if specifying the isCausal hint. You may use the Transformer module method `generateSquareSubsequentMask` to create this mask.',
      );
    // Without a batch there is one sample, and the order of the two first dimensions does not matter.
    const batchFirst = this.batchFirst || !isBatched;
    const inBatch = (t: Tensor) => (isBatched ? t : unsqueeze(t, 0));
    const [batchDim, lengthDim] = batchFirst ? [0, 1] : [1, 0];
    const [q, k, v] = [query, key, value].map(inBatch);
    this.checkSizes(q, k, v, batchDim);
    const [batch, queries, keys] = [q.shape[batchDim], q.shape[lengthDim], k.shape[lengthDim]];
    const { embedDim, numHeads: heads, headDim: width } = this;
    if (mask) {
      const is2d = mask.rank === 2;
      const expected = is2d ? [queries, keys] : [batch * heads, queries, keys];
      if (!sameShape(mask.shape, expected))
        throw new RuntimeError(
          `The shape of the ${mask.rank}D attnMask is ${formatShape(mask.shape)}, but should be (${expected.join(', ')}).`,
        );
    }
    const isSelf = query === key && key === value;
    let [qs, ks, vs] = this.projected(q, k, v, isSelf, key === value, batchFirst);
    let [maskOfKeys, count] = [padding && inBatch(padding), keys];
    const appended = (key: Tensor, value: Tensor) => {
      const every = (t: Tensor) => expand(t, [batch * heads, 1, width]);
      ks = cat([ks, every(key)], 1);
      vs = cat([vs, every(value)], 1);
      [mask, maskOfKeys, count] = [withOneMore(mask), withOneMore(maskOfKeys), count + 1];
    };
    if (this.biasK && this.biasV) {
      // Each head has its part of the vector, in every sample.
      const ofHeads = (t: Tensor) =>
        reshape(expand(reshape(t, [1, heads, 1, width]), [batch, heads, 1, width]), [batch * heads, 1, width]);
      appended(ofHeads(this.biasK), ofHeads(this.biasV));
    }
    if (this.addZeroAttn) {
      const zero = fullOn(q.backend, [1, 1, width], 0, q.dtype);
      appended(zero, zero);
    }
    if (maskOfKeys) {
      if (maskOfKeys.shape[0] !== batch || maskOfKeys.shape[1] !== count)
        throw new RuntimeError(
          `Expected keyPaddingMask of shape [${batch}, ${count}], but got ${formatShape(maskOfKeys.shape)}`,
        );
      const ofHeads = reshape(expand(reshape(maskOfKeys, [batch, 1, 1, count]), [batch, heads, 1, count]), [
        batch * heads,
        1,
        count,
      ]);
      mask = mask ? add(mask, ofHeads) : ofHeads;
    }
    const [scale, dropped] = [1 / Math.sqrt(width), this.training ? this.dropout : 0];
    const [attended, weights] = needWeights
      ? attend(qs, ks, vs, mask, scale, dropped)
      : [attendSafely(qs, ks, vs, mask, scale, dropped), null];
    const layout: HeadLayout = { length: queries, batch, heads, width, parts: 1, batchFirst };
    const joined = reshape(joinHeads([attended], layout), [batch * queries, embedDim]);
    const sizes = batchFirst ? [batch, queries] : [queries, batch];
    const output = reshape(this.outProj(joined), [...sizes, embedDim]);
    const perHead = weights && reshape(weights, [batch, heads, queries, count]);
    const shown = perHead && (averageAttnWeights ? mean(perHead, 1) : perHead);
    if (isBatched) return [output, shown];
    return [squeeze(output, 0), shown && squeeze(shown, 0)];
  }

  /** Queries, keys and values after their projections, each (N·heads, length, width). */
  private projected(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    isSelf: boolean,
    isSameValue: boolean,
    batchFirst: boolean,
  ): Tensor[] {
    const { embedDim, inProjWeight, inProjBias } = this;
    const [batchDim, lengthDim] = batchFirst ? [0, 1] : [1, 0];
    const split = (x: Tensor, weight: Tensor, bias: Tensor | null, parts: number) =>
      splitHeads(linear(x, weight, bias), {
        length: x.shape[lengthDim],
        batch: x.shape[batchDim],
        heads: this.numHeads,
        width: this.headDim,
        parts,
        batchFirst,
      });
    if (inProjWeight && isSelf) return [...split(q, inProjWeight, inProjBias, 3)];
    const some = (t: Tensor, first: number, parts: number) => narrow(t, 0, first * embedDim, parts * embedDim);
    const bias = (first: number, parts: number) => inProjBias && some(inProjBias, first, parts);
    if (!inProjWeight)
      return [
        ...split(q, this.qProjWeight!, bias(0, 1), 1),
        ...split(k, this.kProjWeight!, bias(1, 1), 1),
        ...split(v, this.vProjWeight!, bias(2, 1), 1),
      ];
    const ofQuery = split(q, some(inProjWeight, 0, 1), bias(0, 1), 1);
    if (isSameValue) return [...ofQuery, ...split(k, some(inProjWeight, 1, 2), bias(1, 2), 2)];
    return [
      ...ofQuery,
      ...split(k, some(inProjWeight, 1, 1), bias(1, 1), 1),
      ...split(v, some(inProjWeight, 2, 1), bias(2, 1), 1),
    ];
  }

  /** Whether there is a batch dimension. */
  private checkRanks(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    { keyPaddingMask, attnMask }: MultiheadAttentionCallOptions,
  ): boolean {
    const { rank } = query;
    if (rank !== 2 && rank !== 3)
      throw new RuntimeError(`query should be unbatched 2D or batched 3D tensor but received ${rank}-D query tensor`);
    const kindOf = rank === 3 ? 'batched (3-D)' : 'unbatched (2-D)';
    if (key.rank !== rank || value.rank !== rank)
      throw new RuntimeError(
        `For ${kindOf} \`query\`, expected \`key\` and \`value\` to be ${rank}-D but found ${key.rank}-D and ${value.rank}-D tensors respectively`,
      );
    if (keyPaddingMask && keyPaddingMask.rank !== rank - 1)
      throw new RuntimeError(
        `For ${kindOf} \`query\`, expected \`keyPaddingMask\` to be \`null\` or ${rank - 1}-D but found ${keyPaddingMask.rank}-D tensor instead`,
      );
    if (attnMask && attnMask.rank !== 2 && attnMask.rank !== 3)
      throw new RuntimeError(
        `For ${kindOf} \`query\`, expected \`attnMask\` to be \`null\`, 2-D or 3-D but found ${attnMask.rank}-D tensor instead`,
      );
    if (rank === 2 && attnMask?.rank === 3) {
      const expected = [this.numHeads, query.shape[0], key.shape[0]];
      if (!sameShape(attnMask.shape, expected))
        throw new RuntimeError(
          `Expected \`attnMask\` shape to be (${expected.join(', ')}) but got ${formatShape(attnMask.shape)}`,
        );
    }
    return rank === 3;
  }

  private checkSizes(query: Tensor, key: Tensor, value: Tensor, batchDim: number): void {
    if (query.shape[2] !== this.embedDim)
      throw new RuntimeError(`was expecting embedding dimension of ${this.embedDim}, but got ${query.shape[2]}`);
    if (this.inProjWeight && !sameShape(key.shape, value.shape))
      throw new RuntimeError(
        `key shape ${formatShape(key.shape)} does not match value shape ${formatShape(value.shape)}`,
      );
    if (!sameShape(key.shape.slice(0, 2), value.shape.slice(0, 2)))
      throw new RuntimeError(
        `key's sequence and batch dims ${formatShape(key.shape.slice(0, 2))} do not match value's ${formatShape(value.shape.slice(0, 2))}`,
      );
    if (key.shape[batchDim] !== query.shape[batchDim])
      throw new RuntimeError(
        `[MultiheadAttention] expected query and key of one batch size, got ${formatShape(query.shape)} and ${formatShape(key.shape)}`,
      );
  }
}

declareModules({ MultiheadAttention, NonDynamicallyQuantizableLinear });
