// What used to be computed quietly wrong, or refused without reason, each with PyTorch's result or text: integers and
// booleans, ranges of options, empty products, integer conversion, JSON.
import { describe, expect, test } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import {
  all,
  amax,
  any,
  fromTypedArray,
  full,
  gt,
  matmul,
  mean,
  ones,
  pow,
  prod,
  randn,
  remainder,
  sub,
  type Tensor,
  tensor,
  var as variance,
  zeros,
} from '../../src/index.ts';
import { AvgPool2d, Conv2d, functional, Linear, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.ts';
import { clipGradNorm, SGD } from '../../src/optim/index.ts';
import { fit } from '../../src/train/index.ts';

const int = { dtype: 'int32' } as const;
const byte = { dtype: 'uint8' } as const;
const numbers = (x: Tensor) => Array.from(x.dataSync() as ArrayLike<number>, Number);
const truths = () => tensor([true, false]);

describe('integers', () => {
  test('beyond what they hold: casts, typed arrays and copies by one rule', () => {
    // PyTorch on x86.
    const values = [
      Number.NaN,
      Infinity,
      -Infinity,
      -1.7,
      300,
      2 ** 31,
      -(2 ** 31) - 1,
      2 ** 32 + 5,
      2 ** 63,
      1e30,
      -300.5,
    ];
    const lowest = -(2 ** 31);
    const expected = {
      uint8: [0, 0, 0, 255, 44, 0, 255, 5, 0, 0, 212],
      int32: [lowest, lowest, lowest, -1, 300, lowest, lowest, lowest, lowest, lowest, -300],
      int64: [
        -(2 ** 63),
        -(2 ** 63),
        -(2 ** 63),
        -1,
        300,
        2 ** 31,
        -(2 ** 31) - 1,
        2 ** 32 + 5,
        -(2 ** 63),
        -(2 ** 63),
        -300,
      ],
    };
    for (const [dtype, wanted] of Object.entries(expected)) {
      const as = dtype as 'int32';
      const wide = Float64Array.from(values);
      expect(numbers(fromTypedArray(wide, [values.length]).to(as))).toEqual(wanted);
      expect(numbers(fromTypedArray(wide, [values.length], { dtype: as }))).toEqual(wanted);
      expect(numbers(tensor(wide, { dtype: as }))).toEqual(wanted);
      expect(numbers(zeros([values.length], { dtype: as }).copy_(fromTypedArray(wide, [values.length])))).toEqual(
        wanted,
      );
    }
  });
  test('values that they cannot hold are refused', () => {
    const refused = (run: () => unknown, dtype: string) =>
      expect(run).toThrow(`value cannot be converted to type ${dtype} without overflow`);
    for (const value of [256, 1.7e10, Number.NaN, -1.5, Infinity]) {
      refused(() => full([1], value, byte), 'uint8');
      refused(() => zeros([1], byte).fill_(value), 'uint8');
      refused(() => tensor(value, byte), 'uint8');
      refused(() => zeros([1], byte).maskedFill(gt(ones([1]), 0), value), 'uint8');
    }
    refused(() => full([1], 2 ** 31, int), 'int32');
    refused(() => full([1], 2 ** 63, { dtype: 'int64' }), 'int64');
    expect(full([1], -1, byte).item()).toBe(255);
  });
  test('numbers beside them wrap', () => {
    expect(numbers(tensor([0, 1, 255], byte).mul(300))).toEqual([0, 44, 212]);
    expect(numbers(tensor([0, 1, 255], byte).sub(1))).toEqual([255, 0, 254]);
    expect(numbers(tensor([1], int).add(2 ** 31))).toEqual([-(2 ** 31) + 1]);
    expect(numbers(tensor([0, 1], byte).eq(256))).toEqual([1, 0]);
  });
  test('clamp by a fraction gives floats; a bound that is NaN makes all NaN', () => {
    const clamped = tensor([0, -1, 5], int).clamp(1.5);
    expect([clamped.dtype, numbers(clamped)]).toEqual(['float32', [1.5, 1.5, 5]]);
    expect(tensor([0, 5], int).clamp(1).dtype).toBe('int32');
    expect(numbers(ones([2]).clamp(Number.NaN))).toEqual([Number.NaN, Number.NaN]);
    expect(() => tensor([1], byte).clamp(undefined, 300)).toThrow('without overflow');
  });
  test('divided by 0, and to negative powers', () => {
    expect(() => ones([2], int).remainder(0)).toThrow('[remainder] ZeroDivisionError');
    expect(() => remainder(ones([2], int), zeros([2], int))).toThrow('[remainder] ZeroDivisionError');
    expect(() => ones([2], int).pow(-1)).toThrow('Integers to negative integer powers are not allowed.');
    // As a tensor the exponent is not looked at beforehand, in PyTorch neither.
    expect(numbers(pow(tensor([0, -1, 5], int), tensor(-1, int)))).toEqual([0, -1, 0]);
    expect(() => ones([2], int).add(1, { alpha: 1.5 })).toThrow('argument alpha must not be a floating point number');
  });
});

test('booleans have no minus, no powers and no remainder of their own', () => {
  expect(() => truths().sub(truths())).toThrow(
    'Subtraction, the `-` operator, with two bool tensors is not supported.',
  );
  expect(() => sub(1, truths())).toThrow('Subtraction, the `-` operator, with a bool tensor is not supported.');
  expect(() => truths().neg()).toThrow('Negation, the `-` operator, on a bool tensor is not supported.');
  expect(() => truths().pow(truths())).toThrow('"pow" not implemented for \'bool\'');
  expect(() => truths().remainder(truths())).toThrow('"remainder" not implemented for \'bool\'');
  expect(() => truths().relu()).toThrow('Boolean inputs not supported for relu');
  expect(() => truths().abs()).toThrow('"abs" not implemented for \'bool\'');
  expect(() => truths().topk(1)).toThrow('topk does not support bool dtypes on CPU');
  expect(() => truths().argmax()).toThrow('argmax(): does not support bool input');
  expect([truths().square().dtype, truths().clamp(0, 1).dtype, truths().sign().dtype]).toEqual([
    'int64',
    'int64',
    'bool',
  ]);
  expect(truths().sort().values.toArray()).toEqual([false, true]);
  expect(numbers(truths().remainder(2))).toEqual([1, 0]);
});

describe('options', () => {
  const image = () => ones([1, 1, 6, 6]);
  test('outside of their range', () => {
    const refused = (run: () => unknown, text: string) => expect(run).toThrow(text);
    refused(() => functional.avgPool2d(image(), 2, { divisorOverride: 0 }), 'divisor must be not zero');
    refused(() => new AvgPool2d(2, { divisorOverride: 0 }), 'divisor must be not zero');
    refused(() => functional.maxPool2d(image(), 2, { dilation: 0 }), 'dilation should be greater than zero');
    refused(
      () => functional.hardtanh(image(), { minVal: 1, maxVal: -1 }),
      '[hardtanh] expected minVal of at most maxVal, got 1 and -1',
    );
    refused(
      () => functional.gelu(image(), { approximate: 'asdf' as 'tanh' }),
      "[gelu] expected 'none' or 'tanh' as approximate, got 'asdf'",
    );
    refused(
      () => functional.layerNorm(image(), [6], { eps: -1 }),
      '[layerNorm] expected eps to be a finite number of at least 0, got -1',
    );
    refused(() => new SGD([ones([1], { requiresGrad: true })], { lr: Infinity }), 'Invalid learning rate: Infinity');
    refused(
      () => functional.convTranspose2d(image(), ones([1, 1, 2, 2]), null, { stride: 0 }),
      'non-positive stride is not supported',
    );
    refused(
      () => functional.convTranspose2d(image(), ones([1, 1, 2, 2]), null, { padding: -1 }),
      'negative padding is not supported',
    );
    refused(
      () => functional.conv2d(image(), ones([1, 1, 2, 2]), null, { stride: 2 ** 32 + 1 }),
      '[conv2d] expected stride from',
    );
    refused(
      () => functional.conv2d(image(), ones([1, 1, 2, 2]), null, { dilation: 2 ** 31 - 2 ** 20 }),
      '[conv2d] a tensor may have at most',
    );
  });
  test('of losses', () => {
    const [logits, shares] = [randn([3, 4]), functional.softmax(randn([3, 4]), 1)];
    expect(() => functional.crossEntropy(logits, shares, { ignoreIndex: 1 })).toThrow(
      'ignoreIndex is not supported for floating point target',
    );
    for (const name of ['weight', 'posWeight'])
      expect(() => functional.binaryCrossEntropyWithLogits(zeros([4]), ones([4]), { [name]: ones([3, 4]) })).toThrow(
        "output with shape [4] doesn't match the broadcast shape [3, 4]",
      );
    expect(
      functional.binaryCrossEntropyWithLogits(logits, shares, { weight: ones([4]), reduction: 'none' }).shape,
    ).toEqual([3, 4]);
    expect(() => functional.mseLoss(logits, shares, { reduction: 'x' as 'sum' })).toThrow(
      "[mseLoss] 'x' is not a valid value for reduction",
    );
  });
  test('a negative limit turns no gradient around', () => {
    const parameter = ones([2], { requiresGrad: true });
    parameter.grad = ones([2]);
    for (const limit of [-1, Number.NaN])
      expect(() => clipGradNorm([parameter], limit)).toThrow('[clipGradNorm] expected maxNorm of at least 0');
    expect(numbers(parameter.grad!)).toEqual([1, 1]);
  });
  test('an optimizer of another model', async () => {
    const [model, other] = [new Linear(2, 1), new Linear(2, 1)];
    const optimizer = new SGD(other.parameters(), { lr: 0.1 });
    const run = fit(model, { loader: [[ones([2, 2]), ones([2, 1])]], loss: functional.mseLoss, optimizer, epochs: 1 });
    await expect(run).rejects.toThrow("[fit] expected an optimizer of the model's parameters, got one of 2 others");
  });
  test('windows: one size for all dimensions, and padding by the dilated kernel', () => {
    expect(new MaxPool2d([2])(image()).shape).toEqual([1, 1, 3, 3]);
    expect(new Conv2d(1, 1, [2], { stride: [2] })(image()).shape).toEqual([1, 1, 3, 3]);
    expect(functional.maxPool2d(image(), 2, { padding: 1, dilation: 2 }).shape).toEqual([1, 1, 3, 3]);
    expect(() => functional.adaptiveAvgPool2d(image(), [2])).toThrow('adaptiveAvgPool2d: outputSize must be 2');
  });
});

describe('nothing to add up', () => {
  const empty = () => ones([2, 0], { requiresGrad: true });
  test('products with inner size 0, and their gradients', () => {
    const [a, b] = [empty(), ones([0, 3], { requiresGrad: true })];
    const product = matmul(a, b);
    expect([product.shape, numbers(product)]).toEqual([
      [2, 3],
      [0, 0, 0, 0, 0, 0],
    ]);
    product.sum().backward();
    expect([a.grad!.shape, b.grad!.shape]).toEqual([
      [2, 0],
      [0, 3],
    ]);
    expect(matmul(ones([2, 3, 0]), ones([0, 4])).shape).toEqual([2, 3, 4]);
    expect(matmul(ones([2, 1, 3, 0]), ones([2, 2, 0, 1])).shape).toEqual([2, 2, 3, 1]);
    expect(matmul(ones([0]), ones([0])).item()).toBe(0);
  });
  test('a linear layer of no inputs is its bias', () => {
    const bias = tensor([1, 2, 3], { requiresGrad: true });
    const y = functional.linear(empty(), ones([3, 0]), bias);
    expect(y.toArray()).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    y.sum().backward();
    expect(numbers(bias.grad!)).toEqual([2, 2, 2]);
    expect(functional.linear(ones([2, 4, 0]), ones([3, 0])).shape).toEqual([2, 4, 3]);
  });
  test('the gradient of an empty product', () => {
    const x = empty();
    expect(grad([prod(x, 1)], [x], { gradOutputs: [ones([2])] })[0].shape).toEqual([2, 0]);
    const none = ones([0], { requiresGrad: true });
    prod(none).backward();
    expect(none.grad!.shape).toEqual([0]);
  });
  test('an empty list of dimensions means all, but for any and all', () => {
    const x = ones([2, 3]);
    expect([x.sum([]).item(), mean(x, []).item(), amax(x, []).item(), variance(x, []).item()]).toEqual([6, 1, 1, 0]);
    expect(mean(x, [], { keepdim: true }).shape).toEqual([1, 1]);
    expect([any(x, []).shape, all(x, []).shape]).toEqual([
      [2, 3],
      [2, 3],
    ]);
  });
});

test('what is overwritten passes no gradient on', () => {
  for (const overwrite of [
    (x: Tensor) => x.fill_(3),
    (x: Tensor) => x.zero_(),
    (x: Tensor) => x.uniform_(),
    (x: Tensor) => x.normal_(),
  ]) {
    const x = ones([2], { requiresGrad: true });
    const y = overwrite(x.mul(2));
    expect(y.requiresGrad).toBe(true);
    y.mul(x).sum().backward();
    expect(numbers(x.grad!)).toEqual(numbers(y));
    expect(() => overwrite(ones([2], { requiresGrad: true }))).toThrow(
      'a leaf Variable that requires grad is being used in an in-place operation.',
    );
  }
});

test('an error inside of a Sequential names the layer', () => {
  const features = new Sequential(new Linear(4, 3), new ReLU(), new Linear(2, 2));
  const net = new Sequential({ features, head: new Linear(2, 1) });
  const text =
    "mat1 and mat2 shapes cannot be multiplied (1x3 and 2x2) (in layer 'features.2', Linear(in_features=2, out_features=2, bias=True))";
  let caught: unknown;
  try {
    net(ones([1, 4]));
  } catch (error) {
    caught = error;
  }
  expect(caught).toMatchObject({ name: 'RuntimeError', message: text });
  expect((caught as Error).stack).toContain(text);
});

test('JSON has dtype, shape and values', () => {
  const json = (x: Tensor) => JSON.parse(JSON.stringify({ x })).x;
  expect(json(tensor([[1, 2.5]]))).toEqual({ dtype: 'float32', shape: [1, 2], data: [1, 2.5] });
  expect(json(tensor([Number.NaN, -0, -Infinity])).data).toEqual(['NaN', '-0', '-Infinity']);
  expect(json(tensor([2n ** 60n, 1n]))).toEqual({ dtype: 'int64', shape: [2], data: ['1152921504606846976', 1] });
});
