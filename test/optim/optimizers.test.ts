// Optimizers against PyTorch's (golden/optim_golden.py): trajectories with every option, saved states both ways,
// groups, clipping, errors.
import { describe, expect, it } from 'vitest';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { WasmBackend } from '../../src/device/wasm.ts';
import { BatchNorm1d, Linear, Module, Parameter, Sequential } from '../../src/nn/index.ts';
import * as optim from '../../src/optim/index.ts';
import {
  Adam,
  AdamW,
  type CommonOptions,
  clipGradNorm,
  clipGradValue,
  LBFGS,
  Muon,
  Optimizer,
  type OptimizerStateDict,
  type ParamsArgument,
  paramGroups,
  RMSprop,
  Rprop,
  SGD,
} from '../../src/optim/index.ts';
import { fill, fromTypedArray, ones, tensor, zeros } from '../../src/tensor/create.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { openScope } from '../../src/tensor/storage.ts';
import { allocate, Tensor } from '../../src/tensor/tensor.ts';
import { decode, expectClose, readGolden } from '../support/golden.ts';

type Float = 'float32' | 'float64';
type PlainTensor = { tensor: never; dtype: Float };
type Plain = PlainTensor | number | null;
const golden = readGolden<{
  trajectories: { optimizer: string; options: object; dtype: Float; after: Record<string, string[]> }[];
  saved: {
    optimizer: string;
    options: object;
    state: {
      state: Record<number, Record<string, Plain | Plain[]>>;
      param_groups: OptimizerStateDict['param_groups'];
    };
    before: string[];
    after: string[];
  }[];
  clipped: { normType: number | 'inf'; maxNorm: number; norm: number; grads: string[] }[];
}>('optim.golden.json');

const shapes = [[3, 4], [5], [2, 3, 2, 2]];
const matrices = [
  [3, 4],
  [5, 1],
  [6, 4],
];
const tolerance = { float32: 1e-6, float64: 1e-12 };

/** The rule of optim_golden.py. */
function values(
  shape: readonly number[],
  seed: number,
  scale: number,
  dtype: Float,
  memoryFormat?: MemoryFormat,
): Tensor {
  const data = Float64Array.from({ length: sizeOf(shape) }, (_, i) => (((i * 37 + seed * 97) % 101) / 17 - 3) * scale);
  return fromTypedArray(data, shape, { dtype, memoryFormat });
}
const initial = (dtype: Float, memoryFormat?: MemoryFormat, of = shapes) =>
  of.map((shape, i) => new Parameter(values(shape, i, 0.5, dtype, memoryFormat)));
const initialOf = (name: string, dtype: Float, memoryFormat?: MemoryFormat) =>
  initial(dtype, memoryFormat, name === 'Muon' ? matrices : shapes);
function setGradients(params: readonly Tensor[], step: number, dtype: Float): void {
  params.forEach((param, i) => {
    param.grad = i === 1 && step % 3 !== 0 ? null : values(param.shape, 10 * step + i, 0.3 / (1 + step), dtype);
  });
}
const classes = optim as unknown as Record<string, new (params: Iterable<Tensor>, options: object) => Optimizer>;

/** A step as the golden takes it; LBFGS's loss is p·g + p⁴/4 of all that have a gradient. */
function takeStep(optimizer: Optimizer, params: readonly Tensor[], step: number, dtype: Float): void {
  setGradients(params, step, dtype);
  if (!((optimizer as unknown) instanceof LBFGS)) {
    optimizer.step();
    return;
  }
  const given = params.map(({ grad }) => grad);
  optimizer.step(() => {
    let loss = 0;
    params.forEach((param, i) => {
      const [p, g] = [param.detach(), given[i]];
      param.grad = g?.add(p.pow(3)) ?? null;
      if (g) loss += p.mul(g).add(p.pow(4).div(4)).sum().item();
    });
    return loss;
  });
}

function expectParams(params: readonly Tensor[], expected: readonly string[], dtype: Float): void {
  params.forEach((param, i) => {
    expectClose(param, decode(expected[i], dtype), tolerance[dtype], tolerance[dtype], `parameter ${i}`);
  });
}

