// The main job, started by `npm start` as a person or a container starts it, and ended as they end it: ^C typed into a
// terminal, which reaches every process of its group, or SIGTERM to npm alone, or a terminal that is closed.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn as spawnInTerminal } from '@lydell/node-pty';

const root = fileURLToPath(new URL('../..', import.meta.url));
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

export type Ending = 'Ctrl-C' | 'SIGTERM' | 'closed terminal';

const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(isSo: () => boolean, what: () => string): Promise<void> {
  const start = Date.now();
  while (!isSo()) {
    if (Date.now() - start > 60_000) throw new Error(`waited a minute in vain: ${what()}`);
    await later(5);
  }
}

/**
 * Starts the job, ends it `delay` ms after training has begun, and resolves to what it wrote once no process of it is
 * left.
 */
export async function interruptRun(ending: Ending, out: string, args: string[], delay: number): Promise<string> {
  const command = ['start', '--', '--out', out, ...args];
  let text = '';
  let hasEnded = false;
  let end: () => void;
  if (ending === 'SIGTERM') {
    const child = spawn(npm, command, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (data) => (text += data));
    child.stderr.on('data', (data) => (text += data));
    child.on('close', () => (hasEnded = true));
    end = () => child.kill('SIGTERM');
  } else {
    const terminal = spawnInTerminal(npm, command, { cwd: root, cols: 120, rows: 40 });
    terminal.onData((data) => (text += data));
    terminal.onExit(() => (hasEnded = true));
    end = () => (ending === 'Ctrl-C' ? terminal.write('\x03') : (terminal as unknown as { destroy(): void }).destroy());
  }
  // Training begins with an empty file of metrics; the run has the lock until its process ends.
  const lock = join(out, '.lock');
  await until(
    () => existsSync(join(out, 'metrics.jsonl')) || hasEnded,
    () => text,
  );
  if (hasEnded) throw new Error(`the run ended before it began to train: ${text}`);
  const { pid } = JSON.parse(readFileSync(lock, 'utf8')) as { pid: number };
  await later(delay);
  end();
  await until(
    () => hasEnded && !existsSync(lock),
    () => `process ${pid} of ${out} goes on: ${text}`,
  );
  return text;
}

/** Runs the job to its end, in this process's terminal or none. */
export async function runToEnd(out: string, args: string[]): Promise<void> {
  const main = join(root, 'src', 'cli', 'main.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', main, '--out', out, ...args], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`the run in ${out} ended with ${code}`);
}
