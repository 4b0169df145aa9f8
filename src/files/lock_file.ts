// A lock file: one process at a time works in a folder. It ends with its process, also where that was killed: on the
// same machine the holder's process is looked for, and on another, whose processes cannot be seen, the lock is taken
// for left behind once it has not been touched for a minute. Node only.
import { EvenkeelError } from '../errors.ts';
import { nodeModule } from './node.ts';
import { codeOf, host, isRunning } from './processes.ts';

/** The lock cannot be had: another process holds it, or the folder takes no files. */
export class LockError extends EvenkeelError {
  override name = 'LockError';
  readonly path: string;

  constructor(op: string, path: string, reason: string, options?: ErrorOptions) {
    super(`[${op}] ${path} ${reason}`, options);
    this.path = path;
  }
}

const heldBy = (op: string, path: string, holder: string): LockError =>
  new LockError(
    op,
    path,
    `is held by ${holder}: wait until that has ended, or use another folder; if it has ended, delete the file`,
  );

/**
 * Who holds a lock: its process, when that began (where the system tells), and the machine, with the space of its
 * process numbers.
 */
interface Holder {
  pid: number;
  began: string;
  host: string;
}

/** In ms. */
const [touchEvery, goneAfter] = [10_000, 60_000];
const fs = () => nodeModule('takeLock', 'fs');

/** When a process began, as the system counts it; empty where it does not tell. */
function beginOf(pid: number): string {
  try {
    // The name, in parentheses, may hold anything; the 20th field behind it is the time.
    return (
      fs()
        .readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[19] ?? ''
    );
  } catch {
    return '';
  }
}

function isAlive({ pid, began }: Holder): boolean {
  // Numbers of processes are given again.
  return isRunning(pid) && (began === '' || beginOf(pid) === began);
}

/** Who holds the lock, in words; null where nobody does any more. */
function holderOf(path: string): string | null {
  let holder: Partial<Holder> = {};
  try {
    holder = JSON.parse(fs().readFileSync(path, 'utf8')) as Holder;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    // Not written yet, or damaged: its age decides.
  }
  if (holder.host === host() && typeof holder.pid === 'number') {
    const isHeld = isAlive({ began: '', ...holder } as Holder);
    return isHeld ? `the running process ${holder.pid}` : null;
  }
  const age = Date.now() - (fs().statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return age < goneAfter ? `process ${holder.pid ?? '?'} on ${holder.host?.split(' ')[0] ?? 'another machine'}` : null;
}

/**
 * Takes the lock `path` for `op`, the function that the user called, until the returned function is called or the
 * process ends, in whatever way.
 * @throws LockError while another process holds it, or where the file cannot be made.
 */
export function takeLock(op: string, path: string): () => void {
  const { linkSync, openSync, writeSync, closeSync, renameSync, readFileSync, rmSync, utimesSync } = fs();
  const mine = JSON.stringify({ pid: process.pid, began: beginOf(process.pid), host: host() } satisfies Holder);
  const tryToTake = (): boolean => {
    try {
      const file = openSync(path, 'wx');
      try {
        writeSync(file, mine);
      } finally {
        closeSync(file);
      }
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw new LockError(op, path, `could not be made: ${(error as Error).message}`, { cause: error });
    }
  };
  if (!tryToTake()) {
    const holder = holderOf(path);
    if (holder !== null) throw heldBy(op, path, holder);
    // What was left behind is moved away first: of several processes that see it so, one moves it, and the others move
    // nothing, or, too late, the lock of the first, which they put back.
    const away = `${path}.${process.pid}`;
    const isMissing = (error: unknown) => codeOf(error) === 'ENOENT';
    try {
      renameSync(path, away);
      const moved = holderOf(away);
      if (moved !== null) {
        linkSync(away, path);
        throw heldBy(op, path, moved);
      }
    } catch (error) {
      if (!isMissing(error)) throw error;
    } finally {
      rmSync(away, { force: true });
    }
    if (!tryToTake()) throw heldBy(op, path, holderOf(path) ?? 'another process');
  }
  const touch = setInterval(() => {
    try {
      utimesSync(path, new Date(), new Date());
    } catch {
      // Somebody has deleted it; the run goes on.
    }
  }, touchEvery);
  touch.unref();
  const release = () => {
    clearInterval(touch);
    process.off('exit', release);
    try {
      if (readFileSync(path, 'utf8') === mine) rmSync(path);
    } catch {
      // Gone already.
    }
  };
  process.on('exit', release);
  return release;
}
