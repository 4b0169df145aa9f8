// A program in a process of its own, spoken to in lines: fuzz/, conformance/ and bench/peers/ drive PyTorch and others
// so.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** The Python that has PyTorch. */
export const python = process.env.EVENKEEL_PYTHON ?? 'python3';

export interface LinePeer {
  send(line: string): void;
  /** The next line; null where the process has ended instead. */
  receive(): Promise<string | null>;
  /** What it ended by, 'signal SIGSEGV' or 'exit code 3'; waits for the end. */
  ended(): Promise<string>;
  close(): void;
}

/** Starts a program. What it writes to its standard error appears on ours. */
export function startLinePeer(command: string, args: readonly string[], env: Record<string, string> = {}): LinePeer {
  const child: ChildProcessWithoutNullStreams = spawn(command, args, { env: { ...process.env, ...env } });
  child.stderr.pipe(process.stderr);
  // What is written to a process that has just ended is lost, and found to be when its answer does not come.
  child.stdin.on('error', () => {});
  const end = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    send: (line) => void child.stdin.write(`${line}\n`),
    async receive() {
      const { value, done } = await lines.next();
      return done ? null : value;
    },
    ended: () => end,
    close: () => void child.kill(),
  };
}
