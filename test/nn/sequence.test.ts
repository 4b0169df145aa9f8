// Attention, transformers and recurrent layers against PyTorch (golden/sequence_golden.py): initial values bit by bit,
// results, gradients of inputs and parameters, with the same random numbers in dropout; and what they refuse.
import { describe, expect, it } from 'vitest';
import { backward, grad } from '../../src/autograd/backward.ts';
import { gradcheck, gradgradcheck } from '../../src/autograd/gradcheck.ts';
import * as nn from '../../src/nn/index.ts';
import { scaledDotProductAttention } from '../../src/ops/attention.ts';
import { fromTypedArray, ones, tensor } from '../../src/tensor/create.ts';
import type { DType } from '../../src/tensor/dtype.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { type Shape, sizeOf } from '../../src/tensor/shape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { decode, expectClose, readGolden } from '../support/golden.ts';

type Float = 'float32' | 'float64';
interface Golden {
  state: Record<string, string>;
  outputs: [number[], string][];
  inputs: [number[], string][];
  gradients: Record<string, string>;
  printed: string;
}
const golden = readGolden<Record<string, Record<Float, Golden>>>('sequence.golden.json');

const padded = (y: nn.PackedSequence, batchFirst = false): Tensor =>
  nn.padPackedSequence(y, { batchFirst, paddingValue: -1, totalLength: 6 })[0];

/** The rule of sequence_golden.py. */
const rule = (shape: Shape, seed: number, dtype: DType) =>
  fromTypedArray(
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => (((i * 37 + seed * 97) % 101) / 17 - 3) * 0.5),
    shape,
  ).to(dtype);

const truths = (rows: number[][]) => tensor(rows).to('bool');
const padding = truths([
  [0, 0, 1, 0],
  [1, 0, 0, 0],
]);
const padding3 = padding.narrow(1, 1, 3);
const causal = ones([3, 3]).triu(1).to('bool');
const across = truths([
  [0, 1, 0, 0],
  [1, 0, 0, 1],
  [0, 0, 0, 0],
]);
const blind = truths([
  [1, 1, 1],
  [0, 0, 0],
  [1, 0, 1],
]);

