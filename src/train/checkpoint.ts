// Checkpoints of a training run: everything that the next step depends on, in one file. checkpoint_file.ts writes the
// file, its checksum, and keeps the previous one.
import type { Module } from '../nn/module.ts';
import { loadStateDict, StateDict } from '../nn/state_dict.ts';
import type { Optimizer } from '../optim/optimizer.ts';
import type { GuardedOptimizer } from '../optim/staged_statistics.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';
import { fromTypedArray } from '../tensor/create.ts';
import { defaultGenerator, type Generator } from '../tensor/random/index.ts';
import { Tensor } from '../tensor/tensor.ts';
import { CheckpointError, lastGood, saveTree } from './checkpoint_file.ts';
import type { Tree } from './checkpoint_tree.ts';

/** What has state besides model and optimizer: schedulers. */
export interface Stateful {
  /** The state. */
  stateDict(): unknown;
  /** Takes a state over. */
  loadStateDict(state: never): void;
}

/** Any optimizer, whatever its options. */
export type AnyOptimizer = Pick<Optimizer, 'step' | 'zeroGrad' | 'stateDict' | 'loadStateDict'> & GuardedOptimizer;

/** What a checkpoint is of. */
export interface CheckpointParts {
  /** The model. */
  readonly model: Module;
  /** The optimizer, if there is one. */
  readonly optimizer?: AnyOptimizer;
  /** The schedule, if there is one. */
  readonly scheduler?: Stateful;
  /** What random numbers come from. Default: the default generator. */
  readonly generator?: Generator;
}
const checkpointParts = declareOptions<CheckpointParts>({
  model: required(kind.module),
  optimizer: kind.object,
  scheduler: kind.object,
  generator: kind.generator,
});

/** Tensors to array leaves, maps to objects; everything else as it is. */
function toTree(value: unknown): Tree {
  if (value instanceof Tensor) return { dtype: value.dtype, shape: [...value.shape], data: value.dataSync() };
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), toTree(item)]));
  if (Array.isArray(value)) return value.map(toTree);
  if (ArrayBuffer.isView(value)) return value as unknown as Tree;
  if (value && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return Object.fromEntries(entries.map(([key, item]) => [key, toTree(item)]));
  }
  return value as Tree;
}

interface Leaf {
  dtype: Tensor['dtype'];
  shape: number[];
  data: Float32Array;
}
const isLeaf = (value: object): value is Leaf => 'dtype' in value && 'data' in value && ArrayBuffer.isView(value.data);

/** A model's state, with the versions of its modules. */
export function modelTree(model: Module): { model: Tree; versions: Tree } {
  const state = model.stateDict();
  return {
    model: toTree(state),
    versions: Object.fromEntries([...(state.metadata ?? [])].map(([name, { version }]) => [name, version])),
  };
}

/** The state in a model's tree; null where versions are none. */
export function stateOfTree({ model, versions = {} }: { model: Tree; versions?: Tree }): StateDict | null {
  const state = new StateDict(Object.entries(fromTree(model) as Record<string, Tensor>));
  const entries = Object.entries((versions ?? {}) as Record<string, unknown>);
  if (!entries.every(([, version]) => Number.isInteger(version))) return null;
  state.metadata = new Map(entries.map(([name, version]) => [name, { version: version as number }]));
  return state;
}

/** Array leaves back to tensors. */
function fromTree(value: Tree): unknown {
  if (Array.isArray(value)) return value.map(fromTree);
  if (value && typeof value === 'object') {
    if (isLeaf(value)) return fromTypedArray(value.data, value.shape, { dtype: value.dtype });
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromTree(item as Tree)]));
  }
  return value;
}

const bytesOf = (bytes: Uint8Array): Tree => ({ dtype: 'uint8', shape: [bytes.length], data: bytes });

/**
 * Writes a checkpoint atomically; the one it replaces is kept as `<path>.previous`. `extra` is anything plain
 * (position, history).
 * @throws AtomicWriteError where the file cannot be written; the old one is then untouched.
 */
export function saveCheckpoint(path: string, parts: CheckpointParts, extra: Tree = null): void {
  requireOptions('saveCheckpoint', parts, checkpointParts);
  const { model, optimizer, scheduler, generator = defaultGenerator } = parts;
  saveTree(path, {
    ...modelTree(model),
    optimizer: optimizer ? toTree(optimizer.stateDict()) : null,
    scheduler: scheduler ? toTree(scheduler.stateDict()) : null,
    generator: bytesOf(generator.getState()),
    extra,
  });
}

/**
 * Restores model, optimizer, scheduler and generator from the checkpoint, or from its predecessor where the newest one
 * is damaged: all of them, or none.
 * @param acceptExtra throws where it cannot use what was saved besides, before anything is restored.
 * @throws CheckpointError naming file and reason where neither can be read; RuntimeError where it does not fit the
 * model.
 */
export function loadCheckpoint(
  path: string,
  parts: CheckpointParts,
  acceptExtra: (extra: Tree, path: string) => void = () => {},
): { extra: Tree; path: string; problem?: CheckpointError } {
  requireOptions('loadCheckpoint', parts, checkpointParts);
  const found = lastGood(path);
  const { model, optimizer, scheduler, generator = defaultGenerator } = parts;
  const tree = found.tree as Record<string, Tree>;
  const wrong = (what: string) => new CheckpointError('loadCheckpoint', found.path, `it holds no ${what}`);
  if (!tree || typeof tree !== 'object' || !tree.model) throw wrong('model state');
  const state = stateOfTree(tree as { model: Tree });
  if (!state) throw wrong('versions of modules');
  if (optimizer && !tree.optimizer) throw wrong('optimizer state');
  if (scheduler && !tree.scheduler) throw wrong('scheduler state');
  const bytes = generatorStateOf(tree.generator);
  if (!bytes) throw wrong('generator state');
  acceptExtra(tree.extra, found.path);
  // Each part loads its whole state or nothing. If a later part refuses, the earlier ones get their old state back. The
  // model comes last: keeping its old state would take the most memory.
  const undo: (() => void)[] = [];
  try {
    if (optimizer) {
      const before = optimizer.stateDict();
      optimizer.loadStateDict(fromTree(tree.optimizer) as ReturnType<AnyOptimizer['stateDict']>);
      undo.push(() => optimizer.loadStateDict(before));
    }
    if (scheduler) {
      const before = scheduler.stateDict();
      scheduler.loadStateDict(fromTree(tree.scheduler) as never);
      undo.push(() => scheduler.loadStateDict(before as never));
    }
    const before = generator.getState();
    generator.setState(bytes);
    undo.push(() => generator.setState(before));
    loadStateDict(model, state, {}, true);
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
  return { extra: tree.extra, path: found.path, problem: found.problem };
}

/** The bytes of a generator's state in a tree; null where it holds something else. */
export function generatorStateOf(value: unknown): Uint8Array | null {
  if (!value || typeof value !== 'object' || !isLeaf(value) || value.dtype !== 'uint8') return null;
  return value.data as unknown as Uint8Array;
}
