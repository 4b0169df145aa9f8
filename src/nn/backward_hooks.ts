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

/** The values with those that require a gradient behind an identity whose backward is `run`. */
function behind(values: readonly unknown[], name: string, run: (grads: Gradient[]) => Gradient[]): unknown[] {
  const tensors = values.filter((value): value is Tensor => value instanceof Tensor && value.requiresGrad);
  const own = tensors.map((tensor) => aliasOf(tensor));
  if (own.length > 0) attach(name, own, tensors.map(edgeOf), { free() {} }, false, run);
  let next = 0;
  return values.map((value) => (value instanceof Tensor && value.requiresGrad ? own[next++] : value));
}

/** Gradients in the order of all values, from those of the values that require one, and back. */
function places(values: readonly unknown[]) {
  const at = values.flatMap((value, i) => (value instanceof Tensor && value.requiresGrad ? [i] : []));
  return {
    isEmpty: at.length === 0,
    spread(grads: readonly Gradient[]): ModuleGradients {
      const all: (Tensor | null)[] = values.map(() => null);
      at.forEach((place, i) => {
        all[place] = grads[i] ?? null;
      });
      return all;
    },
    pick: (all: ModuleGradients): Gradient[] => at.map((place) => all[place]),
  };
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
  const inputs = places(args);
  let gradOutput: ModuleGradients = [];
  const given = behind(args, 'moduleInputs', (grads) => {
    let gradInput = inputs.spread(grads);
    for (const hook of full) gradInput = replaced(hook(gradInput, gradOutput), gradInput, 'Backward hook');
    return inputs.pick(gradInput);
  });
  const output = forward(given);
  const several = Array.isArray(output);
  const values: readonly unknown[] = several ? output : [output];
  const outputs = places(values);
  const own = behind(values, 'moduleOutputs', (grads) => {
    gradOutput = outputs.spread(grads);
    for (const hook of pre) gradOutput = replaced(hook(gradOutput), gradOutput, 'Backward pre hook');
    if (inputs.isEmpty)
      for (const hook of full) {
        const returned = hook(inputs.spread([]), gradOutput);
        if (returned && (returned instanceof Tensor || returned.some((gradient) => gradient !== null)))
          throw new RuntimeError(
            'Backward hook for Modules where no input requires gradient should always return nothing or null for all gradients.',
          );
      }
    return outputs.pick(gradOutput);
  });
  return several ? own : own[0];
}
