// Run by every rank of a job: SyncBatchNorm against batch norm of one process that has the batches of all ranks. Each
// rank makes the whole batch itself, takes its part, which may be empty, and sums gradients of parameters over the
// ranks.
import { destroyProcessGroup, getRank, getWorldSize, initProcessGroup, newGroup } from '../../src/distributed/index.ts';
import { cat, checkpoint, grad, manualSeed, type Tensor, zeros } from '../../src/index.ts';
import {
  BatchNorm2d,
  BatchNormXd,
  Conv2d,
  convertSyncBatchNorm,
  freezeBatchNorm,
  functional,
  Module,
  type ProcessGroup,
  ReLU,
  revertSyncBatchNorm,
  Sequential,
  SyncBatchNorm,
  type SyncBatchNormOptions,
  summary,
  withMicroBatches,
} from '../../src/nn/index.ts';
import { SGD, stageStatistics } from '../../src/optim/index.ts';
import { setWarningHandler } from '../../src/warnings.ts';
import { Checks, type Float, Numbers, ownPart, sumOfRanks, unevenSplit } from './rank_checks.ts';

const layerCases = Number(process.argv[2]);
initProcessGroup({ timeout: 20 });
const [rank, worldSize] = [getRank(), getWorldSize()];
const checks = new Checks();
// Frozen parameters with statistics that move are a case here.
setWarningHandler(() => {});

/**
 * A rank sums its own share, so that other roundings remain: of float64 a few, of float32 those of the sums of a
 * convolution's gradient as well.
 */
const tolerance: Record<Float, number> = { float64: 1e-12, float32: 1e-6 };

/** The group of the job, which counts its exchanges and notes what they are for. */
const labels: string[] = [];
const counted = (group: ProcessGroup): ProcessGroup => ({
  worldSize: group.worldSize,
  rank: group.rank,
  allGather(value, label) {
    labels.push(`${label}`);
    return group.allGather(value, label);
  },
  allReduceSum(value, label) {
    labels.push(`${label}`);
    return group.allReduceSum(value, label);
  },
});
const world = newGroup(Array.from({ length: worldSize }, (_, i) => i));

const parameterOf = (model: Module, path: string) => new Map(model.namedParameters()).get(path)!;

/** Parameters' gradients: of all ranks together those of one process. */
function checkParameters(name: string, model: Module, whole: Module, dtype: Float): void {
  for (const [path, parameter] of whole.namedParameters()) {
    if (!parameter.grad) continue;
    const own = parameterOf(model, path);
    checks.close(
      `${name}: gradient of ${path}`,
      sumOfRanks(own.grad ?? zeros(own.shape, { dtype })),
      parameter.grad,
      tolerance[dtype],
    );
  }
}
/** Statistics: those of one process, the same bits everywhere. */
function checkBuffers(name: string, model: Module, whole: Module, dtype: Float): void {
  for (const [path, buffer] of whole.namedBuffers()) {
    const own = new Map(model.namedBuffers()).get(path)!;
    checks.close(`${name}: ${path}`, own, buffer, tolerance[dtype]);
    checks.same(`${name}: ${path}`, own);
  }
}
const copyInto = (to: Module, from: Module) => to.loadStateDict(from.stateDict());

