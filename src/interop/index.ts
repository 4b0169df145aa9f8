/**
 * Files of other libraries.
 * @module evenkeel/interop
 */
export {
  type DecodedEntry,
  decodeSafetensors,
  encodeSafetensors,
  type SafetensorsDtype,
  type SafetensorsEntry,
  SafetensorsError,
} from './safetensors.ts';
