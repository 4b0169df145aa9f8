// Optimizer: parameter groups, states, their saving and loading in PyTorch's layout. The update rules are one file each
// beside this.
import { enableGrad, noGrad } from '../autograd/grad_mode.ts';
import { requireInteger, requireNumber, shown } from '../checks.ts';
import { ArgumentTypeError, ValueError } from '../errors.ts';
import { to } from '../ops/convert.ts';
import { declareOptions, kind, type Options, required, requireOptions } from '../options.ts';
import { snakeText } from '../python_text.ts';
import { inFormat } from '../tensor/copy.ts';
import { fill, isTensorJSON, readTensorJSON, tensor } from '../tensor/create.ts';
import { type DType, isFloat } from '../tensor/dtype.ts';
import { scope } from '../tensor/scope.ts';
import { formatShape, type MemoryFormat, type Shape, sameShape } from '../tensor/shape.ts';
import { outsideScopes } from '../tensor/storage.ts';
import { allocate, keep, Tensor, type TensorJSON } from '../tensor/tensor.ts';
import { gradientOf, requireAlike } from './parameter_table.ts';
import { toCamel } from './state_names.ts';

/** Parameters with options of their own; what is left out is the optimizer's. */
export type GroupSpec<O> = Partial<O> & {
  /** The parameters of the group. */
  params: Iterable<Tensor> | Tensor;
  /** The rate at the beginning, for schedules that go on from a last epoch. */
  initialLr?: number;
};
/** A group as the optimizer holds it. Options may be changed between steps; schedules do. */
export type ParamGroup<O> = O & {
  /** The parameters of the group. */
  params: Tensor[];
  /** The rate at the beginning, which schedules remember here. */
  initialLr?: number;
};
/** What an optimizer optimizes: parameters, or groups of them with options of their own. */
export type ParamsArgument<O> = Iterable<Tensor> | Iterable<GroupSpec<O>>;

/** What an optimizer remembers of one parameter: tensors, numbers, lists of them. */
export type ParameterState = Record<string, Tensor | number | (Tensor | number)[]>;
/** The same as a state dict has it; what went through JSON is no tensor yet. */
export type SavedState = Record<string, SavedValue | SavedValue[]>;
/** One value of it. */
export type SavedValue = Tensor | TensorJSON | number | null;

/** PyTorch's layout: states and groups refer to parameters by their position over all groups. */
export interface OptimizerStateDict {
  /** What is remembered of each parameter, by its position. */
  state: Record<number, SavedState>;
  /** The groups: their options under PyTorch's names, and the positions of their parameters. */
  param_groups: ({ params: number[] } & Record<string, unknown>)[];
}

/** What every optimizer has at least. PyTorch's `foreach`, `fused`, `capturable` and `differentiable` are not taken. */
export interface RateOption {
  /** The learning rate, at least 0. Each optimizer says its default. */
  lr: number;
}
/** What most optimizers have. */
export interface CommonOptions extends RateOption {
  /**
   * How much of each parameter is added to its gradient; where it is decoupled, as in AdamW, how much the parameter
   * shrinks by, times lr. Default: 0; of AdamW 1e-2.
   */
  weightDecay: number;
  /** Climb instead of descending. Default: false. */
  maximize: boolean;
}

/** The options that were given; undefined means left out. */
const given = <T extends object>(options: T): Partial<T> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;

/** What may stand in the options of an optimizer with these defaults. */
export function optionsOf<O extends object>(defaults: O): Options<Partial<O>> {
  const kinds = Object.entries(defaults).map(([name, value]) => [
    name,
    typeof value === 'boolean' ? kind.flag : typeof value === 'number' ? kind.number : kind.own,
  ]);
  return declareOptions<Partial<O>>(Object.fromEntries(kinds) as never);
}

/** Of a group, apart from what an optimizer calls its own. */
interface GroupOptions {
  params: unknown;
  initialLr?: number;
}

/** Options of `zeroGrad`. */
export interface ZeroGradOptions {
  /** Set the gradients to null, or else to zeros. Default: true. */
  setToNone?: boolean;
}
const zeroGradOptions = declareOptions<ZeroGradOptions>({ setToNone: kind.flag });

/** A condition on one option and PyTorch's words where it fails. */
export type Check<O> = readonly [isValid: (options: O) => boolean, message: (options: O) => string];

