// Tables from CSV files, parsed by the optional package csv-parse. Node only.
import { createReadStream } from 'node:fs';
import { shown } from '../checks.ts';
import { ArgumentTypeError, EvenkeelError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { DataFormatError, unreadable } from './errors.ts';
import { optionalPackage } from './optional_package.ts';
import { requireTable, TableBuilder, type TableDataset, type TableOptions, tableKinds } from './table.ts';

/** Options of `loadCsv`. */
export interface LoadCsvOptions extends TableOptions {
  /** The names of the columns, of a file whose first line does not have them; null: it does. Default: null. */
  columns?: readonly string[] | null;
  /** What stands between cells. Default: `','`. */
  delimiter?: string;
}
const loadCsvOptions = declareOptions<LoadCsvOptions>({ ...tableKinds, columns: kind.own, delimiter: kind.string });

type Row = { record: string[]; info: { lines: number } };

/**
 * A CSV file as a dataset of its rows; see `TableDataset`. Cells may be quoted (RFC 4180). Needs the package
 * `csv-parse`.
 * @throws MissingPackageError without it, DataFormatError, with line and column, where a cell is no finite number or a
 * row has another length.
 * @example
 * const iris = await loadCsv('test/data/fixtures/iris.csv', { target: 'species', classes: 'sorted' });
 * for (const [features, species] of new DataLoader(iris, { batchSize: 3 })) console.log(features.shape, species.dtype);
 */
export async function loadCsv(path: string, options: LoadCsvOptions = {}): Promise<TableDataset> {
  requireOptions('loadCsv', options, loadCsvOptions);
  requireTable('loadCsv', options);
  if (typeof path !== 'string') throw new ArgumentTypeError(`[loadCsv] expected a path, got ${shown(path)}`);
  const { columns = null, delimiter = ',' } = options;
  if (columns !== null && !(Array.isArray(columns) && columns.every((name) => typeof name === 'string')))
    throw new ArgumentTypeError(`[loadCsv] expected names as columns, got ${shown(columns)}`);
  const { parse } = await optionalPackage('loadCsv', 'csv-parse', 'reads CSV files', () => import('csv-parse'));
  let names = columns;
  let table = names && new TableBuilder('loadCsv', path, names, options);
  let places: readonly number[] = [];
  const file = createReadStream(path);
  try {
    const parser = parse({ delimiter, bom: true, info: true, skip_empty_lines: true });
    file.on('error', (error) => parser.destroy(error));
    for await (const { record, info } of file.pipe(parser) as AsyncIterable<Row>) {
      if (!names) {
        names = record;
        table = new TableBuilder('loadCsv', path, names, options);
        continue;
      }
      if (record.length !== names.length)
        throw new DataFormatError(
          'loadCsv',
          path,
          `line ${info.lines}: expected ${names.length} cells, got ${record.length}`,
        );
      if (places.length === 0) places = table!.columns.map((name) => names!.indexOf(name));
      for (const [column, place] of places.entries()) table!.add(column, record[place], `line ${info.lines}`);
    }
  } catch (cause) {
    if (cause instanceof EvenkeelError) throw cause;
    throw unreadable('loadCsv', path, cause);
  } finally {
    file.destroy();
  }
  if (!table) throw new DataFormatError('loadCsv', path, 'expected a line with the names of the columns, got none');
  return table.build();
}
