// fold: folds the batch norms of a model into the layers before them. One run on an example shows which layer feeds
// which norm, and that nothing else reads the tensor between the two. The arithmetic of one pair is in
// fuse_batch_norm.ts.
import { noGrad } from '../../autograd/grad_mode.ts';
import { RuntimeError } from '../../errors.ts';
import { withFusion } from '../../fusion/switch.ts';
import { cast, clone } from '../../ops/convert.ts';
import { abs, sub } from '../../ops/elementwise.ts';
import { amax } from '../../ops/reduce.ts';
import { scope, tensorsIn } from '../../tensor/scope.ts';
import { type Storage, watchUses } from '../../tensor/storage.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { Conv1d, Conv2d, Conv3d, ConvBase, ConvTranspose2d } from '../conv.ts';
import { ForwardWatch } from '../forward_watch.ts';
import { Identity } from '../identity.ts';
import { Linear } from '../linear.ts';
import { withModes } from '../modes.ts';
import type { Module } from '../module.ts';
import type { Arguments } from '../module_call.ts';
import { BatchNormBase } from '../norm/batch_norm.ts';
import { SyncBatchNorm } from '../norm/sync_batch_norm.ts';
import { copyModule } from './copy_module.ts';
import { fuseConvBatchNorm, fuseLinearBatchNorm } from './fuse_batch_norm.ts';

/** What `fold` returns. */
export interface Folded<M extends Module> {
  /**
   * A copy of the model, with the folded batch norms replaced by what is left of them: `Identity`, or the activation
   * that was part of the layer.
   */
  readonly model: M;
  /** Names of the batch norms that were folded. */
  readonly folded: readonly string[];
  /** Names of the others, and why. */
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
  /** Largest |difference| between outputs of the two models on the example, in evaluation mode. */
  readonly maxError: number;
}

type Foldable = ConvBase | Linear;
const isFoldable = (module: Module): module is Foldable => module instanceof ConvBase || module instanceof Linear;

/** A watched run in evaluation mode. The model must be a copy, since it gets hooks. */
class Trace {
  readonly names: ReadonlyMap<Module, string>;
  /** Of the given model: which modules are in training mode, and which have hooks. */
  readonly training: ReadonlySet<Module>;
  readonly hooked: ReadonlySet<Module>;
  readonly calls = new Map<Module, number>();
  /** The last input of every module, and the version of its memory at that time. */
  readonly inputs = new Map<Module, Passed>();
  /**
   * For each tensor, the module that returned it first, which is the innermost, and the version of its memory at that
   * time.
   */
  readonly products = new Map<Tensor, Passed & { readonly maker: Module }>();
  /** What the model has returned. */
  readonly outputs: readonly Tensor[];
  /** The modules in whose own code the watched memory was used. */
  private readonly users = new Map<Storage, Set<Module>>();
  private readonly watched: ForwardWatch;

  constructor(model: Module, example: Arguments) {
    this.watched = new ForwardWatch(model);
    this.names = this.watched.names;
    const modules = [...this.names.keys()];
    this.training = new Set(modules.filter((module) => module.training));
    this.hooked = new Set(modules.filter((module) => module.hasHooks));
    for (const module of modules)
      if (isFoldable(module) || module instanceof BatchNormBase)
        for (const [, tensor] of ownTensors(module)) this.watch(tensor.storage);
    this.watched.follow(
      (module, input) => {
        this.calls.set(module, this.callsOf(module) + 1);
        if (input instanceof Tensor) this.inputs.set(module, { tensor: input, version: input.version });
      },
      (maker, output) => {
        if (!(output instanceof Tensor) || this.products.has(output)) return;
        this.products.set(output, { tensor: output, version: output.version, maker });
        if (isFoldable(maker)) this.watch(output.storage);
      },
    );
    this.outputs = outputsOf(model, example);
  }

  private watch(storage: Storage): void {
    if (this.users.has(storage)) return;
    const users = new Set<Module>();
    this.users.set(storage, users);
    watchUses(storage, () => {
      const user = this.watched.current;
      if (user) users.add(user);
    });
  }

