// The folder of a run: older runs, locks, leftovers; and what the command needs besides: its data, its version, its
// parent.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn as spawnInTerminal } from '@lydell/node-pty';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { temporaryOf } from '../../src/files/atomic_file.ts';
import { takeLock } from '../../src/files/lock_file.ts';
import { writeIdxFiles } from '../support/idx_files.ts';
import { linesOf, stateOf } from '../support/run_state.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const command = ['--import', 'tsx', join(root, 'src', 'cli', 'main.ts')];
const children = new Set<ChildProcess>();
let folder: string;
let common: string[];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-folder-'));
  writeIdxFiles(join(folder, 'data'), 400, 100, true);
  common = ['--data', 'mnist', '--data-dir', join(folder, 'data'), '--lr', '0.1', '--batch-size', '40'];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Exit {
  code: number | null;
  stdout: string;
  stderr: string;
}
function start(args: string[]): { child: ChildProcess; exit: Promise<Exit> } {
  const child = spawn(process.execPath, [...command, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (data) => (stdout += data));
  child.stderr!.on('data', (data) => (stderr += data));
  return { child, exit: new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr }))) };
}
const run = (...args: string[]): Promise<Exit> => start([...common, ...args]).exit;
const until = async (isSo: () => boolean) => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('an older run', () => {
  test('is not replaced unless that is wanted, and then completely', async () => {
    const out = join(folder, 'older');
    expect((await run('--out', out, '--epochs', '2', '--tensorboard')).code).toBe(0);
    const before = readFileSync(join(out, 'checkpoint'));
    const refused = await run('--out', out, '--epochs', '1', '--seed', '1');
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toBe(
      `RunExistsError: [train] ${out} holds a run of 2 epochs: go on with --resume, replace it with --overwrite, or use another --out\n`,
    );
    expect(readFileSync(join(out, 'checkpoint')).equals(before)).toBe(true);
    expect(linesOf(out)).toHaveLength(2);

    const replaced = await run('--out', out, '--epochs', '1', '--seed', '1', '--overwrite');
    expect([replaced.code, replaced.stderr]).toEqual([0, '']);
    expect(linesOf(out)).toHaveLength(1);
    expect(readdirSync(out).sort()).toEqual(['checkpoint', 'metrics.jsonl', 'report.html', 'tensorboard']);
    expect(readdirSync(join(out, 'tensorboard'))).toEqual([]);

    const both = await run('--out', out, '--overwrite', '--resume');
    expect(both.code).toBe(2);
    expect(both.stderr).toContain("'--resume' cannot be used with option '--overwrite'");
  });

  test.each([
    ['r', /epoch 2\/2/, 0],
    ['o', /epoch 1\/2 /, 0],
    ['', /RunExistsError/, 1],
  ])('in a terminal it is asked about: %j', async (answer, expected, code) => {
    const out = join(folder, `asked-${answer}`);
    expect((await run('--out', out, '--epochs', '1')).code).toBe(0);
    const args = [...command, ...common, '--out', out, '--epochs', '2'];
    const terminal = spawnInTerminal(process.execPath, args, { cwd: root, cols: 200 });
    let text = '';
    let hasAnswered = false;
    terminal.onData((data) => {
      text += data;
      if (!hasAnswered && text.includes('[r/o/Q] ')) {
        hasAnswered = true;
        terminal.write(`${answer}\r`);
      }
    });
    const exit = await new Promise<{ exitCode: number }>((resolve) => terminal.onExit(resolve));
    expect(text).toContain(`${out} holds a run of 1 epoch. Resume it, overwrite it, or quit? [r/o/Q]`);
    expect(text).toMatch(expected);
    expect(/epoch 1\/2 /.test(text)).toBe(answer === 'o');
    expect(exit.exitCode).toBe(code);
    expect(existsSync(join(out, '.lock'))).toBe(false);
  });
});

