// Run by every rank of a job: DistributedDataParallel against one process that has the whole batch. Prints one line,
// `RESULT` and JSON.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { destroyProcessGroup, getRank, getWorldSize, initProcessGroup, newGroup } from '../../src/distributed/index.ts';
import {
  checkpoint,
  type DType,
  manualSeed,
  noGrad,
  randn,
  scope,
  type Tensor,
  tensor,
  zeros,
} from '../../src/index.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  Conv2d,
  copyModule,
  DistributedDataParallel,
  Flatten,
  GroupNorm,
  LazyBatchNorm1d,
  Linear,
  Module,
  ReLU,
  Sequential,
} from '../../src/nn/index.ts';
import { Adam, SGD } from '../../src/optim/index.ts';
import { Checks } from './rank_checks.ts';

initProcessGroup({ timeout: 60 });
const rank = getRank();
const worldSize = getWorldSize();
const ranks = Array.from({ length: worldSize }, (_, i) => i);

const checks = new Checks();
const check = (name: string, isTrue: boolean): void => checks.equal(name, isTrue, true);
/** Relative to the largest value: sums over ranks are added in another order. */
const near = (name: string, got: Tensor | null, expected: Tensor | null, tolerance: number): void =>
  checks.close(name, got, expected, tolerance);
const valuesOf = (x: Tensor): number[] => Array.from(x.detach().reshape([-1]).dataSync() as Float64Array, Number);
const toleranceOf = (dtype: DType): number => (dtype === 'float64' ? 1e-12 : 1e-5);
function sameOnAllRanks(name: string, tensors: readonly Tensor[]): void {
  for (const [i, x] of tensors.entries()) checks.same(`${name}, ${i}`, x);
}

/** Without batch statistics: a rank's part of the batch is computed as it is in the whole. */
function network(dtype: DType): Sequential {
  return new Sequential(
    new Conv2d(2, 8, 3, { padding: 1, dtype }),
    new GroupNorm(2, 8, { dtype }),
    new ReLU(),
    new Conv2d(8, 4, 3, { stride: 2, bias: false, dtype }),
    new Flatten(),
    new Linear(36, 30, { dtype }),
    new ReLU(),
    new Linear(30, 3, { dtype }),
  );
}
const samples = 2 * 12;
const batch = (dtype: DType, seed: number): Tensor => {
  manualSeed(seed);
  return randn([samples, 2, 8, 8], { dtype });
};
const part = (x: Tensor): Tensor => x.chunk(worldSize)[rank];

/** Steps of training: every parameter, every gradient, at every step. */
function checkTraining(dtype: DType, isChannelsLast: boolean, bucketCapMb: number, setToNone: boolean): void {
  const name = `${dtype} ${isChannelsLast ? 'channelsLast' : 'contiguous'} ${bucketCapMb} MB ${setToNone}`;
  manualSeed(1);
  const alone = network(dtype);
  manualSeed(1 + rank); // the first rank's go to all
  const ddp = new DistributedDataParallel(network(dtype), { bucketCapMb });
  const [own, whole] = [ddp, alone].map(
    (net) => new SGD(net.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 0.01 }),
  );
  for (let step = 0; step < 4; step++)
    scope(() => {
      const drawn = batch(dtype, 10 + step);
      const x = isChannelsLast ? drawn.contiguous('channelsLast') : drawn;
      own.zeroGrad({ setToNone });
      ddp(part(x)).square().mean().backward();
      whole.zeroGrad({ setToNone });
      alone(x).square().mean().backward();
      for (const [i, [key, parameter]] of alone.namedParameters().entries())
        near(`${name}, step ${step}, gradient of ${key}`, ddp.parameters()[i].grad, parameter.grad, toleranceOf(dtype));
      own.step();
      whole.step();
    });
  for (const [i, parameter] of alone.parameters().entries())
    near(`${name}, parameter ${i}`, ddp.parameters()[i], parameter, 10 * toleranceOf(dtype));
  sameOnAllRanks(name, [...ddp.parameters(), ...ddp.parameters().map(({ grad }) => grad!)]);
}

