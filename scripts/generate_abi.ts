// Reads the kernel ABI (kernels/include/evenkeel.h) and writes everything that must agree with it: the TypeScript table,
// the Node-API marshalling, the per-instruction-set tables and the WebAssembly export list. `--check` compares instead.
import { readFileSync, writeFileSync } from 'node:fs';

const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

interface Parameter {
  type: 'int' | 'double' | 'pointer';
  cType: string;
  name: string;
}
interface Declaration {
  name: string;
  parameters: Parameter[];
  comment: string;
  isAwaited: boolean;
  sizes: Size[];
}
/** How many bytes a pointer has behind it, as an expression of the header's notation. */
interface Size {
  index: number;
  name: string;
  isOptional: boolean;
  bytes: string;
}

const header = read('kernels/include/evenkeel.h');

function parseParameter(text: string): Parameter {
  const match = /^((?:const )?(?:int|double|void)\s*\*?)\s*(\w+)$/.exec(text.trim());
  if (!match) throw new Error(`evenkeel.h: parameter "${text.trim()}" is outside the restricted grammar`);
  const cType = match[1].replace(/\s*\*/, '*').trim();
  if (cType.includes('*')) return { type: 'pointer', cType, name: match[2] };
  if (cType === 'int' || cType === 'double') return { type: cType, cType, name: match[2] };
  throw new Error(`evenkeel.h: type "${cType}" is outside the restricted grammar`);
}

/** Names that `//: let` lines of the header give to expressions, up to where they stand. */
const lets = new Map<string, string>();

/** The `//:` lines above a declaration: one size for each pointer. */
function parseSizes(kernel: string, notation: readonly string[], parameters: readonly Parameter[]): Size[] {
  const found: Size[] = [];
  for (const line of notation.filter((each) => each.startsWith('let '))) {
    const [, name, expression] = /^let (\w+) = (.+)$/.exec(line)!;
    lets.set(name, expression);
  }
  const text = notation.filter((each) => !each.startsWith('let ')).join(' ');
  for (const part of text.split(';').filter((each) => each.trim())) {
    const [, names, bytes] = /^\s*([\w?, ]+): (.+?)\s*$/.exec(part) ?? [];
    if (!names) throw new Error(`evenkeel.h: ${kernel}: "${part}" is no size`);
    for (const name of names.split(',').map((each) => each.trim())) {
      const index = parameters.findIndex((p) => p.name === name.replace('?', ''));
      if (parameters[index]?.type !== 'pointer') throw new Error(`evenkeel.h: ${kernel} has no pointer ${name}`);
      found.push({ index, name: parameters[index].name, isOptional: name.endsWith('?'), bytes });
    }
  }
  const missing = parameters.filter(
    ({ type, name }) => type === 'pointer' && !found.some((size) => size.name === name),
  );
  if (missing.length > 0) throw new Error(`evenkeel.h: ${kernel}: no size for ${missing.map(({ name }) => name)}`);
  return found;
}

function parseDeclarations(): Declaration[] {
  const found: Declaration[] = [];
  const pattern = /((?:^\/\/.*\n)*)^EK_API (EK_AWAITED )?int (ek_\w+)\(([^)]*)\);/gm;
  for (const [, comment, awaited, name, list] of header.matchAll(pattern)) {
    const parameters = list.trim() === 'void' ? [] : list.split(',').map(parseParameter);
    const lines = comment.split('\n');
    const isNotation = (line: string) => line.startsWith('//:');
    found.push({
      name,
      parameters,
      isAwaited: awaited !== undefined,
      comment: lines
        .filter((line) => !isNotation(line))
        .map((line) => line.replace(/^\/\/ ?/, ''))
        .join('\n')
        .trim(),
      sizes: parseSizes(
        name,
        lines.filter(isNotation).map((line) => line.slice(3).trim()),
        parameters,
      ),
    });
  }
  const declared = header.match(/^EK_API /gm)?.length ?? 0;
  if (declared !== found.length) throw new Error(`evenkeel.h: ${declared} declarations, ${found.length} understood`);
  return found;
}

const camel = (snake: string) => snake.toLowerCase().replace(/_(\w)/g, (_, c: string) => c.toUpperCase());
const pascal = (snake: string) => camel(snake).replace(/^\w/, (c) => c.toUpperCase());

function parseEnums(): { name: string; members: [string, number][] }[] {
  return [...header.matchAll(/^enum ek_(\w+) \{([^}]*)\};/gm)].map(([, name, body]) => {
    const names = body
      .split(',')
      .map((member) => member.trim())
      .filter(Boolean);
    // EK_UNARY_NEG → neg inside UnaryOp: the enum's own name, where its members carry it, is dropped.
    const prefixes = [`EK_${name.toUpperCase()}_`, 'EK_REDUCE_', 'EK_'];
    return {
      name,
      members: names.map((member, value) => {
        const prefix = prefixes.find((p) => member.startsWith(p))!;
        return [camel(member.slice(prefix.length)), value];
      }),
    };
  });
}

const declarations = parseDeclarations();
const notice = 'Generated from kernels/include/evenkeel.h by scripts/generate_abi.ts; do not edit.';

