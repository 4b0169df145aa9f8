// The processes of a job and the collectives between them (PyTorch: `torch.distributed`). Collectives return at once:
// they run in the lane (lane.ts), and whoever uses their result waits for it.
import { noGrad } from '../autograd/grad_mode.ts';
import { requireChoice, requireNumber, shown } from '../checks.ts';
import { ArgumentTypeError, RuntimeError, ValueError } from '../errors.ts';
import { nodeModule } from '../files/node.ts';
import { clone } from '../ops/convert.ts';
import { overwrite } from '../ops/in_place.ts';
import type { ProcessGroup } from '../ops/norm/process_group.ts';
import { reshape, select, split } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { inFormat } from '../tensor/copy.ts';
import { fill, tensor } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { formatShape, sizeOf } from '../tensor/shape.ts';
import { allocate, requireReadable, type Tensor } from '../tensor/tensor.ts';
import { Kind, Lane, type LaneCall, type ReduceOp, type Work } from './lane.ts';
import { loadMpiAddon, startedBy } from './mpi_addon.ts';

/** Options of `initProcessGroup`. */
export interface InitOptions {
  /** Seconds after which a collective that not all ranks have called ends every rank. Default: 30. */
  timeout?: number;
}
const initOptions = declareOptions<InitOptions>({ timeout: kind.number });

/** Options of collectives. */
export interface CollectiveOptions {
  /** The processes that take part. Default: all. */
  group?: Group;
  /** What the call is for, as errors name it: a layer, a loss. */
  label?: string;
}
/** Options of `allReduce` and `reduceScatter`. */
export interface ReduceOptions extends CollectiveOptions {
  /** How the values become one. Default: `'sum'`. `'mean'` takes floats. */
  op?: ReduceOp;
}
export const collectiveOptions = declareOptions<CollectiveOptions>({ group: kind.object, label: kind.string });
const reduceOptions = declareOptions<ReduceOptions>({ ...collectiveOptions.kinds, op: kind.choice });

/** The processes of the job that a collective is among (PyTorch: `torch.distributed.ProcessGroup`). */
export class Group implements ProcessGroup {
  /** The ranks of the group, as the world numbers them, in order. */
  readonly ranks: readonly number[];
  /** This process's place in the group; −1 where it is not in it. */
  readonly rank: number;
  /** @internal */
  readonly number: number;

  /** @internal */
  constructor(number: number, ranks: readonly number[], worldRank: number) {
    this.number = number;
    this.ranks = ranks;
    this.rank = ranks.indexOf(worldRank);
  }

  /** How many processes there are. */
  get worldSize(): number {
    return this.ranks.length;
  }

  /** The tensors of all ranks, of one shape and dtype, in rank order: (worldSize, ...shape). */
  allGather(value: Tensor, label?: string): Tensor {
    const all = allocate([this.worldSize, ...value.shape], value.dtype, 'contiguous', value.backend);
    const send = inFormat(value, 'contiguous');
    run('allGather', this, all, send, { kind: Kind.allGather, label, isAwaited: true });
    return all;
  }

  /** The sum of the tensors of all ranks, of one shape and dtype. */
  allReduceSum(value: Tensor, label?: string): Tensor {
    const total = clone(inFormat(value, 'contiguous'));
    run('allReduceSum', this, total, total, { kind: Kind.allReduce, label, isAwaited: true });
    return total;
  }
}

/** The job that this process is part of. */
interface Job {
  /** Null where the process is alone. */
  readonly lane: Lane | null;
  readonly world: Group;
  readonly localRank: number;
  readonly localWorldSize: number;
  groups: number;
}
let job: Job | null = null;
/** Outlives the job: it holds the memory of calls that are still under way when the process ends. */
let startedLane: Lane | null = null;

function jobFor(op: string): Job {
  if (!job)
    throw new RuntimeError(
      `[${op}] Default process group has not been initialized, please make sure to call initProcessGroup().`,
    );
  return job;
}

