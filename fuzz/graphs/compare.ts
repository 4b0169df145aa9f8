// Fused against plain: whether a program's run with fusion reports what its run without does. Values may differ by
// rounding, and how much rounding changes each of them is found by disturbing the last bits of the program's inputs in
// plain runs: a mask that flips, or a channel that is nearly constant, shows there just as it does here.
import type { Verdict } from '../target.ts';
import { runGraph } from './machine.ts';
import type { Event, Float, GraphProgram, Seen } from './program.ts';

/** Half a unit in the last place of 1. */
const rounding: Readonly<Record<Float, number>> = { float32: 2 ** -24, float64: 2 ** -53 };
/**
 * Roundings of the largest value reported by a step that always pass: sums of a few hundred products in another order,
 * through some layers. Of the largest of all its values, as a gradient that should be 0 is the difference of others: of
 * the bias before a norm, say.
 */
const alwaysAllowed = 256;
/** Disturbed runs: the first few settle most, the rest find masks that flip in half of all runs. */
const fewRuns = 3;
const manyRuns = 32;
/** How much more than the largest change by disturbance is still rounding: its tail beyond the runs. */
const tail = 16;

const largestOf = (data: Float64Array): number =>
  data.reduce((m, x) => (Number.isFinite(x) ? Math.max(m, Math.abs(x)) : m), 0);

/** The largest distance and where it is; infinite where only one is a number. */
function distance(a: Float64Array, b: Float64Array): [number, number] {
  let [most, at] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
    const d = Math.abs(a[i] - b[i]);
    const size = Number.isNaN(d) ? Infinity : d;
    if (size > most) [most, at] = [size, i];
  }
  return [most, at];
}

const kindOf = (seen: Seen): string => `${seen.dtype} [${seen.shape}] ${seen.format}, ${seen.place}`;
const textOf = (event: Event | undefined): string =>
  !event ? 'nothing more' : `${event.at}: ${typeof event.seen === 'string' ? event.seen : kindOf(event.seen)}`;

/** Memory that a scope took back may live on with fusion: statistics that a convolution outside of it has left. */
const isGone = (event: Event | undefined): boolean =>
  typeof event?.seen === 'string' && event.seen.includes('inside a scope that has ended');

/**
 * What two runs first report in other words; null: nothing; '': what fusion alone can still do, behind which nothing
 * compares.
 */
function inWords(fused: readonly Event[], plain: readonly Event[]): string | null {
  for (let i = 0; i < Math.max(fused.length, plain.length); i++) {
    const [left, right] = [textOf(fused[i]), textOf(plain[i])];
    if (left !== right && isGone(plain[i])) return '';
    if (left !== right) return `${left}\n    plain: ${right}`;
  }
  return null;
}

export function judgeGraph(program: GraphProgram): Verdict {
  const { dtype } = program;
  const fused = runGraph(program, { fused: true, dtype, disturbance: null });
  const plain = runGraph(program, { fused: false, dtype, disturbance: null });
  const verdict = (aspect: 'report' | 'values', message: string | null): Verdict => ({
    differences: message === null ? [] : [{ call: null, between: 'fused and plain', aspect, message }],
    comparisons: plain.length,
    known: new Set(),
  });
  const words = inWords(fused, plain);
  if (words !== null) return verdict('report', words || null);
  const truth = dtype === 'float64' ? plain : runGraph(program, { fused: false, dtype: 'float64', disturbance: null });
  const disturbed = [plain];
  /** How far rounding takes the values of an event from the truth, as far as some runs show. */
  const reach = (event: number, runs: number): number => {
    while (disturbed.length < runs)
      disturbed.push(runGraph(program, { fused: false, dtype, disturbance: disturbed.length }));
    const exact = truth[event]?.seen as Seen;
    let most = 0;
    for (const run of disturbed) {
      const other = run[event]?.seen;
      // A run that takes another course says nothing of this value.
      if (other && typeof other !== 'string' && other.data.length === exact.data.length)
        most = Math.max(most, distance(other.data, exact.data)[0]);
    }
    return tail * most;
  };
  const stepOf = ({ at }: Event) => at.split(' ')[0];
  const scales = new Map<string, number>();
  for (const event of truth)
    if (typeof event.seen !== 'string')
      scales.set(stepOf(event), Math.max(scales.get(stepOf(event)) ?? 0, largestOf(event.seen.data)));
  for (const [i, { at, seen }] of fused.entries()) {
    const exact = truth[i]?.seen;
    if (typeof seen === 'string' || !exact || typeof exact === 'string') continue;
    const [far, where] = distance(seen.data, exact.data);
    const allowed = alwaysAllowed * rounding[dtype] * scales.get(stepOf(truth[i]))!;
    if (far <= allowed || far <= allowed + reach(i, fewRuns) || far <= allowed + reach(i, manyRuns)) continue;
    const bound = (allowed + reach(i, manyRuns)).toExponential(2);
    const values = `${seen.data[where]}, plain ${exact.data[where]} ± ${bound}`;
    return verdict('values', `${at}: element ${where} of [${seen.shape}]: ${values}`);
  }
  return verdict('values', null);
}
