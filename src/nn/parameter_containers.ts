// Modules that hold parameters: ParameterList, ParameterDict. Both keep them in the module's own registry, under their
// positions or names.

import { shown } from '../checks.ts';
import { ArgumentTypeError, KeyError, RuntimeError } from '../errors.ts';
import type { DType } from '../tensor/dtype.ts';
import { Tensor } from '../tensor/tensor.ts';
import { positionIn } from './containers.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';
import { Parameter } from './parameter.ts';

/** Adds a parameter to a module, or puts it in the place of the one of that name. */
function put(owner: Module, name: string, value: Tensor): void {
  if (!(value instanceof Tensor))
    throw new ArgumentTypeError(`[${owner.constructor.name}] expected a Tensor, got ${shown(value)}`);
  const parameter = value instanceof Parameter ? value : new Parameter(value);
  if (owner.ownParameters().has(name)) (owner as unknown as Record<string, Parameter>)[name] = parameter;
  else owner.registerParameter(name, parameter);
}

const entriesOf = (owner: Module): [string, Parameter][] =>
  [...owner.ownParameters()].filter((entry): entry is [string, Parameter] => entry[1] !== null);

const line = (name: string | number, kind: string, { shape }: Tensor): string =>
  `  (${name}): Parameter containing: [${kind} of size ${shape.join('x')}]`;

/**
 * A list of parameters (PyTorch: `nn.ParameterList`). Iterable; `at`, `set`, `append`, `extend`, `slice`. Tensors that
 * are no parameters become ones, which share their memory. Names in the state dict are 0, 1, 2, ….
 * @throws ArgumentTypeError on what is no tensor; PyTorch lets lists hold anything.
 * @example
 * const scales = new ParameterList([ones([6]), zeros([6])]);
 * const y = x.mul(scales.at(0).view([6, 1, 1]));
 */
export class ParameterList extends Module implements Iterable<Parameter> {
  readonly [index: number]: Parameter;

  constructor(values: Iterable<Tensor> = []) {
    super();
    this.extend(values);
  }

  /** A list cannot be called: its owner uses what it holds. */
  forward(): never {
    throw new RuntimeError('ParameterList should not be called.');
  }

  /** Number of parameters. */
  override get length(): number {
    return entriesOf(this).length;
  }

  /** The parameters in their order. */
  [Symbol.iterator](): Iterator<Parameter> {
    return entriesOf(this)
      .map(([, parameter]) => parameter)
      [Symbol.iterator]();
  }

  /**
   * The parameter at a position; negative ones count from the end.
   * @throws IndexError where there is none.
   */
  at(index: number): Parameter {
    const entries = entriesOf(this);
    return entries[positionIn(entries.length, index)][1];
  }

  /**
   * Puts a parameter in the place of another.
   * @throws IndexError where there is none at that position.
   */
  set(index: number, value: Tensor): void {
    const entries = entriesOf(this);
    put(this, entries[positionIn(entries.length, index)][0], value);
  }

  /** Adds a parameter at the end (PyTorch: `append`). */
  append(value: Tensor): this {
    put(this, String(this.length), value);
    return this;
  }

  /** Adds parameters at the end (PyTorch: `extend`). */
  extend(values: Iterable<Tensor>): this {
    const given: unknown = values;
    if (given instanceof Tensor || typeof (given as Iterable<Tensor> | null)?.[Symbol.iterator] !== 'function')
      throw new ArgumentTypeError(
        `ParameterList.extend should be called with an iterable, but got ${given instanceof Tensor ? 'Tensor' : shown(given)}`,
      );
    for (const value of [...values]) this.append(value);
    return this;
  }

  /** A new list of the same parameters from `start` to, not including, `end`. */
  slice(start?: number, end?: number): ParameterList {
    return new ParameterList([...this].slice(start, end));
  }

  override extraRepr(): string {
    return [...this].map((parameter, i) => line(i, `torch.${parameter.dtype}`, parameter)).join('\n');
  }
}

/** What ParameterDict takes: an object, a Map or another one. */
export type NamedTensors = Readonly<Record<string, Tensor>> | Iterable<readonly [string, Tensor]>;

/** The names of PyTorch's classes of tensors, which its dictionaries print. */
const typeNames: Record<DType, string> = {
  bool: 'BoolTensor',
  uint8: 'ByteTensor',
  int32: 'IntTensor',
  int64: 'LongTensor',
  float32: 'FloatTensor',
  float64: 'DoubleTensor',
};