/** Gradients of several micro-batches, of which the last one averages; and on top of averaged ones. */
function checkAccumulation(): void {
  manualSeed(1);
  const alone = network('float64');
  const ddp = new DistributedDataParallel(copyModule(alone) as Sequential, { bucketCapMb: 0.001 });
  for (let round = 0; round < 2; round++) {
    for (let micro = 0; micro < 3; micro++) {
      const x = batch('float64', 20 + micro);
      const run = () => void ddp(part(x)).square().mean().backward();
      if (micro < 2) ddp.noSync(run);
      else run();
      alone(x).square().mean().backward();
    }
    for (const [i, parameter] of alone.parameters().entries())
      near(`accumulation, round ${round}, ${i}`, ddp.parameters()[i].grad, parameter.grad, 1e-12);
  }
}

/** What a caller holds keeps its values, although gradients are ranges of the buckets' memory. */
function checkHeldGradients(): void {
  const ddp = new DistributedDataParallel(network('float64'));
  const [parameter] = ddp.parameters();
  const held: Tensor[] = [];
  const values: number[][] = [];
  for (let step = 0; step < 3; step++) {
    ddp(part(batch('float64', 30 + step)))
      .square()
      .mean()
      .backward();
    held.push(parameter.grad!);
    values.push(valuesOf(parameter.grad!));
    for (const each of ddp.parameters()) each.grad = null;
  }
  for (const [i, each] of held.entries())
    check(
      `held gradient ${i}`,
      valuesOf(each).every((v, j) => v === values[i][j]),
    );
}

/** Two heads, of which each rank, and each step, uses others. */
class Heads extends Module {
  trunk = new Linear(4, 4, { dtype: 'float64' });
  first = new Linear(4, 2, { dtype: 'float64' });
  second = new Linear(4, 2, { dtype: 'float64' });
  never = new Linear(4, 2, { dtype: 'float64' });
  forward(x: Tensor, which: number): { output: Tensor; list: Tensor[] } {
    const trunk = this.trunk(x);
    const output =
      which === 0 ? this.first(trunk) : which === 1 ? this.second(trunk) : this.first(trunk).add(this.second(trunk));
    return { output, list: [] };
  }
}
function checkUnused(staticGraph: boolean): void {
  manualSeed(2);
  const alone = new Heads();
  const ddp = new DistributedDataParallel(copyModule(alone) as Heads, {
    findUnusedParameters: true,
    staticGraph,
    bucketCapMb: 0.0001,
  });
  for (let step = 0; step < 4; step++) {
    const useOf = (r: number) => (staticGraph ? r % 3 : (r + step) % 3);
    manualSeed(40 + step);
    const xs = ranks.map(() => randn([3, 4], { dtype: 'float64' }));
    for (const each of [...alone.parameters(), ...ddp.parameters()]) each.grad = null;
    ddp(xs[rank], useOf(rank)).output.square().mean().backward();
    for (const r of ranks) alone(xs[r], useOf(r)).output.square().mean().div(worldSize).backward();
    for (const [i, [key, parameter]] of alone.namedParameters().entries())
      near(`unused, static ${staticGraph}, step ${step}, ${key}`, ddp.parameters()[i].grad, parameter.grad, 1e-12);
  }
}

/** What one micro-batch in noSync() has used is averaged with the next one, which does not use it. */
function checkUnusedWithoutSync(): void {
  if (worldSize === 1) return;
  manualSeed(2);
  const alone = new Heads();
  const ddp = new DistributedDataParallel(copyModule(alone) as Heads, { findUnusedParameters: true });
  manualSeed(45);
  const xs = ranks.map(() => randn([3, 4], { dtype: 'float64' }));
  ddp.noSync(() =>
    ddp(xs[rank], rank === 0 ? 0 : 1)
      .output.sum()
      .backward(),
  );
  ddp(xs[rank], 0).output.sum().backward();
  for (const r of ranks)
    alone(xs[r], r === 0 ? 0 : 1)
      .output.sum()
      .add(alone(xs[r], 0).output.sum())
      .div(worldSize)
      .backward();
  for (const [i, [key, parameter]] of alone.namedParameters().entries())
    near(`unused after noSync, ${key}`, ddp.parameters()[i].grad, parameter.grad, 1e-12);
  sameOnAllRanks(
    'unused after noSync',
    ddp.parameters().flatMap(({ grad }) => grad ?? []),
  );
}

