// Module: the tree of parameters, buffers and children, with modes, hooks and printing. State dicts are in state_dict.ts.
// As in PyTorch, a subclass assigns parameters and modules to properties in its constructor, and defines forward.
import { enclosed, isEnclosed } from '../autograd/saved_memory.ts';
import { ArgumentTypeError, KeyError, RuntimeError } from '../errors.ts';
import { cast } from '../ops/launch.ts';
import { type DType, isFloat } from '../tensor/dtype.ts';
import { keep, Tensor } from '../tensor/tensor.ts';
import { Parameter } from './parameter.ts';
import {
  type LoadOptions,
  type LoadResult,
  loadStateDict,
  type StateDict,
  type StateSource,
  stateDict,
} from './state_dict.ts';
import { isUninitialized } from './uninitialized.ts';

// What a forward takes and gives is each module's own business; a container checks nothing at compile time.
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Arguments = any[];
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Result = any;

/** Called before forward with its arguments; what it returns replaces them. */
// biome-ignore lint/suspicious/noConfusingVoidType: a hook may also just look
export type ForwardPreHook = (module: Module, args: Arguments) => Arguments | void;
/** Called after forward; what it returns, unless undefined, replaces the output. */
export type ForwardHook = (module: Module, args: Arguments, output: Result) => Result;

interface Buffer {
  tensor: Tensor | null;
  isPersistent: boolean;
}

const registries = new WeakMap<
  Module,
  { parameters: Map<string, Parameter | null>; buffers: Map<string, Buffer>; children: Map<string, Module | null> }
>();

function registryOf(module: Module) {
  const found = registries.get(module);
  if (!found)
    throw new RuntimeError('cannot assign parameters or modules before Module.__init__() call: call super() first');
  return found;
}

/** A property that reads and writes one entry of a registry, so that replacing a parameter or child is a plain assignment. */
function defineEntry(module: Module, name: string): void {
  Object.defineProperty(module, name, {
    enumerable: true,
    configurable: true,
    get: () => read(module, name),
    set: (value: unknown) => write(module, name, value),
  });
}

function read(module: Module, name: string): unknown {
  const { parameters, buffers, children } = registryOf(module);
  if (parameters.has(name)) return parameters.get(name);
  if (buffers.has(name)) return buffers.get(name)!.tensor;
  return children.get(name);
}

function write(module: Module, name: string, value: unknown): void {
  const { parameters, buffers, children } = registryOf(module);
  if (parameters.has(name)) {
    if (value !== null && !(value instanceof Parameter))
      throw new ArgumentTypeError(
        `cannot assign '${describe(value)}' as parameter '${name}' (Parameter or null expected)`,
      );
    parameters.set(name, value as Parameter | null);
  } else if (buffers.has(name)) {
    if (value !== null && !(value instanceof Tensor))
      throw new ArgumentTypeError(
        `cannot assign '${describe(value)}' object to buffer '${name}' (Tensor or null required)`,
      );
    if (value) keep(value as Tensor);
    buffers.get(name)!.tensor = value as Tensor | null;
  } else {
    if (value !== null && !(value instanceof Module))
      throw new ArgumentTypeError(
        `cannot assign '${describe(value)}' as child module '${name}' (Module or null expected)`,
      );
    children.set(name, value as Module | null);
  }
}

const describe = (value: unknown): string =>
  typeof value === 'object' && value ? value.constructor.name : typeof value;

/**
 * Base of all layers and models (PyTorch: `nn.Module`).
 * @example
 * class Net extends Module {
 *   conv = new Conv2d(1, 6, 5);
 *   bn = new BatchNorm2d(6);
 *   forward(x: Tensor) { return this.bn.call(this.conv.call(x)).relu(); }
 * }
 */
export abstract class Module {
  /** Whether the module is in training mode; `train()` and `eval()` set it for the whole tree. */
  training = true;
  /** Version of the module's state, stored in the metadata of state dicts. */
  get stateVersion(): number {
    return 1;
  }
  private readonly preHooks: Set<ForwardPreHook>;
  private readonly forwardHooks: Set<ForwardHook>;

