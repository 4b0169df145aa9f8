// The entries of kernels/elementwise/*.def, as these files themselves say them.
import { readFileSync } from 'node:fs';

interface Entry {
  /** In camelCase, as TypeScript has it. */
  readonly name: string;
  readonly isTest: boolean;
  /** Of a function of one operand: whether it takes integers, too. */
  readonly takesIntegers: boolean;
}

function entriesOf(file: string): Entry[] {
  const text = readFileSync(new URL(`../../kernels/elementwise/${file}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^EK_(\w+)\((\w+), *(\w+)?/gm)].map(([, kind, name, dtypes]) => ({
    name: name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
    isTest: kind === 'TEST',
    takesIntegers: kind === 'TEST' || dtypes === 'numbers',
  }));
}

export const unaryEntries: readonly Entry[] = entriesOf('unary.def');
export const binaryEntries: readonly Entry[] = entriesOf('binary.def');
