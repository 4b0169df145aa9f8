// Prints { isa, hashes } as JSON, the hashes of some kinds of programs: `run.ts THREADS KIND …`. The environment says
// the engine, its addon and its instruction set.
import '../../src/index.ts';
import { currentBackend, setNumThreads } from '../../src/device/engine.ts';
import { hashesOf, kinds } from './programs.ts';

const [threads, ...wanted] = process.argv.slice(2);
setNumThreads(Number(threads));
const hashes = Object.fromEntries(kinds.filter((kind) => wanted.includes(kind)).map((kind) => [kind, hashesOf(kind)]));
console.log(JSON.stringify({ isa: currentBackend().instructionSet, hashes }));
