// Options, wherever the public surface takes any: misspelt, missing, or of the wrong kind they are refused by the name
// of what was called, with the nearest right name. Which functions take options is read from their types, so that a new
// one without the check fails.
import { afterAll, describe, expect, test } from 'vitest';
import { EvenkeelError } from '../../src/errors.ts';
import { Conv2d, Linear } from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { declareOptions, kind, required, requireOptions } from '../../src/options.ts';
import { ones } from '../../src/tensor/create.ts';
import { noOptions, optionsCalls } from '../cases/options.ts';
import { optionTakers } from '../support/options_of_api.ts';

const takers = optionTakers();
/** Errors of the language's making have a cause. */
const isErrorClass = (name: string) => name.endsWith('Error');

/** What a call ends in, at once or later. */
async function errorOf(call: () => unknown): Promise<Error | null> {
  try {
    await call();
    return null;
  } catch (error) {
    return error as Error;
  }
}

test('everything public that takes options is tried out', () => {
  const known = new Set([...optionsCalls.keys(), ...Object.keys(noOptions)]);
  expect([...takers.keys()].filter((name) => !known.has(name) && !isErrorClass(name))).toEqual([]);
  expect([...known].filter((name) => !takers.has(name))).toEqual([]);
});

const tried = [...optionsCalls].map(([name, { named, ...rest }]) => ({
  name,
  ...rest,
  named: named ?? name.replace(/^.*\./, ''),
  options: takers.get(name)?.options ?? [],
}));

describe('is refused', () => {
  test.each(tried)('by $name: a misspelt option', async ({ call, needed, named, options }) => {
    for (const { name } of options) {
      // A letter twice, and PyTorch's spelling.
      const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      for (const wrong of [`${name}${name.at(-1)}`, ...(snake === name ? [] : [snake])]) {
        const error = await errorOf(() => call({ ...needed(), [wrong]: 1 }));
        expect(error).toBeInstanceOf(EvenkeelError);
        expect(error).toBeInstanceOf(TypeError);
        const [, advised] = /^\[(?:\w+)\] unknown option '\w+'; did you mean '(\w+)'\?$/.exec(error!.message) ?? [];
        expect(error!.message).toContain(`[${named}] unknown option '${wrong}'`);
        // A name that is another's beginning may be taken for that.
        expect(options.map((each) => each.name)).toContain(advised);
        if (snake !== name && wrong === snake) expect(advised).toBe(name);
      }
    }
  });

  test.each(tried)('by $name: what is no object', async ({ call, named }) => {
    for (const wrong of [0.5, 'x', null, [1], new Map(), ones([1])]) {
      const error = await errorOf(() => call(wrong));
      expect(error, String(wrong)).toBeInstanceOf(EvenkeelError);
      const isGroup =
        ['SGD', 'Muon'].includes(named) && error!.message.startsWith('a parameter group must be an object');
      if (!isGroup) expect(error!.message).toContain(`[${named}] expected `);
    }
  });

  test.each(tried)('by $name: a missing one', async ({ call, needed, named, options }) => {
    for (const { name } of options.filter(({ isRequired }) => isRequired)) {
      const error = await errorOf(() => call({ ...needed(), [name]: undefined }));
      expect(error).toBeInstanceOf(EvenkeelError);
      expect(error!.message).toContain(`[${named}] expected the option '${name}', which has no default`);
    }
  });

  test.each(tried)('by $name: one of a wrong kind', async ({ call, needed, named, options }) => {
    const stranger = Symbol('stranger');
    for (const { name } of options) {
      // Handed on to a module of the user's.
      if (named === 'WorkerDataset' && name === 'args') continue;
      const error = await errorOf(() => call({ ...needed(), [name]: stranger }));
      expect(error, name).toBeInstanceOf(EvenkeelError);
      // In one word, or in several of PyTorch's.
      const words =
        (
          { lr: 'lr|learning rate', etas: 'eta values', adjustLrFn: 'adjust learning rate function' } as Record<
            string,
            string
          >
        )[name] ?? name.replace(/[A-Z]/g, '.?$&');
      expect(error!.message, name).toMatch(new RegExp(words, 'i'));
    }
  });
});

describe('is said', () => {
  const messageOf = (call: () => unknown) => {
    try {
      call();
    } catch (error) {
      return (error as Error).message;
    }
    return null;
  };
  const wrong = (value: unknown) => value as never;

  test('what was meant', () => {
    expect(messageOf(() => new Conv2d(1, 1, 3, wrong({ paddding: 1 })))).toBe(
      "[Conv2d] unknown option 'paddding'; did you mean 'padding'?",
    );
    expect(messageOf(() => new Conv2d(1, 1, 3, wrong(2)))).toBe(
      '[Conv2d] expected options as an object, got 2: { stride: 2 }?',
    );
    expect(messageOf(() => new SGD([ones([1])], wrong(0.5)))).toBe(
      '[SGD] expected options as an object, got 0.5: { lr: 0.5 }?',
    );
    expect(messageOf(() => new SGD([ones([1])], wrong({ weight_decay: 1 })))).toBe(
      "[SGD] unknown option 'weight_decay'; did you mean 'weightDecay'?",
    );
    expect(messageOf(() => new Linear(1, 1, wrong(false)))).toBe(
      '[Linear] expected options as an object, got false: { bias: false }?',
    );
    expect(messageOf(() => new Linear(1, 1, wrong({ bias: 0 })))).toBe(
      '[Linear] expected true or false as bias, got 0',
    );
    expect(messageOf(() => new Linear(1, 1, wrong({ colour: 1 })))).toBe(
      "[Linear] unknown option 'colour'; known are 'bias', 'dtype'",
    );
    expect(messageOf(() => new Linear(1, 1, wrong(new Linear(1, 1))))).toBe(
      '[Linear] expected options as an object, got a Linear',
    );
  });

  test('by the name of a class of the user’s', () => {
    class Mine extends Conv2d {}
    expect(messageOf(() => new Mine(1, 1, 3, wrong({ stridde: 1 })))).toBe(
      "[Mine] unknown option 'stridde'; did you mean 'stride'?",
    );
  });
});

describe('options', () => {
  interface Given {
    needed: number;
    flag?: boolean;
  }
  const known = declareOptions<Given>({ needed: required(kind.number), flag: kind.flag });

  test('may be of any object: plain, without a prototype, of a class, with inherited ones', () => {
    class Config {
      needed = 1;
      flag = true;
      method() {}
    }
    for (const options of [
      { needed: 1 },
      { needed: 1, flag: undefined },
      Object.assign(Object.create(null), { needed: 1 }),
      new Config(),
      Object.create({ needed: 1 }),
    ])
      expect(() => requireOptions('f', options as Given, known)).not.toThrow();
  });
  test('of names that every object has are unknown', () => {
    for (const name of ['toString', 'constructor', '__proto__'])
      expect(() => requireOptions('f', JSON.parse(`{"needed": 1, "${name}": 1}`), known)).toThrow(
        `[f] unknown option '${name}'; known are 'needed', 'flag'`,
      );
  });
});

afterAll(() => void takers.clear());
