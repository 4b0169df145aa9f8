// Benchmarks: ratios measured side by side in one run. `npm run bench -- --suite lenet [--isa avx2] [--json FILE]
// [--rounds N]`. Each case runs in turns with its peers, several rounds, so that the machine's moods hit all alike;
// medians are compared. PyTorch is used where `python3`, or EVENKEEL_PYTHON, has it, and a newer one where
// EVENKEEL_NEWEST_PYTHON names it; the JavaScript peers where `npm install --prefix bench` put them.
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { Command, Option } from 'commander';
import '../src/ops/methods.ts';
import { holdTo, type Isa, isas } from './isa.ts';
import { closeMachine } from './machine.ts';
import { formatRow, measure, type Report, type Row } from './measure.ts';
import { closePeers, missingPeers } from './peers/peers.ts';
import { type Case, suites } from './suites/index.ts';

const program = new Command('bench')
  .addOption(new Option('--suite <name>', 'which cases').choices(Object.keys(suites)).makeOptionMandatory())
  .addOption(
    new Option('--isa <name>', "the instruction set of our kernels and PyTorch's; default: the processor's").choices(
      isas,
    ),
  )
  .option('--json <file>', 'write the rows and the machine as JSON')
  .option('--rounds <n>', 'turns that each contender gets', Number, 7)
  .option('--only <text>', 'only cases whose name contains the text');
const { suite, isa, json, rounds, only } = program
  .parse()
  .opts<{ suite: string; isa?: Isa; json?: string; rounds: number; only?: string }>();

try {
  await holdTo(isa);
} catch (error) {
  program.error(`bench: ${error instanceof Error ? error.message : error}`);
}
const cases: Case[] = suites[suite]().filter(({ name }) => !only || name.includes(only));
const rows: Row[] = [];
for (const reason of missingPeers(cases.flatMap(({ peers }) => peers))) console.log(`not measured: ${reason}`);
for (const one of cases) {
  const row = await measure(one, rounds, rows);
  rows.push(row);
  console.log(formatRow(row));
}
closePeers();
closeMachine();
if (json) {
  const machine = {
    cpu: cpus()[0].model.trim(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
  const report: Report = { suite, date: new Date().toISOString(), machine, rows };
  writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
}
