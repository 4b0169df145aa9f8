// Scopes: what lives on after one, what does not and says so, nesting, errors, promises, and the scopes that loaders
// open.
import { describe, expect, test } from 'vitest';
import { DataLoader, TensorDataset } from '../../src/data/index.ts';
import { currentBackend } from '../../src/device/engine.ts';
import { asyncScope, keep, rand, scope, type Tensor, tensor, zeros } from '../../src/index.ts';
import { Linear } from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';

const gone = 'this tensor was made inside a scope that has ended';

test('a tensor used after its scope says so, whatever is done with it', () => {
  let inside!: Tensor;
  scope(() => {
    inside = tensor([1, 2]);
  });
  for (const use of [
    () => inside.dataSync(),
    () => inside.add(1),
    () => inside.toString(),
    () => inside.sum(),
    () => inside.reshape([2, 1]).add(1),
  ])
    expect(use).toThrow(gone);
});

test('what is returned survives, in arrays and objects too, and so does what is kept', () => {
  let kept!: Tensor;
  const [a, { b }, n] = scope(() => {
    kept = keep(tensor([3]));
    return [tensor([1]), { b: [tensor([2])] }, 4] as const;
  });
  // New tensors, which would take over memory given back by mistake.
  scope(() => void [zeros([1]), zeros([1]), zeros([1])]);
  expect([a.item(), b[0].item(), kept.item(), n]).toEqual([1, 2, 3, 4]);
});

test('views of what survives survive with it', () => {
  const view = scope(() => tensor([1, 2, 3, 4]).reshape([2, 2]));
  scope(() => void zeros([4]));
  expect(view.toArray()).toEqual([
    [1, 2],
    [3, 4],
  ]);
});

test('a tensor returned from an inner scope belongs to the outer one', () => {
  let middle!: Tensor;
  const last = scope(() => {
    middle = scope(() => tensor([1]));
    expect(middle.item()).toBe(1);
    return middle.add(1);
  });
  expect(last.item()).toBe(2);
  expect(() => middle.item()).toThrow(gone);
});

test('gradients, parameters and optimizer states live on', () => {
  const model = new Linear(3, 2);
  const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
  for (let step = 0; step < 3; step++)
    scope(() => {
      optimizer.zeroGrad();
      model(rand([4, 3]))
        .sum()
        .backward();
      optimizer.step();
    });
  expect(model.weight.grad!.dataSync()).toHaveLength(6);
  expect(model.weight.dataSync()).toHaveLength(6);
  expect([...optimizer.state.values()].every((state) => (state.momentum_buffer as Tensor).dataSync().length > 0)).toBe(
    true,
  );
});

test('errors end a scope as its end does', () => {
  let inside!: Tensor;
  expect(() =>
    scope(() => {
      inside = tensor([1]);
      throw new RangeError('mine');
    }),
  ).toThrow(RangeError);
  expect(() => inside.item()).toThrow(gone);
  // And the scope is closed: what is made now stays.
  expect(tensor([5]).item()).toBe(5);
});

describe('async work', () => {
  const later = () => new Promise((resolve) => setTimeout(resolve, 1));

  test('needs asyncScope', async () => {
    expect(() => scope(async () => 1)).toThrow(
      '[scope] expected a synchronous function, got one that returns a promise; use asyncScope',
    );
    let inside!: Tensor;
    const result = await asyncScope(async () => {
      inside = tensor([1]);
      await later();
      return inside.add(1);
    });
    expect(result.item()).toBe(2);
    expect(() => inside.item()).toThrow(gone);
    await expect(asyncScope(async () => Promise.reject(new RangeError('mine')))).rejects.toThrow(RangeError);
  });

  test('of two scopes that end in another order than they began', async () => {
    let release!: () => void;
    const first = asyncScope(async () => {
      const t = tensor([1]);
      await new Promise<void>((resolve) => (release = resolve));
      return t;
    });
    const second = asyncScope(async () => {
      const t = tensor([2]);
      await later();
      return t.add(0);
    });
    release();
    const [a, b] = await Promise.all([first, second]);
    // Nothing is open any more.
    const after = tensor([3]);
    expect([a.item(), b.item(), after.item()]).toEqual([1, 2, 3]);
  });
});

describe('loops over a loader', () => {
  const loader = () => new DataLoader(new TensorDataset(rand([6, 2])), { batchSize: 2 });

  test('recycle what their body makes, but not the batches', () => {
    const batches: Tensor[] = [];
    const made: Tensor[] = [];
    for (const [batch] of loader()) {
      batches.push(batch as Tensor);
      made.push((batch as Tensor).mul(2));
      expect(made.at(-1)!.sum().item()).toBeGreaterThan(0);
    }
    expect(batches.map((batch) => batch.shape)).toEqual([
      [2, 2],
      [2, 2],
      [2, 2],
    ]);
    for (const batch of batches) expect(batch.dataSync()).toHaveLength(4);
    for (const t of made) expect(() => t.dataSync()).toThrow(gone);
  });

  test('close their scope when left early or by an error', async () => {
    let inside!: Tensor;
    for (const [batch] of loader()) {
      inside = (batch as Tensor).add(1);
      break;
    }
    expect(() => inside.dataSync()).toThrow(gone);
    await expect(
      (async () => {
        for await (const [batch] of loader()) {
          inside = (batch as Tensor).add(1);
          throw new RangeError('mine');
        }
      })(),
    ).rejects.toThrow(RangeError);
    expect(() => inside.dataSync()).toThrow(gone);
    expect(tensor([1]).item()).toBe(1);
  });
});

test('steps inside a scope reuse the same memory', () => {
  const step = () => scope(() => void rand([64, 64]).mul(2).sum());
  for (let i = 0; i < 5; i++) step();
  const { pooled } = currentBackend().memory();
  for (let i = 0; i < 50; i++) step();
  expect(currentBackend().memory().pooled).toBe(pooled);
});
