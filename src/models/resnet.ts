// Residual networks for images of ImageNet's kind, and ResNeXt, which is the same with grouped convolutions. Structure,
// names and initial weights are torchvision's. The small ones of the CIFAR experiments are in cifar_resnet.ts.
import { shown } from '../checks.ts';
import { NotImplementedError, ValueError } from '../errors.ts';
import { AdaptiveAvgPool2d, Conv2d, init, Linear, MaxPool2d, Module, ReLU, Sequential } from '../nn/index.ts';
import { declareModules } from '../nn/module_call.ts';
import { flatten } from '../ops/shape_ops.ts';
import { declareOptions, kind, type Options, requireOptions } from '../options.ts';
import { Tensor } from '../tensor/tensor.ts';
import { imageNetV1, imageNetV2, type TorchvisionArchitecture, torchvisionArchitecture } from './architecture.ts';
import { batchNorm2d, drawWeights, kaimingFanOut, type ModelOptions, modelOptions, type NormLayer } from './blocks.ts';

/** Options of `BasicBlock` and `Bottleneck`. */
export interface ResidualBlockOptions {
  /** The stride of the block's 3×3 convolution that makes the image smaller. Default: 1. */
  stride?: number;
  /** What brings the input to the output's shape, where the two differ. Default: null, the input itself. */
  downsample?: Module | null;
  /** The groups of the 3×3 convolution. Default: 1. */
  groups?: number;
  /** Inner width is channels·baseWidth/64·groups. Default: 64. */
  baseWidth?: number;
  /** The dilation of the 3×3 convolution. Default: 1. */
  dilation?: number;
  /** Makes the norms. Default: `BatchNorm2d`. */
  normLayer?: NormLayer;
}
const residualBlockOptions = declareOptions<ResidualBlockOptions>({
  stride: kind.integer,
  downsample: kind.module,
  groups: kind.integer,
  baseWidth: kind.integer,
  dilation: kind.integer,
  normLayer: kind.function,
});

const conv3x3 = (inChannels: number, channels: number, stride = 1, groups = 1, dilation = 1) =>
  new Conv2d(inChannels, channels, 3, { stride, padding: dilation, groups, dilation, bias: false });
const conv1x1 = (inChannels: number, channels: number, stride = 1) =>
  new Conv2d(inChannels, channels, 1, { stride, bias: false });

/**
 * Two 3×3 convolutions and the input added: (N, inChannels, H, W) to (N, channels, H/stride, W/stride).
 * @throws ValueError unless `groups` is 1 and `baseWidth` 64; NotImplementedError on a dilation.
 */
export class BasicBlock extends Module {
  /** The block's output has this times `channels` channels. */
  static readonly expansion = 1;
  /** The first convolution, 3×3, with the stride. */
  conv1: Conv2d;
  /** The norm behind `conv1`. */
  bn1: Module;
  /** The activation of both places. */
  relu: ReLU;
  /** The second convolution, 3×3. */
  conv2: Conv2d;
  /** The norm behind `conv2`. */
  bn2: Module;
  /** What brings the input to the output's shape; null: nothing. */
  downsample: Module | null;

  constructor(inChannels: number, channels: number, options: ResidualBlockOptions = {}) {
    super();
    requireOptions(this.constructor.name, options, residualBlockOptions);
    const {
      stride = 1,
      downsample = null,
      groups = 1,
      baseWidth = 64,
      dilation = 1,
      normLayer = batchNorm2d,
    } = options;
    if (groups !== 1 || baseWidth !== 64) throw new ValueError('BasicBlock only supports groups=1 and baseWidth=64');
    if (dilation > 1) throw new NotImplementedError('Dilation > 1 not supported in BasicBlock');
    this.conv1 = conv3x3(inChannels, channels, stride);
    this.bn1 = normLayer(channels);
    this.relu = new ReLU();
    this.conv2 = conv3x3(channels, channels);
    this.bn2 = normLayer(channels);
    this.downsample = downsample;
  }

  /** The norm that ends the residual branch. */
  get lastNorm(): Module {
    return this.bn2;
  }

  forward(x: Tensor): Tensor {
    const { relu } = this;
    const y = relu(this.bn1(this.conv1(x)));
    const residual: Tensor = this.bn2(this.conv2(y));
    return relu(residual.add(this.downsample ? this.downsample(x) : x));
  }
}

/**
 * A 3×3 convolution between two of 1×1 and the input added: (N, inChannels, H, W) to (N, 4·channels, H/stride,
 * W/stride). The stride is that of the 3×3 convolution ("ResNet v1.5"), where the paper has it in the first.
 */
export class Bottleneck extends Module {
  /** The block's output has this times `channels` channels. */
  static readonly expansion = 4;
  /** The first convolution, 1×1. */
  conv1: Conv2d;
  /** The norm behind `conv1`. */
  bn1: Module;
  /** The second convolution, 3×3, with the stride. */
  conv2: Conv2d;
  /** The norm behind `conv2`. */
  bn2: Module;
  /** The third convolution, 1×1. */
  conv3: Conv2d;
  /** The norm behind `conv3`. */
  bn3: Module;
  /** The activation of all places. */
  relu: ReLU;
  /** What brings the input to the output's shape; null: nothing. */
  downsample: Module | null;

