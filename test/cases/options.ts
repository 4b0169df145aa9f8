// A call of everything public that takes options, with options that a test chooses: test/api/options.test.ts hands over
// wrong ones. Which functions, constructors and methods these are is read from the types, so a new one that is not here
// makes the test fail.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as data from '../../src/data/index.ts';
import * as dataOfNode from '../../src/data/node.ts';
import * as distributed from '../../src/distributed/index.ts';
import * as ek from '../../src/index.ts';
import * as io from '../../src/io/index.ts';
import * as models from '../../src/models/index.ts';
import * as nn from '../../src/nn/index.ts';
import * as optim from '../../src/optim/index.ts';
import * as train from '../../src/train/index.ts';
import { mirror } from '../support/fake_group.ts';
import { activationLayers, unaryRows } from './unary.ts';

/** Any options: what a test hands over is wrong on purpose. */
// biome-ignore lint/suspicious/noExplicitAny: see above
type Given = any;
export interface OptionsCall {
  call(options: Given): unknown;
  /** Options without a default, with values that do. */
  readonly needed: () => Readonly<Record<string, unknown>>;
  /** As errors name it, where that is not the function. */
  readonly named?: string;
}

const calls = new Map<string, OptionsCall>();
const none = () => ({});
function takes(names: string, of: (name: string) => (options: Given) => unknown, needed = none, named?: string): void {
  for (const name of names.trim().split(/\s+/)) calls.set(name, { call: of(name), needed, named });
}
function one(name: string, call: (options: Given) => unknown, needed?: () => Record<string, unknown>, named?: string) {
  takes(name, () => call, needed, named);
}

const rooms: Record<string, Given> = { ...nn.init, ...optim, ...data, ...models, ...nn.functional, ...ek, ...nn };
const make = (name: string) => rooms[name];
const files = (name: string): Given => (io as Record<string, Given>)[name];
const x = () => ek.ones([2, 3]);
const line = () => ek.ones([1, 2, 6]);
const image = () => ek.ones([1, 2, 6, 6]);
const volume = () => ek.ones([1, 2, 3, 3, 3]);
const vector = () => ek.ones([2]);
const indices = () => ek.zeros([2], { dtype: 'int64' });
/** A sum with a product, and the factors of that. */
const terms = (name: string): Given[] => {
  const [matrix, batch, row] = [ek.ones([2, 2]), ek.ones([1, 2, 2]), vector()];
  if (name === 'addmm') return [matrix, matrix, matrix];
  if (name === 'addmv') return [row, matrix, row];
  return name === 'addr' ? [matrix, row, row] : [matrix, batch, batch];
};
const leaf = () => ek.ones([1], { requiresGrad: true });
const net = () => new nn.Linear(2, 2);
const adam = () => new optim.SGD([leaf()]);
const dataset = () => new data.TensorDataset(x());
const folder = join(tmpdir(), 'evenkeel-options-are-refused-before-anything-is-written');

const method = (name: string) => name.replace('Tensor.', '');

