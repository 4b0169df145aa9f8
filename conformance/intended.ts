// Where the library differs from PyTorch on purpose, or PyTorch is the one that is off. A difference that no row here
// explains is a failure.
import { eq, gather, Tensor } from '../src/index.ts';
import { type Expected, isTensorData, tensorOf } from './case.ts';
import { difference } from './judge.ts';
import type { Seen, Verdict } from './verdict.ts';

export interface Facts {
  verdict: Verdict;
  seen: Seen;
  /** An argument is a float with an integral value. */
  hasIntegralFloat: boolean;
  expected: { error?: Expected['error'] } & Pick<Expected, 'outputs'>;
}
export interface IntendedRow {
  id: string;
  /** For the page: what differs, and why. */
  reason: string;
  matches(facts: Facts): boolean;
}

const isNamed = ({ verdict }: Facts, ...names: string[]) => names.includes(verdict.name);
const binary =
  /^(eq|ne|lt|le|gt|ge|maximum|minimum|(max|min)\.binary|logical_(and|or|xor)|atan2|copysign|fmod|gcd|lcm|rsub|__r\w+__)$/;
const shapeAndDtype = /^(shape|dtype)/;

export const intended: readonly IntendedRow[] = [
  {
    id: 'one kind of number',
    reason:
      'JavaScript has one kind of number, and 2.0 is 2. Beside an integer tensor such a number is an integer, where PyTorch gives float32; as a size it is one, where PyTorch raises.',
    matches: ({ verdict, hasIntegralFloat, expected }) =>
      (hasIntegralFloat &&
        (verdict.detail.startsWith('dtype: expected float32') ||
          (/^(lin|log)space/.test(verdict.name) && expected.error?.type === 'TypeError'))) ||
      /should be of type int, got: float$/.test(verdict.detail),
  },
  {
    id: 'two plain numbers',
    reason: 'An operation of two numbers without a tensor is refused: JavaScript has operators for it.',
    matches: ({ verdict, seen }) =>
      verdict.outcome === 'raised' &&
      seen.args.every((value) => !(value instanceof Tensor)) &&
      /two numbers|tensors or numbers/.test(verdict.detail),
  },
  {
    id: 'booleans are no numbers',
    reason:
      'To Python `True` is the number 1. Here a boolean is a value of elements, `x.eq(true)` or `full([2], true)`, but no start, end or step of a range: there it is a mistake, and is named.',
    matches: (facts) =>
      isNamed(facts, 'arange') &&
      facts.verdict.outcome === 'raised' &&
      facts.seen.args.some((value) => typeof value === 'boolean') &&
      /got (true|false)$/.test(facts.verdict.detail),
  },
  {
    id: 'negative eps',
    reason:
      'An eps below 0 is refused by every norm. PyTorch refuses it in batch norm; in the others it gives NaN to all whose variance is smaller.',
    matches: ({ verdict }) =>
      verdict.outcome === 'raised' && /expected eps to be a finite number of at least 0, got -/.test(verdict.detail),
  },
  {
    id: 'stride of no numbers',
    reason: 'A stride that is left out is `undefined` or `null`; to PyTorch an empty list means that too.',
    matches: ({ verdict }) =>
      verdict.outcome === 'raised' && /expected stride to be .*, got \[\]$/.test(verdict.detail),
  },
  {
    id: 'refused earlier',
    reason:
      'An option that no call could take is refused when the layer is made; PyTorch refuses some of them only when it is called.',
    matches: ({ verdict, expected }) =>
      verdict.outcome === 'raised' && verdict.aspect === 'construction' && expected.error !== undefined,
  },
  {
    id: 'where of two numbers',
    reason:
      '`where(mask, 0, 2)` of two numbers gives float32, as every tensor that is made of plain numbers does; PyTorch gives int64 for integers.',
    matches: (facts) =>
      isNamed(facts, 'where') &&
      facts.verdict.detail.startsWith('dtype') &&
      facts.verdict.detail.endsWith('got float32'),
  },
  {
    id: 'a number on either side',
    reason:
      'A plain number may stand on either side of an operation of two operands, also where PyTorch wants a tensor there.',
    matches: ({ verdict, seen, expected }) =>
      verdict.outcome === 'accepted' &&
      binary.test(verdict.name) &&
      seen.args.some((value) => typeof value === 'number') &&
      /must be Tensor|invalid combination of arguments|descriptor '__|has no attribute|Dimension out of range/.test(
        expected.error?.text ?? '',
      ),
  },
  {
    id: 'item of bool',
    reason: '`item()` always gives a number: 1 or 0 for a bool tensor. `toArray()` gives booleans.',
    matches: (facts) => isNamed(facts, 'item') && facts.verdict.dtype === 'bool',
  },
  {
    id: 'order of equal values',
    reason:
      "Which of several equal values `sort`, `argsort`, `topk`, `kthvalue`, `median`, `nanmedian` and `mode` name: ours keep their order, always; PyTorch promises none without `stable`. Taken from the input, both sides' indices give the same values.",
    matches(facts) {
      const { verdict, seen, expected } = facts;
      const [x, second, third] = seen.args;
      const hasIndicesOnly = isNamed(facts, 'argsort');
      const indices = seen.outputs.at(-1);
      const aspect = hasIndicesOnly ? 'output 0' : 'output 1';
      if (
        !(hasIndicesOnly || isNamed(facts, 'sort', 'topk', 'kthvalue', 'median', 'nanmedian', 'mode')) ||
        verdict.aspect !== aspect
      )
        return false;
      const [wanted] = expected.outputs ?? [];
      if (shapeAndDtype.test(verdict.detail) || !isTensorData(wanted)) return false;
      if (!(x instanceof Tensor && indices instanceof Tensor)) return false;
      const given = isNamed(facts, 'topk', 'kthvalue') ? third : second;
      const dim = typeof given === 'number' ? given : -1;
      const at = (places: Tensor) => {
        if (x.rank === 0) return x;
        return places.rank < x.rank ? gather(x, dim, places.unsqueeze(dim)).squeeze(dim) : gather(x, dim, places);
      };
      const taken = at(indices);
      if (hasIndicesOnly)
        return (
          eq(taken, at(tensorOf({ ...wanted, grad: false })))
            .all()
            .item() === 1
        );
      return difference(taken, wanted, null, { isElementwise: true, looseness: 1 }) === null;
    },
  },
  {
    id: 'more than 64 dimensions',
    reason: 'There is no limit on the number of dimensions; PyTorch stops at 64 in reductions.',
    matches: ({ verdict, expected }) =>
      verdict.outcome === 'accepted' && /up to 64 dims/.test(expected.error?.text ?? ''),
  },
  {
    id: 'bernoulli has no history',
    reason: 'What `bernoulli` and `normal` draw does not require a gradient, which would be zero; PyTorch records it.',
    matches: (facts) =>
      isNamed(facts, 'bernoulli', 'normal', 'normal.number_mean') &&
      facts.verdict.detail.startsWith('requiresGrad: expected true'),
  },
  {
    id: 'weights of another dtype',
    reason:
      'The gradient of float32 weights of `cov` beside float64 variables is a difference of float32 terms, which are added in another order.',
    matches: (facts) =>
      isNamed(facts, 'cov') && facts.verdict.dtype === 'float64' && facts.verdict.aspect.startsWith('gradient'),
  },
  {
    id: 'second derivatives of losses',
    reason:
      'PyTorch has no second derivative of `multi_margin_loss` and `multilabel_margin_loss`; ours are made of operations that have one. That of `ctc_loss` is refused here too, when it is asked for.',
    matches: ({ verdict, expected }) =>
      verdict.outcome === 'accepted' &&
      /derivative for aten::(multi(label)?_margin|_ctc)_loss_backward is not implemented/.test(
        expected.error?.text ?? '',
      ),
  },
  {
    id: 'tails of gelu',
    reason:
      'gelu(x) for x below about −8.3: PyTorch computes 1 + erf, which rounds to 0; ours keeps the digits of the tail, about 1e-16.',
    matches: (facts) =>
      isNamed(facts, 'GELU', 'nn.functional.gelu') &&
      facts.verdict.detail.includes(': expected 0, got -') &&
      Number(/got (-[\d.e-]+) /.exec(facts.verdict.detail)?.[1]) > -1e-15,
  },
  {
    id: 'hardsigmoid in float64',
    reason:
      "PyTorch's gradient of hardsigmoid multiplies by a float32 constant 1/6 in float64 too, which is off by 3e-8; ours is not.",
    matches: ({ verdict }) =>
      /hardsigmoid/i.test(verdict.name) &&
      verdict.dtype === 'float64' &&
      verdict.aspect.includes('gradient') &&
      isOffBy(verdict.detail, 3e-8),
  },
];

/** Whether the element that differs does so by at most this share. */
function isOffBy(detail: string, share: number): boolean {
  const [, expected, got] = /: expected (\S+), got (\S+) /.exec(detail) ?? [];
  return Math.abs(Number(got) / Number(expected) - 1) <= share;
}

export const intendedRow = (facts: Facts): IntendedRow | null => intended.find((row) => row.matches(facts)) ?? null;