const isComplete: Work = { wait: () => {}, isCompleted: true };

/** Gives a call to the lane. A group of one process has nothing to exchange: what is sent is the result. */
function run(
  op: string,
  group: Group,
  receive: Tensor | undefined,
  send: Tensor | undefined,
  call: Omit<LaneCall, 'group' | 'send' | 'receive'>,
): Work {
  const { lane } = jobFor(op);
  if (group.rank < 0)
    throw new ValueError(`[${op}] this process is not in the group of ranks ${group.ranks.join(', ')}`);
  // Without values there is nothing to exchange: whoever wants to see shapes does so alone.
  if (send?.device === 'meta') return isComplete;
  if (lane) return lane.add(op, { ...call, group: group.number, send, receive });
  if (receive && send && receive !== send) overwrite(receive, reshape(send, receive.shape));
  return isComplete;
}

/** The same of a call whose result takes the place of x. */
function runOver(op: string, group: Group, x: Tensor, call: Omit<LaneCall, 'group' | 'send' | 'receive'>): Work {
  if (x.memoryFormat === 'contiguous') return run(op, group, x, x, call);
  // In the order of indices: ranks may have different memory formats.
  const values = inFormat(x, 'contiguous');
  const work = run(op, group, values, values, call);
  noGrad(() => overwrite(x, inFormat(values, x.memoryFormat)));
  return work;
}

/** The group of a call, checked. */
function groupOf(op: string, options: CollectiveOptions): Group {
  const { world } = jobFor(op);
  const { group = world } = options;
  if (!(group instanceof Group)) throw new ArgumentTypeError(`[${op}] expected group as newGroup() returns it`);
  return group;
}

/**
 * Joins the job that `npx evenkeel launch` or `mpirun` has started (PyTorch: `torch.distributed.init_process_group`). A
 * process that was started alone
 * is a job of one. MPI can be started once in a process.
 * @throws RuntimeError where it was called before, or where the addon for MPI has not been built.
 * @example
 * initProcessGroup({ timeout: 60 });
 * console.log(`rank ${getRank()} of ${getWorldSize()}`);
 * destroyProcessGroup();
 */
export function initProcessGroup(options: InitOptions = {}): void {
  requireOptions('initProcessGroup', options, initOptions);
  const { timeout = 30 } = options;
  requireNumber('initProcessGroup', 'timeout', timeout);
  if (!(timeout > 0)) throw new ValueError(`[initProcessGroup] expected a timeout above 0 seconds, got ${timeout}`);
  if (job) throw new RuntimeError('trying to initialize the default process group twice!');
  const mpi = startedBy();
  if (!mpi) {
    job = { lane: null, world: new Group(0, [0], 0), localRank: 0, localWorldSize: 1, groups: 1 };
    return;
  }
  if (!nodeModule('initProcessGroup', 'worker_threads').isMainThread)
    throw new RuntimeError('[initProcessGroup] expected the main thread: a process is one rank');
  if (startedLane) throw new RuntimeError('[initProcessGroup] MPI can be started once in a process');
  const lane = new Lane(loadMpiAddon(mpi), timeout);
  startedLane = lane;
  const { rank, worldSize, localRank, localWorldSize } = lane.started;
  job = {
    lane,
    world: new Group(
      0,
      Array.from({ length: worldSize }, (_, i) => i),
      rank,
    ),
    localRank,
    localWorldSize,
    groups: 1,
  };
}

/** The group of all processes; null: there is no job. */
export const worldOfJob = (): Group | null => job?.world ?? null;

/**
 * The group of all processes (PyTorch: `torch.distributed.group.WORLD`).
 * @throws RuntimeError where `initProcessGroup` was not called.
 */
export const worldGroup = (): Group => jobFor('worldGroup').world;

/** The same for another function, which errors name. */
export const worldFor = (op: string): Group => jobFor(op).world;

