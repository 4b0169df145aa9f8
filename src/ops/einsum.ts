// einsum: products and sums over dimensions that are named by letters. Operands are joined one after the other, each
// time by one batch of matrix products.
import { ArgumentTypeError, RuntimeError } from '../errors.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { formatShape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { broadcastTo } from './broadcast.ts';
import { cast, resultType } from './convert.ts';
import { diagonal } from './diagonals.ts';
import { matmul } from './matmul.ts';
import { sum } from './reduce.ts';
import { permute, reshape } from './shape_ops.ts';

/** A tensor whose dimensions have names: letters, and numbers for those behind an ellipsis. */
interface Named {
  readonly x: Tensor;
  readonly names: readonly string[];
}

const letter = /^[A-Za-z]$/;

/** The names of an operand's dimensions: an ellipsis stands for `behind` of them, the last of the numbers. */
function namesIn(term: string, dots: readonly string[]): string[] {
  const [before, after, ...more] = term.split('...');
  if (more.length > 0 || /\./.test(before + (after ?? '')))
    throw new RuntimeError(`einsum(): found '.' in '${term}' that is not part of any ellipsis, or more than one`);
  for (const name of before + (after ?? ''))
    if (!letter.test(name))
      throw new RuntimeError(`einsum(): invalid subscript given in '${term}', subscripts must be in [a-zA-Z]`);
  return [...before, ...(after === undefined ? [] : dots), ...(after ?? '')];
}

/** One dimension for each name: a name that an operand has twice stands for its diagonal. */
function withoutRepeats({ x, names }: Named): Named {
  const at = names.findIndex((name, i) => names.indexOf(name) !== i);
  if (at < 0) return { x, names };
  const first = names.indexOf(names[at]);
  if (x.shape[first] !== x.shape[at])
    throw new RuntimeError(
      `einsum(): subscript ${names[at]} is repeated for an operand but the sizes don't match, ${x.shape[at]} != ${x.shape[first]}`,
    );
  const rest = names.filter((_, i) => i !== first && i !== at);
  return withoutRepeats({ x: diagonal(x, 0, first, at), names: [...rest, names[at]] });
}

const chosen = ({ x, names }: Named, wanted: readonly string[]): Tensor =>
  permute(
    x,
    wanted.map((name) => names.indexOf(name)),
  );

/** Σ over all dimensions that are not `kept`. */
function reduced(one: Named, kept: ReadonlySet<string>): Named {
  const gone = one.names.flatMap((name, d) => (kept.has(name) ? [] : [d]));
  if (gone.length === 0) return one;
  return { x: sum(one.x, gone), names: one.names.filter((name) => kept.has(name)) };
}

/** The product of two, summed over what is not kept: names of both, of one, and of both that go. */
function joined(a: Named, b: Named, kept: ReadonlySet<string>): Named {
  const left = reduced(a, new Set([...kept, ...b.names]));
  const right = reduced(b, new Set([...kept, ...a.names]));
  const isShared = (name: string) => left.names.includes(name) && right.names.includes(name);
  const batch = left.names.filter((name) => isShared(name) && kept.has(name));
  const inner = left.names.filter((name) => isShared(name) && !kept.has(name));
  const rows = left.names.filter((name) => !isShared(name));
  const columns = right.names.filter((name) => !isShared(name));
  // A dimension of size 1 stands for one of the other operand's size.
  const sizes = new Map<string, number>();
  for (const { x, names } of [left, right])
    names.forEach((name, d) => {
      if (x.shape[d] !== 1 || !sizes.has(name)) sizes.set(name, x.shape[d]);
    });
  const sizeOfAll = (names: readonly string[]) => names.map((name) => sizes.get(name)!);
  const matrix = (one: Named, ...parts: readonly (readonly string[])[]) =>
    reshape(
      broadcastTo(chosen(one, parts.flat()), sizeOfAll(parts.flat())),
      parts.map((part) => sizeOf(sizeOfAll(part))),
    );
  const [x, y] = [matrix(left, batch, rows, inner), matrix(right, batch, inner, columns)];
  // A sum of small integers is one of int64. Operands that users give must be of one dtype.
  const dtype = a.x.dtype === b.x.dtype ? resultType(x, y) : null;
  const product = dtype === null ? matmul(x, y) : matmul(cast(x, dtype), cast(y, dtype));
  const names = [...batch, ...rows, ...columns];
  return { x: reshape(product, sizeOfAll(names)), names };
}

