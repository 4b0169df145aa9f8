// What PyTorch's names are here: functions, layers, optimizers, each with its signature (signature.ts). A name without
// a row, or whose row names what the library does not export, is not available.
import * as ek from '../src/index.ts';
import { Tensor } from '../src/index.ts';
import * as nn from '../src/nn/index.ts';
import { camel } from './case.ts';
import { ArgumentNotAvailable } from './signature.ts';

type Call = (...args: never[]) => unknown;
export interface FunctionRow {
  signature: string;
  /** null: the library has no such function; perhaps a method or an in-place form. */
  call: Call | null;
  /** The name of the method; null where there is none. */
  method: string | null;
  /** The in-place method, whose signature is the same. */
  inplace: string | null;
  /** Of each element alone, so that errors may be judged element by element. */
  isElementwise: boolean;
}

const root = ek as unknown as Record<string, Call>;
const functional = nn.functional as unknown as Record<string, Call>;
const methods = Tensor.prototype as unknown as Record<string, unknown>;

interface RowOptions {
  /** The library's name, where it is not PyTorch's in camelCase. */
  name?: string;
  /** Where a call takes more than other names. */
  call?: Call;
  method?: string | null;
  isElementwise?: boolean;
}

function row(torch: string, signature: string, options: RowOptions = {}): [string, FunctionRow] {
  const isFunctional = torch.startsWith('nn.functional.');
  const name = options.name ?? camel(torch.replace('nn.functional.', '').split('.')[0]);
  const method = options.method === undefined ? name : options.method;
  const has = (candidate: string | null) => candidate !== null && typeof methods[candidate] === 'function';
  return [
    torch,
    {
      signature,
      call: options.call ?? (isFunctional ? functional[name] : (root[name] ?? functional[name])) ?? null,
      method: has(method) ? method : null,
      inplace: has(`${method}_`) ? `${method}_` : null,
      isElementwise: options.isElementwise ?? false,
    },
  ];
}

const elementwise = (names: string, signature: string): [string, FunctionRow][] =>
  names.split(' ').map((name) => row(name, signature, { isElementwise: true }));
const swapped = (torch: string, name: string, signature = 'x other'): [string, FunctionRow] =>
  row(torch, signature, {
    method: null,
    isElementwise: name !== 'matmul',
    call: ((x: never, other: never, ...rest: never[]) => root[name](other, x, ...rest)) as Call,
  });
const cast = (torch: string, dtype: ek.DType): [string, FunctionRow] =>
  row(torch, 'x !memoryFormat=contiguous', {
    method: null,
    isElementwise: true,
    call: ((x: Tensor) => x.to(dtype)) as Call,
  });
const method = (name: string) =>
  ((x: Tensor, ...args: never[]) => (x as unknown as Record<string, Call>)[name](...args)) as Call;
const ofMethod = (torch: string, signature: string, name: string, isElementwise = false): [string, FunctionRow] =>
  row(torch, signature, {
    method: name,
    call: typeof methods[name] === 'function' ? method(name) : undefined,
    isElementwise,
  });
/** What PyTorch's inventory calls on a copy, since it writes over its argument. */
const ofCopy = (torch: string, signature: string): [string, FunctionRow] => {
  const name = `${torch.split('.')[0].replace(/_$/, '')}_`;
  const call = (x: Tensor, ...args: never[]) => (x.clone() as unknown as Record<string, Call>)[name](...args);
  return row(torch, signature, { name: name.slice(0, -1), isElementwise: true, call: call as Call });
};
/** PyTorch writes into a copy; `setIndex` writes in place. */
const indexPut = ((x: Tensor, ...rest: never[]) => {
  const copy = x.clone();
  (copy as unknown as Record<string, Call>).setIndex(...rest);
  return copy;
}) as Call;

const padded = (torch: string, mode: nn.functional.PadMode): [string, FunctionRow] =>
  row(torch, 'x pad mode !value', {
    method: null,
    call: ((x: Tensor, pad: number[]) => nn.functional.pad(x, pad, { mode })) as Call,
  });

/** PyTorch has one function for both. */
const withIndices = (values: unknown, both: unknown): Call =>
  ((x: Tensor, size: number, { returnIndices = false, ...options }: { returnIndices?: boolean } = {}) =>
    ((returnIndices ? both : values) as (...args: unknown[]) => unknown)(x, size, options)) as Call;

/** Modes have other names, and antialiased ones other functions. */
const interpolated = (
  torch: string,
  signature: string,
  options: nn.functional.InterpolateOptions = {},
): [string, FunctionRow] =>
  row(torch, signature, {
    method: null,
    call: ((x: Tensor, size: number[] | null, scaleFactor: number[] | null, rest: object) =>
      nn.functional.interpolate(x, { ...rest, size, scaleFactor, ...options })) as Call,
  });
/** The places have a name in the options. */
const trapezoidOf = (call: typeof ek.trapezoid): Call =>
  ((y: Tensor, x: Tensor | undefined, options: ek.TrapezoidOptions = {}) =>
    call(y, x === undefined ? options : { ...options, x })) as Call;
/** PyTorch gives what it is asked for. */
const uniqueOf = (call: typeof ek.uniqueWithCounts): Call =>
  ((
    x: Tensor,
    { returnInverse, returnCounts, ...options }: ek.UniqueOptions & Record<string, boolean | number | null> = {},
  ) => {
    const { output, inverseIndices, counts } = call(x, options as ek.UniqueOptions);
    const parts = [output, ...(returnInverse ? [inverseIndices] : []), ...(returnCounts ? [counts] : [])];
    return parts.length === 1 ? output : parts;
  }) as Call;
const histogramOf = ((x: Tensor, bins: number | Tensor, options?: ek.HistogramOptions) => {
  const { hist, binEdges } = ek.histogram(x, bins, options);
  return [hist, binEdges];
}) as Call;
/** A tensor, or several. */
const eachOf = (call: Call): Call =>
  ((tensors: Tensor[]) => {
    const results = tensors.flat().map((x) => call(x as never));
    return tensors.length === 1 && !Array.isArray(tensors[0]) ? results[0] : results;
  }) as Call;
/** Modes are numbers there. */
const gridSampler = ((x: Tensor, grid: Tensor, mode: number, padding: number, alignCorners: boolean) =>
  nn.functional.gridSample(x, grid, {
    mode: (['bilinear', 'nearest', 'bicubic'] as const)[mode],
    paddingMode: (['zeros', 'border', 'reflection'] as const)[padding],
    alignCorners,
  })) as Call;