// ---- tensors --------------------------------------------------------------------------------------------------------
takes('zeros ones empty rand randn', (name) => (o) => make(name)([2], o));
takes('zerosLike onesLike emptyLike randLike randnLike', (name) => (o) => make(name)(x(), o));
one('full', (o) => ek.full([2], 1, o));
one('fullLike', (o) => ek.fullLike(x(), 1, o));
one('tensor', (o) => ek.tensor([1], o));
one('fromTypedArray', (o) => ek.fromTypedArray(Float32Array.of(1), [1], o));
one('arange', (o) => ek.arange(0, 3, 1, o));
one('linspace', (o) => ek.linspace(0, 1, 2, o));
one('eye', (o) => ek.eye(2, 2, o));
one('randint', (o) => ek.randint(0, 3, [2], o));
one('randperm', (o) => ek.randperm(3, o));
one('bernoulli', (o) => ek.bernoulli(x(), o));
takes('uniform_ normal_', (name) => (o) => make(name)(x(), 0, 1, o));
one('truncNormal_', (o) => ek.truncNormal_(x(), 0, 1, -2, 2, o));
takes('add sub', (name) => (o) => make(name)(x(), x(), o));
for (const [name, { options }] of unaryRows) if (options) one(name, (o) => make(name)(x(), o));
one('where', (o) => ek.where(ek.gt(x(), 0), 1, 2, o));
takes(
  'all amax amin any argmax argmin argsort cumsum logSoftmax logsumexp max mean median min nanmean nanmedian nansum prod softmax sort std stdMean sum var varMean',
  (name) => (o) => make(name)(x(), 0, o),
);
takes('cumprod mode', (name) => (o) => make(name)(x(), 0, o));
takes('diff', () => (o) => ek.diff(x(), 1, 0, o));
takes('trapezoid cumulativeTrapezoid cov', (name) => (o) => make(name)(x(), o));
takes('quantile nanquantile', (name) => (o) => make(name)(x(), 0.5, 0, o));
takes(
  'unique uniqueConsecutive uniqueWithCounts uniqueConsecutiveWithCounts bincount combinations',
  (name) => (o) => (name === 'combinations' ? ek.combinations(vector(), 2, o) : make(name)(indices(), o)),
);
one('histogram', (o) => ek.histogram(x(), 2, o));
takes('searchsorted isin', (name) => (o) => make(name)(vector(), vector(), o));
one('bucketize', (o) => ek.bucketize(x(), vector(), o));
one('multinomial', (o) => ek.multinomial(vector(), 1, o));
one('normal', (o) => ek.normal(0, 1, [2], o));
one('logspace', (o) => ek.logspace(0, 1, 2, 10, o));
one('randintLike', (o) => ek.randintLike(x(), 0, 3, o));
one('cdist', (o) => ek.cdist(x(), x(), 2, o));
one('vander', (o) => ek.vander(vector(), 2, o));
one('put', (o) => ek.put(x(), indices(), vector(), o));
one('scatterReduce', (o) => ek.scatterReduce(x(), 0, ek.zeros([2, 3], { dtype: 'int64' }), x(), 'sum', o));
one('indexReduce', (o) => ek.indexReduce(x(), 0, indices(), x(), 'prod', o));
takes('Tensor.cumprod Tensor.mode', (name) => (o) => (x() as Given)[method(name)](0, o));
one('Tensor.diff', (o) => x().diff(1, 0, o));
one('Tensor.cov', (o) => x().cov(o));
takes('Tensor.quantile Tensor.nanquantile', (name) => (o) => (x() as Given)[method(name)](0.5, 0, o));
takes('Tensor.unique Tensor.uniqueConsecutive Tensor.bincount', (name) => (o) => (indices() as Given)[method(name)](o));
one('Tensor.histogram', (o) => x().histogram(2, o));
one('Tensor.multinomial', (o) => vector().multinomial(1, o));
one('Tensor.put', (o) => x().put(indices(), vector(), o));
one('Tensor.scatterReduce', (o) => x().scatterReduce(0, ek.zeros([2, 3], { dtype: 'int64' }), x(), 'sum', o));
one('Tensor.indexReduce', (o) => x().indexReduce(0, indices(), x(), 'prod', o));
takes('Tensor.newEmpty Tensor.newZeros Tensor.newOnes', (name) => (o) => (x() as Given)[method(name)]([2], o));
one('Tensor.newFull', (o) => x().newFull([2], 1, o));
one('Tensor.newTensor', (o) => x().newTensor([2], o));
one('kthvalue', (o) => ek.kthvalue(x(), 1, 0, o));
one('topk', (o) => ek.topk(x(), 1, 0, o));
takes('addcmul addcdiv', (name) => (o) => make(name)(x(), x(), x(), o));
takes('div rsub isclose allclose', (name) => (o) => make(name)(x(), x(), o));
takes('logit nanToNum', (name) => (o) => make(name)(x(), o));
one('aminmax', (o) => ek.aminmax(x(), o));
takes('norm normalize', (name) => (o) => make(name)(x(), 2, 1, o));
one('repeatInterleave', (o) => ek.repeatInterleave(x(), 2, 0, o));
one('meshgrid', (o) => ek.meshgrid([vector()], o));
takes('trilIndices triuIndices', (name) => (o) => make(name)(2, 2, 0, o));
takes('addmm addmv addr addbmm baddbmm', (name) => (o) => make(name)(...terms(name), o));
one('pad', (o) => ek.pad(x(), [1, 1], o));
one('setIndex', (o) => ek.setIndex(x(), 0, 1, o));
one('indexAdd', (o) => ek.indexAdd(x(), 0, indices(), x(), o));
one('backward', (o) => ek.backward([leaf()], [], o));
one('grad', (o) => ek.grad([leaf().mul(2)], [leaf()], o));
const sequences = () => [ek.ones([2, 3]), ek.ones([1, 3])];
one('packPaddedSequence', (o) => nn.packPaddedSequence(ek.ones([2, 2, 3]), [2, 1], o));
one('packSequence', (o) => nn.packSequence(sequences(), o));
one('padPackedSequence', (o) => nn.padPackedSequence(nn.packSequence(sequences()), o));
one('padSequence', (o) => nn.padSequence(sequences(), o));
one('unpadSequence', (o) => nn.unpadSequence(ek.ones([2, 2, 3]), [2, 1], o));
one('detectAnomaly', (o) => ek.detectAnomaly(() => leaf(), o));
one('setDetectAnomaly', (o) => {
  ek.setDetectAnomaly(true, o);
  ek.setDetectAnomaly(false);
});
one('checkpoint', (o) => ek.checkpoint(o, (t: ek.Tensor) => t, leaf()));
one(
  'defineFunction',
  (o) => ek.defineFunction(o),
  () => ({
    name: 'same',
    forward: (t: ek.Tensor) => ({ output: t, saved: {} }),
    backward: (g: ek.Tensor) => g,
  }),
);
takes('gradcheck gradgradcheck', (name) => (o) => make(name)((t: ek.Tensor) => t, [leaf().to('float64')], o));