interface Sequence {
  make(dtype: Float): nn.Module;
  call(m: never, ...inputs: Tensor[]): unknown;
}
const of = <M extends nn.Module>(
  make: (dtype: Float) => M,
  call: (m: M, ...inputs: Tensor[]) => unknown,
): Sequence => ({
  make,
  call,
});
const cases: Record<string, Sequence> = {
  MultiheadAttention: of(
    (dtype) => new nn.MultiheadAttention(6, 2, { dtype }),
    (m, q, k, v) => m(q, k, v),
  ),
  'MultiheadAttention self': of(
    (dtype) => new nn.MultiheadAttention(6, 3, { batchFirst: true, bias: false, dtype }),
    (m, x) => m(x, x, x, { needWeights: false, attnMask: causal, isCausal: true }),
  ),
  'MultiheadAttention memory': of(
    (dtype) => new nn.MultiheadAttention(6, 2, { batchFirst: true, dtype }),
    (m, q, k) => m(q, k, k, { keyPaddingMask: padding, averageAttnWeights: false }),
  ),
  'MultiheadAttention sizes': of(
    (dtype) => new nn.MultiheadAttention(6, 2, { kdim: 3, vdim: 5, addBiasKv: true, addZeroAttn: true, dtype }),
    (m, q, k, v) => m(q, k, v, { keyPaddingMask: padding, attnMask: across }),
  ),
  'MultiheadAttention unbatched': of(
    (dtype) => new nn.MultiheadAttention(6, 2, { addBiasKv: true, batchFirst: true, dtype }),
    (m, q, k, v) => m(q, k, v, { attnMask: rule([2, 3, 4], 5, q.dtype), needWeights: false }),
  ),
  'MultiheadAttention dropout': of(
    (dtype) => new nn.MultiheadAttention(6, 2, { dropout: 0.4, dtype }),
    (m, x) => m(x, x, x),
  ),
  'MultiheadAttention blind': of(
    (dtype) => new nn.MultiheadAttention(6, 2, { dtype }),
    (m, x) => m(x, x, x, { attnMask: blind, needWeights: false }),
  ),
  TransformerEncoderLayer: of(
    (dtype) => new nn.TransformerEncoderLayer(6, 2, { dimFeedforward: 8, dropout: 0, dtype }),
    (m, x) => m(x),
  ),
  'TransformerEncoderLayer normFirst': of(
    (dtype) =>
      new nn.TransformerEncoderLayer(6, 2, {
        dimFeedforward: 8,
        dropout: 0.3,
        activation: 'gelu',
        layerNormEps: 1e-3,
        batchFirst: true,
        normFirst: true,
        bias: false,
        dtype,
      }),
    (m, x) => m(x, { srcMask: causal, srcKeyPaddingMask: padding3 }),
  ),
  'TransformerEncoderLayer dropout': of(
    (dtype) =>
      new nn.TransformerEncoderLayer(6, 2, { dimFeedforward: 8, dropout: 0.3, activation: new nn.Tanh(), dtype }),
    (m, x) => m(x),
  ),
  TransformerDecoderLayer: of(
    (dtype) => new nn.TransformerDecoderLayer(6, 2, { dimFeedforward: 8, dropout: 0, dtype }),
    (m, x, y) => m(x, y, { tgtMask: causal, memoryMask: across, memoryKeyPaddingMask: padding, tgtIsCausal: true }),
  ),
  'TransformerDecoderLayer normFirst': of(
    (dtype) =>
      new nn.TransformerDecoderLayer(6, 2, {
        dimFeedforward: 8,
        dropout: 0.3,
        activation: 'gelu',
        batchFirst: true,
        normFirst: true,
        dtype,
      }),
    (m, x, y) => m(x, y, { tgtKeyPaddingMask: padding3 }),
  ),
  TransformerEncoder: of(
    (dtype) =>
      new nn.TransformerEncoder(new nn.TransformerEncoderLayer(6, 2, { dimFeedforward: 8, dropout: 0.2, dtype }), 2, {
        norm: new nn.LayerNorm(6, { dtype }),
      }),
    (m, x) => m(x, { mask: causal, isCausal: true }),
  ),
  TransformerDecoder: of(
    (dtype) =>
      new nn.TransformerDecoder(new nn.TransformerDecoderLayer(6, 2, { dimFeedforward: 8, dropout: 0.2, dtype }), 2),
    (m, x, y) => m(x, y),
  ),
  Transformer: of(
    (dtype) =>
      new nn.Transformer({
        dModel: 6,
        nhead: 2,
        numEncoderLayers: 1,
        numDecoderLayers: 2,
        dimFeedforward: 8,
        dropout: 0.2,
        dtype,
      }),
    (m, x, y) =>
      m(x, y, {
        tgtMask: nn.Transformer.generateSquareSubsequentMask(3, { dtype: x.dtype }),
        srcKeyPaddingMask: padding,
      }),
  ),
  'Transformer eval': of(
    (dtype) =>
      new nn.Transformer({
        dModel: 6,
        nhead: 2,
        numEncoderLayers: 1,
        numDecoderLayers: 1,
        dimFeedforward: 8,
        batchFirst: true,
        normFirst: true,
        dtype,
      }).eval(),
    (m, x, y) => m(x, y),
  ),
  LSTM: of(
    (dtype) => new nn.LSTM(3, 5, { dtype }),
    (m, x) => m(x),
  ),
  'LSTM deep': of(
    (dtype) => new nn.LSTM(3, 5, { numLayers: 2, dropout: 0.3, bidirectional: true, batchFirst: true, dtype }),
    (m, x, h, c) => m(x, [h, c]),
  ),
  'LSTM projection': of(
    (dtype) => new nn.LSTM(3, 5, { numLayers: 2, bias: false, projSize: 2, bidirectional: true, dtype }),
    (m, x, h, c) => m(x, [h, c]),
  ),
  'LSTM unbatched': of(
    (dtype) => new nn.LSTM(3, 9, { batchFirst: true, dtype }),
    (m, x, h, c) => m(x, [h, c]),
  ),
  GRU: of(
    (dtype) => new nn.GRU(3, 5, { dtype }),
    (m, x) => m(x),
  ),
  'GRU deep': of(
    (dtype) => new nn.GRU(3, 17, { numLayers: 2, dropout: 0.3, bidirectional: true, batchFirst: true, dtype }),
    (m, x, h) => m(x, h),
  ),
  'GRU unbatched': of(
    (dtype) => new nn.GRU(3, 5, { bias: false, dtype }),
    (m, x, h) => m(x, h),
  ),
  RNN: of(
    (dtype) => new nn.RNN(3, 5, { numLayers: 2, dtype }),
    (m, x, h) => m(x, h),
  ),
  'RNN relu': of(
    (dtype) => new nn.RNN(3, 5, { nonlinearity: 'relu', bidirectional: true, bias: false, dtype }),
    (m, x) => m(x)[0],
  ),
  'LSTM packed': of(
    (dtype) => new nn.LSTM(3, 5, { numLayers: 2, dropout: 0.3, bidirectional: true, batchFirst: true, dtype }),
    (m, x) => {
      const [y, states] = m(nn.packPaddedSequence(x, [2, 5, 2], { batchFirst: true, enforceSorted: false }));
      return [padded(y, true), states];
    },
  ),
  'LSTM packed projection': of(
    (dtype) => new nn.LSTM(3, 5, { projSize: 2, bidirectional: true, dtype }),
    (m, x, h, c) => {
      const [y, states] = m(nn.packPaddedSequence(x, [1, 4, 3, 4], { enforceSorted: false }), [h, c]);
      return [padded(y), states];
    },
  ),
  'GRU packed': of(
    (dtype) => new nn.GRU(3, 5, { numLayers: 2, bidirectional: true, dtype }),
    (m, x, h) => {
      const [y, last] = m(nn.packPaddedSequence(x, [4, 3, 1]), h);
      return [padded(y), last];
    },
  ),
  'RNN packed': of(
    (dtype) => new nn.RNN(3, 5, { dtype }),
    (m, x) => {
      const [y, last] = m(nn.packPaddedSequence(x, tensor([4, 4], { dtype: 'int64' })));
      return [padded(y), last];
    },
  ),
  LSTMCell: of(
    (dtype) => new nn.LSTMCell(3, 5, { dtype }),
    (m, x, h, c) => m(x, [h, c]),
  ),
  GRUCell: of(
    (dtype) => new nn.GRUCell(3, 5, { bias: false, dtype }),
    (m, x, h) => m(x, h),
  ),
  RNNCell: of(
    (dtype) => new nn.RNNCell(3, 5, { nonlinearity: 'relu', dtype }),
    (m, x, h) => m(x, h),
  ),
};