describe('trajectories', () => {
  it.each(golden.trajectories.map((c) => ({ ...c, name: `${c.optimizer} ${JSON.stringify(c.options)} ${c.dtype}` })))(
    '$name',
    ({ optimizer: name, options, dtype, after }) => {
      // The last parameter lies channels last while its gradients do not.
      for (const format of ['contiguous', 'channelsLast'] as const) {
        const params = initialOf(name, dtype, format);
        const optimizer = new classes[name](params, options);
        for (let step = 0; step < Math.max(...Object.keys(after).map(Number)); step++) {
          takeStep(optimizer, params, step, dtype);
          const expected = after[step + 1];
          if (expected) expectParams(params, expected, dtype);
        }
      }
    },
  );
});

describe('saved states', () => {
  const untyped = (value: Plain): Tensor | number | null =>
    value !== null && typeof value === 'object' ? tensor(value.tensor, { dtype: value.dtype }) : value;
  it.each(golden.saved)('of PyTorch’s $optimizer load, and the training goes on', (c) => {
    const params = initialOf(c.optimizer, 'float64');
    noGrad(() => {
      params.forEach((param, i) => {
        param.copy_(fromTypedArray(decode(c.before[i], 'float64'), param.shape));
      });
    });
    const optimizer = new classes[c.optimizer](params, { lr: 123 });
    const state = Object.fromEntries(
      Object.entries(c.state.state).map(([position, own]) => [
        position,
        Object.fromEntries(
          Object.entries(own).map(([name, value]) => [
            name,
            Array.isArray(value) ? value.map(untyped) : untyped(value),
          ]),
        ),
      ]),
    );
    optimizer.loadStateDict({ state, param_groups: c.state.param_groups });
    expect(optimizer.paramGroups[0].lr).toBe(c.state.param_groups[0].lr);
    for (const step of [3, 4]) takeStep(optimizer, params, step, 'float64');
    expectParams(params, c.after, 'float64');
  });

  it.each(golden.saved)('of $optimizer have PyTorch’s layout', (c) => {
    const params = initialOf(c.optimizer, 'float64');
    const optimizer = new classes[c.optimizer](params, c.options);
    for (let step = 0; step < 3; step++) takeStep(optimizer, params, step, 'float64');
    const { state, param_groups: groups } = optimizer.stateDict();
    // Options that choose among PyTorch's implementations do not exist here.
    const { foreach: _a, fused: _b, capturable: _c, differentiable: _d, ...expected } = c.state.param_groups[0];
    const { decoupled_weight_decay: _e, ...plainGroup } = groups[0];
    const { decoupled_weight_decay: _f, ...plainExpected } = expected;
    expect(plainGroup).toEqual(plainExpected);
    expect(Object.keys(state)).toEqual(Object.keys(c.state.state));
    for (const [position, own] of Object.entries(c.state.state)) {
      const ours = state[Number(position)];
      // Working memory of PyTorch's LBFGS.
      const names = Object.keys(own).filter((name) => name !== 'al');
      expect(Object.keys(ours).sort()).toEqual(names.sort());
      const numbersOf = (value: unknown): number[] =>
        [value]
          .flat()
          .flatMap((one) => (one instanceof Tensor ? [...(one.dataSync() as Float64Array)] : [one as number]));
      for (const name of names) {
        const expectedValues = [own[name]].flat().flatMap((one) => numbersOf(untyped(one)));
        expectClose(numbersOf(ours[name]), expectedValues, 1e-12, 1e-15, name);
      }
    }
  });

  it('are independent of the optimizer they were loaded into', () => {
    const params = initial('float32');
    const first = new SGD(params, { momentum: 0.9 });
    setGradients(params, 0, 'float32');
    first.step();
    const state = first.stateDict();
    const before = (state.state[0].momentum_buffer as Tensor).toArray();
    const second = new SGD(params, { momentum: 0.9 });
    second.loadStateDict(state);
    second.step();
    expect((state.state[0].momentum_buffer as Tensor).toArray()).toEqual(before);
  });

  it('refuse other groups', () => {
    const [a, b, c] = initial('float32');
    const one = new SGD([a, b]);
    const two = new SGD([{ params: [a] }, { params: [b] }]);
    expect(() => one.loadStateDict(two.stateDict())).toThrow(
      'loaded state dict has a different number of parameter groups',
    );
    expect(() => one.loadStateDict(new SGD([a, b, c]).stateDict())).toThrow(
      "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
    );
  });

  it('of plain Adam leave AdamW decoupled', () => {
    const params = initial('float32');
    const optimizer = new AdamW(params);
    optimizer.loadStateDict(new Adam(params).stateDict());
    expect(optimizer.paramGroups[0].decoupledWeightDecay).toBe(true);
  });
});

