// Jobs of several ranks, as tests start them: by `evenkeel launch`, of the MPIs that are installed.
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { EngineName } from '../../src/device/backend.ts';
import type { MpiName } from '../../src/distributed/mpi_addon.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const mpis: readonly MpiName[] = ['openmpi', 'mpich'];

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** What sees a program at work: all that it has written so far. */
type Watch = (pid: number, stdout: string, stderr: string) => void;

/** Runs a program to its end. */
export function runProgram(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
  watch: Watch,
): Promise<Ended> {
  const started = Date.now();
  return new Promise((done, refuse) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, OMP_NUM_THREADS: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (bytes: Buffer) => {
      stdout += bytes;
      watch(child.pid!, stdout, stderr);
    });
    child.stderr.on('data', (bytes: Buffer) => {
      stderr += bytes;
      watch(child.pid!, stdout, stderr);
    });
    child.on('error', refuse);
    child.on('close', (status) => done({ status, stdout, stderr, seconds: (Date.now() - started) / 1000 }));
  });
}

/** Runs a program of Node.js to its end. */
export const runNode = (
  args: readonly string[],
  env: Record<string, string> = {},
  watch: Watch = () => {},
): Promise<Ended> => runProgram(process.execPath, ['--import', 'tsx', ...args], env, watch);

export interface JobOptions {
  mpi: MpiName;
  nproc: number;
  /** A script of this folder, or elsewhere by its whole path. */
  script: string;
  args?: readonly string[];
  engine?: EngineName;
  env?: Record<string, string>;
  watch?: Watch;
}

export const runJob = ({ mpi, nproc, script, args = [], engine, env = {}, watch }: JobOptions): Promise<Ended> =>
  runNode(
    [
      'src/cli/main.ts',
      'launch',
      '--nproc',
      `${nproc}`,
      '--mpi',
      mpi,
      resolve(root, 'test/distributed', script),
      ...args,
    ],
    { ...env, ...(engine ? { EVENKEEL_ENGINE: engine } : {}) },
    watch,
  );

/** What a rank has checked. */
export interface RankResult {
  rank: number;
  worldSize: number;
  count: number;
  failures: string[];
}

/** The results of all ranks of a job that has ended well, in their order. */
export function resultsOf({ status, stdout, stderr }: Ended, nproc: number): RankResult[] {
  expect(status, stderr + stdout).toBe(0);
  const lines = stdout.split('\n').flatMap((line) => /^\[(\d)\] RESULT (.*)$/.exec(line)?.slice(2) ?? []);
  const results = lines.map((line) => JSON.parse(line) as RankResult).sort((a, b) => a.rank - b.rank);
  expect(results.map(({ rank }) => rank)).toEqual(Array.from({ length: nproc }, (_, i) => i));
  for (const { worldSize } of results) expect(worldSize).toBe(nproc);
  return results;
}
