// Modules that hold modules: Sequential, ModuleList, ModuleDict. All keep their children in the module's own registry,
// under their positions or names.

import { ArgumentTypeError, EvenkeelError, IndexError, KeyError } from '../errors.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

/**
 * A position counted from the front; negative ones count from the end.
 * @throws IndexError where there is none.
 */
export function positionIn(length: number, index: number): number {
  if (!Number.isInteger(index) || index < -length || index >= length)
    throw new IndexError(`index ${index} is out of range`);
  return index < 0 ? index + length : index;
}

/** Children named 0, 1, 2, …, with the methods of an array. */
abstract class IndexedModules<M extends Module> extends Module implements Iterable<M> {
  readonly [index: number]: M;

  /** Number of children. */
  override get length(): number {
    return this.items().length;
  }

  /**
   * The children in their order.
   * @internal
   */
  protected items(): M[] {
    return this.allChildren().map(([, module]) => module as M);
  }

  /** The children in their order. */
  [Symbol.iterator](): Iterator<M> {
    return this.items()[Symbol.iterator]();
  }

  /**
   * A position counted from the front.
   * @internal
   */
  protected position(index: number): number {
    return positionIn(this.length, index);
  }

  /**
   * The child at a position; negative ones count from the end.
   * @throws IndexError where there is none.
   */
  at(index: number): M {
    return this.items()[this.position(index)];
  }

  /** Puts a module in the place of another. */
  set(index: number, module: M): void {
    requireModule(module);
    const [name] = this.allChildren()[this.position(index)];
    assign(this, name, module);
  }

  /** Adds a module at the end (PyTorch: `append`). */
  append(module: M): this {
    requireModule(module);
    this.registerModule(String(this.length), module);
    return this;
  }

  /** Adds modules at the end (PyTorch: `extend`). */
  extend(modules: Iterable<M>): this {
    for (const module of [...modules]) this.append(module);
    return this;
  }

  /** Puts a module before the one at a position; −1 is before the last. */
  insert(index: number, module: M): this {
    requireModule(module);
    const items = this.items();
    if (!Number.isInteger(index) || index < -items.length || index > items.length)
      throw new IndexError(`Index out of range: ${index}`);
    items.splice(index, 0, module);
    this.renumber(items);
    return this;
  }

  /**
   * Takes a child out, the last by default, and returns it.
   * @throws IndexError where there is none at that position.
   */
  pop(index = -1): M {
    const items = this.items();
    const [taken] = items.splice(this.position(index), 1);
    this.renumber(items);
    return taken;
  }

  private renumber(items: readonly Module[]): void {
    for (const [name] of this.allChildren()) this.unregisterModule(name);
    items.forEach((module, i) => {
      this.registerModule(String(i), module);
    });
  }
}

function requireModule(value: unknown): asserts value is Module {
  if (!(value instanceof Module))
    throw new ArgumentTypeError(`${value === null ? 'null' : typeof value} is not a Module subclass`);
}

/** Errors that passed through a Sequential: their own text, and the path of the layer so far. */
const origins = new WeakMap<EvenkeelError, { text: string; path: string; layer: Module }>();

/** Appends the path of the layer to an error's text. */
function located(error: unknown, name: string, layer: Module): unknown {
  if (!(error instanceof EvenkeelError)) return error;
  const known = origins.get(error);
  const origin = known ? { ...known, path: `${name}.${known.path}` } : { text: error.message, path: name, layer };
  origins.set(error, origin);
  // The stack begins with the former text.
  const { message: before, stack } = error;
  error.message = `${origin.text} (in layer '${origin.path}', ${String(origin.layer)})`;
  error.stack = stack?.replace(before, () => error.message);
  return error;
}

/** Children are properties of their parent; see Module. */
const assign = (parent: Module, name: string, child: Module): void => {
  (parent as unknown as Record<string, Module>)[name] = child;
};

/**
 * Modules called one after the other, each with what the one before gave (PyTorch: `nn.Sequential`).
 *
 * Takes modules, or an object (or Map) whose keys become their names. `A` and `R`: what the first takes and the last
 * gives, one tensor each unless said otherwise, as in `new Sequential<[Tensor, Tensor], Tensor>(…)`.
 * @example
 * const net = new Sequential(new Flatten(), new Linear(784, 10));
 * const named = new Sequential({ conv: new Conv2d(1, 6, 5), act: new ReLU() });
 */
