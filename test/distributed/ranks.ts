// Jobs of several ranks, as tests start them: by `evenkeel launch`, of the MPIs that are installed.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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

/** What every rank reports. */
export interface RankReport {
  readonly rank: number;
  readonly worldSize: number;
}
/** What a rank has checked. */
export interface RankResult extends RankReport {
  readonly count: number;
  readonly failures: readonly string[];
}

/** What the ranks of a job that has ended well report behind `RESULT`, in their order. */
export function resultsOf<R extends RankReport = RankResult>({ status, stdout, stderr }: Ended, nproc: number): R[] {
  expect(status, stderr + stdout).toBe(0);
  const reports = Array.from(stdout.matchAll(/^\[\d+\] RESULT (.*)$/gm), ([, text]) => JSON.parse(text) as R);
  reports.sort((a, b) => a.rank - b.rank);
  expect(reports.map(({ rank, worldSize }) => [rank, worldSize])).toEqual(
    Array.from({ length: nproc }, (_, rank) => [rank, nproc]),
  );
  return reports;
}

/** The same of ranks that check something: nothing has failed, and there were more than `atLeast` checks. */
export function checksOf<R extends RankResult = RankResult>(ended: Ended, nproc: number, atLeast: number): R[] {
  const results = resultsOf<R>(ended, nproc);
  for (const { count, failures } of results) {
    expect(failures).toEqual([]);
    expect(count).toBeGreaterThan(atLeast);
  }
  return results;
}

/** Whether a process runs. In containers nobody collects those that have lost their parent: they stay as zombies. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** The processes of the ranks, as they print them. */
export const pidsIn = (stdout: string): number[] =>
  Array.from(stdout.matchAll(/READY (\d+)/g), ([, pid]) => Number(pid));

/** All of these processes have ended, or do so within a few seconds. */
export async function expectEnded(pids: readonly number[]): Promise<void> {
  for (let i = 0; i < 60 && pids.some(isAlive); i++) await sleep(50);
  expect(pids.filter(isAlive), 'processes left behind').toEqual([]);
}
