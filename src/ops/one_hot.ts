// Classes as vectors of zeros with a one.
import { requireInteger } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { fullOn } from '../tensor/create.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { requireKnownShape, type Tensor } from '../tensor/tensor.ts';
import { scatter } from './indexing.ts';
import { amax, amin } from './reduce.ts';
import { unsqueeze } from './shape_ops.ts';

/**
 * For int64 classes of any shape, vectors of `numClasses` zeros with a one at the class, along a new last dimension;
 * int64 (PyTorch: `F.one_hot`).
 * @param numClasses by default −1: one more than the largest class.
 * @throws RuntimeError on another dtype, or a class outside of 0 … numClasses − 1.
 * @example
 * oneHot(tensor([0, 2], { dtype: 'int64' })); // [[1, 0, 0], [0, 0, 1]]
 */
export function oneHot(x: Tensor, numClasses = -1): Tensor {
  requireTensor('oneHot', x);
  requireInteger('oneHot', 'numClasses', numClasses);
  if (x.dtype !== 'int64')
    throw new RuntimeError(
      `oneHot is only applicable to index tensor of type LongTensor. Expected dtype int64, got ${x.dtype}`,
    );
  if (x.size === 0) {
    if (numClasses === -1) throw new RuntimeError('Can not infer total number of classes from empty tensor.');
    if (numClasses <= 0) throw new RuntimeError('numClasses should be positive');
    return fullOn(x.backend, [...x.shape, numClasses], 0, 'int64');
  }
  if (numClasses < -1 || numClasses === 0) throw new RuntimeError('Class values must be smaller than numClasses.');
  if (numClasses === -1) requireKnownShape('oneHot', x);
  let count = numClasses;
  if (x.device !== 'meta') {
    if (amin(x).item() < 0) throw new RuntimeError('Class values must be non-negative.');
    const largest = amax(x).item();
    if (count === -1) count = largest + 1;
    else if (largest >= count) throw new RuntimeError('Class values must be smaller than numClasses.');
  }
  return scatter(fullOn(x.backend, [...x.shape, count], 0, 'int64'), -1, unsqueeze(x, -1), 1);
}
