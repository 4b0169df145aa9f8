// Walks of strided arrays.
/** Calls `visit` with the flat position and the index of every element of a shape, in order. */
export function forEachIndex(shape: readonly number[], visit: (position: number, index: number[]) => void): void {
  const count = shape.reduce((a, b) => a * b, 1);
  const index = shape.map(() => 0);
  for (let position = 0; position < count; position++) {
    visit(position, index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

export function offsetOf(index: readonly number[], strides: readonly number[]): number {
  return index.reduce((sum, i, axis) => sum + i * strides[axis], 0);
}
