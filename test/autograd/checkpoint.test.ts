// checkpoint against the same computation without it: values and gradients to the bit, random numbers, statistics
// counted once, nesting, higher orders, and the memory it is for.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { grad } from '../../src/autograd/backward.ts';
import { asRecomputation, checkpoint, isRecomputing } from '../../src/autograd/checkpoint.ts';
import { defineFunction } from '../../src/autograd/define_function.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { gradcheck, gradgradcheck } from '../../src/autograd/gradcheck.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { BatchNorm2d, Conv2d, Dropout, Linear, type Module, ReLU, Sequential } from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { tensor, zeros } from '../../src/tensor/create.ts';
import { defaultGenerator, manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { liveBytes } from '../support/live_bytes.ts';

type Through = (fn: (x: Tensor) => Tensor, x: Tensor) => Tensor;
const plainly: Through = (fn, x) => fn(x);
const checkpointed: Through = (fn, x) => checkpoint(fn, x);

const block = (channels: number) =>
  new Sequential(
    new Conv2d(channels, channels, 3, { padding: 1 }),
    new BatchNorm2d(channels),
    new ReLU({ inplace: true }),
    new Dropout(0.3),
  );
const blocks = (count = 2) => {
  manualSeed(3);
  return new Sequential(...Array.from({ length: count }, () => block(4)));
};
const all = (model: Module) => [...model.namedParameters()].map(([name, p]) => [name, p.grad?.toArray() ?? null]);
const state = (model: Module) => [...model.stateDict()].map(([name, t]) => [name, t.toArray()]);

/** Everything that one step leaves behind. */
function step(through: Through, needsInput: boolean) {
  const model = blocks();
  const x = randn([2, 4, 6, 6]).requiresGrad_(needsInput);
  let y = x;
  for (const child of model.children()) y = through((t) => child(t) as Tensor, y);
  const loss = y.square().sum();
  loss.backward();
  return {
    y: y.toArray(),
    parameters: all(model),
    dx: x.grad?.toArray() ?? null,
    state: state(model),
    next: defaultGenerator.random32(),
  };
}

describe('checkpoint', () => {
  it.each([true, false])('gives the same as without, to the bit; input requires a gradient: %s', (needsInput) => {
    // Parameters come in through the closure; batch norm counts one batch (pytorch#62471, pytorch#96136); the generator
    // goes on alike.
    expect(step(checkpointed, needsInput)).toEqual(step(plainly, needsInput));
  });

  it('works inside another, to any depth', () => {
    const nested: Through = (fn, x) =>
      checkpoint((t) => checkpoint((u) => checkpoint(fn, u).mul(1.5), t).mul(2), x).add(1);
    const flat: Through = (fn, x) => fn(x).mul(1.5).mul(2).add(1);
    expect(step(nested, true)).toEqual(step(flat, true));
  });

  it('takes several inputs, gives several outputs, of which some may go unused', () => {
    const run = (through: (fn: (a: Tensor, k: number, b: Tensor) => Tensor[]) => Tensor[], used: number[]) => {
      const outputs = through((p, k, q) => [p.mul(q).exp(), p.mul(k), q.sigmoid().mul(p)]);
      return grad(
        used.map((i) => outputs[i].sum()),
        [a, b],
        { allowUnused: true },
      ).map((g) => g?.toArray() ?? null);
    };
    const a = randn([3, 4]).requiresGrad_();
    const b = randn([3, 4]).requiresGrad_();
    for (const used of [[0, 1, 2], [0], [1], [2, 0]])
      expect(run((fn) => checkpoint(fn, a, 3, b), used)).toEqual(run((fn) => fn(a, 3, b), used));
  });

  it('runs once, until a backward, and a second time only then', () => {
    let runs = 0;
    const seen: boolean[] = [];
    const fn = (x: Tensor) => {
      runs++;
      seen.push(isRecomputing());
      return x.exp().exp();
    };
    const x = randn([4]).requiresGrad_();
    const y = checkpoint(fn, x).sum();
    expect(runs).toBe(1);
    y.backward(null, { retainGraph: true });
    expect(runs).toBe(2);
    expect(seen).toEqual([false, true]);
    expect(isRecomputing()).toBe(false);
    noGrad(() => checkpoint(fn, x));
    expect(runs).toBe(3);
    expect(asRecomputation(isRecomputing)).toBe(true);
  });

  it('can be walked twice with retainGraph, and not without', () => {
    const x = tensor([0.5, 2], { dtype: 'float64', requiresGrad: true });
    const y = checkpoint((t) => t.exp().square(), x).sum();
    const [first] = grad([y], [x], { retainGraph: true });
    const [second] = grad([y], [x]);
    expect(second.toArray()).toEqual(first.toArray());
    expect(() => grad([y], [x])).toThrow('Trying to backward through the graph a second time');
  });

  it('has derivatives of every order', () => {
    manualSeed(5);
    const linear = new Linear(3, 3, { dtype: 'float64' });
    const x = randn([2, 3], { dtype: 'float64', requiresGrad: true });
    const fn = (t: Tensor, weight: Tensor) => checkpoint((u) => linear(u).tanh().matmul(weight).square(), t);
    const weight = randn([3, 2], { dtype: 'float64', requiresGrad: true });
    gradcheck(fn, [x, weight]);
    gradgradcheck(fn, [x, weight]);
    // Parameters of the closure have them too: a penalty on dx, differentiated by the layer's weight.
    const penalty = (through: Through) => {
      linear.zeroGrad();
      const [dx] = grad([through((t) => linear(t).tanh().square(), x).sum()], [x], { createGraph: true });
      dx.square().sum().backward();
      return linear.weight.grad!.toArray();
    };
    expect(penalty(checkpointed)).toEqual(penalty(plainly));
    // The graph of a first-order walk is no graph for the second order; it is made anew.
    const y = checkpoint((t) => t.exp(), x).sum();
    grad([y], [x], { retainGraph: true });
    const [dx] = grad([y], [x], { createGraph: true });
    expect(grad([dx.sum()], [x])[0].toArray()).toEqual(x.exp().toArray());
  });

  it('serves functions of the user and hooks', () => {
    const cube = defineFunction({
      name: 'cube',
      forward: (x: Tensor) => ({ output: x.mul(x).mul(x), saved: { x, square: x.square() } }),
      // Hands out a saved tensor itself, as its gradient, where g is 1/3.
      backward: (g, { square }) => (g.item() === 1 / 3 ? square : square.mul(g).mul(3)),
    });
    const x = tensor([2], { dtype: 'float64', requiresGrad: true });
    const inner: number[] = [];
    scope(() => {
      const y = checkpoint((t) => {
        const u = t.mul(1);
        if (!isRecomputing()) u.registerHook((g) => void inner.push(g.item()));
        return cube(u);
      }, x);
      y.backward(tensor([1 / 3], { dtype: 'float64' }));
    });
    expect(inner).toEqual([4]);
    expect(x.grad!.item()).toBe(4);
  });

  it('lets the generator be, and draws anew, without preserveRngState', () => {
    const masks: unknown[] = [];
    const fn = (t: Tensor) => {
      const noise = randn([4]);
      masks.push(noise.toArray());
      return t.mul(noise).square();
    };
    const x = randn([4]).requiresGrad_();
    checkpoint({ preserveRngState: false }, fn, x).sum().backward();
    expect(masks[1]).not.toEqual(masks[0]);
    checkpoint(fn, x).sum().backward();
    expect(masks[3]).toEqual(masks[2]);
  });

  it('keeps evaluation by the running statistics of the first run', () => {
    const norm = new BatchNorm2d(2).eval();
    const x = randn([2, 2, 3, 3]).requiresGrad_();
    const y = checkpoint((t) => norm(t).square(), x);
    const expected = grad([norm(x).square().sum()], [x])[0].toArray();
    norm.train()(randn([2, 2, 3, 3]).mul(10));
    y.sum().backward();
    expect(x.grad!.toArray()).toEqual(expected);
    expect(norm.numBatchesTracked!.item()).toBe(1);
  });

  it('refuses a second run that is not the first', () => {
    const model = blocks(1);
    const x = randn([2, 4, 6, 6]);
    const y = checkpoint((t) => model(t) as Tensor, x).sum();
    new SGD(model.parameters(), { lr: 0.1 }).zeroGrad();
    noGrad(() => [...model.parameters()][0].add_(1));
    expect(() => y.backward()).toThrow('[checkpoint] the function did not do the same again');
    const input = randn([3]).requiresGrad_();
    const scaled = input.mul(2);
    const z = checkpoint((t) => t.exp(), scaled).sum();
    scaled.add_(1);
    expect(() => z.backward()).toThrow('modified by an inplace operation');
    let calls = 0;
    const moody = checkpoint((t) => (calls++ === 0 ? t.exp().exp() : t.exp()), input).sum();
    expect(() => moody.backward()).toThrow('[checkpoint] the function did not do the same again');
    const norm = new BatchNorm2d(4);
    calls = 0;
    const more = checkpoint((t) => (calls++ === 0 ? t.mul(t) : norm(t)), randn([2, 4, 3, 3]).requiresGrad_()).sum();
    expect(() => more.backward()).toThrow('[checkpoint] the function did not do the same again');
    expect(() => checkpoint((t) => grad([t.exp().sum()], [t])[0], input)).toThrow(
      '[checkpoint] gradients were asked for inside the checkpointed function',
    );
    expect(() => checkpoint(null as never, input)).toThrow('[checkpoint] expected options as an object, got null');
    // And nothing of that stays behind.
    expect(isRecomputing()).toBe(false);
    expect(step(checkpointed, true)).toEqual(step(plainly, true));
  });

  it('keeps of what the function makes only the result, as a scope does', () => {
    const leaked: Tensor[] = [];
    const x = randn([3]).requiresGrad_();
    const y = checkpoint((t) => {
      leaked.push(t.exp());
      return t.mul(2);
    }, x);
    expect(() => leaked[0].toArray()).toThrow('made inside a scope that has ended');
    expect(y.toArray()).toEqual(x.mul(2).toArray());
  });
});

describe('memory', () => {
  const depth = 8;
  const width = 16;
  const shape = [2, width, 16, 16];
  const activation = 4 * shape.reduce((a, b) => a * b);
  const model = new Sequential(
    ...Array.from(
      { length: depth },
      () => new Sequential(new Conv2d(width, width, 3, { padding: 1 }), new BatchNorm2d(width), new ReLU()),
    ),
  );
  const x = zeros(shape);
  const train = (through: Through) => () => {
    let y = x;
    for (const child of model.children()) y = through((t) => child(t) as Tensor, y);
    y.square().mean().backward();
  };

  it('falls from all activations to one per checkpoint, and the second run leaves nothing', () =>
    // Fusion alone keeps one activation of three, so that what a checkpoint saves shows only without it.
    withFusion(false, () => {
      // Gradients exist from now on, so that they do not count.
      train(plainly)();
      const plain = liveBytes(train(plainly));
      const saving = liveBytes(train(checkpointed));
      // Of the two activations that a block saves one is gone, but for those of the block at hand.
      expect(plain.peak - saving.peak).toBeGreaterThan((depth - 2) * activation);
      // Forward alone: one activation per block.
      const forward = (through: Through) => () => {
        let y = x;
        for (const child of model.children()) y = through((t) => child(t) as Tensor, y);
      };
      expect(liveBytes(forward(plainly)).peak).toBeGreaterThan(2 * depth * activation);
      const [conv] = [...model.children()][0].children();
      const scratch = liveBytes(() => noGrad(() => void (conv(x) as Tensor).sum())).peak;
      expect(liveBytes(forward(checkpointed)).peak).toBeLessThan((depth + 4) * activation + scratch);
      // Gradients of parameters are summed in place: what is made in a step goes with it.
      expect(saving.left).toBeLessThanOrEqual(plain.left);
    }));
});
