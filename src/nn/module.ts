// Module: the tree of parameters, buffers and children, with modes, hooks and printing. State dicts are in
// state_dict.ts. As in PyTorch, a subclass assigns parameters and modules to properties in its constructor, and defines
// forward.

import { callableOf } from '../callable.ts';
import type { Backend, Device } from '../device/backend.ts';
import { ArgumentTypeError, KeyError, NotImplementedError, RuntimeError } from '../errors.ts';
import { backendFor, converted, type Placement, placed } from '../ops/convert.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { type DType, isFloat } from '../tensor/dtype.ts';
import { tensorsIn } from '../tensor/scope.ts';
import type { Storage } from '../tensor/storage.ts';
import { allocate, keep, Tensor } from '../tensor/tensor.ts';
import { type ModuleGradients, type ReplacedGradients, withBackwardHooks } from './backward_hooks.ts';
import { type Arguments, forgetVerdict, invoke, type Result } from './module_call.ts';
import { Parameter } from './parameter.ts';
import {
  type LoadOptions,
  type LoadResult,
  loadOptions,
  loadStateDict,
  type StateDict,
  type StateSource,
  stateDict,
} from './state_dict.ts';
import { isUninitialized } from './uninitialized.ts';

/** Called before forward with its arguments; what it returns replaces them. */
// biome-ignore lint/suspicious/noConfusingVoidType: a hook may also just look
export type ForwardPreHook = (module: Module, args: Arguments) => Arguments | void;
/** Called after forward; what it returns, unless undefined, replaces the output. */
export type ForwardHook = (module: Module, args: Arguments, output: Result) => Result;

/**
 * Called in the backward with the gradients of a module's arguments and of its outputs; what it returns replaces the
 * former.
 */
export type FullBackwardHook = (
  module: Module,
  gradInput: ModuleGradients,
  gradOutput: ModuleGradients,
) => ReplacedGradients;
/** Called in the backward with the gradients of a module's outputs; what it returns replaces them. */
export type FullBackwardPreHook = (module: Module, gradOutput: ModuleGradients) => ReplacedGradients;

/** Options of `Module.registerBuffer`. */
export interface RegisterBufferOptions {
  /** Whether the buffer is part of the state dict. Default: true. */
  persistent?: boolean;
}
const registerBufferOptions = declareOptions<RegisterBufferOptions>({ persistent: kind.flag });

/** One registration of a hook. */
interface Entry<H> {
  readonly hook: H;
}

interface Buffer {
  tensor: Tensor | null;
  isPersistent: boolean;
}
/**
 * An entry that was registered by name, and how many plain properties there were before it: both together give the
 * order of the tree.
 */
interface Registered<T> {
  value: T | null;
  readonly after: number;
}
class Registry {
  readonly parameters = new Map<string, Registered<Parameter>>();
  readonly buffers = new Map<string, Buffer>();
  readonly children = new Map<string, Registered<Module>>();
  has(name: string): boolean {
    return this.parameters.has(name) || this.buffers.has(name) || this.children.has(name);
  }
}

type Slots = Record<string, unknown>;

const describe = (value: unknown): string =>
  value instanceof Module || (typeof value === 'object' && value) ? value.constructor.name : typeof value;

/** Makes `this` a function. */
class Callable {
  constructor() {
    // biome-ignore lint/correctness/noConstructorReturn: the function is the module
    return callableOf<Module>(new.target.prototype, invoke);
  }
}

// A module is called as a function of its forward's arguments.
export interface Module {
  /** Runs forward with its hooks (PyTorch: calling the module). */
  // biome-ignore lint/style/useShorthandFunctionType: a type could not be merged with the class
  (...args: Parameters<this['forward']>): ReturnType<this['forward']>;
}

