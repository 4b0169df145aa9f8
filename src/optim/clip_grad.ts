// Clipping of gradients, by their norm over all parameters or element by element, in place (PyTorch:
// torch.nn.utils.clip_grad).
import { requireNumber } from '../checks.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { fullOn, tensor } from '../tensor/create.ts';
import { allocate, requireReadable, type Tensor } from '../tensor/tensor.ts';
import { partition, type Row } from './parameter_table.ts';

/** The gradients that there are, each once, as rows that are changed in their own order of memory. */
function gradientRows(parameters: Iterable<Tensor>): Row[] {
  const rows: Row[] = [];
  for (const parameter of new Set(parameters)) {
    const grad = parameter.peekGrad();
    if (grad) rows.push({ parameter: grad, gradient: grad, states: [] });
  }
  return rows;
}

function scale(groups: readonly Row[][], factor: number, limit: number): void {
  for (const rows of groups) {
    for (const { gradient } of rows) gradient.storage.beginChange();
    rows[0].parameter.backend.launch.optimGradScale('clipGrad', { table: rows, scale: factor, limit });
  }
}

/** A limit may be infinite; a negative one would turn gradients around, in which PyTorch sees no error. */
function requireLimit(op: string, name: string, value: number): void {
  requireNumber(op, name, value);
  if (!(value >= 0)) throw new ValueError(`[${op}] expected ${name} of at least 0, got ${value}`);
}

/** Options of `clipGradNorm`. */
export interface ClipGradNormOptions {
  /** p of the norm; Infinity: the largest absolute value. Default: 2. */
  normType?: number;
  /** Refuse a norm that is NaN or infinite. Default: false. */
  errorIfNonfinite?: boolean;
}
const clipGradNormOptions = declareOptions<ClipGradNormOptions>({ normType: kind.number, errorIfNonfinite: kind.flag });

/**
 * Scales all gradients by min(1, maxNorm / (norm + 1e-6)), with the norm over all of them together, which is returned,
 * as it was before (PyTorch: `nn.utils.clip_grad_norm_`).
 * @throws ValueError on a negative norm; RuntimeError with `errorIfNonfinite`, where the norm is NaN or infinite;
 * nothing is scaled then.
 * @example
 * const norm = clipGradNorm(net.parameters(), 1);
 */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number, options: ClipGradNormOptions = {}): Tensor {
  requireOptions('clipGradNorm', options, clipGradNormOptions);
  const { normType = 2, errorIfNonfinite = false } = options;
  requireLimit('clipGradNorm', 'maxNorm', maxNorm);
  requireNumber('clipGradNorm', 'normType', normType);
  if (Number.isNaN(normType)) throw new ValueError('[clipGradNorm] expected a number as normType, got NaN');
  const groups = partition(gradientRows(parameters));
  if (groups.length === 0) return tensor(0);
  const { backend, dtype, device } = groups[0][0].parameter;
  if (device === 'meta') {
    if (errorIfNonfinite) requireReadable('clipGradNorm', groups[0][0].parameter);
    return fullOn(backend, [], 0, dtype);
  }
  let total = 0;
  for (const rows of groups) {
    const part = allocate([1], 'float64', 'contiguous', rows[0].parameter.backend);
    part.backend.launch.optimGradNorm('clipGradNorm', { table: rows, p: normType, result: part });
    const value = part.item();
    total = normType === Infinity ? (value > total || Number.isNaN(value) ? value : total) : total + value;
  }
  const norm = fullOn(backend, [], normType === Infinity || normType === 0 ? total : total ** (1 / normType), dtype);
  const value = norm.item();
  if (errorIfNonfinite && !Number.isFinite(value))
    throw new RuntimeError(
      `The total norm of order ${normType} for gradients from \`parameters\` is non-finite, so it cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set \`errorIfNonfinite: false\``,
    );
  const factor = maxNorm / (value + 1e-6);
  // NaN scales too, as in PyTorch: a broken norm must show.
  if (!(factor >= 1)) scale(groups, factor, Infinity);
  return norm;
}

/**
 * Limits every element of every gradient to [−clipValue, clipValue], in place (PyTorch: `nn.utils.clip_grad_value_`).
 */
export function clipGradValue(parameters: Iterable<Tensor>, clipValue: number): void {
  requireLimit('clipGradValue', 'clipValue', clipValue);
  scale(partition(gradientRows(parameters)), 1, clipValue);
}
