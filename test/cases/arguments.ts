// Every number, size, axis, rate, name and dtype that a public function, method or constructor takes, each with a call
// in which it alone varies. test/ops/arguments.test.ts hands over what is none. Functions that take nothing of the kind
// are listed at the end.
import * as dataRoom from '../../src/data/index.ts';
import * as rootRoom from '../../src/index.ts';
import * as nnRoom from '../../src/nn/index.ts';
import * as optimRoom from '../../src/optim/index.ts';
import { binaryRows } from './binary.ts';
import { unaryRows } from './unary.ts';

// Objects, whose members may be asked for by name.
const [ek, nn, optim, data] = [{ ...rootRoom }, { ...nnRoom }, { ...optimRoom }, { ...dataRoom }];

/**
 * integer: a count or an index; size: an integer or several; axis: an integer within the rank; axes: one or several;
 * shape: an array of integers; number: any; element: a number or a truth value; finite: no NaN or infinity; rate:
 * finite and at least 0; probability: 0 to 1; name: one of a few; numbers: an array of numbers.
 */
export type Kind =
  | 'integer'
  | 'size'
  | 'axis'
  | 'axes'
  | 'shape'
  | 'number'
  | 'element'
  | 'finite'
  | 'rate'
  | 'probability'
  | 'name'
  | 'dtype';
export interface Argument {
  /** As errors name it: the function, or the class. */
  readonly of: string;
  readonly name: string;
  readonly kind: Kind;
  /** Values of the sweep that mean something here. */
  readonly allowed: readonly unknown[];
  call(value: never): unknown;
}

const all: Argument[] = [];
/** Arguments of one function. */
function takes(of: string, entries: Record<string, [Kind, (value: never) => unknown, ...allowed: unknown[]]>): void {
  for (const [name, [kind, call, ...allowed]] of Object.entries(entries)) all.push({ of, name, kind, call, allowed });
}

const beyond = [2 ** 31, 2 ** 32 + 1];
const long = { dtype: 'int64' } as const;
const x = () => ek.ones([2, 3]);
const labels = () => ek.zeros([2], long);
const ints = () => ek.ones([2, 3], { dtype: 'int32' });
const image = () => ek.ones([1, 2, 6, 6]);
const volume = () => ek.ones([1, 2, 3, 3, 3]);
const line = () => ek.ones([1, 2, 6]);
const f = { ...nn.functional };

// ---- creation -----------------------------------------------------------------------------------------------------
for (const name of ['zeros', 'ones', 'empty', 'rand', 'randn'] as const)
  takes(name, {
    shape: ['shape', (v) => ek[name](v)],
    dtype: ['dtype', (v) => ek[name]([2], { dtype: v })],
    memoryFormat: ['name', (v) => ek[name]([2], { memoryFormat: v })],
  });
for (const name of ['zerosLike', 'onesLike', 'emptyLike', 'randLike', 'randnLike'] as const)
  takes(name, { dtype: ['dtype', (v) => ek[name](x(), { dtype: v })] });
takes('full', {
  shape: ['shape', (v) => ek.full(v, 1)],
  value: ['element', (v) => ek.full([2], v)],
  dtype: ['dtype', (v) => ek.full([2], 1, { dtype: v })],
});
takes('fullLike', { value: ['element', (v) => ek.fullLike(x(), v)] });
takes('tensor', { dtype: ['dtype', (v) => ek.tensor([1], { dtype: v })] });
takes('fromTypedArray', {
  shape: ['shape', (v) => ek.fromTypedArray(Float32Array.of(1), v), []],
  dtype: ['dtype', (v) => ek.fromTypedArray(Float32Array.of(1), [1], { dtype: v })],
});
takes('tensorFromJSON', {
  dtype: ['dtype', (v) => ek.tensorFromJSON({ dtype: v, shape: [1], data: [1] })],
  shape: ['shape', (v) => ek.tensorFromJSON({ dtype: 'float32', shape: v, data: [1] }), []],
  'data[0]': ['finite', (v) => ek.tensorFromJSON({ dtype: 'float64', shape: [1], data: [v] }), -1, 1.5, ...beyond],
});
takes('arange', {
  start: ['finite', (v) => ek.arange(v, 3), -1, 1.5],
  end: ['finite', (v) => ek.arange(0, v), 1.5],
  step: ['finite', (v) => ek.arange(0, 3, v), 1.5],
  dtype: ['dtype', (v) => ek.arange(0, 3, 1, { dtype: v })],
});
takes('linspace', {
  start: ['number', (v) => ek.linspace(v, 1, 3)],
  end: ['number', (v) => ek.linspace(0, v, 3)],
  steps: ['integer', (v) => ek.linspace(0, 1, v)],
  dtype: ['dtype', (v) => ek.linspace(0, 1, 2, { dtype: v })],
});
takes('eye', {
  rows: ['integer', (v) => ek.eye(v, 2)],
  columns: ['integer', (v) => ek.eye(2, v)],
  dtype: ['dtype', (v) => ek.eye(2, 2, { dtype: v })],
});
takes('randint', {
  low: ['integer', (v) => ek.randint(v, 3, [2]), -1],
  high: ['integer', (v) => ek.randint(0, v, [2]), 2 ** 31, 2 ** 32 + 1],
  shape: ['shape', (v) => ek.randint(0, 3, v)],
  dtype: ['dtype', (v) => ek.randint(0, 3, [2], { dtype: v })],
});
takes('randperm', { n: ['integer', (v) => ek.randperm(v)] });
takes('manualSeed', { seed: ['integer', (v) => ek.manualSeed(v), -1, 2 ** 31, 2 ** 32 + 1] });
takes('manualSeed', { 'seed of a Generator': ['integer', (v) => new ek.Generator(v), -1, 2 ** 31, 2 ** 32 + 1] });
takes('uniform_', {
  from: ['finite', (v) => ek.uniform_(x(), v, 2 ** 33), -1, 1.5, 2 ** 31, 2 ** 32 + 1],
  to: ['finite', (v) => ek.uniform_(x(), -2, v), -1, 1.5, 2 ** 31, 2 ** 32 + 1],
});
takes('normal_', {
  mean: ['finite', (v) => ek.normal_(x(), v), -1, 1.5, 2 ** 31, 2 ** 32 + 1],
  std: ['rate', (v) => ek.normal_(x(), 0, v), 1.5, 2 ** 31, 2 ** 32 + 1],
});
takes('truncNormal_', {
  mean: ['finite', (v) => ek.truncNormal_(x(), v, 1, v, 2 ** 33), -1, 1.5, 2 ** 31, 2 ** 32 + 1],
  std: ['rate', (v) => ek.truncNormal_(x(), 0, v), 1.5, 2 ** 31, 2 ** 32 + 1],
});
takes('setNumThreads', { count: ['integer', (v) => ek.setNumThreads(v)] });
takes('setEngine', { name: ['name', (v) => ek.setEngine(v)] });
takes('withDevice', { device: ['name', (v) => ek.withDevice(v, () => 1)] });
takes('summary', {
  input: ['shape', (v) => nn.summary(new nn.ReLU(), v), 2 ** 31, 2 ** 32 + 1],
  dtype: ['dtype', (v) => nn.summary(new nn.ReLU(), [2], { dtype: v })],
  memoryFormat: ['name', (v) => nn.summary(new nn.ReLU(), [2], { memoryFormat: v })],
});
takes('zeros', { device: ['name', (v) => ek.zeros([1], { device: v })] });

// ---- elements -----------------------------------------------------------------------------------------------------
for (const [op, { publicName = op, takes: taken }] of binaryRows) {
  const call = (ek as unknown as Record<string, (a: unknown, b: unknown) => unknown>)[publicName];
  takes(publicName, { other: ['element', (v) => call(taken === 'integers' ? ints() : x(), v)] });
}
for (const name of ['addcmul', 'addcdiv'] as const)
  takes(name, { value: ['number', (v) => ek[name](x(), x(), x(), { value: v })] });
takes('lerp', { weight: ['number', (v) => ek.lerp(x(), x(), v)] });
takes('xlogy', { other: ['element', (v) => ek.xlogy(x(), v)] });
takes('sub', {
  'other of rsub': ['element', (v) => ek.rsub(x(), v)],
  'alpha of rsub': ['number', (v) => ek.rsub(x(), 1, { alpha: v })],
});
takes('logit', { eps: ['number', (v) => ek.logit(x(), { eps: v })] });
takes('nanToNum', {
  nan: ['number', (v) => ek.nanToNum(x(), { nan: v })],
  posinf: ['number', (v) => ek.nanToNum(x(), { posinf: v })],
  neginf: ['number', (v) => ek.nanToNum(x(), { neginf: v })],
});
for (const name of ['isclose', 'allclose'] as const)
  takes(name, {
    rtol: ['number', (v) => ek[name](x(), x(), { rtol: v })],
    atol: ['number', (v) => ek[name](x(), x(), { atol: v })],
  });
takes('div', { roundingMode: ['name', (v) => ek.div(x(), 2, { roundingMode: v }), null] });
for (const name of ['add', 'sub'] as const)
  takes(name, {
    alpha: ['number', (v) => ek[name](x(), 1, { alpha: v })],
    'alpha of integers': ['integer', (v) => ek[name](ints(), 1, { alpha: v }), -1, 2 ** 31, 2 ** 32 + 1],
  });
takes('clamp', { min: ['number', (v) => ek.clamp(x(), v)], max: ['number', (v) => ek.clamp(x(), 0, v)] });
takes('where', {
  a: ['element', (v) => ek.where(ek.gt(x(), 0), v, x())],
  b: ['element', (v) => ek.where(ek.gt(x(), 0), x(), v)],
});
takes('maskedFill', { value: ['element', (v) => ek.maskedFill(x(), ek.gt(x(), 0), v)] });
takes('fill_', { value: ['element', (v) => x().fill_(v)] });
takes('addcmul_', { value: ['number', (v) => x().addcmul_(x(), x(), { value: v })] });
takes('addcdiv_', { value: ['number', (v) => x().addcdiv_(x(), x(), { value: v })] });
takes('lerp_', { weight: ['number', (v) => x().lerp_(x(), v)] });
takes('to', { 'dtype or placement': ['dtype', (v) => x().to(v), {}] });
takes('contiguous', { memoryFormat: ['name', (v) => image().contiguous(v)] });

// ---- reductions ---------------------------------------------------------------------------------------------------
for (const name of ['sum', 'mean', 'amax', 'amin', 'any', 'all', 'var'] as const)
  takes(name, { dim: ['axes', (v) => ek[name](x(), v)] });
