// Weights of a file into a model, with a report of what became of every name. Wrappers' prefixes are found and taken
// off; what else has another name is renamed by the user's table.
import { shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { ArgumentTypeError, RuntimeError } from '../errors.ts';
import type { Module } from '../nn/module.ts';
import { carryOut, planLoad, problemsOf, StateDict } from '../nn/state_dict.ts';
import { reshape } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { sameShape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { FileSource } from './byte_source.ts';
import { type LoadedEntry, LoadReport, suggestNames } from './load_report.ts';
import { type NamesElsewhere, namesElsewhere, translate } from './names_elsewhere.ts';
import type { OpenOptions } from './open.ts';
import { readState } from './state_files.ts';
import type { StoredDType } from './stored_dtype.ts';
import { LoadedState } from './tensor_file.ts';

/**
 * New names by those in the file, whole or, where they end in a dot, their beginnings; null leaves a tensor out. Or a
 * function of them.
 */
export type Rename = Readonly<Record<string, string | null>> | ((name: string) => string | null);

/** Options of `loadWeights`. */
export interface LoadWeightsOptions extends OpenOptions {
  /** Whether every name must stand on both sides; else nothing is loaded. Default: true. */
  strict?: boolean;
  /**
   * Names in the model by those in the file: `{ 'fc.': 'classifier.', 'old.weight': 'new.weight', 'head.': null }`, or
   * a function.
   */
  rename?: Rename;
  /**
   * Beginnings of names in the model that stay as they are, whatever the file has: `['fc.']` for a head of another
   * size.
   */
  fresh?: readonly string[];
  /** Whether the report is printed. Default: true. */
  print?: boolean;
}
export const loadWeightsOptions = declareOptions<LoadWeightsOptions>({
  strict: kind.flag,
  rename: kind.own,
  fresh: kind.own,
  print: kind.flag,
  key: kind.string,
  parts: kind.function,
});

/** A file and a model that do not fit. Nothing was loaded; `report` says what became of every name. */
export class WeightsMismatchError extends RuntimeError {
  override name = 'WeightsMismatchError';
  /** What became of every name. */
  readonly report: LoadReport;
  constructor(message: string, report: LoadReport) {
    super(message);
    this.report = report;
  }
}
keepNames({ WeightsMismatchError });

/** Applies a user's table or function. */
function renamer(op: string, rename: Rename | undefined): (name: string) => string | null {
  if (rename === undefined) return (name) => name;
  if (typeof rename === 'function')
    return (name) => {
      const renamed: unknown = rename(name);
      if (renamed !== null && typeof renamed !== 'string')
        throw new ArgumentTypeError(
          `[${op}] expected rename to give a name or null for '${name}', got ${shown(renamed)}`,
        );
      return renamed;
    };
  if (typeof rename !== 'object' || rename === null || Array.isArray(rename))
    throw new ArgumentTypeError(`[${op}] expected a table or a function as rename, got ${shown(rename)}`);
  const table = new Map(Object.entries(rename));
  for (const [name, to] of table)
    if (to !== null && typeof to !== 'string')
      throw new ArgumentTypeError(`[${op}] expected a name or null for '${name}' in rename, got ${shown(to)}`);
  // The longest beginning counts.
  const prefixes = [...table.keys()].filter((name) => name.endsWith('.')).sort((a, b) => b.length - a.length);
  return (name) => {
    if (table.has(name)) return table.get(name)!;
    const prefix = prefixes.find((each) => name.startsWith(each));
    if (prefix === undefined) return name;
    const to = table.get(prefix)!;
    return to === null ? null : to + name.slice(prefix.length);
  };
}

interface Entry {
  readonly from: string;
  readonly tensor: Tensor;
}

/** A change of all names of a file. */
interface Renaming {
  readonly text: string;
  readonly apply: (name: string) => string;
}

const strip = (prefix: string): Renaming => ({
  text: `the beginning '${prefix}' of the file's names was taken off`,
  apply: (name) => (name.startsWith(prefix) ? name.slice(prefix.length) : name),
});
const stripEverywhere = (part: string): Renaming => ({
  text: `'${part}' was taken out of the file's names`,
  apply: (name) => name.replaceAll(part, ''),
});
const prepend = (prefix: string): Renaming => ({
  text: `'${prefix}' was put in front of the file's names`,
  apply: (name) => prefix + name,
});

/** Beginnings of names up to their first, second and third dot. */
function beginnings(names: Iterable<string>): Set<string> {
  const found = new Set<string>();
  for (const name of names) {
    let at = -1;
    for (let depth = 0; depth < 3; depth++) {
      at = name.indexOf('.', at + 1);
      if (at < 0) break;
      found.add(name.slice(0, at + 1));
    }
    if (found.size > mostBeginnings) break;
  }
  return found;
}
/** Enough for any wrapper, which stands in front of all names. */
const mostBeginnings = 64;

interface Named {
  readonly name: string;
  readonly shape: readonly number[];
}
type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

const countMatches = (names: readonly Named[], own: Shapes, isAlike = sameShape): number => {
  const hits = new Set<string>();
  for (const { name, shape } of names) {
    const target = own.get(name);
    if (target && isAlike(target.shape, shape)) hits.add(name);
  }
  return hits.size;
};

/** What is found of how the names of a file differ from those of a model. */
interface Found {
  readonly renamings: readonly Renaming[];
  /** How many tensors then find a parameter or buffer of their shape. */
  readonly matches: number;
  /** The library whose names they were; null: the model's own. */
  readonly elsewhere: NamesElsewhere | null;
}

/**
 * Changes of names that wrappers make (`DataParallel`, `torch.compile`, Lightning, a backbone in a larger model), one
 * after the other, as long as more tensors of the file find a parameter or buffer of their shape.
 */
function findWrappers(names: readonly Named[], own: Shapes, isAlike = sameShape): Found {
  const found: Renaming[] = [];
  let current = names;
  let best = countMatches(current, own, isAlike);
  for (let round = 0; round < 4 && best < own.size; round++) {
    const candidates: Renaming[] = [
      ...['_orig_mod.', 'module.'].map(stripEverywhere),
      ...[...beginnings(current.map(({ name }) => name))].map(strip),
      ...[...beginnings(own.keys())].map(prepend),
    ];
    let chosen: Renaming | null = null;
    for (const candidate of candidates) {
      const changed = current.map(({ name, shape }) => ({ name: candidate.apply(name), shape }));
      const count = countMatches(changed, own, isAlike);
      if (count > best) [best, chosen] = [count, candidate];
    }
    // A few tensors of one shape may find places by accident: a wrapper explains most of them.
    if (chosen === null || 2 * best < Math.min(own.size, names.length)) break;
    found.push(chosen);
    const { apply } = chosen;
    current = current.map(({ name, shape }) => ({ name: apply(name), shape }));
  }
  return { renamings: found, matches: best, elsewhere: null };
}

/**
 * Whether a convolution over all of its input is the linear layer that the other shape is of: the same elements in the
 * same order.
 */
const isReshaped = (a: readonly number[], b: readonly number[]): boolean =>
  sameShape(a, b) || (a[0] === b[0] && Math.min(a.length, b.length) === 2 && sizeOf(a) === sizeOf(b));

/**
 * Wrappers' changes of names, and, where more tensors then find their place, the names of another library's model of
 * the same architecture.
 */
function findRenamings(names: readonly Named[], model: Module, own: Shapes): Found {
  let found = findWrappers(names, own);
  if (found.matches === own.size) return found;
  for (const elsewhere of namesElsewhere(model)) {
    const there = new Map(elsewhere.paths(model));
    const here = new Map([...there].map(([ours, theirs]) => [theirs, ours]));
    const theirs = new Map([...own].map(([name, tensor]) => [translate(name, there), tensor]));
    const { renamings, matches } = findWrappers(names, theirs, isReshaped);
    if (matches <= found.matches || 2 * matches < own.size) continue;
    const renaming = {
      text: `the file's names are those of ${elsewhere.library}, and were replaced by this model's`,
      apply: (name: string) => translate(name, here),
    };
    found = { renamings: [...renamings, renaming], matches, elsewhere };
  }
  return found;
}

/** A file of weights, or tensors by name, such as the state dict of another model. */
export type WeightsSource = FileSource | ReadonlyMap<string, Tensor>;

/** Whether a source is tensors by name already, rather than a file. */
const isState = (source: unknown): source is ReadonlyMap<string, Tensor> => source instanceof Map;

/**
 * Loads weights of a file, or a state dict, into a model, and reports what became of every name: loaded, renamed, cast,
 * missing, unexpected, counters inserted. What does not fit is an error that holds the report, and then nothing is
 * loaded.
 *
 * Prefixes of wrappers (`module.`, `_orig_mod.`, `model.`, `backbone.`) are taken off, or put in front, where more
 * tensors then find their places; the state dict inside a training checkpoint is found; models of `evenkeel/models`
 * know timm's names. Other names take a table: `report.suggestedRename` is a first draft of it.
 *
 * @throws WeightsMismatchError; FileReadError and FileFormatError as `loadStateDict` of this module.
 * @example
 * await saveStateDict('build/lenet.pt', model.stateDict());
 * const report = await loadWeights(model, 'build/lenet.pt', { print: false });
 * report.loaded.length; // 30
 */
export async function loadWeights(
  model: Module,
  source: WeightsSource,
  options: LoadWeightsOptions = {},
): Promise<LoadReport> {
  requireOptions('loadWeights', options, loadWeightsOptions);
  return loadWeightsAs('loadWeights', model, source, options);
}

/** `loadWeights` for another function, which its user called. */
export async function loadWeightsAs(
  op: string,
  model: Module,
  source: WeightsSource,
  options: LoadWeightsOptions,
): Promise<LoadReport> {
  const { fresh = [], key, parts } = options;
  if (!Array.isArray(fresh) || !fresh.every((prefix) => typeof prefix === 'string' && prefix !== ''))
    throw new ArgumentTypeError(`[${op}] expected an array of beginnings of names as fresh, got ${shown(fresh)}`);
  const state = isState(source) ? source : await readState(op, source, { key, parts });
  try {
    return loadState(op, model, state, options);
  } finally {
    // The model has copies: a second set of weights must not wait for the garbage collector.
    if (state !== source) for (const tensor of state.values()) tensor.storage.release();
  }
}

function loadState(
  op: string,
  model: Module,
  state: ReadonlyMap<string, Tensor>,
  { strict = true, rename, fresh = [], print = true }: LoadWeightsOptions,
): LoadReport {
  const own = model.stateDict();
  const isFresh = (name: string) => fresh.some((prefix) => name.startsWith(prefix));

  const skipped: string[] = [];
  const entries = new Map<string, Entry>();
  const put = (name: string, entry: Entry) => {
    const other = entries.get(name);
    if (other) throw new ArgumentTypeError(`[${op}] '${other.from}' and '${entry.from}' would both become '${name}'`);
    entries.set(name, entry);
  };
  const renamed = renamer(op, rename);
  const kept: { name: string; entry: Entry }[] = [];
  for (const [from, tensor] of state) {
    const name = renamed(from);
    if (name === null) skipped.push(from);
    else kept.push({ name, entry: { from, tensor } });
  }
  const { renamings, elsewhere } = findRenamings(
    kept.map(({ name, entry }) => ({ name, shape: entry.tensor.shape })),
    model,
    own,
  );
  const notes = [
    ...(state instanceof LoadedState ? state.notes : []),
    ...[elsewhere?.difference?.(model)].filter((text) => typeof text === 'string'),
    ...([...own.values()].some(({ device }) => device === 'meta')
      ? ['the model is on the meta device, which has no values: nothing is in it now']
      : []),
  ];
  for (const { name, entry } of kept) {
    const final = renamings.reduce((text, { apply }) => apply(text), name);
    const { from, tensor } = entry;
    const target = own.get(final);
    const reshapes = elsewhere && target && isReshaped(target.shape, tensor.shape);
    if (isFresh(final)) skipped.push(from);
    else put(final, { from, tensor: reshapes ? reshape(tensor, target.shape) : tensor });
  }

  const given = new StateDict([...entries].map(([name, { tensor }]) => [name, tensor]));
  given.metadata = metadataFor(state, renamed, renamings);
  const plan = planLoad(model, given);
  const untouched = plan.missing.filter(isFresh);
  plan.missing.splice(0, plan.missing.length, ...plan.missing.filter((name) => !isFresh(name)));

  const storedType = new Map(
    state instanceof LoadedState ? state.casts.map(({ name, from }) => [name, from] as const) : [],
  );
  const shapeOf = (name: string) => ({ name, shape: (own.get(name) ?? entries.get(name)!.tensor).shape });
  const missing = plan.missing.map(shapeOf);
  const unexpected = plan.unexpected.map((name) => ({ name, shape: entries.get(name)!.tensor.shape }));
  // A name that stands on both sides with two shapes means two things.
  const fits = (name: string) => {
    const [target, entry] = [own.get(name), entries.get(name)];
    return target !== undefined && entry !== undefined && sameShape(target.shape, entry.tensor.shape);
  };
  const mismatched = [...entries].flatMap(([name, { from, tensor }]) => {
    const target = own.get(name);
    return target && !fits(name) ? [{ name, from, shape: target.shape, given: tensor.shape }] : [];
  });
  const suggestions = suggestNames(
    [...own.keys()]
      .filter((name) => !fits(name) && !isFresh(name))
      .map((name) => ({ name, shape: own.get(name)!.shape })),
    [...entries]
      .filter(([name]) => !fits(name) && plan.state.has(name))
      .map(([name, { tensor }]) => ({ name, shape: tensor.shape })),
  );
  const bySuggestion = new Map([...suggestions].map(([name, other]) => [other, name]));
  // Models rename older names themselves: the tensor says what it was called.
  const nameOf = new Map([...entries.values()].map(({ from, tensor }) => [tensor, from]));
  const loaded: LoadedEntry[] = [];
  const inserted: string[] = [];
  for (const [name, target] of own) {
    const tensor = plan.state.get(name);
    if (!tensor || !sameShape(tensor.shape, target.shape)) continue;
    const from = entries.get(name)?.from ?? nameOf.get(tensor);
    if (from === undefined) inserted.push(name);
    else {
      const stored: StoredDType = storedType.get(from) ?? tensor.dtype;
      loaded.push({ name, from, shape: target.shape, stored, dtype: target.dtype });
    }
  }
  const report = new LoadReport({
    source: state instanceof LoadedState ? state.source : 'the given tensors',
    model: model.constructor.name,
    path: state instanceof LoadedState ? state.path : '',
    loaded,
    missing: missing.map((each) => ({ ...each, suggestion: suggestions.get(each.name) ?? null })),
    unexpected: unexpected.map((each) => ({ ...each, suggestion: bySuggestion.get(each.name) ?? null })),
    mismatched,
    skipped,
    fresh: untouched,
    inserted,
    renamings: renamings.map(({ text }) => text),
    notes,
    suggestedRename: Object.fromEntries([...suggestions].map(([name, other]) => [entries.get(other)!.from, name])),
    errors: plan.errors,
  });
  const problems = problemsOf(model, plan, strict);
  if (problems !== null) throw new WeightsMismatchError(`${problems}${adviceFor(plan.errors)}\n\n${report}`, report);
  carryOut(plan);
  if (print) console.log(String(report));
  return report;
}

/** What to do about layers of another size, which a new head has on purpose. */
function adviceFor(errors: readonly string[]): string {
  const layers = errors.flatMap((text) => /^size mismatch for (.*\.)[^.]+: /.exec(text)?.[1] ?? []);
  if (layers.length === 0) return '';
  const names = [...new Set(layers)].map((name) => `'${name}'`).join(', ');
  return `\n\tLayers that shall stay as they are: { fresh: [${names}] }`;
}

/** Versions of modules under their new names. */
function metadataFor(
  state: ReadonlyMap<string, Tensor>,
  renamed: (name: string) => string | null,
  renamings: readonly Renaming[],
): StateDict['metadata'] {
  const metadata = state instanceof StateDict ? state.metadata : null;
  if (!metadata) return null;
  // A path is renamed as the beginning of a name; the root has none.
  return new Map(
    [...metadata].flatMap(([path, version]) => {
      if (path === '') return [[path, version] as const];
      const name = renamed(`${path}.`);
      const final = name === null ? null : renamings.reduce((text, { apply }) => apply(text), name);
      return final === null ? [] : [[final.replace(/\.$/, ''), version] as const];
    }),
  );
}
