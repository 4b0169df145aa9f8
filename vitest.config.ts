// Tests run once per engine where the engine matters. Kernel tests go through both engines by themselves; tests of files, random
// numbers and data touch none.
import { existsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

const onEngines = ['tensor', 'autograd', 'ops', 'cases', 'nn', 'optim', 'training', 'models', 'cli', 'fusion'].map((folder) => `test/${folder}/**/*.test.ts`);
const hasAddon = existsSync('build/native/evenkeel.node') || process.env.EVENKEEL_ADDON !== undefined;
if (!hasAddon) console.log('evenkeel: no native addon is built, so tests run on the WebAssembly engine only');

const project = (name: string, include: string[], exclude: string[], env: Record<string, string>) => ({
  extends: true as const,
  test: { name, include, exclude, env },
});

export default defineConfig({
  test: {
    testTimeout: 120_000,
    // Two cores: kernels of one test may use both.
    maxWorkers: 2,
    projects: [
      project('any', ['test/**/*.test.ts'], [...onEngines, 'test/package/**'], {}),
      ...(hasAddon ? [project('native', onEngines, [], { EVENKEEL_ENGINE: 'native' })] : []),
      project('wasm', onEngines, [], { EVENKEEL_ENGINE: 'wasm' }),
      project('package', ['test/package/**/*.test.ts'], [], {}),
    ],
  },
});
