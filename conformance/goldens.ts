// The committed sample: cases with PyTorch's results, a line each, packed; and how it is chosen.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Case } from './case.ts';
import type { Family } from './torch.ts';

const folder = new URL('goldens/', import.meta.url);
/** Longer lines hold large tensors, of which a small repository keeps none. */
const longest = 6000;
/** Cases of one name, dtype, source and variant. */
const most: Record<Case['source'], number> = { sample: 5, reference: 4, error: 12 };

/** Collects the lines of one family's names; each is thinned when it is complete. */
export class GoldenChoice {
  private readonly kept: string[] = [];
  private current = new Map<string, string[]>();

  offer(line: string, given: Pick<Case, 'source' | 'dtype' | 'kind'> & { variant?: string; training?: boolean }): void {
    if (line.length > (given.kind === 'optimizer' ? 20 * longest : longest)) return;
    const stratum = [given.source, given.source === 'error' ? '' : given.dtype, given.variant, given.training].join();
    this.current.set(stratum, [...(this.current.get(stratum) ?? []), line]);
  }
  /** Ends a name. */
  finish(): void {
    for (const lines of this.current.values()) {
      const { source, kind } = JSON.parse(lines[0]) as Case;
      // An optimizer's life is long.
      const wanted = Math.min(kind === 'optimizer' && source === 'sample' ? 3 : most[source], lines.length);
      for (let i = 0; i < wanted; i++) this.kept.push(lines[Math.floor((i * lines.length) / wanted)]);
    }
    this.current = new Map();
  }
  write(family: Family): number {
    const packed = gzipSync(`${this.kept.join('\n')}\n`, { level: 9 });
    writeFileSync(new URL(`${family}.jsonl.gz`, folder), packed);
    return packed.length;
  }
}

export const goldenFamilies = (): Family[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl.gz'))
    .map((name) => name.replace('.jsonl.gz', '') as Family);

export const goldenLines = (family: Family): string[] =>
  gunzipSync(readFileSync(new URL(`${family}.jsonl.gz`, folder)))
    .toString()
    .trimEnd()
    .split('\n');
