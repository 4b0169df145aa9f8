// Other forms of a tensor: of another dtype, on another device, in another memory format, or copied.
import { defineOp } from '../autograd/define_op.ts';
import { requireChoice, shown } from '../checks.ts';
import type { Backend, Device } from '../device/backend.ts';
import { backendOf, deviceNames, isDevice } from '../device/engine.ts';
import { ArgumentTypeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { copyAs, copyDense } from '../tensor/copy.ts';
import { type DType, dtypes, kindOf, promote, requireDType } from '../tensor/dtype.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { type MemoryFormat, memoryFormats } from '../tensor/shape.ts';
import { aliasOf, allocate, copyStrided, type Tensor } from '../tensor/tensor.ts';

/** x in another memory format (PyTorch: `x.contiguous(memory_format=…)`); x itself where it already is. */
export const toFormat: (x: Tensor, format: MemoryFormat) => Tensor = (x, format) => {
  requireTensor('contiguous', x);
  if (x.memoryFormat !== format) requireChoice('contiguous', 'memoryFormat', format, memoryFormats);
  return x.memoryFormat === format || x.rank < 3 ? x : convertFormat(x, format);
};
const convertFormat = defineOp({
  name: 'contiguous',
  forward: (_ctx, x: Tensor, format: MemoryFormat) => copyStrided(x, format),
  backward: (_ctx, [g]) => [g],
});

/** x converted to another dtype; x itself where it already is. Gradients are converted back. */
export function cast(x: Tensor, dtype: DType): Tensor {
  requireTensor('to', x);
  if (x.dtype === dtype) return x;
  requireDType('to', dtype);
  return convert(x, dtype, x.backend);
}
const convert = defineOp({
  name: 'to',
  forward(_ctx, x: Tensor, dtype: DType, backend: Backend) {
    const converted = x.dtype === dtype ? x : copyAs(x, dtype);
    if (x.backend === backend) return converted;
    const out = allocate(x.shape, dtype, x.memoryFormat, backend);
    copyDense('to', converted, out);
    return out;
  },
  backward: (_ctx, [g], x) => [converted(g, x.dtype, x.backend)],
});

/** x of a dtype on a backend; x itself where it already is. */
export const converted = (x: Tensor, dtype: DType, backend: Backend): Tensor =>
  x.dtype === dtype && x.backend === backend ? x : convert(x, dtype, backend);

/** A device and a dtype to convert to; either may be left out. */
export interface Placement {
  /** The device. Default: as it is. */
  readonly device?: Device;
  /** The dtype. Default: as it is. */
  readonly dtype?: DType;
}
const placement = declareOptions<Placement>({ device: kind.choice, dtype: kind.choice });

/** What `to` was given: a device, a dtype, or both. */
export function placed(target: Device | DType | Placement): Placement {
  if (isDevice(target)) return { device: target };
  if (typeof target === 'object' && target !== null) {
    requireOptions('to', target, placement);
    if (target.dtype !== undefined) requireDType('to', target.dtype);
    return target;
  }
  if (typeof target === 'string' && Object.hasOwn(dtypes, target)) return { dtype: target };
  throw new ArgumentTypeError(
    `[to] expected one of ${[...Object.keys(dtypes), ...deviceNames].join(', ')}, got ${shown(target)}`,
  );
}

/** The backend of a device, for a tensor on the backend `own`: `own` itself if it is of that device. */
export const backendFor = (device: Device | undefined, own: Backend): Backend =>
  device === undefined || device === own.device ? own : backendOf(device);

/**
 * x of another dtype, on another device, or both; x itself where it already is (PyTorch: `Tensor.to`). Gradients go
 * back the same way.
 * @throws NotImplementedError from the meta device, whose tensors have no values, to another.
 * @example
 * x.to('float64').to('meta'); // as x.to({ device: 'meta', dtype: 'float64' })
 */
export function to(x: Tensor, target: Device | DType | Placement): Tensor {
  requireTensor('to', x);
  const { device, dtype = x.dtype } = placed(target);
  return converted(x, dtype, backendFor(device, x.backend));
}

/**
 * The same memory without history: no gradient flows through it (PyTorch: `Tensor.detach`). In-place changes are seen
 * by both.
 */
export const detach: (x: Tensor) => Tensor = aliasOf;

/** A copy of x (PyTorch: `clone`). */
export const clone: (x: Tensor) => Tensor = defineOp({
  name: 'clone',
  forward(_ctx, x: Tensor) {
    const out = allocate(x.shape, x.dtype, x.memoryFormat, x.backend);
    copyDense('clone', x, out);
    return out;
  },
  backward: (_ctx, [g]) => [g],
});

/** The dtype two operands are computed in: PyTorch's promotion, in which 0-d tensors yield to others of their kind. */
export function resultType(a: Tensor, b: Tensor): DType {
  if (a.dtype === b.dtype) return a.dtype;
  if (a.rank > 0 && b.rank === 0 && kindOf(a.dtype) >= kindOf(b.dtype)) return a.dtype;
  if (b.rank > 0 && a.rank === 0 && kindOf(b.dtype) >= kindOf(a.dtype)) return b.dtype;
  return promote(a.dtype, b.dtype);
}
