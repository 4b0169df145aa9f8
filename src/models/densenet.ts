// DenseNet-121. Structure, names and initial weights are torchvision's.

import { checkpoint } from '../autograd/checkpoint.ts';
import {
  AvgPool2d,
  Conv2d,
  InPlaceABN,
  init,
  Linear,
  MaxPool2d,
  Module,
  ReLU,
  Sequential,
  type StateDict,
} from '../nn/index.ts';
import { declareModules } from '../nn/module_call.ts';
import { BatchNormBase } from '../nn/norm/batch_norm.ts';
import { dropoutWith } from '../ops/dropout.ts';
import { relu } from '../ops/elementwise.ts';
import { adaptiveAvgPool2d } from '../ops/pool.ts';
import { cat, flatten } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { imageNetV1, type TorchvisionArchitecture, torchvisionArchitecture } from './architecture.ts';
import { batchNorm2d, drawWeights, type ModelOptions, modelOptions, type NormLayer } from './blocks.ts';

/** Channels that every layer adds, and how many times as many its bottleneck has. */
const growth = 32;
const bottleneck = 4;

interface LayerOptions {
  dropRate: number;
  memoryEfficient: boolean;
  normLayer: NormLayer;
}

/**
 * Whether a norm leaves what it reads as it is. Others get a copy of their own, as torchvision's layers give to all.
 */
const keepsInput = (norm: Module): boolean => norm instanceof BatchNormBase && !(norm instanceof InPlaceABN);

/** Makes `growth` new channels of all that were made before it. */
class DenseLayer extends Module {
  norm1: Module;
  relu1: ReLU;
  conv1: Conv2d;
  norm2: Module;
  relu2: ReLU;
  conv2: Conv2d;
  private readonly dropRate: number;
  private readonly memoryEfficient: boolean;

  constructor(inChannels: number, { dropRate, memoryEfficient, normLayer }: LayerOptions) {
    super();
    this.norm1 = normLayer(inChannels);
    this.relu1 = new ReLU();
    this.conv1 = new Conv2d(inChannels, bottleneck * growth, 1, { bias: false });
    this.norm2 = normLayer(bottleneck * growth);
    this.relu2 = new ReLU();
    this.conv2 = new Conv2d(bottleneck * growth, growth, 3, { padding: 1, bias: false });
    this.dropRate = dropRate;
    this.memoryEfficient = memoryEfficient;
  }

  private squeeze(...features: Tensor[]): Tensor {
    const joined = features.length === 1 && keepsInput(this.norm1) ? features[0] : cat(features, 1);
    return this.conv1(this.relu1(this.norm1(joined)));
  }

  forward(features: readonly Tensor[]): Tensor {
    const squeezed = this.memoryEfficient
      ? checkpoint((...inputs: Tensor[]) => this.squeeze(...inputs), ...features)
      : this.squeeze(...features);
    const made: Tensor = this.conv2(this.relu2(this.norm2(squeezed)));
    return dropoutWith(made, this.dropRate, this.training);
  }
}

/** The input and what its layers denselayer1, denselayer2, … add to it. */
class DenseBlock extends Module {
  private readonly memoryEfficient: boolean;

  constructor(count: number, inChannels: number, options: LayerOptions) {
    super();
    this.memoryEfficient = options.memoryEfficient;
    for (let i = 0; i < count; i++)
      this.registerModule(`denselayer${i + 1}`, new DenseLayer(inChannels + i * growth, options));
  }

  /**
   * Where that is possible, a layer's output is joined at once to what the layer has read, so that neither the values
   * nor their gradients are taken apart into the outputs of all layers.
   */
  forward(x: Tensor): Tensor {
    const layers = [...this.children()] as DenseLayer[];
    const isChain = !this.memoryEfficient && layers.every(({ norm1 }) => keepsInput(norm1));
    let features = [x];
    for (const layer of layers) {
      features = [...features, layer(features)];
      if (isChain) features = [cat(features, 1)];
    }
    return isChain ? features[0] : cat(features, 1);
  }
}

