// Transforms of batches that mix each image, and its label, with another one of the batch: MixUp, CutMix.
import { callableOf } from '../../callable.ts';
import { requireInteger, requireNumber, shown } from '../../checks.ts';
import { ArgumentTypeError, ValueError } from '../../errors.ts';
import { setIndex } from '../../ops/brackets.ts';
import { cast, clone } from '../../ops/convert.ts';
import { add, mul } from '../../ops/elementwise.ts';
import { oneHot } from '../../ops/one_hot.ts';
import { roll } from '../../ops/rearranging.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { isFloat } from '../../tensor/dtype.ts';
import { beta, defaultGenerator, type Generator } from '../../tensor/random/index.ts';
import { scope } from '../../tensor/scope.ts';
import { formatShape } from '../../tensor/shape.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { type ArraySample, arrayOf, isArraySample, type TensorArray, toTensor } from '../sample.ts';
import { cropped } from './geometry.ts';
import { drawBelow, type RandomTransformOptions, randomTransformKinds } from './transform.ts';

/** Options of `MixUp` and `CutMix`. */
export interface MixOptions extends RandomTransformOptions {
  /** Both parameters of the beta distribution of the mixture; 1 is uniform. Default: 1. */
  alpha?: number;
  /** Classes, which labels of one dimension need; null where they are probabilities. Default: null. */
  numClasses?: number | null;
}
const mixOptions = declareOptions<MixOptions>({
  alpha: kind.number,
  numClasses: kind.integerOrNull,
  ...randomTransformKinds,
});

/** Makes `this` a function. */
class Callable {
  constructor() {
    // biome-ignore lint/correctness/noConstructorReturn: the function is the transform
    return callableOf<BatchTransform>(new.target.prototype, (self, [images, labels]: unknown[]) =>
      isArraySample(images) && isArraySample(labels)
        ? scope(() => self.mix(toTensor(images), toTensor(labels)).map(arrayOf))
        : scope(() => self.mix(images as Tensor, labels as Tensor)),
    );
  }
}

// Called as a function of a batch.
export interface BatchTransform {
  /** The batch mixed: tensors of tensors, arrays of arrays. Labels become probabilities, [N, classes]. */
  (images: ArraySample, labels: ArraySample): [images: ArraySample<TensorArray>, labels: ArraySample<TensorArray>];
  (images: Tensor, labels: Tensor): [images: Tensor, labels: Tensor];
}

/** What MixUp and CutMix have in common: a batch is mixed with itself, shifted by one. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the call signature, which a class cannot declare
export abstract class BatchTransform extends Callable {
  /** Both parameters of the beta distribution. */
  readonly alpha: number;
  /** Classes; null where labels are probabilities. */
  readonly numClasses: number | null;
  /** What draws; undefined: the default generator. */
  readonly generator: Generator | undefined;
  readonly #op: string;

  constructor(op: string, options: MixOptions) {
    requireOptions(op, options, mixOptions);
    super();
    const { alpha = 1, numClasses = null, generator } = options;
    requireNumber(op, 'alpha', alpha);
    if (!(alpha > 0 && alpha < Infinity)) throw new ValueError(`[${op}] expected alpha above 0, got ${shown(alpha)}`);
    if (numClasses !== null) requireInteger(op, 'numClasses', numClasses, 1);
    this.#op = op;
    this.alpha = alpha;
    this.numClasses = numClasses;
    this.generator = generator;
  }

  /**
   * The images mixed, and the part that the image itself has in each.
   * @internal
   */
  protected abstract mixImages(images: Tensor): [mixed: Tensor, own: number];

  /** What a call does, of tensors. Call the transform itself, which takes arrays too, not this. */
  mix(images: Tensor, labels: Tensor): [images: Tensor, labels: Tensor] {
    const op = this.#op;
    const { numClasses } = this;
    if (!(images instanceof Tensor))
      throw new ArgumentTypeError(`[${op}] expected images as a tensor, got ${shown(images)}`);
    if (!(labels instanceof Tensor))
      throw new ArgumentTypeError(`[${op}] The labels must be a tensor, but got ${shown(labels)} instead.`);
    if (labels.rank !== 1 && labels.rank !== 2)
      throw new ValueError(
        `[${op}] labels should be index based with shape (batchSize,) or probability based with shape (batchSize, numClasses), but got a tensor of shape ${formatShape(labels.shape)} instead.`,
      );
    if (labels.rank === 2 && numClasses !== null && labels.shape[1] !== numClasses)
      throw new ValueError(
        `[${op}] When passing 2D labels, the number of elements in last dimension must match numClasses: ${labels.shape[1]} != ${numClasses}. You can Leave numClasses to null.`,
      );
    if (labels.rank === 1 && numClasses === null)
      throw new ValueError(`[${op}] numClasses must be passed if the labels are index-based (1D)`);
    if (images.rank !== 4)
      throw new ValueError(`[${op}] Expected a batched input with 4 dims, but got ${images.rank} dimensions instead.`);
    if (images.shape[0] !== labels.shape[0])
      throw new ValueError(
        `[${op}] The batch size of the image or video does not match the batch size of the labels: ${images.shape[0]} != ${labels.shape[0]}.`,
      );
    const [mixed, own] = this.mixImages(images);
    const parts = labels.rank === 1 ? oneHot(labels, numClasses!) : labels;
    return [mixed, mixtureOf(isFloat(parts.dtype) ? parts : cast(parts, 'float32'), own)];
  }

  /** The part of each image itself, before it is known how much of another fits. */
  protected drawPart(): number {
    return beta(this.alpha, this.alpha, this.generator ?? defaultGenerator);
  }
}