takes('var', { correction: ['number', (v) => ek.var(x(), 0, { correction: v })] });
for (const name of [
  'prod',
  'max',
  'min',
  'argmax',
  'argmin',
  'cumsum',
  'softmax',
  'logSoftmax',
  'median',
  'nanmedian',
] as const)
  takes(name, { dim: ['axis', (v) => (ek[name] as (x: rootRoom.Tensor, dim: number) => unknown)(x(), v)] });
for (const name of ['std', 'varMean', 'stdMean', 'logsumexp', 'nansum', 'nanmean', 'countNonzero'] as const)
  takes(name, { dim: ['axes', (v) => ek[name](x(), v)] });
takes('norm', {
  p: ['number', (v) => ek.norm(x(), v)],
  dim: ['axes', (v) => ek.norm(x(), 2, v)],
  dtype: ['dtype', (v) => ek.norm(x(), 2, 0, { dtype: v })],
});
takes('normalize', {
  p: ['number', (v) => nn.functional.normalize(x(), v)],
  eps: ['number', (v) => nn.functional.normalize(x(), 2, 1, { eps: v })],
});
takes('aminmax', { dim: ['axis', (v) => ek.aminmax(x(), { dim: v })] });
for (const name of ['sum', 'mean', 'nansum', 'nanmean', 'prod', 'cumsum', 'softmax', 'logSoftmax'] as const)
  takes(name, { dtype: ['dtype', (v) => ek[name](x(), 0, { dtype: v })] });
takes('oneHot', { numClasses: ['integer', (v) => nn.functional.oneHot(labels(), v), -1] });
takes('kthvalue', { k: ['integer', (v) => ek.kthvalue(x(), v)], dim: ['axis', (v) => ek.kthvalue(x(), 1, v)] });
takes('topk', { k: ['integer', (v) => ek.topk(x(), v)], dim: ['axis', (v) => ek.topk(x(), 1, v)] });
takes('sort', { dim: ['axis', (v) => ek.sort(x(), v)] });
for (const name of ['cumprod', 'cummax', 'cummin', 'logcumsumexp', 'mode'] as const)
  takes(name, { dim: ['axis', (v) => ek[name](x(), v)] });
takes('cumprod', { dtype: ['dtype', (v) => ek.cumprod(x(), 0, { dtype: v })] });
takes('diff', { n: ['integer', (v) => ek.diff(x(), v), ...beyond], dim: ['axis', (v) => ek.diff(x(), 1, v)] });
for (const name of ['trapezoid', 'cumulativeTrapezoid'] as const)
  takes(name, {
    dx: ['number', (v) => ek[name](x(), { dx: v })],
    dim: ['axis', (v) => ek[name](x(), { dim: v })],
  });
for (const name of ['quantile', 'nanquantile'] as const)
  takes(name, {
    dim: ['axis', (v) => ek[name](x(), 0.5, v), null],
    interpolation: ['name', (v) => ek[name](x(), 0.5, 0, { interpolation: v })],
  });
for (const name of ['unique', 'uniqueWithCounts', 'uniqueConsecutive', 'uniqueConsecutiveWithCounts'] as const)
  takes(name, { dim: ['axis', (v) => ek[name](x(), { dim: v }), null] });
takes('bincount', { minlength: ['integer', (v) => ek.bincount(labels(), { minlength: v }), ...beyond] });
takes('histc', {
  bins: ['integer', (v) => ek.histc(x(), v), ...beyond],
  min: ['finite', (v) => ek.histc(x(), 2, v, 9)],
  max: ['finite', (v) => ek.histc(x(), 2, 0, v)],
});
takes('histogram', { bins: ['integer', (v) => ek.histogram(x(), v), ...beyond] });
takes('searchsorted', { side: ['name', (v) => ek.searchsorted(labels(), labels(), { side: v }), null] });
takes('cov', { correction: ['integer', (v) => ek.cov(x(), { correction: v }), -1, ...beyond] });
takes('renorm', {
  p: ['number', (v) => ek.renorm(x(), v, 0, 1)],
  dim: ['axis', (v) => ek.renorm(x(), 2, v, 1)],
  maxnorm: ['number', (v) => ek.renorm(x(), 2, 0, v)],
});
takes('dist', { p: ['number', (v) => ek.dist(x(), x(), v)] });
takes('cdist', {
  p: ['number', (v) => ek.cdist(x(), x(), v)],
  computeMode: ['name', (v) => ek.cdist(x(), x(), 2, { computeMode: v })],
});
takes('multinomial', { numSamples: ['integer', (v) => ek.multinomial(x(), v), ...beyond] });
takes('normal', {
  mean: ['finite', (v) => ek.normal(v, 1, [2])],
  shape: ['shape', (v) => ek.normal(0, 1, v)],
  dtype: ['dtype', (v) => ek.normal(0, 1, [2], { dtype: v }), 'int64', 'bool'],
});
takes('logspace', {
  start: ['number', (v) => ek.logspace(v, 1, 3)],
  end: ['number', (v) => ek.logspace(0, v, 3)],
  steps: ['integer', (v) => ek.logspace(0, 1, v)],
  base: ['number', (v) => ek.logspace(0, 1, 2, v)],
});
takes('randintLike', {
  dtype: ['dtype', (v) => ek.randintLike(x(), 0, 3, { dtype: v })],
});
takes('cross', { dim: ['axis', (v) => ek.cross(x(), x(), v), null] });
takes('matrixPower', { n: ['integer', (v) => ek.matrixPower(ek.ones([2, 2]), v), ...beyond] });
for (const name of ['scatterReduce', 'indexReduce'] as const)
  takes(name, {
    dim: ['axis', (v) => ek[name](x(), v, name === 'indexReduce' ? labels() : ek.zeros([2, 3], long), x(), 'prod')],
    reduce: ['name', (v) => ek[name](x(), 0, name === 'indexReduce' ? labels() : ek.zeros([2, 3], long), x(), v)],
  });
for (const name of ['hsplit', 'vsplit', 'dsplit'] as const)
  takes(name, { sections: ['integer', (v) => ek[name](ek.ones([2, 2, 2]), v), [], ...beyond] });
takes('combinations', { r: ['integer', (v) => ek.combinations(labels(), v), ...beyond] });
takes('vander', { n: ['integer', (v) => ek.vander(labels(), v), null, ...beyond] });
takes('diagflat', { offset: ['integer', (v) => ek.diagflat(labels(), v), -1] });
takes('selectScatter', {
  dim: ['axis', (v) => ek.selectScatter(x(), ek.ones([3]), v, 0)],
  index: ['integer', (v) => ek.selectScatter(x(), ek.ones([3]), 0, v), -1],
});
takes('sliceScatter', { dim: ['axis', (v) => ek.sliceScatter(x(), x(), v)] });
takes('diagonalScatter', {
  offset: ['integer', (v) => ek.diagonalScatter(x(), ek.ones([2]), v), -1],
  dim1: ['axis', (v) => ek.diagonalScatter(x(), ek.ones([2]), 0, v, 1)],
});
takes('unravelIndex', { shape: ['shape', (v) => ek.unravelIndex(labels(), v), [], [0], [2 ** 31]] });
takes('broadcastShapes', { shapes: ['integer', (v) => ek.broadcastShapes([v]), ...beyond] });
takes('argsort', { dim: ['axis', (v) => ek.argsort(x(), v)] });

// ---- shapes and indices -------------------------------------------------------------------------------------------
const rows = () => ek.tensor([0, 1], long);
const places = () => ek.zeros([2, 3], long);
for (const name of ['reshape', 'expand', 'repeat'] as const)
  takes(name, { sizes: ['shape', (v) => ek[name](x(), v), ...(name === 'repeat' ? [] : [-1])] });
for (const name of ['permute', 'flip'] as const) takes(name, { dims: ['shape', (v) => ek[name](x(), v), -1] });
for (const name of ['squeeze', 'unsqueeze'] as const)
  takes(name, { dim: [name === 'squeeze' ? 'axes' : 'axis', (v) => ek[name](x(), v)] });
takes('transpose', { dim0: ['axis', (v) => ek.transpose(x(), v, 0)], dim1: ['axis', (v) => ek.transpose(x(), 0, v)] });
for (const name of ['swapaxes', 'swapdims'] as const)
  takes(name, { dim0: ['axis', (v) => ek[name](x(), v, 0)], dim1: ['axis', (v) => ek[name](x(), 0, v)] });
for (const name of ['movedim', 'moveaxis'] as const)
  takes(name, {
    source: ['axis', (v) => ek[name](x(), v, 0), [], [0]],
    destination: ['axis', (v) => ek[name](x(), 0, v), [], [0]],
  });
for (const name of ['view', 'tile', 'broadcastTo'] as const)
  takes(name, {
    sizes: ['shape', (v) => ek[name](x(), v), ...(name === 'tile' ? [[]] : [-1])],
  });
takes('unbind', { dim: ['axis', (v) => ek.unbind(x(), v)] });
takes('roll', {
  shifts: ['integer', (v) => ek.roll(x(), v, 0), -1, ...beyond, [1]],
  dims: ['axis', (v) => ek.roll(x(), 1, v), [], [0]],
});
takes('repeatInterleave', {
  repeats: ['integer', (v) => ek.repeatInterleave(x(), v)],
  dim: ['axis', (v) => ek.repeatInterleave(x(), 2, v)],
  outputSize: ['integer', (v) => ek.repeatInterleave(x(), 2, 0, { outputSize: v })],
});
takes('rot90', {
  k: ['integer', (v) => ek.rot90(x(), v), -1, ...beyond],
  dims: ['shape', (v) => ek.rot90(x(), 1, v), [0, 1]],
});
takes('tensorSplit', {
  sections: ['integer', (v) => ek.tensorSplit(x(), v), [], ...beyond],
  dim: ['axis', (v) => ek.tensorSplit(x(), 2, v)],
});
takes('meshgrid', { indexing: ['name', (v) => ek.meshgrid([ek.ones([2])], { indexing: v })] });
for (const name of ['tril', 'triu', 'diag', 'diagEmbed'] as const)
  takes(name, { diagonal: ['integer', (v) => ek[name](x(), v), -1, ...(name === 'diagEmbed' ? [] : beyond)] });
takes('diagonal', {
  offset: ['integer', (v) => ek.diagonal(x(), v), -1, ...beyond],
  dim1: ['axis', (v) => ek.diagonal(x(), 0, v)],
  dim2: ['axis', (v) => ek.diagonal(x(), 0, 0, v)],
});
for (const name of ['trilIndices', 'triuIndices'] as const)
  takes(name, {
    rows: ['integer', (v) => ek[name](v, 2)],
    columns: ['integer', (v) => ek[name](2, v)],
    offset: ['integer', (v) => ek[name](2, 2, v), -1, ...beyond],
    dtype: ['dtype', (v) => ek[name](2, 2, 0, { dtype: v })],
  });
