// Wraps comments of TypeScript at 120 columns, which biome leaves as they are: `npx tsx scripts/wrap_comments.ts
// [--check]`. A paragraph is wrapped again if one of its lines is longer. Examples, lists, tables and lines that
// address tools stay as they are.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const width = 120;

/** Lines that mean something by themselves. */
const isFixed = (text: string): boolean =>
  text === '' ||
  /^(?:@|-{2,}|[-*•|] |\d+\. |biome-|eslint|ts-|<|#)/.test(text) ||
  /\S {2,}\S/.test(text) ||
  /^ /.test(text);

/** Text in lines of at most `columns` columns. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** A file with its comments wrapped. */
function wrapped(source: string): string {
  const lines: string[] = [];
  let [paragraph, prefix, isInExample]: [string[], string, boolean] = [[], '', false];
  const flush = () => {
    const isLong = paragraph.some((text) => prefix.length + text.length > width);
    for (const text of isLong ? wrap(paragraph.join(' '), width - prefix.length) : paragraph) lines.push(prefix + text);
    paragraph = [];
  };
  for (const line of source.split('\n')) {
    const single = /^(\s*)\/\*\* (.*) \*\/$/.exec(line);
    if (single && line.length > width) {
      flush();
      const [, indent, text] = single;
      lines.push(
        `${indent}/**`,
        ...wrap(text, width - indent.length - 3).map((each) => `${indent} * ${each}`),
        `${indent} */`,
      );
      continue;
    }
    const [, start, text] = /^(\s*(?:\/\/|\*) )(.*)$/.exec(line) ?? [];
    if (/^\s*\/\*\*/.test(line)) isInExample = false;
    if (text !== undefined && /^@\w+/.test(text)) isInExample = text.startsWith('@example');
    if (text === undefined || isInExample || isFixed(text)) {
      // A tag's own text goes on below it.
      flush();
      if (text !== undefined && !isInExample && /^@(?:param|returns|throws|module)\b/.test(text))
        [paragraph, prefix] = [[text], start];
      else lines.push(line);
      continue;
    }
    if (start !== prefix) flush();
    prefix = start;
    paragraph.push(text);
  }
  flush();
  return lines.join('\n');
}

const isCheck = process.argv.includes('--check');
const files = execFileSync('git', ['ls-files', '*.ts', '*.mts'], { encoding: 'utf8' }).trim().split('\n');
let count = 0;
for (const file of files) {
  if (/generated|\.wasm\.ts$/.test(file)) continue;
  const source = readFileSync(file, 'utf8');
  const result = wrapped(source);
  if (result === source) continue;
  count++;
  if (isCheck) console.error(`${file}: comments of more than ${width} columns; "npm run format" wraps them`);
  else writeFileSync(file, result);
}
console.log(isCheck ? `comments: ${count} files have longer lines` : `comments: wrapped in ${count} files`);
if (isCheck && count > 0) process.exitCode = 1;
