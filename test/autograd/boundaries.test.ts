// What a caller may hand to the engine: gradients, hooks' results and states of another size, dtype or engine never
// reach a kernel. The values, and what is refused, are PyTorch's.
import { describe, expect, test } from 'vitest';
import { backward, grad } from '../../src/autograd/backward.ts';
import { ArgumentTypeError, RuntimeError, ValueError } from '../../src/errors.ts';
import { type DType, full, getEngine, ones, setEngine, Tensor, tensor, zeros } from '../../src/index.ts';
import { Linear } from '../../src/nn/index.ts';
import { Adam, AdamW, type Optimizer, RMSprop, SGD } from '../../src/optim/index.ts';

const list = (t: Tensor | null) => Array.from(t!.dataSync() as ArrayLike<number>);
const leaf = (values: number[]) => tensor(values, { requiresGrad: true });

/** Runs `make` on the other engine, where there are two. */
function onOtherEngine<T>(make: () => T): T | null {
  const here = getEngine();
  if (here === 'wasm') return null; // The native engine may not be built.
  setEngine('wasm');
  try {
    return make();
  } finally {
    setEngine(here);
  }
}

describe('.grad', () => {
  test('takes what is as its tensor is, or null', () => {
    const p = leaf([1, 2, 3]);
    const g = tensor([4, 5, 6]);
    p.grad = g;
    expect(p.grad).toBe(g);
    p.grad = null;
    expect(p.grad).toBeNull();
  });

  test('refuses another size, dtype, engine or kind, and keeps what it had', () => {
    const p = leaf([1, 2, 3]);
    const g = tensor([4, 5, 6]);
    p.grad = g;
    const assign = (value: unknown) => () => {
      p.grad = value as Tensor;
    };
    expect(assign(ones([1]))).toThrow(
      new RuntimeError(
        "attempting to assign a gradient of size '[1]' to a tensor of size '[3]'. Please ensure that the gradient and the tensor are the same size",
      ),
    );
    expect(assign(ones([3, 1]))).toThrow("a gradient of size '[3, 1]'");
    for (const dtype of ['float64', 'int64', 'int32', 'bool', 'uint8'] as DType[])
      expect(assign(full([3], 1, { dtype }))).toThrow(`attempting to assign a gradient with dtype '${dtype}'`);
    for (const value of [3, [1, 2, 3], 'x', {}, undefined, Float32Array.of(1, 2, 3)])
      expect(assign(value)).toThrow(ArgumentTypeError);
    expect(assign(p)).toThrow("can't assign a tensor as its own grad");
    const foreign = onOtherEngine(() => ones([3]));
    if (foreign) expect(assign(foreign)).toThrow('on the engine wasm to a tensor on native');
    expect(p.grad).toBe(g);
  });
});

describe('backward', () => {
  const through = (gradient: unknown) => {
    const x = leaf([1, 2, 3, 4]);
    x.relu().backward(gradient as Tensor);
    return [x.grad!.dtype, list(x.grad)];
  };

  test('converts a given gradient to the dtype of its tensor', () => {
    for (const dtype of ['float32', 'float64', 'int64', 'int32', 'uint8', 'bool'] as DType[])
      expect(through(full([4], 1, { dtype }))).toEqual(['float32', [1, 1, 1, 1]]);
    const x = tensor([1, 2], { dtype: 'float64', requiresGrad: true });
    x.mul(3).backward(tensor([0.5, 1]));
    expect([x.grad!.dtype, list(x.grad)]).toEqual(['float64', [1.5, 3]]);
    const [dx] = grad([x.mul(3)], [x], { gradOutputs: [tensor([2, 4])] });
    expect([dx.dtype, list(dx)]).toEqual(['float64', [6, 12]]);
  });

  test('refuses one of another shape, kind or engine', () => {
    expect(() => through(ones([1]))).toThrow(
      'Mismatch in shape: gradOutputs[0] has a shape of [1] and output[0] has a shape of [4].',
    );
    for (const value of [3, 0, [1, 1, 1, 1], 'x', Float32Array.of(1, 1, 1, 1)])
      expect(() => through(value)).toThrow(/gradients can be either Tensors or null, but got /);
    const foreign = onOtherEngine(() => ones([4]));
    if (foreign) expect(() => through(foreign)).toThrow('expected a gradient on the engine native, got one on wasm');
    const y = leaf([1]).mul(2);
    expect(() => backward([y], [null, ones([1])])).toThrow('[backward] got 2 gradients for 1 tensors');
    expect(() => backward(y as never)).toThrow(ArgumentTypeError);
    expect(() => backward([3 as never])).toThrow('[backward] expected tensors to differentiate, got 3');
  });

  test('leaves alone a leaf that was taken out of training after its forward', () => {
    const [a, b] = [leaf([1, 2]), leaf([3, 4])];
    const y = a.mul(b).sum();
    a.requiresGrad = false;
    y.backward();
    expect([a.grad, list(b.grad)]).toEqual([null, [1, 2]]);
  });
});

