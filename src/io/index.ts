/**
 * Files of tensors and checkpoints: of PyTorch, safetensors, NumPy. Checkpoints that go on where a training run stopped
 * are in `evenkeel/train`.
 * @module evenkeel/io
 */
import '../ops/methods.ts';

export type { ByteSource, FileSource } from './byte_source.ts';
export { type Conversion, type ConvertOptions, convertFile } from './convert.ts';
export { FileFormatError, FileReadError } from './errors.ts';
export {
  type Difference,
  type DiffOptions,
  diffFiles,
  type FileDifference,
  type InspectedNorm,
  type Inspection,
  inspectFile,
  type Spread,
} from './inspect.ts';
export type { LoadedEntry, LoadReport, LoadReportParts, ShapeMismatch, UnmatchedEntry } from './load_report.ts';
export {
  type LoadWeightsOptions,
  loadWeights,
  type Rename,
  WeightsMismatchError,
  type WeightsSource,
} from './load_weights.ts';
export {
  loadNpy,
  loadPytorch,
  type OpenOptions,
  openNpz,
  openPytorch,
  openSafetensors,
  openTensors,
  type PytorchDataOptions,
  type PytorchFile,
} from './open.ts';
export type { OwnBytes } from './own_bytes.ts';
export { type PytorchData, Tuple } from './pytorch_plain.ts';
export { UnknownObject } from './pytorch_tree.ts';
export {
  encodePytorch,
  encodeStateDict,
  loadStateDict,
  type SaveStateOptions,
  saveNpy,
  savePytorch,
  saveStateDict,
  type TensorsByName,
  type WrittenFormat,
} from './state_files.ts';
export type { StoredDType } from './stored_dtype.ts';
export { type Cast, type FileFormat, LoadedState, type TensorFile, type TensorInfo } from './tensor_file.ts';
