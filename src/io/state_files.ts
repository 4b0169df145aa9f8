// State dicts in files, one line each way.

import { shown } from '../checks.ts';
import { ArgumentTypeError } from '../errors.ts';
import { AtomicFile } from '../files/atomic_file.ts';
import { StateDict, type StateMetadata } from '../nn/state_dict.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { Tensor } from '../tensor/tensor.ts';
import { warn } from '../warnings.ts';
import type { FileSource } from './byte_source.ts';
import { failing } from './errors.ts';
import { npyHeader } from './npy.ts';
import { arrayPieces, writeNpz } from './npz_file.ts';
import { type OpenOptions, openAs, openOptions } from './open.ts';
import type { OwnBytes } from './own_bytes.ts';
import type { PytorchData } from './pytorch_plain.ts';
import { PytorchEncoder, writePytorch } from './pytorch_writer.ts';
import { writeSafetensors } from './safetensors_file.ts';
import { requireSavable, type Savable, type StoredTensor, TensorDescriber } from './stored_tensor.ts';
import type { LoadedState } from './tensor_file.ts';

/** Formats of state dicts that are written. */
export type WrittenFormat = 'pytorch' | 'safetensors' | 'npz';
export const writtenFormats: readonly WrittenFormat[] = ['pytorch', 'safetensors', 'npz'];

const ofEndings: Readonly<Record<string, WrittenFormat>> = {
  pt: 'pytorch',
  pth: 'pytorch',
  bin: 'pytorch',
  ckpt: 'pytorch',
  safetensors: 'safetensors',
  npz: 'npz',
};

/** The format that a file's name says. */
export function formatOfName(operation: string, path: string): WrittenFormat {
  const ending = /\.([a-z]+)$/i.exec(path)?.[1].toLowerCase() ?? '';
  if (Object.hasOwn(ofEndings, ending)) return ofEndings[ending];
  throw new ArgumentTypeError(
    `[${operation}] expected a path that ends in ${Object.keys(ofEndings)
      .map((each) => `.${each}`)
      .join(', ')}, or the option 'format', got ${shown(path)}`,
  );
}

/** Tensors by name: a state dict, or any map or object of tensors. */
export type TensorsByName = ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>;

/** The tensors as a map, each of them checked. */
function entriesOf(
  operation: string,
  state: TensorsByName | ReadonlyMap<string, Savable>,
): { tensors: ReadonlyMap<string, Savable>; metadata: StateMetadata | null } {
  if (typeof state !== 'object' || state === null || Array.isArray(state) || state instanceof Tensor)
    throw new ArgumentTypeError(`[${operation}] expected tensors by name, got ${shown(state)}`);
  const tensors: ReadonlyMap<string, Savable> = state instanceof Map ? state : new Map(Object.entries(state));
  for (const [name, tensor] of tensors) {
    if (typeof name !== 'string')
      throw new ArgumentTypeError(`[${operation}] expected texts as names, got ${shown(name)}`);
    requireSavable(operation, name, tensor);
  }
  return { tensors, metadata: state instanceof StateDict ? state.metadata : null };
}

const describe = (describer: TensorDescriber, tensor: Savable): StoredTensor =>
  tensor instanceof Tensor ? describer.describe(tensor) : tensor;

/** The file of a state dict, piece by piece. */
export function writeState(
  operation: string,
  state: TensorsByName | ReadonlyMap<string, Savable>,
  format: WrittenFormat,
  known?: StateMetadata | null,
): AsyncGenerator<Uint8Array> {
  const { tensors, metadata } = entriesOf(operation, state);
  const versions = known ?? metadata;
  if (format === 'pytorch') {
    const encoder = new PytorchEncoder(operation);
    const root = encoder.state(tensors, versions);
    return writePytorch(operation, root, encoder.storages.values());
  }
  const describer = new TensorDescriber();
  const described = new Map([...tensors].map(([name, tensor]) => [name, describe(describer, tensor)]));
  return format === 'safetensors' ? writeSafetensors(operation, described, versions) : writeNpz(operation, described);
}

/** In bytes. */
const flushedAtOnce = 16 * 1024 ** 2;

