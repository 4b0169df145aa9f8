// What ranks bring together without SyncBatchNorm: buffers, precise statistics, averages, and their shares of a
// dataset.
import { test } from 'vitest';
import type { EngineName } from '../../src/device/backend.ts';
import type { MpiName } from '../../src/distributed/mpi_addon.ts';
import { checksOf, runJob } from './ranks.ts';

const jobs: [nproc: number, mpi: MpiName, engine: EngineName][] = [
  [1, 'openmpi', 'native'],
  [2, 'mpich', 'native'],
  [3, 'openmpi', 'native'],
  [4, 'mpich', 'native'],
  [2, 'openmpi', 'wasm'],
];
test.each(jobs)('%s ranks of %s, %s engine', async (nproc, mpi, engine) => {
  checksOf(await runJob({ mpi, nproc, engine, script: 'statistics_ranks.ts' }), nproc, 200);
});
