// What a file of tensors holds, for people: each tensor, and the batch norms among them with what looks wrong. Values
// are read for the norms only.
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { FileSource } from './byte_source.ts';
import { type OpenOptions, openAs, openOptions } from './open.ts';
import type { FileFormat, TensorFile, TensorInfo } from './tensor_file.ts';

/** The smallest and largest of a layer's values, and their average. */
export interface Spread {
  /** The smallest. */
  readonly min: number;
  /** Their average. */
  readonly mean: number;
  /** The largest. */
  readonly max: number;
}

/** A layer with running statistics. */
export interface InspectedNorm {
  /** Its path in the model. */
  readonly name: string;
  /** How many channels its statistics have. */
  readonly channels: number;
  /** Of the running means. */
  readonly mean: Spread;
  /** Of the running variances. */
  readonly variance: Spread;
  /** Batches that its statistics have seen; null: the file has no counter. */
  readonly batches: number | null;
  /** What looks wrong, one sentence each. */
  readonly problems: readonly string[];
}

/** What `inspectFile` found. */
export interface Inspection {
  /** The file, as it was given. */
  readonly source: string;
  /** The file's format, found by its content. */
  readonly format: FileFormat;
  /** Of the whole file. */
  readonly bytes: number;
  /** Where in the file's data the tensors stand. */
  readonly path: string;
  /** Its tensors, in the file's order. */
  readonly tensors: readonly (TensorInfo & { readonly name: string })[];
  /** The layers with running statistics. */
  readonly norms: readonly InspectedNorm[];
  /** What the file holds besides its tensors, one sentence each. */
  readonly notes: readonly string[];
}

/** A gain above which one layer makes its input a hundred times as large, which no trained layer does. */
const largestGain = 100;
/** PyTorch's default. */
const eps = 1e-5;

function spread(values: readonly number[]): Spread {
  let [min, max, sum] = [Infinity, -Infinity, 0];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  return { min, mean: sum / values.length, max };
}

async function inspectNorm(file: TensorFile, name: string): Promise<InspectedNorm> {
  const valuesOf = async (part: string): Promise<number[] | null> => {
    const key = name === '' ? part : `${name}.${part}`;
    if (!file.has(key) || file.info(key).loadsAs === null) return null;
    return Array.from((await file.get(key)).dataSync() as ArrayLike<number | bigint>, Number);
  };
  const mean = (await valuesOf('running_mean')) ?? [];
  const variance = (await valuesOf('running_var')) ?? [];
  const weight = await valuesOf('weight');
  const [batches = null] = (await valuesOf('num_batches_tracked')) ?? [];
  const problems: string[] = [];
  const count = (of: (value: number, channel: number) => boolean) => variance.filter(of).length;
  const of = (channels: number) => `${channels} of ${variance.length} channels`;
  const broken = [...mean, ...variance, ...(weight ?? [])].filter((value) => !Number.isFinite(value)).length;
  if (broken > 0) problems.push(`${broken} values are NaN or infinite`);
  const negative = count((value) => value < 0);
  if (negative > 0) problems.push(`the variance is negative in ${of(negative)}`);
  const tiny = count((value) => value >= 0 && value < 10 * eps);
  if (tiny > 0) problems.push(`the variance is near eps in ${of(tiny)}: eps decides what they are multiplied by`);
  const steep = count(
    (value, i) => weight !== null && value >= 0 && Math.abs(weight[i]) / Math.sqrt(value + eps) > largestGain,
  );
  if (steep > 0) problems.push(`the gain is above ${largestGain} in ${of(steep)}`);
  if (mean.length > 0 && mean.every((value) => value === 0) && variance.every((value) => value === 1))
    problems.push('the statistics are those of a new layer: they were never updated, or not saved');
  if (batches === null)
    problems.push('there is no counter of batches: the file is of before PyTorch 0.4.1, or was converted');
  return { name, channels: variance.length, mean: spread(mean), variance: spread(variance), batches, problems };
}

/**
 * Describes a file of tensors: names, types, shapes, bytes, and the layers with running statistics with what looks
 * wrong in them.
 * @throws FileReadError, FileFormatError.
 * @example
 * await saveStateDict('build/lenet.pt', model.stateDict());
 * const { norms } = await inspectFile('build/lenet.pt');
 * norms[0].problems;
 */
