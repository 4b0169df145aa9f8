// L-BFGS, as operations on tensors. The search along a direction is in strong_wolfe.ts.

import { enableGrad } from '../autograd/grad_mode.ts';
import { requireNumber, shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { ArgumentTypeError, ValueError } from '../errors.ts';
import { cat } from '../ops/shape_ops.ts';
import { requireOptions } from '../options.ts';
import { zeros } from '../tensor/create.ts';
import type { DType } from '../tensor/dtype.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import { keep, Tensor } from '../tensor/tensor.ts';
import {
  type Check,
  commonChecks,
  type GroupSpec,
  isRate,
  Optimizer,
  type OptimizerStateDict,
  optionsOf,
  type ParamGroup,
  type RateOption,
} from './optimizer.ts';
import { gradientOf } from './parameter_table.ts';
import { type LinePoint, strongWolfe } from './strong_wolfe.ts';

/** Options of `LBFGS`. */
export interface LBFGSOptions extends RateOption {
  /** Iterations of a step at most. Default: 20. */
  maxIter: number;
  /** Calls of the closure in a step at most; null: 1.25 times `maxIter`. Default: null. */
  maxEval: number | null;
  /** A step ends where no gradient is larger. Default: 1e-7. */
  toleranceGrad: number;
  /** A step ends where no parameter, or the loss, changes by more. Default: 1e-9. */
  toleranceChange: number;
  /** How many of the last moves are remembered. Default: 100. */
  historySize: number;
  /** How the length of a move is searched for; null: it is `lr`. Default: null. */
  lineSearchFn: 'strongWolfe' | null;
}

const defaults: LBFGSOptions = {
  lr: 1,
  maxIter: 20,
  maxEval: null,
  toleranceGrad: 1e-7,
  toleranceChange: 1e-9,
  historySize: 100,
  lineSearchFn: null,
};
const lbfgsOptions = optionsOf(defaults);

const isCount = (value: unknown) => Number.isInteger(value) && (value as number) >= 1;
const checks: readonly Check<LBFGSOptions>[] = [
  commonChecks[0],
  [({ maxIter }) => isCount(maxIter), ({ maxIter }) => `Invalid maxIter value: ${shown(maxIter)}`],
  [({ maxEval }) => maxEval === null || isCount(maxEval), ({ maxEval }) => `Invalid maxEval value: ${shown(maxEval)}`],
  [
    ({ toleranceGrad }) => isRate(toleranceGrad),
    ({ toleranceGrad }) => `Invalid toleranceGrad value: ${shown(toleranceGrad)}`,
  ],
  [
    ({ toleranceChange }) => isRate(toleranceChange),
    ({ toleranceChange }) => `Invalid toleranceChange value: ${shown(toleranceChange)}`,
  ],
  [({ historySize }) => isCount(historySize), ({ historySize }) => `Invalid historySize value: ${shown(historySize)}`],
  [
    ({ lineSearchFn }) => [null, 'strongWolfe'].includes(lineSearchFn),
    () => "lineSearchFn: only 'strongWolfe' is supported",
  ],
];

/** What the first parameter's state holds of all. */
interface History {
  func_evals: number;
  n_iter: number;
  /** The last direction, and how far it was followed. */
  d: Tensor;
  t: number;
  /** Differences of gradients and of parameters, oldest first, and 1 / their products. */
  old_dirs: Tensor[];
  old_stps: Tensor[];
  ro: number[];
  H_diag: number;
  prev_flat_grad: Tensor;
  prev_loss: number;
}
const lists = ['old_dirs', 'old_stps', 'ro'] as const;

/**
 * L-BFGS (Liu & Nocedal 1989; PyTorch: `optim.LBFGS`): Newton's direction from the last differences of gradients. For
 * losses of all data at once. `step` needs a closure, which it calls several times. There is one group of parameters.
 *
 * Defaults: lr 1, maxIter 20, maxEval 1.25·maxIter, toleranceGrad 1e-7, toleranceChange 1e-9, historySize 100,
 * lineSearchFn null.
 * @throws ValueError on options outside their domain, and on several groups.
 * @example
 * const optimizer = new LBFGS(net.parameters(), { lineSearchFn: 'strongWolfe' });
 * const loss = optimizer.step(() => {
 *   optimizer.zeroGrad();
 *   const loss = crossEntropy(net(images), labels);
 *   loss.backward();
 *   return loss;
 * });
 */
export class LBFGS extends Optimizer<LBFGSOptions> {
  private evaluate: (() => number) | null = null;
  private loss = 0;

  constructor(params: Iterable<Tensor> | Iterable<GroupSpec<LBFGSOptions>>, options: Partial<LBFGSOptions> = {}) {
    requireOptions(new.target.name, options, lbfgsOptions);
    const { maxIter = defaults.maxIter, maxEval } = options;
    super(params, { ...options, maxEval: maxEval ?? Math.floor((maxIter * 5) / 4) }, defaults, checks);
  }

  override addParamGroup(spec: GroupSpec<LBFGSOptions>): void {
    if (this.paramGroups.length > 0)
      throw new ValueError("LBFGS doesn't support per-parameter options (parameter groups)");
    super.addParamGroup(spec);
  }

  /** A step needs a closure. */
  override step(): void;
  /**
   * Moves along several directions (PyTorch: `LBFGS.step`).
   * @param closure sets the gradients anew and returns the loss.
   * @returns the loss before the step.
   */
  override step<R>(closure: () => R): R;
  override step<R>(closure?: () => R): R | undefined {
    if (typeof closure !== 'function')
      throw new ArgumentTypeError(
        `[LBFGS.step] expected a closure that computes the loss anew and calls backward, got ${shown(closure)}`,
      );
    const evaluated = () => {
      const result: unknown = closure();
      this.loss = result instanceof Tensor ? result.item() : requireNumber('LBFGS.step', 'the loss', result);
      return result as R;
    };
    this.evaluate = () => {
      enableGrad(evaluated);
      return this.loss;
    };
    try {
      return super.step(evaluated);
    } finally {
      this.evaluate = null;
    }
  }

  protected override shapeOfState(): Shape {
    return [this.paramGroups[0].params.reduce((sum, { size }) => sum + size, 0)];
  }
  protected override scalarDtype(name: string, { dtype }: Tensor): DType | null {
    return ['t', 'H_diag', 'ro'].includes(name) ? dtype : null;
  }

  override loadStateDict(stateDict: OptimizerStateDict): void {
    const { state } = stateDict ?? {};
    const stripped = Object.entries(state ?? {}).map(([position, saved]) => {
      // Working memory of PyTorch's step.
      const { al: _, ...own } = saved ?? {};
      const lengths = lists.map((name) =>
        Array.isArray(own[name]) ? own[name].length : own[name] === undefined ? 0 : -1,
      );
      if (lengths.includes(-1) || new Set(lengths).size > 1)
        throw new ValueError(
          `[loadStateDict] expected ${lists.join(', ')} of state ${position} to be arrays of one length`,
        );
      return [position, own];
    });
    super.loadStateDict({ ...stateDict, state: state && Object.fromEntries(stripped) });
  }

  private flatGradient(params: readonly Tensor[]): Tensor {
    return cat(
      params.map((param) =>
        param.peekGrad()
          ? gradientOf(param).flatten()
          : zeros([param.size], { dtype: param.dtype, device: param.device }),
      ),
    );
  }

  /** Moves all parameters along a direction. */
  private move(params: readonly Tensor[], direction: Tensor, t: number): void {
    let start = 0;
    for (const param of params) {
      const size = sizeOf(param.shape);
      param.add_(direction.narrow(0, start, size).reshape(param.shape), { alpha: t });
      start += size;
    }
  }

  /** The next direction: minus the gradient, times the approximate inverse of the Hessian. */
  private direction(state: History, gradient: Tensor, round: (x: number) => number, historySize: number): Tensor {
    if (state.n_iter === 1) {
      Object.assign(state, { old_dirs: [], old_stps: [], ro: [], H_diag: 1 });
      return gradient.neg();
    }
    const change = gradient.sub(state.prev_flat_grad);
    const move = state.d.mul(state.t);
    const product = change.dot(move).item();
    if (product > 1e-10) {
      if (state.old_dirs.length === historySize) for (const name of lists) state[name].shift();
      state.old_dirs.push(keep(change));
      state.old_stps.push(keep(move));
      state.ro.push(round(1 / product));
      state.H_diag = round(product / change.dot(change).item());
    }
    const { old_dirs: changes, old_stps: moves, ro } = state;
    const shares: number[] = [];
    const q = gradient.neg();
    for (let i = changes.length - 1; i >= 0; i--) {
      shares[i] = round(moves[i].dot(q).item() * ro[i]);
      q.sub_(changes[i], { alpha: shares[i] });
    }
    const direction = q.mul(state.H_diag);
    for (const [i, change] of changes.entries())
      direction.add_(moves[i], { alpha: shares[i] - round(change.dot(direction).item() * ro[i]) });
    return direction;
  }

  protected update(group: ParamGroup<LBFGSOptions>): void {
    const { params, lr, maxIter, toleranceGrad, toleranceChange, historySize, lineSearchFn } = group;
    const maxEval = group.maxEval!;
    const largest = (x: Tensor) => x.abs().max().item();
    // PyTorch keeps such numbers in tensors of the parameters' dtype.
    const round = params[0].dtype === 'float32' ? Math.fround : (x: number) => x;
    const state = this.stateOf(params[0]) as unknown as History;
    state.func_evals = (state.func_evals ?? 0) + 1;
    state.n_iter ??= 0;
    let { loss } = this;
    let gradient = this.flatGradient(params);
    let evaluations = 1;
    if (largest(gradient) <= toleranceGrad) return;

    for (let i = 1; i <= maxIter; i++) {
      state.n_iter++;
      const direction = this.direction(state, gradient, round, historySize);
      const previousLoss = loss;
      Object.assign(state, { d: keep(direction), prev_flat_grad: keep(gradient), prev_loss: loss });
      state.t = state.n_iter === 1 ? Math.min(1, round(1 / gradient.abs().sum().item())) * lr : lr;
      const slope = gradient.dot(direction).item();
      if (slope > -toleranceChange) break;

      let added = 0;
      if (lineSearchFn === null) {
        this.move(params, direction, state.t);
        if (i !== maxIter) {
          loss = this.evaluate!();
          gradient = this.flatGradient(params);
          added = 1;
        }
      } else {
        const start = params.map((param) => param.detach().clone());
        const at = (t: number): LinePoint => {
          this.move(params, direction, t);
          const loss = this.evaluate!();
          const gradient = this.flatGradient(params);
          for (const [j, param] of params.entries()) param.copy_(start[j]);
          return { t, loss, gradient, slope: gradient.dot(direction).item() };
        };
        const limits = { size: largest(direction), maxSteps: maxEval - evaluations, toleranceChange };
        const found = strongWolfe({ t: 0, loss, gradient, slope }, state.t, at, limits);
        ({ loss, gradient, t: state.t } = found.point);
        added = found.evaluations;
        this.move(params, direction, state.t);
      }
      evaluations += added;
      state.func_evals += added;
      if (evaluations >= maxEval || largest(gradient) <= toleranceGrad) break;
      if (largest(direction.mul(state.t)) <= toleranceChange || Math.abs(loss - previousLoss) < toleranceChange) break;
    }
  }
}

keepNames({ LBFGS });
