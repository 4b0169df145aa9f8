// Layers that are a matrix product or a look-up in a matrix: Linear, Bilinear, Embedding, EmbeddingBag.

import { noGrad } from '../autograd/grad_mode.ts';
import { maxElements, requireChoice, requireInteger } from '../checks.ts';
import { ValueError } from '../errors.ts';
import { setIndex } from '../ops/brackets.ts';
import {
  type EmbeddingBagLayerOptions,
  type EmbeddingBagMode,
  embeddingBagKinds,
  embeddingBagWith,
  embeddingKinds,
  embeddingWith,
  type EmbeddingOptions as TableOptions,
} from '../ops/embedding.ts';
import { bilinear, linear } from '../ops/linear.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { boolText, floatText } from '../python_text.ts';
import { empty } from '../tensor/create.ts';
import { requireDType } from '../tensor/dtype.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { normal_, resetLinearLike, uniform_ } from './init.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';
import { type DTypeOption, Parameter } from './parameter.ts';

/** Options of `Linear` and `Bilinear`. */
export interface LinearOptions extends DTypeOption {
  /** Whether there is a bias, one value for each output. Default: true. */
  bias?: boolean;
}
const linearOptions = declareOptions<LinearOptions>({ bias: kind.flag, dtype: kind.choice });

/**
 * y = x·Wᵀ + b over the last dimension: (…, in) → (…, out) (PyTorch: `nn.Linear`).
 *
 * Weight (out, in) and bias (out) start uniform in ±1/√in.
 * @example
 * const layer = new Linear(400, 120, { bias: false });
 */
export class Linear extends Module {
  /** The size of the last dimension of the input. */
  readonly inFeatures: number;
  /** The size of the last dimension of the output. */
  readonly outFeatures: number;
  /** The weights (out, in). */
  declare weight: Parameter;
  /** The bias (out), null where there is none. */
  declare bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, linearOptions);
    const { bias = true, dtype } = options;
    requireInteger(name, 'inFeatures', inFeatures, 0, maxElements);
    requireInteger(name, 'outFeatures', outFeatures, 0, maxElements);
    if (dtype !== undefined) requireDType(name, dtype);
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.registerParameter('weight', new Parameter(empty([outFeatures, inFeatures], { dtype })));
    this.registerParameter('bias', bias ? new Parameter(empty([outFeatures], { dtype })) : null);
    this.resetParameters();
  }

  /** Draws the parameters anew, uniform in ±1/√in. */
  resetParameters(): void {
    resetLinearLike(this.weight, this.bias);
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }

  override extraRepr(): string {
    return `in_features=${this.inFeatures}, out_features=${this.outFeatures}, bias=${boolText(this.bias !== null)}`;
  }
}

/**
 * y[o] = x1·W[o]·x2ᵀ + b[o] over the last dimensions: (…, in1) and (…, in2) → (…, out) (PyTorch: `nn.Bilinear`).
 *
 * Weight (out, in1, in2) and bias (out) start uniform in ±1/√in1.
 * @example
 * const y1 = new Bilinear(8, 8, 3)(x, y); // shape [4, 6, 8, 3]
 */
export class Bilinear extends Module {
  /** The size of the last dimension of the first input. */
  readonly in1Features: number;
  /** The size of the last dimension of the second input. */
  readonly in2Features: number;
  /** The size of the last dimension of the output. */
  readonly outFeatures: number;
  /** The weights (out, in1, in2). */
  declare weight: Parameter;
  /** The bias (out), null where there is none. */
  declare bias: Parameter | null;

  constructor(in1Features: number, in2Features: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    requireOptions(this.constructor.name, options, linearOptions);
    const { bias = true, dtype } = options;
    requireInteger('Bilinear', 'in1Features', in1Features, Number.MIN_SAFE_INTEGER, maxElements);
    if (in1Features <= 0) throw new ValueError(`in1Features must be > 0, but got ${in1Features}`);
    requireInteger('Bilinear', 'in2Features', in2Features, 0, maxElements);
    requireInteger('Bilinear', 'outFeatures', outFeatures, 0, maxElements);
    if (dtype !== undefined) requireDType('Bilinear', dtype);
    this.in1Features = in1Features;
    this.in2Features = in2Features;
    this.outFeatures = outFeatures;
    this.registerParameter('weight', new Parameter(empty([outFeatures, in1Features, in2Features], { dtype })));
    this.registerParameter('bias', bias ? new Parameter(empty([outFeatures], { dtype })) : null);
    this.resetParameters();
  }

  /** Draws the parameters anew, uniform in ±1/√in1. */
  resetParameters(): void {
    const bound = 1 / Math.sqrt(this.in1Features);
    uniform_(this.weight, -bound, bound);
    if (this.bias) uniform_(this.bias, -bound, bound);
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    return bilinear(x1, x2, this.weight, this.bias);
  }

  override extraRepr(): string {
    return `in1_features=${this.in1Features}, in2_features=${this.in2Features}, out_features=${this.outFeatures}, bias=${boolText(this.bias !== null)}`;
  }
}

/** Options of `Embedding`. */
export interface EmbeddingOptions extends TableOptions, DTypeOption {
  /** Row that starts as zeros and is not learned; negative ones count from the end. Default: null, none. */
  paddingIdx?: number | null;
}
const embeddingOptions = declareOptions<EmbeddingOptions>({ ...embeddingKinds, dtype: kind.choice });
/** Options of `EmbeddingBag`. */
export interface EmbeddingBagOptions extends EmbeddingBagLayerOptions, DTypeOption {}
const embeddingBagOptions = declareOptions<EmbeddingBagOptions>({ ...embeddingBagKinds, dtype: kind.choice });

