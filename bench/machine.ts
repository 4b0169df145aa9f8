// How fast the machine is just now, from a program that the C++ compiler makes of machine_speed.cpp, and what that
// leaves for a row: the least time that its arithmetic and its bytes take.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type LinePeer, startLinePeer } from '../scripts/line_peer.ts';
import { instructionSetsHere, kernels, ownCompiler, root, version } from '../src/cli/native_build.ts';
import { heldIsa } from './isa.ts';

export interface Speed {
  /** Of fused multiply-adds, each of which counts as two. */
  readonly gflops: number;
  /** Bytes that a copy larger than the last cache reads and writes in a nanosecond. */
  readonly gbps: number;
  /** The same of a copy as large as the work, which caches may hold. */
  readonly gbpsAlike: number;
  /** Bytes of the last cache. */
  readonly lastCache: number;
}

/** What a run of a case has to do at least. */
export interface Work {
  readonly multiplyAdds: number;
  /** Bytes of its operands together. */
  readonly held: number;
  /** Bytes that it reads and writes. Default: each operand once. */
  moved?(lastCache: number): number;
  /** Whether kernels may take fewer multiplications than the definition (Winograd). Default: false. */
  readonly mayTakeFewer?: boolean;
}

/** Milliseconds that the work takes at least on a machine of such speed. */
export function limitOf({ multiplyAdds, held, moved }: Work, { gflops, gbpsAlike, lastCache }: Speed): number {
  const bytes = moved ? moved(lastCache) : held;
  return Math.max((2 * multiplyAdds) / gflops, bytes / gbpsAlike) / 1e6;
}

let program: LinePeer | null | undefined;

/** The program, started; null, and said so, where no compiler makes it. */
function start(): LinePeer | null {
  const compiler = ownCompiler();
  const isa = heldIsa();
  const set = version(compiler) ? instructionSetsHere(compiler).find(({ name }) => name === isa) : undefined;
  const folder = join(root, 'build', 'bench');
  mkdirSync(folder, { recursive: true });
  const target = join(folder, `machine_speed.${isa}`);
  const flags = ['-O3', '-std=c++17', ...(set?.flags ?? []), '-pthread', '-DEK_ISA=bench', `-I${kernels}`];
  const source = join(root, 'bench', 'machine_speed.cpp');
  if (set && spawnSync(compiler, [...flags, '-o', target, source], { stdio: 'ignore' }).status === 0)
    return startLinePeer(target, []);
  console.log(`not measured: the machine's speed: ${compiler} did not compile bench/machine_speed.cpp`);
  return null;
}

/**
 * Measured anew by each call, in a few hundredths of a second, since a shared machine's speed drifts. Empty without a
 * compiler.
 */
export async function machineSpeed(threads: number, work?: Work): Promise<Speed[]> {
  program ??= program === undefined ? start() : null;
  if (!program) return [];
  program.send(`${threads} ${work?.held ?? 0}`);
  const answer = await program.receive();
  if (answer === null) throw new Error('bench/machine_speed.cpp ended while it was asked');
  const [gflops, gbps, gbpsAlike, lastCache] = answer.split(' ').map(Number);
  return [{ gflops, gbps, gbpsAlike, lastCache }];
}

export function closeMachine(): void {
  program?.close();
}
