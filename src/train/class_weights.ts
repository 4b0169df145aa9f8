// Weights by which rare classes count as much as frequent ones.
import { requireInteger } from '../checks.ts';
import { ValueError } from '../errors.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';
import { fromTypedArray } from '../tensor/create.ts';
import { Tensor } from '../tensor/tensor.ts';

/** Options of `balancedClassWeights`. */
export interface ClassWeightOptions {
  /** How many classes there are. */
  numClasses: number;
}
const classWeightOptions = declareOptions<ClassWeightOptions>({ numClasses: required(kind.integer) });

/**
 * n / (numClasses · count) for each class of n labels, float32 (numClasses): the `weight` of `crossEntropy`, or, at
 * each sample's label, the weights of `WeightedRandomSampler` (scikit-learn: `compute_class_weight('balanced', …)`).
 * @throws ValueError on a label outside of 0 … numClasses − 1, and on a class without labels.
 * @example
 * const weight = balancedClassWeights([0, 0, 0, 1], { numClasses: 2 }); // 2/3, 2
 * crossEntropy(randn([4, 2]), tensor([0, 0, 0, 1], { dtype: 'int64' }), { weight });
 */
export function balancedClassWeights(labels: Tensor | ArrayLike<number>, options: ClassWeightOptions): Tensor {
  requireOptions('balancedClassWeights', options, classWeightOptions);
  const numClasses = requireInteger('balancedClassWeights', 'numClasses', options.numClasses, 1);
  const values: ArrayLike<number | bigint> = labels instanceof Tensor ? labels.dataSync() : labels;
  const counts = new Float64Array(numClasses);
  for (let i = 0; i < values.length; i++) {
    const label = Number(values[i]);
    if (!(Number.isInteger(label) && label >= 0 && label < numClasses))
      throw new ValueError(`[balancedClassWeights] expected labels from 0 to ${numClasses - 1}, got ${label} at ${i}`);
    counts[label]++;
  }
  const empty = counts.indexOf(0);
  if (empty >= 0)
    throw new ValueError(`[balancedClassWeights] expected labels of every class, got none of class ${empty}`);
  return fromTypedArray(
    Float32Array.from(counts, (count) => values.length / (numClasses * count)),
    [numClasses],
  );
}
