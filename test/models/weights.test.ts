// Models with the weights of a file: `resnet50({ weights })`, what it says and refuses; timm's names; checkpoints of
// the CIFAR ResNets; the transforms of torchvision's weights. Values do not matter to names and shapes: those run on
// the meta device.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import '../../src/index.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { ImageClassification } from '../../src/data/index.ts';
import { withDevice } from '../../src/device/engine.ts';
import { encodeStateDict, loadWeights, WeightsMismatchError } from '../../src/io/index.ts';
import { declareNames } from '../../src/io/names_elsewhere.ts';
import * as models from '../../src/models/index.ts';
import { BatchNorm2d, Conv2d, Linear, Module, Sequential } from '../../src/nn/index.ts';
import { fromTypedArray, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, readGolden } from '../support/golden.ts';

const { cifarResnet20, lenetBatchNorm, mobilenetV3Small } = models;
const golden = (name: string) => new URL(`../golden/${name}`, import.meta.url);
const unpacked = (name: string) => gunzipSync(readFileSync(golden(name)));
const onMeta = <T>(make: () => T): T => withDevice('meta', make);
const values = (model: Module) => JSON.stringify(model);

const printed: string[] = [];
beforeEach(() => {
  printed.length = 0;
  vi.spyOn(console, 'log').mockImplementation((text) => void printed.push(text));
});
afterAll(() => void vi.restoreAllMocks());

type Options = { numClasses?: number; weights?: models.Weights };
type Make = models.Architecture<Module, { numClasses?: number }>;
const architectures = Object.entries(models).filter(([name]) => /^[a-z]/.test(name)) as [string, Make][];
/** Without the overloads, of which a test's options may be either. */
const call = (make: Make, options: Options) => (make as (options: Options) => Module | Promise<Module>)(options);

async function refusal(promise: unknown): Promise<Error> {
  return Promise.resolve(promise).then(
    () => expect.unreachable('it was refused'),
    (error: Error) => error,
  ) as Promise<Error>;
}

