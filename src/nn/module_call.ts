// What calling a module does around its forward: which modules are running, what their steps keep, which forwards let nobody have what they
// compute, and which modules are called without being part of the tree. The module itself is module.ts.
import { enclosed, isEnclosed, unclose } from '../autograd/saved_memory.ts';
import { RuntimeError } from '../errors.ts';
import { noteOwner } from '../tensor/storage.ts';
import { warn } from '../warnings.ts';
import type { Arguments, Module, Result } from './module.ts';

/** Modules that are being called, the innermost last. */
const running: Module[] = [];

/** Runs a module's hooks and forward. */
export function invoke(module: Module, args: Arguments): Result {
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
const copies = new WeakSet<Module>();
export const noteCopy = (module: Module): void => void copies.add(module);

/** What a copy's forward throws where its class has `#private` members, in words. */
function withoutPrivate(module: Module, error: unknown): unknown {
  if (!(error instanceof TypeError) || !/private/.test(error.message)) return error;
  return new RuntimeError(
    `[copyModule] ${module.constructor.name} has #private members, which nobody can give to a copy, and so not to an averaged, folded or explained model, either; declare them private, as TypeScript has it (${error.message})`,
    { cause: error },
  );
}

/** The first call since the module was made, or its mode set: what later ones take for granted is found out. */
function first(module: Module, args: Arguments): Result {
  const verdict = isClosed(module) ? 'closed' : 'open';
  verdicts.set(module, verdict);
  if (verdict === 'closed') return enclosed(() => module.forward(...args));
  return running.length === 1 ? lookingForStrangers(module, args) : module.runForward(args);
}

/**
 * A module's name in warnings: its path in the model that is being called, or its printed form where it is called by itself.
 */
export function nameInCall(module: Module): string {
  const [root] = running;
  const path = root?.namedModules().find(([, each]) => each === module)?.[0];
  return path ? `'${path}'` : String(module).split('\n')[0];
}

/** The model that is being called: the outermost module, or null. */
export const modelInCall = (): Module | null => running[0] ?? null;

// ---- closed forwards --------------------------------------------------------------------------------------------------

/** Whether a call of a module is enclosed, as found at its first call. */
const verdicts = new WeakMap<Module, 'closed' | 'open'>();
/** The forwards of closed classes by their prototypes. */
const closedForwards = new Map<object, Module['forward']>();

/**
 * Declares that the forwards of these classes, not of their subclasses, let only their children and their caller have what they compute. Then a
 * call of a module of them with nothing else below it is `enclosed`: nobody can hold the tensors in between.
 */
export function declareClosed(...classes: { readonly prototype: Module }[]): void {
  for (const { prototype } of classes) closedForwards.set(prototype, prototype.forward);
}

/** Whether that holds for a module by itself: no hooks, no forward of its own. */
const isClosedItself = (module: Module): boolean =>
  closedForwards.get(Object.getPrototypeOf(module)) === module.forward && !module.isObserved;

/** Whether it holds for a module and all below it, of which there is something: a single operation makes little in between. */
function isClosed(module: Module): boolean {
  const all = module.modules();
  return all.length > 1 && all.every(isClosedItself);
}

/** Hooks or children may have been added since the first call of the modules around: then nothing is enclosed any more. */
function requireClosed(module: Module): void {
  if (isClosedItself(module)) return;
  unclose();
  for (const outer of running) verdicts.set(outer, 'open');
}

/** Has a module's next call find out anew what it may take for granted. */
export const forgetVerdict = (module: Module): void => {
  verdicts.delete(module);
};

// ---- modules that are called and not part of the tree --------------------------------------------------------------------

/** Each module that was called, and the one that called it; while somebody wants to know. */
let callers: Map<Module, Module> | null = null;
const warned = new WeakSet<Module>();

/** Runs a model, and warns, once, of modules with parameters, statistics or modes that it calls and does not contain. */
function lookingForStrangers(model: Module, args: Arguments): Result {
  const found = new Map<Module, Module>();
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

const hasState = (module: Module): boolean =>
  module.modules().some((each) => each.dependsOnMode || each.ownParameters().size > 0 || each.ownBuffers().size > 0);

/** Where a module stands that the tree does not see, and what to do about it. */
function holderOf(stranger: Module, tree: ReadonlyMap<Module, string>): string {
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