  constructor(inChannels: number, channels: number, options: ResidualBlockOptions = {}) {
    super();
    requireOptions(this.constructor.name, options, residualBlockOptions);
    const {
      stride = 1,
      downsample = null,
      groups = 1,
      baseWidth = 64,
      dilation = 1,
      normLayer = batchNorm2d,
    } = options;
    const width = Math.trunc(channels * (baseWidth / 64)) * groups;
    const outChannels = channels * Bottleneck.expansion;
    this.conv1 = conv1x1(inChannels, width);
    this.bn1 = normLayer(width);
    this.conv2 = conv3x3(width, width, stride, groups, dilation);
    this.bn2 = normLayer(width);
    this.conv3 = conv1x1(width, outChannels);
    this.bn3 = normLayer(outChannels);
    this.relu = new ReLU();
    this.downsample = downsample;
  }

  /** The norm that ends the residual branch. */
  get lastNorm(): Module {
    return this.bn3;
  }

  forward(x: Tensor): Tensor {
    const { relu } = this;
    let y = relu(this.bn1(this.conv1(x)));
    y = relu(this.bn2(this.conv2(y)));
    const residual: Tensor = this.bn3(this.conv3(y));
    return relu(residual.add(this.downsample ? this.downsample(x) : x));
  }
}

/** Options of the residual networks. */
export interface ResNetOptions extends ModelOptions {
  /**
   * Begin the last norm of every residual branch with weight 0, so that each block begins as the identity (Goyal et al.
   * 2017). Default: false.
   */
  zeroInitResidual?: boolean;
  /** Groups of the 3×3 convolutions; `Bottleneck` only. Default: 1. */
  groups?: number;
  /** Channels of a group in the first stage; `Bottleneck` only. Default: 64. */
  widthPerGroup?: number;
  /**
   * For the second, third and fourth stage, whether it dilates where it would halve the image; `Bottleneck` only.
   * Default: none does.
   */
  replaceStrideWithDilation?: readonly [boolean, boolean, boolean];
}
const resNetOptions = declareOptions<ResNetOptions>({
  ...modelOptions.kinds,
  zeroInitResidual: kind.flag,
  groups: kind.integer,
  widthPerGroup: kind.integer,
  replaceStrideWithDilation: kind.object,
});
/** Options of `resnext50_32x4d`. */
export type ResNextOptions = Omit<ResNetOptions, 'groups' | 'widthPerGroup'>;
const { groups: _, widthPerGroup: __, ...resNextKinds } = resNetOptions.kinds;
const resNextOptions = declareOptions<ResNextOptions>(resNextKinds);

/**
 * A residual network: (N, 3, H, W) to logits (N, numClasses) (He et al. 2016, https://arxiv.org/abs/1512.03385;
 * torchvision: `ResNet`).
 *
 * `layers` are the numbers of blocks of the four stages.
 * @throws ValueError, NotImplementedError where `BasicBlock` meets an option for `Bottleneck`.
 * @example
 * const model = new ResNet(BasicBlock, [1, 1, 1, 1], { numClasses: 10 });
 * model(randn([2, 3, 32, 32])); // shape [2, 10]
 */
export class ResNet extends Module {
  /** The first convolution, 7×7 with stride 2. */
  conv1: Conv2d;
  /** The norm behind it. */
  bn1: Module;
  /** The activation behind it. */
  relu: ReLU;
  /** The pooling behind it, of stride 2. */
  maxpool: MaxPool2d;
  /** The first stage, at a quarter of the image's size. */
  layer1: Sequential;
  /** The second stage, at an eighth. */
  layer2: Sequential;
  /** The third stage, at a sixteenth. */
  layer3: Sequential;
  /** The fourth stage, at a thirty-second. */
  layer4: Sequential;
  /** The mean over the image. */
  avgpool: AdaptiveAvgPool2d;
  /** The last layer. */
  fc: Linear;