/**
 * Parameters under names (PyTorch: `nn.ParameterDict`). Iterates over [name, parameter]. Tensors that are no parameters
 * become ones, which share their memory. As in PyTorch, the entries of a plain object are added in the order of their
 * sorted names, those of a Map or another ParameterDict in their own.
 * @throws ArgumentTypeError on what is no tensor; PyTorch lets dictionaries hold anything.
 * @example
 * const weights = new ParameterDict({ left: randn([5, 10]), right: randn([5, 10]) });
 * const z = randn([2, 5]).matmul(weights.get('left'));
 */
export class ParameterDict extends Module implements Iterable<[string, Parameter]> {
  constructor(parameters: NamedTensors = {}) {
    super();
    this.update(parameters);
  }

  /** A dictionary cannot be called: its owner uses what it holds. */
  forward(): never {
    throw new RuntimeError('ParameterDict should not be called.');
  }

  /** The number of parameters. */
  get size(): number {
    return entriesOf(this).length;
  }

  /**
   * The parameter of a name.
   * @throws KeyError where there is none.
   */
  get(name: string): Parameter;
  /** The parameter of a name, or the fallback where there is none. */
  get<T>(name: string, fallback: T): Parameter | T;
  get(name: string, ...fallback: unknown[]): unknown {
    const found = this.ownParameters().get(name);
    if (!found && fallback.length === 0) throw new KeyError(name);
    return found ?? fallback[0];
  }

  /** Whether there is a parameter of that name. */
  has(name: string): boolean {
    return Boolean(this.ownParameters().get(name));
  }

  /** Adds a parameter or replaces the one of that name. */
  set(name: string, value: Tensor): this {
    put(this, name, value);
    return this;
  }

  /** The parameter of a name; where there is none, it is set to `value` first (PyTorch: `setdefault`). */
  setdefault(name: string, value: Tensor): Parameter {
    if (!this.has(name)) this.set(name, value);
    return this.get(name);
  }

  /** Adds all of an object's, a Map's or another dictionary's parameters, or replaces those of their names. */
  update(parameters: NamedTensors): this {
    const given: unknown = parameters;
    if (given instanceof Tensor || given === null || (typeof given !== 'object' && !(given instanceof Module)))
      throw new ArgumentTypeError(
        `ParametersDict.update should be called with an iterable of key/value pairs, but got ${given instanceof Tensor ? 'Tensor' : shown(given)}`,
      );
    const entries =
      Symbol.iterator in parameters
        ? [...(parameters as Iterable<readonly [string, Tensor]>)]
        : Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, value] of entries) this.set(name, value);
    return this;
  }

  /**
   * Takes a parameter out and returns it.
   * @throws KeyError where there is none of that name.
   */
  pop(name: string): Parameter {
    const found = this.get(name);
    this.unregisterTensor(name);
    return found;
  }

  /**
   * Takes the last parameter out and returns it with its name (PyTorch: `popitem`).
   * @throws KeyError where there is none.
   */
  popitem(): [string, Parameter] {
    const last = entriesOf(this).at(-1);
    if (!last) throw new KeyError('dictionary is empty');
    this.unregisterTensor(last[0]);
    return last;
  }

  /** Takes all parameters out. */
  clear(): void {
    for (const name of this.keys()) this.unregisterTensor(name);
  }

  /** A new dictionary of the same parameters. */
  copy(): ParameterDict {
    return new ParameterDict(this);
  }

  /** A new dictionary with `value` under each of the names (PyTorch: `fromkeys`). */
  fromkeys(names: Iterable<string>, value: Tensor): ParameterDict {
    return new ParameterDict([...names].map((name) => [name, value] as const));
  }

  /** All names in their order. */
  keys(): string[] {
    return entriesOf(this).map(([name]) => name);
  }
  /** All parameters in their order. */
  values(): Parameter[] {
    return entriesOf(this).map(([, parameter]) => parameter);
  }
  /** Names and parameters in their order. */
  items(): [string, Parameter][] {
    return entriesOf(this);
  }
  /** Names and parameters in their order. */
  [Symbol.iterator](): Iterator<[string, Parameter]> {
    return entriesOf(this)[Symbol.iterator]();
  }

  override extraRepr(): string {
    return entriesOf(this)
      .map(([name, parameter]) => line(name, `torch.${typeNames[parameter.dtype]}`, parameter))
      .join('\n');
  }
}

declareModules({ ParameterList, ParameterDict });
