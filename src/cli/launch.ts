// `evenkeel launch`: starts a script as the ranks of a job over MPI, with what mpirun needs told, and shows what they
// write. How a job ends is its exit code and, where it is not 0, the last call of every rank.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { MpiName } from '../distributed/mpi_addon.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { exitCodeOf, type StopSignal } from '../train/interrupts.ts';
import { buildMpiAddon, findMpis, type Mpi, noMpi } from './mpi_build.ts';
import { Errors, markOf, readLines } from './rank_output.ts';

export interface LaunchOptions {
  /** How many ranks. Default: as many as the hosts have places. */
  nproc?: number;
  /** `a:2,b:2`: hosts, and how many ranks each takes. Default: this machine. */
  hosts?: string;
  /** Which MPI, where several are installed. Default: the one that `mpicxx` belongs to. */
  mpi?: MpiName;
  /** Whether to print the call of mpirun instead of running it. */
  print?: boolean;
}

/** A call of a program, with what it needs in the environment. */
interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Milliseconds after which mpirun is killed that was told to end. */
const patience = 5000;

function placesOf(hosts: string): number {
  let places = 0;
  for (const host of hosts.split(',')) {
    const [, count] = /^[^:,\s]+(?::([1-9]\d*))?$/.exec(host) ?? [null, null];
    if (count === null) throw new ValueError(`[launch] expected --hosts as name:ranks,name:ranks, got '${hosts}'`);
    places += Number(count ?? 1);
  }
  return places;
}

/** What Node.js loads before a script: TypeScript's loader, where it is needed, and what says who the rank is. */
function preloads(script: string): string[] {
  const setup =
    fileURLToPath(new URL('./rank_setup', import.meta.url)) + (import.meta.url.endsWith('.ts') ? '.ts' : '.js');
  const isTypeScript = (path: string) => /\.[cm]?ts$/.test(path);
  const loaded = [setup];
  if (isTypeScript(script) || isTypeScript(setup)) {
    const loader = [script, setup].map((from) => {
      try {
        return createRequire(from).resolve('tsx');
      } catch {
        return null;
      }
    });
    const tsx = loader.find((path) => path !== null);
    if (tsx) loaded.unshift(tsx);
    else if (!('typescript' in process.features && process.features.typescript))
      throw new RuntimeError(`[launch] ${script} is TypeScript: npm install --save-dev tsx`);
  }
  return loaded.flatMap((path) => ['--import', pathToFileURL(path).href]);
}

/** The call of mpirun. */
function commandFor(mpi: Mpi, nproc: number, script: string, args: readonly string[], hosts?: string): Command {
  const env: Record<string, string> = {
    MASTER_ADDR: process.env.MASTER_ADDR ?? hosts?.split(/[:,]/)[0] ?? '127.0.0.1',
    MASTER_PORT: process.env.MASTER_PORT ?? '29500',
  };
  const node = [process.execPath, ...preloads(script), script, ...args];
  if (mpi.name === 'mpich')
    return {
      program: mpi.mpirun!,
      args: ['-n', `${nproc}`, '-prepend-rank', ...(hosts ? ['-hosts', hosts] : []), ...node],
      env,
    };
  const flags = ['-n', `${nproc}`, ...(mpi.major >= 5 ? ['--output', 'tag'] : ['--tag-output'])];
  if (hosts) flags.push('--host', hosts);
  // Else two ranks get one core each for all of their threads.
  flags.push('--bind-to', 'none');
  if (process.getuid?.() === 0) flags.push('--allow-run-as-root');
  if (!hosts) flags.push(...(mpi.major >= 5 ? ['--map-by', ':OVERSUBSCRIBE'] : ['--oversubscribe']));
  if (!hosts && nproc > availableParallelism()) flags.push('--mca', 'mpi_yield_when_idle', '1');
  // Other hosts do not inherit the environment.
  const carried = [
    'OMP_NUM_THREADS',
    'NODE_OPTIONS',
    ...Object.keys(process.env).filter((name) => name.startsWith('EVENKEEL_')),
  ];
  if (hosts)
    for (const name of [...Object.keys(env), ...carried])
      if (name in env || name in process.env) flags.push('-x', name);
  return { program: mpi.mpirun!, args: [...flags, ...node], env };
}

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
const shownCommand = ({ program, args, env }: Command): string =>
  [...Object.entries(env).map(([name, value]) => `${name}=${quoted(value)}`), ...[program, ...args].map(quoted)].join(
    ' ',
  );

/** The processes of the ranks of this machine, by rank. */
function processesIn(ledger: string): Map<number, number> {
  const files = readdirSync(ledger).filter((file) => file.endsWith('.pid'));
  return new Map(files.map((file) => [Number.parseInt(file, 10), Number(readFileSync(join(ledger, file), 'utf8'))]));
}

