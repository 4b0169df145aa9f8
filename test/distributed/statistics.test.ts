// What ranks bring together without SyncBatchNorm: buffers, precise statistics, averages, and their shares of a
// dataset.
import { expect, test } from 'vitest';
import type { EngineName } from '../../src/device/backend.ts';
import type { MpiName } from '../../src/distributed/mpi_addon.ts';
import { resultsOf } from './rank_checks.ts';
import { runJob } from './ranks.ts';

const jobs: [nproc: number, mpi: MpiName, engine: EngineName][] = [
  [1, 'openmpi', 'native'],
  [2, 'mpich', 'native'],
  [3, 'openmpi', 'native'],
  [4, 'mpich', 'native'],
  [2, 'openmpi', 'wasm'],
];
test.each(jobs)('%s ranks of %s, %s engine', async (nproc, mpi, engine) => {
  const { status, stdout, stderr } = await runJob({ mpi, nproc, engine, script: 'statistics_ranks.ts' });
  expect(status, stderr + stdout).toBe(0);
  const results = resultsOf(stdout);
  expect(results.map(({ rank, worldSize }) => [rank, worldSize])).toEqual(
    Array.from({ length: nproc }, (_, rank) => [rank, nproc]),
  );
  for (const { count, failures } of results) {
    expect(failures).toEqual([]);
    expect(count).toBeGreaterThan(200);
  }
});
