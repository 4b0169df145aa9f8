// Precision, recall and F1 of a classifier: all of them figures of its confusion matrix.
import { requireChoice, requireInteger } from '../checks.ts';
import { ValueError } from '../errors.ts';
import { cast } from '../ops/convert.ts';
import { add, mul } from '../ops/elementwise.ts';
import { argmax, max, min } from '../ops/reduce.ts';
import { bincount } from '../ops/searching.ts';
import { flatten, reshape } from '../ops/shape_ops.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';
import { zeros } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Options of `confusionMatrix`. */
export interface ConfusionMatrixOptions {
  /** How many classes there are. */
  numClasses: number;
}
const confusionMatrixOptions = declareOptions<ConfusionMatrixOptions>({ numClasses: required(kind.integer) });

/**
 * How often samples of class i were taken for class j: int64 (numClasses, numClasses), one row for each true class
 * (scikit-learn: `confusion_matrix`).
 *
 * `output` has logits of floats, (N, C) or (N, C, …), or classes of integers or bool, in the target's shape; `target`
 * has classes, (N) or (N, …). Matrices of several batches may be added.
 * @throws ValueError on shapes that do not go together, and on classes outside of 0 … numClasses − 1.
 * @example
 * console.log(confusionMatrix(logits, labels, { numClasses: 10 }).toString());
 */
export function confusionMatrix(output: Tensor, target: Tensor, options: ConfusionMatrixOptions): Tensor {
  requireOptions('confusionMatrix', options, confusionMatrixOptions);
  const numClasses = requireInteger('confusionMatrix', 'numClasses', options.numClasses, 1);
  if (isFloat(output.dtype) && output.rank < 2)
    throw new ValueError(
      `[confusionMatrix] expected logits (N, C) or classes, got ${formatShape(output.shape)} of floats`,
    );
  const found = isFloat(output.dtype) ? argmax(output, 1) : output;
  if (!sameShape(found.shape, target.shape))
    throw new ValueError(
      `[confusionMatrix] expected a class for each target, got outputs ${formatShape(output.shape)} and targets ${formatShape(target.shape)}`,
    );
  if (target.size === 0) return zeros([numClasses, numClasses], { dtype: 'int64' });
  const [rows, columns] = [target, found].map((classes) => flatten(cast(classes, 'int64')));
  for (const [what, classes] of [
    ['targets', rows],
    ['outputs', columns],
  ] as const) {
    const [least, most] = [min(classes).item(), max(classes).item()];
    if (least < 0 || most >= numClasses)
      throw new ValueError(
        `[confusionMatrix] expected classes from 0 to ${numClasses - 1}, got ${least < 0 ? least : most} in the ${what}`,
      );
  }
  const counts = bincount(add(mul(rows, numClasses), columns), { minlength: numClasses ** 2 });
  return reshape(counts, [numClasses, numClasses]);
}

/** How the figures of all classes become one, or not. */
export type ClassAverage = 'macro' | 'micro' | 'weighted' | 'none';

/** Options of `precision`, `recall` and `f1Score`. */
export interface ClassAverageOptions<A extends ClassAverage = ClassAverage> {
  /**
   * `'macro'`: the mean over all classes that were seen or found; `'micro'`: of all samples together; `'weighted'`: the
   * mean by the samples of each class; `'none'`: an array, one figure per class. Default: `'macro'`.
   */
  average?: A;
}
const averageOptions = declareOptions<ClassAverageOptions>({ average: kind.choice });

/** What `precision` and its relatives give: a number, or one for each class. */
export type ClassFigure<A extends ClassAverage> = A extends 'none' ? number[] : number;

/** Of one class, or of all together. */
interface Hits {
  /** Samples of the class that were found to be. */
  both: number;
  /** Samples of the class. */
  seen: number;
  /** Samples that were found to be of the class. */
  found: number;
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** A figure of each class's hits, averaged as wanted. */
function figure(
  op: string,
  matrix: Tensor,
  options: ClassAverageOptions,
  of: (hits: Hits) => number,
): number | number[] {
  requireOptions(op, options, averageOptions);
  const { average = 'macro' } = options;
  requireChoice(op, 'average', average, ['macro', 'micro', 'weighted', 'none']);
  const [n = 0] = matrix.shape;
  if (matrix.rank !== 2 || matrix.shape[1] !== n || n === 0)
    throw new ValueError(`[${op}] expected a confusion matrix (C, C), got ${formatShape(matrix.shape)}`);
  const counts = cast(matrix, 'float64').dataSync() as Float64Array;
  const classes = Array.from({ length: n }, (): Hits => ({ both: 0, seen: 0, found: 0 }));
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      const count = counts[i * n + j];
      if (i === j) classes[i].both = count;
      classes[i].seen += count;
      classes[j].found += count;
    }
  const sum = (value: (hits: Hits) => number, over = classes) => over.reduce((total, hits) => total + value(hits), 0);
  switch (average) {
    case 'none':
      return classes.map(of);
    case 'micro':
      return of({ both: sum(({ both }) => both), seen: sum(({ seen }) => seen), found: sum(({ found }) => found) });
    case 'weighted':
      return share(
        sum((hits) => of(hits) * hits.seen),
        sum(({ seen }) => seen),
      );
    case 'macro': {
      const present = classes.filter(({ seen, found }) => seen > 0 || found > 0);
      return share(sum(of, present), present.length);
    }
  }
}

/**
 * Of a confusion matrix (C, C): how many of the samples that were taken for a class are of it (scikit-learn:
 * `precision_score`). Where nothing was taken for a class, 0.
 * @throws ValueError on what is no square matrix.
 * @example
 * const matrix = confusionMatrix(logits, labels, { numClasses: 10 });
 * console.log(precision(matrix), recall(matrix, { average: 'weighted' }), f1Score(matrix, { average: 'none' }));
 */
export function precision<A extends ClassAverage = 'macro'>(
  matrix: Tensor,
  options: ClassAverageOptions<A> = {},
): ClassFigure<A> {
  return figure('precision', matrix, options, ({ both, found }) => share(both, found)) as ClassFigure<A>;
}

/**
 * Of a confusion matrix (C, C): how many of a class's samples were found (scikit-learn: `recall_score`). Where a class
 * has no samples, 0. See `precision`.
 * @throws ValueError on what is no square matrix.
 */
export function recall<A extends ClassAverage = 'macro'>(
  matrix: Tensor,
  options: ClassAverageOptions<A> = {},
): ClassFigure<A> {
  return figure('recall', matrix, options, ({ both, seen }) => share(both, seen)) as ClassFigure<A>;
}

/**
 * Of a confusion matrix (C, C): the harmonic mean of precision and recall, 2·both / (seen + found), which is Dice too
 * (scikit-learn: `f1_score`). See `precision`.
 * @throws ValueError on what is no square matrix.
 */
export function f1Score<A extends ClassAverage = 'macro'>(
  matrix: Tensor,
  options: ClassAverageOptions<A> = {},
): ClassFigure<A> {
  return figure('f1Score', matrix, options, ({ both, seen, found }) => share(2 * both, seen + found)) as ClassFigure<A>;
}
