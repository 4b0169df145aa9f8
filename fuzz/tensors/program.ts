// A program of the tensor fuzzer: a few small tensors with their values, one to three calls on them, and whether
// gradients are asked for. It is plain JSON, so that PyTorch (peer.py) and a corpus can have it as it is.
import type { DType } from '../../src/tensor/dtype.ts';

/** What JSON has no number for. */
export interface Special {
  readonly $: 'NaN' | 'Infinity' | '-Infinity' | '-0';
}
export type Arg = number | boolean | null | string | Special | { readonly t: number } | readonly Arg[];

export interface Given {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly data: readonly (number | Special)[];
  readonly requiresGrad: boolean;
}

/** `on` and `{ t }` are numbers of tensors: first those that are given, then the result of each step. */
export interface Step {
  readonly op: string;
  readonly on: number;
  readonly args: readonly Arg[];
}

export interface TensorProgram {
  readonly kind: string;
  readonly given: readonly Given[];
  readonly steps: readonly Step[];
  /**
   * 0: values only; 1: and gradients of what is given; 2: those of the last tensor's square, and of the sum of their
   * squares.
   */
  readonly order: 0 | 1 | 2;
}

/** A tensor as numbers. */
export interface Seen {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: readonly (number | Special)[];
}

/**
 * What one side made of a program: what each step gave (several, for a list), the error that ended it, and gradients.
 */
export interface Outcome {
  readonly steps: readonly (readonly Seen[])[];
  readonly error: string | null;
  readonly gradients: readonly (Seen | null)[];
  readonly second: readonly (Seen | null)[];
}

export const special = (v: number): number | Special =>
  Number.isFinite(v) && !Object.is(v, -0) ? v : { $: Object.is(v, -0) ? '-0' : (String(v) as Special['$']) };
export const plain = (v: number | Special): number => (typeof v === 'number' ? v : Number(v.$));
export const isSpecial = (arg: unknown): arg is Special => typeof arg === 'object' && arg !== null && '$' in arg;
export const isTensor = (arg: unknown): arg is { readonly t: number } =>
  typeof arg === 'object' && arg !== null && 't' in arg;

const shownArg = (arg: Arg): string => {
  if (isSpecial(arg)) return arg.$;
  if (isTensor(arg)) return `t${arg.t}`;
  if (Array.isArray(arg)) return `[${arg.map(shownArg).join(', ')}]`;
  return JSON.stringify(arg);
};

export function linesOf({ given, steps, order }: TensorProgram): string[] {
  const rows = given.map(
    ({ shape, dtype, data, requiresGrad }, i) =>
      `t${i} = ${dtype} [${shape.join(', ')}]: ${data.map((v) => plain(v)).join(' ')}${requiresGrad ? ', requires grad' : ''}`,
  );
  steps.forEach(({ op, on, args }, i) => {
    rows.push(`t${given.length + i} = ${op}(${[`t${on}`, ...args.map(shownArg)].join(', ')})`);
  });
  if (order > 0) rows.push(`gradients of order ${order}`);
  return rows;
}
