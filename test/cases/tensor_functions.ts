// The cases of functions that are made of other operations: statistics, diagonals, rearranged elements, products by
// other names. table.ts gathers them.

import * as combining from '../../src/ops/combining.ts';
import * as covariance from '../../src/ops/covariance.ts';
import * as cumulative from '../../src/ops/cumulative.ts';
import * as diagonals from '../../src/ops/diagonals.ts';
import * as distance from '../../src/ops/distance.ts';
import { einsum } from '../../src/ops/einsum.ts';
import * as el from '../../src/ops/elementwise.ts';
import { embedding, embeddingBag } from '../../src/ops/embedding.ts';
import * as algebra from '../../src/ops/linear_algebra.ts';
import * as rearranging from '../../src/ops/rearranging.ts';
import * as reduce from '../../src/ops/reduce.ts';
import * as scattering from '../../src/ops/scatter_reduce.ts';
import { reshape } from '../../src/ops/shape_ops.ts';
import * as sorting from '../../src/ops/sorting.ts';
import * as statistics from '../../src/ops/statistics.ts';
import { tensor } from '../../src/tensor/create.ts';
import type { DType } from '../../src/tensor/dtype.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Case, Input } from './case.ts';

/** A constant beside x, on its device. */
const beside = (x: Tensor, data: number[] | number[][], dtype: DType = x.dtype): Tensor =>
  tensor(data, { dtype, device: x.device });

type OneRow = readonly [op: string, run: (x: Tensor) => Tensor | readonly Tensor[], torch: string];
const ofOne = (rows: readonly OneRow[], input: Input): Case[] =>
  rows.map(([op, run, torch]) => ({ ops: [op], name: torch, inputs: [input], run, torch }));