describe('two processes with one folder', () => {
  test('the second is refused, until the first has ended or was killed', async () => {
    const out = join(folder, 'shared');
    const first = start([...common, '--out', out, '--epochs', '100000', '--checkpoint-every', '3']);
    await until(() => existsSync(join(out, 'checkpoint.previous')));
    const second = await run('--out', out, '--resume');
    expect([second.code, second.stdout]).toEqual([1, '']);
    expect(second.stderr).toBe(
      `LockError: [train] ${join(out, '.lock')} is held by the running process ${first.child.pid}: ` +
        'wait until that has ended, or use another folder; if it has ended, delete the file\n',
    );
    first.child.kill('SIGKILL');
    await first.exit;
    expect(existsSync(join(out, '.lock'))).toBe(true);
    // As if it had been killed while it wrote, and another process, which lives, were writing.
    const left = ['checkpoint', 'checkpoint.previous', 'metrics.jsonl', 'report.html'].map((name) =>
      temporaryOf(join(out, name), first.child.pid),
    );
    const living = temporaryOf(join(out, 'checkpoint'));
    for (const path of [...left, living, join(out, '.mine.1.2.tmp')]) writeFileSync(path, 'half');
    const { extra } = stateOf(out) as unknown as { extra: { position: { epoch: number; step: number } } };
    expect(extra.position.step % 3).toBe(0);
    const third = await run('--out', out, '--resume', '--epochs', String(extra.position.epoch + 1));
    expect([third.code, third.stderr]).toEqual([0, '']);
    expect(readdirSync(out).sort()).toEqual([
      basename(living),
      '.mine.1.2.tmp',
      'checkpoint',
      'checkpoint.previous',
      'metrics.jsonl',
      'report.html',
    ]);
  });

  const lockOf = (name: string, content: string) => {
    mkdirSync(join(folder, name));
    const path = join(folder, name, '.lock');
    writeFileSync(path, content);
    return path;
  };
  const taken = (path: string): boolean => {
    try {
      takeLock('test', path)();
      return true;
    } catch {
      return false;
    }
  };

  test('a lock of another machine counts while it is touched; so does one that cannot be read', () => {
    for (const [name, content] of [
      ['elsewhere', JSON.stringify({ pid: process.pid, began: '', host: 'elsewhere 1' })],
      ['damaged', ''],
    ]) {
      const path = lockOf(name, content);
      expect(() => takeLock('test', path), name).toThrow(
        /is held by process .* on .*machine|is held by process \d+ on elsewhere:/,
      );
      utimesSync(path, new Date(), new Date(Date.now() - 61_000));
      expect(taken(path), name).toBe(true);
      expect(existsSync(path)).toBe(false);
    }
  });

  test('a number that was given to another process since does not count', () => {
    const path = join(folder, 'own.lock');
    const release = takeLock('test', path);
    const mine = readFileSync(path, 'utf8');
    expect(() => takeLock('test', path)).toThrow(`is held by the running process ${process.pid}`);
    release();
    const { began } = JSON.parse(mine) as { began: string };
    if (!began) return; // The system does not tell when a process began.
    writeFileSync(path, mine.replace(began, `${began}1`));
    expect(taken(path)).toBe(true);
  });
});

describe('the command', () => {
  test('--version', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(await start(['--version']).exit).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('says what a folder of data lacks', async () => {
    const out = join(folder, 'no-data');
    const { code, stderr } = await start(['--data-dir', out, '--data', 'mnist', '--out', out]).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^DataFormatError: \[loadMnist\] .*train-images-idx3-ubyte: could not be read: ENOENT.*\n$/);
  });

  test('reads Fashion-MNIST from its original files', async () => {
    const out = join(folder, 'fashion');
    const args = [...common, '--data', 'fashion-mnist', '--out', out, '--epochs', '1'];
    const { code, stdout, stderr } = await start(args).exit;
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('fashion-mnist: 400 images to train, 100 to test, 28x28');
  });

  test('a reader that goes away does not end a run', async () => {
    const out = join(folder, 'piped');
    const { child, exit } = start([...common, '--out', out, '--epochs', '3']);
    child.stdout!.destroy();
    expect((await exit).code).toBe(0);
    expect(linesOf(out)).toHaveLength(3);
  });
});
