// Several processes: two ranks of one thread each against one process of two threads, and against PyTorch over gloo;
// what SyncBatchNorm adds; all-reduces. Every contender is a job of its own, started anew in each turn.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Hosts, obstacle } from '../../scripts/hosts.ts';
import { python } from '../../scripts/line_peer.ts';
import { onBuilt } from '../built.ts';
import { machineSpeed, type Speed } from '../machine.ts';
import { median, type Row, ratioOf, rowOf, type Times, type Turns, timesOf } from '../measure.ts';
import { textOf, type Workload } from '../networks.ts';
import { torchVersion } from '../peers/peers.ts';
import type { Target } from '../target.ts';
import type { SpecialCase } from './index.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const engine = 'native';
const seconds = 6;

/** What a job prints behind `RESULT`. */
async function resultOf<R>(
  program: string,
  args: readonly string[],
  threads: number,
  more: Readonly<Record<string, string>> = {},
): Promise<R> {
  const env = {
    ...process.env,
    OMP_NUM_THREADS: `${threads}`,
    EVENKEEL_ENGINE: engine,
    NODE_OPTIONS: onBuilt.join(' '),
    ...more,
  };
  const { stdout } = await promisify(execFile)(program, args, { cwd: root, env, maxBuffer: 2 ** 24 });
  const found = /RESULT (.*)$/m.exec(stdout);
  if (!found) throw new Error(`${program} ${args.join(' ')} has printed no result: ${stdout}`);
  return JSON.parse(found[1]) as R;
}

const ranksOf = <R>(script: string, args: readonly string[]): Promise<R> =>
  resultOf<R>(
    process.execPath,
    ['dist/cli/main.js', 'launch', '--nproc', '2', `bench/distributed/${script}`, ...args],
    1,
  );

/** What `step_ranks.ts` says. */
interface StepFigures {
  readonly ms: number;
  /** Of these, how long nothing is done but to wait for gradients, after the backward. */
  readonly waiting: number;
  /** Of a step that exchanges nothing. */
  readonly quiet: number;
  /** Of averaging all gradients, while nothing else is done. */
  readonly communication: number;
}
const stepArguments = (work: Workload, mode: 'ddp' | 'sync') => [textOf(work), mode, `${seconds}`];
const stepsOfRanks = (work: Workload, mode: 'ddp' | 'sync') =>
  ranksOf<StepFigures>('step_ranks.ts', stepArguments(work, mode));
const stepsAlone = (work: Workload) =>
  resultOf<StepFigures>(process.execPath, ['bench/distributed/step_ranks.ts', ...stepArguments(work, 'ddp')], 2);
const stepsOfTorch = (work: Workload) =>
  resultOf<{ ms: number }>(python, ['bench/distributed/step_peer.py', textOf(work), `${seconds}`], 1);

/** What contenders found in each of their turns, and how fast the machine was then, with all of its processors. */
interface Found<R> {
  readonly results: R[][];
  readonly speeds: Speed[];
}
async function inTurns<R>(contenders: readonly (() => Promise<R>)[], rounds: number): Promise<Found<R>> {
  const results: R[][] = contenders.map(() => []);
  const speeds: Speed[] = [];
  for (let round = 0; round < rounds; round++) {
    speeds.push(...(await machineSpeed(2)));
    for (const [i, contender] of contenders.entries()) results[i].push(await contender());
  }
  return { results, speeds };
}
const timesFrom = (figures: readonly number[]): Times => timesOf(figures.map((figure) => [figure]));
/** A row of ours alone. */
const ownRow = (one: SpecialCase, ours: Times, speeds: readonly Speed[]): Row =>
  rowOf(one, { own: [ours], peers: [], speeds }, []);

interface Step {
  readonly title: string;
  readonly work: Workload;
  readonly target: Target;
}

/** A case of jobs of two ranks, in turns with others. */
const caseOf = (
  name: string,
  target: Target | undefined,
  measure: (one: SpecialCase, turns: Turns) => Promise<Row>,
): SpecialCase => ({
  name,
  engine,
  threads: 1,
  rounds: 3,
  peers: [],
  target,
  measure,
});

function againstOneProcess({ title, work, target }: Step): SpecialCase {
  const name = `${title} ${work.shape.join('x')}: 2 ranks of 1 thread against 1 process of 2`;
  return caseOf(name, target, async (one, { rounds }) => {
    const contenders = [() => stepsOfRanks(work, 'ddp'), () => stepsAlone(work)];
    const { results, speeds } = await inTurns(contenders, rounds);
    const [ours, alone] = results;
    const [times, quiet, waiting] = (['ms', 'quiet', 'waiting'] as const).map((key) =>
      timesFrom(ours.map((each) => each[key])),
    );
    const alike = timesFrom(alone.map(({ ms }) => ms));
    const row = ownRow(one, times, speeds);
    row.extra = {
      'of one process': ratioOf(alike, times),
      'one process, ms': alike.ms,
      'without exchange, ms': quiet.ms,
      'waiting for gradients, % of the step': 100 * ratioOf(waiting, times),
    };
    return row;
  });
}

