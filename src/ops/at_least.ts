// A lower limit for divisors, which stops no gradient.
import { defineOp } from '../autograd/define_op.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { clamp } from './elementwise.ts';

/** max(x, least), whose gradient is that of x also where x is less. */
export const atLeast: (x: Tensor, least: number) => Tensor = defineOp({
  name: 'atLeast',
  forward: (_ctx, x: Tensor, least: number) => clamp(x, least),
  backward: (_ctx, [g]) => [g],
});
