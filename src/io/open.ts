// Opening files of tensors, whatever their format: it is found by their content, never by their name.

import { requireChoice } from '../checks.ts';
import { ArgumentTypeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { keep, type Tensor } from '../tensor/tensor.ts';
import { type ByteSource, type FileSource, isUrl, openSource } from './byte_source.ts';
import { type Fail, failing } from './errors.ts';
import { isNpyStart, readNpy } from './npy.ts';
import { isNpz, readNpz } from './npz_file.ts';
import { isLegacyStart, isPytorchZip, readPytorchLegacy, readPytorchZip, refuseOthers } from './pytorch_file.ts';
import { type PytorchData, toPlain } from './pytorch_plain.ts';
import { chooseState } from './pytorch_state.ts';
import type { PytorchTree } from './pytorch_tree.ts';
import { parseIndex, readParts, readSafetensors } from './safetensors_file.ts';
import type { StoredTensor } from './stored_tensor.ts';
import { type FileContents, type FileFormat, prefetchMost, SharedLoader, TensorFile } from './tensor_file.ts';
import { ZipReader } from './zip_reader.ts';

/** Options of everything that opens a file of tensors. */
export interface OpenOptions {
  /**
   * Of a training checkpoint: where the state dict stands, such as `'ema.state_dict'`. Default: found by its content
   * and the usual names.
   */
  key?: string;
  /**
   * Of an index of several files: gives each of them. Default: they lie beside the index, whose path or URL was given.
   */
  parts?: (name: string) => FileSource | Promise<FileSource>;
}
export const openOptions = declareOptions<OpenOptions>({ key: kind.string, parts: kind.function });

/** What a file is found to be, before anything is made of it. */
export interface Found {
  readonly sources: readonly ByteSource[];
  readonly fail: Fail;
  /** The data of a PyTorch file, of which a state dict is chosen; else what the file holds. */
  readonly tree: PytorchTree | null;
  readonly format: FileFormat;
  readonly contents: FileContents | null;
}

const isZip = (head: Uint8Array): boolean => head[0] === 0x50 && head[1] === 0x4b;

/** Opens a file and reads what describes its tensors. Whoever calls closes the sources. */
export async function find(operation: string, given: FileSource, options: OpenOptions): Promise<Found> {
  const source = await openSource(operation, given);
  const fail = failing(operation, source.name);
  try {
    const head = await source.read(0, Math.min(source.size, 512));
    const found = (format: FileFormat, contents: FileContents): Found => ({
      sources: [source],
      fail,
      tree: null,
      format,
      contents,
    });
    if (isZip(head)) {
      const zip = await ZipReader.open(source, fail);
      if (isPytorchZip(zip)) {
        const tree = await readPytorchZip(source, zip, fail);
        return { sources: [source], fail, tree, format: 'pytorch', contents: null };
      }
      if (isNpz(zip)) return found('npz', await readNpz(zip, fail));
      throw fail('it is a zip archive, but neither of PyTorch nor of NumPy');
    }
    if (isLegacyStart(head)) {
      const tree = await readPytorchLegacy(source, fail);
      return { sources: [source], fail, tree, format: 'pytorch-legacy', contents: null };
    }
    if (isNpyStart(head)) return found('npy', { format: 'npy', tensors: new Map([['', await readNpy(source, fail)]]) });
    // A header of safetensors begins with its length, whose upper bytes are 0, and a brace.
    if (head[8] === 0x7b && head[6] === 0 && head[7] === 0)
      return found('safetensors', await readSafetensors(source, fail));
    if (head[0] === 0x7b) {
      const text = new TextDecoder().decode(await source.read(0, source.size));
      const open = async (part: string) => openSource(operation, await partSource(operation, given, part, options));
      const { sources, contents } = await readParts(parseIndex(text, fail), open, operation, fail);
      return { sources: [source, ...sources], fail, tree: null, format: 'safetensors-index', contents };
    }
    refuseOthers(head, fail);
    if (head[0] === 0x80 && head[1] <= 5)
      throw fail(
        "it is a pickle, but not one of torch.save; load it in Python and save it again: torch.save(data, 'new.pt')",
        0,
      );
    throw fail(
      source.size === 0
        ? 'it is empty'
        : 'it is no file of PyTorch, safetensors or NumPy: its first bytes are of none of them',
      0,
    );
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

async function partSource(
  operation: string,
  index: FileSource,
  part: string,
  { parts }: OpenOptions,
): Promise<FileSource> {
  if (parts) return parts(part);
  if (typeof index !== 'string' && !(index instanceof URL))
    throw new ArgumentTypeError(
      `[${operation}] expected the option 'parts', which gives '${part}' and the other files of the index`,
    );
  const text = String(index);
  if (isUrl(text)) return new URL(encodeURIComponent(part), text).href;
  return text.replace(/[^/\\]*$/, '') + part;
}

/** What a state dict's file has, as the contents of an open file. */
function contentsOf({ tree, contents, format }: Found, key: string | undefined): FileContents {
  if (!tree) return contents!;
  const { chosen, passedOver } = chooseState(tree, key);
  const { path, tensors, metadata, others, moduleClass } = chosen;
  const names = (list: readonly string[]) => list.map((each) => `'${each}'`).join(', ');
  const notes: string[] = [];
  if (moduleClass !== null)
    notes.push(
      `it is a module of the class ${moduleClass} that was pickled as a whole: its parameters and buffers were read, its code was not`,
    );
  if (others.length > 0) notes.push(`${names(others)} are no tensors and were not read`);
  if (passedOver.length > 0)
    notes.push(`the state at '${path}' was read; there are others at ${names(passedOver.map((each) => each.path))}`);
  return { format, tensors, metadata, path, notes };
}

/**
 * A file of PyTorch, open for reading. Beside the tensors of its state dict it has `data()`, all that was saved.
 */
export class PytorchFile extends TensorFile {
  private readonly tree: PytorchTree;
  private readonly error: Fail;
  private readonly files: readonly ByteSource[];

  constructor(found: Found, contents: FileContents) {
    super(found.sources, contents, found.fail);
    this.tree = found.tree!;
    this.error = found.fail;
    this.files = found.sources;
  }

  /** See `loadPytorch`. */
  async data(options: PytorchDataOptions = {}): Promise<PytorchData> {
    requireOptions('data', options, pytorchDataOptions);
    return dataOf(this.tree, this.files, this.error, options, 'data');
  }
}

/** Options of `data()` of a PyTorch file. */
export interface PytorchDataOptions {
  /**
   * What becomes of objects whose classes are no plain data, such as a script's own settings: `'refuse'` is an error,
   * `'keep'` makes an `UnknownObject` of each, that is its class's name and its parts. Nothing of them is ever run.
   * Default: `'refuse'`.
   */
  unknownObjects?: 'refuse' | 'keep';
}
const pytorchDataOptions = declareOptions<PytorchDataOptions>({ unknownObjects: kind.choice });

async function dataOf(
  tree: PytorchTree,
  sources: readonly ByteSource[],
  fail: Fail,
  { unknownObjects = 'refuse' }: PytorchDataOptions,
  operation: string,
): Promise<PytorchData> {
  requireChoice(operation, 'unknownObjects', unknownObjects, ['refuse', 'keep']);
  const stored = new Map<StoredTensor, string>();
  tree.walk((value, path) => {
    const tensor = tree.tensorOf(value, path);
    if (tensor) stored.set(tensor, path);
    return tensor === null;
  });
  // What cannot be plain data is refused before anything is read.
  const placeholder = {} as Tensor;
  toPlain(tree, () => placeholder, unknownObjects === 'keep');
  await prefetchMost(sources, [...stored.keys()]);
  const loader = new SharedLoader(tree.fileSize, fail);
  const loaded = new Map<StoredTensor, Tensor>();
  for (const [tensor, path] of stored) {
    const value = await loader.load(tensor, path);
    // Those which are views of one memory stay so; whether it needs a gradient is each one's own.
    if (tensor.requiresGrad) value.requiresGrad = true;
    loaded.set(tensor, value);
  }
  return toPlain(tree, (tensor) => loaded.get(tensor)!, unknownObjects === 'keep');
}

/**
 * Opens a file of tensors for reading one by one: a state dict of PyTorch (.pt, .pth, .bin), safetensors or an index of
 * several, npz, npy. Its format is found by its content. `close()` gives the file back; so does `await using`.
 *
 * @throws FileReadError where it cannot be opened; FileFormatError where it is damaged, unsafe or none of these.
 */
export async function openTensors(source: FileSource, options: OpenOptions = {}): Promise<TensorFile> {
  requireOptions('openTensors', options, openOptions);
  return openAs('openTensors', source, options, null);
}

/** `openTensors` for files of PyTorch alone, with all that was saved at hand as `data()`. */
export async function openPytorch(source: FileSource, options: OpenOptions = {}): Promise<PytorchFile> {
  requireOptions('openPytorch', options, openOptions);
  return (await openAs('openPytorch', source, options, ['pytorch', 'pytorch-legacy'])) as PytorchFile;
}

/**
 * `openTensors` for safetensors files, and indices of several of them, alone. Its `texts` are what the format calls
 * metadata.
 */
export async function openSafetensors(source: FileSource, options: OpenOptions = {}): Promise<TensorFile> {
  requireOptions('openSafetensors', options, openOptions);
  return openAs('openSafetensors', source, options, ['safetensors', 'safetensors-index']);
}

/** `openTensors` for NumPy's archives alone. */
export async function openNpz(source: FileSource, options: OpenOptions = {}): Promise<TensorFile> {
  requireOptions('openNpz', options, openOptions);
  return openAs('openNpz', source, options, ['npz']);
}

/** Closes the sources where what is done with them fails. */
async function orClose<T>({ sources }: Found, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    for (const source of sources) await source.close?.();
    throw error;
  }
}

export async function openAs(
  operation: string,
  source: FileSource,
  options: OpenOptions,
  formats: readonly FileFormat[] | null,
): Promise<TensorFile> {
  const found = await find(operation, source, options);
  return orClose(found, () => {
    if (formats && !formats.includes(found.format))
      throw found.fail(`it is a file of the format ${found.format}, expected ${formats.join(' or ')}`);
    return openFound(found, options.key);
  });
}

/** What was found as an open file, with the state dict at the key or the one that is meant. */
export function openFound(found: Found, key: string | undefined): TensorFile {
  const contents = contentsOf(found, key);
  return found.tree ? new PytorchFile(found, contents) : new TensorFile(found.sources, contents, found.fail);
}

/**
 * All that `torch.save` wrote: numbers, texts, lists, dictionaries, tensors. The state of a module is a `StateDict`,
 * other dictionaries are plain objects, or a Map where their keys would change as properties; tuples are arrays; what
 * stood in several places stands there once.
 *
 * Nothing that the file names is ever called: objects of classes that are no plain data are refused, or kept as
 * descriptions. PyTorch's `weights_only` has the same rule; besides it, NumPy's scalars and arrays are understood here.
 * @throws FileReadError, FileFormatError.
 */
export async function loadPytorch(source: FileSource, options: PytorchDataOptions = {}): Promise<PytorchData> {
  requireOptions('loadPytorch', options, pytorchDataOptions);
  const found = await find('loadPytorch', source, {});
  try {
    if (!found.tree) throw found.fail(`it is a file of the format ${found.format}, expected one of PyTorch`);
    return await dataOf(found.tree, found.sources, found.fail, options, 'loadPytorch');
  } finally {
    for (const each of found.sources) await each.close?.();
  }
}

/**
 * An array of NumPy's, as `numpy.save` writes it (.npy).
 * @throws FileReadError, FileFormatError.
 */
export async function loadNpy(source: FileSource): Promise<Tensor> {
  const file = await openAs('loadNpy', source, {}, ['npy']);
  try {
    return keep(await file.get(''));
  } finally {
    await file.close();
  }
}
