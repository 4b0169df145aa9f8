// Functions of the bits of integers. Everything that is exported is public: see ../elementwise.ts.

import type { Binary } from '../../device/generated/abi.ts';
import { NotImplementedError } from '../../errors.ts';
import { isFloat } from '../../tensor/dtype.ts';
import { requireTensor } from '../../tensor/requirements.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { sub } from './arithmetic.ts';
import { defineOfIntegers } from './binary.ts';
import { logicalNot } from './comparison.ts';

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
