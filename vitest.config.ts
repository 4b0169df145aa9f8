// Tests run once per engine where the engine matters. Kernel tests go through both engines by themselves; tests of
// files, random numbers and data touch none. `vitest run --mode checked` runs them in the checked build: every address
// that a kernel is given is looked up. `--mode fast` runs what answers within a minute or so on two cores while one
// works: on one engine, without kernels' own tests, training, models and files. `--mode large` runs those of the
// largest tensors alone, with EVENKEEL_ADDON=build/checked/evenkeel.node in that build.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest comes first: else one worker would be idle while the other ends with it. */
const long = ['training/parity', 'training/trajectory', 'models/models', 'cli/train', 'cli/run_folder', 'nn/enclosed'];
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => long.some((name) => moduleId.endsWith(`${name}.test.ts`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

const onEngines = [
  ...['tensor', 'autograd', 'ops', 'cases', 'nn', 'optim', 'training', 'models', 'cli', 'fusion', 'examples'].map((folder) => `test/${folder}/**/*.test.ts`),
  'test/data/*transforms.test.ts',
];
/** Of these, what no engine has a say in: one run is enough. */
const onOneEngine = ['test/cli/run_folder.test.ts'];

/**
 * The inner loop: every operation in every mode, autograd, layers, the rules of the surface; but for files that take
 * long by themselves.
 */
const fast = ['tensor', 'autograd', 'ops', 'cases', 'nn', 'optim', 'api', 'checked', 'scripts'].map((folder) => `test/${folder}/**/*.test.ts`);
const slow = ['accuracy', 'averaged_model', 'recalibrate', 'norm_spec', 'fold', 'enclosed', 'summary'].map((name) => `test/nn/${name}.test.ts`);

/** Jobs of several ranks take both MPIs that are tested; where they must be there, tests fail without. */
const hasProgram = (name: string) => (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
const hasMpi = process.env.EVENKEEL_REQUIRE_MPI !== undefined || ['mpicxx.openmpi', 'mpicxx.mpich'].every(hasProgram);

const source = (path: string) => join(import.meta.dirname, 'src', path);

export default defineConfig(({ mode }) => {
  const checked = 'build/checked/evenkeel.node';
  const isChecked = mode === 'checked' || process.env.EVENKEEL_ADDON === checked;
  const addon = isChecked ? checked : 'build/native/evenkeel.node';
  const hasAddon = existsSync(addon) || (!isChecked && process.env.EVENKEEL_ADDON !== undefined);
  if (!hasAddon) console.log(`evenkeel: there is no ${addon}, so tests run on the WebAssembly engine only`);

  if (!hasMpi) console.log('evenkeel: Open MPI and MPICH are not both here, so tests of several ranks do not run');

  const project = (name: string, include: string[], exclude: string[], env: Record<string, string>) => ({
    extends: true as const,
    test: { name, include, exclude, env: { ...env, ...(isChecked && hasAddon ? { EVENKEEL_ADDON: addon } : {}) } },
  });

  return {
    // Programs of examples/ name the package: in tests that is src/.
    resolve: {
      alias: [
        { find: /^evenkeel\/data\/node$/, replacement: source('data/node.ts') },
        { find: /^evenkeel\/(\w+)$/, replacement: source('$1/index.ts') },
        { find: /^evenkeel$/, replacement: source('index.ts') },
      ],
    },
    test: {
      testTimeout: isChecked ? 600_000 : 120_000,
      // Two cores: kernels of one test may use both.
      maxWorkers: 2,
      sequence: { sequencer: LongestFirst },
      setupFiles: isChecked ? ['test/checked/setup.ts'] : [],
      projects: mode === 'large' ? [project('large', ['test/large/**/*.test.ts'], [], {})] : mode === 'fast' ? [
        project('fast', fast, slow, hasAddon ? { EVENKEEL_ENGINE: 'native' } : { EVENKEEL_ENGINE: 'wasm' }),
      ] : [
        project('any', ['test/**/*.test.ts'], [...onEngines, 'test/package/**', 'test/large/**', 'test/distributed/**'], {}),
        ...(hasMpi && !isChecked ? [project('distributed', ['test/distributed/**/*.test.ts'], [], {})] : []),
        ...(hasAddon ? [project('native', onEngines, [], { EVENKEEL_ENGINE: 'native' })] : []),
        project('wasm', onEngines, hasAddon ? onOneEngine : [], { EVENKEEL_ENGINE: 'wasm' }),
        project('package', ['test/package/**/*.test.ts'], [], {}),
      ],
    },
  };
});