function againstPlain({ title, work, target }: Step): SpecialCase {
  const name = `${title} ${work.shape.join('x')}, 2 ranks: SyncBatchNorm against batch norm`;
  return caseOf(name, target, async (one, { rounds }) => {
    const contenders = [() => stepsOfRanks(work, 'sync'), () => stepsOfRanks(work, 'ddp')];
    const { results, speeds } = await inTurns(contenders, rounds);
    const [ours, theirs] = results.map((each) => timesFrom(each.map(({ ms }) => ms)));
    const row = ownRow(one, ours, speeds);
    row.extra = { 'batch norm, ms': theirs.ms, 'more time, %': 100 * (ratioOf(ours, theirs) - 1) };
    return row;
  });
}

/** A row of what our jobs and PyTorch's took in turns. */
function besideTorch<R>(one: SpecialCase, { results, speeds }: Found<R>, ms: (result: R) => number): Row {
  const [ours, theirs] = results.map((each) => each.map(ms));
  const times = timesFrom(ours);
  const row = ownRow(one, times, speeds);
  const version = torchVersion();
  if (!version) return row;
  const torch = timesFrom(theirs);
  row.peers.torch = { ms: torch.ms, version, threads: 1, note: 'gloo' };
  row.ratio.torch = ratioOf(torch, times);
  return row;
}
/** The contender, where PyTorch is here. */
const ifTorch = <R>(contender: () => Promise<R>): (() => Promise<R>)[] => (torchVersion() ? [contender] : []);

function againstTorch({ title, work, target }: Step): SpecialCase {
  const name = `${title} ${work.shape.join('x')}, 2 ranks of 1 thread: a step of DistributedDataParallel`;
  return caseOf(name, target, async (one, { rounds }) => {
    const contenders = [() => stepsOfRanks(work, 'ddp'), ...ifTorch(() => stepsOfTorch(work))];
    return besideTorch(one, await inTurns<{ ms: number }>(contenders, rounds), ({ ms }) => ms);
  });
}

/**
 * Two hosts whose connection is so slow that the exchange of all gradients takes half of a backward, two thirds of a
 * step: how much of the exchange a step waits for. What it takes from the processors, which the ranks keep busy, makes
 * the step longer too, and is said beside it.
 */
