// evenkeel/optim: optimizers, gradient clipping, learning-rate schedules.
import '../ops/methods.ts';

export {
  type GroupSpec,
  Optimizer,
  type OptimizerStateDict,
  type ParamGroup,
  type ParamsArgument,
} from './optimizer.ts';
export { SGD, type SGDOptions } from './sgd.ts';