  constructor() {
    registries.set(this, { parameters: new Map(), buffers: new Map(), children: new Map() });
    this.preHooks = new Set();
    this.forwardHooks = new Set();
    // Bookkeeping is no part of what a module shows when printed.
    for (const name of ['preHooks', 'forwardHooks']) Object.defineProperty(this, name, { enumerable: false });
    // Assignments of parameters and modules must be seen, as Python's __setattr__ sees them.
    const watched = new Proxy(this, {
      // Class fields are defined, not set.
      defineProperty: (target, name, descriptor) => {
        if (typeof name === 'string' && 'value' in descriptor && adopt(target, name, descriptor.value)) return true;
        return Reflect.defineProperty(target, name, descriptor);
      },
    });
    registries.set(watched, registryOf(this));
    // biome-ignore lint/correctness/noConstructorReturn: the watched object is the module
    return watched;
  }

  /** What the module computes. Call the module through `call`, which runs the hooks, not through this. */
  abstract forward(...args: Arguments): Result;

  /** Runs forward with its hooks (PyTorch: calling the module). */
  call(...args: Parameters<this['forward']>): ReturnType<this['forward']> {
    // A single operation makes little in between.
    if (registryOf(this).children.size > 0 && !isEnclosed() && isClosed(this))
      return enclosed(() => this.forward(...args));
    if (!this.hasHooks) return this.forward(...args);
    let given: Arguments = args;
    for (const hook of this.preHooks) given = (hook(this, given) as Arguments | undefined) ?? given;
    let output = this.forward(...given);
    for (const hook of this.forwardHooks) output = hook(this, given, output) ?? output;
    return output;
  }

  // ---- the tree -----------------------------------------------------------------------------------------------------

  /** Adds a parameter, or the place of one that is absent (null). */
  registerParameter(name: string, parameter: Parameter | null): void {
    checkName(this, name, 'parameter');
    registryOf(this).parameters.set(name, parameter);
    defineEntry(this, name);
  }

  /** Adds a tensor that is state but not learned; a persistent one (default) is part of the state dict. */
  registerBuffer(name: string, tensor: Tensor | null, { persistent = true }: { persistent?: boolean } = {}): void {
    checkName(this, name, 'buffer');
    if (tensor) keep(tensor);
    registryOf(this).buffers.set(name, { tensor, isPersistent: persistent });
    defineEntry(this, name);
  }

  /** Adds a child under a name that need not be a property's (PyTorch: `add_module`). */
  registerModule(name: string, module: Module | null): void {
    checkName(this, name, 'module');
    registryOf(this).children.set(name, module);
    defineEntry(this, name);
  }

  /** Takes a child out of the tree (PyTorch: `del module.name`). */
  unregisterModule(name: string): void {
    if (!registryOf(this).children.delete(name)) throw new KeyError(name);
    delete (this as unknown as Record<string, unknown>)[name];
  }

  /** Takes a parameter or buffer out, as `registerParametrization` does (PyTorch: `del module.name`). */
  unregisterTensor(name: string): void {
    const { parameters, buffers } = registryOf(this);
    if (!parameters.delete(name) && !buffers.delete(name)) throw new KeyError(name);
    delete (this as unknown as Record<string, unknown>)[name];
  }

  /** This module's own entries, without its children's; absent ones are null. */
  ownParameters(): ReadonlyMap<string, Parameter | null> {
    return registryOf(this).parameters;
  }
  ownBuffers(): ReadonlyMap<string, { readonly tensor: Tensor | null; readonly isPersistent: boolean }> {
    return registryOf(this).buffers;
  }
  ownChildren(): ReadonlyMap<string, Module | null> {
    return registryOf(this).children;
  }

  /** Direct children with their names, each module once. */
  *namedChildren(): Generator<[string, Module]> {
    const seen = new Set<Module>();
    for (const [name, child] of registryOf(this).children)
      if (child && !seen.has(child)) {
        seen.add(child);
        yield [name, child];
      }
  }
  /** Direct children under every name they have. */
  *allChildren(): Generator<[string, Module]> {
    for (const [name, child] of registryOf(this).children) if (child) yield [name, child];
  }
  *children(): Generator<Module> {
    for (const [, child] of this.namedChildren()) yield child;
  }

