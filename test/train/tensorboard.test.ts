// Event files against bytes made by hand (golden/files_golden.py), and PyTorch's (golden/train_golden.py).

import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { tensor } from '../../src/tensor/create.ts';
import { crc32c, SummaryWriter, SummaryWriterError } from '../../src/train/tensorboard.ts';

const golden = JSON.parse(readFileSync(new URL('../golden/tensorboard.golden.json', import.meta.url), 'utf8')) as {
  scalars: { tag: string; value: string; step: number }[];
  file: string;
  crc32c: { data: string; crc: number }[];
};
const { histograms } = JSON.parse(readFileSync(new URL('../golden/train.golden.json', import.meta.url), 'utf8')) as {
  histograms: { tag: string; values: number[]; record: string }[];
};
const caught = (run: () => unknown): SummaryWriterError => {
  try {
    run();
  } catch (error) {
    return error as SummaryWriterError;
  }
  throw new Error('expected an error');
};
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-events-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('crc32c', () => {
  it.each(golden.crc32c)('knows the published value $crc', ({ data, crc }) => {
    expect(crc32c(Buffer.from(data, 'base64'))).toBe(crc);
  });
});

describe('SummaryWriter', () => {
  it('writes the bytes of the format', () => {
    let time = 1700000000.25 - 0.5;
    // The clock is read once for the file and once per event.
    const now = () => (time += 0.5);
    const writer = new SummaryWriter(join(folder, 'a', 'run'), { now });
    for (const { tag, value, step } of golden.scalars)
      writer.addScalar(tag, Number(value.replace('inf', 'Infinity')), step);
    writer.close();
    expect(basename(writer.path)).toMatch(/^events\.out\.tfevents\.1700000000\..+\.\d+\.\d+$/);
    expect(readdirSync(join(folder, 'a', 'run'))).toEqual([basename(writer.path)]);
    expect(readFileSync(writer.path)).toEqual(Buffer.from(golden.file, 'base64'));
  });

  it.each(histograms)("writes PyTorch's histogram: $tag", ({ tag, values, record }) => {
    const writer = new SummaryWriter(join(folder, 'histograms'), { now: () => 1700000000.5 });
    const before = readFileSync(writer.path).length;
    const step = histograms.findIndex((each) => each.tag === tag);
    writer.addHistogram(tag, values, step);
    writer.addHistogram(tag, tensor(values, { dtype: 'float64' }), step);
    writer.close();
    const expected = Buffer.from(record, 'base64');
    expect(readFileSync(writer.path).subarray(before)).toEqual(Buffer.concat([expected, expected]));
  });

  it('refuses a histogram of nothing', () => {
    const writer = new SummaryWriter(folder);
    for (const values of [[], [Number.NaN]])
      expect(() => writer.addHistogram('x', values, 0)).toThrow(
        '[addHistogram] expected finite values for "x", got none',
      );
    writer.close();
  });

  it('says so where the disk is full, and writes what is missing once there is room', () => {
    const writer = new SummaryWriter(join(folder, 'full'));
    const before = readFileSync(writer.path);
    writer.addScalar('loss', 1, 1);
    const own = writer as unknown as { file: number };
    const [file, full] = [own.file, openSync('/dev/full', 'w')];
    own.file = full;
    const error = caught(() => writer.flush());
    expect(error).toBeInstanceOf(SummaryWriterError);
    expect(error.message).toBe(`[flush] could not write ${writer.path}: no space left on the device (ENOSPC)`);
    expect(error.code).toBe('ENOSPC');
    own.file = file;
    writer.close();
    closeSync(full);
    expect(readFileSync(writer.path).length).toBeGreaterThan(before.length);
  });

  it('says so where the folder cannot be made', () => {
    const below = join(folder, 'a file');
    writeFileSync(below, '');
    const error = caught(() => new SummaryWriter(join(below, 'run')));
    expect(error).toBeInstanceOf(SummaryWriterError);
    expect(error.message).toMatch(/^\[SummaryWriter\] could not write .*a file.run.events\..*: ENOTDIR/);
  });

  it('writes out when asked to, and by itself when enough is waiting', () => {
    const writer = new SummaryWriter(folder, { maxQueue: 3 });
    const size = () => readFileSync(writer.path).length;
    const empty = size();
    expect(empty).toBeGreaterThan(0);
    writer.addScalar('x', 1, 0);
    writer.addScalar('x', 1, 1);
    expect(size()).toBe(empty);
    writer.addScalar('x', 1, 2);
    const three = size();
    expect(three).toBeGreaterThan(empty);
    writer.addScalar('x', 1, 3);
    writer.flush();
    expect(size()).toBeGreaterThan(three);
    writer.close();
  });

  it('gives two writers of one folder two files', () => {
    const writers = [new SummaryWriter(folder), new SummaryWriter(folder)];
    expect(writers[0]!.path).not.toBe(writers[1]!.path);
    for (const writer of writers) writer.close();
  });

  it('refuses steps that are none, and use after close', () => {
    const writer = new SummaryWriter(folder);
    for (const step of [-1, 0.5, Number.NaN]) {
      expect(() => writer.addScalar('loss', 1, step)).toThrow(/expected a step of 0 or more for "loss"/);
    }
    writer.close();
    writer.close();
    expect(() => writer.addScalar('loss', 1, 1)).toThrow(SummaryWriterError);
    expect(() => writer.flush()).toThrow(/\[flush\] the writer of .* is closed/);
  });
});
