// One thing has one name, whatever form it takes: a function, a method, a layer. What has no other form stands here
// with its reason.
import { describe, expect, test } from 'vitest';
import * as root from '../../src/index.ts';
import * as nn from '../../src/nn/index.ts';
import { unaryRows } from '../cases/unary.ts';
import { optionTakers } from '../support/options_of_api.ts';

const isClass = (value: unknown): boolean =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
const namesOf = (room: object): string[] =>
  Object.entries(room)
    .filter(([, value]) => typeof value === 'function' && !isClass(value))
    .map(([name]) => name);
const isMethod = (name: string) =>
  typeof Object.getOwnPropertyDescriptor(root.Tensor.prototype, name)?.value === 'function';
const methods = Object.getOwnPropertyNames(root.Tensor.prototype).filter((n) => n !== 'constructor' && isMethod(n));
const words = (text: string) => text.trim().split(/\s+/);

/** Methods without a functional form. */
const onlyMethods = {
  'In-place forms belong to the tensor they change, as in PyTorch.':
    'add_ sub_ mul_ div_ pow_ neg_ exp_ sqrt_ relu_ sigmoid_ tanh_ clamp_ addcmul_ addcdiv_ lerp_ maskedFill_ copy_ fill_ zero_ requiresGrad_',
  'They read or convert this tensor, as in PyTorch.':
    'data dataSync dim item numel sumToSize to contiguous toArray toJSON toString',
  'They make a tensor like this one, as in PyTorch.': 'newEmpty newFull newOnes newTensor newZeros',
  'They concern this place of a graph, as in PyTorch.': 'registerHook registerPostAccumulateGradHook retainGrad',
  'For the library itself.': 'checkGradient peekGrad adoptGrad dropGrad materialize pin requireSound',
};
/** Functions of nn.functional alone. */
const onlyFunctional = {
  'They compute what a layer computes; PyTorch has them in torch.nn.functional alone.': `
    adaptiveAvgPool1d adaptiveAvgPool2d adaptiveAvgPool3d adaptiveMaxPool1d adaptiveMaxPool1dWithIndices
    adaptiveMaxPool2d adaptiveMaxPool2dWithIndices adaptiveMaxPool3d adaptiveMaxPool3dWithIndices affineGrid alphaDropout
    avgPool1d avgPool2d avgPool3d batchNorm batchRenorm bilinear binaryCrossEntropy binaryCrossEntropyWithLogits
    channelShuffle conv1d conv2d conv3d convTranspose1d convTranspose2d convTranspose3d cosineEmbeddingLoss
    cosineSimilarity crossEntropy crossMapLRN2d ctcLoss dropout dropout1d dropout2d dropout3d embedding embeddingBag gridSample
    featureAlphaDropout fold frozenBatchNorm gaussianNllLoss glu groupNorm hingeEmbeddingLoss huberLoss inPlaceAbn
    instanceNorm interpolate klDiv l1Loss layerNorm linear localResponseNorm lpPool1d lpPool2d lpPool3d
    marginRankingLoss maskedBatchNorm maxPool1d maxPool1dWithIndices maxPool2d maxPool2dWithIndices maxPool3d
    maxPool3dWithIndices maxUnpool1d maxUnpool2d maxUnpool3d mseLoss multilabelMarginLoss multilabelSoftMarginLoss
    multiMarginLoss nllLoss normalize oneHot pairwiseDistance pixelShuffle pixelUnshuffle poissonNllLoss prelu
    rmsNorm rrelu runningStdBatchRenorm scaledDotProductAttention smoothL1Loss softMarginLoss softmin stochasticDepth
    syncBatchNorm tripletMarginLoss tripletMarginWithDistanceLoss unfold`,
};
/** Functions of the root without a method. */
const onlyRoot = {
  'They make a tensor.': `
    arange empty eye fromTypedArray full linspace logspace normal ones rand randint randn randperm tensor tensorFromJSON
    zeros emptyLike fullLike onesLike randintLike randLike randnLike trilIndices triuIndices zerosLike`,
  'They take a list.':
    'blockDiag broadcastShapes broadcastTensors cartesianProd cat columnStack dstack einsum hstack meshgrid stack vstack',
  'PyTorch has it without a method.':
    'atleast1d atleast2d atleast3d bucketize cdist combinations cumulativeTrapezoid isin searchsorted tensordot trapezoid unravelIndex vander',
  'Of what PyTorch gives on request, both.': 'uniqueConsecutiveWithCounts uniqueWithCounts',
  'Its first argument is the condition; PyTorch has a method of the first choice.': 'where',
  'PyTorch has it in torch.nn.init alone, where it is too.': 'truncNormal_',
  'It says what happens to a tensor, and gives it back.': 'keep',
  'They concern graphs, memory, engines, randomness, traces or warnings.': `
    asyncScope checkpoint defineFunction detectAnomaly enableGrad getEngine getNumThreads grad gradcheck gradgradcheck isFusionEnabled isGradEnabled
    isAnomalyEnabled isRecomputing manualSeed noGrad scope setDetectAnomaly setEngine setFusion setNumThreads setWarningHandler synchronize trace warn withDevice withFusion`,
};
const listed = (lists: Record<string, string>) => Object.values(lists).flatMap(words).sort();

