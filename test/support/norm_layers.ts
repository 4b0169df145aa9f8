// What the tests of the norm layers share: PyTorch 2.13's results (golden/norm_2_13.golden.json) walked for one class,
// its error texts by name, and tensors from the rule of norm_golden.json.
import { describe, expect, it } from 'vitest';
import { inOurWords } from '../../fuzz/our_words.ts';
import type { EvenkeelError } from '../../src/errors.ts';
import type { Module } from '../../src/nn/index.ts';
import { fromTypedArray } from '../../src/tensor/create.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, readGolden } from './golden.ts';

export interface Plain {
  shape: number[];
  data: number[];
}
interface LayerCase {
  cls: string;
  args: (number | number[])[];
  kwargs: Record<string, unknown>;
  shape: number[];
  training: boolean;
  init: Record<string, Plain>;
  y: Plain;
  dx: Plain | null;
  grads: Record<string, Plain>;
  after: Record<string, Plain>;
}
export const golden = readGolden<{
  layers: LayerCase[];
  rms: Record<'float32' | 'float64', number[]>;
  texts: Record<string, { type: string; text: string }>;
  modules: Record<string, { printed: string; keys: string[]; metadata: { version: number }; parameters: string[] }>;
}>('norm_2_13.golden.json');

type Float = 'float32' | 'float64';

/** The rule of the golden inputs. */
export const det = (shape: readonly number[], seed: number, dtype: Float = 'float64'): Tensor =>
  fromTypedArray(
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 37 + seed * 97) % 101) / 17 - 3),
    shape,
    { dtype },
  );

export const make = ({ shape, data }: Plain, dtype: Float | 'int64' = 'float64', requiresGrad = false): Tensor =>
  fromTypedArray(Float64Array.from(data), shape, { dtype, requiresGrad });

/**
 * float64: a few roundings of sums; float32: against float64's results, the inputs' rounding (6e-8) magnified by the
 * norm.
 */
const tolerances = { float64: { y: 1e-12, gradient: 1e-12 }, float32: { y: 2e-6, gradient: 5e-6 } };

const camel = (name: string): string => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/**
 * One test for every golden case of a class: outputs, gradients and buffers in both dtypes and memory formats. `keeps`:
 * the output's format is the input's.
 */
export function walkLayers(Layer: new (...args: never[]) => Module, keeps: boolean): void {
  const cls = Layer.name;
  const cases = golden.layers.filter((one) => one.cls === cls);
  const named = cases.map((one) => ({
    one,
    name: `${cls}(${[...one.args.map((arg) => JSON.stringify(arg)), JSON.stringify(one.kwargs)].join(', ')}) of [${one.shape}]${one.training ? '' : ' in evaluation'}`,
  }));
  describe('equals PyTorch 2.13', () => {
    it('in every case there is', () => expect(cases.length).toBeGreaterThan(0));
    it.each(named)('$name', ({ one }) => {
      for (const dtype of ['float64', 'float32'] as const)
        for (const format of one.shape.length > 2
          ? (['contiguous', 'channelsLast'] as const)
          : (['contiguous'] as const)) {
          const options = Object.fromEntries(Object.entries(one.kwargs).map(([key, value]) => [camel(key), value]));
          const hasState = Object.keys(one.init).length > 0;
          const given = hasState ? { ...options, dtype } : options;
          const layer = new Layer(...([...one.args, given] as never[])).train(one.training);
          layer.loadStateDict(
            new Map(
              Object.entries(one.init).map(([key, value]) => [
                key,
                make(value, key === 'num_batches_tracked' ? 'int64' : dtype),
              ]),
            ),
          );
          const tolerance = tolerances[dtype];
          const close = (actual: Tensor, expected: Plain, bound: number, what: string) => {
            expect(actual.shape).toEqual(expected.shape);
            expectClose(actual, expected.data, bound, bound, `${what}, ${dtype}, ${format}`);
          };
          const x = det(one.shape, 1, dtype).contiguous(format).requiresGrad_();
          const y = layer(x) as Tensor;
          expect(y.memoryFormat).toBe(keeps ? format : 'contiguous');
          close(y, one.y, tolerance.y, 'y');
          y.backward(det(one.shape, 2, dtype));
          expect(x.grad!.memoryFormat).toBe(format);
          // Rows of a single value: dx is 0, as the difference of terms of about dy/√eps.
          const cancels = one.dx?.data.every((value) => Math.abs(value) < 1e-12);
          const magnified = cancels ? 1 / Math.sqrt((one.kwargs.eps as number | undefined) ?? 1e-5) : 1;
          if (one.dx) close(x.grad!, one.dx, tolerance.gradient * magnified, 'dx');
          for (const [name, parameter] of layer.namedParameters())
            close(parameter.grad!, one.grads[name], tolerance.gradient, `d${name}`);
          for (const [name, buffer] of layer.namedBuffers()) close(buffer, one.after[name], tolerance.y, name);
        }
    });
  });
}

/** Every call throws what PyTorch throws: its class, and its text in our words. */
export function walkTexts(calls: Record<string, () => unknown>): void {
  it.each(Object.entries(calls))('%s', (name, call) => {
    const { type, text } = golden.texts[name];
    let error: EvenkeelError | null = null;
    try {
      call();
    } catch (caught) {
      error = caught as EvenkeelError;
    }
    expect([error?.name, error?.message]).toEqual([type, inOurWords(text)]);
  });
}

/** Values of a tensor as plain numbers, or null. */
export const list = (t: Tensor | null | undefined): number[] | null =>
  t ? Array.from(t.dataSync() as ArrayLike<number>, Number) : null;