/** A number that is finite and at least 0: Infinity and NaN would be in every parameter after one step. */
export const isRate = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value < Infinity;

export const commonChecks: readonly [rate: Check<RateOption>, decay: Check<CommonOptions>] = [
  [({ lr }) => isRate(lr), ({ lr }) => `Invalid learning rate: ${shown(lr)}`],
  [({ weightDecay }) => isRate(weightDecay), ({ weightDecay }) => `Invalid weightDecay value: ${shown(weightDecay)}`],
];

/** Whether a value is at least 0 and below 1. */
const isFraction = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value < 1;
/** Of Adam and its relatives. */
export const adamChecks: readonly Check<CommonOptions & { eps: number; betas: readonly [number, number] }>[] = [
  commonChecks[0],
  [({ eps }) => isRate(eps), ({ eps }) => `Invalid epsilon value: ${shown(eps)}`],
  [({ betas }) => Array.isArray(betas) && betas.length === 2, ({ betas }) => `Invalid betas: ${shown(betas)}`],
  [({ betas }) => isFraction(betas[0]), ({ betas }) => `Invalid beta parameter at index 0: ${shown(betas[0])}`],
  [({ betas }) => isFraction(betas[1]), ({ betas }) => `Invalid beta parameter at index 1: ${shown(betas[1])}`],
  commonChecks[1],
];

/** Decides whether a step is taken, and is told whether it was; see staged_statistics.ts. */
export interface StepGuard {
  /** Whether the step may be taken; asked when gradients are complete. */
  permits(): boolean;
  /** Called after the step, with false where a guard did not permit it: then nothing has moved. */
  settle(wasTaken: boolean): void;
}

/**
 * Base of the optimizers (PyTorch: `optim.Optimizer`). `O`: the options of a group.
 *
 * An optimizer of one's own gives its default options and an `update`, which moves the parameters of one group in
 * place. It is called without recording gradients, and all that it makes goes when it is done: what a parameter's next
 * step needs is kept by `buffer`, numbers by `stateOf`. Groups, schedules, state dicts and their loading are there.
 * @example
 * class Lion extends Optimizer<CommonOptions & { beta: number }> {
 *   constructor(params: ParamsArgument<CommonOptions & { beta: number }>, options = {}) {
 *     super(params, options, { lr: 1e-4, beta: 0.9, weightDecay: 0, maximize: false });
 *   }
 *   protected update({ lr, beta, ...group }: CommonOptions & { beta: number }, params: readonly Tensor[]) {
 *     for (const p of params) {
 *       const momentum = this.buffer(p, 'exp_avg').lerp_(this.gradient(p, group), 1 - beta);
 *       p.sub_(momentum.sign(), { alpha: lr });
 *     }
 *   }
 * }
 */
export abstract class Optimizer<O extends RateOption = CommonOptions> {
  /** The groups of parameters with their options, which may be changed between steps. */
  readonly paramGroups: ParamGroup<O>[] = [];
  /** The options of a group that has none of its own. */
  readonly defaults: O;
  /** What is remembered of each parameter; empty before its first step. */
  readonly state = new Map<Tensor, ParameterState>();
  /** How often `step` was called; schedules look whether it was. */
  stepCount = 0;
  /** `never`, so that an optimizer of any options is an `Optimizer` to the compiler, in src/ as in the package. */
  private readonly checks: readonly Check<never>[];
  private readonly groupOptions: Options<GroupOptions>;
  private readonly guards = new Set<StepGuard>();

  constructor(
    params: ParamsArgument<O>,
    options: Partial<O>,
    defaults: O,
    checks: readonly Check<O>[] = [commonChecks[0]],
  ) {
    const known = optionsOf(defaults);
    requireOptions(this.constructor.name, options, known);
    const own = { params: required(kind.own), initialLr: kind.number };
    this.groupOptions = declareOptions<GroupOptions>({ ...own, ...known.kinds });
    this.defaults = { ...defaults, ...given(options) };
    this.checks = checks;
    this.validate(this.defaults);
    if (params instanceof Tensor || typeof (params as Iterable<unknown>)?.[Symbol.iterator] !== 'function')
      throw new ArgumentTypeError(
        `params argument given to the optimizer should be an iterable of Tensors or of groups { params, … }, but got ${shown(params)}`,
      );
    const list = [...(params as Iterable<Tensor | GroupSpec<O>>)];
    if (list.length === 0) throw new ValueError('optimizer got an empty parameter list');
    if (list[0] instanceof Tensor) this.addParamGroup({ params: list as Tensor[] } as unknown as GroupSpec<O>);
    else for (const group of list) this.addParamGroup(group as GroupSpec<O>);
  }