const reductions = ofOne(
  [
    ['std', (x) => statistics.std(x, [0, 2]), 'a.std((0, 2))'],
    ['std', (x) => statistics.std(x, 1, { correction: 0, keepdim: true }), 'a.std(1, correction=0, keepdim=True)'],
    ['var', (x) => statistics.varMean(x, [1, 3])[0], 't.var_mean(a, (1, 3))[0]'],
    ['std', (x) => statistics.stdMean(x, 2)[0], 't.std_mean(a, 2)[0]'],
    ['logsumexp', (x) => statistics.logsumexp(x, [1, 2]), 'a.logsumexp((1, 2))'],
    ['logsumexp', (x) => statistics.logsumexp(x, 3, { keepdim: true }), 'a.logsumexp(3, keepdim=True)'],
    ['topk', (x) => sorting.kthvalue(x, 2, 1).values, 'a.kthvalue(2, 1).values'],
    ['gather', (x) => sorting.median(x, 1, { keepdim: true }).values, 'a.median(1, keepdim=True).values'],
    ['gather', (x) => sorting.median(x), 'a.median()'],
    ['gather', (x) => sorting.nanmedian(x, -1).values, 'a.nanmedian(-1).values'],
    ['norm', (x) => statistics.norm(x), 'a.norm()'],
    ['norm', (x) => statistics.norm(x, 1, 2), 'a.norm(1, 2)'],
    ['norm', (x) => statistics.norm(x, 3, [0, 2], { keepdim: true }), 'a.norm(3, (0, 2), keepdim=True)'],
    ['norm', (x) => statistics.norm(x, 1.5, 1), 'a.norm(1.5, 1)'],
    ['norm', (x) => statistics.norm(x, 0.5, 1), 'a.norm(0.5, 1)'],
    ['norm', (x) => statistics.norm(x, Infinity, [1, 3]), 'a.norm(float("inf"), (1, 3))'],
    ['norm', (x) => statistics.norm(x, -Infinity, 0), 'a.norm(-float("inf"), 0)'],
    ['norm', (x) => statistics.normalize(x), 'F.normalize(a)'],
    ['norm', (x) => statistics.normalize(x, 1, -1, { eps: 1e-3 }), 'F.normalize(a, 1, -1, eps=1e-3)'],
    ['sum', (x) => statistics.nansum(x, 1), 'a.nansum(1)'],
    ['sum', (x) => statistics.nanmean(x, [1, 2]), 'a.nanmean((1, 2))'],
    ['amax', (x) => statistics.aminmax(x, { dim: 2 }).max, 't.aminmax(a, dim=2).max'],
    ['amin', (x) => statistics.aminmax(x, { dim: 2, keepdim: true }).min, 't.aminmax(a, dim=2, keepdim=True).min'],
  ],
  { shape: [3, 4, 2, 5], distinct: true },
);
const accumulated = ofOne(
  [
    ['cumprod', (x) => cumulative.cumprod(x, 1), 'a.cumprod(1)'],
    ['cumprod', (x) => cumulative.cumprod(x, -1, { dtype: 'float64' }), 'a.cumprod(-1, dtype=t.float64)'],
    [
      'cumprod',
      (x) => cumulative.cumprod(el.mul(x, el.gt(x, 0)), 1),
      '(a * (a > 0)).cumprod(1)', // with zeros
    ],
    ['cumulativeExtremum', (x) => cumulative.cummax(x, 3).values, 'a.cummax(3).values'],
    ['cumulativeExtremum', (x) => cumulative.cummin(x, 1).values, 'a.cummin(1).values'],
    ['logcumsumexp', (x) => cumulative.logcumsumexp(x, 1), 'a.logcumsumexp(1)'],
    ['slice', (x) => cumulative.diff(x, 2, 1), 'a.diff(n=2, dim=1)'],
    ['slice', (x) => cumulative.diff(x, 1, -1, { prepend: x, append: x }), 'a.diff(prepend=a, append=a)'],
    ['sum', (x) => cumulative.trapezoid(x, { dx: 0.5, dim: 1 }), 't.trapezoid(a, dx=0.5, dim=1)'],
    [
      'cumsum',
      (x) => cumulative.cumulativeTrapezoid(x, { x: reduce.cumsum(el.abs(x), -1) }),
      't.cumulative_trapezoid(a, a.abs().cumsum(-1))',
    ],
    ['gather', (x) => sorting.quantile(x, 0.3, 1), 'a.quantile(0.3, 1)'],
    [
      'gather',
      (x) => sorting.quantile(x, beside(x, [0.1, 0.8]), 1, { keepdim: true, interpolation: 'midpoint' }),
      'a.quantile(t.tensor([0.1, 0.8], dtype=a.dtype), 1, keepdim=True, interpolation="midpoint")',
    ],
    ['gather', (x) => sorting.nanquantile(x, 0.6), 'a.nanquantile(0.6)'],
    ['gather', (x) => sorting.mode(x, 1).values, 'a.mode(1).values'],
    ['topk', (x) => sorting.msort(x), 'a.msort()'],
    ['norm', (x) => covariance.renorm(x, 2, 1, 1.5), 'a.renorm(2, 1, 1.5)'],
    ['slice', (x) => combining.hsplit(x, [1, 3])[1], 'a.hsplit((1, 3))[1]'],
    ['slice', (x) => combining.vsplit(x, 3)[2], 'a.vsplit(3)[2]'],
    ['slice', (x) => combining.dsplit(x, 2)[0], 'a.dsplit(2)[0]'],
    [
      'indexSelect',
      (x) =>
        combining.take(
          x,
          beside(
            x,
            [
              [3, -1],
              [3, 7],
            ],
            'int64',
          ),
        ),
      'a.take(t.tensor([[3, -1], [3, 7]]))',
    ],
  ],
  { shape: [3, 4, 2, 5], distinct: true },
);
const ofRows = ofOne(
  [
    ['matmul', (x) => covariance.cov(x), 'a.cov()'],
    [
      'matmul',
      (x) =>
        covariance.cov(x, {
          correction: 0,
          fweights: beside(x, [1, 2, 1, 3, 1], 'int64'),
          aweights: beside(x, [0.5, 1, 2, 1, 1]),
        }),
      'a.cov(correction=0, fweights=t.tensor([1, 2, 1, 3, 1]), aweights=t.tensor([0.5, 1, 2, 1, 1], dtype=a.dtype))',
    ],
    ['cat', (x) => combining.blockDiag(x, rearranging.ravel(x)), 't.block_diag(a, a.ravel())'],
    ['indexSelect', (x) => combining.combinations(rearranging.ravel(x)), 't.combinations(a.ravel())'],
    [
      'indexSelect',
      (x) => combining.combinations(rearranging.ravel(x), 3, { withReplacement: true }),
      't.combinations(a.ravel(), 3, with_replacement=True)',
    ],
    [
      'expand',
      (x) => combining.cartesianProd(rearranging.ravel(x), rearranging.ravel(x)),
      't.cartesian_prod(a.ravel(), a.ravel())',
    ],
    ['indexPut', (x) => combining.diagflat(x, -1), 'a.diagflat(-1)'],
    [
      'matmul',
      (x) => algebra.matrixPower(algebra.mm(x, rearranging.swapaxes(x, 0, 1)), 5),
      't.linalg.matrix_power(a @ a.T, 5)',
    ],
    [
      'pow',
      (x) => combining.vander(rearranging.ravel(x), 4, { increasing: true }),
      'a.ravel()[:, None] ** t.arange(4)',
    ],
  ],
  { shape: [3, 5], low: 0.3, high: 2 },
);
const ofDtype = ofOne(
  [
    ['sum', (x) => reduce.sum(x, 1, { dtype: 'float64' }), 'a.sum(1, dtype=t.float64)'],
    ['sum', (x) => reduce.mean(x, 2, { dtype: 'float64' }), 'a.mean(2, dtype=t.float64)'],
    ['prod', (x) => reduce.prod(x, 0, { dtype: 'float64' }), 'a.prod(0, dtype=t.float64)'],
    ['cumsum', (x) => reduce.cumsum(x, 1, { dtype: 'float64' }), 'a.cumsum(1, dtype=t.float64)'],
    ['softmax', (x) => reduce.softmax(x, 1, { dtype: 'float64' }), 'a.softmax(1, dtype=t.float64)'],
    ['softmax', (x) => reduce.logSoftmax(x, 0, { dtype: 'float64' }), 'a.log_softmax(0, dtype=t.float64)'],
  ],
  { shape: [3, 4, 2] },
);

