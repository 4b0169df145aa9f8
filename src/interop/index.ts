// Files of other libraries.
export {
  type DecodedEntry,
  decodeSafetensors,
  encodeSafetensors,
  type SafetensorsDtype,
  type SafetensorsEntry,
  SafetensorsError,
} from './safetensors.ts';