  /**
   * Updates the parameters of one group in place, those that have a gradient. No gradients are recorded, and tensors
   * made here are released afterwards, but for `buffer`'s.
   */
  protected abstract update(group: ParamGroup<O>, withGradient: readonly Tensor[]): void;

  private validate(options: O): void {
    for (const [isValid, message] of this.checks)
      if (!isValid(options as never)) throw new ValueError(message(options as never));
  }

  /**
   * Adds parameters, with their own options, to what is optimized (PyTorch: `add_param_group`).
   * @throws ValueError on impossible options, on tensors that are no leaves, and on parameters given twice.
   */
  addParamGroup(spec: GroupSpec<O>): void {
    if (typeof spec !== 'object' || spec === null)
      throw new ArgumentTypeError(`a parameter group must be an object { params, … }, but got ${shown(spec)}`);
    requireOptions(this.constructor.name, spec as GroupOptions, this.groupOptions);
    if (!(spec.params instanceof Tensor) && typeof spec.params?.[Symbol.iterator] !== 'function')
      throw new ArgumentTypeError(`[${this.constructor.name}] expected tensors as params, got ${shown(spec.params)}`);
    const params = spec.params instanceof Tensor ? [spec.params] : [...spec.params];
    for (const param of params) {
      if (!(param instanceof Tensor))
        throw new ArgumentTypeError(
          `optimizer can only optimize Tensors, but one of the params is ${param === null ? 'null' : typeof param}`,
        );
      if (!param.isLeaf) throw new ValueError("can't optimize a non-leaf Tensor");
      if (!isFloat(param.dtype))
        throw new ValueError(`[addParamGroup] expected parameters of a float dtype, got ${param.dtype}`);
    }
    if (new Set(params).size !== params.length)
      throw new ValueError('optimizer contains a parameter group with duplicate parameters');
    const held = new Set(this.paramGroups.flatMap((group) => group.params));
    if (params.some((param) => held.has(param)))
      throw new ValueError('some parameters appear in more than one parameter group');
    const group = { ...this.defaults, ...given(spec), params } as ParamGroup<O>;
    this.validate(group);
    this.paramGroups.push(group);
  }

  /** Forgets the gradients of all parameters: sets them to null, or to 0 with `setToNone: false`. */
  zeroGrad(options?: ZeroGradOptions): void {
    requireOptions('zeroGrad', options, zeroGradOptions);
    const setToNone = options?.setToNone ?? true;
    for (const { params } of this.paramGroups)
      for (const param of params) {
        const gradient = param.peekGrad();
        if (setToNone) param.dropGrad();
        else if (gradient?.requiresGrad) param.grad = keep(gradient.detach()).zero_();
        else gradient?.zero_();
      }
  }

  /**
   * Moves all parameters along their gradients (PyTorch: `Optimizer.step`). Where a guard, such as `stageStatistics`,
   * does not permit the step, parameters and states stay as they are.
   */
  step(): void;
  /** The same, after a closure, which computes the loss anew and calls backward; returns what that returns. */
  step<R>(closure: () => R): R;
  step<R>(closure?: () => R): R | undefined {
    const result = closure && enableGrad(closure);
    const guards = [...this.guards];
    const isPermitted = guards.map((guard) => guard.permits()).every(Boolean);
    if (isPermitted) this.updateAll();
    this.stepCount++;
    for (const guard of guards) guard.settle(isPermitted);
    return result;
  }

  private updateAll(): void {
    for (const group of this.paramGroups) {
      const withGradient = group.params.filter((param) => param.peekGrad() !== null);
      // The version rises, so that autograd notices the change of a saved tensor.
      for (const param of withGradient) param.storage.beginChange();
      if (withGradient.length > 0) noGrad(() => scope(() => this.update(group, withGradient)));
    }
  }

  /** Lets a guard decide about every step from now on; returns what removes it. */
  addStepGuard(guard: StepGuard): () => void {
    this.guards.add(guard);
    return () => this.guards.delete(guard);
  }

  /** The state of a parameter, made at its first step. */
  protected stateOf(param: Tensor): ParameterState {
    let state = this.state.get(param);
    if (!state) this.state.set(param, (state = {}));
    return state;
  }

