// Builds the kernels: `native` (the Node-API addon, once per instruction set, into build/native/), `wasm` (the WebAssembly
// module, embedded in src/device/generated/evenkeel.wasm.ts). Objects are cached by the content of everything they are made
// from. `native` compiles for this machine's instruction set, with `--every-isa` for all of its architecture (packages, tests);
// `--if-possible` succeeds where there is no compiler; `--sanitize` builds with ASan and UBSan; `--checked` builds what the checked run
// of the suite loads: UBSan alone, which needs no library loaded before Node.js; `--debug` builds for a debugger, into build/debug/; `--prebuild` builds what a package carries, into prebuilds/.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { deflateSync } from 'fflate';

const root = fileURLToPath(new URL('..', import.meta.url));
const kernels = join(root, 'kernels');
const common = [
  `-I${kernels}`,
  '-O3',
  '-std=c++17',
  '-fno-exceptions',
  '-fno-rtti',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-ffp-contract=fast',
  '-Wall',
  '-Wextra',
  '-Wno-psabi',
];
interface InstructionSet {
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

/** The widest instruction set of this machine, as the compiler sees it. */
function ownInstructionSet(compiler: string) {
  const sets = instructionSets[process.arch] ?? [{ name: 'baseline', flags: [], needs: [] }];
  const macros = execFileSync(compiler, ['-march=native', '-dM', '-E', '-x', 'c++', '/dev/null'], { encoding: 'utf8' });
  return sets.filter(({ needs }) => needs.every((macro) => macros.includes(`#define ${macro} `))).slice(-1);
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
const sources = filesBelow(kernels, ['.cpp']).filter(
  (path) => !/kernels\/(native|wasm)\//.test(path.replaceAll('\\', '/')),
);

function hash(parts: (string | Buffer)[]): string {
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

/**
 * What the WebAssembly module does without, for its size: files whose inner loops are written as vectors and tiles lose nothing
 * at -Os; plain loops, which -Os would not vectorize, lose nothing without unrolling. Vector math needs all of -O3.
 */
const smaller: [RegExp, string[]][] = [
  [/kernels\/(batch_norm|row_norm|conv|index|pool)\/|grad_norm/, ['-Os']],
  [/kernels\/gemm\//, ['-O2']],
  [
    /reduce\/(arg_reduce|cumsum|moments|reduce)\.|elementwise\/(cast|copy_strided|fill|where)\./,
    ['-O2', '-fno-unroll-loops'],
  ],
];

/** The same natively: loops written as vectors, strips and tiles, of which -O3 makes up to seven times the code. */
const smallerNative: [RegExp, string[]][] = [
  [/kernels\/(batch_norm|row_norm)\/|avg_pool|conv_backward_weight|grad_norm|optim\/optim|softmax/, ['-O2']],
];
/** What a table says of a source; later flags win over `common`'s. */
const flagsOf = (table: readonly [RegExp, string[]][], source: string): string[] =>
  table.flatMap(([files, options]) => (files.test(source.replaceAll('\\', '/')) ? options : []));

interface Job {
  source: string;
  flags: string[];
  object: string;
}

async function compile(compiler: string, jobs: Job[]): Promise<void> {
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

function version(compiler: string): string | null {
  try {
    return execFileSync(compiler, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split(
      '\n',
    )[0];
  } catch {
    return null;
  }
}

function job(folder: string, compilerVersion: string, source: string, flags: string[]): Job {
  const name = source.slice(kernels.length + 1).replace(/[/\\]/g, '_');
  const key = hash([compilerVersion, flags.join(' '), ...[...withHeaders(source)].map((path) => readFileSync(path))]);
  return { source, flags, object: join(folder, `${name}.${key}.o`) };
}

interface NativeOptions {
  ifPossible: boolean;
  sanitize: boolean;
  checked: boolean;
  debug: boolean;
  everyIsa: boolean;
  prebuild: boolean;
}

async function buildNative(options: NativeOptions): Promise<void> {
  const { ifPossible, sanitize, checked, debug, everyIsa, prebuild } = options;
  const compiler = process.env.CXX ?? ['g++', 'clang++', 'c++'].find((name) => version(name)) ?? 'g++';
  const compilerVersion = version(compiler);
  if (!compilerVersion) {
    // The engine says in one line what runs instead.
    if (ifPossible) return;
    throw new Error(`no C++ compiler was found (${compiler}); the environment variable CXX can name one`);
  }
  const kind =
    (['sanitize', 'checked', 'debug', 'prebuild'] as const).find((each) => options[each]) ??
    (everyIsa ? 'every_isa' : 'native');
  const folder = join(root, 'build', kind);
  const objects = join(root, 'build', 'objects');
  for (const path of [folder, objects]) mkdirSync(path, { recursive: true });
  const include = fileURLToPath(new URL('include', import.meta.resolve('node-api-headers/package.json')));
  const extra = sanitize
    ? ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined']
    : checked
      ? ['-g1', '-fsanitize=undefined', '-fno-sanitize-recover=undefined', '-static-libubsan']
      : debug
        ? ['-g']
        : [];
  // Behind all others, of which some optimize.
  const last = debug ? ['-O0'] : [];
  // Nothing here throws, so nothing is unwound.
  const base = [...common, '-fPIC', '-fvisibility=hidden', '-fno-asynchronous-unwind-tables', ...extra];
  const all = instructionSets[process.arch] ?? ownInstructionSet(compiler);
  const sets = prebuild ? all.filter(({ isRare }) => !isRare) : everyIsa ? all : ownInstructionSet(compiler);
  const carried = sets.map(({ name }) => `-DEK_WITH_${name.toUpperCase()}`);
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
  const key = hash(jobs.map((one) => one.object));
  if (!existsSync(addon) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== key) {
    const started = Date.now();
    console.log(`evenkeel: building the native addon with ${compilerVersion} …`);
    await compile(compiler, jobs);
    link(compiler, jobs, addon, [...extra, ...linkFlags(sanitize || debug)]);
    writeFileSync(stamp, key);
    console.log(`evenkeel: native addon ready in ${((Date.now() - started) / 1000).toFixed(0)} s`);
  }
  if (!prebuild) return;
  const target = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(target, { recursive: true });
  copyFileSync(addon, join(target, 'evenkeel.node'));
}

function linkFlags(keepsNames: boolean): string[] {
  if (process.platform === 'darwin') return ['-undefined', 'dynamic_lookup'];
  return keepsNames ? [] : ['-static-libstdc++', '-static-libgcc', '-s'];
}

/** Linked under another name and renamed: a running process keeps the addon that it has loaded. */
function link(compiler: string, jobs: Job[], addon: string, flags: string[]): void {
  const objects = jobs.map((one) => one.object);
  execFileSync(compiler, ['-shared', ...objects, '-pthread', ...flags, '-o', `${addon}.new`], { stdio: 'inherit' });
  renameSync(`${addon}.new`, addon);
}

async function buildWasm(check: boolean): Promise<void> {
  const compiler = process.env.EVENKEEL_WASM_CXX ?? 'clang++-22';
  const linker = process.env.EVENKEEL_WASM_LD ?? 'wasm-ld-22';
  const compilerVersion = version(compiler);
  if (!compilerVersion)
    throw new Error(`the WebAssembly module is built with clang and lld 22; ${compiler} was not found`);
  const folder = join(root, 'build', 'wasm');
  mkdirSync(folder, { recursive: true });
  // Paths are mapped away so that the module does not depend on where it was built.
  const flags = [
    ...common,
    '--target=wasm32',
    '-msimd128',
    '-mbulk-memory',
    '-nostdlib',
    '-ffreestanding',
    `-ffile-prefix-map=${root}=`,
    '-DEK_ISA=wasm',
  ];
  const jobs = [...sources, join(kernels, 'wasm', 'runtime.cpp')].map((source) =>
    job(folder, compilerVersion, source, [...flags, ...flagsOf(smaller, source)]),
  );
  await compile(compiler, jobs);
  const module = join(folder, 'evenkeel.wasm');
  const exports = readFileSync(join(kernels, 'generated', 'wasm_exports.txt'), 'utf8')
    .trim()
    .split('\n');
  execFileSync(
    linker,
    [
      '--no-entry',
      '--strip-all',
      '-O2',
      '--gc-sections',
      '-z',
      'stack-size=262144',
      '--export=__heap_base',
      ...exports,
      ...jobs.map((one) => one.object),
      '-o',
      module,
    ],
    { stdio: 'inherit' },
  );
  const target = join(root, 'src', 'device', 'generated', 'evenkeel.wasm.ts');
  const bytes = readFileSync(module);
  const text = `// Generated by scripts/build_kernels.ts (${compilerVersion.replace(/ \(.*/, '')}) from kernels/; do not edit. ${bytes.length} bytes, deflated.\nexport const wasmBase64: string =\n  '${Buffer.from(deflateSync(bytes, { level: 9 })).toString('base64')}';\n`;
  if (check) {
    if (readFileSync(target, 'utf8') !== text)
      throw new Error('src/device/generated/evenkeel.wasm.ts differs from a fresh build: run "npm run build:wasm"');
    console.log('WebAssembly module: identical to a fresh build');
  } else {
    writeFileSync(target, text);
    console.log(`WebAssembly module: ${(statSync(module).size / 1024).toFixed(0)} KiB`);
  }
}

const [what, ...options] = process.argv.slice(2);
const known = ['--if-possible', '--sanitize', '--checked', '--debug', '--every-isa', '--prebuild', '--check'];
const unknown = options.find((option) => !known.includes(option));
if (unknown || !['native', 'wasm'].includes(what)) {
  console.error(
    `usage: build_kernels native [--if-possible] [--sanitize] [--checked] [--debug] [--every-isa] [--prebuild] | wasm [--check]${unknown ? `; unknown option ${unknown}` : ''}`,
  );
  process.exit(2);
}
try {
  if (what === 'native')
    await buildNative({
      ifPossible: options.includes('--if-possible'),
      sanitize: options.includes('--sanitize'),
      checked: options.includes('--checked'),
      debug: options.includes('--debug'),
      everyIsa: options.includes('--every-isa'),
      prebuild: options.includes('--prebuild'),
    });
  else await buildWasm(options.includes('--check'));
} catch (error) {
  const text = error instanceof Error ? error.message : String(error);
  console.error(text);
  // A compiler that cannot do it is no reason to stop a user, who has the WebAssembly engine; it is one to stop CI.
  if (!options.includes('--if-possible') || process.env.CI) process.exit(1);
  console.error('evenkeel: the native addon could not be built, see above; the WebAssembly engine will run.');
}
