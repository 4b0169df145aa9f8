// What an editor shows beside a name, on the declarations of the package: no method of a tensor, no member of a layer,
// and no option of anything public may be without a sentence. `npm run build:dist` comes first.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const { exports } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { exports: Record<string, unknown> };
const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  types: [],
};

/** A user's file, which is written piece by piece. */
const file = `${root}build/types/hover.ts`;
let text = Object.keys(exports)
  .map((path, i) => `import * as m${i} from 'evenkeel${path.slice(1)}';\n`)
  .join('');
let version = 0;
const service = ts.createLanguageService({
  getScriptFileNames: () => [file],
  getScriptVersion: (name) => (name === file ? String(version) : '0'),
  getScriptSnapshot(name) {
    const content = name === file ? text : ts.sys.readFile(name);
    return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content);
  },
  getCurrentDirectory: () => root,
  getCompilationSettings: () => compilerOptions,
  getDefaultLibFileName: ts.getDefaultLibFilePath,
  fileExists: (name) => name === file || ts.sys.fileExists(name),
  readFile: (name) => (name === file ? text : ts.sys.readFile(name)),
  directoryExists: ts.sys.directoryExists,
});

/** Where in the file a name is read from a value, and what that is called in an error. */
const uses: { at: number; label: string }[] = [];
let count = 0;
/** Reads members of a value of a type, as a user writes it. */
function use(type: string, names: readonly string[], label: string): void {
  const value = `v${count++}`;
  text += `declare const ${value}: ${type};\n`;
  for (const name of names) {
    text += `${value}.`;
    uses.push({ at: text.length, label: `${label}.${name}` });
    text += `${name};\n`;
  }
}

const program = service.getProgram()!;
const checker = program.getTypeChecker();
const source = program.getSourceFile(file)!;
const isOurs = (symbol: ts.Symbol): boolean =>
  symbol.declarations?.some((node) => node.getSourceFile().fileName.startsWith(`${root}dist/`)) ?? false;
/** Names of a type's own members that can be read with a dot. */
const namesOf = (type: ts.Type): string[] =>
  checker
    .getPropertiesOfType(checker.getNonNullableType(type))
    .filter((property) => isOurs(property) && /^[A-Za-z_]\w*$/.test(property.name))
    .filter(
      ({ valueDeclaration }) =>
        !valueDeclaration ||
        !(ts.getCombinedModifierFlags(valueDeclaration) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)),
    )
    .map(({ name }) => name);

const seen = new Set<ts.Symbol>();
function visit(path: string, symbol: ts.Symbol): void {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  if (seen.has(target) || !isOurs(target)) return;
  seen.add(target);
  if (target.flags & ts.SymbolFlags.ValueModule) {
    for (const each of checker.getExportsOfModule(target)) visit(`${path}.${each.name}`, each);
    return;
  }
  const type = checker.getTypeOfSymbol(target);
  const [made] = type.getConstructSignatures();
  // The name of an error is the language's.
  const isError = made?.getReturnType().getProperty('stack') !== undefined;
  const members = made ? namesOf(made.getReturnType()).filter((name) => !isError || name !== 'name') : [];
  if (made) use(`InstanceType<typeof ${path}>`, members, path);
  const signatures = [...type.getConstructSignatures(), ...type.getCallSignatures()];
  for (const signature of signatures)
    for (const [i, parameter] of signature.getParameters().entries()) {
      if (!/^options$/i.test(parameter.name)) continue;
      const list = made ? `ConstructorParameters<typeof ${path}>` : `Parameters<typeof ${path}>`;
      use(`NonNullable<${list}[${i}]>`, namesOf(checker.getTypeOfSymbol(parameter)), `${path}: options`);
    }
}
source.statements.filter(ts.isImportDeclaration).forEach((statement, i) => {
  const namespace = checker.getSymbolAtLocation(statement.moduleSpecifier)!;
  for (const each of checker.getExportsOfModule(namespace)) visit(`m${i}.${each.name}`, each);
});

version++;
const bare = uses.filter(({ at }) => !service.getQuickInfoAtPosition(file, at)?.documentation?.length);
if (bare.length > 0) {
  console.error(`hover: nothing is said beside\n${bare.map(({ label }) => label).join('\n')}`);
  process.exit(1);
}
console.log(`hover: a sentence beside each of ${uses.length} members and options`);
