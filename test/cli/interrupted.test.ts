// `npm start`, interrupted in every way that people and containers have: the run is saved, and resumed it ends as if
// nothing had happened. Once each; scripts/interrupt_runs.ts does it as often as one likes.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadTree } from '../../src/train/checkpoint_file.ts';
import { writeIdxFiles } from '../support/idx_files.ts';
import { type Ending, interruptRun, runToEnd } from '../support/interrupted_run.ts';
import { linesOf, stateOf, timeless } from '../support/run_state.ts';

let folder: string;
let args: string[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-interrupted-'));
  writeIdxFiles(join(folder, 'data'), 6_000, 500);
  const engine = process.env.EVENKEEL_ENGINE!;
  args = [
    '--data',
    'mnist',
    '--data-dir',
    join(folder, 'data'),
    '--engine',
    engine,
    '--epochs',
    '2',
    '--lr',
    '0.1',
    '--batch-size',
    '32',
  ];
  await runToEnd(join(folder, 'whole'), args);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each<Ending>(['Ctrl-C', 'SIGTERM', 'closed terminal'])(
  '%s saves, and resumed the run ends the same',
  async (ending) => {
    const [whole, out] = [join(folder, 'whole'), join(folder, ending)];
    const text = await interruptRun(ending, out, args, 200);
    // Nobody reads what is written to a closed terminal.
    if (ending !== 'closed terminal') expect(text).toMatch(/interrupted in epoch \d after step \d+/);
    const { position } = (loadTree(join(out, 'checkpoint')) as never as { extra: { position: { epoch: number } } })
      .extra;
    expect(position.epoch, 'epochs of the interrupted run').toBeLessThan(2);
    await runToEnd(out, [...args, '--resume']);
    expect(stateOf(out)).toEqual(stateOf(whole));
    expect(timeless(linesOf(out))).toEqual(timeless(linesOf(whole)));
  },
);
