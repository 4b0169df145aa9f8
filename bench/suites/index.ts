// The suites: what is measured, against whom.
import type { Work } from '../machine.ts';
import type { Row, Turns } from '../measure.ts';
import type { Peer } from '../peers/peers.ts';
import type { Target } from '../target.ts';
import { conv2dAndLinear } from './conv.ts';
import { distributed } from './distributed.ts';
import { io } from './io.ts';
import { lenet } from './lenet.ts';
import { memory } from './memory.ts';
import { norm } from './norm.ts';
import { ops } from './ops.ts';
import { random } from './random.ts';
import { scriptSuite } from './scripts.ts';
import { spatial } from './spatial.ts';
import { train } from './train.ts';

interface CaseBase {
  readonly name: string;
  readonly engine: 'native' | 'wasm';
  readonly threads: number;
  /** Milliseconds that each contender measures per turn. Default: 150. */
  readonly budget?: number;
  /** Turns of each contender. Default: the command line's. */
  readonly rounds?: number;
  readonly peers: readonly Peer[];
  readonly target?: Target;
  /** What a run has to do at least; then its share of the machine's limit is a figure of the row. */
  readonly work?: Work;
}

/** Timed in turns with its peers. */
export interface TimedCase extends CaseBase {
  /** Builds the work on the case's engine and returns one run of it. */
  prepare(): () => unknown;
  /** Whether the same run is measured without fusion too. Default: false. */
  readonly withPlain?: boolean;
  /** Further figures from the median time. */
  extra?(ms: number): Record<string, number>;
}

/** Measured in a way of its own, where something else than time matters. */
export interface SpecialCase extends CaseBase {
  /** `rows` are those before it, which it may sum up. */
  measure(one: SpecialCase, turns: Turns, rows: readonly Row[]): Promise<Row>;
}

export type Case = TimedCase | SpecialCase;

export const suites: Record<string, () => Case[]> = {
  conv: conv2dAndLinear,
  distributed,
  io,
  lenet,
  memory,
  norm,
  ops,
  random,
  scripts: scriptSuite,
  spatial,
  train,
};