/** own · x + (1 − own) · the one before. */
const mixtureOf = (x: Tensor, own: number): Tensor => add(mul(roll(x, 1, 0), 1 - own), mul(x, own));

/**
 * Each image, and its label, as a mean with the one before it in the batch, weighted by one number from Beta(alpha,
 * alpha) (torchvision: `transforms.v2.MixUp`). Labels become probabilities, as `crossEntropy` takes them. Draws that
 * number.
 *
 * A batch should be shuffled. Inside of workers, call it in the dataset module's `collate`. Source: Zhang et al. 2017,
 * arXiv:1710.09412.
 * @throws ArgumentTypeError on images of integers, ValueError on labels of another kind or number.
 * @example
 * const mixUp = new MixUp({ alpha: 0.2, numClasses: 10 });
 * const [mixed, probabilities] = mixUp(ones([4, 3, 8, 8]), tensor([1, 0, 9, 3], { dtype: 'int64' }));
 */
export class MixUp extends BatchTransform {
  constructor(options: MixOptions = {}) {
    super('MixUp', options);
  }

  /** @internal */
  protected override mixImages(images: Tensor): [mixed: Tensor, own: number] {
    if (!isFloat(images.dtype))
      throw new ArgumentTypeError(
        `[MixUp] result type float32 can't be cast to the desired output type ${images.dtype}`,
      );
    const own = this.drawPart();
    return [mixtureOf(images, own), own];
  }
}

/**
 * A random rectangle of each image from the one before it in the batch, and labels mixed by its area (torchvision:
 * `transforms.v2.CutMix`). The area is a part of the image's from Beta(alpha, alpha), as far as it lies inside. Draws
 * that number, then the column and the row of the centre.
 *
 * Source: Yun et al. 2019, arXiv:1905.04899.
 * @throws ValueError on labels of another kind or number.
 * @example
 * const cutMix = new CutMix({ numClasses: 10 });
 * const [cut, probabilities] = cutMix(ones([4, 3, 8, 8]), tensor([1, 0, 9, 3], { dtype: 'int64' }));
 */
export class CutMix extends BatchTransform {
  constructor(options: MixOptions = {}) {
    super('CutMix', options);
  }

  /** @internal */
  protected override mixImages(images: Tensor): [mixed: Tensor, own: number] {
    const part = this.drawPart();
    const [rows, columns] = images.shape.slice(-2);
    const [x, y] = [drawBelow(columns, this.generator), drawBelow(rows, this.generator)];
    const reach = 0.5 * Math.sqrt(1 - part);
    const [halfColumns, halfRows] = [Math.trunc(reach * columns), Math.trunc(reach * rows)];
    const [left, right] = [Math.max(0, x - halfColumns), Math.min(columns, x + halfColumns)];
    const [top, bottom] = [Math.max(0, y - halfRows), Math.min(rows, y + halfRows)];
    const mixed = clone(images);
    if (right > left && bottom > top) {
      const window = cropped(roll(images, 1, 0), top, left, bottom - top, right - left);
      setIndex(mixed, ['...', `${top}:${bottom}`, `${left}:${right}`], window);
    }
    return [mixed, 1 - ((right - left) * (bottom - top)) / (columns * rows)];
  }
}
