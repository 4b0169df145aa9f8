// Finding the addon that talks to MPI. It is compiled against the MPI of the machine (src/cli/mpi_build.ts), into
// build/mpi/, once for each MPI.
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
  /** The address of the C function behind `wait`. */
  readonly wait: Pointer;
}

export interface MpiAddon {
  start(timeoutSeconds: number): Started;
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
    /** Kernel launches that must have run before. */
    after: number,
    /** The address of the function that says how many have; 0 where kernels run when they are called. */
    kernelsDone: Pointer,
    label: string,
    /** Whether the caller is about to wait: it then carries the call out itself. */
    isAwaited: boolean,
  ): number;
  /** Says that the process is about to end, and returns at once. */
  leave(exitCode: number): void;
  /** Waits until so many calls are complete; false where one has failed. */
  wait(place: number): boolean;
  completed(): number;
  /** What has failed; null: nothing. */
  error(): string | null;
  /** The address of a buffer's first byte. */
  addressOf(buffer: ArrayBuffer): Pointer;
}

/** The two families of MPI: an addon is compiled against one of them, and cannot talk to the other. */
export type MpiName = 'openmpi' | 'mpich';

/** The MPI under which this process was started, by its own launcher or by Slurm's; null: under none. */
export function startedBy(): MpiName | null {
  if (environment('OMPI_COMM_WORLD_SIZE') || environment('PMIX_RANK')) return 'openmpi';
  if (environment('PMI_SIZE') || environment('PMI_RANK')) return 'mpich';
  return null;
}

/** Where the addon of an MPI is built: seen from src/distributed/ and from dist/distributed/. */
export function addonFileOf(mpi: MpiName): string {
  const path = nodeModule('initProcessGroup', 'path');
  const here = nodeModule('initProcessGroup', 'url').fileURLToPath(import.meta.url);
  return path.resolve(here, '../../..', 'build/mpi', mpi, 'mpi.node');
}

/** The addon for an MPI. */
export function loadMpiAddon(mpi: MpiName): MpiAddon {
  const file = addonFileOf(mpi);
  // Settings of UCX, which MPIs talk through, read when it is loaded. It would take over SIGSEGV, by which V8 finds
  // WebAssembly's bad addresses; and it would patch brk() and mmap() while other threads of Node.js are in them, after
  // which the heap is broken in one process of thirty.
  process.env.UCX_HANDLE_ERRORS ??= 'none';
  process.env.UCX_MEM_EVENTS ??= 'no';
  if (!nodeModule('initProcessGroup', 'fs').existsSync(file))
    throw new RuntimeError(
      `[initProcessGroup] there is no ${file}: "npx evenkeel mpi-build" compiles it against the MPI of this machine`,
    );
  try {
    return nodeModule('initProcessGroup', 'module').createRequire(file)(file) as MpiAddon;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RuntimeError(
      `[initProcessGroup] the addon for MPI cannot be loaded: ${reason}; "npx evenkeel mpi-build" compiles it anew`,
    );
  }
}
