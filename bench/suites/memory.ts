// Resident memory, ours and the peers', each in a fresh process: 10,000 LeNet steps written by hand without scopes or
// disposal, and the peak of a step of ResNet-50.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { onBuilt } from '../built.ts';
import { machineSpeed } from '../machine.ts';
import { type Measured, type Row, rowOf, timesOf } from '../measure.ts';
import type { MemoryFigures, MemoryJob } from '../memory_run.ts';
import { textOf } from '../networks.ts';
import { peerSession } from '../peers/peers.ts';
import type { SpecialCase } from './index.ts';

const program = fileURLToPath(new URL('../memory_run.ts', import.meta.url));

async function figuresOf(job: MemoryJob): Promise<MemoryFigures> {
  const { stdout } = await promisify(execFile)(process.execPath, [...onBuilt, program, JSON.stringify(job)]);
  return JSON.parse(stdout) as MemoryFigures;
}

/**
 * A row of ours and of PyTorch's peak (MiB) after so many steps, the smaller of its memory formats where it has several
 * works.
 */
async function besidePeer(one: SpecialCase, ms: number, steps: number): Promise<{ row: Row; peak?: number }> {
  const speeds = await machineSpeed(one.threads);
  const once = (time: number) => timesOf([[time]]);
  const measured = (...peers: number[]): Measured => ({
    own: [once(ms)],
    peers: peers.map(once),
    speeds,
  });
  let best: { row: Row; peak?: number } = { row: rowOf(one, measured(), []) };
  for (const peer of one.peers) {
    const session = await peerSession({ ...peer, apart: 'memory' });
    if (session === null) continue;
    if (typeof session === 'string') throw new Error(`${peer.name} cannot do ${peer.work}: ${session}`);
    const times = await session.repeat(steps);
    const peak = await session.peakMemory();
    session.end();
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    if (best.peak === undefined || peak < best.peak) best = { row: rowOf(one, measured(mean), [session]), peak };
  }
  return best;
}

const lenet = textOf({ network: 'lenet', shape: [256, 1, 28, 28], classes: 10 });
const lenetSteps = 10_000;

async function measureLenet(one: SpecialCase): Promise<Row> {
  const { engine, threads } = one;
  const ours = await figuresOf({
    engine,
    threads,
    work: lenet,
    fused: true,
    scoped: false,
    warmUp: 200,
    steps: lenetSteps,
  });
  // PyTorch's loop frees by counting references: its peak is reached in the first steps.
  const { row, peak } = await besidePeer(one, ours.msPerStep, 1000);
  row.extra = {
    'MiB after warm-up': ours.warm,
    'MiB at the end': ours.end,
    'highest between': ours.highest,
    'peak of the process': ours.peak,
    ...(peak && { "PyTorch's peak": peak }),
  };
  return row;
}

/** The suite: one case per engine. */
export function memory(): SpecialCase[] {
  const name = `LeNet-BN, ${lenetSteps} steps without scopes, resident memory`;
  const peers = [{ name: 'torch', work: `train:${lenet}:contiguous`, threads: 2 }];
  return [
    { name, engine: 'native', threads: 2, peers, measure: measureLenet },
    { name, engine: 'wasm', threads: 1, peers, measure: measureLenet },
  ];
}

/** The peak of a training step, for the suite of whole networks. */
export function stepMemory(threads: number): SpecialCase {
  const work = textOf({ network: 'resnet50', shape: [8, 3, 224, 224], classes: 1000 });
  const formats = ['contiguous', 'channels_last'];
  return {
    name: 'ResNet-50 8x3x224x224: peak memory of a training step',
    engine: 'native',
    threads,
    peers: formats.map((format) => ({ name: 'torch', work: `train:${work}:${format}`, threads })),
    target: { figure: "peak over PyTorch's", atMost: 0.6 },
    async measure(one): Promise<Row> {
      const job = { engine: 'native', threads, work, scoped: true, warmUp: 1, steps: 4 } as const;
      const fused = await figuresOf({ ...job, fused: true });
      const plain = await figuresOf({ ...job, fused: false });
      const { row, peak } = await besidePeer(one, fused.msPerStep, 3);
      row.extra = {
        'peak, MiB': fused.peak,
        'without fusion, MiB': plain.peak,
        ...(peak && { "PyTorch's peak, MiB": peak, "peak over PyTorch's": fused.peak / peak }),
      };
      return row;
    },
  };
}
