// Warnings: shown once by default, all of them to a handler.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { setWarningHandler, warn } from '../src/warnings.ts';

afterEach(() => {
  setWarningHandler(null);
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('warn', () => {
  it('shows each text once, as a warning of the process', () => {
    const emitted = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    for (const text of ['a', 'a', 'b']) warn(text);
    warn('a', 'RuntimeWarning');
    expect(emitted.mock.calls).toEqual([
      ['a', 'UserWarning'],
      ['b', 'UserWarning'],
      ['a', 'RuntimeWarning'],
    ]);
  });

  it('uses the console where there is no process', () => {
    vi.stubGlobal('process', undefined);
    const printed = vi.spyOn(console, 'warn').mockImplementation(() => {});
    warn('in a browser');
    expect(printed.mock.calls).toEqual([['UserWarning: in a browser']]);
  });

  it('gives a handler all of them, and the former handler back', () => {
    const texts: string[] = [];
    const handler = (message: string, category: string) => texts.push(`${category} ${message}`);
    setWarningHandler(handler);
    for (let i = 0; i < 2; i++) warn('again');
    expect(texts).toEqual(['UserWarning again', 'UserWarning again']);
    expect(setWarningHandler(null)).toBe(handler);
  });
});
