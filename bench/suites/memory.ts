// Resident memory of 10,000 LeNet steps at batch 256, written by hand without scopes or disposal, per engine in a process of its own;
// beside it PyTorch's peak for the same loop.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Row } from '../measure.ts';
import type { MemoryFigures } from '../memory_run.ts';
import { peerSession } from '../peers/peers.ts';
import type { SpecialCase } from './index.ts';

const batch = 256;
const warmUp = 200;
const steps = 10_000;
/** PyTorch's loop frees by counting references: its peak is reached in the first steps. */
const peerSteps = 1000;

const program = fileURLToPath(new URL('../memory_run.ts', import.meta.url));

async function measure({ name, engine, threads, peers }: SpecialCase): Promise<Row> {
  const args = ['--import', 'tsx', program, engine, ...[threads, batch, warmUp, steps].map(String)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { warm, end, highest, peak, msPerStep } = JSON.parse(stdout) as MemoryFigures;
  const row: Row = { name, engine, threads, ms: msPerStep, peers: {}, ratio: {} };
  row.extra = {
    'MiB after warm-up': warm,
    'MiB at the end': end,
    'highest between': highest,
    'peak of the process': peak,
  };
  for (const peer of peers) {
    const session = await peerSession(peer);
    if (!session) continue;
    const times = await session.repeat(peerSteps);
    const ms = times.reduce((sum, time) => sum + time, 0) / times.length;
    row.peers[peer.name] = { ms, version: session.version, threads: session.threads };
    row.ratio[peer.name] = ms / msPerStep;
    row.extra[`peak of ${peer.name}`] = await session.peakMemory();
    session.end();
  }
  return row;
}

/** The suite: one case per engine. */
export function memory(): SpecialCase[] {
  const name = `LeNet-BN, ${steps} steps without scopes, resident memory`;
  const peers = [{ name: 'torch', work: `lenet_step:${batch}`, threads: 2 }];
  return [
    { name, engine: 'native', threads: 2, peers, measure },
    { name, engine: 'wasm', threads: 1, peers, measure },
  ];
}
