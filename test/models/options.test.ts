// What models can be told: other norms, recomputation, bad options; and loading states, torchvision's old names among
// them.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { decodeSafetensors, encodeSafetensors } from '../../src/io/safetensors_arrays.ts';
import {
  BasicBlock,
  Bottleneck,
  cifarResnet20,
  DenseNet,
  efficientnetB0,
  mobilenetV2,
  mobilenetV3Small,
  type NormLayer,
  ResNet,
} from '../../src/models/index.ts';
import { BatchNorm2d, FrozenBatchNorm2d, GroupNorm, InPlaceABN, Module, SyncBatchNorm } from '../../src/nn/index.ts';
import { fromTypedArray } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../support/golden.ts';

const values = (x: Tensor) => [...(x.dataSync() as Float32Array)];
const states = (module: Module) => [...module.stateDict()].map(([key, x]) => [key, Array.from(x.dataSync(), Number)]);
const narrowResnet = (options: { zeroInitResidual?: boolean; normLayer?: NormLayer }) =>
  new ResNet(Bottleneck, [1, 1, 1, 1], { numClasses: 3, widthPerGroup: 4, ...options });
const smallDensenet = (options: { memoryEfficient?: boolean; normLayer?: NormLayer } = {}) =>
  new DenseNet([2, 2, 2, 2], { numClasses: 3, ...options });

describe('normLayer', () => {
  const models: [string, (options: { normLayer: NormLayer }) => Module][] = [
    ['ResNet', narrowResnet],
    ['CIFAR ResNet', cifarResnet20],
    ['DenseNet', smallDensenet],
    ['MobileNetV2', (options) => mobilenetV2({ widthMult: 0.25, numClasses: 3, ...options })],
    ['MobileNetV3', (options) => mobilenetV3Small({ widthMult: 0.25, numClasses: 3, ...options })],
    ['EfficientNet', (options) => efficientnetB0({ numClasses: 3, ...options })],
  ];
  it.each(models)('makes every norm of %s', (_, make) => {
    const made: Module[] = [];
    const model = make({
      normLayer: (channels) => {
        made.push(new GroupNorm(channels % 8 === 0 ? 8 : 1, channels));
        return made.at(-1)!;
      },
    });
    const modules = [...model.modules()];
    expect(modules.filter((module) => module instanceof GroupNorm).length).toBe(made.length);
    expect(modules.some((module) => module instanceof BatchNorm2d)).toBe(false);
    expect(model(randn([2, 3, 32, 32])).shape[0]).toBe(2);
  });

  it('takes SyncBatchNorm, which computes what BatchNorm2d computes in one process', () => {
    const x = randn([2, 3, 32, 32]);
    const outputs = [BatchNorm2d, SyncBatchNorm].map((Norm) => {
      manualSeed(0);
      return values(cifarResnet20({ normLayer: (channels) => new Norm(channels) })(x));
    });
    outputs[1].forEach((v, i) => {
      expect(v).toBeCloseTo(outputs[0][i], 5);
    });
  });

  it('makes norms that zeroInitResidual finds, whether their weight is a parameter, a buffer, or none', () => {
    const firsts = (['bn1', 'bn2', 'bn3'] as const).map((name) => `layer4.0.${name}.weight`);
    const made = (normLayer?: NormLayer) => {
      const state = narrowResnet({ zeroInitResidual: true, normLayer }).stateDict();
      return firsts.map((key) => state.get(key)?.dataSync()[0]);
    };
    expect(made()).toEqual([1, 1, 0]);
    expect(made((channels) => new FrozenBatchNorm2d(channels))).toEqual([1, 1, 0]);
    expect(made((channels) => new BatchNorm2d(channels, { affine: false }))).toEqual([undefined, undefined, undefined]);
  });
});