  /**
   * The gradient of a parameter as an update rule goes against it: with `weightDecay` times the parameter added, and
   * turned round with `maximize`, where the group has these options.
   */
  protected gradient(param: Tensor, { weightDecay = 0, maximize = false }: Partial<CommonOptions>): Tensor {
    const gradient = maximize ? gradientOf(param).neg() : gradientOf(param);
    return weightDecay === 0 ? gradient : gradient.add(param, { alpha: weightDecay });
  }

  /**
   * A tensor of a parameter's state, of the parameter's shape unless `shapeOfState` says another: `initial` in the
   * parameter's memory order at first, living as long as the optimizer.
   */
  protected buffer(param: Tensor, name: string, initial = 0): Tensor {
    const state = this.stateOf(param);
    const known = state[name];
    const shape = this.shapeOfState(param, name);
    const format = formatFor(shape, param);
    if (known instanceof Tensor) {
      requireAlike(`state '${name}' (made for the module as it was before a conversion?)`, param, known, shape);
      if (known.memoryFormat === format) return known;
      return (state[name] = outsideScopes(() => inFormat(known, format)));
    }
    const made = outsideScopes(() => allocate(shape, param.dtype, format, param.backend));
    fill(made, initial);
    state[name] = made;
    return made;
  }

  /** The shape of a tensor of a parameter's state: the parameter's. */
  protected shapeOfState(param: Tensor, _name: string): Shape {
    return param.shape;
  }

  /**
   * Of a state that is one number: the dtype of the tensor without dimensions that PyTorch keeps it in; null of others.
   * `step` is one, unless more are said.
   */
  protected scalarDtype(name: string, _param: Tensor): DType | null {
    return name === 'step' ? 'float32' : null;
  }

  /** Counts the steps of a parameter and returns the count. */
  protected countStep(param: Tensor): number {
    const state = this.stateOf(param);
    const step = ((state.step as number | undefined) ?? 0) + 1;
    state.step = step;
    return step;
  }

  // ---- saving and loading -------------------------------------------------------------------------------------------

  /**
   * States and options in PyTorch's layout and names. The tensors are the optimizer's own, not copies. JSON carries it,
   * and `loadStateDict` takes what `JSON.parse` gives; `structuredClone` and `postMessage` cannot carry tensors.
   */
  stateDict(): OptimizerStateDict {
    const position = new Map<Tensor, number>();
    for (const { params } of this.paramGroups) for (const param of params) position.set(param, position.size);
    const state: OptimizerStateDict['state'] = {};
    for (const [param, own] of this.state) {
      const index = position.get(param);
      if (index === undefined) continue;
      state[index] = Object.fromEntries(
        Object.entries(own).map(([name, value]) => [name, this.saved(value, this.scalarDtype(name, param))]),
      );
    }
    const groups = this.paramGroups.map(({ params, ...options }) => ({
      ...Object.fromEntries(
        Object.entries(options).map(([name, value]) => [
          snakeText(name),
          typeof value === 'string' ? snakeText(value) : value,
        ]),
      ),
      params: params.map((param) => position.get(param)!),
    }));
    return { state, param_groups: groups };
  }

  private saved(value: ParameterState[string], scalar: DType | null): SavedState[string] {
    if (Array.isArray(value)) return value.map((one) => this.saved(one, scalar) as SavedValue);
    return scalar === null || value instanceof Tensor ? value : tensor(value, { dtype: scalar, device: 'cpu' });
  }

