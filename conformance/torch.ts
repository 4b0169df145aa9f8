// PyTorch in a process of its own (torch_cases.py): its inventory's names, and the cases of each.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { python, startLinePeer } from '../scripts/line_peer.ts';

export const families = ['functions', 'layers', 'optimizers', 'schedulers', 'inits'] as const;
export type Family = (typeof families)[number];

/** Names by family: all that PyTorch has. Of functions these are OpInfo's, with their variants. */
export type Inventory = Record<Family, string[]>;

export interface Listing extends Inventory {
  version: string;
  /** Of which of them cases can be drawn; of functions, of all. */
  drawn: Inventory;
}

export interface DrawRequest {
  family: Family;
  name: string;
  seed: number;
  /** At most so many samples of a dtype and source; null: all. */
  most: number | null;
  references: boolean;
}

export interface Torch {
  list(): Promise<Listing>;
  /** The cases, a line each. */
  draw(request: DrawRequest): AsyncGenerator<string>;
  close(): void;
}

/** Starts PyTorch; null where there is none. */
export function startTorch(): Torch | null {
  if (spawnSync(python, ['-c', 'import torch, numpy, expecttest, hypothesis']).status !== 0) return null;
  const peer = startLinePeer(python, [fileURLToPath(new URL('torch_cases.py', import.meta.url))]);
  const receive = async (): Promise<string> => {
    const line = await peer.receive();
    if (line === null) throw new Error(`conformance: PyTorch's process ended: ${await peer.ended()}`);
    return line;
  };
  return {
    async list() {
      peer.send('{"list": true}');
      const all = JSON.parse(await receive());
      const { drawnLayers, drawnOptimizers, drawnSchedulers, drawnInits, ...names } = all;
      const drawn = {
        functions: names.functions,
        layers: drawnLayers,
        optimizers: drawnOptimizers,
        schedulers: drawnSchedulers,
        inits: drawnInits,
      };
      return { ...names, drawn } as Listing;
    },
    async *draw(request) {
      peer.send(JSON.stringify(request));
      for (;;) {
        const line = await receive();
        if (!line.startsWith('{"done"')) {
          yield line;
          continue;
        }
        const { problem } = JSON.parse(line) as { problem: string | null };
        if (problem) throw new Error(`conformance: ${request.name} cannot be drawn: ${problem}`);
        return;
      }
    },
    close: () => peer.close(),
  };
}
