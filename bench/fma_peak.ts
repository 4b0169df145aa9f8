// GFLOP/s of this machine's fused multiply-adds, from a program that the C++ compiler makes of fma_peak.cpp.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'build', 'fma_peak');
const compiler = process.env.CXX ?? 'g++';
let isBuilt: boolean | undefined;

function build(): boolean {
  mkdirSync(join(root, 'build'), { recursive: true });
  const flags = ['-O3', '-std=c++17', '-march=native', '-mprefer-vector-width=512', '-ffp-contract=fast', '-pthread'];
  const { status } = spawnSync(
    compiler,
    [...flags, '-DEK_ISA=bench', `-I${root}/kernels`, '-o', program, join(root, 'bench', 'fma_peak.cpp')],
    { stdio: 'ignore' },
  );
  if (status !== 0)
    console.log(`not measured: the peak of multiply-adds: ${compiler} did not compile bench/fma_peak.cpp`);
  return status === 0;
}

/** Measured anew by each call, since a shared machine's speed drifts; null without a compiler. */
export function fmaPeak(threads: number): number | null {
  isBuilt ??= build();
  return isBuilt ? Number(execFileSync(program, [String(threads), '60'], { encoding: 'utf8' })) : null;
}
