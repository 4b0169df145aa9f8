// Programs of a single layer as a target of the fuzzer: drawn by draw.ts, run here by run.ts and in PyTorch by
// torch.ts, judged by compare.ts.
import fc from 'fast-check';
import { judge } from './compare.ts';
import { possible, programs } from './draw.ts';
import type { Kind, Program } from './program.ts';
import { kinds, runProgram } from './run.ts';
import type { Target, Verdict } from './target.ts';
import type { TorchPeer } from './torch.ts';

/** `torch`: what judges beside the reference; `filter`: a part of the names of the layers wanted. */
export function layersTarget(torch: TorchPeer | null, filter: string): Target<Program> {
  const arbitrary = programs(kinds);
  /** fast-check's settings for one program: each has a seed of its own, so none depends on those before it. */
  const settings = (seed: number) => ({ seed, numRuns: 1, unbiased: true });
  /** PyTorch itself has no frozen batch norm. */
  const isWanted = (kind: Kind): boolean =>
    !(torch && kind === 'FrozenBatchNorm2d') && kind.toLowerCase().includes(filter.toLowerCase());
  return {
    judgeName: torch ? `PyTorch ${torch.version}` : 'the reference',
    kinds: kinds.filter(isWanted),
    draw(seed) {
      let drawn: Program | null = null;
      const keep = (program: Program): void => {
        drawn = program;
      };
      fc.check(fc.property(arbitrary, keep), settings(seed));
      return isWanted(drawn!.subject.kind) ? drawn : null;
    },
    kindOf: ({ subject }) => subject.kind,
    lengthOf: ({ calls }) => calls.length,
    linesOf: ({ subject, calls }) => [subject, ...calls].map((part, i) => `${i}  ${JSON.stringify(part)}`),
    async judge(batch) {
      const pending = torch?.run(batch);
      const ours = batch.map(runProgram);
      const theirs = (await pending) ?? null;
      return batch.map((program, i): Verdict => {
        const verdict = judge(program, ours[i], theirs?.[i] ?? null);
        // What ends PyTorch's process is still held against the reference.
        if (theirs && !theirs[i]) verdict.known.add('PyTorch crashed');
        return verdict;
      });
    },
    async shrink(seed, program, fails) {
      let trials = 1000;
      const result = await fc.check(
        fc.asyncProperty(arbitrary, async (candidate) => {
          if (trials-- > 0 && (await fails(candidate))) throw new Error('fails alike');
        }),
        settings(seed),
      );
      let smallest: Program = result.counterexample?.[0] ?? program;
      // fast-check keeps an array's tail; calls may be superfluous anywhere.
      for (let i = smallest.calls.length - 1; i >= 0; i--) {
        const without = possible({ ...smallest, calls: smallest.calls.toSpliced(i, 1) });
        if (await fails(without)) smallest = without;
      }
      return smallest;
    },
    close: () => torch?.close(),
  };
}