/** One layer of random options on random shapes. */
function checkLayer(seed: number): void {
  const numbers = new Numbers(seed);
  const dtype = numbers.oneOf(['float32', 'float64'] as const);
  const channels = numbers.integer(1, 9);
  const options: SyncBatchNormOptions = {
    eps: numbers.oneOf([1e-5, 1e-3, 0.1]),
    momentum: numbers.oneOf([0.1, null, 1, 0.3]),
    affine: numbers.chance(0.75),
    bias: numbers.chance(0.75),
    trackRunningStats: numbers.chance(0.75),
    dtype,
  };
  const spatial = Array.from({ length: numbers.integer(0, 3) }, () => numbers.integer(1, 6));
  const format = spatial.length === 2 && numbers.chance() ? 'channelsLast' : 'contiguous';
  const fuses = numbers.chance();
  const isFrozen = { weight: numbers.chance(0.2), bias: numbers.chance(0.2) };
  const wantsInput = numbers.chance(0.8);
  const made = (layer: BatchNormXd | SyncBatchNorm): Sequential => {
    for (const each of ['weight', 'bias'] as const) if (isFrozen[each] && layer[each]) layer[each].requiresGrad = false;
    return fuses ? new Sequential(layer, new ReLU()) : new Sequential(layer);
  };
  const isNamed = numbers.chance();
  const model = made(new SyncBatchNorm(channels, { ...options, processGroup: isNamed ? counted(world) : null }));
  const whole = made(new BatchNormXd(channels, options));
  for (const each of whole.parameters()) {
    const { requiresGrad } = each;
    each.detach().copy_(numbers.tensor(each.shape, dtype));
    each.requiresGrad = requiresGrad;
  }
  copyInto(model, whole);
  for (let step = 0; step < 2; step++) {
    const sizes = unevenSplit(numbers, worldSize);
    const shape = [sizes.reduce((a, b) => a + b), channels, ...spatial];
    const name = `case ${seed}, step ${step}: ${dtype} [${shape}] of ${sizes}, ${format}, ${JSON.stringify(options)}`;
    const values = numbers.tensor(shape, dtype, numbers.oneOf([0, 0, 30])).contiguous(format);
    const [x, part] = [values.clone(), ownPart(values, sizes)];
    for (const each of [x, part]) each.requiresGrad = wantsInput;
    const dy = numbers.tensor(shape, dtype).contiguous(format);
    labels.length = 0;
    const [y, own] = [whole(x) as Tensor, model(part) as Tensor];
    checks.close(`${name}: output`, own, ownPart(y, sizes), tolerance[dtype]);
    checks.equal(`${name}: memory format`, own.memoryFormat, part.memoryFormat);
    if (y.requiresGrad) {
      y.backward(dy);
      own.backward(ownPart(dy, sizes));
    }
    if (wantsInput) checks.close(`${name}: gradient of x`, part.grad, ownPart(x.grad!, sizes), tolerance[dtype]);
    checkParameters(name, model, whole, dtype);
    checkBuffers(name, model, whole, dtype);
    // One exchange forward, and one backward, if somebody wants the gradient of x.
    const expected = ['0, forward', ...(wantsInput ? ['0, backward'] : [])];
    if (worldSize > 1 && isNamed) checks.equal(`${name}: exchanges`, labels, expected);
    for (const each of [model, whole]) each.zeroGrad();
  }
}

/** Two convolutions with norms between and behind them, around which a shortcut goes. */
class Block extends Module {
  conv1: Conv2d;
  bn1: Module;
  conv2: Conv2d;
  bn2: Module;
  private readonly isCheckpointed: boolean;
  constructor(dtype: Float, isCheckpointed: boolean) {
    super();
    // Without biases: what a norm follows has a gradient of 0 for them, and of its roundings alone.
    this.conv1 = new Conv2d(3, 8, 3, { padding: 1, bias: false, dtype });
    this.bn1 = new BatchNorm2d(8, { dtype });
    this.conv2 = new Conv2d(8, 8, 3, { padding: 1, bias: false, dtype });
    this.bn2 = new BatchNorm2d(8, { dtype });
    this.isCheckpointed = isCheckpointed;
  }
  private body(x: Tensor): Tensor {
    const h = this.conv1(x) as Tensor;
    const y = (this.bn1(h) as Tensor).relu();
    return (this.bn2(this.conv2(y)) as Tensor).add(h).relu();
  }
  forward(x: Tensor): Tensor {
    return this.isCheckpointed ? checkpoint((t: Tensor) => this.body(t), x) : this.body(x);
  }
}

interface BlockCase {
  readonly dtype: Float;
  readonly format: 'contiguous' | 'channelsLast';
  readonly isCheckpointed?: boolean;
  readonly freezes?: 'all' | 'affine' | 'statistics';
  readonly parts?: number;
}

