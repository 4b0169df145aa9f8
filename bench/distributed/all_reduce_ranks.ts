// Run by every rank: how long a mean over ranks takes, from its call to its result, for several sizes of float32. Rank
// 0 prints JSON. Arguments: sizes in bytes; default: those of all_reduce_peer.py.
import { allReduce, barrier, destroyProcessGroup, getRank, initProcessGroup } from '../../src/distributed/index.ts';
import { full } from '../../src/index.ts';
import { median } from '../measure.ts';

/** How often each size is measured where none is said. */
const usual: readonly [bytes: number, runs: number][] = [
  [40, 2000],
  [40_000, 1000],
  [4_000_000, 100],
  [100_000_000, 10],
];
const said = process.argv.slice(2).map((bytes): [number, number] => [Number(bytes), Number(bytes) < 1e6 ? 200 : 10]);
const sizes = said.length > 0 ? said : usual;

initProcessGroup();
const microseconds: Record<string, number> = {};
for (const [bytes, runs] of sizes) {
  const x = full([bytes / 4], 1e-3);
  const times: number[] = [];
  for (let run = -Math.ceil(runs / 10); run < runs; run++) {
    barrier();
    const start = performance.now();
    allReduce(x, { op: 'mean' }).wait();
    if (run >= 0) times.push((performance.now() - start) * 1000);
  }
  microseconds[bytes] = median(times);
}
if (getRank() === 0) console.log(`RESULT ${JSON.stringify({ microseconds })}`);
destroyProcessGroup();
