// PyTorch in a process of its own (torch_peer.py): a line of programs goes in, a line of reports comes back.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { python, startLinePeer } from '../scripts/line_peer.ts';
import type { Outcome, Program, TensorSpec } from './program.ts';
import { valuesOf } from './values.ts';

export interface TorchPeer {
  readonly version: string;
  /** null for a program that ended the process: some wrong arguments do. */
  run(programs: readonly Program[]): Promise<(Outcome[] | null)[]>;
  close(): void;
}

const isSpec = (value: unknown): value is TensorSpec =>
  typeof value === 'object' && value !== null && 'distribution' in value;
const encoded = (programs: readonly Program[]): string =>
  JSON.stringify(programs, (_, value: unknown) =>
    isSpec(value)
      ? { ...value, distribution: undefined, data: Buffer.from(valuesOf(value).buffer).toString('base64') }
      : value,
  );

const decoded = (line: string): unknown =>
  JSON.parse(line, (key, value: unknown) => {
    if (key !== 'data' || typeof value !== 'string') return value;
    const bytes = Buffer.from(value, 'base64');
    // A copy, whose memory is aligned.
    return new Float64Array(new Uint8Array(bytes).buffer);
  });

interface Session {
  version: string;
  /** null: the process ended instead of answering. */
  ask(programs: readonly Program[]): Promise<Outcome[][] | null>;
  close(): void;
}

async function open(): Promise<Session> {
  const peer = startLinePeer(python, [fileURLToPath(new URL('torch_peer.py', import.meta.url))]);
  const greeting = await peer.receive();
  if (greeting === null) throw new Error('PyTorch did not start');
  return {
    version: (JSON.parse(greeting) as { version: string }).version,
    async ask(programs) {
      peer.send(encoded(programs));
      const line = await peer.receive();
      return line === null ? null : (decoded(line) as Outcome[][]);
    },
    close: () => peer.close(),
  };
}

/** Starts PyTorch; null where there is none. */
export async function startTorch(): Promise<TorchPeer | null> {
  if (spawnSync(python, ['-c', 'import torch, numpy']).status !== 0) return null;
  let session = await open();
  return {
    version: session.version,
    async run(programs) {
      const found: (Outcome[] | null)[] | null = await session.ask(programs);
      if (found) return found;
      session = await open();
      if (programs.length === 1) return [null];
      const one: (Outcome[] | null)[] = [];
      for (const program of programs) {
        const alone = await session.ask([program]);
        if (!alone) session = await open();
        one.push(alone ? alone[0] : null);
      }
      return one;
    },
    close: () => session.close(),
  };
}
