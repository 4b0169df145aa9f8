// Folding a whole model: what is folded, that it computes the same, and every reason for which a batch norm is refused.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { lenetBatchNorm } from '../../src/models/lenet.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNormAct2d,
  BatchNormBase,
  Conv1d,
  Conv2d,
  ConvTranspose2d,
  Dropout,
  fold,
  freezeBatchNorm,
  Identity,
  InPlaceABN,
  LazyBatchNorm2d,
  Linear,
  MaskedBatchNorm1d,
  Module,
  ModuleList,
  ReLU,
  Sequential,
  SiLU,
  SyncBatchNorm,
  SyncBatchNormAct,
} from '../../src/nn/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { rand, randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { list } from '../support/norm_layers.ts';

/** A model in evaluation mode whose batch norms have something to fold. */
function trained<M extends Module>(model: M, seed = 1): M {
  manualSeed(seed);
  for (const norm of model.modules())
    if (norm instanceof BatchNormBase)
      noGrad(() => {
        for (const t of [norm.weight, norm.bias, norm.runningMean]) t?.copy_(randn(t.shape));
        norm.runningVar?.copy_(rand(norm.runningVar.shape).add(0.5));
      });
  return model.eval();
}
const image = () => randn([2, 3, 6, 6]);
const states = (module: Module) => [...module.stateDict()].map(([name, t]) => [name, list(t)]);
/** The only reason there is. */
const reason = (model: Module, ...example: unknown[]) => {
  const { folded, refused, maxError } = fold(model, ...example);
  expect([folded, refused.length, maxError]).toEqual([[], 1, 0]);
  return refused[0].reason;
};
/** float32 outputs of about 10, after some hundred roundings of 6e-8 that the two models share only in part. */
const bound = 2e-5;

class Block extends Module {
  conv1: Conv2d;
  bn1: BatchNorm2d;
  conv2: Conv2d;
  bn2: BatchNorm2d;
  relu = new ReLU({ inplace: true });
  downsample: Module | null = null;
  constructor(from: number, to: number) {
    super();
    this.conv1 = new Conv2d(from, to, 3, { padding: 1, bias: false });
    this.bn1 = new BatchNorm2d(to);
    this.conv2 = new Conv2d(to, to, 3, { padding: 1, bias: false });
    this.bn2 = new BatchNorm2d(to);
    if (from !== to) this.downsample = new Sequential(new Conv2d(from, to, 1), new BatchNorm2d(to));
  }
  forward(x: Tensor): Tensor {
    const y = this.bn2(this.conv2(this.relu(this.bn1(this.conv1(x)))));
    return this.relu(y.add_((this.downsample?.(x) as Tensor | undefined) ?? x));
  }
}
class ResNet extends Module {
  stem = new Sequential({ conv: new Conv2d(3, 4, 3), bn: new BatchNorm2d(4), relu: new ReLU({ inplace: true }) });
  blocks = new ModuleList([new Block(4, 4), new Block(4, 6)]);
  /** Not registered: the copy must follow all the same. */
  private readonly order = [this.blocks.at(0), this.blocks.at(1)];
  head = new Linear(6, 5);
  norm = new BatchNorm1d(5);
  forward(x: Tensor): Tensor {
    let y = this.stem(x) as Tensor;
    for (const block of this.order) y = block(y) as Tensor;
    return this.norm(this.head(y.mean([2, 3])));
  }
}

