// Tables as datasets, from CSV and Parquet files (golden/table_fixtures.py wrote two), and what is refused of them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DataArgumentError, DataFormatError, DataLoader } from '../../src/data/index.ts';
import { type LoadCsvOptions, loadCsv, loadParquet, type TableOptions } from '../../src/data/node.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'evenkeel-tables-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const features = ['sepal_length', 'sepal_width', 'petal_length', 'petal_width'];
const species = ['setosa', 'setosa', 'versicolor', 'versicolor', 'virginica', 'virginica', 'virginica'];
const lengths = [5.1, 4.9, 7, 6.4, 6.3, 5.8, 7.1];

describe.each([
  ['loadCsv', (options: TableOptions) => loadCsv(fixture('iris.csv'), options)],
  ['loadParquet', (options: TableOptions) => loadParquet(fixture('iris.parquet'), options)],
] as const)('%s', (name, load) => {
  test('gives features and classes', async () => {
    const table = await load({ features, target: 'species', classes: 'sorted' });
    expect([table.length, table.features, table.target]).toEqual([7, features, 'species']);
    expect(table.classes).toEqual(['setosa', 'versicolor', 'virginica']);
    expect(table.get(2)).toEqual([
      { data: Float32Array.of(7, 3.2, 4.7, 1.4), shape: [4] },
      { data: BigInt64Array.of(1n), shape: [] },
    ]);
    const batches = [...new DataLoader(table, { batchSize: 4 })];
    expect(batches.map(([x, y]) => [x.shape, x.dtype, y.shape, y.dtype])).toEqual([
      [[4, 4], 'float32', [4], 'int64'],
      [[3, 4], 'float32', [3], 'int64'],
    ]);
    expect(batches.flatMap(([, y]) => y.toArray())).toEqual(species.map((each) => table.classes!.indexOf(each)));
  });

  test('takes columns in any order, a number as target, or none', async () => {
    const table = await load({ features: ['petal_width', 'sepal_length'], target: 'sepal_width' });
    expect(table.arrays[1]).toEqual({ data: Float32Array.of(3.5, 3, 3.2, 3.2, 3.3, 2.7, 3), shape: [7] });
    expect(table.get(6)[0].data).toEqual(Float32Array.of(2.1, 7.1));
    const alone = await load({ features: ['sepal_length'] });
    expect([alone.arrays.length, alone.target, alone.classes]).toEqual([1, null, null]);
    expect(alone.arrays[0].data).toEqual(Float32Array.from(lengths));
    const ordered = await load({ features, target: 'species', classes: ['virginica', 'setosa', 'versicolor'] });
    expect([...ordered.arrays[1].data].slice(0, 3)).toEqual([1n, 1n, 2n]);
  });

  test('refuses other columns, classes and cells', async () => {
    await expect(load({ features: ['height'] })).rejects.toThrow(DataFormatError);
    await expect(load({ features: ['height'] })).rejects.toThrow("expected a column 'height', found sepal_length, ");
    await expect(load({ features: ['species'] })).rejects.toThrow(
      new RegExp(`^\\[${name}\\] .*(?:line 2|row 0), column 'species': expected a finite number, got 'setosa'$`),
    );
    await expect(load({ features, target: 'species', classes: ['setosa', 'virginica'] })).rejects.toThrow(
      /(?:line 4|row 2), column 'species': expected one of the classes setosa, virginica, got 'versicolor'/,
    );
    await expect(load({ features: [] })).rejects.toThrow(DataArgumentError);
    await expect(load({ features, classes: 'sorted' })).rejects.toThrow('expected a target beside classes');
    await expect(load({ features: 'a' as never })).rejects.toThrow("expected names of columns as features, got 'a'");
    await expect(load({ target: 3 as never })).rejects.toThrow('expected the name of a column as target, got 3');
    await expect(load({ features, target: 'species', classes: 3 as never })).rejects.toThrow(
      "names or 'sorted' as classes",
    );
  });
});

describe('loadCsv', () => {
  const csv = (text: string, options: LoadCsvOptions = {}) => {
    const path = join(scratch, 'table.csv');
    writeFileSync(path, text);
    return loadCsv(path, options);
  };

  test('reads quoted cells, other delimiters, files without names, and a byte order mark', async () => {
    const quoted = await csv('\ufeffa,"b ""x"""\n"1", 2\n\n3,4e1\n');
    expect([quoted.features, [...quoted.arrays[0].data]]).toEqual([
      ['a', 'b "x"'],
      [1, 2, 3, 40],
    ]);
    const plain = await csv('1;2\n3;4\n', { columns: ['x', 'y'], delimiter: ';', target: 'x' });
    expect([plain.features, [...plain.arrays[0].data], [...plain.arrays[1].data]]).toEqual([['y'], [2, 4], [1, 3]]);
    expect((await csv('a,b\n')).length).toBe(0);
  });

  test.each([
    ['an empty file', '', 'expected a line with the names of the columns, got none'],
    ['an empty cell', 'a,b\n1,2\n3,\n', "line 3, column 'b': expected a finite number, got ''"],
    ['a NaN', 'a\nnan\n', "line 2, column 'a': expected a finite number, got 'nan'"],
    ['a short row', 'a,b\n1,2\n3\n', 'could not be read: Invalid Record Length'],
    ['an open quote', 'a\n"1\n', 'could not be read: Quote Not Closed'],
  ])('refuses %s', async (_, text, message) => {
    await expect(csv(text)).rejects.toThrow(DataFormatError);
    await expect(csv(text)).rejects.toThrow(`[loadCsv] ${join(scratch, 'table.csv')}: ${message}`);
  });

  test('refuses what is no file', async () => {
    await expect(loadCsv(join(scratch, 'none.csv'))).rejects.toThrow('none.csv: could not be read: ENOENT');
    await expect(loadCsv(3 as never)).rejects.toThrow('[loadCsv] expected a path, got 3');
    await expect(csv('1\n', { columns: ['a', 'b'] })).rejects.toThrow('line 1: expected 2 cells, got 1');
    await expect(csv('a\n', { columns: 'a' as never })).rejects.toThrow("expected names as columns, got 'a'");
  });
});

describe('loadParquet', () => {
  const load = (options: TableOptions) => loadParquet(fixture('iris.parquet'), options);

  test('reads whole numbers and truth values as numbers, over all groups of rows', async () => {
    const table = await load({ features: ['count', 'large'] });
    expect([...table.arrays[0].data]).toEqual([0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 1, 6, 1]);
  });

  test('refuses a missing value, and what is no such file', async () => {
    await expect(load({ features: ['holes'] })).rejects.toThrow(
      /: row 2, column 'holes': expected a finite number, got (?:null|undefined)$/,
    );
    await expect(loadParquet(join(scratch, 'none.parquet'))).rejects.toThrow('none.parquet: could not be read: ENOENT');
    const path = join(scratch, 'other.parquet');
    writeFileSync(path, 'This is no table at all.');
    await expect(loadParquet(path)).rejects.toThrow(`[loadParquet] ${path}: could not be read: `);
    await expect(loadParquet(undefined as never)).rejects.toThrow('[loadParquet] expected a path, got undefined');
  });
});
