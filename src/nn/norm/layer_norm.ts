// Layer norm and RMS norm as layers: their parameters and printed forms. The arithmetic and the checks are in
// ops/norm/layer_norm.ts.

import { maxElements, requireInteger, requireNormNumbers } from '../../checks.ts';
import { layerNormWith, rmsNormWith } from '../../ops/norm/layer_norm.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { boolText, floatText, sizeText } from '../../python_text.ts';
import { ones, zeros } from '../../tensor/create.ts';
import { requireDType } from '../../tensor/dtype.ts';
import type { Shape } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { ones_, zeros_ } from '../init.ts';
import { Module } from '../module.ts';
import { declareModules } from '../module_call.ts';
import { type DTypeOption, Parameter } from '../parameter.ts';

/** Options of `RMSNorm`. */
export interface RMSNormOptions extends DTypeOption {
  /** Added to the mean square; null: the distance from 1 to the next number of the input's dtype. Default: null. */
  eps?: number | null;
  /** Whether there is a weight for every value. Default: true. */
  elementwiseAffine?: boolean;
}
const rmsNormOptions = declareOptions<RMSNormOptions>({
  eps: kind.numeric,
  elementwiseAffine: kind.flag,
  dtype: kind.choice,
});
/** Options of `LayerNorm`. */
export interface LayerNormOptions extends DTypeOption {
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
  /** Whether there are a weight and a bias for every value. Default: true. */
  elementwiseAffine?: boolean;
  /** Whether an affine layer has the bias, not only the weight. Default: true. */
  bias?: boolean;
}
const layerNormOptions = declareOptions<LayerNormOptions>({
  eps: kind.numeric,
  elementwiseAffine: kind.flag,
  bias: kind.flag,
  dtype: kind.choice,
});

function shapeOf(layer: string, normalizedShape: number | Shape): Shape {
  const shape = Array.isArray(normalizedShape) ? [...normalizedShape] : [normalizedShape as number];
  for (const size of shape) requireInteger(layer, 'normalizedShape', size, -maxElements, maxElements);
  return shape;
}

/**
 * Layer norm over the trailing dimensions `normalizedShape` of (*, ...normalizedShape): mean 0, variance 1, then times
 * weight plus bias of the same shape; the same in training and evaluation (Ba et al. 2016; PyTorch: `nn.LayerNorm`).
 * The result is contiguous.
 *
 * @throws RuntimeError at the call where the input's trailing dimensions are others.
 * @example
 * const norm = new LayerNorm([6, 8, 8], { bias: false });
 */
export class LayerNorm extends Module {
  /** The sizes of the last dimensions, over which is normalized. */
  readonly normalizedShape: Shape;
  /** Added to the variance. */
  readonly eps: number;
  /** Whether the layer was made with a weight. */
  readonly elementwiseAffine: boolean;
  /** The factor of each element, in the normalized shape; null where the layer is not affine. */
  declare weight: Parameter | null;
  /** What is added to each element, in the normalized shape; null where there is none. */
  declare bias: Parameter | null;

  constructor(normalizedShape: number | Shape, options: LayerNormOptions = {}) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, layerNormOptions);
    const { eps = 1e-5, elementwiseAffine = true, bias = true, dtype } = options;
    const shape = shapeOf(name, normalizedShape);
    if (eps !== null) requireNormNumbers(name, eps);
    if (dtype !== undefined) requireDType(name, dtype);
    this.normalizedShape = shape;
    this.eps = eps;
    this.elementwiseAffine = elementwiseAffine;
    this.registerParameter('weight', elementwiseAffine ? new Parameter(ones(shape, { dtype })) : null);
    this.registerParameter('bias', elementwiseAffine && bias ? new Parameter(zeros(shape, { dtype })) : null);
  }

  /** Weight to 1, bias to 0, in place. */
  resetParameters(): void {
    if (this.weight) ones_(this.weight);
    if (this.bias) zeros_(this.bias);
  }

  override get isNorm(): boolean {
    return true;
  }

  forward(x: Tensor): Tensor {
    const { weight, bias, eps } = this;
    return layerNormWith(x, this.normalizedShape, { weight, bias, eps });
  }

  override extraRepr(): string {
    const bias = this.elementwiseAffine && !this.bias ? ', bias=False' : '';
    return `${sizeText(this.normalizedShape)}, eps=${floatText(this.eps)}, elementwise_affine=${boolText(this.elementwiseAffine)}${bias}`;
  }
}

/**
 * RMS norm over the trailing dimensions `normalizedShape`: x/√(mean(x²) + eps) times a weight of the same shape; no
 * mean is subtracted, and there is no bias (Zhang & Sennrich 2019; PyTorch: `nn.RMSNorm`). The result is contiguous.
 *
 * @throws RuntimeError at the call where the input's trailing dimensions are others.
 * @example
 * const norm = new RMSNorm(64, { eps: 1e-6 });
 */
export class RMSNorm extends Module {
  /** The sizes of the last dimensions, over which is normalized. */
  readonly normalizedShape: Shape;
  /** Added to the mean square; null: the distance from 1 to the next number of the input's dtype. */
  readonly eps: number | null;
  /** Whether the layer was made with a weight. */
  readonly elementwiseAffine: boolean;
  /** The factor of each element, in the normalized shape; null where the layer is not affine. */
  declare weight: Parameter | null;

  constructor(normalizedShape: number | Shape, options: RMSNormOptions = {}) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, rmsNormOptions);
    const { eps = null, elementwiseAffine = true, dtype } = options;
    const shape = shapeOf(name, normalizedShape);
    if (eps !== null) requireNormNumbers(name, eps);
    if (dtype !== undefined) requireDType(name, dtype);
    this.normalizedShape = shape;
    this.eps = eps;
    this.elementwiseAffine = elementwiseAffine;
    this.registerParameter('weight', elementwiseAffine ? new Parameter(ones(shape, { dtype })) : null);
  }

  /** Weight to 1, in place. */
  resetParameters(): void {
    if (this.weight) ones_(this.weight);
  }

  override get isNorm(): boolean {
    return true;
  }

  forward(x: Tensor): Tensor {
    return rmsNormWith(x, this.normalizedShape, { weight: this.weight, eps: this.eps });
  }

  override extraRepr(): string {
    return `${sizeText(this.normalizedShape)}, eps=${floatText(this.eps)}, elementwise_affine=${boolText(this.elementwiseAffine)}`;
  }
}

declareModules({ LayerNorm, RMSNorm });
