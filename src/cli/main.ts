// The command line: options in, errors as one line, exit codes. 0 done, 1 failed, 2 wrong usage, 130 interrupted and saved.
import '../ops/methods.ts';
import { Command, InvalidArgumentError, Option } from 'commander';
import { EvenkeelError } from '../errors.ts';
import type { DeviceName } from '../kernels/device.ts';
import { setEngine, setNumThreads } from '../kernels/engine.ts';
import { addFileCommands } from './files.ts';
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
  .option('--out <dir>', 'folder for metrics.jsonl, report.html and checkpoint', 'runs/lenet')
  .option('--resume', 'go on from the checkpoint in --out', false)
  .option('--tensorboard', 'write TensorBoard event files too', false)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

interface EngineOptions {
  engine?: DeviceName;
  threads?: number;
}

/** Ends with the code that the work gives; errors are one line. */
async function finish(work: Promise<number>): Promise<void> {
  try {
    process.exitCode = await work;
  } catch (error) {
    // The system's errors (disks, rights) are no mistakes of the program either.
    const isSystem = error instanceof Error && 'syscall' in error;
    if (!(error instanceof EvenkeelError) && !isSystem) throw error;
    console.error(`${error.name}: ${error.message}`);
    process.exitCode = 1;
  }
}

async function train({ engine, threads, ...options }: TrainOptions & EngineOptions): Promise<number> {
  if (engine) setEngine(engine);
  if (threads) setNumThreads(threads);
  return (await trainLenet(options)) ? 0 : 130;
}

program.action((options: TrainOptions & EngineOptions) => finish(train(options)));
addFileCommands(program, finish);
await program.parseAsync();
