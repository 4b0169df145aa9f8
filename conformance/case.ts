// One case of PyTorch's inventory as torch_cases.py writes it, a line of JSON: a call, or a layer's or optimizer's
// life, as data, and what PyTorch gave. And how its values become those of the library.
import { type DType, fromTypedArray, type MemoryFormat, type Tensor, type TypedArray } from '../src/index.ts';

export interface TensorData {
  $: 'tensor';
  shape: number[];
  dtype: DType;
  /** Row-major bytes in base64. */
  data: string;
  /** Whether gradients were asked for. */
  grad?: boolean;
}
export type Data =
  | null
  | boolean
  | number
  | string
  | TensorData
  /** A float with an integral value, or NaN or an infinity by name. */
  | { $: 'float'; value: number | string }
  /** An integer beyond 2^53. */
  | { $: 'big'; value: string }
  | { $: 'dtype'; value: DType }
  | { $: 'slice'; value: [Data, Data, Data] }
  | { $: 'ellipsis' }
  | { $: 'format'; value: string }
  | { $: 'dict'; value: [Data, Data][] }
  | Data[];
export type Named = [name: string, value: Data][];

/** What a call gave: see `measured` in torch_cases.py. */
export interface Measured {
  outputs?: Data[];
  cotangents?: TensorData[];
  grads?: (TensorData | null)[];
  directions?: (TensorData | null)[];
  second?: (TensorData | null)[];
  state?: Named;
}
export interface Expected extends Measured {
  /** Float32 only: the same call on the same numbers in float64. */
  truth?: Measured;
  error?: { type: string; text: string };
  /** What has no counterpart: PyTorch's side could not write it down. */
  unavailable?: string;
}

interface CaseHead {
  id: string;
  source: 'sample' | 'reference' | 'error';
  name: string;
  dtype: DType;
  seed: number;
}
export interface FunctionCase extends CaseHead {
  kind: 'function';
  variant: 'function' | 'inplace';
  args: Data[];
  kwargs: Named;
  expected: Expected;
}
export interface ModuleCase extends CaseHead {
  kind: 'module';
  training: boolean;
  constructor: { named: Named; rest: Data[]; defaults: Named };
  /** null: only the construction is asked for. */
  args: Data[] | null;
  /** The names of the last arguments, which PyTorch is given by name. */
  keywords?: string[];
  /** null for a lazy module. */
  state?: Named | null;
  /** Names in the order of their gradients, which stand behind those of the arguments. */
  parameters?: string[];
  expected: Expected;
}
export interface SavedState {
  groups: Named[];
  entries: [position: number, state: Named][];
}
export interface OptimizerCase extends CaseHead {
  kind: 'optimizer';
  kwargs: Named;
  /** Error inputs bring their own parameters. */
  params?: Data;
  /** Which of those are one tensor. */
  sameAs?: number[];
  groups: [positions: number[], options: Named][];
  starts: TensorData[];
  gradients: TensorData[][];
  expected: Expected & { middle?: { params: TensorData[]; state: SavedState }; last?: SavedState };
}
export interface ScheduleCase extends CaseHead {
  kind: 'scheduler';
  kwargs: Named;
  metrics: number[];
  expected: { error?: Expected['error']; unavailable?: string; trace?: [lr: number, momentum: number][][] };
}
export interface InitCase extends CaseHead {
  kind: 'init';
  shape: number[];
  kwargs: Named;
  expected: Expected;
}
export type Case = FunctionCase | ModuleCase | OptimizerCase | ScheduleCase | InitCase;

const arrays: Record<DType, new (buffer: ArrayBuffer) => TypedArray> = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

export const isTensorData = (value: unknown): value is TensorData =>
  typeof value === 'object' && value !== null && '$' in value && value.$ === 'tensor';

/** The values, in memory of their own. */
export const valuesOf = ({ data, dtype }: TensorData): TypedArray =>
  new arrays[dtype](new Uint8Array(Buffer.from(data, 'base64')).buffer as ArrayBuffer);

export function tensorOf(data: TensorData, memoryFormat: MemoryFormat = 'contiguous'): Tensor {
  const made = fromTypedArray(valuesOf(data), data.shape, { dtype: data.dtype });
  return made.contiguous(memoryFormat).requiresGrad_(data.grad ?? false);
}

/** A value that no argument of the library can be. */
export class NotExpressible extends Error {}

/** A value as the library takes it; None is null. Tensors are collected in `tensors`, in PyTorch's order. */
export function argumentOf(data: Data, tensors: Tensor[] = [], format: MemoryFormat = 'contiguous'): unknown {
  if (data === null || typeof data !== 'object') return data;
  if (Array.isArray(data)) return data.map((one) => argumentOf(one, tensors, format));
  switch (data.$) {
    case 'tensor': {
      const made = tensorOf(data, data.shape.length < 4 ? 'contiguous' : format);
      tensors.push(made);
      return made;
    }
    case 'float':
      return data.value === 'nan' ? Number.NaN : Number(String(data.value).replace('inf', 'Infinity'));
    case 'big':
      throw new NotExpressible('an integer beyond 2^53');
    case 'dtype':
      return data.value;
    case 'slice': {
      const [start, end, step] = data.value.map((one) => argumentOf(one, tensors) ?? undefined);
      return { start, end, step };
    }
    case 'ellipsis':
      return '...';
    case 'format':
      return data.value === 'channels_last' ? 'channelsLast' : 'contiguous';
    case 'dict':
      return Object.fromEntries(data.value.map(([key, value]) => [String(key), argumentOf(value, tensors)]));
  }
}

export const camel = (name: string): string =>
  name.replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
export const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Whether an argument's data hold a float with an integral value, which JavaScript does not tell from an integer. */
export const hasIntegralFloat = (data: Data): boolean =>
  Array.isArray(data)
    ? data.some(hasIntegralFloat)
    : typeof data === 'object' && data !== null && data.$ === 'float' && typeof data.value === 'number';

export const namedValues = (named: Named, tensors?: Tensor[], format?: MemoryFormat): Map<string, unknown> =>
  new Map(named.map(([key, value]) => [key, argumentOf(value, tensors, format)]));
