// Measuring one case in turns with its peers.
import { peerSession } from './peers/peers.ts';
import type { Case } from './suites/index.ts';

export interface Row {
  name: string;
  engine: string;
  threads: number;
  /** Median of one run of ours. */
  ms: number;
  peers: Record<string, { ms: number; version: string; threads: number }>;
  /** The peer's time over ours. */
  ratio: Record<string, number>;
  /** Further figures of the case, such as GFLOP/s. */
  extra?: Record<string, number>;
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** Times of single runs for about `budget` milliseconds, at least one. */
export function timeRuns(run: () => unknown, budget: number): number[] {
  const times: number[] = [];
  for (let spent = 0; spent < budget || times.length === 0; spent += times.at(-1)!) {
    const start = performance.now();
    run();
    times.push(performance.now() - start);
  }
  return times;
}

export async function measure(one: Case, rounds: number): Promise<Row> {
  if ('measure' in one) return one.measure(one);
  const { name, engine, threads, budget = 150 } = one;
  const run = one.prepare();
  const sessions = (await Promise.all(one.peers.map((peer) => peerSession(peer)))).filter(
    (session) => session !== null,
  );
  // Warm-up: compilation, caches, pools.
  timeRuns(run, budget);
  const own: number[] = [];
  const theirs = sessions.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    // Threads of a peer may spin for a while after its turn (OpenMP: 200 ms); they must not take a core in ours.
    if (sessions.length > 0) await new Promise((resume) => setTimeout(resume, 400));
    own.push(...timeRuns(run, budget));
    for (const [i, session] of sessions.entries()) theirs[i].push(...(await session.run(budget)));
  }
  const ms = median(own);
  const row: Row = { name, engine, threads, ms, peers: {}, ratio: {}, extra: one.extra?.(ms) };
  sessions.forEach((session, i) => {
    const peerMs = median(theirs[i]);
    row.peers[session.name] = { ms: peerMs, version: session.version, threads: session.threads };
    row.ratio[session.name] = peerMs / ms;
  });
  return row;
}

export function formatRow({ name, engine, threads, ms, peers, ratio, extra }: Row): string {
  const compared = Object.entries(peers).map(
    ([peer, p]) => `${peer} ${p.version} ${p.ms.toFixed(2)} ms → ${ratio[peer].toFixed(2)}x`,
  );
  const figures = Object.entries(extra ?? {}).map(([key, value]) => `${key} ${value.toFixed(1)}`);
  return [
    `${name} [${engine}, ${threads} thread${threads === 1 ? '' : 's'}] ${ms.toFixed(2)} ms`,
    ...compared,
    ...figures,
  ].join('  |  ');
}
