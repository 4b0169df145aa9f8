// The sizes from which a fusion pays, all of them measured; README.md has the figures.

/** Values of a matrix that stays in a cache from one pass to the next: there nothing is saved by leaving passes to others. */
export const cachedMatrix = 2 ** 18;

/** Channels of a gradient for fewer of which forming it while a convolution packs it costs more than a pass. */
export const fewChannels = 64;

/** Output channels of a convolution of 3x3 for more of which writing the values of a pending norm costs less than forming them. */
export const manyOutputs = 256;

/** Neighbours in memory, channels or values of a row, for fewer of which an average costs less of values that a pass has written. */
export const fewNeighbours = 64;

/**
 * Which linear layers go to the kernels of convolution, which pack all weights before the arithmetic: those of so many rows and multiplications, and
 * of so many weights at most. Tests lower the first two.
 */
export const largeLayers = { rows: 2048, multiplications: 2 ** 26, weights: 2 ** 22 };
