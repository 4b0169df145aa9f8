// Reads the kernel ABI (kernels/include/evenkeel.h, with the lists of operations that it includes) and writes
// everything that must agree with it: the TypeScript table, the Node-API marshalling, the per-instruction-set tables
// and the WebAssembly export list. `--check` compares instead.
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
  /** What launches find out themselves, by parameter: an expression of operands. */
  given: ReadonlyMap<string, string>;
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

/** Ints that are truth values, as `//: flags` lines list them. */
const flags = new Set(
  [...header.matchAll(/^\/\/: flags (.+)$/gm)].flatMap(([, names]) => names.split(',').map((name) => name.trim())),
);

/** The `//: given` lines above a declaration. */
function parseGiven(
  kernel: string,
  notation: readonly string[],
  parameters: readonly Parameter[],
): Map<string, string> {
  const given = new Map<string, string>();
  for (const line of notation.filter((each) => each.startsWith('given ')))
    for (const part of line.slice('given '.length).split(';')) {
      const [, name, expression] = /^\s*(\w+) = (.+?)\s*$/.exec(part) ?? [];
      if (!parameters.some((p) => p.name === name && p.type === 'int'))
        throw new Error(`evenkeel.h: ${kernel} has no int to be given by "${part}"`);
      given.set(name, expression);
    }
  return given;
}

/** The `//:` lines above a declaration: one size for each pointer. */
function parseSizes(kernel: string, notation: readonly string[], parameters: readonly Parameter[]): Size[] {
  const found: Size[] = [];
  for (const line of notation.filter((each) => each.startsWith('let '))) {
    const [, name, expression] = /^let (\w+) = (.+)$/.exec(line)!;
    lets.set(name, expression);
  }
  const text = notation.filter((each) => !/^(?:let|given|flags) /.test(each)).join(' ');
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
    const notation = lines.filter(isNotation).map((line) => line.slice(3).trim());
    found.push({
      name,
      parameters,
      isAwaited: awaited !== undefined,
      comment: lines
        .filter((line) => !isNotation(line) && !line.startsWith('// ----'))
        .map((line) => line.replace(/^\/\/ ?/, ''))
        .join('\n')
        .trim(),
      sizes: parseSizes(name, notation, parameters),
      given: parseGiven(name, notation, parameters),
    });
  }
  const declared = header.match(/^EK_API /gm)?.length ?? 0;
  if (declared !== found.length) throw new Error(`evenkeel.h: ${declared} declarations, ${found.length} understood`);
  return found;
}

const camel = (snake: string) => snake.toLowerCase().replace(/_(\w)/g, (_, c: string) => c.toUpperCase());
const pascal = (snake: string) => camel(snake).replace(/^\w/, (c) => c.toUpperCase());