it('memoryEfficient changes no number of a DenseNet but by roundings', () => {
  const x = randn([2, 3, 32, 32], { dtype: 'float64' });
  const [kept, recomputed] = [false, true].map((memoryEfficient) => {
    manualSeed(0);
    const model = smallDensenet({ memoryEfficient }).to('float64');
    const y: Tensor = model(x);
    y.sum().backward();
    const gradients = [...model.namedParameters()].map(([name, { grad }]) => [`gradient of ${name}`, grad!] as const);
    return new Map<string, Tensor>([['output', y], ...model.namedBuffers(), ...gradients]);
  });
  // What merges with what differs inside of a checkpoint, and so does the order of sums: 1e-16, magnified by norms of
  // few values.
  for (const [name, tensor] of recomputed) {
    const expected = Array.from(kept.get(name)!.dataSync(), Number);
    expectClose(Array.from(tensor.dataSync(), Number), expected, 1e-10, 1e-10, name);
  }
});

it('a DenseNet takes norms that overwrite their input', () => {
  class OfCopy extends Module {
    norm: InPlaceABN;
    constructor(channels: number) {
      super();
      this.norm = new InPlaceABN(channels);
    }
    forward(x: Tensor): Tensor {
      return this.norm(x.clone());
    }
  }
  const x = randn([2, 3, 32, 32]);
  const [given, copied] = [InPlaceABN, OfCopy].map((Norm) => {
    manualSeed(0);
    const model = smallDensenet({ normLayer: (channels) => new Norm(channels) });
    const y: Tensor = model(x);
    y.sum().backward();
    return [y, ...[...model.parameters()].map(({ grad }) => grad!)].map(values);
  });
  expect(given).toEqual(copied);
});

describe('options that do not fit', () => {
  it.each([
    ['groups', { groups: 2 }, 'BasicBlock only supports groups=1 and baseWidth=64'],
    ['width', { widthPerGroup: 128 }, 'BasicBlock only supports groups=1 and baseWidth=64'],
    ['dilation', { replaceStrideWithDilation: [false, true, false] }, 'Dilation > 1 not supported in BasicBlock'],
    [
      'stages',
      { replaceStrideWithDilation: [true] },
      'replaceStrideWithDilation should be an array of 3 booleans, got [true]',
    ],
  ])('%s', (_, options, message) => {
    expect(() => new ResNet(BasicBlock, [1, 1, 2, 1], options as never)).toThrow(message);
  });
});

describe('states', () => {
  const asFile = (model: Module, rename = (key: string) => key): Uint8Array =>
    encodeSafetensors(
      [...model.stateDict()].map(([key, x]) => ({
        name: rename(key),
        dtype: x.dtype === 'int64' ? 'I64' : 'F32',
        shape: [...x.shape],
        data: x.dataSync() as Float32Array,
      })),
    );
  const fromFile = (bytes: Uint8Array) =>
    new Map(decodeSafetensors(bytes).entries.map(({ name, data, shape }) => [name, fromTypedArray(data, shape)]));

  it('go through a safetensors file from one model into another', () => {
    const [from, to] = [cifarResnet20(), cifarResnet20()];
    from(randn([2, 3, 32, 32]));
    expect(String(to.loadStateDict(fromFile(asFile(from))))).toBe('<All keys matched successfully>');
    expect(states(to)).toEqual(states(from));
  });

  it("with the names of torchvision's published DenseNet files load", () => {
    const [from, to] = [smallDensenet(), smallDensenet()];
    const old = (key: string) => key.replace(/(denselayer\d+\.(?:norm|conv))(\d)/, '$1.$2');
    const state = fromFile(asFile(from, old));
    expect([...state.keys()]).toContain('features.denseblock1.denselayer1.norm.1.running_mean');
    expect(String(to.loadStateDict(state))).toBe('<All keys matched successfully>');
    expect(states(to)).toEqual(states(from));
  });

  it('without the classifier load for fine-tuning', () => {
    const state = cifarResnet20().stateDict().copy();
    state.delete('linear.weight');
    state.delete('linear.bias');
    const { missingKeys, unexpectedKeys } = cifarResnet20({ numClasses: 5 }).loadStateDict(state, { strict: false });
    expect([missingKeys, unexpectedKeys]).toEqual([['linear.weight', 'linear.bias'], []]);
  });
});
