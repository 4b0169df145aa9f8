// Printed forms are PyTorch's, character by character: widths, scientific form, line breaks, summaries, notes on dtype
// and gradients.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type DType, fromTypedArray, tensor } from '../../src/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';

type Row = [dtype: DType, shape: number[], values: (number | string)[] | number, requiresGrad: boolean, text: string];
const rows = JSON.parse(readFileSync(new URL('../golden/print.golden.json', import.meta.url), 'utf8')) as Row[];
const special: Record<string, number> = { inf: Infinity, '-inf': -Infinity, nan: Number.NaN, '-0.0': -0 };

/** The walk of print_golden.py. */
const walk = (size: number, scale: number) =>
  Array.from({ length: size }, (_, i) => scale * ((((i + 1) * 7919) % 10007) / 10007 - 0.5));
const named = rows.map((row) => [`${row[0]} [${row[1]}] ${String(row[2]).slice(0, 20)}`, row] as const);

test.each(named)('%s', (_, row) => {
  const [dtype, shape, given, requiresGrad, text] = row;
  const values = typeof given === 'number' ? walk(sizeOf(shape), given) : given;
  const data =
    dtype === 'int64'
      ? BigInt64Array.from(values as string[], BigInt)
      : Float64Array.from(values, (v) => (typeof v === 'string' ? special[v] : v));
  expect(fromTypedArray(data, shape, { dtype, requiresGrad }).toString()).toBe(text);
});

test('computed tensors name the operation', () => {
  expect(String(tensor([1, 2], { requiresGrad: true }).mul(2))).toBe('tensor([2., 4.], grad_fn=<mulBackward>)');
});

test('channels-last tensors print by logical index', () => {
  const x = fromTypedArray(
    Float32Array.from({ length: 8 }, (_, i) => i),
    [1, 2, 2, 2],
  );
  expect(String(x.contiguous('channelsLast'))).toBe(String(x));
});
