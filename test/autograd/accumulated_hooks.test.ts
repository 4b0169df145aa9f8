// Hooks that are called when a leaf's gradient is complete, and functions at the end of a backward.
import { expect, test } from 'vitest';
import { atEndOfBackward } from '../../src/autograd/backward.ts';
import { checkpoint, enableGrad, grad, ones, type Tensor, tensor } from '../../src/index.ts';

test('sees the sum over all paths, after hooks of the gradient, and once for each backward', () => {
  const w = tensor([1, 2], { requiresGrad: true });
  const seen: unknown[] = [];
  w.registerHook((g) => g.mul(10));
  const remove = w.registerPostAccumulateGradHook((leaf) => seen.push(leaf.grad!.toArray()));
  w.mul(2).add(w).sum().backward();
  w.sum().backward();
  expect(seen).toEqual([
    [30, 30],
    [40, 40],
  ]);
  remove();
  remove();
  w.sum().backward();
  expect(seen).toHaveLength(2);
});

test('may replace the gradient, and is not called where none is accumulated', () => {
  const w = ones([2], { requiresGrad: true });
  let calls = 0;
  w.registerPostAccumulateGradHook((leaf) => {
    calls++;
    leaf.grad = tensor([7, 7]);
  });
  grad([w.sum()], [w]);
  expect(calls).toBe(0);
  w.sum().backward();
  expect([calls, w.grad!.toArray()]).toEqual([1, [7, 7]]);
  w.requiresGrad = false;
  ones([2], { requiresGrad: true }).mul(w).sum().backward();
  expect(calls).toBe(1);
});

test('is for leaves that require gradients', () => {
  expect(() => ones([2]).registerPostAccumulateGradHook(() => {})).toThrow(
    "cannot register a hook on a tensor that doesn't require gradient",
  );
  const w = ones([2], { requiresGrad: true });
  expect(() => w.mul(2).registerPostAccumulateGradHook(() => {})).toThrow(
    'post accumulate grad hooks cannot be registered on non-leaf tensors',
  );
  expect(() => w.registerPostAccumulateGradHook('no' as never)).toThrow('expected a function');
});

test('the end of a backward is that of the outermost one, and does not come where it fails', () => {
  const w = ones([2], { requiresGrad: true });
  const order: string[] = [];
  w.registerPostAccumulateGradHook(() => {
    order.push('leaf');
    atEndOfBackward(() => order.push('end'));
  });
  const inner = (x: Tensor) => x.mul(w).relu();
  (checkpoint(inner, w.mul(1)) as Tensor).sum().backward();
  expect(order).toEqual(['leaf', 'end']);
  const y = w.mul(3);
  y.registerHook(() => {
    enableGrad(() => w.sum().backward());
    expect(order).toEqual(['leaf', 'end', 'leaf']);
    throw new Error('mine');
  });
  expect(() => y.sum().backward()).toThrow('mine');
  expect(order).toEqual(['leaf', 'end', 'leaf']);
  ones([1], { requiresGrad: true }).backward();
  expect(order).toEqual(['leaf', 'end', 'leaf']);
});
