// Measuring cases: contenders in turns, medians, what disturbed them, and whether a target is met.

import { synchronize } from '../src/device/engine.ts';
import { withFusion } from '../src/fusion/switch.ts';
import { heldIsa } from './isa.ts';
import { limitOf, machineSpeed, type Speed, type Work } from './machine.ts';
import { type PeerSession, peerSession } from './peers/peers.ts';
import type { Case, TimedCase } from './suites/index.ts';
import { bestOfTorch, boundText, judge, shareOfLimit, type Target } from './target.ts';

export interface Row {
  name: string;
  engine: string;
  threads: number;
  /** The instruction set that the native engine and PyTorch were held to. */
  isa: string;
  /** Median of one run of ours. */
  ms: number;
  peers: Record<string, { ms: number; version: string; threads: number; note?: string }>;
  /** The peer's time over ours: the median of the turns' ratios. */
  ratio: Record<string, number>;
  /** Peers that could not do the work, and why. */
  failed?: Record<string, string>;
  /** Further figures of the case, such as GFLOP/s. */
  extra?: Record<string, number>;
  /** How fast the machine was in the row's turns, with its threads: medians. Absent where it could not be measured. */
  machine?: Pick<Speed, 'gflops' | 'gbps'>;
  target?: Target & { value: number; met: boolean };
  /** Why the figures say little, though they were measured again. */
  disturbed?: string;
}

/** What a run of the command leaves with --json. */
export interface Report {
  suite: string;
  /** ISO 8601. */
  date: string;
  machine: { cpu: string; cores: number; memoryGiB: number; node: string };
  rows: Row[];
}

/** The value at a part of the sorted ones, between its neighbours: 0.5 is the median. */
function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)];
  return below + (sorted[Math.ceil(place)] - below) * (place % 1);
}
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Times of single runs for about `budget` milliseconds, at least one. */
export function timeRuns(run: () => unknown, budget: number): number[] {
  const times: number[] = [];
  synchronize();
  for (let spent = 0; spent < budget || times.length === 0; spent += times.at(-1)!) {
    const start = performance.now();
    run();
    synchronize();
    times.push(performance.now() - start);
  }
  return times;
}

/** How many turns, and for how many milliseconds each. */
export interface Turns {
  readonly rounds: number;
  readonly budget: number;
}

/** What a contender took. */
export interface Times {
  /** Median of all single runs. */
  readonly ms: number;
  /** Median of each turn's. */
  readonly turns: readonly number[];
  readonly runs: readonly number[];
}

export const timesOf = (turns: readonly (readonly number[])[]): Times => ({
  ms: median(turns.flat()),
  turns: turns.map(median),
  runs: turns.flat(),
});

/**
 * How much longer a took than b: the median over the turns, in each of which the machine was in one mood, which medians
 * of all runs mix.
 */
export const ratioOf = (a: Times, b: Times): number => median(a.turns.map((ms, turn) => ms / b.turns[turn]));

/** Times (ms) of single runs for about `budget` milliseconds, as a peer's session measures them. */
export type Contender = (budget: number) => Promise<number[]>;

/** Ours. Nobody's turn begins with caches that somebody else has filled: PyTorch's process does the same. */
export const contender =
  (run: () => unknown): Contender =>
  async (budget) => {
    run();
    return timeRuns(run, budget);
  };

/** What turns have given. */
export interface Measured {
  readonly own: readonly Times[];
  readonly peers: readonly Times[];
  /** The machine's, of each turn; empty where they could not be measured. */
  readonly speeds: readonly Speed[];
  /** Why they say little. */
  readonly disturbed?: string;
}

/**
 * Threads of a peer may spin for a while after its turn (OpenMP: 200 ms); they must not take a core of the next one.
 */
const calm = () => new Promise((resume) => setTimeout(resume, 400));

/** How often turns are measured again that something has disturbed. */
const repeats = 2;

/**
 * Times of all contenders, which run in turns, so that the machine's moods hit all alike: ours, then the peers. Ours
 * run once before for compilation, caches and pools; peers have done so when they were prepared.
 */
export async function inTurns(
  { threads, work }: Pick<Case, 'threads' | 'work'>,
  own: readonly Contender[],
  sessions: readonly PeerSession[],
  { rounds, budget }: Turns,
): Promise<Measured> {
  for (const run of own) await run(budget);
  const measureOnce = async (): Promise<Measured> => {
    const ownTurns = own.map(() => [] as number[][]);
    const peerTurns = sessions.map(() => [] as number[][]);
    const speeds: Speed[] = [];
    for (let round = 0; round < rounds; round++) {
      if (sessions.length > 0) await calm();
      speeds.push(...(await machineSpeed(threads, work)));
      for (const [i, run] of own.entries()) ownTurns[i].push(await run(budget));
      for (const [i, session] of sessions.entries()) {
        if (i > 0) await calm();
        peerTurns[i].push(await session.run(budget));
      }
    }
    const measured = { own: ownTurns.map(timesOf), peers: peerTurns.map(timesOf), speeds };
    return { ...measured, disturbed: disturbance(measured, work) };
  };
  let measured = await measureOnce();
  for (let again = 0; again < repeats && measured.disturbed; again++) measured = await measureOnce();
  return measured;
}

/** A slice of the processor's time, which the system gives to others when threads of a peer wait for each other, ms. */
const slice = 16;
const percentOfSpread = 30;

