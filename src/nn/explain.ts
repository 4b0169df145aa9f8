// model.explain(input): says for each layer what fusion merges in a forward and a backward, and why it does not merge
// the rest. fusion/log.ts reports the steps; here they are assigned to layers and put into words.
import { backward } from '../autograd/backward.ts';
import { type Listener, listening, type Step } from '../fusion/log.ts';
import { isFusionEnabled } from '../fusion/switch.ts';
import { clone } from '../ops/convert.ts';
import { sum } from '../ops/reduce.ts';
import { defaultGenerator } from '../tensor/random/index.ts';
import { scope, tensorsIn } from '../tensor/scope.ts';
import type { Storage } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { ConvBase } from './conv.ts';
import { ForwardWatch } from './forward_watch.ts';
import { Linear } from './linear.ts';
import { Module } from './module.ts';
import type { Arguments } from './module_call.ts';
import { copyModule } from './surgery/copy_module.ts';

/** What fusion did with one layer: a convolution, a linear layer, or a layer that computes batch norm. */
export interface LayerFusion {
  /** The layer's name, as in `namedModules`. */
  readonly name: string;
  /** The name of its class. */
  readonly type: string;
  /** What was merged in the forward, or why nothing was. */
  readonly forward: readonly string[];
  /** The same of the backward; empty where there was none. */
  readonly backward: readonly string[];
}

/** What `explain` returns; `toString()` is readable. */
export class FusionReport {
  /** In the order in which they ran. */
  readonly layers: readonly LayerFusion[];

  constructor(layers: readonly LayerFusion[]) {
    this.layers = layers;
  }

