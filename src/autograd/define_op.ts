// defineOp makes every operation of the library. It joins a forward with the backward that is written below it, and
// records calls in the graph where gradients are wanted. Forward and backward share nothing but the context.

import type { Backend } from '../device/backend.ts';
import { RuntimeError } from '../errors.ts';
import { type DType, isFloat } from '../tensor/dtype.ts';
import type { MemoryFormat, Shape } from '../tensor/shape.ts';
import { aliasOf, Tensor } from '../tensor/tensor.ts';
import { isGradEnabled, setGradEnabled } from './grad_mode.ts';
import { type Edge, edgeOf, type Gradient, Node, SavedTensors } from './node.ts';

/** What forward and backward of one call share. */
export class Context {
  private wanted: readonly boolean[];
  constants: Set<Tensor> | null = null;
  /** Where the gradients of the tensors among the arguments go. */
  edges: readonly Edge[] = [];
  private readonly savedTensors = new SavedTensors();

  constructor(needs: readonly boolean[]) {
    this.wanted = needs;
  }

  /**
   * For each argument: whether its gradient is wanted (any of them, for an array of tensors). A backward may want fewer
   * than the forward had to expect.
   */
  get needs(): readonly boolean[] {
    return this.wanted;
  }

  /** Calls a backward that wants no other gradients than these. */
  wanting<R>(needs: readonly boolean[], backward: () => R): R {
    const all = this.wanted;
    this.wanted = needs;
    try {
      return backward();
    } finally {
      this.wanted = all;
    }
  }

  /** Keeps tensors for the backward, which notices when they were changed in place meanwhile. */
  save(...tensors: (Tensor | null)[]): void {
    if (this.needs.length > 0) this.savedTensors.save(tensors);
  }

  /** Declares outputs through which no gradient flows. */
  markConstant(...outputs: Tensor[]): void {
    this.constants = new Set(outputs);
  }

  /** The saved tensors, in the order of `save`. */
  get saved(): readonly Tensor[] {
    return this.savedTensors.unpack() as readonly Tensor[];
  }

  /** Frees the saved tensors; the engine calls it after a backward without `retainGraph`. */
  free(): void {
    this.savedTensors.free();
  }
}

/** What a backward knows of an argument that was a tensor. The tensor itself is not kept. */
export interface TensorInfo {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly memoryFormat: MemoryFormat;
  readonly backend: Backend;
}
type InfoOf<T> = T extends Tensor ? TensorInfo : T extends readonly Tensor[] ? readonly TensorInfo[] : T;
type InfosOf<A extends readonly unknown[]> = { [K in keyof A]: InfoOf<A[K]> };

type Output = Tensor | readonly Tensor[];
/** One entry per argument: a gradient, nothing, or an array for an array of tensors. */
export type Gradients = readonly (Gradient | readonly Gradient[])[];

export interface OpDefinition<A extends readonly unknown[], R extends Output> {
  /** Name in errors and, with `Backward` behind it, in the graph. */
  readonly name: string;
  /** Checks the arguments and computes the result, without recording anything. */
  forward(ctx: Context, ...args: A): R;
  /**
   * The gradients of the arguments from those of the outputs (missing ones are null for multi-output ops); `args` are
   * the forward's, tensors as their shapes and dtypes. Written in terms of other ops, or of kernels where
   * `isGradEnabled()` is false: with `createGraph` it is on, and the gradient itself must be differentiable.
   */
  backward(ctx: Context, grads: readonly Tensor[], ...args: InfosOf<A>): Gradients;
}

/** Every op of the library by name, for the tests that walk them. */
export const registry = new Map<string, OpDefinition<never[], Output>>();

const noNeeds: readonly boolean[] = [];
const unrecorded = () => new Context(noNeeds);

const isTensorArray = (arg: unknown): arg is readonly Tensor[] => Array.isArray(arg) && arg[0] instanceof Tensor;
const wants = (arg: unknown): boolean =>
  arg instanceof Tensor ? arg.requiresGrad : isTensorArray(arg) && arg.some((item) => item.requiresGrad);
