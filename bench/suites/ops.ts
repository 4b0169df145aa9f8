// Every case of test/cases, forward and backward at its own size, against PyTorch: these are small tensors, so what is
// measured is what an operation costs besides its arithmetic.
import { grad } from '../../src/autograd/backward.ts';
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Case } from '../../test/cases/case.ts';
import { cotangentsOf, forTorch, inputsOf, listOf } from '../../test/cases/inputs.ts';
import { cases } from '../../test/cases/table.ts';
import type { TimedCase } from './index.ts';

const threads = 1;

function timed(one: Case): TimedCase {
  const text = Buffer.from(JSON.stringify(forTorch(one))).toString('base64');
  return {
    name: one.name,
    engine: 'native',
    threads,
    budget: 20,
    peers: [{ name: 'torch', work: `case:${text}`, threads }],
    prepare() {
      setEngine('native');
      setNumThreads(threads);
      const inputs = inputsOf(one, 'float32');
      const wanted = inputs.filter((x) => x.requiresGrad);
      const gradOutputs = cotangentsOf(listOf(one.run(...inputs)));
      // Many at once, for a clock that counts microseconds.
      return () => {
        for (let i = 0; i < repetitions; i++)
          scope(() => void grad(listOf(one.run(...inputs)), wanted, { gradOutputs, allowUnused: true }));
      };
    },
    extra: (ms) => ({ 'µs each': (1000 * ms) / repetitions }),
  };
}
/** As the peer has it. */
const repetitions = 50;

/** The suite: cases that PyTorch has, too, and that have a gradient. */
export const ops = (): TimedCase[] =>
  cases
    .filter((one) => one.torch && one.inputs.some(({ integer, bool, constant }) => !integer && !bool && !constant))
    .map(timed);
