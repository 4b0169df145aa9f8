// The programs of examples/ are popular PyTorch scripts: their losses against the scripts' own, step by step, with
// the same seed and the same random batches (golden/examples_golden.py). In float64 drift cannot hide a mistake; in
// float32 two runs drift apart sooner, so that few steps are compared.
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import * as d2l from '../../examples/d2l_networks.ts';
import * as dcgan from '../../examples/dcgan.ts';
import * as distillation from '../../examples/distillation.ts';
import * as fineTuning from '../../examples/fine_tuning.ts';
import * as lstmRows from '../../examples/lstm_rows.ts';
import * as metricLearning from '../../examples/metric_learning.ts';
import * as mnist from '../../examples/mnist.ts';
import * as siamese from '../../examples/siamese.ts';
import * as styleTransfer from '../../examples/style_transfer.ts';
import * as superResolution from '../../examples/super_resolution.ts';
import * as unet from '../../examples/unet.ts';
import * as vae from '../../examples/vae.ts';
import * as visionTransformer from '../../examples/vision_transformer.ts';
import * as wganGp from '../../examples/wgan_gp.ts';
import { noGrad, rand, randint, randn, type Tensor } from '../../src/index.ts';
import type { Module, Sequential } from '../../src/nn/index.ts';
import { crossEntropy } from '../../src/ops/loss.ts';
import { Adadelta, Adam, AdamW, type Optimizer, RMSprop, SGD, StepLR } from '../../src/optim/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { scope } from '../../src/tensor/scope.ts';

type Precision = 'float32' | 'float64';
type Losses = (number | number[])[];
const goldens = JSON.parse(readFileSync(new URL('../golden/examples.golden.json', import.meta.url), 'utf8')) as Record<
  string,
  Record<Precision, Losses>
>;

/** Sets a run up, from the seed, and gives what one step is. */
type Script = (dtype: Precision) => (step: number) => Tensor | Tensor[];

const classes = (shape: number[], high = 10) => randint(0, high, shape);

/** A step of a model of images and labels. */
function classifier<M extends Module>(
  model: M,
  optimizer: Optimizer,
  trainStep: (model: M, optimizer: Optimizer, images: Tensor, labels: Tensor) => Tensor,
  shape = [4, 1, 28, 28],
) {
  const { dtype } = model.parameters()[0];
  return () => trainStep(model, optimizer, randn(shape).to(dtype), classes([shape[0]]));
}

function d2lNetwork(net: Sequential, dtype: Precision) {
  d2l.initialize(net, randn([2, 1, 32, 32]));
  const optimizer = new SGD(net.to(dtype).parameters(), { lr: 0.01 });
  return classifier(net, optimizer, d2l.trainStep, [4, 1, 32, 32]);
}