/** The tensors of a result, in order. */
const flat = (result: unknown): Tensor[] =>
  result instanceof Tensor ? [result] : result === null ? [] : (result as unknown[]).flatMap(flat);

describe.each(['float64', 'float32'] as const)('%s', (dtype) => {
  // A few roundings, of sums of up to a dozen numbers in several layers.
  const near = (actual: Tensor, text: string, what: string) =>
    expectClose(
      actual,
      decode(text, dtype),
      dtype === 'float64' ? 1e-11 : 2e-5,
      dtype === 'float64' ? 1e-12 : 2e-5,
      what,
    );

  it.each(Object.entries(golden))('%s', (name, { [dtype]: expected }) => {
    const { make, call } = cases[name];
    manualSeed(7);
    const layer = make(dtype);
    // Of norms as in printing.test.ts.
    expect(String(layer)).toBe(expected.printed.replace(/(elementwise_affine=True), bias=True/g, '$1'));
    const state = layer.stateDict();
    expect([...state.keys()]).toEqual(Object.keys(expected.state));
    for (const [key, text] of Object.entries(expected.state))
      expect([...state.get(key)!.dataSync()], key).toEqual([...decode(text, dtype)]);
    const inputs = expected.inputs.map(([shape], i) => rule(shape, i, dtype).requiresGrad_());
    manualSeed(8);
    const outputs = flat(call(layer as never, ...inputs));
    expect(outputs.map(({ shape }) => shape)).toEqual(expected.outputs.map(([shape]) => shape));
    for (const [i, [, text]] of expected.outputs.entries()) near(outputs[i], text, `output ${i}`);
    backward(
      outputs,
      outputs.map(({ shape }, i) => rule(shape, i + 2, dtype)),
    );
    for (const [i, [, text]] of expected.inputs.entries()) near(inputs[i].grad!, text, `gradient of input ${i}`);
    const parameters = new Map(layer.namedParameters());
    for (const [key, text] of Object.entries(expected.gradients))
      near(parameters.get(key)!.grad!, text, `gradient of ${key}`);
  });
});

