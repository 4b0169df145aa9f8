// The library's side of every call that the tensor fuzzer knows; peer.py has PyTorch's under the same names. Views
// share memory there as they do here.
import * as ek from '../../src/index.ts';
import { functional } from '../../src/nn/index.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

// Arguments are drawn, wrong ones among them, so nothing is known of their types.
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Call = (x: any, ...args: any[]) => Tensor | readonly Tensor[];

const method =
  (name: string): Call =>
  (x, ...args) =>
    x[name](...args);
const methods = (...names: string[]) => Object.fromEntries(names.map((name) => [name, method(name)]));

export const calls: Readonly<Record<string, Call>> = {
  ...methods('index', 'indexSelect', 'indexCopy', 'indexFill', 'gather', 'scatter', 'scatterAdd', 'takeAlongDim'),
  ...methods('maskedSelect', 'maskedScatter', 'maskedFill'),
  indexAdd: (x, dim, index, source, alpha) => x.indexAdd(dim, index, source, { alpha }),
  setIndex: (x, spec, value) => x.setIndex(spec, value),
  setIndexAccumulate: (x, spec, value) => x.setIndex(spec, value, { accumulate: true }),
  embedding: (x, weight, paddingIdx) => functional.embedding(x, weight, { paddingIdx }),
  ...methods('reshape', 'flatten', 'unflatten', 'squeeze', 'unsqueeze'),
  ...methods('permute', 'transpose', 't', 'expand', 'repeat', 'narrow', 'select', 'flip', 'split', 'chunk'),
  slice: (x, dim, start, end, step) => x.slice(dim, start ?? undefined, end ?? undefined, step ?? undefined),
  pad: (x, padding, value) => x.pad(padding, { value }),
  cat: (_x, tensors, dim) => ek.cat(tensors, dim),
  stack: (_x, tensors, dim) => ek.stack(tensors, dim),
  ...methods('to', 'clone', 'detach', 'fill_', 'copy_', 'add_', 'mul_'),
  ...methods('add', 'sub', 'mul', 'div', 'pow', 'remainder', 'maximum', 'minimum', 'eq', 'ne', 'lt', 'le', 'gt', 'ge'),
  ...methods('logicalAnd', 'logicalOr', 'logicalXor', 'logicalNot', 'neg', 'abs', 'sign', 'square', 'floor', 'ceil'),
  ...methods('round', 'exp', 'tanh', 'sigmoid', 'relu', 'isnan', 'isfinite'),
  clamp: (x, min, max) => x.clamp(min ?? undefined, max ?? undefined),
  where: (condition, a, b) => ek.where(condition, a, b),
  sum: (x, dim, keepdim) => x.sum(dim ?? undefined, { keepdim }),
  mean: (x, dim, keepdim) => x.mean(dim ?? undefined, { keepdim }),
  amax: (x, dim, keepdim) => x.amax(dim ?? undefined, { keepdim }),
  amin: (x, dim, keepdim) => x.amin(dim ?? undefined, { keepdim }),
  any: (x, dim, keepdim) => x.any(dim ?? undefined, { keepdim }),
  all: (x, dim, keepdim) => x.all(dim ?? undefined, { keepdim }),
  prod: (x, dim, keepdim) => x.prod(dim ?? undefined, { keepdim }),
  argmax: (x, dim, keepdim) => x.argmax(dim ?? undefined, { keepdim }),
  argmin: (x, dim, keepdim) => x.argmin(dim ?? undefined, { keepdim }),
  ...methods('cumsum', 'softmax', 'logSoftmax'),
  topk: (x, k, dim) => x.topk(k, dim).values, // which of equal ones is open
};
