// The rules of autograd, as PyTorch has them: where gradients end, who owns their memory, hooks, higher orders, changes
// in place, what a second backward may do, modes, and functions of the user's own. Formulas of single operations are
// walked in test/cases.
import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/errors.ts';
import {
  defineFunction,
  enableGrad,
  grad,
  isGradEnabled,
  noGrad,
  ones,
  type Tensor,
  tensor,
  trace,
  zeros,
} from '../../src/index.ts';
import { BatchNorm1d, LayerNorm, type Module } from '../../src/nn/index.ts';
import { expectClose } from '../support/golden.ts';

const leaf = (values: number[]) => tensor(values, { requiresGrad: true });
const list = (t: Tensor | null) => (t ? Array.from(t.dataSync() as Float32Array) : null);
const thrown = (fn: () => unknown): Error => {
  try {
    fn();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
};

describe('leaves and their gradients', () => {
  test('accumulate over backwards', () => {
    const x = leaf([1, 2]);
    x.mul(3).sum().backward();
    const first = x.grad;
    x.mul(x).sum().backward();
    expect(list(x.grad)).toEqual([5, 7]);
    // In place, as in PyTorch.
    expect(x.grad).toBe(first);
  });

  test('a gradient that somebody kept is not written after zeroGrad', () => {
    const x = leaf([1, 2]);
    x.mul(3).sum().backward();
    const kept = x.grad!;
    x.grad = null;
    x.mul(5).sum().backward();
    expect([list(kept), list(x.grad)]).toEqual([
      [3, 3],
      [5, 5],
    ]);
  });

  test.each([false, true])('two leaves never share memory, createGraph %s', (createGraph) => {
    const [a, b] = [leaf([1, 2]), leaf([3, 4])];
    a.add(b).sum().backward(null, { createGraph });
    expect(a.grad!.storage).not.toBe(b.grad!.storage);
    // If they did, the second sum would be added twice.
    a.add(b).sum().backward();
    expect([list(a.grad), list(b.grad)]).toEqual([
      [2, 2],
      [2, 2],
    ]);
  });

  test('the gradient given to backward stays its owner’s', () => {
    const [x, given] = [leaf([1, 2]), tensor([10, 20])];
    x.backward(given);
    x.backward(given);
    x.reshape([2]).clone().backward(given);
    expect(list(x.grad)).toEqual([30, 60]);
    expect(list(given)).toEqual([10, 20]);
  });

  test('a gradient that a hook saw is not changed later', () => {
    const x = leaf([1, 2]);
    const y = x.add(1);
    const seen: Tensor[] = [];
    x.registerHook((g) => void seen.push(g));
    y.registerHook((g) => void seen.push(g));
    for (let i = 0; i < 2; i++) y.mul(2).sum().backward(null, { retainGraph: true });
    expect(list(x.grad)).toEqual([4, 4]);
    expect(seen.map(list)).toEqual(Array(4).fill([2, 2]));
  });

  test('of a leaf used often are summed', () => {
    const x = leaf([2]);
    x.mul(x).add(x.mul(x).mul(x)).add(x).backward();
    expect(list(x.grad)).toEqual([4 + 12 + 1]);
  });

  test('where no gradient flows there is none', () => {
    const [x, y] = [leaf([1]), leaf([2])];
    x.mul(y.detach()).backward();
    expect([list(x.grad), y.grad]).toEqual([[2], null]);
  });
});

describe('backward', () => {
  test('of more than one value needs a gradient of its shape', () => {
    const x = leaf([1, 2]);
    expect(() => x.mul(2).backward()).toThrow(
      new RuntimeError('grad can be implicitly created only for scalar outputs'),
    );
    expect(thrown(() => x.mul(2).backward(tensor([1]))).message).toBe(
      'Mismatch in shape: gradOutputs[0] has a shape of [1] and output[0] has a shape of [2].',
    );
    x.mul(2).backward(tensor([1, 10]));
    expect(list(x.grad)).toEqual([2, 20]);
  });

  test('of what needs none', () => {
    expect(() => tensor(1).backward()).toThrow(
      new RuntimeError('element 0 of tensors does not require grad and does not have a gradFn'),
    );
  });

  test('twice needs retainGraph, where something was saved', () => {
    const x = leaf([1, 2]);
    const y = x.sigmoid().sum();
    y.backward();
    expect(thrown(() => y.backward()).message).toContain('Trying to backward through the graph a second time');
    const z = x.sigmoid().sum();
    z.backward(null, { retainGraph: true });
    z.backward();
    expect(() => z.backward()).toThrow(RuntimeError);
    // A sum saves nothing.
    const s = x.add(1).sum();
    s.backward();
    s.backward();
  });
});

describe('grad', () => {
  test('leaves .grad alone', () => {
    const x = leaf([3]);
    const y = x.mul(x);
    const [dx, dy] = grad([y.mul(2)], [x, y]);
    expect([list(dx), list(dy), x.grad, y.grad]).toEqual([[12], [2], null, null]);
  });

  test('of what was not used is an error, or null with allowUnused', () => {
    const [x, y] = [leaf([3]), leaf([4])];
    expect(() => grad([x.mul(2)], [x, y])).toThrow(
      'One of the differentiated Tensors appears to not have been used in the graph. Set allowUnused: true if this is the desired behavior.',
    );
    const [dx, dy] = grad([x.mul(2)], [x, y], { allowUnused: true });
    expect([list(dx), dy ?? null]).toEqual([[2], null]);
    expect(() => grad([x.mul(2)], [tensor([1])])).toThrow('One of the differentiated Tensors does not require grad');
  });

  test('computes no gradients that lead nowhere else', () => {
    const [x, w, v] = [ones([2, 3], { requiresGrad: true }), leaf([1, 2, 3]), leaf([1, 1, 1])];
    const seen: string[] = [];
    w.registerHook(() => void seen.push('w'));
    const hidden = v.mul(2);
    hidden.registerHook(() => void seen.push('hidden'));
    const y = x.mul(w).add(hidden);
    const total = y.sum();
    const { trace: kernels } = trace(() => grad([total], [x], { retainGraph: true }));
    // The gradient of the sum, and the product with w. One with x, and sums over rows, would be for w and v.
    expect(kernels.traceEvents.map(({ name }) => name)).toEqual(['fill', 'copyStrided', 'binary']);
    expect(seen).toEqual([]);
    // Another walk of the same graph wants the others.
    expect(grad([total], [w, v]).map(list)).toEqual([
      [2, 2, 2],
      [4, 4, 4],
    ]);
    expect(seen).toEqual(['w', 'hidden']);
  });

  test('of an output with respect to itself, and of an input given twice', () => {
    const x = leaf([3]);
    const y = x.mul(5);
    expect(grad([y], [y, x, x]).map(list)).toEqual([[1], [5], [5]]);
  });

  test('to the third order', () => {
    const x = tensor([2, -3], { dtype: 'float64', requiresGrad: true });
    const [first] = grad([x.pow(4).sum()], [x], { createGraph: true });
    const [second] = grad([first.sum()], [x], { createGraph: true });
    const [third] = grad([second.sum()], [x]);
    expect([first, second, third].map(list)).toEqual([
      [32, -108],
      [48, 108],
      [48, -72],
    ]);
    expect([second.requiresGrad, third.requiresGrad]).toEqual([true, false]);
  });

  test('a gradient penalty through backward', () => {
    const x = leaf([1, 2]);
    x.mul(x).sum().backward(null, { createGraph: true });
    const g = x.grad!;
    expect(g.requiresGrad).toBe(true);
    x.grad = null;
    g.mul(g).sum().backward(); // Σ (2x)²
    expect(list(x.grad)).toEqual([8, 16]);
  });

  // Their backward differentiates the plain definition by its operands, of which one may have been computed from
  // another.
  test.each<[string, () => Module]>([
    ['batch norm', () => new BatchNorm1d(3, { dtype: 'float64' })],
    ['layer norm', () => new LayerNorm([3], { dtype: 'float64' })],
  ])('%s called twice, with hooks in between, has the same gradients with createGraph', (_, make) => {
    const gradients = (createGraph: boolean) => {
      const norm = make() as Module & { weight: Tensor };
      const x = tensor([1, -2, 3, 0.5, 4, -1, 2, 2, 0.25, -3, 1, 1], { dtype: 'float64' })
        .reshape([4, 3])
        .requiresGrad_();
      const between = norm(x).sigmoid() as Tensor;
      let calls = 0;
      between.registerHook((g) => {
        calls++;
        return g.mul(2);
      });
      between.retainGrad();
      norm.weight.registerHook((g) => g.mul(3));
      norm(between).square().mul(between).sum().backward(null, { createGraph });
      return [x.grad!, norm.weight.grad!, between.grad!, tensor(calls)].map((g) => Array.from(g.dataSync(), Number));
    };
    const [recorded, plain] = [gradients(true), gradients(false)];
    for (const [i, values] of recorded.entries()) expectClose(values, plain[i], 1e-10);
  });
});

describe('hooks', () => {
  test('of a leaf see the whole gradient, once', () => {
    const x = leaf([3]);
    const seen: unknown[] = [];
    x.registerHook((g) => void seen.push(list(g)));
    x.mul(x).add(x).backward();
    expect(seen).toEqual([[7]]);
    grad([x.mul(x)], [x]);
    expect(seen).toEqual([[7], [6]]);
  });

  test('run in the order of registration, replace, and can be removed', () => {
    const x = leaf([1]);
    const y = x.mul(2);
    y.registerHook((g) => g.mul(10));
    const remove = y.registerHook((g) => g.add(1));
    y.backward(null, { retainGraph: true });
    expect(list(x.grad)).toEqual([22]);
    remove();
    x.grad = null;
    y.backward();
    expect(list(x.grad)).toEqual([20]);
  });

  test('may not change shape or dtype, and belong on tensors with gradients', () => {
    const returning = (result: (g: Tensor) => unknown, onLeaf = false) => {
      const x = leaf([1, 2]);
      const y = x.mul(2);
      (onLeaf ? x : y).registerHook(function change(g) {
        return result(g) as Tensor;
      });
      return () => y.sum().backward();
    };
    for (const onLeaf of [false, true]) {
      expect(returning(() => zeros([3]), onLeaf)).toThrow(
        "hook 'change' has changed the size of value (was [2] got [3])",
      );
      expect(returning((g) => g.to('float64'), onLeaf)).toThrow(
        "hook 'change' has changed the type of value (was float32 got float64)",
      );
      expect(returning(() => 3, onLeaf)).toThrow("expected a Tensor or nothing, but hook 'change' returned 3");
      expect(returning(() => 0, onLeaf)).toThrow("expected a Tensor or nothing, but hook 'change' returned 0");
    }
    expect(() => leaf([1]).registerHook(3 as never)).toThrow('[registerHook] expected a function, got 3');
    expect(() => tensor([1]).registerHook(() => {})).toThrow(
      "cannot register a hook on a tensor that doesn't require gradient",
    );
  });

  test('registered twice run twice, and are removed one by one', () => {
    for (const onLeaf of [false, true]) {
      const x = leaf([1]);
      const y = x.mul(2);
      let calls = 0;
      const count = () => void calls++;
      const target = onLeaf ? x : y;
      const removeFirst = target.registerHook(count);
      target.registerHook(count);
      y.backward(null, { retainGraph: true });
      expect(calls).toBe(2);
      removeFirst();
      removeFirst();
      y.backward(null, { retainGraph: true });
      expect(calls).toBe(3);
    }
  });

  test('may remove themselves while they run', () => {
    const x = leaf([1]);
    const seen: string[] = [];
    const remove = x.registerHook(() => {
      seen.push('first');
      remove();
    });
    x.registerHook(() => void seen.push('second'));
    x.mul(2).backward();
    x.mul(2).backward();
    expect(seen).toEqual(['first', 'second', 'second']);
  });

  test('retainGrad keeps the gradient of what is no leaf, after its hooks', () => {
    const x = leaf([1, 2]);
    const y = x.mul(3);
    y.retainGrad();
    y.registerHook((g) => g.mul(2));
    y.sum().backward();
    expect([list(y.grad), list(x.grad)]).toEqual([
      [2, 2],
      [6, 6],
    ]);
    expect(() => tensor([1]).retainGrad()).toThrow("can't retainGrad on Tensor that has requiresGrad: false");
  });
});

describe('changes in place', () => {
  test('of leaves that need gradients are refused, except under noGrad', () => {
    const x = leaf([1, 2]);
    for (const change of [() => x.add_(1), () => x.zero_(), () => x.copy_(tensor([1, 1])), () => x.uniform_()])
      expect(change).toThrow('a leaf Variable that requires grad is being used in an in-place operation.');
    noGrad(() => x.add_(1));
    expect(list(x)).toEqual([2, 3]);
  });

  test('become part of the graph', () => {
    const [x, w] = [leaf([1, 2]), leaf([3, 4])];
    const y = x.mul(2);
    y.add_(w).mul_(w); // (2x + w)·w
    expect(y.gradFn!.name).toBe('mulBackward');
    y.sum().backward();
    expect([list(x.grad), list(w.grad)]).toEqual([
      [6, 8],
      [2 + 6, 4 + 8],
    ]);
  });

  test('of a value that its own backward needs keep what they need', () => {
    const x = leaf([2, 3]);
    const power = x.clone().pow_(3);
    power.sum().backward();
    expect(list(x.grad)).toEqual([12, 27]);
    const root = x.detach().requiresGrad_();
    root.clone().sqrt_().sum().backward();
    expect(list(root.grad)![0]).toBeCloseTo(0.5 / Math.SQRT2, 6);
  });

  test('of a value that another backward needs are noticed, with version and maker', () => {
    const x = leaf([1, 2, 3]);
    const y = x.sigmoid();
    const z = y.sum();
    y.mul_(2);
    expect(thrown(() => z.backward()).message).toMatch(
      /^one of the variables needed for gradient computation has been modified by an inplace operation: \[float32 \[3\]\], which is output 0 of \w+Backward, is at version 1; expected version 0 instead\./,
    );
    const w = leaf([1, 2]);
    const p = w.mul(w);
    noGrad(() => w.add_(1));
    expect(thrown(() => p.sum().backward()).message).toContain(
      '[float32 [2]] is at version 1; expected version 0 instead',
    );
  });

  test('of what shares memory are noticed by the other view', () => {
    const x = leaf([1, 2]);
    const y = x.mul(1);
    const view = y.reshape([2, 1]);
    view.mul_(5);
    expect(() => y.sum().backward()).toThrow('shares memory with this one');
  });

  test('count versions, through views too', () => {
    const x = zeros([2, 2]);
    const flat = x.reshape([4]);
    flat.add_(1);
    expect([x.version, flat.version]).toEqual([1, 1]);
    expect(list(x)).toEqual([1, 1, 1, 1]);
  });

  test('cannot change shape or make integers of floats', () => {
    expect(() => zeros([2]).add_(zeros([3, 2]))).toThrow(
      "output with shape [2] doesn't match the broadcast shape [3, 2]",
    );
    expect(() => zeros([2], { dtype: 'int64' }).add_(0.5)).toThrow("can't be cast to the desired output type int64");
  });
});

describe('modes', () => {
  test('noGrad records nothing, enableGrad inside it does', () => {
    const x = leaf([1]);
    noGrad(() => {
      expect(x.mul(2).requiresGrad).toBe(false);
      expect(enableGrad(() => x.mul(2).requiresGrad)).toBe(true);
      expect(isGradEnabled()).toBe(false);
    });
    expect(isGradEnabled()).toBe(true);
  });

  test('end with an error and with an async function’s promise', async () => {
    expect(() =>
      noGrad(() => {
        throw new RangeError('inside');
      }),
    ).toThrow(RangeError);
    expect(isGradEnabled()).toBe(true);
    const x = leaf([1]);
    const y = await noGrad(async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return x.mul(2);
    });
    expect([y.requiresGrad, isGradEnabled()]).toEqual([false, true]);
    await expect(noGrad(async () => Promise.reject(new RangeError('later')))).rejects.toThrow('later');
    expect(isGradEnabled()).toBe(true);
  });

  test('detach shares the values and cuts the history', () => {
    const x = leaf([1, 2]);
    const y = x.mul(2);
    const d = y.detach();
    expect([d.requiresGrad, d.isLeaf, d.storage === y.storage]).toEqual([false, true, true]);
  });

  test('requiresGrad is a matter of float leaves', () => {
    expect(() => zeros([1], { dtype: 'int64', requiresGrad: true })).toThrow(
      'only Tensors of floating point dtype can require gradients',
    );
    const y = leaf([1]).mul(2);
    expect(() => {
      y.requiresGrad = false;
    }).toThrow('you can only change requiresGrad of leaf tensors.');
    expect(leaf([1]).gt(0).requiresGrad).toBe(false);
  });
});