describe('an optimizer of one’s own', () => {
  type LionOptions = CommonOptions & { beta: number };
  class Lion extends Optimizer<LionOptions> {
    constructor(params: ParamsArgument<LionOptions>, options: Partial<LionOptions> = {}) {
      super(params, options, { lr: 1e-4, beta: 0.9, weightDecay: 0, maximize: false });
    }
    protected update({ lr, beta, ...group }: LionOptions, params: readonly Tensor[]): void {
      for (const p of params) {
        const momentum = this.buffer(p, 'exp_avg').lerp_(this.gradient(p, group), 1 - beta);
        p.sub_(momentum.sign(), { alpha: lr });
      }
    }
  }

  it('moves in place, keeps a state beyond scopes, and is saved and loaded', () => {
    const [a, b] = [new Parameter(tensor([1, -2])), new Parameter(tensor([3]))];
    const optimizer = new Lion([a, b], { lr: 0.5, beta: 0.5, weightDecay: 1 });
    const close = openScope();
    a.grad = tensor([-3, 1]);
    optimizer.step(); // momentum (−1, −0.5)
    close();
    expect([a.toArray(), b.toArray()]).toEqual([[1.5, -1.5], [3]]);
    const saved = optimizer.stateDict();
    expect(Object.keys(saved.state)).toEqual(['0']);
    expect((saved.state[0].exp_avg as Tensor).toArray()).toEqual([-1, -0.5]);
    const second = new Lion([a, b]);
    second.loadStateDict(JSON.parse(JSON.stringify(saved)));
    a.grad = tensor([3, 1]);
    second.step(); // momentum (−0.5 + 0.5·4.5, −0.25 − 0.5·0.5)
    expect(a.toArray()).toEqual([1, -1]);
    expect(() => new Lion([a], { lr: -1 })).toThrow('Invalid learning rate: -1');
    expect(() => new Lion([a], { rate: 1 } as never)).toThrow("[Lion] unknown option 'rate'");
  });
});

describe('LBFGS', () => {
  const quadratic = (p: Parameter, optimizer: LBFGS) =>
    optimizer.step(() => {
      optimizer.zeroGrad();
      const loss = p
        .sub(tensor([1, 2]))
        .mul(tensor([1, 10]))
        .square()
        .sum();
      loss.backward();
      return loss;
    });

  it('finds a minimum with gradients of autograd, and gives the loss before the step', () => {
    for (const lineSearchFn of [null, 'strongWolfe'] as const) {
      const p = new Parameter(zeros([2]));
      const optimizer = new LBFGS([p], { lineSearchFn, lr: lineSearchFn ? 1 : 0.5, maxIter: 40 });
      expect(quadratic(p, optimizer).item()).toBe(401);
      quadratic(p, optimizer);
      expectClose(p, [1, 2], 1e-3);
    }
  });

  it('refuses a step without a closure, several groups, and states of another form', () => {
    const p = new Parameter(zeros([2]));
    const optimizer = new LBFGS([p], { maxIter: 4 });
    expect(() => optimizer.step()).toThrow('[LBFGS.step] expected a closure');
    expect(() => optimizer.step(() => 'x')).toThrow('the loss');
    const message = "LBFGS doesn't support per-parameter options (parameter groups)";
    expect(() => new LBFGS([{ params: [p] }, { params: [new Parameter(zeros([1]))] }])).toThrow(message);
    expect(() => optimizer.addParamGroup({ params: new Parameter(zeros([1])) })).toThrow(message);
    expect(() => new LBFGS([p], { lineSearchFn: 'exact' as never })).toThrow("only 'strongWolfe' is supported");
    quadratic(p, optimizer);
    const saved = optimizer.stateDict();
    for (const change of [{ old_dirs: [] }, { old_stps: 3 }, { ro: undefined }, { d: zeros([3]) }]) {
      const state = { 0: { ...saved.state[0], ...change } } as never;
      expect(() => optimizer.loadStateDict({ ...saved, state }), JSON.stringify(change)).toThrow(
        '[loadStateDict] expected',
      );
    }
  });
});