/** Writes a file in one step: it stands there whole, or what stood there before does. */
export async function writeFile(
  operation: string,
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  onProgress?: (bytes: number) => void,
): Promise<number> {
  if (typeof path !== 'string' || path === '')
    throw new ArgumentTypeError(`[${operation}] expected a path, got ${shown(path)}`);
  if (!globalThis.process?.getBuiltinModule)
    throw new ArgumentTypeError(
      `[${operation}] there are no files here; encodeStateDict and encodePytorch give bytes for a Blob or a request`,
    );
  const file = new AtomicFile(path);
  let [length, flushed] = [0, 0];
  try {
    for await (const piece of bytes) {
      file.write(piece);
      length += piece.length;
      // The disk works while checksums are computed, not only at the end.
      if (length - flushed >= flushedAtOnce) {
        file.flushBeside();
        flushed = length;
      }
      onProgress?.(length);
    }
    await file.flushed();
  } catch (error) {
    // Nobody closes the file under those who flush.
    await file.flushed().catch(() => {});
    file.abort();
    throw error;
  }
  file.commit();
  return length;
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<OwnBytes> {
  const parts: OwnBytes[] = [];
  let length = 0;
  for await (const piece of bytes) {
    // A copy: what is written next may lie in the same memory.
    parts.push(new Uint8Array(piece));
    length += piece.length;
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Options of `saveStateDict`. */
export interface SaveStateOptions {
  /** Default: what the path's ending says: .pt, .pth, .bin and .ckpt are PyTorch's, .safetensors and .npz their own. */
  format?: WrittenFormat;
}
const saveStateOptions = declareOptions<SaveStateOptions>({ format: kind.choice });

function requireFormat(operation: string, format: WrittenFormat): WrittenFormat {
  if (!writtenFormats.includes(format))
    throw new ArgumentTypeError(
      `[${operation}] expected one of ${writtenFormats.join(', ')} as format, got ${shown(format)}`,
    );
  return format;
}

/**
 * Reads a state dict: of PyTorch, at the root of the file or inside a training checkpoint; of safetensors, one file or
 * an index of several; of npz. The format is found by the file's content.
 *
 * Tensors of types that this library has none of become those of a wider type, without rounding: halves and floats of 8
 * bits float32, small integers int32. A warning says so, and `casts` lists them; `notes` says what else was not read.
 * PyTorch: `torch.load(path, weights_only=True)`.
 * @throws FileReadError where the file cannot be opened; FileFormatError where it is damaged, unsafe, or holds no state
 * dict.
 * @example
 * await saveStateDict('build/lenet.pt', model.stateDict());
 * model.loadStateDict(await loadStateDict('build/lenet.pt'));
 */
export async function loadStateDict(source: FileSource, options: OpenOptions = {}): Promise<LoadedState> {
  requireOptions('loadStateDict', options, openOptions);
  const state = await readState('loadStateDict', source, options);
  for (const sentence of losses(state)) warn(`[loadStateDict] ${state.source}: ${sentence}`);
  return state;
}

export async function readState(operation: string, source: FileSource, options: OpenOptions): Promise<LoadedState> {
  const file = await openAs(operation, source, options, null);
  try {
    return await file.load();
  } finally {
    await file.close();
  }
}

/** What a state dict is not any more, one sentence each. */
export function losses({ casts, notes }: LoadedState): string[] {
  const kinds = new Map<string, number>();
  for (const { from, to } of casts) kinds.set(`${from} became ${to}`, (kinds.get(`${from} became ${to}`) ?? 0) + 1);
  return [
    ...[...kinds].map(([text, count]) => `${count} tensor${count === 1 ? '' : 's'} of ${text}, without rounding`),
    ...notes,
  ];
}

/**
 * Writes a state dict, or any tensors by name, as a file of PyTorch, safetensors or npz, in one step: the file stands
 * there whole, or what stood there before.
 *
 * PyTorch's files keep the order of the keys, the versions of modules and which tensors share memory, and load with
 * `weights_only=True`; safetensors keep the versions in a text of their own, npz has no place for them. PyTorch:
 * `torch.save(model.state_dict(), path)`.
 * @throws ArgumentTypeError on what are no tensors; AtomicWriteError where the file cannot be written.
 */
export async function saveStateDict(path: string, state: TensorsByName, options: SaveStateOptions = {}): Promise<void> {
  requireOptions('saveStateDict', options, saveStateOptions);
  const format =
    options.format === undefined ? formatOfName('saveStateDict', path) : requireFormat('saveStateDict', options.format);
  await writeFile('saveStateDict', path, writeState('saveStateDict', state, format));
}

/** The bytes that `saveStateDict` writes, for places without files: a Blob to download, a request. */
export async function encodeStateDict(state: TensorsByName, format: WrittenFormat): Promise<OwnBytes> {
  return collect(writeState('encodeStateDict', state, requireFormat('encodeStateDict', format)));
}

function writeData(operation: string, data: PytorchData): AsyncGenerator<Uint8Array> {
  const encoder = new PytorchEncoder(operation);
  const root = encoder.encode(data);
  return writePytorch(operation, root, encoder.storages.values());
}

/**
 * Writes plain data with tensors in it as `torch.save` would: numbers, texts, lists, objects, maps, sets, state dicts.
 * It loads with `weights_only=True`.
 *
 * Whole numbers become Python's int, others float. An object's keys that are whole numbers become int, as an
 * optimizer's state needs them; a Map's keys stay what they are.
 * @throws ArgumentTypeError naming the place of a value that is no plain data; AtomicWriteError where the file cannot
 * be written.
 * @example
 * await savePytorch('build/run.pt', { epoch: 3, model: model.stateDict(), optimizer: optimizer.stateDict() });
 */
export async function savePytorch(path: string, data: PytorchData): Promise<void> {
  await writeFile('savePytorch', path, writeData('savePytorch', data));
}

/** The bytes that `savePytorch` writes. */
export async function encodePytorch(data: PytorchData): Promise<OwnBytes> {
  return collect(writeData('encodePytorch', data));
}

/** Writes a tensor as an array of NumPy's (.npy). */
export async function saveNpy(path: string, tensor: Tensor): Promise<void> {
  requireSavable('saveNpy', 'the tensor', tensor);
  const stored = describe(new TensorDescriber(), tensor);
  await writeFile('saveNpy', path, arrayPieces('saveNpy', npyHeader(stored, '', failing('saveNpy', path)), stored));
}
