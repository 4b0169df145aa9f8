/**
 * Several processes: who they are, and collectives between them, over MPI (PyTorch: `torch.distributed`).
 * @module evenkeel/distributed
 */
export type { ReduceOp, Work } from './lane.ts';
export {
  type AllGatherOptions,
  allGather,
  allGatherObject,
  allReduce,
  type BroadcastOptions,
  barrier,
  broadcast,
  broadcastObject,
  type CollectiveOptions,
  destroyProcessGroup,
  Group,
  getLocalRank,
  getRank,
  getWorldSize,
  type InitOptions,
  initProcessGroup,
  isInitialized,
  newGroup,
  type ReduceOptions,
  reduceScatter,
  worldGroup,
} from './process_group.ts';
