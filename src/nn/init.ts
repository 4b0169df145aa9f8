// Initial values of parameters (PyTorch: torch.nn.init). Every function overwrites its tensor, draws from the library's
// generator what PyTorch draws, and returns the tensor. Not here: which layer starts with what.
import { noGrad } from '../autograd/grad_mode.ts';
import { requireElement, requireFinite, requireInteger } from '../checks.ts';
import { ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { copyDense } from '../tensor/copy.ts';
import { empty, eye, fill, fromTypedArray } from '../tensor/create.ts';
import * as random from '../tensor/random.ts';
import { type GeneratorOption, generatorOption } from '../tensor/random.ts';
import { warnIfSelected } from '../tensor/selected.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { orthogonalColumns } from './orthogonal_columns.ts';

/** Which fan keeps its variance: of the activations (`fanIn`, forward) or of the gradients (`fanOut`, backward). */
export type FanMode = 'fanIn' | 'fanOut';

const gains: Record<Nonlinearity, (param?: number) => number> = {
  linear: () => 1,
  conv1d: () => 1,
  conv2d: () => 1,
  conv3d: () => 1,
  convTranspose1d: () => 1,
  convTranspose2d: () => 1,
  convTranspose3d: () => 1,
  sigmoid: () => 1,
  tanh: () => 5 / 3,
  relu: () => Math.sqrt(2),
  leakyRelu: (slope = 0.01) => Math.sqrt(2 / (1 + slope ** 2)),
  selu: () => 3 / 4,
};
/** What follows a layer, and so decides how its weights begin. */
export type Nonlinearity =
  | 'linear'
  | 'conv1d'
  | 'conv2d'
  | 'conv3d'
  | 'convTranspose1d'
  | 'convTranspose2d'
  | 'convTranspose3d'
  | 'sigmoid'
  | 'tanh'
  | 'relu'
  | 'leakyRelu'
  | 'selu';

/** Options of `xavierUniform_`, `xavierNormal_` and `orthogonal_`. */
export interface XavierOptions extends GeneratorOption {
  /** A factor of all values; see `calculateGain`. Default: 1. */
  gain?: number;
}
const xavierOptions = declareOptions<XavierOptions>({ gain: kind.number, ...generatorOption.kinds });
/** Options of `kaimingUniform_` and `kaimingNormal_`. */
export interface KaimingOptions extends GeneratorOption {
  /** Negative slope of the leaky ReLU behind the layer; used with that nonlinearity only. Default: 0. */
  a?: number;
  /**
   * Which variance is kept: of the activations forward (`'fanIn'`), or of the gradients backward (`'fanOut'`). Default:
   * `'fanIn'`.
   */
  mode?: FanMode;
  /** What follows the layer. Default: `'leakyRelu'`. */
  nonlinearity?: Nonlinearity;
}
const kaimingOptions = declareOptions<KaimingOptions>({
  a: kind.number,
  mode: kind.choice,
  nonlinearity: kind.choice,
  ...generatorOption.kinds,
});

/**
 * The factor by which a nonlinearity shrinks a signal's standard deviation, to be made up for (PyTorch:
 * `nn.init.calculate_gain`).
 * @param param the negative slope, for `'leakyRelu'` only; default 0.01.
 * @throws ValueError on an unknown nonlinearity or a slope that is no number.
 */
export function calculateGain(nonlinearity: Nonlinearity, param?: number): number {
  if (typeof nonlinearity !== 'string' || !Object.hasOwn(gains, nonlinearity))
    throw new ValueError(`Unsupported nonlinearity ${String(nonlinearity)}`);
  if (nonlinearity === 'leakyRelu' && param !== undefined && !Number.isFinite(param))
    throw new ValueError(`negativeSlope ${String(param)} not a valid number`);
  return gains[nonlinearity](param);
}

/**
 * How many inputs feed one output of a layer with weights of this shape (O, I, …), and how many outputs one input
 * feeds.
 */
export function calculateFanInAndFanOut(shape: Shape): { fanIn: number; fanOut: number } {
  if (shape.length < 2)
    throw new ValueError('Fan in and fan out can not be computed for tensor with fewer than 2 dimensions');
  const field = sizeOf(shape.slice(2));
  return { fanIn: shape[1] * field, fanOut: shape[0] * field };
}

function chosenFan(shape: Shape, mode: FanMode): number {
  if (mode !== 'fanIn' && mode !== 'fanOut')
    throw new ValueError(`Mode ${String(mode)} not supported, please use one of ['fanIn', 'fanOut']`);
  const { fanIn, fanOut } = calculateFanInAndFanOut(shape);
  return mode === 'fanIn' ? fanIn : fanOut;
}

/** Fills with uniform numbers from [a, b), default [0, 1) (PyTorch: `nn.init.uniform_`). */
export const uniform_ = (x: Tensor, a = 0, b = 1, options: GeneratorOption = {}): Tensor =>
  random.uniform_(x, a, b, options);

/** Fills with normal numbers of the given mean and standard deviation, default 0 and 1 (PyTorch: `nn.init.normal_`). */
export const normal_ = (x: Tensor, mean = 0, std = 1, options: GeneratorOption = {}): Tensor =>
  random.normal_(x, mean, std, options);

/**
 * Fills with normal numbers, drawn again while outside [a, b]; defaults 0, 1, −2, 2 (PyTorch: `nn.init.trunc_normal_`).
 */
export const truncNormal_ = (x: Tensor, mean = 0, std = 1, a = -2, b = 2, options: GeneratorOption = {}): Tensor =>
  random.truncNormal_(x, mean, std, a, b, options);

/** Fills with one value (PyTorch: `nn.init.constant_`). */
export function constant_(x: Tensor, value: number | boolean): Tensor {
  const element = requireElement('constant_', 'value', value);
  warnIfSelected('constant_', x);
  x.storage.beginChange();
  fill(x, element);
  return x;
}
/** Fills with ones, in place (PyTorch: `nn.init.ones_`). Returns x. */
export const ones_ = (x: Tensor): Tensor => constant_(x, 1);
/** Fills with zeros, in place (PyTorch: `nn.init.zeros_`). Returns x. */
export const zeros_ = (x: Tensor): Tensor => constant_(x, 0);

/**
 * Makes a matrix the identity, as far as its shape allows (PyTorch: `nn.init.eye_`).
 * @throws ValueError unless x has two dimensions.
 */
export function eye_(x: Tensor): Tensor {
  if (x.rank !== 2) throw new ValueError('Only tensors with 2 dimensions are supported');
  const identity = eye(x.shape[0], x.shape[1], { dtype: x.dtype, device: x.device });
  x.storage.beginChange();
  copyDense('eye_', identity, x);
  return x;
}

/**
 * Makes the weights of a convolution keep its inputs, as many channels as possible (PyTorch: `nn.init.dirac_`).
 * @param groups of channels, each of which keeps its inputs; default 1.
 * @throws ValueError unless x has 3, 4 or 5 dimensions, of which the first is divisible by groups.
 * @example
 * dirac_(new Conv2d(16, 16, 3).weight);
 */
export function dirac_(x: Tensor, groups = 1): Tensor {
  requireInteger('dirac_', 'groups', groups, 1);
  if (x.rank < 3 || x.rank > 5) throw new ValueError('Only tensors with 3, 4, or 5 dimensions are supported');
  const [outputs, inputs, ...field] = x.shape;
  if (outputs % groups !== 0) throw new ValueError('dim 0 must be divisible by groups');
  if (x.device === 'meta') return x;
  const values = new Float64Array(x.size);
  const fieldSize = sizeOf(field);
  const centre = field.reduce((at, size) => at * size + Math.floor(size / 2), 0);
  const perGroup = outputs / groups;
  if (fieldSize > 0)
    for (let group = 0; group < groups; group++)
      for (let i = 0; i < Math.min(perGroup, inputs); i++)
        values[((group * perGroup + i) * inputs + i) * fieldSize + centre] = 1;
  return overwritten(x, fromTypedArray(values, x.shape, { dtype: x.dtype }));
}

const overwritten = (x: Tensor, values: Tensor): Tensor => noGrad(() => x.copy_(values));

/**
 * Fills a matrix with normal numbers, of which in every column a share is zero (Martens 2010; PyTorch:
 * `nn.init.sparse_`). Which ones are zero is drawn from the default generator, as in PyTorch.
 * @param sparsity the share of zeros, 0 to 1.
 * @param std the standard deviation of the others; default 0.01.
 * @throws ValueError unless x has two dimensions, and on another share.
 * @example
 * sparse_(zeros([100, 50]), 0.9);
 */
export function sparse_(x: Tensor, sparsity: number, std = 0.01, options: GeneratorOption = {}): Tensor {
  requireOptions('sparse_', options, generatorOption);
  requireFinite('sparse_', 'sparsity', sparsity);
  if (x.rank !== 2) throw new ValueError('Only tensors with 2 dimensions are supported');
  if (sparsity < 0 || sparsity > 1)
    throw new ValueError(`[sparse_] expected sparsity to be between 0 and 1, got ${sparsity}`);
  if (x.device === 'meta') return x;
  const [rows, columns] = x.shape;
  const zeros = Math.ceil(sparsity * rows);
  normal_(x, 0, std, options);
  const isZero = new Uint8Array(x.size);
  for (let column = 0; column < columns; column++)
    for (const row of (random.randperm(rows).dataSync() as BigInt64Array).subarray(0, zeros))
      isZero[Number(row) * columns + column] = 1;
  return overwritten(x, x.detach().maskedFill(fromTypedArray(isZero, x.shape, { dtype: 'bool' }), 0));
}

/**
 * Fills with an orthogonal matrix times `gain`: rows, or columns where there are more rows, are at right angles and of
 * length 1. Dimensions from the second on count as one (Saxe et al. 2013; PyTorch: `nn.init.orthogonal_`). A tensor
 * without elements stays.
 * @throws ValueError below two dimensions.
 * @example
 * orthogonal_(conv.weight, { gain: calculateGain('relu') });
 */
export function orthogonal_(x: Tensor, options: XavierOptions = {}): Tensor {
  requireOptions('orthogonal_', options, xavierOptions);
  const { gain = 1, generator } = options;
  requireFinite('orthogonal_', 'gain', gain);
  if (x.rank < 2) throw new ValueError('Only tensors with 2 or more dimensions are supported');
  if (x.size === 0 || x.device === 'meta') return x;
  const rows = x.shape[0];
  const columns = x.size / rows;
  const drawn = random.normal_(empty([rows, columns], { dtype: x.dtype }), 0, 1, { generator });
  // A wide matrix row by row is a tall one column by column, and so is the transpose of a tall one.
  const isWide = rows < columns;
  const tall = isWide ? drawn : drawn.t();
  const q = orthogonalColumns(Float64Array.from(tall.dataSync() as Float64Array), Math.max(rows, columns));
  const matrix = fromTypedArray(q, tall.shape, { dtype: x.dtype });
  return overwritten(x, (isWide ? matrix : matrix.t()).reshape(x.shape).mul(gain));
}

function xavierStd(x: Tensor, gain: number): number {
  const { fanIn, fanOut } = calculateFanInAndFanOut(x.shape);
  return gain * Math.sqrt(2 / (fanIn + fanOut));
}

/**
 * Fills with uniform numbers from ±gain·√(6 / (fanIn + fanOut)) (Glorot & Bengio 2010; PyTorch:
 * `nn.init.xavier_uniform_`).
 * @throws ValueError below two dimensions.
 */
export function xavierUniform_(x: Tensor, options: XavierOptions = {}): Tensor {
  requireOptions('xavierUniform_', options, xavierOptions);
  const { gain = 1, generator } = options;
  requireFinite('xavierUniform_', 'gain', gain);
  const bound = Math.sqrt(3) * xavierStd(x, gain);
  return uniform_(x, -bound, bound, { generator });
}

/**
 * As `xavierUniform_`, normal with standard deviation gain·√(2 / (fanIn + fanOut)) (PyTorch: `nn.init.xavier_normal_`).
 */
export function xavierNormal_(x: Tensor, options: XavierOptions = {}): Tensor {
  requireOptions('xavierNormal_', options, xavierOptions);
  const { gain = 1, generator } = options;
  requireFinite('xavierNormal_', 'gain', gain);
  return normal_(x, 0, xavierStd(x, gain), { generator });
}

function kaimingStd(x: Tensor, { a = 0, mode = 'fanIn', nonlinearity = 'leakyRelu' }: KaimingOptions): number {
  return calculateGain(nonlinearity, a) / Math.sqrt(chosenFan(x.shape, mode));
}

/**
 * Fills with uniform numbers from ±gain·√(3 / fan) (He et al. 2015; PyTorch: `nn.init.kaiming_uniform_`). A tensor
 * without elements stays.
 * @throws ValueError below two dimensions, or on an unknown mode or nonlinearity.
 * @example
 * kaimingUniform_(conv.weight, { nonlinearity: 'relu' });
 */
export function kaimingUniform_(x: Tensor, options: KaimingOptions = {}): Tensor {
  requireOptions('kaimingUniform_', options, kaimingOptions);
  if (x.shape.includes(0)) return x;
  const bound = Math.sqrt(3) * kaimingStd(x, options);
  return uniform_(x, -bound, bound, { generator: options.generator });
}

/** As `kaimingUniform_`, normal with standard deviation gain/√fan (PyTorch: `nn.init.kaiming_normal_`). */
export function kaimingNormal_(x: Tensor, options: KaimingOptions = {}): Tensor {
  requireOptions('kaimingNormal_', options, kaimingOptions);
  if (x.shape.includes(0)) return x;
  return normal_(x, 0, kaimingStd(x, options), { generator: options.generator });
}

/**
 * How linear and convolution layers begin: weights from ±1/√fanIn, biases likewise (PyTorch: their `reset_parameters`).
 */
export function resetLinearLike(weight: Tensor, bias: Tensor | null): void {
  kaimingUniform_(weight, { a: Math.sqrt(5) });
  if (!bias) return;
  const { fanIn } = calculateFanInAndFanOut(weight.shape);
  if (fanIn === 0) return;
  uniform_(bias, -1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn));
}