/** Half as many channels, and half the image. */
class Transition extends Sequential {
  constructor(inChannels: number, normLayer: NormLayer) {
    super({
      norm: normLayer(inChannels),
      relu: new ReLU(),
      conv: new Conv2d(inChannels, inChannels / 2, 1, { bias: false }),
      pool: new AvgPool2d(2),
    });
  }
}

/** Options of the DenseNets. */
export interface DenseNetOptions extends ModelOptions {
  /** Probability of an element of what a layer makes to be dropped. Default: 0. */
  dropRate?: number;
  /**
   * Compute the wide inputs of all layers again in backward instead of keeping them (Pleiss et al. 2017). Default:
   * false.
   */
  memoryEfficient?: boolean;
}
const denseNetOptions = declareOptions<DenseNetOptions>({
  ...modelOptions.kinds,
  dropRate: kind.number,
  memoryEfficient: kind.flag,
});

/**
 * Blocks in which every layer sees all before it: (N, 3, H, W) to logits (N, numClasses) (Huang et al. 2017,
 * https://arxiv.org/abs/1608.06993; torchvision: `DenseNet`). `layers` are the numbers of layers of the blocks.
 * @example
 * const model = new DenseNet([2, 2, 2, 2], { numClasses: 10 });
 * model(randn([2, 3, 32, 32])); // shape [2, 10]
 */
export class DenseNet extends Module {
  /** All but the classifier. */
  features: Sequential;
  /** The last layer. */
  classifier: Linear;

  constructor(layers: readonly number[], options: DenseNetOptions = {}) {
    super();
    requireOptions('DenseNet', options, denseNetOptions);
    const { numClasses = 1000, dropRate = 0, memoryEfficient = false, normLayer = batchNorm2d } = options;
    let channels = 2 * growth;
    this.features = new Sequential({
      conv0: new Conv2d(3, channels, 7, { stride: 2, padding: 3, bias: false }),
      norm0: normLayer(channels),
      relu0: new ReLU(),
      pool0: new MaxPool2d(3, { stride: 2, padding: 1 }),
    });
    layers.forEach((count, i) => {
      const block = new DenseBlock(count, channels, { dropRate, memoryEfficient, normLayer });
      this.features.registerModule(`denseblock${i + 1}`, block);
      channels += count * growth;
      if (i === layers.length - 1) return;
      this.features.registerModule(`transition${i + 1}`, new Transition(channels, normLayer));
      channels /= 2;
    });
    this.features.registerModule(`norm${layers.length + 1}`, normLayer(channels));
    this.classifier = new Linear(channels, numClasses);
    drawWeights(
      this,
      (weight) => init.kaimingNormal_(weight),
      (weight) => weight,
    );
  }

  forward(x: Tensor): Tensor {
    return this.classifier(flatten(adaptiveAvgPool2d(relu(this.features(x)), 1), 1));
  }

  /** torchvision's published files still have the layers' first names, such as `denselayer1.norm.1.weight`. */
  override upgradeState(state: StateDict, prefix: string): void {
    for (const [key, value] of [...state]) {
      const [, path, rest] = /^(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)$/.exec(key) ?? [];
      if (path === undefined || !key.startsWith(prefix)) continue;
      state.delete(key);
      state.set(path + rest, value);
    }
  }
}

/** DenseNet-121: 7,978,856 parameters (Huang et al. 2017; torchvision: `densenet121`). */
export const densenet121: TorchvisionArchitecture<DenseNet, DenseNetOptions, 'IMAGENET1K_V1'> = torchvisionArchitecture(
  {
    name: 'densenet121',
    options: denseNetOptions,
    head: 'classifier.',
    make: (options) => new DenseNet([6, 12, 24, 16], options),
  },
  imageNetV1,
);

declareModules({ DenseLayer, DenseBlock, Transition, DenseNet });
