// The smallest program of the tensor fuzzer with a failure: steps are left out, sizes become smaller, values plain,
// arguments simple.
import { sizeOf } from '../../src/tensor/shape.ts';
import { type Arg, isTensor, type TensorProgram } from './program.ts';

/** Every way to replace one part of an argument. */
function* simpler(arg: Arg): Generator<Arg> {
  if (Array.isArray(arg)) {
    for (const [i, each] of arg.entries()) {
      yield arg.toSpliced(i, 1);
      for (const other of simpler(each)) yield arg.with(i, other);
    }
  } else if (typeof arg === 'number' && arg !== 0) yield 0;
  else if (typeof arg === 'string' && arg !== ':') yield ':';
}

/** An argument without tensor `at`, whose number is taken over by those behind it; null where it is used. */
function without(arg: Arg, at: number): Arg | null {
  if (isTensor(arg)) return arg.t === at ? null : { t: arg.t > at ? arg.t - 1 : arg.t };
  if (!Array.isArray(arg)) return arg;
  const parts = arg.map((each: Arg) => (each === null ? 'null' : without(each, at)));
  return parts.includes(null) ? null : parts.map((each) => (each === 'null' ? null : each));
}

function withoutGiven(program: TensorProgram, at: number): TensorProgram | null {
  const steps = [];
  for (const step of program.steps) {
    if (step.on === at) return null;
    const args = without([...step.args], at);
    if (!args) return null;
    steps.push({ ...step, on: step.on > at ? step.on - 1 : step.on, args: args as Arg[] });
  }
  return { ...program, given: program.given.toSpliced(at, 1), steps };
}

function* candidates(program: TensorProgram): Generator<TensorProgram> {
  const { given, steps, order } = program;
  for (let cut = steps.length - 1; cut > 0; cut--) yield { ...program, steps: steps.slice(0, cut) };
  if (steps.length === 2 && steps[1].on >= given.length)
    yield { ...program, steps: [{ ...steps[1], on: steps[0].on }] };
  if (order > 0) yield { ...program, order: (order - 1) as 0 | 1 };
  for (const at of given.keys()) {
    const fewer = withoutGiven(program, at);
    if (fewer) yield fewer;
  }
  for (const [i, each] of given.entries()) {
    const put = (next: typeof each) => ({ ...program, given: given.with(i, next) });
    if (each.requiresGrad) yield put({ ...each, requiresGrad: false });
    for (const [d, n] of each.shape.entries()) {
      const shapes = [each.shape.toSpliced(d, 1), ...(n > 1 ? [each.shape.with(d, n - 1)] : [])];
      for (const shape of shapes) yield put({ ...each, shape, data: each.data.slice(0, sizeOf(shape)) });
    }
    if (each.data.some((v) => v !== 0)) yield put({ ...each, data: each.data.map(() => 0) });
    if (each.data.some((v) => typeof v !== 'number'))
      yield put({ ...each, data: each.data.map((v) => (typeof v === 'number' ? v : 1)) });
  }
  for (const [i, step] of steps.entries())
    for (const args of simpler([...step.args]))
      yield { ...program, steps: steps.with(i, { ...step, args: args as Arg[] }) };
}

const isWhole = ({ given }: TensorProgram): boolean => given.every(({ shape, data }) => data.length === sizeOf(shape));

/** The smallest program that fails which so many trials find. */
export async function shrinkTensors(
  program: TensorProgram,
  fails: (program: TensorProgram) => Promise<boolean>,
  trials = 600,
): Promise<TensorProgram> {
  let smallest = program;
  for (let left = trials, found = true; found; ) {
    found = false;
    for (const candidate of candidates(smallest)) {
      if (!isWhole(candidate)) continue;
      if (left-- <= 0) return smallest;
      if (!(await fails(candidate))) continue;
      smallest = candidate;
      found = true;
      break;
    }
  }
  return smallest;
}
