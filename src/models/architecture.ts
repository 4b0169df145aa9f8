// What the functions of this folder have in common: `resnet18()` makes a model at once, `await resnet18({ weights })`
// one with the weights of a file, and `resnet18.transforms()` is what images go through before torchvision's weights
// see them. Not here: any architecture; how weights find their places (io/).
import { requireChoice, shown } from '../checks.ts';
import { ImageClassification, type ImageClassificationOptions } from '../data/transforms/image_classification.ts';
import { ArgumentTypeError } from '../errors.ts';
import {
  type LoadWeightsOptions,
  loadWeightsAs,
  loadWeightsOptions,
  WeightsMismatchError,
  type WeightsSource,
} from '../io/load_weights.ts';
import type { Module } from '../nn/index.ts';
import { declareOptions, kind, type Options, required, requireOptions } from '../options.ts';

/** Weights for a model, and how they are loaded. */
export interface WeightsOptions extends LoadWeightsOptions {
  /** A file (path, URL, `File`, `Blob`, bytes), or tensors by name. */
  from: WeightsSource;
  /**
   * Whether the last layer is loaded, too. false: it keeps the weights that it was made with, for classes of one's own.
   * Default: true.
   */
  head?: boolean;
}
const weightsOptions = declareOptions<WeightsOptions>({
  from: required(kind.own),
  head: kind.flag,
  ...loadWeightsOptions.kinds,
});

/** Where the weights of a model come from: a file, tensors by name, or either of them with options. */
export type Weights = WeightsSource | WeightsOptions;

/**
 * A function that makes models of one architecture.
 *
 * Reading takes time, so with `weights` it gives a promise: `const model = await resnet18({ weights: 'resnet18.pth'
 * })`.
 */
export interface Architecture<M extends Module, O extends object> {
  /**
   * A model with the weights of a file, and a printed report of what became of every name in it, as by `loadWeights` of
   * `evenkeel/io`.
   * @throws WeightsMismatchError unless every name stands on both sides; FileReadError, FileFormatError.
   */
  (
    options: O & {
      /**
       * A file (path, URL, `File`, `Blob`, bytes), tensors by name, or either of them with options: `{ from: file,
       * head: false }`.
       */
      weights: Weights;
    },
  ): Promise<M>;
  /** A model with random weights, which follow from `manualSeed`. */
  (
    options?: O & {
      /** A file of weights makes the result a promise. Default: none. */
      weights?: undefined;
    },
  ): M;
}

/** A function that makes models of an architecture for which torchvision has weights. `W` are their names. */
export interface TorchvisionArchitecture<M extends Module, O extends object, W extends string>
  extends Architecture<M, O> {
  /**
   * What an image goes through before these weights see it: resized, cropped at its centre, scaled, normalized
   * (torchvision: `ResNet18_Weights.IMAGENET1K_V1.transforms()`). Default: those that `weights="DEFAULT"` means in
   * torchvision.
   */
  transforms(weights?: W | 'DEFAULT'): ImageClassification;
}

interface Declaration<M extends Module, O extends object> {
  readonly name: string;
  readonly options: Options<O>;
  /** Path of the layer whose size is the number of classes, with a dot behind it. */
  readonly head: string;
  make(options: O): M;
}

/** How an image is prepared for weights, by their name; the last is torchvision's default. */
type Presets<W extends string> = Readonly<Record<W, Omit<ImageClassificationOptions, 'cropSize'>>>;

/** torchvision's first recipe, and its second, of which the weights are named V2. */
export const imageNetV1 = { IMAGENET1K_V1: { resizeSize: 256 } } as const;
export const imageNetV2 = { ...imageNetV1, IMAGENET1K_V2: { resizeSize: 232 } } as const;

type WithWeights<O> = O & { weights?: Weights };

