// The loss of connectionist temporal classification, for sequences whose labels are not aligned with the input.
import { defineOp } from '../../autograd/define_op.ts';
import { isGradEnabled } from '../../autograd/grad_mode.ts';
import { requireInteger } from '../../checks.ts';
import { KernelRefusal } from '../../device/address_backend.ts';
import { Status } from '../../device/generated/abi.ts';
import { IndexError, NotImplementedError, RuntimeError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { rowMajor } from '../../tensor/copy.ts';
import { tensorOn } from '../../tensor/create.ts';
import { isFloat } from '../../tensor/dtype.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../../tensor/requirements.ts';
import { formatShape } from '../../tensor/shape.ts';
import { allocate, Tensor } from '../../tensor/tensor.ts';
import { cast } from '../convert.ts';
import { clamp, div, eq, where } from '../elementwise.ts';
import { mean } from '../reduce.ts';
import { reshape } from '../shape_ops.ts';
import { type LossOptions, reduced, requireReduction } from './reduction.ts';

/** Where the labels of each sample are, and how much of the input is theirs. */
interface Sequences {
  readonly inputLengths: readonly number[];
  readonly targetLengths: readonly number[];
  readonly offsets: readonly number[];
  readonly blank: number;
}

const ctcOp = defineOp({
  name: 'ctcLoss',
  forward(ctx, logProbabilities: Tensor, targets: Tensor, sequences: Sequences, _loseInfinite: boolean) {
    const [logP, labels] = [rowMajor(logProbabilities), rowMajor(targets)];
    const [steps, n] = logP.shape;
    const { backend, dtype } = logP;
    const most = Math.max(0, ...sequences.targetLengths);
    const losses = allocate([n], dtype, 'contiguous', backend);
    const alpha = allocate([n, steps, 2 * most + 3], dtype, 'contiguous', backend);
    try {
      backend.launch.ctcLoss('ctcLoss', { logP, targets: labels, ...sequences, most, losses, alpha });
    } catch (error) {
      if (!(error instanceof KernelRefusal) || error.status !== Status.badIndex) throw error;
      throw new IndexError(`[ctcLoss] expected labels from 0 to ${logP.shape[2] - 1} in targets`);
    }
    ctx.save(logP, labels, losses, alpha);
    return losses;
  },
  backward(ctx, [g], info, _targets, sequences, loseInfinite) {
    if (isGradEnabled())
      throw new NotImplementedError('the derivative for the backward of ctcLoss is not implemented.');
    const [logP, targets, losses, alpha] = ctx.saved;
    const most = Math.max(0, ...sequences.targetLengths);
    const dlogP = allocate(info.shape, info.dtype, 'contiguous', info.backend);
    info.backend.launch.ctcLossBackward('ctcLossBackward', {
      g: rowMajor(g),
      logP,
      targets,
      ...sequences,
      losses,
      alpha,
      dlogP,
      most,
      loseInfinite,
    });
    return [dlogP, null];
  },
}) as (logP: Tensor, targets: Tensor, sequences: Sequences, loseInfinite: boolean) => Tensor;

/** Options of `ctcLoss` and `CTCLoss`. */
export interface CtcOptions extends LossOptions {
  /** The class that stands for no label. Default: 0. */
  blank?: number;
  /**
   * Make infinite losses, of inputs that are too short for their labels, 0, and their gradients too. Default: false.
   */
  zeroInfinity?: boolean;
}
export const ctcOptions = declareOptions<CtcOptions>({
  blank: kind.integer,
  reduction: kind.choice,
  zeroInfinity: kind.flag,
});

/** Lengths as a tensor of integers, or as numbers. */
export type Lengths = Tensor | readonly number[];

function lengthsOf(name: string, lengths: Lengths, n: number, limit: number, isMeta: boolean): number[] {
  if (lengths instanceof Tensor && (isFloat(lengths.dtype) || lengths.dtype === 'bool'))
    throw new RuntimeError(`${name} must be integral`);
  if (lengths instanceof Tensor && lengths.device === 'meta') return new Array<number>(n).fill(limit);
  const values =
    lengths instanceof Tensor ? Array.from(lengths.dataSync() as ArrayLike<number | bigint>, Number) : [...lengths];
  if (values.length !== n) throw new RuntimeError(`[ctcLoss] expected ${name} of ${n} samples, got ${values.length}`);
  for (const value of values) {
    requireInteger('ctcLoss', name, value);
    if (!isMeta && (value < 0 || value > limit))
      throw new RuntimeError(
        `[ctcLoss] expected ${name} to have value at most ${limit} and at least 0, but got ${value}`,
      );
  }
  return values;
}

/**
 * The loss of connectionist temporal classification of log-probabilities (T, N, C), or (T, C) for one sample, against
 * labels: targets (N, S), or those of all samples in a row; int64 or int32 (Graves et al. 2006; PyTorch: `F.ctc_loss`).
 * `'mean'` divides each loss by its number of labels first. As in PyTorch the gradient is right for what comes from
 * `logSoftmax` only, and has none of its own.
 * @throws RuntimeError on lengths beyond the tensors, and on shapes that do not fit; IndexError on a label that is no
 *   class.
 * @example
 * const frames = logSoftmax(randn([50, 2, 20]), 2); // 50 frames of 2 samples, 20 classes
 * const loss = ctcLoss(frames, randint(1, 20, [2, 12]), [50, 47], [12, 9]);
 */
export function ctcLoss(
  logProbabilities: Tensor,
  targets: Tensor,
  inputLengths: Lengths,
  targetLengths: Lengths,
  options: CtcOptions = {},
): Tensor {
  requireOptions('ctcLoss', options, ctcOptions);
  return ctcLossWith(logProbabilities, targets, inputLengths, targetLengths, options);
}
/** As the layer calls it, which has checked the options. */
export function ctcLossWith(
  logProbabilities: Tensor,
  targets: Tensor,
  inputLengths: Lengths,
  targetLengths: Lengths,
  { blank = 0, reduction = 'mean', zeroInfinity = false }: CtcOptions,
): Tensor {
  requireReduction('ctcLoss', reduction);
  requireInteger('ctcLoss', 'blank', blank);
  requireFloat('ctcLoss', logProbabilities);
  requireTensor('ctcLoss', targets);
  if (targets.dtype !== 'int64' && targets.dtype !== 'int32')
    throw new RuntimeError(`[ctcLoss] expected targets of int64 or int32, got ${targets.dtype}`);
  requireSameDevice('ctcLoss', logProbabilities, targets);
  const { rank, device, shape } = logProbabilities;
  if (rank !== 2 && rank !== 3)
    throw new RuntimeError(`[ctcLoss] expected logProbabilities of 2 or 3 dimensions, got ${formatShape(shape)}`);
  const isBatch = rank === 3;
  const logP = isBatch ? logProbabilities : reshape(logProbabilities, [shape[0], 1, shape[1]]);
  const [steps, n, classes] = logP.shape;
  if (n === 0) throw new RuntimeError('[ctcLoss] logProbabilities tensor must not be empty');
  if (blank < 0 || blank >= classes) throw new RuntimeError('blank must be in label range');
  const isMeta = device === 'meta';
  const isPadded = targets.rank === 2 || (!isBatch && targets.rank === 1);
  if (targets.rank > 2 || (targets.rank === 2 && targets.shape[0] !== n))
    throw new RuntimeError(`[ctcLoss] expected targets of shape (${n}, S) or (S), got ${formatShape(targets.shape)}`);
  const width = isPadded ? (targets.shape.at(-1) ?? 0) : targets.size;
  const inputs = lengthsOf('inputLengths', inputLengths, n, steps, isMeta);
  const lengths = lengthsOf('targetLengths', targetLengths, n, width, isMeta);
  let labels = 0;
  const offsets = lengths.map((length, i) => {
    const offset = isPadded ? i * width : labels;
    labels += length;
    return offset;
  });
  if (!isPadded && !isMeta && labels > targets.size)
    throw new RuntimeError(`[ctcLoss] expected targets of at least ${labels} labels, got ${targets.size}`);
  const all = ctcOp(
    logP,
    cast(targets, 'int64'),
    { inputLengths: inputs, targetLengths: lengths, offsets, blank },
    zeroInfinity,
  );
  const losses = zeroInfinity ? where(eq(all, Infinity), 0, all) : all;
  if (reduction === 'mean') return mean(div(losses, clamp(tensorOn(logP.backend, lengths, logP.dtype), 1)));
  return reduced(isBatch ? losses : reshape(losses, []), reduction);
}
