// Compiles the kernels: the Node-API addon, once per instruction set, from the C++ sources that a checkout and a
// package carry. Objects are cached by the content of everything they are made from. What a developer builds besides
// (sanitizers, WebAssembly) is in scripts/build_kernels.ts.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { manifestOf } from '../device/addon_file.ts';
import { RuntimeError } from '../errors.ts';

/** The folder of package.json, seen from src/cli/ and from dist/cli/. */
export const root = fileURLToPath(new URL('../..', import.meta.url));
export const kernels = join(root, 'kernels');
/** For every compiler and target. */
export const common = [
  `-I${kernels}`,
  '-O3',
  '-std=c++17',
  '-fno-exceptions',
  '-fno-rtti',
  '-fno-math-errno',
  '-fno-trapping-math',
  // A compiler fuses where it likes, each its own way: kernels say themselves where a product is added in one rounding.
  '-ffp-contract=off',
  '-Wall',
  '-Wextra',
  '-Wno-psabi',
];
export interface InstructionSet {
  name: string;
  flags: string[];
  /** Macros that a compiler defines when a processor has it. */
  needs: string[];
  /** Left out of packages: processors so old run the WebAssembly module, which is hardly slower there. */
  isRare?: boolean;
}

/** Per architecture, the widest last. */
const instructionSets: Record<string, InstructionSet[]> = {
  x64: [
    { name: 'baseline', flags: ['-march=x86-64'], needs: [], isRare: true },
    { name: 'avx2', flags: ['-march=x86-64-v3'], needs: ['__AVX2__', '__FMA__'] },
    {
      name: 'avx512',
      flags: ['-march=x86-64-v4', '-mprefer-vector-width=512'],
      needs: ['__AVX512F__', '__AVX512BW__', '__AVX512DQ__', '__AVX512VL__'],
    },
  ],
  arm64: [{ name: 'neon', flags: [], needs: [] }],
};

/** The instruction sets that this machine runs, as the compiler sees it, the widest last. */
export function instructionSetsHere(compiler: string): InstructionSet[] {
  const sets = instructionSets[process.arch] ?? [{ name: 'baseline', flags: [], needs: [] }];
  const macros = execFileSync(compiler, ['-march=native', '-dM', '-E', '-x', 'c++', '/dev/null'], { encoding: 'utf8' });
  return sets.filter(({ needs }) => needs.every((macro) => macros.includes(`#define ${macro} `)));
}

function filesBelow(folder: string, endings: string[]): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return filesBelow(path, endings);
      return endings.some((ending) => entry.name.endsWith(ending)) ? [path] : [];
    })
    .sort();
}

/** The kernel families: every source file that is compiled once per instruction set. */
export const sources = filesBelow(kernels, ['.cpp']).filter(
  (path) => !/kernels\/(native|wasm)\//.test(path.replaceAll('\\', '/')),
);

export function hash(parts: (string | Buffer)[]): string {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part).update('\0');
  return digest.digest('hex').slice(0, 20);
}

