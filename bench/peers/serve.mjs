// The peers' protocol for JavaScript libraries: lines from stdin, answers as JSON.
import { createInterface } from 'node:readline';

/** Answers lines until stdin ends. `prepare(name, ...arguments)` returns a run, or a promise of one; a run may be async. */
export async function serve(version, prepare) {
  let run;
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, text] = line.split(' ');
    if (command === 'prepare') {
      run = await prepare(...text.split(':'));
      await run();
      console.log(JSON.stringify({ version }));
      continue;
    }
    const times = [];
    for (let spent = 0; spent < Number(text) || times.length === 0; spent += times.at(-1)) {
      const start = performance.now();
      await run();
      times.push(performance.now() - start);
    }
    console.log(JSON.stringify(times));
  }
}

/** "32x64x28x28" as sizes, (N, C, H, W), in the order (N, H, W, C). */
export function channelsLast(shape) {
  const [n, c, ...rest] = shape.split('x').map(Number);
  return [n, ...rest, c];
}
