// SWALR: learning rates that go to a fixed value, for the averaging of weights (PyTorch: optim.swa_utils.SWALR).

import { requireInteger, shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import {
  type AnyOptimizer,
  type Group,
  type LastEpochOption,
  LRScheduler,
  lastEpochOption,
  type Rule,
  type SchedulerState,
  StateReader,
} from './lr_scheduler.ts';
import { type PerGroup, perGroup } from './one_cycle.ts';

/** Options of `SWALR`. */
export interface SWALROptions extends LastEpochOption {
  /** Steps of the way to the fixed rate. Default: 10. */
  annealEpochs?: number;
  /** The form of the way: half a cosine or a line. Default: `'cos'`. */
  annealStrategy?: 'cos' | 'linear';
}
const swaOptions = declareOptions<SWALROptions>({
  annealEpochs: kind.integer,
  annealStrategy: kind.choice,
  ...lastEpochOption.kinds,
});

const anneals = {
  cos: (share: number) => (1 - Math.cos(Math.PI * share)) / 2,
  linear: (share: number) => share,
};
interface SwaParameters {
  annealEpochs: number;
  swaStrategy: keyof typeof anneals;
}
const rule: Rule<SwaParameters> = {
  next({ lr, steps, group, groupIndex }, { annealEpochs, swaStrategy }) {
    const { swaLr } = group;
    if (typeof swaLr !== 'number')
      throw new ValueError(
        `[SWALR] group ${groupIndex} was added to the optimizer after the schedule was made, which has no rate for it; add all groups first`,
      );
    const step = annealEpochs === 0 ? Math.max(1, steps - 1) : steps - 1;
    const shareAt = (at: number) => anneals[swaStrategy](Math.max(0, Math.min(1, at / Math.max(1, annealEpochs))));
    const [before, now] = [shareAt(step - 1), shareAt(step)];
    const start = before === 1 ? swaLr : (lr - before * swaLr) / (1 - before);
    return swaLr * now + start * (1 - now);
  },
};

/**
 * The rates go to `swaLr` in `annealEpochs` steps and stay there: for `AveragedModel`, late in a training (Izmailov et
 * al. 2018; PyTorch: `optim.swa_utils.SWALR`).
 * @throws ValueError on options outside their domain.
 * @example
 * const schedule = new SWALR(optimizer, 0.05);
 */
export class SWALR extends LRScheduler<SwaParameters> {
  constructor(optimizer: AnyOptimizer, swaLr: PerGroup, options: SWALROptions = {}) {
    requireOptions(new.target.name, options, swaOptions);
    const { annealEpochs = 10, annealStrategy = 'cos', lastEpoch } = options;
    const rates = perGroup('SWALR', 'swaLr', optimizer, swaLr);
    if (typeof annealStrategy !== 'string' || !Object.hasOwn(anneals, annealStrategy))
      throw new ValueError(`annealStrategy must be one of 'cos' or 'linear', instead got ${shown(annealStrategy)}`);
    requireInteger('SWALR', 'annealEpochs', annealEpochs);
    if (annealEpochs < 0) throw new ValueError(`annealEpochs must be equal or greater than 0, got ${annealEpochs}`);
    (optimizer.paramGroups as Group[]).forEach((group, i) => {
      group.swaLr = rates[i];
    });
    super(optimizer, { annealEpochs, swaStrategy: annealStrategy }, rule, { lastEpoch });
  }

  override loadStateDict(state: SchedulerState): void {
    new StateReader('SWALR', state).choice('_anneal_strategy', ['cos', 'linear']);
    super.loadStateDict(state);
  }
}

keepNames({ SWALR });
