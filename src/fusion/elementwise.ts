// How functions of each element, additions and changes in place are merged with a norm before them.
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

/** The limit of a function that is a ReLU: infinite, or 6 for a ReLU6; else 0. */
function topOf({ op, p0, p1 }: UnaryFunction): number {
  if (op === Unary.relu) return Number.POSITIVE_INFINITY;
  return op === Unary.hardtanh && p0 === 0 && p1 > 0 ? p1 : 0;
}

/** The rule of a function of each element and of two numbers. */
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
      // A kernel reads only the one that it needs; another stands in.
      const dx = gradientOfFunction(f, x, y ?? dy, dy);
      return dx && [dx];
    },
  };
}

/** The rule of a + alpha·b. */
export const sumRule: Rule<[a: Tensor | number, b: Tensor | number, alpha: number], Tensor> = {
  forward: (_ctx, a, b, alpha) => (a instanceof Tensor && b instanceof Tensor && alpha === 1 ? joinAdd(a, b) : null),
};

/** Makes `from`, where it is deferred, the value of `to`, of which nobody has seen the old one yet; false where they must be copied. */
export function mergedInPlace(to: Tensor, from: Tensor): boolean {
  const recipe = recipeOf(from);
  // Without a record `to` keeps its place in the graph, and its gradient must not pass a ReLU that the graph does not know of.
  const isForeign = recipe instanceof PendingNorm && !from.gradFn;
  return takeOver(to, from, isForeign ? new PendingNorm({ ...borrowed(recipe.parts), isForeign: true }) : null);
}