/** A forward that records nothing, and reading gradients in every way, between a forward and its backward or after. */
function checkBetween(): void {
  manualSeed(6);
  const alone = network('float64');
  const ddp = new DistributedDataParallel(copyModule(alone) as Sequential);
  const x = batch('float64', 70);
  const output = ddp(part(x));
  const target = noGrad(() => ddp(part(x)));
  output.sub(target).add(1).square().mean().backward();
  const loss = alone(x);
  loss.sub(loss.detach()).add(1).square().mean().backward();
  for (const [i, parameter] of alone.parameters().entries()) {
    const gradient = ddp.parameters()[i].grad!;
    near(`a whole selection, ${i}`, gradient.narrow(0, 0, gradient.shape[0]), parameter.grad, 1e-12);
    near(`a forward without gradients in between, ${i}`, gradient, parameter.grad, 1e-12);
  }
  // An average of the wrapped model is only read.
  const average = copyModule(ddp) as DistributedDataParallel;
  check('a copy evaluates', noGrad(() => average(part(x))).shape[0] === samples / worldSize);
  if (worldSize > 1)
    throwsWith('a copy that is trained', /this is a copy, whose gradients nobody averages/, () => average(part(x)));
  ddp(part(x)).mean().backward();
}

/** A parameter that is used in two checkpoints, in a static graph. */
class Twice extends Module {
  linear = new Linear(4, 4, { dtype: 'float64' });
  forward(x: Tensor): Tensor {
    const once = (y: Tensor) => this.linear(y).relu();
    return checkpoint(once, checkpoint(once, x) as Tensor) as Tensor;
  }
}
function checkCheckpoints(): void {
  manualSeed(3);
  const alone = new Twice();
  const ddp = new DistributedDataParallel(copyModule(alone) as Twice, { staticGraph: true });
  for (let step = 0; step < 3; step++) {
    manualSeed(50 + step);
    const x = randn([worldSize * 2, 4], { dtype: 'float64' });
    for (const each of [...alone.parameters(), ...ddp.parameters()]) each.grad = null;
    ddp(x.chunk(worldSize)[rank]).square().mean().backward();
    alone(x).square().mean().backward();
    for (const [i, parameter] of alone.parameters().entries())
      near(`twice, step ${step}, ${i}`, ddp.parameters()[i].grad, parameter.grad, 1e-12);
  }
}

/** NORMALIZATION.md's trace of buffers: momentum 1, rank r sees the batch mean 2(r + 1). */
class Seen extends BatchNorm1d {
  seen = 0;
  override forward(x: Tensor): Tensor {
    this.seen = this.runningMean!.item();
    return super.forward(x) as Tensor;
  }
}
function checkBuffers(): void {
  if (worldSize !== 2) return;
  const bn = new Seen(1, { momentum: 1 });
  const ddp = new DistributedDataParallel(bn);
  const x = tensor([[1], [3]]).mul(rank + 1);
  const states: string[] = [];
  const note = () => states.push(`${bn.seen}/${bn.runningMean!.item()}`);
  const train = () => {
    ddp.train();
    ddp(x).sum().backward();
    note();
  };
  const evaluate = () => {
    ddp.eval();
    const y = ddp(x);
    if (y.requiresGrad) y.sum().backward();
    note();
  };
  train();
  train();
  ddp.noSync(train);
  train();
  train();
  noGrad(evaluate);
  train();
  train();
  evaluate();
  train();
  const expected = rank === 0 ? '0/2 2/2 2/2 2/2 2/2 2/2 2/2 2/2 2/2 2/2' : '0/4 2/4 2/4 4/4 2/4 2/2 2/4 2/4 2/2 2/4';
  check(`buffers: ${states.join(' ')}`, states.join(' ') === expected);
  const quiet = new DistributedDataParallel(new Seen(1, { momentum: 1 }), { broadcastBuffers: false });
  for (let i = 0; i < 2; i++) quiet(x).sum().backward();
  check('buffers stay without broadcastBuffers', quiet.module.seen === 2 * (rank + 1));
  // In PyTorch the second broadcast changes what the first forward has saved.
  const double = new DistributedDataParallel(new Sequential(new Linear(1, 2), new BatchNorm1d(2), new Linear(2, 1)));
  double(x)
    .sum()
    .add(double(x.add(1)).sum())
    .backward();
  check(
    'two forwards before one backward',
    double.parameters().every(({ grad }) => grad !== null),
  );
}