describe('in place', () => {
  test('an operand of another engine is refused before anything is written', () => {
    const foreign = onOtherEngine(() => full([3], 7));
    if (!foreign) return;
    const x = tensor([1, 2, 3]);
    expect(() => x.add_(foreign)).toThrow(RuntimeError);
    expect(list(x)).toEqual([1, 2, 3]);
    // copy_ brings values over, as in PyTorch.
    expect(list(x.copy_(foreign))).toEqual([7, 7, 7]);
    expect(list(zeros([2, 3]).copy_(foreign))).toEqual([7, 7, 7, 7, 7, 7]);
  });

  test('a source that does not broadcast is refused before anything is written', () => {
    const x = tensor([1, 2, 3]);
    expect(() => x.copy_(ones([4]))).toThrow(RuntimeError);
    expect(() => x.copy_(ones([2, 3]))).toThrow(RuntimeError);
    expect(() => x.copy_(3 as never)).toThrow(ArgumentTypeError);
    expect(() => x.mul_(ones([2, 3]))).toThrow(RuntimeError);
    expect(list(x)).toEqual([1, 2, 3]);
  });
});

type Make = (params: Tensor[]) => Optimizer;
const optimizers: [string, Make, string][] = [
  ['SGD', (params) => new SGD(params as never, { lr: 0.1, momentum: 0.9 }) as never, 'momentum_buffer'],
  ['Adam', (params) => new Adam(params as never) as never, 'exp_avg'],
  ['Adam with amsgrad', (params) => new Adam(params as never, { amsgrad: true }) as never, 'max_exp_avg_sq'],
  ['AdamW', (params) => new AdamW(params as never) as never, 'exp_avg_sq'],
  ['RMSprop', (params) => new RMSprop(params as never, { momentum: 0.9, centered: true }) as never, 'grad_avg'],
];

