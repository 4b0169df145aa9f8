// Catching the library's warnings, so that tests can expect them.
import { afterEach, beforeEach } from 'vitest';
import { setWarningHandler, type WarningHandler } from '../../src/warnings.ts';

/** The texts of what a call warns of. */
export function warningsOf(call: () => unknown): string[] {
  const found: string[] = [];
  const before = setWarningHandler((message) => found.push(message));
  try {
    call();
  } finally {
    setWarningHandler(before);
  }
  return found;
}

/** The texts of the present test's warnings, for the tests that follow in the file. */
export function recordWarnings(): readonly string[] {
  const found: string[] = [];
  let before: WarningHandler;
  beforeEach(() => {
    found.length = 0;
    before = setWarningHandler((message) => found.push(message));
  });
  afterEach(() => {
    setWarningHandler(before);
  });
  return found;
}
