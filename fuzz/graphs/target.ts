// Programs of whole graphs as a target of the fuzzer: drawn by draw.ts, run twice by machine.ts, with and without
// fusion, judged by compare.ts.
import type { Target } from '../target.ts';
import { judgeGraph } from './compare.ts';
import { drawGraph } from './draw.ts';
import { type GraphProgram, linesOf } from './program.ts';
import { shrinkGraph } from './shrink.ts';

export const graphsTarget: Target<GraphProgram> = {
  judgeName: 'the plain path',
  kinds: ['float32', 'float64'],
  draw: drawGraph,
  kindOf: ({ dtype }) => dtype,
  lengthOf: ({ steps }) => steps.length,
  linesOf,
  judge: async (programs) => programs.map(judgeGraph),
  shrink: (_seed, program, fails) => shrinkGraph(program, fails),
  close: () => {},
};
