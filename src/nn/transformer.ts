// The transformer: layers of attention and feed-forward networks, stacks of them, and both stacks together.
import { maxElements, requireInteger, requireNumber, requireProbability, shown } from '../checks.ts';
import { ArgumentTypeError, RuntimeError } from '../errors.ts';
import { triu } from '../ops/diagonals.ts';
import { gelu, relu } from '../ops/elementwise.ts';
import { transpose } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { full, type TensorOptions } from '../tensor/create.ts';
import { requireDType } from '../tensor/dtype.ts';
import { requireTensor } from '../tensor/requirements.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { canonicalMask, MultiheadAttention } from './attention.ts';
import { ModuleList } from './containers.ts';
import { Dropout } from './dropout.ts';
import { xavierUniform_ } from './init.ts';
import { Linear } from './linear.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';
import { LayerNorm } from './norm/layer_norm.ts';
import type { DTypeOption } from './parameter.ts';
import { copyModule } from './surgery/copy_module.ts';

/** What stands between the two linear layers: a name, a function, or a module, which becomes the child `activation`. */
export type TransformerActivation = 'relu' | 'gelu' | ((x: Tensor) => Tensor);

/** Options of `TransformerEncoderLayer` and `TransformerDecoderLayer`. */
export interface TransformerLayerOptions extends DTypeOption {
  /** The size between the two linear layers. Default: 2048. */
  dimFeedforward?: number;
  /** The probability of every dropout in the layer. Default: 0.1. */
  dropout?: number;
  /** What stands between the two linear layers. Default: 'relu'. */
  activation?: TransformerActivation;
  /** Added to the variance in the layer norms. Default: 1e-5. */
  layerNormEps?: number;
  /** Whether inputs are (N, L, E), not (L, N, E). Default: false. */
  batchFirst?: boolean;
  /** Whether norms stand before attention and feed-forward network, not after the sums. Default: false. */
  normFirst?: boolean;
  /** Whether linear layers, projections and norms have biases. Default: true. */
  bias?: boolean;
}
const layerOptions = declareOptions<TransformerLayerOptions>({
  dimFeedforward: kind.integer,
  dropout: kind.number,
  activation: kind.own,
  layerNormEps: kind.numeric,
  batchFirst: kind.flag,
  normFirst: kind.flag,
  bias: kind.flag,
  dtype: kind.choice,
});

/** What encoder and decoder layers share. */
abstract class TransformerLayer extends Module {
  /** Whether norms stand before attention and feed-forward network. */
  readonly normFirst: boolean;
  /** An activation that is no module; null: it is the child `activation`. */
  private readonly plainActivation: ((x: Tensor) => Tensor) | null;

