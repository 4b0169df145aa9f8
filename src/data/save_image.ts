// Images as files: PNG written here, other formats by the optional package sharp. Node only.
import { extname } from 'node:path';
import { deflateSync } from 'node:zlib';
import { shown } from '../checks.ts';
import { ArgumentTypeError, ValueError } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic_file.ts';
import { crc32 } from '../files/crc32.ts';
import { cast } from '../ops/convert.ts';
import { add, clamp, mul } from '../ops/elementwise.ts';
import { permute } from '../ops/shape_ops.ts';
import { declareOptions, requireOptions } from '../options.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { gridOf, type MakeGridOptions, makeGridKinds } from './make_grid.ts';
import { optionalPackage } from './optional_package.ts';

const saveImageOptions = declareOptions<MakeGridOptions>(makeGridKinds);

/** Formats that sharp writes, by the endings of files. */
const formats: Readonly<Record<string, 'jpeg' | 'webp' | 'tiff'>> = {
  '.jpg': 'jpeg',
  '.jpeg': 'jpeg',
  '.webp': 'webp',
  '.tif': 'tiff',
  '.tiff': 'tiff',
};

/**
 * Writes an image, or a grid of several (`makeGrid`, whose options it takes), as PNG, or, by the path's ending, as
 * JPEG, WebP or TIFF, which need the package `sharp` (torchvision: `utils.save_image`). Floats are colours from 0 to 1;
 * bytes are written as they are. The file is there as a whole or not at all.
 * @throws ValueError on another ending or number of channels, MissingPackageError without sharp.
 * @example
 * await saveImage(images, 'build/images.png', { normalize: true });
 */
export async function saveImage(
  images: Tensor | readonly Tensor[],
  path: string,
  options: MakeGridOptions = {},
): Promise<void> {
  requireOptions('saveImage', options, saveImageOptions);
  if (typeof path !== 'string') throw new ArgumentTypeError(`[saveImage] expected a path, got ${shown(path)}`);
  const ending = extname(path).toLowerCase();
  const format = formats[ending];
  if (ending !== '.png' && format === undefined)
    throw new ValueError(
      `[saveImage] expected a path that ends in .png, ${Object.keys(formats).join(', ')}, got ${shown(path)}`,
    );
  const { bytes, height, width, channels } = pixelsOf(images, options);
  if (format === undefined) {
    writeFileAtomic(path, [pngOf(bytes, height, width, channels)]);
    return;
  }
  const { default: sharp } = await optionalPackage('saveImage', 'sharp', `writes ${format}`, () => import('sharp'));
  const raw = sharp(bytes, { raw: { width, height, channels } });
  // Pillow's quality of JPEG; sharp's own is 80.
  const file = await raw.toFormat(format, format === 'jpeg' ? { quality: 75 } : {}).toBuffer();
  writeFileAtomic(path, [file]);
}

/** The grid in bytes, row by row, channels last. */
function pixelsOf(images: Tensor | readonly Tensor[], options: MakeGridOptions) {
  return scope(() => {
    const grid = gridOf('saveImage', images, options);
    const [channels, height, width] = grid.shape;
    if (channels !== 3 && channels !== 4)
      throw new ValueError(`[saveImage] expected images of 1, 3 or 4 channels, got ${channels}`);
    const pixels = grid.dtype === 'uint8' ? grid : cast(clamp(add(mul(grid, 255), 0.5), 0, 255), 'uint8');
    return { bytes: permute(pixels, [1, 2, 0]).dataSync() as Uint8Array, height, width, channels } as const;
  });
}

/** A PNG file of 8 bits per channel. Source: PNG (Third Edition), W3C 2025. */
function pngOf(bytes: Uint8Array, height: number, width: number, channels: 3 | 4): Uint8Array {
  const stride = width * channels;
  // Each row begins with its filter: none.
  const rows = new Uint8Array(height * (stride + 1));
  for (let y = 0; y < height; y++) rows.set(bytes.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Bits, and the colour type: RGB or RGBA.
  header.set([8, channels === 3 ? 2 : 6], 8);
  const chunk = (name: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, check]);
  };
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([signature, ...parts]);
}
