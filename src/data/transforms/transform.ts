// What a transform of images is: an object that is called as a function of a tensor, or of an array. And what is made
// of others: Compose, RandomApply. What transforms do is in the files beside this one.
import { callableOf } from '../../callable.ts';
import { requireProbability, shown } from '../../checks.ts';
import { ArgumentTypeError, ValueError } from '../../errors.ts';
import { reshape } from '../../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { defaultGenerator, type Generator, randint, uniform } from '../../tensor/random/index.ts';
import { scope } from '../../tensor/scope.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { SampleMismatchError } from '../errors.ts';
import { type ArraySample, arrayOf, isArraySample, shapeText, type TensorArray, toTensor } from '../sample.ts';

/** Makes `this` a function. */
class Callable {
  constructor() {
    // biome-ignore lint/correctness/noConstructorReturn: the function is the transform
    return callableOf<Transform>(new.target.prototype, (self, [image]: unknown[]) => applied(self, image));
  }
}

function applied(transform: Transform, image: unknown): Tensor | ArraySample {
  if (isArraySample(image)) return scope(() => arrayOf(transform.transform(toTensor(image))));
  if (!(image instanceof Tensor)) throw new ArgumentTypeError(`[Transform] expected an image, got ${shown(image)}`);
  // What a graph needs must stay.
  return image.requiresGrad ? transform.transform(image) : scope(() => transform.transform(image));
}

// A transform is called as a function of an image.
export interface Transform {
  /** The image transformed: a tensor of a tensor, an array of an array. */
  (image: ArraySample): ArraySample<TensorArray>;
  // Last, as what TypeScript takes a transform for where a function is wanted.
  (image: Tensor): Tensor;
}

/**
 * Base of all transforms of images (torchvision: `transforms.v2.Transform`). A transform is a function: `crop(image)`.
 *
 * An image is a tensor of shape [C, H, W], or several in one, [N, C, H, W], which are all treated alike; or an array of
 * such a shape, as datasets have them, of which it makes an array. It is never changed. A transform of one's own
 * defines `transform`; a plain function from tensor to tensor will do, too, inside of `Compose`.
 * @example
 * class Negative extends Transform {
 *   transform(image: Tensor) { return image.rsub(1); }
 * }
 * const negative = new Negative()(ones([3, 4, 4]));
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the call signature, which a class cannot declare
export abstract class Transform extends Callable {
  /** What the transform makes of a tensor. Call the transform itself, which takes arrays too, not this. */
  abstract transform(image: Tensor): Tensor;
}

/** What `Compose` and `RandomApply` take: a transform, or any other function of a tensor. */
export type ImageTransform = (image: Tensor) => Tensor;

/** Option of transforms that draw. */
export interface RandomTransformOptions {
  /** What draws. Default: the one that `manualSeed` seeds. */
  generator?: Generator;
}
export const randomTransformKinds = { generator: kind.generator };
export const randomTransformOptions = declareOptions<RandomTransformOptions>(randomTransformKinds);

/** A whole number from [0, end) (PyTorch: `torch.randint(0, end, (1,))`). */
export const drawBelow = (end: number, generator: Generator = defaultGenerator): number =>
  randint(new Int32Array(1), 0, end, generator)[0];

/** A transform that draws numbers. */
export abstract class RandomTransform extends Transform {
  /** What draws; undefined: the default generator. */
  readonly generator: Generator | undefined;

  constructor({ generator }: RandomTransformOptions) {
    super();
    this.generator = generator;
  }

  /** A float32 from [from, to) (PyTorch: `torch.empty(1).uniform_(from, to)`). */
  protected drawUniform(from: number, to: number): number {
    return uniform(new Float32Array(1), from, to, this.generator ?? defaultGenerator)[0];
  }

  /** A whole number from [0, end) (PyTorch: `torch.randint(0, end, (1,))`). */
  protected drawBelow(end: number): number {
    return drawBelow(end, this.generator);
  }

