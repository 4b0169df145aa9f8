// The commands `launch` and `mpi-build`, plain mpirun, and a process that is alone.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { buildMpiAddon, findMpis } from '../../src/cli/mpi_build.ts';
import { Errors } from '../../src/cli/rank_output.ts';
import { addonFileOf } from '../../src/distributed/mpi_addon.ts';
import { mpis, runJob, runNode } from './ranks.ts';

const cli = 'src/cli/main.ts';
const root = fileURLToPath(new URL('../..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'evenkeel-launch-'));
afterAll(() => rmSync(work, { recursive: true }));
const printed = async (...args: string[]) => {
  const { status, stdout, stderr } = await runNode([cli, 'launch', '--print', ...args]);
  expect(status, stderr).toBe(0);
  return stdout;
};
const script = 'test/distributed/fault_ranks.ts';

test('every MPI that the tests take is here', () => {
  expect(
    findMpis()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['mpich', 'openmpi']);
});

test('mpi-build compiles what is not up to date, and nothing else', () => {
  for (const mpi of findMpis()) {
    const addon = buildMpiAddon(mpi);
    expect(addon).toBe(addonFileOf(mpi.name));
    utimesSync(addon, 1e9, 1e9);
    buildMpiAddon(mpi);
    expect(statSync(addon).mtimeMs).toBe(1e12);
    writeFileSync(join(addon, '../stamp'), 'of other sources');
    buildMpiAddon(mpi);
    expect(statSync(addon).mtimeMs).toBeGreaterThan(1e12);
  }
});

test('without MPI the commands say how to get one', async () => {
  for (const args of [['mpi-build'], ['launch', '--nproc', '2', script]]) {
    const { status, stderr } = await runNode([cli, ...args], { PATH: work });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^RuntimeError: \[(mpi-build|launch)\] no MPI .*"apt install openmpi-bin libopenmpi-dev"/);
  }
  const { stderr } = await runNode([cli, 'mpi-build'], { MPICXX: '/bin/false' });
  expect(stderr).toBe('RuntimeError: [mpi-build] MPICXX names /bin/false, which is no compiler of an MPI\n');
});

test('launch prints the call of mpirun', async () => {
  const open = await printed('--nproc', '64', '--mpi', 'openmpi', script, '--lr', 'a b');
  expect(open).toMatch(/^MASTER_ADDR=127\.0\.0\.1 MASTER_PORT=29500 \S+mpirun\S* -n 64 --tag-output --bind-to none /);
  expect(open).toContain(' --oversubscribe --mca mpi_yield_when_idle 1 ');
  expect(open).toMatch(/fault_ranks\.ts --lr 'a b'\n$/);
  const hosts = await printed('--hosts', 'a:2,b', '--mpi', 'openmpi', script);
  expect(hosts).toMatch(
    /^MASTER_ADDR=a .* -n 3 --tag-output --host a:2,b .*-x MASTER_ADDR -x MASTER_PORT -x OMP_NUM_THREADS/,
  );
  expect(hosts).not.toContain('--oversubscribe');
  expect(await printed('--hosts', 'a:2,b:1', '--mpi', 'mpich', script)).toMatch(/ -n 3 -prepend-rank -hosts a:2,b:1 /);
});

test.each([
  [['--nproc', '2', 'nowhere.ts'], /^RuntimeError: \[launch\] there is no .*nowhere\.ts\n$/],
  [[script], /^ValueError: \[launch\] expected --nproc N or --hosts a:N,b:N\n$/],
  [['--hosts', 'a:x', script], /^ValueError: \[launch\] expected --hosts as name:ranks,name:ranks, got 'a:x'\n$/],
])('launch %j is an error', async (args, text) => {
  const { status, stderr } = await runNode([cli, 'launch', ...args]);
  expect(status).toBe(1);
  expect(stderr).toMatch(text);
});

describe.each(mpis)('%s', (mpi) => {
  test('ranks find themselves in the environment, lines have their rank, the exit code is given on', async () => {
    const file = join(work, `${mpi}.mjs`);
    const names = ['RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR', 'OMP_NUM_THREADS'];
    writeFileSync(
      file,
      `import { existsSync, writeFileSync } from 'node:fs';
       console.log('  ' + ${JSON.stringify(names)}.map((name) => process.env[name]).join(' '), process.argv[2]);
       console.error('the same on all ranks');
       // mpirun ends the other rank when the first one has failed: not before that has written, too.
       const said = (rank) => import.meta.filename + rank;
       writeFileSync(said(process.env.RANK), '');
       while (![0, 1].every((rank) => existsSync(said(rank)))) await new Promise((done) => setTimeout(done, 10));
       await new Promise((done) => setTimeout(done, 200));
       process.exitCode = 7;`,
    );
    const { status, stdout, stderr } = await runJob({
      mpi,
      nproc: 2,
      script: file,
      args: ['--nproc'],
      env: { OMP_NUM_THREADS: '' },
    });
    expect(status, stderr).toBe(7);
    const threads = stdout.match(/(\d+) --nproc/)?.[1];
    expect(Number(threads)).toBeGreaterThanOrEqual(1);
    expect(stdout.split('\n').sort()).toEqual([
      '',
      `[0]   0 0 2 2 127.0.0.1 ${threads} --nproc`,
      `[1]   1 1 2 2 127.0.0.1 ${threads} --nproc`,
    ]);
    expect(stderr.match(/the same on all ranks/g)!.length).toBeLessThanOrEqual(2);
  });

  describe('a job that fails', () => {
    const file = join(work, `restarts.${mpi}.mjs`);
    const restarted = (maxRestarts: number, args: string[], watch?: (pid: number, stdout: string) => void) =>
      runNode(
        [cli, 'launch', '--nproc', '2', '--mpi', mpi, '--max-restarts', `${maxRestarts}`, file, ...args],
        {},
        watch,
      );
    writeFileSync(
      file,
      `const { RANK, TORCHELASTIC_RESTART_COUNT: count } = process.env;
       const [fault, times] = process.argv.slice(2);
       console.log('start ' + count);
       if (Number(count) < Number(times) && RANK === '1') {
         if (fault === 'exit') process.exit(5);
         process.kill(process.pid, 'SIGKILL');
       }
       if (fault === 'wait' || Number(count) < Number(times)) setInterval(() => {}, 1000);`,
    );

    test.each(['exit', 'kill'])('starts again: %s', async (fault) => {
      const { status, stdout, stderr } = await restarted(3, [fault, '2']);
      expect(status, stderr).toBe(0);
      for (const count of [0, 1, 2]) expect(stdout).toContain(`[1] start ${count}\n`);
      expect(stderr).toContain('evenkeel: the job is started again, 1 of at most 3 times\n');
      expect(stderr).toContain('evenkeel: the job is started again, 2 of at most 3 times\n');
      expect(stderr).not.toContain('again, 3 of');
      expect(stderr.match(/evenkeel: the job has ended with exit code/g)).toHaveLength(2);
    });

    test('ends with its exit code after the last start', async () => {
      const { status, stdout, stderr } = await restarted(1, ['exit', '9']);
      expect(status, stderr).toBe(5);
      expect(stdout.match(/\[1\] start/g)).toHaveLength(2);
      expect(stderr).toMatch(/again, 1 of at most 1 times\n[\s\S]*exit code 5\n/);
    });

    test('is not started again after Ctrl-C', async () => {
      let isSent = false;
      const { status, stdout, stderr } = await restarted(5, ['wait', '1'], (pid, said) => {
        if (isSent || !said.includes('[0] start 1') || !said.includes('[1] start 1')) return;
        isSent = true;
        process.kill(pid, 'SIGINT');
      });
      expect(status, stderr).toBe(130);
      expect(stdout).not.toContain('start 2');
      expect(stderr.match(/is started again/g)).toHaveLength(1);
    });
  });

  test('plain mpirun runs a script', () => {
    const { mpirun } = findMpis().find(({ name }) => name === mpi)!;
    const flags = mpi === 'openmpi' ? ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none'] : [];
    const file = join(root, 'test/distributed/alone_ranks.ts');
    const args = ['-n', '2', ...flags, process.execPath, '--import', 'tsx', file];
    const { status, stdout, stderr } = spawnSync(mpirun!, args, { cwd: root, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    expect(stdout.split('\n').sort()).toEqual(['', 'rank 0 of 2: 3', 'rank 1 of 2: 3']);
  });
});

test('a process that was started alone is a job of one, without the addon', async () => {
  const { status, stdout, stderr } = await runNode(['test/distributed/alone_ranks.ts']);
  expect(status, stderr).toBe(0);
  expect(stdout).toBe('rank 0 of 1: 1\n');
});

test('several ranks write the same error once', () => {
  let text = '';
  const errors = new Errors((more) => (text += more));
  for (const rank of [0, 1, 3, 2, 5]) {
    errors.take(rank, 'Error: all');
    errors.take(rank, '  at the same place');
  }
  errors.take(4, 'Error: mine');
  errors.take(null, 'mpirun says');
  expect(text).toBe('[0-3,5] Error: all\n[0-3,5]   at the same place\n[4] Error: mine\nmpirun says\n');
});