describe('Optimizer', () => {
  it.each([
    [() => new SGD(initial('float32'), { lr: -1 }), 'Invalid learning rate: -1'],
    [() => new SGD(initial('float32'), { momentum: -0.5 }), 'Invalid momentum value: -0.5'],
    [() => new SGD(initial('float32'), { weightDecay: -1 }), 'Invalid weightDecay value: -1'],
    [() => new SGD(initial('float32'), { nesterov: true }), 'Nesterov momentum requires a momentum and zero dampening'],
    [() => new Adam(initial('float32'), { eps: -1 }), 'Invalid epsilon value: -1'],
    [() => new Adam(initial('float32'), { betas: [1, 0.9] }), 'Invalid beta parameter at index 0: 1'],
    [() => new AdamW(initial('float32'), { betas: [0.9, -0.1] }), 'Invalid beta parameter at index 1: -0.1'],
    [() => new RMSprop(initial('float32'), { alpha: -1 }), 'Invalid alpha value: -1'],
    [() => new SGD([{ params: initial('float32'), lr: -2 }]), 'Invalid learning rate: -2'],
    [() => new Rprop(initial('float32'), { etas: [1, 0.5] }), 'Invalid eta values: 1, 0.5'],
    [() => new optim.Adadelta(initial('float32'), { rho: 1.1 }), 'Invalid rho value: 1.1'],
    [() => new optim.Adagrad(initial('float32'), { lrDecay: -0.5 }), 'Invalid lrDecay value: -0.5'],
    [() => new optim.NAdam(initial('float32'), { momentumDecay: -0.2 }), 'Invalid momentumDecay value: -0.2'],
    [() => new optim.Adafactor(initial('float32'), { d: 0 }), 'Clipping threshold d should be >= 1 but is: 0'],
    [() => new optim.Adafactor(initial('float32'), { beta2Decay: 0.8 }), 'beta2Decay should be <= 0 but is: 0.8'],
    [
      () => new Muon(initial('float32')),
      'Muon only supports 2D parameters whereas we found a parameter with size: [5]',
    ],
    [
      () => new Muon(initial('float32', 'contiguous', matrices), { adjustLrFn: 'arbitrary' as never }),
      "Adjust learning rate function 'arbitrary' is not supported",
    ],
    [() => new SGD([]), 'optimizer got an empty parameter list'],
    [
      () => new SGD(ones([2]) as never),
      'params argument given to the optimizer should be an iterable of Tensors or of groups { params, … }',
    ],
    [() => new SGD([3] as never), 'a parameter group must be an object { params, … }, but got 3'],
    [() => new SGD([{ params: [3] }] as never), 'optimizer can only optimize Tensors, but one of the params is number'],
    [() => new SGD([ones([2], { requiresGrad: true }).mul(2)]), "can't optimize a non-leaf Tensor"],
  ])('refuses %# with PyTorch’s words', (make, message) => {
    expect(make).toThrow(message);
  });

  it('refuses a parameter in two groups, or twice in one', () => {
    const [a, b] = initial('float32');
    const optimizer = new SGD([a]);
    expect(() => optimizer.addParamGroup({ params: [b, a] })).toThrow(
      'some parameters appear in more than one parameter group',
    );
    expect(() => optimizer.addParamGroup({ params: [b, b] })).toThrow('duplicate parameters');
    optimizer.addParamGroup({ params: b, lr: 0.5 });
    expect(optimizer.paramGroups.map(({ lr }) => lr)).toEqual([1e-3, 0.5]);
  });

  it('uses the options of each group, and takes generators', () => {
    const layer = new Linear(2, 2);
    const optimizer = new SGD(layer.parameters(), { lr: 0.5 });
    expect(optimizer.paramGroups[0].params).toEqual([layer.weight, layer.bias]);
    const [a, b] = [new Parameter(zeros([2])), new Parameter(zeros([2]))];
    const grouped = new SGD([{ params: [a], lr: 1 }, { params: [b] }], { lr: 0.1 });
    a.grad = ones([2]);
    b.grad = ones([2]);
    grouped.step();
    expect([a.toArray(), b.toArray()]).toEqual([
      [-1, -1],
      [Math.fround(-0.1), Math.fround(-0.1)],
    ]);
  });

  it('begins a buffer with the first gradient, also of a parameter that comes later', () => {
    const [a, b] = [new Parameter(zeros([1])), new Parameter(zeros([1]))];
    const optimizer = new SGD([a, b], { lr: 1, momentum: 0.5, dampening: 0.5 });
    a.grad = ones([1]);
    optimizer.step();
    b.grad = ones([1]);
    optimizer.step();
    expect([a.item(), b.item()]).toEqual([-2, -1]);
  });

  it('mixes dtypes in one group', () => {
    const params = [new Parameter(zeros([2])), new Parameter(zeros([2], { dtype: 'float64' }))];
    for (const param of params) param.grad = ones([2], { dtype: param.dtype });
    new SGD(params, { lr: 0.25 }).step();
    expect(params.map((param) => param.toArray())).toEqual([
      [-0.25, -0.25],
      [-0.25, -0.25],
    ]);
  });

  it('raises the version of what it changed, and only of that', () => {
    const [a, b] = initial('float32');
    a.grad = ones([3, 4]);
    const versions = [a.version, b.version];
    new Adam([a, b]).step();
    expect([a.version - versions[0], b.version - versions[1]]).toEqual([1, 0]);
  });

  it('makes backward notice parameters changed between forward and backward', () => {
    const layer = new Linear(2, 2);
    const x = ones([1, 2], { requiresGrad: true });
    const y = layer(x).sum();
    layer.weight.grad = ones([2, 2]);
    new SGD([layer.weight]).step();
    expect(() => y.backward()).toThrow('modified by an inplace operation');
  });

  it('forgets gradients, or sets them to 0', () => {
    const [a] = initial('float32');
    const optimizer = new SGD([a]);
    a.grad = ones([3, 4]);
    optimizer.zeroGrad({ setToNone: false });
    expect([...a.grad!.dataSync()]).toEqual(Array(12).fill(0));
    optimizer.zeroGrad();
    expect(a.grad).toBeNull();
  });

  it('runs a closure with gradients on and returns its result', () => {
    const a = new Parameter(tensor([2]));
    const optimizer = new SGD([a], { lr: 0.5 });
    const loss = optimizer.step(() => {
      optimizer.zeroGrad();
      const value = a.mul(a).sum();
      value.backward();
      return value.item();
    });
    expect([loss, a.item()]).toEqual([4, 0]);
  });

  it('keeps its state beyond the scope of a step', () => {
    const [a] = initial('float32');
    const optimizer = new Adam([a]);
    for (let step = 0; step < 2; step++) {
      const close = openScope();
      a.grad = ones([3, 4]);
      optimizer.step();
      a.grad = null;
      close();
    }
    expect((optimizer.state.get(a)!.exp_avg as Tensor).storage.isReleased).toBe(false);
  });

  it('refuses gradients and states of another dtype', () => {
    const a = new Parameter(zeros([2]));
    // As a user could not: the setter refuses it first.
    a.adoptGrad(ones([2], { dtype: 'float64' }));
    expect(() => new SGD([a]).step()).toThrow('expected a gradient as its parameter is, float32 of shape [2]');
    const layer = new Linear(2, 2);
    const optimizer = new Adam(layer.parameters());
    layer(ones([1, 2]))
      .sum()
      .backward();
    optimizer.step();
    layer.to('float64');
    expect(() => optimizer.step()).toThrow(
      /^\[step\] expected state 'exp_avg' .* as its parameter is, float64 of shape \[2, 2\] .* got float32 of shape \[2, 2\]/,
    );
  });

  it('prints its groups', () => {
    expect(String(new SGD(initial('float32'), { lr: 0.1 }))).toContain(
      'SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.1\n',
    );
  });
});

