// The package in every runtime that npm carries: Node.js 20, 22, 24 and the newest, Bun, Deno (with and without
// permissions). Each trains the same network on each engine it can have, and must come to the same numbers. `npx tsx
// scripts/check_runtimes.ts`; .ci/full does it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'evenkeel-runtimes-'));
const run = (cwd: string, command: string, args: string[]) => execFileSync(command, args, { cwd, encoding: 'utf8' });

const nodes = ['20', '22', '24', 'latest'];
const node = (version: string) => join(work, 'node_modules', `node-${version}`, 'bin', 'node');
const bin = (name: string) => join(work, 'node_modules', '.bin', name);
const file = 'use.mjs';
const allowed = ['--allow-env', '--allow-read', '--allow-ffi', '--allow-sys'];

interface Runtime {
  name: string;
  command: string;
  args: string[];
  /** Empty: as without a wish. */
  engine: '' | 'native' | 'wasm';
  /** The engine that it must come to. */
  expected: 'native' | 'wasm';
  /** What it must say besides. */
  says?: RegExp;
}
const twice = (name: string, command: string, args: string[]): Runtime[] =>
  (['native', 'wasm'] as const).map((engine) => ({ name, command, args, engine, expected: engine }));
const runtimes: Runtime[] = [
  ...nodes.flatMap((version) => twice(`node ${version}`, node(version), [file])),
  ...twice('bun', bin('bun'), [file]),
  ...twice('deno', bin('deno'), ['run', ...allowed, file]),
  {
    name: 'deno without permissions',
    command: bin('deno'),
    args: ['run', '--no-prompt', file],
    engine: '',
    expected: 'wasm',
    says: /running on the WebAssembly engine: no native addon \(.*--allow-/,
  },
];

try {
  const [packed] = JSON.parse(
    run(root, 'npm', ['pack', '--json', '--silent', '--pack-destination', work]).replace(/^[^[]*/, ''),
  ) as { filename: string }[];
  writeFileSync(join(work, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  const aliases = nodes.map((version) => `node-${version}@npm:node@${version}`);
  // The runtimes' own scripts put their programs in place; the library has none.
  run(work, 'npm', [
    'install',
    '--no-audit',
    '--no-fund',
    '--silent',
    join(work, packed.filename),
    ...aliases,
    'bun',
    'deno',
  ]);
  const source = readFileSync(join(root, 'test', 'bundles', 'train.ts'), 'utf8');
  const { code } = transformSync(source, { loader: 'ts', target: 'es2022' });
  writeFileSync(join(work, file), `${code}\nconsole.log(JSON.stringify(await train()));\n`);
  const results: Record<string, string> = {};
  for (const { name, command, args, engine, expected, says } of runtimes) {
    const env = { ...process.env, EVENKEEL_ENGINE: engine };
    const { status, signal, stdout, stderr, error } = spawnSync(command, args, { cwd: work, encoding: 'utf8', env });
    if (status !== 0)
      throw new Error(`${name}: ${error ?? ''} exit code ${status} ${signal ?? ''}\n${stdout}${stderr}`);
    const result = JSON.parse(stdout) as { engine: string };
    assert.equal(result.engine, expected, `${name}: ${stderr}`);
    if (says) assert.match(stderr, says, name);
    results[expected] ??= stdout;
    assert.equal(stdout, results[expected], `${name}, ${expected}`);
    const label =
      command === process.execPath ? process.version : spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout;
    console.log(`runtimes: ${name} (${label.split('\n')[0]}), ${expected}: as the others`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
