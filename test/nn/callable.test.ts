// A module is a function: what calling, subclassing, printing, copying and fields of all names make of that.
import { inspect } from 'node:util';
import ts from 'typescript';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { DataLoader, TensorDataset } from '../../src/data/index.ts';
import * as evenkeel from '../../src/index.ts';
import { noGrad, ones, scope, type Tensor, tensor, zeros } from '../../src/index.ts';
import * as nn from '../../src/nn/index.ts';
import { setWarningHandler, type WarningHandler } from '../../src/warnings.ts';

const {
  BatchNorm1d,
  Conv2d,
  copyModule,
  Dropout,
  Linear,
  Module,
  ModuleDict,
  ModuleList,
  Parameter,
  ReLU,
  Sequential,
} = nn;

let warnings: string[] = [];
let before: WarningHandler;
beforeEach(() => {
  warnings = [];
  before = setWarningHandler((message) => warnings.push(message));
});
afterEach(() => void setWarningHandler(before));

class Scale extends Module {
  factor: number;
  linear = new Linear(2, 2);
  constructor(factor: number) {
    super();
    this.factor = factor;
  }
  forward(x: Tensor, shift = 0): Tensor {
    return this.linear(x).mul(this.factor).add(shift);
  }
}

describe('calling', () => {
  test('is forward with its hooks; forward alone has none', () => {
    const module = new Scale(2);
    const x = ones([1, 2]);
    const plain = module(x).toArray();
    expect(module.forward(x).toArray()).toEqual(plain);
    let calls = 0;
    const remove = module.registerForwardHook(() => void calls++);
    module.registerForwardPreHook(() => void calls++);
    module(x);
    module.forward(x);
    expect(calls).toBe(2);
    remove();
    module(x);
    expect(calls).toBe(3);
  });

  test('a hook registered twice runs twice, and is removed one by one', () => {
    const module = new ReLU();
    let calls = 0;
    const count = () => void calls++;
    for (const register of ['registerForwardHook', 'registerForwardPreHook'] as const) {
      calls = 0;
      const removers = [module[register](count), module[register](count)];
      module(ones([1]));
      expect(calls).toBe(2);
      removers[0]();
      removers[0]();
      module(ones([1]));
      expect(calls).toBe(3);
      removers[1]();
    }
    expect(() => module.registerForwardHook(3 as never)).toThrow('expected a function, got number');
  });

  test('has the types of forward', () => {
    const module = new Scale(2);
    expectTypeOf(module).parameters.toEqualTypeOf<[x: Tensor, shift?: number]>();
    expectTypeOf(module(ones([1, 2]))).toEqualTypeOf<Tensor>();
    class Pair extends Module {
      forward(x: Tensor): [Tensor, Tensor] {
        return [x, x];
      }
    }
    expectTypeOf(new Pair()(ones([1]))).toEqualTypeOf<[Tensor, Tensor]>();
  });

  test('is neither bound nor borrowed: there is no call, apply of a function, bind', () => {
    const module = new ReLU() as unknown as Record<string, unknown>;
    expect([module.call, module.bind, module.prototype, module.caller, module.arguments]).toEqual(
      Array(5).fill(undefined),
    );
    expect(typeof module).toBe('function');
    expect(module).toBeInstanceOf(Module);
    expect(module).toBeInstanceOf(ReLU);
    expect(module).not.toBeInstanceOf(Linear);
  });

  test('map passes the index too, as to any function', () => {
    const seen: unknown[][] = [];
    const module = new (class extends Module {
      forward(...args: unknown[]) {
        seen.push(args);
      }
    })();
    [1, 2].map(module);
    expect(seen.map(([value, index]) => [value, index])).toEqual([
      [1, 0],
      [2, 1],
    ]);
  });

  test('an error in a forward leaves nothing behind', () => {
    const failing = new (class extends Module {
      forward(): never {
        throw new Error('stop');
      }
    })();
    const model = new Sequential(new Linear(2, 2), failing);
    for (let i = 0; i < 3; i++) expect(() => model(ones([1, 2]))).toThrow('stop');
    expect(new Sequential(new Linear(2, 2), new ReLU())(ones([1, 2])).shape).toEqual([1, 2]);
  });
});

