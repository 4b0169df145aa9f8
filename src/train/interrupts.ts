// The signals that ask a process to end: SIGINT (Ctrl-C), SIGTERM (containers, schedulers), SIGHUP (a closed terminal).
// The first one asks the run to stop, and `fit` saves. In browsers there are no signals, and nothing is watched.

/** A signal that asks a process to end. */
export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** The exit code of a process that a signal has ended, by custom of shells. */
const exitCodes: Record<StopSignal, number> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
const signals = Object.keys(exitCodes) as StopSignal[];

/**
 * One press of Ctrl-C can arrive several times: the terminal sends it to every process of its group, and npm sends it
 * on to its child. A process that is closed gets SIGHUP and SIGTERM together. What comes within this time (in ms) is
 * the same request.
 */
const sameRequest = 1000;

/** The exit code by which a program tells that a signal has ended it. */
export const exitCodeOf = (signal: StopSignal): number => exitCodes[signal];

/**
 * Calls `stop` at the first signal. One that comes more than a second later ends the process at once.
 * @returns what ends the watch. Repetitions of a signal that has come are no harm afterwards either.
 */
export function watchSignals(stop: (signal: StopSignal) => void): () => void {
  const { process } = globalThis;
  if (typeof process?.on !== 'function') return () => {};
  let first: number | null = null;
  const receive = (signal: StopSignal) => {
    if (first === null) {
      first = performance.now();
      stop(signal);
    } else if (performance.now() - first > sameRequest) process.exit(exitCodes[signal]);
  };
  for (const signal of signals) process.on(signal, receive);
  const end = () => {
    for (const signal of signals) process.off(signal, receive);
  };
  return () => {
    if (first === null) end();
    else setTimeout(end, Math.max(0, first + sameRequest - performance.now())).unref();
  };
}
