// Changes in place: computed beside, then copied over.
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { RuntimeError } from '../errors.ts';
import { mergedInPlace } from '../fusion/elementwise.ts';
import { copyDense } from '../tensor/copy.ts';
import { kindOf } from '../tensor/dtype.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import { aliasOf, allocate, type Tensor } from '../tensor/tensor.ts';
import { cast, toFormat } from './convert.ts';
import { launchBinary } from './elementwise/binary.ts';
import { add } from './elementwise.ts';

/** Replaces the values of x by those of `compute(x)`, and x's place in the graph with them. */
export function inPlace(name: string, x: Tensor, compute: (x: Tensor) => Tensor): Tensor {
  requireTensor(name, x);
  if (isGradEnabled() && x.requiresGrad && x.isLeaf)
    throw new RuntimeError('a leaf Variable that requires grad is being used in an in-place operation.');
  const before = aliasOf(x);
  before.gradFn = x.gradFn;
  before.outputIndex = x.outputIndex;
  before.history = x.history;
  const result = compute(before);
  if (!sameShape(result.shape, x.shape))
    throw new RuntimeError(
      `output with shape ${formatShape(x.shape)} doesn't match the broadcast shape ${formatShape(result.shape)}`,
    );
  if (kindOf(result.dtype) > kindOf(x.dtype))
    throw new RuntimeError(`result type ${result.dtype} can't be cast to the desired output type ${x.dtype}`);
  const converted = toFormat(cast(result, x.dtype), x.memoryFormat);
  if (before.isSaved) moveAway(before);
  overwrite(x, converted);
  if (converted.gradFn) {
    x.gradFn = converted.gradFn;
    x.outputIndex = converted.outputIndex;
    x.history = ++x.storage.history;
  }
  return x;
}

/**
 * Gives a tensor memory of its own with the same values: a backward needs these when others share the memory and
 * overwrite it.
 */
function moveAway(saved: Tensor): void {
  const { version } = saved;
  const copy = allocate(saved.shape, saved.dtype, saved.memoryFormat, saved.backend);
  copyDense('copy', saved, copy);
  saved.storage = copy.storage;
  saved.storage.version = version;
  saved.history = saved.storage.history;
}

/** a + b over the memory of a; unrecorded, and without a tensor in between where b lies as a does. */
export function addOver(a: Tensor, b: Tensor): void {
  const isAlike = a.dtype === b.dtype && a.memoryFormat === b.memoryFormat && sameShape(a.shape, b.shape);
  if (!isAlike) {
    inPlace('add_', a, (x) => add(x, b));
    return;
  }
  a.storage.beginChange();
  launchBinary('add', a, b, 1, a.dtype, a);
}

/** Copies the values of `from`, of the same shape, dtype and order, over those of `to`. */
export function overwrite(to: Tensor, from: Tensor): void {
  if (mergedInPlace(to, from)) return;
  to.storage.beginChange();
  copyDense('copy', from, to);
}
