// model.explain(input): what fusion does in a forward and a backward of a model, layer by layer, and where not, why. The steps are told by
// fusion/log.ts; here they are assigned to layers and put into words.
import { backward } from '../autograd/backward.ts';
import { type Listener, listening, type Step } from '../fusion/log.ts';
import { isFusionEnabled } from '../fusion/switch.ts';
import { clone } from '../ops/launch.ts';
import { sum } from '../ops/reduce.ts';
import { defaultGenerator } from '../tensor/random/index.ts';
import { scope, tensorsIn } from '../tensor/scope.ts';
import type { Storage } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { ConvBase } from './conv.ts';
import { copyModule } from './copy_module.ts';
import { type Arguments, Module, type Result } from './module.ts';

/** What became of one layer: of a convolution, or of a layer in which batch norm is computed. */
export interface LayerFusion {
  readonly name: string;
  /** Of its class. */
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

/** Lines of a layer while they are collected. */
interface Lines {
  readonly forward: Set<string>;
  readonly backward: Set<string>;
}

/** A run of a model, which is changed by being watched, so it must be a copy. */
class Watch {
  private readonly names: ReadonlyMap<Module, string>;
  private readonly lines = new Map<Module, Lines>();
  /** By the means that a norm is known by. */
  private readonly norms = new Map<Tensor, { readonly layer: Module; readonly source: string; maker?: Module }>();
  private readonly convolutions = new Map<Tensor, Module>();
  /** Which layer has written some memory; the innermost. */
  private readonly makers = new Map<Storage, Module>();
  private readonly running: { readonly module: Module; readonly input: unknown }[] = [];
  private isBackward = false;

  constructor(model: Module) {
    this.names = new Map([...model.namedModules()].map(([name, module]) => [module, name]));
    for (const module of this.names.keys()) {
      if (module instanceof ConvBase) this.convolutions.set(module.weight, module);
      module.registerForwardPreHook((_, [input]) => void this.running.push({ module, input }));
      module.registerForwardHook((_module, _args, output: Result) => {
        // Calls that ended in an error which somebody caught have not been taken off.
        while (this.running.pop()?.module !== module);
        if (output instanceof Tensor && !this.makers.has(output.storage)) this.makers.set(output.storage, module);
        if (module instanceof ConvBase) this.linesOf(module);
      });
    }
  }

  run(model: Module, example: Arguments): FusionReport {
    const output: unknown = listening(this.hear, () => model.call(...example));
    const wanted = [...tensorsIn(output)].filter((t) => t.requiresGrad);
    listening(this.hear, () => {
      // What nobody has asked for yet.
      for (const t of tensorsIn(output)) t.dataSync();
      this.isBackward = true;
      if (wanted.length > 0) backward(wanted.map((t) => sum(t)));
    });
    return new FusionReport(
      [...this.lines].map(([module, { forward, backward }]) => ({
        name: this.names.get(module)!,
        type: module.constructor.name,
        forward: forward.size > 0 ? [...forward] : ['by itself'],
        backward: this.isBackward && wanted.length > 0 && backward.size === 0 ? ['by itself'] : [...backward],
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
    const name = this.names.get(module);
    return name ? `'${name}'` : `the model's own code`;
  }

  /** Who has asked for values, as a reason. */
  private asker(): string {
    const asker = this.running.at(-1);
    return this.isBackward ? 'the backward' : asker ? this.text(asker.module) : 'what reads the output';
  }

  /** Finds out which layer a norm is of, when it begins. */
  private norm(key: Tensor): { layer: Module; source: string; maker?: Module } | null {
    const known = this.norms.get(key);
    if (known) return known;
    const frame = this.running.at(-1);
    if (!frame || this.isBackward) return null;
    const { module: layer, input } = frame;
    const maker = input instanceof Tensor ? this.makers.get(input.storage) : undefined;
    const made = { layer, source: maker ? this.text(maker) : 'an input that no layer has returned', maker };
    this.norms.set(key, made);
    return made;
  }

  private readonly hear: Listener = (step, key, weight) => {
    const conv = weight && this.convolutions.get(weight);
    const by = conv ? this.text(conv) : 'a convolution';
    const norm = step === 'normalized in epilogue' && !this.norms.has(key) ? null : this.norm(key);
    if (norm) for (const text of normTexts(step, by, norm.source, this.asker())) this.say(norm.layer, text);
    if (step === 'statistics left' && norm?.maker)
      this.say(norm.maker, `leaves the statistics of its output for ${this.text(norm.layer)}`);
    const text = conv && convTexts(step, norm ? this.text(norm.layer) : null);
    if (text) this.say(conv, text);
  };
}

/** A step as its norm sees it. `by`: the convolution in which it happened; `source`: where the norm's input comes from. */
function normTexts(step: Step, by: string, source: string, asker: string): string[] {
  switch (step) {
    case 'statistics left':
      return [`statistics from the epilogue of ${source}`];
    case 'statistics read':
      return [`statistics by a pass over the input: ${source} leaves none`];
    case 'statistics given':
      return ['running statistics'];
    case 'normalized at once':
      return isFusionEnabled()
        ? [
            'statistics and values at once, plane by plane in a cache: the input is contiguous and has no statistics with it',
          ]
        : ['by itself: fusion is off'];
    case 'relu joined':
      return ['ReLU in the same pass'];
    case 'addition joined':
      return ['addition in the same pass'];
    case 'written':
      return [`values written by one pass, for ${asker}`];
    case 'written for weights':
      return ['values written once more for the gradient of the weights behind, and dropped'];
    case 'normalized in prologue':
      return [`nothing written: ${by} normalizes while it reads`];
    case 'normalized in epilogue':
      return [`nothing written besides: ${by} writes the normalized values`];
    case 'sums read':
      return ['mask and sums by a pass of their own'];
    case 'sums in epilogue':
      return [`mask and sums in the epilogue of ${by}`];
    case 'gradient of batch':
      return ['sums and gradient at once, plane by plane in a cache'];
    case 'gradient written':
      return [`gradient of ${source} written by one pass`];
    case 'gradient in prologue':
      return [`no gradient written: ${source} forms it while it reads`];
  }
}

/** A step as the convolution sees it in which it happened. */
function convTexts(step: Step, norm: string | null): string | null {
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
     * Which operations are merged in a forward and a backward of this model, for each layer, and where not, why: see docs/batch_norm_for_free.md.
     * A copy of the model runs on `example`, the arguments of its forward, in its own modes; under `noGrad` forward only. The model, its
     * statistics and the random numbers stay as they are.
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
