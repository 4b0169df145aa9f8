// docs/conformance.md: what PyTorch has and what of it is here (coverage.ts), and how they compare, from the reports in
// conformance/results/, which `--json` writes. And docs/index_of_names.md.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { coverageSections, indexPage } from './coverage.ts';
import { intended } from './intended.ts';
import { type Counts, noCounts, type Report } from './report.ts';
import { functionRows } from './table.ts';
import type { Family } from './torch.ts';
import { outcomes } from './verdict.ts';

const titles: Record<Family, string> = {
  layers: 'Layers (`torch.nn`)',
  functions: 'Functions (`op_db`)',
  optimizers: 'Optimizers (`torch.optim`)',
  schedulers: 'Schedules (`torch.optim.lr_scheduler`)',
  inits: 'Initial values (`torch.nn.init`)',
};
const order = Object.keys(titles) as Family[];

const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): string =>
  [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const sumOf = (all: readonly Counts[]): Counts => {
  const sum = noCounts();
  for (const counts of all) for (const outcome of outcomes) sum[outcome] += counts[outcome];
  return sum;
};

/** OpInfo's variants of one function under its one name. */
const basesOf = (family: Family, names: readonly string[]): string[] => {
  if (family !== 'functions') return [...names];
  const variant = /^((?:nn\.functional\.|linalg\.|special\.|fft\.|masked\.|sparse\.|signal\.windows\.)?[^.]+)/;
  return [...new Set(names.map((name) => variant.exec(name)![1]))];
};

function outcomesOf(reports: readonly Report[]): string {
  const rows = reports.flatMap((report) =>
    order.map((family) => {
      const counts = sumOf(Object.values(report.counts[family]));
      return [`${titles[family].split(' (')[0]}, ${report.engine}`, ...outcomes.map((outcome) => counts[outcome])];
    }),
  );
  return table(['', ...outcomes], rows);
}

function differencesOf(reports: readonly Report[]): string {
  const rows = intended.map(
    ({ id, reason }) => `| ${id} | ${reason} | ${reports.map((report) => report.intended[id] ?? 0).join(' | ')} |`,
  );
  return [
    `| difference | what and why | ${reports.map(({ engine }) => engine).join(' | ')} |`,
    `| --- | --- | ${reports.map(() => '---:').join(' | ')} |`,
    ...rows,
  ].join('\n');
}

function failuresOf(reports: readonly Report[]): string {
  const rows = reports.flatMap(({ engine, failures }) =>
    failures.map(
      ({ name, way, outcome, times, dtypes }) =>
        `| \`${name}\` | ${engine}, ${way} | ${outcome} | ${dtypes.join(', ')} | ${times} |`,
    ),
  );
  if (rows.length === 0) return 'None.';
  return ['| name | engine, how | outcome | dtypes | cases |', '| --- | --- | --- | --- | ---: |', ...rows].join('\n');
}

function missingArgumentsOf({ missingArguments }: Report): string {
  const rows = Object.entries(missingArguments).map(
    ([name, missing]) =>
      `* \`${name}\`: ${Object.entries(missing)
        .map(([argument, times]) => `${argument} (${times})`)
        .join(', ')}`,
  );
  return rows.sort().join('\n');
}

/** Of PyTorch's inventory of tests: functions that are called nowhere here. */
const notCalledOf = ({ families: all }: Report): string => {
  const isHere = (name: string) => {
    const row = functionRows.get(name);
    return row !== undefined && (row.call !== null || row.inplace !== null);
  };
  const here = new Set(basesOf('functions', all.functions.all.filter(isHere)));
  const bases = basesOf('functions', all.functions.all);
  return `${here.size} of ${bases.length} functions of \`op_db\` are called. The others: ${bases
    .filter((name) => !here.has(name))
    .map((name) => `\`${name}\``)
    .join(', ')}.`;
};

const notDrawnOf = ({ families: all }: Report): string =>
  order
    .flatMap((family) => {
      const drawn = new Set(all[family].drawn);
      return all[family].available.filter((name) => !drawn.has(name)).map((name) => `\`${name}\``);
    })
    .join(', ');

const page = new URL('../docs/conformance.md', import.meta.url);
const index = new URL('../docs/index_of_names.md', import.meta.url);
const [begin, end] = ['<!-- results: conformance/page.ts -->', '<!-- end of results -->'];

/** Writes the page's tables, or with `isCheck` only says whether they are what would be written. */
export function writePage(isCheck: boolean): boolean {
  const reports = ['native', 'wasm'].flatMap((engine) => {
    const file = new URL(`results/${engine}.json`, import.meta.url);
    return existsSync(file) ? [JSON.parse(readFileSync(file, 'utf8')) as Report] : [];
  });
  if (reports.length === 0) throw new Error('conformance/results/ has no report');
  const [first] = reports;
  const sections = [
    `PyTorch ${first.torch}; ${reports.map(({ engine, date, seed }) => `${engine}: ${date}, seed ${seed}`).join('; ')}.`,
    '## What is here',
    ...coverageSections(),
    '## How the cases ended',
    outcomesOf(reports),
    '## Where the library differs on purpose',
    differencesOf(reports),
    '## Failures',
    failuresOf(reports),
    '## Arguments and dtypes that are not here',
    missingArgumentsOf(first),
    "## Functions of PyTorch's inventory that are not here",
    notCalledOf(first),
    `Here, but without an entry in PyTorch's inventory, so that other tests must speak for them: ${notDrawnOf(first)}.`,
  ];
  const text = readFileSync(page, 'utf8');
  if (!text.includes(begin) || !text.includes(end)) throw new Error(`docs/conformance.md lacks ${begin} or ${end}`);
  const [head, tail] = [text.slice(0, text.indexOf(begin) + begin.length), text.slice(text.indexOf(end))];
  const fresh = `${head}\n\n${sections.join('\n\n')}\n\n${tail}`;
  const names = indexPage();
  if (!isCheck) {
    writeFileSync(page, fresh);
    writeFileSync(index, names);
    return true;
  }
  const isSame = fresh === text && existsSync(index) && readFileSync(index, 'utf8') === names;
  if (!isSame)
    console.error(
      'docs/conformance.md or docs/index_of_names.md is not what it would be now: run npm run conformance -- --page',
    );
  return isSame;
}
