// Run by every rank of a job: statistics, averages and samples that ranks bring together, against what one process
// computes from the values of all of them.
import { ArrayLoader, DistributedSampler } from '../../src/data/index.ts';
import {
  destroyProcessGroup,
  getRank,
  getWorldSize,
  initProcessGroup,
  newGroup,
  worldGroup,
} from '../../src/distributed/index.ts';
import { cat, full, manualSeed, type Tensor, tensor } from '../../src/index.ts';
import {
  addStatistics,
  BatchNorm1d,
  BatchNorm2d,
  Conv2d,
  convertSyncBatchNorm,
  copyModule,
  InstanceNorm2d,
  type Module,
  preciseBatchNorm,
  ReLU,
  Sequential,
  statisticsSpread,
  syncBuffers,
} from '../../src/nn/index.ts';
import { Averages } from '../../src/train/index.ts';
import { Checks, Numbers } from './rank_checks.ts';

initProcessGroup({ timeout: 20 });
const [rank, worldSize] = [getRank(), getWorldSize()];
const ranks = Array.from({ length: worldSize }, (_, r) => r);
const checks = new Checks();
const buffersOf = (model: Module) => new Map(model.namedBuffers());
const errorOf = (fn: () => unknown): string => {
  try {
    fn();
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  return 'nothing';
};

/** What a rank's statistics are: each rank makes those of all. */
interface State {
  mean: Tensor;
  variance: Tensor;
  batches: number;
}
const stateOf = (r: number, seed: number, dtype: 'float32' | 'float64'): State => {
  const numbers = new Numbers(100 * seed + r);
  return {
    mean: numbers.tensor([5], dtype, 100),
    variance: numbers.tensor([5], dtype, 2),
    batches: [3, 0, 40, 7][r],
  };
};

function checkMerge(momentum: number | null, dtype: 'float32' | 'float64'): void {
  const model = new Sequential(
    new BatchNorm2d(5, { momentum, dtype }),
    new InstanceNorm2d(5, { trackRunningStats: true }),
    new BatchNorm1d(5, { trackRunningStats: false }),
  );
  addStatistics(model, 'night');
  model.registerBuffer('large', tensor([2n ** 62n + BigInt(rank)], { dtype: 'int64' }));
  model.registerBuffer('flags', tensor([rank === 0, true]), { persistent: false });
  const wide = new Numbers(rank).tensor([2, 3, 4, 5], 'float32').contiguous('channelsLast');
  model.registerBuffer('wide', wide.clone());
  const own = buffersOf(model);
  for (const [seed, set] of ['', '_night'].entries()) {
    const { mean, variance, batches } = stateOf(rank, seed, dtype);
    own.get(`0.running_mean${set}`)!.copy_(mean);
    own.get(`0.running_var${set}`)!.copy_(variance);
    own.get(`0.num_batches_tracked${set}`)!.copy_(tensor(batches, { dtype: 'int64' }));
  }
  own.get('1.running_mean')!.copy_(full([5], rank));
  syncBuffers(model);
  for (const [seed, set] of ['', '_night'].entries()) {
    const states = ranks.map((r) => stateOf(r, seed, dtype));
    const weights = states.map(({ batches }) => (momentum === null ? batches : 1 - (1 - momentum) ** batches));
    const total = weights.reduce((a, b) => a + b);
    const sumOf = (of: (state: State) => Tensor) =>
      states
        .map((state, r) =>
          of(state)
            .to('float64')
            .mul(weights[r] / total),
        )
        .reduce((a, b) => a.add(b));
    const mean = sumOf((state) => state.mean);
    const variance = sumOf((state) => {
      const apart = state.mean.to('float64').sub(mean);
      return state.variance.to('float64').add(apart.mul(apart));
    });
    // The rounding of the result; of float64 some more, since the sums above are in another order.
    const tolerance = dtype === 'float64' ? 1e-14 : 6e-8;
    const name = `merged with momentum ${momentum}, ${dtype}${set}`;
    checks.close(`${name}: mean`, own.get(`0.running_mean${set}`)!, mean, tolerance);
    checks.close(`${name}: variance`, own.get(`0.running_var${set}`)!, variance, tolerance);
    checks.equal(`${name}: counter`, own.get(`0.num_batches_tracked${set}`)!.item(), 3);
  }
  checks.equal('other buffers', own.get('1.running_mean')!.toArray(), Array(5).fill(worldSize > 1 ? 0 : rank));
  checks.equal('an exact integer', String(own.get('large')!.dataSync()[0]), String(2n ** 62n));
  checks.equal('truth values', own.get('flags')!.toArray(), [true, true]);
  checks.equal('memory format', own.get('wide')!.memoryFormat, 'channelsLast');
  checks.close('channels-last', own.get('wide')!, new Numbers(0).tensor([2, 3, 4, 5], 'float32'), 0);
  for (const [name, buffer] of own) checks.same(name, buffer);
  // What is equal stays, to the bit.
  const before = [...own].map(([, buffer]) => buffer.clone());
  syncBuffers(model);
  for (const [i, [name, buffer]] of [...own].entries()) checks.close(`${name} again`, buffer, before[i], 0);
}

function checkBroadcast(): void {
  const bn = new BatchNorm1d(3);
  bn.runningMean!.copy_(full([3], rank + 1));
  bn.numBatchesTracked!.copy_(tensor(rank + 5, { dtype: 'int64' }));
  syncBuffers(bn, { mode: 'broadcast' });
  checks.equal('broadcast', [bn.runningMean!.toArray(), bn.numBatchesTracked!.item()], [[1, 1, 1], 5]);
  checks.equal(
    'a mode',
    errorOf(() => syncBuffers(bn, { mode: 'mean' as 'merge' })),
    "ValueError: [syncBuffers] expected 'merge' or 'broadcast' as mode, got 'mean'",
  );
  const last = newGroup([worldSize - 1]);
  bn.runningMean!.copy_(full([3], rank + 1));
  if (rank === worldSize - 1) syncBuffers(bn, { group: last });
  checks.equal('a group of one', bn.runningMean!.toArray(), Array(3).fill(rank + 1));
}

function checkNotFinite(): void {
  const model = new Sequential(new BatchNorm1d(2), new BatchNorm1d(2));
  const bn = model.at(1) as BatchNorm1d;
  bn.runningVar!.copy_(full([2], rank === worldSize - 1 ? Number.NaN : 2));
  (model.at(0) as BatchNorm1d).runningMean!.copy_(full([2], rank));
  const expected =
    worldSize === 1
      ? 'nothing'
      : `RuntimeError: [syncBuffers] the running statistics of '1' are NaN or infinite on rank ${worldSize - 1}; the buffers of all ranks are as before`;
  checks.equal(
    'a NaN',
    errorOf(() => syncBuffers(model)),
    expected,
  );
  checks.equal('statistics after it', (model.at(0) as BatchNorm1d).runningMean!.toArray(), [rank, rank]);
  const { layers } = statisticsSpread(model);
  if (worldSize > 1)
    checks.equal('its spread', [layers[1].variance === Infinity, layers[1].varianceRank], [true, worldSize - 1]);
}

function checkSpread(): void {
  manualSeed(3);
  const model = new Sequential({ conv: new Conv2d(1, 2, 3), bn: new BatchNorm2d(2, { eps: 0.5 }), relu: new ReLU() });
  const same = statisticsSpread(model);
  checks.equal(
    'no spread',
    [same.layers, same.differingParameter],
    [[{ name: 'bn', mean: 0, meanRank: 0, variance: 0, varianceRank: 0 }], null],
  );
  checks.equal('its text', String(same).includes('warning'), false);
  if (worldSize === 1) return;
  // The last rank's mean is 4 where the others have 0, and its second parameter is another.
  const bn = model.at(1) as BatchNorm2d;
  const isLast = rank === worldSize - 1;
  if (isLast) bn.runningMean!.copy_(tensor([0, 4]));
  const centre = 4 / worldSize;
  const variance = 1 + ((4 - centre) ** 2 + (worldSize - 1) * centre ** 2) / worldSize;
  if (isLast) (model.at(0) as Conv2d).bias!.detach().add_(1e-7);
  const spread = statisticsSpread(model);
  const [row] = spread.layers;
  // The first of those that are as far off is named.
  checks.equal('the rank furthest off', row.meanRank, worldSize === 2 ? 0 : worldSize - 1);
  checks.close(
    'the spread',
    tensor([row.mean], { dtype: 'float64' }),
    tensor([(4 - centre) / Math.sqrt(variance + 0.5)], { dtype: 'float64' }),
    1e-15,
  );
  checks.equal('the parameter', spread.differingParameter, { name: 'conv.bias', ranks: [worldSize - 1] });
  const text = String(spread);
  checks.equal(
    'a warning and an error',
    [
      /warning: the running means of 'bn' are \d\.\d+ std apart, more than 0\.1: /.test(text),
      text.includes(`error: the parameter 'conv.bias' is not the same on rank ${worldSize - 1} as on the others`),
    ],
    [true, true],
  );
  syncBuffers(model);
  checks.equal('after syncBuffers', statisticsSpread(model).worst!.mean, 0);
}

/** Plain and synchronized batch norms; as many batches as each rank happens to have, none on the last of several. */
async function checkPrecise(): Promise<void> {
  manualSeed(1);
  const dtype = 'float64';
  const whole = new Sequential(
    new Conv2d(2, 3, 3, { dtype }),
    new BatchNorm2d(3, { dtype }),
    new ReLU(),
    new Conv2d(3, 4, 3, { dtype }),
    new BatchNorm2d(4, { dtype }),
  );
  const batchesOf = (r: number) => {
    const numbers = new Numbers(r + 50);
    const count = worldSize > 1 && r === worldSize - 1 ? 0 : 2 + r;
    return Array.from({ length: count }, () => numbers.tensor([numbers.integer(1, 4), 2, 8, 7], dtype, 2));
  };
  const model = copyModule(whole);
  const expected = await preciseBatchNorm(whole, ranks.flatMap(batchesOf), { group: null });
  const report = await preciseBatchNorm(model, batchesOf(rank), { group: worldGroup() });
  const expectedBuffers = buffersOf(whole);
  for (const [name, buffer] of model.namedBuffers()) {
    checks.close(`precise: ${name}`, buffer, expectedBuffers.get(name)!, 1e-12);
    checks.same(`precise: ${name}`, buffer);
  }
  checks.equal(
    'precise: batches',
    [report.batches, report.layers.map(({ samples, batches }) => [samples, batches])],
    [expected.batches, expected.layers.map(({ samples, batches }) => [samples, batches])],
  );
  const errors = [report, expected].map(({ layers }) =>
    tensor(
      layers.map((each) => each.standardError),
      { dtype },
    ),
  );
  // A difference of two sums of squares of about the same size.
  checks.close('precise: standard error', errors[0], errors[1], 1e-10);
  let text = 'nothing';
  await preciseBatchNorm(model, []).catch((error: Error) => (text = `${error.name}: ${error.message}`));
  if (worldSize > 1)
    checks.equal(
      'precise: no group',
      /^RuntimeError: \[preciseBatchNorm\] expected a group in a job of \d ranks: worldGroup\(\)/.test(text),
      true,
    );
  // Synchronized layers have the statistics of all batches without a merger.
  const sync = convertSyncBatchNorm(copyModule(whole));
  const one = (r: number) => new Numbers(r).tensor([1 + r, 2, 8, 7], dtype);
  await preciseBatchNorm(sync, [one(rank)], { group: worldGroup() });
  await preciseBatchNorm(whole, [cat(ranks.map(one))], { group: null });
  for (const [name, buffer] of sync.namedBuffers())
    checks.close(`precise, synchronized: ${name}`, buffer, expectedBuffers.get(name)!, 1e-12);
}

function checkAverages(): void {
  const own = new Averages();
  // The last of several ranks has no samples, and knows no names.
  const addOf = (averages: Averages, r: number) => {
    if (worldSize > 1 && r === worldSize - 1) return;
    averages.add({ loss: 0.1 * r + 1 / 3, accuracy: r / 7 }, 3 + r);
    averages.add({ loss: r === 1 ? Number.NaN : 1, accuracy: 0.3 }, 2);
  };
  addOf(own, rank);
  const expected = new Averages();
  for (const r of ranks) addOf(expected, r);
  const before = own.state();
  const all = own.ofAllRanks();
  checks.equal('averages: samples', all.samples, expected.samples);
  checks.equal('averages: names', Object.keys(all.all()).sort(), ['accuracy', 'loss']);
  checks.close(
    'averages',
    tensor(
      ['loss', 'accuracy'].map((name) => all.get(name)),
      { dtype: 'float64' },
    ),
    tensor(
      ['loss', 'accuracy'].map((name) => expected.get(name)),
      { dtype: 'float64' },
    ),
    1e-15,
  );
  checks.same(
    'averages',
    tensor(
      Object.keys(all.all())
        .sort()
        .map((name) => all.get(name)),
      { dtype: 'float64' },
    ),
  );
  checks.equal('averages of this rank', own.state(), before);
  checks.equal('averages of nothing', new Averages().ofAllRanks().samples, 0);
}

function checkSampler(): void {
  for (const length of [0, 1, 5, 12])
    for (const dropLast of [false, true]) {
      const sampler = new DistributedSampler({ length }, { dropLast, seed: 4 });
      checks.equal('sampler', [sampler.numReplicas, sampler.rank], [worldSize, rank]);
      const named = new DistributedSampler({ length }, { dropLast, seed: 4, numReplicas: worldSize, rank });
      for (const epoch of [0, 1]) {
        for (const each of [sampler, named]) each.setEpoch(epoch);
        checks.equal('samples', [...sampler], [...named]);
        // All ranks have as many, so that they can be summed.
        const own = tensor([...sampler], { dtype: 'float64' });
        checks.equal('samples: how many', own.size, sampler.length);
      }
    }
  const dataset = { length: 7, get: (i: number) => i };
  const loader = new ArrayLoader(dataset, {
    batchSize: 2,
    sampler: new DistributedSampler(dataset, { shuffle: false }),
  });
  const seen = [...loader].flatMap((batch) => Array.from((batch as { data: Float64Array }).data, Number));
  checks.equal(
    'through a loader',
    seen,
    Array.from({ length: Math.ceil(7 / worldSize) }, (_, i) => (rank + i * worldSize) % 7),
  );
}

for (const momentum of [0.1, null]) for (const dtype of ['float32', 'float64'] as const) checkMerge(momentum, dtype);
checkBroadcast();
checkNotFinite();
checkSpread();
await checkPrecise();
checkAverages();
checkSampler();
checks.report();
destroyProcessGroup();
