// jax-js' side of the benchmarks, on its WebAssembly back end: batch norm by the batch's statistics, forward and backward, compiled.
// Arrays are moved: `ref` keeps one for another use.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { blockUntilReady, defaultDevice, init, jit, numpy as np, random, vjp } from '@jax-js/jax';
import { channelsLast, serve } from './serve.mjs';

await init('wasm');
defaultDevice('wasm');
const axis = [0, 1, 2];

function forward(x, weight, bias) {
  const mean = np.mean(x.ref, axis);
  const centred = x.sub(mean);
  const variance = np.mean(np.square(centred.ref), axis);
  const invstd = np.reciprocal(np.sqrt(variance.add(1e-5)));
  return centred.mul(invstd.mul(weight)).add(bias);
}

async function batchNorm(shape) {
  const size = channelsLast(shape);
  const c = size.at(-1);
  const [x, dy] = [0, 1].map((seed) => random.normal(random.key(seed), size));
  const [weight, bias] = [np.ones([c]), np.zeros([c])];
  const step = jit((x, weight, bias, dy) => {
    const [y, pullback] = vjp(forward, [x, weight, bias]);
    return [y, ...pullback(dy)];
  });
  return () =>
    blockUntilReady(step(x.ref, weight.ref, bias.ref, dy.ref)).then((all) => all.forEach((a) => void a.dispose()));
}

const manifest = join(dirname(createRequire(import.meta.url).resolve('@jax-js/jax')), '..', 'package.json');
const works = { batch_norm: batchNorm };
await serve(JSON.parse(readFileSync(manifest, 'utf8')).version, (name, ...args) => works[name](...args));
