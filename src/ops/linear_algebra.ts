// Products of vectors and matrices by PyTorch's other names, each for operands of certain ranks; sums with a product;
// contractions over any dimensions. All are made of matmul.
import { requireElement, requireInteger, requireIntegers } from '../checks.ts';
import { NotImplementedError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { arangeOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { broadcastShapes, formatShape, normalizeDim, type Shape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { broadcastTo } from './broadcast.ts';
import { cast, resultType } from './convert.ts';
import { add, eq, mul, sub, where } from './elementwise.ts';
import { matmul } from './matmul.ts';
import { sum } from './reduce.ts';
import { cat, narrow, permute, reshape, unsqueeze } from './shape_ops.ts';

/** Checks the operands of a product that takes certain ranks alone. */
function requireOperands(op: string, ...operands: [name: string, x: Tensor, rank: number][]): void {
  for (const [name, x, rank] of operands) {
    requireTensor(op, x);
    if (x.rank !== rank)
      throw new RuntimeError(
        `${op}: Expected ${rank}-D argument ${name}, but got ${x.rank}-D: ${name} must be a ${['', 'vector', 'matrix', '3D tensor'][rank]}`,
      );
  }
  const tensors = operands.map(([, x]) => x);
  requireSameDevice(op, ...tensors);
  for (const x of tensors)
    if (x.dtype !== tensors[0].dtype)
      throw new RuntimeError(`expected m1 and m2 to have the same dtype, but got: ${tensors[0].dtype} != ${x.dtype}`);
}

/**
 * The product of two matrices, (m, k) and (k, n) (PyTorch: `torch.mm`). `matmul` also takes vectors and batches.
 * @throws RuntimeError on other ranks, or where the inner sizes or the dtypes differ.
 */
export function mm(a: Tensor, b: Tensor): Tensor {
  requireOperands('mm', ['a', a, 2], ['b', b, 2]);
  return matmul(a, b);
}
/**
 * The products of two batches of matrices, (b, m, k) and (b, k, n) (PyTorch: `torch.bmm`). `matmul` also broadcasts.
 * @throws RuntimeError on other ranks, or where the batches, the inner sizes or the dtypes differ.
 */
export function bmm(a: Tensor, b: Tensor): Tensor {
  requireOperands('bmm', ['batch1', a, 3], ['batch2', b, 3]);
  requireBatches(a, b);
  return matmul(a, b);
}
function requireBatches(a: Tensor, b: Tensor): void {
  const expected = [a.shape[0], a.shape[2]];
  if (b.shape[0] !== expected[0] || b.shape[1] !== expected[1])
    throw new RuntimeError(
      `Expected size for first two dimensions of batch2 tensor to be: ${formatShape(expected)} but got: ${formatShape(b.shape.slice(0, 2))}.`,
    );
}
/**
 * A matrix times a vector, (m, k) and (k) (PyTorch: `torch.mv`).
 * @throws RuntimeError on other ranks, or where the sizes or the dtypes differ.
 */
export function mv(a: Tensor, b: Tensor): Tensor {
  requireOperands('mv', ['a', a, 2], ['b', b, 1]);
  requireSize(a, b);
  return matmul(a, b);
}
function requireSize(a: Tensor, b: Tensor): void {
  if (a.shape[1] !== b.shape[0])
    throw new RuntimeError(
      `size mismatch, got input (${a.shape[0]}), mat (${a.shape[0]}x${a.shape[1]}), vec (${b.shape[0]})`,
    );
}
/**
 * The dot product of two vectors (PyTorch: `torch.dot`).
 * @throws RuntimeError on other ranks, or where the sizes or the dtypes differ.
 */
export function dot(a: Tensor, b: Tensor): Tensor {
  requireTensor('dot', a);
  requireTensor('dot', b);
  if (a.rank !== 1 || b.rank !== 1)
    throw new RuntimeError(`1D tensors expected, but got ${a.rank}D and ${b.rank}D tensors`);
  if (a.dtype !== b.dtype)
    throw new RuntimeError(`dot : expected both vectors to have same dtype, but found ${a.dtype} and ${b.dtype}`);
  return matmul(a, b);
}
/**
 * The products of all elements of two vectors: (n) and (m) give (n, m) (PyTorch: `torch.outer`).
 * @throws RuntimeError on other ranks.
 * @example
 * outer(tensor([1, 2]), tensor([3, 4])); // [[3, 4], [6, 8]]
 */
export function outer(a: Tensor, b: Tensor): Tensor {
  requireTensor('outer', a);
  requireTensor('outer', b);
  for (const [name, x] of [
    ['a', a],
    ['b', b],
  ] as const)
    if (x.rank !== 1) throw new RuntimeError(`outer: Expected 1-D argument ${name}, but got ${x.rank}-D`);
  return mul(unsqueeze(a, 1), unsqueeze(b, 0));
}

// ---- sums with a product --------------------------------------------------------------------------------------------

/** Options of `addmm` and its relatives. */
export interface AddmmOptions {
  /** Factor of x; with 0, x is not read. Default: 1. */
  beta?: number | boolean;
  /** Factor of the product. Default: 1. */
  alpha?: number | boolean;
}
const addmmOptions = declareOptions<AddmmOptions>({ beta: kind.numeric, alpha: kind.numeric });

/** beta·x + alpha·product; x is broadcast to the product's shape. */
function withProduct(op: string, x: Tensor, options: AddmmOptions, shape: Shape, product: () => Tensor): Tensor {
  const factor = (name: 'alpha' | 'beta') => {
    const value = requireElement(op, name, options[name] ?? 1);
    if (isFloat(x.dtype) || Number.isInteger(value)) return value;
    if (op === 'addr')
      throw new RuntimeError(`For integral input tensors, argument ${name} must not be a floating point number.`);
    return Math.trunc(value);
  };
  const [beta, alpha] = [factor('beta'), factor('alpha')];
  const start = broadcastTo(x, shape);
  const result = product();
  // A factor makes an integer of a truth value.
  const dtype = resultType(x, result);
  const scaled = alpha === 1 ? result : mul(result, alpha);
  if (beta === 0) return cast(scaled, dtype);
  return cast(add(scaled, beta === 1 ? start : mul(start, beta)), dtype);
}

/**
 * beta·x + alpha·a·b, where a and b are matrices and x is broadcast (PyTorch: `torch.addmm`).
 * @throws RuntimeError on other ranks, or where sizes or dtypes do not fit.
 * @example
 * addmm(zeros([5]), randn([2, 3]), randn([3, 5])); // shape [2, 5]
 */
export function addmm(x: Tensor, a: Tensor, b: Tensor, options: AddmmOptions = {}): Tensor {
  requireOptions('addmm', options, addmmOptions);
  requireOperands('addmm', ['mat1', a, 2], ['b', b, 2]);
  requireTerm('addmm', x, a);
  return withProduct('addmm', x, options, [a.shape[0], b.shape[1]], () => mm(a, b));
}
/**
 * beta·x + alpha·a·v, where a is a matrix, v a vector, and x is broadcast (PyTorch: `torch.addmv`).
 * @throws RuntimeError on other ranks, or where sizes or dtypes do not fit.
 */
export function addmv(x: Tensor, a: Tensor, v: Tensor, options: AddmmOptions = {}): Tensor {
  requireOptions('addmv', options, addmmOptions);
  requireOperands('addmv', ['mat', a, 2], ['vec', v, 1]);
  requireTerm('addmv', x, a);
  return withProduct('addmv', x, options, [a.shape[0]], () => mv(a, v));
}
/**
 * beta·x + alpha·v·wᵀ, the outer product of two vectors; x is broadcast (PyTorch: `torch.addr`).
 * @throws RuntimeError on other ranks, or where sizes do not fit.
 */
export function addr(x: Tensor, v: Tensor, w: Tensor, options: AddmmOptions = {}): Tensor {
  requireOptions('addr', options, addmmOptions);
  requireTensor('addr', x);
  requireTensor('addr', v);
  requireTensor('addr', w);
  for (const [name, t] of [
    ['v', v],
    ['w', w],
  ] as const)
    if (t.rank !== 1) throw new RuntimeError(`addr: Expected 1-D argument ${name}, but got ${t.rank}-D`);
  return withProduct('addr', x, options, [v.shape[0], w.shape[0]], () => outer(v, w));
}
/**
 * beta·x + alpha·a·b for each pair of a batch of matrices; x is broadcast (PyTorch: `torch.baddbmm`).
 * @throws RuntimeError on other ranks, or where sizes or dtypes do not fit.
 */
export function baddbmm(x: Tensor, a: Tensor, b: Tensor, options: AddmmOptions = {}): Tensor {
  requireOptions('baddbmm', options, addmmOptions);
  requireOperands('baddbmm', ['batch1', a, 3], ['batch2', b, 3]);
  requireTerm('baddbmm', x, a);
  requireBatches(a, b);
  return withProduct('baddbmm', x, options, [a.shape[0], a.shape[1], b.shape[2]], () => matmul(a, b));
}
/**
 * beta·x + alpha·Σ a·b, the sum over a batch of products of matrices; x is broadcast (PyTorch: `torch.addbmm`).
 * @throws RuntimeError on other ranks, or where sizes or dtypes do not fit.
 */
export function addbmm(x: Tensor, a: Tensor, b: Tensor, options: AddmmOptions = {}): Tensor {
  requireOptions('addbmm', options, addmmOptions);
  requireOperands('addbmm', ['batch1', a, 3], ['batch2', b, 3]);
  requireTerm('addbmm', x, a);
  requireBatches(a, b);
  const [batch, m, k] = a.shape;
  const n = b.shape[2];
  // The sum over the batch is one over a longer inner dimension.
  return withProduct('addbmm', x, options, [m, n], () =>
    matmul(reshape(permute(a, [1, 0, 2]), [m, batch * k]), reshape(b, [batch * k, n])),
  );
}
function requireTerm(op: string, x: Tensor, a: Tensor): void {
  requireTensor(op, x);
  requireSameDevice(op, x, a);
  if (x.dtype !== a.dtype)
    throw new RuntimeError(`mat1 and mat2 must have the same dtype, but got ${x.dtype} and ${a.dtype}`);
}

// ---- contractions ---------------------------------------------------------------------------------------------------

/**
 * Σ a·b over dimensions of both: the last `dims` of a and the first of b, or those named in two lists (PyTorch:
 * `torch.tensordot`).
 * @param dims by default 2.
 * @throws RuntimeError where the sizes of the dimensions differ.
 * @example
 * tensordot(ones([2, 3, 4]), ones([3, 4, 5])); // shape [2, 5]
 */
export function tensordot(
  a: Tensor,
  b: Tensor,
  dims: number | readonly [readonly number[], readonly number[]] = 2,
): Tensor {
  requireTensor('tensordot', a);
  requireTensor('tensordot', b);
  let [left, right]: [readonly number[], readonly number[]] = [[], []];
  if (typeof dims === 'number') {
    requireInteger('tensordot', 'dims', dims);
    if (dims < 0) throw new RuntimeError(`tensordot expects dims >= 0, but got dims=${dims}`);
    if (dims > Math.min(a.rank, b.rank))
      throw new RuntimeError(
        `tensordot expects dims < a.rank or b.rank, but got ${dims}, and ranks of ${a.rank} and ${b.rank}`,
      );
    const first = Array.from({ length: dims }, (_, i) => i);
    [left, right] = [first.map((i) => a.rank - dims + i), first];
  } else {
    if (!Array.isArray(dims)) requireInteger('tensordot', 'dims', dims);
    const [ofA, ofB] = dims as readonly [readonly number[], readonly number[]];
    [left, right] = [requireIntegers('tensordot', 'dims', ofA), requireIntegers('tensordot', 'dims', ofB)];
    if (left.length !== right.length) throw new RuntimeError('both dimension lists should have same length');
  }
  const [along, with_] = [
    left.map((d) => normalizeDim(d, a.rank, 'tensordot')),
    right.map((d) => normalizeDim(d, b.rank, 'tensordot')),
  ];
  if (a.dtype !== b.dtype) throw new RuntimeError('both inputs should have same dtype');
  // A dimension of size 1 is repeated: what stands against it is summed up.
  let [x, y] = [a, b];
  along.forEach((d, i) => {
    const [n, m] = [a.shape[d], b.shape[with_[i]]];
    if (n === 1 && m !== 1) y = sum(y, with_[i], { keepdim: true, dtype: y.dtype });
    else if (m === 1 && n !== 1) x = sum(x, d, { keepdim: true, dtype: x.dtype });
    else if (n !== m)
      throw new RuntimeError(
        `contracted dimensions need to match, but first has size ${n} in dim ${left[i]} and second has size ${m} in dim ${right[i]}`,
      );
  });
  const freeOf = (t: Tensor, used: readonly number[]) => t.shape.map((_, d) => d).filter((d) => !used.includes(d));
  const [rows, columns] = [freeOf(x, along), freeOf(y, with_)];
  const sizes = (t: Tensor, chosen: readonly number[]) => chosen.map((d) => t.shape[d]);
  const inner = sizeOf(sizes(x, along));
  const [m, n] = [sizes(x, rows), sizes(y, columns)];
  return reshape(
    matmul(
      reshape(permute(x, [...rows, ...along]), [sizeOf(m), inner]),
      reshape(permute(y, [...with_, ...columns]), [inner, sizeOf(n)]),
    ),
    [...m, ...n],
  );
}

/**
 * The Kronecker product: every element of a times all of b, in blocks (PyTorch: `torch.kron`).
 * @example
 * kron(eye(2), ones([2, 2])); // two blocks of ones
 */
export function kron(a: Tensor, b: Tensor): Tensor {
  requireTensor('kron', a);
  requireTensor('kron', b);
  const rank = Math.max(a.rank, b.rank);
  const padded = ({ shape }: Tensor) => [...Array<number>(rank - shape.length).fill(1), ...shape];
  const [ofA, ofB] = [padded(a), padded(b)];
  const product = mul(
    reshape(
      a,
      ofA.flatMap((n) => [n, 1]),
    ),
    reshape(
      b,
      ofB.flatMap((n) => [1, n]),
    ),
  );
  return reshape(
    product,
    ofA.map((n, d) => n * ofB[d]),
  );
}

/**
 * Σ a·b along the last dimension of both, for every pair of vectors; with a single number their product (PyTorch:
 * `torch.inner`).
 * @throws RuntimeError where the last dimensions differ.
 * @example
 * inner(ones([2, 3]), ones([4, 3])); // shape [2, 4]
 */
export function inner(a: Tensor, b: Tensor): Tensor {
  requireTensor('inner', a);
  requireTensor('inner', b);
  requireSameDevice('inner', a, b);
  if (a.dtype !== b.dtype)
    throw new RuntimeError(`expected both vectors to have same dtype, but found ${a.dtype} and ${b.dtype}`);
  if (a.rank === 0 || b.rank === 0) return mul(a, b);
  if (a.shape.at(-1) !== b.shape.at(-1))
    throw new RuntimeError(
      `inner() the last dimension must match on both input tensors but got shapes ${formatShape(a.shape)} and ${formatShape(b.shape)}`,
    );
  return tensordot(a, b, [[-1], [-1]]);
}
/**
 * As `dot`: there are no complex numbers here (PyTorch: `torch.vdot`).
 * @throws RuntimeError on other than vectors, or where sizes or dtypes differ.
 */
export function vdot(a: Tensor, b: Tensor): Tensor {
  requireOperands('vdot', ['a', a, 1], ['b', b, 1]);
  return dot(a, b);
}

/**
 * The cross products of vectors of three elements along a dimension, by default the first of size 3; broadcast
 * (PyTorch: `torch.cross`).
 * @throws RuntimeError where there is no such dimension, or the shapes do not broadcast.
 * @example
 * cross(tensor([1, 0, 0]), tensor([0, 1, 0])); // [0, 0, 1]
 */
export function cross(a: Tensor, b: Tensor, dim: number | null = null): Tensor {
  requireTensor('cross', a);
  requireTensor('cross', b);
  requireSameDevice('cross', a, b);
  if (a.rank !== b.rank) throw new RuntimeError('linalg.cross: inputs must have the same number of dimensions.');
  const shape = broadcastShapes(a.shape, b.shape);
  const found = dim ?? shape.indexOf(3);
  if (dim === null && found < 0) throw new RuntimeError('no dimension of size 3 in input');
  const d = normalizeDim(found, a.rank, 'cross');
  if (a.shape[d] !== 3 || b.shape[d] !== 3)
    throw new RuntimeError(
      `linalg.cross: inputs dimension ${found} must have length 3. Got ${a.shape[d]} and ${b.shape[d]}`,
    );
  // Each element from the two others: those behind it, round and round.
  const behind = (x: Tensor, by: number) => cat([narrow(x, d, by, 3 - by), narrow(x, d, 0, by)], d);
  return sub(mul(behind(a, 1), behind(b, 2)), mul(behind(a, 2), behind(b, 1)));
}

/**
 * The n-th powers of square matrices (…, m, m), n ≥ 0 (PyTorch: `torch.matrix_power`).
 * @throws RuntimeError on matrices that are not square; NotImplementedError on a negative n, which needs an inverse.
 */
export function matrixPower(x: Tensor, n: number): Tensor {
  requireTensor('matrixPower', x);
  requireInteger('matrixPower', 'n', n);
  if (x.rank < 2) throw new RuntimeError(`matrixPower: The input tensor A must have at least 2 dimensions.`);
  const [rows, columns] = x.shape.slice(-2);
  if (rows !== columns)
    throw new RuntimeError(
      `matrixPower: A must be batches of square matrices, but they are ${rows} by ${columns} matrices`,
    );
  if (n < 0) throw new NotImplementedError('[matrixPower] a negative power needs an inverse, which is not here');
  if (n === 0) {
    const at = arangeOn(x.backend, rows);
    const isAlong = broadcastTo(eq(unsqueeze(at, 1), at), x.shape);
    // The identity, whose slope is 0.
    return where(eq(isAlong, isAlong), cast(isAlong, x.dtype), x);
  }
  let [square, product]: [Tensor, Tensor | null] = [x, null];
  for (let rest = n; ; square = matmul(square, square)) {
    if (rest % 2 === 1) product = product ? matmul(product, square) : square;
    rest = Math.floor(rest / 2);
    if (rest === 0) return product!;
  }
}
