// What a run has found: counts by family and name, and the failures, those of one kind together.
import type { IntendedRow } from './intended.ts';
import type { Family, Listing } from './torch.ts';
import { failures, type Outcome, outcomes, type Verdict } from './verdict.ts';

export type Counts = Record<Outcome, number>;
export interface FailureKind {
  name: string;
  way: string;
  outcome: Outcome;
  times: number;
  dtypes: string[];
  aspect: string;
  /** The shortest call that shows it. */
  call: string;
  detail: string;
  id: string;
}
export interface Report {
  torch: string;
  engine: string;
  seed: number;
  date: string;
  /** What PyTorch has, and which of it the library has. */
  families: Record<Family, { all: string[]; available: string[]; drawn: string[] }>;
  counts: Record<Family, Record<string, Counts>>;
  /** How often each row of the table of intended differences was needed. */
  intended: Record<string, number>;
  /** How often each argument was asked for and not there, by name of the function or layer. */
  missingArguments: Record<string, Record<string, number>>;
  failures: FailureKind[];
}

export const noCounts = (): Counts => Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Counts;
const plain = (text: string) => text.replace(/-?\d[\d.e+-]*/g, '#').replace(/\[[#, ]*\]/g, '[#]');
/** Two failures are of one kind where this is the same. */
const kindOf = ({ name, way, outcome, aspect, detail }: Verdict) =>
  [name, way, outcome, plain(aspect), plain(detail).slice(0, outcome === 'differs' ? 12 : 60)].join('|');

export class Tally {
  readonly counts: Report['counts'] = { functions: {}, layers: {}, optimizers: {}, schedulers: {}, inits: {} };
  readonly intended: Record<string, number> = {};
  readonly missingArguments: Report['missingArguments'] = {};
  private readonly kinds = new Map<string, FailureKind>();

  add(family: Family, verdict: Verdict): void {
    const { name, way, outcome, aspect, detail, dtype, id, call, row } = verdict;
    const counts = (this.counts[family][name] ??= noCounts());
    counts[outcome]++;
    if (row) this.intended[row] = (this.intended[row] ?? 0) + 1;
    if (outcome === 'argument not available') {
      const missing = (this.missingArguments[name] ??= {});
      missing[detail] = (missing[detail] ?? 0) + 1;
    }
    if (!failures.includes(outcome)) return;
    const key = kindOf(verdict);
    const known = this.kinds.get(key);
    if (!known) this.kinds.set(key, { name, way, outcome, times: 1, dtypes: [dtype], aspect, call, detail, id });
    else {
      known.times++;
      if (!known.dtypes.includes(dtype)) known.dtypes.push(dtype);
      if (call.length < known.call.length) Object.assign(known, { call, detail, id, aspect });
    }
  }

  failureKinds(): FailureKind[] {
    return [...this.kinds.values()];
  }
  sums(family?: Family): Counts {
    const sum = noCounts();
    for (const [of, names] of Object.entries(this.counts))
      if (!family || of === family)
        for (const counts of Object.values(names)) for (const outcome of outcomes) sum[outcome] += counts[outcome];
    return sum;
  }
}

export function printSummary(tally: Tally, rows: readonly IntendedRow[]): void {
  const kinds = tally.failureKinds();
  for (const { name, way, outcome, times, dtypes, aspect, call, detail, id } of kinds)
    console.log(
      `\n${outcome.toUpperCase()} ${name} (${way}), ${times} times, ${dtypes.join(' ')}: ${aspect}\n  ${call}\n  ${detail}\n  ${id}`,
    );
  for (const { id } of rows) if (tally.intended[id]) console.log(`intended: ${id}: ${tally.intended[id]} times`);
  const width = Math.max(...outcomes.map((outcome) => outcome.length)) + 2;
  console.log(`\n${''.padEnd(12)}${outcomes.map((outcome) => outcome.padStart(width)).join('')}`);
  for (const family of [...Object.keys(tally.counts), undefined] as (Family | undefined)[]) {
    const sums = tally.sums(family);
    console.log(
      `${(family ?? 'all').padEnd(12)}${outcomes.map((outcome) => String(sums[outcome]).padStart(width)).join('')}`,
    );
  }
}

export const numberOfFailures = (tally: Tally): number =>
  failures.reduce((sum, outcome) => sum + tally.sums()[outcome], 0);

export const reportOf = (
  tally: Tally,
  listing: Listing,
  available: (family: Family, name: string) => boolean,
  run: { engine: string; seed: number },
): Report => ({
  torch: listing.version,
  ...run,
  date: new Date().toISOString().slice(0, 10),
  families: Object.fromEntries(
    (Object.keys(tally.counts) as Family[]).map((family) => [
      family,
      {
        all: listing[family],
        available: listing[family].filter((name) => available(family, name)),
        drawn: listing.drawn[family],
      },
    ]),
  ) as Report['families'],
  counts: tally.counts,
  intended: tally.intended,
  missingArguments: tally.missingArguments,
  failures: tally.failureKinds(),
});
