// Carries one case out with the library and says how it went.
import { type DType, EvenkeelError, grad, manualSeed, noGrad, Tensor } from '../src/index.ts';
import * as nn from '../src/nn/index.ts';
import * as optim from '../src/optim/index.ts';
import {
  argumentOf,
  type Case,
  camel,
  type Data,
  type Expected,
  type FunctionCase,
  hasIntegralFloat,
  type InitCase,
  isTensorData,
  type ModuleCase,
  type Named,
  NotExpressible,
  type OptimizerCase,
  type SavedState,
  type ScheduleCase,
  type TensorData,
  tensorOf,
} from './case.ts';
import { intendedRow } from './intended.ts';
import { difference } from './judge.ts';
import { ArgumentNotAvailable, bound } from './signature.ts';
import { callLayer, functionRows, initSignatures, layerRow, optimizerOptions, scheduleSignatures } from './table.ts';

export const outcomes = [
  'agrees',
  'intended',
  'not available',
  'argument not available',
  'differs',
  'raised',
  'accepted',
  'unclear',
  'crash',
] as const;
export type Outcome = (typeof outcomes)[number];
export const failures: readonly Outcome[] = ['differs', 'raised', 'accepted', 'unclear', 'crash'];

export interface Verdict {
  id: string;
  kind: Case['kind'];
  name: string;
  /** How it was called: 'function', 'method', 'inplace'; else the source of the case. */
  way: string;
  source: Case['source'];
  dtype: DType;
  outcome: Outcome;
  /** What it was about: 'output 0', 'gradient 1', 'construction'. */
  aspect: string;
  detail: string;
  /** The library's call in words. */
  call: string;
  /** The table's row, where the difference is intended. */
  row?: string;
}

/** What torch_cases.py seeds with before every call. */
const callSeed = 42;

/** Ends a case early. */
class Found extends Error {
  readonly outcome: Outcome;
  readonly aspect: string;
  constructor(outcome: Outcome, aspect: string, detail: string) {
    super(detail);
    this.outcome = outcome;
    this.aspect = aspect;
  }
}

// ---- in words -------------------------------------------------------------------------------------------------------

function words(value: unknown): string {
  if (value instanceof Tensor) {
    const { dtype, shape } = value;
    return value.size <= 8
      ? `${dtype}[${shape}](${Array.from(value.dataSync() as ArrayLike<unknown>, String).join(' ')})`
      : `${dtype}[${shape}]`;
  }
  if (Array.isArray(value)) return `[${value.map(words).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, v]) => `${key}: ${words(v)}`)
      .join(', ')} }`;
  return typeof value === 'string' ? `'${value}'` : String(value);
}
const callText = (name: string, args: readonly unknown[]) => `${name}(${args.map(words).join(', ')})`.slice(0, 400);
const errorText = (error: unknown) =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 300);

/** An error that the library did not mean to give. */
const isUnclear = (error: unknown): boolean =>
  !(error instanceof EvenkeelError) ||
  /kernel refused its arguments|is not a function|reading '|undefined|not iterable/.test(error.message);

// ---- measuring ------------------------------------------------------------------------------------------------------

function flatOutputs(result: unknown): unknown[] {
  if (Array.isArray(result)) return result.flatMap(flatOutputs);
  if (typeof result === 'object' && result !== null && 'values' in result && 'indices' in result)
    return [result.values, result.indices];
  return [result];
}

function compareOne(
  aspect: string,
  got: unknown,
  expected: Data | undefined,
  truth: Data | undefined,
  isElementwise: boolean,
  looseness = 1,
): void {
  if (expected === undefined) return;
  let problem: string | null;
  if (isTensorData(expected))
    problem = difference(got, expected, isTensorData(truth) ? truth : null, { isElementwise, looseness });
  else {
    const value = expected === null ? null : argumentOf(expected);
    problem =
      value === got || (Number.isNaN(value) && Number.isNaN(got))
        ? null
        : `expected ${words(value)}, got ${words(got)}`;
  }
  if (problem !== null) throw new Found('differs', aspect, problem);
}

