// How a tensor prints: the form of PyTorch with its defaults (4 digits, lines of 80, beyond 1000 elements 3 at each
// edge). Source: torch/_tensor_str.py.
import type { Device } from '../device/backend.ts';
import type { DType, TypedArray } from './dtype.ts';
import type { Shape } from './shape.ts';

/** What is printed of a tensor. */
interface Printed {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly size: number;
  readonly device: Device;
  readonly requiresGrad: boolean;
  readonly gradFn: { readonly name: string } | null;
  dataSync(): TypedArray;
}

const threshold = 1000;
const edge = 3;
const digits = 4;
const lineWidth = 80;
const prefix = 'tensor(';

type Value = number | bigint;

/** As Python's format 'e', which rounds exact halves to even digits where JavaScript rounds them up. */
function exponential(value: number): string {
  const [, head, last, isHalf, exponent] = /^(-?\d\.\d{3})(\d)(?:(50*)|\d*)e(.*)$/.exec(value.toExponential(30))!;
  const text = isHalf && Number(last) % 2 === 0 ? `${head}${last}e${exponent}` : value.toExponential(digits);
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

/** As Python's format 'f'. With 4 digits the exact halves are the odd multiples of 1/32. */
function fixed(value: number): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const size = Math.abs(value);
  if ((size * 32) % 2 !== 1) return sign + size.toFixed(digits);
  const lower = Math.floor(size * 1e4);
  return sign + ((lower + (lower % 2)) / 1e4).toFixed(digits);
}

interface Formatter {
  readonly width: number;
  format(value: Value): string;
}

/** One form for all values shown; zeros, infinities and NaN adapt to the others' width. */
function floatFormatter(shown: readonly number[]): Formatter {
  const counted = shown.filter((v) => Number.isFinite(v) && v !== 0);
  const sizes = counted.map(Math.abs);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const isScientific = sizes.length > 0 && (most / least > 1000 || most > 1e8 || least < 1e-4);
  const areIntegers = counted.every(Number.isInteger);
  const text = (v: number): string => {
    if (Number.isNaN(v)) return 'nan';
    if (!Number.isFinite(v)) return v > 0 ? 'inf' : '-inf';
    if (isScientific) return exponential(v);
    return areIntegers ? `${Object.is(v, -0) ? '-0' : v}.` : fixed(v);
  };
  return { width: Math.max(1, ...counted.map((v) => text(v).length)), format: (v) => text(Number(v)) };
}

function integerFormatter(shown: readonly Value[], isBool: boolean): Formatter {
  const format = (v: Value) => (isBool ? (v ? 'True' : 'False') : String(v));
  return { width: Math.max(1, ...shown.map((v) => format(v).length)), format };
}

/** The values in brackets. */
function formatValues(tensor: Printed): string {
  const { shape, dtype, size } = tensor;
  const data = tensor.dataSync();
  const summarize = size > threshold;
  /** Positions to show along a dimension; null for the gap. */
  const positions = (n: number): (number | null)[] =>
    summarize && n > 2 * edge
      ? [...Array(edge).keys(), null, ...Array.from({ length: edge }, (_, i) => n - edge + i)]
      : [...Array(n).keys()];
  const shown: Value[] = [];
  const visit = (dim: number, offset: number): void => {
    if (dim === shape.length) shown.push(data[offset]);
    else for (const i of positions(shape[dim])) if (i !== null) visit(dim + 1, offset * shape[dim] + i);
  };
  if (size > 0) visit(0, 0);
  const isFloat = dtype === 'float32' || dtype === 'float64';
  const formatter = isFloat ? floatFormatter(shown as number[]) : integerFormatter(shown, dtype === 'bool');
  const text = (offset: number) => formatter.format(data[offset]).padStart(formatter.width);

  const build = (dim: number, offset: number): string => {
    if (dim === shape.length) return text(offset);
    const indent = prefix.length + dim;
    const start = offset * shape[dim];
    const newline = (count: number) => `,${'\n'.repeat(count)}${' '.repeat(indent + 1)}`;
    if (dim < shape.length - 1) {
      const parts = positions(shape[dim]).map((i) => (i === null ? '...' : build(dim + 1, start + i)));
      return `[${parts.join(newline(shape.length - 1 - dim))}]`;
    }
    const parts = positions(shape[dim]).map((i) => (i === null ? ' ...' : text(start + i)));
    const perLine = Math.max(1, Math.floor((lineWidth - indent) / (formatter.width + 2)));
    const lines = Array.from({ length: Math.ceil(parts.length / perLine) }, (_, i) =>
      parts.slice(i * perLine, (i + 1) * perLine).join(', '),
    );
    return `[${lines.join(newline(1))}]`;
  };
  return size === 0 ? '[]' : build(0, 0);
}

/** The tensor in PyTorch's printed form; `...` stands for the values that a tensor on the meta device does not have. */
export function formatTensor(tensor: Printed): string {
  const { shape, dtype, size } = tensor;
  const isMeta = tensor.device === 'meta';
  const isDefault = dtype === 'float32' || (!isMeta && size > 0 && (dtype === 'int64' || dtype === 'bool'));
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const notes = [
    isMeta ? "device='meta'" : '',
    isMeta || (size === 0 && shape.length !== 1) ? `size=(${sizes})` : '',
    isDefault ? '' : `dtype=torch.${dtype}`,
    tensor.gradFn ? `grad_fn=<${tensor.gradFn.name}>` : tensor.requiresGrad ? 'requires_grad=True' : '',
  ].filter(Boolean);
  const body = prefix + (isMeta ? '...' : formatValues(tensor));
  let result = body;
  let column = body.length - body.lastIndexOf('\n') + 1;
  for (const note of notes) {
    const fits = column + note.length + 2 <= lineWidth;
    result += fits ? `, ${note}` : `,\n${' '.repeat(prefix.length)}${note}`;
    column = (fits ? column + 2 : prefix.length) + note.length;
  }
  return `${result})`;
}
