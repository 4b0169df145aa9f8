// How an operation asks for fusion: `fused` takes its definition, and a rule that may compute the same together with
// the operations around it. The definition alone says what the operation is.
import type { Context, Gradients, OpDefinition } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { isFusionEnabled } from './switch.ts';

type Definition<A extends readonly unknown[], R extends Tensor | readonly Tensor[]> = OpDefinition<A, R>;
type Infos<A extends readonly unknown[], R extends Tensor | readonly Tensor[]> =
  Parameters<Definition<A, R>['backward']> extends [unknown, unknown, ...infer I] ? I : never;

/**
 * How an operation is merged with others. Where `forward` or `backward` returns null, the definition is carried out.
 */
export interface Rule<A extends readonly unknown[], R extends Tensor | readonly Tensor[]> {
  /** Takes the place of the definition's forward, and saves what its backward needs. Not called where fusion is off. */
  forward?(ctx: Context, ...args: A): R | null;
  /** Called after the definition's forward: notes facts about the result for operations that follow. */
  after?(result: R, ...args: A): void;
  /**
   * Takes the place of the definition's backward. Not called where the backward itself is recorded, for second orders.
   */
  backward?(ctx: Context, grads: readonly Tensor[], ...infos: Infos<A, R>): Gradients | null;
}

/** The definition of an operation, with the rule tried first. */
export function fused<A extends readonly unknown[], R extends Tensor | readonly Tensor[]>(
  rule: Rule<A, R>,
  definition: Definition<A, R>,
): Definition<A, R> {
  return {
    name: definition.name,
    forward(ctx, ...args) {
      const merged = isFusionEnabled() ? rule.forward?.(ctx, ...args) : null;
      if (merged) return merged;
      const result = definition.forward(ctx, ...args);
      rule.after?.(result, ...args);
      return result;
    },
    backward(ctx, grads, ...infos) {
      const merged = isGradEnabled() ? null : rule.backward?.(ctx, grads, ...(infos as unknown as Infos<A, R>));
      return merged ?? definition.backward(ctx, grads, ...infos);
    },
  };
}
