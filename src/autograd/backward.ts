// Walking the graph backwards: gradients flow from the roots to the leaves in descending order of creation, are summed where
// paths meet, pass the hooks, and end in `.grad` or in the list that grad() returns.
import { RuntimeError } from '../errors.ts';
import { zeros } from '../tensor/create.ts';
import { formatShape, type MemoryFormat, sameShape } from '../tensor/shape.ts';
import type { Storage } from '../tensor/storage.ts';
import { keepStorage } from '../tensor/storage.ts';
import type { Tensor, TensorHook } from '../tensor/tensor.ts';
import { setGradEnabled } from './grad_mode.ts';
import { type Edge, edgeOf, type Gradient, Node } from './node.ts';

/** The few operations that the engine itself needs; the ops layer, which stands above it, provides them. */
export interface EngineOps {
  add(a: Tensor, b: Tensor): Tensor;
  addInPlace(a: Tensor, b: Tensor): void;
  clone(a: Tensor): Tensor;
  toFormat(a: Tensor, format: MemoryFormat): Tensor;
  onesLike(a: Tensor): Tensor;
}
let ops: EngineOps;
export const provideEngineOps = (provided: EngineOps): void => {
  ops = provided;
};

export interface BackwardOptions {
  /** Keep what was saved, so that the graph can be walked again. Default: the value of `createGraph`. */
  retainGraph?: boolean;
  /** Record the computation of the gradients too, for higher orders. Default: false. */
  createGraph?: boolean;
}

/** Where captured gradients are wanted: at an output of a node or at a leaf. */
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

/** Nodes from which a captured tensor can be reached; grad() runs no others. */
function leadingTo(capture: Capture, order: readonly Node[]): Set<Node> {
  const useful = new Set<Node>();
  // From the oldest node on, so that the inputs of a node are decided before it is.
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i];
    const hit = (edge: Node['edges'][number]) =>
      edge !== null &&
      ('leaf' in edge ? capture.has(edge.leaf) : useful.has(edge.node) || capture.get(edge.node)?.has(edge.index));
    if (node.edges.some(hit)) useful.add(node);
  }
  return useful;
}

function runHooks(hooks: Iterable<TensorHook>, grad: Tensor): Tensor {
  for (const hook of hooks) {
    const replaced = hook(grad);
    if (!replaced) continue;
    if (!sameShape(replaced.shape, grad.shape))
      throw new RuntimeError(
        `[hook] expected a gradient of shape ${formatShape(grad.shape)}, got ${formatShape(replaced.shape)}`,
      );
    grad = replaced;
  }
  return grad;
}

class Walk {
  private readonly pending = new Map<Node, Gradient[]>();
  /** How many edges may still bring a gradient to a leaf, and the sum of those that came: hooks see it once, complete. */
  private readonly awaited = new Map<Tensor, number>();
  private readonly arrived = new Map<Tensor, Tensor>();
  /** Storages that some gradient other than the one at hand may also use: they must not be written or handed out. */
  private readonly shared = new Set<Storage>();
  private readonly createGraph: boolean;
  private readonly capture: Capture | null;
  readonly captured: Gradient[] = [];

  constructor(createGraph: boolean, capture: Capture | null) {
    this.createGraph = createGraph;
    this.capture = capture;
  }

  private sum(a: Gradient, b: Tensor): Tensor {
    if (!a) return b;
    // Out of place: `a` may be the same memory as another gradient.
    return ops.add(a, b);
  }

  /** Announces edges over which gradients will be sent, or be found missing. */
  expect(edges: Iterable<Node['edges'][number]>): void {
    for (const edge of edges)
      if (edge && 'leaf' in edge) this.awaited.set(edge.leaf, (this.awaited.get(edge.leaf) ?? 0) + 1);
  }

