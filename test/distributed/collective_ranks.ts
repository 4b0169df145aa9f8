// Run by every rank of a job: collectives against what one process computes from the values of all ranks, which are
// known
// everywhere. Prints one line, `RESULT` and JSON.
import {
  allGather,
  allReduce,
  barrier,
  broadcast,
  broadcastObject,
  destroyProcessGroup,
  getLocalRank,
  getRank,
  getWorldSize,
  initProcessGroup,
  newGroup,
  type ReduceOp,
  reduceScatter,
} from '../../src/distributed/index.ts';
import { type DType, full, ones, scope, type Tensor, tensor } from '../../src/index.ts';
import { dtypes } from '../../src/tensor/dtype.ts';

type Format = 'contiguous' | 'channelsLast';
const names = Object.keys(dtypes) as DType[];

let count = 0;
const failures: string[] = [];
function check(name: string, got: readonly number[], expected: readonly number[]): void {
  count++;
  const isEqual = got.length === expected.length && got.every((value, i) => Object.is(value, expected[i]));
  if (!isEqual && failures.length < 20)
    failures.push(`${name}: expected ${expected.slice(0, 8).join(' ')}, got ${got.slice(0, 8).join(' ')}`);
}
const numbers = (x: Tensor): number[] => Array.from(x.reshape([-1]).dataSync() as Float64Array, Number);

const sizeOf = (shape: readonly number[]) => shape.reduce((size, dim) => size * dim, 1);
/** Small integers, so that every order of operations gives the same. */
const valuesOf = (rank: number, dtype: DType, size: number): number[] =>
  Array.from({ length: size }, (_, i) =>
    dtype === 'bool' ? ((i + rank) % 3) & 1 : ((i * 7 + rank * 5) % 11) - (dtype === 'uint8' ? 0 : 4),
  );
function make(values: readonly number[], shape: readonly number[], dtype: DType, format: Format): Tensor {
  const x = tensor(values as number[], { dtype }).reshape([...shape]);
  return format === 'channelsLast' && shape.length === 4 ? x.contiguous('channelsLast') : x;
}
/** The reduction of one element over ranks, rounded and wrapped as its dtype does. */
function reduced(op: ReduceOp, values: readonly number[], dtype: DType): number {
  const by: Record<ReduceOp, (values: readonly number[]) => number> = {
    sum: (v) => v.reduce((a, b) => a + b),
    mean: (v) => v.reduce((a, b) => a + b) / v.length,
    min: (v) => Math.min(...v),
    max: (v) => Math.max(...v),
    product: (v) => v.reduce((a, b) => a * b),
  };
  const result = by[op](values);
  const holder = new dtypes[dtype].array(1);
  holder[0] = dtype === 'int64' ? BigInt(result) : result;
  // Integers have no negative zero.
  return dtype === 'float32' || dtype === 'float64' ? result && Number(holder[0]) : Number(holder[0]);
}
const opsOf = (dtype: DType): ReduceOp[] =>
  dtype === 'bool'
    ? ['min', 'max']
    : ['sum', ...(dtype.startsWith('float') ? (['mean'] as const) : []), 'min', 'max', 'product'];

initProcessGroup({ timeout: 20 });
const rank = getRank();
const worldSize = getWorldSize();
const ranks = Array.from({ length: worldSize }, (_, i) => i);

