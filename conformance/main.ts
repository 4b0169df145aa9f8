// Conformance to PyTorch's own inventory of tests: module_db, op_db, optim_db with their sample, reference and error
// inputs.
//   npm run conformance -- --against torch [--only NAME] [--engine native|wasm] [--seed N] [--json FILE] [--write-goldens]
//   npm run conformance -- --against goldens     the committed sample of it, without Python
//   npm run conformance -- --page [--check]      docs/conformance.md from conformance/results/
// Every case ends in one outcome (run_case.ts); the exit code is 1 where one is a failure.
import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import * as nn from '../src/nn/index.ts';
import * as optim from '../src/optim/index.ts';
import { type Case, camel } from './case.ts';
import { GoldenChoice, goldenFamilies, goldenLines } from './goldens.ts';
import { intended } from './intended.ts';
import { startLibrary } from './library.ts';
import { writePage } from './page.ts';
import { numberOfFailures, printSummary, reportOf, Tally } from './report.ts';
import { functionRows, namesWithoutRow } from './table.ts';
import { type Family, families, startTorch } from './torch.ts';

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number');
  return value;
};
const options = new Command('conformance')
  .addOption(new Option('--against <judge>', 'PyTorch itself, or the committed sample').choices(['torch', 'goldens']))
  .addOption(new Option('--engine <name>', 'engine of the library').choices(['native', 'wasm']).default('native'))
  .option('--only <names>', 'these functions, layers, optimizers … only, with commas')
  .addOption(new Option('--family <name>', 'this family only').choices([...families]))
  .option('--seed <n>', 'of the samples', count, 20261)
  .option('--most <n>', 'samples of a dtype and source at most', count)
  .option('--no-references', 'leave the reference inputs out')
  .option('--json <file>', 'write what was found')
  .option('--write-goldens', 'choose the committed sample anew')
  .option('--page', 'write docs/conformance.md')
  .option('--check', 'with --page: only say whether it is what would be written')
  .parse()
  .opts<{
    against?: 'torch' | 'goldens';
    engine: string;
    only?: string;
    family?: Family;
    seed: number;
    most?: number;
    references: boolean;
    json?: string;
    writeGoldens?: boolean;
    page?: boolean;
    check?: boolean;
  }>();

if (options.page) process.exit(writePage(options.check ?? false) ? 0 : 1);

const only = options.only?.split(',');
const isWanted = (family: Family, name: string) =>
  (!options.family || options.family === family) && (!only || only.includes(name));

function isAvailable(family: Family, name: string): boolean {
  const row = functionRows.get(name);
  if (family === 'functions') return row !== undefined && (row.call !== null || row.inplace !== null);
  const home = { layers: nn, optimizers: optim, schedulers: optim, inits: nn.init }[family] as Record<string, unknown>;
  return family === 'inits' ? camel(name) in home : name in home;
}

const library = startLibrary(options.engine);
const tally = new Tally();

async function againstTorch(): Promise<void> {
  const torch = startTorch();
  if (!torch) {
    console.error(
      'conformance: python3 has no PyTorch with expecttest and hypothesis; EVENKEEL_PYTHON can name one that has',
    );
    process.exit(2);
  }
  const listing = await torch.list();
  console.log(`conformance: PyTorch ${listing.version}, ${options.engine} engine, seed ${options.seed}`);
  const forgotten = namesWithoutRow(listing.functions);
  if (forgotten.length > 0) throw new Error(`conformance/table.ts has no row for ${forgotten.join(', ')}`);
  for (const family of families) {
    const goldens = new GoldenChoice();
    const names = listing.drawn[family].filter((name) => isWanted(family, name) && isAvailable(family, name));
    for (const name of names) {
      const start = performance.now();
      let cases = 0;
      const request = { family, name, seed: options.seed, most: options.most ?? null, references: options.references };
      for await (const line of torch.draw(request)) {
        const verdicts = await library.judge(line);
        cases += verdicts.length;
        for (const verdict of verdicts) tally.add(family, verdict);
        if (options.writeGoldens && verdicts.some(({ outcome }) => !outcome.endsWith('available')))
          goldens.offer(line, JSON.parse(line) as Case);
      }
      goldens.finish();
      const seconds = (performance.now() - start) / 1000;
      if (process.stdout.isTTY || seconds > 20) console.log(`${name}: ${cases} cases in ${seconds.toFixed(1)} s`);
    }
    if (options.writeGoldens && names.length > 0) console.log(`goldens: ${family}: ${goldens.write(family)} bytes`);
  }
  torch.close();
  if (options.json) {
    const { engine, seed } = options;
    writeFileSync(
      options.json,
      `${JSON.stringify(reportOf(tally, listing, isAvailable, { engine, seed }), null, 1)}\n`,
    );
  }
}

async function againstGoldens(): Promise<void> {
  console.log(`conformance: committed sample, ${options.engine} engine`);
  for (const family of goldenFamilies())
    for (const line of goldenLines(family)) {
      const { name } = JSON.parse(line) as Case;
      if (!isWanted(family, name)) continue;
      for (const verdict of await library.judge(line)) tally.add(family, verdict);
    }
}

if (!options.against) {
  console.error('conformance: expected --against torch, --against goldens, or --page');
  process.exit(2);
}
await (options.against === 'torch' ? againstTorch() : againstGoldens());
library.close();
printSummary(tally, intended);
process.exit(numberOfFailures(tally) === 0 ? 0 : 1);
