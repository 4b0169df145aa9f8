// The fuzzer. Random layers and calls (layers.ts) are judged against PyTorch or the scalar reference, random graphs of
// operations (graphs/) with fusion against those without, and calls on tensors (tensors/) against PyTorch, or what it
// once said (golden); checkpoints (files/) go to PyTorch and back, and damaged ones must end in errors. `npm run fuzz
// -- --against torch|reference|plain|golden|errors [--of layers|tensors|files] [--kind TEXT] [--seconds N] [--count N]
// [--seed N] [--engine native|wasm] [--replay SEED:INDEX]`. A program follows from seed and index alone. Of a failure
// the smallest program is sought and printed with what replays it.
import { Command, InvalidArgumentError, Option } from 'commander';
import type { EngineName } from '../src/device/backend.ts';
import { getEngine, setEngine } from '../src/device/engine.ts';
import { fuzzMutated } from './files/mutated.ts';
import { fuzzRoundTrips } from './files/round_trips.ts';
import { graphsTarget } from './graphs/target.ts';
import { layersTarget } from './layers.ts';
import type { Difference, Target } from './target.ts';
import { compareWithGoldens } from './tensors/corpus.ts';
import { tensorsTarget } from './tensors/target.ts';
import { startTorch } from './torch.ts';

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number');
  return value;
};
const options = new Command('fuzz')
  .addOption(
    new Option('--against <judge>', 'what decides')
      .choices(['torch', 'reference', 'plain', 'golden', 'errors'])
      .makeOptionMandatory(),
  )
  .addOption(
    new Option('--of <what>', 'what is drawn against torch').choices(['layers', 'tensors', 'files']).default('layers'),
  )
  .option('--count <n>', 'how many damaged files or checkpoints at most', count, Number.MAX_SAFE_INTEGER)
  .option('--seconds <n>', 'how long', count, 120)
  .option('--seed <n>', 'seed of all programs; a fresh one if not given', count)
  .addOption(new Option('--engine <name>', 'which engine computes').choices(['native', 'wasm']))
  .option('--replay <seed:index>', 'one program of an earlier run')
  .option('--kind <text>', 'only layers, or kinds of calls, whose name contains the text', '')
  .option('--keep-going <n>', 'failures to collect before stopping', count, 1)
  .parse()
  .opts<{
    against: 'torch' | 'reference' | 'plain' | 'golden' | 'errors';
    of: 'layers' | 'tensors' | 'files';
    count: number;
    seconds: number;
    seed?: number;
    engine?: EngineName;
    replay?: string;
    kind: string;
    keepGoing: number;
  }>();
if (options.engine) setEngine(options.engine);

const [seed, onlyIndex] = options.replay?.split(':').map(count) ?? [
  options.seed ?? Math.floor(Math.random() * 2 ** 31),
];
const seedOf = (index: number): number => (Math.imul(seed, 0x9e3779b1) + Math.imul(index, 0x85ebca6b)) | 0;