  /** This module and all below it with dotted names, each once. */
  *namedModules(prefix = '', seen = new Set<Module>()): Generator<[string, Module]> {
    if (seen.has(this)) return;
    seen.add(this);
    yield [prefix, this];
    for (const [name, child] of registryOf(this).children)
      if (child) yield* child.namedModules(join(prefix, name), seen);
  }
  *modules(): Generator<Module> {
    for (const [, module] of this.namedModules()) yield module;
  }

  /** All parameters with dotted names, each once. */
  *namedParameters(prefix = ''): Generator<[string, Parameter]> {
    const seen = new Set<Parameter>();
    for (const [path, module] of this.namedModules(prefix))
      for (const [name, parameter] of registryOf(module).parameters)
        if (parameter && !seen.has(parameter)) {
          seen.add(parameter);
          yield [join(path, name), parameter];
        }
  }
  *parameters(): Generator<Parameter> {
    for (const [, parameter] of this.namedParameters()) yield parameter;
  }

  /** All buffers with dotted names, each once. */
  *namedBuffers(prefix = ''): Generator<[string, Tensor]> {
    const seen = new Set<Tensor>();
    for (const [path, module] of this.namedModules(prefix))
      for (const [name, { tensor }] of registryOf(module).buffers)
        if (tensor && !seen.has(tensor)) {
          seen.add(tensor);
          yield [join(path, name), tensor];
        }
  }
  *buffers(): Generator<Tensor> {
    for (const [, buffer] of this.namedBuffers()) yield buffer;
  }

  /** The module below at a dotted name; '' is this one. */
  getSubmodule(name: string): Module {
    return name.split('.').reduce<Module>((module, part) => {
      if (part === '') return module;
      const child = registryOf(module).children.get(part);
      if (!child) throw new RuntimeError(`${module.constructor.name} has no attribute \`${part}\``);
      return child;
    }, this);
  }

  // ---- modes --------------------------------------------------------------------------------------------------------

  /** Training mode for the whole tree, or evaluation mode with `false`. */
  train(mode = true): this {
    this.training = mode;
    for (const child of this.children()) child.train(mode);
    return this;
  }
  /** Evaluation mode for the whole tree: dropout off, batch norm by its running statistics. */
  eval(): this {
    return this.train(false);
  }

  /** Lets all parameters of the tree require gradients, or not. Statistics of batch norm move in training mode all the same. */
  requiresGrad_(value = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = value;
    return this;
  }

  /** Drops the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.dropGrad();
  }

  /** Calls `fn` on every module below and on this one, children first. */
  apply(fn: (module: Module) => void): this {
    for (const child of this.children()) child.apply(fn);
    fn(this);
    return this;
  }

  /** Converts all floating-point parameters and buffers to a dtype; integer buffers stay. Parameters remain the same objects. */
  to(dtype: DType): this {
    if (!isFloat(dtype))
      throw new ArgumentTypeError(`nn.Module.to only accepts floating point dtypes, but got desired dtype=${dtype}`);
    for (const module of this.modules()) {
      for (const parameter of registryOf(module).parameters.values()) if (parameter) convert(parameter, dtype);
      for (const { tensor } of registryOf(module).buffers.values())
        if (tensor && isFloat(tensor.dtype)) convert(tensor, dtype);
    }
    return this;
  }

  // ---- state --------------------------------------------------------------------------------------------------------

  /**
   * All parameters and persistent buffers by dotted name, in PyTorch's order and keys. The tensors are the module's own, not copies. JSON carries
   * them: `loadStateDict(JSON.parse(JSON.stringify(model.stateDict())))`.
   */
  stateDict(): StateDict {
    return stateDict(this);
  }

  /**
   * Copies a state dict, or one that went through JSON, into the module (PyTorch: `load_state_dict`).
   * @throws RuntimeError listing every missing, unexpected or misshapen entry; with `strict: false` only misshapen ones.
   */
  loadStateDict(state: StateSource, options: LoadOptions = {}): LoadResult {
    return loadStateDict(this, state, options);
  }

  /** Called for each module before its entries are loaded; may change `state`, which is a copy. See state_dict.ts. */
  upgradeState(_state: StateDict, _prefix: string, _version: number | undefined, _errors: string[]): void {}

  // ---- hooks --------------------------------------------------------------------------------------------------------

