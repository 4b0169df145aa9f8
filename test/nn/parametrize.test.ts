// Parametrizations against PyTorch's (golden/parametrize.golden.json): weight norm and spectral norm in values,
// gradients, states and printed forms, and the rules of registering, assigning and removing.
import { describe, expect, it } from 'vitest';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { gradcheck, gradgradcheck } from '../../src/autograd/gradcheck.ts';
import {
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  isParametrized,
  Linear,
  Module,
  Parameter,
  type ParametrizationList,
  registerParametrization,
  removeParametrizations,
  spectralNorm,
  weightNorm,
} from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { ones, tensor } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, readGolden } from '../support/golden.ts';
import { det, type Plain } from '../support/norm_layers.ts';

type Float = 'float32' | 'float64';
type State = Record<string, Plain>;
interface Case {
  kind: 'weight' | 'spectral';
  module: keyof typeof modules;
  kwargs: { dim?: number | null; n_power_iterations?: number; eps?: number };
  dtype: Float;
  printed: string;
  shape: number[];
  before: State;
  y: Plain;
  dx: Plain;
  grads: State;
  after: State;
  evaluated: Plain;
  assigned: State;
  weight: Plain;
  removed: State;
  removedPrinted: string;
}
const golden = readGolden<{ cases: Case[]; chain: { printed: string; keys: string[]; parameters: string[] } }>(
  'parametrize.golden.json',
);

const modules = {
  Linear: (dtype: Float) => new Linear(4, 3, { dtype }),
  Conv2d: (dtype: Float) => new Conv2d(2, 3, [2, 3], { dtype }),
  ConvTranspose2d: (dtype: Float) => new ConvTranspose2d(3, 2, 2, { dtype }),
  BatchNorm2d: (dtype: Float) => new BatchNorm2d(3, { dtype }),
};
type Parametrized = Module & { weight: Tensor; call(x: Tensor): Tensor };

function built({ kind, module: name, kwargs, dtype }: Case): Parametrized {
  manualSeed(11);
  const module = modules[name](dtype) as unknown as Parametrized;
  const { dim, n_power_iterations: nPowerIterations, eps } = kwargs;
  if (kind === 'weight') return weightNorm(module, { dim });
  return spectralNorm(module, { dim: dim ?? undefined, nPowerIterations, eps });
}

describe('parametrize.golden.json', () => {
  it.each(
    golden.cases.map((one) => ({
      one,
      name: `${one.kind} norm of ${one.module} ${JSON.stringify(one.kwargs)}, ${one.dtype}`,
    })),
  )('$name', ({ one }) => {
    // float64: roundings of the sums; float32: PyTorch's own float32 sums differ by as much, and 15 steps of iteration
    // add to it.
    const tolerance = one.dtype === 'float64' ? 1e-12 : 1e-5;
    const close = (actual: Tensor, { shape, data }: Plain, what: string) => {
      expect(actual.shape, what).toEqual(shape);
      expectClose(actual, data, tolerance, tolerance, what);
    };
    const compare = (state: ReadonlyMap<string, Tensor>, expected: State) => {
      for (const [key, value] of Object.entries(expected)) close(state.get(key)!, value, key);
    };
    const module = built(one);
    // Batch norm shows its bias where it is not what `affine` says.
    const printed = (text: string) => text.replace(' bias=True,', '');
    expect(String(module)).toBe(printed(one.printed));
    const before = module.stateDict();
    expect([...before.keys()]).toEqual(Object.keys(one.before));
    compare(before, one.before);
    const x = det(one.shape, 1, one.dtype).requiresGrad_();
    const y = module(x).add(module(x).mul(2));
    y.backward(det(y.shape, 2, one.dtype));
    close(y, one.y, 'y');
    close(x.grad!, one.dx, 'dx');
    compare(new Map([...module.namedParameters()].map(([name, p]) => [name, p.grad!])), one.grads);
    compare(module.stateDict(), one.after);
    close(module.eval()(x), one.evaluated, 'in evaluation');
    module.weight = det(one.weight.shape, 3, one.dtype);
    compare(module.stateDict(), one.assigned);
    close(module.weight, one.weight, 'weight');
    removeParametrizations(module, 'weight');
    expect([...module.stateDict().keys()]).toEqual(Object.keys(one.removed));
    compare(module.stateDict(), one.removed);
    expect(String(module)).toBe(printed(one.removedPrinted));
    expect(isParametrized(module)).toBe(false);
    expect(module.weight).toBeInstanceOf(Parameter);
  });
});

