// Node.js's own modules, asked for at run time instead of imported: so no bundle for browsers meets a name that it
// cannot resolve, and a function that needs files says so when it is called. Deno and Bun have them too.
import { RuntimeError } from '../errors.ts';

interface NodeModules {
  crypto: typeof import('node:crypto');
  fs: typeof import('node:fs');
  module: typeof import('node:module');
  os: typeof import('node:os');
  path: typeof import('node:path');
  url: typeof import('node:url');
  worker_threads: typeof import('node:worker_threads');
  zlib: typeof import('node:zlib');
}

/** Whether there are any. */
export const hasNodeModules = (): boolean => typeof globalThis.process?.getBuiltinModule === 'function';

/**
 * A module of Node.js.
 * @param op the function that the user called.
 * @throws RuntimeError in browsers.
 */
export function nodeModule<N extends keyof NodeModules>(op: string, name: N): NodeModules[N] {
  const found = hasNodeModules() ? process.getBuiltinModule(`node:${name}`) : undefined;
  if (!found)
    throw new RuntimeError(`[${op}] expected Node.js, Deno or Bun: it takes node:${name}, which browsers do not have`);
  return found as NodeModules[N];
}