/** Every collective, operation, dtype and memory format; even sizes and odd ones, one element, none. */
function checkAll(): void {
  for (const dtype of names)
    for (const shape of [[2, 3, 4, 5], [7], [], [0, 3]])
      for (const format of shape.length === 4 ? (['contiguous', 'channelsLast'] as const) : (['contiguous'] as const)) {
        const size = sizeOf(shape);
        const name = `${dtype} [${shape}] ${format}`;
        const all = ranks.map((r) => valuesOf(r, dtype, size));
        const own = () => make(all[rank], shape, dtype, format);
        for (const op of opsOf(dtype)) {
          const expected = Array.from({ length: size }, (_, i) =>
            reduced(
              op,
              all.map((values) => values[i]),
              dtype,
            ),
          );
          const x = own();
          allReduce(x, { op });
          // Negative zeros come out where MPI multiplies.
          check(
            `allReduce ${op} ${name}`,
            numbers(x).map((v) => v || 0),
            expected.map((v) => v || 0),
          );
          if (x.memoryFormat !== own().memoryFormat) failures.push(`allReduce ${name} has changed the memory format`);
          if (shape.length === 0) continue;
          const rows = [shape[0] * worldSize, ...shape.slice(1)];
          const many = ranks.map((r) => valuesOf(r, dtype, size * worldSize));
          const part = reduceScatter(make(many[rank], rows, dtype, format), { op });
          const expectedPart = Array.from({ length: size }, (_, i) =>
            reduced(
              op,
              many.map((values) => values[rank * size + i]),
              dtype,
            ),
          );
          check(
            `reduceScatter ${op} ${name}`,
            numbers(part).map((v) => v || 0),
            expectedPart.map((v) => v || 0),
          );
        }
        for (const [r, part] of allGather(own()).entries()) check(`allGather ${name}`, numbers(part), all[r]);
        for (const src of ranks) {
          const x = own();
          broadcast(x, { src });
          check(`broadcast from ${src} ${name}`, numbers(x), all[src]);
        }
        if (shape.length === 0) continue;
        // Rank r has r rows, the first one none.
        const uneven = ranks.map((r) => valuesOf(r, dtype, r * sizeOf(shape.slice(1))));
        const parts = allGather(make(uneven[rank], [rank, ...shape.slice(1)], dtype, format), { uneven: true });
        parts.forEach((part, r) => {
          check(`uneven allGather ${name}: shape`, part.shape, [r, ...shape.slice(1)]);
          check(`uneven allGather ${name}`, numbers(part), uneven[r]);
        });
      }
}

function checkNaN(): void {
  for (const dtype of ['float32', 'float64'] as const)
    for (const op of ['min', 'max', 'sum'] as const)
      for (const bad of ranks) {
        const x = tensor([rank, rank === bad ? Number.NaN : 1], { dtype });
        allReduce(x, { op });
        check(`a NaN of rank ${bad} in ${op}`, [numbers(x)[1]], [Number.NaN]);
      }
}

/** Any float, of which ranks must have the same bits. */
function checkBits(): void {
  for (const size of [3, 1000, 100_000]) {
    const x = tensor(Float32Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898 + rank * 78.233) * 43758.5));
    allReduce(x, { op: 'mean' });
    const [first, ...others] = allGather(x).map(numbers);
    for (const other of others) check('the bits of a mean', other, first);
  }
}

/** Reductions that go in pieces: less than one, one to the byte, and more, of every dtype and operation. */
function checkPieces(): void {
  const piece = 2 ** 18;
  for (const dtype of names)
    for (const op of opsOf(dtype))
      for (const bytes of op === 'max' ? [20_000, piece, piece + 8, 2.5 * piece] : [piece + 8]) {
        const size = bytes / dtypes[dtype].size;
        // The values repeat themselves after 11 or 3 elements.
        const period = ranks.map((r) => valuesOf(r, dtype, 33));
        const expected = period[0].map((_, i) => {
          const values = period.map((each) => each[i]);
          return reduced(op, values, dtype);
        });
        const x = make(valuesOf(rank, dtype, size), [size], dtype, 'contiguous');
        allReduce(x, { op });
        const wrong = numbers(x).flatMap((value, i) => (Object.is(value, expected[i % 33]) ? [] : [i]));
        check(`wrong elements of ${op} ${dtype} [${size}]`, wrong, []);
      }
}

function checkGroups(): void {
  const groups = [ranks.filter((r) => r % 2 === 0), ranks.slice(-2), [worldSize - 1]].map((members) =>
    newGroup(members),
  );
  for (const group of groups) {
    check('rank in a group', [group.rank, group.worldSize], [group.ranks.indexOf(rank), group.ranks.length]);
    if (group.rank < 0) continue;
    for (const size of [3, 200_000]) {
      const x = full([size], rank + 1);
      allReduce(x, { group });
      const sum = group.ranks.reduce((sum, r) => sum + r + 1, 0);
      check('allReduce in a group', [x.min().item(), x.max().item()], [sum, sum]);
    }
    const y = full([2], rank);
    broadcast(y, { group, src: group.ranks.at(-1)! });
    check('broadcast in a group', numbers(y), Array(2).fill(group.ranks.at(-1)));
    check('allGather in a group', allGather(full([1], rank), { group }).flatMap(numbers), group.ranks);
    check('broadcastObject in a group', broadcastObject([rank], { group, src: group.ranks[0] }), [group.ranks[0]]);
    barrier({ group });
  }
}