describe('on a WebAssembly device whose memory is nearly full', () => {
  it('one call sees all of its tensors in place, though some had been moved out', () => {
    const backend = new WasmBackend(2 * 1024 ** 2);
    const size = 32 * 1024; // 128 KiB each: six parameters, gradients and buffers exceed the budget
    const filled = (value: number) => {
      const t = allocate([size], 'float32', 'contiguous', backend);
      fill(t, value);
      return t;
    };
    const params = Array.from({ length: 6 }, (_, i) => new Parameter(filled(i)));
    const optimizer = new SGD(params, { lr: 0.5, momentum: 0.5 });
    for (const expected of [-0.5, -1.25]) {
      for (const param of params) param.grad = filled(1);
      // Garbage pushes the parameters out.
      for (let i = 0; i < 20; i++) filled(i);
      optimizer.step();
      params.forEach((param, i) => {
        expect(new Set(param.dataSync() as Float32Array), `parameter ${i}`).toEqual(new Set([i + expected]));
      });
    }
    expect(clipGradNorm(params, Infinity).item()).toBeCloseTo(Math.sqrt(6 * size), 3);
  });
});

describe('paramGroups', () => {
  const net = () => new Sequential(new Linear(3, 4), new BatchNorm1d(4), new Linear(4, 2, { bias: false }));
  it('exempts norms and biases from weight decay', () => {
    const model = net();
    const [decaying, exempt] = paramGroups(model, { weightDecay: 0.1 });
    const named = new Map([...model.namedParameters()].map(([name, parameter]) => [parameter, name]));
    expect(decaying.params.map((p) => named.get(p))).toEqual(['0.weight', '2.weight']);
    expect(exempt.params.map((p) => named.get(p))).toEqual(['0.bias', '1.weight', '1.bias']);
    expect([decaying.weightDecay, exempt.weightDecay]).toEqual([0.1, 0]);
  });
  it('asks a layer whether it is a norm, whatever its class is called', () => {
    class n extends Module {
      scale = new Parameter(ones([4]));
      override get isNorm(): boolean {
        return true;
      }
      forward(x: Tensor): Tensor {
        return x.mul(this.scale);
      }
    }
    class Normalizer extends Module {
      scale = new Parameter(ones([4]));
      forward(x: Tensor): Tensor {
        return x.mul(this.scale);
      }
    }
    const groups = paramGroups(new Sequential(new n(), new Normalizer()), { weightDecay: 0.1 });
    expect(groups.map(({ params, weightDecay }) => [params.length, weightDecay])).toEqual([
      [1, 0.1],
      [1, 0],
    ]);
  });
  it('exempts only what it is told', () => {
    expect(paramGroups(net(), { weightDecay: 0.1, noDecay: ['norm'] })[0].params).toHaveLength(3);
    expect(paramGroups(net(), { weightDecay: 0.1, noDecay: [] })).toHaveLength(1);
  });
});

