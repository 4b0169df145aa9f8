// `fit`, `evaluate` and `lrFinder` know what a loader gives, and hold loss, metrics, inputs and target to it.
import type { Tensor } from 'evenkeel';
import { DataLoader, type Dataset, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { SGD } from 'evenkeel/optim';
import {
  accuracy,
  type CountedMetric,
  confusionMatrix,
  evaluate,
  f1Score,
  fit,
  lrFinder,
  precision,
} from 'evenkeel/train';

declare const x: Tensor;
declare const model: nn.Linear;
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const check = <T extends true>(): T | null => null;
const optimizer = new SGD(model.parameters());
const pairs = new DataLoader(new TensorDataset(x, x));
const f1: CountedMetric = {
  count: (output, target) => confusionMatrix(output, target, { numClasses: 3 }),
  value: (counts) => f1Score(counts),
};

// Tensors, where nothing says otherwise.
export const plain = fit(model, {
  loader: pairs,
  loss: nn.functional.crossEntropy,
  optimizer,
  epochs: 1,
  metrics: { accuracy, f1 },
});
export const written = fit(model, {
  loader: pairs,
  validation: [[x, x]],
  loss: (output, target) => {
    check<Equal<typeof output, Tensor>>();
    return output.sub(target).sum();
  },
  optimizer,
  epochs: 1,
  metrics: { mean: (output) => output.mean().item() },
});

// Whatever the loss takes, and the loader gives.
interface Sample {
  left: Tensor;
  right: Tensor;
}
declare const samples: Dataset<Sample>;
const objects = new DataLoader(samples, { batchSize: 4 });
const parts = {
  inputs: (batch: { left: Tensor }) => [batch.left],
  loss: (output: { y: Tensor }, target: Tensor) => output.y.sub(target).sum(),
};
export const structured = fit(model, { ...parts, loader: objects, target: ({ right }) => right, optimizer, epochs: 1 });
export const evaluated = evaluate(model, objects, { ...parts, target: ({ right }) => right });
export const swept = lrFinder(model, { ...parts, loader: objects, target: ({ right }) => right, optimizer });
// @ts-expect-error there is no such part of a batch
fit(model, { ...parts, loader: objects, target: ({ middle }) => middle, optimizer, epochs: 1 });
// @ts-expect-error an option that does not exist
fit(model, { loader: pairs, loss: nn.functional.crossEntropy, optimizer, epochs: 1, metric: { accuracy } });

const each: number[] = precision(x, { average: 'none' });
const one: number = precision(x, { average: 'micro' });

export { each, one };
