// Hooks of a module's backward. A call of the module is put between two identities in the graph: the gradients of its
// outputs pass the first one on their way in, those of its inputs the second one on their way out (PyTorch:
// `torch.utils.hooks.BackwardHook`).
import { attach } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { edgeOf, type Gradient } from '../autograd/node.ts';
import { RuntimeError } from '../errors.ts';
import { aliasOf, Tensor } from '../tensor/tensor.ts';

/** The gradients of a module's arguments, or of its outputs; null for what has none. */
export type ModuleGradients = readonly (Tensor | null)[];
/** What a hook may return: gradients in the place of those it was given, or nothing. */
// biome-ignore lint/suspicious/noConfusingVoidType: a hook may also just look
export type ReplacedGradients = ModuleGradients | Tensor | void;

/** The hooks of one module, in their order. */
export interface BackwardHooks {
  readonly pre: readonly ((gradOutput: ModuleGradients) => ReplacedGradients)[];
  readonly full: readonly ((gradInput: ModuleGradients, gradOutput: ModuleGradients) => ReplacedGradients)[];
}

const needsGradient = (value: unknown): value is Tensor => value instanceof Tensor && value.requiresGrad;

/**
 * The values with those that require a gradient behind an identity, whose backward is `run`: it takes and gives a
 * gradient for each value, null for those that require none.
 */
function behind(
  values: readonly unknown[],
  name: string,
  run: (gradients: ModuleGradients) => ModuleGradients,
): unknown[] {
  const tensors = values.filter(needsGradient);
  // As it is now: a caller may change what requires a gradient before backward.
  const needs = values.map(needsGradient);
  const own = tensors.map((tensor) => aliasOf(tensor));
  const backward = (grads: readonly Gradient[]): Gradient[] => {
    let next = 0;
    const all = needs.map((needed) => (needed ? (grads[next++] ?? null) : null));
    return run(all).filter((_, i) => needs[i]);
  };
  if (own.length > 0) attach(name, own, tensors.map(edgeOf), { free() {} }, false, backward);
  let next = 0;
  return values.map((value, i) => (needs[i] ? own[next++] : value));
}

/** What a hook has returned, in the place of the gradients that it was given. */
function replaced(returned: unknown, given: ModuleGradients, what: string): ModuleGradients {
  if (returned === undefined || returned === null) return given;
  const gradients = (Array.isArray(returned) ? returned : [returned]) as ModuleGradients;
  if (gradients.length === given.length) return gradients;
  throw new RuntimeError(
    `${what} returned an invalid number of ${what === 'Backward hook' ? 'gradInput' : 'gradOutput'}, got ${gradients.length}, but expected ${given.length}`,
  );
}

/** Calls `forward` with the arguments, so that the hooks run in its backward. */
export function withBackwardHooks(
  { pre, full }: BackwardHooks,
  args: readonly unknown[],
  forward: (args: unknown[]) => unknown,
): unknown {
  if (!isGradEnabled()) return forward([...args]);
  const withoutGradients = args.some(needsGradient) ? null : args.map(() => null);
  let gradOutput: ModuleGradients = [];
  const given = behind(args, 'moduleInputs', (gradients) => {
    let gradInput = gradients;
    for (const hook of full) gradInput = replaced(hook(gradInput, gradOutput), gradInput, 'Backward hook');
    return gradInput;
  });
  const output = forward(given);
  const several = Array.isArray(output);
  const values: readonly unknown[] = several ? output : [output];
  const own = behind(values, 'moduleOutputs', (gradients) => {
    gradOutput = gradients;
    for (const hook of pre) gradOutput = replaced(hook(gradOutput), gradOutput, 'Backward pre hook');
    if (withoutGradients)
      for (const hook of full) {
        const returned = hook(withoutGradients, gradOutput);
        if (returned && (returned instanceof Tensor || returned.some((gradient) => gradient !== null)))
          throw new RuntimeError(
            'Backward hook for Modules where no input requires gradient should always return nothing or null for all gradients.',
          );
      }
    return gradOutput;
  });
  return several ? own : own[0];
}
