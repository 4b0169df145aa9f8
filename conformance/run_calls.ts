// Carries out a function's or layer's case.
import { manualSeed, Tensor } from '../src/index.ts';
import { argumentOf, type FunctionCase, type ModuleCase, namedValues, type TensorData, tensorOf } from './case.ts';
import { compare, compareOne } from './compare.ts';
import { bound } from './signature.ts';
import { callLayer, functionRows, layerRow } from './table.ts';
import { attempted, callText, Found, flatOutputs, type Seen, words } from './verdict.ts';

/** What torch_cases.py seeds with before every call. */
const callSeed = 42;

export function runFunction(given: FunctionCase, way: string, seen: Seen, say: (text: string) => void): void {
  const format = way === 'channelsLast' ? 'channelsLast' : 'contiguous';
  const row = functionRows.get(given.name);
  const name = way === 'method' ? row?.method : way === 'inplace' ? row?.inplace : null;
  const isMethod = way === 'method' || way === 'inplace';
  if (!row || (isMethod ? !name : !row.call)) throw new Found('not available', 'call', given.name);
  const tensors: Tensor[] = [];
  const args = given.args.map((one) => argumentOf(one, tensors, format));
  const kwargs = namedValues(given.kwargs, tensors, format);
  seen.args = [...args, ...kwargs.values()];
  const values = bound(row.signature, args, kwargs);
  say(isMethod ? callText(`${words(values[0])}.${name}`, values.slice(1)) : callText(given.name, values));
  manualSeed(callSeed);
  const [x, ...rest] = values;
  if (isMethod && !(x instanceof Tensor)) throw new Found('not available', 'call', `${name} of no tensor`);
  const receiver = way === 'inplace' ? (x as Tensor).clone() : x;
  const result = attempted(given.expected, 'call', () =>
    isMethod
      ? (receiver as unknown as Record<string, (...args: unknown[]) => unknown>)[name!](...rest)
      : row.call!(...(values as never[])),
  );
  seen.outputs = flatOutputs(result);
  if (given.expected.error) return;
  if (way === 'inplace' && result !== receiver)
    throw new Found('differs', 'output 0', 'an in-place method gives another tensor');
  if (['empty', 'empty_like', 'new_empty'].includes(given.name)) {
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

/** The arguments of a layer's call, the last of which PyTorch may have by name. */
function callArguments(signature: string | null, args: unknown[], keywords: readonly string[]): unknown[] {
  if (signature === null) return args.filter((value, i) => value !== null || i === 0);
  const positional = args.length - keywords.length;
  return bound(signature, args.slice(0, positional), new Map(keywords.map((name, i) => [name, args[positional + i]])));
}

export function runModule(given: ModuleCase, way: string, say: (text: string) => void): void {
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
  const args = given.args!.map((one) => argumentOf(one, tensors, way === 'channelsLast' ? way : 'contiguous'));
  say(callText(`new ${given.name}(${values.map(words).join(', ')})${given.training ? '' : '.eval()'}.call`, args));
  const parameters = new Map(layer.namedParameters());
  const inputs = [...tensors, ...(given.parameters ?? []).map((name) => parameters.get(name)!)];
  manualSeed(callSeed);
  const result = attempted(given.expected, 'call', () =>
    callLayer(layer, ...callArguments(row.callSignature, args, given.keywords ?? [])),
  );
  if (given.expected.error) return;
  attempted({}, 'gradients', () => compare(result, inputs, given.expected, false));
  const state = new Map(layer.stateDict());
  for (const [key, expected] of given.expected.state ?? []) {
    const truth = given.expected.truth?.state?.find(([name]) => name === key)?.[1];
    compareOne(`state ${key}`, state.get(key), expected, truth);
    state.delete(key);
  }
  if (given.expected.state && state.size > 0)
    throw new Found('differs', 'state', `has keys that PyTorch has not: ${[...state.keys()].join(', ')}`);
}
