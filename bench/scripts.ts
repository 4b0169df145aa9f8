// Training steps as scripts have them, each of which peers/torch_scripts.py knows by the same name: some of the
// programs in examples/, and others that consist of many small operations.
import { manualSeed, randint, randn, scope, type Tensor, zeros } from 'evenkeel';
import { mobilenetV2, SqueezeExcitation } from 'evenkeel/models';
import * as nn from 'evenkeel/nn';
import { Adadelta, Adam, AdamW, type Optimizer, SGD } from 'evenkeel/optim';
import { Net } from '../examples/mnist.ts';
import { makeCritic, makeGenerator, Wgan } from '../examples/wgan_gp.ts';

const { cosineEmbeddingLoss, crossEntropy, nllLoss, tripletMarginLoss } = nn.functional;

function minimize(optimizer: Optimizer, loss: () => Tensor): void {
  optimizer.zeroGrad();
  loss().backward();
  optimizer.step();
}

/** A step on one batch of images, channels last, or of rows, and labels. */
function classifier(
  model: nn.Module,
  optimizer: Optimizer,
  shape: number[],
  loss: (output: Tensor, labels: Tensor) => Tensor = crossEntropy,
): () => void {
  const x = shape.length === 4 ? randn(shape).contiguous('channelsLast') : randn(shape);
  const labels = randint(0, 10, [shape[0]]);
  return () => minimize(optimizer, () => loss(model(x) as Tensor, labels));
}

class VisionTransformer extends nn.Module {
  patches = new nn.Conv2d(3, 192, 4, { stride: 4 });
  positions = new nn.Parameter(zeros([1, 64, 192]));
  encoder = new nn.TransformerEncoder(
    new nn.TransformerEncoderLayer(192, 3, {
      dimFeedforward: 768,
      dropout: 0.1,
      activation: 'gelu',
      batchFirst: true,
      normFirst: true,
    }),
    6,
  );
  norm = new nn.LayerNorm(192);
  head = new nn.Linear(192, 10);

  forward(x: Tensor): Tensor {
    const tokens = this.patches(x).flatten(2).transpose(1, 2).add(this.positions);
    return this.head(this.norm(this.encoder(tokens)).mean(1));
  }
}

/** Reads 28 steps of 28 numbers, and says the class after the last one. */
class RowReader extends nn.Module {
  layer: nn.Module;
  fc = new nn.Linear(128, 10);

  constructor(layer: nn.Module) {
    super();
    this.layer = layer;
  }

  forward(x: Tensor): Tensor {
    const [output] = this.layer(x);
    return this.fc((output as Tensor).index(':', -1));
  }
}

/** An LSTM of plain operations, as books have it. */
class LstmByHand extends nn.Module {
  fromInput = new nn.Linear(28, 4 * 128);
  fromState = new nn.Linear(128, 4 * 128);
  fc = new nn.Linear(128, 10);

  forward(x: Tensor): Tensor {
    let h = zeros([x.shape[0], 128]);
    let c = h;
    for (const row of x.unbind(1)) {
      const [i, f, g, o] = this.fromInput(row).add(this.fromState(h)).chunk(4, 1);
      c = f.sigmoid().mul(c).add(i.sigmoid().mul(g.tanh()));
      h = o.sigmoid().mul(c.tanh());
    }
    return this.fc(h);
  }
}

class SqueezedBlock extends nn.Module {
  body: nn.Sequential;
  shortcut: nn.Module;

  constructor(inside: number, width: number, stride: number) {
    super();
    this.body = new nn.Sequential(
      new nn.Conv2d(inside, width, 3, { stride, padding: 1, bias: false }),
      new nn.BatchNorm2d(width),
      new nn.ReLU(),
      new nn.Conv2d(width, width, 3, { padding: 1, bias: false }),
      new nn.BatchNorm2d(width),
      new SqueezeExcitation(width, width / 16),
    );
    this.shortcut =
      stride === 1 && inside === width
        ? new nn.Identity()
        : new nn.Sequential(new nn.Conv2d(inside, width, 1, { stride, bias: false }), new nn.BatchNorm2d(width));
  }

  forward(x: Tensor): Tensor {
    return this.body(x)
      .add(this.shortcut(x) as Tensor)
      .relu();
  }
}

const squeezeNet = () =>
  new nn.Sequential(
    new nn.Conv2d(3, 64, 3, { padding: 1, bias: false }),
    new nn.BatchNorm2d(64),
    new nn.ReLU(),
    ...[64, 128, 256].flatMap((width, i) => [
      new SqueezedBlock(i === 0 ? 64 : width / 2, width, i === 0 ? 1 : 2),
      new SqueezedBlock(width, width, 1),
    ]),
    new nn.AdaptiveAvgPool2d(1),
    new nn.Flatten(),
    new nn.Linear(256, 10),
  );

const sgd = (model: nn.Module) => new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
const adam = (model: nn.Module) => new Adam(model.parameters());

const makers = {
  vit() {
    const model = new VisionTransformer();
    return classifier(model, new AdamW(model.parameters()), [32, 3, 32, 32]);
  },
  lstm() {
    const model = new RowReader(new nn.LSTM(28, 128, { batchFirst: true }));
    return classifier(model, adam(model), [64, 28, 28]);
  },
  gru() {
    const model = new RowReader(new nn.GRU(28, 128, { batchFirst: true }));
    return classifier(model, adam(model), [64, 28, 28]);
  },
  lstm_by_hand() {
    const model = new LstmByHand();
    return classifier(model, adam(model), [64, 28, 28]);
  },
  metric_losses() {
    const model = new nn.Sequential(new nn.Linear(64, 128), new nn.ReLU(), new nn.Linear(128, 32));
    const optimizer = adam(model);
    const [anchor, positive, negative] = [0, 1, 2].map(() => randn([64, 64]));
    const same = randint(0, 2, [64]).to('float32').mul(2).sub(1);
    return () =>
      minimize(optimizer, () => {
        const [a, p, n] = [anchor, positive, negative].map((x) => model(x));
        return tripletMarginLoss(a, p, n).add(cosineEmbeddingLoss(a, p, same, { margin: 0.2 }));
      });
  },
  wgan_gp() {
    const gan = new Wgan(makeGenerator(32), makeCritic(), 32);
    const real = randn([32, 1, 28, 28]);
    return () => {
      gan.stepCritic(real);
      gan.stepGenerator(real);
    };
  },
  mobilenet_v2() {
    const model = mobilenetV2({ numClasses: 10 });
    return classifier(model, sgd(model), [32, 3, 32, 32]);
  },
  senet() {
    const model = squeezeNet();
    return classifier(model, sgd(model), [32, 3, 32, 32]);
  },
  mnist() {
    const model = new Net();
    return classifier(model, new Adadelta(model.parameters(), { lr: 1 }), [64, 1, 28, 28], nllLoss);
  },
};

export type ScriptName = keyof typeof makers;

/** One training step, in a scope, as a loader's loop has it. */
export function scriptStep(name: ScriptName): () => void {
  manualSeed(0);
  const step = makers[name]();
  return () => scope(step);
}
