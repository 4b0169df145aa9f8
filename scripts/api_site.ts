// The pages of the public surface, made by TypeDoc from the docstrings: one page structure for each entry point of the
// package, the README in front, in build/api. A warning, such as a broken link or a type that no entry point exports,
// fails.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  Application,
  Converter,
  type DeclarationReflection,
  ParameterReflection,
  type ProjectReflection,
  ReflectionFlag,
  ReflectionKind,
  SignatureReflection,
} from 'typedoc';

const root = fileURLToPath(new URL('..', import.meta.url));
const { exports } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  exports: Record<string, { types: string }>;
};

const app = await Application.bootstrap({
  entryPoints: Object.values(exports).map(
    ({ types }) => root + types.replace('./dist/', 'src/').replace('.d.ts', '.ts'),
  ),
  tsconfig: `${root}tsconfig.build.json`,
  readme: `${root}README.md`,
  name: 'evenkeel',
  excludePrivate: true,
  excludeInternal: true,
  // Lines move with every change; what a page says must not.
  disableSources: true,
  validation: { notExported: true, invalidLink: true, invalidPath: true, rewrittenLink: true },
  treatWarningsAsErrors: true,
  // Shorthands within one signature or another, which say nothing by themselves.
  intentionallyNotExported: [
    'TakingSizes',
    'AnyConvOptions',
    'UpdateOption',
    'Indices',
    'Arguments',
    'Result',
    'Totals',
  ],
});

/**
 * Makes a method of Tensor, which TypeDoc takes for a property, of the function of its name: without the first
 * parameter, which is the tensor.
 */
function toMethod(project: ProjectReflection, property: DeclarationReflection, of: DeclarationReflection): void {
  property.kind = ReflectionKind.Method;
  property.type = undefined;
  property.comment = undefined;
  const signatures = of.signatures ?? (of.type?.type === 'reflection' ? of.type.declaration.signatures : undefined);
  property.signatures = signatures?.map((signature) => {
    const own = new SignatureReflection(property.name, ReflectionKind.CallSignature, property);
    own.type = signature.type;
    own.comment = (signature.comment ?? of.comment)?.clone();
    own.parameters = signature.parameters?.slice(1).map((parameter) => {
      const copy = new ParameterReflection(parameter.name, ReflectionKind.Parameter, own);
      copy.type = parameter.type;
      copy.defaultValue = parameter.defaultValue;
      copy.comment = parameter.comment?.clone();
      if (parameter.flags.isOptional) copy.setFlag(ReflectionFlag.Optional);
      if (parameter.flags.isRest) copy.setFlag(ReflectionFlag.Rest);
      project.registerReflection(copy, undefined, undefined);
      return copy;
    });
    project.registerReflection(own, undefined, undefined);
    return own;
  });
}
app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
  const functions = new Map<string, DeclarationReflection>();
  for (const each of project.getReflectionsByKind(ReflectionKind.Function | ReflectionKind.Variable))
    if (each.isDeclaration() && each.parent?.name === 'evenkeel') functions.set(each.name, each);
  for (const property of project.getReflectionsByKind(ReflectionKind.Property)) {
    const isTensor = property.parent?.getChildByName('requiresGrad_') !== undefined;
    const of = isTensor ? functions.get(property.name) : undefined;
    // Those that take sizes in two ways have a type of their own.
    if (of && property.isDeclaration() && property.type?.type === 'reflection') toMethod(project, property, of);
  }
});

const project = await app.convert();
if (!project) process.exit(1);
app.validate(project);
await app.generateDocs(project, `${root}build/api`);
process.exit(app.logger.hasErrors() || app.logger.hasWarnings() ? 1 : 0);
