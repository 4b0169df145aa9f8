// How arguments of PyTorch become those of the library: a signature in one line, in PyTorch's order.
//   'x dim {keepdim} !dtype'       x and dim by position, keepdim in the options object behind them; dtype the library does not have
//   'x *shape'                     the rest, numbers or one array of them, as an array
//   'x start_dim=start'            named otherwise in PyTorch than the camelCase rule says
//   'x min:number'                 of this kind only; PyTorch takes tensors too
//   '!alpha=1'                     the library does not have it, which does not matter where it is the default
//   '!stable=*'                    the library does not have it, and does what any value of it allows
import { Tensor } from '../src/index.ts';
import { snake } from './case.ts';

/** An argument that the library does not have, by its name. */
export class ArgumentNotAvailable extends Error {}

interface Parameter {
  torch: string;
  ours: string;
  place: 'position' | 'option' | 'rest' | 'missing';
  kind: string | null;
  /** As text: 'None', 'true', '1'. */
  fallback: string | null;
}

export function parametersOf(signature: string): Parameter[] {
  let isOption = false;
  return signature.split(/\s+/).map((word) => {
    if (word.startsWith('{')) isOption = true;
    const place = isOption ? 'option' : 'position';
    if (word.endsWith('}')) isOption = false;
    const [, mark, name, kind, value] = /^\{?([!*]?)(\w+)(?::(\w+))?(?:=([^}]*))?\}?$/.exec(word)!;
    if (mark === '!')
      return { torch: snake(name), ours: name, place: 'missing', kind: null, fallback: value ?? 'null' } as const;
    return {
      torch: value === undefined ? snake(name) : name,
      ours: value ?? name,
      place: mark === '*' ? 'rest' : place,
      kind: kind ?? null,
      fallback: null,
    } as const;
  });
}

/** Of plain values and lists of them. */
const isSame = (a: unknown, b: unknown): boolean =>
  Array.isArray(a) && Array.isArray(b) ? a.length === b.length && a.every((one, i) => isSame(one, b[i])) : a === b;
const isOfKind = (value: unknown, kind: string): boolean =>
  kind === 'tensor' ? value instanceof Tensor : kind === 'number' ? typeof value === 'number' : typeof value === kind;

/**
 * The library's arguments. `isNullMeant`: None is a value of the library's too (layers), not the same as left out.
 * @throws ArgumentNotAvailable
 */
export function bound(
  signature: string,
  args: readonly unknown[],
  kwargs: ReadonlyMap<string, unknown>,
  { isNullMeant = false, defaults = new Map<string, unknown>() } = {},
): unknown[] {
  const parameters = parametersOf(signature);
  const given = new Map<Parameter, unknown>();
  args.forEach((value, i) => {
    const parameter = parameters[i] ?? parameters.at(-1);
    if (parameter?.place === 'rest') {
      const rest = args.slice(parameters.indexOf(parameter));
      given.set(parameter, rest.length === 1 && Array.isArray(rest[0]) ? rest[0] : rest);
    } else if (i < parameters.length) given.set(parameters[i], value);
    else throw new ArgumentNotAvailable(`positional argument ${i}`);
  });
  for (const [name, value] of kwargs) {
    const known = parameters.find(({ torch }, i) => torch === name || (i === 0 && name === 'input'));
    if (known) given.set(known, value);
    else if (value !== null && !isSame(defaults.get(name), value)) throw new ArgumentNotAvailable(name);
  }
  const positional: unknown[] = [];
  const options: Record<string, unknown> = {};
  for (const parameter of parameters) {
    const { torch, ours, place, kind, fallback } = parameter;
    let value = given.get(parameter);
    if (place === 'missing') {
      if (value !== undefined && value !== null && fallback !== '*' && String(value) !== fallback)
        throw new ArgumentNotAvailable(torch);
      continue;
    }
    if (value === null && !isNullMeant) value = undefined;
    if (kind && value !== undefined && value !== null && !isOfKind(value, kind))
      throw new ArgumentNotAvailable(`${torch} that is no ${kind}`);
    if (place !== 'option') positional.push(value);
    else if (value !== undefined) options[ours] = value;
  }
  while (positional.length > 0 && positional.at(-1) === undefined && Object.keys(options).length === 0)
    positional.pop();
  if (parameters.some(({ place }) => place === 'option') && Object.keys(options).length > 0) positional.push(options);
  return positional;
}
