// NumPy's npz: a zip archive of npy files.
import { WindowSource } from './byte_source.ts';
import { type Fail, failing } from './errors.ts';
import { npyHeadBytes, npyHeader, readNpyHead } from './npy.ts';
import { rowMajorPieces } from './safetensors_file.ts';
import { bytesOf, type StoredTensor } from './stored_tensor.ts';
import type { FileContents } from './tensor_file.ts';
import type { ZipReader } from './zip_reader.ts';
import { writeZip, type ZipEntry } from './zip_writer.ts';

const ending = '.npy';

/** NumPy writes no arrays as an empty archive. */
export const isNpz = (zip: ZipReader): boolean =>
  zip.members.size === 0 || [...zip.members.keys()].some((name) => name.endsWith(ending));

/** Describes all arrays, of which only the beginnings are unpacked for that. */
export async function readNpz(zip: ZipReader, fail: Fail): Promise<FileContents> {
  const tensors = new Map<string, StoredTensor>();
  for (const member of zip.members.values()) {
    const { name, size, headerStart } = member;
    if (!name.endsWith(ending)) throw fail(`its member ${JSON.stringify(name)} is no array`, headerStart);
    const head = await zip.head(name, npyHeadBytes);
    const { tensor, isBigEndian, dataStart } = readNpyHead(head, size, name, headerStart, fail);
    const open = async () => new WindowSource(await zip.open(name), dataStart, size);
    const storage = { size: size - dataStart, start: headerStart, isBigEndian, open };
    tensors.set(name.slice(0, -ending.length), { ...tensor, storage });
  }
  return { format: 'npz', tensors };
}

/** An archive of the tensors, piece by piece. */
export function writeNpz(operation: string, tensors: ReadonlyMap<string, StoredTensor>): AsyncGenerator<Uint8Array> {
  const fail = failing(operation, 'npz');
  const entries: ZipEntry[] = [...tensors].map(([name, tensor]) => {
    if (
      name === '' ||
      /^[/\\]|^[A-Za-z]:|\0|\\/.test(name) ||
      name.split('/').some((part) => part === '..' || part === '.')
    )
      throw fail(`the name ${JSON.stringify(name)} cannot be that of a file in an archive`);
    const head = npyHeader(tensor, name, fail);
    return {
      name: `${name}${ending}`,
      size: head.length + bytesOf(tensor),
      bytes: () => arrayPieces(operation, head, tensor),
    };
  });
  return writeZip(entries);
}

export async function* arrayPieces(
  operation: string,
  head: Uint8Array,
  tensor: StoredTensor,
): AsyncGenerator<Uint8Array> {
  yield head;
  yield* rowMajorPieces(operation, tensor);
}