function typescript(): string {
  const lines = [`// ${notice}`, ''];
  for (const { name, members } of parseEnums()) {
    const typeName = pascal(name);
    lines.push(`export const ${typeName} = {`);
    for (const [member, value] of members) lines.push(`  ${member}: ${value},`);
    lines.push(`} as const;`, `export type ${typeName} = (typeof ${typeName})[keyof typeof ${typeName}];`, '');
  }
  lines.push(
    '/** An address in the memory of a backend; 0 is null. */',
    'export type Pointer = number;',
    '',
    '/** The kernels of one backend. Every function returns a status, or a size in bytes where its name ends in Scratch. */',
    'export interface Kernels {',
  );
  for (const { name, parameters, comment } of declarations) {
    if (comment) lines.push('  /**', ...comment.split('\n').map((line) => `   * ${line}`), '   */');
    const list = parameters.map((p) => `${camel(p.name)}: ${p.type === 'pointer' ? 'Pointer' : 'number'}`).join(', ');
    lines.push(`  ${camel(name.slice(3))}(${list}): number;`);
  }
  lines.push('}', '', '/** Names in TypeScript and in C, in the order of the header. */');
  lines.push('export const kernelNames: readonly (readonly [keyof Kernels, string])[] = [');
  for (const { name } of declarations) lines.push(`  ['${camel(name.slice(3))}', '${name}'],`);
  lines.push('];', '');
  return lines.join('\n');
}

/** Who waits for a kernel, as the addon's table says it; see the header. */
function waiting({ name, parameters, isAwaited }: Declaration): string {
  if (name === 'ek_isa' || name.endsWith('_scratch')) return 'kRunsAtOnce';
  const dtype = parameters.findIndex((p) => p.name === 'dtype');
  return isAwaited ? 'kIsAwaited' : dtype < 0 ? 'kRunsLater' : `${dtype}`;
}

function addon(): string {
  const lines = [`// ${notice}`, ''];
  for (const { name, parameters } of declarations) {
    const args = parameters.map((p, i) =>
      p.type === 'pointer'
        ? `reinterpret_cast<${p.cType}>(static_cast<uintptr_t>(a[${i}]))`
        : p.type === 'int'
          ? `static_cast<int>(a[${i}])`
          : `a[${i}]`,
    );
    lines.push(`static int run_${name}(const double*${args.length === 0 ? '' : ' a'}) {`);
    lines.push(`  return kernels->${name}(${args.join(', ')});`, '}');
  }
  lines.push('', 'static const AddonKernel kAddonKernels[] = {');
  for (const declaration of declarations) {
    const { name, parameters } = declaration;
    const ndim = parameters.findIndex((p) => p.name === 'ndim');
    lines.push(`    {"${name}", run_${name}, ${parameters.length}, ${waiting(declaration)}, ${ndim}},`);
  }
  lines.push('};', '');
  return lines.join('\n');
}

/** An expression of the header's notation in TypeScript: `a` are the kernel's arguments, `m` is what reads the memory that they point to. */
function expression(text: string, { name, parameters }: Declaration): string {
  const place = (word: string) => parameters.findIndex((p) => p.name === word);
  return text
    .replace(/\b[A-Z]+_[A-Z]+\b/g, (word) => `(${lets.get(word)})`)
    .replace(/\b(\w+)\[(\d+)\]/g, (_, pointer: string, i: string) => `m.int(a[${place(pointer)}], ${i})`)
    .replace(/(?<![\w.])([a-z]\w*)(?=(\()?)(?![\w.[])/g, (word, _name: string, isCall?: string) => {
      if (isCall) {
        if (word.startsWith('ek_')) return `m.kernels.${camel(word.slice(3))}`;
        return `m.${camel(word)}`;
      }
      const index = place(word);
      if (index < 0) throw new Error(`evenkeel.h: ${name}: unknown ${word} in "${text}"`);
      return `a[${index}]`;
    });
}

/** For the checked build: the bytes behind each pointer of each kernel. */
function extents(): string {
  const lines = [
    `// ${notice}`,
    "import type { Extent, KernelMemory } from '../kernel_memory.ts';",
    '',
    '/** Of each kernel: how many bytes its pointers must have behind them, from its arguments. */',
    'export const extents: Record<string, (a: readonly number[], m: KernelMemory) => readonly Extent[]> = {',
  ];
  for (const declaration of declarations.filter(({ sizes }) => sizes.length > 0)) {
    const rows = declaration.sizes.map(
      ({ index, name, isOptional, bytes }) =>
        `    [${index}, '${camel(name)}', ${isOptional}, ${expression(bytes, declaration)}],`,
    );
    const uses = (parameter: string) => rows.some((row) => new RegExp(`\\b${parameter}[.[]`).test(row));
    const list = uses('m') ? (uses('a') ? '(a, m)' : '(_a, m)') : uses('a') ? '(a)' : '()';
    lines.push(`  ${camel(declaration.name.slice(3))}: ${list} => [`, ...rows, '  ],');
  }
  lines.push('};', '');
  return lines.join('\n');
}

const files: Record<string, string> = {
  'test/checked/generated/extents.ts': extents(),
  'src/kernels/generated/abi.ts': typescript(),
  'kernels/generated/addon_calls.inc': addon(),
  'kernels/generated/functions.inc': `// ${notice}\n${declarations.map((d) => `EK_FUNCTION(${d.name})`).join('\n')}\n`,
  'kernels/generated/wasm_exports.txt': `${declarations.map((d) => `--export=${d.name}`).join('\n')}\n`,
};

let stale = 0;
for (const [path, text] of Object.entries(files)) {
  if (process.argv.includes('--check')) {
    if (read(path) !== text) {
      console.error(`${path} is out of date: run "npm run generate"`);
      stale++;
    }
  } else writeFileSync(new URL(path, root), text);
}
process.exit(stale ? 1 : 0);