const square = () => ek.ones([2, 2]);
takes('addmm', {
  beta: ['element', (v) => ek.addmm(square(), square(), square(), { beta: v })],
  alpha: ['element', (v) => ek.addmm(square(), square(), square(), { alpha: v })],
});
takes('tensordot', { dims: ['integer', (v) => ek.tensordot(square(), square(), v)] });
takes('einsum', { equation: ['name', (v) => ek.einsum(v, square())] });
takes('flatten', { startDim: ['axis', (v) => ek.flatten(x(), v)], endDim: ['axis', (v) => ek.flatten(x(), 0, v)] });
takes('unflatten', {
  dim: ['axis', (v) => ek.unflatten(x(), v, [3])],
  sizes: ['shape', (v) => ek.unflatten(x(), 1, v), -1],
});
takes('narrow', {
  dim: ['axis', (v) => ek.narrow(x(), v, 0, 1)],
  start: ['integer', (v) => ek.narrow(x(), 1, v, 1), -1],
  length: ['integer', (v) => ek.narrow(x(), 1, 0, v)],
});
takes('select', {
  dim: ['axis', (v) => ek.select(x(), v, 0)],
  index: ['integer', (v) => ek.select(x(), 1, v), -1],
});
takes('slice', {
  dim: ['axis', (v) => ek.slice(x(), v, 0, 1)],
  start: ['integer', (v) => ek.slice(x(), 1, v), -1, 2 ** 31, 2 ** 32 + 1],
  end: ['integer', (v) => ek.slice(x(), 1, 0, v), -1, 2 ** 31, 2 ** 32 + 1],
  step: ['integer', (v) => ek.slice(x(), 1, 0, 3, v), 2 ** 31, 2 ** 32 + 1],
});
takes('split', {
  sizes: ['size', (v) => ek.split(x(), v, 1), 2 ** 31],
  dim: ['axis', (v) => ek.split(x(), 1, v)],
});
takes('chunk', {
  count: ['integer', (v) => ek.chunk(x(), v, 1), 2 ** 31, 2 ** 32 + 1],
  dim: ['axis', (v) => ek.chunk(x(), 1, v)],
});
takes('pad', {
  padding: ['shape', (v) => ek.pad(x(), v), []],
  value: ['element', (v) => ek.pad(x(), [1, 1], { value: v })],
});
for (const name of ['cat', 'stack'] as const) takes(name, { dim: ['axis', (v) => ek[name]([x(), x()], v)] });
takes('index', {
  number: ['integer', (v) => x().index(v), -1, true, [], {}],
  step: ['integer', (v) => x().index({ step: v }), 2 ** 31, 2 ** 32 + 1],
  'a list': ['integer', (v) => x().index([v]), -1, true, []],
});
takes('setIndex', {
  place: ['integer', (v) => x().setIndex(v, 0), -1, true, [], {}],
  value: ['element', (v) => x().setIndex(0, v)],
});
for (const name of ['gather', 'scatterAdd', 'scatter', 'indexAdd', 'indexCopy', 'indexSelect', 'indexFill'] as const) {
  const index = () => (name.startsWith('index') ? rows() : places());
  const call = ek[name] as (x: rootRoom.Tensor, dim: number, index: rootRoom.Tensor, source?: unknown) => unknown;
  const source = () => (name === 'indexFill' ? 1 : ['gather', 'indexSelect'].includes(name) ? undefined : x());
  takes(name, {
    dim: ['axis', (v) => call(ek.ones([2, 3]), v, index(), source()), ...(index().rank === 1 ? [1] : [])],
  });
}
takes('takeAlongDim', { dim: ['axis', (v) => ek.takeAlongDim(x(), places(), v)] });
takes('scatter', { value: ['element', (v) => ek.scatter(x(), 0, places(), v)] });
takes('indexFill', { value: ['element', (v) => ek.indexFill(x(), 0, rows(), v)] });
takes('indexAdd', { alpha: ['element', (v) => ek.indexAdd(x(), 0, rows(), x(), { alpha: v })] });
takes('embedding', { paddingIdx: ['integer', (v) => f.embedding(rows(), x(), { paddingIdx: v }), -1] });

// ---- functional ---------------------------------------------------------------------------------------------------
for (const [name, { options = {}, layers = [] }] of unaryRows)
  for (const [option, [kind, beside]] of Object.entries(options)) {
    const run = f[name as 'elu'] as (x: rootRoom.Tensor, options: object) => unknown;
    takes(name, { [option]: [kind, (v) => run(x(), { ...beside, [option]: v })] });
    for (const { Layer, isPreset } of layers)
      if (!isPreset) takes(Layer.name, { [option]: [kind, (v) => new Layer({ ...beside, [option]: v } as never)] });
  }
for (const name of ['dropout', 'dropout2d', 'alphaDropout', 'featureAlphaDropout'] as const)
  takes(name, { p: ['probability', (v) => f[name](image(), v)] });
takes('dropout1d', { p: ['probability', (v) => f.dropout1d(line(), v)] });
takes('dropout3d', { p: ['probability', (v) => f.dropout3d(volume(), v)] });
takes('glu', { dim: ['integer', (v) => f.glu(image(), v), -1] });
takes('softmin', { dim: ['integer', (v) => f.softmin(image(), v), -1] });
takes('rrelu', {
  lower: ['finite', (v) => f.rrelu(x(), { lower: v, upper: 9 })],
  upper: ['finite', (v) => f.rrelu(x(), { upper: v, lower: -9 })],
});
takes('stochasticDepth', {
  p: ['probability', (v) => f.stochasticDepth(image(), v, 'row')],
  mode: ['name', (v) => f.stochasticDepth(image(), 0.5, v)],
});
const convs = {
  conv1d: [line, [1, 2, 2]],
  conv2d: [image, [1, 2, 2, 2]],
  conv3d: [volume, [1, 2, 2, 2, 2]],
  convTranspose1d: [line, [2, 1, 2]],
  convTranspose2d: [image, [2, 1, 2, 2]],
  convTranspose3d: [volume, [2, 1, 2, 2, 2]],
} as const;
for (const [name, [input, weight]] of Object.entries(convs)) {
  const run = (options: object) =>
    (f[name as keyof typeof convs] as typeof f.conv2d)(input(), ek.ones(weight), null, options);
  takes(name, {
    stride: ['size', (v) => run({ stride: v })],
    padding: ['size', (v) => run({ padding: v }), 2 ** 31],
    dilation: ['size', (v) => run({ dilation: v })],
    groups: ['integer', (v) => run({ groups: v })],
  });
}
for (const name of ['convTranspose1d', 'convTranspose2d', 'convTranspose3d'] as const) {
  const [input, weight] = convs[name];
  takes(name, { outputPadding: ['size', (v) => f[name](input(), ek.ones(weight), null, { outputPadding: v })] });
}
const inputFor = (name: string) => (name.includes('1d') ? line : name.includes('2d') ? image : volume)();
for (const name of [
  'maxPool1d',
  'maxPool2d',
  'maxPool3d',
  'maxPool1dWithIndices',
  'maxPool2dWithIndices',
  'maxPool3dWithIndices',
  'avgPool1d',
  'avgPool2d',
  'avgPool3d',
] as const) {
  const input = () => inputFor(name);
  const run = (kernel: never, options: object = {}) => (f[name] as typeof f.maxPool2d)(input(), kernel, options);
  takes(name, {
    kernelSize: ['size', (v) => run(v)],
    stride: ['size', (v) => run(2 as never, { stride: v }), null, 2 ** 31],
    padding: ['size', (v) => run(2 as never, { padding: v })],
  });
  if (name.startsWith('max')) takes(name, { dilation: ['size', (v) => run(2 as never, { dilation: v })] });
}
for (const name of ['avgPool2d', 'avgPool3d'] as const)
  takes(name, { divisorOverride: ['integer', (v) => f[name](inputFor(name), 2, { divisorOverride: v }), -1, null] });
for (const name of [
  'adaptiveAvgPool1d',
  'adaptiveAvgPool2d',
  'adaptiveAvgPool3d',
  'adaptiveMaxPool1d',
  'adaptiveMaxPool2d',
  'adaptiveMaxPool3d',
  'adaptiveMaxPool1dWithIndices',
  'adaptiveMaxPool2dWithIndices',
  'adaptiveMaxPool3dWithIndices',
] as const)
  takes(name, { outputSize: ['size', (v) => f[name](inputFor(name), v), [null]] });
for (const name of ['maxUnpool1d', 'maxUnpool2d', 'maxUnpool3d'] as const) {
  const run = (kernel: never, options: object = {}) => {
    const x = inputFor(name);
    return f[name](x, ek.zerosLike(x, { dtype: 'int64' }), kernel, options);
  };
  takes(name, {
    kernelSize: ['size', (v) => run(v)],
    stride: ['size', (v) => run(2 as never, { stride: v }), null, 2 ** 31],
    padding: ['size', (v) => run(2 as never, { padding: v }), 2 ** 31],
    outputSize: ['size', (v) => run(2 as never, { outputSize: [v, v, v].slice(0, Number(name[9])) }), 2 ** 31],
  });
}
for (const name of ['lpPool1d', 'lpPool2d', 'lpPool3d'] as const)
  takes(name, {
    normType: ['finite', (v) => f[name](inputFor(name), v, 2)],
    kernelSize: ['size', (v) => f[name](inputFor(name), 2, v)],
    stride: ['size', (v) => f[name](inputFor(name), 2, 2, { stride: v }), null, 2 ** 31],
  });