/** Results used at once, tensors that go or change while their call runs. */
function checkUse(): void {
  const sum = (worldSize * (worldSize + 1)) / 2;
  for (let i = 0; i < 50; i++) {
    const size = [5, 1000, 70_000][i % 3];
    const x = full([size], rank + 1).mul(2);
    const work = allReduce(x);
    const y = x.add(1).mul(x);
    check('a result used at once', [y.min().item(), y.max().item()], Array(2).fill((2 * sum + 1) * 2 * sum));
    check('a handle', [Number(work.isCompleted)], [1]);
    work.wait();

    const changed = full([size], rank + 1);
    const parts = allGather(changed);
    changed.add_(100);
    changed.mul_(2);
    check(
      'changed while it is sent',
      parts.map((p) => p.max().item()),
      ranks.map((r) => r + 1),
    );
    check('changed while it was sent', [changed.min().item()], [(rank + 101) * 2]);

    const twice = full([size], rank + 1);
    allReduce(twice);
    twice.add_(1);
    allReduce(twice, { op: 'max' });
    allReduce(twice);
    check('in place behind each other', [twice.max().item(), twice.min().item()], Array(2).fill((sum + 1) * worldSize));

    // Its memory is asked for again by what follows, before the call can be complete.
    const kept = scope(() => allGather(full([size], rank + 0.5)));
    const others = scope(() => full([size], -1).sum().item());
    check(
      'released while it is sent',
      kept.map((p) => p.mean().item()),
      ranks.map((r) => r + 0.5),
    );
    check('what took its place', [others], [-size]);
    scope(() => {
      allReduce(full([size], 7));
    });
    const fresh = full([size], 3);
    allReduce(ones([1]));
    check('memory of a result that nobody took', [fresh.min().item(), fresh.max().item()], [3, 3]);

    const copy = full([size], rank);
    allReduce(copy);
    const clone = copy.clone();
    copy.zero_();
    check('a clone of what arrives', [clone.min().item(), copy.max().item()], [(worldSize * (worldSize - 1)) / 2, 0]);
  }
}

function checkMany(): void {
  const x = ones([3]);
  const small = Array.from({ length: 400 }, (_, i) => full([1 + (i % 4)], i + rank));
  for (const each of small) allReduce(each);
  const ranksSum = (worldSize * (worldSize - 1)) / 2;
  for (const [i, each] of small.entries())
    check('many calls', numbers(each), Array(1 + (i % 4)).fill(worldSize * i + ranksSum));
  for (let i = 0; i < 200; i++) allReduce(x, { op: 'mean' });
  check('one tensor many times', numbers(x), [1, 1, 1]);
}

function checkLarge(): void {
  const size = Math.floor((16 << 20) / Math.max(4, worldSize ** 2));
  const x = full([size], rank + 1);
  allReduce(x);
  const sum = (worldSize * (worldSize + 1)) / 2;
  check('much', [x.min().item(), x.max().item()], [sum, sum]);
  check(
    'much gathered',
    allGather(full([size], rank)).map((p) => p.mean().item()),
    ranks,
  );
  const y = full([size], rank + 1);
  broadcast(y, { src: worldSize - 1 });
  check('much broadcast', [y.min().item(), y.max().item()], [worldSize, worldSize]);
  const part = reduceScatter(full([worldSize, size], rank + 1));
  check('much reduced and scattered', [part.size, part.min().item(), part.max().item()], [size, sum, sum]);
  // Of which some have little and others much.
  const uneven = allGather(full([rank * 10_000], rank), { uneven: true }).slice(1);
  check(
    'much and little gathered',
    uneven.flatMap((p) => [p.size, p.min().item(), p.max().item()]),
    ranks.slice(1).flatMap((r) => [r * 10_000, r, r]),
  );
}

checkAll();
checkNaN();
checkPieces();
checkBits();
checkGroups();
checkUse();
checkMany();
checkLarge();
const object = { text: 'grüße ☃', list: [1, null, { deep: true }] };
const received = broadcastObject(rank === worldSize - 1 ? object : 'not looked at', { src: worldSize - 1 });
if (JSON.stringify(received) !== JSON.stringify(object)) failures.push(`broadcastObject: ${JSON.stringify(received)}`);
check(
  'local rank',
  [getLocalRank(), Number(process.env.RANK), Number(process.env.WORLD_SIZE)],
  [rank, rank, worldSize],
);
barrier();
console.log(`RESULT ${JSON.stringify({ rank, worldSize, count, failures })}`);
destroyProcessGroup();
