// Random places, valid and invalid, read, written and summed up, with gradients of both orders: what PyTorch 2.13 made
// of 1500 programs of the tensor fuzzer. Made by `npx tsx fuzz/tensors/corpus.ts test/golden/indexing.golden.json.gz
// 1500 20261129 ndex`.
import { expect, test } from 'vitest';
import { judgeTensors } from '../../fuzz/tensors/compare.ts';
import { readCorpus } from '../../fuzz/tensors/corpus.ts';
import { linesOf } from '../../fuzz/tensors/program.ts';
import { runTensors } from '../../fuzz/tensors/run.ts';

const goldens = readCorpus(new URL('../golden/indexing.golden.json.gz', import.meta.url));

test.each(['index', 'setIndex'])('%s gives what PyTorch gives, and refuses what it refuses', (kind) => {
  const own = goldens.filter(({ program }) => program.kind === kind);
  expect(own.length).toBeGreaterThan(500);
  for (const { program, torch } of own)
    expect(judgeTensors(program, runTensors(program), torch).differences, linesOf(program).join('\n')).toEqual([]);
});

test('the corpus has what it is for', () => {
  const count = (holds: (golden: (typeof goldens)[number]) => boolean) => goldens.filter(holds).length;
  expect(count(({ torch }) => torch.error !== null)).toBeGreaterThan(100);
  expect(count(({ torch }) => torch.gradients.length > 0)).toBeGreaterThan(150);
  expect(count(({ torch }) => torch.second.length > 0)).toBeGreaterThan(20);
  expect(count(({ program }) => program.steps.some(({ op }) => op === 'setIndexAccumulate'))).toBeGreaterThan(200);
});
