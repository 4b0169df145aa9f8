// Files that PyTorch's `torch.save` writes: the zip archives of 1.6 and later, and the pickles of before. Finds the
// data's pickle and the storages; what they mean is in pytorch_tree.ts. Source: torch/serialization.py,
// caffe2/serialize/inline_container.cc.
import { type ByteSource, WindowSource } from './byte_source.ts';
import type { Fail } from './errors.ts';
import { readPickle, UnexpectedEnd } from './pickle_reader.ts';
import { PyDict, PyTuple, type PyValue } from './pickle_values.ts';
import { PytorchTree, type StorageFinder } from './pytorch_tree.ts';
import { type StoredBytes, storedBytes } from './stored_tensor.ts';
import type { ZipReader } from './zip_reader.ts';

/** The first values of a file of before 1.6: a number that says what it is, and its version. */
const legacyMagic = 0x1950a86a20f9469cfc6cn;
const legacyProtocol = 1001;
/** How that number begins such a file: a pickle of it. */
const legacyStart = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
/** Read first of a legacy file; more where its pickle is longer. */
const firstBytes = 1024 ** 2;

const howToConvert = "load it in Python and save it again: torch.save(model.state_dict(), 'new.pt')";

export type PytorchFormat = 'zip' | 'legacy';

/** Whether a file begins as a pickle of PyTorch does. */
export const isLegacyStart = (head: Uint8Array): boolean => legacyStart.every((byte, i) => head[i] === byte);

/**
 * The member names of an archive without the folder that they are all in; null where they are not a file of PyTorch's.
 */
function folderOf(zip: ZipReader): string | null {
  for (const name of zip.members.keys()) if (/^[^/]+\/data\.pkl$/.test(name)) return name.slice(0, -'data.pkl'.length);
  return null;
}

export const isPytorchZip = (zip: ZipReader): boolean =>
  folderOf(zip) !== null ||
  [...zip.members.keys()].some((name) => name.endsWith('/constants.pkl') || name.endsWith('/archive_format'));

/** Reads the data of a zip archive, but none of its storages. */
export async function readPytorchZip(source: ByteSource, zip: ZipReader, fail: Fail): Promise<PytorchTree> {
  const folder = folderOf(zip);
  const has = (name: string) => zip.members.has(`${folder}${name}`);
  if (folder === null || has('constants.pkl') || has('archive_format'))
    throw fail(
      `it is a program for TorchScript or torch.export, of which the weights are not plain data; ${howToConvert}, where model is torch.jit.load(…) or torch.export.load(…).module()`,
    );
  const textOf = async (name: string) =>
    has(name) ? new TextDecoder().decode(await zip.read(`${folder}${name}`)).trim() : null;
  const version = await textOf('version');
  if (version !== null && !/^([1-9]|10)$/.test(version))
    throw fail(`it is of version ${JSON.stringify(version)} of PyTorch's format; known are 1 to 10`);
  const order = await textOf('byteorder');
  if (order !== null && order !== 'little' && order !== 'big')
    throw fail(`its byte order is ${JSON.stringify(order)}, expected little or big`);
  const isBigEndian = order === 'big';
  const find: StorageFinder = (key, _, view) => {
    const name = `${folder}data/${key}`;
    const member = zip.members.get(name);
    if (!member) throw fail(`its storage ${JSON.stringify(key)} is missing`);
    if (view !== null)
      throw fail(`its storage ${JSON.stringify(key)} is a view, which zip archives have none of`, member.headerStart);
    return {
      size: member.size,
      start: member.headerStart,
      crc: member.crc ?? undefined,
      isBigEndian,
      open: () => zip.open(name),
    };
  };
  const { value } = readPickle(await zip.read(`${folder}data.pkl`), fail);
  return new PytorchTree(value, source.size, find, fail);
}

/** The values that lie in front of the storages in a legacy file, and where they end. */
function readLegacyHead(bytes: Uint8Array, fail: Fail) {
  let at = 0;
  const next = (): PyValue => {
    const { value, end } = readPickle(bytes, fail, at);
    at = end;
    return value;
  };
  if (next() !== legacyMagic) throw fail('it is no file of PyTorch', 0);
  const protocol = next();
  if (protocol !== legacyProtocol) throw fail(`it is of protocol ${String(protocol)}, expected ${legacyProtocol}`, 0);
  const system = next();
  const root = next();
  const keys = next();
  if (!(system instanceof PyDict) || !Array.isArray(keys) || !keys.every((key) => typeof key === 'string'))
    throw fail('its list of storages is damaged', at);
  return { isBigEndian: system.get('little_endian') === false, root, keys: keys as string[], end: at };
}

/** Reads the data of a file of before 1.6, and where its storages lie. */
export async function readPytorchLegacy(source: ByteSource, fail: Fail): Promise<PytorchTree> {
  let head: ReturnType<typeof readLegacyHead>;
  for (let length = Math.min(source.size, firstBytes); ; length = Math.min(source.size, 4 * length)) {
    try {
      head = readLegacyHead(await source.read(0, length), fail);
      break;
    } catch (error) {
      if (!(error instanceof UnexpectedEnd) || length === source.size) throw error;
    }
  }
  const { root, keys, isBigEndian, end } = head;
  const places = new Map<string, StoredBytes>();
  const find: StorageFinder = (key, _, view) => {
    const storage = places.get(key);
    if (!storage) throw fail(`its storage ${JSON.stringify(key)} is missing`);
    if (view === null) return storage;
    // A part of a storage: its own key, its first element, and the number of elements.
    const [, offset, count] = view instanceof PyTuple ? view.items : [];
    const size = sizes.get(key)!;
    if (
      typeof offset !== 'number' ||
      typeof count !== 'number' ||
      offset < 0 ||
      count < 0 ||
      (offset + count) * size > storage.size
    )
      throw fail(`a part of its storage ${JSON.stringify(key)} lies outside of it`, storage.start);
    const start = storage.start! + offset * size;
    return { ...storedBytes(new WindowSource(source, start, start + count * size), start), isBigEndian };
  };
  const tree = new PytorchTree(root, source.size, find, fail);
  // The number of elements stands in front of each storage; their size only the data know.
  const sizes = tree.storageSizes();
  let at = end;
  for (const key of keys) {
    if (at + 8 > source.size) throw fail(`the storage ${JSON.stringify(key)} is missing: the file is truncated`, at);
    const bytes = await source.read(at, at + 8);
    const count = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, !isBigEndian));
    const size = sizes.get(key);
    if (size === undefined) throw fail(`nothing says of which type its storage ${JSON.stringify(key)} is`, at);
    const next = at + 8 + count * size;
    if (count < 0 || !(next <= source.size))
      throw fail(
        `the storage ${JSON.stringify(key)} of ${count} elements does not fit the file: it is truncated or damaged`,
        at,
      );
    if (places.has(key)) throw fail(`it has two storages of the key ${JSON.stringify(key)}`, at);
    places.set(key, { ...storedBytes(new WindowSource(source, at + 8, next), at + 8), isBigEndian });
    at = next;
  }
  if (at !== source.size) throw fail(`${source.size - at} bytes follow its last storage`, at);
  return tree;
}

/** Names the older kinds of files that are none of these. */
export function refuseOthers(head: Uint8Array, fail: Fail): void {
  const text = (from: number, to: number) => String.fromCharCode(...head.subarray(from, to));
  if (text(257, 262) === 'ustar' || /^(sys_info|pickle|storages|tensors)\0/.test(text(0, 12)))
    throw fail(`it is a tar archive, as PyTorch before 0.1.10 wrote them; ${howToConvert}`, 0);
}