/** PyTorch gives none where we may give zeros, and the other way round: both leave a sum of gradients as it is. */
function compareGradient(
  aspect: string,
  got: Tensor | null,
  expected: TensorData | null,
  truth: TensorData | null | undefined,
  isElementwise: boolean,
  looseness: number,
): void {
  const isZero = (t: Tensor) => t.dataSync().every((v: number | bigint) => Number(v) === 0);
  if (expected === null) {
    if (got && !isZero(got)) throw new Found('differs', aspect, `expected no gradient, got ${words(got)}`);
    return;
  }
  if (!got) {
    if (!isZero(tensorOf({ ...expected, grad: false })))
      throw new Found('differs', aspect, `expected a gradient of shape [${expected.shape}], got none`);
    return;
  }
  compareOne(aspect, got, expected, truth, isElementwise, looseness);
}

/** Compares outputs, gradients and their gradients. `inputs`: all tensors that PyTorch differentiated, in its order. */
function compare(result: unknown, inputs: readonly Tensor[], expected: Expected, isElementwise: boolean): void {
  const outputs = flatOutputs(result);
  const { truth } = expected;
  const wanted = expected.outputs!;
  if (outputs.length !== wanted.length)
    throw new Found('differs', 'outputs', `expected ${wanted.length} outputs, got ${outputs.length}`);
  wanted.forEach((one, i) => {
    compareOne(`output ${i}`, outputs[i], one, truth?.outputs?.[i], isElementwise);
  });
  const graphOf = (t: unknown) => t instanceof Tensor && t.requiresGrad;
  wanted.forEach((one, i) => {
    if (isTensorData(one) && graphOf(outputs[i]) !== (one.grad ?? false))
      throw new Found(
        'differs',
        `output ${i}`,
        `requiresGrad: expected ${one.grad ?? false}, got ${graphOf(outputs[i])}`,
      );
  });
  if (!expected.grads) return;
  const second = expected.second !== undefined;
  const roots = outputs.filter((_, i) => isTensorData(wanted[i]) && (wanted[i] as TensorData).grad) as Tensor[];
  const leaves = inputs.filter((t) => t.requiresGrad);
  const cotangents = expected.cotangents!.map((data) => tensorOf({ ...data, grad: second }));
  // The gradients of a recorded walk are computed by other code than those of a plain one, so both are looked at.
  const walk = (createGraph: boolean): (Tensor | null)[] =>
    grad(roots, leaves, { gradOutputs: cotangents, allowUnused: true, createGraph, retainGraph: true });
  for (const createGraph of second ? [false, true] : [false]) {
    const found = walk(createGraph);
    expected.grads.forEach((one, i) => {
      compareGradient(
        `gradient ${i}${createGraph ? ' (createGraph)' : ''}`,
        found[i],
        one,
        truth?.grads?.[i],
        isElementwise,
        2,
      );
    });
    if (!createGraph) continue;
    const again = found.flatMap((t, i) =>
      t?.requiresGrad && expected.directions![i] ? [{ t, direction: tensorOf(expected.directions![i]!) }] : [],
    );
    const all = [...leaves, ...cotangents];
    const both =
      again.length === 0
        ? all.map(() => null)
        : grad(
            again.map(({ t }) => t),
            all,
            { gradOutputs: again.map(({ direction }) => direction), allowUnused: true },
          );
    expected.second!.forEach((one, i) => {
      compareGradient(`second gradient ${i}`, both[i], one, truth?.second?.[i], isElementwise, 20);
    });
  }
}

const namedValues = (named: Named, tensors?: Tensor[]): Map<string, unknown> =>
  new Map(named.map(([key, value]) => [key, argumentOf(value, tensors)]));

/** Runs what may raise; `expected` says whether it should have. */
function attempted<T>(expected: { error?: Expected['error'] }, aspect: string, work: () => T): T | null {
  let result: T;
  try {
    result = work();
  } catch (error) {
    if (error instanceof Found || error instanceof ArgumentNotAvailable || error instanceof NotExpressible) throw error;
    if (!expected.error)
      throw new Found(
        isUnclear(error) && !(error instanceof EvenkeelError) ? 'unclear' : 'raised',
        aspect,
        errorText(error),
      );
    if (isUnclear(error))
      throw new Found(
        'unclear',
        aspect,
        `${errorText(error)}; PyTorch: ${expected.error.type}: ${expected.error.text}`,
      );
    return null;
  }
  if (expected.error && aspect === 'call') {
    const given = flatOutputs(result).map(words).join(', ');
    throw new Found(
      'accepted',
      aspect,
      `got ${given.slice(0, 200)}; PyTorch: ${expected.error.type}: ${expected.error.text}`,
    );
  }
  return result;
}

// ---- kinds of cases -------------------------------------------------------------------------------------------------