  callsOf(module: Module): number {
    return this.calls.get(module) ?? 0;
  }

  /** A module's name and class, for reasons. */
  text(module: Module): string {
    return `'${this.names.get(module)}' (${module.constructor.name})`;
  }

  /** Says where a memory is used by others than its owner; null: nowhere. */
  otherUse(storage: Storage, owner: Module): string | null {
    const other = [...(this.users.get(storage) ?? [])].find((user) => user !== owner);
    if (!other) return null;
    return this.names.get(other) === '' ? 'elsewhere' : `in ${this.text(other)}`;
  }
}

/** A tensor that goes into, or comes out of, a module. */
interface Passed {
  readonly tensor: Tensor;
  readonly version: number;
}

/** A module's own parameters and buffers. */
function ownTensors(module: Module): [string, Tensor][] {
  const entries: [string, Tensor | null][] = [...module.ownParameters()];
  for (const [name, { tensor }] of module.ownBuffers()) entries.push([name, tensor]);
  return entries.filter((entry): entry is [string, Tensor] => entry[1] !== null);
}

/** Runs a model in evaluation mode on copies of an example's tensors, which it might change in place. */
function outputsOf(model: Module, example: Arguments): readonly Tensor[] {
  const given = example.map((arg: unknown) => (arg instanceof Tensor ? clone(arg) : arg));
  // Not by eval(), in which a layer may do more than change its mode.
  const set = () => {
    for (const module of model.modules()) module.training = false;
  };
  // Without fusion, so that memory is used where its tensor is.
  const output: unknown = withFusion(false, () => withModes(model, set, () => model(...given)));
  const outputs = [...tensorsIn(output)];
  if (outputs.length === 0)
    throw new RuntimeError('[fold] expected a model that returns tensors, in arrays or plain objects at most');
  return outputs;
}

/** The module that follows the norm in a batch norm's forward; null where the layer does not tell. */
function restOf(norm: BatchNormBase): Module | null {
  if (norm.afterNorm) return norm.afterNorm();
  const computes = (norm: BatchNormBase) => Reflect.get(norm, 'normalize') as unknown;
  const isPlain =
    norm.forward === BatchNormBase.prototype.forward &&
    [BatchNormBase.prototype, SyncBatchNorm.prototype].some((known) => computes(norm) === computes(known));
  return isPlain ? new Identity() : null;
}

/** Whether a layer computes what its class in this library does. */
const isStandard = (layer: Foldable): boolean =>
  [Conv1d, Conv2d, Conv3d, ConvTranspose2d, Linear].some(({ prototype }) => layer.forward === prototype.forward);

/** Why a batch norm itself cannot be folded, wherever it stands. */
function obstacleIn(norm: BatchNormBase, trace: Trace): string | null {
  if (trace.training.has(norm)) return 'it is in training mode; call eval() before';
  if (!norm.runningMean || !norm.runningVar)
    return 'it has no running statistics: every batch is normalized by its own';
  const calls = trace.callsOf(norm);
  if (calls !== 1) return calls === 0 ? 'it has not run on the example' : `it is used ${calls} times`;
  if (trace.hooked.has(norm)) return 'it has hooks, which would have nothing to see';
  if (restOf(norm)) return null;
  return `${norm.constructor.name} computes in a way of its own, and has no afterNorm() that says what besides batch norm`;
}

/** Why a layer cannot take up a batch norm behind it. */
function obstacleBefore(layer: Foldable, trace: Trace): string | null {
  if (trace.training.has(layer)) return 'is in training mode; call eval() before';
  if (trace.callsOf(layer) !== 1) return `is used ${trace.callsOf(layer)} times`;
  if (trace.hooked.has(layer)) return 'has hooks, which would see other values';
  return isStandard(layer) ? null : 'has a forward of its own';
}