  constructor(
    block: typeof BasicBlock | typeof Bottleneck,
    layers: readonly [number, number, number, number],
    options: ResNetOptions = {},
  ) {
    super();
    requireOptions('ResNet', options, resNetOptions);
    const { numClasses = 1000, zeroInitResidual = false, groups = 1, widthPerGroup = 64 } = options;
    const { replaceStrideWithDilation = [false, false, false], normLayer = batchNorm2d } = options;
    if (!Array.isArray(replaceStrideWithDilation) || replaceStrideWithDilation.length !== 3)
      throw new ValueError(
        `replaceStrideWithDilation should be an array of 3 booleans, got ${shown(replaceStrideWithDilation)}`,
      );
    let inChannels = 64;
    let dilation = 1;

    const stage = (channels: number, count: number, stride: number, dilates: boolean): Sequential => {
      const outChannels = channels * block.expansion;
      const firstDilation = dilation;
      if (dilates) {
        dilation *= stride;
        stride = 1;
      }
      const shared = { groups, baseWidth: widthPerGroup, normLayer };
      const downsample =
        stride !== 1 || inChannels !== outChannels
          ? new Sequential(conv1x1(inChannels, outChannels, stride), normLayer(outChannels))
          : null;
      const blocks = [new block(inChannels, channels, { ...shared, stride, downsample, dilation: firstDilation })];
      inChannels = outChannels;
      while (blocks.length < count) blocks.push(new block(inChannels, channels, { ...shared, dilation }));
      return new Sequential(...blocks);
    };

    this.conv1 = new Conv2d(3, inChannels, 7, { stride: 2, padding: 3, bias: false });
    this.bn1 = normLayer(inChannels);
    this.relu = new ReLU();
    this.maxpool = new MaxPool2d(3, { stride: 2, padding: 1 });
    this.layer1 = stage(64, layers[0], 1, false);
    this.layer2 = stage(128, layers[1], 2, replaceStrideWithDilation[0]);
    this.layer3 = stage(256, layers[2], 2, replaceStrideWithDilation[1]);
    this.layer4 = stage(512, layers[3], 2, replaceStrideWithDilation[2]);
    this.avgpool = new AdaptiveAvgPool2d(1);
    this.fc = new Linear(512 * block.expansion, numClasses);

    drawWeights(this, kaimingFanOut);
    if (zeroInitResidual)
      for (const module of this.modules())
        if (module instanceof BasicBlock || module instanceof Bottleneck) zeroWeight(module.lastNorm);
  }

  forward(x: Tensor): Tensor {
    let y: Tensor = this.maxpool(this.relu(this.bn1(this.conv1(x))));
    for (const stage of [this.layer1, this.layer2, this.layer3, this.layer4]) y = stage(y);
    return this.fc(flatten(this.avgpool(y), 1));
  }
}

/** A norm without weight has none to begin with 0. */
function zeroWeight(norm: Module): void {
  const { weight } = norm as { weight?: unknown };
  if (weight instanceof Tensor) init.zeros_(weight);
}

/** A network of the family. @param fixed the options that make it what it is. */
const declared = <O extends ResNextOptions>(
  name: string,
  options: Options<O>,
  block: ConstructorParameters<typeof ResNet>[0],
  layers: ConstructorParameters<typeof ResNet>[1],
  fixed?: ResNetOptions,
) => ({ name, options, head: 'fc.', make: (given: O) => new ResNet(block, layers, { ...given, ...fixed }) });

/**
 * ResNet-18: 11,689,512 parameters (He et al. 2016; torchvision: `resnet18`).
 * @example
 * manualSeed(0);
 * const model = resnet18({ numClasses: 10 });
 * model(randn([2, 3, 64, 64])); // shape [2, 10]
 */
export const resnet18: TorchvisionArchitecture<ResNet, ResNetOptions, 'IMAGENET1K_V1'> = torchvisionArchitecture(
  declared('resnet18', resNetOptions, BasicBlock, [2, 2, 2, 2]),
  imageNetV1,
);
/** ResNet-34: 21,797,672 parameters (He et al. 2016; torchvision: `resnet34`). */
export const resnet34: TorchvisionArchitecture<ResNet, ResNetOptions, 'IMAGENET1K_V1'> = torchvisionArchitecture(
  declared('resnet34', resNetOptions, BasicBlock, [3, 4, 6, 3]),
  imageNetV1,
);
/** ResNet-50: 25,557,032 parameters (He et al. 2016; torchvision: `resnet50`). */
export const resnet50: TorchvisionArchitecture<ResNet, ResNetOptions, 'IMAGENET1K_V1' | 'IMAGENET1K_V2'> =
  torchvisionArchitecture(declared('resnet50', resNetOptions, Bottleneck, [3, 4, 6, 3]), imageNetV2);
/** ResNet-101: 44,549,160 parameters (He et al. 2016; torchvision: `resnet101`). */
export const resnet101: TorchvisionArchitecture<ResNet, ResNetOptions, 'IMAGENET1K_V1' | 'IMAGENET1K_V2'> =
  torchvisionArchitecture(declared('resnet101', resNetOptions, Bottleneck, [3, 4, 23, 3]), imageNetV2);
/**
 * ResNeXt-50 with 32 groups 4 channels wide: 25,028,904 parameters (Xie et al. 2017, https://arxiv.org/abs/1611.05431;
 * torchvision: `resnext50_32x4d`).
 */
export const resnext50_32x4d: TorchvisionArchitecture<ResNet, ResNextOptions, 'IMAGENET1K_V1' | 'IMAGENET1K_V2'> =
  torchvisionArchitecture(
    declared('resnext50_32x4d', resNextOptions, Bottleneck, [3, 4, 6, 3], { groups: 32, widthPerGroup: 4 }),
    imageNetV2,
  );

declareModules({ BasicBlock, Bottleneck, ResNet });
