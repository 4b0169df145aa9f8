// Carries out an optimizer's case, a schedule's, or an initial value's.
import { full, manualSeed, ones, Tensor } from '../src/index.ts';
import * as nn from '../src/nn/index.ts';
import * as optim from '../src/optim/index.ts';
import {
  argumentOf,
  camel,
  type InitCase,
  type Named,
  namedValues,
  type OptimizerCase,
  type SavedState,
  type ScheduleCase,
  type TensorData,
  tensorOf,
} from './case.ts';
import { compareOne } from './compare.ts';
import { ArgumentNotAvailable, bound } from './signature.ts';
import { initSignatures, optimizerOptions, scheduleSignatures } from './table.ts';
import { attempted, callText, Found } from './verdict.ts';

type AnyOptimizer = optim.Optimizer & { loadStateDict(state: optim.OptimizerStateDict): void };
type OptimizerClass = new (params: unknown, options: unknown) => AnyOptimizer;

const stateDictOf = ({ groups, entries }: SavedState): optim.OptimizerStateDict =>
  ({
    param_groups: groups.map((group) => Object.fromEntries(namedValues(group))),
    state: Object.fromEntries(entries.map(([at, own]) => [at, Object.fromEntries(namedValues(own))])),
  }) as unknown as optim.OptimizerStateDict;

/** As in torch_cases.py: the loss p·g + p²/2 + p⁴/40 and its gradients, the same at every step. */
const closureOf = (parameters: readonly nn.Parameter[], slopes: readonly Tensor[]) => (): number => {
  let loss = 0;
  parameters.forEach((parameter, i) => {
    const [p, g] = [parameter.detach(), slopes[i]];
    parameter.grad = g.add(p).add(p.pow(3).div(10));
    loss += p.mul(g).add(p.pow(2).div(2)).add(p.pow(4).div(40)).sum().item();
  });
  return loss;
};

const isNear = (a: number, b: number, looseness: number) =>
  Object.is(a, b) || Math.abs(a - b) <= 1e-14 * looseness * Math.max(Math.abs(a), Math.abs(b), 1e-3);

/** Modes, and names of functions, are written as the library's own names. */
const namesAsHere = (named: Named): Map<string, unknown> =>
  new Map([...namedValues(named)].map(([name, value]) => [name, typeof value === 'string' ? camel(value) : value]));

export function runOptimizer(given: OptimizerCase, say: (text: string) => void): void {
  const make = (optim as unknown as Record<string, OptimizerClass>)[given.name];
  if (!make) throw new Found('not available', 'call', given.name);
  const signature = optimizerOptions[given.name];
  if (!signature) throw new Error(`conformance/table.ts has no row for the optimizer ${given.name}`);
  const optionsOf = (named: Named) => (bound(signature, [], namesAsHere(named))[0] ?? {}) as Record<string, unknown>;
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
  const isLbfgs = given.name === 'LBFGS';
  const slopes = given.gradients[0].map((data) => tensorOf(data));
  // A step adds its own roundings to those before it; LBFGS has 20 iterations in a step.
  const loosenessAt = (step: number) => (isLbfgs ? 20 : 1) * step;
  const { outputs, truth, middle, last } = given.expected;
  const walk = ({ owned, optimizer }: ReturnType<typeof built>, from: number, label: string) => {
    for (let at = from; at < steps; at++) {
      owned.forEach((parameter, i) => {
        parameter.grad = at % 3 === 2 && i === 1 ? null : tensorOf(given.gradients[at][i]);
      });
      if (isLbfgs) optimizer.step(closureOf(owned, slopes));
      else optimizer.step();
      owned.forEach((parameter, i) => {
        const index = at * owned.length + i;
        compareOne(`${label}step ${at + 1}, parameter ${i}`, parameter, outputs![index], truth?.outputs?.[index], {
          looseness: loosenessAt(at + 1),
        });
      });
    }
    // In float32 it is a rounding that decides when LBFGS ends a step.
    if (!last || (isLbfgs && given.dtype === 'float32')) return;
    const state = optimizer.stateDict();
    for (const [at, own] of last.entries)
      for (const [name, expected] of own) {
        // Working memory of a step of LBFGS.
        if (name === 'al') continue;
        const value = state.state[at]?.[name];
        if (expected === null && (value === null || value === undefined)) continue;
        const looseness = loosenessAt(steps) * (given.dtype === 'float32' ? 8 : 1);
        const where = `${label}state ${at} ${name}`;
        if (Array.isArray(expected))
          expected.forEach((one, i) => {
            compareOne(`${where}[${i}]`, (value as unknown[])[i], one, undefined, { looseness });
          });
        else {
          // Some of LBFGS's numbers are tensors there where a search has found them.
          const isNumber = typeof expected === 'number' && value instanceof Tensor;
          const plain = isNumber ? value.item() : value;
          if (typeof expected === 'number' && typeof plain === 'number' && isNear(plain, expected, looseness)) continue;
          compareOne(where, plain, expected, undefined, { looseness });
        }
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

export function runSchedule(given: ScheduleCase, say: (text: string) => void): void {
  type Schedule = { step(metric?: number): void };
  const make = (optim as unknown as Record<string, new (...args: unknown[]) => Schedule>)[given.name];
  if (!make) throw new Found('not available', 'call', given.name);
  const values = bound(scheduleSignatures[given.name], [], namesAsHere(given.kwargs));
  say(callText(`new ${given.name}`, ['optimizer', ...values]));
  const groups = [0.1, 0.05].map((lr) => ({
    params: [new nn.Parameter(ones([2]))],
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
        if (!isNear(lr, wantedLr, 32) || !isNear(momentum, wantedMomentum, 32))
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

export function runInit(given: InitCase, say: (text: string) => void): void {
  const fill = (nn.init as unknown as Record<string, (...args: unknown[]) => Tensor>)[camel(given.name)];
  if (!fill) throw new Found('not available', 'call', given.name);
  const x = full(given.shape, 7, { dtype: given.dtype });
  const values = bound(initSignatures[given.name], [x], namesAsHere(given.kwargs));
  say(callText(`init.${camel(given.name)}`, values));
  manualSeed(given.seed);
  const result = attempted(given.expected, 'call', () => fill(...values));
  if (!given.expected.error)
    compareOne('output 0', result, given.expected.outputs![0], undefined, {
      isElementwise: given.name !== 'orthogonal_',
    });
}
