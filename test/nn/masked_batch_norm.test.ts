// Masked batch norm: what the mask leaves is normalized as if nothing else were there, on every rank and in every mode.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { gradcheck, gradgradcheck } from '../../src/autograd/gradcheck.ts';
import {
  BatchNorm1d,
  freezeBatchNorm,
  functional,
  Linear,
  MaskedBatchNorm1d,
  MaskedBatchNorm2d,
  Module,
  NormBase,
  withStatistics,
} from '../../src/nn/index.ts';
import { crossEntropy } from '../../src/ops/loss.ts';
import { ones, tensor, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { rand, randint, randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { accumulate } from '../../src/train/index.ts';
import { expectClose } from '../support/golden.ts';

const dtype = 'float64';
const { maskedBatchNorm, batchNorm } = functional;

/**
 * The definition, element by element: statistics of channel c over unmasked positions, and what becomes of each
 * element.
 */
function reference(x: Tensor, mask: Tensor, eps: number) {
  const [n, c] = x.shape;
  const space = x.shape.slice(2).reduce((a, b) => a * b, 1);
  const values = x.dataSync() as Float64Array;
  const keeps = mask.dataSync();
  const y = new Float64Array(values.length);
  const stats = Array.from({ length: c }, (_, channel) => {
    const at: number[] = [];
    for (let i = 0; i < n; i++)
      for (let s = 0; s < space; s++) if (keeps[i * space + s]) at.push((i * c + channel) * space + s);
    const mean = at.reduce((sum, j) => sum + values[j], 0) / at.length;
    const m2 = at.reduce((sum, j) => sum + (values[j] - mean) ** 2, 0);
    for (const j of at) y[j] = (values[j] - mean) / Math.sqrt(m2 / at.length + eps);
    return { mean, unbiased: m2 / (at.length - 1), count: at.length };
  });
  return { y, stats };
}

const shapes: [shape: number[], mask: number[]][] = [
  [[7, 3], [7]],
  [
    [4, 3, 5],
    [4, 5],
  ],
  [
    [3, 2, 4, 5],
    [3, 4, 5],
  ],
  [
    [2, 2, 2, 3, 4],
    [2, 2, 3, 4],
  ],
];

describe('maskedBatchNorm', () => {
  it.each(shapes)('is its definition, for x (%s)', (shape, maskShape) => {
    manualSeed(1);
    const mask = rand(maskShape).gt(0.4);
    const input = randn(shape, { dtype }).mul(3).add(2);
    // What is masked may be anything.
    const broken = mask.logicalNot().unsqueeze(1).expand(shape);
    for (const format of ['contiguous', 'channelsLast'] as const) {
      const x = input.maskedFill(broken, Number.NaN).contiguous(format);
      const [mean, variance] = [zeros([shape[1]], { dtype }), ones([shape[1]], { dtype })];
      const y = maskedBatchNorm(x, mask, mean, variance, { training: true, momentum: 0.25, eps: 1e-3 });
      const { y: expected, stats } = reference(input, mask, 1e-3);
      expect(y.memoryFormat).toBe(x.memoryFormat);
      // A few roundings of float64.
      expectClose(y, expected, 1e-12, 1e-12, 'y');
      expectClose(
        mean,
        stats.map((s) => 0.25 * s.mean),
        1e-13,
      );
      expectClose(
        variance,
        stats.map((s) => 0.75 + 0.25 * s.unbiased),
        1e-13,
      );
      // The divisor is the number of positions, on every rank.
      expect(stats[0].count).toBe(mask.sum().item());
    }
  });

  it.each(shapes)('has the gradients of its definition, for x (%s)', (shape, maskShape) => {
    manualSeed(2);
    const mask = rand(maskShape).gt(0.3);
    const inputs = [randn(shape, { dtype }), rand([shape[1]], { dtype }).add(0.5), randn([shape[1]], { dtype })];
    for (const input of inputs) input.requiresGrad_();
    const [mean, variance] = [randn([shape[1]], { dtype }), rand([shape[1]], { dtype }).add(0.5)];
    for (const training of [true, false]) {
      const run = (x: Tensor, weight: Tensor, bias: Tensor) =>
        maskedBatchNorm(x, mask, training ? null : mean, training ? null : variance, { weight, bias, training });
      gradcheck(run, inputs);
      gradgradcheck(run, inputs);
    }
    const [x, weight, bias] = inputs;
    maskedBatchNorm(x, mask, null, null, { weight, bias, training: true }).backward(randn(shape, { dtype }));
    const outside = mask.logicalNot().unsqueeze(1).expand(shape);
    expect(x.grad!.maskedSelect(outside).toArray()).toEqual(Array(outside.sum().item()).fill(0));
  });

  it('with nothing masked is batchNorm, bit for bit in float32 at a large mean', () => {
    manualSeed(3);
    const x = randn([16, 3]).add(1e4);
    const plain = batchNorm(x, null, null, { training: true });
    expect(maskedBatchNorm(x, ones([16], { dtype: 'bool' }), null, null, { training: true }).toArray()).toEqual(
      plain.toArray(),
    );
  });

  it('refuses what does not fit', () => {
    const x = randn([2, 3, 4]);
    const one = tensor([
      [true, false, false, false],
      [false, false, false, false],
    ]);
    const train = (mask: Tensor) => maskedBatchNorm(x, mask, null, null, { training: true });
    expect(() => train(one)).toThrow('Expected more than 1 unmasked value per channel when training, got 1');
    expect(() => train(one.logicalAnd(one.logicalNot()))).toThrow('got 0 unmasked positions');
    expect(() => train(ones([2, 3, 4], { dtype: 'bool' }))).toThrow('[maskedBatchNorm] expected x of shape (N, C, …)');
    expect(() => train(ones([2, 4]))).toThrow('a mask of float32');
    // Evaluation needs no statistics of the batch.
    const y = maskedBatchNorm(x, one, zeros([3]), ones([3]));
    expect(y.select(0, 1).toArray()).toEqual(zeros([3, 4]).toArray());
    expect(y.select(2, 0).select(0, 0).toArray()).not.toEqual([0, 0, 0]);
  });
});

describe('MaskedBatchNorm layers', () => {
  const lengths = (n: number, l: number) =>
    randint(2, l + 1, [n])
      .unsqueeze(1)
      .gt(tensor([Array.from({ length: l }, (_, i) => i)]));

  it('equal BatchNorm1d on the sequences without their padding', () => {
    manualSeed(4);
    const mask = lengths(5, 8);
    const x = randn([5, 3, 8], { dtype });
    const [masked, plain] = [new MaskedBatchNorm1d(3, { dtype }), new BatchNorm1d(3, { dtype })];
    const y = masked(x, mask);
    const packed = x
      .permute([0, 2, 1])
      .reshape([40, 3])
      .indexSelect(0, tensor(indices(mask), { dtype: 'int64' }));
    const expected = plain(packed);
    expectClose(
      y
        .permute([0, 2, 1])
        .reshape([40, 3])
        .indexSelect(0, tensor(indices(mask), { dtype: 'int64' })),
      expected.dataSync() as Float64Array,
      1e-13,
    );
    expect([...masked.stateDict()].map(([name, t]) => [name, t.toArray()])).toEqual(
      [...plain.stateDict()].map(([name, t]) => [name, t.toArray()]),
    );
    expect(String(masked)).toBe(String(plain).replace('BatchNorm1d', 'MaskedBatchNorm1d'));
  });

  it('take no mask too, and then are plain', () => {
    const x = randn([1, 2, 3, 3]);
    const norm = new MaskedBatchNorm2d(2);
    expect(norm(x).toArray()).toEqual(batchNorm(x, null, null, { training: true }).toArray());
    expect(new MaskedBatchNorm1d(2)(zeros([0, 2])).shape).toEqual([0, 2]);
    expect(() => norm(randn([2, 2, 3]), ones([2, 3], { dtype: 'bool' }))).toThrow('expected 4D input (got 3D input)');
    expect(() => norm(x, zeros([1, 3, 3], { dtype: 'bool' }))).toThrow('got 0 unmasked positions');
  });

  it('are batch norms to everything that controls these', () => {
    manualSeed(5);
    const norm = new MaskedBatchNorm1d(3);
    expect(norm).toBeInstanceOf(NormBase);
    const [x, mask] = [randn([4, 3, 6]), lengths(4, 6)];
    checkpoint((t) => norm(t, mask), x.requiresGrad_())
      .sum()
      .backward();
    expect(norm.numBatchesTracked!.item()).toBe(1);
    const byBatch = norm(x, mask).toArray();
    norm.eval();
    expect(withStatistics(norm, 'batch', () => norm(x, mask)).toArray()).toEqual(byBatch);
    const byRunning = norm(x, mask).toArray();
    freezeBatchNorm(norm);
    expect(norm.train()(x, mask).toArray()).toEqual(byRunning);
    expect(norm.numBatchesTracked!.item()).toBe(2);
  });

  it('count positions, not samples, where micro-batches are one batch', () => {
    class Net extends Module {
      readonly norm = new MaskedBatchNorm1d(3, { dtype });
      readonly last = new Linear(3, 4, { dtype });
      forward(x: Tensor, mask: Tensor): Tensor {
        return this.last(this.norm(x, mask).sum(2));
      }
    }
    const nets = [0, 1].map(() => {
      manualSeed(6);
      return new Net();
    });
    const x = randn([6, 3, 5], { dtype });
    // The second micro-batch has one position, the third none.
    const mask = tensor([5, 3, 1, 0, 0, 0])
      .unsqueeze(1)
      .gt(tensor([[0, 1, 2, 3, 4]]));
    const target = randint(0, 4, [6]);
    const whole = crossEntropy(nets[0](x, mask), target);
    whole.backward();
    const sizes = [2, 2, 2];
    const parts = [x, mask, target].map((t) => t.split(sizes));
    const loss = accumulate(
      nets[1],
      sizes.map((_, i) => parts.map((part) => part[i])),
      crossEntropy,
    );
    expectClose(loss, [whole.item()], 1e-12);
    const expected = nets[0].stateDict();
    // The order of sums differs.
    for (const [name, t] of nets[1].stateDict())
      expectClose(t, Array.from(expected.get(name)!.dataSync() as Float64Array, Number), 1e-12, 1e-12, name);
    const gradients = new Map(nets[0].namedParameters());
    for (const [name, p] of nets[1].namedParameters())
      expectClose(p.grad!, gradients.get(name)!.grad!.dataSync() as Float64Array, 1e-12, 1e-12, name);
  });
});

function indices(mask: Tensor): number[] {
  return Array.from(mask.dataSync() as Uint8Array).flatMap((value, i) => (value ? [i] : []));
}