export class Sequential<A extends readonly unknown[] = [x: Tensor], R = Tensor> extends IndexedModules<Module> {
  constructor(...modules: readonly Module[] | [Readonly<Record<string, Module>> | ReadonlyMap<string, Module>]) {
    super();
    const [first] = modules;
    if (modules.length === 1 && !(first instanceof Module)) {
      for (const [name, module] of first instanceof Map ? first : Object.entries(first ?? {})) {
        requireModule(module);
        this.registerModule(name, module);
      }
    } else for (const module of modules as readonly Module[]) this.append(module);
  }

  forward(...args: A): R {
    let given: unknown[] = args as unknown as unknown[];
    for (const [name, module] of this.allChildren())
      try {
        given = [module(...given)];
      } catch (error) {
        throw located(error, name, module);
      }
    return given[0] as R;
  }

  /** A new Sequential of the same modules from `start` to, not including, `end`. */
  slice(start?: number, end?: number): Sequential {
    return new Sequential(Object.fromEntries(this.allChildren().slice(start, end)));
  }
}

/**
 * A list of modules that its owner calls as it likes (PyTorch: `nn.ModuleList`). Iterable; `at`, `append`, `extend`,
 * `insert`, `pop`, `set`.
 */
export class ModuleList<M extends Module = Module> extends IndexedModules<M> {
  constructor(modules: Iterable<M> = []) {
    super();
    this.extend(modules);
  }

  /** A list cannot be called: its owner decides the order. */
  forward(): never {
    throw new ArgumentTypeError('Module [ModuleList] is missing the required "forward" function');
  }

  /** Neighbours that print alike share a line: `(0-2): 3 x …`. */
  override toString(): string {
    const runs: { first: number; last: number; text: string }[] = [];
    this.items().forEach((module, i) => {
      const text = String(module);
      const run = runs.at(-1);
      if (run?.text === text) run.last = i;
      else runs.push({ first: i, last: i, text });
    });
    const { name } = this.constructor;
    if (runs.length === 0) return `${name}()`;
    const lines = runs.map(({ first, last, text }) => {
      const head = first === last ? `(${first}): ` : `(${first}-${last}): ${last - first + 1} x `;
      return `  ${head}${text.replaceAll('\n', '\n  ')}`;
    });
    return `${name}(\n${lines.join('\n')}\n)`;
  }
}

/** Modules under names, in the order of their insertion (PyTorch: `nn.ModuleDict`). Iterates over [name, module]. */
export class ModuleDict extends Module implements Iterable<[string, Module]> {
  constructor(modules: Readonly<Record<string, Module>> | ReadonlyMap<string, Module> = {}) {
    super();
    this.update(modules);
  }

  /** A dictionary cannot be called: its owner decides. */
  forward(): never {
    throw new ArgumentTypeError('Module [ModuleDict] is missing the required "forward" function');
  }

  /** The number of modules. */
  get size(): number {
    return this.keys().length;
  }

  /**
   * The module of a name.
   * @throws KeyError where there is none.
   */
  get(name: string): Module {
    const found = this.find(name);
    if (!found) throw new KeyError(name);
    return found;
  }

  /** Whether there is a module of that name. */
  has(name: string): boolean {
    return this.find(name) !== undefined;
  }

  /** Adds a module or replaces the one of that name. */
  set(name: string, module: Module): this {
    requireModule(module);
    if (this.has(name)) assign(this, name, module);
    else this.registerModule(name, module);
    return this;
  }

  /** Adds all of an object's or Map's modules. */
  update(modules: Readonly<Record<string, Module>> | ReadonlyMap<string, Module>): this {
    for (const [name, module] of modules instanceof Map ? modules : Object.entries(modules)) this.set(name, module);
    return this;
  }

  /**
   * Takes a module out and returns it.
   * @throws KeyError where there is none of that name.
   */
  pop(name: string): Module {
    const found = this.get(name);
    this.unregisterModule(name);
    return found;
  }

  /** Takes all modules out. */
  clear(): void {
    for (const name of this.keys()) this.unregisterModule(name);
  }

  /** All names in their order. */
  keys(): string[] {
    return this.allChildren().map(([name]) => name);
  }
  /** All modules in their order. */
  values(): Module[] {
    return this.allChildren().map(([, module]) => module);
  }
  /** Names and modules in their order. */
  [Symbol.iterator](): Iterator<[string, Module]> {
    return this.allChildren()[Symbol.iterator]();
  }

  private find(name: string): Module | undefined {
    for (const [key, module] of this.allChildren()) if (key === name) return module;
    return undefined;
  }
}

declareModules({ Sequential, ModuleList, ModuleDict });
