// Says where the library and PyTorch differ in a program of the tensor fuzzer: which refuses, dtype, shape, values,
// gradients of both orders.
import type { Difference, Verdict } from '../target.ts';
import { knownDifferences } from './known_differences.ts';
import { type Outcome, plain, type Seen, type TensorProgram } from './program.ts';

/**
 * Largest difference beside the largest value of a tensor: roundings of either side, which functions of a program of
 * two calls magnify by less than a hundred.
 */
const bounds = { float32: 2e-5, float64: 1e-11 };

/** Whether anything in a program was rounded to float32. */
const isSingle = ({ given }: TensorProgram, { steps }: Outcome): boolean =>
  given.some(({ dtype }) => dtype === 'float32') || steps.some((made) => made.some(({ dtype }) => dtype === 'float32'));

/** Words for how two tensors differ, or null. */
function differenceOf(ours: Seen, theirs: Seen, floatBound: number): [aspect: string, message: string] | null {
  if (ours.dtype !== theirs.dtype) return ['dtype', `${ours.dtype}, PyTorch ${theirs.dtype}`];
  if (String(ours.shape) !== String(theirs.shape))
    return ['shape', `[${ours.shape.join(', ')}], PyTorch [${theirs.shape.join(', ')}]`];
  const [a, b] = [ours.data.map(plain), theirs.data.map(plain)];
  const scale = Math.max(1, ...b.filter(Number.isFinite).map(Math.abs));
  const bound = ours.dtype.startsWith('float') ? floatBound * scale : 0;
  const at = a.findIndex((v, i) => !(Object.is(v, b[i]) || v === b[i] || Math.abs(v - b[i]) <= bound));
  return at < 0 ? null : ['values', `element ${at}: ${a[at]}, PyTorch ${b[at]}`];
}

function* differencesIn(program: TensorProgram, ours: Outcome, theirs: Outcome): Generator<Difference> {
  const make = (call: number | null, aspect: string, message: string): Difference => {
    const op = program.steps[Math.min(call ?? Infinity, program.steps.length - 1)].op;
    return { call, between: 'library and PyTorch', aspect: `${op}: ${aspect}`, message };
  };
  const bound = bounds[isSingle(program, ours) ? 'float32' : 'float64'];
  for (const [i, made] of ours.steps.entries()) {
    const other = theirs.steps[i];
    if (!other) break;
    if (made.length !== other.length) yield make(i, 'number', `${made.length} tensors, PyTorch ${other.length}`);
    for (const [j, each] of made.entries()) {
      const found = other[j] && differenceOf(each, other[j], bound);
      if (found) yield make(i, ...found);
    }
  }
  if (ours.error?.startsWith('a bare') || ours.error?.includes('the kernel refused'))
    yield make(ours.steps.length, 'unclear error', ours.error);
  else if (ours.error && (!theirs.error || theirs.steps.length > ours.steps.length))
    yield make(ours.steps.length, 'refused', `${ours.error}; PyTorch gives a result`);
  else if (theirs.error && (!ours.error || ours.steps.length > theirs.steps.length))
    yield make(theirs.steps.length, 'accepted', `gives a result; PyTorch ${theirs.error}`);
  for (const order of ['gradients', 'second'] as const)
    for (const [i, mine] of ours[order].entries()) {
      // None and zeros are the same gradient.
      const other = theirs[order][i];
      const zeros = (like: Seen): Seen => ({ ...like, data: like.data.map(() => 0) });
      if (!mine && !other) continue;
      const found = differenceOf(mine ?? zeros(other!), other ?? zeros(mine!), bound);
      if (found) yield make(null, `${order} ${found[0]}`, `of tensor ${i}: ${found[1]}`);
    }
}

/** `theirs` is null where the program ended PyTorch's process. */
export function judgeTensors(program: TensorProgram, ours: Outcome, theirs: Outcome | null): Verdict {
  const known = new Set<string>();
  if (!theirs) return { differences: [], comparisons: 0, known: known.add('PyTorch died') };
  for (const difference of differencesIn(program, ours, theirs)) {
    const row = knownDifferences.find(({ when }) => when({ program, ours, theirs, difference }));
    if (!row) return { differences: [difference], comparisons: 1, known };
    known.add(row.id);
    // What follows may follow from this.
    break;
  }
  return { differences: [], comparisons: ours.steps.length + ours.gradients.length + ours.second.length, known };
}
