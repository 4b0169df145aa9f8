/**
 * Image sets, which are read from files, and so need Node.
 * @module evenkeel/data/node
 */

export { type FashionMnistOptions, loadFashionMnist } from './fashion_mnist.ts';
export { type DroppedRow, type ImageSet, type ImageSplit, splitArrays } from './image_set.ts';
export { loadMnist, type MnistOptions } from './mnist.ts';
