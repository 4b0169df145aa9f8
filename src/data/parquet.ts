// Tables from Parquet files, read by the optional package hyparquet. Node only.
import { shown } from '../checks.ts';
import { ArgumentTypeError } from '../errors.ts';
import { declareOptions, requireOptions } from '../options.ts';
import { unreadable } from './errors.ts';
import { optionalPackage } from './optional_package.ts';
import { requireTable, TableBuilder, type TableDataset, type TableOptions, tableKinds } from './table.ts';

const loadParquetOptions = declareOptions<TableOptions>(tableKinds);

/**
 * A Parquet file as a dataset of its rows; see `TableDataset`. Needs the package `hyparquet`, which reads files that
 * are not compressed, or by Snappy.
 * @throws MissingPackageError without it, DataFormatError, with row (from 0) and column, where a cell is no finite
 * number, or on a file that cannot be read.
 * @example
 * const flowers = await loadParquet('test/data/fixtures/iris.parquet', { features: ['sepal_length'], target: 'petal_width' });
 * console.log(flowers.length, flowers.get(0)[0].data);
 */
export async function loadParquet(path: string, options: TableOptions = {}): Promise<TableDataset> {
  requireOptions('loadParquet', options, loadParquetOptions);
  requireTable('loadParquet', options);
  if (typeof path !== 'string') throw new ArgumentTypeError(`[loadParquet] expected a path, got ${shown(path)}`);
  const { asyncBufferFromFile, parquetMetadataAsync, parquetRead, parquetSchema } = await optionalPackage(
    'loadParquet',
    'hyparquet',
    'reads Parquet files',
    () => import('hyparquet'),
  );
  const refuse = (cause: unknown): never => {
    throw unreadable('loadParquet', path, cause);
  };
  const file = await asyncBufferFromFile(path).catch(refuse);
  const metadata = await parquetMetadataAsync(file).catch(refuse);
  const known = parquetSchema(metadata).children.map(({ element }) => element.name);
  const table = new TableBuilder('loadParquet', path, known, options);
  const chunks: { columnName: string; columnData: ArrayLike<unknown>; rowStart: number }[] = [];
  await parquetRead({ file, metadata, columns: [...table.columns], onChunk: (chunk) => chunks.push(chunk) }).catch(
    refuse,
  );
  // Groups of rows may come in any order.
  chunks.sort((a, b) => a.rowStart - b.rowStart);
  table.columns.forEach((name, column) => {
    for (const { columnName, columnData, rowStart } of chunks)
      if (columnName === name)
        for (let i = 0; i < columnData.length; i++) table.add(column, columnData[i], `row ${rowStart + i}`);
  });
  return table.build();
}
