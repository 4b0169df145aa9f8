// Run by every rank of a job in which something goes wrong on rank 1: what, is the argument.
import {
  allGather,
  allReduce,
  barrier,
  broadcast,
  destroyProcessGroup,
  getRank,
  initProcessGroup,
} from '../../src/distributed/index.ts';
import { ones } from '../../src/index.ts';

const [fault] = process.argv.slice(2);
const forever = new Promise<never>(() => setInterval(() => {}, 1000));
if (fault.startsWith('before') && process.env.RANK === '1') {
  console.log(`READY ${process.pid}`);
  // Until the others wait in it.
  if (fault === 'before: throw') await new Promise((done) => setTimeout(done, 1000));
  if (fault === 'before: throw') throw new TypeError('my own mistake');
  await forever;
}
if (fault.startsWith('before')) console.log(`READY ${process.pid}`);
// What is found by comparing calls needs no limit of time, and nine processes need more than 2 s to start on two cores.
initProcessGroup({ timeout: fault === 'size' ? 30 : 2 });
const isBad = getRank() === 1;
try {
  barrier();
  console.log(`READY ${process.pid}`);
  if (isBad && fault === 'throw') throw new TypeError('my own mistake');
  if (isBad && fault === 'exit') process.exit(3);
  if (isBad && fault === 'exit 0') process.exit(0);
  if (isBad && fault === 'missing') await forever;
  if (isBad && fault === 'kill') {
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 500);
    // Its part of the call is complete, and the others' is not: rank 0 never comes.
    allReduce(ones([5]), { label: 'the loss' });
    await forever;
  }
  if (fault === 'kill' && getRank() === 0) await forever;
  if (fault === 'signal') await forever;
  const label = isBad && fault === 'label' ? 'another loss' : 'the loss';
  const x = ones([isBad && fault === 'size' ? 6 : 5], { dtype: isBad && fault === 'dtype' ? 'float64' : 'float32' });
  if (isBad && fault === 'kind') allGather(x, { label });
  else if (isBad && fault === 'root') broadcast(x, { label, src: 1 });
  else if (fault === 'root') broadcast(x, { label });
  else allReduce(x, { label, op: isBad && fault === 'op' ? 'max' : 'sum' });
  console.log(fault === 'missing' ? x.mul(2).sum().item() : x.toArray());
} finally {
  destroyProcessGroup();
}