describe('fields', () => {
  test('may have the names of a function’s own properties', () => {
    class Named extends Module {
      override name = 'stem';
      override length = 7;
      forward(x: Tensor) {
        return x;
      }
    }
    class Assigned extends Module {
      constructor() {
        super();
        Object.assign(this, { name: 'stem', length: 7 });
      }
      forward(x: Tensor) {
        return x;
      }
    }
    for (const module of [new Named(), new Assigned() as Assigned & { name: string; length: number }]) {
      expect([module.name, module.length]).toEqual(['stem', 7]);
      module.name = 'other';
      expect(module.name).toBe('other');
    }
    expect([new Sequential().length, new Sequential(new ReLU()).length, new ModuleList().length]).toEqual([0, 1, 0]);
    expect(Object.keys(new ReLU())).not.toContain('name');
  });

  test('getters, private and static members, abstract bases, subclasses of subclasses', () => {
    abstract class Base extends Module {
      #calls = 0;
      static made = 0;
      constructor() {
        super();
        Base.made++;
      }
      get calls(): number {
        return this.#calls;
      }
      abstract scale(): number;
      forward(x: Tensor): Tensor {
        this.#calls++;
        return x.mul(this.scale());
      }
    }
    class Twice extends Base {
      scale(): number {
        return 2;
      }
    }
    class FourTimes extends Twice {
      override scale(): number {
        return super.scale() * 2;
      }
      override forward(x: Tensor): Tensor {
        return super.forward(x);
      }
    }
    const module = new FourTimes();
    expect([module(tensor([1])).item(), module.calls, Base.made]).toEqual([4, 1, 1]);
    expect(module).toBeInstanceOf(Base);
  });

  test.each([true, false])('defined or set (useDefineForClassFields %s)', (useDefineForClassFields) => {
    const source = `
      class Net extends nn.Module {
        first = new nn.Linear(2, 3);
        scale = new nn.Parameter(ones([3]));
        name = 'net';
        nothing: nn.Module | null = null;
        second = new nn.Linear(3, 1);
        forward(x: Tensor) { return this.second(this.first(x).mul(this.scale)); }
      }
      return new Net();`;
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { target: ts.ScriptTarget.ES2022, useDefineForClassFields },
    });
    const make = new Function('nn', 'ones', outputText) as (...args: unknown[]) => nn.Module & { name: string };
    const net = make(nn, ones);
    expect(net.namedParameters().map(([name]) => name)).toEqual([
      'scale',
      'first.weight',
      'first.bias',
      'second.weight',
      'second.bias',
    ]);
    expect([net.name, net.namedChildren().map(([name]) => name)]).toEqual(['net', ['first', 'second']]);
    expect((net(ones([1, 2])) as Tensor).shape).toEqual([1, 1]);
  });

  test('keep the order in which they were added, registered or not, whatever their names', () => {
    const module = new (class extends Module {
      b = new Linear(1, 1);
      constructor() {
        super();
        this.registerModule('10', new ReLU());
        (this as unknown as Record<string, unknown>).a = new Linear(1, 1);
        this.registerModule('2', new ReLU());
        this.registerParameter('7', new Parameter(ones([1])));
        (this as unknown as Record<string, unknown>).p = new Parameter(ones([1]));
        this.registerParameter('3', new Parameter(ones([1])));
      }
      forward() {}
    })();
    expect(module.namedChildren().map(([name]) => name)).toEqual(['b', '10', 'a', '2']);
    expect([...module.ownParameters().keys()]).toEqual(['7', 'p', '3']);
    const dict = new ModuleDict({ z: new ReLU() });
    dict.set('20', new ReLU()).set('3', new ReLU());
    expect([...dict.keys()]).toEqual(['z', '20', '3']);
    expect(
      copyModule(module)
        .namedChildren()
        .map(([name]) => name),
    ).toEqual(['b', '10', 'a', '2']);
  });

  test('the tree is what the properties hold now', () => {
    const module = new Scale(1) as Scale & Record<string, unknown>;
    module.extra = new Linear(2, 2);
    expect(module.namedChildren().map(([name]) => name)).toEqual(['linear', 'extra']);
    delete module.extra;
    expect(module.namedChildren().map(([name]) => name)).toEqual(['linear']);
    module.linear = null as never;
    expect(module.parameters()).toEqual([]);
  });
});