describe('every operation is a function and a method of one name', () => {
  const functions = new Set([...namesOf(root), ...namesOf(nn.functional)]);
  test('a method is a function', () => {
    expect(methods.filter((name) => !functions.has(name)).sort()).toEqual(listed(onlyMethods));
  });
  test('a function of the root is a method', () => {
    expect(
      namesOf(root)
        .filter((name) => !isMethod(name))
        .sort(),
    ).toEqual(listed(onlyRoot));
  });
  test('a function of nn.functional is a method, and at the root', () => {
    const alone = namesOf(nn.functional).filter((name) => !isMethod(name) || !(name in root));
    expect(alone.sort()).toEqual(listed(onlyFunctional));
  });
  test('a function that stands in both rooms is one', () => {
    const rooms = { ...root } as Record<string, unknown>;
    for (const name of namesOf(nn.functional))
      if (name in rooms) expect((nn.functional as Record<string, unknown>)[name], name).toBe(rooms[name]);
  });
});

describe('a layer and its function', () => {
  const takers = optionTakers();
  const named = (name: string) => new Set(takers.get(name)?.options.map((option) => option.name));
  /** What a layer has as a part or as its mode, which its function is given. */
  const ofCalls = new Set(
    words('dtype training weight numBatchesTracked onStatistics relu outputSize offsets perSampleWeights'),
  );
  /** What only a layer can do, as it owns what it makes or decides before it is called. */
  const ofLayers = new Set(
    words('affine bias dtype elementwiseAffine init inplace paddingMode processGroup returnIndices trackRunningStats'),
  );
  const layers = new Map(
    Object.entries(nn)
      .filter(([, value]) => isClass(value))
      .map(([name]) => [name.toLowerCase(), name]),
  );
  const pairs = namesOf(nn.functional).flatMap((name) => {
    const layer = layers.get(name.toLowerCase());
    return layer === undefined ? [] : [[name, layer] as const];
  });
  test('there are many', () => expect(pairs.length).toBeGreaterThan(35));
  test.each(pairs)('%s and %s take the same options', (name, layer) => {
    const [ofFunction, ofLayer] = [named(name), named(layer)];
    expect([...ofFunction].filter((option) => !ofLayer.has(option) && !ofCalls.has(option))).toEqual([]);
    expect([...ofLayer].filter((option) => !ofFunction.has(option) && !ofLayers.has(option))).toEqual([]);
  });
  test.each(methods.filter((name) => takers.has(name)))('the function %s and the method take the same', (name) => {
    expect(takers.get(`Tensor.${name}`)?.options).toEqual(takers.get(name)?.options);
  });
});

test('names that are alike are one', () => {
  // Letters apart from their case: a function is spelt one way, and so is a class. A method in place ends in a line.
  const spellings = new Map<string, Set<string>>();
  const every = [root, nn, nn.functional, nn.init].flatMap((room) => Object.keys(room));
  for (const name of [...every, ...methods]) {
    const key = `${/^[A-Z]/.test(name) ? 'class' : 'function'} ${name.toLowerCase()}`;
    spellings.set(key, (spellings.get(key) ?? new Set()).add(name));
  }
  expect([...spellings.values()].filter((set) => set.size > 1).map((set) => [...set])).toEqual([]);
});

test('activations are named as PyTorch names its functions, in camelCase', () => {
  const ofRows = unaryRows.flatMap(([, { functional }]) => (functional ? [functional] : []));
  for (const name of [...ofRows, 'log_softmax', 'softmax']) {
    const ours = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
    expect(nn.functional, ours).toHaveProperty(ours);
    expect(root, ours).toHaveProperty(ours);
    expect(isMethod(ours), ours).toBe(true);
  }
});
