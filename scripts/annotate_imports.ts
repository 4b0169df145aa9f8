// The last step of build:dist: imports of what only the running program knows. tsc would change the ending of such a
// name at run time, which here is a user's own, and bundlers leave it alone only where comments, which the build drops,
// say so.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
let count = 0;
for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.js')) continue;
  const text = readFileSync(dist + name, 'utf8');
  const annotated = text
    .replace(
      /\bimport\(__rewriteRelativeImportExtension\(([\w.]+)\)\)/g,
      'import(/* webpackIgnore: true */ /* @vite-ignore */ $1)',
    )
    .replace(/^var __rewriteRelativeImportExtension = [\s\S]*?\n};\n/m, '');
  if (annotated.includes('__rewriteRelativeImportExtension')) throw new Error(`${name}: tsc's helper is still used`);
  if (annotated === text) continue;
  writeFileSync(dist + name, annotated);
  count++;
}
if (count === 0) throw new Error('dist/ holds no import of a module that only the running program knows');
