// The folder of a run: who works in it, and what an earlier run has left there. A new run does not replace an older one
// unless it is told to.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { EvenkeelError } from '../errors.ts';
import { makeFolder } from '../files/atomic_file.ts';
import { takeLock } from '../files/lock_file.ts';

/** The folder holds an earlier run, and the user has not said whether to continue or to replace it. */
export class RunExistsError extends EvenkeelError {
  override name = 'RunExistsError';
}

/** What a run leaves: `checkpoint.previous` belongs to the checkpoint, event files of TensorBoard to their folder. */
export const runFiles = { checkpoint: 'checkpoint', metrics: 'metrics.jsonl', report: 'report.html' } as const;
const previous = `${runFiles.checkpoint}.previous`;
export const tensorboardFolder = 'tensorboard';

/** What to do about an earlier run. */
export interface Intent {
  readonly resume: boolean;
  readonly overwrite: boolean;
}

/** The earlier run in the folder, in words; null where there is none. */
function earlierRun(out: string): string | null {
  let epochs = 0;
  try {
    epochs = readFileSync(join(out, runFiles.metrics), 'utf8').split('\n').length - 1;
  } catch {
    // A run that was interrupted at once has none.
  }
  const hasCheckpoint = [runFiles.checkpoint, previous].some((name) => existsSync(join(out, name)));
  if (!hasCheckpoint && epochs === 0) return null;
  return epochs === 0
    ? 'a run that has not ended its first epoch'
    : `a run of ${epochs} epoch${epochs === 1 ? '' : 's'}`;
}

async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  terminal.on('SIGINT', () => process.exit(130));
  try {
    return (await terminal.question(question)).trim().toLowerCase();
  } finally {
    terminal.close();
  }
}

/**
 * Makes the folder, takes its lock, and decides about an earlier run: in a terminal it asks.
 * @returns what to do, and what gives the folder free.
 * @throws LockError where another process works there; RunExistsError where an earlier run would be lost.
 */
export async function openRunFolder(out: string, intent: Intent): Promise<Intent & { release: () => void }> {
  makeFolder(out);
  const release = takeLock('train', join(out, '.lock'));
  try {
    const earlier = earlierRun(out);
    if (earlier === null || intent.resume || intent.overwrite) return { ...intent, release };
    if (process.stdin.isTTY && process.stdout.isTTY) {
      const answer = await ask(`${out} holds ${earlier}. Resume it, overwrite it, or quit? [r/o/Q] `);
      if (/^r(esume)?$/.test(answer)) return { resume: true, overwrite: false, release };
      if (/^o(verwrite)?$/.test(answer)) return { resume: false, overwrite: true, release };
    }
    throw new RunExistsError(
      `[train] ${out} holds ${earlier}: go on with --resume, replace it with --overwrite, or use another --out`,
    );
  } catch (error) {
    release();
    throw error;
  }
}

/** Removes what an earlier run has left. Other files stay. */
export function removeRun(out: string): void {
  for (const name of [...Object.values(runFiles), previous]) rmSync(join(out, name), { force: true });
  const events = join(out, tensorboardFolder);
  if (!existsSync(events)) return;
  for (const name of readdirSync(events))
    if (name.startsWith('events.out.tfevents.')) rmSync(join(events, name), { force: true });
}