  /** Sends a gradient, or the news that there is none, along an announced edge. */
  send(edge: Node['edges'][number], grad: Gradient): void {
    if (!edge) return;
    if ('leaf' in edge) {
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

  private accumulate(leaf: Tensor, grad: Tensor): void {
    if (leaf.hooks) grad = runHooks(leaf.hooks, grad);
    if (this.capture) {
      const slot = this.capture.get(leaf)?.get(0);
      if (slot !== undefined) this.captured[slot] = this.sum(this.captured[slot], grad);
      return;
    }
    const former = leaf.peekGrad();
    if (former && !this.createGraph && !former.requiresGrad) ops.addInPlace(former, grad);
    else if (former) leaf.grad = ops.add(former, grad);
    else {
      // In the leaf's memory format, as PyTorch's contract of gradients has it.
      const laid = ops.toFormat(grad, leaf.memoryFormat);
      const isOwn = laid.storage !== grad.storage || !(this.createGraph || leaf.hooks || this.shared.has(grad.storage));
      const own = isOwn ? laid : ops.clone(laid);
      leaf.adoptGrad(own);
      this.shared.add(own.storage);
    }
    // Gradients are read by the optimizer and summed over steps: they outlive the scope of the step.
    keepStorage(leaf.peekGrad()!.storage);
  }

  /** The complete gradients of a node's outputs, after hooks, retained and captured where asked for; null if none arrived. */
  receive(node: Node): Gradient[] | null {
    const grads = this.pending.get(node);
    if (!grads) return null;
    this.pending.delete(node);
    node.outputs.forEach((info, i) => {
      const grad = grads[i];
      if (!grad) {
        // Single-output backwards always get a gradient; others see null where nothing arrived.
        grads[i] = node.outputs.length === 1 ? zeros(info.shape, { dtype: info.dtype }) : null;
        return;
      }
      const hooks = node.hooks.get(i);
      const final = hooks ? runHooks(hooks, grad) : grad;
      grads[i] = final;
      if (hooks) this.shared.add(final.storage);
      const retaining = node.retained.get(i);
      if (retaining) {
        retaining.grad = retaining.grad ? ops.add(retaining.grad, final) : ops.clone(final);
        keepStorage(retaining.grad.storage);
      }
      const slot = this.capture?.get(node)?.get(i);
      if (slot !== undefined) {
        this.captured[slot] = final;
        this.shared.add(final.storage);
      }
    });
    return grads;
  }

  /** Marks memory that somebody else holds. */
  share(grad: Tensor): void {
    this.shared.add(grad.storage);
  }

  /** Gives back the memory of gradients that have done their part: of those that nobody else holds and that do not flow on. */
  private recycle(grads: readonly Gradient[], flowingOn: ReadonlySet<Storage>): void {
    for (const grad of grads)
      if (grad && !this.shared.has(grad.storage) && !flowingOn.has(grad.storage)) grad.storage.release();
  }

  run(node: Node, retainGraph: boolean): void {
    const grads = this.receive(node);
    if (!grads) {
      for (const edge of node.edges) this.send(edge, null);
      return;
    }
    const results = node.run(grads);
    if (results.length !== node.edges.length)
      throw new RuntimeError(
        `function ${node.name} returned an incorrect number of gradients (expected ${node.edges.length}, got ${results.length})`,
      );
    const incoming = new Set(grads.map((grad) => grad?.storage));
    const seen = new Set<Storage>();
    for (const result of results) {
      if (!result) continue;
      if (!node.makesFreshGradients || incoming.has(result.storage) || seen.has(result.storage))
        this.shared.add(result.storage);
      seen.add(result.storage);
    }
    results.forEach((result, i) => {
      this.send(node.edges[i], result);
    });
    if (!retainGraph) node.release();
    if (node.makesFreshGradients && !this.createGraph) this.recycle(grads, seen);
  }
}

/** What the walks under way have been asked for, innermost last. */
const captures: (Capture | null)[] = [];

/** Whether anybody but the next operation will see the gradient sent along an edge: a hook, `retainGrad`, who asked `grad` for it, a leaf. */
export function isGradientObserved(edge: Edge): boolean {
  if (!edge || 'leaf' in edge) return true;
  const { node, index } = edge;
  return (
    (node.hooks.get(index)?.size ?? 0) > 0 || node.retained.has(index) || captures.some((c) => c?.get(node)?.has(index))
  );
}

function checkRoots(roots: readonly Tensor[], grads: readonly Gradient[]): Tensor[] {
  return roots.map((root, i) => {
    if (!root.requiresGrad)
      throw new RuntimeError(`element ${i} of tensors does not require grad and does not have a grad_fn`);
    const given = grads[i];
    if (!given) {
      if (root.size !== 1) throw new RuntimeError('grad can be implicitly created only for scalar outputs');
      return ops.onesLike(root);
    }
    if (!sameShape(given.shape, root.shape))
      throw new RuntimeError(
        `Mismatch in shape: grad_output[${i}] has a shape of torch.Size(${formatShape(given.shape)}) and output[${i}] has a shape of torch.Size(${formatShape(root.shape)}).`,
      );
    return given;
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
  captures.push(capture);
  try {
    const state = new Walk(createGraph, capture);
    const nodes = reachable(roots.flatMap((root) => (root.gradFn instanceof Node ? [root.gradFn] : [])));
    const useful = capture ? leadingTo(capture, nodes) : null;
    const rootEdges = roots.map(edgeOf);
    state.expect(rootEdges);
    for (const node of nodes) if (!useful || useful.has(node)) state.expect(node.edges);
    for (const [i, edge] of rootEdges.entries()) {
      if (given[i]) state.share(rootGrads[i]);
      state.send(edge, rootGrads[i]);
    }
    for (const node of nodes)
      if (!useful || useful.has(node)) state.run(node, retainGraph);
      else state.receive(node); // its own gradient may be wanted, though nothing below it is
    return state.captured;
  } finally {
    captures.pop();
    setGradEnabled(former);
  }
}

/**
 * Accumulates the gradients of `roots` into the `.grad` of every leaf that requires one (PyTorch: `torch.autograd.backward`).
 * @param grads one per root; may be missing for one-element roots, where it is 1.
 */
export function backward(
  roots: readonly Tensor[],
  grads: readonly Gradient[] = [],
  options: BackwardOptions = {},
): void {
  walk(roots, grads, options, null);
}

/**
 * The gradients of `outputs` with respect to `inputs`, without touching any `.grad` (PyTorch: `torch.autograd.grad`).
 * @throws RuntimeError where an input was not used, unless `allowUnused`, which gives null in its place.
 * @example
 * const x = tensor([1, 2, 3], { requiresGrad: true });
 * const [dx] = grad([x.mul(x).sum()], [x]); // 2x
 */
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: BackwardOptions & { gradOutputs?: readonly Gradient[]; allowUnused?: boolean } = {},
): Tensor[] {
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
        'One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior.',
      );
    return found as Tensor;
  });
}

/** Registers a hook on a tensor; returns what removes it (PyTorch: `Tensor.register_hook`). */
export function registerHook(tensor: Tensor, hook: TensorHook): () => void {
  if (!tensor.requiresGrad) throw new RuntimeError("cannot register a hook on a tensor that doesn't require gradient");
  let hooks: Set<TensorHook>;
  if (tensor.gradFn instanceof Node) {
    const node = tensor.gradFn;
    hooks = node.hooks.get(tensor.outputIndex) ?? new Set();
    node.hooks.set(tensor.outputIndex, hooks);
  } else hooks = tensor.hooks ??= new Set();
  hooks.add(hook);
  return () => hooks.delete(hook);
}

/** Makes a non-leaf tensor keep its gradient (PyTorch: `Tensor.retain_grad`). */
export function retainGrad(tensor: Tensor): void {
  if (!tensor.requiresGrad) throw new RuntimeError("can't retain_grad on Tensor that has requires_grad=False");
  if (tensor.gradFn instanceof Node) tensor.gradFn.retained.set(tensor.outputIndex, tensor);
}
