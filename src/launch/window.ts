// A window that slides over one to three spatial dimensions, as the kernels of convolution and pooling know it.

/**
 * Appends the last three of `values`, those of the spatial dimensions, to a kernel's geometry; `missing` stands for
 * what lies before `from`.
 */
export function push3(geometry: number[], values: readonly number[], missing: number, from = 0): void {
  for (let i = values.length - 3; i < values.length; i++) geometry.push(i < from ? missing : values[i]);
}

/**
 * How many strides a window of `kernel` taps can take over `size` values with padding on both sides; rounding is the
 * caller's.
 */
export const windowSteps = (size: number, kernel: number, stride: number, padding: number, dilation: number): number =>
  (size + 2 * padding - dilation * (kernel - 1) - 1) / stride;
