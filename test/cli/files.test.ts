// The commands for files, as a user runs them: what they print, as a table and as JSON, and what they end with.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const golden = (name: string) => join('test', 'golden', 'checkpoints', name);
const work = mkdtempSync(join(tmpdir(), 'evenkeel-cli-files-'));
afterAll(() => rmSync(work, { recursive: true }));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

test('convert writes another format, and says what it left out', () => {
  const target = join(work, 'a.safetensors');
  const { status, stdout } = run('convert', golden('training_legacy.pt'), target);
  expect(status).toBe(0);
  expect(stdout).toMatch(/\(pytorch-legacy, at 'state_dict'\) → .*a\.safetensors \(safetensors\): 14 tensors/);
  expect(stdout).toContain("'epoch', 'best', 'optimizer', 'rng', 'args' stood beside the state and were left out");
  const back = run('convert', target, join(work, 'b.pt'), '--json');
  expect(JSON.parse(back.stdout)).toMatchObject({ from: 'safetensors', to: 'pytorch', tensors: 14, lost: [] });
  expect(run('diff', golden('training_legacy.pt'), join(work, 'b.pt'), '--json').status).toBe(0);
});

test('inspect lists tensors, and what looks wrong with running statistics', () => {
  const { status, stdout } = run('inspect', golden('training_legacy.pt'));
  expect(status).toBe(0);
  expect(stdout).toMatch(/^0\.weight +float32 +\[2, 1, 3, 3\] +72$/m);
  expect(stdout).toMatch(/^1 +2 +3 /m);
  expect(stdout).toContain('2.1: the statistics are those of a new layer');
  const json = JSON.parse(run('inspect', golden('dtypes.pt'), '--json').stdout);
  expect(json.tensors).toContainEqual({
    name: 'bfloat16',
    dtype: 'bfloat16',
    shape: [9],
    bytes: 18,
    loadsAs: 'float32',
  });
});

test('diff tells weights and running statistics apart, and ends with 1 where anything differs', () => {
  const { status, stdout } = run('diff', golden('training.pt'), golden('state.pt'));
  expect(status).toBe(1);
  expect(stdout).toMatch(/^7 tensors are the same, 7 differ$/m);
  const [weights, statistics] = stdout.split('running statistics');
  expect(weights).toMatch(/^0\.weight +0\.2500 /m);
  expect(statistics).toMatch(/^1\.num_batches_tracked +1 /m);
  const json = JSON.parse(run('diff', golden('arrays.npz'), golden('state.pt'), '--json').stdout);
  expect(json).toMatchObject({ same: 0, changed: [] });
  expect(json.onlyB).toContain('0.weight');
});

test('what goes wrong is one line and an exit code', () => {
  const target = join(work, 'never.pt');
  const refused = run('convert', golden('quantized.pt'), target);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(
    /^FileFormatError: \[convertFile\] test\/golden\/checkpoints\/quantized\.pt: the tensor "q" is quantized/,
  );
  expect(refused.stderr.trim()).not.toContain('\n');
  expect(existsSync(target)).toBe(false);
  expect(run('inspect', 'none.pt').stderr).toBe('FileReadError: [inspectFile] none.pt: there is no such file\n');
  expect(run('diff', golden('state.pt')).status).toBe(2);
  expect(run('convert', golden('state.pt'), target, '--format', 'onnx').status).toBe(2);
});