class Double extends Module {
  forward(t: Tensor): Tensor {
    return t.mul(2);
  }
  rightInverse(t: Tensor): Tensor {
    return t.div(2);
  }
}
class Shift extends Module {
  forward(t: Tensor): Tensor {
    return t.add(1);
  }
}
const listOf = (module: Module, name: string) => module.getSubmodule(`parametrizations.${name}`) as ParametrizationList;
const chain = () => {
  const layer = new Linear(2, 1, { dtype: 'float64' });
  registerParametrization(layer, 'weight', new Double());
  registerParametrization(layer, 'weight', new Shift());
  return registerParametrization(layer, 'bias', new Double());
};

describe('registerParametrization', () => {
  it('prints, lists and names as PyTorch, one after the other', () => {
    const layer = chain();
    expect(String(layer)).toBe(golden.chain.printed);
    expect([...layer.stateDict().keys()]).toEqual(golden.chain.keys);
    expect([...layer.namedParameters()].map(([name]) => name)).toEqual(golden.chain.parameters);
    expect(layer).toBeInstanceOf(Linear);
    expect([isParametrized(layer), isParametrized(layer, 'bias'), isParametrized(layer, 'none')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('keeps the value and the parameter where there is a right inverse, so that an optimizer goes on', () => {
    const layer = new Linear(2, 1);
    const { weight } = layer;
    const values = weight.toArray();
    const optimizer = new SGD(layer.parameters(), { lr: 1 });
    registerParametrization(layer, 'weight', new Double());
    expect(layer.weight.toArray()).toEqual(values);
    expect(listOf(layer, 'weight').originals).toEqual([weight]);
    layer(ones([1, 2]))
      .sum()
      .backward();
    optimizer.step();
    // A step of 1 along a gradient of 2 of the original moves the value by 4.
    expectClose(
      layer.weight,
      (values as number[][])[0].map((v) => v - 4),
      1e-6,
    );
    expect(removeParametrizations(layer, 'weight').weight).toBe(weight);
  });

  it('keeps frozen parameters frozen, buffers buffers, and modes', () => {
    const bn = new BatchNorm2d(2).eval();
    bn.weight!.requiresGrad = false;
    const map = new Double();
    registerParametrization(weightNorm(bn), 'running_mean', map);
    expect([...bn.namedParameters()].map(([name, p]) => [name, p.requiresGrad])).toEqual([
      ['bias', true],
      ['parametrizations.weight.original0', false],
      ['parametrizations.weight.original1', false],
    ]);
    expect([...bn.namedBuffers()].map(([name]) => name)).toEqual([
      'running_var',
      'num_batches_tracked',
      'parametrizations.running_mean.original',
    ]);
    expect(map.training).toBe(false);
    removeParametrizations(bn, 'weight');
    expect([bn.weight!.requiresGrad, isParametrized(bn)]).toEqual([false, true]);
  });

  it('leaves what was stored, or the value', () => {
    const layer = chain();
    const [original] = listOf(layer, 'weight').originals;
    const stored = original.toArray();
    removeParametrizations(layer, 'weight', { leaveParametrized: false });
    expect([layer.weight === original, layer.weight.toArray()]).toEqual([true, stored]);
    expect(String(layer)).toMatch(/^ParametrizedLinear\(/);
    removeParametrizations(layer, 'bias');
    expect(String(layer)).toBe('Linear(in_features=2, out_features=1, bias=True)');
    expect([...layer.stateDict().keys()]).toEqual(['weight', 'bias']);
  });

  it('assigns through the right inverse, or says that there is none', () => {
    const layer = chain();
    (layer as { bias: Tensor | null }).bias = tensor([3], { dtype: 'float64' });
    expect(layer.stateDict().get('parametrizations.bias.original')!.toArray()).toEqual([1.5]);
    expect(() => {
      layer.weight = layer.weight as Parameter;
    }).toThrow('parametrization Shift does not implement rightInverse.');
    expect(() => {
      (layer as { bias: Tensor | null }).bias = tensor([3, 4], { dtype: 'float64' });
    }).toThrow('expected original of dtype float64 and size [1]');
  });

  it('refuses what is no tensor, maps that change shape or dtype, and what is not parametrized, and changes nothing', () => {
    class Sum extends Module {
      forward(t: Tensor): Tensor {
        return t.sum();
      }
      rightInverse(t: Tensor): Tensor {
        return t.mul(5);
      }
    }
    const layer = new Linear(2, 1);
    const before = layer.weight.toArray();
    expect(() => registerParametrization(layer, 'weights', new Double())).toThrow(
      "does not have a parameter, a buffer, or a parametrized element with name 'weights'",
    );
    expect(() => registerParametrization(layer, 'weight', new Sum())).toThrow('may not change the dtype or shape');
    expect([layer.weight.toArray(), isParametrized(layer), String(layer)]).toEqual([
      before,
      false,
      'Linear(in_features=2, out_features=1, bias=True)',
    ]);
    registerParametrization(layer, 'weight', new Double());
    expect(() => registerParametrization(layer, 'weight', new Sum())).toThrow('may not change the dtype or shape');
    expect(listOf(layer, 'weight').length).toBe(1);
    expect(() => removeParametrizations(layer, 'bias')).toThrow('does not have a parametrization on bias');
    expect(() => removeParametrizations(weightNorm(new Linear(2, 1)), 'weight', { leaveParametrized: false })).toThrow(
      'Cannot leave unparametrized',
    );
  });

  it('loads states of its own kind', () => {
    const [from, to] = [weightNorm(new Linear(3, 2)), weightNorm(new Linear(3, 2))];
    expect(String(to.loadStateDict(from.stateDict()))).toBe('<All keys matched successfully>');
    expect(to.weight.toArray()).toEqual(from.weight.toArray());
    expect(() => to.loadStateDict(new Linear(3, 2).stateDict())).toThrow(
      'Missing key(s) in stateDict: "parametrizations',
    );
  });
});

describe('weightNorm', () => {
  it.each([0, 1, null])('has the gradients of its definition, dim %s', (dim) => {
    const of = (v: Tensor, g: Tensor) => {
      const layer = weightNorm(new Linear(3, 4, { dtype: 'float64', bias: false }), { dim });
      const [map] = [...listOf(layer, 'weight')];
      return map(g, v) as Tensor;
    };
    const inputs = [
      randn([4, 3], { dtype: 'float64' }),
      randn(dim === null ? [] : dim === 0 ? [4, 1] : [1, 3], { dtype: 'float64' }),
    ];
    for (const input of inputs) input.requiresGrad_();
    gradcheck(of, inputs);
    gradgradcheck(of, inputs);
  });

  it('refuses other dimensions and names', () => {
    expect(() => weightNorm(new Linear(3, 2), { dim: 2 })).toThrow('Dimension out of range');
    expect(() => weightNorm(new Linear(3, 2), { name: 'w' })).toThrow("with name 'w'");
  });
});

describe('spectralNorm', () => {
  it('divides by the largest singular value, after some steps', () => {
    manualSeed(1);
    const layer = spectralNorm(new Linear(6, 5, { dtype: 'float64' }), { nPowerIterations: 200 });
    const w = layer.weight;
    // The largest singular value of w: power iteration on wᵀw from another start.
    let v = randn([6, 1], { dtype: 'float64' });
    for (let i = 0; i < 500; i++) {
      const next = w.t().matmul(w.matmul(v)) as Tensor;
      v = next.div(Math.sqrt(next.square().sum().item()));
    }
    // What 200 steps leave is rounding.
    expectClose(w.matmul(v).square().sum(), [1], 1e-10);
  });

  it('has the gradients of its definition, the vectors being constants', () => {
    manualSeed(2);
    const layer = spectralNorm(new Conv2d(2, 3, 2, { dtype: 'float64' })).eval();
    const [map] = [...listOf(layer, 'weight')];
    const of = (w: Tensor) => map(w) as Tensor;
    gradcheck(of, [randn([3, 2, 2, 2], { dtype: 'float64', requiresGrad: true })]);
    gradgradcheck(of, [randn([3, 2, 2, 2], { dtype: 'float64', requiresGrad: true })]);
  });

  it('moves its vectors once in a checkpoint, and its gradients are those without one', () => {
    const run = (through: (fn: (t: Tensor) => Tensor, t: Tensor) => Tensor) => {
      manualSeed(3);
      const layer = spectralNorm(new Linear(4, 3, { dtype: 'float64' }));
      const x = randn([2, 4], { dtype: 'float64', requiresGrad: true });
      scope(() =>
        through((t) => layer(t), x)
          .square()
          .sum()
          .backward(),
      );
      return [x.grad, ...layer.stateDict().values(), ...[...layer.parameters()].map((p) => p.grad)].map((t) =>
        t!.toArray(),
      );
    };
    expect(run((fn, x) => checkpoint(fn, x))).toEqual(run((fn, x) => fn(x)));
  });

  it('refuses no steps, other dimensions and names', () => {
    expect(() => spectralNorm(new Linear(3, 2), { nPowerIterations: 0 })).toThrow(
      'Expected nPowerIterations to be positive',
    );
    expect(() => spectralNorm(new Linear(3, 2), { dim: 2 })).toThrow('Dimension out of range');
    expect(() => spectralNorm(new Linear(3, 2), { name: 'w' })).toThrow("has no parameter or buffer with name 'w'");
  });
});
