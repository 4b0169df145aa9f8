// Losses. Functions with `With` at the end are what the layers call, which have checked the options.
export * from './loss/classes.ts';
export * from './loss/ctc.ts';
export * from './loss/elements.ts';
export * from './loss/likelihoods.ts';
export * from './loss/margins.ts';
export * from './loss/pairs.ts';
export { type LossOptions, type LossReduction, lossOptions, requireReduction } from './loss/reduction.ts';
