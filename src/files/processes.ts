// Processes as files name them: whether the one that left a file still runs. Node only.
import { nodeModule } from './node.ts';

/** The code of a system's error, such as `ENOSPC`. */
export const codeOf = (error: unknown): string | undefined => (error as { code?: string } | undefined)?.code;

/** Whether a process of this machine runs. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is somebody else's.
    return codeOf(error) === 'EPERM';
  }
}

/**
 * The machine, with the space of its process numbers: containers may share a machine's name, and do not see one
 * another's processes.
 */
export function host(): string {
  const name = nodeModule('host', 'os').hostname();
  try {
    return `${name} ${nodeModule('host', 'fs').readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return name;
  }
}
