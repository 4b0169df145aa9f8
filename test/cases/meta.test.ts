// Every case on the meta device: outputs and gradients have the shape, dtype and memory format that they have on the
// cpu, and no byte is allocated there. Where an operation would read values, what it says instead.
import { describe, expect, test } from 'vitest';
import '../../src/index.ts';
import { grad } from '../../src/autograd/backward.ts';
import { withDevice } from '../../src/device/engine.ts';
import type { DType } from '../../src/tensor/dtype.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { liveBytes } from '../support/live_bytes.ts';
import type { Case } from './case.ts';
import { cotangentsOf, inputsOf, listOf } from './inputs.ts';
import { cases } from './table.ts';

/** Cases whose outputs have as many elements as a mask holds at. */
const knownByValues = new Set(['maskedSelect', 'index, mask beside a tensor']);

/** The inputs of a case, on the meta device. */
function withoutValues(one: Case, dtype: DType, format: MemoryFormat): Tensor[] {
  return inputsOf(one, dtype, format).map((input) => input.detach().to('meta').requiresGrad_(input.requiresGrad));
}

const described = (t: Tensor | null) => t && { shape: [...t.shape], dtype: t.dtype, format: t.memoryFormat };

/** What is known of outputs and gradients without their values. */
function run(one: Case, inputs: readonly Tensor[], cotangents: (outputs: readonly Tensor[]) => Tensor[]) {
  const outputs = listOf(one.run(...inputs));
  const wanted = inputs.filter((input) => input.requiresGrad);
  const gradients = grad(outputs, wanted, { gradOutputs: cotangents(outputs), allowUnused: true });
  return { all: [...outputs, ...gradients], described: [outputs.map(described), gradients.map(described)] };
}

const onMeta = (outputs: readonly Tensor[]): Tensor[] =>
  outputs.map(({ shape, dtype, memoryFormat }) =>
    withDevice('meta', () => cotangentsOf([{ shape, dtype, memoryFormat } as Tensor])[0]),
  );

const modes = (['float32', 'float64'] as const).flatMap((dtype) =>
  (['contiguous', 'channelsLast'] as const).map((format) => [dtype, format] as const),
);

describe.each(cases.map((one) => [one.name, one] as const))('%s', (name, one) => {
  const hasFormats = one.inputs.some(({ shape }) => shape.length >= 3);

  test.each(modes.filter(([, format]) => hasFormats || format === 'contiguous'))(
    'has the shapes, dtypes and formats of the cpu in %s, %s, and no memory',
    (dtype, format) => {
      const inputs = withoutValues(one, dtype, format);
      if (knownByValues.has(name)) {
        expect(() => one.run(...inputs)).toThrow(/^\[\w+\] the shape of the result depends on the values of a tensor/);
        return;
      }
      const here = run(one, inputsOf(one, dtype, format), cotangentsOf);
      const bytes = liveBytes(() => {
        const there = run(one, inputs, onMeta);
        expect(there.described).toEqual(here.described);
        expect(new Set(there.all.map((t) => t?.device ?? 'meta'))).toEqual(new Set(['meta']));
      });
      expect(bytes).toEqual({ peak: 0, left: 0 });
    },
  );

  if (one.inputs.length > 1)
    test('refuses tensors of two devices', () => {
      for (const [i] of one.inputs.entries())
        for (const isMeta of [true, false]) {
          const mixed = inputsOf(one).map((input, k) => ((k === i) === isMeta ? input.to('meta') : input));
          expect(() => one.run(...mixed)).toThrow(
            /Expected all tensors to be on the same device, but found at least two devices, (meta and cpu|cpu and meta)!/,
          );
        }
    });
});
