// Norms of joined tensors, as in the blocks of a DenseNet: statistics that are read once for each channel, and
// gradients that meet at the input of a norm.
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import * as nn from '../../src/nn/index.ts';
import { toFormat } from '../../src/ops/convert.ts';
import { mul, relu, square } from '../../src/ops/elementwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { cat } from '../../src/ops/shape_ops.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../support/golden.ts';
import { liveBytes } from '../support/live_bytes.ts';
import { kernelCalls } from './kernel_calls.ts';
import { bn, conv, describePatterns, type Modules, net, numbers, type Pattern } from './patterns.ts';

/** Three layers that each add `growth` channels to the `width` of the first convolution. */
const modules = (width: number, growth: number) => ({
  c0: conv(3, width, 3),
  b1: bn(width),
  c1: conv(width, growth, 1),
  b2: bn(width + growth),
  c2: conv(width + growth, growth, 3),
  b3: bn(width + 2 * growth),
  c3: conv(width + 2 * growth, growth, 1),
  b4: bn(width + 3 * growth),
});
const made = (norm: Modules[string], c: Modules[string], x: Tensor): Tensor => c(relu(norm(x)));

/** Every output joined to what was joined before it. */
const chained = (m: Modules, x: Tensor): Tensor => {
  for (const i of [1, 2, 3]) x = cat([x, made(m[`b${i}`], m[`c${i}`], x)], 1);
  return relu(m.b4(x));
};
/** All outputs joined anew for every layer. */
const listed = (m: Modules, x: Tensor): Tensor => {
  const features = [x];
  for (const i of [1, 2, 3]) features.push(made(m[`b${i}`], m[`c${i}`], cat(features, 1)));
  return relu(m.b4(cat(features, 1)));
};

const shape = [2, 3, 7, 9];
const patterns = [16, 5].flatMap((width): Pattern[] => [
  {
    name: `a chain of joins, ${width} channels`,
    shape,
    make: net(modules(width, 8), (m) => (x) => chained(m, m.c0(x))),
  },
  {
    name: `joins of all outputs, ${width} channels`,
    shape,
    make: net(modules(width, 8), (m) => (x) => listed(m, m.c0(x))),
  },
  {
    name: `a chain of joins behind what is no convolution, ${width} channels`,
    shape,
    make: net(modules(width, 8), (m) => (x) => chained(m, mul(m.c0(x), 0.5))),
  },
]);
describePatterns(patterns);

describe('the statistics of joined tensors', () => {
  const calls = (between: (x: Tensor) => Tensor) => {
    manualSeed(0);
    const [first, b1, b2] = [conv(3, 8, 3), bn(8), bn(16)];
    const x = first(toFormat(randn(shape), 'channelsLast'));
    const y = between(x);
    return kernelCalls(
      () => numbers(b2(cat([y, relu(b1(y))], 1))),
      (name) => name === 'batchNormStats',
    ).length;
  };

  it('are those of the parts, where these have some', () => {
    manualSeed(0);
    const model = net(modules(16, 8), (m) => (x) => chained(m, mul(m.c0(x), 0.5)))();
    const x = toFormat(randn(shape), 'channelsLast');
    const stats = kernelCalls(
      () => model(x),
      (name) => name === 'batchNormStats',
    );
    expect(stats.length).toBe(1);
  });
  it('are read where a part has none', () => {
    expect(calls((x) => x)).toBe(1);
    expect(calls((x) => mul(x, 2))).toBe(2);
  });
  it('are read where a part was changed since, or the whole', () => {
    const b = bn(16);
    const run = (change: (part: Tensor, whole: () => Tensor) => Tensor, fused: boolean) =>
      withFusion(fused, () => {
        manualSeed(0);
        const part = conv(3, 8, 3)(toFormat(randn(shape), 'channelsLast'));
        return numbers(b(change(part, () => cat([part, part], 1))));
      });
    const changes: [string, (part: Tensor, whole: () => Tensor) => Tensor][] = [
      ['nothing', (_, whole) => whole()],
      [
        'the part',
        (part, whole) => {
          noGrad(() => part.add_(1));
          return whole();
        },
      ],
      [
        'the whole',
        (_, whole) => {
          const x = whole();
          noGrad(() => x.mul_(randn(x.shape)));
          return x;
        },
      ],
    ];
    for (const [name, change] of changes) {
      const [fused, plain] = [true, false].map((on) => run(change, on));
      for (let i = 0; i < plain.length; i++)
        if (!(Math.abs(fused[i] - plain[i]) < 1e-5))
          expect.fail(`${name}: [${i}] is ${fused[i]}, expected ${plain[i]}`);
    }
  });
});

