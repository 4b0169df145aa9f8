// The suites: what is measured, against whom.
import type { Peer } from '../peers/peers.ts';
import { lenet } from './lenet.ts';

export interface Case {
  readonly name: string;
  readonly engine: 'native' | 'wasm';
  readonly threads: number;
  /** Milliseconds that each contender measures per turn. */
  readonly budget?: number;
  readonly peers: readonly Peer[];
  /** Builds the work on the case's engine and returns one run of it. */
  prepare(): () => unknown;
  /** Further figures from the median time. */
  extra?(ms: number): Record<string, number>;
}

export const suites: Record<string, () => Case[]> = { lenet };
