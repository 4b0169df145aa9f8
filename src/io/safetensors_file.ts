// Safetensors files, and those in several parts with an index beside them: read in ranges, and written. The header's
// rules are in safetensors_header.ts.

import type { StateMetadata } from '../nn/state_dict.ts';
import { sizeOf, stridesOf } from '../tensor/shape.ts';
import { type ByteSource, pieces, WindowSource } from './byte_source.ts';
import { type Fail, failing } from './errors.ts';
import { headerLength, makeHeader, metadataKey, parseHeader } from './safetensors_header.ts';
import { storedDTypes } from './stored_dtype.ts';
import { bytesOf, checkedPieces, rowMajorBytes, type StoredTensor, storedBytes } from './stored_tensor.ts';
import type { FileContents } from './tensor_file.ts';

/** In a file's texts: versions of modules, as a state dict has them. PyTorch's own files have no place for them. */
const versionsKey = 'evenkeel.versions';

/** Reads the header of a file. */
export async function readSafetensors(source: ByteSource, fail: Fail): Promise<FileContents> {
  const length = headerLength(await source.read(0, Math.min(8, source.size)), source.size, fail);
  const { infos, metadata: texts, payloadStart } = parseHeader(await source.read(8, 8 + length), source.size, fail);
  const tensors = new Map<string, StoredTensor>();
  for (const { name, stored, shape, start, end } of infos) {
    const bytes = new WindowSource(source, payloadStart + start, payloadStart + end);
    tensors.set(name, {
      dtype: stored,
      shape,
      strides: stridesOf(shape),
      offset: 0,
      storage: storedBytes(bytes, payloadStart + start),
    });
  }
  return { format: 'safetensors', tensors, texts, metadata: versionsIn(texts, fail) };
}

function versionsIn(texts: Readonly<Record<string, string>>, fail: Fail): StateMetadata | null {
  if (!Object.hasOwn(texts, versionsKey)) return null;
  const wrong = () => fail(`its text ${JSON.stringify(versionsKey)} gives no versions of modules`);
  let entries: unknown;
  try {
    entries = JSON.parse(texts[versionsKey]);
  } catch {
    throw wrong();
  }
  const isVersion = (entry: unknown): entry is [string, number] =>
    Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string' && Number.isInteger(entry[1]);
  if (!Array.isArray(entries) || !entries.every(isVersion)) throw wrong();
  return new Map(entries.map(([path, version]) => [path, { version }]));
}

/** The index of a file in parts. */
export interface SafetensorsIndex {
  /** The part in which each tensor lies. */
  readonly parts: ReadonlyMap<string, string>;
}

export function parseIndex(text: string, fail: Fail): SafetensorsIndex {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw fail(`the index is not JSON (${(cause as Error).message})`, 0, cause);
  }
  const map = (json as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw fail("the index has no 'weight_map' of names and files", 0);
  const parts = new Map<string, string>();
  for (const [name, part] of Object.entries(map)) {
    // A part lies beside its index, nowhere else.
    if (typeof part !== 'string' || !/^[^/\\\0:]+$/.test(part) || part === '..' || part === '.')
      throw fail(
        `the index puts ${JSON.stringify(name)} into ${JSON.stringify(part)}, which is no name of a file beside it`,
        0,
      );
    parts.set(name, part);
  }
  return { parts };
}

/**
 * Opens all parts of an index and joins what they hold; what one does not have, or has beyond the index, is an error.
 */
export async function readParts(
  index: SafetensorsIndex,
  open: (part: string) => Promise<ByteSource>,
  operation: string,
  fail: Fail,
): Promise<{ sources: ByteSource[]; contents: FileContents }> {
  const sources: ByteSource[] = [];
  const tensors = new Map<string, StoredTensor>();
  try {
    for (const part of new Set(index.parts.values())) {
      const source = await open(part);
      sources.push(source);
      const contents = await readSafetensors(source, failing(operation, source.name));
      for (const [name, tensor] of contents.tensors) {
        if (index.parts.get(name) !== part)
          throw fail(
            `the part ${JSON.stringify(part)} holds ${JSON.stringify(name)}, which the index does not put there`,
          );
        tensors.set(name, tensor);
      }
    }
    for (const [name, part] of index.parts)
      if (!tensors.has(name))
        throw fail(
          `the part ${JSON.stringify(part)} does not hold ${JSON.stringify(name)}, which the index puts there`,
        );
  } catch (error) {
    for (const source of sources) await source.close?.();
    throw error;
  }
  // In the index's order, which need not be that of the parts.
  const ordered = new Map([...index.parts.keys()].map((name) => [name, tensors.get(name)!]));
  return { sources, contents: { format: 'safetensors-index', tensors: ordered } };
}

/** Types by falling size, in the order in which the reference implementation writes. */
const writeOrder = ['U64', 'I64', 'F64', 'C64', 'U32', 'I32', 'F32', 'U16', 'I16', 'F16', 'BF16'];
const rank = (code: string): number => (writeOrder.indexOf(code) + writeOrder.length + 1) % (writeOrder.length + 1);

/**
 * A file of the tensors, piece by piece: widest types first, then by name, so that each lies at a multiple of its size.
 */
export async function* writeSafetensors(
  operation: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: StateMetadata | null,
  texts: Readonly<Record<string, string>> = {},
): AsyncGenerator<Uint8Array> {
  const fail = failing(operation, 'safetensors');
  const entries = [...tensors].map(([name, tensor]) => {
    const { safetensors } = storedDTypes[tensor.dtype];
    if (safetensors === null)
      throw fail(`the tensor ${JSON.stringify(name)} is of ${tensor.dtype}, which the format has none of`);
    if (name === metadataKey) throw fail(`a tensor cannot have the name ${metadataKey}`);
    return { name, tensor, dtype: safetensors, shape: [...tensor.shape] };
  });
  entries.sort((a, b) => rank(a.dtype) - rank(b.dtype) || (a.name < b.name ? -1 : 1));
  let end = 0;
  const infos = entries.map((entry) => {
    const start = end;
    end += bytesOf(entry.tensor);
    return { ...entry, start, end };
  });
  const versions: Record<string, string> = metadata
    ? { [versionsKey]: JSON.stringify([...metadata].map(([path, { version }]) => [path, version])) }
    : {};
  yield makeHeader(infos, { format: 'pt', ...texts, ...versions }, fail);
  for (const { tensor } of entries) yield* rowMajorPieces(operation, tensor);
}

/** The elements in row-major order, in pieces where they lie in that order already. */
export async function* rowMajorPieces(operation: string, tensor: StoredTensor): AsyncGenerator<Uint8Array> {
  const { storage, shape, strides, offset, dtype } = tensor;
  const start = offset * storedDTypes[dtype].size;
  const isDirect =
    !storage.isBigEndian && stridesOf(shape).every((stride, i) => stride === strides[i] || shape[i] === 1);
  if (sizeOf(shape) === 0) return;
  const size = bytesOf(tensor);
  if (isDirect && size === storage.size) yield* checkedPieces(operation, storage);
  else if (isDirect) yield* pieces(new WindowSource(await storage.open(), start, start + size));
  else yield await rowMajorBytes(tensor);
}
