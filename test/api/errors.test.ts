// Errors as JavaScript knows them: an argument of the wrong type is a TypeError, a value out of range a RangeError, and
// all of them are the library's.
import { inspect, types } from 'node:util';
import { describe, expect, test } from 'vitest';
import { DataArgumentError } from '../../src/data/errors.ts';
import {
  ArgumentTypeError,
  EvenkeelError,
  IndexError,
  KeyError,
  NotImplementedError,
  ones,
  RuntimeError,
  ValueError,
} from '../../src/index.ts';
import { Conv2d } from '../../src/nn/index.ts';

type Kind = new (message: string, options?: ErrorOptions) => Error;
const kinds: readonly [kind: Kind, name: string, bases: readonly Kind[]][] = [
  [EvenkeelError, 'EvenkeelError', []],
  [RuntimeError, 'RuntimeError', []],
  [NotImplementedError, 'NotImplementedError', [RuntimeError]],
  [KeyError, 'KeyError', []],
  [ValueError, 'ValueError', [RangeError]],
  [IndexError, 'IndexError', [RangeError]],
  [ArgumentTypeError, 'TypeError', [TypeError]],
];
const every: readonly Kind[] = [...kinds.map(([kind]) => kind), TypeError, RangeError, DataArgumentError];

describe.each(kinds)('%o', (kind, name, bases) => {
  const error = new kind('[narrow] text', { cause: 'reason' });
  test('is of its kind, of its bases and of the library, and nothing else', () => {
    const expected = new Set<Kind>([kind, EvenkeelError, ...bases]);
    for (const other of every) expect(error instanceof other, other.name).toBe(expected.has(other));
    expect(error).toBeInstanceOf(Error);
  });
  test('is an error to every tool that looks at one', () => {
    expect(types.isNativeError(error)).toBe(true);
    expect(Object.prototype.toString.call(error)).toBe('[object Error]');
    expect(error.name).toBe(name);
    expect(error.constructor).toBe(kind);
    expect(String(error)).toBe(`${name}: [narrow] text`);
    expect(error.stack).toMatch(new RegExp(`^${name}: \\[narrow\\] text\\n +at `));
    expect(inspect(error)).toContain(`${name}: [narrow] text`);
    expect(inspect(error)).toContain("[cause]: 'reason'");
    expect(error.cause).toBe('reason');
    expect(Object.keys(error)).toEqual([]);
  });
  test('is cloned as an error of the language', () => {
    const clone = structuredClone(error);
    expect(clone.message).toBe('[narrow] text');
    expect(clone).toBeInstanceOf(bases.includes(TypeError) ? TypeError : Error);
  });
});

test('errors of the language, and what is no error, are not of the library', () => {
  for (const value of [new Error('x'), new TypeError('x'), new RangeError('x'), {}, null, undefined, 'x', () => {}])
    expect(value instanceof EvenkeelError).toBe(false);
  expect(new TypeError('x') instanceof ArgumentTypeError).toBe(false);
  expect(new RangeError('x') instanceof ValueError).toBe(false);
});

test('errors of data are as before', () => {
  expect(new DataArgumentError('x')).toBeInstanceOf(EvenkeelError);
});

test("a user's own kinds of the library's errors are", () => {
  class Own extends ValueError {}
  const error: unknown = new Own('x');
  expect([EvenkeelError, ValueError, RangeError, Own].every((kind) => error instanceof kind)).toBe(true);
  expect(new ValueError('x') instanceof Own).toBe(false);
});

test('what a user meets', () => {
  const thrown = (run: () => unknown): unknown => {
    try {
      return run();
    } catch (error) {
      return error;
    }
  };
  expect(thrown(() => ones('2' as never))).toBeInstanceOf(TypeError);
  expect(thrown(() => new Conv2d(1, 1, 3, { strid: 2 } as never))).toBeInstanceOf(TypeError);
  expect(thrown(() => new Conv2d(1, 1, 3, { groups: 0 }))).toBeInstanceOf(RangeError);
  expect(thrown(() => ones([2]).select(0, 5))).toBeInstanceOf(RangeError);
  for (const error of [thrown(() => ones([2]).select(0, 5)), thrown(() => ones('2' as never))])
    expect(error).toBeInstanceOf(EvenkeelError);
});
