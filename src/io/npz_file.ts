// NumPy's npz: a zip archive of npy files.
import { type ByteSource } from './byte_source.ts';
import { type Fail, failing } from './errors.ts';
import { npyHeader, readNpy } from './npy.ts';
import { rowMajorPieces } from './safetensors_file.ts';
import { bytesOf, type StoredTensor } from './stored_tensor.ts';
import type { FileContents } from './tensor_file.ts';
import type { ZipReader } from './zip_reader.ts';
import { type ZipEntry, writeZip } from './zip_writer.ts';

const ending = '.npy';

export const isNpz = (zip: ZipReader): boolean => [...zip.members.keys()].some((name) => name.endsWith(ending));

/** Describes all arrays. Compressed ones are unpacked for that, one after the other, and again when they are loaded. */
export async function readNpz(zip: ZipReader, fail: Fail): Promise<FileContents> {
  const tensors = new Map<string, StoredTensor>();
  for (const member of zip.members.values()) {
    if (!member.name.endsWith(ending)) throw fail(`its member ${JSON.stringify(member.name)} is no array`, member.headerStart);
    const name = member.name.slice(0, -ending.length);
    const described = await readNpy(await zip.open(member.name), name, member.headerStart, fail);
    tensors.set(name, { ...described, storage: { ...described.storage, ...lazily(zip, member.name, described) } });
  }
  return { format: 'npz', tensors };
}

/** The elements of an array, opened when they are wanted: until then nobody holds what was unpacked. */
function lazily(zip: ZipReader, member: string, described: StoredTensor) {
  const { size } = described.storage;
  return {
    open: async (): Promise<ByteSource> => {
      const bytes = await zip.open(member);
      const start = bytes.size - size;
      return {
        name: bytes.name,
        size,
        read: (from, to) => bytes.read(start + from, start + to),
        ...(bytes.readInto ? { readInto: (target: Uint8Array, from: number) => bytes.readInto!(target, start + from) } : {}),
      };
    },
  };
}

/** An archive of the tensors, piece by piece. */
export function writeNpz(operation: string, tensors: ReadonlyMap<string, StoredTensor>): AsyncGenerator<Uint8Array> {
  const fail = failing(operation, 'npz');
  const entries: ZipEntry[] = [...tensors].map(([name, tensor]) => {
    if (name === '' || /^[/\\]|^[A-Za-z]:|\0|\\/.test(name) || name.split('/').some((part) => part === '..' || part === '.'))
      throw fail(`the name ${JSON.stringify(name)} cannot be that of a file in an archive`);
    const head = npyHeader(tensor, name, fail);
    return { name: `${name}${ending}`, size: head.length + bytesOf(tensor), bytes: () => arrayPieces(head, tensor) };
  });
  return writeZip(entries);
}

export async function* arrayPieces(head: Uint8Array, tensor: StoredTensor): AsyncGenerator<Uint8Array> {
  yield head;
  yield* rowMajorPieces(tensor);
}