function runFunction(given: FunctionCase, way: string, say: (text: string) => void): void {
  const row = functionRows.get(given.name);
  const name = way === 'method' ? row?.method : way === 'inplace' ? row?.inplace : null;
  if (!row || (way === 'function' ? !row.call : !name)) throw new Found('not available', 'call', given.name);
  const tensors: Tensor[] = [];
  const args = given.args.map((one) => argumentOf(one, tensors));
  const kwargs = namedValues(given.kwargs, tensors);
  const values = bound(row.signature, args, kwargs);
  say(way === 'function' ? callText(given.name, values) : callText(`${words(values[0])}.${name}`, values.slice(1)));
  manualSeed(callSeed);
  const [x, ...rest] = values;
  if (way !== 'function' && !(x instanceof Tensor)) throw new Found('not available', 'call', `${name} of no tensor`);
  const receiver = way === 'inplace' ? (x as Tensor).clone() : x;
  const result = attempted(given.expected, 'call', () =>
    way === 'function'
      ? row.call!(...(values as never[]))
      : (receiver as unknown as Record<string, (...args: unknown[]) => unknown>)[name!](...rest),
  );
  if (given.expected.error) return;
  if (way === 'inplace' && result !== receiver)
    throw new Found('differs', 'output 0', 'an in-place method gives another tensor');
  if (given.name === 'empty' || given.name === 'empty_like') {
    // Values are arbitrary.
    const { shape, dtype } = given.expected.outputs![0] as TensorData;
    const got = result as Tensor;
    if (got.dtype !== dtype || got.shape.join() !== shape.join())
      throw new Found('differs', 'output 0', `expected ${dtype}[${shape}], got ${got.dtype}[${got.shape}]`);
    return;
  }
  attempted({}, 'gradients', () =>
    compare(
      result,
      tensors,
      way === 'method' ? { ...given.expected, grads: undefined } : given.expected,
      row.isElementwise,
    ),
  );
}

function runModule(given: ModuleCase, say: (text: string) => void): void {
  const row = layerRow(given.name);
  if (!row) throw new Found('not available', 'call', given.name);
  const { named, rest, defaults } = given.constructor;
  const values = bound(
    row.signature,
    rest.map((one) => argumentOf(one)),
    namedValues(named),
    {
      isNullMeant: true,
      defaults: namedValues(defaults),
    },
  );
  say(callText(`new ${given.name}`, values));
  const isCall = given.args !== null;
  const failsEarly = (given.expected as { at?: string }).at === 'construction';
  const mayFail = failsEarly ? given.expected : {};
  const layer = attempted(mayFail, failsEarly ? 'call' : 'construction', () => {
    const made = new row.make(...(values as never[]));
    return made.to(given.dtype).train(given.training);
  });
  if (!layer || !isCall) return;
  if (given.state)
    attempted({}, 'loadStateDict', () =>
      layer.loadStateDict(new Map(given.state!.map(([key, data]) => [key, tensorOf(data as TensorData)]))),
    );
  const tensors: Tensor[] = [];
  const args = given.args!.map((one) => argumentOf(one, tensors));
  say(callText(`new ${given.name}(${values.map(words).join(', ')})${given.training ? '' : '.eval()'}.call`, args));
  const parameters = new Map(layer.namedParameters());
  const inputs = [...tensors, ...(given.parameters ?? []).map((name) => parameters.get(name)!)];
  manualSeed(callSeed);
  const result = attempted(given.expected, 'call', () =>
    callLayer(layer, ...args.filter((value, i) => value !== null || i === 0)),
  );
  if (given.expected.error) return;
  attempted({}, 'gradients', () => compare(result, inputs, given.expected, false));
  const state = new Map(layer.stateDict());
  for (const [key, expected] of given.expected.state ?? []) {
    const truth = given.expected.truth?.state?.find(([name]) => name === key)?.[1];
    compareOne(`state ${key}`, state.get(key), expected, truth, false);
    state.delete(key);
  }
  if (given.expected.state && state.size > 0)
    throw new Found('differs', 'state', `has keys that PyTorch has not: ${[...state.keys()].join(', ')}`);
}

type AnyOptimizer = optim.Optimizer & { loadStateDict(state: optim.OptimizerStateDict): void };
type OptimizerClass = new (params: unknown, options: unknown) => AnyOptimizer;

const stateDictOf = ({ groups, entries }: SavedState): optim.OptimizerStateDict =>
  ({
    param_groups: groups.map((group) => Object.fromEntries(namedValues(group))),
    state: Object.fromEntries(entries.map(([at, own]) => [at, Object.fromEntries(namedValues(own))])),
  }) as unknown as optim.OptimizerStateDict;

