// What becomes of a job in which one rank fails: an error that names ranks and call, an exit code that is not 0,
// nothing left behind.
import { describe, expect, test } from 'vitest';
import { type Ended, expectEnded, mpis, pidsIn, runJob } from './ranks.ts';

/**
 * A job of three ranks, or more; all of them must be gone at its end. `seconds` are from the moment in which all were
 * ready.
 */
async function runFault(
  mpi: (typeof mpis)[number],
  fault: string,
  { threads = '1', nproc = 3 } = {},
): Promise<Ended & { pids: number[] }> {
  let ready = 0;
  const watch = (_: number, stdout: string) => {
    if (!ready && pidsIn(stdout).length === nproc) ready = Date.now();
  };
  const ended = await runJob({
    mpi,
    nproc,
    script: 'fault_ranks.ts',
    args: [fault],
    env: { OMP_NUM_THREADS: threads },
    watch,
  });
  const seconds = (Date.now() - ready) / 1000;
  const pids = pidsIn(ended.stdout);
  expect(pids, ended.stdout + ended.stderr).toHaveLength(nproc);
  await expectEnded(pids);
  return { ...ended, seconds, pids };
}

const call = 'allReduce no. 2 (sum, 5 float32) for the loss';
const different: [fault: string, other: string][] = [
  ['op', 'allReduce no. 2 (max, 5 float32) for the loss'],
  ['size', 'allReduce no. 2 (sum, 6 float32) for the loss'],
  ['dtype', 'allReduce no. 2 (sum, 5 float64) for the loss'],
  ['label', 'allReduce no. 2 (sum, 5 float32) for another loss'],
  ['kind', 'allGather no. 2 (5 float32) for the loss'],
];

describe.each(mpis)('%s', (mpi) => {
  test.each(different)('ranks that differ in %s', async (fault, other) => {
    const { status, stderr, seconds } = await runFault(mpi, fault);
    expect(status).toBe(1);
    expect(stderr).toMatch(/the ranks have called different collectives:\n\[[\d,-]+\] +ranks 0, 2: /);
    expect(stderr).toContain(`  ranks 0, 2: ${call}\n`);
    expect(stderr).toContain(`  rank 1: ${other}\n`);
    expect(seconds).toBeLessThan(8);
  });

  test('nine ranks, of which one differs', async () => {
    const { status, stderr } = await runFault(mpi, 'size', { nproc: 9 });
    expect(status).toBe(1);
    expect(stderr).toContain(`  ranks 0, 2, 3, 4, 5, 6, 7, 8: ${call}\n`);
    expect(stderr).toContain('  rank 1: allReduce no. 2 (sum, 6 float32) for the loss\n');
  });

  test('ranks that broadcast from different ones', async () => {
    const { status, stderr } = await runFault(mpi, 'root');
    expect(status).toBe(1);
    expect(stderr).toContain('  ranks 0, 2: broadcast no. 2 (5 float32, from rank 0) for the loss\n');
    expect(stderr).toContain('  rank 1: broadcast no. 2 (5 float32, from rank 1) for the loss\n');
  });

  test.each(['1', '2'])('a rank that does not come, and kernels that wait for it, with %s threads', async (threads) => {
    const { status, stderr, seconds } = await runFault(mpi, 'missing', { threads });
    expect(status).toBe(1);
    expect(stderr).toContain(
      `RuntimeError: [allReduce] ${call} has not been completed within 2 s: rank 1 has not called it, ranks 0, 2 wait\n`,
    );
    expect(stderr).toContain('  rank 1 has completed barrier no. 1\n');
    expect(seconds).toBeGreaterThan(2);
    expect(seconds).toBeLessThan(10);
  });

  test('a rank that throws shows its own error, and ends the others', async () => {
    const { status, stderr, seconds } = await runFault(mpi, 'throw');
    expect(status).toBe(1);
    expect(stderr).toContain('[1] TypeError: my own mistake\n');
    expect(stderr).toMatch(
      /rank 1 has (called destroyProcessGroup\(\)|ended), and allReduce no\. 2 \(sum, 5 float32\)/,
    );
    expect(seconds).toBeLessThan(8);
  });

  test.each([
    ['exit', /^[13]$/],
    ['exit 0', /^1$/],
  ])('a rank that ends early: %s', async (fault, code) => {
    const { status, stderr, seconds } = await runFault(mpi, fault);
    expect(String(status)).toMatch(code);
    expect(stderr).toContain(`rank 1 has ended, and ${call} waits for it; its last call was barrier no. 1\n`);
    expect(seconds).toBeLessThan(8);
  });

  test('a rank that fails before it has joined', async () => {
    const { status, stderr } = await runFault(mpi, 'before: throw');
    expect(status).toBe(1);
    expect(stderr).toContain('[1] TypeError: my own mistake\n');
  });

  test('a rank that never joins', async () => {
    const { status, stderr, seconds } = await runFault(mpi, 'before: missing');
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /evenkeel: MPI has not started, because not all ranks have called initProcessGroup\(\), within 2 s\n/,
    );
    expect(stderr).toContain('  rank 1 has not joined the job\n');
    expect(seconds).toBeLessThan(8);
  });

  test('a rank that is killed inside a collective', async () => {
    const { status, stderr, seconds } = await runFault(mpi, 'kill');
    expect(status).not.toBe(0);
    expect(stderr).toContain(`  rank 1 was killed by SIGKILL: it is in ${call}\n`);
    expect(stderr.match(/was killed by/g)).toHaveLength(1);
    expect(stderr).toContain(`  rank 2 is in ${call}\n`);
    expect(stderr).toContain('  rank 0 has completed barrier no. 1\n');
    // Half a second before the kill.
    expect(seconds).toBeLessThan(2.5);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s is sent on to all ranks', async (signal, code) => {
    let isSent = false;
    const watch = (pid: number, stdout: string) => {
      if (isSent || (stdout.match(/READY/g) ?? []).length < 3) return;
      isSent = true;
      process.kill(pid, signal);
    };
    const { status, stdout } = await runJob({ mpi, nproc: 3, script: 'fault_ranks.ts', args: ['signal'], watch });
    expect(status).toBe(code);
    await expectEnded(pidsIn(stdout));
  });
});