takes('pad', {
  mode: ['name', (v) => f.pad(image(), [1, 1], { mode: v })],
  'padding of a mode': ['size', (v) => f.pad(image(), [1, v], { mode: 'reflect' }), -1],
});
const columns = () => rootRoom.ones([1, 8, 12]);
for (const option of ['dilation', 'padding', 'stride'] as const) {
  takes('unfold', { [option]: ['size', (v) => f.unfold(image(), 1, { [option]: v }), -1] });
  takes('fold', { [option]: ['size', (v) => f.fold(columns(), [4, 5], 2, { [option]: v }), -1] });
  takes('Unfold', { [option]: ['size', (v) => new nn.Unfold(2, { [option]: v }), -1] });
  takes('Fold', { [option]: ['size', (v) => new nn.Fold(4, 2, { [option]: v }), -1] });
}
takes('unfold', { kernelSize: ['size', (v) => f.unfold(image(), v), -1] });
takes('fold', {
  outputSize: ['size', (v) => f.fold(columns(), v, 2), -1],
  kernelSize: ['size', (v) => f.fold(columns(), [4, 5], v), -1],
});
takes('Unfold', { kernelSize: ['size', (v) => new nn.Unfold(v), -1] });
takes('Fold', {
  outputSize: ['size', (v) => new nn.Fold(v, 2), -1],
  kernelSize: ['size', (v) => new nn.Fold(4, v), -1],
});
takes('pixelShuffle', { upscaleFactor: ['integer', (v) => f.pixelShuffle(image(), v)] });
takes('pixelUnshuffle', { downscaleFactor: ['integer', (v) => f.pixelUnshuffle(image(), v)] });
takes('channelShuffle', { groups: ['integer', (v) => f.channelShuffle(image(), v)] });
takes('interpolate', {
  size: ['size', (v) => f.interpolate(image(), { size: v }), null, []],
  scaleFactor: ['finite', (v) => f.interpolate(image(), { scaleFactor: v }), null, 1.5],
  mode: ['name', (v) => f.interpolate(image(), { size: 2, mode: v })],
});
takes('gridSample', {
  mode: ['name', (v) => f.gridSample(image(), rootRoom.zeros([image().shape[0], 2, 2, 2]), { mode: v })],
  paddingMode: ['name', (v) => f.gridSample(image(), rootRoom.zeros([image().shape[0], 2, 2, 2]), { paddingMode: v })],
});
takes('affineGrid', {
  size: ['integer', (v) => f.affineGrid(rootRoom.zeros([1, 2, 3]), [1, 1, v, 2])],
});
const norms: Record<string, (options: object) => unknown> = {
  batchNorm: (options) => f.batchNorm(image(), null, null, { training: true, ...options }),
  instanceNorm: (options) => f.instanceNorm(image(), options),
  layerNorm: (options) => f.layerNorm(image(), [6], options),
  rmsNorm: (options) => f.rmsNorm(image(), [6], options),
  groupNorm: (options) => f.groupNorm(image(), 2, options),
  frozenBatchNorm: (options) =>
    f.frozenBatchNorm(image(), ek.zeros([2]), ek.ones([2]), ek.ones([2]), ek.zeros([2]), options),
  inPlaceAbn: (options) => f.inPlaceAbn(image(), null, null, { training: true, ...options }),
  maskedBatchNorm: (options) =>
    f.maskedBatchNorm(image(), ek.ones([1, 6, 6], { dtype: 'bool' }), null, null, { training: true, ...options }),
  batchRenorm: (options) =>
    f.batchRenorm(image(), ek.zeros([2]), ek.ones([2]), { training: true, rmax: 1, dmax: 0, ...options }),
  runningStdBatchRenorm: (options) =>
    f.runningStdBatchRenorm(image(), ek.zeros([2]), ek.ones([2]), { training: true, rmax: 1, dmax: 0, ...options }),
};
for (const [name, run] of Object.entries(norms))
  takes(name, { eps: ['rate', (v) => run({ eps: v }), true, null, 1.5, 2 ** 31, 2 ** 32 + 1] });
for (const name of [
  'batchNorm',
  'instanceNorm',
  'maskedBatchNorm',
  'inPlaceAbn',
  'batchRenorm',
  'runningStdBatchRenorm',
] as const)
  takes(name, { momentum: ['finite', (v) => norms[name]({ momentum: v }), true, null, -1, 1.5, 2 ** 31, 2 ** 32 + 1] });
takes('layerNorm', { normalizedShape: ['shape', (v) => f.layerNorm(x(), v)] });
takes('rmsNorm', { normalizedShape: ['shape', (v) => f.rmsNorm(x(), v)] });
takes('groupNorm', { numGroups: ['integer', (v) => f.groupNorm(image(), v)] });
for (const name of ['localResponseNorm', 'crossMapLRN2d'] as const)
  takes(name, {
    size: ['integer', (v) => f[name](image(), v), 2 ** 31, 2 ** 32 + 1],
    alpha: ['finite', (v) => f[name](image(), 2, { alpha: v }), -1, 1.5, 2 ** 31, 2 ** 32 + 1],
    beta: ['finite', (v) => f[name](image(), 2, { beta: v }), -1, 1.5, 2 ** 31, 2 ** 32 + 1],
    k: ['finite', (v) => f[name](image(), 2, { k: v }), -1, 1.5, 2 ** 31, 2 ** 32 + 1],
  });
for (const name of ['mseLoss', 'l1Loss', 'smoothL1Loss', 'binaryCrossEntropyWithLogits'] as const)
  takes(name, { reduction: ['name', (v) => f[name](x(), x(), { reduction: v })] });
const otherLosses = {
  ctcLoss: (o: object) => f.ctcLoss(x(), ek.ones([1], long), [2], [1], o),
  huberLoss: (o: object) => f.huberLoss(x(), x(), o),
  softMarginLoss: (o: object) => f.softMarginLoss(x(), x(), o),
  binaryCrossEntropy: (o: object) => f.binaryCrossEntropy(x(), x(), o),
  klDiv: (o: object) => f.klDiv(x(), x(), o),
  poissonNllLoss: (o: object) => f.poissonNllLoss(x(), x(), o),
  gaussianNllLoss: (o: object) => f.gaussianNllLoss(x(), x(), x(), o),
  multiMarginLoss: (o: object) => f.multiMarginLoss(x(), labels(), o),
  multilabelMarginLoss: (o: object) => f.multilabelMarginLoss(x(), ek.zeros([2, 3], long), o),
  multilabelSoftMarginLoss: (o: object) => f.multilabelSoftMarginLoss(x(), x(), o),
  marginRankingLoss: (o: object) => f.marginRankingLoss(x(), x(), x(), o),
  hingeEmbeddingLoss: (o: object) => f.hingeEmbeddingLoss(x(), x(), o),
  cosineEmbeddingLoss: (o: object) => f.cosineEmbeddingLoss(x(), x(), labels(), o),
  tripletMarginLoss: (o: object) => f.tripletMarginLoss(x(), x(), x(), o),
  tripletMarginWithDistanceLoss: (o: object) => f.tripletMarginWithDistanceLoss(x(), x(), x(), o),
};
for (const [name, run] of Object.entries(otherLosses))
  takes(name, { reduction: ['name', (v) => run({ reduction: v })] });
takes('ctcLoss', { blank: ['integer', (v) => otherLosses.ctcLoss({ blank: v })] });
for (const name of ['inputLengths', 'targetLengths'])
  takes('ctcLoss', {
    [name]: [
      'integer',
      (v) =>
        f.ctcLoss(x(), ek.ones([1], long), name === 'inputLengths' ? [v] : [2], name === 'inputLengths' ? [1] : [v]),
    ],
  });
takes('huberLoss', { delta: ['number', (v) => f.huberLoss(x(), x(), { delta: v }), 1.5, 2 ** 31, 2 ** 32 + 1] });
takes('multiMarginLoss', { p: ['integer', (v) => f.multiMarginLoss(x(), labels(), { p: v })] });
for (const name of ['multiMarginLoss', 'marginRankingLoss', 'hingeEmbeddingLoss', 'cosineEmbeddingLoss'] as const)
  takes(name, { margin: ['number', (v) => otherLosses[name]({ margin: v })] });
for (const name of ['tripletMarginLoss', 'tripletMarginWithDistanceLoss'] as const)
  takes(name, { margin: ['number', (v) => otherLosses[name]({ margin: v }), 1.5, 2 ** 31, 2 ** 32 + 1] });
for (const name of ['poissonNllLoss', 'gaussianNllLoss', 'tripletMarginLoss'] as const)
  takes(name, { eps: ['number', (v) => otherLosses[name]({ eps: v })] });
takes('gaussianNllLoss', { variance: ['number', (v) => f.gaussianNllLoss(x(), x(), v), 1.5, 2 ** 31, 2 ** 32 + 1] });
takes('tripletMarginLoss', { p: ['number', (v) => otherLosses.tripletMarginLoss({ p: v })] });
takes('pairwiseDistance', {
  p: ['number', (v) => f.pairwiseDistance(x(), x(), { p: v })],
  eps: ['number', (v) => f.pairwiseDistance(x(), x(), { eps: v })],
});
takes('cosineSimilarity', {
  dim: ['axis', (v) => f.cosineSimilarity(x(), x(), { dim: v })],
  eps: ['number', (v) => f.cosineSimilarity(x(), x(), { eps: v })],
});
takes('smoothL1Loss', { beta: ['rate', (v) => f.smoothL1Loss(x(), x(), { beta: v }), 1.5, 2 ** 31, 2 ** 32 + 1] });
for (const name of ['crossEntropy', 'nllLoss'] as const)
  takes(name, {
    reduction: ['name', (v) => f[name](x(), labels(), { reduction: v })],
    ignoreIndex: ['integer', (v) => f[name](x(), labels(), { ignoreIndex: v }), -1, 2 ** 31, 2 ** 32 + 1],
  });
takes('crossEntropy', { labelSmoothing: ['probability', (v) => f.crossEntropy(x(), labels(), { labelSmoothing: v })] });

// ---- initial values -----------------------------------------------------------------------------------------------
const init = { ...nn.init };
takes('dirac_', { groups: ['integer', (v) => init.dirac_(ek.ones([2, 2, 1]), v)] });
takes('sparse_', {
  sparsity: ['probability', (v) => init.sparse_(x(), v)],
});
takes('orthogonal_', { gain: ['finite', (v) => init.orthogonal_(x(), { gain: v }), -1, 1.5, 2 ** 31, 2 ** 32 + 1] });
takes('constant_', { value: ['element', (v) => init.constant_(x(), v)] });
takes('calculateGain', {
  nonlinearity: ['name', (v) => init.calculateGain(v)],
  param: ['finite', (v) => init.calculateGain('leakyRelu', v), -1, 1.5, 2 ** 31, 2 ** 32 + 1],
});
for (const name of ['xavierUniform_', 'xavierNormal_'] as const)
  takes(name, { gain: ['finite', (v) => init[name](x(), { gain: v }), -1, 1.5, 2 ** 31, 2 ** 32 + 1] });
for (const name of ['kaimingUniform_', 'kaimingNormal_'] as const)
  takes(name, {
    a: ['finite', (v) => init[name](x(), { a: v }), -1, 1.5, 2 ** 31, 2 ** 32 + 1],
    mode: ['name', (v) => init[name](x(), { mode: v })],
    nonlinearity: ['name', (v) => init[name](x(), { nonlinearity: v })],
  });

