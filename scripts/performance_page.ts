// Writes the tables of docs/performance.md from the measurements in bench/results/, which `npm run bench -- --json`
// makes: one file per suite and instruction set. `npx tsx scripts/performance_page.ts [--check]`: with --check, says
// whether the page is what it would write.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Report, Row } from '../bench/measure.ts';
import { boundText } from '../bench/target.ts';

const titles: Record<Report['suite'], string> = {
  train: 'Training and inference of whole networks',
  lenet: 'LeNet with batch norm, and the cost of an operation',
  norm: 'Normalization layers, forward and backward',
  scripts: 'Scripts, and many small operations',
  ops: 'Every operation on small tensors, forward and backward',
  conv: 'Convolutions and linear layers, one direction at a time',
  io: 'Files of tensors',
  distributed: 'Several processes',
};

/** Three digits, as far as a measurement carries; thousands in full. */
const figure = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** Names of instruction sets, in the order of the page. */
const isas: Readonly<Record<string, string>> = { avx512: 'AVX-512', avx2: 'AVX2', neon: 'NEON', baseline: 'SSE2' };

/** 'further figure, unit' beside its value; what could not be measured, or not be trusted. */
const further = ({ extra, machine, failed, disturbed }: Row): string =>
  [
    ...Object.entries(extra ?? {}).map(([name, value]) => `${name}: ${figure(value)}`),
    ...(machine ? [`machine: ${figure(machine.gflops)} GFLOP/s, ${figure(machine.gbps)} GB/s`] : []),
    ...Object.entries(failed ?? {}).map(([peer, reason]) => `${peer} failed: ${reason.replaceAll('|', '/')}`),
    ...(disturbed ? [`**disturbed**: ${disturbed}`] : []),
  ].join('; ');

const targetText = ({ target }: Row): string =>
  target ? `${boundText(target)}: ${target.met ? 'met' : `**missed** (${figure(target.value)})`}` : '';

/** A line per peer, the first of which says what is known of ours. */
function linesOf(row: Row): string[] {
  const peers = Object.entries(row.peers).map(([peer, { ms, note }]) => [
    `${peer}${note ? ` (${note})` : ''}: ${figure(ms)}`,
    `${row.ratio[peer].toFixed(2)}×`,
  ]);
  return (peers.length > 0 ? peers : [['', '']]).map((cells, i) => {
    const ours = i === 0 ? [row.name, `${row.engine}, ${row.threads}`, figure(row.ms)] : ['', '', ''];
    const rest = i === 0 ? [further(row), targetText(row)] : ['', ''];
    return `| ${[...ours, ...cells, ...rest].join(' | ').replaceAll(' |  |', ' | |')} |`;
  });
}

function versionsOf({ rows }: Report): string {
  const versions = new Map<string, string>();
  for (const { peers } of rows) for (const [peer, { version }] of Object.entries(peers)) versions.set(peer, version);
  return [...versions].map(([peer, version]) => `${peer} ${version}`).join(', ');
}

/** The results of a suite on an instruction set. */
function part(isa: string, report: Report): string {
  const { suite, date, machine, rows } = report;
  const judged = rows.flatMap(({ target }) => (target ? [target.met] : []));
  const score = judged.length > 0 ? ` ${judged.filter(Boolean).length} of ${judged.length} targets are met.` : '';
  const disturbed = rows.filter((row) => row.disturbed).length;
  const marked = disturbed > 0 ? ` ${disturbed} of ${rows.length} rows were disturbed.` : '';
  return [
    `### ${isas[isa]}`,
    '',
    `\`npm run bench -- --suite ${suite} --isa ${isa}\`, ${date.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Node.js ${machine.node}; ${versionsOf(report)}.${score}${marked}`,
    '',
    '| case | engine, threads | ours, ms | peer, ms | ratio | further | target |',
    '| --- | --- | ---: | ---: | ---: | --- | --- |',
    ...rows.flatMap(linesOf),
  ].join('\n');
}

const page = new URL('../docs/performance.md', import.meta.url);
const [begin, end] = ['<!-- results: scripts/performance_page.ts -->', '<!-- end of results -->'];
const sections = Object.entries(titles).flatMap(([suite, title]) => {
  const parts = Object.keys(isas).flatMap((isa) => {
    const file = new URL(`../bench/results/${suite}.${isa}.json`, import.meta.url);
    return existsSync(file) ? [part(isa, JSON.parse(readFileSync(file, 'utf8')) as Report)] : [];
  });
  return parts.length > 0 ? [`## ${title}`, ...parts] : [];
});
if (sections.length === 0) throw new Error('bench/results/ has no measurements');
const text = readFileSync(page, 'utf8');
if (!text.includes(begin) || !text.includes(end)) throw new Error(`docs/performance.md lacks ${begin} or ${end}`);
const [head, tail] = [text.slice(0, text.indexOf(begin) + begin.length), text.slice(text.indexOf(end))];
const fresh = `${head}\n\n${sections.join('\n\n')}\n\n${tail}`;
if (!process.argv.includes('--check')) writeFileSync(page, fresh);
else if (fresh !== text) {
  console.error('docs/performance.md differs from bench/results/: run npx tsx scripts/performance_page.ts');
  process.exitCode = 1;
}