/**
 * Whether `initProcessGroup` was called, and `destroyProcessGroup` was not (PyTorch:
 * `torch.distributed.is_initialized`).
 */
export const isInitialized = (): boolean => job !== null;

/**
 * The number of this process, from 0, among all or in a group (PyTorch: `torch.distributed.get_rank`). −1 where it is
 * not in the group.
 */
export const getRank = (group?: Group): number => groupOf('getRank', { group }).rank;

/** The number of processes, of all or of a group (PyTorch: `torch.distributed.get_world_size`). */
export const getWorldSize = (group?: Group): number => groupOf('getWorldSize', { group }).worldSize;

/** The number of this process, from 0, among those of its machine (PyTorch: the environment variable `LOCAL_RANK`). */
export const getLocalRank = (): number => jobFor('getLocalRank').localRank;

/** The number of processes on this machine, of all. */
export const localWorldSizeFor = (op: string): number => jobFor(op).localWorldSize;

function requireReducible(op: string, x: Tensor, by: ReduceOp): void {
  requireChoice(op, 'op', by, ['sum', 'mean', 'min', 'max', 'product']);
  if (by === 'mean' && !isFloat(x.dtype)) throw new RuntimeError(`[${op}] a mean takes floats, got ${x.dtype}`);
  if (x.dtype === 'bool' && by !== 'min' && by !== 'max')
    throw new RuntimeError(`[${op}] expected op 'min' (all) or 'max' (any) for bool, got '${by}'`);
}

/** A tensor that a collective may read or write. */
function requireValues(op: string, x: Tensor): void {
  requireTensor(op, x);
  requireReadable(op, x);
}

/**
 * Replaces x on every rank by the sum, mean, minimum, maximum or product over all ranks (PyTorch:
 * `torch.distributed.all_reduce`). All ranks must
 * call it with the same shape and dtype. Returns at once; who uses x waits for it.
 * @throws RuntimeError where the ranks do not agree, one is missing, or the dtype has no such operation.
 * @example
 * initProcessGroup();
 * const loss = tensor([0.5]);
 * allReduce(loss, { op: 'mean', label: 'the loss' });
 * console.log(loss.item());
 * destroyProcessGroup();
 */
export function allReduce(x: Tensor, options: ReduceOptions = {}): Work {
  requireOptions('allReduce', options, reduceOptions);
  const { op = 'sum' } = options;
  requireValues('allReduce', x);
  requireReducible('allReduce', x, op);
  return allReduceWith(x, options, false);
}

/**
 * As `allReduce`, unchecked.
 * @internal
 * @param isAwaited whether the result is used at once.
 */
export function allReduceWith(x: Tensor, options: ReduceOptions, isAwaited: boolean): Work {
  const { op: operation = 'sum', label } = options;
  const group = groupOf('allReduce', options);
  return runOver('allReduce', group, x, { kind: Kind.allReduce, operation, label, isAwaited });
}

/** Options of `allGather`. */
export interface AllGatherOptions extends CollectiveOptions {
  /**
   * Whether the sizes of the first dimension differ between ranks. They are exchanged first, which waits. Default:
   * false.
   */
  uneven?: boolean;
}
const allGatherOptions = declareOptions<AllGatherOptions>({ ...collectiveOptions.kinds, uneven: kind.flag });

/**
 * The tensors of all ranks, in rank order (PyTorch: `torch.distributed.all_gather`). With `uneven` the first dimension
 * may differ.
 * @throws RuntimeError where shapes or dtypes do not agree.
 * @example
 * initProcessGroup();
 * const parts = allGather(tensor([1, 2]));
 * console.log(parts.length); // the number of processes
 * destroyProcessGroup();
 */