/** By OpInfo's name and variant. */
export const functionRows: ReadonlyMap<string, FunctionRow> = new Map([
  ...elementwise(
    'abs neg sign square floor ceil sqrt rsqrt reciprocal exp expm1 log log1p sin cos tanh erf sigmoid isnan isfinite logical_not',
    'x',
  ),
  ...elementwise('mul pow maximum minimum remainder eq ne lt le gt ge logical_and logical_or logical_xor', 'x other'),
  ...elementwise('add sub', 'x other {alpha}'),
  ...elementwise(
    'acos asin atan sinh cosh tan acosh asinh atanh log2 log10 exp2 trunc frac isinf erfc sinc signbit deg2rad rad2deg isposinf isneginf bitwise_not',
    'x',
  ),
  ...elementwise(
    'atan2 fmod floor_divide fmax fmin hypot xlogy copysign logaddexp logaddexp2 heaviside bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift',
    'x other',
  ),
  // Names that the library does not have yet, so that they count as soon as it has.
  ...elementwise('lgamma digamma', 'x'),
  ...elementwise('erfinv positive', 'x'),
  ...elementwise('gcd lcm ldexp float_power', 'x other'),
  row('logit', 'x {eps}', { isElementwise: true }),
  row('nan_to_num', 'x {nan posinf neginf}', { isElementwise: true }),
  row('isclose', 'x other {rtol atol equalNan}', { isElementwise: true }),
  row('allclose', 'x other {rtol atol equalNan}'),
  row('equal', 'x other'),
  ...['round', 'round.decimals_0', 'round.decimals_3', 'round.decimals_neg_3'].map((torch) =>
    row(torch, 'x !decimals=0', { isElementwise: true }),
  ),
  row('max.binary', 'x other', { name: 'maximum', isElementwise: true }),
  row('min.binary', 'x other', { name: 'minimum', isElementwise: true }),
  ...['no_rounding_mode', 'trunc_rounding', 'floor_rounding'].map((variant) =>
    row(`div.${variant}`, 'x other {roundingMode}', { name: 'div', isElementwise: true }),
  ),
  row('true_divide', 'x other', { name: 'div', isElementwise: true }),
  row('clamp', 'x min max', { isElementwise: true }),
  row('clamp_min', 'x min', { name: 'clamp', isElementwise: true }),
  row('clamp_max', 'x max', {
    method: null,
    isElementwise: true,
    call: ((x: Tensor, max: number | Tensor) => ek.clamp(x, undefined, max)) as Call,
  }),
  row('__radd__', 'x other', { name: 'add', method: null, isElementwise: true }),
  row('__rmul__', 'x other', { name: 'mul', method: null, isElementwise: true }),
  swapped('__rdiv__', 'div'),
  swapped('__rsub__', 'sub'),
  row('rsub', 'x other {alpha}', { isElementwise: true }),
  swapped('__rpow__', 'pow'),
  swapped('__rmod__', 'remainder'),
  swapped('__rmatmul__', 'matmul'),
  row('where', 'x condition other', {
    method: null,
    isElementwise: true,
    call: ((x: Tensor, condition: Tensor, other: Tensor) => ek.where(condition, x, other)) as Call,
  }),
  row('masked_fill', 'x mask value', { isElementwise: true }),
  row('masked_select', 'x mask'),
  row('addcmul', 'x a b {value}', { isElementwise: true }),
  row('addcdiv', 'x a b {value}', { isElementwise: true }),
  row('lerp', 'x end weight', { isElementwise: true }),

  row('sum', 'x dim {keepdim dtype}'),
  row('mean', 'x dim {keepdim dtype}'),
  row('prod', 'x dim {keepdim dtype}'),
  row('var', 'x dim {correction keepdim}'),
  row('var.unbiased', 'x unbiased', {
    method: null,
    call: ((x: Tensor, unbiased: boolean) => ek.var(x, undefined, { correction: Number(unbiased) })) as Call,
  }),
  row('std', 'x dim {correction keepdim}'),
  row('std.unbiased', 'x unbiased', {
    method: null,
    call: ((x: Tensor, unbiased: boolean) => ek.std(x, undefined, { correction: Number(unbiased) })) as Call,
  }),
  row('var_mean', 'x dim {correction keepdim}', { method: null }),
  row('std_mean', 'x dim {correction keepdim}', { method: null }),
  ...(['var_mean', 'std_mean'] as const).map((torch) =>
    row(`${torch}.unbiased`, 'x unbiased', {
      method: null,
      call: ((x: Tensor, unbiased: boolean) =>
        root[camel(torch)](...([x, undefined, { correction: Number(unbiased) }] as never[]))) as Call,
    }),
  ),
  ...['norm', 'norm.fro', 'norm.inf'].map((torch) => row(torch, 'x p dim {keepdim !out dtype}')),
  row('norm.nuc', 'x p dim {keepdim !out dtype}'),
  row('nn.functional.normalize', 'x p dim {eps !out}', { method: null }),
  row('nansum', 'x dim {keepdim dtype}'),
  row('nanmean', 'x dim {keepdim dtype}'),
  row('count_nonzero', 'x dim'),
  row('aminmax', 'x {dim keepdim}'),
  row('amax', 'x dim {keepdim}'),
  row('amin', 'x dim {keepdim}'),
  row('argmax', 'x dim {keepdim}'),
  row('argmin', 'x dim {keepdim}'),
  row('any', 'x dim {keepdim}'),
  row('all', 'x dim {keepdim}'),
  row('max.reduction_no_dim', 'x'),
  row('min.reduction_no_dim', 'x'),
  row('max.reduction_with_dim', 'x dim {keepdim}'),
  row('min.reduction_with_dim', 'x dim {keepdim}'),
  row('logsumexp', 'x dim {keepdim}'),
  row('cumsum', 'x dim {dtype}'),
  row('cumprod', 'x dim {dtype}'),
  row('cummax', 'x dim'),
  row('cummin', 'x dim'),
  row('logcumsumexp', 'x dim'),
  row('diff', 'x n dim {prepend append}'),
  row('trapezoid', 'x places {dx dim}', { method: null, call: trapezoidOf(ek.trapezoid) }),
  row('trapz', 'x places {dx dim}', { method: null, call: trapezoidOf(ek.trapezoid) }),
  row('cumulative_trapezoid', 'x places {dx dim}', { method: null, call: trapezoidOf(ek.cumulativeTrapezoid) }),
  row('quantile', 'x q dim {keepdim interpolation}'),
  row('nanquantile', 'x q dim {keepdim interpolation}'),
  row('mode', 'x dim {keepdim}'),
  row('msort', 'x'),
  row('unique', 'x {!sorted=* returnInverse returnCounts dim}', { method: null, call: uniqueOf(ek.uniqueWithCounts) }),
  row('unique_consecutive', 'x {returnInverse returnCounts dim}', {
    method: null,
    call: uniqueOf(ek.uniqueConsecutiveWithCounts),
  }),
  row('bincount', 'x {weights minlength}'),
  row('histc', 'x bins min max'),
  row('histogram', 'x bins {range weight density}', { method: null, call: histogramOf }),
  row('searchsorted', 'sorted values {out_int32=outInt32 right side sorter}', { method: null }),
  row('bucketize', 'x boundaries {out_int32=outInt32 right}', { method: null }),
  row('isin', 'elements test_elements=among {!assumeUnique=* invert}', { method: null }),
  row('cov', 'x {correction fweights aweights}'),
  row('corrcoef', 'x'),
  row('renorm', 'x p dim maxnorm'),
  row('dist', 'x other p'),
  row('cdist', 'x other p !computeMode', { method: null }),
  row('multinomial', 'x numSamples {replacement}'),
  row('sort', 'x dim {descending} !stable=*'),
  row('argsort', 'x dim {descending} !stable=*'),
  row('kthvalue', 'x k dim {keepdim}'),
  row('median', 'x dim {keepdim}'),
  row('nanmedian', 'x dim {keepdim}'),
  row('topk', 'x k dim {largest !sorted=true}'),
  row('softmax', 'x dim {dtype}'),
  row('softmax.with_dtype', 'x dim {dtype}'),
  row('log_softmax', 'x dim {dtype}'),
  row('log_softmax.with_dtype', 'x dim {dtype}'),

  row('matmul', 'x other'),
  row('mm', 'x other'),
  row('bmm', 'x other'),
  row('bmm.triton_optimized', 'x other'),
  row('mv', 'x other'),
  row('dot', 'x other'),
  row('outer', 'x other'),
  row('addmm', 'x a b {beta alpha}'),
  row('addmm.decomposed', 'x a b {beta alpha}'),
  row('addmv', 'x a b {beta alpha}'),
  row('addr', 'x a b {beta alpha}'),
  row('baddbmm', 'x a b {beta alpha}'),
  row('addbmm', 'x a b {beta alpha}'),
  row('kron', 'x other'),
  row('inner', 'x other'),
  row('vdot', 'x other'),
  row('cross', 'x other dim'),
  row('linalg.cross', 'x other {dim}', {
    method: null,
    call: ((x: Tensor, other: Tensor, { dim = -1 }: { dim?: number } = {}) => ek.cross(x, other, dim)) as Call,
  }),
  row('linalg.matrix_power', 'x n', {
    method: null,
    call: ((x: Tensor, n: number) => {
      // Needs an inverse, which is not here.
      if (n < 0) throw new ArgumentNotAvailable('a negative power');
      return ek.matrixPower(x, n);
    }) as Call,
  }),
  row('tensordot', 'x other dims', { method: null }),
  row('einsum', 'operands equation', {
    method: null,
    call: ((operands: Tensor[], equation: string) => ek.einsum(equation, ...operands)) as Call,
  }),
  row('nn.functional.linear', 'x weight bias'),
  row('nn.functional.scaled_dot_product_attention', 'x key value {attnMask dropoutP isCausal scale enableGqa}'),

  row('gather', 'x dim index !sparseGrad=false'),
  row('scatter', 'x dim index source !reduce'),
  row('scatter_add', 'x dim index source'),
  ...['sum', 'mean', 'prod', 'amax', 'amin'].map((reduce) =>
    row(`scatter_reduce.${reduce}`, 'x dim index src=source reduce {includeSelf}'),
  ),
  ...['mean', 'prod', 'amax', 'amin'].map((reduce) =>
    row(`index_reduce.${reduce}`, 'x dim index source reduce {includeSelf}'),
  ),
  row('take', 'x index'),
  row('put', 'x index source {accumulate}'),
  row('argwhere', 'x'),
  row('unravel_index', 'indices shape', { method: null }),
  row('select_scatter', 'x src=source dim index'),
  row('slice_scatter', 'x src=source dim start end step'),
  row('diagonal_scatter', 'x src=source offset dim1 dim2'),
  row('index_select', 'x dim index'),
  row('index_add', 'x dim index source {alpha}'),
  row('masked_scatter', 'x mask source'),
  row('index_put', 'x indices values {accumulate}', {
    method: null,
    call: 'setIndex' in methods ? indexPut : undefined,
  }),
  row('index_copy', 'x dim index source'),
  row('index_fill', 'x dim index value'),
  row('nonzero', 'x !asTuple=false', { method: null }),
  row('take_along_dim', 'x index dim'),
  row('__getitem__', 'x specs', {
    method: null,
    call: ((x: Tensor, specs: ek.IndexSpec[]) => x.index(...specs)) as Call,
  }),
  row('nn.functional.embedding', 'weight indices {paddingIdx maxNorm normType scaleGradByFreq !sparse=false}', {
    method: null,
    call: ((weight: Tensor, indices: Tensor, options?: nn.functional.EmbeddingOptions) =>
      nn.functional.embedding(indices, weight, options)) as Call,
  }),
  row(
    'nn.functional.embedding_bag',
    'weight indices {offsets maxNorm normType scaleGradByFreq mode !sparse=false perSampleWeights includeLastOffset paddingIdx}',
    {
      method: null,
      call: ((weight: Tensor, indices: Tensor, options?: nn.functional.EmbeddingBagOptions) =>
        nn.functional.embeddingBag(indices, weight, options)) as Call,
    },
  ),
  row('nn.functional.one_hot', 'x numClasses'),

  row('reshape', 'x *shape'),
  row('view', 'x *shape'),
  row('flatten', 'x startDim endDim'),
  row('unflatten', 'x dim sizes'),
  row('squeeze', 'x dim'),
  row('squeeze.multiple', 'x dim'),
  row('unsqueeze', 'x dim'),
  row('permute', 'x *dims'),
  row('transpose', 'x dim0 dim1'),
  ofMethod('t', 'x', 't'),
  row('T', 'x', { method: null, call: ((x: Tensor) => x.T) as Call }),
  row('mT', 'x', { method: null, call: ((x: Tensor) => x.mT) as Call }),
  row('expand', 'x *shape'),
  row('broadcast_to', 'x shape'),
  row('repeat', 'x *counts'),
  row('tile', 'x *counts'),
  row('narrow', 'x dim start:number length'),
  row('slice', 'x dim start end step'),
  row('select', 'x dim index'),
  row('flip', 'x *dims'),
  row('roll', 'x shifts dims'),
  row('tril', 'x diagonal'),
  row('triu', 'x diagonal'),
  row('cat', 'tensors dim', { method: null }),
  row('stack', 'tensors dim', { method: null }),
  row('split', 'x split_size_or_sections=sizes dim'),
  row('split.list_args', 'x split_size_or_sections=sizes dim'),
  row('split_with_sizes', 'x split_sizes=sizes dim', { name: 'split' }),
  row('chunk', 'x chunks dim'),
  row('unbind', 'x dim'),
  row('movedim', 'x source destination'),
  row('moveaxis', 'x source destination'),
  row('swapaxes', 'x dim0 dim1'),
  row('swapdims', 'x dim0 dim1'),
  row('ravel', 'x'),
  row('repeat_interleave', 'x repeats dim {outputSize}'),
  row('fliplr', 'x'),
  row('flipud', 'x'),
  row('rot90', 'x k dims'),
  ...['vstack', 'hstack', 'dstack', 'column_stack'].map((torch) => row(torch, 'tensors', { method: null })),
  row('tensor_split', 'x sections dim'),
  ...['hsplit', 'vsplit', 'dsplit'].map((torch) => row(torch, 'x sections')),
  ...['atleast_1d', 'atleast_2d', 'atleast_3d'].map((torch) =>
    row(torch, '*tensors', { method: null, call: eachOf(root[camel(torch)]) }),
  ),
  row('broadcast_shapes', '*shapes', {
    method: null,
    call: ((shapes: number[][]) => ek.broadcastShapes(...shapes)) as Call,
  }),
  row('block_diag', '*tensors', { method: null, call: ((tensors: Tensor[]) => ek.blockDiag(...tensors)) as Call }),
  row('cartesian_prod', '*tensors', {
    method: null,
    call: ((tensors: Tensor[]) => ek.cartesianProd(...tensors)) as Call,
  }),
  row('combinations', 'x r {withReplacement}', { method: null }),
  row('diagflat', 'x offset'),
  ...['expand_as', 'reshape_as', 'view_as'].map((torch) => row(torch, 'x other')),
  ofMethod('sum_to_size', 'x *size', 'sumToSize'),
  row('meshgrid.list_of_tensors', 'tensors {indexing}', { method: null }),
  row('meshgrid.variadic_tensors', '*tensors', {
    method: null,
    call: ((tensors: Tensor[]) => ek.meshgrid(tensors)) as Call,
  }),
  row('broadcast_tensors', '*tensors', {
    method: null,
    call: ((tensors: Tensor[]) => ek.broadcastTensors(...tensors)) as Call,
  }),
  row('diag', 'x diagonal'),
  row('diagonal', 'x offset dim1 dim2'),
  row('diag_embed', 'x offset dim1 dim2'),
  ...['tril_indices', 'triu_indices'].map((torch) =>
    row(torch, 'rows columns offset {dtype !device=cpu !layout}', { method: null }),
  ),
  row('nn.functional.pad.constant', 'x pad {!mode=constant value}', { method: 'pad' }),
  row('constant_pad_nd', 'x pad {value}', { name: 'pad' }),
  padded('nn.functional.pad.reflect', 'reflect'),
  padded('nn.functional.pad.replicate', 'replicate'),
  padded('nn.functional.pad.replicate_negative', 'replicate'),
  padded('nn.functional.pad.circular', 'circular'),
  row('nn.functional.pixel_shuffle', 'x upscaleFactor'),
  row('nn.functional.pixel_unshuffle', 'x downscaleFactor'),
  row('nn.functional.channel_shuffle', 'x groups'),
  ...(['nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic', 'trilinear', 'area'] as const).map((mode) =>
    interpolated(
      `nn.functional.interpolate.${mode}`,
      'x size scaleFactor {!mode=* alignCorners recomputeScaleFactor antialias}',
      { mode: mode === 'nearest-exact' ? 'nearestExact' : mode },
    ),
  ),
  interpolated('nn.functional.upsample_nearest', 'x size scaleFactor', {}),
  interpolated('nn.functional.upsample_bilinear', 'x size scaleFactor', { mode: 'bilinear', alignCorners: true }),
  interpolated(
    '_upsample_bilinear2d_aa',
    'x output_size=size scale_factors=scaleFactor {alignCorners} !scales_h !scales_w',
    { mode: 'bilinear', antialias: true },
  ),

  row('nn.functional.grid_sample', 'x grid {mode padding_mode=paddingMode alignCorners}', { method: null }),
  row('grid_sampler_2d', 'x grid mode padding alignCorners', { method: null, call: gridSampler }),
  row('grid_sampler_3d', 'x grid mode padding alignCorners', { method: null, call: gridSampler }),

  ofMethod('clone', 'x !memoryFormat=contiguous', 'clone', true),
  ofMethod('contiguous', 'x memoryFormat', 'contiguous', true),
  ofMethod('item', 'x', 'item', true),
  ofCopy('fill', 'x value:number'),
  ofCopy('zero_', 'x'),
  ofMethod('to', 'x dtype:string !nonBlocking=false !copy=false !memoryFormat=contiguous', 'to', true),
  cast('float', 'float32'),
  cast('double', 'float64'),
  cast('int', 'int32'),
  cast('long', 'int64'),
  cast('byte', 'uint8'),
  cast('bool', 'bool'),

  row('arange', 'start end step {dtype requiresGrad !device=cpu}', { method: null }),
  row('logspace', 'start:number end:number steps base {dtype requiresGrad !device=cpu}', { method: null }),
  row('logspace.tensor_overload', 'start:number end:number steps base {dtype requiresGrad !device=cpu}', {
    method: null,
  }),
  ...['new_zeros', 'new_ones', 'new_empty'].map((torch) =>
    ofMethod(torch, 'x size {dtype requiresGrad !device=cpu !layout !pinMemory=false}', camel(torch)),
  ),
  ofMethod('new_full', 'x size fill_value=value {dtype requiresGrad !device=cpu !layout !pinMemory=false}', 'newFull'),
  row('randint_like', 'x low high {dtype requiresGrad memoryFormat !device=cpu !layout !pinMemory=false}', {
    method: null,
    call: ((x: Tensor, low: number, high: number | undefined, options?: ek.RandomOptions) =>
      high === undefined ? ek.randintLike(x, 0, low, options) : ek.randintLike(x, low, high, options)) as Call,
  }),
  row('normal', 'mean std', { method: null }),
  // PyTorch's entry exchanges the two.
  row('normal.number_mean', 'std mean', {
    method: null,
    call: ((std: number | Tensor, mean: number | Tensor, shape?: number[]) => ek.normal(mean, std, shape)) as Call,
  }),
  row('linspace.tensor_overload', 'start:number end:number steps {dtype requiresGrad !device=cpu}', { method: null }),
  row('linspace', 'start:number end:number steps {dtype requiresGrad !device=cpu}', { method: null }),
  row('eye', 'rows columns {dtype requiresGrad !device=cpu !layout !pinMemory=false}', { method: null }),
  row('empty', 'shape {dtype requiresGrad !device=cpu !layout !pinMemory=false}', { method: null }),
  row('empty_like', 'x {dtype requiresGrad memoryFormat !device=cpu !layout !pinMemory=false}', { method: null }),
  row('full', 'shape fill_value=value {dtype requiresGrad !device=cpu}', { method: null }),
  row('zeros', 'shape {dtype requiresGrad !device=cpu}', { method: null }),
  row('ones', 'shape {dtype requiresGrad !device=cpu}', { method: null }),
  row('full_like', 'x fill_value=value {dtype requiresGrad memoryFormat !device=cpu !layout !pinMemory=false}', {
    method: null,
  }),
  row('zeros_like', 'x {dtype requiresGrad memoryFormat !device=cpu !layout !pinMemory=false}', { method: null }),
  row('ones_like', 'x {dtype requiresGrad memoryFormat !device=cpu !layout !pinMemory=false}', { method: null }),
  row('randn', 'shape {dtype requiresGrad !device=cpu}', { method: null }),
  row('randn_like', 'x {dtype requiresGrad memoryFormat !device=cpu !layout !pinMemory=false}', { method: null }),
  // PyTorch's entry of this name calls randn_like.
  row('rand_like', 'x {dtype requiresGrad memoryFormat !device=cpu !layout !pinMemory=false}', {
    method: null,
    name: 'randnLike',
  }),
  row('randint', 'low high shape {dtype requiresGrad !device=cpu}', {
    method: null,
    // PyTorch may leave `low` out, and the rest moves up.
    call: ((low: number, high: number | number[], shape?: number[], options?: ek.RandomOptions) =>
      Array.isArray(high) ? ek.randint(0, low, high, options) : ek.randint(low, high, shape!, options)) as Call,
  }),
  row('bernoulli', 'x !p', { method: null }),
  ofCopy('normal.in_place', 'x mean std'),
  ofCopy('uniform', 'x from to'),

  ...elementwise(
    'nn.functional.relu nn.functional.selu nn.functional.silu nn.functional.silu.complex nn.functional.mish',
    'x !inplace=false',
  ),
  row('nn.functional.relu6', 'x !inplace=false', { isElementwise: true }),
  row('nn.functional.hardsigmoid', 'x !inplace=false', { isElementwise: true }),
  row('nn.functional.hardswish', 'x !inplace=false', { isElementwise: true }),
  row('nn.functional.logsigmoid', 'x', { isElementwise: true }),
  row('nn.functional.leaky_relu', 'x {negativeSlope !inplace=false}', { isElementwise: true }),
  row('nn.functional.elu', 'x {alpha !inplace=false}', { isElementwise: true }),
  row('nn.functional.gelu', 'x {approximate}', { isElementwise: true }),
  row('nn.functional.softplus', 'x {beta threshold}', { isElementwise: true }),
  row('nn.functional.hardtanh', 'x {minVal maxVal !inplace=false}', { isElementwise: true }),
  // Not there yet.
  ...elementwise('nn.functional.softsign nn.functional.tanhshrink', 'x'),
  ...elementwise('nn.functional.hardshrink nn.functional.softshrink', 'x {lambd}'),
  row('nn.functional.celu', 'x {alpha !inplace=false}', { isElementwise: true }),
  row('nn.functional.threshold', 'x threshold value !inplace=false', { isElementwise: true }),

  row('nn.functional.conv1d', 'x weight bias {stride padding dilation groups}'),
  row('nn.functional.conv2d', 'x weight bias {stride padding dilation groups}'),
  row('nn.functional.conv3d', 'x weight bias {stride padding dilation groups}'),
  row('nn.functional.conv_transpose1d', 'x weight bias {stride padding outputPadding groups dilation}'),
  row('nn.functional.conv_transpose3d', 'x weight bias {stride padding outputPadding groups dilation}'),
  row('nn.functional.bilinear', 'x other weight bias'),
  row('nn.functional.conv_transpose2d', 'x weight bias {stride padding outputPadding groups dilation}'),
  ...['nn.functional.batch_norm', 'nn.functional.batch_norm.without_cudnn'].map((torch) =>
    row(torch, 'x runningMean runningVar {weight bias training momentum eps !cudnnEnabled}'),
  ),
  row('nn.functional.instance_norm', 'x {runningMean runningVar weight bias useInputStats momentum eps}'),
  row('nn.functional.group_norm', 'x numGroups {weight bias eps}'),
  row('nn.functional.layer_norm', 'x normalizedShape {weight bias eps}'),
  row('nn.functional.rms_norm', 'x normalizedShape {weight eps}'),
  row('nn.functional.local_response_norm', 'x size {alpha beta k}'),
  row('nn.functional.avg_pool1d', 'x kernelSize {stride padding ceilMode countIncludePad}'),
  row('nn.functional.avg_pool2d', 'x kernelSize {stride padding ceilMode countIncludePad divisorOverride}'),
  row('nn.functional.avg_pool3d', 'x kernelSize {stride padding ceilMode countIncludePad divisorOverride}'),
  ...(['1d', '2d', '3d'] as const).flatMap((dims) => [
    row(`nn.functional.max_pool${dims}`, 'x kernelSize {stride padding dilation ceilMode returnIndices}', {
      method: null,
      call: withIndices(nn.functional[`maxPool${dims}`], nn.functional[`maxPool${dims}WithIndices`]),
    }),
    row(`nn.functional.adaptive_max_pool${dims}`, 'x outputSize {returnIndices}', {
      method: null,
      call: withIndices(nn.functional[`adaptiveMaxPool${dims}`], nn.functional[`adaptiveMaxPool${dims}WithIndices`]),
    }),
    row(`nn.functional.adaptive_avg_pool${dims}`, 'x outputSize'),
    row(`nn.functional.lp_pool${dims}`, 'x normType kernelSize {stride ceilMode}'),
    row(`nn.functional.max_unpool${dims}`, 'x indices kernelSize {stride padding outputSize}'),
    row(`nn.functional.max_unpool${dims}.grad`, 'x indices kernelSize {stride padding outputSize}'),
  ]),
  row('nn.functional.dropout', 'x p {training !inplace=false}', { method: null }),
  ...['dropout1d', 'dropout2d', 'dropout3d', 'alpha_dropout'].map((name) =>
    row(`nn.functional.${name}`, 'x p {training !inplace=false}', { method: null }),
  ),
  row('nn.functional.feature_alpha_dropout.with_train', 'x p {training !inplace=false}', { method: null }),
  row('nn.functional.feature_alpha_dropout.without_train', 'x p {training !inplace=false}', { method: null }),
  row('nn.functional.rrelu', 'x {lower upper training !inplace=false}', { method: null }),
  row('nn.functional.unfold', 'x kernelSize {dilation padding stride}'),
  row('nn.functional.fold', 'x outputSize kernelSize {dilation padding stride}'),
  row('nn.functional.prelu', 'x weight'),
  row('nn.functional.glu', 'x dim'),
  row('nn.functional.softmin', 'x dim {!stacklevel dtype}'),
  row('nn.functional.softmin.with_dtype', 'x dim {!stacklevel dtype}'),
  row('nn.functional.cross_entropy', 'x target {weight !sizeAverage ignoreIndex !reduce reduction labelSmoothing}'),
  row('nn.functional.nll_loss', 'x target {weight !sizeAverage ignoreIndex !reduce reduction}'),
  row('nn.functional.mse_loss', 'x target {!sizeAverage !reduce reduction weight}'),
  row('nn.functional.l1_loss', 'x target {!sizeAverage !reduce reduction}'),
  row('nn.functional.smooth_l1_loss', 'x target {!sizeAverage !reduce reduction beta}'),
  row('nn.functional.ctc_loss', 'x targets inputLengths targetLengths {blank reduction zeroInfinity}'),
  row('nn.functional.huber_loss', 'x target {reduction delta !weight}'),
  row('nn.functional.soft_margin_loss', 'x target {!sizeAverage !reduce reduction}'),
  row('nn.functional.binary_cross_entropy', 'x target {weight !sizeAverage !reduce reduction}'),
  row('nn.functional.kl_div', 'x target {!sizeAverage !reduce reduction logTarget}'),
  row('nn.functional.poisson_nll_loss', 'x target {logInput full !sizeAverage eps !reduce reduction}'),
  row('nn.functional.gaussian_nll_loss', 'x target var {full eps reduction}'),
  row('nn.functional.multi_margin_loss', 'x target {p margin weight !sizeAverage !reduce reduction}'),
  row('nn.functional.multilabel_margin_loss', 'x target {!sizeAverage !reduce reduction}'),
  row('nn.functional.multilabel_soft_margin_loss', 'x target {weight !sizeAverage !reduce reduction}'),
  row('nn.functional.margin_ranking_loss', 'x other target {margin !sizeAverage !reduce reduction}'),
  row('nn.functional.hinge_embedding_loss', 'x target {margin !sizeAverage !reduce reduction}'),
  row('nn.functional.cosine_embedding_loss', 'x other target {margin !sizeAverage !reduce reduction}'),
  row('nn.functional.triplet_margin_loss', 'x positive negative {margin p eps swap !sizeAverage !reduce reduction}'),
  row(
    'nn.functional.triplet_margin_with_distance_loss',
    'x positive negative {distanceFunction margin swap reduction}',
  ),
  row('nn.functional.pairwise_distance', 'x other {p eps keepdim}'),
  row('nn.functional.cosine_similarity', 'x other {dim eps}'),
  row('nn.functional.binary_cross_entropy_with_logits', 'x target {weight !sizeAverage !reduce reduction posWeight}'),
]);

