// Deep copies of modules: nothing is shared with the original that one of them changes, and what is one thing stays
// one.
import { describe, expect, it } from 'vitest';
import '../../src/index.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import {
  addStatistics,
  BatchNorm1d,
  BatchNorm2d,
  Conv2d,
  copyModule,
  freezeBatchNorm,
  LazyBatchNorm2d,
  Linear,
  Module,
  ModuleDict,
  Parameter,
  ReLU,
  Sequential,
} from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/sgd.ts';
import { stageStatistics } from '../../src/optim/staged_statistics.ts';
import { ones } from '../../src/tensor/create.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { list } from '../support/norm_layers.ts';

class Net extends Module {
  conv = new Conv2d(2, 3, 3);
  norm = new BatchNorm2d(3);
  down: Module | null = new ReLU();
  never: Module | null = null;
  branches = new ModuleDict({ same: this.norm, relu: new ReLU() });
  unregistered = [{ norm: this.norm }];
  byName = new Map<string, Module>([['conv', this.conv]]);
  constant = ones([3]);
  sizes = new Float32Array([1, 2]);
  readonly scale = (x: Tensor) => x.mul(2);
  forward(x: Tensor): Tensor {
    return this.scale(this.norm(this.conv(x)));
  }
}
const states = (module: Module) => [...module.stateDict()].map(([name, t]) => [name, list(t)]);

describe('copyModule', () => {
  it('copies class, values, modes and printed form, and shares no tensor', () => {
    const net = new Net();
    net.down = null;
    net.norm.eval();
    net.conv.weight.requiresGrad = false;
    net(randn([2, 2, 5, 5]))
      .sum()
      .backward();
    const copy = copyModule(net);
    expect(copy).toBeInstanceOf(Net);
    expect(String(copy)).toBe(String(net));
    expect(states(copy)).toEqual(states(net));
    expect([...copy.stateDict().keys()]).toEqual([...net.stateDict().keys()]);
    expect([copy.down, copy.never]).toEqual([null, null]);
    expect([copy.training, copy.norm.training]).toEqual([true, false]);
    expect([copy.conv.weight.requiresGrad, copy.norm.weight!.requiresGrad]).toEqual([false, true]);
    expect(copy.norm.weight!.grad).toBeNull();
    const x = randn([2, 2, 5, 5]);
    expect(list(copy(x))).toEqual(list(net(x)));
    const before = states(net);
    noGrad(() => {
      for (const t of copy.stateDict().values()) t.fill_(7);
    });
    copy.constant.fill_(7);
    copy.sizes.fill(7);
    expect(states(net)).toEqual(before);
    expect([list(net.constant), [...net.sizes]]).toEqual([
      [1, 1, 1],
      [1, 2],
    ]);
    // Assignment is watched as in a module that was constructed.
    copy.never = new Linear(1, 1);
    expect([...copy.stateDict().keys()]).toContain('never.weight');
    expect(net.never).toBeNull();
  });

  it('leaves one what is one: modules, tied weights, memory, plain collections', () => {
    class Tied extends Module {
      a = new Linear(3, 3);
      b = new Linear(3, 3);
      view: Tensor;
      constructor() {
        super();
        this.b.weight = this.a.weight;
        this.view = this.a.weight.detach().reshape([9]);
      }
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    const tied = copyModule(new Tied());
    expect(tied.a.weight).toBe(tied.b.weight);
    expect(tied.a.weight).toBeInstanceOf(Parameter);
    expect(tied.view.storage).toBe(tied.a.weight.storage);
    const copy = copyModule(new Net());
    expect(copy.branches.get('same')).toBe(copy.norm);
    expect(copy.unregistered[0].norm).toBe(copy.norm);
    expect(copy.byName.get('conv')).toBe(copy.conv);
  });

  it('outlives a scope, and records nothing', () => {
    const copy = scope(() => copyModule(new Net()));
    expect(() => states(copy)).not.toThrow();
    expect(list(copy.constant)).toEqual([1, 1, 1]);
    expect([...copy.parameters()].every((p) => p.isLeaf)).toBe(true);
  });

  it('keeps freezing and sets of statistics, but no staging', () => {
    const net = new Sequential(new BatchNorm1d(2), new BatchNorm1d(2));
    addStatistics(net, 'other');
    freezeBatchNorm(net.at(0));
    const staged = stageStatistics(net, new SGD([...net.at(1).parameters()], { lr: 0.1 }));
    const copy = copyModule(net);
    expect(String(copy)).toBe(String(net));
    const [frozen, free] = [...copy] as BatchNorm1d[];
    copy(randn([4, 2]));
    expect([frozen, free].map((norm) => norm.numBatchesTracked!.item())).toEqual([0, 1]);
    expect(free.hasStatistics('other')).toBe(true);
    expect(staged.pending).toBe(0);
    staged.dispose();
  });

  it('takes hooks along', () => {
    const net = new Sequential(new ReLU());
    net.registerForwardPreHook((_, [x]) => [(x as Tensor).add(1)]);
    net.registerForwardHook((_module, _args, y: Tensor) => y.mul(2));
    expect(list(copyModule(net)(ones([1])))).toEqual([4]);
  });

  it('puts others in the place of modules, wherever they stand', () => {
    const net = new Net();
    const copy = copyModule(net, new Map<Module, Module>([[net.norm, new BatchNorm2d(3, { eps: 0.5 })]]));
    for (const norm of [copy.norm, copy.branches.get('same'), copy.unregistered[0].norm])
      expect((norm as BatchNorm2d).eps).toBe(0.5);
    expect(net.norm.eps).toBe(1e-5);
  });

  it('refuses a lazy layer without shapes', () => {
    expect(() => copyModule(new Sequential(new LazyBatchNorm2d()))).toThrow('call the model once');
  });
});
