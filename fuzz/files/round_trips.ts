// Checkpoints there and back: files that PyTorch, safetensors and NumPy made (peer.py) are read here, written here in
// every format, and read there again. All must be the same to the bit, tensors of types that we have none of in their
// wider types.
import '../../src/ops/methods.ts';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { python, startLinePeer } from '../../scripts/line_peer.ts';
import {
  convertFile,
  loadPytorch,
  loadStateDict,
  type PytorchData,
  savePytorch,
  saveStateDict,
  Tuple,
} from '../../src/io/index.ts';
import { StateDict } from '../../src/nn/state_dict.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { setWarningHandler } from '../../src/warnings.ts';

/** As peer.py's `digest`. */
function digest(tensor: Tensor): unknown[] {
  const data = tensor.dataSync();
  // The bits of a NaN are nobody's business.
  if (data instanceof Float32Array || data instanceof Float64Array)
    for (let i = 0; i < data.length; i++) if (Number.isNaN(data[i])) data[i] = 123;
  const hash = createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
  return ['tensor', tensor.dtype, [...tensor.shape], hash.slice(0, 16)];
}

function numberText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 53) return Object.is(value, -0) ? '-0' : String(value);
  if (!Number.isFinite(value)) return String(value);
  return Buffer.from(Float64Array.of(value).buffer).toString('base64');
}

/** As peer.py's `describe`. */
function describe(value: unknown): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return ['number', numberText(value)];
  if (typeof value === 'bigint') return ['bigint', String(value)];
  if (value instanceof Uint8Array) return ['bytes', Buffer.from(value).toString('base64')];
  if (value instanceof Tensor) return digest(value);
  if (Array.isArray(value)) return [value instanceof Tuple ? 'tuple' : 'list', [...value].map(describe)];
  const entries = value instanceof Map ? [...value] : Object.entries(value as object);
  const versions =
    value instanceof StateDict && value.metadata
      ? [...value.metadata].map(([path, { version }]) => [path, version])
      : null;
  return ['dict', entries.map(([key, item]) => [String(key), describe(item)]), versions];
}

function aliases(state: ReadonlyMap<string, Tensor>): string[][] {
  const groups = new Map<Tensor, string[]>();
  for (const [name, tensor] of state) groups.set(tensor, [...(groups.get(tensor) ?? []), name]);
  return [...groups]
    .filter(([tensor, names]) => names.length > 1 && tensor.size > 0)
    .map(([, names]) => names.sort())
    .sort();
}

interface Answer {
  readonly kind: string;
  readonly data: [string, [string, unknown][], unknown];
  readonly aliases: string[][];
  readonly error?: string;
}

/** What was read, or why it was not. */
const answered = ({ data, error }: Answer): unknown => error ?? data;

/** Entries alone, in an order of their own: for formats that keep neither order nor versions. */
const sorted = ([, entries]: Answer['data']): unknown => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));

export interface RoundTripOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly count: number;
  readonly only?: number;
}

/** Returns how many checkpoints were not the same; null where there is no PyTorch. */
export async function fuzzRoundTrips({ seed, seconds, count, only }: RoundTripOptions): Promise<number | null> {
  const peer = startLinePeer(python, ['-W', 'ignore', fileURLToPath(new URL('peer.py', import.meta.url))]);
  const greeting = await peer.receive();
  if (greeting === null) return null;
  const { version, safetensors } = JSON.parse(greeting) as { version: string; safetensors: string };
  console.log(`fuzz: seed ${seed}, checkpoints of PyTorch ${version} and safetensors ${safetensors}`);
  const ask = async (request: object): Promise<Answer> => {
    peer.send(JSON.stringify(request));
    const line = await peer.receive();
    if (line === null) throw new Error(`PyTorch ended: ${await peer.ended()}`);
    return JSON.parse(line) as Answer;
  };
  const before = setWarningHandler(() => {});
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-files-'));
  const tally = new Map<string, number>();
  const end = performance.now() + seconds * 1000;
  let failures = 0;
  let comparisons = 0;

  for (
    let index = only ?? 0;
    index < (only === undefined ? count : only + 1) && performance.now() < end && failures < 5;
    index++
  ) {
    const path = join(folder, 'made');
    const made = await ask({ do: 'make', seed: (Math.imul(seed, 0x9e3779b1) + index) >>> 0, path });
    const same = (what: string, ours: unknown, theirs: unknown): void => {
      comparisons++;
      if (isDeepStrictEqual(ours, theirs)) return;
      failures++;
      console.log(
        `\n${seed}:${index} ${made.kind}: ${what}\n  expected ${JSON.stringify(theirs).slice(0, 1500)}\n  got      ${JSON.stringify(ours).slice(0, 1500)}\n` +
          `replay: npm run fuzz -- --against torch --of files --replay ${seed}:${index}`,
      );
    };
    try {
      const kind = made.error === undefined ? made.kind : `not made: ${made.error.slice(0, 60)}`;
      tally.set(kind, (tally.get(kind) ?? 0) + 1);
      if (made.error !== undefined) continue;
      const { data } = made;
      if (kind === 'plain' || kind === 'training') {
        const loaded = await loadPytorch(path);
        same('read here', describe(loaded), data);
        const written = join(folder, 'written.pt');
        await savePytorch(written, loaded as PytorchData);
        same('written here, read there', answered(await ask({ do: 'read', kind, path: written })), data);
        await convertFile(path, written);
        same('converted here, read there', answered(await ask({ do: 'read', kind, path: written })), data);
        continue;
      }
      const state = await loadStateDict(path);
      const isOrdered = kind !== 'safetensors';
      const described = describe(state) as Answer['data'];
      same(
        'read here',
        isOrdered ? described.slice(0, 2) : sorted(described),
        isOrdered ? data.slice(0, 2) : sorted(data),
      );
      if (kind === 'state') {
        same('versions', described[2], data[2]);
        same('shared memory', aliases(state), made.aliases);
      }
      for (const format of ['pytorch', 'safetensors', 'npz'] as const) {
        if (format === 'npz' && [...state.keys()].some((name) => name.includes('/'))) continue;
        const written = join(folder, `written.${format}`);
        await saveStateDict(written, state, { format });
        const again = await ask({ do: 'read', kind: format === 'pytorch' ? 'state' : format, path: written });
        if (again.error !== undefined) same(`written here as ${format}, read there`, again.error, null);
        else if (format === 'pytorch') {
          same('written here, read there', again.data, described);
          if (kind === 'state') same('shared memory, written here and read there', again.aliases, made.aliases);
        } else same(`written here as ${format}, read there`, sorted(again.data), sorted(data));
      }
    } catch (error) {
      same('no error', (error as Error).stack, null);
    }
  }
  setWarningHandler(before);
  peer.close();
  rmSync(folder, { recursive: true, force: true });
  for (const [kind, times] of [...tally].sort()) console.log(`${kind.padEnd(22)}${String(times).padStart(8)}`);
  console.log(`fuzz: ${comparisons} comparisons, ${failures} differences, seed ${seed}`);
  return failures;
}
