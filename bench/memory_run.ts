// One process of the memory suite: a training loop as written by hand, without scopes or disposal, and what it held meanwhile.
// `node --import tsx bench/memory_run.ts <engine> <threads> <batch> <warm-up steps> <steps>` prints a line of JSON (MemoryFigures).
import '../src/index.ts';
import type { DeviceName } from '../src/kernels/device.ts';
import { setEngine, setNumThreads } from '../src/kernels/engine.ts';
import { lenetBatchNorm } from '../src/models/lenet.ts';
import { crossEntropy } from '../src/ops/loss.ts';
import { SGD } from '../src/optim/index.ts';
import { manualSeed } from '../src/tensor/random/index.ts';
import { randint, randn } from '../src/tensor/random.ts';

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

const [engine, threads, batch, warmUp, steps] = process.argv.slice(2);
setEngine(engine as DeviceName);
if (engine === 'native') setNumThreads(Number(threads));
manualSeed(0);
const model = lenetBatchNorm();
const optimizer = new SGD(model.parameters(), { lr: 0.1 });
const x = randn([Number(batch), 1, 28, 28]);
const y = randint(0, 10, [Number(batch)]);
const resident = () => process.memoryUsage.rss() / 2 ** 20;

let warm = 0;
let highest = 0;
let start = 0;
for (let step = 0; step < Number(warmUp) + Number(steps); step++) {
  if (step === Number(warmUp)) {
    warm = resident();
    start = performance.now();
  }
  optimizer.zeroGrad();
  crossEntropy(model.call(x), y).backward();
  optimizer.step();
  if (start > 0) highest = Math.max(highest, resident());
}
const figures: MemoryFigures = {
  warm,
  end: resident(),
  highest,
  peak: process.resourceUsage().maxRSS / 1024,
  msPerStep: (performance.now() - start) / Number(steps),
};
console.log(JSON.stringify(figures));
