// Traces kernels: for which operation they run, on which shapes, and how long. While a trace is taken, the launches of
// each engine are replaced by ones that wait for the kernel and measure its time. EVENKEEL_TRACE=1 prints every launch
// of the process.

import { requireChoice, shown } from '../checks.ts';
import { ArgumentTypeError } from '../errors.ts';
import { restoring } from '../restoring.ts';
import { environment } from './addon_file.ts';
import type { Backend } from './backend.ts';
import { Dtype } from './generated/abi.ts';
import { type Launches, launchNames } from './generated/launches.ts';
import { type Given, type Operand, operandsOf, startOf } from './operand.ts';

/** A tensor that a kernel has read or written. */
export interface TracedOperand {
  /** Its element type. */
  readonly dtype: string;
  /** Its shape. */
  readonly shape: readonly number[];
  /** The first element that the kernel was given, in memory order, where that is not the tensor's first. */
  readonly start?: number;
}

/** One run of a kernel, as an event of Chrome's trace format with a beginning and a duration. */
export interface TraceEvent {
  /** The kernel. */
  readonly name: string;
  /** The engine that ran it: `'native'` or `'wasm'`. */
  readonly cat: string;
  /** A complete event: what Chrome calls one that has a duration. */
  readonly ph: 'X';
  /** When it began, in microseconds of `performance.now()`. */
  readonly ts: number;
  /** How long it took, in microseconds. */
  readonly dur: number;
  /** The process: always 1. */
  readonly pid: 1;
  /** The thread: always 1, as kernels run one after the other. */
  readonly tid: 1;
  /** What Chrome shows of a selected event. */
  readonly args: {
    /** The operation that called the kernel. */
    readonly caller: string;
    /** Its operands, by the names that the kernel has for them; of a table, `row 0, column 2`. */
    readonly operands: Readonly<Record<string, TracedOperand>>;
  };
}

/** What Chrome (`chrome://tracing`) and Perfetto open, once it is written as JSON. */
export interface ChromeTrace {
  /** The kernels, in the order in which they ran. */
  readonly traceEvents: readonly TraceEvent[];
  /** The unit that viewers show times in. */
  readonly displayTimeUnit: 'ms';
}

/** What `trace` returns. */
export interface Traced<R> {
  /** What the function has returned. */
  readonly result: R;
  /** Every kernel that ran meanwhile. */
  readonly trace: ChromeTrace;
}

type Listener = (event: TraceEvent) => void;

const listeners = new Set<Listener>();
const engines = new Set<Backend>();
/** The engines' own launches, while they are replaced. */
const own = new Map<Backend, Launches>();

/** For each engine, once it is there. */
export function makeTraceable(engine: Backend): void {
  engines.add(engine);
  if (isPrinting()) listen(print);
  else if (listeners.size > 0) startClock(engine);
}

function startClock(engine: Backend): void {
  if (own.has(engine)) return;
  own.set(engine, engine.launch);
  engine.launch = clocked(engine, engine.launch);
}

function listen(listener: Listener): void {
  listeners.add(listener);
  for (const engine of engines) startClock(engine);
}

function stopListening(listener: Listener): void {
  listeners.delete(listener);
  if (listeners.size > 0) return;
  for (const [engine, launch] of own) engine.launch = launch;
  own.clear();
}

/** Launches that measure. Each kernel is waited for, so that its time is its own. */
function clocked(engine: Backend, launch: Launches): Launches {
  const timed = (name: keyof Launches) => (caller: string, given: Given) => {
    const operands = operandsOf(given);
    // What was deferred is computed by kernels of its own.
    for (const [, operand] of operands) operand.materialize();
    engine.synchronize();
    const start = performance.now();
    try {
      (launch[name] as (caller: string, given: Given) => void)(caller, given);
      engine.synchronize();
    } finally {
      const dur = (performance.now() - start) * 1000;
      const args = {
        caller,
        operands: Object.fromEntries(operands.map(([key, operand]) => [key, described(operand)])),
      };
      const event: TraceEvent = { name, cat: engine.name, ph: 'X', ts: start * 1000, dur, pid: 1, tid: 1, args };
      for (const listener of listeners) listener(event);
    }
  };
  return Object.fromEntries(launchNames.map((name) => [name, timed(name)])) as unknown as Launches;
}

const dtypeNames = new Map<number, string>(Object.entries(Dtype).map(([name, code]) => [code, name]));

function described(operand: Operand): TracedOperand {
  const start = startOf(operand);
  return { dtype: dtypeNames.get(operand.code)!, shape: [...operand.shape], ...(start > 0 ? { start } : {}) };
}

function isPrinting(): boolean {
  const wanted = environment('EVENKEEL_TRACE');
  return wanted ? requireChoice('EVENKEEL_TRACE', 'value', wanted, ['0', '1']) === '1' : false;
}

/** Of an optimizer's table, only so many operands are printed. */
const printedOperands = 8;

function print({ name, dur, args: { caller, operands } }: TraceEvent): void {
  const texts = Object.entries(operands).map(
    ([key, { dtype, shape, start }]) => `${key} ${dtype}[${shape}]${start ? ` from ${start}` : ''}`,
  );
  const more = texts.length - printedOperands;
  const listed = texts.slice(0, printedOperands).join('; ') + (more > 0 ? `; and ${more} more` : '');
  console.error(`evenkeel: ${dur.toFixed(1).padStart(9)} us  ${name}  [${caller}]  ${listed}`);
}

/** The same for an async function, which is waited for. */
export function trace<R>(fn: () => Promise<R>): Promise<Traced<R>>;
/**
 * Runs `fn` and returns which kernels ran: for which operation, on which shapes, and how long. Each kernel is waited
 * for, so that its time is its own; the whole takes longer than without a trace. What fusion defers appears when it is
 * computed. An async `fn` is awaited, and other work that runs meanwhile appears too. Kernels of other threads, such as
 * a loader's workers, do not. The environment variable `EVENKEEL_TRACE=1` prints a line for each kernel of the process
 * on stderr.
 *
 * @returns what `fn` returned, and a trace that Chrome (`chrome://tracing`) and Perfetto open once it is written as
 * JSON
 * @throws ArgumentTypeError unless `fn` is a function; what `fn` throws
 * @example
 * const { result, trace: kernels } = trace(() => matmul(ones([2, 3]), ones([3, 4])));
 * console.log(result.shape, kernels.traceEvents.map(({ name, dur, args }) => `${name} for ${args.caller}: ${dur} µs`));
 * // JSON.stringify(kernels) is what chrome://tracing and Perfetto open
 */
export function trace<R>(fn: () => R): Traced<R>;
export function trace<R>(fn: () => R | Promise<R>): Traced<R> | Promise<Traced<R>> {
  if (typeof fn !== 'function') throw new ArgumentTypeError(`[trace] expected a function, got ${shown(fn)}`);
  const traceEvents: TraceEvent[] = [];
  const listener: Listener = (event) => {
    traceEvents.push(event);
  };
  const traced = (result: R): Traced<R> => ({ result, trace: { traceEvents, displayTimeUnit: 'ms' } });
  listen(listener);
  const result = restoring(() => stopListening(listener), fn);
  return result instanceof Promise ? result.then(traced) : traced(result);
}
