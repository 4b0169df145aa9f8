// Random tensors: what PyTorch's CPU generator draws, number for number, as tensors and as in-place fills.
import { requireFinite, requireInteger, requireNumber, requireRate, requireShape } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { copyStrided } from './copy.ts';
import { fromTypedArray, requireTensorOptions, type TensorOptions, tensorOptions } from './create.ts';
import { type DType, dtypes, isFloat, type TypedArray } from './dtype.ts';
import * as draw from './random/index.ts';
import { warnIfSelected } from './selected.ts';
import { type Shape, sizeOf } from './shape.ts';
import type { Tensor } from './tensor.ts';

export interface GeneratorOption {
  /** What draws. Default: the one that `manualSeed` seeds. */
  generator?: draw.Generator;
}
export const generatorOption = declareOptions<GeneratorOption>({ generator: kind.generator });
export interface RandomOptions extends TensorOptions, GeneratorOption {}
const randomOptions = declareOptions<RandomOptions>({ ...tensorOptions.kinds, ...generatorOption.kinds });

function floats(op: string, size: number, dtype: DType): Float32Array | Float64Array {
  if (!isFloat(dtype)) throw new RuntimeError(`"${op}" not implemented for '${dtype}'`);
  return dtype === 'float64' ? new Float64Array(size) : new Float32Array(size);
}

const make = (values: TypedArray, shape: Shape, { requiresGrad, memoryFormat, dtype }: RandomOptions): Tensor =>
  fromTypedArray(values, shape, { requiresGrad, memoryFormat, dtype });

/** Uniform numbers in [0, 1) (PyTorch: `torch.rand`). */
export function rand(shape: Shape, options: RandomOptions = {}): Tensor {
  return uniformTensor('rand', shape, options);
}

function uniformTensor(op: string, shape: Shape, options: RandomOptions): Tensor {
  requireShape(op, shape);
  requireTensorOptions(op, options, randomOptions);
  return make(
    draw.uniform(floats(op, sizeOf(shape), options.dtype ?? 'float32'), 0, 1, options.generator),
    shape,
    options,
  );
}

/** Normal numbers of mean 0 and variance 1 (PyTorch: `torch.randn`). */
export function randn(shape: Shape, options: RandomOptions = {}): Tensor {
  return normalTensor('randn', shape, options);
}

function normalTensor(op: string, shape: Shape, options: RandomOptions): Tensor {
  requireShape(op, shape);
  requireTensorOptions(op, options, randomOptions);
  return make(
    draw.normal(floats(op, sizeOf(shape), options.dtype ?? 'float32'), 0, 1, options.generator),
    shape,
    options,
  );
}

/** Integers in [low, high) (PyTorch: `torch.randint`). Default dtype: int64. */
export function randint(low: number, high: number, shape: Shape, options: RandomOptions = {}): Tensor {
  requireInteger('randint', 'low', low);
  requireInteger('randint', 'high', high);
  requireShape('randint', shape);
  requireTensorOptions('randint', options, randomOptions);
  const { array } = dtypes[options.dtype ?? 'int64'];
  return make(draw.randint(new array(sizeOf(shape)), low, high, options.generator), shape, options);
}

/** The integers 0 … n − 1 in random order; int64 (PyTorch: `torch.randperm`). */
export function randperm(n: number, options: RandomOptions = {}): Tensor {
  requireInteger('randperm', 'n', n);
  requireShape('randperm', [n]);
  requireTensorOptions('randperm', options, randomOptions);
  return make(draw.randperm(n, options.generator), [n], { ...options, dtype: options.dtype ?? 'int64' });
}

/** As `rand`, in the shape and dtype of another tensor. */
export function randLike(x: Tensor, options: RandomOptions = {}): Tensor {
  requireOptions('randLike', options, randomOptions);
  return uniformTensor('randLike', x.shape, { ...options, dtype: options.dtype ?? x.dtype });
}
/** As `randn`, in the shape and dtype of another tensor. */
export function randnLike(x: Tensor, options: RandomOptions = {}): Tensor {
  requireOptions('randnLike', options, randomOptions);
  return normalTensor('randnLike', x.shape, { ...options, dtype: options.dtype ?? x.dtype });
}

/** 1 with the probability given by each element of `p`, else 0 (PyTorch: `torch.bernoulli`). */
export function bernoulli(p: Tensor, options: GeneratorOption = {}): Tensor {
  requireOptions('bernoulli', options, generatorOption);
  const probabilities = p.dataSync() as Float32Array;
  const out = floats('bernoulli', p.size, p.dtype);
  return make(draw.bernoulli(out, probabilities, options.generator), p.shape, {});
}

/** Overwrites x by what `fillValues` puts into an array of x's size, in row-major order. */
function fillWith<A extends Float32Array | Float64Array>(
  op: string,
  x: Tensor,
  fillValues: (out: A) => unknown,
): Tensor {
  const values = floats(op, x.size, x.dtype);
  fillValues(values as A);
  const source = fromTypedArray(values, x.shape);
  const laid = source.memoryFormat === x.memoryFormat ? source : copyStrided(source, x.memoryFormat);
  warnIfSelected(op, x);
  x.storage.beginChange();
  x.storage.bytes().set(laid.storage.bytes());
  return x;
}

/** Fills x with uniform numbers in [from, to) (PyTorch: `Tensor.uniform_`). */
export function uniform_(x: Tensor, from = 0, to = 1, options: GeneratorOption = {}): Tensor {
  requireOptions('uniform_', options, generatorOption);
  requireFinite('uniform_', 'from', from);
  requireFinite('uniform_', 'to', to);
  return fillWith('uniform_', x, (out) => draw.uniform(out, from, to, options.generator));
}
/** Fills x with normal numbers (PyTorch: `Tensor.normal_`). */
export function normal_(x: Tensor, mean = 0, std = 1, options: GeneratorOption = {}): Tensor {
  requireOptions('normal_', options, generatorOption);
  requireFinite('normal_', 'mean', mean);
  requireRate('normal_', 'std', std);
  return fillWith('normal_', x, (out) => draw.normal(out, mean, std, options.generator));
}
/** Fills x with normal numbers limited to [a, b] (PyTorch: `nn.init.trunc_normal_`). */
export function truncNormal_(x: Tensor, mean = 0, std = 1, a = -2, b = 2, options: GeneratorOption = {}): Tensor {
  requireOptions('truncNormal_', options, generatorOption);
  requireFinite('truncNormal_', 'mean', mean);
  requireRate('truncNormal_', 'std', std);
  requireNumber('truncNormal_', 'a', a);
  requireNumber('truncNormal_', 'b', b);
  return fillWith('truncNormal_', x, (out) => draw.truncNormal(out, mean, std, a, b, options.generator));
}
