// How a case ended: the outcomes, what is known when it ended, and calls in words.
import { type DType, EvenkeelError, synchronize, Tensor } from '../src/index.ts';
import { type Case, type Expected, NotExpressible } from './case.ts';
import { ArgumentNotAvailable } from './signature.ts';

export const outcomes = [
  'agrees',
  // A row of intended.ts explains it.
  'intended',
  'not available',
  // An argument, a dtype or a kind of value that the library does not have.
  'argument not available',
  'differs',
  // The library raises, PyTorch does not.
  'raised',
  // PyTorch raises, the library does not.
  'accepted',
  // An error that nobody meant to give, such as JavaScript's own.
  'unclear',
  'crash',
] as const;
export type Outcome = (typeof outcomes)[number];
export const failures: readonly Outcome[] = ['differs', 'raised', 'accepted', 'unclear', 'crash'];

export interface Verdict {
  id: string;
  kind: Case['kind'];
  name: string;
  /** How it was called: 'function', 'method', 'inplace', 'channelsLast'; else the source of the case. */
  way: string;
  source: Case['source'];
  dtype: DType;
  outcome: Outcome;
  /** What it was about: 'output 0', 'gradient 1', 'construction'. */
  aspect: string;
  detail: string;
  /** The library's call in words. */
  call: string;
  /** The row of intended.ts, where one explains it. */
  row?: string;
}

/** What a run leaves behind for the table of intended differences. */
export interface Seen {
  args: readonly unknown[];
  outputs: readonly unknown[];
}

/** Ends a case. */
export class Found extends Error {
  readonly outcome: Outcome;
  readonly aspect: string;
  constructor(outcome: Outcome, aspect: string, detail: string) {
    super(detail);
    this.outcome = outcome;
    this.aspect = aspect;
  }
}

export function words(value: unknown): string {
  if (value instanceof Tensor) {
    const { dtype, shape, memoryFormat } = value;
    const kind = `${dtype}[${shape}]${memoryFormat === 'contiguous' ? '' : ' channelsLast'}`;
    return value.size <= 8 ? `${kind}(${Array.from(value.dataSync() as ArrayLike<unknown>, String).join(' ')})` : kind;
  }
  if (Array.isArray(value)) return `[${value.map(words).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    if (Object.getPrototypeOf(value) !== Object.prototype) return `a ${value.constructor.name}`;
    return `{ ${Object.entries(value)
      .map(([key, v]) => `${key}: ${words(v)}`)
      .join(', ')} }`;
  }
  return typeof value === 'string' ? `'${value}'` : String(value);
}
export const callText = (name: string, args: readonly unknown[]): string =>
  `${name}(${args.map(words).join(', ')})`.slice(0, 400);
const errorText = (error: unknown) =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 300);

/** An error that the library did not mean to give. */
const isUnclear = (error: unknown): boolean =>
  !(error instanceof EvenkeelError) || /kernel refused its arguments|is not a function|reading '/.test(error.message);

export function flatOutputs(result: unknown): unknown[] {
  if (Array.isArray(result)) return result.flatMap(flatOutputs);
  if (typeof result === 'object' && result !== null && 'values' in result && 'indices' in result)
    return [result.values, result.indices];
  if (typeof result === 'object' && result !== null && 'min' in result && 'max' in result && !('storage' in result))
    return [result.min, result.max];
  return [result];
}

/** Runs what may raise. With an expected error, the aspect 'call' is the one that should have. */
export function attempted<T>(expected: { error?: Expected['error'] }, aspect: string, work: () => T): T | null {
  const { error: wanted } = expected;
  const torch = wanted ? `; PyTorch: ${wanted.type}: ${wanted.text}` : '';
  let result: T;
  try {
    result = work();
    // A kernel's refusal comes when somebody waits for it.
    synchronize();
  } catch (error) {
    if (error instanceof Found || error instanceof ArgumentNotAvailable || error instanceof NotExpressible) throw error;
    if (isUnclear(error)) throw new Found('unclear', aspect, errorText(error) + torch);
    if (!wanted) throw new Found('raised', aspect, errorText(error));
    return null;
  }
  if (wanted && aspect === 'call') {
    const given = flatOutputs(result).map(words).join(', ');
    throw new Found('accepted', aspect, `got ${given.slice(0, 200)}${torch}`);
  }
  return result;
}
