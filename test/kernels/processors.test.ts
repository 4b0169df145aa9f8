// Where the native engine's threads run: a worker that finds itself on the processor of the thread that waits for it
// goes elsewhere.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { loadNative } from '../../src/device/native.ts';

const taskset = ['/usr/bin/taskset', '/bin/taskset'].find(existsSync);
const isPossible = loadNative().backend !== null && taskset !== undefined && availableParallelism() > 1;
const index = new URL('../../src/index.ts', import.meta.url).href;
const program = `
const { ones, setEngine, setNumThreads } = await import(${JSON.stringify(index)});
setEngine('native');
setNumThreads(2);
const x = ones([2 ** 22]);
const step = () => { for (let i = 0; i < 20; i++) x.add(1); setImmediate(step); };
step();
console.log('runs');`;

const allowedOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/task`).map(
    (thread) => /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'))![1],
  );

test.skipIf(!isPossible)(
  'a worker leaves the processor of its caller (Linux, with taskset)',
  async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await new Promise((resolve, reject) => {
        child.stdout.once('data', resolve);
        child.once('exit', (code) => reject(new Error(`the program ended with ${code}`)));
      });
      const first = allowedOf(process.pid)[0].split(/[-,]/)[0];
      execFileSync(taskset!, ['-apc', first, String(child.pid)], { stdio: 'ignore' });
      // All threads of the program are on one processor now; soon one of them, the worker, is not.
      await expect
        .poll(() => allowedOf(child.pid!).filter((list) => list !== first).length, { timeout: 30_000 })
        .toBe(1);
    } finally {
      child.kill('SIGKILL');
    }
  },
  60_000,
);
