// Files of tensors: reading and writing a state dict of 100 MB against PyTorch and safetensors' Python package, the
// memory that it takes, and one tensor of a file of 4 GiB. Files lie in build/bench_io, and in the system's cache: what
// is measured is the reader, not the disk.
import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setEngine } from '../../src/device/engine.ts';
import { type ByteSource, loadStateDict, openTensors, saveStateDict } from '../../src/io/index.ts';
import { resnet50 } from '../../src/models/index.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { onBuilt } from '../built.ts';
import type { IoFigures, IoJob } from '../io_run.ts';
import { machineSpeed } from '../machine.ts';
import { inTurns, type Row, rowOf, sessionsOf, type Turns, timesOf } from '../measure.ts';
import type { SpecialCase } from './index.ts';

const folder = fileURLToPath(new URL('../../build/bench_io', import.meta.url));
const program = fileURLToPath(new URL('../io_run.ts', import.meta.url));
const engine = 'native';
const threads = 1;
/** Within 1.2 times the time of theirs. */
const target = { figure: 'torch', atLeast: 0.834 };

type Format = 'pytorch' | 'safetensors';
const endings: Record<Format, string> = { pytorch: 'pt', safetensors: 'safetensors' };
const label: Record<Format, string> = { pytorch: '.pt', safetensors: '.safetensors' };

/** The file that all read: ResNet-50, 102 MB in 320 tensors. */
async function fileOf(format: Format): Promise<string> {
  setEngine(engine);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `resnet50.${endings[format]}`);
  await saveStateDict(path, resnet50().stateDict());
  return path;
}

async function timesOfRuns(run: () => Promise<unknown>, budget: number): Promise<number[]> {
  const times: number[] = [];
  for (let spent = 0; spent < budget || times.length === 0; spent += times.at(-1)!) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times;
}

/** A row of what has to be waited for, and of the peers. */
async function rowOfTurns(one: SpecialCase, run: () => Promise<unknown>, turns: Turns): Promise<Row> {
  const { sessions, failed } = await sessionsOf(one);
  await timesOfRuns(run, 2 * turns.budget);
  const ours = async (budget: number) => {
    await run();
    return timesOfRuns(run, budget);
  };
  return { ...rowOf(one, await inTurns(one, [ours], sessions, turns), sessions), failed };
}

const peersOf = (work: string) => [{ name: 'torch', work, threads }];

function reading(format: Format): SpecialCase {
  const path = join(folder, `resnet50.${endings[format]}`);
  return {
    name: `reading 102 MB, ${label[format]}`,
    engine,
    threads,
    budget: 400,
    peers: peersOf(`io:read:${format}:${path}`),
    target,
    async measure(one, turns): Promise<Row> {
      await fileOf(format);
      const read = async () => {
        // Python gives memory back as soon as nobody has it, which is part of its time; so is this of ours.
        for (const tensor of (await loadStateDict(path)).values()) tensor.storage.release();
      };
      const row = await rowOfTurns(one, read, turns);
      row.extra = { 'MB/s': statSync(path).size / 1e3 / row.ms };
      return row;
    },
  };
}

function writing(format: Format): SpecialCase {
  const path = join(folder, `resnet50.${endings[format]}`);
  return {
    name: `writing 102 MB, ${label[format]}, flushed to the disk`,
    engine,
    threads,
    budget: 600,
    // Python's writers leave the bytes in the system's cache: a crash may lose them, and a killed process leaves half a
    // file.
    peers: peersOf(`io:write:${format}:${path}`),
    target,
    async measure(one, turns): Promise<Row> {
      const state = await loadStateDict(await fileOf(format));
      const ours = join(folder, `written.${endings[format]}`);
      return rowOfTurns(one, () => saveStateDict(ours, state), turns);
    },
  };
}

/** A process that does it once: the first time in it, with memory that the system has to find. */
function memoryOf(action: IoJob['action'], format: Format): SpecialCase {
  return {
    name: `${action === 'read' ? 'reading' : 'writing'} 102 MB, ${label[format]}: peak memory, first time in a process`,
    engine,
    threads,
    peers: [],
    target: { figure: 'memory over the file', atMost: 1.1 },
    async measure(one): Promise<Row> {
      const job: IoJob = { action, path: await fileOf(format), out: join(folder, `written.${endings[format]}`) };
      const runs: IoFigures[] = [];
      for (let i = 0; i < 3; i++) {
        const args = [...onBuilt, program, JSON.stringify(job)];
        const { stdout } = await promisify(execFile)(process.execPath, args);
        runs.push(JSON.parse(stdout) as IoFigures);
      }
      const own = [timesOf(runs.map(({ ms }) => [ms]))];
      const row = rowOf(one, { own, peers: [], speeds: await machineSpeed(threads) }, []);
      row.extra = { 'memory over the file': Math.max(...runs.map(({ peak }) => peak)) / statSync(job.path).size };
      return row;
    },
  };
}

/** A file on the disk that counts what is read of it. */
class CountedFile implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly reads: [start: number, end: number][] = [];
  private readonly file: number;
  constructor(path: string) {
    this.name = path;
    this.size = statSync(path).size;
    this.file = openSync(path, 'r');
  }
  async read(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    this.readInto(bytes, start);
    return bytes;
  }
  readInto(target: Uint8Array, start: number): void {
    this.reads.push([start, start + target.length]);
    readSync(this.file, target, 0, target.length, start);
  }
  close(): void {
    closeSync(this.file);
  }
}

const gigabytes = 4 * 1024 ** 3;
/** 1 MiB behind 4 GiB that take no room on the disk. */
function sparseFile(): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'sparse.safetensors');
  const header = Buffer.from(
    JSON.stringify({
      vast: { dtype: 'F32', shape: [gigabytes / 4], data_offsets: [0, gigabytes] },
      small: { dtype: 'F32', shape: [512, 512], data_offsets: [gigabytes, gigabytes + 1024 ** 2] },
    }),
  );
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(header.length));
  const file = openSync(path, 'w');
  writeSync(file, Buffer.concat([start, header]));
  ftruncateSync(file, 8 + header.length + gigabytes + 1024 ** 2);
  closeSync(file);
  return path;
}

const oneOfSparse: SpecialCase = {
  name: 'opening 4 GiB, .safetensors, and reading 1 MiB of it',
  engine,
  threads,
  budget: 100,
  peers: peersOf(`io_one:${join(folder, 'sparse.safetensors')}:small`),
  target: { figure: 'bytes read but for the tensor', atMost: 1024 },
  async measure(one, turns): Promise<Row> {
    setEngine(engine);
    const path = sparseFile();
    const counted = new CountedFile(path);
    const file = await openTensors(counted);
    const tensor = await file.get('small');
    await file.close();
    if (!(tensor instanceof Tensor) || tensor.size !== 512 * 512) throw new Error('it was not read');
    const read = async () => {
      const again = await openTensors(path);
      (await again.get('small')).storage.release();
      await again.close();
    };
    const row = await rowOfTurns(one, read, turns);
    const bytes = counted.reads.reduce((sum, [start, end]) => sum + end - start, 0);
    row.extra = { reads: counted.reads.length, 'bytes read but for the tensor': bytes - 1024 ** 2 };
    return row;
  },
};

/** The suite. */
export function io(): SpecialCase[] {
  const formats: Format[] = ['pytorch', 'safetensors'];
  return [
    ...formats.map(reading),
    ...formats.map(writing),
    ...formats.flatMap((format) => (['read', 'write'] as const).map((action) => memoryOf(action, format))),
    oneOfSparse,
  ];
}
