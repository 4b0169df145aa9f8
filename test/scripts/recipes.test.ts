// The recipes of CONTRIBUTING.md are true: what each shows stands in the files that it names, and in no others.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');

/** What programs write, and this test. */
const isLeftOut = (path: string) => /\/generated\/|\/golden\/|recipes\.test\.ts$/.test(path);
const searched = ['src', 'kernels', 'test'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter((path) => /\.(ts|h|cpp|def|md)$/.test(path) && !isLeftOut(path)),
);
const contents = new Map(searched.map((path) => [path, readFileSync(join(root, path), 'utf8')]));

const recipes = [...text.matchAll(/^## (.+)\n\n<!-- found by: (.+) -->\n([\s\S]*?)(?=^## |(?![\s\S]))/gm)].map(
  ([, title, pattern, body]) => ({
    title,
    pattern: new RegExp(pattern),
    body,
    files: [...body.matchAll(/^\d+\. `([^`]+)`/gm)].map(([, path]) => path),
  }),
);

test('there is one for each kind of thing', () => {
  expect(recipes.map(({ title }) => title.replace(/:.*/, ''))).toEqual([
    'An elementwise operation',
    'A layer',
    'A kernel',
    'A fusion pattern',
    'A model',
  ]);
});

describe.each(recipes)('$title', ({ pattern, body, files }) => {
  test('every path that it names is there', () => {
    const paths = [...body.matchAll(/`((?:src|kernels|test|docs)\/[^`]+)`/g)].map(([, path]) => path);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
  test('its example stands in exactly the files that it lists', () => {
    const found = searched.filter((path) => pattern.test(contents.get(path)!));
    expect(found.sort()).toEqual([...files].sort());
  });
});

test('an elementwise operation stands in four files', () => {
  expect(recipes[0].files).toHaveLength(4);
});

test('every npm script that is named is there', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
  const named = [...text.matchAll(/npm run (?:-s )?([\w:]+)/g)].map(([, name]) => name);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});
