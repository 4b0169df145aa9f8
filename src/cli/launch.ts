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
  /** How often a job that has ended by an error is started again. Default: 0. */
  maxRestarts?: number;
  /** Whether to print the call of mpirun instead of running it. */
  print?: boolean;
}

/** A call of a program, with what it needs in the environment. */
interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The name by which the library's own training is launched, and the program that has it. */
const ownJob = 'train-lenet';
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const ownProgram = fileURLToPath(new URL(`./main${extension}`, import.meta.url));

/** How often the job was started again, as torchrun says it to its ranks. */
const restartCount = 'TORCHELASTIC_RESTART_COUNT';
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const satisfies readonly StopSignal[];
/** Milliseconds that ranks have to say what they know of one that was killed. */
const lastWords = 500;
/** Milliseconds after the end of mpirun in which its last lines are read. */
const lastLines = 2000;
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
  const setup = fileURLToPath(new URL(`./rank_setup${extension}`, import.meta.url));
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

/**
 * MPICH's mpirun does not say which rank was killed: it kills the others by the same signal. Nor does it end a job of
 * which a rank fails before it has joined. A shell around each rank notes how that ends, before mpirun sees anything,
 * and ends in the same way. It is in the rank's process group, and goes with it.
 */
const shell =
  '"$@"; s=$?; [ $s -ne 0 ] && [ -d "$EVENKEEL_LEDGER" ] && echo $s >"$EVENKEEL_LEDGER/$PMI_RANK.status"; ' +
  'case $s in 13[2-9]) kill -$((s-128)) $$;; esac; exit $s';

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
      args: [
        ...['-n', `${nproc}`, '-prepend-rank', ...(hosts ? ['-hosts', hosts] : [])],
        ...['/bin/sh', '-c', shell, 'sh', ...node],
      ],
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
  if (hosts) flags.push('-x', restartCount);
  return { program: mpi.mpirun!, args: [...flags, ...node], env };
}

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
const shownCommand = ({ program, args, env }: Command): string =>
  [...Object.entries(env).map(([name, value]) => `${name}=${quoted(value)}`), ...[program, ...args].map(quoted)].join(
    ' ',
  );

/** Numbers that the ranks of this machine have noted under a name, by rank. */
function notesIn(ledger: string, name: 'pid' | 'status'): Map<number, number> {
  const notes = new Map<number, number>();
  for (const file of readdirSync(ledger)) {
    const text = file.endsWith(`.${name}`) ? readFileSync(join(ledger, file), 'utf8') : '';
    // Empty: it is being written.
    if (text) notes.set(Number.parseInt(file, 10), Number(text));
  }
  return notes;
}

/** Whether a rank of this machine has ended the job: the last byte of what it notes says so. */
const isAborted = (ledger: string): boolean =>
  readdirSync(ledger).some((file) => /^\d+$/.test(file) && readFileSync(join(ledger, file)).at(-1) === 1);

/** A start of the job. */
interface Start {
  readonly mpirun: ChildProcess;
  /** The folder in which ranks note who they are and what they do. */
  readonly ledger: string;
}

/** Ends mpirun, and it the ranks. */
function end(mpirun: ChildProcess): void {
  mpirun.kill('SIGTERM');
  setTimeout(() => mpirun.kill('SIGKILL'), patience).unref();
}

/** Sends signals on to the ranks of the present start. The second one ends mpirun, and it them. */
class Signals {
  received: StopSignal | null = null;
  start: Start | null = null;
  private readonly nproc: number;
  private readonly isLocal: boolean;

  constructor(nproc: number, isLocal: boolean) {
    this.nproc = nproc;
    this.isLocal = isLocal;
    for (const signal of stopSignals) process.on(signal, this.onSignal);
  }

  stop(): void {
    for (const signal of stopSignals) process.off(signal, this.onSignal);
  }

  private readonly onSignal = (signal: StopSignal): void => {
    const isSecond = this.received !== null;
    this.received ??= signal;
    if (!this.start) return;
    const { mpirun, ledger } = this.start;
    const processes = notesIn(ledger, 'pid');
    if (isSecond || !this.isLocal || processes.size < this.nproc) {
      end(mpirun);
      return;
    }
    for (const pid of processes.values()) {
      try {
        process.kill(pid, signal);
      } catch {} // it has ended
    }
  };
}

/** The name of a signal that kills; null for those by which programs are asked to end, and say so themselves. */
function killerOf(number: number): string | null {
  const [name] = Object.entries(constants.signals).find(([, value]) => value === number) ?? [null];
  return name && !stopSignals.some((signal) => signal === name) ? name : null;
}

/**
 * Ranks that a signal has killed, with its name: as Open MPI's mpirun says it, as the shells around MPICH's note it.
 */
function killedRanks(said: string, ledger: string): Map<number, string> {
  const killed = new Map<number, string>();
  const add = (rank: string, signal: number) => {
    const name = killerOf(signal);
    if (name) killed.set(Number.parseInt(rank, 10), name);
  };
  const openmpi = /process rank (\d+) with PID \d+ on node \S+ exited on\s+signal (\d+)/.exec(said);
  if (openmpi) add(openmpi[1], Number(openmpi[2]));
  for (const [rank, status] of notesIn(ledger, 'status')) add(`${rank}`, status - 128);
  return killed;
}

/** The exit code of a rank that has failed before it joined the job; null: none has. */
function failureToJoin(ledger: string): number | null {
  for (const [rank, status] of notesIn(ledger, 'status')) if (!existsSync(join(ledger, `${rank}`))) return status;
  return null;
}