  /**
   * @param attentions the names of the attentions. There is a norm and a dropout behind each, and behind the
   * feed-forward network.
   */
  constructor(dModel: number, nhead: number, options: TransformerLayerOptions, attentions: readonly string[]) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, layerOptions);
    const { dimFeedforward = 2048, dropout = 0.1, activation = 'relu', batchFirst, normFirst = false } = options;
    const { layerNormEps: eps, bias, dtype } = options;
    requireInteger(name, 'dModel', dModel, 0, maxElements);
    requireInteger(name, 'nhead', nhead, 0, maxElements);
    requireInteger(name, 'dimFeedforward', dimFeedforward, 0, maxElements);
    requireProbability(name, 'dropout', dropout);
    if (eps !== undefined) requireNumber(name, 'layerNormEps', eps);
    if (dtype !== undefined) requireDType(name, dtype);
    if (typeof activation !== 'function' && activation !== 'relu' && activation !== 'gelu')
      throw typeof activation === 'string'
        ? new RuntimeError(`activation should be relu/gelu, not ${activation as string}`)
        : new ArgumentTypeError(
            `[${name}] expected 'relu', 'gelu' or a function as activation, got ${shown(activation)}`,
          );
    for (const attention of attentions)
      this.registerModule(attention, new MultiheadAttention(dModel, nhead, { dropout, bias, batchFirst, dtype }));
    this.registerModule('linear1', new Linear(dModel, dimFeedforward, { bias, dtype }));
    this.registerModule('dropout', new Dropout(dropout));
    this.registerModule('linear2', new Linear(dimFeedforward, dModel, { bias, dtype }));
    this.normFirst = normFirst;
    const places = [...attentions, 'feed-forward'].map((_, i) => i + 1);
    for (const i of places) this.registerModule(`norm${i}`, new LayerNorm(dModel, { eps, bias, dtype }));
    for (const i of places) this.registerModule(`dropout${i}`, new Dropout(dropout));
    const isModule = activation instanceof Module;
    if (isModule) this.registerModule('activation', activation);
    this.plainActivation = isModule
      ? null
      : activation === 'relu'
        ? relu
        : activation === 'gelu'
          ? (x: Tensor) => gelu(x)
          : (activation as (x: Tensor) => Tensor);
  }

  /**
   * A child by its name.
   * @internal
   */
  protected child<M extends Module>(name: string): M {
    return Module.read(this, name) as M;
  }
  /** The attention of the layer's input to itself. */
  get selfAttn(): MultiheadAttention {
    return this.child('self_attn');
  }

  /**
   * One attention, with its dropout.
   * @internal
   */
  protected attended(
    attention: MultiheadAttention,
    dropout: Dropout,
    query: Tensor,
    memory: Tensor,
    masks: Masks,
  ): Tensor {
    const [x] = attention(query, memory, memory, { ...masks, needWeights: false });
    // PyTorch draws in the order (L, N, E), in which its attention has computed.
    const isTurned = attention.batchFirst && x.rank === 3 && dropout.training && dropout.p > 0;
    return isTurned ? transpose(dropout(transpose(x, 0, 1)), 0, 1) : dropout(x);
  }
  private feedForward(x: Tensor, dropout: Dropout): Tensor {
    const activation = this.plainActivation ?? (this.child('activation') as unknown as (x: Tensor) => Tensor);
    const inner = activation(this.child<Linear>('linear1')(x));
    return dropout(this.child<Linear>('linear2')(this.child<Dropout>('dropout')(inner)));
  }
  /**
   * x with what each block gives added to it, and normalized: before the block, or after the sum.
   * @internal
   */
  protected blocks(x: Tensor, blocks: readonly ((x: Tensor, dropout: Dropout) => Tensor)[]): Tensor {
    const all = [...blocks, (x: Tensor, dropout: Dropout) => this.feedForward(x, dropout)];
    return all.reduce((x, block, i) => {
      const norm = this.child<LayerNorm>(`norm${i + 1}`);
      const dropout = this.child<Dropout>(`dropout${i + 1}`);
      return this.normFirst ? x.add(block(norm(x), dropout)) : norm(x.add(block(x, dropout)));
    }, x);
  }
}

/** The masks of one attention. */
interface Masks {
  readonly attnMask: Tensor | null;
  readonly keyPaddingMask: Tensor | null;
  readonly isCausal: boolean;
}

/** Options of a call of `TransformerEncoderLayer`. Masks are as in `MultiheadAttention`. */
export interface EncoderLayerCallOptions {
  /** (L, L) or (N·nhead, L, L): which place each place does not see. Default: null, none. */
  srcMask?: Tensor | null;
  /** (N, L): which places nobody sees. Default: null, none. */
  srcKeyPaddingMask?: Tensor | null;
  /** Says that srcMask is that of `Transformer.generateSquareSubsequentMask`. Default: false. */
  isCausal?: boolean;
}
const encoderLayerCall = declareOptions<EncoderLayerCallOptions>({
  srcMask: kind.tensor,
  srcKeyPaddingMask: kind.tensor,
  isCausal: kind.flag,
});

/**
 * Self-attention and a feed-forward network, each added to its input and normalized (Vaswani et al. 2017; PyTorch:
 * `nn.TransformerEncoderLayer`): (L, N, E) → (L, N, E), or (N, L, E) with `batchFirst`, or without the batch dimension.
 * @throws RuntimeError unless dModel is divisible by nhead, and at the call where shapes do not fit.
 * @example
 * const layer = new TransformerEncoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true });
 * const encoded = layer(randn([4, 5, 8])); // shape [4, 5, 8]
 */
export class TransformerEncoderLayer extends TransformerLayer {
  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super(dModel, nhead, options, ['self_attn']);
  }

  forward(src: Tensor, options: EncoderLayerCallOptions = {}): Tensor {
    requireTensor('TransformerEncoderLayer', src);
    requireOptions('TransformerEncoderLayer', options, encoderLayerCall);
    const { srcMask = null, srcKeyPaddingMask = null, isCausal = false } = options;
    const masks = {
      keyPaddingMask: canonicalMask('srcKeyPaddingMask', srcKeyPaddingMask, src.dtype, ['srcMask', srcMask]),
      attnMask: canonicalMask('srcMask', srcMask, src.dtype),
      isCausal,
    };
    return this.blocks(src, [(x, dropout) => this.attended(this.selfAttn, dropout, x, x, masks)]);
  }
}

