// LeNet with batch normalization.
import { AvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, Flatten, Linear, Sequential, Sigmoid } from '../nn/index.ts';
import { declareOptions, kind } from '../options.ts';
import { type Architecture, architecture } from './architecture.ts';

/** Options of `lenetBatchNorm`. */
export interface LenetOptions {
  /** Length of the output, one logit per class. Default: 10. */
  numClasses?: number;
}
const lenetOptions = declareOptions<LenetOptions>({ numClasses: kind.integer });

/**
 * LeNet with batch norm after each hidden layer, as in "Dive into Deep Learning", section 8.5: (N, 1, 28, 28) to logits
 * (N, numClasses).
 * @example
 * const model = lenetBatchNorm({ numClasses: 10 });
 * model(rand([4, 1, 28, 28])); // shape [4, 10]
 */
export const lenetBatchNorm: Architecture<Sequential, LenetOptions> = architecture({
  name: 'lenetBatchNorm',
  options: lenetOptions,
  head: '15.',
  make: ({ numClasses = 10 }) =>
    new Sequential(
      new Conv2d(1, 6, 5, { padding: 2 }),
      new BatchNorm2d(6),
      new Sigmoid(),
      new AvgPool2d(2),
      new Conv2d(6, 16, 5),
      new BatchNorm2d(16),
      new Sigmoid(),
      new AvgPool2d(2),
      new Flatten(),
      new Linear(16 * 5 * 5, 120),
      new BatchNorm1d(120),
      new Sigmoid(),
      new Linear(120, 84),
      new BatchNorm1d(84),
      new Sigmoid(),
      new Linear(84, numClasses),
    ),
});
