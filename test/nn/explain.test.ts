// What explain() tells of a model, and that it leaves the model alone.
import { describe, expect, it } from 'vitest';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { largeLayers } from '../../src/fusion/thresholds.ts';
import * as nn from '../../src/nn/index.ts';
import { fold } from '../../src/nn/index.ts';
import { toFormat } from '../../src/ops/convert.ts';
import { add, relu } from '../../src/ops/elementwise.ts';
import { defaultGenerator, manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

class Net extends nn.Module {
  readonly stem = new nn.Conv2d(3, 8, 3, { padding: 1 });
  readonly norm = new nn.BatchNorm2d(8);
  readonly conv = new nn.Conv2d(8, 8, 3, { padding: 1 });
  readonly last = new nn.BatchNorm2d(8);
  readonly drop = new nn.Dropout(0.5);
  readonly pool = new nn.MaxPool2d(2);
  readonly after = new nn.BatchNorm2d(8);

  forward(x: Tensor): Tensor {
    const y = relu(this.norm(this.stem(x)));
    const z = relu(add(this.last(this.conv(y)), this.stem(x)));
    return this.after(this.drop(this.pool(z)));
  }
}

function net() {
  manualSeed(1);
  return { model: new Net(), x: toFormat(randn([2, 3, 8, 8]), 'channelsLast') };
}
const layersOf = (report: nn.FusionReport) => new Map(report.layers.map((layer) => [layer.name, layer]));

describe('explain', () => {
  it('names the layers that work together in training, and who asks for values', () => {
    const { model, x } = net();
    const report = model.explain(x);
    const layers = layersOf(report);
    expect(report.layers.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'stem Conv2d',
      'norm BatchNorm2d',
      'conv Conv2d',
      'last BatchNorm2d',
      'after BatchNorm2d',
    ]);
    expect(layers.get('norm')).toMatchObject({
      forward: [
        "statistics from the epilogue of 'stem'",
        'ReLU in the same pass',
        "nothing written: 'conv' normalizes while it reads",
      ],
      backward: expect.arrayContaining(["mask and sums in the epilogue of 'conv'"]) as string[],
    });
    expect(layers.get('conv')).toMatchObject({
      forward: ["normalizes its input while reading, for 'norm'", "leaves the statistics of its output for 'last'"],
      backward: ["masks the gradient of its input and sums it for 'norm'"],
    });
    expect(layers.get('last')!.forward).toEqual([
      "statistics from the epilogue of 'conv'",
      'addition in the same pass',
      'ReLU in the same pass',
      "values written by one pass, for 'pool'",
    ]);
    expect(layers.get('after')!.forward[0]).toBe("statistics by a pass over the input: 'drop' leaves none");
    expect(String(report)).toContain("norm (BatchNorm2d)\n  forward   statistics from the epilogue of 'stem'; ReLU");
  });

  it('names a pooling that normalizes what it reads', () => {
    const model = new nn.Sequential(new nn.Conv2d(3, 8, 3), new nn.BatchNorm2d(8), new nn.ReLU(), new nn.MaxPool2d(2));
    const layers = layersOf(model.explain(toFormat(randn([2, 3, 8, 8]), 'channelsLast')));
    expect(layers.get('1')!.forward.at(-1)).toBe("nothing written: '3' normalizes while it reads");
  });

  it('names an activation that normalizes what it reads', () => {
    const model = new nn.Sequential(new nn.Conv2d(3, 8, 3), new nn.BatchNorm2d(8), new nn.SiLU());
    const { forward, backward } = layersOf(model.explain(toFormat(randn([2, 3, 8, 8]), 'channelsLast'))).get('1')!;
    expect(forward.at(-1)).toBe("nothing written: '2' normalizes what it reads");
    expect(backward[0]).toBe('values formed again while the gradient of the activation is');
  });

  it('knows linear layers', () => {
    const model = new nn.Sequential(new nn.Linear(3, 8), new nn.BatchNorm1d(8), new nn.ReLU(), new nn.Linear(8, 2));
    const { rows, multiplications } = largeLayers;
    const report = () => layersOf(model.explain(randn([4, 3])));
    expect(report().get('1')!.forward[0]).toMatch(/^statistics and values at once/);
    try {
      Object.assign(largeLayers, { rows: 1, multiplications: 1 });
      expect(report().get('1')!.forward).toEqual([
        "statistics from the epilogue of '0'",
        'ReLU in the same pass',
        "nothing written: '3' normalizes while it reads",
      ]);
      expect(report().get('3')!.backward).toEqual(["masks the gradient of its input and sums it for '1'"]);
    } finally {
      Object.assign(largeLayers, { rows, multiplications });
    }
  });

  it('shows a forward alone in evaluation without gradients, where convolutions write the norms', () => {
    const { model, x } = net();
    const layers = layersOf(noGrad(() => model.eval().explain(x)));
    expect(layers.get('norm')).toEqual({
      name: 'norm',
      type: 'BatchNorm2d',
      forward: [
        'running statistics',
        'ReLU in the same pass',
        "nothing written besides: 'stem' writes the normalized values",
      ],
      backward: [],
    });
    expect(layers.get('conv')!.forward).toEqual(["writes 'last'"]);
  });

  it('shows a folded model as its convolutions, and nothing as a norm', () => {
    const { model, x } = net();
    const folded = fold(model.eval(), x).model;
    const report = noGrad(() => folded.explain(x));
    // 'stem' is called twice, and so keeps its norm.
    expect(report.layers.map(({ name }) => name)).toEqual(['stem', 'norm', 'conv', 'after']);
    expect(layersOf(report).get('conv')!.forward).toEqual(['writes what the ReLU or addition behind it gives']);
  });

  it('says why nothing is merged: fusion is off, or the input is contiguous', () => {
    const { model, x } = net();
    expect(layersOf(withFusion(false, () => model.explain(x))).get('norm')!.forward).toEqual([
      'by itself: fusion is off',
    ]);
    const planes = layersOf(model.explain(x.contiguous()));
    expect(planes.get('after')!.forward[0]).toMatch(/^statistics and values at once, while they are in a cache/);
    expect(planes.get('norm')!.backward).toContain('sums and gradient at once, while they are in a cache');
  });

  it('leaves the model, its statistics and the random numbers as they were', () => {
    const { model, x } = net();
    const before = [...model.stateDict().values()].map((t) => Array.from(t.dataSync(), Number));
    const state = defaultGenerator.getState();
    x.requiresGrad_();
    model.explain(x);
    expect([...model.stateDict().values()].map((t) => Array.from(t.dataSync(), Number))).toEqual(before);
    expect(defaultGenerator.getState()).toEqual(state);
    expect(x.grad).toBeNull();
    expect([...model.parameters()].every((p) => p.grad === null)).toBe(true);
    expect([...model.modules()].some((module) => module.hasHooks)).toBe(false);
  });
});