takes(
  'Tensor.max Tensor.min Tensor.var Tensor.sort Tensor.sum Tensor.mean Tensor.amax Tensor.amin Tensor.any Tensor.all Tensor.argmax Tensor.argmin Tensor.prod Tensor.median Tensor.nanmedian Tensor.argsort Tensor.cumsum Tensor.logSoftmax Tensor.logsumexp Tensor.nanmean Tensor.nansum Tensor.softmax Tensor.std Tensor.stdMean Tensor.varMean',
  (name) => (o) => (x() as Given)[method(name)](0, o),
);
for (const [name, { options }] of unaryRows) if (options) one(`Tensor.${name}`, (o) => (x() as Given)[name](o));
takes('Tensor.add Tensor.sub Tensor.add_ Tensor.sub_', (name) => (o) => (x() as Given)[method(name)](x(), o));
takes(
  'Tensor.div Tensor.div_ Tensor.rsub Tensor.isclose Tensor.allclose',
  (name) => (o) => (x() as Given)[method(name)](x(), o),
);
takes('Tensor.logit Tensor.nanToNum', (name) => (o) => (x() as Given)[method(name)](o));
takes(
  'Tensor.addcmul Tensor.addcdiv Tensor.addcmul_ Tensor.addcdiv_',
  (name) => (o) => (x() as Given)[method(name)](x(), x(), o),
);
takes('Tensor.uniform_ Tensor.normal_', (name) => (o) => (x() as Given)[method(name)](0, 1, o));
one('Tensor.aminmax', (o) => x().aminmax(o));
one('Tensor.norm', (o) => x().norm(2, 1, o));
one('Tensor.repeatInterleave', (o) => x().repeatInterleave(2, 0, o));
takes('Tensor.addmm Tensor.addmv Tensor.addr Tensor.addbmm Tensor.baddbmm', (name) => (o) => {
  const [first, ...rest] = terms(method(name));
  return first[method(name)](...rest, o);
});
one('Tensor.kthvalue', (o) => x().kthvalue(1, 0, o));
one('Tensor.topk', (o) => x().topk(1, 0, o));
one('Tensor.pad', (o) => x().pad([1, 1], o));
one('Tensor.setIndex', (o) => x().setIndex(0, 1, o));
one('Tensor.bernoulli', (o) => x().bernoulli(o));
one('Tensor.indexAdd', (o) => x().indexAdd(0, indices(), x(), o));
one('Tensor.backward', (o) => leaf().backward(null, o));