/** Ranks with other numbers of batches: those that have ended give zeros. */
async function checkJoin(): Promise<void> {
  for (const batches of [(r: number) => 2 + r, (r: number) => (r === 0 ? 4 : r - 1)]) {
    manualSeed(4);
    const alone = network('float64');
    const ddp = new DistributedDataParallel(copyModule(alone) as Sequential, { bucketCapMb: 0.001 });
    const [own, whole] = [ddp, alone].map((net) => new SGD(net.parameters(), { lr: 0.1 }));
    const x = (step: number, r: number) => {
      manualSeed(60 + step * 8 + r);
      return randn([2, 2, 8, 8], { dtype: 'float64' });
    };
    await ddp.join(() => {
      for (let step = 0; step < batches(rank); step++) {
        own.zeroGrad();
        ddp(x(step, rank)).square().mean().backward();
        own.step();
      }
    });
    for (let step = 0; ranks.some((r) => step < batches(r)); step++) {
      whole.zeroGrad();
      for (const r of ranks) if (step < batches(r)) alone(x(step, r)).square().mean().div(worldSize).backward();
      whole.step();
    }
    for (const [i, parameter] of alone.parameters().entries())
      near(`join, parameter ${i}`, ddp.parameters()[i], parameter, 1e-11);
    sameOnAllRanks('join', ddp.parameters());
    // Afterwards all train together again.
    ddp(x(9, rank)).square().mean().backward();
    sameOnAllRanks(
      'after join',
      ddp.parameters().map(({ grad }) => grad!),
    );
  }
}

/** Two groups, each a model of its own. */
function checkGroups(): void {
  if (worldSize < 3) return;
  const groups = [newGroup(ranks.filter((r) => r % 2 === 0)), newGroup(ranks.filter((r) => r % 2 === 1))];
  const group = groups[rank % 2];
  manualSeed(rank % 2);
  const ddp = new DistributedDataParallel(new Linear(3, 1, { dtype: 'float64' }), { processGroup: group });
  const x = zeros([1, 3], { dtype: 'float64' }).add(rank);
  ddp(x).sum().backward();
  const mean = group.ranks.reduce((sum, r) => sum + r, 0) / group.worldSize;
  near('groups', ddp.module.weight.grad, zeros([1, 3], { dtype: 'float64' }).add(mean), 1e-12);
}