/**
 * Base of all layers and models (PyTorch: `nn.Module`). A module is a function: `model(x)` runs its hooks and its
 * forward.
 *
 * Parameters and modules are set as properties; the tree is read from these when it is asked for. `registerParameter`,
 * `registerBuffer` and `registerModule` do the same under names of any kind. Modules in arrays, `#private` or
 * `accessor` fields are no part of the tree.
 * @example
 * class Net extends Module {
 *   conv = new Conv2d(1, 6, 5);
 *   bn = new BatchNorm2d(6);
 *   forward(x: Tensor) { return this.bn(this.conv(x)).relu(); }
 * }
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the call signature, which a class cannot declare
export abstract class Module extends Callable {
  /** Whether the module is in training mode; `train()` and `eval()` set it for the whole tree. */
  training = true;
  /**
   * The version of the module's state, which is stored in the metadata of state dicts; see `upgradeState`. Default: 1.
   */
  get stateVersion(): number {
    return 1;
  }
  // Members of functions that modules do not have: using them does not compile.
  /** A module has no `call` of functions: `model(x)` calls it. */
  declare readonly call: never;
  /** A module has no `bind` of functions. */
  declare readonly bind: never;
  /** A module is no class, and has no `prototype`. */
  declare readonly prototype: never;
  /** A module has no `arguments` of functions. */
  declare readonly arguments: never;
  /** A module has no `caller` of functions. */
  declare readonly caller: never;
  readonly #registry = new Registry();
  readonly #preHooks: Entry<ForwardPreHook>[] = [];
  readonly #forwardHooks: Entry<ForwardHook>[] = [];
  readonly #backwardPreHooks: Entry<FullBackwardPreHook>[] = [];
  readonly #backwardHooks: Entry<FullBackwardHook>[] = [];

  /** What the module computes. Call the module itself, which runs the hooks, not this. */
  abstract forward(...args: Arguments): Result;

  /**
   * Runs the hooks and forward: what a call of the module does, which is more, ends in.
   * @internal
   */
  runForward(args: Arguments): Result {
    if (!this.hasHooks) return this.forward(...args);
    let given: Arguments = args;
    // A hook may remove itself.
    for (const { hook } of [...this.#preHooks]) given = (hook(this, given) as Arguments | undefined) ?? given;
    let output = this.#hasBackwardHooks ? this.#betweenBackwardHooks(given) : this.forward(...given);
    for (const { hook } of [...this.#forwardHooks]) output = hook(this, given, output) ?? output;
    return output;
  }

  get #hasBackwardHooks(): boolean {
    return this.#backwardPreHooks.length > 0 || this.#backwardHooks.length > 0;
  }
  #betweenBackwardHooks(args: Arguments): Result {
    const hooks = {
      pre: this.#backwardPreHooks.map(
        ({ hook }) =>
          (gradOutput: ModuleGradients) =>
            hook(this, gradOutput),
      ),
      full: this.#backwardHooks.map(
        ({ hook }) =>
          (gradInput: ModuleGradients, gradOutput: ModuleGradients) =>
            hook(this, gradInput, gradOutput),
      ),
    };
    return withBackwardHooks(hooks, args, (given) => this.forward(...(given as Arguments)));
  }

  // ---- the tree -----------------------------------------------------------------------------------------------------

  /** A property for a registered entry, so that replacing it is a plain assignment. */
  #define(name: string): void {
    Object.defineProperty(this, name, descriptorOf(name));
  }

  /**
   * The value of a registered entry.
   * @internal
   */
  static read(module: Module, name: string): unknown {
    const { parameters, buffers, children } = module.#registry;
    const parameter = parameters.get(name);
    if (parameter) return parameter.value;
    const buffer = buffers.get(name);
    return buffer ? buffer.tensor : children.get(name)?.value;
  }

  /**
   * Registers copies of all that is registered in one module in another, which has nothing yet. Returns the names.
   * @internal
   */
  static copyRegistered(from: Module, to: Module, copy: (value: unknown) => unknown): ReadonlySet<PropertyKey> {
    const [source, target] = [from.#registry, to.#registry];
    for (const kind of ['parameters', 'children'] as const)
      for (const [name, { value, after }] of source[kind])
        target[kind].set(name, { value: value && (copy(value) as never), after });
    for (const [name, { tensor, isPersistent }] of source.buffers)
      target.buffers.set(name, { tensor: tensor && (copy(tensor) as Tensor), isPersistent });
    const names = new Set<string>([...source.parameters.keys(), ...source.buffers.keys(), ...source.children.keys()]);
    for (const name of names) to.#define(name);
    return names;
  }

  /**
   * Replaces a registered entry by another of its kind, or null.
   * @internal
   */
  static write(module: Module, name: string, value: unknown): void {
    const { parameters, buffers, children } = module.#registry;
    const parameter = parameters.get(name);
    const buffer = buffers.get(name);
    if (parameter) {
      if (value !== null && !(value instanceof Parameter))
        throw new ArgumentTypeError(
          `cannot assign '${describe(value)}' as parameter '${name}' (Parameter or null expected)`,
        );
      parameter.value = value;
    } else if (buffer) {
      if (value !== null && !(value instanceof Tensor))
        throw new ArgumentTypeError(
          `cannot assign '${describe(value)}' object to buffer '${name}' (Tensor or null required)`,
        );
      if (value) keep(value);
      buffer.tensor = value;
    } else {
      if (value !== null && !(value instanceof Module))
        throw new ArgumentTypeError(
          `cannot assign '${describe(value)}' as child module '${name}' (Module or null expected)`,
        );
      children.get(name)!.value = value;
    }
  }

  /** Names of properties that were assigned, not registered. */
  #plainNames(): string[] {
    return Object.keys(this).filter((name) => !this.#registry.has(name));
  }

  /** Entries of one kind in the order in which they were added: registered ones, and plain properties that hold one. */
  #entries<T>(
    registered: ReadonlyMap<string, Registered<T>>,
    isOne: (value: unknown) => value is T,
  ): Map<string, T | null> {
    const found = new Map<string, T | null>();
    const waiting = registered.entries();
    let next = waiting.next();
    const take = (until: number) => {
      for (; !next.done && next.value[1].after <= until; next = waiting.next())
        found.set(next.value[0], next.value[1].value);
    };
    this.#plainNames().forEach((name, i) => {
      take(i);
      const value = (this as unknown as Slots)[name];
      if (isOne(value)) found.set(name, value);
    });
    take(Infinity);
    return found;
  }

  /**
   * Adds a parameter, or the place of one that is absent (null) (PyTorch: `register_parameter`).
   * @throws KeyError on a name that is empty, has a dot, or is taken.
   */
  registerParameter(name: string, parameter: Parameter | null): void {
    this.#checkName(name, 'parameter');
    this.#registry.parameters.set(name, { value: parameter, after: this.#plainNames().length });
    this.#define(name);
  }

  /**
   * Adds a tensor that is state but not learned; a persistent one (default) is part of the state dict (PyTorch:
   * `register_buffer`).
   * @throws KeyError on a name that is empty, has a dot, or is taken.
   */
  registerBuffer(name: string, tensor: Tensor | null, options: RegisterBufferOptions = {}): void {
    requireOptions('registerBuffer', options, registerBufferOptions);
    const { persistent = true } = options;
    this.#checkName(name, 'buffer');
    if (tensor) keep(tensor);
    this.#registry.buffers.set(name, { tensor, isPersistent: persistent });
    this.#define(name);
  }

  /**
   * Adds a child under a name that need not be a property's (PyTorch: `add_module`).
   * @throws KeyError on a name that is empty, has a dot, or is taken.
   */
  registerModule(name: string, module: Module | null): void {
    this.#checkName(name, 'module');
    this.#registry.children.set(name, { value: module, after: this.#plainNames().length });
    this.#define(name);
  }

  #checkName(name: string, kind: string): void {
    if (name === '') throw new KeyError(`${kind} name can't be empty string ""`);
    if (name.includes('.')) throw new KeyError(`${kind} name can't contain "."`);
    const isTaken = this.#registry.has(name) || (name in this && (this as unknown as Slots)[name] !== undefined);
    if (isTaken) throw new KeyError(`attribute '${name}' already exists`);
  }

  /** Takes a child out of the tree (PyTorch: `del module.name`). */
  unregisterModule(name: string): void {
    if (!this.ownChildren().has(name)) throw new KeyError(name);
    this.#registry.children.delete(name);
    Reflect.deleteProperty(this, name);
  }

  /** Takes a parameter or buffer out, as `registerParametrization` does (PyTorch: `del module.name`). */
  unregisterTensor(name: string): void {
    if (!this.ownParameters().has(name) && !this.#registry.buffers.has(name)) throw new KeyError(name);
    this.#registry.parameters.delete(name);
    this.#registry.buffers.delete(name);
    Reflect.deleteProperty(this, name);
  }

  /** This module's own parameters by name, without its children's; absent ones are null. */
  ownParameters(): ReadonlyMap<string, Parameter | null> {
    return this.#entries(this.#registry.parameters, (value) => value instanceof Parameter);
  }
  /** This module's own buffers by name, without its children's; absent ones are null. */
  ownBuffers(): ReadonlyMap<string, { readonly tensor: Tensor | null; readonly isPersistent: boolean }> {
    return this.#registry.buffers;
  }
  /** This module's children by name; absent ones are null. */
  ownChildren(): ReadonlyMap<string, Module | null> {
    return this.#entries(this.#registry.children, (value) => value instanceof Module);
  }

  /** Direct children with their names, each module once. */
  namedChildren(): [string, Module][] {
    return once(this.allChildren(), new Set());
  }
  /** Direct children under every name they have. */
  allChildren(): [string, Module][] {
    return [...this.ownChildren()].filter((entry): entry is [string, Module] => entry[1] !== null);
  }
  /** Direct children, each once (PyTorch: `children`). */
  children(): Module[] {
    return this.namedChildren().map(([, child]) => child);
  }

  /**
   * This module and all below it with dotted names, each once, a module before those below it (PyTorch:
   * `named_modules`).
   */
  namedModules(prefix = ''): [string, Module][] {
    const found: [string, Module][] = [];
    const seen = new Set<Module>();
    const visit = (path: string, module: Module): void => {
      if (seen.has(module)) return;
      seen.add(module);
      found.push([path, module]);
      for (const [name, child] of module.allChildren()) visit(join(path, name), child);
    };
    visit(prefix, this);
    return found;
  }
  /** This module and all below it, each once (PyTorch: `modules`). */
  modules(): Module[] {
    return this.namedModules().map(([, module]) => module);
  }

  /** All parameters of the tree with dotted names, each once (PyTorch: `named_parameters`). */
  namedParameters(prefix = ''): [string, Parameter][] {
    const all = this.namedModules(prefix).flatMap(([path, module]) =>
      [...module.ownParameters()].map(([name, parameter]) => [join(path, name), parameter] as const),
    );
    return once(all, new Set());
  }
  /**
   * All parameters of the tree, each once: what an optimizer takes (PyTorch: `parameters`).
   * @example
   * const trained = new SGD(model.parameters(), { lr: 0.1 });
   */
  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter);
  }

  /** All buffers of the tree with dotted names, each once (PyTorch: `named_buffers`). */
  namedBuffers(prefix = ''): [string, Tensor][] {
    const all = this.namedModules(prefix).flatMap(([path, module]) =>
      [...module.ownBuffers()].map(([name, { tensor }]) => [join(path, name), tensor] as const),
    );
    return once(all, new Set());
  }
  /** All buffers of the tree, each once (PyTorch: `buffers`). */
  buffers(): Tensor[] {
    return this.namedBuffers().map(([, buffer]) => buffer);
  }

  /**
   * The module below at a dotted name; '' is this one (PyTorch: `get_submodule`).
   * @throws RuntimeError where there is none.
   */
  getSubmodule(name: string): Module {
    return name.split('.').reduce<Module>((module, part) => {
      if (part === '') return module;
      const child = module.ownChildren().get(part);
      if (!child) throw new RuntimeError(`${module.constructor.name} has no attribute \`${part}\``);
      return child;
    }, this);
  }

  /**
   * What outlives the steps in which it was made: tensors in the module's own properties, also in arrays and plain
   * objects.
   * @internal
   */
  *ownedStorages(): Generator<Storage> {
    for (const name of this.#plainNames()) {
      const value = (this as unknown as Slots)[name];
      // Long lists of numbers hold no tensors.
      if (Array.isArray(value) && typeof value[0] !== 'object') continue;
      for (const { storage } of tensorsIn(value)) yield storage;
    }
  }

  // ---- modes --------------------------------------------------------------------------------------------------------

  /** Sets training mode for the whole tree, or evaluation mode with `false` (PyTorch: `train`). Returns the module. */
  train(mode = true): this {
    this.training = mode;
    forgetVerdict(this);
    for (const child of this.children()) child.train(mode);
    return this;
  }
  /**
   * Sets evaluation mode for the whole tree: dropout off, batch norm by its running statistics (PyTorch: `eval`).
   * Returns the module.
   */
  eval(): this {
    return this.train(false);
  }

  /**
   * Lets all parameters of the tree require gradients, or not (PyTorch: `requires_grad_`). Statistics of batch norm
   * move in training mode all the same. Returns the module.
   */
  requiresGrad_(value = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = value;
    return this;
  }

  /** Drops the gradients of all parameters of the tree (PyTorch: `zero_grad`). */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.dropGrad();
  }

  /** Calls `fn` on every module below and on this one, children first (PyTorch: `apply`). Returns the module. */
  apply(fn: (module: Module) => void): this {
    for (const child of this.children()) child.apply(fn);
    fn(this);
    return this;
  }

  /**
   * Moves all parameters and buffers to a device, converts those of floating point to a dtype, or both (PyTorch:
   * `Module.to`); integer buffers keep their dtype. Parameters remain the same objects.
   * @throws NotImplementedError from the meta device to another, having changed nothing: there are no values to move;
   * see `toEmpty`.
   * @example
   * const double = new Linear(6, 2).to('float64');
   * double.to({ device: 'meta', dtype: 'float32' });
   */
  to(target: Device | DType | Placement): this {
    const { device, dtype } = placed(target);
    if (dtype !== undefined && !isFloat(dtype))
      throw new ArgumentTypeError(`nn.Module.to only accepts floating point dtypes, but got desired dtype=${dtype}`);
    const tensors = this.#tensors();
    if (device !== undefined && device !== 'meta' && tensors.some((tensor) => tensor.device === 'meta'))
      throw new NotImplementedError(
        `Cannot copy out of meta tensor; no data! Please use module.toEmpty('${device}') instead of module.to('${device}') when moving a module from the meta device to another.`,
      );
    for (const tensor of tensors)
      convert(tensor, (isFloat(tensor.dtype) && dtype) || tensor.dtype, backendFor(device, tensor.storage.backend));
    return this;
  }

  /**
   * Gives all parameters and buffers memory on a device whose values are arbitrary until written, by `loadStateDict` or
   * by the layers' `resetParameters()` (PyTorch: `Module.to_empty`). Gradients are dropped. Parameters remain the same
   * objects.
   * @example
   * const loaded = withDevice('meta', () => lenetBatchNorm()); // no time for initial values
   * loaded.toEmpty('cpu').loadStateDict(model.stateDict());
   */
  toEmpty(device: Device): this {
    for (const tensor of this.#tensors()) {
      const backend = backendFor(device, tensor.storage.backend);
      if (isUninitialized(tensor)) convert(tensor, tensor.dtype, backend);
      else adopt(tensor, keep(allocate(tensor.shape, tensor.dtype, tensor.memoryFormat, backend)), null);
    }
    return this;
  }

  /** All parameters and buffers, each once. */
  #tensors(): Tensor[] {
    return [...new Set<Tensor>([...this.parameters(), ...this.buffers()])];
  }

  // ---- state --------------------------------------------------------------------------------------------------------

  /**
   * All parameters and persistent buffers by dotted name, in PyTorch's order and keys. The tensors are the module's
   * own, not copies. JSON carries them: `loadStateDict(JSON.parse(JSON.stringify(model.stateDict())))`.
   */
  stateDict(): StateDict {
    return stateDict(this);
  }

  /**
   * Copies a state dict, or one that went through JSON, into the module (PyTorch: `load_state_dict`).
   * @throws RuntimeError listing every missing, unexpected or misshapen entry; with `strict: false` only misshapen
   * ones.
   */
  loadStateDict(state: StateSource, options: LoadOptions = {}): LoadResult {
    requireOptions('loadStateDict', options, loadOptions);
    return loadStateDict(this, state, options);
  }

  /**
   * What `JSON.stringify` makes of a module, which as a function would be left out: its state. `loadStateDict` takes it
   * back.
   */
  toJSON(): ReturnType<StateDict['toJSON']> {
    return this.stateDict().toJSON();
  }

  /**
   * Called for each module before its entries are loaded, with a copy of the state, which it may change: names and
   * values of older versions become the present ones. `prefix` stands before the module's own names; `version` is the
   * `stateVersion` that wrote the state, if known; what is pushed to `errors` is thrown with the others.
   */
  upgradeState(_state: StateDict, _prefix: string, _version: number | undefined, _errors: string[]): void {}

  // ---- hooks --------------------------------------------------------------------------------------------------------

  /**
   * Whether anybody wants to see this module's calls.
   * @internal
   */
  get hasHooks(): boolean {
    return this.#preHooks.length > 0 || this.#forwardHooks.length > 0 || this.#hasBackwardHooks;
  }

  /**
   * Whether others than its caller may get hold of what a forward computes.
   * @internal
   */
  get isObserved(): boolean {
    return this.hasHooks;
  }

  /**
   * Whether the module normalizes, so that its parameters get no weight decay from `paramGroups`. A norm of one's own
   * says so.
   */
  get isNorm(): boolean {
    return false;
  }

  /**
   * Whether the module by itself computes otherwise in training than in evaluation, as dropout does.
   * @internal
   */
  get dependsOnMode(): boolean {
    return false;
  }

  /** Runs `hook` before every forward of a call; returns what removes it. Registered twice, it runs twice. */
  registerForwardPreHook(hook: ForwardPreHook): () => void {
    return addEntry('registerForwardPreHook', this.#preHooks, hook);
  }
  /** Runs `hook` after every forward of a call; returns what removes it. Registered twice, it runs twice. */
  registerForwardHook(hook: ForwardHook): () => void {
    return addEntry('registerForwardHook', this.#forwardHooks, hook);
  }
  /**
   * Runs `hook` in every backward, before that of the module's own operations, with the gradients of its outputs, which
   * it may replace; returns what removes it (PyTorch: `Module.register_full_backward_pre_hook`).
   * @throws RuntimeError, in the backward, where it returns another number of gradients.
   */
  registerFullBackwardPreHook(hook: FullBackwardPreHook): () => void {
    return addEntry('registerFullBackwardPreHook', this.#backwardPreHooks, hook);
  }
  /**
   * Runs `hook` in every backward, when the gradients of the module's arguments are there, which it may replace;
   * returns what removes it (PyTorch: `Module.register_full_backward_hook`). Arguments that are no tensors, or need no
   * gradient, have null. Where no argument needs a gradient, it runs with those of the outputs, and returns nothing.
   * @throws RuntimeError, in the backward, where it returns another number of gradients.
   */
  registerFullBackwardHook(hook: FullBackwardHook): () => void {
    return addEntry('registerFullBackwardHook', this.#backwardHooks, hook);
  }
  /**
   * Runs the hooks of another module here too.
   * @internal
   */
  addHooksOf(other: Module): void {
    this.#preHooks.push(...other.#preHooks);
    this.#forwardHooks.push(...other.#forwardHooks);
    this.#backwardPreHooks.push(...other.#backwardPreHooks);
    this.#backwardHooks.push(...other.#backwardHooks);
  }

  // ---- printing -----------------------------------------------------------------------------------------------------

  /** What stands between the brackets of the printed form; empty by default (PyTorch: `extra_repr`). */
  extraRepr(): string {
    return '';
  }

  /** The tree of modules as PyTorch prints it. */
  override toString(): string {
    const name = this.constructor.name;
    const extra = this.extraRepr();
    const children = this.allChildren();
    if (children.length === 0 && !extra.includes('\n')) return `${name}(${extra})`;
    const parts = children.map(([key, child]) => `(${key}): ${child}`);
    const lines = [...(extra ? [extra] : []), ...parts].map((part) => `  ${part.replaceAll('\n', '\n  ')}`);
    return `${name}(\n${lines.join('\n')}\n)`;
  }

  /**
   * What `console.log` shows in Node: `toString()`.
   * @internal
   */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** The property descriptor of a registered entry. All modules share it, so that V8 gives them the same hidden class. */
const descriptors = new Map<string, PropertyDescriptor>();
function descriptorOf(name: string): PropertyDescriptor {
  let descriptor = descriptors.get(name);
  if (!descriptor) {
    descriptor = {
      enumerable: true,
      configurable: true,
      get(this: Module) {
        return Module.read(this, name);
      },
      set(this: Module, value: unknown) {
        Module.write(this, name, value);
      },
    };
    descriptors.set(name, descriptor);
  }
  return descriptor;
}

function addEntry<H>(caller: string, entries: Entry<H>[], hook: H): () => void {
  if (typeof hook !== 'function') throw new ArgumentTypeError(`[${caller}] expected a function, got ${typeof hook}`);
  const entry = { hook };
  entries.push(entry);
  return () => {
    const at = entries.indexOf(entry);
    if (at >= 0) entries.splice(at, 1);
  };
}

/** The entries that are not null, each value once, under its first name. */
function once<T>(entries: Iterable<readonly [string, T | null]>, seen: Set<T>): [string, T][] {
  const found: [string, T][] = [];
  for (const [name, value] of entries)
    if (value !== null && !seen.has(value)) {
      seen.add(value);
      found.push([name, value]);
    }
  return found;
}

const join = (prefix: string, name: string): string => (prefix ? `${prefix}.${name}` : name);

/** Changes dtype and device of a tensor in place, since others refer to the tensor. */
function convert(tensor: Tensor, dtype: DType, backend: Backend): void {
  if (tensor.dtype === dtype && tensor.storage.backend === backend) return;
  if (isUninitialized(tensor)) {
    Object.assign(tensor, { dtype, storage: keep(allocate([0], dtype, 'contiguous', backend)).storage });
    return;
  }
  const grad = tensor.grad && keep(converted(tensor.grad, dtype, backend));
  adopt(tensor, keep(converted(tensor.detach(), dtype, backend)), grad);
}

/** Gives a tensor the memory of another of the same shape; others may refer to the tensor. */
function adopt(tensor: Tensor, { storage, dtype, history }: Tensor, grad: Tensor | null): void {
  Object.assign(tensor, { storage, dtype, history, grad });
}
