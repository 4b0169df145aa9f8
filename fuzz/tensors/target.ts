// Calls on tensors as a target of the fuzzer, against PyTorch in a process of its own.
import type { Target } from '../target.ts';
import { type Peer, startPeer } from '../torch.ts';
import { judgeTensors } from './compare.ts';
import { drawTensors, kindNames } from './draw.ts';
import { linesOf, type Outcome, type TensorProgram } from './program.ts';
import { runTensors } from './run.ts';
import { shrinkTensors } from './shrink.ts';

export const startTensorPeer = (): Promise<Peer<TensorProgram, Outcome> | null> =>
  startPeer({
    path: 'tensors/peer.py',
    encode: (programs) => JSON.stringify(programs),
    decode: (line) => JSON.parse(line),
  });

/** Whether a kind's name contains the text, or one of several with commas between them. */
export const wanted = (text: string) => (kind: string) => text.split(',').some((part) => kind.includes(part));

/** Programs of the wanted kinds; null without PyTorch. */
export async function tensorsTarget(text: string): Promise<Target<TensorProgram> | null> {
  const torch = await startTensorPeer();
  if (!torch) return null;
  const isWanted = wanted(text);
  return {
    judgeName: `PyTorch ${torch.version}`,
    kinds: kindNames.filter(isWanted),
    draw: (seed) => drawTensors(seed, isWanted),
    kindOf: ({ kind }) => kind,
    lengthOf: ({ steps }) => steps.length,
    linesOf,
    async judge(programs) {
      const theirs = await torch.run(programs);
      return programs.map((program, i) => judgeTensors(program, runTensors(program), theirs[i]));
    },
    shrink: (_seed, program, fails) => shrinkTensors(program, fails),
    close: () => torch.close(),
  };
}
