// Under a minifier, which shortens the names of classes, models print, fail and decay as before.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { minify as terser } from 'terser';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as models from '../../src/models/index.ts';
import * as nn from '../../src/nn/index.ts';
import * as optim from '../../src/optim/index.ts';

const root = fileURLToPath(new URL('../../src/', import.meta.url));
type Parts = { nn: typeof nn; optim: typeof optim; models: typeof models };
let folder: string;
const bundles: Record<string, Parts> = {};
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-minified-'));
  const entry = join(folder, 'entry.ts');
  const parts = ['nn', 'optim', 'models'].map((part) => `export * as ${part} from '${root}${part}/index.ts';`);
  writeFileSync(entry, `import '${root}index.ts';\n${parts.join('\n')}\n`);
  const bundle = async (name: string, minify: boolean): Promise<string> => {
    const outfile = join(folder, `${name}.mjs`);
    await build({
      entryPoints: [entry],
      outfile,
      bundle: true,
      minify,
      format: 'esm',
      platform: 'node',
      logLevel: 'error',
      // package.json speaks of dist/.
      ignoreAnnotations: true,
    });
    return outfile;
  };
  const load = async (path: string) => (await import(pathToFileURL(path).href)) as Parts;
  bundles.esbuild = await load(await bundle('esbuild', true));
  const whole = await bundle('terser', false);
  const { code } = await terser(readFileSync(whole, 'utf8'), { module: true });
  writeFileSync(whole, code!);
  bundles.terser = await load(whole);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const isClass = (value: unknown): value is { name: string } =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

describe.each(['esbuild', 'terser'])('%s', (minifier) => {
  test('every class of layers, optimizers and schedules keeps its name', () => {
    const minified = bundles[minifier];
    // What is only a base or a result is never shown by its name.
    for (const part of ['nn', 'optim', 'models'] as const)
      for (const [name, value] of Object.entries(minified[part]))
        if (
          isClass(value) &&
          !/^(Module|Optimizer|LRScheduler|LoadResult|ModelSummary|StateDict|\w*Report|UninitializedParameter|UninitializedBuffer|StagedStatistics|\w*Base)$/.test(
            name,
          )
        )
          expect(value.name, `${part}.${name}: keepNames`).toBe(name);
  });

  test('models print, fail and decay as before', () => {
    const minified = bundles[minifier];
    const make = (n: typeof nn) => new n.Sequential(new n.Conv2d(1, 2, 3), new n.BatchNorm2d(2), new n.ReLU());
    expect(String(make(minified.nn))).toBe(String(make(nn)));
    expect(String(minified.models.resnet18())).toBe(String(models.resnet18()));
    const message = (n: typeof nn) => {
      try {
        make(n).loadStateDict({});
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    expect(message(minified.nn)).toBe(message(nn));
    const sizes = (n: typeof nn, o: typeof optim) =>
      o.paramGroups(make(n), { weightDecay: 1 }).map(({ params }) => params.length);
    expect(sizes(minified.nn, minified.optim)).toEqual(sizes(nn, optim));
  });
});
