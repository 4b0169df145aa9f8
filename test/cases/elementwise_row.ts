// What tests know of an elementwise operation: one row for each entry of kernels/elementwise/*.def, in unary.ts and
// binary.ts. Kernel tests, cases, kinks, arguments, options, layers and fusion walk the rows.
import type { Module } from '../../src/nn/index.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Kind } from './arguments.ts';
import type { Case, Input } from './case.ts';

/** In Python, over t (torch), F and the inputs a, b; and here. */
export type Call<F> = readonly [torch: string, run: F];
export type OfOne = (x: Tensor) => Tensor;
export type OfTwo = (a: Tensor, b: Tensor) => Tensor;

/**
 * The row of test/cases/table.ts, by which an operation goes through every mode: with the range of its inputs, and a
 * tolerance with its reason.
 */
export type CaseRow<F> = readonly [
  torch: string,
  run: F,
  range?: Pick<Input, 'low' | 'high'>,
  tolerance?: Case['tolerance'],
];

/** A value, or a gradient, at a kink or an extreme number, that is not PyTorch's. */
export interface Difference {
  /**
   * The case, in Python, with its dtype; d0: the gradient of the first input, dd0: that of second order, dg: that by
   * the cotangent.
   */
  readonly torch: string;
  readonly dtype: 'float32' | 'float64';
  readonly name: string;
  /** The inputs' values at that place; for rows, the row. */
  readonly at: readonly number[];
  readonly actual: number;
  readonly expected: number;
}
/** Differences that are meant, and why. */
export interface Intended {
  readonly reason: string;
  covers(difference: Difference): boolean;
}

/** Options of a constructor, as Python's arguments and here. */
type Given = readonly [python: string, options: object];
export interface LayerRow {
  readonly Layer: new (options: never) => Module;
  /**
   * What values and gradients are compared with PyTorch's: constructors' options, by a name. Default: no options, the
   * class's name.
   */
  readonly forward?: Readonly<Record<string, Given>>;
  /** The same of what is printed. */
  readonly printed?: Readonly<Record<string, Given>>;
  /** Where its function takes options that it does not. */
  readonly isPreset?: boolean;
}

interface Row<F> {
  /** Where PyTorch is another on purpose. */
  readonly intended?: readonly Intended[];
  readonly case?: CaseRow<F>;
}

export interface UnaryRow extends Row<OfOne> {
  /** In float64, with the kernel's two parameters as p says. */
  readonly f: (x: number) => number;
  /** The derivative; tests of elements have none. */
  readonly d?: (x: number) => number;
  /** Default: 0 and 0. */
  readonly p?: readonly [number, number];
  /**
   * Roundings that the formula has beside that of the function: errors up to so many eps·(|f(x)| + 1). Default: 3
   * eps·|f(x)|.
   */
  readonly slack?: number;
  /** The public function, where that has another name. */
  readonly publicName?: string;
  /** PyTorch's name in torch.nn.functional, where it has one. */
  readonly functional?: string;
  /**
   * What is compared at kinks, zeros, infinities, NaN, the largest and the smallest numbers, first without options.
   * Default: the case.
   */
  readonly kinks?: readonly Call<OfOne>[];
  /** Each option of the function, with others that must stand beside it. */
  readonly options?: Readonly<Record<string, readonly [kind: Kind, beside?: object]>>;
  readonly layers?: readonly LayerRow[];
}

export interface BinaryRow extends Row<OfTwo> {
  /** The public function, where that has another name. */
  readonly publicName?: string;
  /** What it takes, where not all numbers. */
  readonly takes?: 'floats' | 'integers';
  readonly f: (a: number, b: number) => number;
  /** Of integers, before the result wraps around. Default: f. */
  readonly integers?: (a: bigint, b: bigint) => bigint;
  /** Error of a float. Default: half an ulp, one rounding. */
  readonly ulps?: number;
  /** Whether integers are not divided by 0. */
  readonly divides?: boolean;
  readonly kinks: readonly Call<OfTwo>[];
  /** With a number as the other operand. */
  readonly kinksOfOne?: readonly Call<OfOne>[];
}
