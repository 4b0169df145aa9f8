// The cases: at least one for every op of the registry; those of elementwise operations are made of their rows. Python
// forms are read by test/golden/op_golden.py.

import { glu, prelu, softmin } from '../../src/ops/activation.ts';
import { joinHeads, scaledDotProductAttention, splitHeads } from '../../src/ops/attention.ts';
import * as br from '../../src/ops/brackets.ts';
import * as broadcast from '../../src/ops/broadcast.ts';
import * as conv from '../../src/ops/conv.ts';
import { cast, clone, toFormat } from '../../src/ops/convert.ts';
import * as distance from '../../src/ops/distance.ts';
import * as el from '../../src/ops/elementwise.ts';
import { embedding } from '../../src/ops/embedding.ts';
import { fold, unfold } from '../../src/ops/fold.ts';
import { affineGrid, type GridSampleOptions, gridSample } from '../../src/ops/grid_sample.ts';
import * as idx from '../../src/ops/indexing.ts';
import { bilinear, linear } from '../../src/ops/linear.ts';
import * as loss from '../../src/ops/loss.ts';
import { lpPool1d, lpPool2d, lpPool3d } from '../../src/ops/lp_pool.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { maxUnpool1d, maxUnpool2d, maxUnpool3d } from '../../src/ops/max_unpool.ts';
import * as batchNorm from '../../src/ops/norm/batch_norm.ts';
import { batchNormGiven } from '../../src/ops/norm/batch_norm_given.ts';
import { batchNormOfParts } from '../../src/ops/norm/ghost_batch_norm.ts';
import { groupNorm } from '../../src/ops/norm/group_norm.ts';
import { inPlaceAbn } from '../../src/ops/norm/in_place_abn.ts';
import { instanceNorm } from '../../src/ops/norm/instance_norm.ts';
import { layerNorm, rmsNorm } from '../../src/ops/norm/layer_norm.ts';
import { crossMapLRN2d, localResponseNorm } from '../../src/ops/norm/local_response_norm.ts';
import { syncBatchNorm } from '../../src/ops/norm/sync_batch_norm.ts';
import { pad } from '../../src/ops/pad.ts';
import * as pool from '../../src/ops/pool.ts';
import { gatesOf, recurrent } from '../../src/ops/recurrent.ts';
import * as red from '../../src/ops/reduce.ts';
import { type InterpolateOptions, interpolate } from '../../src/ops/resample.ts';
import * as sh from '../../src/ops/shape_ops.ts';
import { channelShuffle, pixelShuffle, pixelUnshuffle } from '../../src/ops/shuffle.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { mirror } from '../support/fake_group.ts';
import { binaryRows } from './binary.ts';
import type { Case, Input } from './case.ts';
import { tensorFunctions } from './tensor_functions.ts';
import { unaryRows } from './unary.ts';

const m = (shape: number[], extra: Partial<Input> = {}): Input => ({ shape, ...extra });
const positive = { low: 0.3, high: 3 };

const unary: Case[] = unaryRows.flatMap(([op, { case: row }]) => {
  if (!row) return [];
  const [torch, run, range, tolerance] = row;
  return [{ ops: [op], name: op, inputs: [m([3, 2, 5, 7], range)], run, torch, tolerance }];
});

const shapes: [string, number[], number[]][] = [
  ['same shape', [4, 3, 5], [4, 3, 5]],
  ['row', [4, 3, 5], [5]],
  ['column', [4, 3, 5], [3, 1]],
  ['both ways', [4, 1, 5], [3, 1]],
  ['per channel', [2, 3, 4, 5], [1, 3, 1, 1]],
  ['scalar', [3, 4], []],
];
const binary: Case[] = binaryRows.flatMap(([op, { case: row }]) => {
  if (!row) return [];
  const [torch, run, range] = row;
  return shapes.map(([kind, a, b]) => ({
    ops: [op],
    name: `${op}, ${kind}`,
    inputs: [m(a, range), m(b, range)],
    run: run as Case['run'],
    torch,
  }));
});
const withNumbers: Case[] = [
  { ops: ['sub'], name: 'number − tensor', inputs: [m([3, 4])], run: (a) => el.sub(2, a), torch: '2 - a' },
  { ops: ['div'], name: 'number / tensor', inputs: [m([3, 4], positive)], run: (a) => el.div(2, a), torch: '2 / a' },
  {
    ops: ['pow'],
    name: 'tensor ** number',
    inputs: [m([3, 4], positive)],
    run: (a) => el.pow(a, 2.5),
    torch: 'a ** 2.5',
  },
  { ops: ['pow'], name: 'number ** tensor', inputs: [m([3, 4])], run: (a) => el.pow(2.5, a), torch: '2.5 ** a' },
  { ops: ['pow'], name: 'cube of negative numbers', inputs: [m([3, 4])], run: (a) => el.pow(a, 3), torch: 'a ** 3' },
  {
    ops: ['where'],
    name: 'where',
    inputs: [m([3, 4], { bool: true }), m([3, 4]), m([4])],
    run: (a, b, c) => el.where(a, b, c),
    torch: 't.where(a, b, c)',
  },
  {
    ops: ['where'],
    name: 'maskedFill',
    inputs: [m([3, 4]), m([3, 4], { bool: true })],
    run: (a, b) => idx.maskedFill(a, b, 7),
    torch: 'a.masked_fill(b, 7)',
  },
];

type ReduceRow = [op: string, run: (x: Tensor) => Tensor | Tensor[], torch: string];
const reduceRows: ReduceRow[] = [
  ['sum', (x) => red.sum(x), 'a.sum()'],
  ['sum', (x) => red.sum(x, 1), 'a.sum(1)'],
  ['sum', (x) => red.sum(x, [0, 2, 3], { keepdim: true }), 'a.sum((0, 2, 3), keepdim=True)'],
  ['sum', (x) => red.sum(x, [0, 2]), 'a.sum((0, 2))'],
  ['sum', (x) => red.mean(x, [-1, 0]), 'a.mean((-1, 0))'],
  ['prod', (x) => red.prod(x, 1), 'a.prod(1)'],
  ['prod', (x) => red.prod(sh.reshape(x, [-1]).narrow(0, 0, 6)), 'a.reshape(-1)[:6].prod()'],
  ['var', (x) => red.variance(x), 'a.var()'],
  ['var', (x) => red.variance(x, [0, 2, 3], { correction: 0 }), 'a.var((0, 2, 3), correction=0)'],
  ['var', (x) => red.variance(x, 1, { keepdim: true }), 'a.var(1, keepdim=True)'],
  ['amax', (x) => red.amax(x, [1, 3]), 'a.amax((1, 3))'],
  ['amin', (x) => red.amin(x), 'a.min()'],
  ['extremum', (x) => red.max(x, 2).values, 'a.max(2).values'],
  ['extremum', (x) => red.min(x, 0, { keepdim: true }).values, 'a.min(0, keepdim=True).values'],
  ['cumsum', (x) => red.cumsum(x, 2), 'a.cumsum(2)'],
  ['topk', (x) => red.topk(x, 2, 1).values, 'a.topk(2, 1).values'],
  ['topk', (x) => red.sort(x, -1).values, 'a.sort(-1).values'],
  ['softmax', (x) => red.softmax(x, 1), 'a.softmax(1)'],
  ['softmax', (x) => red.logSoftmax(x, -1), 'a.log_softmax(-1)'],
];
const reduce: Case[] = reduceRows.map(([op, run, torch]) => ({
  ops: [op],
  name: torch,
  inputs: [m([3, 4, 2, 5], { distinct: true })],
  run,
  torch,
}));