/** Options of a call of `TransformerDecoderLayer` and `TransformerDecoder`. Masks are as in `MultiheadAttention`. */
export interface DecoderCallOptions {
  /** (L, L) or (N·nhead, L, L): which place of the target each of its places does not see. Default: null, none. */
  tgtMask?: Tensor | null;
  /** (L, S) or (N·nhead, L, S): which place of the memory each place does not see. Default: null, none. */
  memoryMask?: Tensor | null;
  /** (N, L): which places of the target nobody sees. Default: null, none. */
  tgtKeyPaddingMask?: Tensor | null;
  /** (N, S): which places of the memory nobody sees. Default: null, none. */
  memoryKeyPaddingMask?: Tensor | null;
  /** Says that tgtMask is that of `Transformer.generateSquareSubsequentMask`. Default: false. */
  tgtIsCausal?: boolean;
  /** The same of memoryMask. Default: false. */
  memoryIsCausal?: boolean;
}
const decoderCall = declareOptions<DecoderCallOptions>({
  tgtMask: kind.tensor,
  memoryMask: kind.tensor,
  tgtKeyPaddingMask: kind.tensor,
  memoryKeyPaddingMask: kind.tensor,
  tgtIsCausal: kind.flag,
  memoryIsCausal: kind.flag,
});

/**
 * Self-attention, attention to the memory that an encoder gave, and a feed-forward network, each added to its input and
 * normalized (Vaswani et al. 2017; PyTorch: `nn.TransformerDecoderLayer`): a target (L, N, E) and a memory (S, N, E) →
 * (L, N, E), or (N, L, E) … with `batchFirst`, or without the batch dimension.
 * @throws RuntimeError unless dModel is divisible by nhead, and at the call where shapes do not fit.
 * @example
 * const layer = new TransformerDecoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true });
 * const decoded = layer(randn([4, 5, 8]), randn([4, 7, 8])); // shape [4, 5, 8]
 */
export class TransformerDecoderLayer extends TransformerLayer {
  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super(dModel, nhead, options, ['self_attn', 'multihead_attn']);
  }
  /** The attention to the memory. */
  get multiheadAttn(): MultiheadAttention {
    return this.child('multihead_attn');
  }

  forward(tgt: Tensor, memory: Tensor, options: DecoderCallOptions = {}): Tensor {
    requireTensor('TransformerDecoderLayer', tgt);
    requireOptions('TransformerDecoderLayer', options, decoderCall);
    const own: Masks = {
      attnMask: options.tgtMask ?? null,
      keyPaddingMask: options.tgtKeyPaddingMask ?? null,
      isCausal: options.tgtIsCausal ?? false,
    };
    const ofMemory: Masks = {
      attnMask: options.memoryMask ?? null,
      keyPaddingMask: options.memoryKeyPaddingMask ?? null,
      isCausal: options.memoryIsCausal ?? false,
    };
    return this.blocks(tgt, [
      (x, dropout) => this.attended(this.selfAttn, dropout, x, x, own),
      (x, dropout) => this.attended(this.multiheadAttn, dropout, x, memory, ofMemory),
    ]);
  }
}

/** Options of `TransformerEncoder` and `TransformerDecoder`. */
export interface TransformerStackOptions {
  /** A module behind the last layer, such as a layer norm. Default: null, none. */
  norm?: Module | null;
}
const stackOptions = declareOptions<TransformerStackOptions>({ norm: kind.module });

/** What both stacks share. */
abstract class TransformerStack<L extends Module> extends Module {
  /** The number of layers. */
  readonly numLayers: number;
  /** The layers. */
  declare layers: ModuleList;
  /** What stands behind the last layer, or null. */
  declare norm: Module | null;

  constructor(layer: L, numLayers: number, options: TransformerStackOptions) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, stackOptions);
    if (!(layer instanceof Module))
      throw new ArgumentTypeError(`[${name}] expected a module as the layer, got ${shown(layer)}`);
    requireInteger(name, 'numLayers', numLayers, 0, maxElements);
    this.numLayers = numLayers;
    this.registerModule('layers', new ModuleList(Array.from({ length: numLayers }, () => copyModule(layer as Module))));
    this.registerModule('norm', options.norm ?? null);
  }

  /**
   * x through all layers and the norm.
   * @internal
   */
  protected through(x: Tensor, call: (layer: L, x: Tensor) => Tensor): Tensor {
    let out = x;
    for (const layer of this.layers) out = call(layer as L, out);
    return this.norm ? (this.norm(out) as Tensor) : out;
  }
}

