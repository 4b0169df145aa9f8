// What a module of the library computes in between and nobody can hold gives its memory back in the backward; what
// somebody may hold stays.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { densenet121, mobilenetV2, mobilenetV3Small, resnet18, resnet50 } from '../../src/models/index.ts';
import {
  BatchNorm2d,
  BatchNormAct2d,
  Conv2d,
  Dropout,
  GELU,
  type Module,
  ReLU,
  registerParametrization,
  Sequential,
  withStatistics,
} from '../../src/nn/index.ts';
import { Module as ModuleBase } from '../../src/nn/module.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { liveBytes } from '../support/live_bytes.ts';

const numbers = (t: Tensor) => Array.from(t.dataSync(), Number);
const block = (channels = 8, activation: () => Module = () => new ReLU()) =>
  new Sequential(
    new Conv2d(channels, channels, 3, { padding: 1, bias: false }),
    new BatchNorm2d(channels),
    activation(),
  );
const chain = (depth: number, activation?: () => Module) =>
  new Sequential(...Array.from({ length: depth }, () => block(8, activation)));
const input = (channels = 8) => randn([2, channels, 16, 16]).contiguous('channelsLast');
const digest = (t: Tensor) => createHash('sha1').update(t.storage.bytes()).digest('hex');
/** Somebody who may see everything. */
const observe = <M extends Module>(model: M): M => {
  for (const module of model.modules()) module.registerForwardHook(() => undefined);
  return model;
};

describe('an enclosed forward', () => {
  const activation = 4 * input().size;

  it('leaves nothing of its activations after the backward, also where fusion is off', () => {
    for (const fused of [true, false])
      withFusion(fused, () => {
        const peak = (model: Module, times: number) =>
          liveBytes(() => {
            const [x, g] = [input(), input()];
            // All in one scope: what a backward leaves adds up.
            for (let i = 0; i < times; i++) {
              model.zeroGrad();
              (model(x) as Tensor).backward(g);
            }
          }).peak;
        peak(chain(6), 1); // scratch stays
        const added = (model: Module) => (peak(model, 5) - peak(model, 2)) / 3 / activation;
        // The output, and numbers for each channel.
        expect(added(chain(6))).toBeLessThan(1.5);
        expect(added(observe(chain(6)))).toBeGreaterThan(6);
      });
  });

  it('leaves what no backward needs at once', () => {
    const x = input();
    const peak = (model: Module) => withFusion(false, () => liveBytes(() => noGrad(() => void model(x))).peak);
    const [few, many] = [chain(3), chain(9)].map((model) => peak(model.eval()));
    // Each block is enclosed in the chain, which holds on to all it makes until it returns.
    expect(many - few).toBeLessThanOrEqual(3 * 6 * activation + 6 * 4096);
    const times = (count: number) =>
      withFusion(false, () =>
        liveBytes(() =>
          noGrad(() => {
            const model = chain(3).eval();
            for (let i = 0; i < count; i++) model(x);
          }),
        ),
      ).peak;
    expect(times(5) - times(2)).toBeLessThan(3 * (activation + 4096));
  });

  it.each<[string, () => Module, number[]]>([
    ['resnet18', () => resnet18({ numClasses: 5 }), [2, 3, 32, 32]],
    ['resnet50', () => resnet50({ numClasses: 5 }), [2, 3, 32, 32]],
    ['mobilenetV2', () => mobilenetV2({ numClasses: 5 }), [2, 3, 32, 32]],
    ['mobilenetV3Small', () => mobilenetV3Small({ numClasses: 5 }), [2, 3, 32, 32]],
    ['densenet121', () => densenet121({ numClasses: 5 }), [2, 3, 32, 32]],
    ['dropout', () => new Sequential(chain(2), new Dropout(0.5), chain(1)), [2, 8, 16, 16]],
    ['in place', () => chain(3, () => new ReLU({ inplace: true })), [2, 8, 16, 16]],
    ['an activation that saves its input', () => chain(3, () => new GELU()), [2, 8, 16, 16]],
  ])('computes what the same model computes that is observed: %s', (_, make, shape) => {
    const run = (model: Module, x: Tensor) =>
      scope(() => {
        manualSeed(3);
        const y = model(x) as Tensor;
        y.square().sum().backward();
        const found = [y, ...[...model.parameters()].map((p) => p.grad!), x.grad!].map(digest);
        model.zeroGrad();
        x.grad = null;
        return found;
      });
    manualSeed(1);
    const model = make();
    for (const format of ['contiguous', 'channelsLast'] as const) {
      const x = randn(shape).contiguous(format).requiresGrad_();
      const [first, second] = [run(model, x), run(model, x)];
      const copy = make();
      copy.loadStateDict(model.stateDict());
      const observed = run(observe(copy), x);
      // Batch norm in training: the running statistics take no part.
      expect(second).toEqual(first);
      expect(observed).toEqual(first);
    }
  });
});

