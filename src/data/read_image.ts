// Files of images as tensors, decoded by the optional package sharp. Node only.
import { permute } from '../ops/shape_ops.ts';
import { fromTypedArray } from '../tensor/create.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { DataFormatError } from './errors.ts';
import { optionalPackage } from './optional_package.ts';

/**
 * An image file as a tensor of bytes, [3, rows, columns]: JPEG, PNG, WebP, GIF, TIFF, AVIF, SVG. Needs the package
 * `sharp` (torchvision: `io.decode_image(path, 'RGB')`, or what `ImageFolder` reads).
 *
 * The pixels are those of `PIL.Image.open(path).convert('RGB')`: grey becomes three equal channels, transparency is
 * left out, the camera's orientation (EXIF) and colour profiles are not applied.
 * @throws MissingPackageError without sharp, DataFormatError on a file that it cannot decode.
 * @example
 * const image = await readImage('test/data/fixtures/image_folder/cat/colour.jpg'); // shape [3, 14, 19]
 */
export async function readImage(path: string): Promise<Tensor> {
  const { default: sharp } = await optionalPackage('readImage', 'sharp', 'decodes images', () => import('sharp'));
  try {
    const image = sharp(path, { ignoreIcc: true }).toColourspace('srgb').removeAlpha().raw();
    const { data, info } = await image.toBuffer({ resolveWithObject: true });
    return scope(() => permute(fromTypedArray(data, [info.height, info.width, info.channels]), [2, 0, 1]));
  } catch (cause) {
    throw new DataFormatError('readImage', path, `could not be decoded: ${(cause as Error).message}`);
  }
}
