// User-defined differentiable functions: PyTorch's autograd.Function.
import { shown } from '../checks.ts';
import { ArgumentTypeError, RuntimeError } from '../errors.ts';
import { aliasOf, Tensor } from '../tensor/tensor.ts';
import { conformed } from './backward.ts';
import { attach } from './define_op.ts';
import { isGradEnabled, setGradEnabled } from './grad_mode.ts';
import { edgeOf, type Gradient, SavedTensors } from './node.ts';

/** What forward and backward of one call share; anything else may be set as a property. */
export class FunctionContext {
  private readonly store = new SavedTensors(true);
  /** For each argument of `apply`: whether it is a tensor whose gradient is wanted. */
  readonly needsInputGrad: readonly boolean[];
  [key: string]: unknown;

  constructor(needs: readonly boolean[]) {
    this.needsInputGrad = needs;
  }

  saveForBackward(...tensors: (Tensor | null)[]): void {
    this.store.save(tensors);
  }

  get savedTensors(): readonly Tensor[] {
    return this.store.unpack() as readonly Tensor[];
  }

  free(): void {
    this.store.free();
  }
}

/**
 * Base of user-defined functions (PyTorch: `torch.autograd.Function`): subclass it with static `forward` and `backward` and call
 * `apply`. `backward` returns one gradient, or null, per argument of `forward`.
 * @example
 * class Square extends Function {
 *   static forward(ctx: FunctionContext, x: Tensor) { ctx.saveForBackward(x); return x.mul(x); }
 *   static backward(ctx: FunctionContext, g: Tensor) { return [g.mul(ctx.savedTensors[0]).mul(2)]; }
 * }
 * const y = Square.apply(x);
 */
// biome-ignore lint/suspicious/noShadowRestrictedNames: PyTorch's name; Biome, too, cannot see that subclasses use the statics
// biome-ignore lint/complexity/noStaticOnlyClass: as above
export abstract class Function {
  static forward(_ctx: FunctionContext, ..._args: never[]): Tensor | Tensor[] {
    throw new RuntimeError('You must implement the forward function for custom autograd.Function.');
  }

  static backward(_ctx: FunctionContext, ..._grads: Tensor[]): Gradient[] {
    throw new RuntimeError(
      'You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD.',
    );
  }

  static apply<A extends unknown[], R extends Tensor | Tensor[]>(
    this: {
      name: string;
      forward(ctx: FunctionContext, ...args: A): R;
      backward(ctx: FunctionContext, ...grads: Tensor[]): Gradient[];
    },
    ...args: A
  ): R {
    const needs = args.map((arg) => arg instanceof Tensor && arg.requiresGrad);
    const ctx = new FunctionContext(needs);
    const isRecorded = isGradEnabled() && needs.includes(true);
    const edges = args.flatMap((arg) => (arg instanceof Tensor ? [edgeOf(arg)] : []));
    const former = setGradEnabled(false);
    let result: R;
    try {
      result = this.forward(ctx, ...args);
    } finally {
      setGradEnabled(former);
    }
    const outputs: readonly Tensor[] = result instanceof Tensor ? [result] : (result as Tensor[]);
    if (!Array.isArray(outputs) || !outputs.every((output) => output instanceof Tensor))
      throw new ArgumentTypeError(
        `[${this.name}] expected forward to return a Tensor or an array of them, got ${shown(result)}`,
      );
    if (!isRecorded) return result;
    // An input returned as it is becomes a new tensor, or the graph would run through it twice.
    const own = outputs.map((output) => (args.includes(output) ? aliasOf(output) : output));
    // What must be known of them only: the arguments themselves would be kept alive.
    const inputs = args.map((arg) => {
      if (!(arg instanceof Tensor)) return null;
      const { shape, dtype, memoryFormat, device } = arg;
      return { shape, dtype, memoryFormat, device };
    });
    const name = `${this.name}Backward`;
    attach(name, own, edges, ctx, false, (grads) => {
      const returned: unknown = this.backward(ctx, ...(grads as Tensor[]));
      const gradients: unknown[] = Array.isArray(returned) ? returned : [returned];
      // Nothing more than was asked for, unless it is nothing, as in PyTorch.
      const extra = gradients.slice(inputs.length).some((gradient) => gradient !== null && gradient !== undefined);
      if (gradients.length < inputs.length || extra)
        throw new RuntimeError(
          `function ${name} returned an incorrect number of gradients (expected ${inputs.length}, got ${gradients.length})`,
        );
      return inputs.flatMap((input, i) => (input ? [conformed(name, i, gradients[i], input, input.device)] : []));
    });
    return (result instanceof Tensor ? own[0] : own) as R;
  }
}
