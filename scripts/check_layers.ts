// The layer rule: imports point only downward. Reads every import in src/ and names those that point up, or past the rule.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** From the top down; folders in one row may import each other. */
const layers = [
  ['cli'],
  ['doctor', 'models', 'distributed', 'train'],
  ['io'],
  ['nn', 'optim', 'data'],
  ['ops'],
  ['fusion'],
  ['autograd'],
  ['launch'],
  ['tensor'],
  ['device', 'files'],
  ['options'],
  ['checks'],
  ['errors', 'warnings', 'restoring', 'class_names'],
];
/** The package's root re-exports from every layer below the programs. */
const root = 'index';

const source = fileURLToPath(new URL('../src', import.meta.url));
const level = (folder: string): number => layers.findIndex((row) => row.includes(folder));

const problems: string[] = [];
for (const entry of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
  if (!entry.endsWith('.ts')) continue;
  const path = join(source, entry);
  const from = entry.split('/')[0].replace(/\.ts$/, '');
  if (from !== root && level(from) < 0) problems.push(`src/${entry}: the folder ${from} stands in no layer`);
  for (const [, target] of readFileSync(path, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']*)'/g)) {
    const to = relative(source, join(dirname(path), target))
      .split('/')[0]
      .replace(/\.ts$/, '');
    if (from !== root && (to === root || level(to) < level(from)))
      problems.push(`src/${entry} imports ${target}: ${to} stands above ${from}`);
  }
}
for (const problem of problems) console.error(problem);
console.log(
  problems.length === 0
    ? 'layers: every import points downward'
    : `layers: ${problems.length} imports do not point downward`,
);
process.exit(problems.length === 0 ? 0 : 1);
