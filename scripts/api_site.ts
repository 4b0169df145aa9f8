// The pages of the public surface, made by TypeDoc from the docstrings: one page structure for each entry point of the package, the README in
// front, in build/api. A warning, such as a broken link or a type that no entry point exports, fails.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Application, Converter, ReflectionKind } from 'typedoc';

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
  intentionallyNotExported: ['TakingSizes', 'Extremum', 'UpdateOption', 'Indices', 'Arguments', 'Result', 'Totals'],
});

// A method of Tensor has its words from the function of its name; TypeDoc takes them for constants, not for function declarations.
app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
  for (const property of project.getReflectionsByKind(ReflectionKind.Property)) {
    const id = property.hasComment() ? undefined : project.getSymbolIdFromReflection(property);
    const words = (id ? project.getReflectionsFromSymbolId(id) : [])
      .flatMap((same) => (same.isDeclaration() ? (same.signatures ?? []) : []))
      .find((signature) => signature.hasComment());
    property.comment ??= words?.comment?.clone();
  }
});

const project = await app.convert();
if (!project) process.exit(1);
app.validate(project);
await app.generateDocs(project, `${root}build/api`);
process.exit(app.logger.hasErrors() || app.logger.hasWarnings() ? 1 : 0);