function runOptimizer(given: OptimizerCase, say: (text: string) => void): void {
  const make = (optim as unknown as Record<string, OptimizerClass>)[given.name];
  if (!make) throw new Found('not available', 'call', given.name);
  const signature = optimizerOptions[given.name];
  if (!signature) throw new Error(`conformance/table.ts has no row for the optimizer ${given.name}`);
  const optionsOf = (named: Named) => (bound(signature, [], namedValues(named))[0] ?? {}) as Record<string, unknown>;
  const options = optionsOf(given.kwargs);
  for (const [name, value] of Object.entries(options))
    if (value instanceof Tensor) throw new ArgumentNotAvailable(`${name} as a tensor`);
  say(callText(`new ${given.name}`, ['parameters', options]));
  if (given.params !== undefined && given.params !== null) {
    const tensors: Tensor[] = [];
    const list = argumentOf(given.params, tensors);
    // Parameters, one of which may stand in several places.
    const owned = tensors.map((t) => new nn.Parameter(t.detach()));
    const places = new Map(tensors.map((t, i) => [t, owned[given.sameAs![i]]]));
    const replaced = (value: unknown): unknown =>
      value instanceof Tensor
        ? places.get(value)
        : Array.isArray(value)
          ? value.map(replaced)
          : typeof value === 'object' && value !== null
            ? Object.fromEntries(Object.entries(value).map(([key, v]) => [camel(key), replaced(v)]))
            : value;
    const params = replaced(list);
    say(callText(`new ${given.name}`, [params, options]));
    if (JSON.stringify(given.params).includes('"weight"')) throw new ArgumentNotAvailable('params with names');
    attempted(given.expected, 'call', () => new make(params, options));
    return;
  }
  const built = (starts: readonly TensorData[]) => {
    const owned = starts.map((data) => new nn.Parameter(tensorOf(data)));
    const params =
      given.groups.length === 0
        ? owned
        : given.groups.map(([own, more]) => ({ params: own.map((i) => owned[i]), ...optionsOf(more) }));
    return { owned, optimizer: new make(params, options) };
  };
  const made = attempted(given.expected, 'call', () => built(given.starts));
  if (!made || given.expected.error) return;
  const steps = given.gradients.length;
  const { outputs, truth, middle, last } = given.expected;
  const walk = ({ owned, optimizer }: ReturnType<typeof built>, from: number, label: string) => {
    for (let at = from; at < steps; at++) {
      owned.forEach((parameter, i) => {
        parameter.grad = at % 3 === 2 && i === 1 ? null : tensorOf(given.gradients[at][i]);
      });
      optimizer.step();
      owned.forEach((parameter, i) => {
        const index = at * owned.length + i;
        // A step adds its own roundings to those before it.
        compareOne(
          `${label}step ${at + 1}, parameter ${i}`,
          parameter,
          outputs![index],
          truth?.outputs?.[index],
          false,
          at + 1,
        );
      });
    }
    if (!last) return;
    const state = optimizer.stateDict();
    for (const [at, own] of last.entries)
      for (const [name, expected] of own) {
        const value = state.state[at]?.[name];
        if (expected === null && (value === null || value === undefined)) continue;
        const looseness = steps * (given.dtype === 'float32' ? 8 : 1);
        compareOne(`${label}state ${at} ${name}`, value, expected, undefined, false, looseness);
      }
  };
  attempted({}, 'steps', () => walk(made, 0, ''));
  if (!middle) return;
  // PyTorch's state of the middle, carried over into a new optimizer.
  attempted({}, 'loadStateDict', () => {
    const carried = built(middle.params);
    carried.optimizer.loadStateDict(stateDictOf(middle.state));
    walk(carried, steps / 2, 'carried over, ');
  });
}

