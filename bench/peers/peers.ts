// Contenders in processes of their own: a line in, a line of JSON out. "prepare lenet_step:256" names the work; "run
// 150": times (ms) of single runs for 150 ms; "repeat 1000": the same for 1000 runs; "peak": [MiB] of resident memory
// at most so far. They stay alive between turns and serve one case after the other.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type LinePeer, python, startLinePeer } from '../../scripts/line_peer.ts';
import { noCompiler, ownCompiler, version } from '../../src/cli/native_build.ts';

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

/** A Python with a newer PyTorch, which is a peer of its own. */
const newest = process.env.EVENKEEL_NEWEST_PYTHON ?? '';

function probe(): void {
  if (probed) return;
  probed = true;
  const noTorch = (program: string) => (versionOfTorch(program) ? undefined : `${program} has no PyTorch`);
  const own = noTorch(python);
  const missing: [peer: string, reason: string | undefined][] = [
    ['torch', own && `${own}; EVENKEEL_PYTHON can name one that has`],
    ['newest torch', newest ? noTorch(newest) : 'EVENKEEL_NEWEST_PYTHON can name a Python with a newer PyTorch'],
  ];
  for (const [peer, reason] of missing) {
    const ofCompiled = reason ?? (version(ownCompiler()) ? undefined : noCompiler);
    if (reason) reasons[peer] = `${peer}: ${reason}`;
    if (ofCompiled) reasons[`${peer}.compile`] = `${peer}.compile: ${ofCompiled}`;
  }
  for (const [peer, name] of Object.entries(packages)) {
    const isThere = existsSync(new URL(`../node_modules/${name}/package.json`, import.meta.url));
    if (!isThere) reasons[peer] = `${peer}: "npm install --prefix bench" installs ${name}`;
  }
}

function versionOfTorch(program: string): string | null {
  const asked = spawnSync(program, ['-c', 'import torch; print(torch.__version__)'], { encoding: 'utf8' });
  return asked.status === 0 ? asked.stdout.trim() : null;
}
/** The version of PyTorch; null where there is none. */
export const torchVersion = (): string | null => versionOfTorch(python);

/** Why some of these peers cannot be measured. */
export function missingPeers(peers: readonly Peer[]): string[] {
  probe();
  return [...new Set(peers.map(({ name }) => name))].flatMap((name) => reasons[name] ?? []);
}

/** PyTorch in all its modes: as it is and compiled, and both in a newer version. */
export const everyTorch = (work: string, threads: number): Peer[] =>
  ['torch', 'torch.compile', 'newest torch', 'newest torch.compile'].map((name) => ({ name, work, threads }));

/** What the JavaScript peers need of bench/node_modules. */
const packages: Record<string, string> = {
  'tfjs-cpu': '@tensorflow/tfjs',
  'tfjs-wasm': '@tensorflow/tfjs-backend-wasm',
  'jax-js': '@jax-js/jax',
};

const torch =
  (program: string, ...mode: string[]) =>
  (threads: number): [string, string[]] => [program, [script('torch_peer.py'), String(threads), ...mode]];

const commands: Record<string, (threads: number) => [string, string[]]> = {
  torch: torch(python),
  'torch.compile': torch(python, 'compiled'),
  'newest torch': torch(newest),
  'newest torch.compile': torch(newest, 'compiled'),
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

/** A peer with its work prepared; null where it is not installed, and the reason where it cannot do the work. */
export async function peerSession({ name, work, threads, apart = '' }: Peer): Promise<PeerSession | string | null> {
  probe();
  if (reasons[name]) return null;
  const key = `${name}:${threads}:${apart}`;
  const peer = processes.get(key) ?? startPeer(name, threads);
  processes.set(key, peer);
  const prepared = (await peer.ask(`prepare ${work}`)) as { version: string; note?: string } | { failed: string };
  if ('failed' in prepared) return prepared.failed;
  const { version, note } = prepared;
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