type Constructor = new (...args: never[]) => nn.Module;
const conv = 'inChannels outChannels kernelSize {stride padding dilation groups bias paddingMode}';
const transposed = 'inChannels outChannels kernelSize {stride padding outputPadding groups bias dilation paddingMode}';
const lazyConv = 'outChannels kernelSize {stride padding dilation groups bias paddingMode}';
const lazyTransposed = 'outChannels kernelSize {stride padding outputPadding groups bias dilation paddingMode}';
const batchNorm = 'numFeatures {eps momentum affine trackRunningStats bias}';
const lazyNorm = '{eps momentum affine trackRunningStats bias}';
const maxPool = 'kernelSize {stride padding dilation returnIndices ceilMode}';
const maxUnpool = 'kernelSize {stride padding}';
const lpPool = 'normType kernelSize {stride ceilMode}';
const inplace = '{inplace}';
const transformerLayer = 'dModel nhead {dimFeedforward dropout activation layerNormEps batchFirst normFirst bias}';

/** Constructors by class name. */
const layerSignatures: Record<string, string> = {
  Identity: '*ignored',
  Linear: 'inFeatures outFeatures {bias}',
  Embedding: 'numEmbeddings embeddingDim {paddingIdx maxNorm normType scaleGradByFreq !sparse=false}',
  EmbeddingBag:
    'numEmbeddings embeddingDim {maxNorm normType scaleGradByFreq mode !sparse=false includeLastOffset paddingIdx}',
  Conv1d: conv,
  Conv2d: conv,
  Conv3d: conv,
  ConvTranspose1d: transposed,
  ConvTranspose3d: transposed,
  LazyConv1d: lazyConv,
  LazyConv2d: lazyConv,
  LazyConv3d: lazyConv,
  LazyConvTranspose1d: lazyTransposed,
  LazyConvTranspose2d: lazyTransposed,
  LazyConvTranspose3d: lazyTransposed,
  LazyLinear: 'outFeatures {bias}',
  Bilinear: 'in1Features in2Features outFeatures {bias}',
  ConvTranspose2d: transposed,
  BatchNorm1d: batchNorm,
  BatchNorm2d: batchNorm,
  BatchNorm3d: batchNorm,
  SyncBatchNorm: 'numFeatures {eps momentum affine trackRunningStats processGroup}',
  InstanceNorm1d: batchNorm,
  InstanceNorm2d: batchNorm,
  InstanceNorm3d: batchNorm,
  LazyBatchNorm1d: lazyNorm,
  LazyBatchNorm2d: lazyNorm,
  LazyBatchNorm3d: lazyNorm,
  LazyInstanceNorm1d: lazyNorm,
  LazyInstanceNorm2d: lazyNorm,
  LazyInstanceNorm3d: lazyNorm,
  GroupNorm: 'numGroups numChannels {eps affine bias}',
  LayerNorm: 'normalizedShape {eps elementwiseAffine bias}',
  RMSNorm: 'normalizedShape {eps elementwiseAffine}',
  LocalResponseNorm: 'size {alpha beta k}',
  CrossMapLRN2d: 'size {alpha beta k}',
  Dropout: 'p {inplace}',
  Dropout1d: 'p {inplace}',
  Dropout2d: 'p {inplace}',
  Dropout3d: 'p {inplace}',
  AlphaDropout: 'p {!inplace=false}',
  FeatureAlphaDropout: 'p {!inplace=false}',
  Unfold: 'kernelSize {dilation padding stride}',
  Fold: 'outputSize kernelSize {dilation padding stride}',
  PReLU: 'numParameters {init}',
  RReLU: '{lower upper inplace}',
  GLU: 'dim',
  Softmin: 'dim',
  Softmax2d: '*none',
  ReLU: inplace,
  ReLU6: inplace,
  SELU: inplace,
  SiLU: inplace,
  Mish: inplace,
  Hardswish: inplace,
  Hardsigmoid: inplace,
  LeakyReLU: '{negativeSlope inplace}',
  ELU: '{alpha inplace}',
  Hardtanh: '{minVal maxVal inplace !minValue !maxValue}',
  GELU: '{approximate}',
  Softplus: '{beta threshold}',
  Sigmoid: '*none',
  LogSigmoid: '*none',
  Tanh: '*none',
  // Not there yet.
  Softsign: '*none',
  Tanhshrink: '*none',
  Hardshrink: '{lambd}',
  Softshrink: '{lambd}',
  CELU: '{alpha inplace}',
  Threshold: 'threshold value {inplace}',
  Softmax: 'dim',
  LogSoftmax: 'dim',
  ConstantPad1d: 'padding value',
  ConstantPad2d: 'padding value',
  ConstantPad3d: 'padding value',
  ZeroPad1d: 'padding',
  ZeroPad2d: 'padding',
  ZeroPad3d: 'padding',
  ReflectionPad1d: 'padding',
  ReflectionPad2d: 'padding',
  ReflectionPad3d: 'padding',
  ReplicationPad1d: 'padding',
  ReplicationPad2d: 'padding',
  ReplicationPad3d: 'padding',
  CircularPad1d: 'padding',
  CircularPad2d: 'padding',
  CircularPad3d: 'padding',
  MaxPool1d: maxPool,
  MaxPool2d: maxPool,
  MaxPool3d: maxPool,
  MaxUnpool1d: maxUnpool,
  MaxUnpool2d: maxUnpool,
  MaxUnpool3d: maxUnpool,
  LPPool1d: lpPool,
  LPPool2d: lpPool,
  LPPool3d: lpPool,
  AvgPool3d: 'kernelSize {stride padding ceilMode countIncludePad divisorOverride}',
  PixelShuffle: 'upscaleFactor',
  PixelUnshuffle: 'downscaleFactor',
  ChannelShuffle: 'groups',
  Upsample: '{size scaleFactor mode alignCorners recomputeScaleFactor}',
  UpsamplingNearest2d: '{size scaleFactor}',
  UpsamplingBilinear2d: '{size scaleFactor}',
  AvgPool1d: 'kernelSize {stride padding ceilMode countIncludePad}',
  AvgPool2d: 'kernelSize {stride padding ceilMode countIncludePad divisorOverride}',
  AdaptiveAvgPool1d: 'outputSize',
  AdaptiveAvgPool2d: 'outputSize',
  AdaptiveAvgPool3d: 'outputSize',
  AdaptiveMaxPool1d: 'outputSize {returnIndices}',
  AdaptiveMaxPool2d: 'outputSize {returnIndices}',
  AdaptiveMaxPool3d: 'outputSize {returnIndices}',
  Flatten: 'startDim endDim',
  Unflatten: 'dim unflattenedSize',
  L1Loss: '{!sizeAverage !reduce reduction}',
  MSELoss: '{!sizeAverage !reduce reduction}',
  SmoothL1Loss: '{!sizeAverage !reduce reduction beta}',
  NLLLoss: '{weight !sizeAverage ignoreIndex !reduce reduction}',
  CrossEntropyLoss: '{weight !sizeAverage ignoreIndex !reduce reduction labelSmoothing}',
  CTCLoss: '{blank reduction zeroInfinity}',
  HuberLoss: '{reduction delta}',
  SoftMarginLoss: '{!sizeAverage !reduce reduction}',
  BCELoss: '{weight !sizeAverage !reduce reduction}',
  KLDivLoss: '{!sizeAverage !reduce reduction logTarget}',
  PoissonNLLLoss: '{logInput full !sizeAverage eps !reduce reduction}',
  GaussianNLLLoss: '{full eps reduction}',
  MultiMarginLoss: '{p margin weight !sizeAverage !reduce reduction}',
  MultiLabelMarginLoss: '{!sizeAverage !reduce reduction}',
  MultiLabelSoftMarginLoss: '{weight !sizeAverage !reduce reduction}',
  MarginRankingLoss: '{margin !sizeAverage !reduce reduction}',
  HingeEmbeddingLoss: '{margin !sizeAverage !reduce reduction}',
  CosineEmbeddingLoss: '{margin !sizeAverage !reduce reduction}',
  TripletMarginLoss: '{margin p eps swap !sizeAverage !reduce reduction}',
  TripletMarginWithDistanceLoss: '{distanceFunction margin swap reduction}',
  PairwiseDistance: '{p eps keepdim}',
  CosineSimilarity: '{dim eps}',
  BCEWithLogitsLoss: '{weight !sizeAverage !reduce reduction posWeight}',
  MultiheadAttention: 'embedDim numHeads {dropout bias addBiasKv addZeroAttn kdim vdim batchFirst}',
  TransformerEncoderLayer: transformerLayer,
  TransformerDecoderLayer: transformerLayer,
  TransformerEncoder: 'encoderLayer numLayers {norm !enableNestedTensor=* !maskCheck=*}',
  TransformerDecoder: 'decoderLayer numLayers {norm}',
  Transformer:
    '{dModel nhead numEncoderLayers numDecoderLayers dimFeedforward dropout activation !customEncoder !customDecoder layerNormEps batchFirst normFirst bias}',
  RNN: 'inputSize hiddenSize {numLayers nonlinearity bias batchFirst dropout bidirectional}',
  GRU: 'inputSize hiddenSize {numLayers bias batchFirst dropout bidirectional}',
  LSTM: 'inputSize hiddenSize {numLayers bias batchFirst dropout bidirectional projSize}',
  RNNCell: 'inputSize hiddenSize {bias nonlinearity}',
  GRUCell: 'inputSize hiddenSize {bias}',
  LSTMCell: 'inputSize hiddenSize {bias}',
  ModuleDict: 'modules',
  ModuleList: 'modules',
  ParameterDict: 'parameters',
  ParameterList: 'values',
  Sequential: '*modules',
};

