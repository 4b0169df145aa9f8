// Jobs of several ranks, as tests start them: by `evenkeel launch`, of the MPIs that are installed.
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
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

/** Runs a program of Node.js to its end; `watch` sees it at work. */
export function runNode(
  args: readonly string[],
  env: Record<string, string> = {},
  watch: (pid: number, stdout: string) => void = () => {},
): Promise<Ended> {
  const started = Date.now();
  return new Promise((done, refuse) => {
    const child = spawn(process.execPath, ['--import', 'tsx', ...args], {
      cwd: root,
      env: { ...process.env, OMP_NUM_THREADS: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (bytes: Buffer) => {
      stdout += bytes;
      watch(child.pid!, stdout);
    });
    child.stderr.on('data', (bytes: Buffer) => (stderr += bytes));
    child.on('error', refuse);
    child.on('close', (status) => done({ status, stdout, stderr, seconds: (Date.now() - started) / 1000 }));
  });
}

export interface JobOptions {
  mpi: MpiName;
  nproc: number;
  /** A script of this folder, or elsewhere by its whole path. */
  script: string;
  args?: readonly string[];
  engine?: EngineName;
  env?: Record<string, string>;
  watch?: (pid: number, stdout: string) => void;
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
