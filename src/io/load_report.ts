// What became of every tensor of a file and of every parameter and buffer of a model when one was loaded into the
// other: as data, and as a table.

import { editsBetween } from '../options.ts';
import type { DType } from '../tensor/dtype.ts';
import { formatShape, type Shape, sameShape } from '../tensor/shape.ts';
import type { StoredDType } from './stored_dtype.ts';

/** A tensor of the file that went into a parameter or buffer. */
export interface LoadedEntry {
  /** In the model. */
  readonly name: string;
  /** In the file. */
  readonly from: string;
  /** The size of each dimension. */
  readonly shape: Shape;
  /** Its type in the file, and in the model. */
  readonly stored: StoredDType;
  /** Its type in the model. */
  readonly dtype: DType;
}

/** A name that stands on one side only. */
export interface UnmatchedEntry {
  /** On the side that has it. */
  readonly name: string;
  /** The size of each dimension. */
  readonly shape: Shape;
  /** The name on the other side that may be meant: of the same shape, at the same place or spelt alike. */
  readonly suggestion: string | null;
}

/** A name that means tensors of two shapes. */
export interface ShapeMismatch {
  /** In the model. */
  readonly name: string;
  /** In the file. */
  readonly from: string;
  /** The size of each dimension in the model. */
  readonly shape: Shape;
  /** The size of each dimension in the file. */
  readonly given: Shape;
}

/** What a `LoadReport` is made of. */
export interface LoadReportParts {
  /** The file, as it was given. */
  readonly source: string;
  /** The model's class. */
  readonly model: string;
  /** Where in the file's data the state dict stood; '' is the root. */
  readonly path: string;
  /** Tensors of the file that went into the model. */
  readonly loaded: readonly LoadedEntry[];
  /** Parameters and buffers of the model that the file does not have. */
  readonly missing: readonly UnmatchedEntry[];
  /** Tensors of the file that the model has no place for. */
  readonly unexpected: readonly UnmatchedEntry[];
  /** Names on both sides whose shapes differ. */
  readonly mismatched: readonly ShapeMismatch[];
  /** Of the file, left out as the options say. */
  readonly skipped: readonly string[];
  /** Of the model, left as they were as the options say. */
  readonly fresh: readonly string[];
  /** Counters that the file does not have, since an old version saved it. */
  readonly inserted: readonly string[];
  /** What was done to the file's names, one sentence each. */
  readonly renamings: readonly string[];
  /** What was not read, and what could not be kept, one sentence each. */
  readonly notes: readonly string[];
  /** Of all suggestions a table for the option `rename`: a first draft, to be looked at. */
  readonly suggestedRename: Readonly<Record<string, string>>;
  /** Why shapes or types do not fit, one sentence each. */
  readonly errors: readonly string[];
}

/** Lines of a kind that a table shows. */
const shownLines = 12;

/** What `loadWeights` did, or would have done where it refused. `String(report)` is a table. */
export class LoadReport implements LoadReportParts {
  /** The file, as it was given. */
  readonly source!: string;
  /** The model's class. */
  readonly model!: string;
  /** Where in the file's data the state dict stood; '' is the root. */
  readonly path!: string;
  /** Tensors of the file that went into the model. */
  readonly loaded!: readonly LoadedEntry[];
  /** Parameters and buffers of the model that the file does not have. */
  readonly missing!: readonly UnmatchedEntry[];
  /** Tensors of the file that the model has no place for. */
  readonly unexpected!: readonly UnmatchedEntry[];
  /** Names on both sides whose shapes differ. */
  readonly mismatched!: readonly ShapeMismatch[];
  /** Of the file, left out as the options say. */
  readonly skipped!: readonly string[];
  /** Of the model, left as they were as the options say. */
  readonly fresh!: readonly string[];
  /** Counters that the file does not have, since an old version saved it. */
  readonly inserted!: readonly string[];
  /** What was done to the file's names, one sentence each. */
  readonly renamings!: readonly string[];
  /** What was not read, and what could not be kept, one sentence each. */
  readonly notes!: readonly string[];
  /** Of all suggestions a table for the option `rename`: a first draft, to be looked at. */
  readonly suggestedRename!: Readonly<Record<string, string>>;
  /** Why shapes or types do not fit, one sentence each. */
  readonly errors!: readonly string[];

