// The data layer's public names that read files and so need Node.

export { type FashionMnistOptions, loadFashionMnist } from './fashion_mnist.ts';
export { type DroppedRow, type ImageSet, type ImageSplit, splitArrays } from './image_set.ts';
export { loadMnist, type MnistOptions } from './mnist.ts';
