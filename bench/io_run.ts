// One process of the memory measurements of files: a state dict is read or written once, and what the process then held
// at most. `node --import tsx bench/io_run.ts '<IoJob as JSON>'` prints a line of JSON (IoFigures).
import { readFileSync, writeFileSync } from 'node:fs';
import '../src/index.ts';
import { setEngine } from '../src/device/engine.ts';
import { loadStateDict, saveStateDict } from '../src/io/index.ts';

export interface IoJob {
  readonly action: 'read' | 'write';
  /** Of a state dict, in the format that is measured. */
  readonly path: string;
  /** Where it is written to. */
  readonly out: string;
}

export interface IoFigures {
  readonly ms: number;
  /** Bytes at most, with the state, beyond what the process had before there was one. */
  readonly peak: number;
}

const figure = (name: string) =>
  1024 * Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))![1]);

const { action, path, out } = JSON.parse(process.argv[2]) as IoJob;
setEngine('native');
// The peak counts from here on, not from the compilation of the program.
writeFileSync('/proc/self/clear_refs', '5');
const before = figure('VmRSS');
let start = performance.now();
const state = await loadStateDict(path);
if (action === 'write') {
  start = performance.now();
  await saveStateDict(out, state);
}
const ms = performance.now() - start;
console.log(JSON.stringify({ ms, peak: figure('VmHWM') - before } satisfies IoFigures));
