// Figures of classifiers against scikit-learn's (golden/train_golden.py); averages of counts; class weights.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import '../../src/index.ts';
import { WeightedRandomSampler } from '../../src/data/index.ts';
import { ones, tensor, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import {
  Averages,
  accuracy,
  balancedClassWeights,
  type CountedMetric,
  confusionMatrix,
  f1Score,
  precision,
  recall,
  topKAccuracy,
} from '../../src/train/index.ts';

interface Classifier {
  name: string;
  classes: number;
  truth: number[];
  found: number[];
  matrix: number[][];
  scores: Record<
    'precision' | 'recall' | 'f1Score',
    Record<'macro' | 'micro' | 'weighted', number> & { none: number[] }
  >;
}
const golden = JSON.parse(readFileSync(new URL('../golden/train.golden.json', import.meta.url), 'utf8')) as {
  classifiers: Classifier[];
  topK: { logits: number[][]; truth: number[]; shares: Record<string, number> };
  weights: { labels: number[]; classes: number; weights: number[] };
};
const int64 = (values: number[]) => tensor(values, { dtype: 'int64' });

describe.each(golden.classifiers)('$name', ({ classes: numClasses, truth, found, matrix, scores }) => {
  const own = confusionMatrix(int64(found), int64(truth), { numClasses });

  test('has the confusion matrix of scikit-learn, from classes and from logits', () => {
    expect(own.dtype).toBe('int64');
    expect(own.toArray()).toEqual(matrix);
    const logits = zeros([found.length, numClasses]);
    found.forEach((label, i) => {
      logits.setIndex([i, label], 1);
    });
    expect(confusionMatrix(logits, int64(truth), { numClasses }).toArray()).toEqual(matrix);
  });

  test.each(Object.entries({ precision, recall, f1Score }))('has its %s', (name, score) => {
    const expected = scores[name as 'recall'];
    for (const average of ['macro', 'micro', 'weighted'] as const)
      expect(score(own, { average }), average).toBeCloseTo(expected[average], 14);
    score(own, { average: 'none' }).forEach((value, i) => {
      expect(value, `class ${i}`).toBeCloseTo(expected.none[i], 14);
    });
    expect(score(own)).toBeCloseTo(expected.macro, 14);
  });
});

test('confusionMatrix takes pixels, bools, and nothing at all', () => {
  const target = int64([0, 1, 1, 0]).reshape([1, 2, 2]);
  const logits = tensor([
    [0, 1],
    [0, 1],
  ])
    .reshape([1, 1, 2, 2])
    .sub(0.5);
  const both = confusionMatrix(logits.repeat([1, 2, 1, 1]).mul(tensor([-1, 1]).reshape([1, 2, 1, 1])), target, {
    numClasses: 2,
  });
  expect(both.toArray()).toEqual([
    [1, 1],
    [1, 1],
  ]);
  expect(confusionMatrix(tensor([0.5, -1]).gt(0), int64([1, 1]), { numClasses: 2 }).toArray()).toEqual([
    [0, 0],
    [1, 1],
  ]);
  expect(
    confusionMatrix(zeros([0, 2]), zeros([0], { dtype: 'int64' }), { numClasses: 2 })
      .sum()
      .item(),
  ).toBe(0);
  expect(f1Score(zeros([2, 2]))).toBe(0);
});

test('confusionMatrix refuses classes and shapes that are none', () => {
  const of = (output: number[], target: number[]) => () =>
    confusionMatrix(int64(output), int64(target), { numClasses: 3 });
  expect(of([0, 3], [0, 1])).toThrow('[confusionMatrix] expected classes from 0 to 2, got 3 in the outputs');
  expect(of([0, 1], [-1, 1])).toThrow('[confusionMatrix] expected classes from 0 to 2, got -1 in the targets');
  expect(of([0, 1], [0])).toThrow(
    '[confusionMatrix] expected a class for each target, got outputs [2] and targets [1]',
  );
  expect(() => confusionMatrix(ones([3]), int64([0, 1, 2]), { numClasses: 3 })).toThrow('got [3] of floats');
  expect(() => precision(ones([2, 3]))).toThrow('[precision] expected a confusion matrix (C, C), got [2, 3]');
  expect(() => recall(ones([2, 2]), { average: 'mean' as 'macro' })).toThrow("as average, got 'mean'");
});

test('topKAccuracy has the shares of scikit-learn', () => {
  const logits = tensor(golden.topK.logits);
  const truth = int64(golden.topK.truth);
  for (const [k, share] of Object.entries(golden.topK.shares))
    expect(topKAccuracy(Number(k))(logits, truth), `top ${k}`).toBeCloseTo(share, 6);
  expect(topKAccuracy(1)(logits, truth)).toBe(accuracy(logits, truth));
  expect(() => topKAccuracy(0)).toThrow('[topKAccuracy]');
});

test('balancedClassWeights has those of scikit-learn, and balances what a sampler draws', () => {
  const { labels, classes: numClasses, weights } = golden.weights;
  const own = balancedClassWeights(labels, { numClasses });
  expect(own.dtype).toBe('float32');
  expect(own.toArray()).toEqual(weights.map(Math.fround));
  expect(balancedClassWeights(int64(labels), { numClasses }).toArray()).toEqual(own.toArray());
  manualSeed(0);
  const ofSamples = own.index(int64(labels)).dataSync() as Float32Array;
  const drawn = [0, 0, 0];
  for (const i of new WeightedRandomSampler(ofSamples, 3000)) drawn[labels[i]]++;
  for (const count of drawn) expect(Math.abs(count - 1000)).toBeLessThan(100);
  expect(() => balancedClassWeights([0, 2], { numClasses: 3 })).toThrow('got none of class 1');
  expect(() => balancedClassWeights([0, 3], { numClasses: 3 })).toThrow('expected labels from 0 to 2, got 3 at 1');
});

describe('averages of counts', () => {
  const f1: CountedMetric = {
    count: (output, target) => confusionMatrix(output, target, { numClasses: 5 }),
    value: (counts) => f1Score(counts),
  };
  const [{ truth, found, scores }] = golden.classifiers;

  test('are figures of all batches together', () => {
    const averages = new Averages({ f1 });
    for (const [from, to] of [
      [0, 10],
      [10, 45],
      [45, 60],
    ])
      averages.addBatch({ loss: 1 }, int64(found.slice(from, to)), int64(truth.slice(from, to)), to - from);
    expect(averages.get('f1')).toBeCloseTo(scores.f1Score.macro, 14);
    expect(averages.all()).toEqual({ loss: 1, f1: averages.get('f1') });
    const again = new Averages({ f1 });
    again.load(JSON.parse(JSON.stringify(averages.state())));
    expect(again.all()).toEqual(averages.all());
    again.addAll(averages.state());
    expect(again.samples).toBe(120);
    expect(again.get('f1')).toBeCloseTo(scores.f1Score.macro, 14);
  });

  test('refuse counts of another shape', () => {
    const averages = new Averages({ n: { count: (output) => output, value: () => 0 } });
    averages.addBatch({}, ones([2]), null, 1);
    expect(() => averages.addBatch({}, ones([3]), null, 1)).toThrow(
      "[Averages] metric 'n': expected counts of the same shape for every batch, got [3] after [2]",
    );
  });
});
