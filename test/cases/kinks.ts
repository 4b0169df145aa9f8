// Every function of elements (by its row), reduction and loss at the places where formulas break: kinks, both zeros,
// infinities, NaN, the largest and the smallest numbers. test/golden/kink_golden.py has PyTorch's values and gradients
// of first and second order there; test/ops/kinks.test.ts compares, and fails where a public function is missing here.
import * as f from '../../src/ops/elementwise.ts';
import * as indexing from '../../src/ops/indexing.ts';
import * as loss from '../../src/ops/loss.ts';
import * as reduce from '../../src/ops/reduce.ts';
import * as sorting from '../../src/ops/sorting.ts';
import * as statistics from '../../src/ops/statistics.ts';
import { full, tensor } from '../../src/tensor/create.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { binaryRows } from './binary.ts';
import { unaryRows } from './unary.ts';

export interface KinkInput {
  readonly shape: readonly number[];
  readonly data: readonly number[];
  /** Default: the dtype of the run, differentiated. */
  readonly kind?: 'int64' | 'bool';
  readonly constant?: boolean;
}
export interface KinkCase {
  /** The functions that this case covers, by their names in ops/. */
  readonly covers: readonly string[];
  /** In Python, over t (torch), F and the inputs a, b, c …. */
  readonly torch: string;
  readonly inputs: (dtype: 'float32' | 'float64') => readonly KinkInput[];
  run(...inputs: Tensor[]): Tensor;
}

const both = (values: readonly number[]) => values.flatMap((v) => [v, -v]);
const extremes = {
  float32: both([1.4e-45, 1e-38, 1e-30, 1e-10, 1e10, 1e19, 1e30, 1e38, 3.4028234663852886e38, 88, 89, 104]),
  float64: both([5e-324, 1e-308, 1e-200, 1e-17, 1e17, 1e160, 1e300, 1.7976931348623157e308, 709, 710, 745, 746]),
};
const special = [0, -0, Infinity, -Infinity, NaN];
const common = both([0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 6, 9, 20, 21, 40]);
const points = (dtype: 'float32' | 'float64') => [...special, ...common, ...extremes[dtype]];
const vector = (data: readonly number[]): KinkInput => ({ shape: [data.length], data });

/** One operand, at all points. */
const unary = (name: string, torch: string, run: (x: Tensor) => Tensor): KinkCase => ({
  covers: [name],
  torch,
  inputs: (dtype) => [vector(points(dtype))],
  run,
});

const few = {
  float32: [...special, 1e-38, 1e38, -1e38, 0.5, -0.5, 1, -1, 2, -2, 3, -3, 2.5],
  float64: [...special, 1e-308, 1e308, -1e308, 0.5, -0.5, 1, -1, 2, -2, 3, -3, 2.5],
};
/** Two operands, in all pairs of fewer points. */
function pairs(dtype: 'float32' | 'float64'): KinkInput[] {
  const values = few[dtype];
  return [vector(values.flatMap((a) => values.map(() => a))), vector(values.flatMap(() => values))];
}
const binary = (name: string, torch: string, run: (a: Tensor, b: Tensor) => Tensor): KinkCase => ({
  covers: [name],
  torch,
  inputs: pairs,
  run,
});

/** Rows of four, for what goes along rows. */
const rows = {
  common: [
    [0, 0, 0, 0],
    [-0, -0, 0, -0],
    [1, 2, 2, -1],
    [3, 3, 3, 3],
    [0, 2, 3, 4],
    [0, 0, 3, 4],
    [Infinity, 1, 2, 3],
    [-Infinity, 1, 2, 3],
    [Infinity, Infinity, 1, 0],
    [Infinity, -Infinity, 1, 0],
    [-Infinity, -Infinity, -Infinity, -Infinity],
    [NaN, 1, 2, 3],
    [1, NaN, Infinity, NaN],
    [100, -100, 0, 100],
  ],
  float32: [
    [1e38, 1e38, 3e38, 3e38],
    [-3e38, 3e38, 0, 0],
    [1e-38, 1e-38, 1e-45, 0],
    [1e20, 1e20, 1e20, 1e-30],
  ],
  float64: [
    [1e308, 1e308, 1.7e308, 1.7e308],
    [-1.7e308, 1.7e308, 0, 0],
    [1e-308, 1e-308, 5e-324, 0],
    [1e160, 1e160, 1e160, 1e-200],
  ],
};
const matrix = (dtype: 'float32' | 'float64'): KinkInput => {
  const all = [...rows.common, ...rows[dtype]];
  return { shape: [all.length, 4], data: all.flat() };
};
const alongRows = (name: string, torch: string, run: (x: Tensor) => Tensor): KinkCase => ({
  covers: [name],
  torch,
  inputs: (dtype) => [matrix(dtype)],
  run,
});

