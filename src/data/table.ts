// Tables as datasets: which columns are features, which is the target, and how their cells become numbers. Reading
// files is in csv.ts and parquet.ts.
import { shown } from '../checks.ts';
import { ArgumentTypeError } from '../errors.ts';
import { kind } from '../options.ts';
import { TensorDataset } from './dataset.ts';
import { DataArgumentError, DataFormatError } from './errors.ts';
import type { ArraySample } from './sample.ts';

/** Options of functions that read tables. */
export interface TableOptions {
  /** The columns of numbers that are the features. Default: all but the target. */
  features?: readonly string[] | null;
  /** The column that is the target; null for none. Default: null. */
  target?: string | null;
  /**
   * The names of the classes, where the target is one of them and not a number: what stands in its cells. `'sorted'`
   * takes those that the file has. Default: null, a number.
   */
  classes?: readonly string[] | 'sorted' | null;
}
export const tableKinds = { features: kind.own, target: kind.own, classes: kind.own };

/** Refuses options of another kind, before a file is opened. */
export function requireTable(op: string, options: TableOptions): void {
  const { features = null, target = null, classes = null } = options;
  const isNames = (value: unknown) => Array.isArray(value) && value.every((name) => typeof name === 'string');
  if (features !== null && !isNames(features))
    throw new ArgumentTypeError(`[${op}] expected names of columns as features, got ${shown(features)}`);
  if (target !== null && typeof target !== 'string')
    throw new ArgumentTypeError(`[${op}] expected the name of a column as target, got ${shown(target)}`);
  if (classes !== null && classes !== 'sorted' && !isNames(classes))
    throw new ArgumentTypeError(`[${op}] expected names or 'sorted' as classes, got ${shown(classes)}`);
  if (classes !== null && target === null) throw new DataArgumentError(`[${op}] expected a target beside classes`);
}

/**
 * A table: a sample is a row, [features] or [features, target]. Features are float32 [columns]; the target is float32,
 * or, with classes, int64.
 */
export class TableDataset extends TensorDataset<
  [features: ArraySample<Float32Array>, target: ArraySample<Float32Array | BigInt64Array>]
> {
  /** The names of the features, in their order. */
  readonly features: readonly string[];
  /** The name of the target; null: there is none. */
  readonly target: string | null;
  /** The names of the classes; null: the target is a number. */
  readonly classes: readonly string[] | null;

  /** @internal */
  constructor(
    features: readonly string[],
    target: string | null,
    classes: readonly string[] | null,
    arrays: ArraySample[],
  ) {
    super(...(arrays as [ArraySample<Float32Array>, ArraySample<Float32Array | BigInt64Array>]));
    this.features = features;
    this.target = target;
    this.classes = classes;
  }
}

/** Takes the cells of a table, and makes a dataset of them. */
export class TableBuilder {
  /** The columns that are read, features first. */
  readonly columns: readonly string[];
  readonly #op: string;
  readonly #source: string;
  readonly #features: readonly string[];
  readonly #target: string | null;
  readonly #classes: readonly string[] | 'sorted' | null;
  readonly #numbers: number[][];
  readonly #texts: string[] = [];

  /** @param known the columns that the file has. */
  constructor(op: string, source: string, known: readonly string[], options: TableOptions) {
    const { features = null, target = null, classes = null } = options;
    this.#features = features ?? known.filter((name) => name !== target);
    if (this.#features.length === 0) throw new DataArgumentError(`[${op}] expected at least one column of features`);
    this.columns = target === null ? this.#features : [...this.#features, target];
    const missing = this.columns.find((name) => !known.includes(name));
    if (missing !== undefined)
      throw new DataFormatError(op, source, `expected a column '${missing}', found ${known.join(', ')}`);
    this.#op = op;
    this.#source = source;
    this.#target = target;
    this.#classes = classes;
    this.#numbers = this.columns.map(() => []);
  }

  /** Appends a cell to one of `columns`. @param row where it stands, for errors: 'line 3'. */
  add(column: number, cell: unknown, row: string): void {
    const isClass = this.#classes !== null && column === this.#features.length;
    if (isClass) {
      if (cell === null || cell === undefined || typeof cell === 'object' || cell === '')
        this.#refuse(column, row, 'a class', cell);
      const text = String(cell);
      if (this.#classes !== 'sorted' && !this.#classes!.includes(text))
        this.#refuse(column, row, `one of the classes ${this.#classes!.join(', ')}`, cell);
      this.#texts.push(text);
      return;
    }
    const isText = typeof cell === 'string';
    const isNumber = isText ? cell.trim() !== '' : ['number', 'bigint', 'boolean'].includes(typeof cell);
    const value = isNumber ? Number(cell) : Number.NaN;
    // Nothing becomes a NaN that nobody sees.
    if (!Number.isFinite(value)) this.#refuse(column, row, 'a finite number', cell);
    this.#numbers[column].push(value);
  }

  #refuse(column: number, row: string, expected: string, cell: unknown): never {
    const text = `${row}, column '${this.columns[column]}': expected ${expected}, got ${shown(cell)}`;
    throw new DataFormatError(this.#op, this.#source, text);
  }

  /** The dataset of all cells. */
  build(): TableDataset {
    const width = this.#features.length;
    const count = this.#numbers[0].length;
    const data = new Float32Array(count * width);
    for (let c = 0; c < width; c++) {
      const values = this.#numbers[c];
      for (let i = 0; i < count; i++) data[i * width + c] = values[i];
    }
    const arrays: ArraySample[] = [{ data, shape: [count, width] }];
    let classes: readonly string[] | null = null;
    if (this.#classes !== null) {
      classes = this.#classes === 'sorted' ? [...new Set(this.#texts)].sort() : this.#classes;
      const numbers = new Map(classes.map((name, i) => [name, BigInt(i)]));
      arrays.push({ data: BigInt64Array.from(this.#texts, (text) => numbers.get(text)!), shape: [count] });
    } else if (this.#target !== null) arrays.push({ data: Float32Array.from(this.#numbers[width]), shape: [count] });
    return new TableDataset(this.#features, this.#target, classes, arrays);
  }
}
