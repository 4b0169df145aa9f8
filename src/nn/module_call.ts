// What a call of a module does around its forward. It knows which modules are running, tells the scope that their
// tensors live on, encloses forwards whose intermediate results nobody can hold, and warns of modules that are called
// but are not part of the tree.
import { enclosed, isEnclosed, unclose } from '../autograd/saved_memory.ts';
import { keepNames } from '../class_names.ts';
import { RuntimeError } from '../errors.ts';
import { noteOwner, type Owner } from '../tensor/storage.ts';
import { warn } from '../warnings.ts';

/** The arguments of a forward, which are each module's own business. */
// biome-ignore lint/suspicious/noExplicitAny: a container checks nothing at compile time
export type Arguments = any[];
/** What a forward gives, which is each module's own business. */
// biome-ignore lint/suspicious/noExplicitAny: see Arguments
export type Result = any;

/** What a call asks of a module. `Module` is one; it stands in a file above. */
export interface CalledModule extends Owner {
  /** See `Module.forward`. */
  forward(...args: Arguments): Result;
  /** See `Module.runForward`. */
  runForward(args: Arguments): Result;
  /** See `Module.isObserved`. */
  readonly isObserved: boolean;
  /** See `Module.dependsOnMode`. */
  readonly dependsOnMode: boolean;
  /** See `Module.modules`. */
  modules(): CalledModule[];
  /** See `Module.namedModules`. */
  namedModules(): [string, CalledModule][];
  /** See `Module.ownParameters`. */
  ownParameters(): { readonly size: number };
  /** See `Module.ownBuffers`. */
  ownBuffers(): { readonly size: number };
}

/** Modules that are being called, the innermost last. */
const running: CalledModule[] = [];

/** Runs a module's hooks and forward. */
export function invoke(module: CalledModule, args: Arguments): Result {
  noteOwner(module);
  const caller = running.at(-1);
  if (callers && caller && !callers.has(module)) callers.set(module, caller);
  running.push(module);
  try {
    if (isEnclosed()) {
      requireClosed(module);
      return module.runForward(args);
    }
    const verdict = verdicts.get(module);
    if (verdict === undefined) return first(module, args);
    return verdict === 'closed' && isClosedItself(module)
      ? enclosed(() => module.forward(...args))
      : module.runForward(args);
  } catch (error) {
    throw copies.has(module) ? withoutPrivate(module, error) : error;
  } finally {
    running.pop();
  }
}

/** Modules that were copied, not constructed. */
const copies = new WeakSet<CalledModule>();
export const noteCopy = (module: CalledModule): void => void copies.add(module);

/** Explains the error of a copy whose class has `#private` members. */
function withoutPrivate(module: CalledModule, error: unknown): unknown {
  if (!(error instanceof TypeError) || !/private/.test(error.message)) return error;
  return new RuntimeError(
    `[copyModule] ${module.constructor.name} has #private members, which nobody can give to a copy, and so not to an averaged, folded or explained model, either; declare them private, as TypeScript has it (${error.message})`,
    { cause: error },
  );
}

/** The first call since the module was made, or since its mode was set. It finds out whether calls can be enclosed. */
function first(module: CalledModule, args: Arguments): Result {
  const verdict = isClosed(module) ? 'closed' : 'open';
  verdicts.set(module, verdict);
  if (verdict === 'closed') return enclosed(() => module.forward(...args));
  return running.length === 1 ? lookingForStrangers(module, args) : module.runForward(args);
}

/**
 * A module's name in warnings: its path in the model that is being called, or its printed form where it is called by
 * itself.
 */
export function nameInCall(module: CalledModule): string {
  const path = pathInCall(module);
  return path ? `'${path}'` : String(module).split('\n')[0];
}

/** The paths of the modules of models that are called, for layers that name themselves in each forward. */
const paths = new WeakMap<CalledModule, ReadonlyMap<CalledModule, string>>();

/** A module's path in the model that is being called; empty where it is called by itself. */
export function pathInCall(module: CalledModule): string {
  const [root] = running;
  if (!root) return '';
  let known = paths.get(root);
  if (!known?.has(module)) {
    known = new Map(root.namedModules().map(([path, each]) => [each, path]));
    paths.set(root, known);
  }
  return known.get(module) ?? '';
}

/** The model that is being called: the outermost module, or null. */
export const modelInCall = (): CalledModule | null => running[0] ?? null;

