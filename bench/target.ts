// What a row is to reach, and whether it does.
import type { Row } from './measure.ts';

export interface Target {
  /** A peer's name, for the ratio to it, or a further figure of the row. */
  readonly figure: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** What suffices instead. */
  readonly or?: Target;
}

/** The further figure of rows that have a limit. */
export const shareOfLimit = 'share of the limit, %';
/** The ratio to the best of PyTorch's modes: as it is, or compiled where that could be measured. */
export const bestOfTorch = "to PyTorch's best";

const figureOf = (figure: string, { ratio, extra }: Row): number | undefined =>
  figure === bestOfTorch ? (extra?.[figure] ?? ratio.torch) : (ratio[figure] ?? extra?.[figure]);

/** Undefined where the figure could not be measured here. */
export function judge(target: Target, row: Row): Row['target'] {
  const value = figureOf(target.figure, row);
  if (value === undefined) return undefined;
  const { atLeast = -Infinity, atMost = Infinity, or } = target;
  return { ...target, value, met: (value >= atLeast && value <= atMost) || (or && judge(or, row)?.met) === true };
}

/** 'torch ≥ 1.5'. */
export const boundText = ({ figure, atLeast, atMost, or }: Target): string =>
  `${figure} ${atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`}${or ? ` or ${boundText(or)}` : ''}`;
