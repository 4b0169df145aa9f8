// State dicts: a module's parameters and persistent buffers by dotted name, and loading them with PyTorch's checks and
// messages.

import { setGradEnabled } from '../autograd/grad_mode.ts';
import { shown } from '../checks.ts';
import { ArgumentTypeError, EvenkeelError, RuntimeError } from '../errors.ts';
import { cast } from '../ops/convert.ts';
import { overwrite } from '../ops/in_place.ts';
import { declareOptions, kind } from '../options.ts';
import { inFormat } from '../tensor/copy.ts';
import { isTensorJSON, readTensorJSON } from '../tensor/create.ts';
import { formatShape, sameShape, sizeOf } from '../tensor/shape.ts';
import { keep, requireReadable, Tensor, type TensorJSON, viewAs } from '../tensor/tensor.ts';
import { Parameter } from './parameter.ts';
import { initialize, isUninitialized } from './uninitialized.ts';

/** Versions by module path, as PyTorch's `state_dict._metadata`. */
export type StateMetadata = Map<string, { version: number }>;

/**
 * Tensors by dotted name, in PyTorch's order. `metadata`, where present, says which version of each module wrote them.
 * JSON carries it all but the metadata, and `loadStateDict` takes what `JSON.parse` gives; `structuredClone` and
 * `postMessage` cannot carry tensors, but `toJSON()`.
 */
export class StateDict extends Map<string, Tensor> {
  /** Which version of each module wrote the state; null where that is not known. */
  metadata: StateMetadata | null = null;

  /** A copy whose tensors are the same objects. */
  copy(): StateDict {
    const copied = new StateDict(this);
    copied.metadata = this.metadata;
    return copied;
  }

  /** An object by name of tensors in JSON (`Tensor.toJSON`): a Map would become `{}`. */
  toJSON(): Record<string, TensorJSON> {
    return Object.fromEntries([...this].map(([key, tensor]) => [key, tensor.toJSON()]));
  }
}

/** Options of `Module.loadStateDict`. */
export interface LoadOptions {
  /** Whether missing and unexpected keys are errors. Default: true. */
  strict?: boolean;
  /** Put the given tensors into the module instead of copying their values. Default: false. */
  assign?: boolean;
}
export const loadOptions = declareOptions<LoadOptions>({ strict: kind.flag, assign: kind.flag });

/** What `Module.loadStateDict` did not load. */
export class LoadResult {
  /** Entries of the module that the state does not have. */
  readonly missingKeys: readonly string[];
  /** Entries of the state that the module does not have. */
  readonly unexpectedKeys: readonly string[];
  constructor(missing: readonly string[], unexpected: readonly string[]) {
    this.missingKeys = missing;
    this.unexpectedKeys = unexpected;
  }
  /** The result as PyTorch prints it. */
  toString(): string {
    if (this.missingKeys.length === 0 && this.unexpectedKeys.length === 0) return '<All keys matched successfully>';
    const list = (keys: readonly string[]) => `[${keys.map((key) => `'${key}'`).join(', ')}]`;
    return `_IncompatibleKeys(missing_keys=${list(this.missingKeys)}, unexpected_keys=${list(this.unexpectedKeys)})`;
  }
}

/** What state dicts ask of a module. `Module` is one; it stands in a file above. */
export interface StatefulModule {
  /** See `Module.stateVersion`. */
  readonly stateVersion: number;
  /** See `Module.allChildren`. */
  allChildren(): Iterable<readonly [string, StatefulModule]>;
  /** See `Module.ownParameters`. */
  ownParameters(): Iterable<readonly [string, Parameter | null]>;
  /** See `Module.ownBuffers`. */
  ownBuffers(): Iterable<readonly [string, { readonly tensor: Tensor | null; readonly isPersistent: boolean }]>;
  /** See `Module.upgradeState`. */
  upgradeState(state: StateDict, prefix: string, version: number | undefined, errors: string[]): void;
}

/** Every path at which a module stands: a module under two names has its state under both, as in PyTorch. */
function* paths(module: StatefulModule, prefix: string): Generator<[string, StatefulModule]> {
  yield [prefix, module];
  for (const [name, child] of module.allChildren()) yield* paths(child, prefix ? `${prefix}.${name}` : name);
}

const dotted = (prefix: string, name: string): string => (prefix ? `${prefix}.${name}` : name);

/** A module's own state: parameters, then persistent buffers; absent ones left out. */
function* ownState(module: StatefulModule): Generator<[string, Tensor]> {
  for (const [name, parameter] of module.ownParameters()) if (parameter) yield [name, parameter];
  for (const [name, { tensor, isPersistent }] of module.ownBuffers()) if (tensor && isPersistent) yield [name, tensor];
}

export function stateDict(module: StatefulModule): StateDict {
  const state = new StateDict();
  state.metadata = new Map();
  for (const [path, each] of paths(module, '')) {
    state.metadata.set(path, { version: each.stateVersion });
    for (const [name, tensor] of ownState(each)) state.set(dotted(path, name), tensor);
  }
  return state;
}

