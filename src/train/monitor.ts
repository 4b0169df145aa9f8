// A figure that is watched over epochs: which one, and whether it has become better.
import { requireChoice, shown } from '../checks.ts';
import { ValueError } from '../errors.ts';

/** Whether a figure should fall or rise. */
export type MonitorMode = 'min' | 'max';

const prefix = 'validation.';

/** The names that can be watched where there are such metrics. */
export function watchable(metrics: readonly string[], hasValidation: boolean): string[] {
  const names = ['loss', ...metrics];
  return hasValidation ? [...names, ...names.map((name) => prefix + name)] : names;
}

/** The figures of an epoch, as its result has them. */
interface Figures {
  readonly train: Readonly<Record<string, number>>;
  readonly validation?: Readonly<Record<string, number>>;
}

/**
 * The figure of an epoch: `'loss'` or a metric's name of training, `'validation.loss'` and so on of validation.
 * @throws ValueError where the epoch has none of that name.
 */
export function figureOf(op: string, { train, validation }: Figures, monitor: string): number {
  const found = monitor.startsWith(prefix) ? validation?.[monitor.slice(prefix.length)] : train[monitor];
  if (found !== undefined) return found;
  const known = watchable(
    Object.keys(train).filter((name) => name !== 'loss'),
    validation !== undefined,
  );
  const hint = monitor.startsWith(prefix) && !validation ? '; fit has no option validation here' : '';
  throw new ValueError(`[${op}] expected monitor to be one of ${known.join(', ')}, got ${shown(monitor)}${hint}`);
}

/** A loss should fall; of any other figure somebody has to say it. */
export function modeOf(op: string, monitor: string, mode: MonitorMode | undefined): MonitorMode {
  if (mode !== undefined) return requireChoice(op, 'mode', mode, ['min', 'max']);
  if (monitor === 'loss' || monitor === `${prefix}loss`) return 'min';
  throw new ValueError(`[${op}] expected mode, 'min' or 'max', beside monitor ${shown(monitor)}: it is no loss`);
}

/** Whether a figure is better than the best one by more than `minDelta`. NaN never is. */
export const isBetter = (value: number, best: number, mode: MonitorMode, minDelta = 0): boolean =>
  mode === 'min' ? value < best - minDelta : value > best + minDelta;
