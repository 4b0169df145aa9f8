// Functions of the bits of integers. Everything that is exported is public: see ../elementwise.ts.

import type { Binary } from '../../device/generated/abi.ts';
import { NotImplementedError } from '../../errors.ts';
import { type DType, isFloat } from '../../tensor/dtype.ts';
import { requireTensor } from '../../tensor/requirements.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { abs, floorDivide, mul, sub } from './arithmetic.ts';
import { defineOfIntegers, type Operand } from './binary.ts';
import { eq, logicalNot, where } from './comparison.ts';

const ofBits = (name: keyof typeof Binary, takesBool: boolean) =>
  defineOfIntegers(name, (dtype) => {
    if (isFloat(dtype) || (dtype === 'bool' && !takesBool))
      throw new NotImplementedError(`"${name}" not implemented for '${dtype}'`);
  });
/**
 * The bits that both a and b have, element by element, broadcast; of bool: and (PyTorch: `torch.bitwise_and`). One of
 * the two may be a number.
 * @throws NotImplementedError on floats.
 */
export const bitwiseAnd = ofBits('bitwiseAnd', true);
/**
 * The bits that a or b has, element by element, broadcast; of bool: or (PyTorch: `torch.bitwise_or`). One of the two
 * may be a number.
 * @throws NotImplementedError on floats.
 */
export const bitwiseOr = ofBits('bitwiseOr', true);
/**
 * The bits that one of a and b has, element by element, broadcast; of bool: either, not both (PyTorch:
 * `torch.bitwise_xor`). One of the two may be a number.
 * @throws NotImplementedError on floats.
 */
export const bitwiseXor = ofBits('bitwiseXor', true);
/**
 * The bits of a moved up by b places, element by element, broadcast (PyTorch: `torch.bitwise_left_shift`). One of the
 * two may be a number.
 * @throws NotImplementedError on floats and bool.
 */
export const bitwiseLeftShift = ofBits('bitwiseLeftShift', false);
/**
 * The bits of a moved down by b places, the sign repeated, element by element, broadcast (PyTorch:
 * `torch.bitwise_right_shift`). One of the two may be a number.
 * @throws NotImplementedError on floats and bool.
 */
export const bitwiseRightShift = ofBits('bitwiseRightShift', false);
/**
 * Each bit the other way round; of bool: not (PyTorch: `torch.bitwise_not`).
 * @throws NotImplementedError on floats.
 */
export function bitwiseNot(x: Tensor): Tensor {
  requireTensor('bitwiseNot', x);
  if (isFloat(x.dtype)) throw new NotImplementedError(`"bitwiseNot" not implemented for '${x.dtype}'`);
  return x.dtype === 'bool' ? logicalNot(x) : sub(-1, x);
}

const ofDivisors = (dtype: DType, name: string): void => {
  if (isFloat(dtype) || dtype === 'bool') throw new NotImplementedError(`"${name}" not implemented for '${dtype}'`);
};
/**
 * The greatest common divisor of a and b, element by element, broadcast (PyTorch: `torch.gcd`). One of the two may be a
 * number.
 * @throws NotImplementedError on floats and bool.
 */
export const gcd = defineOfIntegers('gcd', (dtype) => ofDivisors(dtype, 'gcd'));
/**
 * The least common multiple of a and b, element by element, broadcast (PyTorch: `torch.lcm`). One of the two may be a
 * number.
 * @throws NotImplementedError on floats and bool.
 */
export function lcm(a: Operand, b: Operand): Tensor {
  for (const x of [a, b]) if (x instanceof Tensor) ofDivisors(x.dtype, 'lcm');
  const common = gcd(a, b);
  return abs(mul(where(eq(common, 0), 0, floorDivide(a, where(eq(common, 0), 1, common))), b));
}