  /** Whether something of probability p happens (PyTorch: `torch.rand(1) < p`, in float32). */
  protected drawWhether(p: number): boolean {
    return this.drawUniform(0, 1) < Math.fround(p);
  }
}

/** A transform that leaves the image as it is with probability 1 − p. */
export abstract class RandomApplyTransform extends RandomTransform {
  /** The probability that anything is done. */
  readonly p: number;
  readonly #op: string;

  constructor(op: string, p: number, options: RandomTransformOptions) {
    super(options);
    this.#op = op;
    this.p = requireProbability(op, 'p', p);
  }

  override transform(image: Tensor): Tensor {
    requireImage(this.#op, image);
    return this.drawWhether(this.p) ? this.change(image) : image;
  }

  /** What happens with probability p. */
  protected abstract change(image: Tensor): Tensor;
}

/**
 * Channels, rows and columns of an image.
 * @throws SampleMismatchError where there are fewer dimensions.
 */
export function requireImage(op: string, image: Tensor): [channels: number, rows: number, columns: number] {
  if (image.rank < 3)
    throw new SampleMismatchError(
      `[${op}] expected an image of channels × rows × columns, got shape ${shapeText(image.shape)}`,
    );
  return image.shape.slice(-3) as [number, number, number];
}

/** Applies a function of [N, C, H, W] to an image with any number of dimensions before its channels. */
export function batched(image: Tensor, fn: (images: Tensor) => Tensor): Tensor {
  if (image.rank === 4) return fn(image);
  const result = fn(reshape(image, [sizeOf(image.shape.slice(0, -3)), ...image.shape.slice(-3)]));
  return reshape(result, [...image.shape.slice(0, -3), ...result.shape.slice(1)]);
}

/** Rounds as Python does: half to even. */
export function roundEven(x: number): number {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + (low % 2 === 0 ? 0 : 1) : Math.round(x);
}

function requireTransforms(op: string, transforms: unknown): readonly ImageTransform[] {
  if (!Array.isArray(transforms) || transforms.some((each) => typeof each !== 'function'))
    throw new ArgumentTypeError(`[${op}] Argument transforms should be a sequence of callables`);
  if (transforms.length === 0) throw new ValueError(`[${op}] Pass at least one transform`);
  return transforms;
}

const inTurn = (transforms: readonly ImageTransform[], image: Tensor): Tensor =>
  transforms.reduce((result, transform) => transform(result), image);

/**
 * Applies transforms one after the other (torchvision: `transforms.v2.Compose`).
 * @throws ValueError on an empty list, ArgumentTypeError on what is no function.
 * @example
 * const augment = new Compose([new RandomCrop(32, { padding: 4 }), new RandomHorizontalFlip(), new ToDtype('float32', { scale: true })]);
 * const augmented = augment(zeros([3, 32, 32], { dtype: 'uint8' }));
 */
export class Compose extends Transform {
  /** What is applied, in this order. */
  readonly transforms: readonly ImageTransform[];

  constructor(transforms: readonly ImageTransform[]) {
    super();
    this.transforms = requireTransforms('Compose', transforms);
  }

  override transform(image: Tensor): Tensor {
    return inTurn(this.transforms, image);
  }
}

/**
 * Applies transforms one after the other with probability p, default 0.5, or none of them (torchvision:
 * `transforms.v2.RandomApply`). Draws once.
 * @example
 * const sometimesBlurred = new RandomApply([new GaussianBlur(3)], 0.3);
 */
export class RandomApply extends RandomTransform {
  /** What is applied, in this order. */
  readonly transforms: readonly ImageTransform[];
  /** The probability that it is. */
  readonly p: number;

  constructor(transforms: readonly ImageTransform[], p = 0.5, options: RandomTransformOptions = {}) {
    requireOptions('RandomApply', options, randomTransformOptions);
    super(options);
    this.transforms = requireTransforms('RandomApply', transforms);
    this.p = requireProbability('RandomApply', 'p', p);
  }

  override transform(image: Tensor): Tensor {
    return this.drawWhether(this.p) ? inTurn(this.transforms, image) : image;
  }
}
