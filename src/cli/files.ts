// The commands for files of tensors: convert, inspect, diff. Each prints a table, or with --json one line of JSON. Exit
// codes: 0 done, and for diff "the same"; 1 failed, and for diff "they differ"; 2 wrong usage.
import { type Command, Option } from 'commander';
import { convertFile } from '../io/convert.ts';
import { type Difference, diffFiles, type InspectedNorm, inspectFile } from '../io/inspect.ts';
import type { WrittenFormat } from '../io/state_files.ts';

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 3 : 1)} MiB`;
const print = (lines: readonly string[]): void => console.log(lines.join('\n'));
/** Infinities and NaN, which JSON has none of, as texts. */
const json = (value: unknown): void =>
  console.log(
    JSON.stringify(value, (_, each) => (typeof each === 'number' && !Number.isFinite(each) ? String(each) : each)),
  );

/** Rows under columns; numbers stand at the right. */
function table(columns: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const lines = [columns, ...rows].map((row) => row.map(String));
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  const isNumber = columns.map(
    (_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === ''),
  );
  return lines.map((line) =>
    line
      .map((text, i) => (isNumber[i] ? text.padStart(widths[i]) : text.padEnd(widths[i])))
      .join('  ')
      .trimEnd(),
  );
}
const short = (value: number): string => (Number.isInteger(value) ? String(value) : value.toPrecision(4));

interface ConvertFlags {
  format?: WrittenFormat;
  key?: string;
  json?: boolean;
}

/** Written between two lines of progress. */
const progressBytes = 256 * 1024 ** 2;

async function convert(input: string, output: string, flags: ConvertFlags): Promise<number> {
  let shown = 0;
  const onProgress = (bytes: number) => {
    if (bytes - shown < progressBytes) return;
    shown = bytes;
    // Beside the result, which may go into a pipe.
    console.error(`${output}: ${mib(bytes)} written`);
  };
  const done = await convertFile(input, output, { format: flags.format, key: flags.key, onProgress });
  if (flags.json) json(done);
  else
    print([
      `${input} (${done.from}${done.path === '' ? '' : `, at '${done.path}'`}) → ${output} (${done.to}): ${done.tensors} tensors, ${mib(done.bytes)}`,
      ...done.lost.map((sentence) => `  ${sentence}`),
    ]);
  return 0;
}

function normRow({ name, channels, mean, variance, batches }: InspectedNorm): (string | number)[] {
  const range = ({ min, max }: { min: number; max: number }) => `${short(min)} … ${short(max)}`;
  return [name, channels, batches ?? '', range(mean), range(variance)];
}

async function inspect(file: string, flags: { key?: string; json?: boolean }): Promise<number> {
  const found = await inspectFile(file, { key: flags.key });
  if (flags.json) {
    json(found);
    return 0;
  }
  const where = found.path === '' ? '' : `, at '${found.path}'`;
  const lines = [`${file}: ${found.format}${where}, ${found.tensors.length} tensors, ${mib(found.bytes)}`];
  for (const note of found.notes) lines.push(`  ${note}`);
  const rows = found.tensors.map(({ name, dtype, shape, bytes }) => [name, dtype, `[${shape.join(', ')}]`, bytes]);
  lines.push('', ...table(['tensor', 'type', 'shape', 'bytes'], rows));
  if (found.norms.length > 0) {
    lines.push(
      '',
      ...table(['layer with statistics', 'channels', 'batches', 'mean', 'variance'], found.norms.map(normRow)),
    );
    const problems = found.norms.flatMap(({ name, problems: each }) => each.map((problem) => `  ${name}: ${problem}`));
    lines.push(
      '',
      problems.length === 0 ? 'nothing looks wrong with the statistics' : 'what looks wrong:',
      ...problems,
    );
  }
  print(lines);
  return 0;
}

async function diff(a: string, b: string, flags: { keyA?: string; keyB?: string; json?: boolean }): Promise<number> {
  const found = await diffFiles(a, b, { keys: [flags.keyA, flags.keyB] });
  const { changed, same, onlyA, onlyB } = found;
  const code = changed.length + onlyA.length + onlyB.length === 0 ? 0 : 1;
  if (flags.json) {
    json(found);
    return code;
  }
  const lines = [`${same} tensors are the same, ${changed.length} differ`];
  const row = ({ name, largest, relative, problem }: Difference) => [
    name,
    largest === null ? '' : short(largest),
    relative === null ? '' : short(relative),
    problem ?? '',
  ];
  for (const [kind, title] of [
    ['weight', 'weights'],
    ['statistics', 'running statistics'],
  ] as const) {
    const rows = changed.filter((each) => each.kind === kind).map(row);
    if (rows.length > 0) lines.push('', ...table([title, 'largest difference', 'relative', ''], rows));
  }
  for (const [file, names] of [
    [a, onlyA],
    [b, onlyB],
  ] as const)
    if (names.length > 0) lines.push('', `only in ${file}:`, ...names.map((name) => `  ${name}`));
  print(lines);
  return code;
}

/** Adds the commands to the program; `finish` is given what they end with. */
export function addFileCommands(program: Command, finish: (work: Promise<number>) => Promise<void>): void {
  const asJson = () => new Option('--json', 'print one line of JSON');
  const command = (name: string, what: string) => program.command(name).description(what).addOption(asJson());
  command('convert <in> <out>', 'write the tensors of a file into another of any format: PyTorch, safetensors, npz')
    .addOption(
      new Option('--format <name>', "the output's format (default: by its name)").choices([
        'pytorch',
        'safetensors',
        'npz',
      ]),
    )
    .option('--key <key>', 'where the state stands in a training checkpoint')
    .action((input: string, output: string, flags: ConvertFlags) => finish(convert(input, output, flags)));
  command('inspect <file>', 'list tensors, and the layers with running statistics with what looks wrong')
    .option('--key <key>', 'where the state stands in a training checkpoint')
    .action((file: string, flags: { key?: string; json?: boolean }) => finish(inspect(file, flags)));
  command('diff <a> <b>', 'which tensors differ, and by how much; exit code 1 if any does')
    .option('--key-a <key>', 'where the state stands in the first file')
    .option('--key-b <key>', 'where it stands in the second')
    .action((a: string, b: string, flags: { keyA?: string; keyB?: string; json?: boolean }) =>
      finish(diff(a, b, flags)),
    );
}
