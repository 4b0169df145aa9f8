// Where the library differs from PyTorch on purpose. Each row says in which calls, in what, by which section of the
// specification of the normalization family, and what is still checked. The library is always held against the
// reference, so a row only excuses PyTorch.
import type { Case } from './compare.ts';
import { isForward, type TensorSpec } from './program.ts';
import { valuesOf } from './values.ts';

export interface KnownDifference {
  id: string;
  /** Section of the specification. */
  section: string;
  /** In one sentence: PyTorch's way and ours. */
  what: string;
  /**
   * Aspects of a difference (compare.ts) that the row excuses: names of results, `state` for all of the state, `error`,
   * `text`, …
   */
  aspects: readonly string[];
  when(one: Case): boolean;
  /** What is checked in place of what is excused, beyond the reference: words for what is wrong, or null. */
  instead?(one: Case): string | null;
}

const results = ['y', 'dx', 'dweight', 'dbias', 'ddx', 'ddweight', 'ddy', 'state'];
const refusal = ({ torch }: Case): string => torch.error?.text ?? '';
const inputOf = ({ call }: Case): TensorSpec | null => (call && isForward(call) ? call.input : null);
/** |x| of the input's finite elements. */
const sizesOf = (one: Case): number[] => {
  const input = inputOf(one);
  return input ? Array.from(valuesOf(input), Math.abs).filter(Number.isFinite) : [];
};
const kindOf = ({ program }: Case): string => program.subject.kind;
const isSingle = (one: Case): boolean => inputOf(one)?.dtype === 'float32';

