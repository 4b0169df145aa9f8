// Parameters as one vector, and back (PyTorch: torch.nn.utils.convert_parameters).

import { noGrad } from '../autograd/grad_mode.ts';
import { shown } from '../checks.ts';
import { ArgumentTypeError, RuntimeError } from '../errors.ts';
import { cat, reshape, split } from '../ops/shape_ops.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { formatShape } from '../tensor/shape.ts';
import { Tensor } from '../tensor/tensor.ts';

function listOf(op: string, parameters: Iterable<Tensor>): Tensor[] {
  const given: unknown = parameters;
  if (given instanceof Tensor || typeof (given as Iterable<Tensor> | null)?.[Symbol.iterator] !== 'function')
    throw new ArgumentTypeError(
      `[${op}] expected parameters to iterate over, got ${given instanceof Tensor ? 'a Tensor' : shown(given)}`,
    );
  const list = [...parameters];
  for (const parameter of list) requireTensor(op, parameter);
  return list;
}

/**
 * All elements of parameters, one after the other, in one vector, through which gradients flow (PyTorch:
 * `nn.utils.parameters_to_vector`). Dtypes are promoted.
 * @throws RuntimeError on an empty list, or on parameters of several devices.
 * @example
 * const vector = parametersToVector(net.parameters());
 * const penalty = vector.square().sum(); // L2 of the whole model
 */
export function parametersToVector(parameters: Iterable<Tensor>): Tensor {
  return cat(listOf('parametersToVector', parameters).map((parameter) => reshape(parameter, [-1])));
}

/**
 * Copies the elements of a vector, in their order, into parameters, which keep dtype, memory format and memory
 * (PyTorch: `nn.utils.vector_to_parameters`, which gives them the vector's memory and dtype). Nothing is recorded.
 * Elements that are left over are ignored, as in PyTorch.
 * @throws RuntimeError on a vector that is too short, or is none; nothing has been changed then.
 * @example
 * const averaged = parametersToVector(net.parameters()).detach().mul(0.5);
 * vectorToParameters(averaged, net.parameters());
 */
export function vectorToParameters(vector: Tensor, parameters: Iterable<Tensor>): void {
  requireTensor('vectorToParameters', vector);
  const list = listOf('vectorToParameters', parameters);
  if (vector.rank !== 1)
    throw new RuntimeError(
      `[vectorToParameters] expected a vector, got a tensor of shape ${formatShape(vector.shape)}`,
    );
  let left = vector.size;
  for (const { shape, size } of list) {
    if (size > left) throw new RuntimeError(`shape '${formatShape(shape)}' is invalid for input of size ${left}`);
    left -= size;
  }
  noGrad(() => {
    const parts = split(vector, [...list.map(({ size }) => size), left]);
    list.forEach((parameter, i) => {
      parameter.copy_(reshape(parts[i], parameter.shape));
    });
  });
}
