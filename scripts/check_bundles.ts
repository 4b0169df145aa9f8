// Bundles for browsers: no import of the library's own reaches a module of Node.js, and what esbuild and Vite make of a
// page and its module worker trains in Chromium, with the numbers of Node.js. `npm run build:dist` comes first.
// Chromium: the system's, or the one that CHROMIUM names.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { type Browser, chromium } from 'playwright-core';
import { build, createLogger } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const work = join(root, 'build', 'bundles');
const app = join(work, 'app');
const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  name: string;
  exports: object;
};
/** What reads files by purpose. */
const nodeOnly = ['./data/node'];

/** A user's project, with the library in node_modules. */
function makeProject(): void {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(app, 'node_modules'), { recursive: true });
  symlinkSync(root, join(app, 'node_modules', name), 'junction');
  for (const file of readdirSync(join(root, 'test', 'bundles')))
    copyFileSync(join(root, 'test', 'bundles', file), join(app, file));
  // Bundlers would follow the paths of our own, which lead to the sources.
  writeFileSync(join(app, 'tsconfig.json'), '{}');
}

const browserBuild = { bundle: true, format: 'esm', platform: 'browser', logLevel: 'silent', metafile: true } as const;

/** Every export by itself: a module of Node.js would be an error of esbuild's, and a warning is one here. */
async function checkGraphs(): Promise<void> {
  for (const path of Object.keys(exports)) {
    const entry = `export * from '${name}${path.slice(1)}';`;
    const options = { ...browserBuild, stdin: { contents: entry, resolveDir: app }, write: false } as const;
    const result = await esbuild.build(options).catch((error: esbuild.BuildFailure) => error);
    const problems = [...result.errors, ...result.warnings].map(({ text, location }) => `${location?.file}: ${text}`);
    if (nodeOnly.includes(path))
      assert(problems.length > 0, `${path} needs no module of Node.js any more: check it too`);
    else assert.deepEqual(problems, [], `${name}${path.slice(1)} for browsers`);
    if (!('metafile' in result) || !result.metafile) continue;
    const outside = Object.values(result.metafile.inputs).flatMap(({ imports }) =>
      imports.filter(({ external }) => external),
    );
    assert.deepEqual(outside, [], `${name}${path.slice(1)}: imports that the bundle leaves to the browser`);
  }
}

async function bundleByEsbuild(folder: string): Promise<void> {
  const entryPoints = [join(app, 'page.ts'), join(app, 'worker.ts')];
  const { warnings } = await esbuild.build({ ...browserBuild, entryPoints, outdir: folder, minify: true });
  assert.deepEqual(warnings, []);
  // esbuild leaves the worker's address as it is written.
  copyFileSync(join(folder, 'worker.js'), join(folder, 'worker.ts'));
  writeFileSync(
    join(folder, 'index.html'),
    readFileSync(join(app, 'index.html'), 'utf8').replace('page.ts', 'page.js'),
  );
}

async function bundleByVite(folder: string): Promise<void> {
  const warnings: string[] = [];
  const customLogger = createLogger('warn');
  customLogger.warn = (text) => warnings.push(text);
  await build({
    root: app,
    base: './',
    configFile: false,
    customLogger,
    worker: { format: 'es' },
    build: { outDir: folder, emptyOutDir: true, target: 'es2022', chunkSizeWarningLimit: 10_000 },
  });
  assert.deepEqual(warnings, []);
}

const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.ts': 'text/javascript' };

/** Serves the folders; below `/strict/` with a policy that forbids WebAssembly. */
function serve(): Promise<Server> {
  const server = createServer(({ url = '/' }, response) => {
    const [, policy, path] = /^\/(strict|open)\/(.*)$/.exec(new URL(url, 'http://localhost').pathname) ?? [];
    try {
      const body = readFileSync(join(work, path ?? ''));
      response.setHeader('content-type', types[extname(path ?? '')] ?? 'application/octet-stream');
      response.setHeader(
        'content-security-policy',
        `script-src 'self'${policy === 'open' ? " 'wasm-unsafe-eval'" : ''}`,
      );
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** What test/bundles/train.ts comes to; its own type takes dist/, which the compiler must do without. */
interface Trained {
  losses: number[];
  accuracy: number;
}
interface Results {
  page: unknown;
  worker: unknown;
  refusals: unknown;
}

async function open(browser: Browser, address: string): Promise<Results> {
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto(address);
  try {
    await page.waitForSelector('pre', { timeout: 120_000 });
  } catch (cause) {
    throw new Error(`${address}: no results; ${problems.join('; ')}`, { cause });
  }
  const results = JSON.parse((await page.locator('pre').textContent()) ?? 'null') as Results;
  await page.screenshot({ path: join(work, `${address.replace(/^.*?\/\/[^/]*\//, '').replace(/\W+/g, '_')}.png`) });
  await page.close();
  return results;
}

const needsNode = (op: string, module: string) =>
  `RuntimeError: [${op}] expected Node.js, Deno or Bun: it takes node:${module}, which browsers do not have`;
const forbidden =
  "RuntimeError: [setEngine] this page's Content-Security-Policy forbids WebAssembly: allow it with 'wasm-unsafe-eval', as in \"script-src 'self' 'wasm-unsafe-eval'\"";

makeProject();
await checkGraphs();
const bundlers = { esbuild: bundleByEsbuild, vite: bundleByVite };
for (const [bundler, bundle] of Object.entries(bundlers)) await bundle(join(work, bundler));

process.env.EVENKEEL_ENGINE = 'wasm';
const { train } = (await import(join(root, 'test', 'bundles', 'train.ts'))) as { train(): Promise<Trained> };
const expected = await train();
assert(expected.accuracy > 0.95 && expected.losses[0]! > 2 * expected.losses.at(-1)!, 'the network learns');

const server = await serve();
const { port } = server.address() as { port: number };
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  for (const bundler of Object.keys(bundlers)) {
    const results = await open(browser, `http://127.0.0.1:${port}/open/${bundler}/index.html`);
    assert.deepEqual(results.page, expected, `${bundler}, in the page`);
    assert.deepEqual(results.worker, expected, `${bundler}, in a module worker`);
    assert.deepEqual(results.refusals, [
      needsNode('fit', 'fs'),
      needsNode('DataLoader', 'worker_threads'),
      'RuntimeError: [setEngine] the native engine is not available: it takes Node.js, Deno or Bun',
    ]);
  }
  const strict = await open(browser, `http://127.0.0.1:${port}/strict/esbuild/index.html`);
  assert.deepEqual(strict.page, { error: forbidden }, 'a page that forbids WebAssembly');
  assert.deepEqual(strict.worker, { error: forbidden }, 'its worker');
  console.log(
    `bundles: ${Object.keys(bundlers).join(' and ')} train in Chromium ${browser.version()}, in the page and in a worker, with the numbers of Node.js ` +
      `(loss ${expected.losses.map((loss) => loss.toFixed(4)).join(', ')}; accuracy ${expected.accuracy})`,
  );
} finally {
  await browser.close();
  server.close();
}