/** Options of a call of `TransformerEncoder`. Masks are as in `MultiheadAttention`. */
export interface EncoderCallOptions {
  /** (L, L) or (N·nhead, L, L): which place each place does not see. Default: null, none. */
  mask?: Tensor | null;
  /** (N, L): which places nobody sees. Default: null, none. */
  srcKeyPaddingMask?: Tensor | null;
  /** Says that mask is that of `Transformer.generateSquareSubsequentMask`. Default: false. */
  isCausal?: boolean;
}
const encoderCall = declareOptions<EncoderCallOptions>({
  mask: kind.tensor,
  srcKeyPaddingMask: kind.tensor,
  isCausal: kind.flag,
});

/**
 * A stack of encoder layers: copies of one, with the same initial values (PyTorch: `nn.TransformerEncoder`). PyTorch's
 * nested tensors, which speed up evaluation with padding, do not exist here: padded places have values, too.
 * @example
 * const layer = new TransformerEncoderLayer(8, 2, { dimFeedforward: 16 });
 * const encoder = new TransformerEncoder(layer, 2, { norm: new LayerNorm(8) });
 * const encoded = encoder(randn([5, 4, 8])); // shape [5, 4, 8]
 */
export class TransformerEncoder extends TransformerStack<TransformerEncoderLayer> {
  constructor(encoderLayer: TransformerEncoderLayer, numLayers: number, options: TransformerStackOptions = {}) {
    super(encoderLayer, numLayers, options);
  }

  forward(src: Tensor, options: EncoderCallOptions = {}): Tensor {
    requireTensor('TransformerEncoder', src);
    requireOptions('TransformerEncoder', options, encoderCall);
    const { mask = null, isCausal } = options;
    const given = options.srcKeyPaddingMask ?? null;
    const srcKeyPaddingMask = canonicalMask('srcKeyPaddingMask', given, src.dtype, ['mask', mask]);
    const srcMask = canonicalMask('mask', mask, src.dtype);
    return this.through(src, (layer, x) => layer(x, { srcMask, srcKeyPaddingMask, isCausal }));
  }
}

/**
 * A stack of decoder layers: copies of one, with the same initial values (PyTorch: `nn.TransformerDecoder`).
 * @example
 * const decoder = new TransformerDecoder(new TransformerDecoderLayer(8, 2, { dimFeedforward: 16 }), 2);
 * const decoded = decoder(randn([5, 4, 8]), randn([7, 4, 8])); // shape [5, 4, 8]
 */
export class TransformerDecoder extends TransformerStack<TransformerDecoderLayer> {
  constructor(decoderLayer: TransformerDecoderLayer, numLayers: number, options: TransformerStackOptions = {}) {
    super(decoderLayer, numLayers, options);
  }

  forward(tgt: Tensor, memory: Tensor, options: DecoderCallOptions = {}): Tensor {
    requireOptions('TransformerDecoder', options, decoderCall);
    return this.through(tgt, (layer, x) => layer(x, memory, options));
  }
}

/** Options of `Transformer`. */
export interface TransformerOptions extends TransformerLayerOptions {
  /** The size E of what each place has. Default: 512. */
  dModel?: number;
  /** The number of heads. Default: 8. */
  nhead?: number;
  /** The number of encoder layers. Default: 6. */
  numEncoderLayers?: number;
  /** The number of decoder layers. Default: 6. */
  numDecoderLayers?: number;
}
const transformerOptions = declareOptions<TransformerOptions>({
  dModel: kind.integer,
  nhead: kind.integer,
  numEncoderLayers: kind.integer,
  numDecoderLayers: kind.integer,
  ...layerOptions.kinds,
});

/** Options of a call of `Transformer`. Masks are as in `MultiheadAttention`. */
export interface TransformerCallOptions extends DecoderCallOptions {
  /** (S, S) or (N·nhead, S, S): which place of the source each of its places does not see. Default: null, none. */
  srcMask?: Tensor | null;
  /** (N, S): which places of the source nobody sees. Default: null, none. */
  srcKeyPaddingMask?: Tensor | null;
  /** Says that srcMask is that of `generateSquareSubsequentMask`. Default: false. */
  srcIsCausal?: boolean;
}
const transformerCall = declareOptions<TransformerCallOptions>({
  srcMask: kind.tensor,
  srcKeyPaddingMask: kind.tensor,
  srcIsCausal: kind.flag,
  ...decoderCall.kinds,
});

