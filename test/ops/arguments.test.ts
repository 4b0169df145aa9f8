// What is no number, size, axis, rate, name or dtype is refused by every public function and constructor, in a typed
// error that names it: test/cases/arguments.ts lists them, and what is exported and not listed fails here.
import { describe, expect, test } from 'vitest';
import { EvenkeelError } from '../../src/index.ts';
import { type Argument, type Kind, rooms, swept, without } from '../cases/arguments.ts';

const strangers = ['3', null, true, [], {}];
const beyond = [2 ** 31, 2 ** 32 + 1];
const bad: Record<Kind, readonly unknown[]> = {
  integer: [1.5, NaN, Infinity, -1, ...beyond, ...strangers],
  size: [1.5, NaN, Infinity, -1, 2 ** 31, ...strangers, [1.5], ['3'], [null]],
  axis: [1.5, NaN, Infinity, ...beyond, ...strangers],
  axes: [1.5, NaN, Infinity, ...beyond, '3', null, true, {}, [1.5], ['0'], [null]],
  shape: [
    1.5,
    NaN,
    Infinity,
    -1,
    2 ** 31,
    '3',
    null,
    true,
    {},
    [1.5],
    [NaN],
    [Infinity],
    ['3'],
    [null],
    [-1],
    [2 ** 31],
    [true],
  ],
  number: strangers,
  element: strangers.filter((one) => one !== true),
  finite: [NaN, Infinity, -Infinity, ...strangers],
  rate: [NaN, Infinity, -1, ...strangers],
  probability: [NaN, Infinity, -1, 1.5, ...strangers],
  name: [1, NaN, 'asdf', '', true, [], {}, 'toString'],
  dtype: ['half', 'toString', 1, true, [], {}],
};

/** Allowed as it is, or as an array's only value. */
const isAllowed = ({ allowed }: Argument, value: unknown): boolean =>
  // Null is 'left out' wherever something may be.
  value === null ||
  allowed.some(
    (one) =>
      Object.is(one, value) ||
      JSON.stringify([one, one]) === JSON.stringify([value, value]) ||
      (Array.isArray(value) && value.length === 1 && Object.is(one, value[0])),
  );

/**
 * Whether a value is not even of the kind: then errors name the function. What is one but out of range may get
 * PyTorch's text, which does not.
 */
function isForeign(kind: Kind, value: unknown): boolean {
  const list = Array.isArray(value) ? value : [value];
  if (kind === 'name') return false;
  if (list.some((one) => typeof one !== 'number')) return true;
  return ['integer', 'size', 'axis', 'axes', 'shape'].includes(kind) && !list.every(Number.isInteger);
}

/** PyTorch's texts for what is of the wrong kind: they name its function, or the option. */
const texts = [
  /^\w+\(\): argument '\w+' \(position \d+\) must be/,
  /^Invalid (learning rate|\w+ (value|parameter at index \d)|betas): /,
  /_?\w+ should be a positive integer value, but got/,
  /numWorkers option should be non-negative/,
  /^adaptive\w+: outputSize must be/,
  /^negativeSlope .* not a valid number$/,
  /^Invalid rank /,
  /^Invalid padding string /,
];

const nameOf = (value: unknown) => (typeof value === 'number' ? String(value) : JSON.stringify(value));

describe('what is none is refused', () => {
  test.each(swept.map((one) => [`${one.of}, ${one.name}`, one] as const))('%s', (_, argument) => {
    const wrong: string[] = [];
    for (const value of bad[argument.kind]) {
      // What may be as large as it likes is not tried out.
      if (isAllowed(argument, value)) continue;
      try {
        argument.call(value as never);
        wrong.push(`${nameOf(value)} is accepted`);
      } catch (error) {
        const { message } = error as Error;
        const isNamed = message.includes(`[${argument.of}]`) || texts.some((text) => text.test(message));
        if (!(error instanceof EvenkeelError)) wrong.push(`${nameOf(value)}: ${error}`);
        else if (isForeign(argument.kind, value) && !isNamed) wrong.push(`${nameOf(value)}: not named in '${message}'`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

test('every exported function and class is listed', () => {
  const listed = new Set([...swept.map(({ of }) => of), ...without]);
  const missing = Object.entries(rooms).flatMap(([room, names]) =>
    Object.entries(names).flatMap(([name, value]) =>
      typeof value === 'function' && !listed.has(name) ? [`${room}.${name}`] : [],
    ),
  );
  expect(missing).toEqual([]);
});
