// How Python prints the values that stand in a module's printed form, so that these equal PyTorch's. Not here: what a
// module prints.

/**
 * A float: 1 is `1.0`, 0.00001 is `1e-05`. Options may hold what is no number until a call refuses it; it is printed as
 * it is.
 */
export function floatText(value: number | boolean | string | null): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return boolText(value);
  if (typeof value !== 'number') return String(value);
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  // Python changes to exponents below 1e-4 and from 1e16 on, and writes at least two digits of them.
  const [digits, exponentText] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 16) {
    const plain = String(value);
    return Number.isInteger(value) ? `${plain}.0` : plain;
  }
  return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

export const boolText = (value: boolean): string => (value ? 'True' : 'False');

/** An integer, a tuple of integers (`(2,)`, `(2, None)`), or None. */
export function sizeText(value: number | null | readonly (number | null)[]): string {
  if (value === null) return 'None';
  if (typeof value === 'number') return String(value);
  const items = value.map((item) => (item === null ? 'None' : String(item)));
  return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
}

/** A name as PyTorch writes it: `leakyRelu` is `leaky_relu`. */
export const snakeText = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
