// Modules: the tree, modes, hooks, state, and the containers.
import { describe, expect, it } from 'vitest';
import {
  BatchNorm1d,
  Linear,
  Module,
  ModuleDict,
  ModuleList,
  Parameter,
  ReLU,
  Sequential,
  Sigmoid,
  Tanh,
} from '../../src/nn/index.ts';
import { ones, tensor, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { openScope } from '../../src/tensor/storage.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

class Block extends Module {
  readonly linear = new Linear(2, 2);
  readonly bn: BatchNorm1d;
  scale = new Parameter(ones([2]));
  readonly width = 2;
  constructor() {
    super();
    this.bn = new BatchNorm1d(2);
    this.registerBuffer('mask', ones([2]), { persistent: false });
  }
  forward(x: Tensor, shift = 0): Tensor {
    return this.bn(this.linear(x)).mul(this.scale).add(shift);
  }
}

class Net extends Module {
  readonly first = new Block();
  readonly rest = new ModuleList([new Block(), new ReLU()]);
  forward(x: Tensor): Tensor {
    let y = this.first(x, 1);
    for (const module of this.rest) y = module(y);
    return y;
  }
}

describe('Module', () => {
  it('finds parameters, buffers and modules of a user’s class', () => {
    const net = new Net();
    expect([...net.namedParameters()].map(([name]) => name)).toEqual([
      'first.scale',
      'first.linear.weight',
      'first.linear.bias',
      'first.bn.weight',
      'first.bn.bias',
      'rest.0.scale',
      'rest.0.linear.weight',
      'rest.0.linear.bias',
      'rest.0.bn.weight',
      'rest.0.bn.bias',
    ]);
    expect([...net.first.namedBuffers()].map(([name]) => name)).toEqual([
      'mask',
      'bn.running_mean',
      'bn.running_var',
      'bn.num_batches_tracked',
    ]);
    expect([...net.namedModules()].map(([name]) => name)).toEqual([
      '',
      'first',
      'first.linear',
      'first.bn',
      'rest',
      'rest.0',
      'rest.0.linear',
      'rest.0.bn',
      'rest.1',
    ]);
    expect([...net.namedChildren()].map(([name]) => name)).toEqual(['first', 'rest']);
    expect(net.getSubmodule('rest.0.bn')).toBe((net.rest.at(0) as Block).bn);
    expect(() => net.getSubmodule('rest.9')).toThrow('ModuleList has no attribute `9`');
    expect([...net.stateDict().keys()]).not.toContain('first.mask');
  });

  it('names a shared module once, and its state under each name', () => {
    const shared = new Linear(1, 1);
    const net = new Sequential(shared, shared);
    expect([...net.parameters()]).toHaveLength(2);
    expect([...net.stateDict().keys()]).toEqual(['0.weight', '0.bias', '1.weight', '1.bias']);
  });

  it('replaces parameters, buffers and children by assignment, and refuses others', () => {
    const block = new Block();
    const scale = new Parameter(zeros([2]));
    block.scale = scale;
    expect(block.parameters()[0]).toBe(scale);
    const open = block as unknown as Record<string, unknown>;
    open.linear = new Tanh();
    expect(block.namedChildren()[0][1]).toBeInstanceOf(Tanh);
    open.bn = null;
    expect(block.children()).toHaveLength(1);
    // What was registered, as the library's layers do, knows its kind; a plain property may hold anything.
    const linear = new Linear(2, 2) as unknown as Record<string, unknown>;
    for (const value of [ones([2, 2]), 3, new Tanh()])
      expect(() => {
        linear.weight = value;
      }).toThrow(/^cannot assign '(Tensor|number|Tanh)' as parameter 'weight' \(Parameter or null expected\)$/);
    linear.bias = null;
    expect((linear as unknown as Linear).parameters()).toHaveLength(1);
    const list = new ModuleList([new Tanh()]) as unknown as Record<string, unknown>;
    expect(() => {
      list['0'] = 3;
    }).toThrow("cannot assign 'number' as child module '0' (Module or null expected)");
  });

  it.each([
    ['', 'can\'t be empty string ""'],
    ['a.b', 'can\'t contain "."'],
    ['scale', "attribute 'scale' already exists"],
    ['forward', "attribute 'forward' already exists"],
  ])('refuses the name %j', (name, message) => {
    expect(() => new Block().registerParameter(name, null)).toThrow(message);
  });

  it('switches modes of the whole tree', () => {
    const net = new Net().eval();
    expect([...net.modules()].map((module) => module.training)).toEqual(Array(9).fill(false));
    net.first.train();
    expect([net.training, net.first.bn.training]).toEqual([false, true]);
    expect(net.train(true)).toBe(net);
    expect([...net.modules()].every((module) => module.training)).toBe(true);
  });

  it('applies a function, children first', () => {
    const seen: string[] = [];
    expect(new Net().first.apply((module) => seen.push(module.constructor.name))).toBeInstanceOf(Block);
    expect(seen).toEqual(['Linear', 'BatchNorm1d', 'Block']);
  });

  it('freezes, and forgets gradients', () => {
    const net = new Net();
    net(ones([3, 2]))
      .sum()
      .backward();
    expect([...net.parameters()].every((parameter) => parameter.grad)).toBe(true);
    net.zeroGrad();
    expect([...net.parameters()].some((parameter) => parameter.grad)).toBe(false);
    net.requiresGrad_(false);
    expect([...net.parameters()].some((parameter) => parameter.requiresGrad)).toBe(false);
    expect(net(ones([3, 2])).requiresGrad).toBe(false);
  });

  it('converts its dtype in place, gradients too', () => {
    const net = new Net();
    const [parameter] = net.parameters();
    net(ones([3, 2]))
      .sum()
      .backward();
    expect(net.to('float64')).toBe(net);
    expect([...net.parameters()][0]).toBe(parameter);
    expect([parameter.dtype, parameter.grad!.dtype, net.first.bn.numBatchesTracked!.dtype]).toEqual([
      'float64',
      'float64',
      'int64',
    ]);
    net(ones([3, 2], { dtype: 'float64' }))
      .sum()
      .backward();
    expect(() => net.to('int64')).toThrow(
      'nn.Module.to only accepts floating point dtypes, but got desired dtype=int64',
    );
  });

  it('runs hooks around forward, in order, until they are removed', () => {
    const block = new Block();
    const log: unknown[] = [];
    const removePre = block.registerForwardPreHook((module, args) => {
      log.push(['pre', module === block, args.length]);
      return [args[0], 5];
    });
    const remove = block.registerForwardHook((_module, args, output) => {
      log.push(['post', args[1]]);
      return output.mul(0);
    });
    expect(
      block(ones([3, 2]))
        .sum()
        .item(),
    ).toBe(0);
    expect(log).toEqual([
      ['pre', true, 1],
      ['post', 5],
    ]);
    removePre();
    remove();
    block(ones([3, 2]));
    expect(log).toHaveLength(2);
  });

  it('loads states in any form, strictly or not', () => {
    const [from, to] = [new Net(), new Net()];
    expect(String(to.loadStateDict(from.stateDict()))).toBe('<All keys matched successfully>');
    expect(to.first.linear.weight.toArray()).toEqual(from.first.linear.weight.toArray());
    const result = to.first.linear.loadStateDict({ weight: ones([2, 2]), extra: ones([1]) }, { strict: false });
    expect(String(result)).toBe("_IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['extra'])");
    const given = zeros([2, 2]);
    to.first.linear.loadStateDict({ weight: given, bias: zeros([2]) }, { assign: true });
    expect(to.first.linear.weight.storage).toBe(given.storage);
    expect(to.first.linear.weight).toBeInstanceOf(Parameter);
  });

  it('made inside a scope lives on after it', () => {
    const close = openScope();
    const net = new Net();
    close();
    expect(net(ones([3, 2])).shape).toEqual([3, 2]);
  });

  it('prints an empty subclass and one with an extra line', () => {
    class Extra extends Module {
      readonly act = new ReLU();
      forward(x: Tensor): Tensor {
        return x;
      }
      override extraRepr(): string {
        return 'k=1';
      }
    }
    expect(String(new Extra())).toBe('Extra(\n  k=1\n  (act): ReLU()\n)');
  });
});

describe('Sequential', () => {
  it('calls its modules in order, and nothing when empty', () => {
    const net = new Sequential(new ReLU(), new Sigmoid());
    expect(net(tensor([-1])).item()).toBe(0.5);
    const x = ones([1]);
    expect(new Sequential()(x)).toBe(x);
  });

  it('takes names, and passes several arguments to the first', () => {
    const net = new Sequential<[x: Tensor, shift: number], Tensor>({ block: new Block(), act: new ReLU() });
    expect([...net.namedChildren()].map(([name]) => name)).toEqual(['block', 'act']);
    expect((net as unknown as { act: Module }).act).toBe(net.at(1));
    expect(net(zeros([2, 2]), 3).toArray()).toEqual([
      [3, 3],
      [3, 3],
    ]);
    expect(new Sequential(new Map([['a', new ReLU()]])).length).toBe(1);
  });

  it('is indexed, iterated, appended, extended, inserted into and cut', () => {
    const [a, b, c] = [new ReLU(), new Tanh(), new Sigmoid()];
    const net = new Sequential(a).append(b);
    expect([net.length, net.at(-1), net[0], net.at(0)]).toEqual([2, b, a, a]);
    net.insert(1, c);
    expect([...net]).toEqual([a, c, b]);
    expect(net.pop(0)).toBe(a);
    expect([[...net], net[2]]).toEqual([[c, b], undefined]);
    net.extend([a]);
    net.set(-1, c);
    expect([...net.slice(1)]).toEqual([b, c]);
    expect([...net.extend(net)]).toHaveLength(6);
    for (const index of [6, -7, 0.5]) expect(() => net.at(index)).toThrow(`index ${index} is out of range`);
    expect(() => net.insert(9, a)).toThrow('Index out of range: 9');
    expect(() => net.append(3 as unknown as Module)).toThrow('number is not a Module subclass');
  });

  it('uses the generator as its layers are made', () => {
    const weights = () => {
      manualSeed(4);
      return new Sequential(new Linear(2, 2), new Linear(2, 1)).stateDict().get('1.weight')!.toArray();
    };
    expect(weights()).toEqual(weights());
  });
});

describe('ModuleList and ModuleDict', () => {
  it('hold modules that are found, and cannot be called', () => {
    const list = new ModuleList([new Linear(1, 1), new Linear(1, 1)]);
    expect([...list.stateDict().keys()]).toEqual(['0.weight', '0.bias', '1.weight', '1.bias']);
    const dict = new ModuleDict({ a: new Linear(1, 1) });
    expect([...dict.stateDict().keys()]).toEqual(['a.weight', 'a.bias']);
    for (const module of [list, dict])
      expect(() => module()).toThrow(`Module [${module.constructor.name}] is missing the required "forward" function`);
  });

  it('a list prints what it holds now', () => {
    const list = new ModuleList<Module>([new ReLU()]);
    list.insert(0, new Tanh()).append(new ReLU());
    expect(String(list)).toBe('ModuleList(\n  (0): Tanh()\n  (1-2): 2 x ReLU()\n)');
  });

  it('a dictionary sets, gets, replaces, removes and iterates in order', () => {
    const [relu, tanh] = [new ReLU(), new Tanh()];
    const dict = new ModuleDict().set('x', relu).update(new Map([['y', tanh]]));
    expect([dict.size, dict.has('x'), dict.has('z'), dict.get('y')]).toEqual([2, true, false, tanh]);
    dict.set('x', tanh);
    expect([...dict]).toEqual([
      ['x', tanh],
      ['y', tanh],
    ]);
    expect([[...dict.keys()], [...dict.values()]]).toEqual([
      ['x', 'y'],
      [tanh, tanh],
    ]);
    expect(dict.pop('x')).toBe(tanh);
    expect(() => dict.pop('x')).toThrow('x');
    dict.clear();
    expect(dict.size).toBe(0);
    expect(() => dict.set('keys', relu)).toThrow("attribute 'keys' already exists");
    expect(() => dict.set('a', null as unknown as Module)).toThrow('null is not a Module subclass');
  });
});
