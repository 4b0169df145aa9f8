// Where the library differs from PyTorch on purpose. A difference that no row here explains is a failure.
import type { Verdict } from './run_case.ts';

export interface Facts {
  verdict: Verdict;
  /** An argument is a float with an integral value. */
  hasIntegralFloat: boolean;
}
export interface IntendedRow {
  id: string;
  /** For the page: what differs, and why. */
  reason: string;
  matches(facts: Facts): boolean;
}

export const intended: readonly IntendedRow[] = [
  {
    id: 'one kind of number',
    reason:
      'JavaScript has one kind of number: 2.0 is 2. A float scalar with an integral value beside an integer tensor gives an integer tensor, where PyTorch gives float32.',
    matches: ({ verdict, hasIntegralFloat }) =>
      hasIntegralFloat && verdict.detail.startsWith('dtype: expected float32'),
  },
];

export const intendedRow = (facts: Facts): IntendedRow | null => intended.find((row) => row.matches(facts)) ?? null;
