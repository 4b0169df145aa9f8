// The fuzzer of the normalization layers: random programs (draw.ts) run here (run.ts) and are judged against PyTorch or the scalar reference
// (compare.ts). `npm run fuzz -- --against torch|reference [--seconds N] [--seed N] [--engine native|wasm] [--replay SEED:INDEX[:SHRINKS]]`.
// A program follows from seed and index alone. Of a failure the smallest program is sought and printed with what replays it.
import { Command, InvalidArgumentError, Option } from 'commander';
import fc from 'fast-check';
import type { DeviceName } from '../src/kernels/device.ts';
import { getEngine, setEngine } from '../src/kernels/engine.ts';
import { type Difference, judge, type Verdict } from './compare.ts';
import { possible, programs } from './draw.ts';
import type { Kind, Outcome, Program } from './program.ts';
import { kinds, runProgram } from './run.ts';
import { startTorch, type TorchPeer } from './torch.ts';

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number');
  return value;
};
const options = new Command('fuzz')
  .addOption(new Option('--against <judge>', 'what decides').choices(['torch', 'reference']).makeOptionMandatory())
  .option('--seconds <n>', 'how long', count, 120)
  .option('--seed <n>', 'seed of all programs; a fresh one if not given', count)
  .addOption(new Option('--engine <name>', 'which engine computes').choices(['native', 'wasm']))
  .option('--replay <seed:index>', 'one program of an earlier run, perhaps shrunk: SEED:INDEX[:SHRINKS]')
  .option('--kind <text>', 'only layers whose name contains the text', '')
  .option('--keep-going <n>', 'failures to collect before stopping', count, 1)
  .parse()
  .opts<{
    against: 'torch' | 'reference';
    seconds: number;
    seed?: number;
    engine?: DeviceName;
    replay?: string;
    kind: string;
    keepGoing: number;
  }>();
if (options.engine) setEngine(options.engine);

/** PyTorch itself has no frozen batch norm. */
const isWanted = (kind: Kind): boolean =>
  !(options.against === 'torch' && kind === 'FrozenBatchNorm2d') &&
  kind.toLowerCase().includes(options.kind.toLowerCase());

let torch: TorchPeer | null = null;
if (options.against === 'torch') {
  torch = await startTorch();
  if (!torch) {
    console.error('fuzz: python3 has no PyTorch; EVENKEEL_PYTHON can name one that has');
    process.exit(2);
  }
}

const [seed, onlyIndex] = options.replay?.split(':').map(count) ?? [
  options.seed ?? Math.floor(Math.random() * 2 ** 31),
];
console.log(
  `fuzz: seed ${seed}, ${getEngine()} engine against ${torch ? `PyTorch ${torch.version}` : 'the reference'}`,
);

const arbitrary = programs(kinds);
/** fast-check's settings for the program at an index: each has a seed of its own, so none depends on those before it. */
const settings = (index: number) => ({
  seed: (Math.imul(seed, 0x9e3779b1) + Math.imul(index, 0x85ebca6b)) | 0,
  numRuns: 1,
  unbiased: true,
});

function programAt(index: number): Program {
  let drawn: Program | null = null;
  fc.check(
    fc.property(arbitrary, (program) => {
      drawn = program;
    }),
    settings(index),
  );
  return drawn!;
}

const verdictOf = async (program: Program): Promise<Verdict> => {
  const theirs = torch?.run([program]);
  const ours = runProgram(program);
  return judge(program, ours, theirs ? (await theirs)[0] : null);
};

/** The smallest program with the same kind of failure that a limited search finds. */
async function shrink(index: number, failure: Difference): Promise<Program> {
  const fails = async (program: Program): Promise<boolean> =>
    (await verdictOf(program)).differences.some(
      ({ aspect, between }) => aspect === failure.aspect && between === failure.between,
    );
  let trials = 1000;
  const result = await fc.check(
    fc.asyncProperty(arbitrary, async (program) => {
      if (trials-- > 0 && (await fails(program))) throw new Error(failure.aspect);
    }),
    settings(index),
  );
  let smallest: Program = result.counterexample?.[0] ?? programAt(index);
  // fast-check keeps an array's tail; calls may be superfluous anywhere.
  for (let i = smallest.calls.length - 1; i >= 0; i--) {
    const without = possible({ ...smallest, calls: smallest.calls.toSpliced(i, 1) });
    if (await fails(without)) smallest = without;
  }
  return smallest;
}

