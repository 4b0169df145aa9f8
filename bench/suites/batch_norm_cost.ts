// What batch norm and ReLU add to a training step: chains of 3x3 convolutions with them and without, ours and
// PyTorch's.
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { BatchNorm2d, Conv2d, type Module, ReLU, Sequential } from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { contender, inTurns, type Row, ratioOf, rowOf, sessionsOf, type Times } from '../measure.ts';
import type { SpecialCase } from './index.ts';

/** Convolutions of a chain. */
const count = 4;

const chain = (c: number, withNorm: boolean) =>
  new Sequential(
    ...Array.from({ length: count }, (): Module[] => {
      const conv = new Conv2d(c, c, 3, { padding: 1, bias: false });
      return withNorm ? [conv, new BatchNorm2d(c), new ReLU()] : [conv];
    }).flat(),
  );

/** A training step; the input serves as the output's gradient, at a rate of 0, since weights would grow without end. */
function step(shape: readonly number[], withNorm: boolean): () => void {
  const model = chain(shape[1], withNorm);
  const optimizer = new SGD(model.parameters(), { lr: 0, momentum: 0.9 });
  const x = randn([...shape]).contiguous('channelsLast');
  return () =>
    scope(() => {
      optimizer.zeroGrad();
      model(x).backward(x);
      optimizer.step();
    });
}

const added = (withNorm: Times, without: Times) => 100 * (ratioOf(withNorm, without) - 1);

function cost(shape: readonly number[], threads: number): SpecialCase {
  const peer = (withNorm: boolean) => ({
    name: 'torch',
    work: `chain:${shape.join('x')}:${count}:${Number(withNorm)}`,
    threads,
    apart: withNorm ? '' : 'without norm',
  });
  const variants = [true, false];
  return {
    name: `${count} convolutions 3x3 of ${shape.join('x')} with BatchNorm2d and ReLU: training step`,
    engine: 'native',
    threads,
    budget: 200,
    peers: variants.map(peer),
    target: { figure: 'added by norm and ReLU, %', atMost: 6 },
    async measure(one, turns): Promise<Row> {
      setEngine('native');
      setNumThreads(threads);
      const { sessions, failed } = await sessionsOf(one);
      const own = variants.map((withNorm) => contender(step(shape, withNorm)));
      const measured = await inTurns(one, own, sessions, turns);
      const row = rowOf(one, measured, sessions.slice(0, 1));
      row.extra = { 'added by norm and ReLU, %': added(measured.own[0], measured.own[1]) };
      if (sessions.length > 1) row.extra["PyTorch's, %"] = added(measured.peers[0], measured.peers[1]);
      return { ...row, failed };
    },
  };
}

/** Chains as in the four stages of a ResNet-18. */
export const batchNormCost = (threads: number): SpecialCase[] =>
  [0, 1, 2, 3].map((stage) => cost([16, 64 << stage, 56 >> stage, 56 >> stage], threads));