const shapeRows: ReduceRow[] = [
  ['reshape', (x) => sh.reshape(x, [4, -1]), 'a.reshape(4, -1)'],
  ['permute', (x) => sh.permute(x, [2, 0, 3, 1]), 'a.permute(2, 0, 3, 1)'],
  ['permute', (x) => sh.transpose(x, 0, -1), 'a.transpose(0, -1)'],
  ['expand', (x) => broadcast.expand(sh.narrow(x, 1, 0, 1), [2, 3, 6, 2, 5]), 'a[:, :1].expand(2, 3, 6, 2, 5)'],
  ['expand', (x) => broadcast.repeat(x, [2, 1, 1, 3, 1]), 'a.repeat(2, 1, 1, 3, 1)'],
  ['slice', (x) => sh.slice(x, 3, 1, 5, 2), 'a[..., 1:5:2]'],
  ['embed', (x) => sh.narrow(x, 1, 1, 2), 'a[:, 1:3]'],
  ['slice', (x) => sh.select(x, 1, -2), 'a[:, -2]'],
  ['slice', (x) => sh.flip(x, [1, 3]), 'a.flip(1, 3)'],
  ['slice', (x) => br.index(x, '...', { start: 1 }, null, 0), 'a[..., 1:, None, 0]'],
  ['pad', (x) => pad(x, [1, 2, 0, 1], { value: 3 }), 'F.pad(a, (1, 2, 0, 1), value=3)'],
  ['pad', (x) => pad(x, [-1, 2]), 'F.pad(a, (-1, 2))'],
  ['pad', (x) => pad(x, [1, 0, -1, 2, 2, 1, 0, 3]), 'F.pad(a, (1, 0, -1, 2, 2, 1, 0, 3))'],
  ['padBackward', (x) => pad(x, [3, 4, 1, 0], { mode: 'reflect' }), 'F.pad(a, (3, 4, 1, 0), "reflect")'],
  ['padBackward', (x) => pad(x, [3, -2, 0, 2], { mode: 'replicate' }), 'F.pad(a, (3, -2, 0, 2), "replicate")'],
  ['padBackward', (x) => pad(x, [5, 4, -1, 1], { mode: 'circular' }), 'F.pad(a, (5, 4, -1, 1), "circular")'],
  ['cat', (x) => sh.cat([x, el.mul(x, 2)], 1), 't.cat([a, a * 2], 1)'],
  ['cat', (x) => sh.stack([x, el.neg(x)], -1), 't.stack([a, -a], -1)'],
  ['slice', (x) => sh.split(x, 2, 1)[1], 'a.split(2, 1)[1]'],
  ['contiguous', (x) => el.mul(toFormat(x, 'channelsLast'), x), 'a * a'],
  ['clone', (x) => clone(x), 'a.clone()'],
];
const shape: Case[] = shapeRows.map(([op, run, torch]) => ({
  ops: [op],
  name: torch,
  inputs: [m([3, 4, 2, 5])],
  run,
  torch,
}));

const index: Case[] = [
  {
    ops: ['indexSelect'],
    name: 'indexSelect',
    inputs: [m([3, 4, 2]), m([5], { integer: true, high: 4 })],
    run: (a, b) => idx.indexSelect(a, 1, b),
    torch: 'a.index_select(1, b)',
  },
  {
    ops: ['indexAdd'],
    name: 'indexAdd',
    inputs: [m([3, 4]), m([5], { integer: true, high: 4 }), m([3, 5])],
    run: (a, b, c) => idx.indexAdd(a, 1, b, c),
    torch: 'a.index_add(1, b, c)',
  },
  {
    ops: ['gather'],
    name: 'gather',
    inputs: [m([3, 4, 2]), m([3, 6, 2], { integer: true, high: 4 })],
    run: (a, b) => idx.gather(a, 1, b),
    torch: 'a.gather(1, b)',
  },
  {
    ops: ['scatterAdd'],
    name: 'scatterAdd',
    inputs: [m([3, 4]), m([3, 6], { integer: true, high: 4 }), m([3, 6])],
    run: (a, b, c) => idx.scatterAdd(a, 1, b, c),
    torch: 'a.scatter_add(1, b, c)',
  },
  {
    ops: ['indexSelect', 'stopRow'],
    name: 'embedding',
    inputs: [m([2, 3], { integer: true, high: 5 }), m([5, 4])],
    run: (a, b) => embedding(a, b, { paddingIdx: 1 }),
    torch: 'F.embedding(a, b, 1)',
    noDifferences: 'the row of paddingIdx is used but not learned',
  },
  {
    ops: ['indexSelect'],
    name: 'gather, smaller index',
    inputs: [m([3, 4, 2]), m([2, 6, 1], { integer: true, high: 4 })],
    run: (a, b) => idx.gather(a, 1, b),
    torch: 'a.gather(1, b)',
  },
  {
    ops: ['indexAdd'],
    name: 'scatterAdd, smaller index',
    inputs: [m([3, 4]), m([2, 6], { integer: true, high: 4 }), m([3, 7])],
    run: (a, b, c) => idx.scatterAdd(a, 1, b, c),
    // PyTorch's backward fails where the source is larger than the index.
    torch: 'a.scatter_add(1, b, c[:2, :6])',
  },
  {
    ops: ['indexPut'],
    name: 'scatter',
    inputs: [m([3, 4]), m([2, 1], { integer: true, high: 4 }), m([3, 7])],
    run: (a, b, c) => idx.scatter(a, 1, b, c),
    torch: 'a.scatter(1, b, c[:2, :1])',
  },
  {
    ops: ['indexPut'],
    name: 'indexCopy',
    inputs: [m([3, 5, 2]), m([2], { integer: true, high: 5 }), m([3, 2, 2])],
    run: (a, b, c) => idx.indexCopy(a, 1, b, c),
    torch: 'a.index_copy(1, b, c)',
  },
  {
    ops: ['indexPut'],
    name: 'indexFill',
    inputs: [m([3, 5, 2]), m([2], { integer: true, high: 5 }), m([])],
    run: (a, b, c) => idx.indexFill(a, 1, b, c),
    torch: 'a.index_fill(1, b, c)',
  },
  {
    ops: ['gather'],
    name: 'takeAlongDim',
    inputs: [m([3, 4, 2]), m([1, 6, 2], { integer: true, high: 4 })],
    run: (a, b) => idx.takeAlongDim(a, b, 1),
    torch: 'a.take_along_dim(b, 1)',
  },
  {
    ops: ['indexSelect'],
    name: 'maskedSelect',
    inputs: [m([3, 4, 2]), m([4, 1], { bool: true })],
    run: (a, b) => idx.maskedSelect(a, b),
    torch: 'a.masked_select(b)',
  },
  {
    ops: ['indexPut'],
    name: 'maskedScatter',
    inputs: [m([3, 4, 2]), m([4, 1], { bool: true }), m([5, 6])],
    run: (a, b, c) => idx.maskedScatter(a, b, c),
    torch: 'a.masked_scatter(b, c)',
  },
  {
    ops: ['indexSelect'],
    name: 'index, tensors side by side',
    inputs: [m([3, 4, 5, 2]), m([3, 1], { integer: true, high: 4 }), m([2], { integer: true, high: 5 })],
    run: (a, b, c) => br.index(a, '1:', b, c),
    torch: 'a[1:, b, c]',
  },
  {
    ops: ['indexSelect'],
    name: 'index, tensors apart',
    inputs: [m([3, 4, 5, 2]), m([3, 1], { integer: true, high: 4 }), m([2], { integer: true, high: 2 })],
    run: (a, b, c) => br.index(a, ':', b, '::2', c),
    torch: 'a[:, b, ::2, c]',
  },
  {
    ops: ['indexSelect'],
    name: 'index, mask beside a tensor',
    inputs: [m([3, 2, 4, 5]), m([3, 2], { bool: true }), m([1], { integer: true, high: 5 })],
    run: (a, b, c) => br.index(a, b, ':', c),
    torch: 'a[b, :, c]',
  },
  {
    ops: ['replace'],
    name: 'setIndex, slices',
    inputs: [m([3, 4, 2]), m([2, 1])],
    run: (a, b) => br.setIndex(clone(a), ['1:', '::3'], b),
    torch: '(lambda x: (x.__setitem__((slice(1, None), slice(None, None, 3)), b), x)[1])(a.clone())',
  },
  {
    ops: ['replace', 'indexPut'],
    name: 'setIndex, tensors and slices',
    inputs: [m([3, 4, 5]), m([3], { integer: true, high: 4 }), m([2, 1])],
    run: (a, b, c) => br.setIndex(clone(a), ['1:', b, 0], br.index(c, ':', [0, 0, 0])),
    torch: '(lambda x: (x.__setitem__((slice(1, None), b, 0), c[:, [0, 0, 0]]), x)[1])(a.clone())',
  },
  {
    ops: ['indexAdd'],
    name: 'setIndex, accumulated',
    inputs: [m([3, 4, 5]), m([6], { integer: true, high: 3 }), m([6, 1, 5])],
    run: (a, b, c) => br.setIndex(clone(a), b, c, { accumulate: true }),
    torch: 'a.clone().index_put((b,), c, accumulate=True)',
  },
];

