// Replacing files: complete or not at all, whatever fails in between.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AtomicFile,
  AtomicWriteError,
  temporaryOf,
  type WriteFs,
  writeFileAtomic,
} from '../../src/files/atomic_file.ts';
import { saveStateDict } from '../../src/io/index.ts';
import { zeros } from '../../src/tensor/create.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'evenkeel-atomic-'));
  path = join(folder, 'file.bin');
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const text = (name = path) => fs.readFileSync(name, 'utf8');
const bytes = (content: string) => new TextEncoder().encode(content);
const caught = (run: () => void): AtomicWriteError => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(AtomicWriteError);
    return error as AtomicWriteError;
  }
  return expect.fail('no error');
};

describe('writeFileAtomic', () => {
  it('writes, replaces, and leaves nothing else behind', () => {
    writeFileAtomic(path, bytes('one'));
    expect(text()).toBe('one');
    writeFileAtomic(path, [bytes('tw'), new Uint8Array(0), bytes('o')]);
    expect(text()).toBe('two');
    expect(fs.readdirSync(folder)).toEqual(['file.bin']);
  });

  it('keeps the previous content when asked to', () => {
    writeFileAtomic(path, bytes('one'), { keepPrevious: true });
    expect(fs.readdirSync(folder)).toEqual(['file.bin']);
    writeFileAtomic(path, bytes('two'), { keepPrevious: true });
    writeFileAtomic(path, bytes('three'), { keepPrevious: true });
    expect([text(), text(`${path}.previous`)]).toEqual(['three', 'two']);
    expect(fs.readdirSync(folder).sort()).toEqual(['file.bin', 'file.bin.previous']);
  });

  it('keeps the previous content where the file system has no hard links', () => {
    const noLinks: WriteFs = {
      ...fs,
      linkSync: () => {
        throw Object.assign(new Error('operation not permitted'), { code: 'EPERM' });
      },
    };
    writeFileAtomic(path, bytes('one'));
    writeFileAtomic(path, bytes('two'), { keepPrevious: true, fs: noLinks });
    expect([text(), text(`${path}.previous`)]).toEqual(['two', 'one']);
  });

  it('goes on when a write takes only some of the bytes', () => {
    const slow: WriteFs = {
      ...fs,
      writeSync: ((file: number, data: Uint8Array, at: number, count: number) =>
        fs.writeSync(file, data, at, Math.min(count, 3))) as WriteFs['writeSync'],
    };
    writeFileAtomic(path, bytes('a longer text'), { fs: slow });
    expect(text()).toBe('a longer text');
  });

  it.runIf(fs.existsSync('/dev/full'))('leaves the old file alone on a full disk', () => {
    writeFileAtomic(path, bytes('old'));
    let temporary = '';
    // /dev/full makes the kernel itself answer ENOSPC; the temporary file is created too, to see that it goes.
    const full: WriteFs = {
      ...fs,
      openSync: ((name: string, flags: string) => {
        if (flags === 'r') return fs.openSync(name, flags);
        temporary = name;
        fs.writeFileSync(name, 'part');
        return fs.openSync('/dev/full', 'w');
      }) as WriteFs['openSync'],
    };
    const error = caught(() => writeFileAtomic(path, bytes('new'), { fs: full, keepPrevious: true }));
    expect(error.code).toBe('ENOSPC');
    expect(error.path).toBe(path);
    expect(error.message).toBe(
      `[writeFileAtomic] could not write ${path}: no space left on the device (ENOSPC); the file that stood there is untouched`,
    );
    expect(temporary).not.toBe('');
    expect(text()).toBe('old');
    expect(fs.readdirSync(folder)).toEqual(['file.bin']);
  });

  it('leaves the old file alone when there is no such folder', () => {
    expect(caught(() => writeFileAtomic(join(folder, 'no', 'file'), bytes('x'))).code).toBe('ENOENT');
  });

  it('holds the old or the new file whichever call fails, and cleans up', () => {
    const calls = ['openSync', 'writeSync', 'fsyncSync', 'closeSync', 'linkSync', 'renameSync', 'rmSync'] as const;
    let failures = 0;
    for (const dies of [false, true]) {
      for (let failing = 1; failing <= 12; failing++) {
        writeFileAtomic(path, bytes('old'));
        let count = 0;
        const broken = { ...fs } as Record<string, unknown>;
        for (const name of calls) {
          broken[name] = (...args: unknown[]) => {
            count++;
            // Either one call fails, or all from then on, as if the machine died there.
            if (count === failing || (dies && count > failing)) throw new Error(`${name} failed`);
            return (fs[name] as (...list: unknown[]) => unknown)(...args);
          };
        }
        let error: unknown;
        try {
          writeFileAtomic(path, bytes('new'), { keepPrevious: true, fs: broken as unknown as WriteFs });
        } catch (thrown) {
          error = thrown;
          failures++;
          expect(error).toBeInstanceOf(AtomicWriteError);
          expect(text()).toBe('old');
        }
        if (error === undefined) expect(text()).toBe('new');
        if (!dies) expect(fs.readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
        fs.rmSync(folder, { recursive: true });
        fs.mkdirSync(folder);
      }
    }
    expect(failures).toBeGreaterThanOrEqual(10);
  });

  it('never shows a part to a reader while a writer is killed', { timeout: 30_000 }, async () => {
    const module = JSON.stringify(new URL('../../src/files/atomic_file.ts', import.meta.url).href);
    const size = 200_000;
    const script = `import { writeFileAtomic } from ${module};
      for (let i = 0; ; i++) {
        writeFileAtomic(${JSON.stringify(path)}, new Uint8Array(${size}).fill(i % 251), { keepPrevious: true });
        if (i === 0) console.log('started');
      }`;
    const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script];
    const writer = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(writer.stdout, 'data');
    const whole = (name: string) => {
      const content = fs.readFileSync(name);
      expect(content.length).toBe(size);
      expect(content.every((byte) => byte === content[0])).toBe(true);
    };
    for (let i = 0; i < 20; i++) {
      whole(path);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    whole(path);
    whole(`${path}.previous`);
  });

  it('removes what killed processes have left, and nothing of those that run', async () => {
    const dead = spawn(process.execPath, ['-e', '']);
    await once(dead, 'exit');
    const { pid } = dead;
    const left = [path, `${path}.previous`].map((name) => temporaryOf(name, pid));
    const elsewhere = left.map((name) => name.replace(/\.[\da-f]+(\.\d+\.tmp)$/, '.0$1'));
    const stay = [temporaryOf(path), elsewhere[0], temporaryOf(join(folder, 'other'), pid), join(folder, '.mine.tmp')];
    for (const name of [...left, elsewhere[1], ...stay]) fs.writeFileSync(name, 'half');
    // Of another machine's processes only the time tells.
    const before = Date.now() / 1000 - 7200;
    fs.utimesSync(elsewhere[1], before, before);
    writeFileAtomic(path, bytes('whole'));
    expect(fs.readdirSync(folder).sort()).toEqual([...stay, path].map((name) => basename(name)).sort());
  });

  it('says that the disk refused what was flushed beside', async () => {
    writeFileAtomic(path, bytes('old'));
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    const refusing = { ...fs, fdatasync: (_: number, done: (error: Error) => void) => setTimeout(done, 1, full) };
    const file = new AtomicFile(path, { fs: refusing as unknown as WriteFs });
    file.write(bytes('new'));
    file.flushBeside();
    const error = await file.flushed().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(AtomicWriteError);
    expect(error.code).toBe('ENOSPC');
    expect([fs.readdirSync(folder), text()]).toEqual([['file.bin'], 'old']);
  });

  it('removes them when a state is saved, too', async () => {
    const target = join(folder, 'state.pt');
    // Killed before the file has its name.
    const source = JSON.stringify(new URL('../../src/', import.meta.url).href);
    const script = `
      const { zeros } = await import(${source} + 'index.ts');
      const { saveStateDict } = await import(${source} + 'io/index.ts');
      const fs = process.getBuiltinModule('node:fs');
      const { fsyncSync } = fs;
      fs.fsyncSync = (file) => { fsyncSync(file); process.kill(process.pid, 'SIGKILL'); };
      await saveStateDict(${JSON.stringify(target)}, { x: zeros([1000]) });`;
    const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script];
    const writer = spawn(process.execPath, args, { stdio: 'inherit' });
    await once(writer, 'exit');
    expect(fs.readdirSync(folder)).toEqual([expect.stringMatching(/^\.state\.pt\.\d+\..*\.tmp$/)]);
    await saveStateDict(target, { x: zeros([10]) });
    expect(fs.readdirSync(folder)).toEqual(['state.pt']);
  });
});
