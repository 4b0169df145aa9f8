// Which kernels a piece of code calls, in order: what a fusion saves is kernels that do not run and tensors that are
// not written.
import { addressBackend } from '../support/address_backend.ts';

/** Kernels that handle numbers for each channel only, or none. */
const small = /Scratch$|Coefficients$|Invstd$|UpdateRunning$|NormCount$|FromRunning$|ParameterGradients$|^isa$/;

/** The names of the kernels called, without those that touch no whole tensor; `fn`'s result is dropped. */
export function kernelCalls(
  fn: () => unknown,
  isCounted: (name: string) => boolean = (name) => !small.test(name),
): string[] {
  const table = addressBackend().kernels as unknown as Record<string, (...args: number[]) => number>;
  const calls: string[] = [];
  const originals = { ...table };
  for (const [name, kernel] of Object.entries(originals))
    table[name] = (...args) => {
      if (isCounted(name)) calls.push(name);
      return kernel(...args);
    };
  try {
    fn();
  } finally {
    Object.assign(table, originals);
  }
  return calls;
}