function throwsWith(name: string, text: RegExp, fn: () => void): void {
  checks.count++;
  try {
    fn();
    checks.fail(`${name}: nothing was thrown`);
  } catch (error) {
    if (!text.test(String(error))) checks.fail(`${name}: ${error}`);
  }
}
function checkErrors(): void {
  if (worldSize === 1) return;
  const list = ranks.filter((r) => r !== 1).join(', ');
  const others = worldSize > 2 ? `ranks ${list}` : `rank ${list}`;
  throwsWith(
    'another size',
    new RegExp(
      `the ranks have built different models; the first difference:\n  ${others}: parameter '1.weight' \\[2, 3\\] float32\n  rank 1: parameter '1.weight' \\[4, 3\\] float32$`,
    ),
    () => new DistributedDataParallel(new Sequential(new Linear(3, 3), new Linear(3, rank === 1 ? 4 : 2))),
  );
  throwsWith(
    'a layer more',
    /rank 1: parameter '1.weight'/,
    () => new DistributedDataParallel(new Sequential(new Linear(3, 3), ...(rank === 1 ? [new Linear(3, 3)] : []))),
  );
  throwsWith(
    'other dtypes',
    /rank 1: parameter 'weight' \[3, 3\] float64$/m,
    () => new DistributedDataParallel(new Linear(3, 3, { dtype: rank === 1 ? 'float64' : 'float32' })),
  );
  throwsWith('lazy', /Run a dummy forward pass/, () => new DistributedDataParallel(new LazyBatchNorm1d()));
  const heads = new DistributedDataParallel(new Heads());
  const x = zeros([1, 4], { dtype: 'float64' });
  heads(x, 0).output.sum().backward();
  throwsWith('unused', /gave none to '.*second.*findUnusedParameters/, () => heads(x, 0));
  const converted = new DistributedDataParallel(new Linear(3, 3));
  converted.module.bias!.requiresGrad = false;
  throwsWith('frozen', /to be those that it was wrapped with/, () => converted(zeros([1, 3])));
  const wider = new DistributedDataParallel(new Linear(3, 3));
  wider.module.to('float64');
  throwsWith('converted', /to be those that it was wrapped with/, () => wider(zeros([1, 3], { dtype: 'float64' })));
  const two = new DistributedDataParallel(new Linear(3, 3));
  const [a, b] = [two(zeros([1, 3])), two(zeros([1, 3]))];
  a.sum().backward();
  throwsWith('two backwards', /a second backward, after 2 forwards/, () => b.sum().backward());
  const unexpected = new DistributedDataParallel(new Heads(), { findUnusedParameters: true });
  const headless = unexpected(x, 0).output.sum().add(unexpected.module.second.weight.sum());
  throwsWith('unexpected', /only those that the outputs of the forward depend on/, () => headless.backward());
  const twice = new DistributedDataParallel(new Linear(3, 3));
  throwsWith('createGraph', /'(weight|bias)' is to be differentiated in turn/, () =>
    twice(zeros([1, 3]))
      .square()
      .sum()
      .backward(null, { createGraph: true }),
  );
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
/** The bytes of array buffers that somebody still holds: when the collector comes by itself is chance. */
function livingBytes(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

/** Adam, with running statistics, in a step scope: memory does not grow, and ranks stay equal. */
function checkMemory(): void {
  manualSeed(5);
  const net = new Sequential(
    new Conv2d(2, 32, 3),
    new BatchNorm2d(32),
    new ReLU(),
    new Flatten(),
    new Linear(32 * 36, 200),
  );
  const ddp = new DistributedDataParallel(net, { bucketCapMb: 0.5 });
  const adam = new Adam(ddp.parameters());
  let first = 0;
  for (let step = 0; step < 60; step++) {
    scope(() => {
      adam.zeroGrad();
      ddp(part(batch('float32', step)))
        .square()
        .mean()
        .backward();
      adam.step();
    });
    if (step === 20) first = livingBytes();
  }
  const last = livingBytes();
  check(`memory: ${first} to ${last}`, last < first + 8e6);
  sameOnAllRanks('Adam', ddp.parameters());
}

for (const dtype of ['float32', 'float64'] as const)
  for (const isChannelsLast of [false, true])
    for (const [cap, setToNone] of [
      [25, true],
      [0.001, false],
      [0.004, true],
    ] as const)
      checkTraining(dtype, isChannelsLast, cap, setToNone);
checkAccumulation();
checkHeldGradients();
checkUnused(false);
checkUnused(true);
checkUnusedWithoutSync();
checkBetween();
checkCheckpoints();
checkBuffers();
await checkJoin();
checkGroups();
checkErrors();
checkMemory();

checks.report();
destroyProcessGroup();
