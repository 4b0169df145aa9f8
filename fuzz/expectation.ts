// What the reference says of a call: results with their bars, state that changed, or a refusal. Not here: the rules
// (functional_rules.ts, reference.ts).
import type { MemoryFormat } from '../src/tensor/shape.ts';
import { type Estimate, exactly } from './bars.ts';
import { inOurWords } from './our_words.ts';
import type { Slot, StateName, Values } from './program.ts';

export interface Expected {
  shape: readonly number[];
  dtype: string;
  /** null: whichever. */
  format: MemoryFormat | null;
  estimate: Estimate;
}

export interface Expectation {
  /** `text` null: of these words nothing is said. */
  error: { type: string | null; text: string | null } | null;
  /** Results; a name that is absent is not judged, null means that there is none. */
  tensors: Record<string, Expected | null>;
  requiresGrad: boolean | null;
  /** What the subject holds afterwards, where it is not what it held before. */
  state: Partial<Record<StateName, Expected | 'uninitialized' | null>>;
}

/** A call that must be refused; what is null is not judged. */
export class Refusal extends Error {
  readonly type: string | null;
  readonly text: string | null;
  constructor(type: string | null, text: string | null) {
    super(text ?? 'refused');
    this.type = type;
    this.text = text;
  }
}
/** @param text in PyTorch's words. */
export const refuse = (type: string | null, text: string | null = null): never => {
  throw new Refusal(type, text === null ? null : inOurWords(text));
};
/** The reference says nothing about this call. */
export class Unknown extends Error {}

export const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
export const list = (sizes: readonly number[]): string => `[${sizes.join(', ')}]`;
export const torchSize = (sizes: readonly number[]): string => `torch.Size(${list(sizes)})`;
export const isFloating = (dtype: string): boolean => dtype === 'float32' || dtype === 'float64';

export const filled = (slot: Slot): Values | null => (slot === 'uninitialized' ? null : slot);
export const unchanged = (values: Values): Expected => ({ ...values, format: null, estimate: exactly(values.data) });
export const constant = (shape: readonly number[], dtype: string, value: number): Expected => ({
  shape,
  dtype,
  format: null,
  estimate: exactly(new Float64Array(product(shape)).fill(value)),
});
