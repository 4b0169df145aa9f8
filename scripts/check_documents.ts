// Runs what the documents show: every TypeScript block of the README and of docs/, and every program of examples/,
// type-checked, as a user's file that imports the built package by its name; and every @example of a docstring, among
// the exports of the package and the names in `given`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findMpis } from '../src/cli/mpi_build.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build', 'documents');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

// The compiler finds the package's name in src/, by tsconfig.json; what runs is the package that was built.
const env = { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.build.json') };

function run(...words: string[]): void {
  try {
    execFileSync(process.execPath, ['--import', 'tsx', ...words], {
      stdio: ['ignore', 'ignore', 'inherit'],
      cwd: root,
      env,
    });
  } catch {
    throw new Error(`${words.join(' ').replaceAll(root, '')} failed`);
  }
}

/** Type-checks files as a user's, with further options of the compiler, then runs them. */
function check(files: readonly string[], what: string, ...more: string[]): void {
  if (files.length === 0) throw new Error(`no ${what} was found`);
  const options = '--noEmit --strict --target ES2023 --module NodeNext --types node --skipLibCheck false';
  const tsc = join(root, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['--ignoreConfig', ...options.split(' '), ...more, ...files], { stdio: 'inherit', cwd: root });
  for (const file of files) run(file);
}

/** Fails where the package's name is anything but the package. */
function checkPackageRuns(): void {
  const path = join(folder, 'package.ts');
  const lines = [
    "import { ones } from 'evenkeel';",
    'let stack = "";',
    'try { ones([1]).select(0, 1); } catch (error) { stack = String((error as Error).stack); }',
    `if (!stack.includes(${JSON.stringify(join(root, 'dist'))})) throw new Error(stack);`,
  ];
  writeFileSync(path, lines.join('\n'));
  run(path);
}

/** All pages: the README, and those of docs/ and its folders. */
function pages(): string[] {
  const found = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).sort();
  return ['README.md', ...found.filter((name) => name.endsWith('.md')).map((name) => join('docs', name))];
}

function checkBlocks(): number {
  const files: string[] = [];
  for (const document of pages()) {
    const blocks = [...readFileSync(join(root, document), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)];
    for (const [i, [, code]] of blocks.entries()) {
      const path = join(folder, `${document.replace(/\W+/g, '_')}_${i + 1}.ts`);
      writeFileSync(path, `${code}\nexport {};\n`);
      files.push(path);
    }
  }
  // Blocks are pasted into projects of strict users.
  check(files, 'TypeScript block', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess');
  return files.length;
}

function checkPrograms(): number {
  const programs = readdirSync(join(root, 'examples'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(root, 'examples', name));
  check(programs, 'example', '--allowImportingTsExtensions');
  const jobs = programs.filter((path) => readFileSync(path, 'utf8').includes('initProcessGroup'));
  if (findMpis().length === 0) console.log('documents: no MPI is here, so examples of several ranks ran alone');
  else for (const path of jobs) run(join(root, 'src/cli/main.ts'), 'launch', '--nproc', '2', path);
  return programs.length;
}

/** What examples may use without saying where it comes from. */
const given = `
const x = randn([4, 6, 8, 8]), y = randn([4, 6, 8, 8]), dtype = 'float32';
const images = randn([8, 1, 28, 28]), labels = randint(0, 10, [8]), logits = randn([8, 10]);
const model = lenetBatchNorm(), net = model;
const dataset = new TensorDataset(images, labels), loader = new DataLoader(dataset, { batchSize: 4 });
const optimizer = new SGD(model.parameters(), { lr: 0.1 });
const conv = new Conv2d(1, 6, 5), runningMean = zeros([6]), runningVar = ones([6]), validationLoss = 1;
`;

async function checkExamples(): Promise<number> {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, { default: string }>;
  };
  const names = new Map<string, string>();
  const imports: string[] = [];
  let count = 0;
  for (const [path, target] of Object.entries(exports)) {
    const module = (await import(join(root, target.default))) as Record<string, unknown>;
    const fresh = Object.keys(module).filter((name) => !names.has(name));
    for (const name of fresh) names.set(name, path);
    // A word of the language can be exported, but not used as a name.
    const usable = fresh.filter((name) => name !== 'var');
    imports.push(`import { ${usable.join(', ')} } from 'evenkeel${path.slice(1)}';`);
    for (const space of ['functional', 'init']) {
      const more = Object.keys((module[space] as object | undefined) ?? {}).filter((name) => !names.has(name));
      for (const name of more) names.set(name, path);
      if (more.length > 0) imports.push(`const { ${more.join(', ')} } = ${space};`);
    }
  }
  const all: string[] = [];
  const source = join(root, 'src');
  for (const entry of readdirSync(source, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!entry.endsWith('.ts')) continue;
    const text = readFileSync(join(source, entry), 'utf8');
    for (const [, body] of text.matchAll(/@example\n((?:\s*\* ?.*\n)*?)\s*\*\//g)) {
      const code = body.replace(/^\s*\* ?/gm, '');
      all.push(`await (async () => {\n// src/${entry}\n${code}})();`);
      count++;
    }
  }
  if (count === 0) throw new Error('no @example was found');
  const path = join(folder, 'examples.ts');
  writeFileSync(path, `${imports.join('\n')}\n${given}\n${all.join('\n')}\n`);
  run(path);
  return count;
}

checkPackageRuns();
const [blocks, programs] = [checkBlocks(), checkPrograms()];
console.log(
  `documents: ${blocks} blocks and ${programs} examples type-check and run, ${await checkExamples()} examples of docstrings run`,
);
