// Damaged files through all readers: each must end in data, or in a typed error that names the file; soon, and within
// twice the file's memory.
import '../../src/ops/methods.ts';
import { readFileSync } from 'node:fs';
import { EvenkeelError } from '../../src/errors.ts';
import { FileFormatError, loadPytorch, loadStateDict, openTensors, UnknownObject } from '../../src/io/index.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { setWarningHandler } from '../../src/warnings.ts';
import { damaged, type Part, parts } from './mutations.ts';

/**
 * Milliseconds of computing after which a reader counts as hanging: they need some tenths of one, and a collection of
 * garbage may come in between.
 */
const patience = 2000;
/** Of this process, not of the clock: the machine may be somebody else's for a while. */
const computed = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
/** Bytes of tensors that a file of any size may become; from there on twice its size. */
const freeBytes = 16 * 1024 ** 2;
/** The most that a type grows by being loaded: 1 byte to 4. */
const growth = 4;

export interface MutatedOptions {
  readonly seed: number;
  readonly count: number;
  readonly seconds: number;
  readonly only?: number;
}

const folder = new URL('../../test/golden/checkpoints/', import.meta.url);
const partOf = (name: string) => {
  if (name !== 'model-00001-of-00002.safetensors' && name !== 'model-00002-of-00002.safetensors')
    throw new FileFormatError('fuzz', name, 'there is no such part');
  return new Uint8Array(readFileSync(new URL(name, folder)));
};

const bytesOf = (value: unknown, seen = new Set<unknown>()): number => {
  if (typeof value !== 'object' || value === null || seen.has(value)) return 0;
  seen.add(value);
  if (value instanceof Tensor) {
    if (seen.has(value.storage)) return 0;
    seen.add(value.storage);
    return value.storage.byteLength;
  }
  if (value instanceof UnknownObject) return bytesOf(value.state, seen) + bytesOf(value.args, seen);
  const items =
    value instanceof Map
      ? [...value.keys(), ...value.values()]
      : value instanceof Set
        ? [...value]
        : Object.values(value);
  return ArrayBuffer.isView(value) ? 0 : items.reduce<number>((sum, item) => sum + bytesOf(item, seen), 0);
};

type Outcome = 'read' | 'refused';

/** What is wrong with how a file was handled; null: nothing. */
async function judge(
  part: Part,
  file: Uint8Array,
  tally: Map<string, Record<Outcome, number>>,
): Promise<string | null> {
  const row = tally.get(part.reader) ?? { read: 0, refused: 0 };
  tally.set(part.reader, row);
  let outcome: Outcome = 'read';
  const attempts: (() => Promise<unknown>)[] = [() => loadStateDict(file, { parts: partOf }), () => openAll(file)];
  if (part.reader === 'pickle' || part.reader === 'zip' || part.reader === 'legacy')
    attempts.push(() => loadPytorch(file, { unknownObjects: 'keep' }));
  for (const attempt of attempts) {
    const start = computed();
    let error: unknown = null;
    let bytes = 0;
    try {
      bytes = bytesOf(await attempt());
    } catch (thrown) {
      error = thrown;
      outcome = 'refused';
    }
    const time = computed() - start;
    if (time > patience) return `took ${time.toFixed(0)} ms`;
    if (bytes > growth * Math.max(freeBytes, 2 * file.length)) return `became ${bytes} bytes, from ${file.length}`;
    if (error === null) continue;
    if (!(error instanceof EvenkeelError)) return `threw ${(error as Error).stack ?? error}`;
    if (error instanceof FileFormatError && (!error.source || !error.reason)) return `names no file: ${error.message}`;
  }
  row[outcome]++;
  return null;
}

/** Each tensor for itself, as far as each can be read. */
async function openAll(file: Uint8Array): Promise<unknown> {
  const open = await openTensors(file, { parts: partOf });
  const tensors: Tensor[] = [];
  for (const name of open.keys()) {
    open.info(name);
    // Small ones alone: what each of many may be is bounded, what all of them are is for `load`.
    if (open.info(name).bytes > 4096) continue;
    try {
      tensors.push(await open.get(name));
    } catch (error) {
      if (!(error instanceof EvenkeelError)) throw error;
    }
  }
  await open.close();
  return tensors;
}

/** Reads so many damaged files; returns how many were handled wrongly. */
export async function fuzzMutated({ seed, count, seconds, only }: MutatedOptions): Promise<number> {
  const before = setWarningHandler(() => {});
  const all = parts();
  const tally = new Map<string, Record<Outcome, number>>();
  const seedOf = (index: number) => (Math.imul(seed, 0x9e3779b1) + Math.imul(index, 0x85ebca6b)) | 0;
  const end = performance.now() + seconds * 1000;
  let failures = 0;
  let done = 0;
  let most = 0;
  const indices = only === undefined ? { from: 0, to: count } : { from: only, to: only + 1 };
  for (let index = indices.from; index < indices.to && performance.now() < end && failures < 10; index++, done++) {
    const { part, file } = await damaged(all, seedOf(index));
    const problem = await judge(part, file, tally);
    if (index % 1000 === 0) most = Math.max(most, process.memoryUsage().rss);
    if (problem === null) continue;
    failures++;
    console.log(
      `damaged ${part.name}: ${problem}\nreplay: npm run fuzz -- --against errors --of files --replay ${seed}:${index}`,
    );
  }
  setWarningHandler(before);
  console.log(`\n${'reader'.padEnd(14)}${'read'.padStart(10)}${'refused'.padStart(10)}`);
  for (const [reader, { read, refused }] of [...tally].sort())
    console.log(`${reader.padEnd(14)}${String(read).padStart(10)}${String(refused).padStart(10)}`);
  console.log(
    `fuzz: ${done} damaged files, ${failures} handled wrongly, at most ${(most / 2 ** 20).toFixed(0)} MiB, seed ${seed}`,
  );
  return failures;
}