// ---- closed forwards --------------------------------------------------------------------------------------------------

/** Whether calls of a module are enclosed, as its first call has found. */
const verdicts = new WeakMap<CalledModule, 'closed' | 'open'>();
/** The forwards of declared classes by their prototypes. */
const closedForwards = new WeakMap<object, CalledModule['forward']>();

/**
 * Declares modules of the library, by the names that printing and errors show. Each class of the library is declared so
 * (test/nn/declared.test.ts).
 *
 * It says of their forwards, not of those of subclasses: only their children and their caller get what they compute. So
 * nobody can hold the tensors in between where the whole tree of a module is declared, and its calls are `enclosed`.
 */
export function declareModules(
  classes: Readonly<Record<string, abstract new (...args: never[]) => CalledModule>>,
): void {
  keepNames(classes);
  for (const { prototype } of Object.values(classes)) closedForwards.set(prototype, prototype.forward);
}

/** Declares a prototype like another one that it inherits from, and whose forward it has. */
export function declareAlike(prototype: object, from: object): void {
  const forward = closedForwards.get(from);
  if (forward) closedForwards.set(prototype, forward);
}

/** Whether the forward of an object with this prototype is one that was declared. */
export const isDeclared = (prototype: object, forward = (prototype as CalledModule).forward): boolean =>
  closedForwards.get(prototype) === forward;

/** Whether that holds for a module by itself: no hooks, no forward of its own. */
const isClosedItself = (module: CalledModule): boolean =>
  isDeclared(Object.getPrototypeOf(module), module.forward) && !module.isObserved;

/**
 * Whether it holds for a module and all below it. A module without children makes too little in between to be worth it.
 */
function isClosed(module: CalledModule): boolean {
  const all = module.modules();
  return all.length > 1 && all.every(isClosedItself);
}

/**
 * Looks whether the module may be part of an enclosed forward. Hooks or children may have been added since the first
 * call.
 */
function requireClosed(module: CalledModule): void {
  if (isClosedItself(module)) return;
  unclose();
  for (const outer of running) verdicts.set(outer, 'open');
}

/** Lets the next call of a module find out again whether it can be enclosed, and what is where in it. */
export const forgetVerdict = (module: CalledModule): void => {
  verdicts.delete(module);
  paths.delete(module);
};

// ---- modules that are called and not part of the tree --------------------------------------------------------------------

/** While strangers are looked for: each module that was called, and the module that called it. */
let callers: Map<CalledModule, CalledModule> | null = null;
const warned = new WeakSet<CalledModule>();

/**
 * Runs a model, and warns, once, of modules with parameters, statistics or modes that it calls and does not contain.
 */
function lookingForStrangers(model: CalledModule, args: Arguments): Result {
  const found = new Map<CalledModule, CalledModule>();
  callers = found;
  try {
    return model.runForward(args);
  } finally {
    callers = null;
    const tree = new Map(model.namedModules().map(([path, module]) => [module, path]));
    for (const [stranger, caller] of found)
      if (!tree.has(stranger) && tree.has(caller) && !warned.has(stranger) && hasState(stranger)) {
        warned.add(stranger);
        warn(
          `[${model.constructor.name}] ${String(stranger).split('\n')[0]} is called and is no part of the model${holderOf(stranger, tree)}: parameters() and stateDict() do not list it, train(), eval() and to() do not reach it.`,
        );
      }
  }
}

const hasState = (module: CalledModule): boolean =>
  module.modules().some((each) => each.dependsOnMode || each.ownParameters().size > 0 || each.ownBuffers().size > 0);

/** Where the model holds a module that is not part of its tree, and what to do about it. */
function holderOf(stranger: CalledModule, tree: ReadonlyMap<CalledModule, string>): string {
  for (const [module, path] of tree)
    for (const [name, value] of Object.entries(module)) {
      const isIn =
        (Array.isArray(value) && value.includes(stranger)) ||
        (value instanceof Set && value.has(stranger)) ||
        (value instanceof Map && [...value.values()].includes(stranger)) ||
        (typeof value === 'object' && value !== null && Object.values(value).includes(stranger));
      const property = path ? `${path}.${name}` : name;
      if (isIn) return `, since '${property}' is no module itself; make it a ModuleList or ModuleDict`;
    }
  return ', since no property holds it; a #private or accessor field does not count, make it a plain property';
}
