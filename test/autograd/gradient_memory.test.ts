// The memory of gradients: given back when they have done their part in a backward, and when they are dropped, unless
// somebody holds them.
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { defineFunction } from '../../src/autograd/define_function.ts';
import * as nn from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { liveBytes } from '../support/live_bytes.ts';

function training() {
  manualSeed(2);
  const layer = new nn.Linear(6, 5);
  const optimizer = new SGD(layer.parameters(), { lr: 0.1 });
  const x = randn([4, 6]);
  const backward = () => scope(() => layer(x).sum().backward());
  return { layer, optimizer, backward };
}
const numbers = (x: Tensor) => Array.from(x.dataSync(), Number);

describe('a dropped gradient', () => {
  it('gives its memory to the next one where nobody has asked for it', () => {
    const { layer, optimizer, backward } = training();
    backward();
    const { storage } = layer.weight.peekGrad()!;
    optimizer.step();
    optimizer.zeroGrad();
    expect(storage.isReleased).toBe(true);
    expect(layer.weight.grad).toBeNull();
    backward();
    layer.zeroGrad();
    expect(layer.weight.peekGrad()).toBeNull();
  });

  it('stays where somebody has asked for it, or has set it', () => {
    const { layer, optimizer, backward } = training();
    backward();
    const held = layer.weight.grad!;
    const values = numbers(held);
    optimizer.zeroGrad();
    backward();
    expect(numbers(held)).toEqual(values);
    const own = randn([5]);
    const set = numbers(own);
    layer.bias!.grad = own;
    optimizer.zeroGrad();
    expect(numbers(own)).toEqual(set);
  });

  it('stays where it is the gradient of the caller, passed on as it is', () => {
    const x = randn([2, 3, 1, 1]).contiguous('channelsLast').requiresGrad_();
    const cotangent = randn([2, 3, 1, 1]);
    const values = numbers(cotangent);
    x.backward(cotangent);
    x.dropGrad();
    expect(numbers(cotangent)).toEqual(values);
  });

  it('is still summed over backwards, with hooks too', () => {
    const { layer, backward } = training();
    let calls = 0;
    layer.weight.registerHook(() => void calls++);
    backward();
    const once = numbers(layer.weight.peekGrad()!);
    backward();
    expect(numbers(layer.weight.peekGrad()!)).toEqual(once.map((v) => 2 * v));
    layer.zeroGrad();
    expect(layer.weight.grad).toBeNull();
    expect(calls).toBe(2);
  });
});

/** Residual blocks, whose gradients pass through additions to two places, one of them through a view. */
function residual(x: Tensor, depth: number): Tensor {
  let y = x;
  for (let i = 0; i < depth; i++)
    y = y
      .mul(0.5)
      .sin()
      .add(y.reshape([-1]).mul(2).reshape(y.shape))
      .relu();
  return y;
}