const products: Case[] = [
  {
    ops: ['matmul'],
    name: 'matrix · matrix',
    inputs: [m([5, 7]), m([7, 3])],
    run: matmul as Case['run'],
    torch: 'a @ b',
  },
  { ops: ['matmul'], name: 'vector · vector', inputs: [m([7]), m([7])], run: matmul as Case['run'], torch: 'a @ b' },
  { ops: ['matmul'], name: 'matrix · vector', inputs: [m([4, 7]), m([7])], run: matmul as Case['run'], torch: 'a @ b' },
  {
    ops: ['matmul'],
    name: 'batch · matrix',
    inputs: [m([2, 3, 4, 5]), m([5, 6])],
    run: matmul as Case['run'],
    torch: 'a @ b',
  },
  {
    ops: ['matmul'],
    name: 'batches that broadcast',
    inputs: [m([2, 1, 4, 5]), m([3, 5, 2])],
    run: matmul as Case['run'],
    torch: 'a @ b',
  },
  {
    ops: ['linear'],
    name: 'linear',
    inputs: [m([2, 3, 5]), m([4, 5]), m([4])],
    run: linear as Case['run'],
    torch: 'F.linear(a, b, c)',
  },
  {
    ops: ['matmul'],
    name: 'bilinear',
    inputs: [m([2, 3, 5]), m([2, 3, 4]), m([3, 5, 4]), m([3])],
    run: bilinear as Case['run'],
    torch: 'F.bilinear(a, b, c, d)',
  },
  {
    ops: ['matmul', 'softmax'],
    name: 'attention with a mask to add',
    inputs: [m([2, 3, 4, 5]), m([2, 1, 6, 5]), m([2, 1, 6, 2]), m([4, 6])],
    run: (a, b, c, d) => scaledDotProductAttention(a, b, c, { attnMask: d, scale: 0.3 }),
    torch: 'F.scaled_dot_product_attention(a, b, c, attn_mask=d, scale=0.3)',
  },
  {
    ops: ['matmul', 'softmax'],
    name: 'attention with truth values',
    inputs: [m([2, 3, 5]), m([2, 4, 5]), m([2, 4, 2]), m([2, 3, 4], { bool: true })],
    run: (a, b, c, d) => scaledDotProductAttention(a, b, c, { attnMask: d }),
    torch: 'F.scaled_dot_product_attention(a, b, c, attn_mask=d)',
  },
  {
    ops: ['matmul', 'softmax'],
    name: 'causal attention of groups of heads',
    inputs: [m([2, 4, 3, 5]), m([2, 2, 6, 5]), m([2, 2, 6, 5])],
    run: (a, b, c) => scaledDotProductAttention(a, b, c, { isCausal: true, enableGqa: true }),
    torch: 'F.scaled_dot_product_attention(a, b, c, is_causal=True, enable_gqa=True)',
  },
  ...(['lstm', 'gru', 'tanh', 'relu'] as const).map((kind): Case => {
    const gates = gatesOf[kind];
    const name = { lstm: 'LSTM', gru: 'GRU', tanh: 'RNN', relu: 'RNN' }[kind];
    const [options, weights] = [
      kind === 'relu' ? ", nonlinearity='relu'" : '',
      "('weight_ih_l0', b), ('weight_hh_l0', c), ('bias_ih_l0', d), ('bias_hh_l0', e)",
    ];
    const state = kind === 'lstm' ? '(f[None], g[None])' : 'f[None]';
    return {
      ops: ['recurrent'],
      name: `three steps of ${kind}`,
      inputs: [
        m([3, 2, 4]),
        m([gates * 5, 4]),
        m([gates * 5, 5]),
        m([gates * 5]),
        m([gates * 5]),
        m([2, 5]),
        ...(kind === 'lstm' ? [m([2, 5])] : []),
      ],
      run: (a, b, c, d, e, h, cell) => recurrent(a, b, c, d, e, null, h, cell ?? null, { kind, reverse: false })[0],
      torch: `t.func.functional_call(t.nn.${name}(4, 5${options}).double(), dict([${weights}]), (a, ${state}))[0]`,
    };
  }),
  ...[false, true].map(
    (batchFirst): Case => ({
      ops: ['splitHeads', 'joinHeads'],
      name: `heads one after the other and back, ${batchFirst ? 'batch' : 'length'} first`,
      inputs: [m([2, 3, 24])],
      run: (a) => {
        const [length, batch] = batchFirst ? [3, 2] : [2, 3];
        const layout = { length, batch, heads: 4, width: 3, batchFirst };
        const [, second] = splitHeads(a, { ...layout, parts: 2 });
        return joinHeads([el.mul(second, second)], { ...layout, parts: 1 });
      },
      torch: 'a[..., 12:] ** 2',
    }),
  ),
];

