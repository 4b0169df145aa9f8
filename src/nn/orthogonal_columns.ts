// The Q of a QR decomposition by Householder's reflections, in float64, as LAPACK computes it. For initial values: once
// per layer, so that it needs no kernel.

/**
 * Q of a tall matrix, where R has no negative number on its diagonal; in place.
 * @param a the columns one after the other.
 */
export function orthogonalColumns(a: Float64Array<ArrayBuffer>, rows: number): Float64Array<ArrayBuffer> {
  const columns = Array.from({ length: a.length / rows }, (_, j) => a.subarray(j * rows, (j + 1) * rows));
  const q = new Float64Array(a.length);
  // Reflects a column by the unit vector that begins at row k.
  const reflect = (column: Float64Array, unit: Float64Array, k: number) => {
    let product = 0;
    for (let i = k; i < rows; i++) product += unit[i] * column[i];
    for (let i = k; i < rows; i++) column[i] -= 2 * product * unit[i];
  };
  const normFrom = (column: Float64Array, k: number) => {
    let sum = 0;
    for (let i = k; i < rows; i++) sum += column[i] ** 2;
    return Math.sqrt(sum);
  };
  const signs = columns.map((column, k) => {
    const norm = normFrom(column, k);
    const diagonal = column[k] > 0 ? -norm : norm;
    // The column becomes the vector of its reflection.
    column[k] -= diagonal;
    const length = normFrom(column, k);
    for (let i = k; i < rows; i++) column[i] = length === 0 ? 0 : column[i] / length;
    for (const other of columns.slice(k + 1)) reflect(other, column, k);
    return Math.sign(diagonal);
  });
  signs.forEach((sign, j) => {
    const column = q.subarray(j * rows, (j + 1) * rows);
    column[j] = sign;
    // Later reflections find nothing but zeros in it.
    for (let k = j; k >= 0; k--) reflect(column, columns[k], k);
  });
  return q;
}
