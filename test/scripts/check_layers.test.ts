// The layer rule holds, and finds what breaks it.
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'evenkeel-layers-'));
const copy = join(work, 'src');
afterAll(() => rmSync(work, { recursive: true }));
beforeEach(() => {
  rmSync(copy, { recursive: true, force: true });
  cpSync(join(root, 'src'), copy, { recursive: true });
});
const check = () => {
  const script = join(root, 'scripts', 'check_layers.ts');
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, copy], {
    encoding: 'utf8',
    cwd: root,
  });
  return { status, problems: stderr.trim() };
};

test('the files as they are', () => {
  expect(check()).toEqual({ status: 0, problems: '' });
});

test('a circle is named, if only types make it', () => {
  appendFileSync(
    join(copy, 'tensor/shape.ts'),
    "\nimport type { Storage } from './storage.ts';\nexport type Mine = Storage;\n",
  );
  appendFileSync(join(copy, 'tensor/storage.ts'), "\nexport {\n  sizeOf,\n} from './shape.ts';\n");
  const { status, problems } = check();
  expect(status).toBe(1);
  expect(problems).toMatch(/^a circle: (.*src\/tensor\/(shape|storage)\.ts){3}$/m);
});

test('an import that points up', () => {
  appendFileSync(
    join(copy, 'tensor/shape.ts'),
    "\nimport type { Module } from '../nn/module.ts';\nexport type Mine = Module;\n",
  );
  const { status, problems } = check();
  expect(status).toBe(1);
  expect(problems).toContain('src/tensor/shape.ts imports ../nn/module.ts: nn stands above tensor');
});
