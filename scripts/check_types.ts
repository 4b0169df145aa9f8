// The package's declarations as users of several versions of TypeScript see them: test/types/ compiles, and what must not compile does not.
// `npm run build:dist` comes first.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
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
let failed = false;
for (const version of ['typescript-5.4', 'typescript', 'typescript-7']) {
  const config = `${folder}/tsconfig.${version}.json`;
  writeFileSync(config, JSON.stringify({ compilerOptions, include: [`${root}test/types/*.ts`] }));
  const tsc = `${root}node_modules/${version}/bin/tsc`;
  const label = execFileSync(process.execPath, [tsc, '--version'], { encoding: 'utf8' }).trim();
  try {
    execFileSync(process.execPath, [tsc, '-p', config], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
    console.log(`types: ${label}: as expected`);
  } catch (error) {
    failed = true;
    console.error(`types: ${label}\n${(error as { stdout: string }).stdout}`);
  }
}
process.exit(failed ? 1 : 0);