describe('folds', () => {
  it('LeNet, all of it', () => {
    const model = trained(lenetBatchNorm());
    const x = randn([4, 1, 28, 28]);
    const before = states(model);
    const result = fold(model, x);
    expect(result.folded).toEqual(['1', '5', '10', '13']);
    expect(result.refused).toEqual([]);
    expect(result.maxError).toBeLessThan(bound);
    expect([...result.model.modules()].some((each) => each instanceof BatchNormBase)).toBe(false);
    expect(result.model.at(1)).toBeInstanceOf(Identity);
    expect(states(model)).toEqual(before);
    expect([...model.modules()].some((each) => each.hasHooks || each.training)).toBe(false);
    expect([...result.model.modules()].some((each) => each.hasHooks || each.training)).toBe(false);
    // Other data too, and what is reported is what is there.
    for (const data of [x, randn([3, 1, 28, 28])]) {
      const error = Math.max(...list(result.model(data).sub(model(data)).abs())!);
      if (data === x) expect(error).toBeCloseTo(result.maxError, 12);
      expect(error).toBeLessThan(bound);
    }
  });

  it('a residual network: nested, in lists, with in-place ReLUs and a shortcut, in float64 too', () => {
    const model = trained(new ResNet());
    const names = [
      'stem.bn',
      'blocks.0.bn1',
      'blocks.0.bn2',
      'blocks.1.bn1',
      'blocks.1.bn2',
      'blocks.1.downsample.1',
      'norm',
    ];
    for (const [dtype, most] of [
      ['float32', bound],
      // The same roundings, of 1e-16.
      ['float64', 1e-13],
    ] as const) {
      model.to(dtype);
      const { folded, refused, maxError, model: copy } = fold(model, image().to(dtype));
      expect([folded, refused]).toEqual([names, []]);
      expect(maxError).toBeLessThan(most);
      expect([...copy.modules()].some((each) => each instanceof BatchNormBase)).toBe(false);
    }
  });

  it('convolutions of other kinds, SyncBatchNorm, a dropout between, frozen layers', () => {
    const model = trained(
      new Sequential(
        new ConvTranspose2d(4, 6, 3, { groups: 2, bias: false }),
        new SyncBatchNorm(6),
        new Conv2d(6, 6, 1),
        new Dropout(),
        new BatchNorm2d(6),
      ),
    );
    freezeBatchNorm(model);
    const { folded, maxError } = fold(model, randn([2, 4, 5, 5]));
    expect(folded).toEqual(['1', '4']);
    expect(maxError).toBeLessThan(bound);
  });

  it('the layers of a model that returns several tensors and takes several arguments', () => {
    class Two extends Module {
      layers = new Sequential(new Linear(3, 4), new BatchNorm1d(4));
      forward(x: Tensor, factor: number): { y: Tensor; more: Tensor[] } {
        const y = this.layers(x) as Tensor;
        return { y, more: [y.mul(factor)] };
      }
    }
    const { folded, maxError } = fold(trained(new Two()), randn([4, 3]), 1000);
    expect(folded).toEqual(['layers.1']);
    expect(maxError).toBeGreaterThan(0);
    expect(maxError).toBeLessThan(1000 * bound);
  });

  it('a linear layer in front of a batch norm of one channel', () => {
    const model = trained(new Sequential(new Linear(3, 4), new BatchNorm1d(1)));
    const { folded, maxError } = fold(model, randn([4, 1, 3]));
    expect(folded).toEqual(['1']);
    expect(maxError).toBeLessThan(bound);
  });

  it('a batch norm with an activation, which it leaves', () => {
    for (const Norm of [BatchNormAct2d, SyncBatchNormAct])
      for (const act of [undefined, new SiLU()]) {
        const model = trained(new Sequential(new Conv2d(3, 4, 3), new Norm(4, { act, drop: new Dropout() })));
        const { folded, maxError, model: copy } = fold(model, image());
        expect(folded).toEqual(['1']);
        expect(maxError).toBeLessThan(bound);
        const { act: own } = model.at(1) as BatchNormAct2d;
        expect(copy.getSubmodule('1.act')).toBeInstanceOf(own.constructor);
        expect(copy.getSubmodule('1.act')).not.toBe(own);
        expect([...copy.modules()].some((each) => each.training || each instanceof BatchNormBase)).toBe(false);
      }
  });

  it('only what the modes allow, and does not change them', () => {
    const model = trained(
      new Sequential(new Conv2d(3, 4, 3), new BatchNorm2d(4), new Dropout(), new Conv2d(4, 4, 3), new BatchNorm2d(4)),
    );
    model.at(1).train();
    model.at(2).train();
    const before = states(model);
    const { folded, refused, maxError, model: copy } = fold(model, image());
    expect(folded).toEqual(['4']);
    expect(refused).toEqual([{ name: '1', reason: 'it is in training mode; call eval() before' }]);
    // Statistics of the example have not moved, and no dropout took part.
    expect(maxError).toBeLessThan(bound);
    expect(states(model)).toEqual(before);
    expect([...copy].map((each) => each.training)).toEqual([false, true, true, false, false]);
  });
});

/** Two layers, and a forward. */
class Pair extends Module {
  conv = new Conv2d(3, 3, 1);
  bn = new BatchNorm2d(3);
  other = new Conv2d(3, 3, 1);
  private readonly run: (own: Pair, x: Tensor) => unknown;
  constructor(run: (own: Pair, x: Tensor) => unknown) {
    super();
    this.run = run;
  }
  forward(x: Tensor): unknown {
    return this.run(this, x);
  }
}
const pair = (run: (own: Pair, x: Tensor) => unknown) => trained(new Pair(run));

