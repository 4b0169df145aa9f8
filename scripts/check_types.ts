// The package's declarations as users of several versions of TypeScript see them: test/types/ compiles, and what must
// not compile does not. `npm run build:dist` comes first.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = `${root}build/types`;
mkdirSync(folder, { recursive: true });
/** The options of a strict user, library checks included. */
const compilerOptions = {
  target: 'ES2022',
  lib: ['ES2023', 'DOM', 'DOM.Iterable'],
  module: 'NodeNext',
  moduleResolution: 'NodeNext',
  strict: true,
  skipLibCheck: false,
  noEmit: true,
  types: ['node'],
  typeRoots: [`${root}node_modules/@types`],
};
// Every export at once, for users who have no types of Node.js: browsers have none.
const { name, exports } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { name: string; exports: object };
const everything = `${folder}/everything.ts`;
writeFileSync(
  everything,
  Object.keys(exports)
    .map((path, i) => `export * as m${i} from '${name}${path.slice(1)}';\n`)
    .join(''),
);
const strictest = {
  ...compilerOptions,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  types: [],
};
const bundler = { module: 'ESNext', moduleResolution: 'Bundler' };
const projects = {
  'as expected': { compilerOptions, include: [`${root}test/types/*.ts`] },
  'every export without @types/node': { compilerOptions: strictest, files: [everything] },
  'every export without @types/node, for bundlers': {
    compilerOptions: { ...strictest, ...bundler },
    files: [everything],
  },
  'the programs of the bundle tests': {
    compilerOptions: { ...compilerOptions, ...bundler, allowImportingTsExtensions: true, types: [] },
    include: [`${root}test/bundles/*.ts`],
  },
};
let failed = false;
for (const version of ['typescript-5.4', 'typescript', 'typescript-7']) {
  const tsc = `${root}node_modules/${version}/bin/tsc`;
  const label = execFileSync(process.execPath, [tsc, '--version'], { encoding: 'utf8' }).trim();
  for (const [i, [what, project]] of Object.entries(projects).entries()) {
    // Before 5.6 iterators had one parameter, and @types/node brings the others.
    if (version === 'typescript-5.4' && !('types' in project.compilerOptions && project.compilerOptions.types.length))
      continue;
    const config = `${folder}/tsconfig.${version}.${i}.json`;
    writeFileSync(config, JSON.stringify(project));
    try {
      execFileSync(process.execPath, [tsc, '-p', config], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
      console.log(`types: ${label}: ${what}`);
    } catch (error) {
      failed = true;
      console.error(`types: ${label}: not ${what}\n${(error as { stdout: string }).stdout}`);
    }
  }
}
process.exit(failed ? 1 : 0);
