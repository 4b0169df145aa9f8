// Contenders in processes of their own: a line in, a line of JSON out. "run 150": times (ms) of single runs for 150 ms; "repeat 1000": the
// same for 1000 runs; "peak": [MiB] of resident memory at most so far. They stay alive between turns.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Peer {
  /** 'torch', 'tfjs-cpu' … */
  name: string;
  /** What the peer shall run, in its script's terms. */
  work: string;
  threads: number;
}

export interface PeerSession {
  readonly name: string;
  readonly version: string;
  readonly threads: number;
  /** Times of single runs for about `budget` milliseconds. */
  run(budget: number): Promise<number[]>;
  /** Times of so many single runs. */
  repeat(count: number): Promise<number[]>;
  /** Peak of the process's resident memory in MiB. */
  peakMemory(): Promise<number>;
  close(): void;
}

const python = process.env.EVENKEEL_PYTHON ?? 'python3';
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Why a peer cannot be measured; absent when it can. */
const reasons: Record<string, string> = {};
let probed = false;

function probe(): void {
  if (probed) return;
  probed = true;
  const torch = spawnSync(python, ['-c', 'import torch'], { encoding: 'utf8' });
  if (torch.status !== 0) reasons.torch = `torch: ${python} has no PyTorch; EVENKEEL_PYTHON can name one that has`;
  try {
    import.meta.resolve('@tensorflow/tfjs', new URL('../package.json', import.meta.url));
  } catch {
    reasons['tfjs-cpu'] = 'tfjs-cpu: "npm install --prefix bench" installs TensorFlow.js';
  }
}

export async function missingPeers(): Promise<string[]> {
  probe();
  return Object.values(reasons);
}

const commands: Record<string, (peer: Peer) => [string, string[]]> = {
  torch: ({ work, threads }) => [python, [script('torch_peer.py'), work, String(threads)]],
  'tfjs-cpu': ({ work }) => [process.execPath, [script('tfjs_peer.mjs'), work]],
};

const open = new Set<ChildProcessWithoutNullStreams>();

/** Starts a peer; null where it is not installed. */
export async function peerSession(peer: Peer): Promise<PeerSession | null> {
  probe();
  if (reasons[peer.name]) return null;
  const [command, args] = commands[peer.name](peer);
  const child = spawn(command, args, {
    env: { ...process.env, OMP_NUM_THREADS: String(peer.threads) },
  }) as ChildProcessWithoutNullStreams;
  open.add(child);
  child.stderr.pipe(process.stderr);
  const lines: Interface = createInterface({ input: child.stdout });
  const iterator = lines[Symbol.asyncIterator]();
  const answer = async (): Promise<string> => {
    const { value, done } = await iterator.next();
    if (done) throw new Error(`the peer ${peer.name} ended while it was measured`);
    return value;
  };
  const { version } = JSON.parse(await answer()) as { version: string };
  const close = () => {
    child.kill();
    open.delete(child);
  };
  const ask = async (line: string): Promise<number[]> => {
    child.stdin.write(`${line}\n`);
    return JSON.parse(await answer()) as number[];
  };
  return {
    name: peer.name,
    version,
    threads: peer.threads,
    run: (budget) => ask(`run ${budget}`),
    repeat: (count) => ask(`repeat ${count}`),
    peakMemory: async () => (await ask('peak'))[0],
    close,
  };
}

export function closePeers(): void {
  for (const child of open) child.kill();
}