/** Logits and targets of a loss of elements. */
const targets = [0, 0.25, 1];
function logits(dtype: 'float32' | 'float64', ...weights: readonly number[]): KinkInput[] {
  const xs = points(dtype);
  const count = xs.length * targets.length;
  return [
    vector(xs.flatMap((x) => targets.map(() => x))),
    vector(xs.flatMap(() => targets)),
    ...weights.map((w) => ({ ...vector(Array.from({ length: count }, (_, i) => w + (i % 2))), constant: true })),
  ];
}
/** Probabilities and targets. */
function probabilities(dtype: 'float32' | 'float64'): KinkInput[] {
  const xs = [0, 0.25, 0.5, 1, ...{ float32: [1e-38, 1 - 2 ** -24], float64: [1e-308, 1 - 2 ** -53] }[dtype]];
  return [vector(xs.flatMap((x) => targets.map(() => x))), vector(xs.flatMap(() => targets))];
}
/** Class targets for the rows, one of which is ignored. */
const classes = (dtype: 'float32' | 'float64'): KinkInput => {
  const count = matrix(dtype).shape[0];
  return { shape: [count], kind: 'int64', data: Array.from({ length: count }, (_, i) => (i === 3 ? -100 : i % 4)) };
};
const none = { reduction: 'none' } as const;
const along = (name: string, torch: string, run: (x: Tensor, ...others: Tensor[]) => Tensor): KinkCase => ({
  covers: [name],
  torch,
  inputs: (dtype) => [matrix(dtype), classes(dtype), { ...vector([1, 0, 2, 0.5]), constant: true }],
  run,
});

