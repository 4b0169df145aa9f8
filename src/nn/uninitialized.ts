// Parameters and buffers whose shape is not known yet. A lazy layer has them until its first input, or until a state is
// loaded. They stay the same objects when they get their memory, so that optimizers still have them.
import { RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { empty } from '../tensor/create.ts';
import { requireDType } from '../tensor/dtype.ts';
import type { Shape } from '../tensor/shape.ts';
import { allocate, keep, Tensor } from '../tensor/tensor.ts';
import { type DTypeOption, Parameter } from './parameter.ts';

function refuse(tensor: Tensor): never {
  throw new ValueError(
    `Attempted to use an uninitialized parameter in an operation. This error happens when you are using a lazy module or explicitly manipulating ${tensor} objects. Call \`forward\` with a dummy batch to initialize the parameters before using them`,
  );
}

/** Marks a tensor without shape and memory; `initialize` removes the mark. */
const nothingKnown = {
  shape: {
    configurable: true,
    get(): never {
      throw new RuntimeError(
        "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `loadStateDict` when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before accessing their attributes.",
      );
    },
  },
  backend: {
    configurable: true,
    get(this: Tensor): never {
      return refuse(this);
    },
  },
  materialize: {
    configurable: true,
    value(this: Tensor): never {
      return refuse(this);
    },
  },
};

const dtypeOption = declareOptions<DTypeOption>({ dtype: kind.choice });

/** A parameter without a shape (PyTorch: `nn.parameter.UninitializedParameter`). */
export class UninitializedParameter extends Parameter {
  constructor(options: DTypeOption = {}) {
    requireOptions(new.target.name, options, dtypeOption);
    super(empty([0], options));
    Object.defineProperties(this, nothingKnown);
  }
  override toString(): string {
    return '<UninitializedParameter>';
  }
}

/** A buffer without a shape (PyTorch: `nn.parameter.UninitializedBuffer`). */
export class UninitializedBuffer extends Tensor {
  constructor(options: DTypeOption = {}) {
    requireOptions(new.target.name, options, dtypeOption);
    super([0], requireDType('UninitializedBuffer', options.dtype ?? 'float32'));
    Object.defineProperties(this, nothingKnown);
  }
  override toString(): string {
    return '<UninitializedBuffer>';
  }
}

/** Whether a parameter or buffer waits for its layer's first input, which decides its shape (PyTorch: `is_lazy`). */
export const isUninitialized = (tensor: Tensor | null): boolean =>
  tensor instanceof UninitializedParameter || tensor instanceof UninitializedBuffer;

/**
 * Gives it a shape, and memory whose values are arbitrary until written; from then on it is a plain parameter or
 * tensor.
 */
export function initialize(tensor: Tensor, shape: Shape): void {
  const { storage } = keep(allocate(shape, tensor.dtype, 'contiguous', tensor.storage.backend));
  for (const name of Object.keys(nothingKnown)) Reflect.deleteProperty(tensor, name);
  Object.setPrototypeOf(tensor, (tensor instanceof Parameter ? Parameter : Tensor).prototype);
  Object.assign(tensor, { shape, storage, history: storage.history });
}
