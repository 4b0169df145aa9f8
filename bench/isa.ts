// The instruction set that a run is held to: our kernels, PyTorch's, and the program that measures the machine.

import { buildNative, instructionSetsHere, noCompiler, ownCompiler, version } from '../src/cli/native_build.ts';
import { currentBackend, setEngine } from '../src/device/engine.ts';

/** What `--isa` takes. */
export const isas = ['avx2', 'avx512'] as const;
export type Isa = (typeof isas)[number];

/** The variables by which PyTorch and its libraries use no more than AVX2. */
const torchOnAvx2 = {
  ATEN_CPU_CAPABILITY: 'avx2',
  MKL_ENABLE_INSTRUCTIONS: 'AVX2',
  ONEDNN_MAX_CPU_ISA: 'AVX2',
  // What torch.compile gives to the C++ compiler.
  TORCHINDUCTOR_CPP_MARCH: 'x86-64-v3',
};

let held: string | null = null;

/** Holds this process, and all that it starts from here on, to an instruction set; default: what the processor has. */
export async function holdTo(isa?: Isa): Promise<void> {
  if (isa) {
    const compiler = ownCompiler();
    if (!version(compiler)) throw new Error(`--isa ${isa} builds an addon: ${noCompiler}`);
    const here = instructionSetsHere(compiler).map(({ name }) => name);
    if (!here.includes(isa)) throw new Error(`--isa ${isa}: this processor has no more than ${here.at(-1)}`);
    const addon = (await buildNative(isa))!;
    Object.assign(process.env, { EVENKEEL_ADDON: addon, EVENKEEL_ISA: isa }, isa === 'avx2' ? torchOnAvx2 : {});
  }
  setEngine('native');
  held = currentBackend().instructionSet;
}

/** What `holdTo` has found or made: 'avx2', 'avx512', 'neon' … */
export function heldIsa(): string {
  if (held === null) throw new Error('holdTo() comes first');
  return held;
}

/** Bounds of a target by instruction set. Others than these two have vectors no wider than AVX2's, and its bounds. */
export type Bounds = Readonly<Record<Isa, number>>;
export const boundOf = (bounds: Bounds): number => bounds[heldIsa() === 'avx512' ? 'avx512' : 'avx2'];
