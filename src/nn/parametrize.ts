// Parametrizations (torch.nn.utils.parametrize): a parameter or buffer of a module that is computed from others
// whenever it is read. The maps themselves, such as weight norm, are in files of their own.

import { noGrad } from '../autograd/grad_mode.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { overwrite } from '../ops/in_place.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { inFormat } from '../tensor/copy.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { ModuleDict, ModuleList } from './containers.ts';
import type { Module } from './module.ts';
import { declareAlike, declareModules } from './module_call.ts';
import { Parameter } from './parameter.ts';

/** A module that computes the value of a parameter from the tensors that are stored instead of it. */
export interface Parametrization extends Module {
  forward(...originals: Tensor[]): Tensor;
  /**
   * The tensors to store for a value that is assigned. Without it nothing can be assigned, and registering stores the
   * value itself.
   */
  rightInverse?(value: Tensor): Tensor | readonly Tensor[];
}

/** Copies a value into a tensor, so that the optimizer still has the same tensor. */
function store(name: string, target: Tensor, value: Tensor): void {
  if (target.dtype !== value.dtype || !sameShape(target.shape, value.shape))
    throw new ValueError(
      `[parametrize] expected ${name} of dtype ${target.dtype} and size ${formatShape(target.shape)}, got ${value.dtype}, ${formatShape(value.shape)}`,
    );
  if (target.storage !== value.storage) overwrite(target, inFormat(value, target.memoryFormat));
}

function requireSame(name: string, before: Tensor, after: unknown): void {
  if (!(after instanceof Tensor)) throw new ValueError(`A parametrization must return a tensor. Got ${typeof after}.`);
  if (after.dtype !== before.dtype || !sameShape(after.shape, before.shape))
    throw new ValueError(
      `Registering a parametrization may not change the dtype or shape of the tensor: module.${name} is ${before.dtype}, ${formatShape(before.shape)}, parametrized ${after.dtype}, ${formatShape(after.shape)}`,
    );
}

/**
 * The maps of one tensor, in the order in which they are applied, and the tensors that the first of them takes:
 * `original`, or `original0`, `original1`, …, where its right inverse gives several (PyTorch: `ParametrizationList`).
 * Made by `registerParametrization`.
 */
export class ParametrizationList extends ModuleList {
  private readonly names: readonly string[];

  constructor(name: string, first: Parametrization, tensor: Tensor) {
    super([first]);
    const stored = noGrad(() => {
      const given = first.rightInverse?.(tensor) ?? tensor;
      requireSame(name, tensor, given instanceof Tensor ? first(given) : first(...given));
      return given;
    });
    const isParameter = tensor instanceof Parameter;
    if (stored instanceof Tensor) {
      noGrad(() => store('original', tensor, stored));
      this.names = ['original'];
      if (isParameter) this.registerParameter('original', tensor);
      else this.registerBuffer('original', tensor);
    } else {
      this.names = stored.map((_, i) => `original${i}`);
      for (const [i, part] of stored.entries())
        if (isParameter)
          this.registerParameter(this.names[i], new Parameter(part, { requiresGrad: tensor.requiresGrad }));
        else this.registerBuffer(this.names[i], part);
    }
  }

  private get maps(): Parametrization[] {
    return [...this] as Parametrization[];
  }

  /** The tensors that are stored; a single one is the one that was parametrized. */
  get originals(): Tensor[] {
    const entries = this as unknown as Record<string, Tensor>;
    return this.names.map((name) => entries[name]);
  }

  /** The value of the tensor. */
  compute(): Tensor {
    const [first, ...rest] = this.maps;
    return rest.reduce((value, map) => map(value), first(...this.originals));
  }

  /** Stores the tensors whose map gives a value, or the nearest one. */
  assign(value: Tensor): void {
    noGrad(() => {
      let stored: Tensor | readonly Tensor[] = value;
      for (const map of this.maps.reverse()) {
        if (!map.rightInverse)
          throw new RuntimeError(`parametrization ${map.constructor.name} does not implement rightInverse.`);
        stored = map.rightInverse(stored as Tensor);
      }
      const parts = stored instanceof Tensor ? [stored] : stored;
      if (parts.length !== this.names.length)
        throw new ValueError(
          `'rightInverse' must return a sequence of tensors of length ${this.names.length}. Got a sequence of length ${parts.length}.`,
        );
      for (const [i, part] of parts.entries()) store(this.names[i], this.originals[i], part);
    });
  }
}

/** The parametrizations of a module; null if it has none. */
function listsOf(module: Module): ModuleDict | null {
  const [, found] = [...module.namedChildren()].find(([name]) => name === 'parametrizations') ?? [];
  return found instanceof ModuleDict ? found : null;
}

/** Whether a tensor of a module, or without a name any of them, is parametrized (PyTorch: `is_parametrized`). */
export function isParametrized(module: Module, name?: string): boolean {
  const lists = listsOf(module);
  return lists !== null && (name === undefined || lists.has(name));
}

