// What a case of an op is: inputs, a call, and what it is held against. cases.test.ts walks all of them through every
// mode.
import type { Tensor } from '../../src/tensor/tensor.ts';

export interface Input {
  readonly shape: readonly number[];
  /** Values are uniform in [low, high); default −2 … 2. */
  readonly low?: number;
  readonly high?: number;
  /** Integers below `high` as int64; not differentiated. */
  readonly integer?: boolean;
  /** Random truth values; not differentiated. */
  readonly bool?: boolean;
  /** Not differentiated. */
  readonly constant?: boolean;
  /** All values distinct, so that order decides nothing by chance. */
  readonly distinct?: boolean;
}

export interface Case {
  /** Names of the ops in the registry that this case covers, forward and backward. */
  readonly ops: readonly string[];
  readonly name: string;
  readonly inputs: readonly Input[];
  run(...inputs: Tensor[]): Tensor | readonly Tensor[];
  /** The same in Python, over t (torch), F and the inputs a, b, c …; absent where PyTorch has no such thing. */
  readonly torch?: string;
  /** Largest |difference| to PyTorch's float64, with the reason. Default 1e-12: a few roundings of float64. */
  readonly tolerance?: readonly [bound: number, reason: string];
  /** Why gradients are not what differences say, where that is so on purpose. */
  readonly noDifferences?: string;
}
