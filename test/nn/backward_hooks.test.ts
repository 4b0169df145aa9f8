// Hooks of a module's backward, with the values that PyTorch 2.13 gives for the same calls.
import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/errors.ts';
import { noGrad, randn, type Tensor, tensor } from '../../src/index.ts';
import { BatchNorm1d, Linear, Module, type ModuleGradients, Sequential } from '../../src/nn/index.ts';

class Two extends Module {
  forward(a: Tensor, factor: number, b: Tensor): Tensor[] {
    return [a.mul(b).mul(factor), a.add(b)];
  }
}
const values = (gradients: ModuleGradients) => gradients.map((g) => (g === null ? null : g.toArray()));

describe('full backward hooks', () => {
  test('see and replace gradients of outputs and of arguments', () => {
    const layer = new Two();
    const seen: unknown[] = [];
    layer.registerFullBackwardPreHook((module, gradOutput) => {
      expect(module).toBe(layer);
      seen.push(values(gradOutput));
      return [gradOutput[0]!.mul(10), gradOutput[1]];
    });
    layer.registerFullBackwardHook((_, gradInput, gradOutput) => {
      seen.push(values(gradInput), values(gradOutput));
      return [gradInput[0]!.mul(2), null, gradInput[2]];
    });
    const [a, b] = [
      [1, 2],
      [3, 4],
    ].map((of) => tensor(of, { requiresGrad: true }));
    const [y] = layer(a, 2, b) as Tensor[];
    y.sum().backward();
    expect(seen).toEqual([
      [[1, 1], null],
      [[60, 80], null, [20, 40]],
      [[10, 10], null],
    ]);
    expect(a.grad!.toArray()).toEqual([120, 160]);
    expect(b.grad!.toArray()).toEqual([20, 40]);
  });

  test('run with the outputs where no argument needs a gradient, and return nothing', () => {
    const layer = new Linear(2, 1);
    const seen: unknown[] = [];
    const remove = layer.registerFullBackwardHook((_, gradInput, gradOutput) => {
      seen.push(values(gradInput), values(gradOutput));
    });
    layer(randn([1, 2]))
      .sum()
      .backward();
    expect(seen).toEqual([[null], [[[1]]]]);
    remove();
    layer(randn([1, 2]))
      .sum()
      .backward();
    expect(seen).toHaveLength(2);
    layer.registerFullBackwardHook((_, gradInput, gradOutput) => [gradOutput[0], ...gradInput.slice(1)]);
    expect(() =>
      layer(randn([1, 2]))
        .sum()
        .backward(),
    ).toThrow('should always return nothing or null');
  });

  test('change nothing that is computed, fused norms included', () => {
    const model = new Sequential(new Linear(5, 4), new BatchNorm1d(4), new Linear(4, 3));
    const x = randn([6, 5], { requiresGrad: true });
    const gradients = () => {
      model.zeroGrad();
      x.grad = null;
      model(x).square().sum().backward();
      return [x, ...model.parameters()].map((t) => t.grad!.toArray());
    };
    const plain = gradients();
    const names: string[] = [];
    for (const layer of model.children())
      layer.registerFullBackwardHook((module) => {
        names.push(module.constructor.name);
      });
    expect(gradients()).toEqual(plain);
    expect(names).toEqual(['Linear', 'BatchNorm1d', 'Linear']);
    noGrad(() => model(x));
    expect(names).toHaveLength(3);
  });

  test('of another number of gradients are refused, and of no function', () => {
    const layer = new Linear(2, 1);
    const remove = layer.registerFullBackwardHook(() => []);
    const x = randn([1, 2], { requiresGrad: true });
    expect(() => layer(x).sum().backward()).toThrow(
      new RuntimeError('Backward hook returned an invalid number of gradInput, got 0, but expected 1'),
    );
    remove();
    layer.registerFullBackwardPreHook(() => []);
    expect(() => layer(x).sum().backward()).toThrow(
      'Backward pre hook returned an invalid number of gradOutput, got 0, but expected 1',
    );
    expect(() => layer.registerFullBackwardHook(3 as never)).toThrow(
      '[registerFullBackwardHook] expected a function, got number',
    );
  });
});
