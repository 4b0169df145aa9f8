// The cases of functions that are made of other operations: statistics, diagonals, rearranged elements, products by
// other names. table.ts gathers them.

import * as diagonals from '../../src/ops/diagonals.ts';
import { einsum } from '../../src/ops/einsum.ts';
import * as el from '../../src/ops/elementwise.ts';
import * as algebra from '../../src/ops/linear_algebra.ts';
import * as rearranging from '../../src/ops/rearranging.ts';
import * as reduce from '../../src/ops/reduce.ts';
import * as sorting from '../../src/ops/sorting.ts';
import * as statistics from '../../src/ops/statistics.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Case, Input } from './case.ts';

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
const many: Case[] = [...manyRows, ...elementRows].map(([op, inputs, run, torch]) => ({
  ops: [op],
  name: torch,
  inputs,
  run,
  torch,
}));

export const tensorFunctions: readonly Case[] = [...reductions, ...ofDtype, ...rearranged, ...ofMatrix, ...many];
