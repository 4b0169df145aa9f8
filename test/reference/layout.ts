// Where an element of (N, C, D, H, W) lies in memory, by format; shared by the references of convolution, pooling and
// norms.
import { Format } from '../../src/device/generated/abi.ts';

export type Volume = readonly [d: number, h: number, w: number];

export function elements(volume: Volume): number {
  return volume[0] * volume[1] * volume[2];
}

export function indexer(format: Format, channels: number, [depth, height, width]: Volume) {
  return format === Format.channelsLast
    ? (n: number, c: number, d: number, h: number, w: number) =>
        (((n * depth + d) * height + h) * width + w) * channels + c
    : (n: number, c: number, d: number, h: number, w: number) =>
        (((n * channels + c) * depth + d) * height + h) * width + w;
}

/** Calls body(d, h, w) for every position of a volume, in order. */
export function eachPosition(volume: Volume, body: (d: number, h: number, w: number) => void): void {
  for (let d = 0; d < volume[0]; d++)
    for (let h = 0; h < volume[1]; h++) for (let w = 0; w < volume[2]; w++) body(d, h, w);
}