/**
 * Ranks that one has left behind that was killed. They wait for it and answer no signal; Open MPI's mpirun ends them,
 * but takes two seconds.
 */
class Survivors {
  private readonly ledger: string;
  private killedAt: number | null = null;

  constructor(ledger: string) {
    this.ledger = ledger;
  }

  /** Looks for a rank of this machine that is gone without having said so; a while later, kills the others. */
  watch(): void {
    const processes = notesIn(this.ledger, 'pid');
    const isLost = (rank: number, pid: number) => !existsSync(join(this.ledger, `${rank}.left`)) && !isAlive(pid);
    if (this.killedAt === null) {
      if ([...processes].some(([rank, pid]) => isLost(rank, pid))) this.killedAt = performance.now();
    } else if (performance.now() - this.killedAt > lastWords)
      for (const pid of processes.values()) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** How the job has ended, and what every rank of this machine did last. */
function summary(status: number, said: string, ledger: string): string {
  const killed = killedRanks(said, ledger);
  const ranks = [...notesIn(ledger, 'pid').keys()].sort((a, b) => a - b);
  const notes = ranks.map((rank) => {
    const file = join(ledger, String(rank));
    const note = existsSync(file) ? readFileSync(file, 'utf8').replace(/\0.*$/s, '').trim() : 'has not joined the job';
    const signal = killed.get(rank);
    return `  rank ${rank} ${signal ? `was killed by ${signal}: it ` : ''}${note}\n`;
  });
  // A rank of another machine.
  const killer = killed.size === 0 ? killerOf(status - 128) : null;
  const why = killer ? `, because ${killer} has killed a rank` : '';
  return `evenkeel: the job has ended with exit code ${status}${why}\n${notes.join('')}`;
}

/** Starts a script as the ranks of a job. Returns the exit code. */
export async function launch(script: string, args: readonly string[], options: LaunchOptions): Promise<number> {
  const { nproc = options.hosts === undefined ? undefined : placesOf(options.hosts), hosts } = options;
  if (nproc === undefined) throw new ValueError('[launch] expected --nproc N or --hosts a:N,b:N');
  if (hosts !== undefined) placesOf(hosts);
  const isOwn = script === ownJob;
  const path = isOwn ? ownProgram : resolve(script);
  if (!existsSync(path)) throw new RuntimeError(`[launch] there is no ${path}`);
  if (isOwn) args = ['--distributed', ...args];
  const mpi = findMpis().find(({ name, mpirun }) => mpirun && (options.mpi === undefined || name === options.mpi));
  if (!mpi) throw new RuntimeError(`[launch] ${options.mpi ? `${options.mpi} is not here; ` : ''}${noMpi}`);
  const command = commandFor(mpi, nproc, path, args, hosts);
  if (options.print) {
    console.log(shownCommand(command));
    return 0;
  }
  buildMpiAddon(mpi);
  console.error(`evenkeel: ${shownCommand(command)}`);
  const { maxRestarts = 0 } = options;
  const signals = new Signals(nproc, hosts === undefined);
  try {
    for (let restarts = 0; ; restarts++) {
      const status = await run(command, markOf(mpi), signals, restarts);
      if (status === 0 || signals.received || restarts === maxRestarts) return status;
      console.error(`evenkeel: the job is started again, ${restarts + 1} of at most ${maxRestarts} times`);
    }
  } finally {
    signals.stop();
  }
}

/** Runs the job once. Returns the exit code. */
async function run(command: Command, mark: RegExp, signals: Signals, restarts: number): Promise<number> {
  const ledger = mkdtempSync(join(tmpdir(), 'evenkeel-job-'));
  try {
    const mpirun = spawn(command.program, command.args, {
      env: { ...process.env, ...command.env, EVENKEEL_LEDGER: ledger, [restartCount]: `${restarts}` },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A session of its own: Ctrl-C in a terminal reaches the launcher alone, which sends it on.
      detached: true,
    });
    signals.start = { mpirun, ledger };
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
    let failure: number | null = null;
    let isEnding = false;
    const survivors = new Survivors(ledger);
    const watch = setInterval(() => {
      survivors.watch();
      if (isEnding || signals.received) return;
      failure = failureToJoin(ledger);
      isEnding = failure !== null || isAborted(ledger);
      if (failure !== null) end(mpirun);
      // mpirun has been told to end the job. It waits for hosts that it cannot reach.
      else if (isEnding) setTimeout(() => end(mpirun), patience).unref();
    }, 200);
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((done, refuse) => {
      mpirun.on('error', refuse);
      mpirun.on('close', (...how) => done(how));
      // What mpirun has started on hosts that cannot be reached may hold its streams.
      mpirun.on('exit', (...how) => setTimeout(() => done(how), lastLines).unref());
    }).finally(() => clearInterval(watch));
    mpirun.stdout!.destroy();
    mpirun.stderr!.destroy();
    errors.flush();
    const { received } = signals;
    // MPICH says 9 where it has killed the other ranks.
    if (code !== 0) failure ??= failureToJoin(ledger);
    const status = received ? exitCodeOf(received) : (failure ?? code ?? 128 + constants.signals[signal!]);
    if (status !== 0) process.stderr.write(summary(status, said, ledger));
    return status;
  } finally {
    signals.start = null;
    rmSync(ledger, { recursive: true, force: true });
  }
}
