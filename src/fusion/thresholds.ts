// The sizes from which fusion pays. All of them were measured; README.md has the figures.

/** Elements: a matrix of so many stays in a cache between two passes, so that saving a pass saves nothing. */
export const cachedMatrix = 2 ** 18;

/**
 * Channels of a gradient. With fewer, one pass that writes it costs less than computing it while a convolution packs.
 */
export const fewChannels = 64;

/**
 * Output channels of a 3x3 convolution. With more, writing a deferred norm costs less than normalizing while packing.
 */
export const manyOutputs = 256;

/**
 * Values in one run of memory that average pooling reads. With fewer, it costs less to write the normalized values
 * first.
 */
export const fewNeighbours = 64;

/**
 * Which linear layers use the kernels of convolution, which pack all weights first: those with at least so many rows
 * and multiplications, and at most so many weights. Tests lower the first two.
 */
export const largeLayers = { rows: 2048, multiplications: 2 ** 26, weights: 2 ** 22 };