export function allGather(x: Tensor, options: AllGatherOptions = {}): Tensor[] {
  requireOptions('allGather', options, allGatherOptions);
  requireValues('allGather', x);
  const { uneven = false, label } = options;
  const group = groupOf('allGather', options);
  const send = inFormat(x.detach(), 'contiguous');
  if (!uneven) {
    const all = allocate([group.worldSize, ...x.shape], x.dtype, 'contiguous', x.backend);
    run('allGather', group, all, send, { kind: Kind.allGather, label });
    return Array.from({ length: group.worldSize }, (_, rank) => select(all, 0, rank));
  }
  if (x.rank === 0) throw new ValueError('[allGather] tensors without dimensions cannot be uneven');
  const row = sizeOf(x.shape.slice(1));
  const own = allocate([1], 'int64', 'contiguous', x.backend);
  fill(own, x.shape[0]);
  const sizes = allocate([group.worldSize], 'int64', 'contiguous', x.backend);
  run('allGather', group, sizes, own, { kind: Kind.allGather, label });
  const counts = Array.from(sizes.dataSync() as BigInt64Array, Number);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const all = allocate([total, ...x.shape.slice(1)], x.dtype, 'contiguous', x.backend);
  // Ranks must agree on the shape of a row.
  const what = `${label ?? 'rows'} of ${formatShape(x.shape.slice(1))}`;
  run('allGather', group, all, send, { kind: Kind.allGather, list: counts.map((count) => count * row), label: what });
  return split(all, counts);
}

/**
 * The reduction over all ranks of one part of x each: rank r gets part r of as many equal parts of the first dimension
 * as there are ranks
 * (PyTorch: `torch.distributed.reduce_scatter_tensor`).
 * @throws ValueError where the first dimension cannot be divided so.
 * @example
 * initProcessGroup();
 * const part = reduceScatter(ones([getWorldSize(), 3])); // shape [1, 3], values getWorldSize()
 * destroyProcessGroup();
 */
export function reduceScatter(x: Tensor, options: ReduceOptions = {}): Tensor {
  requireOptions('reduceScatter', options, reduceOptions);
  const { op = 'sum', label } = options;
  requireValues('reduceScatter', x);
  requireReducible('reduceScatter', x, op);
  const group = groupOf('reduceScatter', options);
  const { worldSize } = group;
  if (x.rank === 0 || x.shape[0] % worldSize !== 0)
    throw new ValueError(
      `[reduceScatter] expected a first dimension that ${worldSize} divides, got ${formatShape(x.shape)}`,
    );
  const part = allocate([x.shape[0] / worldSize, ...x.shape.slice(1)], x.dtype, 'contiguous', x.backend);
  const list = Array<number>(worldSize).fill(part.size);
  run('reduceScatter', group, part, inFormat(x.detach(), 'contiguous'), {
    kind: Kind.reduceScatter,
    operation: op,
    list,
    label,
  });
  return part;
}

/** Options of `broadcast` and `broadcastObject`. */
export interface BroadcastOptions extends CollectiveOptions {
  /** The rank whose values all get, as the world numbers it. Default: 0. */
  src?: number;
}
const broadcastOptions = declareOptions<BroadcastOptions>({ ...collectiveOptions.kinds, src: kind.integer });

function rootIn(op: string, group: Group, src: number): number {
  const root = group.ranks.indexOf(src);
  if (root < 0) throw new ValueError(`[${op}] src=${shown(src)} is not one of the ranks ${group.ranks.join(', ')}`);
  return root;
}

/**
 * Replaces x on every rank by its values on rank `src` (PyTorch: `torch.distributed.broadcast`). Returns at once; who
 * uses x waits for it.
 * @throws RuntimeError where shapes or dtypes do not agree.
 * @example
 * initProcessGroup();
 * broadcast(tensor([1, 2]), { src: 0 });
 * destroyProcessGroup();
 */
export function broadcast(x: Tensor, options: BroadcastOptions = {}): Work {
  requireOptions('broadcast', options, broadcastOptions);
  const { src = 0, label } = options;
  requireValues('broadcast', x);
  const group = groupOf('broadcast', options);
  return runOver('broadcast', group, x, { kind: Kind.broadcast, root: rootIn('broadcast', group, src), label });
}

