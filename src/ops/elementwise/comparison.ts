// Comparisons, logic, and the choice by a condition. Everything that is exported is public: see ../elementwise.ts.
import { defineOp } from '../../autograd/define_op.ts';
import { RuntimeError } from '../../errors.ts';
import { commonLayout } from '../../launch/layout.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { fullOn } from '../../tensor/create.ts';
import { type DType, requireDType } from '../../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../../tensor/requirements.ts';
import { allocate, Tensor } from '../../tensor/tensor.ts';
import { warn } from '../../warnings.ts';
import { sumTo } from '../broadcast.ts';
import { cast, resultType } from '../convert.ts';
import { defineComparison, inWords, type Operand, type Prepared, prepared, withScalar } from './binary.ts';
import { defineTest } from './unary.ts';

/** Whether a = b, element by element, broadcast, as bool (PyTorch: `torch.eq`). */
export const eq = defineComparison('eq');
/** Whether a ≠ b, element by element, broadcast, as bool (PyTorch: `torch.ne`). */
export const ne = defineComparison('ne');
/** Whether a < b, element by element, broadcast, as bool (PyTorch: `torch.lt`). */
export const lt = defineComparison('lt');
/** Whether a ≤ b, element by element, broadcast, as bool (PyTorch: `torch.le`). */
export const le = defineComparison('le');
/** Whether a > b, element by element, broadcast, as bool (PyTorch: `torch.gt`). */
export const gt = defineComparison('gt');
/** Whether a ≥ b, element by element, broadcast, as bool (PyTorch: `torch.ge`). */
export const ge = defineComparison('ge');
/** Whether both a and b are not 0, element by element, broadcast, as bool (PyTorch: `torch.logical_and`). */
export const logicalAnd = defineComparison('logicalAnd');
/** Whether a or b is not 0, element by element, broadcast, as bool (PyTorch: `torch.logical_or`). */
export const logicalOr = defineComparison('logicalOr');
/** Whether exactly one of a and b is not 0, element by element, broadcast, as bool (PyTorch: `torch.logical_xor`). */
export const logicalXor = defineComparison('logicalXor');
/** True where x is 0, as bool (PyTorch: `torch.logical_not`). */
export const logicalNot = defineTest('logicalNot');
/** True where x is NaN, as bool (PyTorch: `torch.isnan`). */
export const isnan = defineTest('isnan');
/** True where x is neither NaN nor infinite, as bool (PyTorch: `torch.isfinite`). */
export const isfinite = defineTest('isfinite');
/** True where x is infinite, as bool; never of integers (PyTorch: `torch.isinf`). */
export const isinf = defineTest('isinf');
/** True where the sign of x is a minus, also of −0, as bool (PyTorch: `torch.signbit`). */
export const signbit = defineTest('signbit');

const whereOp = defineOp({
  name: 'where',
  forward(ctx, condition: Tensor, a: Tensor, b: Tensor) {
    requireSameDevice('where', condition, a, b);
    const layout = commonLayout([condition, a, b]);
    const out = allocate(layout.shape, a.dtype, layout.format, a.backend);
    const [conditionStrides, aStrides, bStrides] = layout.strides;
    try {
      a.backend.launch.where('where', {
        condition,
        a,
        b,
        out,
        shape: layout.dims,
        conditionStrides,
        aStrides,
        bStrides,
      });
    } catch (error) {
      throw inWords('where', error, false);
    }
    ctx.save(condition);
    return out;
  },
  backward(ctx, [g], _condition, a, b) {
    const [condition] = ctx.saved;
    return [
      null,
      ctx.needs[1] ? sumTo(where(condition, g, 0), a.shape) : null,
      ctx.needs[2] ? sumTo(where(condition, 0, g), b.shape) : null,
    ];
  },
});

/** Options of `where`. */
export interface WhereOptions {
  /** The dtype of the result of two numbers. Default: float32. */
  dtype?: DType;
}
const whereOptions = declareOptions<WhereOptions>({ dtype: kind.choice });

/**
 * Values of `a` where the condition holds, of `b` elsewhere; all three are broadcast (PyTorch: `torch.where`).
 * @throws RuntimeError where the condition is neither bool nor uint8, or shapes do not broadcast.
 * @example
 * where(x.gt(0), x, 0);
 */
export function where(condition: Tensor, a: Operand, b: Operand, options?: WhereOptions): Tensor {
  if (options !== undefined) {
    requireOptions('where', options, whereOptions);
    if (options.dtype !== undefined) requireDType('where', options.dtype);
  }
  requireTensor('where', condition);
  const left = prepared('where', a, condition);
  const right = prepared('where', b, condition);
  if (condition.dtype === 'uint8')
    warn('where received a uint8 condition tensor. This behavior is deprecated. Use a boolean condition instead.');
  else if (condition.dtype !== 'bool')
    throw new RuntimeError(
      `where expected condition to be a boolean tensor, but got a tensor with dtype ${condition.dtype}`,
    );
  const common =
    left instanceof Tensor && right instanceof Tensor
      ? resultType(left, right)
      : left instanceof Tensor
        ? withScalar(left, right as number)
        : right instanceof Tensor
          ? withScalar(right, left)
          : (options?.dtype ?? 'float32');
  const inDtype = (value: Prepared) =>
    value instanceof Tensor ? cast(value, common) : fullOn(condition.backend, [], value, common);
  return whereOp(cast(condition, 'bool'), inDtype(left), inDtype(right));
}