const scripts: Record<string, Script> = {
  mnist(dtype) {
    const model = new mnist.Net().to(dtype);
    const optimizer = new Adadelta(model.parameters(), { lr: 1 });
    const scheduler = new StepLR(optimizer, 1, { gamma: 0.7 });
    return (step) => {
      const loss = mnist.trainStep(model, optimizer, randn([4, 1, 28, 28]).to(dtype), classes([4]));
      if (step % 4 === 0) scheduler.step();
      return loss;
    };
  },
  dcgan(dtype) {
    const parts = [dcgan.makeGenerator(16, 8), dcgan.makeDiscriminator(8)] as const;
    for (const part of parts) part.apply(dcgan.initWeights).to(dtype);
    const gan = new dcgan.Gan(...parts, 16);
    return () => {
      const { lossD, lossG } = gan.trainStep(randn([8, 1, 32, 32]).to(dtype));
      return [lossD, lossG];
    };
  },
  wgan_gp(dtype) {
    const gan = new wganGp.Wgan(wganGp.makeGenerator(8).to(dtype), wganGp.makeCritic().to(dtype), 8);
    return () => {
      const real = randn([4, 1, 28, 28]).to(dtype);
      return [gan.stepCritic(real), gan.stepGenerator(real)];
    };
  },
  vae(dtype) {
    const model = new vae.VAE().to(dtype);
    const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
    return () => vae.trainStep(model, optimizer, rand([8, 1, 28, 28]).to(dtype));
  },
  siamese(dtype) {
    const model = new siamese.Siamese().to(dtype);
    const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
    return () => {
      const [a, b] = [0, 1].map(() => randn([4, 1, 28, 28]).to(dtype));
      return siamese.trainStep(model, optimizer, a, b, classes([4], 2).to(dtype));
    };
  },
  super_resolution(dtype) {
    const model = new superResolution.SuperResolution(3).to(dtype);
    model.initializeWeights(); // once more, with the rounding of this dtype
    const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
    return () => {
      const [small, large] = [8, 24].map((size) => randn([2, 1, size, size]).to(dtype));
      return superResolution.trainStep(model, optimizer, small, large);
    };
  },
  style_transfer(dtype) {
    const painter = styleTransfer.makePainter(4, 1).to(dtype);
    const judge = new styleTransfer.LossNetwork(4).to(dtype);
    const optimizer = new Adam(painter.parameters(), { lr: 1e-3 });
    const style = judge(rand([1, 3, 16, 16]).to(dtype)).map(styleTransfer.gram);
    return () => styleTransfer.trainStep(painter, judge, optimizer, rand([2, 3, 16, 16]).to(dtype), style);
  },
  unet(dtype) {
    const model = new unet.UNet(1, 3, 4).to(dtype);
    const optimizer = new RMSprop(model.parameters(), { lr: 1e-3, momentum: 0.9 });
    return () => unet.trainStep(model, optimizer, randn([2, 1, 16, 16]).to(dtype), classes([2, 16, 16], 3));
  },
  fine_tuning(dtype) {
    const model = new fineTuning.Net().to(dtype);
    for (let i = 0; i < 3; i++) model(randn([8, 1, 28, 28]).to(dtype)); // moves the running statistics
    const run = new fineTuning.FineTuning(model, 24);
    return () => {
      const [images, labels] = [randn([8, 1, 28, 28]).to(dtype), classes([8])];
      const loss = run.trainStep(images, labels);
      return [loss, noGrad(() => crossEntropy(run.average(images), labels))];
    };
  },
  distillation(dtype) {
    const teacher = distillation.makeTeacher().to(dtype).eval();
    const student = distillation.makeStudent().to(dtype);
    const optimizer = new Adam(student.parameters());
    return () => distillation.trainStep(student, teacher, optimizer, randn([8, 1, 28, 28]).to(dtype), classes([8]));
  },
  metric_learning(dtype) {
    const model = new metricLearning.Embedding().to(dtype);
    const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
    return () => metricLearning.trainStep(model, optimizer, randn([8, 1, 28, 28]).to(dtype), classes([8], 3));
  },
  lstm_rows(dtype) {
    const model = new lstmRows.RowReader(16, 2).to(dtype);
    return classifier(model, new Adam(model.parameters(), { lr: 3e-3 }), lstmRows.trainStep);
  },
  vision_transformer(dtype) {
    const model = new visionTransformer.VisionTransformer({ width: 32, depth: 2 }).to(dtype);
    const optimizer = new AdamW(model.parameters(), { lr: 1e-3, weightDecay: 0.05 });
    return classifier(model, optimizer, visionTransformer.trainStep);
  },
  d2l_resnet: (dtype) =>
    d2lNetwork(
      d2l.makeResnet([
        [2, 8],
        [2, 16],
        [1, 32],
      ]),
      dtype,
    ),
  d2l_densenet: (dtype) => d2lNetwork(d2l.makeDensenet(16, 8, [2, 2]), dtype),
};

function losses(script: Script, dtype: Precision, steps: number): Losses {
  const step = script(dtype);
  return Array.from({ length: steps }, (_, i) =>
    scope(() => {
      const loss = step(i + 1);
      return Array.isArray(loss) ? loss.map((each) => each.item()) : loss.item();
    }),
  );
}

beforeEach(() => {
  manualSeed(0);
});

test('every script has its losses of PyTorch, and the other way round', () => {
  expect(Object.keys(scripts).sort()).toEqual(Object.keys(goldens).sort());
});

describe.each(Object.entries(scripts))('%s', (name, script) => {
  test.each([
    ['float64', 1e-9],
    ['float32', 1e-3],
  ] as const)('has the losses of PyTorch in %s', (dtype, bound) => {
    const expected = goldens[name][dtype];
    const found = losses(script, dtype, expected.length);
    const flat = found.flat();
    expected.flat().forEach((loss, i) => {
      // A loss near 0 has no relative error worth the name.
      const error = Math.abs(flat[i] - loss) / Math.max(1, Math.abs(loss));
      expect(error, `loss ${i}: ${flat[i]}, PyTorch ${loss}`).toBeLessThan(bound);
    });
  });
});