/**
 * Encoder and decoder (Vaswani et al. 2017; PyTorch: `nn.Transformer`): a source (S, N, E) and a target (L, N, E) →
 * (L, N, E), or (N, S, E) … with `batchFirst`, or without the batch dimension. All matrices begin with xavier's uniform
 * numbers.
 * @throws RuntimeError at the call where sizes do not fit.
 * @example
 * const transformer = new Transformer({ dModel: 8, nhead: 2, numEncoderLayers: 1, numDecoderLayers: 1 });
 * const tgtMask = Transformer.generateSquareSubsequentMask(5);
 * const out = transformer(randn([7, 4, 8]), randn([5, 4, 8]), { tgtMask }); // shape [5, 4, 8]
 */
export class Transformer extends Module {
  /** The size E of what each place has. */
  readonly dModel: number;
  /** The number of heads. */
  readonly nhead: number;
  /** Whether inputs are (N, L, E). */
  readonly batchFirst: boolean;
  /** The encoder. */
  declare encoder: TransformerEncoder;
  /** The decoder. */
  declare decoder: TransformerDecoder;

  constructor(options: TransformerOptions = {}) {
    super();
    requireOptions('Transformer', options, transformerOptions);
    const { dModel = 512, nhead = 8, numEncoderLayers = 6, numDecoderLayers = 6, ...ofLayers } = options;
    const { layerNormEps: eps, bias, dtype } = options;
    for (const [name, count] of Object.entries({ dModel, nhead, numEncoderLayers, numDecoderLayers }))
      requireInteger('Transformer', name, count, 0, maxElements);
    const norm = () => new LayerNorm(dModel, { eps, bias, dtype });
    const encoderLayer = new TransformerEncoderLayer(dModel, nhead, ofLayers);
    this.registerModule('encoder', new TransformerEncoder(encoderLayer, numEncoderLayers, { norm: norm() }));
    const decoderLayer = new TransformerDecoderLayer(dModel, nhead, ofLayers);
    this.registerModule('decoder', new TransformerDecoder(decoderLayer, numDecoderLayers, { norm: norm() }));
    this.dModel = dModel;
    this.nhead = nhead;
    this.batchFirst = options.batchFirst ?? false;
    this.resetParameters();
  }

  /** Draws every matrix anew. */
  resetParameters(): void {
    for (const parameter of this.parameters()) if (parameter.rank > 1) xavierUniform_(parameter);
  }

  /**
   * The mask (size, size) with which each place sees itself and those before it: 0 there, −∞ elsewhere (PyTorch:
   * `nn.Transformer.generate_square_subsequent_mask`).
   * @example
   * Transformer.generateSquareSubsequentMask(2); // [[0, -Infinity], [0, 0]]
   */
  static generateSquareSubsequentMask(size: number, options: TensorOptions = {}): Tensor {
    requireInteger('generateSquareSubsequentMask', 'size', size, 0, maxElements);
    return triu(full([size, size], Number.NEGATIVE_INFINITY, options), 1);
  }

  forward(src: Tensor, tgt: Tensor, options: TransformerCallOptions = {}): Tensor {
    requireTensor('Transformer', src);
    requireTensor('Transformer', tgt);
    requireOptions('Transformer', options, transformerCall);
    const { srcMask, srcKeyPaddingMask, srcIsCausal, ...ofDecoder } = options;
    const batchDim = this.batchFirst ? 0 : 1;
    if (src.rank === 3 && src.shape[batchDim] !== tgt.shape[batchDim])
      throw new RuntimeError('the batch number of src and tgt must be equal');
    if (src.shape.at(-1) !== this.dModel || tgt.shape.at(-1) !== this.dModel)
      throw new RuntimeError('the feature number of src and tgt must be equal to dModel');
    const memory = this.encoder(src, { mask: srcMask, srcKeyPaddingMask, isCausal: srcIsCausal });
    return this.decoder(tgt, memory, ofDecoder);
  }
}

declareModules({
  TransformerEncoderLayer,
  TransformerDecoderLayer,
  TransformerEncoder,
  TransformerDecoder,
  Transformer,
});
