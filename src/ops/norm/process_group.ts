// What an operation needs of the processes it computes together with. Not here: how these find each other and exchange
// memory.
import type { Tensor } from '../../tensor/tensor.ts';

/**
 * Processes (ranks) that call the same collectives in the same order (PyTorch: `torch.distributed.ProcessGroup`). A
 * tensor that is handed to one is read during the call; its memory may be another tensor's afterwards.
 */
export interface ProcessGroup {
  /** Number of processes. */
  readonly worldSize: number;
  /** Which of them this is, from 0. */
  readonly rank: number;
  /**
   * The tensors of all ranks, float64 and of one shape, in rank order: (worldSize, ...shape), on the engine of `value`.
   * @param label what the call is for, as errors name it: a layer.
   */
  allGather(value: Tensor, label?: string): Tensor;
  /**
   * The sum of the tensors of all ranks, float64 and of one shape, added in rank order; on the engine of `value`.
   * @param label as for `allGather`.
   */
  allReduceSum(value: Tensor, label?: string): Tensor;
}
