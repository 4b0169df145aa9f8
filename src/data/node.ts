/**
 * Datasets that are read from files, and so need Node.
 * @module evenkeel/data/node
 */
import '../ops/methods.ts';

export { loadCifar10, loadCifar100 } from './cifar.ts';
export { type LoadCsvOptions, loadCsv } from './csv.ts';
export { type FashionMnistOptions, loadFashionMnist } from './fashion_mnist.ts';
export { ImageFolder, type ImageFolderOptions } from './image_folder.ts';
export { type DroppedRow, type ImageSet, type ImageSplit, splitArrays } from './image_set.ts';
export { loadMnist, type MnistOptions } from './mnist.ts';
export { loadParquet } from './parquet.ts';
export { readImage } from './read_image.ts';
export { saveImage } from './save_image.ts';
export { TableDataset, type TableOptions } from './table.ts';
