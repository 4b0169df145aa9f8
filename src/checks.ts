// What a caller hands over as a plain value: one function for each kind of argument, so that every operation and layer
// refuses the same things in the same words. The first argument is always the name of the function that the user
// called. Not here: tensors (ops/launch.ts).
import { ArgumentTypeError, RuntimeError, ValueError } from './errors.ts';

/**
 * The most elements that a tensor may have: kernels count in 32 bits, and the end of their last block of elements must
 * fit too.
 */
export const maxElements = 2 ** 31 - 2 ** 20;

/** A value as an error shows it: short, and never of its own making. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number' || typeof value === 'boolean') return Object.is(value, -0) ? '-0' : String(value);
  if (Array.isArray(value))
    return value.length > 8 ? `an array of ${value.length}` : `[${value.map(shown).join(', ')}]`;
  const name = (value as object).constructor?.name;
  // Modules are functions of classes of their own.
  if (typeof value === 'function' && name === 'Function') return `the function ${value.name || '(anonymous)'}`;
  if (typeof value === 'symbol' || !name || name === 'Object')
    return typeof value === 'symbol' ? 'a symbol' : 'an object';
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`;
}

/**
 * A whole number from `least` to `most`.
 * @throws ArgumentTypeError where it is no integer, ValueError where it is out of range.
 */
export function requireInteger(
  op: string,
  name: string,
  value: unknown,
  least = Number.MIN_SAFE_INTEGER,
  most = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw new ArgumentTypeError(`[${op}] expected an integer as ${name}, got ${shown(value)}`);
  if (value < least || value > most)
    throw new ValueError(
      most === Number.MAX_SAFE_INTEGER
        ? `[${op}] expected ${name} of at least ${least}, got ${value}`
        : `[${op}] expected ${name} from ${least} to ${most}, got ${value}`,
    );
  return value;
}

/**
 * An array of whole numbers, from `least` on: sizes that may be −1, dimensions, counts, milestones. How many is the
 * caller's business.
 */
export function requireIntegers(op: string, name: string, values: unknown, least?: number): readonly number[] {
  if (!Array.isArray(values))
    throw new ArgumentTypeError(`[${op}] expected an array of integers as ${name}, got ${shown(values)}`);
  for (let i = 0; i < values.length; i++) {
    if (!Number.isInteger(values[i]))
      throw new ArgumentTypeError(`[${op}] expected integers as ${name}, got ${shown(values)}`);
    if (least !== undefined && values[i] < least) requireInteger(op, name, values[i], least);
  }
  return values;
}

/** Any number, NaN and infinities included: a value for elements. */
export function requireNumber(op: string, name: string, value: unknown): number {
  if (typeof value !== 'number')
    throw new ArgumentTypeError(`[${op}] expected a number as ${name}, got ${shown(value)}`);
  return value;
}

/** A value for an element: any number, and truth values as 1 and 0. */
export function requireElement(op: string, name: string, value: unknown): number {
  return typeof value === 'boolean' ? Number(value) : requireNumber(op, name, value);
}

/** A number that is no NaN and not infinite. */
export function requireFinite(op: string, name: string, value: unknown): number {
  requireNumber(op, name, value);
  if (!Number.isFinite(value)) throw new ValueError(`[${op}] expected a finite number as ${name}, got ${shown(value)}`);
  return value as number;
}

/** A finite number of at least 0: a rate, a decay, an epsilon. */
export function requireRate(op: string, name: string, value: unknown): number {
  requireNumber(op, name, value);
  if (!((value as number) >= 0 && (value as number) < Number.POSITIVE_INFINITY))
    throw new ValueError(`[${op}] expected ${name} to be a finite number of at least 0, got ${shown(value)}`);
  return value as number;
}

/** A number from 0 to 1. */
export function requireProbability(op: string, name: string, value: unknown): number {
  requireNumber(op, name, value);
  if (!((value as number) >= 0 && (value as number) <= 1))
    throw new ValueError(`[${op}] expected ${name} from 0 to 1, got ${shown(value)}`);
  return value as number;
}

/** The eps and momentum of a norm; null is a momentum of its own kind, and booleans count as 1 and 0, as in PyTorch. */
export function requireNormNumbers(op: string, eps: unknown, momentum: unknown = null): void {
  if (typeof eps !== 'boolean') requireFinite(op, 'eps', eps);
  if (momentum !== null && typeof momentum !== 'boolean') requireFinite(op, 'momentum', momentum);
}

/** `'a', 'b' or 'c'` */
function oneOf(choices: readonly string[]): string {
  const quoted = choices.map((choice) => `'${choice}'`);
  return quoted.length === 1 ? quoted[0] : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
}

/** One of a few names. */
export function requireChoice<T extends string>(op: string, name: string, value: unknown, choices: readonly T[]): T {
  if (typeof value !== 'string' || !choices.includes(value as T))
    throw new ValueError(`[${op}] expected ${oneOf(choices)} as ${name}, got ${shown(value)}`);
  return value as T;
}

/** An array of finite numbers. */
export function requireNumbers(op: string, name: string, value: unknown): readonly number[] {
  if (!Array.isArray(value))
    throw new ArgumentTypeError(`[${op}] expected an array of numbers as ${name}, got ${shown(value)}`);
  for (const one of value) requireFinite(op, name, one);
  return value;
}

/**
 * Refuses a shape of more elements than kernels can count, or one size of which they cannot: a size of 0 does not
 * excuse the others.
 */
export function requireCountable(shape: readonly number[], op?: string): void {
  const elements = shape.reduce((product, size) => product * size, 1);
  if (elements > maxElements || shape.some((size) => size > maxElements))
    throw new RuntimeError(
      `${op ? `[${op}] ` : ''}a tensor may have at most ${maxElements} elements (2^31 - 2^20), got shape [${shape.join(', ')}]`,
    );
}

/**
 * The sizes of a tensor to be made: integers of at least 0, whose product kernels can count.
 * @throws ArgumentTypeError where it is no array of integers, RuntimeError on a negative size or too many elements.
 */
export function requireShape(op: string, shape: unknown): asserts shape is readonly number[] {
  if (!Array.isArray(shape))
    throw new ArgumentTypeError(`[${op}] expected a shape as an array of integers, got ${shown(shape)}`);
  for (const size of shape) {
    if (typeof size !== 'number' || !Number.isInteger(size))
      throw new ArgumentTypeError(`[${op}] expected a shape of integers, got ${shown(shape)}`);
    if (size < 0)
      throw new RuntimeError(`Trying to create tensor with negative dimension ${size}: [${shape.join(', ')}]`);
  }
  requireCountable(shape, op);
}
