// Where in a checkpoint the state of a network is: at its root, under one of the names that training scripts use, or in
// a module that was pickled as a whole. Not here: reading the tensors.
import type { StateMetadata } from '../nn/state_dict.ts';
import { PyCall, type PyDict, type PyValue } from './pickle_values.ts';
import { joined, keyText, type PytorchTree } from './pytorch_tree.ts';
import type { StoredTensor } from './stored_tensor.ts';

/** A state dict of a file, its tensors still there. */
export interface StoredState {
  /** Where it stands in the file; '' is its root. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: StateMetadata | null;
  /** Entries that are no tensors: extra states. */
  readonly others: readonly string[];
  /** The class of the module that was pickled in its place; null: it is a dictionary. */
  readonly moduleClass: string | null;
}

/** Names under which scripts put the state that is meant, the likeliest first. */
const usualNames = [
  'state_dict',
  'model_state_dict',
  'model_state',
  'model',
  'net_dict',
  'net',
  'network',
  'weights',
  'params',
  'module',
];
/** Deeper than any script puts a state dict. */
const deepestState = 4;

function metadataOf(tree: PytorchTree, value: PyValue): StateMetadata | null {
  if (!(value instanceof PyCall) || value.state === undefined) return null;
  const given = tree.dictOf(value.state)?.get('_metadata');
  const versions = given === undefined ? null : tree.dictOf(given);
  if (!versions) return null;
  const metadata: StateMetadata = new Map();
  for (const [path, entry] of versions.entries) {
    const version = tree.dictOf(entry)?.get('version');
    // A module without versions has an empty entry, which says as little as none.
    if (typeof path === 'string' && typeof version === 'number') metadata.set(path, { version });
  }
  return metadata;
}

function stateOfDict(tree: PytorchTree, value: PyValue, dict: PyDict, path: string): StoredState | null {
  const tensors = new Map<string, StoredTensor>();
  const others: string[] = [];
  for (const [key, item] of dict.entries) {
    if (typeof key !== 'string') return null;
    const tensor = tree.tensorOf(item, joined(path, key));
    if (tensor) tensors.set(key, tensor);
    else others.push(key);
  }
  return tensors.size > 0 ? { path, tensors, others, metadata: metadataOf(tree, value), moduleClass: null } : null;
}

function stateOfModule(tree: PytorchTree, value: PyCall, path: string): StoredState {
  const tensors = new Map<string, StoredTensor>();
  const others: string[] = [];
  const visit = (each: PyValue, prefix: string, depth: number): void => {
    const module = tree.moduleOf(each);
    if (!module || depth > 200) {
      if (each !== null) others.push(prefix);
      return;
    }
    const add = (key: PyValue, item: PyValue) => {
      if (item === null) return;
      const name = joined(prefix, keyText(key));
      const tensor = tree.tensorOf(item, joined(path, name));
      if (tensor) tensors.set(name, tensor);
      else others.push(name);
    };
    for (const [key, item] of module.parameters.entries) add(key, item);
    for (const [key, item] of module.buffers.entries) if (!module.transient.has(key)) add(key, item);
    for (const [key, item] of module.modules.entries) visit(item, joined(prefix, keyText(key)), depth + 1);
  };
  visit(value, '', 0);
  return { path, tensors, others, metadata: null, moduleClass: value.callee.name };
}

/** An optimizer's state has tensors too, but none of a network. */
const isOptimizer = (dict: PyDict): boolean =>
  dict.get('state') !== undefined && dict.get('param_groups') !== undefined;

/** All state dicts of a file, from the outside in. */
function statesOf(tree: PytorchTree): StoredState[] {
  const found: StoredState[] = [];
  const visit = (value: PyValue, path: string, depth: number): void => {
    if (tree.moduleOf(value)) {
      found.push(stateOfModule(tree, value as PyCall, path));
      return;
    }
    const dict = tree.dictOf(value);
    if (!dict || isOptimizer(dict) || depth > deepestState) return;
    const before = found.length;
    for (const [key, item] of dict.entries) visit(item, joined(path, keyText(key)), depth + 1);
    // What has state dicts inside is a checkpoint, which may have a tensor or two of its own.
    if (found.length > before) return;
    const state = stateOfDict(tree, value, dict, path);
    if (state) found.push(state);
  };
  visit(tree.root, '', 0);
  return found.sort((a, b) => depthOf(a) - depthOf(b));
}
const depthOf = ({ path }: StoredState): number => (path === '' ? 0 : path.split('.').length);

/**
 * The state dict that is meant: at `key`, else the only one, else that of the usual name which is outermost.
 * @throws what `fail` makes, with the choice there is.
 */
export function chooseState(
  tree: PytorchTree,
  key: string | undefined,
): { chosen: StoredState; passedOver: readonly StoredState[] } {
  const states = statesOf(tree);
  const names = states.map(({ path }) => `'${path}'`).join(', ');
  const list = states.length === 0 ? 'it has none' : `it has ${names}`;
  const others = (chosen: StoredState) => ({ chosen, passedOver: states.filter((each) => each !== chosen) });
  if (key !== undefined) {
    const chosen = states.find(({ path }) => path === key);
    if (!chosen) throw tree.fail(`expected a state dict at the key '${key}', but ${list}`);
    return others(chosen);
  }
  if (states.length === 0) throw tree.fail('it holds no state dict: no dictionary of names and tensors');
  if (states.length === 1) return others(states[0]);
  const rank = ({ path }: StoredState) => usualNames.indexOf(path.split('.').at(-1)!) + 1 || Number.POSITIVE_INFINITY;
  const outermost = states.filter((each) => depthOf(each) === depthOf(states[0]));
  const [first] = outermost.toSorted((a, b) => rank(a) - rank(b));
  if (rank(first) === Number.POSITIVE_INFINITY)
    throw tree.fail(`it holds several state dicts, ${names}: say which by the option 'key'`);
  return others(first);
}