/** Gives one module a class of its own, which prints as `ParametrizedLinear` and can have accessors. */
function ownClass(module: Module): void {
  const base = module.constructor;
  const prototype = Object.create(Object.getPrototypeOf(module)) as Module;
  Object.defineProperty(prototype, 'constructor', {
    value: Object.defineProperty(class {}, 'name', { value: `Parametrized${base.name}` }),
    configurable: true,
  });
  declareAlike(prototype, Object.getPrototypeOf(module));
  Object.setPrototypeOf(module, prototype);
}

/**
 * Makes a parameter or buffer of a module the value of a map, computed whenever it is read; assigning to it goes
 * through the map's right inverse (PyTorch: `parametrize.register_parametrization`). On a tensor that is parametrized
 * already, the map follows those before. Returns the module.
 *
 * States have `parametrizations.NAME.original` in the tensor's place, the same object as before; or, where the right
 * inverse gives several tensors, `original0`, `original1`, …, which are new parameters, so build the optimizer
 * afterwards.
 * @throws ValueError where there is no such tensor, or the map changes its dtype or shape.
 * @example
 * class Positive extends Module {
 *   forward(t: Tensor) { return t.exp(); }
 *   rightInverse(t: Tensor) { return log(t); }
 * }
 * const layer = new BatchNorm2d(6);
 * registerParametrization(layer, 'weight', new Positive());
 */
export function registerParametrization<M extends Module>(
  module: M,
  name: string,
  parametrization: Parametrization,
): M {
  parametrization.train(module.training);
  const entries = module as unknown as Record<string, Tensor>;
  const lists = listsOf(module);
  if (lists?.has(name)) {
    const value = entries[name];
    requireSame(name, value, parametrization(value));
    (lists.get(name) as ParametrizationList).append(parametrization);
    return module;
  }
  const tensor = module.ownParameters().get(name) ?? module.ownBuffers().get(name)?.tensor;
  if (!tensor)
    throw new ValueError(
      `Module '${module}' does not have a parameter, a buffer, or a parametrized element with name '${name}'`,
    );
  const list = new ParametrizationList(name, parametrization, tensor).train(module.training);
  module.unregisterTensor(name);
  if (!lists) {
    ownClass(module);
    module.registerModule('parametrizations', new ModuleDict());
  }
  listsOf(module)!.set(name, list);
  Object.defineProperty(Object.getPrototypeOf(module), name, {
    get: () => list.compute(),
    set: (value: Tensor) => list.assign(value),
    configurable: true,
  });
  return module;
}

/** Options of `removeParametrizations`. */
export interface RemoveParametrizationsOptions {
  /** Whether the tensor keeps the value that it has, or takes that of its `original`. Default: true. */
  leaveParametrized?: boolean;
}
const removeOptions = declareOptions<RemoveParametrizationsOptions>({ leaveParametrized: kind.flag });

/**
 * Ends the parametrization of a tensor: it is a parameter or buffer again, of the value it has, or with
 * `leaveParametrized: false` of that of its `original` (PyTorch: `parametrize.remove_parametrizations`). Where there is
 * one original, the tensor is that same object; otherwise a new parameter, which an optimizer does not know. Returns
 * the module.
 * @throws ValueError where the tensor is not parametrized, or where several tensors should be left unparametrized.
 */
export function removeParametrizations<M extends Module>(
  module: M,
  name: string,
  options: RemoveParametrizationsOptions = {},
): M {
  requireOptions('removeParametrizations', options, removeOptions);
  const { leaveParametrized = true } = options;
  const lists = listsOf(module);
  if (!lists?.has(name)) throw new ValueError(`Module ${module} does not have a parametrization on ${name}`);
  const list = lists.get(name) as ParametrizationList;
  const { originals } = list;
  let [tensor] = originals;
  if (originals.length > 1) {
    if (!leaveParametrized)
      throw new ValueError(
        'Cannot leave unparametrized (`leaveParametrized: false`) a tensor that is parametrized in terms of a sequence of tensors.',
      );
    const isParameter = originals.some((original) => original instanceof Parameter);
    const needsGradient = originals.some((original) => original.requiresGrad);
    const value = noGrad(() => list.compute());
    tensor = isParameter ? new Parameter(value, { requiresGrad: needsGradient }) : value;
  } else if (leaveParametrized) noGrad(() => store(name, tensor, list.compute()));
  lists.pop(name);
  const prototype = Object.getPrototypeOf(module);
  delete prototype[name];
  if (lists.size === 0) {
    module.unregisterModule('parametrizations');
    Object.setPrototypeOf(module, Object.getPrototypeOf(prototype));
  }
  if (tensor instanceof Parameter) module.registerParameter(name, tensor);
  else module.registerBuffer(name, tensor);
  return module;
}

declareModules({ ParametrizationList });
