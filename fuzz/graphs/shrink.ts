// The smallest graph program with a failure: steps are left out, those behind them taking what the step took; blocks
// give way to their bodies; what is left is made plainer.
import type { GraphProgram, Step } from './program.ts';

/** The steps with tensor `from` read as `to`, or, without `to`, as they are. */
function redirected(steps: readonly Step[], from: readonly number[], to: number | undefined): Step[] {
  if (to === undefined) return [...steps];
  const swap = (id: number) => (from.includes(id) ? to : id);
  return steps.map((step) => ({
    ...step,
    of: step.of.map(swap),
    ...(step.body && { body: redirected(step.body, from, to) }),
  }));
}

/** All ways to take one step out, or a block from around its steps, the last steps first. */
function* fewer(steps: readonly Step[]): Generator<Step[]> {
  for (let i = steps.length - 1; i >= 0; i--) {
    const { makes, of, body } = steps[i];
    const [before, behind] = [steps.slice(0, i), steps.slice(i + 1)];
    yield [...before, ...redirected(behind, makes, of[0])];
    if (!body) continue;
    const result = steps[i].with.result as number | undefined;
    yield [...before, ...body, ...redirected(behind, makes, result)];
    for (const smaller of fewer(body)) yield [...before, { ...steps[i], body: smaller }, ...behind];
  }
}

const plainer: Readonly<Record<string, number | string | boolean | null | readonly number[]>> = {
  kind: 'Batch',
  act: 'ReLU',
  name: 'ReLU',
  bias: false,
  kernel: 1,
  padding: 0,
  stride: 1,
  groups: 1,
  dilation: 1,
  statistics: null,
  retainGraph: false,
  how: 'sum',
  format: 'contiguous',
  shape: [2, 2, 1, 1],
  out: 1,
};
/** All ways to make one setting of one step plainer. */
function* simpler(steps: readonly Step[]): Generator<Step[]> {
  for (const [i, step] of steps.entries()) {
    const put = (changed: Step) => steps.with(i, changed);
    for (const [name, value] of Object.entries(step.with))
      if (name in plainer && JSON.stringify(value) !== JSON.stringify(plainer[name]))
        yield put({ ...step, with: { ...step.with, [name]: plainer[name] } });
    if (step.body) for (const body of simpler(step.body)) yield put({ ...step, body });
  }
}

function* candidates(program: GraphProgram): Generator<GraphProgram> {
  const { steps, looks } = program;
  for (const [i] of looks.entries()) yield { ...program, looks: looks.toSpliced(i, 1) };
  for (const smaller of fewer(steps)) yield { ...program, steps: smaller };
  if (program.threads > 1) yield { ...program, threads: 1 };
  if (program.scoped) yield { ...program, scoped: false };
  if (program.dtype === 'float32') yield { ...program, dtype: 'float64' };
  for (const plain of simpler(steps)) yield { ...program, steps: plain };
}

/** The smallest program that fails which so many trials find. */
export async function shrinkGraph(
  program: GraphProgram,
  fails: (program: GraphProgram) => Promise<boolean>,
  trials = 3000,
): Promise<GraphProgram> {
  let smallest = program;
  for (let left = trials, found = true; found; ) {
    found = false;
    for (const candidate of candidates(smallest)) {
      if (left-- <= 0) return smallest;
      if (!(await fails(candidate))) continue;
      smallest = candidate;
      found = true;
      break;
    }
  }
  return smallest;
}
