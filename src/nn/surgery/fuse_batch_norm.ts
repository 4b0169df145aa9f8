// Folding one batch norm into the convolution or linear layer before it, for evaluation. Not here: finding such pairs
// in a model (fold.ts).
import { noGrad } from '../../autograd/grad_mode.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { expand } from '../../ops/broadcast.ts';
import { cast } from '../../ops/convert.ts';
import { add, mul, rsqrt, sub } from '../../ops/elementwise.ts';
import { reshape } from '../../ops/shape_ops.ts';
import { inFormat } from '../../tensor/copy.ts';
import { scope } from '../../tensor/scope.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type ConvBase, TransposedConv } from '../conv.ts';
import type { Linear } from '../linear.ts';
import type { Module } from '../module.ts';
import type { BatchNormBase } from '../norm/batch_norm.ts';
import { Parameter } from '../parameter.ts';
import { copyModule } from './copy_module.ts';

/**
 * Puts into a layer, whose output channels are axis `axis` of its weight seen as `view`, what a batch norm in
 * evaluation does behind it:
 *   s = γ/√(runningVar + eps),  weight′ = weight·s,  bias′ = (bias − runningMean)·s + β,
 * in float64, and rounded once to the layer's dtypes (PyTorch: `fuse_conv_bn_weights`, `fuse_linear_bn_weights`).
 */
function absorb(
  layer: { weight: Parameter; bias: Parameter | null },
  norm: BatchNormBase,
  channels: number,
  view: readonly number[],
  across: (perChannel: Tensor) => Tensor,
): void {
  const { weight, bias } = layer;
  const wide = (t: Tensor) => cast(t, 'float64');
  const [mean, variance] = [wide(norm.runningMean!), wide(norm.runningVar!)];
  const invstd = rsqrt(add(variance, norm.eps));
  const scale = norm.weight ? mul(invstd, wide(norm.weight)) : invstd;
  const centred = bias ? sub(wide(bias), mean) : mul(mean, -1);
  const shifted = mul(centred, scale);
  const fusedBias = norm.bias ? add(shifted, wide(norm.bias)) : shifted;
  const fusedWeight = reshape(mul(reshape(wide(weight), view), across(scale)), weight.shape);
  layer.weight = new Parameter(inFormat(cast(fusedWeight, weight.dtype), weight.memoryFormat), {
    requiresGrad: weight.requiresGrad,
  });
  layer.bias = new Parameter(cast(expand(fusedBias, [channels]), bias?.dtype ?? weight.dtype), {
    requiresGrad: bias?.requiresGrad ?? false,
  });
}

function check(layer: ConvBase | Linear, norm: BatchNormBase): void {
  if (layer.training || norm.training) throw new RuntimeError('Fusion only for eval!');
  if (!norm.runningMean || !norm.runningVar)
    throw new RuntimeError('bn.runningMean and bn.runningVar must not be null');
}

/** Runs `change` on a copy of a layer. */
function changed<M extends ConvBase | Linear>(layer: M, change: (copy: M) => void): M {
  const copy = copyModule<Module>(layer) as M;
  noGrad(() => scope(() => change(copy)));
  return copy;
}

/**
 * A convolution that computes bn(conv(x)) of the two in evaluation, with a bias in any case, for convolutions of any
 * number of dimensions and transposed ones, in groups too (PyTorch: `nn.utils.fuse_conv_bn_eval`, whose `transpose` is
 * the layer's class here, and which fails on transposed convolutions in groups, pytorch#180995).
 *
 * Options, mode, dtypes and memory format are the convolution's, and `requiresGrad` that of its weight and bias. Both
 * layers stay as they are.
 *
 * @throws RuntimeError in training mode, and without running statistics; ValueError where the channels do not match.
 * @example
 * const [first, norm] = [...net.eval()] as [Conv2d, BatchNorm2d];
 * const fused = fuseConvBatchNorm(first, norm);
 */
export function fuseConvBatchNorm<M extends ConvBase>(conv: M, bn: BatchNormBase): M {
  check(conv, bn);
  const { inChannels, outChannels, groups } = conv;
  if (bn.numFeatures !== outChannels)
    throw new ValueError(
      `[fuseConvBatchNorm] expected a batch norm of the convolution's ${outChannels} channels, got one of ${bn.numFeatures}`,
    );
  return changed(conv, (copy) => {
    if (copy instanceof TransposedConv) {
      // A transposed weight is (groups · in/groups, out/groups, …), and output channels are (groups · out/groups).
      const perGroup = outChannels / groups;
      absorb(copy, bn, outChannels, [groups, inChannels / groups, perGroup, -1], (s) =>
        reshape(s, [groups, 1, perGroup, 1]),
      );
    } else absorb(copy, bn, outChannels, [outChannels, -1], (s) => reshape(s, [-1, 1]));
  });
}

/**
 * A linear layer that computes bn(linear(x)) of the two in evaluation, with a bias in any case; batch norm without
 * weight and bias too, on which PyTorch fails (PyTorch: `nn.utils.fuse_linear_bn_eval`). Both layers stay as they are.
 *
 * x is (N, in), since batch norm's channels are axis 1 and the linear layer's features the last. A batch norm of one
 * channel serves any number of features, where x is (N, 1, in).
 *
 * @throws RuntimeError in training mode, and without running statistics; ValueError where the features do not match.
 * @example
 * const fused = fuseLinearBatchNorm(new Linear(8, 6).eval(), new BatchNorm1d(6).eval());
 */
export function fuseLinearBatchNorm<M extends Linear>(linear: M, bn: BatchNormBase): M {
  check(linear, bn);
  const { outFeatures } = linear;
  if (bn.numFeatures !== outFeatures && bn.numFeatures !== 1)
    throw new ValueError(
      `To fuse, linear.outFeatures == bn.numFeatures or bn.numFeatures == 1, got linear.outFeatures=${outFeatures} and bn.numFeatures=${bn.numFeatures}`,
    );
  return changed(linear, (copy) => absorb(copy, bn, outFeatures, linear.weight.shape, (s) => reshape(s, [-1, 1])));
}
