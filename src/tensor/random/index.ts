// Everything random that the rest of the library may use.

export { beta } from './beta.ts';
export { DEFAULT_SEED, defaultGenerator, Generator, GeneratorError, manualSeed } from './generator.ts';
export { multinomial, randperm, WIDE_DRAWS_FROM } from './permutation.ts';
export {
  bernoulli,
  exponential,
  type FloatArray,
  type IntegerTarget,
  integerRange,
  normal,
  RandomArgumentError,
  randint,
  randomInt64,
  requireUniformRange,
  uniform,
  WIDE_RANGE,
} from './sampling.ts';
export { truncNormal } from './trunc_normal.ts';
