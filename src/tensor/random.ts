// Random tensors: what PyTorch's CPU generator draws, number for number, as tensors and as in-place fills.
import { requireFinite, requireInteger, requireNumber, requireRate, requireShape } from '../checks.ts';
import { backendOf } from '../device/engine.ts';
import { RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import {
  empty,
  fromTypedArray,
  fromTypedArrayOn,
  requireTensorOptions,
  type TensorOptions,
  tensorOptions,
} from './create.ts';
import { type DType, dtypeOf, dtypes, isFloat, type TypedArray } from './dtype.ts';
import * as draw from './random/index.ts';
import { warnIfSelected } from './selected.ts';
import { type Shape, sizeOf } from './shape.ts';
import { copyStrided, type Tensor } from './tensor.ts';

/** Which generator random numbers come from. */
export interface GeneratorOption {
  /** The generator that draws. Default: `defaultGenerator`, which `manualSeed` seeds. */
  generator?: draw.Generator;
}
export const generatorOption = declareOptions<GeneratorOption>({ generator: kind.generator });
/** Options of the functions that make random tensors. */
export interface RandomOptions extends TensorOptions, GeneratorOption {}
const randomOptions = declareOptions<RandomOptions>({ ...tensorOptions.kinds, ...generatorOption.kinds });

function floats(op: string, size: number, dtype: DType): Float32Array | Float64Array {
  if (!isFloat(dtype)) throw new RuntimeError(`"${op}" not implemented for '${dtype}'`);
  return dtype === 'float64' ? new Float64Array(size) : new Float32Array(size);
}

/** How many numbers are drawn for a tensor: none on the meta device, where it has no values. */
const drawn = (shape: Shape, options: RandomOptions): number =>
  backendOf(options.device).device === 'meta' ? 0 : sizeOf(shape);

const make = (
  values: TypedArray,
  shape: Shape,
  { requiresGrad, memoryFormat, dtype, device }: RandomOptions,
): Tensor =>
  backendOf(device).device === 'meta'
    ? empty(shape, { requiresGrad, memoryFormat, dtype: dtype ?? dtypeOf(values), device })
    : fromTypedArray(values, shape, { requiresGrad, memoryFormat, dtype, device });

/**
 * Uniform numbers in [0, 1) (PyTorch: `torch.rand`), the same that PyTorch draws from the same seed. On the meta
 * device, here and below, nothing is drawn and no generator moves.
 * @throws RuntimeError on a dtype other than float32 and float64.
 */
export function rand(shape: Shape, options: RandomOptions = {}): Tensor {
  return uniformTensor('rand', shape, options);
}

function uniformTensor(op: string, shape: Shape, options: RandomOptions): Tensor {
  requireShape(op, shape);
  requireTensorOptions(op, options, randomOptions);
  const values = floats(op, drawn(shape, options), options.dtype ?? 'float32');
  return make(draw.uniform(values, 0, 1, options.generator), shape, options);
}

/**
 * Normal numbers of mean 0 and variance 1 (PyTorch: `torch.randn`), the same that PyTorch draws from the same seed.
 * @throws RuntimeError on a dtype other than float32 and float64.
 * @example
 * manualSeed(0);
 * const noise = randn([4, 3]);
 */
export function randn(shape: Shape, options: RandomOptions = {}): Tensor {
  return normalTensor('randn', shape, options);
}

function normalTensor(op: string, shape: Shape, options: RandomOptions): Tensor {
  requireShape(op, shape);
  requireTensorOptions(op, options, randomOptions);
  const values = floats(op, drawn(shape, options), options.dtype ?? 'float32');
  return make(draw.normal(values, 0, 1, options.generator), shape, options);
}

/**
 * Integers in [low, high) (PyTorch: `torch.randint`). Default dtype: int64.
 * @throws ValueError where `high` is not above `low`.
 */
export function randint(low: number, high: number, shape: Shape, options: RandomOptions = {}): Tensor {
  requireInteger('randint', 'low', low);
  requireInteger('randint', 'high', high);
  requireShape('randint', shape);
  requireTensorOptions('randint', options, randomOptions);
  const { array } = dtypes[options.dtype ?? 'int64'];
  return make(draw.randint(new array(drawn(shape, options)), low, high, options.generator), shape, options);
}

/** The integers 0 … n − 1 in random order; int64 (PyTorch: `torch.randperm`). */
export function randperm(n: number, options: RandomOptions = {}): Tensor {
  requireInteger('randperm', 'n', n);
  requireShape('randperm', [n]);
  requireTensorOptions('randperm', options, randomOptions);
  const settings = { ...options, dtype: options.dtype ?? 'int64' } as const;
  return make(draw.randperm(drawn([n], options), options.generator), [n], settings);
}

function like(op: string, x: Tensor, options: RandomOptions): RandomOptions {
  requireOptions(op, options, randomOptions);
  return { ...options, dtype: options.dtype ?? x.dtype, device: options.device ?? x.device };
}

/** As `rand`, with shape, dtype and device of x (PyTorch: `torch.rand_like`). */
export const randLike = (x: Tensor, options: RandomOptions = {}): Tensor =>
  uniformTensor('randLike', x.shape, like('randLike', x, options));
/** As `randn`, with shape, dtype and device of x (PyTorch: `torch.randn_like`). */
export const randnLike = (x: Tensor, options: RandomOptions = {}): Tensor =>
  normalTensor('randnLike', x.shape, like('randnLike', x, options));

/**
 * 1 with the probability that each element of `p` gives, else 0; of p's shape and dtype (PyTorch: `torch.bernoulli`).
 */
export function bernoulli(p: Tensor, options: GeneratorOption = {}): Tensor {
  requireOptions('bernoulli', options, generatorOption);
  const isMeta = p.device === 'meta';
  const out = floats('bernoulli', isMeta ? 0 : p.size, p.dtype);
  if (isMeta) return empty(p.shape, { dtype: p.dtype, device: 'meta' });
  const probabilities = p.dataSync() as Float32Array;
  return make(draw.bernoulli(out, probabilities, options.generator), p.shape, { device: 'cpu' });
}

/** Overwrites x with the values that `fillValues` writes into an array of x's size, in row-major order. */
function fillWith<A extends Float32Array | Float64Array>(
  op: string,
  x: Tensor,
  fillValues: (out: A) => unknown,
): Tensor {
  const isMeta = x.device === 'meta';
  const values = floats(op, isMeta ? 0 : x.size, x.dtype);
  fillValues(values as A);
  warnIfSelected(op, x);
  if (isMeta) {
    x.storage.beginChange();
    return x;
  }
  const source = fromTypedArrayOn(x.backend, values, x.shape);
  const laid = source.memoryFormat === x.memoryFormat ? source : copyStrided(source, x.memoryFormat);
  x.storage.beginChange();
  x.storage.write(laid.storage.bytes());
  return x;
}

/** Fills x, in place, with uniform numbers in [from, to), by default [0, 1) (PyTorch: `Tensor.uniform_`). */
export function uniform_(x: Tensor, from = 0, to = 1, options: GeneratorOption = {}): Tensor {
  requireOptions('uniform_', options, generatorOption);
  requireFinite('uniform_', 'from', from);
  requireFinite('uniform_', 'to', to);
  return fillWith('uniform_', x, (out) => draw.uniform(out, from, to, options.generator));
}
/**
 * Fills x, in place, with normal numbers of the given mean (default: 0) and standard deviation (default: 1) (PyTorch:
 * `Tensor.normal_`).
 */
export function normal_(x: Tensor, mean = 0, std = 1, options: GeneratorOption = {}): Tensor {
  requireOptions('normal_', options, generatorOption);
  requireFinite('normal_', 'mean', mean);
  requireRate('normal_', 'std', std);
  return fillWith('normal_', x, (out) => draw.normal(out, mean, std, options.generator));
}
/**
 * Fills x, in place, with normal numbers limited to [a, b]; defaults: mean 0, standard deviation 1, limits −2 and 2
 * (PyTorch: `nn.init.trunc_normal_`). The limits are values, not multiples of `std`.
 */
export function truncNormal_(x: Tensor, mean = 0, std = 1, a = -2, b = 2, options: GeneratorOption = {}): Tensor {
  requireOptions('truncNormal_', options, generatorOption);
  requireFinite('truncNormal_', 'mean', mean);
  requireRate('truncNormal_', 'std', std);
  requireNumber('truncNormal_', 'a', a);
  requireNumber('truncNormal_', 'b', b);
  return fillWith('truncNormal_', x, (out) => draw.truncNormal(out, mean, std, a, b, options.generator));
}
