// Which file is taken for the addon, and what is said where none is. The package's own is tried out in
// scripts/check_package.ts.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { loadAddon } from '../../src/device/addon_file.ts';

const before = process.env.EVENKEEL_ADDON;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-addon-'));
});
afterEach(() => {
  if (before === undefined) delete process.env.EVENKEEL_ADDON;
  else process.env.EVENKEEL_ADDON = before;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Loads a file of so many bytes, with a manifest that promises 64. */
function load(name: string, length: number, manifest: string | null): void {
  const path = join(folder, `${name}.node`);
  writeFileSync(path, Buffer.alloc(length, 7));
  if (manifest !== null) writeFileSync(`${path}.json`, manifest);
  process.env.EVENKEEL_ADDON = path;
  loadAddon();
}
const whole = JSON.stringify({ bytes: 64, sha256: createHash('sha256').update(Buffer.alloc(64, 7)).digest('hex') });

test('EVENKEEL_ADDON that is not there is an error', () => {
  const path = join(folder, 'nowhere.node');
  process.env.EVENKEEL_ADDON = path;
  expect(loadAddon).toThrow(`[setEngine] EVENKEEL_ADDON cannot be loaded: ${path}: there is no such file`);
});

test('a file that is cut off or damaged is never handed to the system', () => {
  expect(() => load('cut', 40, whole)).toThrow('cut.node: it has 40 bytes instead of 64');
  expect(() => load('other', 64, whole.replace(/"sha256":"./, '"sha256":"x'))).toThrow(
    'other.node: its checksum is wrong: it is damaged',
  );
  for (const [name, manifest] of Object.entries({ empty: '', half: '{"bytes":', list: '[]', none: 'null' }))
    expect(() => load(name, 64, manifest), name).toThrow(/is damaged$|it has 64 bytes instead of undefined/);
});

test('a whole file that is no addon gives the reason of the system, once', () => {
  for (const manifest of [whole, null])
    expect(() => load(`text-${manifest === null}`, 64, manifest)).toThrow(
      /cannot be loaded: [^:]*text-\w+\.node: [^:]*(file too short|invalid ELF header|not a mach-o file|not a valid)/i,
    );
});
