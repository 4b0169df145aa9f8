// The rules of elementwise functions, additions and changes in place: each may join the norm in front of it.
import { Unary } from '../device/generated/abi.ts';
import type { UnaryFunction } from '../launch/batch_norm.ts';
import { inFormat } from '../tensor/copy.ts';
import { Tensor } from '../tensor/tensor.ts';
import { borrowed, PendingNorm } from './deferred_norm.ts';
import type { Rule } from './fused.ts';
import { joinAdd } from './norm_add.ts';
import { functionOfNorm, gradientOfFunction } from './norm_function.ts';
import { joinRelu, maskGradient } from './norm_relu.ts';
import { recipeOf, takeOver } from './recipes.ts';

/** What a backward reads of a function of one operand. */
export type Saves = 'x' | 'y' | 'both';

/** The upper limit of a ReLU: infinite, or 6 for ReLU6. 0 for functions that are none. */
function topOf({ op, p0, p1 }: UnaryFunction): number {
  if (op === Unary.relu) return Number.POSITIVE_INFINITY;
  return op === Unary.hardtanh && p0 === 0 && p1 > 0 ? p1 : 0;
}

/** The rule of an elementwise function with two parameters. */
export function unaryRule(name: string, op: Unary, saves: Saves): Rule<[x: Tensor, p0: number, p1: number], Tensor> {
  return {
    forward(ctx, x, p0, p1) {
      const f = { name, op, p0, p1 };
      const top = topOf(f);
      const y = (top > 0 ? joinRelu(x, top) : null) ?? functionOfNorm(f, x);
      if (y) ctx.save(saves === 'y' ? null : x, saves === 'x' ? null : y);
      return y;
    },
    backward(ctx, [g], _x, p0, p1) {
      const [x, y] = ctx.saved;
      const f = { name, op, p0, p1 };
      const masked = topOf(f) > 0 ? maskGradient(g, y) : null;
      if (masked) return [masked];
      if (!x) return null;
      const dy = inFormat(g, x.memoryFormat);
      // The kernel reads x or y, whichever its derivative needs; the other operand may be anything of the same size.
      const dx = gradientOfFunction(f, x, y ?? dy, dy);
      return dx && [dx];
    },
  };
}

/** The rule of a + alpha·b. */
export const sumRule: Rule<[a: Tensor | number, b: Tensor | number, alpha: number], Tensor> = {
  forward: (_ctx, a, b, alpha) => (a instanceof Tensor && b instanceof Tensor && alpha === 1 ? joinAdd(a, b) : null),
};

/**
 * Gives `to` the deferred value of `from`, where nobody has seen the old value of `to` yet.
 * @returns false where the values must be copied instead.
 */
export function mergedInPlace(to: Tensor, from: Tensor): boolean {
  const recipe = recipeOf(from);
  // If the change is not recorded, `to` keeps its place in the graph. Then its gradient must not be masked by a ReLU
  // that the graph does not know.
  const isForeign = recipe instanceof PendingNorm && !from.gradFn;
  return takeOver(to, from, isForeign ? new PendingNorm({ ...borrowed(recipe.parts), isForeign: true }) : null);
}