const rearranged = ofOne(
  [
    ['slice', (x) => rearranging.unbind(x, 1)[2], 'a.unbind(1)[2]'],
    ['permute', (x) => rearranging.movedim(x, [0, -1], [1, 0]), 'a.movedim((0, -1), (1, 0))'],
    ['permute', (x) => rearranging.moveaxis(x, 1, -1), 'a.moveaxis(1, -1)'],
    ['permute', (x) => rearranging.swapaxes(x, 0, 2), 'a.swapaxes(0, 2)'],
    ['permute', (x) => rearranging.swapdims(x, -1, 1), 'a.swapdims(-1, 1)'],
    ['permute', (x) => rearranging.transposedMatrices(x), 'a.mT'],
    ['permute', (x) => rearranging.reversed(x), 'a.permute(3, 2, 1, 0)'],
    ['reshape', (x) => rearranging.ravel(x), 'a.ravel()'],
    ['reshape', (x) => rearranging.view(x, [6, -1]), 'a.view(6, -1)'],
    ['expand', (x) => rearranging.tile(x, [2, 3]), 'a.tile(2, 3)'],
    ['expand', (x) => rearranging.broadcastToShape(x, [2, 3, 4, 2, 5]), 'a.broadcast_to(2, 3, 4, 2, 5)'],
    ['cat', (x) => rearranging.roll(x, [1, -2], [1, 3]), 'a.roll((1, -2), (1, 3))'],
    ['cat', (x) => rearranging.roll(x, 7), 'a.roll(7)'],
    ['expand', (x) => rearranging.repeatInterleave(x, 3, 1), 'a.repeat_interleave(3, 1)'],
    ['slice', (x) => rearranging.fliplr(x), 'a.fliplr()'],
    ['slice', (x) => rearranging.flipud(x), 'a.flipud()'],
    ['slice', (x) => rearranging.rot90(x, 1, [1, 3]), 'a.rot90(1, (1, 3))'],
    ['slice', (x) => rearranging.rot90(x, -1, [2, 0]), 'a.rot90(-1, (2, 0))'],
    ['slice', (x) => rearranging.tensorSplit(x, 3, 1)[1], 'a.tensor_split(3, 1)[1]'],
    ['slice', (x) => rearranging.tensorSplit(x, [1, -1], 1)[1], 'a.tensor_split((1, -1), 1)[1]'],
    ['where', (x) => diagonals.tril(x, 1), 'a.tril(1)'],
    ['where', (x) => diagonals.triu(x, -1), 'a.triu(-1)'],
    ['indexSelect', (x) => diagonals.diagonal(x, -1, 1, 3), 'a.diagonal(-1, 1, 3)'],
    ['indexPut', (x) => diagonals.diagEmbed(x, 1, 0, 2), 'a.diag_embed(1, 0, 2)'],
  ],
  { shape: [3, 4, 2, 5] },
);
const ofMatrix = ofOne(
  [
    ['indexSelect', (x) => diagonals.diag(x, -1), 'a.diag(-1)'],
    ['indexPut', (x) => diagonals.diag(rearranging.ravel(x)), 'a.ravel().diag()'],
    ['cat', (x) => rearranging.vstack([x, x]), 't.vstack([a, a])'],
    ['cat', (x) => rearranging.hstack([x, x]), 't.hstack([a, a])'],
    ['cat', (x) => rearranging.dstack([x, x]), 't.dstack([a, a])'],
    ['cat', (x) => rearranging.columnStack([x, x]), 't.column_stack([a, a])'],
    ['matmul', (x) => einsum('ij,kj->ik', x, x), 't.einsum("ij,kj->ik", a, a)'],
  ],
  { shape: [3, 4] },
);