const info = ({ shape, dtype, memoryFormat, backend }: Tensor): TensorInfo => ({ shape, dtype, memoryFormat, backend });
const infoOf = (arg: unknown): unknown =>
  arg instanceof Tensor ? info(arg) : isTensorArray(arg) ? arg.map(info) : arg;

/** Makes a differentiable operation; see `OpDefinition`. */
export function defineOp<A extends readonly unknown[], R extends Output>(
  definition: OpDefinition<A, R>,
): (...args: A) => R {
  if (registry.has(definition.name)) throw new RuntimeError(`[defineOp] ${definition.name} is defined twice`);
  registry.set(definition.name, definition as unknown as OpDefinition<never[], Output>);
  return (...args: A): R => {
    if (!isGradEnabled() || !args.some(wants)) return definition.forward(unrecorded(), ...args);
    return record(definition, args);
  };
}

function record<A extends readonly unknown[], R extends Output>(definition: OpDefinition<A, R>, args: A): R {
  const ctx = new Context(args.map(wants));
  // How many tensors each argument holds. The closure below must not keep the arguments themselves.
  const kinds = args.map((arg) => (arg instanceof Tensor ? 'tensor' : isTensorArray(arg) ? arg.length : 0));
  // Before the forward, since an in-place operation moves its input to a new place in the graph.
  const edges: Edge[] = [];
  for (const arg of args) {
    if (arg instanceof Tensor) edges.push(edgeOf(arg));
    else if (isTensorArray(arg)) edges.push(...arg.map(edgeOf));
  }
  ctx.edges = edges;
  const former = setGradEnabled(false);
  let result: R;
  try {
    result = definition.forward(ctx, ...args);
  } finally {
    setGradEnabled(former);
  }
  const infos = args.map(infoOf) as unknown as InfosOf<A>;
  const outputs: readonly Tensor[] = result instanceof Tensor ? [result] : (result as readonly Tensor[]);
  attach(
    `${definition.name}Backward`,
    outputs,
    edges,
    ctx,
    true,
    (grads, wanted) => {
      const backward = () => definition.backward(ctx, grads as Tensor[], ...infos);
      const gradients = wanted?.includes(false) ? ctx.wanting(argumentsOf(kinds, wanted), backward) : backward();
      const flat: Gradient[] = [];
      kinds.forEach((kind, i) => {
        if (kind === 'tensor') flat.push(gradients[i] as Gradient);
        else for (let j = 0; j < kind; j++) flat.push((gradients[i] as readonly Gradient[] | null)?.[j]);
      });
      return flat;
    },
    ctx.constants,
  );
  return result;
}

/** For each argument whether any of the tensors in it is wanted. */
function argumentsOf(kinds: readonly ('tensor' | number)[], wanted: readonly boolean[]): boolean[] {
  let first = 0;
  return kinds.map((kind) => {
    const count = kind === 'tensor' ? 1 : kind;
    return wanted.slice(first, (first += count)).includes(true);
  });
}

/** Makes `outputs` the results of a new node. */
export function attach(
  name: string,
  outputs: readonly Tensor[],
  edges: readonly Edge[],
  ctx: { free(): void },
  makesFreshGradients: boolean,
  run: Node['run'],
  constants: ReadonlySet<Tensor> | null = null,
): void {
  const node = new Node({
    name,
    edges,
    outputs: outputs.map(info),
    run,
    release: () => ctx.free(),
    makesFreshGradients,
  });
  outputs.forEach((output, index) => {
    if (!isFloat(output.dtype) || constants?.has(output)) return;
    output.gradFn = node;
    output.outputIndex = index;
  });
}

/**
 * x at a place of its own in the graph, for a backward that differentiates the plain definition of its operation.
 * Derivatives by it are partial ones, even if another operand depends on x, and hooks of x do not see them.
 */
export function asOperand(x: Tensor): Tensor {
  const operand = aliasOf(x);
  if (x.requiresGrad) attach('operand', [operand], [edgeOf(x)], { free() {} }, true, (grads) => grads);
  return operand;
}
