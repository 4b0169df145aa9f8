// One process of the memory measurements: a training loop, and what the process held meanwhile.
// `node --import tsx bench/memory_run.ts '<MemoryJob as JSON>'` prints a line of JSON (MemoryFigures).
import { readFileSync } from 'node:fs';
import '../src/index.ts';
import type { EngineName } from '../src/device/backend.ts';
import { setEngine, setNumThreads, synchronize } from '../src/device/engine.ts';
import { setFusion } from '../src/fusion/switch.ts';
import { trainingStep, unscopedStep, workOf } from './networks.ts';

export interface MemoryJob {
  readonly engine: EngineName;
  readonly threads: number;
  /** A workload's text. */
  readonly work: string;
  readonly fused: boolean;
  /** Whether each step is in a scope. */
  readonly scoped: boolean;
  readonly warmUp: number;
  readonly steps: number;
}

/** Resident memory of the process in MiB. */
export interface MemoryFigures {
  /** When the warm-up was over, and when the last step was. */
  readonly warm: number;
  readonly end: number;
  /** The highest that was seen between the two. */
  readonly highest: number;
  /** The process's peak, its start included. */
  readonly peak: number;
  readonly msPerStep: number;
}

const { engine, threads, work, fused, scoped, warmUp, steps } = JSON.parse(process.argv[2]) as MemoryJob;
setEngine(engine);
if (engine === 'native') setNumThreads(threads);
setFusion(fused);
const run = (scoped ? trainingStep : unscopedStep)(workOf(work));
const resident = () => process.memoryUsage.rss() / 2 ** 20;
/** Of this program: the operating system's own figure may be that of the process that started it. */
const peak = () => Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;

let warm = 0;
let highest = 0;
let start = 0;
for (let step = 0; step < warmUp + steps; step++) {
  if (step === warmUp) {
    warm = resident();
    synchronize();
    start = performance.now();
  }
  run();
  if (start > 0) highest = Math.max(highest, resident());
}
synchronize();
const figures: MemoryFigures = {
  warm,
  end: resident(),
  highest,
  peak: peak(),
  msPerStep: (performance.now() - start) / steps,
};
console.log(JSON.stringify(figures));