it('has a case for every golden, and a golden for every case', () =>
  expect(Object.keys(cases)).toEqual(Object.keys(golden)));

describe('attention', () => {
  const x = (...shape: number[]) => rule(shape, 1, 'float64').requiresGrad_();

  it('has right second derivatives', () => {
    const mask = rule([3, 4], 3, 'float64').requiresGrad_();
    const call = (q: Tensor, k: Tensor, v: Tensor, attnMask: Tensor) =>
      scaledDotProductAttention(q, k, v, { attnMask, scale: 0.7 });
    const inputs = [x(2, 3, 2), x(2, 4, 2), x(2, 4, 3), mask] as const;
    expect(gradcheck(call as never, [...inputs])).toBe(true);
    expect(gradgradcheck(call as never, [...inputs])).toBe(true);
    const layer = new nn.MultiheadAttention(4, 2, { addBiasKv: true, dtype: 'float64' });
    const attended = (t: Tensor) => layer(t, t, t)[0];
    expect(gradgradcheck(attended as never, [x(3, 2, 4)])).toBe(true);
  });

  it('gives a query that sees nothing 0, and no gradient', () => {
    const [q, k] = [x(1, 2, 3), x(1, 2, 3)];
    const out = scaledDotProductAttention(q, k, k, {
      attnMask: truths([
        [0, 0],
        [1, 1],
      ]),
    });
    expect(out.select(1, 0).toArray()).toEqual([[0, 0, 0]]);
    const [dq] = grad([out.sum()], [q]);
    expect(dq.select(1, 0).toArray()).toEqual([[0, 0, 0]]);
    expect(dq.isfinite().all().item()).toBe(1);
  });

  it('repeats heads of keys and values', () => {
    const [q, k] = [x(2, 4, 3, 2), x(2, 2, 5, 2)];
    const wide = k.repeatInterleave(2, 1);
    const grouped = scaledDotProductAttention(q, k, k, { enableGqa: true, isCausal: true });
    expect(grouped.toArray()).toEqual(scaledDotProductAttention(q, wide, wide, { isCausal: true }).toArray());
  });

  it('of nothing is nothing', () => {
    expect(
      scaledDotProductAttention(x(2, 3, 4), x(2, 0, 4), x(2, 0, 4))
        .abs()
        .sum()
        .item(),
    ).toBe(0);
    const layer = new nn.MultiheadAttention(4, 2);
    const none = ones([3, 0, 4]);
    expect(layer(none, none, none).map((t) => t?.shape)).toEqual([
      [3, 0, 4],
      [0, 3, 3],
    ]);
  });

  it('knows shapes without values', () => {
    const layer = new nn.TransformerEncoderLayer(6, 2, { dimFeedforward: 8 }).to('meta');
    expect(layer(ones([3, 2, 6], { device: 'meta' }), { srcMask: causal.to('meta') }).shape).toEqual([3, 2, 6]);
  });

  it('refuses what does not fit', () => {
    const q = x(2, 3, 4);
    const refused = (call: () => unknown, text: string) => expect(call).toThrow(text);
    refused(() => scaledDotProductAttention(q, q.to('float32'), q), 'to have the same dtype');
    refused(() => scaledDotProductAttention(x(3), q, q), 'at least 2 dimensional');
    refused(() => scaledDotProductAttention(q, x(2, 3, 5), q), 'expected key (…, S, 4)');
    refused(
      () => scaledDotProductAttention(q, q, q, { attnMask: ones([3, 3]).to('int64') }),
      'attnMask dtype to be bool',
    );
    refused(() => scaledDotProductAttention(q, q, q, { attnMask: x(3, 3), isCausal: true }), 'should not be set');
    refused(() => scaledDotProductAttention(q, q, q, { attnMask: x(5, 3) }), 'must match');
    refused(() => scaledDotProductAttention(q, q, q, { dropoutP: 2 }), 'dropout probability');
    refused(
      () => scaledDotProductAttention(q, x(3, 4), q, { enableGqa: true }),
      'expected heads as the third dimension',
    );
    const layer = new nn.MultiheadAttention(4, 2, { dtype: 'float64' });
    const t = x(3, 2, 4);
    refused(() => new nn.MultiheadAttention(5, 2), 'embedDim must be divisible by numHeads');
    refused(() => new nn.MultiheadAttention(0, 2), 'must be greater than 0');
    refused(() => layer(x(4), t, t), 'query should be unbatched 2D or batched 3D tensor but received 1-D');
    refused(() => layer(t, x(3, 4), t), 'expected `key` and `value` to be 3-D but found 2-D and 3-D');
    refused(() => layer(t, t, t.narrow(1, 0, 1)), 'does not match value shape');
    refused(() => layer(x(3, 2, 3), t, t), 'was expecting embedding dimension of 4, but got 3');
    refused(() => layer(t, x(3, 1, 4), x(3, 1, 4)), 'of one batch size');
    refused(
      () => layer(t, t, t, { attnMask: x(3, 4) }),
      'The shape of the 2D attnMask is [3, 4], but should be (3, 3).',
    );
    refused(() => layer(t, t, t, { attnMask: ones([3, 3]).to('int64') }), 'only bool and floating types of attnMask');
    refused(() => layer(t, t, t, { keyPaddingMask: x(3) }), 'expected `keyPaddingMask` to be `null` or 2-D');
    refused(() => layer(t, t, t, { keyPaddingMask: x(3, 3) }), 'Expected keyPaddingMask of shape [2, 3]');
    refused(() => layer(t, t, t, { isCausal: true }), 'Need attnMask if specifying the isCausal hint.');
    refused(
      () => new nn.TransformerEncoderLayer(4, 2, { activation: 'selu' as never }),
      'activation should be relu/gelu',
    );
    refused(() => new nn.TransformerEncoder(3 as never, 2), 'expected a module as the layer, got 3');
    const transformer = new nn.Transformer({ dModel: 4, nhead: 2, numEncoderLayers: 1, numDecoderLayers: 1 });
    refused(() => transformer(ones([3, 2, 4]), ones([3, 1, 4])), 'the batch number of src and tgt must be equal');
    refused(() => transformer(ones([3, 2, 4]), ones([3, 2, 5])), 'the feature number of src and tgt');
  });
});

