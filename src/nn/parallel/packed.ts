// Several tensors in one collective: they are copied behind each other, in the order of their indices, since ranks may
// keep them in different memory formats.
import { broadcast, type Group } from '../../distributed/process_group.ts';
import { copyElements } from '../../tensor/copy.ts';
import { allocate, Tensor } from '../../tensor/tensor.ts';

/** Bytes that one collective carries at most, but for a single larger tensor: the copies take as much memory. */
const most = 32 * 1024 ** 2;
/** Bytes to which tensors are aligned in a parcel: those of the largest elements. */
const alignment = 8;

/** Tensors that travel together, each with the place of its first byte. */
interface Parcel {
  readonly items: { readonly x: Tensor; readonly start: number }[];
  bytes: number;
}

function parcelsOf(tensors: readonly Tensor[]): Parcel[] {
  const parcels: Parcel[] = [];
  for (const x of tensors) {
    if (x.size === 0) continue;
    const bytes = Math.ceil((x.size * x.itemSize) / alignment) * alignment;
    let parcel = parcels.at(-1);
    if (!parcel || parcel.bytes + bytes > most) parcels.push((parcel = { items: [], bytes: 0 }));
    parcel.items.push({ x, start: parcel.bytes });
    parcel.bytes += bytes;
  }
  return parcels;
}

/** Replaces tensors, which all ranks list in the same order, by those of one rank. */
export function broadcastAll(tensors: readonly Tensor[], group: Group, src: number, label: string): void {
  const isSource = group.ranks[group.rank] === src;
  for (const { items, bytes } of parcelsOf(tensors)) {
    const packed = allocate([bytes], 'uint8', 'contiguous', items[0].x.backend);
    const partFor = ({ shape, dtype, size, itemSize }: Tensor, start: number) =>
      new Tensor(shape, dtype, 'contiguous', packed.storage.range(start, size * itemSize));
    if (isSource)
      for (const { x, start } of items) {
        const part = partFor(x, start);
        copyElements('broadcast', x, part, x.shape, x.strides, part.strides);
      }
    broadcast(packed, { src, group, label });
    if (!isSource)
      for (const { x, start } of items) {
        const part = partFor(x, start);
        x.storage.beginChange();
        copyElements('broadcast', part, x, x.shape, part.strides, x.strides);
      }
    packed.storage.release();
  }
}