/** Whether a peer's runs end with slices of the processor's time, and not with their work. */
function isQuantized({ runs }: Times): boolean {
  const atSlices = runs.filter((ms) => ms > slice / 2 && Math.abs(ms - slice * Math.round(ms / slice)) < 0.5);
  // Runs that take as long by themselves differ by less.
  return atSlices.length > runs.length / 2 && Math.max(...runs) - Math.min(...runs) > slice / 2;
}

/** How far the middle half of the turns is spread, in percent of their median. */
const spreadOf = ({ turns }: Times): number =>
  (100 * (quantile(turns, 0.75) - quantile(turns, 0.25))) / quantile(turns, 0.5);

/** The share of its limit that a run reaches, in percent: the median over the turns. */
const shareOf = (ours: Times, speeds: readonly Speed[], work: Work): number =>
  100 * median(speeds.map((speed, turn) => limitOf(work, speed) / ours.turns[turn]));

/** What shows that others used the machine: in a peer's times, or in ours beside what the machine can do. */
export function disturbance({ own, peers, speeds }: Omit<Measured, 'disturbed'>, work?: Work): string | undefined {
  if (peers.some(isQuantized)) return `a peer's times are multiples of ${slice} ms`;
  const spread = Math.max(0, ...peers.map(spreadOf));
  if (spread > percentOfSpread) return `a peer's turns are spread by ${spread.toFixed(0)} %`;
  if (!work || work.mayTakeFewer || speeds.length === 0) return undefined;
  const share = shareOf(own[0], speeds, work);
  return share > 100 ? `${share.toFixed(0)} % of the limit` : undefined;
}

/** A row of a case, with what its peers took; ours is the first. */
export function rowOf(
  { name, engine, threads, work }: Case,
  { own: [ours], peers, speeds, disturbed }: Measured,
  sessions: readonly PeerSession[],
): Row {
  const row: Row = { name, engine, threads, isa: heldIsa(), ms: ours.ms, peers: {}, ratio: {} };
  sessions.forEach(({ name, version, threads, note }, i) => {
    row.peers[name] = { ms: peers[i].ms, version, threads, note };
    row.ratio[name] = ratioOf(peers[i], ours);
  });
  if (work && speeds.length > 0) row.extra = { [shareOfLimit]: shareOf(ours, speeds, work) };
  if (speeds.length > 0)
    row.machine = {
      gflops: median(speeds.map(({ gflops }) => gflops)),
      gbps: median(speeds.map(({ gbps }) => gbps)),
    };
  return { ...row, disturbed };
}

/** Those of a case's peers that are installed and can do the work, prepared; why the others cannot. */
export async function sessionsOf({
  peers,
}: Pick<Case, 'peers'>): Promise<{ sessions: PeerSession[]; failed?: Record<string, string> }> {
  const sessions: PeerSession[] = [];
  let failed: Record<string, string> | undefined;
  for (const peer of peers) {
    const session = await peerSession(peer);
    if (typeof session === 'string') failed = { ...failed, [peer.name]: session };
    else if (session) sessions.push(session);
  }
  return { sessions, failed };
}

/** `rows` are those before it. */
export async function measure(one: Case, defaultRounds: number, rows: readonly Row[]): Promise<Row> {
  const { rounds = defaultRounds, budget = 150, target } = one;
  const measured =
    'measure' in one ? one.measure(one, { rounds, budget }, rows) : measureTimed(one, { rounds, budget });
  const row = await measured;
  if (target) row.target = judge(target, row);
  return row;
}

async function measureTimed(one: TimedCase, turns: Turns): Promise<Row> {
  const run = one.prepare();
  const { sessions, failed } = await sessionsOf(one);
  const unfused = one.withPlain ? [() => withFusion(false, run)] : [];
  const measured = await inTurns(one, [run, ...unfused].map(contender), sessions, turns);
  const [ours, plain] = measured.own;
  const row = rowOf(one, measured, sessions);
  const ofTorch = Object.entries(row.ratio).flatMap(([peer, ratio]) => (isTorch(peer) ? [ratio] : []));
  row.extra = {
    ...(ofTorch.length > 1 && { [bestOfTorch]: Math.min(...ofTorch) }),
    ...(one.withPlain && { 'without fusion, ms': plain.ms }),
    ...one.extra?.(ours.ms),
    ...row.extra,
  };
  return { ...row, failed };
}
const isTorch = (peer: string) => peer === 'torch' || peer === 'torch.compile';

export function formatRow(row: Row): string {
  const { name, engine, threads, isa, ms, peers, ratio, failed, extra, machine, target, disturbed } = row;
  const compared = Object.entries(peers).map(
    ([peer, { ms, version, note }]) =>
      `${peer} ${version}${note ? ` (${note})` : ''} ${ms.toFixed(2)} ms → ${ratio[peer].toFixed(2)}x`,
  );
  const figures = Object.entries(extra ?? {}).map(([key, value]) => `${key} ${value.toFixed(2)}`);
  return [
    `${name} [${engine}, ${isa}, ${threads} thread${threads === 1 ? '' : 's'}] ${ms.toFixed(2)} ms`,
    ...compared,
    ...Object.entries(failed ?? {}).map(([peer, reason]) => `${peer} failed: ${reason}`),
    ...figures,
    ...(machine ? [`machine ${machine.gflops.toFixed(0)} GFLOP/s, ${machine.gbps.toFixed(1)} GB/s`] : []),
    ...(target ? [`${boundText(target)}: ${target.met ? 'met' : 'MISSED'}`] : []),
    ...(disturbed ? [`DISTURBED: ${disturbed}`] : []),
  ].join('  |  ');
}