/** A source file and every header that it includes from kernels/, in the order in which they are met. */
function withHeaders(path: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found;
  found.add(path);
  for (const [, name] of readFileSync(path, 'utf8').matchAll(/^\s*#include "([^"]+)"/gm)) {
    const header = [join(kernels, name), join(path, '..', name)].find((candidate) => existsSync(candidate));
    if (header) withHeaders(header, found);
  }
  return found;
}

/** The same natively: loops written as vectors, strips and tiles, of which -O3 makes up to seven times the code. */
const smallerNative: [RegExp, string[]][] = [
  [/kernels\/(batch_norm|row_norm)\/|avg_pool|conv_backward_weight|grad_norm|optim\/optim|softmax/, ['-O2']],
];
/** What a table says of a source; later flags win over `common`'s. */
export const flagsOf = (table: readonly [RegExp, string[]][], source: string): string[] =>
  table.flatMap(([files, options]) => (files.test(source.replaceAll('\\', '/')) ? options : []));

export interface Job {
  source: string;
  flags: string[];
  object: string;
}

export async function compile(compiler: string, jobs: Job[]): Promise<void> {
  const waiting = jobs.filter((job) => !existsSync(job.object));
  const run = promisify(execFile);
  const worker = async () => {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      const partial = `${job.object}.${process.pid}.o`;
      const { stderr } = await run(compiler, [...job.flags, '-c', job.source, '-o', partial], { maxBuffer: 1 << 26 });
      if (stderr) process.stderr.write(stderr);
      renameSync(partial, job.object);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}

/** The compiler that CXX names, or the first that is here. */
export const ownCompiler = (): string =>
  process.env.CXX || (['g++', 'clang++', 'c++'].find((name) => version(name)) ?? 'g++');

export function version(compiler: string): string | null {
  try {
    return execFileSync(compiler, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split(
      '\n',
    )[0];
  } catch {
    return null;
  }
}

export function job(folder: string, compilerVersion: string, source: string, flags: string[]): Job {
  const name = source.slice(kernels.length + 1).replace(/[/\\]/g, '_');
  const key = hash([compilerVersion, flags.join(' '), ...[...withHeaders(source)].map((path) => readFileSync(path))]);
  return { source, flags, object: join(folder, `${name}.${key}.o`) };
}

/** The folder of Node-API's headers. */
export const nodeApiHeaders = (): string =>
  fileURLToPath(new URL('include', import.meta.resolve('node-api-headers/package.json')));

/**
 * Which addon: `native` for this machine, the others for developers and packages. `avx2` and `avx512` hold these
 * kernels alone. `neon` is for ARM, by the compiler that CXX names, which may be one that compiles for other machines.
 */
export type NativeKind =
  | 'native'
  | 'every_isa'
  | 'avx2'
  | 'avx512'
  | 'neon'
  | 'prebuild'
  | 'sanitize'
  | 'checked'
  | 'debug';

/** The newest glibc that a package's addon may ask for, so that it runs on what its users have. */
const newestGlibc = 28;
/** What the C++ library calls in a version that is newer: kernels/native/old_glibc.cpp has the oldest one. */
const wrapped =
  'create join detach once key_create key_delete setspecific getspecific mutex_trylock rwlock_rdlock rwlock_wrlock rwlock_unlock'
    .split(' ')
    .map((name) => `pthread_${name}`)
    .concat('__pthread_key_create');

/** What a user can do who has none. */
export const noCompiler =
  'no C++ compiler was found: install g++ or clang++, or name one in the environment variable CXX';

/** Builds an addon into build/<kind>/, where it is not up to date, and says so; null where there is no compiler. */
export async function buildNative(kind: NativeKind): Promise<string | null> {
  const compiler = ownCompiler();
  const compilerVersion = version(compiler);
  if (!compilerVersion) return null;
  const folder = join(root, 'build', kind);
  const objects = join(root, 'build', 'objects');
  for (const path of [folder, objects]) mkdirSync(path, { recursive: true });
  const include = nodeApiHeaders();
  const extra =
    kind === 'sanitize'
      ? ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined']
      : kind === 'checked'
        ? ['-g1', '-fsanitize=undefined', '-fno-sanitize-recover=undefined', '-static-libubsan']
        : kind === 'debug'
          ? ['-g']
          : [];
  // Behind all others, of which some optimize.
  const last = kind === 'debug' ? ['-O0'] : [];
  const isOldGlibc = kind === 'prebuild' && process.platform === 'linux';
  // Nothing here throws, so nothing is unwound.
  const base = [...common, '-fPIC', '-fvisibility=hidden', '-fno-asynchronous-unwind-tables', ...extra];
  const all = instructionSets[kind === 'neon' ? 'arm64' : process.arch] ?? instructionSetsHere(compiler);
  const sets =
    kind === 'prebuild'
      ? all.filter(({ isRare }) => !isRare)
      : kind === 'every_isa' || kind === 'neon'
        ? all
        : kind === 'avx2' || kind === 'avx512'
          ? all.filter(({ name }) => name === kind)
          : instructionSetsHere(compiler).slice(-1);
  const carried = sets.map(({ name }) => `-DEK_WITH_${name.toUpperCase()}`);
  if (isOldGlibc) carried.push('-DEK_OLD_GLIBC');
  const jobs = [
    ...sets.flatMap(({ name, flags }) =>
      sources.map((source) =>
        job(objects, compilerVersion, source, [
          ...base,
          `-DEK_ISA=${name}`,
          ...flags,
          ...flagsOf(smallerNative, source),
          ...last,
        ]),
      ),
    ),
    ...filesBelow(join(kernels, 'native'), ['.cpp']).map((source) =>
      job(objects, compilerVersion, source, [...base, ...carried, `-I${include}`, '-pthread', ...last]),
    ),
  ];
  const addon = join(folder, 'evenkeel.node');
  const stamp = join(folder, 'stamp');
  const flags = [...extra, ...linkFlags(kind, isOldGlibc)];
  const key = hash([...jobs.map((one) => one.object), ...flags]);
  if ([addon, stamp, manifestOf(addon)].every((path) => existsSync(path)) && readFileSync(stamp, 'utf8') === key)
    return addon;
  const started = Date.now();
  console.log(`evenkeel: building the native addon with ${compilerVersion} …`);
  await compile(compiler, jobs);
  link(compiler, jobs, addon, flags);
  if (isOldGlibc) requireOldGlibc(addon);
  writeFileSync(stamp, key);
  console.log(`evenkeel: native addon ready in ${((Date.now() - started) / 1000).toFixed(0)} s`);
  return addon;
}

/** Copies an addon to where a package carries it. */
export function carry(addon: string): void {
  const target = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(target, { recursive: true });
  for (const path of [addon, manifestOf(addon)]) copyFileSync(path, join(target, basename(path)));
}

function linkFlags(kind: NativeKind, isOldGlibc: boolean): string[] {
  if (process.platform === 'darwin') return ['-undefined', 'dynamic_lookup'];
  if (kind === 'sanitize' || kind === 'debug') return [];
  // The C++ library's symbols are nobody else's, and what is not called is left out.
  const own = ['-static-libstdc++', '-static-libgcc', '-s', '-Wl,--exclude-libs,ALL', '-Wl,--gc-sections'];
  // Before glibc 2.34 threads had a library of their own.
  const threads = ['-Wl,--push-state,--no-as-needed', '-l:libpthread.so.0', '-Wl,--pop-state'];
  return isOldGlibc ? [...own, ...wrapped.map((name) => `-Wl,--wrap=${name}`), ...threads] : own;
}

/** An addon names every version of glibc's symbols that it asks for. */
function requireOldGlibc(addon: string): void {
  const versions = [...readFileSync(addon, 'latin1').matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
  const newest = Math.max(...versions);
  if (newest > newestGlibc)
    throw new RuntimeError(
      `${addon} asks for glibc 2.${newest}, and packages may ask for 2.${newestGlibc}: kernels/native/old_glibc.cpp has to bring what is newer`,
    );
  console.log(`evenkeel: the addon asks for glibc 2.${newest} or newer`);
}

/** Linked under another name and renamed: a running process keeps the addon that it has loaded. */
function link(compiler: string, jobs: Job[], addon: string, flags: string[]): void {
  const objects = jobs.map((one) => one.object);
  const fresh = `${addon}.new`;
  execFileSync(compiler, ['-shared', ...objects, '-pthread', ...flags, '-o', fresh], { stdio: 'inherit' });
  const bytes = readFileSync(fresh);
  const manifest = { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  renameSync(fresh, addon);
  writeFileSync(manifestOf(addon), `${JSON.stringify(manifest)}\n`);
}
