// Every class of the library is declared (`declareModules`), so that models of them are enclosed; and what is declared
// of it holds: its forwards let nobody have what they compute in between, and their state is not given back with it.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { withDevice } from '../../src/device/engine.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import * as models from '../../src/models/index.ts';
import * as nn from '../../src/nn/index.ts';
import { isDeclared } from '../../src/nn/module_call.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { make } from '../models/catalog.ts';

type Class = abstract new (...args: never[]) => nn.Module;
const classes = Object.entries<unknown>({ ...nn, ...models }).filter(
  (entry): entry is [string, Class] => typeof entry[1] === 'function' && entry[1].prototype instanceof nn.Module,
);
/** What only subclasses are made of. */
const bases: readonly Class[] = [nn.ConvBase, nn.NormBase, nn.BatchNormBase, nn.InstanceNormBase];

describe('every class of the library is declared', () => {
  it('those that are exported', () => {
    expect(classes.length).toBeGreaterThan(90);
    const forgotten = classes.filter(([, each]) => !bases.includes(each) && !isDeclared(each.prototype));
    expect(forgotten.map(([name]) => name)).toEqual([]);
  });

  it('those that models and parametrizations are made of', () => {
    const trees = withDevice('meta', () => [
      ...Object.values(make).map((model) => model()),
      nn.spectralNorm(new nn.Linear(3, 4)),
      nn.weightNorm(new nn.Linear(3, 4)),
    ]);
    const forgotten = new Set<string>();
    for (const tree of trees)
      for (const module of tree.modules())
        if (!isDeclared(Object.getPrototypeOf(module), module.forward)) forgotten.add(module.constructor.name);
    expect([...forgotten]).toEqual([]);
  });

  it('subclasses of users are not', () => {
    class Mine extends nn.ReLU {}
    expect(isDeclared(Mine.prototype)).toBe(false);
  });
});

/** Images of 6 channels, or what else a layer takes. */
const shapes: Record<string, number[]> = { '1d': [8, 6, 5], '2d': [4, 6, 5, 5], '3d': [2, 6, 3, 4, 4] };
const layers: Record<string, () => nn.Module> = {
  ...Object.fromEntries(
    classes
      .filter(([name]) => /(?:Norm|Renorm)\w*[123]d$/.test(name) && !/^Interleaved/.test(name))
      .map(([name, each]) => [
        name,
        () => new (each as new (given: unknown) => nn.Module)(/^Lazy/.test(name) ? {} : 6),
      ]),
  ),
  InterleavedGhostBatchNorm2d: () => new nn.InterleavedGhostBatchNorm2d(6, { numSplits: 2 }),
  SyncBatchNorm: () => new nn.SyncBatchNorm(6),
  SyncBatchNormAct: () => new nn.SyncBatchNormAct(6),
  GroupNorm: () => new nn.GroupNorm(3, 6),
  LayerNorm: () => new nn.LayerNorm([6, 5, 5]),
  RMSNorm: () => new nn.RMSNorm([5, 5]),
  ABN: () => new nn.ABN(6),
  InPlaceABN: () => new nn.Sequential(new nn.Identity(), new nn.Conv2d(6, 6, 1), new nn.InPlaceABN(6)),
  LocalResponseNorm: () => new nn.LocalResponseNorm(3),
  CrossMapLRN2d: () => new nn.CrossMapLRN2d(3),
  'spectral norm': () => nn.spectralNorm(new nn.Conv2d(6, 4, 3)),
  'weight norm': () => nn.weightNorm(new nn.Conv2d(6, 4, 3)),
  Dropout2d: () => new nn.Dropout2d(0.4),
  AlphaDropout: () => new nn.AlphaDropout(0.4),
  PReLU: () => new nn.PReLU(6),
  RReLU: () => new nn.RReLU(),
  GLU: () => new nn.GLU(1),
  StochasticDepth: () => new nn.StochasticDepth(0.4, 'row'),
  'BatchNorm2d, momentum null': () => new nn.BatchNorm2d(6, { momentum: null }),
  AveragedModel: () => new nn.AveragedModel(new nn.Sequential(new nn.Conv2d(6, 6, 3), new nn.BatchNorm2d(6))),
};
const digest = (t: Tensor) => createHash('sha1').update(t.storage.bytes()).digest('hex');

describe('in an enclosed forward', () => {
  it.each(Object.entries(layers))(
    '%s computes what it computes under observation, and keeps its state',
    (name, layer) => {
      const shape = shapes[/[123]d/.exec(name)?.[0] ?? '2d'];
      const run = (isObserved: boolean) => {
        manualSeed(11);
        const model = new nn.Sequential(layer(), new nn.Identity());
        if (isObserved) for (const module of model.modules()) module.registerForwardHook(() => undefined);
        const found: string[] = [];
        for (let step = 0; step < 4; step++) {
          if (step === 3) model.eval();
          scope(() => {
            const x = randn(shape).requiresGrad_();
            const y = model(x) as Tensor;
            y.square().sum().backward();
            found.push(
              digest(y),
              digest(x.grad!),
              ...[...model.parameters()].map((p) => (p.grad ? digest(p.grad) : '')),
            );
            model.zeroGrad();
          });
          // What the forward keeps for the next one is not given to others meanwhile.
          scope(() => Array.from({ length: 32 }, () => randn(shape)));
          found.push(...[...model.stateDict().values()].map(digest));
        }
        return found;
      };
      for (const fused of [true, false])
        withFusion(fused, () => {
          expect(run(false)).toEqual(run(true));
        });
    },
  );
});