/**
 * Products of tensors, summed over the letters that do not stand behind the arrow (PyTorch: `torch.einsum`). Each
 * letter names a dimension; `...` stands for all others, which are broadcast. Without an arrow the result has the
 * letters that occur once, in alphabetical order.
 * @throws RuntimeError on an equation that does not fit the operands.
 * @example
 * einsum('ij,jk->ik', randn([2, 3]), randn([3, 5])); // the product of matrices
 * einsum('bii->b', randn([4, 3, 3])); // the traces
 */
export function einsum(equation: string, ...tensors: Tensor[]): Tensor {
  if (typeof equation !== 'string') throw new ArgumentTypeError('[einsum] expected an equation as a string');
  const operands = (tensors.length === 1 && Array.isArray(tensors[0]) ? tensors[0] : tensors) as Tensor[];
  if (operands.length === 0) throw new RuntimeError('einsum(): must provide at least one operand');
  for (const operand of operands) requireTensor('einsum', operand);
  requireSameDevice('einsum', ...operands);
  const [given, result, ...more] = equation.replaceAll(' ', '').split('->');
  if (more.length > 0) throw new RuntimeError('einsum(): expected one arrow at most in the equation');
  const terms = given.split(',');
  if (terms.length > operands.length)
    throw new RuntimeError('einsum(): fewer operands were provided than specified in the equation');
  if (terms.length < operands.length)
    throw new RuntimeError('einsum(): more operands were provided than specified in the equation');

  const behind = terms.map((term, i) => operands[i].rank - term.replace('...', '').length);
  const most = Math.max(0, ...terms.map((term, i) => (term.includes('...') ? behind[i] : 0)));
  const dots = Array.from({ length: most }, (_, i) => String(i));
  const all = terms.map((term, i): Named => {
    const hasDots = term.includes('...');
    if (hasDots ? behind[i] < 0 : behind[i] !== 0)
      throw new RuntimeError(
        `einsum(): the number of subscripts in the equation (${term.replace('...', '').length}) ${hasDots ? 'is more than' : 'does not match'} the number of dimensions (${operands[i].rank}) for operand ${i}${hasDots ? '' : ' and no ellipsis was given'}`,
      );
    return withoutRepeats({ x: operands[i], names: namesIn(term, dots.slice(most - Math.max(0, behind[i]))) });
  });
  const counts = new Map<string, number>();
  for (const name of terms.join('').replaceAll('.', '')) counts.set(name, (counts.get(name) ?? 0) + 1);
  const output =
    result === undefined
      ? [...dots, ...[...counts].flatMap(([name, count]) => (count === 1 ? [name] : [])).sort()]
      : namesIn(result, dots);
  output.forEach((name, i) => {
    if (output.indexOf(name) !== i)
      throw new RuntimeError(`einsum(): output subscript ${name} appears more than once in the output`);
    if (letter.test(name) && !counts.has(name))
      throw new RuntimeError(
        `einsum(): output subscript ${name} does not appear in the equation for any input operand`,
      );
  });
  requireSizes(all);

  let current = all[0];
  for (let i = 1; i < all.length; i++)
    current = joined(current, all[i], new Set([...output, ...all.slice(i + 1).flatMap(({ names }) => names)]));
  const last = reduced(current, new Set(output));
  return chosen(last, output);
}

/** Dimensions of one name have one size, or 1. */
function requireSizes(all: readonly Named[]): void {
  const sizes = new Map<string, number>();
  all.forEach(({ x, names }, i) => {
    names.forEach((name, d) => {
      const known = sizes.get(name) ?? 1;
      if (known !== 1 && x.shape[d] !== 1 && known !== x.shape[d])
        throw new RuntimeError(
          `einsum(): subscript ${name} has size ${x.shape[d]} for operand ${i} of shape ${formatShape(x.shape)} which does not broadcast with previously seen size ${known}`,
        );
      if (x.shape[d] !== 1) sizes.set(name, x.shape[d]);
    });
  });
}