// ---- functions of layers --------------------------------------------------------------------------------------------
takes('batchNorm inPlaceAbn', (name) => (o) => make(name)(image(), vector(), vector(), o));
takes(
  'batchRenorm runningStdBatchRenorm',
  (name) => (o) => make(name)(image(), vector(), vector(), o),
  () => ({ rmax: 1, dmax: 0 }),
);
one('maskedBatchNorm', (o) => nn.functional.maskedBatchNorm(x(), ek.gt(vector(), 0), null, null, o));
one('syncBatchNorm', (o) => nn.functional.syncBatchNorm(image(), vector(), vector(), mirror, o));
one('frozenBatchNorm', (o) => nn.functional.frozenBatchNorm(image(), vector(), vector(), vector(), vector(), o));
one('groupNorm', (o) => nn.functional.groupNorm(image(), 1, o));
one('instanceNorm', (o) => nn.functional.instanceNorm(image(), o));
takes('layerNorm rmsNorm', (name) => (o) => make(name)(x(), [3], o));
takes('localResponseNorm crossMapLRN2d', (name) => (o) => make(name)(image(), 2, o));
one('conv1d', (o) => nn.functional.conv1d(line(), ek.ones([2, 2, 1]), null, o));
one('conv2d', (o) => nn.functional.conv2d(image(), ek.ones([2, 2, 1, 1]), null, o));
one('conv3d', (o) => nn.functional.conv3d(volume(), ek.ones([2, 2, 1, 1, 1]), null, o));
one('convTranspose1d', (o) => nn.functional.convTranspose1d(line(), ek.ones([2, 2, 1]), null, o));
one('convTranspose2d', (o) => nn.functional.convTranspose2d(image(), ek.ones([2, 2, 1, 1]), null, o));
one('convTranspose3d', (o) => nn.functional.convTranspose3d(volume(), ek.ones([2, 2, 1, 1, 1]), null, o));
takes('avgPool1d maxPool1d maxPool1dWithIndices', (name) => (o) => make(name)(line(), 2, o));
takes('avgPool2d maxPool2d maxPool2dWithIndices', (name) => (o) => make(name)(image(), 2, o));
takes('avgPool3d maxPool3d maxPool3dWithIndices', (name) => (o) => make(name)(volume(), 2, o));
one('lpPool1d', (o) => nn.functional.lpPool1d(line(), 2, 2, o));
one('lpPool2d', (o) => nn.functional.lpPool2d(image(), 2, 2, o));
one('lpPool3d', (o) => nn.functional.lpPool3d(volume(), 2, 2, o));
one('maxUnpool1d', (o) => nn.functional.maxUnpool1d(line(), ek.zerosLike(line(), { dtype: 'int64' }), 2, o));
one('maxUnpool2d', (o) => nn.functional.maxUnpool2d(image(), ek.zerosLike(image(), { dtype: 'int64' }), 2, o));
one('maxUnpool3d', (o) => nn.functional.maxUnpool3d(volume(), ek.zerosLike(volume(), { dtype: 'int64' }), 2, o));
one(
  'interpolate',
  (o) => nn.functional.interpolate(image(), o),
  () => ({ size: 2 }),
);
one('gridSample', (o) => nn.functional.gridSample(image(), ek.zeros([image().shape[0], 2, 2, 2]), o));
one('affineGrid', (o) => nn.functional.affineGrid(ek.zeros([1, 2, 3]), [1, 1, 2, 2], o));
takes('dropout dropout2d alphaDropout featureAlphaDropout', (name) => (o) => make(name)(image(), 0.5, o));
one('dropout1d', (o) => nn.functional.dropout1d(line(), 0.5, o));
one('dropout3d', (o) => nn.functional.dropout3d(volume(), 0.5, o));
one('unfold', (o) => nn.functional.unfold(image(), 1, o));
one('fold', (o) => nn.functional.fold(ek.ones([1, 8, 12]), [4, 5], 2, o));
one('Unfold', (o) => new nn.Unfold(2, o));
one('Fold', (o) => new nn.Fold(4, 2, o));
one('rrelu', (o) => nn.functional.rrelu(x(), o));
one('softmin', (o) => nn.functional.softmin(x(), 0, o));
one('stochasticDepth', (o) => nn.functional.stochasticDepth(image(), 0.5, 'row', o));
one('scaledDotProductAttention', (o) => nn.functional.scaledDotProductAttention(x(), x(), x(), o));
one('embeddingBag', (o) => nn.functional.embeddingBag(ek.zeros([2, 2], { dtype: 'int64' }), x(), o));
one('embedding', (o) => nn.functional.embedding(indices(), x(), o));
takes(
  'marginRankingLoss gaussianNllLoss tripletMarginLoss tripletMarginWithDistanceLoss',
  (name) => (o) => make(name)(x(), x(), x(), o),
);
one('ctcLoss', (o) => nn.functional.ctcLoss(x(), ek.ones([1], { dtype: 'int64' }), [2], [1], o));
one('Threshold', (o) => new nn.Threshold(0, 0, o));
one('multiMarginLoss', (o) => nn.functional.multiMarginLoss(x(), ek.zeros([2], { dtype: 'int64' }), o));
one('multilabelMarginLoss', (o) => nn.functional.multilabelMarginLoss(x(), ek.zeros([2, 3], { dtype: 'int64' }), o));
one('cosineEmbeddingLoss', (o) => nn.functional.cosineEmbeddingLoss(x(), x(), ek.ones([2]), o));
takes(
  'binaryCrossEntropy binaryCrossEntropyWithLogits cosineSimilarity hingeEmbeddingLoss huberLoss klDiv l1Loss mseLoss multilabelSoftMarginLoss pairwiseDistance poissonNllLoss smoothL1Loss softMarginLoss',
  (name) => (o) => make(name)(x(), x(), o),
);
takes('crossEntropy nllLoss', (name) => (o) => make(name)(x(), indices(), o));
one('sparse_', (o) => nn.init.sparse_(x(), 0.5, 0.01, o));
takes('orthogonal_ kaimingUniform_ kaimingNormal_ xavierUniform_ xavierNormal_', (name) => (o) => make(name)(x(), o));

