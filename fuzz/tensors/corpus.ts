// Programs with what PyTorch made of them, for machines without it: `npx tsx fuzz/tensors/corpus.ts FILE COUNT SEED
// [KIND]` writes FILE (gzipped JSON), `npm run fuzz -- --against golden` compares the committed ones.
import { readFileSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { judgeTensors } from './compare.ts';
import { linesOf, type Outcome, type Seen, type TensorProgram } from './program.ts';
import { runTensors } from './run.ts';

export interface Golden {
  readonly program: TensorProgram;
  readonly torch: Outcome;
}
export const readCorpus = (path: URL): Golden[] => JSON.parse(gunzipSync(readFileSync(path)).toString()) as Golden[];

/** Compares a corpus with what the library makes of it; prints what differs, and returns how many do. */
export function compareWithGoldens(text = '', path = new URL('corpus.json.gz', import.meta.url)): number {
  const goldens = readCorpus(path).filter(({ program }) => program.kind.includes(text));
  let [failures, comparisons] = [0, 0];
  for (const { program, torch } of goldens) {
    const verdict = judgeTensors(program, runTensors(program), torch);
    comparisons += verdict.comparisons;
    for (const { aspect, message } of verdict.differences) {
      failures++;
      for (const line of linesOf(program)) console.log(`  ${line}`);
      console.log(`  ${aspect}: ${message}\n`);
    }
  }
  console.log(
    `fuzz: ${goldens.length} programs, ${comparisons} comparisons with PyTorch's goldens, ${failures} differ`,
  );
  return failures > 0 ? 1 : 0;
}

/** Digits that tell float64 apart by more than the bound of compare.ts; integers with all of theirs. */
const rounded = (seen: Seen | null): Seen | null =>
  seen?.dtype.startsWith('float')
    ? { ...seen, data: seen.data.map((v) => (typeof v === 'number' ? Number(v.toPrecision(13)) : v)) }
    : seen;

async function write(path: string, count: number, seed: number, text: string): Promise<void> {
  const [{ drawTensors }, { startTensorPeer, wanted }] = await Promise.all([
    import('./draw.ts'),
    import('./target.ts'),
  ]);
  const torch = await startTensorPeer();
  if (!torch) throw new Error('python3 has no PyTorch; EVENKEEL_PYTHON can name one that has');
  const goldens: Golden[] = [];
  for (let i = 0; goldens.length < count; i++) {
    const program = drawTensors((seed + Math.imul(i, 0x9e3779b1)) | 0, wanted(text));
    const [outcome] = program ? await torch.run([program]) : [null];
    if (!program || !outcome) continue;
    goldens.push({
      program,
      torch: {
        steps: outcome.steps.map((made) => made.map((each) => rounded(each)!)),
        error: outcome.error,
        gradients: outcome.gradients.map(rounded),
        second: outcome.second.map(rounded),
      },
    });
  }
  torch.close();
  writeFileSync(path, gzipSync(JSON.stringify(goldens), { level: 9 }));
}

if (argv[1] === fileURLToPath(import.meta.url)) await write(argv[2], Number(argv[3]), Number(argv[4]), argv[5] ?? '');
