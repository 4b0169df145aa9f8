// Parameter groups by what parameters are for: which of a module's learn with weight decay and which without.
import { requireRate } from '../checks.ts';
import type { Module } from '../nn/module.ts';
import type { Parameter } from '../nn/parameter.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';

/** Options of `paramGroups`. */
export interface ParamGroupsOptions {
  /** The `weightDecay` of the parameters that decay. It has no default. */
  weightDecay: number;
  /** What does not decay: all parameters of normalization layers, biases of any layer. Default: both. */
  noDecay?: readonly ('norm' | 'bias')[];
}
const paramGroupsOptions = declareOptions<ParamGroupsOptions>({
  weightDecay: required(kind.number),
  noDecay: kind.object,
});

/**
 * A module's parameters as groups for an optimizer, of which norms and biases get no weight decay: decaying them saves
 * nothing and shrinks what normalization has set. A norm of one's own says that it is one: `override get isNorm() {
 * return true; }`.
 * @returns the decaying group, then the other; empty ones are left out.
 * @example
 * const optimizer = new SGD(paramGroups(net, { weightDecay: 5e-4 }), { lr: 0.1, momentum: 0.9 });
 */
export function paramGroups(
  module: Module,
  options: ParamGroupsOptions,
): { params: Parameter[]; weightDecay: number }[] {
  requireOptions('paramGroups', options, paramGroupsOptions);
  const { weightDecay, noDecay = ['norm', 'bias'] } = options;
  requireRate('paramGroups', 'weightDecay', weightDecay);
  const decaying = new Set<Parameter>();
  const exempt = new Set<Parameter>();
  for (const each of module.modules())
    for (const [name, parameter] of each.ownParameters()) {
      if (!parameter || decaying.has(parameter) || exempt.has(parameter)) continue;
      const isExempt = (noDecay.includes('norm') && each.isNorm) || (noDecay.includes('bias') && name === 'bias');
      (isExempt ? exempt : decaying).add(parameter);
    }
  return [
    { params: [...decaying], weightDecay },
    { params: [...exempt], weightDecay: 0 },
  ].filter(({ params }) => params.length > 0);
}