function runSchedule(given: ScheduleCase, say: (text: string) => void): void {
  type Schedule = { step(metric?: number): void };
  const make = (optim as unknown as Record<string, new (...args: unknown[]) => Schedule>)[given.name];
  if (!make) throw new Found('not available', 'call', given.name);
  const values = bound(scheduleSignatures[given.name], [], namedValues(given.kwargs));
  say(callText(`new ${given.name}`, ['optimizer', ...values]));
  const groups = [0.1, 0.05].map((lr) => ({
    params: [new nn.Parameter(tensorOf({ $: 'tensor', shape: [1], dtype: 'float32', data: 'AACAPw==' }))],
    lr,
  }));
  const optimizer = new optim.SGD(groups, { momentum: 0.9 });
  attempted(given.expected, 'call', () => {
    const schedule = new make(optimizer, ...values);
    const expected = given.expected.trace;
    [null, ...given.metrics].forEach((metric, at) => {
      if (metric !== null) {
        optimizer.step();
        schedule.step(...(given.name === 'ReduceLROnPlateau' ? [metric] : []));
      }
      optimizer.paramGroups.forEach(({ lr, momentum }, group) => {
        const [wantedLr, wantedMomentum] = expected?.[at]?.[group] ?? [lr, momentum];
        // A schedule that goes on from its last rate adds a rounding with every step.
        const isNear = (a: number, b: number) =>
          Object.is(a, b) || Math.abs(a - b) <= 1e-14 * 32 * Math.max(Math.abs(a), Math.abs(b), 1e-3);
        if (!isNear(lr, wantedLr) || !isNear(momentum, wantedMomentum))
          throw new Found(
            'differs',
            `step ${at}`,
            `group ${group}: expected lr ${wantedLr}, momentum ${wantedMomentum}; got ${lr}, ${momentum}`,
          );
      });
    });
    return schedule;
  });
}

function runInit(given: InitCase, say: (text: string) => void): void {
  const fill = (nn.init as unknown as Record<string, (...args: unknown[]) => Tensor>)[camel(given.name)];
  if (!fill) throw new Found('not available', 'call', given.name);
  const x = noGrad(() =>
    tensorOf({ $: 'tensor', shape: given.shape, dtype: given.dtype, data: filled(given.shape, given.dtype) }),
  );
  const values = bound(initSignatures[given.name], [x], namedValues(given.kwargs));
  say(callText(`init.${camel(given.name)}`, values));
  manualSeed(given.seed);
  const result = attempted(given.expected, 'call', () => fill(...values));
  if (!given.expected.error) compareOne('output 0', result, given.expected.outputs![0], undefined, true);
}
const filled = (shape: readonly number[], dtype: DType): string => {
  const size = shape.reduce((n, m) => n * m, 1);
  const values = dtype === 'float64' ? new Float64Array(size).fill(7) : new Float32Array(size).fill(7);
  return Buffer.from(values.buffer).toString('base64');
};

// ---- the verdict ----------------------------------------------------------------------------------------------------

/** The ways in which a case is carried out. */
function waysOf(given: Case): string[] {
  if (given.kind !== 'function') return [given.source];
  if (given.variant === 'inplace') return ['inplace'];
  const hasMethod = given.source === 'sample' && functionRows.get(given.name)?.method;
  return hasMethod ? ['function', 'method'] : ['function'];
}

function runOne(given: Case, way: string): Verdict {
  const { id, kind, name, source, dtype } = given;
  const verdict: Verdict = { id, kind, name, way, source, dtype, outcome: 'agrees', aspect: '', detail: '', call: '' };
  try {
    if (given.expected.unavailable !== undefined) throw new ArgumentNotAvailable(given.expected.unavailable);
    const say = (text: string) => {
      verdict.call = text;
    };
    if (given.kind === 'function') runFunction(given, way, say);
    else if (given.kind === 'module') runModule(given, say);
    else if (given.kind === 'optimizer') runOptimizer(given, say);
    else if (given.kind === 'scheduler') runSchedule(given, say);
    else runInit(given, say);
  } catch (error) {
    if (error instanceof Found)
      Object.assign(verdict, { outcome: error.outcome, aspect: error.aspect, detail: error.message });
    else if (error instanceof ArgumentNotAvailable || error instanceof NotExpressible)
      Object.assign(verdict, { outcome: 'argument not available', aspect: 'call', detail: error.message });
    else
      Object.assign(verdict, {
        outcome: 'unclear',
        aspect: 'harness',
        detail: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
  }
  if (failures.includes(verdict.outcome)) {
    const facts = {
      verdict,
      hasIntegralFloat:
        given.kind === 'function' &&
        (given.args.some(hasIntegralFloat) || given.kwargs.some(([, v]) => hasIntegralFloat(v))),
    };
    const row = intendedRow(facts);
    if (row) Object.assign(verdict, { outcome: 'intended', row: row.id });
  }
  return verdict;
}

export const runCase = (given: Case): Verdict[] => waysOf(given).map((way) => runOne(given, way));
