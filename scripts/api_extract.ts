// The public surface of the package, word for word: docs/api.md, made from the declarations that users get (`npm run
// build:dist` first), so that a change of it is seen in review. `--check` compares instead; `--undocumented` lists
// public declarations without a sentence of their own.
import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const { name, exports } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  name: string;
  exports: Record<string, { types: string }>;
};
const entries = Object.entries(exports).map(([path, { types }]) => ({
  specifier: name + path.slice(1),
  file: root + types.slice(2),
}));
const program = ts.createProgram(
  entries.map(({ file }) => file),
  {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    types: [],
  },
);
const checker = program.getTypeChecker();
const printer = ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed });

/** What an exported name stands for, behind re-exports. */
const resolved = (symbol: ts.Symbol): ts.Symbol =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;

const isPrivate = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) &&
  (ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword) ?? false);

/** `export * from` with the names that it stands for. */
function withNames(statement: ts.Statement): ts.Statement {
  if (!ts.isExportDeclaration(statement) || statement.exportClause || !statement.moduleSpecifier) return statement;
  const module = checker.getSymbolAtLocation(statement.moduleSpecifier)!;
  const names = checker.getExportsOfModule(module).sort((a, b) => (a.name < b.name ? -1 : 1));
  const specifiers = names.map((each) =>
    ts.factory.createExportSpecifier(!(resolved(each).flags & ts.SymbolFlags.Value), undefined, each.name),
  );
  const clause = ts.factory.createNamedExports(specifiers);
  return ts.factory.updateExportDeclaration(statement, undefined, false, clause, statement.moduleSpecifier, undefined);
}

/** A declaration without what nobody outside can use. */
function publicPart(node: ts.Declaration): ts.Node {
  if (ts.isSourceFile(node)) return ts.factory.updateSourceFile(node, node.statements.map(withNames));
  if (!ts.isClassDeclaration(node)) return ts.isVariableDeclaration(node) ? node.parent.parent : node;
  const members = node.members.filter(
    (member) => !isPrivate(member) && !(member.name && ts.isPrivateIdentifier(member.name)),
  );
  return ts.factory.updateClassDeclaration(
    node,
    node.modifiers,
    node.name,
    node.typeParameters,
    node.heritageClauses,
    members,
  );
}

const undocumented = new Set<string>();
const isOurs = (node: ts.Node): boolean => node.getSourceFile().fileName.startsWith(`${root}dist/`);
/** Whether a name says something, and, where it may be called in several ways, each of these does. */
const hasText = (symbol: ts.Symbol): boolean => {
  const signatures = checker.getTypeOfSymbol(symbol).getCallSignatures();
  const isSaid = (signature: ts.Signature) => signature.getDocumentationComment(checker).length > 0;
  return signatures.length > 1 ? signatures.every(isSaid) : hasWords(symbol);
};
const hasWords = (symbol: ts.Symbol): boolean =>
  symbol.getDocumentationComment(checker).length > 0 ||
  (symbol.declarations ?? []).some(
    (node) => ts.getJSDocCommentsAndTags(ts.isNamespaceExport(node) ? node.parent : node).length > 0,
  );

/** Whether a member is one of the language's own, such as the name of an error. */
const isOfLanguage = (type: ts.Type, name: string): boolean =>
  (checker.getBaseTypes(type as ts.InterfaceType) ?? []).some((base) => {
    const [declaration] = checker.getPropertyOfType(base, name)?.declarations ?? [];
    return declaration !== undefined && (!isOurs(declaration) || isOfLanguage(base, name));
  });