describe('refuses, with the reason', () => {
  it.each<[string, (own: Pair, x: Tensor) => unknown, string]>([
    [
      'an input that is used by the model too',
      ({ conv, bn }, x) => {
        const y = conv(x);
        return bn(y).add(y);
      },
      'its input is also used elsewhere',
    ],
    [
      'an input that is used before',
      ({ conv, bn }, x) => {
        const y = conv(x);
        const other = y.mul(2);
        return bn(y).add(other);
      },
      'its input is also used elsewhere',
    ],
    [
      'an input that another layer takes',
      ({ conv, bn, other }, x) => {
        const y = conv(x);
        return bn(y).add(other(y));
      },
      "its input is also used in 'other' (Conv2d)",
    ],
    [
      'an input that is seen through a view',
      ({ conv, bn }, x) => {
        const y = conv(x);
        return bn(y)
          .sum()
          .add(y.reshape([-1]).sum());
      },
      'its input is also used elsewhere',
    ],
    [
      'an input that JavaScript looks at',
      ({ conv, bn }, x) => {
        const y = conv(x);
        return bn(y).mul((y.dataSync() as Float32Array)[0]);
      },
      'its input is also used elsewhere',
    ],
    [
      'an input that is returned',
      ({ conv, bn }, x) => {
        const y = conv(x);
        return [bn(y), { features: y }];
      },
      'its input is also an output of the model',
    ],
    [
      'an input that is returned as a view',
      ({ conv, bn }, x) => {
        const y = conv(x);
        return [bn(y), y.reshape([-1])];
      },
      'its input is also an output of the model',
    ],
    [
      'an input that was changed in place',
      ({ conv, bn }, x) => bn(conv(x).relu_()),
      "its input is changed in place behind 'conv' (Conv2d)",
    ],
    [
      'an input that is changed in place later',
      ({ conv, bn }, x) => {
        const y = conv(x);
        return bn(y).add(y.relu_());
      },
      'its input is also used elsewhere',
    ],
    [
      'another op between',
      ({ conv, bn }, x) => bn(conv(x).add(1)),
      'its input is not the output of a convolution or linear layer',
    ],
    [
      'a view between',
      ({ conv, bn }, x) => bn(conv(x).reshape(x.shape)),
      'its input is not the output of a convolution or linear layer',
    ],
    ['the model’s own input', ({ bn }, x) => bn(x), 'its input is not the output of a convolution or linear layer'],
    ['a batch norm that is used twice', ({ conv, bn }, x) => bn(bn(conv(x))), 'it is used 2 times'],
    ['a batch norm that is not used', ({ conv }, x) => conv(x), 'it has not run on the example'],
    [
      'a convolution that is used twice',
      ({ conv, bn }, x) => bn(conv(conv(x))),
      "its input comes from 'conv' (Conv2d), which is used 2 times",
    ],
    [
      'weights that are used elsewhere',
      ({ conv, bn }, x) => bn(conv(x)).mul(conv.weight.sum()),
      "weight of 'conv' (Conv2d) is also used elsewhere",
    ],
    [
      'statistics that are used elsewhere',
      ({ conv, bn }, x) => bn(conv(x)).mul(bn.runningVar!.sum()),
      "running_var of 'bn' (BatchNorm2d) is also used elsewhere",
    ],
    [
      'a convolution that is run without its module',
      ({ conv, bn }, x) => bn(conv(conv.forward(x))),
      "weight of 'conv' (Conv2d) is also used elsewhere",
    ],
  ])('%s', (_what, run, expected) => {
    expect(reason(pair(run), image())).toBe(expected);
  });

  it('a layer of another kind between', () => {
    const model = new Sequential({ conv: new Conv2d(3, 4, 3), act: new ReLU(), bn: new BatchNorm2d(4) });
    expect(reason(trained(model), image())).toBe(
      "its input is not the output of a convolution or linear layer, but of 'act' (ReLU)",
    );
  });

  it('a convolution that ReLU follows in place, which returns the same tensor', () => {
    const model = new Sequential({
      conv: new Conv2d(3, 4, 3),
      act: new ReLU({ inplace: true }),
      bn: new BatchNorm2d(4),
    });
    expect(reason(trained(model), image())).toBe("its input is changed in place behind 'conv' (Conv2d)");
  });

  it('two batch norms behind one convolution, both', () => {
    class Fork extends Module {
      conv = new Conv2d(3, 4, 1);
      a = new BatchNorm2d(4);
      b = new BatchNorm2d(4);
      forward(x: Tensor): Tensor {
        const y = this.conv(x);
        return this.a(y).add(this.b(y));
      }
    }
    expect(fold(trained(new Fork()), image()).refused).toEqual([
      { name: 'a', reason: "its input is also used in 'b' (BatchNorm2d)" },
      { name: 'b', reason: "its input is also used in 'a' (BatchNorm2d)" },
    ]);
  });

  it('a layer that stands in two places, and tied weights', () => {
    const shared = new Sequential(new Linear(3, 3), new BatchNorm1d(3));
    expect(reason(trained(new Sequential(shared, shared)), randn([4, 3]))).toBe('it is used 2 times');
    const [first, second] = [new Linear(3, 3), new Linear(3, 3)];
    second.weight = first.weight;
    const tied = trained(new Sequential(first, new BatchNorm1d(3), second));
    expect(reason(tied, randn([4, 3]))).toBe("weight of '0' (Linear) is also used in '2' (Linear)");
  });

  it('no running statistics, training mode, hooks', () => {
    const conv = () => new Conv2d(3, 4, 3);
    const without = new Sequential(conv(), new BatchNorm2d(4, { trackRunningStats: false }));
    expect(reason(trained(without), image())).toBe(
      'it has no running statistics: every batch is normalized by its own',
    );
    const model = trained(new Sequential(conv(), new BatchNorm2d(4)));
    model.at(0).train();
    expect(reason(model, image())).toBe(
      "its input comes from '0' (Conv2d), which is in training mode; call eval() before",
    );
    for (const [place, text] of [
      [0, "its input comes from '0' (Conv2d), which has hooks, which would see other values"],
      [1, 'it has hooks, which would have nothing to see'],
    ] as const) {
      const remove = model
        .eval()
        .at(place)
        .registerForwardHook(() => {});
      expect(reason(model, image())).toBe(text);
      remove();
    }
    expect(fold(model, image()).folded).toEqual(['1']);
  });

  it('subclasses with a forward of their own', () => {
    class Standardized extends Conv2d {
      override forward(x: Tensor): Tensor {
        return super.forward(x.mul(2));
      }
    }
    const model = trained(new Sequential(new Standardized(3, 4, 3), new BatchNorm2d(4)));
    expect(reason(model, image())).toBe("its input comes from '0' (Standardized), which has a forward of its own");
    const other = trained(new Sequential(new Conv2d(3, 4, 3), new InPlaceABN(4)));
    expect(reason(other, image())).toContain('InPlaceABN computes in a way of its own');
    const masked = trained(new Sequential(new Linear(3, 4), new MaskedBatchNorm1d(4)));
    expect(reason(masked, randn([4, 3]))).toBe(
      'MaskedBatchNorm1d computes in a way of its own, and has no afterNorm() that says what besides batch norm',
    );
  });

  it('a function that still means the original of the copy', () => {
    class Bound extends Module {
      conv = new Conv2d(3, 3, 1);
      bn = new BatchNorm2d(3);
      readonly branch = (x: Tensor) => this.bn(this.conv(x));
      forward(x: Tensor): Tensor {
        return this.branch(x);
      }
    }
    expect(reason(trained(new Bound()), image())).toBe('it has not run on the example');
  });

  it('channels that are not those of the layer, though as many', () => {
    // Linear layers have their features last, batch norm has its channels first; and an image without a batch has them
    // in front.
    const text = (name: string) => `its channels are not those of '0' (${name})`;
    expect(reason(trained(new Sequential(new Linear(3, 4), new BatchNorm1d(4))), randn([2, 4, 3]))).toBe(
      text('Linear'),
    );
    expect(reason(trained(new Sequential(new Conv1d(3, 4, 1), new BatchNorm1d(4))), randn([3, 4]))).toBe(
      text('Conv1d'),
    );
  });
});

it('throws where there is nothing to go by, and leaves the model as it was', () => {
  expect(() => fold(new Sequential(new Conv2d(3, 4, 3), new LazyBatchNorm2d()), image())).toThrow('lazy layer');
  expect(() =>
    fold(
      pair(({ conv }, x) => void conv(x)),
      image(),
    ),
  ).toThrow('expected a model that returns tensors');
  const model = trained(lenetBatchNorm());
  expect(() => fold(model, randn([1, 2, 28, 28]))).toThrow();
  expect([...model.modules()].some((each) => each.hasHooks)).toBe(false);
});
