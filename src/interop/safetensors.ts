// The safetensors file format, read and written: a length, a JSON header, the raw little-endian values.
// Distrusts every byte it reads. What the tensors mean, and files on disk, are other people's business (train/checkpoint_file.ts).
// Source: https://huggingface.co/docs/safetensors, "Format".

import { EvenkeelError } from '../errors.ts';

/** Element types that can be written. */
export type SafetensorsDtype = 'F32' | 'F64' | 'I32' | 'I64' | 'U8' | 'BOOL';

/** A named array; BOOL is bytes 0 and 1. */
export type SafetensorsEntry = {
  /** The name in the file. */
  name: string;
  /** The element type. */
  dtype: SafetensorsDtype;
  /** The size of each dimension. */
  shape: number[];
  /** The elements in row-major order. */
  data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
};

/** A decoded array. F16 and BF16 come as float32: `dtype` is then F32, `storedDtype` what the file holds. */
export type DecodedEntry = SafetensorsEntry & {
  /** The element type in the file. */
  storedDtype: SafetensorsDtype | 'F16' | 'BF16';
};

/** Bytes that are no valid safetensors file, or entries that cannot become one. */
export class SafetensorsError extends EvenkeelError {
  override name = 'SafetensorsError';
  /** The file, or what else the bytes are of. */
  readonly source: string;
  /** What is wrong with it. */
  readonly reason: string;

  constructor(operation: string, source: string, reason: string) {
    super(`[${operation}] ${source}: ${reason}`);
    this.source = source;
    this.reason = reason;
  }
}

const ELEMENT_BYTES: Record<DecodedEntry['storedDtype'], number> = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  F16: 2,
  BF16: 2,
  U8: 1,
  BOOL: 1,
};
// Descending alignment, in the order in which the reference implementation writes.
const WRITE_ORDER: SafetensorsDtype[] = ['I64', 'F64', 'F32', 'I32', 'U8', 'BOOL'];
const ARRAYS = {
  F32: Float32Array,
  F64: Float64Array,
  I32: Int32Array,
  I64: BigInt64Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;
const MAX_HEADER_BYTES = 100_000_000;
const METADATA_KEY = '__metadata__';

/**
 * A safetensors file of the entries, widest types first and names in order, with string metadata.
 *
 * Throws SafetensorsError if a name repeats or is reserved, or data does not fit dtype and shape.
 */
export function encodeSafetensors(
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const fail = (reason: string) => new SafetensorsError('encodeSafetensors', 'entries', reason);
  const names = new Set<string>();
  for (const { name, dtype, shape, data } of entries) {
    if (name === METADATA_KEY || names.has(name))
      throw fail(`expected unique names, got ${JSON.stringify(name)} again`);
    names.add(name);
    if (!WRITE_ORDER.includes(dtype)) throw fail(`${JSON.stringify(name)} has unknown dtype ${JSON.stringify(dtype)}`);
    if (!(data instanceof ARRAYS[dtype])) {
      throw fail(`${JSON.stringify(name)} of ${dtype} expected ${ARRAYS[dtype].name}, got ${data.constructor.name}`);
    }
    if (!isListOfCounts(shape) || elementsOf(shape) !== data.length) {
      throw fail(`${JSON.stringify(name)} of shape [${shape.join(', ')}] does not fit ${data.length} elements`);
    }
  }
  const order = entries.toSorted(
    (a, b) => WRITE_ORDER.indexOf(a.dtype) - WRITE_ORDER.indexOf(b.dtype) || (a.name < b.name ? -1 : 1),
  );

  // Built by hand: objects would reorder names that look like numbers, and lose one called __proto__.
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) fields.push(`"${METADATA_KEY}":${JSON.stringify(metadata)}`);
  let end = 0;
  for (const { name, dtype, shape, data } of order) {
    const start = end;
    end += data.byteLength;
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [start, end] })}`);
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  if (headerBytes > MAX_HEADER_BYTES) throw fail(`the header of ${headerBytes} bytes exceeds ${MAX_HEADER_BYTES}`);

  const bytes = new Uint8Array(8 + headerBytes + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.fill(0x20, 8, 8 + headerBytes);
  bytes.set(json, 8);
  let at = 8 + headerBytes;
  for (const { data } of order) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * The arrays, in the order of their bytes, and the metadata of a safetensors file; `source` names it in errors.
 *
 * The arrays are copies. Throws SafetensorsError unless header, names, types, shapes and offsets are consistent and the offsets
 * cover all bytes without gap or overlap; nothing is allocated from a number that was not checked against the file's length.
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  source = 'safetensors data',
): { entries: DecodedEntry[]; metadata: Record<string, string> } {
  const fail: Fail = (reason) => new SafetensorsError('decodeSafetensors', source, reason);
  const { header, payload } = splitHeader(bytes, fail);
  const { [METADATA_KEY]: rawMetadata, ...tensors } = header;
  const metadata = rawMetadata === undefined ? {} : checkMetadata(rawMetadata, fail);
  const infos = Object.entries(tensors).map(([name, info]) => checkInfo(name, info, payload.length, fail));
  infos.sort((a, b) => a.start - b.start || a.end - b.end);
  let covered = 0;
  for (const { name, start, end } of infos) {
    if (start < covered) throw fail(`${JSON.stringify(name)} overlaps another tensor at byte ${start}`);
    if (start > covered) throw fail(`bytes ${covered} to ${start} belong to no tensor`);
    covered = end;
  }
  if (covered !== payload.length) {
    throw fail(`the tensors cover ${covered} bytes, but ${payload.length} follow the header`);
  }
  return { entries: infos.map((info) => readEntry(info, payload, fail)), metadata };
}

type Fail = (reason: string) => SafetensorsError;
type Info = { name: string; dtype: DecodedEntry['storedDtype']; shape: number[]; start: number; end: number };

function splitHeader(bytes: Uint8Array, fail: Fail): { header: Record<string, unknown>; payload: Uint8Array } {
  if (bytes.length < 8) throw fail(`expected at least 8 bytes, got ${bytes.length}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) throw fail(`the header length ${length} exceeds ${MAX_HEADER_BYTES}`);
  const end = 8 + Number(length);
  if (end > bytes.length) throw fail(`expected a header of ${length} bytes, but only ${bytes.length - 8} follow`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, end));
  } catch {
    throw fail('the header is not UTF-8');
  }
  if (!text.startsWith('{')) throw fail("the header does not start with '{'");
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw fail(`the header is not JSON (${(cause as Error).message})`);
  }
  const repeated = findRepeatedKey(text);
  if (repeated !== undefined) throw fail(`the header has ${JSON.stringify(repeated)} twice`);
  return { header: header as Record<string, unknown>, payload: bytes.subarray(end) };
}