/** Notes public declarations, and members of them, inherited ones too, that say nothing about themselves. */
function noteDocumentation(label: string, symbol: ts.Symbol, target: ts.Symbol): void {
  if (!hasText(target) && !hasText(symbol)) undocumented.add(label);
  if (target.flags & ts.SymbolFlags.ValueModule)
    for (const each of checker.getExportsOfModule(target)) {
      const own = resolved(each);
      if (!seen.has(own)) noteDocumentation(`${label}.${each.name}`, each, own);
    }
  if (!(target.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias))) return;
  const instance = checker.getDeclaredTypeOfSymbol(target);
  const statics = target.flags & ts.SymbolFlags.Class ? checker.getTypeOfSymbol(target).getProperties() : [];
  for (const member of [...instance.getProperties(), ...statics]) {
    const [declaration] = member.declarations ?? [];
    if (!declaration || !isOurs(declaration) || isPrivate(declaration)) continue;
    if ('name' in declaration && ts.isPrivateIdentifier(declaration.name as ts.Node)) continue;
    if (member.flags & ts.SymbolFlags.Prototype || hasText(member) || isOfLanguage(instance, member.name)) continue;
    const [owner, name] = [declaration.parent, declaration].map((node) =>
      ts.getNameOfDeclaration(node as ts.Declaration)?.getText(),
    );
    undocumented.add(`${label.split(':')[0]}: ${owner ?? target.name}.${name}`);
  }
}

const exported = (file: string): ts.Symbol[] => {
  const source = program.getSourceFile(file);
  const symbol = source && checker.getSymbolAtLocation(source);
  if (!symbol) throw new Error(`${relative(root, file)} is missing: run "npm run build:dist" first`);
  return checker.getExportsOfModule(symbol).sort((a, b) => (a.name < b.name ? -1 : 1));
};
const surface = new Set(entries.flatMap(({ file }) => exported(file).map(resolved)));

/**
 * What a class has from bases that are not exported, such as the methods of Tensor: no declaration of the surface shows
 * it.
 */
function inherited(target: ts.Symbol): string[] {
  if (!(target.flags & ts.SymbolFlags.Class)) return [];
  const found = checker
    .getDeclaredTypeOfSymbol(target)
    .getProperties()
    .flatMap((member) => {
      const [declaration] = member.declarations ?? [];
      if (!declaration || !isOurs(declaration) || isPrivate(declaration)) return [];
      if ('name' in declaration && ts.isPrivateIdentifier(declaration.name as ts.Node)) return [];
      const owner = checker.getSymbolAtLocation(
        ts.getNameOfDeclaration(declaration.parent as ts.Declaration) ?? declaration.parent,
      );
      if (owner === target || (owner && surface.has(owner))) return [];
      const type = checker.getTypeOfSymbol(member);
      return [
        `    ${checker.symbolToString(member)}: ${checker.typeToString(type, undefined, ts.TypeFormatFlags.NoTruncation)};`,
      ];
    });
  return found.length > 0
    ? [`interface ${target.name} { // from bases that are not exported`, ...found.sort(), '}']
    : [];
}

const seen = new Map<ts.Symbol, string>();
const lines = [
  `# The public surface of ${name}`,
  '',
  'Made by `npm run api` from the declarations of the package, and compared in CI: a change here is a change for users.',
  '',
];
for (const { specifier, file } of entries) {
  lines.push(`## ${specifier}`, '', '```typescript');
  for (const symbol of exported(file)) {
    const target = resolved(symbol);
    const before = seen.get(target);
    if (before) {
      lines.push(`export { ${symbol.name} } from '${before}';`);
      continue;
    }
    seen.set(target, specifier);
    for (const node of target.declarations ?? []) {
      const text = printer.printNode(ts.EmitHint.Unspecified, publicPart(node), node.getSourceFile());
      lines.push(text.replace(/^export declare |^declare /, 'export '));
    }
    lines.push(...inherited(target));
    noteDocumentation(`${specifier}: ${symbol.name}`, symbol, target);
  }
  lines.push('```', '');
}

const page = `${root}docs/api.md`;
const text = lines.join('\n');
if (process.argv.includes('--check')) {
  if (readFileSync(page, 'utf8') !== text) {
    console.error('docs/api.md is not what the declarations say: run "npm run api" and look at the difference');
    process.exit(1);
  }
  if (undocumented.size > 0) {
    console.error(`api: declarations without a sentence:\n${[...undocumented].join('\n')}`);
    process.exit(1);
  }
  console.log(`api: ${seen.size} exports, as in docs/api.md`);
} else if (process.argv.includes('--undocumented')) {
  for (const label of undocumented) console.log(label);
} else {
  writeFileSync(page, text);
  console.log(`api: ${seen.size} exports, ${undocumented.size} declarations without documentation`);
}