const decoderCall = 'tgt memory {tgtMask memoryMask tgtKeyPaddingMask memoryKeyPaddingMask tgtIsCausal memoryIsCausal}';
/** Calls that take options, by class name. */
const callSignatures: Record<string, string> = {
  MultiheadAttention: 'query key value {keyPaddingMask needWeights attnMask averageAttnWeights isCausal}',
  TransformerEncoderLayer: 'src {srcMask srcKeyPaddingMask isCausal}',
  TransformerDecoderLayer: decoderCall,
  TransformerEncoder: 'src {mask srcKeyPaddingMask isCausal}',
  TransformerDecoder: decoderCall,
  Transformer:
    'src tgt {srcMask tgtMask memoryMask srcKeyPaddingMask tgtKeyPaddingMask memoryKeyPaddingMask srcIsCausal tgtIsCausal memoryIsCausal}',
};

export interface LayerRow {
  signature: string;
  /** Of the call, where that takes options; else all arguments are positional. */
  callSignature: string | null;
  make: Constructor;
}
export function layerRow(name: string): LayerRow | null {
  const make = (nn as unknown as Record<string, Constructor>)[name];
  if (!make) return null;
  const signature = layerSignatures[name];
  if (!signature) throw new Error(`conformance/table.ts has no row for the layer ${name}`);
  return { signature, callSignature: callSignatures[name] ?? null, make };
}
/** The one place where the run calls a layer. */
export const callLayer = (layer: nn.Module, ...args: unknown[]): unknown => layer(...(args as never[]));