type ConvRow = [name: string, x: number[], w: number[], options: conv.ConvOptions, torch: string];
const convRows: ConvRow[] = [
  ['plain', [2, 3, 6, 5], [4, 3, 3, 3], {}, ''],
  ['one channel, padded', [2, 1, 6, 6], [6, 1, 5, 5], { padding: 2 }, 'padding=2'],
  ['stride 2', [2, 3, 7, 8], [4, 3, 3, 2], { stride: 2, padding: 1 }, 'stride=2, padding=1'],
  ['stride larger than the kernel', [1, 2, 9, 9], [3, 2, 2, 1], { stride: [3, 2] }, 'stride=(3, 2)'],
  ['dilation', [2, 2, 8, 7], [3, 2, 3, 2], { dilation: [2, 3], padding: [1, 2] }, 'dilation=(2, 3), padding=(1, 2)'],
  ['groups', [2, 4, 5, 5], [6, 2, 3, 3], { groups: 2, padding: 1 }, 'groups=2, padding=1'],
  ['depthwise', [2, 5, 6, 6], [5, 1, 3, 3], { groups: 5, stride: 2 }, 'groups=5, stride=2'],
  ['1x1', [2, 6, 4, 4], [3, 6, 1, 1], {}, ''],
  ['same', [2, 2, 5, 6], [3, 2, 4, 3], { padding: 'same' }, "padding='same'"],
];
const pyOptions = (options: string) => (options ? `, ${options}` : '');
const convolution: Case[] = [
  ...convRows.map(([name, x, w, options, torch]) => ({
    ops: ['convolution', 'convolutionBackwardData', 'convolutionBackwardWeight'],
    name: `conv2d, ${name}`,
    inputs: [m(x), m(w), m([w[0]])],
    run: (a: Tensor, b: Tensor, c: Tensor) => conv.conv2d(a, b, c, options),
    torch: `F.conv2d(a, b, c${pyOptions(torch)})`,
  })),
  {
    ops: ['convolution'],
    name: 'conv1d',
    inputs: [m([2, 3, 9]), m([4, 3, 4]), m([4])],
    run: (a, b, c) => conv.conv1d(a, b, c, { stride: 2, padding: 1 }),
    torch: 'F.conv1d(a, b, c, stride=2, padding=1)',
  },
  {
    ops: ['convolution'],
    name: 'conv3d',
    inputs: [m([1, 2, 4, 5, 4]), m([3, 2, 2, 3, 2])],
    run: (a, b) => conv.conv3d(a, b, null, { padding: 1, stride: [1, 2, 1] }),
    torch: 'F.conv3d(a, b, None, padding=1, stride=(1, 2, 1))',
  },
  {
    ops: ['convolutionBackwardData'],
    name: 'convTranspose2d',
    inputs: [m([2, 4, 3, 4]), m([4, 3, 3, 3]), m([6])],
    run: (a, b, c) => conv.convTranspose2d(a, b, c, { stride: 2, padding: 1, outputPadding: 1, groups: 2 }),
    torch: 'F.conv_transpose2d(a, b, c, stride=2, padding=1, output_padding=1, groups=2)',
  },
  {
    ops: ['convolutionBackwardData'],
    name: 'convTranspose1d',
    inputs: [m([2, 4, 5]), m([4, 3, 3]), m([3])],
    run: (a, b, c) => conv.convTranspose1d(a, b, c, { stride: 2, padding: 1 }),
    torch: 'F.conv_transpose1d(a, b, c, stride=2, padding=1)',
  },
  {
    ops: ['convolutionBackwardData'],
    name: 'convTranspose3d',
    inputs: [m([1, 2, 2, 3, 2]), m([2, 3, 1, 2, 3]), m([3])],
    run: (a, b, c) =>
      conv.convTranspose3d(a, b, c, { stride: [1, 2, 1], dilation: [1, 2, 1], outputPadding: [0, 1, 0] }),
    torch: 'F.conv_transpose3d(a, b, c, stride=(1, 2, 1), dilation=(1, 2, 1), output_padding=(0, 1, 0))',
  },
];

const distinct = { distinct: true };
const pooling: Case[] = [
  {
    ops: ['maxPool', 'maxPoolBackward'],
    name: 'maxPool2d',
    inputs: [m([2, 3, 7, 6], distinct)],
    run: (a) => pool.maxPool2d(a, 3, { stride: 2, padding: 1 }),
    torch: 'F.max_pool2d(a, 3, 2, 1)',
  },
  {
    ops: ['maxPool'],
    name: 'maxPool2d, dilation and ceil',
    inputs: [m([2, 2, 8, 8], distinct)],
    run: (a) => pool.maxPool2d(a, 2, { dilation: 2, stride: 3, ceilMode: true }),
    torch: 'F.max_pool2d(a, 2, 3, dilation=2, ceil_mode=True)',
  },
  {
    ops: ['maxPool'],
    name: 'maxPool1d',
    inputs: [m([2, 3, 9], distinct)],
    run: (a) => pool.maxPool1d(a, 3),
    torch: 'F.max_pool1d(a, 3)',
  },
  {
    ops: ['maxPool'],
    name: 'maxPool3d',
    inputs: [m([1, 2, 3, 5, 4], distinct)],
    run: (a) => pool.maxPool3d(a, [1, 3, 2], { padding: [0, 1, 1], stride: 2 }),
    torch: 'F.max_pool3d(a, (1, 3, 2), 2, (0, 1, 1))',
  },
  {
    ops: ['maxPool'],
    name: 'adaptiveMaxPool3d',
    inputs: [m([2, 2, 3, 4, 5], distinct)],
    run: (a) => pool.adaptiveMaxPool3d(a, [2, 1, 3]),
    torch: 'F.adaptive_max_pool3d(a, (2, 1, 3))',
  },
  {
    ops: ['maxPool'],
    name: 'maxUnpool2d',
    inputs: [m([2, 2, 4, 6], distinct)],
    run: (a) => {
      const { values, indices } = pool.maxPool2dWithIndices(a, 2);
      return maxUnpool2d(values, indices, 2, { outputSize: [5, 6] });
    },
    torch: 'F.max_unpool2d(*F.max_pool2d(a, 2, return_indices=True), 2, output_size=(5, 6))',
  },
  {
    ops: ['maxPool'],
    name: 'maxUnpool1d, overlapping windows',
    inputs: [m([2, 9], distinct)],
    run: (a) => {
      const { values, indices } = pool.maxPool1dWithIndices(a, 3, { stride: 3 });
      return maxUnpool1d(values.mul(2), indices, 3);
    },
    torch: '(lambda y, i: F.max_unpool1d(y * 2, i, 3))(*F.max_pool1d(a, 3, 3, return_indices=True))',
  },
  {
    ops: ['maxPool'],
    name: 'maxUnpool3d',
    inputs: [m([1, 2, 2, 4, 2], distinct)],
    run: (a) => {
      const { values, indices } = pool.maxPool3dWithIndices(a, 2);
      return maxUnpool3d(values, indices, 2);
    },
    torch: 'F.max_unpool3d(*F.max_pool3d(a, 2, return_indices=True), 2)',
  },
  {
    ops: ['avgPool'],
    name: 'lpPool1d',
    inputs: [m([2, 3, 8], positive)],
    run: (a) => lpPool1d(a, 1.5, 3, { stride: 2 }),
    torch: 'F.lp_pool1d(a, 1.5, 3, 2)',
  },
  {
    ops: ['avgPool'],
    name: 'lpPool2d',
    inputs: [m([2, 3, 5, 7])],
    run: (a) => lpPool2d(a, 2, [2, 3], { ceilMode: true }),
    torch: 'F.lp_pool2d(a, 2, (2, 3), ceil_mode=True)',
  },
  {
    ops: ['avgPool'],
    name: 'lpPool3d',
    inputs: [m([1, 2, 3, 4, 5])],
    run: (a) => lpPool3d(a, 4, 2),
    torch: 'F.lp_pool3d(a, 4, 2)',
  },
  {
    ops: ['avgPool'],
    name: 'avgPool3d',
    inputs: [m([2, 2, 3, 5, 4])],
    run: (a) => pool.avgPool3d(a, 2, { stride: [1, 2, 1], padding: 1, countIncludePad: false }),
    torch: 'F.avg_pool3d(a, 2, (1, 2, 1), 1, False, False)',
  },
  {
    ops: ['avgPool'],
    name: 'adaptiveAvgPool3d',
    inputs: [m([1, 2, 3, 4, 5])],
    run: (a) => pool.adaptiveAvgPool3d(a, [2, null, 3]),
    torch: 'F.adaptive_avg_pool3d(a, (2, None, 3))',
  },
  {
    ops: ['maxPool'],
    name: 'adaptiveMaxPool2d',
    inputs: [m([2, 3, 7, 5], distinct)],
    run: (a) => pool.adaptiveMaxPool2d(a, [3, 2]),
    torch: 'F.adaptive_max_pool2d(a, (3, 2))',
  },
  {
    ops: ['avgPool', 'avgPoolBackward'],
    name: 'avgPool2d 2',
    inputs: [m([2, 3, 6, 8])],
    run: (a) => pool.avgPool2d(a, 2),
    torch: 'F.avg_pool2d(a, 2)',
  },
  {
    ops: ['avgPool'],
    name: 'avgPool2d, padded',
    inputs: [m([2, 3, 7, 6])],
    run: (a) => pool.avgPool2d(a, 3, { stride: 2, padding: 1, countIncludePad: false, ceilMode: true }),
    torch: 'F.avg_pool2d(a, 3, 2, 1, True, False)',
  },
  {
    ops: ['avgPool'],
    name: 'avgPool2d, divisor',
    inputs: [m([2, 3, 5, 6])],
    run: (a) => pool.avgPool2d(a, [2, 3], { padding: 1, divisorOverride: 5 }),
    torch: 'F.avg_pool2d(a, (2, 3), padding=(1, 1), divisor_override=5)',
  },
  {
    ops: ['avgPool'],
    name: 'avgPool1d',
    inputs: [m([2, 3, 9])],
    run: (a) => pool.avgPool1d(a, 4, { stride: 2 }),
    torch: 'F.avg_pool1d(a, 4, 2)',
  },
  {
    ops: ['avgPool'],
    name: 'adaptiveAvgPool2d',
    inputs: [m([2, 3, 7, 5])],
    run: (a) => pool.adaptiveAvgPool2d(a, [3, 2]),
    torch: 'F.adaptive_avg_pool2d(a, (3, 2))',
  },
];

