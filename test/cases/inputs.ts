// The inputs of a case: the same numbers for every mode and for the script that made the goldens.
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { cast, toFormat } from '../../src/ops/convert.ts';
import { fromTypedArray } from '../../src/tensor/create.ts';
import type { DType } from '../../src/tensor/dtype.ts';
import { type MemoryFormat, sizeOf } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Case, Input } from './case.ts';

const modulus = 10007;

/**
 * Value i of input k: a multiplicative walk over the residues of a prime, so that values look random, are exact in
 * float64, differ from each other, and take one line in any language.
 */
export function valuesOf(input: Input, k: number): number[] {
  const { shape, low = -2, high = 2 } = input;
  const walk = (i: number) => (((i + 1) * (7919 + 101 * k) + 13 * k) % modulus) / modulus;
  return Array.from({ length: sizeOf(shape) }, (_, i) => {
    if (input.bool) return walk(i) < 0.5 ? 1 : 0;
    if (input.integer) return Math.floor(walk(i) * high);
    return low + (high - low) * walk(i);
  });
}

export function inputsOf(one: Case, dtype: DType = 'float64', format: MemoryFormat = 'contiguous'): Tensor[] {
  return one.inputs.map((input, k) => {
    const fixed = input.integer || input.bool;
    const values = Float64Array.from(valuesOf(input, k));
    const made = noGrad(() =>
      toFormat(
        cast(fromTypedArray(values, input.shape), input.integer ? 'int64' : input.bool ? 'bool' : dtype),
        format,
      ),
    );
    return made.requiresGrad_(!fixed && !input.constant);
  });
}

export const listOf = (result: Tensor | readonly Tensor[]): readonly Tensor[] =>
  Array.isArray(result) ? result : [result as Tensor];

/** A fixed cotangent for every output: values of the same walk, in the output's own dtype and format. */
export function cotangentsOf(outputs: readonly Tensor[]): Tensor[] {
  return outputs.map((output, k) =>
    noGrad(() =>
      toFormat(
        fromTypedArray(Float64Array.from(valuesOf({ shape: output.shape }, 20 + k)), output.shape, {
          dtype: output.dtype,
        }),
        output.memoryFormat,
      ),
    ),
  );
}

/** A case for PyTorch: what op_golden.py and the benchmarks' peer evaluate. */
export const forTorch = ({ name, torch, inputs }: Case) => ({
  key: `${name} | ${torch}`,
  torch,
  inputs: inputs.map((input, k) => ({
    shape: input.shape,
    kind: input.integer ? 'int64' : input.bool ? 'bool' : 'float64',
    grad: !(input.integer || input.bool || input.constant),
    data: valuesOf(input, k),
  })),
});