type ManyRow = readonly [op: string, inputs: readonly Input[], run: Case['run'], torch: string];
const m = (...shape: number[]): Input => ({ shape });
const manyRows: readonly ManyRow[] = [
  ['matmul', [m(3, 4), m(4, 5)], algebra.mm as Case['run'], 't.mm(a, b)'],
  ['matmul', [m(2, 3, 4), m(2, 4, 5)], algebra.bmm as Case['run'], 't.bmm(a, b)'],
  ['matmul', [m(3, 4), m(4)], algebra.mv as Case['run'], 't.mv(a, b)'],
  ['matmul', [m(4), m(4)], algebra.dot as Case['run'], 't.dot(a, b)'],
  ['mul', [m(4), m(3)], algebra.outer as Case['run'], 't.outer(a, b)'],
  [
    'matmul',
    [m(5), m(3, 4), m(4, 5)],
    (a, b, c) => algebra.addmm(a, b, c, { beta: 0.5, alpha: 2 }),
    't.addmm(a, b, c, beta=0.5, alpha=2)',
  ],
  ['matmul', [m(3), m(3, 4), m(4)], (a, b, c) => algebra.addmv(a, b, c, { alpha: 2 }), 't.addmv(a, b, c, alpha=2)'],
  ['mul', [m(3, 1), m(3), m(4)], (a, b, c) => algebra.addr(a, b, c, { beta: 3 }), 't.addr(a, b, c, beta=3)'],
  [
    'matmul',
    [m(3, 5), m(2, 3, 4), m(2, 4, 5)],
    (a, b, c) => algebra.baddbmm(a, b, c, { beta: 0.5 }),
    't.baddbmm(a, b, c, beta=0.5)',
  ],
  [
    'matmul',
    [m(3, 5), m(2, 3, 4), m(2, 4, 5)],
    (a, b, c) => algebra.addbmm(a, b, c, { alpha: 0.5 }),
    't.addbmm(a, b, c, alpha=0.5)',
  ],
  ['matmul', [m(3, 4, 2), m(4, 2, 5)], (a, b) => algebra.tensordot(a, b), 't.tensordot(a, b)'],
  [
    'matmul',
    [m(3, 4, 2), m(5, 3, 2)],
    (a, b) =>
      algebra.tensordot(a, b, [
        [0, 2],
        [1, 2],
      ]),
    't.tensordot(a, b, ((0, 2), (1, 2)))',
  ],
  ['mul', [m(3, 2), m(2, 1, 4)], algebra.kron as Case['run'], 't.kron(a, b)'],
  [
    'matmul',
    [m(2, 3, 4), m(4, 5, 3), m(5)],
    (a, b, c) => einsum('bij,jki,k->bk', a, b, c),
    't.einsum("bij,jki,k->bk", a, b, c)',
  ],
  ['indexSelect', [m(2, 3, 3), m(3, 2)], (a, b) => einsum('...ii,ij', a, b), 't.einsum("...ii,ij", a, b)'],
];
const places = '[[0, 2, 1, 0, 1], [1, 2, 1, 2, 0]]';
const placesBeside = (x: Tensor) => beside(x, JSON.parse(places) as number[][], 'int64');
const scatterRows: readonly ManyRow[] = (['sum', 'prod', 'mean', 'amax', 'amin'] as const).flatMap((how) =>
  [true, false].map(
    (includeSelf): ManyRow => [
      how === 'sum' || how === 'mean' ? 'scatterAdd' : 'scatterReduce',
      [m(4, 5), m(2, 5)],
      (a, b) => scattering.scatterReduce(a, 0, placesBeside(a), b, how, { includeSelf }),
      `a.scatter_reduce(0, t.tensor(${places}), b, "${how}", include_self=${includeSelf ? 'True' : 'False'})`,
    ],
  ),
);
const metRows: readonly ManyRow[] = [
  ...scatterRows,
  [
    'scatterReduce',
    [m(4, 6), m(2, 5)], // an index that is smaller
    (a, b) => scattering.scatterReduce(a, 0, placesBeside(a), b, 'prod'),
    `a.scatter_reduce(0, t.tensor(${places}), b, "prod")`,
  ],
  [
    'scatterReduce',
    [m(4, 3), m(3, 3)],
    (a, b) => scattering.indexReduce(a, 0, beside(a, [2, 0, 2], 'int64'), b, 'amax', { includeSelf: false }),
    'a.index_reduce(0, t.tensor([2, 0, 2]), b, "amax", include_self=False)',
  ],
  // Rows of inputs are evenly spaced, so their correlations are 1, which is where they are cut off: those of squares
  // are less. The diagonal is left out.
  [
    'matmul',
    [{ shape: [3, 5], distinct: true }],
    (a) => diagonals.triu(covariance.corrcoef(el.mul(a, a)), 1),
    '(a * a).corrcoef().triu(1)',
  ],
  ['norm', [m(2, 5, 3), m(4, 3)], (a, b) => distance.cdist(a, b, 1.5), 't.cdist(a, b, 1.5)'],
  ['norm', [m(5, 3), m(4, 3)], (a, b) => distance.cdist(a, b), 't.cdist(a, b)'],
  [
    'matmul',
    [m(5, 3), m(4, 3)],
    (a, b) => distance.cdist(a, b, 2, { computeMode: 'useMmForEuclidDist' }),
    't.cdist(a, b, compute_mode="use_mm_for_euclid_dist")',
  ],
  ['norm', [m(5, 3), m(3)], (a, b) => distance.dist(a, b, 3), 't.dist(a, b, 3)'],
  ['matmul', [m(2, 3), m(4, 3)], algebra.inner as Case['run'], 't.inner(a, b)'],
  ['mul', [m(4, 3), m(1, 3)], (a, b) => algebra.cross(a, b), 't.cross(a, b)'],
  ['mul', [m(3, 2), m(3, 2)], (a, b) => algebra.cross(a, b, 0), 't.cross(a, b, 0)'],
  ['replace', [m(4, 3), m(3)], (a, b) => combining.selectScatter(a, b, 0, -2), 'a.select_scatter(b, 0, -2)'],
  ['replace', [m(4, 5), m(4, 2)], (a, b) => combining.sliceScatter(a, b, 1, 1, 5, 2), 'a.slice_scatter(b, 1, 1, 5, 2)'],
  [
    'indexPut',
    [m(4, 2, 5), m(2, 4)],
    (a, b) => combining.diagonalScatter(a, b, 1, 0, 2),
    'a.diagonal_scatter(b, 1, 0, 2)',
  ],
  [
    'indexPut',
    [m(4, 5), m(3)],
    (a, b) => combining.put(a, beside(a, [3, -1, 7], 'int64'), b),
    'a.put(t.tensor([3, -1, 7]), b)',
  ],
  [
    'indexAdd',
    [m(4, 5), m(3)],
    (a, b) => combining.put(a, beside(a, [3, -1, 3], 'int64'), b, { accumulate: true }),
    'a.put(t.tensor([3, -1, 3]), b, accumulate=True)',
  ],
  ['mul', [m(3, 4), { shape: [4], integer: true, high: 4 }], (a, b) => el.ldexp(a, b), 't.ldexp(a, b)'],
];
const words = '[1, 4, 0, 4, 2, 4]';
const bagRows: readonly ManyRow[] = [
  ...(['sum', 'mean', 'max'] as const).map(
    (mode): ManyRow => [
      mode === 'max' ? 'scatterReduce' : 'indexAdd',
      [{ shape: [5, 3], distinct: true }],
      (a) =>
        embeddingBag(beside(a, JSON.parse(words) as number[], 'int64'), a, {
          mode,
          offsets: beside(a, [0, 2, 2, 5], 'int64'),
        }),
      `F.embedding_bag(t.tensor(${words}), a, t.tensor([0, 2, 2, 5]), mode="${mode}")`,
    ],
  ),
  [
    'indexAdd',
    [m(5, 3), m(2, 3)],
    (a, b) =>
      embeddingBag(reshape(beside(a, JSON.parse(words) as number[], 'int64'), [2, 3]), a, {
        mode: 'sum',
        perSampleWeights: b,
      }),
    `F.embedding_bag(t.tensor(${words}).view(2, 3), a, mode="sum", per_sample_weights=b)`,
  ],
];
const scaled: readonly Case[] = [
  {
    ops: ['scaleGradient'],
    name: 'embedding, scaled by frequency',
    inputs: [m(5, 3)],
    run: (a) => embedding(beside(a, JSON.parse(words) as number[], 'int64'), a, { scaleGradByFreq: true }),
    torch: `F.embedding(t.tensor(${words}), a, scale_grad_by_freq=True)`,
    noDifferences: 'gradients are divided by counts',
  },
];
const positive = (...shape: number[]): Input => ({ shape, low: 0.3, high: 3 });
const elementRows: readonly ManyRow[] = [
  ['mul', [m(3, 4), m(4), m(3, 1)], (a, b, c) => el.addcmul(a, b, c, { value: 2 }), 't.addcmul(a, b, c, value=2)'],
  ['div', [m(3, 4), m(4), positive(3, 1)], (a, b, c) => el.addcdiv(a, b, c), 't.addcdiv(a, b, c)'],
  ['add', [m(3, 4), m(4)], (a, b) => el.lerp(a, b, 0.3), 't.lerp(a, b, 0.3)'],
  ['where', [m(3, 4), m(4), m(3, 1)], (a, b, c) => el.lerp(a, b, c), 't.lerp(a, b, c)'],
  ['sub', [m(3, 4), m(4)], (a, b) => el.rsub(a, b, { alpha: 2 }), 't.rsub(a, b, alpha=2)'],
  ['xlogy', [m(3, 4), positive(4)], (a, b) => el.xlogy(a, b), 't.xlogy(a, b)'],
  ['logaddexp', [m(3, 4), m(4)], (a, b) => el.logaddexp(a, b), 't.logaddexp(a, b)'],
  ['logaddexp2', [m(3, 4), m(4)], (a, b) => el.logaddexp2(a, b), 't.logaddexp2(a, b)'],
  ['logit', [{ shape: [3, 4], low: 0.1, high: 0.9 }], (a) => el.logit(a), 'a.logit()'],
  ['logit', [{ shape: [3, 4], low: 0.1, high: 0.9 }], (a) => el.logit(a, { eps: 0.2 }), 'a.logit(0.2)'],
  ['sinc', [m(3, 4)], (a) => el.sinc(a), 'a.sinc()'],
  ['trunc', [positive(3, 4)], (a) => el.frac(a), 'a.frac()'],
  ['mul', [m(3, 4)], (a) => el.deg2rad(a), 'a.deg2rad()'],
  ['where', [m(3, 4)], (a) => el.nanToNum(a), 'a.nan_to_num()'],
  ['where', [m(3, 4), m(4)], (a, b) => el.fmax(a, b), 't.fmax(a, b)'],
  ['where', [m(3, 4), m(4)], (a, b) => el.fmin(a, b), 't.fmin(a, b)'],
  ['clampBetween', [m(3, 4), m(4), m(3, 1)], (a, b, c) => el.clamp(a, b, c), 'a.clamp(b, c)'],
  ['clampBetween', [m(3, 4), m(4)], (a, b) => el.clamp(a, b), 'a.clamp(min=b)'],
];
const many: Case[] = [...manyRows, ...metRows, ...bagRows, ...elementRows].map(([op, inputs, run, torch]) => ({
  ops: [op],
  name: torch,
  inputs,
  run,
  torch,
}));

export const tensorFunctions: readonly Case[] = [
  ...reductions,
  ...scaled,
  ...accumulated,
  ...ofRows,
  ...ofDtype,
  ...rearranged,
  ...ofMatrix,
  ...many,
];
