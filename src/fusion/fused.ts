// The one way an operation meets fusion: its definition, and a rule that may do better where it stands among others. Who reads the definition reads
// all that the operation is.
import type { Context, Gradients, OpDefinition } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { isFusionEnabled } from './switch.ts';

type Definition<A extends readonly unknown[], R extends Tensor | readonly Tensor[]> = OpDefinition<A, R>;
type Infos<A extends readonly unknown[], R extends Tensor | readonly Tensor[]> =
  Parameters<Definition<A, R>['backward']> extends [unknown, unknown, ...infer I] ? I : never;

/** How an operation is merged with others. Each part may give null: then the definition is carried out. */
export interface Rule<A extends readonly unknown[], R extends Tensor | readonly Tensor[]> {
  /** In the place of the definition's forward, with what it saves; not asked where fusion is off. */
  forward?(ctx: Context, ...args: A): R | null;
  /** After a forward of the definition's, to note what its result is good for. */
  after?(result: R, ...args: A): void;
  /** In the place of the definition's backward; not asked where the backward is recorded itself. */
  backward?(ctx: Context, grads: readonly Tensor[], ...infos: Infos<A, R>): Gradients | null;
}

/** An operation's definition, merged by a rule. */
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
