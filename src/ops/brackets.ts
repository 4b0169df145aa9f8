// PyTorch's square brackets: x.index(…) reads, and x.setIndex(…) writes, what numbers, slices, new axes, lists, index
// tensors and masks select together. Numbers and slices select one strided block. Index tensors then become positions
// along one axis of that block (indexing.ts).
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { requireInteger, shown } from '../checks.ts';
import type { Backend } from '../device/backend.ts';
import { ArgumentTypeError, IndexError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { rowMajor } from '../tensor/copy.ts';
import { fullOn, tensorOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { broadcastShapes, formatShape, type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import { aliasOf, type NestedArray, requireKnownShape, Tensor, viewAs } from '../tensor/tensor.ts';
import { warn } from '../warnings.ts';
import { broadcastTo } from './broadcast.ts';
import { cast, clone } from './convert.ts';
import { add } from './elementwise.ts';
import {
  addAt,
  fittingFill,
  type IndexedAxis,
  nonzeroPositions,
  pickAt,
  positionsOf,
  putAt,
  valueTensor,
} from './indexing.ts';
import { replaceSelected, reshape, type Selection, selected, sliceRange, wholeOf } from './shape_ops.ts';

/** Elements `start`, `start + step`, … before `end`; what is left out reaches to the edge, or is 1. */
export interface SliceSpec {
  /** The first index, from the end where negative. Default: 0. */
  readonly start?: number | null;
  /** The index before which it ends, from the end where negative. Default: the size of the dimension. */
  readonly end?: number | null;
  /** The distance of the elements, at least 1. Default: 1. */
  readonly step?: number | null;
}

/** Numbers or booleans, nested like an index tensor or a mask. */
export type IndexList = readonly (number | boolean | IndexList)[];

/**
 * One entry between the square brackets: a number selects, `{ start, end, step }` or a string as in Python, `'1:'`,
 * `'::2'`, `'-3:-1'`, slices, `null` inserts a dimension, `'...'` stands for the dimensions in between, a tensor or
 * list of integers picks, one of booleans masks as many dimensions as it has, `true` and `false` insert a dimension of
 * size 1 or 0.
 */
export type IndexSpec = number | boolean | null | string | SliceSpec | Tensor | IndexList;

/** What the entries between the brackets select from a tensor. */
interface Place {
  /** The regular part: what numbers and slices cut out. */
  readonly selection: Selection;
  /** The shape of that part, without the dimensions of numbers, with new ones, and with those of a mask as one. */
  readonly shape: number[];
  /** For each dimension of `shape` the index tensor (int64), if it has one, and the dimension of x. */
  readonly indices: ({ readonly index: Tensor; readonly dim: number } | null)[];
  /** Whether one mask, of at least one dimension, is all that indexes. */
  readonly isMasked: boolean;
}

const sliceText = /^\s*([+-]?\d+)?\s*:\s*([+-]?\d+)?\s*(?::\s*([+-]?\d+)?\s*)?$/;
const sliceKeys = ['start', 'end', 'step'];

type Entry = number | boolean | null | '...' | SliceSpec | Tensor;

/** An entry with its shorthands written out. Refuses values that are no entries. */
function entryOf(op: string, spec: unknown, backend: Backend): Entry {
  if (spec === null || typeof spec === 'boolean') return spec;
  if (typeof spec === 'number') return requireInteger(op, 'an index', spec);
  if (typeof spec === 'string') {
    if (spec.trim() === '...') return '...';
    const found = sliceText.exec(spec);
    if (!found)
      throw new ArgumentTypeError(
        `[${op}] expected '...' or a slice such as '1:', '::2' or '-3:-1', got ${shown(spec)}`,
      );
    const [start, end, step] = found.slice(1).map((text) => (text === undefined ? null : Number(text)));
    return { start, end, step };
  }
  if (Array.isArray(spec)) return listed(op, spec, backend);
  if (spec instanceof Tensor) {
    if (!isFloat(spec.dtype)) return spec;
    throw new IndexError(`[${op}] tensors used as indices must be long, int, byte or bool tensors, got ${spec.dtype}`);
  }
  if (typeof spec === 'object' && spec !== null && Object.keys(spec).every((key) => sliceKeys.includes(key)))
    return spec as SliceSpec;
  throw new ArgumentTypeError(
    `[${op}] only integers, slices ({ start, end, step } or '1:2'), '...', null, booleans, lists and integer or bool tensors are valid indices, got ${shown(spec)}`,
  );
}

/** A list as an index tensor, or as a mask, of what lives on a backend. */
function listed(op: string, list: readonly unknown[], backend: Backend): Tensor {
  const values = list.flat(Number.POSITIVE_INFINITY);
  const isTruth = values.length > 0 && values.every((value) => typeof value === 'boolean');
  const wrong = isTruth ? undefined : values.find((value) => !Number.isInteger(value));
  if (wrong !== undefined)
    throw new IndexError(`[${op}] expected integers or booleans in a list of indices, got ${shown(wrong)}`);
  return tensorOn(backend, list as NestedArray, isTruth ? 'bool' : 'int64');
}

const isMask = (entry: Tensor): boolean => entry.dtype === 'bool' || entry.dtype === 'uint8';

/** How many dimensions of x an entry stands for. */
const consumed = (entry: Entry): number =>
  entry === null || entry === '...' || typeof entry === 'boolean'
    ? 0
    : entry instanceof Tensor && isMask(entry)
      ? entry.rank
      : 1;

/**
 * @param holdsEverywhere whether masks on the meta device, which have no values, count as true everywhere; where the
 * number of true values does not matter.
 */
function placeOf(op: string, x: Tensor, specs: readonly unknown[], holdsEverywhere = false): Place {
  const entries = specs.map((spec) => entryOf(op, spec, x.backend));
  // Before the values of a mask are read.
  for (const entry of entries) if (entry instanceof Tensor) requireSameDevice(op, x, entry);
  const total = entries.reduce<number>((n, entry) => n + consumed(entry), 0);
  const ellipses = entries.filter((entry) => entry === '...').length;
  if (ellipses > 1) throw new IndexError(`[${op}] an index can only have a single ellipsis ('...')`);
  if (total > x.rank)
    throw new IndexError(
      x.rank === 0 && entries.some((entry) => typeof entry === 'number')
        ? `[${op}] invalid index of a 0-dim tensor; item() gives its value`
        : `[${op}] too many indices for tensor of dimension ${x.rank}`,
    );
  if (ellipses === 0) entries.push('...');
  const selection = wholeOf(x.shape);
  const [shape, indices]: [number[], Place['indices']] = [[], []];
  let dim = 0;
  const keep = (n: number, index: Tensor | null = null) => {
    shape.push(n);
    indices.push(index && { index, dim });
  };
  for (const entry of entries) {
    if (entry === null) keep(1);
    else if (entry === '...') for (let i = total; i < x.rank; i++) keep(x.shape[dim++]);
    else if (typeof entry === 'boolean') keep(1, truth(entry, x.backend));
    else if (entry instanceof Tensor) {
      if (isMask(entry)) {
        keepMask(op, x, dim, entry, keep, holdsEverywhere);
        dim += entry.rank;
      } else if (entry.rank === 0) cut(op, x, selection, dim++, entry.device === 'meta' ? 0 : entry.item());
      else {
        keep(x.shape[dim], rowMajor(cast(entry, 'int64')));
        dim++;
      }
    } else if (typeof entry === 'number') cut(op, x, selection, dim++, entry);
    else {
      const { start, step, length } = sliceRange(op, x.shape[dim], entry.start, entry.end, entry.step);
      selection.start[dim] = start;
      selection.step[dim] = step;
      selection.shape[dim] = length;
      keep(length);
      dim++;
    }
  }
  const masks = entries.filter((entry) => entry instanceof Tensor && isMask(entry) && entry.rank > 0).length;
  const isMasked = masks === 1 && indices.filter((each) => each !== null).length === 1;
  return { selection, shape, indices, isMasked };
}

/** A truth value between the brackets: the one element of a new dimension, or none. */
const truth = (holds: boolean, backend: Backend): Tensor => fullOn(backend, [holds ? 1 : 0], 0, 'int64');

/** One index of a dimension. */
function cut(op: string, x: Tensor, selection: ReturnType<typeof wholeOf>, dim: number, index: number): void {
  const n = x.shape[dim];
  if (index < -n || index >= n)
    throw new IndexError(`[${op}] index ${index} is out of bounds for dimension ${dim} with size ${n}`);
  selection.start[dim] = index < 0 ? index + n : index;
  selection.shape[dim] = 1;
}

/** The dimensions that a mask covers, as one, at the positions where it holds. */
function keepMask(
  op: string,
  x: Tensor,
  dim: number,
  mask: Tensor,
  keep: (n: number, index: Tensor) => void,
  holdsEverywhere: boolean,
): void {
  const isAssumed = holdsEverywhere && mask.device === 'meta';
  if (mask.dtype === 'uint8') warn('indexing with dtype uint8 is now deprecated, please use a dtype bool instead.');
  if (mask.rank === 0) {
    if (!isAssumed) requireKnownShape(op, mask);
    keep(1, truth(isAssumed || mask.item() !== 0, mask.backend));
    return;
  }
  mask.shape.forEach((n, i) => {
    if (n !== x.shape[dim + i])
      throw new IndexError(
        `[${op}] The shape of the mask ${formatShape(mask.shape)} at index ${i} does not match the shape of the indexed tensor ${formatShape(x.shape)} at index ${dim + i}`,
      );
  });
  const size = sizeOf(mask.shape);
  keep(size, isAssumed ? fullOn(mask.backend, [size], 0, 'int64') : nonzeroPositions(mask, op));
}

/** The positions that index tensors select in a block: along the middle axis of (outer, n, inner). */
interface Positions {
  readonly view: readonly [outer: number, n: number, inner: number];
  readonly positions: Tensor;
  /** Of what is picked there. */
  readonly shape: Shape;
}

/**
 * Index tensors that stand side by side are joined into one axis in their place. Where something stands between them,
 * all dimensions up to the last of them are joined, and those of the index tensors come first, as in PyTorch and NumPy.
 */
function positionsIn(op: string, { shape, indices }: Place): Positions | null {
  const given = indices.filter((each) => each !== null);
  if (given.length === 0) return null;
  const joined = joinedShape(
    op,
    given.map(({ index }) => index.shape),
  );
  const last = indices.findLastIndex((each) => each !== null);
  const front = indices.findIndex((each) => each !== null);
  const isAdjacent = indices.slice(front, last + 1).every((each) => each !== null);
  const first = isAdjacent ? front : 0;
  const between: number[] = [];
  const ramp = joined.map(() => 0);
  const axes: IndexedAxis[] = [];
  for (let d = first, step = sizeOf(shape.slice(first, last + 1)); d <= last; d++) {
    const n = shape[d];
    step = n === 0 ? 0 : step / n;
    const own = indices[d];
    if (own) axes.push({ ...own, n, step });
    else {
      between.push(n);
      ramp.push(step);
    }
  }
  const whole = [...joined, ...between];
  // Indices are checked even where nothing is selected.
  if (between.includes(0))
    positionsOf(
      op,
      axes,
      joined,
      joined.map(() => 0),
      true,
    );
  // Index tensors are broadcast to the leading dimensions.
  const placed = axes.map((axis) => ({
    ...axis,
    index: viewAs(axis.index, [...axis.index.shape, ...between.map(() => 1)]),
  }));
  const positions = positionsOf(op, placed, whole, ramp, true);
  const [outer, n, inner] = [shape.slice(0, first), shape.slice(first, last + 1), shape.slice(last + 1)];
  return {
    view: [sizeOf(outer), sizeOf(n), sizeOf(inner)],
    positions: viewAs(positions, [positions.size]),
    shape: [...outer, ...whole, ...inner],
  };
}

function joinedShape(op: string, shapes: readonly Shape[]): number[] {
  try {
    return shapes.reduce<number[]>((common, shape) => broadcastShapes(common, shape), []);
  } catch {
    throw new IndexError(
      `[${op}] shape mismatch: indexing tensors could not be broadcast together with shapes ${shapes.map(formatShape).join(', ')}`,
    );
  }
}

const isWhole = (x: Tensor, { selection }: Place): boolean =>
  sameShape(selection.shape, x.shape) && selection.step.every((by) => by === 1);

/**
 * The square brackets of PyTorch, as a copy: see `IndexSpec` for what may stand between them. Index tensors and masks
 * are broadcast together; their common dimensions stand where they stood, or in front where slices or new axes stand
 * between them.
 * @throws IndexError on an index outside, too many indices, float indices, a mask of another shape.
 * @example
 * x.index('...', '1:', 0); // x[..., 1:, 0]
 * x.index([0, 2]); // x[[0, 2]]
 * logits.index(arange(8), labels); // the elements (0, labels[0]), (1, labels[1]), …
 */
export function index(x: Tensor, ...specs: IndexSpec[]): Tensor {
  requireTensor('index', x);
  const place = placeOf('index', x, specs);
  const found = positionsIn('index', place);
  if (!found) return reshape(selected(x, place.selection), place.shape);
  const block = isWhole(x, place) ? x : selected(x, place.selection);
  return reshape(pickAt(reshape(block, found.view), 1, found.positions, 'index'), found.shape);
}

/** Whether PyTorch would return a view for these entries. */
export const selectsView = (specs: readonly unknown[]): boolean =>
  !specs.some(
    (spec) =>
      typeof spec === 'boolean' || Array.isArray(spec) || (spec instanceof Tensor && (spec.rank > 0 || isMask(spec))),
  );

/** Options of `setIndex`. */
export interface SetIndexOptions {
  /** Add to what is there, for repeated indices once for each, instead of replacing it. Default: false. */
  accumulate?: boolean;
}
const setIndexOptions = declareOptions<SetIndexOptions>({ accumulate: kind.flag });

/**
 * Writes a number or a tensor, broadcast, to a place of x, in place: PyTorch's `x[spec] = value`. `spec` is one entry
 * (see `IndexSpec`) or an array of entries, so a list of indices stands in an array of its own: `x.setIndex([[0, 2]],
 * 1)`. Of repeated indices the last one counts. Gradients flow to `value`, and no longer to what was replaced. Returns
 * x.
 * @throws RuntimeError where the value does not fit, or x is a leaf that requires gradients; IndexError as `index`
 * does. x is unchanged then.
 * @example
 * x.setIndex(0, 1); // x[0] = 1
 * x.setIndex(['...', '1:'], y.index('...', '1:')); // x[..., 1:] = y[..., 1:]
 * x.setIndex(x.lt(0), 0); // x[x < 0] = 0
 * x.setIndex([[0, 2, 2]], 1, { accumulate: true }); // adds 1 to x[0] and 2 to x[2]
 */
export function setIndex(
  x: Tensor,
  spec: IndexSpec | readonly IndexSpec[],
  value: number | boolean | Tensor,
  options: SetIndexOptions = {},
): Tensor {
  requireOptions('setIndex', options, setIndexOptions);
  return assign('setIndex', x, Array.isArray(spec) ? spec : [spec], value, options.accumulate);
}

/** `setIndex` for every operation that changes x in place at once: `op` is what the user called. */
export function assign(
  op: string,
  x: Tensor,
  entries: readonly unknown[],
  value: number | boolean | Tensor,
  accumulate = false,
): Tensor {
  requireTensor(op, x);
  if (isGradEnabled() && x.requiresGrad && x.isLeaf)
    throw new RuntimeError('a leaf Variable that requires grad is being used in an in-place operation.');
  const given = valueTensor(op, value, x);
  requireSameDevice(op, x, given);
  const place = placeOf(op, x, entries, given.size === 1);
  const found = positionsIn(op, place);
  const isFill = given.size === 1 && place.isMasked && !accumulate; // PyTorch fills where one mask holds, and converts
  if ((found || accumulate) && given.dtype !== x.dtype && !isFill)
    throw new RuntimeError(
      `[${op}] Index put requires the source and destination dtypes match, got ${x.dtype} for the destination and ${given.dtype} for the source.`,
    );
  const values = spread(op, isFill ? fittingFill(given, x.dtype) : given, found?.shape ?? place.shape);
  // Read from a copy: the source may share memory with x.
  const source = cast(values.storage === x.storage ? clone(values) : values, x.dtype);
  const before = aliasOf(x);
  before.gradFn = x.gradFn;
  before.outputIndex = x.outputIndex;
  before.history = x.history;
  const changed = assigned(op, before, place, found, source, accumulate);
  if (changed.gradFn) {
    x.gradFn = changed.gradFn;
    x.outputIndex = changed.outputIndex;
    x.history = ++x.storage.history;
  }
  return x;
}

/** A value in the shape of what it replaces; leading dimensions of size 1 are ignored, as in PyTorch. */
function spread(op: string, value: Tensor, shape: Shape): Tensor {
  let lead = 0;
  while (value.rank - lead > shape.length && value.shape[lead] === 1) lead++;
  const own = value.shape.slice(lead);
  const from = shape.length - own.length;
  if (from < 0 || own.some((n, d) => n !== 1 && n !== shape[from + d]))
    throw new RuntimeError(
      `[${op}] shape mismatch: value tensor of shape ${formatShape(value.shape)} cannot be broadcast to indexing result of shape ${formatShape(shape)}`,
    );
  return broadcastTo(lead > 0 ? reshape(value, own) : value, shape);
}

/** x, in its own memory, with `source` at a place. */
function assigned(
  op: string,
  x: Tensor,
  place: Place,
  found: Positions | null,
  source: Tensor,
  accumulate: boolean,
): Tensor {
  const { selection } = place;
  const part = () => selected(x, selection);
  if (!found) {
    const block = reshape(source, selection.shape);
    return replaceSelected(x, selection, accumulate ? cast(add(part(), block), x.dtype) : block, true);
  }
  const { view, positions } = found;
  const slices = reshape(source, [view[0], positions.size, view[2]]);
  if (accumulate && x.dtype === 'bool') {
    // Sums of truth values are or: they are added as integers.
    const sum = addAt(cast(reshape(part(), view), 'int64'), 1, positions, cast(slices, 'int64'), true, op);
    return replaceSelected(x, selection, reshape(cast(sum, 'bool'), selection.shape), true);
  }
  const write = accumulate ? addAt : putAt;
  if (isWhole(x, place) && x.memoryFormat === 'contiguous')
    return reshape(write(reshape(x, view), 1, positions, slices, true, op), x.shape);
  const block = reshape(write(reshape(part(), view), 1, positions, slices, true, op), selection.shape);
  return replaceSelected(x, selection, block, true);
}
