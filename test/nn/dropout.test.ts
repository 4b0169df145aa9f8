// Dropout: PyTorch's masks (golden/nn_golden.py) and torchvision's (golden/models_golden.py), modes, gradients.
import { describe, expect, it } from 'vitest';
import { Dropout, Dropout2d, functional, StochasticDepth } from '../../src/nn/index.ts';
import { ones, tensor } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { rand, randn } from '../../src/tensor/random.ts';
import { setWarningHandler } from '../../src/warnings.ts';
import { decode, readGolden } from '../support/golden.ts';

const camelCase = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

const { dropout: cases } = readGolden<{
  dropout: {
    fn: string;
    shape: number[];
    dtype: 'float32' | 'float64';
    p: number;
    channelsLast: boolean;
    y: string;
    after: string;
  }[];
}>('nn.golden.json');

describe('dropout', () => {
  it.each(cases)('draws $fn $shape $dtype p=$p channelsLast=$channelsLast', (c) => {
    manualSeed(3);
    const x = ones(c.shape, { dtype: c.dtype, memoryFormat: c.channelsLast ? 'channelsLast' : 'contiguous' });
    const y = functional[camelCase(c.fn) as 'dropout'](x, c.p, { training: true });
    expect(y.memoryFormat).toBe(x.memoryFormat);
    expect([...y.dataSync()]).toEqual([...decode(c.y, c.dtype)]);
    // As many draws as PyTorch's, so that what follows is the same too.
    expect([...rand([1]).dataSync()]).toEqual([...decode(c.after, 'float32')]);
  });

  it('does nothing in evaluation, nor with p = 0', () => {
    const x = tensor([1, 2, 3]);
    expect(new Dropout(0.5).eval()(x)).toBe(x);
    expect(new Dropout(0)(x)).toBe(x);
  });

  it('passes the gradient of what it kept', () => {
    manualSeed(0);
    const x = ones([64], { requiresGrad: true });
    const y = new Dropout(0.25)(x);
    y.sum().backward();
    expect(x.grad!.toArray()).toEqual(y.toArray());
  });

  it('overwrites its input in place', () => {
    const x = ones([4, 8, 2, 2]);
    expect(new Dropout2d(0.5, { inplace: true })(x)).toBe(x);
    expect(new Set(x.dataSync() as Float32Array)).toEqual(new Set([0, 2]));
  });

  it('keeps mean and variance, with dropped elements where SELU saturates', () => {
    manualSeed(0);
    const y = functional.alphaDropout(randn([100000]), 0.3, { training: true });
    expect(Math.abs(y.mean().item())).toBeLessThan(0.02);
    expect(Math.abs(y.var().item() - 1)).toBeLessThan(0.03);
    const x = ones([2]);
    expect(functional.alphaDropout(x)).toBe(x);
    expect(functional.featureAlphaDropout(x, 0.5)).toBe(x);
  });

  it('asks for the dimensions that it is made for', () => {
    expect(() => functional.dropout1d(ones([3]))).toThrow(
      'dropout1d: Expected 2D or 3D input, but received a 1D input. Note that',
    );
    expect(() => functional.featureAlphaDropout(ones([3]), 0.5, { training: true })).toThrow(
      'Feature dropout requires at least 2 dimensions in the input',
    );
    const warnings: string[] = [];
    const before = setWarningHandler((text) => void warnings.push(text));
    functional.dropout3d(ones([3]));
    setWarningHandler(before);
    expect(warnings).toEqual([expect.stringContaining('dropout3d: Received a 1-D input to dropout3d')]);
  });

  it('needs channels for dropout2d', () => {
    expect(() => functional.dropout2d(ones([3]))).toThrow(
      'Feature dropout requires at least 2 dimensions in the input',
    );
  });
});

describe('stochastic depth', () => {
  const drawn =
    readGolden<
      {
        shape: number[];
        dtype: 'float32' | 'float64';
        p: number;
        mode: 'row' | 'batch';
        y: number[];
        after: number;
      }[]
    >('stochastic_depth.golden.json');

  it.each(drawn)('draws $mode $shape $dtype p=$p', ({ shape, dtype, p, mode, y, after }) => {
    manualSeed(3);
    expect([...new StochasticDepth(p, mode)(ones(shape, { dtype })).dataSync()]).toEqual(y);
    expect(rand([1]).item()).toBe(after);
  });

  it('skips whole samples, or the batch', () => {
    manualSeed(0);
    const rows = functional.stochasticDepth(ones([64, 3, 2, 2]), 0.5, 'row').sum([1, 2, 3]);
    expect(new Set(rows.dataSync() as Float32Array)).toEqual(new Set([0, 24]));
    const batches = Array.from({ length: 32 }, () =>
      functional
        .stochasticDepth(ones([4, 3]), 0.5, 'batch')
        .sum()
        .item(),
    );
    expect(new Set(batches)).toEqual(new Set([0, 24]));
  });

  it('does nothing in evaluation, nor with p = 0', () => {
    const x = ones([2, 3]);
    expect(new StochasticDepth(0.5, 'row').eval()(x)).toBe(x);
    expect(new StochasticDepth(0, 'batch')(x)).toBe(x);
  });

  it('passes the gradient of the samples it kept', () => {
    manualSeed(0);
    const x = ones([16, 2], { requiresGrad: true });
    const y = new StochasticDepth(0.25, 'row')(x);
    y.sum().backward();
    expect(x.grad!.toArray()).toEqual(y.toArray());
  });

  it('refuses probabilities and modes that are none', () => {
    expect(() => functional.stochasticDepth(ones([2]), 1.5, 'row')).toThrow(
      'drop probability has to be between 0 and 1, but got 1.5',
    );
    expect(() => functional.stochasticDepth(ones([2]), 0.5, 'column' as 'row')).toThrow(
      "mode has to be either 'batch' or 'row', but got column",
    );
  });

  it('prints what it is', () => {
    expect(String(new StochasticDepth(0.2, 'row'))).toBe('StochasticDepth(p=0.2, mode=row)');
  });
});