describe.each(optimizers)('loadStateDict of %s', (_, make, name) => {
  /** An optimizer that has taken a step, and its parameter. */
  function stepped(values: number[] = [1, 2, 3]): [Optimizer, Tensor] {
    const p = leaf(values);
    const optimizer = make([p]);
    p.mul(p).sum().backward();
    optimizer.step();
    return [optimizer, p];
  }
  const snapshot = (optimizer: Optimizer, p: Tensor) => ({
    state: Object.entries(optimizer.state.get(p)!).map(([key, value]) => [
      key,
      value instanceof Tensor ? list(value) : value,
    ]),
    groups: optimizer.paramGroups.map(({ params: _params, ...options }) => ({ ...options })),
  });

  test('refuses a state of another size, and loads nothing of it', () => {
    const [optimizer, p] = stepped();
    for (const shape of [[1], [4], [3, 1], [1000], []]) {
      const saved = optimizer.stateDict();
      const before = snapshot(optimizer, p);
      saved.state[0] = { ...saved.state[0], [name]: zeros(shape) };
      saved.param_groups[0] = { ...saved.param_groups[0], lr: 77 };
      expect(() => optimizer.loadStateDict(saved)).toThrow(ValueError);
      expect(() => optimizer.loadStateDict(saved)).toThrow(
        `[loadStateDict] expected state '${name}' of parameter 0 of shape [3], as the parameter has, got [${shape.join(', ')}]`,
      );
      expect(snapshot(optimizer, p)).toEqual(before);
    }
    p.mul(p).sum().backward();
    optimizer.step();
    expect(list(p).every(Number.isFinite)).toBe(true);
  });

  test('converts a state of another dtype', () => {
    const [optimizer, p] = stepped();
    const before = snapshot(optimizer, p);
    const saved = optimizer.stateDict();
    saved.state[0] = { ...saved.state[0], [name]: (saved.state[0][name] as Tensor).to('float64') };
    optimizer.loadStateDict(saved);
    expect(snapshot(optimizer, p)).toEqual(before);
  });

  test('refuses what is no state', () => {
    const [optimizer, p] = stepped();
    const before = snapshot(optimizer, p);
    const saved = optimizer.stateDict();
    const withState = (entry: unknown) => ({ ...saved, state: { 0: entry } });
    const withOption = (options: object) => ({ ...saved, param_groups: [{ ...saved.param_groups[0], ...options }] });
    const wrong: unknown[] = [
      null,
      undefined,
      3,
      {},
      { state: {} },
      { param_groups: saved.param_groups },
      { state: [], param_groups: saved.param_groups },
      { state: {}, param_groups: [null] },
      { state: {}, param_groups: [{ lr: 1 }] },
      withState(null),
      withState(3),
      withState({ ...saved.state[0], [name]: 'x' }),
      withState({ ...saved.state[0], step: 1.5 }),
      withState({ ...saved.state[0], step: -1 }),
      withState({ ...saved.state[0], step: zeros([2]) }),
      withOption({ lr: 'x' }),
      withOption({ lr: -1 }),
      withOption({ lr: null }),
      withOption({ maximize: 1 }),
      withOption({ weight_decay: Number.NaN }),
    ];
    for (const [i, each] of wrong.entries()) {
      expect(() => optimizer.loadStateDict(each as never), `state ${i}`).toThrow(
        /\[loadStateDict\]|Invalid|cannot be converted to Scalar/,
      );
      expect(snapshot(optimizer, p)).toEqual(before);
    }
  });
});

test('a step over a gradient or state that no longer fits its parameter is refused', () => {
  const p = leaf([1, 2, 3]);
  const optimizer = new Adam([p]);
  p.adoptGrad(ones([1]));
  expect(() => optimizer.step()).toThrow(
    /^\[step\] expected a gradient as its parameter is, float32 of shape \[3\] on the engine \w+, got float32 of shape \[1\]/,
  );
  p.grad = ones([3]);
  optimizer.state.set(p, { step: 1, exp_avg: zeros([2]), exp_avg_sq: zeros([3]) });
  expect(() => optimizer.step()).toThrow("[step] expected state 'exp_avg'");
  expect(list(p)).toEqual([1, 2, 3]);
});

test('a layer’s gradients survive what is assigned to them wrongly', () => {
  const layer = new Linear(10, 100);
  expect(() => {
    layer.weight.grad = ones([1]);
  }).toThrow(RuntimeError);
  expect(layer.weight.grad).toBeNull();
});

test('shapes and dtypes that JavaScript changed reach no kernel', () => {
  const changes: ((x: Record<string, unknown>) => void)[] = [
    (x) => {
      (x.shape as number[])[0] = 1000;
    },
    (x) => {
      (x.shape as number[])[0] = 1.5;
    },
    (x) => {
      (x.shape as number[])[0] = -3;
    },
    (x) => {
      (x.shape as number[]).push(7);
    },
    (x) => {
      x.shape = [2 ** 20];
    },
    (x) => {
      x.dtype = 'float64';
    },
    (x) => {
      x.storage = tensor([1]).storage;
    },
  ];
  for (const change of changes) {
    const x = tensor([1, 2, 3]);
    change(x as unknown as Record<string, unknown>);
    expect(() => x.neg()).toThrow(/^\[Tensor\] shape .* does not fit the \d+ bytes of this tensor/);
    expect(() => x.dataSync()).toThrow();
    expect(() => x.fill_(7)).toThrow();
  }
});
