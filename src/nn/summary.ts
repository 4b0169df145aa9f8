// summary(model, input): layers with their output shapes, parameters, multiply-adds and what is kept for the backward,
// found by running a copy of the model on the meta device, where nothing is computed and nothing takes memory.
import { enableGrad } from '../autograd/grad_mode.ts';
import { type SavedTensors, setHolder } from '../autograd/node.ts';
import { requireChoice, requireShape, shown } from '../checks.ts';
import { withDevice } from '../device/engine.ts';
import { ArgumentTypeError } from '../errors.ts';
import { countingWork } from '../launch/work.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { empty } from '../tensor/create.ts';
import { type DType, dtypes, isFloat, requireDType } from '../tensor/dtype.ts';
import { scope, tensorsIn } from '../tensor/scope.ts';
import { formatShape, type MemoryFormat, memoryFormats, type Shape } from '../tensor/shape.ts';
import { type Storage, withSources } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { ForwardWatch } from './forward_watch.ts';
import type { Module } from './module.ts';
import { shellOf } from './surgery/copy_module.ts';

/** Options of `summary`. */
export interface SummaryOptions {
  /**
   * Of inputs that are given as shapes. Default: the dtype of the model's first parameter of floating point, else
   * float32.
   */
  dtype?: DType;
  /** Of inputs that are given as shapes; fusion keeps less in channels-last order. Default: `'contiguous'`. */
  memoryFormat?: MemoryFormat;
}

const summaryOptions = declareOptions<SummaryOptions>({ dtype: kind.choice, memoryFormat: kind.choice });

/**
 * An argument of the model: a tensor of any device, of which only shape, dtype and format count, or the shape of one.
 */
export type SummaryInput = Shape | Tensor;

/** One module of the model. Its numbers are its own, without those of the modules below it. */
export interface LayerSummary {
  /** As in `namedModules`; '' is the model. */
  readonly path: string;
  /** Of its class. */
  readonly type: string;
  /** Of the tensors that its first call returned; empty where it was not called. */
  readonly outputShapes: readonly Shape[];
  /** How often it was called. */
  readonly calls: number;
  /** Elements of its parameters; those that stand in several modules count in the first. */
  readonly parameters: number;
  /** Multiplications, each with an addition, in convolutions and matrix products of its forward. */
  readonly multiplyAdds: number;
  /** Bytes that the operations in its forward keep for the backward; what several keep counts in the first. */
  readonly keptBytes: number;
}

type Totals = Omit<ModelSummary, 'layers' | 'toString' | typeof inspect>;

const inspect = Symbol.for('nodejs.util.inspect.custom');

/** What `summary` returns; `toString()` is a table. */
export class ModelSummary {
  /** The modules that were called or have parameters, and those around them, in the order of the tree. */
  readonly layers: readonly LayerSummary[];
  /** Elements of all parameters, each once. */
  readonly parameters: number;
  /** Elements of those that require gradients. */
  readonly trainableParameters: number;
  /** Bytes of all parameters. */
  readonly parameterBytes: number;
  /** Elements of all buffers. */
  readonly buffers: number;
  /** Bytes of all buffers. */
  readonly bufferBytes: number;
  /** Multiplications, each with an addition, of a forward. */
  readonly multiplyAdds: number;
  /** Bytes of the inputs. */
  readonly inputBytes: number;
  /** Bytes of activations that a forward keeps for the backward. */
  readonly keptBytes: number;

  constructor(layers: readonly LayerSummary[], totals: Totals) {
    this.layers = layers;
    this.parameters = totals.parameters;
    this.trainableParameters = totals.trainableParameters;
    this.parameterBytes = totals.parameterBytes;
    this.buffers = totals.buffers;
    this.bufferBytes = totals.bufferBytes;
    this.multiplyAdds = totals.multiplyAdds;
    this.inputBytes = totals.inputBytes;
    this.keptBytes = totals.keptBytes;
  }

