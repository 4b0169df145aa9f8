// The values of many tensors on all ranks, in one exchange of bytes, whatever their dtypes. Not here: collectives on
// single tensors (distributed/).

import { noGrad } from '../../autograd/grad_mode.ts';
import { allGather, broadcast, type Group } from '../../distributed/process_group.ts';
import { overwrite } from '../../ops/in_place.ts';
import { inFormat } from '../../tensor/copy.ts';
import { fromTypedArrayOn } from '../../tensor/create.ts';
import { dtypes, type TypedArray } from '../../tensor/dtype.ts';
import { scope } from '../../tensor/scope.ts';
import { allocate, type Tensor } from '../../tensor/tensor.ts';

/** The elements of tensors, in the order of their indices, one tensor behind the other. */
function packed(tensors: readonly Tensor[]): Tensor {
  const bytes = new Uint8Array(tensors.reduce((sum, { size, dtype }) => sum + size * dtypes[dtype].size, 0));
  let at = 0;
  for (const tensor of tensors) {
    const { buffer, byteOffset, byteLength } = inFormat(tensor.detach(), 'contiguous').dataSync();
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  const all = allocate([bytes.length], 'uint8');
  all.storage.write(bytes);
  return all;
}

function unpacked(from: Tensor, like: readonly Tensor[]): TypedArray[] {
  const bytes = from.dataSync() as Uint8Array;
  let at = 0;
  return like.map(({ size, dtype }) => {
    const { array: Values, size: width } = dtypes[dtype];
    // A copy, which begins where its dtype may begin.
    const own = bytes.slice(at, at + size * width);
    at += own.length;
    return new Values(own.buffer, 0, size);
  });
}

/** The values of tensors on every rank of a group; null: of this process alone. `label` as errors name the exchange. */
export function valuesOfRanks(tensors: readonly Tensor[], group: Group | null, label: string): TypedArray[][] {
  return scope(() => {
    const own = packed(tensors);
    const all = group ? allGather(own, { group, label }) : [own];
    return all.map((each) => unpacked(each, tensors));
  });
}

/** The values of tensors on the first rank of a group. */
export function valuesOfFirst(tensors: readonly Tensor[], group: Group, label: string): TypedArray[] {
  return scope(() => {
    const bytes = packed(tensors);
    broadcast(bytes, { src: group.ranks[0], group, label });
    return unpacked(bytes, tensors);
  });
}

/** Writes values over those of a tensor, whose order in memory may be another. */
export const setValues = (tensor: Tensor, values: TypedArray): void =>
  noGrad(() =>
    scope(() => {
      const from = fromTypedArrayOn(tensor.backend, values, tensor.shape, tensor.dtype);
      overwrite(tensor, inFormat(from, tensor.memoryFormat));
    }),
  );
