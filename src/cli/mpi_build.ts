// Finds the MPI of this machine, and compiles the addon of src/distributed/ against it, from the C++ sources in mpi/
// that
// a checkout and a package carry.
import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { addonFileOf, type MpiName } from '../distributed/mpi_addon.ts';
import { RuntimeError } from '../errors.ts';
import { hash, nodeApiHeaders, root, version } from './native_build.ts';

/** An MPI that is installed. */
export interface Mpi {
  readonly name: MpiName;
  /** Its compiler: a program that calls g++ or another with what MPI needs. */
  readonly compiler: string;
  /** `mpirun`; null where there is none, as on clusters that start ranks by `srun`. */
  readonly mpirun: string | null;
  /** The first number of Open MPI's version, whose options depend on it; 0 for others. */
  readonly major: number;
}

/** What a user can do who has none. */
export const noMpi =
  'no MPI with a C++ compiler of its own (mpicxx) was found: install one, on Debian and Ubuntu by "apt install openmpi-bin libopenmpi-dev" or ' +
  '"apt install mpich libmpich-dev", or name its compiler in the environment variable MPICXX';

/** The file that a command names, looked for as a shell does. */
function find(command: string): string | null {
  const candidates = command.includes('/')
    ? [command]
    : (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, command));
  for (const path of candidates) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  return null;
}

/** What a program prints; null where it cannot, or ends with an error. */
function answer(command: string, ...args: string[]): string | null {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}

function describe(compiler: string): Mpi | null {
  const openmpi = answer(compiler, '-showme:version');
  const name = openmpi === null ? 'mpich' : 'openmpi';
  // Whoever knows neither option is not a compiler of MPI's.
  if (openmpi === null && answer(compiler, '-show') === null) return null;
  const mpirun = join(dirname(compiler), basename(compiler).replace(/^mpi(cxx|c\+\+|CC|icpc|cc)/, 'mpirun'));
  const isOfIt = /open ?mpi|openrte/i.test(answer(mpirun, '--version') ?? '') === (name === 'openmpi');
  const major = Number(/Open MPI v?(\d+)/.exec(openmpi ?? '')?.[1] ?? 0);
  return { name, compiler, mpirun: find(mpirun) && isOfIt ? mpirun : null, major };
}

/** Every MPI of this machine, the default one first; of each name one. */
export function findMpis(): Mpi[] {
  const own = process.env.MPICXX;
  const names = own ? [own] : ['', '.openmpi', '.mpich'].flatMap((variant) => [`mpicxx${variant}`, `mpicc${variant}`]);
  const found: Mpi[] = [];
  for (const path of names.map(find)) {
    const mpi = path === null ? null : describe(path);
    if (mpi && !found.some(({ name }) => name === mpi.name)) found.push(mpi);
  }
  if (own && found.length === 0)
    throw new RuntimeError(`[mpi-build] MPICXX names ${own}, which is no compiler of an MPI`);
  return found;
}

/** Compiles the addon for an MPI, where it is not up to date, and says so. Returns its file. */
export function buildMpiAddon({ name, compiler }: Mpi): string {
  const sources = join(root, 'mpi');
  const files = readdirSync(sources).sort();
  const flags = [
    '-shared',
    '-fPIC',
    '-std=c++17',
    '-O2',
    '-Wall',
    '-Wextra',
    // Not the C++ interface that older MPIs have.
    '-DOMPI_SKIP_MPICXX',
    '-DMPICH_SKIP_MPICXX',
    '-fvisibility=hidden',
    '-pthread',
    `-I${nodeApiHeaders()}`,
    ...files.filter((file) => file.endsWith('.cpp')).map((file) => join(sources, file)),
    // A compiler for C links what C++ needs, too.
    '-lstdc++',
    ...(process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : []),
  ];
  const addon = addonFileOf(name);
  const stamp = join(dirname(addon), 'stamp');
  const contents = files.map((file) => readFileSync(join(sources, file)));
  const key = hash([version(compiler) ?? '', answer(compiler, '-show') ?? '', flags.join(' '), ...contents]);
  if (existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === key) return addon;
  mkdirSync(dirname(addon), { recursive: true });
  console.error(`evenkeel: building the addon for MPI with ${compiler} …`);
  // Another name first: a running process keeps the addon that it has loaded.
  const fresh = `${addon}.${process.pid}`;
  try {
    execFileSync(compiler, [...flags, '-o', fresh], { stdio: ['ignore', 'inherit', 'inherit'] });
  } catch {
    throw new RuntimeError(`[mpi-build] ${compiler} cannot compile the addon for MPI: see above`);
  }
  renameSync(fresh, addon);
  writeFileSync(stamp, key);
  return addon;
}

/** `evenkeel mpi-build`: the addon for every MPI of this machine. */
export function buildMpiAddons(): void {
  const mpis = findMpis();
  if (mpis.length === 0) throw new RuntimeError(`[mpi-build] ${noMpi}`);
  for (const mpi of mpis) console.log(`evenkeel: ${buildMpiAddon(mpi)}`);
}
