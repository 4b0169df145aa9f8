// What main.ts needs to know of the programs that it draws, runs and shrinks, and what a judge says of one.

/** What differs: two programs fail alike where `between` and `aspect` are the same. */
export interface Difference {
  /** The number of the call or step; 0 is a construction, null where it is in the message. */
  call: number | null;
  between: 'library and reference' | 'library and PyTorch' | 'PyTorch and reference' | 'fused and plain';
  aspect: string;
  message: string;
}

export interface Verdict {
  /** Those of the first call that has any: later ones may follow from them. */
  differences: Difference[];
  comparisons: number;
  /** Rows of the table of known differences that were needed. */
  known: Set<string>;
}

export interface Target<P> {
  /** What decides, in words. */
  readonly judgeName: string;
  /** What the tally is kept by. */
  readonly kinds: readonly string[];
  /** The program of a seed; null where it is none of those asked for. */
  draw(seed: number): P | null;
  kindOf(program: P): string;
  /** How many calls or steps it has. */
  lengthOf(program: P): number;
  /** In words, a call or step a line. */
  linesOf(program: P): string[];
  judge(programs: readonly P[]): Promise<Verdict[]>;
  /** The smallest program that fails alike, of a limited search; `program` is the seed's. */
  shrink(seed: number, program: P, fails: (program: P) => Promise<boolean>): Promise<P>;
  close(): void;
}
