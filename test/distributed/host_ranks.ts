// Run by the ranks of two hosts, of which the first start loses its connection: sums until the argument's number of
// them is complete, or until an error.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import {
  allReduce,
  destroyProcessGroup,
  getRank,
  getWorldSize,
  initProcessGroup,
} from '../../src/distributed/index.ts';
import { full } from '../../src/index.ts';

const [sums, checkpoint] = process.argv.slice(2);
initProcessGroup({ timeout: 4 });
try {
  const from = existsSync(checkpoint) ? Number(readFileSync(checkpoint, 'utf8')) : 0;
  console.log(`READY ${process.pid} on ${hostname()} from ${from}`);
  let value = 0;
  for (let i = from; i < Number(sums); i++) {
    // Little and much in turns.
    const x = full([i % 2 ? 10 : 100_000], getRank() + 1);
    allReduce(x, { label: 'a step' });
    value = x.max().item();
    if (i > 0 && i % 50 === 0 && getRank() === 0) writeFileSync(checkpoint, `${i}`);
    if (i === from + 60) console.log('AT WORK');
    await new Promise((done) => setTimeout(done, 10));
  }
  console.log(`RESULT ${value} of ${getWorldSize()} on ${hostname()}`);
} finally {
  destroyProcessGroup();
}
