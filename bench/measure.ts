// Measuring cases: contenders in turns, medians, and whether a target is met.

import { synchronize } from '../src/device/engine.ts';
import { withFusion } from '../src/fusion/switch.ts';
import { type PeerSession, peerSession } from './peers/peers.ts';
import type { Case, Target, TimedCase } from './suites/index.ts';

export interface Row {
  name: string;
  engine: string;
  threads: number;
  /** Median of one run of ours. */
  ms: number;
  peers: Record<string, { ms: number; version: string; threads: number; note?: string }>;
  /** The peer's time over ours: the median of the turns' ratios. */
  ratio: Record<string, number>;
  /** Further figures of the case, such as GFLOP/s. */
  extra?: Record<string, number>;
  target?: Target & { value: number; met: boolean };
}

/** What a run of the command leaves with --json. */
export interface Report {
  suite: string;
  /** ISO 8601. */
  date: string;
  machine: { cpu: string; cores: number; memoryGiB: number; node: string };
  rows: Row[];
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

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
}

export const timesOf = (turns: readonly (readonly number[])[]): Times => ({
  ms: median(turns.flat()),
  turns: turns.map(median),
});

/**
 * How much longer a took than b: the median over the turns, in each of which the machine was in one mood, which medians
 * of all runs mix.
 */
export const ratioOf = (a: Times, b: Times): number => median(a.turns.map((ms, turn) => ms / b.turns[turn]));

/**
 * Times of all contenders, which run in turns, so that the machine's moods hit all alike: ours, given as single runs,
 * then the peers. Ours run once before for compilation, caches and pools; peers have done so when they were prepared.
 */
export async function inTurns(
  own: readonly (() => unknown)[],
  sessions: readonly PeerSession[],
  { rounds, budget }: Turns,
): Promise<{ own: Times[]; peers: Times[] }> {
  for (const run of own) timeRuns(run, budget);
  const ownTurns = own.map(() => [] as number[][]);
  const peerTurns = sessions.map(() => [] as number[][]);
  for (let round = 0; round < rounds; round++) {
    // Threads of a peer may spin for a while after its turn (OpenMP: 200 ms); they must not take a core in ours.
    if (sessions.length > 0) await new Promise((resume) => setTimeout(resume, 400));
    // Nobody's turn begins with caches that somebody else has filled: PyTorch's process does the same.
    for (const [i, run] of own.entries()) {
      run();
      ownTurns[i].push(timeRuns(run, budget));
    }
    for (const [i, session] of sessions.entries()) peerTurns[i].push(await session.run(budget));
  }
  return { own: ownTurns.map(timesOf), peers: peerTurns.map(timesOf) };
}

/** A row of a case, with what its peers took. */
export function rowOf(
  { name, engine, threads }: Case,
  ours: Times,
  sessions: readonly PeerSession[],
  peers: readonly Times[],
): Row {
  const row: Row = { name, engine, threads, ms: ours.ms, peers: {}, ratio: {} };
  sessions.forEach(({ name, version, threads, note }, i) => {
    row.peers[name] = { ms: peers[i].ms, version, threads, note };
    row.ratio[name] = ratioOf(peers[i], ours);
  });
  return row;
}

/** Those of a case's peers that are installed, with their work prepared. */
export async function sessionsOf({ peers }: Pick<Case, 'peers'>): Promise<PeerSession[]> {
  const sessions = await Promise.all(peers.map((peer) => peerSession(peer)));
  return sessions.filter((session) => session !== null);
}

export async function measure(one: Case, defaultRounds: number): Promise<Row> {
  const { rounds = defaultRounds, budget = 150, target } = one;
  const measured = 'measure' in one ? one.measure(one, { rounds, budget }) : measureTimed(one, { rounds, budget });
  const row = await measured;
  if (target) row.target = judge(target, row);
  return row;
}

async function measureTimed(one: TimedCase, turns: Turns): Promise<Row> {
  const run = one.prepare();
  const sessions = await sessionsOf(one);
  const unfused = one.withPlain ? [() => withFusion(false, run)] : [];
  const times = await inTurns([run, ...unfused], sessions, turns);
  const [ours, plain] = times.own;
  const row = rowOf(one, ours, sessions, times.peers);
  row.extra = { ...(one.withPlain && { 'without fusion, ms': plain.ms }), ...one.extra?.(ours.ms) };
  return row;
}

/** Undefined where the figure could not be measured here. */
function judge(target: Target, { ratio, extra }: Row): Row['target'] {
  const value = ratio[target.figure] ?? extra?.[target.figure];
  if (value === undefined) return undefined;
  const { atLeast = -Infinity, atMost = Infinity } = target;
  return { ...target, value, met: value >= atLeast && value <= atMost };
}

export function formatRow({ name, engine, threads, ms, peers, ratio, extra, target }: Row): string {
  const compared = Object.entries(peers).map(
    ([peer, { ms, version, note }]) =>
      `${peer} ${version}${note ? ` (${note})` : ''} ${ms.toFixed(2)} ms → ${ratio[peer].toFixed(2)}x`,
  );
  const figures = Object.entries(extra ?? {}).map(([key, value]) => `${key} ${value.toFixed(1)}`);
  return [
    `${name} [${engine}, ${threads} thread${threads === 1 ? '' : 's'}] ${ms.toFixed(2)} ms`,
    ...compared,
    ...figures,
    ...(target ? [formatTarget(target)] : []),
  ].join('  |  ');
}

/** 'torch ≥ 1.5: met'. */
const formatTarget = ({ figure, atLeast, atMost, met }: Target & { met: boolean }): string =>
  `${figure} ${atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`}: ${met ? 'met' : 'MISSED'}`;
