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
destroyProcessGroup();
