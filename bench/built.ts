// How programs of the benchmarks run: TypeScript, on the library as it is shipped.

/** Options of Node.js. */
export const onBuilt = ['--import', 'tsx', '--import', new URL('built.mjs', import.meta.url).href] as const;