// JSON.parse keeps the last of equal keys without a word. The text is known to be valid JSON.
function findRepeatedKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '{') open.push(new Set());
    else if (character === '}') open.pop();
    if (character !== '"') continue;
    const start = i;
    for (i++; json[i] !== '"'; i++) if (json[i] === '\\') i++;
    let next = i + 1;
    while (' \t\n\r'.includes(json[next]!)) next++;
    if (json[next] !== ':') continue;
    const key = JSON.parse(json.slice(start, i + 1)) as string;
    const keys = open.at(-1)!;
    if (keys.has(key)) return key;
    keys.add(key);
  }
  return undefined;
}

function checkMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (!isPlainObject(value) || Object.values(value).some((text) => typeof text !== 'string')) {
    throw fail(`expected ${METADATA_KEY} to map strings to strings`);
  }
  return value as Record<string, string>;
}

function checkInfo(name: string, info: unknown, payloadBytes: number, fail: Fail): Info {
  const label = JSON.stringify(name);
  if (!isPlainObject(info)) throw fail(`${label} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = info;
  if (typeof dtype !== 'string' || !Object.hasOwn(ELEMENT_BYTES, dtype)) {
    const known = Object.keys(ELEMENT_BYTES).join(', ');
    throw fail(`${label} has dtype ${JSON.stringify(dtype)}, which is none of ${known}`);
  }
  if (!isListOfCounts(shape)) throw fail(`${label} has shape ${JSON.stringify(shape)}, expected a list of counts`);
  if (!isListOfCounts(offsets) || offsets.length !== 2) {
    throw fail(`${label} has data_offsets ${JSON.stringify(offsets)}, expected two counts`);
  }
  const [start, end] = offsets as [number, number];
  if (start > end || end > payloadBytes) {
    throw fail(`${label} has data_offsets [${start}, ${end}] outside the ${payloadBytes} bytes after the header`);
  }
  const type = dtype as Info['dtype'];
  const expected = elementsOf(shape) * ELEMENT_BYTES[type];
  if (expected !== end - start) {
    throw fail(
      `${label} of ${dtype} and shape [${shape.join(', ')}] needs ${expected} bytes, its offsets hold ${end - start}`,
    );
  }
  return { name, dtype: type, shape, start, end };
}

function readEntry({ name, dtype, shape, start, end }: Info, payload: Uint8Array, fail: Fail): DecodedEntry {
  // A copy, because the file's bytes need not be aligned for the element type. (A Buffer's own slice() would be no copy.)
  const raw = new Uint8Array(payload.subarray(start, end));
  if (dtype === 'F16' || dtype === 'BF16') {
    const halves = new Uint16Array(raw.buffer, 0, raw.length / 2);
    const data = dtype === 'F16' ? Float32Array.from(halves, halfToFloat) : bfloatsToFloats(halves);
    return { name, dtype: 'F32', storedDtype: dtype, shape, data };
  }
  if (dtype === 'BOOL') {
    const wrong = raw.findIndex((byte) => byte > 1);
    if (wrong >= 0) throw fail(`${JSON.stringify(name)} of BOOL has byte ${raw[wrong]} at ${wrong}, expected 0 or 1`);
  }
  const data = new ARRAYS[dtype](raw.buffer, 0, raw.length / ELEMENT_BYTES[dtype]);
  return { name, dtype, storedDtype: dtype, shape, data };
}

// IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

// A bfloat16 is the upper half of a float32.
function bfloatsToFloats(halves: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOfCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0);
}

// Infinite or imprecise products equal no byte count, so callers need no separate check for overflow.
function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