describe('what an enclosed forward notes about its input', () => {
  it.each<[string, () => Module]>([
    ['a chain that begins with a norm', () => new Sequential(new BatchNorm2d(8), new ReLU())],
    ['a norm with its activation', () => new BatchNormAct2d(8)],
  ])('is there for a norm behind it, or is not taken: %s', (_, make) => {
    const run = (fused: boolean) =>
      withFusion(fused, () => {
        manualSeed(1);
        const [first, second, inner] = [new BatchNorm2d(8), new BatchNorm2d(8), make()];
        const x = input().requiresGrad_();
        const made = first(x);
        // As a residual network of a user's class does it: the branches read the same norm, one of them enclosed.
        const y: Tensor = inner(made).add(second(made));
        y.square().sum().backward();
        return [y, x.grad!].map(numbers);
      });
    const [fused, plain] = [run(true), run(false)];
    // float32, and sums in another order.
    for (const [i, values] of fused.entries())
      for (const [j, value] of values.entries()) expect(Math.abs(value - plain[i][j])).toBeLessThan(1e-4);
  });
});

describe('what somebody may hold of a forward', () => {
  /** Runs a step in which tensors are taken hold of, and looks at them when memory given back has been used again. */
  const held = (step: (hold: (...tensors: Tensor[]) => void, x: Tensor) => void) => {
    for (const fused of [true, false])
      withFusion(fused, () =>
        scope(() => {
          const seen: [Tensor, number[]][] = [];
          const later: Tensor[] = [];
          // Not looked at before the backward: whatever is deferred is to stay so.
          step((...tensors) => void later.push(...tensors), input().requiresGrad_());
          for (const tensor of later) seen.push([tensor, numbers(tensor)]);
          for (let i = 0; i < 64; i++) input();
          expect(seen.length).toBeGreaterThan(0);
          for (const [tensor, values] of seen) {
            expect(numbers(tensor)).toEqual(values);
            expect(values.some((value) => value !== 0)).toBe(true);
          }
        }),
      );
  };
  const backward = (y: Tensor) => y.square().sum().backward();

  class Keeping extends ModuleBase {
    kept!: Tensor;
    forward(x: Tensor): Tensor {
      this.kept = x;
      return x.mul(2);
    }
  }
  class KeepingConv extends Conv2d {
    kept!: Tensor;
    override forward(x: Tensor): Tensor {
      this.kept = super.forward(x);
      return this.kept;
    }
  }
  class Tapping extends ModuleBase {
    kept!: Tensor;
    forward(weight: Tensor): Tensor {
      this.kept = weight.mul(2);
      return this.kept;
    }
  }

  it.each<[string, Parameters<typeof held>[0]]>([
    [
      'its result and its input',
      (hold, x) => {
        const y: Tensor = chain(3)(x);
        backward(y);
        hold(y, x);
      },
    ],
    [
      'the results of its parts, called one by one',
      (hold, x) => {
        let y = x;
        for (const child of chain(4).children()) {
          y = child(y);
          hold(y);
        }
        backward(y);
      },
    ],
    [
      'what a hook sees, before and after',
      (hold, x) => {
        const model = chain(3);
        const [, second] = [...model.children()];
        second.registerForwardPreHook((_, [given]) => hold(given));
        [...second.children()][0].registerForwardHook((_module, _args, output) => hold(output));
        backward(model(x));
      },
    ],
    [
      'what a child of the user’s own keeps',
      (hold, x) => {
        const keeping = new Keeping();
        const conv = new KeepingConv(8, 8, 1);
        backward(new Sequential(block(), keeping, new Sequential(block(), conv), block())(x));
        hold(keeping.kept, conv.kept);
      },
    ],
    [
      'what a forward of a module’s own keeps',
      (hold, x) => {
        const model = chain(3);
        const [conv] = [...[...model.children()][1].children()] as Conv2d[];
        const { forward } = conv;
        conv.forward = (given) => {
          const y = forward.call(conv, given);
          hold(y);
          return y;
        };
        backward(model(x));
      },
    ],
    [
      'what a tool keeps that stands in the place of a class’s forward',
      (hold, x) => {
        const { forward } = Conv2d.prototype;
        Conv2d.prototype.forward = function (this: Conv2d, given) {
          const y = forward.call(this, given);
          hold(y);
          return y;
        };
        try {
          backward(chain(2)(x));
        } finally {
          Conv2d.prototype.forward = forward;
        }
      },
    ],
    [
      'what a parametrization keeps',
      (hold, x) => {
        const model = chain(2);
        const tapping = new Tapping();
        registerParametrization([...[...model.children()][0].children()][0], 'weight', tapping);
        backward(model(x));
        hold(tapping.kept);
      },
    ],
    [
      'its result, with the graph walked twice and recorded',
      (hold, x) => {
        const y: Tensor = chain(3)(x);
        const loss = y.square().sum();
        loss.backward(null, { retainGraph: true });
        const [dx] = grad([loss], [x], { retainGraph: true });
        const [once] = grad([loss], [x], { createGraph: true });
        expect(numbers(dx)).toEqual(numbers(x.grad!));
        once.square().sum().backward();
        hold(y, dx, once, x.grad!);
      },
    ],
    [
      'the graph that hangs on its result, walked by two losses',
      (hold, x) => {
        const y: Tensor = chain(2)(x);
        const [a, b] = [chain(2)(y) as Tensor, y.mul(2)];
        a.sum().backward(null, { retainGraph: true });
        b.sum().backward();
        hold(y, a, b, x.grad!);
      },
    ],
    [
      'results in a checkpoint, and beside it',
      (hold, x) => {
        const [inner, outer] = [chain(2), chain(2)];
        const y = outer(checkpoint((t: Tensor) => inner(t) as Tensor, x)) as Tensor;
        backward(y);
        hold(y, x.grad!);
      },
    ],
    [
      'its result under other statistics',
      (hold, x) => {
        const model = chain(2);
        const y = withStatistics(model, 'running', () => model(x) as Tensor);
        backward(y);
        hold(y, x.grad!);
      },
    ],
    [
      'its result in evaluation, deferred until now',
      (hold, x) => {
        const model = chain(2).eval();
        hold(
          noGrad(() => model(x)),
          noGrad(() => (model(x) as Tensor).reshape([2, -1])),
        );
      },
    ],
  ])('stays: %s', (_, step) => {
    held(step);
  });

  it('is nothing where it fails', () => {
    const model = new Sequential(block(), block(4));
    expect(() => model(input())).toThrow();
    const y: Tensor = block()(input());
    backward(y);
    expect(numbers(y)).toHaveLength(y.size);
  });
});
