// Contenders in processes of their own: a line in, a line of JSON out. "prepare lenet_step:256" names the work; "run
// 150": times (ms) of single runs for 150 ms; "repeat 1000": the same for 1000 runs; "peak": [MiB] of resident memory
// at most so far. They stay alive between turns and serve one case after the other.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type LinePeer, python, startLinePeer } from '../../scripts/line_peer.ts';

export interface Peer {
  /** 'torch', 'tfjs-cpu' … */
  name: string;
  /** What the peer shall run, in its script's terms. */
  work: string;
  threads: number;
  /** Set apart, in a process of its own, where two works of one peer take turns. */
  apart?: string;
}

export interface PeerSession {
  readonly name: string;
  readonly version: string;
  readonly threads: number;
  /** What the peer chose where it had a choice, such as the memory format that is faster here. */
  readonly note?: string;
  /** Times of single runs for about `budget` milliseconds. */
  run(budget: number): Promise<number[]>;
  /** Times of so many single runs. */
  repeat(count: number): Promise<number[]>;
  /** Peak of the process's resident memory in MiB. */
  peakMemory(): Promise<number>;
  /** Ends the process, for a next case that must not share it. */
  end(): void;
}

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Why a peer cannot be measured; absent when it can. */
const reasons: Record<string, string> = {};
let probed = false;

function probe(): void {
  if (probed) return;
  probed = true;
  const torch = spawnSync(python, ['-c', 'import torch'], { encoding: 'utf8' });
  if (torch.status !== 0) reasons.torch = `torch: ${python} has no PyTorch; EVENKEEL_PYTHON can name one that has`;
  for (const [peer, name] of Object.entries(packages)) {
    const isThere = existsSync(new URL(`../node_modules/${name}/package.json`, import.meta.url));
    if (!isThere) reasons[peer] = `${peer}: "npm install --prefix bench" installs ${name}`;
  }
}

/** The version of PyTorch; null where there is none. */
export function torchVersion(): string | null {
  const asked = spawnSync(python, ['-c', 'import torch; print(torch.__version__)'], { encoding: 'utf8' });
  return asked.status === 0 ? asked.stdout.trim() : null;
}

export async function missingPeers(): Promise<string[]> {
  probe();
  return Object.values(reasons);
}

/** What the JavaScript peers need of bench/node_modules. */
const packages: Record<string, string> = {
  'tfjs-cpu': '@tensorflow/tfjs',
  'tfjs-wasm': '@tensorflow/tfjs-backend-wasm',
  'jax-js': '@jax-js/jax',
};

const commands: Record<string, (threads: number) => [string, string[]]> = {
  torch: (threads) => [python, [script('torch_peer.py'), String(threads)]],
  'tfjs-cpu': () => [process.execPath, [script('tfjs_peer.mjs'), 'cpu']],
  'tfjs-wasm': () => [process.execPath, [script('tfjs_peer.mjs'), 'wasm']],
  'jax-js': () => [process.execPath, [script('jax_js_peer.mjs')]],
};

interface PeerProcess {
  readonly lines: LinePeer;
  readonly ask: (line: string) => Promise<unknown>;
}
const processes = new Map<string, PeerProcess>();

function startPeer(name: string, threads: number): PeerProcess {
  const [command, args] = commands[name](threads);
  const lines = startLinePeer(command, args, { OMP_NUM_THREADS: String(threads) });
  const ask = async (line: string): Promise<unknown> => {
    lines.send(line);
    const answer = await lines.receive();
    if (answer === null) throw new Error(`the peer ${name} ended while it was measured`);
    return JSON.parse(answer);
  };
  return { lines, ask };
}

/** A peer with its work prepared; null where it is not installed. */
export async function peerSession({ name, work, threads, apart = '' }: Peer): Promise<PeerSession | null> {
  probe();
  if (reasons[name]) return null;
  const key = `${name}:${threads}:${apart}`;
  const peer = processes.get(key) ?? startPeer(name, threads);
  processes.set(key, peer);
  const { version, note } = (await peer.ask(`prepare ${work}`)) as { version: string; note?: string };
  const ask = (line: string) => peer.ask(line) as Promise<number[]>;
  return {
    name,
    version,
    threads,
    note,
    run: (budget) => ask(`run ${budget}`),
    repeat: (count) => ask(`repeat ${count}`),
    peakMemory: async () => (await ask('peak'))[0],
    end() {
      peer.lines.close();
      processes.delete(key);
    },
  };
}

export function closePeers(): void {
  for (const { lines } of processes.values()) lines.close();
}
