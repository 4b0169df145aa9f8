// Fused against plain: every pattern gives the same outputs, gradients and running statistics with fusion on and off,
// and whoever looks at a tensor in between sees its values.
import { describe, expect, it } from 'vitest';
import { grad, registerHook, retainGrad } from '../../src/autograd/backward.ts';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import * as nn from '../../src/nn/index.ts';
import { freezeBatchNorm } from '../../src/nn/index.ts';
import { toFormat } from '../../src/ops/convert.ts';
import { add, mul, relu, square } from '../../src/ops/elementwise.ts';
import { maxPool2d } from '../../src/ops/pool.ts';
import { sum } from '../../src/ops/reduce.ts';
import { cat } from '../../src/ops/shape_ops.ts';
import { SGD } from '../../src/optim/index.ts';
import { full, ones, onesLike, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import { DeferredStorage } from '../../src/tensor/storage.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../support/golden.ts';
import { liveBytes } from '../support/live_bytes.ts';
import { kernelCalls } from './kernel_calls.ts';
import { bn, conv, describePatterns, net, numbers, type Pattern } from './patterns.ts';

const chain = (name: string, shape: number[], first: () => nn.Conv2d, second: () => nn.Conv2d): Pattern => ({
  name,
  shape,
  make: () => {
    const [c1, c2] = [first(), second()];
    return net(
      { c1, b1: bn(c1.outChannels), c2, b2: bn(c2.outChannels) },
      (m) => (x) => relu(m.b2(m.c2(relu(m.b1(m.c1(x)))))),
    )();
  },
});

const patterns: Pattern[] = [
  chain(
    'conv → bn → relu, 3x3',
    [2, 3, 9, 11],
    () => conv(3, 20, 3),
    () => conv(20, 17, 3),
  ),
  chain(
    'conv → bn → relu, 1x1',
    [3, 16, 7, 7],
    () => conv(16, 32, 1),
    () => conv(32, 48, 1),
  ),
  chain(
    'conv → bn → relu, strides',
    [2, 5, 13, 10],
    () => conv(5, 8, 7, { stride: 2 }),
    () => conv(8, 12, 3, { stride: 2 }),
  ),
  chain(
    'conv → bn → relu, 1x1 of stride 2',
    [2, 8, 8, 8],
    () => conv(8, 16, 3),
    () => conv(16, 32, 1, { stride: 2 }),
  ),
  chain(
    'conv → bn → relu, groups',
    [2, 6, 8, 8],
    () => conv(6, 24, 3, { groups: 3 }),
    () => conv(24, 24, 3, { groups: 4 }),
  ),
  chain(
    'conv → bn → relu, depthwise',
    [2, 4, 9, 9],
    () => conv(4, 24, 1),
    () => conv(24, 24, 3, { groups: 24, stride: 2 }),
  ),
  chain(
    'conv → bn → relu, dilated, with bias',
    [1, 4, 12, 12],
    () => conv(4, 8, 3, { dilation: 2, padding: 2, bias: true }),
    () => conv(8, 33, 5),
  ),
  {
    name: 'ReLU6, inverted residual',
    shape: [2, 8, 9, 9],
    make: net(
      {
        c1: conv(8, 24, 1, { bias: false }),
        b1: bn(24),
        c2: conv(24, 24, 3, { groups: 24, bias: false }),
        b2: bn(24),
        c3: conv(24, 8, 1, { bias: false }),
        b3: bn(8),
      },
      (m) => (x) => {
        const [first, second] = [new nn.ReLU6(), new nn.ReLU6({ inplace: true })];
        const y = second(m.b2(m.c2(first(m.b1(m.c1(x))))));
        return add(x, m.b3(m.c3(y)));
      },
    ),
  },
  {
    name: 'residual block',
    shape: [2, 16, 8, 8],
    make: net(
      {
        c1: conv(16, 16, 3, { bias: false }),
        b1: bn(16),
        c2: conv(16, 16, 3, { bias: false }),
        b2: bn(16),
        c3: conv(16, 8, 1),
      },
      (m) => (x) => {
        const y = relu(m.b1(m.c1(x)));
        return m.c3(relu(add(m.b2(m.c2(y)), x)));
      },
    ),
  },
  {
    name: 'residual block with a normalized shortcut',
    shape: [2, 8, 8, 8],
    make: net(
      { c1: conv(8, 16, 3), b1: bn(16), c2: conv(8, 16, 1), b2: bn(16), c3: conv(16, 8, 3) },
      (m) => (x) => m.c3(relu(add(m.b1(m.c1(x)), m.b2(m.c2(x))))),
    ),
  },
  {
    name: 'pre-activation',
    shape: [2, 12, 9, 9],
    make: net({ b1: bn(12), c1: conv(12, 8, 3), b2: bn(20), c2: conv(20, 8, 1) }, (m) => (x) => {
      const y = m.c1(relu(m.b1(x)));
      return m.c2(relu(m.b2(cat([x, y], 1))));
    }),
  },
  {
    name: 'bn → relu → pool',
    shape: [2, 3, 12, 12],
    make: net({ c1: conv(3, 16, 3), b1: bn(16) }, (m) => (x) => maxPool2d(relu(m.b1(m.c1(x))), 3, { stride: 2 })),
  },
  {
    name: 'bn → conv, without activation',
    shape: [2, 3, 8, 8],
    make: net({ c1: conv(3, 16, 3), b1: bn(16), c2: conv(16, 8, 3) }, (m) => (x) => m.c2(m.b1(m.c1(x)))),
  },
  {
    name: 'other activations',
    shape: [2, 3, 8, 8],
    make: net(
      { c1: conv(3, 8, 3), b1: bn(8), c2: conv(8, 8, 3), b2: bn(8) },
      (m) => (x) => nn.functional.silu(m.b2(m.c2(nn.functional.gelu(m.b1(m.c1(x)))))),
    ),
  },
  {
    name: 'several consumers',
    shape: [2, 3, 8, 8],
    make: net({ c1: conv(3, 8, 3), b1: bn(8), c2: conv(8, 8, 3), c3: conv(8, 8, 1) }, (m) => (x) => {
      const z = m.b1(m.c1(x));
      const y = relu(z);
      return add(add(m.c2(y), m.c3(y)), add(mul(z, 0.5), m.c3(z)));
    }),
  },
  ...[true, false].map((limited) => ({
    name: `a norm and its own ReLU added${limited ? ', and a ReLU behind' : ''}`,
    shape: [2, 3, 8, 8],
    make: net({ c1: conv(3, 8, 3), b1: bn(8), c2: conv(8, 8, 3), b2: bn(8) }, (m) => (x) => {
      const z = m.b1(m.c1(x));
      const y = add(z, relu(z));
      return m.b2(m.c2(limited ? relu(y) : y));
    }),
  })),
  {
    name: 'a module called twice',
    shape: [2, 8, 8, 8],
    make: net({ c1: conv(8, 8, 3), b1: bn(8) }, (m) => (x) => {
      const once = (y: Tensor) => relu(m.b1(m.c1(y)));
      return once(once(x));
    }),
  },
  {
    name: 'in place',
    shape: [2, 8, 8, 8],
    make: net({ c1: conv(8, 8, 3), b1: bn(8), c2: conv(8, 8, 3), b2: bn(8) }, (m) => (x) => {
      const y = m.b1(m.c1(x)).relu_();
      return m.b2(m.c2(y)).add_(x).relu_();
    }),
  },
  {
    name: 'Linear → BatchNorm1d → relu',
    shape: [9, 13],
    make: net(
      { l1: new nn.Linear(13, 21), b1: new nn.BatchNorm1d(21), l2: new nn.Linear(21, 7) },
      (m) => (x) => m.l2(relu(m.b1(m.l1(x)))),
    ),
  },
];

describePatterns(patterns);

const isDeferred = (x: Tensor): boolean => x.storage instanceof DeferredStorage && x.storage.recipe !== null;

/** conv → bn → relu on a small input, with what stands in between. */
function small(format: MemoryFormat = 'channelsLast') {
  manualSeed(5);
  const [c, b, next] = [conv(3, 8, 3), bn(8), conv(8, 4, 3)];
  const x = toFormat(randn([2, 3, 8, 8]), format);
  const raw = c(x);
  const z = b(raw);
  return { c, b, next, x, raw, z, y: relu(z) };
}
const plainly = <R>(fn: () => R): R => withFusion(false, fn);

describe('who looks sees the values', () => {
  it('of the norm and of the ReLU, in any order', () => {
    const plain = plainly(() => small());
    const { z, y } = small();
    expect(isDeferred(z) && isDeferred(y)).toBe(true);
    expectClose(y, numbers(plain.y), 1e-6);
    expectClose(z, numbers(plain.z), 1e-6);
    expect(isDeferred(z) || isDeferred(y)).toBe(false);
  });

  it('of the time of the call, though the parameters or the input change before', () => {
    const plain = plainly(() => small());
    const { z, y, b, raw } = small();
    noGrad(() => {
      b.weight!.fill_(7);
      b.bias!.fill_(7);
      raw.fill_(7);
    });
    expectClose(y, numbers(plain.y), 1e-6);
    expectClose(z, numbers(plain.z), 1e-6);
    expect(raw.dataSync()[0]).toBe(7);
  });

  it('through views and detached tensors', () => {
    const plain = plainly(() => small());
    const { y } = small();
    const detached = y.detach();
    expectClose(y.reshape([2, -1]).sum(), [plain.y.sum().item()], 1e-4);
    expectClose(detached, numbers(plain.y), 1e-6);
  });

  it('where they outlive their scope', () => {
    const plain = plainly(() => small());
    expectClose(
      scope(() => small().y),
      numbers(plain.y),
      1e-6,
    );
  });

  it('in hooks and retained gradients, which are those without fusion', () => {
    const seen = (fused: boolean) =>
      withFusion(fused, () => {
        const { z, y, next } = small();
        const grads: Tensor[] = [];
        y.registerHook((g) => void grads.push(g.clone()));
        z.retainGrad();
        sum(next(y)).backward();
        return [...grads, z.grad!];
      });
    const [fused, plain] = [seen(true), seen(false)];
    expect(fused).toHaveLength(2);
    for (const [i, g] of fused.entries()) expectClose(g, numbers(plain[i]), 1e-5);
  });

  it('in gradients asked for by grad(), in between and of second order', () => {
    const asked = (fused: boolean) =>
      withFusion(fused, () => {
        const { z, y, next, b } = small();
        const [dz, dy] = grad([sum(next(y))], [z, y], { createGraph: true });
        const [dw] = grad([sum(mul(dz, dz))], [b.weight!], { allowUnused: true });
        return [dz, dy, ...(dw ? [dw] : [])];
      });
    const [fused, plain] = [asked(true), asked(false)];
    for (const [i, g] of fused.entries()) expectClose(g, numbers(plain[i]), 1e-5);
  });
});

describe('changed in place', () => {
  const gradients = (fused: boolean, change: (z: Tensor) => unknown) =>
    withFusion(fused, () => {
      const { c, z, next } = small();
      change(z);
      sum(square(next(z))).backward();
      return [c.weight, next.weight].map((p) => p.grad!);
    });

  it.each<[string, (z: Tensor) => unknown]>([
    ['recorded', (z) => z.relu_()],
    ['without gradients', (z) => noGrad(() => z.relu_())],
    ['through a detached tensor', (z) => z.detach().relu_()],
    ['by another norm', (z) => noGrad(() => z.copy_(relu(bn(8)(z.clone()))))],
    ['in a scope inside', (z) => scope(() => void noGrad(() => z.relu_()))],
  ])('%s, the gradient passes what the graph knows of', (_, change) => {
    const [fused, plain] = [gradients(true, change), gradients(false, change)];
    for (const [i, g] of fused.entries()) expectClose(g, numbers(plain[i]), 1e-4, 1e-3);
  });
});

describe('limits of a ReLU that joins', () => {
  it('may not be 0, which means that there is none', () => {
    const { z } = small();
    expect(numbers(nn.functional.hardtanh(z, { minVal: 0, maxVal: 0 })).every((v) => v === 0)).toBe(true);
  });

  it('let the gradient of an infinite value through, recorded or not', () => {
    const gradient = (createGraph: boolean) => {
      const x = toFormat(randn([2, 3, 4, 4]), 'channelsLast');
      const [mean, variance] = [zeros([3]), ones([3])];
      const bias = full([3], Number.POSITIVE_INFINITY).requiresGrad_();
      const y = nn.functional.batchNorm(x, mean, variance, { bias, relu: true });
      return numbers(grad([y], [bias], { gradOutputs: [onesLike(x)], createGraph })[0]);
    };
    expect(gradient(false)).toEqual([32, 32, 32]);
    expect(gradient(true)).toEqual([32, 32, 32]);
  });
});

describe('around a step', () => {
  const step = (fused: boolean, body: (x: Tensor, m: { c: nn.Conv2d; b: nn.BatchNorm2d; next: nn.Conv2d }) => Tensor) =>
    withFusion(fused, () => {
      const { c, b, next, x } = small();
      b.train();
      const model = new nn.Sequential(c, b, next);
      const optimizer = new SGD(model.parameters(), { lr: 0.1 });
      for (let i = 0; i < 3; i++) {
        optimizer.zeroGrad();
        sum(mul(body(x, { c, b, next }), 0.01)).backward();
        optimizer.step();
      }
      return [...model.stateDict().values()];
    });
  const alike = (body: Parameters<typeof step>[1]) => {
    const [fused, plain] = [step(true, body), step(false, body)];
    for (const [i, t] of fused.entries()) expectClose(t, numbers(plain[i]), 1e-5);
  };

  it('checkpointed', () =>
    alike((x, { c, b, next }) => checkpoint((u: Tensor) => next(relu(b(c(u)))), x.clone().requiresGrad_())));

  it('frozen between forward and backward', () =>
    alike((x, { c, b, next }) => {
      const y = next(relu(b(c(x))));
      freezeBatchNorm(b);
      b.eval();
      return y;
    }));

  it('with a forward without gradients in between', () =>
    alike((x, { c, b, next }) => {
      const y = next(relu(b(c(x))));
      noGrad(() =>
        next(relu(b(c(x))))
          .sum()
          .item(),
      );
      return y;
    }));
});

describe('memory', () => {
  it('holds one activation of a chain for each convolution instead of three', () => {
    const [depth, shape] = [6, [16, 16, 32, 32]];
    const model = new nn.Sequential();
    for (let i = 0; i < depth; i++)
      model
        .append(conv(16, 16, 3))
        .append(bn(16))
        .append(new nn.ReLU());
    const x = toFormat(randn(shape), 'channelsLast');
    const activation = 4 * x.size;
    const peak = (fused: boolean) => withFusion(fused, () => liveBytes(() => void model(x)).peak);
    expect(peak(false)).toBeGreaterThan(3 * depth * activation);
    // And the scratch of a convolution, which does not grow with the batch.
    expect(peak(true)).toBeLessThan((depth + 3) * activation);
  });

  /** Residual blocks, the input of each of which is what the one before gave. */
  class Block extends nn.Module {
    c1 = conv(16, 16, 1, { bias: false });
    b1 = bn(16);
    c2 = conv(16, 16, 3, { bias: false });
    b2 = bn(16);
    forward(x: Tensor): Tensor {
      return relu(add(this.b2(this.c2(relu(this.b1(this.c1(x))))), x));
    }
  }
  const x = toFormat(randn([4, 16, 16, 16]), 'channelsLast');
  const activation = 4 * x.size;

  it('needs no more for the backward of many blocks than for that of few', () => {
    const added = (depth: number) => {
      const model = new nn.Sequential(...Array.from({ length: depth }, () => new Block()));
      const parameters = [...model.parameters()].reduce((sum, p) => sum + 4 * p.size, 0);
      const peak = (run: (loss: Tensor) => void) => liveBytes(() => run((model(x) as Tensor).sum())).peak;
      return (peak((loss) => loss.backward()) - peak(() => {}) - parameters) / activation;
    };
    // Numbers for each channel grow with the depth.
    expect(added(8) - added(2)).toBeLessThan(0.5);
  });
});

describe.each([nn.ReLU, nn.ReLU6])('what is not done, with %o', (Activation) => {
  const calls = (fused: boolean, backward: boolean, channels = 64) => {
    manualSeed(1);
    const model = new nn.Sequential(
      conv(16, channels, 3),
      bn(channels),
      new Activation(),
      conv(channels, 16, 3),
      bn(16),
      new Activation(),
      conv(16, 16, 1),
    );
    const x = toFormat(randn([2, 16, 8, 8]), 'channelsLast');
    return withFusion(fused, () => {
      const y = model(x);
      const g = randn(y.shape);
      const laid = toFormat(g, 'channelsLast');
      return backward ? kernelCalls(() => y.backward(laid)) : kernelCalls(() => model(x));
    });
  };

  // Copies and arithmetic of parameters and counters.
  const perChannel = new Set(['copyStrided', 'binary', 'binaryScalar', 'cast']);
  const onTensors = (...how: Parameters<typeof calls>) => calls(...how).filter((name) => !perChannel.has(name));

  it('forward, conv → bn → relu is the convolutions alone', () => {
    expect(onTensors(true, false)).toEqual(['conv', 'conv', 'conv']);
    const plain = ['conv', 'batchNormForward', 'unary'];
    expect(onTensors(false, false)).toEqual([...plain, ...plain, 'conv']);
  });

  it('backward, one pass a norm forms the gradient that both backwards of a convolution read, and of 1x1 one the input of its weights', () => {
    const conv = ['batchNormBackwardApply', 'convBackwardData', 'convBackwardWeight'];
    // The last convolution has no norm behind it; the first needs no gradient of its input, and forms that of its
    // output as it reads.
    const last = ['convBackwardData', 'batchNormApply', 'convBackwardWeight'];
    expect(onTensors(true, true)).toEqual([...last, ...conv, 'convBackwardWeight']);
    // One of few channels is formed by a pass even so.
    expect(onTensors(true, true, 20)).toEqual([...last, ...conv, 'batchNormBackwardApply', 'convBackwardWeight']);
    const [data, weight, norm] = ['convBackwardData', 'convBackwardWeight', ['unaryBackward', 'batchNormBackward']];
    expect(onTensors(false, true)).toEqual([data, weight, ...norm, data, weight, ...norm, weight]);
  });
});

describe('residual blocks, what is not done', () => {
  /** The second block's first convolution serves the first block's norm, and adds what the shortcut has brought. */
  const backwardCalls = (prepare: (between: Tensor) => void) => {
    manualSeed(1);
    const [first, second] = [0, 1].map(() => ({ c: conv(16, 16, 3), b: bn(16) }));
    const block = ({ c, b }: { c: nn.Conv2d; b: nn.BatchNorm2d }, x: Tensor) => relu(add(b(c(x)), x));
    const x = toFormat(randn([2, 16, 8, 8]), 'channelsLast');
    return withFusion(true, () => {
      const between = block(first, x);
      prepare(between);
      const y = block(second, between);
      const g = toFormat(randn(y.shape), 'channelsLast');
      const tensors = new Set(['unaryBackward', 'batchNormBackwardReduce', 'batchNormBackwardApply', 'add']);
      return kernelCalls(() => y.backward(g)).filter((name) => name.startsWith('conv') || tensors.has(name));
    });
  };

  it('of the first nothing is masked, summed or added but in the convolution of the second', () => {
    expect(backwardCalls(() => {})).toEqual([
      ...['unaryBackward', 'batchNormBackwardReduce', 'batchNormBackwardApply'],
      ...['convBackwardData', 'convBackwardWeight', 'batchNormBackwardApply', 'convBackwardWeight'],
    ]);
  });

  it.each<[string, (between: Tensor) => void]>([
    ['a hook', (between) => void registerHook(between, () => undefined)],
    ['retainGrad', (between) => retainGrad(between)],
  ])('where %s sees the gradient between, it is what it is without', (_, prepare) => {
    expect(backwardCalls(prepare)).toEqual([
      ...[
        'unaryBackward',
        'batchNormBackwardReduce',
        'batchNormBackwardApply',
        'convBackwardData',
        'convBackwardWeight',
      ],
      ...['unaryBackward', 'batchNormBackwardReduce', 'batchNormBackwardApply', 'convBackwardWeight'],
    ]);
  });
});
