// Every collective on both MPIs and both engines, with 1 to 4 ranks. A job carries out all cases: its start is what
// costs.
import { type ChildProcess, spawn } from 'node:child_process';
import { describe, test } from 'vitest';
import { checksOf, mpis, runJob } from './ranks.ts';

/** Two threads once for each engine: kernels run beside JavaScript then. */
const jobs = mpis.flatMap((mpi) =>
  (['native', 'wasm'] as const).flatMap((engine) =>
    [1, 2, 3, 4].map((nproc) => ({ mpi, engine, nproc, threads: nproc === 2 || nproc === 3 ? 2 : 1 })),
  ),
);

async function runAll(job: (typeof jobs)[number]): Promise<void> {
  const env = { OMP_NUM_THREADS: `${job.threads}` };
  checksOf(await runJob({ ...job, script: 'collective_ranks.ts', env }), job.nproc, 900);
}

describe.each(jobs)('$nproc ranks of $mpi on the $engine engine, $threads threads each', (job) => {
  test('collectives equal what one process computes', () => runAll(job));
});

// A group of more than eight ranks agrees on its calls in another way.
test('9 ranks', () => runAll({ mpi: 'mpich', engine: 'wasm', nproc: 9, threads: 1 }));

// A thread that waits must leave its processor to those that have work: else a job stands still here.
test.each(mpis)('%s, on processors that others keep busy', async (mpi) => {
  const others: ChildProcess[] = [];
  for (let i = 0; i < 6; i++) others.push(spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }));
  try {
    await runAll({ mpi, engine: 'native', nproc: 3, threads: 2 });
  } finally {
    for (const other of others) other.kill('SIGKILL');
  }
});