// ---- layers ---------------------------------------------------------------------------------------------------------
for (const { Layer, name, isPreset, of } of activationLayers)
  if ((of.options && !isPreset) || 'inplace' in new Layer({} as never)) one(name, (o) => new Layer(o as never));
takes(
  'CTCLoss HuberLoss SoftMarginLoss BCELoss KLDivLoss PoissonNLLLoss GaussianNLLLoss MultiMarginLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss MarginRankingLoss HingeEmbeddingLoss CosineEmbeddingLoss TripletMarginLoss TripletMarginWithDistanceLoss PairwiseDistance CosineSimilarity BCEWithLogitsLoss CrossEntropyLoss L1Loss MSELoss NLLLoss SmoothL1Loss LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d UninitializedBuffer UninitializedParameter',
  (name) => (o) => new (make(name))(o),
);
takes(
  'BatchNorm1d BatchNorm2d BatchNorm3d BatchNormXd BatchNormAct2d FrozenBatchNormAct2d SyncBatchNormAct BatchRenorm1d BatchRenorm2d BatchRenorm3d RunningStdBatchRenorm1d RunningStdBatchRenorm2d RunningStdBatchRenorm3d FrozenBatchNorm2d ChunkedGhostBatchNorm1d ABN InPlaceABN InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm RMSNorm CrossMapLRN2d LocalResponseNorm MaskedBatchNorm1d MaskedBatchNorm2d AvgPool1d AvgPool2d AvgPool3d MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d LazyLinear SplitBatchNorm2d SyncBatchNorm',
  (name) => (o) => new (make(name))(2, o),
);
takes(
  'InterleavedGhostBatchNorm2d',
  (name) => (o) => new (make(name))(2, o),
  () => ({ numSplits: 2 }),
);
takes('Upsample UpsamplingNearest2d UpsamplingBilinear2d', (name) => (o) => new (make(name))(o));
one('PReLU', (o) => new nn.PReLU(2, o));
one('RReLU', (o) => new nn.RReLU(o));
takes('Dropout Dropout1d Dropout2d Dropout3d', (name) => (o) => new (make(name))(0.5, o));
takes(
  'GroupNorm Embedding EmbeddingBag Linear LPPool1d LPPool2d LPPool3d LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d',
  (name) => (o) => new (make(name))(2, 2, o),
);
one('Bilinear', (o) => new nn.Bilinear(2, 2, 2, o));
takes('MultiheadAttention TransformerEncoderLayer TransformerDecoderLayer', (name) => (o) => new (make(name))(2, 1, o));
takes('RNN GRU LSTM RNNCell GRUCell LSTMCell', (name) => (o) => new (make(name))(2, 2, o));
one('Transformer', (o) => new nn.Transformer(o));
const tokens = () => ek.ones([2, 2, 2]);
const small = { dimFeedforward: 2 };
const encoderLayer = () => new nn.TransformerEncoderLayer(2, 1, small);
const decoderLayer = () => new nn.TransformerDecoderLayer(2, 1, small);
const transformer = () =>
  new nn.Transformer({ dModel: 2, nhead: 1, numEncoderLayers: 1, numDecoderLayers: 1, ...small });
