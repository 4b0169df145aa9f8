// The library as it is shipped: where a program imports sources of it, it gets their form in dist/. tsx keeps the name
// of every function, which costs a small operation as much again as it takes. `node --import tsx --import
// ./bench/built.mjs PROGRAM`, after `npm run build:dist`.
import { register } from 'node:module';

const hooks = '?hooks';
const sources = new URL('../src/', import.meta.url).href;
const built = new URL('../dist/', import.meta.url).href;

export async function resolve(specifier, context, next) {
  const found = await next(specifier, context);
  if (!found.url.startsWith(sources)) return found;
  return next(found.url.replace(sources, built).replace(/\.ts(\?.*)?$/, '.js'), context);
}

if (!import.meta.url.endsWith(hooks)) register(import.meta.url + hooks);