/** The names in a list such as kernels/elementwise/unary.def, and whether an operation writes bool. */
function entriesOf(path: string): { name: string; isTest: boolean }[] {
  const entries = [...read(`kernels/${path}`).matchAll(/^EK_(\w+)\((\w+),/gm)];
  return entries.map(([, kind, name]) => ({ name, isTest: kind === 'TEST' }));
}

interface Enum {
  name: string;
  members: [name: string, value: number][];
  /** Members, of a list of operations, that write bool. */
  tests: number[];
}

/** An enum's members stand in it, or in a list that it includes. */
function parseEnums(): Enum[] {
  return [...header.matchAll(/^enum ek_(\w+) \{([^}]*)\};/gm)].map(([, name, body]) => {
    const list = /#include "(.+)"/.exec(body)?.[1];
    if (list) {
      const entries = entriesOf(list);
      return {
        name,
        members: entries.map((entry, value) => [camel(entry.name), value]),
        tests: entries.flatMap(({ isTest }, value) => (isTest ? [value] : [])),
      };
    }
    const names = body
      .split(',')
      .map((member) => member.trim())
      .filter(Boolean);
    // EK_REDUCE_SUM → sum inside Reduction: the enum's own name, where its members carry it, is dropped.
    const prefixes = ['EK_REDUCE_', 'EK_CELL_', 'EK_PAD_', 'EK_RESAMPLE_', 'EK_GRID_', 'EK_CUMULATE_', 'EK_'];
    return {
      name,
      members: names.map((member, value) => {
        const prefix = prefixes.find((p) => member.startsWith(p))!;
        return [camel(member.slice(prefix.length)), value];
      }),
      tests: [],
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

/** How a launch takes one parameter of a kernel, and hands it on. */
interface Argument {
  name: string;
  kind: 'operand' | 'optional operand' | 'ints' | 'optional ints' | 'rows' | 'blocks' | 'flag' | 'number' | 'found';
  /** What the kernel is given, where the arguments are names in scope. */
  handed: string;
}

/** Null for what is no launch: it computes a size only. */
function launchOf({ name: kernel, parameters, sizes, given }: Declaration): Argument[] | null {
  if (kernel === 'ek_isa' || kernel.endsWith('_scratch')) return null;
  const sizeOf = (name: string) => sizes.find((size) => size.name === name)!;
  const table = sizes.find(({ bytes }) => /^(?:rows|blocks)\(/.test(bytes));
  /** The operands of an element type that an int names. */
  const code = (dtype: string): string => {
    const typed = sizes.filter(({ bytes }) => bytes.includes(`sizeof(${dtype})`) && !/^(?:rows|blocks)\(/.test(bytes));
    const sure = typed.find(({ isOptional }) => !isOptional);
    if (sure) return `${camel(sure.name)}.code`;
    if (typed.length === 0 && table) return `${camel(table.name)}[0].parameter.code`;
    return `(${typed.map(({ name }) => camel(name)).join(' ?? ')})!.code`;
  };
  return parameters.map(({ name: snake, type, cType }): Argument => {
    const name = camel(snake);
    if (type === 'pointer') {
      const { bytes, isOptional } = sizeOf(snake);
      if (/^ek_\w+_scratch\(/.test(bytes)) return { name, kind: 'found', handed: name };
      if (bytes.startsWith('rows(')) return { name, kind: 'rows', handed: `backend.doubles(addressesOfRows(${name}))` };
      if (bytes.startsWith('blocks('))
        return { name, kind: 'blocks', handed: `backend.doubles(addressesOfBlocks(${name}))` };
      if (cType === 'const int*')
        return isOptional
          ? { name, kind: 'optional ints', handed: `${name} ? backend.ints(${name}) : 0` }
          : { name, kind: 'ints', handed: snake === 'geometry' ? 'geometryAddress' : `backend.ints(${name})` };
      return isOptional
        ? { name, kind: 'optional operand', handed: `${name} ? ${name}.pin() : 0` }
        : { name, kind: 'operand', handed: `${name}.pin()` };
    }
    if (given.has(snake)) return { name, kind: 'found', handed: name };
    if (type === 'int' && /^(?:dtype|from|to)$/.test(snake)) return { name, kind: 'found', handed: code(snake) };
    if (snake === 'ndim') return { name, kind: 'found', handed: 'shape.length' };
    if (snake === 'count' && table) return { name, kind: 'found', handed: `${camel(table.name)}.length` };
    if (type === 'int' && flags.has(snake)) return { name, kind: 'flag', handed: `${name} ? 1 : 0` };
    return { name, kind: 'number', handed: name };
  });
}

const kinds: Record<Exclude<Argument['kind'], 'found'>, string> = {
  operand: ': Operand',
  'optional operand': '?: Operand | null',
  ints: ': readonly number[]',
  'optional ints': '?: readonly number[] | null',
  rows: ': readonly TableRow[]',
  blocks: ': readonly CopiedBlock[]',
  flag: ': boolean',
  number: ': number',
};

const launched = declarations.flatMap((declaration) => {
  const list = launchOf(declaration);
  return list ? [{ declaration, list, name: camel(declaration.name.slice(3)) }] : [];
});

/** Kernels as functions of operands by name: the interface. */
function launches(): string {
  const lines = [
    `// ${notice}`,
    "import type { CopiedBlock, Operand, TableRow } from '../operand.ts';",
    '',
    '/** The kernels as a device carries them out. `caller`, here and below: the operation that errors name. */',
    'export interface Launches {',
  ];
  const fields = (list: Argument[]) =>
    list.flatMap(({ name, kind }) => (kind === 'found' ? [] : [`readonly ${name}${kinds[kind]}`]));
  for (const { declaration, list, name } of launched) {
    if (declaration.comment)
      lines.push('  /**', ...declaration.comment.split('\n').map((line) => `   * ${line}`), '   */');
    lines.push(`  ${name}(caller: string, given: { ${fields(list).join('; ')} }): void;`);
  }
  lines.push('}', '', '/** All of them, by name. */', 'export const launchNames: readonly (keyof Launches)[] = [');
  for (const { name } of launched) lines.push(`  '${name}',`);
  lines.push('];', '');
  return lines.join('\n');
}

/** How a device of addresses implements it. */
function addressLaunches(): string {
  const lines = [
    `// ${notice}`,
    "import type { AddressCalls } from '../address_calls.ts';",
    "import { addressesOfBlocks, addressesOfRows, materializeBlock, materializeRow, spatialSize } from '../operand.ts';",
    "import type { Launches } from './launches.ts';",
    '',
    '/**',
    ' * Launches by addresses. Operands whose values were deferred are computed first, so no kernel runs between the arguments of another; then the',
    ' * operands are held in place, and the kernel is called.',
    ' */',
    'export class AddressLaunches implements Launches {',
    '  private readonly backend: AddressCalls;',
    '  constructor(backend: AddressCalls) {',
    '    this.backend = backend;',
    '  }',
  ];
  for (const { declaration, list, name } of launched) {
    const taken = list.filter(({ kind }) => kind !== 'found').map((argument) => argument.name);
    const scratch = declaration.sizes.find(({ bytes }) => /^ek_\w+_scratch\(/.test(bytes));
    lines.push('', `  ${name}(caller: string, { ${taken.join(', ')} }: Parameters<Launches['${name}']>[1]): void {`);
    lines.push('    const { backend } = this;');
    for (const argument of list) {
      if (argument.kind === 'operand') lines.push(`    ${argument.name}.materialize();`);
      if (argument.kind === 'optional operand') lines.push(`    ${argument.name}?.materialize();`);
      if (argument.kind === 'rows' || argument.kind === 'blocks')
        lines.push(
          `    for (const row of ${argument.name}) ${argument.kind === 'rows' ? 'materializeRow(row)' : 'materializeBlock(row)'};`,
        );
    }
    for (const [parameter, value] of declaration.given) lines.push(`    const ${camel(parameter)} = ${value};`);
    if (list.some(({ handed }) => handed === 'geometryAddress'))
      lines.push('    const geometryAddress = backend.ints(geometry);');
    if (scratch) {
      const [, of, args] = /^ek_(\w+)\((.*)\)$/.exec(scratch.bytes)!;
      const handed = args.split(',').map((word) => {
        const argument = list.find((each) => each.name === camel(word.trim()));
        return argument ? argument.handed : word.trim();
      });
      lines.push(`    const bytes = backend.kernels.${camel(of)}(${handed.join(', ')});`);
      lines.push('    const scratch = backend.takeScratch(bytes);');
    }
    lines.push(`    const status = backend.kernels.${name}(`);
    for (const { handed } of list) lines.push(`      ${handed},`);
    lines.push('    );');
    if (scratch) lines.push('    backend.giveScratchBack();');
    lines.push('    backend.check(caller, status);', '  }');
  }
  lines.push('}', '');
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

/**
 * An expression of the header's notation in TypeScript: `a` are the kernel's arguments, `m` is what reads the memory
 * that they point to.
 */
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
  lines.push(
    '};',
    '',
    '/** The operations that write bool, by the list that they stand in. */',
    'export const tests = {',
  );
  for (const { name, tests } of parseEnums().filter((one) => one.tests.length > 0))
    lines.push(`  ${name}: new Set<number>([${tests.join(', ')}]),`);
  lines.push('};', '');
  return lines.join('\n');
}

const files: Record<string, string> = {
  'test/checked/generated/extents.ts': extents(),
  'src/device/generated/abi.ts': typescript(),
  'src/device/generated/launches.ts': launches(),
  'src/device/generated/address_launches.ts': addressLaunches(),
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
