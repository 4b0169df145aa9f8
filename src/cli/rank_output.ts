// What the ranks of a job write, as `evenkeel launch` shows it: each line with its rank, and an error that several
// ranks
// have once.
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { MpiName } from '../distributed/mpi_addon.ts';

/**
 * How mpirun marks what a rank writes. Open MPI marks each piece that it reads, of which a line may have several, and
 * lines of other ranks may stand in between; MPICH marks lines.
 */
export const markOf = ({ name, major }: { name: MpiName; major: number }): RegExp =>
  name === 'mpich' ? /^\[(\d+)\] /g : major >= 5 ? /\[[^\]\s]*,(\d+)\]<std\w+>: /g : /\[\d+,(\d+)\]<std\w+>:/g;
/** Milliseconds in which ranks that write the same on stderr write it together. */
const together = 300;

/** Gives the lines of a stream to `take`, each with its rank; null: mpirun's own. */
export function readLines(stream: Readable, mark: RegExp, take: (rank: number | null, line: string) => void): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  /** What a rank has written of a line so far. */
  const begun = new Map<number | null, string>();
  const add = (rank: number | null, text: string, isWhole: boolean) => {
    const line = (begun.get(rank) ?? '') + text;
    if (isWhole) take(rank, line);
    if (isWhole) begun.delete(rank);
    else begun.set(rank, line);
  };
  const line = (text: string) => {
    let [rank, from]: [number | null, number] = [null, 0];
    for (const found of text.matchAll(mark)) {
      if (found.index > from) add(rank, text.slice(from, found.index), false);
      [rank, from] = [Number(found[1]), found.index + found[0].length];
    }
    add(rank, text.slice(from), true);
  };
  stream.on('data', (bytes: Buffer) => {
    const lines = (rest + decoder.write(bytes)).split('\n');
    rest = lines.pop()!;
    lines.forEach(line);
  });
  stream.on('end', () => {
    if (rest) line(rest);
    for (const [rank, text] of begun) take(rank, text);
  });
}

/** Ranks as a line's prefix has them: `0`, `0,2`, `0-3`. */
function prefix(ranks: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < ranks.length; ) {
    let end = i;
    while (ranks[end + 1] === ranks[end] + 1) end++;
    parts.push(end - i > 1 ? `${ranks[i]}-${ranks[end]}` : ranks.slice(i, end + 1).join(','));
    i = end + 1;
  }
  return `[${parts.join(',')}]`;
}

/** Gathers what ranks write on stderr until they are silent for a moment, and writes what is the same once. */
export class Errors {
  private readonly write: (text: string) => void;
  private readonly waiting = new Map<number, string[]>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private first = 0;

  constructor(write: (text: string) => void) {
    this.write = write;
  }

  take(rank: number | null, line: string): void {
    if (rank === null) {
      this.flush();
      this.write(`${line}\n`);
      return;
    }
    if (this.waiting.size === 0) this.first = Date.now();
    const lines = this.waiting.get(rank) ?? [];
    lines.push(line);
    this.waiting.set(rank, lines);
    if (this.timer) clearTimeout(this.timer);
    // Whoever writes without a pause is shown, too.
    this.timer = setTimeout(
      () => this.flush(),
      Math.max(0, Math.min(together, this.first + 3 * together - Date.now())),
    );
  }

  flush(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    const ranksOf = new Map<string, number[]>();
    for (const [rank, lines] of [...this.waiting].sort(([a], [b]) => a - b)) {
      const text = lines.join('\n');
      ranksOf.set(text, [...(ranksOf.get(text) ?? []), rank]);
    }
    this.waiting.clear();
    for (const [text, ranks] of ranksOf) for (const line of text.split('\n')) this.write(`${prefix(ranks)} ${line}\n`);
  }
}