const resized: [shape: number[], options: InterpolateOptions, torch: string][] = [
  [[2, 3, 5], { size: 9 }, 'size=9'],
  [[2, 3, 5, 4], { scaleFactor: 2 }, 'scale_factor=2'],
  [[2, 3, 5, 4], { scaleFactor: [1.7, 0.6] }, 'scale_factor=(1.7, 0.6)'],
  [[2, 2, 3, 4, 2], { size: [2, 5, 4] }, 'size=(2, 5, 4)'],
  [[2, 3, 5, 4], { scaleFactor: 1.7, mode: 'nearestExact' }, 'scale_factor=1.7, mode="nearest-exact"'],
  [[2, 3, 5], { scaleFactor: 1.7, mode: 'linear' }, 'scale_factor=1.7, mode="linear"'],
  [[2, 3, 5, 4], { scaleFactor: 2, mode: 'bilinear' }, 'scale_factor=2, mode="bilinear"'],
  [
    [2, 3, 5, 4],
    { size: [3, 7], mode: 'bilinear', alignCorners: true },
    'size=(3, 7), mode="bilinear", align_corners=True',
  ],
  [[2, 3, 9, 7], { size: [4, 3], mode: 'bilinear', antialias: true }, 'size=(4, 3), mode="bilinear", antialias=True'],
  [
    [2, 3, 9, 7],
    { size: [4, 9], mode: 'bilinear', antialias: true, alignCorners: true },
    'size=(4, 9), mode="bilinear", antialias=True, align_corners=True',
  ],
  [[2, 3, 5, 4], { size: [3, 7], mode: 'bicubic' }, 'size=(3, 7), mode="bicubic"'],
  [
    [2, 3, 5, 4],
    { size: [4, 6], mode: 'bicubic', alignCorners: true },
    'size=(4, 6), mode="bicubic", align_corners=True',
  ],
  [[2, 3, 9, 7], { size: [4, 9], mode: 'bicubic', antialias: true }, 'size=(4, 9), mode="bicubic", antialias=True'],
  [[2, 3, 9, 7], { size: [4, 9], mode: 'lanczos', antialias: true }, 'size=(4, 9), mode="lanczos", antialias=True'],
  [
    [2, 2, 3, 4, 3],
    { scaleFactor: [2, 0.7, 1.3], mode: 'trilinear', recomputeScaleFactor: true },
    'scale_factor=(2, 0.7, 1.3), mode="trilinear", recompute_scale_factor=True',
  ],
  [[2, 2, 5, 4, 3], { size: [3, 6, 2], mode: 'area' }, 'size=(3, 6, 2), mode="area"'],
];
const resizings: Case[] = resized.map(([shape, options, torch]) => ({
  ops: ['resample'],
  name: `interpolate ${shape.join('x')}, ${torch}`,
  inputs: [m(shape)],
  run: (a) => interpolate(a, options),
  torch: `F.interpolate(a, ${torch})`,
}));

const sampled: [shape: number[], grid: number[], options: GridSampleOptions, torch: string][] = [
  [[2, 3, 4, 5], [2, 3, 4, 2], {}, 'align_corners=False'],
  [
    [2, 3, 4, 5],
    [2, 3, 4, 2],
    { alignCorners: true, paddingMode: 'border' },
    'padding_mode="border", align_corners=True',
  ],
  [[1, 2, 4, 5], [1, 6, 7, 2], { paddingMode: 'reflection' }, 'padding_mode="reflection", align_corners=False'],
  [[2, 3, 4, 5], [2, 3, 4, 2], { mode: 'nearest' }, 'mode="nearest", align_corners=False'],
  [
    [2, 3, 4, 5],
    [2, 3, 2, 2],
    { mode: 'nearest', paddingMode: 'reflection', alignCorners: true },
    'mode="nearest", padding_mode="reflection", align_corners=True',
  ],
  [[2, 3, 4, 5], [2, 3, 4, 2], { mode: 'bicubic' }, 'mode="bicubic", align_corners=False'],
  [
    [2, 2, 4, 5],
    [2, 3, 2, 2],
    { mode: 'bicubic', paddingMode: 'border' },
    'mode="bicubic", padding_mode="border", align_corners=False',
  ],
  [
    [1, 2, 4, 5],
    [1, 3, 3, 2],
    { mode: 'bicubic', paddingMode: 'reflection', alignCorners: true },
    'mode="bicubic", padding_mode="reflection", align_corners=True',
  ],
  [[2, 2, 3, 4, 5], [2, 2, 3, 2, 3], {}, 'align_corners=False'],
  [
    [1, 3, 3, 4, 5],
    [1, 2, 3, 2, 3],
    { paddingMode: 'reflection', alignCorners: true },
    'padding_mode="reflection", align_corners=True',
  ],
  [
    [1, 2, 3, 4, 5],
    [1, 2, 3, 2, 3],
    { mode: 'nearest', paddingMode: 'border' },
    'mode="nearest", padding_mode="border", align_corners=False',
  ],
];
const samplings: Case[] = [
  ...sampled.map(
    ([shape, grid, options, torch]): Case => ({
      ops: ['gridSample'],
      name: `gridSample ${shape.join('x')} at ${grid.join('x')}, ${torch}`,
      // Some places lie outside.
      inputs: [m(shape), m(grid, { low: -1.3, high: 1.3 })],
      run: (a, b) => gridSample(a, b, options),
      torch: `F.grid_sample(a, b, ${torch})`,
    }),
  ),
  ...(
    [
      [[2, 2, 3], [2, 3, 4, 5], false],
      [[2, 2, 3], [2, 3, 4, 1], true],
      [[2, 3, 4], [2, 1, 3, 4, 5], false],
      [[1, 3, 4], [1, 1, 3, 4, 5], true],
    ] as [number[], number[], boolean][]
  ).map(
    ([shape, size, alignCorners]): Case => ({
      ops: ['matmul'],
      name: `affineGrid ${size.join('x')}${alignCorners ? ', aligned' : ''}`,
      inputs: [m(shape)],
      run: (a) => affineGrid(a, size, { alignCorners }),
      torch: `F.affine_grid(a, (${size}), align_corners=${alignCorners ? 'True' : 'False'})`,
    }),
  ),
];

const gates: Case[] = (
  [
    ['prelu', [[2, 3, 4, 5], [3]], (a, b) => prelu(a, b), 'F.prelu(a, b)'],
    ['prelu', [[4, 3], [1]], (a, b) => prelu(a, b), 'F.prelu(a, b)'],
    ['prelu', [[5], []], (a, b) => prelu(a, b), 'F.prelu(a, b)'],
    ['glu', [[2, 6, 3, 2]], (a) => glu(a, 1), 'F.glu(a, 1)'],
    ['glu', [[3, 8]], (a) => glu(a), 'F.glu(a)'],
    ['softmin', [[3, 5]], (a) => softmin(a, 1), 'F.softmin(a, 1)'],
  ] as [string, number[][], (a: Tensor, b: Tensor) => Tensor, string][]
).map(([op, shapes, run, torch]) => ({
  ops: op === 'prelu' ? [op] : [],
  name: `${torch} of ${shapes.map((shape) => shape.join('x')).join(', ')}`,
  inputs: shapes.map((shape) => m(shape)),
  run,
  torch,
}));

