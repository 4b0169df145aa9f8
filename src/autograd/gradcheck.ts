// gradcheck compares backward formulas with central differences, in float64, for a random gradient of the outputs. A
// gradient of ones would not do: for batch norm the result is then 0, even if the formula is wrong.
import { RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { fromTypedArray } from '../tensor/create.ts';
import { Generator, normal } from '../tensor/random/index.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { grad } from './backward.ts';
import { enableGrad, noGrad } from './grad_mode.ts';

/** Options of `gradcheck` and `gradgradcheck`. */
export interface GradcheckOptions {
  /** Step of the central difference. Default: 1e-6. */
  eps?: number;
  /** |analytic − numeric| must be at most atol + rtol·|numeric|. Default: 1e-5, as in PyTorch. */
  atol?: number;
  /** See `atol`. Default: 1e-3, as in PyTorch. */
  rtol?: number;
  /** Seeds the random gradients of the outputs. Default: 0. */
  seed?: number;
}
const gradcheckOptions = declareOptions<GradcheckOptions>({
  eps: kind.number,
  atol: kind.number,
  rtol: kind.number,
  seed: kind.integer,
});

const list = (result: Tensor | readonly Tensor[]): readonly Tensor[] =>
  Array.isArray(result) ? result : [result as Tensor];

/** Σ over outputs and elements of output·cotangent. */
function project(outputs: readonly Tensor[], cotangents: readonly Float64Array[]): number {
  let sum = 0;
  outputs.forEach((output, i) => {
    const values = output.dataSync();
    for (let j = 0; j < values.length; j++) sum += Number(values[j]) * cotangents[i][j];
  });
  return sum;
}

/**
 * Compares the gradients of `fn` at the given float64 inputs with central differences (PyTorch:
 * `torch.autograd.gradcheck`). Inputs that require a gradient are checked, element by element.
 * @throws RuntimeError naming input, element and both values at the first disagreement.
 * @example
 * const x = randn([3, 2], { dtype: 'float64', requiresGrad: true });
 * gradcheck((t) => t.sigmoid(), [x]);
 */
export function gradcheck(
  fn: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): true {
  requireOptions('gradcheck', options, gradcheckOptions);
  const { eps = 1e-6, atol = 1e-5, rtol = 1e-3, seed = 0 } = options;
  const checked = inputs.filter((input) => input.requiresGrad);
  if (checked.length === 0)
    throw new RuntimeError(
      'gradcheck expects at least one input tensor to require gradient, but none of them have requiresGrad: true.',
    );
  for (const input of checked)
    if (input.dtype !== 'float64')
      throw new RuntimeError(
        `[gradcheck] expected float64 inputs, got ${input.dtype}: differences of float32 say nothing`,
      );
  const generator = new Generator(seed);
  const outputs = list(fn(...inputs)).filter((output) => output.requiresGrad);
  const cotangents = outputs.map((output) => normal(new Float64Array(output.size), 0, 1, generator));
  const seeds = outputs.map((output, i) =>
    fromTypedArray(cotangents[i], output.shape, { memoryFormat: output.memoryFormat }),
  );
  const analytic = grad(outputs, checked, { gradOutputs: seeds, allowUnused: true });
  checked.forEach((input, k) => {
    const gradient = analytic[k]?.dataSync() ?? new Float64Array(input.size);
    const original = input.dataSync() as Float64Array;
    const evaluate = (values: Float64Array) =>
      noGrad(() =>
        scope(() => {
          const at = fromTypedArray(values, input.shape, { memoryFormat: input.memoryFormat });
          const all = list(fn(...inputs.map((other) => (other === input ? at : other))));
          const differentiable = all.filter((output) => output.dtype === 'float64').slice(0, outputs.length);
          return project(differentiable, cotangents);
        }),
      );
    for (let i = 0; i < original.length; i++) {
      const moved = original.slice();
      moved[i] = original[i] + eps;
      const above = evaluate(moved);
      moved[i] = original[i] - eps;
      const numeric = (above - evaluate(moved)) / (2 * eps);
      const difference = Math.abs(Number(gradient[i]) - numeric);
      if (!(difference <= atol + rtol * Math.abs(numeric)))
        throw new RuntimeError(
          `[gradcheck] input ${inputs.indexOf(input)}, element ${i} of shape [${input.shape}]: analytic ${gradient[i]}, numeric ${numeric}`,
        );
    }
  });
  return true;
}

/** As `gradcheck`, for the gradients themselves: second order (PyTorch: `torch.autograd.gradgradcheck`). */
export function gradgradcheck(
  fn: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): true {
  requireOptions('gradgradcheck', options, gradcheckOptions);
  const generator = new Generator((options.seed ?? 0) + 1);
  const shapes = list(noGrad(() => fn(...inputs)));
  const seeds = shapes.map((output) =>
    fromTypedArray(normal(new Float64Array(output.size), 0, 1, generator), output.shape, {
      requiresGrad: output.dtype === 'float64',
      dtype: output.dtype,
      memoryFormat: output.memoryFormat,
    }),
  );
  const first = (...all: Tensor[]): readonly Tensor[] => {
    const own = all.slice(0, inputs.length);
    const wanted = own.filter((_, i) => inputs[i].requiresGrad).map((t) => (t.requiresGrad ? t : t.requiresGrad_()));
    // Differentiating needs recording, even where the caller evaluates without.
    return enableGrad(() => {
      const outputs = list(fn(...own));
      const live = outputs.flatMap((output, i) => (output.requiresGrad ? [{ output, g: all[inputs.length + i] }] : []));
      return grad(
        live.map(({ output }) => output),
        wanted,
        { gradOutputs: live.map(({ g }) => g), createGraph: true },
      );
    });
  };
  return gradcheck(first, [...inputs, ...seeds.filter((seed) => seed.requiresGrad)], options);
}
