// The beta distribution, drawn as PyTorch draws it: from two gamma distributions, in double.
import { singleNormal, uniform53 } from './box_muller.ts';
import { defaultGenerator, type Generator } from './generator.ts';

const smallestNormal64 = 2 ** -1022;
const smallestNormal32 = 2 ** -126;
const belowOne32 = 1 - 2 ** -24;
// Constants of float32, as PyTorch has them.
const third = Math.fround(1 / 3);
const squeeze = Math.fround(0.0331);

/** Marsaglia and Tsang 2000. Source: `sample_gamma` of PyTorch's Distributions.h. */
function gamma(shape: number, gen: Generator): number {
  let [scale, alpha] = [1, shape];
  if (alpha < 1) {
    // A larger shape is accepted more often.
    scale = (1 - uniform53(gen)) ** (1 / alpha);
    alpha += 1;
  }
  const d = alpha - third;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    let x: number;
    let y: number;
    do {
      x = singleNormal(gen);
      y = 1 + c * x;
    } while (y <= 0);
    const v = y * y * y;
    const u = 1 - uniform53(gen);
    const xx = x * x;
    if (u < 1 - squeeze * xx * xx || Math.log(u) < 0.5 * xx + d * (1 - v + Math.log(v)))
      return Math.max(smallestNormal64, scale * d * v);
  }
}

/** A float32 from Beta(a, b) (PyTorch: `torch.distributions.Beta(a, b).sample()`). */
export function beta(a: number, b: number, gen: Generator = defaultGenerator): number {
  const first = gamma(Math.fround(a), gen);
  const second = gamma(Math.fround(b), gen);
  return Math.min(belowOne32, Math.max(smallestNormal32, Math.fround(first / (first + second))));
}
