// What the public functions, constructors and methods take as options, read from their types: so that a test can hold
// them all.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const source = fileURLToPath(new URL('../../src', import.meta.url));
/** The package's entry points, and what is a namespace of one. */
const rooms = [
  'index',
  'nn/index',
  'nn/functional',
  'nn/init',
  'optim/index',
  'data/index',
  'data/node',
  'distributed/index',
  'models/index',
  'io/index',
  'train/index',
];

export interface OptionsTaker {
  /** The function, the class, or `Class.method`. */
  readonly name: string;
  readonly parameter: string;
  readonly options: readonly { readonly name: string; readonly isRequired: boolean }[];
}

/**
 * An object of named values, some of which may be left out: no class, no array, nothing that can be called or iterated.
 */
function optionsOf(checker: ts.TypeChecker, type: ts.Type): OptionsTaker['options'] | null {
  const given = checker.getNonNullableType(type);
  if (!(given.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) || given.isClass()) return null;
  if (given.getCallSignatures().length > 0 || checker.getIndexInfosOfType(given).length > 0) return null;
  const properties = given.getProperties();
  const isValue = (property: ts.Symbol) =>
    !(property.flags & ts.SymbolFlags.Method) && !property.name.startsWith('__@');
  if (
    properties.length === 0 ||
    !properties.every((each) => isValue(each) || each.name === 'forward' || each.name === 'backward')
  )
    return null;
  return properties.map(({ name, flags }) => ({ name, isRequired: !(flags & ts.SymbolFlags.Optional) }));
}

/**
 * The parameters of a signature by name; those of a rest whose type lists them, as methods of Tensor have, are as good
 * as written out.
 */
function parametersOf(checker: ts.TypeChecker, signature: ts.Signature): { name: string; type: ts.Type }[] {
  return signature.getParameters().flatMap((parameter) => {
    const type = checker.getTypeOfSymbol(parameter);
    if (!checker.isTupleType(type)) return [{ name: parameter.name, type }];
    const { labeledElementDeclarations = [] } = (type as ts.TupleTypeReference).target;
    return checker.getTypeArguments(type as ts.TupleTypeReference).map((each, i) => ({
      name: labeledElementDeclarations[i]?.name.getText() ?? parameter.name,
      type: each,
    }));
  });
}

/** Every public function, constructor and method that takes options, by name. */
export function optionTakers(): Map<string, OptionsTaker> {
  const files = rooms.map((room) => join(source, `${room}.ts`));
  const program = ts.createProgram(files, {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    allowImportingTsExtensions: true,
    strict: true,
    noEmit: true,
    types: ['node'],
  });
  const checker = program.getTypeChecker();
  const found = new Map<string, OptionsTaker>();
  const look = (name: string, signatures: readonly ts.Signature[]) => {
    for (const signature of signatures)
      for (const parameter of parametersOf(checker, signature)) {
        const options = optionsOf(checker, parameter.type);
        if (options) found.set(name, { name, parameter: parameter.name, options });
      }
  };
  for (const file of files)
    for (const exported of checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)!)!)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      const { name } = exported;
      if (!symbol.valueDeclaration) continue;
      const type = checker.getTypeOfSymbol(symbol);
      look(name, type.getCallSignatures());
      if (!(symbol.flags & ts.SymbolFlags.Class)) continue;
      look(name, type.getConstructSignatures());
      for (const method of checker.getDeclaredTypeOfSymbol(symbol).getProperties()) {
        const [declaration] = method.declarations ?? [];
        // An inherited method is its base's.
        const isInternal = method.getJsDocTags().some((tag) => tag.name === 'internal');
        const isPublic =
          !declaration ||
          !(
            ts.getCombinedModifierFlags(declaration as ts.Declaration) &
            (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)
          );
        if (
          isPublic &&
          !isInternal &&
          !method.name.startsWith('__#') &&
          (declaration?.parent === symbol.valueDeclaration || name === 'Tensor')
        )
          look(`${name}.${method.name}`, checker.getTypeOfSymbol(method).getCallSignatures());
      }
    }
  return found;
}
