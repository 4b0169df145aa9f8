// Everything random that the rest of the library may use.

export { DEFAULT_SEED, defaultGenerator, Generator, GeneratorError, manualSeed } from './generator.ts';
export { multinomial, randperm, requireCount } from './permutation.ts';
export {
  bernoulli,
  exponential,
  type FloatArray,
  type IntegerTarget,
  normal,
  RandomArgumentError,
  randint,
  randomInt64,
  uniform,
} from './sampling.ts';
export { truncNormal } from './trunc_normal.ts';
