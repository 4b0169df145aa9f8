// Batch, layer, instance and group norm of one tensor (N, C, H, W) = (4, 4, 8, 8): which values share a mean. Each
// column shows the largest |mean| of y over one kind of slice; it is 0 exactly where the norm normalizes that slice.
import assert from 'node:assert/strict';
import { manualSeed, randn } from 'evenkeel';
import * as nn from 'evenkeel/nn';

manualSeed(0);
// Images and channels of different brightness.
const x = randn([4, 4, 8, 8])
  .add(randn([4, 1, 1, 1]).mul(3))
  .add(randn([1, 4, 1, 1]).mul(3));

const norms = {
  BatchNorm2d: new nn.BatchNorm2d(4),
  LayerNorm: new nn.LayerNorm([4, 8, 8]),
  InstanceNorm2d: new nn.InstanceNorm2d(4),
  GroupNorm: new nn.GroupNorm(2, 4),
};
const slices = ['channel', 'image', 'image and channel', 'image and group'] as const;

console.log(`${''.padEnd(16)}${slices.map((slice) => slice.padStart(19)).join('')}`);
for (const [name, norm] of Object.entries(norms)) {
  const y = norm(x);
  const means = {
    channel: y.mean([0, 2, 3]),
    image: y.mean([1, 2, 3]),
    'image and channel': y.mean([2, 3]),
    'image and group': y.reshape([4, 2, 2, 8, 8]).mean([2, 3, 4]),
  };
  const largest = slices.map((slice) => means[slice].abs().max().item() as number);
  console.log(`${name.padEnd(16)}${largest.map((value) => value.toFixed(4).padStart(19)).join('')}`);
  const own = { BatchNorm2d: 0, LayerNorm: 1, InstanceNorm2d: 2, GroupNorm: 3 }[name] as number;
  assert(largest[own] < 1e-6, `${name} must normalize each ${slices[own]}`);
}