/** The layer into which a batch norm can be folded, or why there is none. */
function partnerOf(norm: BatchNormBase, trace: Trace): Foldable | string {
  const obstacle = obstacleIn(norm, trace);
  if (obstacle) return obstacle;
  const input = trace.inputs.get(norm)!;
  const product = trace.products.get(input.tensor);
  const layer = product?.maker;
  if (!layer || !isFoldable(layer))
    return `its input is not the output of a convolution or linear layer${layer ? `, but of ${trace.text(layer)}` : ''}`;
  const before = obstacleBefore(layer, trace);
  if (before) return `its input comes from ${trace.text(layer)}, which ${before}`;
  const { tensor } = input;
  if (input.version !== product.version) return `its input is changed in place behind ${trace.text(layer)}`;
  if (trace.outputs.some(({ storage }) => storage === tensor.storage))
    return 'its input is also an output of the model';
  const use = trace.otherUse(tensor.storage, norm);
  if (use) return `its input is also used ${use}`;
  for (const owner of [layer, norm])
    for (const [name, { storage }] of ownTensors(owner)) {
      const other = trace.otherUse(storage, owner);
      if (other) return `${name} of ${trace.text(owner)} is also used ${other}`;
    }
  // Batch norm's channels are axis 1: those of convolutions of a batch, and of linear layers the features of rows.
  const isAligned =
    layer instanceof Linear ? tensor.rank === 2 || tensor.shape[1] === 1 : tensor.rank === layer.kernelSize.length + 2;
  return isAligned ? layer : `its channels are not those of ${trace.text(layer)}`;
}

/** Largest |a − b| of tensors in pairs; NaN where one is NaN. */
function largestDifference(left: readonly Tensor[], right: readonly Tensor[]): number {
  const differences = left.flatMap((a, i) => {
    const difference = abs(sub(cast(a, 'float64'), cast(right[i], 'float64')));
    return difference.size > 0 ? [amax(difference).item()] : [];
  });
  return differences.reduce((a, b) => Math.max(a, b), 0);
}

/**
 * A copy of a model for evaluation in which every batch norm that can be is folded into the convolution or linear layer
 * before it, so that it costs nothing. The model stays as it is.
 *
 * What can be folded is found by one run of a copy, in evaluation mode and without gradients, on `example`, the
 * arguments of the model's forward: a batch norm's input must be the very tensor that a convolution or linear layer has
 * returned, both must run once, and nothing else may use that tensor, return it or use the parameters of the two. Every
 * other batch norm is refused with its reason. A model that goes another way on other data needs an example that goes
 * there. A subclass of batch norm with a forward of its own tells with `afterNorm()` what is to be left in its place.
 *
 * States of the copy differ from the model's: folded layers have a bias, and their batch norms no entries. See also
 * `copyModule` for what a copy cannot have.
 *
 * @throws RuntimeError on lazy layers that have not seen an input, and on a model that returns no tensors.
 * @example
 * const { model: deployed, folded, refused, maxError } = fold(net.eval(), images);
 */
export function fold<M extends Module>(model: M, ...example: Parameters<M['forward']>): Folded<M> {
  return noGrad(() =>
    scope(() => {
      const trace = new Trace(copyModule<Module>(model), example);
      const folded: string[] = [];
      const refused: { name: string; reason: string }[] = [];
      const replacements = new Map<Module, Module>();
      for (const [copy, name] of trace.names) {
        if (!(copy instanceof BatchNormBase)) continue;
        const partner = partnerOf(copy, trace);
        if (typeof partner === 'string') {
          refused.push({ name, reason: partner });
          continue;
        }
        const norm = model.getSubmodule(name) as BatchNormBase;
        const layer = model.getSubmodule(trace.names.get(partner)!) as Foldable;
        const rest = restOf(norm)!;
        rest.training = false;
        replacements.set(norm, rest);
        replacements.set(
          layer,
          layer instanceof Linear ? fuseLinearBatchNorm(layer, norm) : fuseConvBatchNorm(layer, norm),
        );
        folded.push(name);
      }
      const result = copyModule(model, replacements);
      const outputs = outputsOf(result, example);
      return { model: result, folded, refused, maxError: largestDifference(trace.outputs, outputs) };
    }),
  );
}