one('TransformerEncoder', (o) => new nn.TransformerEncoder(encoderLayer(), 1, o));
one('TransformerDecoder', (o) => new nn.TransformerDecoder(decoderLayer(), 1, o));
/** Calls of layers, whose errors name the layer. */
const called = (name: string, layer: string, call: (options: Given) => unknown) => one(name, call, none, layer);
called('MultiheadAttention.forward', 'MultiheadAttention', (o) => {
  const x = tokens();
  return new nn.MultiheadAttention(2, 1)(x, x, x, o);
});
called('TransformerDecoderLayer.multiheadAttn', 'MultiheadAttention', (o) => {
  const x = tokens();
  return decoderLayer().multiheadAttn(x, x, x, o);
});
called('TransformerEncoderLayer.forward', 'TransformerEncoderLayer', (o) => encoderLayer()(tokens(), o));
called('TransformerDecoderLayer.forward', 'TransformerDecoderLayer', (o) => decoderLayer()(tokens(), tokens(), o));
called('TransformerEncoder.forward', 'TransformerEncoder', (o) =>
  new nn.TransformerEncoder(encoderLayer(), 1)(tokens(), o),
);
called('TransformerDecoder.forward', 'TransformerDecoder', (o) =>
  new nn.TransformerDecoder(decoderLayer(), 1)(tokens(), tokens(), o),
);
called('Transformer.forward', 'Transformer', (o) => transformer()(tokens(), tokens(), o));
called('Transformer.encoder', 'TransformerEncoder', (o) => transformer().encoder(tokens(), o));
called('Transformer.decoder', 'TransformerDecoder', (o) => transformer().decoder(tokens(), tokens(), o));
takes(
  'Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d',
  (name) => (o) => new (make(name))(2, 2, 1, o),
);
// Bases, by a class that derives from them.
class Norm extends nn.NormBase {
  protected checkInputDim(): void {}
  forward(t: ek.Tensor): ek.Tensor {
    return t;
  }
}
class Batch extends nn.BatchNormBase {
  protected checkInputDim(): void {}
}
class Instance extends nn.InstanceNormBase {
  protected readonly spatialRank = 1;
}
class Convolution extends nn.ConvBase {
  constructor(options: Given) {
    super(1, false, 2, 2, 1, options);
  }
  forward(t: ek.Tensor): ek.Tensor {
    return t;
  }
}
one('NormBase', (o) => new Norm(2, o), none, 'Norm');
one('BatchNormBase', (o) => new Batch(2, o), none, 'Batch');
one('InstanceNormBase', (o) => new Instance(2, o), none, 'Instance');
one('ConvBase', (o) => new Convolution(o), none, 'Convolution');

one('AveragedModel', (o) => new nn.AveragedModel(net(), o));
one('AveragedModel.updateBatchNorm', (o) => new nn.AveragedModel(net()).updateBatchNorm([], o));
one('AveragedModel.preciseBatchNorm', (o) => new nn.AveragedModel(net()).preciseBatchNorm([], o));
one('freezeBatchNorm', (o) => nn.freezeBatchNorm(net(), o));
one('Module.registerBuffer', (o) => net().registerBuffer('buffer', null, o));
one('Module.loadStateDict', (o) => net().loadStateDict(net().stateDict(), o));
one('syncBuffers', (o) => nn.syncBuffers(net(), o));
one('statisticsSpread', (o) => nn.statisticsSpread(net(), o));
one('convertSyncBatchNorm', (o) => nn.convertSyncBatchNorm(net(), o));
one('Parameter', (o) => new nn.Parameter(x(), o));
one('removeParametrizations', (o) => nn.removeParametrizations(nn.weightNorm(net()), 'weight', o));
one('summary', (o) => nn.summary(net(), [1, 2], o));
one('preciseBatchNorm', (o) => nn.preciseBatchNorm(net(), [], o));
one('updateBatchNorm', (o) => nn.updateBatchNorm([], net(), o));
takes('spectralNorm weightNorm', (name) => (o) => make(name)(net(), o));

// ---- optimizers, data, training -------------------------------------------------------------------------------------
takes(
  'Adadelta Adafactor Adagrad Adam AdamW Adamax ASGD LBFGS NAdam RAdam RMSprop Rprop SGD',
  (name) => (o) => new (make(name))([leaf()], o),
);
one('Muon', (o) => new optim.Muon([new nn.Parameter(ek.ones([2, 2]))], o));
class Plain extends optim.Optimizer {
  constructor(options: Given) {
    super([leaf()], options, { lr: 1, weightDecay: 0, maximize: false }, []);
  }
  protected update(): void {}
}
one('Optimizer', (o) => new Plain(o), none, 'Plain');
one(
  'Optimizer.addParamGroup',
  (o) => adam().addParamGroup(o),
  () => ({ params: [leaf()] }),
  'SGD',
);
one(
  'Muon.addParamGroup',
  (o) => new optim.Muon([new nn.Parameter(ek.ones([2, 2]))]).addParamGroup(o),
  () => ({ params: [new nn.Parameter(ek.ones([3, 2]))] }),
  'Muon',
);
one('Optimizer.zeroGrad', (o) => adam().zeroGrad(o));
one('clipGradNorm', (o) => optim.clipGradNorm([leaf()], 1, o));
one(
  'paramGroups',
  (o) => optim.paramGroups(net(), o),
  () => ({ weightDecay: 1 }),
);
class Constant extends optim.LRScheduler {
  constructor(options: Given) {
    super(adam(), {}, { next: ({ lr }) => lr }, options);
  }
}
one('LRScheduler', (o) => new Constant(o), none, 'Constant');
takes('ConstantLR LinearLR PolynomialLR ReduceLROnPlateau', (name) => (o) => new (make(name))(adam(), o));
takes('CosineAnnealingLR CosineAnnealingWarmRestarts StepLR', (name) => (o) => new (make(name))(adam(), 2, o));
takes('ExponentialLR SWALR', (name) => (o) => new (make(name))(adam(), 0.5, o));
one(
  'OneCycleLR',
  (o) => new optim.OneCycleLR(adam(), 0.5, o),
  () => ({ totalSteps: 3, cycleMomentum: false }),
);
one('MultiStepLR', (o) => new optim.MultiStepLR(adam(), [2], o));
one('CyclicLR', (o) => new optim.CyclicLR(adam(), 0.1, 1, o));
one('MultiplicativeLR', (o) => new optim.MultiplicativeLR(adam(), () => 1, o));
one('LambdaLR', (o) => new optim.LambdaLR(adam(), () => 1, o));