describe('recurrent layers', () => {
  const x = (...shape: number[]) => rule(shape, 1, 'float64').requiresGrad_();
  const layers: Record<string, () => nn.Module> = {
    LSTM: () => new nn.LSTM(2, 3, { bidirectional: true, dtype: 'float64' }),
    'LSTM projection': () => new nn.LSTM(2, 3, { projSize: 2, dtype: 'float64' }),
    GRU: () => new nn.GRU(2, 3, { bidirectional: true, dtype: 'float64' }),
    RNN: () => new nn.RNN(2, 3, { dtype: 'float64' }),
  };
  it.each(Object.keys(layers))('%s has right derivatives of both orders', (name) => {
    manualSeed(3);
    const layer = layers[name]();
    const all = (t: Tensor) => flat(layer(t));
    expect(gradcheck(all, [x(3, 2, 2)])).toBe(true);
    expect(gradgradcheck(all, [x(3, 2, 2)])).toBe(true);
  });

  it('take no gradient where none is given', () => {
    const layer = new nn.LSTM(2, 3, { dtype: 'float64' });
    const input = x(3, 2, 2);
    const [, [, c]] = layer(input);
    c.sum().backward();
    expect(input.grad!.isfinite().all().item()).toBe(1);
    expect(layer.ownParameters().get('weight_hh_l0')!.grad).not.toBeNull();
  });

  it('give the same for samples of one batch and alone', () => {
    for (const layer of [new nn.LSTM(2, 3), new nn.GRU(2, 3)] as const) {
      const batch = rule([4, 3, 2], 1, 'float32');
      const [together] = (layer as nn.GRU)(batch);
      const [alone] = (layer as nn.GRU)(batch.select(1, 1));
      expectClose(together.select(1, 1), alone.dataSync() as Float32Array, 1e-6, 1e-7, 'a sample');
    }
  });

  it('know shapes without values, and take an empty batch', () => {
    const layer = new nn.LSTM(2, 3, { numLayers: 2 });
    const [y, [h, c]] = new nn.LSTM(2, 3, { numLayers: 2 }).to('meta')(ones([4, 5, 2], { device: 'meta' }));
    expect([y.shape, h.shape, c.shape]).toEqual([
      [4, 5, 3],
      [2, 5, 3],
      [2, 5, 3],
    ]);
    expect(layer(ones([4, 0, 2]))[0].shape).toEqual([4, 0, 3]);
  });

  it('refuse what does not fit', () => {
    const refused = (call: () => unknown, text: string) => expect(call).toThrow(text);
    const [lstm, gru] = [new nn.LSTM(2, 3), new nn.GRU(2, 3)];
    const input = ones([4, 5, 2]);
    refused(() => new nn.LSTM(0, 3), 'inputSize must be greater than zero');
    refused(() => new nn.LSTM(2, 3, { numLayers: 0 }), 'numLayers must be greater than zero');
    refused(() => new nn.LSTM(2, 3, { projSize: 3 }), 'projSize has to be smaller than hiddenSize');
    refused(() => new nn.LSTM(2, 3, { projSize: -1 }), 'projSize should be a positive integer or zero');
    refused(() => gru(ones([2])), 'GRU: Expected input to be 2D or 3D, got 1D instead');
    refused(() => gru(ones([4, 5, 3])), 'must be equal to inputSize. Expected 2, got 3');
    refused(() => gru(input.to('float64')), 'RNN input dtype (float64) does not match weight dtype (float32)');
    refused(() => gru(ones([0, 5, 2])), 'Expected sequence length to be larger than 0 in RNN');
    refused(() => gru(input, ones([1, 3])), 'For batched 3-D input, hx should also be 3-D but got 2-D tensor');
    refused(() => gru(input, ones([1, 4, 3])), 'Expected hidden size (1, 5, 3), got [1, 4, 3]');
    refused(() => lstm(input, [ones([1, 5, 3]), ones([2, 5, 3])]), 'Expected hidden[1] size (1, 5, 3), got [2, 5, 3]');
    refused(() => lstm(input, ones([1, 5, 3]) as never), 'expected [h, c], two tensors, as the initial states');
    const cell = new nn.LSTMCell(2, 3);
    refused(() => cell(ones([1, 2, 2])), 'LSTMCell: Expected input to be 1D or 2D, got 3D instead');
    refused(() => cell(ones([4, 3])), 'input has inconsistent inputSize: got 3 expected 2');
    refused(
      () => cell(ones([4, 2]), [ones([5, 3]), ones([4, 3])]),
      "Input batch size 4 doesn't match hidden0 batch size 5",
    );
    refused(
      () => cell(ones([4, 2]), [ones([4, 3]), ones([4, 4])]),
      'hidden1 has inconsistent hiddenSize: got 4, expected 3',
    );
    refused(() => new nn.GRUCell(2, 3)(ones([4, 2]), ones([1, 2, 3, 3])), 'Expected hidden to be 1D or 2D, got 4D');
  });
});
