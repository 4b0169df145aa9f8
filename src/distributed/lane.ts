// The lane of communication as JavaScript sees it: calls on tensors, carried out in their order. A call starts when the
// kernels that write its tensors have run; kernels that use its result wait for it; JavaScript waits for neither.
// Behind it is mpi/lane.cpp.
import { RuntimeError } from '../errors.ts';
import type { DType } from '../tensor/dtype.ts';
import { type Arrival, outsideScopes, type Storage } from '../tensor/storage.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { MpiAddon, Started } from './mpi_addon.ts';

/** As mpi/lane.h numbers them. */
export const Kind = {
  allReduce: 0,
  allGather: 1,
  reduceScatter: 2,
  broadcast: 3,
  barrier: 4,
  newGroup: 5,
  destroy: 6,
} as const;
type Kind = (typeof Kind)[keyof typeof Kind];
/** How the values of all ranks become one (PyTorch: `torch.distributed.ReduceOp`). */
export type ReduceOp = 'sum' | 'mean' | 'min' | 'max' | 'product';
/** In the order of mpi/lane.h. */
const operations: readonly ReduceOp[] = ['sum', 'mean', 'min', 'max', 'product'];
const dtypes: readonly DType[] = ['float32', 'float64', 'int32', 'int64', 'uint8', 'bool'];

/** A call that may still be running (PyTorch: `torch.distributed.Work`). */
export interface Work {
  /** Waits until the call is complete. Operations on its result, and whoever reads that, wait by themselves. */
  wait(): void;
  /** Whether the call is complete. */
  readonly isCompleted: boolean;
}

export interface LaneCall {
  readonly kind: Kind;
  /** The number of the group; 0 is the world. */
  readonly group: number;
  readonly operation?: ReduceOp;
  /** Whose values all ranks get: a rank within the group. */
  readonly root?: number;
  /** The tensor that this rank gives. */
  readonly send?: Tensor;
  /** The tensor that takes the result; it may be `send`. */
  readonly receive?: Tensor;
  /** Elements of each rank, where they differ; or the ranks of a new group. */
  readonly list?: readonly number[];
  /** What it is for, as errors name it: a layer, a bucket. */
  readonly label?: string;
  /** Whether its end is waited for, or its result used, at once. */
  readonly isAwaited?: boolean;
}

/** The memory of a tensor in a call. */
interface Place {
  readonly address: number;
  /** Gives the memory back when the call is complete. */
  release(): void;
  /** What was received, where that is elsewhere than in the tensor. */
  readonly bytes?: Uint8Array;
}

export class Lane {
  readonly started: Started;
  private readonly addon: MpiAddon;
  /** Calls that may be running, oldest first. */
  private running: { readonly number: number; readonly places: readonly Place[] }[] = [];

  constructor(addon: MpiAddon, timeoutSeconds: number) {
    this.addon = addon;
    this.started = addon.start(timeoutSeconds);
    process.once('exit', (code) => addon.leave(code));
  }

  /** Gives a call to the lane. @param op the function that the user called. */
  add(op: string, call: LaneCall): Work {
    this.releaseCompleted();
    const { kind, group, operation = 'sum', root = 0, send, receive, list = [], label = '', isAwaited = false } = call;
    const to = receive && this.placeOf(receive, true);
    const from = send === receive ? to : send && this.placeOf(send, false);
    const like = send ?? receive;
    const queue = like?.backend.queue;
    const number = this.addon.add(
      kind,
      group,
      like ? dtypes.indexOf(like.dtype) : 0,
      operations.indexOf(operation),
      root,
      from?.address ?? 0,
      to?.address ?? 0,
      like?.size ?? 0,
      list,
      queue?.launched() ?? 0,
      queue?.done ?? 0,
      label,
      isAwaited,
    );
    this.running.push({ number, places: [...new Set([to, from])].filter((place) => place !== undefined) });
    receive?.storage.expect(this.arrivalOf(op, number, receive.storage, to?.bytes));
    const { addon } = this;
    return {
      wait: () => this.wait(op, number),
      get isCompleted() {
        return addon.completed() >= number;
      },
    };
  }

  /** Waits until so many calls are complete. @throws RuntimeError where one has failed, with the reason. */
  private wait(op: string, number: number): void {
    if (!this.addon.wait(number)) throw new RuntimeError(`[${op}] ${this.addon.error()}`);
    this.releaseCompleted();
  }

  /** Gives memory back that completed calls no longer use. */
  private releaseCompleted(): void {
    const completed = this.addon.completed();
    let count = 0;
    for (; count < this.running.length && this.running[count].number <= completed; count++)
      for (const place of this.running[count].places) place.release();
    if (count > 0) this.running = this.running.slice(count);
  }

  /** The memory of a tensor. Natively MPI reads and writes it where it is; WebAssembly's is copied. */
  private placeOf(x: Tensor, isReceived: boolean): Place {
    x.materialize();
    if (isReceived) x.storage.beginChange();
    const { address } = x.storage;
    if (address !== null) {
      // Nobody else gets the memory before the call is complete, whatever becomes of the tensor and its scope. What is
      // sent must not change before either: whoever changes it moves to other memory. What is received changes here.
      if (isReceived) return { address, release: x.storage.hold() };
      const loan = outsideScopes(() => x.storage.lend());
      return { address, release: () => loan.release() };
    }
    const bytes = x.storage.bytes().slice();
    return { address: this.addon.addressOf(bytes.buffer), release: () => {}, bytes };
  }

  private arrivalOf(op: string, number: number, { backend: { queue } }: Storage, bytes?: Uint8Array): Arrival {
    let isReceived = false;
    const beforeRead = (storage: Storage) => {
      this.wait(op, number);
      // Loans share the memory: once is enough, into whichever is asked for first.
      if (bytes && !isReceived) storage.write(bytes);
      isReceived = true;
    };
    if (!queue) return { beforeRead, beforeKernel: beforeRead };
    const beforeKernel = () => {
      queue.awaitPlace(this.started.wait, number, () => `[${op}] ${this.addon.error()}`);
      // With one thread it has waited by now, and kernels must not go on with what never came.
      if (this.addon.completed() < number && this.addon.error() !== null) this.wait(op, number);
    };
    return { beforeRead, beforeKernel };
  }
}