describe('weights', () => {
  manualSeed(3);
  const theirs = lenetBatchNorm();
  let file: Uint8Array<ArrayBuffer>;
  let server: Server;
  let url: string;
  beforeAll(async () => {
    file = await encodeStateDict(theirs.stateDict(), 'pytorch');
    server = createServer((request, response) => {
      const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      if (request.url === '/whole') response.end(file);
      else if (request.url !== '/ranges') response.writeHead(404).end();
      else {
        const last = Math.min(Number(end), file.length - 1);
        response.writeHead(206, { 'content-range': `bytes ${start}-${last}/${file.length}` });
        response.end(file.subarray(Number(start), last + 1));
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());

  it('come from bytes, a Blob, a File, a URL with ranges and without, tensors by name, a response', async () => {
    const response = new Response(file);
    const sources: models.Weights[] = [
      file,
      new Blob([file]),
      new File([file], 'lenet.pt'),
      `${url}/ranges`,
      new URL(`${url}/whole`),
      theirs.stateDict(),
      response,
      { from: file },
    ];
    for (const weights of sources) expect(values(await lenetBatchNorm({ weights }))).toBe(values(theirs));
    expect(printed.length).toBe(sources.length);
    expect(printed[2]).toBe('lenet.pt → Sequential\n  loaded                  30');
  });

  it('stand beside options that an object has inherited', async () => {
    const options = Object.create({ numClasses: 3, weights: { from: file, head: false, print: false } });
    const classesOf = (model: Module) => model.stateDict().get('15.bias')!.shape;
    expect(classesOf(await lenetBatchNorm(options))).toEqual([3]);
    expect(classesOf(lenetBatchNorm(Object.create({ numClasses: 3 }) as { numClasses: number }))).toEqual([3]);
  });

  it('are no promise where there are none', () => {
    expect(lenetBatchNorm({ weights: undefined })).not.toHaveProperty('then');
    expect(lenetBatchNorm()).not.toHaveProperty('then');
  });

  it('take the options of loadWeights', async () => {
    const renamed = new Map([...theirs.stateDict()].map(([name, tensor]) => [name.replace(/^0\./, 'stem.'), tensor]));
    const weights = { from: renamed, rename: { 'stem.': '0.' }, print: false };
    expect(values(await lenetBatchNorm({ weights }))).toBe(values(theirs));
    expect(printed).toEqual([]);
    const { length } = await lenetBatchNorm({ weights: { from: new Map(), strict: false, print: false } });
    expect(length).toBe(16);
  });

  it.each(architectures)('of %s with other classes are refused with what to do, and it works', async (name, make) => {
    const classes = name.startsWith('cifar') || name.startsWith('lenet') ? 10 : 1000;
    const state = onMeta(() => call(make, {}) as Module).stateDict();
    const error = await refusal(onMeta(() => call(make, { numClasses: 7, weights: state })));
    expect(error).toBeInstanceOf(WeightsMismatchError);
    expect(error.message).toContain(
      `[${name}] the weights in the given tensors are of ${classes} classes, the model is of 7.`,
    );
    expect(error.message).toContain(`${name}({ numClasses: 7, weights: { from: …, head: false } })`);
    const { report } = error as WeightsMismatchError;
    expect(report.mismatched.map(({ given, shape }) => [given[0], shape[0]])).toEqual([
      [classes, 7],
      [classes, 7],
    ]);
    expect(report.loaded.length).toBe(state.size - 2);
    const model = (await onMeta(() => call(make, { numClasses: 7, weights: { from: state, head: false } }))) as Module;
    expect(make.name).toBe(name);
    expect(
      model
        .modules()
        .filter((each) => each instanceof Linear)
        .at(-1)!.weight.shape[0],
    ).toBe(7);
    expect(printed.at(-1)).toContain('  left as they were        2');
    expect(printed.at(-1)).toContain('meta device, which has no values: nothing is in it now');
  });

  it('of a file are read, whatever device the model is on', async () => {
    await onMeta(() => lenetBatchNorm({ weights: file }));
    expect(printed.at(-1)).toContain('meta device, which has no values: nothing is in it now');
  });

  it('but for the head leave it as a new model has it', async () => {
    manualSeed(1);
    const fresh = lenetBatchNorm({ numClasses: 4 });
    manualSeed(1);
    const model = await lenetBatchNorm({ numClasses: 4, weights: { from: file, head: false, print: false } });
    const entry = (of: Module, name: string) => JSON.stringify(of.stateDict().get(name));
    expect(entry(model, '15.weight')).toBe(entry(fresh, '15.weight'));
    expect(entry(model, '0.weight')).toBe(entry(theirs, '0.weight'));
  });

  it('that are of something else are refused in the words of the function that was called', async () => {
    const messages = async (weights: unknown) =>
      (await refusal(call(lenetBatchNorm, { weights } as Options))).message.split('\n')[0];
    expect(await messages('missing.pt')).toBe('[lenetBatchNorm] missing.pt: there is no such file');
    expect(await messages(`${url}/missing`)).toBe(`[lenetBatchNorm] ${url}/missing: the server answered 404 Not Found`);
    expect(await messages(file.subarray(0, 30_000))).toMatch(/^\[lenetBatchNorm\] the given bytes: .*truncated/);
    expect(await messages(new Uint8Array(8))).toMatch(/^\[lenetBatchNorm\] the given bytes: it is no file of PyTorch/);
    const other = await refusal(lenetBatchNorm({ weights: cifarResnet20().stateDict() }));
    expect(other.message).toMatch(
      /^\[lenetBatchNorm\] the weights in the given tensors do not fit: they have 0 of the model's 30 parameters and buffers\. Are they of this architecture\?\nError\(s\) in loading stateDict for Sequential:/,
    );
    expect(await messages({ form: file })).toBe("[lenetBatchNorm] unknown option 'form'; did you mean 'from'?");
    expect(await messages({})).toBe("[lenetBatchNorm] expected the option 'from', which has no default");
    for (const head of [true, false])
      expect(await messages({ from: file, fresh: '15.', head })).toContain('[lenetBatchNorm] expected an array of beg');
    expect(await messages(null)).toContain('[lenetBatchNorm] expected weights as a path, URL, File, Blob');
    expect(await messages({ from: 3 })).toContain('[lenetBatchNorm] expected a path, URL');
  });
});

describe("timm's names", () => {
  const states = JSON.parse(unpacked('timm_names.golden.json.gz').toString()) as Record<
    string,
    Record<string, number[]>
  >;
  const normLayer = (channels: number) => new BatchNorm2d(channels);
  const make: Record<string, () => Module> = {
    resnet18: () => models.resnet18(),
    resnet50: () => models.resnet50(),
    resnext50_32x4d: () => models.resnext50_32x4d(),
    vgg11: () => models.vgg11(),
    vgg16_bn: () => models.vgg16Bn(),
    densenet121: () => models.densenet121(),
    efficientnet_b0: () => models.efficientnetB0(),
    mobilenetv2_100: () => models.mobilenetV2(),
    mobilenetv3_large_100: () => models.mobilenetV3Large({ normLayer }),
    mobilenetv3_small_100: () => models.mobilenetV3Small({ normLayer }),
  };
  const wrappers = ['', 'module.', 'model.backbone.'];
  it.each(Object.keys(states))('of %s find their places, wrapped or not', async (name) => {
    for (const wrapper of wrappers) {
      const model = onMeta(make[name]);
      const file = onMeta(
        () => new Map(Object.entries(states[name]).map(([key, shape]) => [wrapper + key, zeros(shape)])),
      );
      const report = await loadWeights(model, file, { print: false });
      expect(report.loaded.length).toBe(model.stateDict().size);
      const isOther = /^(vgg|mobile|efficient)/.test(name);
      expect(report.renamings.some((text) => text.includes('those of timm'))).toBe(isOther);
      // Both register their modules in the order of the network.
      expect(report.loaded.map(({ from }) => from)).toEqual([...file.keys()]);
      if (wrapper === '') expect(report.renamed.length > 0).toBe(isOther);
    }
  });

  it('bring the numbers of a convolution into the linear layer that it is', async () => {
    class Tiny extends Module {
      features = new Conv2d(1, 2, 3);
      head = new Linear(2 * 3 * 5, 4);
      forward(x: Tensor): Tensor {
        return this.head(this.features(x));
      }
    }
    declareNames(Tiny, { library: 'another', paths: () => [['head', 'pool.fc']] });
    const [model, other] = [new Tiny(), new Tiny()];
    for (const format of ['contiguous', 'channelsLast'] as const) {
      const state = new Map(other.stateDict());
      state.set('pool.fc.weight', state.get('head.weight')!.reshape([4, 2, 3, 5]).contiguous(format));
      state.set('pool.fc.bias', state.get('head.bias')!);
      state.delete('head.weight');
      state.delete('head.bias');
      manualSeed(0);
      for (const parameter of model.parameters()) noGrad(() => parameter.zero_());
      const report = await loadWeights(model, state, { print: false });
      expect(values(model)).toBe(values(other));
      expect(report.renamed.map(({ from }) => from)).toEqual(['pool.fc.weight', 'pool.fc.bias']);
    }
    // Under its own name a tensor of another shape is another tensor.
    const state = new Map(other.stateDict());
    state.set('head.weight', state.get('head.weight')!.reshape([4, 2, 3, 5]));
    expect((await refusal(loadWeights(model, state, { print: false }))).message).toContain(
      'size mismatch for head.weight',
    );
  });

  it('of a network that somebody has changed are no trouble', async () => {
    for (const make of [models.mobilenetV2, models.mobilenetV3Large, models.efficientnetB0, models.vgg11]) {
      const state = new Map([['a.weight', zeros([3])]]);
      for (const features of [new Linear(1, 1), new Sequential(new Linear(1, 1), new Linear(1, 1), new Linear(1, 1))]) {
        const model = onMeta(() => (make as () => Module)());
        Object.assign(model, { features });
        expect(await refusal(loadWeights(model, state, { print: false }))).toBeInstanceOf(WeightsMismatchError);
      }
    }
  });

  it('of a network whose norms have another eps come with a sentence about that', async () => {
    const file = onMeta(
      () => new Map(Object.entries(states.mobilenetv3_small_100).map(([key, shape]) => [key, zeros(shape)])),
    );
    await onMeta(() => mobilenetV3Small({ weights: file }));
    expect(printed[0]).toContain("timm's batch norms have eps 0.00001");
    const shapesOnly = new Map([...file].map(([name, tensor]) => [`other.${name}s`, tensor]));
    expect(await refusal(onMeta(() => mobilenetV3Small({ weights: shapesOnly })))).toBeInstanceOf(WeightsMismatchError);
  });
});

it('a checkpoint of the CIFAR ResNets as it is published gives PyTorch’s logits', async () => {
  const model = await cifarResnet20({ weights: unpacked('cifar_resnet20.pt.gz') });
  expect(printed[0]).toContain(
    "the given bytes, at 'state_dict' → CifarResNet\n  'module.' was taken out of the file's names\n  loaded                 116",
  );
  const images = Float32Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) => Math.sin(i));
  const logits = noGrad(() => model.eval()(fromTypedArray(images, [2, 3, 32, 32]))) as Tensor;
  const expected = readGolden<{ logits: number[][] }>('cifar_checkpoint.golden.json').logits.flat();
  // Twenty layers of float32: roundings of 6e-8 that sums of up to 576 products carry on.
  expectClose(logits, expected, 1e-5, 1e-5 * Math.max(...expected.map(Math.abs)));
});

describe('the transforms of weights', () => {
  interface Preset {
    cropSize: number;
    resizeSize: number;
    interpolation: 'bilinear' | 'bicubic';
  }
  const { weights } = JSON.parse(unpacked('image_transforms.golden.json.gz').toString()) as {
    weights: Record<string, { presets: Record<string, Preset>; default: string }>;
  };
  const camel = (name: string) =>
    name
      .replace(/^(mobilenet|efficientnet)_/, '$1 ')
      .replace(/[_ ](bn|v|b|large|small)/g, (_, word) => word[0].toUpperCase() + word.slice(1));
  const image = { data: Uint8Array.from({ length: 3 * 90 * 120 }, (_, i) => (i * i) % 251), shape: [3, 90, 120] };
  const bits = (transform: ImageClassification) => Buffer.from(transform(image).data.buffer).toString('base64');
  it.each(Object.keys(weights))('of %s are those of torchvision', (name) => {
    const { presets, default: standard } = weights[name];
    const make = (models as unknown as Record<string, models.TorchvisionArchitecture<Module, object, string>>)[
      camel(name)
    ];
    for (const [each, preset] of Object.entries(presets))
      expect(bits(make.transforms(each))).toEqual(bits(new ImageClassification(preset)));
    expect(bits(make.transforms())).toEqual(bits(new ImageClassification(presets[standard])));
    expect(() => make.transforms('IMAGENET1K_V9')).toThrow(`[${camel(name)}.transforms] expected `);
  });
});