// ---- layers -------------------------------------------------------------------------------------------------------
takes('Linear', {
  inFeatures: ['integer', (v) => new nn.Linear(v, 2)],
  outFeatures: ['integer', (v) => new nn.Linear(2, v)],
  dtype: ['dtype', (v) => new nn.Linear(2, 2, { dtype: v })],
});
for (const name of ['Embedding', 'EmbeddingBag'] as const)
  takes(name, {
    numEmbeddings: ['integer', (v) => new nn[name](v, 2)],
    embeddingDim: ['integer', (v) => new nn[name](2, v)],
    paddingIdx: ['integer', (v) => new nn[name](2, 2, { paddingIdx: v }), -1, null],
  });
takes('EmbeddingBag', { mode: ['name', (v) => new nn.EmbeddingBag(2, 2, { mode: v })] });
takes('embeddingBag', {
  mode: ['name', (v) => f.embeddingBag(places(), x(), { mode: v })],
  paddingIdx: ['integer', (v) => f.embeddingBag(places(), x(), { paddingIdx: v }), -1, null],
});
for (const name of ['Conv1d', 'Conv2d', 'Conv3d', 'ConvTranspose1d', 'ConvTranspose2d', 'ConvTranspose3d'] as const) {
  const make = (options: object) => new nn[name](2, 2, 2, options);
  takes(name, {
    inChannels: ['integer', (v) => new nn[name](v, 2, 2)],
    outChannels: ['integer', (v) => new nn[name](2, v, 2)],
    kernelSize: ['size', (v) => new nn[name](2, 2, v)],
    stride: ['size', (v) => make({ stride: v }), 2 ** 31],
    padding: ['size', (v) => make({ padding: v }), 2 ** 31],
    dilation: ['size', (v) => make({ dilation: v }), 2 ** 31],
    groups: ['integer', (v) => make({ groups: v })],
    paddingMode: ['name', (v) => make({ paddingMode: v })],
    dtype: ['dtype', (v) => make({ dtype: v })],
  });
}
for (const name of ['ConvTranspose1d', 'ConvTranspose2d', 'ConvTranspose3d'] as const)
  takes(name, { outputPadding: ['size', (v) => new nn[name](2, 2, 2, { outputPadding: v }), 2 ** 31] });
for (const name of [
  'LazyConv1d',
  'LazyConv2d',
  'LazyConv3d',
  'LazyConvTranspose1d',
  'LazyConvTranspose2d',
  'LazyConvTranspose3d',
] as const)
  takes(name, {
    outChannels: ['integer', (v) => new nn[name](v, 2)],
    kernelSize: ['size', (v) => new nn[name](2, v), 2 ** 31],
    stride: ['size', (v) => new nn[name](2, 2, { stride: v }), 2 ** 31],
    dtype: ['dtype', (v) => new nn[name](2, 2, { dtype: v })],
  });
takes('LazyLinear', {
  outFeatures: ['integer', (v) => new nn.LazyLinear(v)],
  dtype: ['dtype', (v) => new nn.LazyLinear(2, { dtype: v })],
});
takes('Bilinear', {
  in1Features: ['integer', (v) => new nn.Bilinear(v, 2, 2)],
  in2Features: ['integer', (v) => new nn.Bilinear(2, v, 2)],
  outFeatures: ['integer', (v) => new nn.Bilinear(2, 2, v)],
  dtype: ['dtype', (v) => new nn.Bilinear(2, 2, 2, { dtype: v })],
});
takes('MultiheadAttention', {
  embedDim: ['integer', (v) => new nn.MultiheadAttention(v, 1)],
  numHeads: ['integer', (v) => new nn.MultiheadAttention(4, v)],
  kdim: ['integer', (v) => new nn.MultiheadAttention(4, 2, { kdim: v }), null],
  vdim: ['integer', (v) => new nn.MultiheadAttention(4, 2, { vdim: v }), null],
  dropout: ['probability', (v) => new nn.MultiheadAttention(4, 2, { dropout: v })],
  dtype: ['dtype', (v) => new nn.MultiheadAttention(4, 2, { dtype: v })],
});
takes('padPackedSequence', {
  totalLength: ['integer', (v) => nn.padPackedSequence(nn.packSequence([ek.ones([2, 3])]), { totalLength: v })],
});
for (const name of ['RNN', 'GRU', 'LSTM'] as const)
  takes(name, {
    inputSize: ['integer', (v) => new nn[name](v, 2)],
    hiddenSize: ['integer', (v) => new nn[name](2, v)],
    numLayers: ['integer', (v) => new nn[name](2, 2, { numLayers: v })],
    dropout: ['probability', (v) => new nn[name](2, 2, { numLayers: 2, dropout: v })],
    dtype: ['dtype', (v) => new nn[name](2, 2, { dtype: v })],
  });
takes('LSTM', { projSize: ['integer', (v) => new nn.LSTM(2, 2, { projSize: v })] });
for (const name of ['RNNCell', 'GRUCell', 'LSTMCell'] as const)
  takes(name, {
    inputSize: ['integer', (v) => new nn[name](v, 2)],
    hiddenSize: ['integer', (v) => new nn[name](2, v)],
    dtype: ['dtype', (v) => new nn[name](2, 2, { dtype: v })],
  });
for (const name of ['RNN', 'RNNCell'] as const)
  takes(name, { nonlinearity: ['name', (v) => new nn[name](2, 2, { nonlinearity: v })] });
for (const name of ['TransformerEncoderLayer', 'TransformerDecoderLayer'] as const)
  takes(name, {
    dModel: ['integer', (v) => new nn[name](v, 1)],
    nhead: ['integer', (v) => new nn[name](4, v)],
    dimFeedforward: ['integer', (v) => new nn[name](4, 2, { dimFeedforward: v })],
    dropout: ['probability', (v) => new nn[name](4, 2, { dropout: v })],
    layerNormEps: ['number', (v) => new nn[name](4, 2, { layerNormEps: v })],
    activation: ['name', (v) => new nn[name](4, 2, { activation: v })],
    dtype: ['dtype', (v) => new nn[name](4, 2, { dtype: v })],
  });
const transformerLayers = {
  encoder: () => new nn.TransformerEncoderLayer(4, 2),
  decoder: () => new nn.TransformerDecoderLayer(4, 2),
};
takes('TransformerEncoder', {
  numLayers: ['integer', (v) => new nn.TransformerEncoder(transformerLayers.encoder(), v)],
});
takes('TransformerDecoder', {
  numLayers: ['integer', (v) => new nn.TransformerDecoder(transformerLayers.decoder(), v)],
});
takes('Transformer', {
  dModel: ['integer', (v) => new nn.Transformer({ dModel: v, nhead: 1 })],
  nhead: ['integer', (v) => new nn.Transformer({ dModel: 4, nhead: v })],
  numEncoderLayers: ['integer', (v) => new nn.Transformer({ dModel: 4, nhead: 2, numEncoderLayers: v })],
  numDecoderLayers: ['integer', (v) => new nn.Transformer({ dModel: 4, nhead: 2, numDecoderLayers: v })],
});
takes('generateSquareSubsequentMask', {
  size: ['integer', (v) => nn.Transformer.generateSquareSubsequentMask(v)],
});
takes('scaledDotProductAttention', {
  dropoutP: ['probability', (v) => f.scaledDotProductAttention(x(), x(), x(), { dropoutP: v })],
  scale: [
    'finite',
    (v) => f.scaledDotProductAttention(x(), x(), x(), { scale: v }),
    null,
    -1,
    1.5,
    2 ** 31,
    2 ** 32 + 1,
  ],
});
for (const name of ['MaxUnpool1d', 'MaxUnpool2d', 'MaxUnpool3d'] as const)
  takes(name, {
    kernelSize: ['size', (v) => new nn[name](v), 2 ** 31],
    stride: ['size', (v) => new nn[name](2, { stride: v }), null, 2 ** 31],
    padding: ['size', (v) => new nn[name](2, { padding: v }), 2 ** 31],
  });
for (const name of ['LPPool1d', 'LPPool2d', 'LPPool3d'] as const)
  takes(name, {
    normType: ['finite', (v) => new nn[name](v, 2)],
    kernelSize: ['size', (v) => new nn[name](2, v), 2 ** 31],
    stride: ['size', (v) => new nn[name](2, 2, { stride: v }), null, 2 ** 31],
  });
for (const name of ['MaxPool1d', 'MaxPool2d', 'MaxPool3d', 'AvgPool1d', 'AvgPool2d', 'AvgPool3d'] as const) {
  takes(name, {
    kernelSize: ['size', (v) => new nn[name](v), 2 ** 31],
    stride: ['size', (v) => new nn[name](2, { stride: v }), null, 2 ** 31],
    padding: ['size', (v) => new nn[name](2, { padding: v }), 2 ** 31],
  });
}
for (const name of [
  'ZeroPad1d',
  'ZeroPad2d',
  'ZeroPad3d',
  'ReflectionPad1d',
  'ReflectionPad2d',
  'ReflectionPad3d',
  'ReplicationPad1d',
  'ReplicationPad2d',
  'ReplicationPad3d',
  'CircularPad1d',
  'CircularPad2d',
  'CircularPad3d',
] as const)
  takes(name, { padding: ['size', (v) => new nn[name](v), -1, 2 ** 31] });
for (const name of ['ConstantPad1d', 'ConstantPad2d', 'ConstantPad3d'] as const)
  takes(name, {
    padding: ['size', (v) => new nn[name](v, 0), -1, 2 ** 31],
    value: ['element', (v) => new nn[name](1, v)],
  });
takes('GLU', { dim: ['integer', (v) => new nn.GLU(v), -1, 2 ** 31, 2 ** 32 + 1] });
takes('Softmin', { dim: ['integer', (v) => new nn.Softmin(v), -1, 2 ** 31, 2 ** 32 + 1] });
takes('PReLU', {
  numParameters: ['size', (v) => new nn.PReLU(v), -1],
  init: ['number', (v) => new nn.PReLU(1, { init: v })],
  dtype: ['dtype', (v) => new nn.PReLU(1, { dtype: v })],
});
takes('RReLU', {
  lower: ['number', (v) => new nn.RReLU({ lower: v })],
  upper: ['number', (v) => new nn.RReLU({ upper: v })],
});
takes('PixelShuffle', { upscaleFactor: ['integer', (v) => new nn.PixelShuffle(v), ...beyond] });
takes('PixelUnshuffle', { downscaleFactor: ['integer', (v) => new nn.PixelUnshuffle(v), ...beyond] });
takes('ChannelShuffle', { groups: ['integer', (v) => new nn.ChannelShuffle(v), ...beyond] });
takes('Upsample', {
  size: ['size', (v) => new nn.Upsample({ size: v }), null, []],
  scaleFactor: ['finite', (v) => new nn.Upsample({ scaleFactor: v }), null, []],
  mode: ['name', (v) => new nn.Upsample({ size: 2, mode: v })],
});
for (const name of ['UpsamplingNearest2d', 'UpsamplingBilinear2d'] as const)
  takes(name, {
    size: ['size', (v) => new nn[name]({ size: v }), null, []],
    scaleFactor: ['finite', (v) => new nn[name]({ scaleFactor: v }), null, []],
  });