describe('a gradient in a backward', () => {
  const x = randn([64, 64]).requiresGrad_();
  const bytes = 4 * x.size;
  /** What a backward needs beyond the forward. */
  const added = (depth: number, backward: (y: Tensor) => void) => {
    const peak = (run: (y: Tensor) => void) => liveBytes(() => run(residual(x, depth))).peak;
    x.grad = null;
    return (peak(backward) - peak(() => {})) / bytes;
  };

  it('goes when it has done its part, on its way through additions and views too', () => {
    const [few, many] = [3, 12].map((depth) => added(depth, (y) => y.sum().backward()));
    expect(many).toBe(few);
    // A block's, its two branches' and one that a kernel writes.
    expect(few).toBeLessThan(5);
    const again = [3, 12].map((depth) => added(depth, (y) => y.sum().backward(null, { retainGraph: true })));
    expect(again[1]).toBe(again[0]);
    const captured = [3, 12].map((depth) => added(depth, (y) => void grad([y.sum()], [x])));
    expect(captured[1]).toBe(captured[0]);
  });

  it('goes where it is added to a former one, and where nobody wants it', () => {
    const sum = (parts: number) => {
      x.grad = null;
      return liveBytes(() => {
        for (let i = 0; i < parts; i++) x.mul(2).sum().backward();
      });
    };
    // Each part leaves its forward's two results.
    expect(sum(9).peak - sum(2).peak).toBeLessThan(7 * (bytes + 1024));
    const y = x.mul(3);
    expect(liveBytes(() => void grad([y.mul(2).sin().sum()], [y])).left).toBeLessThan(bytes + 1024);
  });

  /**
   * Runs a backward in which somebody takes hold of gradients, and has their values afterwards, when memory given back
   * is used again.
   */
  const held = (take: (x: Tensor, hold: (...gradients: (Tensor | null)[]) => void) => void) => {
    const leaf = randn([64, 64]).requiresGrad_();
    scope(() => {
      const seen: [Tensor, number[]][] = [];
      take(leaf, (...gradients) => {
        for (const gradient of gradients) if (gradient) seen.push([gradient, numbers(gradient)]);
      });
      for (let i = 0; i < 32; i++) randn([64, 64]);
      expect(seen.length).toBeGreaterThan(0);
      for (const [gradient, values] of seen) expect(numbers(gradient)).toEqual(values);
      if (leaf.grad) {
        const plain = leaf.clone().detach().requiresGrad_();
        residual(plain, 4).sum().backward();
        expect(numbers(leaf.grad)).toEqual(numbers(plain.grad!));
      }
    });
  };

  it.each<[string, Parameters<typeof held>[0]]>([
    [
      'a hook in between',
      (x, hold) => {
        const y = residual(x, 2);
        y.registerHook((g) => hold(g));
        const z = residual(y, 2);
        z.registerHook((g) => hold(g));
        z.sum().backward();
      },
    ],
    [
      'a hook that replaces it',
      (x, hold) => {
        const y = residual(x, 2);
        y.registerHook((g) => {
          const other = g.clone();
          hold(g, other);
          return other;
        });
        residual(y, 2).sum().backward();
      },
    ],
    [
      'a hook of the leaf',
      (x, hold) => {
        x.registerHook((g) => hold(g));
        residual(x, 4).sum().backward();
      },
    ],
    [
      'who gave it',
      (x, hold) => {
        const given = x.detach().mul(0).add(1);
        hold(given);
        residual(x, 4).backward(given);
      },
    ],
    [
      'who gave it for a leaf and for a sum of it',
      (x, hold) => {
        const given = x.detach().mul(0).add(1);
        hold(given);
        hold(...grad([x, x.add(x)], [x], { gradOutputs: [given, given] }));
      },
    ],
    [
      'who asked grad() for it',
      (x, hold) => {
        const y = residual(x, 2);
        const z = y.add(y);
        hold(...grad([residual(z, 2).sum()], [x, y, z]));
      },
    ],
    [
      'who retains it',
      (x, hold) => {
        const y = residual(x, 2);
        y.retainGrad();
        residual(y, 2).sum().backward();
        hold(y.grad);
      },
    ],
    [
      'a function of the user’s own',
      (x, hold) => {
        const passing = defineFunction({
          name: 'passing',
          forward: (x: Tensor) => ({ output: x.clone(), saved: {} }),
          backward: (g) => {
            const passed = g.reshape([-1]).reshape(g.shape);
            hold(g, passed);
            return passed;
          },
        });
        residual(passing(residual(x, 2)), 2)
          .sum()
          .backward();
      },
    ],
    [
      'the graph of higher orders',
      (x, hold) => {
        const y = residual(x, 2);
        const [dx, dy] = grad([residual(y, 2).sum()], [x, y], { createGraph: true });
        hold(dx, dy, ...grad([dx.sum()], [x], { retainGraph: true }), ...grad([dx.add(dy).sum()], [x]));
      },
    ],
    [
      'who walks the graph twice',
      (x, hold) => {
        const y = residual(x, 4).sum();
        hold(...grad([y], [x], { retainGraph: true }));
        y.backward();
      },
    ],
    [
      'a checkpoint',
      (x, hold) => {
        const y = checkpoint((t: Tensor) => residual(t, 2), x);
        y.registerHook((g) => hold(g));
        residual(y, 2).sum().backward();
      },
    ],
    [
      'another leaf',
      (x, hold) => {
        const other = x.detach().clone().requiresGrad_();
        const sum = x.add(other);
        sum.sum().backward();
        hold(x.grad);
        other.grad!.mul_(2);
        x.grad = null;
      },
    ],
  ])('stays with %s', (_, take) => {
    held(take);
  });

  it('is the same over the memory of either, where paths meet', () => {
    const x = randn([5, 7]).requiresGrad_();
    const times = (t: Tensor) => t.mul(2).add(t.mul(3)).add(t.mul(4)).add(t).add(t);
    times(times(x)).sum().backward();
    expect(new Set(numbers(x.grad!))).toEqual(new Set([121]));
  });
});