describe('lists', () => {
  test('are arrays, which nothing uses up', () => {
    const net = new Sequential(new Linear(2, 2), new BatchNorm1d(2));
    const lists = [
      net.parameters(),
      net.namedParameters(),
      net.buffers(),
      net.namedBuffers(),
      net.modules(),
      net.namedModules(),
      net.children(),
      net.namedChildren(),
    ];
    expect(lists.map((list) => [Array.isArray(list), list.length])).toEqual(
      [4, 4, 3, 3, 3, 3, 2, 2].map((n) => [true, n]),
    );
    const parameters = net.parameters();
    net(ones([3, 2]))
      .sum()
      .backward();
    for (let i = 0; i < 2; i++) expect(parameters.filter((p) => p.grad)).toHaveLength(4);
  });
});

describe('printing and copies', () => {
  test('a module is shown as its structure', () => {
    const net = new Sequential(new ReLU());
    const text = 'Sequential(\n  (0): ReLU()\n)';
    expect([String(net), `${net}`, inspect(net)]).toEqual([text, text, text]);
    expect(inspect({ net })).toContain('Sequential(');
  });

  test('JSON has the state', () => {
    const [from, to] = [new Scale(2), new Scale(2)];
    const text = JSON.stringify({ model: from });
    to.loadStateDict((JSON.parse(text) as { model: Record<string, Tensor> }).model);
    expect(to(ones([1, 2])).toArray()).toEqual(from(ones([1, 2])).toArray());
  });

  test('nested modules are copied, not shared', () => {
    class Outer extends Module {
      inner = new Scale(3);
      pair = [new Scale(1)];
      byName = new Map([['a', new Scale(2)]]);
      forward(x: Tensor) {
        return this.inner(x);
      }
    }
    const outer = new Outer();
    const copy = copyModule(outer);
    expect(copy).toBeInstanceOf(Outer);
    expect([
      copy.inner === outer.inner,
      copy.pair[0] === outer.pair[0],
      copy.byName.get('a') === outer.byName.get('a'),
    ]).toEqual([false, false, false]);
    noGrad(() => copy.inner.linear.weight.fill_(0));
    expect(outer.inner.linear.weight.toArray()).not.toEqual(zeros([2, 2]).toArray());
    expect(copy(ones([1, 2])).shape).toEqual([1, 2]);
    // A plain property of the copy is one, too.
    copy.inner = null as never;
  });
});

