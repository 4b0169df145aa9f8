// What Math lacks, in float64 and written for reading: erf, the normal distribution, round half to even, remainder.

/** erf by a series below 1.5, else as 1 − erfc. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (Math.abs(x) > 1.5) return Math.sign(x) * (1 - erfc(Math.abs(x)));
  // 2/√π · e^(−x²) · Σ 2^k x^(2k+1) / (1·3·…·(2k+1)): all terms positive, nothing cancels.
  let term = x;
  let sum = x;
  for (let k = 1; Math.abs(term) > 1e-18 * Math.abs(sum); k++) {
    term *= (2 * x * x) / (2 * k + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** 1 − erf(x), with full relative precision for large x, by the continued fraction. */
export function erfc(x: number): number {
  if (x <= 1.5) return 1 - erf(x);
  if (x === Infinity) return 0;
  let fraction = x;
  for (let k = 500; k > 0; k--) fraction = x + k / 2 / fraction;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}

/** The x of which y is erf(x), by halving an interval; beyond ±1 there is none. */
export function erfinv(y: number): number {
  if (Number.isNaN(y) || Math.abs(y) > 1) return NaN;
  if (Math.abs(y) === 1 || y === 0) return y === 0 ? y : y * Infinity;
  const size = Math.abs(y);
  let [low, high] = [0, 28];
  for (let i = 0; i < 200 && low < high; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    // What is left to 1 has more digits than the rest.
    if (size > 0.5 ? erfc(middle) > 1 - size : erf(middle) < size) low = middle;
    else high = middle;
  }
  // erf is 2/√π·x near 0, where the interval ends too early.
  return Math.sign(y) * (size < 1e-8 ? (size * Math.sqrt(Math.PI)) / 2 : low);
}

export const normalPdf = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
export const normalCdf = (x: number) => (x < 0 ? erfc(-x / Math.SQRT2) / 2 : (1 + erf(x / Math.SQRT2)) / 2);

export function sigmoid(x: number): number {
  return x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x));
}

export const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

export function roundHalfToEven(x: number): number {
  const low = Math.floor(x);
  const distance = x - low;
  const up = distance > 0.5 || (distance === 0.5 && low % 2 !== 0);
  return up ? (low === -1 ? -0 : low + 1) : low; // between −1 and 0, 0 keeps the sign
}

/** The remainder with the sign of the divisor (Python's %, torch.remainder). */
export function remainder(a: number, b: number): number {
  const r = a % b;
  return r !== 0 && r < 0 !== b < 0 ? r + b : r;
}

/** Python's //: of the exact quotient, without the rounding of a / b. */
export function floorDivide(a: number, b: number): number {
  if (b === 0) return a / b;
  const rest = a % b;
  const quotient = (a - rest) / b - (rest !== 0 && rest < 0 !== b < 0 ? 1 : 0);
  if (quotient === 0) return a / b < 0 || Object.is(a / b, -0) ? -0 : 0;
  const low = Math.floor(quotient);
  return quotient - low > 0.5 ? low + 1 : low;
}

/** C's pow, which differs from JavaScript's at pow(±1, ±inf) and pow(1, NaN). */
export function pow(a: number, b: number): number {
  if (a === 1 || (a === -1 && (b === Infinity || b === -Infinity))) return 1;
  return a ** b;
}
