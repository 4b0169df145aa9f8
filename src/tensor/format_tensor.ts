// How a tensor prints: the form of PyTorch, with its defaults (4 digits, at most 1000 elements, 3 at each edge).
import type { Tensor } from './tensor.ts';

const threshold = 1000;
const edge = 3;
const digits = 4;

function numberFormatter(values: readonly number[]): (value: number) => string {
  const finite = values.filter(Number.isFinite);
  const largest = Math.max(0, ...finite.map(Math.abs));
  const smallest = Math.min(Infinity, ...finite.filter((v) => v !== 0).map(Math.abs));
  const special = (v: number) => (Number.isNaN(v) ? 'nan' : v > 0 ? 'inf' : '-inf');
  if (finite.every(Number.isInteger) && largest < 1e8) return (v) => (Number.isFinite(v) ? `${v}.` : special(v));
  if (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000)
    return (v) => (Number.isFinite(v) ? v.toExponential(digits).replace(/e([+-])(\d)$/, 'e$10$2') : special(v));
  return (v) => (Number.isFinite(v) ? v.toFixed(digits) : special(v));
}

export function formatTensor(tensor: Tensor): string {
  const data = tensor.dataSync();
  const { shape, dtype } = tensor;
  const summarize = tensor.size > threshold;
  const indices = (n: number) =>
    summarize && n > 2 * edge
      ? [...Array(edge).keys(), -1, ...Array.from({ length: edge }, (_, i) => n - edge + i)]
      : [...Array(n).keys()];
  const shown: number[] = [];
  const visit = (dim: number, offset: number): void => {
    if (dim === shape.length) shown.push(Number(data[offset]));
    else for (const i of indices(shape[dim])) if (i >= 0) visit(dim + 1, offset * shape[dim] + i);
  };
  visit(0, 0);
  const isFloat = dtype === 'float32' || dtype === 'float64';
  const float = numberFormatter(shown);
  const text = (i: number) =>
    isFloat ? float(Number(data[i])) : dtype === 'bool' ? (data[i] ? 'True' : 'False') : `${data[i]}`;
  const format = isFloat ? float : (v: number) => (dtype === 'bool' ? (v ? 'True' : 'False') : `${v}`);
  const width = Math.max(0, ...shown.map((v) => format(v).length));
  const build = (dim: number, offset: number, indent: number): string => {
    if (dim === shape.length) return shape.length === 0 ? text(offset) : text(offset).padStart(width);
    const parts = indices(shape[dim]).map((i) => (i < 0 ? '...' : build(dim + 1, offset * shape[dim] + i, indent + 1)));
    const last = dim === shape.length - 1;
    return `[${parts.join(last ? ', ' : `,${'\n'.repeat(shape.length - 1 - dim)}${' '.repeat(indent + 1)}`)}]`;
  };
  const notes = [
    dtype === 'float32' || dtype === 'int64' || dtype === 'bool' ? '' : `dtype=torch.${dtype}`,
    tensor.gradFn ? `grad_fn=<${tensor.gradFn.name}>` : tensor.requiresGrad ? 'requires_grad=True' : '',
  ].filter(Boolean);
  const body = tensor.size === 0 && shape.length > 1 ? `[], size=(${shape.join(', ')})` : build(0, 0, 7);
  return `tensor(${[body, ...notes].join(', ')})`;
}
