// SyncBatchNorm on several ranks against one process that has the whole batch, on both MPIs; and what becomes of ranks
// that do not run the same layers.
import { describe, expect, test } from 'vitest';
import type { EngineName } from '../../src/device/backend.ts';
import type { MpiName } from '../../src/distributed/mpi_addon.ts';
import type { CheckResult } from './rank_checks.ts';
import { checksOf, mpis, resultsOf, runJob } from './ranks.ts';

/**
 * The engines differ in kernels, not in what is exchanged: a sample is enough for wasm. Two threads where they are no
 * more than twice the processors of a small machine.
 */
const jobs: { mpi: MpiName; engine: EngineName; nproc: number; threads: number }[] = [
  ...mpis.flatMap((mpi) =>
    [1, 2, 3, 4].map((nproc) => ({
      mpi,
      engine: 'native' as const,
      nproc,
      threads: mpi === 'mpich' && nproc === 2 ? 2 : 1,
    })),
  ),
  { mpi: 'openmpi', engine: 'wasm', nproc: 3, threads: 1 },
];
/** The hashes of all ranks, by the number of ranks. */
const hashes = new Map<string, number[]>();

test.each(jobs)('$nproc ranks of $mpi equal one process: $engine, $threads threads', async (job) => {
  const { mpi, engine, nproc, threads } = job;
  const env = { OMP_NUM_THREADS: `${threads}` };
  const ended = await runJob({ ...job, script: 'sync_batch_norm_ranks.ts', args: ['20'], env });
  const results = checksOf<CheckResult>(ended, nproc, 600);
  // A sum of two has one order: every run of two ranks gives the same bits, on any MPI and any number of threads.
  const key = nproc <= 2 ? `${engine} ${nproc}` : `${engine} ${nproc} ${mpi}`;
  const hash = results.map((each) => each.hash);
  expect(hash).toEqual(hashes.get(key) ?? hash);
  hashes.set(key, hash);
});

test('a second run of 3 ranks has the same bits', async () => {
  const job = { mpi: 'openmpi', engine: 'native', nproc: 3 } as const;
  const ended = await runJob({ ...job, script: 'sync_batch_norm_ranks.ts', args: ['20'] });
  expect(resultsOf<CheckResult>(ended, 3).map(({ hash }) => hash)).toEqual(hashes.get('native 3 openmpi'));
});

describe.each(mpis)('%s', (mpi) => {
  const runFault = async (fault: string) => {
    const ended = await runJob({ mpi, nproc: 3, script: 'sync_fault_ranks.ts', args: [fault] });
    expect(ended.status).toBe(1);
    return ended.stderr;
  };

  test('a rank that skips a layer', async () => {
    const stderr = await runFault('skip');
    expect(stderr).toMatch(/RuntimeError: \[allGather\] the ranks have called different collectives:\n/);
    expect(stderr).toContain('  ranks 0, 2: allGather no. 1 (9 float64) for bn1, forward\n');
    expect(stderr).toContain('  rank 1: allGather no. 1 (9 float64) for bn2, forward\n');
  });

  test('a rank that evaluates while others train', async () => {
    expect(await runFault('eval')).toContain(
      'RuntimeError: [allGather] allGather no. 1 (9 float64) for bn1, forward has not been completed within 2 s: rank 1 has not called it, ranks 0, 2 wait\n',
    );
  });
});
