// Random tensors: what PyTorch's CPU generator draws, number for number, as tensors and as in-place fills.
import { requireFinite, requireInteger, requireNumber, requireRate, requireShape } from '../checks.ts';
import { KernelRefusal } from '../device/address_backend.ts';
import { backendOf } from '../device/engine.ts';
import { Status } from '../device/generated/abi.ts';
import { RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { requireTensorOptions, type TensorOptions, tensorOptions } from './create.ts';
import { type DType, dtypes, isFloat } from './dtype.ts';
import { drawByKernel } from './random/drawing.ts';
import * as draw from './random/index.ts';
import { warnIfSelected } from './selected.ts';
import type { Shape } from './shape.ts';
import { allocate, copyElements, copyStrided, Tensor } from './tensor.ts';

/** Which generator random numbers come from. */
export interface GeneratorOption {
  /** The generator that draws. Default: `defaultGenerator`, which `manualSeed` seeds. */
  generator?: draw.Generator;
}
export const generatorOption = declareOptions<GeneratorOption>({ generator: kind.generator });
/** Options of the functions that make random tensors. */
export interface RandomOptions extends TensorOptions, GeneratorOption {}
const randomOptions = declareOptions<RandomOptions>({ ...tensorOptions.kinds, ...generatorOption.kinds });

function requireFloats(op: string, dtype: DType): void {
  if (!isFloat(dtype)) throw new RuntimeError(`"${op}" not implemented for '${dtype}'`);
}

/** A tensor that `fill` fills in row-major order. */
function make(shape: Shape, dtype: DType, options: RandomOptions, fill: (out: Tensor) => void): Tensor {
  const drawn = allocate(shape, dtype, 'contiguous', backendOf(options.device));
  fill(drawn);
  const out = options.memoryFormat === 'channelsLast' ? copyStrided(drawn, 'channelsLast') : drawn;
  if (options.requiresGrad) out.requiresGrad = true;
  return out;
}

/** Words of a generator for each number of the tensor. */
const wordsOf = (x: Tensor): number => (x.dtype === 'float64' ? 2 : 1);

function drawUniform(op: string, out: Tensor, from: number, to: number, generator?: draw.Generator): void {
  draw.requireUniformRange(from, to, out.dtype === 'float32');
  drawByKernel(out.backend, generator, wordsOf(out) * out.size, (state, used) =>
    out.backend.launch.uniform(op, { state, used, out, from, to }),
  );
}

function drawNormal(op: string, out: Tensor, mean: number, std: number, generator?: draw.Generator): void {
  // A few are drawn one by one.
  if (out.size < 16) {
    if (out.device !== 'meta') writeNumbers(out, (values) => draw.normal(values, mean, std, generator));
    return;
  }
  const numbers = out.size + (out.size % 16 === 0 ? 0 : 16);
  drawByKernel(out.backend, generator, wordsOf(out) * numbers, (state, used) =>
    out.backend.launch.normal(op, { state, used, out, mean, std }),
  );
}

/** Writes what JavaScript draws, in row-major order. */
function writeNumbers(out: Tensor, drawInto: (values: draw.FloatArray) => unknown): void {
  const values = out.dtype === 'float64' ? new Float64Array(out.size) : new Float32Array(out.size);
  drawInto(values);
  out.storage.write(new Uint8Array(values.buffer));
}

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
  const { dtype = 'float32', generator } = options;
  requireFloats(op, dtype);
  return make(shape, dtype, options, (out) => drawUniform(op, out, 0, 1, generator));
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

/** For the functions that are made of it. */
export function normalTensor(op: string, shape: Shape, options: RandomOptions, mean = 0, std = 1): Tensor {
  requireShape(op, shape);
  requireTensorOptions(op, options, randomOptions);
  requireFinite(op, 'mean', mean);
  const { dtype = 'float32', generator } = options;
  requireFloats(op, dtype);
  return make(shape, dtype, options, (out) => drawNormal(op, out, mean, std, generator));
}

/**
 * Integers in [low, high) (PyTorch: `torch.randint`). Default dtype: int64.
 * @throws ValueError where `high` is not above `low`.
 */
export const randint = (low: number, high: number, shape: Shape, options: RandomOptions = {}): Tensor =>
  integerTensor('randint', low, high, shape, options);

function integerTensor(op: string, low: number, high: number, shape: Shape, options: RandomOptions): Tensor {
  requireInteger(op, 'low', low);
  requireInteger(op, 'high', high);
  requireShape(op, shape);
  requireTensorOptions(op, options, randomOptions);
  const { dtype = 'int64', generator } = options;
  const { from, range } = draw.integerRange(new dtypes[dtype].array(0), low, high);
  return make(shape, dtype, options, (out) => {
    // The kernel knows no bool, which has the bytes of uint8.
    const numbers = dtype === 'bool' ? new Tensor(shape, 'uint8', 'contiguous', out.storage) : out;
    const [fromHigh, fromLow] = halvesOf(from);
    const [rangeHigh, rangeLow] = halvesOf(range);
    const words = out.size * (range >= draw.WIDE_RANGE ? 2 : 1);
    drawByKernel(out.backend, generator, words, (state, used) =>
      out.backend.launch.randomIntegers(op, {
        state,
        used,
        out: numbers,
        fromHigh,
        fromLow,
        rangeHigh,
        rangeLow,
      }),
    );
  });
}
/** 64 bits as two signed integers. */
const halvesOf = (value: bigint): [high: number, low: number] => [
  Number(BigInt.asIntN(32, value >> 32n)),
  Number(BigInt.asIntN(32, value)),
];

/** The integers 0 … n − 1 in random order; int64 (PyTorch: `torch.randperm`). */
export function randperm(n: number, options: RandomOptions = {}): Tensor {
  requireInteger('randperm', 'n', n);
  requireShape('randperm', [n]);
  requireTensorOptions('randperm', options, randomOptions);
  const { dtype = 'int64', generator } = options;
  return make([n], dtype, options, (out) => {
    const order = dtype === 'int64' ? out : allocate([n], 'int64', 'contiguous', out.backend);
    if (n >= draw.WIDE_DRAWS_FROM) {
      if (out.device !== 'meta') {
        const values = BigInt64Array.from(draw.randperm(n, generator), BigInt);
        order.storage.write(new Uint8Array(values.buffer));
      }
    } else if (n < 2) out.backend.launch.fill('randperm', { out: order, value: 0 });
    else
      drawByKernel(out.backend, generator, n - 1, (state, used) =>
        out.backend.launch.randomPermutation('randperm', { state, used, out: order }),
      );
    if (order !== out) out.backend.launch.cast('randperm', { x: order, out });
  });
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

/** As `randint`, with shape, dtype and device of x (PyTorch: `torch.randint_like`). */
export const randintLike = (x: Tensor, low: number, high: number, options: RandomOptions = {}): Tensor =>
  integerTensor('randintLike', low, high, x.shape, like('randintLike', x, options));

/**
 * 1 with the probability that each element of `p` gives, else 0; of p's shape and dtype (PyTorch: `torch.bernoulli`).
 */
export function bernoulli(p: Tensor, options: GeneratorOption = {}): Tensor {
  requireOptions('bernoulli', options, generatorOption);
  requireFloats('bernoulli', p.dtype);
  const probabilities = p.memoryFormat === 'contiguous' ? p : copyStrided(p, 'contiguous');
  const out = allocate(p.shape, p.dtype, 'contiguous', p.backend);
  try {
    drawByKernel(p.backend, options.generator, wordsOf(p) * p.size, (state, used) =>
      p.backend.launch.bernoulli('bernoulli', { state, used, p: probabilities, out }),
    );
  } catch (error) {
    if (!(error instanceof KernelRefusal) || error.status !== Status.badArgument) throw error;
    const wrong = (probabilities.dataSync() as Float32Array).find((each) => !(each >= 0 && each <= 1));
    throw new draw.RandomArgumentError(`Expected p >= 0 && p <= 1 to be true, but got ${wrong}`);
  }
  return out;
}

/** Overwrites x with what `fill` writes into a tensor of its shape, in row-major order. */
function fillWith(op: string, x: Tensor, fill: (out: Tensor) => void): Tensor {
  requireFloats(op, x.dtype);
  const isRowMajor = x.memoryFormat === 'contiguous';
  const drawn = isRowMajor ? x : allocate(x.shape, x.dtype, 'contiguous', x.backend);
  const change = () => {
    warnIfSelected(op, x);
    x.storage.beginChange();
  };
  if (isRowMajor) change();
  fill(drawn);
  if (isRowMajor) return x;
  change();
  copyElements(op, drawn, x);
  return x;
}

/** Fills x, in place, with uniform numbers in [from, to), by default [0, 1) (PyTorch: `Tensor.uniform_`). */
export function uniform_(x: Tensor, from = 0, to = 1, options: GeneratorOption = {}): Tensor {
  requireOptions('uniform_', options, generatorOption);
  requireFinite('uniform_', 'from', from);
  requireFinite('uniform_', 'to', to);
  draw.requireUniformRange(from, to, x.dtype === 'float32');
  return fillWith('uniform_', x, (out) => drawUniform('uniform_', out, from, to, options.generator));
}
/**
 * Fills x, in place, with normal numbers of the given mean (default: 0) and standard deviation (default: 1) (PyTorch:
 * `Tensor.normal_`).
 */
export function normal_(x: Tensor, mean = 0, std = 1, options: GeneratorOption = {}): Tensor {
  requireOptions('normal_', options, generatorOption);
  requireFinite('normal_', 'mean', mean);
  requireRate('normal_', 'std', std);
  return fillWith('normal_', x, (out) => drawNormal('normal_', out, mean, std, options.generator));
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
  return fillWith('truncNormal_', x, (out) => {
    if (out.device !== 'meta')
      writeNumbers(out, (values) => draw.truncNormal(values, mean, std, a, b, options.generator));
  });
}