async function fuzz<P>(target: Target<P>): Promise<number> {
  console.log(`fuzz: seed ${seed}, ${getEngine()} engine against ${target.judgeName}`);
  const isAlike = (a: Difference, b: Difference) => a.aspect === b.aspect && a.between === b.between;
  const failures = new Set<string>();

  /** Shrinks what failed and prints it, unless its like was printed before. */
  async function report(index: number, program: P, failure: Difference): Promise<void> {
    const differencesOf = async (candidate: P) => (await target.judge([candidate]))[0].differences;
    const smallest = await target.shrink(seedOf(index), program, async (candidate) =>
      (await differencesOf(candidate)).some((each) => isAlike(each, failure)),
    );
    const name = `${target.kindOf(smallest)} ${failure.between} ${failure.aspect}`;
    if (failures.has(name)) return;
    failures.add(name);
    console.log(`\nprogram ${seed}:${index}, shrunk`);
    for (const line of target.linesOf(smallest)) console.log(`  ${line}`);
    for (const { call, between, aspect, message } of await differencesOf(smallest))
      console.log(`  ${call === null ? '' : `call ${call}, `}${between}: ${aspect}: ${message}`);
    const engine = options.engine ? ` --engine ${options.engine}` : '';
    const of = options.of === 'tensors' ? ' --of tensors' : '';
    console.log(`replay: npm run fuzz -- --against ${options.against}${of}${engine} --replay ${seed}:${index}`);
  }

  if (onlyIndex !== undefined) {
    const program = target.draw(seedOf(onlyIndex));
    const [failure] = program ? (await target.judge([program]))[0].differences : [];
    if (program && failure) await report(onlyIndex, program, failure);
    else console.log('fuzz: no difference');
    return failures.size;
  }

  const batchSize = 16;
  const row = () => ({ programs: 0, calls: 0, comparisons: 0 });
  const tally = new Map(target.kinds.map((kind) => [kind, row()]));
  const known = new Map<string, number>();
  const end = performance.now() + options.seconds * 1000;
  let next = 0;
  while (performance.now() < end && failures.size < options.keepGoing) {
    const batch: { index: number; program: P }[] = [];
    for (; batch.length < batchSize; next++) {
      const program = target.draw(seedOf(next));
      if (program) batch.push({ index: next, program });
    }
    const verdicts = await target.judge(batch.map(({ program }) => program));
    for (const [i, { index, program }] of batch.entries()) {
      const { differences, comparisons, known: rows } = verdicts[i];
      const sums = tally.get(target.kindOf(program))!;
      sums.programs++;
      sums.calls += target.lengthOf(program);
      sums.comparisons += comparisons;
      for (const each of rows) known.set(each, (known.get(each) ?? 0) + 1);
      if (differences.length === 0) continue;
      await report(index, program, differences[0]);
      if (failures.size >= options.keepGoing) break;
    }
  }

  const line = (name: string, { programs, calls, comparisons }: ReturnType<typeof row>) =>
    console.log(
      `${name.padEnd(22)}${String(programs).padStart(10)}${String(calls).padStart(10)}${String(comparisons).padStart(13)}`,
    );
  console.log(`\n${'kind'.padEnd(22)}${'programs'.padStart(10)}${'calls'.padStart(10)}${'comparisons'.padStart(13)}`);
  const total = row();
  for (const [kind, sums] of tally) {
    for (const name of ['programs', 'calls', 'comparisons'] as const) total[name] += sums[name];
    line(kind, sums);
  }
  line('all', total);
  for (const [id, times] of known) console.log(`known difference ${id}: ${times} programs`);
  console.log(`fuzz: ${failures.size} kinds of failures, seed ${seed}`);
  return failures.size;
}

async function run<P>(target: Target<P>): Promise<void> {
  const failures = await fuzz(target);
  target.close();
  process.exit(failures === 0 ? 0 : 1);
}

const noTorch = (): never => {
  console.error('fuzz: python3 has no PyTorch; EVENKEEL_PYTHON can name one that has');
  process.exit(2);
};
if (options.against === 'plain') await run(graphsTarget);
else if (options.against === 'errors' || options.of === 'files') {
  const given = { seed, seconds: options.seconds, count: options.count, only: onlyIndex };
  const failures = options.against === 'errors' ? await fuzzMutated(given) : await fuzzRoundTrips(given);
  process.exit((failures ?? noTorch()) === 0 ? 0 : 1);
} else if (options.against === 'golden') process.exit(compareWithGoldens(options.kind));
else if (options.of === 'tensors') await run((await tensorsTarget(options.kind)) ?? noTorch());
else {
  const torch = options.against === 'torch' ? await startTorch() : null;
  if (options.against === 'torch' && !torch) noTorch();
  await run(layersTarget(torch, options.kind));
}
