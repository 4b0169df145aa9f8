// The package as a user gets it: npm pack, install into an empty project without scripts, type-check and run every subpath export, with
// the addon that the package carries and on WebAssembly.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  name: string;
  exports: Record<string, unknown>;
};
const limit = 2_000_000;
const work = mkdtempSync(join(tmpdir(), 'evenkeel-package-'));
const run = (cwd: string, command: string, args: string[], env: Record<string, string> = {}) =>
  execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });

try {
  const [packed] = JSON.parse(
    run(root, 'npm', ['pack', '--json', '--silent', '--pack-destination', work]).replace(/^[^[]*/, ''),
  ) as { filename: string }[];
  const tarball = join(work, packed.filename);
  const { size } = statSync(tarball);
  if (size >= limit) throw new Error(`the tarball has ${size} bytes; it must stay under ${limit}`);
  writeFileSync(join(work, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  run(work, 'npm', [
    'install',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--silent',
    tarball,
    'typescript@6',
    '@types/node@20',
  ]);
  const specifiers = Object.keys(exports).map((path) => name + path.slice(1));
  const lines = [
    ...specifiers.map((specifier, i) => `import * as m${i} from '${specifier}';`),
    `for (const [specifier, m] of Object.entries({ ${specifiers.map((specifier, i) => `'${specifier}': m${i}`).join(', ')} }))`,
    `  if (Object.keys(m).length === 0) throw new Error(specifier + ' exports nothing');`,
    `import { getEngine, ones, randn, type Tensor } from '${name}';`,
    `import { BatchNorm2d } from '${name}/nn';`,
    `const bn = new BatchNorm2d(3);`,
    `const y: Tensor = bn(randn([4, 3, 5, 5], { requiresGrad: true })).mul(ones([1])).relu();`,
    `y.sum().backward();`,
    `if (bn.weight!.grad === null || !Number.isFinite(bn.runningMean!.sum().item())) throw new Error('batch norm did not train');`,
    `console.log(getEngine());`,
  ];
  writeFileSync(join(work, 'use.ts'), `${lines.join('\n')}\n`);
  const tsc = join(work, 'node_modules', '.bin', 'tsc');
  run(work, tsc, [
    '--ignoreConfig',
    '--strict',
    '--target',
    'ES2023',
    '--module',
    'NodeNext',
    '--types',
    'node',
    'use.ts',
  ]);
  const carriesAddon = run(root, 'tar', ['-tzf', tarball]).includes('prebuilds/');
  const engines = [
    carriesAddon ? run(work, process.execPath, ['use.js']).trim() : 'wasm',
    run(work, process.execPath, ['use.js'], { EVENKEEL_ENGINE: 'wasm' }).trim(),
  ];
  const expected = [carriesAddon ? 'native' : 'wasm', 'wasm'];
  if (engines.join() !== expected.join()) throw new Error(`expected the engines ${expected}, got ${engines}`);
  console.log(
    `package: ${(size / 1024).toFixed(0)} KiB, ${specifiers.length} subpath exports type-check and run (${carriesAddon ? 'addon and WebAssembly' : 'WebAssembly'})`,
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
