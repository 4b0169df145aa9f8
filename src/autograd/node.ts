// The graph: one node per recorded operation, with edges to the nodes that made its inputs. A node knows what was saved
// for its backward and checks that nobody changed it. Walking the graph is in backward.ts.

import type { Backend } from '../device/backend.ts';
import { RuntimeError } from '../errors.ts';
import type { DType } from '../tensor/dtype.ts';
import { formatShape, type MemoryFormat, type Shape } from '../tensor/shape.ts';
import type { Storage } from '../tensor/storage.ts';
import { aliasOf, type GradNode, type HookEntry, type Tensor } from '../tensor/tensor.ts';
import { placeOfCall } from './anomaly.ts';

/** A gradient, or nothing where none flows. */
export type Gradient = Tensor | null | undefined;

/** Where a gradient goes: an output of another node, or a leaf that accumulates it. */
export type Edge = { readonly node: Node; readonly index: number } | { readonly leaf: Tensor } | null;

let sequence = 0;

export interface OutputInfo {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly memoryFormat: MemoryFormat;
  readonly backend: Backend;
}

export class Node implements GradNode {
  readonly name: string;
  /** Rises with every node: going through a graph in descending order meets each node after all that depend on it. */
  readonly sequence = sequence++;
  /** In anomaly mode, where the operation was called. */
  readonly place = placeOfCall();
  readonly edges: readonly Edge[];
  readonly outputs: readonly OutputInfo[];
  /**
   * Gradients of the outputs in, gradients of the inputs out, in the order of `edges`. If `wanted` is given, it says
   * for each edge whether its gradient is; others may be missing.
   */
  readonly run: (grads: Gradient[], wanted: readonly boolean[] | null) => Gradient[];
  /** Frees what was saved for the backward. */
  readonly release: () => void;
  /** Whether each gradient that it returns is new or one of those it was given. Not so for functions of users. */
  readonly makesFreshGradients: boolean;
  readonly hooks = new Map<number, HookEntry[]>();
  readonly retained = new Map<number, Tensor>();

  constructor(fields: Pick<Node, 'name' | 'edges' | 'outputs' | 'run' | 'release' | 'makesFreshGradients'>) {
    this.name = fields.name;
    this.edges = fields.edges;
    this.outputs = fields.outputs;
    this.run = fields.run;
    this.release = fields.release;
    this.makesFreshGradients = fields.makesFreshGradients;
  }
}

export function edgeOf(tensor: Tensor): Edge {
  if (tensor.history !== tensor.storage.history && tensor.requiresGrad)
    throw new RuntimeError(
      'a tensor that shares memory with this one (reshape, detach) was changed in place while gradients were recorded, so its own history no longer describes its values; make the view after the change, or change a clone',
    );
  if (tensor.gradFn) return { node: tensor.gradFn as Node, index: tensor.outputIndex };
  return tensor.requiresGrad ? { leaf: tensor } : null;
}

/** Stands for saved tensors that are not kept but computed again: a checkpoint's. */
export interface HeldTensors {
  unpack(): readonly (Tensor | null)[];
  free(): void;
}

/** Is told of every save while it is set. If it returns something, that is kept instead of the tensors. */
export type Holder = (saved: SavedTensors, tensors: readonly (Tensor | null)[]) => HeldTensors | null;
let holder: Holder | null = null;

/** Sets who is told of every save, and returns the former one; see checkpoint.ts. */
export function setHolder(next: Holder | null): Holder | null {
  const former = holder;
  holder = next;
  return former;
}

/** Tensors saved in a forward, handed out in the backward unless they were changed or freed meanwhile. */
export class SavedTensors {
  /** Whether the backward may hand the tensors themselves to others, as that of a user's function may. */
  readonly mayEscape: boolean;
  /** Is told when the saves are freed, where nobody else holds the tensors; see saved_memory.ts. */
  memory: { letGo(saved: SavedTensors): void } | null = null;
  private tensors: readonly (Tensor | null)[] = [];
  private versions: readonly number[] = [];
  private held: HeldTensors | null = null;
  private isFreed = false;

  constructor(mayEscape = false) {
    this.mayEscape = mayEscape;
  }

  save(tensors: readonly (Tensor | null)[]): void {
    this.held = holder?.(this, tensors) ?? null;
    if (this.held) return;
    this.tensors = tensors;
    this.versions = tensors.map((tensor) => tensor?.version ?? 0);
    for (const tensor of tensors) if (tensor) tensor.isSaved = true;
  }

  unpack(): readonly (Tensor | null)[] {
    if (this.isFreed)
      throw new RuntimeError(
        'Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate values of the graph are freed when you call .backward() or grad(). Specify retainGraph: true if you need to backward through the graph a second time or if you need to access saved tensors after calling backward.',
      );
    if (this.held) return this.held.unpack();
    this.tensors.forEach((tensor, i) => {
      if (!tensor || tensor.version === this.versions[i]) return;
      const source = tensor.gradFn ? `, which is output ${tensor.outputIndex} of ${tensor.gradFn.name},` : '';
      throw new RuntimeError(
        `one of the variables needed for gradient computation has been modified by an inplace operation: [${tensor.dtype} ${formatShape(tensor.shape)}]${source} is at version ${tensor.version}; expected version ${this.versions[i]} instead. Hint: the backtrace further above shows the operation that failed to compute its gradient. The variable in question was changed in there or anywhere later. Good luck!`,
      );
    });
    return this.tensors;
  }

  free(): void {
    if (this.tensors.length > 0 || this.held) this.isFreed = true;
    this.memory?.letGo(this);
    this.memory = null;
    this.tensors = [];
    this.held?.free();
    this.held = null;
  }

  /** The storages of the tensors; one that several tensors share comes several times. */
  storages(): readonly Storage[] {
    const storages: Storage[] = [];
    for (const tensor of this.tensors) if (tensor) storages.push(tensor.storage);
    return storages;
  }

  /** Detaches the tensors, so that they do not keep the graph that made them. */
  cutHistory(): void {
    this.tensors = this.tensors.map((tensor) => (tensor?.gradFn ? aliasOf(tensor) : tensor));
  }
}