for (const name of ['MaxPool1d', 'MaxPool2d', 'MaxPool3d'] as const)
  takes(name, { dilation: ['size', (v) => new nn[name](2, { dilation: v }), 2 ** 31] });
for (const name of ['AvgPool2d', 'AvgPool3d'] as const)
  takes(name, { divisorOverride: ['integer', (v) => new nn[name](2, { divisorOverride: v }), -1, null, 2 ** 31] });
for (const name of [
  'AdaptiveAvgPool1d',
  'AdaptiveAvgPool2d',
  'AdaptiveAvgPool3d',
  'AdaptiveMaxPool1d',
  'AdaptiveMaxPool2d',
  'AdaptiveMaxPool3d',
] as const)
  takes(name, { outputSize: ['size', (v) => new nn[name](v), [null]] });
takes('Softmax', { dim: ['integer', (v) => new nn.Softmax(v), -1, 2 ** 31, 2 ** 32 + 1] });
takes('LogSoftmax', { dim: ['integer', (v) => new nn.LogSoftmax(v), -1, 2 ** 31, 2 ** 32 + 1] });
for (const name of ['Dropout', 'Dropout1d', 'Dropout2d', 'Dropout3d', 'AlphaDropout', 'FeatureAlphaDropout'] as const)
  takes(name, { p: ['probability', (v) => new nn[name](v)] });
takes('StochasticDepth', {
  p: ['probability', (v) => new nn.StochasticDepth(v, 'row')],
  mode: ['name', (v) => new nn.StochasticDepth(0.5, v)],
});
takes('Flatten', {
  startDim: ['integer', (v) => new nn.Flatten(v), -1, 2 ** 31, 2 ** 32 + 1],
  endDim: ['integer', (v) => new nn.Flatten(1, v), -1, 2 ** 31, 2 ** 32 + 1],
});
takes('Unflatten', {
  dim: ['integer', (v) => new nn.Unflatten(v, [2]), -1, 2 ** 31, 2 ** 32 + 1],
  unflattenedSize: ['shape', (v) => new nn.Unflatten(1, v), -1, 2 ** 31],
});
const manyNorms = [
  'BatchNorm1d',
  'BatchNorm2d',
  'BatchNorm3d',
  'BatchNormXd',
  'BatchNormAct2d',
  'SyncBatchNorm',
  'SyncBatchNormAct',
  'InstanceNorm1d',
  'InstanceNorm2d',
  'InstanceNorm3d',
  'MaskedBatchNorm1d',
  'MaskedBatchNorm2d',
  'ABN',
  'InPlaceABN',
  'SplitBatchNorm2d',
  'ChunkedGhostBatchNorm1d',
  'BatchRenorm1d',
  'BatchRenorm2d',
  'BatchRenorm3d',
  'RunningStdBatchRenorm1d',
  'RunningStdBatchRenorm2d',
  'RunningStdBatchRenorm3d',
] as const;
const anyFinite = [-1, 1.5, 2 ** 31, 2 ** 32 + 1];
// Booleans are 1 and 0, as in PyTorch.
const finiteOrTruth = [true, ...anyFinite];
const limits = { rmax: 1, dmax: 0 };
for (const name of manyNorms) {
  const Layer = nn[name] as unknown as new (n: number, options: object) => nnRoom.Module;
  takes(name, {
    // PyTorch's instance norms without parameters take any number.
    numFeatures: ['integer', (v) => new Layer(v, limits), ...(name.startsWith('Instance') ? [-1] : [])],
    eps: ['finite', (v) => new Layer(2, { ...limits, eps: v }), ...finiteOrTruth],
    momentum: ['finite', (v) => new Layer(2, { ...limits, momentum: v }), null, ...finiteOrTruth],
    dtype: ['dtype', (v) => new Layer(2, { ...limits, dtype: v })],
  });
}
for (const name of ['FrozenBatchNorm2d', 'FrozenBatchNormAct2d'] as const)
  takes(name, {
    numFeatures: ['integer', (v) => new nn[name](v)],
    eps: ['finite', (v) => new nn[name](2, { eps: v }), ...finiteOrTruth],
  });
takes('ChunkedGhostBatchNorm1d', {
  virtualBatchSize: [
    'integer',
    (v) => new nn.ChunkedGhostBatchNorm1d(2, { virtualBatchSize: v }),
    2 ** 31,
    2 ** 32 + 1,
  ],
});
takes('InterleavedGhostBatchNorm2d', {
  numFeatures: ['integer', (v) => new nn.InterleavedGhostBatchNorm2d(v, { numSplits: 2 })],
  numSplits: ['integer', (v) => new nn.InterleavedGhostBatchNorm2d(2, { numSplits: v })],
});
takes('SplitBatchNorm2d', { numSplits: ['integer', (v) => new nn.SplitBatchNorm2d(2, { numSplits: v })] });
for (const name of ['ABN', 'InPlaceABN'] as const)
  takes(name, { activation: ['name', (v) => new nn[name](2, { activation: v })] });
for (const name of [
  'LazyBatchNorm1d',
  'LazyBatchNorm2d',
  'LazyBatchNorm3d',
  'LazyInstanceNorm1d',
  'LazyInstanceNorm2d',
  'LazyInstanceNorm3d',
] as const)
  takes(name, {
    eps: ['finite', (v) => new nn[name]({ eps: v }), ...finiteOrTruth],
    momentum: ['finite', (v) => new nn[name]({ momentum: v }), null, ...finiteOrTruth],
  });
takes('GroupNorm', {
  numGroups: ['integer', (v) => new nn.GroupNorm(v, 2), -1],
  numChannels: ['integer', (v) => new nn.GroupNorm(1, v)],
  eps: ['finite', (v) => new nn.GroupNorm(1, 2, { eps: v }), ...finiteOrTruth],
});
takes('LayerNorm', {
  normalizedShape: ['size', (v) => new nn.LayerNorm(v), []],
  eps: ['finite', (v) => new nn.LayerNorm(2, { eps: v }), ...finiteOrTruth],
});
takes('RMSNorm', {
  normalizedShape: ['size', (v) => new nn.RMSNorm(v), []],
  eps: ['finite', (v) => new nn.RMSNorm(2, { eps: v }), null, ...finiteOrTruth],
});
for (const name of ['LocalResponseNorm', 'CrossMapLRN2d'] as const)
  takes(name, {
    size: ['integer', (v) => new nn[name](v), -1, 2 ** 31, 2 ** 32 + 1],
    alpha: ['finite', (v) => new nn[name](2, { alpha: v }), ...anyFinite],
    beta: ['finite', (v) => new nn[name](2, { beta: v }), ...anyFinite],
    k: ['finite', (v) => new nn[name](2, { k: v }), ...anyFinite],
  });
for (const name of ['CrossEntropyLoss', 'NLLLoss', 'MSELoss', 'L1Loss', 'SmoothL1Loss', 'BCEWithLogitsLoss'] as const)
  takes(name, { reduction: ['name', (v) => new nn[name]({ reduction: v })] });
for (const name of ['CrossEntropyLoss', 'NLLLoss'] as const)
  takes(name, { ignoreIndex: ['integer', (v) => new nn[name]({ ignoreIndex: v }), -1, 2 ** 31, 2 ** 32 + 1] });
takes('CrossEntropyLoss', { labelSmoothing: ['probability', (v) => new nn.CrossEntropyLoss({ labelSmoothing: v })] });
for (const name of [
  'CTCLoss',
  'HuberLoss',
  'SoftMarginLoss',
  'BCELoss',
  'KLDivLoss',
  'PoissonNLLLoss',
  'GaussianNLLLoss',
  'MultiMarginLoss',
  'MultiLabelMarginLoss',
  'MultiLabelSoftMarginLoss',
  'MarginRankingLoss',
  'HingeEmbeddingLoss',
  'CosineEmbeddingLoss',
  'TripletMarginLoss',
  'TripletMarginWithDistanceLoss',
] as const)
  takes(name, { reduction: ['name', (v) => new nn[name]({ reduction: v })] });
takes('CTCLoss', { blank: ['integer', (v) => new nn.CTCLoss({ blank: v }), -1, ...beyond] });
takes('Threshold', {
  threshold: ['number', (v) => new nn.Threshold(v, 0)],
  value: ['number', (v) => new nn.Threshold(0, v)],
});
takes('threshold', {
  threshold: ['number', (v) => ek.threshold(x(), v, 0)],
  value: ['number', (v) => ek.threshold(x(), 0, v)],
});
takes('HuberLoss', { delta: ['number', (v) => new nn.HuberLoss({ delta: v })] });
takes('MultiMarginLoss', { p: ['integer', (v) => new nn.MultiMarginLoss({ p: v })] });
for (const name of ['MultiMarginLoss', 'MarginRankingLoss', 'HingeEmbeddingLoss', 'CosineEmbeddingLoss'] as const)
  takes(name, { margin: ['number', (v) => new nn[name]({ margin: v })] });
for (const name of ['TripletMarginLoss', 'TripletMarginWithDistanceLoss'] as const)
  takes(name, { margin: ['number', (v) => new nn[name]({ margin: v }), 1.5, 2 ** 31, 2 ** 32 + 1] });
for (const name of [
  'PoissonNLLLoss',
  'GaussianNLLLoss',
  'TripletMarginLoss',
  'PairwiseDistance',
  'CosineSimilarity',
] as const)
  takes(name, { eps: ['number', (v) => new nn[name]({ eps: v })] });
for (const name of ['TripletMarginLoss', 'PairwiseDistance'] as const)
  takes(name, { p: ['number', (v) => new nn[name]({ p: v })] });
takes('CosineSimilarity', { dim: ['integer', (v) => new nn.CosineSimilarity({ dim: v }), -1, ...beyond] });
takes('SmoothL1Loss', { beta: ['rate', (v) => new nn.SmoothL1Loss({ beta: v }), 1.5, 2 ** 31, 2 ** 32 + 1] });
takes('DistributedDataParallel', {
  bucketCapMb: ['finite', (v) => new nn.DistributedDataParallel(new nn.Linear(2, 2), { bucketCapMb: v })],
});
takes('AveragedModel', {
  decay: ['probability', (v) => new nn.AveragedModel(new nn.Linear(2, 2), { decay: v }), null],
});
takes('spectralNorm', {
  nPowerIterations: [
    'integer',
    (v) => nn.spectralNorm(new nn.Linear(2, 2), { nPowerIterations: v }),
    2 ** 31,
    2 ** 32 + 1,
  ],
  eps: ['rate', (v) => nn.spectralNorm(new nn.Linear(2, 2), { eps: v }), 1.5, 2 ** 31, 2 ** 32 + 1],
  dim: ['axis', (v) => nn.spectralNorm(new nn.Linear(2, 2), { dim: v }), null],
});
takes('weightNorm', { dim: ['axis', (v) => nn.weightNorm(new nn.Linear(2, 2), { dim: v }), null] });