  /**
   * Takes over a state in that layout, PyTorch's too, or one that went through JSON: options as they are there, states
   * copied and converted to the parameters' dtypes and memory orders (PyTorch: `load_state_dict`). All of it is loaded,
   * or nothing.
   * @throws ValueError where groups, their sizes, an option or the shape of a state do not match.
   */
  loadStateDict(stateDict: OptimizerStateDict): void {
    const { param_groups: groups, state } = stateDict ?? {};
    if (!Array.isArray(groups) || !groups.every((group) => Array.isArray(group?.params)) || !isPlain(state))
      throw new ArgumentTypeError(
        `[loadStateDict] expected { state, param_groups } as an optimizer's stateDict() gives them, got ${shown(stateDict)}`,
      );
    if (groups.length !== this.paramGroups.length)
      throw new ValueError('loaded state dict has a different number of parameter groups');
    if (groups.some((group, i) => group.params.length !== this.paramGroups[i].params.length))
      throw new ValueError(
        "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
      );
    const byPosition = new Map<number, Tensor>();
    const loadedOptions = groups.map(({ params, ...options }, i) => {
      const own = this.paramGroups[i];
      params.forEach((position, j) => {
        byPosition.set(position, own.params[j]);
      });
      const loaded = Object.fromEntries(
        Object.entries(options).map(([name, value]) => [
          toCamel(name),
          typeof value === 'string' ? toCamel(value) : value,
        ]),
      );
      for (const [name, value] of Object.entries(loaded))
        if (name in this.defaults) requireKind(name, value, this.defaults[name as keyof O]);
      this.validate({ ...own, ...loaded });
      return loaded;
    });
    const states = new Map<Tensor, ParameterState>();
    for (const [position, saved] of Object.entries(state)) {
      const param = byPosition.get(Number(position));
      if (param) states.set(param, this.loadedState(position, saved, param));
    }
    loadedOptions.forEach((options, i) => {
      Object.assign(this.paramGroups[i], options);
    });
    this.state.clear();
    for (const [param, own] of states) this.state.set(param, own);
  }

  private loadedState(position: string, saved: unknown, param: Tensor): ParameterState {
    if (!isPlain(saved))
      throw new ArgumentTypeError(`[loadStateDict] expected an object as state ${position}, got ${shown(saved)}`);
    const own: ParameterState = {};
    for (const [name, each] of Object.entries(saved)) {
      if (each === null || each === undefined) continue;
      const where = `state '${name}' of parameter ${position}`;
      own[name] = Array.isArray(each)
        ? each.map((one) => this.loadedValue(name, one, param, where))
        : this.loadedValue(name, each, param, where);
    }
    return own;
  }

  private loadedValue(name: string, saved: unknown, param: Tensor, where: string): Tensor | number {
    const value =
      saved instanceof Tensor || !isTensorJSON(saved) ? saved : readTensorJSON(`loadStateDict, ${where}`, saved);
    if (this.scalarDtype(name, param) !== null || !(value instanceof Tensor)) {
      const number = value instanceof Tensor ? value.item() : value;
      return name === 'step'
        ? requireInteger('loadStateDict', where, number, 0)
        : requireNumber('loadStateDict', where, number);
    }
    const shape = this.shapeOfState(param, name);
    if (sameShape(value.shape, shape)) return adopted(value, param);
    const source = shape === param.shape ? ', as the parameter has' : '';
    throw new ValueError(
      `[loadStateDict] expected ${where} of shape ${formatShape(shape)}${source}, got ${formatShape(value.shape)}`,
    );
  }

  /** The groups and their options as PyTorch prints them. */
  toString(): string {
    const groups = this.paramGroups.map(({ params: _, ...options }, i) => {
      const lines = Object.entries(options)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => `    ${name}: ${value}\n`);
      return `Parameter Group ${i}\n${lines.join('')}`;
    });
    return `${this.constructor.name} (\n${groups.join('\n')})`;
  }
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Refuses a loaded option of another kind than the default; one that may be null is left to the optimizer's checks. */
function requireKind(name: string, value: unknown, own: unknown): void {
  if (own === null) return;
  const kind = (v: unknown) => (Array.isArray(v) ? `an array of ${v.length}` : `a ${typeof v}`);
  const areNumbers =
    !Array.isArray(value) ||
    value.every((item, i) => typeof item === 'number' || (item === null && (own as unknown[])[i] === null));
  if (kind(value) !== kind(own) || !areNumbers)
    throw new ValueError(`[loadStateDict] expected ${kind(own)} as option '${name}', got ${shown(value)}`);
}

/** The memory order of a state: the parameter's, where it has as many dimensions. */
const formatFor = (shape: Shape, param: Tensor): MemoryFormat =>
  shape.length === param.rank ? param.memoryFormat : 'contiguous';

/** An own copy of a loaded state, as its parameter is. */
function adopted(value: Tensor, param: Tensor): Tensor {
  return outsideScopes(() => {
    const detached = value.detach();
    const format = formatFor(value.shape, param);
    const converted = inFormat(to(detached, { dtype: param.dtype, device: param.device }), format);
    return converted.storage === value.storage ? converted.clone() : converted;
  });
}