test('a copy of a class with private members says why it cannot run', () => {
  class Counting extends Module {
    #calls = 0;
    forward(x: Tensor) {
      this.#calls++;
      return x.mul(this.#calls);
    }
  }
  const copy = copyModule(new Sequential(new Counting()));
  expect(() => copy(ones([1]))).toThrow(
    /^\[copyModule\] Counting has #private members, which nobody can give to a copy, .* declare them private, as TypeScript has it/,
  );
});

describe('modules that are no part of the tree', () => {
  const x = ones([2, 2]);

  test('in arrays, sets, maps and objects: a warning names the property', () => {
    const holders: [string, (layer: nn.Module) => unknown][] = [
      ['an array', (layer) => [layer]],
      ['a set', (layer) => new Set([layer])],
      ['a map', (layer) => new Map([['a', layer]])],
      ['an object', (layer) => ({ a: layer })],
    ];
    for (const [name, hold] of holders) {
      warnings = [];
      const layer = new Linear(2, 2);
      class Holder extends Module {
        blocks = hold(layer);
        forward(given: Tensor) {
          return layer(given);
        }
      }
      const model = new Sequential({ body: new Holder() });
      model(x);
      model(x);
      expect(warnings, name).toEqual([
        "[Sequential] Linear(in_features=2, out_features=2, bias=True) is called and is no part of the model, since 'body.blocks' is no module itself; make it a ModuleList or ModuleDict: parameters() and stateDict() do not list it, train(), eval() and to() do not reach it.",
      ]);
      expect(model.parameters()).toEqual([]);
    }
  });

  test('in private and accessor fields: a warning says so', () => {
    class Private extends Module {
      readonly #layer = new Dropout(0.5);
      forward(given: Tensor) {
        return this.#layer(given);
      }
    }
    new Private()(x);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /^\[Private\] Dropout\(p=0.5, inplace=False\) is called .* no property holds it; a #private or accessor field does not count, make it a plain property/,
    );
  });

  test('what has neither parameters nor a mode is nobody’s concern', () => {
    const act = new ReLU();
    class Free extends Module {
      layer = new Linear(2, 2);
      forward(given: Tensor) {
        return act(this.layer(given));
      }
    }
    new Free()(x);
    expect(warnings).toEqual([]);
  });
});

describe('tensors in properties', () => {
  test('outlive the steps in which they were assigned', () => {
    class Moving extends Module {
      mean: Tensor | null = null;
      seen: Tensor[] = [];
      last = { x: null as Tensor | null };
      forward(x: Tensor): Tensor {
        this.mean = this.mean ? this.mean.mul(0.9).add(x.mean().mul(0.1)) : x.mean();
        this.seen.push(x.sum());
        this.last.x = x.mul(2);
        return x.mul(1);
      }
    }
    const model = new Sequential(new Moving());
    const moving = model.at(0) as Moving;
    let y: Tensor | null = null;
    for (const [x] of new DataLoader(new TensorDataset(ones([6, 2])), { batchSize: 2 })) y = model(x);
    expect(moving.mean!.item()).toBeCloseTo(1);
    expect(moving.seen.map((t) => t.item())).toEqual([4, 4, 4]);
    expect(moving.last.x!.toArray()).toEqual([
      [2, 2],
      [2, 2],
    ]);
    expect(() => y!.dataSync()).toThrow(/assign it to a property of a module, or use .item\(\)/);
  });

  test('in scopes within scopes', () => {
    const model = new (class extends Module {
      kept: Tensor | null = null;
      forward(x: Tensor) {
        this.kept = x.mul(3);
        return x;
      }
    })();
    scope(() => {
      scope(() => void model(ones([1])));
      expect(model.kept!.item()).toBe(3);
    });
    expect(model.kept!.item()).toBe(3);
  });
});

test('a conv net trains through calls alone', () => {
  evenkeel.manualSeed(0);
  const model = new Sequential(new Conv2d(1, 2, 3), new ReLU(), new nn.Flatten(), new Linear(8, 2));
  const loss = new nn.CrossEntropyLoss();
  const value = loss(model(ones([2, 1, 4, 4])), tensor([0, 1], { dtype: 'int64' }));
  value.backward();
  expect(model.parameters().every((p) => p.grad !== null)).toBe(true);
});

test('a checkpoint takes a module as its function', () => {
  const block = new Sequential(new Linear(2, 2), new ReLU());
  const x = ones([1, 2], { requiresGrad: true });
  evenkeel.checkpoint(block, x).sum().backward();
  const [checked, plain] = [x.grad!.toArray(), ones([1, 2], { requiresGrad: true })];
  block(plain).sum().backward();
  expect(checked).toEqual(plain.grad!.toArray());
});