  constructor(parts: LoadReportParts) {
    Object.assign(this, parts);
  }

  /** Those that have another name in the model. */
  get renamed(): readonly LoadedEntry[] {
    return this.loaded.filter(({ name, from }) => name !== from);
  }
  /** Those whose type in the file is not the model's. */
  get casts(): readonly LoadedEntry[] {
    return this.loaded.filter(({ stored, dtype }) => stored !== dtype);
  }
  toString(): string {
    const unmatched = ({ name, shape, suggestion }: UnmatchedEntry) =>
      `${name} ${formatShape(shape)}${suggestion === null ? '' : `   perhaps ${suggestion}`}`;
    const rows: [string, readonly string[], boolean][] = [
      ['loaded', this.loaded.map(({ name }) => name), false],
      ['renamed', this.renamed.map(({ name, from }) => `${from} → ${name}`), true],
      ['cast', this.casts.map(({ name, stored, dtype }) => `${name}: ${stored} → ${dtype}`), true],
      ['counters inserted', this.inserted, true],
      ['left as they were', this.fresh, true],
      ['skipped', this.skipped, true],
      ['missing', this.missing.map(unmatched), true],
      ['unexpected', this.unexpected.map(unmatched), true],
      ['do not fit', this.errors, true],
    ];
    const where = this.path === '' ? '' : `, at '${this.path}'`;
    const lines = [`${this.source}${where} → ${this.model}`];
    for (const sentence of [...this.renamings, ...this.notes]) lines.push(`  ${sentence}`);
    for (const [title, entries, hasLines] of rows) {
      if (entries.length === 0 && title !== 'loaded') continue;
      lines.push(`  ${title.padEnd(20)}${String(entries.length).padStart(6)}`);
      if (!hasLines) continue;
      for (const entry of entries.slice(0, shownLines)) lines.push(`      ${entry}`);
      if (entries.length > shownLines) lines.push(`      … and ${entries.length - shownLines} more`);
    }
    return lines.join('\n');
  }
}

/** Candidates of one shape that are compared by their letters. */
const mostCandidates = 60;

interface Named {
  readonly name: string;
  readonly shape: Shape;
}
const isCounter = ({ name }: Named): boolean => name.endsWith('num_batches_tracked');
const haveOrder = (a: readonly Named[], b: readonly Named[]): boolean =>
  a.length === b.length && a.every(({ shape }, i) => sameShape(shape, b[i].shape));

/**
 * For names in the model that found nothing those of the file that found no place and may be meant. Where both lists
 * have the same shapes in the same order they are paired so, since modules register in the order of the network, with
 * or without counters, which old files lack; else the nearest spelling of the same shape is taken, if it is near.
 */
export function suggestNames(wanted: readonly Named[], unexpected: readonly Named[]): Map<string, string> {
  for (const keeps of [() => true, (each: Named) => !isCounter(each)]) {
    const [ours, theirs] = [wanted.filter(keeps), unexpected.filter(keeps)];
    if (haveOrder(ours, theirs)) return new Map(ours.map(({ name }, i) => [name, theirs[i].name]));
  }
  const suggestions = new Map<string, string>();
  const taken = new Set<string>();
  for (const { name, shape } of wanted) {
    const alike = unexpected.filter((each) => !taken.has(each.name) && sameShape(each.shape, shape));
    let best: string | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const candidate of alike.slice(0, mostCandidates)) {
      const distance = editsBetween(name, candidate.name);
      const isNear = 2 * distance <= Math.max(name.length, candidate.name.length);
      if (isNear && distance < least) [best, least] = [candidate.name, distance];
    }
    if (best === null) continue;
    taken.add(best);
    suggestions.set(name, best);
  }
  return suggestions;
}
