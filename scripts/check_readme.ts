// Runs and type-checks every TypeScript block of the README and of docs/, as a user's file that imports the built package by its name.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build', 'documents');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const docs = join(root, 'docs');
const documents = [
  'README.md',
  ...(existsSync(docs)
    ? readdirSync(docs)
        .filter((name) => name.endsWith('.md'))
        .map((name) => `docs/${name}`)
    : []),
];
const files: string[] = [];
for (const document of documents) {
  const blocks = [...readFileSync(join(root, document), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)];
  blocks.forEach(([, code], i) => {
    const path = join(folder, `${document.replace(/\W+/g, '_')}_${i + 1}.ts`);
    writeFileSync(path, `${code}\nexport {};\n`);
    files.push(path);
  });
}
if (files.length === 0) throw new Error('no TypeScript block was found');
const options = [
  '--noEmit',
  '--strict',
  '--target',
  'ES2023',
  '--module',
  'NodeNext',
  '--types',
  'node',
  '--skipLibCheck',
  'false',
];
execFileSync(join(root, 'node_modules/.bin/tsc'), ['--ignoreConfig', ...options, ...files], {
  stdio: 'inherit',
  cwd: root,
});
for (const path of files) {
  console.log(`running ${path.slice(root.length)}`);
  execFileSync(process.execPath, ['--import', 'tsx', path], { stdio: ['ignore', 'ignore', 'inherit'], cwd: root });
}
console.log(`documents: ${files.length} blocks type-check and run`);
