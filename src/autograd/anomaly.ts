// Anomaly mode: every recorded operation remembers where the user's program called it, so that a gradient that is NaN,
// or an error of a backward, can be traced to its line.
import { declareOptions, kind, requireOptions } from '../options.ts';
import { restoring } from '../restoring.ts';

/** Options of `detectAnomaly` and `setDetectAnomaly`. */
export interface DetectAnomalyOptions {
  /** Whether each gradient is searched for NaN, which waits for its kernel. Default: true. */
  checkNan?: boolean;
}
const detectAnomalyOptions = declareOptions<DetectAnomalyOptions>({ checkNan: kind.flag });

interface Mode {
  readonly isOn: boolean;
  readonly checksNan: boolean;
}
let mode: Mode = { isOn: false, checksNan: false };

function set(caller: string, isOn: boolean, options: DetectAnomalyOptions): Mode {
  requireOptions(caller, options, detectAnomalyOptions);
  const former = mode;
  mode = { isOn, checksNan: isOn && (options.checkNan ?? true) };
  return former;
}

/** Whether recorded operations remember their place (PyTorch: `torch.is_anomaly_enabled`). */
export const isAnomalyEnabled = (): boolean => mode.isOn;
/** Whether gradients are searched for NaN (PyTorch: `torch.is_anomaly_check_nan_enabled`). */
export const checksNan = (): boolean => mode.checksNan;

/**
 * Turns anomaly mode on or off for what follows; see `detectAnomaly` (PyTorch: `torch.autograd.set_detect_anomaly`).
 * @throws ArgumentTypeError on options that are none.
 * @example
 * setDetectAnomaly(true);
 * setDetectAnomaly(false);
 */
export function setDetectAnomaly(isOn: boolean, options: DetectAnomalyOptions = {}): void {
  set('setDetectAnomaly', isOn, options);
}

/**
 * Runs `fn`, forward and backward, in anomaly mode: a backward whose gradient has a NaN throws, and says in which line
 * the forward of that operation was called; so does an error inside a backward. For debugging only, since every
 * operation takes a stack trace, and every gradient is waited for (PyTorch: `torch.autograd.detect_anomaly`). An async
 * `fn` is covered until its promise settles.
 * @throws RuntimeError where a gradient has a NaN.
 * @example
 * const x = tensor([0], { requiresGrad: true });
 * try {
 *   detectAnomaly(() => x.sqrt().mul(0).sum().backward());
 * } catch (error) {
 *   console.log(error); // Function 'sqrtBackward' returned nan values in its 0th output. …
 * }
 */
export function detectAnomaly<R>(fn: () => R, options: DetectAnomalyOptions = {}): R {
  const former = set('detectAnomaly', true, options);
  return restoring(() => {
    mode = former;
  }, fn);
}

/** The folder of the library's modules; in a bundle, whatever that is there. */
const own = import.meta.url?.replace(/[^/]*\/[^/]*$/, '') ?? '';
const plain = own.replace(/^file:\/\//, '');

/** In anomaly mode, the lines of the stack that are not the library's; else null. */
export function placeOfCall(): string | null {
  if (!mode.isOn) return null;
  // V8 shows ten lines unless it is told otherwise, and the library's own may be more.
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = Number.POSITIVE_INFINITY;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = limit;
  const lines = stack.split('\n').filter((line) => /^\s*at |@/.test(line));
  const outside = lines.filter((line) => own === '' || !(line.includes(own) || line.includes(plain)));
  return (outside.length > 0 ? outside : lines).map((line) => `    ${line.trim()}`).join('\n');
}

/** Adds to an error of a backward where its operation was called. */
export function withPlace(error: unknown, name: string, place: string | null): unknown {
  if (place && error instanceof Error) error.message += `\nThe forward of ${name} was called\n${place}`;
  return error;
}
