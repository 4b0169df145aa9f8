// Options: the object that a function or a constructor takes last. What may stand in it is declared beside its
// interface, and checked where the user calls: names, what has no default, and kinds that no later check looks at. The
// library's own calls go around that.
import { shown } from './checks.ts';
import { ArgumentTypeError } from './errors.ts';

/** A kind of option. */
interface OptionKind {
  /** As an error says it. */
  readonly text: string;
  /** Whether a value is of the kind. */
  readonly fits: (value: unknown) => boolean;
  /** Whether a value of another kind is refused here. Most are where they are used, in the words of that check. */
  readonly isRefused: boolean;
}
interface RequiredKind extends OptionKind {
  readonly isRequired: true;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
/** By what no other function has. */
const isModule = (value: unknown): boolean => typeof value === 'function' && 'runForward' in value;
const isTensor = (value: unknown): boolean => isObject(value) && 'storage' in value;

/** What an option may be. */
export const kind = {
  number: { text: 'a number', fits: (value) => typeof value === 'number', isRefused: true },
  numberOrNull: {
    text: 'a number or null',
    fits: (value) => value === null || typeof value === 'number',
    isRefused: true,
  },
  /** Whether a number is whole is seen where it is used. */
  integer: { text: 'an integer', fits: (value) => typeof value === 'number', isRefused: true },
  integerOrNull: {
    text: 'an integer or null',
    fits: (value) => value === null || typeof value === 'number',
    isRefused: true,
  },
  /** A number, or what counts as one. */
  numeric: { text: 'a number', fits: (value) => typeof value === 'number', isRefused: false },
  /** A number, or an array of them. */
  numbers: { text: 'numbers', fits: (value) => typeof value === 'number' || Array.isArray(value), isRefused: false },
  /** One of a few names, which an error lists. */
  choice: { text: 'a string', fits: (value) => typeof value === 'string', isRefused: false },
  string: { text: 'a string', fits: (value) => typeof value === 'string', isRefused: true },
  stringOrFalse: {
    text: 'a string or false',
    fits: (value) => typeof value === 'string' || value === false,
    isRefused: true,
  },
  flag: { text: 'true or false', fits: (value) => typeof value === 'boolean', isRefused: true },
  function: { text: 'a function', fits: (value) => typeof value === 'function', isRefused: true },
  functionOrNull: {
    text: 'a function or null',
    fits: (value) => value === null || typeof value === 'function',
    isRefused: true,
  },
  tensor: { text: 'a tensor or null', fits: (value) => value === null || isTensor(value), isRefused: true },
  generator: { text: 'a Generator', fits: (value) => isObject(value) && 'manualSeed' in value, isRefused: true },
  object: { text: 'an object', fits: isObject, isRefused: true },
  /** Modules are functions, and so are classes of them. */
  module: { text: 'a module or null', fits: (value) => value === null || isModule(value), isRefused: true },
  processGroup: {
    text: 'a ProcessGroup or null',
    fits: (value) => value === null || (isObject(value) && 'worldSize' in value),
    isRefused: true,
  },
  /** Of a kind of its own, which is looked at where it is used. */
  own: { text: 'a value', fits: () => false, isRefused: false },
} satisfies Record<string, OptionKind>;

/** An option without a default. */
export const required = (of: OptionKind): RequiredKind => ({ ...of, isRequired: true });

type Kinds<O> = { readonly [N in keyof O]-?: undefined extends O[N] ? OptionKind : RequiredKind };
/** The options `O` of a function: every name with its kind. */
export interface Options<O> {
  readonly kinds: Kinds<O>;
  readonly required: readonly string[];
}

/**
 * Declares options. The order is that in which PyTorch takes them, the likeliest first: an error's advice goes by it.
 */
export function declareOptions<O extends object>(kinds: Kinds<O>): Options<O> {
  return {
    // Without a prototype, so that 'toString' is as unknown as any other name.
    kinds: Object.assign(Object.create(null), kinds) as Kinds<O>,
    required: Object.keys(kinds).filter((name) => 'isRequired' in kinds[name as keyof O]),
  };
}

/**
 * Refuses what a user hands over as options and is none: no object, an unknown name, a missing one, another kind.
 * @param op the function, or the class, that the user called.
 * @throws ArgumentTypeError naming the option, and the nearest known one.
 */
export function requireOptions<O extends object>(op: string, options: O | undefined, known: Options<O>): void {
  if (options !== undefined) {
    if (typeof options !== 'object' || options === null || Object.getPrototypeOf(options) !== Object.prototype)
      requireObject(op, options, known);
    const kinds = known.kinds as Record<string, OptionKind>;
    for (const name in options) {
      const own = kinds[name];
      if (own === undefined) refuseName(op, name, Object.keys(kinds));
      const value: unknown = options[name];
      if (own.isRefused && value !== undefined && !own.fits(value))
        throw new ArgumentTypeError(`[${op}] expected ${own.text} as ${name}, got ${shown(value)}`);
    }
  }
  for (const name of known.required)
    if (options?.[name as keyof O] === undefined)
      throw new ArgumentTypeError(`[${op}] expected the option '${name}', which has no default`);
}

/**
 * Plain objects and instances of a user's own classes may be options, what the language or the library has for other
 * purposes may not.
 */
function requireObject(op: string, options: unknown, known: { readonly kinds: object }): void {
  const isOther = !isObject(options) || Object.prototype.toString.call(options) !== '[object Object]';
  if (!isOther && !isTensor(options)) return;
  const kinds = Object.entries(known.kinds as Record<string, OptionKind>);
  const likely = kinds.find(([, { fits }]) => options !== null && fits(options))?.[0];
  const text = isTensor(options) || typeof options === 'function' ? '…' : shown(options);
  const advice = likely === undefined ? '' : `: { ${likely}: ${text} }?`;
  throw new ArgumentTypeError(`[${op}] expected options as an object, got ${shown(options)}${advice}`);
}

/** Refuses a name, with the nearest of those that are known, or all of them. */
function refuseName(op: string, name: string, known: readonly string[]): never {
  const near = nearest(name, known);
  const advice =
    near !== null
      ? `; did you mean '${near}'?`
      : known.length > 0
        ? `; known are ${known.map((one) => `'${one}'`).join(', ')}`
        : '';
  throw new ArgumentTypeError(`[${op}] unknown option '${name}'${advice}`);
}

/** PyTorch's snake_case, and a wrong case, are no difference. */
const plain = (name: string): string => name.replaceAll('_', '').toLowerCase();

/** The known name that was probably meant; null where none is near. */
function nearest(name: string, known: readonly string[]): string | null {
  const given = plain(name);
  let best: string | null = null;
  // Half of a short name in common, two thirds of a long one.
  let least = Math.min(given.length, Math.max(2, Math.floor(given.length / 3) + 1));
  for (const one of known) {
    const other = plain(one);
    const isPart = Math.min(given.length, other.length) > 2 && (given.startsWith(other) || other.startsWith(given));
    const distance = given === other ? 0 : Math.min(editsBetween(given, other), isPart ? 1 : Infinity);
    if (distance < least) [best, least] = [one, distance];
  }
  return best;
}

/**
 * How many letters must be put in, left out, changed or exchanged with their neighbour to make one word of the other.
 */
export function editsBetween(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let edits = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (isSame ? 0 : 1));
      const isExchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isExchanged) edits = Math.min(edits, rows[i - 2][j - 2] + 1);
      rows[i].push(edits);
    }
  }
  return rows[a.length][b.length];
}