const windows: Case[] = (
  [
    [[2, 3, 5, 6], (a) => unfold(a, 2), 'F.unfold(a, 2)'],
    [
      [2, 2, 7, 6],
      (a) => unfold(a, [2, 3], { dilation: [2, 1], padding: [1, 2], stride: [2, 3] }),
      'F.unfold(a, (2, 3), dilation=(2, 1), padding=(1, 2), stride=(2, 3))',
    ],
    [[2, 12, 12], (a) => fold(a, [4, 5], 2), 'F.fold(a, (4, 5), 2)'],
    [
      [12, 12],
      (a) => fold(a, [7, 6], [2, 3], { dilation: [2, 1], padding: [1, 2], stride: [2, 3] }),
      'F.fold(a, (7, 6), (2, 3), dilation=(2, 1), padding=(1, 2), stride=(2, 3))',
    ],
  ] as [number[], (a: Tensor) => Tensor, string][]
).map(([shape, run, torch]) => ({
  ops: ['fold'],
  name: `${torch} of ${shape.join('x')}`,
  inputs: [m(shape)],
  run,
  torch,
}));

const shuffles: Case[] = (
  [
    [[2, 12, 3, 2], (a) => pixelShuffle(a, 2), 'F.pixel_shuffle(a, 2)'],
    [[2, 2, 9, 2, 3], (a) => pixelShuffle(a, 3), 'F.pixel_shuffle(a, 3)'],
    [[2, 3, 4, 6], (a) => pixelUnshuffle(a, 2), 'F.pixel_unshuffle(a, 2)'],
    [[2, 6, 3, 2], (a) => channelShuffle(a, 3), 'F.channel_shuffle(a, 3)'],
    [[2, 4, 5], (a) => channelShuffle(a, 2), 'F.channel_shuffle(a, 2)'],
  ] as [number[], (a: Tensor) => Tensor, string][]
).map(([shape, run, torch]) => ({
  ops: ['shuffle'],
  name: `${torch} of ${shape.join('x')}`,
  inputs: [m(shape)],
  run,
  torch,
}));

const normShapes: [string, number[]][] = [
  ['(N, C)', [6, 3]],
  ['(N, C, L)', [3, 4, 5]],
  ['(N, C, H, W)', [3, 5, 4, 3]],
  ['(N, C, D, H, W)', [2, 3, 2, 3, 2]],
];
const norms: Case[] = normShapes.flatMap(([name, x]) => [
  {
    ops: ['batchNorm'],
    name: `batchNorm in training, ${name}`,
    inputs: [m(x), m([x[1]]), m([x[1]])],
    run: (a: Tensor, weight: Tensor, bias: Tensor) =>
      batchNorm.batchNorm(a, null, null, { weight, bias, training: true, eps: 1e-3 }),
    torch: 'F.batch_norm(a, None, None, b, c, True, 0.1, 1e-3)',
  },
  {
    ops: ['batchNormEval'],
    name: `batchNorm in evaluation, ${name}`,
    inputs: [m(x), m([x[1]]), m([x[1]]), m([x[1]], { constant: true }), m([x[1]], { constant: true, ...positive })],
    run: (a: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) =>
      batchNorm.batchNorm(a, mean, variance, { weight, bias }),
    torch: 'F.batch_norm(a, d, e, b, c, False)',
  },
  {
    ops: ['batchNorm'],
    name: `batchNorm with ReLU in training, ${name}`,
    inputs: [m(x), m([x[1]]), m([x[1]])],
    run: (a: Tensor, weight: Tensor, bias: Tensor) =>
      batchNorm.batchNorm(a, null, null, { weight, bias, training: true, eps: 1e-3, relu: true }),
    torch: 'F.relu(F.batch_norm(a, None, None, b, c, True, 0.1, 1e-3))',
  },
  {
    ops: ['batchNormEval'],
    name: `batchNorm with ReLU in evaluation, ${name}`,
    inputs: [m(x), m([x[1]]), m([x[1]]), m([x[1]], { constant: true }), m([x[1]], { constant: true, ...positive })],
    run: (a: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) =>
      batchNorm.batchNorm(a, mean, variance, { weight, bias, relu: true }),
    torch: 'F.relu(F.batch_norm(a, d, e, b, c, False))',
  },
  {
    ops: ['batchNormGiven'],
    name: `batchNorm by given statistics, ${name}`,
    inputs: [m(x), m([x[1]]), m([x[1]], { low: 3, high: 9 }), m([x[1]]), m([x[1]])],
    run: (a: Tensor, mean: Tensor, m2: Tensor, weight: Tensor, bias: Tensor) =>
      batchNormGiven(a, cast(mean, 'float64'), cast(m2, 'float64'), 7, weight, bias, 1e-3),
  },
  {
    ops: ['inPlaceAbn'],
    name: `inPlaceAbn, ${name}`,
    // A weight away from 0, so that the output tells the input; the op sees it negative, and uses its size.
    inputs: [m(x), m([x[1]], { low: 0.5, high: 1.5 }), m([x[1]])],
    run: (a: Tensor, weight: Tensor, bias: Tensor) => {
      const options = { weight: el.mul(weight, -1), bias, training: true, activationParam: 0.2 };
      return inPlaceAbn(clone(a), null, null, options);
    },
    torch: 'F.leaky_relu(F.batch_norm(a, None, None, b + 1e-5, c, True), 0.2)',
    tolerance: [1e-10, 'x is told from the output through two divisions and a subtraction'],
    noDifferences: 'there is no second derivative; those of the first are in test/nn/in_place_abn.test.ts',
  },
]);

