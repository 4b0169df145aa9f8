// A line search for a step that fulfils the strong Wolfe conditions (PyTorch: `_strong_wolfe` in optim/lbfgs.py). Not
// here: what moves, and how it is evaluated.
import type { Tensor } from '../tensor/tensor.ts';

/** A point of the line: how far along it, the loss, the gradient, and the gradient in the line's direction. */
export interface LinePoint {
  readonly t: number;
  readonly loss: number;
  readonly gradient: Tensor;
  readonly slope: number;
}
/** What a search has found. */
interface Found {
  readonly point: LinePoint;
  /** How many points were evaluated. */
  readonly evaluations: number;
}
/** Limits of a search. */
interface Limits {
  /** The largest component of the direction. */
  readonly size: number;
  /** Points to evaluate at most, after the first. */
  readonly maxSteps: number;
  /** The search ends where the direction's largest component moves by less. */
  readonly toleranceChange: number;
}

/** Share of the slope by which the loss must fall at least, and that may be left of it at the end. */
const [sufficientDecrease, curvature] = [1e-4, 0.9];

/** The minimum of the cubic through two points with their slopes, within bounds. */
function cubicMinimum(a: LinePoint, b: LinePoint, [least, most]: readonly [number, number]): number {
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t);
  const square = d1 ** 2 - a.slope * b.slope;
  if (!(square >= 0)) return (least + most) / 2;
  const d2 = Math.sqrt(square);
  const [left, right] = a.t <= b.t ? [a, b] : [b, a];
  const minimum = right.t - (right.t - left.t) * ((right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2));
  // As Python's min and max, which keep the first where a comparison with NaN fails.
  const above = least > minimum ? least : minimum;
  return most < above ? most : above;
}

/**
 * Looks along a line for a point where the loss has fallen enough and its slope is small enough; where there is none
 * within the limits, gives the lowest point seen.
 * @param start the point at 0.
 * @param evaluate the point at a distance.
 */
export function strongWolfe(
  start: LinePoint,
  firstT: number,
  evaluate: (t: number) => LinePoint,
  { size, maxSteps, toleranceChange }: Limits,
): Found {
  const isTooHigh = ({ t, loss }: LinePoint) => loss > start.loss + sufficientDecrease * t * start.slope;
  const isFlat = ({ slope }: LinePoint) => Math.abs(slope) <= -curvature * start.slope;
  let point = evaluate(firstT);
  let evaluations = 1;
  let previous = start;
  let steps = 0;
  let bracket: [LinePoint, LinePoint] | null = null;
  for (; steps < maxSteps; steps++) {
    if (isTooHigh(point) || (steps > 1 && point.loss >= previous.loss)) {
      bracket = [previous, point];
      break;
    }
    if (isFlat(point)) return { point, evaluations };
    if (point.slope >= 0) {
      bracket = [previous, point];
      break;
    }
    const bounds = [point.t + 0.01 * (point.t - previous.t), point.t * 10] as const;
    const t = cubicMinimum(previous, point, bounds);
    previous = point;
    point = evaluate(t);
    evaluations++;
  }
  bracket ??= [start, point];

  // The minimum lies in the bracket, which shrinks.
  let low: 0 | 1 = bracket[0].loss <= bracket[1].loss ? 0 : 1;
  let isSlow = false;
  while (steps < maxSteps) {
    const [least, most] = [Math.min(bracket[0].t, bracket[1].t), Math.max(bracket[0].t, bracket[1].t)];
    if ((most - least) * size < toleranceChange) break;
    let t = cubicMinimum(...bracket, [least, most]);
    // A point at the border of the bracket hardly shrinks it: after two of them, or at the very border, it moves
    // inward.
    const margin = 0.1 * (most - least);
    if (Math.min(most - t, t - least) < margin) {
      if (isSlow || t >= most || t <= least) {
        t = Math.abs(t - most) < Math.abs(t - least) ? most - margin : least + margin;
        isSlow = false;
      } else isSlow = true;
    } else isSlow = false;
    point = evaluate(t);
    evaluations++;
    steps++;
    const high = (1 - low) as 0 | 1;
    if (isTooHigh(point) || point.loss >= bracket[low].loss) {
      bracket[high] = point;
      low = bracket[0].loss <= bracket[1].loss ? 0 : 1;
      continue;
    }
    const isDone = isFlat(point);
    if (!isDone && point.slope * (bracket[high].t - bracket[low].t) >= 0) bracket[high] = bracket[low];
    bracket[low] = point;
    if (isDone) break;
  }
  return { point: bracket[low], evaluations };
}