// biome-ignore format: one line a row reads better
export const kinks: readonly KinkCase[] = [
  ...unaryRows.flatMap(([name, { publicName = name, case: row, kinks = row ? [row] : [] }]) =>
    kinks.map(([torch, run]) => unary(publicName, torch, run))),
  ...binaryRows.flatMap(([name, { publicName = name, kinksOfOne = [] }]) => kinksOfOne.map(([torch, run]) => unary(publicName, torch, run))),
  ...binaryRows.flatMap(([name, { publicName = name, kinks }]) => kinks.map(([torch, run]) => binary(publicName, torch, run))),
  binary('addcmul', 't.addcmul(a, a, b, value=2)', (a, b) => f.addcmul(a, a, b, { value: 2 })),
  binary('addcdiv', 't.addcdiv(a, a, b, value=2)', (a, b) => f.addcdiv(a, a, b, { value: 2 })),
  binary('lerp', 't.lerp(a, b, 0.3)', (a, b) => f.lerp(a, b, 0.3)),
  binary('lerp', 't.lerp(a, b, 0.7)', (a, b) => f.lerp(a, b, 0.7)),
  binary('rsub', 't.rsub(a, b)', (a, b) => f.rsub(a, b)),
  binary('xlogy', 't.xlogy(a, b)', f.xlogy),
  binary('logaddexp', 't.logaddexp(a, b)', f.logaddexp),
  binary('logaddexp2', 't.logaddexp2(a, b)', f.logaddexp2),
  unary('logit', 'a.logit()', (x) => f.logit(x)),
  unary('logit', 'a.logit(0.1)', (x) => f.logit(x, { eps: 0.1 })),
  unary('sinc', 'a.sinc()', f.sinc),
  unary('frac', 'a.frac()', f.frac),
  unary('deg2rad', 'a.deg2rad()', f.deg2rad),
  unary('rad2deg', 'a.rad2deg()', f.rad2deg),
  unary('nanToNum', 'a.nan_to_num()', (x) => f.nanToNum(x)),
  unary('nanToNum', 'a.nan_to_num(1, 2, 3)', (x) => f.nanToNum(x, { nan: 1, posinf: 2, neginf: 3 })),
  binary('fmax', 't.fmax(a, b)', f.fmax),
  binary('fmin', 't.fmin(a, b)', f.fmin),
  binary('heaviside', 't.heaviside(a.detach(), b.detach())', f.heaviside),
  unary('isposinf', 'a.isposinf()', f.isposinf),
  unary('isneginf', 'a.isneginf()', f.isneginf),
  binary('isclose', 't.isclose(a, b)', (a, b) => f.isclose(a, b)),
  binary('isclose', 't.isclose(a, b, equal_nan=True)', (a, b) => f.isclose(a, b, { equalNan: true })),
  binary('clamp', 'a.clamp(min=b)', (a, b) => f.clamp(a, b)),
  binary('clamp', 'a.clamp(max=b)', (a, b) => f.clamp(a, undefined, b)),
  binary('clamp', 'a.clamp(b, a)', (a, b) => f.clamp(a, b, a)),
  binary('where', 't.where(a > b, a, b)', (a, b) => f.where(f.gt(a, b), a, b)),
  binary('maskedFill', 'a.masked_fill(a > b, 7)', (a, b) => indexing.maskedFill(a, f.gt(a, b), 7)),
  alongRows('sum', 'a.sum(1)', (x) => reduce.sum(x, 1)),
  alongRows('mean', 'a.mean(1)', (x) => reduce.mean(x, 1)),
  alongRows('prod', 'a.prod(1)', (x) => reduce.prod(x, 1)),
  alongRows('variance', 'a.var(1)', (x) => reduce.variance(x, 1)),
  alongRows('variance', 'a.var(1, correction=0)', (x) => reduce.variance(x, 1, { correction: 0 })),
  alongRows('variance', 'a[:, :1].var(1)', (x) => reduce.variance(x.narrow(1, 0, 1), 1)),
  alongRows('amax', 'a.amax(1)', (x) => reduce.amax(x, 1)),
  alongRows('amin', 'a.amin(1)', (x) => reduce.amin(x, 1)),
  alongRows('amax', 'a.amax((0, 1))', (x) => reduce.amax(x)),
  alongRows('max', 'a.max(1).values', (x) => reduce.max(x, 1).values),
  alongRows('min', 'a.min(1).values', (x) => reduce.min(x, 1).values),
  alongRows('max', 'a.max()', (x) => reduce.max(x)),
  alongRows('min', 'a[:6].min()', (x) => reduce.min(x.narrow(0, 0, 6))),
  alongRows('argmax', 'a.argmax(1)', (x) => reduce.argmax(x, 1)),
  alongRows('argmin', 'a.argmin(1)', (x) => reduce.argmin(x, 1)),
  alongRows('any', 'a.any(1)', (x) => reduce.any(x, 1)),
  alongRows('all', 'a.all(1)', (x) => reduce.all(x, 1)),
  alongRows('cumsum', 'a.cumsum(1)', (x) => reduce.cumsum(x, 1)),
  alongRows('cumsum', 'a.cumsum(0)', (x) => reduce.cumsum(x, 0)),
  alongRows('topk', 'a.topk(2).values', (x) => reduce.topk(x, 2).values),
  alongRows('sort', 'a.sort(stable=True).values', (x) => reduce.sort(x).values),
  alongRows('argsort', 'a.argsort(stable=True)', (x) => reduce.argsort(x)),
  alongRows('median', 'a.median(1).values', (x) => sorting.median(x, 1).values),
  alongRows('nanmedian', 'a.nanmedian(1).values', (x) => sorting.nanmedian(x, 1).values),
  alongRows('std', 'a.std(1)', (x) => statistics.std(x, 1)),
  alongRows('logsumexp', 'a.logsumexp(1)', (x) => statistics.logsumexp(x, 1)),
  alongRows('norm', 'a.norm(2, 1)', (x) => statistics.norm(x, 2, 1)),
  alongRows('norm', 'a.norm(1, 1)', (x) => statistics.norm(x, 1, 1)),
  alongRows('norm', 'a.norm(float("inf"), 1)', (x) => statistics.norm(x, Infinity, 1)),
  alongRows('norm', 'a.norm(0, 1)', (x) => statistics.norm(x, 0, 1)),
  alongRows('normalize', 'F.normalize(a)', (x) => statistics.normalize(x)),
  alongRows('nansum', 'a.nansum(1)', (x) => statistics.nansum(x, 1)),
  alongRows('nanmean', 'a.nanmean(1)', (x) => statistics.nanmean(x, 1)),
  alongRows('countNonzero', 'a.count_nonzero(1)', (x) => statistics.countNonzero(x, 1)),
  alongRows('softmax', 'a.softmax(1)', (x) => reduce.softmax(x, 1)),
  alongRows('softmax', 'a.softmax(0)', (x) => reduce.softmax(x, 0)),
  alongRows('logSoftmax', 'a.log_softmax(1)', (x) => reduce.logSoftmax(x, 1)),
  alongRows('logSoftmax', 'a.t().contiguous().log_softmax(0)', (x) => reduce.logSoftmax(x.t(), 0)),
  binary('mseLoss', "F.mse_loss(a, b, reduction='none')", (a, b) => loss.mseLoss(a, b, none)),
  binary('mseLoss', 'F.mse_loss(a, b)', (a, b) => loss.mseLoss(a, b)),
  binary('l1Loss', "F.l1_loss(a, b, reduction='none')", (a, b) => loss.l1Loss(a, b, none)),
  binary('smoothL1Loss', "F.smooth_l1_loss(a, b, reduction='none')", (a, b) => loss.smoothL1Loss(a, b, none)),
  binary('smoothL1Loss', "F.smooth_l1_loss(a, b, reduction='none', beta=0.5)", (a, b) => loss.smoothL1Loss(a, b, { ...none, beta: 0.5 })),
  binary('smoothL1Loss', "F.smooth_l1_loss(a, b, reduction='none', beta=0.0)", (a, b) => loss.smoothL1Loss(a, b, { ...none, beta: 0 })),
  { covers: ['binaryCrossEntropyWithLogits'], torch: "F.binary_cross_entropy_with_logits(a, b, reduction='none')", inputs: (dtype) => logits(dtype), run: (a, b) => loss.binaryCrossEntropyWithLogits(a, b, none) },
  { covers: ['binaryCrossEntropyWithLogits'], torch: "F.binary_cross_entropy_with_logits(a, b, weight=c, pos_weight=d, reduction='none')", inputs: (dtype) => logits(dtype, 0.5, 2), run: (a, b, weight, posWeight) => loss.binaryCrossEntropyWithLogits(a, b, { ...none, weight, posWeight }) },
  { covers: ['binaryCrossEntropyWithLogits'], torch: 'F.binary_cross_entropy_with_logits(a[:30], b[:30])', inputs: (dtype) => logits(dtype).map(({ data }) => vector([0, -0, 0.5, ...data.slice(15, 42)])), run: (a, b) => loss.binaryCrossEntropyWithLogits(a, b) },
  along('crossEntropy', "F.cross_entropy(a, b, reduction='none')", (a, b) => loss.crossEntropy(a, b, none)),
  along('crossEntropy', "F.cross_entropy(a, b, weight=c, reduction='none')", (a, b, weight) => loss.crossEntropy(a, b, { ...none, weight })),
  along('crossEntropy', "F.cross_entropy(a, b, label_smoothing=0.25, reduction='none')", (a, b) => loss.crossEntropy(a, b, { ...none, labelSmoothing: 0.25 })),
  along('nllLoss', "F.nll_loss(a, b, reduction='none')", (a, b) => loss.nllLoss(a, b, none)),
  along('nllLoss', "F.nll_loss(a, b, weight=c)", (a, b, weight) => loss.nllLoss(a, b, { weight })),
  binary('huberLoss', "F.huber_loss(a, b, reduction='none')", (a, b) => loss.huberLoss(a, b, none)),
  binary('huberLoss', "F.huber_loss(a, b, reduction='none', delta=0.5)", (a, b) => loss.huberLoss(a, b, { ...none, delta: 0.5 })),
  binary('softMarginLoss', "F.soft_margin_loss(a, b.detach(), reduction='none')", (a, b) => loss.softMarginLoss(a, b.detach(), none)),
  { covers: ['binaryCrossEntropy'], torch: "F.binary_cross_entropy(a, b, reduction='none')", inputs: probabilities, run: (a, b) => loss.binaryCrossEntropy(a, b, none) },
  binary('klDiv', "F.kl_div(a, b, reduction='none')", (a, b) => loss.klDiv(a, b, none)),
  binary('klDiv', "F.kl_div(a, b, reduction='none', log_target=True)", (a, b) => loss.klDiv(a, b, { ...none, logTarget: true })),
  binary('poissonNllLoss', "F.poisson_nll_loss(a, b, reduction='none')", (a, b) => loss.poissonNllLoss(a, b, none)),
  binary('poissonNllLoss', "F.poisson_nll_loss(a, b, log_input=False, full=True, reduction='none')", (a, b) => loss.poissonNllLoss(a, b, { ...none, logInput: false, full: true })),
  binary('gaussianNllLoss', "F.gaussian_nll_loss(a, b, t.full_like(a, 0.5), reduction='none')", (a, b) => loss.gaussianNllLoss(a, b, 0.5, none)),
  binary('marginRankingLoss', "F.margin_ranking_loss(a, b, t.ones_like(a), 0.5, reduction='none')", (a, b) => loss.marginRankingLoss(a, b, full(a.shape, 1, { dtype: a.dtype }), { ...none, margin: 0.5 })),
  binary('hingeEmbeddingLoss', "F.hinge_embedding_loss(a, b, reduction='none')", (a, b) => loss.hingeEmbeddingLoss(a, b, none)),
  along('cosineEmbeddingLoss', "F.cosine_embedding_loss(a, a.flip(0), b.sign(), reduction='none')", (a, b) => loss.cosineEmbeddingLoss(a, a.flip(0), f.sign(b), none)),
  along('tripletMarginLoss', "F.triplet_margin_loss(a, a.flip(0), a + 1, reduction='none')", (a) => loss.tripletMarginLoss(a, a.flip(0), a.add(1), none)),
  along('tripletMarginWithDistanceLoss', "F.triplet_margin_with_distance_loss(a, a.flip(0), a + 1, distance_function=lambda x, y: x[:, 0] - y[:, 0], reduction='none')", (a) => loss.tripletMarginWithDistanceLoss(a, a.flip(0), a.add(1), { ...none, distanceFunction: (x, y) => x.select(1, 0).sub(y.select(1, 0)) })),
  along('multiMarginLoss', "F.multi_margin_loss(a, b.clamp(0), reduction='none')", (a, b) => loss.multiMarginLoss(a, b.clamp(0), none)),
  along('multilabelMarginLoss', "F.multilabel_margin_loss(a, t.tensor([1, 0, -1, 2]).expand(a.shape), reduction='none')", (a) => loss.multilabelMarginLoss(a, tensor([1, 0, -1, 2], { dtype: 'int64' }).expand(a.shape), none)),
  along('multilabelSoftMarginLoss', "F.multilabel_soft_margin_loss(a, (a > 0).to(a.dtype), reduction='none')", (a) => loss.multilabelSoftMarginLoss(a, f.gt(a, 0).to(a.dtype as 'float32'), none)),
];

/** The same input under another name, for both languages: JSON has no NaN, infinities or −0. */
export const encode = (v: number): number | string =>
  Number.isFinite(v) && !Object.is(v, -0) ? v : Object.is(v, -0) ? '-0' : String(v);
export const decode = (v: number | string): number => (typeof v === 'number' ? v : Number(v));