export const knownDifferences: readonly KnownDifference[] = [
  {
    id: 'eps not positive',
    section: '§8, §12',
    what: 'Batch norm refuses eps ≤ 0 in training and eps < 0 in evaluation, as PyTorch 2.13; words, and what had moved before, differ.',
    aspects: ['error', ...results],
    when: (one) => refusal(one).startsWith('batchNorm eps must be'),
  },
  {
    id: 'one running statistic',
    section: '§6, §7',
    what: 'PyTorch 2.13 refuses one running statistic without the other; earlier it moved the one there is, and so do we.',
    aspects: ['error', ...results],
    when: (one) => refusal(one) === 'runningMean and runningVar must either both be null or neither be null',
  },
  {
    id: 'bias printed',
    section: '§2',
    what: 'PyTorch 2.13 prints `bias=…` always; we print it where it is not what `affine` says.',
    aspects: ['text'],
    when: ({ call, torch }) => call?.op === 'print' && (torch.text?.includes(', bias=') ?? false),
    instead: ({ ours, torch }) => {
      const without = (text: string | null) => text?.replace(/, bias=(True|False)/, '');
      return without(ours.text) === without(torch.text) ? null : `${ours.text} and ${torch.text}`;
    },
  },
  {
    id: 'no channels',
    section: '§1.2 W8',
    what: 'PyTorch selects from a weight of no elements and raises; we return the empty result.',
    aspects: ['error', ...results],
    when: (one) => refusal(one).includes('index 0 out of range for tensor of size [0]'),
  },
  {
    id: 'format of recorded gradients',
    section: '§14',
    what: 'Gradients that are themselves recorded come from the plain definition, in whatever format its ops give.',
    aspects: ['format'],
    when: ({ call }) => call?.op === 'double',
  },
  {
    id: 'overflow of squares',
    section: '§1.1, §12',
    what: 'PyTorch squares in float32, which overflows from 1e19 on; we are right as long as the input is.',
    aspects: results,
    when: (one) => isSingle(one) && sizesOf(one).some((size) => size > 1e17),
  },
  {
    id: 'underflow of squares',
    section: '§12',
    what: 'PyTorch squares in float32, and takes third powers of 1/√variance, so that with eps = 0 nothing is left of small numbers; we scale to variance 1.',
    aspects: results,
    when: (one) =>
      isSingle(one) && one.program.subject.options.eps === 0 && sizesOf(one).some((size) => size > 0 && size < 1e-10),
  },
  {
    id: 'absent parameter',
    section: '§3',
    what: 'After a parameter was taken away PyTorch stumbles over it when it resets the others; we reset what is there.',
    aspects: ['error', 'state'],
    when: ({ call, ours, torch }) =>
      call?.op === 'resetParameters' && ours.error === null && torch.error?.type === 'AttributeError',
  },
  {
    id: 'types of errors that only Python has',
    section: '§3',
    what: 'PyTorch lets attribute and assertion errors of Python through; ours are RuntimeErrors of the same words.',
    aspects: ['error'],
    when: ({ ours, torch }) => ours.error !== null && /^(Attribute|Assertion)Error$/.test(torch.error?.type ?? ''),
    instead: ({ ours, torch }) =>
      ours.error?.type === 'RuntimeError' && ours.error.text === torch.error?.text
        ? null
        : `${ours.error?.text} and ${torch.error?.text}`,
  },
  {
    id: 'no groups',
    section: '§2, §17',
    what: 'PyTorch divides by 0 groups and lets Python say so; we refuse as for any number that does not divide the channels.',
    aspects: ['error'],
    when: ({ ours, torch }) => ours.error !== null && torch.error?.type === 'ZeroDivisionError',
  },
  {
    id: 'integers in local response norm',
    section: '§13',
    what: 'PyTorch divides integers to floats; we refuse them, as all other normalizations do.',
    aspects: ['error', ...results],
    when: (one) =>
      /response/i.test(kindOf(one)) && !/^float/.test(inputOf(one)?.dtype ?? 'float') && one.ours.error !== null,
  },
  {
    id: 'channels-last gradient of one sample',
    section: '§1.2 W2',
    what: "PyTorch's instance norm reads the gradient of a single sample as contiguous although it is channels-last; we are right.",
    aspects: ['dx', 'dweight', 'dbias'],
    when: (one) =>
      /instance_?norm/i.test(kindOf(one)) &&
      one.call !== null &&
      'cotangent' in one.call &&
      one.call.cotangent.format === 'channelsLast' &&
      (one.call.input.shape[0] === 1 || one.call.input.shape.length < 4),
  },
  {
    id: 'group norm of no space',
    section: '§1.2 W10',
    what: "PyTorch's gradient of the weight is NaN where images have no elements; ours is 0.",
    aspects: ['dweight', 'ddx', 'ddweight', 'ddy'],
    when: (one) => /group_?norm/i.test(kindOf(one)) && (inputOf(one)?.shape.slice(2).includes(0) ?? false),
  },
  {
    id: 'text of RMS norm',
    section: '§18, §19',
    what: "PyTorch's RMS norm forgets the comma in `[*, 3]`, and of too few dimensions says only that; we say it as layer norm does.",
    aspects: ['error'],
    when: (one) =>
      /rms_?norm/i.test(kindOf(one)) && /with shape \[\*|^Input tensor must have at least/.test(refusal(one)),
    instead: ({ ours }) =>
      ours.error?.text.startsWith('Given normalizedShape=') ? null : (ours.error?.text ?? 'no error'),
  },
  {
    id: 'dtype of the weight of RMS norm',
    section: '§19',
    what: 'We warn of a weight of another dtype; PyTorch warns of contiguous input only, adds what that costs, and names dtypes as C++ does.',
    aspects: ['warnings'],
    when: (one) => one.ours.warnings.some((text) => text.startsWith('Mismatch dtype')),
  },
  {
    id: 'dtype of instance norm statistics',
    section: '§13',
    what: "PyTorch's instance norm converts running statistics of another dtype; we refuse them, as batch norm does.",
    aspects: ['error', ...results],
    when: (one) => /instance_?norm/i.test(kindOf(one)) && (one.ours.error?.text.startsWith('mixed dtype') ?? false),
  },
  {
    id: 'format of RMS norm',
    section: '§14',
    what: "PyTorch's RMS norm is made of elementwise operations and keeps the format; ours is contiguous, as layer norm's.",
    aspects: ['format'],
    when: (one) => /rms_?norm/i.test(kindOf(one)),
  },
  {
    id: 'empty input of instance norm',
    section: '§1.2 W6, W7, §9',
    what: 'Without elements PyTorch raises, or turns running statistics NaN, or rounds them anew; we return the empty result and touch nothing.',
    aspects: ['error', ...results],
    when: (one) => /instance_?norm/i.test(kindOf(one)) && (inputOf(one)?.shape.includes(0) ?? false),
  },
  {
    id: 'two mistakes',
    section: '§13, §16, §18',
    what: 'Where a dtype or eps does not fit, or one running statistic is absent, and something else is wrong too, each may name the other mistake.',
    aspects: ['error', 'warnings'],
    when: (one) => {
      const words = /not implemented for|mixed dtype|must either both be null|^Mismatch dtype|eps must be/;
      const isSaid = words.test(one.ours.error?.text ?? '') || words.test(refusal(one));
      return isSaid && one.ours.error !== null && one.torch.error !== null;
    },
  },
  {
    id: 'too few dimensions',
    section: '§5, §18',
    what: 'Of inputs without the axis in question PyTorch checks first what it comes upon first; we refuse them all alike.',
    aspects: ['error'],
    when: (one) => (inputOf(one)?.shape.length ?? 2) < 2 && one.ours.error !== null && one.torch.error !== null,
  },
  {
    id: 'reset of statistics that require gradients',
    section: '§3',
    what: 'PyTorch refuses to reset a running statistic that requires a gradient, which none can use; we reset it.',
    aspects: ['error', 'state'],
    when: (one) =>
      one.call?.op.startsWith('reset') === true && refusal(one).startsWith('a leaf Variable that requires grad'),
  },
  {
    id: 'channels-last group norm',
    section: '§1.2 W5',
    what: 'PyTorch takes E[x²] − E[x]² of channels-last input; we take two passes.',
    aspects: ['y', 'dx', 'dweight'],
    when: (one) => /group_?norm/i.test(kindOf(one)) && inputOf(one)?.format === 'channelsLast',
  },
  {
    id: 'bias without weight',
    section: '§7, §15',
    what: "Where there is a bias but no weight, PyTorch's batch norm loses the bias in second derivatives, and its group norm has no gradient at all.",
    aspects: ['error', 'dx', 'dbias', 'ddx', 'ddy', 'state'],
    when: (one) =>
      one.pre?.tensors.weight === null &&
      one.pre.tensors.bias !== null &&
      (one.call?.op === 'double' || refusal(one) === 'tensor does not have a device'),
  },
  {
    id: 'negative number of features',
    section: '§2',
    what: 'PyTorch has words of its own for running statistics of a negative size; ours are the same for all tensors.',
    aspects: ['error'],
    when: (one) => one.ours.error !== null && refusal(one) === 'zeros: Dimension size must be non-negative.',
  },
  {
    id: 'name of instance norm',
    section: '§16',
    what: 'Where it refuses a dtype, the instance norm of PyTorch calls itself batch norm.',
    aspects: ['error'],
    when: (one) =>
      one.ours.error?.text.replace('instanceNorm', 'batchNorm') === refusal(one) &&
      refusal(one).startsWith('"batchNorm" not implemented'),
  },
  {
    id: 'own warnings',
    section: '§10',
    what: 'We warn where the data of an evaluation move running statistics; PyTorch does not.',
    aspects: ['warnings'],
    when: ({ ours, torch }) => ours.warnings.length > 0 && torch.warnings.length === 0,
    instead: ({ ours }) =>
      ours.warnings.every((text) => /moves its running statistics|^Mismatch dtype/.test(text))
        ? null
        : ours.warnings.join('\n'),
  },
  {
    id: 'constant rows without eps',
    section: '§1.2 W3',
    what: "PyTorch's mean of equal numbers may differ from them, which eps = 0 makes large; ours does not.",
    aspects: results,
    when: (one) => one.program.subject.options.eps === 0 && inputOf(one)?.distribution === 'constant',
  },
  {
    id: 'second derivatives without eps',
    section: '§15.2',
    what: 'Of two values that happen to be close, 1/√variance is huge and its powers take all digits; neither side is wrong.',
    aspects: ['ddx', 'ddweight', 'ddy'],
    when: (one) => one.program.subject.options.eps === 0 && one.call?.op === 'double',
  },
];
