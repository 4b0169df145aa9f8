// Walking the graph backwards: gradients flow from the roots to the leaves in descending order of creation, are summed
// where paths meet, pass the hooks, and end in `.grad` or in the list that grad() returns.
import { shown } from '../checks.ts';
import type { Backend } from '../device/backend.ts';
import { ArgumentTypeError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { fullOn } from '../tensor/create.ts';
import type { DType } from '../tensor/dtype.ts';
import { formatShape, type MemoryFormat, type Shape, sameShape } from '../tensor/shape.ts';
import { keepStorage } from '../tensor/storage.ts';
import { type AccumulatedHook, type HookEntry, Tensor, type TensorHook } from '../tensor/tensor.ts';
import { checksNan, withPlace } from './anomaly.ts';
import { setGradEnabled } from './grad_mode.ts';
import { GradientHolds } from './gradient_holds.ts';
import { type Edge, edgeOf, type Gradient, Node, type OutputInfo } from './node.ts';

/** The few operations that the engine itself needs; the ops layer, which stands above it, provides them. */
export interface EngineOps {
  add(a: Tensor, b: Tensor): Tensor;
  addInPlace(a: Tensor, b: Tensor): void;
  clone(a: Tensor): Tensor;
  toFormat(a: Tensor, format: MemoryFormat): Tensor;
  cast(a: Tensor, dtype: DType): Tensor;
  sumTo(a: Tensor, shape: Shape): Tensor;
  onesLike(a: Tensor): Tensor;
  hasNan(a: Tensor): boolean;
}
let ops: EngineOps;
export const provideEngineOps = (provided: EngineOps): void => {
  ops = provided;
};

/** Options of `backward`. */
export interface BackwardOptions {
  /** Keep what was saved, so that the graph can be walked again. Default: the value of `createGraph`. */
  retainGraph?: boolean;
  /** Record the computation of the gradients too, for higher orders. Default: false. */
  createGraph?: boolean;
}
const backwardOptions = declareOptions<BackwardOptions>({ retainGraph: kind.flag, createGraph: kind.flag });

/** Options of `grad`. */
export interface GradOptions extends BackwardOptions {
  /** One gradient for each output; may be missing for one-element outputs, where it is 1. */
  gradOutputs?: readonly Gradient[];
  /** Give null for an input that was not used, instead of an error. Default: false. */
  allowUnused?: boolean;
}
const gradOptions = declareOptions<GradOptions>({
  gradOutputs: kind.object,
  ...backwardOptions.kinds,
  allowUnused: kind.flag,
});

/** The outputs of nodes and the leaves whose gradients `grad` returns. */
type Capture = Map<Node | Tensor, Map<number, number>>;

function reachable(roots: readonly Node[]): Node[] {
  const seen = new Set<Node>(roots);
  const stack = [...roots];
  for (let node = stack.pop(); node; node = stack.pop())
    for (const edge of node.edges)
      if (edge && 'node' in edge && !seen.has(edge.node)) {
        seen.add(edge.node);
        stack.push(edge.node);
      }
  return [...seen].sort((a, b) => b.sequence - a.sequence);
}

/** The leaves that a backward from these tensors would reach. */
export function leavesBehind(roots: readonly Tensor[]): Set<Tensor> {
  const leaves = new Set<Tensor>(roots.filter((root) => root.isLeaf));
  for (const node of reachable(roots.flatMap((root) => (root.gradFn instanceof Node ? [root.gradFn] : []))))
    for (const edge of node.edges) if (edge && 'leaf' in edge) leaves.add(edge.leaf);
  return leaves;
}

/**
 * What grad() computes: nodes from which a captured tensor can be reached, and of these the gradients that lead there.
 */
class Pruned {
  private readonly useful = new Set<Node>();
  private readonly capture: Capture;

  constructor(capture: Capture, order: readonly Node[]) {
    this.capture = capture;
    // Oldest nodes first: then the inputs of a node have been decided before the node.
    for (let i = order.length - 1; i >= 0; i--)
      if (order[i].edges.some((edge) => this.wants(edge))) this.useful.add(order[i]);
  }

  runs(node: Node): boolean {
    return this.useful.has(node);
  }
  wants(edge: Edge): boolean {
    if (!edge) return false;
    if ('leaf' in edge) return this.capture.has(edge.leaf);
    return this.useful.has(edge.node) || (this.capture.get(edge.node)?.has(edge.index) ?? false);
  }
}

function runHooks(hooks: readonly HookEntry[], grad: Tensor): Tensor {
  // A hook may remove itself.
  for (const { hook } of [...hooks]) {
    const replaced: unknown = hook(grad);
    if (replaced === undefined || replaced === null) continue;
    const name = hook.name || '(anonymous)';
    if (!(replaced instanceof Tensor))
      throw new ArgumentTypeError(`expected a Tensor or nothing, but hook '${name}' returned ${shown(replaced)}`);
    if (replaced.dtype !== grad.dtype)
      throw new RuntimeError(`hook '${name}' has changed the type of value (was ${grad.dtype} got ${replaced.dtype})`);
    if (!sameShape(replaced.shape, grad.shape))
      throw new RuntimeError(
        `hook '${name}' has changed the size of value (was ${formatShape(grad.shape)} got ${formatShape(replaced.shape)})`,
      );
    requireBackend('hook', replaced, grad.backend);
    grad = replaced;
  }
  return grad;
}

/**
 * Turns the gradient that a user's function returned into one of the input: converts the dtype, and sums where the
 * input was broadcast.
 * @throws RuntimeError where its shape does not fit.
 */
export function conformed(name: string, index: number, gradient: unknown, input: OutputInfo): Gradient {
  if (gradient === null || gradient === undefined) return null;
  if (!(gradient instanceof Tensor))
    throw new ArgumentTypeError(
      `function ${name} expected a Tensor or null as gradient ${index}, got ${shown(gradient)}`,
    );
  requireBackend(name, gradient, input.backend);
  const cast = ops.cast(gradient, input.dtype);
  if (sameShape(cast.shape, input.shape)) return cast;
  const lead = cast.rank - input.shape.length;
  if (lead < 0 || input.shape.some((size, d) => size !== 1 && size !== cast.shape[lead + d]))
    throw new RuntimeError(
      `Function ${name} returned an invalid gradient at index ${index} - got ${formatShape(cast.shape)} but expected shape compatible with ${formatShape(input.shape)}`,
    );
  return ops.sumTo(cast, input.shape);
}

function requireBackend(op: string, gradient: Tensor, backend: Backend): void {
  if (gradient.device !== backend.device)
    throw new RuntimeError(`[${op}] invalid gradient - expected device ${backend.device} but got ${gradient.device}`);
  if (gradient.backend !== backend)
    throw new RuntimeError(
      `[${op}] expected a gradient on the engine ${backend.name}, got one on ${gradient.backend.name}`,
    );
}

class Walk {
  private readonly pending = new Map<Node, Gradient[]>();
  /** For each leaf: how many edges may still bring a gradient, and the sum so far. Hooks see only the complete sum. */
  private readonly awaited = new Map<Tensor, number>();
  private readonly arrived = new Map<Tensor, Tensor>();
  /**
   * Counts who holds each gradient: one hold for each place above where it waits, and one for each method that works
   * with it.
   */
  private readonly holds: GradientHolds;
  private readonly createGraph: boolean;
  readonly capture: Capture | null;
  readonly captured: Gradient[] = [];
  /** What is called at the end. */
  readonly endings: (() => void)[] = [];
  /** The gradients that the running node has taken over (`takeArrived`): they become part of what it returns. */
  private readonly taken: Tensor[] = [];

  constructor(createGraph: boolean, capture: Capture | null) {
    this.createGraph = createGraph;
    this.capture = capture;
    this.holds = new GradientHolds(createGraph);
  }

  /** a + b, which takes over the holds of both. It is written over a or b where nobody else holds that. */
  private sum(a: Gradient, b: Tensor): Tensor {
    if (!a) return b;
    const alike = a.dtype === b.dtype && a.memoryFormat === b.memoryFormat;
    for (const [into, other] of [
      [a, b],
      [b, a],
    ])
      if (alike && this.holds.isAlone(into) && !into.storage.isOnLoan) {
        ops.addInPlace(into, other);
        // A new storage: what was left with the old values (fusion/) is not true of the sum.
        const sum = new Tensor(into.shape, into.dtype, into.memoryFormat, into.storage.handOver());
        return this.replace([a, b], sum);
      }
    return this.replace([a, b], ops.add(a, b));
  }

  /** Moves the hold of the other gradients to `by`. */
  private replace(grads: readonly Tensor[], by: Tensor): Tensor {
    this.holds.hold(by);
    for (const grad of grads) this.holds.letGo(grad);
    return by;
  }

  /** Announces that `send` will be called for each of these edges, with a gradient or with null. */
  expect(edges: Iterable<Edge>): void {
    for (const edge of edges)
      if (edge && 'leaf' in edge) this.awaited.set(edge.leaf, (this.awaited.get(edge.leaf) ?? 0) + 1);
  }

  /** Sends the gradient of a root. @param isGiven whether the caller made it, and so may hold it. */
  begin(edge: Edge, grad: Tensor, isGiven: boolean): void {
    this.holds.hold(grad);
    if (isGiven) this.holds.share(grad);
    this.send(edge, grad);
  }

  /** Sends a gradient along an announced edge; null where there is none. */
  private send(edge: Edge, grad: Gradient): void {
    if (!edge) this.holds.letGo(grad);
    else if ('leaf' in edge) {
      const { leaf } = edge;
      if (grad) this.arrived.set(leaf, this.sum(this.arrived.get(leaf), grad));
      const left = this.awaited.get(leaf)! - 1;
      this.awaited.set(leaf, left);
      const sum = this.arrived.get(leaf);
      if (left > 0 || !sum) return;
      this.arrived.delete(leaf);
      this.accumulate(leaf, sum);
    } else if (grad) {
      let grads = this.pending.get(edge.node);
      if (!grads) this.pending.set(edge.node, (grads = []));
      grads[edge.index] = this.sum(grads[edge.index], grad);
    }
  }

  /** The gradient that hooks make of this one; it takes over the hold. A hook may keep what it has seen. */
  private hooked(hooks: readonly HookEntry[], grad: Tensor): Tensor {
    this.holds.share(grad);
    const final = runHooks(hooks, grad);
    this.holds.share(final);
    return this.replace([grad], final);
  }

  private accumulate(leaf: Tensor, grad: Tensor): void {
    if (leaf.hooks) grad = this.hooked(leaf.hooks, grad);
    const slot = this.capture?.get(leaf)?.get(0);
    if (slot !== undefined) {
      this.captured[slot] = grad;
      this.holds.share(grad);
    }
    // `requiresGrad` may have been set to false since the forward.
    if (!this.capture && leaf.requiresGrad) this.addToLeaf(leaf, grad);
    this.holds.letGo(grad);
  }

  private addToLeaf(leaf: Tensor, grad: Tensor): void {
    const former = leaf.peekGrad();
    if (former && !this.createGraph && !former.requiresGrad) ops.addInPlace(former, grad);
    else if (former) leaf.grad = ops.add(former, grad);
    else {
      // In the leaf's memory format, as in PyTorch.
      const laid = ops.toFormat(grad, leaf.memoryFormat);
      const isOwn = laid.storage !== grad.storage || this.holds.isAlone(grad);
      const own = isOwn ? laid : ops.clone(laid);
      if (own.storage === grad.storage) this.holds.share(grad);
      leaf.adoptGrad(own);
    }
    // Gradients are read by the optimizer and summed over steps: they outlive the scope of the step.
    keepStorage(leaf.peekGrad()!.storage);
    for (const hook of [...(leaf.accumulatedHooks ?? [])]) hook(leaf);
  }

  /**
   * The complete gradients of a node's outputs, after hooks, retained and captured where that was asked for. Null if
   * none arrived.
   */
  private receive(node: Node): Gradient[] | null {
    const grads = this.pending.get(node);
    if (!grads) return null;
    this.pending.delete(node);
    node.outputs.forEach((info, i) => {
      const grad = grads[i];
      if (!grad) {
        // Single-output backwards always get a gradient; others see null where nothing arrived.
        grads[i] = node.outputs.length === 1 ? fullOn(info.backend, info.shape, 0, info.dtype) : null;
        this.holds.hold(grads[i]);
        return;
      }
      const hooks = node.hooks.get(i);
      const final = hooks ? this.hooked(hooks, grad) : grad;
      grads[i] = final;
      const retaining = node.retained.get(i);
      if (retaining) {
        retaining.grad = retaining.grad ? ops.add(retaining.grad, final) : ops.clone(final);
        keepStorage(retaining.grad.storage);
      }
      const slot = this.capture?.get(node)?.get(i);
      if (slot !== undefined) {
        this.captured[slot] = final;
        this.holds.share(final);
      }
    });
    return grads;
  }

  /** See `takeArrived`. */
  take(edge: Edge, { dtype, memoryFormat }: Tensor): Tensor | null {
    if (!edge || 'leaf' in edge || this.createGraph) return null;
    const grads = this.pending.get(edge.node);
    const grad = grads?.[edge.index];
    if (!grads || !grad || grad.dtype !== dtype || grad.memoryFormat !== memoryFormat) return null;
    grads[edge.index] = null;
    this.taken.push(grad);
    return grad;
  }

  /** Ends at a node that is not run, since nothing below it is wanted; but gradients of its own outputs may be. */
  skip(node: Node): void {
    for (const grad of this.receive(node) ?? []) this.holds.letGo(grad);
  }

  private resultsOf(node: Node, grads: Gradient[], wanted: readonly boolean[] | null): Gradient[] {
    let results: Gradient[];
    try {
      results = node.run(grads, wanted);
    } catch (error) {
      throw withPlace(error, node.name, node.place);
    }
    if (checksNan())
      for (const [i, result] of results.entries())
        if (result && ops.hasNan(result)) {
          const error = new RuntimeError(`Function '${node.name}' returned nan values in its ${i}th output.`);
          throw withPlace(error, node.name, node.place);
        }
    return results;
  }

  run(node: Node, retainGraph: boolean, pruned: Pruned | null): void {
    const grads = this.receive(node);
    if (!grads) {
      for (const edge of node.edges) this.send(edge, null);
      return;
    }
    const wanted = pruned && node.edges.map((edge) => pruned.wants(edge));
    const found = this.resultsOf(node, grads, wanted);
    if (found.length !== node.edges.length)
      throw new RuntimeError(
        `function ${node.name} returned an incorrect number of gradients (expected ${node.edges.length}, got ${found.length})`,
      );
    const results = wanted ? found.map((result, i) => (wanted[i] ? result : null)) : found;
    for (const result of results) this.holds.hold(result);
    if (!node.makesFreshGradients) for (const grad of [...grads, ...results]) this.holds.share(grad);
    if (!retainGraph) node.release();
    for (const grad of [...grads, ...this.taken.splice(0)]) this.holds.letGo(grad);
    results.forEach((result, i) => {
      this.send(node.edges[i], result);
    });
  }
}

/** The walks that are running, the innermost last. */
const walks: Walk[] = [];

/** Calls a function at the end of the outermost backward that is running, unless it fails. */
export const atEndOfBackward = (ending: () => void): void => void walks[0].endings.push(ending);

/**
 * Whether anybody but the next operation sees the gradient of an edge: a hook, `retainGrad`, a caller of `grad`, or a
 * leaf.
 */
export function isGradientObserved(edge: Edge): boolean {
  if (!edge || 'leaf' in edge) return true;
  const { node, index } = edge;
  return (
    (node.hooks.get(index)?.length ?? 0) > 0 ||
    node.retained.has(index) ||
    walks.some(({ capture }) => capture?.get(node)?.has(index))
  );
}

/**
 * The gradient that other paths have already brought to an edge of the running node; null if there is none, or if its
 * dtype or format is not that of `like`. The caller must add it to the gradient that the node returns for this edge.
 */
export const takeArrived = (edge: Edge, like: Tensor): Tensor | null => walks.at(-1)?.take(edge, like) ?? null;

function checkRoots(roots: readonly Tensor[], grads: readonly Gradient[]): Tensor[] {
  for (const [list, name] of [
    [roots, 'tensors'],
    [grads, 'gradients'],
  ] as const)
    if (!Array.isArray(list))
      throw new ArgumentTypeError(`[backward] expected an array of ${name}, got ${shown(list)}`);
  if (grads.length > roots.length)
    throw new RuntimeError(`[backward] got ${grads.length} gradients for ${roots.length} tensors`);
  return roots.map((root, i) => {
    if (!(root instanceof Tensor))
      throw new ArgumentTypeError(`[backward] expected tensors to differentiate, got ${shown(root)}`);
    if (!root.requiresGrad)
      throw new RuntimeError(`element ${i} of tensors does not require grad and does not have a gradFn`);
    const given: unknown = grads[i];
    if (given === null || given === undefined) {
      if (root.size !== 1) throw new RuntimeError('grad can be implicitly created only for scalar outputs');
      return ops.onesLike(root);
    }
    if (!(given instanceof Tensor))
      throw new ArgumentTypeError(`gradients can be either Tensors or null, but got ${shown(given)}`);
    if (!sameShape(given.shape, root.shape))
      throw new RuntimeError(
        `Mismatch in shape: gradOutputs[${i}] has a shape of ${formatShape(given.shape)} and output[${i}] has a shape of ${formatShape(root.shape)}.`,
      );
    requireBackend('backward', given, root.backend);
    return ops.cast(given, root.dtype);
  });
}

function walk(
  roots: readonly Tensor[],
  given: readonly Gradient[],
  options: BackwardOptions,
  capture: Capture | null,
): Gradient[] {
  const createGraph = options.createGraph ?? false;
  const retainGraph = options.retainGraph ?? createGraph;
  const rootGrads = checkRoots(roots, given);
  const former = setGradEnabled(createGraph);
  const state = new Walk(createGraph, capture);
  walks.push(state);
  try {
    const nodes = reachable(roots.flatMap((root) => (root.gradFn instanceof Node ? [root.gradFn] : [])));
    const pruned = capture && new Pruned(capture, nodes);
    const rootEdges = roots.map(edgeOf);
    state.expect(rootEdges);
    for (const node of nodes) if (!pruned || pruned.runs(node)) state.expect(node.edges);
    for (const [i, edge] of rootEdges.entries()) state.begin(edge, rootGrads[i], Boolean(given[i]));
    for (const node of nodes)
      if (!pruned || pruned.runs(node)) state.run(node, retainGraph, pruned);
      else state.skip(node);
    for (const ending of state.endings) ending();
    return state.captured;
  } finally {
    walks.pop();
    setGradEnabled(former);
  }
}

/**
 * Adds the gradients of `roots` to the `.grad` of every leaf that requires one (PyTorch: `torch.autograd.backward`).
 * Afterwards the graph is freed, unless `retainGraph` is set.
 * @param grads the gradient of each root. Default: 1, for roots of one element.
 * @throws RuntimeError where a root requires no gradient, or has more elements and no gradient was given, or its graph
 * is gone.
 * @example
 * const w = ones([3], { requiresGrad: true });
 * backward([w.mul(2).sum()]);
 * console.log(w.grad!.toArray()); // [2, 2, 2]
 */
export function backward(
  roots: readonly Tensor[],
  grads: readonly Gradient[] = [],
  options: BackwardOptions = {},
): void {
  requireOptions('backward', options, backwardOptions);
  walk(roots, grads, options, null);
}

/**
 * The gradients of `outputs` with respect to `inputs`, without touching any `.grad` (PyTorch: `torch.autograd.grad`).
 * @throws RuntimeError where an input was not used, unless `allowUnused`, which gives null in its place.
 * @example
 * const x = tensor([1, 2, 3], { requiresGrad: true });
 * const [dx] = grad([x.mul(x).sum()], [x]); // 2x
 */
export function grad(outputs: readonly Tensor[], inputs: readonly Tensor[], options: GradOptions = {}): Tensor[] {
  requireOptions('grad', options, gradOptions);
  const capture: Capture = new Map();
  const slotOf: number[] = [];
  inputs.forEach((input, slot) => {
    const edge = edgeOf(input);
    if (!edge) throw new RuntimeError('One of the differentiated Tensors does not require grad');
    const [key, index] = 'leaf' in edge ? [edge.leaf, 0] : [edge.node, edge.index];
    let slots = capture.get(key);
    if (!slots) capture.set(key, (slots = new Map()));
    // The same input asked for twice shares the slot of its first mention.
    slotOf[slot] = slots.get(index) ?? slot;
    slots.set(index, slotOf[slot]);
  });
  const captured = walk(outputs, options.gradOutputs ?? [], options, capture);
  return inputs.map((_, slot) => {
    const found = captured[slotOf[slot]];
    if (!found && !options.allowUnused)
      throw new RuntimeError(
        'One of the differentiated Tensors appears to not have been used in the graph. Set allowUnused: true if this is the desired behavior.',
      );
    return found as Tensor;
  });
}

/** Registers a hook on a tensor; returns what removes it (PyTorch: `Tensor.register_hook`). */
export function registerHook(tensor: Tensor, hook: TensorHook): () => void {
  if (!tensor.requiresGrad) throw new RuntimeError("cannot register a hook on a tensor that doesn't require gradient");
  if (typeof hook !== 'function') throw new ArgumentTypeError(`[registerHook] expected a function, got ${shown(hook)}`);
  let hooks: HookEntry[];
  if (tensor.gradFn instanceof Node) {
    const node = tensor.gradFn;
    hooks = node.hooks.get(tensor.outputIndex) ?? [];
    node.hooks.set(tensor.outputIndex, hooks);
  } else hooks = tensor.hooks ??= [];
  // The same function may be registered twice; each time is an entry of its own.
  const entry: HookEntry = { hook };
  hooks.push(entry);
  return () => {
    const at = hooks.indexOf(entry);
    if (at >= 0) hooks.splice(at, 1);
  };
}

/**
 * Registers a hook that is called with a leaf when a backward has added to its `.grad`, which it may replace. Returns
 * what removes it (PyTorch: `Tensor.register_post_accumulate_grad_hook`).
 */
export function registerPostAccumulateGradHook(tensor: Tensor, hook: AccumulatedHook): () => void {
  if (!tensor.requiresGrad) throw new RuntimeError("cannot register a hook on a tensor that doesn't require gradient");
  if (!tensor.isLeaf) throw new RuntimeError('post accumulate grad hooks cannot be registered on non-leaf tensors');
  if (typeof hook !== 'function')
    throw new ArgumentTypeError(`[registerPostAccumulateGradHook] expected a function, got ${shown(hook)}`);
  // The same function may be registered twice; each time is an entry of its own.
  const entry: AccumulatedHook = (leaf) => hook(leaf);
  const hooks = (tensor.accumulatedHooks ??= []);
  hooks.push(entry);
  return () => {
    const at = hooks.indexOf(entry);
    if (at >= 0) hooks.splice(at, 1);
  };
}

/** Makes a non-leaf tensor keep its gradient (PyTorch: `Tensor.retain_grad`). */
export function retainGrad(tensor: Tensor): void {
  if (!tensor.requiresGrad) throw new RuntimeError("can't retainGrad on Tensor that has requiresGrad: false");
  if (tensor.gradFn instanceof Node) tensor.gradFn.retained.set(tensor.outputIndex, tensor);
}
