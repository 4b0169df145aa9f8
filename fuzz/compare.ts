// Judging one run of a program: the library against the reference, always; and against PyTorch, where it ran the same
// program. PyTorch's numbers are held against the reference too, from PyTorch's own state before the call, within its
// own error; words, shapes, dtypes, formats and flags directly against the library's. What may differ stands in
// known_differences.ts.

import type { Expectation, Expected } from './expectation.ts';
import { knownDifferences } from './known_differences.ts';
import { type Call, type Outcome, type Program, type Slot, type State, stateNames, type Values } from './program.ts';
import { expectationOf } from './reference.ts';
import type { Difference, Verdict } from './target.ts';

/** One call as both sides saw it: what a row of known differences looks at. */
export interface Case {
  program: Program;
  call: Call | null;
  pre: State | null;
  torchPre: State | null;
  ours: Outcome;
  torch: Outcome;
  expectation: Expectation | null;
}

const shown = (value: number): string => String(value);
const shapeText = (v: { shape: readonly number[]; dtype: string }): string => `${v.dtype}[${v.shape}]`;

/** Where values leave their bars: the worst place in words, or null. */
function outside(actual: Values, expected: Expected, side: 'ours' | 'torch'): string | null {
  if (shapeText(actual) !== shapeText(expected)) return `${shapeText(actual)} instead of ${shapeText(expected)}`;
  if (expected.format && actual.format && expected.format !== actual.format)
    return `memory format ${actual.format} instead of ${expected.format}`;
  const { estimate } = expected;
  const isSingle = expected.dtype === 'float32';
  let worst = -1;
  let excess = 0;
  for (let i = 0; i < actual.data.length; i++) {
    const a = actual.data[i];
    const e = isSingle ? Math.fround(estimate.data[i]) : estimate.data[i];
    if (Object.is(a, e) || a === e) continue;
    const bar = estimate[side][i];
    if (bar === Number.POSITIVE_INFINITY) continue;
    // What lies at the end of the range, or whose terms do, may round either way.
    if (isSingle && (Math.abs(e) > 3.4e38 || bar > 1e30) && !(Math.abs(a) < 1e37)) continue;
    const distance = Math.abs(a - estimate.data[i]);
    if (distance <= bar) continue;
    const ratio = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance / bar;
    if (worst < 0 || ratio > excess) [worst, excess] = [i, ratio];
  }
  if (worst < 0) return null;
  return `element ${worst} is ${shown(actual.data[worst])}, should be ${shown(estimate.data[worst])} ± ${estimate[side][worst].toExponential(2)}`;
}

/** Two results of which no bar is known, to `digits` of the largest value. */
function apart(a: Values, b: Values, digits: number): string | null {
  if (a.data.length !== b.data.length) return null;
  let largest = 0;
  for (let i = 0; i < a.data.length; i++)
    if (Number.isFinite(b.data[i])) largest = Math.max(largest, Math.abs(b.data[i]));
  const bar = 10 ** -digits * Math.max(largest, 1);
  for (let i = 0; i < a.data.length; i++) {
    const [x, y] = [a.data[i], b.data[i]];
    if (Object.is(x, y) || x === y || Math.abs(x - y) <= bar) continue;
    return `element ${i}: ${shown(x)} and ${shown(y)}, of values up to ${shown(largest)}`;
  }
  return null;
}

/** A derivative that may as well be absent: 0, or 0 times what is no number. */
const isZero = (v: Values | null): boolean => v !== null && Array.from(v.data).every((x) => x === 0 || Number.isNaN(x));

class Judge {
  readonly verdict: Verdict = { differences: [], comparisons: 0, known: new Set() };
  private call = 0;

  start(call: number): void {
    this.call = call;
  }

  check(between: Difference['between'], aspect: string, message: string | null): void {
    this.verdict.comparisons++;
    if (message !== null) this.verdict.differences.push({ call: this.call, between, aspect, message });
  }

  /** A side's numbers against the reference. */
  numbers(
    outcome: Outcome,
    expectation: Expectation,
    pre: State | null,
    side: 'ours' | 'torch',
    isExempt: (aspect: string) => boolean,
  ): void {
    const between = side === 'ours' ? 'library and reference' : 'PyTorch and reference';
    const compare = (aspect: string, actual: Slot | undefined, expected: Expected | 'uninitialized' | null): void => {
      if (isExempt(aspect)) return;
      const name = (slot: unknown) =>
        slot === null || slot === undefined ? 'nothing' : typeof slot === 'string' ? slot : 'a tensor';
      const isSame = name(actual) === name(expected);
      this.check(
        between,
        aspect,
        !isSame
          ? `${name(actual)} instead of ${name(expected)}`
          : actual && expected && actual !== 'uninitialized' && expected !== 'uninitialized'
            ? outside(actual, expected, side)
            : null,
      );
    };
    if (!expectation.error)
      for (const [name, expected] of Object.entries(expectation.tensors))
        compare(name, outcome.tensors[name], expected);
    if (!outcome.state) return;
    for (const name of stateNames) {
      const held = pre?.tensors[name] ?? null;
      const kept: Expected | 'uninitialized' | null =
        held === null || held === 'uninitialized'
          ? held
          : {
              ...held,
              format: null,
              estimate: {
                data: Float64Array.from(held.data),
                ours: new Float64Array(held.data.length),
                torch: new Float64Array(held.data.length),
              },
            };
      const expected = expectation.state[name];
      compare(`state ${name}`, outcome.state.tensors[name], expected === undefined ? kept : expected);
    }
  }

