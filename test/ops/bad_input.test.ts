// What operations and layers say to input that does not fit: typed errors that name the operation, what was expected
// and what was given, in PyTorch's words where it has some. Empty batches are no bad input: they give empty results,
// and gradients of zeros.
import { describe, expect, test } from 'vitest';
import {
  cat,
  EvenkeelError,
  full,
  getEngine,
  indexSelect,
  type Operand,
  ones,
  randint,
  setEngine,
  stack,
  type Tensor,
  tensor,
  withDevice,
  zeros,
} from '../../src/index.ts';
import { AvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d } from '../../src/nn/index.ts';
import { crossEntropy, mseLoss } from '../../src/ops/loss.ts';

const long = { dtype: 'int64' } as const;
const double = { dtype: 'float64' } as const;
const z = zeros;

// biome-ignore format: one line a row reads better
const rows: [name: string, run: () => unknown, error: string, text: string][] = [
  // Ranks.
  ['conv2d, rank', () => new Conv2d(1, 2, 3)(z([3, 3])), 'RuntimeError', 'Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [3, 3]'],
  ['batch norm 2d, rank', () => new BatchNorm2d(3)(z([2, 3])), 'ValueError', 'expected 4D input (got 2D input)'],
  ['batch norm 1d, rank', () => new BatchNorm1d(3)(z([2, 3, 4, 4])), 'ValueError', 'expected 2D or 3D input (got 4D input)'],
  ['max pool, rank', () => new MaxPool2d(2)(z([2, 2])), 'RuntimeError', 'maxPool2d(): Expected 3D or 4D input, but got [2, 2]'],
  ['matmul, no dimension', () => z([]).matmul(z([2, 3])), 'RuntimeError', 'both arguments to matmul need to be at least 1D, but they are 0D and 2D'],
  // Channels, features, sizes.
  ['conv2d, channels', () => new Conv2d(3, 2, 3)(z([1, 1, 8, 8])), 'RuntimeError', 'Given groups=1, weight of size [2, 3, 3, 3], expected input[1, 1, 8, 8] to have 3 channels, but got 1 channels instead'],
  ['conv2d, too small', () => new Conv2d(1, 2, 5)(z([1, 1, 3, 3])), 'RuntimeError', "Calculated padded input size per channel: (3 x 3). Kernel size: (5 x 5). Kernel size can't be greater than actual input size"],
  ['batch norm, channels', () => new BatchNorm2d(3)(z([2, 4, 2, 2])), 'RuntimeError', 'runningMean should contain 4 elements not 3'],
  ['batch norm, one value', () => new BatchNorm1d(3)(z([1, 3])), 'ValueError', 'Expected more than 1 value per channel when training, got input size [1, 3]'],
  ['max pool, too small', () => new MaxPool2d(4)(z([1, 1, 2, 2])), 'RuntimeError', 'Given input size: (1x2x2). Calculated output size: (1x0x0). Output size is too small'],
  ['linear, features', () => new Linear(3, 2)(z([2, 4])), 'RuntimeError', 'mat1 and mat2 shapes cannot be multiplied (2x4 and 3x2)'],
  ['add, shapes', () => z([2, 3]).add(z([4])), 'RuntimeError', 'The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1'],
  ['reshape', () => z([2, 3]).reshape([4]), 'RuntimeError', "shape '[4]' is invalid for input of size 6"],
  ['expand', () => z([3]).expand([2, 4]), 'RuntimeError', 'The expanded size of the tensor (4) must match the existing size (3) at non-singleton dimension 1.'],
  ['cat', () => cat([z([2, 3]), z([2, 4])]), 'RuntimeError', 'Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 for tensor number 1 in the list.'],
  ['cat of nothing', () => cat([]), 'RuntimeError', 'expected a non-empty list of Tensors'],
  ['stack', () => stack([z([2]), z([3])]), 'RuntimeError', 'stack expects each tensor to be equal size, but got [2] at entry 0 and [3] at entry 1'],
  // Labels and indices.
  ['label too large', () => crossEntropy(z([2, 3]), tensor([0, 3], long)), 'IndexError', 'Target 3 is out of bounds.'],
  ['label below zero', () => crossEntropy(z([2, 3]), tensor([0, -1], long)), 'IndexError', 'Target -1 is out of bounds.'],
  ['labels as floats', () => crossEntropy(z([2, 3]), z([2])), 'RuntimeError', '[crossEntropy] expected class indices as int64 or int32, or class probabilities of shape [2, 3]; got float32 of shape [2]'],
  ['labels, number of', () => crossEntropy(z([2, 3]), z([4], long)), 'ValueError', 'Expected input batch size (2) to match target batch size (4).'],
  ['labels, rank', () => crossEntropy(z([2, 3]), z([2, 1], long)), 'RuntimeError', 'Expected target size [2], got [2, 1]'],
  ['mse, shapes', () => mseLoss(z([2]), z([3])), 'ValueError', "[mseLoss] expected target of the input's size [2], got [3]"],
  ['index beyond', () => indexSelect(z([3]), 0, tensor([3], long)), 'IndexError', '[indexSelect] index 3 is out of bounds for dimension 0 with size 3'],
  ['index of floats', () => z([3]).gather(0, z([1])), 'RuntimeError', 'gather(): Expected dtype int32/int64 for index, got float32'],
  ['dimension', () => z([2, 3]).sum(5), 'IndexError', 'Dimension out of range (expected to be in range of [-2, 1], but got 5)'],
  ['select', () => z([3]).select(0, 3), 'IndexError', 'select(): index 3 out of range for tensor of size [3] at dimension 0'],
  ['narrow', () => z([3]).narrow(0, 2, 5), 'RuntimeError', 'start (2) + length (5) exceeds dimension size (3).'],
  ['topk', () => z([3]).topk(4), 'RuntimeError', 'selected index k out of range'],
  ['extremum of nothing', () => z([0]).argmax(), 'IndexError', "argmax(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument."],
  // Dtypes.
  ['conv2d, dtypes', () => new Conv2d(1, 2, 3)(z([1, 1, 8, 8], double)), 'RuntimeError', 'Input type (float64) and weight type (float32) should be the same'],
  ['conv2d, integers', () => new Conv2d(1, 2, 3)(z([1, 1, 8, 8], long)), 'NotImplementedError', '"conv2d" not implemented for \'int64\''],
  ['batch norm, dtypes', () => new BatchNorm2d(3)(z([2, 3, 2, 2], double)), 'RuntimeError', 'mixed dtype (CPU): all inputs must share same datatype.'],
  ['linear, dtypes', () => new Linear(3, 2)(z([2, 3], double)), 'RuntimeError', 'mat1 and mat2 must have the same dtype, but got float64 and float32'],
  ['matmul, dtypes', () => z([2, 3]).matmul(z([3, 2], double)), 'RuntimeError', 'expected m1 and m2 to have the same dtype, but got: float32 != float64'],
  ['softmax, integers', () => z([2], long).softmax(0), 'NotImplementedError', '"softmax" not implemented for \'int64\''],
  ['mean, integers', () => z([2], long).mean(), 'RuntimeError', 'Input dtype must be either a floating point or complex dtype. Got: int64'],
  ['to, unknown', () => z([2]).to('float16' as never), 'TypeError', '[to] expected one of bool, uint8, int32, int64, float32, float64, cpu, meta, got \'float16\''],
  // What is no tensor, and impossible settings.
  ['add of a string', () => z([2]).add('1' as unknown as Operand), 'TypeError', '[add] expected tensors or numbers, got \'1\''],
  ['add of nothing', () => z([2]).add(undefined as unknown as Operand), 'TypeError', '[add] expected tensors or numbers, got undefined'],
  ['dropout', () => new Dropout(1.5), 'ValueError', 'dropout probability has to be between 0 and 1, but got 1.5'],
  ['groups', () => new Conv2d(3, 4, 3, { groups: 2 }), 'ValueError', 'inChannels must be divisible by groups'],
  ['padding of a pool', () => new MaxPool2d(2, { padding: 2 })(z([1, 1, 5, 5])), 'RuntimeError', 'pad should be at most half of effective kernel size, but got pad=2, kernelSize=2'],
  ['randint', () => randint(5, 5, [2]), 'RandomArgumentError', "random_ expects 'from' to be less than 'to', but got from=5 >= to=5"],
  ['engine', () => setEngine('gpu' as never), 'ValueError', "[setEngine] expected 'native' or 'wasm' as name, got 'gpu'"],
];

