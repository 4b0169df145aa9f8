// Finding the addon that talks to MPI. It is compiled against the MPI of the machine (src/cli/mpi_build.ts), into build/mpi/, once for each MPI.
import { environment } from '../device/addon_file.ts';
import type { Pointer } from '../device/generated/abi.ts';
import { RuntimeError } from '../errors.ts';
import { nodeModule } from '../files/node.ts';

/** Who this process is among those of the job. */
export interface Started {
  readonly rank: number;
  readonly worldSize: number;
  readonly localRank: number;
  readonly localWorldSize: number;
  /** Name and version of the MPI library. */
  readonly version: string;
  /** The address of the number of complete calls (uint64). */
  readonly counter: Pointer;
  /** The address of the flag that says that a call has failed (one byte). */
  readonly failed: Pointer;
}

export interface MpiAddon {
  start(timeoutSeconds: number, kernelsDone: Pointer): Started;
  /** Gives a call to the lane; returns its place in it, from 1. */
  add(
    kind: number,
    group: number,
    dtype: number,
    operation: number,
    root: number,
    send: Pointer,
    receive: Pointer,
    count: number,
    list: readonly number[],
    after: number,
    label: string,
  ): number;
  /** Waits until so many calls are complete; false where one has failed. */
  wait(place: number): boolean;
  completed(): number;
  /** What has failed; null: nothing. */
  error(): string | null;
  /** The address of a buffer's first byte. */
  addressOf(buffer: ArrayBuffer): Pointer;
}

/** The MPI under which this process was started; null: under none. */
export function startedBy(): 'openmpi' | 'mpich' | null {
  if (environment('OMPI_COMM_WORLD_SIZE')) return 'openmpi';
  if (environment('PMI_SIZE') || environment('PMI_RANK')) return 'mpich';
  return null;
}

/** The addon for an MPI. */
export function loadMpiAddon(mpi: 'openmpi' | 'mpich'): MpiAddon {
  const { existsSync } = nodeModule('initProcessGroup', 'fs');
  const { createRequire } = nodeModule('initProcessGroup', 'module');
  const { fileURLToPath } = nodeModule('initProcessGroup', 'url');
  const path = nodeModule('initProcessGroup', 'path');
  const file =
    environment('EVENKEEL_MPI_ADDON') ??
    path.resolve(fileURLToPath(import.meta.url), '../../..', 'build/mpi', mpi, 'mpi.node');
  if (!existsSync(file))
    throw new RuntimeError(
      `[initProcessGroup] there is no ${file}: "npx evenkeel mpi-build" compiles it against the MPI of this machine`,
    );
  return createRequire(file)(file) as MpiAddon;
}