// ---- optimizers and schedules -------------------------------------------------------------------------------------
const parameters = () => [new nn.Parameter(ek.ones([2]))];
const sgd = () => new optim.SGD(parameters(), { lr: 0.1, momentum: 0.9 });
const large = [1.5, 2 ** 31, 2 ** 32 + 1];
for (const name of ['SGD', 'Adam', 'AdamW', 'RMSprop'] as const) {
  const make = (options: object) => new optim[name](parameters(), options);
  takes(name, {
    lr: ['rate', (v) => make({ lr: v }), ...large],
    weightDecay: ['rate', (v) => make({ weightDecay: v }), ...large],
  });
  if (name !== 'SGD') takes(name, { eps: ['rate', (v) => make({ eps: v }), ...large] });
}
for (const name of ['Adadelta', 'Adagrad', 'Adamax', 'ASGD', 'NAdam', 'RAdam', 'Adafactor'] as const) {
  const make = (options: object) => new optim[name](parameters(), options);
  takes(name, {
    lr: ['rate', (v) => make({ lr: v }), ...large],
    weightDecay: ['rate', (v) => make({ weightDecay: v }), ...large],
  });
  if (name !== 'ASGD' && name !== 'Adafactor') takes(name, { eps: ['rate', (v) => make({ eps: v }), ...large] });
}
takes('Adadelta', { rho: ['probability', (v) => new optim.Adadelta(parameters(), { rho: v })] });
takes('Adagrad', {
  lrDecay: ['rate', (v) => new optim.Adagrad(parameters(), { lrDecay: v }), ...large],
  initialAccumulatorValue: ['rate', (v) => new optim.Adagrad(parameters(), { initialAccumulatorValue: v }), ...large],
});
takes('NAdam', { momentumDecay: ['rate', (v) => new optim.NAdam(parameters(), { momentumDecay: v }), ...large] });
takes('ASGD', {
  lambd: ['finite', (v) => new optim.ASGD(parameters(), { lambd: v }), ...anyFinite],
  alpha: ['finite', (v) => new optim.ASGD(parameters(), { alpha: v }), ...anyFinite],
  t0: ['finite', (v) => new optim.ASGD(parameters(), { t0: v }), ...anyFinite],
});
const muon = (options: object) => new optim.Muon([new nn.Parameter(ek.ones([2, 2]))], options);
takes('Muon', {
  lr: ['rate', (v) => muon({ lr: v }), ...large],
  momentum: ['rate', (v) => muon({ momentum: v }), ...large],
  eps: ['rate', (v) => muon({ eps: v }), ...large],
  adjustLrFn: ['name', (v) => muon({ adjustLrFn: v }), null],
});
takes('LBFGS', {
  lr: ['rate', (v) => new optim.LBFGS(parameters(), { lr: v }), ...large],
  toleranceGrad: ['rate', (v) => new optim.LBFGS(parameters(), { toleranceGrad: v }), ...large],
  toleranceChange: ['rate', (v) => new optim.LBFGS(parameters(), { toleranceChange: v }), ...large],
  maxIter: ['integer', (v) => new optim.LBFGS(parameters(), { maxIter: v }), 2 ** 31, 2 ** 32 + 1],
  historySize: ['integer', (v) => new optim.LBFGS(parameters(), { historySize: v }), 2 ** 31, 2 ** 32 + 1],
  lineSearchFn: ['name', (v) => new optim.LBFGS(parameters(), { lineSearchFn: v }), null],
});
takes('Rprop', {
  lr: ['rate', (v) => new optim.Rprop(parameters(), { lr: v }), ...large],
  stepSizes: ['finite', (v) => new optim.Rprop(parameters(), { stepSizes: [0, v] }), ...anyFinite],
});
takes('SGD', {
  momentum: ['rate', (v) => new optim.SGD(parameters(), { momentum: v }), ...large],
  dampening: ['finite', (v) => new optim.SGD(parameters(), { dampening: v }), -1, ...large],
});
takes('RMSprop', {
  momentum: ['rate', (v) => new optim.RMSprop(parameters(), { momentum: v }), ...large],
  alpha: ['rate', (v) => new optim.RMSprop(parameters(), { alpha: v }), ...large],
});
for (const name of ['Adam', 'AdamW', 'Adamax', 'NAdam', 'RAdam'] as const)
  takes(name, {
    betas: ['shape', (v) => new optim[name](parameters(), { betas: v })],
    'betas[0]': ['probability', (v) => new optim[name](parameters(), { betas: [v, 0.9] })],
  });
takes('clipGradNorm', {
  maxNorm: ['rate', (v) => optim.clipGradNorm(parameters(), v), Infinity, ...large],
  normType: ['number', (v) => optim.clipGradNorm(parameters(), 1, { normType: v })],
});
takes('clipGradValue', { clipValue: ['rate', (v) => optim.clipGradValue(parameters(), v), Infinity, ...large] });
takes('paramGroups', {
  weightDecay: ['rate', (v) => optim.paramGroups(new nn.Linear(2, 2), { weightDecay: v }), ...large],
});
takes('StepLR', {
  stepSize: ['integer', (v) => new optim.StepLR(sgd(), v), 2 ** 31, 2 ** 32 + 1],
  gamma: ['finite', (v) => new optim.StepLR(sgd(), 2, { gamma: v }), ...anyFinite],
  lastEpoch: ['integer', (v) => new optim.StepLR(sgd(), 2, { lastEpoch: v }), -1],
});
takes('MultiStepLR', {
  milestones: ['shape', (v) => new optim.MultiStepLR(sgd(), v), [], 2 ** 31],
  gamma: ['finite', (v) => new optim.MultiStepLR(sgd(), [2], { gamma: v }), ...anyFinite],
});
takes('ExponentialLR', { gamma: ['finite', (v) => new optim.ExponentialLR(sgd(), v), ...anyFinite] });
takes('CosineAnnealingLR', {
  tMax: ['integer', (v) => new optim.CosineAnnealingLR(sgd(), v), 2 ** 31, 2 ** 32 + 1],
  etaMin: ['finite', (v) => new optim.CosineAnnealingLR(sgd(), 2, { etaMin: v }), ...anyFinite],
});
takes('LinearLR', {
  startFactor: ['probability', (v) => new optim.LinearLR(sgd(), { startFactor: v })],
  endFactor: ['probability', (v) => new optim.LinearLR(sgd(), { endFactor: v })],
  totalIters: ['integer', (v) => new optim.LinearLR(sgd(), { totalIters: v }), 2 ** 31, 2 ** 32 + 1],
});
takes('ConstantLR', {
  factor: ['probability', (v) => new optim.ConstantLR(sgd(), { factor: v })],
  totalIters: ['integer', (v) => new optim.ConstantLR(sgd(), { totalIters: v }), 2 ** 31, 2 ** 32 + 1],
});
takes('PolynomialLR', {
  totalIters: ['integer', (v) => new optim.PolynomialLR(sgd(), { totalIters: v }), 2 ** 31, 2 ** 32 + 1],
  power: ['finite', (v) => new optim.PolynomialLR(sgd(), { power: v }), ...anyFinite],
});
takes('CosineAnnealingWarmRestarts', {
  t0: ['integer', (v) => new optim.CosineAnnealingWarmRestarts(sgd(), v), 2 ** 31, 2 ** 32 + 1],
  tMult: ['integer', (v) => new optim.CosineAnnealingWarmRestarts(sgd(), 2, { tMult: v }), 2 ** 31, 2 ** 32 + 1],
  etaMin: ['finite', (v) => new optim.CosineAnnealingWarmRestarts(sgd(), 2, { etaMin: v }), ...anyFinite],
});
takes('CyclicLR', {
  baseLr: ['rate', (v) => new optim.CyclicLR(sgd(), v, 1), ...large],
  maxLr: ['rate', (v) => new optim.CyclicLR(sgd(), 0.1, v), ...large],
  stepSizeUp: ['rate', (v) => new optim.CyclicLR(sgd(), 0.1, 1, { stepSizeUp: v }), ...large],
  gamma: ['finite', (v) => new optim.CyclicLR(sgd(), 0.1, 1, { gamma: v }), ...anyFinite],
  mode: ['name', (v) => new optim.CyclicLR(sgd(), 0.1, 1, { mode: v })],
  baseMomentum: ['rate', (v) => new optim.CyclicLR(sgd(), 0.1, 1, { baseMomentum: v }), ...large],
  maxMomentum: ['rate', (v) => new optim.CyclicLR(sgd(), 0.1, 1, { maxMomentum: v }), ...large],
});
takes('SWALR', {
  swaLr: ['rate', (v) => new optim.SWALR(sgd(), v), ...large],
  annealEpochs: ['integer', (v) => new optim.SWALR(sgd(), 1, { annealEpochs: v }), 2 ** 31, 2 ** 32 + 1],
  annealStrategy: ['name', (v) => new optim.SWALR(sgd(), 1, { annealStrategy: v })],
});
takes('OneCycleLR', {
  maxLr: ['rate', (v) => new optim.OneCycleLR(sgd(), v, { totalSteps: 5 }), ...large],
  totalSteps: ['integer', (v) => new optim.OneCycleLR(sgd(), 1, { totalSteps: v }), 2 ** 31, 2 ** 32 + 1],
  epochs: ['integer', (v) => new optim.OneCycleLR(sgd(), 1, { epochs: v, stepsPerEpoch: 2 }), 2 ** 31, 2 ** 32 + 1],
  stepsPerEpoch: [
    'integer',
    (v) => new optim.OneCycleLR(sgd(), 1, { epochs: 2, stepsPerEpoch: v }),
    2 ** 31,
    2 ** 32 + 1,
  ],
  pctStart: ['probability', (v) => new optim.OneCycleLR(sgd(), 1, { totalSteps: 5, pctStart: v })],
  divFactor: ['rate', (v) => new optim.OneCycleLR(sgd(), 1, { totalSteps: 5, divFactor: v }), ...large],
  finalDivFactor: ['rate', (v) => new optim.OneCycleLR(sgd(), 1, { totalSteps: 5, finalDivFactor: v }), ...large],
  baseMomentum: ['rate', (v) => new optim.OneCycleLR(sgd(), 1, { totalSteps: 5, baseMomentum: v }), ...large],
  maxMomentum: ['rate', (v) => new optim.OneCycleLR(sgd(), 1, { totalSteps: 5, maxMomentum: v }), ...large],
  annealStrategy: ['name', (v) => new optim.OneCycleLR(sgd(), 1, { totalSteps: 5, annealStrategy: v })],
});
takes('ReduceLROnPlateau', {
  mode: ['name', (v) => new optim.ReduceLROnPlateau(sgd(), { mode: v })],
  factor: ['rate', (v) => new optim.ReduceLROnPlateau(sgd(), { factor: v })],
  patience: ['integer', (v) => new optim.ReduceLROnPlateau(sgd(), { patience: v }), 2 ** 31, 2 ** 32 + 1],
  threshold: ['finite', (v) => new optim.ReduceLROnPlateau(sgd(), { threshold: v }), ...anyFinite],
  thresholdMode: ['name', (v) => new optim.ReduceLROnPlateau(sgd(), { thresholdMode: v })],
  cooldown: ['integer', (v) => new optim.ReduceLROnPlateau(sgd(), { cooldown: v }), 2 ** 31, 2 ** 32 + 1],
  minLr: ['rate', (v) => new optim.ReduceLROnPlateau(sgd(), { minLr: v }), ...large],
  eps: ['rate', (v) => new optim.ReduceLROnPlateau(sgd(), { eps: v }), ...large],
  metric: ['number', (v) => new optim.ReduceLROnPlateau(sgd()).step(v)],
});
takes('SequentialLR', {
  milestones: [
    'shape',
    (v) => {
      const one = sgd();
      return new optim.SequentialLR(one, [new optim.StepLR(one, 2), new optim.StepLR(one, 2)], v);
    },
    2 ** 31,
  ],
});

