// DistributedDataParallel over real ranks, against one process.
import { describe, test } from 'vitest';
import { checksOf, mpis, runJob } from './ranks.ts';

/** Two threads once for each engine: kernels run beside JavaScript then. */
const jobs = mpis.flatMap((mpi) =>
  [1, 2, 3, 4].map((nproc) => ({ mpi, nproc, engine: 'native' as const, threads: nproc === 2 ? 2 : 1 })),
);

describe.each([...jobs, { mpi: 'openmpi' as const, nproc: 2, engine: 'wasm' as const, threads: 1 }])(
  '$nproc ranks of $mpi on the $engine engine, $threads threads each',
  (job) => {
    test('gradients, buckets, accumulation, unused parameters, buffers, uneven inputs, groups, errors', async () => {
      const env = { OMP_NUM_THREADS: `${job.threads}` };
      checksOf(await runJob({ ...job, script: 'ddp_ranks.ts', env }), job.nproc, 600);
    });
  },
);
