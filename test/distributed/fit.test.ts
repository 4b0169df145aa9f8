// `fit` over real ranks: what all of them have seen, one decision to stop, checkpoints from which any number of ranks
// goes on.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mpis, type RankReport, resultsOf, runJob } from './ranks.ts';

interface FitOutcome extends RankReport {
  steps: number;
  hash: string;
  values: number[];
  history: {
    epoch: number;
    samples: number;
    train: { loss: number; first: number; positive?: number };
    validation?: { loss: number; positive: number };
    skipped?: number;
  }[];
  sweep: number[];
  kept: { path: string; epoch: number; value: number }[];
  isInterrupted: boolean;
}

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-fit-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe.each(mpis)('%s', (mpi) => {
  const start = (nproc: number, task: string, checkpoint?: string) =>
    runJob({ mpi, nproc, script: 'fit_ranks.ts', args: [task, ...(checkpoint ? [checkpoint] : [])] });
  /** What all ranks have got, which must be the same. */
  async function run(nproc: number, task: string, checkpoint?: string): Promise<FitOutcome> {
    const results = resultsOf<FitOutcome>(await start(nproc, task, checkpoint), nproc);
    for (const each of results) expect({ ...each, rank: 0 }).toEqual(results[0]);
    return results[0];
  }
  /** The sums over ranks are added in another order: in float64, over 12 steps. */
  function expectNear(got: FitOutcome, expected: FitOutcome): void {
    const far = got.values.filter((value, i) => !(Math.abs(value - expected.values[i]) < 1e-10));
    expect(far).toEqual([]);
    for (const [i, { train, samples }] of got.history.entries()) {
      expect(samples).toBe(expected.history[i].samples);
      expect(train.loss).toBeCloseTo(expected.history[i].train.loss, 10);
      expect(train.first).toBeCloseTo(expected.history[i].train.first, 10);
    }
  }

  test('any number of ranks trains as one does, and goes on from the checkpoint of any other', async () => {
    const alone = await run(1, 'sync');
    expect(alone.steps).toBe(12);
    for (const nproc of [2, 3, 4]) expectNear(await run(nproc, 'sync'), alone);
    const file = join(folder, 'checkpoint');
    // Six steps: in the middle of the second epoch.
    const stopped = await run(4, 'stop6', file);
    expect(stopped).toMatchObject({ steps: 6, isInterrupted: true });
    const went = await run(2, 'sync', file);
    expect(went.steps).toBe(6);
    expectNear(went, alone);
  });

  test('a run that was interrupted ends with the same bits', async () => {
    const whole = await run(2, 'dropout', join(folder, 'whole'));
    const file = join(folder, 'checkpoint');
    expect((await run(2, 'dropout stop5', file)).steps).toBe(5);
    const went = await run(2, 'dropout', file);
    expect(went.steps).toBe(7);
    expect(went.hash).toBe(whole.hash);
    expect(went.history).toEqual(whole.history);
  });

  test('gradients over several micro-batches', async () => {
    expectNear(await run(2, 'accumulate'), await run(1, 'accumulate'));
  });

  test('validation, callbacks and a sweep over rates are those of all ranks', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    const alone = await run(1, 'callbacks', one);
    const both = await run(2, 'callbacks', two);
    expect(alone).toMatchObject({ steps: 8, isInterrupted: true });
    expectNear(both, alone);
    for (const [i, { train, validation }] of both.history.entries()) {
      expect(train.positive).toBe(alone.history[i].train.positive);
      expect(validation!.positive).toBe(alone.history[i].validation!.positive);
      expect(validation!.loss).toBeCloseTo(alone.history[i].validation!.loss, 10);
    }
    expect(both.sweep.length).toBe(16);
    for (const [i, loss] of both.sweep.entries()) expect(loss).toBeCloseTo(alone.sweep[i], 10);
    expect(both.kept.map(({ epoch }) => epoch)).toEqual(alone.kept.map(({ epoch }) => epoch));
    expect(readdirSync(`${two}.best`).sort()).toEqual(['epoch-1.pt', 'epoch-2.pt']);
    expect(readdirSync(`${two}.events`).length).toBe(1);
  });

  test('a batch with NaN is passed over by all ranks', async () => {
    const alone = await run(1, 'skip');
    expect(alone.history.map(({ skipped }) => skipped)).toEqual([1, 1, 1]);
    expectNear(await run(2, 'skip'), alone);
  });

  test('a NaN on one rank is an error with its rank and layer', async () => {
    const { status, stderr } = await start(2, 'nan plain');
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^\[(\d)\] NonFiniteLossError: \[fit\] the loss on rank \1 is NaN at epoch 1, step \d: the first layer with a NaN or infinite output is '0' \(Fragile\)/m,
    );
  });
});