describe('gradients that meet at the input of a norm', () => {
  interface Chain {
    readonly m: Modules;
    /** What the first convolution makes, and what follows from each layer. */
    readonly x: readonly Tensor[];
    readonly input: Tensor;
  }
  type Seen = readonly (Tensor | null)[];
  const run = (see: (chain: Chain) => Seen, fused: boolean, order = (x: Tensor, made: Tensor) => [x, made]) =>
    withFusion(fused, () => {
      manualSeed(4);
      const m = modules(16, 8) as unknown as Modules;
      const all = Object.values(m);
      for (const module of all) module.to('float64');
      const input = toFormat(randn(shape, { dtype: 'float64' }), 'channelsLast').requiresGrad_();
      const x = [m.c0(input) as Tensor];
      for (const i of [1, 2, 3]) x.push(cat(order(x[i - 1], made(m[`b${i}`], m[`c${i}`], x[i - 1])), 1));
      const seen = see({ m, x, input });
      const gradients = all.flatMap((module) => [...module.parameters()].map((p) => p.grad));
      return [...seen, input.grad, ...gradients].map((t) => (t ? numbers(t) : null));
    });
  const loss = ({ m, x }: Chain) => sum(square(relu(m.b4(x[3]))));
  /** The same values up to the roundings of a few sums in another order, which norms of 126 values magnify. */
  const same = (see: (chain: Chain) => Seen, order?: (x: Tensor, made: Tensor) => Tensor[]) => {
    const [fused, plain] = [true, false].map((on) => run(see, on, order));
    plain.forEach((values, i) => {
      if (!values) expect(fused[i]).toBeNull();
      else expectClose(fused[i]!, values, 1e-9, 1e-9, `${i}`);
    });
  };

  it('are added in the pass that forms that of the norm', () => {
    const calls = (fused: boolean) => {
      let joined: string[] = [];
      run((chain) => {
        const l = loss(chain);
        joined = kernelCalls(
          () => l.backward(),
          (name) => name === 'batchNormBackwardJoined',
        );
        return [];
      }, fused);
      return joined.length;
    };
    expect([true, false].map(calls)).toEqual([3, 0]);
  });

  const hazards: Record<string, (chain: Chain) => Seen> = {
    nothing: (chain) => {
      loss(chain).backward();
      return [];
    },
    'a hook on each': (chain) => {
      const seen: Tensor[] = [];
      for (const t of chain.x) t.registerHook((g) => void seen.push(g.clone()));
      loss(chain).backward();
      return seen;
    },
    'hooks that change them': (chain) => {
      for (const t of chain.x) t.registerHook((g) => mul(g, 2));
      loss(chain).backward();
      return [];
    },
    'a hook that keeps one and changes it later': (chain) => {
      const kept: Tensor[] = [];
      chain.x[2].registerHook((g) => void kept.push(g));
      chain.x[1].registerHook(() => noGrad(() => void kept[0].fill_(7)));
      loss(chain).backward();
      return kept;
    },
    'retained gradients': (chain) => {
      for (const t of chain.x) t.retainGrad();
      loss(chain).backward();
      return chain.x.map((t) => t.grad);
    },
    'gradients asked for in between': (chain) => grad([loss(chain)], chain.x),
    'two backwards': (chain) => {
      const l = loss(chain);
      l.backward(null, { retainGraph: true });
      l.backward();
      return [];
    },
    'other consumers': (chain) => {
      const [a, b, c] = chain.x;
      sum(square(a))
        .add(loss(chain))
        .add(sum(mul(b, c.narrow(1, 0, b.shape[1]))))
        .backward();
      return [];
    },
    'a tensor joined with itself': (chain) => {
      const [a] = chain.x;
      const twice = cat([a, a, chain.m.b1(a)], 1);
      sum(square(twice)).add(loss(chain)).backward();
      return [];
    },
    'a part that is a view': (chain) => {
      const [a] = chain.x;
      const view = a.reshape([2, 4, 4, 7, 9]).reshape([2, 16, 7, 9]);
      sum(square(cat([view, view.narrow(1, 0, 3)], 1)))
        .add(loss(chain))
        .backward();
      return [];
    },
    'an empty part': (chain) => {
      const [a] = chain.x;
      sum(square(cat([a.narrow(1, 0, 0), a, a.narrow(1, 5, 0)], 1)))
        .add(loss(chain))
        .backward();
      return [];
    },
    'a part without a gradient': (chain) => {
      const [a] = chain.x;
      sum(square(cat([a, a.detach().narrow(1, 0, 4)], 1)))
        .add(loss(chain))
        .backward();
      return [];
    },
    'another format': (chain) => {
      const [a] = chain.x;
      sum(square(cat([toFormat(a, 'contiguous'), a.narrow(1, 0, 4)], 1)))
        .add(loss(chain))
        .backward();
      return [];
    },
    'gradients of second order': (chain) => {
      const [da, db] = grad([loss(chain)], [chain.x[0], chain.x[1]], { createGraph: true });
      return [da, db, ...grad([sum(square(da))], [chain.input, chain.m.b2.weight!])];
    },
  };
  it.each(Object.entries(hazards))('%s', (_, see) => same(see));
  it.each(Object.entries(hazards))('%s, where the slice is the last of the channels', (_, see) =>
    same(see, (x, part) => [part, x]),
  );

  it('of a matrix', () => {
    const [rows, c] = [4200, 64]; // large enough for the norm to be deferred
    const results = [true, false].map((on) =>
      withFusion(on, () => {
        manualSeed(5);
        const b = new nn.BatchNorm1d(c).to('float64');
        const x = mul(randn([rows, c], { dtype: 'float64' }).requiresGrad_(), 2);
        x.retainGrad();
        const cotangent = randn([rows, 2 * c - 10], { dtype: 'float64' });
        const y = cat([x.narrow(1, 10, c - 10), relu(b(x))], 1);
        const wide = cat([x, y.narrow(1, 0, c - 10)], 1);
        sum(mul(wide, cotangent))
          .add(sum(square(y)))
          .backward();
        return numbers(x.grad!);
      }),
    );
    expectClose(results[0], results[1], 1e-11);
  });

  it('are given back', () => {
    const left = (fused: boolean) =>
      liveBytes(
        () =>
          void run((chain) => {
            loss(chain).backward();
            return [];
          }, fused),
      ).left;
    expect(left(true)).toBe(left(false));
  });
});
