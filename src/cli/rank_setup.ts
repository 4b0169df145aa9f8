// Loaded before the script in every rank that `evenkeel launch` starts: says in the environment who the rank is, in the
// words of torchrun, and shares the processors of a machine among its ranks.
import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const { env } = process;
/** As Open MPI says it, as MPICH does. */
const said: Record<string, readonly [openmpi: string, mpich: string]> = {
  RANK: ['OMPI_COMM_WORLD_RANK', 'PMI_RANK'],
  WORLD_SIZE: ['OMPI_COMM_WORLD_SIZE', 'PMI_SIZE'],
  LOCAL_RANK: ['OMPI_COMM_WORLD_LOCAL_RANK', 'MPI_LOCALRANKID'],
  LOCAL_WORLD_SIZE: ['OMPI_COMM_WORLD_LOCAL_SIZE', 'MPI_LOCALNRANKS'],
};
for (const [name, [openmpi, mpich]] of Object.entries(said)) {
  const value = env[openmpi] ?? env[mpich];
  if (value !== undefined) env[name] = value;
}
env.OMP_NUM_THREADS ||= String(Math.max(1, Math.floor(availableParallelism() / Number(env.LOCAL_WORLD_SIZE ?? 1))));

// Open MPI makes every rank believe that it writes to a terminal; the launcher reads lines.
for (const stream of [process.stdout, process.stderr]) stream.isTTY = false;

// Where the launcher finds the process, to send signals on.
const ledger = env.EVENKEEL_LEDGER;
if (ledger && existsSync(ledger)) {
  writeFileSync(join(ledger, `${env.RANK}.pid`), String(process.pid));
  // A rank that is gone without this note was killed.
  process.on('exit', () => {
    if (existsSync(ledger)) writeFileSync(join(ledger, `${env.RANK}.left`), '');
  });
}
