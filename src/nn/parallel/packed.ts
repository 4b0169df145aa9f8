// Several tensors in one collective: they are copied behind each other, in the order of their indices, since ranks may
// keep them in different memory formats.
import { broadcast, type Group } from '../../distributed/process_group.ts';
import { copyElements } from '../../tensor/copy.ts';
import type { DType } from '../../tensor/dtype.ts';
import { stridesOf } from '../../tensor/shape.ts';
import { allocate, type Tensor } from '../../tensor/tensor.ts';

/** Bytes that one collective carries at most, but for a single larger tensor: the copies take as much memory. */
const most = 32 * 1024 ** 2;

/** Tensors of one dtype that travel together. */
function* parcels(tensors: readonly Tensor[]): Generator<readonly Tensor[]> {
  const open = new Map<DType, { tensors: Tensor[]; bytes: number }>();
  for (const x of tensors) {
    const bytes = x.size * x.itemSize;
    let parcel = open.get(x.dtype);
    if (parcel && parcel.bytes + bytes > most) {
      yield parcel.tensors;
      parcel = undefined;
    }
    if (!parcel) open.set(x.dtype, (parcel = { tensors: [], bytes: 0 }));
    parcel.tensors.push(x);
    parcel.bytes += bytes;
  }
  for (const { tensors } of open.values()) yield tensors;
}

/** Replaces tensors, which all ranks list in the same order, by those of one rank. */
export function broadcastAll(tensors: readonly Tensor[], group: Group, src: number, label: string): void {
  const isSource = group.ranks[group.rank] === src;
  for (const parcel of parcels(tensors)) {
    const [first] = parcel;
    const size = parcel.reduce((sum, x) => sum + x.size, 0);
    const packed = allocate([size], first.dtype, 'contiguous', first.backend);
    const each = (copy: (x: Tensor, strides: readonly number[], offset: number) => void) => {
      let offset = 0;
      for (const x of parcel) {
        if (x.size > 0) copy(x, stridesOf(x.shape, 'contiguous'), offset);
        offset += x.size;
      }
    };
    if (isSource)
      each((x, strides, offset) => copyElements('broadcast', x, packed, x.shape, x.strides, strides, 0, offset));
    broadcast(packed, { src, group, label });
    if (!isSource)
      each((x, strides, offset) => {
        x.storage.beginChange();
        copyElements('broadcast', packed, x, x.shape, strides, x.strides, offset, 0);
      });
    packed.storage.release();
  }
}
