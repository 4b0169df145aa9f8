// The suites: what is measured, against whom.
import type { Row } from '../measure.ts';
import type { Peer } from '../peers/peers.ts';
import { conv2dAndLinear } from './conv.ts';
import { lenet } from './lenet.ts';
import { memory } from './memory.ts';
import { norm } from './norm.ts';

interface CaseBase {
  readonly name: string;
  readonly engine: 'native' | 'wasm';
  readonly threads: number;
  /** Milliseconds that each contender measures per turn. */
  readonly budget?: number;
  readonly peers: readonly Peer[];
}

/** Timed in turns with its peers. */
export interface TimedCase extends CaseBase {
  /** Builds the work on the case's engine and returns one run of it. */
  prepare(): () => unknown;
  /** Further figures from the median time. */
  extra?(ms: number): Record<string, number>;
}

/** Measured in a way of its own, where something else than time matters. */
export interface SpecialCase extends CaseBase {
  measure(one: SpecialCase): Promise<Row>;
}

export type Case = TimedCase | SpecialCase;

export const suites: Record<string, () => Case[]> = { conv: conv2dAndLinear, lenet, memory, norm };