// eps keeps rows of two values from being all but ±1, where differences see nothing.
const eps = 0.1;
const partlyAffine: [name: string, run: Case['run'], torch: string, parameter?: number][] = [
  ['groupNorm alone', (a) => groupNorm(a, 2, { eps }), `F.group_norm(a, 2, eps=${eps})`],
  // PyTorch 2.13 fails in the backward of a group norm with a bias only.
  [
    'groupNorm, bias only',
    (a, bias) => groupNorm(a, 2, { bias, eps }),
    `F.group_norm(a, 2, eps=${eps}) + b[:, None]`,
    4,
  ],
  ['layerNorm alone', (a) => layerNorm(a, [4, 5], { eps }), `F.layer_norm(a, [4, 5], eps=${eps})`],
  [
    'layerNorm, bias only',
    (a, bias) => layerNorm(a, [5], { bias, eps }),
    `F.layer_norm(a, [5], bias=b, eps=${eps})`,
    5,
  ],
  ['rmsNorm alone', (a) => rmsNorm(a, [5], { eps }), `F.rms_norm(a, [5], eps=${eps})`],
  ['instanceNorm alone', (a) => instanceNorm(a, { eps }), `F.instance_norm(a, eps=${eps})`],
  [
    'instanceNorm, weight only',
    (a, weight) => instanceNorm(a, { weight, eps }),
    `F.instance_norm(a, weight=b, eps=${eps})`,
    4,
  ],
];
const rowNorms: Case[] = [
  ...[[6, 4], ...normShapes.slice(1).map(([, x]) => x)].flatMap((x): Case[] => {
    const channels = m([x[1]]);
    const groups = x[1] % 2 === 0 ? 2 : 1;
    const trailing = x.slice(x.length > 3 ? 2 : -1);
    const shape = `(${x.join(', ')})`;
    return [
      {
        ops: ['rowNorm'],
        name: `groupNorm of ${shape}`,
        inputs: [m(x), channels, channels],
        run: (a, weight, bias) => groupNorm(a, groups, { weight, bias, eps }),
        torch: `F.group_norm(a, ${groups}, b, c, ${eps})`,
      },
      {
        ops: ['rowNorm'],
        name: `layerNorm of ${shape}`,
        inputs: [m(x), m(trailing), m(trailing)],
        run: (a, weight, bias) => layerNorm(a, trailing, { weight, bias, eps }),
        torch: `F.layer_norm(a, [${trailing}], b, c, ${eps})`,
      },
      {
        ops: ['rowNorm'],
        name: `rmsNorm of ${shape}`,
        inputs: [m(x), m(trailing)],
        run: (a, weight) => rmsNorm(a, trailing, { weight, eps }),
        torch: `F.rms_norm(a, [${trailing}], b, ${eps})`,
      },
    ];
  }),
  ...normShapes.slice(1).flatMap(([, x]): Case[] => {
    const channels = m([x[1]]);
    const constant = m([x[1]], { constant: true });
    const variance = m([x[1]], { constant: true, ...positive });
    const shape = `(${x.join(', ')})`;
    return [
      {
        ops: ['rowNorm'],
        name: `instanceNorm of ${shape}`,
        inputs: [m(x), channels, channels],
        run: (a, weight, bias) => instanceNorm(a, { weight, bias, eps }),
        torch: `F.instance_norm(a, None, None, b, c, True, 0.1, ${eps})`,
      },
      {
        ops: ['batchNormEval'],
        name: `instanceNorm of ${shape} by running statistics`,
        inputs: [m(x), channels, channels, constant, variance],
        run: (a, weight, bias, runningMean, runningVar) =>
          instanceNorm(a, { weight, bias, runningMean, runningVar, useInputStats: false }),
        torch: 'F.instance_norm(a, d, e, b, c, False)',
      },
      ...[2, 5].map((size) => ({
        ops: ['avgPool'],
        name: `localResponseNorm of ${shape}, size ${size}`,
        inputs: [m(x)],
        run: (a: Tensor) => localResponseNorm(a, size, { alpha: 0.5, beta: 0.6, k: 1.5 }),
        torch: `F.local_response_norm(a, ${size}, 0.5, 0.6, 1.5)`,
      })),
    ];
  }),
  ...partlyAffine.map(
    ([name, run, torch, parameter]): Case => ({
      ops: ['rowNorm'],
      name,
      inputs: [m([3, 4, 5]), ...(parameter ? [m([parameter])] : [])],
      run,
      torch,
    }),
  ),
  {
    ops: ['partsOfRows', 'rowsOfParts', 'rowNorm'],
    name: 'batchNormOfParts',
    inputs: [m([6, 4]), m([4]), m([4])],
    run: (a, weight, bias) => batchNormOfParts(a, 3, weight, bias, eps).y,
    torch: `t.cat([F.batch_norm(part, None, None, b, c, True, 0.1, ${eps}) for part in a.chunk(2)])`,
  },
  {
    // PyTorch's gradient is that of another formula.
    ops: ['avgPool'],
    name: 'crossMapLRN2d',
    inputs: [m([2, 5, 2, 3])],
    run: (a) => crossMapLRN2d(a, 3, { alpha: 0.5, beta: 0.6, k: 1.5 }),
  },
  ...normShapes.map(
    ([name, x]): Case => ({
      // Two ranks with the same batch have its statistics.
      ops: ['syncBatchNorm', 'allReduceSum'],
      name: `syncBatchNorm, ${name}`,
      inputs: [m(x), m([x[1]]), m([x[1]])],
      run: (a, weight, bias) => syncBatchNorm(a, null, null, mirror, { weight, bias, eps: 1e-3 }),
      torch: 'F.batch_norm(a, None, None, b, c, True, 0.1, 1e-3)',
    }),
  ),
  {
    ops: ['syncBatchNorm'],
    name: 'syncBatchNorm with a ReLU',
    inputs: [m([3, 4, 5]), m([4]), m([4])],
    run: (a, weight, bias) => syncBatchNorm(a, null, null, mirror, { weight, bias, eps: 1e-3, relu: true }),
    torch: 'F.batch_norm(a, None, None, b, c, True, 0.1, 1e-3).relu()',
  },
];