  /** A paragraph for each layer. */
  toString(): string {
    return this.layers
      .flatMap(({ name, type, forward, backward }) => [
        `${name || '(the model)'} (${type})`,
        `  forward   ${forward.join('; ')}`,
        ...(backward.length > 0 ? [`  backward  ${backward.join('; ')}`] : []),
      ])
      .join('\n');
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** The lines of a layer, while they are collected. */
interface Lines {
  readonly forward: Set<string>;
  readonly backward: Set<string>;
}

/** A layer that computes a norm, and the layer whose output it normalizes, if there is one. */
interface WatchedNorm {
  readonly layer: Module;
  readonly maker: Module | undefined;
}

/** Whether the kernels of a layer can do work of norms. */
const hasKernel = (module: Module): module is ConvBase | Linear =>
  module instanceof ConvBase || module instanceof Linear;

/** A watched run of a model. The model must be a copy, since it gets hooks. */
class Watch {
  private readonly calls: ForwardWatch;
  private readonly lines = new Map<Module, Lines>();
  /** By the key of the norm. */
  private readonly norms = new Map<object, WatchedNorm>();
  /** Convolutions and linear layers, by their weights. */
  private readonly convolutions = new Map<Tensor, Module>();
  /** Which layer has written some memory; the innermost. */
  private readonly makers = new Map<Storage, Module>();
  /** The last input of every module. */
  private readonly inputs = new Map<Module, unknown>();
  private isBackward = false;

  constructor(model: Module) {
    this.calls = new ForwardWatch(model);
    for (const module of this.calls.names.keys()) if (hasKernel(module)) this.convolutions.set(module.weight, module);
    this.calls.follow(
      (module, input) => void this.inputs.set(module, input),
      (module, output) => {
        if (output instanceof Tensor && !this.makers.has(output.storage)) this.makers.set(output.storage, module);
        if (hasKernel(module)) this.linesOf(module);
      },
    );
  }

  run(model: Module, example: Arguments): FusionReport {
    const output: unknown = listening(this.hear, () => model(...example));
    const wanted = [...tensorsIn(output)].filter((t) => t.requiresGrad);
    listening(this.hear, () => {
      // What nobody has asked for yet.
      for (const t of tensorsIn(output)) t.materialize();
      this.isBackward = wanted.length > 0;
      if (this.isBackward) backward(wanted.map((t) => sum(t)));
    });
    const said = (texts: ReadonlySet<string>) => (texts.size > 0 ? [...texts] : ['by itself']);
    return new FusionReport(
      [...this.lines].map(([module, { forward, backward }]) => ({
        name: this.calls.names.get(module)!,
        type: module.constructor.name,
        forward: said(forward),
        backward: this.isBackward ? said(backward) : [],
      })),
    );
  }

  private linesOf(module: Module): Lines {
    const known = this.lines.get(module);
    if (known) return known;
    const made = { forward: new Set<string>(), backward: new Set<string>() };
    this.lines.set(module, made);
    return made;
  }

  private say(module: Module, text: string): void {
    this.linesOf(module)[this.isBackward ? 'backward' : 'forward'].add(text);
  }

  private text(module: Module): string {
    const name = this.calls.names.get(module);
    return name ? `'${name}'` : `the model's own code`;
  }

  /** The reason that names who asked for the values. */
  private asker(): string {
    const { current } = this.calls;
    return this.isBackward ? 'the backward' : current ? this.text(current) : 'what reads the output';
  }

  /** Finds the layer of a norm: the one in whose forward the norm begins. */
  private begin(key: object): void {
    const layer = this.calls.current;
    if (!layer) return;
    const input = this.inputs.get(layer);
    this.norms.set(key, { layer, maker: input instanceof Tensor ? this.makers.get(input.storage) : undefined });
  }

  private readonly hear: Listener = (step, key, weight) => {
    const conv = weight && this.convolutions.get(weight);
    const by = conv ? this.text(conv) : this.asker();
    if (step.startsWith('statistics') || step === 'normalized at once') this.begin(key);
    // Without a norm behind it a convolution carries out one that changes nothing, which began nowhere.
    const norm = this.norms.get(key);
    if (norm) {
      const source = norm.maker ? this.text(norm.maker) : 'an input that no layer has returned';
      this.say(norm.layer, normText(step, by, source, this.asker()));
      if (step === 'statistics left' && norm.maker)
        this.say(norm.maker, `leaves the statistics of its output for ${this.text(norm.layer)}`);
    }
    const text = conv && convText(step, norm ? this.text(norm.layer) : null);
    if (text) this.say(conv, text);
  };
}

/**
 * The text of a step for its norm. @param by the layer in which it happened. @param source where the norm's input comes
 * from.
 */
function normText(step: Step, by: string, source: string, asker: string): string {
  switch (step) {
    case 'statistics left':
      return `statistics from the epilogue of ${source}`;
    case 'statistics read':
      return `statistics by a pass over the input: ${source} leaves none`;
    case 'statistics gathered':
      return 'statistics of all processes';
    case 'statistics given':
      return 'running statistics';
    case 'normalized at once':
      return isFusionEnabled()
        ? 'statistics and values at once, while they are in a cache: the input is contiguous and has no statistics with it'
        : 'by itself: fusion is off';
    case 'relu joined':
      return 'ReLU in the same pass';
    case 'addition joined':
      return 'addition in the same pass';
    case 'function joined':
      return `nothing written: ${asker} normalizes what it reads`;
    case 'function differentiated':
      return 'values formed again while the gradient of the activation is';
    case 'written':
      return `values written by one pass, for ${asker}`;
    case 'written for weights':
      return 'values written once more for the gradient of the weights behind, and dropped';
    case 'normalized in prologue':
      return `nothing written: ${by} normalizes while it reads`;
    case 'normalized in epilogue':
      return `nothing written besides: ${by} writes the normalized values`;
    case 'sums read':
      return 'mask and sums by a pass of their own';
    case 'sums in epilogue':
      return `mask and sums in the epilogue of ${by}`;
    case 'gradient of batch':
      return 'sums and gradient at once, while they are in a cache';
    case 'gradient written':
      return `gradient of ${source} written by one pass`;
    case 'gradient in prologue':
      return `no gradient written: ${source} forms it while it reads`;
  }
}

/** The text of a step for the convolution in which it happened. */
function convText(step: Step, norm: string | null): string | null {
  switch (step) {
    case 'normalized in prologue':
      return `normalizes its input while reading, for ${norm}`;
    case 'normalized in epilogue':
      return norm ? `writes ${norm}` : 'writes what the ReLU or addition behind it gives';
    case 'sums in epilogue':
      return `masks the gradient of its input and sums it for ${norm}`;
    default:
      return null;
  }
}

declare module './module.ts' {
  interface Module {
    /**
     * Which operations are merged in a forward and a backward of this model, for each layer, and where not, why: see
     * docs/batch_norm_for_free.md. A copy of the model runs on `example`, the arguments of its forward, in its own
     * modes; under `noGrad` forward only. The model, its statistics and the random numbers stay as they are.
     *
     * @throws RuntimeError on lazy layers that have not seen an input.
     * @example
     * console.log(String(model.explain(images)));
     */
    explain(...example: Parameters<this['forward']>): FusionReport;
  }
}

Module.prototype.explain = function (this: Module, ...example: Arguments): FusionReport {
  const state = defaultGenerator.getState();
  try {
    return scope(() => {
      const copy = copyModule<Module>(this);
      // The example's tensors might be changed in place, and get no gradient.
      const given = example.map((arg: unknown) =>
        arg instanceof Tensor ? clone(arg).detach().requiresGrad_(arg.requiresGrad) : arg,
      );
      return new Watch(copy).run(copy, given);
    });
  } finally {
    defaultGenerator.setState(state);
  }
};