const failures = new Set<string>();
/** Shrinks what failed and prints it, unless its like was printed before; returns what is alike. */
async function report(index: number, failure: Difference): Promise<string> {
  const program = await shrink(index, failure);
  const name = `${program.subject.kind} ${failure.between} ${failure.aspect}`;
  if (failures.has(name)) return name;
  console.log(`\nprogram ${seed}:${index}, shrunk`);
  for (const [i, part] of [program.subject, ...program.calls].entries()) console.log(`  ${i}  ${JSON.stringify(part)}`);
  for (const { call, between, aspect, message } of (await verdictOf(program)).differences)
    console.log(`  call ${call}, ${between}: ${aspect}: ${message}`);
  const engine = options.engine ? ` --engine ${options.engine}` : '';
  console.log(`replay: npm run fuzz -- --against ${options.against}${engine} --replay ${seed}:${index}`);
  return name;
}

if (onlyIndex !== undefined) {
  const { differences } = await verdictOf(programAt(onlyIndex));
  if (differences.length > 0) await report(onlyIndex, differences[0]);
  else console.log('fuzz: no difference');
  torch?.close();
  process.exit(differences.length === 0 ? 0 : 1);
}

const batchSize = 16;
const tally = new Map<Kind, { programs: number; calls: number; comparisons: number }>();
const known = new Map<string, number>();
const end = performance.now() + options.seconds * 1000;
let next = 0;
while (performance.now() < end && failures.size < options.keepGoing) {
  const batch: { index: number; program: Program }[] = [];
  for (; batch.length < batchSize; next++) {
    const program = programAt(next);
    if (isWanted(program.subject.kind)) batch.push({ index: next, program });
  }
  const pending = torch?.run(batch.map(({ program }) => program));
  const ours = batch.map(({ program }) => runProgram(program));
  const theirs: (Outcome[] | null)[] | null = (await pending) ?? null;
  for (const [i, { index, program }] of batch.entries()) {
    // What ends PyTorch's process is still held against the reference.
    if (theirs && !theirs[i]) known.set('PyTorch crashed', (known.get('PyTorch crashed') ?? 0) + 1);
    const { differences, comparisons, known: rows } = judge(program, ours[i], theirs?.[i] ?? null);
    const { kind } = program.subject;
    const sums = tally.get(kind) ?? { programs: 0, calls: 0, comparisons: 0 };
    tally.set(kind, {
      programs: sums.programs + 1,
      calls: sums.calls + program.calls.length,
      comparisons: sums.comparisons + comparisons,
    });
    for (const row of rows) known.set(row, (known.get(row) ?? 0) + 1);
    if (differences.length === 0) continue;
    failures.add(await report(index, differences[0]));
    if (failures.size >= options.keepGoing) break;
  }
}
torch?.close();

console.log(`\n${'kind'.padEnd(22)}${'programs'.padStart(10)}${'calls'.padStart(10)}${'comparisons'.padStart(13)}`);
const total = { programs: 0, calls: 0, comparisons: 0 };
for (const kind of kinds.filter(isWanted)) {
  const row = tally.get(kind) ?? { programs: 0, calls: 0, comparisons: 0 };
  for (const name of ['programs', 'calls', 'comparisons'] as const) total[name] += row[name];
  console.log(
    `${kind.padEnd(22)}${String(row.programs).padStart(10)}${String(row.calls).padStart(10)}${String(row.comparisons).padStart(13)}`,
  );
}
console.log(
  `${'all'.padEnd(22)}${String(total.programs).padStart(10)}${String(total.calls).padStart(10)}${String(total.comparisons).padStart(13)}`,
);
for (const [id, times] of known) console.log(`known difference ${id}: ${times} programs`);
console.log(`fuzz: ${failures.size} kinds of failures, seed ${seed}`);
process.exit(failures.size === 0 ? 0 : 1);
