// Where the library differs from PyTorch on purpose in what the tensor fuzzer draws: one row each, with its reason.
import type { Difference } from '../target.ts';
import { type Arg, type Outcome, plain, type TensorProgram } from './program.ts';

interface Case {
  readonly program: TensorProgram;
  readonly ours: Outcome;
  readonly theirs: Outcome;
  readonly difference: Difference;
}
interface KnownDifference {
  readonly id: string;
  /** PyTorch's way, ours, and why. */
  readonly what: string;
  when(one: Case): boolean;
}

const isRefused = ({ difference }: Case): boolean => difference.aspect.endsWith(': refused');
const ourError = ({ ours }: Case, text: string | RegExp): boolean =>
  typeof text === 'string' ? (ours.error?.includes(text) ?? false) : text.test(ours.error ?? '');
/** Functions that are not continuous. */
const jumps = new Set(
  'floor ceil round sign remainder div pow to eq ne lt le gt ge logicalAnd logicalOr logicalXor logicalNot argmax argmin any all'.split(
    ' ',
  ),
);

export const knownDifferences: readonly KnownDifference[] = [
  {
    id: 'index outside of an empty tensor',
    what: 'PyTorch does not look at indices where nothing is read; a wrong index is an error here all the same.',
    when: (one) => isRefused(one) && ourError(one, /index -?\d+ is out of bounds/),
  },
  {
    id: 'tensors and booleans as plain numbers',
    what: 'Python turns 0-d tensors, and truth values, into the number that a call wants; here they are no numbers.',
    when: (one) =>
      isRefused(one) &&
      ourError(one, /expected (an integer|integers|an array of integers|a number).*, got (.*Tensor|true|false)/),
  },
  {
    id: 'failed assertions inside of PyTorch',
    what: 'What ends in an internal assertion of PyTorch, which asks to report it, says nothing about what is right.',
    when: ({ theirs }) => theirs.error?.includes('INTERNAL ASSERT FAILED') ?? false,
  },
  {
    id: 'negative counts of nothing',
    what: 'PyTorch repeats an empty dimension by a negative number; here counts are at least 0.',
    when: (one) => isRefused(one) && ourError(one, '[repeat] Trying to create tensor with negative dimension'),
  },
  {
    id: 'views of what was changed',
    what: 'In-place changes of a tensor with views are refused in the graph of the views, which PyTorch rewrites.',
    when: (one) => isRefused(one) && ourError(one, 'a tensor that shares memory with this one'),
  },
  {
    id: 'larger source of scatter',
    what: "PyTorch's backward of scatter and scatter_add fails where the source is larger than the index; here it is zero where nothing was read.",
    when: ({ theirs, difference }) =>
      difference.aspect.endsWith('accepted') &&
      /Scatter\w*Backward.* returned an invalid gradient/.test(theirs.error ?? ''),
  },
  {
    id: 'uint8 masks of one value',
    what: 'PyTorch 2.13 takes uint8 masks in reading and in writing tensors, but not in writing one number, by oversight; here they are masks in all.',
    when: ({ theirs, difference }) =>
      difference.aspect.endsWith('accepted') &&
      /masked_fill_ only supports boolean masks.*unsigned char/.test(theirs.error ?? ''),
  },
  {
    id: 'lists as values',
    what: "PyTorch's assignment takes lists, and index_fill one-element lists; here a value is a number or a tensor.",
    when: (one) => isRefused(one) && ourError(one, 'expected a tensor or a number as value'),
  },
  {
    id: 'a float that requires gradients into truth values',
    what: 'PyTorch records the assignment, and then fails at the next use ("Autograd not support dtype: Bool"); here nothing is recorded.',
    when: ({ theirs, difference }) =>
      difference.aspect.endsWith('accepted') && /Autograd not support dtype/.test(theirs.error ?? ''),
  },
  {
    id: 'negative indices of indexFill',
    what: "PyTorch's index_fill takes negative indices, which its backward for the value then finds out of range.",
    when: ({ program, theirs, difference }) =>
      difference.aspect.endsWith('accepted') &&
      program.steps.some(({ op }) => op === 'indexFill') &&
      /index out of range in self|INDICES element is out of DATA bounds/.test(theirs.error ?? ''),
  },
  {
    id: 'negative padding of uint8',
    what: 'PyTorch takes the value of pad for a float, which must not be negative; elsewhere, and here, the integer -1 is 255.',
    when: ({ theirs, difference }) =>
      difference.aspect === 'pad: accepted' && /uint8_t without overflow/.test(theirs.error ?? ''),
  },
  {
    id: 'numbers that do not fit, for nothing',
    what: 'PyTorch looks at a number to be written only where it is written; here one that does not fit the dtype is always refused.',
    when: (one) => isRefused(one) && ourError(one, 'value cannot be converted to type'),
  },
  {
    id: 'saved results',
    what: 'The peer copies what PyTorch saved for its backward, so it does not see that a change in place has spoilt it; the library does.',
    when: (one) => isRefused(one) && ourError(one, 'has been modified by an inplace operation'),
  },
  {
    id: 'accumulation in several calls',
    what: 'The peer composes an accumulating assignment of several calls of PyTorch, of which one may save what another changes.',
    when: ({ program, theirs, difference }) =>
      difference.aspect === 'setIndexAccumulate: accepted' &&
      /modified by an inplace operation/.test(theirs.error ?? '') &&
      program.steps.some(({ op }) => op === 'setIndexAccumulate'),
  },
  {
    id: 'exponents that are truth values',
    what: "PyTorch's backward of pow subtracts 1 from the exponent, which it refuses for truth values; here they are numbers.",
    when: ({ theirs, difference }) =>
      difference.aspect.endsWith('accepted') &&
      /Subtraction, the `-` operator, with a bool tensor/.test(theirs.error ?? ''),
  },
  {
    id: 'empty tensors of any dtype',
    what: 'PyTorch takes softmax and its kin of empty integer tensors, as no kernel is called; here the dtype is always checked.',
    when: (one) =>
      isRefused(one) &&
      ourError(one, 'not implemented for') &&
      one.theirs.steps[one.difference.call ?? 0]?.[0]?.data.length === 0,
  },
  {
    id: 'two numbers in where',
    what: 'PyTorch gives int64 for two integers; here numbers are float32, as in tensor(…), unless dtype says otherwise.',
    when: ({ difference }) =>
      difference.aspect === 'where: dtype' && difference.message.startsWith('float32, PyTorch int64'),
  },
  {
    id: 'prod at infinities and NaN',
    what: "PyTorch's gradient of prod is the product divided by each element, which is NaN at an infinite one; here it is the product of the others. Where two elements are 0 PyTorch's second derivative is 0; here it is the product of the others again.",
    when: ({ program, ours, difference }) => {
      const at = program.steps.findIndex(({ op }) => op === 'prod');
      if (at < 0 || !/: (gradients|second) values/.test(difference.aspect)) return false;
      const values = [...program.given, ...ours.steps.flat()][program.steps[at].on].data.map(plain);
      const zeros = values.filter((v) => v === 0).length;
      return values.some((v) => !Number.isFinite(v)) || (zeros > 1 && difference.aspect.includes('second'));
    },
  },
  {
    id: 'no repetition',
    what: "PyTorch's gradient of repeating 0 times is zeros that depend on nothing; here they are an empty sum, through which a second derivative may become NaN.",
    when: ({ program, difference }) =>
      difference.aspect.endsWith('second values') &&
      program.steps.some(({ op, args: [counts] }) => op === 'repeat' && (counts as readonly Arg[]).includes(0)),
  },
  {
    id: 'the square root of minus infinity',
    what: 'PyTorch takes the square root for an exponent of 0.5, and its reciprocal for -0.5: NaN at minus infinity. Here that is a power as any other, infinity and 0, as it is in PyTorch where the exponent is a tensor.',
    when: ({ program, difference }) =>
      difference.aspect.endsWith('values') &&
      program.steps.some(({ op, args: [exponent] }) => op === 'pow' && Math.abs(exponent as number) === 0.5),
  },
  {
    id: 'exponents of uint8',
    what: "PyTorch's backward of pow subtracts 1 from an exponent 0 of uint8, which gives 255; here exponents are floats as soon as the base is one.",
    when: ({ program, difference }) =>
      difference.aspect.endsWith('second values') &&
      program.steps.some(({ op }) => op === 'pow') &&
      program.given.some(({ dtype, data }) => dtype === 'uint8' && data.includes(0)),
  },
  {
    id: 'jumps after roundings',
    what: 'What jumps (floor, remainder, a comparison, an integer, a quotient at 0) may fall on the other side where a value was rounded differently before, or is a zero of the other sign: relu(-0) is -0 in PyTorch, 0 here.',
    when: ({ program, ours, theirs, difference: { call, aspect } }) =>
      aspect.endsWith('values') &&
      program.steps.some(
        ({ op }, i) =>
          i > 0 &&
          i <= (call ?? i) &&
          jumps.has(op) &&
          JSON.stringify(ours.steps[i - 1]) !== JSON.stringify(theirs.steps[i - 1]),
      ),
  },
  {
    id: 'assignment of nothing',
    what: 'PyTorch makes a leaf that requires gradients of a tensor to which an empty value with gradients was assigned; here nothing happens.',
    when: ({ program, theirs, difference }) =>
      difference.aspect.endsWith('accepted') &&
      /^RuntimeError: a leaf Variable that requires grad/.test(theirs.error ?? '') &&
      !program.given[program.steps[0].on]?.requiresGrad,
  },
  {
    id: 'dimension of nothing',
    what: 'PyTorch does not look at the dimension along which cat joins nothing but tensors of shape [0]; here it must be one.',
    when: (one) => isRefused(one) && ourError(one, '[cat] Dimension out of range'),
  },
  {
    id: 'second derivative of embedding nothing',
    what: "PyTorch's second derivative of embedding fails where there are no indices.",
    when: ({ program, theirs, difference }) =>
      difference.aspect.endsWith('accepted') &&
      program.steps.some(({ op }) => op === 'embedding') &&
      /cannot reshape tensor of 0 elements/.test(theirs.error ?? ''),
  },
  {
    id: 'values from the memory that is written',
    what: 'PyTorch refuses to write a tensor from its own memory; here the values are read before the first is written.',
    when: ({ theirs, difference }) =>
      difference.aspect.endsWith('accepted') && /refer to a single memory location/.test(theirs.error ?? ''),
  },
];
