// PyTorch in a process of its own (torch_peer.py): a line of programs goes in, a line of reports comes back.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { python, startLinePeer } from '../scripts/line_peer.ts';
import { inOurWords } from './our_words.ts';
import type { Outcome, Program, TensorSpec } from './program.ts';
import { valuesOf } from './values.ts';

export interface Peer<P, O> {
  readonly version: string;
  /** null for a program that ended the process: some wrong arguments do. */
  run(programs: readonly P[]): Promise<(O | null)[]>;
  close(): void;
}
export type TorchPeer = Peer<Program, Outcome[]>;

/** A script that answers each line of programs with a line of reports, and what its lines are made of. */
export interface Script<P> {
  readonly path: string;
  encode(programs: readonly P[]): string;
  decode(line: string): unknown;
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

/** Outcomes whose errors and warnings are in the library's words. */
const inWords = (programs: Outcome[][]): Outcome[][] =>
  programs.map((outcomes) =>
    outcomes.map((outcome) => ({
      ...outcome,
      error: outcome.error && { ...outcome.error, text: inOurWords(outcome.error.text) },
      warnings: outcome.warnings.map(inOurWords),
    })),
  );

interface Session<P, O> {
  version: string;
  /** null: the process ended instead of answering. */
  ask(programs: readonly P[]): Promise<O[] | null>;
  close(): void;
}

async function open<P, O>({ path, encode, decode }: Script<P>): Promise<Session<P, O>> {
  const peer = startLinePeer(python, [fileURLToPath(new URL(path, import.meta.url))]);
  const greeting = await peer.receive();
  if (greeting === null) throw new Error('PyTorch did not start');
  return {
    version: (JSON.parse(greeting) as { version: string }).version,
    async ask(programs) {
      peer.send(encode(programs));
      const line = await peer.receive();
      return line === null ? null : (decode(line) as O[]);
    },
    close: () => peer.close(),
  };
}

/** Starts PyTorch for programs of layers; null where there is none. */
export const startTorch = (): Promise<TorchPeer | null> =>
  startPeer({ path: 'torch_peer.py', encode: encoded, decode: (line) => inWords(decoded(line) as Outcome[][]) });

/** Starts PyTorch with a script; null where there is none. */
export async function startPeer<P, O>(script: Script<P>): Promise<Peer<P, O> | null> {
  if (spawnSync(python, ['-c', 'import torch, numpy']).status !== 0) return null;
  let session = await open<P, O>(script);
  return {
    version: session.version,
    async run(programs) {
      const found: (O | null)[] | null = await session.ask(programs);
      if (found) return found;
      session = await open<P, O>(script);
      if (programs.length === 1) return [null];
      const one: (O | null)[] = [];
      for (const program of programs) {
        const alone = await session.ask([program]);
        if (!alone) session = await open<P, O>(script);
        one.push(alone ? alone[0] : null);
      }
      return one;
    },
    close: () => session.close(),
  };
}