  /** The library's outcome against the rules. */
  rules(outcome: Outcome, expectation: Expectation): void {
    const between = 'library and reference';
    const { error } = expectation;
    const text = error && `${error.type ?? 'an error'}: ${error.text ?? '…'}`;
    const actual = outcome.error && `${outcome.error.type}: ${outcome.error.text}`;
    if (!error || !outcome.error)
      this.check(
        between,
        'error',
        !error === !outcome.error ? null : `${actual ?? 'no error'} instead of ${text ?? 'none'}`,
      );
    else
      this.check(
        between,
        'error',
        (error.type === null || error.type === outcome.error.type) &&
          (error.text === null || error.text === outcome.error.text)
          ? null
          : `${actual} instead of ${text}`,
      );
    if (!error && expectation.requiresGrad !== null && outcome.requiresGrad !== null)
      this.check(
        between,
        'requiresGrad',
        expectation.requiresGrad === outcome.requiresGrad ? null : `y.requiresGrad is ${outcome.requiresGrad}`,
      );
  }

  /** What both say in words and kinds; and numbers of which the reference knows nothing. */
  direct(one: Case, isExempt: (aspect: string) => boolean): void {
    const { ours, torch, expectation } = one;
    const check = (aspect: string, a: unknown, b: unknown): void => {
      if (isExempt(aspect)) return;
      const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
      this.check('library and PyTorch', aspect, left === right ? null : `${left} and ${right}`);
    };
    check('error', ours.error, torch.error);
    check('text', ours.text, torch.text);
    check('warnings', ours.warnings, torch.warnings);
    if (ours.error || torch.error) return;
    check('requiresGrad', ours.requiresGrad, torch.requiresGrad);
    // A known difference may have left other statistics behind.
    const isSameStart = stateNames.every((name) => {
      const [a, b] = [one.pre?.tensors[name] ?? null, one.torchPre?.tensors[name] ?? null];
      return a === null || b === null || a === 'uninitialized' || b === 'uninitialized'
        ? a === b
        : apart(a, b, a.dtype === 'float32' ? 4 : 10) === null;
    });
    const kind = (slot: Slot | undefined) => (slot && slot !== 'uninitialized' ? shapeText(slot) : (slot ?? null));
    for (const name of new Set([...Object.keys(ours.tensors), ...Object.keys(torch.tensors)])) {
      const [a, b] = [ours.tensors[name] ?? null, torch.tensors[name] ?? null];
      // A second derivative that is absent is 0.
      if (name.startsWith('dd') && (a === null || b === null) && (a === null || isZero(a)) && (b === null || isZero(b)))
        continue;
      check(name === 'y' || name === 'dx' ? 'shape' : name, kind(a), kind(b));
      if (!a || !b) continue;
      if (a.format && b.format && a.shape.length > 3) check('format', [name, a.format], [name, b.format]);
      // Second derivatives, which are float64 only, contain powers of 1/√variance.
      const digits = name.startsWith('dd') ? 7 : a.dtype === 'float32' ? 4 : 9;
      if (!expectation?.tensors[name] && isSameStart && !isExempt(name))
        this.check('library and PyTorch', name, apart(a, b, digits));
    }
    const [left, right] = [ours.state!, torch.state!];
    for (const flag of ['training', 'tracking', 'numFeatures', 'className', 'requiresGrad'] as const)
      check(`state ${flag}`, left[flag], right[flag]);
    for (const name of stateNames) check(`state ${name}`, kind(left.tensors[name]), kind(right.tensors[name]));
  }
}

/** The index of the outcome whose state a `load` at `index` brings back. */
function savedBefore(calls: readonly Call[], index: number): number {
  for (let i = index - 1; i > 0; i--) if (calls[i - 1].op === 'save') return i;
  return 0;
}

export function judge(program: Program, ours: readonly Outcome[], torch: readonly Outcome[] | null): Verdict {
  const judged = new Judge();
  for (let i = 0; i < ours.length; i++) {
    judged.start(i);
    const call = i === 0 ? null : program.calls[i - 1];
    const saved = savedBefore(program.calls, i);
    const states = (side: readonly Outcome[]): [State | null, State | null] =>
      i === 0 ? [null, null] : [side[i - 1].state, side[saved].state];
    const expectation = expectationOf(program, i, ...states(ours));
    if (expectation) {
      judged.rules(ours[i], expectation);
      judged.numbers(ours[i], expectation, states(ours)[0], 'ours', () => false);
    }
    if (torch) {
      if (!torch[i]) {
        judged.check('library and PyTorch', 'error', `PyTorch refused earlier: ${JSON.stringify(torch.at(-1)?.error)}`);
        break;
      }
      const [pre, torchPre] = [states(ours)[0], states(torch)[0]];
      const one: Case = { program, call, pre, torchPre, ours: ours[i], torch: torch[i], expectation };
      const rows = knownDifferences.filter((row) => row.when(one));
      const isExempt = (aspect: string): boolean => {
        const row = rows.find(({ aspects }) =>
          aspects.some((each) => each === aspect || each === aspect.split(' ')[0]),
        );
        if (row) judged.verdict.known.add(row.id);
        return row !== undefined;
      };
      judged.direct(one, isExempt);
      for (const { id, instead } of rows) if (instead) judged.check('library and PyTorch', id, instead(one));
      const theirs = expectationOf(program, i, ...states(torch));
      if (theirs && !theirs.error === !torch[i].error)
        judged.numbers(torch[i], theirs, states(torch)[0], 'torch', isExempt);
    }
    if (judged.verdict.differences.length > 0) break;
    if (i === 0 && (!ours[0].state || (torch && !torch[0].state))) break;
  }
  return judged.verdict;
}
