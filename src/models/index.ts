// Architectures.
export { lenetBatchNorm } from './lenet.ts';