  /** The table: a line for each module, and the totals. */
  toString(): string {
    const rows = this.layers.map(({ path, type, outputShapes, calls, parameters, multiplyAdds, keptBytes }) => {
      const names = path === '' ? [] : path.split('.');
      const name = names.length === 0 ? type : `${'  '.repeat(names.length)}${names.at(-1)} (${type})`;
      const times = calls > 1 ? ` × ${calls}` : '';
      const shapes = calls === 0 ? 'not called' : outputShapes.map(formatShape).join(' ') || '–';
      return [name + times, shapes, numberText(parameters), numberText(multiplyAdds), bytesText(keptBytes)];
    });
    const head = ['Layer', 'Output shape', 'Parameters', 'Multiply-adds', 'Kept for backward'];
    const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
    const line = (row: readonly string[]) =>
      row.map((text, i) => (i < 2 ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join('  ');
    const rule = '─'.repeat(line(head).length);
    const { parameters, trainableParameters, buffers } = this;
    return [
      line(head),
      rule,
      ...rows.map(line),
      rule,
      `Parameters         ${numberText(parameters)} (${numberText(trainableParameters)} trainable), ${bytesText(this.parameterBytes)}`,
      `Buffers            ${numberText(buffers)}, ${bytesText(this.bufferBytes)}`,
      `Multiply-adds      ${numberText(this.multiplyAdds)}`,
      `Input              ${bytesText(this.inputBytes)}`,
      `Kept for backward  ${bytesText(this.keptBytes)}`,
    ].join('\n');
  }

  /**
   * What `console.log` shows in Node: `toString()`.
   * @internal
   */
  [inspect](): string {
    return this.toString();
  }
}

/** With commas, whatever the machine's language. */
const numberText = (value: number): string => (value === 0 ? '–' : String(value).replace(/\B(?=(\d{3})+$)/g, ','));

function bytesText(bytes: number): string {
  if (bytes === 0) return '–';
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${['B', 'KiB', 'MiB', 'GiB'][power]}`;
}

const elementsOf = (tensors: readonly Tensor[]): number => tensors.reduce((total, { size }) => total + size, 0);
const bytesOf = (tensors: readonly Tensor[]): number =>
  tensors.reduce((total, { size, dtype }) => total + size * dtypes[dtype].size, 0);

/** The memory behind storages, each piece once; for deferred ones, the memory of their sources. */
function* memoryBehind(storages: Iterable<Storage>): Generator<readonly [memory: object, bytes: number]> {
  for (const storage of storages)
    for (const { memory, byteLength } of withSources(storage)) if (memory) yield [memory, byteLength];
}

/** What is counted of one module while the model runs. */
interface Counted {
  outputShapes: readonly Shape[];
  calls: number;
  multiplyAdds: number;
  keptBytes: number;
}

/** A watched run of a model. The model must be a copy, since it gets hooks. */
class Count {
  private readonly model: Module;
  private readonly calls: ForwardWatch;
  private readonly counted = new Map<Module, Counted>();
  private readonly saves: { readonly saved: SavedTensors; readonly by: Counted }[] = [];

  constructor(model: Module) {
    this.model = model;
    this.calls = new ForwardWatch(model);
    for (const module of this.calls.names.keys())
      this.counted.set(module, { outputShapes: [], calls: 0, multiplyAdds: 0, keptBytes: 0 });
    this.calls.follow(
      () => {},
      (module, output) => {
        const own = this.counted.get(module)!;
        if (own.calls++ === 0) own.outputShapes = [...tensorsIn(output)].map(({ shape }) => shape);
      },
    );
  }

  private get current(): Counted {
    return this.counted.get(this.calls.current ?? this.model)!;
  }

  run(inputs: readonly Tensor[]): ReadonlyMap<Module, Counted> {
    const around = setHolder((saved, tensors) => {
      const held = around?.(saved, tensors) ?? null;
      if (!held) this.saves.push({ saved, by: this.current });
      return held;
    });
    try {
      countingWork(
        (count) => {
          this.current.multiplyAdds += count;
        },
        () => this.model(...inputs),
      );
    } finally {
      setHolder(around);
    }
    // What is there in any case, and then each piece of memory once.
    const there = [...this.model.parameters(), ...this.model.buffers(), ...inputs];
    const seen = new Set<object>();
    for (const [memory] of memoryBehind(there.map(({ storage }) => storage))) seen.add(memory);
    for (const { saved, by } of this.saves)
      for (const [memory, bytes] of memoryBehind(saved.storages())) {
        if (!seen.has(memory)) by.keptBytes += bytes;
        seen.add(memory);
      }
    return this.counted;
  }
}

function inputsOf(
  model: Module,
  input: SummaryInput | readonly SummaryInput[],
  { dtype, memoryFormat }: SummaryOptions,
): Tensor[] {
  const isShape = (value: unknown): value is Shape => Array.isArray(value) && value.every((n) => typeof n === 'number');
  const list = input instanceof Tensor || isShape(input) ? [input] : input;
  if (!Array.isArray(list))
    throw new ArgumentTypeError(`[summary] expected the shape of the model's input, got ${shown(input)}`);
  const own = model.parameters().find((parameter) => isFloat(parameter.dtype))?.dtype;
  return (list as readonly SummaryInput[]).map((each) => {
    if (each instanceof Tensor)
      return empty(each.shape, { dtype: each.dtype, memoryFormat: each.memoryFormat, device: 'meta' });
    requireShape('summary', each);
    return empty(each, { dtype: dtype ?? own, memoryFormat, device: 'meta' });
  });
}

/**
 * The layers of a model, what they return for an input of a shape, and what they cost; nothing is computed (in the
 * place of torchinfo and of Keras' `model.summary`). A copy of the model runs once on the meta device, in the modes
 * that its layers are in, with gradients recorded. The model, its modes and statistics, and random numbers stay as they
 * are; hooks do not run.
 *
 * Counted are, for each module and in all: parameters; multiply-adds of convolutions and matrix products, a
 * multiplication and its addition as one, biases, norms and functions not at all; and bytes kept for the backward: the
 * memory that recorded operations save, each piece once, with what fusion leaves unwritten, indices and statistics
 * included, without parameters, buffers and the inputs, which are there in any case.
 *
 * @param input the shape of the model's input, or a tensor in its place; several arguments as an array of these.
 * @throws whatever the forward throws on that shape; NotImplementedError where the forward reads values; RuntimeError
 * on lazy layers that have not seen an input.
 * @example
 * const counted = summary(model, [32, 1, 28, 28]);
 * console.log(String(counted)); // a table
 * console.log(counted.multiplyAdds, counted.layers[1].outputShapes);
 * summary(model, images.contiguous('channelsLast')); // a tensor in the place of its shape
 */
export function summary(
  model: Module,
  input: SummaryInput | readonly SummaryInput[],
  options: SummaryOptions = {},
): ModelSummary {
  requireOptions('summary', options, summaryOptions);
  if (options.dtype !== undefined) requireDType('summary', options.dtype);
  if (options.memoryFormat !== undefined) requireChoice('summary', 'memoryFormat', options.memoryFormat, memoryFormats);
  const inputs = inputsOf(model, input, options);
  const copy = shellOf('summary', model);
  const counted = scope(() => enableGrad(() => withDevice('meta', () => new Count(copy).run(inputs))));
  const copies = new Map(copy.namedModules());
  const seen = new Set<Tensor>();
  const all = model.namedModules().map(([path, module]): LayerSummary => {
    const own = [...module.ownParameters().values()].filter((parameter) => parameter !== null && !seen.has(parameter));
    for (const parameter of own) seen.add(parameter!);
    return {
      path,
      type: module.constructor.name,
      parameters: elementsOf(own as Tensor[]),
      ...counted.get(copies.get(path)!)!,
    };
  });
  const shows = ({ calls, parameters }: LayerSummary) => calls > 0 || parameters > 0;
  const isAround = (path: string, { path: inner }: LayerSummary) => path === '' || inner.startsWith(`${path}.`);
  const layers = all.filter(
    (layer) => shows(layer) || all.some((other) => shows(other) && isAround(layer.path, other)),
  );
  const parameters = model.parameters();
  const buffers = model.buffers();
  const total = (key: 'multiplyAdds' | 'keptBytes') => layers.reduce((sum, layer) => sum + layer[key], 0);
  return new ModelSummary(layers, {
    parameters: elementsOf(parameters),
    trainableParameters: elementsOf(parameters.filter(({ requiresGrad }) => requiresGrad)),
    parameterBytes: bytesOf(parameters),
    buffers: elementsOf(buffers),
    bufferBytes: bytesOf(buffers),
    multiplyAdds: total('multiplyAdds'),
    inputBytes: bytesOf(inputs),
    keptBytes: total('keptBytes'),
  });
}
