// Matrix products: one op over the gemm kernel, with either operand transposed, so that gradients of every order are
// products again.
import { defineOp } from '../autograd/define_op.ts';
import { NotImplementedError, RuntimeError } from '../errors.ts';
import { noteMultiplyAdds } from '../launch/work.ts';
import { rowMajor } from '../tensor/copy.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { broadcastShapes, type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { broadcastTo, sumTo } from './broadcast.ts';
import { reshape, squeeze, unsqueeze } from './shape_ops.ts';

/** (rows, columns) of the last two dimensions, exchanged when transposed. */
function matrixShape(shape: Shape, isTransposed: boolean): [number, number] {
  const [a, b] = shape.slice(-2);
  return isTransposed ? [b, a] : [a, b];
}

/** The product of matrices, or batches of them, of integers. */
function integerProduct(a: Tensor, b: Tensor): Tensor {
  const [rows, k] = a.shape.slice(-2);
  const n = b.shape.at(-1)!;
  const batch = a.rank > 2 ? a.shape.slice(0, -2) : b.shape.slice(0, -2);
  const out = allocate([...batch, rows, n], a.dtype, 'contiguous', a.backend);
  const step = (t: Tensor, size: number) => (t.rank > 2 ? size : 0);
  a.backend.launch.integerMatmul('matmul', {
    batch: sizeOf(batch),
    m: rows,
    n,
    k,
    a: rowMajor(a),
    aStep: step(a, rows * k),
    b: rowMajor(b),
    bStep: step(b, k * n),
    c: out,
  });
  return out;
}

export function launchGemm(a: Tensor, b: Tensor, ta: boolean, tb: boolean, bias: Tensor | null): Tensor {
  const [rows, k] = matrixShape(a.shape, ta);
  const [, n] = matrixShape(b.shape, tb);
  const batch = a.rank > 2 ? a.shape.slice(0, -2) : b.shape.slice(0, -2);
  const out = allocate([...batch, rows, n], a.dtype, 'contiguous', a.backend);
  // Matrices that lie one below the other, times the same matrix, are one taller matrix.
  const isTall = a.rank > 2 && b.rank === 2 && !ta;
  const [count, m] = isTall ? [1, sizeOf(batch) * rows] : [sizeOf(batch), rows];
  const [left, right] = [rowMajor(a), rowMajor(b)];
  noteMultiplyAdds(count * m * n * k);
  // A matrix without batch dimensions is shared by the whole batch.
  const step = (t: Tensor, size: number) => (t.rank > 2 ? size : 0);
  a.backend.launch.gemm('matmul', {
    transposeA: ta,
    transposeB: tb,
    batch: count,
    m,
    n,
    k,
    a: left,
    aStep: step(a, m * k),
    b: right,
    bStep: step(b, k * n),
    bias,
    c: out,
    accumulate: false,
  });
  return out;
}

/**
 * op(a)·op(b) over matrices (m, k), (k, n) or batches of them with equal batch dimensions; a transposed operand is
 * given as it is stored. With C = A·B: dA = dC·Bᵀ, dB = Aᵀ·dC.
 */
export const product = defineOp({
  name: 'matmul',
  forward(ctx, a: Tensor, b: Tensor, ta: boolean, tb: boolean) {
    ctx.save(a, b);
    return launchGemm(a, b, ta, tb, null);
  },
  backward(ctx, [g], aInfo, bInfo, ta, tb) {
    const [a, b] = ctx.saved;
    const da = () => (ta ? product(b, g, tb, true) : product(g, b, false, !tb));
    const db = () => (tb ? product(g, a, true, ta) : product(a, g, !ta, false));
    return [ctx.needs[0] ? sumTo(da(), aInfo.shape) : null, ctx.needs[1] ? sumTo(db(), bInfo.shape) : null];
  },
}) as (a: Tensor, b: Tensor, ta: boolean, tb: boolean) => Tensor;

/**
 * The matrix product (PyTorch: `torch.matmul`): of matrices (m, k) and (k, n), of vectors, and of batches of matrices
 * whose batch dimensions broadcast.
 * @throws RuntimeError where the inner sizes differ, the dtypes differ, or an operand has no dimension.
 * @example
 * matmul(randn([2, 3]), randn([3, 5])); // shape [2, 5]
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  requireTensor('matmul', a);
  requireTensor('matmul', b);
  for (const { dtype } of [a, b])
    if (dtype === 'bool') throw new NotImplementedError(`"matmul" not implemented for '${dtype}'`);
  requireSameDevice('matmul', a, b);
  if (a.dtype !== b.dtype)
    throw new RuntimeError(`expected m1 and m2 to have the same dtype, but got: ${a.dtype} != ${b.dtype}`);
  if (a.rank === 0 || b.rank === 0)
    throw new RuntimeError(`both arguments to matmul need to be at least 1D, but they are ${a.rank}D and ${b.rank}D`);
  const left = a.rank === 1 ? unsqueeze(a, 0) : a;
  const right = b.rank === 1 ? unsqueeze(b, 1) : b;
  const [m, k] = left.shape.slice(-2);
  const [k2, n] = right.shape.slice(-2);
  if (k !== k2) {
    if (a.rank === 1 && b.rank === 1)
      throw new RuntimeError(
        `inconsistent tensor size, expected tensor [${k}] and src [${k2}] to have the same number of elements, but got ${k} and ${k2} elements respectively`,
      );
    throw new RuntimeError(
      `mat1 and mat2 shapes cannot be multiplied (${sizeOf(left.shape.slice(0, -1))}x${k} and ${k2}x${n})`,
    );
  }
  const multiply = (x: Tensor, y: Tensor) => (isFloat(x.dtype) ? product(x, y, false, false) : integerProduct(x, y));
  let out: Tensor;
  if (right.rank === 2 && left.rank > 2) {
    // One product with all rows together.
    out = reshape(multiply(reshape(left, [sizeOf(left.shape.slice(0, -1)), k]), right), [
      ...left.shape.slice(0, -1),
      n,
    ]);
  } else {
    const batch = broadcastShapes(left.shape.slice(0, -2), right.shape.slice(0, -2));
    const full = (t: Tensor, rows: number, columns: number) =>
      t.rank === 2 ? t : broadcastTo(t, [...batch, rows, columns]);
    const [x, y] = [full(left, m, k), full(right, k, n)];
    // The kernel knows one batch dimension.
    const flat = (t: Tensor) => (t.rank > 3 ? reshape(t, [sizeOf(t.shape.slice(0, -2)), ...t.shape.slice(-2)]) : t);
    out = reshape(multiply(flat(x), flat(y)), [...batch, m, n]);
  }
  if (b.rank === 1) out = squeeze(out, -1);
  return a.rank === 1 ? squeeze(out, b.rank === 1 ? -1 : -2) : out;
}
