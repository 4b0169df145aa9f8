// How the time of a ResNet-18 step grows with the batch, with the image and with threads; ours alone, the sizes of a
// row in turns.
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { machineSpeed } from '../machine.ts';
import { type Contender, contender, inTurns, median, type Row, ratioOf, rowOf } from '../measure.ts';
import { trainingStep } from '../networks.ts';
import type { SpecialCase } from './index.ts';

const stepOf = (batch: number, side: number) =>
  trainingStep({ network: 'resnet18', shape: [batch, 3, side, side], classes: 1000 });

/** Largest over smallest of some costs, as what it is above 1, in percent. */
const spread = (costs: readonly number[]): number => 100 * (Math.max(...costs) / Math.min(...costs) - 1);

const figures = (unit: string, names: readonly (string | number)[], values: readonly number[]) =>
  Object.fromEntries(names.map((name, i) => [`${unit}, ${name}`, values[i]]));

function byBatch(threads: number): SpecialCase {
  const batches = [4, 8, 16, 32, 64];
  return {
    name: 'ResNet-18 3x224x224: training step by batch size; time is that of batch 8',
    engine: 'native',
    threads,
    budget: 1,
    rounds: 5,
    peers: [],
    target: { figure: 'spread from batch 8 on, %', atMost: 15 },
    async measure(one, turns): Promise<Row> {
      setEngine('native');
      setNumThreads(threads);
      const steps = batches.map((batch) => contender(stepOf(batch, 224)));
      const measured = await inTurns(one, steps, [], turns);
      const { own } = measured;
      const known = own[batches.indexOf(8)];
      const costs = own.map((times, i) => (known.ms * ratioOf(times, known)) / batches[i]);
      const row = rowOf(one, { ...measured, own: [known] }, []);
      row.extra = {
        ...figures('ms per image', batches, costs),
        'spread from batch 8 on, %': spread(costs.filter((_, i) => batches[i] >= 8)),
      };
      return row;
    },
  };
}

function bySide(threads: number): SpecialCase {
  const sides = [112, 224, 448];
  const batch = 8;
  return {
    name: `ResNet-18, batch ${batch}: training step by side of the image; time is that of 224`,
    engine: 'native',
    threads,
    budget: 1,
    rounds: 5,
    peers: [],
    async measure(one, turns): Promise<Row> {
      setEngine('native');
      setNumThreads(threads);
      const steps = sides.map((side) => contender(stepOf(batch, side)));
      const measured = await inTurns(one, steps, [], turns);
      const { own } = measured;
      const known = own[sides.indexOf(224)];
      const costs = own.map((times, i) => (known.ms * ratioOf(times, known) * 1e6) / (batch * sides[i] ** 2));
      const row = rowOf(one, { ...measured, own: [known] }, []);
      row.extra = { ...figures('ns per pixel', sides, costs), 'spread, %': spread(costs) };
      return row;
    },
  };
}

/** As many multiply-adds on registers, which share nothing but the processors' clock and power. */
const multiplyAdds =
  (threads: number): Contender =>
  async () =>
    (await machineSpeed(threads)).map(({ gflops }) => 1 / gflops);

function byThreads(threads: number): SpecialCase {
  const name = `${threads} threads against 1`;
  const share = 'of what multiply-adds gain, %';
  return {
    name: `ResNet-18 16x3x224x224: training step, ${name}`,
    engine: 'native',
    threads,
    budget: 1,
    peers: [],
    target: { figure: share, atLeast: 93 },
    async measure(one, turns): Promise<Row> {
      setEngine('native');
      const step = stepOf(16, 224);
      const withThreads = (count: number) =>
        contender(() => {
          setNumThreads(count);
          step();
        });
      const counts = [threads, 1];
      const measured = await inTurns(one, [...counts.map(withThreads), ...counts.map(multiplyAdds)], [], turns);
      const [ours, alone, all, single] = measured.own;
      const row = rowOf(one, measured, []);
      row.extra = { '1 thread, ms': alone.ms, [name]: ratioOf(alone, ours) };
      if (row.machine) {
        const gains = ours.turns.map((ms, turn) => alone.turns[turn] / ms / (single.turns[turn] / all.turns[turn]));
        Object.assign(row.extra, { "multiply-adds' own": ratioOf(single, all), [share]: 100 * median(gains) });
      }
      return row;
    },
  };
}

export const scaling = (threads: number): SpecialCase[] => [byBatch(threads), bySide(threads), byThreads(threads)];