  /** Whether anybody wants to see this module's calls. */
  get hasHooks(): boolean {
    return this.preHooks.size > 0 || this.forwardHooks.size > 0;
  }

  /** Whether others than its caller may get hold of what a forward computes. */
  get isObserved(): boolean {
    return this.hasHooks;
  }

  /** Runs `hook` before every forward through `call`; returns what removes it. */
  registerForwardPreHook(hook: ForwardPreHook): () => void {
    this.preHooks.add(hook);
    return () => this.preHooks.delete(hook);
  }
  /** Runs `hook` after every forward through `call`; returns what removes it. */
  registerForwardHook(hook: ForwardHook): () => void {
    this.forwardHooks.add(hook);
    return () => this.forwardHooks.delete(hook);
  }
  /** Runs the hooks of another module here too. */
  addHooksOf({ preHooks, forwardHooks }: Module): void {
    for (const hook of preHooks) this.preHooks.add(hook);
    for (const hook of forwardHooks) this.forwardHooks.add(hook);
  }

  // ---- printing -----------------------------------------------------------------------------------------------------

  /** What stands between the brackets of the printed form; empty by default (PyTorch: `extra_repr`). */
  extraRepr(): string {
    return '';
  }

  toString(): string {
    const name = this.constructor.name;
    const extra = this.extraRepr();
    const children = [...registryOf(this).children].filter((entry): entry is [string, Module] => entry[1] !== null);
    if (children.length === 0) return `${name}(${extra})`;
    const lines = children.map(([key, child]) => `  (${key}): ${child.toString().replaceAll('\n', '\n  ')}`);
    return `${name}(\n${[...(extra ? [`  ${extra}`] : []), ...lines].join('\n')}\n)`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** As it is here, whatever a tool that records calls may put in its place. */
const ownCall = Module.prototype.call;
/** The forwards of closed classes by their prototypes. */
const closedForwards = new Map<object, Module['forward']>();

/**
 * Declares that the forwards of these classes, not of their subclasses, let only their children and their caller have what they compute. Then a
 * call of a module of them with nothing else below it is `enclosed`: nobody can hold the tensors in between.
 */
export function declareClosed(...classes: { readonly prototype: Module }[]): void {
  for (const { prototype } of classes) closedForwards.set(prototype, prototype.forward);
}

/** Whether that holds for a module as it is: no hooks below, no methods of its own, no children of a user's class. */
function isClosed(module: Module): boolean {
  const forward = closedForwards.get(Object.getPrototypeOf(module));
  if (forward !== module.forward || module.call !== ownCall || module.isObserved) return false;
  for (const child of registryOf(module).children.values()) if (child && !isClosed(child)) return false;
  return true;
}

/** Takes a value that is being set as a property into the registries, if it belongs there. */
function adopt(module: Module, name: string, value: unknown): boolean {
  const registry = registries.get(module);
  if (!registry) return false;
  if (value instanceof Parameter) registry.parameters.set(name, value);
  else if (value instanceof Module) registry.children.set(name, value);
  else return false;
  defineEntry(module, name);
  return true;
}

function checkName(module: Module, name: string, kind: string): void {
  const { parameters, buffers, children } = registryOf(module);
  if (name === '') throw new KeyError(`${kind} name can't be empty string ""`);
  if (name.includes('.')) throw new KeyError(`${kind} name can't contain "."`);
  const isTaken =
    parameters.has(name) ||
    buffers.has(name) ||
    children.has(name) ||
    (name in module && (module as unknown as Record<string, unknown>)[name] !== undefined);
  if (isTaken) throw new KeyError(`attribute '${name}' already exists`);
}

const join = (prefix: string, name: string): string => (prefix ? `${prefix}.${name}` : name);

/** Changes the dtype of a tensor that others refer to. */
function convert(tensor: Tensor, dtype: DType): void {
  if (tensor.dtype === dtype) return;
  if (isUninitialized(tensor)) {
    Object.assign(tensor, { dtype });
    return;
  }
  const converted = keep(cast(tensor.detach(), dtype));
  Object.assign(tensor, {
    storage: converted.storage,
    dtype,
    history: converted.history,
    grad: tensor.grad ? keep(cast(tensor.grad, dtype)) : null,
  });
}
