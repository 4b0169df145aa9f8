// Differentiable functions of the user's own (PyTorch: autograd.Function).
import { shown } from '../checks.ts';
import { ArgumentTypeError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';
import { aliasOf, Tensor } from '../tensor/tensor.ts';
import { conformed } from './backward.ts';
import { attach } from './define_op.ts';
import { isGradEnabled, setGradEnabled } from './grad_mode.ts';
import { edgeOf, type Gradient, SavedTensors } from './node.ts';

/** The gradient of an output: one tensor, or one for each output, null where no gradient arrived. */
export type OutputGradient<R> = R extends Tensor ? Tensor : { readonly [K in keyof R]: Tensor | null };

/**
 * A function and its derivative; see `defineFunction`. `A`: its arguments; `R`: a tensor or several; `S`: what it
 * saves.
 */
export interface FunctionDefinition<
  A extends readonly unknown[],
  R extends Tensor | readonly Tensor[],
  S extends object,
> {
  /** Shown in errors and, with `Backward` behind it, in the graph. */
  readonly name: string;
  /** Computes the output, unrecorded, and says what the backward needs: tensors, and anything else. */
  forward(...args: A): { output: R; saved: S };
  /**
   * The gradients of the arguments from that of the output: one for each argument, null for what is no tensor; of a
   * single argument it may stand alone. They are converted to the dtypes of the arguments, and summed where these were
   * broadcast.
   * @param needs for each argument, whether it is a tensor whose gradient is wanted.
   */
  backward(grad: OutputGradient<R>, saved: S, needs: readonly boolean[]): Gradient | readonly Gradient[];
}

type AnyDefinition = FunctionDefinition<never, Tensor, object>;
const definitionOptions = declareOptions<AnyDefinition>({
  name: required(kind.string),
  forward: required(kind.function),
  backward: required(kind.function),
});

/**
 * Splits what a forward saves into tensors, which are watched for changes in place and freed after the backward, and
 * the rest.
 */
class Saved<S extends object> {
  private readonly store = new SavedTensors(true);
  private readonly names: readonly string[];
  private readonly rest: S;

  constructor(saved: S) {
    const tensors = Object.entries(saved).filter(([, value]) => value instanceof Tensor);
    this.names = tensors.map(([name]) => name);
    this.rest = Object.fromEntries(Object.entries(saved).filter(([, value]) => !(value instanceof Tensor))) as S;
    this.store.save(tensors.map(([, value]) => value as Tensor));
  }

  unpack(): S {
    const tensors = this.store.unpack();
    return { ...this.rest, ...Object.fromEntries(this.names.map((name, i) => [name, tensors[i]])) };
  }

  free(): void {
    this.store.free();
  }
}

/**
 * A differentiable function with a backward of its own (PyTorch: a subclass of `torch.autograd.Function`).
 *
 * Tensors that are properties of `saved` are kept for the backward, which notices when they were changed in place
 * meanwhile. The backward may be differentiated itself where it consists of differentiable operations.
 * @throws ArgumentTypeError where forward returns no tensors; RuntimeError, in the backward, where a gradient is
 * missing or of a wrong shape.
 * @example
 * const cube = defineFunction({
 *   name: 'cube',
 *   forward: (x: Tensor) => ({ output: x.pow(3), saved: { x } }),
 *   backward: (grad, { x }) => grad.mul(x.square()).mul(3),
 * });
 * const y = cube(x);
 */
export function defineFunction<A extends readonly unknown[], R extends Tensor | readonly Tensor[], S extends object>(
  definition: FunctionDefinition<A, R, S>,
): (...args: A) => R {
  requireOptions('defineFunction', definition as unknown as AnyDefinition, definitionOptions);
  const { name } = definition;
  return (...args) => {
    const needs = args.map((arg) => arg instanceof Tensor && arg.requiresGrad);
    const isRecorded = isGradEnabled() && needs.includes(true);
    const edges = args.flatMap((arg) => (arg instanceof Tensor ? [edgeOf(arg)] : []));
    const former = setGradEnabled(false);
    let given: { output: R; saved: S };
    try {
      given = definition.forward(...args);
    } finally {
      setGradEnabled(former);
    }
    const result: unknown = given?.output;
    const outputs: readonly Tensor[] = result instanceof Tensor ? [result] : (result as Tensor[]);
    if (!Array.isArray(outputs) || !outputs.every((output) => output instanceof Tensor))
      throw new ArgumentTypeError(
        `[${name}] expected forward to return { output, saved } with a Tensor or an array of them as output, got ${shown(result)}`,
      );
    if (!isRecorded) return result as R;
    if (typeof given.saved !== 'object' || given.saved === null)
      throw new ArgumentTypeError(`[${name}] expected forward to return an object as saved, got ${shown(given.saved)}`);
    // An input that is returned as it is becomes a new tensor. Otherwise the graph would pass it twice.
    const own = outputs.map((output) => (args.includes(output) ? aliasOf(output) : output));
    // Only what is needed of the arguments: the closure below must not keep them alive.
    const inputs = args.map((arg) => {
      if (!(arg instanceof Tensor)) return null;
      const { shape, dtype, memoryFormat, backend } = arg;
      return { shape, dtype, memoryFormat, backend };
    });
    const saved = new Saved(given.saved);
    const step = `${name}Backward`;
    attach(step, own, edges, saved, false, (grads) => {
      const grad = (result instanceof Tensor ? grads[0] : grads) as OutputGradient<R>;
      const returned: unknown = definition.backward(grad, saved.unpack(), needs);
      const gradients: unknown[] = Array.isArray(returned) ? returned : [returned];
      // More gradients than arguments are an error, unless the surplus is null: as in PyTorch.
      const extra = gradients.slice(inputs.length).some((gradient) => gradient !== null && gradient !== undefined);
      if (gradients.length < inputs.length || extra)
        throw new RuntimeError(
          `function ${step} returned an incorrect number of gradients (expected ${inputs.length}, got ${gradients.length})`,
        );
      return inputs.flatMap((input, i) => (input ? [conformed(step, i, gradients[i], input)] : []));
    });
    return (result instanceof Tensor ? own[0] : own) as R;
  };
}