describe('functions of the user', () => {
  const cube = defineFunction({
    name: 'Cube',
    forward: (x: Tensor, scale: number) => ({ output: x.mul(x).mul(x).mul(scale), saved: { x, scale } }),
    backward: (g, { x, scale }) => [
      g
        .mul(x)
        .mul(x)
        .mul(3 * scale),
      null,
    ],
  });

  test('have their own backward, of any order', () => {
    const x = leaf([2]);
    const y = cube(x, 10);
    expect([y.item(), y.gradFn!.name]).toEqual([80, 'CubeBackward']);
    const [first] = grad([y], [x], { createGraph: true });
    const [second] = grad([first], [x]);
    expect([list(first), list(second)]).toEqual([[120], [120]]);
  });

  test('free what they saved, and notice changes of it', () => {
    const x = leaf([2]);
    const y = cube(x, 1);
    y.backward();
    expect(() => y.backward()).toThrow('a second time');
    const c = x.clone();
    const z = cube(c, 1);
    c.add_(1);
    expect(() => z.backward()).toThrow('modified by an inplace operation');
  });

  test('must return a gradient for each argument, of its shape', () => {
    const few = defineFunction({
      name: 'Few',
      forward: (a: Tensor, b: Tensor) => ({ output: a.add(b), saved: {} }),
      backward: (g) => [g],
    });
    const misshapen = defineFunction({
      name: 'Misshapen',
      forward: (a: Tensor) => ({ output: a.mul(1), saved: {} }),
      backward: () => [zeros([3])],
    });
    expect(() => few(leaf([1]), leaf([2])).backward()).toThrow(
      'function FewBackward returned an incorrect number of gradients (expected 2, got 1)',
    );
    expect(() =>
      misshapen(leaf([1, 2]))
        .sum()
        .backward(),
    ).toThrow(
      'Function MisshapenBackward returned an invalid gradient at index 0 - got [3] but expected shape compatible with [2]',
    );
  });

  // The values are PyTorch's.
  test('have their gradients converted to the dtype of the input, and summed to its shape', () => {
    const returning = (result: (g: Tensor) => unknown) => {
      const given = defineFunction({
        name: 'Given',
        forward: (a: Tensor) => ({ output: a.mul(2), saved: {} }),
        backward: (g) => result(g) as Tensor[],
      });
      const x = leaf([1, 2, 3, 4]);
      given(x.relu()).sum().backward();
      return [x.grad!.dtype, list(x.grad)];
    };
    const ones4 = ['float32', [1, 1, 1, 1]];
    expect(returning((g) => [g.to('float64')])).toEqual(ones4);
    expect(returning((g) => [g.to('int64')])).toEqual(ones4);
    expect(returning((g) => g)).toEqual(ones4);
    expect(returning((g) => [g, null])).toEqual(ones4);
    expect(returning(() => [ones([2, 4])])).toEqual(['float32', [2, 2, 2, 2]]);
    expect(() => returning(() => [3])).toThrow('function GivenBackward expected a Tensor or null as gradient 0, got 3');
    expect(() => returning((g) => [g, g])).toThrow('an incorrect number of gradients (expected 1, got 2)');
  });

  test('must return tensors from their forward', () => {
    const odd = (output: unknown, saved: unknown = {}) =>
      defineFunction({
        name: 'Odd',
        forward: (_a: Tensor) => ({ output, saved }) as { output: Tensor; saved: object },
        backward: (g) => g,
      })(leaf([1]));
    for (const output of [3, null, [tensor(1), 3], 'x'])
      expect(() => odd(output)).toThrow(
        '[Odd] expected forward to return { output, saved } with a Tensor or an array of them as output, got ',
      );
    expect(() => odd(tensor([1]), null)).toThrow('[Odd] expected forward to return an object as saved, got null');
  });

  test('of several outputs get null where no gradient arrived, and know which gradients are wanted', () => {
    let seen: unknown[] = [];
    const both = defineFunction({
      name: 'both',
      forward: (a: Tensor, b: Tensor) => ({ output: [a.mul(2), b.mul(3)] as const, saved: {} }),
      backward: ([da, db], _saved, needs) => {
        seen = [da && list(da), db, needs];
        return [da?.mul(2), db?.mul(3)];
      },
    });
    const [a, b] = [leaf([1]), tensor([5])];
    const [y] = both(a, b);
    y.backward();
    expect(seen).toEqual([[1], null, [true, false]]);
    expect(list(a.grad)).toEqual([2]);
  });

  test('may hand the same gradient to all, which is then not shared', () => {
    const same = defineFunction({
      name: 'Same',
      forward: (a: Tensor, b: Tensor) => ({ output: a.add(b), saved: {} }),
      backward: (g) => [g, g],
    });
    const [a, b] = [leaf([1]), leaf([2])];
    for (let i = 0; i < 2; i++) same(a, b).mul(3).backward();
    expect([list(a.grad), list(b.grad)]).toEqual([[6], [6]]);
  });

  test('that return their input are part of the graph', () => {
    const pass = defineFunction({
      name: 'Pass',
      forward: (a: Tensor) => ({ output: a, saved: {} }),
      backward: (g) => [g.mul(7)],
    });
    const x = leaf([1]);
    pass(x).backward();
    expect(list(x.grad)).toEqual([7]);
  });
});
