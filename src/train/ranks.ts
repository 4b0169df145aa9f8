// What training needs of the other ranks of a job, where the model is a DistributedDataParallel: one decision for all,
// means over all, one file. Alone, every question is answered by this process.
import { allGather, allGatherObject, allReduce, Group } from '../distributed/process_group.ts';
import { RuntimeError } from '../errors.ts';
import type { Module } from '../nn/module.ts';
import { SyncBatchNorm } from '../nn/norm/sync_batch_norm.ts';
import { DistributedDataParallel } from '../nn/parallel/distributed_data_parallel.ts';
import { whoSays } from '../nn/parallel/model_agreement.ts';
import { syncBuffers } from '../nn/parallel/sync_buffers.ts';
import { tensor } from '../tensor/create.ts';
import { type Averages, averagesOfEach } from './metrics.ts';
import { explainNonFinite } from './non_finite.ts';

/** The model itself, of one that may be a DistributedDataParallel. */
export const modelItself = (model: Module): Module => (model instanceof DistributedDataParallel ? model.module : model);

export class Ranks {
  /** The model itself, as checkpoints have it. */
  readonly model: Module;
  private readonly parallel: DistributedDataParallel | null;
  /** Null: this process is alone. */
  private readonly group: Group | null;

  constructor(model: Module) {
    this.parallel = model instanceof DistributedDataParallel ? model : null;
    this.model = modelItself(model);
    const group = this.parallel?.processGroup;
    this.group = group && group.worldSize > 1 ? group : null;
  }

  /** The place of this process among those that train. */
  get rank(): number {
    return this.group?.rank ?? 0;
  }
  get worldSize(): number {
    return this.group?.worldSize ?? 1;
  }
  /** Where errors happen, in words; '' where there is one process. */
  get place(): string {
    return this.group ? ` on rank ${this.group.ranks[this.group.rank]}` : '';
  }

  /** Whether something holds on any rank. All ranks must ask. */
  any(label: string, own: boolean): boolean {
    const { group } = this;
    if (!group) return own;
    const flag = tensor([own ? 1 : 0], { dtype: 'uint8' });
    allReduce(flag, { op: 'max', group, label });
    return flag.item() !== 0;
  }

  /** The averages of every rank, in rank order. */
  averagesOfEach(own: Averages): Averages[] {
    return this.group ? averagesOfEach(own, this.group, 'averages') : [own];
  }

  /** The averages over the samples of all ranks. */
  averagesOfAll(own: Averages): Averages {
    return this.group ? own.ofAllRanks({ group: this.group }) : own;
  }

  /** Lets the running statistics of all ranks be what all of them have seen. */
  shareStatistics(): void {
    if (this.group) syncBuffers(this.model, { group: this.group });
  }

  /** Bytes of every rank, as many on each, in rank order. */
  bytesOfAll(label: string, own: Uint8Array): Uint8Array[] {
    const { group } = this;
    if (!group) return [own];
    return allGather(tensor(own), { group, label }).map((part) => part.dataSync() as Uint8Array);
  }

  /** @throws RuntimeError where the ranks do not say the same, naming who says what. */
  requireSame(op: string, label: string, own: string): void {
    const { group } = this;
    if (!group) return;
    const lines = whoSays(allGatherObject(own, { group, label }), group);
    if (lines.length === 1) return;
    throw new RuntimeError(`[${op}] the ranks do not agree on ${label}:${lines.join('')}`);
  }

  /**
   * Why a loss is not finite. The forward runs once more, on this rank alone: its batch norms do not wait for others.
   */
  explain(inputs: readonly unknown[]): { layer: string; cause: string } {
    const { group } = this;
    if (!group) return explainNonFinite(this.model, inputs);
    const own = group.ranks[group.rank];
    const layers = this.model.modules().filter((module) => module instanceof SyncBatchNorm);
    const former = layers.map(({ processGroup }) => processGroup);
    for (const layer of layers) layer.processGroup = new Group(-1, [own], own);
    try {
      const found = explainNonFinite(this.model, inputs);
      if (found.layer || layers.length === 0 || !found.isLossItself) return found;
      return {
        layer: '',
        cause: "with this rank's batch alone every layer is finite: SyncBatchNorm has brought it from another rank",
      };
    } finally {
      for (const [i, layer] of layers.entries()) layer.processGroup = former[i];
    }
  }

  /** Runs `fn`, a forward and a backward; the gradients of the backward are kept to this rank, or not. */
  keeping<R>(isKept: boolean, fn: () => R): R {
    return isKept && this.parallel ? this.parallel.noSync(fn) : fn();
  }
}