function overlap(work: Workload, parameters: number): SpecialCase {
  const name = `${textOf(work)}, 2 hosts, the exchange of gradients takes half of a backward: how much of it is exposed`;
  return caseOf(name, { figure: 'exposed, %', atMost: 15 }, async (one, { rounds }) => {
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'));
    const hosts = new Hosts(join(folder, 'agent.sh'));
    try {
      const script = ['launch', '--hosts', hosts.list, '--mpi', 'openmpi', 'bench/distributed/step_ranks.ts'];
      const words = [process.execPath, 'dist/cli/main.js', ...script, ...stepArguments(work, 'ddp')];
      const run = () => resultOf<StepFigures>('ip', hosts.onFirst(words.join(' ')), 1, hosts.env);
      const { quiet } = await run();
      hosts.slowDown((parameters * 32) / (quiet / 1000 / 3));
      const { results, speeds } = await inTurns([run], rounds);
      const [figures] = results;
      const share = (of: (figures: StepFigures) => number) =>
        median(figures.map((each) => (100 * of(each)) / each.communication));
      const row = ownRow(one, timesFrom(figures.map(({ ms }) => ms)), speeds);
      row.extra = {
        'without exchange, ms': median(figures.map((each) => each.quiet)),
        'exchange alone, ms': median(figures.map(({ communication }) => communication)),
        'exposed, %': share(({ waiting }) => waiting),
        'a step takes longer by, % of the exchange': share(({ ms, quiet }) => ms - quiet),
      };
      return row;
    } finally {
      hosts.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** Bytes of the all-reduces, as both scripts have them. */
const sizes = { 40: '40 B', 40000: '40 KB', 4000000: '4 MB', 100000000: '100 MB' };
type Microseconds = { microseconds: Record<string, number> };
let allReduces: Promise<Found<Microseconds>> | null = null;

function allReduceOf(bytes: string, title: string): SpecialCase {
  const target = { figure: 'torch', atLeast: 1 };
  return caseOf(`all-reduce of ${title}, 2 ranks, mean`, target, async (one, { rounds }) => {
    const own = () => ranksOf<Microseconds>('all_reduce_ranks.ts', []);
    const torch = () => resultOf<Microseconds>(python, ['bench/distributed/all_reduce_peer.py'], 1);
    // One job measures all sizes.
    allReduces ??= inTurns([own, ...ifTorch(torch)], rounds);
    return besideTorch(one, await allReduces, ({ microseconds }) => microseconds[bytes] / 1000);
  });
}

/** Bytes of the messages by which latency and bandwidth are measured. */
const [small, large] = [40, 4_000_000];
const algorithms = { ring: 'ring', tree: 'recursive_doubling' } as const;
type Algorithm = keyof typeof algorithms;
/** Milliseconds by ranks and bytes. */
type Costs = Readonly<Record<number, Readonly<Record<number, number>>>>;
interface FoundCosts {
  readonly costs: Costs;
  readonly speeds: readonly Speed[];
}

/**
 * Milliseconds of an all-reduce over as many hosts, from the latency of a small one over two of them and the bandwidth
 * that a large one shows there. In a ring each rank sends 2(p−1) parts of a p-th; in a tree all of it, log₂ p times,
 * once more on both ways where p is no power of two.
 */
function expected(algorithm: Algorithm, p: number, bytes: number, costs: Costs): number {
  const latency = costs[2][small];
  const transfer = ((costs[2][large] - latency) * bytes) / large;
  if (algorithm === 'ring') return p === 1 ? 0 : (p - 1) * latency + ((2 * (p - 1)) / p) * transfer;
  const rounds = Math.floor(Math.log2(p)) + (Number.isInteger(Math.log2(p)) ? 0 : 2);
  return rounds * (latency + transfer);
}

/** Milliseconds of all-reduces over 1 to 4 hosts of slow cables, where processors have time to spare. */
async function costsOf(algorithm: Algorithm, rounds: number): Promise<FoundCosts> {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'));
  const costs: Record<number, Record<number, number>> = {};
  const speeds: Speed[] = [];
  try {
    for (const ranks of [1, 2, 3, 4]) {
      const hosts = new Hosts(join(folder, 'agent.sh'), ranks);
      try {
        hosts.slowDown(40e6 * 8);
        const script = ['launch', '--hosts', hosts.list, '--mpi', 'openmpi', 'bench/distributed/all_reduce_ranks.ts'];
        const words = [process.execPath, 'dist/cli/main.js', ...script, `${small}`, `${large}`];
        const env = { ...hosts.env, OMPI_MCA_coll_libnbc_iallreduce_algorithm: algorithms[algorithm] };
        const run = () => resultOf<Microseconds>('ip', hosts.onFirst(words.join(' ')), 1, env);
        const { results, speeds: found } = await inTurns([run], rounds);
        speeds.push(...found);
        const of = (bytes: number) => median(results[0].map(({ microseconds }) => microseconds[bytes] / 1000));
        costs[ranks] = { [small]: of(small), [large]: of(large) };
      } finally {
        hosts.remove();
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { costs, speeds };
}
const known = new Map<Algorithm, Promise<FoundCosts>>();

function costOf(algorithm: Algorithm, ranks: number): SpecialCase {
  const count = ranks === 1 ? '1 host' : `${ranks} hosts`;
  return caseOf(`all-reduce of 4 MB by a ${algorithm}, ${count}, 40 MB/s each`, undefined, async (one, { rounds }) => {
    if (!known.has(algorithm)) known.set(algorithm, costsOf(algorithm, rounds));
    const { costs, speeds } = await known.get(algorithm)!;
    const row = ownRow(one, timesFrom([costs[ranks][large]]), speeds);
    row.extra = {
      'by the formula, ms': expected(algorithm, ranks, large, costs),
      '40 B, ms': costs[ranks][small],
    };
    return row;
  });
}

function overHosts(work: Workload): SpecialCase[] {
  const reason = obstacle();
  if (reason) {
    console.log(`not measured: several hosts, which network namespaces would be: ${reason}`);
    return [];
  }
  const ranks = [1, 2, 3, 4];
  return [
    overlap(work, 11_689_512),
    ...(['ring', 'tree'] as const).flatMap((algorithm) => ranks.map((count) => costOf(algorithm, count))),
  ];
}

export function distributed(): SpecialCase[] {
  const resnet: Workload = { network: 'resnet18', shape: [16, 3, 224, 224], classes: 1000 };
  const lenet: Workload = { network: 'lenet', shape: [256, 1, 28, 28], classes: 10 };
  const ofOne = 'of one process';
  return [
    againstOneProcess({ title: 'ResNet-18', work: resnet, target: { figure: ofOne, atLeast: 0.93 } }),
    againstOneProcess({ title: 'LeNet-BN', work: lenet, target: { figure: ofOne, atLeast: 0.85 } }),
    againstPlain({ title: 'ResNet-18', work: resnet, target: { figure: 'more time, %', atMost: 5 } }),
    againstTorch({ title: 'ResNet-18', work: resnet, target: { figure: 'torch', atLeast: 1.3 } }),
    ...Object.entries(sizes).map(([bytes, title]) => allReduceOf(bytes, title)),
    ...overHosts(resnet),
  ];
}