/** What depends on values, which tensors on the meta device do not have. */
const aboutValues = new Set(['label too large', 'label below zero', 'index beyond']);

const modes = rows.flatMap(([name, run, error, text]) => {
  const onMeta = () => withDevice('meta', run);
  const here: [string, () => unknown, string, string] = [name, run, error, text];
  return aboutValues.has(name) ? [here] : [here, [`${name}, on the meta device`, onMeta, error, text] as const];
});

test.each(modes)('%s', (_, run, name, text) => {
  let error: unknown;
  try {
    run();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(EvenkeelError);
  expect((error as Error).name).toBe(name);
  expect((error as Error).message).toContain(text);
});

test.each(rows.filter(([name]) => aboutValues.has(name)))('%s: not looked for on the meta device', (_, run) => {
  expect((withDevice('meta', run) as Tensor).device).toBe('meta');
});

test('tensors of two engines do not meet', () => {
  const engine = getEngine();
  const here = z([2]);
  try {
    setEngine('wasm');
    const there = z([2]);
    if (engine === 'native')
      for (const [op, call] of [
        ['add', () => here.add(there)],
        ['indexSelect', () => here.indexSelect(0, there.to('int64'))],
        ['gather', () => here.gather(0, there.to('int64'))],
      ] as const)
        expect(call).toThrow(`[${op}] expected all tensors on one engine, got native and wasm`);
    else expect(here.add(there).toArray()).toEqual([0, 0]);
  } finally {
    setEngine(engine);
  }
});

test('values cross between engines by copy_', () => {
  const engine = getEngine();
  const here = z([2, 3, 4, 5]).contiguous('channelsLast');
  try {
    setEngine('wasm');
    const there = full([2, 3, 4, 5], 7).mul(full([3, 1, 1], 2));
    expect(here.copy_(there).sum().item()).toBe(14 * 120);
    expect(here.backend.name).toBe(engine);
  } finally {
    setEngine(engine);
  }
});

describe('empty batches', () => {
  test.each<[string, () => ((x: Tensor) => Tensor) & { parameters(): Tensor[] }, number[], number[]]>([
    ['conv2d', () => new Conv2d(1, 2, 3), [0, 1, 8, 8], [0, 2, 6, 6]],
    ['linear', () => new Linear(3, 2), [0, 3], [0, 2]],
    ['batch norm', () => new BatchNorm2d(3), [0, 3, 2, 2], [0, 3, 2, 2]],
    ['max pool', () => new MaxPool2d(2), [0, 1, 4, 4], [0, 1, 2, 2]],
    ['average pool', () => new AvgPool2d(2), [0, 1, 4, 4], [0, 1, 2, 2]],
  ])('%s: an empty result, gradients of zeros', (_, make, input, output) => {
    const layer = make();
    const x = z(input, { requiresGrad: true });
    const y = layer(x);
    expect(y.shape).toEqual(output);
    y.sum().backward();
    expect(x.grad!.shape).toEqual(input);
    for (const parameter of layer.parameters()) expect(parameter.grad!.abs().sum().item()).toBe(0);
  });

  test('losses and means of nothing are NaN, sums 0', () => {
    expect(crossEntropy(z([0, 3]), z([0], long)).item()).toBeNaN();
    expect(z([0]).mean().item()).toBeNaN();
    expect(z([0, 3]).sum(0).toArray()).toEqual([0, 0, 0]);
    expect(
      ones([2, 0])
        .matmul(ones([0, 3]))
        .toArray(),
    ).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
  });
});
