// The library in a process of its own, so that a case that ends it ends nothing else: a line with a case comes in, a
// line of verdicts goes out. The argument names the engine.
import { createInterface } from 'node:readline';
import { setEngine, setWarningHandler } from '../src/index.ts';
import type { Case } from './case.ts';
import { runCase } from './run_case.ts';

setEngine(process.argv[2] as 'native' | 'wasm');
setWarningHandler(() => {});
for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(runCase(JSON.parse(line) as Case))}\n`);
