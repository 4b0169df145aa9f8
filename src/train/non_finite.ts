// The error of a loss that is NaN or infinite: it names the first layer with a non-finite output, and the last good
// checkpoint.
import { noGrad } from '../autograd/grad_mode.ts';
import { RuntimeError } from '../errors.ts';
import type { Module } from '../nn/module.ts';
import { recalibrating } from '../nn/norm/statistics/statistics_control.ts';
import { isfinite } from '../ops/elementwise.ts';
import { all } from '../ops/reduce.ts';
import { isFloat } from '../tensor/dtype.ts';
import { defaultGenerator } from '../tensor/random/index.ts';
import { scope } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';

/** Training stopped because a loss was NaN or infinite; parameters have not been updated with it. */
export class NonFiniteLossError extends RuntimeError {
  override name = 'NonFiniteLossError';
  /** The first layer with a non-finite output, or '' if only the loss itself is none. */
  readonly layer: string;

  constructor(message: string, layer: string) {
    super(message);
    this.layer = layer;
  }
}

const isGood = (tensor: Tensor): boolean => !isFloat(tensor.dtype) || scope(() => all(isfinite(tensor)).item() !== 0);

/** The name of the layer that holds an entry of a state dict. */
export const layerOf = (name: string): string => name.replace(/\.?[^.]*$/, '');

/**
 * The first parameter or running statistic that is not finite. Other buffers may be infinite on purpose, as masks are.
 */
export function firstNonFinite(model: Module): { name: string; kind: 'parameter' | 'running statistic' } | null {
  for (const [name, parameter] of model.namedParameters()) if (!isGood(parameter)) return { name, kind: 'parameter' };
  for (const [name, buffer] of model.namedBuffers())
    if (/(^|\.)running_(mean|var)$/.test(name) && !isGood(buffer)) return { name, kind: 'running statistic' };
  return null;
}

/**
 * Names the cause of a non-finite loss: a parameter, the input, or the first layer whose output is not finite when the
 * batch runs through the model once more, in its present mode. Buffers and the default generator are put back
 * afterwards.
 */
export function explainNonFinite(
  model: Module,
  inputs: readonly unknown[],
): { layer: string; cause: string; isLossItself?: true } {
  for (const [name, parameter] of model.namedParameters())
    if (!isGood(parameter)) return { layer: layerOf(name), cause: `parameter '${name}' holds NaN or infinity` };
  if (inputs.some((input) => input instanceof Tensor && !isGood(input)))
    return { layer: '', cause: 'the input holds NaN or infinity' };
  let layer = '';
  let cause = 'every layer is finite: the loss function itself gave the value';
  const removers = [...model.namedModules()].map(([name, module]) =>
    module.registerForwardHook((_, __, output) => {
      if (!layer && output instanceof Tensor && !isGood(output)) {
        layer = name || model.constructor.name;
        cause = `the first layer with a NaN or infinite output is '${layer}' (${module.constructor.name})`;
      }
    }),
  );
  const random = defaultGenerator.getState();
  const buffers = [...model.buffers()].map((buffer) => [buffer, buffer.storage.bytes().slice()] as const);
  try {
    recalibrating(() => noGrad(() => scope(() => void model(...inputs))));
  } finally {
    for (const remove of removers) remove();
    for (const [buffer, bytes] of buffers) buffer.storage.bytes().set(bytes);
    defaultGenerator.setState(random);
  }
  return layer ? { layer, cause } : { layer, cause, isLossItself: true };
}
