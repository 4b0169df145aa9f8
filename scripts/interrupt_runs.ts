// Interrupts the main job as often as wanted, at random moments, and compares what each run is after it was resumed
// with a run that nobody interrupted: `npx tsx scripts/interrupt_runs.ts --times 50 --engine native --ending Ctrl-C`
// (or SIGTERM, or 'closed terminal'). A sample of it is in the tests (test/cli/interrupted.test.ts).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { loadTree } from '../src/train/checkpoint_file.ts';
import { writeIdxFiles } from '../test/support/idx_files.ts';
import { type Ending, interruptRun, runToEnd } from '../test/support/interrupted_run.ts';
import { linesOf, stateOf, timeless } from '../test/support/run_state.ts';

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '50' },
    engine: { type: 'string', default: 'native' },
    ending: { type: 'string', default: 'Ctrl-C' },
  },
});
// Not within the first run's time.
execFileSync('npm', ['run', '-s', 'build'], { stdio: 'inherit' });
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-interrupts-'));
const data = join(folder, 'data');
writeIdxFiles(data, 6_000, 500);
const args = ['--data', 'mnist', '--data-dir', data, '--engine', values.engine, '--epochs', '2', '--batch-size', '32'];
try {
  const whole = join(folder, 'whole');
  const start = performance.now();
  await runToEnd(whole, args);
  const [state, lines] = [stateOf(whole), linesOf(whole).map(timeless as never)];
  const span = lines.length * Math.max(...linesOf(whole).map(({ seconds }) => seconds)) * 1000;
  console.log(
    `a whole run takes ${((performance.now() - start) / 1000).toFixed(1)} s, ${span.toFixed(0)} ms of it in training`,
  );
  const failures: string[] = [];
  const places = new Set<string>();
  for (let i = 0; i < Number(values.times); i++) {
    const out = join(folder, `run-${i}`);
    const delay = Math.random() * 0.9 * span;
    try {
      await interruptRun(values.ending as Ending, out, args, delay);
      const saved = loadTree(join(out, 'checkpoint')) as never as {
        extra: { position: { epoch: number; step: number } };
      };
      const { epoch, step } = saved.extra.position;
      places.add(`${epoch}:${step}`);
      await runToEnd(out, [...args, '--resume']);
      if (!isDeepStrictEqual(stateOf(out), state)) failures.push(`${i}: after ${epoch}:${step} the state differs`);
      if (!isDeepStrictEqual(linesOf(out).map(timeless as never), lines)) failures.push(`${i}: the metrics differ`);
    } catch (error) {
      failures.push(`${i}, after ${delay.toFixed(0)} ms: ${error instanceof Error ? error.message : error}`);
    }
    rmSync(out, { recursive: true, force: true });
  }
  for (const failure of failures) console.error(failure);
  console.log(
    `${values.ending}, ${values.engine}: ${values.times} runs interrupted at ${places.size} places (epoch:step), ${failures.length} lost or different`,
  );
  if (failures.length > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