const labels = (shape: number[], classes: number): Input => ({ shape, integer: true, high: classes });
const inside = { low: 0.05, high: 0.95 };
const unit = { ...inside, constant: true };
const losses: Case[] = [
  {
    ops: ['softmax'],
    name: 'crossEntropy',
    inputs: [m([5, 4]), labels([5], 4)],
    run: (a, b) => loss.crossEntropy(a, b),
    torch: 'F.cross_entropy(a, b)',
  },
  {
    ops: ['gather'],
    name: 'crossEntropy, everything',
    inputs: [m([3, 4, 2]), labels([3, 2], 4), m([4], { ...positive, constant: true })],
    run: (a, b, weight) => loss.crossEntropy(a, b, { weight, labelSmoothing: 0.1, ignoreIndex: 1 }),
    torch: 'F.cross_entropy(a, b, c, label_smoothing=0.1, ignore_index=1)',
  },
  {
    ops: ['gather'],
    name: 'crossEntropy, none',
    inputs: [m([4, 3]), labels([4], 3)],
    run: (a, b) => loss.crossEntropy(a, b, { reduction: 'none', ignoreIndex: 0 }),
    torch: "F.cross_entropy(a, b, reduction='none', ignore_index=0)",
  },
  {
    ops: ['softmax'],
    name: 'crossEntropy of probabilities',
    inputs: [m([4, 3]), m([4, 3], unit)],
    run: (a, b) => loss.crossEntropy(a, b, { labelSmoothing: 0.2 }),
    torch: 'F.cross_entropy(a, b, label_smoothing=0.2)',
  },
  {
    ops: ['gather', 'constantAbove', 'constantIn'],
    name: 'nllLoss',
    inputs: [m([4, 3]), labels([4], 3), m([3], { ...positive, constant: true })],
    run: (a, b, weight) => loss.nllLoss(a, b, { weight, reduction: 'sum' }),
    torch: "F.nll_loss(a, b, c, reduction='sum')",
  },
  {
    ops: ['square'],
    name: 'mseLoss',
    inputs: [m([3, 4]), m([3, 4])],
    run: (a, b) => loss.mseLoss(a, b),
    torch: 'F.mse_loss(a, b)',
  },
  {
    ops: ['abs'],
    name: 'l1Loss',
    inputs: [m([3, 4]), m([3, 4])],
    run: (a, b) => loss.l1Loss(a, b, { reduction: 'sum' }),
    torch: "F.l1_loss(a, b, reduction='sum')",
  },
  {
    ops: ['smoothL1Loss'],
    name: 'smoothL1Loss',
    inputs: [m([3, 4]), m([3, 4])],
    run: (a, b) => loss.smoothL1Loss(a, b, { beta: 0.7 }),
    torch: 'F.smooth_l1_loss(a, b, beta=0.7)',
  },
  {
    ops: ['binaryCrossEntropyWithLogits'],
    name: 'binaryCrossEntropyWithLogits',
    inputs: [m([3, 4]), m([3, 4], unit), m([4], { ...positive, constant: true })],
    run: (a, b, posWeight) => loss.binaryCrossEntropyWithLogits(a, b, { posWeight }),
    torch: 'F.binary_cross_entropy_with_logits(a, b, pos_weight=c)',
  },
  {
    // PyTorch has no gradients of the weights.
    ops: ['binaryCrossEntropyWithLogits'],
    name: 'binaryCrossEntropyWithLogits, weights that learn',
    inputs: [m([3, 4]), m([3, 4], unit), m([4], positive), m([3, 1], positive)],
    run: (a, b, posWeight, weight) => loss.binaryCrossEntropyWithLogits(a, b, { posWeight, weight }),
  },
  {
    ops: ['huberLoss'],
    name: 'huberLoss',
    inputs: [m([3, 4]), m([3, 4])],
    run: (a, b) => loss.huberLoss(a, b, { delta: 0.7 }),
    torch: 'F.huber_loss(a, b, delta=0.7)',
  },
  {
    ops: ['logsigmoid'],
    name: 'softMarginLoss',
    inputs: [m([3, 4]), m([3, 4], { constant: true })],
    run: (a, b) => loss.softMarginLoss(a, b),
    torch: 'F.soft_margin_loss(a, b)',
  },
  {
    ops: ['binaryCrossEntropy', 'binaryCrossEntropyGradient'],
    name: 'binaryCrossEntropy',
    inputs: [m([3, 4], inside), m([3, 4], inside), m([4], { ...positive, constant: true })],
    run: (a, b, weight) => loss.binaryCrossEntropy(a, b, { weight }),
    torch: 'F.binary_cross_entropy(a, b, weight=c)',
  },
  {
    ops: ['where'],
    name: 'klDiv',
    inputs: [m([3, 4]), m([3, 4], inside)],
    run: (a, b) => loss.klDiv(a, b, { reduction: 'batchmean' }),
    torch: "F.kl_div(a, b, reduction='batchmean')",
  },
  {
    ops: ['exp'],
    name: 'klDiv of logarithms',
    inputs: [m([3, 4]), m([3, 4])],
    run: (a, b) => loss.klDiv(a, b, { reduction: 'sum', logTarget: true }),
    torch: "F.kl_div(a, b, reduction='sum', log_target=True)",
  },
  {
    ops: ['exp'],
    name: 'poissonNllLoss',
    inputs: [m([3, 4]), m([3, 4], positive)],
    run: (a, b) => loss.poissonNllLoss(a, b, { full: true }),
    torch: 'F.poisson_nll_loss(a, b, full=True)',
  },
  {
    ops: ['log'],
    name: 'poissonNllLoss of counts',
    inputs: [m([3, 4], positive), m([3, 4], positive)],
    run: (a, b) => loss.poissonNllLoss(a, b, { logInput: false, eps: 0.1, reduction: 'none' }),
    torch: "F.poisson_nll_loss(a, b, log_input=False, eps=0.1, reduction='none')",
  },
  {
    ops: ['atLeast'],
    name: 'gaussianNllLoss',
    inputs: [m([3, 4]), m([3, 4]), m([3], positive)],
    run: (a, b, c) => loss.gaussianNllLoss(a, b, c, { full: true }),
    torch: 'F.gaussian_nll_loss(a, b, c, full=True)',
  },
  {
    ops: ['ctcLoss'],
    name: 'ctcLoss',
    inputs: [m([7, 2, 4]), labels([2, 3], 3)],
    run: (a, b) => loss.ctcLoss(red.logSoftmax(a, 2), el.add(b, 1), [7, 6], [3, 2]),
    torch: 'F.ctc_loss(a.log_softmax(2), b + 1, (7, 6), (3, 2))',
    noDifferences: 'the gradient has none of its own, in PyTorch too; ctc.test.ts takes differences of first order',
  },
  {
    ops: ['relu'],
    name: 'multiMarginLoss',
    inputs: [m([5, 4]), labels([5], 4), m([4], { ...positive, constant: true })],
    run: (a, b, weight) => loss.multiMarginLoss(a, b, { p: 2, margin: 0.7, weight }),
    torch: 'F.multi_margin_loss(a, b, 2, 0.7, c)',
  },
  {
    ops: ['relu'],
    name: 'multilabelMarginLoss',
    inputs: [m([5, 4]), labels([5, 4], 4)],
    run: (a, b) => loss.multilabelMarginLoss(a, el.sub(b, 1), { reduction: 'none' }),
    torch: "F.multilabel_margin_loss(a, b - 1, reduction='none')",
  },
  {
    ops: ['logsigmoid'],
    name: 'multilabelSoftMarginLoss',
    inputs: [m([5, 4]), m([5, 4], inside), m([4], { ...positive, constant: true })],
    run: (a, b, weight) => loss.multilabelSoftMarginLoss(a, b, { weight }),
    torch: 'F.multilabel_soft_margin_loss(a, b, c)',
  },
  {
    ops: ['clamp'],
    name: 'marginRankingLoss',
    inputs: [m([3, 4]), m([3, 4]), m([3, 4])],
    run: (a, b, c) => loss.marginRankingLoss(a, b, el.sign(c), { margin: 0.3 }),
    torch: 'F.margin_ranking_loss(a, b, c.sign(), 0.3)',
  },
  {
    ops: ['where'],
    name: 'hingeEmbeddingLoss',
    inputs: [m([3, 4]), m([3, 4], { constant: true })],
    run: (a, b) => loss.hingeEmbeddingLoss(a, el.sign(b), { margin: 0.3, reduction: 'none' }),
    torch: "F.hinge_embedding_loss(a, b.sign(), 0.3, reduction='none')",
  },
  {
    ops: ['sqrt'],
    name: 'cosineEmbeddingLoss',
    inputs: [m([6, 4]), m([6, 4]), m([6], { constant: true })],
    run: (a, b, c) => loss.cosineEmbeddingLoss(a, b, el.sign(c), { margin: 0.1, reduction: 'none' }),
    torch: "F.cosine_embedding_loss(a, b, c.sign(), 0.1, reduction='none')",
  },
  ...[0.5, 1, 1.5, 2, 3, Number.POSITIVE_INFINITY].map(
    (p): Case => ({
      ops: ['norm'],
      name: `tripletMarginLoss, norm ${p}`,
      inputs: [m([5, 4]), m([5, 4]), m([5, 4])],
      run: (a, b, c) => loss.tripletMarginLoss(a, b, c, { p, margin: 1.5, swap: true }),
      torch: `F.triplet_margin_loss(a, b, c, 1.5, float('${p}'), swap=True)`,
    }),
  ),
  {
    ops: ['atLeast'],
    name: 'tripletMarginWithDistanceLoss',
    inputs: [m([5, 4, 2]), m([5, 4, 2]), m([5, 4, 2])],
    run: (a, b, c) =>
      loss.tripletMarginWithDistanceLoss(a, b, c, {
        distanceFunction: (x, y) => el.neg(distance.cosineSimilarity(x, y)),
        reduction: 'sum',
      }),
    torch:
      "F.triplet_margin_with_distance_loss(a, b, c, distance_function=lambda x, y: -F.cosine_similarity(x, y), reduction='sum')",
  },
  ...[0, Number.NEGATIVE_INFINITY].map(
    (p): Case => ({
      ops: ['norm'],
      name: `pairwiseDistance, norm ${p}`,
      inputs: [m([5, 1, 4]), m([3, 4])],
      run: (a, b) => distance.pairwiseDistance(a, b, { p, keepdim: true }),
      torch: `F.pairwise_distance(a, b, float('${p}'), keepdim=True)`,
    }),
  ),
  {
    ops: ['norm', 'atLeast'],
    name: 'cosineSimilarity',
    inputs: [m([3, 4, 2]), m([4, 1])],
    run: (a, b) => distance.cosineSimilarity(a, b),
    torch: 'F.cosine_similarity(a, b)',
  },
];

const conversion: Case[] = [
  {
    ops: ['to'],
    name: 'to float32 and back',
    inputs: [m([3, 4])],
    run: (a) => el.mul(cast(cast(a, 'float32'), 'float64'), 2),
    torch: 'a.float().double() * 2',
    tolerance: [0, 'the same rounding to float32'],
    noDifferences: 'differences of values rounded to float32 are noise',
  },
];

export const cases: readonly Case[] = [
  ...unary,
  ...binary,
  ...withNumbers,
  ...reduce,
  ...shape,
  ...index,
  ...products,
  ...convolution,
  ...pooling,
  ...resizings,
  ...samplings,
  ...gates,
  ...windows,
  ...shuffles,
  ...norms,
  ...rowNorms,
  ...losses,
  ...conversion,
  ...tensorFunctions,
];
