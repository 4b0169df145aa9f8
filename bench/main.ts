// Benchmarks: ratios measured side by side in one run. `npm run bench -- --suite lenet [--json FILE] [--rounds N]`.
// Each case runs in turns with its peers, several rounds, so that the machine's moods hit all alike; medians are
// compared. PyTorch is used where `python3`, or EVENKEEL_PYTHON, has it; the JavaScript peers where `npm install
// --prefix bench` put them.
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { Command, Option } from 'commander';
import '../src/ops/methods.ts';
import { formatRow, measure, type Report, type Row } from './measure.ts';
import { closePeers, missingPeers } from './peers/peers.ts';
import { type Case, suites } from './suites/index.ts';

const program = new Command('bench')
  .addOption(new Option('--suite <name>', 'which cases').choices(Object.keys(suites)).makeOptionMandatory())
  .option('--json <file>', 'write the rows and the machine as JSON')
  .option('--rounds <n>', 'turns that each contender gets', Number, 7)
  .option('--only <text>', 'only cases whose name contains the text');
const { suite, json, rounds, only } = program
  .parse()
  .opts<{ suite: string; json?: string; rounds: number; only?: string }>();

const cases: Case[] = suites[suite]().filter(({ name }) => !only || name.includes(only));
const rows: Row[] = [];
for (const reason of await missingPeers()) console.log(`not measured: ${reason}`);
for (const one of cases) {
  const row = await measure(one, rounds);
  rows.push(row);
  console.log(formatRow(row));
}
closePeers();
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
