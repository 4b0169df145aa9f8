// The training of LeNet over ranks (`launch … train-lenet`): its results are those of one process with the same global
// batch; Ctrl-C; ranks that are killed at any moment, and jobs that are started again.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Tree } from '../../src/train/checkpoint_tree.ts';
import { writeIdxFiles } from '../support/idx_files.ts';
import { linesOf, stateOf } from '../support/run_state.ts';
import { mpis } from './ranks.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-ranks-'));
  writeIdxFiles(join(folder, 'data'), 400, 96, true);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Job {
  readonly launcher: ChildProcess;
  /** What it has written on stderr. */
  readonly said: () => string;
  readonly ended: Promise<number | null>;
}

function start(
  mpi: string,
  nproc: number,
  launchOptions: readonly string[],
  out: string,
  options: readonly string[],
): Job {
  const args = ['--import', 'tsx', 'src/cli/main.ts', 'launch', '--nproc', `${nproc}`, '--mpi', mpi, ...launchOptions];
  const data = ['--data', 'mnist', '--data-dir', join(folder, 'data'), '--lr', '0.1', '--batch-size', '40'];
  const launcher = spawn(process.execPath, [...args, 'train-lenet', ...data, '--out', out, ...options], {
    cwd: root,
    env: { ...process.env, OMP_NUM_THREADS: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  launcher.stderr!.on('data', (text) => (said += text));
  return { launcher, said: () => said, ended: new Promise((resolve) => launcher.on('close', resolve)) };
}

async function run(...how: Parameters<typeof start>): Promise<void> {
  const job = start(...how);
  expect(await job.ended, job.said()).toBe(0);
}

/** The processes of the ranks that train in a folder, but for zombies, which nobody collects in containers. */
function ranksIn(out: string): number[] {
  const isOne = (pid: string) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const isRank = words.includes(out) && words.includes('--distributed') && /node/.test(words[0]);
      return isRank && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false; // it has ended meanwhile
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isOne(name))
    .map(Number);
}

async function nobodyIn(out: string): Promise<void> {
  for (let i = 0; i < 40 && ranksIn(out).length > 0; i++) await sleep(50);
  expect(ranksIn(out), 'processes left behind').toEqual([]);
}

const withoutTimes = ({ seconds: _, imagesPerSecond: __, ...rest }: Record<string, number>) => rest;

test('two and four ranks give what one gives, to rounding', async () => {
  const outs = [1, 2, 4].map((nproc) => join(folder, `of ${nproc}`));
  for (const [i, nproc] of [1, 2, 4].entries()) await run(mpis[i % 2], nproc, [], outs[i], ['--epochs', '2']);
  const [alone, ...others] = outs.map((out) => linesOf(out).map(withoutTimes));
  expect(alone).toHaveLength(2);
  // Shares of 400 and 96 images: two may fall to the other side where two logits are all but equal.
  for (const other of others)
    for (const [epoch, line] of other.entries())
      for (const [name, value] of Object.entries(line))
        expect(Math.abs(value - alone[epoch][name]), name).toBeLessThan(name === 'trainLoss' ? 1e-4 : 0.021);
});

describe.each(mpis)('%s', (mpi) => {
  test('Ctrl-C on the launcher ends the step on all ranks, saves once, and the run goes on to the same bits', async () => {
    const whole = join(folder, `${mpi} whole`);
    const options = ['--epochs', '12', '--checkpoint-every', '2'];
    await run(mpi, 2, [], whole, options);
    const out = join(folder, `${mpi} interrupted`);
    const job = start(mpi, 2, [], out, options);
    for (;;) {
      await sleep(20);
      try {
        if (readFileSync(join(out, 'metrics.jsonl'), 'utf8').length > 0) break;
      } catch {} // not yet
    }
    job.launcher.kill('SIGINT');
    expect(await job.ended, job.said()).toBe(130);
    await nobodyIn(out);
    expect(linesOf(out).length).toBeLessThan(12);
    await run(mpi, 2, [], out, [...options, '--resume']);
    expect(stateOf(out)).toEqual(stateOf(whole));
  });

  test('a job that is started again by itself ends with the same bits', async () => {
    const whole = join(folder, `${mpi} calm`);
    const options = ['--epochs', '8', '--checkpoint-every', '1', '--resume'];
    await run(mpi, 2, [], whole, options);
    const out = join(folder, `${mpi} killed once`);
    const job = start(mpi, 2, ['--max-restarts', '2'], out, options);
    while (ranksIn(out).length < 2) await sleep(20);
    await sleep(1200);
    process.kill(ranksIn(out)[1], 'SIGKILL');
    expect(await job.ended, job.said()).toBe(0);
    expect(stateOf(out)).toEqual(stateOf(whole));
  });
});

/** Kills of one rank at random moments of one run, which goes on from its checkpoint each time. */
const kills = Number(process.env.EVENKEEL_KILLS ?? 20);
test(
  `${kills} kills at random moments: no hang, nobody left behind, no damaged checkpoint, and the same bits in the end`,
  async () => {
    const options = ['--epochs', '40', '--checkpoint-every', '1', '--resume'];
    let expected: Tree | undefined;
    let state = 20261130;
    const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
    let late = 0;
    for (let killed = 0, run = 0; killed < kills; run++) {
      const out = join(folder, `kills ${run}`);
      let status: number | null = null;
      // As long as the run has not come to its end.
      for (let tries = 0; status !== 0; tries++) {
        const mpi = mpis[tries % 2];
        const nproc = 2;
        const job = start(mpi, nproc, [], out, options);
        if (killed < kills) {
          while (ranksIn(out).length < nproc && job.launcher.exitCode === null) await sleep(5);
          await sleep(300 + 2200 * random());
          const victims = ranksIn(out);
          const victim = victims[Math.floor(random() * victims.length)];
          if (victim !== undefined) {
            process.kill(victim, 'SIGKILL');
            killed++;
            const start = performance.now();
            while (ranksIn(out).length > 0 && performance.now() - start < 10_000) await sleep(10);
            if (performance.now() - start > 2000) late++;
          }
        }
        status = await job.ended;
        await nobodyIn(out);
        if (status !== 0) expect(killed, job.said()).toBeGreaterThan(0);
        if (status !== 0 && killed === kills && tries > 400) throw new Error('the run does not come to its end');
      }
      const found = stateOf(out);
      expected ??= found;
      expect(found).toEqual(expected);
    }
    // Undisturbed.
    const calm = join(folder, 'kills, none');
    expect(await start('openmpi', 2, [], calm, options).ended).toBe(0);
    expect(stateOf(calm)).toEqual(expected);
    expect(late, 'kills after which others lived for more than 2 s').toBe(0);
  },
  60_000 + 8000 * kills,
);
