// The layer rule: imports point only downward, and in no circle. Reads every import in src/ and names those that point
// up, and files that import each other, if only their types: who reads one of them must read all.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** From the top down; folders in one row may import each other. */
const layers = [
  ['cli'],
  ['doctor', 'models', 'train'],
  ['io'],
  ['nn', 'optim', 'data'],
  ['distributed'],
  ['ops'],
  ['fusion'],
  ['autograd'],
  ['launch'],
  ['tensor'],
  ['device', 'files'],
  ['options'],
  ['checks'],
  ['errors', 'warnings', 'restoring', 'callable', 'class_names', 'python_text'],
];
/** The package's root re-exports from every layer below the programs. */
const root = 'index';

/** src/, or a copy of it that is named on the command line. */
const source = process.argv[2] ?? fileURLToPath(new URL('../src', import.meta.url));
const level = (folder: string): number => layers.findIndex((row) => row.includes(folder));

const problems: string[] = [];
/** By file, the files that it imports. */
const imports = new Map<string, string[]>();
for (const entry of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
  if (!entry.endsWith('.ts')) continue;
  const path = join(source, entry);
  const from = entry.split('/')[0].replace(/\.ts$/, '');
  if (from !== root && level(from) < 0) problems.push(`src/${entry}: the folder ${from} stands in no layer`);
  // Not what comments show.
  const text = readFileSync(path, 'utf8').replace(/^\s*(?:\*|\/\/|\/\*).*$/gm, '');
  const targets: string[] = [];
  imports.set(entry, targets);
  for (const [, target] of text.matchAll(/(?:^(?:import|export)\b[^;]*?\bfrom|\bimport)\s*\(?\s*'(\.[^']*)'/gm)) {
    const file = relative(source, join(dirname(path), target));
    const to = file.split('/')[0].replace(/\.ts$/, '');
    if (from !== root && (to === root || level(to) < level(from)))
      problems.push(`src/${entry} imports ${target}: ${to} stands above ${from}`);
    targets.push(file);
  }
}
/** Files from which all that can be reached has been walked. */
const done = new Set<string>();
/** Walks on from the last file of a path; names the circle where that path comes back to one of its files. */
function walk(path: readonly string[]): void {
  const file = path.at(-1)!;
  for (const next of imports.get(file) ?? []) {
    const at = path.indexOf(next);
    if (at >= 0) problems.push(`a circle: ${[...path.slice(at), next].map((each) => `src/${each}`).join(' -> ')}`);
    else if (!done.has(next)) walk([...path, next]);
  }
  done.add(file);
}
for (const file of imports.keys()) if (!done.has(file)) walk([file]);

for (const problem of problems) console.error(problem);
console.log(
  problems.length === 0
    ? 'layers: every import points downward, and none in a circle'
    : `layers: ${problems.length} imports do not point downward, or close a circle`,
);
process.exit(problems.length === 0 ? 0 : 1);