/**
 * Options by PyTorch's names; others are not available. What PyTorch chooses by itself (`foreach`, `fused`) has no
 * counterpart.
 */
export const optimizerOptions: Record<string, string> = {
  SGD: '{lr momentum dampening weightDecay nesterov maximize !foreach=false !fused=false !differentiable=false}',
  Adam: '{lr betas eps weightDecay amsgrad maximize decoupledWeightDecay !foreach=false !fused=false !capturable=false !differentiable=false}',
  AdamW:
    '{lr betas eps weightDecay amsgrad maximize !foreach=false !fused=false !capturable=false !differentiable=false}',
  RMSprop:
    '{lr alpha eps weightDecay momentum centered maximize !foreach=false !capturable=false !differentiable=false}',
  Adagrad:
    '{lr lrDecay weightDecay initialAccumulatorValue eps maximize !foreach=false !fused=false !differentiable=false}',
  Adadelta: '{lr rho eps weightDecay maximize !foreach=false !capturable=false !differentiable=false}',
  Adamax: '{lr betas eps weightDecay maximize !foreach=false !capturable=false !differentiable=false}',
  NAdam:
    '{lr betas eps weightDecay momentumDecay decoupledWeightDecay maximize !foreach=false !capturable=false !differentiable=false}',
  RAdam:
    '{lr betas eps weightDecay decoupledWeightDecay maximize !foreach=false !capturable=false !differentiable=false}',
  Rprop: '{lr etas stepSizes maximize !foreach=false !capturable=false !differentiable=false}',
  ASGD: '{lr lambd alpha t0 weightDecay maximize !foreach=false !capturable=false !differentiable=false}',
  Adafactor: '{lr beta2Decay eps d weightDecay maximize !foreach=false}',
  Muon: '{lr weightDecay momentum nesterov nsCoefficients eps nsSteps adjustLrFn}',
  LBFGS: '{lr maxIter maxEval toleranceGrad toleranceChange historySize lineSearchFn}',
};
export const scheduleSignatures: Record<string, string> = {
  StepLR: 'stepSize {gamma lastEpoch}',
  MultiStepLR: 'milestones {gamma lastEpoch}',
  ExponentialLR: 'gamma {lastEpoch}',
  CosineAnnealingLR: 'T_max=tMax {etaMin lastEpoch}',
  LinearLR: '{startFactor endFactor totalIters lastEpoch}',
  OneCycleLR:
    'maxLr {totalSteps epochs stepsPerEpoch pctStart annealStrategy cycleMomentum baseMomentum maxMomentum divFactor finalDivFactor threePhase lastEpoch}',
  ConstantLR: '{factor totalIters lastEpoch}',
  PolynomialLR: '{totalIters power lastEpoch}',
  CosineAnnealingWarmRestarts: 'T_0=t0 {T_mult=tMult etaMin lastEpoch}',
  CyclicLR:
    'baseLr maxLr {stepSizeUp stepSizeDown mode gamma scaleMode cycleMomentum baseMomentum maxMomentum lastEpoch}',
  ReduceLROnPlateau: '{mode factor patience threshold thresholdMode cooldown minLr eps}',
};
export const initSignatures: Record<string, string> = {
  uniform_: 'x a b',
  normal_: 'x mean std',
  trunc_normal_: 'x mean std a b',
  constant_: 'x val=value',
  ones_: 'x',
  zeros_: 'x',
  eye_: 'x',
  dirac_: 'x groups',
  sparse_: 'x sparsity std',
  orthogonal_: 'x {gain}',
  xavier_uniform_: 'x {gain}',
  xavier_normal_: 'x {gain}',
  kaiming_uniform_: 'x {a mode nonlinearity}',
  kaiming_normal_: 'x {a mode nonlinearity}',
};

/**
 * Names that mean another thing here: `trace` tells which kernels ran, PyTorch's adds up a diagonal; `unfold` is that
 * of `nn.functional`, PyTorch has a view of this name besides.
 */
export const otherThings: ReadonlySet<string> = new Set(['trace', 'unfold']);

/** Functions that the library seems to have under PyTorch's name, but that have no row: nothing is skipped silently. */
export const namesWithoutRow = (names: readonly string[]): string[] =>
  names.filter((torch) => {
    const name = camel(torch.replace('nn.functional.', '').split('.')[0]);
    return (
      !functionRows.has(torch) && !otherThings.has(torch) && (name in root || name in functional || name in methods)
    );
  });