takes('RandomSampler DataLoader', (name) => (o) => new (make(name))(dataset(), o));
one('ArrayLoader', (o) => new data.ArrayLoader(dataset(), o), none, 'DataLoader');
takes('ColorJitter CutMix Grayscale MixUp', (name) => (o) => new (make(name))(o));
takes('GaussianBlur', (name) => (o) => new (make(name))(3, o));
takes('RandomAffine RandomCrop RandomResizedCrop RandomRotation Resize', (name) => (o) => new (make(name))(2, o));
takes(
  'RandomErasing RandomGrayscale RandomHorizontalFlip RandomVerticalFlip',
  (name) => (o) => new (make(name))(0.5, o),
);
one('RandomApply', (o) => new data.RandomApply([(x) => x], 0.5, o));
one('ToDtype', (o) => new data.ToDtype('float32', o));
one(
  'ImageClassification',
  (o) => new data.ImageClassification(o),
  () => ({ cropSize: 2 }),
);
one('randomSplit', (o) => data.randomSplit(dataset(), [1, 1], o));
one(
  'WorkerDataset',
  (o) => new data.WorkerDataset(o),
  () => ({ module: 'a.js', length: 1 }),
);
one(
  'DistributedSampler',
  (o) => new data.DistributedSampler(dataset(), o),
  () => ({ numReplicas: 1, rank: 0 }),
);
one('SubsetRandomSampler', (o) => new data.SubsetRandomSampler([0], o));
one('WeightedRandomSampler', (o) => new data.WeightedRandomSampler([1], 1, o));
takes('ImageFolder', (name) => (o) => new (dataOfNode as Given)[name](folder, o));
takes('loadCsv loadParquet', (name) => (o) => (dataOfNode as Given)[name](folder, o));
one('saveImage', (o) => dataOfNode.saveImage(image(), join(folder, 'image.png'), o));
one('makeGrid', (o) => data.makeGrid(image(), o));
takes('loadFashionMnist loadMnist', (name) => (o) => (dataOfNode as Given)[name](o));

one('accumulate', (o) =>
  train.accumulate(net(), [[ek.ones([1, 2]), ek.zeros([1], { dtype: 'int64' })]], nn.functional.crossEntropy, o),
);
one(
  'saveCheckpoint',
  (o) => train.saveCheckpoint(folder, o),
  () => ({ model: net() }),
);
one(
  'loadCheckpoint',
  (o) => train.loadCheckpoint(folder, o),
  () => ({ model: net() }),
);
one('Averages.ofAllRanks', (o) => new train.Averages().ofAllRanks(o));
one('saveTree', (o) => train.saveTree(folder, null, o));
one('evaluate', (o) => train.evaluate(net(), [], o));
one(
  'fit',
  (o) => train.fit(trained, o),
  () => ({
    loader: [[ek.ones([1, 2]), ek.zeros([1], { dtype: 'int64' })]],
    loss: nn.functional.crossEntropy,
    optimizer: new optim.SGD(trained.parameters()),
    epochs: 0,
  }),
);
one(
  'renderReport',
  (o) => train.renderReport(o),
  () => ({ title: '', epochs: [], curves: [] }),
);
one('SummaryWriter', (o) => new train.SummaryWriter(folder, o));
one('TensorBoard', (o) => new train.TensorBoard(folder, o));
one('EarlyStopping', (o) => new train.EarlyStopping(o));
one('BestCheckpoints', (o) => new train.BestCheckpoints(folder, o));
one(
  'lrFinder',
  (o) => train.lrFinder(trained, o),
  () => ({
    loader: [[ek.ones([1, 2]), ek.zeros([1], { dtype: 'int64' })]],
    loss: nn.functional.crossEntropy,
    optimizer: new optim.SGD(trained.parameters()),
    steps: 2,
  }),
);
one(
  'confusionMatrix',
  (o) => train.confusionMatrix(indices(), indices(), o),
  () => ({ numClasses: 2 }),
);
takes('precision recall f1Score', (name) => (o) => (train as Given)[name](ek.ones([2, 2]), o));
one(
  'balancedClassWeights',
  (o) => train.balancedClassWeights([0, 1], o),
  () => ({ numClasses: 2 }),
);
const trained = net();

