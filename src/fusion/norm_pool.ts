// norm (→ ReLU) → pooling: the kernel of pooling reads the norm's input and normalizes it.
//   condition  nobody has asked for the norm's values; averages: runs of 64 values in memory or more
//   saves      writing and reading the normalized tensor, 2 passes, and its memory
import { launchAvgPool, launchMaxPool, type PoolShape } from '../launch/pool.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Rule } from './fused.ts';
import { withInput } from './norm_input.ts';
import { fewNeighbours } from './thresholds.ts';

/** The rule of max pooling. */
export const maxPoolRule: Rule<[x: Tensor, pool: PoolShape], readonly Tensor[]> = {
  forward(ctx, x, pool) {
    const [y, indices] = withInput(x, null, (input) => launchMaxPool(input, pool));
    ctx.save(indices);
    return [y, indices];
  },
};

/** The rule of average pooling. */
export const avgPoolRule: Rule<[x: Tensor, pool: PoolShape], Tensor> = {
  forward(_ctx, x, pool) {
    const neighbours = x.shape.at(x.memoryFormat === 'channelsLast' ? 1 : -1)!;
    return neighbours < fewNeighbours ? null : withInput(x, null, (input) => launchAvgPool(input, pool));
  },
};
