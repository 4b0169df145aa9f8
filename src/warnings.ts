// Warnings: what the library tells its user without stopping, all through one handler. Not here: errors (errors.ts).

/** What kind of warning it is; the names are Python's, so that a ported filter finds its own. */
export type WarningCategory = 'UserWarning' | 'RuntimeWarning' | 'FutureWarning';

/** Receives every warning, repeated ones too. */
export type WarningHandler = (message: string, category: WarningCategory) => void;

/** Texts that were shown; a warning inside a training loop must not fill the screen. */
const shown = new Set<string>();

/** Shows each text once: as a warning of the process where there is one, else on the console. */
const show: WarningHandler = (message, category) => {
  const line = `${category}: ${message}`;
  if (shown.has(line)) return;
  shown.add(line);
  // Browsers have no process, and bundlers put an incomplete one in its place.
  if (typeof globalThis.process?.emitWarning === 'function') globalThis.process.emitWarning(message, category);
  else console.warn(line);
};

let handler: WarningHandler = show;

/**
 * Puts `next` in the place of what shows warnings; null brings back the default, which shows each text once. Returns
 * the handler before.
 * @example
 * const texts: string[] = [];
 * const before = setWarningHandler((message) => texts.push(message));
 * warn('the learning rate is 0'); // now in texts, and nowhere else
 * setWarningHandler(before);
 */
export function setWarningHandler(next: WarningHandler | null): WarningHandler {
  const former = handler;
  handler = next ?? show;
  return former;
}

/** Warns (Python: `warnings.warn`). */
export function warn(message: string, category: WarningCategory = 'UserWarning'): void {
  handler(message, category);
}