// ---- data ---------------------------------------------------------------------------------------------------------
const set = () => new data.TensorDataset(x());
takes('RandomSampler', {
  numSamples: ['integer', (v) => new data.RandomSampler(set(), { numSamples: v }), 2 ** 31, 2 ** 32 + 1],
});
takes('WeightedRandomSampler', {
  numSamples: ['integer', (v) => new data.WeightedRandomSampler([1, 1], v), 2 ** 31, 2 ** 32 + 1],
  weights: ['shape', (v) => new data.WeightedRandomSampler(v, 1), 1.5, -1, 2 ** 31],
});
takes('BatchSampler', {
  batchSize: [
    'integer',
    (v) => new data.BatchSampler(new data.SequentialSampler(set()), v, false),
    2 ** 31,
    2 ** 32 + 1,
  ],
});
takes('DistributedSampler', {
  numReplicas: [
    'integer',
    (v) => new data.DistributedSampler(set(), { numReplicas: v, rank: 0 }),
    2 ** 31,
    2 ** 32 + 1,
  ],
  rank: ['integer', (v) => new data.DistributedSampler(set(), { numReplicas: 2, rank: v })],
  seed: [
    'integer',
    (v) => new data.DistributedSampler(set(), { numReplicas: 2, rank: 0, seed: v }),
    -1,
    2 ** 31,
    2 ** 32 + 1,
  ],
  epoch: [
    'integer',
    (v) => new data.DistributedSampler(set(), { numReplicas: 2, rank: 0 }).setEpoch(v),
    2 ** 31,
    2 ** 32 + 1,
  ],
});
for (const name of ['DataLoader', 'ArrayLoader'] as const) {
  const make = (options: object) => new (data[name] as typeof data.DataLoader)(set(), options);
  takes(name === 'ArrayLoader' ? 'DataLoader' : name, {
    batchSize: ['integer', (v) => make({ batchSize: v }), null, 2 ** 31, 2 ** 32 + 1],
    numWorkers: ['integer', (v) => make({ numWorkers: v }), 2 ** 31, 2 ** 32 + 1],
    prefetch: ['integer', (v) => make({ prefetch: v }), 2 ** 31, 2 ** 32 + 1],
  });
}
takes('randomSplit', { lengths: ['shape', (v) => data.randomSplit(set(), v)] });
takes('TensorDataset.get', { index: ['integer', (v) => set().get(v)] });
takes('Subset.get', { index: ['integer', (v) => new data.Subset(set(), [0]).get(v)] });
takes('ConcatDataset.get', { index: ['integer', (v) => new data.ConcatDataset([set()]).get(v)] });
takes('Normalize', {
  mean: ['shape', (v) => new data.Normalize(v, [1]), -1, 1.5, 2 ** 31],
  std: ['shape', (v) => new data.Normalize([0], v), -1, 1.5, 2 ** 31],
});
takes('RandomCrop', {
  size: ['size', (v) => new data.RandomCrop(v), 2 ** 31],
  padding: ['integer', (v) => new data.RandomCrop(2, { padding: v }), null],
  paddingMode: ['name', (v) => new data.RandomCrop(2, { paddingMode: v })],
});
takes('CenterCrop', { size: ['size', (v) => new data.CenterCrop(v), 2 ** 31] });
takes('Resize', {
  size: ['size', (v) => new data.Resize(v), 2 ** 31],
  interpolation: ['name', (v) => new data.Resize(2, { interpolation: v })],
  maxSize: ['integer', (v) => new data.Resize(2, { maxSize: v }), null],
});
takes('RandomResizedCrop', {
  size: ['size', (v) => new data.RandomResizedCrop(v), 2 ** 31],
  interpolation: ['name', (v) => new data.RandomResizedCrop(2, { interpolation: v })],
});
takes('ImageClassification', {
  cropSize: ['integer', (v) => new data.ImageClassification({ cropSize: v }), 2 ** 31, 2 ** 32 + 1],
  resizeSize: ['integer', (v) => new data.ImageClassification({ cropSize: 2, resizeSize: v }), 2 ** 31, 2 ** 32 + 1],
  mean: ['shape', (v) => new data.ImageClassification({ cropSize: 2, mean: v }), -1, 1.5, 2 ** 31],
  std: ['shape', (v) => new data.ImageClassification({ cropSize: 2, std: v }), -1, 1.5, 2 ** 31],
  interpolation: ['name', (v) => new data.ImageClassification({ cropSize: 2, interpolation: v })],
});
for (const name of ['RandomHorizontalFlip', 'RandomVerticalFlip', 'RandomGrayscale', 'RandomErasing'] as const)
  takes(name, { p: ['probability', (v) => new data[name](v)] });
takes('RandomApply', { p: ['probability', (v) => new data.RandomApply([(x) => x], v)] });
takes('GaussianBlur', { kernelSize: ['size', (v) => new data.GaussianBlur(v), 2 ** 31] });
for (const name of ['RandomRotation', 'RandomAffine'] as const)
  takes(name, {
    degrees: ['number', (v) => new data[name](v)],
    interpolation: ['name', (v) => new data[name](2, { interpolation: v })],
  });
takes('ToDtype', { dtype: ['name', (v) => new data.ToDtype(v)] });
for (const name of ['MixUp', 'CutMix'] as const)
  takes(name, {
    alpha: ['number', (v) => new data[name]({ alpha: v })],
    numClasses: ['integer', (v) => new data[name]({ numClasses: v }), null, 2 ** 31, 2 ** 32 + 1],
  });

takes('makeGrid', {
  nrow: ['integer', (v) => data.makeGrid(x(), { nrow: v })],
  padding: ['integer', (v) => data.makeGrid(x(), { padding: v })],
  padValue: ['number', (v) => data.makeGrid(x(), { padValue: v })],
});

export const swept: readonly Argument[] = all;

/** The rooms that users import from, whose functions and classes are all here or in the list below. */
export const rooms = { root: ek, nn, functional: f, init, optim, data } as const;

/** What takes no such argument. */
export const without: ReadonlySet<string> = new Set([
  ...unaryRows.flatMap(([name, { options, layers = [] }]) => [
    ...(options ? [] : [name]),
    ...layers.filter(({ isPreset }) => !options || isPreset).map(({ Layer }) => Layer.name),
  ]),
  ...`
    argwhere atleast1d atleast2d atleast3d blockDiag bucketize cartesianProd corrcoef expandAs floatPower gcd inner isFloatingPoint isNonzero isin lcm ldexp msort positive put reshapeAs take vdot viewAs
    ArgumentTypeError ArrayLoader addbmm addmv addr baddbmm bitwiseNot bmm broadcastTensors columnStack deg2rad dot dstack equal fliplr flipud fmax fmin frac heaviside hstack isneginf isposinf kron logaddexp logaddexp2 mm mv outer rad2deg ravel rsub sinc vstack BatchNormBase ConcatDataset ConvBase DataArgumentError DataFormatError DataWorkerError EvenkeelError
    FusionReport Generator Identity IndexError InstanceNormBase KeyError LRScheduler LambdaLR MultiplicativeLR ChainedScheduler LoadResult MissingDataPackageError MissingPackageError ModelSummary
    Module ModuleDict ModuleList NormBase NotImplementedError Optimizer Parameter ParameterDict ParameterList ParametrizationList RecalibrationReport RuntimeError
    SampleMismatchError Sequential SequentialSampler StagedStatistics StateDict StatisticsSpread Subset SubsetRandomSampler Tensor TensorDataset Transform Compose ColorJitter Grayscale
    PackedSequence packPaddedSequence packSequence padSequence unpadSequence UninitializedBuffer UninitializedParameter ValueError WorkerDataset addStatistics asyncScope backward bernoulli calculateFanInAndFanOut
    checkpoint clone convertSyncBatchNorm copyModule defaultCollate defineFunction detectAnomaly detach enableGrad eye_ fold freezeBatchNorm
    fromFrozenBatchNorm fuseConvBatchNorm fuseLinearBatchNorm gatherRows getEngine getNumThreads grad gradcheck gradgradcheck isArraySample
    isAnomalyEnabled isFusionEnabled isGradEnabled isIterableDataset isParametrized isRecomputing isUninitialized Softmax2d bilinear keep linear prelu mapArrays mapDataset maskedScatter
    maskedSelect matmul noGrad nonzero ones_ parametersToVector parseIdx preciseBatchNorm registerParametrization removeParametrizations replaceAllBatchNormModules_
    resetLinearLike revertSyncBatchNorm rowOf scope setDetectAnomaly setFusion setWarningHandler stackSamples stageStatistics statisticsSpread syncBatchNorm syncBuffers synchronize t toFrozenBatchNorm
    unfreezeBatchNorm trace updateBatchNorm useStatistics vectorToParameters warn withFusion withMicroBatches withStatistics zeros_
  `.split(/\s+/),
]);
