// Batch norm in float64 from the definitions, two passes, one channel at a time. x: (n, c, s) or (n, s, c).
import { sum } from './reduce.ts';

export interface BatchNormCase {
  n: number;
  c: number;
  s: number;
  channelsLast: boolean;
}

/** Places of the elements of one channel. */
export function channelPlaces({ n, c, s, channelsLast }: BatchNormCase, channel: number): number[] {
  return Array.from({ length: n * s }, (_, i) =>
    channelsLast ? i * c + channel : (Math.floor(i / s) * c + channel) * s + (i % s),
  );
}

export function batchNormReference(
  g: BatchNormCase,
  x: readonly number[],
  dy: readonly number[],
  weight: readonly number[],
  bias: readonly number[],
  eps: number,
) {
  const y = new Array<number>(x.length);
  const dx = new Array<number>(x.length);
  const channels = Array.from({ length: g.c }, (_, channel) => {
    const places = channelPlaces(g, channel);
    const count = places.length;
    const mean = sum(places.map((p) => x[p])) / count;
    const m2 = sum(places.map((p) => (x[p] - mean) ** 2));
    const invstd = 1 / Math.sqrt(m2 / count + eps);
    const sumDy = sum(places.map((p) => dy[p]));
    const sumDyXmu = sum(places.map((p) => dy[p] * (x[p] - mean)));
    for (const p of places) {
      y[p] = (x[p] - mean) * invstd * weight[channel] + bias[channel];
      dx[p] = weight[channel] * invstd * (dy[p] - sumDy / count - ((x[p] - mean) * invstd ** 2 * sumDyXmu) / count);
    }
    return { mean, m2, invstd, sumDy, sumDyXmu };
  });
  return { y, dx, channels };
}