/** What Embedding and EmbeddingBag share: the table, and what a look-up does to it. */
abstract class Table extends Module {
  /** How many vectors there are. */
  readonly numEmbeddings: number;
  /** The length of a vector. */
  readonly embeddingDim: number;
  /** The row that is not learned, and does not count in a bag; null: there is none. */
  readonly paddingIdx: number | null;
  /** The norm to which vectors are shortened when they are looked up; null: they are not. */
  maxNorm: number | null;
  /** The p of that norm. */
  normType: number;
  /** Whether gradients are divided by how often a vector has been looked up. */
  scaleGradByFreq: boolean;
  /** The vectors (numEmbeddings, embeddingDim). */
  declare weight: Parameter;

  constructor(op: string, numEmbeddings: number, embeddingDim: number, options: EmbeddingOptions) {
    super();
    const { paddingIdx = null, maxNorm = null, normType = 2, scaleGradByFreq = false, dtype } = options;
    requireInteger(op, 'numEmbeddings', numEmbeddings, 0, maxElements);
    requireInteger(op, 'embeddingDim', embeddingDim, 0, maxElements);
    if (paddingIdx !== null) requireInteger(op, 'paddingIdx', paddingIdx);
    if (dtype !== undefined) requireDType(op, dtype);
    if (paddingIdx !== null && (paddingIdx >= numEmbeddings || paddingIdx < -numEmbeddings))
      throw new ValueError(`[${op}] paddingIdx must be within numEmbeddings`);
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.paddingIdx = paddingIdx !== null && paddingIdx < 0 ? paddingIdx + numEmbeddings : paddingIdx;
    this.maxNorm = maxNorm;
    this.normType = normType;
    this.scaleGradByFreq = scaleGradByFreq;
    this.registerParameter('weight', new Parameter(empty([numEmbeddings, embeddingDim], { dtype })));
    this.resetParameters();
  }

  /** Draws the table anew; the padding row becomes 0. */
  resetParameters(): void {
    const { weight, paddingIdx } = this;
    normal_(weight);
    if (paddingIdx !== null) noGrad(() => setIndex(weight, paddingIdx, 0));
  }
}

const sizesText = ({ numEmbeddings, embeddingDim }: Table): string => `${numEmbeddings}, ${embeddingDim}`;
const paddingText = ({ paddingIdx }: Table): string => (paddingIdx === null ? '' : `, padding_idx=${paddingIdx}`);
const lookUpText = ({ maxNorm, normType, scaleGradByFreq }: Table): string =>
  [
    maxNorm === null ? '' : `, max_norm=${floatText(maxNorm)}`,
    normType === 2 ? '' : `, norm_type=${floatText(normType)}`,
    scaleGradByFreq ? ', scale_grad_by_freq=True' : '',
  ].join('');

/**
 * A table of vectors, looked up by integer indices: (…) → (…, embeddingDim) (PyTorch: `nn.Embedding`). The vectors
 * start normal, with mean 0 and variance 1.
 * @throws ValueError where paddingIdx is no row; IndexError at the call where an index is none.
 * @example
 * const vectors = new Embedding(1000, 16)(tensor([3, 7], { dtype: 'int64' })); // shape [2, 16]
 */
export class Embedding extends Table {
  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingOptions = {}) {
    requireOptions(new.target.name, options, embeddingOptions);
    super('Embedding', numEmbeddings, embeddingDim, options);
  }

  forward(indices: Tensor): Tensor {
    return embeddingWith(indices, this.weight, this);
  }

  override extraRepr(): string {
    return `${sizesText(this)}${paddingText(this)}${lookUpText(this)}`;
  }
}

/**
 * Sums, means or maxima of bags of vectors from a table, looked up by integer indices: of each row of a matrix of
 * indices, or of pieces of a vector that begin at offsets (PyTorch: `nn.EmbeddingBag`). The vectors start normal, with
 * mean 0 and variance 1.
 * @throws ValueError where paddingIdx is no row; IndexError at the call where an index is none.
 * @example
 * const words = tensor([1, 2, 4, 5, 4, 3], { dtype: 'int64' });
 * const texts = new EmbeddingBag(10, 16, { mode: 'sum' })(words, tensor([0, 4], { dtype: 'int64' })); // shape [2, 16]
 */
export class EmbeddingBag extends Table {
  /** What becomes of the vectors of a bag. */
  mode: EmbeddingBagMode;
  /** Whether the last offset is the end of the last bag. */
  includeLastOffset: boolean;

  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingBagOptions = {}) {
    requireOptions(new.target.name, options, embeddingBagOptions);
    const { mode = 'mean', includeLastOffset = false } = options;
    requireChoice('EmbeddingBag', 'mode', mode, ['sum', 'mean', 'max']);
    super('EmbeddingBag', numEmbeddings, embeddingDim, options);
    this.mode = mode;
    this.includeLastOffset = includeLastOffset;
  }

  forward(indices: Tensor, offsets: Tensor | null = null, perSampleWeights: Tensor | null = null): Tensor {
    const { paddingIdx, maxNorm, normType, scaleGradByFreq, mode, includeLastOffset } = this;
    const options = { paddingIdx, maxNorm, normType, scaleGradByFreq, mode, includeLastOffset };
    return embeddingBagWith(indices, this.weight, { ...options, offsets, perSampleWeights });
  }

  override extraRepr(): string {
    return `${sizesText(this)}${lookUpText(this)}, mode='${this.mode}'${paddingText(this)}`;
  }
}

declareModules({ Linear, Bilinear, Embedding, EmbeddingBag });
