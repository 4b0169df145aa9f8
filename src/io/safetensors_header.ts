// The header of a safetensors file, parsed and made: names, types, shapes and where the bytes lie. Distrusts every byte
// it reads; nothing is allocated from a number that was not checked against the file's length. Source:
// https://huggingface.co/docs/safetensors, "Format".

import type { Fail } from './errors.ts';
import type { OwnBytes } from './own_bytes.ts';
import { dtypeOfSafetensors, type StoredDType, storedDTypes } from './stored_dtype.ts';

const maxHeaderBytes = 100_000_000;
export const metadataKey = '__metadata__';

/** A tensor of the file; its bytes lie from `start` to `end` behind the header. */
export interface SafetensorsInfo {
  readonly name: string;
  /** The format's name of the type, of which `stored` is PyTorch's. */
  readonly dtype: string;
  readonly stored: StoredDType;
  readonly shape: number[];
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  /** In the order of their bytes. */
  readonly infos: SafetensorsInfo[];
  readonly metadata: Record<string, string>;
  /** Where the tensors' bytes begin in the file. */
  readonly payloadStart: number;
}

/** The length of the header of a file of so many bytes, from its first eight. */
export function headerLength(bytes: Uint8Array, fileSize: number, fail: Fail): number {
  if (bytes.length < 8) throw fail(`expected at least 8 bytes, got ${bytes.length}`, 0);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) throw fail(`the header length ${length} exceeds ${maxHeaderBytes}`, 0);
  if (8 + Number(length) > fileSize)
    throw fail(`expected a header of ${length} bytes, but only ${fileSize - 8} follow`, 0);
  return Number(length);
}

/**
 * Reads the header from its own bytes, behind the first eight. The offsets must cover the rest of the file without gap
 * or overlap.
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, fail: Fail): SafetensorsHeader {
  const payloadStart = 8 + bytes.length;
  const payloadBytes = fileSize - payloadStart;
  const { [metadataKey]: rawMetadata, ...tensors } = parseObject(bytes, fail);
  const metadata = rawMetadata === undefined ? {} : checkMetadata(rawMetadata, fail);
  const infos = Object.entries(tensors).map(([name, info]) => checkInfo(name, info, payloadBytes, fail));
  infos.sort((a, b) => a.start - b.start || a.end - b.end);
  let covered = 0;
  for (const { name, start, end } of infos) {
    const offset = payloadStart + start;
    if (start < covered) throw fail(`${JSON.stringify(name)} overlaps another tensor at byte ${start}`, offset);
    if (start > covered) throw fail(`bytes ${covered} to ${start} belong to no tensor`, payloadStart + covered);
    covered = end;
  }
  if (covered !== payloadBytes)
    throw fail(`the tensors cover ${covered} bytes, but ${payloadBytes} follow the header`, payloadStart + covered);
  return { infos, metadata, payloadStart };
}

function parseObject(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fail('the header is not UTF-8', 8);
  }
  if (!text.startsWith('{')) throw fail("the header does not start with '{'", 8);
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw fail(`the header is not JSON (${(cause as Error).message})`, 8, cause);
  }
  const repeated = findRepeatedKey(text);
  if (repeated !== undefined) throw fail(`the header has ${JSON.stringify(repeated)} twice`, 8);
  return header as Record<string, unknown>;
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
    throw fail(`expected ${metadataKey} to map strings to strings`, 8);
  }
  return value as Record<string, string>;
}

function checkInfo(name: string, info: unknown, payloadBytes: number, fail: Fail): SafetensorsInfo {
  const label = JSON.stringify(name);
  if (!isPlainObject(info)) throw fail(`${label} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = info;
  const stored = typeof dtype === 'string' ? dtypeOfSafetensors.get(dtype) : undefined;
  if (typeof dtype !== 'string' || stored === undefined) {
    const known = [...dtypeOfSafetensors.keys()].join(', ');
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
  const expected = elementsOf(shape) * storedDTypes[stored].size;
  if (expected !== end - start) {
    throw fail(
      `${label} of ${dtype} and shape [${shape.join(', ')}] needs ${expected} bytes, its offsets hold ${end - start}`,
    );
  }
  return { name, dtype, stored, shape, start, end };
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isListOfCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0);
}

// Infinite or imprecise products equal no byte count, so callers need no separate check for overflow.
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The beginning of a file: the length of the header, the header, and spaces up to a multiple of eight bytes. */
export function makeHeader(
  infos: readonly Pick<SafetensorsInfo, 'name' | 'dtype' | 'shape' | 'start' | 'end'>[],
  metadata: Readonly<Record<string, string>>,
  fail: Fail,
): OwnBytes {
  // Built by hand: objects would reorder names that look like numbers, and lose one called __proto__.
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) fields.push(`"${metadataKey}":${JSON.stringify(metadata)}`);
  for (const { name, dtype, shape, start, end } of infos)
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [start, end] })}`);
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > maxHeaderBytes) throw fail(`the header of ${length} bytes exceeds ${maxHeaderBytes}`);
  const bytes = new Uint8Array(8 + length).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}
