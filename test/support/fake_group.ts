// Process groups inside one process. `runRanks` gives every rank a group that meets the others' values; `mirror` is a
// rank among equals.
import type { ProcessGroup } from '../../src/ops/norm/process_group.ts';
import { stack } from '../../src/ops/shape_ops.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

/** Thrown at a collective whose values are not all there yet. */
class Waiting extends Error {}

/**
 * Runs `body` for every rank. A collective stops the rank until all ranks have reached the same one; then everything
 * runs again from the start, with the values that are known by then. So `body` must make its modules itself, and give
 * the same each time.
 */
export function runRanks<R>(
  worldSize: number,
  body: (group: ProcessGroup) => R,
): { results: R[]; collectives: number } {
  /** For each collective what each rank gave, in order. */
  const given: Tensor[][] = [];
  for (;;) {
    const results: R[] = [];
    for (let rank = 0; rank < worldSize; rank++) {
      let next = 0;
      const meet = (value: Tensor): Tensor[] => {
        const call = next++;
        given[call] ??= [];
        given[call][rank] = value.detach().clone();
        if (given[call].filter(Boolean).length < worldSize) throw new Waiting();
        return given[call];
      };
      const group: ProcessGroup = {
        worldSize,
        rank,
        allGather: (value) => stack(meet(value)),
        allReduceSum: (value) => stack(meet(value)).sum(0),
      };
      try {
        results.push(body(group));
      } catch (error) {
        if (!(error instanceof Waiting)) throw error;
      }
      if (results.length === rank + 1 && next < given.length)
        throw new Error(`rank ${rank} ended after ${next} collectives, others wait in one more`);
    }
    if (results.length === worldSize) return { results, collectives: given.length };
  }
}

/** A group of two ranks with the same values. */
export const mirror: ProcessGroup = {
  worldSize: 2,
  rank: 0,
  allGather: (value) => stack([value, value]),
  allReduceSum: (value) => value.mul(2),
};