describe('clipping', () => {
  it.each(golden.clipped)('by norm $normType to $maxNorm', ({ normType, maxNorm, norm, grads }) => {
    const params = initial('float32', 'channelsLast');
    setGradients(params, 0, 'float32');
    const total = clipGradNorm(params, maxNorm, { normType: normType === 'inf' ? Infinity : normType });
    expectClose([total.item()], [norm], 1e-6);
    params.forEach((param, i) => {
      expectClose(param.grad!, decode(grads[i], 'float32'), 1e-6);
    });
  });

  it('changes a gradient that lies in another order than its parameter', () => {
    const param = new Parameter(zeros([1, 2, 2, 1]));
    param.grad = values([1, 2, 2, 1], 1, 1, 'float32', 'channelsLast');
    const before = param.grad.mul(0.5).toArray();
    clipGradNorm([param], clipGradNorm([param], Infinity).item() / 2);
    expectClose(param.grad, (before as number[][][][]).flat(3), 1e-5);
  });

  it('refuses a broken norm only when asked, and lets it show otherwise', () => {
    const [a] = initial('float32');
    a.grad = values([3, 4], 1, Number.NaN, 'float32');
    expect(() => clipGradNorm([a], 1, { errorIfNonfinite: true })).toThrow(
      'The total norm of order 2 for gradients from `parameters` is non-finite',
    );
    expect(clipGradNorm([a], 1).item()).toBeNaN();
    expect(clipGradNorm([], 1).item()).toBe(0);
    expect(clipGradNorm([new Parameter(ones([1]))], 1).item()).toBe(0);
  });

  it('limits values', () => {
    const a = new Parameter(zeros([3]));
    a.grad = tensor([-3, 0.1, 5]);
    const { version } = a.grad;
    clipGradValue([a], 0.5);
    expectClose(a.grad, [-0.5, 0.1, 0.5], 1e-7);
    expect(a.grad.version).toBe(version + 1);
  });

  it('counts a gradient given twice once', () => {
    const a = new Parameter(zeros([1]));
    a.grad = tensor([3]);
    expect(clipGradNorm([a, a], 1.5).item()).toBe(3);
    expectClose(a.grad, [1.5], 1e-5);
    expect(a).toBeInstanceOf(Tensor);
  });
});
