// The command line in processes of its own: files that a run leaves, Ctrl-C and --resume, damaged checkpoints, disks
// that refuse, wrong usage; exit codes and one-line messages of each. What fit itself guarantees is in
// test/training/resume.test.ts.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { trainLenet } from '../../src/cli/train_lenet.ts';
import type { ImageSet } from '../../src/data/node.ts';
import { getEngine } from '../../src/device/engine.ts';
import { AtomicWriteError } from '../../src/files/atomic_file.ts';
import { loadTree } from '../../src/train/checkpoint_file.ts';
import { linesOf, stateOf, timeless } from '../support/run_state.ts';

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const isNative = process.env.EVENKEEL_ENGINE === 'native';
const epochs = 1;

interface Exit {
  code: number | null;
  stdout: string;
  stderr: string;
}

const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
});

function start(args: string[]): { child: ChildProcess; exit: Promise<Exit> } {
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (data) => (stdout += data));
  child.stderr!.on('data', (data) => (stderr += data));
  const exit = new Promise<Exit>((resolve) =>
    child.on('close', (code) => {
      children.delete(child);
      resolve({ code, stdout, stderr });
    }),
  );
  return { child, exit };
}
const run = (...args: string[]): Promise<Exit> => start(args).exit;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a run on MNIST', () => {
  const args = (out: string, ...more: string[]) => [
    '--data',
    'mnist',
    '--epochs',
    String(epochs),
    '--out',
    out,
    ...more,
  ];
  let whole: string;
  beforeAll(async () => {
    whole = join(folder, 'whole');
    const { code, stdout, stderr } = await run(...args(whole, '--tensorboard'));
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain(`engine: ${getEngine()}`);
    expect(stdout).toMatch(/epoch 1\/\d {2}train loss 0\.\d+, accuracy \d+\.\d\d % {2}test \d+\.\d\d %/);
  }, 240_000);

  test('leaves metrics of exactly the promised fields, one line per epoch', () => {
    const metrics = linesOf(whole);
    expect(metrics).toHaveLength(epochs);
    for (const line of metrics)
      expect(Object.keys(line)).toEqual([
        'epoch',
        'trainLoss',
        'trainAccuracy',
        'testAccuracy',
        'testAccuracyBatchStats',
        'seconds',
        'imagesPerSecond',
      ]);
    // It learns: an epoch brings LeNet with batch norm well beyond this on MNIST.
    expect(metrics.at(-1)!.testAccuracyBatchStats).toBeGreaterThan(0.9);
    expect(metrics.at(-1)!.imagesPerSecond).toBeCloseTo(60_000 / metrics.at(-1)!.seconds, 6);
  });

  test('leaves a report that loads nothing from anywhere', () => {
    const html = readFileSync(join(whole, 'report.html'), 'utf8');
    expect(html).toMatch(/^<!doctype html>/);
    const loads = [
      /<(script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc\s*=/i,
      /<link\b/i,
      /@import/i,
      /url\(\s*['"]?(https?:)?\/\//i,
    ];
    for (const pattern of [...loads, /\b(fetch|XMLHttpRequest|importScripts|WebSocket|EventSource)\s*\(/])
      expect(html).not.toMatch(pattern);
    expect(html).toContain('Train/eval gap');
    expect(html).toContain('BatchNorm2d');
  });

  test('interrupted by Ctrl-C it finishes the step, saves, exits with 130; resumed it ends the same', async () => {
    const out = join(folder, 'interrupted');
    const { child, exit } = start(args(out));
    // Training begins with an empty file of metrics.
    while (!existsSync(join(out, 'metrics.jsonl'))) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.kill('SIGINT');
    const { code, stdout, stderr } = await exit;
    expect(stderr).toBe('');
    expect(code).toBe(130);
    expect(stdout).toMatch(/interrupted in epoch 1 after step \d+\n/);
    expect(stdout).toContain('go on with --resume');
    const { position } = (
      loadTree(join(out, 'checkpoint')) as unknown as { extra: { position: { epoch: number; step: number } } }
    ).extra;
    expect(position.epoch).toBe(0);
    expect(position.step).toBeGreaterThan(0);
    const resumed = await run(...args(out, '--resume'));
    expect(resumed.stderr).toBe('');
    expect(resumed.code).toBe(0);
    expect(stateOf(out)).toEqual(stateOf(whole));
    expect(timeless(linesOf(out))).toEqual(timeless(linesOf(whole)));
  }, 240_000);

  if (isNative)
    test('threads change no bit', async () => {
      const out = join(folder, 'one-thread');
      const { code, stdout } = await run(...args(out, '--threads', '1'));
      expect(code).toBe(0);
      expect(stdout).toContain('1 thread\n');
      expect(stateOf(out)).toEqual(stateOf(whole));
    }, 240_000);

  test('resumed with other settings it refuses, naming them, and changes no file', async () => {
    const before = readFileSync(join(whole, 'checkpoint'));
    const { code, stderr } = await run(...args(whole, '--resume', '--seed', '1'));
    expect(code).toBe(1);
    expect(stderr).toBe(
      'ValueError: [train] --resume continues a run with seed 0, but got seed 1; use the same, or another --out\n',
    );
    expect(readFileSync(join(whole, 'checkpoint')).equals(before)).toBe(true);
    expect(linesOf(whole)).toHaveLength(epochs);
  });

  // The last of this group: it damages the files of the others.
  test('damaged checkpoints: one is replaced by the one before, two are an error', async () => {
    const [checkpoint, previous] = [join(whole, 'checkpoint'), join(whole, 'checkpoint.previous')];
    writeFileSync(previous, readFileSync(checkpoint));
    truncateSync(checkpoint, 5000);
    const { code, stderr } = await run(...args(whole, '--resume'));
    expect(code).toBe(0);
    expect(stderr).toContain(
      'the checksum does not match: the file is damaged or incomplete; resuming from the one before it',
    );
    expect(linesOf(whole)).toHaveLength(epochs);
    truncateSync(checkpoint, 5000);
    truncateSync(previous, 5000);
    const failed = await run(...args(whole, '--resume'));
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(
      /^CheckpointError: .*checkpoint: the checksum does not match.*previous: the checksum does not match.*\n$/,
    );
  }, 240_000);
});

describe('wrong usage exits with 2 and says what was expected', () => {
  const wrong: [string[], string][] = [
    [['--epochz', '3'], "error: unknown option '--epochz'"],
    [['--epochs', '0'], 'expected an integer of at least 1 for --epochs.'],
    [['--epochs', '2.5'], 'expected an integer of at least 1 for --epochs.'],
    [['--epochs', ''], 'expected an integer of at least 1 for --epochs.'],
    [['--batch-size', '1'], 'expected an integer of at least 2 for --batch-size.'],
    [['--lr', 'fast'], 'expected a number of at least 0 for --lr.'],
    [['--lr', '-1'], 'expected a number of at least 0 for --lr.'],
    [['--threads', '0'], 'expected an integer of at least 1 for --threads.'],
    [['--data', 'cifar'], 'Allowed choices are mnist, fashion-mnist.'],
    [['--engine', 'cuda'], 'Allowed choices are native, wasm.'],
    [['extra'], 'error: too many arguments'],
  ];
  test('whatever is wrong', async () => {
    const exits = await Promise.all(wrong.map(([args]) => run(...args)));
    for (const [i, { code, stdout, stderr }] of exits.entries()) {
      const [args, text] = wrong[i];
      expect(stderr, args.join(' ')).toContain(text);
      expect([code, stdout], args.join(' ')).toEqual([2, '']);
    }
  });

  test('--help exits with 0', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    expect(stdout).toContain('--batch-size <n>');
  });
});

describe('an output folder that cannot be used', () => {
  test('below a file: one line, exit code 1', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, 'mine');
    const { code, stderr } = await run('--data', 'mnist', '--out', join(file, 'runs'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^FolderError: \[makeFolder\] could not make the folder .*ENOTDIR.*\n$/);
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });

  test('that takes no files: one line, exit code 1', async () => {
    // No process may make files there, not even with all rights.
    if (!existsSync('/proc/self')) return;
    const out = join(folder, 'full');
    symlinkSync('/proc/self', out);
    const { code, stderr } = await run('--data', 'mnist', '--out', out);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^LockError: \[train\] .*full.\.lock could not be made: ENOENT.*\n$/);
  });
});