/** Deferred norms, statistics that convolutions leave, checkpoints, freezing and micro-batches. */
function checkBlock(seed: number, { dtype, format, isCheckpointed = false, freezes, parts = 1 }: BlockCase): void {
  const numbers = new Numbers(seed);
  manualSeed(seed);
  const whole = new Block(dtype, isCheckpointed);
  const model = new Block(dtype, isCheckpointed);
  copyInto(model, whole);
  convertSyncBatchNorm(model, { processGroup: counted(world) });
  for (const each of [whole, model])
    if (freezes) freezeBatchNorm(each, { affine: freezes !== 'statistics', statistics: freezes !== 'affine' });
  const name = `block: ${dtype}, ${format}, checkpointed ${isCheckpointed}, frozen ${freezes}, ${parts} micro-batches`;
  for (let step = 0; step < 2; step++) {
    const batches = Array.from({ length: parts }, () => {
      const sizes = unevenSplit(numbers, worldSize);
      const shape = [sizes.reduce((a, b) => a + b), 3, 6, 5];
      const values = numbers.tensor(shape, dtype).contiguous(format);
      return {
        sizes,
        x: values,
        own: ownPart(values, sizes),
        dy: numbers.tensor([shape[0], 8, 6, 5], dtype).contiguous(format),
      };
    });
    labels.length = 0;
    for (const { x, own } of batches) x.requiresGrad = own.requiresGrad = true;
    withMicroBatches(whole, parts, () => {
      for (const { x, dy } of batches) whole(x).backward(dy);
    });
    withMicroBatches(model, parts, () => {
      for (const { own, dy, sizes } of batches) model(own).backward(ownPart(dy, sizes));
    });
    for (const { x, own, sizes } of batches)
      checks.close(`${name}: gradient of x`, own.grad, ownPart(x.grad!, sizes), tolerance[dtype]);
    checkParameters(name, model, whole, dtype);
    checkBuffers(name, model, whole, dtype);
    const once = ['bn1, forward', 'bn2, forward', 'bn2, backward', 'bn1, backward'];
    const again = ['bn1, forward', 'bn2, forward', ...once];
    if (freezes === 'all' || freezes === 'statistics' || worldSize === 1)
      checks.equal(`${name}: exchanges`, labels, []);
    else if (!isCheckpointed) checks.equal(`${name}: exchanges`, labels, Array(parts).fill(once).flat());
    else checks.equal(`${name}: number of exchanges`, labels.length, parts * again.length);
    for (const each of [model, whole]) each.zeroGrad();
  }
  // And back: the same statistics.
  revertSyncBatchNorm(model);
  checks.equal(`${name}: reverted`, model.bn1.constructor.name, 'BatchNorm2d');
  checkBuffers(`${name}: reverted`, model, whole, dtype);
}

/** Steps of an optimizer with staged statistics; one step has a NaN on one rank, and is taken by nobody. */
function checkStaged(): void {
  const numbers = new Numbers(5);
  manualSeed(5);
  const dtype = 'float64';
  const whole = new Block(dtype, false);
  const model = new Block(dtype, false);
  copyInto(model, whole);
  convertSyncBatchNorm(model);
  const sides = [whole, model].map((each) => {
    const optimizer = new SGD(each.parameters(), { lr: 0.05, momentum: 0.9 });
    return { optimizer, staged: stageStatistics(each, optimizer) };
  });
  for (let step = 0; step < 4; step++) {
    const sizes = unevenSplit(numbers, worldSize);
    const shape = [sizes.reduce((a, b) => a + b), 3, 6, 5];
    const x = numbers.tensor(shape, dtype);
    const dy = numbers.tensor([shape[0], 8, 6, 5], dtype);
    const bad = sizes.findIndex((size) => size > 0);
    if (step === 2) {
      const before = sizes.slice(0, bad).reduce((a, b) => a + b, 0);
      x.setIndex([before, 1, 2, 3], Number.NaN);
    }
    whole(x).backward(dy);
    model(ownPart(x, sizes)).backward(ownPart(dy, sizes));
    for (const parameter of model.parameters()) parameter.grad = sumOfRanks(parameter.grad!);
    for (const { optimizer } of sides) optimizer.step();
    checks.equal(
      'staged statistics: skipped steps',
      sides.map(({ staged }) => staged.skippedSteps),
      Array(2).fill(step >= 2 ? 1 : 0),
    );
    for (const [path, parameter] of whole.namedParameters()) {
      checks.close(`staged statistics: ${path}`, parameterOf(model, path), parameter, tolerance[dtype]);
      checks.same(`staged statistics: ${path}`, parameterOf(model, path));
    }
    checkBuffers('staged statistics', model, whole, dtype);
    for (const { optimizer } of sides) optimizer.zeroGrad();
  }
}