/** Sends signals on to the ranks. The second one ends mpirun, and it them. */
function sendSignalsOn(mpirun: ChildProcess, ledger: string, nproc: number, isLocal: boolean) {
  let received: StopSignal | null = null;
  const end = (signal: NodeJS.Signals) => {
    mpirun.kill(signal);
    setTimeout(() => mpirun.kill('SIGKILL'), patience).unref();
  };
  const onSignal = (signal: StopSignal) => {
    const processes = processesIn(ledger);
    const isSecond = received !== null;
    received ??= signal;
    if (isSecond || !isLocal || processes.size < nproc) end('SIGTERM');
    else
      for (const pid of processes.values()) {
        try {
          process.kill(pid, signal);
        } catch {} // it has ended
      }
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return {
    received: () => received,
    stop: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}

/**
 * The signal that has killed a rank, as mpirun says it. MPICH's names any of those that it killed itself, too: no rank.
 */
function killIn(said: string): { rank: number | null; signal: string } | null {
  const openmpi = /process rank (\d+) with PID \d+ on node \S+ exited on\s+signal (\d+)/.exec(said);
  const number = openmpi?.[2] ?? /APPLICATION TERMINATED WITH THE EXIT STRING: .* \(signal (\d+)\)/.exec(said)?.[1];
  if (number === undefined) return null;
  const [signal] = Object.entries(constants.signals).find(([, value]) => value === Number(number)) ?? [
    `signal ${number}`,
  ];
  return { rank: openmpi ? Number(openmpi[1]) : null, signal };
}

/** How the job has ended, and what every rank of this machine did last. */
function summary(status: number, said: string, ledger: string): string {
  const kill = killIn(said);
  const ranks = [...processesIn(ledger).keys()].sort((a, b) => a - b);
  const notes = ranks.map((rank) => {
    const file = join(ledger, String(rank));
    const note = existsSync(file) ? readFileSync(file, 'utf8').replace(/\0.*$/s, '').trim() : 'has not joined the job';
    return `  rank ${rank} ${kill?.rank === rank ? `was killed by ${kill.signal}: it ` : ''}${note}\n`;
  });
  const why = kill && kill.rank === null ? `, because ${kill.signal} has killed a rank` : '';
  return `evenkeel: the job has ended with exit code ${status}${why}\n${notes.join('')}`;
}

/** Starts a script as the ranks of a job. Returns the exit code. */
export async function launch(script: string, args: readonly string[], options: LaunchOptions): Promise<number> {
  const { nproc = options.hosts === undefined ? undefined : placesOf(options.hosts), hosts } = options;
  if (nproc === undefined) throw new ValueError('[launch] expected --nproc N or --hosts a:N,b:N');
  if (hosts !== undefined) placesOf(hosts);
  const path = resolve(script);
  if (!existsSync(path)) throw new RuntimeError(`[launch] there is no ${path}`);
  const mpi = findMpis().find(({ name, mpirun }) => mpirun && (options.mpi === undefined || name === options.mpi));
  if (!mpi) throw new RuntimeError(`[launch] ${options.mpi ? `${options.mpi} is not here; ` : ''}${noMpi}`);
  const command = commandFor(mpi, nproc, path, args, hosts);
  if (options.print) {
    console.log(shownCommand(command));
    return 0;
  }
  buildMpiAddon(mpi);
  console.error(`evenkeel: ${shownCommand(command)}`);
  const ledger = mkdtempSync(join(tmpdir(), 'evenkeel-job-'));
  try {
    return await run(command, markOf(mpi), ledger, nproc, hosts === undefined);
  } finally {
    rmSync(ledger, { recursive: true, force: true });
  }
}

async function run(command: Command, mark: RegExp, ledger: string, nproc: number, isLocal: boolean): Promise<number> {
  const mpirun = spawn(command.program, command.args, {
    env: { ...process.env, ...command.env, EVENKEEL_LEDGER: ledger },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A session of its own: Ctrl-C in a terminal reaches the launcher alone, which sends it on.
    detached: true,
  });
  const signals = sendSignalsOn(mpirun, ledger, nproc, isLocal);
  const errors = new Errors((text) => process.stderr.write(text));
  let said = '';
  const own = (line: string) => {
    said = `${said}${line}\n`.slice(-10_000);
    errors.take(null, line);
  };
  readLines(mpirun.stdout!, mark, (rank, line) =>
    rank === null ? own(line) : void process.stdout.write(`[${rank}] ${line}\n`),
  );
  readLines(mpirun.stderr!, mark, (rank, line) => (rank === null ? own(line) : errors.take(rank, line)));
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((done, refuse) => {
    mpirun.on('error', refuse);
    mpirun.on('close', (...how) => done(how));
  });
  signals.stop();
  errors.flush();
  const received = signals.received();
  const status = received ? exitCodeOf(received) : (code ?? 128 + constants.signals[signal!]);
  if (status !== 0) process.stderr.write(summary(status, said, ledger));
  return status;
}