// ---- models ---------------------------------------------------------------------------------------------------------
takes('EfficientNet MobileNetV2', (name) => (o) => new (make(name))(o));
takes(
  'cifarResnet20 cifarResnet56 densenet121 efficientnetB0 lenetBatchNorm mobilenetV2 mobilenetV3Large mobilenetV3Small resnet18 resnet34 resnet50 resnet101 resnext50_32x4d vgg11 vgg11Bn vgg16 vgg16Bn',
  (name) => (o) => make(name)(o),
);
one('CifarResNet', (o) => new models.CifarResNet(1, o));
one('DenseNet', (o) => new models.DenseNet([1], o));
one('MobileNetV3', (o) => new models.MobileNetV3('small', o));
one('ResNet', (o) => new models.ResNet(models.BasicBlock, [1, 1, 1, 1], o));
one('VGG', (o) => new models.VGG([512], o));
takes('BasicBlock Bottleneck Conv2dNormActivation SqueezeExcitation', (name) => (o) => new (make(name))(2, 2, o));

export const optionsCalls: ReadonlyMap<string, OptionsCall> = calls;

/** What the types of these tell of an object of names is no options, and why. */
// ---- files ----------------------------------------------------------------------------------------------------------
const checkpoint = new URL('../golden/checkpoints/state.pt', import.meta.url);
takes('inspectFile loadStateDict openTensors openPytorch loadPytorch', (name) => (o) => files(name)(checkpoint, o));
one('openSafetensors', (o) =>
  io.openSafetensors(new URL('../golden/checkpoints/dtypes.safetensors', import.meta.url), o),
);
one('PytorchFile.data', async (o) => (await io.openPytorch(checkpoint)).data(o));
one('openNpz', (o) => io.openNpz(new URL('../golden/checkpoints/arrays.npz', import.meta.url), o));
one('convertFile', (o) => io.convertFile(checkpoint, `${folder}.npz`, o));
one('diffFiles', (o) => io.diffFiles(checkpoint, checkpoint, o));
one('saveStateDict', (o) => io.saveStateDict(`${folder}.pt`, {}, o));
one('loadWeights', (o) => io.loadWeights(net(), net().stateDict(), o));

// ---- several processes ----------------------------------------------------------------------------------------------
one('initProcessGroup', (o) => distributed.initProcessGroup(o));
one('barrier', (o) => distributed.barrier(o));
one('DistributedDataParallel', (o) => new nn.DistributedDataParallel(net(), o));
takes('allReduce allGather allGatherObject reduceScatter broadcast broadcastObject', (name) => (o) => {
  const collectives: Record<string, Given> = distributed;
  return collectives[name](x(), o);
});

export const noOptions: Readonly<Record<string, string>> = {
  LoadReport: 'made by loadWeights',
  StatisticsSpread: 'made by statisticsSpread',
  PytorchFile: 'made by openPytorch',
  TensorFile: 'made by openTensors',
  'AdamW.loadStateDict': 'a state, judged entry by entry',
  'LBFGS.addParamGroup': 'a second group is refused, whatever it holds',
  'LBFGS.loadStateDict': 'a state, judged entry by entry',
  'Optimizer.loadStateDict': 'a state, judged entry by entry',
  ModelSummary: 'what summary has counted',
  StagedStatistics: 'an optimizer, or what acts as one',
  stageStatistics: 'an optimizer, or what acts as one',
  gatherRows: 'an array with its shape',
  rowOf: 'an array with its shape',
  splitArrays: 'the sizes of an image set',
  SequentialSampler: 'whatever has a length',
  'Averages.load': 'what state() gave',
  'Progress.onEpochEnd': 'what fit tells its callbacks',
  'EarlyStopping.onEpochEnd': 'what fit tells its callbacks',
  'BestCheckpoints.onEpochEnd': 'what fit tells its callbacks',
  'TensorBoard.onEpochEnd': 'what fit tells its callbacks',
};