/** Plain data as it travels: JSON. */
const encoded = (value: unknown) => new TextEncoder().encode(JSON.stringify(value) ?? 'null');
const decoded = <T>(bytes: Tensor): T => JSON.parse(new TextDecoder().decode(bytes.dataSync() as Uint8Array)) as T;

/**
 * Plain data of rank `src`, on every rank (PyTorch: `torch.distributed.broadcast_object_list`). What JSON can hold; the
 * others' argument is not looked at.
 * @example
 * initProcessGroup();
 * const settings = broadcastObject({ seed: 7 });
 * destroyProcessGroup();
 */
export function broadcastObject<T>(value: T, options: BroadcastOptions = {}): T {
  requireOptions('broadcastObject', options, broadcastOptions);
  const { src = 0, label, group: given } = options;
  const group = groupOf('broadcastObject', options);
  const root = rootIn('broadcastObject', group, src);
  const text = encoded(value);
  const length = tensor([group.rank === root ? text.length : 0], { dtype: 'int64' });
  broadcast(length, { src, group: given, label });
  const bytes = allocate([Number(length.item())], 'uint8');
  if (group.rank === root) bytes.storage.write(text);
  broadcast(bytes, { src, group: given, label });
  return decoded(bytes);
}

/**
 * Plain data of every rank, in rank order, on every rank (PyTorch: `torch.distributed.all_gather_object`). What JSON
 * can hold.
 * @example
 * initProcessGroup();
 * const names = allGatherObject(`rank ${getRank()}`);
 * destroyProcessGroup();
 */
export function allGatherObject<T>(value: T, options: CollectiveOptions = {}): T[] {
  requireOptions('allGatherObject', options, collectiveOptions);
  return allGather(tensor(encoded(value)), { ...options, uneven: true }).map((part) => decoded<T>(part));
}

/**
 * Waits until all ranks have called it (PyTorch: `torch.distributed.barrier`).
 * @throws RuntimeError where one does not within the timeout.
 */
export function barrier(options: CollectiveOptions = {}): void {
  requireOptions('barrier', options, collectiveOptions);
  run('barrier', groupOf('barrier', options), undefined, undefined, {
    kind: Kind.barrier,
    label: options.label,
    isAwaited: true,
  }).wait();
}

/**
 * A group of some of the ranks (PyTorch: `torch.distributed.new_group`). All ranks of the job must call it, those that
 * are not in it too, in the same
 * order.
 * @param ranks as the world numbers them, in ascending order.
 * @example
 * initProcessGroup();
 * const evens = newGroup([0]);
 * destroyProcessGroup();
 */
export function newGroup(ranks: readonly number[]): Group {
  const { lane, world } = jobFor('newGroup');
  const isAscending =
    Array.isArray(ranks) && ranks.every((rank, i) => world.ranks.includes(rank) && (i === 0 || ranks[i - 1] < rank));
  if (!isAscending || ranks.length === 0)
    throw new ValueError(`[newGroup] expected ascending ranks from 0 to ${world.worldSize - 1}, got ${shown(ranks)}`);
  const label = `ranks ${ranks.join(', ')}`;
  lane?.add('newGroup', { kind: Kind.newGroup, group: 0, list: ranks, label, isAwaited: true }).wait();
  return new Group(job!.groups++, [...ranks], world.rank);
}

/**
 * Leaves the job when the calls before it are complete (PyTorch: `torch.distributed.destroy_process_group`). It returns
 * at once; the process ends
 * when all ranks have called it. Call it in a `finally`: a rank that ends without it ends the others with an error.
 */
export function destroyProcessGroup(): void {
  const { lane } = jobFor('destroyProcessGroup');
  job = null;
  lane?.add('destroyProcessGroup', { kind: Kind.destroy, group: 0 });
}