/** A function that makes a model, with `weights` or without. */
export function architecture<M extends Module, O extends object>(declaration: Declaration<M, O>): Architecture<M, O> {
  const { name, options: own, make } = declaration;
  const known = declareOptions<WithWeights<O>>({ ...own.kinds, weights: kind.own } as never);
  function build(options: WithWeights<O> = {} as O): M | Promise<M> {
    requireOptions(name, options, known);
    const { weights } = options;
    // With inherited ones, which a spread would lose.
    const rest: Record<string, unknown> = {};
    for (const each in options) if (each !== 'weights') rest[each] = options[each as keyof O];
    const makeModel = () => make(rest as O);
    return weights === undefined ? makeModel() : withWeights(declaration, makeModel, weights);
  }
  Object.defineProperty(build, 'name', { value: name });
  return build as Architecture<M, O>;
}

/** The same for one that torchvision has weights of. */
export function torchvisionArchitecture<M extends Module, O extends object, W extends string>(
  declaration: Declaration<M, O>,
  presets: Presets<W>,
): TorchvisionArchitecture<M, O, W> {
  const names = Object.keys(presets) as W[];
  return Object.assign(architecture(declaration), {
    transforms(weights: W | 'DEFAULT' = 'DEFAULT') {
      requireChoice(`${declaration.name}.transforms`, 'weights', weights, [...names, 'DEFAULT']);
      return new ImageClassification({ cropSize: 224, ...presets[weights === 'DEFAULT' ? names.at(-1)! : weights] });
    },
  });
}

/** Whether weights come with options; else they are a source themselves. */
function haveOptions(weights: object): weights is WeightsOptions {
  const prototype = Object.getPrototypeOf(weights);
  const isPlain = prototype === Object.prototype || prototype === null;
  return 'from' in weights || (isPlain && !('read' in weights));
}

async function withWeights<M extends Module>(
  { name, head }: Pick<Declaration<M, never>, 'name' | 'head'>,
  makeModel: () => M,
  given: Weights,
): Promise<M> {
  const isObject = typeof given === 'object' && given !== null;
  if (typeof given !== 'string' && !isObject)
    throw new ArgumentTypeError(
      `[${name}] expected weights as a path, URL, File, Blob, bytes, tensors by name or { from: … }, got ${shown(given)}`,
    );
  const options: WeightsOptions = isObject && haveOptions(given) ? given : { from: given as WeightsSource };
  requireOptions(name, options, weightsOptions);
  const { from, head: loadsHead = true, fresh = [], strict, rename, print, key, parts } = options;
  // What is no array is refused by its own name.
  const kept = loadsHead || !Array.isArray(fresh) ? fresh : [...fresh, head];
  const model = makeModel();
  try {
    await loadWeightsAs(name, model, from, { strict, rename, print, key, parts, fresh: kept });
  } catch (error) {
    throw inOtherWords(name, head, error);
  }
  return model;
}

/**
 * What does not fit in terms of the function that was called: another number of classes, with what to do, or another
 * architecture.
 */
function inOtherWords(name: string, head: string, error: unknown): unknown {
  if (!(error instanceof WeightsMismatchError)) return error;
  const { report } = error;
  const { mismatched, missing, unexpected } = report;
  const [layer] = mismatched;
  const isHeadAlone = mismatched.every((each) => each.name.startsWith(head));
  if (!layer || missing.length + unexpected.length > 0 || !isHeadAlone) {
    const all = report.loaded.length + report.inserted.length + missing.length + mismatched.length;
    return new WeightsMismatchError(
      `[${name}] the weights in ${report.source} do not fit: they have ${report.loaded.length} of the model's ${all} parameters and buffers. Are they of this architecture?\n${error.message}`,
      report,
    );
  }
  const [classes, ours] = [layer.given[0], layer.shape[0]];
  return new WeightsMismatchError(
    `[${name}] the weights in ${report.source} are of ${classes} classes, the model is of ${ours}. For classes of your own, load all but the last layer, ` +
      `${head.slice(0, -1)}, which keeps its random weights: ${name}({ numClasses: ${ours}, weights: { from: …, head: false } }). ` +
      `For those of the file: ${name}({ numClasses: ${classes}, weights: … }).\n\n${report}`,
    report,
  );
}
