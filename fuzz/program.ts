// What the fuzzer runs: a layer or a functional form, and a sequence of calls on it; and what one run of a program
// reports. Programs are plain data, so that PyTorch in another process can run the same ones. Not here: how they are
// drawn (draw.ts).
import type { DType } from '../src/tensor/dtype.ts';
import type { MemoryFormat } from '../src/tensor/shape.ts';

export type LayerKind =
  | `${'' | 'Lazy'}${'BatchNorm' | 'InstanceNorm'}${1 | 2 | 3}d`
  | 'SyncBatchNorm'
  | 'FrozenBatchNorm2d'
  | 'GroupNorm'
  | 'LayerNorm'
  | 'RMSNorm'
  | 'LocalResponseNorm';
export type FunctionalKind =
  | 'F.batch_norm'
  | 'F.instance_norm'
  | 'F.group_norm'
  | 'F.layer_norm'
  | 'F.rms_norm'
  | 'F.local_response_norm';
export type Kind = LayerKind | FunctionalKind;

export const stateNames = ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'] as const;
export type StateName = (typeof stateNames)[number];

/**
 * How a tensor's values are spread. `offset`: a mean of 10 to 10⁴ standard deviations; `nan`, `inf`: one such element
 * among normal ones.
 */
export type Distribution =
  | 'normal'
  | 'offset'
  | 'integers'
  | 'constant'
  | 'outlier'
  | 'tiny'
  | 'huge'
  | 'nan'
  | 'inf'
  | 'positive';

/** A tensor by its recipe: the values follow from `distribution` and `seed` (values.ts). */
export interface TensorSpec {
  shape: number[];
  dtype: DType;
  format: MemoryFormat;
  distribution: Distribution;
  seed: number;
}

export interface Subject {
  kind: Kind;
  /** Arguments before the options: sizes. */
  positional: (number | number[])[];
  /** In camelCase, without those left at their defaults. */
  options: Record<string, number | boolean | string | null>;
  /** The tensors that a functional form is called with; a layer has its own. */
  tensors: Partial<Record<StateName, TensorSpec>>;
}

interface ForwardCall {
  input: TensorSpec;
  /** Whether the input requires a gradient. */
  needsInput: boolean;
}
export type Call =
  | { op: 'train' | 'eval' | 'save' | 'reset' | 'resetParameters' | 'print' }
  | ({ op: 'forward' | 'noGrad' } & ForwardCall)
  | ({ op: 'backward'; cotangent: TensorSpec } & ForwardCall)
  | ({ op: 'double'; cotangent: TensorSpec; second: Record<'x' | 'weight' | 'bias', TensorSpec> } & ForwardCall)
  | { op: 'track'; value: boolean }
  | { op: 'drop'; name: StateName }
  | { op: 'set'; name: StateName; value: TensorSpec }
  /** Loads what was last saved (else the first state), perhaps without a key, or without metadata. */
  | { op: 'load'; strict: boolean; without: StateName | null; metadata: boolean }
  | { op: 'requiresGrad'; name: 'weight' | 'bias' | 'running_mean'; value: boolean };

export interface Program {
  subject: Subject;
  calls: Call[];
}

/** A tensor in a report: values in row-major order; counters and integers too. */
export interface Values {
  shape: number[];
  dtype: string;
  /** null where the shape leaves the format open, or it is neither of the two. */
  format: MemoryFormat | null;
  data: ArrayLike<number>;
}
export type Slot = Values | 'uninitialized' | null;

/** What the subject holds after a call. */
export interface State {
  tensors: Record<StateName, Slot>;
  requiresGrad: Record<'weight' | 'bias' | 'running_mean', boolean>;
  training: boolean;
  tracking: boolean;
  numFeatures: number | null;
  className: string;
}

/** What one call gave. The first of a run is the construction. */
export interface Outcome {
  error: { type: string; text: string } | null;
  /** The printed form, or the result of loading; null: none. */
  text: string | null;
  warnings: string[];
  /** y, dx, dweight, dbias; of second order also ddx, ddweight, ddy. */
  tensors: Record<string, Values | null>;
  /** Whether y can be differentiated; null without y. */
  requiresGrad: boolean | null;
  /** null where there is no subject: its construction failed. */
  state: State | null;
}

export const isFunctional = (kind: Kind): kind is FunctionalKind => kind.startsWith('F.');
export const isForward = (call: Call): call is Extract<Call, ForwardCall> => 'input' in call;