/** A function that loads one entry, or a text that says what is wrong with it. */
function planEntry(
  module: StatefulModule,
  key: string,
  name: string,
  target: Tensor,
  given: unknown,
  assign: boolean,
): (() => void) | string {
  const quoted = `"${key}"`;
  if (!(given instanceof Tensor)) {
    return `While copying the parameter named ${quoted}, expected a Tensor from checkpoint but received ${shown(given)}`;
  }
  const isAwaitingShape = isUninitialized(target);
  if (isAwaitingShape && isUninitialized(given)) return () => {};
  // Scalars of old checkpoints have one dimension.
  const source =
    !isAwaitingShape && target.rank === 0 && given.rank === 1 && given.size > 0
      ? viewAs(given.size === 1 ? given : given.narrow(0, 0, 1), [])
      : given;
  if (!isAwaitingShape && !sameShape(source.shape, target.shape))
    return `size mismatch for ${key}: copying a param with shape ${formatShape(source.shape)} from checkpoint, the shape in current model is ${formatShape(target.shape)}.`;
  try {
    source.storage.requireLive();
    if (assign) {
      const value =
        target instanceof Parameter ? new Parameter(source, { requiresGrad: target.requiresGrad }) : keep(source);
      return () => {
        if (isAwaitingShape) initialize(target, given.shape);
        (module as unknown as Record<string, Tensor>)[name] = value;
      };
    }
    if (target.device !== 'meta') requireReadable('loadStateDict', source);
    const convert = () => inFormat(cast(source.detach(), target.dtype), target.memoryFormat);
    if (isAwaitingShape)
      return () => {
        initialize(target, given.shape);
        overwrite(target, convert());
      };
    const values = convert();
    return () => {
      if (sizeOf(target.shape) > 0) overwrite(target, values);
    };
  } catch (error) {
    if (!(error instanceof EvenkeelError)) throw error;
    return `While copying the parameter named ${quoted}, whose dimensions in the model are ${formatShape(isAwaitingShape ? source.shape : target.shape)} and whose dimensions in the checkpoint are ${formatShape(source.shape)}, an exception occurred: ${error.message}`;
  }
}

/** A state dict, or tensors by dotted name without metadata, each of them perhaps as it is in JSON. */
export type StateSource =
  | StateDict
  | ReadonlyMap<string, Tensor | TensorJSON>
  | Readonly<Record<string, Tensor | TensorJSON>>;

/** What loading a state would do, and what is wrong with it. Nothing has been changed yet. */
export interface LoadPlan {
  readonly loads: readonly (() => void)[];
  readonly missing: string[];
  readonly unexpected: string[];
  readonly errors: string[];
  /**
   * The given state, after modules have upgraded it: counters that an old version did not save were added, old names
   * changed.
   */
  readonly state: StateDict;
  /** False if an entry cannot be read: then nothing is loaded. */
  readonly isReadable: boolean;
}

/** Plans what every parameter and buffer of a module gets from a state. */
export function planLoad(module: StatefulModule, given: StateSource, assign = false): LoadPlan {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new ArgumentTypeError(`Expected stateDict to be an object or a Map of tensors, got ${shown(given)}`);
  const entries: ReadonlyMap<string, Tensor> = given instanceof Map ? given : new Map(Object.entries(given));
  // A shallow copy: upgrades may add and remove keys, and the caller's object must not change.
  const state = new StateDict(entries);
  state.metadata = given instanceof StateDict ? given.metadata : null;
  const missing: string[] = [];
  const errors: string[] = [];
  const loads: (() => void)[] = [];
  const known = new Set<string>();
  const unreadable = new Set<string>();
  for (const [key, value] of entries) {
    if (value instanceof Tensor || !isTensorJSON(value)) continue;
    try {
      state.set(key, readTensorJSON('loadStateDict', value));
    } catch (error) {
      if (!(error instanceof EvenkeelError)) throw error;
      unreadable.add(key);
      errors.push(`While reading the parameter named "${key}": ${error.message}`);
    }
  }
  const former = setGradEnabled(false);
  try {
    for (const [path, each] of paths(module, '')) {
      const prefix = path ? `${path}.` : '';
      each.upgradeState(state, prefix, state.metadata?.get(path)?.version, errors);
      for (const [name, tensor] of ownState(each)) {
        const key = prefix + name;
        known.add(key);
        if (!state.has(key)) {
          missing.push(key);
          continue;
        }
        if (unreadable.has(key)) continue;
        const planned = planEntry(each, key, name, tensor, state.get(key), assign);
        if (typeof planned === 'string') errors.push(planned);
        else loads.push(planned);
      }
    }
  } finally {
    setGradEnabled(former);
  }
  const unexpected = [...state.keys()].filter((key) => !known.has(key));
  return { loads, missing, unexpected, errors, state, isReadable: unreadable.size === 0 };
}

/** Everything that is wrong with a load, in PyTorch's words; null where nothing is. */
export function problemsOf(
  module: StatefulModule,
  { missing, unexpected, errors }: LoadPlan,
  strict: boolean,
): string | null {
  const list = (keys: readonly string[]) => keys.map((key) => `"${key}"`).join(', ');
  const all = [...errors];
  if (strict && unexpected.length > 0) all.unshift(`Unexpected key(s) in stateDict: ${list(unexpected)}. `);
  if (strict && missing.length > 0) all.unshift(`Missing key(s) in stateDict: ${list(missing)}. `);
  if (all.length === 0) return null;
  return `Error(s) in loading stateDict for ${module.constructor.name}:\n\t${all.join('\n\t')}`;
}

/** Carries out a plan. */
export function carryOut({ loads }: LoadPlan): void {
  const former = setGradEnabled(false);
  try {
    for (const load of loads) load();
  } finally {
    setGradEnabled(former);
  }
}

/**
 * Copies what fits, and then names all that does not, as PyTorch does.
 * @param isWhole whether a state that does not fit changes nothing instead.
 */
export function loadStateDict(
  module: StatefulModule,
  given: StateSource,
  options: LoadOptions,
  isWhole = false,
): LoadResult {
  const { strict = true, assign = false } = options;
  const plan = planLoad(module, given, assign);
  const problems = problemsOf(module, plan, strict);
  if (problems === null || (!isWhole && plan.isReadable)) carryOut(plan);
  if (problems !== null) throw new RuntimeError(problems);
  return new LoadResult(plan.missing, plan.unexpected);
}