export async function inspectFile(source: FileSource, options: OpenOptions = {}): Promise<Inspection> {
  requireOptions('inspectFile', options, openOptions);
  const file = await openAs('inspectFile', source, options, null);
  try {
    const names = file.keys();
    const norms: InspectedNorm[] = [];
    for (const name of names)
      if (/(^|\.)running_var$/.test(name)) norms.push(await inspectNorm(file, name.replace(/\.?running_var$/, '')));
    const tensors = names.map((name) => ({ name, ...file.info(name) }));
    const { name, format, path, notes } = file;
    return { source: name, format, bytes: file.byteLength, path, tensors, norms, notes };
  } finally {
    await file.close();
  }
}

/** A tensor that both files have. */
export interface Difference {
  /** Of the tensor. */
  readonly name: string;
  /** `'weight'`, or `'statistics'`: means, variances and counters that batches move, not gradients. */
  readonly kind: 'weight' | 'statistics';
  /** Largest difference of two elements; null where shapes differ. */
  readonly largest: number | null;
  /** Length of the difference divided by that of the first tensor; null where shapes differ. */
  readonly relative: number | null;
  /** What differs besides values; null: nothing. */
  readonly problem: string | null;
}

/** What `diffFiles` found. */
export interface FileDifference {
  /** The first file, as it was given. */
  readonly a: string;
  /** The second file, as it was given. */
  readonly b: string;
  /** Names of tensors that the first file alone has. */
  readonly onlyA: readonly string[];
  /** Names of tensors that the second file alone has. */
  readonly onlyB: readonly string[];
  /** Tensors whose values, type or shape differ. */
  readonly changed: readonly Difference[];
  /** How many are the same to the bit. */
  readonly same: number;
}

/** Options of `diffFiles`. */
export interface DiffOptions {
  /** Where the state stands in the first file, and in the second. Default: found by content. */
  keys?: readonly [string | undefined, string | undefined];
}
const diffOptions = declareOptions<DiffOptions>({ keys: kind.object });

const isStatistic = (name: string): boolean => /(^|\.)(running_(mean|var)|num_batches_tracked)\w*$/.test(name);

async function compare(a: TensorFile, b: TensorFile, name: string): Promise<Difference | null> {
  const [one, other] = [a.info(name), b.info(name)];
  const kindOf = isStatistic(name) ? 'statistics' : 'weight';
  const shapes = [one, other].map(({ shape }) => `[${shape.join(', ')}]`);
  if (shapes[0] !== shapes[1])
    return { name, kind: kindOf, largest: null, relative: null, problem: `shapes ${shapes[0]} and ${shapes[1]}` };
  const problem = one.dtype === other.dtype ? null : `types ${one.dtype} and ${other.dtype}`;
  const x = (await a.get(name)).dataSync();
  const y = (await b.get(name)).dataSync();
  let [largest, squares, norm] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const [p, q] = [Number(x[i]), Number(y[i])];
    norm += p * p;
    if (Object.is(p, q) || p === q) continue;
    // A NaN that was none before is the largest change there is.
    const difference = Number.isNaN(p - q) ? Infinity : Math.abs(p - q);
    largest = Math.max(largest, difference);
    squares += difference * difference;
  }
  if (largest === 0 && problem === null) return null;
  return { name, kind: kindOf, largest, relative: largest === 0 ? 0 : Math.sqrt(squares) / Math.sqrt(norm), problem };
}

/**
 * Which tensors of two files differ, and by how much; weights and running statistics apart: did a frozen backbone
 * drift?
 * @throws FileReadError, FileFormatError.
 * @example
 * await saveStateDict('build/before.pt', model.stateDict());
 * await saveStateDict('build/after.pt', model.stateDict());
 * const { changed } = await diffFiles('build/before.pt', 'build/after.pt');
 * changed.length; // 0
 */
export async function diffFiles(a: FileSource, b: FileSource, options: DiffOptions = {}): Promise<FileDifference> {
  requireOptions('diffFiles', options, diffOptions);
  const [keyA, keyB] = options.keys ?? [];
  const first = await openAs('diffFiles', a, { key: keyA }, null);
  try {
    const second = await openAs('diffFiles', b, { key: keyB }, null);
    try {
      const common = first.keys().filter((name) => second.has(name));
      const changed: Difference[] = [];
      for (const name of common) {
        const difference = await compare(first, second, name);
        if (difference) changed.push(difference);
      }
      return {
        a: first.name,
        b: second.name,
        onlyA: first.keys().filter((name) => !second.has(name)),
        onlyB: second.keys().filter((name) => !first.has(name)),
        changed,
        same: common.length - changed.length,
      };
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}
