// Deep copies of modules. Each object that belongs to a module is copied once, so that the copy shares its parts as the
// original does.
import { noGrad } from '../../autograd/grad_mode.ts';
import { RuntimeError } from '../../errors.ts';
import { clone } from '../../ops/convert.ts';
import { emptyLike } from '../../tensor/create.ts';
import { outsideScopes, type Storage } from '../../tensor/storage.ts';
import { keep, Tensor } from '../../tensor/tensor.ts';
import { Module } from '../module.ts';
import { noteCopy } from '../module_call.ts';
import type { NormBase } from '../norm/batch_norm.ts';
import { ask, StatisticsControl } from '../norm/statistics/statistics_control.ts';
import { Parameter } from '../parameter.ts';
import { isUninitialized } from '../uninitialized.ts';

/** A module without a class, as which a copy begins. */
class Shell extends Module {
  forward(): void {}
}

class Copier {
  /** The copies so far, by their originals. */
  private readonly done = new Map<object, unknown>();
  private readonly storages = new Map<Storage, Storage>();
  private readonly op: string;
  private readonly replacements: ReadonlyMap<Module, Module>;
  private readonly isShell: boolean;

  /**
   * @param op what the user called.
   * @param isShell whether tensors are copied to the meta device, and hooks not at all.
   */
  constructor(op: string, replacements: ReadonlyMap<Module, Module>, isShell = false) {
    this.op = op;
    this.replacements = replacements;
    this.isShell = isShell;
  }

  module(from: Module): Module {
    const known = this.done.get(from) as Module | undefined;
    if (known) return known;
    const replacement = this.replacements.get(from);
    if (replacement) {
      const made = this.module(replacement);
      this.done.set(from, made);
      return made;
    }
    const to = new Shell();
    noteCopy(to);
    this.done.set(from, to);
    const registered = Module.copyRegistered(from, to, (value) => this.value(value));
    if (!this.isShell) to.addHooksOf(from);
    this.properties(from, to, registered);
    return Object.setPrototypeOf(to, Object.getPrototypeOf(from) as object) as Module;
  }

  private properties(from: Module, to: Module, registered: ReadonlySet<PropertyKey>): void {
    for (const name of Reflect.ownKeys(from)) {
      if (registered.has(name)) continue;
      const descriptor = Object.getOwnPropertyDescriptor(from, name)!;
      // Of what is asked of a layer only freezing is copied. The rest holds while a function runs, or belongs to an
      // optimizer.
      if (descriptor.value instanceof StatisticsControl) {
        const { frozen } = descriptor.value;
        Object.assign(to, { control: null });
        ask(to as unknown as NormBase, 'frozen', frozen);
      } else if ('value' in descriptor) {
        Object.defineProperty(to, name, { ...descriptor, value: this.value(descriptor.value) });
      } else Object.defineProperty(to, name, descriptor);
    }
  }

  /**
   * Arrays, plain objects, maps, sets and typed arrays are copied with what they hold; functions and objects of other
   * classes are shared.
   */
  private value(from: unknown): unknown {
    // A module is a function, and the only one that is copied.
    if (from instanceof Module) return this.module(from);
    if (typeof from !== 'object' || from === null) return from;
    if (from instanceof Tensor) return this.tensor(from);
    if (this.done.has(from)) return this.done.get(from);
    const begin = <T extends object>(to: T): T => {
      this.done.set(from, to);
      return to;
    };
    if (Array.isArray(from)) {
      const to: unknown[] = begin([]);
      for (const item of from) to.push(this.value(item));
      return to;
    }
    if (from instanceof Map) {
      const to = begin(new Map<unknown, unknown>());
      for (const [key, item] of from) to.set(this.value(key), this.value(item));
      return to;
    }
    if (from instanceof Set) {
      const to = begin(new Set<unknown>());
      for (const item of from) to.add(this.value(item));
      return to;
    }
    if (ArrayBuffer.isView(from)) return begin(structuredClone(from));
    if (Object.getPrototypeOf(from) !== Object.prototype) return from;
    const to: Record<string, unknown> = begin({});
    for (const [key, item] of Object.entries(from)) to[key] = this.value(item);
    return to;
  }

  private tensor<T extends Tensor>(from: T): T {
    const known = this.done.get(from) as T | undefined;
    if (known) return known;
    if (isUninitialized(from))
      throw new RuntimeError(
        `[${this.op}] a lazy layer without shapes cannot be copied: call the model once, or load a state, before`,
      );
    const { shape, dtype, memoryFormat } = from;
    const shared = this.storages.get(from.storage);
    const copied = () => (this.isShell ? emptyLike(from, { device: 'meta' }) : clone(from));
    const values = shared ? new Tensor(shape, dtype, memoryFormat, shared) : keep(copied());
    this.storages.set(from.storage, values.storage);
    const to = from instanceof Parameter ? new Parameter(values, { requiresGrad: from.requiresGrad }) : values;
    if (!(from instanceof Parameter)) to.requiresGrad = from.isLeaf && from.requiresGrad;
    this.done.set(from, to);
    return to as unknown as T;
  }
}

/**
 * A copy of a module and of everything below it, tensors included; gradients stay behind (PyTorch: `copy.deepcopy`).
 * Its class is not constructed again.
 *
 * What stands in several places, such as a tied weight or a module in two lists, is one thing in the copy too. Plain
 * objects and collections are copied with what they hold. Hooks, other functions and objects of other classes are
 * shared: a function that was made with the original's `this` still means the original. Freezing is kept; staged
 * statistics, and what holds inside `withStatistics` and the like, are not. A class with `#private` members cannot be
 * copied, since nobody else can give them to an object; TypeScript's `private` is no obstacle.
 *
 * @param replacements modules of which copies of other modules are to take the place, wherever they stand.
 * @throws RuntimeError on lazy layers that have not seen an input.
 * @example
 * const backup = copyModule(model);
 */
export function copyModule<M extends Module>(module: M, replacements: ReadonlyMap<Module, Module> = new Map()): M {
  return outsideScopes(() => noGrad(() => new Copier('copyModule', replacements).module(module))) as M;
}

/**
 * The same on the meta device, without values, gradients and hooks: what can be run to see shapes. `op`: what the user
 * called.
 */
export function shellOf<M extends Module>(op: string, module: M): M {
  return outsideScopes(() => noGrad(() => new Copier(op, new Map(), true).module(module))) as M;
}
