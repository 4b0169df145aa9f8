// Random choices by weights, and normal numbers of given means and deviations, as PyTorch's generator for the cpu draws
// them.
import { noGrad } from '../autograd/grad_mode.ts';
import { requireInteger, requireNumber } from '../checks.ts';
import { Cumulation } from '../device/generated/abi.ts';
import { RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { rowMajor } from '../tensor/copy.ts';
import { isFloat } from '../tensor/dtype.ts';
import type { Generator } from '../tensor/random/index.ts';
import {
  type GeneratorOption,
  generatorOption,
  normal_,
  normalTensor,
  type RandomOptions,
  uniform_,
} from '../tensor/random.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { broadcastShapes, type Shape } from '../tensor/shape.ts';
import { allocate, Tensor } from '../tensor/tensor.ts';
import { cast, detach } from './convert.ts';
import { add, div, ge, isfinite, log1p, logicalNot, mul, neg } from './elementwise.ts';
import { all, any, argmax, sum, topk } from './reduce.ts';
import { searchsorted } from './searching.ts';
import { narrow } from './shape_ops.ts';

/** Options of `multinomial`. */
export interface MultinomialOptions extends GeneratorOption {
  /** Whether a class may be drawn again. Default: false. */
  replacement?: boolean;
}
const multinomialOptions = declareOptions<MultinomialOptions>({
  ...generatorOption.kinds,
  replacement: kind.flag,
});

/**
 * Numbers of classes, drawn with probabilities in proportion to the weights in a vector (n), or in each row of (m, n);
 * int64 of shape (numSamples) or (m, numSamples). The same that PyTorch draws from the same seed (PyTorch:
 * `torch.multinomial`).
 * @throws RuntimeError on negative or infinite weights, on a row without any, and on more samples than classes without
 *   replacement.
 * @example
 * manualSeed(0);
 * const classes = multinomial(tensor([0, 10, 3, 0]), 4, { replacement: true });
 */
export function multinomial(weights: Tensor, numSamples: number, options: MultinomialOptions = {}): Tensor {
  requireTensor('multinomial', weights);
  requireInteger('multinomial', 'numSamples', numSamples);
  requireOptions('multinomial', options, multinomialOptions);
  const { replacement = false, generator } = options;
  if (weights.rank < 1 || weights.rank > 2)
    throw new RuntimeError('[multinomial] expected weights of 1 or 2 dimensions');
  const n = weights.shape[weights.rank - 1];
  if (!isFloat(weights.dtype))
    throw new RuntimeError(`multinomial only supports floating-point dtypes for input, got: ${weights.dtype}`);
  if (numSamples <= 0) throw new RuntimeError('cannot sample numSamples <= 0 samples');
  if (!replacement && numSamples > n)
    throw new RuntimeError('cannot sample numSamples > weights.shape.at(-1) samples without replacement');
  const shape = [...weights.shape.slice(0, -1), numSamples];
  if (weights.device === 'meta') return allocate(shape, 'int64', 'contiguous', weights.backend);
  const p = rowMajor(detach(weights));
  return noGrad(() => {
    if (p.size > 0 && any(logicalNot(ge(p, 0))).item() + any(logicalNot(isfinite(p))).item() > 0)
      throw new RuntimeError('probability tensor contains either `inf`, `nan` or element < 0');
    if (p.size > 0 && !all(sum(p, -1)).item())
      throw new RuntimeError('invalid multinomial distribution (sum of probabilities <= 0)');
    // One sample is drawn as without replacement.
    return replacement && numSamples > 1 ? withReplacement(p, shape, generator) : without(p, numSamples, generator);
  });
}
/** The classes whose weights are the largest multiples of numbers with exponential distribution. */
function without(p: Tensor, count: number, generator?: Generator): Tensor {
  const uniform = uniform_(allocate(p.shape, 'float64', 'contiguous', p.backend), 0, 1, { generator });
  const scaled = div(p, cast(neg(log1p(neg(uniform))), p.dtype));
  return count === 1 ? argmax(scaled, -1, { keepdim: true }) : topk(scaled, count).indices;
}
/** Where uniform numbers stand among the running sums, which are rounded as PyTorch's. */
function withReplacement(p: Tensor, shape: Shape, generator?: Generator): Tensor {
  const n = p.shape[p.rank - 1];
  const sums = allocate(p.shape, p.dtype, 'contiguous', p.backend);
  const outer = n === 0 ? 0 : p.size / n;
  p.backend.launch.cumulate('multinomial', { op: Cumulation.sum, x: p, out: sums, outer, n, inner: 1 });
  const shares = div(sums, narrow(sums, p.rank - 1, n - 1, 1));
  const uniform = uniform_(allocate(shape, 'float64', 'contiguous', p.backend), 0, 1, { generator });
  return searchsorted(cast(shares, 'float64'), uniform);
}

/**
 * Normal numbers of which each has a mean and a standard deviation of its own: tensors, broadcast, or one of them a
 * number; or both numbers, with a shape (PyTorch: `torch.normal`).
 * @throws RuntimeError on a negative deviation.
 * @example
 * const noise = normal(0, 0.1, [4, 3]);
 */
export function normal(
  mean: Tensor | number,
  std: Tensor | number = 1,
  shape?: Shape,
  options: RandomOptions = {},
): Tensor {
  if (typeof mean === 'number' && typeof std === 'number') {
    requireDeviation(std);
    return normalTensor('normal', shape as Shape, options, mean, std);
  }
  requireOptions('normal', options, generatorOption);
  const tensors = [mean, std].filter((t) => typeof t !== 'number');
  for (const one of tensors) requireTensor('normal', one);
  const [first] = tensors as Tensor[];
  const dtype = (mean instanceof Tensor ? mean : first).dtype;
  if (!isFloat(dtype)) throw new RuntimeError(`"normal" not implemented for '${dtype}'`);
  if (typeof std === 'number') requireDeviation(std);
  else if (std.size > 0 && std.device !== 'meta' && !all(ge(std, 0)).item())
    throw new RuntimeError('normal expects all elements of std >= 0.0');
  const common = (tensors as Tensor[]).reduce<number[]>((s, t) => broadcastShapes(s, t.shape), []);
  const drawn = normal_(allocate(common, dtype, 'contiguous', first.backend), 0, 1, options);
  return noGrad(() =>
    add(mul(drawn, typeof std === 'number' ? std : detach(std)), mean instanceof Tensor ? detach(mean) : mean),
  );
}
function requireDeviation(std: number): void {
  requireNumber('normal', 'std', std);
  if (!(std >= 0)) throw new RuntimeError(`normal expects std >= 0.0, but found std ${std}`);
}