describe('trainLenet on a few images', () => {
  const images = (count: number) => ({
    images: Uint8Array.from({ length: count * 784 }, (_, i) => (i * 7919) % 251),
    labels: Uint8Array.from({ length: count }, (_, i) => i % 10),
    count,
  });
  const small = (): ImageSet => ({
    train: images(40),
    test: images(20),
    channels: 1,
    rows: 28,
    columns: 28,
    classes: [...'0123456789'],
    dropped: [],
  });
  const options = (out: string, epochCount: number, resume = false) => ({
    ...{ epochs: epochCount, batchSize: 16, lr: 0.1, seed: 0, data: 'mnist' as const },
    ...{ out, resume, tensorboard: false },
  });
  const quietly = (...args: Parameters<typeof trainLenet>) => {
    vi.spyOn(console, 'log').mockImplementation(() => {});
    vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
    return trainLenet(...args).finally(() => vi.restoreAllMocks());
  };

  test('a disk that fails amid the run loses nothing: repaired, it goes on to the same end', async () => {
    const [whole, out] = [join(folder, 'small-whole'), join(folder, 'small')];
    await quietly(options(whole, 4), small);
    await quietly(options(out, 2), small);
    const good = stateOf(out);
    const report = join(out, 'report.html');
    rmSync(report);
    mkdirSync(join(report, 'in-the-way'), { recursive: true });
    await expect(quietly(options(out, 4, true), small)).rejects.toBeInstanceOf(AtomicWriteError);
    expect(stateOf(out)).toEqual(good);
    rmSync(report, { recursive: true });
    await quietly(options(out, 4, true), small);
    expect(stateOf(out)).toEqual(stateOf(whole));
    expect(timeless(linesOf(out))).toEqual(timeless(linesOf(whole)));
  });

  test('a new run in the folder of an old one never continues the old one by accident', async () => {
    const out = join(folder, 'reused');
    await quietly(options(out, 1), small);
    // As if the new run, with another seed, had died before its first checkpoint.
    await expect(quietly({ ...options(out, 2, true), seed: 5 }, small)).rejects.toThrow('continues a run with seed 0');
  });
});
