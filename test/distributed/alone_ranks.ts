// Run by every rank, of which there may be one: the sum over all ranks of their number and one.
import {
  allReduce,
  destroyProcessGroup,
  getRank,
  getWorldSize,
  initProcessGroup,
} from '../../src/distributed/index.ts';
import { full } from '../../src/index.ts';

initProcessGroup();
const x = full([], getRank() + 1);
allReduce(x);
console.log(`rank ${getRank()} of ${getWorldSize()}: ${x.item()}`);
// A call whose result nobody takes: its memory is there until it is over, although the process ends.
for (let i = 0; i < 20; i++) allReduce(full([1000], i));
destroyProcessGroup();