/** Statistics of some of the ranks. */
function checkGroups(): void {
  const ranks = Array.from({ length: worldSize }, (_, i) => i);
  for (const members of [ranks.slice(0, 2), ranks.slice(2), ranks.filter((r) => r % 2 === 1)]) {
    if (members.length === 0) continue;
    const group = newGroup(members);
    if (group.rank < 0) continue;
    const numbers = new Numbers(members.length);
    const sizes = ranks.map((r) => (members.includes(r) ? 2 + r : 0));
    const x = numbers.tensor([sizes.reduce((a, b) => a + b), 3], 'float64');
    const dy = numbers.tensor(x.shape, 'float64');
    const [bn, whole] = [
      new SyncBatchNorm(3, { dtype: 'float64', processGroup: group }),
      new BatchNormXd(3, { dtype: 'float64' }),
    ];
    const own = ownPart(x, sizes);
    x.requiresGrad = own.requiresGrad = true;
    whole(x).backward(dy);
    bn(own).backward(ownPart(dy, sizes));
    checks.close(`group ${members}: gradient of x`, own.grad, ownPart(x.grad!, sizes), tolerance.float64);
    checks.close(`group ${members}: variance`, bn.runningVar, whole.runningVar, tolerance.float64);
    checks.equal(`group ${members}: counter`, bn.numBatchesTracked!.item(), 1);
  }
}

/** A penalty on the gradient of the input: second derivatives. */
function checkSecondDerivatives(relu: boolean): void {
  const numbers = new Numbers(9);
  const sizes = unevenSplit(numbers, worldSize);
  const shape = [sizes.reduce((a, b) => a + b), 4, 3, 2];
  const [x, dy, direction] = Array.from({ length: 3 }, () => numbers.tensor(shape, 'float64'));
  const [weight, bias] = [numbers.tensor([4], 'float64'), numbers.tensor([4], 'float64')];
  const second = (input: Tensor, g: Tensor, along: Tensor, apply: (t: Tensor, w: Tensor, b: Tensor) => Tensor) => {
    const [w, b] = [weight, bias].map((t) => t.clone().requiresGrad_());
    for (const each of [input, g]) each.requiresGrad = true;
    const [dx] = grad([apply(input, w, b)], [input], { gradOutputs: [g], createGraph: true });
    return grad([dx.mul(dx).mul(along).sum()], [input, w, g]);
  };
  const expected = second(x.clone(), dy.clone(), direction, (t, w, b) =>
    functional.batchNorm(t, null, null, { weight: w, bias: b, training: true, relu }),
  );
  const got = second(ownPart(x, sizes), ownPart(dy, sizes), ownPart(direction, sizes), (t, w, b) =>
    functional.syncBatchNorm(t, null, null, world, { weight: w, bias: b, relu }),
  );
  // Sums of sums of products: more roundings than a layer has.
  const name = `second derivatives, relu ${relu}`;
  checks.close(`${name}: of x`, got[0], ownPart(expected[0], sizes), 1e-11);
  checks.close(`${name}: of weight`, sumOfRanks(got[1]), expected[1], 1e-11);
  checks.close(`${name}: of dy`, got[2], ownPart(expected[2], sizes), 1e-11);
}

/** In evaluation, and with one value on each rank, as PyTorch. */
function checkEdges(): void {
  const bn = new SyncBatchNorm(2, { dtype: 'float64' });
  const one = new Numbers(rank).tensor([1, 2], 'float64');
  if (worldSize > 1) {
    const all = cat(Array.from({ length: worldSize }, (_, r) => new Numbers(r).tensor([1, 2], 'float64')));
    const whole = new BatchNormXd(2, { dtype: 'float64' });
    checks.close('a value on each rank', bn(one), ownPart(whole(all), Array(worldSize).fill(1)), tolerance.float64);
    checks.close('a value on each rank: variance', bn.runningVar, whole.runningVar, tolerance.float64);
    // Below, ranks compute on their own: nobody waits for the others.
  }
  bn.eval();
  if (rank === 0) checks.equal('evaluation of one rank', bn(one).shape, [1, 2]);
  // Nor for shapes, which have no values to exchange.
  if (rank === 0) checks.equal('a summary of one rank', summary(bn.train(), [4, 2]).parameters, 4);
}

for (let seed = 1; seed <= layerCases; seed++) checkLayer(seed);
for (const dtype of ['float64', 'float32'] as const)
  for (const format of ['contiguous', 'channelsLast'] as const) checkBlock(1, { dtype, format });
checkBlock(2, { dtype: 'float64', format: 'contiguous', isCheckpointed: true });
checkBlock(3, { dtype: 'float64', format: 'channelsLast', parts: 3 });
for (const freezes of ['all', 'affine', 'statistics'] as const)
  checkBlock(4, { dtype: 'float64', format: 'contiguous', freezes });
checkStaged();
checkGroups();
checkSecondDerivatives(false);
checkSecondDerivatives(true);
checkEdges();
checks.report();
destroyProcessGroup();
